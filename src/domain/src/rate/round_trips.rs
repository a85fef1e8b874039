//! Round trips of a connection, and whether they say that it is crowded: a queue makes all of them longer, jitter only some.

use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// What is compared with.
const LONG: Duration = Duration::from_secs(60);
/// What is judged.
const SHORT: Duration = Duration::from_secs(3);
/// The shortest of the last ones is longer than the shortest of all by this much where a queue stands.
const QUEUE: Duration = Duration::from_millis(220);
const MAX_SAMPLES: usize = 512;

/// The round trips of the last minute.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundTrips(VecDeque<(MonoTime, Duration)>);

impl RoundTrips {
    /// One more.
    pub fn take(&mut self, now: MonoTime, time: Duration) {
        self.0.push_back((now, time));
        while self.0.len() > MAX_SAMPLES || self.0.front().is_some_and(|(at, _)| now.since(*at) > LONG) {
            self.0.pop_front();
        }
    }

    /// Whether a queue stands on the way; also where nothing is known.
    pub fn is_crowded(&self, now: MonoTime) -> bool {
        let shortest = self.0.iter().map(|(_, time)| *time).min();
        let lately = self.0.iter().filter(|(at, _)| now.since(*at) <= SHORT).map(|(_, time)| *time).min();
        lately.zip(shortest).is_none_or(|(lately, shortest)| lately > shortest + QUEUE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_told_from_jitter() {
        let mut trips = RoundTrips::default();
        assert!(trips.is_crowded(MonoTime(0)), "nothing is known");
        let take = |trips: &mut RoundTrips, ms: std::ops::Range<i64>, time: fn(i64) -> u64| {
            ms.step_by(250).for_each(|at| trips.take(MonoTime(at * 1000), Duration::from_millis(time(at))));
        };
        take(&mut trips, 0..5000, |_| 40);
        take(&mut trips, 5000..10_000, |at| if at % 500 == 0 { 60 } else { 380 });
        assert!(!trips.is_crowded(MonoTime(10_000_000)));
        take(&mut trips, 10_000..13_000, |_| 300);
        assert!(trips.is_crowded(MonoTime(13_000_000)));
        take(&mut trips, 13_000..80_000, |_| 300);
        assert!(!trips.is_crowded(MonoTime(80_000_000)), "it is that far away now");
        assert!(trips.0.len() <= MAX_SAMPLES);
    }
}
