//! H.265 (ITU-T H.265): kinds of NAL units, and what parameter sets and slice headers say. Nothing here trusts the data.

use crate::bitstream::RECOVERY_POINT;
pub use crate::bitstream::{Bits, nal_units};

/// The first kind of leading picture that a random access skips: RASL_N and RASL_R are 8 and 9 (table 7-1).
pub const RASL_N: u8 = 8;
/// The other.
pub const RASL_R: u8 = 9;
/// The first kind of broken link access.
pub const BLA_W_LP: u8 = 16;
/// An instantaneous refresh with leading pictures.
pub const IDR_W_RADL: u8 = 19;
/// One without.
pub const IDR_N_LP: u8 = 20;
/// A clean random access.
pub const CRA: u8 = 21;
/// A video parameter set.
pub const VPS: u8 = 32;
/// A sequence parameter set.
pub const SPS: u8 = 33;
/// A picture parameter set.
pub const PPS: u8 = 34;
/// An access unit delimiter.
pub const AUD: u8 = 35;
/// Filler data.
pub const FILLER: u8 = 38;
/// Supplemental enhancement information before the picture.
pub const PREFIX_SEI: u8 = 39;
/// The same behind it.
pub const SUFFIX_SEI: u8 = 40;

/// Longest parameter set that is looked at, bytes.
pub const MAX_SET_BYTES: usize = 2048;

/// The kind of a NAL unit; 63, which nothing uses, for an empty one.
pub fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |b| b >> 1 & 0x3f)
}

/// The layer of a NAL unit; 0 is the only one that is decoded.
pub fn layer(nal: &[u8]) -> u8 {
    match nal {
        [a, b, ..] => (a & 1) << 5 | b >> 3,
        _ => 0,
    }
}

/// The temporal layer of a NAL unit (7.4.2.2); `None` where its header forbids one.
pub fn temporal_layer(nal: &[u8]) -> Option<u8> {
    (nal.get(1)? & 7).checked_sub(1)
}

/// Whether it is a slice of a picture that no other of its temporal layer refers to (table 7-1, without the reserved kinds).
pub fn is_sub_layer_non_reference(kind: u8) -> bool {
    kind <= RASL_N && kind.is_multiple_of(2)
}

/// Whether it is a slice of a coded picture.
pub fn is_slice(kind: u8) -> bool {
    kind <= RASL_R || is_random_access(kind)
}

/// Whether it is a slice of a picture at which decoding can begin (IRAP, without the reserved kinds).
pub fn is_random_access(kind: u8) -> bool {
    (BLA_W_LP..=CRA).contains(&kind)
}

/// What is used of a sequence parameter set (7.3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// Its number, 0 to 15.
    pub id: u8,
    /// The video parameter set it names.
    pub vps: u8,
    /// Profile, tier, compatibility, constraints and level as the 12 bytes that `hvcC` carries (ISO 14496-15 8.3.3.1.2).
    pub profile_tier_level: [u8; 12],
    /// Temporal layers.
    pub temporal_layers: u8,
    /// Whether one may always go up a temporal layer.
    pub temporal_nested: bool,
    /// `chroma_format_idc`.
    pub chroma: u8,
    /// Bits of luma and of chroma.
    pub bit_depths: (u8, u8),
    /// Width and height before cropping: what a decoder makes room for.
    pub coded: (u32, u32),
    /// How many pictures a decoder keeps beside the one it is at.
    pub references: u8,
    /// Pixels of a row after cropping.
    pub width: u16,
    /// Rows after cropping.
    pub height: u16,
    /// Width and height of a pixel; 1:1 where nothing is said.
    pub pixel: (u16, u16),
    /// Whether each picture is a field.
    pub fields: bool,
    /// How many pictures may come before one that is shown before them.
    pub reorder: u8,
}

impl Sps {
    /// Parses a set with its NAL header; never reads past it. `None` where it makes no sense.
    pub fn parse(sps: &[u8]) -> Option<Self> {
        if kind(sps) != SPS || sps.len() > MAX_SET_BYTES {
            return None;
        }
        let mut r = Bits::new(sps.get(2..)?);
        let vps = r.u(4)? as u8;
        let layers = r.u(3).filter(|n| *n < 7)?;
        let temporal_nested = r.bit()?;
        let profile_tier_level = read_profile(&mut r, layers)?;
        let id = r.ue().filter(|id| *id < 16)? as u8;
        let chroma = r.ue().filter(|c| *c <= 3)?;
        let separate = chroma == 3 && r.bit()?;
        let (full_width, full_height) = (r.ue().filter(|n| *n <= 65_535)?, r.ue().filter(|n| *n <= 65_535)?);
        let (mut crop_x, mut crop_y) = (0, 0);
        if r.bit()? {
            let mut edge = || r.ue().filter(|n| *n < 65_536);
            let (left, right, top, bottom) = (edge()?, edge()?, edge()?, edge()?);
            let (unit_x, unit_y) = match chroma {
                _ if separate => (1, 1),
                1 => (2, 2),
                2 => (2, 1),
                _ => (1, 1),
            };
            (crop_x, crop_y) = ((left + right) * unit_x, (top + bottom) * unit_y);
        }
        let bit_depths = (r.ue().filter(|n| *n <= 8)? as u8 + 8, r.ue().filter(|n| *n <= 8)? as u8 + 8);
        let order_bits = r.ue().filter(|n| *n <= 12)? + 4;
        let (mut reorder, mut references) = (0, 0);
        for _ in if r.bit()? { 0 } else { layers }..=layers {
            references = r.ue()?.min(16) as u8;
            reorder = r.ue().filter(|n| *n <= 16)? as u8;
            r.ue()?;
        }
        let width = full_width.checked_sub(crop_x).filter(|n| *n > 0)?;
        let height = full_height.checked_sub(crop_y).filter(|n| *n > 0)?;
        let mut set = Self {
            id,
            vps,
            profile_tier_level,
            temporal_layers: layers as u8 + 1,
            temporal_nested,
            chroma: chroma as u8,
            bit_depths,
            coded: (full_width, full_height),
            references,
            width: width.try_into().ok()?,
            height: height.try_into().ok()?,
            pixel: (1, 1),
            fields: false,
            reorder,
        };
        // What is wrong behind here does not matter to the picture's size.
        let _ = set.read_rest(&mut r, order_bits);
        Some(set)
    }

    fn read_rest(&mut self, r: &mut Bits<'_>, order_bits: u32) -> Option<()> {
        for _ in 0..6 {
            r.ue()?;
        }
        if r.bit()? && r.bit()? {
            skip_scaling_lists(r)?;
        }
        r.skip(2)?;
        if r.bit()? {
            r.skip(8)?;
            r.ue()?;
            r.ue()?;
            r.skip(1)?;
        }
        skip_short_term_sets(r)?;
        if r.bit()? {
            for _ in 0..r.ue().filter(|n| *n <= 32)? {
                r.skip(order_bits + 1)?;
            }
        }
        r.skip(2)?;
        if r.bit()? {
            // E.2.1
            if r.bit()? {
                self.pixel = r.sample_aspect()?;
            }
            r.skip_signal_description()?;
            r.skip(1)?;
            self.fields = r.bit()?;
        }
        Some(())
    }
}

/// `profile_tier_level` (7.3.3): the general part as bytes; what sub-layers say is left out.
fn read_profile(r: &mut Bits<'_>, layers: u32) -> Option<[u8; 12]> {
    let mut general = [0; 12];
    for byte in &mut general {
        *byte = r.u(8)? as u8;
    }
    let mut bits = 0;
    for _ in 0..layers {
        bits += if r.bit()? { 88 } else { 0 };
        bits += if r.bit()? { 8 } else { 0 };
    }
    if layers > 0 {
        r.skip(2 * (8 - layers))?;
    }
    r.skip(bits)?;
    Some(general)
}

/// `scaling_list_data` (7.3.4).
fn skip_scaling_lists(r: &mut Bits<'_>) -> Option<()> {
    for size in 0..4u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if r.bit()? {
                if size > 1 {
                    r.se()?;
                }
                for _ in 0..(1u32 << (4 + 2 * size)).min(64) {
                    r.se()?;
                }
            } else {
                r.ue()?;
            }
        }
    }
    Some(())
}

/// `num_short_term_ref_pic_sets` and the sets (7.3.7).
fn skip_short_term_sets(r: &mut Bits<'_>) -> Option<()> {
    let mut before = 0u32;
    for set in 0..r.ue().filter(|n| *n <= 64)? {
        if set > 0 && r.bit()? {
            r.skip(1)?;
            r.ue()?;
            let mut pictures = 0;
            for _ in 0..=before {
                // Used, or at least handed on.
                if r.bit()? || r.bit()? {
                    pictures += 1;
                }
            }
            before = pictures;
        } else {
            before = r.ue().filter(|n| *n <= 16)? + r.ue().filter(|n| *n <= 16)?;
            for _ in 0..before {
                r.ue()?;
                r.skip(1)?;
            }
        }
    }
    Some(())
}

/// The number of a video parameter set.
pub fn vps_id(vps: &[u8]) -> Option<u8> {
    vps.get(2).map(|b| b >> 4)
}

/// Whether a video parameter set goes as far as each does: to the end of its general profile, tier and level (7.3.2.1, 7.3.3). Half of one
/// would take the place of a whole one.
pub fn is_whole_vps(vps: &[u8]) -> bool {
    let read = || {
        let mut r = Bits::new(vps.get(2..)?);
        // Number, layers, sub-layers, 16 reserved bits; 88 bits of profile and tier, 8 of level.
        r.skip(4 + 2 + 6 + 3 + 1 + 16)?;
        r.skip(88 + 8)
    };
    read().is_some()
}

/// The number of a picture parameter set, and of the sequence parameter set it names (7.3.2.3.1).
pub fn pps_ids(pps: &[u8]) -> Option<(u8, u8)> {
    let mut r = Bits::new(pps.get(2..)?);
    let id = r.ue().filter(|id| *id < 64)?;
    let sps = r.ue().filter(|id| *id < 16)?;
    Some((id as u8, sps as u8))
}

/// Whether a picture parameter set goes as far as each does, and says there what it may (7.3.2.3.1). What follows is not looked at.
pub fn is_whole_pps(pps: &[u8]) -> bool {
    let read = || {
        let mut r = Bits::new(pps.get(2..)?);
        r.ue().filter(|id| *id < 64)?;
        r.ue().filter(|id| *id < 16)?;
        r.skip(7)?;
        r.ue().filter(|n| *n < 15)?;
        r.ue().filter(|n| *n < 15)?;
        r.se().filter(|qp| (-74..=25).contains(qp))?;
        r.skip(2)?;
        if r.bit()? {
            r.ue().filter(|depth| *depth < 4)?;
        }
        r.se().filter(|offset| (-12..=12).contains(offset))?;
        r.se().filter(|offset| (-12..=12).contains(offset))?;
        // Flags: offsets, weights, lossless, tiles, rows; one more bit ends it.
        r.skip(7)
    };
    read().is_some()
}

/// What is used of a slice segment's header (7.3.6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHead {
    /// Whether it begins a picture.
    pub is_first: bool,
    /// The picture parameter set it names.
    pub pps: u8,
}

impl SliceHead {
    /// Parses the head of a slice segment from its NAL unit; its first 16 bytes suffice.
    pub fn parse(nal: &[u8]) -> Option<Self> {
        let mut r = Bits::new(nal.get(2..)?);
        let is_first = r.bit()?;
        if (BLA_W_LP..=23).contains(&kind(nal)) {
            r.skip(1)?;
        }
        let pps = r.ue().filter(|id| *id < 64)?;
        Some(Self { is_first, pps: pps as u8 })
    }
}

/// `recovery_poc_cnt` of a recovery point message (D.2.8), from a prefix SEI's NAL unit.
pub fn recovery_point(sei: &[u8]) -> Option<i64> {
    let mut r = Bits::new(sei.get(2..)?);
    r.skip_to_message(RECOVERY_POINT)?;
    r.se()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_heads() {
        assert_eq!(
            (kind(&[0x40, 1]), kind(&[0x42, 1]), kind(&[0x44, 1]), kind(&[0x26, 1])),
            (VPS, SPS, PPS, IDR_W_RADL)
        );
        assert_eq!((layer(&[0x40, 1]), layer(&[0x41, 9])), (0, 33));
        assert!(is_slice(1) && is_slice(19) && !is_slice(22) && !is_slice(32) && is_random_access(21));
        // An IDR's first segment with PPS 0, and a further one of a P picture with PPS 1.
        assert_eq!(SliceHead::parse(&[0x26, 1, 0b1010_0000]), Some(SliceHead { is_first: true, pps: 0 }));
        assert_eq!(SliceHead::parse(&[0x02, 1, 0b0010_0000]), Some(SliceHead { is_first: false, pps: 1 }));
        assert_eq!(SliceHead::parse(&[0x02, 1]), None);
        assert_eq!(vps_id(&[0x40, 1, 0x0c]), Some(0));
        assert_eq!(pps_ids(&[0x44, 1, 0xc1]), Some((0, 0)));
        let vps = b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\x95\x90\x09";
        assert!(is_whole_vps(vps) && (0..21).all(|bytes| !is_whole_vps(&vps[..bytes])), "the level stands in byte 21");
    }

    /// x265, main, 366x206 in pixels of 40:33, two B-frames, and 320x192 in medium.
    const SETS: [&[u8]; 2] = [
        b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0b\x88\x0d\x1d\x56\x59\x59\x12\x93\x0b\xc1\x5a\x02\
          \x00\x00\x03\x00\x02\x00\x00\x03\x00\x32\x10",
        b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x08\x0c\x16\x59\x59\xa4\x93\x95\xe0\x2d\x01\
          \x00\x00\x03\x00\x01\x00\x00\x03\x00\x19\x08",
    ];

    #[test]
    fn reads_a_set_and_nothing_past_it() {
        let [first, second] = SETS.map(|set| Sps::parse(set).expect("valid"));
        assert_eq!((first.id, first.width, first.height, first.pixel), (0, 366, 206, (40, 33)));
        assert_eq!((first.reorder, first.fields, first.chroma, first.bit_depths), (2, false, 1, (8, 8)));
        assert_eq!(first.profile_tier_level, [1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60]);
        assert_eq!((second.width, second.height, second.pixel), (320, 192, (1, 1)));
        for set in SETS {
            for len in 0..set.len() {
                let _ = Sps::parse(&set[..len]);
            }
            for i in 0..set.len() * 8 {
                let mut bad = set.to_vec();
                bad[i / 8] ^= 1 << (i % 8);
                let _ = Sps::parse(&bad);
            }
        }
    }
}
