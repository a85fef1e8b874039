//! A viewer's data budget: so much an hour, and what of it is left.

use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use std::time::Duration;

/// How far a viewer may run ahead of its budget: a keyframe is no reason to show less.
const AHEAD: Duration = Duration::from_secs(60);
/// Once that is used up, so much of it must be there again before all of the budget may be spent.
const RECOVERED: f64 = 0.5;
/// What may be spent until then.
const SAVING: f64 = 0.7;

/// Data a viewer may cost, in megabytes (10^6 bytes) an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataBudget(u32);

impl DataBudget {
    /// The least: sound and a picture now and then. And the most: more than any camera sends.
    pub const RANGE: std::ops::RangeInclusive<u32> = 50..=100_000;

    /// Reads a whole number of megabytes an hour. Errors with `Invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let read = text.parse().ok().filter(|mb| Self::RANGE.contains(mb));
        let (least, most) = (Self::RANGE.start(), Self::RANGE.end());
        read.map(Self).ok_or_else(|| Error::invalid(format!("must be {least} to {most} megabytes an hour")))
    }

    /// Megabytes an hour.
    pub fn megabytes_per_hour(self) -> u32 {
        self.0
    }

    /// The same in bits a second.
    pub fn bps(self) -> u64 {
        u64::from(self.0) * 8_000_000 / 3600
    }
}

/// What of a budget is left.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    budget: DataBudget,
    /// Bytes that may be sent at once; below zero after a burst.
    left_bytes: f64,
    at: MonoTime,
    sent_bytes: u64,
    is_saving: bool,
}

impl Allowance {
    pub fn new(budget: DataBudget, now: MonoTime) -> Self {
        let left_bytes = ahead_bytes(budget);
        Self { budget, left_bytes, at: now, sent_bytes: 0, is_saving: false }
    }

    /// Takes note of all bytes sent so far; returns the bits a second that may be spent.
    pub fn spend(&mut self, now: MonoTime, sent_bytes: u64) -> u64 {
        let most = ahead_bytes(self.budget);
        let earned = self.budget.bps() as f64 / 8.0 * now.since(self.at).as_secs_f64();
        let spent = sent_bytes.saturating_sub(self.sent_bytes) as f64;
        self.left_bytes = (self.left_bytes + earned).min(most) - spent;
        (self.at, self.sent_bytes) = (now, sent_bytes);
        self.is_saving = if self.is_saving { self.left_bytes < most * RECOVERED } else { self.left_bytes < 0.0 };
        self.rate_bps()
    }

    /// The bits a second that may be spent now.
    pub fn rate_bps(&self) -> u64 {
        let all = self.budget.bps();
        if self.is_saving { (all as f64 * SAVING) as u64 } else { all }
    }
}

fn ahead_bytes(budget: DataBudget) -> f64 {
    budget.bps() as f64 / 8.0 * AHEAD.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_whole_megabytes_an_hour() {
        for (text, want) in [("50", Some(111_111)), ("450", Some(1_000_000)), ("100000", Some(222_222_222))] {
            assert_eq!(DataBudget::parse(text).ok().map(DataBudget::bps), want, "{text}");
        }
        for text in ["", "49", "100001", "-1", "1.5", "450 MB"] {
            let e = DataBudget::parse(text).expect_err("refused");
            assert_eq!(e.message(), "must be 50 to 100000 megabytes an hour", "{text:?}");
        }
    }

    #[test]
    fn who_ran_ahead_saves_until_half_of_it_is_back() {
        let (budget, mut now, mut sent) = (DataBudget::parse("450").expect("sound"), MonoTime(0), 0);
        let mut allowance = Allowance::new(budget, now);
        let mut spend = |seconds: u64, bytes: u64| {
            now = now + Duration::from_secs(seconds);
            sent += bytes;
            allowance.spend(now, sent)
        };
        assert_eq!(spend(1, 7_000_000), 1_000_000, "seven of seven and a half megabytes");
        assert_eq!(spend(0, 1_000_000), 700_000);
        assert_eq!(spend(20, 0), 700_000, "a third is back");
        assert_eq!(spend(20, 0), 1_000_000);
        assert_eq!(spend(3600, 0), 1_000_000);
        assert_eq!(spend(0, 7_600_000), 700_000, "no more than a minute's is saved up");
    }
}
