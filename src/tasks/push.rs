//! A camera's push to another server: begun whenever the camera gives pictures, and tried again for as long as it fails.

use crate::camera::Camera;
use crate::camera_set::CameraSet;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result};
use perch_domain::push::plan::plan_push;
use perch_domain::push::{PUSH_PAUSES, PushState, PushTarget};
use perch_domain::task::TaskId;
use perch_media::pipeline::Library;
use perch_media::push::{PushEnd, PushOrder, has_picture, push_once};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether the camera gives pictures.
const LOOK_EVERY: Duration = Duration::from_millis(500);

struct Push {
    camera: CameraId,
    /// In the camera's list.
    place: usize,
    target: PushTarget,
    /// The camera is asked for anew each time: its capture may be another.
    set: Arc<CameraSet>,
    library: Arc<Library>,
}

/// Keeps `camera` pushed to the target in `place` of its list.
pub fn spawn(
    supervisor: &Supervisor,
    camera: &Camera,
    place: usize,
    set: &Arc<CameraSet>,
    library: &Arc<Library>,
) -> Result<()> {
    let Some(target) = camera.config.push.get(place).cloned() else { return Ok(()) };
    let camera = camera.config.id.clone();
    let id = TaskId::Push(camera.clone(), place);
    let task = Push { camera, place, target, set: set.clone(), library: library.clone() };
    supervisor.spawn(id, Backoff::new(PUSH_PAUSES.0, PUSH_PAUSES.1), task)
}

impl Push {
    /// Says how it is.
    fn say(&self, camera: &Camera, state: PushState, reason: &str) {
        if camera.pushes.set(self.place, &self.target, state, reason) {
            let (camera, to) = (&self.camera, self.target.shown());
            match state {
                PushState::Sending => tracing::info!(%camera, to, "the camera is pushed"),
                // Failures are logged where they are handled.
                _ => tracing::debug!(%camera, to, ?state, reason, "how a push is"),
            }
        }
    }

    fn failed(&self, camera: &Camera, e: Error) -> Error {
        self.say(camera, PushState::Failing, e.message());
        e
    }
}

impl Task for Push {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut camera = self.set.get(&self.camera)?;
        let clock = camera.clock.clone();
        while !has_picture(&camera.hub) {
            self.say(&camera, PushState::Waiting, "");
            tokio::select! {
                () = shutdown.called() => return Ok(AttemptEnd::Done),
                () = clock.sleep(LOOK_EVERY) => {}
            }
            camera = self.set.get(&self.camera)?;
        }
        let plan = plan_push(&self.target, &camera.capture.offers_now()).map_err(|e| self.failed(&camera, e))?;
        self.say(&camera, PushState::Connecting, "");
        let order = PushOrder { hub: camera.hub.clone(), target: self.target.clone(), plan };
        let said = |state, bytes| {
            self.say(&camera, state, "");
            camera.pushes.sent(self.place, &self.target, bytes);
        };
        let ended = push_once(self.library.clone(), &clock, order, said, shutdown).await;
        Ok(match ended.map_err(|e| self.failed(&camera, e))? {
            PushEnd::Told => AttemptEnd::Done,
            PushEnd::NoPicture => AttemptEnd::AtOnce("the camera gives no picture".into()),
            PushEnd::Changed => AttemptEnd::AtOnce("the camera encodes otherwise now".into()),
        })
    }
}
