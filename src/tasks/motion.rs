//! Motion: feeds small pictures to the detector and its words to the event machine; starts and ends events in the index and at
//! the recorder, and asks for their stills. The detector looks on a thread of its own: it computes for milliseconds.

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::tasks::blocking;
use crate::wires::MarkQueue;
use crate::wires::StillQueue;
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::EventId;
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_domain::archive::{Event, EventKind};
use perch_domain::event::{EventConfig, EventMachine, Output, Peak};
use perch_domain::motion::{Detection, Detector, LIGHT_SWINGS, Luma, MotionConfig, Sight, SightWatch};
use perch_domain::recording::{EventMark, RecordConfig, TimeAnchor};
use perch_domain::status::Notice;
use perch_domain::task::TaskId;
use perch_media::capture::LumaFrame;
use perch_store::{Index, NewEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Hits among the last pictures that make an event.
const MIN_HITS: usize = 2;

/// The event machine's settings.
pub fn event_config(record: &RecordConfig) -> EventConfig {
    EventConfig { min_hits: MIN_HITS, gap: record.gap, post_roll: record.post_roll, chapter: record.chapter }
}

/// Looks at pictures one after the other.
pub trait Detect: Send + 'static {
    /// What moves in the next picture.
    fn look(&mut self, frame: &LumaFrame) -> Detection;
}

impl Detect for Detector {
    fn look(&mut self, frame: &LumaFrame) -> Detection {
        Detector::look(self, Luma { pixels: &frame.pixels, pts: frame.pts })
    }
}

struct Motion {
    camera: Arc<Camera>,
    index: Index,
    clock: SharedClock,
    marks: MarkQueue,
    stills: StillQueue,
    frames: mpsc::Receiver<LumaFrame>,
    /// Makes the detector of an attempt, which learns the scene again.
    detector: fn(&MotionConfig) -> Box<dyn Detect>,
    /// The event that goes on; an attempt that broke off leaves it to the next one.
    running: Option<Running>,
    /// The clock at the start of what goes on: its chapters join by it.
    anchor: Option<TimeAnchor>,
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
    /// When its strongest picture was captured: the one that its still is to show.
    peak_at: MonoTime,
    is_kept: bool,
    /// Until when the recorder was asked to go on.
    until: MonoTime,
}

/// The recorder hears that it still moves in steps of this length: files end at keyframes, a second apart.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Watches a camera for motion.
pub fn spawn(supervisor: &Supervisor, camera: &Arc<Camera>, index: &Index, clock: &SharedClock) -> Result<()> {
    let (id, wires) = (TaskId::Motion(camera.config.id.clone()), &camera.wires);
    let task = Motion {
        camera: camera.clone(),
        index: index.clone(),
        clock: clock.clone(),
        marks: wires.marks.clone(),
        stills: wires.stills.clone(),
        frames: wires.luma.follow(),
        detector: |config| Box::new(Detector::new(config.clone())),
        running: None,
        anchor: None,
    };
    supervisor.spawn(id, Backoff::new(Duration::from_millis(500), Duration::from_secs(30)), task)
}

impl Task for Motion {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut detector = (self.detector)(&self.camera.config.motion);
        let mut machine = EventMachine::new(event_config(&self.camera.config.record));
        let mut sight = SightWatch::default();
        // A new detector learns the light again.
        self.camera.set_motion_problem("");
        // The last attempt broke off in the middle of it.
        if self.running.is_some() {
            self.obey(Output::Ended { last_motion: self.clock.mono(), end: self.clock.mono() }).await;
        }
        loop {
            let outputs = tokio::select! {
                frame = self.frames.recv() => {
                    let Some(frame) = frame else { break };
                    let look = move || {
                        let seen = detector.look(&frame);
                        Ok((detector, seen))
                    };
                    let (looked, seen) = blocking("the motion detector", look).await?;
                    detector = looked;
                    self.stills.saw(&seen);
                    if let Some(new) = sight.look(&seen) {
                        self.camera.set_motion_problem(if new == Sight::Lost { LIGHT_SWINGS } else { "" });
                    }
                    machine.handle(&seen)
                }
                // Only an open event has a deadline: it must end although its camera went away.
                () = self.clock.sleep(self.camera.config.record.gap), if machine.is_running() => {
                    machine.tick(self.clock.mono()).into_iter().collect()
                }
                () = shutdown.called() => break,
            };
            for output in outputs {
                self.obey(output).await;
            }
            if let Some(until) = machine.until() {
                self.continues(until);
            }
        }
        self.camera.set_motion_problem("");
        if let Some(output) = machine.finish() {
            self.obey(output).await;
        }
        Ok(AttemptEnd::Done)
    }
}

impl Motion {
    async fn obey(&mut self, output: Output) {
        match output {
            Output::Started { start, since, chapter, peak } => {
                let anchor = self.anchor(chapter);
                self.running = Some(self.started(anchor, start, since, chapter, peak).await);
            }
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

    /// The clock that an event's times are read by: the one of the chapter before, so that they join, unless it was set since.
    fn anchor(&mut self, chapter: u32) -> TimeAnchor {
        let (utc, mono) = (self.clock.utc(), self.clock.mono());
        let before = self.anchor.filter(|a| chapter > 1 && !a.is_broken(utc, mono));
        *self.anchor.insert(before.unwrap_or(TimeAnchor::new(utc, mono)))
    }

    async fn started(&self, anchor: TimeAnchor, start: MonoTime, since: MonoTime, chapter: u32, peak: Peak) -> Running {
        let new = NewEvent {
            camera: self.camera.config.id.clone(),
            kind: EventKind::Motion,
            start: anchor.utc(start),
            since: anchor.utc(since),
            chapter,
            score: peak.score,
            cause: peak.cause,
            boxes: peak.boxes,
        };
        let id = EventId(new.start.as_micros());
        let until = start + self.camera.config.record.post_roll;
        let mut running = Running { id, mark: id, anchor, new, peak_at: peak.at, is_kept: false, until };
        self.keep(&mut running).await;
        running.mark = running.id;
        tracing::info!(camera = %running.new.camera, event = %running.id, score = running.new.score, chapter, "event started");
        self.marks.put(EventMark::Started { id: running.mark, start });
        self.camera.set_last_event(running.new.start);
        running
    }

    /// It still moves.
    fn continues(&mut self, until: MonoTime) {
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
        running.peak_at = peak.at;
        if !running.is_kept {
            return self.keep(running).await;
        }
        let (id, new) = (running.id, running.new.clone());
        let grown = self.in_index(move |index| index.update_event(id, new.score, new.cause, &new.boxes)).await;
        self.announce(id, grown);
        self.stills.want(id, running.peak_at);
    }

    async fn ended(&self, mut running: Running, end: MonoTime) {
        self.marks.put(EventMark::Ended { id: running.mark, end });
        if !running.is_kept {
            self.keep(&mut running).await;
        }
        let utc = running.anchor.utc(end);
        let id = running.id;
        tracing::info!(camera = %running.new.camera, event = %id, "event ended");
        self.announce(id, self.in_index(move |index| index.end_event(id, utc)).await);
    }

    /// Enters the event into the index.
    async fn keep(&self, running: &mut Running) {
        let new = running.new.clone();
        let kept = self.in_index(move |index| index.begin_event(&new)).await;
        if let Ok(event) = &kept {
            running.is_kept = true;
            running.id = event.id;
            self.stills.want(event.id, running.peak_at);
        }
        self.announce(running.id, kept);
    }

    /// Tells everybody of an event, or the log that the index could not take it: live and the recorder go on.
    fn announce(&self, id: EventId, event: Result<Event>) {
        match event {
            Ok(event) => self.camera.publish(Notice::Event { event }),
            Err(e) => {
                tracing::error!(camera = %self.camera.config.id, event = %id, error = %e, "event could not be kept")
            }
        }
    }

    async fn in_index<T: Send + 'static>(&self, call: impl FnOnce(Index) -> Result<T> + Send + 'static) -> Result<T> {
        let index = self.index.clone();
        blocking("the event index", move || call(index)).await
    }
}

#[cfg(test)]
#[path = "motion_tests.rs"]
mod tests;
