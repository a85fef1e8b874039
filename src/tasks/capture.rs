//! Capture: one attempt of a camera's pipeline after the other, and the camera's health as it follows from them.

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_domain::capture_attempt::{NextTry, after_attempt, next_try};
use perch_domain::health::CameraState;
use perch_domain::pace::Pace;
use perch_domain::task::{CAPTURE_PAUSES, TaskId};
use perch_media::capture::{Capture, CaptureEvent};
use std::sync::Arc;
use std::time::Duration;

/// How often it is counted that somebody waits.
const ROUND: Duration = Duration::from_secs(10);

/// Called when what a camera offers to those who watch it changed.
pub type Offered = Arc<dyn Fn(&CameraId) + Send + Sync>;

struct CaptureTask {
    camera: Arc<Camera>,
    capture: Arc<Capture>,
    offered: Offered,
}

/// Keeps a camera captured. It never ends by itself: a camera that is missing or late comes back.
pub fn spawn(supervisor: &Supervisor, camera: &Arc<Camera>, capture: Arc<Capture>, offered: Offered) -> Result<()> {
    let id = TaskId::Capture(camera.config.id.clone());
    let backoff = Backoff::new(CAPTURE_PAUSES.0, CAPTURE_PAUSES.1);
    supervisor.spawn(id, backoff, CaptureTask { camera: camera.clone(), capture, offered })
}

impl Task for CaptureTask {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let (camera, offered) = (self.camera.clone(), self.offered.clone());
        let progress = move |event: CaptureEvent| match event {
            CaptureEvent::FirstFrame | CaptureEvent::Pace(Pace::KeepsUp) => {
                camera.set_rate_problem("");
                camera.set_health(CameraState::Live, "");
            }
            CaptureEvent::Pace(Pace::Behind(overload)) => {
                camera.set_rate_problem("");
                camera.set_health(CameraState::Overloaded, &overload.reason());
            }
            CaptureEvent::Pace(Pace::FewGiven(few)) if few.is_fault() => {
                camera.set_health(CameraState::Live, "");
                camera.set_rate_problem(&few.reason());
            }
            CaptureEvent::Pace(Pace::FewGiven(few)) => {
                camera.set_rate_problem("");
                camera.set_health(CameraState::Live, &few.reason());
            }
            // An attempt tries the microphone again.
            CaptureEvent::Playing => {
                camera.set_sound_works();
                camera.wires.controls.again();
            }
            CaptureEvent::AwaitsKeyframe => camera.set_awaiting_keyframe(),
            CaptureEvent::Silent(for_) => {
                camera.set_health(CameraState::Stalled, &format!("no picture for {} s: waiting", for_.as_secs()));
            }
            CaptureEvent::Offers(offering) => {
                camera.set_live_note(offering.why_not_live());
                offered(&camera.config.id);
            }
            CaptureEvent::Sound(problem) => camera.set_sound(&problem.unwrap_or_default()),
            CaptureEvent::Small(problem) => camera.set_small_problem(&problem.unwrap_or_default()),
            CaptureEvent::MotionPictures(problem) => camera.set_no_pictures(&problem.unwrap_or_default()),
            CaptureEvent::Losses(what) => camera.set_loss_note(what.as_deref()),
            CaptureEvent::SessionBegins => {
                camera.forget_notes();
                camera.wires.controls.again();
            }
            CaptureEvent::Notice(what) => camera.note(&what),
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
        match next_try(&result, self.capture.delivered()) {
            NextTry::Backoff => Ok(AttemptEnd::Again(reason)),
            NextTry::AtOnce => Ok(AttemptEnd::AtOnce(reason)),
            NextTry::After(pause) => {
                self.wait(pause, shutdown).await;
                Ok(AttemptEnd::AtOnce(reason))
            }
        }
    }

    /// A camera was plugged in.
    async fn wake(&mut self) {
        self.capture.device_comes().await;
    }
}

impl CaptureTask {
    /// Waits, and is not taken to be stuck.
    async fn wait(&self, pause: Duration, shutdown: &mut Shutdown) {
        let clock = &self.camera.clock;
        let until = clock.mono() + pause;
        while clock.mono() < until {
            self.capture.count_round();
            tokio::select! {
                () = clock.sleep_until(until.min(clock.mono() + ROUND)) => {}
                () = shutdown.called() => return,
            }
        }
    }
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
