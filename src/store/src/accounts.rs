//! What the access of people to the box shares. Accounts are in `users`, devices in `devices`, and what is asked of both in `access`.

use crate::config::SharedLimits;
use crate::db::Db;
use perch_base::clock::SharedClock;
use perch_base::repeated::Repeated;
use perch_base::time::Timestamp;
use perch_domain::access::Principal;
use perch_domain::ages::Ages;
use std::sync::{Arc, Mutex};

/// Who may come in: accounts, devices, codes and stream passwords. Clones share it; every call may block for the time of a disk access.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) inner: Arc<Inner>,
    /// On whose behalf changes are made; `None` is the box itself, or a command at it.
    pub(crate) by: Option<Principal>,
}

pub(crate) struct Inner {
    pub(crate) limits: SharedLimits,
    pub(crate) clock: SharedClock,
    pub(crate) db: Arc<Db>,
    /// One password is hashed at a time: each takes 19 MiB.
    pub(crate) hashing: Mutex<()>,
    /// How times that decide who may come in follow the clock.
    pub(crate) ages: Mutex<Ages>,
    /// Why they do not follow the clock yet: noted at each request.
    pub(crate) not_following: Repeated,
}

impl Accounts {
    pub(crate) fn new(limits: &SharedLimits, clock: &SharedClock, db: &Arc<Db>, ages: Ages) -> Self {
        let (limits, clock, db) = (limits.clone(), clock.clone(), db.clone());
        let (hashing, ages, not_following) = (Mutex::new(()), Mutex::new(ages), Repeated::default());
        Self { inner: Arc::new(Inner { limits, clock, db, hashing, ages, not_following }), by: None }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.utc()
    }
}
