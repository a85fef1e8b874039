//! A camera's own microphone: run again alone, while the picture goes on. Its camera's health says why there is no sound.

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use perch_media::capture::Capture;
use std::sync::Arc;
use std::time::Duration;

struct Microphone {
    camera: Arc<Camera>,
    capture: Arc<Capture>,
}

/// Keeps a camera's own microphone running, if it has one.
pub fn spawn(supervisor: &Supervisor, camera: &Arc<Camera>, capture: Arc<Capture>) -> Result<()> {
    if !capture.has_microphone() {
        return Ok(());
    }
    let id = TaskId::Microphone(camera.config.id.clone());
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    supervisor.spawn(id, backoff, Microphone { camera: camera.clone(), capture })
}

impl Task for Microphone {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let camera = self.camera.clone();
        let heard = move || camera.set_sound_works();
        match self.capture.run_microphone(&heard, shutdown).await {
            Ok(()) => Ok(AttemptEnd::Done),
            Err(e) => {
                self.camera.set_sound_failed(&e);
                Ok(AttemptEnd::Again(e.message().to_owned()))
            }
        }
    }

    /// A microphone was plugged in.
    async fn wake(&mut self) {
        self.capture.microphone_comes().await;
    }
}
