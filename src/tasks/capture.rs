//! Capture: one attempt of a camera's pipeline after the other, and the camera's health as it follows from them.

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::capture_attempt::after_attempt;
use perch_domain::health::CameraState;
use perch_domain::pace::Pace;
use perch_domain::task::{CAPTURE_PAUSES, TaskId};
use perch_media::capture::{Capture, CaptureEvent};
use std::sync::Arc;

struct CaptureTask {
    camera: Arc<Camera>,
    capture: Arc<Capture>,
}

/// Keeps a camera captured. It never ends by itself: a camera that is missing or late comes back.
pub fn spawn(supervisor: &Supervisor, camera: &Arc<Camera>, capture: Arc<Capture>) -> Result<()> {
    let id = TaskId::Capture(camera.config.id.clone());
    let backoff = Backoff::new(CAPTURE_PAUSES.0, CAPTURE_PAUSES.1);
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
            CaptureEvent::Pace(Pace::FewGiven(few)) => camera.set_health(CameraState::Live, &few.reason()),
            // An attempt tries the microphone again.
            CaptureEvent::Playing => camera.set_sound_works(),
        };
        let result = self.capture.run_once(&progress, shutdown.clone()).await;
        if shutdown.is_called() {
            return Ok(AttemptEnd::Done);
        }
        self.camera.count_restart();
        let Some((state, reason)) = after_attempt(&result) else { return Ok(AttemptEnd::Done) };
        match &result {
            Err(e) => self.camera.set_failed(state, e),
            Ok(_) => self.camera.set_health(state, &reason),
        }
        Ok(AttemptEnd::Again(reason))
    }
}
