//! Changes of access that could not be obeyed at once: who lost access and still watches is cut off as soon as it can be. Who that is,
//! is decided where access is taken away.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_api::AccessChange;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::{Error, Result, blocking};
use perch_domain::task::TaskId;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;

/// Why the task is run again, for the status.
const NOT_YET: &str = "somebody who lost access may still be watching: it is tried again until it is ended";

type Obey = dyn Fn(AccessChange) -> Result<()> + Send + Sync;

/// Obeys changes of access, and keeps those that failed. Clones are the same.
#[derive(Clone)]
pub struct CutOffs(Arc<Inner>);

struct Inner {
    obey: Box<Obey>,
    /// Each at most once, with how often it came again: obeying twice is as good as once, but only after it came last.
    waiting: Mutex<Vec<(AccessChange, u32)>>,
    wanted: Notify,
}

impl CutOffs {
    /// `obey` tells the other transports; it may wait for an engine, and errors when one could not obey.
    pub fn new(obey: impl Fn(AccessChange) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { obey: Box::new(obey), waiting: Mutex::default(), wanted: Notify::new() }))
    }

    /// Obeys a change now. Errors when it was not obeyed everywhere: the task goes on trying. To be called on a blocking thread.
    pub fn change(&self, change: AccessChange) -> Result<()> {
        (self.0.obey)(change).inspect_err(|e| self.keep(change, e))
    }

    /// The one place where the failure is logged, once until the change was obeyed.
    fn keep(&self, change: AccessChange, e: &Error) {
        let mut waiting = self.lock();
        if let Some((_, times)) = waiting.iter_mut().find(|(c, _)| *c == change) {
            *times += 1;
        } else {
            tracing::error!(change = named(change), error = %e, "a change of access was not obeyed everywhere: tried again until it is");
            waiting.push((change, 0));
        }
        self.0.wanted.notify_one();
    }

    /// Tries each change that waits once more. Errors with the last failure.
    fn try_again(&self) -> Result<()> {
        let waiting = self.lock().clone();
        let mut result = Ok(());
        for (change, times) in waiting {
            match (self.0.obey)(change) {
                Ok(()) => {
                    tracing::info!(change = named(change), "the change of access was obeyed");
                    self.lock().retain(|waits| *waits != (change, times));
                }
                Err(e) => result = Err(e),
            }
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(AccessChange, u32)>> {
        // Every change is whole before anything can panic.
        lock(&self.0.waiting)
    }
}

struct CutOff(CutOffs);

/// Keeps trying what failed.
pub fn spawn(supervisor: &Supervisor, cut_offs: CutOffs) -> Result<()> {
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    supervisor.spawn(TaskId::CutOffs, backoff, CutOff(cut_offs))
}

impl Task for CutOff {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let cut_offs = self.0.clone();
            if let Err(e) = blocking("a change of access", move || cut_offs.try_again()).await {
                tracing::debug!(error = %e, "a change of access is still not obeyed everywhere");
                return Ok(AttemptEnd::Again(NOT_YET.into()));
            }
            tokio::select! {
                () = self.0.0.wanted.notified() => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

/// As the log names it.
fn named(change: AccessChange) -> &'static str {
    match change {
        AccessChange::DeviceRevoked(_) => "a device has less access",
        AccessChange::StreamPasswordsChanged => "the stream passwords",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::ErrorKind;
    use perch_base::clock::{Clock, ManualClock};
    use perch_base::ids::DeviceId;
    use perch_base::shutdown;
    use std::collections::HashMap;

    /// How often each change was called, and which fail.
    #[derive(Default)]
    struct Engine {
        called: HashMap<String, u32>,
        is_gone: bool,
    }

    async fn until(what: impl Fn() -> bool) {
        while !what() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_cut_off_that_fails_is_tried_again_until_it_is_obeyed() {
        let clock = Arc::new(ManualClock::default());
        let (trigger, shutdown) = shutdown::channel();
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let engine = Arc::new(Mutex::new(Engine::default()));
        let (device, other) = (DeviceId::random(), DeviceId::random());
        let asked = engine.clone();
        let cut_offs = CutOffs::new(move |change| {
            let mut engine = asked.lock().expect("no panic");
            *engine.called.entry(format!("{change:?}")).or_default() += 1;
            if engine.is_gone && change == AccessChange::DeviceRevoked(device) {
                return Err(Error::new(ErrorKind::Unavailable, "live viewing does not answer"));
            }
            Ok(())
        });
        spawn(&supervisor, cut_offs.clone()).expect("spawned");
        let calls = |of: DeviceId| {
            let key = format!("{:?}", AccessChange::DeviceRevoked(of));
            engine.lock().expect("no panic").called.get(&key).copied().unwrap_or(0)
        };
        let status = || supervisor.tasks().statuses().remove(0);
        cut_offs.change(AccessChange::DeviceRevoked(other)).expect("obeyed");
        assert_eq!(cut_offs.lock().len(), 0);

        engine.lock().expect("no panic").is_gone = true;
        cut_offs.change(AccessChange::DeviceRevoked(device)).expect_err("not obeyed");
        cut_offs.change(AccessChange::DeviceRevoked(device)).expect_err("not obeyed");
        cut_offs.change(AccessChange::DeviceRevoked(other)).expect("others are");
        assert_eq!(*cut_offs.lock(), [(AccessChange::DeviceRevoked(device), 1)], "it waits once");
        // It is tried again, ever more seldom, and the status says so; nothing but the clock is waited for.
        for tries in 1..=6 {
            until(|| clock.next_wake().is_some() && status().restarts == tries).await;
            assert!(status().is_failing() && status().reason == NOT_YET, "{:?}", status());
            assert!(calls(device) > 2, "{}", calls(device));
            let wakes = clock.next_wake().expect("it waits");
            let delay = wakes.since(clock.mono());
            assert!(delay <= Duration::from_secs(30), "{delay:?}");
            if tries == 6 {
                engine.lock().expect("no panic").is_gone = false;
            }
            clock.advance(delay);
        }
        until(|| cut_offs.lock().is_empty() && status().running).await;
        assert_eq!(calls(other), 2, "what was obeyed is not called again");
        trigger.fire();
        assert!(supervisor.drain(Duration::from_secs(30)).await.is_empty());
    }
}
