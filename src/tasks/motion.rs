//! Motion: feeds small pictures to the detector and its words to the event machine; begins and ends events in the index and at
//! the recorder, and takes their stills.

use crate::cameras::Camera;
use crate::supervisor::{Ended, Supervisor, Task};
use crate::tasks::blocking;
use crate::tasks::recording::MarkQueue;
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::EventId;
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_domain::archive::{Event, EventKind};
use perch_domain::event::{EventConfig, EventMachine, Output, Peak};
use perch_domain::media::Stream;
use perch_domain::motion::{Detector, Luma};
use perch_domain::recording::{EventMark, TimeAnchor};
use perch_domain::status::Notice;
use perch_domain::task::TaskId;
use perch_media::capture::{LumaFrame, LumaSink};
use perch_store::{NewEvent, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

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
    marks: MarkQueue,
    frames: mpsc::Receiver<LumaFrame>,
    /// The event that goes on; an attempt that broke off leaves it to the next one.
    running: Option<Running>,
}

/// The event that goes on. It is recorded even while the index cannot take it; then it is entered later.
#[derive(Clone, Debug)]
struct Running {
    id: EventId,
    /// What the recorder knows it by: the index may have to give it another id when it takes it late.
    mark: EventId,
    /// The clock at its start: it lasted as long as it lasted, though the clock was set meanwhile.
    anchor: TimeAnchor,
    new: NewEvent,
    is_kept: bool,
    /// Until when the recorder was told to go on.
    until: MonoTime,
}

/// The recorder is told that it still moves in steps of this length: files end at keyframes, a second apart.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Watches a camera for motion.
pub fn spawn(
    supervisor: &Supervisor,
    camera: &Arc<Camera>,
    store: &Store,
    clock: &SharedClock,
    frames: mpsc::Receiver<LumaFrame>,
    marks: MarkQueue,
) -> Result<()> {
    let id = TaskId::Motion(camera.config.id.clone());
    let (camera, store, clock) = (camera.clone(), store.clone(), clock.clone());
    let task = Motion { camera, store, clock, marks, frames, running: None };
    supervisor.spawn(id, Backoff::new(Duration::from_millis(500), Duration::from_secs(30)), task)
}

impl Task for Motion {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<Ended> {
        let mut detector = Detector::new(self.camera.config.motion.clone());
        let mut machine = EventMachine::new(event_config(&self.camera.config));
        // The last attempt broke off in the middle of it.
        if self.running.is_some() {
            self.obey(Output::Ended { last_motion: self.clock.mono(), end: self.clock.mono() }).await;
        }
        loop {
            let output = tokio::select! {
                frame = self.frames.recv() => match frame {
                    Some(frame) => machine.handle(&detector.look(Luma { pixels: &frame.pixels, pts: frame.pts })),
                    None => break,
                },
                // Only an open event has a deadline: it must end although its camera went away.
                () = self.clock.sleep(self.camera.config.record.gap), if machine.is_running() => {
                    machine.tick(self.clock.mono())
                }
                () = shutdown.called() => break,
            };
            if let Some(output) = output {
                self.obey(output).await;
            }
            if let Some(until) = machine.until() {
                self.continues(until).await;
            }
        }
        if let Some(output) = machine.finish() {
            self.obey(output).await;
        }
        Ok(Ended::Done)
    }
}

impl Motion {
    async fn obey(&mut self, output: Output) {
        match output {
            Output::Started { start, peak } => self.running = Some(self.started(start, peak).await),
            Output::Grew { peak } => {
                if let Some(mut running) = self.running.clone() {
                    self.grew(&mut running, peak).await;
                    self.running = Some(running);
                }
            }
            Output::Ended { end, .. } => {
                if let Some(running) = self.running.take() {
                    self.ended(running, end).await;
                }
            }
        }
    }

    async fn started(&self, start: MonoTime, peak: Peak) -> Running {
        let anchor = TimeAnchor::new(self.clock.utc(), self.clock.mono());
        let new = NewEvent {
            camera: self.camera.config.id.clone(),
            kind: EventKind::Motion,
            start: anchor.utc(start),
            score: peak.score,
            cause: peak.cause,
            boxes: peak.boxes,
        };
        let id = EventId(new.start.as_micros());
        let until = start + self.camera.config.record.post_roll;
        let mut running = Running { id, mark: id, anchor, new, is_kept: false, until };
        self.keep(&mut running).await;
        running.mark = running.id;
        tracing::info!(camera = %running.new.camera, event = %running.id, score = running.new.score, "event began");
        self.marks.put(EventMark::Started { id: running.mark, start });
        self.camera.set_last_event(running.new.start);
        self.take_still(running.id);
        running
    }

    /// It still moves.
    async fn continues(&mut self, until: MonoTime) {
        if let Some(running) = self.running.as_mut()
            && until.since(running.until) >= TELL_EVERY
        {
            running.until = until;
            let id = running.mark;
            self.marks.put(EventMark::Continues { id, until });
        }
    }

    async fn grew(&self, running: &mut Running, peak: Peak) {
        running.new = NewEvent { score: peak.score, cause: peak.cause, boxes: peak.boxes, ..running.new.clone() };
        if !running.is_kept {
            return self.keep(running).await;
        }
        let (id, new) = (running.id, running.new.clone());
        let grown = self.in_store(move |store| store.update_event(id, new.score, new.cause, &new.boxes)).await;
        self.tell(id, grown);
        self.take_still(id);
    }

    async fn ended(&self, mut running: Running, end: MonoTime) {
        self.marks.put(EventMark::Ended { id: running.mark, end });
        if !running.is_kept {
            self.keep(&mut running).await;
        }
        let utc = running.anchor.utc(end);
        let id = running.id;
        tracing::info!(camera = %running.new.camera, event = %id, "event ended");
        self.tell(id, self.in_store(move |store| store.end_event(id, utc)).await);
    }

    /// Enters the event into the index.
    async fn keep(&self, running: &mut Running) {
        let new = running.new.clone();
        let kept = self.in_store(move |store| store.begin_event(&new)).await;
        if let Ok(event) = &kept {
            running.is_kept = true;
            running.id = event.id;
        }
        self.tell(running.id, kept);
    }

    /// Tells everybody of an event, or the log that the index could not take it: live and the recorder go on.
    fn tell(&self, id: EventId, event: Result<Event>) {
        match event {
            Ok(event) => self.camera.tell(Notice::Event { event }),
            Err(e) => {
                tracing::error!(camera = %self.camera.config.id, event = %id, error = %e, "event could not be kept")
            }
        }
    }

    async fn in_store<T: Send + 'static>(&self, call: impl FnOnce(Store) -> Result<T> + Send + 'static) -> Result<T> {
        let store = self.store.clone();
        blocking("the event index", move || call(store)).await
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
