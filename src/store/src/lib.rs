//! Floor 2: the only SQLite of the box and the only code that touches recording files. Accounts, devices and codes; segments,
//! events and gaps; the MP4 files themselves. No policy lives here: what to delete, who may pair, how to cut is asked of
//! `perch-domain`.
//!
//! Layout of the data folder:
//! ```text
//! perch.db                                           accounts, devices, index (mode 0600)
//! perch.lock                                         held by the running daemon
//! reserve                                            space that a start on a full disk gives up
//! recordings/<camera>/<YYYY-MM-DD>/<HHMMSS.mmm>Z.mp4 times in UTC
//! thumbnails/<camera>/<event>.jpg
//! quarantine/                                        files that could not be read
//! ```

#![forbid(unsafe_code)]

mod access;
mod accounts;
mod ages;
mod archive;
mod change;
mod db;
mod disk;
mod events;
mod export;
mod fault;
mod files;
mod fragments;
mod gaps;
mod grants;
mod index;
mod inspect;
mod meta;
mod mp4;
#[cfg(test)]
mod plans;
mod reconcile;
mod recordings;
mod repair;
mod reserve;
mod reset;
mod retention;
mod rows;
mod schema;
mod segments;
mod stills;
mod tail;
#[cfg(test)]
mod testing;
mod trial;
mod writer;

pub use accounts::Accounts;
pub use events::NewEvent;
pub use fault::write_fault;
pub use index::Index;
pub use meta::Meta;
pub use mp4::h264::TrackFormat;
pub use mp4::write::GopPackets;
pub use reconcile::OpenReport;
pub use recordings::Recordings;
pub use retention::RetentionReport;
pub use writer::SegmentWriter;

use crate::db::Db;
use crate::fault::io_error;
use perch_base::clock::SharedClock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where things are kept and within which limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of everything the box keeps; made when missing.
    pub data_dir: PathBuf,
    /// Length and life of pairing codes.
    pub pairing: PairingConfig,
    /// A session that asked nothing for so long has ended.
    pub session_idle: Duration,
    /// A session ends so long after signing in.
    pub session_max: Duration,
    /// When recordings go.
    pub retention: RetentionConfig,
}

/// Opens the box's memory and hands out its parts; each user takes the one that it needs. Clones share them.
#[derive(Clone)]
pub struct Store {
    accounts: Accounts,
    index: Index,
    recordings: Recordings,
    meta: Meta,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.recordings.inner.config.data_dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the data folder for the daemon: makes what is missing, replaces a damaged database (the old one is kept beside it)
    /// and closes what a crash left. Takes about as long however much was recorded: the rest of index and files is compared by
    /// [`Recordings::reconcile_step`] beside the running box; what is found is in [`Recordings::open_report`]. A disk that cannot be written at the moment
    /// does not keep it from opening an existing database: it is read, every write fails with `Unavailable`, and each tries (at
    /// most every few seconds) whether the disk is well again.
    ///
    /// Errors: `Conflict` when another daemon has the folder open, `Unsupported` when a newer program wrote the database,
    /// `Unavailable` when the disk cannot be used at all.
    pub fn open(config: Config, clock: SharedClock) -> Result<Self> {
        files::make_dir(&config.data_dir)?;
        let guard = only_one(&config)?;
        let (db, replaced) = Db::open_somehow(&config.data_dir, clock.utc())?;
        let store = Self::assemble(&config, &clock, db, Some(guard))?;
        store.recordings.report_replaced(replaced);
        store.recordings.start_comparing()?;
        store.recordings.bound_quarantine();
        store.recordings.keep_reserve();
        Ok(store)
    }

    /// Opens the same folder for a command beside the running daemon: no check, no reconciliation, no lock. What the
    /// daemon is writing is looked up in its files. Errors with `Corrupt` when the database is damaged.
    pub fn open_for_cli(config: Config, clock: SharedClock) -> Result<Self> {
        files::make_dir(&config.data_dir)?;
        let db = Db::open(&config.data_dir, false).or_else(|e| Db::open_unwritable(&config.data_dir, e))?;
        Self::assemble(&config, &clock, db, None)
    }

    fn assemble(config: &Config, clock: &SharedClock, db: Db, guard: Option<FolderLock>) -> Result<Self> {
        let db = Arc::new(db);
        let (index, meta) = (Index::new(&db), Meta::new(&db));
        let accounts = Accounts::new(config, clock, &db, ages::begin(&**clock, &db));
        let recordings = Recordings::open(config, clock, &db, &index, &meta, guard)?;
        Ok(Self { accounts, index, recordings, meta })
    }

    /// Who may come in.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Rows of events and gaps.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Recordings and stills.
    pub fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// Small values under keys.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }
}

/// The lock on a data folder, given back when it is dropped.
pub(crate) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing alone would not do: a process that is just being started holds a copy of the file until it runs.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

/// Keeps a second daemon out: it would seal the first one's open files. On a disk that cannot be written, the lock file is
/// locked as it is, or the folder in its place.
fn only_one(config: &Config) -> Result<FolderLock> {
    let path = config.data_dir.join("perch.lock");
    let what = || format!("{} cannot be made", path.display());
    let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = match made {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull) => {
            tracing::warn!(error = %e, "the data folder cannot be written");
            File::open(&path).or_else(|_| File::open(&config.data_dir)).map_err(|_| io_error(what, e))?
        }
        Err(e) => return Err(io_error(what, e)),
    };
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(FolderLock(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::new(
            ErrorKind::Conflict,
            format!("another perch is running with the data folder {}", config.data_dir.display()),
        )),
        Err(e) => Err(io_error(what, e.into())),
    }
}

/// An enum's one-word text as serde names it; for columns.
fn word<T: serde::Serialize>(value: &T) -> Result<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        _ => Err(Error::internal("a value has no name to be stored under")),
    }
}

/// The enum that [`word`] named so.
fn from_word<T: serde::de::DeserializeOwned>(text: String) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text))
        .map_err(|e| Error::new(ErrorKind::Corrupt, "the database holds a word that is not known").with_source(e))
}
