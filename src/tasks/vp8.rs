//! A camera's small stream as VP8: encoded while somebody watches that offers no H.264, and tried again where that failed.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use perch_media::capture::Vp8Stream;
use std::sync::Arc;
use std::time::Duration;

struct Vp8(Arc<Vp8Stream>);

/// Keeps `stream` of a camera ready for whoever needs it.
pub fn spawn(supervisor: &Supervisor, camera: &CameraId, stream: &Arc<Vp8Stream>) -> Result<()> {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
    supervisor.spawn(TaskId::Vp8(camera.clone()), backoff, Vp8(stream.clone()))
}

impl Task for Vp8 {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        match self.0.run_once(shutdown).await {
            Ok(()) => Ok(AttemptEnd::Done),
            Err(e) => Ok(AttemptEnd::Again(e.message().to_owned())),
        }
    }
}
