//! What the box must know of an H.264 access unit (Annex B): whether decoding can start there, and whether it holds B-slices.
//! Only headers are looked at; nothing here trusts the data. (ITU-T H.264, 7.3.1, 7.3.3 and annex B.)

/// What an access unit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// Holds SPS, PPS and then an IDR slice.
    pub keyframe: bool,
    /// Holds a slice that needs a later picture.
    pub b_slice: bool,
}

const SLICE: u8 = 1;
const IDR: u8 = 5;
const SPS: u8 = 7;
const PPS: u8 = 8;

/// Looks at `data` up to its first slice.
pub fn inspect(data: &[u8]) -> AccessUnit {
    let (mut sps, mut pps) = (false, false);
    for nal in nals(data) {
        let Some(header) = nal.first() else { continue };
        match header & 0x1f {
            SPS => sps = true,
            PPS => pps = true,
            IDR => return AccessUnit { keyframe: sps && pps, b_slice: false },
            SLICE => return AccessUnit { keyframe: false, b_slice: matches!(slice_type(&nal[1..]), Some(1 | 6)) },
            _ => {}
        }
    }
    AccessUnit::default()
}

/// The NAL units of Annex B data, without start codes.
pub fn nals(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(data).map(|(_, after)| &data[after..]);
    std::iter::from_fn(move || {
        let current = rest?;
        match start_code(current) {
            Some((at, after)) => {
                rest = Some(&current[after..]);
                Some(&current[..at])
            }
            None => {
                rest = None;
                Some(current)
            }
        }
    })
}

/// Where the next start code begins and ends.
fn start_code(data: &[u8]) -> Option<(usize, usize)> {
    let mut i = 2;
    while i < data.len() {
        match data[i] {
            // The third byte decides how far the next code can be.
            2.. => i += 3,
            1 if data[i - 1] == 0 && data[i - 2] == 0 => {
                let begin = if i >= 3 && data[i - 3] == 0 { i - 3 } else { i - 2 };
                return Some((begin, i + 1));
            }
            1 => i += 3,
            0 => i += 1,
        }
    }
    None
}

fn slice_type(payload: &[u8]) -> Option<u32> {
    let mut bits = Bits { data: payload.get(..payload.len().min(16))?, at: 0 };
    bits.exp_golomb()?; // first_mb_in_slice
    bits.exp_golomb()
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }

    fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let mut value = 1u64;
        for _ in 0..zeros {
            value = value << 1 | u64::from(self.bit()?);
        }
        u32::try_from(value - 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[0, 0, 0, 1, 0x67, 66, 0xc0, 31, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x65, 0x88, 0x80];

    #[test]
    fn a_keyframe_has_sps_pps_and_idr() {
        assert!(inspect(KEY).keyframe);
        assert!(!inspect(&KEY[14..]).keyframe, "an IDR alone cannot be decoded");
        assert_eq!(nals(KEY).map(|n| n[0] & 0x1f).collect::<Vec<_>>(), [7, 8, 5]);
    }

    #[test]
    fn b_slices_are_seen() {
        // first_mb 0 = `1`, then slice_type 1 = `010`, 6 = `00111`, 0 = `1`.
        assert!(inspect(&[0, 0, 1, 0x01, 0b1010_0000]).b_slice);
        assert!(inspect(&[0, 0, 1, 0x01, 0b1001_1100]).b_slice);
        assert!(!inspect(&[0, 0, 1, 0x41, 0b1100_0000]).b_slice);
    }

    #[test]
    fn junk_is_nothing_and_never_panics() {
        let mut seed = 1u32;
        for len in 0..200 {
            let junk: Vec<u8> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Many zeros and ones, so that start codes occur.
                    [0, 0, 0, 1, 1, 5, 7, (seed >> 8) as u8][(seed >> 24) as usize % 8]
                })
                .collect();
            let _ = inspect(&junk);
            assert!(nals(&junk).count() <= junk.len());
        }
        assert_eq!(inspect(&[]), AccessUnit::default());
    }
}
