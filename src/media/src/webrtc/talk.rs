//! Those who speak (WHIP, RFC 9725): a session that only receives, on the same port, with a lease like any other. What comes goes to the
//! camera's loudspeaker; the session ends with its time, with the loudspeaker, and where nothing is heard of the speaker any more.

use super::feed::FeedId;
use super::offer::Negotiated;
use crate::speaker::Speaker;
use perch_base::ids::{CameraId, DeviceId, LeaseId};
use perch_base::sync::{read, write};
use perch_base::time::MonoTime;
use perch_domain::access::Principal;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use str0m::rtp::RtpPacket;

/// Whoever speaks sends all the time, silence too: one of whom nothing came for so long is gone, and the floor is free.
const SILENT_FOR: Duration = Duration::from_secs(8);

/// The feed of those who watch nothing: no camera has this key.
pub const NO_FEED: FeedId = FeedId { camera: u64::MAX, stream: None };

/// The loudspeakers by camera.
#[derive(Debug, Default)]
pub struct Speakers(RwLock<BTreeMap<CameraId, Arc<Speaker>>>);

impl Speakers {
    /// Lets people speak through a camera.
    pub fn set(&self, speaker: Arc<Speaker>) {
        write(&self.0).insert(speaker.camera().clone(), speaker);
    }

    /// Lets nobody speak through a camera.
    pub fn remove(&self, id: &CameraId) {
        write(&self.0).remove(id);
    }

    /// The loudspeaker of a camera.
    pub fn get(&self, id: &CameraId) -> Option<Arc<Speaker>> {
        read(&self.0).get(id).cloned()
    }

    /// A device waits for none of them any more.
    pub fn leave(&self, device: DeviceId) {
        read(&self.0).values().for_each(|speaker| speaker.leave(device));
    }

    fn has(&self, speaker: &Arc<Speaker>) -> bool {
        self.get(speaker.camera()).is_some_and(|now| Arc::ptr_eq(&now, speaker))
    }
}

/// Everything that a session of somebody who speaks begins with.
pub struct TalkStart {
    /// Its lease's name.
    pub lease: LeaseId,
    /// Who speaks.
    pub who: Principal,
    /// The accepted offer.
    pub negotiated: Negotiated,
    /// What they speak through.
    pub talk: Talk,
}

/// Of a session of somebody who speaks.
pub struct Talk {
    lease: LeaseId,
    speaker: Arc<Speaker>,
    until: MonoTime,
    heard_at: MonoTime,
}

impl Talk {
    /// Of whoever got the floor `now` and may keep it `until` then; it is given back when this is dropped.
    pub fn new(lease: LeaseId, speaker: Arc<Speaker>, now: MonoTime, until: MonoTime) -> Self {
        Self { lease, speaker, until, heard_at: now }
    }

    /// Through which camera.
    pub fn camera(&self) -> &CameraId {
        self.speaker.camera()
    }

    /// A packet came.
    pub fn take(&mut self, packet: &RtpPacket) {
        self.heard_at = self.speaker.take(self.lease, *packet.seq_no, packet.header.timestamp, &packet.payload);
    }

    /// Whether it is to end.
    pub fn is_over(&self, now: MonoTime, speakers: &Speakers) -> bool {
        now >= self.until
            || now.since(self.heard_at) >= SILENT_FOR
            || !self.speaker.is_there()
            || !self.speaker.is_held_by(self.lease)
            || !speakers.has(&self.speaker)
    }
}

impl Drop for Talk {
    /// However its session ends.
    fn drop(&mut self) {
        self.speaker.release(self.lease);
    }
}
