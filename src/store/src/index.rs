//! The map of what was recorded: rows of recordings, events and gaps, and what is known of files whose rows have yet to follow.

use crate::db::Db;
use crate::live::Live;
use crate::row_queue::Rows;
use perch_base::ids::SegmentId;
use perch_base::sync::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Rows of recordings, events and gaps. Clones share it; every call may block for the time of a disk access.
#[derive(Clone)]
pub struct Index {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Arc<Db>,
    /// Files being written, and those whose rows have yet to follow.
    live: Mutex<HashMap<SegmentId, Live>>,
    /// Changes of recordings' rows that the database has yet to take.
    rows: Rows,
}

impl Index {
    pub(crate) fn new(db: &Arc<Db>) -> Self {
        Self { inner: Arc::new(Inner { db: db.clone(), live: Mutex::default(), rows: Rows::default() }) }
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, HashMap<SegmentId, Live>> {
        lock(&self.inner.live)
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.inner.rows
    }
}
