//! Two cameras in memory, and the state of their box.

use crate::support::*;
use bytes::Bytes;
use perch_base::clock::{Clock, SystemClock};
use perch_base::ids::{CameraId, DeviceId};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::announcement::AnnouncementsPort;
use perch_domain::health::{CameraHealth, CameraState};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::picture_controls::SourceControls;
use perch_domain::picture_controls::onvif::{self, ImagingSetting};
use perch_domain::ports::{CameraPort, Later, MadeStill, Snapshot};
use perch_domain::push::{PushStatus, PushTarget};
use perch_domain::sound_level::SoundLevel;
use perch_domain::status::*;
use perch_domain::summary::Status;
use perch_domain::sync::status::CopiesBrief;
use perch_domain::talk::{Busy, FloorSeen, TalkAsker, TalkStatus};
use perch_domain::talkback::Echo;
use perch_domain::task::{TaskId, TaskStatus};

impl Fake {
    fn camera_info(&self, id: CameraId, name: &str) -> CameraInfo {
        let mut health = CameraHealth::starting(now());
        // What only those may read who may see the source.
        health.set(CameraState::Live, None, "rtsp://cam/live was slow", now());
        health.sound_problem = "rtsp://cam/live has no sound".into();
        health.small_problem = "rtsp://cam/live is too large".into();
        health.rate_problem = "it gives 4 of 25 a second".into();
        health.note("rtsp://cam/live is odd");
        CameraInfo {
            id,
            name: name.into(),
            room: "Hall".into(),
            source: Some("rtsp://cam/live".into()),
            width: Some(1280),
            height: Some(720),
            display_width: Some(1280),
            orientation: Default::default(),
            fps: 30,
            codec: VideoCodec::H264,
            has_audio: true,
            record_mode: perch_domain::recording::RecordMode::Continuous,
            motion_enabled: true,
            health,
            capture: CaptureFigures::default(),
            recording: RecordingStatus::new(RecordingState::Recording, ""),
            last_event_at: None,
            talk: Some(TalkStatus {
                sink: Some("alsa:hw:SECRET".into()),
                echo: Echo::Cancel,
                max_s: 120,
                speaker: None,
                level: None,
                heard_at: None,
                problem: String::new(),
            }),
            push: PushTarget::of("rtmp://SECRET/live/key", Stream::Main)
                .iter()
                .map(|to| PushStatus::new(to, now()))
                .collect(),
        }
    }
}

/// Of a still of this width there is none: the camera has no picture.
pub const LOST_WIDTH: u32 = 78;

impl CameraPort for Fake {
    fn cameras(&self) -> Vec<CameraInfo> {
        vec![self.camera_info(front(), "<b>Front</b>"), self.camera_info(yard(), "Yard")]
    }
    fn sound_level(&self, camera: &CameraId) -> Later<'_, Result<Option<SoundLevel>>> {
        let level = match camera {
            id if *id == front() => Ok(Some(SoundLevel { peak_db: -6.5, rms_db: -20.0 })),
            id if *id == yard() => Ok(None),
            _ => gone("camera"),
        };
        Box::pin(std::future::ready(level))
    }

    fn controls(&self, camera: &CameraId) -> Later<'_, Result<SourceControls>> {
        let found = match camera {
            id if *id == front() => {
                let setting = |path, value: &str, range, words: &[&str]| ImagingSetting {
                    path,
                    value: value.into(),
                    range,
                    words: words.iter().map(|word| (*word).to_owned()).collect(),
                };
                let settings = [
                    setting("Brightness", "40", Some((0.0, 100.0)), &[]),
                    setting("IrCutFilter", "AUTO", None, &["ON", "OFF", "AUTO"]),
                ];
                Ok(SourceControls { controls: onvif::controls(&settings), problem: None })
            }
            id if *id == yard() => {
                Ok(SourceControls { controls: Vec::new(), problem: Some("Yard is switched off".into()) })
            }
            _ => gone("camera"),
        };
        Box::pin(std::future::ready(found))
    }

    fn snapshot(&self, wanted: Snapshot, _: DeviceId) -> Later<'_, Result<MadeStill>> {
        let is_here = [front(), yard()].contains(&wanted.camera);
        let made = match wanted.width {
            Some(BUSY_WIDTH) => Err(Error::new(ErrorKind::RateLimited, "this device waits for stills already")),
            Some(LOST_WIDTH) => Err(Error::new(ErrorKind::Unavailable, "Front has no picture at the moment")),
            // It is of ten seconds before; from the next day on nothing was recorded for an hour.
            _ if is_here => {
                let lag_us =
                    if wanted.at.is_some_and(|at| at.day() == now().day()) { 10_000_000 } else { 3_600_000_000 };
                let taken_at = wanted.at.map(|at| at.plus_micros(-lag_us));
                Ok(MadeStill { jpeg: Bytes::from_static(b"\xff\xd8jpeg"), taken_at })
            }
            _ => gone("camera"),
        };
        Box::pin(std::future::ready(made))
    }
    fn floor(&self, camera: &CameraId, device: DeviceId) -> Result<FloorSeen> {
        let now = SystemClock.mono();
        match [front(), yard()].contains(camera) {
            true => Ok(self.floor.lock().expect("no panic").seen_by(now, device)),
            false => gone("camera"),
        }
    }
    fn announce(&self, camera: &CameraId, what: &str, who: &TalkAsker) -> Result<Option<Busy>> {
        if ![front(), yard()].contains(camera) {
            return gone("camera");
        }
        if what != "chime" && self.announcements.list().named(what).is_none() {
            return gone("announcement");
        }
        let floor = self.floor.lock().expect("no panic");
        let other = floor.speaker(SystemClock.mono()).filter(|name| *name != who.name);
        Ok(other.map(|name| Busy { name: name.into(), speaks: true, place: None }))
    }
    fn leave_queue(&self, _: &CameraId, device: DeviceId) -> Result<()> {
        self.floor.lock().expect("no panic").leave(SystemClock.mono(), device);
        Ok(())
    }
    fn status(&self) -> Status {
        let tasks = {
            let fronts = TaskStatus {
                id: TaskId::Capture(front()),
                running: true,
                reason: "rtsp://cam/live broke off".into(),
                since: now(),
                restarts: 1,
            };
            vec![fronts.clone(), TaskStatus { id: TaskId::Capture(yard()), ..fronts }]
        };
        Status {
            name: "Box".into(),
            state: Overall::Ok,
            sentence: "Front has no sound: rtsp://cam/live has no sound.".into(),
            about: None,
            version: "9.9.9".into(),
            commit: "0123456789ab".into(),
            uptime_s: 5,
            clock: ClockStatus { now: now(), synchronised: true },
            cameras: self.cameras(),
            tasks,
            copies: CopiesBrief::default(),
            disk: DiskStatus::default(),
            webrtc_sessions: 0,
            rtsp_readers: 0,
            memory_bytes: 1,
            certificates: Vec::new(),
        }
    }
}
