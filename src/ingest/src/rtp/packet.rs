//! An RTP packet (RFC 3550 5.1).

use bytes::Bytes;

/// A packet without its header, padding and sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// What ends a picture, or begins a talk.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Counts packets, modulo 65,536.
    pub sequence: u16,
    /// When it was sampled, in ticks of the payload's clock, modulo 2^32.
    pub stamp: u32,
    /// Who sends it.
    pub ssrc: u32,
    /// The header extension's profile and content.
    pub extension: Option<(u16, Bytes)>,
    /// What it carries; may be empty.
    pub payload: Bytes,
}

impl Packet {
    /// Bytes of payload and extension.
    pub fn len(&self) -> usize {
        self.payload.len() + self.extension.as_ref().map_or(0, |(_, content)| content.len())
    }

    /// Splits a packet. `None` where it is none of version 2, or ends before its header does. Padding that cannot be is left.
    pub fn parse(packet: Bytes) -> Option<Self> {
        let head: [u8; 12] = packet.get(..12)?.try_into().ok()?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let mut at = 12 + 4 * usize::from(head[0] & 15);
        let mut extension = None;
        if head[0] & 0x10 != 0 {
            let [a, b, c, d] = *packet.get(at..at + 4)? else { return None };
            let end = at + 4 + 4 * usize::from(u16::from_be_bytes([c, d]));
            packet.get(at + 4..end)?;
            extension = Some((u16::from_be_bytes([a, b]), packet.slice(at + 4..end)));
            at = end;
        }
        let mut end = packet.len();
        if head[0] & 0x20 != 0 {
            let padding = usize::from(*packet.last()?);
            if at + padding <= end {
                end -= padding;
            }
        }
        packet.get(at..end)?;
        Some(Self {
            marker: head[1] & 0x80 != 0,
            payload_type: head[1] & 0x7f,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            stamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            extension,
            payload: packet.slice(at..end),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Option<Packet> {
        Packet::parse(Bytes::copy_from_slice(bytes))
    }

    const HEAD: [u8; 12] = [0x80, 0xe0, 1, 2, 0, 0, 0, 3, 0, 0, 0, 4];

    #[test]
    fn reads_the_header_and_leaves_out_what_is_not_payload() {
        let p = parse(&[&HEAD[..], b"media"].concat()).expect("whole");
        assert_eq!((p.marker, p.payload_type, p.sequence, p.stamp, p.ssrc), (true, 96, 0x102, 3, 4));
        assert_eq!(&p.payload[..], b"media");
        // Two sources, an extension of one word, three bytes of padding.
        let mut full = HEAD;
        full[0] = 0x80 | 0x20 | 0x10 | 2;
        let p = parse(&[&full[..], &[0; 8], &[0xff, 0xd8, 0, 1, 9, 8, 7, 6], b"media", &[0, 0, 3]].concat())
            .expect("whole");
        assert_eq!(p.extension, Some((0xffd8, Bytes::from_static(&[9, 8, 7, 6]))));
        assert_eq!(&p.payload[..], b"media");
    }

    #[test]
    fn what_cannot_be_is_refused_or_left() {
        assert_eq!(parse(&HEAD[..11]), None);
        assert_eq!(parse(&[0x40; 20]), None);
        let mut short = HEAD;
        short[0] = 0x90;
        assert_eq!(parse(&[&short[..], &[0, 0, 0, 9]].concat()), None, "an extension past the end");
        short[0] = 0xa0;
        assert_eq!(
            parse(&[&short[..], b"ab\xff"].concat()).map(|p| p.payload.len()),
            Some(3),
            "padding past the begin"
        );
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
        }
    }
}
