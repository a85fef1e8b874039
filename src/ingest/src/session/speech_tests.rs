//! Cameras that are spoken to, played by hand: what is demanded of them, which of their lines is taken, and what they are sent.

use super::super::machine::Session;
use super::super::output::Settings;
use super::super::quirks::Quirks;
use super::*;
use crate::wire::url::CameraUrl;
use perch_base::ErrorKind;
use perch_domain::ingest::Transport;

/// Pictures and sound from the camera, and its loudspeaker in two formats.
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=control:track1\r\nm=audio 0 RTP/AVP 0\r\na=recvonly\r\na=control:track2\r\nm=audio 0 RTP/AVP 97 8\r\na=sendonly\r\n\
    a=rtpmap:97 MPEG4-GENERIC/16000\r\na=control:track3\r\n";

struct Rig {
    session: Session,
    now: MonoTime,
    requests: Vec<String>,
    packets: Vec<Vec<u8>>,
    end: Option<perch_base::Result<()>>,
}

impl Rig {
    fn new() -> Self {
        let settings = Settings {
            url: CameraUrl::parse("rtsp://cam/live").expect("a URL"),
            transport: Transport::Tcp,
            sound: false,
            speaks: true,
            client_nonce: "c0ffee".into(),
            peer: [192, 0, 2, 7].into(),
            quirks: Quirks { skips_options: true, ..Quirks::default() },
        };
        let now = MonoTime(1_000_000);
        let session = Session::new(now, settings);
        let mut rig = Self { session, now, requests: Vec::new(), packets: Vec::new(), end: None };
        rig.drain();
        rig
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(bytes) if bytes.starts_with(b"$") => self.packets.push(bytes.to_vec()),
                Output::Send(bytes) => self.requests.push(String::from_utf8_lossy(&bytes).into_owned()),
                Output::End(result) => self.end = Some(result),
                other => panic!("{other:?}"),
            }
        }
    }

    fn hears(&mut self, text: &str) -> String {
        self.session.buffer().extend_from_slice(text.as_bytes());
        self.session.read(self.now);
        self.drain();
        self.requests.last().cloned().unwrap_or_default()
    }

    fn described(&mut self, sdp: &str) -> String {
        self.hears(&format!("RTSP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len()))
    }
}

#[test]
fn the_loudspeaker_alone_is_set_up_and_spoken_to() {
    let mut rig = Rig::new();
    assert!(rig.requests[0].starts_with("DESCRIBE rtsp://cam/live RTSP/1.0\r\n"), "{}", rig.requests[0]);
    let beside = rig.described(SDP);
    assert!(beside.starts_with("SETUP rtsp://cam/live/track2 "), "{beside}");
    let setup = rig.hears("RTSP/1.0 200 OK\r\nSession: 7\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n");
    assert!(setup.starts_with("SETUP rtsp://cam/live/track3 "), "{setup}");
    let play = rig.hears("RTSP/1.0 200 OK\r\nSession: 7\r\nTransport: RTP/AVP/TCP;interleaved=4-5\r\n\r\n");
    assert!(play.starts_with("PLAY rtsp://cam/live "), "{play}");
    assert!(rig.requests.iter().all(|r| r.contains("Require: www.onvif.org/ver20/backchannel\r\n")));
    let frame = |time, begins| SpeechFrame { samples: vec![0; 160], time, begins };
    rig.session.say(&frame(0, true));
    rig.drain();
    assert!(rig.packets.is_empty(), "it does not play yet");
    rig.hears("RTSP/1.0 200 OK\r\n\r\n");
    for (n, begins) in [(0, true), (1, false)] {
        rig.session.say(&frame(n * 160, begins));
    }
    rig.drain();
    let heads: Vec<_> = rig.packets.iter().map(|p| p[..12].to_vec()).collect();
    assert_eq!(heads[0], [b'$', 4, 0, 172, 0x80, 0x88, 0, 1, 0, 0, 0, 0]);
    assert_eq!(heads[1], [b'$', 4, 0, 172, 0x80, 0x08, 0, 2, 0, 0, 0, 160]);
    assert!(rig.packets[0][16..].iter().all(|octet| *octet == 0xd5), "silence in A-law");
    rig.session.stop(rig.now);
    rig.drain();
    assert!(rig.requests.last().is_some_and(|r| r.starts_with("TEARDOWN ")));
}

#[test]
fn a_camera_without_a_loudspeaker_says_so() {
    for answer in ["RTSP/1.0 551 Option not supported\r\n\r\n", ""] {
        let mut rig = Rig::new();
        match answer {
            "" => drop(rig.described(&SDP.replace("a=sendonly\r\n", ""))),
            answer => drop(rig.hears(answer)),
        }
        let e = rig.end.take().expect("it ended").expect_err("it has none");
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        assert!(e.message().contains("no loudspeaker"), "{e}");
    }
    // One that is spoken to in AAC alone cannot be spoken to.
    let mut rig = Rig::new();
    rig.described(&SDP.replace("RTP/AVP 97 8", "RTP/AVP 97"));
    assert_eq!(rig.end.take().expect("it ended").expect_err("it has none").kind(), ErrorKind::Unsupported);
}
