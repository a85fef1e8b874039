//! What is believed of the clock on the wall where what people switched off is to end.
//!
//! A box without a battery for its clock may come up with any time, and whoever sets that wrong would switch cameras on again whose
//! owner said "until this evening". So a clock that the system does not call synchronised may go on and be set back, but not leap ahead: then
//! what passed counts. Once it is synchronised it is right, and ends are as they were said. Schedules go by the clock on the wall alone: they are
//! about its time and no other.

use crate::ages::TOLERANCE;
use perch_base::time::{MonoTime, Timestamp};

/// Follows the clock on the wall against the steady one, for one run of the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndsClock {
    /// Both clocks when the one on the wall was believed last: at the box's start, or while it was synchronised.
    utc: Timestamp,
    mono: MonoTime,
    ahead_us: i64,
}

impl EndsClock {
    /// A run begins.
    pub fn start(utc: Timestamp, mono: MonoTime) -> Self {
        Self { utc, mono, ahead_us: 0 }
    }

    /// By how much the clock on the wall is ahead of what is believed, µs. A difference that a slow clock makes by itself is none.
    pub fn ahead_us(&mut self, utc: Timestamp, mono: MonoTime, is_synchronised: bool) -> i64 {
        if is_synchronised {
            *self = Self::start(utc, mono);
            return 0;
        }
        let passed = self.utc.plus_micros(mono.micros_since(self.mono));
        let ahead_us = utc.micros_since(passed).max(0);
        // The same as long as nobody sets it.
        if ahead_us.abs_diff(self.ahead_us) >= TOLERANCE.as_micros() as u64 {
            self.ahead_us = ahead_us;
        }
        self.ahead_us
    }
}
