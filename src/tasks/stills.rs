//! Stills: waits for the keyframe that shows an event, makes a picture of it, and keeps it with what moved in it. Which keyframe that
//! is, is decided in `domain`.

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::tasks::blocking;
use crate::wires::StillQueue;
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::EventId;
use perch_base::shutdown::Shutdown;
use perch_domain::archive::Event;
use perch_domain::media::{SharedPacket, Stream};
use perch_domain::status::Notice;
use perch_domain::still::Still;
use perch_domain::task::TaskId;
use perch_media::keyframes::Keyframes;
use perch_store::Recordings;
use std::sync::Arc;
use std::time::Duration;

/// Width of an event's still in pixels.
const WIDTH: u32 = 640;

struct StillTask {
    camera: Arc<Camera>,
    recordings: Recordings,
    clock: SharedClock,
    queue: StillQueue,
}

/// Takes a camera's stills.
pub fn spawn(
    supervisor: &Supervisor,
    camera: &Arc<Camera>,
    recordings: &Recordings,
    clock: &SharedClock,
) -> Result<()> {
    let queue = camera.wires.stills.clone();
    let task = StillTask { camera: camera.clone(), recordings: recordings.clone(), clock: clock.clone(), queue };
    let id = TaskId::Stills(camera.config.id.clone());
    supervisor.spawn(id, Backoff::new(Duration::from_millis(500), Duration::from_secs(30)), task)
}

impl Task for StillTask {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        // The hub is asked for nothing while no still is wanted.
        let mut following: Option<Keyframes> = None;
        let mut is_new = true;
        loop {
            let until = self.queue.stills().waits_until();
            let Some(until) = until else {
                following = None;
                tokio::select! {
                    () = self.queue.wanted() => is_new = true,
                    () = shutdown.called() => return Ok(AttemptEnd::Done),
                }
                continue;
            };
            let hub = &self.camera.hub;
            // Followed before the newest is looked at, so that none slips between the two.
            let keyframes = following.get_or_insert_with(|| Keyframes::follow(hub, Stream::Main, "stills"));
            let newest = std::mem::take(&mut is_new).then(|| {
                hub.request_keyframe(Stream::Main);
                hub.latest_keyframe(Stream::Main)
            });
            let keyframe = match newest.flatten() {
                Some(newest) => Some(newest),
                None => tokio::select! {
                    keyframe = keyframes.next() => {
                        if keyframe.is_none() {
                            following = None;
                        }
                        keyframe
                    }
                    () = self.queue.wanted() => {
                        is_new = true;
                        None
                    }
                    () = self.clock.sleep_until(until) => {
                        self.give_up();
                        None
                    }
                    () = shutdown.called() => return Ok(AttemptEnd::Done),
                },
            };
            if let Some(keyframe) = keyframe {
                self.take(&keyframe).await;
            }
        }
    }
}

impl StillTask {
    /// Makes the stills that are of this keyframe.
    async fn take(&mut self, keyframe: &SharedPacket) {
        let stills = self.queue.stills().keyframe(keyframe.pts);
        for still in stills {
            match self.make(still, keyframe.clone()).await {
                Ok(event) => self.camera.publish(Notice::Event { event }),
                Err(error) => self.failed(still.event, &error.to_string()),
            }
        }
    }

    async fn make(&self, still: Still, keyframe: SharedPacket) -> Result<Event> {
        let (codec, recordings, queue) = (self.camera.config.codec, self.recordings.clone(), self.queue.clone());
        blocking("taking a still", move || {
            let jpeg = perch_media::still::jpeg(codec, &keyframe.data, Some(WIDTH))?;
            // Asked after the picture was made: the detector may be a little behind the encoder.
            let boxes = queue.stills().boxes(still.at);
            recordings.put_still(still.event, &jpeg, &boxes)
        })
        .await
    }

    fn give_up(&self) {
        let late = self.queue.stills().give_up(self.clock.mono());
        for event in late {
            self.failed(event, "the camera sent no keyframe in time");
        }
    }

    fn failed(&self, event: EventId, error: &str) {
        tracing::warn!(camera = %self.camera.config.id, %event, error, "no still for this event");
    }
}
