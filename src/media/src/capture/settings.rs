//! What the parts of a capture have in common and never change, and what they say and hand out.

use super::threads::Threads;
use crate::fanout::Hub;
use crate::pipeline::Library;
use perch_base::clock::SharedClock;
use perch_base::repeated::Repeated;
use perch_base::time::MonoTime;
use perch_domain::camera::CameraConfig;
use perch_domain::pace::Pace;
use std::fmt::Display;
use std::sync::Arc;

/// A small grey picture for the motion detector.
#[derive(Clone, Debug)]
pub struct LumaFrame {
    /// Exactly `LUMA_WIDTH * LUMA_HEIGHT` bytes, row by row.
    pub pixels: Vec<u8>,
    /// When it was captured.
    pub pts: MonoTime,
}

/// Takes the small pictures, on a thread of the pipeline: it must not block.
pub type LumaSink = Arc<dyn Fn(LumaFrame) + Send + Sync>;

/// What happens in an attempt, for the camera's health.
#[derive(Clone, Debug, PartialEq)]
pub enum CaptureEvent {
    /// The pipeline runs; no picture has come yet.
    Playing,
    /// The first picture of this attempt was published.
    FirstFrame,
    /// Whether the box keeps up.
    Pace(Pace),
}

/// What an attempt needs and never changes.
pub(super) struct Settings {
    /// The camera.
    pub config: CameraConfig,
    /// The pipelines as text.
    pub library: Arc<Library>,
    /// Where packets go.
    pub hub: Arc<Hub>,
    /// The time.
    pub clock: SharedClock,
    /// Where small pictures go.
    pub luma: LumaSink,
    /// Threads in the camera's driver.
    pub threads: Threads,
    /// Threads in the microphone's driver.
    pub sound_threads: Threads,
    /// What each attempt may find again.
    pub missing: Repeated,
}

impl Settings {
    /// Whether it is to be logged what an attempt goes on without, or left behind: each attempt may find that again.
    pub fn is_news(&self, what: impl Display) -> bool {
        self.missing.is_news(what, self.clock.mono())
    }
}
