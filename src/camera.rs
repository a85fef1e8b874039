//! A camera of the box as everybody else sees it: what is configured, and how it is.

use crate::camera_voice::voice_of;
use crate::pushes::Pushes;
use crate::wires::Wires;
use perch_base::Error;
use perch_base::clock::SharedClock;
use perch_base::repeated::Repeated;
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_domain::camera::CameraConfig;
use perch_domain::health::{CameraHealth, CameraState, WAITS_FOR_KEYFRAME};
use perch_domain::ingest::Shape;
use perch_domain::orientation::Orientation;
use perch_domain::recording::RecordMode;
use perch_domain::status::{CameraInfo, Notice, RecordingState, RecordingStatus};
use perch_domain::trouble::{SourceKind, Trouble, TroubleCause};
use perch_media::capture::{Capture, Means, Vp8Stream};
use perch_media::fanout::Hub;
use perch_media::speaker::Speaker;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::broadcast;

/// News for everybody who listens.
pub type Notices = broadcast::Sender<Arc<Notice>>;

/// One camera: its settings, its fan-out, and its state under one lock.
pub struct Camera {
    pub config: CameraConfig,
    pub hub: Arc<Hub>,
    pub capture: Arc<Capture>,
    /// What people speak through.
    pub speaker: Arc<Speaker>,
    /// The small stream for viewers that offer no H.264.
    pub vp8: Arc<Vp8Stream>,
    /// How it is pushed to other servers.
    pub pushes: Pushes,
    pub wires: Wires,
    pub clock: SharedClock,
    notices: Notices,
    /// What was logged of its failures, in full.
    failures: Repeated,
    state: Arc<Mutex<CameraLive>>,
}

#[derive(Clone, Debug)]
struct CameraLive {
    health: CameraHealth,
    recording: RecordingStatus,
    last_event_at: Option<Timestamp>,
    recorder_rounds: u64,
    /// Why the detector gets no pictures; empty while it does.
    no_pictures: String,
    /// Why it cannot judge those that it gets; empty while it can.
    not_judged: String,
    /// What is noted of live viewing.
    live_note: Option<String>,
    /// What is noted of pictures that are lost.
    loss_note: Option<String>,
    /// What is noted of its own picture settings.
    controls_note: Option<String>,
    /// Whether a picture ever came with these settings.
    had_picture: bool,
}

impl Camera {
    /// A camera of which nothing runs yet. It is captured with `means`.
    pub fn new(
        config: CameraConfig,
        clock: SharedClock,
        notices: Notices,
        last_event_at: Option<Timestamp>,
        means: &Means,
    ) -> Self {
        let (hub, wires) = (Hub::new(config.id.clone(), clock.clone()), Wires::default());
        let recording = not_yet_recorded(&config);
        let mut health = CameraHealth::starting(clock.utc());
        if let Some(off) = &config.off {
            health.switch_off(off);
        }
        let state = CameraLive {
            health,
            recording,
            last_event_at,
            recorder_rounds: 0,
            no_pictures: String::new(),
            not_judged: String::new(),
            live_note: None,
            loss_note: None,
            controls_note: None,
            had_picture: false,
        };
        wires.controls.want(&config.picture.controls);
        let failures = Repeated::default();
        let (id, news) = (config.id.clone(), notices.clone());
        let news = move || {
            let _ = news.send(Arc::new(Notice::Talk { camera: id.clone() }));
        };
        let (library, talkback) = (means.library.clone(), config.talkback.clone());
        let speaker = Speaker::new(config.id.clone(), talkback, library, clock.clone(), Arc::new(news));
        let pushes = Pushes::new(clock.clone());
        pushes.follow(&config.push, config.off.is_some());
        speaker.reach(voice_of(&config, means));
        let (far, luma) = (speaker.far_end(), wires.luma.sink());
        let vp8 = Vp8Stream::new(hub.clone(), config.sub, means.library.clone(), clock.clone(), means.encodes_vp8);
        let capture = Capture::beside(far, config.clone(), means.clone(), hub.clone(), clock.clone(), luma);
        Self {
            config,
            hub,
            capture: Arc::new(capture),
            speaker,
            vp8,
            pushes,
            wires,
            clock,
            notices,
            failures,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The same camera with other settings: its fan-out, its state and what ties its tasks together are shared, so that whatever is
    /// not run again goes on. Where `means` are given, it gets a new capture.
    pub fn changed(&self, config: CameraConfig, means: Option<&Means>) -> Self {
        let (old, new) = (&self.config, &config);
        if old.picture.controls != new.picture.controls || old.network.onvif != new.network.onvif {
            self.wires.controls.want(&new.picture.controls);
        }
        if config.record.mode != self.config.record.mode {
            self.set_recording(not_yet_recorded(&config));
        }
        if let Some(off) = config.off.as_ref().filter(|off| self.config.off.as_ref() != Some(*off)) {
            self.lock().health.switch_off(off);
            self.tell();
        }
        let again = |means: &Means| {
            let (hub, luma) = (self.hub.clone(), self.wires.luma.sink());
            let far = self.speaker.far_end();
            Arc::new(Capture::beside(far, config.clone(), means.clone(), hub, self.clock.clone(), luma))
        };
        if let Some(means) = means {
            self.speaker.reach(voice_of(&config, means));
            self.forget_problems();
            self.lock().had_picture = false;
        }
        self.speaker.follow(&config.talkback);
        self.vp8.follow(config.sub);
        self.pushes.follow(&config.push, config.off.is_some());
        Self {
            capture: means.map_or_else(|| self.capture.clone(), again),
            speaker: self.speaker.clone(),
            vp8: self.vp8.clone(),
            pushes: self.pushes.clone(),
            config,
            hub: self.hub.clone(),
            wires: self.wires.clone(),
            clock: self.clock.clone(),
            notices: self.notices.clone(),
            failures: Repeated::default(),
            state: self.state.clone(),
        }
    }

    /// How it is.
    pub fn health(&self) -> CameraHealth {
        self.lock().health.clone()
    }

    /// Sets how it is, tells everybody, and writes it to the log when it changed.
    pub fn set_health(&self, state: CameraState, reason: &str) {
        self.change_health(state, state.cause(), reason, reason);
    }

    /// Sets that its pictures come, and decoding can begin with none of them yet.
    pub fn set_awaiting_keyframe(&self) {
        let cause = Some(TroubleCause::AwaitsKeyframe);
        self.change_health(CameraState::Starting, cause, WAITS_FOR_KEYFRAME, WAITS_FOR_KEYFRAME);
    }

    /// Sets that it failed: what is shown is the sentence; what is for the inside goes to the log.
    pub fn set_failed(&self, state: CameraState, error: &Error) {
        let cause = TroubleCause::of_failure(SourceKind::from(&self.config.source), error.kind());
        self.change_health(state, Some(cause), error.message(), &error.to_string());
    }

    fn change_health(&self, state: CameraState, cause: Option<TroubleCause>, reason: &str, logged: &str) {
        let trouble = cause.map(|cause| Trouble::new(SourceKind::from(&self.config.source), cause));
        let mut live = self.lock();
        let before = (live.health.state, live.health.trouble.clone(), live.health.reason.clone());
        live.health.set(state, trouble.clone(), reason, self.clock.utc());
        live.had_picture |= state.delivers();
        if (state, &trouble, reason) == (before.0, &before.1, before.2.as_str()) {
            // The sentence is the same; what is behind it need not be.
            if logged != reason && self.failures.is_news(logged, self.clock.mono()) {
                tracing::warn!(camera = %self.config.id, ?state, reason = logged, "the camera fails for another reason now");
            }
            return;
        }
        if logged != reason {
            self.failures.is_news(logged, self.clock.mono());
        }
        let health = live.health.clone();
        drop(live);
        let camera = self.config.id.clone();
        let reason = logged;
        match state {
            CameraState::Live if reason.is_empty() => tracing::info!(%camera, "camera is live"),
            CameraState::Live => tracing::info!(%camera, reason, "camera is live and gives fewer pictures than asked"),
            CameraState::Overloaded => tracing::warn!(%camera, reason, "the box does not keep up with the camera"),
            CameraState::Starting => tracing::info!(%camera, "camera is starting"),
            CameraState::Stalled | CameraState::Missing => {
                tracing::warn!(%camera, ?state, reason, "camera has no picture")
            }
            CameraState::Failed => tracing::error!(%camera, reason, "camera cannot run as configured"),
            CameraState::Off => tracing::info!(%camera, reason, "camera is off"),
        }
        self.publish(Notice::Health { camera, health });
    }

    /// Tells everybody how it is.
    pub fn tell(&self) {
        self.publish(Notice::Health { camera: self.config.id.clone(), health: self.health() });
    }

    /// When its newest event began.
    pub fn last_event(&self) -> Option<Timestamp> {
        self.lock().last_event_at
    }

    /// There is sound, or will be: tells everybody when it changed.
    pub fn set_sound_works(&self) {
        if self.set_problem("", |health| &mut health.sound_problem) {
            tracing::info!(camera = %self.config.id, "the microphone works again");
        }
    }

    /// Sets why there is no sound, and tells everybody when it changed: what is shown is the sentence; what is for the inside goes to
    /// the log.
    pub fn set_sound_failed(&self, error: &Error) {
        let is_news = self.failures.is_news(error, self.clock.mono());
        if self.set_problem(error.message(), |health| &mut health.sound_problem) || is_news {
            tracing::warn!(camera = %self.config.id, %error, "the microphone failed; the picture goes on");
        }
    }

    /// Sets why the sound of a network camera is not heard (empty: it is), and tells everybody when it changed.
    pub fn set_sound(&self, problem: &str) {
        if self.set_problem(problem, |health| &mut health.sound_problem) {
            let camera = &self.config.id;
            match problem {
                "" => tracing::info!(%camera, "the camera's sound is heard again"),
                problem => tracing::warn!(%camera, problem, "the camera's sound is not heard; the picture goes on"),
            }
        }
    }

    /// Sets why there is no small stream (empty: there is, or none is wanted), and tells everybody when it changed.
    pub fn set_small_problem(&self, problem: &str) {
        if self.set_problem(problem, |health| &mut health.small_problem) {
            let camera = &self.config.id;
            match problem {
                "" => tracing::info!(%camera, "there is a small stream again"),
                problem => tracing::warn!(%camera, problem, "there is no small stream; the large one goes on"),
            }
        }
    }

    /// Sets that far too few pictures are given (empty: enough are), and tells everybody when it changed.
    pub fn set_rate_problem(&self, problem: &str) {
        if self.set_problem(problem, |health| &mut health.rate_problem) {
            let camera = &self.config.id;
            match problem {
                "" => tracing::info!(%camera, "the camera gives enough pictures again"),
                problem => tracing::warn!(%camera, problem, "the camera gives too few pictures"),
            }
        }
    }

    /// Sets why motion is not judged (empty: it is, or need not be), and tells everybody when it changed.
    pub fn set_motion_problem(&self, problem: &str) {
        problem.clone_into(&mut self.lock().not_judged);
        self.tell_motion_problem();
    }

    /// Sets why the detector gets no pictures (empty: it does, or none are wanted), and tells everybody when it changed.
    pub fn set_no_pictures(&self, problem: &str) {
        problem.clone_into(&mut self.lock().no_pictures);
        self.tell_motion_problem();
    }

    fn tell_motion_problem(&self) {
        let problem = {
            let live = self.lock();
            if live.no_pictures.is_empty() { live.not_judged.clone() } else { live.no_pictures.clone() }
        };
        if self.set_problem(&problem, |health| &mut health.motion_problem) {
            let camera = &self.config.id;
            match problem.as_str() {
                "" => tracing::info!(%camera, "motion is judged again"),
                problem => tracing::warn!(%camera, problem, "motion is not judged; the picture goes on"),
            }
        }
    }

    /// Notes what people should know although it goes on, and tells everybody once.
    pub fn note(&self, what: &str) {
        let mut live = self.lock();
        if !live.health.note(what) {
            return;
        }
        let health = live.health.clone();
        drop(live);
        // Each session may note it again.
        if self.failures.is_news(what, self.clock.mono()) {
            tracing::warn!(camera = %self.config.id, what, "noted of the camera");
        }
        self.publish(Notice::Health { camera: self.config.id.clone(), health });
    }

    /// Another session begins: what [`Self::note`] noted in the one before is no more. Tells everybody where there was something.
    pub fn forget_notes(&self) {
        let mut live = self.lock();
        let CameraLive { live_note, loss_note, controls_note, .. } = &*live;
        let kept: Vec<String> = [live_note, loss_note, controls_note].into_iter().flatten().cloned().collect();
        let before = live.health.notes.len();
        live.health.notes.retain(|note| kept.contains(note));
        if live.health.notes.len() == before {
            return;
        }
        let health = live.health.clone();
        drop(live);
        self.publish(Notice::Health { camera: self.config.id.clone(), health });
    }

    /// Notes how live viewing is limited (`None`: it is not), and tells everybody when that changed.
    pub fn set_live_note(&self, note: Option<&str>) {
        if self.replace_note(note, |live| &mut live.live_note) {
            tracing::info!(camera = %self.config.id, note = note.unwrap_or("it is not"), "how live viewing is limited");
        }
    }

    /// Notes that many pictures are lost on the way (`None`: they are not), and tells everybody when that changed.
    pub fn set_loss_note(&self, note: Option<&str>) {
        if self.replace_note(note, |live| &mut live.loss_note) {
            let camera = &self.config.id;
            match note {
                Some(note) => tracing::warn!(%camera, note, "pictures are lost on the way"),
                None => tracing::info!(%camera, "pictures are lost on the way no more"),
            }
        }
    }

    /// Notes what of its own picture settings is not as it is wanted (`None`: all is), and tells everybody when that changed.
    pub fn set_controls_note(&self, note: Option<&str>) {
        if self.replace_note(note, |live| &mut live.controls_note) {
            let camera = &self.config.id;
            match note {
                Some(note) => tracing::warn!(%camera, note, "its picture settings are not as they are wanted"),
                None => tracing::info!(%camera, "its picture settings are as they are wanted"),
            }
        }
    }

    /// Puts a note in the place of the one before, and tells everybody. Returns whether it changed.
    fn replace_note(&self, note: Option<&str>, of: fn(&mut CameraLive) -> &mut Option<String>) -> bool {
        let mut live = self.lock();
        let before = of(&mut live).take();
        *of(&mut live) = note.map(str::to_owned);
        if before.as_deref() == note {
            return false;
        }
        live.health.notes.retain(|n| before.as_ref().is_none_or(|before| n != before));
        if let Some(note) = note {
            live.health.note(note);
        }
        let health = live.health.clone();
        drop(live);
        self.publish(Notice::Health { camera: self.config.id.clone(), health });
        true
    }

    /// What was said of a capture that is no more says nothing of the next.
    fn forget_problems(&self) {
        let mut live = self.lock();
        live.no_pictures.clear();
        live.live_note = None;
        live.loss_note = None;
        live.controls_note = None;
        live.health.notes.clear();
        live.health.small_problem.clear();
        live.health.rate_problem.clear();
        live.health.motion_problem = live.not_judged.clone();
    }

    /// Sets one of the problems beside the picture, and tells everybody. Returns whether it changed.
    fn set_problem(&self, problem: &str, field: fn(&mut CameraHealth) -> &mut String) -> bool {
        let mut live = self.lock();
        let before = field(&mut live.health);
        if before == problem {
            return false;
        }
        problem.clone_into(before);
        let health = live.health.clone();
        drop(live);
        self.publish(Notice::Health { camera: self.config.id.clone(), health });
        true
    }

    /// Counts one more restart of its capture.
    pub fn count_restart(&self) {
        self.lock().health.restarts += 1;
    }

    /// Sets what its recorder does, and tells everybody when it changed.
    pub fn set_recording(&self, recording: RecordingStatus) {
        let mut live = self.lock();
        if live.recording == recording {
            return;
        }
        let before = std::mem::replace(&mut live.recording, recording.clone());
        drop(live);
        let was_paused = before.state == RecordingState::Paused;
        let (camera, RecordingStatus { state, reason, .. }) = (self.config.id.clone(), &recording);
        match state {
            // What fails or hangs is logged there, with its cause; that there is another reason now, only here.
            RecordingState::Paused if !was_paused && !recording.is_unrecordable => {
                tracing::debug!(%camera, reason, "recording is paused");
            }
            RecordingState::Paused => tracing::error!(%camera, reason, "recording is paused"),
            RecordingState::Recording if reason.is_empty() => tracing::info!(%camera, "recording runs"),
            RecordingState::Recording => tracing::info!(%camera, reason, "recording runs, and something was lost"),
            RecordingState::Waiting => tracing::info!(%camera, reason, "recording waits"),
            RecordingState::Off => tracing::info!(%camera, reason, "recording is off"),
        }
        self.publish(Notice::Recording { camera, recording });
    }

    /// Counts a round of its recorder: the disk took it, or there was nothing to write.
    pub fn count_recorder_round(&self) {
        self.lock().recorder_rounds += 1;
    }

    /// How many rounds its recorder made.
    pub fn recorder_rounds(&self) -> u64 {
        self.lock().recorder_rounds
    }

    /// Notes when its newest event began.
    pub fn set_last_event(&self, at: Timestamp) {
        self.lock().last_event_at = Some(at);
    }

    /// Sends news to everybody who listens.
    pub fn publish(&self, notice: Notice) {
        // Nobody listening is fine.
        let _ = self.notices.send(Arc::new(notice));
    }

    /// The camera as it is listed.
    pub fn info(&self) -> CameraInfo {
        let live = self.lock().clone();
        let c = &self.config;
        let offering = self.capture.offers_now();
        let shape = offering.shape.map(Shape::turned);
        // What is encoded here has the size that is configured.
        let configured = live.had_picture.then_some(c.picture.turned.of_sides((c.main.width, c.main.height)));
        let size = shape.map(|shape| (shape.width, shape.height)).or(configured);
        CameraInfo {
            id: c.id.clone(),
            name: c.name.clone(),
            room: c.room.clone(),
            source: Some(c.source.describe()),
            width: size.map(|(width, _)| width),
            height: size.map(|(_, height)| height),
            display_width: shape.map(|shape| shape.square().0).or(size.map(|(width, _)| width)),
            orientation: offering.shape.map_or(Orientation::NONE, |shape| shape.orientation),
            fps: c.main.fps,
            codec: offering.codec,
            has_audio: offering.has_audio,
            record_mode: c.record.mode,
            motion_enabled: c.motion.enabled,
            health: live.health,
            capture: self.capture.figures(),
            recording: live.recording,
            last_event_at: live.last_event_at,
            talk: self.speaker.status(),
            push: self.pushes.statuses(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, CameraLive> {
        lock(&self.state)
    }
}

fn not_yet_recorded(config: &CameraConfig) -> RecordingStatus {
    match config.record.mode {
        _ if config.off.is_some() => RecordingStatus::new(RecordingState::Off, ""),
        RecordMode::Off => RecordingStatus::new(RecordingState::Off, ""),
        _ => RecordingStatus::new(RecordingState::Waiting, "waiting for the camera"),
    }
}

/// Means of a camera that is not captured.
#[cfg(test)]
pub fn test_means() -> Means {
    let library = perch_media::pipeline::Library::load(None).expect("well formed");
    let clock = Arc::new(perch_base::clock::SystemClock);
    Means {
        library: Arc::new(library),
        ingest: Arc::new(perch_ingest::Ingest::new(clock, Arc::new(crate::known_certificates::Onlooker::default()))),
        machine: perch_media::devices::Machine::default(),
        zone: Arc::new(perch_base::zone::Zone::utc),
        encodes_vp8: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use perch_base::ErrorKind;
    use perch_base::clock::ManualClock;

    #[test]
    fn what_is_shown_of_a_failure_is_its_sentence_alone() {
        let config = Config::parse("[[camera]]\nid = \"front\"\nsource = \"test\"", std::iter::empty()).expect("valid");
        let clock: SharedClock = Arc::new(ManualClock::new(Timestamp(0)));
        let (notices, mut news) = broadcast::channel(8);
        let camera = Camera::new(config.cameras[0].clone(), clock, notices, None, &test_means());
        let error = || {
            let e = Error::new(ErrorKind::Unavailable, "the source does not start");
            e.with_inside("v4l2src said so").with_source(std::io::Error::other("no route to /dev/video0"))
        };
        camera.set_failed(CameraState::Missing, &error());
        camera.set_sound_failed(&error());
        let health = camera.health();
        assert_eq!((health.state, health.reason.as_str()), (CameraState::Missing, "the source does not start"));
        assert_eq!(health.sound_problem, "the source does not start");
        while let Ok(notice) = news.try_recv() {
            let shown = format!("{notice:?}");
            assert!(!shown.contains("v4l2src") && !shown.contains("/dev/video0"), "{shown}");
        }
        camera.set_sound_works();
        assert_eq!(camera.health().sound_problem, "");
    }

    #[test]
    fn no_size_is_claimed_before_a_picture_came() {
        let config = Config::parse("[[camera]]\nid = \"front\"\nsource = \"test\"", std::iter::empty()).expect("valid");
        let clock: SharedClock = Arc::new(ManualClock::new(Timestamp(0)));
        let (notices, _news) = broadcast::channel(8);
        let camera = Camera::new(config.cameras[0].clone(), clock, notices, None, &test_means());
        let size = |camera: &Camera| {
            let info = camera.info();
            (info.width, info.height, info.display_width)
        };
        camera.set_health(CameraState::Missing, "no device");
        assert_eq!(size(&camera), (None, None, None));
        camera.set_health(CameraState::Live, "");
        camera.set_health(CameraState::Stalled, "no picture for 3 s");
        assert_eq!(size(&camera), (Some(1280), Some(720), Some(1280)));
        let same = camera.changed(config.cameras[0].clone(), None);
        assert_eq!(size(&same).0, Some(1280));
        assert_eq!(size(&same.changed(config.cameras[0].clone(), Some(&test_means()))).0, None, "it is set up anew");
    }

    #[test]
    fn who_gets_no_pictures_and_who_cannot_judge_them_both_say_so() {
        let config = Config::parse("[[camera]]\nid = \"front\"\nsource = \"test\"", std::iter::empty()).expect("valid");
        let clock: SharedClock = Arc::new(ManualClock::new(Timestamp(0)));
        let (notices, _news) = broadcast::channel(8);
        let camera = Camera::new(config.cameras[0].clone(), clock, notices, None, &test_means());
        let said = || camera.health().motion_problem;
        camera.set_motion_problem("the light swings");
        camera.set_no_pictures("not decoded");
        assert_eq!(said(), "not decoded");
        camera.set_motion_problem("");
        assert_eq!(said(), "not decoded", "the detector knows nothing of it");
        camera.set_motion_problem("the light swings");
        camera.set_no_pictures("");
        assert_eq!(said(), "the light swings");
        camera.note("odd");
        camera.set_live_note(Some("small"));
        camera.note("odd");
        assert_eq!(camera.health().notes, ["odd", "small"]);
        camera.set_loss_note(Some("4 % are lost"));
        camera.set_live_note(None);
        camera.set_loss_note(Some("20 % are lost"));
        assert_eq!(camera.health().notes, ["odd", "20 % are lost"]);
        camera.forget_notes();
        assert_eq!(camera.health().notes, ["20 % are lost"], "another session begins");
        camera.note("odd");
        camera.set_loss_note(None);
        assert_eq!(camera.health().notes, ["odd"]);
    }
}
