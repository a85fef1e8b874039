//! What the box says of itself.

use crate::access::{Object, Permission, Principal, Role};
use crate::certificate_facts::CertificateFacts;
use crate::health::{CameraHealth, CameraState};
use crate::media::{Stream, VideoCodec};
use crate::medium::{Medium, Wear};
use crate::modes::ProfileName;
use crate::orientation::Orientation;
pub use crate::recording::{RecordingState, RecordingStatus};
use crate::switched_off::OffBy;
use crate::talk::TalkStatus;
use crate::task::TaskStatus;
use crate::trouble::Trouble;
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::time::Timestamp;
use serde::Serialize;

/// A camera as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct CameraInfo {
    /// Its id.
    pub id: CameraId,
    /// Its name.
    pub name: String,
    /// The room or place that it belongs to; may be empty.
    pub room: String,
    /// Its source, without credentials. Only admins see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Pixels of a row of the main stream as it is seen; `None` before its first picture.
    pub width: Option<u32>,
    /// Rows of the main stream; `None` before its first picture.
    pub height: Option<u32>,
    /// Pixels that `width` is wide once they are as wide as high: pages and players show the main stream in the shape of this and `height`.
    pub display_width: Option<u32>,
    /// How its pictures are turned to be seen. Files, stills, the small stream that the box makes and WebRTC (by its extension) do so.
    pub orientation: Orientation,
    /// Configured frames a second.
    pub fps: u32,
    /// How its video is encoded.
    pub codec: VideoCodec,
    /// Whether it has sound.
    pub has_audio: bool,
    /// `continuous`, `motion` or `off`.
    pub record_mode: crate::recording::RecordMode,
    /// Whether motion is watched for.
    pub motion_enabled: bool,
    /// How it is.
    pub health: CameraHealth,
    /// What its capture does right now.
    pub capture: CaptureFigures,
    /// What its recorder does right now.
    pub recording: RecordingStatus,
    /// Start of its newest event.
    pub last_event_at: Option<Timestamp>,
    /// How it can be talked through; absent where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talk: Option<TalkStatus>,
}

impl CameraInfo {
    /// What `who` may see of it; `None`: not even that it exists.
    pub fn seen_by(self, who: &Principal) -> Option<Self> {
        if !who.may(Permission::Watch, Object::Camera(&self.id)) {
            return None;
        }
        if who.may(Permission::ManageBox, Object::Box) {
            return Some(self);
        }
        let looks_back = who.may(Permission::LookBack, Object::Camera(&self.id));
        let last_event_at = self.last_event_at.filter(|_| looks_back);
        let talk = self.talk.map(|talk| TalkStatus { sink: None, ..talk });
        Some(Self { source: None, health: self.health.for_viewer(), last_event_at, talk, ..self })
    }

    /// That it has no picture, and why: for people, without its full stop.
    pub fn no_picture(&self) -> String {
        if self.health.state == CameraState::Off {
            return format!("{} is {}", self.name, self.health.reason);
        }
        match &self.health.trouble {
            Some(trouble) => format!("{} has no picture: it {}", self.name, trouble.what),
            None => format!("{} has no picture: {}", self.name, self.health.reason),
        }
    }

    /// The same with what to do, whole sentences.
    fn trouble(&self) -> String {
        match &self.health.trouble {
            Some(Trouble { what, remedy, .. }) => format!("{} {what}. {remedy}", self.name),
            None => sentence(self.no_picture()),
        }
    }
}

/// Figures of a running capture.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaptureFigures {
    /// The encoder's element name, such as `x264enc`; empty while it is not running or nothing is encoded.
    pub encoder: String,
    /// Encoders that exist now for this camera: at most main + sub, whatever the number of viewers.
    pub encoders: u32,
    /// Whether the main stream is as the camera encoded it; `encoder` is then the small stream's. False while it is not running.
    pub passed_through: bool,
    /// Measured frames a second of the main stream.
    pub fps: f32,
    /// Measured kbit/s of the main stream's video.
    pub bitrate_kbps: f32,
    /// Whether the sub-stream is being encoded.
    pub sub_active: bool,
    /// Packets dropped at slow consumers since start.
    pub dropped: u64,
}

/// The disk that recordings go to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DiskStatus {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes free.
    pub free_bytes: u64,
    /// Bytes of recordings.
    pub recordings_bytes: u64,
    /// Days that fit at the rate of the last day; `None` until there is a day's rate.
    pub days_at_this_rate: Option<f32>,
    /// Empty when all is well.
    pub problem: String,
    /// While the recordings on the disk are held against the index after a start: how far that is. Until it is done, older
    /// recordings may be missing from the timeline and from `recordings_bytes`.
    pub taking_in: Option<TakingIn>,
    /// What recordings and database lie on; empty where the system does not say.
    pub media: Vec<Medium>,
}

impl DiskStatus {
    /// What is said of the first medium that is like this.
    fn says(&self, wear: Wear) -> Option<String> {
        self.media.iter().find(|medium| medium.wear == wear).map(|medium| medium.says.clone())
    }
}

/// How far the recordings on the disk were held against the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TakingIn {
    /// Files that were looked at, the newest first.
    pub files_done: u64,
    /// Files there are; 0 until they are counted.
    pub files_total: u64,
}

/// The clock.
#[derive(Clone, Debug, Serialize)]
pub struct ClockStatus {
    /// UTC now.
    pub now: Timestamp,
    /// Whether the system says it is synchronised.
    pub synchronised: bool,
}

/// How the box is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Everything works.
    Ok,
    /// Something does not; the rest goes on.
    Degraded,
}

perch_base::all_of!(Overall { Ok, Degraded });

/// The whole box.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The box's name.
    pub name: String,
    /// In one word.
    pub state: Overall,
    /// In one sentence: "Everything works", or what does not and what to do.
    pub sentence: String,
    /// The daemon's version.
    pub version: String,
    /// The commit it was built from, 12 hex digits, or `unknown`.
    pub commit: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// The clock.
    pub clock: ClockStatus,
    /// Every camera.
    pub cameras: Vec<CameraInfo>,
    /// Every supervised task.
    pub tasks: Vec<TaskStatus>,
    /// The disk.
    pub disk: DiskStatus,
    /// Live WebRTC sessions.
    pub webrtc_sessions: usize,
    /// Live RTSP readers.
    pub rtsp_readers: usize,
    /// Resident memory of the daemon in bytes.
    pub memory_bytes: u64,
    /// The certificates that it shows; they have a route of their own.
    #[serde(skip)]
    pub certificates: Vec<CertificateFacts>,
}

impl Status {
    /// What `who` may see of it.
    pub fn seen_by(mut self, who: &Principal) -> Self {
        if who.may(Permission::ManageBox, Object::Box) {
            return self;
        }
        self.cameras = self.cameras.into_iter().filter_map(|c| c.seen_by(who)).collect();
        self.tasks.retain(|t| t.id.camera().is_none_or(|id| who.may(Permission::Watch, Object::Camera(id))));
        for task in self.tasks.iter_mut().filter(|t| !t.reason.is_empty()) {
            task.reason = "it broke off".into();
        }
        // Who comes in is not theirs to know.
        let damaged = DamagedAccess::default();
        let now = (self.clock.now, self.clock.synchronised);
        (self.state, self.sentence) =
            summarise(&self.cameras, &self.disk, &self.tasks, &damaged, &self.certificates, now);
        self
    }
}

/// One live session, for "who is watching".
#[derive(Clone, Debug, Serialize)]
pub struct LiveSession {
    /// Its lease.
    pub lease: LeaseId,
    /// The camera.
    pub camera: CameraId,
    /// The stream it gets now.
    pub stream: Stream,
    /// The device that watches.
    pub device_id: DeviceId,
    /// Its name.
    pub device_name: String,
    /// The account, if any.
    pub username: Option<String>,
    /// What that device may do.
    pub role: Role,
    /// Whether it speaks through the camera, and watches nothing by this session.
    pub talks: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// Whether media flows.
    pub connected: bool,
    /// The viewer's address as ICE found it; empty before.
    pub remote: String,
    /// Sent so far, bytes.
    pub bytes_sent: u64,
}

/// One reader by RTSP, for "who is watching".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RtspReader {
    /// The stream password that it gave.
    pub stream_password: String,
    /// The camera.
    pub camera: CameraId,
    /// The stream that it plays.
    pub stream: Stream,
    /// When it began to play.
    pub started_at: Timestamp,
    /// The reader's address and port.
    pub remote: String,
}

/// News for everybody who listens (the event stream).
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    /// An event started, grew or ended.
    Event {
        /// The event as it is now.
        event: crate::archive::Event,
    },
    /// A camera's health changed.
    Health {
        /// The camera.
        camera: CameraId,
        /// How it is now.
        health: CameraHealth,
    },
    /// A recorder's state changed.
    Recording {
        /// The camera.
        camera: CameraId,
        /// How it is now.
        recording: RecordingStatus,
    },
    /// Who speaks through a camera, or waits to, changed: whoever shows it asks again.
    Talk {
        /// The camera.
        camera: CameraId,
    },
    /// The active profile, or what is switched off, changed: whoever shows it asks again.
    Modes {
        /// The active profile.
        profile: Option<ProfileName>,
    },
}

impl Notice {
    /// What [`Self::name`] may say, in the order of the declaration.
    pub const NAMES: [&str; 5] = ["event", "health", "recording", "modes", "talk"];

    /// Its kind, as JSON and the event stream name it.
    pub fn name(&self) -> &'static str {
        let [event, health, recording, modes, talk] = Self::NAMES;
        match self {
            Self::Event { .. } => event,
            Self::Health { .. } => health,
            Self::Recording { .. } => recording,
            Self::Modes { .. } => modes,
            Self::Talk { .. } => talk,
        }
    }

    /// The camera it is about, if it is about one.
    pub fn camera(&self) -> Option<&CameraId> {
        match self {
            Self::Event { event } => Some(&event.camera),
            Self::Health { camera, .. } | Self::Recording { camera, .. } | Self::Talk { camera } => Some(camera),
            Self::Modes { .. } => None,
        }
    }

    /// What `who` may hear of it; `None`: nothing.
    pub fn seen_by(&self, who: &Principal) -> Option<Self> {
        let needs = match self {
            Self::Event { .. } => Permission::LookBack,
            _ => Permission::Watch,
        };
        let about = self.camera().map_or(Object::Box, Object::Camera);
        if !who.may(needs, about) {
            return None;
        }
        Some(match self.clone() {
            Self::Health { camera, health } if !who.may(Permission::ManageBox, Object::Box) => {
                Self::Health { camera, health: health.for_viewer() }
            }
            other => other,
        })
    }
}

/// What of who may come in cannot be read, by the name of the first of its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DamagedAccess {
    /// An account.
    pub account: Option<String>,
    /// A stream password.
    pub stream_password: Option<String>,
}

impl DamagedAccess {
    /// What is said of it, and what to do.
    fn problem(&self) -> Option<String> {
        let says = |what: &str, name: &str, command: &str| {
            format!(
                "The {what} `{name}` is damaged: remove it on the box with `perch {command} remove {name}`, and make it again"
            )
        };
        let account = self.account.as_deref().map(|name| says("account", name, "user"));
        account.or_else(|| self.stream_password.as_deref().map(|name| says("stream password", name, "stream-password")))
    }
}

const NO_CAMERA: &str = "There is no camera yet: add the first one.";

/// That everything works, and what is worth knowing all the same: that a camera gives few pictures (in the dark many do), or that the
/// clock is not set (a box without a network works as well).
fn works(cameras: &[CameraInfo], synchronised: bool) -> String {
    let few = cameras.iter().find(|c| c.health.state == CameraState::Live && !c.health.reason.is_empty());
    match few {
        Some(c) => sentence(format!("Everything works, but {} has few pictures: {}", c.name, c.health.reason)),
        // A box without a network works as well.
        None if !synchronised => CLOCK.into(),
        None => all_is_well(&cameras.iter().filter(|c| c.health.off.is_some()).collect::<Vec<_>>()),
    }
}

/// A camera that is off is no fault, and not forgotten either.
fn all_is_well(off: &[&CameraInfo]) -> String {
    match off {
        [] => "Everything works.".into(),
        [one] => format!("Everything works; {} is switched off.", one.name),
        more => format!("Everything works; {} cameras are switched off.", more.len()),
    }
}

const CLOCK: &str = "Everything works, but the clock is not synchronised: let the box reach a time server, else the times of \
    recordings may be wrong.";

/// Sums up: the first thing that does not work and what to do, or "Everything works".
pub fn summarise(
    cameras: &[CameraInfo],
    disk: &DiskStatus,
    tasks: &[TaskStatus],
    damaged: &DamagedAccess,
    certificates: &[CertificateFacts],
    (now, synchronised): (Timestamp, bool),
) -> (Overall, String) {
    let says = |what: String| (Overall::Degraded, sentence(what));
    if let Some(c) = cameras.iter().find(|c| c.recording.state == RecordingState::Paused) {
        return says(format!("{} is not being recorded: {}", c.name, c.recording.reason));
    }
    if !disk.problem.is_empty() {
        return says(disk.problem.clone());
    }
    // Whoever loses the card loses everything; one that is only worn comes after what is wrong today.
    if let Some(failing) = disk.says(Wear::Failing) {
        return says(failing);
    }
    let loses = |c: &&CameraInfo| c.recording.state == RecordingState::Recording && !c.recording.reason.is_empty();
    if let Some(c) = cameras.iter().find(loses) {
        return says(format!("{} is recorded with gaps: {}", c.name, c.recording.reason));
    }
    // A start is short; one that says what it waits for is not.
    let is_late = |c: &CameraInfo| c.health.state == CameraState::Starting && c.health.reason != "starting";
    let is_off = |c: &&CameraInfo| c.health.state == CameraState::Off;
    let is_bad = |c: &&CameraInfo| {
        let state = c.health.state;
        !state.delivers() && !is_off(c) && (state != CameraState::Starting || is_late(c))
    };
    let unknown = |c: &&CameraInfo| c.health.off.as_ref().is_some_and(|off| off.by == OffBy::Box);
    if let Some(c) = cameras.iter().find(unknown) {
        return says(c.no_picture());
    }
    let bad: Vec<_> = cameras.iter().filter(is_bad).collect();
    if bad.is_empty()
        && let Some(c) = cameras.iter().find(|c| c.health.state == CameraState::Overloaded)
    {
        return says(format!("The box cannot keep up with {}: {}", c.name, c.health.reason));
    }
    if bad.is_empty()
        && let Some(c) = cameras.iter().find(|c| !c.health.rate_problem.is_empty())
    {
        return says(format!("{} gives too few pictures: {}", c.name, c.health.rate_problem));
    }
    let blind = cameras.iter().find(|c| !c.health.motion_problem.is_empty());
    let blind = blind.map(|c| format!("{} sees no motion: {}", c.name, c.health.motion_problem));
    let no_small = cameras.iter().find(|c| !c.health.small_problem.is_empty());
    let blind = blind.or(no_small.map(|c| format!("{} has no small stream: {}", c.name, c.health.small_problem)));
    match bad.as_slice() {
        [] => match cameras.iter().find(|c| !c.health.sound_problem.is_empty()) {
            Some(c) => says(format!("{} has no sound: {}", c.name, c.health.sound_problem)),
            None if blind.is_some() => says(blind.unwrap_or_default()),
            None => match tasks.iter().find(|t| t.is_failing() && !t.is_covered_by_health()) {
                Some(t) => says(format!("The task `{}` fails and is tried again: {}", t.id, t.reason)),
                None => match damaged
                    .problem()
                    .or_else(|| disk.says(Wear::Worn))
                    .or_else(|| certificates.iter().find_map(|c| c.problem(now)))
                {
                    Some(problem) => says(problem),
                    None if cameras.is_empty() => (Overall::Ok, NO_CAMERA.into()),
                    None => (Overall::Ok, works(cameras, synchronised)),
                },
            },
        },
        [one] => says(one.trouble()),
        [.., last] => {
            let names: Vec<_> = bad[..bad.len() - 1].iter().map(|c| c.name.as_str()).collect();
            says(format!("{} and {} have no picture: see what each says", names.join(", "), last.name))
        }
    }
}

/// `text` with a full stop, unless it ends as a sentence: some reasons end by asking.
fn sentence(text: String) -> String {
    if text.ends_with(['.', '?', '!']) { text } else { text + "." }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
