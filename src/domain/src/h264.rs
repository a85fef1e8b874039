//! H.264 (ITU-T H.264): kinds of NAL units, and what parameter sets and slice headers say. Nothing here trusts the data.

use crate::bitstream::RECOVERY_POINT;
pub use crate::bitstream::{Bits, nal_units};

/// A coded slice of another picture than an IDR picture (table 7-1).
pub const SLICE: u8 = 1;
/// The first partition of a coded slice.
pub const PARTITION_A: u8 = 2;
/// A coded slice of an IDR picture.
pub const IDR: u8 = 5;
/// Supplemental enhancement information.
pub const SEI: u8 = 6;
/// A sequence parameter set.
pub const SPS: u8 = 7;
/// A picture parameter set.
pub const PPS: u8 = 8;
/// An access unit delimiter.
pub const AUD: u8 = 9;
/// Filler data.
pub const FILLER: u8 = 12;

/// A slice that may refer to pictures shown after it (`slice_type` modulo 5, table 7-6).
pub const B_SLICE: u8 = 1;

/// The kind of a NAL unit; 0 for an empty one.
pub fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b & 0x1f)
}

/// Longest sequence parameter set that is looked at, bytes.
pub const MAX_SPS_BYTES: usize = 1024;

/// How the order of pictures is coded (8.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Type 0: the low bits of the picture order count stand in each slice, as many as this.
    Lsb(u8),
    /// Type 1.
    Cycle,
    /// Type 2: pictures are shown as they are decoded.
    AsDecoded,
}

/// What is used of a sequence parameter set (7.3.2.1.1, E.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// Its number, 0 to 31.
    pub id: u8,
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags, the first of them highest.
    pub constraints: u8,
    /// `level_idc`.
    pub level: u8,
    /// Width and height before cropping: what a decoder makes room for.
    pub coded: (u32, u32),
    /// How many pictures a decoder keeps for others to refer to.
    pub references: u8,
    /// Pixels of a row after cropping.
    pub width: u16,
    /// Rows after cropping, of both fields.
    pub height: u16,
    /// `chroma_format_idc` and the bit depths of luma and chroma, for profiles whose `avcC` carries them.
    pub high: Option<(u8, u8, u8)>,
    /// Width and height of a pixel; 1:1 where nothing is said.
    pub pixel: (u16, u16),
    /// Whether no picture is a field or holds macroblocks of fields.
    pub frames_only: bool,
    /// How many pictures may come before one that is shown before them; `None` where nothing is said.
    pub reorder: Option<u8>,
    frame_num_bits: u8,
    order: Order,
    separate_planes: bool,
}

impl Sps {
    /// Parses a set with its NAL header; never reads past it. `None` where it makes no sense.
    pub fn parse(sps: &[u8]) -> Option<Self> {
        if kind(sps) != SPS || sps.len() > MAX_SPS_BYTES {
            return None;
        }
        let [profile, constraints, level] = *sps.get(1..4)? else { return None };
        let mut r = Bits::new(sps.get(4..)?);
        let id = r.ue().filter(|id| *id < 32)? as u8;
        let (mut chroma, mut high, mut separate_planes) = (1, None, false);
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            chroma = r.ue().filter(|c| *c <= 3)?;
            if chroma == 3 {
                separate_planes = r.bit()?;
            }
            let (luma_bits, chroma_bits) = (r.ue().filter(|b| *b <= 6)?, r.ue().filter(|b| *b <= 6)?);
            high = Some((chroma as u8, luma_bits as u8 + 8, chroma_bits as u8 + 8));
            r.bit()?;
            if r.bit()? {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if r.bit()? {
                        skip_scaling_list(&mut r, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        let frame_num_bits = r.ue().filter(|n| *n <= 12)? as u8 + 4;
        let order = match r.ue()? {
            0 => Order::Lsb(r.ue().filter(|n| *n <= 12)? as u8 + 4),
            1 => {
                r.bit()?;
                r.ue()?;
                r.ue()?;
                for _ in 0..r.ue().filter(|n| *n <= 255)? {
                    r.ue()?;
                }
                Order::Cycle
            }
            2 => Order::AsDecoded,
            _ => return None,
        };
        let references = r.ue()?.min(16) as u8;
        r.bit()?;
        let width_mbs = r.ue().filter(|n| *n < 4096)? + 1;
        let height_units = r.ue().filter(|n| *n < 4096)? + 1;
        let frames_only = r.bit()?;
        if !frames_only {
            r.bit()?;
        }
        r.bit()?;
        let (mut crop_x, mut crop_y) = (0, 0);
        if r.bit()? {
            let mut edge = || r.ue().filter(|n| *n < 65_536);
            let (left, right, top, bottom) = (edge()?, edge()?, edge()?, edge()?);
            let fields = if frames_only { 1 } else { 2 };
            let (unit_x, unit_y) = match chroma {
                _ if separate_planes => (1, fields),
                1 => (2, 2 * fields),
                2 => (2, fields),
                _ => (1, fields),
            };
            crop_x = (left + right) * unit_x;
            crop_y = (top + bottom) * unit_y;
        }
        let coded = (width_mbs * 16, height_units * if frames_only { 16 } else { 32 });
        let width = coded.0.checked_sub(crop_x).filter(|n| *n > 0)?;
        let height = coded.1.checked_sub(crop_y).filter(|n| *n > 0)?;
        // Cameras write this part wrong or cut it off; the picture does not depend on it.
        let vui = if r.bit() == Some(true) { Vui::read(&mut r) } else { Vui::default() };
        let never_reorders = profile == 66
            || order == Order::AsDecoded
            || constraints & 0x10 != 0 && matches!(profile, 44 | 86 | 100 | 110 | 122 | 244);
        Some(Self {
            id,
            profile,
            constraints,
            level,
            coded,
            references,
            width: width.try_into().ok()?,
            height: height.try_into().ok()?,
            high,
            pixel: vui.pixel.unwrap_or((1, 1)),
            frames_only,
            reorder: if never_reorders { Some(0) } else { vui.reorder },
            frame_num_bits,
            order,
            separate_planes,
        })
    }
}

#[derive(Default)]
struct Vui {
    pixel: Option<(u16, u16)>,
    reorder: Option<u8>,
}

impl Vui {
    fn read(r: &mut Bits<'_>) -> Self {
        let mut vui = Self::default();
        vui.fill(r);
        vui
    }

    /// E.1.1; what was read before it ends is kept.
    fn fill(&mut self, r: &mut Bits<'_>) -> Option<()> {
        if r.bit()? {
            self.pixel = Some(r.sample_aspect()?);
        }
        r.skip_signal_description()?;
        if r.bit()? {
            r.skip(32 + 32 + 1)?;
        }
        let mut hrd = false;
        for _ in ["NAL", "VCL"] {
            if r.bit()? {
                hrd = true;
                let count = r.ue().filter(|n| *n < 32)? + 1;
                r.skip(8)?;
                for _ in 0..count {
                    r.ue()?;
                    r.ue()?;
                    r.bit()?;
                }
                r.skip(20)?;
            }
        }
        if hrd {
            r.bit()?;
        }
        r.bit()?;
        if r.bit()? {
            r.bit()?;
            for _ in 0..4 {
                r.ue()?;
            }
            self.reorder = Some(r.ue().filter(|n| *n <= 16)? as u8);
        }
        Some(())
    }
}

fn skip_scaling_list(bits: &mut Bits<'_>, entries: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..entries {
        if next != 0 {
            next = (last + bits.se()? + 256).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// The number of a picture parameter set, and of the sequence parameter set it names (7.3.2.2).
pub fn pps_ids(pps: &[u8]) -> Option<(u8, u8)> {
    let mut r = Bits::new(pps.get(1..)?);
    let id = r.ue().filter(|id| *id < 256)?;
    let sps = r.ue().filter(|id| *id < 32)?;
    Some((id as u8, sps as u8))
}

/// Whether a picture parameter set goes as far as each does, and says there what it may (7.3.2.2): half of one would take the place of a whole
/// one. What follows, and slice groups, are not looked at.
pub fn is_whole_pps(pps: &[u8]) -> bool {
    let read = || {
        let mut r = Bits::new(pps.get(1..)?);
        r.ue().filter(|id| *id < 256)?;
        r.ue().filter(|id| *id < 32)?;
        r.skip(2)?;
        if r.ue().filter(|more| *more < 8)? > 0 {
            return Some(());
        }
        // References, weights, quantizers, offset of chroma, three flags; one more bit ends it.
        r.ue().filter(|n| *n < 32)?;
        r.ue().filter(|n| *n < 32)?;
        r.skip(3)?;
        r.se().filter(|qp| (-62..=25).contains(qp))?;
        r.se().filter(|qp| (-26..=25).contains(qp))?;
        r.se().filter(|offset| (-12..=12).contains(offset))?;
        r.skip(4)
    };
    read().is_some()
}

/// What is used of a slice's header without its parameter sets (7.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHead {
    /// Its first macroblock; 0 begins a picture.
    pub first_mb: u32,
    /// 0 P, 1 B, 2 I, 3 SP, 4 SI (`slice_type` modulo 5).
    pub kind: u8,
    /// The picture parameter set it names.
    pub pps: u8,
}

impl SliceHead {
    /// Whether it needs no other picture.
    pub fn is_intra(self) -> bool {
        matches!(self.kind, 2 | 4)
    }

    fn read(r: &mut Bits<'_>) -> Option<Self> {
        let first_mb = r.ue()?;
        let kind = r.ue().filter(|kind| *kind < 10)? % 5;
        let pps = r.ue().filter(|id| *id < 256)?;
        Some(Self { first_mb, kind: kind as u8, pps: pps as u8 })
    }

    /// Parses the head of a slice from its NAL unit; its first 16 bytes suffice.
    pub fn parse(nal: &[u8]) -> Option<Self> {
        Self::read(&mut Bits::new(nal.get(1..)?))
    }
}

/// Which picture a slice belongs to: two slices with different ones belong to different pictures (7.4.1.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// `frame_num`.
    pub frame_num: u32,
    /// Whether it is a field, and then whether the bottom one.
    pub field: Option<bool>,
    /// Whether other pictures may refer to it.
    pub is_reference: bool,
    /// `idr_pic_id`, of an IDR picture.
    pub idr: Option<u32>,
    /// The low bits of the picture order count, where they are coded.
    pub order_lsb: Option<u32>,
}

impl PictureId {
    /// Parses it from a slice's NAL unit (its first 32 bytes suffice) and the set that the slice names.
    pub fn parse(nal: &[u8], sps: &Sps) -> Option<Self> {
        let mut r = Bits::new(nal.get(1..)?);
        SliceHead::read(&mut r)?;
        if sps.separate_planes {
            r.skip(2)?;
        }
        let frame_num = r.u(sps.frame_num_bits.into())?;
        let field = if !sps.frames_only && r.bit()? { Some(r.bit()?) } else { None };
        let idr = if kind(nal) == IDR { Some(r.ue()?) } else { None };
        let order_lsb = if let Order::Lsb(bits) = sps.order { Some(r.u(bits.into())?) } else { None };
        Some(Self { frame_num, field, is_reference: nal.first()? & 0x60 != 0, idr, order_lsb })
    }

    /// Whether `second` is the other field of the frame that this one begins (3.30, 3.31).
    pub fn is_first_field_of(&self, second: &Self) -> bool {
        matches!((self.field, second.field), (Some(a), Some(b)) if a != b)
            && self.frame_num == second.frame_num
            && second.idr.is_none_or(|id| self.idr == Some(id))
            && (self.is_reference || !second.is_reference)
    }
}

/// `recovery_frame_cnt` of a recovery point message (D.1.8), from a SEI's NAL unit.
pub fn recovery_point(sei: &[u8]) -> Option<u32> {
    let mut r = Bits::new(sei.get(1..)?);
    r.skip_to_message(RECOVERY_POINT)?;
    r.ue()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x264, baseline, 320x240.
    const BASELINE: [u8; 21] =
        [0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc5, 0x0a, 0xa8];

    #[test]
    fn reads_a_set_and_nothing_past_it() {
        let sps = Sps::parse(&BASELINE).expect("valid");
        assert_eq!((sps.id, sps.width, sps.height, sps.high), (0, 320, 240, None));
        assert_eq!((sps.pixel, sps.frames_only, sps.reorder), ((1, 1), true, Some(0)));
        for len in 0..BASELINE.len() {
            let _ = Sps::parse(&BASELINE[..len]);
        }
        for i in 0..BASELINE.len() {
            for bit in 0..8 {
                let mut bad = BASELINE;
                bad[i] ^= 1 << bit;
                let _ = Sps::parse(&bad);
            }
        }
    }

    #[test]
    fn reads_shape_and_reorder_depth_of_a_high_profile() {
        // x264, 720x576 in pixels of 16:11, two B-frames.
        let set = [
            0x67, 0x64, 0, 0x1e, 0xac, 0xd9, 0x40, 0xb4, 0x12, 0x6c, 0x10, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83,
            0xc5, 0x8b, 0x65, 0x80,
        ];
        let sps = Sps::parse(&set).expect("valid");
        assert_eq!((sps.profile, sps.level, sps.high), (100, 30, Some((1, 8, 8))));
        assert_eq!((sps.width, sps.height, sps.pixel, sps.reorder), (720, 576, (16, 11), Some(2)));
    }

    #[test]
    fn a_cut_off_vui_leaves_the_picture() {
        for len in 9..BASELINE.len() {
            let sps = Sps::parse(&BASELINE[..len]).expect("the size is whole");
            assert_eq!((sps.width, sps.height), (320, 240));
        }
    }

    #[test]
    fn reads_ids_and_heads() {
        assert_eq!(pps_ids(&[0x68, 0xce]), Some((0, 0)));
        assert_eq!(pps_ids(&[0x68, 0b0101_0000]), Some((1, 0)));
        assert_eq!(pps_ids(&[0x68]), None);
        // x264.
        let whole = [0x68, 0xce, 0x3c, 0x80];
        assert!(is_whole_pps(&whole) && (0..whole.len()).all(|bytes| !is_whole_pps(&whole[..bytes])));
        assert!(!is_whole_pps(&[0x68, 0xc0, 0x00, 0x00, 0x10, 0xff, 0xff]), "thousands of references");
        // first_mb 0, slice_type 7 (all I), pps 0.
        let head = SliceHead::parse(&[0x65, 0b1000_1000, 0b1000_0000]).expect("whole");
        assert_eq!((head.first_mb, head.kind, head.pps, head.is_intra()), (0, 2, 0, true));
        assert_eq!(SliceHead::parse(&[0x65]), None);
    }

    #[test]
    fn finds_the_recovery_point_behind_another_message() {
        assert_eq!(recovery_point(&[6, 6, 1, 0b0010_1100, 0x80]), Some(4));
        assert_eq!(recovery_point(&[6, 5, 3, 1, 2, 3, 6, 1, 0xc4, 0x80]), Some(0));
        assert_eq!(recovery_point(&[6, 5, 3, 1, 2, 3, 0x80]), None);
        assert_eq!(recovery_point(&[6, 255, 255, 255]), None);
    }
}
