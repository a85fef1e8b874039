//! The small picture of what is being recorded, in memory: for lines that do not carry the large one. It is packaged like a live stream, begins
//! with the first keyframe of the recording's time, and counts its time from where the recording does.

use crate::camera_set::CameraSet;
use crate::web_live::{Packaged, package};
use bytes::Bytes;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::sync::lock;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::live_hls::{LiveCutter, LiveView};
use perch_domain::live_window::LivePart;
use perch_domain::media::Stream;
use perch_domain::sync::running::RunningFile;
use perch_media::fanout::Hub;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::watch;

/// How much of one is an object: more requests cost more than they bring.
const PART: Duration = Duration::from_millis(700);
/// More than this does not wait in memory: half a minute of a megabit.
const MOST_BYTES: usize = 4 << 20;
/// What does not come in this time is not waited for: the recording goes itself.
const BEGINS_WITHIN: Duration = Duration::from_secs(3);

/// Where the small pictures of cameras come from.
pub trait SmallSource: Send + Sync {
    /// That of a camera, and whether there is sound. `None`: it has none that is recorded.
    fn small(&self, camera: &CameraId) -> Option<(Arc<Hub>, bool)>;
}

impl SmallSource for CameraSet {
    fn small(&self, camera: &CameraId) -> Option<(Arc<Hub>, bool)> {
        let camera = self.get(camera).ok()?;
        let offering = camera.capture.offers_now();
        let is_there = camera.config.off.is_none() && offering.codec_of(Stream::Sub).is_recorded();
        is_there.then(|| (camera.hub.clone(), offering.has_audio))
    }
}

/// What waits of one recording.
pub struct SmallPieces {
    hub: Weak<Hub>,
    has_sound: bool,
    /// Time 0 of the recording.
    zero: MonoTime,
    begun: MonoTime,
    state: Mutex<State>,
    /// Whoever sends them waits for more.
    more: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// Pieces that were taken, from the header on.
    sent: u32,
    /// Bytes of parts, and how long they last.
    all: (u64, Duration),
    has_header: bool,
    /// Since when the recording is over: with the next part the small picture is, too.
    ending: Option<MonoTime>,
    is_over: bool,
}

impl SmallPieces {
    /// Packages what comes from now on, and from the keyframe before it. `None` where there is nothing to be packaged. Within a runtime.
    pub fn begin(
        source: &dyn SmallSource,
        file: &RunningFile,
        clock: &SharedClock,
        more: &watch::Sender<()>,
    ) -> Option<Arc<Self>> {
        let (hub, has_sound) = source.small(&file.camera)?;
        let (now, utc) = (clock.mono(), clock.utc());
        let pieces = Arc::new(Self {
            hub: Arc::downgrade(&hub),
            has_sound,
            zero: MonoTime(now.0.saturating_add(file.start.micros_since(utc))),
            begun: now,
            state: Mutex::default(),
            more: more.clone(),
        });
        tokio::spawn(package(pieces.clone(), clock.clone()));
        Some(pieces)
    }

    /// The next that is to be sent, and its number; it stays until [`Self::is_sent`].
    pub fn next(&self) -> Option<(u32, Bytes)> {
        let state = lock(&self.state);
        Some((state.sent, state.waiting.front()?.clone()))
    }

    /// The next one is there.
    pub fn is_sent(&self) {
        let state = &mut *lock(&self.state);
        if let Some(sent) = state.waiting.pop_front() {
            state.waiting_bytes -= sent.len();
            state.sent += 1;
        }
    }

    /// The recording is over.
    pub fn ends(&self, now: MonoTime) {
        lock(&self.state).ending.get_or_insert(now);
    }

    /// Whether there is, or may soon be, something to send.
    pub fn goes_on(&self, now: MonoTime) -> bool {
        let state = lock(&self.state);
        let is_awaited = |since: MonoTime| now.since(since) < BEGINS_WITHIN;
        let may_come = state.ending.map_or(state.has_header || is_awaited(self.begun), is_awaited);
        !state.waiting.is_empty() || (!state.is_over && may_come)
    }

    /// Bytes a second that it takes.
    pub fn bytes_per_s(&self) -> u64 {
        let (bytes, time) = lock(&self.state).all;
        (bytes as f64 / time.as_secs_f64().max(1.0)) as u64
    }

    fn add(&self, piece: Bytes, lasts: Duration) {
        let state = &mut *lock(&self.state);
        if state.is_over {
            return;
        }
        state.has_header = true;
        state.waiting_bytes += piece.len();
        state.all = (state.all.0 + piece.len() as u64, state.all.1 + lasts);
        state.waiting.push_back(piece);
        // Without one piece nothing behind it plays: the recording follows as a whole.
        state.is_over = state.waiting_bytes > MOST_BYTES || (state.ending.is_some() && !lasts.is_zero());
        self.more.send_replace(());
    }
}

impl Packaged for SmallPieces {
    const NAME: &str = "copies";

    fn hub(&self) -> Option<Arc<Hub>> {
        self.hub.upgrade()
    }

    fn view(&self) -> LiveView {
        LiveView { stream: Stream::Sub, sound: self.has_sound }
    }

    fn has_sound(&self) -> bool {
        self.has_sound
    }

    fn cutter(&self) -> LiveCutter {
        LiveCutter::of(PART)
    }

    fn zero(&self, keyframe: MonoTime) -> Option<MonoTime> {
        (keyframe >= self.zero).then_some(self.zero)
    }

    /// One header is all that a file has.
    fn begin(&self, _: u64, map: Bytes) {
        let has_header = lock(&self.state).has_header;
        match has_header {
            true => self.end(),
            false => self.add(map, Duration::ZERO),
        }
    }

    fn push(&self, _: u64, part: LivePart, _: bool, _: Timestamp) {
        self.add(part.data, part.duration);
    }

    fn break_off(&self) -> u64 {
        self.end();
        0
    }

    fn is_idle(&self, _: MonoTime) -> bool {
        lock(&self.state).is_over
    }

    fn end(&self) {
        lock(&self.state).is_over = true;
        self.more.send_replace(());
    }
}
