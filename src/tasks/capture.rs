//! Capture: one attempt of a camera's pipeline after the other, and the camera's health as it follows from them.

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_base::{ErrorKind, Result};
use perch_domain::health::{CameraState, Pace};
use perch_domain::task::TaskId;
use perch_media::capture::{self, Capture, CaptureEvent};
use std::sync::Arc;
use std::time::Duration;

struct CaptureTask {
    camera: Arc<Camera>,
    capture: Arc<Capture>,
}

/// Keeps a camera captured. It never ends by itself: a camera that is missing or late comes back.
pub fn spawn(supervisor: &Supervisor, camera: &Arc<Camera>, capture: Arc<Capture>) -> Result<()> {
    let id = TaskId::Capture(camera.config.id.clone());
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
    supervisor.spawn(id, backoff, CaptureTask { camera: camera.clone(), capture })
}

impl Task for CaptureTask {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let camera = self.camera.clone();
        let progress = move |event: CaptureEvent| match event {
            CaptureEvent::FirstFrame | CaptureEvent::Pace(Pace::KeepsUp) => camera.set_health(CameraState::Live, ""),
            CaptureEvent::Pace(Pace::Behind(overload)) => {
                camera.set_health(CameraState::Overloaded, &overload.reason());
            }
            // An attempt tries the microphone again.
            CaptureEvent::Playing => camera.set_sound_problem(""),
        };
        let result = self.capture.run_once(&progress, shutdown.clone()).await;
        if shutdown.is_called() {
            return Ok(AttemptEnd::Done);
        }
        self.camera.count_restart();
        let (state, reason) = match result {
            Ok(capture::CaptureEnd::Shutdown) => return Ok(AttemptEnd::Done),
            Ok(capture::CaptureEnd::EndOfStream) => (CameraState::Missing, "the source ended".to_owned()),
            Ok(capture::CaptureEnd::Stalled { for_ }) => {
                (CameraState::Stalled, format!("no signal for {} s: restarting", for_.as_secs()))
            }
            Err(e) if e.kind() == ErrorKind::Invalid || e.kind() == ErrorKind::Unsupported => {
                (CameraState::Failed, e.to_string())
            }
            Err(e) => (CameraState::Missing, e.to_string()),
        };
        self.camera.set_health(state, &reason);
        Ok(AttemptEnd::Again(reason))
    }
}
