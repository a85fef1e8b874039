//! MPEG audio out of RTP packets (RFC 2250 3.5), and what its frames say of themselves (ISO/IEC 11172-3 2.4.2.3, 13818-3 2.4.2.3).

use bytes::{Bytes, BytesMut};

/// Bytes before the sound of each packet: nothing, and where in its frame the data begins.
const HEADER_BYTES: usize = 4;

/// kbit/s by index, from 1 on: layers I, II and III of MPEG-1; layer I, and the others, of lower rates.
const KBIT: [[u16; 14]; 5] = [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// 1 to 3.
    pub layer: u8,
    /// Samples a second.
    pub rate_hz: u32,
    /// 1 or 2.
    pub channels: u16,
    /// Samples a channel of the frame.
    pub samples: u32,
    bytes: usize,
}

impl Head {
    /// Reads it from the first bytes of a frame. `None` for what is none, and for one of a rate that its header does not say ("free format").
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let [0xff, b, c, d, ..] = *frame else { return None };
        if b & 0xe0 != 0xe0 {
            return None;
        }
        // MPEG-1, MPEG-2 with half of its rates, and what became of it with a quarter.
        let halvings = match b >> 3 & 3 {
            3 => 0,
            2 => 1,
            0 => 2,
            _ => return None,
        };
        let layer = 4 - (b >> 1 & 3);
        let table = match (halvings, layer) {
            (_, 4) => return None,
            (0, layer) => usize::from(layer) - 1,
            (_, 1) => 3,
            _ => 4,
        };
        let kbit = *KBIT.get(table)?.get(usize::from(c >> 4).checked_sub(1)?)?;
        let rate_hz = [44_100, 48_000, 32_000].get(usize::from(c >> 2 & 3))? >> halvings;
        let samples = match (layer, halvings) {
            (1, _) => 384,
            (3, 1..) => 576,
            _ => 1152,
        };
        let slot = if layer == 1 { 4 } else { 1 };
        let slots = samples / 8 / slot * u32::from(kbit) * 1000 / rate_hz + u32::from(c >> 1 & 1);
        let channels = if d >> 6 == 3 { 1 } else { 2 };
        Some(Self { layer, rate_hz, channels, samples, bytes: (slots * slot) as usize })
    }
}

/// Gathers the frames of a track.
#[derive(Debug, Default)]
pub(crate) struct MpegAudio {
    /// A frame of which more is to come.
    begun: Option<(Head, BytesMut)>,
}

impl MpegAudio {
    /// Packets are missing.
    pub fn lost(&mut self) {
        self.begun = None;
    }

    /// Takes a packet: whole frames, or a piece of one. `None`: something is missing or makes no sense.
    pub fn push(&mut self, payload: &Bytes, out: &mut Vec<(Head, Bytes)>) -> Option<()> {
        let [_, _, a, b] = *payload.get(..HEADER_BYTES)? else { return None };
        let offset = usize::from(u16::from_be_bytes([a, b]));
        let mut rest = payload.slice(HEADER_BYTES..);
        let mut is_whole = true;
        // Some leave the offset out.
        if let Some((head, mut frame)) = self.begun.take() {
            if offset == frame.len() || offset == 0 && Head::parse(&rest).is_none() {
                let more = rest.split_to((head.bytes - frame.len()).min(rest.len()));
                frame.extend_from_slice(&more);
                if frame.len() < head.bytes {
                    self.begun = Some((head, frame));
                    return Some(());
                }
                out.push((head, frame.freeze()));
            } else {
                is_whole = false;
            }
        } else if offset > 0 {
            return None;
        }
        while !rest.is_empty() {
            let head = Head::parse(&rest)?;
            if rest.len() < head.bytes {
                self.begun = Some((head, BytesMut::from(&rest[..])));
                break;
            }
            out.push((head, rest.split_to(head.bytes)));
        }
        is_whole.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layer II, 48 kHz, 64 kbit/s, one channel: 192 bytes.
    fn frame(fill: u8) -> Vec<u8> {
        [&[0xff, 0xfd, 0x44, 0xc0][..], &[fill; 188]].concat()
    }

    fn packet(offset: u16, data: &[u8]) -> Bytes {
        [&[0, 0][..], &offset.to_be_bytes(), data].concat().into()
    }

    #[test]
    fn a_head_says_how_long_its_frame_is() {
        let head = |layer, rate_hz, channels, samples, bytes| Some(Head { layer, rate_hz, channels, samples, bytes });
        for (bytes, want) in [
            ([0xff, 0xfd, 0x44, 0xc0], head(2, 48_000, 1, 1152, 192)),
            ([0xff, 0xfb, 0x90, 0x00], head(3, 44_100, 2, 1152, 417)),
            ([0xff, 0xfb, 0x92, 0x00], head(3, 44_100, 2, 1152, 418)),
            ([0xff, 0xf3, 0x48, 0xc0], head(3, 16_000, 1, 576, 144)),
            ([0xff, 0xe3, 0x48, 0xc0], head(3, 8_000, 1, 576, 288)),
            ([0xff, 0xff, 0x18, 0x40], head(1, 32_000, 2, 384, 48)),
            ([0xff, 0xf7, 0x10, 0x40], head(1, 22_050, 2, 384, 68)),
            ([0xff, 0xf5, 0x84, 0x40], head(2, 24_000, 2, 1152, 384)),
            ([0xff, 0xfd, 0x04, 0xc0], None),
            ([0xff, 0xfd, 0xf4, 0xc0], None),
            ([0xff, 0xfd, 0x4c, 0xc0], None),
            ([0xff, 0xed, 0x44, 0xc0], None),
            ([0xff, 0xf9, 0x44, 0xc0], None),
            ([0xff, 0x1d, 0x44, 0xc0], None),
            ([0xfe, 0xfd, 0x44, 0xc0], None),
        ] {
            assert_eq!(Head::parse(&bytes), want, "{bytes:x?}");
        }
        assert_eq!(Head::parse(&[0xff, 0xfd, 0x44]), None);
    }

    /// What comes of packets `(offset, data)`: the frames' fill, and for each packet whether all is well.
    fn taken(packets: &[(u16, &[u8])]) -> (Vec<u8>, Vec<bool>) {
        let (mut gathers, mut out) = (MpegAudio::default(), Vec::new());
        let well = packets.iter().map(|(offset, data)| gathers.push(&packet(*offset, data), &mut out).is_some());
        let well = well.collect();
        assert!(out.iter().all(|(head, frame)| frame.len() == head.bytes && frame.starts_with(&[0xff, 0xfd])));
        (out.iter().filter_map(|(_, frame)| frame.last().copied()).collect(), well)
    }

    #[test]
    fn frames_come_one_by_one_together_and_in_pieces() {
        let (one, two) = (frame(1), frame(2));
        let both = [&one[..], &two].concat();
        for (what, packets, frames, well) in [
            ("one by one", &[(0, &one[..]), (0, &two)][..], &[1, 2][..], &[true, true][..]),
            ("together", &[(0, &both)], &[1, 2], &[true]),
            ("in pieces", &[(0, &one[..100]), (100, &one[100..150]), (150, &one[150..])], &[1], &[true; 3]),
            ("in pieces without offsets", &[(0, &one[..100]), (0, &one[100..]), (0, &two)], &[1, 2], &[true; 3]),
            ("the next behind a piece", &[(0, &both[..300]), (108, &both[300..])], &[1, 2], &[true; 2]),
            ("a piece is missing", &[(0, &one[..100]), (150, &one[150..]), (0, &two)], &[2], &[true, false, true]),
            ("the end is missing", &[(0, &one[..100]), (0, &two)], &[2], &[true, false]),
            ("the beginning is missing", &[(100, &one[100..]), (0, &two)], &[2], &[false, true]),
            ("something else", &[(0, &[7; 50]), (0, &[]), (0, &two)], &[2], &[false, true, true]),
        ] {
            assert_eq!(taken(packets), (frames.to_vec(), well.to_vec()), "{what}");
        }
        assert_eq!(MpegAudio::default().push(&Bytes::from_static(&[0, 0, 0]), &mut Vec::new()), None);
        let (mut gathers, mut out) = (MpegAudio::default(), Vec::new());
        gathers.push(&packet(0, &one[..100]), &mut out);
        gathers.lost();
        assert!(gathers.push(&packet(100, &one[100..]), &mut out).is_none() && out.is_empty());
    }
}
