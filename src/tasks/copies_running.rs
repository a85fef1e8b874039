//! Copies events while they go on: what is known of them and their stills first, then what is recorded of them as it is written, or its small
//! picture where the line does not carry that. Beside the task that copies whole recordings, which holds back meanwhile.

use crate::copying::sealing::{names_object, small_object};
use crate::copying::sent::MonthSent;
use crate::copying::small::SmallPieces;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::tasks::copies::{CopyMeans, Urgent};
use crate::web_live::Packaged;
use bytes::Bytes;
use perch_base::backoff::{self, Backoff};
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::repeated::Repeated;
use perch_base::secret::sha256;
use perch_base::shutdown::Shutdown;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_cloud::S3Store;
use perch_domain::archive::Event;
use perch_domain::media::Stream;
use perch_domain::ports::{ArchivePort, ObjectStore};
use perch_domain::sync::fault::StoreFault;
use perch_domain::sync::keys::{CopyName, KeySpace, ShortHash};
use perch_domain::sync::retry::RetryPauses;
use perch_domain::sync::running::{LineRate, RunningFile, RunningWay, RunningWays, left_to_others, next_piece};
use perch_domain::sync::target::SyncTarget;
use perch_domain::task::TaskId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// However quiet it is, it is looked for what nobody told of.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A still that is being made goes before what is recorded, which takes the line for longer; so long it is waited for.
const STILL_WITHIN: Duration = Duration::from_millis(800);
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
    /// Something is new: of a recording that goes on, or of a small picture.
    news: watch::Sender<()>,
    /// How many pieces of each file that is being written are there.
    sent: BTreeMap<SegmentId, u32>,
    line: LineRate,
    ways: RunningWays,
    /// Small pictures of files that are being written, or just were.
    small: BTreeMap<SegmentId, SmallCopy>,
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

/// The small picture of a file on its way.
struct SmallCopy {
    camera: CameraId,
    start: Timestamp,
    pieces: Arc<SmallPieces>,
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
        news: means.news.clone(),
        sent: BTreeMap::new(),
        line: LineRate::default(),
        ways: RunningWays::default(),
        small: BTreeMap::new(),
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
        let mut news = self.news.subscribe();
        loop {
            self.count().await?;
            news.mark_unchanged();
            let done = tokio::select! {
                done = self.next() => done,
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            };
            let pause = match done? {
                Ok(true) => continue,
                Ok(false) => self.still_awaited().unwrap_or(LOOK_EVERY),
                Err(fault) => {
                    // Nothing new makes a store answer.
                    let pause = self.failed(&fault);
                    tokio::select! {
                        () = self.means.clock.sleep(pause) => continue,
                        () = shutdown.called() => return Ok(AttemptEnd::Done),
                    }
                }
            };
            tokio::select! {
                // Never an error: `self.news` is the other end.
                _ = news.changed() => {}
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
                Ok(false) if self.still_awaited().is_some() => Ok(false),
                Ok(false) => self.next_piece(&files).await?,
                other => other,
            },
            Err(fault) => Err(fault),
        };
        if matches!(sent, Ok(true)) {
            self.pauses.worked();
            self.failures.ended();
        }
        self.urgent.set(self.left_to_others(&files));
        Ok(sent)
    }

    /// What else is copied may take so much of the line, bytes a second; all of it while nothing happens.
    fn left_to_others(&self, files: &[RunningFile]) -> Option<u64> {
        let needs = |file: &RunningFile| match self.small.get(&file.id) {
            Some(small) => small.pieces.bytes_per_s(),
            None => file.bytes_per_s().unwrap_or_default(),
        };
        let needed = files.iter().map(needs).sum();
        (!files.is_empty() || !self.small.is_empty()).then(|| left_to_others(self.line.bytes_per_s(), needed))
    }

    /// For how long the still of an event that has just begun is still waited for; it may come at any moment.
    fn still_awaited(&self) -> Option<Duration> {
        let now = self.means.clock.mono();
        let waits = |event: &SeenEvent| STILL_WITHIN.saturating_sub(now.since(event.at));
        let awaited = self.events.values().filter(|event| !event.has_still).map(waits);
        awaited.filter(|left| !left.is_zero()).max()
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

    async fn put_event(&mut self, event: &Event) -> Result<std::result::Result<(), StoreFault>> {
        let wrong = |e| Error::internal("an event cannot be written as JSON").with_source(e);
        let json = serde_json::to_vec(event).map_err(wrong)?;
        let name = CopyName::Event { camera: event.camera.clone(), id: event.id };
        self.put(&name, "application/json", json.into()).await
    }

    async fn put_still(&mut self, event: &Event) -> Result<std::result::Result<(), StoreFault>> {
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

    /// The next piece of a small picture where there is one, else of a recording.
    async fn next_piece(&mut self, files: &[RunningFile]) -> Result<std::result::Result<bool, StoreFault>> {
        self.choose(files);
        match self.next_small().await? {
            Ok(false) => self.next_of_file(files).await,
            other => Ok(other),
        }
    }

    /// Which picture of each file goes first; small ones begin and end.
    fn choose(&mut self, files: &[RunningFile]) {
        let (source, clock) = (self.means.small.clone(), &self.means.clock);
        let now = clock.mono();
        let has_small = |file: &RunningFile| match self.small.get(&file.id) {
            Some(small) => small.pieces.goes_on(now),
            None => source.small(&file.camera).is_some(),
        };
        self.ways.look(files, &self.sent, self.line.bytes_per_s(), has_small);
        for file in files.iter().filter(|file| self.ways.of(file.id) == Some(RunningWay::Small)) {
            if !self.small.contains_key(&file.id)
                && let Some(pieces) = SmallPieces::begin(&*source, file, clock, &self.news)
            {
                tracing::debug!(
                    store = self.target.name(),
                    camera = %file.camera,
                    "the line does not carry what is recorded: its small picture is copied first"
                );
                self.small.insert(file.id, SmallCopy { camera: file.camera.clone(), start: file.start, pieces });
            }
        }
        self.small.retain(|id, small| {
            if !files.iter().any(|file| file.id == *id) {
                small.pieces.ends(now);
            }
            let goes_on = small.pieces.goes_on(now);
            if !goes_on {
                small.pieces.end();
            }
            goes_on
        });
    }

    async fn next_small(&mut self) -> Result<std::result::Result<bool, StoreFault>> {
        let next = self.small.iter().filter_map(|(id, small)| Some((small.pieces.next()?, *id, small)));
        let Some(((number, body), id, small)) = next.min_by_key(|((number, _), id, _)| (*number, *id)) else {
            return Ok(Ok(false));
        };
        if !self.amount.budget(&self.target, self.store.sent_bytes()).allows(body.len() as u64, true) {
            return Ok(Ok(false));
        }
        let hash = ShortHash::of(&sha256(&body));
        let (camera, start, stream) = (small.camera.clone(), small.start, Stream::Sub);
        let (name, pieces) = (CopyName::Part { camera, start, stream, number, hash }, small.pieces.clone());
        if let Err(fault) = self.put(&name, "video/mp4", body).await? {
            return Ok(Err(fault));
        }
        tracing::trace!(segment = id.0, number, "a piece of a small picture is copied");
        pieces.is_sent();
        Ok(Ok(true))
    }

    async fn next_of_file(&mut self, files: &[RunningFile]) -> Result<std::result::Result<bool, StoreFault>> {
        let are_main = files.iter().filter(|file| self.ways.of(file.id) == Some(RunningWay::Main));
        let Some(piece) = next_piece(are_main, &self.sent) else { return Ok(Ok(false)) };
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
        let (camera, start, number, stream) = (file.camera.clone(), file.start, piece.number, Stream::Main);
        let name = CopyName::Part { camera, start, stream, number, hash };
        if let Err(fault) = self.put(&name, "video/mp4", body).await? {
            return Ok(Err(fault));
        }
        self.sent.insert(piece.id, piece.number + 1);
        Ok(Ok(true))
    }

    async fn put(
        &mut self,
        name: &CopyName,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<std::result::Result<(), StoreFault>> {
        let (object, body) = small_object((&self.target, &self.keys), name, content_type, body).await?;
        let (bytes, began) = (body.len() as u64, self.means.clock.mono());
        let done = self.store.put(&object, body).await;
        if done.is_ok() {
            self.line.took(bytes, self.means.clock.mono().since(began));
        }
        Ok(done)
    }
}
