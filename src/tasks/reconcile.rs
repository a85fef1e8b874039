//! Brings index and recordings together after a start, beside everything else: a lost index is made anew while the box records.

use crate::supervisor::{Ended, Supervisor};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result};
use perch_store::Store;
use std::time::Duration;

/// The longest rest between two steps.
const REST: Duration = Duration::from_secs(2);

/// Compares step by step until all is done.
pub fn spawn(supervisor: &mut Supervisor, store: &Store, clock: &SharedClock) {
    let (store, clock) = (store.clone(), clock.clone());
    let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(120));
    supervisor.spawn("index", backoff, move |shutdown| run_once(store.clone(), clock.clone(), shutdown));
}

async fn run_once(store: Store, clock: SharedClock, mut shutdown: Shutdown) -> Result<Ended> {
    loop {
        let began = clock.mono();
        let stepped = store.clone();
        let more = tokio::task::spawn_blocking(move || stepped.reconcile_step())
            .await
            .map_err(|e| Error::internal("comparing index and recordings panicked").with_source(e))??;
        if !more {
            break;
        }
        // Half the disk's time is left to who records and who looks back.
        let took = Duration::from_micros(clock.mono().since(began).as_micros() as u64);
        tokio::select! {
            () = tokio::time::sleep(took.min(REST)) => {}
            () = shutdown.called() => return Ok(Ended::Done),
        }
    }
    let found = store.open_report();
    if found.has_repairs() {
        tracing::warn!(
            adopted = found.adopted,
            cut = found.cut,
            lost = found.lost,
            quarantined = found.quarantined,
            "recordings were brought back in step with the index"
        );
    }
    // A task that ended would be shown as one that waits to be run again.
    shutdown.called().await;
    Ok(Ended::Done)
}
