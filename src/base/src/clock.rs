//! The one source of time. The shell reads it, waits by it and hands `now` to the machines of `domain`; tests turn it by hand.

use crate::sync::lock;
use crate::time::{MonoTime, Timestamp};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A wait that ends by itself.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reads both clocks, and waits.
pub trait Clock: Send + Sync + 'static {
    /// Civil time; may jump when the network sets it.
    fn utc(&self) -> Timestamp;
    /// Steady time since the process started; the same scale as media time stamps.
    fn mono(&self) -> MonoTime;
    /// Waits until steady time has reached `at`.
    fn sleep_until(&self, at: MonoTime) -> Sleep;
    /// Waits so long by steady time.
    fn sleep(&self, time: Duration) -> Sleep {
        self.sleep_until(self.mono() + time)
    }
}

/// A shared clock.
pub type SharedClock = Arc<dyn Clock>;

/// Waits for `future`, but not longer than `limit`; `None` when it took longer.
pub async fn within<F: Future>(clock: &SharedClock, limit: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut late) = (pin!(future), clock.sleep(limit));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => late.as_mut().poll(cx).map(|()| None),
    })
    .await
}

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

    /// By tokio's timers: to be awaited inside its runtime.
    fn sleep_until(&self, at: MonoTime) -> Sleep {
        let left = at.since(self.mono());
        Box::pin(async move { tokio::time::sleep(left).await })
    }
}

/// A clock that moves only when a test moves it, and wakes whoever waits on it.
#[derive(Debug, Default)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Debug, Default)]
struct Hands {
    utc: Timestamp,
    mono: MonoTime,
    /// Who waits, and until when.
    sleepers: BTreeMap<u64, (MonoTime, Waker)>,
    next_sleeper: u64,
    /// Who wants to know when the sleepers change.
    watchers: Vec<Waker>,
}

impl Hands {
    fn next_wake(&self) -> Option<MonoTime> {
        self.sleepers.values().map(|(at, _)| *at).min()
    }
}

impl ManualClock {
    /// Starts at `utc` with steady time zero.
    pub fn new(utc: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands { utc, ..Hands::default() })))
    }

    /// Moves both clocks on, and wakes whose time has come.
    pub fn advance(&self, by: Duration) {
        let due: Vec<Waker> = {
            let mut hands = hands(&self.0);
            hands.utc = hands.utc + by;
            hands.mono = hands.mono + by;
            let now = hands.mono;
            hands.sleepers.values().filter(|(at, _)| *at <= now).map(|(_, waker)| waker.clone()).collect()
        };
        due.into_iter().for_each(Waker::wake);
    }

    /// Sets civil time alone, as a time server would.
    pub fn set_utc(&self, utc: Timestamp) {
        hands(&self.0).utc = utc;
    }

    /// When the next one wakes that waits by this clock; `None` while nobody does.
    pub fn next_wake(&self) -> Option<MonoTime> {
        hands(&self.0).next_wake()
    }

    /// Waits until `wanted` holds of [`next_wake`](Self::next_wake). What it is asked must not use this clock.
    pub async fn next_wake_is(&self, wanted: impl Fn(Option<MonoTime>) -> bool) {
        std::future::poll_fn(|cx| {
            let mut hands = hands(&self.0);
            if wanted(hands.next_wake()) {
                return Poll::Ready(());
            }
            hands.watchers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Clock for ManualClock {
    fn utc(&self) -> Timestamp {
        hands(&self.0).utc
    }

    fn mono(&self) -> MonoTime {
        hands(&self.0).mono
    }

    fn sleep_until(&self, at: MonoTime) -> Sleep {
        Box::pin(ManualSleep { hands: self.0.clone(), at, id: None })
    }
}

fn hands(hands: &Mutex<Hands>) -> MutexGuard<'_, Hands> {
    // Every change is whole before anything can panic.
    lock(hands)
}

/// One wait by a [`ManualClock`].
struct ManualSleep {
    hands: Arc<Mutex<Hands>>,
    at: MonoTime,
    /// Its number among the sleepers, once it was polled.
    id: Option<u64>,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.hands.clone();
        let mut hands = hands(&shared);
        if hands.mono >= self.at {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            hands.next_sleeper += 1;
            hands.next_sleeper
        });
        hands.sleepers.insert(id, (self.at, cx.waker().clone()));
        let watchers = std::mem::take(&mut hands.watchers);
        drop(hands);
        watchers.into_iter().for_each(Waker::wake);
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let watchers = {
                let mut hands = hands(&self.hands);
                hands.sleepers.remove(&id);
                std::mem::take(&mut hands.watchers)
            };
            watchers.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_whose_time_has_come() {
        let clock = Arc::new(ManualClock::default());
        let shared: SharedClock = clock.clone();
        let sleeper = |s| tokio::spawn(shared.sleep(Duration::from_secs(s)));
        let (early, late) = (sleeper(10), sleeper(86_400));
        let patient = shared.clone();
        let given_up =
            tokio::spawn(async move { within(&patient, Duration::from_secs(5), std::future::pending::<()>()).await });
        clock.next_wake_is(|at| at == Some(MonoTime(5_000_000))).await;
        clock.advance(Duration::from_secs(5));
        assert_eq!(given_up.await.expect("ended"), None);
        assert_eq!(clock.next_wake(), Some(MonoTime(10_000_000)));
        clock.advance(Duration::from_secs(5));
        early.await.expect("woken");
        assert_eq!(clock.next_wake(), Some(MonoTime(86_400_000_000)));
        late.abort();
        assert!(late.await.is_err());
        assert_eq!(clock.next_wake(), None, "who does not wait any more is forgotten");
        assert_eq!(within(&shared, Duration::ZERO, async { 7 }).await, Some(7), "what is ready needs no time");
    }

    #[tokio::test]
    async fn the_machines_clock_waits_as_long_as_it_says() {
        let began = SystemClock.mono();
        SystemClock.sleep(Duration::from_millis(20)).await;
        assert!(SystemClock.mono().since(began) >= Duration::from_millis(20));
        SystemClock.sleep_until(began).await;
    }
}
