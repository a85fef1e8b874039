//! One camera's recorder: everything around its files. Each moment from the first input to the last ends up in a file or in a gap
//! with its cause.

use super::files::{FileStep, Files};
use super::{
    Fate, Input, Note, Now, Part, RecordConfig, RecordMode, RecordingState, RecordingStatus, Step, TimeAnchor,
};
use crate::archive::GapCause;
use crate::playback::{JOIN_US, NOTE_EVERY};
use perch_base::time::{MonoTime, Timestamp};
use std::collections::VecDeque;
use std::time::Duration;

/// A disk that takes longer than this over what it was asked is said to hang: [`Input::Hung`].
pub const HUNG_AFTER: Duration = Duration::from_secs(15);
/// How long a paused recorder waits before it tries the disk again.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);
/// A camera that delivers nothing for this long is a gap in its recording.
pub const SILENT_AFTER: Duration = Duration::from_secs(5);
/// A camera that delivers, and of which nothing comes that a file can begin with for this long, is not recorded: that is said.
pub const STARVED_AFTER: Duration = Duration::from_secs(30);
/// Why nothing of it comes.
const STARVED: &str =
    "it has sent no keyframe for 30 s, and a recording begins with one: set a shorter keyframe interval in the camera";
/// Why what comes is not written.
const STUCK: &str = "it sends keyframes so seldom that recording must wait for the next one: set a shorter keyframe interval in the camera";
const RESTLESS: &str =
    "its pictures change their size all the time, and each file holds one size: set a fixed resolution in the camera";
/// How long it is said that pictures were lost because the disk did not keep up.
const WARN_FOR: Duration = Duration::from_secs(60);
/// Gaps that wait to be entered. More come only while the database takes nothing for hours; the oldest then has no cause.
const MAX_UNNOTED: usize = 64;

/// What becomes of what the camera delivers.
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// Recording is set to `off`.
    Off,
    /// The camera is switched off.
    SwitchedOff,
    /// The camera delivers nothing.
    Silent,
    /// What comes is written.
    Writing,
    /// Only events are recorded, and nothing moves.
    Quiet,
    /// What comes cannot be written, whatever the disk says.
    Unusable { reason: String },
    /// The disk cannot be written.
    Paused { cause: GapCause, reason: String, retry_at: MonoTime },
}

impl State {
    /// Why nothing is recorded in it.
    fn cause(&self) -> Option<GapCause> {
        match self {
            Self::Off => Some(GapCause::RecordingOff),
            Self::SwitchedOff => Some(GapCause::SwitchedOff),
            Self::Silent => Some(GapCause::CameraUnavailable),
            Self::Writing => None,
            Self::Quiet => Some(GapCause::NoMotion),
            Self::Unusable { .. } => Some(GapCause::Unrecordable),
            Self::Paused { cause, .. } => Some(*cause),
        }
    }
}

/// What the last steps are to bring about once they are done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    /// Everything from one moment to another is in a file.
    Written(MonoTime, MonoTime),
    /// The disk is well again at this moment.
    Probed(MonoTime),
}

/// What was lost because the disk did not keep up.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Behind {
    lost: Duration,
    said_until: MonoTime,
}

/// One camera's recorder. Feed it every input with the time; obey its steps in order, and answer them.
///
/// `covered` is its one book-keeping: all that lies before is in a file or entered as a gap. In every state but
/// [`State::Writing`] the state's cause explains what lies behind it, up to the moment at which the state ends.
#[derive(Debug)]
pub struct Recorder<P, F> {
    config: RecordConfig,
    files: Files<P, F>,
    anchor: TimeAnchor,
    /// When it began.
    began: MonoTime,
    state: State,
    covered: MonoTime,
    /// Where the newest part ended, and whether the next one is expected to join it.
    seen: (MonoTime, bool),
    /// When the newest part came.
    heard_at: MonoTime,
    /// From when to when what was written lies in the tail.
    tail: Option<(MonoTime, MonoTime)>,
    asked: Option<Asked>,
    is_hung: bool,
    behind: Option<Behind>,
    /// When the gap that goes on was entered last.
    noted_at: Option<MonoTime>,
    unnoted: VecDeque<Note>,
    /// When a gap was refused last.
    refused_at: Option<MonoTime>,
    published: Option<RecordingStatus>,
}

impl<P: Clone, F: Clone + PartialEq> Recorder<P, F> {
    /// A recorder that waits for its camera, or is off.
    pub fn new(config: RecordConfig, now: Now) -> Self {
        let state = if config.mode == RecordMode::Off { State::Off } else { State::Silent };
        Self {
            files: Files::new(config.clone()),
            config,
            anchor: TimeAnchor::new(now.utc, now.mono),
            began: now.mono,
            state,
            covered: now.mono,
            seen: (now.mono, false),
            heard_at: now.mono,
            tail: None,
            asked: None,
            is_hung: false,
            behind: None,
            noted_at: None,
            unnoted: VecDeque::new(),
            refused_at: None,
            published: None,
        }
    }

    /// The recorder of a camera that is switched off: it says why nothing is recorded.
    pub fn switched_off(now: Now) -> Self {
        let config = RecordConfig { mode: RecordMode::Off, ..RecordConfig::default() };
        Self { state: State::SwitchedOff, ..Self::new(config, now) }
    }

    /// What it keeps in memory for the pre-roll may take so many bytes from now on.
    pub fn set_kept_bytes(&mut self, most: usize) {
        self.files.set_kept_bytes(most);
    }

    /// Whether it wants the camera's pictures at all.
    pub fn is_off(&self) -> bool {
        self.config.mode == RecordMode::Off
    }

    /// Whether it stands still because the disk cannot be written: then a try that fails is no news.
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused { .. })
    }

    /// Takes one input; says what to do.
    pub fn handle(&mut self, now: Now, input: Input<P, F>) -> Vec<Step<P, F>> {
        let mut steps = Vec::new();
        match input {
            Input::Wrote => self.wrote(&mut steps),
            Input::Failed { cause, reason } => self.failed(now, cause.unwrap_or(GapCause::Unknown), reason, &mut steps),
            Input::NotNoted(note) => self.keep_for_later(now, note),
            Input::Hung => self.is_hung = true,
            happened => {
                // Within its group of pictures no other file can begin: an open one goes on to its end.
                let is_within = match &happened {
                    Input::Part(part) => !part.starts,
                    Input::Tick { .. } | Input::Mark(_) => true,
                    _ => false,
                };
                if !(is_within && self.files.is_open()) {
                    self.follow_clock(now, &mut steps);
                }
                self.happened(now, happened, &mut steps);
            }
        }
        self.note_ongoing(now, &mut steps);
        self.publish(now, &mut steps);
        steps
    }

    fn happened(&mut self, now: Now, input: Input<P, F>, steps: &mut Vec<Step<P, F>>) {
        match input {
            Input::Tick { is_live } => self.tick(now, is_live, steps),
            Input::Stop => self.stop(now, steps),
            _ if self.is_off() => {}
            Input::Part(part) => self.part(now, part, steps),
            Input::Unusable { start, end, reason } => self.unusable(now, (start, end), reason, steps),
            Input::Mark(mark) => {
                let files = self.files.mark(mark);
                self.ask(files, steps);
            }
            Input::CutOff => {
                let files = self.files.interrupt();
                self.ask(files, steps);
                // What is missing until the next part was lost, wherever the last one ended.
                self.seen.1 = true;
            }
            Input::Wrote | Input::Failed { .. } | Input::NotNoted(_) | Input::Hung => {}
        }
    }

    fn part(&mut self, now: Now, part: Part<P, F>, steps: &mut Vec<Step<P, F>>) {
        let (start, end, joined) = (part.start, part.end, part.joined);
        let files = match self.state {
            State::Paused { retry_at, .. } if now.mono < retry_at => None,
            _ => Some(self.files.part(part)),
        };
        let is_stuck = self.files.is_stuck();
        self.pictures_from(now, start, is_stuck, steps);
        self.seen = (end, joined);
        let Some(files) = files else {
            let files = self.files.pass(start, end);
            return self.ask(files, steps);
        };
        let is_written = files.iter().any(|s| matches!(s, FileStep::Write(_)));
        self.ask(files, steps);
        match (is_written, &self.state) {
            (true, _) => {}
            (false, State::Paused { .. }) => {
                steps.push(Step::Probe);
                self.asked = Some(Asked::Probed(start));
            }
            (false, State::Unusable { .. }) if is_stuck => {}
            (false, State::Quiet) if !is_stuck => {}
            (false, _) => self.enter(self.unwritten(), start, steps),
        }
    }

    /// What becomes of parts that are not written, though the disk is well.
    fn unwritten(&self) -> State {
        match (self.files.is_stuck(), self.files.is_restless()) {
            (true, true) => State::Unusable { reason: RESTLESS.into() },
            (true, false) => State::Unusable { reason: STUCK.into() },
            (false, _) => State::Quiet,
        }
    }

    fn unusable(&mut self, now: Now, span: (MonoTime, MonoTime), reason: String, steps: &mut Vec<Step<P, F>>) {
        let goes_on = matches!(&self.state, State::Unusable { reason: before } if *before == reason);
        self.pictures_from(now, span.0, goes_on, steps);
        let files = self.files.pass(span.0, span.1);
        self.ask(files, steps);
        self.seen = (span.1.max(span.0), true);
        if !goes_on && !matches!(self.state, State::Paused { .. }) {
            self.enter(State::Unusable { reason }, span.0, steps);
        }
    }

    /// Pictures came that begin at `start`. What is missing before them gets its cause: the camera was away, or they were lost
    /// because the disk did not keep up. `is_unusable`: they cannot be written either, for the same reason.
    fn pictures_from(&mut self, now: Now, start: MonoTime, is_unusable: bool, steps: &mut Vec<Step<P, F>>) {
        self.heard_at = now.mono;
        let (seen, joined) = self.seen;
        match self.state {
            State::Unusable { .. } if is_unusable => {}
            State::Silent | State::Unusable { .. } => self.enter(State::Writing, start, steps),
            State::Writing | State::Quiet if start.micros_since(seen) > JOIN_US => {
                self.explain_until(seen, steps);
                let cause = if joined { GapCause::DiskError } else { GapCause::CameraUnavailable };
                self.note(seen, start, cause, steps);
                self.covered = self.covered.max(start);
                if joined {
                    let before = self.behind.map_or(Duration::ZERO, |b| b.lost);
                    let said_until = now.mono + WARN_FOR;
                    self.behind = Some(Behind { lost: before + start.since(seen), said_until });
                }
            }
            State::Off | State::SwitchedOff | State::Writing | State::Quiet | State::Paused { .. } => {}
        }
    }

    fn tick(&mut self, now: Now, is_live: bool, steps: &mut Vec<Step<P, F>>) {
        let is_silent = !is_live && now.mono.since(self.heard_at) >= SILENT_AFTER;
        if is_silent && matches!(self.state, State::Writing | State::Quiet | State::Unusable { .. }) {
            let files = self.files.interrupt();
            self.ask(files, steps);
            self.enter(State::Silent, self.seen.0, steps);
        }
        if is_live && now.mono.since(self.heard_at) >= STARVED_AFTER {
            // Since when a silent camera delivers is not known.
            let since = if self.state == State::Silent { now.mono } else { self.seen.0 };
            if matches!(self.state, State::Silent | State::Writing | State::Quiet) {
                self.enter(State::Unusable { reason: STARVED.into() }, since, steps);
            }
        }
        if self.refused_at.is_none_or(|at| now.mono.since(at) >= NOTE_EVERY) {
            // One a tick, and none for a while after one was refused: a database that takes nothing takes its time.
            steps.extend(self.unnoted.pop_front().map(Step::NoteGap));
        }
    }

    fn stop(&mut self, now: Now, steps: &mut Vec<Step<P, F>>) {
        let files = self.files.finish();
        let mut sealing = Vec::new();
        self.ask(files, &mut sealing);
        if now.mono.since(self.seen.0) >= SILENT_AFTER {
            self.pictures_from(now, now.mono, false, steps);
        }
        let end = if self.state == State::Quiet { self.covered.max(self.seen.0) } else { now.mono };
        self.explain_until(end, steps);
        steps.extend(self.unnoted.drain(..).map(Step::NoteGap));
        // Last: what fails ends what is asked, and nobody asks again.
        steps.append(&mut sealing);
    }

    fn wrote(&mut self, steps: &mut Vec<Step<P, F>>) {
        self.is_hung = false;
        match self.asked.take() {
            None => {}
            Some(Asked::Written(start, end)) => {
                self.enter(State::Writing, start, steps);
                self.covered = self.covered.max(end);
            }
            Some(Asked::Probed(at)) => self.enter(self.unwritten(), at, steps),
        }
    }

    fn failed(&mut self, now: Now, cause: GapCause, reason: String, steps: &mut Vec<Step<P, F>>) {
        self.is_hung = false;
        let at = match self.asked.take() {
            Some(Asked::Written(start, _) | Asked::Probed(start)) => start,
            None => self.covered,
        };
        self.files.abandon();
        self.tail = None;
        steps.push(Step::Abandon);
        let retry_at = now.mono + RETRY_AFTER;
        match &mut self.state {
            State::Paused { reason: before, retry_at: retry, .. } => (*before, *retry) = (reason, retry_at),
            State::Writing => self.state = State::Paused { cause, reason, retry_at },
            State::Off | State::SwitchedOff | State::Silent | State::Quiet | State::Unusable { .. } => {
                self.enter(State::Paused { cause, reason, retry_at }, at, steps);
            }
        }
    }

    /// Hands on what becomes of the files, and remembers what it is to bring about.
    fn ask(&mut self, files: Vec<FileStep<P, F>>, steps: &mut Vec<Step<P, F>>) {
        for file in files {
            let step = match file {
                FileStep::Open { start, event, tail, format } => {
                    if tail {
                        self.tail.get_or_insert((start, start));
                    }
                    Step::Open { start, at: self.anchor.utc(start), event, tail, format }
                }
                FileStep::Write(part) => {
                    let from = match self.asked {
                        Some(Asked::Written(from, _)) => from,
                        _ => part.start,
                    };
                    self.asked = Some(Asked::Written(from, part.end));
                    if let Some(tail) = &mut self.tail {
                        tail.1 = part.end;
                    }
                    Step::Write(part)
                }
                FileStep::Seal => Step::Seal,
                FileStep::Tail(fate) => {
                    let tail = self.tail.take();
                    if let Some(tail) = tail.filter(|_| fate == Fate::Discarded) {
                        self.nothing_moved(tail, steps);
                    }
                    Step::Tail(fate)
                }
                FileStep::Trim { at } => Step::Trim { at: self.anchor.utc(at) },
            };
            steps.push(step);
        }
    }

    /// What was written in the tail goes, as nothing moved in it.
    fn nothing_moved(&mut self, (start, end): (MonoTime, MonoTime), steps: &mut Vec<Step<P, F>>) {
        match self.state {
            State::Writing if self.covered <= end => (self.state, self.covered) = (State::Quiet, start),
            _ => self.note(start, end, GapCause::NoMotion, steps),
        }
    }

    /// A clock that was set begins a new file.
    fn follow_clock(&mut self, now: Now, steps: &mut Vec<Step<P, F>>) {
        if !self.anchor.is_broken(now.utc, now.mono) {
            return;
        }
        let files = self.files.interrupt();
        self.ask(files, steps);
        let mut last = self.seen.0;
        if let Some(cause) = self.state.cause() {
            self.note(self.covered, now.mono, cause, steps);
            last = now.mono;
        }
        self.noted_at = None;
        let set = TimeAnchor::new(now.utc, now.mono);
        let before = std::mem::replace(&mut self.anchor, set);
        if let Some((from, to)) = before.skipped(&set, self.began, last) {
            steps.push(Step::NoteGap(Note { from, to, cause: GapCause::BoxOff }));
        }
    }

    /// The state that was ends at `at`, as does the gap that it is.
    fn enter(&mut self, state: State, at: MonoTime, steps: &mut Vec<Step<P, F>>) {
        self.explain_until(at, steps);
        if state != self.state {
            self.noted_at = None;
        }
        self.state = state;
    }

    fn explain_until(&mut self, at: MonoTime, steps: &mut Vec<Step<P, F>>) {
        if let Some(cause) = self.state.cause() {
            self.note(self.covered, at, cause, steps);
            self.covered = self.covered.max(at);
        }
    }

    /// Enters the cause of a gap that goes on.
    fn note_ongoing(&mut self, now: Now, steps: &mut Vec<Step<P, F>>) {
        let Some(cause) = self.state.cause() else { return };
        if self.asked.is_some() || self.noted_at.is_some_and(|at| now.mono.since(at) < NOTE_EVERY) {
            return;
        }
        self.noted_at = Some(now.mono);
        self.note(self.covered, now.mono, cause, steps);
    }

    fn note(&self, from: MonoTime, to: MonoTime, cause: GapCause, steps: &mut Vec<Step<P, F>>) {
        if from < to {
            steps.push(Step::NoteGap(Note { from: self.utc(from), to: self.utc(to), cause }));
        }
    }

    fn utc(&self, at: MonoTime) -> Timestamp {
        self.anchor.utc(at)
    }

    fn keep_for_later(&mut self, now: Now, note: Note) {
        self.refused_at = Some(now.mono);
        // A gap that goes on is entered again and again, each time longer.
        self.unnoted.retain(|n| (n.from, n.cause) != (note.from, note.cause));
        if self.unnoted.len() >= MAX_UNNOTED {
            self.unnoted.pop_front();
        }
        self.unnoted.push_back(note);
    }

    fn publish(&mut self, now: Now, steps: &mut Vec<Step<P, F>>) {
        // What is asked is known when it is done.
        if self.asked.is_some() && !self.is_hung {
            return;
        }
        self.behind = self.behind.filter(|b| now.mono < b.said_until);
        let status = self.status();
        if self.published.as_ref() != Some(&status) {
            self.published = Some(status.clone());
            steps.push(Step::Publish(status));
        }
    }

    fn status(&self) -> RecordingStatus {
        use RecordingState::{Off, Paused, Recording, Waiting};
        let (state, reason) = match (&self.state, self.behind) {
            _ if self.is_hung => (Paused, "the disk does not answer".into()),
            (State::Off | State::SwitchedOff, _) => (Off, String::new()),
            (State::Paused { reason, .. } | State::Unusable { reason }, _) => (Paused, reason.clone()),
            (State::Silent, _) => (Waiting, "waiting for the camera".into()),
            (State::Quiet, _) => (Waiting, "waiting for motion".into()),
            (State::Writing, _) if !self.files.is_open() => (Waiting, "waiting for a picture".into()),
            (State::Writing, None) => (Recording, String::new()),
            (State::Writing, Some(b)) => {
                (Recording, format!("the disk does not keep up: {} s were lost", b.lost.as_secs().max(1)))
            }
        };
        let is_unrecordable = !self.is_hung && matches!(self.state, State::Unusable { .. });
        RecordingStatus { state, reason, is_unrecordable }
    }
}
