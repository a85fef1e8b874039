//! The cameras as the API lists them, and what the box says of itself.

use crate::camera::Camera;
use crate::camera_set::CameraSet;
use crate::kernel_clock;
use crate::supervisor::TaskList;
use crate::version;
use bytes::Bytes;
use perch_base::clock::{SharedClock, within};
use perch_base::ids::DeviceId;
use perch_base::{Error, ErrorKind, Result, blocking};
use perch_domain::media::Stream;
use perch_domain::ports::{CameraPort, Later, LivePort, Snapshot};
use perch_domain::status::{CameraInfo, ClockStatus, Status, summarise};
use perch_domain::still_turns::{Asker, too_many};
use perch_media::rtsp;
use perch_media::still::Turns;
use perch_store::Recordings;
use std::sync::Arc;
use std::time::Duration;

/// How long a viewer's still waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);

/// All cameras and what the box says of itself.
pub struct Cameras {
    pub set: Arc<CameraSet>,
    pub name: String,
    pub recordings: Recordings,
    pub tasks: TaskList,
    pub clock: SharedClock,
    pub live: Arc<dyn LivePort>,
    pub rtsp: Arc<rtsp::Handle>,
    /// Where stills wait to be made.
    pub stills: Turns,
}

impl CameraPort for Cameras {
    fn cameras(&self) -> Vec<CameraInfo> {
        self.set.all().iter().map(|c| c.info()).collect()
    }

    fn snapshot(&self, wanted: Snapshot, by: DeviceId) -> Later<'_, Result<Bytes>> {
        Box::pin(async move {
            let camera = self.set.get(&wanted.camera)?;
            let turn = within(&self.clock, TURN_WITHIN, self.stills.take(Asker::Device(by))).await;
            let turn = turn.unwrap_or_else(|| Err(too_many()))?;
            let recordings = self.recordings.clone();
            // The turn goes with the work: whoever hangs up does not make room before it is done.
            let work = move || {
                let keyframe = match wanted.at {
                    Some(at) => recordings.keyframe_at(&wanted.camera, at)?,
                    None => newest_keyframe(&camera)?,
                };
                perch_media::still::jpeg(&turn, &wanted.camera, camera.config.codec, &keyframe, wanted.width)
            };
            blocking("making a still", work).await
        })
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

fn newest_keyframe(camera: &Camera) -> Result<Bytes> {
    // Why is in its health, for those who may know.
    let none = || Error::new(ErrorKind::Unavailable, format!("{} has no picture at the moment", camera.config.name));
    camera.hub.latest_keyframe(Stream::Main).map(|keyframe| keyframe.data.clone()).ok_or_else(none)
}

fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|s| s.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
