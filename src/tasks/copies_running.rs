//! Copies events while they go on: what is known of them and their stills first, then what is recorded of them as it is written. Beside the
//! task that copies whole recordings, which holds back meanwhile.

use crate::copying::sealing::{names_object, small_object};
use crate::copying::sent::MonthSent;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::tasks::copies::{CopyMeans, Urgent};
use bytes::Bytes;
use perch_base::backoff::{self, Backoff};
use perch_base::ids::{EventId, SegmentId};
use perch_base::repeated::Repeated;
use perch_base::secret::sha256;
use perch_base::shutdown::Shutdown;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_cloud::S3Store;
use perch_domain::archive::Event;
use perch_domain::ports::{ArchivePort, ObjectStore};
use perch_domain::sync::fault::StoreFault;
use perch_domain::sync::keys::{CopyName, KeySpace, ShortHash};
use perch_domain::sync::retry::RetryPauses;
use perch_domain::sync::running::{RunningFile, next_piece};
use perch_domain::sync::target::SyncTarget;
use perch_domain::task::TaskId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often it is looked for something new of a running event.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A still that is being made goes before what is recorded, which takes the line for longer; so long it is waited for.
const STILL_WITHIN: Duration = Duration::from_millis(800);
/// How often it is looked for it.
const LOOK_FOR_STILL_EVERY: Duration = Duration::from_millis(50);
/// Nobody waits longer than this to try again while something happens.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often at most it is written down how much was sent: a card must not wear from it.
const COUNT_EVERY: Duration = Duration::from_secs(30);
/// Events that are remembered until they end.
const MOST_EVENTS: usize = 256;

struct RunningCopies {
    means: CopyMeans,
    target: SyncTarget,
    keys: KeySpace,
    store: S3Store,
    urgent: Urgent,
    /// How many pieces of each file that is being written are there.
    sent: BTreeMap<SegmentId, u32>,
    /// Events that were seen running.
    events: BTreeMap<EventId, SeenEvent>,
    /// Whether whoever has the key of the copies can read their names.
    has_names: bool,
    amount: MonthSent,
    counted_at: Option<MonoTime>,
    pauses: RetryPauses,
    failures: Repeated,
}

/// An event that was seen running.
struct SeenEvent {
    at: MonoTime,
    /// Whether its still is at the store.
    has_still: bool,
}

/// Keeps what happens copied to the target in `place` of the config's list. Errors like [`S3Store::open`]. Within a runtime.
pub fn spawn(supervisor: &Supervisor, means: &CopyMeans, place: usize, keys: KeySpace, urgent: Urgent) -> Result<()> {
    let Some(target) = means.targets.get(place).cloned() else { return Ok(()) };
    let task = RunningCopies {
        store: S3Store::open(&target)?,
        means: means.clone(),
        target,
        keys,
        urgent,
        sent: BTreeMap::new(),
        events: BTreeMap::new(),
        has_names: false,
        amount: MonthSent::default(),
        counted_at: None,
        pauses: RetryPauses::default(),
        failures: Repeated::default(),
    };
    let pauses = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
    supervisor.spawn(TaskId::RunningCopies(place), pauses, task)
}

impl Task for RunningCopies {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            self.count().await?;
            let done = tokio::select! {
                done = self.next() => done,
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            };
            let pause = match done? {
                Ok(true) => continue,
                Ok(false) if self.awaits_still() => LOOK_FOR_STILL_EVERY,
                Ok(false) => LOOK_EVERY,
                Err(fault) => self.failed(&fault),
            };
            tokio::select! {
                () = self.means.clock.sleep(pause) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

impl RunningCopies {
    fn failed(&mut self, fault: &StoreFault) -> Duration {
        let again = self.pauses.failed(fault, backoff::unit());
        if self.failures.is_news(fault.message(), self.means.clock.mono()) {
            tracing::warn!(
                store = self.target.name(),
                inside = fault.inside,
                "what happens is not copied: {}",
                fault.message()
            );
        }
        again.after.min(LONGEST_PAUSE.max(fault.retry_after.unwrap_or_default()))
    }

    /// What went out counts for the month's budget, too.
    async fn count(&mut self) -> Result<()> {
        let CopyMeans { recordings, copies, clock, .. } = &self.means;
        let now = clock.mono();
        if self.counted_at.is_some_and(|at| now.since(at) < COUNT_EVERY) {
            return Ok(());
        }
        self.counted_at = Some(now);
        self.amount.count(self.store.sent_bytes(), recordings, copies, &self.target, clock.utc()).await
    }

    /// One object. Whether there was one.
    async fn next(&mut self) -> Result<std::result::Result<bool, StoreFault>> {
        let recordings = self.means.recordings.clone();
        let files = blocking("looking for what is being recorded", move || Ok(recordings.running_files())).await?;
        self.sent.retain(|id, _| files.iter().any(|file| file.id == *id));
        let sent = match self.put_names(!files.is_empty()).await? {
            Ok(()) => match self.next_event(&files).await? {
                Ok(false) if self.awaits_still() => Ok(false),
                Ok(false) => self.next_of_file(&files).await?,
                other => other,
            },
            Err(fault) => Err(fault),
        };
        if matches!(sent, Ok(true)) {
            self.pauses.worked();
            self.failures.ended();
        }
        let is_at_it = matches!(&sent, Ok(true) | Err(_)) || self.awaits_still();
        self.urgent.set(is_at_it && !files.is_empty());
        Ok(sent)
    }

    /// Whether an event has just begun, and its still may come at any moment.
    fn awaits_still(&self) -> bool {
        let now = self.means.clock.mono();
        self.events.values().any(|event| !event.has_still && now.since(event.at) < STILL_WITHIN)
    }

    /// What names are read with, before the first of them.
    async fn put_names(&mut self, is_wanted: bool) -> Result<std::result::Result<(), StoreFault>> {
        if self.has_names || !is_wanted {
            return Ok(Ok(()));
        }
        if let Some((object, body)) = names_object(&self.target, &self.keys).await?
            && let Err(fault) = self.store.put(&object, body).await
        {
            return Ok(Err(fault));
        }
        self.has_names = true;
        Ok(Ok(()))
    }

    /// What is known of an event, when it begins, has a still, and ends.
    async fn next_event(&mut self, files: &[RunningFile]) -> Result<std::result::Result<bool, StoreFault>> {
        let running: BTreeSet<EventId> = files.iter().map(|file| file.event).collect();
        let known: BTreeSet<EventId> = self.events.keys().copied().collect();
        for id in running.union(&known).copied().collect::<Vec<_>>() {
            let recordings = self.means.recordings.clone();
            let found = blocking("looking at an event", move || Ok(recordings.event(id))).await?;
            let event = match found {
                Ok(event) => event,
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    self.events.remove(&id);
                    continue;
                }
                Err(e) => return Err(e),
            };
            let seen = self.events.get(&id);
            let (is_new, has_still) = (seen.is_none(), seen.is_some_and(|event| event.has_still));
            let at = seen.map_or(self.means.clock.mono(), |event| event.at);
            let is_over = event.end.is_some() && !running.contains(&id);
            if (is_new || is_over)
                && let Err(fault) = self.put_event(&event).await?
            {
                return Ok(Err(fault));
            }
            if event.has_thumbnail
                && !has_still
                && let Err(fault) = self.put_still(&event).await?
            {
                return Ok(Err(fault));
            }
            match is_over || self.events.len() > MOST_EVENTS {
                true => drop(self.events.remove(&id)),
                false => drop(self.events.insert(id, SeenEvent { at, has_still: event.has_thumbnail })),
            }
            if is_new {
                return Ok(Ok(true));
            }
        }
        Ok(Ok(false))
    }

    async fn put_event(&self, event: &Event) -> Result<std::result::Result<(), StoreFault>> {
        let wrong = |e| Error::internal("an event cannot be written as JSON").with_source(e);
        let json = serde_json::to_vec(event).map_err(wrong)?;
        let name = CopyName::Event { camera: event.camera.clone(), id: event.id };
        self.put(&name, "application/json", json.into()).await
    }

    async fn put_still(&self, event: &Event) -> Result<std::result::Result<(), StoreFault>> {
        let (recordings, id) = (self.means.recordings.clone(), event.id);
        let still = match blocking("reading a still", move || recordings.thumbnail(id)).await {
            Ok(still) => still,
            // The event goes on without it.
            Err(error) => {
                tracing::warn!(event = id.0, %error, "the still of an event cannot be copied");
                return Ok(Ok(()));
            }
        };
        let name = CopyName::Still { camera: event.camera.clone(), id: event.id };
        self.put(&name, "image/jpeg", still).await
    }

    async fn next_of_file(&mut self, files: &[RunningFile]) -> Result<std::result::Result<bool, StoreFault>> {
        let Some(piece) = next_piece(files, &self.sent) else { return Ok(Ok(false)) };
        let Some(file) = files.iter().find(|file| file.id == piece.id) else { return Ok(Ok(false)) };
        let budget = self.amount.budget(&self.target, self.store.sent_bytes());
        if !budget.allows(piece.range.end.saturating_sub(piece.range.start), true) {
            return Ok(Ok(false));
        }
        let (recordings, range) = (self.means.recordings.clone(), piece.range.clone());
        let read =
            blocking("reading what is being recorded", move || Ok(recordings.read_running(piece.id, range))).await?;
        // It was sealed or given up meanwhile: it is copied as a whole.
        let Ok(Some(body)) = read else { return Ok(Ok(false)) };
        let hash = ShortHash::of(&sha256(&body));
        let name = CopyName::Part { camera: file.camera.clone(), start: file.start, number: piece.number, hash };
        if let Err(fault) = self.put(&name, "video/mp4", body).await? {
            return Ok(Err(fault));
        }
        self.sent.insert(piece.id, piece.number + 1);
        Ok(Ok(true))
    }

    async fn put(
        &self,
        name: &CopyName,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<std::result::Result<(), StoreFault>> {
        let (object, body) = small_object((&self.target, &self.keys), name, content_type, body).await?;
        Ok(self.store.put(&object, body).await)
    }
}
