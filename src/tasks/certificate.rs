//! Keeps the box's certificate fit: names, addresses and dates are looked at every minute.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::task::TaskId;
use perch_pki::Identity;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked: an address may change at any time.
const LOOK_EVERY: Duration = Duration::from_secs(60);

struct KeepCertificate {
    identity: Arc<Identity>,
    clock: SharedClock,
}

/// Looks as long as the box runs.
pub fn spawn(supervisor: &Supervisor, identity: &Arc<Identity>, clock: &SharedClock) -> Result<()> {
    let task = KeepCertificate { identity: identity.clone(), clock: clock.clone() };
    supervisor.spawn(TaskId::Certificate, Backoff::new(Duration::from_secs(10), LOOK_EVERY), task)
}

impl Task for KeepCertificate {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            // First: an attempt that only waits before it fails again would seem to have worked.
            let identity = self.identity.clone();
            blocking("looking at the certificate", move || identity.look()).await?;
            tokio::select! {
                () = self.clock.sleep(LOOK_EVERY) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}
