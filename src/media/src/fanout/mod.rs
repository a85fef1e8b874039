//! The fan-out: encoded once, shared by reference. One [`Hub`] a camera outlives its capture attempts; every consumer has its
//! own bounded queue and is cut off alone. This is the lock around the machine of `domain::fanout`: it reads the clock, and obeys once it
//! has unlocked, so that an encoder's control or a queue's end may ask the hub again. No GStreamer here.

pub use perch_domain::fanout::{CUT_AFTER, Delivery, Demand, Receipt, Sink};

use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::repeated::Repeated;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::fanout::{Command, Effects, HubMachine};
use perch_domain::keyframe::JoinWith;
use perch_domain::media::{SharedPacket, Stream, Track};
use perch_domain::memory::PictureMemory;
use perch_domain::refresh;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use tokio::sync::mpsc;

/// What a running capture lets the hub command. Calls return at once. They come one after the other, in the order of what they
/// follow from, from whichever thread caused one of them.
pub trait EncoderControl: Send + Sync {
    /// Whether [`Self::force_keyframe`] works for this stream. FloorAnswer once, when the capture connects.
    fn commandable(&self, stream: Stream) -> bool;
    /// Makes the encoder's next frame a keyframe.
    fn force_keyframe(&self, stream: Stream);
    /// Which parts are used now; the rest need not be encoded.
    fn set_demand(&self, demand: Demand);
    /// Bits a second that the sub-stream's encoder is set to, where it takes another rate while it runs.
    fn sub_set_bps(&self) -> Option<u64> {
        None
    }
}

type Control = Arc<dyn EncoderControl>;
type BoxedSink = Box<dyn Sink>;

/// How a consumer begins, and its queue's end. First the backlog, then what comes by the queue: each packet once, without a hole.
#[derive(Debug)]
pub struct Joined {
    /// What was chosen.
    pub with: JoinWith,
    /// The cached pictures in order of arrival, empty unless [`JoinWith::CachedGop`]; else the queue begins with a keyframe.
    pub backlog: Vec<SharedPacket>,
    /// Ends the consumer when dropped.
    pub attachment: Attachment,
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

#[derive(Default)]
struct State {
    machine: HubMachine<BoxedSink, Control>,
    commands: VecDeque<Command<Control>>,
    memory: PictureMemory,
    /// Somebody obeys them now, and will find those that are added.
    obeying: bool,
}

/// One camera's fan-out.
pub struct Hub {
    camera: CameraId,
    clock: SharedClock,
    state: Mutex<State>,
    /// Consumers that were cut off: a recorder on a disk that hangs is again and again.
    cut_off: Repeated,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("camera", &self.camera).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub with no capture and no consumers.
    pub fn new(camera: CameraId, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { camera, clock, state: Mutex::default(), cut_off: Repeated::default() })
    }

    /// What the camera's pictures may take of memory from now on. A consumer that is there keeps what it was given.
    pub fn set_memory(&self, memory: PictureMemory) {
        let mut state = self.lock();
        state.memory = memory;
        state.machine.set_gop_bytes(memory.gop_bytes);
    }

    /// What the camera's pictures may take of memory.
    pub fn memory(&self) -> PictureMemory {
        self.lock().memory
    }

    /// The camera.
    pub fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// Packets dropped at slow consumers since start.
    pub fn dropped(&self) -> u64 {
        self.lock().machine.dropped()
    }

    /// Video packets published since start, of both streams.
    pub fn frames(&self) -> u64 {
        self.lock().machine.frames()
    }

    /// A capture attempt begins: old GOPs go, consumers wait for its first keyframe, and the attempt learns what is used.
    pub fn connect(&self, control: Arc<dyn EncoderControl>) {
        let commandable = Stream::ALL.map(|stream| control.commandable(stream));
        self.change(|machine, _, out| machine.connect(control, commandable, out));
    }

    /// A capture attempt ended.
    pub fn disconnect(&self) {
        self.change(|machine, _, _| machine.disconnect());
    }

    /// The running capture jumped in time or format: consumers go on at its next keyframe.
    pub fn discontinuity(&self) {
        self.change(|machine, _, _| machine.break_off());
    }

    /// Only `stream` jumped in time or format, or ended for now; the other one goes on.
    pub fn discontinuity_of(&self, stream: Stream) {
        self.change(|machine, _, _| machine.break_off_one(stream));
    }

    /// Hands one encoded video packet to every consumer of `stream`.
    pub fn publish_video(&self, stream: Stream, packet: SharedPacket) {
        debug_assert_eq!(packet.track, Track::Video);
        self.change(|machine, now, out| machine.publish_video(stream, &packet, now, out));
    }

    /// Hands one Opus packet to every consumer that listens.
    pub fn publish_audio(&self, packet: SharedPacket) {
        debug_assert_eq!(packet.track, Track::Audio);
        self.change(|machine, now, out| machine.publish_audio(&packet, now, out));
    }

    /// Somebody lost its picture (PLI, a player that starts). Coalesced to one forced keyframe a second.
    pub fn request_keyframe(&self, stream: Stream) {
        self.change(|machine, now, out| machine.request_keyframe(stream, now, out));
    }

    /// How somebody begins to whom a consumer of this hub passes packets on and which keeps all since the keyframe of `cached`.
    /// Asks for the keyframe where one is needed.
    pub fn start(&self, stream: Stream, cached: Option<MonoTime>) -> JoinWith {
        self.change(|machine, now, out| machine.start(stream, cached, now, out))
    }

    /// Attaches a queue and hands back how it begins, in one step. Asks for the keyframe where one is needed.
    pub fn join(self: &Arc<Self>, stream: Stream, audio: bool, name: &str, sink: Box<dyn Sink>) -> Joined {
        let (id, with, backlog) = self.change(|machine, now, out| machine.join(stream, audio, name, sink, now, out));
        Joined { with, backlog, attachment: Attachment { hub: Arc::downgrade(self), stream, id } }
    }

    /// Attaches a queue that begins with the next keyframe; none is asked for.
    pub fn attach(self: &Arc<Self>, stream: Stream, audio: bool, name: &str, sink: Box<dyn Sink>) -> Attachment {
        let id = self.change(|machine, now, out| machine.attach(stream, audio, name, sink, now, out));
        Attachment { hub: Arc::downgrade(self), stream, id }
    }

    /// Attaches a queue that takes sound alone.
    pub fn listen(self: &Arc<Self>, name: &str, sink: Box<dyn Sink>) -> Attachment {
        let id = self.change(|machine, now, out| machine.listen(name, sink, now, out));
        Attachment { hub: Arc::downgrade(self), stream: Stream::Main, id }
    }

    /// Attaches a queue of `capacity` packets that begins with the next keyframe.
    pub fn subscribe(self: &Arc<Self>, stream: Stream, audio: bool, name: &str, capacity: usize) -> Subscription {
        let (tx, packets) = mpsc::channel(capacity);
        let attachment = self.attach(stream, audio, name, Box::new(Queue(tx)));
        Subscription { packets, _attachment: attachment }
    }

    /// The newest keyframe of `stream`, if it still runs.
    pub fn latest_keyframe(&self, stream: Stream) -> Option<SharedPacket> {
        self.lock().machine.latest_keyframe(stream)
    }

    /// The first keyframe of `stream` at or after `at`, if it came in the last seconds and the stream still runs.
    pub fn keyframe_from(&self, stream: Stream, at: MonoTime) -> Option<SharedPacket> {
        self.lock().machine.keyframe_from(stream, at)
    }

    /// What is decoded to see `keyframe` of `stream`, the last of all: that alone, or, of an intra refresh, what leads to it. `None`: it cannot be
    /// seen whole, as what leads to it did not come, or is gone.
    pub fn leading_to(&self, stream: Stream, keyframe: &SharedPacket) -> Option<Vec<SharedPacket>> {
        let pictures = self.lock().machine.leading_to(stream, keyframe);
        // Without the lock: it reads all of them.
        refresh::ends_whole(&pictures).then_some(pictures)
    }

    /// What a consumer of `stream` that joins begins with because nothing can be asked for a keyframe: when the first cached picture is, and
    /// when the newest keyframe.
    pub fn only_start(&self, stream: Stream) -> Option<(MonoTime, MonoTime)> {
        self.lock().machine.only_start(stream)
    }

    /// Whether the encoder of `stream` makes keyframes on command.
    pub fn commandable(&self, stream: Stream) -> bool {
        self.lock().machine.commandable(stream)
    }

    /// Names of the consumers of `stream`.
    pub fn consumers(&self, stream: Stream) -> Vec<String> {
        self.lock().machine.consumers(stream)
    }

    /// What is used now.
    pub fn demand(&self) -> Demand {
        self.lock().machine.demand()
    }

    /// Bits a second that the sub-stream's encoder is set to, where it runs and takes another rate meanwhile
    /// ([`Attachment::set_enough`]).
    pub fn sub_set_bps(&self) -> Option<u64> {
        let control = self.lock().machine.capture()?;
        control.sub_set_bps()
    }

    /// Changes the machine, and obeys it once it is unlocked.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut HubMachine<BoxedSink, Control>, MonoTime, &mut Effects<BoxedSink, Control>) -> T,
    ) -> T {
        let now = self.clock.mono();
        let mut effects = Effects::default();
        let (done, obey) = {
            let mut state = self.lock();
            let done = change(&mut state.machine, now, &mut effects);
            state.commands.extend(effects.commands);
            let obey = !state.commands.is_empty() && !state.obeying;
            state.obeying |= obey;
            (done, obey)
        };
        // The end of a queue may end what else hangs on the hub.
        drop(effects.gone);
        if obey {
            self.obey();
        }
        done
    }

    /// One at a time and in order, whoever added them: a demand that is overtaken would stay for good.
    fn obey(&self) {
        /// A control that panics must not keep others from being obeyed.
        struct Rest<'a>(&'a Hub);
        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.lock().obeying = false;
                }
            }
        }
        let _rest = Rest(self);
        while let Some(command) = self.next_command() {
            match command {
                Command::ForceKeyframe(control, stream) => control.force_keyframe(stream),
                Command::SetDemand(control, demand) => control.set_demand(demand),
                Command::ReportCutOff(consumer) => {
                    let (camera, s) = (&self.camera, CUT_AFTER.as_secs());
                    match self.cut_off.is_news(&consumer, self.clock.mono()) {
                        true => tracing::warn!(%camera, consumer, "consumer took nothing for {s} s and was cut off"),
                        false => tracing::debug!(%camera, consumer, "consumer took nothing for {s} s again"),
                    }
                }
            }
        }
    }

    fn next_command(&self) -> Option<Command<Control>> {
        let mut state = self.lock();
        let next = state.commands.pop_front();
        state.obeying = next.is_some();
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Attachment {
    /// So many bits a second are enough for this consumer; `None`: it wants all there are.
    pub fn set_enough(&self, bps: Option<u64>) {
        if let Some(hub) = self.hub.upgrade() {
            hub.change(|machine, now, out| machine.set_enough(self.stream, self.id, bps, now, out));
        }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.change(|machine, now, out| machine.detach(self.stream, self.id, now, out));
        }
    }
}

/// The end of a [`Subscription`]'s queue that packets go in at.
struct Queue(mpsc::Sender<Delivery>);

impl Sink for Queue {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        match self.0.try_send(delivery) {
            Ok(()) => Receipt::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Receipt::Closed,
        }
    }
}

#[cfg(test)]
mod tests;
