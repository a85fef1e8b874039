//! Slows down guessing of codes and passwords, as `domain::tries` says, and bounds parallel hashing.

use crate::problem::{Problem, Reply};
use perch_base::ErrorKind;
use perch_base::clock::{SharedClock, within};
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::tries::{Tries, Try};
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Passwords that may be hashed at the same time: each takes a core and tens of megabytes.
const HASHES: usize = 2;
/// How long a sign-in waits for its turn.
const HASH_WAIT: Duration = Duration::from_secs(10);

/// The limits on tries.
pub(crate) struct Guard {
    tries: Mutex<Tries>,
    hashes: Semaphore,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self { tries: Mutex::default(), hashes: Semaphore::new(HASHES) }
    }

    /// Takes one try from every limit that applies.
    pub(crate) fn take(&self, what: Try<'_>, from: IpAddr, now: MonoTime) -> Reply<()> {
        lock(&self.tries).take(what, from, now).map_err(|wait| Problem::rate_limited("too many tries", wait))
    }

    /// Waits for a turn to hash a password. Whoever asks with a credential is asked about again after it.
    pub(crate) async fn hash_turn(&self, clock: &SharedClock) -> Reply<SemaphorePermit<'_>> {
        match within(clock, HASH_WAIT, self.hashes.acquire()).await {
            Some(Ok(permit)) => Ok(permit),
            _ => Err(Problem::new(ErrorKind::Unavailable, "too many people sign in at this moment: try again soon")),
        }
    }
}
