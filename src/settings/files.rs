//! The files of the configuration: what they say, and how a change is written down, whole or not at all.

use super::document::Document;
use super::plan::{self, Read};
use super::secrets::Secrets;
use super::versions::Versions;
use crate::config::Config;
use crate::taken_by::{TakenBy, tag_of};
use perch_base::clock::SharedClock;
use perch_base::files::{put, replace};
use perch_base::ids::CameraId;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::settings::changes::SettingsChange;
use perch_domain::settings::password::without_passwords;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who an edit by hand is said to be by.
pub const BY_HAND: &str = "the file, edited by hand";

/// In the data folder while a backup waits for the next start, which puts its config in this one's place.
pub const RESTORE: &str = "restore.json";

/// The file itself, its versions, and the passwords that it names.
#[derive(Clone)]
pub struct Files {
    pub path: PathBuf,
    pub versions: Versions,
    data_dir: PathBuf,
    secrets: Secrets,
    clock: SharedClock,
    /// Whether the file was missing or empty when the box started, and still is.
    may_be_empty: Arc<AtomicBool>,
}

/// A change that is ready to be made.
pub struct Planned {
    /// The file as it is, however wrong; empty where it cannot be read.
    pub before: String,
    pub after: Read,
}

impl Files {
    /// The file at `path`; versions and passwords lie in the data folder.
    pub fn new(path: PathBuf, data_dir: &Path, clock: SharedClock) -> Self {
        let may_be_empty = std::fs::read_to_string(&path).is_ok_and(|text| text.trim().is_empty()) || !path.exists();
        let may_be_empty = Arc::new(AtomicBool::new(may_be_empty));
        let (versions, secrets) = (Versions::below(data_dir), Secrets::below(data_dir));
        Self { path, versions, data_dir: data_dir.to_owned(), secrets, clock, may_be_empty }
    }

    /// Why nothing can be changed here, if that is so.
    pub fn locked(&self) -> Option<String> {
        let path = self.place();
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // One that is not there yet is made.
        let access = folder.exists().then(|| rustix::fs::access(folder, rustix::fs::Access::WRITE_OK))?;
        access.err().map(|_| "the box may not write the folder of its config file: change it by hand".into())
    }

    /// Where the file itself lies: a link to it stays one.
    fn place(&self) -> PathBuf {
        let target = std::fs::canonicalize(&self.path).or_else(|_| {
            let target = std::fs::read_link(&self.path)?;
            Ok::<_, io::Error>(self.path.parent().map_or(target.clone(), |folder| folder.join(target)))
        });
        target.unwrap_or_else(|_| self.path.clone())
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
                "the config file is gone or empty: put it back, or take back a version; what runs goes on",
            ));
        }
        let newer = Config::of_newer(&text);
        Read::understood(text, &newer)
    }

    /// Its text, whatever it says; nothing where it cannot be read.
    pub fn text(&self) -> String {
        Config::text_of(&self.path).unwrap_or_default()
    }

    /// The file as `change` makes it, checked. Nothing is written, so passwords stand in it that [`Self::write`] takes out.
    pub fn plan(&self, change: SettingsChange, tag: Option<&str>) -> Result<Planned> {
        if let SettingsChange::Restore(number) = change {
            return self.plan_restore(number, tag);
        }
        let before = self.read()?;
        check_tag(tag, &before.text)?;
        let document = plan::changed(&before, change)?;
        let after = Read::understood(document.text(), &before.newer)?;
        Ok(Planned { before: before.text, after })
    }

    /// However wrong the file is now, or gone: a version brings it back.
    fn plan_restore(&self, number: u64, tag: Option<&str>) -> Result<Planned> {
        let before = self.text();
        check_tag(tag, &before)?;
        let text = self.versions.read(number)?.text;
        // What is a newer version's is so in a version, too.
        let newer = self.read().map(|read| read.newer).unwrap_or_default();
        Ok(Planned { before, after: Read::understood(text, &newer)? })
    }

    /// Keeps what the file says as a version, with no password in it. Says so where that fails: a change is worth more than that it can be
    /// taken back.
    ///
    /// Returns its number, where it is a new one.
    pub fn keep(&self, by: &str, text: &str) -> Option<u64> {
        let kept = self.as_kept(text).and_then(|text| self.versions.keep(self.clock.utc(), by, &text));
        kept.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "this version of the config cannot be taken back later");
            None
        })
    }

    /// This text as a version has it.
    fn as_kept(&self, text: &str) -> Result<String> {
        let mut document = Document::parse(text)?;
        self.secrets.move_out_of(&mut document)?;
        Ok(without_passwords(&document.text()))
    }

    /// Removes the passwords that neither the file nor a version names. Only once the file says this.
    pub fn forget_passwords(&self, text: &str) {
        let texts: Vec<String> = self.versions.list().into_iter().map(|kept| kept.text).collect();
        self.secrets.forget_but(texts.iter().map(String::as_str).chain([text]));
    }

    /// Notes that this program goes by it. A program that comes after must be told from one before.
    pub fn taken(&self, read: &Read) {
        let has_newer = read.newer != Default::default();
        if let Err(e) = TakenBy::leave(&self.data_dir, &read.text, has_newer) {
            tracing::warn!(error = %e, "an older version may refuse the config after an update is taken back");
        }
    }

    /// Errors with `Conflict` where a backup is about to take its place and the change would be lost.
    pub fn check_nothing_waits(&self, planned: &Planned) -> Result<()> {
        if planned.before == planned.after.text || self.data_dir.join(RESTORE).symlink_metadata().is_err() {
            return Ok(());
        }
        let why =
            "a backup waits for the box to be started again, and its settings take the place of these: do that first";
        Err(Error::new(ErrorKind::Conflict, why))
    }

    /// Writes it, its passwords in files of their own, and keeps it as a version: that first, so that a kill in between costs no name.
    /// Errors with `Conflict` where a backup is about to take its place.
    pub fn write(&self, planned: &mut Planned, by: &str) -> Result<()> {
        if planned.before == planned.after.text {
            return Ok(());
        }
        self.check_nothing_waits(planned)?;
        let Planned { before, after } = planned;
        let mut document = Document::parse(&after.text)?;
        self.secrets.move_out_of(&mut document)?;
        *after = Read::understood(document.text(), &after.newer)?;
        self.keep_the_one_before(before);
        let path = self.place();
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).context(ErrorKind::Unavailable, unwritable)?;
        }
        let kept = self.keep(by, &after.text);
        replace(&path, after.text.as_bytes(), 0o600).map_err(|e| {
            if let Some(number) = kept {
                self.versions.forget(number);
            }
            // Of what came with a change that is not made, no password stays. What cannot be read may name others.
            if !before.is_empty() {
                self.forget_passwords(before);
            }
            match e.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    let full = "the config file cannot be written: its disk is full; nothing was changed";
                    Error::new(ErrorKind::Unavailable, full).with_source(e)
                }
                _ => Error::new(ErrorKind::Unavailable, unwritable()).with_source(e),
            }
        })?;
        self.may_be_empty.store(after.text.trim().is_empty(), Ordering::SeqCst);
        self.taken(after);
        self.forget_passwords(&after.text);
        Ok(())
    }

    /// What cannot be kept as a version, since it is no TOML, is laid beside the file: somebody wrote it.
    pub fn keep_the_one_before(&self, text: &str) {
        if Document::parse(text).is_ok() {
            // The newest may be of a change that was killed before the file said it.
            if !self.as_kept(text).is_ok_and(|text| self.versions.is_of_last(2, &text)) {
                self.keep(BY_HAND, text);
            }
            return;
        }
        let mut aside = self.place().into_os_string();
        aside.push(".refused");
        match put(Path::new(&aside), text.as_bytes(), 0o600, None) {
            Ok(()) => {
                tracing::warn!(path = %Path::new(&aside).display(), "what the config said before is no TOML and was laid aside")
            }
            Err(e) => tracing::warn!(error = %e, "what the config said before is no TOML and is lost"),
        }
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

fn check_tag(tag: Option<&str>, text: &str) -> Result<()> {
    if tag.is_some_and(|tag| tag != tag_of(text)) {
        let why = "the settings were changed since you read them: look at both, then try again";
        return Err(Error::new(ErrorKind::Stale, why));
    }
    Ok(())
}

fn unwritable() -> String {
    "the config file cannot be written; nothing was changed: is its disk full or read-only, may the box write there?"
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::ManualClock;

    fn files(dir: &Path) -> Files {
        let files = Files::new(dir.join("perch.toml"), &dir.join("data"), Arc::new(ManualClock::default()));
        std::fs::write(&files.path, "[box]\nname = \"A\"\n").expect("written");
        files
    }

    fn named(files: &Files, name: &str) -> Planned {
        let patch = serde_json::json!({"box": {"name": name}});
        let change = SettingsChange::Merge(patch.as_object().cloned().unwrap_or_default());
        files.plan(change, None).expect("planned")
    }

    fn who(files: &Files) -> Vec<String> {
        files.versions.list().into_iter().map(|kept| kept.version.by).collect()
    }

    #[test]
    fn a_change_that_cannot_be_written_leaves_no_version() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = files(dir.path());
        let mut planned = named(&files, "B");
        std::fs::remove_file(&files.path).expect("removed");
        std::fs::create_dir(&files.path).expect("made");
        files.write(&mut planned, "anna").expect_err("it is a folder");
        assert_eq!(who(&files), [BY_HAND]);
    }

    #[test]
    fn a_change_that_cannot_be_written_leaves_no_password() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = files(dir.path());
        let camera = serde_json::json!({"id": "b", "source": "rtsp://me:S3CRET@cam/x"});
        let change = SettingsChange::AddCamera(camera.as_object().cloned().unwrap_or_default());
        let mut planned = files.plan(change, None).expect("planned");
        std::fs::remove_file(&files.path).expect("removed");
        std::fs::create_dir(&files.path).expect("made");
        files.write(&mut planned, "anna").expect_err("it is a folder");
        assert_eq!(std::fs::read_dir(dir.path().join("data/secrets")).expect("made").count(), 0);
    }

    #[test]
    fn a_change_that_was_killed_before_the_file_said_it_costs_nobody_their_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = files(dir.path());
        files.write(&mut named(&files, "B"), "anna").expect("written");
        // Killed here: the version is kept, and the file says what it said.
        files.keep("ben", &named(&files, "C").after.text);
        files.write(&mut named(&files, "D"), "carla").expect("written");
        assert_eq!(who(&files), ["carla", "ben", "anna", BY_HAND]);
    }

    #[test]
    fn nothing_is_changed_that_a_backup_is_about_to_replace() {
        let dir = tempfile::tempdir().expect("a folder");
        let files = files(dir.path());
        let mut planned = named(&files, "B");
        std::fs::create_dir_all(dir.path().join("data")).expect("made");
        std::fs::write(dir.path().join("data").join(RESTORE), "{}").expect("written");
        assert_eq!(files.write(&mut planned, "anna").expect_err("refused").kind(), ErrorKind::Conflict);
        assert_eq!(files.text(), planned.before);
    }
}
