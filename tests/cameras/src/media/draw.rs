//! Pictures that no encoder makes, written by hand: H.264 of uncompressed and of skipped macroblocks. Field pairs, sizes that lie,
//! parameter sets without number.

use super::{Jpeg, Unit};
use crate::bits::Bits;
use std::sync::Arc;

/// What stands in an SPS.
#[derive(Clone, Copy, Debug)]
pub struct Sps {
    /// Its id.
    pub id: u64,
    /// Width in macroblocks.
    pub width_mbs: u64,
    /// Height in macroblocks, or pairs of them where there may be fields.
    pub height_units: u64,
    /// Whether pictures may be fields.
    pub fields: bool,
}

impl Sps {
    /// A NAL unit: main profile, level 4.
    pub fn nal(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        bits.put(8, 77).put(8, 0).put(8, 40).ue(self.id);
        // log2_max_frame_num 8 bits; pictures are shown in the order they come (POC type 2); one reference frame.
        bits.ue(4).ue(2).ue(1).put(1, 0);
        bits.ue(self.width_mbs - 1).ue(self.height_units - 1).put(1, u64::from(!self.fields));
        if self.fields {
            bits.put(1, 0);
        }
        // direct_8x8_inference, no cropping, no VUI.
        bits.put(1, 1).put(1, 0).put(1, 0);
        bits.nal(&[0x67])
    }
}

/// A PPS for CAVLC.
pub fn pps(id: u64, sps: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.ue(id).ue(sps).put(1, 0).put(1, 0).ue(0).ue(0).ue(0).put(1, 0).put(2, 0);
    bits.se(0).se(0).se(0).put(1, 1).put(1, 0).put(1, 0);
    bits.nal(&[0x68])
}

/// A field, or a whole frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A frame where the SPS allows no fields.
    Frame,
    /// The upper field.
    Top,
    /// The lower field.
    Bottom,
}

fn slice_header(nal: u8, kind: u64, frame_num: u64, part: Part) -> Bits {
    let mut bits = Bits::default();
    bits.ue(0).ue(kind).ue(0).put(8, frame_num);
    match part {
        Part::Frame => {}
        Part::Top => drop(bits.put(1, 1).put(1, 0)),
        Part::Bottom => drop(bits.put(1, 1).put(1, 1)),
    }
    let is_idr = nal & 31 == 5;
    if is_idr {
        bits.ue(0);
    }
    if kind == 5 {
        // One reference, in its own order.
        bits.put(1, 1).ue(0).put(1, 0);
    }
    // Marking of references (nal_ref_idc is not 0), then the quantizer, then no deblocking.
    if is_idr {
        bits.put(2, 0);
    } else {
        bits.put(1, 0);
    }
    bits.se(0).ue(1);
    bits
}

/// An intra picture of one grey, `macroblocks` of them uncompressed (I_PCM).
pub fn intra(macroblocks: usize, grey: u8, idr: bool, frame_num: u64, part: Part) -> Vec<u8> {
    let nal = if idr { 0x65 } else { 0x61 };
    let mut bits = slice_header(nal, 7, frame_num, part);
    for _ in 0..macroblocks {
        bits.ue(25).align();
        for _ in 0..256 {
            bits.put(8, u64::from(grey));
        }
        for _ in 0..128 {
            bits.put(8, 128);
        }
    }
    bits.nal(&[nal])
}

/// A picture equal to the one before.
pub fn skipped(macroblocks: u64, frame_num: u64, part: Part) -> Vec<u8> {
    let mut bits = slice_header(0x41, 5, frame_num, part);
    bits.ue(macroblocks);
    bits.nal(&[0x41])
}

/// Two seconds of 160x96 at 25 frames a second, each frame two fields with slices of their own: the first pair uncompressed, the
/// rest skipped.
pub fn field_pairs() -> Vec<Unit> {
    let sps = Sps { id: 0, width_mbs: 10, height_units: 3, fields: true };
    let units = (0..50).map(|n| {
        let fields = if n == 0 {
            vec![sps.nal(), pps(0, 0), intra(30, 90, true, 0, Part::Top), intra(30, 160, false, 0, Part::Bottom)]
        } else {
            vec![skipped(30, n, Part::Top), skipped(30, n, Part::Bottom)]
        };
        Arc::new(fields)
    });
    units.collect()
}

/// A second of 160x96 at 25 frames a second in a few hundred bytes.
pub fn tiny() -> Vec<Unit> {
    let sps = Sps { id: 0, width_mbs: 10, height_units: 6, fields: false };
    let units = (0..25).map(|n| {
        Arc::new(if n == 0 {
            vec![sps.nal(), pps(0, 0), intra(60, 120, true, 0, Part::Frame)]
        } else {
            vec![skipped(60, n, Part::Frame)]
        })
    });
    units.collect()
}

/// JPEG of 320x176 in 4:2:2, each picture of one grey: of ffmpeg's encoder no player takes this sampling from RFC 2435.
pub fn jpeg_422() -> Vec<Jpeg> {
    let one = |grey: u64| {
        let mut bits = Bits::default();
        for mcu in 0..20 * 22 {
            // Two blocks of luma, one each of chroma: the difference of their means (none but for the first), and no more.
            let first = if mcu == 0 { (3, 0b110, 5, 16 + grey) } else { (2, 0, 0, 0) };
            bits.put(first.0, first.1).put(first.2, first.3).put(4, 0b1010);
            bits.put(2, 0).put(4, 0b1010).put(4, 0).put(4, 0);
        }
        while !bits.len().is_multiple_of(8) {
            bits.put(1, 1);
        }
        let scan = bits.bytes().into_iter().flat_map(|b| if b == 0xff { vec![b, 0] } else { vec![b] }).collect();
        let tables = super::jpeg_tables(50);
        Jpeg { file: Arc::default(), size: (320, 176), kind: 0, tables, restart: 0, scan }
    };
    (0..16).map(one).collect()
}
