//! The one source of time. The shell reads it and hands `now` to the machines of `domain`; tests turn it by hand.

use crate::time::{MonoTime, Timestamp};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks.
pub trait Clock: Send + Sync + 'static {
    /// Civil time; may jump when the network sets it.
    fn utc(&self) -> Timestamp;
    /// Steady time since the process started; the same scale as media time stamps.
    fn mono(&self) -> MonoTime;
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

impl SystemClock {
    /// The [`Instant`] at which [`MonoTime`] was zero in this process.
    pub fn origin() -> Instant {
        origin()
    }
}

impl Clock for SystemClock {
    fn utc(&self) -> Timestamp {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(d) => Timestamp(d.as_micros() as i64),
            Err(e) => Timestamp(-(e.duration().as_micros() as i64)),
        }
    }

    fn mono(&self) -> MonoTime {
        MonoTime(origin().elapsed().as_micros() as i64)
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    utc: AtomicI64,
    mono: AtomicI64,
}

impl ManualClock {
    /// Starts at `utc` with steady time zero.
    pub fn new(utc: Timestamp) -> Self {
        Self { utc: AtomicI64::new(utc.0), mono: AtomicI64::new(0) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        self.utc.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
        self.mono.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
    }

    /// Sets civil time alone, as a time server would.
    pub fn set_utc(&self, utc: Timestamp) {
        self.utc.store(utc.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn utc(&self) -> Timestamp {
        Timestamp(self.utc.load(Ordering::SeqCst))
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.mono.load(Ordering::SeqCst))
    }
}
