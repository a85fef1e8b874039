//! Which part goes into which file. Knows nothing of disks that fail, of gaps or of civil time: see [`super::session`].

use super::{EventMark, Fate, Format, LONGEST_FILE, Part, RecordConfig, RecordMode};
use crate::event::{REPORT_EVERY, goes_on_until};
use crate::memory::PictureMemory;
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
    Write(Part<P, F>),
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

/// Two parts further apart than this do not join.
const HOLE: Duration = Duration::from_millis(100);

/// An end that lies so little behind what was known does not make the tail the event's: that it goes on is reported in steps, and the
/// tail reaches over the whole gap.
const LATE_WORD: Duration = Duration::from_micros(REPORT_EVERY.as_micros() as u64 * 3 / 2);

/// A file ends here at the latest: its camera has sent one keyframe and no more. Readers believe no file that lasts twice as long as one
/// may be set to.
const ENDLESS: Duration = Duration::from_secs(LONGEST_FILE.as_secs() / 2 * 3);

/// So many changes of the picture's format within this time begin a file each. Where it changes more often, no file begins until it has
/// stayed the same for [`CALM`]: files without end would wear the disk out.
const CHANGES: (usize, Duration) = (10, Duration::from_secs(10));
const CALM: Duration = Duration::from_secs(1);

/// Events that may wait for their pictures. More come only without any picture, and then there is nothing to give to them.
const MAX_WAITING: usize = 64;

/// The open file.
#[derive(Clone, Debug, PartialEq)]
struct OpenFile<F> {
    start: MonoTime,
    format: Format<F>,
    /// Whether it belongs to a tail.
    tail: bool,
}

/// One camera's files.
///
/// Keeps the pre-roll in memory in both modes (parts are shared, not copied). When an event starts, a new file begins at the
/// pre-roll's keyframe from memory and, in continuous mode, the file before it is cut there, so an event is whole files. When its
/// post-roll has passed, its file ends; whether what follows is the event's as well is known only after the gap, so until then it
/// goes into a tail, which is then claimed, kept or discarded as whole files.
///
/// A file begins with a part that starts with a keyframe. So where another one is to begin, the open one goes on to the end of its group
/// of pictures, also when nothing more of it is wanted: what moves next may need it.
///
/// Marks may come long before their pictures, when parts wait for a slow disk: an event waits until its own are there, so that it
/// takes none from the event before.
#[derive(Debug)]
pub(super) struct Files<P, F> {
    config: RecordConfig,
    /// Begins with a part that starts.
    ring: VecDeque<Part<P, F>>,
    ring_bytes: usize,
    /// What that may take at most. Of a group of pictures that takes more nothing is kept, until the next one begins.
    most_kept_bytes: usize,
    file: Option<OpenFile<F>>,
    /// What comes next needs a file of its own, as soon as one can begin.
    is_split: bool,
    /// Whether the newest part was wanted, and no file can begin with it.
    is_stuck: bool,
    /// Whether the stream has sound. The last frames may come without a packet of it; their file has a track for it all the same.
    sound: bool,
    /// Start and end of the newest part, written or not.
    newest: (MonoTime, MonoTime),
    /// Its picture's format, where the next part may join it.
    picture: Option<F>,
    /// What it was last, also where nothing joins it.
    last_picture: Option<F>,
    /// When that changed, the last few times.
    changes: VecDeque<MonoTime>,
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
            ring_bytes: 0,
            most_kept_bytes: PictureMemory::default().kept_bytes,
            file: None,
            is_split: false,
            is_stuck: false,
            sound: false,
            newest: (MonoTime(i64::MIN), MonoTime(i64::MIN)),
            picture: None,
            last_picture: None,
            changes: VecDeque::new(),
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

    /// Whether the newest part was wanted and could not be written, because no file can begin with it.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// Whether the pictures change their format all the time, so that no file begins with them.
    pub(super) fn is_restless(&self) -> bool {
        let (Some(first), Some(last)) = (self.changes.front(), self.changes.back()) else { return false };
        let is_often = self.changes.len() >= CHANGES.0 && last.since(*first) < CHANGES.1;
        is_often && self.newest.0.since(*last) < CALM
    }

    /// The pre-roll may take so many bytes from the next part on.
    pub(super) fn set_kept_bytes(&mut self, most: usize) {
        self.most_kept_bytes = most;
    }

    /// A part was completed.
    pub(super) fn part(&mut self, part: Part<P, F>) -> Vec<FileStep<P, F>> {
        let mut steps = Vec::new();
        // Parts were lost on the way, or the picture has another size: what came before is another file's.
        let is_other = self.picture.as_ref().is_some_and(|picture| *picture != part.format.picture);
        if self.picture.is_some() && (is_other || part.start.since(self.newest.1) > HOLE) {
            steps.extend(self.interrupt());
        }
        self.count_changes(&part);
        self.follow_sound(&part);
        let joined = part.joined;
        self.newest = (part.start, part.end);
        self.picture = Some(part.format.picture.clone());
        self.is_stuck = false;
        self.remember(part.clone());
        let is_written = self.settle(&mut steps);
        self.begin_tail();
        let is_wanted = self.config.mode == RecordMode::Continuous || self.event.is_some();
        let goes_on = self.file.is_some() && !part.starts;
        if is_written {
            // With the pre-roll that it is part of.
        } else if is_wanted || goes_on {
            self.write(part, &mut steps);
            self.is_stuck &= is_wanted;
        } else {
            steps.extend(self.close());
        }
        if !joined {
            steps.extend(self.interrupt());
        }
        steps
    }

    /// A part came that cannot be written: the events go on without it.
    pub(super) fn pass(&mut self, start: MonoTime, end: MonoTime) -> Vec<FileStep<P, F>> {
        let mut steps = self.interrupt();
        self.newest = (start, end);
        self.is_stuck = false;
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
                steps.push(self.keep_tail(Fate::Claimed(id)));
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
            steps.push(self.keep_tail(Fate::Claimed(id)));
        }
        // It is closed with the next part: a chapter that follows, whose mark comes next, takes the tail over.
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
        self.forget();
        self.close()
    }

    /// Writing failed: the file is given up; a new one is opened when a part comes that one can begin with.
    pub(super) fn abandon(&mut self) {
        self.forget();
        self.file = None;
        self.is_split = false;
    }

    /// Nothing that came so far leads to what comes.
    fn forget(&mut self) {
        self.ring.clear();
        self.ring_bytes = 0;
        self.picture = None;
    }

    /// What is written next needs a file of its own; it joins the one before without a hole.
    fn close(&mut self) -> Vec<FileStep<P, F>> {
        self.is_split = false;
        match self.file.take() {
            Some(_) => vec![FileStep::Seal],
            None => Vec::new(),
        }
    }

    fn count_changes(&mut self, part: &Part<P, F>) {
        let picture = &part.format.picture;
        if self.last_picture.replace(picture.clone()).is_some_and(|last| last != *picture) {
            self.changes.push_back(part.start);
            if self.changes.len() > CHANGES.0 {
                self.changes.pop_front();
            }
        }
    }

    /// Sound may pause within a file that has a track for it; where it begins, a file with a track begins.
    fn follow_sound(&mut self, part: &Part<P, F>) {
        let has_track = self.file.as_ref().map(|file| file.format.sound);
        self.sound = part.format.sound || (self.sound && has_track.is_some());
        self.is_split |= has_track == Some(false) && self.sound;
    }

    /// Brings the events in step with the newest part. Returns whether that was written with the pre-roll of one.
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
    fn begin_tail(&mut self) {
        if let Some(e) = self.event.as_mut().filter(|e| !e.tail && self.newest.0 >= e.until) {
            e.tail = true;
            self.is_split = true;
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

    /// Begins the event that waits. Returns whether the newest part is in its file now.
    fn begin(&mut self, steps: &mut Vec<FileStep<P, F>>) -> bool {
        let follows = |e: &OpenEvent, next: &OpenEvent| e.over && e.tail && e.until == next.start;
        if let (Some(e), Some(next)) = (self.event, self.waiting.front().copied())
            && follows(&e, &next)
        {
            self.waiting.pop_front();
            self.floor = self.floor.max(next.start);
            self.event = Some(next);
            steps.push(self.keep_tail(Fate::Claimed(next.id)));
            return false;
        }
        // The last event's post-roll may still run: it ends here, its motion stays its own.
        self.close_event(steps);
        self.is_split = true;
        let Some(next) = self.waiting.pop_front() else { return false };
        if self.last_end == Some(next.start) {
            self.floor = self.floor.max(next.start);
        }
        self.event = Some(next);
        let Some(cut) = self.cut_for(next.start) else { return false };
        let from_memory: Vec<_> = self.ring.iter().filter(|p| p.start >= cut).cloned().collect();
        self.sound |= from_memory.iter().any(|p| p.format.sound);
        steps.extend(self.close());
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
            (false, _) => self.is_split = true,
            // The open file is background by now and goes on.
            (true, RecordMode::Continuous) => steps.push(self.keep_tail(Fate::Kept)),
            (true, _) => {
                match self.file.as_ref().is_some_and(|file| file.tail) {
                    true => steps.extend(self.close()),
                    false => self.is_split = true,
                }
                steps.push(FileStep::Tail(Fate::Discarded));
            }
        }
    }

    /// The files of the tail stay, as does the open one where it is one of them.
    fn keep_tail(&mut self, fate: Fate) -> FileStep<P, F> {
        if let Some(file) = &mut self.file {
            file.tail = false;
        }
        FileStep::Tail(fate)
    }

    fn write(&mut self, part: Part<P, F>, steps: &mut Vec<FileStep<P, F>>) {
        if let Some(OpenFile { start, .. }) = self.file {
            let lasts = part.end.since(start);
            let is_full = lasts > self.config.segment_max && part.start > start;
            if (part.starts && (is_full || self.is_split)) || lasts > ENDLESS {
                steps.extend(self.close());
            }
        }
        if self.file.is_none() {
            self.is_stuck = !part.starts || self.is_restless();
            if self.is_stuck {
                return;
            }
            self.open(part.start, part.format.picture.clone(), steps);
        }
        steps.push(FileStep::Write(part));
    }

    fn open(&mut self, start: MonoTime, picture: F, steps: &mut Vec<FileStep<P, F>>) {
        let format = Format { picture, sound: self.sound };
        let tail = self.event.is_some_and(|e| e.tail);
        self.is_split = false;
        self.file = Some(OpenFile { start, format: format.clone(), tail });
        let event = self.event.filter(|e| !e.tail).map(|e| e.id);
        steps.push(FileStep::Open { start, event, tail, format });
    }

    /// The keyframe at which an event's file begins: the last one at or before the pre-roll, else the oldest there is.
    fn cut_for(&self, start: MonoTime) -> Option<MonoTime> {
        let want = start - self.config.pre_roll;
        let usable = || self.ring.iter().filter(|p| p.starts && p.start >= self.floor).map(|p| p.start);
        usable().take_while(|s| *s <= want).last().or_else(|| usable().next())
    }

    fn event_of(&mut self, id: EventId) -> Option<&mut OpenEvent> {
        self.event.iter_mut().chain(&mut self.waiting).find(|e| e.id == id)
    }

    fn remember(&mut self, part: Part<P, F>) {
        if self.ring.is_empty() && !part.starts {
            return;
        }
        // Some seconds more than the pre-roll: motion is said some pictures after it began.
        let keep = self.config.pre_roll + Duration::from_secs(4);
        let newest = part.end;
        self.ring_bytes += part.size_bytes;
        self.ring.push_back(part);
        loop {
            let second = self.ring.iter().skip(1).position(|p| p.starts).map(|at| at + 1);
            let is_old = second.is_some_and(|at| newest.since(self.ring[at].start) > keep);
            if !is_old && self.ring_bytes <= self.most_kept_bytes {
                break;
            }
            for part in self.ring.drain(..second.unwrap_or(self.ring.len())) {
                self.ring_bytes -= part.size_bytes;
            }
        }
    }
}
