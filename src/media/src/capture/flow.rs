//! From an attempt to the hub: what is published is measured, counted and watched, and a closed attempt is silent for good. Everything here
//! runs on threads of pipelines and sessions, and never blocks.

use super::counts::Counts;
use super::masking::Masking;
use super::meter::Meter;
use super::settings::{LumaFrame, LumaSink, Settings};
use crate::fanout::{EncoderControl, Hub};
use bytes::Bytes;
use perch_base::Error;
use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::media::{Packet, Stream, Track};
use perch_domain::pace::{Bottleneck, Work};
use perch_domain::stamps::settle;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// What a pipeline or a session tells its attempt.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The first picture was published.
    FirstFrame,
    /// It cannot go on.
    Failed(Error),
    /// The source has no more.
    EndOfStream,
    /// All streams of the source are known.
    PadsKnown,
    /// A file was read to its end; the next round can be asked for.
    SegmentDone,
}

/// One attempt's way to the hub.
pub(super) struct Flow {
    hub: Arc<Hub>,
    clock: SharedClock,
    luma: LumaSink,
    signals: mpsc::UnboundedSender<Signal>,
    masking: Arc<Masking>,
    /// Held for moments: those who publish have threads of their own, and none may wait long for another.
    state: Mutex<State>,
    /// Apart from `state`, which is held while the hub is asked: what is counted may come from under the hub's lock.
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct State {
    connected: Connected,
    /// When the first picture of the main stream was published, and the last.
    frames: Option<(MonoTime, MonoTime)>,
    /// How many were.
    published: u64,
    /// When something came of which no picture could be published.
    last_sign: Option<MonoTime>,
    meter: Meter,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Connected {
    #[default]
    NotYet,
    Yes,
    Closed,
}

/// However an attempt ends, also when its future is dropped, nothing of it reaches the hub afterwards.
pub(super) struct CloseOnDrop(pub Arc<Flow>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Flow {
    pub fn new(settings: &Settings, signals: mpsc::UnboundedSender<Signal>) -> Self {
        Self {
            hub: settings.hub.clone(),
            clock: settings.clock.clone(),
            luma: settings.luma.clone(),
            signals,
            masking: settings.masking.clone(),
            state: Mutex::default(),
            counts: Mutex::default(),
        }
    }

    /// The fan-out.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The camera's masks.
    pub fn masking(&self) -> &Masking {
        &self.masking
    }

    /// The time.
    pub fn now(&self) -> MonoTime {
        self.clock.mono()
    }

    /// Pictures are about to come: the hub commands `control` from now on. False where the attempt is over already.
    pub fn open(&self, control: Arc<dyn EncoderControl>) -> bool {
        let mut state = lock(&self.state);
        if state.connected == Connected::Closed {
            return false;
        }
        state.connected = Connected::Yes;
        self.hub.connect(control);
        true
    }

    /// The attempt is over: nothing of it is published any more.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        if std::mem::replace(&mut state.connected, Connected::Closed) == Connected::Yes {
            self.hub.disconnect();
        }
    }

    /// Whether the attempt goes on.
    pub fn is_live(&self) -> bool {
        lock(&self.state).connected != Connected::Closed
    }

    /// When the last picture of the main stream was published.
    pub fn last_frame(&self) -> Option<MonoTime> {
        lock(&self.state).frames.map(|(_, last)| last)
    }

    /// When something came last of which no picture could be published.
    pub fn last_sign(&self) -> Option<MonoTime> {
        lock(&self.state).last_sign
    }

    /// How long pictures of the main stream were published, and how many.
    pub fn delivered(&self) -> (Duration, u64) {
        let state = lock(&self.state);
        (state.frames.map_or(Duration::ZERO, |(first, last)| last.since(first)), state.published)
    }

    /// Something came of which no picture can be published.
    pub fn sign(&self) {
        lock(&self.state).last_sign = Some(self.clock.mono());
    }

    /// Frames a second and kbit/s of the main stream now.
    pub fn rates(&self) -> (f32, f32) {
        let now = self.clock.mono();
        lock(&self.state).meter.read(now)
    }

    /// Counts.
    pub fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut lock(&self.counts));
    }

    /// What was done so far; of the decoder and the small stream only where they are in use.
    pub fn work(&self, is_decoding: bool, sub_active: bool) -> Work {
        let now = self.clock.mono();
        lock(&self.counts).work(now, is_decoding, sub_active)
    }

    /// Tells the attempt.
    pub fn signal(&self, signal: Signal) {
        // Nobody listens once the attempt is over.
        let _ = self.signals.send(signal);
    }

    /// Publishes one picture.
    pub fn publish_video(&self, stream: Stream, packet: Packet) {
        let (now, size, pts) = (self.clock.mono(), packet.data.len(), packet.pts);
        self.hub.publish_video(stream, Arc::new(packet));
        if stream != Stream::Main {
            return;
        }
        self.count(|counts| counts.left(Bottleneck::Main, Some(pts)));
        let mut state = lock(&self.state);
        state.meter.frame(now, size);
        state.published += 1;
        let first = state.frames.map(|(first, _)| first);
        state.frames = Some((first.unwrap_or(now), now));
        if first.is_none() {
            self.signal(Signal::FirstFrame);
        }
    }

    /// Publishes one Opus packet that was heard at `pts`, after one of `last`.
    pub fn publish_opus(&self, last: &mut Option<MonoTime>, data: Bytes, pts: MonoTime, duration: Duration) {
        let (pts, _) = settle(*last, pts);
        *last = Some(pts);
        self.hub.publish_audio(Arc::new(Packet { duration, ..Packet::new(Track::Audio, data, pts, true) }));
    }

    /// Hands a small picture to the motion detector.
    pub fn look(&self, frame: LumaFrame) {
        (self.luma)(frame);
    }
}
