//! What H.264 and H.265 have in common on the wire: byte streams of NAL units (annex B) and the bits of their payloads (7.2). Nothing
//! here trusts the data.

/// The kind of a recovery point message in a SEI (H.264 D.1.8, H.265 D.2.8).
pub(crate) const RECOVERY_POINT: u32 = 6;
/// That of a display orientation message (H.264 D.1.27, H.265 D.2.17).
pub(crate) const DISPLAY_ORIENTATION: u32 = 47;

/// Most parameter sets of a stream that are kept, live and in the header of a recording, and their bytes together: `avcC` counts in one
/// byte (ISO/IEC 14496-15 5.3.3.1).
pub const MAX_SETS: usize = 255;
/// See [`MAX_SETS`].
pub const MAX_SETS_BYTES: usize = 16 << 10;

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
pub fn start_code(data: &[u8], from: usize) -> Option<usize> {
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
pub struct Bits<'a> {
    rest: &'a [u8],
    zeros: u8,
    byte: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    /// From the first bit of `payload` (what follows a NAL unit's header) on.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload, zeros: 0, byte: 0, left: 0 }
    }

    fn next_byte(&mut self) -> Option<u8> {
        let (mut byte, mut rest) = self.rest.split_first()?;
        if *byte == 3 && self.zeros >= 2 {
            self.zeros = 0;
            (byte, rest) = rest.split_first()?;
        }
        self.rest = rest;
        self.zeros = if *byte == 0 { (self.zeros + 1).min(2) } else { 0 };
        Some(*byte)
    }

    /// One bit, `u(1)`.
    pub fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.byte = self.next_byte()?;
            self.left = 8;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1 == 1)
    }

    /// `count` bits, at most 32, the highest first: `u(n)`.
    pub fn u(&mut self, count: u32) -> Option<u32> {
        let mut n = 0u32;
        for _ in 0..count.min(32) {
            n = n << 1 | u32::from(self.bit()?);
        }
        Some(n)
    }

    /// Leaves out `count` bits.
    pub fn skip(&mut self, count: u32) -> Option<()> {
        (0..count).try_for_each(|_| self.bit().map(drop))
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

    /// A sample aspect ratio (H.264 table E-1, H.265 table E.1) behind its flag; 1:1 where it is unknown.
    pub(crate) fn sample_aspect(&mut self) -> Option<(u16, u16)> {
        const RATIOS: [(u16, u16); 17] = [
            (1, 1),
            (1, 1),
            (12, 11),
            (10, 11),
            (16, 11),
            (40, 33),
            (24, 11),
            (20, 11),
            (32, 11),
            (80, 33),
            (18, 11),
            (15, 11),
            (64, 33),
            (160, 99),
            (4, 3),
            (3, 2),
            (2, 1),
        ];
        let ratio = match self.u(8)? {
            255 => (self.u(16)? as u16, self.u(16)? as u16),
            n => RATIOS.get(n as usize).copied().unwrap_or((1, 1)),
        };
        Some(if ratio.0 == 0 || ratio.1 == 0 { (1, 1) } else { ratio })
    }

    /// Leaves out messages of a SEI (H.264 7.3.2.3, H.265 7.3.5) up to the body of the first of this kind; as many as fit, a stop bit ends
    /// them.
    pub(crate) fn skip_to_message(&mut self, wanted: u32) -> Option<()> {
        loop {
            let (kind, bytes) = (self.sum_of_bytes()?, self.sum_of_bytes()?);
            if kind == wanted {
                return Some(());
            }
            self.skip(bytes * 8)?;
        }
    }

    /// Bytes added up to the first that is not 255.
    fn sum_of_bytes(&mut self) -> Option<u32> {
        let mut sum = 0;
        loop {
            let byte = self.u(8)?;
            sum += byte;
            if byte != 255 || sum > 1 << 20 {
                return Some(sum);
            }
        }
    }

    /// Overscan, signal type and chroma location of a VUI, which are the same in both codecs.
    pub(crate) fn skip_signal_description(&mut self) -> Option<()> {
        if self.bit()? {
            self.skip(1)?;
        }
        if self.bit()? {
            self.skip(4)?;
            if self.bit()? {
                self.skip(24)?;
            }
        }
        if self.bit()? {
            self.ue()?;
            self.ue()?;
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
        let mut bits = Bits::new(&[0x12, 0x34, 0x56, 0x78, 0x9a]);
        assert_eq!((bits.u(4), bits.u(32), bits.u(4), bits.u(1)), (Some(1), Some(0x2345_6789), Some(0xa), None));
    }

    #[test]
    fn only_a_three_behind_two_zeros_is_left_out() {
        let mut bits = Bits::new(&[0, 0, 3, 3, 0, 3, 0, 0, 0, 3, 1]);
        let bytes: Vec<u32> = std::iter::from_fn(|| bits.u(8)).collect();
        assert_eq!(bytes, [0, 0, 3, 0, 3, 0, 0, 0, 1]);
    }
}
