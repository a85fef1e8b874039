//! How copying is, as people are told; and the port by which the page asks for it and tries stores out.

pub use super::brief::{CopiesBrief, CopyingState};
use super::profile::{EndpointProfile, ProbeLine};
use super::target::{CopyWhat, SyncTarget};
use crate::evidence::PublicKey;
use crate::ports::Later;
use perch_base::Result;
use perch_base::time::{DAY, Timestamp};
use serde::Serialize;
use std::time::Duration;

/// For so long it is said that something was lost.
const LOST_IS_SAID: Duration = Duration::from_secs(7 * 24 * 3600);

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
    /// When that was so last.
    pub lost_at: Option<Timestamp>,
    /// What somebody must see to; empty where nothing is.
    pub alarm: String,
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
            lost_at: None,
            alarm: String::new(),
            bytes_per_s: 0,
            month_bytes: 0,
            monthly_bytes: target.monthly_bytes,
            profile: None,
        }
    }

    /// What somebody must see to, without its full stop: that it stopped, that nothing was copied for a day, that something was lost.
    pub fn alarm_at(&self, now: Timestamp) -> Option<String> {
        let because = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        if self.state == CopyingState::Stopped {
            return Some(format!("nothing is copied to {}{because}", self.name));
        }
        let is_old = |then: Timestamp, age: Duration| now.micros_since(then) > age.as_micros() as i64;
        let waits_long = self.oldest_waiting.is_some_and(|ended| is_old(ended, DAY));
        if waits_long && self.last_copied_at.is_none_or(|last| is_old(last, DAY)) {
            return Some(format!("nothing was copied to {} for a day{because}", self.name));
        }
        let lost = self.lost_at.filter(|at| !is_old(*at, LOST_IS_SAID));
        lost.map(|_| {
            let recordings = if self.lost == 1 { "1 recording".into() } else { format!("{} recordings", self.lost) };
            format!(
                "{recordings} had to be deleted before being copied, because the disk was full: let copies go faster, or record less"
            )
        })
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
    /// The key by which the box signs what it recorded, 64 hex digits: `perch verify --key` is given it; `None` where it cannot be read.
    pub evidence_key: Option<PublicKey>,
}

impl CopyTargets {
    /// The same in short.
    pub fn brief(&self) -> CopiesBrief {
        let count = self.targets.len();
        let alarm = self.targets.iter().map(|target| target.alarm.clone()).find(|alarm| !alarm.is_empty());
        let is = |state| self.targets.iter().any(|target| target.state == state);
        // The worst first.
        let worst = [
            CopyingState::Stopped,
            CopyingState::Failing,
            CopyingState::Waiting,
            CopyingState::Starting,
            CopyingState::Copying,
            CopyingState::UpToDate,
        ];
        let state = worst.into_iter().find(|state| is(*state));
        CopiesBrief { stores: count, state, alarm: alarm.unwrap_or_default() }
    }

    /// Why what waits does: the first target's reason that has one.
    pub fn reason(&self) -> String {
        let reasons = self.targets.iter().filter(|target| !target.reason.is_empty());
        reasons.map(|target| format!("{}: {}", target.name, target.reason)).next().unwrap_or_default()
    }
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

    const GIVEN: GivenTarget<'_> = GivenTarget {
        endpoint: "https://s3.example.org",
        region: "auto",
        bucket: "copies",
        prefix: "",
        access_key: "id",
        secret_key: "secret",
    };

    #[test]
    fn what_stops_what_is_old_and_what_was_lost_is_an_alarm() {
        let (day, now) = (86_400_000_000, Timestamp(100 * 86_400_000_000));
        let ago = |days: i64| Some(Timestamp(now.0 - days * day - 1));
        let status = CopyTargetStatus::new(&SyncTarget::to_try(&GIVEN).expect("valid"), now);
        let alarm = |change: &dyn Fn(&mut CopyTargetStatus)| {
            let mut changed = status.clone();
            change(&mut changed);
            changed.alarm_at(now).unwrap_or_default()
        };
        assert_eq!(alarm(&|_| {}), "");
        assert_eq!(alarm(&|s| s.oldest_waiting = ago(0)), "");
        assert_eq!(alarm(&|s| (s.oldest_waiting, s.last_copied_at) = (ago(2), ago(0))), "");
        let stuck = alarm(&|s| (s.oldest_waiting, s.last_copied_at, s.reason) = (ago(1), ago(3), "no way".into()));
        assert_eq!(stuck, "nothing was copied to s3.example.org/copies for a day: no way");
        assert!(alarm(&|s| s.oldest_waiting = ago(1)).contains("for a day"));
        assert!(alarm(&|s| s.state = CopyingState::Stopped).starts_with("nothing is copied to"));
        assert!(alarm(&|s| (s.lost, s.lost_at) = (1, ago(6))).starts_with("1 recording had"));
        assert_eq!(alarm(&|s| (s.lost, s.lost_at) = (1, ago(7))), "");
    }

    #[test]
    fn what_is_said_again_is_no_news() {
        let given = GIVEN;
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
