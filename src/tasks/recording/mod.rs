//! Recording: hands closed GOPs and the detector's marks to the recorder machine of `domain`, and does what it says: on the disk
//! (`disk.rs`) on threads that may hang, for people at once.

mod disk;

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod loop_tests;

use crate::camera::Camera;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::wires::MarkQueue;
use crate::worker::Worker;
use disk::{Disk, Picture, RecorderInput, Step, Steps, StoreDisk};
use perch_base::backoff::Backoff;
use perch_base::clock::{SharedClock, within};
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::media::{Stream, Track};
use perch_domain::recording::{Format, Gop, HUNG_AFTER, Input, Now, Recorder};
use perch_domain::task::{RECORDING_PAUSES, TaskId};
use perch_media::gop::{ClosedGop, Gops};
use perch_store::Recordings;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// Closed GOPs that may wait for a slow disk: at one a second some 20 s, at a few hundred kilobytes each.
const QUEUE: usize = 20;
/// How long the disk may take, at an end, over what waits. It then has some seconds to seal the file (8 s in all).
const REST_WITHIN: Duration = Duration::from_secs(3);
/// How often the recorder hears that time passes.
const TICK: Duration = Duration::from_secs(5);

struct Recording<D> {
    camera: Arc<Camera>,
    clock: SharedClock,
    marks: MarkQueue,
    /// Outlives an attempt, so that the gap between two has its cause and an event goes on.
    recorder: Recorder<Arc<ClosedGop>, Picture>,
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
    let disk = StoreDisk::new(recordings.clone(), camera.config.id.clone(), sealed.clone());
    let task = Recording::new(camera.clone(), clock.clone(), camera.wires.marks.clone(), disk)?;
    let id = TaskId::Recording(camera.config.id.clone());
    supervisor.spawn(id, Backoff::new(RECORDING_PAUSES.0, RECORDING_PAUSES.1), task)
}

impl<D: Disk> Task for Recording<D> {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        let mut gops =
            (!self.recorder.is_off()).then(|| Gops::follow(&self.camera.hub, Stream::Main, "recorder", QUEUE));
        let mut tick_at = self.clock.mono() + TICK;
        loop {
            let input = tokio::select! {
                biased;
                () = shutdown.called() => break,
                mark = self.marks.next() => Input::Mark(mark),
                gop = next_gop(&mut gops) => match gop {
                    Some(gop) => self.input_of(gop),
                    None => break,
                },
                () = self.clock.sleep_until(tick_at) => {
                    tick_at = self.clock.mono() + TICK;
                    Input::Tick { is_live: self.camera.health().state.delivers() }
                }
            };
            self.unusable(&gops, &input).await;
            self.feed(input).await;
            self.camera.count_recorder_round();
        }
        self.feed_rest(gops, shutdown).await;
        if shutdown.is_called() {
            self.feed(Input::Stop).await;
            return Ok(AttemptEnd::Done);
        }
        self.feed(Input::CutOff).await;
        Err(Error::new(ErrorKind::Unavailable, "the disk could not keep up and the recorder was cut off"))
    }
}

async fn next_gop(gops: &mut Option<Gops>) -> Option<ClosedGop> {
    match gops {
        Some(gops) => gops.queue.recv().await,
        None => std::future::pending().await,
    }
}

impl<D: Disk> Recording<D> {
    fn new(camera: Arc<Camera>, clock: SharedClock, marks: MarkQueue, disk: D) -> Result<Self> {
        let recorder = Recorder::new(camera.config.record.clone(), now(&clock));
        let steps = Steps::new(disk, camera.config.id.clone());
        let disk = Worker::start(&format!("rec {}", camera.config.id), steps)?;
        Ok(Self { camera, clock, marks, recorder, disk })
    }

    fn input_of(&self, gop: ClosedGop) -> RecorderInput {
        match Picture::of(&gop) {
            Ok(picture) => {
                let sound = gop.packets.iter().any(|p| p.track == Track::Audio);
                let (start, end, joined) = (gop.start, gop.end, gop.joined);
                Input::Gop(Gop { start, end, joined, format: Format { picture, sound }, payload: Arc::new(gop) })
            }
            Err(e) => Input::Unusable { start: gop.start, end: gop.end, reason: e.message().to_owned() },
        }
    }

    /// Feeds what waits: all of it after a cut-off, but once the end was called only as far as the disk takes it soon, as the file
    /// must be sealed before the box ends.
    async fn feed_rest(&mut self, gops: Option<Gops>, shutdown: &Shutdown) {
        while let Some(mark) = self.marks.take() {
            self.feed(Input::Mark(mark)).await;
        }
        let Some(mut gops) = gops else { return };
        gops.detach();
        let mut until = None;
        while let Some(gop) = gops.queue.recv().await {
            let now = self.clock.mono();
            if shutdown.is_called() && now >= *until.get_or_insert(now + REST_WITHIN) {
                let camera = &self.camera.config.id;
                tracing::warn!(%camera, "the disk is too slow to take the last pictures before the end");
                return;
            }
            let input = self.input_of(gop);
            self.feed(input).await;
        }
    }

    /// Says what was thrown away on the way before `next`.
    async fn unusable(&mut self, gops: &Option<Gops>, next: &RecorderInput) {
        let before = match next {
            Input::Gop(gop) => gop.start,
            Input::Tick { .. } => MonoTime(i64::MAX),
            _ => return,
        };
        if let Some((start, end)) = gops.as_ref().and_then(|gops| gops.too_long_before(before)) {
            let reason = "it sends a keyframe so seldom that its pictures cannot be kept until the next one".to_owned();
            self.feed(Input::Unusable { start, end, reason }).await;
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
