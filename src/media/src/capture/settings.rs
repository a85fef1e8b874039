//! What the parts of a capture have in common and never change, and what they say and hand out.

use super::loudness::Loudness;
use super::masking::Masking;
use super::sensor::Sensor;
use super::threads::Threads;
use crate::devices::Machine;
use crate::fanout::Hub;
use crate::far_end::FarEnd;
use crate::pipeline::Library;
use perch_base::clock::SharedClock;
use perch_base::repeated::Repeated;
use perch_base::time::MonoTime;
use perch_base::zone::Zone;
use perch_domain::camera::CameraConfig;
use perch_domain::ingest::IngestPort;
use perch_domain::offering::Offering;
use perch_domain::pace::Pace;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

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
    /// Pictures come, and decoding cannot begin with any of them.
    AwaitsKeyframe,
    /// No picture has come for this long; it is waited for still.
    Silent(Duration),
    /// What the camera offers is known now, or changed.
    Offers(Offering),
    /// Why the sound of a network camera is not heard, or that it is.
    Sound(Option<String>),
    /// Why there is no small stream, or that there is.
    Small(Option<String>),
    /// Why the detector gets no pictures, or that it does.
    MotionPictures(Option<String>),
    /// Why pictures of a network camera are lost on the way, or that they are not.
    Losses(Option<String>),
    /// A session with a network camera made its offer: what was noted of the one before is no more.
    SessionBegins,
    /// Something people should know although it goes on.
    Notice(String),
}

/// Takes what happens in an attempt, on the attempt's own task.
pub(super) type Progress<'a> = &'a (dyn Fn(CaptureEvent) + Send + Sync);

/// How often it is looked at whether the box keeps up.
pub(super) const PACE_EVERY: Duration = Duration::from_secs(1);

/// What every capture needs of the box.
#[derive(Clone)]
pub struct Means {
    /// The pipelines as text.
    pub library: Arc<Library>,
    /// Sessions with network cameras.
    pub ingest: Arc<dyn IngestPort>,
    /// The devices that are plugged in.
    pub machine: Machine,
    /// The time zone that the box goes by at the moment.
    pub zone: ZoneNow,
    /// Whether this board encodes VP8 beside all else ([`perch_domain::board::encodes_vp8`]).
    pub encodes_vp8: bool,
}

/// Says which time zone the box goes by; called about once a second.
pub type ZoneNow = Arc<dyn Fn() -> Zone + Send + Sync>;

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
    /// Threads in the decoder's driver.
    pub decoder_threads: Threads,
    /// Sessions with network cameras.
    pub ingest: Arc<dyn IngestPort>,
    /// The devices that are plugged in.
    pub machine: Machine,
    /// The time zone that the box goes by at the moment.
    pub zone: ZoneNow,
    /// What its loudspeaker plays.
    pub far: Arc<FarEnd>,
    /// How loud its sound is made, and is.
    pub loudness: Arc<Loudness>,
    /// What is painted over.
    pub masking: Arc<Masking>,
    /// What a camera on the ribbon cable is set to.
    pub sensor: Sensor,
    /// What each attempt may find again.
    pub missing: Repeated,
}

impl Settings {
    /// Whether it is to be logged what an attempt goes on without, or left behind: each attempt may find that again.
    pub fn is_news(&self, what: impl Display) -> bool {
        self.missing.is_news(what, self.clock.mono())
    }
}
