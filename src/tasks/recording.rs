//! Recording: hands closed GOPs and events to the recorder machine and writes what it says. A disk that cannot be written
//! pauses recording with a reason; it goes on by itself.

use crate::cameras::Camera;
use crate::supervisor::{Ended, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::{EventId, SegmentId};
use perch_base::shutdown::Shutdown;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::GapCause;
use perch_domain::health::CameraState;
use perch_domain::media::{Stream, Track};
use perch_domain::playback::JOIN_US;
use perch_domain::recording::{Fate, Gop, RecordMode, Recorder, Step, TimeAnchor};
use perch_domain::status::RecordingState;
use perch_domain::task::TaskId;
use perch_media::gop::{ClosedGop, Gops};
use perch_store::{GopPackets, SegmentWriter, Store, TrackFormat, write_fault};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Closed GOPs that may wait for a slow disk: at one a second some 20 s, at a few hundred kilobytes each.
const QUEUE: usize = 20;
/// How long a paused recorder waits before it tries the disk again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// A disk that takes longer than this over one step is told as hung.
const HUNG_AFTER: Duration = Duration::from_secs(15);
/// A camera without a GOP for this long is a gap in its recording.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// The cause of a gap that goes on is entered this often: answers tell it until now (see `playback::ONGOING_US`), and a card wears.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// What the motion task tells the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventMark {
    /// First motion at `start`.
    Started { id: EventId, start: MonoTime },
    /// It still moves: recording goes on at least until `until`.
    Continues { id: EventId, until: MonoTime },
    /// Recording goes on until `end`, which may have passed.
    Ended { id: EventId, end: MonoTime },
}

struct Recording {
    camera: Arc<Camera>,
    store: Store,
    clock: SharedClock,
    sealed: Arc<Notify>,
}

struct RecordingTask {
    recording: Arc<Recording>,
    marks: mpsc::Receiver<EventMark>,
    /// The marks of the newest event: a recorder that is run again goes on with it.
    newest_event: Vec<EventMark>,
}

/// Records a camera. `sealed` is woken when a file is complete.
pub fn spawn(
    supervisor: &Supervisor,
    camera: &Arc<Camera>,
    store: &Store,
    clock: &SharedClock,
    marks: mpsc::Receiver<EventMark>,
    sealed: &Arc<Notify>,
) -> Result<()> {
    let id = TaskId::Recording(camera.config.id.clone());
    let recording =
        Recording { camera: camera.clone(), store: store.clone(), clock: clock.clone(), sealed: sealed.clone() };
    let task = RecordingTask { recording: Arc::new(recording), marks, newest_event: Vec::new() };
    supervisor.spawn(id, Backoff::new(Duration::from_secs(1), Duration::from_secs(30)), task)
}

enum Input {
    Gop(ClosedGop),
    Mark(EventMark),
    Silent,
}

impl Task for RecordingTask {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<Ended> {
        let task = self.recording.clone();
        if task.camera.config.record.mode == RecordMode::Off {
            return be_off(&task, &mut self.marks, shutdown).await;
        }
        let mut gops = Gops::follow(&task.camera.hub, Stream::Main, "recorder", QUEUE);
        let mut disk = Some(Disk::new(task.clone()));
        for mark in self.newest_event.clone() {
            disk = Some(Disk::step(disk, Input::Mark(mark)).await?);
        }
        let mut marks_open = true;
        loop {
            let input = tokio::select! {
                biased;
                mark = self.marks.recv(), if marks_open => match mark {
                    Some(mark) => {
                        self.remember(mark);
                        Input::Mark(mark)
                    }
                    None => { marks_open = false; continue }
                },
                gop = gops.queue.recv() => match gop {
                    Some(gop) => Input::Gop(gop),
                    None => break,
                },
                () = task.clock.sleep(SILENT_AFTER) => Input::Silent,
                () = shutdown.called() => break,
            };
            disk = Some(Disk::step(disk, input).await?);
            task.camera.count_recorder_round();
        }
        let was_cut_off = !shutdown.is_called();
        gops.detach();
        while let Some(gop) = gops.queue.recv().await {
            disk = Some(Disk::step(disk, Input::Gop(gop)).await?);
        }
        if let Some(mut disk) = disk {
            let closing = tokio::task::spawn_blocking(move || disk.finish());
            closing.await.map_err(|e| Error::internal("the recorder panicked").with_source(e))?;
        }
        match was_cut_off {
            true => Err(Error::new(ErrorKind::Unavailable, "the disk could not keep up and the recorder was cut off")),
            false => Ok(Ended::Done),
        }
    }
}

/// Recording is set to `off`: takes the marks that still come, and says on the timeline why nothing is there.
async fn be_off(task: &Recording, marks: &mut mpsc::Receiver<EventMark>, shutdown: &mut Shutdown) -> Result<Ended> {
    let began = task.clock.mono();
    let mut anchor = TimeAnchor::new(task.clock.utc(), began);
    let mut told = began;
    let mut marks_open = true;
    let mut ended = false;
    while !ended {
        tokio::select! {
            mark = marks.recv(), if marks_open => marks_open = mark.is_some(),
            () = task.clock.sleep(NOTE_EVERY) => {}
            () = shutdown.called() => ended = true,
        }
        let (store, camera) = (task.store.clone(), task.camera.config.id.clone());
        let (utc, mono) = (task.clock.utc(), task.clock.mono());
        let set = if anchor.is_broken(utc, mono) { TimeAnchor::new(utc, mono) } else { anchor };
        let skipped = anchor.skipped(&set, began, told).filter(|_| set != anchor);
        (anchor, told) = (set, mono);
        let noted = tokio::task::spawn_blocking(move || {
            if let Some((from, to)) = skipped {
                store.note_gap(&camera, from, to, GapCause::BoxOff)?;
            }
            store.note_gap(&camera, set.utc(began), set.utc(mono), GapCause::RecordingOff)
        })
        .await;
        task.camera.count_recorder_round();
        match noted {
            Ok(Ok(())) => {}
            // The timeline then does not say why nothing is there; status tells of the disk.
            Ok(Err(e)) => {
                tracing::debug!(camera = %task.camera.config.id, error = %e, "that recording is off was not kept")
            }
            Err(e) => return Err(Error::internal("noting that recording is off panicked").with_source(e)),
        }
    }
    Ok(Ended::Done)
}

impl RecordingTask {
    fn remember(&mut self, mark: EventMark) {
        let newest = &mut self.newest_event;
        match mark {
            EventMark::Started { .. } => newest.clear(),
            // The newest of them says it all.
            EventMark::Continues { .. } => newest.retain(|m| !matches!(m, EventMark::Continues { .. })),
            EventMark::Ended { .. } => {}
        }
        newest.push(mark);
    }
}

/// The recorder machine with the file it writes; lives on blocking threads.
struct Disk {
    task: Arc<Recording>,
    machine: Recorder<Arc<ClosedGop>>,
    writer: Option<SegmentWriter>,
    /// The files of the tail, and when it began.
    tail: Vec<SegmentId>,
    tail_start: MonoTime,
    file_start: MonoTime,
    /// What time it is. Moments are remembered in steady time, so that they stay true when the clock is set.
    anchor: TimeAnchor,
    /// When this attempt began.
    began: MonoTime,
    paused: Option<Pause>,
    /// No GOP came for [`SILENT_AFTER`].
    silent: bool,
    /// Where the last GOP that was seen ended; before the first one, when this attempt began.
    last_end: MonoTime,
    /// Whether the next GOP is expected to join the last one.
    last_joined: bool,
    /// Since when nothing is written because nothing moves.
    quiet_since: Option<MonoTime>,
    /// When the gap that goes on was entered last.
    noted_at: Option<MonoTime>,
    lost_reported: bool,
    /// What the last GOP was made of.
    format: Option<TrackFormat>,
}

struct Pause {
    since: MonoTime,
    retry_at: MonoTime,
    cause: GapCause,
}

impl Disk {
    fn new(task: Arc<Recording>) -> Self {
        let machine = Recorder::new(task.camera.config.record.clone());
        let began = task.clock.mono();
        let anchor = TimeAnchor::new(task.clock.utc(), began);
        Self {
            task,
            machine,
            writer: None,
            tail: Vec::new(),
            tail_start: began,
            file_start: MonoTime(0),
            anchor,
            began,
            paused: None,
            silent: false,
            last_end: began,
            last_joined: false,
            quiet_since: None,
            noted_at: None,
            lost_reported: false,
            format: None,
        }
    }

    /// Handles one input on a blocking thread: the disk must not hold up other tasks.
    async fn step(disk: Option<Self>, input: Input) -> Result<Self> {
        let mut disk = disk.ok_or_else(|| Error::internal("the recorder's state is gone"))?;
        let (camera, clock) = (disk.task.camera.clone(), disk.task.clock.clone());
        let mut joined = tokio::task::spawn_blocking(move || {
            disk.handle(input);
            disk
        });
        let done = match within(&clock, HUNG_AFTER, &mut joined).await {
            Some(done) => done,
            None => {
                camera.set_recording(RecordingState::Paused, "the disk does not answer");
                joined.await
            }
        };
        done.map_err(|e| Error::internal("the recorder panicked").with_source(e))
    }

    fn handle(&mut self, input: Input) {
        self.follow_clock();
        match input {
            Input::Mark(EventMark::Started { id, start }) => {
                let steps = self.machine.event_started(id, start);
                self.obey(steps);
            }
            Input::Mark(EventMark::Continues { id, until }) => {
                let steps = self.machine.event_continues(id, until);
                self.obey(steps);
            }
            Input::Mark(EventMark::Ended { id, end }) => {
                let steps = self.machine.event_ended(id, end);
                self.obey(steps);
            }
            Input::Silent => self.camera_is_silent(),
            Input::Gop(gop) => self.gop(gop),
        }
        self.explain();
        self.publish();
    }

    /// A clock that was set begins a new file.
    fn follow_clock(&mut self) {
        let (utc, mono) = (self.task.clock.utc(), self.task.clock.mono());
        if !self.anchor.is_broken(utc, mono) {
            return;
        }
        tracing::warn!(camera = %self.task.camera.config.id, "the clock was set: recording starts a new file");
        let steps = self.machine.interrupt();
        self.obey(steps);
        let mut told = self.last_end;
        if let Some((since, cause)) = self.ongoing() {
            self.note_gap(since, mono, cause);
            told = mono;
        }
        self.noted_at = None;
        let set = TimeAnchor::new(utc, mono);
        let before = std::mem::replace(&mut self.anchor, set);
        if let Some((from, to)) = before.skipped(&set, self.began, told) {
            self.note(from, to, GapCause::BoxOff);
        }
    }

    /// The gap that goes on: since when, and why.
    fn ongoing(&self) -> Option<(MonoTime, GapCause)> {
        match &self.paused {
            Some(p) => Some((p.since, p.cause)),
            None if self.silent => Some((self.last_end, GapCause::CameraUnavailable)),
            None => self.quiet_since.map(|since| (since, GapCause::NoMotion)),
        }
    }

    /// Enters the cause of a gap that goes on.
    fn explain(&mut self) {
        let now = self.task.clock.mono();
        match self.ongoing() {
            None => self.noted_at = None,
            Some(_) if self.noted_at.is_some_and(|at| now.since(at) < NOTE_EVERY) => {}
            Some((since, cause)) => {
                self.noted_at = Some(now);
                self.note_gap(since, now, cause);
            }
        }
    }

    /// Nothing moved until `end`; what comes is another matter.
    fn end_quiet(&mut self, end: MonoTime) {
        if let Some(since) = self.quiet_since.take() {
            self.note_gap(since, end, GapCause::NoMotion);
        }
    }

    fn gop(&mut self, gop: ClosedGop) {
        self.explain_hole(gop.start);
        self.last_end = gop.end;
        self.last_joined = gop.joined;
        if self.paused.as_ref().is_some_and(|p| self.task.clock.mono() < p.retry_at) {
            return;
        }
        if let Err(e) = self.follow_format(&gop) {
            return self.pause(e);
        }
        let (joined, start) = (gop.joined, gop.start);
        let steps = self.machine.gop(Gop { start: gop.start, end: gop.end, payload: Arc::new(gop) });
        let wrote = steps.iter().any(|s| matches!(s, Step::Write(_)));
        self.obey(steps);
        if wrote && self.writer.is_some() {
            self.resumed();
        } else if !wrote {
            self.nothing_to_write(start);
        }
        if !joined {
            let steps = self.machine.interrupt();
            self.obey(steps);
        }
    }

    /// A hole before `start`: the camera was away, or GOPs were lost because the disk did not keep up.
    fn explain_hole(&mut self, start: MonoTime) {
        let was_silent = std::mem::take(&mut self.silent);
        if self.paused.is_some() || start.micros_since(self.last_end) <= JOIN_US {
            return;
        }
        let cause = if was_silent || !self.last_joined { GapCause::CameraUnavailable } else { GapCause::DiskError };
        self.note_gap(self.last_end, start, cause);
    }

    /// Nothing moves. A paused recorder asks the disk whether it is well again: no write will tell.
    fn nothing_to_write(&mut self, start: MonoTime) {
        if let Some(p) = &mut self.paused {
            if self.task.store.probe_write().is_err() {
                p.retry_at = self.task.clock.mono() + RETRY_AFTER;
                return;
            }
            self.resumed();
        }
        self.quiet_since.get_or_insert(start);
    }

    /// A file has one format: another picture size, or sound that begins, needs a file of its own.
    fn follow_format(&mut self, gop: &ClosedGop) -> Result<()> {
        let has_audio = gop.packets.iter().any(|p| p.track == Track::Audio);
        let mut format = TrackFormat::from_keyframe(&gop.packets[0].data, has_audio)?;
        let Some(before) = self.format.as_ref().filter(|_| self.writer.is_some()) else {
            self.format = Some(format);
            return Ok(());
        };
        // Sound may pause within a file that has a track for it.
        format.has_audio |= before.has_audio;
        let steps = if (&format.sps, &format.pps) != (&before.sps, &before.pps) {
            self.machine.interrupt()
        } else if format.has_audio != before.has_audio {
            self.machine.split()
        } else {
            return Ok(());
        };
        self.format = Some(format);
        self.obey(steps);
        Ok(())
    }

    fn camera_is_silent(&mut self) {
        // A camera whose GOPs are long is not silent.
        if self.task.camera.health().state == CameraState::Live {
            return;
        }
        self.silent = true;
        self.end_quiet(self.last_end);
        let steps = self.machine.interrupt();
        self.obey(steps);
    }

    fn obey(&mut self, steps: Vec<Step<Arc<ClosedGop>>>) {
        for i in 0..steps.len() {
            if let Err(e) = self.take(&steps, i) {
                self.pause(e);
                return;
            }
        }
    }

    fn take(&mut self, steps: &[Step<Arc<ClosedGop>>], i: usize) -> Result<()> {
        let camera = &self.task.camera.config.id;
        match &steps[i] {
            Step::Open { start, event, tail } => {
                let first = steps[i..].iter().find_map(|s| match s {
                    Step::Write(g) => Some(&g.payload),
                    _ => None,
                });
                let first = first.ok_or_else(|| Error::internal("a file was opened with nothing to write"))?;
                let has_sound = |g: &Gop<Arc<ClosedGop>>| g.payload.packets.iter().any(|p| p.track == Track::Audio);
                let here = steps.iter().any(|s| matches!(s, Step::Write(g) if has_sound(g)));
                // The last frames of a stream may come without a packet of sound; their file has a track for it all the same.
                let has_audio = here || self.format.as_ref().is_some_and(|f| f.has_audio);
                let format = TrackFormat::from_keyframe(&first.packets[0].data, has_audio)?;
                let writer = self.task.store.create_segment(camera, self.anchor.utc(*start), *event, &format)?;
                if *tail {
                    if self.tail.is_empty() {
                        self.tail_start = *start;
                    }
                    self.tail.push(writer.id());
                }
                self.writer = Some(writer);
                self.format = Some(format);
                self.file_start = *start;
                self.end_quiet(*start);
            }
            Step::Write(gop) => {
                if let Some(writer) = &mut self.writer {
                    let packets = GopPackets { packets: gop.payload.packets.clone(), end: gop.end };
                    writer.write_gop(self.file_start, &packets)?;
                }
            }
            Step::Seal => {
                if let Some(writer) = self.writer.take() {
                    writer.seal()?;
                    self.task.sealed.notify_one();
                }
            }
            Step::Tail(fate) => {
                let files = std::mem::take(&mut self.tail);
                let settled = match fate {
                    Fate::Claimed(event) => self.task.store.claim_segments(&files, *event),
                    Fate::Kept => Ok(()),
                    Fate::Discarded => {
                        self.quiet_since = Some(self.tail_start);
                        self.task.store.discard_segments(&files)
                    }
                };
                // They stay on the disk as background.
                self.go_on(settled, "files after an event could not be given to it or removed")?;
            }
            Step::TrimBefore { at } => {
                let cut = self.task.store.trim_before(camera, self.anchor.utc(*at));
                // What is recorded twice is cut at the next start; the event's own file must go on.
                self.go_on(cut, "an earlier file could not be cut")?;
            }
        }
        Ok(())
    }

    /// Lets only a disk that cannot be written stop the recorder.
    fn go_on(&self, result: Result<()>, what: &str) -> Result<()> {
        match result {
            Err(e) if write_fault(&e).is_none() => {
                tracing::warn!(camera = %self.task.camera.config.id, error = %e, "{what}");
                Ok(())
            }
            other => other,
        }
    }

    fn pause(&mut self, error: Error) {
        let cause = write_fault(&error).unwrap_or(GapCause::Unknown);
        self.writer = None;
        // What became of the tail is not known any more: its files stay, as background.
        self.tail.clear();
        self.machine.abandon();
        let retry_at = self.task.clock.mono() + RETRY_AFTER;
        match &mut self.paused {
            Some(p) => p.retry_at = retry_at,
            None => {
                let since = self.last_end;
                self.paused = Some(Pause { since, retry_at, cause });
                // A full disk may be retention's to mend.
                self.task.sealed.notify_one();
            }
        }
        self.task.camera.set_recording(RecordingState::Paused, &error.to_string());
    }

    fn resumed(&mut self) {
        if let Some(p) = self.paused.take() {
            tracing::info!(camera = %self.task.camera.config.id, "recording goes on");
            self.note_gap(p.since, self.task.clock.mono(), p.cause);
        }
    }

    fn note_gap(&mut self, start: MonoTime, end: MonoTime, cause: GapCause) {
        self.note(self.anchor.utc(start), self.anchor.utc(end), cause);
    }

    fn note(&mut self, start: Timestamp, end: Timestamp, cause: GapCause) {
        if start >= end {
            return;
        }
        let noted = self.task.store.note_gap(&self.task.camera.config.id, start, end, cause);
        if let Err(e) = noted
            && !std::mem::replace(&mut self.lost_reported, true)
        {
            tracing::warn!(camera = %self.task.camera.config.id, error = %e, "the cause of a gap could not be kept");
        }
    }

    fn publish(&self) {
        if self.paused.is_some() {
            return;
        }
        let camera = &self.task.camera;
        match (self.silent, self.writer.is_some()) {
            (true, _) => camera.set_recording(RecordingState::Waiting, "waiting for the camera"),
            (false, true) => camera.set_recording(RecordingState::Recording, ""),
            (false, false) if self.machine.mode() == RecordMode::Motion => {
                camera.set_recording(RecordingState::Waiting, "waiting for motion");
            }
            (false, false) => camera.set_recording(RecordingState::Waiting, "waiting for a picture"),
        }
    }

    /// The box goes down: close the file.
    fn finish(&mut self) {
        self.end_quiet(self.last_end);
        let steps = self.machine.interrupt();
        self.obey(steps);
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
