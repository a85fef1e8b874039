//! A small stream as JPEG pictures: how many a second, and when somebody who watches gets the next one.

use perch_base::time::MonoTime;
use std::time::Duration;

/// Pictures a second at most, of what is encoded for all who watch.
pub const MOST_PICTURES: u32 = 5;
/// One who watches is told that there are none when none came for so long.
pub const PICTURE_WITHIN: Duration = Duration::from_secs(10);
/// Encoding goes on for so long after the last who watched.
pub const ENCODES_ON: Duration = Duration::from_secs(5);
/// A picture may come so much early: they are never quite even.
const EARLY: Duration = Duration::from_millis(40);

/// When somebody who watches gets the next picture: as many a second as they asked for on the whole, whatever comes.
#[derive(Clone, Copy, Debug)]
pub struct PicturePace {
    every: Duration,
    due: MonoTime,
}

impl PicturePace {
    /// Of `fps` pictures a second from `now` on; at least one, at most [`MOST_PICTURES`].
    pub fn new(fps: u32, now: MonoTime) -> Self {
        Self { every: Duration::from_secs(1) / fps.clamp(1, MOST_PICTURES), due: now }
    }

    /// From when on the next picture is taken.
    pub fn due(&self) -> MonoTime {
        self.due
    }

    /// One was taken: the next is due one interval after this one was, or, of whoever is late by more than that, after now.
    pub fn took(&mut self, now: MonoTime) {
        let next = self.due + self.every;
        let least = MonoTime(now.0 + self.every.saturating_sub(EARLY).as_micros() as i64);
        self.due = if now.since(self.due) > self.every { least } else { next };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of pictures that come each `every_ms` for ten seconds somebody takes who wants `fps`.
    fn taken(every_ms: i64, fps: u32) -> usize {
        let mut pace = PicturePace::new(fps, MonoTime(0));
        let came = (0..10_000 / every_ms).map(|n| MonoTime(n * every_ms * 1000));
        let is_taken = |at: &MonoTime| {
            let is_due = *at >= pace.due();
            if is_due {
                pace.took(*at);
            }
            is_due
        };
        came.filter(is_taken).count()
    }

    #[test]
    fn each_gets_as_many_as_they_asked_for() {
        for (every_ms, fps, want) in [
            (200, 5, 50),
            (200, 2, 20),
            (200, 1, 10),
            (200, 3, 30),
            (66, 5, 50),
            (1000, 5, 10),
            (40, 99, 50),
            (40, 0, 10),
        ] {
            let got = taken(every_ms, fps);
            assert!(got.abs_diff(want) <= 1, "{fps} a second of one each {every_ms} ms: {got}");
        }
    }

    #[test]
    fn who_was_late_gets_no_burst() {
        let mut pace = PicturePace::new(5, MonoTime(0));
        pace.took(MonoTime(9_000_000));
        assert_eq!(pace.due(), MonoTime(9_160_000));
    }
}
