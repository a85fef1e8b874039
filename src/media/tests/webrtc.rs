//! The WHEP engine with real viewers over loopback: pictures arrive whole, sessions end and free everything, junk disturbs nobody.
#![allow(clippy::disallowed_methods, reason = "tests pace pictures and start real players")]

#[path = "webrtc/bad_networks.rs"]
mod bad_networks;
#[path = "webrtc/coturn.rs"]
mod coturn;
#[path = "webrtc/listening.rs"]
mod listening;
#[path = "webrtc/path.rs"]
mod path;
#[path = "webrtc/rates.rs"]
mod rates;
#[path = "webrtc/relays.rs"]
mod relays;
#[path = "webrtc/serving.rs"]
mod serving;
#[path = "webrtc/source.rs"]
mod source;
#[path = "webrtc/talk_attacks.rs"]
mod talk_attacks;
#[path = "webrtc/talking.rs"]
mod talking;
#[path = "webrtc/viewer.rs"]
mod viewer;

use perch_base::clock::{Clock, Sleep, SystemClock};
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{ErrorKind, Result};
use perch_domain::access::{CameraGrant, Principal, Role};
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use perch_domain::ports::{LivePort, WatchRequest};
use perch_domain::stream_choice::StreamChoice;
use perch_domain::viewers::ViewerLimits;
use perch_media::fanout::Hub;
use perch_media::webrtc::{Config, Engine, LiveCamera};
use serving::Serving;
use source::Source;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};
use str0m::format::Codec;
use viewer::{Offer, Viewer};

/// The machine's clock, set forward at will.
#[derive(Default)]
struct Jumping {
    by_us: AtomicI64,
    /// The engine's next look at it panics.
    breaks: AtomicBool,
}

impl Clock for Jumping {
    fn utc(&self) -> Timestamp {
        SystemClock.utc().plus_micros(self.by_us.load(Ordering::SeqCst))
    }
    fn mono(&self) -> MonoTime {
        let is_engine = std::thread::current().name() == Some("webrtc");
        assert!(!(is_engine && self.breaks.swap(false, Ordering::SeqCst)), "a defect, made for the test");
        MonoTime(SystemClock.mono().0 + self.by_us.load(Ordering::SeqCst))
    }
    fn sleep_until(&self, at: MonoTime) -> Sleep {
        SystemClock.sleep(at.since(self.mono()))
    }
}

struct Bench {
    clock: Arc<Jumping>,
    source: Source,
    engine: Arc<Engine>,
    serving: Serving,
}

impl Bench {
    fn new() -> Self {
        Self::with(Config::new("127.0.0.1:0".parse().expect("valid")))
    }

    fn with(config: Config) -> Self {
        source::canned();
        let clock = Arc::new(Jumping::default());
        let source = Source::start("front", clock.clone(), clock.clone());
        let camera = LiveCamera {
            hub: source.hub.clone(),
            codec: VideoCodec::H264,
            has_audio: true,
            only_small: false,
            h265: false,
            vp8: None,
        };
        let (engine, server) = Engine::open(config, vec![camera], clock.clone()).expect("opens");
        Self { clock, source, engine, serving: Serving::start(server) }
    }

    fn request(&self, device: DeviceId, stream: StreamChoice, offer: &str) -> WatchRequest {
        self.request_of("front", device, stream, offer)
    }

    fn request_of(&self, camera: &str, device: DeviceId, stream: StreamChoice, offer: &str) -> WatchRequest {
        let viewer = Principal {
            device_id: device,
            device_name: "phone".into(),
            username: None,
            role: Role::Viewer,
            cameras: CameraGrant::All,
            limits: Default::default(),
        };
        WatchRequest {
            camera: CameraId::new(camera).expect("valid"),
            stream,
            budget: None,
            sound_only: false,
            offer: offer.into(),
            viewer,
        }
    }

    fn watch(&self, device: DeviceId, stream: Stream) -> (LeaseId, Viewer) {
        self.watch_camera("front", device, stream)
    }

    fn watch_camera(&self, camera: &str, device: DeviceId, stream: Stream) -> (LeaseId, Viewer) {
        let offer = Offer::new();
        let request = self.request_of(camera, device, StreamChoice::Fixed(stream), &offer.sdp);
        let answer = self.engine.watch(request).expect("accepted");
        (answer.lease, offer.go(&answer.sdp))
    }

    fn consumers(&self) -> usize {
        Stream::ALL.iter().map(|s| self.source.hub.consumers(*s).len()).sum()
    }

    fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        self.until_within(Duration::from_secs(5), what, done);
    }

    fn until_within(&self, limit: Duration, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.engine.stats());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn nothing_is_left(&self) {
        self.until("all freed", |b| b.engine.stats().sessions == 0 && b.consumers() == 0);
        assert!(self.engine.sessions().expect("answers").is_empty());
        let demand = self.source.control.demand();
        assert!(!demand.sub && !demand.audio);
    }
}

fn device() -> DeviceId {
    DeviceId::random()
}

#[test]
fn pictures_and_sound_arrive_whole_and_in_order() {
    let bench = Bench::new();
    let device = device();
    let (lease, viewer) = bench.watch(device, Stream::Main);
    let seen = viewer.until("two seconds of media", |s| s.frames >= 60 && s.sounds >= 90);
    assert_eq!((seen.broken, seen.gaps), (0, 0));
    assert!(seen.first_frame.expect("seen") < Duration::from_millis(1500), "{:?}", seen.first_frame);
    let sessions = bench.engine.sessions().expect("answers");
    assert_eq!(sessions.len(), 1);
    assert!(sessions[0].connected && sessions[0].bytes_sent > 100_000);
    assert_eq!(sessions[0].remote, viewer.address.to_string());
    assert_eq!(bench.engine.owner(lease).expect("answers"), Some(device));
    bench.engine.renew(lease).expect("alive");
    bench.engine.end(lease).expect("there");
    viewer.until("goodbye", |s| s.closed);
    bench.nothing_is_left();
    bench.engine.end(lease).expect("it has ended, as is asked");
    assert_eq!(bench.engine.end(LeaseId::random()).expect_err("never was").kind(), ErrorKind::NotFound);
    assert_eq!(bench.engine.renew(lease).expect_err("gone").kind(), ErrorKind::NotFound);
    assert_eq!(bench.engine.owner(lease).expect("answers"), Some(device), "it was");
    assert_eq!(bench.engine.owner(LeaseId::random()).expect("answers"), None);
}

/// Each is work on the thread of everybody's media.
#[test]
fn a_flood_of_restarts_is_refused_and_others_watch_on() {
    let bench = Bench::new();
    let (lease, _flooder) = bench.watch(device(), Stream::Main);
    let (_, other) = bench.watch(device(), Stream::Main);
    other.until("a picture", |s| s.frames > 10);
    let fragment = |n| format!("a=ice-ufrag:new{n}\r\na=ice-pwd:{}\r\n", "p".repeat(24));
    let answers: Vec<_> = (0..500).map(|n| bench.engine.trickle(lease, &fragment(n))).collect();
    let answered = answers.iter().filter(|a| matches!(a, Ok(Some(_)))).count();
    // One more each two seconds that this takes here.
    assert!((32..=64).contains(&answered), "{answered} restarts");
    let refused = |a: &Result<Option<String>>| a.as_ref().is_err_and(|e| e.kind() == ErrorKind::RateLimited);
    assert_eq!(answers.iter().filter(|a| refused(a)).count(), 500 - answered);
    bench.clock.by_us.fetch_add(10_000_000, Ordering::SeqCst);
    assert!(bench.engine.trickle(lease, &fragment(500)).expect("one by one").is_some());
    let frames = other.seen().frames;
    let seen = other.until("goes on", |s| s.frames > frames + 30);
    assert_eq!((seen.broken, bench.engine.stats().undrained), (0, 0));
}

#[test]
fn viewers_share_one_attachment_and_a_late_one_sees_at_once() {
    let bench = Bench::new();
    let (_, first) = bench.watch(device(), Stream::Main);
    first.until("a picture", |s| s.frames > 10);
    let (_, second) = bench.watch(device(), Stream::Main);
    let seen = second.until("a picture", |s| s.frames > 10);
    assert_eq!(seen.broken, 0);
    assert_eq!(bench.source.hub.consumers(Stream::Main), ["webrtc"]);
    drop(first);
    second.until("goes on", |s| s.frames > 30);
    drop(second);
    bench.nothing_is_left();
}

#[test]
fn a_lapsed_lease_frees_everything() {
    let bench = Bench::new();
    let (kept, _main) = bench.watch(device(), Stream::Main);
    let (_, sub) = bench.watch(device(), Stream::Sub);
    sub.until("the small stream", |s| s.frames > 5);
    assert!(bench.source.control.demand().sub);
    sub.knobs.vanish.store(true, Ordering::SeqCst);
    bench.until("it is gone", |_| sub.is_gone());
    bench.until("one is left", |b| {
        b.clock.by_us.fetch_add(1_000_000, Ordering::SeqCst);
        b.engine.renew(kept).expect("in time");
        b.engine.stats().sessions == 1 && b.consumers() == 1
    });
    assert!(!bench.source.control.demand().sub);
}

/// A player that knows nothing of our leases: it reports what it receives, as every WebRTC player does.
#[test]
fn a_player_without_keep_alive_stays_while_it_is_there() {
    let bench = Bench::new();
    let offer = Offer::new();
    let answer = bench.engine.watch(bench.request(device(), StreamChoice::Auto, &offer.sdp)).expect("accepted");
    let viewer = offer.go(&answer.sdp);
    viewer.until("a picture", |s| s.frames > 3);
    for _ in 0..3 {
        // Reports are looked at once a second, and one is about a second old.
        let frames = viewer.seen().frames;
        viewer.until("three seconds", |s| s.frames > frames + 90);
        bench.clock.by_us.fetch_add(20_000_000, Ordering::SeqCst);
    }
    assert_eq!(bench.engine.sessions().expect("answers").len(), 1, "60 s and more");
    viewer.knobs.vanish.store(true, Ordering::SeqCst);
    bench.until("the lease to lapse", |b| {
        b.clock.by_us.fetch_add(100_000, Ordering::SeqCst);
        b.engine.stats().sessions == 0
    });
    bench.nothing_is_left();
}

#[test]
fn a_session_that_never_connects_ends_by_its_lease() {
    let bench = Bench::new();
    let offer = Offer::new();
    bench.engine.watch(bench.request(device(), StreamChoice::Auto, &offer.sdp)).expect("accepted");
    assert_eq!(bench.consumers(), 1);
    bench.clock.by_us.fetch_add(31_000_000, Ordering::SeqCst);
    bench.nothing_is_left();
}

/// A browser that leaves a page closes its connections at once, so that DTLS says goodbye before the page's own request arrives.
#[test]
fn a_goodbye_after_the_connection_was_closed_is_taken() {
    let bench = Bench::new();
    let device = device();
    let (lease, viewer) = bench.watch(device, Stream::Main);
    viewer.until("a picture", |s| s.frames > 3);
    drop(viewer);
    bench.nothing_is_left();
    assert_eq!(bench.engine.owner(lease).expect("answers"), Some(device));
    bench.engine.end(lease).expect("it has ended, as is asked");
    let more = bench.engine.trickle(lease, "a=end-of-candidates").expect_err("nothing can be added to it");
    assert_eq!(more.kind(), ErrorKind::NotFound);
    assert_eq!(bench.engine.renew(lease).expect_err("gone").kind(), ErrorKind::NotFound);
}

#[test]
fn a_revoked_device_sees_nothing_more_at_once() {
    let bench = Bench::new();
    let (revoked, other) = (device(), device());
    let (_, a) = bench.watch(revoked, Stream::Main);
    let (_, b) = bench.watch(revoked, Stream::Main);
    let (_, c) = bench.watch(other, Stream::Main);
    for v in [&a, &b, &c] {
        v.until("a picture", |s| s.frames > 3);
    }
    let started = Instant::now();
    bench.engine.end_device(revoked).expect("ended");
    for v in [&a, &b] {
        v.until("ended", |s| s.closed);
    }
    assert!(started.elapsed() < Duration::from_secs(1));
    let before = c.seen().frames;
    c.until("undisturbed", |s| s.frames > before + 10 && s.broken == 0);
    assert_eq!(bench.engine.sessions().expect("answers").len(), 1);
}

#[test]
fn an_engine_that_is_gone_says_so() {
    let bench = Bench::new();
    let (_, viewer) = bench.watch(device(), Stream::Main);
    viewer.until("a picture", |s| s.frames > 3);
    bench.serving.stop();
    let gone = [
        bench.engine.end_device(device()).expect_err("gone"),
        bench.engine.owner(LeaseId::random()).map(drop).expect_err("gone"),
        bench.engine.sessions().map(drop).expect_err("gone"),
    ];
    assert!(gone.iter().all(|e| e.kind() == ErrorKind::Unavailable), "{gone:?}");
    assert!(gone.iter().all(|e| e.inside() == Some("the WebRTC engine is gone")), "{gone:?}");
    viewer.until("goodbye", |s| s.closed);
}

#[test]
fn after_a_breakdown_viewers_connect_again_and_in_the_end_the_port_is_free() {
    let bench = Bench::new();
    let address = bench.engine.local_addr();
    let (_, viewer) = bench.watch(device(), Stream::Main);
    viewer.until("a picture", |s| s.frames > 3);
    bench.clock.breaks.store(true, Ordering::SeqCst);
    bench.until("the attempt fails", |b| !b.serving.failures().is_empty());
    UdpSocket::bind(address).expect_err("the port stays the engine's");
    bench.nothing_is_left();
    let (_, again) = bench.watch(device(), Stream::Main);
    let seen = again.until("pictures", |s| s.frames > 30);
    assert_eq!(seen.broken, 0);
    let failures = bench.serving.failures();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("broke down"), "{failures:?}");
    bench.serving.stop();
    bench.until("freed", |b| b.consumers() == 0);
    UdpSocket::bind(address).expect("the port is free");
}

#[test]
fn a_storm_of_picture_requests_forces_one_keyframe_a_second() {
    let bench = Bench::new();
    let (_, viewer) = bench.watch(device(), Stream::Main);
    viewer.until("a picture", |s| s.frames > 3);
    let (before, started) = (bench.source.control.forced.load(Ordering::SeqCst), Instant::now());
    while started.elapsed() < Duration::from_millis(2200) {
        viewer.knobs.plis.store(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(4));
    }
    let forced = bench.source.control.forced.load(Ordering::SeqCst) - before;
    assert!((1..=3).contains(&forced), "{forced}");
}

#[test]
fn lost_packets_are_sent_again() {
    let bench = Bench::new();
    let (_, viewer) = bench.watch(device(), Stream::Main);
    viewer.until("a picture", |s| s.frames > 3);
    viewer.knobs.loss_percent.store(5, Ordering::SeqCst);
    viewer.until("pictures in spite of loss", |s| s.frames > 120 && s.thrown > 15);
    viewer.knobs.loss_percent.store(0, Ordering::SeqCst);
    let frames = viewer.seen().frames;
    let seen = viewer.until("all healed", |s| s.frames > frames + 30);
    assert_eq!((seen.broken, seen.gaps), (0, 0), "{} thrown", seen.thrown);
    assert_eq!(bench.engine.stats().undrained, 0);
}

/// The small stream's pictures carry the same times as those of the main stream and come after them.
#[test]
fn a_viewer_that_loses_much_goes_on_with_a_keyframe_of_the_small_stream() {
    let bench = Bench::new();
    let offer = Offer::new();
    let answer = bench.engine.watch(bench.request(device(), StreamChoice::Auto, &offer.sdp)).expect("accepted");
    let viewer = offer.go(&answer.sdp);
    viewer.until("a picture", |s| s.frames > 3);
    viewer.knobs.loss_percent.store(60, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(15);
    while !bench.source.control.demand().sub {
        assert!(Instant::now() < deadline, "the stream stays: {} thrown", viewer.seen().thrown);
        std::thread::sleep(Duration::from_millis(1));
    }
    viewer.knobs.loss_percent.store(0, Ordering::SeqCst);
    let started = viewer.until("the small stream", |s| s.sub_begins.is_some());
    assert_eq!(started.sub_begins, Some(0), "its first picture is a keyframe");
    // Here, and not below: nothing is lost any more, so the large stream comes back in a few seconds.
    bench.until("main is given back", |b| b.source.hub.consumers(Stream::Main).is_empty());
    let seen = viewer.until("it goes on", |s| s.frames > started.frames + 40);
    assert_eq!((seen.broken, seen.gaps), (started.broken, started.gaps));
}

#[test]
fn junk_and_replays_disturb_nobody() {
    let bench = Bench::new();
    let (lease, viewer) = bench.watch(device(), Stream::Main);
    let recorded = viewer.until("a picture", |s| s.frames > 10).recorded;
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (to, before) = (bench.engine.local_addr(), memory());
    let mut junk = [0u8; 600];
    for n in 0..100_000u32 {
        match n % 4 {
            0 => {
                junk.fill((n % 251) as u8);
                let _ = stranger.send_to(&junk[..(n % 600) as usize], to);
            }
            1 => drop(stranger.send_to(&recorded[n as usize % recorded.len()], to)),
            2 => drop(stranger.send_to(&foreign_request(n), to)),
            _ => {
                let mut lie = recorded[n as usize % recorded.len()].clone();
                let at = n as usize % lie.len();
                lie[at] ^= 0x55;
                let _ = stranger.send_to(&lie, to);
            }
        }
    }
    let stats = bench.engine.stats();
    assert!(stats.packets_foreign > 1000, "{stats:?}");
    let grown = memory().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
    let frames = viewer.seen().frames;
    let seen = viewer.until("goes on", |s| s.frames > frames + 20);
    assert_eq!(seen.broken, 0);
    bench.engine.renew(lease).expect("alive");
    assert_eq!(
        bench.engine.sessions().expect("answers")[0].remote,
        viewer.address.to_string(),
        "media goes to the viewer alone"
    );
    assert_eq!(bench.engine.stats().undrained, 0);
}

/// A well-formed STUN request for a user fragment that nobody gave out.
fn foreign_request(n: u32) -> Vec<u8> {
    let mut m = vec![0, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42];
    m.extend_from_slice(&[n as u8; 12]);
    m.extend_from_slice(&[0, 6, 0, 7]);
    m.extend_from_slice(b"foo:bar\0");
    m
}

fn memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("readable");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

/// Sound of an absurd length overflows a session's time stamps, which panics where overflow is checked: a stand-in for any defect.
#[test]
#[cfg(debug_assertions)]
fn a_defect_while_media_is_written_ends_the_session_and_not_the_engine() {
    let bench = Bench::new();
    let (lease, viewer) = bench.watch(device(), Stream::Main);
    viewer.until("a picture and sound", |s| s.frames > 3 && s.sounds > 3);
    let (data, pts) = (source::canned().audio[0].clone(), bench.clock.mono() + Duration::from_secs(1));
    let duration = Duration::from_micros(i64::MAX as u64 / 2);
    let packet = Packet { duration, ..Packet::new(Track::Audio, data, pts, true) };
    bench.source.hub.publish_audio(Arc::new(packet));
    bench.nothing_is_left();
    assert_eq!(bench.engine.renew(lease).expect_err("over").kind(), ErrorKind::NotFound);
    let (_, next) = bench.watch(device(), Stream::Main);
    next.until("the engine goes on", |s| s.frames > 10);
}

#[test]
fn what_viewers_cannot_decode_is_refused_with_what_to_change() {
    let bench = Bench::new();
    let hub = Hub::new(CameraId::new("yard").expect("valid"), bench.clock.clone());
    bench.engine.set_camera(LiveCamera {
        hub: hub.clone(),
        codec: VideoCodec::H264,
        has_audio: false,
        only_small: false,
        h265: false,
        vp8: None,
    });
    let key = Packet::new(Track::Video, bytes::Bytes::from_static(&[0, 0, 0, 1, 0x26, 1, 2]), MonoTime(0), true);
    let later = Duration::from_millis(80);
    for (packet, what) in [
        (Packet { codec: Some(VideoCodec::H265), ..key.clone() }, "H.265"),
        (Packet { shown_later: later, pts: MonoTime(1), ..key }, "B-frames"),
    ] {
        hub.publish_video(Stream::Main, Arc::new(packet));
        let request = bench.request_of("yard", device(), StreamChoice::default(), &Offer::new().sdp);
        let refused = bench.engine.watch(request).map(drop).expect_err("not shown");
        assert!(refused.kind() == ErrorKind::Unsupported && refused.message().contains(what), "{refused}");
    }
}

/// An access unit that looks like H.265 to whoever only carries it.
fn h265_unit(keyframe: bool) -> bytes::Bytes {
    let nal = |kind: u8, len: usize| [&[0, 0, 0, 1, kind << 1, 1][..], &vec![0x55; len]].concat();
    let unit = if keyframe { [nal(32, 20), nal(33, 40), nal(34, 8), nal(19, 5000)].concat() } else { nal(1, 900) };
    unit.into()
}

#[test]
fn h265_is_shown_to_who_plays_it_and_the_small_stream_to_others() {
    let bench = Bench::new();
    let hub = Hub::new(CameraId::new("yard").expect("valid"), bench.clock.clone());
    let camera = LiveCamera {
        hub: hub.clone(),
        codec: VideoCodec::H264,
        has_audio: false,
        only_small: true,
        h265: true,
        vp8: None,
    };
    bench.engine.set_camera(camera);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A test that fails ends too.
        let _stops = Stops(&stop);
        scope.spawn(|| {
            for n in (0..).take_while(|_| !stop.load(Ordering::SeqCst)) {
                let (at, keyframe) = (n % 30, n % 30 == 0);
                let pts = bench.clock.mono();
                let large = Packet::new(Track::Video, h265_unit(keyframe), pts, keyframe);
                hub.publish_video(Stream::Main, Arc::new(Packet { codec: Some(VideoCodec::H265), ..large }));
                let small = source::canned().video[1][at].clone();
                hub.publish_video(Stream::Sub, Arc::new(Packet::new(Track::Video, small, pts, keyframe)));
                std::thread::sleep(Duration::from_millis(33));
            }
        });
        for (h265, choice, want) in [
            (true, StreamChoice::Auto, Codec::H265),
            (true, StreamChoice::Fixed(Stream::Main), Codec::H265),
            (true, StreamChoice::Fixed(Stream::Sub), Codec::H264),
            (false, StreamChoice::Auto, Codec::H264),
            (false, StreamChoice::Fixed(Stream::Main), Codec::H264),
        ] {
            let offer = Offer::playing(h265);
            let answer = bench.engine.watch(bench.request_of("yard", device(), choice, &offer.sdp));
            let viewer = offer.go(&answer.expect("accepted").sdp);
            let seen = viewer.until("pictures", |s| s.frames > 40);
            assert_eq!((seen.codec, seen.gaps), (Some(want), 0), "{choice:?}");
            let sessions = bench.engine.sessions().expect("answers");
            let stream = if want == Codec::H265 { Stream::Main } else { Stream::Sub };
            assert_eq!(sessions.last().map(|s| s.stream), Some(stream), "{choice:?}");
        }
    });
}

/// Between its offer and its connection a viewer may take seconds.
#[test]
fn the_stream_that_a_viewer_begins_with_is_chosen_when_it_connects() {
    let bench = Bench::new();
    let canned = |stream, pts| {
        let data = source::canned().video[usize::from(stream == Stream::Sub)][0].clone();
        Arc::new(Packet { codec: Some(VideoCodec::H264), ..Packet::new(Track::Video, data, pts, true) })
    };
    // A keyframe, and then more than is shown at once.
    let long_gop = |hub: &Hub, began: MonoTime| {
        hub.publish_video(Stream::Main, canned(Stream::Main, began));
        let large = Packet::new(Track::Video, vec![0x55; 1 << 20].into(), began + Duration::from_millis(40), false);
        hub.publish_video(Stream::Main, Arc::new(Packet { codec: Some(VideoCodec::H264), ..large }));
    };
    for begins_small in [false, true] {
        let name = if begins_small { "large" } else { "small" };
        let hub = Hub::new(CameraId::new(name).expect("valid"), bench.clock.clone());
        let has_audio = false;
        let live = LiveCamera {
            hub: hub.clone(),
            codec: VideoCodec::H264,
            has_audio,
            only_small: false,
            h265: false,
            vp8: None,
        };
        bench.engine.set_camera(live);
        let ago = |seconds| bench.clock.mono() - Duration::from_secs(seconds);
        hub.publish_video(Stream::Sub, canned(Stream::Sub, ago(1)));
        match begins_small {
            true => hub.publish_video(Stream::Main, canned(Stream::Main, ago(5))),
            false => long_gop(&hub, ago(5)),
        }
        let offer = Offer::new();
        let answer = bench.engine.watch(bench.request_of(name, device(), StreamChoice::Auto, &offer.sdp));
        let stream = || bench.engine.sessions().expect("answers").last().map(|session| session.stream);
        let first = if begins_small { Stream::Main } else { Stream::Sub };
        assert_eq!(stream(), Some(first), "as it stands at the offer");
        match begins_small {
            true => long_gop(&hub, ago(4)),
            false => hub.publish_video(Stream::Main, canned(Stream::Main, ago(0))),
        }
        let viewer = offer.go(&answer.expect("accepted").sdp);
        let seen = viewer.until("a picture at once", |s| s.frames > 0);
        let then = if begins_small { Stream::Sub } else { Stream::Main };
        let shown = seen.last_index.map(|(stream, _)| stream);
        assert_eq!((stream(), shown), (Some(then), Some(usize::from(then == Stream::Sub))));
    }
}

struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn cameras_come_change_and_go_while_others_play_on() {
    let bench = Bench::new();
    let (_, front) = bench.watch(device(), Stream::Main);
    front.until("a picture", |s| s.frames > 3);
    let attic = Source::start("attic", bench.clock.clone(), bench.clock.clone());
    let live = |has_audio| LiveCamera {
        hub: attic.hub.clone(),
        codec: VideoCodec::H264,
        has_audio,
        only_small: false,
        h265: false,
        vp8: None,
    };
    bench.engine.set_camera(live(false));
    let (silent, viewer) = bench.watch_camera("attic", device(), Stream::Main);
    viewer.until("the new camera", |s| s.frames > 10);
    bench.engine.set_camera(live(false));
    bench.engine.renew(silent).expect("nothing changed");
    bench.engine.set_camera(live(true));
    viewer.until("the end of what was before", |s| s.closed);
    let (_, viewer) = bench.watch_camera("attic", device(), Stream::Sub);
    viewer.until("the changed camera", |s| s.frames > 10 && s.sounds > 10);
    bench.engine.remove_camera(attic.hub.camera());
    viewer.until("the end", |s| s.closed);
    bench.until("all given back", |_| Stream::ALL.iter().all(|s| attic.hub.consumers(*s).is_empty()));
    let request = bench.request_of("attic", device(), StreamChoice::Auto, &Offer::new().sdp);
    assert_eq!(bench.engine.watch(request).expect_err("gone").kind(), ErrorKind::NotFound);
    let frames = front.seen().frames;
    let seen = front.until("undisturbed", |s| s.frames > frames + 10);
    assert_eq!((seen.broken, seen.gaps), (0, 0));
    assert_eq!(bench.engine.stats().undrained, 0);
}

#[test]
fn limits_and_refusals_are_said() {
    let mut config = Config::new("127.0.0.1:0".parse().expect("valid"));
    config.viewers = ViewerLimits { all: 3, per_person: 3, per_device: 2 };
    let bench = Bench::with(config);
    let (one, two) = (device(), device());
    let offer = Offer::new().sdp;
    let ask = |device| bench.engine.watch(bench.request(device, StreamChoice::Auto, &offer));
    assert!(ask(one).is_ok() && ask(one).is_ok());
    assert_eq!(ask(one).expect_err("its share is used").kind(), ErrorKind::Unavailable);
    assert!(ask(two).is_ok());
    let full = ask(two).expect_err("full");
    assert_eq!(full.kind(), ErrorKind::Unavailable);
    assert!(full.message().starts_with("3 live views are open"), "{full}");
    // From now on, without a restart.
    let mut config = Config::new(bench.engine.local_addr());
    config.viewers = ViewerLimits { all: 4, per_person: 3, per_device: 2 };
    bench.engine.follow(config);
    assert!(ask(two).is_ok());
    let mut elsewhere = bench.request(one, StreamChoice::Auto, &offer);
    elsewhere.camera = CameraId::new("attic").expect("valid");
    assert_eq!(bench.engine.watch(elsewhere).expect_err("no such camera").kind(), ErrorKind::NotFound);
    assert_eq!(
        bench.engine.watch(bench.request(two, StreamChoice::Auto, "hello")).expect_err("no SDP").kind(),
        ErrorKind::Invalid
    );
    assert_eq!(
        bench.engine.trickle(LeaseId::random(), "a=end-of-candidates").expect_err("no lease").kind(),
        ErrorKind::NotFound
    );
    let taken =
        Engine::open(Config::new(bench.engine.local_addr()), Vec::new(), bench.clock.clone()).expect_err("taken");
    assert_eq!(taken.kind(), ErrorKind::Unavailable);
    assert!(taken.to_string().contains("(UDP) is already in use"), "{taken}");
    bench.serving.stop();
    assert_eq!(ask(one).expect_err("stopped").kind(), ErrorKind::Unavailable);
    bench.until("freed", |b| b.consumers() == 0);
}
