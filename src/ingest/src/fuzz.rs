//! Entries for a fuzzer, each a plain function of bytes: what cameras may send goes through them, and must neither panic nor break what
//! holds of every picture. Behind the feature `fuzzing`; a mutator in the tests drives them too.

use crate::format::{Direction, LineKind, PayloadType, SdpLine};
use crate::rtp::{Tracks, choose};
use crate::session::{Output, Quirks, Session, Settings};
use crate::wire::sdp;
use crate::wire::url::CameraUrl;
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::bitstream::{MAX_SETS, MAX_SETS_BYTES};
use perch_domain::ingest::{Intake, Transport};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Most bytes that are added to a picture (parameter sets with their start codes, headers of a JPEG), and that come of one from outside
/// (a unit of one byte gets a start code).
const MOST_ADDED: usize = MAX_SETS_BYTES + 4 * MAX_SETS + 1024;
const MOST_OUT: usize = 5;
/// Most pictures at once, and in a second; those of MJPEG are as many as packets.
const MOST_AT_ONCE: usize = 1001;
const MOST_A_SECOND: usize = 500;

/// An entry.
pub type FuzzEntry = fn(&[u8]);

/// All entries, by name.
pub const ENTRIES: [(&str, FuzzEntry); 7] = [
    ("h264", h264),
    ("h265", h265),
    ("jpeg", jpeg),
    ("sound", sound),
    ("parameter_sets", parameter_sets),
    ("dialogue", dialogue),
    ("description", description),
];

fn line(kind: LineKind, encoding: &str, clock_hz: u32) -> SdpLine {
    let parameters = Vec::new();
    let payload = PayloadType { number: 96, encoding: encoding.into(), clock_hz, channels: 1, parameters };
    SdpLine { kind, direction: Direction::FromCamera, payload_types: vec![payload], control: None, frame_rate: None }
}

/// Packets, each behind two bytes of length and one of time (milliseconds since the one before, the highest bit: RTCP).
fn session(line: &SdpLine, data: &[u8], ordered: bool) {
    let (mut tracks, _) = Tracks::new(std::slice::from_ref(line), ordered);
    let (mut rest, mut now, mut out) = (data, 0i64, Vec::new());
    let (mut decoded, mut heard, mut bytes, mut pictures) = (i64::MIN, i64::MIN, 0usize, 0usize);
    while let [a, b, time, behind @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*a, *b])).min(behind.len());
        let (packet, behind) = behind.split_at(len);
        rest = behind;
        now += i64::from(time & 0x7f) * 1000;
        if time & 0x80 == 0 {
            tracks.rtp(MonoTime(now), 0, Bytes::copy_from_slice(packet), &mut out);
        } else {
            tracks.rtcp(MonoTime(now), 0, packet, &mut out);
        }
        tracks.tick(MonoTime(now), &mut out);
        if rest.len() < 3 {
            tracks.tick(MonoTime(now + 60_000_000), &mut out);
        }
        for intake in out.drain(..) {
            match intake {
                Intake::Picture(picture) => {
                    assert!(picture.data.len() > 4, "an empty picture");
                    assert!(picture.decoded.0 > decoded && picture.decoded <= picture.shown, "times that do not grow");
                    decoded = picture.decoded.0;
                    bytes += picture.data.len();
                    pictures += 1;
                }
                Intake::Sound(sound) => {
                    assert!(!sound.data.is_empty() && sound.heard.0 > heard, "no sound, or times that do not grow");
                    heard = sound.heard.0;
                    bytes += sound.data.len();
                }
                _ => {}
            }
        }
    }
    let most = pictures * MOST_ADDED + MOST_OUT * data.len();
    assert!(bytes <= most, "{bytes} bytes in {pictures} pictures out of {}", data.len());
    let is_jpeg = line.payload_types.iter().any(|payload| payload.encoding == "JPEG");
    let most = MOST_AT_ONCE + (now / 1_000_000 + 61) as usize * MOST_A_SECOND;
    assert!(is_jpeg || pictures <= most, "{pictures} pictures");
    let _ = tracks.receiver_report(MonoTime(now), 0);
}

/// H.264 over UDP and TCP.
pub fn h264(data: &[u8]) {
    let line = line(LineKind::Video, "H264", 90_000);
    session(&line, data, false);
    session(&line, data, true);
}

/// H.265.
pub fn h265(data: &[u8]) {
    session(&line(LineKind::Video, "H265", 90_000), data, true);
}

/// JPEG.
pub fn jpeg(data: &[u8]) {
    session(&line(LineKind::Video, "JPEG", 90_000), data, true);
}

/// Sound; the first byte chooses its kind.
pub fn sound(data: &[u8]) {
    const KINDS: [(&str, u32); 9] = [
        ("OPUS", 48_000),
        ("PCMU", 8_000),
        ("G722", 8_000),
        ("G726-32", 8_000),
        ("L16", 44_100),
        ("L24", 48_000),
        ("MPEG4-GENERIC", 16_000),
        ("MP4A-LATM", 16_000),
        ("MPA", 90_000),
    ];
    let Some((first, rest)) = data.split_first() else { return };
    let (encoding, clock_hz) = KINDS[usize::from(*first) % KINDS.len()];
    session(&line(LineKind::Audio, encoding, clock_hz), rest, true);
}

/// Parameter sets and slice headers alone.
pub fn parameter_sets(data: &[u8]) {
    use perch_domain::{h264, h265};
    if let Some(sps) = h264::Sps::parse(data) {
        assert!(sps.width > 0 && sps.height > 0 && sps.pixel.0 > 0 && sps.pixel.1 > 0);
        let _ = h264::PictureId::parse(data, &sps);
    }
    if let Some(sps) = h265::Sps::parse(data) {
        assert!(sps.width > 0 && sps.height > 0 && sps.pixel.0 > 0 && sps.pixel.1 > 0);
    }
    let _ = (h264::recovery_point(data), h265::recovery_point(data), h264::SliceHead::parse(data));
    let _ = (h265::SliceHead::parse(data), h264::pps_ids(data), h265::pps_ids(data));
}

/// All that a camera says in its connection; the first byte chooses in what pieces it comes.
pub fn dialogue(data: &[u8]) {
    let (Some((step, data)), Ok(url)) = (data.split_first(), CameraUrl::parse("rtsp://me:secret@cam/live")) else {
        return;
    };
    let (transport, quirks, client_nonce) = (Transport::Auto, Quirks::default(), "c".to_owned());
    let peer = Ipv4Addr::LOCALHOST.into();
    let mut now = MonoTime(0);
    let mut session =
        Session::new(now, Settings { url, transport, sound: true, speaks: false, client_nonce, peer, quirks });
    let mut is_over = obey(&mut session, now);
    for part in data.chunks(1 + 7 * usize::from(*step)) {
        session.buffer().extend_from_slice(part);
        session.read(now);
        is_over |= obey(&mut session, now);
        now = now + Duration::from_millis(30);
        session.tick(now);
        is_over |= obey(&mut session, now);
    }
    session.stop(now);
    session.tick(now + Duration::from_secs(2));
    assert!(obey(&mut session, now) || is_over, "a session without an end");
}

/// Does what a session wants done. True: it is over.
fn obey(session: &mut Session, now: MonoTime) -> bool {
    let mut is_over = false;
    while let Some(output) = session.poll() {
        match output {
            Output::Connect(_) => session.connected(now),
            Output::OpenPorts(_) => session.opened(now, Ok((5000, 5001))),
            Output::Send(bytes) => assert!(!bytes.windows(6).any(|w| w == b"secret"), "a password in clear"),
            Output::End(_) => is_over = true,
            _ => {}
        }
    }
    session.taken().clear();
    is_over
}

/// A description alone.
pub fn description(data: &[u8]) {
    let described = sdp::parse(data);
    for payload in described.lines.iter().flat_map(|line| &line.payload_types) {
        assert!(payload.number < 128 && payload.clock_hz > 0 && payload.channels > 0);
    }
    let chosen = choose(&described.lines, true);
    assert!([chosen.picture, chosen.sound].into_iter().flatten().all(|n| n < described.lines.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::fixtures::{AUDIO, I, P, Sender, Slice, VIDEO, picture, pps, sps};
    use std::time::Instant;

    struct Random(u64);

    impl Random {
        fn below(&mut self, most: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % most.max(1) as u64) as usize
        }
    }

    /// Good streams, which the mutator spoils.
    fn seeds() -> Vec<Vec<u8>> {
        let frame = |packets: Vec<Bytes>| -> Vec<u8> {
            packets.iter().flat_map(|p| [&(p.len() as u16).to_be_bytes()[..], &[20], p].concat()).collect()
        };
        let small =
            |nals: Vec<Vec<u8>>| nals.into_iter().map(|nal| nal[..nal.len().min(60)].to_vec()).collect::<Vec<_>>();
        let mut video = VIDEO;
        let plain = (0..12).flat_map(|n| video.unit(&small(picture(n, 5)), n * 3600)).collect();
        let mut large = VIDEO;
        let pieces = (0..3).flat_map(|n| large.unit(&picture(n, 5), n * 3600)).collect();
        let fields = [false, true].map(|bottom| Slice { field: Some(Some(bottom)), bytes: 20, ..P }.nal());
        let sets = vec![sps(0, 40, 22, true, Some(2)), pps(0, 0), Slice { field: Some(None), bytes: 30, ..I }.nal()];
        let mut fielded = VIDEO;
        let mixed = fielded.unit(&[sets.clone(), fields.to_vec(), sets].concat(), 0);
        let mut sender = Sender { payload_type: 96, ..AUDIO };
        let sound =
            (0..8u32).map(|n| sender.packet(&[0, 32, 0, 24, 0, 24, 1, 2, 3, 4, 5, 6], n * 2048, true)).collect();
        let scan = |n: u32| [&[0, 0, 0, 0, 1, 200, 80, 45, 0, 0, 0, 128][..], &[9; 128], &[n as u8; 40]].concat();
        let jpeg = (0..4u32).map(|n| sender.packet(&scan(n), n * 3600, true)).collect();
        let h265 = [
            &b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90"[..],
            b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0b\x88\x0d\x1d\x56\x59\x59\x12\x93\x0b\xc1\x5a\x02\x00\x00\x03\x00\x02\x00\x00\x03\x00\x32\x10",
            b"\x44\x01\xc0\x73\xc1\x89",
            b"\x26\x01\xaf\x11\x22\x33",
            b"\x02\x01\xd0\x11\x22\x33",
        ];
        let h265 = (0..3u32).flat_map(|n| h265.map(|nal| sender.packet(nal, n * 3600, nal[0] == 2))).collect();
        let mut out: Vec<Vec<u8>> = [plain, pieces, mixed, jpeg, h265].map(frame).to_vec();
        out.push([&[6][..], &frame(sound)].concat());
        out.push(sps(0, 40, 22, true, Some(2)));
        let sdp = "v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n\
            a=control:t1\r\nm=audio 0 RTP/AVP 8\r\na=control:t2\r\n";
        let ok = "RTSP/1.0 200 OK\r\nSession: 7;timeout=10\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n";
        let described =
            format!("RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
        let says = [ok, &described, ok, ok, ok].concat();
        let packets: Vec<u8> =
            (0..20).flat_map(|n| [b'$', 0, 0, 14, 0x80, 96, 0, n, 0, 0, 0, n, 0, 0, 0, 1, 0x65, 0x88]).collect();
        out.push([&[40][..], says.as_bytes(), &packets, ok.as_bytes()].concat());
        out.push(sdp.as_bytes().to_vec());
        out
    }

    fn spoil(random: &mut Random, data: &mut Vec<u8>, other: &[u8]) {
        for _ in 0..1 + random.below(6) {
            let at = random.below(data.len());
            match random.below(8) {
                0 => data[at] ^= 1 << random.below(8),
                1 => data[at] = random.below(256) as u8,
                2 => data[at] = [0, 1, 0x7f, 0x80, 0xff, 0x7c, 0x78][random.below(7)],
                3 => drop(data.drain(at..(at + random.below(20)).min(data.len()))),
                4 => {
                    let part = data[at..(at + random.below(200)).min(data.len())].to_vec();
                    data.splice(at..at, part);
                }
                5 => {
                    let from = random.below(other.len());
                    let part = other[from..(from + random.below(400)).min(other.len())].to_vec();
                    data.splice(at..at, part);
                }
                6 => {
                    // The same again and again.
                    let part = data[at..(at + 1 + random.below(24)).min(data.len())].to_vec();
                    data.splice(at..at, part.repeat(1 << random.below(14)));
                }
                _ => data.truncate(at.max(8)),
            }
            if data.is_empty() {
                data.push(0);
            }
        }
        data.truncate(if random.below(50) == 0 { 1 << 20 } else { 40_000 });
    }

    /// A second in the tests; `PERCH_FUZZ_SECONDS` says for how long otherwise. The same inputs each time.
    #[test]
    fn spoiled_streams_break_nothing() {
        let wanted = std::env::var("PERCH_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
        let end = Instant::now() + Duration::from_secs(wanted.unwrap_or(60));
        let rounds = if wanted.is_some() { u64::MAX } else { 3_000 };
        let (mut random, seeds) = (Random(0x5eed), seeds());
        // What came of a seed is spoiled further now and then.
        let mut pool = seeds.clone();
        for round in 0..rounds {
            if Instant::now() > end {
                break;
            }
            let (a, b) = (random.below(pool.len()), random.below(pool.len()));
            let mut data = pool[a].clone();
            spoil(&mut random, &mut data, &pool[b]);
            let (name, entry) = ENTRIES[random.below(ENTRIES.len())];
            if let Err(panic) = std::panic::catch_unwind(|| entry(&data)) {
                eprintln!("round {round}, {name}: {data:?}");
                std::panic::resume_unwind(panic);
            }
            if random.below(20) == 0 {
                let place =
                    if pool.len() < 200 { pool.len() } else { seeds.len() + random.below(pool.len() - seeds.len()) };
                pool.truncate(200);
                if place < pool.len() { pool[place] = data } else { pool.push(data) }
            }
        }
    }
}
