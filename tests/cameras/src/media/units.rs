//! Annex B files taken apart: NAL units, and those of each picture.

use std::sync::Arc;

/// The NAL units of one picture, without start codes; or one JPEG file, or the bytes of one packet of sound.
pub type Unit = Arc<Vec<Vec<u8>>>;

/// The NAL units of an Annex B stream (ITU-T H.264 B.1).
pub fn nals(stream: &[u8]) -> Vec<Vec<u8>> {
    let starts: Vec<usize> = stream.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at).collect();
    let mut out = Vec::new();
    for (i, at) in starts.iter().enumerate() {
        let mut nal = &stream[at + 3..starts.get(i + 1).copied().unwrap_or(stream.len())];
        while let [rest @ .., 0] = nal {
            nal = rest;
        }
        if !nal.is_empty() {
            out.push(nal.to_vec());
        }
    }
    out
}

/// `nal_unit_type` of an H.264 NAL unit.
pub fn h264_kind(nal: &[u8]) -> u8 {
    nal[0] & 31
}

/// `nal_unit_type` of an H.265 NAL unit.
pub fn h265_kind(nal: &[u8]) -> u8 {
    nal[0] >> 1 & 63
}

/// Pictures of an H.264 stream, without access unit delimiters.
pub fn h264_units(stream: &[u8]) -> Vec<Unit> {
    grouped(nals(stream), |nal| {
        let kind = h264_kind(nal);
        // `first_mb_in_slice` is 0: its code is one bit.
        let first = nal.get(1).is_some_and(|b| b & 0x80 != 0);
        Parts { delimiter: kind == 9, slice: matches!(kind, 1 | 5), begins: matches!(kind, 6..=9) || first }
    })
}

/// Pictures of an H.265 stream, without access unit delimiters.
pub fn h265_units(stream: &[u8]) -> Vec<Unit> {
    grouped(nals(stream), |nal| {
        let kind = h265_kind(nal);
        let first = nal.get(2).is_some_and(|b| b & 0x80 != 0);
        Parts { delimiter: kind == 35, slice: kind < 32, begins: matches!(kind, 32..=35 | 39) || (kind < 32 && first) }
    })
}

struct Parts {
    delimiter: bool,
    slice: bool,
    begins: bool,
}

fn grouped(nals: Vec<Vec<u8>>, parts: impl Fn(&[u8]) -> Parts) -> Vec<Unit> {
    let (mut units, mut unit, mut has_slice) = (Vec::new(), Vec::new(), false);
    for nal in nals {
        let part = parts(&nal);
        if has_slice && part.begins {
            units.push(Arc::new(std::mem::take(&mut unit)));
            has_slice = false;
        }
        has_slice |= part.slice;
        if !part.delimiter {
            unit.push(nal);
        }
    }
    if has_slice {
        units.push(Arc::new(unit));
    }
    units
}
