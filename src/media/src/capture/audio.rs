//! The microphone: a pipeline of its own beside the camera's, on the same clock, so that neither stops the other.

use super::control::Switch;
use super::flow::{Flow, Signal};
use super::instance::Running;
use super::{CaptureEvent, Settings, graph};
use crate::{pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::backoff::{self, Backoff};
use perch_base::{Error, Result};
use perch_domain::camera::AudioSource;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Opus at this rate carries speech and a barking dog alike, bit/s.
const BITRATE: i64 = 48_000;
/// libopus' effort: half of its best costs a third.
const COMPLEXITY: i64 = 5;

/// The bin that applies gain, encodes Opus while wanted, and publishes it.
pub(super) fn opus(settings: &Settings, flow: &Arc<Flow>, sound: &Switch) -> Result<gst::Bin> {
    let bin = settings.library.bin("audio/opus", &[("bitrate", BITRATE), ("complexity", COMPLEXITY)], &[])?;
    let gain = 10f64.powf(settings.config.audio.gain_db.clamp(-20.0, 20.0) / 20.0);
    pipeline::element(&bin, "volume")?.set_property("volume", gain);
    sound.add(pipeline::element(&bin, "valve")?);
    flow.take_audio(&graph::sink(&bin, "packets")?, true);
    Ok(bin)
}

/// Keeps the microphone running as long as it is polled; waits for ever where the camera has none of its own.
pub(super) async fn run(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    sound: Arc<Switch>,
    progress: &(dyn Fn(CaptureEvent) + Send + Sync),
) {
    if matches!(settings.config.audio.source, AudioSource::None | AudioSource::Source) {
        return std::future::pending().await;
    }
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut lost = false;
    loop {
        let begun = settings.clock.mono();
        sound.clear();
        let why = match start(settings.clone(), flow.clone(), sound.clone()).await {
            Ok((running, mut failed)) => {
                // A microphone that works says nothing; one second without an error counts as working.
                let first = tokio::time::timeout(Duration::from_secs(1), failed.recv()).await;
                let why = match first {
                    Ok(why) => why,
                    Err(_) => {
                        if std::mem::take(&mut lost) {
                            progress(CaptureEvent::SoundBack);
                        }
                        failed.recv().await
                    }
                };
                drop(running);
                why.unwrap_or_else(|| Error::internal("the microphone's pipeline is gone"))
            }
            Err(e) => e,
        };
        if settings.clock.mono().since(begun) > Duration::from_secs(60) {
            backoff.reset();
        }
        if !std::mem::replace(&mut lost, true) {
            tracing::warn!(camera = %settings.config.id, error = %why, "the microphone failed; the picture goes on");
            progress(CaptureEvent::SoundLost(why.to_string()));
        }
        tokio::time::sleep(backoff.next(backoff::unit())).await;
    }
}

/// Builds and starts on a thread of its own: an audio device can block.
async fn start(
    settings: Arc<Settings>,
    flow: Arc<Flow>,
    sound: Arc<Switch>,
) -> Result<(Running, mpsc::UnboundedReceiver<Error>)> {
    let (tx, rx) = oneshot::channel();
    let name = format!("sound {}", settings.config.id);
    let begun = std::thread::Builder::new().name(name).spawn(move || {
        let _ = tx.send(build(&settings, &flow, &sound));
    });
    begun.map_err(|e| Error::internal("no thread for the microphone").with_source(e))?;
    rx.await.unwrap_or_else(|_| Err(Error::internal("starting the microphone panicked")))
}

fn build(settings: &Settings, flow: &Arc<Flow>, sound: &Switch) -> Result<(Running, mpsc::UnboundedReceiver<Error>)> {
    let (source, what) = match &settings.config.audio.source {
        AudioSource::Alsa(device) => {
            (settings.library.bin("audio/alsa", &[], &[("device", device)])?, format!("the microphone alsa:{device}"))
        }
        _ => (settings.library.bin("audio/test", &[], &[])?, "the test microphone".to_owned()),
    };
    let opus = opus(settings, flow, sound)?;
    let pipeline = gst::Pipeline::new();
    time::apply(&pipeline);
    pipeline
        .add_many([&source, &opus])
        .map_err(|e| Error::internal("the microphone cannot be added").with_source(e))?;
    graph::link(source.upcast_ref(), opus.upcast_ref())?;
    let (tx, failed) = mpsc::unbounded_channel();
    let teller = tx.clone();
    let running = Running::new(pipeline, what, move |signal| {
        if let Signal::Failed(e) = signal {
            let _ = teller.send(e);
        }
    });
    if let Err(e) = running.set_state(gst::State::Playing) {
        let _ = tx.send(e);
    }
    Ok((running, failed))
}
