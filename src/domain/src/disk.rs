//! When the disk that recordings go to counts as full, read-only or away, how many days fit on it, and what people are told of it.

use crate::retention::RetentionConfig;

/// Where the recordings have a disk of their own, this much is to be free for index, stills and keys, bytes.
const DATABASE_WANTS_BYTES: u64 = 32 << 20;
/// Less than this is nearly full whatever the limits say, bytes.
const FULL_BELOW_BYTES: u64 = 16 << 20;

/// What the system says of the disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// Free on the disk with the recordings, bytes.
    pub free_bytes: u64,
    /// That disk takes no writes.
    pub is_read_only: bool,
    /// Free on the disk with the database, bytes, where that is another one.
    pub database_free_bytes: Option<u64>,
}

impl DiskFacts {
    /// Whether the recordings have a disk of their own that is missing (the system has put something read-only in its place) or
    /// cannot be written: what the index says of them can be neither checked nor acted upon.
    pub fn is_away(&self) -> bool {
        self.is_read_only && self.database_free_bytes.is_some()
    }

    /// How many days of recordings there are once the limits hold, when a day takes `bytes_of_a_day`. `None` where nothing is recorded.
    pub fn days(&self, recordings_bytes: u64, bytes_of_a_day: u64, limits: &RetentionConfig) -> Option<f32> {
        let room = recordings_bytes.saturating_add(self.free_bytes.saturating_sub(limits.min_free_bytes));
        let capacity = if limits.max_bytes > 0 { room.min(limits.max_bytes) } else { room };
        (bytes_of_a_day > 0).then(|| capacity as f32 / bytes_of_a_day as f32)
    }

    /// What is wrong with the disk, a sentence for people; the first that holds. `recordings_bytes` is what all recordings take,
    /// where that is known.
    pub fn problem(&self, recordings_bytes: Option<u64>, limits: &RetentionConfig) -> Option<&'static str> {
        let fits = |bytes: u64| self.free_bytes.saturating_add(bytes) >= limits.min_free_bytes;
        if self.is_away() {
            Some(
                "The disk for recordings is missing or cannot be written: nothing is recorded until it is plugged in again",
            )
        } else if self.is_read_only {
            Some("The disk is read-only: nothing can be recorded; check the card and start the box again")
        } else if self.database_free_bytes.is_some_and(|free| free < DATABASE_WANTS_BYTES) {
            Some("The disk with the database is nearly full: make room on it")
        } else if self.free_bytes < (limits.min_free_bytes / 4).max(FULL_BELOW_BYTES) {
            Some("The disk is nearly full: make room, or lower the limits of recording")
        } else if !recordings_bytes.is_none_or(fits) {
            // Retention then deletes whatever is recorded, and can never be done.
            Some(
                "Something else fills the disk, and recordings are deleted for it: make room, or lower \
                `recording.min_free_bytes`",
            )
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_fit_into_what_is_free_and_what_is_recorded_already() {
        // Recorded, free, a day, to be kept free, at most.
        for ((recorded, free, day, min_free_bytes, max_bytes), want) in [
            ((600, 400, 100, 0, 0), Some(10.0)),
            ((600, 400, 100, 150, 0), Some(8.5)),
            ((600, 400, 100, 0, 300), Some(3.0)),
            ((600, 400, 100, 150, 2000), Some(8.5)),
            // Less is free than is to be: that goes first.
            ((600, 100, 100, 150, 0), Some(6.0)),
            ((0, 0, 100, 150, 0), Some(0.0)),
            ((600, 400, 0, 0, 0), None),
            ((u64::MAX, u64::MAX, u64::MAX, 0, 0), Some(1.0)),
        ] {
            let facts = DiskFacts { free_bytes: free, is_read_only: false, database_free_bytes: None };
            let limits = RetentionConfig { min_free_bytes, max_bytes, ..RetentionConfig::default() };
            assert_eq!(
                facts.days(recorded, day, &limits),
                want,
                "{recorded} {free} {day} {min_free_bytes} {max_bytes}"
            );
        }
    }

    #[test]
    fn a_disk_that_is_away_read_only_or_full_is_reported_the_worst_first() {
        const MIB: u64 = 1 << 20;
        let away = Some("The disk for recordings is missing");
        let read_only = Some("The disk is read-only");
        let database = Some("The disk with the database is nearly full");
        let full = Some("The disk is nearly full");
        let other = Some("Something else fills the disk");
        type Case<'a> = (&'a str, (u64, bool, Option<u64>), Option<u64>, u64, Option<&'a str>);
        let cases: &[Case] = &[
            // (free, read-only, free for the database on a disk of its own), recordings, to be kept free; all MiB
            ("plenty", (5000, false, None), Some(100), 1024, None),
            ("plenty on both", (5000, false, Some(32)), Some(100), 1024, None),
            ("away, though there seems to be room", (5000, true, Some(5000)), Some(100), 1024, away),
            ("away with a full database", (0, true, Some(0)), None, 1024, away),
            ("read-only", (5000, true, None), Some(100), 1024, read_only),
            ("read-only and full", (0, true, None), Some(0), 1024, read_only),
            ("no room for the database", (5000, false, Some(31)), Some(100), 1024, database),
            ("no room on either", (0, false, Some(31)), Some(0), 1024, database),
            ("a quarter of what is to be free", (256, false, None), Some(5000), 1024, None),
            ("less than a quarter", (255, false, None), Some(5000), 1024, full),
            ("less than a quarter, and nothing recorded", (255, false, None), Some(0), 1024, full),
            ("no limit, the least there is", (16, false, None), Some(0), 0, None),
            ("no limit, less than that", (15, false, None), Some(0), 0, full),
            ("short, and retention can free it", (600, false, None), Some(424), 1024, None),
            ("short, and retention cannot", (600, false, None), Some(423), 1024, other),
            ("short, and nobody knows what is recorded", (600, false, None), None, 1024, None),
            ("more than can be counted", (u64::MAX / MIB, false, None), Some(u64::MAX / MIB), 1024, None),
        ];
        for (name, (free, is_read_only, database), recordings, min_free, want) in cases {
            let database_free_bytes = database.map(|free| free * MIB);
            let facts = DiskFacts { free_bytes: free * MIB, is_read_only: *is_read_only, database_free_bytes };
            let limits = RetentionConfig { min_free_bytes: min_free * MIB, ..RetentionConfig::default() };
            let problem = facts.problem(recordings.map(|r| r * MIB), &limits);
            // Up to the advice.
            let is_so = match (problem, want) {
                (Some(problem), Some(want)) => problem.starts_with(want),
                (problem, want) => problem == *want,
            };
            assert!(is_so, "{name}: {problem:?}");
            assert_eq!(facts.is_away(), *want == away, "{name}");
        }
    }
}
