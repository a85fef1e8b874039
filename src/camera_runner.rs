//! Brings cameras up, changes them and takes them away while the box runs. What one camera needs touches no other: each has tasks of
//! its own, which are stopped alone. What is to be done is planned in `domain`.

use crate::camera::{Camera, Notices};
use crate::camera_set::CameraSet;
use crate::kept_log::listed;
use crate::picture_controls::PictureControls;
use crate::supervisor::{GRACE, Supervisor};
use crate::tasks;
use perch_base::clock::SharedClock;
use perch_base::ids::CameraId;
use perch_base::{Result, blocking};
use perch_domain::camera::{CameraConfig, VideoSettings};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::offering::Offering;
use perch_domain::push::MOST_TARGETS;
use perch_domain::reload::{Change, Restart, changed_pushes, plan_reload};
use perch_domain::running::RunningBox;
use perch_domain::task::TaskId;
use perch_media::capture::Means;
use perch_media::still::Turns;
use perch_media::{rtsp, webrtc};
use perch_store::{Index, Meta, Recordings};
use std::sync::Arc;
use tokio::sync::{Mutex, Notify, watch};

/// What every camera needs of the box.
pub struct CameraRunner {
    pub set: Arc<CameraSet>,
    pub supervisor: Supervisor,
    pub index: Index,
    pub recordings: Recordings,
    pub meta: Meta,
    pub clock: SharedClock,
    pub means: Means,
    /// Sets what cameras have of picture settings themselves.
    pub controls: Arc<PictureControls>,
    pub notices: Notices,
    pub live: Arc<webrtc::Engine>,
    pub rtsp: Arc<rtsp::Handle>,
    /// Where stills wait to be made.
    pub stills: Turns,
    /// Woken when a file is complete.
    pub sealed: Arc<Notify>,
    /// Changes are made one after the other.
    pub turn: Mutex<()>,
    /// Whether every camera was started: only then are changes made.
    pub is_started: watch::Sender<bool>,
}

impl CameraRunner {
    /// Runs every camera of the set.
    pub fn start(&self) -> Result<()> {
        let all = self.set.all();
        all.iter().for_each(|camera| match camera.config.off {
            Some(_) => self.end_watching(&camera.config),
            None => self.live.set_speaker(camera.speaker.clone()),
        });
        all.iter().try_for_each(|camera| self.spawn(camera, Restart::ALL))?;
        self.is_started.send_replace(true);
        Ok(())
    }

    /// Makes the cameras, once all were started, what `wanted` says when their turn has come, while every camera that this does not concern
    /// goes on. Whoever changes what decides about them calls this afterwards: as it is decided in turn, the last turn goes by all that was
    /// changed, in whatever order. Returns the changes. Errors where a task of a camera cannot be run; all other changes are made, and
    /// the set says what there is.
    pub async fn follow(&self, wanted: impl Fn() -> Vec<CameraConfig> + Send + Sync) -> Result<Vec<Change>> {
        // The sender lives as long as the runner.
        let _ = self.is_started.subscribe().wait_for(|started| *started).await;
        let _turn = self.turn.lock().await;
        let changes = plan_reload(&self.set.configs(), &wanted());
        // Nobody watches on while one after the other is closed.
        for change in &changes {
            if let Change::Update { camera, .. } = change {
                self.end_watching(camera);
            }
        }
        // All that go off are closed together: one whose device hangs keeps no other open.
        let off: Vec<CameraId> = changes.iter().filter_map(Change::switches_off).cloned().collect();
        let late = self.stop(&off, Restart::ALL).await;
        let mut failed = Ok(());
        for change in changes.clone() {
            let made = match change {
                Change::Remove(id) => {
                    self.remove(&id).await;
                    Ok(())
                }
                Change::Update { camera, restart } => {
                    let id = camera.id.clone();
                    self.update(*camera, restart, &late).await.map_err(|e| e.at(id))
                }
                Change::Add(camera) => {
                    let id = camera.id.clone();
                    self.add(*camera).await.map_err(|e| e.at(id))
                }
                Change::Arrange(order) => {
                    self.set.arrange(&order);
                    Ok(())
                }
            };
            failed = failed.and(made);
        }
        // The change is made all the same.
        if !changes.is_empty()
            && let Err(e) = self.leave_word().await
        {
            tracing::warn!(error = %e, "commands beside the box do not know of the changed cameras");
        }
        failed.map(|()| changes)
    }

    /// Commands beside the box learn which cameras there are now.
    async fn leave_word(&self) -> Result<()> {
        let (meta, cameras) = (self.meta.clone(), self.set.named());
        blocking("leaving word of the cameras", move || match meta.word()? {
            Some(running) => meta.leave_word(&RunningBox { cameras: Some(cameras), ..running }),
            None => Ok(()),
        })
        .await
    }

    async fn add(&self, config: CameraConfig) -> Result<()> {
        let (index, id) = (self.index.clone(), config.id.clone());
        let last_event = blocking("looking for a camera's events", move || index.last_event_at(&id)).await?;
        let (clock, notices) = (self.clock.clone(), self.notices.clone());
        let camera = Arc::new(Camera::new(config, clock, notices, last_event, &self.means));
        tracing::info!(camera = %camera.config.id, "camera added");
        self.set.set(camera.clone());
        self.let_watch(&camera);
        self.spawn(&camera, Restart::ALL)
    }

    async fn remove(&self, id: &CameraId) {
        self.set.remove(id);
        self.live.remove_speaker(id);
        self.live.remove_camera(id);
        self.rtsp.remove_camera(id);
        self.stop(std::slice::from_ref(id), Restart::ALL).await;
        // It may have offered something new in between.
        self.live.remove_camera(id);
        self.rtsp.remove_camera(id);
        tracing::info!(camera = %id, "camera removed");
    }

    /// `late` is what was left behind of cameras that go off.
    async fn update(&self, config: CameraConfig, restart: Restart, late: &[TaskId]) -> Result<()> {
        let before = self.set.get(&config.id)?;
        if before.config.off.is_some() != config.off.is_some() {
            return self.switch(&before, config, late).await;
        }
        // Of its pushes only those end that are other ones.
        let others = changed_pushes(&before.config.push, &config.push);
        let ended: Vec<_> = others.iter().map(|place| TaskId::Push(config.id.clone(), *place)).collect();
        self.supervisor.stop(&ended, GRACE).await;
        self.stop(std::slice::from_ref(&config.id), Restart { push: false, ..restart }).await;
        let camera = Arc::new(before.changed(config, restart.capture.then_some(&self.means)));
        tracing::info!(camera = %camera.config.id, "camera changed");
        tracing::debug!(camera = %camera.config.id, ?restart, "what of it starts again");
        self.set.set(camera.clone());
        self.let_watch(&camera);
        if restart.told {
            camera.capture.follow(&camera.config);
        }
        self.spawn(&camera, Restart { push: false, ..restart })?;
        others.iter().try_for_each(|place| self.push(&camera, *place))?;
        if restart.told {
            camera.capture.followed().await;
        }
        Ok(())
    }

    /// Switches a camera off or on. Nothing of before is left to see: it begins with a fan-out of its own.
    async fn switch(&self, before: &Camera, config: CameraConfig, late: &[TaskId]) -> Result<()> {
        if config.off.is_none() {
            self.stop(std::slice::from_ref(&config.id), Restart::ALL).await;
        }
        // It may have offered something new in between.
        self.end_watching(&config);
        let (clock, notices) = (self.clock.clone(), self.notices.clone());
        let camera = Arc::new(Camera::new(config, clock, notices, before.last_event(), &self.means));
        let id = &camera.config.id;
        match &camera.config.off {
            Some(off) => {
                tracing::info!(camera = %id, by = off.by.person(), until = off.until.map(tracing::field::display), "camera switched off {}", off.by.told())
            }
            None => tracing::info!(camera = %id, "camera switched on"),
        }
        if late.iter().any(|task| matches!(task, TaskId::Capture(of) | TaskId::Microphone(of) if of == id)) {
            camera.note("its device could not be closed yet: unplug it to be sure");
        }
        self.set.set(camera.clone());
        self.let_watch(&camera);
        camera.tell();
        self.spawn(&camera, Restart::ALL)
    }

    /// Lets nobody watch a camera that is off from now on.
    fn end_watching(&self, config: &CameraConfig) {
        if let Some(off) = &config.off {
            self.live.remove_camera(&config.id);
            self.live.remove_speaker(&config.id);
            self.rtsp.switch_off(&config.id, &format!("{} is switched off {}", config.name, off.by.told()));
        }
    }

    /// Lets the camera be watched as it is now; sessions and readers that cannot go on end.
    fn let_watch(&self, camera: &Camera) {
        if camera.config.off.is_some() {
            return self.end_watching(&camera.config);
        }
        self.live.set_camera(live_camera(camera));
        self.live.set_speaker(camera.speaker.clone());
        self.rtsp.set_camera(rtsp_streams(camera));
    }

    /// What is to be done when what a camera offers changed.
    fn offered(&self) -> tasks::capture::Offered {
        let (set, live, rtsp) = (self.set.clone(), self.live.clone(), self.rtsp.clone());
        Arc::new(move |id| {
            // One that goes, or is off, offers nothing more.
            if let Some(camera) = set.get(id).ok().filter(|camera| camera.config.off.is_none()) {
                live.set_camera(live_camera(&camera));
                rtsp.set_camera(rtsp_streams(&camera));
            }
        })
    }

    fn spawn(&self, camera: &Arc<Camera>, parts: Restart) -> Result<()> {
        let (supervisor, recordings, clock) = (&self.supervisor, &self.recordings, &self.clock);
        if parts.recorder {
            tasks::recording::spawn(supervisor, camera, recordings, clock, &self.sealed)?;
        }
        if camera.config.off.is_some() {
            return Ok(());
        }
        if parts.motion && camera.config.motion.enabled {
            tasks::motion::spawn(supervisor, camera, &self.index, clock)?;
        }
        if parts.stills && camera.config.motion.enabled {
            tasks::stills::spawn(supervisor, camera, recordings, &self.stills, clock)?;
        }
        if parts.speaker {
            tasks::loudspeaker::spawn(supervisor, &camera.speaker)?;
        }
        if parts.push {
            (0..camera.config.push.len()).try_for_each(|place| self.push(camera, place))?;
        }
        if parts.capture {
            tasks::capture::spawn(supervisor, camera, camera.capture.clone(), self.offered())?;
            tasks::microphone::spawn(supervisor, camera, camera.capture.clone())?;
            tasks::vp8::spawn(supervisor, &camera.config.id, &camera.vp8)?;
            tasks::controls::spawn(supervisor, camera, &self.set, &self.controls)?;
        }
        Ok(())
    }

    fn push(&self, camera: &Camera, place: usize) -> Result<()> {
        tasks::push::spawn(&self.supervisor, camera, place, &self.set, &self.means.library)
    }

    /// Stops these parts of cameras, all at once. Returns what did not end in time and was left behind.
    async fn stop(&self, cameras: &[CameraId], parts: Restart) -> Vec<TaskId> {
        let of = |id: &CameraId| {
            let id = || id.clone();
            [
                (parts.capture, TaskId::Capture(id())),
                (parts.capture, TaskId::Microphone(id())),
                (parts.speaker, TaskId::Loudspeaker(id())),
                (parts.capture, TaskId::PictureControls(id())),
                (parts.capture, TaskId::Vp8(id())),
                (parts.motion, TaskId::Motion(id())),
                (parts.stills, TaskId::Stills(id())),
                (parts.recorder, TaskId::Recording(id())),
            ]
        };
        let pushes = |id: &CameraId| (0..MOST_TARGETS).map(|place| TaskId::Push(id.clone(), place)).collect::<Vec<_>>();
        let pushed = cameras.iter().filter(|_| parts.push).flat_map(pushes);
        let tasks = cameras.iter().flat_map(of).filter(|(is_concerned, _)| *is_concerned).map(|(_, task)| task);
        let tasks: Vec<_> = tasks.chain(pushed).collect();
        let late = self.supervisor.stop(&tasks, GRACE).await;
        if !late.is_empty() {
            let tasks = listed(&late);
            tracing::error!(tasks, "tasks of a camera did not end in time and were left behind");
        }
        late
    }
}

/// What WebRTC needs to know of a camera.
pub fn live_camera(camera: &Camera) -> webrtc::LiveCamera {
    let offering = camera.capture.offers_now();
    webrtc::LiveCamera {
        hub: camera.hub.clone(),
        codec: offering.codec_of(offering.live(Stream::Main)),
        has_audio: offering.has_audio,
        only_small: offering.live(Stream::Main) == Stream::Sub,
        h265: offering.is_live_h265(),
        // One that is VP8 itself needs no other.
        vp8: (camera.config.codec != VideoCodec::Vp8).then(|| camera.vp8.clone()),
    }
}

/// What RTSP needs to know of a camera.
pub fn rtsp_streams(camera: &Camera) -> rtsp::CameraStreams {
    let (c, offering) = (&camera.config, camera.capture.offers_now());
    let own = offering.shape.map_or(c.main, |s| VideoSettings { width: s.width, height: s.height, ..c.main });
    let Offering { codec, has_audio, .. } = offering;
    rtsp::CameraStreams {
        hub: camera.hub.clone(),
        codec,
        has_audio,
        main: own,
        sub: c.sub,
        speaker: Some(camera.speaker.clone()),
    }
}
