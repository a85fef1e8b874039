//! NAL units as packets bring them: in pieces that are not copied until a picture is whole.

use bytes::Bytes;
use perch_domain::bitstream::{nal_units, start_code};

/// Most bytes that are looked at of a unit's head.
pub(crate) const PEEK: usize = 64;

/// One NAL unit: a header where a fragmented one had its own rebuilt, then the parts.
#[derive(Debug)]
pub(crate) struct Nal<'a> {
    /// The rebuilt header, of one byte or two; empty where the first part has it.
    pub head: Head,
    /// The parts in order; left empty by who takes them.
    pub parts: &'a mut Vec<Bytes>,
}

/// The header of a unit that came in fragments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    bytes: [u8; 2],
    len: u8,
}

impl Head {
    /// Of H.264.
    pub fn one(byte: u8) -> Self {
        Self { bytes: [byte, 0], len: 1 }
    }

    /// Of H.265.
    pub fn two(bytes: [u8; 2]) -> Self {
        Self { bytes, len: 2 }
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl Nal<'_> {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.head.as_slice().len() + self.parts.iter().map(Bytes::len).sum::<usize>()
    }

    /// Its first bytes in one piece.
    pub fn peek(&self) -> ([u8; PEEK], usize) {
        let (mut out, mut at) = ([0; PEEK], 0);
        for part in std::iter::once(self.head.as_slice()).chain(self.parts.iter().map(|part| &part[..])) {
            let len = part.len().min(PEEK - at);
            out[at..at + len].copy_from_slice(&part[..len]);
            at += len;
            if at == PEEK {
                break;
            }
        }
        (out, at)
    }

    /// A copy in one piece, without trailing zeros.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        out.extend_from_slice(self.head.as_slice());
        self.parts.iter().for_each(|part| out.extend_from_slice(part));
        out.truncate(out.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1));
        out
    }

    /// The units in it, where it holds start codes: a byte stream that a camera put into packets as if it were one unit. Its parts
    /// are taken then.
    pub fn split(&mut self) -> Option<Vec<Bytes>> {
        if !self.has_start_code() {
            return None;
        }
        let whole = Bytes::from(self.to_vec());
        self.parts.clear();
        let first = start_code(&whole, 0).unwrap_or(0);
        let front = whole.get(..first).unwrap_or_default();
        let front = front.iter().rposition(|b| *b != 0).map(|last| whole.slice(..=last));
        Some(front.into_iter().chain(nal_units(&whole).map(|nal| whole.slice_ref(nal))).collect())
    }

    fn has_start_code(&self) -> bool {
        // The last two bytes of what came before each part.
        let mut seam: Vec<u8> = self.head.as_slice().to_vec();
        for part in self.parts.iter() {
            if start_code(part, 0).is_some() {
                return true;
            }
            seam.extend_from_slice(&part[..part.len().min(2)]);
            if start_code(&seam, 0).is_some() {
                return true;
            }
            if part.len() >= 2 {
                seam.clear();
                seam.extend_from_slice(&part[part.len() - 2..]);
            } else if seam.len() > 2 {
                seam.drain(..seam.len() - 2);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(head: Head, parts: &[&[u8]]) -> Option<Vec<Vec<u8>>> {
        let mut parts: Vec<Bytes> = parts.iter().map(|part| Bytes::copy_from_slice(part)).collect();
        Some(Nal { head, parts: &mut parts }.split()?.into_iter().map(|nal| nal.to_vec()).collect())
    }

    #[test]
    fn start_codes_are_found_wherever_parts_meet() {
        let whole = [0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 4, 5];
        let want = Some(vec![vec![0x67, 1, 2], vec![0x68, 3], vec![0x65, 4, 5]]);
        for a in 1..whole.len() {
            for b in a..whole.len() {
                assert_eq!(split(Head::default(), &[&whole[..a], &whole[a..b], &whole[b..]]), want, "{a} {b}");
                assert_eq!(split(Head::one(whole[0]), &[&whole[1..a], &whole[a..b], &whole[b..]]), want, "{a} {b}");
            }
        }
        let bytewise: Vec<&[u8]> = whole.chunks(1).collect();
        assert_eq!(split(Head::default(), &bytewise), want);
        assert_eq!(split(Head::default(), &[&[0, 0, 0, 1, 0x65, 1]]), Some(vec![vec![0x65, 1]]));
        assert_eq!(split(Head::default(), &[&[0x65, 0, 0, 3, 1], &[0, 0]]), None);
    }

    #[test]
    fn a_peek_is_of_the_first_bytes() {
        let mut parts = vec![Bytes::from_static(&[1, 2]), Bytes::from_static(&[3; 100])];
        let nal = Nal { head: Head::two([8, 9]), parts: &mut parts };
        let (bytes, len) = nal.peek();
        assert_eq!((nal.len(), len, &bytes[..5]), (104, PEEK, &[8, 9, 1, 2, 3][..]));
    }
}
