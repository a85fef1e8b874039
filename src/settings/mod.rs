//! The configuration while the box runs: what `perch.toml` says is read, changed as a whole and taken back, and what runs follows. The file
//! stays a person's: its comments and order are kept.

pub mod document;
pub mod files;
pub mod follow;
mod leaving;
pub mod listening;
pub mod modes;
pub mod plan;
pub mod secrets;
pub mod values;
pub mod versions;

use crate::config::{Config, unnamed};
use crate::current::Current;
use crate::reader::variable_of;
use crate::taken_by::tag_of;
use files::{BY_HAND, Files, Planned, inherits};
use follow::{Followed, Followers, let_in_already};
use leaving::CameraThatGoes;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_domain::camera::CameraConfig;
use perch_domain::pairing::PairingConfig;
use perch_domain::ports::{Later, SettingsPort};
use perch_domain::settings::changes::{
    Settings, SettingsChange, SettingsChanged, SettingsRequest, SettingsSchema, SettingsText, SettingsVersion,
};
use perch_domain::settings::described::{Origin, Setting, tree, waits_for_start, without_numbers};
use perch_domain::settings::password::without_passwords;
use perch_domain::turned_areas;
use plan::Read;
use serde_json::{Map, Value as Json};
use std::path::Path;
use std::sync::{Mutex as StdMutex, OnceLock};
use tokio::sync::Mutex;

/// The configuration, and what follows it.
pub struct SettingsFile {
    files: Files,
    current: Current,
    /// What the box started with: the keys that are only read at a start have their values from here.
    started: Config,
    /// The text that the box goes by.
    taken: StdMutex<String>,
    /// What follows; set once the box is built.
    followers: OnceLock<Followers>,
    /// Changes are made one after the other.
    turn: Mutex<()>,
}

impl SettingsFile {
    /// The file at `path`, which said this; versions and passwords lie in the data folder.
    pub fn new(path: Option<&Path>, config: Config, clock: SharedClock) -> Self {
        let files = Files::new(path.map_or_else(unnamed, Path::to_owned), &config.data_dir, clock);
        let taken = files.read().map(|read| {
            files.taken(&read);
            read.text
        });
        Self {
            files,
            started: config.clone(),
            current: Current::new(config),
            taken: StdMutex::new(taken.unwrap_or_default()),
            followers: OnceLock::new(),
            turn: Mutex::default(),
        }
    }

    /// What the box goes by.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// What it started with.
    pub fn started(&self) -> &Config {
        &self.started
    }

    /// What the file says. Errors where it is wrong or gone.
    pub fn text(&self) -> Result<String> {
        self.files.read().map(|read| read.text)
    }

    /// Does what no change of the settings may come into. Blocks; on a thread that may.
    pub fn in_turn<T>(&self, work: impl FnOnce() -> T) -> T {
        let _turn = self.turn.blocking_lock();
        work()
    }

    /// From now on these follow.
    pub fn followed_by(&self, followers: Followers) {
        // The box is built once.
        let _ = self.followers.set(followers);
    }

    /// Reads the file again that somebody edited by hand, and has the box follow; says what changed. Errors, and changes nothing, where it
    /// is wrong.
    pub async fn reload(&self) -> Result<SettingsChanged> {
        let _turn = self.turn.lock().await;
        let (files, runs) = (self.files.clone(), self.started.clone());
        let read = blocking("reading the config", move || {
            let read = files.read()?;
            listening::check(&runs, &read.config)?;
            files.keep(BY_HAND, &read.text);
            files.taken(&read);
            files.forget_passwords(&read.text);
            Ok(read)
        });
        let read = read.await?;
        for warning in &read.config.warnings {
            tracing::warn!("{warning}");
        }
        let ran = self.current.config();
        let before = self.take(&read);
        let mut followed = self.follow(&read.config).await;
        followed.effects.extend(of_areas(&ran, &read.config));
        Ok(self.changed(&before, read, followed))
    }

    /// A camera as it would be with `wanted`, which names one that is there as `camera`, or describes a new one; nothing is changed. Errors
    /// like a change of it.
    pub async fn camera_as(&self, mut wanted: Map<String, Json>) -> Result<CameraConfig> {
        let now = self.current.config();
        let known = wanted.remove("camera").filter(|id| !id.is_null());
        let (id, change) = match known {
            Some(id) => {
                let id = id
                    .as_str()
                    .map(CameraId::new)
                    .unwrap_or_else(|| Err(Error::invalid("camera: must be a camera's id")))?;
                (id.clone(), SettingsChange::ChangeCamera(id, wanted))
            }
            None => {
                let id = tried_id(|id| now.cameras.iter().any(|c| c.id == *id))?;
                wanted.insert("id".into(), Json::String(id.to_string()));
                (id, SettingsChange::AddCamera(wanted))
            }
        };
        let files = self.files.clone();
        let planned = blocking("reading a camera's settings", move || files.plan(change, None)).await?;
        let camera = planned.after.config.cameras.into_iter().find(|c| c.id == id);
        camera.ok_or_else(|| Error::not_found(format!("there is no camera {id}")))
    }

    /// The box goes by this text now. Returns the one before.
    fn take(&self, read: &Read) -> String {
        std::mem::replace(&mut *lock(&self.taken), read.text.clone())
    }

    async fn follow(&self, config: &Config) -> Followed {
        match self.followers.get() {
            Some(followers) => followers.follow(&self.current, config.clone()).await,
            None => Followed::default(),
        }
    }

    /// What becomes of recordings, where a camera goes.
    fn leaving(&self, change: &SettingsChange) -> Option<CameraThatGoes> {
        let SettingsChange::RemoveCamera(camera, recordings) = change else { return None };
        let store = self.followers.get()?.runner.recordings.clone();
        Some(CameraThatGoes { camera: camera.clone(), are: *recordings, store })
    }

    fn changed(&self, before: &str, after: Read, followed: Followed) -> SettingsChanged {
        SettingsChanged {
            tag: tag_of(&after.text),
            diff: diff(before, &after.text),
            effects: followed.effects,
            not_followed: followed.not_followed,
            waits_for_start: waiting(&self.started.settings, &after.config.settings),
            warnings: after.config.warnings,
        }
    }
}

/// What is said where a camera is gone and its recordings cannot be deleted yet: the wish is noted, and the next start goes by it.
fn not_deleted(camera: &CameraId, e: &Error) -> String {
    tracing::error!(%camera, error = %e, "the camera is gone, and its recordings are deleted from the next start on");
    format!("{camera}: is gone, and its recordings are deleted from the next start on: {}", e.message())
}

/// What becomes of zones and masks where pictures are turned otherwise.
fn of_areas(before: &Config, after: &Config) -> Vec<String> {
    let old = |camera: &CameraConfig| before.cameras.iter().find(|c| c.id == camera.id);
    let said = |camera: &CameraConfig| Some(format!("{}: {}", camera.id, turned_areas::effect(old(camera)?, camera)?));
    after.cameras.iter().filter_map(said).collect()
}

/// The camera that is meant where one is only tried out.
fn tried_id(taken: impl Fn(&CameraId) -> bool) -> Result<CameraId> {
    let ids = (0..=u16::MAX).map(|n| CameraId::new(&format!("tried-out-{n}")));
    ids.flatten().find(|id| !taken(id)).ok_or_else(|| Error::internal("there is no free name for a camera"))
}
/// What is said of a file that was made wrong by hand while the box runs.
const WRONG: &str =
    "the config file was changed by hand and is wrong; what runs goes on, and a version can be taken back";

/// The lines that go and come, without any password.
fn diff(before: &str, after: &str) -> String {
    let (before, after) = (without_passwords(before), without_passwords(after));
    let diff = similar::TextDiff::from_lines(before.as_str(), after.as_str());
    diff.unified_diff().context_radius(2).to_string()
}

/// Keys in which the file differs from what the box started with, and whose change waits for the next start.
fn waiting(started: &[Setting], after: &[Setting]) -> Vec<String> {
    let differs = |s: &&Setting| started.iter().find(|b| b.key == s.key).is_some_and(|b| b.value != s.value);
    let keys = after.iter().filter(differs).map(|s| without_numbers(&s.key));
    keys.filter(|key| waits_for_start(key)).collect()
}

impl SettingsPort for SettingsFile {
    fn box_name(&self) -> String {
        self.current.config().name.clone()
    }

    fn codes(&self) -> PairingConfig {
        self.current.config().pairing
    }

    fn settings(&self) -> Result<Settings> {
        // Whoever asks did nothing wrong.
        let by_hand = |e: Error| Error::new(ErrorKind::Unavailable, format!("{WRONG}: {}", e.message())).with_source(e);
        let read = self.files.read().map_err(|e| if e.kind() == ErrorKind::Invalid { by_hand(e) } else { e })?;
        Ok(Settings { tag: tag_of(&read.text), values: tree(&read.config.settings) })
    }

    fn schema(&self) -> SettingsSchema {
        let variables = self.current.config().variables.clone();
        let described = |mut setting: Setting| {
            if let Some(name) = variable_of(&setting.key, &variables) {
                setting.origin = Origin::Variable(name.to_owned());
            }
            setting.described()
        };
        SettingsSchema {
            settings: Config::all_keys().into_iter().map(described).collect(),
            locked: self.files.locked(),
        }
    }

    fn change(&self, request: SettingsRequest) -> Later<'_, Result<SettingsChanged>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            let SettingsRequest { change, by, tag, dry_run } = request;
            let (files, runs) = (self.files.clone(), self.started.clone());
            let leaving = self.leaving(&change);
            let goes = leaving.clone();
            let (accounts, runs_now) = (self.followers.get().map(|f| f.accounts.clone()), self.current.config());
            let ran = runs_now.clone();
            let planned = blocking("changing the settings", move || {
                let comes = matches!(change, SettingsChange::AddCamera(_));
                let mut planned = files.plan(change, tag.as_deref())?;
                // Who only asks hears it, too, and before anything is noted.
                files.check_nothing_waits(&planned)?;
                listening::check(&runs, &planned.after.config)?;
                let new = planned.after.config.cameras.last().filter(|_| comes);
                let inherited = new.and_then(|camera| inherits(&runs.data_dir, &camera.id));
                let mut comes_with: Vec<_> = inherited.into_iter().collect();
                if let Some(accounts) = accounts {
                    comes_with.extend(let_in_already(&accounts, &runs_now, &planned.after.config)?);
                }
                let kept = goes.as_ref().map(CameraThatGoes::kept).transpose()?;
                if !dry_run {
                    goes.as_ref().map_or(Ok(()), CameraThatGoes::note)?;
                    if let Err(e) = files.write(&mut planned, &by) {
                        // Why nothing was written says more than that.
                        if let Err(e) = goes.as_ref().map_or(Ok(()), CameraThatGoes::take_back) {
                            tracing::warn!(error = %e, "the wish to delete a camera's recordings is taken back at the next start");
                        }
                        return Err(e);
                    }
                }
                Ok((planned, kept, comes_with))
            });
            let (Planned { before, after }, kept, comes_with) = planned.await?;
            let mut followed = if dry_run {
                let effects = self.followers.get().map(|followers| followers.effects_of(&after.config));
                Followed { effects: effects.unwrap_or_default(), not_followed: Vec::new() }
            } else {
                self.take(&after);
                self.follow(&after.config).await
            };
            followed.effects.extend(of_areas(&ran, &after.config));
            followed.effects.extend(comes_with);
            if let Some((leaving, kept)) = leaving.zip(kept) {
                followed.effects.extend(leaving.effect(&kept));
                if !dry_run {
                    let id = leaving.camera.clone();
                    let deleted = blocking("deleting the recordings of a camera", move || leaving.delete()).await;
                    followed.not_followed.extend(deleted.err().map(|e| not_deleted(&id, &e)));
                }
            }
            Ok(self.changed(&before, after, followed))
        })
    }

    fn versions(&self) -> Result<Vec<SettingsVersion>> {
        Ok(self.files.versions.list().into_iter().map(|kept| kept.version).collect())
    }

    fn version(&self, number: u64) -> Result<SettingsText> {
        let kept = self.files.versions.read(number)?;
        let diff = diff(&self.files.text(), &kept.text);
        Ok(SettingsText { version: kept.version, text: kept.text, diff })
    }
}
