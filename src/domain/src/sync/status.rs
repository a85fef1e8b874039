//! How copying is, as people are told; and the port by which the page asks for it and tries stores out.

use super::profile::{EndpointProfile, ProbeLine};
use super::target::{CopyWhat, SyncTarget};
use crate::ports::Later;
use perch_base::Result;
use perch_base::time::Timestamp;
use serde::Serialize;

/// How copying to one target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyingState {
    /// The store was not reached yet.
    Starting,
    /// Something is being copied.
    Copying,
    /// Everything that is to be copied is there.
    UpToDate,
    /// Something is to be copied and waits for its time: a schedule, a budget, or until nobody watches.
    Waiting,
    /// It failed and is tried again.
    Failing,
    /// It failed in a way that only a person can mend.
    Stopped,
}

perch_base::all_of!(CopyingState { Starting, Copying, UpToDate, Waiting, Failing, Stopped });

/// One target as people are told of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CopyTargetStatus {
    /// Names it: host, bucket and folder.
    pub name: String,
    /// Its address.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// The folder in it.
    pub prefix: String,
    /// What is copied there.
    pub what: CopyWhat,
    /// How it is.
    pub state: CopyingState,
    /// Why it fails or waits; empty where it does not.
    pub reason: String,
    /// Since when it is so.
    pub since: Timestamp,
    /// Recordings that are to be copied and are not verified there yet.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// When the oldest of them ended.
    pub oldest_waiting: Option<Timestamp>,
    /// Recordings of which a copy was verified, and that were not deleted since.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// When a copy was verified last.
    pub last_copied_at: Option<Timestamp>,
    /// Recordings that had to be deleted for want of space before they were copied.
    pub lost: u64,
    /// Sent lately, bytes a second.
    pub bytes_per_s: u64,
    /// Sent this month, bytes.
    pub month_bytes: u64,
    /// How much may be sent a month, bytes; 0: no limit.
    pub monthly_bytes: u64,
    /// What the store honours, where that was tried out.
    pub profile: Option<EndpointProfile>,
}

impl CopyTargetStatus {
    /// One of which nothing is known yet.
    pub fn new(target: &SyncTarget, now: Timestamp) -> Self {
        Self {
            name: target.name(),
            endpoint: target.endpoint.clone(),
            bucket: target.bucket.clone(),
            prefix: target.prefix.clone(),
            what: target.what,
            state: CopyingState::Starting,
            reason: String::new(),
            since: now,
            waiting: 0,
            waiting_bytes: 0,
            oldest_waiting: None,
            copied: 0,
            copied_bytes: 0,
            last_copied_at: None,
            lost: 0,
            bytes_per_s: 0,
            month_bytes: 0,
            monthly_bytes: target.monthly_bytes,
            profile: None,
        }
    }

    /// It is like this now. Returns whether that is news.
    pub fn set(&mut self, state: CopyingState, reason: &str, now: Timestamp) -> bool {
        if self.state != state {
            self.since = now;
        }
        let is_news = (self.state, self.reason.as_str()) != (state, reason);
        self.state = state;
        reason.clone_into(&mut self.reason);
        is_news
    }
}

/// All targets, in the order of the config.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CopyTargets {
    /// None: nothing is copied.
    pub targets: Vec<CopyTargetStatus>,
}

/// What was found out of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbedStore {
    /// Whether copies can be kept there.
    pub works: bool,
    /// What was found, the worst first.
    pub lines: Vec<ProbeLine>,
    /// What it honours; `None` where nothing can be copied there.
    pub profile: Option<EndpointProfile>,
}

/// Which store is tried out.
#[derive(Clone, Debug)]
pub enum StoreToTry {
    /// One of the config, by its name.
    Configured(String),
    /// Another one.
    Given(Box<SyncTarget>),
}

/// Copies off the box.
pub trait CopiesPort: Send + Sync {
    /// How copying is.
    fn targets(&self) -> Result<CopyTargets>;
    /// Tries a store out, at most some 20 small requests. Errors: `NotFound` (no such target), `RateLimited` (another is being tried).
    fn probe(&self, store: StoreToTry) -> Later<'_, Result<ProbedStore>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::target::GivenTarget;

    #[test]
    fn what_is_said_again_is_no_news() {
        let given = GivenTarget {
            endpoint: "https://s3.example.org",
            region: "auto",
            bucket: "copies",
            prefix: "",
            access_key: "id",
            secret_key: "secret",
        };
        let target = SyncTarget::to_try(&given).expect("valid");
        let mut status = CopyTargetStatus::new(&target, Timestamp(1));
        assert!(
            status.set(CopyingState::Failing, "a", Timestamp(2))
                && !status.set(CopyingState::Failing, "a", Timestamp(3))
        );
        assert!(status.set(CopyingState::Failing, "b", Timestamp(4)));
        assert_eq!(status.since, Timestamp(2));
        for (bad, key) in [
            (GivenTarget { endpoint: "x", ..given }, "endpoint"),
            (GivenTarget { bucket: "x", ..given }, "bucket"),
            (GivenTarget { secret_key: "S3CRET\nx", ..given }, "secret_key"),
            (GivenTarget { access_key: "", ..given }, "access_key"),
        ] {
            let e = SyncTarget::to_try(&bad).expect_err(key);
            assert!(e.message().contains(key) && !e.message().contains("S3CRET"), "{e}");
        }
    }
}
