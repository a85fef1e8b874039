//! The resets that a file on the card asks for. The file is marked before and removed after, so that a power cut in the middle
//! ends with the whole reset, and a card that cannot be written ends with none at each start.

use super::files::Owner;
use super::{Log, Places, files};
use perch_base::files::{Links, read_small};
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::exchange;
use perch_store::layout::{DATABASE, FOLDERS, has_database};
use std::fs;
use std::path::{Path, PathBuf};

/// What is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Accounts, devices, sessions, codes, stream passwords.
    Accounts,
    /// All of the box: recordings, database, keys, config, network.
    Everything,
}

/// In the data folder while recordings are still to be erased.
const ERASE: &str = "erase-recordings";

impl Reset {
    /// The file's name, in lower case.
    fn name(self) -> &'static str {
        match self {
            Self::Accounts => exchange::RESET_ACCOUNTS.name,
            Self::Everything => exchange::RESET_EVERYTHING.name,
        }
    }
}

/// Resets, if the card asks for it.
pub fn run_if_asked(reset: Reset, places: &Places, log: &mut Log) {
    let name = reset.name();
    let running = format!("{name}.running");
    let asked = [name.to_owned(), format!("{name}.txt"), running.clone()];
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    let Some(path) = files::find(&places.boot_dir, &asked) else { return };
    let marked = match mark(&path, &places.boot_dir.join(&running)) {
        Ok(marked) => marked,
        Err(e) => {
            log.fault(&e);
            log.say(format!("Nothing was reset: {name} would ask for it again at every start."));
            return;
        }
    };
    let (done, sentence) = match reset {
        Reset::Accounts => {
            (accounts(places), "Accounts, devices and passwords were reset: the box waits for a new owner.")
        }
        Reset::Everything => (everything(places), "Everything was reset: recordings, accounts, keys, settings."),
    };
    match done {
        Ok(()) => log.say(sentence),
        Err(e) => {
            log.fault(&e);
            log.say("The reset is tried again at the next start.");
            return;
        }
    }
    if let Err(e) = files::remove(&marked) {
        log.fault(&e);
    }
}

/// Renames the file, which shows that the card can be written, and makes that last.
fn mark(path: &Path, running: &Path) -> Result<PathBuf> {
    let message = || format!("{} cannot be renamed", path.display());
    if path != running {
        fs::rename(path, running).context(ErrorKind::Io, message)?;
    }
    if let Some(dir) = running.parent() {
        fs::File::open(dir).and_then(|d| d.sync_all()).context(ErrorKind::Io, message)?;
    }
    Ok(running.to_owned())
}

fn accounts(places: &Places) -> Result<()> {
    let dir = places.data_dir();
    if !has_database(&dir) {
        return Ok(());
    }
    match places.open_store() {
        Ok(store) => store.accounts().reset_access(),
        // A damaged one is made again at the next start, from the recordings; accounts are not in them.
        Err(e) if e.kind() == ErrorKind::Corrupt => remove_database(&dir),
        Err(e) => Err(e),
    }
}

fn everything(places: &Places) -> Result<()> {
    // The data folder lies in the first one.
    // Whoever has the box next must not find the recordings on a disk that is away today: `recordings` empties it then.
    if let Ok(used) = read_small(&exchange::DISK_IN_USE.below(&places.root), 256, Links::Refuse) {
        let path = exchange::DISKS_TO_ERASE.below(&places.root);
        let mut disks = read_small(&path, 4096, Links::Refuse).unwrap_or_default();
        disks.extend_from_slice(&used);
        files::put(&path, &disks, 0o644, &Owner::default())?;
    }
    files::empty(&places.perch())?;
    files::empty(&places.root.join(exchange::ETC.trim_start_matches('/')))?;
    files::empty(&exchange::SPOOL.below(&places.root))?;
    // A disk for recordings is mounted later; the box itself ends what was started here.
    files::put(&places.data_dir().join(ERASE), b"", 0o600, &Owner::default())
}

/// Erases what a reset of everything could not reach, before anything of the data folder is opened.
pub fn finish(data_dir: &Path) -> Result<()> {
    let marker = data_dir.join(ERASE);
    if fs::symlink_metadata(&marker).is_err() {
        return Ok(());
    }
    tracing::warn!("everything is reset: recordings are erased");
    for name in FOLDERS {
        files::empty(&data_dir.join(name))?;
    }
    files::remove(&marker)
}

/// The database with what belongs to it, and damaged ones that were set aside.
fn remove_database(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(DATABASE) {
            files::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
