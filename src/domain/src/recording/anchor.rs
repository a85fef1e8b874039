//! Ties steady time to UTC.

use perch_base::time::{MonoTime, Timestamp};
use std::time::Duration;

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

    /// The anchor that the times of an event's chapter are read by: the one of the chapter `before`, so that they join, unless the clock
    /// was set since; both clocks read now.
    pub fn of_chapter(chapter: u32, before: Option<Self>, utc: Timestamp, mono: MonoTime) -> Self {
        let before = before.filter(|anchor| chapter > 1 && !anchor.is_broken(utc, mono));
        before.unwrap_or_else(|| Self::new(utc, mono))
    }

    /// UTC of a presentation time.
    pub fn utc(&self, at: MonoTime) -> Timestamp {
        self.utc.plus_micros(at.micros_since(self.mono))
    }

    /// Whether the clock was set since.
    pub fn is_broken(&self, utc: Timestamp, mono: MonoTime) -> bool {
        self.utc(mono).micros_since(utc).unsigned_abs() > MAX_DRIFT.as_micros() as u64
    }

    /// What a clock that was set forward skipped, and in which the box cannot have run: from `last`, the last moment that was read
    /// from this clock, to `began`, when this run began, by the clock that is right now.
    pub fn skipped(&self, set: &Self, began: MonoTime, last: MonoTime) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = (self.utc(last), set.utc(began));
        (from < to).then_some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_join_unless_the_clock_was_set() {
        let before = TimeAnchor::new(Timestamp(1_000_000), MonoTime(0));
        let mono = MonoTime(60_000_000);
        let (drifted, set) = (Timestamp(61_400_000), Timestamp(99_000_000));
        for (chapter, before, utc, joins) in [
            (2, Some(before), drifted, true),
            (7, Some(before), drifted, true),
            (2, Some(before), set, false),
            (1, Some(before), drifted, false),
            (2, None, drifted, false),
        ] {
            let got = TimeAnchor::of_chapter(chapter, before, utc, mono);
            let want = before.filter(|_| joins).unwrap_or(TimeAnchor::new(utc, mono));
            assert_eq!(got, want, "chapter {chapter} at {utc}");
        }
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
}
