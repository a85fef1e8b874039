//! When an estimate has stuck: it lies below what is wanted and does not move, as no probe changes it. Estimators come to that where little is
//! sent after a bottleneck: they hear too little to see that it is gone.

use perch_base::time::MonoTime;
use std::time::Duration;

/// It must not have moved for so long.
const STILL_FOR: Duration = Duration::from_secs(4);

/// Watches one estimate.
#[derive(Clone, Copy, Debug, Default)]
pub struct StuckEstimate {
    last: Option<(u64, MonoTime)>,
}

impl StuckEstimate {
    /// Looks at the estimate while `wanted_bps` are looked for. True: it is to begin anew from where it is.
    pub fn look(&mut self, now: MonoTime, estimate_bps: u64, wanted_bps: u64) -> bool {
        // What is looked for comes and goes: only a move begins the time anew.
        let since = self.last.filter(|(last, _)| *last == estimate_bps).map_or(now, |(_, since)| since);
        let is_stuck = estimate_bps < wanted_bps && now.since(since) >= STILL_FOR;
        self.last = Some((estimate_bps, if is_stuck { now } else { since }));
        is_stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_that_does_not_move_below_what_is_wanted_begins_anew_now_and_then() {
        let mut watch = StuckEstimate::default();
        let mut look = |ms: i64, estimate, wanted| watch.look(MonoTime(ms * 1000), estimate, wanted);
        assert!((0..16).all(|n| !look(n * 250, 229_000, 300_000)));
        assert!(look(4000, 229_000, 300_000));
        assert!((1..16).all(|n| !look(4000 + n * 250, 229_000, 300_000)), "not at once again");
        assert!(!look(7800, 230_000, 300_000), "it moves");
        assert!(!look(11_700, 230_000, 300_000));
        assert!(look(11_800, 230_000, 300_000));
        assert!((0..100).all(|n| !look(12_000 + n * 250, 230_000, 200_000)), "it is enough");
    }
}
