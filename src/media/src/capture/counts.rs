//! What is counted of an attempt's pictures at the parts that may be too slow for them. Nothing is judged here: that is `domain`'s.

use perch_base::time::MonoTime;
use perch_domain::pace::{Bottleneck, Stage, Work};
use std::time::Duration;

/// A driver's count that jumps further than this was begun again.
const MAX_LOST: u64 = 1000;

/// One part's counts. Times are of one scale in a part; only their distance counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    came: u64,
    left: u64,
    newest_came: Option<MonoTime>,
    newest_left: Option<MonoTime>,
}

/// The counts of one attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    main: Counted,
    decoder: Counted,
    small: Counted,
    /// The driver's number of its newest picture.
    newest_number: Option<u64>,
}

impl Counts {
    fn of(&mut self, part: Bottleneck) -> &mut Counted {
        match part {
            Bottleneck::Main => &mut self.main,
            Bottleneck::Decoder => &mut self.decoder,
            Bottleneck::Small => &mut self.small,
        }
    }

    /// A picture of `at` came to `part`.
    pub fn came(&mut self, part: Bottleneck, at: Option<MonoTime>) {
        let counted = self.of(part);
        counted.came += 1;
        counted.newest_came = at.or(counted.newest_came);
    }

    /// A picture of `at` was taken on by `part`, or came out of it.
    pub fn left(&mut self, part: Bottleneck, at: Option<MonoTime>) {
        let counted = self.of(part);
        counted.left += 1;
        counted.newest_left = at.or(counted.newest_left);
    }

    /// The driver handed over its picture of this number: those between it and the one before came, and nobody took them in time.
    pub fn numbered(&mut self, number: u64) {
        let before = self.newest_number.replace(number);
        let lost = before.and_then(|before| number.checked_sub(before)?.checked_sub(1));
        self.main.came += lost.filter(|lost| *lost <= MAX_LOST).unwrap_or(0);
    }

    /// What was done so far, at `now` of the main stream's times; of the decoder and the small stream only where they are in use.
    pub fn work(&self, now: MonoTime, is_decoding: bool, sub_active: bool) -> Work {
        let stage = |of: &Counted, late: Duration| Stage { came: of.came, left: of.left, late };
        let waiting =
            |of: &Counted| of.newest_came.zip(of.newest_left).map_or(Duration::ZERO, |(came, left)| came.since(left));
        Work {
            main: (self.main.came > 0)
                .then(|| stage(&self.main, self.main.newest_left.map_or(Duration::ZERO, |at| now.since(at)))),
            decoder: is_decoding.then(|| stage(&self.decoder, waiting(&self.decoder))),
            small: sub_active.then(|| stage(&self.small, waiting(&self.small))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(n: i64) -> Option<MonoTime> {
        Some(MonoTime(n * 1_000_000))
    }

    #[test]
    fn each_part_is_counted_for_itself_and_shown_while_it_is_used() {
        let mut counts = Counts::default();
        assert_eq!(counts.work(MonoTime(5), true, true).main, None, "nothing is encoded");
        for n in 0..10 {
            counts.came(Bottleneck::Main, None);
            counts.came(Bottleneck::Decoder, s(n));
        }
        counts.left(Bottleneck::Main, s(7));
        counts.left(Bottleneck::Decoder, s(6));
        let idle = counts.work(MonoTime(9_000_000), false, false);
        assert_eq!((idle.decoder, idle.small), (None, None));
        let work = counts.work(MonoTime(9_000_000), true, true);
        assert_eq!(work.main, Some(Stage { came: 10, left: 1, late: Duration::from_secs(2) }));
        assert_eq!(work.decoder, Some(Stage { came: 10, left: 1, late: Duration::from_secs(3) }));
        assert_eq!(work.small, Some(Stage::default()));
    }

    #[test]
    fn pictures_that_nobody_fetched_from_the_driver_came_all_the_same() {
        // Numbers one after the other, with those that the driver dropped between them; a count that begins again is no loss.
        for (numbers, lost) in [
            (&[0u64, 1, 2, 3][..], 0),
            (&[7, 9, 12], 3),
            (&[5, 5, 6], 0),
            (&[90, 0, 1], 0),
            (&[0, u64::MAX], 0),
            (&[u64::MAX, 0], 0),
        ] {
            let mut counts = Counts::default();
            numbers.iter().for_each(|number| counts.numbered(*number));
            assert_eq!(counts.main.came, lost, "{numbers:?}");
        }
    }
}
