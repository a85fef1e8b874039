//! What is asked of the configuration while the box runs, and what is answered.

use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// Versions of the configuration that are kept.
pub const KEPT_VERSIONS: usize = 20;

/// A change that somebody asks for.
#[derive(Clone, Debug)]
pub enum SettingsChange {
    /// A JSON merge patch (RFC 7396) of the whole.
    Merge(Map<String, Value>),
    /// A camera comes.
    AddCamera(Map<String, Value>),
    /// A merge patch of one camera.
    ChangeCamera(CameraId, Map<String, Value>),
    /// A camera goes, and with it its recordings or not.
    RemoveCamera(CameraId, KeepOrDelete),
    /// The configuration is what a kept version says.
    Restore(u64),
}

/// What becomes of the recordings of a camera that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepOrDelete {
    /// They stay.
    Keep,
    /// They are deleted, pinned ones, too.
    Delete,
}

/// A change with who asks for it and what for.
#[derive(Clone, Debug)]
pub struct SettingsRequest {
    /// What is asked for.
    pub change: SettingsChange,
    /// Who asks, as the versions list it.
    pub by: String,
    /// The tag of what was read before: where the configuration is another by now, nothing is changed.
    pub tag: Option<String>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// The configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Names this state of it.
    pub tag: String,
    /// Its values in the shape of the file, defaults filled in and no password shown.
    pub values: Value,
}

/// What a change did, or would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingsChanged {
    /// Names the new state.
    #[serde(skip)]
    pub tag: String,
    /// The lines of the file that go (`-`) and come (`+`), with some around them.
    pub diff: String,
    /// What it means, a sentence each.
    pub effects: Vec<String>,
    /// What does not go by it yet although it is written, and why.
    pub not_followed: Vec<String>,
    /// Keys whose change waits for the next start.
    pub waits_for_start: Vec<String>,
    /// What is odd in it but keeps nothing from working.
    pub warnings: Vec<String>,
}

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingsVersion {
    /// Counts up.
    pub number: u64,
    /// When it was made.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// A kept version with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingsText {
    /// Which.
    #[serde(flatten)]
    pub version: SettingsVersion,
    /// The file as it was, its passwords in files of their own.
    pub text: String,
    /// What taking it back would change in today's file.
    pub diff: String,
}

/// What there is to be set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingsSchema {
    /// Each key with its form.
    pub settings: Vec<Value>,
    /// Why nothing can be changed here, if that is so.
    pub locked: Option<String>,
}
