//! Slows down guessing: a token bucket for each source of tries, and one for all of them together.

use perch_base::time::MonoTime;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A token bucket that allows `burst` tries and then one each `every`.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: MonoTime,
}

/// Limits tries by key (an address prefix, a user name) and in total. Memory is bounded by `max_keys`.
#[derive(Clone, Debug)]
pub struct Throttle<K> {
    burst: f64,
    every: Duration,
    max_keys: usize,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Clone> Throttle<K> {
    /// `burst` tries at once for each key, then one each `every`; at most `max_keys` keys are remembered.
    pub fn new(burst: u32, every: Duration, max_keys: usize) -> Self {
        Self { burst: f64::from(burst), every, max_keys, buckets: HashMap::new() }
    }

    /// Takes one try. `Err` says how long to wait.
    pub fn take(&mut self, key: &K, now: MonoTime) -> Result<(), Duration> {
        if self.buckets.len() >= self.max_keys && !self.buckets.contains_key(key) {
            self.forget_full(now);
            if self.buckets.len() >= self.max_keys {
                return Err(self.every);
            }
        }
        let (burst, every) = (self.burst, self.every.as_secs_f64());
        let bucket = self.buckets.entry(key.clone()).or_insert(Bucket { tokens: burst, at: now });
        bucket.tokens = (bucket.tokens + now.since(bucket.at).as_secs_f64() / every).min(burst);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - bucket.tokens) * every))
        }
    }

    fn forget_full(&mut self, now: MonoTime) {
        let (burst, every) = (self.burst, self.every.as_secs_f64());
        self.buckets.retain(|_, b| b.tokens + now.since(b.at).as_secs_f64() / every < burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_a_burst_then_a_trickle() {
        let mut t = Throttle::new(5, Duration::from_secs(10), 100);
        let ok = (0..100).filter(|i| t.take(&"a", MonoTime(i * 1000)).is_ok()).count();
        assert_eq!(ok, 5);
        assert!(t.take(&"b", MonoTime(0)).is_ok(), "another key is not affected");
        assert!(t.take(&"a", MonoTime(11_000_000)).is_ok());
    }

    #[test]
    fn memory_is_bounded_and_frees_itself() {
        let mut t = Throttle::new(1, Duration::from_secs(1), 10);
        for k in 0..10 {
            assert!(t.take(&k, MonoTime(0)).is_ok());
        }
        assert!(t.take(&99, MonoTime(0)).is_err());
        assert!(t.take(&99, MonoTime(2_000_000)).is_ok());
    }
}
