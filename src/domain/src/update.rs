//! Updates: which bundle is taken, when a new system that is being tried has proved itself, and what the page shows of it. The
//! bundle's signature is checked by the update service; here it is asked whether it is meant for this box and newer.

use crate::settings::Keys;
use perch_base::ids::CameraId;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use serde::Serialize;
use std::cmp::Ordering;
use std::time::Duration;

/// Largest bundle that is taken, bytes.
pub const MAX_BUNDLE_BYTES: u64 = 1 << 30;
/// What must stay free on the disk beside a bundle, bytes.
const KEEP_FREE_BYTES: u64 = 64 << 20;
/// From its start on a new version has so long to prove itself; then the image's timer goes back to the old one.
pub const TRIAL_WITHIN: Duration = Duration::from_secs(170);
/// Why a box that is no card image has no updates.
pub const CARD_IMAGE_ONLY: &str =
    "updates are installed on the card image only: here perch is updated as it was installed";

/// What the boot script says of the running system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootFacts {
    /// `a` or `b`.
    pub slot: Option<String>,
    /// The slot is being tried: it is left again unless it proves itself.
    pub trial: bool,
    /// What bundles must be compatible with.
    pub board: Option<String>,
    /// The board's serial number.
    pub serial: Option<String>,
}

impl BootFacts {
    /// Parses lines of `key=value`; what is not known is passed over.
    pub fn parse(text: &str) -> Self {
        let get = |key| field(text, key);
        Self {
            slot: get("slot"),
            trial: get("trial").as_deref() == Some("1"),
            board: get("board"),
            serial: get("serial"),
        }
    }
}

/// The image's version in the text of `os-release` (os-release(5)).
pub fn image_version(os_release: &str) -> Option<String> {
    let value = field(os_release, "IMAGE_VERSION")?;
    Some(value.trim_matches(['"', '\'']).to_owned()).filter(|v| !v.is_empty())
}

/// The value of a `key=value` line, cleaned; an empty one counts as absent.
fn field(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='))?;
    Some(clean(value)).filter(|v| !v.is_empty())
}

/// A text of another program, fit for a page and a log: one line, not too long.
pub fn clean(text: &str) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    line.trim().to_owned()
}

/// How the last update ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The new version runs for good.
    Updated,
    /// It did not prove itself, and the old one runs again.
    RolledBack,
}

perch_base::all_of!(Outcome { Updated, RolledBack });

/// The last update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastUpdate {
    /// How it ended.
    pub outcome: Outcome,
    /// The version that was to be installed.
    pub version: String,
    /// The version before.
    pub from: String,
    /// Why it was rolled back; empty else.
    pub reason: String,
    /// When.
    pub at: Option<Timestamp>,
}

impl LastUpdate {
    /// Parses lines of `key=value`; `None` without a known outcome.
    pub fn parse(text: &str) -> Option<Self> {
        let get = |key| field(text, key);
        let outcome = match get("outcome")?.as_str() {
            "updated" => Outcome::Updated,
            "rolled_back" => Outcome::RolledBack,
            _ => return None,
        };
        let seconds = get("at").and_then(|at| at.parse::<i64>().ok()).filter(|s| (0..1 << 40).contains(s));
        let text = |key| get(key).unwrap_or_default();
        let at = seconds.map(|s| Timestamp(s * 1_000_000));
        Some(Self { outcome, version: text("version"), from: text("from"), reason: text("reason"), at })
    }
}

/// A version that can be compared: Semantic Versioning 2.0.0 (11), with one to four numbers. What stands behind `+` does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 4],
    pre: Option<Vec<String>>,
}

impl Version {
    /// Parses `0.2.0`, `1.0`, `1.2.3-rc.1+build`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 64 || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+~".contains(&b)) {
            return None;
        }
        let text = text.split('+').next()?;
        let (core, pre) = match text.split_once(['-', '~']) {
            Some((core, pre)) => (core, Some(pre)),
            None => (text, None),
        };
        let parts: Vec<_> = core.split('.').collect();
        if parts.len() > 4 {
            return None;
        }
        let mut numbers = [0; 4];
        for (slot, part) in numbers.iter_mut().zip(&parts) {
            let plain = !part.is_empty() && part.len() <= 12 && part.bytes().all(|b| b.is_ascii_digit());
            *slot = plain.then(|| part.parse().ok())??;
        }
        let pre = pre.map(|pre| pre.split('.').map(str::to_owned).collect::<Vec<_>>());
        if pre.as_ref().is_some_and(|p| p.iter().any(String::is_empty)) {
            return None;
        }
        Some(Self { numbers, pre })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Ordering::Equal,
            // A pre-release comes before its release.
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => compare_pre(a, b),
        })
    }
}

fn compare_pre(a: &[String], b: &[String]) -> Ordering {
    let word = |a: &String, b: &String| match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    };
    let differs = a.iter().zip(b).map(|(a, b)| word(a, b)).find(|o| o.is_ne());
    differs.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// What an update says of itself, once its signature was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bundle {
    /// Its version.
    pub version: String,
    /// The boards it is for.
    #[serde(skip)]
    pub compatible: String,
    /// What it brings, in its maker's words; may be empty.
    pub description: String,
}

/// Whether a bundle may be installed on a box of this board that runs `version`. `force` takes the same version again; nothing
/// takes an older one. Errors with a sentence: `Unsupported` (another board), `Conflict` (same or older), `Invalid`.
pub fn judge(bundle: &Bundle, board: Option<&str>, version: &str, force: bool) -> Result<()> {
    let Some(board) = board else { return Err(Error::new(ErrorKind::Impossible, CARD_IMAGE_ONLY)) };
    if bundle.compatible != board {
        let (theirs, ours) = (&bundle.compatible, board);
        let why = format!("this update is for `{theirs}` and this box is a `{ours}`: download the one for this box");
        return Err(Error::new(ErrorKind::Conflict, why));
    }
    let (new, old) = (&bundle.version, version);
    let (Some(a), Some(b)) = (Version::parse(new), Version::parse(old)) else {
        return Err(Error::invalid(format!(
            "the update's version `{new}` cannot be compared with `{old}`, which runs here"
        )));
    };
    match a.cmp(&b) {
        Ordering::Greater => Ok(()),
        Ordering::Equal if force => Ok(()),
        Ordering::Equal => Err(Error::new(ErrorKind::Conflict, format!("version {new} runs here already"))),
        Ordering::Less => {
            let why = format!("version {new} is older than {old}, which runs here: going back is refused");
            Err(Error::new(ErrorKind::Conflict, why))
        }
    }
}

/// Errors with a sentence where no bundle can be of so many bytes: `Invalid` (empty), `TooLarge`.
pub fn check_size(bytes: u64) -> Result<()> {
    if bytes == 0 {
        return Err(Error::invalid("the update is empty: choose the .raucb file"));
    }
    if bytes > MAX_BUNDLE_BYTES {
        let (has, most) = (bytes >> 20, MAX_BUNDLE_BYTES >> 20);
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("the update has {has} MiB: more than {most} MiB are not taken"),
        ));
    }
    Ok(())
}

/// Errors with `Unavailable` where a bundle of so many bytes would leave too little of the `free` ones.
pub fn check_room(bytes: u64, free: u64) -> Result<()> {
    let need = bytes.saturating_add(KEEP_FREE_BYTES);
    if free >= need {
        return Ok(());
    }
    let (need, free) = (need >> 20, free >> 20);
    let why = format!("the update needs {need} MiB on the card and {free} MiB are free: delete recordings first");
    Err(Error::new(ErrorKind::Unavailable, why))
}

/// Whether a bundle is to be installed without anybody asking: a newer one, but not one that this box has rolled back.
pub fn wanted_unattended(bundle: &Bundle, board: Option<&str>, version: &str, last: Option<&LastUpdate>) -> bool {
    let failed = last.is_some_and(|l| l.outcome == Outcome::RolledBack && l.version == bundle.version);
    !failed && judge(bundle, board, version, false).is_ok()
}

/// When updates are fetched without anybody asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateConfig {
    /// From where; nowhere when absent.
    pub url: Option<String>,
    /// How often.
    pub check_every: Duration,
}

impl UpdateConfig {
    const HOUR: Duration = Duration::from_secs(3600);
    /// The soonest first look after a start: whoever looks after the box has it to himself until then.
    const FIRST_AFTER: Duration = Duration::from_secs(600);

    /// How long after its start a box looks first. `chance`, 0 to 1, is its own: boxes do not all ask at once after a power cut.
    pub fn first_look(chance: f64) -> Duration {
        Self::FIRST_AFTER.mul_f64(1.0 + chance.clamp(0.0, 1.0))
    }

    /// Reads `url` and `check_every_h`.
    pub fn read(keys: &mut impl Keys) -> Self {
        let checked = |url: &str| check_url(url).map(|()| url.to_owned());
        let url = keys.optional("url", checked);
        let hours = keys.count("check_every_h", 24, 1..=24 * 90);
        Self { url, check_every: hours * Self::HOUR }
    }
}

/// Checks where an update is to be fetched from: `https://`, a host, and nothing that a program could take for an option or a
/// credential. Errors with `Invalid`.
pub fn check_url(url: &str) -> Result<()> {
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let ok = url.len() <= 2048
        && !host.is_empty()
        && !host.contains('@')
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b));
    // What was given is not repeated: it may hold a token.
    if ok { Ok(()) } else { Err(Error::invalid("the update's address must be like https://host/perch.raucb")) }
}

/// A camera as the health gate sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateCamera {
    /// Its id.
    pub id: CameraId,
    /// Its name.
    pub name: String,
    /// Frames come.
    pub is_live: bool,
    /// Why not.
    pub reason: String,
    /// Its recorder wants to write and cannot: why. Empty else.
    pub recording_problem: String,
    /// Whether that is because what it sends cannot be recorded, whatever the disk says.
    pub is_unrecordable: bool,
}

/// Everything that a new system must prove.
#[derive(Clone, Debug)]
pub struct GateSigns {
    /// All cameras.
    pub cameras: Vec<GateCamera>,
    /// The cameras that delivered before the update; not known: one that delivers is enough.
    pub expected: Option<Vec<CameraId>>,
    /// The cameras whose pictures could not be recorded before the update; not known: any may have been one.
    pub unrecordable: Option<Vec<CameraId>>,
    /// A recording was sealed and read back; else why not (yet).
    pub recorded: Result<(), String>,
    /// The API answered that it is well; else why not.
    pub api: Result<(), String>,
    /// The database answered; else why not.
    pub database: Result<(), String>,
}

/// A new system must be content for this long without a break before it is kept.
pub const CONTENT_FOR: Duration = Duration::from_secs(20);

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateVerdict {
    /// Not yet, and why: a sentence for people.
    Waiting(String),
    /// All is well, but not yet for long enough.
    Content,
    /// Keep the new system.
    Keep,
}

/// The health gate of a system that is being tried.
#[derive(Clone, Debug, Default)]
pub struct HealthGate {
    content_since: Option<MonoTime>,
}

impl HealthGate {
    /// Looks once.
    pub fn look(&mut self, signs: &GateSigns, now: MonoTime) -> GateVerdict {
        if let Some(why) = complaint(signs) {
            self.content_since = None;
            return GateVerdict::Waiting(why);
        }
        let since = *self.content_since.get_or_insert(now);
        if now.since(since) >= CONTENT_FOR { GateVerdict::Keep } else { GateVerdict::Content }
    }

    /// Nothing was heard for so long: whatever it was content with is not true any more.
    pub fn hears_nothing(&mut self, within: Duration) -> GateVerdict {
        self.content_since = None;
        GateVerdict::Waiting(format!("disk, cameras and API were not heard of within {} s", within.as_secs()))
    }
}

fn complaint(signs: &GateSigns) -> Option<String> {
    if let Err(why) = &signs.database {
        return Some(format!("the database does not open: {why}"));
    }
    if let Err(why) = &signs.api {
        return Some(format!("the API does not answer: {why}"));
    }
    let silent = |c: &GateCamera| {
        let reason = if c.reason.is_empty() { "it is starting" } else { &c.reason };
        format!("{} gives no picture: {reason}", c.name)
    };
    match &signs.expected {
        Some(expected) => {
            let missing = signs.cameras.iter().find(|c| expected.contains(&c.id) && !c.is_live);
            if let Some(c) = missing {
                return Some(silent(c));
            }
        }
        None if !signs.cameras.iter().any(|c| c.is_live) => {
            if let Some(c) = signs.cameras.first() {
                return Some(silent(c));
            }
        }
        None => {}
    }
    // What could not be recorded before is no fault of the new version; that it records at all is proven by what is read back.
    let is_old =
        |c: &GateCamera| c.is_unrecordable && signs.unrecordable.as_ref().is_none_or(|old| old.contains(&c.id));
    if let Some(c) = signs.cameras.iter().find(|c| !c.recording_problem.is_empty() && !is_old(c)) {
        return Some(format!("{} is not recorded: {}", c.name, c.recording_problem));
    }
    signs.recorded.as_ref().err().map(|why| format!("no recording was sealed and read back: {why}"))
}

/// How a new system proves that it records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By a recording of the camera that stands here in the list.
    Recording(usize),
    /// By a plain file: no camera is to give a picture.
    File,
    /// Not yet: a camera is to give a picture, and none does.
    NoPicture,
}

/// A camera of a codec that is recorded, as the choice of the proof sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofCamera {
    /// Its id.
    pub id: CameraId,
    /// Frames come.
    pub is_live: bool,
    /// What it sends cannot be recorded now.
    pub is_unrecordable: bool,
}

/// Chooses the proof from the cameras that delivered before the update and those that could not be recorded then (see
/// [`GateSigns`]). A box on which none could must be able to go on to a version that may fix it.
pub fn proof(cameras: &[ProofCamera], expected: Option<&[CameraId]>, unrecordable: Option<&[CameraId]>) -> Proof {
    let proves = |c: &ProofCamera| !unrecordable.is_some_and(|old| old.contains(&c.id));
    let best = cameras.iter().position(|c| c.is_live && proves(c) && !c.is_unrecordable);
    // One that cannot be recorded and could before proves that the new version is worse.
    if let Some(at) = best.or_else(|| cameras.iter().position(|c| c.is_live && proves(c))) {
        return Proof::Recording(at);
    }
    let is_due = |c: &ProofCamera| proves(c) && expected.is_none_or(|expected| expected.contains(&c.id));
    if cameras.iter().any(is_due) { Proof::NoPicture } else { Proof::File }
}

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// A bundle is being uploaded.
    Receiving,
    /// Its signature, board and version are being checked.
    Checking,
    /// It was checked and can be installed.
    Ready,
    /// It is being written to the other slot.
    Installing,
    /// The box restarts into the new version.
    Restarting,
    /// The new version is being tried; it goes back by itself unless it proves itself.
    Trial,
}

perch_base::all_of!(Phase { Idle, Receiving, Checking, Ready, Installing, Restarting, Trial });

impl Phase {
    /// Whether an attempt may begin with `to` while this goes on. Errors with a sentence: `Conflict` (an earlier attempt goes on), or
    /// `Internal`: it begins with being uploaded or checked, and with nothing else.
    pub fn may_begin(self, to: Self) -> Result<()> {
        let why = match self {
            Self::Idle | Self::Ready if matches!(to, Self::Receiving | Self::Checking) => return Ok(()),
            Self::Idle | Self::Ready => return Err(Error::internal(format!("no update begins with {to:?}"))),
            Self::Receiving => "an update is being uploaded already",
            Self::Checking => "an update is being checked already",
            Self::Installing => "an update is being installed already",
            Self::Restarting => "the box is restarting into the new version",
            Self::Trial => "a new version is being tried: wait some minutes until it is kept or left again",
        };
        Err(Error::new(ErrorKind::Conflict, why))
    }
}

/// Version and update, for the page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UpdateState {
    /// The version that runs.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// Whether updates can be installed here.
    pub supported: bool,
    /// Why not; empty when they can.
    pub reason: String,
    /// What is going on.
    pub phase: Phase,
    /// How far it is, 0 to 100, while receiving and installing.
    pub percent: u32,
    /// The slot that runs. This and what follows is for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// What bundles must be compatible with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// The bundle that is ready or being installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Bundle>,
    /// Why the last attempt failed, or what the trial still waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How the last update ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastUpdate>,
}

impl UpdateState {
    /// What everybody may see of it.
    pub fn for_viewer(self) -> Self {
        Self { slot: None, board: None, bundle: None, problem: None, last: None, ..self }
    }
}

/// Where an update comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateSource {
    /// The bundle that was uploaded and checked.
    Upload,
    /// An address, see [`check_url`].
    Url(String),
}

/// An upload that goes on; dropped before its end it leaves nothing.
pub trait Upload: Send {
    /// Takes the next bytes. Errors: `TooLarge` beyond what was announced, `Unavailable` when the disk is full.
    fn write(&mut self, chunk: &[u8]) -> Result<()>;
    /// All bytes came: checks signature, board and version. On an error the file is removed.
    fn finish(self: Box<Self>) -> Result<Bundle>;
}

/// Updates, as `api` and the loops ask for them. All calls may block, `finish` and `install` for as long as a check takes.
pub trait UpdatePort: Send + Sync {
    /// What is going on.
    fn state(&self) -> UpdateState;
    /// Begins an upload of so many bytes; one at a time. Errors: `Unavailable` (no card image, no space), `TooLarge`, `Conflict`
    /// (something goes on already).
    fn receive(&self, bytes: u64) -> Result<Box<dyn Upload>>;
    /// Checks and begins to install; the box restarts by itself afterwards. Errors like [`judge`], and `NotFound` when nothing
    /// was uploaded.
    fn install(&self, source: UpdateSource, force: bool) -> Result<()>;
    /// What an address offers, when it is to be installed without anybody asking.
    fn look_up(&self, url: &str) -> Result<Option<Bundle>>;
    /// Keeps the slot that runs for good.
    fn keep(&self) -> Result<()>;
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
