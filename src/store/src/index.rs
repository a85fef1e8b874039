//! The map of what was recorded: rows of recordings, events and gaps, and what is known of files whose rows have yet to follow.

use crate::db::Db;
use crate::live::Live;
use crate::row_queue::Rows;
use perch_base::ids::SegmentId;
use perch_base::repeated::Repeated;
use perch_base::sync::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// Rows of recordings, events and gaps. Clones share it; every call may block for the time of a disk access.
#[derive(Clone)]
pub struct Index {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Arc<Db>,
    /// Files being written, and those whose rows have yet to follow. A lock of its own beside that of `rows`: a writer takes it for
    /// each GOP, and whoever asks what was recorded for a copy of what they hold; neither is to wait for a batch of changes to be
    /// copied. A change leaves `rows` first and `live` then: what is asked of memory first and of the database then is found twice,
    /// never missed.
    live: Mutex<HashMap<SegmentId, Live>>,
    /// Who is told what changes of files that are being written, and of stills: whoever copies them while they are.
    told_of_running: OnceLock<Arc<dyn Fn() + Send + Sync>>,
    /// Changes of recordings' rows that the database has yet to take.
    rows: Rows,
    pub(crate) failures: Failures,
}

/// What goes on failing while a disk or the database does, and is logged once.
#[derive(Default)]
pub(crate) struct Failures {
    /// Rows could not be written.
    pub(crate) rows: Repeated,
    /// Recordings went before they were copied.
    pub(crate) losing: Repeated,
    /// Recordings could not be deleted.
    pub(crate) deleting: Repeated,
    /// The oldest recordings could not be taken in, and others went for them.
    pub(crate) taking_in: Repeated,
    /// The system knows nothing of the disk for recordings.
    pub(crate) space: Repeated,
}

impl Index {
    pub(crate) fn new(db: &Arc<Db>) -> Self {
        let (db, live, rows) = (db.clone(), Mutex::default(), Rows::default());
        let told_of_running = OnceLock::new();
        Self { inner: Arc::new(Inner { db, live, told_of_running, rows, failures: Failures::default() }) }
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, HashMap<SegmentId, Live>> {
        lock(&self.inner.live)
    }

    /// Of a file that is being written, or of a still, something is new.
    pub(crate) fn running_changed(&self) {
        if let Some(told) = self.inner.told_of_running.get() {
            told();
        }
    }

    /// Whoever came first is told.
    pub(crate) fn tell_of_running(&self, told: Arc<dyn Fn() + Send + Sync>) {
        let _ = self.inner.told_of_running.set(told);
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.inner.rows
    }
}
