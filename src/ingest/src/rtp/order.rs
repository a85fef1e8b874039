//! When pictures are decoded that travel out of the order in which they are shown (B-frames).

use perch_base::time::MonoTime;
use std::time::Duration;

/// Most pictures that may come before one that is shown before them (H.264 A.3.1: `MaxDpbFrames`).
const MAX_DEPTH: usize = 16;
/// One is overtaken by less than this.
const MOST_OVERTAKEN: Duration = Duration::from_secs(2);
/// Least distance of two times of decoding.
const MIN_STEP: Duration = Duration::from_micros(1);
/// After so many pictures in order, what is said of a reordering is not believed.
const UNPROVEN: u32 = 60;
/// So many pictures, twice, in which none was overtaken by as many as before: fewer are enough.
const FORGOTTEN: u32 = 300;

/// Gives each picture a time of decoding: grows strictly, and is never later than when the picture is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    depth: usize,
    /// Whether one was seen out of order.
    proven: bool,
    in_order: u32,
    /// Pictures since the depth was looked at, and how far one was overtaken among them and among those before.
    looked_at: u32,
    deepest: [usize; 2],
    /// Times of the last `depth + 1` pictures, in order.
    window: Vec<MonoTime>,
    /// Times of the last pictures as they came.
    last: Vec<MonoTime>,
    decoded: Option<MonoTime>,
}

impl Order {
    /// What the parameter sets say.
    pub fn say(&mut self, depth: Option<u8>) {
        let depth = depth.map_or(self.depth, |depth| usize::from(depth).min(MAX_DEPTH));
        if !self.proven && (self.in_order < UNPROVEN || depth == 0) {
            self.depth = depth;
        }
    }

    /// Whether pictures are taken to travel out of order.
    pub fn reorders(&self) -> bool {
        self.depth > 0
    }

    /// Takes back a depth that is not seen any more: one clock that was set back is not the order of all pictures to come.
    fn forget(&mut self, overtaken: usize) {
        let [now, before] = &mut self.deepest;
        *now = (*now).max(overtaken.min(MAX_DEPTH));
        self.looked_at += 1;
        if self.looked_at < FORGOTTEN {
            return;
        }
        self.looked_at = 0;
        let deepest = (*now).max(std::mem::replace(before, *now));
        *now = 0;
        if self.proven {
            self.depth = self.depth.min(deepest);
            self.proven = deepest > 0;
        }
    }

    /// Times do not go on.
    pub fn restart(&mut self) {
        self.window.clear();
        self.last.clear();
    }

    /// When a picture that comes next is shown and decoded. `spacing`: usual time from picture to picture; `may`: whether one that
    /// is shown before earlier ones proves anything.
    pub fn next(&mut self, shown: MonoTime, spacing: Duration, may: bool) -> (MonoTime, MonoTime) {
        let is_overtaken = |earlier: &&MonoTime| may && **earlier > shown && earlier.since(shown) < MOST_OVERTAKEN;
        let overtaken = self.last.iter().filter(is_overtaken).count();
        self.forget(overtaken);
        if overtaken > 0 {
            self.proven = true;
            self.depth = self.depth.max(overtaken.min(MAX_DEPTH));
        } else {
            self.in_order = self.in_order.saturating_add(1);
            if !self.proven && self.in_order >= UNPROVEN {
                self.depth = 0;
            }
        }
        if self.last.len() >= MAX_DEPTH {
            self.last.remove(0);
        }
        self.last.push(shown);
        if self.window.is_empty() {
            self.window.extend((1..=self.depth as u32).rev().map(|n| shown - spacing * n));
        }
        let place = self.window.partition_point(|time| *time <= shown);
        self.window.insert(place, shown);
        while self.window.len() > self.depth + 1 {
            self.window.remove(0);
        }
        let whole = self.window.len() > self.depth;
        let mut decoded = self.window.first().copied().filter(|_| whole).unwrap_or(MonoTime(i64::MIN));
        if let Some(before) = self.decoded {
            decoded = decoded.max(before + MIN_STEP);
        }
        self.decoded = Some(decoded);
        (shown.max(decoded), decoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPACING: Duration = Duration::from_millis(40);

    fn run(order: &mut Order, frames: &[i64]) -> Vec<(i64, i64)> {
        let next = |frame: &i64| order.next(MonoTime(1_000_000 + frame * 40_000), SPACING, true);
        frames
            .iter()
            .map(next)
            .map(|(shown, decoded)| ((shown.0 - 1_000_000) / 40_000, (decoded.0 - 1_000_000) / 40_000))
            .collect()
    }

    #[test]
    fn without_b_frames_nothing_is_delayed() {
        let mut order = Order::default();
        order.say(Some(0));
        assert!(run(&mut order, &[0, 1, 2, 5]).iter().all(|(shown, decoded)| shown == decoded));
        assert!(!order.reorders());
    }

    #[test]
    fn b_frames_that_were_said_are_right_from_the_first() {
        let mut order = Order::default();
        order.say(Some(1));
        assert_eq!(run(&mut order, &[0, 3, 1, 2, 6, 4, 5]), [(0, -1), (3, 0), (1, 1), (2, 2), (6, 3), (4, 4), (5, 5)]);
        let mut order = Order::default();
        order.say(Some(2));
        assert_eq!(
            run(&mut order, &[0, 4, 2, 1, 3, 8, 6, 5, 7]).iter().map(|p| p.1).collect::<Vec<_>>(),
            [-2, -1, 0, 1, 2, 3, 4, 5, 6]
        );
    }

    #[test]
    fn b_frames_that_were_not_said_are_learned() {
        let mut order = Order::default();
        let got = run(&mut order, &[0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]);
        assert_eq!(got[9..], [(8, 8), (12, 9), (10, 10), (11, 11)]);
        assert!(order.reorders());
    }

    #[test]
    fn what_is_said_and_never_seen_is_forgotten() {
        let mut order = Order::default();
        order.say(Some(2));
        let got = run(&mut order, &(0..100).collect::<Vec<_>>());
        assert_eq!((got[10], got[99]), ((10, 8), (99, 99)));
        order.say(Some(2));
        assert!(!order.reorders(), "nor believed when it is said again");
    }

    #[test]
    fn a_depth_that_is_not_seen_any_more_is_forgotten() {
        let mut order = Order::default();
        // B-frames; then the camera's clock goes back by ten pictures, once.
        let b_frames = |n: i64| n / 3 * 3 + [0, 2, 1][n as usize % 3];
        let mut frames: Vec<i64> = (0..300).map(b_frames).collect();
        frames.extend((0..1500).map(|n| 290 + b_frames(n)));
        let got = run(&mut order, &frames);
        assert!(order.depth == 1 && order.proven, "{}", order.depth);
        assert!(got[1700..].iter().all(|(shown, decoded)| shown - decoded <= 2));
        // And none any more.
        let got = run(&mut order, &(2000..2700).collect::<Vec<_>>());
        assert!(!order.reorders() && got[650..].iter().all(|(shown, decoded)| shown == decoded));
    }

    #[test]
    fn what_cannot_be_out_of_order_proves_nothing() {
        let mut order = Order::default();
        for time in [0, 40_000, 80_000, 30_000, 120_000, 160_000] {
            order.next(MonoTime(time), SPACING, false);
        }
        assert!(!order.reorders());
    }

    proptest! {
        #[test]
        fn decoding_goes_on_and_is_never_late(times in proptest::collection::vec(0i64..10_000_000, 1..200), said in 0u8..20) {
            let mut order = Order::default();
            order.say(Some(said));
            let mut before = i64::MIN;
            for time in times {
                let (shown, decoded) = order.next(MonoTime(time), SPACING, true);
                prop_assert!(decoded.0 > before && decoded <= shown);
                prop_assert!(order.window.len() <= MAX_DEPTH + 1 && order.last.len() <= MAX_DEPTH);
                before = decoded.0;
            }
        }
    }
}
