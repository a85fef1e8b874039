//! When a store is tried again after a failure.

use super::fault::StoreFault;
use std::time::Duration;

/// The longest pause after the first failure and after many.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// What only a person can mend is looked at again after this: it may be mended at the store, of which the box is not told.
const FOR_A_PERSON: Duration = Duration::from_secs(900);

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// The pause.
    pub after: Duration,
    /// Whether only a person can mend it: an alarm.
    pub is_stopped: bool,
}

/// Counts failures in a row.
#[derive(Clone, Debug, Default)]
pub struct RetryPauses {
    failures: u32,
}

impl RetryPauses {
    /// After this failure. `unit` is a random number in 0..1: the pause is drawn from all of its range ("full jitter"), so that many boxes
    /// do not come back to a store at once; what the store asks for is the least.
    pub fn failed(&mut self, fault: &StoreFault, unit: f64) -> Again {
        if fault.kind.needs_a_person() && fault.retry_after.is_none() {
            return Again { after: FOR_A_PERSON, is_stopped: true };
        }
        let most = PAUSES.0.saturating_mul(1 << self.failures.min(16)).min(PAUSES.1);
        self.failures = self.failures.saturating_add(1);
        let after = most.mul_f64(unit.clamp(0.0, 1.0)).max(fault.retry_after.unwrap_or(Duration::ZERO));
        Again { after, is_stopped: false }
    }

    /// It worked.
    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::fault::StoreFaultKind;

    #[test]
    fn pauses_grow_to_five_minutes_and_the_store_may_ask_for_more() {
        let mut pauses = RetryPauses::default();
        let fault = StoreFault::new(StoreFaultKind::Unreachable, "sending");
        let most: Vec<u64> = (0..12).map(|_| pauses.failed(&fault, 1.0).after.as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(pauses.failed(&fault, 0.0).after, Duration::ZERO, "full jitter");
        let busy =
            StoreFault { retry_after: Some(Duration::from_secs(900)), ..StoreFault::new(StoreFaultKind::Busy, "x") };
        assert_eq!(pauses.failed(&busy, 0.5).after, Duration::from_secs(900));
        pauses.worked();
        assert_eq!(pauses.failed(&fault, 1.0).after, Duration::from_secs(1));
    }

    #[test]
    fn what_a_person_must_mend_stops_it() {
        for kind in StoreFaultKind::ALL {
            let again = RetryPauses::default().failed(&StoreFault::new(*kind, "x"), 0.5);
            assert_eq!(again.is_stopped, kind.needs_a_person(), "{kind:?}");
        }
        let clock = StoreFault { retry_after: Some(Duration::ZERO), ..StoreFault::new(StoreFaultKind::Clock, "x") };
        assert!(!RetryPauses::default().failed(&clock, 0.5).is_stopped, "the store's time is gone by from now on");
    }
}
