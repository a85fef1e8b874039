//! Which cameras can be watched now. They come, change and go while the engine runs.

use crate::capture::Vp8Stream;
use crate::fanout::Hub;
use perch_base::ids::CameraId;
use perch_base::sync::{read, write};
use perch_domain::media::VideoCodec;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// A camera that can be watched.
#[derive(Clone, Debug)]
pub struct LiveCamera {
    /// Its fan-out.
    pub hub: Arc<Hub>,
    /// How the video is encoded that every browser is sent.
    pub codec: VideoCodec,
    /// Whether it has sound.
    pub has_audio: bool,
    /// Whether they are sent the small stream alone: the large one is such that not all can show it.
    pub only_small: bool,
    /// Whether the large stream is H.265, which those are sent that play it.
    pub h265: bool,
    /// The small stream for those that offer no H.264, where it can be made.
    pub vp8: Option<Arc<Vp8Stream>>,
}

impl LiveCamera {
    /// Whether sessions of the one can go on with the other.
    fn is_same(&self, other: &Self) -> bool {
        let all = |of: &Self| (of.codec, of.has_audio, of.only_small, of.h265);
        let vp8 = |of: &Self| of.vp8.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.hub, &other.hub) && all(self) == all(other) && vp8(self) == vp8(other)
    }
}

/// Names one state of a camera; a camera that changed gets another.
pub type CameraKey = u64;

/// A camera as it was set last.
#[derive(Debug)]
pub struct KeyedCamera {
    /// Its name inside the engine.
    pub key: CameraKey,
    /// What there is to watch.
    pub live: LiveCamera,
}

/// The cameras by id.
#[derive(Debug, Default)]
pub struct LiveCameras(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    next: CameraKey,
    by_id: BTreeMap<CameraId, Arc<KeyedCamera>>,
}

impl KeyedCamera {
    /// The same camera for a viewer that offers no H.264; `None`: it has nothing for it.
    pub fn as_vp8(&self) -> Option<Self> {
        let stream = self.live.vp8.as_ref()?;
        let live = LiveCamera {
            hub: stream.hub().clone(),
            codec: VideoCodec::Vp8,
            only_small: true,
            h265: false,
            vp8: None,
            ..self.live.clone()
        };
        Some(Self { key: self.key, live })
    }
}

impl LiveCameras {
    /// Adds a camera or changes it. False: it is as it was.
    pub fn set(&self, live: LiveCamera) -> bool {
        let Known { next, by_id } = &mut *write(&self.0);
        let id = live.hub.camera().clone();
        if by_id.get(&id).is_some_and(|camera| camera.live.is_same(&live)) {
            return false;
        }
        by_id.insert(id, Arc::new(KeyedCamera { key: *next, live }));
        *next += 1;
        true
    }

    /// Removes a camera. False: there was none.
    pub fn remove(&self, id: &CameraId) -> bool {
        write(&self.0).by_id.remove(id).is_some()
    }

    /// The camera `id` as it is now.
    pub fn get(&self, id: &CameraId) -> Option<Arc<KeyedCamera>> {
        read(&self.0).by_id.get(id).cloned()
    }

    /// Whether `camera` was neither removed nor changed.
    pub fn has(&self, camera: &KeyedCamera) -> bool {
        self.get(camera.live.hub.camera()).is_some_and(|now| now.key == camera.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::ManualClock;

    #[test]
    fn a_camera_keeps_its_key_until_it_changes() {
        let clock = Arc::new(ManualClock::default());
        let id = CameraId::new("front").expect("valid");
        let hub = Hub::new(id.clone(), clock.clone());
        let live = |hub: &Arc<Hub>, has_audio| LiveCamera {
            hub: hub.clone(),
            codec: VideoCodec::H264,
            has_audio,
            only_small: false,
            h265: false,
            vp8: None,
        };
        let cameras = LiveCameras::default();
        assert!(!cameras.remove(&id));
        assert!(cameras.set(live(&hub, true)));
        let first = cameras.get(&id).expect("there");
        assert!(!cameras.set(live(&hub, true)), "as it was");
        assert!(cameras.has(&first));
        for changed in [live(&hub, false), live(&Hub::new(id.clone(), clock), false)] {
            let before = cameras.get(&id).expect("there");
            assert!(cameras.set(changed));
            assert!(!cameras.has(&before));
        }
        let last = cameras.get(&id).expect("there");
        assert!(cameras.remove(&id) && !cameras.has(&last) && cameras.get(&id).is_none());
    }
}
