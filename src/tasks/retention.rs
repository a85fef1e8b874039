//! Retention: keeps recordings within their limits. Wakes when a file is complete and once a minute for what only time changes.

use crate::kernel_clock;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::repeated::Repeated;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::task::TaskId;
use perch_store::{Accounts, Recordings};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The longest time between two looks.
const EVERY: Duration = Duration::from_secs(60);

struct Retention {
    recordings: Recordings,
    accounts: Accounts,
    clock: SharedClock,
    wake: Arc<Notify>,
    /// Why the clock's state could not be stored.
    failures: Arc<Repeated>,
}

/// Keeps the store within its limits.
pub fn spawn(
    supervisor: &Supervisor,
    recordings: &Recordings,
    accounts: &Accounts,
    clock: &SharedClock,
    wake: &Arc<Notify>,
) -> Result<()> {
    let (recordings, accounts) = (recordings.clone(), accounts.clone());
    let (clock, wake, failures) = (clock.clone(), wake.clone(), Arc::default());
    let task = Retention { recordings, accounts, clock, wake, failures };
    supervisor.spawn(TaskId::Retention, Backoff::new(Duration::from_secs(5), Duration::from_secs(120)), task)
}

impl Task for Retention {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let (recordings, accounts) = (self.recordings.clone(), self.accounts.clone());
            let (failures, now) = (self.failures.clone(), self.clock.mono());
            let look = move || {
                let right = kernel_clock::is_synchronised();
                match accounts.clock_is(right) {
                    Err(e) if failures.is_news(&e, now) => {
                        tracing::warn!(error = %e, "whether the clock is right could not be stored");
                    }
                    Err(_) => {}
                    Ok(()) => {
                        if let Some(repeats) = failures.ended() {
                            tracing::info!(repeats, "whether the clock is right is stored again");
                        }
                    }
                }
                recordings.enforce_retention(right)
            };
            let report = blocking("retention", look).await?;
            if report.deleted > 0 {
                tracing::info!(deleted = report.deleted, freed_bytes = report.freed_bytes, "old recordings deleted");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = self.clock.sleep(EVERY) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}
