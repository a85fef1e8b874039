//! Looks at some of the copies again, once a day: whether they are there, and of one whether it is what it was. What is not is copied again, or
//! written down as lost.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::tasks::copies::CopyMeans;
use perch_base::backoff::{self, Backoff};
use perch_base::secret::{RunningSha256, random_below};
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_cloud::S3Store;
use perch_domain::ports::ObjectStore;
use perch_domain::sync::fault::StoreFaultKind;
use perch_domain::sync::looking::{
    CopyVerdict, FIRST_LOOK_AT_COPIES, FoundCopy, LOOK_AT_COPIES_EVERY, LOOKED_AT_COPIES, VerifiedCopy, verdict,
};
use perch_domain::sync::object::{Sha256, StoreResult};
use perch_domain::sync::target::SyncTarget;
use perch_domain::task::TaskId;
use std::time::Duration;

/// Between attempts where the store does not answer.
const PAUSES: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(6 * 3600));
/// Fetched at a time.
const RANGE_BYTES: u64 = 4 << 20;

struct LookTask {
    means: CopyMeans,
    target: SyncTarget,
    store: S3Store,
    has_looked: bool,
}

/// Keeps looking at copies of the target in `place` of the config's list. Errors with `Invalid` where the store cannot be addressed. Within a
/// runtime.
pub fn spawn(supervisor: &Supervisor, means: &CopyMeans, place: usize) -> Result<()> {
    let Some(target) = means.targets.get(place).cloned() else { return Ok(()) };
    let task = LookTask { store: S3Store::open(&target)?, means: means.clone(), target, has_looked: false };
    supervisor.spawn(TaskId::LookAtCopies(place), Backoff::new(PAUSES.0, PAUSES.1), task)
}

impl Task for LookTask {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let pause = if self.has_looked { LOOK_AT_COPIES_EVERY } else { FIRST_LOOK_AT_COPIES };
            tokio::select! {
                () = self.means.clock.sleep(pause) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
            self.has_looked = true;
            tokio::select! {
                looked = self.look() => looked?,
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

impl LookTask {
    /// Errors where the store cannot be asked, or the database.
    async fn look(&self) -> Result<()> {
        let (recordings, target) = (self.means.recordings.clone(), self.target.clone());
        let places: Vec<_> = (0..LOOKED_AT_COPIES).map(|_| backoff::unit()).collect();
        let chosen = blocking("choosing copies", move || recordings.some_copies(&target, &places)).await?;
        let fetched = random_below(chosen.len().max(1) as u64) as usize;
        for (n, one) in chosen.iter().enumerate() {
            let found = match self.find(one, n == fetched).await {
                Ok(found) => found,
                // A key that may not look or read: nothing can be said then.
                Err(fault) if fault.kind == StoreFaultKind::Refused => return Ok(()),
                Err(fault) => {
                    return Err(fault.into_error().at(format!("copies at {} cannot be looked at", self.target.name())));
                }
            };
            self.follow(one, found).await?;
        }
        Ok(())
    }

    async fn find(&self, one: &VerifiedCopy, is_fetched: bool) -> StoreResult<FoundCopy> {
        let facts = match self.store.facts(&one.key).await {
            Err(fault) if fault.kind == StoreFaultKind::Missing => return Ok(FoundCopy::Nothing),
            facts => facts?,
        };
        let found = FoundCopy::by_facts(&facts, one.sha256);
        if found != FoundCopy::Right || !is_fetched {
            return Ok(found);
        }
        let (mut sum, mut at) = (RunningSha256::default(), 0);
        while at < facts.size_bytes {
            let piece = self.store.read(&one.key, at, (at + RANGE_BYTES).min(facts.size_bytes)).await?;
            if piece.is_empty() {
                break;
            }
            sum.update(&piece);
            at += piece.len() as u64;
        }
        Ok(FoundCopy::by_content(Sha256(sum.finish()), one.sha256))
    }

    async fn follow(&self, one: &VerifiedCopy, found: FoundCopy) -> Result<()> {
        let (store, key) = (self.target.name(), one.key.as_str());
        let why = match (verdict(found, one.is_here), found) {
            (CopyVerdict::Fine, _) => return Ok(()),
            (_, FoundCopy::Nothing) => "somebody deleted its copy at the store",
            (..) => "its copy at the store is damaged",
        };
        if verdict(found, one.is_here) == (CopyVerdict::Again { remove: true })
            && let Err(fault) = self.store.delete(key).await
        {
            let error = fault.into_error();
            return Err(error.at(format!("a copy at {store} is damaged, and cannot be replaced ({key})")));
        }
        let (recordings, target, id) = (self.means.recordings.clone(), self.target.clone(), one.id);
        let noted = blocking("noting a copy", move || recordings.copy_is_gone(&target, id, why)).await?;
        match noted {
            true => tracing::error!(store, key, segment = id.0, "a recording is lost: it is not on the box, and {why}"),
            false => tracing::warn!(store, key, segment = id.0, "a copy is made again: {why}"),
        }
        Ok(())
    }
}
