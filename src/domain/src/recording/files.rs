//! Which GOP goes into which file. Knows nothing of disks that fail, of gaps or of civil time: see [`super::session`].

use super::{EventMark, Fate, Format, Gop, RecordConfig, RecordMode};
use crate::event::{REPORT_EVERY, goes_on_until};
use perch_base::ids::EventId;
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// What is done with files, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FileStep<P, F> {
    /// Begin a file.
    Open { start: MonoTime, event: Option<EventId>, tail: bool, format: Format<F> },
    /// Append one fragment.
    Write(Gop<P, F>),
    /// Close the file.
    Seal,
    /// It is known what the files of the tail are.
    Tail(Fate),
    /// Cut every earlier file back to end at `at`.
    Trim { at: MonoTime },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct OpenEvent {
    id: EventId,
    /// First motion.
    start: MonoTime,
    /// Last motion + post-roll, as far as it is known.
    until: MonoTime,
    /// Nothing will move it any more.
    over: bool,
    /// `until` lies behind, but motion may come back: what is written now goes into files of its own.
    tail: bool,
}

/// Two GOPs further apart than this do not join.
const HOLE: Duration = Duration::from_millis(100);

/// An end that lies so little behind what was known does not make the tail the event's: that it goes on is reported in steps, and the
/// tail reaches over the whole gap.
const LATE_WORD: Duration = Duration::from_micros(REPORT_EVERY.as_micros() as u64 * 3 / 2);

/// Events that may wait for their pictures. More come only without any picture, and then there is nothing to give to them.
const MAX_WAITING: usize = 64;

/// One camera's files.
///
/// Keeps the pre-roll in memory in both modes (GOPs are shared, not copied). When an event starts, a new file begins at the
/// pre-roll's keyframe from memory and, in continuous mode, the file before it is cut there, so an event is whole files. When its
/// post-roll has passed, its file ends; whether what follows is the event's as well is known only after the gap, so until then it
/// goes into a tail, which is then claimed, kept or discarded as whole files.
///
/// Marks may come long before their pictures, when GOPs wait for a slow disk: an event waits until its own are there, so that it
/// takes none from the event before.
#[derive(Debug)]
pub(super) struct Files<P, F> {
    config: RecordConfig,
    ring: VecDeque<Gop<P, F>>,
    /// The open file: when it began, and what it holds.
    file: Option<(MonoTime, Format<F>)>,
    /// Whether the stream has sound. The last frames may come without a packet of it; their file has a track for it all the same.
    sound: bool,
    /// Start and end of the newest GOP, written or not.
    newest: (MonoTime, MonoTime),
    event: Option<OpenEvent>,
    /// Events whose pictures are still to come, in order.
    waiting: VecDeque<OpenEvent>,
    /// No new file may begin before this: it holds an earlier event's motion.
    floor: MonoTime,
    /// When the last event was over.
    last_end: Option<MonoTime>,
}

impl<P: Clone, F: Clone + PartialEq> Files<P, F> {
    /// With nothing open.
    pub(super) fn new(config: RecordConfig) -> Self {
        Self {
            config,
            ring: VecDeque::new(),
            file: None,
            sound: false,
            newest: (MonoTime(i64::MIN), MonoTime(i64::MIN)),
            event: None,
            waiting: VecDeque::new(),
            floor: MonoTime(i64::MIN),
            last_end: None,
        }
    }

    /// Whether a file is open.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// A GOP was completed.
    pub(super) fn gop(&mut self, gop: Gop<P, F>) -> Vec<FileStep<P, F>> {
        let mut steps = Vec::new();
        // GOPs were lost on the way, or the picture has another size: what came before is another file's.
        let breaks = |last: &Gop<P, F>| gop.start.since(last.end) > HOLE || gop.format.picture != last.format.picture;
        if self.ring.back().is_some_and(breaks) {
            steps.extend(self.interrupt());
        }
        self.follow_sound(&gop, &mut steps);
        let joined = gop.joined;
        self.newest = (gop.start, gop.end);
        self.remember(gop.clone());
        let is_written = self.settle(&mut steps);
        self.begin_tail(&mut steps);
        if !is_written && (self.config.mode == RecordMode::Continuous || self.event.is_some()) {
            self.write(gop, &mut steps);
        }
        if !joined {
            steps.extend(self.interrupt());
        }
        steps
    }

    /// A GOP came that cannot be written: the events go on without it.
    pub(super) fn pass(&mut self, start: MonoTime, end: MonoTime) -> Vec<FileStep<P, F>> {
        let mut steps = self.interrupt();
        self.newest = (start, end);
        self.settle(&mut steps);
        steps
    }

    /// The motion detector's word.
    pub(super) fn mark(&mut self, mark: EventMark) -> Vec<FileStep<P, F>> {
        match mark {
            EventMark::Started { id, start } => self.started(id, start),
            EventMark::Continues { id, until } => self.continues(id, until),
            EventMark::Ended { id, end } => self.ended(id, end),
        }
    }

    fn started(&mut self, id: EventId, start: MonoTime) -> Vec<FileStep<P, F>> {
        let mut steps = Vec::new();
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.pop_front();
        }
        let until = goes_on_until(start, self.config.post_roll);
        self.waiting.push_back(OpenEvent { id, start, until, over: false, tail: false });
        self.settle(&mut steps);
        steps
    }

    fn continues(&mut self, id: EventId, until: MonoTime) -> Vec<FileStep<P, F>> {
        let mut steps = Vec::new();
        if let Some(e) = self.event_of(id) {
            e.until = e.until.max(until);
            if std::mem::take(&mut e.tail) {
                steps.push(FileStep::Tail(Fate::Claimed(id)));
            }
        }
        steps
    }

    fn ended(&mut self, id: EventId, end: MonoTime) -> Vec<FileStep<P, F>> {
        let mut steps = Vec::new();
        let Some(e) = self.event_of(id) else { return steps };
        let longer = end.since(e.until) > LATE_WORD;
        (e.until, e.over) = (end, true);
        if longer && std::mem::take(&mut e.tail) {
            steps.push(FileStep::Tail(Fate::Claimed(id)));
        }
        // It is closed with the next GOP: a chapter that follows, whose mark comes next, takes the tail over.
        steps
    }

    /// Nothing more comes.
    pub(super) fn finish(&mut self) -> Vec<FileStep<P, F>> {
        let mut steps = self.interrupt();
        if self.event.is_some_and(|e| e.over && e.tail) {
            self.close_event(&mut steps);
        }
        steps
    }

    /// The source broke off or its clock jumped: nothing before may be joined to what comes.
    pub(super) fn interrupt(&mut self) -> Vec<FileStep<P, F>> {
        self.ring.clear();
        self.split()
    }

    /// Writing failed: the file is given up; a new one is opened when GOPs come again.
    pub(super) fn abandon(&mut self) {
        self.ring.clear();
        self.file = None;
    }

    /// What is written next needs a file of its own; it joins the one before without a hole.
    fn split(&mut self) -> Vec<FileStep<P, F>> {
        match self.file.take() {
            Some(_) => vec![FileStep::Seal],
            None => Vec::new(),
        }
    }

    /// Sound may pause within a file that has a track for it; where it begins, a file with a track begins.
    fn follow_sound(&mut self, gop: &Gop<P, F>, steps: &mut Vec<FileStep<P, F>>) {
        let has_track = self.file.as_ref().map(|(_, format)| format.sound);
        self.sound = gop.format.sound || (self.sound && has_track.is_some());
        if has_track == Some(false) && self.sound {
            steps.extend(self.split());
        }
    }

    /// Brings the events in step with the newest GOP. Returns whether that was written with the pre-roll of one.
    fn settle(&mut self, steps: &mut Vec<FileStep<P, F>>) -> bool {
        let mut is_written = false;
        loop {
            if self.is_due() {
                is_written |= self.begin(steps);
            } else if self.event.is_some_and(|e| e.over && self.newest.0 >= e.until) {
                self.close_event(steps);
            } else {
                break;
            }
        }
        is_written
    }

    /// The post-roll has passed, and it may move again.
    fn begin_tail(&mut self, steps: &mut Vec<FileStep<P, F>>) {
        if let Some(e) = self.event.as_mut().filter(|e| !e.tail && self.newest.0 >= e.until) {
            e.tail = true;
            steps.extend(self.split());
        }
    }

    /// Whether the pictures of the event that waits have come: its pre-roll, as far as it does not belong to the event before.
    fn is_due(&self) -> bool {
        let Some(next) = self.waiting.front() else { return false };
        match &self.event {
            Some(e) if e.over && e.until == next.start => self.newest.0 >= next.start,
            Some(e) => self.newest.1 > (next.start - self.config.pre_roll).max(e.until - self.config.post_roll),
            None => self.newest.1 > (next.start - self.config.pre_roll).max(self.floor),
        }
    }

    /// Begins the event that waits. Returns whether the newest GOP is in its file now.
    fn begin(&mut self, steps: &mut Vec<FileStep<P, F>>) -> bool {
        let follows = |e: &OpenEvent, next: &OpenEvent| e.over && e.tail && e.until == next.start;
        if let (Some(e), Some(next)) = (self.event, self.waiting.front().copied())
            && follows(&e, &next)
        {
            self.waiting.pop_front();
            self.floor = self.floor.max(next.start);
            self.event = Some(next);
            steps.push(FileStep::Tail(Fate::Claimed(next.id)));
            return false;
        }
        // The last event's post-roll may still run: it ends here, its motion stays its own.
        self.close_event(steps);
        steps.extend(self.split());
        let Some(next) = self.waiting.pop_front() else { return false };
        if self.last_end == Some(next.start) {
            self.floor = self.floor.max(next.start);
        }
        self.event = Some(next);
        let Some(cut) = self.cut_for(next.start) else { return false };
        let from_memory: Vec<_> = self.ring.iter().filter(|g| g.start >= cut).cloned().collect();
        self.sound |= from_memory.iter().any(|g| g.format.sound);
        if let Some(first) = from_memory.first() {
            self.open(cut, first.format.picture.clone(), steps);
        }
        steps.extend(from_memory.into_iter().map(FileStep::Write));
        steps.push(FileStep::Trim { at: cut });
        true
    }

    fn close_event(&mut self, steps: &mut Vec<FileStep<P, F>>) {
        let Some(e) = self.event.take() else { return };
        self.floor = self.floor.max(e.until - self.config.post_roll);
        self.last_end = Some(e.until);
        match (e.tail, self.config.mode) {
            (false, _) => steps.extend(self.split()),
            // The open file is background by now and goes on.
            (true, RecordMode::Continuous) => steps.push(FileStep::Tail(Fate::Kept)),
            (true, _) => {
                steps.extend(self.split());
                steps.push(FileStep::Tail(Fate::Discarded));
            }
        }
    }

    fn write(&mut self, gop: Gop<P, F>, steps: &mut Vec<FileStep<P, F>>) {
        let is_full = |start: MonoTime| gop.end.since(start) > self.config.segment_max && gop.start > start;
        if self.file.as_ref().is_some_and(|(start, _)| is_full(*start)) {
            steps.extend(self.split());
        }
        if self.file.is_none() {
            self.open(gop.start, gop.format.picture.clone(), steps);
        }
        steps.push(FileStep::Write(gop));
    }

    fn open(&mut self, start: MonoTime, picture: F, steps: &mut Vec<FileStep<P, F>>) {
        let format = Format { picture, sound: self.sound };
        self.file = Some((start, format.clone()));
        let event = self.event.filter(|e| !e.tail).map(|e| e.id);
        steps.push(FileStep::Open { start, event, tail: self.event.is_some_and(|e| e.tail), format });
    }

    /// The keyframe at which an event's file begins: the last one at or before the pre-roll, else the oldest there is.
    fn cut_for(&self, start: MonoTime) -> Option<MonoTime> {
        let want = start - self.config.pre_roll;
        let usable = || self.ring.iter().map(|g| g.start).filter(|s| *s >= self.floor);
        usable().take_while(|s| *s <= want).last().or_else(|| usable().next())
    }

    fn event_of(&mut self, id: EventId) -> Option<&mut OpenEvent> {
        self.event.iter_mut().chain(&mut self.waiting).find(|e| e.id == id)
    }

    fn remember(&mut self, gop: Gop<P, F>) {
        // One GOP more than the pre-roll: motion is said some pictures after it began.
        let keep = self.config.pre_roll + Duration::from_secs(4);
        let newest = gop.end;
        self.ring.push_back(gop);
        while self.ring.len() > 1 && newest.since(self.ring[1].start) > keep {
            self.ring.pop_front();
        }
    }
}
