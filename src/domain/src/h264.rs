//! The H.264 byte stream (ITU-T H.264, annex B): its NAL units, their kinds, and the bits of their payloads. Nothing here trusts
//! the data.

/// A coded slice of another picture than an IDR picture (table 7-1).
pub const SLICE: u8 = 1;
/// A coded slice of an IDR picture.
pub const IDR: u8 = 5;
/// A sequence parameter set.
pub const SPS: u8 = 7;
/// A picture parameter set.
pub const PPS: u8 = 8;
/// An access unit delimiter.
pub const AUD: u8 = 9;
/// Filler data.
pub const FILLER: u8 = 12;

/// The kind of a NAL unit; 0 for an empty one.
pub fn kind(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b & 0x1f)
}

/// The NAL units of an Annex B byte stream, without start codes, trailing zeros and empty units.
pub fn nal_units(annexb: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = start_code(annexb, 0);
    std::iter::from_fn(move || {
        let begin = next? + 3;
        next = start_code(annexb, begin);
        let nal = &annexb[begin..next.unwrap_or(annexb.len())];
        let len = nal.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        Some(&nal[..len])
    })
    .filter(|nal| !nal.is_empty())
}

/// Where the next `00 00 01` begins at or after `from`.
fn start_code(data: &[u8], from: usize) -> Option<usize> {
    let mut i = from + 2;
    while let Some(b) = data.get(i) {
        match b {
            0 => i += 1,
            1 if data[i - 1] == 0 && data[i - 2] == 0 => return Some(i - 2),
            // The third byte decides how far the next code can be.
            _ => i += 3,
        }
    }
    None
}

/// Reads the bits of a payload (7.2), leaving out the emulation prevention bytes (`00 00 03`). `None` at its end.
#[derive(Clone, Debug)]
pub struct Bits {
    data: Vec<u8>,
    at: usize,
}

impl Bits {
    /// From the first bit of `payload` (what follows a NAL unit's header) on.
    pub fn new(payload: &[u8]) -> Self {
        let mut clean = Vec::with_capacity(payload.len());
        let mut zeros = 0;
        for b in payload {
            if *b == 3 && zeros >= 2 {
                zeros = 0;
                continue;
            }
            zeros = if *b == 0 { zeros + 1 } else { 0 };
            clean.push(*b);
        }
        Self { data: clean, at: 0 }
    }

    /// One bit, `u(1)`.
    pub fn bit(&mut self) -> Option<bool> {
        let byte = self.data.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// An unsigned Exp-Golomb code of at most 32 bits, `ue(v)`.
    pub fn ue(&mut self) -> Option<u32> {
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

    /// A signed Exp-Golomb code, `se(v)`.
    pub fn se(&mut self) -> Option<i64> {
        let n = i64::from(self.ue()?);
        Some(if n % 2 == 1 { (n + 1) / 2 } else { -n / 2 })
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
    fn codes_are_read_and_end_with_the_data() {
        // 1, 010, 00111, then an emulation prevention byte is left out.
        let mut bits = Bits::new(&[0b1010_0011, 0b1000_0000]);
        assert_eq!((bits.ue(), bits.ue(), bits.ue()), (Some(0), Some(1), Some(6)));
        assert_eq!(bits.ue(), None);
        let mut bits = Bits::new(&[0, 0, 3, 0x80]);
        assert_eq!((0..16).filter(|_| bits.bit() == Some(true)).count(), 0);
        assert_eq!(bits.bit(), Some(true));
        assert_eq!(Bits::new(&[0; 20]).ue(), None);
        assert_eq!(Bits::new(&[0b0110_0000]).se(), Some(-1));
    }
}
