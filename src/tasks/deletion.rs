//! Deletion: recordings of cameras whose owner said that they are to go, a little at a time, beside everything else. What a kill left
//! undone goes on after the next start.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::task::TaskId;
use perch_store::{ForgetStep, Recordings};
use std::time::Duration;

/// How soon it is seen that somebody wants something deleted.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// The longest rest between two steps.
const REST: Duration = Duration::from_secs(2);

struct Deletion {
    recordings: Recordings,
    clock: SharedClock,
    /// The cameras that there were at the start; taken once they were looked at.
    configured: Option<Vec<CameraId>>,
}

/// Deletes as long as the box runs; `configured` are the cameras at its start.
pub fn spawn(
    supervisor: &Supervisor,
    recordings: &Recordings,
    clock: &SharedClock,
    configured: Vec<CameraId>,
) -> Result<()> {
    let task = Deletion { recordings: recordings.clone(), clock: clock.clone(), configured: Some(configured) };
    supervisor.spawn(TaskId::Deletion, Backoff::new(Duration::from_secs(5), Duration::from_secs(120)), task)
}

impl Task for Deletion {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        if let Some(configured) = self.configured.clone() {
            let recordings = self.recordings.clone();
            blocking("looking which recordings are to go", move || recordings.wishes_at_start(&configured)).await?;
            self.configured = None;
        }
        loop {
            let began = self.clock.mono();
            let recordings = self.recordings.clone();
            let step = blocking("deleting recordings", move || recordings.forget_step()).await?;
            // Half the disk's time is left to who records and who looks back.
            let rest = match step {
                ForgetStep::Went => self.clock.mono().since(began).min(REST),
                ForgetStep::Waits | ForgetStep::Nothing => LOOK_EVERY,
            };
            tokio::select! {
                () = self.clock.sleep(rest) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}
