//! `perch backup` and `perch restore-settings`: the same as the page does, beside the box or without it.

use super::people::read_password;
use crate::backup::{Backup, MAX_SEALED_BYTES, restore};
use crate::config::{Config, unnamed};
use perch_base::clock::{Clock, SystemClock};
use perch_base::files::{Links, read_small};
use perch_base::{ErrorKind, Result, ResultExt};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

/// Writes one.
pub fn make(path: Option<&Path>, out: &Path) -> Result<ExitCode> {
    let config = Config::load(path)?;
    let store = super::open_store(&config)?;
    let text = Config::text_of(path.unwrap_or(&unnamed())).unwrap_or_default();
    let password = read_password()?;
    let people = store.accounts().to_backup()?;
    let sealed = Backup::gather(&config, &text, people, SystemClock.utc())?.seal(&password)?;
    let failed = || format!("{} cannot be written: it must not be there yet", out.display());
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(out).context(ErrorKind::Io, failed)?;
    file.write_all(&sealed).and_then(|()| file.sync_all()).context(ErrorKind::Io, failed)?;
    say!("{} holds the settings, who the box is, and its people. Without the password nobody opens it.", out.display());
    Ok(ExitCode::SUCCESS)
}

/// Lays one down for the next start.
pub fn take(path: Option<&Path>, file: &Path) -> Result<ExitCode> {
    let config = Config::load(path)?;
    let bytes = read_small(file, MAX_SEALED_BYTES, Links::Follow).map_err(|e| e.at(file.display()))?;
    let backup = Backup::unseal(&read_password()?, &bytes)?;
    let text = Config::text_of(path.unwrap_or(&unnamed())).unwrap_or_default();
    let (text, wanted) = restore::plan(&backup, &config, &text)?;
    let (accounts, players) = backup.people.count();
    let (name, cameras) = (backup.name.clone(), wanted.cameras.len());
    restore::lay_down(backup, text, &config.data_dir)?;
    say!(
        "Of the box {name}: {cameras} cameras, {accounts} accounts, {players} stream passwords. The box takes them at its next start."
    );
    Ok(ExitCode::SUCCESS)
}
