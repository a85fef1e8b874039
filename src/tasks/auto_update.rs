//! Unattended updates: asks one address now and then, and installs what is newer. Runs only where the config names an address.

use crate::config::UpdateConfig;
use crate::supervisor::{Ended, Supervisor};
use perch_base::backoff::Backoff;
use perch_base::secret::random_below;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result};
use perch_domain::update::{UpdatePort, UpdateSource};
use perch_update::Updater;
use std::time::Duration;

/// The first look is this long after the start, and up to as much again, so that boxes do not all ask at once after a power cut.
const FIRST_AFTER: Duration = Duration::from_secs(600);

/// Looks for updates, if that is wanted.
pub fn spawn(supervisor: &mut Supervisor, config: &UpdateConfig, updater: &Updater) {
    let Some(url) = config.url.clone() else { return };
    if !updater.state().supported {
        tracing::warn!("update.url is set, and this is no card image: nothing is updated by itself");
        return;
    }
    let (every, updater) = (config.check_every, updater.clone());
    let backoff = Backoff::new(Duration::from_secs(600), Duration::from_secs(6 * 3600));
    supervisor.spawn("updates", backoff, move |shutdown| run_once(updater.clone(), url.clone(), every, shutdown));
}

async fn run_once(updater: Updater, url: String, every: Duration, mut shutdown: Shutdown) -> Result<Ended> {
    let mut wait = FIRST_AFTER + Duration::from_secs(random_below(FIRST_AFTER.as_secs()));
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.called() => return Ok(Ended::Done),
        }
        wait = every;
        let (updater, url) = (updater.clone(), url.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let Some(bundle) = updater.look_up(&url)? else { return Ok(()) };
            tracing::info!(version = bundle.version, "a newer version is installed unattended");
            updater.install(UpdateSource::Url(url), false)
        });
        looked.await.map_err(|e| Error::internal("looking for an update panicked").with_source(e))??;
    }
}
