//! The recorded files with their index: what each part of the crate that touches files shares.

use crate::config::SharedLimits;
use crate::db::Db;
use crate::files::Root;
use crate::folder_lock::FolderLock;
use crate::layout::{MANIFESTS, QUARANTINE, RECORDINGS, THUMBNAILS};
use crate::live::Live;
use crate::progress::Progress;
use crate::{Config, Index, Meta};
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::ids::SegmentId;
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_domain::evidence::EvidenceKey;
use perch_domain::held::CopyReader;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// Recordings and stills: written, looked back at, kept within limits. Clones share it; every call may block for the time of a disk
/// access.
#[derive(Clone)]
pub struct Recordings {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) limits: SharedLimits,
    pub(crate) clock: SharedClock,
    pub(crate) db: Arc<Db>,
    pub(crate) index: Index,
    pub(crate) meta: Meta,
    pub(crate) recordings: Root,
    pub(crate) thumbnails: Root,
    pub(crate) quarantine: Root,
    pub(crate) manifests: Root,
    /// None: nothing is signed.
    pub(crate) evidence_key: OnceLock<Arc<dyn EvidenceKey>>,
    /// None: copies are not read.
    pub(crate) copies: OnceLock<Arc<dyn CopyReader>>,
    /// Recordings are deleted by one at a time: what is marked but not gone is then nobody's.
    pub(crate) erasing: Mutex<()>,
    /// The file of [`Recordings::probe_write`] is one.
    pub(crate) probing: Mutex<()>,
    /// Index and files are compared by one at a time.
    pub(crate) comparing: Mutex<()>,
    /// Whose recordings are to go; none: not looked up yet. Held while the database is asked or told of it: whoever comes second must
    /// not put back here what the one before changed there.
    pub(crate) to_forget: Mutex<Option<Wishes>>,
    state: Mutex<State>,
    /// Held by the daemon; a command beside it has none.
    pub(crate) lock: Option<FolderLock>,
}

/// Until when what each camera recorded is to go, microseconds; none: until it is no longer configured, which is yet to come.
pub(crate) type Wishes = BTreeMap<String, Option<i64>>;

/// What changes from call to call.
#[derive(Default)]
pub(crate) struct State {
    /// Files without motion that are still to be deleted.
    pub(crate) discarded: Vec<SegmentId>,
    /// How far index and files were brought together.
    pub(crate) progress: Progress,
    /// When old events were last looked through.
    pub(crate) forgot_at: Option<Timestamp>,
}

impl Recordings {
    /// The folders of files below the data folder, made when missing.
    pub(crate) fn open(
        config: &Config,
        limits: &SharedLimits,
        clock: &SharedClock,
        db: &Arc<Db>,
        index: &Index,
        meta: &Meta,
        lock: Option<FolderLock>,
    ) -> Result<Self> {
        let folder = |name: &str| Root::open(&config.data_dir.join(name));
        let inner = Inner {
            recordings: folder(RECORDINGS)?,
            thumbnails: folder(THUMBNAILS)?,
            quarantine: folder(QUARANTINE)?,
            manifests: folder(MANIFESTS)?,
            evidence_key: OnceLock::new(),
            copies: OnceLock::new(),
            config: config.clone(),
            limits: limits.clone(),
            clock: clock.clone(),
            db: db.clone(),
            index: index.clone(),
            meta: meta.clone(),
            erasing: Mutex::new(()),
            probing: Mutex::new(()),
            comparing: Mutex::new(()),
            to_forget: Mutex::default(),
            state: Mutex::default(),
            lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Held between two statements, never while files or the database are waited for.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }

    pub(crate) fn index(&self) -> &Index {
        &self.inner.index
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, HashMap<SegmentId, Live>> {
        self.inner.index.live()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.utc()
    }
}
