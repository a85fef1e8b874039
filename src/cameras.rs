//! The cameras as the API lists them, and what the box says of itself.

use crate::camera_set::CameraSet;
use crate::kernel_clock;
use crate::supervisor::TaskList;
use crate::version;
use bytes::Bytes;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::media::Stream;
use perch_domain::ports::{CameraPort, LivePort};
use perch_domain::status::{CameraInfo, ClockStatus, Status, summarise};
use perch_media::rtsp;
use perch_store::Recordings;
use std::sync::Arc;

/// All cameras and what the box says of itself.
pub struct Cameras {
    pub set: Arc<CameraSet>,
    pub name: String,
    pub recordings: Recordings,
    pub tasks: TaskList,
    pub clock: SharedClock,
    pub live: Arc<dyn LivePort>,
    pub rtsp: Arc<rtsp::Handle>,
}

impl CameraPort for Cameras {
    fn cameras(&self) -> Vec<CameraInfo> {
        self.set.all().iter().map(|c| c.info()).collect()
    }

    fn snapshot(&self, camera: &CameraId, at: Option<Timestamp>, width: Option<u32>) -> Result<Bytes> {
        let camera = self.set.get(camera)?;
        let keyframe = match at {
            Some(at) => self.recordings.keyframe_at(&camera.config.id, at)?,
            None => {
                let cached = camera.hub.latest_keyframe(Stream::Main);
                // Why is in its health, for those who may know.
                let none = || {
                    Error::new(ErrorKind::Unavailable, format!("{} has no picture at the moment", camera.config.name))
                };
                cached.ok_or_else(none)?.data.clone()
            }
        };
        perch_media::still::jpeg(camera.config.codec, &keyframe, width)
    }

    fn status(&self) -> Status {
        let cameras = self.cameras();
        let disk = self.recordings.disk();
        let tasks = self.tasks.statuses();
        let synchronised = kernel_clock::is_synchronised();
        let (state, sentence) = summarise(&cameras, &disk, &tasks, synchronised);
        Status {
            name: self.name.clone(),
            state,
            sentence,
            version: version::VERSION.to_owned(),
            commit: version::COMMIT.to_owned(),
            uptime_s: (self.clock.mono().0 / 1_000_000) as u64,
            clock: ClockStatus { now: self.clock.utc(), synchronised },
            cameras,
            tasks,
            disk,
            // An engine that does not answer serves nobody.
            webrtc_sessions: self.live.sessions().map_or(0, |all| all.len()),
            rtsp_readers: self.rtsp.readers(),
            memory_bytes: resident_bytes(),
        }
    }
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|s| s.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
