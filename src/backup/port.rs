//! Backups as the page asks for them.

use super::content::Backup;
use super::restore;
use crate::settings::SettingsFile;
use crate::system::BoxSystem;
use perch_base::clock::SharedClock;
use perch_base::secret::Secret;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::ports::{BackupPort, Restored, SystemPort};
use perch_domain::system::Action;
use perch_store::Accounts;
use std::sync::Arc;

/// What a backup is made of, and what starts again when one is taken.
pub struct Backups {
    pub settings: Arc<SettingsFile>,
    pub accounts: Accounts,
    pub system: Arc<BoxSystem>,
    pub clock: SharedClock,
}

impl Backups {
    fn restarts(&self) -> bool {
        self.system.facts().no_restart.is_none()
    }
}

impl BackupPort for Backups {
    fn make(&self, password: &Secret) -> Result<Vec<u8>> {
        let people = self.accounts.to_backup()?;
        let gathered = self.settings.in_turn(|| {
            let config = self.settings.current().config();
            Backup::gather(&config, &self.settings.text()?, people, self.clock.utc())
        });
        gathered?.seal(password.expose())
    }

    fn take(&self, file: &[u8], password: &Secret, dry_run: bool) -> Result<Restored> {
        let backup = Backup::unseal(password.expose(), file).map_err(|e| match e.kind() {
            // It is the file that somebody chose, and nothing of ours.
            ErrorKind::Corrupt => {
                let why = e.message().to_owned();
                Error::invalid(why).with_source(e)
            }
            _ => e,
        })?;
        let started = self.settings.started();
        let restored = self.settings.in_turn(|| {
            let (text, config) = restore::plan(&backup, started, &self.settings.text().unwrap_or_default())?;
            let restored = backup.restored(&config.cameras);
            if !dry_run {
                restore::lay_down(backup, text, &started.data_dir)?;
            }
            Ok::<_, Error>(restored)
        })?;
        if !dry_run {
            // Where nothing would start it again, somebody does so later.
            let _ = self.system.act(Action::Restart);
        }
        Ok(Restored { restarts: self.restarts(), ..restored })
    }

    fn waits(&self) -> Result<Option<Restored>> {
        let waits = restore::waits(&self.settings.started().data_dir)?;
        Ok(waits.map(|restored| Restored { restarts: self.restarts(), ..restored }))
    }

    fn take_back(&self) -> Result<()> {
        self.settings.in_turn(|| restore::take_back(&self.settings.started().data_dir))
    }
}
