//! Whether so much is missing of a stream that people should know: what follows a picture that is missing waits for the next start, so a
//! few lost packets a second are most of a recording.

use perch_base::time::MonoTime;
use std::time::Duration;

/// Over how long pictures are counted, and from how many on that something is missing before; a glitch is none.
const SPAN: Duration = Duration::from_secs(60);
const LEAST: u32 = 30;

/// The pictures of a span.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    since: Option<MonoTime>,
    all: u32,
    /// Those before which something is missing.
    broken: u32,
}

impl Losses {
    /// Counts a picture. True: before more than a tenth of those of a span something was missing.
    pub fn count(&mut self, at: MonoTime, is_broken: bool) -> bool {
        let since = *self.since.get_or_insert(at);
        self.all = self.all.saturating_add(1);
        self.broken = self.broken.saturating_add(u32::from(is_broken));
        if at.since(since) < SPAN {
            return false;
        }
        let is_much = self.broken >= LEAST && self.broken > self.all / 10;
        *self = Self { since: Some(at), ..Self::default() };
        is_much
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(spoiled: impl Fn(i64) -> bool) -> usize {
        let mut losses = Losses::default();
        (0..7_500).filter(|n| losses.count(MonoTime(n * 40_000), spoiled(*n))).count()
    }

    #[test]
    fn much_for_a_minute_is_said_and_little_or_a_moment_not() {
        assert_eq!(said(|n| n % 8 == 0), 4);
        assert_eq!((said(|n| n % 12 == 0), said(|n| (700..900).contains(&n) && n % 2 == 0)), (0, 0));
    }
}
