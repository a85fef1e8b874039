//! The configuration while the box runs: what `perch.toml` says is read, changed as a whole and taken back, and what runs follows. The file
//! stays a person's: its comments and order are kept.

pub mod document;
pub mod follow;
pub mod plan;
pub mod secrets;
pub mod versions;

use crate::config::{Config, unnamed};
use follow::{Current, Followers, effect};
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::{Error, Result, blocking};
use perch_domain::camera::CameraConfig;
use perch_domain::pairing::PairingConfig;
use perch_domain::ports::{Later, SettingsPort};
use perch_domain::reload::plan_reload;
use perch_domain::settings::changes::{
    Settings, SettingsChange, SettingsChanged, SettingsRequest, SettingsSchema, SettingsText, SettingsVersion,
};
use perch_domain::settings::described::{Setting, tree, waits_for_start, without_numbers};
use perch_domain::settings::password::without_passwords;
use plan::{BY_HAND, Files, Planned, inherits, tag_of};
use serde_json::{Map, Value as Json};
use std::path::Path;
use std::sync::OnceLock;
use tokio::sync::Mutex;

/// The configuration, and what follows it.
pub struct SettingsFile {
    files: Files,
    current: Current,
    /// What follows; set once the box is built.
    followers: OnceLock<Followers>,
    /// Changes are made one after the other.
    turn: Mutex<()>,
}

impl SettingsFile {
    /// The file at `path`, which said this; versions and passwords lie in the data folder.
    pub fn new(path: Option<&Path>, config: Config, clock: SharedClock) -> Self {
        let files = Files::new(path.map_or_else(unnamed, Path::to_owned), &config.data_dir, clock);
        Self { files, current: Current::new(config), followers: OnceLock::new(), turn: Mutex::default() }
    }

    /// What the box goes by.
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// From now on these follow.
    pub fn followed_by(&self, followers: Followers) {
        // The box is built once.
        let _ = self.followers.set(followers);
    }

    /// Reads the file again that somebody edited by hand, and has the box follow; says what changed. Errors, and changes nothing, where it
    /// is wrong.
    pub async fn reload(&self) -> Result<Vec<String>> {
        let _turn = self.turn.lock().await;
        let files = self.files.clone();
        let read = blocking("reading the config", move || {
            let read = files.read()?;
            files.keep(BY_HAND, &read.text);
            files.forget_passwords(&read.text);
            Ok(read)
        });
        let read = read.await?;
        for warning in &read.config.warnings {
            tracing::warn!("{warning}");
        }
        self.follow(&read.config).await
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

    async fn follow(&self, config: &Config) -> Result<Vec<String>> {
        match self.followers.get() {
            Some(followers) => followers.follow(&self.current, config.clone()).await,
            None => Ok(Vec::new()),
        }
    }
}

/// The camera that is meant where one is only tried out.
fn tried_id(taken: impl Fn(&CameraId) -> bool) -> Result<CameraId> {
    let ids = (0..=u16::MAX).map(|n| CameraId::new(&format!("tried-out-{n}")));
    ids.flatten().find(|id| !taken(id)).ok_or_else(|| Error::internal("there is no free name for a camera"))
}

/// The lines that go and come, without any password.
fn diff(before: &str, after: &str) -> String {
    let (before, after) = (without_passwords(before), without_passwords(after));
    let diff = similar::TextDiff::from_lines(before.as_str(), after.as_str());
    diff.unified_diff().context_radius(2).to_string()
}

/// Keys whose change waits for the next start.
fn waiting(before: &[Setting], after: &[Setting]) -> Vec<String> {
    let differs = |s: &&Setting| before.iter().find(|b| b.key == s.key).is_some_and(|b| b.value != s.value);
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
        let read = self.files.read()?;
        Ok(Settings { tag: tag_of(&read.text), values: tree(&read.settings) })
    }

    fn schema(&self) -> SettingsSchema {
        let now = self.files.read().map(|read| read.settings).unwrap_or_default();
        let described = |mut setting: Setting| {
            if let Some(is) = now.iter().find(|s| s.key == setting.key) {
                setting.origin = is.origin.clone();
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
            let files = self.files.clone();
            let data_dir = self.current.config().data_dir.clone();
            let planned = blocking("changing the settings", move || {
                let comes = matches!(change, SettingsChange::AddCamera(_));
                let mut planned = files.plan(change, tag.as_deref())?;
                let new = planned.after.config.cameras.last().filter(|_| comes);
                let inherited = new.and_then(|camera| inherits(&data_dir, &camera.id));
                if !dry_run {
                    files.write(&mut planned, &by)?;
                }
                Ok((planned, inherited))
            });
            let (Planned { before, after }, inherited) = planned.await?;
            let mut effects: Vec<String> = match dry_run {
                true => plan_reload(&before.config.cameras, &after.config.cameras).iter().map(effect).collect(),
                false => self.follow(&after.config).await?,
            };
            effects.extend(inherited);
            Ok(SettingsChanged {
                tag: tag_of(&after.text),
                diff: diff(&before.text, &after.text),
                effects,
                waits_for_start: waiting(&before.settings, &after.settings),
                warnings: after.config.warnings,
            })
        })
    }

    fn versions(&self) -> Result<Vec<SettingsVersion>> {
        Ok(self.files.versions.list().into_iter().map(|kept| kept.version).collect())
    }

    fn version(&self, number: u64) -> Result<SettingsText> {
        let kept = self.files.versions.read(number)?;
        let diff = diff(&self.files.read()?.text, &kept.text);
        Ok(SettingsText { version: kept.version, text: kept.text, diff })
    }
}
