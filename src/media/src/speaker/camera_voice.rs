//! What is said through a network camera's own loudspeaker: samples on their way from the pipeline to a session with the camera.

use crate::pipeline;
use gstreamer as gst;
use gstreamer_app as gst_app;
use perch_base::Result;
use perch_domain::ingest::{IngestPort, IngestRequest, SpeechFrame, SpeechSource};
use perch_domain::ports::Later;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};

/// Frames that wait for a camera that takes them slowly: a second.
const MAX_WAITING: usize = 50;
/// Samples a second that a camera is sent.
const RATE_HZ: u128 = 8000;
/// Samples of a frame: 20 ms, as cameras want them.
const FRAME: usize = 160;
/// A difference of times that is rounding, and no pause.
const NEAR: u32 = 80;

/// How a camera is reached that is spoken to.
#[derive(Clone)]
pub struct CameraVoice {
    /// Makes sessions.
    pub ingest: Arc<dyn IngestPort>,
    /// With which camera.
    pub request: IngestRequest,
}

impl std::fmt::Debug for CameraVoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CameraVoice").field("request", &self.request).finish_non_exhaustive()
    }
}

/// What is to be said to the camera.
pub(super) struct Frames(Mutex<mpsc::Receiver<SpeechFrame>>);

impl SpeechSource for Frames {
    fn next(&self) -> Later<'_, Option<SpeechFrame>> {
        Box::pin(async move { self.0.lock().await.recv().await })
    }
}

/// Has what comes to the appsink of `out` said. What a camera does not take in time is left out.
pub(super) fn frames(out: &gst::Bin) -> Result<Frames> {
    let sink: gst_app::AppSink = pipeline::typed(out, "out", "an appsink")?;
    let (to, frames) = mpsc::channel(MAX_WAITING);
    let mut cutter = Cutter::default();
    let taken = move |sink: &gst_app::AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let Some(buffer) = sample.buffer() else { return Ok(gst::FlowSuccess::Ok) };
        let Ok(map) = buffer.map_readable() else { return Ok(gst::FlowSuccess::Ok) };
        let time = buffer.pts().map(|pts| (u128::from(pts.nseconds()) * RATE_HZ / 1_000_000_000) as u32);
        let samples = map.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
        for frame in cutter.cut(time, samples) {
            // A full queue is a camera that is slow, and none at all one whose session ended, which says so.
            let _ = to.try_send(frame);
        }
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(gst_app::AppSinkCallbacks::builder().new_sample(taken).build());
    Ok(Frames(Mutex::new(frames)))
}

/// Cuts what comes into frames of one length.
#[derive(Default)]
struct Cutter {
    rest: Vec<i16>,
    /// The time of the first sample of the rest.
    at: Option<u32>,
    has_begun: bool,
}

impl Cutter {
    /// Samples come, the first of them at this time.
    fn cut(&mut self, time: Option<u32>, samples: impl Iterator<Item = i16>) -> Vec<SpeechFrame> {
        let due = self.at.map(|at| at.wrapping_add(self.rest.len() as u32));
        let is_next = |time: u32| due.is_some_and(|due| time.wrapping_sub(due).wrapping_add(NEAR) <= 2 * NEAR);
        if let Some(time) = time.filter(|time| !is_next(*time)) {
            // After a pause.
            self.rest.clear();
            (self.at, self.has_begun) = (Some(time), false);
        }
        self.rest.extend(samples);
        let mut frames = Vec::new();
        while self.rest.len() >= FRAME {
            let rest = self.rest.split_off(FRAME);
            let samples = std::mem::replace(&mut self.rest, rest);
            let time = self.at.unwrap_or_default();
            self.at = Some(time.wrapping_add(FRAME as u32));
            frames.push(SpeechFrame { samples, time, begins: !std::mem::replace(&mut self.has_begun, true) });
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_cut_into_frames_of_20_ms() {
        let mut cutter = Cutter::default();
        let mut all = Vec::new();
        // Rounded times, then a pause.
        for (time, count) in [(1000, 100), (1101, 300), (1399, 240), (9000, 170)] {
            all.extend(cutter.cut(Some(time), std::iter::repeat_n(1, count)));
        }
        let told: Vec<_> = all.iter().map(|f| (f.time, f.samples.len(), f.begins)).collect();
        assert_eq!(
            told,
            [(1000, 160, true), (1160, 160, false), (1320, 160, false), (1480, 160, false), (9000, 160, true)]
        );
    }
}
