//! A recorder with a disk, a database and a clock that are played by a script, for tables and properties.

use super::*;
use crate::archive::GapCause;
use perch_base::ids::EventId;
use perch_base::time::{MonoTime, Timestamp};
use std::time::Duration;

/// A file as it lies on the disk: what it shows, in milliseconds of civil time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct File {
    pub(super) event: Option<EventId>,
    pub(super) gops: Vec<(i64, i64)>,
    tail: bool,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) files: Vec<File>,
    /// Steady and civil time of the open file's start.
    open: Option<(MonoTime, Timestamp)>,
    pub(super) gaps: Vec<(i64, i64, GapCause)>,
    pub(super) published: Vec<RecordingStatus>,
    /// Nothing can be written.
    pub(super) fault: Option<GapCause>,
    /// The database takes nothing.
    pub(super) refuses_gaps: bool,
    /// An event's file came to nothing half way: what it was to take from the files before lies in both.
    pub(super) is_untrimmed: bool,
    /// Steps that failed, and files that were opened or written to.
    pub(super) failures: usize,
    pub(super) touched: usize,
}

/// A recorder in its world. Steady time begins at 0, as does civil time.
pub(super) struct World {
    pub(super) now: Now,
    pub(super) recorder: Recorder<(), u8>,
    pub(super) disk: Disk,
    pub(super) format: Format<u8>,
    /// Bytes of each part.
    pub(super) part_bytes: usize,
    pub(super) event: Option<EventId>,
    pub(super) last_motion: MonoTime,
    /// Failures while it was not paused yet: those that are logged.
    pub(super) news: usize,
    /// When a step failed last.
    failed_at: Option<MonoTime>,
    config: RecordConfig,
    events: i64,
}

pub(super) fn config(mode: RecordMode) -> RecordConfig {
    RecordConfig {
        mode,
        segment_max: Duration::from_secs(10),
        pre_roll: Duration::from_secs(3),
        post_roll: Duration::from_secs(2),
        gap: Duration::from_secs(1),
        chapter: crate::event::EventConfig::CHAPTER,
    }
}

impl World {
    pub(super) fn new(config: RecordConfig) -> Self {
        let now = Now { mono: MonoTime(0), utc: Timestamp(0) };
        let recorder = Recorder::new(config.clone(), now);
        let format = Format { picture: 0, sound: false };
        Self {
            now,
            recorder,
            disk: Disk::default(),
            format,
            part_bytes: 1,
            event: None,
            last_motion: MonoTime(0),
            news: 0,
            failed_at: None,
            config,
            events: 0,
        }
    }

    /// Feeds an input, obeys, and answers. A paused recorder touches no file.
    pub(super) fn feed(&mut self, input: Input<(), u8>) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let steps = self.recorder.handle(self.now, input);
            let (failures, touched) = (self.disk.failures, self.disk.touched);
            next = self.disk.obey(steps, |note| {
                let steps = self.recorder.handle(self.now, Input::NotNoted(note));
                assert!(steps.is_empty(), "a refusal is taken silently");
            });
            let is_paused = self.failed_at.is_some_and(|at| self.now.mono.since(at) < RETRY_AFTER);
            assert!(!is_paused || self.disk.touched == touched, "written while paused: {:?}", self.disk);
            if self.disk.failures > failures {
                self.failed_at = Some(self.now.mono);
                self.news += usize::from(!self.recorder.is_paused());
            }
        }
    }

    pub(super) fn pass(&mut self, ms: i64) {
        self.now.mono.0 += ms * 1_000;
        self.now.utc.0 += ms * 1_000;
    }

    /// The camera delivers a GOP.
    pub(super) fn gop(&mut self, ms: i64, joined: bool) {
        self.part(ms, joined, true);
    }

    /// The camera delivers a part of its stream, which begins with a keyframe or not.
    pub(super) fn part(&mut self, ms: i64, joined: bool, starts: bool) {
        let start = self.now.mono;
        self.pass(ms);
        let (end, format) = (self.now.mono, self.format.clone());
        let part = Part { start, end, joined, starts, size_bytes: self.part_bytes, format, payload: () };
        self.feed(Input::Part(part));
        self.feed(Input::Tick { is_live: true });
    }

    /// The camera delivers pictures of which none can begin a part.
    pub(super) fn starve(&mut self, ms: i64) {
        for _ in 0..ms / 1_000 {
            self.pass(1_000);
            self.feed(Input::Tick { is_live: true });
        }
    }

    /// The camera delivers nothing.
    pub(super) fn silence(&mut self, ms: i64) {
        for _ in 0..ms / 1_000 {
            self.pass(1_000);
            self.feed(Input::Tick { is_live: false });
        }
        self.pass(ms % 1_000);
    }

    pub(super) fn unusable(&mut self, ms: i64) {
        let start = self.now.mono;
        self.pass(ms);
        self.feed(Input::Unusable { start, end: self.now.mono, reason: "the keyframe has no SPS".into() });
    }

    pub(super) fn start_event(&mut self) {
        self.events += 1;
        self.last_motion = self.now.mono;
        self.event = Some(EventId(self.events));
        self.feed(Input::Mark(EventMark::Started { id: EventId(self.events), start: self.now.mono }));
    }

    pub(super) fn continue_event(&mut self) {
        if let Some(id) = self.event {
            self.last_motion = self.now.mono;
            self.feed(Input::Mark(EventMark::Continues { id, until: self.now.mono + self.config.post_roll }));
        }
    }

    pub(super) fn end_event(&mut self, end: MonoTime) {
        if let Some(id) = self.event.take() {
            self.feed(Input::Mark(EventMark::Ended { id, end }));
        }
    }

    /// A long event is cut here.
    pub(super) fn next_chapter(&mut self) {
        if self.event.is_some() {
            self.end_event(self.now.mono);
            self.start_event();
        }
    }
}

impl Disk {
    fn obey(&mut self, steps: Vec<Step<(), u8>>, mut not_noted: impl FnMut(Note)) -> Option<Input<(), u8>> {
        let mut is_asked = false;
        for (i, step) in steps.iter().enumerate() {
            is_asked |= !matches!(step, Step::Publish(_));
            let needs_disk =
                matches!(step, Step::Open { .. } | Step::Write(_) | Step::Seal | Step::Probe | Step::Trim { .. });
            if let Some(cause) = self.fault.filter(|_| needs_disk)
                && step.failure_pauses(Some(cause))
            {
                self.is_untrimmed |= steps[i..].iter().any(|s| matches!(s, Step::Trim { .. }));
                self.failures += 1;
                return Some(Input::Failed { cause: Some(cause), reason: "it fails".into() });
            }
            self.touched += usize::from(matches!(step, Step::Open { .. } | Step::Write(_)));
            self.take(step, &mut not_noted);
        }
        is_asked.then_some(Input::Wrote)
    }

    fn take(&mut self, step: &Step<(), u8>, not_noted: &mut impl FnMut(Note)) {
        match step {
            Step::Open { start, at, event, tail, .. } => {
                assert!(self.open.is_none(), "one file is open at a time");
                self.open = Some((*start, *at));
                self.files.push(File { event: *event, gops: Vec::new(), tail: *tail });
            }
            Step::Write(gop) => {
                let is_first = self.files.last().is_some_and(|f| f.gops.is_empty());
                assert!(gop.starts || !is_first, "a file begins with a keyframe");
                let (start, at) = self.open.expect("a file is open");
                let utc = |t: MonoTime| at.plus_micros(t.micros_since(start)).0 / 1_000;
                self.files.last_mut().expect("the open one").gops.push((utc(gop.start), utc(gop.end)));
            }
            Step::Seal => assert!(self.open.take().is_some(), "only an open file is closed"),
            Step::Abandon => {
                self.open = None;
                self.files.iter_mut().for_each(|f| f.tail = false);
            }
            Step::Tail(fate) => {
                match fate {
                    Fate::Claimed(id) => self.files.iter_mut().filter(|f| f.tail).for_each(|f| f.event = Some(*id)),
                    Fate::Kept => {}
                    Fate::Discarded => self.files.retain(|f| !f.tail),
                }
                self.files.iter_mut().for_each(|f| f.tail = false);
            }
            Step::Trim { at } => {
                let (newest, earlier) = self.files.split_last_mut().expect("the event's file");
                // What ends well after the newest one shows another time: the clock was set back.
                let end = newest.gops.last().expect("its pre-roll").1;
                for f in earlier.iter_mut().filter(|f| f.gops.last().is_some_and(|g| g.1 <= end + 1_000)) {
                    f.gops.retain(|g| g.1 <= at.0 / 1_000 + 1);
                }
            }
            Step::NoteGap(note) if self.refuses_gaps => not_noted(*note),
            Step::NoteGap(Note { from, to, cause }) => {
                assert!(from < to, "a gap has a length");
                self.gaps.push((from.0 / 1_000, to.0 / 1_000, *cause));
            }
            Step::Probe => {}
            Step::Publish(status) => self.published.push(status.clone()),
        }
    }

    /// Runs of what is recorded, by event, in milliseconds.
    pub(super) fn runs(&self) -> Vec<(Option<EventId>, i64, i64)> {
        let full = self.files.iter().filter(|f| !f.gops.is_empty());
        full.map(|f| (f.event, f.gops[0].0, f.gops[f.gops.len() - 1].1)).collect()
    }

    /// Gaps as the index keeps them: those of one cause that touch are one.
    pub(super) fn merged_gaps(&self) -> Vec<(i64, i64, GapCause)> {
        let mut out: Vec<(i64, i64, GapCause)> = Vec::new();
        for &(mut start, mut end, cause) in &self.gaps {
            out.retain(|&(s, e, c)| {
                let touches = c == cause && e >= start && s <= end;
                if touches {
                    (start, end) = (start.min(s), end.max(e));
                }
                !touches
            });
            out.push((start, end, cause));
        }
        out.sort_by_key(|g| (g.0, g.1));
        out
    }
}
