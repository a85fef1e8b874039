//! Floor 2: the only SQLite of the box and the only code that touches recording files. Accounts, devices and codes; segments,
//! events and gaps; the MP4 files themselves. No policy lives here: what to delete, who may pair, how to cut, what becomes of a row
//! and a file that differ, how much an answer holds is asked of `perch-domain`. What lies where is in `layout`.

#![forbid(unsafe_code)]

mod access;
mod accounts;
mod ages;
mod alive;
mod archive;
mod change;
mod comparing;
mod config;
mod copied;
mod copies;
mod copy_looks;
mod db;
mod devices;
mod disk;
mod erase;
mod event_rows;
mod events;
mod export;
mod fault;
mod files;
mod folder_lock;
mod forget;
mod fragments;
mod gap_rows;
mod gaps;
mod grants;
mod index;
mod inspect;
pub mod layout;
mod live;
mod manifests;
mod medium;
mod meta;
mod meta_rows;
mod mp4;
mod pairing;
mod people_backup;
#[cfg(test)]
mod plans;
mod progress;
mod read_back;
mod reading;
mod reconcile;
mod recordings;
mod repair;
mod replay;
mod reserve;
mod reset;
mod retention;
mod row_queue;
mod rows;
mod schema;
mod segment_rows;
mod segments;
mod stills;
mod tail;
#[cfg(test)]
mod testing;
mod trial;
mod users;
mod views;
mod waiting;
mod words;
mod writer;

pub use accounts::Accounts;
pub use config::{Config, SharedLimits};
pub use copies::CopyCounts;
pub use erase::RetentionReport;
pub use events::NewEvent;
pub use fault::write_fault;
pub use forget::ForgetStep;
pub use index::Index;
pub use manifests::{KeptManifest, content_hash};
pub use meta::Meta;
pub use mp4::format::TrackFormat;
pub use mp4::live::LiveFragments;
pub use mp4::write::FragmentPackets;
pub use people_backup::PeopleBackup;
pub use progress::OpenReport;
pub use recordings::Recordings;
pub use writer::SegmentWriter;

use crate::db::Db;
use crate::folder_lock::FolderLock;
use perch_base::Result;
use perch_base::clock::SharedClock;
use std::sync::Arc;

/// Opens the box's memory and hands out its parts; each user takes the one that it needs. Clones share them.
#[derive(Clone)]
pub struct Store {
    accounts: Accounts,
    index: Index,
    recordings: Recordings,
    meta: Meta,
    limits: SharedLimits,
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
        let guard = FolderLock::take(&config.data_dir)?;
        let (db, replaced) = Db::open_somehow(&config.data_dir, &clock)?;
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
        let dir = &config.data_dir;
        let db = Db::open(dir, &clock, false).or_else(|e| Db::open_unwritable(dir, &clock, e))?;
        Self::assemble(&config, &clock, db, None)
    }

    fn assemble(config: &Config, clock: &SharedClock, db: Db, guard: Option<FolderLock>) -> Result<Self> {
        let db = Arc::new(db);
        let (index, meta) = (Index::new(&db), Meta::new(&db));
        let limits = SharedLimits::of(config);
        let accounts = Accounts::new(&limits, clock, &db, ages::begin(&**clock, &db));
        let recordings = Recordings::open(config, &limits, clock, &db, &index, &meta, guard)?;
        Ok(Self { accounts, index, recordings, meta, limits })
    }

    /// What may change while it is open.
    pub fn limits(&self) -> &SharedLimits {
        &self.limits
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
