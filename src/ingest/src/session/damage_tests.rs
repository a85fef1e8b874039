//! Whole sessions in which bytes of the camera are changed, left out, doubled or put elsewhere: they end, and nothing panics.

use super::{Output, Quirks, Session, Settings};
use crate::wire::framed;
use crate::wire::url::CameraUrl;
use perch_base::time::MonoTime;
use perch_domain::ingest::{SpeechFrame, Transport};
use proptest::prelude::*;
use std::time::Duration;

/// What a normal camera says, a line of the talk each.
fn says() -> Vec<Vec<u8>> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
        a=fmtp:96 packetization-mode=1\r\na=control:track1\r\nm=audio 0 RTP/AVP 8\r\na=control:track2\r\n";
    let mut all: Vec<Vec<u8>> = [
        "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE, GET_PARAMETER\r\n\r\n".to_owned(),
        "RTSP/1.0 401 No\r\nCSeq: 2\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\r\n".into(),
        format!(
            "RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        ),
        "RTSP/1.0 200 OK\r\nCSeq: 4\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\nSession: 7;timeout=10\r\n\r\n".into(),
        "RTSP/1.0 200 OK\r\nCSeq: 5\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\nSession: 7;timeout=10\r\n\r\n".into(),
        "RTSP/1.0 200 OK\r\nCSeq: 6\r\nSession: 7\r\n\r\n".into(),
    ]
    .map(String::into_bytes)
    .into();
    for n in 0..40u8 {
        let kind = if n % 3 == 0 { 8 } else { 96 };
        let packet = [&[0x80, kind, 0, n, 0, 0, n, 0, 0, 0, 0, kind][..], &[0x65, 0x88, 0x84, 0, n]].concat();
        all.extend(framed(if kind == 8 { 2 } else { 0 }, &packet).map(|bytes| bytes.to_vec()));
    }
    all.push(b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n".to_vec());
    all
}

#[derive(Clone, Debug)]
enum Damage {
    Change(usize, u8),
    Remove(usize, usize),
    Double(usize, usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || any::<usize>();
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        (at(), 1..40usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (at(), 1..200usize).prop_map(|(at, count)| Damage::Double(at, count)),
        (at(), proptest::collection::vec(any::<u8>(), 1..30)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

fn damaged(line: &mut Vec<u8>, damage: &Damage) {
    let place = |at: &usize| at % line.len().max(1);
    match damage {
        Damage::Change(at, byte) => {
            let at = place(at);
            if let Some(old) = line.get_mut(at) {
                *old = *byte;
            }
        }
        Damage::Remove(at, count) => {
            let at = place(at);
            line.drain(at..(at + count).min(line.len()));
        }
        Damage::Double(at, count) => {
            let at = place(at);
            let part = line[at..(at + count).min(line.len())].to_vec();
            line.splice(at..at, part);
        }
        Damage::Insert(at, bytes) => {
            let at = place(at);
            line.splice(at..at, bytes.iter().copied());
        }
    }
}

/// The same of one with a loudspeaker, that is spoken to.
fn is_told() -> Vec<Vec<u8>> {
    let mut all = says();
    let of_speech = String::from_utf8_lossy(&all[2]).replace("a=control:track2", "a=sendonly\r\na=control:track2");
    let sdp = of_speech.split("\r\n\r\n").nth(1).map_or(0, str::len);
    let head = format!("RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Type: application/sdp\r\nContent-Length: {sdp}");
    all[2] = [head.as_bytes(), &of_speech.as_bytes()[of_speech.find("\r\n\r\n").unwrap_or_default()..]].concat();
    all
}

/// Plays a session against what the camera says, and speaks to it where it is to be; how many pieces came of it, and how often was spoken.
fn play(says: &[Vec<u8>], step: usize, speaks: bool) -> (usize, usize) {
    let url = CameraUrl::parse("rtsp://me:secret@cam/live").expect("a URL");
    let (transport, quirks) = (Transport::Auto, Quirks::default());
    let mut now = MonoTime(1);
    let peer = [127, 0, 0, 1].into();
    let settings = Settings { url, transport, sound: true, speaks, client_nonce: "c".into(), peer, quirks };
    let mut session = Session::new(now, settings);
    let (mut taken, mut said) = (0, 0);
    let mut after = |session: &mut Session, now: MonoTime| {
        let mut is_over = false;
        while let Some(output) = session.poll() {
            match output {
                Output::Connect(_) => session.connected(now),
                Output::OpenPorts(_) => session.opened(now, Ok((5000, 5001))),
                Output::Send(bytes) => {
                    assert!(!bytes.windows(6).any(|w| w == b"secret"));
                    said += usize::from(bytes.len() == 4 + 12 + 160);
                }
                Output::End(_) => is_over = true,
                _ => {}
            }
        }
        taken += session.taken().drain(..).count();
        is_over
    };
    let mut tick = |session: &mut Session, now: &mut MonoTime, time: Duration| {
        let until = *now + time;
        for _ in 0..10_000 {
            let Some(at) = session.deadline().filter(|at| *at <= until) else { break };
            *now = (*now).max(at);
            session.tick(*now);
            if after(session, *now) {
                return true;
            }
        }
        assert!(session.deadline().is_none_or(|at| at > until), "it never rests");
        *now = until;
        after(session, *now)
    };
    for line in says {
        for part in line.chunks(step) {
            session.buffer().extend_from_slice(part);
            session.read(now);
            session.say(&SpeechFrame { samples: vec![7; 160], time: now.0 as u32, begins: false });
            if tick(&mut session, &mut now, Duration::from_millis(20)) {
                return (taken, said);
            }
        }
    }
    if !tick(&mut session, &mut now, Duration::from_secs(100)) {
        session.stop(now);
        assert!(tick(&mut session, &mut now, Duration::from_secs(2)), "it ends");
    }
    (taken, said)
}

#[test]
fn undamaged_it_plays() {
    for step in [1000, 1] {
        let (taken, said) = play(&says(), step, false);
        assert!(taken > 1 && said == 0, "{taken} pieces, {said} times");
        let (taken, said) = play(&is_told(), step, true);
        assert!(taken <= 1 && said >= 40, "{taken} pieces, {said} times: no picture is taken");
    }
}

proptest! {
    #[test]
    fn damaged_it_ends(
        what in proptest::collection::vec((any::<usize>(), damage()), 1..12),
        step in 1..300usize,
        speaks in any::<bool>(),
    ) {
        let mut says = if speaks { is_told() } else { says() };
        for (line, damage) in &what {
            let line = line % says.len();
            damaged(&mut says[line], damage);
        }
        play(&says, step, speaks);
    }
}
