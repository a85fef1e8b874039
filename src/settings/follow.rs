//! What runs follows the configuration: only what a change concerns is touched.

use crate::camera_runner::CameraRunner;
use crate::config::Config;
use crate::copying::Copying;
use crate::current::Current;
use crate::modes::Switches;
use crate::supervisor::GRACE;
use crate::tasks;
use crate::web_live::WebLive;
use perch_base::{Result, blocking};
use perch_domain::access::said_of_known_id;
use perch_domain::camera::CameraConfig;
use perch_domain::ports::AccessPort;
use perch_domain::reload::{Change, plan_reload};
use perch_domain::task::TaskId;
use perch_media::webrtc;
use perch_pki::Identity;
use perch_store::{Accounts, SharedLimits};
use perch_update::Updater;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The parts of the box that follow.
pub struct Followers {
    pub runner: Arc<CameraRunner>,
    pub switches: Arc<Switches>,
    pub limits: SharedLimits,
    pub live: Arc<webrtc::Engine>,
    pub web_live: Arc<WebLive>,
    pub identity: Arc<Identity>,
    pub updater: Updater,
    pub accounts: Accounts,
    pub copying: Copying,
    /// Whether something did not follow the last time: it is tried again with the next change, whatever that is about.
    pub is_behind: AtomicBool,
}

/// How the box followed, a sentence each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// What it meant for the cameras.
    pub effects: Vec<String>,
    /// What could not follow, and goes on as it was.
    pub not_followed: Vec<String>,
}

impl Followers {
    /// What following would mean for the cameras that run.
    pub fn effects_of(&self, config: &Config) -> Vec<String> {
        plan_reload(&self.runner.set.configs(), &self.switches.wanted(config)).iter().map(effect).collect()
    }

    /// Has all follow. Where a part cannot, the others do all the same.
    pub async fn follow(&self, current: &Current, config: Config) -> Followed {
        let before = current.config();
        self.limits.follow(&config.store());
        self.live.follow(config.webrtc.clone());
        self.web_live.follow(config.webrtc.viewers);
        current.set(config.clone());
        let was_behind = self.is_behind.load(Ordering::SeqCst);
        let cameras = self.switches.follow().await;
        let effects = cameras.iter().flatten().map(effect).collect();
        let mut done = vec![cameras.map(drop)];
        if was_behind || before.names() != config.names() {
            done.push(self.follow_names(&config).await);
        }
        if was_behind || before.update != config.update {
            done.push(self.follow_updates(&config).await);
        }
        if was_behind || before.acme != config.acme {
            done.push(self.follow_domain(&config).await);
        }
        if was_behind || before.sync != config.sync {
            done.push(self.follow_stores(&config).await);
        }
        let failed: Vec<_> = done.into_iter().filter_map(Result::err).collect();
        self.is_behind.store(!failed.is_empty(), Ordering::SeqCst);
        for e in &failed {
            tracing::error!(error = %e, "the settings are written, but not all of the box follows them");
        }
        Followed { effects, not_followed: failed.iter().map(|e| e.message().to_owned()).collect() }
    }

    async fn follow_names(&self, config: &Config) -> Result<()> {
        let (identity, names) = (self.identity.clone(), config.names());
        let named = blocking("naming the box in its certificate", move || identity.set_hostnames(names)).await;
        named.map_err(|e| e.at("http.hostnames: they are not in the certificate yet; that is tried again each minute"))
    }

    async fn follow_domain(&self, config: &Config) -> Result<()> {
        let CameraRunner { supervisor, clock, .. } = &*self.runner;
        supervisor.stop(&[TaskId::Acme], GRACE).await;
        tasks::acme::spawn(supervisor, config.acme.as_ref(), &self.identity, clock).map_err(|e| e.at("acme"))
    }

    async fn follow_stores(&self, config: &Config) -> Result<()> {
        self.copying.follow(&self.runner.supervisor, &config.sync).await.map_err(|e| e.at("sync"))
    }

    async fn follow_updates(&self, config: &Config) -> Result<()> {
        let CameraRunner { supervisor, clock, .. } = &*self.runner;
        supervisor.stop(&[TaskId::Updates], GRACE).await;
        tasks::auto_update::spawn(supervisor, &config.update, &self.updater, clock).map_err(|e| e.at("update"))
    }
}

/// What a change of the cameras means, for people.
pub fn effect(change: &Change) -> String {
    if let Some(id) = change.switches_off() {
        return format!("{id} is switched off");
    }
    match change {
        Change::Remove(id) => format!("{id} is removed: who watches it is let go"),
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

/// Who may see the cameras of `after` that are not there before, though nobody let them in to these. Reads the database.
pub fn let_in_already(accounts: &Accounts, before: &Config, after: &Config) -> Result<Vec<String>> {
    let is_new = |c: &&CameraConfig| before.cameras.iter().all(|known| known.id != c.id);
    let new: Vec<_> = after.cameras.iter().filter(is_new).collect();
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let (users, devices, players) = (accounts.users()?, accounts.devices()?, accounts.stream_passwords()?);
    Ok(new.into_iter().filter_map(|c| said_of_known_id(&c.id, &users, &devices, &players)).collect())
}
