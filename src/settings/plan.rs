//! The files of the configuration: what they say, what a change makes of them, and how that is written down.

use super::document::{Document, merge_camera};
use super::secrets::{self, ADDRESSES, Secrets};
use super::versions::Versions;
use crate::config::Config;
use perch_base::clock::SharedClock;
use perch_base::files::put;
use perch_base::ids::CameraId;
use perch_base::secret::{hex, sha256};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::settings::changes::SettingsChange;
use perch_domain::settings::described::{Setting, tree};
use perch_domain::settings::password::{has_place, shown, without_passwords};
use serde_json::{Map, Value as Json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use toml_edit::{Item, Table, TableLike};

/// The longest password of a camera.
const MAX_PASSWORD_BYTES: usize = 256;

/// Who an edit by hand is said to be by.
pub const BY_HAND: &str = "the file, edited by hand";

/// The file itself, its versions, and the passwords that it names.
#[derive(Clone)]
pub struct Files {
    pub path: PathBuf,
    pub versions: Versions,
    secrets: Secrets,
    clock: SharedClock,
    /// Whether the file was missing or empty when the box started, and still is.
    may_be_empty: Arc<AtomicBool>,
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
        let may_be_empty = std::fs::read_to_string(&path).is_ok_and(|text| text.trim().is_empty()) || !path.exists();
        let may_be_empty = Arc::new(AtomicBool::new(may_be_empty));
        Self { path, versions: Versions::below(data_dir), secrets: Secrets::below(data_dir), clock, may_be_empty }
    }

    /// Why nothing can be changed here, if that is so.
    pub fn locked(&self) -> Option<String> {
        let folder = self.path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // One that is not there yet is made.
        let access = folder.exists().then(|| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK))?;
        access.err().map(|_| "the box may not write the folder of its config file: change it by hand".into())
    }

    /// What it says now. Where there was none when the box started, none is an empty one; else it is gone, and nothing follows that: an editor
    /// may be about to put another in its place. Errors with `Unavailable` then.
    pub fn read(&self) -> Result<Read> {
        let is_there = match std::fs::metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            found => found.map(|_| true).context(ErrorKind::Unavailable, || "the config file cannot be read")?,
        };
        let text = if is_there { Config::text_of(&self.path)? } else { String::new() };
        if text.trim().is_empty() && !self.may_be_empty.load(Ordering::SeqCst) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the config file is gone or empty: put it back; what runs goes on",
            ));
        }
        Self::understood(text)
    }

    fn understood(text: String) -> Result<Read> {
        let (config, settings) = Config::described(&text, crate::config::environment())?;
        Ok(Read { text, config, settings })
    }

    /// The file as `change` makes it, checked. Nothing is written, so passwords stand in it that [`Self::write`] takes out.
    pub fn plan(&self, change: SettingsChange, tag: Option<&str>) -> Result<Planned> {
        let before = self.read()?;
        if tag.is_some_and(|tag| tag != tag_of(&before.text)) {
            let why = "the settings were changed since you read them: look at both, then try again";
            return Err(Error::new(ErrorKind::Stale, why));
        }
        let mut document = Document::parse(&before.text)?;
        match change {
            SettingsChange::Merge(mut patch) => {
                self.accept_cameras(&mut patch, &document)?;
                document.merge(&patch, &before.settings)?;
                // Some defaults depend on other keys: what was so before and is no longer is written after all.
                if let Ok(after) = Self::understood(document.text()) {
                    document.merge(&patch, &after.settings)?;
                }
            }
            SettingsChange::AddCamera(patch) => self.add(&mut document, patch, &before)?,
            SettingsChange::ChangeCamera(id, patch) => self.change_camera(&mut document, &id, patch, &before)?,
            SettingsChange::RemoveCamera(id) => remove(&mut document, &id, &before)?,
            SettingsChange::Restore(number) => document = Document::parse(&self.versions.read(number)?.text)?,
        }
        let after = Self::understood(document.text())?;
        Ok(Planned { before, after })
    }

    /// Lets no file be named over the API, and takes passwords that came beside an address. `before` is the camera as the file has it.
    fn accept(&self, camera: &mut Map<String, Json>, before: Option<&dyn TableLike>, path: &str) -> Result<()> {
        let known = |key: &str| before.and_then(|table| table.get(key)).and_then(Item::as_str);
        for (key, file) in ADDRESSES {
            let named = camera.get(file).filter(|named| !named.is_null());
            if named.is_some_and(|named| named.as_str().is_none() || named.as_str() != known(file)) {
                return Err(Error::invalid(format!("{path}.{file}: is set by hand alone; give `password`")));
            }
            // One that was read is handed back as it was shown.
            let new =
                camera.get(key).and_then(Json::as_str).filter(|new| known(key).is_none_or(|is| *new != shown(is)));
            let moves = new.zip(known(key)).is_some_and(|(new, is)| has_place(new) && host_of(new) != host_of(is));
            let is_borrowed = new.is_some_and(|new| has_place(new) && known(key).is_none_or(|is| !has_place(is)));
            if (moves || is_borrowed) && !camera.contains_key("password") {
                return Err(Error::invalid(format!("{path}.{key}: has another host: give `password` again")));
            }
        }
        let Some(password) = camera.remove("password") else { return Ok(()) };
        let password = password.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_PASSWORD_BYTES);
        let rule = || Error::invalid(format!("{path}.password: must be a text of 1 to {MAX_PASSWORD_BYTES} bytes"));
        let password = password.ok_or_else(rule)?;
        let mut refused = None;
        let mut is_used = false;
        for (key, _) in ADDRESSES {
            let given =
                camera.get(key).and_then(Json::as_str).filter(|new| known(key).is_none_or(|is| *new != shown(is)));
            let Some(address) = given.or_else(|| known(key)) else { continue };
            match secrets::put_beside(address, password) {
                Ok(whole) => {
                    camera.insert(key.to_owned(), Json::String(whole));
                    is_used = true;
                }
                Err(e) => refused = Some(e.at(path)),
            }
        }
        match refused {
            Some(e) if !is_used => Err(e),
            None if !is_used => Err(Error::invalid(format!("{path}.password: is only for a network camera"))),
            _ => Ok(()),
        }
    }

    fn accept_cameras(&self, patch: &mut Map<String, Json>, document: &Document) -> Result<()> {
        let Some(Json::Array(cameras)) = patch.get_mut("camera") else { return Ok(()) };
        for (n, camera) in cameras.iter_mut().enumerate() {
            let Some(camera) = camera.as_object_mut() else { continue };
            let id = camera.get("id").and_then(Json::as_str).map(str::to_owned);
            let before = document.cameras().into_iter().find(|c| c.get("id").and_then(Item::as_str) == id.as_deref());
            self.accept(camera, before, &format!("camera[{n}]"))?;
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
        self.accept(&mut patch, document.cameras().get(at).copied(), "camera")?;
        for settings in [Some(&before.settings), None] {
            // A second time: some defaults depend on other keys.
            let after = if settings.is_none() { Self::understood(document.text()).ok() } else { None };
            let Some(settings) = settings.or(after.as_ref().map(|read| &read.settings)) else { continue };
            let now = tree(settings);
            let camera = document.cameras_mut().iter_mut().nth(at).ok_or_else(|| no_camera(id))?;
            merge_camera(camera, &patch, now["camera"].get(at), "camera")?;
        }
        Ok(())
    }

    /// Keeps what the file says as a version, with no password in it. Says so where that fails: a change is worth more than that it can be
    /// taken back.
    pub fn keep(&self, by: &str, text: &str) {
        let keep = || {
            let mut document = Document::parse(text)?;
            self.secrets.move_out_of(&mut document)?;
            self.versions.keep(self.clock.utc(), by, &without_passwords(&document.text()))
        };
        if let Err(e) = keep() {
            tracing::warn!(error = %e, "this version of the config cannot be taken back later");
        }
    }

    /// Removes the passwords that neither the file nor a version names. Only once the file says this.
    pub fn forget_passwords(&self, text: &str) {
        let texts: Vec<String> = self.versions.list().into_iter().map(|kept| kept.text).collect();
        self.secrets.forget_but(texts.iter().map(String::as_str).chain([text]));
    }

    /// Writes it, its passwords in files of their own, and keeps it as a version.
    pub fn write(&self, planned: &mut Planned, by: &str) -> Result<()> {
        let Planned { before, after } = planned;
        if before.text == after.text {
            return Ok(());
        }
        let mut document = Document::parse(&after.text)?;
        self.secrets.move_out_of(&mut document)?;
        *after = Self::understood(document.text())?;
        self.keep(BY_HAND, &before.text);
        if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).context(ErrorKind::Unavailable, unwritable)?;
        }
        put(&self.path, after.text.as_bytes(), 0o600, None).context(ErrorKind::Unavailable, unwritable)?;
        self.may_be_empty.store(after.text.trim().is_empty(), Ordering::SeqCst);
        self.keep(by, &after.text);
        self.forget_passwords(&after.text);
        Ok(())
    }
}

/// What is said where recordings of a camera with this id are there although there is no such camera.
pub fn inherits(data_dir: &Path, id: &CameraId) -> Option<String> {
    let folder = data_dir.join(perch_store::layout::RECORDINGS).join(id.as_str());
    let has_any = std::fs::read_dir(folder).is_ok_and(|mut days| days.next().is_some());
    has_any.then(|| {
        format!("recordings of an earlier camera with the id {id} are on the disk and will be listed under it")
    })
}

/// The host of an address, and its port.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
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
    if document.says_cameras() || before.config.cameras.is_empty() {
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
