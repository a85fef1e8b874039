//! The long tasks of the box: which there are, and how each is.

use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use serde::{Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// The shortest and the longest pause between two attempts of a camera's capture.
pub const CAPTURE_PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// The same of its recorder.
pub const RECORDING_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Names a long task. There is never more than one of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskId {
    /// A camera's capture.
    Capture(CameraId),
    /// A camera's recorder.
    Recording(CameraId),
    /// A camera's motion detector and its events.
    Motion(CameraId),
    /// A camera's stills.
    Stills(CameraId),
    /// A camera's own microphone.
    Microphone(CameraId),
    /// A camera's loudspeaker.
    Loudspeaker(CameraId),
    /// A camera's own picture settings.
    PictureControls(CameraId),
    /// A camera's small stream as VP8.
    Vp8(CameraId),
    /// A camera's push to another server, by its place in the camera's list.
    Push(CameraId, usize),
    /// Sends something recorded to another server, by its place among those that are sent at once.
    RangePush(usize),
    /// Serves live viewers by WebRTC.
    Live,
    /// Gathers by which addresses viewers reach the box from outside.
    Gathering,
    /// Packages live pictures for players over HTTPS.
    WebLive,
    /// Serves RTSP.
    Rtsp,
    /// Keeps recordings within their limits.
    Retention,
    /// Brings the index and the recordings together.
    Index,
    /// Writes the log down that the page shows.
    Log,
    /// Signs what was recorded, hour by hour.
    Manifests,
    /// Deletes the recordings of cameras whose owner said so.
    Deletion,
    /// Hears what commands beside the running box changed.
    Commands,
    /// Cuts off who lost access where that failed at first.
    CutOffs,
    /// Follows the config file when it is told to.
    Reload,
    /// Follows profiles, schedules and what people switched off.
    Modes,
    /// Plays sounds when events begin.
    EventSounds,
    /// Keeps the certificate fit.
    Certificate,
    /// Keeps the certificate for a domain.
    Acme,
    /// Feeds the system's watchdog.
    Watchdog,
    /// Watches a system that is being tried after an update.
    Trial,
    /// Leaves word of the cameras that deliver for the version that is tried next.
    NextVersion,
    /// Copies recordings off the box, by the target's place in the config's list.
    Copies(usize),
    /// Copies events while they go on, by the target's place.
    RunningCopies(usize),
    /// Looks at some of the copies again, by the target's place.
    LookAtCopies(usize),
    /// Looks for updates.
    Updates,
    /// Keeps the pairing card of a box that nobody owns.
    PairingCard,
}

impl TaskId {
    /// The camera it works for, if it is one camera's.
    pub fn camera(&self) -> Option<&CameraId> {
        match self {
            Self::Capture(camera)
            | Self::Recording(camera)
            | Self::Motion(camera)
            | Self::Stills(camera)
            | Self::Microphone(camera)
            | Self::Loudspeaker(camera)
            | Self::PictureControls(camera)
            | Self::Vp8(camera)
            | Self::Push(camera, _) => Some(camera),
            Self::RangePush(_)
            | Self::Live
            | Self::Gathering
            | Self::WebLive
            | Self::Rtsp
            | Self::Retention
            | Self::Index
            | Self::Log
            | Self::Manifests
            | Self::Deletion
            | Self::Commands
            | Self::CutOffs
            | Self::Reload
            | Self::Modes
            | Self::EventSounds
            | Self::Certificate
            | Self::Acme
            | Self::Watchdog
            | Self::Trial
            | Self::NextVersion
            | Self::Copies(_)
            | Self::RunningCopies(_)
            | Self::LookAtCopies(_)
            | Self::Updates
            | Self::PairingCard => None,
        }
    }
}

/// As logs, the status and the metrics name it.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(camera) => write!(f, "capture {camera}"),
            Self::Recording(camera) => write!(f, "recording {camera}"),
            Self::Motion(camera) => write!(f, "motion {camera}"),
            Self::Stills(camera) => write!(f, "stills {camera}"),
            Self::Microphone(camera) => write!(f, "microphone {camera}"),
            Self::Loudspeaker(camera) => write!(f, "loudspeaker {camera}"),
            Self::PictureControls(camera) => write!(f, "picture settings {camera}"),
            Self::Vp8(camera) => write!(f, "VP8 {camera}"),
            Self::Push(camera, place) => write!(f, "push {} {camera}", place + 1),
            Self::RangePush(place) => write!(f, "push of a recording {}", place + 1),
            Self::Live => f.write_str("live viewing"),
            Self::Gathering => f.write_str("addresses from outside"),
            Self::WebLive => f.write_str("live over HTTPS"),
            Self::Rtsp => f.write_str("RTSP"),
            Self::Retention => f.write_str("retention"),
            Self::Index => f.write_str("index"),
            Self::Log => f.write_str("log"),
            Self::Manifests => f.write_str("manifests"),
            Self::Deletion => f.write_str("deletion"),
            Self::Commands => f.write_str("commands"),
            Self::CutOffs => f.write_str("cut-offs"),
            Self::Reload => f.write_str("reload"),
            Self::Modes => f.write_str("modes"),
            Self::EventSounds => f.write_str("sounds of events"),
            Self::Certificate => f.write_str("certificate"),
            Self::Acme => f.write_str("domain certificate"),
            Self::Watchdog => f.write_str("watchdog"),
            Self::Trial => f.write_str("trial"),
            Self::NextVersion => f.write_str("word for the next version"),
            Self::Copies(place) => write!(f, "copies {}", place + 1),
            Self::RunningCopies(place) => write!(f, "copies of running events {}", place + 1),
            Self::LookAtCopies(place) => write!(f, "a look at copies {}", place + 1),
            Self::Updates => f.write_str("updates"),
            Self::PairingCard => f.write_str("pairing card"),
        }
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A supervised task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskStatus {
    /// Which it is; its name, such as `capture front`.
    #[serde(rename = "name")]
    pub id: TaskId,
    /// Whether it runs; else it waits for its next attempt (`reason` says why) or has nothing more to do.
    pub running: bool,
    /// Why its last attempt broke off; empty if none did, and once it has nothing more to do.
    pub reason: String,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// How often it was started again.
    pub restarts: u64,
}

impl TaskStatus {
    /// Whether it broke off and waits for its next attempt.
    pub fn is_failing(&self) -> bool {
        !self.running && !self.reason.is_empty()
    }

    /// Whether what is said of its camera already reports how it is.
    pub fn is_covered_by_health(&self) -> bool {
        matches!(self.id, TaskId::Capture(_) | TaskId::Microphone(_) | TaskId::Push(..))
    }
}
