//! Recorded ranges that are sent to other servers: begun by the API, each a task of its own while it lasts, known by what was said of it last.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::ids::{CameraId, DeviceId};
use perch_base::shutdown::{Shutdown, Trigger};
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::Principal;
use perch_domain::ports::{ArchivePort, Replay};
use perch_domain::push::range::{MOST_AT_ONCE, RangeOrder, RangePush, RangePushPort, RangePushes, RangeState};
use perch_domain::push::{PUSH_PAUSES, PushState, PushTarget};
use perch_domain::task::TaskId;
use perch_media::pipeline::Library;
use perch_media::push::recorded::{RecordedEnd, push_recorded};
use perch_store::Recordings;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// All that are sent. Clones are the same.
#[derive(Clone)]
pub struct SentRanges {
    supervisor: Supervisor,
    shutdown: Shutdown,
    recordings: Recordings,
    library: Arc<Library>,
    clock: SharedClock,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    pushes: RangePushes,
    /// Ends one, by its id.
    ends: BTreeMap<u64, Trigger>,
}

impl SentRanges {
    /// None yet. Those that come end with `shutdown` at the latest.
    pub fn new(
        supervisor: Supervisor,
        shutdown: Shutdown,
        recordings: Recordings,
        library: Arc<Library>,
        clock: SharedClock,
    ) -> Self {
        Self { supervisor, shutdown, recordings, library, clock, state: Arc::default() }
    }

    /// Those that are under way: who began them, of which camera.
    pub fn under_way(&self) -> Vec<(DeviceId, CameraId)> {
        lock(&self.state).pushes.under_way().into_iter().map(|(_, device, camera)| (device, camera)).collect()
    }

    /// A device lost its access, or some of it: what it began ends.
    pub fn end_device(&self, device: DeviceId) {
        let state = lock(&self.state);
        for (id, of, _) in state.pushes.under_way() {
            if let Some(end) = state.ends.get(&id).filter(|_| of == device) {
                end.fire();
            }
        }
    }

    /// Starts the task of one, in a place that is free.
    fn spawn(&self, one: &RangePush, target: PushTarget, replay: Replay) -> Result<()> {
        let (end, ends) = self.shutdown.child();
        lock(&self.state).ends.insert(one.id, end);
        let busy = || Error::new(ErrorKind::Conflict, "the recordings before are still being ended: try again");
        let task = SendRange { id: one.id, ends, order: Some((target, replay)), sent: self.clone() };
        let tasks = self.supervisor.tasks();
        let running: Vec<_> = tasks.statuses().into_iter().filter(|status| status.running).collect();
        let is_free = |place: &usize| running.iter().all(|status| status.id != TaskId::RangePush(*place));
        let place = (0..MOST_AT_ONCE).find(is_free).ok_or_else(busy)?;
        let pauses = Backoff::new(PUSH_PAUSES.0, PUSH_PAUSES.1);
        self.supervisor.spawn(TaskId::RangePush(place), pauses, task)
    }

    fn is_over(&self, id: u64, state: RangeState, sent_ms: u64, reason: &str) {
        let mut all = lock(&self.state);
        all.pushes.set(id, state, sent_ms, reason);
        all.ends.remove(&id);
    }
}

impl RangePushPort for SentRanges {
    fn begin(&self, order: RangeOrder, by: &Principal) -> Result<RangePush> {
        let RangeOrder { camera, range, target } = &order;
        let timeline = self.recordings.timeline(camera, *range, self.clock.utc())?;
        let replay = self.recordings.replay(camera, *range)?;
        let one = lock(&self.state).pushes.begin(&order, &timeline, by, self.clock.utc())?;
        tracing::info!(%camera, to = one.server, by = one.by, from = %one.from, until = %one.to, "a recording is sent to another server");
        self.spawn(&one, target.clone(), replay)
            .inspect_err(|e| self.is_over(one.id, RangeState::Failed, 0, e.message()))?;
        Ok(one)
    }

    fn of_camera(&self, camera: &CameraId) -> Vec<RangePush> {
        lock(&self.state).pushes.of(camera)
    }

    fn end(&self, camera: &CameraId, id: u64) -> Result<()> {
        let mut state = lock(&self.state);
        if state.pushes.end(camera, id)?
            && let Some(end) = state.ends.get(&id)
        {
            end.fire();
        }
        Ok(())
    }
}

/// Sends one.
struct SendRange {
    id: u64,
    /// Called for this one alone, or for all.
    ends: Shutdown,
    /// What is sent where, until it was tried: there is one attempt.
    order: Option<(PushTarget, Replay)>,
    sent: SentRanges,
}

impl Task for SendRange {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        // What panicked is not tried again.
        let Some((target, replay)) = self.order.take() else { return Ok(AttemptEnd::Done) };
        let SentRanges { library, clock, state, .. } = &self.sent;
        let (id, sent_ms) = (self.id, std::sync::atomic::AtomicU64::new(0));
        let said = |how, sent: std::time::Duration| {
            let ms = sent.as_millis() as u64;
            sent_ms.store(ms, std::sync::atomic::Ordering::Relaxed);
            let how = if how == PushState::Sending { RangeState::Sending } else { RangeState::Connecting };
            lock(state).pushes.set(id, how, ms, "");
        };
        let sending = push_recorded(library.clone(), clock, replay, &target, said, &mut self.ends);
        let ended = tokio::select! {
            ended = sending => ended,
            () = shutdown.called() => Ok(RecordedEnd::Told),
        };
        let ms = sent_ms.load(std::sync::atomic::Ordering::Relaxed);
        let to = target.shown();
        let (how, reason) = match &ended {
            Ok(RecordedEnd::Sent) => (RangeState::Sent, ""),
            Ok(RecordedEnd::Told) => (RangeState::Stopped, ""),
            Err(e) => (RangeState::Failed, e.message()),
        };
        match &ended {
            Err(e) => tracing::warn!(to, error = %e, "a recording was not sent to its end"),
            Ok(_) => tracing::info!(to, state = ?how, sent_ms = ms, "a recording is no longer sent"),
        }
        self.sent.is_over(id, how, ms, reason);
        Ok(AttemptEnd::Done)
    }
}

impl Drop for SendRange {
    fn drop(&mut self) {
        // Where it was dropped before it had ended; else this changes nothing.
        self.sent.is_over(self.id, RangeState::Failed, 0, "perch broke it off");
    }
}
