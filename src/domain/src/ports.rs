//! The traits through which the adapters meet: `api` calls them, `media`, `store` and the root implement them. All calls may
//! block for the time of a disk access; callers on an async runtime move them to a blocking thread. What returns a [`Later`]
//! does so by itself.

use crate::access::{CameraGrant, Credential, Device, Grant, GrantChange, Principal, StreamPassword, User};
use crate::archive::{Event, EventFilter, EventPage, KeptOfCamera, Segment, TimeRange, Timeline};
use crate::camera_view::CameraView;
use crate::doctor::{HttpsTry, LiveFacts};
use crate::live_hls::{LiveFile, LiveView};
use crate::live_window::Reload;
use crate::log::{LogFilter, LogPage};
use crate::media::{Packet, VideoCodec};
use crate::pairing::{CodeOutcome, PairingConfig, UsedCode};
use crate::picture_controls::SourceControls;
use crate::rate::DataBudget;
use crate::settings::changes::{
    Settings, SettingsChanged, SettingsRequest, SettingsSchema, SettingsText, SettingsVersion,
};
use crate::sound_level::SoundLevel;
use crate::status::{CameraInfo, LiveSession, RtspReader};
use crate::stream_choice::StreamChoice;
use crate::summary::Status;
use crate::sync::hours::CopyHour;
use crate::sync::object::{ListedPage, NewObject, NewPart, ObjectFacts, StoreResult, StoredPart, UnfinishedUpload};
use crate::sync::target::CopyWhat;
use crate::system::{Action, SystemChange, SystemFacts};
use crate::talk::{Busy, FloorSeen, TalkAsker, WhenBusy};
use crate::web_viewers::{WebAsker, WebViewer};
use bytes::Bytes;
use perch_base::Result;
use perch_base::ids::{CameraId, DeviceId, EventId, LeaseId, SegmentId};
use perch_base::read_at::ReadAt;
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use serde::Serialize;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// An answer that is waited for without holding a thread.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A request to watch live.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// The camera.
    pub camera: CameraId,
    /// Which stream.
    pub stream: StreamChoice,
    /// How much data it may cost.
    pub budget: Option<DataBudget>,
    /// Begins with sound alone, until pictures are asked for ([`LivePort::set_sound_only`]).
    pub sound_only: bool,
    /// The SDP offer, at most 64 KiB.
    pub offer: String,
    /// Who asks.
    pub viewer: Principal,
}

/// A session that was started.
#[derive(Clone, Debug)]
pub struct WatchAnswer {
    /// Its lease.
    pub lease: LeaseId,
    /// The SDP answer.
    pub sdp: String,
}

/// A request to speak through a camera.
#[derive(Clone, Debug)]
pub struct TalkRequest {
    /// The camera.
    pub camera: CameraId,
    /// The SDP offer, at most 64 KiB.
    pub offer: String,
    /// Who asks.
    pub who: Principal,
    /// What is to be done while somebody else speaks.
    pub when_busy: WhenBusy,
    /// Whether somebody who speaks may be made to give way.
    pub may_take_over: bool,
}

/// What becomes of it.
#[derive(Clone, Debug)]
pub enum TalkAnswer {
    /// They speak, for as long as their lease and the camera's settings let them.
    Speaks(WatchAnswer),
    /// Somebody else does.
    Busy(Busy),
}

/// A STUN or TURN server for the viewer's own ICE agent.
#[derive(Clone, Debug)]
pub struct IceServer {
    /// `stun:host:port` or `turn:host:port?transport=udp`.
    pub url: String,
    /// User name and password where the server wants them (TURN REST, draft-uberti-behave-turn-rest).
    pub credential: Option<(String, Secret)>,
}

/// Live sessions: WHEP's engine behind it can be changed.
pub trait LivePort: Send + Sync {
    /// Begins a session. Errors: `NotFound` (camera), `Invalid` (SDP), `Unsupported` (no codec in common), `Unavailable`
    /// (the engine, or too many sessions).
    fn watch(&self, request: WatchRequest) -> Result<WatchAnswer>;
    /// Begins a session of somebody who speaks. Errors: `NotFound` (camera), `Invalid` (SDP), `Unsupported` (no Opus, or the camera has no
    /// loudspeaker), `Forbidden` (to take over), `Unavailable` (the engine or the loudspeaker, or too many sessions), `RateLimited` (too
    /// many wait).
    fn talk(&self, request: TalkRequest) -> Result<TalkAnswer>;
    /// Adds the candidates of an `application/trickle-ice-sdpfrag` (RFC 8840). `Some` is the answering fragment of an ICE restart.
    fn trickle(&self, lease: LeaseId, fragment: &str) -> Result<Option<String>>;
    /// Renews a lease. Errors with `NotFound` when it lapsed.
    fn renew(&self, lease: LeaseId) -> Result<()>;
    /// Sends a session sound alone from now on, or pictures again, and renews its lease. Errors with `NotFound` when it lapsed.
    fn set_sound_only(&self, lease: LeaseId, sound_only: bool) -> Result<()>;
    /// Ends a session; one that has ended a while ago counts as ended (RFC 9110 9.2.2: a goodbye that is said twice, or after the
    /// session ended by itself, changes nothing). Errors with `NotFound` where there never was one, or long ago.
    fn end(&self, lease: LeaseId) -> Result<()>;
    /// Whose session this is, or was a while ago; `None` when there is none. Errors with `Unavailable` when the engine does not answer.
    fn owner(&self, lease: LeaseId) -> Result<Option<DeviceId>>;
    /// Ends all sessions of a device, at once. Errors with `Unavailable` when the engine does not answer: pictures may then go on
    /// until it is asked again.
    fn end_device(&self, device: DeviceId) -> Result<()>;
    /// All sessions. Errors with `Unavailable` when the engine does not answer.
    fn sessions(&self) -> Result<Vec<LiveSession>>;
    /// Tries every way by which viewers might reach the box: up to ten seconds. Errors with `RateLimited` while that is done already.
    fn examine(&self) -> Later<'_, Result<LiveFacts>>;
    /// Servers to offer now to `whom`, a lease or a device: its name stands in credentials, which are good for ten minutes. Of a server whose
    /// secret is being changed there are two, with either secret.
    fn ice_servers(&self, now: Timestamp, whom: &dyn Display) -> Vec<IceServer>;
}

/// A JPEG picture after the other, as one who watches takes them: what came between two is left out.
pub trait PictureFeed: Send {
    /// The next one. Errors with `Unavailable` once none comes any more.
    fn next(&mut self) -> Later<'_, Result<Bytes>>;
}

/// A file of a live stream, piece by piece as it is sent.
pub trait LivePieces: Send {
    /// How many bytes are to come.
    fn bytes_left(&self) -> usize;
    /// The next one. Errors with `Unavailable` where none of it may be shown any more, as after its camera's privacy masks changed.
    fn next(&mut self) -> Option<Result<Bytes>>;
}

/// Live pictures over HTTPS, for players and networks without WebRTC. Errors of all: `NotFound` (camera), `Unsupported` (its codec),
/// `Unavailable` (no picture for now), `RateLimited` (too many watch).
pub trait WebLivePort: Send + Sync {
    /// Which stream of a camera a player gets.
    fn view(&self, camera: &CameraId, choice: StreamChoice, sound: bool) -> Result<LiveView>;
    /// The playlist of a stream, once it holds what `reload` waits for. Errors with `Invalid` where that is far from what there is.
    fn playlist(
        &self,
        by: WebAsker,
        camera: &CameraId,
        view: LiveView,
        reload: Option<Reload>,
    ) -> Later<'_, Result<String>>;
    /// A file that a playlist names; one that it announces is waited for. Errors with `NotFound` where it is over.
    fn file(
        &self,
        by: WebAsker,
        camera: &CameraId,
        view: LiveView,
        file: LiveFile,
    ) -> Later<'_, Result<Box<dyn LivePieces>>>;
    /// JPEG pictures of a camera's small stream, at most `fps` a second. Errors with `Unsupported` where it cannot be decoded.
    fn pictures(&self, by: WebAsker, camera: &CameraId, fps: u32) -> Result<Box<dyn PictureFeed>>;
    /// All who watch so.
    fn who_watches(&self) -> Vec<WebViewer>;
    /// Has pictures of a camera packaged that gives any, to see whether they come; it counts as nobody who watches.
    fn examine(&self) -> Later<'_, HttpsTry>;
}

/// Who reads by RTSP.
pub trait ReadersPort: Send + Sync {
    /// All who play now.
    fn who_reads(&self) -> Vec<RtspReader>;
}

/// A code that was made, to be shown once.
#[derive(Clone, Debug)]
pub struct IssuedCode {
    /// The digits.
    pub otp: Secret,
    /// When it was made, by which [`AccessPort::used_code`] names it.
    pub made_at: Timestamp,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// The result of a try to pair.
#[derive(Clone, Debug)]
pub enum PairResult {
    /// Paired.
    Paired(Credential),
    /// Not; the attempt says why (never [`CodeOutcome::Paired`]).
    Refused(CodeOutcome),
}

/// Accounts, devices, codes and stream passwords.
pub trait AccessPort: Send + Sync {
    /// The same on behalf of a device: each change is made only if the device is still trusted, and still what it is here, when it
    /// is written ([`crate::access::check_acting`], asked inside the transaction). Else it errors with `Unauthenticated` or
    /// `Forbidden`.
    fn acting(&self, caller: &Principal) -> Box<dyn AccessPort>;
    /// Whether anybody owns the box: an account or a device exists.
    fn claimed(&self) -> Result<bool>;
    /// Makes a one-time password for a device that gets this grant. Errors with `RateLimited` after ten a day.
    fn issue_code(&self, grant: &Grant, now: Timestamp) -> Result<IssuedCode>;
    /// Tries a one-time password, as [`read_code`](crate::pairing::read_code) gives it.
    fn pair(&self, otp: &str, device_name: &str, now: Timestamp) -> Result<PairResult>;
    /// The code that was used last, and by which device.
    fn used_code(&self) -> Result<Option<UsedCode>>;
    /// Signs in. `None`: name or password is wrong (the two are not distinguished, in words or in time). Errors with `Forbidden` when
    /// both are right and the account's time is over.
    fn sign_in(&self, username: &str, password: &str, device_name: &str, now: Timestamp) -> Result<Option<Credential>>;
    /// Whether this is the account's password: as slow, and as silent about whether there is such an account, as [`Self::sign_in`].
    fn check_password(&self, username: &str, password: &str) -> Result<bool>;
    /// Who holds this token, if anybody still does. Notes when the device was seen.
    fn authenticate(&self, token: &str, now: Timestamp) -> Result<Option<Principal>>;
    /// All devices, newest first.
    fn devices(&self) -> Result<Vec<Device>>;
    /// Revokes a device; its token is worthless at once. Errors with `NotFound`, and with `Conflict` when nobody could manage the
    /// box without it ([`crate::access::check_leaving`], asked inside the transaction).
    fn revoke_device(&self, id: DeviceId) -> Result<()>;
    /// Gives a device another name, cleaned like the first one ([`crate::access::clean_display_name`]). Errors with `NotFound`.
    fn rename_device(&self, id: DeviceId, name: &str) -> Result<()>;
    /// How this caller wants the cameras shown: one view for all devices of an account, else one of the device.
    fn camera_view(&self, of: &Principal) -> Result<CameraView>;
    /// Keeps it. Errors with `Invalid` like [`CameraView::check`].
    fn set_camera_view(&self, of: &Principal, view: &CameraView) -> Result<()>;
    /// All accounts.
    fn users(&self) -> Result<Vec<User>>;
    /// Makes an account. `Conflict` when the name is taken. `by`, who makes it, may join it: [`crate::access::Device::joins`] is asked
    /// inside the transaction.
    fn add_user(&self, name: &str, password: &str, grant: &Grant, by: Option<DeviceId>, now: Timestamp) -> Result<()>;
    /// Sets a password and revokes the account's devices, except `keep`. Returns those revoked.
    fn set_password(&self, name: &str, password: &str, keep: Option<DeviceId>) -> Result<Vec<DeviceId>>;
    /// Gives an account, and with it its devices, another grant; what the change does not name stays as it is at that moment. Returns
    /// those devices, so that what they have open ends. Errors with `NotFound`, with `Conflict` like [`Self::remove_user`], and with
    /// `Invalid` like [`GrantChange::apply`].
    fn set_grant(&self, name: &str, change: &GrantChange) -> Result<Vec<DeviceId>>;
    /// Removes an account and its devices; returns them. Errors with `NotFound`, and with `Conflict` when nobody could manage the box
    /// without them ([`crate::access::check_leaving`], asked inside the transaction).
    fn remove_user(&self, name: &str) -> Result<Vec<DeviceId>>;
    /// All stream passwords.
    fn stream_passwords(&self) -> Result<Vec<StreamPassword>>;
    /// Makes a stream password (128 bit, 32 hex digits), returned this once. `Conflict` when the name is taken.
    fn add_stream_password(&self, name: &str, cameras: &CameraGrant, now: Timestamp) -> Result<Secret>;
    /// Removes one; its RTSP readers are closed. Errors with `NotFound`.
    fn remove_stream_password(&self, name: &str) -> Result<()>;
}

/// A recorded file that was opened for reading.
pub struct OpenSegment {
    /// Its bytes.
    pub content: Arc<dyn ReadAt>,
    /// Bytes that may be read (an open segment grows).
    pub size_bytes: u64,
    /// A validator that changes when the content does.
    pub etag: String,
    /// When it was last written.
    pub modified: Timestamp,
}

impl std::fmt::Debug for OpenSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenSegment({}, {} bytes)", self.etag, self.size_bytes)
    }
}

/// A file that is made while it is sent.
pub struct Export {
    /// A name for the download.
    pub file_name: String,
    /// The bytes, in pieces; an error ends the download visibly.
    pub chunks: Box<dyn Iterator<Item = Result<Bytes>> + Send>,
}

/// What was recorded of a camera in a range, to be sent on as it was captured.
pub struct Replay {
    /// How its pictures are encoded.
    pub codec: VideoCodec,
    /// Whether there is sound in any of it.
    pub has_audio: bool,
    /// Pictures and sound in the order of their time, which begins at 0 and leaves gaps out; a few seconds at a time. Made while they are asked
    /// for: `next` blocks.
    pub parts: Box<dyn Iterator<Item = Result<Vec<Packet>>> + Send>,
}

/// Recordings and events.
pub trait ArchivePort: Send + Sync {
    /// What is recorded in a range.
    fn timeline(&self, camera: &CameraId, range: TimeRange, now: Timestamp) -> Result<Timeline>;
    /// A page of events.
    fn events(&self, filter: &EventFilter) -> Result<EventPage>;
    /// One event.
    fn event(&self, id: EventId) -> Result<Event>;
    /// Pins or unpins an event and with it its recordings.
    fn set_pinned(&self, id: EventId, pinned: bool) -> Result<()>;
    /// An event's still, JPEG.
    fn thumbnail(&self, id: EventId) -> Result<Bytes>;
    /// The segments that overlap a range, in order, open ones included.
    fn segments(&self, camera: &CameraId, range: TimeRange) -> Result<Vec<Segment>>;
    /// Opens a recorded file. Errors with `NotFound`, also when the segment is another camera's.
    fn open_segment(&self, camera: &CameraId, id: SegmentId) -> Result<OpenSegment>;
    /// One MP4 of everything recorded in a range, without re-encoding. Errors with `NotFound` when there is nothing.
    fn export(&self, camera: &CameraId, range: TimeRange) -> Result<Export>;
    /// Begins to read a range as it was captured. Errors like [`Self::export`].
    fn replay(&self, camera: &CameraId, range: TimeRange) -> Result<Replay>;
    /// How far the copies of a camera's recordings are, hour by hour. `wanted`: what any store is to have. Errors with `Invalid` where the
    /// range holds too many hours.
    fn copies(&self, camera: &CameraId, range: TimeRange, wanted: CopyWhat) -> Result<Vec<CopyHour>>;
    /// What is kept of each camera that has recordings, those that are no more, too.
    fn kept(&self) -> Result<Vec<KeptOfCamera>>;
    /// What is kept of one.
    fn kept_of(&self, camera: &CameraId) -> Result<KeptOfCamera>;
    /// Has everything deleted that was recorded of a camera until now, pinned or not; it goes on beside the answer.
    fn forget(&self, camera: &CameraId) -> Result<()>;
}

/// A still that somebody wants to see.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The camera.
    pub camera: CameraId,
    /// As it was recorded then or, where nothing was, last before; `None`: now.
    pub at: Option<Timestamp>,
    /// At most so many pixels wide.
    pub width: Option<u32>,
}

/// A still that was made.
#[derive(Clone, Debug)]
pub struct MadeStill {
    /// The picture.
    pub jpeg: Bytes,
    /// When a recorded one was taken; `None`: now.
    pub taken_at: Option<Timestamp>,
}

/// Cameras as a whole: what `api` shows of them.
pub trait CameraPort: Send + Sync {
    /// All cameras, in the order of the config.
    fn cameras(&self) -> Vec<CameraInfo>;
    /// Makes a JPEG of a camera. Errors: `NotFound`; `RateLimited` where `by` waits for others already; `Unavailable` where there is no
    /// picture, or too many stills are being made.
    fn snapshot(&self, wanted: Snapshot, by: DeviceId) -> Later<'_, Result<MadeStill>>;
    /// How loud a camera's sound is, once it is measured again; nothing where there is none to measure. It is measured while this is asked now
    /// and then. Errors with `NotFound`.
    fn sound_level(&self, camera: &CameraId) -> Later<'_, Result<Option<SoundLevel>>>;
    /// Who speaks through a camera, as a device is told. Errors with `NotFound`.
    fn floor(&self, camera: &CameraId, device: DeviceId) -> Result<FloorSeen>;
    /// Plays the chime or a stored announcement (`what`, see [`crate::announcement`]) through a camera's loudspeaker on behalf of `who`;
    /// returns once it begins, or who speaks. Errors: `NotFound` (the camera, or what is to be played), `Unsupported` (no loudspeaker),
    /// `Unavailable` (it does not work, or the camera is off).
    fn announce(&self, camera: &CameraId, what: &str, who: &TalkAsker) -> Result<Option<Busy>>;
    /// A device waits no more to speak through a camera. Errors with `NotFound`.
    fn leave_queue(&self, camera: &CameraId, device: DeviceId) -> Result<()>;
    /// The picture settings that a camera's source has. Errors with `NotFound`; that they are not known now is no error, but said.
    fn controls(&self, camera: &CameraId) -> Later<'_, Result<SourceControls>>;
    /// The whole box.
    fn status(&self) -> Status;
}

/// The configuration: read, changed and taken back while the box runs.
pub trait SettingsPort: Send + Sync {
    /// What the box is called.
    fn box_name(&self) -> String;
    /// What one-time passwords are like.
    fn codes(&self) -> PairingConfig;
    /// As it is now. Errors with `Unavailable` where its file cannot be read.
    fn settings(&self) -> Result<Settings>;
    /// What may be set.
    fn schema(&self) -> SettingsSchema;
    /// Changes it, whole or not at all; what runs follows before it returns. Errors: `Invalid` (key, value and rule), `NotFound` (camera,
    /// version), `Conflict` (an id that is taken), `Stale` (changed since it was read), `Unavailable` (the file cannot be written).
    fn change(&self, request: SettingsRequest) -> Later<'_, Result<SettingsChanged>>;
    /// The versions that are kept, the newest first.
    fn versions(&self) -> Result<Vec<SettingsVersion>>;
    /// One of them. Errors with `NotFound`.
    fn version(&self, number: u64) -> Result<SettingsText>;
}

/// What taking a backup does.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Restored {
    /// The box that it is of.
    pub name: String,
    /// The program that made it.
    pub program: String,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// The cameras that there are then.
    pub cameras: Vec<String>,
    /// How many accounts.
    pub accounts: usize,
    /// How many passwords for players.
    pub stream_passwords: usize,
    /// Whether the box starts again by itself; else somebody must.
    pub restarts: bool,
}

/// Backups of settings and people.
pub trait BackupPort: Send + Sync {
    /// Makes one, sealed with a password. Errors with `Unavailable` where something of it cannot be read.
    fn make(&self, password: &Secret) -> Result<Vec<u8>>;
    /// Takes one, whole or not at all, at the next start. Errors: `Invalid` (the password, or what does not fit this box), `Corrupt`,
    /// `Unsupported` (a newer program made it, or it is no backup), `TooLarge`.
    fn take(&self, file: &[u8], password: &Secret, dry_run: bool) -> Result<Restored>;
    /// What waits for the next start. Errors with `Corrupt` where that cannot be read.
    fn waits(&self) -> Result<Option<Restored>>;
    /// Takes back what waits. Errors with `NotFound` where nothing does.
    fn take_back(&self) -> Result<()>;
}

/// The log that the box keeps.
pub trait LogPort: Send + Sync {
    /// The lines that fit, the newest first.
    fn page(&self, filter: &LogFilter) -> LogPage;
}

/// The system under the box.
pub trait SystemPort: Send + Sync {
    /// How it is.
    fn facts(&self) -> SystemFacts;
    /// Has root change it; what becomes of that, [`SystemFacts::last`] says later. Errors: `Invalid` (key, value and rule), `Impossible`
    /// (the system is not the box's to change), `Conflict` (a change is being made).
    fn change(&self, change: &SystemChange) -> Result<()>;
    /// Restarts the box or the system, or switches it off; returns before it happens. Errors as [`Self::change`].
    fn act(&self, action: Action) -> Result<()>;
}

/// A store of objects off the box: each call is one request, which is not repeated. Errors say what is to be done
/// ([`crate::sync::fault::StoreFaultKind`]).
pub trait ObjectStore: Send + Sync {
    /// Puts an object whole, with its SHA-256, by which the store checks what came. Errors: `Exists` where it was only to be new.
    fn put(&self, object: &NewObject, body: Bytes) -> Later<'_, StoreResult<()>>;
    /// What the store says of an object. Errors: `Missing`.
    fn facts(&self, key: &str) -> Later<'_, StoreResult<ObjectFacts>>;
    /// Bytes `from..to` of an object, at most 64 MiB. Errors: `Missing`.
    fn read(&self, key: &str, from: u64, to: u64) -> Later<'_, StoreResult<Bytes>>;
    /// The objects whose keys begin with `prefix`, from `page` on ([`ListedPage::next`]): at most 1,000.
    fn list(&self, prefix: &str, page: Option<&str>) -> Later<'_, StoreResult<ListedPage>>;
    /// Deletes an object; one that is not there counts as deleted.
    fn delete(&self, key: &str) -> Later<'_, StoreResult<()>>;
    /// Begins an upload in parts; the store's name of it.
    fn begin_parts(&self, object: &NewObject) -> Later<'_, StoreResult<String>>;
    /// Sends one part. Errors: `Missing` where there is no such upload any more.
    fn put_part(&self, key: &str, upload: &str, part: NewPart) -> Later<'_, StoreResult<StoredPart>>;
    /// The parts that the store has, in order. Errors: `Missing`.
    fn parts(&self, key: &str, upload: &str) -> Later<'_, StoreResult<Vec<StoredPart>>>;
    /// Makes the object of these parts. Errors: `Missing`, `Damaged`, `Exists`.
    fn finish_parts(&self, object: &NewObject, upload: &str, parts: &[StoredPart]) -> Later<'_, StoreResult<()>>;
    /// Gives an upload up; one that is not there counts as given up.
    fn abort_parts(&self, key: &str, upload: &str) -> Later<'_, StoreResult<()>>;
    /// Uploads in parts below `prefix` that were begun and not ended, at most 1,000.
    fn unfinished(&self, prefix: &str) -> Later<'_, StoreResult<Vec<UnfinishedUpload>>>;
}
