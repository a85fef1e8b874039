//! Copies recordings to one store: asks what is next, sends it, has the store say that it is there, and writes each step down. After a kill
//! what was written down and what the store says decide, nothing else.

use crate::copies::Copies;
use crate::copying::local::{LocalFile, facts_of};
use crate::copying::manifests::copy_manifests;
use crate::copying::sealing::{SEALED_TYPE, names_object, small_object};
use crate::copying::sent::MonthSent;
use crate::copying::small::SmallSource;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use bytes::Bytes;
use perch_base::backoff::{self, Backoff};
use perch_base::clock::SharedClock;
use perch_base::ids::{CameraId, SegmentId};
use perch_base::repeated::Repeated;
use perch_base::secret::sha256;
use perch_base::shutdown::Shutdown;
use perch_base::time::{DAY, MonoTime, Timestamp};
use perch_base::{Error, Result, blocking};
use perch_cloud::{S3Store, probe};
use perch_domain::media::Stream;
use perch_domain::ports::ObjectStore;
use perch_domain::sync::fault::{StoreFault, StoreFaultKind};
use perch_domain::sync::keys::{CopyName, KeySpace, ShortHash};
use perch_domain::sync::object::{NewObject, NewPart, Sha256, StoredPart};
use perch_domain::sync::plan::{CopyRecord, CopyStep, SETTLED_AFTER, ToCopy, counts_unseen, is_copy, plan_copy};
use perch_domain::sync::profile::EndpointProfile;
use perch_domain::sync::retry::RetryPauses;
use perch_domain::sync::status::CopyingState;
use perch_domain::sync::target::SyncTarget;
use perch_domain::task::TaskId;
use perch_store::Recordings;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked for something to copy.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the numbers for people are counted while nothing else changes.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked for manifests: one is made an hour.
const MANIFESTS_EVERY: Duration = Duration::from_secs(60);
/// One recording that cannot be read or sent does not keep the others from going for so long.
const HELD_BACK: Duration = Duration::from_secs(600);
/// Between attempts: what only a person can mend may be mended at the store, of which the box is not told.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));
const MP4: &str = "video/mp4";
const JSON: &str = "application/json";

/// What the tasks of all targets share.
#[derive(Clone)]
pub struct CopyMeans {
    pub recordings: Recordings,
    pub copies: Copies,
    pub clock: SharedClock,
    /// All targets of the config.
    pub targets: Arc<[SyncTarget]>,
    /// Where small pictures come from, for lines that do not carry what is recorded.
    pub small: Arc<dyn SmallSource>,
    /// Something is new of what is being recorded.
    pub news: watch::Sender<()>,
}

/// Whether something happens that is being copied: all else takes no more bytes a second then. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Urgent(watch::Sender<Option<u64>>);

impl Urgent {
    /// So much is left to all else now; `None`: nothing happens.
    pub fn set(&self, left: Option<u64>) {
        self.0.send_if_modified(|was| std::mem::replace(was, left) != left);
    }
}

struct CopyTask {
    urgent: Urgent,
    means: CopyMeans,
    target: SyncTarget,
    keys: KeySpace,
    store: S3Store,
    profile: Option<(EndpointProfile, MonoTime)>,
    pauses: RetryPauses,
    /// Until when these are left alone.
    held_back: BTreeMap<SegmentId, MonoTime>,
    /// What is there under their names is something else, and is replaced.
    replaced: BTreeSet<SegmentId>,
    sent: MonthSent,
    counted_at: Option<MonoTime>,
    /// When it was looked for manifests last; `None`: there are more.
    manifests_at: Option<MonoTime>,
    failures: Repeated,
    /// When the store last did what was asked, or copying began.
    worked_at: MonoTime,
}

/// Why a step did not work.
enum Trouble {
    Store(StoreFault),
    /// Of this recording alone, on the box.
    Local(SegmentId, Error),
    /// Of the box.
    Box(Error),
}

impl From<StoreFault> for Trouble {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

/// Keeps copying to the target in `place` of the config's list. Errors with `Invalid` where the store cannot be addressed. Within a runtime.
pub fn spawn(supervisor: &Supervisor, means: &CopyMeans, place: usize, keys: KeySpace, urgent: Urgent) -> Result<()> {
    let Some(target) = means.targets.get(place).cloned() else { return Ok(()) };
    let task = CopyTask {
        urgent,
        store: S3Store::open(&target)?,
        means: means.clone(),
        target,
        keys,
        profile: None,
        pauses: RetryPauses::default(),
        held_back: BTreeMap::new(),
        replaced: BTreeSet::new(),
        sent: MonthSent::default(),
        counted_at: None,
        manifests_at: None,
        failures: Repeated::default(),
        worked_at: means.clock.mono(),
    };
    supervisor.spawn(TaskId::Copies(place), Backoff::new(PAUSES.0, PAUSES.1), task)
}

impl Task for CopyTask {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let (store, urgent, limit) = (self.store.clone(), self.urgent.clone(), self.target.max_bytes_per_s);
            let done = tokio::select! {
                done = self.next() => done,
                never = hold_back(store, urgent, limit) => match never {},
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            };
            self.count_sent().await?;
            let pause = match done {
                Ok(None) => Duration::ZERO,
                Ok(Some(pause)) => pause,
                Err(Trouble::Box(e)) => return Err(e),
                Err(Trouble::Local(id, e)) => {
                    tracing::warn!(segment = id.0, error = %e, "a recording cannot be copied for now");
                    self.held_back.insert(id, self.now().plus(HELD_BACK));
                    Duration::ZERO
                }
                // Shown and logged as the task's own: the box's one sentence is about it then.
                Err(Trouble::Store(fault)) => self.failed(fault)?,
            };
            if pause > Duration::ZERO {
                tokio::select! {
                    () = self.means.clock.sleep(pause) => {}
                    () = shutdown.called() => return Ok(AttemptEnd::Done),
                }
            }
        }
    }
}

impl CopyTask {
    fn now(&self) -> Moment {
        Moment(self.means.clock.mono())
    }

    fn say(&self, state: CopyingState, reason: &str) {
        self.means.copies.set(&self.target, state, reason);
    }

    /// How long is waited. Errors where only a person can mend it, or where nothing was copied for a day.
    fn failed(&mut self, fault: StoreFault) -> Result<Duration> {
        let (again, now) = (self.pauses.failed(&fault, backoff::unit()), self.means.clock.mono());
        let state = if again.is_stopped { CopyingState::Stopped } else { CopyingState::Failing };
        self.say(state, &fault.message());
        let store = self.target.name();
        if again.is_stopped {
            // What the key may do is looked at anew.
            self.profile = None;
            return Err(fault.into_error().at(format!("nothing is copied to {store}")));
        }
        if now.since(self.worked_at) > DAY {
            return Err(fault.into_error().at(format!("nothing was copied to {store} for a day")));
        }
        if self.failures.is_news(fault.message(), now) {
            tracing::warn!(store, inside = fault.inside, "copying failed and is tried again: {}", fault.message());
        }
        Ok(again.after)
    }

    fn worked(&mut self) {
        self.pauses.worked();
        self.worked_at = self.means.clock.mono();
        if let Some(repeats) = self.failures.ended() {
            tracing::info!(store = self.target.name(), repeats, "copies are made again");
        }
    }

    /// One step. `Some`: nothing is to be done for so long.
    async fn next(&mut self) -> std::result::Result<Option<Duration>, Trouble> {
        let profile = self.profile().await?;
        self.copy_manifests(&profile).await?;
        let settled_before = self.means.clock.utc().plus_micros(-(SETTLED_AFTER.as_micros() as i64));
        let mut to_copy = self.to_copy(settled_before).await?;
        let now = self.means.clock.mono();
        self.held_back.retain(|_, until| *until > now);
        to_copy.retain(|one| !self.held_back.contains_key(&one.id));
        let step = plan_copy(&to_copy, &self.sent.budget(&self.target, self.store.sent_bytes()));
        let find = |id: SegmentId| to_copy.iter().find(|one| one.id == id).cloned();
        match step {
            CopyStep::Done => {
                self.say(CopyingState::UpToDate, "");
                self.worked();
                self.count(settled_before).await?;
                Ok(Some(LOOK_EVERY))
            }
            CopyStep::BudgetSpent => {
                self.say(CopyingState::Waiting, "this month's budget is used up: what is left goes next month");
                self.count(settled_before).await?;
                Ok(Some(LOOK_EVERY))
            }
            CopyStep::Send(id) => {
                self.say(CopyingState::Copying, "");
                self.count(settled_before).await?;
                if let Some(one) = find(id) {
                    self.send(&one, &profile).await?;
                }
                self.worked();
                Ok(None)
            }
            CopyStep::Verify(id) => {
                if let Some(one) = find(id) {
                    self.verify(&one, &profile).await?;
                }
                self.worked();
                Ok(None)
            }
        }
    }

    /// Some of what was signed and is not there.
    async fn copy_manifests(&mut self, profile: &EndpointProfile) -> std::result::Result<(), Trouble> {
        let now = self.means.clock.mono();
        if self.manifests_at.is_some_and(|at| now.since(at) < MANIFESTS_EVERY) {
            return Ok(());
        }
        let is_seen = !counts_unseen(profile);
        let copied = copy_manifests(&self.means.recordings, (&self.target, &self.keys), &self.store, is_seen).await;
        // What cannot be read or sent of them does not keep recordings from going.
        let later = match copied {
            Ok(Ok(has_more)) => !has_more,
            Ok(Err(fault)) if fault.kind.concerns_all() => return Err(fault.into()),
            Ok(Err(fault)) => self.manifests_wait(fault.into_error()),
            Err(error) => self.manifests_wait(error),
        };
        self.manifests_at = later.then_some(now);
        Ok(())
    }

    /// They are tried again in a while.
    fn manifests_wait(&self, error: Error) -> bool {
        tracing::warn!(store = self.target.name(), %error, "signed manifests are not copied for now");
        true
    }

    /// What the store honours; tried out at the beginning and once a day.
    async fn profile(&mut self) -> std::result::Result<EndpointProfile, Trouble> {
        let now = self.means.clock.mono();
        if let Some((profile, at)) = self.profile
            && now.since(at) < DAY
        {
            return Ok(profile);
        }
        let tried = probe(&self.store, &self.target.prefix).await;
        let Some(profile) = tried.profile() else {
            let unknown = || StoreFault::new(StoreFaultKind::Unreachable, "trying the store out");
            return Err(Trouble::Store(tried.obstacle().cloned().unwrap_or_else(unknown)));
        };
        self.store = self.store.clone().with_checksums(profile.takes_sums);
        self.means.copies.change(&self.target, |status| status.profile = Some(profile));
        if let Some((object, body)) = names_object(&self.target, &self.keys).await.map_err(Trouble::Box)? {
            self.store.put(&object, body).await?;
        }
        self.profile = Some((profile, now));
        self.abort_forgotten().await;
        self.remove_forgotten_pieces(&profile).await;
        Ok(profile)
    }

    /// Gives up uploads in parts that nobody goes on with: they cost money at most stores.
    async fn abort_forgotten(&self) {
        // Stores that cannot list them say so; there is nothing to be done then.
        let Ok(unfinished) = self.store.unfinished(&self.keys.all()).await else { return };
        let Ok(known) = self.to_copy(Timestamp(i64::MAX)).await else { return };
        let known: BTreeSet<_> = known.iter().filter_map(|one| one.record.as_ref()?.upload.clone()).collect();
        for one in unfinished.iter().filter(|one| !known.contains(&one.upload) && self.keys.read(&one.key).is_some()) {
            if self.store.abort_parts(&one.key, &one.upload).await.is_err() {
                return;
            }
        }
    }

    async fn to_copy(&self, settled_before: Timestamp) -> std::result::Result<Vec<ToCopy>, Trouble> {
        let (recordings, target) = (self.means.recordings.clone(), self.target.clone());
        let found = blocking("looking for what is to be copied", move || recordings.to_copy(&target, settled_before));
        found.await.map_err(Trouble::Box)
    }

    /// Writes a step down.
    async fn note(
        &self,
        step: impl FnOnce(&Recordings, &SyncTarget) -> Result<()> + Send + 'static,
    ) -> std::result::Result<(), Trouble> {
        let (recordings, target) = (self.means.recordings.clone(), self.target.clone());
        blocking("noting a copy", move || step(&recordings, &target)).await.map_err(Trouble::Box)
    }

    async fn send(&mut self, one: &ToCopy, profile: &EndpointProfile) -> std::result::Result<(), Trouble> {
        let (recordings, asked, readers) = (self.means.recordings.clone(), one.clone(), self.target.encrypt_to.clone());
        let local = blocking("reading a recording", move || LocalFile::open(&recordings, &asked, &readers)).await;
        let local = local.map_err(|e| Trouble::Local(one.id, e))?;
        let hash = ShortHash::of(&local.sha256.0);
        let name = CopyName::Recording { camera: one.camera.clone(), start: one.start, hash };
        let (key, sha256, seal) = (self.keys.key(&name), local.sent_sha256, local.kept_seal(&self.target.encrypt_to));
        // What is written down of another content or name is of no use.
        let (begun, other) = match one.record.clone() {
            Some(record) if record.key == key && record.sha256 == sha256 => (Some(record), None),
            other => (None, other),
        };
        if let Some((other, upload)) = other.and_then(|other| Some((other.key, other.upload?))) {
            // Else it costs money until the day's look at what was forgotten.
            let _ = self.store.abort_parts(&other, &upload).await;
        }
        // What is encrypted anew is never what is there already.
        let may_be_there = seal.is_none() || begun.is_some();
        let object = NewObject {
            key: key.clone(),
            content_type: if seal.is_some() { SEALED_TYPE } else { MP4 },
            sha256,
            only_if_new: profile.keeps_first && may_be_there && !self.replaced.contains(&one.id),
        };
        let upload = begun.and_then(|record| record.upload);
        let record = CopyRecord { key, sha256, size_bytes: local.size_bytes, upload, seal };
        let sent = match &local.whole {
            Some(whole) => {
                self.begins(one, &record).await?;
                self.store.put(&object, whole.clone()).await
            }
            None => self.send_parts(one, &local, &object, record).await?,
        };
        match sent {
            Ok(()) => {}
            // It is there: whether it is this one is looked at next.
            Err(fault) if fault.kind == StoreFaultKind::Exists => {}
            Err(fault) if !fault.kind.concerns_all() => {
                let id = one.id;
                self.note(move |recordings, target| recordings.copy_failed(target, id)).await?;
                return Err(fault.into());
            }
            Err(fault) => return Err(fault.into()),
        }
        let facts = Bytes::from(facts_of(one, local.sha256));
        let name = CopyName::Facts { camera: one.camera.clone(), start: one.start, hash };
        let (beside, facts) =
            small_object((&self.target, &self.keys), &name, JSON, facts).await.map_err(Trouble::Box)?;
        self.store.put(&beside, facts).await?;
        let id = one.id;
        self.note(move |recordings, target| recordings.copy_committed(target, id)).await
    }

    async fn begins(&self, one: &ToCopy, record: &CopyRecord) -> std::result::Result<(), Trouble> {
        let (one, record) = (one.clone(), record.clone());
        self.note(move |recordings, target| recordings.copy_begins(target, &one, &record)).await
    }

    /// Sends what the store does not have yet of a recording in parts.
    async fn send_parts(
        &mut self,
        one: &ToCopy,
        local: &LocalFile,
        object: &NewObject,
        mut record: CopyRecord,
    ) -> std::result::Result<std::result::Result<(), StoreFault>, Trouble> {
        let mut there: BTreeMap<u32, StoredPart> = BTreeMap::new();
        if let Some(upload) = &record.upload {
            match self.store.parts(&object.key, upload).await {
                Ok(parts) => there.extend(parts.into_iter().map(|part| (part.number, part))),
                Err(fault) if fault.kind.concerns_all() && fault.kind != StoreFaultKind::Refused => {
                    return Err(fault.into());
                }
                // It is over, or the key may not ask: begun anew.
                Err(_) => record.upload = None,
            }
        }
        let upload = match record.upload.clone() {
            Some(upload) => upload,
            None => {
                let upload = self.store.begin_parts(object).await?;
                record.upload = Some(upload.clone());
                self.begins(one, &record).await?;
                upload
            }
        };
        let mut parts = Vec::new();
        for number in 1..=local.parts() {
            let (local, range) = (local.clone(), local.part(number));
            let body = blocking("reading a recording", move || local.read(range)).await;
            let body = body.map_err(|e| Trouble::Local(one.id, e))?;
            let sum = Sha256(sha256(&body));
            let is_there = |part: &&StoredPart| {
                part.size_bytes == body.len() as u64 && part.sha256.is_none_or(|theirs| theirs == sum)
            };
            let part = match there.get(&number).filter(is_there) {
                Some(part) => StoredPart { sha256: Some(sum), ..part.clone() },
                None => match self.store.put_part(&object.key, &upload, NewPart { number, body, sha256: sum }).await {
                    Ok(part) => part,
                    Err(fault) => return Ok(Err(fault)),
                },
            };
            parts.push(part);
        }
        Ok(self.store.finish_parts(object, &upload, &parts).await)
    }

    async fn verify(&mut self, one: &ToCopy, profile: &EndpointProfile) -> std::result::Result<(), Trouble> {
        let Some(record) = one.record.clone() else { return Ok(()) };
        let id = one.id;
        let is_there = match counts_unseen(profile) {
            true => true,
            false => match self.store.facts(&record.key).await {
                Ok(facts) => is_copy(&facts, record.size_bytes, record.sha256),
                Err(fault) if fault.kind == StoreFaultKind::Missing => false,
                Err(fault) => return Err(fault.into()),
            },
        };
        if is_there {
            self.replaced.remove(&id);
            let targets = self.means.targets.clone();
            self.note(move |recordings, target| recordings.copy_verified(target, id, &targets)).await?;
            return self.remove_pieces(one, profile).await;
        }
        self.replaced.insert(id);
        self.note(move |recordings, target| recordings.copy_failed(target, id)).await?;
        Err(StoreFault::new(StoreFaultKind::Damaged, format!("looking at the copy of recording {id}")).into())
    }

    /// Removes the pieces that were sent while it was written: all of it is there now. Where names say nothing it is [`Self::remove_forgotten_pieces`]
    /// that does.
    async fn remove_pieces(&self, one: &ToCopy, profile: &EndpointProfile) -> std::result::Result<(), Trouble> {
        let is_possible = profile.can_delete && profile.can_list && self.keys.day(&one.camera, one.start).is_some();
        if one.event.is_none() || !is_possible {
            return Ok(());
        }
        for stream in Stream::ALL {
            let (camera, start, number, hash) = (one.camera.clone(), one.start, 0, ShortHash::of(&[0; 32]));
            let key = self.keys.key(&CopyName::Part { camera, start, stream, number, hash });
            if let Some((folder, _)) = key.rsplit_once('/') {
                self.remove_all(&format!("{folder}/")).await?;
            }
        }
        Ok(())
    }

    async fn remove_all(&self, folder: &str) -> std::result::Result<(), StoreFault> {
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(folder, after.as_deref()).await?;
            for object in page.objects {
                self.store.delete(&object.key).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Where names say nothing the pieces of a recording cannot be listed alone: all names are read, once a day, and the pieces go whose recording
    /// is there.
    async fn remove_forgotten_pieces(&self, profile: &EndpointProfile) {
        if self.keys.names().is_none() || !profile.can_delete || !profile.can_list {
            return;
        }
        let mut after: Option<String> = None;
        loop {
            let Ok(page) = self.store.list(&self.keys.all(), after.as_deref()).await else { return };
            let mut pieces: BTreeMap<(CameraId, Timestamp), Vec<String>> = BTreeMap::new();
            for object in page.objects {
                if let Some(CopyName::Part { camera, start, .. }) = self.keys.read(&object.key) {
                    pieces.entry((camera, start)).or_default().push(object.key);
                }
            }
            for ((camera, start), keys) in pieces {
                let (recordings, target) = (self.means.recordings.clone(), self.target.clone());
                let found =
                    blocking("looking for a copy", move || recordings.has_verified_copy(&target, &camera, start));
                if !matches!(found.await, Ok(true)) {
                    continue;
                }
                for key in keys {
                    if self.store.delete(&key).await.is_err() {
                        return;
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return;
            }
        }
    }

    async fn count_sent(&mut self) -> Result<()> {
        let CopyMeans { recordings, copies, clock, .. } = &self.means;
        self.sent.count(self.store.sent_bytes(), recordings, copies, &self.target, clock.utc()).await
    }

    /// Counts for people, now and then.
    async fn count(&mut self, settled_before: Timestamp) -> std::result::Result<(), Trouble> {
        let now = self.means.clock.mono();
        if self.counted_at.is_some_and(|at| now.since(at) < COUNT_EVERY) {
            return Ok(());
        }
        let (recordings, target) = (self.means.recordings.clone(), self.target.clone());
        let counts = blocking("counting copies", move || recordings.copy_counts(&target, settled_before)).await;
        let counts = counts.map_err(Trouble::Box)?;
        self.counted_at = Some(now);
        self.means.copies.counted(&self.target, &counts, self.store.sent_bytes());
        Ok(())
    }
}

/// Lets the line to what happens while something does.
async fn hold_back(store: S3Store, urgent: Urgent, limit: u64) -> std::convert::Infallible {
    let mut is_urgent = urgent.0.subscribe();
    loop {
        let left = *is_urgent.borrow_and_update();
        // No limit is 0.
        store.set_pace(left.map_or(limit, |left| if limit == 0 { left } else { left.min(limit) }));
        // Never an error: `urgent` holds the other end.
        let _ = is_urgent.changed().await;
    }
}

struct Moment(MonoTime);

impl Moment {
    fn plus(self, by: Duration) -> MonoTime {
        MonoTime(self.0.0.saturating_add(by.as_micros() as i64))
    }
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
