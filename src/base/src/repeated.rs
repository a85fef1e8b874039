//! Failures that come again and again: each is logged once, until it changes or ends.

use crate::sync::lock;
use crate::time::MonoTime;
use std::fmt::Display;
use std::sync::Mutex;
use std::time::Duration;

/// What comes again within this time is the same failure, which lasts.
const LASTS: Duration = Duration::from_secs(600);
/// So many failures are told from each other at a time; beyond that the oldest is forgotten and would be news again.
const MOST: usize = 16;

/// Which failures of one kind were logged. Shared by those among whom a failure is to be logged once.
#[derive(Debug, Default)]
pub struct Repeated(Mutex<Vec<Failure>>);

#[derive(Debug)]
struct Failure {
    message: String,
    last: MonoTime,
    repeats: u64,
}

impl Repeated {
    /// Notes that `message` is to be logged at `now`. Whether it is news: it was not noted yet, or not for the last ten minutes.
    pub fn is_news(&self, message: impl Display, now: MonoTime) -> bool {
        let message = message.to_string();
        let mut failures = lock(&self.0);
        failures.retain(|f| now.since(f.last) <= LASTS);
        if let Some(same) = failures.iter_mut().find(|f| f.message == message) {
            same.last = now;
            same.repeats += 1;
            return false;
        }
        if failures.len() >= MOST {
            failures.remove(0);
        }
        failures.push(Failure { message, last: now, repeats: 0 });
        true
    }

    /// What failed works again: how many failures were not logged, where there were any at all.
    pub fn ended(&self) -> Option<u64> {
        let failures = std::mem::take(&mut *lock(&self.0));
        (!failures.is_empty()).then(|| failures.iter().map(|f| f.repeats).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> MonoTime {
        MonoTime(seconds * 1_000_000)
    }

    #[test]
    fn a_failure_is_news_once_until_it_changes_or_ends() {
        let failures = Repeated::default();
        let said = [
            ("out of files", 0),
            ("out of files", 1),
            ("out of memory", 2),
            ("out of files", 600),
            ("out of memory", 603),
        ];
        let news: Vec<_> = said.iter().map(|(message, at)| failures.is_news(message, s(*at))).collect();
        assert_eq!(news, [true, false, true, false, true]);
        assert_eq!(failures.ended(), Some(2));
        assert_eq!(failures.ended(), None);
        assert!(failures.is_news("out of files", s(604)));
        assert_eq!(failures.ended(), Some(0));
    }

    #[test]
    fn many_failures_take_bounded_memory() {
        let failures = Repeated::default();
        assert!((0..1000).all(|n| failures.is_news(n, s(0))));
        assert_eq!(lock(&failures.0).len(), MOST);
        assert!(!failures.is_news(999, s(1)) && failures.is_news(0, s(1)));
    }
}
