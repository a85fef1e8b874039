//! Cameras of the tests: streams written bit by bit, packed as cameras pack them, and what the tracks make of them.

use super::Tracks;
use crate::format::{Direction, LineKind, PayloadType, SdpLine};
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::ingest::{Intake, Offer, Picture, Sound};

/// Writes bits.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<bool>);

impl Writer {
    pub fn u(mut self, count: u32, value: u32) -> Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    pub fn ue(self, value: u32) -> Self {
        let bits = 32 - (value + 1).leading_zeros();
        self.u(bits - 1, 0).u(bits, value + 1)
    }

    /// The bytes behind `head`: with stop bit, and escapes (7.3.1).
    pub fn nal(self, head: &[u8]) -> Vec<u8> {
        let bits = self.u(1, 1).0;
        let mut out = head.to_vec();
        let mut zeros = 0;
        for byte in
            bits.chunks(8).map(|bits| bits.iter().enumerate().fold(0u8, |n, (i, bit)| n | u8::from(*bit) << (7 - i)))
        {
            if zeros >= 2 && byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            out.push(byte);
        }
        out
    }
}

/// An SPS of 16-pixel macroblocks. `reorder`: as its VUI says it.
pub fn sps(id: u32, width_mbs: u32, height_mbs: u32, fields: bool, reorder: Option<u32>) -> Vec<u8> {
    let mut w = Writer::default().ue(id).ue(0).ue(0).ue(0).ue(4).u(1, 0).ue(width_mbs - 1);
    w = if fields { w.ue(height_mbs / 2 - 1).u(2, 0) } else { w.ue(height_mbs - 1).u(1, 1) };
    w = w.u(2, 0);
    w = match reorder {
        Some(depth) => w.u(1, 1).u(4, 0).u(1, 0).u(3, 0).u(1, 1).u(1, 1).ue(0).ue(0).ue(10).ue(10).ue(depth).ue(4),
        None => w.u(1, 0),
    };
    w.nal(&[0x67, 77, 0, 30])
}

pub fn pps(id: u32, sps: u32) -> Vec<u8> {
    let ids = Writer::default().ue(id).ue(sps);
    // One slice group and reference, nothing weighted, all else 0.
    ids.u(2, 0).ue(0).ue(0).ue(0).u(3, 0).ue(0).ue(0).ue(0).u(3, 0).nal(&[0x68])
}

/// A slice of H.264.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// NAL header: 0x65 an IDR, 0x41 a reference, 0x01 none.
    pub head: u8,
    pub first_mb: u32,
    /// 0 P, 1 B, 2 I.
    pub kind: u32,
    pub pps: u32,
    pub frame_num: u32,
    pub order: u32,
    /// With an SPS of fields: none for a frame, else whether the bottom one.
    pub field: Option<Option<bool>>,
    pub bytes: usize,
}

pub const P: Slice =
    Slice { head: 0x41, first_mb: 0, kind: 0, pps: 0, frame_num: 0, order: 0, field: None, bytes: 300 };
pub const I: Slice = Slice { head: 0x65, kind: 2, bytes: 3000, ..P };

impl Slice {
    pub fn nal(self) -> Vec<u8> {
        let mut w = Writer::default().ue(self.first_mb).ue(self.kind + 5).ue(self.pps).u(4, self.frame_num % 16);
        w = match self.field {
            Some(Some(bottom)) => w.u(1, 1).u(1, bottom.into()),
            Some(None) => w.u(1, 0),
            None => w,
        };
        if self.head & 31 == 5 {
            w = w.ue(0);
        }
        w = w.u(4, self.order % 16);
        // Something of its own, without start codes.
        let mut seed = self.frame_num * 77 + self.order * 13 + self.first_mb * 7 + 1;
        for _ in 0..self.bytes {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            w = w.u(8, seed >> 24 | 1);
        }
        w.nal(&[self.head])
    }
}

/// The `n`th picture of a stream with an IDR every `gop`, its sets before each.
pub fn picture(n: u32, gop: u32) -> Vec<Vec<u8>> {
    let at = n % gop;
    if at == 0 {
        vec![sps(0, 40, 22, false, None), pps(0, 0), I.nal()]
    } else {
        vec![Slice { frame_num: at, order: at * 2, ..P }.nal()]
    }
}

/// Numbers packets.
#[derive(Clone, Copy, Debug)]
pub struct Sender {
    pub payload_type: u8,
    pub sequence: u16,
    pub ssrc: u32,
}

pub const VIDEO: Sender = Sender { payload_type: 96, sequence: 65_500, ssrc: 0x1122 };
pub const AUDIO: Sender = Sender { payload_type: 97, sequence: 7, ssrc: 0x3344 };

impl Sender {
    pub fn packet(&mut self, payload: &[u8], stamp: u32, marker: bool) -> Bytes {
        let mut out = vec![0x80, u8::from(marker) << 7 | self.payload_type];
        out.extend(self.sequence.to_be_bytes());
        out.extend(stamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        out.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        out.into()
    }

    /// A NAL unit of H.264, in fragments where it is long.
    pub fn nal(&mut self, nal: &[u8], stamp: u32, marker: bool) -> Vec<Bytes> {
        const MOST: usize = 1000;
        if nal.len() <= MOST {
            return vec![self.packet(nal, stamp, marker)];
        }
        let count = nal[1..].len().div_ceil(MOST);
        let fragment = |(n, part): (usize, &[u8])| {
            let flags = u8::from(n == 0) << 7 | u8::from(n + 1 == count) << 6;
            let payload = [&[nal[0] & 0xe0 | 28, flags | nal[0] & 31], part].concat();
            self.packet(&payload, stamp, marker && n + 1 == count)
        };
        nal[1..].chunks(MOST).enumerate().map(fragment).collect()
    }

    /// A picture, the marker with its last packet.
    pub fn unit(&mut self, nals: &[Vec<u8>], stamp: u32) -> Vec<Bytes> {
        nals.iter().enumerate().flat_map(|(n, nal)| self.nal(nal, stamp, n + 1 == nals.len())).collect()
    }
}

/// A line of the SDP.
pub fn line(
    kind: LineKind,
    number: u8,
    encoding: &str,
    clock_hz: u32,
    channels: u16,
    parameters: &[(&str, &str)],
) -> SdpLine {
    let parameters = parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let payload = PayloadType { number, encoding: encoding.into(), clock_hz, channels, parameters };
    SdpLine { kind, direction: Direction::FromCamera, payload_types: vec![payload], control: None, frame_rate: None }
}

pub fn h264_line() -> SdpLine {
    line(LineKind::Video, 96, "H264", 90_000, 1, &[])
}

/// A packet of track 0 that comes at a time, microseconds.
pub type Came = (i64, Bytes);

/// What comes of packets of one track. The end of the stream is an hour later.
pub fn take(line: &SdpLine, ordered: bool, packets: &[Came]) -> (Offer, Vec<Intake>) {
    let (mut tracks, offer) = Tracks::new(std::slice::from_ref(line), ordered);
    let mut out = Vec::new();
    let mut due: Option<MonoTime> = None;
    for (at, packet) in packets {
        let now = MonoTime(*at);
        while let Some(time) = due.filter(|due| *due <= now) {
            due = tracks.tick(time, &mut out).filter(|next| *next > time);
        }
        tracks.rtp(now, 0, packet.clone(), &mut out);
        due = tracks.tick(now, &mut out);
    }
    tracks.tick(MonoTime(packets.last().map_or(0, |p| p.0) + 3_600_000_000), &mut out);
    (offer, out)
}

/// The pictures of it.
pub fn pictures(intake: Vec<Intake>) -> Vec<Picture> {
    let picture = |intake| if let Intake::Picture(picture) = intake { Some(picture) } else { None };
    intake.into_iter().filter_map(picture).collect()
}

/// The sound of it.
pub fn sounds(intake: Vec<Intake>) -> Vec<Sound> {
    let sound = |intake| if let Intake::Sound(sound) = intake { Some(sound) } else { None };
    intake.into_iter().filter_map(sound).collect()
}

/// Takes `count` pictures, 25 a second, packed by `pack(sender, number, stamp)`, over TCP.
pub fn camera(count: u32, mut pack: impl FnMut(&mut Sender, u32, u32) -> Vec<Bytes>) -> Vec<Picture> {
    let mut sender = VIDEO;
    let mut packets = Vec::new();
    for n in 0..count {
        packets.extend(pack(&mut sender, n, n * 3600).into_iter().map(|packet| (i64::from(n) * 40_000, packet)));
    }
    let got = pictures(take(&h264_line(), true, &packets).1);
    check(&got);
    got
}

/// The kinds of a picture's NAL units of H.264.
pub fn kinds(picture: &Picture) -> Vec<u8> {
    perch_domain::h264::nal_units(&picture.data).map(perch_domain::h264::kind).collect()
}

/// What must hold of all pictures of H.264.
#[track_caller]
pub fn check(pictures: &[Picture]) {
    let mut decoded = i64::MIN;
    for picture in pictures {
        let kinds = kinds(picture);
        assert!(kinds.iter().any(|kind| matches!(kind, 1 | 5)), "a picture without a slice: {kinds:?}");
        assert!(!kinds.iter().any(|kind| matches!(kind, 0 | 9 | 12)), "{kinds:?}");
        assert!(!picture.start || kinds.contains(&7) && kinds.contains(&8), "a start without its sets: {kinds:?}");
        assert!(picture.decoded.0 > decoded, "decoded at {} after {decoded}", picture.decoded.0);
        assert!(picture.decoded <= picture.shown);
        decoded = picture.decoded.0;
    }
    assert!(pictures.first().is_none_or(|first| first.start && first.shape.is_some()));
}
