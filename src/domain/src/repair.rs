//! What becomes of recordings whose rows and files differ after a start, when it is noted that the box runs, and since when it was off.
//! Reading files and writing rows is the store's.

use crate::archive::{SegmentState, TOUCH_US};
use crate::playback::JOIN_US;
use perch_base::ids::SegmentId;
use perch_base::time::Timestamp;

/// What is done with a row, from what is known of its file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowStep {
    /// Both agree, and the recording can be played.
    Keep,
    /// Both agree, or somebody else is at it, and there is nothing to play.
    Leave,
    /// Nothing of it had reached the disk: the row goes.
    Forget,
    /// The file is missing, and the row is to say so.
    Lose,
    /// They differ: the file is read, and the row is to say what is in it.
    Inspect,
}

/// What is done with a row in this state that promises `row_bytes`; `file_bytes` is the size of its file, if there is one.
pub fn row_step(state: SegmentState, row_bytes: u64, file_bytes: Option<u64>) -> RowStep {
    use SegmentState::{Deleting, Lost, Open, Quarantined, Sealed};
    match (state, file_bytes) {
        (Deleting | Quarantined, _) | (Lost, None) => RowStep::Leave,
        (Open, None) => RowStep::Forget,
        (Sealed, None) => RowStep::Lose,
        (Sealed, Some(bytes)) if bytes == row_bytes => RowStep::Keep,
        (Open | Sealed | Lost, Some(_)) => RowStep::Inspect,
    }
}

/// How far a file's own word on its start may be from its name, microseconds.
const AGREES_US: i64 = 1_000_000;

/// When a file without a row begins: what stands in the file (`written`) is finer and is taken when its name agrees to the second.
pub fn start_of(named: Timestamp, written: Option<Timestamp>) -> Timestamp {
    written.filter(|t| t.micros_since(named).saturating_abs() < AGREES_US).unwrap_or(named)
}

/// So many files before an event's are asked whether they hold what it holds.
pub const DOUBLED_FILES: usize = 4;

/// A file that was to be cut ends at most this much behind the one that holds the rest, microseconds.
const LONGER_US: i64 = 1_000_000;

/// A recording as far as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its row: a newer one was made later, whatever the clock said.
    pub id: SegmentId,
    /// When it begins, UTC.
    pub start: Timestamp,
    /// When it ends, UTC.
    pub end: Timestamp,
    /// Whether it belongs to an event.
    pub in_event: bool,
}

impl Stretch {
    /// Whether the end of this recording may stand in an event's as well: a power cut between writing that one and cutting this one
    /// leaves the seconds before the event twice. Their fragments say whether it does, see [`crate::archive::Segment::doubled_from`].
    pub fn may_be_doubled_in(&self, later: &Self) -> bool {
        later.in_event
            && self.id < later.id
            && self.start < later.start
            && self.end > later.start.plus_micros(TOUCH_US)
            && self.end <= later.end.plus_micros(LONGER_US)
    }
}

/// How exactly it is known when the box last ran, microseconds.
const ALIVE_EVERY_US: i64 = 60_000_000;

/// Whether it is to be noted that the box runs at `now`, of which that was noted last for `noted`: seldom, for each is a write and
/// wears the card. One in time to come, which a clock that was set back leaves, is set right.
pub fn is_alive_due(noted: Option<Timestamp>, now: Timestamp) -> bool {
    noted.is_none_or(|noted| now.micros_since(noted).saturating_abs() >= ALIVE_EVERY_US)
}

/// An event without a recording that ran when the box went off lasted this long, microseconds.
pub const UNRECORDED_EVENT_US: i64 = 1_000_000;

/// What is left of a camera's time before a start: of each kind the last that began before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastSigns {
    /// End of its recordings that can be played.
    pub played_until: Option<Timestamp>,
    /// End of all its recordings: what is gone or broken was recorded all the same.
    pub recorded_until: Option<Timestamp>,
    /// End of its gaps, those of deletion aside.
    pub gap_until: Option<Timestamp>,
    /// When the box was last known to run.
    pub alive_at: Option<Timestamp>,
}

impl LastSigns {
    /// Since when the box was off at a start at `now`, if that is to be noted: not where nothing is left to play, not where the last
    /// recording has gone for its age by now (what ended before `kept_since` has), and not for a moment that no timeline shows.
    pub fn off_since(&self, kept_since: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let last = self.played_until?;
        let last = last.max(self.recorded_until.unwrap_or(last));
        let since = last.max(self.gap_until.unwrap_or(last)).max(self.alive_at.unwrap_or(last));
        let is_kept = kept_since.is_none_or(|oldest| last >= oldest);
        (is_kept && now.micros_since(since) > JOIN_US).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_row_and_its_file_are_held_against_each_other() {
        use RowStep::*;
        use SegmentState::{Deleting, Lost, Open, Quarantined, Sealed};
        // The state of a row of 9 bytes, and what becomes of it: without a file, with one of 9 bytes, with another.
        let cases = [
            (Open, [Forget, Inspect, Inspect]),
            (Sealed, [Lose, Keep, Inspect]),
            // It has come back.
            (Lost, [Leave, Inspect, Inspect]),
            (Quarantined, [Leave, Leave, Leave]),
            (Deleting, [Leave, Leave, Leave]),
        ];
        for (state, want) in cases {
            assert_eq!([None, Some(9), Some(8)].map(|file| row_step(state, 9, file)), want, "{state:?}");
        }
    }

    #[test]
    fn a_file_is_believed_when_its_name_agrees_to_the_second() {
        let named = Timestamp(5_000_000);
        for (written, start) in [
            (None, 5_000_000),
            (Some(5_000_000), 5_000_000),
            (Some(5_999_999), 5_999_999),
            (Some(4_000_001), 4_000_001),
            (Some(6_000_000), 5_000_000),
            (Some(4_000_000), 5_000_000),
            (Some(i64::MIN), 5_000_000),
            (Some(i64::MAX), 5_000_000),
        ] {
            assert_eq!(start_of(named, written.map(Timestamp)), Timestamp(start), "{written:?}");
        }
    }

    fn s(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn only_what_reaches_into_an_events_file_may_be_doubled() {
        let event = Stretch { id: SegmentId(7), start: s(100), end: s(160), in_event: true };
        let before = Stretch { id: SegmentId(6), start: s(50), end: s(105), in_event: false };
        let cases = [
            ("the seconds before the event", before, event, true),
            ("an event before it", Stretch { in_event: true, ..before }, event, true),
            ("a file without an event after it", before, Stretch { in_event: false, ..event }, false),
            (
                "one that was made later, by a clock that was set back",
                Stretch { id: SegmentId(8), ..before },
                event,
                false,
            ),
            ("itself", event, event, false),
            ("one that begins with it", Stretch { start: s(100), ..before }, event, false),
            ("one that only touches it", Stretch { end: Timestamp(100_001_000), ..before }, event, false),
            ("one that reaches a little into it", Stretch { end: Timestamp(100_001_001), ..before }, event, true),
            ("one that ends a second later", Stretch { end: s(161), ..before }, event, true),
            ("one that goes on behind it", Stretch { end: s(162), ..before }, event, false),
        ];
        for (name, earlier, later, want) in cases {
            assert_eq!(earlier.may_be_doubled_in(&later), want, "{name}");
        }
    }

    #[test]
    fn it_is_noted_once_a_minute_that_the_box_runs() {
        for (noted, now, is_due) in [
            (None, 0, true),
            (Some(0), 59_999_999, false),
            (Some(0), 60_000_000, true),
            (Some(59_999_999), 0, false),
            (Some(60_000_000), 0, true),
            (Some(i64::MIN), i64::MAX, true),
        ] {
            assert_eq!(is_alive_due(noted.map(Timestamp), Timestamp(now)), is_due, "{noted:?} {now}");
        }
    }

    #[test]
    fn the_box_was_off_since_its_last_sign() {
        let signs = |played, recorded, gap, alive| {
            let t = |seconds: i64| (seconds >= 0).then(|| s(seconds));
            LastSigns { played_until: t(played), recorded_until: t(recorded), gap_until: t(gap), alive_at: t(alive) }
        };
        const NO: i64 = -1;
        let cases = [
            ("a recording", signs(100, 100, NO, NO), NO, 500, 100),
            ("the box ran on", signs(100, 100, NO, 300), NO, 500, 300),
            ("it was known that nothing was recorded", signs(100, 100, 200, NO), NO, 500, 200),
            ("the last sign of several", signs(100, 100, 400, 300), NO, 500, 400),
            ("an older sign", signs(100, 100, 50, 60), NO, 500, 100),
            ("a recording that is lost", signs(100, 150, NO, NO), NO, 500, 150),
            ("nothing that can be played", signs(NO, 150, 200, 300), NO, 500, NO),
            ("nothing at all", signs(NO, NO, NO, 300), NO, 500, NO),
            ("a recording that has gone for its age by now", signs(100, 100, NO, 300), 101, 500, NO),
            ("one that has not", signs(100, 100, NO, 300), 100, 500, 300),
            ("no time", signs(100, 100, NO, NO), NO, 100, NO),
        ];
        for (name, signs, kept_since, now, want) in cases {
            let kept_since = (kept_since >= 0).then(|| s(kept_since));
            assert_eq!(signs.off_since(kept_since, s(now)), (want >= 0).then(|| s(want)), "{name}");
        }
        let at = |since: i64| signs(100, 100, NO, NO).off_since(None, s(100).plus_micros(since));
        assert_eq!((at(JOIN_US), at(JOIN_US + 1)), (None, Some(s(100))), "what the timeline joins");
    }

    proptest! {
        /// Whatever is in the database: the time that is noted ends at the start, is a hole, and holds nothing that is known of.
        #[test]
        fn the_time_off_is_a_hole(
            played in proptest::option::of(any::<i64>()),
            others in any::<[Option<i64>; 3]>(),
            kept in proptest::option::of(any::<i64>()),
            now: i64,
        ) {
            let [recorded, gap, alive] = others.map(|t| t.map(Timestamp));
            let played = played.map(Timestamp);
            let signs = LastSigns { played_until: played, recorded_until: recorded, gap_until: gap, alive_at: alive };
            if let Some(since) = signs.off_since(kept.map(Timestamp), Timestamp(now)) {
                prop_assert!(since < Timestamp(now));
                prop_assert!([played, recorded, gap, alive].into_iter().flatten().all(|sign| sign <= since));
            }
        }

        /// A row is never dropped or called lost while its file is there.
        #[test]
        fn a_file_keeps_its_row(state in 0..5_usize, row: u64, file: u64) {
            use SegmentState::{Deleting, Lost, Open, Quarantined, Sealed};
            let step = row_step([Open, Sealed, Lost, Quarantined, Deleting][state], row, Some(file));
            prop_assert!(!matches!(step, RowStep::Forget | RowStep::Lose));
        }
    }
}
