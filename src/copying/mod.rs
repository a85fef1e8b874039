//! Copying recordings off the box: begun at a start, and anew when other stores are named.

pub mod local;
pub mod manifests;
pub mod reading;
pub mod sealing;
pub mod sent;
pub mod small;

use crate::copies::Copies;
use crate::copying::reading::StoredCopies;
use crate::copying::small::SmallSource;
use crate::current::Current;
use crate::supervisor::{GRACE, Supervisor};
use crate::tasks::copies::{CopyMeans, Urgent, spawn};
use crate::tasks::{copies_looked_at, copies_running};
use perch_base::clock::SharedClock;
use perch_base::{Result, blocking};
use perch_domain::evidence::EvidenceKey;
use perch_domain::sync::keys::{BoxId, KeySpace};
use perch_domain::sync::status::CopyingState;
use perch_domain::sync::target::{MOST_SYNC_TARGETS, SyncTarget};
use perch_domain::task::TaskId;
use perch_pki::BoxKey;
use perch_store::Recordings;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// What copies. Clones share it.
#[derive(Clone)]
pub struct Copying {
    pub copies: Copies,
    recordings: Recordings,
    clock: SharedClock,
    data_dir: PathBuf,
    small: Arc<dyn SmallSource>,
    news: watch::Sender<()>,
}

impl Copying {
    /// Copies nothing yet; copies are read back from now on. Within a runtime.
    pub fn new(recordings: &Recordings, settings: &Current, clock: &SharedClock, small: Arc<dyn SmallSource>) -> Self {
        let copies = Copies::new(settings.clone(), clock.clone());
        let data_dir = settings.config().data_dir.clone();
        recordings.read_copies_by(Arc::new(StoredCopies::new(settings.clone())));
        let news = watch::Sender::default();
        let told = news.clone();
        recordings.tell_of_running(Arc::new(move || told.send_replace(())));
        Self { copies, recordings: recordings.clone(), clock: clock.clone(), data_dir, small, news }
    }

    /// [`Self::follow`] at a start, which no failure of copying keeps from going on: it is said.
    pub async fn start(&self, supervisor: &Supervisor, targets: &[SyncTarget]) {
        if let Err(e) = self.follow(supervisor, targets).await {
            tracing::error!(error = %e, "nothing is copied off the box until the settings change or it is started again");
            for target in targets {
                self.copies.set(target, CopyingState::Stopped, e.message());
            }
        }
    }

    /// Copies to these from now on, and to no others. Errors where the database or the box's key cannot be written: nothing
    /// is copied then.
    pub async fn follow(&self, supervisor: &Supervisor, targets: &[SyncTarget]) -> Result<()> {
        let places = 0..MOST_SYNC_TARGETS;
        let all = |place| [TaskId::Copies(place), TaskId::RunningCopies(place), TaskId::LookAtCopies(place)];
        let tasks: Vec<_> = places.flat_map(all).collect();
        supervisor.stop(&tasks, GRACE).await;
        if targets.is_empty() {
            return Ok(());
        }
        let (recordings, wanted) = (self.recordings.clone(), targets.to_vec());
        let noted = blocking("noting which recordings are copied", move || {
            recordings.copies_are_for(&wanted)?;
            recordings.name_secret()
        });
        let name_secret = noted.await?;
        let data_dir = self.data_dir.clone();
        let key = blocking("opening the key of evidence", move || BoxKey::open(&data_dir)).await?;
        let box_id = BoxId::of(&key.public_key().0);
        let means = CopyMeans {
            recordings: self.recordings.clone(),
            copies: self.copies.clone(),
            clock: self.clock.clone(),
            targets: targets.into(),
            small: self.small.clone(),
            news: self.news.clone(),
        };
        for (place, target) in targets.iter().enumerate() {
            let urgent = Urgent::default();
            let form = sealing::key_form(target, &name_secret);
            let begun = KeySpace::new(&target.prefix, box_id, form).and_then(|keys| {
                copies_looked_at::spawn(supervisor, &means, place)?;
                spawn(supervisor, &means, place, keys.clone(), urgent.clone())?;
                copies_running::spawn(supervisor, &means, place, keys, urgent)
            });
            if let Err(e) = begun {
                tracing::error!(store = target.name(), error = %e, "nothing is copied to this store");
                self.copies.set(target, CopyingState::Stopped, e.message());
            }
        }
        Ok(())
    }
}
