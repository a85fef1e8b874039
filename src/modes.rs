//! What is switched off, and which profile is active: what people switched is kept in a file of the data folder, decided about in
//! `domain`, and followed by the cameras. It is state and no configuration: `perch.toml` never has it.

use crate::camera::Notices;
use crate::camera_runner::CameraRunner;
use crate::config::Config;
use crate::current::Current;
use perch_base::clock::SharedClock;
use perch_base::files::{Links, make_private_dir, put, read_small};
use perch_base::ids::CameraId;
use perch_base::sync::{lock, read, write};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt, blocking};
use perch_domain::camera::CameraConfig;
use perch_domain::modes::{Deciding, EndsClock, Modes, ModesPort, ModesView, PrivacyRequest, ProfileName, Switched};
use perch_domain::ports::Later;
use perch_domain::reload::Change;
use perch_domain::status::Notice;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as StdMutex, OnceLock, RwLock};
use tokio::sync::{Mutex, Notify};

/// The file of what people switched.
const FILE: &str = "modes.json";
/// The largest that is believed.
const MAX_BYTES: u64 = 1 << 20;

/// What people switched, and who obeys.
pub struct Switches {
    file: PathBuf,
    current: Current,
    clock: SharedClock,
    notices: Notices,
    switched: RwLock<Switched>,
    /// By which what people switched ends.
    ends: StdMutex<EndsClock>,
    is_synchronised: fn() -> bool,
    /// Set once the box is built.
    runner: OnceLock<Arc<CameraRunner>>,
    /// People switch one after the other.
    turn: Mutex<()>,
    /// What everybody was told last.
    told: StdMutex<Option<Modes>>,
    /// Woken when the next change may be another one.
    changed: Notify,
}

/// What the file in this data folder says. One that is not there says nothing; of one that cannot be read it is not known what was off
/// ([`Switched::unknown`]).
pub fn read_switched(data_dir: &Path, now: Timestamp) -> Switched {
    let path = data_dir.join(FILE);
    if std::fs::symlink_metadata(&path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return Switched::default();
    }
    let read = || {
        let bytes = read_small(&path, MAX_BYTES, Links::Refuse)?;
        let table: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&bytes).context(ErrorKind::Corrupt, || "it is damaged")?;
        serde_json::from_value(table.into()).context(ErrorKind::Corrupt, || "it is damaged")
    };
    read().unwrap_or_else(|e: Error| {
        tracing::error!(error = %e, file = FILE, "what was switched off cannot be read: all cameras are off until somebody switches them on");
        Switched::unknown(now)
    })
}

/// The cameras of a config as a box in its data folder runs them, for commands beside it. Reads a file.
pub fn as_they_run(config: &Config, now: Timestamp) -> Vec<CameraConfig> {
    let (zone, switched) = (config.zone(), read_switched(&config.data_dir, now));
    let modes = Deciding { config: &config.modes, switched: &switched, zone: &zone, ahead_us: 0 }.at(&ids(config), now);
    config.cameras.iter().map(|camera| modes.laid_over(&config.modes, camera)).collect()
}

impl Switches {
    /// What was switched before the last end of the box. `is_synchronised` says whether the clock is known to be right. Reads a file.
    pub fn open(current: Current, clock: SharedClock, is_synchronised: fn() -> bool, notices: Notices) -> Self {
        let data_dir = current.config().data_dir.clone();
        let switched = read_switched(&data_dir, clock.utc());
        Self {
            file: data_dir.join(FILE),
            ends: StdMutex::new(EndsClock::start(clock.utc(), clock.mono())),
            is_synchronised,
            current,
            clock,
            notices,
            switched: RwLock::new(switched),
            runner: OnceLock::new(),
            turn: Mutex::default(),
            told: StdMutex::default(),
            changed: Notify::new(),
        }
    }

    /// From now on this one obeys.
    pub fn followed_by(&self, runner: Arc<CameraRunner>) {
        // The box is built once.
        let _ = self.runner.set(runner);
    }

    /// The cameras of a config as they are to run now.
    pub fn wanted(&self, config: &Config) -> Vec<CameraConfig> {
        let modes = self.modes_of(config, self.clock.utc());
        config.cameras.iter().map(|camera| modes.laid_over(&config.modes, camera)).collect()
    }

    /// Has the cameras follow the configuration, what people switched and the time, as they are when its turn has come. Returns what changed.
    pub async fn follow(&self) -> Result<Vec<Change>> {
        let changes = match self.runner.get() {
            Some(runner) => runner.follow(|| self.wanted(&self.current.config())).await,
            None => Ok(Vec::new()),
        };
        self.tell();
        self.changed.notify_one();
        changes
    }

    /// When something changes by itself next.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.modes_of(&self.current.config(), self.clock.utc()).next_change
    }

    /// Waits until the next change may be another one.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// By how much the clock shows more than is believed of it, µs.
    fn ahead_us(&self, now: Timestamp) -> i64 {
        lock(&self.ends).ahead_us(now, self.clock.mono(), (self.is_synchronised)())
    }

    fn modes_of(&self, config: &Config, now: Timestamp) -> Modes {
        let (zone, switched) = (config.zone(), read(&self.switched).clone());
        let deciding =
            Deciding { config: &config.modes, switched: &switched, zone: &zone, ahead_us: self.ahead_us(now) };
        deciding.at(&ids(config), now)
    }

    /// Tells everybody what changed.
    fn tell(&self) {
        let modes = self.modes_of(&self.current.config(), self.clock.utc());
        let before = lock(&self.told).replace(modes.clone());
        if before.as_ref() != Some(&modes) {
            // Nobody listening is fine.
            let _ = self.notices.send(Arc::new(Notice::Modes { profile: modes.profile.map(|active| active.id) }));
        }
    }

    /// Decides what is switched now, keeps it, and has the cameras follow. Where it cannot be kept, it holds all the same if
    /// `holds_anyway`, until the box ends.
    async fn switch(
        &self,
        holds_anyway: bool,
        decide: impl FnOnce(&Deciding<'_>, &[CameraId], Timestamp) -> Result<Switched> + Send,
    ) -> Result<ModesView> {
        let _turn = self.turn.lock().await;
        let (config, before, now) = (self.current.config(), read(&self.switched).clone(), self.clock.utc());
        let next = {
            let zone = config.zone();
            let deciding =
                Deciding { config: &config.modes, switched: &before, zone: &zone, ahead_us: self.ahead_us(now) };
            decide(&deciding, &ids(&config), now)?
        };
        let kept = self.keep(&next).await;
        if kept.is_ok() || holds_anyway {
            *write(&self.switched) = next;
        }
        let followed = self.follow().await;
        kept?;
        followed?;
        Ok(self.modes())
    }

    async fn keep(&self, switched: &Switched) -> Result<()> {
        let content = serde_json::to_vec_pretty(switched)
            .context(ErrorKind::Internal, || "what is switched cannot be written down")?;
        let file = self.file.clone();
        let failed = || {
            "it cannot be written down and would not hold after a restart: is the disk full or read-only? What was \
             switched off is off until then"
        };
        blocking("keeping what is switched", move || {
            if let Some(folder) = file.parent() {
                make_private_dir(folder).context(ErrorKind::Unavailable, failed)?;
            }
            put(&file, &content, 0o600, None).context(ErrorKind::Unavailable, failed)
        })
        .await
    }
}

fn ids(config: &Config) -> Vec<CameraId> {
    config.cameras.iter().map(|camera| camera.id.clone()).collect()
}

impl ModesPort for Switches {
    fn modes(&self) -> ModesView {
        let (config, now) = (self.current.config(), self.clock.utc());
        let (zone, switched) = (config.zone(), read(&self.switched).clone());
        let deciding =
            Deciding { config: &config.modes, switched: &switched, zone: &zone, ahead_us: self.ahead_us(now) };
        ModesView::of(&deciding, deciding.at(&ids(&config), now), now)
    }

    fn privacy(&self, request: PrivacyRequest) -> Later<'_, Result<ModesView>> {
        Box::pin(async move {
            let off = request.off;
            self.switch(off, move |deciding, known, now| deciding.obey(known, &request, now)).await
        })
    }

    fn choose_profile(&self, id: Option<ProfileName>, by: String) -> Later<'_, Result<ModesView>> {
        Box::pin(async move { self.switch(false, move |deciding, _, now| deciding.choose(id, &by, now)).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::switched_off::OffBy;

    #[test]
    fn a_file_that_is_damaged_switches_all_off_and_one_that_is_missing_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let now = Timestamp(5);
        assert_eq!(read_switched(dir.path(), now), Switched::default());
        let file = dir.path().join(FILE);
        for damaged in ["", "{", "[]", "{\"whole\": 7}", "{\"cameras\": {\"NO GOOD\": {}}}"] {
            std::fs::write(&file, damaged).expect("written");
            assert_eq!(read_switched(dir.path(), now), Switched::unknown(now), "{damaged}");
        }
        std::fs::remove_file(&file).expect("there");
        std::os::unix::fs::symlink("/etc/hostname", &file).expect("linked");
        assert_eq!(read_switched(dir.path(), now), Switched::unknown(now), "a link is not followed");
        std::fs::remove_file(&file).expect("there");
        // What a later program may add is left aside.
        std::fs::write(&file, "{\"cameras\": {}, \"later\": 1}").expect("written");
        assert_eq!(read_switched(dir.path(), now), Switched::default());
        let told = OffBy::Box.told();
        assert!(told.contains("switch it on again"), "{told}");
    }
}
