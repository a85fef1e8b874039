//! Base64 (RFC 4648 4), as SDP, Basic and the HTTP tunnel want it. Decoding passes over what is no letter of it.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * i)) as usize & 63]);
            out.push(if i <= chunk.len() { letter } else { '=' });
        }
    }
    out
}

/// Decodes what comes in pieces; padding may stand in the middle, where a sender padded each piece.
#[derive(Default)]
pub struct Decoder {
    bits: u32,
    held: u8,
}

impl Decoder {
    /// The bytes that are whole now.
    pub fn push(&mut self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for letter in text {
            if *letter == b'=' {
                self.held = 0;
            }
            let Some(value) = LETTERS.iter().position(|l| l == letter) else { continue };
            self.bits = self.bits << 6 | value as u32;
            self.held += 6;
            if self.held >= 8 {
                self.held -= 8;
                out.push((self.bits >> self.held) as u8);
            }
        }
        out
    }
}

/// All of it at once.
pub fn decode(text: &str) -> Vec<u8> {
    Decoder::default().push(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{Decoder, decode, encode};

    #[test]
    fn both_ways() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded), plain.as_bytes());
        }
        let mut pieces = Decoder::default();
        let parts = [pieces.push(b"Zg==Zm"), pieces.push(b"8=Zm9v")].concat();
        assert_eq!(parts, b"ffofoo");
    }
}
