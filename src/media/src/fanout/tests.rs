//! The hub with a fake encoder: consumers, joins, and controls and queues that ask the hub again.

use super::*;
use bytes::Bytes;
use perch_base::clock::{Clock, ManualClock};
use perch_domain::media::Packet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Default)]
struct FakeEncoder {
    forced: AtomicUsize,
    demand: Mutex<Demand>,
}

impl EncoderControl for FakeEncoder {
    fn commandable(&self, _: Stream) -> bool {
        true
    }
    fn force_keyframe(&self, _: Stream) {
        self.forced.fetch_add(1, Ordering::SeqCst);
    }
    fn set_demand(&self, demand: Demand) {
        *self.demand.lock().expect("not poisoned") = demand;
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    hub: Arc<Hub>,
    encoder: Arc<FakeEncoder>,
    n: i64,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let hub = Hub::new(CameraId::new("a").expect("valid"), clock.clone());
        let encoder = Arc::new(FakeEncoder::default());
        hub.connect(encoder.clone());
        Self { clock, hub, encoder, n: 0 }
    }

    fn packet(&self, track: Track, keyframe: bool) -> SharedPacket {
        Arc::new(Packet::new(track, Bytes::new(), self.clock.mono(), keyframe))
    }

    /// One video frame, 100 ms after the last; a keyframe each `gop`.
    fn frame(&mut self, gop: i64) {
        self.clock.advance(Duration::from_millis(100));
        let p = self.packet(Track::Video, self.n % gop == 0);
        self.n += 1;
        self.hub.publish_video(Stream::Main, p);
    }
}

#[test]
fn a_slow_consumer_loses_whole_gops_and_its_neighbour_nothing() {
    let mut b = Bench::new();
    let mut slow = b.hub.subscribe(Stream::Main, false, "slow", 5);
    let mut good = b.hub.subscribe(Stream::Main, false, "good", 100);
    for _ in 0..40 {
        b.frame(10);
    }
    let got: Vec<_> = std::iter::from_fn(|| good.packets.try_recv().ok()).collect();
    assert_eq!(got.len(), 40);
    assert!(got[1..].iter().all(|d| !d.discontinuity));
    assert_eq!(std::iter::from_fn(|| slow.packets.try_recv().ok()).count(), 5);
    b.frame(10);
    let next = slow.packets.try_recv().expect("goes on at a keyframe");
    assert!(next.packet.keyframe && next.discontinuity);
}

#[test]
fn a_stuck_consumer_is_cut_off_and_asks_for_one_keyframe() {
    let mut b = Bench::new();
    let stuck = b.hub.subscribe(Stream::Main, false, "stuck", 1);
    for _ in 0..130 {
        b.frame(10);
    }
    assert!(b.hub.consumers(Stream::Main).is_empty());
    assert!(stuck.packets.is_closed());
    assert!(b.encoder.forced.load(Ordering::SeqCst) <= 2);
}

#[test]
fn a_consumer_that_is_cut_off_again_and_again_is_logged_once() {
    let mut b = Bench::new();
    for name in ["recorder", "recorder", "other", "recorder"] {
        let _stuck = b.hub.subscribe(Stream::Main, false, name, 1);
        for _ in 0..130 {
            b.frame(10);
        }
    }
    assert_eq!(b.hub.cut_off.ended(), Some(2), "one of three, and the other");
}

#[test]
fn a_join_gets_the_fresh_gop_or_one_forced_keyframe() {
    let mut b = Bench::new();
    b.frame(10);
    b.frame(10);
    let join = |b: &Bench| b.hub.join(Stream::Main, false, "x", Box::new(Queue(mpsc::channel(9).0)));
    assert_eq!(join(&b).backlog.len(), 2);
    for _ in 0..4 {
        b.frame(10);
    }
    for _ in 0..20 {
        join(&b);
    }
    assert_eq!(b.encoder.forced.load(Ordering::SeqCst), 1);
    assert!(b.hub.consumers(Stream::Main).is_empty());
}

#[test]
fn demand_follows_consumers() {
    let b = Bench::new();
    let demand = || *b.encoder.demand.lock().expect("not poisoned");
    let sub = b.hub.subscribe(Stream::Sub, true, "x", 1);
    assert_eq!(demand(), Demand { sub: true, audio: true, sub_bps: None });
    drop(sub);
    assert_eq!(demand(), Demand::default());
}

#[test]
fn a_new_capture_breaks_the_stream() {
    let mut b = Bench::new();
    let mut s = b.hub.subscribe(Stream::Main, true, "x", 100);
    b.frame(10);
    b.hub.disconnect();
    assert!(b.hub.latest_keyframe(Stream::Main).is_none());
    b.hub.connect(b.encoder.clone());
    b.frame(10); // not a keyframe
    b.hub.publish_audio(b.packet(Track::Audio, true));
    b.n = 0;
    b.frame(10);
    b.hub.publish_audio(b.packet(Track::Audio, true));
    let got: Vec<_> =
        std::iter::from_fn(|| s.packets.try_recv().ok()).map(|d| (d.packet.track, d.discontinuity)).collect();
    assert_eq!(got, [(Track::Video, true), (Track::Video, true), (Track::Audio, false)]);
}

/// An encoder's control that asks the hub at each command.
struct Asking {
    hub: Mutex<Weak<Hub>>,
    heard: Mutex<Vec<Demand>>,
}

impl Asking {
    fn ask(&self) {
        let Some(hub) = self.hub.lock().expect("not poisoned").upgrade() else { return };
        for stream in Stream::ALL {
            hub.request_keyframe(stream);
            hub.consumers(stream);
        }
        hub.demand();
        // Comes and goes: two more commands while one is obeyed.
        if self.heard.lock().expect("not poisoned").len() < 20 {
            drop(hub.subscribe(Stream::Sub, true, "asking", 1));
        }
    }
}

impl EncoderControl for Asking {
    fn commandable(&self, _: Stream) -> bool {
        self.ask();
        true
    }
    fn force_keyframe(&self, _: Stream) {
        self.ask();
    }
    fn set_demand(&self, demand: Demand) {
        self.heard.lock().expect("not poisoned").push(demand);
        self.ask();
    }
}

#[test]
fn a_control_may_ask_the_hub_and_hears_demands_in_order() {
    let hub = Hub::new(CameraId::new("a").expect("valid"), Arc::new(ManualClock::default()));
    let control = Arc::new(Asking { hub: Mutex::new(Arc::downgrade(&hub)), heard: Mutex::default() });
    hub.connect(control.clone());
    let kept = hub.subscribe(Stream::Sub, false, "kept", 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    drop(hub.subscribe(Stream::Main, true, "visitor", 1));
                }
            });
        }
    });
    let heard = control.heard.lock().expect("not poisoned").clone();
    assert!(heard.windows(2).all(|pair| pair[0] != pair[1]), "each is a change of the one before");
    assert_eq!(heard.last(), Some(&Demand { sub: true, audio: false, sub_bps: None }));
    drop(kept);
    assert_eq!(control.heard.lock().expect("not poisoned").last(), Some(&Demand::default()));
}

/// A queue that holds another place at the hub, as a media does that ends with its feed.
struct Holding(#[expect(dead_code, reason = "it is held")] Attachment);

impl Sink for Holding {
    fn offer(&mut self, _: Delivery) -> Receipt {
        Receipt::Closed
    }
}

#[test]
fn a_queue_that_ends_may_end_another() {
    let mut b = Bench::new();
    let other = b.hub.attach(Stream::Sub, true, "held", Box::new(Queue(mpsc::channel(1).0)));
    let holder = b.hub.attach(Stream::Main, false, "holder", Box::new(Holding(other)));
    b.frame(10);
    assert!(Stream::ALL.iter().all(|s| b.hub.consumers(*s).is_empty()));
    assert_eq!(b.hub.demand(), Demand::default());
    drop(holder);
}

#[test]
fn a_control_that_panics_does_not_keep_others_from_being_obeyed() {
    struct Broken;
    impl EncoderControl for Broken {
        fn commandable(&self, _: Stream) -> bool {
            true
        }
        fn force_keyframe(&self, _: Stream) {
            panic!("a defect");
        }
        fn set_demand(&self, _: Demand) {}
    }
    let b = Bench::new();
    b.hub.connect(Arc::new(Broken));
    let hub = b.hub.clone();
    assert!(std::thread::spawn(move || hub.request_keyframe(Stream::Main)).join().is_err());
    b.hub.connect(b.encoder.clone());
    b.clock.advance(Duration::from_secs(2));
    b.hub.request_keyframe(Stream::Main);
    assert_eq!(b.encoder.forced.load(Ordering::SeqCst), 1);
}
