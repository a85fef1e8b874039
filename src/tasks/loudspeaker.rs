//! A camera's loudspeaker: opened while somebody speaks, and tried again when somebody wants to after it failed.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use perch_media::speaker::Speaker;
use std::sync::Arc;
use std::time::Duration;

struct Loudspeaker(Arc<Speaker>);

/// Keeps a camera's loudspeaker ready for whoever speaks.
pub fn spawn(supervisor: &Supervisor, speaker: &Arc<Speaker>) -> Result<()> {
    let id = TaskId::Loudspeaker(speaker.camera().clone());
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    supervisor.spawn(id, backoff, Loudspeaker(speaker.clone()))
}

impl Task for Loudspeaker {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        match self.0.run_once(shutdown).await {
            Ok(()) => Ok(AttemptEnd::Done),
            Err(e) => {
                tracing::warn!(camera = %self.0.camera(), error = %e, "nobody can speak through the camera for now");
                Ok(AttemptEnd::Again(e.message().to_owned()))
            }
        }
    }

    /// Its settings changed.
    async fn wake(&mut self) {
        self.0.wanted().await;
    }
}
