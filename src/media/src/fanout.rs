//! The fan-out: encoded once, shared by reference. One [`Hub`] a camera outlives its capture attempts; every consumer has its
//! own bounded queue and is cut off alone. No GStreamer here.

use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::time::MonoTime;
use perch_domain::keyframe::{JoinWith, KeyframeGate, join};
use perch_domain::media::{SharedPacket, Stream, Track};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// A consumer that took nothing for this long is cut off.
pub const CUT_AFTER: Duration = Duration::from_secs(10);
/// Packets a GOP holds at most: 50 s at 30 pictures a second with sound. A longer one is neither cached (a joiner then waits for
/// the next keyframe) nor recorded: each packet costs memory of its own, however small it is.
pub(crate) const MAX_GOP_PACKETS: usize = 4096;
/// And bytes, for the same reason: memory is finite, whatever a camera sends.
pub(crate) const MAX_GOP_BYTES: usize = 32 << 20;

/// What a running capture lets the hub command. Calls return at once.
pub trait EncoderControl: Send + Sync {
    /// Whether [`Self::force_keyframe`] works for this stream.
    fn commandable(&self, stream: Stream) -> bool;
    /// Makes the encoder's next frame a keyframe.
    fn force_keyframe(&self, stream: Stream);
    /// Which parts are used now; the rest need not be encoded.
    fn set_demand(&self, demand: Demand);
}

/// What consumers use of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Somebody uses the sub-stream.
    pub sub: bool,
    /// Somebody listens or records sound.
    pub audio: bool,
}

/// One packet for one consumer.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The packet.
    pub packet: SharedPacket,
    /// Packets before this one were lost to this consumer, or the source started anew.
    pub discontinuity: bool,
}

/// What a consumer's queue says to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Taken.
    Taken,
    /// No room: dropped; deliveries go on at the next keyframe with room.
    Full,
    /// The consumer is gone.
    Closed,
}

/// A consumer's queue. `offer` is called from capture's thread: it must not block.
pub trait Sink: Send {
    /// Takes one delivery or says why not.
    fn offer(&mut self, delivery: Delivery) -> Offer;

    /// The source stopped or jumped: what comes next does not join what came before.
    fn interrupted(&mut self) {}
}

/// How a joining consumer begins.
#[derive(Clone, Debug)]
pub struct Joined {
    /// What was chosen.
    pub with: JoinWith,
    /// The cached GOP in order of arrival, empty unless [`JoinWith::CachedGop`].
    pub backlog: Vec<SharedPacket>,
}

/// Ends its subscription when dropped.
#[derive(Debug)]
pub struct Attachment {
    hub: Weak<Hub>,
    stream: Stream,
    id: u64,
}

/// A consumer with a queue of its own, readable from a task or a thread.
#[derive(Debug)]
pub struct Subscription {
    /// The queue; closed when the consumer was cut off or the hub is gone.
    pub packets: mpsc::Receiver<Delivery>,
    _attachment: Attachment,
}

struct Consumer {
    id: u64,
    name: String,
    sink: Box<dyn Sink>,
    audio: bool,
    awaiting_keyframe: bool,
    discontinuity: bool,
    full_since: Option<MonoTime>,
}

#[derive(Default)]
struct StreamState {
    gop: Vec<SharedPacket>,
    gop_bytes: usize,
    gop_overflow: bool,
    /// The newest keyframe, also when its GOP grew too long to be kept.
    keyframe: Option<SharedPacket>,
    gate: KeyframeGate,
    consumers: Vec<Consumer>,
}

#[derive(Default)]
struct State {
    main: StreamState,
    sub: StreamState,
    control: Option<Arc<dyn EncoderControl>>,
    demand: Demand,
    next_id: u64,
}

impl State {
    fn stream(&mut self, stream: Stream) -> &mut StreamState {
        match stream {
            Stream::Main => &mut self.main,
            Stream::Sub => &mut self.sub,
        }
    }

    fn request_keyframe(&mut self, stream: Stream, now: MonoTime) {
        let Some(control) = self.control.clone().filter(|c| c.commandable(stream)) else { return };
        if self.stream(stream).gate.request(now) {
            control.force_keyframe(stream);
        }
    }

    fn refresh_demand(&mut self) {
        let all = || self.main.consumers.iter().chain(&self.sub.consumers);
        let demand = Demand { sub: !self.sub.consumers.is_empty(), audio: all().any(|c| c.audio) };
        if self.demand.sub && !demand.sub {
            self.sub.gop.clear();
            self.sub.keyframe = None;
        }
        if demand != self.demand {
            self.demand = demand;
            if let Some(control) = &self.control {
                control.set_demand(demand);
            }
        }
    }
}

/// One camera's fan-out.
pub struct Hub {
    camera: CameraId,
    clock: SharedClock,
    state: Mutex<State>,
    dropped: AtomicU64,
    frames: AtomicU64,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("camera", &self.camera).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub with no capture and no consumers.
    pub fn new(camera: CameraId, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { camera, clock, state: Mutex::default(), dropped: AtomicU64::new(0), frames: AtomicU64::new(0) })
    }

    /// The camera.
    pub fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// Packets dropped at slow consumers since start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Video packets published since start, of both streams.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// A capture attempt begins: old GOPs go, consumers wait for its first keyframe, and it is told what is used.
    pub fn connect(&self, control: Arc<dyn EncoderControl>) {
        let mut state = self.lock();
        control.set_demand(state.demand);
        state.control = Some(control);
        Self::break_off(&mut state);
    }

    /// A capture attempt ended.
    pub fn disconnect(&self) {
        let mut state = self.lock();
        state.control = None;
        Self::break_off(&mut state);
    }

    /// The running capture jumped in time or format: consumers go on at its next keyframe.
    pub fn discontinuity(&self) {
        Self::break_off(&mut self.lock());
    }

    fn break_off(state: &mut State) {
        for stream in [&mut state.main, &mut state.sub] {
            stream.gop.clear();
            stream.keyframe = None;
            for c in &mut stream.consumers {
                c.awaiting_keyframe = true;
                c.discontinuity = true;
                c.sink.interrupted();
            }
        }
    }

    /// Hands one encoded video packet to every consumer of `stream`.
    pub fn publish_video(&self, stream: Stream, packet: SharedPacket) {
        debug_assert_eq!(packet.track, Track::Video);
        self.frames.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.mono();
        let mut state = self.lock();
        let s = state.stream(stream);
        if packet.keyframe {
            s.gop.clear();
            s.gop_bytes = 0;
            s.gop_overflow = false;
            s.keyframe = Some(packet.clone());
        }
        remember(s, &packet);
        let mut force = s.gate.frame(packet.keyframe, now);
        let before = s.consumers.len();
        force |= self.deliver(s, &packet, now) && s.gate.request(now);
        let after = s.consumers.len();
        if force && let Some(control) = state.control.clone().filter(|c| c.commandable(stream)) {
            control.force_keyframe(stream);
        }
        if before != after {
            state.refresh_demand();
        }
    }

    /// Hands one Opus packet to every consumer that listens.
    pub fn publish_audio(&self, packet: SharedPacket) {
        debug_assert_eq!(packet.track, Track::Audio);
        let now = self.clock.mono();
        let mut state = self.lock();
        let mut gone = false;
        for stream in Stream::ALL {
            let s = state.stream(stream);
            if !s.gop.is_empty() {
                remember(s, &packet);
            }
            let before = s.consumers.len();
            self.deliver(s, &packet, now);
            gone |= before != s.consumers.len();
        }
        if gone {
            state.refresh_demand();
        }
    }

    /// Offers `packet` to each consumer; returns whether somebody lost video and needs a keyframe.
    fn deliver(&self, s: &mut StreamState, packet: &SharedPacket, now: MonoTime) -> bool {
        let mut needs_keyframe = false;
        s.consumers.retain_mut(|c| {
            let audio = packet.track == Track::Audio;
            if audio && (!c.audio || c.awaiting_keyframe) {
                return true;
            }
            if !audio && c.awaiting_keyframe && !packet.keyframe {
                return true;
            }
            let delivery = Delivery { packet: packet.clone(), discontinuity: c.discontinuity };
            match c.sink.offer(delivery) {
                Offer::Taken => {
                    c.full_since = None;
                    c.discontinuity = false;
                    c.awaiting_keyframe &= audio;
                    true
                }
                Offer::Full => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    c.discontinuity = true;
                    // Only the first loss asks: a slow consumer must not make the encoder burst for its neighbours.
                    needs_keyframe |= !c.awaiting_keyframe;
                    c.awaiting_keyframe = true;
                    let since = *c.full_since.get_or_insert(now);
                    let keep = now.since(since) < CUT_AFTER;
                    if !keep {
                        tracing::warn!(camera = %self.camera, consumer = %c.name, "consumer took nothing for 10 s and was cut off");
                    }
                    keep
                }
                Offer::Closed => false,
            }
        });
        needs_keyframe
    }

    /// Somebody lost its picture (PLI, a player that starts). Coalesced to one forced keyframe a second.
    pub fn request_keyframe(&self, stream: Stream) {
        let now = self.clock.mono();
        self.lock().request_keyframe(stream, now);
    }

    /// Chooses how somebody who joins `stream` begins, and asks for the keyframe where one is needed. A consumer that was
    /// attached before must skip what it already had by `pts`.
    pub fn join(&self, stream: Stream) -> Joined {
        let now = self.clock.mono();
        let mut state = self.lock();
        let commandable = state.control.as_ref().is_some_and(|c| c.commandable(stream));
        let s = state.stream(stream);
        let age = s.gop.first().filter(|_| !s.gop_overflow).map(|p| now.since(p.pts));
        let with = join(age, commandable, s.gate.is_open(now));
        let backlog = match with {
            JoinWith::CachedGop => s.gop.clone(),
            JoinWith::ForcedKeyframe | JoinWith::NextKeyframe => Vec::new(),
        };
        if with != JoinWith::CachedGop {
            state.request_keyframe(stream, now);
        }
        Joined { with, backlog }
    }

    /// Attaches a queue. While a GOP is cached it gets packets from now on, so that a consumer which takes the cached GOP by
    /// [`Self::join`] sees no hole; one that does not must skip to a keyframe. Else it gets packets from the next keyframe on.
    pub fn attach(self: &Arc<Self>, stream: Stream, audio: bool, name: &str, sink: Box<dyn Sink>) -> Attachment {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        let awaiting_keyframe = state.stream(stream).gop.is_empty();
        state.stream(stream).consumers.push(Consumer {
            id,
            name: name.to_owned(),
            sink,
            audio,
            awaiting_keyframe,
            discontinuity: true,
            full_since: None,
        });
        state.refresh_demand();
        Attachment { hub: Arc::downgrade(self), stream, id }
    }

    /// Attaches a queue of `capacity` packets.
    pub fn subscribe(self: &Arc<Self>, stream: Stream, audio: bool, name: &str, capacity: usize) -> Subscription {
        let (tx, packets) = mpsc::channel(capacity);
        let attachment = self.attach(stream, audio, name, Box::new(tx));
        Subscription { packets, _attachment: attachment }
    }

    /// The newest keyframe of `stream`, if it still runs.
    pub fn latest_keyframe(&self, stream: Stream) -> Option<SharedPacket> {
        self.lock().stream(stream).keyframe.clone()
    }

    /// Names of the consumers of `stream`.
    pub fn consumers(&self, stream: Stream) -> Vec<String> {
        self.lock().stream(stream).consumers.iter().map(|c| c.name.clone()).collect()
    }

    /// What is used now.
    pub fn demand(&self) -> Demand {
        self.lock().demand
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state whole: every change is one assignment.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn remember(s: &mut StreamState, packet: &SharedPacket) {
    if s.gop_overflow || (s.gop.is_empty() && !packet.keyframe) {
        return;
    }
    s.gop_bytes += packet.data.len();
    if s.gop.len() >= MAX_GOP_PACKETS || s.gop_bytes > MAX_GOP_BYTES {
        s.gop.clear();
        s.gop_overflow = true;
        return;
    }
    s.gop.push(packet.clone());
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            let mut state = hub.lock();
            state.stream(self.stream).consumers.retain(|c| c.id != self.id);
            state.refresh_demand();
        }
    }
}

impl Sink for mpsc::Sender<Delivery> {
    fn offer(&mut self, delivery: Delivery) -> Offer {
        match self.try_send(delivery) {
            Ok(()) => Offer::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Offer::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Offer::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use perch_base::clock::{Clock, ManualClock};
    use perch_domain::media::Packet;
    use std::sync::atomic::AtomicUsize;

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
            Arc::new(Packet { track, data: Bytes::new(), pts: self.clock.mono(), duration: Duration::ZERO, keyframe })
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
    fn a_join_gets_the_fresh_gop_or_one_forced_keyframe() {
        let mut b = Bench::new();
        b.frame(10);
        b.frame(10);
        assert_eq!(b.hub.join(Stream::Main).backlog.len(), 2);
        for _ in 0..4 {
            b.frame(10);
        }
        for _ in 0..20 {
            b.hub.join(Stream::Main);
        }
        assert_eq!(b.encoder.forced.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn demand_follows_consumers() {
        let b = Bench::new();
        let demand = || *b.encoder.demand.lock().expect("not poisoned");
        let sub = b.hub.subscribe(Stream::Sub, true, "x", 1);
        assert_eq!(demand(), Demand { sub: true, audio: true });
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
}
