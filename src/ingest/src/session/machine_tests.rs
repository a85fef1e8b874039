//! Sessions played by hand: what the camera says, and what the box says then.

use super::*;
use crate::wire::framed;
use perch_base::ErrorKind;
use proptest::prelude::*;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=x\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
    a=control:track1\r\nm=audio 0 RTP/AVP 8\r\na=control:track2\r\n";
const OPTIONS: &str = "RTSP/1.0 200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER\r\n\r\n";
const SETUP: &str = "RTSP/1.0 200 OK\r\nSession: 77;timeout=60\r\n\r\n";

/// A session and its camera.
struct Rig {
    session: Session,
    now: MonoTime,
    /// The last request, whole.
    request: String,
    end: Option<Result<()>>,
}

impl Rig {
    fn new(url: &str, transport: Transport, quirks: Quirks) -> Self {
        let url = CameraUrl::parse(url).expect("a URL");
        let settings = Settings {
            url,
            transport,
            speaks: false,
            sound: true,
            client_nonce: "c0ffee".into(),
            peer: [192, 0, 2, 7].into(),
            quirks,
        };
        let now = MonoTime(1_000_000);
        let session = Session::new(now, settings);
        Self { session, now, request: String::new(), end: None }
    }

    fn plain() -> Self {
        Self::new("rtsp://cam/live", Transport::Auto, Quirks::default())
    }

    /// What is to be done, in short: `SETUP rtsp://cam/live/track1`.
    fn out(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(output) = self.session.poll() {
            all.push(match output {
                Output::Send(bytes) if bytes.starts_with(b"$") => format!("${}", bytes[1]),
                Output::Send(bytes) => {
                    self.request = String::from_utf8_lossy(&bytes).into_owned();
                    assert!(self.request.ends_with("\r\n\r\n"), "{}", self.request);
                    self.request.lines().next().unwrap_or_default().replace(" RTSP/1.0", "")
                }
                Output::Connect(url) => format!("connect {}", url.authority()),
                Output::OpenPorts(track) => format!("ports {track}"),
                Output::Hear { track, to, source } => format!("hear {track} {to:?} {source:?}"),
                Output::Join { track, group, ports, .. } => format!("join {track} {group} {ports:?}"),
                Output::Datagram { track, is_rtcp, .. } => format!("datagram {track} {is_rtcp}"),
                Output::End(result) => {
                    let text = format!("end {result:?}");
                    self.end = Some(result);
                    text
                }
            });
        }
        all
    }

    /// The camera says something.
    fn hears(&mut self, text: impl AsRef<[u8]>) -> Vec<String> {
        self.session.buffer().extend_from_slice(text.as_ref());
        self.session.read(self.now);
        self.out()
    }

    /// Time goes by, and with it all that is due.
    fn waits(&mut self, seconds: f64) -> Vec<String> {
        let until = self.now + Duration::from_secs_f64(seconds);
        let mut all = Vec::new();
        while let Some(at) = self.session.deadline().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.session.tick(self.now);
            all.extend(self.out());
        }
        self.now = until;
        all
    }

    fn closes(&mut self) -> Vec<String> {
        self.session.closed(self.now, "end of file");
        self.out()
    }

    #[track_caller]
    fn error(&mut self) -> Error {
        self.out();
        self.end.take().expect("it ended").expect_err("it failed")
    }

    /// A packet of pictures.
    fn picture(&mut self) {
        let out = self.hears(framed(0, &[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0x65, 0x88]).expect("short"));
        assert!(out.is_empty(), "{out:?}");
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// As far as pictures.
    fn play(mut self) -> Self {
        self.out();
        self.hears(OPTIONS);
        self.hears(described(SDP));
        self.hears(SETUP);
        assert_eq!(self.hears(SETUP), ["PLAY rtsp://cam/live"]);
        assert!(self.hears(ok("")).is_empty());
        assert!(matches!(self.session.phase, Phase::Playing));
        self
    }
}

fn ok(headers: &str) -> String {
    format!("RTSP/1.0 200 OK\r\n{headers}\r\n")
}

fn described(sdp: &str) -> String {
    format!("RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
}

fn status(status: u16) -> String {
    format!("RTSP/1.0 {status} So\r\n\r\n")
}

#[test]
fn from_options_to_teardown() {
    let mut rig = Rig::new("rtsp://me:secret@cam/live", Transport::Auto, Quirks::default());
    assert_eq!(rig.out(), ["OPTIONS rtsp://cam/live"]);
    assert_eq!(
        rig.hears("RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: DESCRIBE, GET_PARAMETER\r\n\r\n"),
        ["DESCRIBE rtsp://cam/live"]
    );
    assert_eq!(rig.header("CSeq"), Some("2"));
    assert_eq!(rig.header("User-Agent"), Some("Perch"));
    let described = described(SDP).replace("\r\n\r\nv=", "\r\nContent-Base: rtsp://cam:554/live/\r\n\r\nv=");
    assert_eq!(rig.hears(described), ["SETUP rtsp://cam:554/live/track1"]);
    assert_eq!(rig.header("Transport"), Some("RTP/AVP/TCP;unicast;interleaved=0-1"));
    assert_eq!(rig.hears("RTSP/1.0 200 OK\r\nSession: 77;timeout=30\r\n\r\n"), ["SETUP rtsp://cam:554/live/track2"]);
    assert_eq!(rig.header("Session"), Some("77"));
    assert_eq!(rig.header("Transport"), Some("RTP/AVP/TCP;unicast;interleaved=2-3"));
    assert_eq!(rig.hears(SETUP.replace("60", "30")), ["PLAY rtsp://cam:554/live/"]);
    assert_eq!(rig.header("Range"), Some("npt=0.000-"));
    assert!(rig.session.taken().is_empty());
    assert!(rig.hears(ok("RTP-Info: url=x;seq=40000;rtptime=0\r\n")).is_empty());
    assert!(matches!(rig.session.taken()[..], [Intake::Offer(_), Intake::Aside(_)]));
    rig.picture();
    // A keep-alive at 80 % of 30 s.
    assert!(rig.waits(23.9).iter().all(|sent| sent.starts_with('$')));
    rig.picture();
    assert!(rig.waits(0.2).contains(&"GET_PARAMETER rtsp://cam:554/live/".to_owned()));
    assert_eq!(rig.header("Session"), Some("77"));
    rig.hears(ok(""));
    rig.session.stop(rig.now);
    assert_eq!(rig.out(), ["TEARDOWN rtsp://cam:554/live/"]);
    // It must be signed anew.
    assert_eq!(rig.hears(CHALLENGE), ["TEARDOWN rtsp://cam:554/live/"]);
    assert!(rig.header("Authorization").is_some());
    rig.hears(ok(""));
    assert!(matches!(rig.end, Some(Ok(()))));
    assert!(!rig.request.contains("secret") && rig.session.deadline().is_none());
}

#[test]
fn teardown_is_not_waited_for_long() {
    let mut rig = Rig::plain().play();
    rig.session.stop(rig.now);
    rig.waits(0.9);
    assert!(rig.end.is_none());
    rig.waits(0.2);
    assert!(matches!(rig.end, Some(Ok(()))));
    // Nothing to say goodbye to yet.
    let mut rig = Rig::plain();
    rig.out();
    rig.session.stop(rig.now);
    assert_eq!(rig.out(), ["end Ok(())"]);
}

#[test]
fn options_may_fail_in_any_way() {
    for answer in [status(401), status(404), status(501), status(500)] {
        let mut rig = Rig::plain();
        rig.out();
        assert_eq!(rig.hears(&answer), ["DESCRIBE rtsp://cam/live"], "{answer}");
    }
    // Without an answer; the late one is nobody's.
    let mut rig = Rig::plain();
    rig.out();
    assert_eq!(rig.waits(5.0), ["DESCRIBE rtsp://cam/live"]);
    assert!(rig.hears("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n").is_empty());
    assert_eq!(rig.hears(described(SDP)), ["SETUP rtsp://cam/live/track1"]);
    // A camera that closes at it.
    let mut rig = Rig::plain();
    rig.out();
    assert_eq!(rig.closes(), ["connect cam"]);
    rig.session.connected(rig.now);
    assert_eq!(rig.out(), ["DESCRIBE rtsp://cam/live"]);
    assert!(rig.session.quirks().skips_options);
    assert!(rig.closes()[0].contains("it closed the connection"));
    let mut rig = Rig::new("rtsp://cam/live", Transport::Auto, Quirks { skips_options: true, ..Quirks::default() });
    assert_eq!(rig.out(), ["DESCRIBE rtsp://cam/live"]);
}

const CHALLENGE: &str = "RTSP/1.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"NONCE\"\r\n\r\n";

#[test]
fn a_password_is_tried_once() {
    let at = |url| {
        let mut rig = Rig::new(url, Transport::Auto, Quirks::default());
        rig.out();
        rig.hears(OPTIONS);
        rig
    };
    let mut rig = at("rtsp://me:p%40ss@cam/live");
    assert_eq!(rig.hears(CHALLENGE), ["DESCRIBE rtsp://cam/live"]);
    assert!(rig.header("Authorization").is_some_and(|a| a.starts_with("Digest username=\"me\"")));
    rig.hears(CHALLENGE.replace("NONCE", "another"));
    let e = rig.error();
    assert_eq!((e.kind(), e.message().contains("tried once")), (ErrorKind::Unauthenticated, true));
    // No user at all.
    let mut rig = at("rtsp://cam/live");
    rig.hears(CHALLENGE);
    let e = rig.error();
    assert_eq!((e.kind(), e.message()), (ErrorKind::Unauthenticated, "it asks for user and password: name both"));
    let mut rig = at("rtsp://me@cam/live");
    rig.hears("RTSP/1.0 401 No\r\nWWW-Authenticate: NTLM\r\n\r\n");
    assert_eq!(rig.error().kind(), ErrorKind::Unsupported);
    let mut rig = at("rtsp://me@cam/live");
    rig.hears(status(401));
    assert_eq!(rig.error().kind(), ErrorKind::Unauthenticated);
}

#[test]
fn nonces_grow_old() {
    let mut rig = Rig::new("rtsp://me:pass@cam/live", Transport::Auto, Quirks::default());
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(CHALLENGE);
    // Too old at once, and says so.
    assert_eq!(rig.hears(CHALLENGE.replace("NONCE\"", "2\", stale=true")), ["DESCRIBE rtsp://cam/live"]);
    assert_eq!(rig.hears(described(SDP)), ["SETUP rtsp://cam/live/track1"]);
    assert!(rig.header("Authorization").is_some_and(|a| a.contains("nonce=\"2\"")));
    // Another one later, without a word of its age.
    assert_eq!(rig.hears(CHALLENGE.replace("NONCE", "3")), ["SETUP rtsp://cam/live/track1"]);
    assert!(rig.header("Authorization").is_some_and(|a| a.contains("nonce=\"3\"")));
    assert_eq!(rig.hears(SETUP), ["SETUP rtsp://cam/live/track2"]);
    // Without end.
    for n in 0..3 {
        assert_eq!(rig.hears(CHALLENGE.replace("NONCE", &format!("x{n}"))).len(), 1);
    }
    assert!(rig.hears(CHALLENGE.replace("NONCE", "y"))[0].starts_with("TEARDOWN"));
    rig.waits(2.0);
    assert_eq!(rig.error().kind(), ErrorKind::Unauthenticated);
}

#[test]
fn a_camera_that_closes_behind_each_answer() {
    let mut rig = Rig::new("rtsp://me:pass@cam/live", Transport::Auto, Quirks::default());
    rig.out();
    rig.hears(OPTIONS);
    assert_eq!(rig.closes(), ["connect cam"]);
    rig.session.connected(rig.now);
    assert_eq!(rig.out(), ["DESCRIBE rtsp://cam/live"]);
    rig.hears(CHALLENGE);
    assert_eq!(rig.closes(), ["connect cam"]);
    rig.session.connected(rig.now);
    assert_eq!(rig.out(), ["DESCRIBE rtsp://cam/live"]);
    assert!(rig.header("Authorization").is_some());
    rig.hears(described(SDP));
    for _ in 0..20 {
        rig.closes();
        if rig.end.is_some() {
            break;
        }
        rig.session.connected(rig.now);
        rig.out();
        rig.hears(status(100));
        rig.session.is_answered = true;
    }
    assert_eq!(rig.error().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_farewell_is_signed_with_the_nonce_that_is_good_now_once() {
    let stale = |nonce: &str| CHALLENGE.replace("NONCE\"", &format!("{nonce}\", stale=true"));
    let mut rig = Rig::new("rtsp://me:pass@cam/live", Transport::Auto, Quirks::default());
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(CHALLENGE);
    rig.hears(described(SDP));
    rig.hears(SETUP);
    rig.hears(SETUP);
    rig.hears(ok(""));
    rig.session.stop(rig.now);
    assert_eq!(rig.out(), ["TEARDOWN rtsp://cam/live"]);
    assert_eq!(rig.hears(stale("2")), ["TEARDOWN rtsp://cam/live"]);
    assert!(rig.header("Authorization").is_some_and(|a| a.contains("nonce=\"2\"")));
    assert_eq!(rig.header("Session"), Some("77"));
    assert_eq!(rig.hears(stale("3")), ["end Ok(())"]);
}

#[test]
fn by_udp_where_tcp_is_refused_and_the_other_way_round() {
    for refusal in [461, 406, 400, 501] {
        let mut rig = Rig::new("rtsp://cam/live/", Transport::Auto, Quirks::default());
        rig.out();
        rig.hears(OPTIONS);
        rig.hears(described(SDP));
        let mut out = rig.hears(status(refusal));
        // Another path was tried first.
        while out.iter().any(|o| o.starts_with("SETUP")) {
            out = rig.hears(status(refusal));
        }
        assert_eq!(out, ["ports 0"], "{refusal}");
        rig.session.opened(rig.now, Ok((5000, 5001)));
        assert_eq!(rig.out(), ["SETUP rtsp://cam/live/track1"]);
        assert_eq!(rig.header("Transport"), Some("RTP/AVP;unicast;client_port=5000-5001"));
        let grant = ok(
            "Session: 7\r\nTransport: RTP/AVP;unicast;client_port=5000-5001;server_port=6000-6001;source=10.0.0.2\r\n",
        );
        assert_eq!(rig.hears(&grant), ["hear 0 Some((6000, 6001)) Some(10.0.0.2)", "ports 1"]);
        rig.session.opened(rig.now, Ok((5002, 5003)));
        assert_eq!(rig.out(), ["SETUP rtsp://cam/live/track2"]);
        let out = rig.hears(grant);
        assert!(out.contains(&"datagram 1 true".into()) && out.contains(&"PLAY rtsp://cam/live/".into()), "{out:?}");
        assert!(rig.session.quirks().prefers_udp);
        rig.hears(ok(""));
        rig.session.datagram(rig.now, 0, false, Bytes::from_static(&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 1]));
        assert!(rig.session.media.heard().is_some());
    }
    let mut rig = Rig::new("rtsp://cam/live", Transport::Auto, Quirks { prefers_udp: true, ..Quirks::default() });
    rig.out();
    rig.hears(OPTIONS);
    assert_eq!(rig.hears(described(SDP)), ["ports 0"]);
    rig.session.opened(rig.now, Ok((5000, 5001)));
    rig.out();
    assert_eq!(rig.hears(status(461)), ["SETUP rtsp://cam/live/track1"]);
    assert_eq!(rig.header("Transport"), Some("RTP/AVP/TCP;unicast;interleaved=0-1"));
    rig.hears(status(461));
    assert_eq!(rig.error().kind(), ErrorKind::Unsupported);
    let mut rig = Rig::new("rtsp://cam/live", Transport::Tcp, Quirks::default());
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(described(SDP));
    rig.hears(status(461));
    assert!(rig.error().message().contains("set `transport` to \"udp\""));
}

#[test]
fn by_multicast() {
    let start = || {
        let mut rig = Rig::new("rtsp://cam/live", Transport::Multicast, Quirks::default());
        rig.out();
        rig.hears(OPTIONS);
        rig.hears(described(SDP));
        assert_eq!(rig.header("Transport"), Some("RTP/AVP;multicast"));
        rig
    };
    let out =
        start().hears(ok("Session: 7\r\nTransport: RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=4\r\n"));
    assert_eq!(out, ["join 0 239.1.2.3 (5000, 5001)", "SETUP rtsp://cam/live/track2"]);
    for bad in ["destination=10.0.0.1;port=5000-5001", "destination=239.1.2.3", ""] {
        let mut rig = start();
        rig.hears(ok(&format!("Transport: RTP/AVP;multicast;{bad}\r\n")));
        assert_eq!(rig.error().kind(), ErrorKind::Invalid, "{bad}");
    }
}

#[test]
fn sound_that_is_refused_is_left() {
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(described(SDP));
    rig.hears(SETUP);
    assert_eq!(rig.hears(status(500)), ["PLAY rtsp://cam/live"]);
    rig.hears(ok(""));
    assert!(matches!(&rig.session.taken()[..], [Intake::Offer(offer), ..] if offer.no_sound.is_some()));
}

#[test]
fn other_paths_are_tried() {
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    assert_eq!(rig.hears(described(SDP)), ["SETUP rtsp://cam/live/track1"]);
    assert_eq!(rig.hears(status(404)), ["SETUP rtsp://cam/track1"]);
    rig.hears(status(404));
    assert_eq!(rig.error().message(), "it has no such stream: check the path in its address (404)");
}

#[test]
fn play_without_a_range_and_line_by_line() {
    for refusal in [457, 400, 451, 501] {
        let mut rig = Rig::plain();
        rig.out();
        rig.hears(OPTIONS);
        rig.hears(described(SDP));
        rig.hears(SETUP);
        rig.hears(SETUP);
        assert_eq!(rig.hears(status(refusal)), ["PLAY rtsp://cam/live"]);
        assert_eq!(rig.header("Range"), None);
        assert!(rig.hears(ok("")).is_empty());
        assert!(matches!(rig.session.phase, Phase::Playing) && rig.session.quirks().skips_range);
    }
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(described(SDP));
    rig.hears(SETUP);
    rig.hears(SETUP);
    assert_eq!(rig.hears(status(459)), ["PLAY rtsp://cam/live/track1"]);
    assert_eq!(rig.hears(ok("")), ["PLAY rtsp://cam/live/track2"]);
    assert!(rig.hears(ok("")).is_empty());
    rig.picture();
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(described(SDP));
    rig.hears(SETUP);
    rig.hears(SETUP);
    assert!(rig.hears(status(453))[0].starts_with("TEARDOWN"));
    rig.waits(2.0);
    assert!(rig.error().message().contains("bandwidth"));
}

#[test]
fn media_before_the_answer_to_play_or_without_one() {
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(described(SDP));
    rig.hears(SETUP);
    rig.hears(SETUP);
    rig.picture();
    assert!(matches!(rig.session.taken().first(), Some(Intake::Offer(_))));
    assert!(rig.waits(9.0).is_empty());
    rig.picture();
    rig.waits(2.0);
    assert!(matches!(rig.session.phase, Phase::Playing));
    assert_eq!(rig.session.taken().iter().filter(|i| matches!(i, Intake::Offer(_))).count(), 1);
}

#[test]
fn packets_on_other_channels() {
    let packet = [0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0x65];
    // It names others; the answer counts.
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(described(SDP));
    rig.hears(ok("Session: 7\r\nTransport: RTP/AVP/TCP;unicast;interleaved=8-9\r\n"));
    rig.hears(ok("Session: 7\r\nTransport: RTP/AVP/TCP;unicast;interleaved=10-11\r\n"));
    rig.hears(ok(""));
    rig.hears(framed(8, &packet).expect("short"));
    assert!(rig.session.media.heard().is_some());
    assert!(rig.waits(5.1).iter().all(|sent| sent == "$9"));
    // Nobody's.
    let mut rig = Rig::plain().play();
    rig.picture();
    rig.session.taken().clear();
    rig.hears(framed(77, &packet).expect("short"));
    assert!(rig.session.taken().is_empty());
}

#[test]
fn signs_of_life_that_are_refused() {
    for refusal in [454, 501, 405, 400] {
        let mut rig = Rig::plain().play();
        assert!(rig.waits(48.1).contains(&"GET_PARAMETER rtsp://cam/live".into()));
        rig.picture();
        rig.hears(status(refusal));
        assert_eq!(rig.waits(1.1).last().map(String::as_str), Some("OPTIONS rtsp://cam/live"));
        rig.hears(status(refusal));
        assert!(rig.waits(200.0).iter().all(|sent| sent.starts_with('$')));
        let again = Rig::new("rtsp://cam/live", Transport::Auto, rig.session.quirks().clone()).play();
        assert_eq!(again.session.keep_alives.quirks.keep_alive(again.session.dialog.methods()), None);
    }
}

#[test]
fn signs_of_life_that_are_not_answered() {
    let mut rig = Rig::plain().play();
    let mut sent = Vec::new();
    for _ in 0..300 {
        rig.picture();
        sent.extend(rig.waits(1.0).into_iter().filter(|s| !s.starts_with('$')));
    }
    assert!(rig.end.is_none());
    let names: Vec<_> = sent.iter().map(|s| s.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(names[..2], ["GET_PARAMETER", "OPTIONS"]);
    assert!(names.len() >= 5 && names[2..].iter().all(|n| *n == "OPTIONS"), "{names:?}");
    // Nothing comes either: it is gone.
    let mut rig = Rig::plain().play();
    rig.picture();
    rig.waits(59.0);
    assert_eq!(rig.error().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_camera_that_closes_at_a_sign_of_life() {
    let mut quirks = Quirks::default();
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut rig = Rig::new("rtsp://cam/live", Transport::Auto, quirks).play();
        rig.picture();
        names.extend(rig.waits(48.1).into_iter().filter(|s| !s.starts_with('$')));
        rig.closes();
        assert_eq!(rig.error().kind(), ErrorKind::Unavailable);
        quirks = rig.session.quirks().clone();
    }
    assert_eq!(names, ["GET_PARAMETER rtsp://cam/live", "OPTIONS rtsp://cam/live"]);
    let mut rig = Rig::new("rtsp://cam/live", Transport::Auto, quirks).play();
    rig.picture();
    assert!(rig.waits(59.0).iter().all(|s| s.starts_with('$')));
    // It does need one: everything is tried again.
    rig.waits(1.5);
    rig.closes();
    assert_eq!(rig.session.quirks(), &Quirks::default());
}

#[test]
fn the_timeout_is_clamped() {
    for (header, seconds) in [("7", 48.0), ("7;timeout=1", 4.0), ("7;timeout=10", 8.0), ("7;timeout=99999", 60.0)] {
        let mut rig = Rig::plain();
        rig.out();
        rig.hears(OPTIONS);
        rig.hears(described(SDP));
        rig.hears(ok(&format!("Session: {header}\r\n")));
        rig.hears(ok(&format!("Session: {header}\r\n")));
        rig.hears(ok(""));
        assert!(rig.waits(seconds - 0.1).is_empty(), "{header}");
        assert_eq!(rig.waits(0.2), ["GET_PARAMETER rtsp://cam/live"], "{header}");
    }
}

#[test]
fn cameras_ask_too() {
    let mut rig = Rig::plain().play();
    assert_eq!(
        rig.hears("OPTIONS rtsp://box RTSP/1.0\r\nCSeq: 9\r\n\r\n"),
        ["RTSP/1.0 200 OK"].map(|s| s.replace(" RTSP/1.0", ""))
    );
    assert_eq!(rig.header("CSeq"), Some("9"));
    assert_eq!(rig.hears("ANNOUNCE rtsp://box RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nv=0").len(), 1);
    assert!(rig.hears("REDIRECT rtsp://box RTSP/1.0\r\nCSeq: 1\r\nLocation: rtsp://evil/\r\n\r\n")[0].contains("501"));
    rig.picture();
    rig.hears("TEARDOWN rtsp://box RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    assert_eq!(rig.error().message(), "it ended the session");
}

#[test]
fn slow_answers_end_in_all() {
    let mut rig = Rig::plain();
    rig.out();
    let answer = "RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 900000\r\nX: ".to_owned()
        + &"x".repeat(900);
    for byte in answer.bytes() {
        rig.hears([byte]);
        rig.waits(1.0);
        if rig.end.is_some() {
            break;
        }
    }
    assert_eq!(rig.error().kind(), ErrorKind::Unavailable);
    assert!(rig.now < MonoTime(17_000_000), "{:?}", rig.now);
}

#[test]
fn bad_descriptions() {
    let described_as = |answer: String| {
        let mut rig = Rig::plain();
        rig.out();
        rig.hears(OPTIONS);
        rig.hears(answer);
        rig.waits(5.0);
        rig.error().kind()
    };
    assert_eq!(described_as(described("v=0\r\n")), ErrorKind::Invalid);
    assert_eq!(described_as(ok("")), ErrorKind::Invalid);
    let large = "RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\nContent-Length: 10000000\r\n\r\nv=0\r\n";
    assert_eq!(described_as(large.into()), ErrorKind::Invalid);
    // One without its length is taken.
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(format!("RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n{SDP}"));
    assert_eq!(rig.waits(1.1), ["SETUP rtsp://cam/live/track1"]);
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    rig.hears(format!("RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n{SDP}"));
    assert_eq!(rig.closes(), ["connect cam"]);
    rig.session.connected(rig.now);
    assert_eq!(rig.out(), ["SETUP rtsp://cam/live/track1"]);
}

#[test]
fn a_way_on_which_nothing_comes_is_changed() {
    let mut rig = Rig::plain().play();
    rig.waits(10.0);
    rig.session.stop(rig.now);
    assert!(rig.session.quirks().prefers_udp);
    let mut rig = Rig::plain().play();
    rig.picture();
    rig.waits(10.0);
    rig.session.stop(rig.now);
    assert!(!rig.session.quirks().prefers_udp);
}

#[test]
fn foreign_bytes_are_passed_over_and_a_lost_length_given_up() {
    let mut rig = Rig::plain().play();
    rig.picture();
    rig.hears("garbage without a dollar\x00\x01");
    rig.picture();
    assert_eq!(rig.session.foreign(), (26, 1));
    rig.session.taken().clear();
    rig.hears([b'$', 0, 0xff, 0xff, 0x80, 96, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]);
    let before = rig.session.media.heard();
    rig.waits(0.5);
    rig.hears(framed(0, &[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0x65]).expect("short"));
    assert_eq!(rig.session.media.heard(), before);
    rig.waits(2.0);
    assert!(rig.session.media.heard() > before);
}

proptest! {
    /// Whatever a camera says, a session ends or goes on, and asks for finitely much before it plays.
    #[test]
    fn any_dialogue_ends(says in proptest::collection::vec((0..14usize, 0..4u32), 0..60), user in any::<bool>(), udp in any::<bool>()) {
        let url = if user { "rtsp://me:pass@cam/live" } else { "rtsp://cam/live" };
        let mut rig = Rig::new(url, if udp { Transport::Udp } else { Transport::Auto }, Quirks::default());
        let mut requests = 0;
        for (what, seconds) in says {
            let mut out = rig.out();
            out.extend(match what {
                0..=2 => rig.hears(SETUP),
                3 => rig.hears(described(SDP)),
                4 => rig.hears(CHALLENGE),
                5 => rig.hears(CHALLENGE.replace("NONCE\"", &format!("{requests}\", stale=true"))),
                6 => rig.hears(status(461)),
                7 => rig.hears(status(404)),
                8 => rig.hears(status(302).replace("\r\n\r\n", "\r\nLocation: /x\r\n\r\n")),
                9 => rig.closes(),
                10 => rig.hears(b"$\x00\x00\x0e\x80\x60\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09\x65\x88"),
                11 => rig.hears("OPTIONS * RTSP/1.0\r\n\r\n"),
                12 => rig.hears(b"\x00$\xff\xff"),
                _ => rig.waits(f64::from(seconds)),
            });
            if out.iter().any(|o| o.starts_with("connect")) {
                rig.session.connected(rig.now);
            }
            if out.iter().any(|o| o.starts_with("ports")) {
                rig.session.opened(rig.now, Ok((5000, 5001)));
            }
            requests += out.iter().filter(|o| o.contains("rtsp://")).count();
            if rig.end.is_some() {
                prop_assert!(rig.session.deadline().is_none() && rig.session.poll().is_none());
                return Ok(());
            }
        }
        prop_assert!(requests < 60);
        rig.session.stop(rig.now);
        rig.out();
        rig.waits(2.0);
        prop_assert!(rig.end.is_some());
    }
}

#[path = "redirect_tests.rs"]
mod redirects;
