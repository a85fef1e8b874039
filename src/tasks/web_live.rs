//! Live pictures over HTTPS: one attempt to package them after the other. Streams end with it, and begin anew when they are asked for.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::web_live::Packagers;
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use std::time::Duration;

/// Keeps the packagers running.
pub fn spawn(supervisor: &Supervisor, packagers: Packagers) -> Result<()> {
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(4));
    supervisor.spawn(TaskId::WebLive, backoff, packagers)
}

impl Task for Packagers {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        Self::run_once(self, shutdown).await.map(|()| AttemptEnd::Done)
    }
}
