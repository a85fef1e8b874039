//! The files of the configuration: what they say, what a change makes of them, and how that is written down.

use super::document::{Document, merge_camera};
use super::secrets::{self, Secrets};
use super::versions::Versions;
use crate::config::Config;
use perch_base::clock::SharedClock;
use perch_base::files::put;
use perch_base::ids::CameraId;
use perch_base::secret::{hex, sha256};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::settings::changes::SettingsChange;
use perch_domain::settings::described::{Setting, tree};
use serde_json::{Map, Value as Json};
use std::path::{Path, PathBuf};
use toml_edit::Table;

/// Who an edit by hand is said to be by.
pub const BY_HAND: &str = "the file, edited by hand";

/// The file itself, its versions, and the passwords that it names.
#[derive(Clone)]
pub struct Files {
    pub path: PathBuf,
    pub versions: Versions,
    secrets: Secrets,
    clock: SharedClock,
}

/// What a file says.
pub struct Read {
    pub text: String,
    pub config: Config,
    pub settings: Vec<Setting>,
}

/// A change that is ready to be made.
pub struct Planned {
    pub before: Read,
    pub after: Read,
}

impl Files {
    /// The file at `path`; versions and passwords lie in the data folder.
    pub fn new(path: PathBuf, data_dir: &Path, clock: SharedClock) -> Self {
        Self { path, versions: Versions::below(data_dir), secrets: Secrets::below(data_dir), clock }
    }

    /// Why nothing can be changed here, if that is so.
    pub fn locked(&self) -> Option<String> {
        let folder = self.path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // One that is not there yet is made.
        let access = folder.exists().then(|| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK))?;
        access.err().map(|_| "the box may not write the folder of its config file: change it by hand".into())
    }

    /// What it says now; nothing where it is not there.
    pub fn read(&self) -> Result<Read> {
        let text = match self.path.exists() {
            true => Config::text_of(&self.path)?,
            false => String::new(),
        };
        Self::understood(text)
    }

    fn understood(text: String) -> Result<Read> {
        let (config, settings) = Config::described(&text, crate::config::environment())?;
        Ok(Read { text, config, settings })
    }

    /// The file as `change` makes it, checked. Nothing is written but new passwords.
    pub fn plan(&self, change: SettingsChange, tag: Option<&str>) -> Result<Planned> {
        let before = self.read()?;
        if tag.is_some_and(|tag| tag != tag_of(&before.text)) {
            let why = "the settings were changed since you read them: look at both, then try again";
            return Err(Error::new(ErrorKind::Stale, why));
        }
        let mut document = Document::parse(&before.text)?;
        let now = tree(&before.settings);
        match change {
            SettingsChange::Merge(mut patch) => {
                self.accept_cameras(&mut patch, &now)?;
                document.merge(&patch, &before.settings)?;
            }
            SettingsChange::AddCamera(patch) => self.add(&mut document, patch, &before)?,
            SettingsChange::ChangeCamera(id, patch) => self.change_camera(&mut document, &id, patch, &before)?,
            SettingsChange::RemoveCamera(id) => remove(&mut document, &id, &before)?,
            SettingsChange::Restore(number) => document = Document::parse(&self.versions.read(number)?.text)?,
        }
        // Before any password is written down.
        Self::understood(document.text())?;
        self.secrets.move_out_of(&mut document)?;
        let after = Self::understood(document.text())?;
        Ok(Planned { before, after })
    }

    /// Lets no file be named that the page did not make, and takes passwords that came beside an address.
    fn accept(&self, camera: &mut Map<String, Json>, now: Option<&Json>, path: &str) -> Result<()> {
        if let Some(file) = camera.get("password_file").filter(|file| !file.is_null()) {
            let is = now.and_then(|now| now.get("password_file"));
            if is != Some(file) && !file.as_str().is_some_and(|file| self.secrets.holds(file)) {
                return Err(Error::invalid(format!("{path}.password_file: is set by hand alone; give `password`")));
            }
        }
        let Some(password) = camera.remove("password") else { return Ok(()) };
        let known = |key: &str| now.and_then(|now| now.get(key)).and_then(Json::as_str).map(str::to_owned);
        let password = password.as_str().ok_or_else(|| Error::invalid(format!("{path}.password: must be a text")))?;
        for key in ["source", "sub_source"] {
            let address = camera.get(key).and_then(Json::as_str).map(str::to_owned).or_else(|| known(key));
            if let Some(address) = address.filter(|address| address.contains('@')) {
                let whole = secrets::put_beside(&address, password).map_err(|e| e.at(path))?;
                camera.insert(key.to_owned(), Json::String(whole));
            }
        }
        Ok(())
    }

    fn accept_cameras(&self, patch: &mut Map<String, Json>, now: &Json) -> Result<()> {
        let Some(Json::Array(cameras)) = patch.get_mut("camera") else { return Ok(()) };
        for (n, camera) in cameras.iter_mut().enumerate() {
            let Some(camera) = camera.as_object_mut() else { continue };
            let known = now["camera"].as_array().and_then(|all| all.iter().find(|c| c.get("id") == camera.get("id")));
            self.accept(camera, known, &format!("camera[{n}]"))?;
        }
        Ok(())
    }

    fn add(&self, document: &mut Document, mut patch: Map<String, Json>, before: &Read) -> Result<()> {
        self.accept(&mut patch, None, "camera")?;
        let id = patch.get("id").and_then(Json::as_str).unwrap_or_default();
        if before.config.cameras.iter().any(|c| c.id.as_str() == id) {
            return Err(Error::new(ErrorKind::Conflict, format!("camera {id} is there already")));
        }
        write_down_the_default(document, before)?;
        let mut camera = Table::new();
        merge_camera(&mut camera, &patch, None, "camera")?;
        document.cameras_mut().push(camera);
        Ok(())
    }

    fn change_camera(
        &self,
        document: &mut Document,
        id: &CameraId,
        mut patch: Map<String, Json>,
        before: &Read,
    ) -> Result<()> {
        let at = position(before, id)?;
        if patch.get("id").is_some_and(|new| new.as_str() != Some(id.as_str())) {
            return Err(Error::invalid("id: names its recordings and cannot change; add a camera and remove this one"));
        }
        write_down_the_default(document, before)?;
        let now = tree(&before.settings);
        let now = now["camera"].get(at);
        self.accept(&mut patch, now, "camera")?;
        let camera = document.cameras_mut().iter_mut().nth(at).ok_or_else(|| no_camera(id))?;
        merge_camera(camera, &patch, now, "camera")
    }

    /// Keeps what the file says as a version, with no password in it; and before it what it said. Says so where that fails: the change is
    /// worth more than that it can be taken back.
    pub fn keep(&self, by: &str, text: &str, before: Option<&str>) {
        let now = self.clock.utc();
        let keep = |by: &str, text: &str, at: Timestamp| {
            let mut document = Document::parse(text)?;
            self.secrets.move_out_of(&mut document)?;
            self.versions.keep(at, by, &document.text())
        };
        let kept = before.map_or(Ok(()), |before| keep(BY_HAND, before, now)).and_then(|()| keep(by, text, now));
        if let Err(e) = kept {
            tracing::warn!(error = %e, "this version of the config cannot be taken back later");
        }
    }

    /// Removes the passwords that neither the file nor a version names. Only once the file says this.
    pub fn forget_passwords(&self, text: &str) {
        let texts: Vec<String> = self.versions.list().into_iter().map(|kept| kept.text).collect();
        self.secrets.forget_but(texts.iter().map(String::as_str).chain([text]));
    }

    /// Writes it: the version first, so that there is none without one.
    pub fn write(&self, planned: &Planned, by: &str) -> Result<()> {
        let Planned { before, after } = planned;
        if before.text == after.text {
            return Ok(());
        }
        self.keep(by, &after.text, Some(&before.text));
        if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).context(ErrorKind::Unavailable, unwritable)?;
        }
        put(&self.path, after.text.as_bytes(), 0o600, None).context(ErrorKind::Unavailable, unwritable)?;
        self.forget_passwords(&after.text);
        Ok(())
    }
}

fn unwritable() -> String {
    "the config file cannot be written; nothing was changed: is its disk full or read-only, may the box write there?"
        .into()
}

/// Names a state of the file.
pub fn tag_of(text: &str) -> String {
    hex(&sha256(text.as_bytes())[..16])
}

fn no_camera(id: &CameraId) -> Error {
    Error::not_found(format!("there is no camera {id}"))
}

fn position(read: &Read, id: &CameraId) -> Result<usize> {
    read.config.cameras.iter().position(|c| c.id == *id).ok_or_else(|| no_camera(id))
}

/// A file that names no camera has the test camera. Whoever adds one, or changes that, has both: it is written down first.
fn write_down_the_default(document: &mut Document, before: &Read) -> Result<()> {
    if document.cameras().next().is_some() || before.config.cameras.is_empty() {
        return Ok(());
    }
    let now = tree(&before.settings);
    for camera in now["camera"].as_array().into_iter().flatten() {
        let mut patch = Map::new();
        for key in ["id", "name", "source"] {
            patch.insert(key.to_owned(), camera[key].clone());
        }
        let sound = Map::from_iter([("source".to_owned(), camera["audio"]["source"].clone())]);
        patch.insert("audio".to_owned(), Json::Object(sound));
        let mut table = Table::new();
        merge_camera(&mut table, &patch, None, "camera")?;
        document.cameras_mut().push(table);
    }
    Ok(())
}

fn remove(document: &mut Document, id: &CameraId, before: &Read) -> Result<()> {
    let at = position(before, id)?;
    write_down_the_default(document, before)?;
    let cameras = document.cameras_mut();
    cameras.remove(at);
    if cameras.is_empty() {
        document.without_cameras();
    }
    Ok(())
}
