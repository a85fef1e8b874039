//! How a backup is taken: checked and laid down whole beside the running box, and put in place by the next start.

use super::content::Backup;
use crate::config::{Config, environment};
use crate::settings::files::{Files, RESTORE};
use crate::settings::listening;
use crate::settings::secrets::Secrets;
use perch_base::clock::SharedClock;
use perch_base::files::{Links, make_private_dir, put, read_small, remove, replace};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::ports::Restored;
use perch_pki::IDENTITY_FOLDER;
use perch_store::Accounts;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Who the config of a backup is said to be by.
const BY_BACKUP: &str = "a backup that was restored";
/// The largest of them, bytes.
const MAX_BYTES: u64 = 32 << 20;

#[derive(Serialize, Deserialize)]
struct Waiting {
    backup: Backup,
    /// The text of the config for this box.
    config: String,
}

fn waiting(data_dir: &Path) -> PathBuf {
    data_dir.join(RESTORE)
}

fn secrets(data_dir: &Path) -> PathBuf {
    Secrets::below(data_dir).folder().to_owned()
}

/// What taking this backup would make of the config, which says `now`. Errors with `Invalid` where the box could not start with it.
pub fn plan(backup: &Backup, runs: &Config, now: &str) -> Result<(String, Config)> {
    let text = backup.config_here(now, &secrets(&runs.data_dir))?;
    let _there = Tried::put(backup, &secrets(&runs.data_dir))?;
    let config = Config::parse(&text, environment()).map_err(|e| e.at("the backup's settings do not fit this box"))?;
    listening::check(runs, &config)?;
    Ok((text, config))
}

/// Files that the settings name and that are there only while these are looked at.
struct Tried(Vec<PathBuf>);

impl Tried {
    fn put(backup: &Backup, folder: &Path) -> Result<Self> {
        let failed = || "a password of the backup cannot be looked at: is the disk full or read-only?";
        make_private_dir(folder).context(ErrorKind::Unavailable, failed)?;
        let mut tried = Self(Vec::new());
        for (name, text) in backup.files() {
            let path = folder.join(name);
            if path.symlink_metadata().is_err() {
                tried.0.push(path.clone());
                put(&path, text.as_bytes(), 0o600, None).context(ErrorKind::Unavailable, failed)?;
            }
        }
        Ok(tried)
    }
}

impl Drop for Tried {
    fn drop(&mut self) {
        for path in &self.0 {
            // One that stays is of no use to anybody and goes with the next change.
            let _ = remove(path);
        }
    }
}

/// Lays it down, to be taken by the next start.
pub fn lay_down(backup: Backup, config: String, data_dir: &Path) -> Result<()> {
    let failed = || "the backup cannot be laid down: is the disk full or read-only?";
    let text = serde_json::to_vec(&Waiting { backup, config }).context(ErrorKind::Internal, failed)?;
    put(&waiting(data_dir), &text, 0o600, None).context(ErrorKind::Unavailable, failed)
}

/// What waits for the next start.
pub fn waits(data_dir: &Path) -> Result<Option<Restored>> {
    let Some(Waiting { backup, config }) = read(data_dir)? else { return Ok(None) };
    let cameras = Config::parse(&config, environment()).map(|config| config.cameras).unwrap_or_default();
    Ok(Some(backup.restored(&cameras)))
}

/// Takes it back. Errors with `NotFound` where nothing waits.
pub fn take_back(data_dir: &Path) -> Result<()> {
    if waiting(data_dir).symlink_metadata().is_err() {
        return Err(Error::not_found("no backup waits to be taken"));
    }
    remove(&waiting(data_dir))
        .context(ErrorKind::Unavailable, || "the backup cannot be taken back: is the disk read-only?")
}

fn read(data_dir: &Path) -> Result<Option<Waiting>> {
    let path = waiting(data_dir);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let bytes = read_small(&path, MAX_BYTES, Links::Refuse)?;
    let waits = serde_json::from_slice(&bytes).context(ErrorKind::Corrupt, || "what was to be restored is damaged")?;
    Ok(Some(waits))
}

/// A backup that cannot be put in place keeps no box from starting: that is said, and it is let go. Whoever wants it has the file.
fn give_up(data_dir: &Path, e: &Error) {
    tracing::error!(error = %e, "a backup could not be restored: the box starts with what it has; restore the backup again");
    if let Err(e) = remove(&waiting(data_dir)) {
        tracing::error!(error = %e, "what was to be restored cannot be removed: the next start tries it again");
    }
}

/// At a start, before anything is opened: puts files in place, the config last. Whether there was something to be restored, and the config is
/// another.
pub fn put_files(data_dir: &Path, config: &Path, clock: &SharedClock) -> bool {
    try_put_files(data_dir, config, clock).unwrap_or_else(|e| {
        give_up(data_dir, &e);
        false
    })
}

fn try_put_files(data_dir: &Path, config: &Path, clock: &SharedClock) -> Result<bool> {
    let Some(Waiting { backup, config: text }) = read(data_dir)? else { return Ok(false) };
    tracing::warn!(of = backup.name, "settings and people of a backup are put in place");
    let failed = || "a backup cannot be put in place: is the disk full or read-only?";
    let write =
        |path: &Path, text: &str| put(path, text.as_bytes(), 0o600, None).context(ErrorKind::Unavailable, failed);
    let (secrets, tls) = (secrets(data_dir), data_dir.join(IDENTITY_FOLDER));
    for folder in [&secrets, &tls] {
        make_private_dir(folder).context(ErrorKind::Unavailable, failed)?;
    }
    for (name, text) in backup.files() {
        write(&secrets.join(name), text)?;
    }
    // The program may be another by now.
    Config::parse(&text, environment())?;
    for (name, text) in backup.identity() {
        write(&tls.join(name), text)?;
    }
    // The authority signs another.
    for name in ["leaf.pem", "leaf.key"] {
        remove(&tls.join(name)).context(ErrorKind::Unavailable, failed)?;
    }
    let files = Files::new(config.to_owned(), data_dir, clock.clone());
    files.keep_the_one_before(&files.text());
    let config = std::fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    replace(&config, text.as_bytes(), 0o600).context(ErrorKind::Unavailable, failed)?;
    files.keep(BY_BACKUP, &text);
    Ok(true)
}

/// Once the database is open: puts people in place, and is through.
pub fn put_people(data_dir: &Path, accounts: &Accounts) {
    if let Err(e) = try_put_people(data_dir, accounts) {
        give_up(data_dir, &e);
    }
}

fn try_put_people(data_dir: &Path, accounts: &Accounts) -> Result<()> {
    let Some(Waiting { backup, .. }) = read(data_dir)? else { return Ok(()) };
    accounts.from_backup(&backup.people)?;
    remove(&waiting(data_dir)).context(ErrorKind::Unavailable, || "what was restored cannot be removed")?;
    tracing::warn!(of = backup.name, "settings and people of a backup are in place");
    Ok(())
}
