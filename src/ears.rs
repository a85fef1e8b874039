//! Who listens how loud cameras are: what is measured goes on while somebody asks, and ends soon after.

use crate::camera_set::CameraSet;
use perch_base::Result;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::CameraId;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::sound_level::SoundLevel;
use perch_media::capture::{Capture, Listening};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Goes on for so long after the last question.
const LISTENS_FOR: Duration = Duration::from_secs(4);
/// A level comes within so long where there is sound at all; a decoder may have to start first.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// All that listen. Clones are the same.
#[derive(Clone)]
pub struct Ears {
    set: Arc<CameraSet>,
    clock: SharedClock,
    open: Arc<Mutex<BTreeMap<CameraId, Ear>>>,
}

struct Ear {
    capture: Arc<Capture>,
    listening: Listening,
    until: MonoTime,
}

impl Ears {
    pub fn new(set: Arc<CameraSet>, clock: SharedClock) -> Self {
        Self { set, clock, open: Arc::default() }
    }

    /// The next level of a camera's sound; nothing where none comes. Errors with `NotFound`.
    pub async fn level(&self, id: &CameraId) -> Result<Option<SoundLevel>> {
        let camera = self.set.get(id)?;
        if !camera.config.has_audio() {
            return Ok(None);
        }
        let mut levels = self.open(id, &camera.capture);
        levels.mark_unchanged();
        let next = within(&self.clock, HEARD_WITHIN, levels.changed()).await;
        let is_heard = matches!(next, Some(Ok(())));
        Ok(is_heard.then(|| *levels.borrow()).flatten())
    }

    fn open(&self, id: &CameraId, capture: &Arc<Capture>) -> tokio::sync::watch::Receiver<Option<SoundLevel>> {
        let until = self.clock.mono() + LISTENS_FOR;
        let mut open = lock(&self.open);
        // Another capture of the camera is measured anew.
        if let Some(ear) = open.get_mut(id).filter(|ear| Arc::ptr_eq(&ear.capture, capture)) {
            ear.until = until;
            return ear.listening.levels.clone();
        }
        let listening = capture.listen();
        let levels = listening.levels.clone();
        let is_new = open.insert(id.clone(), Ear { capture: capture.clone(), listening, until }).is_none();
        drop(open);
        if is_new {
            let (ears, id) = (self.clone(), id.clone());
            tokio::spawn(async move { ears.end(id).await });
        }
        levels
    }

    /// Waits until nobody asks any more.
    async fn end(&self, id: CameraId) {
        loop {
            let Some(until) = lock(&self.open).get(&id).map(|ear| ear.until) else { return };
            self.clock.sleep_until(until).await;
            let mut open = lock(&self.open);
            if open.get(&id).is_some_and(|ear| ear.until <= self.clock.mono()) {
                open.remove(&id);
                return;
            }
        }
    }
}
