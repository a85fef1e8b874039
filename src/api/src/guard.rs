//! Slows down guessing of codes and passwords: by address prefix, by user name and in all; and bounds parallel hashing.

use crate::problem::{Problem, Reply};
use perch_base::ErrorKind;
use perch_base::clock::{SharedClock, within};
use perch_base::secret::sha256;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::throttle::Throttle;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Passwords that may be hashed at the same time: each takes a core and tens of megabytes.
const HASHES: usize = 2;
/// How long a sign-in waits for its turn.
const HASH_WAIT: Duration = Duration::from_secs(10);

/// A client as limits see it: an IPv4 address, or the /64 of an IPv6 one (which a single host may own whole).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix(IpAddr);

impl Prefix {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(perch_base::net::household(address))
    }
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Try<'a> {
    /// A one-time password.
    Code,
    /// The password of this account.
    Password(&'a str),
}

/// The limits on tries.
pub(crate) struct Guard {
    tries: Mutex<Tries>,
    hashes: Semaphore,
}

struct Tries {
    codes: Throttle<Prefix>,
    codes_in_all: Throttle<()>,
    passwords: Throttle<Prefix>,
    passwords_of: Throttle<[u8; 32]>,
    passwords_in_all: Throttle<()>,
}

impl Guard {
    pub(crate) fn new() -> Self {
        let s = Duration::from_secs;
        let tries = Tries {
            codes: Throttle::new(10, s(30), 4096),
            codes_in_all: Throttle::new(30, s(6), 1),
            passwords: Throttle::new(10, s(10), 4096),
            passwords_of: Throttle::new(10, s(20), 4096),
            passwords_in_all: Throttle::new(40, s(2), 1),
        };
        Self { tries: Mutex::new(tries), hashes: Semaphore::new(HASHES) }
    }

    /// Takes one try from every limit that applies, the narrowest first, so that one client cannot use up what all share.
    pub(crate) fn take(&self, what: Try<'_>, from: Prefix, now: MonoTime) -> Reply<()> {
        let mut tries = lock(&self.tries);
        let taken = match what {
            Try::Code => tries.codes.take(&from, now).and_then(|()| tries.codes_in_all.take(&(), now)),
            Try::Password(user) => {
                let user = sha256(user.to_ascii_lowercase().as_bytes());
                tries
                    .passwords
                    .take(&from, now)
                    .and_then(|()| tries.passwords_of.take(&user, now))
                    .and_then(|()| tries.passwords_in_all.take(&(), now))
            }
        };
        taken.map_err(|wait| Problem::rate_limited("too many tries", wait))
    }

    /// Waits for a turn to hash a password.
    pub(crate) async fn hash_turn(&self, clock: &SharedClock) -> Reply<SemaphorePermit<'_>> {
        match within(clock, HASH_WAIT, self.hashes.acquire()).await {
            Some(Ok(permit)) => Ok(permit),
            _ => Err(Problem::new(ErrorKind::Unavailable, "too many people sign in at this moment: try again soon")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_ipv6_network_is_one_client() {
        let of = |a: &str| Prefix::of(a.parse().expect("address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn ten_thousand_guesses_fail_whatever_their_source() {
        let guard = Guard::new();
        let count = |f: &dyn Fn(u32) -> bool| (0..10_000).filter(|i| f(*i)).count();
        let from = |i: u32| Prefix::of(IpAddr::from(i.to_be_bytes()));
        assert!(count(&|i| guard.take(Try::Code, from(i), MonoTime(0)).is_ok()) <= 30);
        assert!(count(&|i| guard.take(Try::Password("anna"), from(i), MonoTime(0)).is_ok()) <= 10);
        assert!(count(&|i| guard.take(Try::Password(&i.to_string()), from(1), MonoTime(0)).is_ok()) <= 10);
    }
}
