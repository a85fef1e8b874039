//! The one supervisor: runs each long task again when it ends, with jittered backoff, and publishes what it does.

use perch_base::backoff::{self, Backoff};
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{Error, Result};
use perch_domain::status::TaskStatus;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// An attempt that lasted this long counts as a success: the next delay is short again.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// Why an attempt ended without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The task has nothing more to do.
    Done,
    /// Run it again after the backoff, for this reason, which the task has told already.
    Again(String),
}

/// What every task's state is.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<String, TaskStatus>>>);

impl Board {
    /// All tasks by name.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        self.lock().values().cloned().collect()
    }

    fn update(&self, name: &str, clock: &SharedClock, change: impl FnOnce(&mut TaskStatus)) {
        let now = clock.utc();
        let mut board = self.lock();
        let fresh = || TaskStatus { name: name.into(), running: false, reason: String::new(), since: now, restarts: 0 };
        let status = board.entry(name.to_owned()).or_insert_with(fresh);
        let before = status.running;
        change(status);
        if status.running != before {
            status.since = now;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, TaskStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts tasks and waits for them.
pub struct Supervisor {
    tasks: JoinSet<()>,
    board: Board,
    clock: SharedClock,
    shutdown: Shutdown,
}

impl Supervisor {
    /// A supervisor whose tasks end with `shutdown`.
    pub fn new(clock: SharedClock, shutdown: Shutdown) -> Self {
        Self { tasks: JoinSet::new(), board: Board::default(), clock, shutdown }
    }

    /// Where the tasks' states are published.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Keeps `run_once` running under `name`: each call is one attempt. `backoff` sets how long to wait between two.
    pub fn spawn<F, Fut>(&mut self, name: &str, mut backoff: Backoff, run_once: F)
    where
        F: Fn(Shutdown) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Ended>> + Send + 'static,
    {
        let (name, board, clock) = (name.to_owned(), self.board.clone(), self.clock.clone());
        let mut shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            while !shutdown.is_called() {
                board.update(&name, &clock, |s| s.running = true);
                let begun = clock.mono();
                // An inner task, so that a panic ends this attempt and not its supervisor.
                let result = match tokio::spawn(run_once(shutdown.clone())).await {
                    Ok(result) => result,
                    Err(e) => Err(Error::internal(format!("task {name} panicked")).with_source(e)),
                };
                let reason = match &result {
                    Ok(Ended::Done) => {
                        board.update(&name, &clock, |s| s.running = false);
                        return;
                    }
                    Ok(Ended::Again(reason)) => reason.clone(),
                    Err(e) => e.to_string(),
                };
                if shutdown.is_called() {
                    break;
                }
                if clock.mono().since(begun) >= STEADY_AFTER {
                    backoff.reset();
                }
                let delay = backoff.next(backoff::unit());
                let delay_ms = delay.as_millis() as u64;
                match result {
                    Err(_) => tracing::warn!(task = %name, %reason, delay_ms, "task failed and will be run again"),
                    Ok(_) => tracing::debug!(task = %name, %reason, delay_ms, "task ended and will be run again"),
                }
                board.update(&name, &clock, |s| {
                    s.running = false;
                    s.reason = reason;
                    s.restarts += 1;
                });
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = shutdown.called() => {}
                }
            }
            board.update(&name, &clock, |s| s.running = false);
        });
    }

    /// Waits until every task has ended, at most `grace`. Returns the names of those that had not.
    pub async fn drain(mut self, grace: Duration) -> Vec<String> {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_ok() {
            return Vec::new();
        }
        self.board.tasks().into_iter().filter(|t| t.running).map(|t| t.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::SystemClock;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn quick() -> Backoff {
        Backoff::new(Duration::from_millis(1), Duration::from_millis(2))
    }

    #[tokio::test]
    async fn failures_and_panics_are_run_again_and_told() {
        let (_trigger, shutdown) = perch_base::shutdown::channel();
        let mut s = Supervisor::new(Arc::new(SystemClock), shutdown);
        let attempts = Arc::new(AtomicU32::new(0));
        let counter = attempts.clone();
        s.spawn("x", quick(), move |_| {
            let n = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                match n {
                    0 => Err(Error::internal("first")),
                    1 => panic!("second"),
                    _ => Ok(Ended::Done),
                }
            }
        });
        let board = s.board();
        assert!(s.drain(Duration::from_secs(5)).await.is_empty());
        let status = &board.tasks()[0];
        assert_eq!((attempts.load(Ordering::SeqCst), status.restarts, status.running), (3, 2, false));
        assert!(status.reason.contains("panicked"), "{}", status.reason);
    }

    #[tokio::test]
    async fn shutdown_ends_a_task_that_waits_to_be_run_again() {
        let (trigger, shutdown) = perch_base::shutdown::channel();
        let mut s = Supervisor::new(Arc::new(SystemClock), shutdown);
        s.spawn("x", Backoff::new(Duration::from_secs(60), Duration::from_secs(60)), |_| async {
            Ok(Ended::Again("always".into()))
        });
        tokio::task::yield_now().await;
        trigger.fire();
        assert!(s.drain(Duration::from_secs(5)).await.is_empty());
    }
}
