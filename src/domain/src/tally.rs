//! Sums up what is too common to be logged each time.

use perch_base::time::MonoTime;
use std::time::Duration;

/// Counts, and gives the sum once a while.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    every: Duration,
    count: u64,
    /// When the first of what is counted now came.
    since: Option<MonoTime>,
}

impl Tally {
    /// Gives sums at most once each `every`.
    pub fn new(every: Duration) -> Self {
        Self { every, count: 0, since: None }
    }

    /// One more.
    pub fn add(&mut self, now: MonoTime) {
        self.count += 1;
        self.since.get_or_insert(now);
    }

    /// The sum once `every` has passed since the first of it came; the next one starts at nothing.
    pub fn take(&mut self, now: MonoTime) -> Option<u64> {
        let is_due = self.since.is_some_and(|since| now.since(since) >= self.every);
        is_due.then(|| std::mem::replace(self, Self::new(self.every)).count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_comes_once_a_minute_and_only_where_there_is_one() {
        let s = |seconds: i64| MonoTime(seconds * 1_000_000);
        let mut tally = Tally::new(Duration::from_secs(60));
        let mut sums = Vec::new();
        for second in 0..400 {
            if matches!(second, 10..=30 | 75 | 200) {
                tally.add(s(second));
            }
            sums.extend(tally.take(s(second)).map(|sum| (second, sum)));
        }
        assert_eq!(sums, [(70, 21), (135, 1), (260, 1)]);
    }
}
