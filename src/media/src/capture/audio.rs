//! The microphone: a pipeline of its own beside the camera's, on the same clock, so that neither stops the other.

use super::control::{Control, Part, Valves};
use super::flow::{Flow, Signal};
use super::parts;
use super::running::Running;
use super::settings::Settings;
use crate::{pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::clock::within;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, on_own_thread};
use perch_domain::camera::AudioSource;
use perch_domain::capture_attempt::{LET_GO_WITHIN, START_WITHIN};
use perch_domain::health::{SoundVerdict, SoundWatch};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Stands where a microphone has not delivered yet.
const NEVER: i64 = i64::MIN;
/// How often a running microphone is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The running attempt of the camera's capture, as far as a microphone beside it is concerned.
#[derive(Clone)]
pub(super) struct Attempt {
    /// Publishes what is heard.
    pub flow: Arc<Flow>,
    /// Commands it, and knows whether sound is wanted.
    pub control: Arc<Control>,
}

/// A microphone beside the attempt ends with it.
pub(super) struct AttemptOver<'a>(pub &'a watch::Sender<Option<Attempt>>);

impl Drop for AttemptOver<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// Whether a camera has a microphone of its own.
pub(super) fn is_own(source: &AudioSource) -> bool {
    !matches!(source, AudioSource::None | AudioSource::Source)
}

/// Starts the microphone and looks on until it fails; says why. `heard` is called once it was heard.
pub(super) async fn run_once(settings: &Arc<Settings>, attempt: &Attempt, heard: &(dyn Fn() + Send + Sync)) -> Error {
    let clock = &settings.clock;
    let valves = &attempt.control.valves;
    valves.clear(Part::Sound);
    let starting = start(settings.clone(), attempt.flow.clone(), valves.clone());
    let mut mic = match within(clock, START_WITHIN, starting).await {
        Some(Ok(mic)) => mic,
        Some(Err(e)) => return e,
        None => {
            let s = START_WITHIN.as_secs();
            let message = format!("the microphone did not start within {s} s: does it hang?");
            return Error::new(ErrorKind::Unavailable, message);
        }
    };
    let why = mic.watch(settings, valves, heard).await;
    if within(clock, LET_GO_WITHIN, mic.running.end()).await.is_none() {
        let left = "the microphone does not end; it is left behind";
        if settings.is_news(left) {
            tracing::warn!(camera = %settings.config.id, "{left}");
        }
        return why;
    }
    let AudioSource::Alsa(device) = settings.config.audio.source.clone() else { return why };
    let machine = settings.machine.clone();
    let look = move || Ok(machine.microphone(&device).err());
    match perch_base::blocking("looking at the sound cards", look).await {
        Ok(Some(better)) => better.with_source(why),
        Ok(None) | Err(_) => why,
    }
}

/// A microphone that was started.
struct Microphone {
    running: Running,
    failed: mpsc::UnboundedReceiver<Error>,
    /// When its source delivered last, microseconds of the clock, or [`NEVER`].
    heard_us: Arc<AtomicI64>,
}

impl Microphone {
    /// Looks on until it fails or falls silent, and says why it ended; calls `heard` once it was heard.
    async fn watch(&mut self, settings: &Settings, valves: &Valves, heard: &(dyn Fn() + Send + Sync)) -> Error {
        let mut silence = SoundWatch::new(settings.clock.mono());
        loop {
            // A microphone that works says nothing; the first second without an error counts as working.
            if let Some(why) = within(&settings.clock, LOOK_EVERY, self.failed.recv()).await {
                return why.unwrap_or_else(|| Error::internal("the microphone's pipeline is gone"));
            }
            match silence.look(settings.clock.mono(), self.last_heard(), valves.is_open(Part::Sound)) {
                SoundVerdict::Heard => heard(),
                SoundVerdict::GoOn => {}
                SoundVerdict::Silent => {
                    return Error::new(ErrorKind::Unavailable, "the microphone delivers nothing: is it unplugged?");
                }
            }
        }
    }

    fn last_heard(&self) -> Option<MonoTime> {
        let us = self.heard_us.load(Ordering::SeqCst);
        (us != NEVER).then_some(MonoTime(us))
    }
}

/// Builds and starts on a thread of its own: an audio device can block.
async fn start(settings: Arc<Settings>, flow: Arc<Flow>, valves: Arc<Valves>) -> Result<Microphone> {
    if settings.sound_threads.hang() {
        let message = "the microphone's driver hangs: unplug the microphone and plug it in again";
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    let (name, entered) = (format!("sound {}", settings.config.id), settings.sound_threads.enter());
    let start = move || {
        let mic = build(&settings, &flow, &valves);
        drop(entered);
        mic
    };
    on_own_thread(name, start).await
}

fn build(settings: &Settings, flow: &Arc<Flow>, valves: &Valves) -> Result<Microphone> {
    let (source, what) = match &settings.config.audio.source {
        AudioSource::Alsa(device) => {
            settings.machine.microphone(device)?;
            (settings.library.bin("audio/alsa", &[], &[("device", device)])?, format!("the microphone alsa:{device}"))
        }
        _ => (settings.library.bin("audio/test", &[], &[])?, "the test microphone".to_owned()),
    };
    let opus = parts::opus(settings, flow, valves)?;
    let pipeline = gst::Pipeline::new();
    time::apply(&pipeline);
    let end = pipeline::open_end(&source, "src")?;
    // Whoever may speak through the camera must not hear themselves.
    let near = settings.config.talkback.sink.as_ref().map(|_| settings.far.near(&settings.library)).transpose()?;
    let bins: Vec<&gst::Bin> = [Some(&source), near.as_ref(), Some(&opus)].into_iter().flatten().collect();
    for bin in &bins {
        parts::add(&pipeline, bin)?;
    }
    for pair in bins.windows(2) {
        parts::link(pair[0].upcast_ref(), pair[1].upcast_ref())?;
    }
    let heard_us = Arc::new(AtomicI64::new(NEVER));
    let (ear, clock) = (heard_us.clone(), settings.clock.clone());
    end.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, _| {
        ear.store(clock.mono().0, Ordering::SeqCst);
        gst::PadProbeReturn::Ok
    });
    let (tx, failed) = mpsc::unbounded_channel();
    let teller = tx.clone();
    let running = Running::new(pipeline, what, settings.sound_threads.clone(), move |signal| {
        if let Signal::Failed(e) = signal {
            let _ = teller.send(e);
        }
    });
    if let Err(e) = running.set_state(gst::State::Playing) {
        let _ = tx.send(e);
    }
    Ok(Microphone { running, failed, heard_us })
}
