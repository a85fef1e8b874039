//! Capture: from a camera to the fan-out. [`Capture`] holds what does not change and makes attempts: of a device or a file an attempt is an
//! `Instance`, a pipeline which runs and dies, of a network camera a session (`network`), which hands in by an `inlet`. Whoever needs decoded
//! what a camera encoded itself has a pipeline beside the attempt (`decoding`, `sound`). Restarting with backoff is the supervisor's, outside.

mod anew;
mod attempts;
mod audio;
mod control;
mod counts;
mod decoding;
mod devices;
mod explain;
mod file;
mod flow;
mod graph;
mod inlet;
mod instance;
mod jpegs;
mod loudness;
mod masking;
mod meter;
mod network;
mod painting;
pub(crate) mod parts;
mod plugged;
pub(crate) mod running;
mod samples;
mod second;
mod sensor;
mod settings;
mod small;
mod sound;
mod sub_rate;
mod threads;
mod tries;
mod turned;
mod vp8;
mod writing;

#[cfg(test)]
mod anew_tests;
#[cfg(test)]
pub(crate) mod clips;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod loudness_tests;
#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod plugged_tests;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use flow::Signal;
#[cfg(test)]
pub(crate) use graph::set_mode;
pub(crate) use graph::shape;
pub use jpegs::{JpegEncoder, JpegSink};
pub use settings::{CaptureEvent, LumaFrame, LumaSink, Means, ZoneNow};
pub(crate) use threads::Threads;
pub(crate) use turned::flip;
pub use vp8::Vp8Stream;

use crate::fanout::{Attachment, Delivery, Hub, Receipt, Sink};
use crate::far_end::FarEnd;
use attempts::Attempts;
use audio::AttemptOver;
use decoding::Decoded;
use flow::{CloseOnDrop, Flow};
use instance::Instance;
use loudness::Loudness;
use masking::Masking;
use perch_base::clock::{SharedClock, within};
use perch_base::repeated::Repeated;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::camera::{AudioSource, CameraConfig, Source};
use perch_domain::capture_attempt::{CaptureEnd, LET_GO_WITHIN, START_WITHIN, end_of_stream};
use perch_domain::health::{FIRST_FRAME_WITHIN, STALL_AFTER, StallVerdict, StallWatch};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::offering::Offering;
use perch_domain::pace::PaceWatch;
use perch_domain::picture_controls::libcamera::SensorProperty;
use perch_domain::settings::Scalar;
use perch_domain::sound_level::SoundLevel;
use perch_domain::status::CaptureFigures;
use plugged::Plugged;
use sensor::Sensor;
use settings::{PACE_EVERY, Settings};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A file that cannot be looped in place starts again after this much at least.
const MIN_ROUND: Duration = Duration::from_millis(500);

/// An encoder makes a keyframe within so long.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(2);

/// One camera's capture: its settings, and the figures of the running attempt.
pub struct Capture {
    settings: Arc<Settings>,
    /// The attempt that runs now, for its figures and for a microphone beside it.
    attempt: watch::Sender<Option<audio::Attempt>>,
    /// What came of the attempts so far.
    attempts: Attempts,
    /// Says when a camera is plugged in.
    plugged: Plugged,
    /// Says when a microphone is.
    sound_plugged: Plugged,
}

/// Somebody looks how loud a camera's sound is.
#[derive(Debug)]
pub struct Listening {
    /// The newest level.
    pub levels: watch::Receiver<Option<SoundLevel>>,
    _heard: Attachment,
}

/// Wants sound to be encoded, and takes none.
struct Deaf;

impl Sink for Deaf {
    fn offer(&mut self, _: Delivery) -> Receipt {
        Receipt::Taken
    }
}

impl std::fmt::Debug for Capture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("camera", &self.settings.config.id).finish_non_exhaustive()
    }
}

impl Capture {
    /// The capture of the camera that `config` describes. Nothing is opened before [`Self::run_once`].
    pub fn new(config: CameraConfig, means: Means, hub: Arc<Hub>, clock: SharedClock, luma: LumaSink) -> Self {
        let far = FarEnd::new(config.talkback.echo, clock.clone());
        Self::beside(far, config, means, hub, clock, luma)
    }

    /// The same of a camera whose loudspeaker tells `far` what it plays.
    pub fn beside(
        far: Arc<FarEnd>,
        config: CameraConfig,
        means: Means,
        hub: Arc<Hub>,
        clock: SharedClock,
        luma: LumaSink,
    ) -> Self {
        let Means { library, ingest, machine, zone, .. } = means;
        let attempts = Attempts::new(&config);
        let settings = Settings {
            far,
            loudness: Arc::new(Loudness::new(config.audio.gain_db)),
            masking: Arc::new(Masking::new(&config.picture.privacy)),
            sensor: Sensor::default(),
            config,
            library,
            hub,
            clock,
            luma,
            threads: Threads::default(),
            sound_threads: Threads::default(),
            decoder_threads: Threads::default(),
            ingest,
            machine,
            zone,
            missing: Repeated::default(),
        };
        Self {
            settings: Arc::new(settings),
            attempt: watch::Sender::new(None),
            attempts,
            plugged: Plugged::default(),
            sound_plugged: Plugged::default(),
        }
    }

    /// The camera's configuration.
    pub fn config(&self) -> &CameraConfig {
        &self.settings.config
    }

    /// Follows what of `config` needs no other attempt: how loud its sound is made, and its masks. Once this returns, no picture is handed on
    /// without these, nor kept for those who come later.
    pub fn follow(&self, config: &CameraConfig) {
        self.settings.loudness.set_gain(config.audio.gain_db);
        if self.settings.masking.change(&config.picture.privacy) {
            self.settings.hub.discontinuity();
        }
    }

    /// The controls of a camera on the ribbon cable, with what they were set to in the running attempt. May block.
    pub fn sensor_properties(&self) -> Vec<SensorProperty> {
        // Without GStreamer there is nothing to ask.
        crate::init().map_or_else(|_| Vec::new(), |()| self.settings.sensor.properties())
    }

    /// Sets one of them. Errors with `NotFound` between attempts and with `Conflict` where it is not taken. May block.
    pub fn set_sensor_property(&self, property: &str, value: &Scalar) -> Result<()> {
        self.settings.sensor.set(property, value)
    }

    /// How loud its sound is, a fifth of a second at a time, as long as this is held; encoding sound goes on for it. `None` while there is
    /// nothing that can be measured: no sound, or Opus that is passed on as it comes.
    pub fn listen(&self) -> Listening {
        let heard = self.settings.hub.attach(Stream::Main, true, "sound meter", Box::new(Deaf));
        Listening { levels: self.settings.loudness.levels(), _heard: heard }
    }

    /// Waits, not for long, until pictures come again after [`Self::follow`].
    pub async fn followed(&self) {
        if self.attempt.borrow().is_some() {
            within(&self.settings.clock, FOLLOWED_WITHIN, self.settings.masking.seen()).await;
        }
    }

    /// What the camera offers to those who watch it, as far as it is known.
    pub fn offers_now(&self) -> Offering {
        self.attempts.offering()
    }

    /// How long the last attempt delivered pictures, from its first to its last.
    pub fn delivered(&self) -> Duration {
        self.attempts.delivered()
    }

    /// Counts while an attempt goes on that has nothing to show for it: one that waits is not stuck.
    pub fn rounds(&self) -> u64 {
        self.attempts.rounds()
    }

    /// Counts one more round of whoever waits for this camera.
    pub fn count_round(&self) {
        self.attempts.count_round();
    }

    /// What the running attempt does; zeros and an empty encoder between attempts.
    pub fn figures(&self) -> CaptureFigures {
        let attempt = self.attempt.borrow().clone();
        let dropped = self.settings.hub.dropped();
        let Some(audio::Attempt { flow, control }) = attempt else {
            return CaptureFigures { dropped, ..CaptureFigures::default() };
        };
        let (fps, bitrate_kbps) = flow.rates();
        CaptureFigures {
            encoder: control.encoder().to_owned(),
            encoders: control.encoders(),
            passed_through: !control.encodes_main(),
            fps,
            bitrate_kbps,
            sub_active: control.sub_active(),
            dropped,
        }
    }

    /// One attempt: builds the pipeline, plays it, publishes to the hub; returns when it ended, with why. Errors with
    /// [`ErrorKind::Unavailable`] where something outside is missing for now and [`ErrorKind::Invalid`] where it cannot run as
    /// configured, each with a sentence for people. `progress` is called from this task.
    pub async fn run_once(
        &self,
        progress: &(dyn Fn(CaptureEvent) + Send + Sync),
        shutdown: Shutdown,
    ) -> Result<CaptureEnd> {
        crate::init()?;
        self.attempts.set_delivered(Duration::ZERO);
        if let Some(url) = self.settings.config.source.url() {
            return network::run_once(&self.settings, &self.attempts, &self.attempt, url, progress, shutdown).await;
        }
        if matches!(self.settings.config.source, Source::V4l2(_)) {
            self.plugged.begin(&self.settings.machine).await;
        }
        let looped = matches!(self.settings.config.source, Source::File(_));
        loop {
            let began = self.settings.clock.mono();
            let ended = self.attempt(progress, shutdown.clone()).await;
            // A file whose container cannot be looped in place starts again: a jump for consumers, not a failure.
            match ended {
                Ok(CaptureEnd::EndOfStream) if looped => {
                    let rest = MIN_ROUND.saturating_sub(self.settings.clock.mono().since(began));
                    self.settings.clock.sleep(rest).await;
                }
                ended => return ended,
            }
        }
    }

    /// Returns soon after a device was plugged in since the last attempt of [`Self::run_once`] began, so that one that was missing is found
    /// again at once. Never returns for a source that is none.
    pub async fn device_comes(&self) {
        self.plugged.comes(&self.settings.clock).await;
    }

    /// The same of its own microphone, since the last attempt of [`Self::run_microphone`] began.
    pub async fn microphone_comes(&self) {
        self.sound_plugged.comes(&self.settings.clock).await;
    }

    /// Whether the camera has a microphone of its own, for [`Self::run_microphone`].
    pub fn has_microphone(&self) -> bool {
        audio::is_own(&self.settings.config.audio.source)
    }

    /// One attempt of the camera's own microphone, beside the attempts of [`Self::run_once`]: between two of them it waits. Returns
    /// when `shutdown` is called; errors, with a sentence for people, when the microphone failed or fell silent. `heard` is called
    /// each time sound comes again.
    pub async fn run_microphone(&self, heard: &(dyn Fn() + Send + Sync), shutdown: &mut Shutdown) -> Result<()> {
        crate::init()?;
        if matches!(self.settings.config.audio.source, AudioSource::Alsa(_)) {
            self.sound_plugged.begin(&self.settings.machine).await;
        }
        let mut attempts = self.attempt.subscribe();
        loop {
            let attempt = attempts.borrow_and_update().clone();
            let Some(attempt) = attempt else {
                tokio::select! {
                    // The sender lives as long as this capture.
                    _ = attempts.changed() => continue,
                    () = shutdown.called() => return Ok(()),
                }
            };
            tokio::select! {
                why = audio::run_once(&self.settings, &attempt, heard) => return Err(why),
                _ = attempts.changed() => {}
                () = shutdown.called() => return Ok(()),
            }
        }
    }

    async fn attempt(
        &self,
        progress: &(dyn Fn(CaptureEvent) + Send + Sync),
        mut shutdown: Shutdown,
    ) -> Result<CaptureEnd> {
        if self.settings.threads.hang() {
            let message = "the driver hangs: unplug the camera and plug it in again";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let (signals, mut inbox) = mpsc::unbounded_channel();
        let flow = Arc::new(Flow::new(&self.settings, signals));
        let _closed = CloseOnDrop(flow.clone());
        let starting = start(self.settings.clone(), flow.clone());
        let instance = tokio::select! {
            started = within(&self.settings.clock, START_WITHIN, starting) => match started {
                Some(instance) => instance?,
                None => {
                    let s = START_WITHIN.as_secs();
                    let message = format!("did not start within {s} s: does the device hang?");
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
            },
            () = shutdown.called() => return Ok(CaptureEnd::Shutdown),
        };
        progress(CaptureEvent::Playing);
        if let Some(note) = instance.note() {
            progress(CaptureEvent::Notice(note.to_owned()));
        }
        self.attempt.send_replace(Some(audio::Attempt { flow: flow.clone(), control: instance.control() }));
        let _over = AttemptOver(&self.attempt);
        let ended = tokio::select! {
            ended = self.watch(&flow, &instance, &mut inbox, progress) => ended,
            () = self.decode_passed(&flow, &instance, progress) => Err(Error::internal("the decoder's keeper ended")),
            () = shutdown.called() => Ok(CaptureEnd::Shutdown),
        };
        self.attempts.set_delivered(flow.delivered().0);
        flow.close();
        if within(&self.settings.clock, LET_GO_WITHIN, instance.end()).await.is_none() {
            let why = "the pipeline does not end; it is left behind";
            if self.settings.is_news(why) {
                tracing::warn!(camera = %self.settings.config.id, "{why}");
            }
            return ended;
        }
        match ended {
            Err(e) if matches!(self.settings.config.source, Source::V4l2(_) | Source::Libcamera(_)) => {
                Err(self.why_lost(e).await)
            }
            ended => ended,
        }
    }

    /// Why the attempt at a device failed, where the machine knows better than `error` says.
    async fn why_lost(&self, error: Error) -> Error {
        let settings = self.settings.clone();
        let (name, entered) = (format!("look at {}", settings.config.id), settings.threads.enter());
        let look = on_own_thread(name, move || {
            let why = devices::why_lost(&settings, error);
            drop(entered);
            Ok(why)
        });
        match within(&self.settings.clock, LET_GO_WITHIN, look).await {
            Some(Ok(why) | Err(why)) => why,
            None => {
                Error::new(ErrorKind::Unavailable, "the driver does not answer: unplug the camera and plug it in again")
            }
        }
    }

    /// Decodes what the camera encoded itself for those who need that. Ends never.
    async fn decode_passed(
        &self,
        flow: &Arc<Flow>,
        instance: &Instance,
        progress: &(dyn Fn(CaptureEvent) + Send + Sync),
    ) {
        if instance.is_passed() {
            let what = Decoded { source: None, codec: VideoCodec::H264, makes_small: true };
            decoding::keep(&self.settings, flow, &instance.control(), what, progress).await;
        }
        std::future::pending().await
    }

    /// Looks on until the attempt ends by itself or stalls.
    async fn watch(
        &self,
        flow: &Flow,
        instance: &Instance,
        inbox: &mut mpsc::UnboundedReceiver<Signal>,
        progress: &(dyn Fn(CaptureEvent) + Send + Sync),
    ) -> Result<CaptureEnd> {
        let clock = &self.settings.clock;
        let mut stall = StallWatch::new(clock.mono(), STALL_AFTER);
        let config = &self.settings.config;
        let mut pace = PaceWatch::new(config.main.fps, config.source.rate_owed_by());
        let control = instance.control();
        let mut look_at = clock.mono();
        loop {
            if let Some(at) = flow.last_frame() {
                stall.frame(at);
            }
            if clock.mono() >= look_at {
                look_at = clock.mono() + PACE_EVERY;
                if let Some(pace) = pace.look(clock.mono(), flow.work(control.is_decoding(), control.sub_active())) {
                    progress(CaptureEvent::Pace(pace));
                }
            }
            let wait = match stall.check(clock.mono()) {
                StallVerdict::WaitUntil(at) | StallVerdict::AwaitsKeyframe(at) => at.min(look_at).since(clock.mono()),
                StallVerdict::Stalled(for_) => return Ok(CaptureEnd::Stalled { for_ }),
                StallVerdict::NeverStarted | StallVerdict::Undecodable => {
                    let s = FIRST_FRAME_WITHIN.as_secs();
                    let message = format!("sent no picture within {s} s: is it busy or asleep?");
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
            };
            let signal = tokio::select! {
                signal = inbox.recv() => signal,
                () = clock.sleep(wait + Duration::from_millis(1)) => continue,
            };
            match signal {
                Some(Signal::FirstFrame) => progress(CaptureEvent::FirstFrame),
                Some(Signal::Failed(e)) => return Err(e),
                Some(Signal::EndOfStream) => return end_of_stream(flow.last_frame().is_some()),
                Some(Signal::PadsKnown) => instance.pads_known(),
                Some(Signal::SegmentDone) => instance.next_round(),
                None => return Err(Error::internal("the pipeline's signals ended")),
            }
        }
    }
}

/// Builds and starts on a thread of its own, since both can block for as long as a driver likes.
async fn start(settings: Arc<Settings>, flow: Arc<Flow>) -> Result<Instance> {
    let (name, entered) = (format!("start {}", settings.config.id), settings.threads.enter());
    let start = move || {
        let instance = Instance::start(&settings, &flow);
        drop(entered);
        instance
    };
    // Where nobody waits any more the instance ends as it drops.
    on_own_thread(name, start).await
}
