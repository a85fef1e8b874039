//! Unattended updates: asks one address now and then, and installs what is newer. Runs only where the config names an address.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::{self, Backoff};
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::task::TaskId;
use perch_domain::update::{UpdateConfig, UpdatePort, UpdateSource};
use perch_update::Updater;
use std::time::Duration;

struct AutoUpdate {
    updater: Updater,
    url: String,
    every: Duration,
    clock: SharedClock,
}

/// Looks for updates, if that is wanted.
pub fn spawn(supervisor: &Supervisor, config: &UpdateConfig, updater: &Updater, clock: &SharedClock) -> Result<()> {
    let Some(url) = config.url.clone() else { return Ok(()) };
    if !updater.is_supported() {
        tracing::warn!("update.url is set, and this is no card image: nothing is updated by itself");
        return Ok(());
    }
    let task = AutoUpdate { updater: updater.clone(), url, every: config.check_every, clock: clock.clone() };
    supervisor.spawn(TaskId::Updates, Backoff::new(Duration::from_secs(600), Duration::from_secs(6 * 3600)), task)
}

impl Task for AutoUpdate {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut wait = UpdateConfig::first_look(backoff::unit());
        loop {
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
            wait = self.every;
            let (updater, url) = (self.updater.clone(), self.url.clone());
            let look = move || {
                let Some(bundle) = updater.look_up(&url)? else { return Ok(()) };
                tracing::info!(version = bundle.version, "a newer version is installed unattended");
                updater.install(UpdateSource::Url(url), false)
            };
            blocking("looking for an update", look).await?;
        }
    }
}
