//! Bits of H.264 and H.265 headers: Exp-Golomb codes (ITU-T H.264 9.1), emulation prevention (7.4.1), and headers rewritten.

/// Removes emulation prevention bytes.
pub fn unescape(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut zeros) = (Vec::with_capacity(bytes.len()), 0);
    for byte in bytes {
        if *byte == 3 && zeros >= 2 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// Adds emulation prevention bytes.
pub fn escape(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut zeros) = (Vec::with_capacity(bytes.len() + 8), 0);
    for byte in bytes {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(*byte);
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
    }
    out
}

/// Bits, the first one first.
#[derive(Clone, Default)]
pub struct Bits(Vec<bool>);

impl Bits {
    /// The bits of a payload without its trailing one and zeros.
    pub fn of(payload: &[u8]) -> Self {
        let mut bits: Vec<bool> = payload.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect();
        while bits.pop() == Some(false) {}
        Self(bits)
    }

    /// `u(n)`.
    pub fn put(&mut self, n: u32, value: u64) -> &mut Self {
        self.0.extend((0..n).rev().map(|i| value >> i & 1 == 1));
        self
    }

    /// `ue(v)`.
    pub fn ue(&mut self, value: u64) -> &mut Self {
        let length = 64 - (value + 1).leading_zeros();
        self.put(length - 1, 0).put(length, value + 1)
    }

    /// `se(v)`.
    pub fn se(&mut self, value: i64) -> &mut Self {
        self.ue(if value > 0 { value.unsigned_abs() * 2 - 1 } else { value.unsigned_abs() * 2 })
    }

    /// Zeros up to the next whole byte.
    pub fn align(&mut self) -> &mut Self {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(false);
        }
        self
    }

    /// Reads the `ue(v)` that begins at `at`: the value, and where the next thing begins.
    pub fn read_ue(&self, at: usize) -> (u64, usize) {
        let zeros = self.0[at..].iter().take_while(|b| !**b).count();
        let end = at + 2 * zeros + 1;
        let value = self.0[at + zeros..end].iter().fold(0u64, |v, b| v << 1 | u64::from(*b));
        (value - 1, end)
    }

    /// Bits from `from` up to `to`.
    pub fn part(&self, from: usize, to: usize) -> Self {
        Self(self.0[from..to].to_vec())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds all of `more`.
    pub fn add(&mut self, more: &Self) -> &mut Self {
        self.0.extend(&more.0);
        self
    }

    /// Whole bytes; a last one that is not full has zeros at its end.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bits = self.clone();
        bits.align();
        bits.0.chunks(8).map(|c| c.iter().fold(0u8, |byte, bit| byte << 1 | u8::from(*bit))).collect()
    }

    /// A NAL unit of these bits, with trailing bits and emulation prevention.
    pub fn nal(&self, header: &[u8]) -> Vec<u8> {
        let mut bits = self.clone();
        bits.put(1, 1);
        [header, &escape(&bits.bytes())].concat()
    }
}

/// The same H.264 PPS under another id.
pub fn pps_with_id(pps: &[u8], id: u64) -> Vec<u8> {
    let bits = Bits::of(&unescape(&pps[1..]));
    let (_, at) = bits.read_ue(0);
    let mut out = Bits::default();
    out.ue(id).add(&bits.part(at, bits.len()));
    out.nal(&pps[..1])
}

/// The same H.264 slice (CAVLC: what follows the header may lie at any bit) with another PPS.
pub fn slice_with_pps(slice: &[u8], id: u64) -> Vec<u8> {
    let bits = Bits::of(&unescape(&slice[1..]));
    let (_, first) = bits.read_ue(0);
    let (_, kind) = bits.read_ue(first);
    let (_, old) = bits.read_ue(kind);
    let mut out = bits.part(0, kind);
    out.ue(id).add(&bits.part(old, bits.len()));
    out.nal(&slice[..1])
}

#[cfg(test)]
mod tests {
    use super::{Bits, escape, unescape};

    #[test]
    fn codes_come_back() {
        let mut bits = Bits::default();
        for n in [0, 1, 2, 7, 8, 255, 65_534, u64::from(u32::MAX)] {
            bits.ue(n);
        }
        let nal = bits.nal(&[0x67]);
        let (read, mut at) = (Bits::of(&unescape(&nal[1..])), 0);
        for n in [0, 1, 2, 7, 8, 255, 65_534, u64::from(u32::MAX)] {
            let (value, next) = read.read_ue(at);
            assert_eq!(value, n);
            at = next;
        }
        assert_eq!(at, read.len());
    }

    #[test]
    fn no_start_code_inside() {
        let plain = [0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 5];
        let coded = escape(&plain);
        assert!(coded.windows(3).all(|w| w != [0, 0, 0] && w != [0, 0, 1] && w != [0, 0, 2]));
        assert_eq!(unescape(&coded), plain);
    }
}
