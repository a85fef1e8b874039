//! How messages and channels' data follow each other on a stream to a relay (RFC 8656, section 12.5), and what a channel's data looks like.

/// Bytes of one frame at most: what is longer is no such stream.
pub const MAX_FRAME_BYTES: usize = 4096;
const CHANNEL_HEADER_BYTES: usize = 4;

/// The frame at the beginning of `bytes`: how long it is on a stream. `None`: more must come. Errors where no frame begins like this.
pub fn next_frame(bytes: &[u8]) -> Result<Option<usize>, NoFrame> {
    let [first, _, l0, l1, ..] = *bytes else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let whole = match first {
        0..0x40 if length.is_multiple_of(4) => 20 + length,
        0x40..0x80 => CHANNEL_HEADER_BYTES + length.next_multiple_of(4),
        _ => return Err(NoFrame),
    };
    if whole > MAX_FRAME_BYTES {
        return Err(NoFrame);
    }
    Ok((bytes.len() >= whole).then_some(whole))
}

/// What came is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoFrame;

/// A channel's data: its number, and what was sent by it.
pub fn channel_data(frame: &[u8]) -> Option<(u16, &[u8])> {
    let [n0 @ 0x40..0x80, n1, l0, l1, data @ ..] = frame else { return None };
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    Some((u16::from_be_bytes([*n0, *n1]), data.get(..length)?))
}

/// `data` by the channel of this number; on a stream it is filled up to whole words.
pub fn by_channel(number: u16, data: &[u8], is_stream: bool) -> Vec<u8> {
    let mut frame = Vec::with_capacity(CHANNEL_HEADER_BYTES + data.len() + 3);
    frame.extend(number.to_be_bytes());
    frame.extend((data.len() as u16).to_be_bytes());
    frame.extend(data);
    if is_stream {
        frame.resize(frame.len().next_multiple_of(4), 0);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_on_a_stream() {
        let mut stream = by_channel(0x4001, b"hello", true);
        stream.extend([0, 1, 0, 0]);
        stream.extend([7; 16]);
        for cut in 0..12 {
            assert_eq!(next_frame(&stream[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(next_frame(&stream), Ok(Some(12)));
        assert_eq!(channel_data(&stream[..12]), Some((0x4001, &b"hello"[..])));
        assert_eq!(next_frame(&stream[12..]), Ok(Some(20)));
        assert_eq!(channel_data(&stream[12..]), None);
        for odd in [[0x80, 0, 0, 0], [0x00, 1, 0, 3], [0x40, 0, 0xff, 0xff], *b"HTTP"] {
            assert!(next_frame(&odd) == Err(NoFrame) || odd == *b"HTTP", "{odd:?}");
        }
        assert_eq!(channel_data(&[0x40, 0, 0, 9, 1]), None, "cut short");
        assert_eq!(by_channel(0x4000, b"hello", false).len(), 9);
    }
}
