//! Motion: feeds small pictures to the detector and its words to the event machine; starts and ends events in the index and at
//! the recorder, and asks for their stills. The detector looks on a thread of its own: it computes for milliseconds, and
//! nobody's waiting for a disk comes between it and a picture.

mod entries;

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::wires::{LumaFollower, MarkQueue, StillQueue};
use crate::worker::Worker;
use entries::{Entered, EventIndex};
use perch_base::backoff::Backoff;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::EventId;
use perch_base::repeated::Repeated;
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::EventKind;
use perch_domain::event::{EventConfig, EventMachine, Output, Peak, goes_on_until, is_worth_reporting};
use perch_domain::event_entries::Entries;
use perch_domain::motion::{Detection, Detector, LIGHT_SWINGS, Luma, MotionConfig, Sight, SightWatch};
use perch_domain::recording::{EventMark, TimeAnchor};
use perch_domain::status::Notice;
use perch_domain::task::TaskId;
use perch_media::capture::LumaFrame;
use perch_store::{Index, NewEvent};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

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

struct Motion<I> {
    camera: Arc<Camera>,
    index: I,
    clock: SharedClock,
    marks: MarkQueue,
    stills: StillQueue,
    frames: LumaFollower,
    /// Makes the detector of an attempt, which learns the scene again.
    detector: fn(&MotionConfig) -> Box<dyn Detect>,
    /// The event that goes on; an attempt that broke off leaves it to the next one.
    running: Option<Running>,
    /// The clock at the start of what goes on: its chapters join by it.
    anchor: Option<TimeAnchor>,
    /// What the index has yet to take: it may hang, and live, the detector and the recorder go on.
    entries: Entries<NewEvent>,
    /// What it is asked to take just now.
    entering: Option<JoinHandle<Entered>>,
    /// Why the index does not keep events.
    failures: Repeated,
}

/// The event that goes on. It is recorded even while the index cannot take it; then it is entered later.
#[derive(Clone, Debug)]
struct Running {
    /// What the recorder knows it by: the index may have to give it another id.
    mark: EventId,
    /// The clock at its start: it lasted as long as it lasted, though the clock was set meanwhile.
    anchor: TimeAnchor,
    /// Until when the recorder was asked to go on.
    until: MonoTime,
}

/// How long the index may take at the end over what waits.
const LAST_WITHIN: Duration = Duration::from_secs(5);

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
        entries: Entries::default(),
        entering: None,
        failures: Repeated::default(),
    };
    supervisor.spawn(id, Backoff::new(Duration::from_millis(500), Duration::from_secs(30)), task)
}

impl<I: EventIndex> Task for Motion<I> {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let config = &self.camera.config;
        let detector = Worker::start(&format!("motion {}", config.id), (self.detector)(&config.motion))?;
        let mut machine = EventMachine::new(EventConfig::from(&self.camera.config.record));
        let mut sight = SightWatch::default();
        // A new detector learns the light again.
        self.camera.set_motion_problem("");
        // The last attempt broke off in the middle of it.
        if self.running.is_some() {
            self.obey(Output::Ended { last_motion: self.clock.mono(), end: self.clock.mono() });
        }
        loop {
            self.enter_next();
            let outputs = tokio::select! {
                frame = self.frames.next() => {
                    let Some(frame) = frame else { break };
                    let looks = detector.start_job(move |detector| detector.look(&frame))?;
                    let seen = looks.await.map_err(|e| Error::internal("the motion detector panicked").with_source(e))?;
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
                entered = answer(&mut self.entering) => {
                    self.entered(entered);
                    Vec::new()
                }
                () = shutdown.called() => break,
            };
            for output in outputs {
                self.obey(output);
            }
            if let Some(until) = machine.until() {
                self.continues(until);
            }
        }
        self.camera.set_motion_problem("");
        if let Some(output) = machine.finish() {
            self.obey(output);
        }
        let clock = self.clock.clone();
        if within(&clock, LAST_WITHIN, self.enter_all()).await.is_none() {
            tracing::error!(camera = %self.camera.config.id, "the index hangs: not all events are kept in it");
        }
        Ok(AttemptEnd::Done)
    }
}

/// The index's answer, once it was asked and answers.
async fn answer(entering: &mut Option<JoinHandle<Entered>>) -> Result<Entered> {
    match entering {
        Some(asked) => {
            let answered = asked.await;
            *entering = None;
            answered.map_err(|e| Error::internal("the event index panicked").with_source(e))
        }
        None => std::future::pending().await,
    }
}

impl<I: EventIndex> Motion<I> {
    fn obey(&mut self, output: Output) {
        match output {
            Output::Started { start, since, chapter, peak } => {
                let anchor = self.anchor(chapter);
                self.running = Some(self.started(anchor, start, since, chapter, peak));
            }
            Output::Grew { peak } => {
                if let Some(running) = &self.running {
                    self.entries.grew(running.mark, peak);
                }
            }
            Output::Ended { end, .. } => {
                if let Some(running) = self.running.take() {
                    self.marks.put(EventMark::Ended { id: running.mark, end });
                    self.entries.ended(running.mark, running.anchor.utc(end));
                    tracing::info!(camera = %self.camera.config.id, event = %running.mark, "event ended");
                }
            }
        }
    }

    /// The clock that an event's times are read by.
    fn anchor(&mut self, chapter: u32) -> TimeAnchor {
        let (utc, mono) = (self.clock.utc(), self.clock.mono());
        let anchor = TimeAnchor::of_chapter(chapter, self.anchor, utc, mono);
        *self.anchor.insert(anchor)
    }

    /// The recorder hears first, and whatever the index does.
    fn started(&mut self, anchor: TimeAnchor, start: MonoTime, since: MonoTime, chapter: u32, peak: Peak) -> Running {
        let new = self.index.promise(NewEvent {
            id: EventId(0),
            camera: self.camera.config.id.clone(),
            kind: EventKind::Motion,
            start: anchor.utc(start),
            since: anchor.utc(since),
            chapter,
            score: peak.score,
            cause: peak.cause,
            boxes: peak.boxes.clone(),
        });
        let mark = new.id;
        self.marks.put(EventMark::Started { id: mark, start });
        tracing::info!(camera = %new.camera, event = %mark, score = new.score, chapter, "event started");
        self.camera.set_last_event(new.start);
        if let Some(lost) = self.entries.started(mark, new, peak) {
            self.not_kept(Some(lost.mark), &Error::new(ErrorKind::Unavailable, "the index hangs"));
        }
        Running { mark, anchor, until: goes_on_until(start, self.camera.config.record.post_roll) }
    }

    /// It still moves.
    fn continues(&mut self, until: MonoTime) {
        if let Some(running) = self.running.as_mut()
            && is_worth_reporting(running.until, until)
        {
            running.until = until;
            let id = running.mark;
            self.marks.put(EventMark::Continues { id, until });
        }
    }

    /// Asks the index to take what waits, unless it was asked and has not answered.
    fn enter_next(&mut self) {
        if self.entering.is_none()
            && let Some(entry) = self.entries.due()
        {
            let index = self.index.clone();
            self.entering = Some(tokio::task::spawn_blocking(move || entries::enter(&index, entry)));
        }
    }

    /// The index answered: everybody hears of the event, or the log that it could not be taken.
    fn entered(&mut self, entered: Result<Entered>) {
        match entered {
            Ok(entered) => {
                self.entries.entered(&entered.entry);
                if let Some((event, at)) = entered.wants_still {
                    self.stills.want(event, at);
                }
                match &entered.failed {
                    Some(e) => self.not_kept(Some(entered.entry.mark), e),
                    None => {
                        if let Some(repeats) = self.failures.ended() {
                            tracing::info!(camera = %self.camera.config.id, repeats, "events are kept again");
                        }
                    }
                }
                entered.events.into_iter().for_each(|event| self.camera.publish(Notice::Event { event }));
            }
            Err(e) => self.not_kept(None, &e),
        }
    }

    /// The index did not keep an event: what it does to one it does to the next, and to each word of the same.
    fn not_kept(&self, event: Option<EventId>, e: &Error) {
        let (camera, event) = (&self.camera.config.id, event.map(tracing::field::display));
        match self.failures.is_news(e.message(), self.clock.mono()) {
            true => tracing::error!(%camera, event, error = %e, "an event could not be kept in the index"),
            false => tracing::debug!(%camera, event, error = %e, "nor could this event be kept in the index"),
        }
    }

    async fn enter_all(&mut self) {
        loop {
            self.enter_next();
            if self.entering.is_none() {
                return;
            }
            let entered = answer(&mut self.entering).await;
            self.entered(entered);
        }
    }
}

#[cfg(test)]
#[path = "motion_tests.rs"]
mod tests;
