//! Manifests: what was recorded is signed, hour by hour. After a start all hours follow that are not signed yet, one after the other.

use crate::copies::Copies;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Result, blocking};
use perch_domain::evidence::EvidenceKey;
use perch_domain::task::TaskId;
use perch_pki::BoxKey;
use perch_store::Recordings;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// The shortest rest between two: half the disk's time is left to who records.
const REST: Duration = Duration::from_millis(200);

struct Manifests {
    recordings: Recordings,
    /// They tell people by which key it is signed.
    copies: Copies,
    clock: SharedClock,
    data_dir: PathBuf,
}

/// Signs as long as the box runs, exports too. On a disk that cannot be written there may be no key: then nothing is signed until there is.
pub fn spawn(
    supervisor: &Supervisor,
    recordings: &Recordings,
    copies: &Copies,
    clock: &SharedClock,
    data_dir: &Path,
) -> Result<()> {
    let (recordings, copies, clock) = (recordings.clone(), copies.clone(), clock.clone());
    let task = Manifests { recordings, copies, clock, data_dir: data_dir.to_owned() };
    supervisor.spawn(TaskId::Manifests, Backoff::new(Duration::from_secs(30), Duration::from_secs(1800)), task)
}

impl Task for Manifests {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let data_dir = self.data_dir.clone();
        let key = blocking("opening the key of evidence", move || BoxKey::open(&data_dir)).await?;
        self.copies.signs_by(key.public_key());
        self.recordings.sign_with(Arc::new(key));
        loop {
            let began = self.clock.mono();
            let recordings = self.recordings.clone();
            let made = blocking("signing what was recorded", move || recordings.make_manifest()).await?;
            let rest = made.map_or(LOOK_EVERY, |_| self.clock.mono().since(began).max(REST));
            tokio::select! {
                () = self.clock.sleep(rest) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}
