//! Log: writes the kept lines down now and then; the last are written once everything else has ended (`commands/run.rs`).

use crate::kept_log::kept;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::task::TaskId;
use std::time::Duration;

/// How often: a card wears.
const WRITE_EVERY: Duration = Duration::from_secs(60);

struct WriteLog {
    clock: SharedClock,
}

/// Writes as long as the box runs.
pub fn spawn(supervisor: &Supervisor, clock: &SharedClock) -> Result<()> {
    let task = WriteLog { clock: clock.clone() };
    supervisor.spawn(TaskId::Log, Backoff::new(WRITE_EVERY, Duration::from_secs(600)), task)
}

impl Task for WriteLog {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            tokio::select! {
                () = self.clock.sleep(WRITE_EVERY) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
            blocking("writing the log down", || kept().write_down()).await?;
        }
    }
}
