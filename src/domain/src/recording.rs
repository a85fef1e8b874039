//! The recorder's decisions: which GOP goes into which file. One machine a camera; the shell obeys its steps.

use perch_base::ids::EventId;
use perch_base::time::{MonoTime, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// When to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordMode {
    /// Always.
    Continuous,
    /// Around events.
    Motion,
    /// Never.
    Off,
}

/// How a camera is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordConfig {
    /// When to write.
    pub mode: RecordMode,
    /// Longest file.
    pub segment_max: Duration,
    /// Kept from before an event's first motion.
    pub pre_roll: Duration,
    /// Kept after an event's last motion.
    pub post_roll: Duration,
    /// Motion that comes back within this time belongs to the same event.
    pub gap: Duration,
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            mode: RecordMode::Continuous,
            segment_max: Duration::from_secs(60),
            pre_roll: Duration::from_secs(5),
            post_roll: Duration::from_secs(5),
            gap: Duration::from_secs(10),
        }
    }
}

/// A closed group of pictures (from a keyframe to just before the next) with the sound that goes with it, and its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Gop<P> {
    /// Presentation time of its keyframe.
    pub start: MonoTime,
    /// Presentation time of the next keyframe, or where the source stopped.
    pub end: MonoTime,
    /// What the shell will write.
    pub payload: P,
}

/// What the shell has to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<P> {
    /// Begin a file whose time 0 is `start`.
    Open {
        /// Presentation time of its first keyframe.
        start: MonoTime,
        /// The event it belongs to.
        event: Option<EventId>,
        /// Whether it belongs to the tail: what comes after an event's post-roll while more motion may still continue the event.
        tail: bool,
    },
    /// Append one fragment.
    Write(Gop<P>),
    /// Close the file.
    Seal,
    /// It is known what the files of the tail are.
    Tail(Fate),
    /// Cut every earlier file of this camera back to end at `at`: its tail is now in the event's file.
    TrimBefore {
        /// A keyframe's time.
        at: MonoTime,
    },
}

/// What becomes of the files of a tail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It moved again before the gap was over: they are the event's.
    Claimed(EventId),
    /// The event is over, and everything is recorded: they stay, as background.
    Kept,
    /// The event is over, and only events are recorded: they go.
    Discarded,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct RunningEvent {
    id: EventId,
    /// Last motion + post-roll, as far as it is known.
    until: MonoTime,
    /// Nothing will move it any more.
    over: bool,
    /// `until` lies behind, but motion may come back: what is written now goes into files of its own.
    tail: bool,
}

/// Two GOPs further apart than this do not join.
const HOLE: Duration = Duration::from_millis(100);

/// One camera's recorder.
///
/// Keeps the pre-roll in memory in both modes (GOPs are shared, not copied). When an event starts, a new file begins at the
/// pre-roll's keyframe from memory and, in continuous mode, the file before it is cut there, so an event is whole files. When its
/// post-roll has passed, its file ends; whether what follows is the event's as well is known only after the gap, so until then it
/// goes into a tail, which is then claimed, kept or discarded as whole files.
#[derive(Debug)]
pub struct Recorder<P> {
    config: RecordConfig,
    ring: VecDeque<Gop<P>>,
    /// When the open file began.
    file: Option<MonoTime>,
    event: Option<RunningEvent>,
    /// No new file may begin before this: it holds an earlier event's motion, or lies before a break in the source.
    floor: MonoTime,
}

impl<P: Clone> Recorder<P> {
    /// A recorder with nothing open.
    pub fn new(config: RecordConfig) -> Self {
        Self { config, ring: VecDeque::new(), file: None, event: None, floor: MonoTime(i64::MIN) }
    }

    /// The mode it was made with.
    pub fn mode(&self) -> RecordMode {
        self.config.mode
    }

    /// A GOP was completed.
    pub fn gop(&mut self, gop: Gop<P>) -> Vec<Step<P>> {
        let mut steps = Vec::new();
        if self.config.mode == RecordMode::Off {
            return steps;
        }
        // GOPs were lost on the way: a file must not span the hole.
        if self.ring.back().is_some_and(|last| gop.start.since(last.end) > HOLE) {
            steps.extend(self.interrupt());
        }
        match &mut self.event {
            Some(e) if gop.start >= e.until && e.over => self.close_event(&mut steps),
            Some(e) if gop.start >= e.until && !e.tail => {
                e.tail = true;
                steps.extend(self.split());
            }
            _ => {}
        }
        let wanted = self.config.mode == RecordMode::Continuous || self.event.is_some();
        if wanted {
            if self.file.is_some_and(|start| gop.end.since(start) > self.config.segment_max && gop.start > start) {
                steps.push(Step::Seal);
                self.file = None;
            }
            if self.file.is_none() {
                let event = self.event.filter(|e| !e.tail).map(|e| e.id);
                self.open(&mut steps, gop.start, event, self.event.is_some_and(|e| e.tail));
            }
            steps.push(Step::Write(gop.clone()));
        }
        self.remember(gop);
        steps
    }

    /// An event began with its first motion at `start`.
    pub fn event_started(&mut self, id: EventId, start: MonoTime) -> Vec<Step<P>> {
        let mut steps = Vec::new();
        if self.config.mode == RecordMode::Off {
            return steps;
        }
        // The last event's post-roll may still run: it ends here, its motion stays its own.
        self.close_event(&mut steps);
        steps.extend(self.split());
        self.event = Some(RunningEvent { id, until: start + self.config.post_roll, over: false, tail: false });
        let cut = self.cut_for(start);
        if let Some(cut) = cut {
            self.open(&mut steps, cut, Some(id), false);
            steps.extend(self.ring.iter().filter(|g| g.start >= cut).cloned().map(Step::Write));
            steps.push(Step::TrimBefore { at: cut });
        }
        steps
    }

    /// It still moves: the event goes on at least until `until`.
    pub fn event_continues(&mut self, id: EventId, until: MonoTime) -> Vec<Step<P>> {
        let Some(e) = self.event.as_mut().filter(|e| e.id == id) else { return Vec::new() };
        e.until = e.until.max(until);
        match std::mem::take(&mut e.tail) {
            true => vec![Step::Tail(Fate::Claimed(id))],
            false => Vec::new(),
        }
    }

    /// The event is over: write on until `end`, which may have passed.
    pub fn event_ended(&mut self, id: EventId, end: MonoTime) -> Vec<Step<P>> {
        let mut steps = Vec::new();
        if let Some(e) = self.event.as_mut().filter(|e| e.id == id) {
            (e.until, e.over) = (end, true);
            if e.tail {
                self.close_event(&mut steps);
            }
        }
        steps
    }

    /// The source broke off or its clock jumped: nothing before may be joined to what comes.
    pub fn interrupt(&mut self) -> Vec<Step<P>> {
        self.ring.clear();
        self.split()
    }

    /// What is written next needs a file of its own (sound began, say); it joins the one before without a hole.
    pub fn split(&mut self) -> Vec<Step<P>> {
        match self.file.take() {
            Some(_) => vec![Step::Seal],
            None => Vec::new(),
        }
    }

    /// Writing failed: the file is given up by the shell; the machine opens a new one when GOPs are fed again.
    pub fn abandon(&mut self) {
        self.ring.clear();
        self.file = None;
    }

    fn open(&mut self, steps: &mut Vec<Step<P>>, start: MonoTime, event: Option<EventId>, tail: bool) {
        self.file = Some(start);
        steps.push(Step::Open { start, event, tail });
    }

    fn close_event(&mut self, steps: &mut Vec<Step<P>>) {
        let Some(e) = self.event.take() else { return };
        self.floor = self.floor.max(e.until - self.config.post_roll);
        match (e.tail, self.config.mode) {
            (false, _) => steps.extend(self.split()),
            // The open file is background by now and goes on.
            (true, RecordMode::Continuous) => steps.push(Step::Tail(Fate::Kept)),
            (true, _) => {
                steps.extend(self.split());
                steps.push(Step::Tail(Fate::Discarded));
            }
        }
    }

    /// The keyframe at which an event's file begins: the last one at or before the pre-roll, else the oldest there is.
    fn cut_for(&self, start: MonoTime) -> Option<MonoTime> {
        let want = start - self.config.pre_roll;
        let usable = || self.ring.iter().map(|g| g.start).filter(|s| *s >= self.floor);
        usable().take_while(|s| *s <= want).last().or_else(|| usable().next())
    }

    fn remember(&mut self, gop: Gop<P>) {
        // One GOP more than the pre-roll: motion is told some pictures after it began.
        let keep = self.config.pre_roll + Duration::from_secs(4);
        let newest = gop.end;
        self.ring.push_back(gop);
        while self.ring.len() > 1 && newest.since(self.ring[1].start) > keep {
            self.ring.pop_front();
        }
    }
}

/// Ties steady time to UTC for one unbroken run of recording, so that consecutive files join without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeAnchor {
    utc: Timestamp,
    mono: MonoTime,
}

/// How far UTC may move against the anchor before recording starts over: the clock was set.
pub const MAX_DRIFT: Duration = Duration::from_millis(500);

impl TimeAnchor {
    /// Both clocks read at one moment.
    pub fn new(utc: Timestamp, mono: MonoTime) -> Self {
        Self { utc, mono }
    }

    /// UTC of a presentation time.
    pub fn utc(&self, at: MonoTime) -> Timestamp {
        self.utc.plus_micros(at.micros_since(self.mono))
    }

    /// Whether the clock was set since.
    pub fn is_broken(&self, utc: Timestamp, mono: MonoTime) -> bool {
        self.utc(mono).micros_since(utc).unsigned_abs() > MAX_DRIFT.as_micros() as u64
    }

    /// What a clock that was set forward skipped, and in which the box cannot have run: from `last`, the last moment that was told
    /// by this clock, to `began`, when this run began, by the clock that is right now.
    pub fn skipped(&self, set: &Self, began: MonoTime, last: MonoTime) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = (self.utc(last), set.utc(began));
        (from < to).then_some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn s(n: i64) -> MonoTime {
        MonoTime(n * 1_000_000)
    }

    fn gop(n: i64) -> Gop<i64> {
        Gop { start: s(n), end: s(n + 1), payload: n }
    }

    fn config(mode: RecordMode) -> RecordConfig {
        RecordConfig {
            mode,
            segment_max: Duration::from_secs(10),
            pre_roll: Duration::from_secs(3),
            post_roll: Duration::from_secs(2),
            gap: Duration::from_secs(1),
        }
    }

    /// The files as the shell would leave them: (event, seconds).
    #[derive(Default, Debug)]
    struct Disk(Vec<(Option<EventId>, Vec<i64>)>, usize);

    impl Disk {
        fn obey(&mut self, steps: Vec<Step<i64>>) {
            for step in steps {
                match step {
                    Step::Open { event, tail, .. } => {
                        self.0.push((event, vec![]));
                        self.1 += usize::from(tail);
                    }
                    Step::Tail(fate) => {
                        let first = self.0.len() - std::mem::take(&mut self.1);
                        match fate {
                            Fate::Claimed(id) => self.0[first..].iter_mut().for_each(|f| f.0 = Some(id)),
                            Fate::Kept => {}
                            Fate::Discarded => self.0.truncate(first),
                        }
                    }
                    Step::Write(g) => self.0.last_mut().expect("a file is open").1.push(g.payload),
                    Step::Seal => {}
                    Step::TrimBefore { at } => {
                        let last = self.0.len() - 1;
                        for (_, f) in &mut self.0[..last] {
                            f.retain(|n| s(*n) < at);
                        }
                        let newest = self.0.pop().expect("the event's file");
                        self.0.retain(|(_, f)| !f.is_empty());
                        self.0.push(newest);
                    }
                }
            }
        }
    }

    #[test]
    fn continuous_files_are_full_length_and_abut() {
        let mut r = Recorder::new(config(RecordMode::Continuous));
        let mut disk = Disk::default();
        for n in 0..25 {
            disk.obey(r.gop(gop(n)));
        }
        let want: Vec<(Option<EventId>, Vec<i64>)> =
            vec![(None, (0..10).collect()), (None, (10..20).collect()), (None, (20..25).collect())];
        assert_eq!(disk.0, want);
    }

    #[test]
    fn an_event_takes_its_pre_roll_out_of_the_file_before() {
        let mut r = Recorder::new(config(RecordMode::Continuous));
        let mut disk = Disk::default();
        for n in 0..8 {
            disk.obey(r.gop(gop(n)));
        }
        disk.obey(r.event_started(EventId(1), MonoTime(7_500_000)));
        for n in 8..10 {
            disk.obey(r.gop(gop(n)));
        }
        disk.obey(r.event_ended(EventId(1), s(11)));
        for n in 10..14 {
            disk.obey(r.gop(gop(n)));
        }
        let want =
            vec![(None, (0..4).collect::<Vec<_>>()), (Some(EventId(1)), (4..11).collect()), (None, (11..14).collect())];
        assert_eq!(disk.0, want);
    }

    #[test]
    fn pre_roll_may_reach_into_a_sealed_file() {
        let mut r = Recorder::new(config(RecordMode::Continuous));
        let mut disk = Disk::default();
        for n in 0..12 {
            disk.obey(r.gop(gop(n)));
        }
        disk.obey(r.event_started(EventId(1), s(12)));
        let want: Vec<(Option<EventId>, Vec<i64>)> =
            vec![(None, (0..9).collect()), (Some(EventId(1)), (9..12).collect())];
        assert_eq!(disk.0, want);
    }

    #[test]
    fn motion_mode_writes_only_around_events() {
        let mut r = Recorder::new(config(RecordMode::Motion));
        let mut disk = Disk::default();
        for n in 0..20 {
            disk.obey(r.gop(gop(n)));
        }
        assert!(disk.0.is_empty() && r.file.is_none());
        disk.obey(r.event_started(EventId(1), s(20)));
        disk.obey(r.event_ended(EventId(1), s(23)));
        for n in 20..30 {
            disk.obey(r.gop(gop(n)));
        }
        assert_eq!(disk.0, vec![(Some(EventId(1)), (17..23).collect::<Vec<_>>())]);
    }

    #[test]
    fn a_second_event_in_the_post_roll_leaves_the_first_its_motion() {
        let mut r = Recorder::new(config(RecordMode::Motion));
        let mut disk = Disk::default();
        for n in 0..10 {
            disk.obey(r.gop(gop(n)));
        }
        disk.obey(r.event_started(EventId(1), s(10)));
        disk.obey(r.gop(gop(10)));
        disk.obey(r.event_ended(EventId(1), s(13))); // last motion at 11
        disk.obey(r.gop(gop(11)));
        disk.obey(r.gop(gop(12)));
        disk.obey(r.event_started(EventId(2), s(13)));
        disk.obey(r.gop(gop(13)));
        let want = vec![(Some(EventId(1)), (7..11).collect::<Vec<_>>()), (Some(EventId(2)), (11..14).collect())];
        assert_eq!(disk.0, want);
    }

    /// An event with motion at 10 and 11, and at `again`; its gap (6 s) is longer than its post-roll (2 s). Its end is told late.
    fn long_gap(mode: RecordMode, again: Option<i64>) -> Vec<(Option<EventId>, Vec<i64>)> {
        let mut r = Recorder::new(RecordConfig { gap: Duration::from_secs(6), ..config(mode) });
        let mut disk = Disk::default();
        let mut last = 11;
        for n in 0..24 {
            match n {
                10 => disk.obey(r.event_started(EventId(1), s(10))),
                11 => disk.obey(r.event_continues(EventId(1), s(13))),
                n if Some(n) == again => {
                    last = n;
                    disk.obey(r.event_continues(EventId(1), s(n + 2)));
                }
                n if n == last + 6 => disk.obey(r.event_ended(EventId(1), s(last + 2))),
                _ => {}
            }
            disk.obey(r.gop(gop(n)));
        }
        disk.0
    }

    #[test]
    fn an_events_files_end_with_its_post_roll_although_its_end_is_told_after_the_gap() {
        let event = Some(EventId(1));
        assert_eq!(long_gap(RecordMode::Motion, None), vec![(event, (7..13).collect::<Vec<_>>())]);
        let want = vec![(None, (0..7).collect::<Vec<_>>()), (event, (7..13).collect()), (None, (13..23).collect())];
        assert_eq!(long_gap(RecordMode::Continuous, None)[..3], want);
    }

    #[test]
    fn motion_within_the_gap_claims_what_was_written_meanwhile() {
        let event = Some(EventId(1));
        let want = vec![(event, (7..13).collect::<Vec<_>>()), (event, (13..18).collect())];
        assert_eq!(long_gap(RecordMode::Motion, Some(16)), want);
        let all = long_gap(RecordMode::Continuous, Some(16));
        assert_eq!(all[1..3], want);
        assert_eq!(all.iter().map(|f| f.1.len()).sum::<usize>(), 24);
    }

    #[test]
    fn off_writes_nothing() {
        let mut r = Recorder::new(config(RecordMode::Off));
        assert!(r.gop(gop(0)).is_empty() && r.event_started(EventId(1), s(1)).is_empty());
    }

    #[test]
    fn after_a_break_nothing_old_is_written() {
        let mut r = Recorder::new(config(RecordMode::Motion));
        for n in 0..5 {
            assert!(r.gop(gop(n)).is_empty());
        }
        assert!(r.interrupt().is_empty());
        assert!(r.event_started(EventId(1), s(5)).is_empty(), "nothing to write yet");
        assert!(matches!(r.gop(gop(9))[..], [Step::Open { start, .. }, Step::Write(_)] if start == s(9)));
    }

    #[test]
    fn a_file_does_not_span_lost_gops() {
        let mut r = Recorder::new(config(RecordMode::Continuous));
        let mut disk = Disk::default();
        for n in [0, 1, 4, 5] {
            disk.obey(r.gop(gop(n)));
        }
        assert_eq!(disk.0, vec![(None, vec![0, 1]), (None, vec![4, 5])]);
    }

    #[test]
    fn an_anchor_notices_a_set_clock() {
        let a = TimeAnchor::new(Timestamp(1_000_000), MonoTime(0));
        assert_eq!(a.utc(MonoTime(2_000_000)), Timestamp(3_000_000));
        assert!(!a.is_broken(Timestamp(3_400_000), MonoTime(2_000_000)));
        assert!(a.is_broken(Timestamp(2_400_000), MonoTime(2_000_000)));
        // Set forward by 9 s after 2 s of a run that began at 0: the clock showed 3 s where it was 12 s.
        let set = TimeAnchor::new(Timestamp(12_000_000), MonoTime(2_000_000));
        let skipped = Some((Timestamp(3_000_000), Timestamp(10_000_000)));
        assert_eq!(a.skipped(&set, MonoTime(0), MonoTime(2_000_000)), skipped);
        // By less than the run is old, or back: nothing of it was before the run.
        for utc in [3_900_000, 1_000_000] {
            let set = TimeAnchor::new(Timestamp(utc), MonoTime(2_000_000));
            assert_eq!(a.skipped(&set, MonoTime(0), MonoTime(2_000_000)), None);
        }
    }

    proptest! {
        /// Whatever events come: in continuous mode every GOP is on the disk exactly once, in order.
        #[test]
        fn continuous_never_loses_nor_doubles(marks in proptest::collection::vec(0u8..4, 1..120)) {
            let mut r = Recorder::new(config(RecordMode::Continuous));
            let mut disk = Disk::default();
            let mut running = None;
            for (n, mark) in marks.iter().enumerate() {
                let n = n as i64;
                match (mark, running) {
                    (1, None) => {
                        disk.obey(r.event_started(EventId(n + 1), s(n)));
                        running = Some(EventId(n + 1));
                    }
                    (2, Some(id)) => {
                        // Told in time, or only when it has long passed.
                        disk.obey(r.event_ended(id, s(n + if id.0 % 2 == 0 { 2 } else { -2 })));
                        running = None;
                    }
                    (3, Some(id)) => disk.obey(r.event_continues(id, s(n + 2))),
                    _ => {}
                }
                disk.obey(r.gop(gop(n)));
            }
            let all: Vec<i64> = disk.0.iter().flat_map(|(_, f)| f.clone()).collect();
            prop_assert_eq!(all, (0..marks.len() as i64).collect::<Vec<_>>());
        }
    }
}
