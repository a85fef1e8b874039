//! What runs follows the configuration: only what a change concerns is touched.

use crate::camera_runner::CameraRunner;
use crate::config::Config;
use crate::supervisor::GRACE;
use crate::tasks;
use perch_base::sync::{read, write};
use perch_base::{Result, blocking};
use perch_domain::reload::{Change, plan_reload};
use perch_domain::task::TaskId;
use perch_media::webrtc;
use perch_pki::Identity;
use perch_store::SharedLimits;
use perch_update::Updater;
use std::sync::{Arc, RwLock};

/// The configuration that the box goes by.
#[derive(Clone)]
pub struct Current(Arc<RwLock<Arc<Config>>>);

impl Current {
    pub fn new(config: Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// As it is now.
    pub fn config(&self) -> Arc<Config> {
        read(&self.0).clone()
    }

    fn set(&self, config: Config) {
        *write(&self.0) = Arc::new(config);
    }
}

/// The parts of the box that follow.
pub struct Followers {
    pub runner: Arc<CameraRunner>,
    pub limits: SharedLimits,
    pub live: Arc<webrtc::Engine>,
    pub identity: Arc<Identity>,
    pub updater: Updater,
}

impl Followers {
    /// Has all follow; says what that meant for the cameras. Errors where a part cannot; the others followed all the same.
    pub async fn follow(&self, current: &Current, config: Config) -> Result<Vec<String>> {
        let before = current.config();
        self.limits.follow(&config.store());
        self.live.follow(config.webrtc.clone());
        current.set(config.clone());
        let changes = plan_reload(&self.runner.set.configs(), &config.cameras);
        let effects = changes.iter().map(effect).collect();
        let cameras = self.runner.apply(changes).await;
        let named = self.follow_names(&before, &config).await;
        let updates = self.follow_updates(&before, &config).await;
        let domain = self.follow_domain(&before, &config).await;
        cameras.and(named).and(updates).and(domain).map(|()| effects)
    }

    async fn follow_names(&self, before: &Config, config: &Config) -> Result<()> {
        if before.names() == config.names() {
            return Ok(());
        }
        let (identity, names) = (self.identity.clone(), config.names());
        blocking("naming the box in its certificate", move || identity.set_hostnames(names)).await
    }

    async fn follow_domain(&self, before: &Config, config: &Config) -> Result<()> {
        if before.acme == config.acme {
            return Ok(());
        }
        let CameraRunner { supervisor, clock, .. } = &*self.runner;
        supervisor.stop(&[TaskId::Acme], GRACE).await;
        tasks::acme::spawn(supervisor, config.acme.as_ref(), &self.identity, clock)
    }

    async fn follow_updates(&self, before: &Config, config: &Config) -> Result<()> {
        if before.update == config.update {
            return Ok(());
        }
        let CameraRunner { supervisor, clock, .. } = &*self.runner;
        supervisor.stop(&[TaskId::Updates], GRACE).await;
        tasks::auto_update::spawn(supervisor, &config.update, &self.updater, clock)
    }
}

/// What a change of the cameras means, for people.
pub fn effect(change: &Change) -> String {
    match change {
        Change::Remove(id) => format!("{id} is removed: who watches it is let go, its recordings stay"),
        Change::Add(camera) => format!("{} is added", camera.id),
        Change::Arrange(_) => "the cameras are listed in another order".into(),
        Change::Update { camera, restart } => {
            let parts = [
                (restart.capture, "its pictures begin anew"),
                (restart.recorder, "its file is closed and a new one begins"),
                (restart.motion, "motion is learnt anew"),
                (restart.told && restart.recorder, "its masks change at once"),
            ];
            let parts: Vec<_> = parts.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what).collect();
            match parts.is_empty() {
                true => format!("{} changes at once", camera.id),
                false => format!("{}: {}", camera.id, parts.join(", ")),
            }
        }
    }
}
