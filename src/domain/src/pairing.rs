//! The one-time password: single use, short lived, burned after five wrong tries, at most ten codes a day. Its counters are
//! a plain value that the store keeps, so they survive a restart.

use crate::access::Role;
use perch_base::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Wrong tries after which a code is burned.
pub const MAX_TRIES: u32 = 5;
/// Codes that may be made in any 24 hours.
pub const CODES_PER_DAY: usize = 10;

/// Length and life of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairingConfig {
    /// Decimal digits, 6 to 12.
    pub digits: u32,
    /// How long a code can be used.
    pub ttl: Duration,
}

impl Default for PairingConfig {
    fn default() -> Self {
        Self { digits: 8, ttl: Duration::from_secs(300) }
    }
}

/// Everything pairing remembers; stored as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    code: Option<Code>,
    issued: Vec<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Code {
    hash: String,
    role: Role,
    issued_at: Timestamp,
    expires_at: Timestamp,
    tries_left: u32,
}

/// Why no code was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyCodes {
    /// When the next one may be made.
    pub next_at: Timestamp,
}

/// What a try gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Right: the code is used up, the device gets this role.
    Paired(Role),
    /// Wrong; so many tries are left.
    Wrong {
        /// Tries left, at least 1.
        tries_left: u32,
    },
    /// Wrong for the last time, or used after that: the code is gone.
    Burned,
    /// There is no code, or it is too old.
    NoCode,
}

impl Pairing {
    /// Takes a new code into force (its hash), ending an older one. The clock may have been set back: a code "issued in the
    /// future" counts as issued now.
    pub fn issue(
        &mut self,
        hash: String,
        role: Role,
        config: &PairingConfig,
        now: Timestamp,
    ) -> Result<Timestamp, TooManyCodes> {
        const DAY_US: i64 = 86_400_000_000;
        for t in &mut self.issued {
            *t = (*t).min(now);
        }
        self.issued.retain(|t| now.micros_since(*t) < DAY_US);
        if self.issued.len() >= CODES_PER_DAY {
            let oldest = self.issued.iter().min().copied().unwrap_or(now);
            return Err(TooManyCodes { next_at: oldest.plus_micros(DAY_US) });
        }
        self.issued.push(now);
        let expires_at = now + config.ttl;
        self.code = Some(Code { hash, role, issued_at: now, expires_at, tries_left: MAX_TRIES });
        Ok(expires_at)
    }

    /// Tries a code (its hash, made the same way as for [`Self::issue`]).
    pub fn attempt(&mut self, hash: &str, now: Timestamp) -> Attempt {
        let Some(code) = &mut self.code else { return Attempt::NoCode };
        // A clock set back must not give an old code new life.
        if now >= code.expires_at || now < code.issued_at {
            self.code = None;
            return Attempt::NoCode;
        }
        if code.tries_left == 0 {
            return Attempt::Burned;
        }
        if perch_base::secret::constant_time_eq(hash.as_bytes(), code.hash.as_bytes()) {
            let role = code.role;
            self.code = None;
            return Attempt::Paired(role);
        }
        code.tries_left -= 1;
        match code.tries_left {
            0 => Attempt::Burned,
            tries_left => Attempt::Wrong { tries_left },
        }
    }

    /// Whether a code could be used at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.code.as_ref().is_some_and(|c| c.tries_left > 0 && now < c.expires_at && now >= c.issued_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: i64 = 1_000_000;

    fn at(s: i64) -> Timestamp {
        Timestamp(1_800_000_000 * SEC + s * SEC)
    }

    fn open(now: Timestamp) -> Pairing {
        let mut p = Pairing::default();
        p.issue("right".into(), Role::Admin, &PairingConfig::default(), now).expect("first code");
        p
    }

    #[test]
    fn works_once() {
        let mut p = open(at(0));
        assert_eq!(p.attempt("right", at(299)), Attempt::Paired(Role::Admin));
        assert_eq!(p.attempt("right", at(299)), Attempt::NoCode);
    }

    #[test]
    fn expires() {
        assert_eq!(open(at(0)).attempt("right", at(300)), Attempt::NoCode);
        assert_eq!(open(at(0)).attempt("right", at(-1)), Attempt::NoCode, "a clock set back ends it");
    }

    #[test]
    fn burns_after_five() {
        let mut p = open(at(0));
        for tries_left in (1..MAX_TRIES).rev() {
            assert_eq!(p.attempt("wrong", at(1)), Attempt::Wrong { tries_left });
        }
        assert_eq!(p.attempt("wrong", at(1)), Attempt::Burned);
        assert_eq!(p.attempt("right", at(1)), Attempt::Burned);
    }

    #[test]
    fn ten_a_day_even_when_the_clock_is_set() {
        let mut p = Pairing::default();
        let config = PairingConfig::default();
        for i in 0..10 {
            p.issue("h".into(), Role::Viewer, &config, at(i)).expect("within the day's ten");
        }
        let refused = p.issue("h".into(), Role::Viewer, &config, at(100)).expect_err("eleventh");
        assert_eq!(refused.next_at, at(86_400));
        assert!(
            p.issue("h".into(), Role::Viewer, &config, at(-99_999)).is_err(),
            "setting the clock back does not help"
        );
        assert!(p.issue("h".into(), Role::Viewer, &config, at(86_500)).is_ok());
    }
}
