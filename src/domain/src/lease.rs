//! The lease of a live session: it ends by itself unless its viewer renews it or shows that it is there. Revocation does not wait for it.

use perch_base::time::MonoTime;
use std::time::Duration;

/// How long a session lives without renewal: the page's own each third of it, a player's receiver reports, or its consent to be sent to.
pub const LEASE: Duration = Duration::from_secs(30);
/// How long a new session has for its first sign of life: a page gives up after 12 s. Whoever left before it was connected takes no place longer.
pub const FIRST_LEASE: Duration = Duration::from_secs(15);

/// One lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    expires: MonoTime,
}

impl Lease {
    /// A lease granted at `now`, for [`FIRST_LEASE`].
    pub fn grant(now: MonoTime) -> Self {
        Self { expires: now + FIRST_LEASE }
    }

    /// Renews. False: it had lapsed already and stays so.
    pub fn renew(&mut self, now: MonoTime) -> bool {
        let alive = !self.lapsed(now);
        if alive {
            self.expires = now + LEASE;
        }
        alive
    }

    /// Whether it lapsed.
    pub fn lapsed(&self, now: MonoTime) -> bool {
        now >= self.expires
    }

    /// When it lapses.
    pub fn expires(&self) -> MonoTime {
        self.expires
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// It lives exactly as long as the first renewal comes early and no two are a lease apart, and stays lapsed from then on.
        #[test]
        fn lives_from_renewal_to_renewal_and_never_again(
            waits in prop::collection::vec((0..=LEASE.as_secs(), any::<bool>()), 0..40),
        ) {
            let mut now = MonoTime(0);
            let (mut lease, mut expires, mut is_alive) = (Lease::grant(now), now + FIRST_LEASE, true);
            for (wait_s, renews) in waits {
                now = now + Duration::from_secs(wait_s);
                is_alive &= now < expires;
                prop_assert_eq!(lease.lapsed(now), !is_alive);
                if renews {
                    prop_assert_eq!(lease.renew(now), is_alive);
                    expires = if is_alive { now + LEASE } else { expires };
                }
                prop_assert_eq!(lease.expires(), expires);
            }
        }
    }

    #[test]
    fn lapses_after_thirty_seconds_and_cannot_be_revived() {
        let mut lease = Lease::grant(MonoTime(0));
        assert!(lease.lapsed(MonoTime(15_000_000)), "nobody came");
        assert!(lease.renew(MonoTime(14_000_000)));
        assert!(!lease.lapsed(MonoTime(43_999_999)));
        assert!(lease.lapsed(MonoTime(44_000_000)));
        assert!(!lease.renew(MonoTime(44_000_000)));
    }
}
