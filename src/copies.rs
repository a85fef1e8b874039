//! Copies off the box: how they are, as the tasks that copy say it and the page asks; and stores that are tried out.

use crate::current::Current;
use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_cloud::{S3Store, probe};
use perch_domain::evidence::PublicKey;
use perch_domain::ports::Later;
use perch_domain::sync::status::{
    CopiesBrief, CopiesPort, CopyTargetStatus, CopyTargets, CopyingState, ProbedStore, StoreToTry,
};
use perch_domain::sync::target::SyncTarget;
use perch_store::CopyCounts;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

/// What is copied off the box. Clones share it.
#[derive(Clone)]
pub struct Copies {
    settings: Current,
    clock: SharedClock,
    /// By the targets' names; of targets that are no more, too, until the next change.
    statuses: Arc<Mutex<Vec<CopyTargetStatus>>>,
    /// When how much had been sent to each, as it was counted last.
    rates: Arc<Mutex<BTreeMap<String, (MonoTime, u64)>>>,
    /// Stores are tried out one at a time.
    trying: Arc<tokio::sync::Mutex<()>>,
    evidence_key: Arc<OnceLock<PublicKey>>,
}

impl Copies {
    /// Nothing was copied yet.
    pub fn new(settings: Current, clock: SharedClock) -> Self {
        Self {
            settings,
            clock,
            statuses: Arc::default(),
            rates: Arc::default(),
            trying: Arc::default(),
            evidence_key: Arc::default(),
        }
    }

    /// Copying to `target` is like this now. Returns whether that is news.
    pub fn set(&self, target: &SyncTarget, state: CopyingState, reason: &str) -> bool {
        let now = self.clock.utc();
        self.change(target, |status| status.set(state, reason, now))
    }

    /// Changes what is said of a target.
    pub fn change<T>(&self, target: &SyncTarget, change: impl FnOnce(&mut CopyTargetStatus) -> T) -> T {
        let mut statuses = lock(&self.statuses);
        let name = target.name();
        let at = statuses.iter().position(|status| status.name == name).unwrap_or_else(|| {
            statuses.push(CopyTargetStatus::new(target, self.clock.utc()));
            statuses.len() - 1
        });
        change(&mut statuses[at])
    }

    /// Takes what was counted of a target.
    pub fn counted(&self, target: &SyncTarget, counts: &CopyCounts, sent_bytes: u64) {
        let now = self.clock.mono();
        let rate = {
            let mut rates = lock(&self.rates);
            let before = rates.insert(target.name(), (now, sent_bytes));
            before.map_or(0, |(at, before)| {
                let took_s = now.since(at).as_secs_f64();
                if took_s > 0.0 { (sent_bytes.saturating_sub(before) as f64 / took_s) as u64 } else { 0 }
            })
        };
        self.change(target, |status| {
            let CopyCounts {
                waiting,
                waiting_bytes,
                oldest_waiting,
                copied,
                copied_bytes,
                last_copied_at,
                lost,
                lost_at,
            } = *counts;
            (status.waiting, status.waiting_bytes, status.oldest_waiting) = (waiting, waiting_bytes, oldest_waiting);
            (status.copied, status.copied_bytes, status.last_copied_at) = (copied, copied_bytes, last_copied_at);
            (status.lost, status.lost_at, status.bytes_per_s) = (lost, lost_at, rate);
        });
    }

    fn store_to_try(&self, store: StoreToTry) -> Result<SyncTarget> {
        match store {
            StoreToTry::Given(target) => Ok(*target),
            StoreToTry::Configured(name) => {
                let config = self.settings.config();
                let found = config.sync.iter().find(|target| target.name() == name).cloned();
                found.ok_or_else(|| Error::not_found("the settings have no store of that name"))
            }
        }
    }

    async fn try_out(&self, store: StoreToTry) -> Result<ProbedStore> {
        let busy = |_| Error::new(ErrorKind::RateLimited, "another store is being tried out: wait a moment");
        let _one_at_a_time = self.trying.try_lock().map_err(busy)?;
        let target = self.store_to_try(store)?;
        let tried = probe(&S3Store::open(&target)?, &target.prefix).await;
        if let Some(fault) = tried.obstacle() {
            tracing::info!(
                store = target.name(),
                inside = fault.inside,
                "a store that was tried out: {}",
                fault.message()
            );
        }
        let profile = tried.profile();
        Ok(ProbedStore { works: profile.is_some(), lines: tried.lines(), profile })
    }
}

impl Copies {
    /// How copying is, in short.
    pub fn brief(&self) -> CopiesBrief {
        self.all().brief()
    }

    fn all(&self) -> CopyTargets {
        let (config, now) = (self.settings.config(), self.clock.utc());
        let told = |target: &SyncTarget| {
            // What the config says of it may have changed without its name.
            self.change(target, |status| {
                (status.what, status.monthly_bytes) = (target.what, target.monthly_bytes);
                status.alarm = status.alarm_at(now).unwrap_or_default();
                status.clone()
            })
        };
        CopyTargets { targets: config.sync.iter().map(told).collect(), evidence_key: self.evidence_key.get().copied() }
    }

    /// The key by which others check what the box signed; from now on people are told it.
    pub fn signs_by(&self, key: PublicKey) {
        // It is the same as long as the box runs.
        let _ = self.evidence_key.set(key);
    }
}

impl CopiesPort for Copies {
    fn targets(&self) -> Result<CopyTargets> {
        Ok(self.all())
    }

    fn probe(&self, store: StoreToTry) -> Later<'_, Result<ProbedStore>> {
        Box::pin(self.try_out(store))
    }
}
