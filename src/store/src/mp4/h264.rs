//! H.264 as files hold it: which NAL units belong into samples, and what an SPS says of the picture.

use bytes::Bytes;
use perch_base::{Error, Result};
pub(crate) use perch_domain::h264::nal_units;
use perch_domain::h264::{AUD, Bits, FILLER, PPS, SPS, kind};

/// Whether a file needs this unit in its samples: delimiters and filler say nothing, parameter sets stand in the header.
pub(crate) fn belongs_in_sample(nal: &[u8]) -> bool {
    !matches!(kind(nal), 0 | AUD | FILLER)
}

/// Whether it is a parameter set.
pub(crate) fn is_parameter_set(nal: &[u8]) -> bool {
    matches!(kind(nal), SPS | PPS)
}

/// What a recording's tracks are: the parameter sets of the video and whether there is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFormat {
    /// The sequence parameter set, without start code.
    pub sps: Bytes,
    /// The picture parameter set, without start code.
    pub pps: Bytes,
    /// Whether a sound track is written.
    pub has_audio: bool,
}

impl TrackFormat {
    /// Reads the parameter sets from a keyframe (Annex B, SPS and PPS before the picture). Errors with `Invalid` when one is
    /// missing or the SPS makes no sense.
    pub fn from_keyframe(annexb: &[u8], has_audio: bool) -> Result<Self> {
        let find = |wanted, name| {
            nal_units(annexb)
                .find(|nal| kind(nal) == wanted && nal.len() <= 1024)
                .ok_or_else(|| Error::invalid(format!("the keyframe has no {name}: it cannot be recorded")))
        };
        let (sps, pps) = (find(SPS, "SPS")?, find(PPS, "PPS")?);
        Sps::parse(sps)?;
        Ok(Self { sps: Bytes::copy_from_slice(sps), pps: Bytes::copy_from_slice(pps), has_audio })
    }

    /// Width and height in pixels, as the SPS says. Errors with `Invalid`.
    pub fn size(&self) -> Result<(u16, u16)> {
        Sps::parse(&self.sps).map(|p| (p.width, p.height))
    }
}

/// What of an SPS a file's header needs (ITU-T H.264, 7.3.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sps {
    /// Pixels after cropping.
    pub(crate) width: u16,
    /// Pixels after cropping.
    pub(crate) height: u16,
    /// `chroma_format_idc` and the bit depths of luma and chroma, for profiles whose `avcC` carries them.
    pub(crate) high: Option<(u8, u8, u8)>,
}

impl Sps {
    /// Parses an SPS with its NAL header. Errors with `Invalid`; never reads past it.
    pub(crate) fn parse(sps: &[u8]) -> Result<Self> {
        Self::read(sps).ok_or_else(|| Error::invalid("the SPS makes no sense: the video cannot be recorded"))
    }

    fn read(sps: &[u8]) -> Option<Self> {
        if kind(sps) != SPS || !(4..=1024).contains(&sps.len()) {
            return None;
        }
        let mut r = Bits::new(&sps[4..]);
        r.ue()?;
        let (mut chroma, mut high, mut separate) = (1, None, false);
        if matches!(sps[1], 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            chroma = r.ue().filter(|c| *c <= 3)?;
            if chroma == 3 {
                separate = r.bit()?;
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
        r.ue()?;
        match r.ue()? {
            0 => {
                r.ue()?;
            }
            1 => {
                r.bit()?;
                r.ue()?;
                r.ue()?;
                for _ in 0..r.ue().filter(|n| *n <= 255)? {
                    r.ue()?;
                }
            }
            2 => {}
            _ => return None,
        }
        r.ue()?;
        r.bit()?;
        let width_mbs = r.ue().filter(|n| *n < 1024)? + 1;
        let height_units = r.ue().filter(|n| *n < 1024)? + 1;
        let frames_only = r.bit()?;
        if !frames_only {
            r.bit()?;
        }
        r.bit()?;
        let (mut crop_x, mut crop_y) = (0, 0);
        if r.bit()? {
            let mut edge = || r.ue().filter(|n| *n < 16_384);
            let (left, right, top, bottom) = (edge()?, edge()?, edge()?, edge()?);
            let fields = if frames_only { 1 } else { 2 };
            let (unit_x, unit_y) = match chroma {
                _ if separate => (1, fields),
                1 => (2, 2 * fields),
                2 => (2, fields),
                _ => (1, fields),
            };
            crop_x = (left + right) * unit_x;
            crop_y = (top + bottom) * unit_y;
        }
        let width = (width_mbs * 16).checked_sub(crop_x).filter(|n| *n > 0)?;
        let height = (height_units * if frames_only { 16 } else { 32 }).checked_sub(crop_y).filter(|n| *n > 0)?;
        Some(Self { width: width.try_into().ok()?, height: height.try_into().ok()?, high })
    }
}

fn skip_scaling_list(bits: &mut Bits, entries: usize) -> Option<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_size_from_an_sps() {
        // x264, baseline, 320x240.
        let sps = [
            0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc5, 0x0a, 0xa8,
        ];
        let p = Sps::parse(&sps).expect("valid");
        assert_eq!((p.width, p.height, p.high), (320, 240, None));
        for len in 0..sps.len() {
            let _ = Sps::parse(&sps[..len]);
        }
        for i in 0..sps.len() {
            for bit in 0..8 {
                let mut bad = sps;
                bad[i] ^= 1 << bit;
                let _ = Sps::parse(&bad);
            }
        }
    }
}
