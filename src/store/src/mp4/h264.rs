//! H.264 as packets bring it (Annex B) and as files hold it (length prefixes): NAL units, and what an SPS says of the picture.

use bytes::Bytes;
use perch_base::{Error, Result};

// NAL unit types of ITU-T H.264, table 7-1.
const SPS: u8 = 7;
const PPS: u8 = 8;
const AUD: u8 = 9;
const FILLER: u8 = 12;

/// The kind of NAL unit; 0 for an empty one.
pub(crate) fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b & 0x1f)
}

/// Whether a file needs this unit in its samples: delimiters and filler say nothing, parameter sets stand in the header.
pub(crate) fn belongs_in_sample(nal: &[u8]) -> bool {
    !matches!(kind(nal), 0 | AUD | FILLER)
}

/// Whether it is a parameter set.
pub(crate) fn is_parameter_set(nal: &[u8]) -> bool {
    matches!(kind(nal), SPS | PPS)
}

/// Where the next `00 00 01` begins at or after `from`.
fn start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut i = from + 2;
    while let Some(b) = data.get(i) {
        match b {
            0 => i += 1,
            1 if data[i - 1] == 0 && data[i - 2] == 0 => return Some(i - 2),
            _ => i += 3,
        }
    }
    None
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros.
pub(crate) fn nal_units(annexb: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = start_code(annexb, 0);
    std::iter::from_fn(move || {
        let begin = next? + 3;
        next = start_code(annexb, begin);
        let mut nal = &annexb[begin..next.unwrap_or(annexb.len())];
        while let [rest @ .., 0] = nal {
            nal = rest;
        }
        Some(nal)
    })
    .filter(|nal| !nal.is_empty())
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
        Picture::parse(sps)?;
        Ok(Self { sps: Bytes::copy_from_slice(sps), pps: Bytes::copy_from_slice(pps), has_audio })
    }

    /// Width and height in pixels, as the SPS tells. Errors with `Invalid`.
    pub fn size(&self) -> Result<(u16, u16)> {
        Picture::parse(&self.sps).map(|p| (p.width, p.height))
    }
}

/// What of an SPS a file's header needs (ITU-T H.264, 7.3.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Pixels after cropping.
    pub(crate) width: u16,
    /// Pixels after cropping.
    pub(crate) height: u16,
    /// `chroma_format_idc` and the bit depths of luma and chroma, for profiles whose `avcC` carries them.
    pub(crate) high: Option<(u8, u8, u8)>,
}

impl Picture {
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
                        r.skip_scaling_list(if list < 6 { 16 } else { 64 })?;
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

/// Reads bits, leaving out the emulation prevention bytes (`00 00 03`).
struct Bits {
    data: Vec<u8>,
    at: usize,
}

impl Bits {
    fn new(data: &[u8]) -> Self {
        let mut clean = Vec::with_capacity(data.len());
        let mut zeros = 0;
        for b in data {
            if *b == 3 && zeros >= 2 {
                zeros = 0;
                continue;
            }
            zeros = if *b == 0 { zeros + 1 } else { 0 };
            clean.push(*b);
        }
        Self { data: clean, at: 0 }
    }

    fn bit(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// An unsigned Exp-Golomb code of at most 32 bits.
    fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let mut n = 1u64;
        for _ in 0..zeros {
            n = n << 1 | u64::from(self.bit()?);
        }
        u32::try_from(n - 1).ok()
    }

    fn se(&mut self) -> Option<i64> {
        let n = i64::from(self.ue()?);
        Some(if n % 2 == 1 { (n + 1) / 2 } else { -n / 2 })
    }

    fn skip_scaling_list(&mut self, size: usize) -> Option<()> {
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..size {
            if next != 0 {
                next = (last + self.se()? + 256).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(data: &[u8]) -> Vec<Vec<u8>> {
        nal_units(data).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn splits_three_and_four_byte_start_codes() {
        let data = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 1, 0x65, 0, 0, 3, 1, 9];
        assert_eq!(units(&data), [vec![0x67, 1, 2], vec![0x68, 3], vec![0x65, 0, 0, 3, 1, 9]]);
        assert!(units(&[]).is_empty() && units(&[0, 0, 1]).is_empty() && units(&[1, 2, 3, 4]).is_empty());
        assert_eq!(units(&[0, 0, 1, 0, 0, 1, 0x41]), [vec![0x41]]);
    }

    #[test]
    fn finds_every_start_code_that_a_plain_search_finds() {
        // All strings of 8 over the bytes that matter.
        for n in 0..3u32.pow(8) {
            let data: Vec<u8> = (0..8).map(|i| (n / 3u32.pow(i) % 3) as u8).collect();
            let mut got = vec![];
            let mut at = 0;
            while let Some(i) = start_code(&data, at) {
                got.push(i);
                at = i + 3;
            }
            let want: Vec<usize> = (0..6).filter(|i| data[*i..*i + 3] == [0, 0, 1]).collect();
            assert_eq!(got, want, "{data:?}");
        }
    }

    #[test]
    fn reads_the_size_from_an_sps() {
        // x264, baseline, 320x240.
        let sps = [
            0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc5, 0x0a, 0xa8,
        ];
        let p = Picture::parse(&sps).expect("valid");
        assert_eq!((p.width, p.height, p.high), (320, 240, None));
        for len in 0..sps.len() {
            let _ = Picture::parse(&sps[..len]);
        }
        for i in 0..sps.len() {
            for bit in 0..8 {
                let mut bad = sps;
                bad[i] ^= 1 << bit;
                let _ = Picture::parse(&bad);
            }
        }
    }
}
