//! Retention: keeps recordings within their limits. Wakes when a file is complete and once a minute for what only time changes.

use crate::cameras::clock_is_synchronised;
use crate::supervisor::{Ended, Supervisor};
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result};
use perch_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The longest time between two looks.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps the store within its limits.
pub fn spawn(supervisor: &mut Supervisor, store: &Store, wake: &Arc<Notify>) {
    let (store, wake) = (store.clone(), wake.clone());
    let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(120));
    supervisor.spawn("retention", backoff, move |shutdown| run_once(store.clone(), wake.clone(), shutdown));
}

async fn run_once(store: Store, wake: Arc<Notify>, mut shutdown: Shutdown) -> Result<Ended> {
    loop {
        let looked = store.clone();
        let report = tokio::task::spawn_blocking(move || looked.enforce_retention(clock_is_synchronised()))
            .await
            .map_err(|e| Error::internal("retention panicked").with_source(e))??;
        if report.deleted > 0 {
            tracing::info!(deleted = report.deleted, freed_bytes = report.freed_bytes, "old recordings deleted");
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.called() => return Ok(Ended::Done),
        }
    }
}
