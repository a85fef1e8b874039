//! Which cameras deliver, left in the database for the version that is tried next, whoever installs it (the page, `perch update`, an
//! unattended look) and however the box restarts. A trial leaves no word: it is measured by that of the version before.

use crate::cameras::Cameras;
use crate::supervisor::{Ended, Supervisor};
use perch_base::backoff::Backoff;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result};
use perch_domain::health::CameraState;
use perch_domain::ports::CameraPort;
use perch_domain::update::{Phase, UpdatePort};
use perch_store::Store;
use perch_update::Updater;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked; written only when it has changed.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// The key of the word: ids with commas between.
const DELIVERED: &str = "delivering_cameras";

/// What the version before left; `None` when it left nothing.
pub fn read(store: &Store) -> Option<Vec<CameraId>> {
    let word = store.get_meta(DELIVERED).ok().flatten()?;
    Some(word.split(',').filter_map(|id| CameraId::new(id).ok()).collect())
}

/// Leaves word from now on, on a card image.
pub fn spawn(supervisor: &mut Supervisor, updater: &Updater, cameras: &Arc<Cameras>, store: &Store) {
    if !updater.state().supported {
        return;
    }
    let (updater, cameras, store) = (updater.clone(), cameras.clone(), store.clone());
    let backoff = Backoff::new(Duration::from_secs(15), Duration::from_secs(600));
    supervisor.spawn("word for the next version", backoff, move |shutdown| {
        run_once(updater.clone(), cameras.clone(), store.clone(), shutdown)
    });
}

async fn run_once(updater: Updater, cameras: Arc<Cameras>, store: Store, mut shutdown: Shutdown) -> Result<Ended> {
    let mut left = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = shutdown.called() => return Ok(Ended::Done),
        }
        let live = cameras.cameras().into_iter().filter(|c| c.health.state == CameraState::Live);
        let word = live.map(|c| c.id.to_string()).collect::<Vec<_>>().join(",");
        // Asked after the cameras: those of a box that ends are about to stop.
        if shutdown.is_called() || left.as_ref() == Some(&word) {
            continue;
        }
        let (updater, store, fresh) = (updater.clone(), store.clone(), word.clone());
        let written = tokio::task::spawn_blocking(move || match updater.state().phase {
            Phase::Trial => Ok(false),
            _ => store.set_meta(DELIVERED, &fresh).map(|()| true),
        });
        if written.await.map_err(|e| Error::internal("leaving word for the next version panicked").with_source(e))?? {
            left = Some(word);
        }
    }
}
