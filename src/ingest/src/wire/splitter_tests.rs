//! Streams as cameras write them, whole and in pieces.

use super::*;
use proptest::prelude::*;

/// Channels 0 and 1 are known; RTP of version 2 with payload type 96, RTCP reports.
fn ask(channel: u8, packet: &[u8]) -> Fit {
    match (channel, packet) {
        (0 | 1, []) => Fit::Good,
        (0, [0x80, kind, ..]) if kind & 0x7f == 96 && packet.len() >= 12 => Fit::Good,
        (1, [0x80 | 0x81, 200..=204, ..]) => Fit::Good,
        (0 | 1, _) => Fit::Foreign,
        _ => Fit::Unknown,
    }
}

fn frame(channel: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short").to_be_bytes();
    [&[b'$', channel, length[0], length[1]], data].concat()
}

/// The `n`th packet of pictures, `size` bytes long.
fn rtp(n: u8, size: usize) -> Vec<u8> {
    let mut data = vec![n; size.max(12)];
    data[..4].copy_from_slice(&[0x80, 96, 0, n]);
    frame(0, &data)
}

/// What comes of a stream that arrives in pieces of `step` bytes, each piece in short: `0#12` or `200/5`.
fn pieces(stream: &[u8], step: usize) -> (Vec<String>, Splitter) {
    let mut splitter = Splitter::default();
    let mut out = Vec::new();
    for part in stream.chunks(step.max(1)) {
        splitter.buffer().extend_from_slice(part);
        while let Some(piece) = splitter.next(&ask) {
            out.push(short(&piece));
        }
    }
    (out, splitter)
}

fn short(piece: &Piece) -> String {
    match piece {
        Piece::Packet { channel: 0, data } => format!("rtp {} {}", data.get(3).copied().unwrap_or(255), data.len()),
        Piece::Packet { channel, data } => format!("{channel}#{}", data.len()),
        Piece::Message(m) => match &m.start {
            Start::Response(status) => format!("{status}/{}", m.body.len()),
            Start::Request(method) => format!("{method}/{}", m.body.len()),
        },
    }
}

#[test]
fn messages_and_packets_in_any_pieces() {
    let stream = [
        &b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"[..],
        b"\r\n\n",
        &rtp(1, 700),
        b"RTSP/1.0 200\nCSeq: 2\nContent-Length: 5\n\n$abcd",
        &rtp(2, 40),
        &frame(1, &[0x80, 200, 0, 1, 0, 0, 0, 0]),
        b"\r\nANNOUNCE rtsp://box/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nv=0",
        &frame(0, &[]),
        &frame(7, b"the maker's own"),
        &frame(7, b"the maker's own"),
        &rtp(3, 1400),
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        // Without its empty line.
        b"RTSP/1.0 200 OK\r\nCSeq: 3\r\n",
        &rtp(4, 1400),
    ]
    .concat();
    let want = [
        "200/0",
        "rtp 1 700",
        "200/5",
        "rtp 2 40",
        "1#8",
        "ANNOUNCE/3",
        "rtp 255 0",
        "7#15",
        "7#15",
        "rtp 3 1400",
        "404/0",
        "200/0",
        "rtp 4 1400",
    ];
    for step in [1, 2, 3, 7, 100, 1000, stream.len()] {
        let (got, splitter) = pieces(&stream, step);
        assert_eq!(got, want, "in pieces of {step}");
        assert_eq!(splitter.foreign(), (0, 0));
        assert!(!splitter.is_waiting());
    }
}

#[test]
fn foreign_bytes_cost_themselves_only() {
    for junk in [
        &b"\x00\x01\x02rest of a packet"[..],
        b"$",
        b"$$$$",
        b"$\x00",
        b"$\x00\xff\xff\x80",
        b"$\x00\xff\xffabcdefghijklmnop",
        b"$\x09\x02\x00zzzzzzzzzzzzzzzz",
        b"RTSP",
        b"OPTIONS without an end",
        b"\xff\xfeGET_PARAMETER rtsp://",
        b"RTSP/1.0 abc\r\n\r\n",
        b"R",
    ] {
        let many: Vec<u8> = (3..60).flat_map(|n| rtp(n, 500)).collect();
        let stream = [&rtp(1, 300)[..], &rtp(2, 300), junk, &many].concat();
        for step in [1, 50, 1460, stream.len()] {
            let (got, _) = pieces(&stream, step);
            let packets: Vec<_> = got.iter().filter(|p| p.starts_with("rtp")).collect();
            assert!(packets.len() >= 58, "{:?} in {step}: {packets:?}", String::from_utf8_lossy(junk));
            assert_eq!(packets.last().map(|p| p.as_str()), Some("rtp 59 500"));
        }
    }
}

#[test]
fn a_packet_cut_short_costs_itself_only() {
    let whole: Vec<u8> = rtp(1, 1000);
    let rest: Vec<u8> = (2..9).flat_map(|n| rtp(n, 400)).collect();
    for cut in [4, 5, 15, 16, 17, 500, 999] {
        let stream = [&whole[..cut], &rest].concat();
        let (got, splitter) = pieces(&stream, 1460);
        assert_eq!(
            got,
            ["rtp 2 400", "rtp 3 400", "rtp 4 400", "rtp 5 400", "rtp 6 400", "rtp 7 400", "rtp 8 400"],
            "{cut}"
        );
        assert!(splitter.foreign().0 > 0);
    }
}

#[test]
fn a_length_that_never_comes_is_given_up() {
    // It looks like a packet, and what it swallows comes slowly.
    let mut stream = rtp(1, 60000)[..100].to_vec();
    stream.extend(rtp(2, 400));
    let (got, mut splitter) = pieces(&stream, 1460);
    assert!(got.is_empty() && splitter.is_waiting());
    assert_eq!(splitter.unstick(&ask).map(|p| short(&p)).as_deref(), Some("rtp 2 400"));
    assert!(!splitter.is_waiting());
    for stuck in [&b"$"[..], b"$\x00\xff", b"RTSP/1.0 200 OK\r\nCSeq", b"OPTIONS rtsp"] {
        let (got, mut splitter) = pieces(stuck, 1460);
        assert!(got.is_empty());
        assert_eq!(splitter.unstick(&ask), None);
        splitter.buffer().extend_from_slice(&rtp(1, 20));
        let next = splitter.next(&ask).or_else(|| splitter.unstick(&ask));
        assert_eq!(next.map(|p| short(&p)).as_deref(), Some("rtp 1 20"), "{stuck:?}");
    }
}

#[test]
fn bodies_with_wrong_lengths() {
    let sdp = "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\n";
    // None said: it ends where something else begins, or in silence.
    let head = "RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n";
    let (got, mut splitter) = pieces(format!("{head}{sdp}").as_bytes(), 7);
    assert!(got.is_empty() && splitter.is_open_ended());
    assert_eq!(splitter.cut_body().map(|m| m.body.len()), Some(sdp.len()));
    let (got, _) = pieces(format!("{head}{sdp}RTSP/1.0 404 No\r\n\r\n").as_bytes(), 7);
    assert_eq!(got, [format!("200/{}", sdp.len()), "404/0".into()]);
    // Too long: it is cut when nothing more comes.
    let head = "RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 1000\r\n\r\n";
    let (got, mut splitter) = pieces(format!("{head}{sdp}").as_bytes(), 7);
    assert!(got.is_empty() && splitter.is_in_body() && !splitter.is_open_ended());
    assert_eq!(splitter.cut_body().map(|m| m.body.len()), Some(sdp.len()));
    // Too short: the rest is foreign.
    let head = "RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 10\r\n\r\n";
    let (got, _) = pieces(format!("{head}{sdp}RTSP/1.0 404 No\r\n\r\n").as_bytes(), 7);
    assert_eq!(got, ["200/10", "404/0"]);
    // A length and no body at all, among packets.
    let stream = [&b"RTSP/1.0 200 OK\r\nContent-Length: 900000\r\n\r\n"[..], &rtp(1, 50), &rtp(2, 50)].concat();
    assert_eq!(pieces(&stream, 3).0, ["200/0", "rtp 1 50", "rtp 2 50"]);
    // Far too long.
    let (got, splitter) = pieces(b"RTSP/1.0 200 OK\r\nContent-Length: 99999999999\r\n\r\n", 1000);
    assert_eq!((got, splitter.is_waiting()), (vec!["200/0".to_owned()], false));
}

#[test]
fn bounded_in_bytes() {
    let mut splitter = Splitter::default();
    let endless = [b"RTSP/1.0 200 OK\r\n".to_vec(), b"A: b\r\n".repeat(200_000)].concat();
    let sdp =
        [b"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n".to_vec(), b"a=b\r\n".repeat(600_000)].concat();
    for stream in [endless, sdp] {
        for part in stream.chunks(1460) {
            splitter.buffer().extend_from_slice(part);
            while let Some(piece) = splitter.next(&ask) {
                assert!(matches!(piece, Piece::Message(m) if m.too_large), "no packet and nothing whole");
            }
            assert!(splitter.buffer.len() <= LONGEST_BODY + 2 * ROOM);
        }
        splitter.clear();
    }
}

#[test]
fn floods_cost_what_they_are_long() {
    // A packet that belongs here and is not followed by one, one that is foreign, and one that is never whole.
    let open = [&rtp(1, 60_000)[..16], b"xxxx"].concat();
    let foreign = [&rtp(2, 12)[..], b"$\x00\xf0\x00zzzzzzzzzzzz"].concat();
    let sdp = b"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n";
    for (begin, unit) in [
        (&b""[..], &b"R"[..]),
        (b"", b"HHH "),
        (b"\n", b"RRRRRRRRRRRRRRRRRRR "),
        (b"", b"RTSP/"),
        (b"", b"RTSP/1.0 "),
        (b"", b"RTSP/1.0 20\n"),
        (b"RTSP/1.0 200 OK\r\n", b"$\x00\xff\xff"),
        (b"", b"OPTIONS * RTSP/1.0\r\n"),
        (b"", b"$\x00\xff\xf0"),
        (b"", &foreign),
        (b"", &open),
        (sdp, b"a=b\r\n"),
        (sdp, b"a=b"),
    ] {
        let flood = [begin, &unit.repeat((2 << 20) / unit.len())].concat();
        for step in [100, 65_536] {
            let begun = std::time::Instant::now();
            let mut splitter = Splitter::default();
            let asked = std::cell::Cell::new(0usize);
            let ask = |channel: u8, packet: &[u8]| {
                asked.set(asked.get() + 1);
                ask(channel, packet)
            };
            for part in flood.chunks(step) {
                splitter.buffer().extend_from_slice(part);
                while splitter.next(&ask).is_some() {}
            }
            let (took, unit) = (begun.elapsed(), String::from_utf8_lossy(unit));
            // A second or so; minutes where it is searched again and again.
            assert!(took < std::time::Duration::from_secs(30), "{unit:?} in {step}: {took:?}");
            assert!(asked.get() <= 2 * flood.len(), "{unit:?} in {step}: {}", asked.get());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_end(stream in proptest::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'$'), 1 => 0..3u8], 0..600), step in 1..100usize) {
        let (_, mut splitter) = pieces(&stream, step);
        for _ in 0..stream.len() {
            let _ = splitter.unstick(&ask);
        }
        prop_assert!(splitter.buffer.is_empty() || splitter.head.is_some());
    }

    #[test]
    fn all_packets_but_the_damaged_come(damage in proptest::collection::vec((0..8000usize, any::<u8>()), 0..3), step in 1..3000usize) {
        let mut stream: Vec<u8> = (0..40).flat_map(|n| rtp(n, 200)).collect();
        for (at, with) in &damage {
            let at = at % stream.len();
            stream[at] = *with;
        }
        stream.extend((40..50).flat_map(|n| rtp(n, 200)));
        let (mut got, mut splitter) = pieces(&stream, step);
        // A length that became too large is given up after a while.
        while let Some(piece) = splitter.unstick(&ask) {
            got.push(short(&piece));
            while let Some(piece) = splitter.next(&ask) {
                got.push(short(&piece));
            }
        }
        let last: Vec<_> = got.iter().rev().take(9).rev().map(String::as_str).collect();
        prop_assert_eq!(last.last().copied(), Some("rtp 49 200"));
        // Each damaged byte costs at most its own packet and the one it is taken for.
        prop_assert!(got.len() >= 50 - 2 * damage.len() - 1, "{:?}", got);
    }
}
