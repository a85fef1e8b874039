//! The paths of the server, by camera. Cameras come, change and go while it runs.

use super::factory::{Factory, Mount};
use super::feed::FeedSource;
use crate::fanout::Hub;
use crate::speaker::Speaker;
use gstreamer_rtsp_server::{self as rtsp_server, glib};
use perch_base::ids::CameraId;
use perch_base::sync::{read, write};
use perch_domain::camera::VideoSettings;
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::reload::RtspDescription;
use perch_domain::rtsp_address::camera_of;
use rtsp_server::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

/// One camera's two streams.
#[derive(Clone, Debug)]
pub struct CameraStreams {
    /// Where its packets come from.
    pub hub: Arc<Hub>,
    /// How its main stream is encoded.
    pub codec: VideoCodec,
    /// Whether it has sound (Opus).
    pub has_audio: bool,
    /// The sub-stream's size, for players to know beforehand.
    pub sub: VideoSettings,
    /// The main stream's size.
    pub main: VideoSettings,
    /// What its players may speak through.
    pub speaker: Option<Arc<Speaker>>,
}

impl CameraStreams {
    /// Whether its readers can go on with the camera as it is in `new`.
    fn goes_on_as(&self, new: &Self) -> bool {
        Arc::ptr_eq(&self.hub, &new.hub) && self.description() == new.description()
    }

    fn description(&self) -> RtspDescription {
        RtspDescription { codec: self.codec, has_audio: self.has_audio }
    }

    fn videos(&self) -> [VideoSettings; 2] {
        [self.main, self.sub]
    }

    fn mounts(&self) -> [Arc<Mount>; 2] {
        let main = (Stream::Main, self.codec, self.main);
        [main, (Stream::Sub, self.codec.of_small(), self.sub)].map(|(stream, codec, video)| {
            Arc::new(Mount::new(
                FeedSource::new(self.hub.clone(), stream, codec),
                self.has_audio,
                video,
                self.speaker.clone(),
            ))
        })
    }
}

struct Served {
    camera: CameraStreams,
    mounts: [Arc<Mount>; 2],
}

/// All paths.
pub(super) struct Mounts {
    points: rtsp_server::RTSPMountPoints,
    context: glib::MainContext,
    by_id: RwLock<BTreeMap<CameraId, Served>>,
    /// Why there is nothing to see of cameras that are switched off.
    off: RwLock<BTreeMap<CameraId, String>>,
}

impl Mounts {
    /// No path yet. `context` runs the time limits of their medias.
    pub(super) fn new(context: glib::MainContext) -> Self {
        Self { points: rtsp_server::RTSPMountPoints::new(), context, by_id: RwLock::default(), off: RwLock::default() }
    }

    /// What the library looks paths up in.
    pub(super) fn points(&self) -> &rtsp_server::RTSPMountPoints {
        &self.points
    }

    /// Adds a camera or changes it. Returns the mounts that are served no more, whose readers must end.
    pub(super) fn set(&self, camera: CameraStreams) -> Vec<Arc<Mount>> {
        let mut by_id = write(&self.by_id);
        let id = camera.hub.camera().clone();
        write(&self.off).remove(&id);
        if let Some(served) = by_id.get_mut(&id).filter(|served| served.camera.goes_on_as(&camera)) {
            served.mounts.iter().zip(camera.videos()).for_each(|(mount, video)| mount.set_video(video));
            served.camera = camera;
            return Vec::new();
        }
        let mounts = camera.mounts();
        for mount in &mounts {
            // Takes the place of the one before.
            self.points.add_factory(&mount.path, Factory::new(mount.clone(), &self.context));
        }
        by_id.insert(id, Served { camera, mounts }).map(|before| before.mounts.into()).unwrap_or_default()
    }

    /// Removes a camera, and says from now on why: it is switched off. Returns its mounts, whose readers must end.
    pub(super) fn switch_off(&self, id: &CameraId, why: &str) -> Vec<Arc<Mount>> {
        let gone = self.remove(id);
        write(&self.off).insert(id.clone(), why.to_owned());
        gone
    }

    /// Why there is nothing to see at `path`, where its camera is switched off.
    pub(super) fn why_off(&self, path: &str) -> Option<String> {
        read(&self.off).get(&camera_of(path)?).cloned()
    }

    /// Removes a camera. Returns its mounts, whose readers must end.
    pub(super) fn remove(&self, id: &CameraId) -> Vec<Arc<Mount>> {
        write(&self.off).remove(id);
        let mut by_id = write(&self.by_id);
        let Some(served) = by_id.remove(id) else { return Vec::new() };
        for mount in &served.mounts {
            self.points.remove_factory(&mount.path);
        }
        served.mounts.into()
    }

    /// The stream at `path`, or above it: some players PLAY with a slash or a track behind the path.
    pub(super) fn find(&self, path: &str) -> Option<Arc<Mount>> {
        let by_id = read(&self.by_id);
        let within = by_id.values().flat_map(|served| &served.mounts).filter(|m| {
            path.strip_prefix(m.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        within.max_by_key(|m| m.path.len()).cloned()
    }
}
