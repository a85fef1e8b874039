//! Drivers of plugged-in devices are asked one after the other, on a thread of their own: one that hangs keeps that thread, and no other.

use perch_base::clock::{SharedClock, within};
use perch_base::{Result, on_own_thread};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Whose turn it is to ask. A question that hangs keeps its turn for good: no thread more is lost to that driver.
#[derive(Clone, Debug, Default)]
pub struct Drivers(Arc<Mutex<()>>);

impl Drivers {
    /// Asks. `None` where the drivers do not answer within `limit`, this time or since somebody asked before.
    pub async fn ask<T: Send + 'static>(
        &self,
        clock: &SharedClock,
        limit: Duration,
        question: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Option<Result<T>> {
        let turn = self.0.clone();
        let answered = async move {
            let turn = turn.lock_owned().await;
            let asked = move || {
                let answer = question();
                drop(turn);
                answer
            };
            on_own_thread("drivers".to_owned(), asked).await
        };
        within(clock, limit, answered).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::SystemClock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_driver_that_hangs_costs_one_thread_however_often_it_is_asked() {
        let (clock, drivers): (SharedClock, _) = (Arc::new(SystemClock), Drivers::default());
        let (answer, hangs) = mpsc::channel::<()>();
        let waited = Duration::from_millis(20);
        let first = drivers.ask(&clock, waited, move || Ok(hangs.recv().is_ok())).await;
        assert!(first.is_none());
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let begun = begun.clone();
            let asked = drivers.ask(&clock, waited, move || Ok(begun.fetch_add(1, Ordering::SeqCst)));
            assert!(asked.await.is_none());
        }
        assert_eq!(begun.load(Ordering::SeqCst), 0, "no thread was begun for these");
        // It answers after all, and so does whoever is asked next.
        answer.send(()).expect("heard");
        assert_eq!(
            drivers.ask(&clock, Duration::from_secs(60), || Ok(7)).await.expect("in time").expect("answered"),
            7
        );
    }
}
