//! Which cameras deliver and which cannot be recorded, left in the database for the version that is tried next, whoever installs it (the page, `perch update`, an
//! unattended look) and however the box restarts. A trial leaves no word: it is measured by that of the version before.

use crate::cameras::Cameras;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::ports::CameraPort;
use perch_domain::status::CameraInfo;
use perch_domain::task::TaskId;
use perch_domain::update::{Phase, UpdatePort};
use perch_store::Meta;
use perch_update::Updater;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked; written only when it has changed.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// The keys of the word, each for ids with commas between.
const DELIVERING: &str = "delivering_cameras";
const UNRECORDABLE: &str = "unrecordable_cameras";

/// What the version before left; `None` where it left nothing.
pub struct Before {
    /// The cameras that delivered.
    pub delivering: Option<Vec<CameraId>>,
    /// Those whose pictures could not be recorded.
    pub unrecordable: Option<Vec<CameraId>>,
}

/// What the version before left.
pub fn read(meta: &Meta) -> Before {
    let list = |key| {
        let word = meta.get(key).unwrap_or_else(|e| {
            tracing::warn!(error = %e, key, "what the version before left cannot be read: it counts as nothing");
            None
        });
        Some(word?.split(',').filter_map(|id| CameraId::new(id).ok()).collect())
    };
    Before { delivering: list(DELIVERING), unrecordable: list(UNRECORDABLE) }
}

/// The word to leave of these cameras: those that deliver, and those that cannot be recorded.
fn word(cameras: &[CameraInfo]) -> [String; 2] {
    let ids = |is_named: fn(&CameraInfo) -> bool| {
        cameras.iter().filter(|c| is_named(c)).map(|c| c.id.to_string()).collect::<Vec<_>>().join(",")
    };
    [ids(|c| c.health.state.delivers()), ids(|c| c.recording.is_unrecordable)]
}

struct LeaveWord {
    updater: Updater,
    cameras: Arc<Cameras>,
    meta: Meta,
    clock: SharedClock,
    /// The word that was left.
    left: Option<[String; 2]>,
}

/// Leaves word from now on, on a card image.
pub fn spawn(
    supervisor: &Supervisor,
    updater: &Updater,
    cameras: &Arc<Cameras>,
    meta: &Meta,
    clock: &SharedClock,
) -> Result<()> {
    if !updater.is_supported() {
        return Ok(());
    }
    let task = LeaveWord {
        updater: updater.clone(),
        cameras: cameras.clone(),
        meta: meta.clone(),
        clock: clock.clone(),
        left: None,
    };
    supervisor.spawn(TaskId::NextVersion, Backoff::new(Duration::from_secs(15), Duration::from_secs(600)), task)
}

impl Task for LeaveWord {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            tokio::select! {
                () = self.clock.sleep(LOOK_EVERY) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
            let word = word(&self.cameras.cameras());
            // Asked after the cameras: those of a box that ends are about to stop.
            if shutdown.is_called() || self.left.as_ref() == Some(&word) {
                continue;
            }
            let (updater, meta, fresh) = (self.updater.clone(), self.meta.clone(), word.clone());
            let write = move || match updater.state().phase {
                Phase::Trial => Ok(false),
                _ => {
                    meta.set(UNRECORDABLE, &fresh[1])?;
                    meta.set(DELIVERING, &fresh[0]).map(|()| true)
                }
            };
            if blocking("leaving word for the next version", write).await? {
                self.left = Some(word);
            }
        }
    }
}
