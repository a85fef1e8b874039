//! NAL units in what packets bring as one.

use perch_domain::bitstream::{nal_units, start_code};

/// The units in a NAL unit: itself, or, where it holds start codes, those of a byte stream that a camera put into packets as if it were
/// one unit. Without trailing zeros; none is empty.
pub(crate) fn split(nal: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (front, stream) = nal.split_at(start_code(nal, 0).unwrap_or(nal.len()));
    let front = front.iter().rposition(|b| *b != 0).and_then(|last| front.get(..=last));
    front.into_iter().chain(nal_units(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(nal: &[u8]) -> Vec<Vec<u8>> {
        split(nal).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_byte_stream_is_split_and_a_unit_left_whole() {
        let whole = [0x67, 1, 2, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0x65, 4, 5];
        assert_eq!(units(&whole), [vec![0x67, 1, 2], vec![0x68, 3], vec![0x65, 4, 5]]);
        assert_eq!(units(&[0, 0, 0, 1, 0x65, 1]), [vec![0x65, 1]]);
        assert_eq!(units(&[0x65, 0, 0, 3, 1, 0, 0]), [vec![0x65, 0, 0, 3, 1]]);
        assert!(units(&[]).is_empty() && units(&[0, 0]).is_empty() && units(&[0, 0, 1, 0, 0, 1]).is_empty());
    }
}
