//! A session and its viewer in memory, with time moved by hand.

use super::*;
use crate::fanout::Hub;
use crate::webrtc::cameras::LiveCamera;
use crate::webrtc::dtls;
use crate::webrtc::machine::Nowhere;
use crate::webrtc::offer::{DtlsIdentity, SendSettings, negotiate};
use crate::webrtc::plan::Sendable;
use perch_base::clock::ManualClock;
use perch_base::ids::{CameraId, DeviceId};
use perch_domain::access::Role;
use perch_domain::media::{Packet, VideoCodec};
use perch_domain::orientation::Orientation;
use perch_domain::viewer_codecs::H264Stream;
use str0m::change::SdpAnswer;
use str0m::config::CryptoProvider;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::DatagramRecv;
use str0m::rtp::VideoOrientation;
use str0m::{Candidate, Output, Rtc, RtcConfig};

fn box_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 8189))
}

fn viewer_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 50_000))
}

/// What the box sent.
#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl Outbox for Sent {
    fn push(&mut self, _: SocketAddr, _: SocketAddr, datagram: &[u8]) {
        self.0.push(datagram.to_vec());
    }
}

struct Pair {
    now: Instant,
    session: Session,
    viewer: Rtc,
    video: Mid,
    viewer_connected: bool,
    /// How each picture's last packet says that it is turned.
    orientations: Vec<Option<VideoOrientation>>,
}

impl Pair {
    /// The viewer leaves the first flight of DTLS to the box, so that the last one is its own.
    fn new() -> Self {
        Self::of(Rtc::builder().set_crypto_provider(Arc::new(str0m::crypto::from_feature_flags())), |offer| {
            offer.replace("a=setup:actpass", "a=setup:passive")
        })
    }

    /// A viewer that shows an RSA certificate, as GStreamer's does.
    fn with_rsa(altered: fn(&str) -> String) -> Self {
        let dtls_provider = dtls::provider();
        let crypto = Arc::new(CryptoProvider { dtls_provider, ..str0m::crypto::from_feature_flags() });
        Self::of(Rtc::builder().set_crypto_provider(crypto).set_dtls_cert(dtls::tests::rsa_certificate()), altered)
    }

    /// Whose offer reaches the box `altered`.
    fn of(viewer: RtcConfig, altered: fn(&str) -> String) -> Self {
        let now = Instant::now();
        let mut viewer = viewer.set_rtp_mode(true).build(now);
        viewer.add_local_candidate(Candidate::host(viewer_address(), "udp").expect("valid"));
        let mut api = viewer.sdp_api();
        let video = api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("changes");
        let streams = Sendable { codec: VideoCodec::H264, h264: H264Stream::default(), h265: None, audio: false };
        let wanted = SendSettings { streams, reports_every: Duration::from_secs(5) };
        let identity = DtlsIdentity::generate().expect("a certificate");
        let local = [Candidate::host(box_address(), "udp").expect("valid")];
        let offer = altered(&offer.to_sdp_string());
        let negotiated = negotiate(&identity, &local, &offer, wanted, now).expect("accepted");
        let answer = SdpAnswer::from_sdp_string(&negotiated.answer).expect("well-formed");
        viewer.sdp_api().accept_answer(pending, answer).expect("fits");
        let viewer_is = Principal {
            device_id: DeviceId::random(),
            device_name: "phone".into(),
            username: None,
            role: Role::Viewer,
            cameras: perch_domain::access::CameraGrant::All,
            limits: Default::default(),
        };
        let hub = Hub::new(CameraId::new("front").expect("valid"), std::sync::Arc::new(ManualClock::default()));
        let live =
            LiveCamera { hub, codec: VideoCodec::H264, has_audio: false, only_small: false, h265: false, vp8: None };
        let (camera, stream) = (Arc::new(KeyedCamera { key: 0, live }), Stream::Main);
        let feed = FeedId { camera: camera.key, stream: Some(stream) };
        let lease = LeaseId::random();
        let start = Start {
            lease,
            viewer: viewer_is,
            camera,
            wish: RateWish { stream: StreamChoice::Fixed(stream), budget: None, sound_only: false },
            negotiated,
        };
        let session = Session::new(start, feed, Timestamp(0), MonoTime(0));
        Self { now, session, viewer, video, viewer_connected: false, orientations: Vec::new() }
    }

    /// What the viewer has to send now.
    fn viewer_says(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            match self.viewer.poll_output().expect("sound") {
                Output::Timeout(_) => return out,
                Output::Transmit(t) => out.push(t.contents.to_vec()),
                Output::Event(Event::RtpPacket(packet)) if packet.header.marker => {
                    self.orientations.push(packet.header.ext_vals.video_orientation);
                }
                Output::Event(event) => self.viewer_connected |= matches!(event, Event::Connected),
            }
        }
    }

    fn tell_viewer(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        let contents = DatagramRecv::try_from(datagram).expect("well-formed");
        let message = Receive { proto: Protocol::Udp, source: box_address(), destination: viewer_address(), contents };
        self.viewer.handle_input(Input::Receive(self.now, message)).expect("sound");
        self.viewer_says()
    }

    /// Time goes on by `ms`, both sides run, and what they say to it arrives where `passes`. Stops when the viewer connects: its
    /// answer to the last datagram has not arrived then and is returned.
    fn step(&mut self, ms: u64, passes: fn(&[u8]) -> bool) -> Option<Vec<Vec<u8>>> {
        self.now += Duration::from_millis(ms);
        let mut sent = Sent::default();
        self.session.drive(self.now, &mut sent);
        self.viewer.handle_input(Input::Timeout(self.now)).expect("sound");
        let mut said = self.viewer_says();
        loop {
            for datagram in said.drain(..).filter(|d| passes(d)) {
                self.session.receive(viewer_address(), box_address(), &datagram, self.now, &mut sent);
            }
            // What was written leaves with the time.
            self.session.drive(self.now, &mut sent);
            if sent.0.is_empty() {
                return None;
            }
            for datagram in std::mem::take(&mut sent.0) {
                let was = self.viewer_connected;
                let answer = self.tell_viewer(&datagram);
                if self.viewer_connected && !was {
                    return Some(answer);
                }
                said.extend(answer);
            }
        }
    }

    /// Steps until the viewer is connected. Returns its last flight, which has not arrived.
    fn last_flight(&mut self) -> Vec<Vec<u8>> {
        (0..500).find_map(|_| self.step(10, |_| true)).expect("the viewer connects within 5 s")
    }
}

/// Whether there is a sign of life within `seconds` in which only what `passes` arrives.
fn lives(pair: &mut Pair, seconds: u32, passes: fn(&[u8]) -> bool) -> bool {
    let mut alive = false;
    for tick in 0..seconds * 50 {
        // A picture each 100 ms, so that there is something to report on.
        if tick % 5 == 0 {
            let data = bytes::Bytes::from_static(&[0, 0, 0, 1, 0x65, 1, 2, 3]);
            let packet = Packet::new(Track::Video, data, MonoTime(i64::from(tick) * 20_000), true);
            let frame = Frame::new(&packet, pair.now, false);
            pair.session.live(pair.session.feed, &frame, &mut Nowhere);
        }
        pair.step(20, passes);
        alive |= pair.session.take_life_sign();
        if pair.session.phase == SessionPhase::Over {
            break;
        }
    }
    alive
}

#[test]
fn receiver_reports_and_consent_are_signs_of_life_and_silence_and_forgeries_are_not() {
    let is_rtcp = |d: &[u8]| (128..192).contains(&d[0]);
    let mut pair = Pair::new();
    for datagram in pair.last_flight() {
        pair.session.receive(viewer_address(), box_address(), &datagram, pair.now, &mut Nowhere);
    }
    assert!(pair.session.connected());
    lives(&mut pair, 2, |_| true);
    assert!(lives(&mut pair, 10, |_| true));
    assert!(lives(&mut pair, 11, |d| d[0] < 4), "consent alone");
    assert!(lives(&mut pair, 6, is_rtcp), "reports alone");
    assert_eq!(pair.session.phase, SessionPhase::Live);
    // Anybody can send what looks like a report or an answer from the viewer's address.
    pair.session.take_life_sign();
    lives(&mut pair, 6, |_| false);
    let mut forged = vec![0x81, 201, 0, 7];
    forged.resize(50, 9);
    pair.session.receive(viewer_address(), box_address(), &forged, pair.now, &mut Nowhere);
    assert!(!lives(&mut pair, 12, |_| false));
}

/// A viewer is connected before its last flight has arrived, and asks for a picture at once: both come in one batch. The keys of
/// SRTCP are there only after a drain.
#[test]
fn rtcp_that_comes_with_the_last_flight_of_dtls_is_heard() {
    for (drained, heard) in [(true, true), (false, false)] {
        let mut pair = Pair::new();
        let mut batch = pair.last_flight();
        let (now, video) = (pair.now, pair.video);
        assert!(!pair.session.connected(), "the flight has not arrived");
        let mut api = pair.viewer.direct_api();
        api.stream_rx_by_mid(video, None).expect("declared").request_keyframe(KeyframeRequestKind::Pli);
        pair.viewer_says();
        pair.viewer.handle_input(Input::Timeout(now)).expect("sound");
        batch.extend(pair.viewer_says());
        let (from, to, mut out) = (viewer_address(), box_address(), Sent::default());
        if drained {
            for datagram in &batch {
                pair.session.receive(from, to, datagram, now, &mut out);
            }
        } else {
            // All datagrams as one change: how a machine must not be used.
            pair.session.mutate(&mut out, |rtc| {
                for datagram in &batch {
                    let message = Receive::new(Protocol::Udp, from, to, datagram).expect("well-formed");
                    rtc.handle_input(Input::Receive(now, message)).expect("sound");
                }
            });
        }
        assert!(pair.session.connected());
        assert_eq!(pair.session.wishes.contains(&SessionWish::Keyframe), heard, "{} datagrams", batch.len());
        // And it is counted, though it was one closure.
        let too_early = if drained { 0 } else { batch.len() as u64 - 1 };
        assert_eq!(pair.session.take_undrained(), too_early);
    }
}

#[test]
fn a_viewer_with_an_rsa_certificate_is_connected_in_either_role() {
    let altered: [fn(&str) -> String; 2] = [
        |offer| offer.replace("setup:actpass", "setup:active"),
        |offer| offer.replace("setup:actpass", "setup:passive"),
    ];
    for altered in altered {
        let mut pair = Pair::with_rsa(altered);
        for datagram in pair.last_flight() {
            pair.session.receive(viewer_address(), box_address(), &datagram, pair.now, &mut Nowhere);
        }
        assert!(lives(&mut pair, 10, |d| (128..192).contains(&d[0])), "its reports are understood");
        assert_eq!(pair.session.phase, SessionPhase::Live);
    }
}

#[test]
fn a_viewer_whose_certificate_is_another_than_its_offer_says_gets_nothing() {
    let mut pair = Pair::with_rsa(|offer| {
        let at = offer.find("a=fingerprint:sha-256 ").expect("a fingerprint") + 22;
        let other = if &offer[at..at + 2] == "00" { "01" } else { "00" };
        format!("{}{other}{}", &offer[..at], &offer[at + 2..]).replace("setup:actpass", "setup:passive")
    });
    for datagram in pair.last_flight() {
        pair.session.receive(viewer_address(), box_address(), &datagram, pair.now, &mut Nowhere);
    }
    assert_eq!((pair.session.phase, pair.session.connected()), (SessionPhase::Over, false));
}

#[test]
fn a_picture_of_many_packets_is_one_change() {
    let mut pair = Pair::new();
    for datagram in pair.last_flight() {
        pair.session.receive(viewer_address(), box_address(), &datagram, pair.now, &mut Nowhere);
    }
    let data = bytes::Bytes::from([&[0, 0, 0, 1, 0x65][..], &vec![0x55; 10_000]].concat());
    let packet = Packet::new(Track::Video, data, MonoTime(0), true);
    let frame = Frame::new(&packet, pair.now, false);
    assert!(frame.payloads.len() > 5);
    let mut sent = Sent::default();
    pair.session.live(pair.session.feed, &frame, &mut sent);
    pair.session.drive(pair.now, &mut sent);
    let media = sent.0.iter().filter(|d| (128..192).contains(&d[0]) && !(192..=223).contains(&d[1])).count();
    assert_eq!((media, pair.session.take_undrained()), (frame.payloads.len(), 0));
}

#[test]
fn pictures_say_how_they_are_turned() {
    let mut pair = Pair::new();
    for datagram in pair.last_flight() {
        pair.session.receive(viewer_address(), box_address(), &datagram, pair.now, &mut Nowhere);
    }
    let side = Orientation { mirrored: false, quarters: 1 };
    let slice = |kind: u8| [&[0, 0, 0, 1, kind][..], &[0x55; 3_000]].concat();
    let said = [&[0, 0, 0, 1][..], &side.message(VideoCodec::H264), &slice(0x65)].concat();
    let pictures = [(said, true), (slice(0x41), false), (slice(0x65), true), (slice(0x41), false)];
    for (n, (data, keyframe)) in (1i64..).zip(pictures) {
        let packet = Packet::new(Track::Video, data.into(), MonoTime(n * 40_000), keyframe);
        let packet = Packet { codec: Some(VideoCodec::H264), ..packet };
        let frame = Frame::new(&packet, pair.now, false);
        let mut sent = Sent::default();
        pair.session.live(pair.session.feed, &frame, &mut sent);
        pair.session.drive(pair.now, &mut sent);
        for datagram in sent.0 {
            pair.tell_viewer(&datagram);
        }
        pair.step(40, |_| true);
    }
    let (turned, upright) = (Some(VideoOrientation::Deg270), Some(VideoOrientation::Deg0));
    assert_eq!(pair.orientations, [turned, turned, upright, None], "each that is turned, and each keyframe");
}

/// The numbers of the packets of pictures among what was sent, which all bear the first one's source.
fn numbers(sent: &Sent) -> Vec<u16> {
    let media = |d: &&Vec<u8>| (128..192).contains(&d[0]) && !(192..=223).contains(&d[1]);
    let source = sent.0.iter().find(media).map(|d| d[8..12].to_vec()).unwrap_or_default();
    let ours = sent.0.iter().filter(media).filter(|d| d[8..12] == source);
    ours.map(|d| u16::from_be_bytes([d[2], d[3]])).collect()
}

#[test]
fn of_pictures_that_wait_for_a_narrow_way_the_rest_is_left_out_and_no_number_is_missing() {
    let mut pair = Pair::new();
    for datagram in pair.last_flight() {
        pair.session.receive(viewer_address(), box_address(), &datagram, pair.now, &mut Nowhere);
    }
    let picture = |ms: i64, keyframe: bool, bytes: usize| {
        let data = bytes::Bytes::from([&[0, 0, 0, 1, 0x65][..], &vec![0x55; bytes]].concat());
        Frame::new(&Packet::new(Track::Video, data, MonoTime(ms * 1000), keyframe), Instant::now(), false)
    };
    let (feed, mut sent) = (pair.session.feed, Sent::default());
    pair.session.wishes.clear();
    (pair.session.link.estimate_bps, pair.session.needs_bps) = (Some(200_000), 2_000_000);
    let large = picture(0, true, 40_000);
    pair.session.live(feed, &large, &mut sent);
    pair.session.drive(pair.now, &mut sent);
    let first = numbers(&sent).len();
    assert!((1..5).contains(&first), "{first}");
    let backlog = |session: &Session| session.video.as_ref().map_or(Duration::ZERO, LineSender::backlog);
    assert!(pair.session.due(pair.now) > pair.now && backlog(&pair.session) > Duration::from_millis(500));
    pair.session.leave_out_waiting();
    pair.session.live(feed, &picture(40, false, 100), &mut sent);
    assert_eq!(backlog(&pair.session), Duration::ZERO, "it would refer to what was left out");
    // There is room again.
    pair.session.link.estimate_bps = Some(20_000_000);
    let small = picture(80, true, 10_000);
    pair.session.live(feed, &small, &mut sent);
    pair.session.live(feed, &picture(120, false, 100), &mut sent);
    for ms in 0..400 {
        pair.session.drive(pair.now + Duration::from_millis(ms), &mut sent);
    }
    let numbers = numbers(&sent);
    assert_eq!(numbers.len(), first + small.payloads.len() + 1);
    assert!(numbers.windows(2).all(|two| two[1] == two[0].wrapping_add(1)), "{numbers:?}");
}
