//! A camera's own picture settings: set when people change them and whenever the camera begins anew. Its health says what is not as it is wanted.

use crate::camera::Camera;
use crate::camera_set::CameraSet;
use crate::picture_controls::{PictureControls, joined};
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::wires::Wish;
use perch_base::backoff::Backoff;
use perch_base::ids::CameraId;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::task::TaskId;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

struct Controls {
    camera: CameraId,
    set: Arc<CameraSet>,
    controls: Arc<PictureControls>,
    wishes: watch::Receiver<Wish>,
    /// The change of people with which the camera refused its user and password: they are not tried again with that.
    refused: Option<u64>,
}

/// Keeps a camera's own picture settings as they are wanted.
pub fn spawn(
    supervisor: &Supervisor,
    camera: &Camera,
    set: &Arc<CameraSet>,
    controls: &Arc<PictureControls>,
) -> Result<()> {
    let (set, controls, wishes) = (set.clone(), controls.clone(), camera.wires.controls.follow());
    let camera = camera.config.id.clone();
    let backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(300));
    let id = TaskId::PictureControls(camera.clone());
    supervisor.spawn(id, backoff, Controls { camera, set, controls, wishes, refused: None })
}

impl Task for Controls {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let wish = self.wishes.borrow_and_update().clone();
            tokio::select! {
                done = self.follow(&wish) => if let Err(why) = done {
                    return Ok(AttemptEnd::Again(why));
                },
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
            tokio::select! {
                // The sender lives as long as the camera.
                changed = self.wishes.changed() => if changed.is_err() {
                    return Ok(AttemptEnd::Done);
                },
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }

    /// Something else is wanted, or the camera began anew.
    async fn wake(&mut self) {
        if self.wishes.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl Controls {
    /// Errors with why it is to be tried again.
    async fn follow(&mut self, wish: &Wish) -> Result<(), String> {
        let is_idle = wish.wanted.is_empty() && wish.let_go.is_empty();
        if is_idle || self.refused == Some(wish.changes) {
            return Ok(());
        }
        // As it is now: who follows outlives its settings.
        let Ok(camera) = self.set.get(&self.camera) else { return Ok(()) };
        let applied = self.controls.apply(&camera, wish).await;
        let is_away = |e: &Error| [ErrorKind::NotFound, ErrorKind::Unavailable].contains(&e.kind());
        let problems = match &applied {
            Ok(problems) => problems.clone(),
            // That is said already.
            Err(e) if is_away(e) && !camera.health().state.delivers() => Vec::new(),
            Err(e) => vec![e.message().to_owned()],
        };
        let note = joined(&problems).map(|why| format!("its own picture settings: {why}"));
        camera.set_controls_note(note.as_deref());
        match applied {
            Ok(_) => Ok(()),
            Err(e) => {
                if e.kind() == ErrorKind::Unauthenticated {
                    self.refused = Some(wish.changes);
                }
                match e.kind() {
                    // It is set when the camera begins anew, or when people change something.
                    ErrorKind::Unauthenticated | ErrorKind::Unsupported | ErrorKind::NotFound => Ok(()),
                    _ => Err(e.message().to_owned()),
                }
            }
        }
    }
}
