//! `perch update`: has the update service check and install a bundle, and restarts into it. Talks to the service itself, so it works
//! beside a running box and without one; needs root or the user perch.

use crate::{systemd, version};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::update::{CARD_IMAGE_ONLY, Phase, check_url, judge};
use perch_domain::update_attempt::UpdateAttempt;
use perch_update::{Bus, Places, Rauc};
use std::cell::Cell;
use std::process::ExitCode;

/// What is asked for.
pub struct Wanted<'a> {
    /// A file or an address.
    pub source: &'a str,
    /// The same version again.
    pub force: bool,
    /// Leave the restart to the owner.
    pub no_restart: bool,
}

/// Installs, printing how far it is.
pub fn run(wanted: &Wanted<'_>) -> Result<ExitCode> {
    let places = Places::of_the_card(systemd::runtime_directory());
    let boot = places.boot().ok_or_else(|| Error::new(ErrorKind::Impossible, CARD_IMAGE_ONLY))?;
    UpdateAttempt::at_start(boot.trial).begin(Phase::Checking)?;
    let source = source(wanted.source)?;
    let version = places.version(version::VERSION);
    let rauc = Rauc::connect(&Bus::System)?;
    let bundle = rauc.inspect(&source)?;
    judge(&bundle, boot.board.as_deref(), &version, wanted.force)?;
    say!("Version {} replaces {version}.", bundle.version);
    let last = Cell::new(None);
    rauc.install(&source, |percent, doing| {
        if last.replace(Some(percent)) != Some(percent) {
            say!("{percent:3} %  {doing}");
        }
    })?;
    if wanted.no_restart {
        say!("Installed. It is tried when you ask for it: touch {}", places.trial_request().display());
        return Ok(ExitCode::SUCCESS);
    }
    places.ask_for_trial()?;
    say!("Installed. The box restarts now and keeps the new version if it works; else it goes back within minutes.");
    Ok(ExitCode::SUCCESS)
}

/// An address as it is; a file by its whole path, since the service has another working directory.
fn source(text: &str) -> Result<String> {
    if text.contains("://") {
        check_url(text)?;
        return Ok(text.to_owned());
    }
    let path = std::fs::canonicalize(text).context(ErrorKind::Invalid, || format!("there is no update {text}"))?;
    path.into_os_string().into_string().map_err(|_| Error::invalid("the file's path is not UTF-8: rename it"))
}
