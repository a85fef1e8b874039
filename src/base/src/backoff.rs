//! Jittered exponential backoff: how long to wait before the next attempt. Pure; the caller brings the random number.

use std::time::Duration;

/// Grows from `min` to `max` by doubling; each delay is drawn from the upper half of its step, so that a fleet does not retry in step.
#[derive(Clone, Debug)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    step: u32,
}

impl Backoff {
    /// A backoff between `min` and `max`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, step: 0 }
    }

    /// The next delay. `unit` is a random number in 0..1.
    pub fn next(&mut self, unit: f64) -> Duration {
        let full = self.min.saturating_mul(1u32 << self.step.min(20)).min(self.max);
        self.step = self.step.saturating_add(1);
        full.mul_f64(0.5 + 0.5 * unit.clamp(0.0, 1.0))
    }

    /// Starts over after a success that lasted.
    pub fn reset(&mut self) {
        self.step = 0;
    }
}

/// A random number in 0..1 for [`Backoff::next`].
pub fn unit() -> f64 {
    crate::secret::random_below(1 << 53) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_within_bounds_and_resets() {
        let mut b = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let top: Vec<_> = (0..8).map(|_| b.next(1.0).as_millis()).collect();
        assert_eq!(top, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        b.reset();
        assert_eq!(b.next(0.0).as_millis(), 250);
        for _ in 0..100 {
            assert!(b.next(0.5) <= Duration::from_secs(30));
        }
    }
}
