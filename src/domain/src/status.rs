//! What the box says of itself.

use crate::access::{Object, Permission, Principal, Role};
use crate::health::{CameraHealth, CameraState};
use crate::media::{Stream, VideoCodec};
use crate::medium::{Medium, Wear};
use crate::modes::ProfileName;
use crate::orientation::Orientation;
use crate::push::PushStatus;
pub use crate::recording::{RecordingState, RecordingStatus};
use crate::talk::TalkStatus;
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
    /// How it is pushed to other servers; only administrators see it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub push: Vec<PushStatus>,
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
        Some(Self { source: None, health: self.health.for_viewer(), last_event_at, talk, push: Vec::new(), ..self })
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
    pub(crate) fn trouble(&self) -> String {
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
    pub(crate) fn says(&self, wear: Wear) -> Option<String> {
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
    /// What it is sent: `main`, `sub`, `keyframes` or `sound` ([`crate::rate::Ration`]).
    pub ration: &'static str,
    /// Why: `wish`, `connection`, `loss` or `budget` ([`crate::rate::RationCause`]).
    pub why: &'static str,
    /// Bits a second that its connection and its budget allow, where that is known.
    pub available_bps: Option<u64>,
    /// Share of packets lost lately, 0 to 1, where that is known.
    pub loss: Option<f32>,
    /// There and back, where that is known.
    pub round_trip_ms: Option<f32>,
    /// Bits a second that it was sent lately, all in all; `None` at first.
    pub sent_bps: Option<u64>,
    /// Whether its media goes by a TURN server.
    pub relayed: bool,
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
    pub(crate) fn problem(&self) -> Option<String> {
        let says = |what: &str, name: &str, command: &str| {
            format!(
                "The {what} `{name}` is damaged: remove it on the box with `perch {command} remove {name}`, and make it again"
            )
        };
        let account = self.account.as_deref().map(|name| says("account", name, "user"));
        account.or_else(|| self.stream_password.as_deref().map(|name| says("stream password", name, "stream-password")))
    }
}

/// `text` with a full stop, unless it ends as a sentence: some reasons end by asking.
pub(crate) fn sentence(text: String) -> String {
    if text.ends_with(['.', '?', '!']) { text } else { text + "." }
}
