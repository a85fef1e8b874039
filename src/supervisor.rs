//! The one supervisor: runs each long task again when it ends, with jittered backoff, publishes what it does, and stops one
//! or all of them.

use perch_base::backoff::{self, Backoff};
use perch_base::clock::{SharedClock, within};
use perch_base::repeated::Repeated;
use perch_base::shutdown::{Shutdown, Trigger};
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::task::{TaskId, TaskStatus};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Tasks get this long to end on their own: files are sealed, devices let go, connections closed.
pub const GRACE: Duration = Duration::from_secs(8);
/// An attempt that lasted this long counts as a success: the next delay is short again.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// Why an attempt ended without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The task has nothing more to do.
    Done,
    /// Run it again after the backoff, for this reason, which the task has logged already.
    Again(String),
    /// Run it again at once: it had worked, or has waited already. The backoff starts over.
    AtOnce(String),
}

/// A long task. What outlives an attempt is a field; what one attempt alone needs is a local variable of `run_once`.
///
/// A task may rely on this: there is one attempt at a time; the next one finds the fields as the last one left them, also
/// when that one failed or panicked, for a panic ends the attempt and not the task. So a field is whole at every `await` and
/// before every call that may panic: what belongs together is set in one assignment, or taken out and put back when it is whole
/// again (a task then finds `None` and starts that part again).
pub trait Task: Send + 'static {
    /// One attempt. It ends soon after `shutdown` is called, else when it is done or cannot go on.
    fn run_once(&mut self, shutdown: &mut Shutdown) -> impl Future<Output = Result<AttemptEnd>> + Send;

    /// Returns when there is reason to run again before the pause after an attempt is over: what was missing came. Never by itself.
    fn wake(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// The tasks and what each one's state is.
#[derive(Clone, Debug, Default)]
pub struct TaskList(Arc<Mutex<BTreeMap<TaskId, Entry>>>);

#[derive(Debug)]
struct Entry {
    status: TaskStatus,
    /// Ends this task alone.
    stop: Trigger,
    running: AbortHandle,
    /// Closed when the task has ended.
    ended: watch::Receiver<()>,
}

impl TaskList {
    /// The state of every task.
    pub fn statuses(&self) -> Vec<TaskStatus> {
        self.lock().values().map(|e| e.status.clone()).collect()
    }

    /// How often a task was started again; 0 where there is none.
    pub fn restarts(&self, id: &TaskId) -> u64 {
        self.lock().get(id).map_or(0, |e| e.status.restarts)
    }

    fn update(&self, id: &TaskId, clock: &SharedClock, change: impl FnOnce(&mut TaskStatus)) {
        let now = clock.utc();
        if let Some(Entry { status, .. }) = self.lock().get_mut(id) {
            let before = status.running;
            change(status);
            if status.running != before {
                status.since = now;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TaskId, Entry>> {
        lock(&self.0)
    }
}

/// Starts tasks, stops one, and waits for all. Clones are the same supervisor.
#[derive(Clone)]
pub struct Supervisor {
    tasks: TaskList,
    clock: SharedClock,
    shutdown: Shutdown,
}

impl Supervisor {
    /// A supervisor whose tasks end with `shutdown` at the latest.
    pub fn new(clock: SharedClock, shutdown: Shutdown) -> Self {
        Self { tasks: TaskList::default(), clock, shutdown }
    }

    /// Where the tasks' states are published.
    pub fn tasks(&self) -> TaskList {
        self.tasks.clone()
    }

    /// Keeps `task` running under `id`. `backoff` sets how long to wait between two attempts. To be called inside the runtime.
    /// Errors with `Conflict` where a task of that name still runs.
    pub fn spawn(&self, id: TaskId, backoff: Backoff, task: impl Task) -> Result<()> {
        let (stop, shutdown) = self.shutdown.child();
        let (alive, ended) = watch::channel(());
        let mut tasks = self.tasks.lock();
        if tasks.get(&id).is_some_and(|e| !is_over(&e.ended)) {
            return Err(Error::new(ErrorKind::Conflict, format!("the task `{id}` runs already")));
        }
        let (failures, tasks_of_all, clock) = (Repeated::default(), self.tasks.clone(), self.clock.clone());
        let mut runner = Runner { id: id.clone(), tasks: tasks_of_all, clock, backoff, failures, shutdown, task };
        let running = tokio::spawn(async move {
            runner.run().await;
            // What the task holds is given back before it counts as ended.
            drop(runner);
            drop(alive);
        });
        let status =
            TaskStatus { id: id.clone(), running: true, reason: String::new(), since: self.clock.utc(), restarts: 0 };
        tasks.insert(id, Entry { status, stop, running: running.abort_handle(), ended });
        Ok(())
    }

    /// Stops these tasks, and only these: calls their end, waits at most `grace` for all of them, and takes them off the list.
    /// Returns those that had not ended. They are dropped where they wait; a blocking call they are in goes on without them.
    pub async fn stop(&self, ids: &[TaskId], grace: Duration) -> Vec<TaskId> {
        let mut ended = Vec::new();
        for id in ids {
            if let Some(entry) = self.tasks.lock().get(id) {
                entry.stop.fire();
                ended.push(entry.ended.clone());
            }
        }
        within(&self.clock, grace, all_over(ended)).await;
        let mut late = Vec::new();
        for id in ids {
            if let Some(entry) = self.tasks.lock().remove(id)
                && !is_over(&entry.ended)
            {
                entry.running.abort();
                late.push(id.clone());
            }
        }
        late
    }

    /// Waits until every task has ended, at most `grace`; whoever calls this has called the end. Returns those that had not.
    pub async fn drain(&self, grace: Duration) -> Vec<TaskId> {
        let ended = self.tasks.lock().values().map(|e| e.ended.clone()).collect();
        // Real time, whatever clock the tasks go by: the process must end.
        if tokio::time::timeout(grace, all_over(ended)).await.is_ok() {
            return Vec::new();
        }
        self.tasks.lock().iter().filter(|(_, e)| !is_over(&e.ended)).map(|(id, _)| id.clone()).collect()
    }
}

fn is_over(ended: &watch::Receiver<()>) -> bool {
    ended.has_changed().is_err()
}

async fn all_over(ended: Vec<watch::Receiver<()>>) {
    for mut one in ended {
        // Nothing is ever sent: the only news is the end.
        let _ = one.changed().await;
    }
}

/// Runs one task.
struct Runner<T> {
    id: TaskId,
    tasks: TaskList,
    clock: SharedClock,
    backoff: Backoff,
    /// Those that were logged: one that comes again is said once.
    failures: Repeated,
    shutdown: Shutdown,
    task: T,
}

impl<T: Task> Runner<T> {
    async fn run(&mut self) {
        while !self.shutdown.is_called() {
            self.update(|s| s.running = true);
            let started = self.clock.mono();
            let result = self.attempt().await;
            // What is shown is the sentence; what is for the inside goes to the log.
            let is_at_once = matches!(&result, Ok(AttemptEnd::AtOnce(_)));
            let (reason, logged) = match &result {
                Ok(AttemptEnd::Done) => {
                    // Nothing is to be tried again, so no earlier failure stands.
                    self.update(|s| s.reason.clear());
                    break;
                }
                Ok(AttemptEnd::Again(reason) | AttemptEnd::AtOnce(reason)) => (reason.clone(), reason.clone()),
                Err(e) => (e.message().to_owned(), e.to_string()),
            };
            if self.shutdown.is_called() {
                break;
            }
            if is_at_once || self.clock.mono().since(started) >= STEADY_AFTER {
                self.backoff.reset();
                // It had worked: what fails now is news.
                self.failures.ended();
            }
            let delay = if is_at_once { Duration::ZERO } else { self.backoff.next(backoff::unit()) };
            self.log(result.is_err(), &logged, delay);
            self.update(|s| {
                s.running = false;
                s.reason = reason;
                s.restarts += 1;
            });
            tokio::select! {
                () = self.clock.sleep(delay) => {}
                () = self.task.wake() => self.backoff.reset(),
                () = self.shutdown.called() => {}
            }
        }
        self.update(|s| s.running = false);
    }

    /// One attempt, whose panic is an error like another.
    async fn attempt(&mut self) -> Result<AttemptEnd> {
        let id = &self.id;
        // Whatever is logged in it says whose it is.
        let span = match id.camera() {
            Some(camera) => tracing::error_span!("task", task = %id, %camera),
            None => tracing::error_span!("task", task = %id),
        };
        let mut attempt = pin!(self.task.run_once(&mut self.shutdown));
        poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| span.in_scope(|| attempt.as_mut().poll(cx)))) {
            Ok(poll) => poll,
            Err(panic) => {
                let words = perch_base::panic::words(&*panic);
                Poll::Ready(Err(Error::internal(format!("task {id} panicked")).with_source(words)))
            }
        })
        .await
    }

    fn update(&self, change: impl FnOnce(&mut TaskStatus)) {
        self.tasks.update(&self.id, &self.clock, change);
    }

    fn log(&self, failed: bool, reason: &str, delay: Duration) {
        let (task, delay_ms) = (&self.id, delay.as_millis() as u64);
        match failed {
            true if self.failures.is_news(reason, self.clock.mono()) => {
                tracing::warn!(%task, reason, delay_ms, "task failed and will be run again");
            }
            true => tracing::debug!(%task, reason, delay_ms, "task failed again and will be run again"),
            false => tracing::debug!(%task, reason, delay_ms, "task ended and will be run again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::{Clock, ManualClock, SystemClock};
    use perch_base::ids::CameraId;
    use perch_base::shutdown;

    /// Longer than any end takes here, on a busy machine too.
    const LONG: Duration = Duration::from_secs(30);

    fn quick() -> Backoff {
        Backoff::new(Duration::from_millis(1), Duration::from_millis(2))
    }

    fn capture(camera: &str) -> TaskId {
        TaskId::Capture(CameraId::new(camera).expect("an id"))
    }

    /// Fails until it is woken.
    struct Sleeps {
        wake: Arc<tokio::sync::Notify>,
        attempts: u32,
    }

    impl Task for Sleeps {
        async fn run_once(&mut self, _: &mut Shutdown) -> Result<AttemptEnd> {
            self.attempts += 1;
            match self.attempts {
                1 => Err(Error::internal("it is missing")),
                _ => Ok(AttemptEnd::Done),
            }
        }

        async fn wake(&mut self) {
            self.wake.notified().await;
        }
    }

    #[tokio::test]
    async fn a_task_is_run_again_before_its_pause_is_over_when_what_was_missing_comes() {
        let clock: SharedClock = Arc::new(ManualClock::default());
        let (_trigger, shutdown) = shutdown::channel();
        let supervisor = Supervisor::new(clock, shutdown);
        let wake = Arc::new(tokio::sync::Notify::new());
        let task = Sleeps { wake: wake.clone(), attempts: 0 };
        let hour = Duration::from_secs(3600);
        supervisor.spawn(capture("front"), Backoff::new(hour, hour), task).expect("new");
        let tasks = supervisor.tasks();
        let state = || tasks.statuses().into_iter().map(|t| (t.running, t.reason)).next().expect("it is listed");
        let waits = async |until: (bool, &str)| {
            while state() != (until.0, until.1.to_owned()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, waits((false, "it is missing"))).await.expect("it failed");
        // Nobody turns the clock.
        wake.notify_one();
        tokio::time::timeout(LONG, waits((false, ""))).await.expect("it ran again and is done");
    }

    /// Fails, panics, and is done; counts its attempts in a field.
    struct Stumbles(u32);

    impl Task for Stumbles {
        async fn run_once(&mut self, _: &mut Shutdown) -> Result<AttemptEnd> {
            self.0 += 1;
            match self.0 {
                1 => Err(Error::internal("first")),
                2 => panic!("second"),
                3 => Ok(AttemptEnd::Done),
                _ => unreachable!("it was done"),
            }
        }
    }

    /// Runs until it is stopped.
    struct Waits;

    impl Task for Waits {
        async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
            shutdown.called().await;
            Ok(AttemptEnd::Done)
        }
    }

    /// Does not listen.
    struct Hangs;

    impl Task for Hangs {
        async fn run_once(&mut self, _: &mut Shutdown) -> Result<AttemptEnd> {
            std::future::pending().await
        }
    }

    /// Fails at once, whenever it is run.
    struct Fails;

    impl Task for Fails {
        async fn run_once(&mut self, _: &mut Shutdown) -> Result<AttemptEnd> {
            Ok(AttemptEnd::Again("always".into()))
        }
    }

    /// Fails at once, with the reason that its attempt has.
    struct FailsWith(Vec<&'static str>);

    impl Task for FailsWith {
        async fn run_once(&mut self, _: &mut Shutdown) -> Result<AttemptEnd> {
            match self.0.is_empty() {
                true => Ok(AttemptEnd::Done),
                false => Err(Error::internal(self.0.remove(0))),
            }
        }
    }

    #[tokio::test]
    async fn a_failure_that_comes_again_is_logged_once() {
        let (_trigger, shutdown) = shutdown::channel();
        let mut runner = Runner {
            id: TaskId::Retention,
            tasks: TaskList::default(),
            clock: Arc::new(SystemClock),
            backoff: quick(),
            failures: Repeated::default(),
            shutdown,
            task: FailsWith(vec!["the disk", "the disk", "the network", "the disk", "the network"]),
        };
        runner.run().await;
        assert!(runner.task.0.is_empty());
        assert_eq!(runner.failures.ended(), Some(3), "two of five are logged");
    }

    fn names(s: &Supervisor) -> Vec<String> {
        s.tasks().statuses().iter().map(|t| t.id.to_string()).collect()
    }

    #[tokio::test]
    async fn failures_and_panics_are_run_again_with_the_fields_as_they_were() {
        let (_trigger, shutdown) = shutdown::channel();
        let s = Supervisor::new(Arc::new(SystemClock), shutdown);
        s.spawn(TaskId::Retention, quick(), Stumbles(0)).expect("spawned");
        assert!(s.drain(LONG).await.is_empty());
        let status = &s.tasks().statuses()[0];
        assert_eq!((status.restarts, status.running), (2, false));
        assert!(!status.is_failing(), "it is done, yet: {}", status.reason);
    }

    #[tokio::test]
    async fn a_task_that_waits_after_a_panic_says_so() {
        let (_trigger, shutdown) = shutdown::channel();
        let s = Supervisor::new(Arc::new(ManualClock::default()), shutdown);
        s.spawn(TaskId::Retention, quick(), Stumbles(1)).expect("spawned");
        while s.tasks().restarts(&TaskId::Retention) == 0 {
            tokio::task::yield_now().await;
        }
        let status = &s.tasks().statuses()[0];
        assert!(status.is_failing() && status.reason.contains("panicked"), "{status:?}");
    }

    #[tokio::test]
    async fn shutdown_ends_a_task_that_waits_to_be_run_again() {
        let (trigger, shutdown) = shutdown::channel();
        let s = Supervisor::new(Arc::new(ManualClock::default()), shutdown);
        s.spawn(TaskId::Retention, quick(), Fails).expect("spawned");
        tokio::task::yield_now().await;
        trigger.fire();
        assert!(s.drain(LONG).await.is_empty());
    }

    #[tokio::test]
    async fn one_task_is_stopped_and_forgotten_while_others_go_on() {
        let (trigger, shutdown) = shutdown::channel();
        let s = Supervisor::new(Arc::new(SystemClock), shutdown);
        s.spawn(capture("a"), quick(), Waits).expect("spawned");
        s.spawn(capture("b"), quick(), Waits).expect("spawned");
        assert!(s.spawn(capture("a"), quick(), Waits).is_err(), "it runs already");
        assert!(s.stop(&[capture("a")], LONG).await.is_empty());
        assert_eq!(names(&s), ["capture b"]);
        s.spawn(capture("a"), quick(), Waits).expect("there is none of that name now");
        assert_eq!(names(&s), ["capture a", "capture b"]);
        trigger.fire();
        assert!(s.drain(LONG).await.is_empty());
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_named_and_dropped() {
        let (_trigger, shutdown) = shutdown::channel();
        let clock = Arc::new(ManualClock::default());
        let s = Supervisor::new(clock.clone(), shutdown);
        s.spawn(capture("a"), quick(), Hangs).expect("spawned");
        s.spawn(capture("b"), quick(), Waits).expect("spawned");
        let stopper = s.clone();
        let stopped = tokio::spawn(async move { stopper.stop(&[capture("a"), capture("b")], LONG).await });
        while clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(LONG);
        assert_eq!(stopped.await.expect("stopped"), [capture("a")]);
        assert!(names(&s).is_empty());
    }

    #[tokio::test]
    async fn delays_go_by_the_clock() {
        let (_trigger, shutdown) = shutdown::channel();
        let clock = Arc::new(ManualClock::default());
        let s = Supervisor::new(clock.clone(), shutdown);
        s.spawn(TaskId::Retention, Backoff::new(Duration::from_secs(60), Duration::from_secs(3600)), Fails)
            .expect("spawned");
        let mut minutes = Vec::new();
        for _ in 0..8 {
            let at = loop {
                match clock.next_wake() {
                    Some(at) if at > clock.mono() => break at,
                    _ => tokio::task::yield_now().await,
                }
            };
            let delay = at.since(clock.mono());
            minutes.push(delay.as_secs() / 60);
            clock.advance(delay);
        }
        assert!(minutes.iter().all(|m| *m <= 60) && minutes[7] >= 30, "{minutes:?}");
    }
}
