//! Keeps the certificate for a domain, where the config names one.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result, blocking};
use perch_domain::acme::AcmeConfig;
use perch_domain::task::TaskId;
use perch_pki::{Acme, Identity};
use std::sync::Arc;
use std::time::Duration;

/// Between two attempts of this task. How long is waited before the authority is asked again is decided in `domain::acme`.
const REST: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(600)];

struct KeepDomain {
    config: AcmeConfig,
    identity: Arc<Identity>,
    clock: SharedClock,
    acme: Option<Acme>,
}

/// Looks as long as the box runs, if there is a domain.
pub fn spawn(
    supervisor: &Supervisor,
    config: Option<&AcmeConfig>,
    identity: &Arc<Identity>,
    clock: &SharedClock,
) -> Result<()> {
    let Some(config) = config.cloned() else {
        Acme::end(identity);
        return Ok(());
    };
    let task = KeepDomain { config, identity: identity.clone(), clock: clock.clone(), acme: None };
    supervisor.spawn(TaskId::Acme, Backoff::new(REST[0], REST[1]), task)
}

impl Task for KeepDomain {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        if self.acme.is_none() {
            let (config, identity, clock) = (self.config.clone(), self.identity.clone(), self.clock.clone());
            self.acme =
                Some(blocking("reading a domain's certificate", move || Acme::open(config, identity, clock)).await?);
        }
        let acme = self.acme.as_mut().ok_or_else(|| Error::internal("a domain's certificate was not read"))?;
        loop {
            let wait = tokio::select! {
                waited = acme.look() => waited?,
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}
