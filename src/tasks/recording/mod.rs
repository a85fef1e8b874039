//! Recording: hands parts of the stream and the detector's marks to the recorder machine of `domain`, and does what it says: on the disk
//! (`disk.rs`) on threads that may hang, for people at once.

pub mod disk;

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod loop_tests;

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::wires::MarkQueue;
use crate::worker::Worker;
use disk::{Disk, PartReader, PictureFormat, RecorderInput, Step, Steps, StoreDisk};
use perch_base::backoff::Backoff;
use perch_base::clock::{SharedClock, within};
use perch_base::shutdown::Shutdown;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::media::Stream;
use perch_domain::recording::{HUNG_AFTER, Input, Now, Recorder};
use perch_domain::task::{RECORDING_PAUSES, TaskId};
use perch_media::parts::{PartPackets, Parts};
use perch_store::Recordings;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Parts that may wait for a slow disk: of about a second each some 20 s, at a few hundred kilobytes each.
const QUEUE: usize = 20;
/// How long the disk may take, at an end, over what waits. It then has some seconds to seal the file (8 s in all).
const REST_WITHIN: Duration = Duration::from_secs(3);
/// How often the recorder hears that time passes.
const TICK: Duration = Duration::from_secs(5);
/// How soon that of a camera which was switched off says so.
const SAID_AFTER: Duration = Duration::from_millis(500);

struct Recording<D> {
    camera: Arc<Camera>,
    clock: SharedClock,
    marks: MarkQueue,
    /// Outlives an attempt, so that the gap between two has its cause and an event goes on.
    recorder: Recorder<Arc<PartPackets>, PictureFormat>,
    reader: PartReader,
    /// The disk, on a thread of its own: nobody else's work comes between a camera and its disk.
    disk: Worker<Steps<D>>,
}

/// Records a camera. `sealed` is woken when a file is complete.
pub fn spawn(
    supervisor: &Supervisor,
    camera: &Arc<Camera>,
    recordings: &Recordings,
    clock: &SharedClock,
    sealed: &Arc<Notify>,
) -> Result<()> {
    let off_by = camera.config.off.as_ref().map(|off| off.by.clone());
    let disk = StoreDisk::new(recordings.clone(), camera.config.id.clone(), sealed.clone(), off_by);
    let task = Recording::new(camera.clone(), clock.clone(), camera.wires.marks.clone(), disk)?;
    let id = TaskId::Recording(camera.config.id.clone());
    supervisor.spawn(id, Backoff::new(RECORDING_PAUSES.0, RECORDING_PAUSES.1), task)
}

impl<D: Disk> Task for Recording<D> {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut parts =
            (!self.recorder.is_off()).then(|| Parts::follow(&self.camera.hub, Stream::Main, "recorder", QUEUE));
        // That it was switched off is on the timeline at once.
        let first = if self.camera.config.off.is_some() { SAID_AFTER } else { TICK };
        let mut tick_at = self.clock.mono() + first;
        loop {
            let input = tokio::select! {
                biased;
                () = shutdown.called() => break,
                mark = self.marks.next() => Input::Mark(mark),
                part = next_part(&mut parts) => match part {
                    Some(part) => self.reader.input_of(part),
                    None => break,
                },
                () = self.clock.sleep_until(tick_at) => {
                    tick_at = self.clock.mono() + TICK;
                    self.recorder.set_kept_bytes(self.camera.hub.memory().kept_bytes);
                    Input::Tick { is_live: self.camera.health().state.delivers() }
                }
            };
            self.feed(input).await;
            self.camera.count_recorder_round();
        }
        self.feed_rest(parts, shutdown).await;
        if shutdown.is_called() {
            self.feed(Input::Stop).await;
            return Ok(AttemptEnd::Done);
        }
        self.feed(Input::CutOff).await;
        Err(Error::new(ErrorKind::Unavailable, "the disk could not keep up and the recorder was cut off"))
    }
}

async fn next_part(parts: &mut Option<Parts>) -> Option<PartPackets> {
    match parts {
        Some(parts) => parts.queue.recv().await,
        None => std::future::pending().await,
    }
}

impl<D: Disk> Recording<D> {
    fn new(camera: Arc<Camera>, clock: SharedClock, marks: MarkQueue, disk: D) -> Result<Self> {
        let mut recorder = match camera.config.off {
            Some(_) => Recorder::switched_off(now(&clock)),
            None => Recorder::new(camera.config.record.clone(), now(&clock)),
        };
        recorder.set_kept_bytes(camera.hub.memory().kept_bytes);
        let steps = Steps::new(disk, camera.config.id.clone());
        let disk = Worker::start(&format!("rec {}", camera.config.id), steps)?;
        Ok(Self { camera, clock, marks, recorder, reader: PartReader::default(), disk })
    }

    /// Feeds what waits: all of it after a cut-off, but once the end was called only as far as the disk takes it soon, as the file
    /// must be sealed before the box ends.
    async fn feed_rest(&mut self, parts: Option<Parts>, shutdown: &Shutdown) {
        while let Some(mark) = self.marks.take() {
            self.feed(Input::Mark(mark)).await;
        }
        let Some(mut parts) = parts else { return };
        parts.detach();
        let mut until = None;
        while let Some(part) = parts.queue.recv().await {
            let now = self.clock.mono();
            if shutdown.is_called() && now >= *until.get_or_insert(now + REST_WITHIN) {
                let camera = &self.camera.config.id;
                tracing::warn!(%camera, "the disk is too slow to take the last pictures before the end");
                return;
            }
            let input = self.reader.input_of(part);
            self.feed(input).await;
        }
    }

    /// Feeds the machine, and obeys it.
    async fn feed(&mut self, input: RecorderInput) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let was_paused = self.recorder.is_paused();
            let steps = self.recorder.handle(now(&self.clock), input);
            if was_paused && !self.recorder.is_paused() {
                tracing::info!(camera = %self.camera.config.id, "the disk can be written again: recording goes on");
            }
            inputs.extend(self.obey(steps).await);
        }
    }

    /// Does steps in order; what concerns the disk on its thread, as it may hang. Returns the answers.
    async fn obey(&mut self, steps: Vec<Step>) -> Vec<RecorderInput> {
        let steps = self.publish(steps);
        if steps.is_empty() {
            return Vec::new();
        }
        let (is_paused, at) = (self.recorder.is_paused(), self.clock.mono());
        let done = match self.disk.start_job(move |disk| disk.obey(&steps, is_paused, at)) {
            Ok(mut work) => match within(&self.clock, HUNG_AFTER, &mut work).await {
                Some(done) => done,
                None => {
                    let camera = &self.camera.config.id;
                    match is_paused {
                        false => tracing::error!(%camera, "recording is paused: the disk does not answer"),
                        true => tracing::debug!(%camera, "the disk does not answer yet"),
                    }
                    let steps = self.recorder.handle(now(&self.clock), Input::Hung);
                    self.publish(steps);
                    work.await
                }
            }
            // The machine then gives up what the disk has open.
            .map_err(|e| Error::internal("the recorder panicked over the disk").with_source(e)),
            Err(e) => Err(e),
        };
        done.unwrap_or_else(|e| {
            let camera = &self.camera.config.id;
            match is_paused {
                true => tracing::debug!(%camera, error = %e, "the recorder still fails"),
                false => tracing::error!(%camera, error = %e, "the recorder failed"),
            }
            vec![Input::Failed { cause: None, reason: "the recorder failed".into() }]
        })
    }

    /// Says what there is to be said; returns the other steps.
    fn publish(&self, steps: Vec<Step>) -> Vec<Step> {
        let (said, rest) = steps.into_iter().partition::<Vec<_>, _>(|s| matches!(s, Step::Publish(_)));
        for step in said {
            if let Step::Publish(status) = step {
                self.camera.set_recording(status);
            }
        }
        rest
    }
}

fn now(clock: &SharedClock) -> Now {
    Now { mono: clock.mono(), utc: clock.utc() }
}
