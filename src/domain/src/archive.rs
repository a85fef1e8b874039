//! What is kept: segments, fragments, events, gaps, and the questions that are asked of them.

use crate::access::CameraGrant;
use crate::motion::{Cause, Rect};
use crate::switched_off::OffBy;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::time::{DAY_US, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// A span of time, `from` included, `to` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimeRange {
    /// Start, UTC.
    pub from: Timestamp,
    /// End, UTC; later than `from`.
    pub to: Timestamp,
}

/// The longest range one question may span: a leap year and a day.
pub const MAX_RANGE_US: i64 = 367 * DAY_US;

/// Recordings that one answer may hold: three days of one-minute files.
pub const MAX_SEGMENTS: usize = 5_000;

/// Spans, and gaps, that one timeline may hold.
pub const MAX_STRETCHES: usize = 50_000;

/// Events on one timeline; of more the newest.
pub const MAX_ON_TIMELINE: usize = 2_000;

/// Errors with `TooLarge` where one answer would hold this many recordings.
pub fn check_segments(count: usize) -> Result<()> {
    if count <= MAX_SEGMENTS {
        return Ok(());
    }
    let message = format!("the range holds more than {MAX_SEGMENTS} recordings: ask for a shorter one");
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// Errors with `TooLarge` where one timeline would hold this many spans, or gaps.
pub fn check_stretches(count: usize) -> Result<()> {
    if count <= MAX_STRETCHES {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, "the range holds too many spans and gaps: ask for a shorter one"))
}

/// Errors with `Invalid` unless `from` is before `to`.
pub fn check_order(from: Timestamp, to: Timestamp) -> Result<()> {
    if from < to {
        return Ok(());
    }
    Err(Error::invalid(format!("`from` ({from}) must be before `to` ({to})")))
}

impl TimeRange {
    /// Checks `from < to` and the length. Errors with [`perch_base::ErrorKind::Invalid`].
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self> {
        check_order(from, to)?;
        if to.micros_since(from) > MAX_RANGE_US {
            return Err(Error::invalid("the range is longer than a year: ask for less".to_owned()));
        }
        Ok(Self { from, to })
    }

    /// Microseconds.
    pub fn duration_us(&self) -> i64 {
        self.to.micros_since(self.from)
    }

    /// Whether the two share any moment.
    pub fn overlaps(&self, from: Timestamp, to: Timestamp) -> bool {
        from < self.to && self.from < to
    }
}

/// One fragment of a recorded file: `moof` + `mdat`. It holds one group of pictures or several short ones, or a part of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Byte offset in the file.
    pub offset_bytes: u64,
    /// Its length.
    pub size_bytes: u64,
    /// Start on the file's own time line, microseconds from 0.
    pub start_us: i64,
    /// Length in microseconds.
    pub duration_us: i64,
    /// Whether it begins with a keyframe, so that decoding can start at it. That of a file's first one always does.
    pub starts: bool,
}

/// What state a recorded file is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentState {
    /// Being written.
    Open,
    /// Complete, with length, size and hash.
    Sealed,
    /// The row is there, the file is not.
    Lost,
    /// Could not be read; set aside.
    Quarantined,
    /// About to be unlinked.
    Deleting,
}

/// One recorded file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Segment {
    /// Its row.
    pub id: SegmentId,
    /// The camera.
    pub camera: CameraId,
    /// UTC of the file's time 0.
    pub start: Timestamp,
    /// UTC of its end so far.
    pub end: Timestamp,
    /// Its length so far.
    #[serde(rename = "size")]
    pub size_bytes: u64,
    /// State.
    pub state: SegmentState,
    /// The event it belongs to.
    pub event: Option<EventId>,
    /// Bytes of `ftyp` + `moov` at the start of the file.
    #[serde(skip)]
    pub init_size_bytes: u64,
    /// Its fragments, in order.
    #[serde(skip)]
    pub fragments: Vec<Fragment>,
}

/// The fragment from which on those of a file are needed to show the one at `index`: the last that starts with a keyframe.
pub fn start_before(fragments: &[Fragment], index: usize) -> usize {
    let until = fragments.get(..=index).unwrap_or(fragments);
    until.iter().rposition(|f| f.starts).unwrap_or(0)
}

/// Two neighbours may overlap by this much through the rounding of time stamps, microseconds.
pub const TOUCH_US: i64 = 1_000;

impl Segment {
    /// How many of this file's fragments are left when what a `newer` file holds as well is cut off its end; `None` when it holds
    /// nothing of this one. That the two overlap in time does not say so: the clock may have been set back between them, and they
    /// show different times. What was written twice begins and ends at the same moments in both.
    pub fn doubled_from(&self, newer: &Self) -> Option<usize> {
        let moments = |s: &Self, f: &Fragment| {
            let begin = s.start.0.saturating_add(f.start_us);
            (begin, begin.saturating_add(f.duration_us))
        };
        let reaches = |f: &Fragment| moments(self, f).1 > newer.start.0.saturating_add(TOUCH_US);
        let keep = self.fragments.iter().position(reaches)?;
        let near = |a: i64, b: i64| a.saturating_sub(b).saturating_abs() <= TOUCH_US;
        let is_twice = |f: &Fragment| {
            let (begin, end) = moments(self, f);
            let at = newer.fragments.partition_point(|g| moments(newer, g).1 <= begin.saturating_add(TOUCH_US));
            newer.fragments.get(at).map(|g| moments(newer, g)).is_some_and(|(b, e)| near(b, begin) && near(e, end))
        };
        self.fragments[keep..].iter().all(is_twice).then_some(keep)
    }
}

/// What kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Something moved.
    Motion,
}

perch_base::all_of!(EventKind { Motion });

impl EventKind {
    /// Their words, in the order of [`Self::ALL`].
    pub const WORDS: [&str; 1] = [Self::Motion.as_str()];

    /// The kind as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Motion => "motion",
        }
    }

    /// Parses a kind. Errors with `Invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let known = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| Error::invalid(format!("kind `{text}`: must be {}", Self::WORDS.join(" or "))))
    }
}

/// One event. Its id is the microsecond it started, made unique, so ids sort by time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The camera.
    pub camera: CameraId,
    /// What it is.
    pub kind: EventKind,
    /// First motion; of a later chapter, the end of the one before.
    pub start: Timestamp,
    /// Last motion + post-roll, or where the next chapter starts; `None` while it goes on.
    pub end: Option<Timestamp>,
    /// When the motion started that this is a chapter of: `start` of the first chapter.
    pub since: Timestamp,
    /// Which chapter of what moves since `since`: 1, 2, ...
    pub chapter: u32,
    /// The strongest score, 0..1.
    pub score: f32,
    /// Why it counts.
    pub cause: Cause,
    /// What moved, at the strongest moment.
    pub boxes: Vec<Rect>,
    /// Kept for ever.
    pub pinned: bool,
    /// Whether a still exists.
    pub has_thumbnail: bool,
}

impl Event {
    /// The running event with a stronger picture. The boxes stay those of its still, where it has one.
    pub fn stronger(self, score: f32, cause: Cause, boxes: &[Rect]) -> Self {
        let boxes = if self.has_thumbnail { self.boxes } else { boxes.to_vec() };
        Self { score, cause, boxes, ..self }
    }

    /// The event as it is when it has ended, which is never before its start.
    pub fn ended(self, end: Timestamp) -> Self {
        Self { end: Some(end.max(self.start)), ..self }
    }
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// Only these cameras: what the asking person may see.
    pub cameras: CameraGrant,
    /// Only this camera of them.
    pub camera: Option<CameraId>,
    /// Only this kind.
    pub kind: Option<EventKind>,
    /// Overlapping or after this moment.
    pub from: Option<Timestamp>,
    /// Starting before this moment.
    pub to: Option<Timestamp>,
    /// Only ids below this one (the last page's `next_cursor`).
    pub before: Option<EventId>,
    /// At most so many, see [`Self::LIMITS`].
    pub limit: usize,
}

impl EventFilter {
    /// How many events a page may be asked to hold.
    pub const LIMITS: RangeInclusive<usize> = 1..=200;

    /// Whether it lets this event pass; [`Self::limit`] aside.
    pub fn includes(&self, event: &Event) -> bool {
        self.cameras.includes(&event.camera)
            && self.camera.as_ref().is_none_or(|camera| event.camera == *camera)
            && self.kind.is_none_or(|kind| event.kind == kind)
            && self.from.is_none_or(|from| event.end.is_none_or(|end| end > from))
            && self.to.is_none_or(|to| event.start < to)
            && self.before.is_none_or(|before| event.id < before)
    }
}

/// One page of events, newest first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Give this as `cursor` for the next page.
    pub next_cursor: Option<EventId>,
}

/// Why nothing was recorded for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapCause {
    /// The box was off or the daemon not running.
    BoxOff,
    /// The camera gave no frames.
    CameraUnavailable,
    /// The camera gave pictures that cannot be recorded: without a keyframe for minutes, or without parameter sets.
    Unrecordable,
    /// The disk was full.
    DiskFull,
    /// The disk could not be written.
    DiskError,
    /// Recording is set to `off`.
    RecordingOff,
    /// The camera was switched off.
    SwitchedOff,
    /// Recording is set to `motion` and nothing moved.
    NoMotion,
    /// The file is missing or could not be read.
    Lost,
    /// Deleted to keep within the limits.
    Retention,
    /// Not known.
    Unknown,
}

perch_base::all_of!(GapCause {
    BoxOff,
    CameraUnavailable,
    Unrecordable,
    DiskFull,
    DiskError,
    RecordingOff,
    SwitchedOff,
    NoMotion,
    Lost,
    Retention,
    Unknown
});

/// Where something recorded can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhereHeld {
    /// On the box.
    Here,
    /// Only as a copy elsewhere, which the box reads.
    Copy,
    /// Only as a copy that is encrypted for its owner: the box cannot read it.
    Encrypted,
}

perch_base::all_of!(WhereHeld { Here, Copy, Encrypted });

/// A span that is recorded without a hole, all of it held alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Start, UTC.
    pub start: Timestamp,
    /// End, UTC.
    pub end: Timestamp,
    /// Where it can be had.
    pub held: WhereHeld,
}

/// A span that is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Start, UTC.
    pub start: Timestamp,
    /// End, UTC.
    pub end: Timestamp,
    /// Why.
    pub cause: GapCause,
    /// Who switched the camera off, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<OffBy>,
}

impl Gap {
    /// One that nobody meant.
    pub fn new(start: Timestamp, end: Timestamp, cause: GapCause) -> Self {
        Self { start, end, cause, by: None }
    }
}

/// What is recorded of a camera in a range.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timeline {
    /// The range that was asked for.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Recorded spans, in order.
    pub spans: Vec<Span>,
    /// What is missing, in order; nothing before the first recording and after now.
    pub gaps: Vec<Gap>,
    /// Events that overlap, oldest first, at most 2,000.
    pub events: Vec<Event>,
}

/// What is kept of a camera, which may be no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptOfCamera {
    /// The camera.
    pub camera: CameraId,
    /// Recorded files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events.
    pub events: u64,
    /// Of these, pinned ones.
    pub pinned: u64,
    /// The beginning of the oldest.
    pub from: Option<Timestamp>,
    /// The end of the newest.
    pub to: Option<Timestamp>,
    /// It is being deleted.
    pub deleting: bool,
}

impl KeptOfCamera {
    /// How much it is, for people: "3.2 GB, 214 events, 2 pinned".
    pub fn words(&self) -> String {
        let (size, events) = (bytes_in_words(self.bytes), self.events);
        let events = if events == 1 { "1 event".to_owned() } else { format!("{events} events") };
        match (self.files, self.pinned) {
            (0, _) if self.events == 0 => "nothing is recorded".to_owned(),
            (_, 0) => format!("{size}, {events}"),
            (_, pinned) => format!("{size}, {events}, {pinned} pinned"),
        }
    }
}

/// Bytes as people say them, in powers of 1,000.
fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut size = bytes as f64 / 1000.0;
    for unit in UNITS {
        if size < 999.5 || unit == "TB" {
            return if size < 9.95 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") };
        }
        size /= 1000.0;
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn file(start_us: i64, seconds: &[i64]) -> Segment {
        let mut at = 0;
        let fragments = seconds.iter().map(|length| {
            let fragment =
                Fragment { offset_bytes: 0, size_bytes: 1, start_us: at, duration_us: length * S, starts: true };
            at += length * S;
            fragment
        });
        let fragments: Vec<_> = fragments.collect();
        Segment {
            id: SegmentId(1),
            camera: CameraId::new("front").expect("valid"),
            start: Timestamp(start_us),
            end: Timestamp(start_us + at),
            size_bytes: 1,
            state: SegmentState::Sealed,
            event: None,
            init_size_bytes: 0,
            fragments,
        }
    }

    #[test]
    fn an_answer_is_bounded() {
        assert!(check_segments(MAX_SEGMENTS).is_ok() && check_stretches(MAX_STRETCHES).is_ok());
        for refused in [check_segments(MAX_SEGMENTS + 1), check_stretches(MAX_STRETCHES + 1)] {
            assert_eq!(refused.expect_err("too many").kind(), ErrorKind::TooLarge);
        }
    }

    #[test]
    fn kinds_are_parsed_as_they_are_written() {
        for (kind, word) in EventKind::ALL.iter().zip(EventKind::WORDS) {
            assert_eq!((kind.as_str(), EventKind::parse(word).expect("known")), (word, *kind));
        }
        assert_eq!(EventKind::ALL.len(), EventKind::WORDS.len());
        assert!(EventKind::parse("Motion").is_err());
    }

    #[test]
    fn what_was_written_twice_is_told_from_what_has_the_same_times() {
        let earlier = file(0, &[1, 2, 1, 1]);
        for (newer, keep, what) in [
            (file(3 * S, &[1, 1, 4]), Some(2), "its end is there twice"),
            (file(3 * S + 700, &[1, 1]), Some(2), "rounded"),
            (file(0, &[1, 2, 1, 1, 1]), Some(0), "all of it is"),
            (file(-S, &[1, 1, 2, 1, 1, 1]), Some(0), "and more"),
            (file(5 * S, &[1, 1]), None, "they only touch"),
            (file(9 * S, &[1]), None, "far behind"),
            (file(3 * S + 400_000, &[1, 1, 1]), None, "the clock was set back: other moments"),
            (file(2 * S, &[1, 1, 1]), None, "other lengths"),
            (file(3 * S, &[1]), None, "a part of its end is there once"),
        ] {
            assert_eq!(earlier.doubled_from(&newer), keep, "{what}");
        }
    }

    fn event(end: Option<Timestamp>) -> Event {
        Event {
            id: EventId(50),
            camera: CameraId::new("front").expect("valid"),
            kind: EventKind::Motion,
            start: Timestamp(50),
            end,
            since: Timestamp(50),
            chapter: 1,
            score: 0.5,
            cause: Cause::Motion,
            boxes: vec![],
            pinned: false,
            has_thumbnail: false,
        }
    }

    #[test]
    fn the_boxes_of_an_event_are_those_of_its_still() {
        let rect = |x| Rect { x, y: 0.1, w: 0.2, h: 0.3 };
        for (has_thumbnail, before, want) in [
            (false, vec![], vec![rect(0.5)]),
            (false, vec![rect(0.1)], vec![rect(0.5)]),
            (true, vec![rect(0.1)], vec![rect(0.1)]),
            (true, vec![], vec![]),
        ] {
            let running = Event { has_thumbnail, boxes: before, ..event(None) };
            let want = Event { score: 0.9, cause: Cause::Motion, boxes: want, ..running.clone() };
            assert_eq!(running.stronger(0.9, Cause::Motion, &[rect(0.5)]), want, "{has_thumbnail}");
        }
    }

    #[test]
    fn an_event_ends_at_its_start_or_later() {
        for (end, want) in [(49, 50), (50, 50), (51, 51), (i64::MIN, 50)] {
            assert_eq!(event(None).ended(Timestamp(end)), event(Some(Timestamp(want))), "{end}");
        }
    }

    #[test]
    fn a_filter_lets_pass_what_it_names() {
        let id = |name: &str| CameraId::new(name).expect("valid");
        let (ended, runs) = (event(Some(Timestamp(60))), event(None));
        let all = EventFilter::default;
        let only = |name: &str| CameraGrant::Only([id(name)].into());
        for (filter, lets_ended, lets_running, what) in [
            (all(), true, true, "all"),
            (EventFilter { cameras: only("front"), ..all() }, true, true, "a camera that may be seen"),
            (EventFilter { cameras: only("yard"), ..all() }, false, false, "one that may not"),
            (EventFilter { camera: Some(id("front")), ..all() }, true, true, "its camera"),
            (EventFilter { camera: Some(id("yard")), ..all() }, false, false, "another"),
            (EventFilter { kind: Some(EventKind::Motion), ..all() }, true, true, "its kind"),
            (EventFilter { from: Some(Timestamp(59)), ..all() }, true, true, "ends later"),
            (EventFilter { from: Some(Timestamp(60)), ..all() }, false, true, "ended before"),
            (EventFilter { to: Some(Timestamp(51)), ..all() }, true, true, "began before"),
            (EventFilter { to: Some(Timestamp(50)), ..all() }, false, false, "begins later"),
            (EventFilter { before: Some(EventId(51)), ..all() }, true, true, "the next page"),
            (EventFilter { before: Some(EventId(50)), ..all() }, false, false, "the page it was on"),
        ] {
            assert_eq!((filter.includes(&ended), filter.includes(&runs)), (lets_ended, lets_running), "{what}");
        }
    }

    #[test]
    fn what_is_kept_is_said_in_figures() {
        let kept = |bytes, events, pinned| {
            let camera = CameraId::new("a").expect("an id");
            let files = u64::from(bytes > 0);
            KeptOfCamera { camera, files, bytes, events, pinned, from: None, to: None, deleting: false }.words()
        };
        assert_eq!(kept(3_200_000_000, 214, 2), "3.2 GB, 214 events, 2 pinned");
        assert_eq!(kept(999_600, 1, 0), "1.0 MB, 1 event");
        assert_eq!(kept(12_345_000_000_000, 0, 0), "12 TB, 0 events");
        assert_eq!(kept(0, 0, 0), "nothing is recorded");
    }
}
