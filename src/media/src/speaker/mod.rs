//! A camera's loudspeaker: who has the floor, and the pipeline that plays what they say. It is built when somebody wants to speak, kept for a
//! while after they ended, so that the next is heard at once, and outlives neither a fault nor its settings. Who may speak is decided in
//! `domain::talk`.

mod announcing;
mod camera_voice;
mod playing;

pub use announcing::Playable;
pub use camera_voice::CameraVoice;

use crate::far_end::FarEnd;
use crate::pipeline::Library;
use announcing::{Announcing, Due};
use camera_voice::Frames;
use gstreamer_app as gst_app;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::repeated::Repeated;
use perch_base::shutdown::{self, Shutdown};
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::capture_attempt::{LET_GO_WITHIN, START_WITHIN};
use perch_domain::sound_level::Ear;
use perch_domain::speech::{SpeechLimit, Splice};
use perch_domain::talk::{Busy, Floor, FloorAnswer, FloorSeen, TalkAsker, TalkStatus, WhenBusy};
use perch_domain::talkback::{TalkSink, Talkback};
use playing::{Ears, Playing};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// How long the loudspeaker stays open after the last word.
const KEEP: Duration = Duration::from_secs(20);
/// How often it is looked whether it is still needed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Called when who speaks through a camera, or waits to, changed.
pub type FloorNews = Arc<dyn Fn() + Send + Sync>;

/// One camera's loudspeaker. It outlives captures and changes of settings.
pub struct Speaker {
    camera: CameraId,
    clock: SharedClock,
    library: Arc<Library>,
    news: FloorNews,
    state: Mutex<State>,
    /// Rung when somebody wants to be heard, and when the settings changed.
    bell: Notify,
    ear: Arc<Mutex<Ear>>,
    far: Arc<FarEnd>,
    overruns: Repeated,
}

struct State {
    talkback: Talkback,
    floor: Floor,
    /// Where packets go while it plays.
    entry: Option<gst_app::AppSrc>,
    wanted_at: Option<MonoTime>,
    splice: Splice,
    limit: SpeechLimit,
    problem: String,
    /// How its camera is spoken to, where that can be.
    voice: Option<CameraVoice>,
    /// A stored sound, while it is played.
    announcing: Option<Announcing>,
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker").field("camera", &self.camera).finish_non_exhaustive()
    }
}

impl Speaker {
    /// The loudspeaker of `camera`. Nothing is opened before somebody wants to speak.
    pub fn new(
        camera: CameraId,
        talkback: Talkback,
        library: Arc<Library>,
        clock: SharedClock,
        news: FloorNews,
    ) -> Arc<Self> {
        let state = State {
            talkback,
            floor: Floor::default(),
            entry: None,
            wanted_at: None,
            splice: Splice::default(),
            limit: SpeechLimit::default(),
            problem: String::new(),
            voice: None,
            announcing: None,
        };
        let far = FarEnd::new(state.talkback.echo, clock.clone());
        let (state, bell, ear, overruns) = (Mutex::new(state), Notify::new(), Arc::default(), Repeated::default());
        Arc::new(Self { camera, clock, library, news, state, bell, ear, far, overruns })
    }

    /// The camera that it is of.
    pub fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// Goes by other settings from now on: whoever speaks through a loudspeaker that is no more is cut short.
    pub fn follow(&self, talkback: &Talkback) {
        let mut state = lock(&self.state);
        if state.talkback == *talkback {
            return;
        }
        if state.talkback.sink != talkback.sink {
            state.entry = None;
            state.problem.clear();
        }
        state.talkback = talkback.clone();
        drop(state);
        self.far.follow(talkback.echo);
        self.bell.notify_one();
    }

    /// How its camera is spoken to from now on, where that can be.
    pub fn reach(&self, voice: Option<CameraVoice>) {
        lock(&self.state).voice = voice;
    }

    /// What a microphone beside it is told.
    pub fn far_end(&self) -> Arc<FarEnd> {
        self.far.clone()
    }

    /// This moment, by the clock that it goes by.
    pub(crate) fn now(&self) -> MonoTime {
        self.clock.mono()
    }

    /// The pipelines that it is built of.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// Whether a player may speak through it that signed in by this name.
    pub fn lets_player(&self, name: &str) -> bool {
        lock(&self.state).talkback.lets_player(name)
    }

    /// Whether somebody can speak through it as it is set.
    pub fn is_there(&self) -> bool {
        lock(&self.state).talkback.sink.is_some()
    }

    /// Somebody wants to speak; the loudspeaker is opened then. Errors like [`Floor::ask`], with `Unsupported` where there is no loudspeaker
    /// and with `Unavailable` where it does not work.
    pub fn ask(&self, who: &TalkAsker, lease: LeaseId, when_busy: WhenBusy) -> Result<FloorAnswer> {
        let now = self.clock.mono();
        let mut state = lock(&self.state);
        if state.talkback.sink.is_none() {
            let message = "nobody can speak through this camera: set its loudspeaker (talkback) first";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if !state.problem.is_empty() {
            return Err(Error::new(ErrorKind::Unavailable, state.problem.clone()));
        }
        let max = state.talkback.max;
        let asked = state.floor.ask(now, who, lease, when_busy, max)?;
        if matches!(asked, FloorAnswer::Speaks { .. }) {
            state.wanted_at = Some(now);
            state.splice.begin();
        }
        drop(state);
        self.bell.notify_one();
        (self.news)();
        Ok(asked)
    }

    /// The session of `lease` is over.
    pub fn release(&self, lease: LeaseId) {
        let now = self.clock.mono();
        let mut state = lock(&self.state);
        state.wanted_at = state.wanted_at.map(|_| now);
        state.floor.release(now, lease);
        drop(state);
        // Also where its time was over before: then nobody was told yet.
        (self.news)();
    }

    /// A device waits no more.
    pub fn leave(&self, device: DeviceId) {
        if lock(&self.state).floor.leave(self.clock.mono(), device) {
            (self.news)();
        }
    }

    /// What a device is told of who speaks.
    pub fn floor(&self, device: DeviceId) -> FloorSeen {
        lock(&self.state).floor.seen_by(self.clock.mono(), device)
    }

    /// How it is; nothing where there is no loudspeaker.
    pub fn status(&self) -> Option<TalkStatus> {
        let now = self.clock.mono();
        let ear = *lock(&self.ear);
        let state = lock(&self.state);
        let sink = state.talkback.sink.as_ref()?.to_string();
        Some(TalkStatus {
            sink: Some(sink),
            echo: state.talkback.echo,
            max_s: state.talkback.max.as_secs(),
            speaker: state.floor.speaker(now).map(str::to_owned),
            level: ear.level(now),
            heard_at: ear.began_at(),
            problem: state.problem.clone(),
        })
    }

    /// Whether the session of `lease` has the floor.
    pub fn is_held_by(&self, lease: LeaseId) -> bool {
        lock(&self.state).floor.is_held_by(self.clock.mono(), lease)
    }

    /// A packet of the session of `lease`: its RTP sequence number without wraps, its RTP time and an Opus packet. What is none or too much,
    /// comes while nothing plays yet, or of somebody who has not the floor, is dropped. Returns when it came.
    pub fn take(&self, lease: LeaseId, number: u64, time: u32, opus: &[u8]) -> MonoTime {
        let now = self.clock.mono();
        let mut state = lock(&self.state);
        if !state.floor.is_held_by(now, lease) || perch_domain::opus::duration_of(opus).is_none() {
            return now;
        }
        if !state.limit.takes(now, opus.len()) {
            drop(state);
            if self.overruns.is_news("overrun", now) {
                tracing::warn!(camera = %self.camera, "more is sent than anybody says: the rest is dropped");
            }
            return now;
        }
        state.wanted_at = Some(now);
        let placed = state.splice.place(now, number, time);
        if let Some(entry) = &state.entry {
            // Old packets are dropped in the appsrc; it is refused only while the pipeline ends.
            let _ = playing::push(entry, placed, opus);
        }
        now
    }

    /// Plays a stored sound, or says who speaks. Errors like [`Self::ask`].
    pub fn announce(&self, who: &TalkAsker, sound: Playable) -> Result<Option<Busy>> {
        let lease = LeaseId::random();
        match self.ask(who, lease, WhenBusy::Refuse)? {
            FloorAnswer::Busy(busy) => Ok(Some(busy)),
            FloorAnswer::Speaks { .. } => {
                lock(&self.state).announcing = Some(Announcing::new(lease, sound));
                self.bell.notify_one();
                Ok(None)
            }
        }
    }

    /// Hands on what of a stored sound is due, and says when the next piece is; nothing where none is played.
    fn announce_on(&self) -> Option<MonoTime> {
        let now = self.clock.mono();
        let mut state = lock(&self.state);
        let lease = state.announcing.as_ref()?.lease();
        let is_held = state.floor.is_held_by(now, lease);
        let due = if is_held { state.announcing.as_mut()?.due(now) } else { Due::Over };
        let Due::Pieces { of, numbers, next } = due else {
            state.announcing = None;
            drop(state);
            self.release(lease);
            return None;
        };
        drop(state);
        for number in numbers {
            self.take(lease, number as u64, (number * 960) as u32, of.packet(number));
        }
        Some(next)
    }

    fn is_wanted(state: &State, now: MonoTime) -> bool {
        state.talkback.sink.is_some()
            && (state.floor.is_held(now) || state.wanted_at.is_some_and(|at| now.since(at) < KEEP))
    }

    /// Plays what is said, whenever somebody speaks, until `shutdown`. Errors when it cannot be played, with what to do.
    pub async fn run_once(&self, shutdown: &mut Shutdown) -> Result<()> {
        let ended = self.run(shutdown).await;
        // A camera that is switched off plays on nothing later.
        let announcing = lock(&self.state).announcing.take();
        if let Some(announcing) = announcing {
            self.release(announcing.lease());
        }
        ended
    }

    async fn run(&self, shutdown: &mut Shutdown) -> Result<()> {
        loop {
            lock(&self.state).problem.clear();
            let wanted = loop {
                let now = self.clock.mono();
                let sink = {
                    let state = lock(&self.state);
                    state.talkback.sink.clone().filter(|_| Self::is_wanted(&state, now))
                };
                if let Some(sink) = sink {
                    break sink;
                }
                tokio::select! {
                    () = shutdown.called() => return Ok(()),
                    () = self.bell.notified() => {}
                }
            };
            let ended = tokio::select! {
                () = shutdown.called() => return Ok(()),
                ended = self.play(wanted) => ended,
            };
            let now = self.clock.mono();
            let mut state = lock(&self.state);
            state.entry = None;
            if let Err(e) = ended {
                state.problem = e.message().to_owned();
                // Else a microphone that nobody hears would have it opened again and again; whoever speaks would not know.
                state.wanted_at = None;
                state.announcing = None;
                state.floor.clear(now);
                drop(state);
                (self.news)();
                return Err(e);
            }
        }
    }

    /// One pipeline, until it is not needed any more or fails.
    async fn play(&self, sink: TalkSink) -> Result<()> {
        let (library, clock) = (self.library.clone(), self.clock.clone());
        let ears = Ears { ear: self.ear.clone(), far: self.far.clone() };
        let (name, of) = (format!("speaker {}", self.camera), sink.clone());
        let building = on_own_thread(name, move || Playing::start(&library, &of, ears, clock));
        let mut playing = within(&self.clock, START_WITHIN, building).await.unwrap_or_else(|| {
            let message = "the loudspeaker's driver hangs: unplug the loudspeaker and plug it in again";
            Err(Error::new(ErrorKind::Unavailable, message))
        })?;
        let (trigger, ending) = shutdown::channel();
        let frames = playing.frames.take();
        let mut speaking = std::pin::pin!(self.speak_to_camera(frames, ending));
        lock(&self.state).entry = Some(playing.entry.clone());
        let why = loop {
            let look = self.clock.mono() + LOOK_EVERY;
            let next = self.announce_on().map_or(look, |next| next.min(look));
            tokio::select! {
                why = playing.failed() => break Err(why),
                ended = &mut speaking => break ended,
                () = self.bell.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
            let now = self.clock.mono();
            let state = lock(&self.state);
            if !Self::is_wanted(&state, now) || state.talkback.sink.as_ref() != Some(&sink) {
                break Ok(());
            }
        };
        lock(&self.state).entry = None;
        if why.is_ok() {
            // Says goodbye to the camera.
            trigger.fire();
            let _ = within(&self.clock, LET_GO_WITHIN, speaking).await;
        }
        if within(&self.clock, LET_GO_WITHIN, playing.end()).await.is_none() {
            tracing::warn!(camera = %self.camera, "the loudspeaker does not end; it is left behind");
        }
        why
    }

    /// Has the camera spoken to until `ending`; for ever nothing where the loudspeaker is another one. Errors like a session.
    async fn speak_to_camera(&self, frames: Option<Frames>, ending: Shutdown) -> Result<()> {
        let Some(frames) = frames else { return std::future::pending().await };
        let voice = lock(&self.state).voice.clone();
        let none = || Error::new(ErrorKind::Unsupported, "only a network camera has a loudspeaker of its own");
        let voice = voice.ok_or_else(none)?;
        voice
            .ingest
            .speak(&voice.request, &frames, ending)
            .await
            .map_err(|e| Error::new(e.kind(), format!("the camera's loudspeaker: {}", e.message())).with_source(e))
    }

    /// Waits until somebody wants to speak: what failed is tried again then.
    pub async fn wanted(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests;
