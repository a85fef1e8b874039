//! A thread of one's own, for work that may hang or computes, and must not wait behind anybody else's: recorders, motion detectors,
//! signs of life.

use perch_base::{Error, ErrorKind, Result, ResultExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, SyncSender};
use tokio::sync::oneshot;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread with what it works on. It ends after its last job when this is dropped.
pub struct Worker<S> {
    jobs: SyncSender<Job<S>>,
}

impl<S: Send + 'static> Worker<S> {
    /// Starts a thread of this name (Linux shows 15 bytes of it). Errors with `Unavailable` where the system gives none.
    pub fn start(name: &str, mut state: S) -> Result<Self> {
        let (jobs, queue) = mpsc::sync_channel::<Job<S>>(1);
        let run = move || {
            for job in queue {
                // It costs this job its answer; the next one finds the state as it was left.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(&mut state))) {
                    let (thread, words) = (std::thread::current(), perch_base::panic::words(&*panic));
                    // Whoever waits for the answer says what the defect costs.
                    tracing::debug!(thread = thread.name(), words, "a job of a thread of its own panicked");
                }
            }
        };
        let started = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        started.context(ErrorKind::Unavailable, || format!("the thread `{name}` cannot be started"))?;
        Ok(Self { jobs })
    }

    /// Has `job` done, after the one that is being done; its answer comes from the receiver, which fails where the job panicked.
    /// Errors with `Unavailable` where one waits already.
    pub fn start_job<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>> {
        let (answer, answered) = oneshot::channel();
        let job = move |state: &mut S| {
            // Nobody may wait for it any more.
            let _ = answer.send(job(state));
        };
        match self.jobs.try_send(Box::new(job)) {
            Ok(()) => Ok(answered),
            Err(_) => Err(Error::new(ErrorKind::Unavailable, "the thread is busy and its queue is full")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_are_done_in_order_on_one_thread_and_a_panic_costs_one_answer() {
        let worker = Worker::start("adds", 1).expect("started");
        let add = |n| {
            worker.start_job(move |sum: &mut i32| {
                *sum += n;
                (*sum, std::thread::current().id())
            })
        };
        let (two, thread) = add(1).expect("taken").await.expect("done");
        assert!(two == 2 && thread != std::thread::current().id());
        worker.start_job(|sum| assert_eq!(*sum, 0, "on purpose")).expect("taken").await.expect_err("it panicked");
        assert_eq!(add(3).expect("taken").await.expect("done"), (5, thread));
    }

    #[tokio::test]
    async fn a_worker_that_hangs_says_that_it_is_full() {
        let worker = Worker::start("hangs", ()).expect("started");
        let (release, wait) = mpsc::channel::<()>();
        let first = worker.start_job(move |()| wait.recv().is_err()).expect("taken");
        // The first may still wait or be at work: one more at most is taken beside it.
        let more: Vec<_> = (0..3).filter_map(|_| worker.start_job(|()| ()).ok()).collect();
        assert!(more.len() <= 1, "{} were taken", more.len());
        drop(release);
        assert!(first.await.expect("done"), "it was released");
        for one in more {
            one.await.expect("done");
        }
    }
}
