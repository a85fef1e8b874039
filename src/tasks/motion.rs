//! Motion: feeds small pictures to the detector and its words to the event machine; begins and ends events in the index and at
//! the recorder, and takes their stills.

use crate::cameras::Camera;
use crate::supervisor::{Ended, Supervisor};
use crate::tasks::recording::EventMark;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::EventId;
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{Event, EventKind};
use perch_domain::event::{EventConfig, EventMachine, Output, Peak};
use perch_domain::media::Stream;
use perch_domain::motion::{Detector, Luma};
use perch_domain::recording::TimeAnchor;
use perch_domain::status::Notice;
use perch_media::capture::{LumaFrame, LumaSink};
use perch_store::{NewEvent, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// Hits among the last pictures that make an event.
pub const MIN_HITS: usize = 2;
/// Width of an event's still in pixels.
const STILL_WIDTH: u32 = 640;
/// A still is taken this long after the picture it is meant for: time for the forced keyframe to arrive.
const STILL_AFTER: Duration = Duration::from_millis(350);

/// The event machine's settings for a camera.
pub fn event_config(config: &perch_domain::camera::CameraConfig) -> EventConfig {
    EventConfig { min_hits: MIN_HITS, gap: config.record.gap, post_roll: config.record.post_roll }
}

/// Where capture puts its small pictures: the newest wait, older ones are dropped rather than queued.
pub fn luma_channel() -> (LumaSink, mpsc::Receiver<LumaFrame>) {
    let (tx, rx) = mpsc::channel(2);
    (Arc::new(move |frame| drop(tx.try_send(frame))), rx)
}

struct Motion {
    camera: Arc<Camera>,
    store: Store,
    clock: SharedClock,
    marks: mpsc::Sender<EventMark>,
    frames: Mutex<mpsc::Receiver<LumaFrame>>,
}

/// Watches a camera for motion.
pub fn spawn(
    supervisor: &mut Supervisor,
    camera: &Arc<Camera>,
    store: &Store,
    clock: &SharedClock,
    frames: mpsc::Receiver<LumaFrame>,
    marks: mpsc::Sender<EventMark>,
) {
    let task = Arc::new(Motion {
        camera: camera.clone(),
        store: store.clone(),
        clock: clock.clone(),
        marks,
        frames: Mutex::new(frames),
    });
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    supervisor
        .spawn(&format!("motion {}", camera.config.id), backoff, move |shutdown| run_once(task.clone(), shutdown));
}

async fn run_once(task: Arc<Motion>, mut shutdown: Shutdown) -> Result<Ended> {
    let mut frames = task.frames.lock().await;
    let mut detector = Detector::new(task.camera.config.motion.clone());
    let mut machine = EventMachine::new(event_config(&task.camera.config));
    let mut running: Option<Event> = None;
    loop {
        let output = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => machine.handle(&detector.look(Luma { pixels: &frame.pixels, pts: frame.pts })),
                None => break,
            },
            // Only an open event has a deadline: it must end although its camera went away.
            () = tokio::time::sleep(task.camera.config.record.gap), if machine.is_running() => machine.tick(task.clock.mono()),
            () = shutdown.called() => break,
        };
        if let Some(output) = output {
            task.obey(output, &mut running).await;
        }
    }
    if let Some(output) = machine.finish() {
        task.obey(output, &mut running).await;
    }
    Ok(Ended::Done)
}

impl Motion {
    async fn obey(&self, output: Output, running: &mut Option<Event>) {
        let done = match output {
            Output::Started { start, peak } => self.started(start, peak, running).await,
            Output::Grew { peak } => self.grew(peak, running).await,
            Output::Ended { end, .. } => self.ended(end, running).await,
        };
        if let Err(e) = done {
            // The event is lost to the index, not to the eye: live and the recorder go on.
            tracing::error!(camera = %self.camera.config.id, error = %e, "event could not be kept");
        }
    }

    async fn started(&self, start: MonoTime, peak: Peak, running: &mut Option<Event>) -> Result<()> {
        let anchor = TimeAnchor::new(self.clock.utc(), self.clock.mono());
        let new = NewEvent {
            camera: self.camera.config.id.clone(),
            kind: EventKind::Motion,
            start: anchor.utc(start),
            score: peak.score,
            cause: peak.cause,
            boxes: peak.boxes,
        };
        let event = self.in_store(move |store| store.begin_event(&new)).await?;
        tracing::info!(camera = %event.camera, event = %event.id, score = event.score, "event began");
        self.mark(EventMark::Started { id: event.id, start }).await;
        self.camera.set_last_event(event.start);
        self.take_still(event.id);
        self.camera.tell(Notice::Event { event: event.clone() });
        *running = Some(event);
        Ok(())
    }

    async fn grew(&self, peak: Peak, running: &mut Option<Event>) -> Result<()> {
        let Some(id) = running.as_ref().map(|e| e.id) else { return Ok(()) };
        let event = self.in_store(move |store| store.update_event(id, peak.score, peak.cause, &peak.boxes)).await?;
        self.take_still(id);
        self.camera.tell(Notice::Event { event: event.clone() });
        *running = Some(event);
        Ok(())
    }

    async fn ended(&self, end: MonoTime, running: &mut Option<Event>) -> Result<()> {
        let Some(event) = running.take() else { return Ok(()) };
        self.mark(EventMark::Ended { id: event.id, end }).await;
        let utc = TimeAnchor::new(self.clock.utc(), self.clock.mono()).utc(end);
        let event = self.in_store(move |store| store.end_event(event.id, utc)).await?;
        tracing::info!(camera = %event.camera, event = %event.id, "event ended");
        self.camera.tell(Notice::Event { event });
        Ok(())
    }

    async fn mark(&self, mark: EventMark) {
        // The recorder is gone only when the box goes down.
        let _ = self.marks.send(mark).await;
    }

    async fn in_store<T: Send + 'static>(&self, call: impl FnOnce(Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = self.store.clone();
        let joined = tokio::task::spawn_blocking(move || call(store)).await;
        joined.map_err(|e| Error::new(ErrorKind::Internal, "the event index panicked").with_source(e))?
    }

    /// Takes the event's still from the keyframe that is forced now.
    fn take_still(&self, id: EventId) {
        let (camera, store) = (self.camera.clone(), self.store.clone());
        camera.hub.request_keyframe(Stream::Main);
        tokio::spawn(async move {
            tokio::time::sleep(STILL_AFTER).await;
            let Some(keyframe) = camera.hub.latest_keyframe(Stream::Main) else { return };
            let codec = camera.config.codec;
            let made = tokio::task::spawn_blocking(move || {
                let jpeg = perch_media::still::jpeg(codec, &keyframe.data, Some(STILL_WIDTH))?;
                store.put_thumbnail(id, &jpeg)
            });
            match made.await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    tracing::warn!(camera = %camera.config.id, event = %id, error = %e, "no still for this event")
                }
                Err(e) => {
                    tracing::error!(camera = %camera.config.id, event = %id, error = %e, "taking a still panicked")
                }
            }
        });
    }
}
