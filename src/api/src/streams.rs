//! The event streams that are open. Each has a place and hears when it has to give it up; who has to is decided in `domain`.

use perch_base::sync::lock;
use perch_domain::access::Principal;
use perch_domain::streams::{Shares, StreamId, Streams};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// All of them. Clones share them.
#[derive(Clone)]
pub(crate) struct OpenStreams(Arc<Mutex<Places>>);

struct Places {
    machine: Streams,
    /// Dropping one tells its stream to end.
    held: BTreeMap<StreamId, oneshot::Sender<()>>,
}

impl OpenStreams {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Places { machine: Streams::new(Shares::PAGE), held: BTreeMap::new() })))
    }

    /// A place for one more of `who`; another stream may have to give up its own.
    pub(crate) fn open(&self, who: &Principal) -> Place {
        let (hold, lost) = oneshot::channel();
        let mut places = self.lock();
        let came = places.machine.arrive(who.device_id, who.username.as_deref());
        if let Some(id) = came.gives_way {
            tracing::debug!(by = %who.device_id, "an event stream gives way to another");
            places.held.remove(&id);
        }
        places.held.insert(came.id, hold);
        drop(places);
        Place { id: came.id, lost, is_lost: false, all: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        lock(&self.0)
    }
}

/// The place of one stream, free again when this is dropped.
pub(crate) struct Place {
    id: StreamId,
    lost: oneshot::Receiver<()>,
    is_lost: bool,
    all: OpenStreams,
}

impl Place {
    /// Returns once the stream has to end.
    pub(crate) async fn lost(&mut self) {
        if !self.is_lost {
            // Nothing is ever sent.
            let _ = (&mut self.lost).await;
            self.is_lost = true;
        }
    }

    /// Whether [`Self::lost`] returned.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.all.lock();
        places.machine.left(self.id);
        places.held.remove(&self.id);
    }
}
