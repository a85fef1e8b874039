//! How often codes and passwords may be tried: by household, by account, and in all.

use crate::account_name::folded;
use crate::throttle::Throttle;
use perch_base::net::household;
use perch_base::secret::sha256;
use perch_base::time::MonoTime;
use std::net::IpAddr;
use std::time::Duration;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try<'a> {
    /// A one-time password.
    Code,
    /// The password of this account.
    Password(&'a str),
}

/// The limits on tries. Memory is bounded, whoever tries whatever.
#[derive(Debug)]
pub struct Tries {
    codes: Throttle<IpAddr>,
    codes_in_all: Throttle<()>,
    passwords: Throttle<IpAddr>,
    passwords_of: Throttle<[u8; 32]>,
    passwords_in_all: Throttle<()>,
}

/// Households and accounts that are remembered.
const REMEMBERED: usize = 4096;

impl Default for Tries {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            codes: Throttle::new(10, s(30), REMEMBERED),
            codes_in_all: Throttle::new(30, s(6), 1),
            passwords: Throttle::new(10, s(10), REMEMBERED),
            passwords_of: Throttle::new(10, s(20), REMEMBERED),
            passwords_in_all: Throttle::new(40, s(2), 1),
        }
    }
}

/// An account by whatever way its name is written.
fn throttled(name: &str) -> String {
    // A long one is nobody's, and folding it costs time.
    if name.len() <= 1024 { folded(name) } else { name.to_ascii_lowercase() }
}

impl Tries {
    /// Takes one try from every limit that applies, the narrowest first, so that one client cannot use up what all share. `Err` says how
    /// long to wait.
    pub fn take(&mut self, what: Try<'_>, from: IpAddr, now: MonoTime) -> Result<(), Duration> {
        let from = household(from);
        match what {
            Try::Code => {
                self.codes.take(&from, now)?;
                self.codes_in_all.take(&(), now)
            }
            Try::Password(user) => {
                // Names differ by more than case, and may be as long as somebody likes.
                let user = sha256(throttled(user).as_bytes());
                self.passwords.take(&from, now)?;
                self.passwords_of.take(&user, now)?;
                self.passwords_in_all.take(&(), now)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// How many of ten thousand tries at one moment are allowed, each from an address and of an account.
    fn allowed(of: impl Fn(u32) -> (IpAddr, Option<String>)) -> usize {
        let mut tries = Tries::default();
        let one = |i: &u32| {
            let (from, account) = of(*i);
            tries.take(account.as_deref().map_or(Try::Code, Try::Password), from, MonoTime(0)).is_ok()
        };
        (0..10_000).filter(one).count()
    }

    #[test]
    fn ten_thousand_guesses_fail_whatever_their_source() {
        let from = |i: u32| IpAddr::from(i.to_be_bytes());
        let v6 = |i: u32| address(&format!("2001:db8::{:x}:{:x}", i >> 16, i & 0xffff));
        for (what, most, got) in [
            ("codes, each from an address of its own", 30, allowed(|i| (from(i), None))),
            ("codes from one address", 10, allowed(|_| (from(1), None))),
            ("codes from one IPv6 network", 10, allowed(|i| (v6(i), None))),
            ("one account's password from everywhere", 10, allowed(|i| (from(i), Some("anna".into())))),
            (
                "one account's password in any case",
                10,
                allowed(|i| (from(i), Some(["anna", "ANNA"][i as usize % 2].into()))),
            ),
            ("passwords of all accounts from one address", 10, allowed(|i| (from(1), Some(i.to_string())))),
            ("passwords of all accounts from everywhere", 40, allowed(|i| (from(i), Some(i.to_string())))),
        ] {
            assert_eq!(got, most, "{what}");
        }
    }

    #[test]
    fn who_waits_as_told_may_try_again_and_others_are_not_held_up() {
        let mut tries = Tries::default();
        let mut now = MonoTime(0);
        let wait = loop {
            if let Err(wait) = tries.take(Try::Code, address("192.0.2.1"), now) {
                break wait;
            }
        };
        tries.take(Try::Code, address("192.0.2.2"), now).expect("another household");
        tries.take(Try::Password("anna"), address("192.0.2.1"), now).expect("another matter");
        now = now + wait + Duration::from_micros(1);
        tries.take(Try::Code, address("192.0.2.1"), now).expect("it waited");
    }
}
