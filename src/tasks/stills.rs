//! Stills: waits for the keyframe that shows an event, makes a picture of it, and keeps it with what moved in it. Which keyframe that
//! is, is decided in `domain`.

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::wires::StillQueue;
use bytes::Bytes;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::EventId;
use perch_base::repeated::Repeated;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_domain::archive::Event;
use perch_domain::media::{SharedPacket, Stream};
use perch_domain::status::Notice;
use perch_domain::still::{EVENT_WIDTH, Still};
use perch_domain::still_turns::Asker;
use perch_domain::task::TaskId;
use perch_media::keyframes::Keyframes;
use perch_media::still::Turns;
use perch_store::Recordings;
use std::sync::Arc;
use std::time::Duration;

struct StillTask {
    camera: Arc<Camera>,
    recordings: Recordings,
    clock: SharedClock,
    queue: StillQueue,
    turns: Turns,
    /// Why events have no still.
    failures: Repeated,
}

/// Takes a camera's stills.
pub fn spawn(
    supervisor: &Supervisor,
    camera: &Arc<Camera>,
    recordings: &Recordings,
    turns: &Turns,
    clock: &SharedClock,
) -> Result<()> {
    let queue = camera.wires.stills.clone();
    let (recordings, turns, clock) = (recordings.clone(), turns.clone(), clock.clone());
    let task = StillTask { camera: camera.clone(), recordings, clock, queue, turns, failures: Repeated::default() };
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
            // Followed before what was remembered is looked at, so that none slips between the two.
            let keyframes = following.get_or_insert_with(|| Keyframes::follow(hub, Stream::Main, "stills"));
            let cached = std::mem::take(&mut is_new).then(|| {
                let from = self.queue.stills().waits_from()?;
                let cached =
                    hub.keyframe_from(Stream::Main, from).and_then(|found| hub.leading_to(Stream::Main, &found));
                match &cached {
                    // Another wish may have one too.
                    Some(_) => is_new = true,
                    None => hub.request_keyframe(Stream::Main),
                }
                cached
            });
            let pictures = match cached.flatten() {
                Some(cached) => Some(cached),
                None => tokio::select! {
                    keyframe = keyframes.next() => {
                        if keyframe.is_none() {
                            following = None;
                        }
                        // Before an intra refresh is through, the next one is waited for.
                        keyframe.and_then(|keyframe| hub.leading_to(Stream::Main, &keyframe))
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
            if let Some(pictures) = pictures {
                self.take(&pictures).await;
            }
        }
    }
}

impl StillTask {
    /// Makes the stills that are of the last of these pictures, a keyframe.
    async fn take(&mut self, pictures: &[SharedPacket]) {
        let Some(keyframe) = pictures.last() else { return };
        let stills = self.queue.stills().keyframe(keyframe.shown());
        for still in stills {
            match self.make(still, pictures).await {
                Ok(event) => {
                    self.works();
                    self.camera.publish(Notice::Event { event });
                }
                Err(error) => self.failed(still.event, &error),
            }
        }
    }

    async fn make(&self, still: Still, pictures: &[SharedPacket]) -> Result<Event> {
        let codec = pictures.last().and_then(|keyframe| keyframe.codec).unwrap_or(self.camera.config.codec);
        let pictures: Vec<Bytes> = pictures.iter().map(|picture| picture.data.clone()).collect();
        let (camera, recordings, queue) = (self.camera.clone(), self.recordings.clone(), self.queue.clone());
        let turn = self.turns.take(Asker::Box).await?;
        blocking("taking a still", move || {
            let (id, aspect) = (&camera.config.id, camera.config.aspect);
            let jpeg = perch_media::still::jpeg(&turn, id, codec, aspect, &pictures, Some(EVENT_WIDTH))?;
            // A disk that hangs is to hold no turn.
            drop(turn);
            // Asked after the picture was made: the detector may be a little behind the encoder.
            let boxes = queue.stills().boxes(still.at);
            recordings.put_still(still.event, &jpeg, &boxes)
        })
        .await
    }

    fn give_up(&self) {
        let late = self.queue.stills().give_up(self.clock.mono());
        for event in late {
            self.failed(event, &Error::new(ErrorKind::Unavailable, "the camera sent no keyframe in time"));
        }
    }

    /// What keeps one event from its still (no decoder, a full disk) mostly keeps the next ones from theirs.
    fn failed(&self, event: EventId, error: &Error) {
        let camera = &self.camera.config.id;
        match self.failures.is_news(error.message(), self.clock.mono()) {
            true => tracing::warn!(%camera, %event, %error, "no still for this event"),
            false => tracing::debug!(%camera, %event, %error, "no still for this event either"),
        }
    }

    fn works(&self) {
        if let Some(repeats) = self.failures.ended() {
            tracing::info!(camera = %self.camera.config.id, repeats, "events have stills again");
        }
    }
}

#[cfg(test)]
#[path = "stills_tests.rs"]
mod tests;
