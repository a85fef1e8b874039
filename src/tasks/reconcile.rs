//! Brings index and recordings together after a start, beside everything else: a lost index is made again while the box records.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::task::TaskId;
use perch_store::Recordings;
use std::time::Duration;

/// The longest rest between two steps.
const REST: Duration = Duration::from_secs(2);

struct Reconcile {
    recordings: Recordings,
    clock: SharedClock,
}

/// Compares step by step until all is done.
pub fn spawn(supervisor: &Supervisor, recordings: &Recordings, clock: &SharedClock) -> Result<()> {
    let task = Reconcile { recordings: recordings.clone(), clock: clock.clone() };
    supervisor.spawn(TaskId::Index, Backoff::new(Duration::from_secs(5), Duration::from_secs(120)), task)
}

impl Task for Reconcile {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let began = self.clock.mono();
            let recordings = self.recordings.clone();
            if !blocking("comparing index and recordings", move || recordings.reconcile_step()).await? {
                break;
            }
            // Half the disk's time is left to who records and who looks back.
            let took = self.clock.mono().since(began);
            tokio::select! {
                () = self.clock.sleep(took.min(REST)) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
        let found = self.recordings.open_report();
        if found.has_repairs() {
            tracing::warn!(
                adopted = found.adopted,
                cut = found.cut,
                lost = found.lost,
                quarantined = found.quarantined,
                "recordings were brought back in step with the index"
            );
        }
        Ok(AttemptEnd::Done)
    }
}
