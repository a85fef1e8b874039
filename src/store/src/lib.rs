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
mod adopt;
mod ages;
mod archive;
mod db;
mod disk;
mod events;
mod export;
mod fault;
mod files;
mod fragments;
mod gaps;
mod grants;
mod meta;
mod mp4;
#[cfg(test)]
mod plans;
mod reconcile;
mod reserve;
mod reset;
mod retention;
mod rows;
mod schema;
mod segments;
mod tail;
#[cfg(test)]
mod testing;
mod trial;
mod writer;

pub use events::NewEvent;
pub use fault::write_fault;
pub use mp4::h264::TrackFormat;
pub use mp4::write::GopPackets;
pub use reconcile::OpenReport;
pub use retention::RetentionReport;
pub use writer::SegmentWriter;

use crate::db::{Db, lock};
use crate::fault::io_error;
use crate::files::Root;
use crate::reconcile::Progress;
use crate::rows::Rows;
use crate::segments::Live;
use perch_base::clock::SharedClock;
use perch_base::ids::SegmentId;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
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

/// The box's memory. Clones share it; every call may block for the time of a disk access.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    clock: SharedClock,
    db: Db,
    recordings: Root,
    thumbnails: Root,
    quarantine: Root,
    /// Files being written, and those whose rows have yet to follow.
    live: Mutex<HashMap<SegmentId, Live>>,
    /// One password is hashed at a time: each takes 19 MiB.
    hashing: Mutex<()>,
    /// Changes of recordings' rows that the database has yet to take.
    rows: Rows,
    /// Recordings are deleted by one at a time: what is marked but not gone is then nobody's.
    erasing: Mutex<()>,
    /// The file of [`Store::probe_write`] is one.
    probing: Mutex<()>,
    /// How far index and files were brought together.
    progress: Mutex<Progress>,
    /// Index and files are compared by one at a time.
    comparing: Mutex<()>,
    /// When old events were last looked through, microseconds since the epoch.
    forgot_at: AtomicI64,
    /// How times that decide who may come in follow the clock.
    ages: Mutex<perch_domain::ages::Ages>,
    /// Held by the daemon; a command beside it has none.
    lock: Option<FolderLock>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.inner.config.data_dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the data folder for the daemon: makes what is missing, replaces a damaged database (the old one is kept beside it)
    /// and closes what a crash left. Takes about as long however much was recorded: the rest of index and files is compared by
    /// [`Store::reconcile_step`] beside the running box; what is found is in [`Store::open_report`]. A disk that cannot be written at the moment
    /// does not keep it from opening an existing database: it is read, every write fails with `Unavailable`, and each tries (at
    /// most every few seconds) whether the disk is well again.
    ///
    /// Errors: `Conflict` when another daemon has the folder open, `Unsupported` when a newer program wrote the database,
    /// `Unavailable` when the disk cannot be used at all.
    pub fn open(config: Config, clock: SharedClock) -> Result<Self> {
        files::make_dir(&config.data_dir)?;
        let guard = only_one(&config)?;
        let (db, replaced) = Db::open_somehow(&config.data_dir, clock.utc())?;
        let store = Self::assemble(config, clock, db, Some(guard))?;
        store.report_replaced(replaced);
        store.start_comparing()?;
        store.bound_quarantine();
        store.keep_reserve();
        Ok(store)
    }

    /// Opens the same folder for a command beside the running daemon: no check, no reconciliation, no lock. What the
    /// daemon is writing is looked up in its files. Errors with `Corrupt` when the database is damaged.
    pub fn open_for_cli(config: Config, clock: SharedClock) -> Result<Self> {
        files::make_dir(&config.data_dir)?;
        let db = Db::open(&config.data_dir, false).or_else(|e| Db::open_unwritable(&config.data_dir, e))?;
        Self::assemble(config, clock, db, None)
    }

    fn assemble(config: Config, clock: SharedClock, db: Db, guard: Option<FolderLock>) -> Result<Self> {
        let folder = |name: &str| Root::open(&config.data_dir.join(name));
        let (recordings, thumbnails, quarantine) =
            (folder("recordings")?, folder("thumbnails")?, folder("quarantine")?);
        let ages = Mutex::new(ages::begin(&*clock, &db));
        let inner = Inner {
            ages,
            config,
            clock,
            db,
            recordings,
            thumbnails,
            quarantine,
            live: Mutex::default(),
            hashing: Mutex::new(()),
            rows: Rows::default(),
            erasing: Mutex::new(()),
            probing: Mutex::new(()),
            progress: Mutex::default(),
            comparing: Mutex::new(()),
            forgot_at: AtomicI64::new(i64::MIN),
            lock: guard,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether the database answers.
    pub fn ping(&self) -> Result<()> {
        self.inner.db.read("asking the database for a sign of life", |c| {
            c.prepare_cached("SELECT count(*) FROM meta")?.query_row([], |r| r.get::<_, i64>(0))?;
            Ok(())
        })
    }

    fn now(&self) -> Timestamp {
        self.inner.clock.utc()
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<SegmentId, Live>> {
        lock(&self.inner.live)
    }
}

/// The lock on a data folder, given back when it is dropped.
struct FolderLock(File);

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
