//! The bit rate that a small stream's encoder is asked for, where all who watch it need less than it is set to.

use perch_base::time::MonoTime;
use std::time::Duration;

/// Hardware encoders hang below this (bits a second).
const LEAST_BPS: u64 = 100_000;
/// Nor is it asked for less than this part of what it is set to: what is seen then is no picture any more.
const LEAST_PART: u64 = 4;
/// It is asked for less so often at most, and for more so often.
const DOWN_EVERY: Duration = Duration::from_secs(1);
const UP_EVERY: Duration = Duration::from_secs(3);
/// By so much more at a time.
const UP_STEP: f64 = 1.3;
/// Differences below this are left alone; upward larger ones, as an estimate moves about.
const CLOSE_BELOW: f64 = 0.08;
const CLOSE_ABOVE: f64 = 0.25;

/// What one encoder is asked for.
#[derive(Clone, Debug)]
pub struct SubEncoderRate {
    set_bps: u64,
    asked_bps: u64,
    changed_at: Option<MonoTime>,
}

impl SubEncoderRate {
    /// Of an encoder that is set to `set_bps`: it is never asked for more.
    pub fn new(set_bps: u64) -> Self {
        Self { set_bps, asked_bps: set_bps, changed_at: None }
    }

    /// What it is asked for now.
    pub fn asked_bps(&self) -> u64 {
        self.asked_bps
    }

    /// The least that it is ever asked for.
    pub fn least_bps(&self) -> u64 {
        (self.set_bps / LEAST_PART).max(LEAST_BPS).min(self.set_bps)
    }

    /// Looks at the needs of all who watch: who needs most decides, so that nobody's picture is worse for another's connection. `Some`: what
    /// to ask for.
    pub fn look(&mut self, now: MonoTime, needs_bps: impl Iterator<Item = u64>) -> Option<u64> {
        let wanted = needs_bps.max().unwrap_or(self.set_bps).clamp(self.least_bps(), self.set_bps);
        let asked = self.asked_bps as f64;
        let next = if (wanted as f64) < asked * (1.0 - CLOSE_BELOW) {
            self.has_rested(now, DOWN_EVERY).then_some(wanted)?
        } else if wanted as f64 > asked * (1.0 + CLOSE_ABOVE) || (wanted == self.set_bps && wanted > self.asked_bps) {
            self.has_rested(now, UP_EVERY).then_some(wanted.min((asked * UP_STEP) as u64))?
        } else {
            return None;
        };
        (self.asked_bps, self.changed_at) = (next, Some(now));
        Some(next)
    }

    fn has_rested(&self, now: MonoTime, time: Duration) -> bool {
        self.changed_at.is_none_or(|at| now.since(at) >= time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime(ms * 1000)
    }

    #[test]
    fn who_needs_most_decides_and_nobody_raises_it_above_what_it_is_set_to() {
        let mut rate = SubEncoderRate::new(600_000);
        assert_eq!(rate.look(at(0), [300_000, 900_000].into_iter()), None);
        assert_eq!(rate.look(at(250), [300_000, 200_000].into_iter()), Some(300_000));
        assert_eq!(rate.look(at(500), [200_000].into_iter()), None, "a second has not passed");
        assert_eq!(rate.look(at(1250), [50_000].into_iter()), Some(150_000), "never less than a quarter");
        let mut up = Vec::new();
        for ms in (1500..20_000).step_by(250) {
            up.extend(rate.look(at(ms), std::iter::empty()).map(|bps| (ms, bps)));
        }
        let steps: Vec<_> = up.iter().map(|(_, bps)| *bps).collect();
        assert_eq!(steps, [195_000, 253_500, 329_550, 428_415, 556_939, 600_000]);
        assert!(up.windows(2).all(|w| w[1].0 - w[0].0 >= 3000), "{up:?}");
        assert_eq!(SubEncoderRate::new(80_000).least_bps(), 80_000, "it is set to less than it should be");
    }

    proptest! {
        #[test]
        fn it_stays_between_its_bounds_and_ends_where_the_needs_are(
            set in 100_000u64..2_000_000, needs in prop::collection::vec(0u64..3_000_000, 0..60), last in 0u64..3_000_000,
        ) {
            let mut rate = SubEncoderRate::new(set);
            let mut ms = 0;
            for need in needs {
                ms += 700;
                let before = rate.asked_bps();
                let asked = rate.look(at(ms), std::iter::once(need));
                prop_assert!((rate.least_bps()..=set).contains(&rate.asked_bps()));
                prop_assert_eq!(asked.is_some(), rate.asked_bps() != before);
                prop_assert!(rate.asked_bps() as f64 <= before as f64 * UP_STEP);
            }
            for _ in 0..100 {
                ms += 1000;
                rate.look(at(ms), std::iter::once(last));
            }
            let end = last.clamp(rate.least_bps(), set) as f64;
            prop_assert!((rate.asked_bps() as f64 - end).abs() <= end * 0.26);
        }
    }
}
