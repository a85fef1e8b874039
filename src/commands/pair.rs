//! `perch pair`: a new one-time password for the running box.

use crate::cli::LimitsArg;
use crate::config::Config;
use crate::pairing_card;
use perch_base::clock::{Clock, SystemClock};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{Grant, Role};
use perch_domain::ports::AccessPort;
use std::path::Path;
use std::process::ExitCode;

/// Makes a code and prints the card.
pub fn run(config: Option<&Path>, role: Role, cameras: &[String], limits: &LimitsArg) -> Result<ExitCode> {
    let config = Config::load(config)?;
    let store = super::open_store(&config)?;
    let running = store.meta().word()?.ok_or_else(|| {
        Error::new(
            ErrorKind::Unavailable,
            "the box has never run with this data folder: start it with `perch run` first",
        )
    })?;
    let now = SystemClock.utc();
    let cameras = super::granted(cameras, &super::cameras(&store, &config)?)?;
    let grant = Grant::new(role, cameras)?.within(super::limits(limits, now)?)?;
    let code = store.accounts().issue_code(&grant, now)?;
    say!("{}", pairing_card::render(&running, &code, now)?);
    if role == Role::Viewer {
        let looks = if limits.live_only { "watch live" } else { "watch and look back" };
        say!("  The device will be a viewer: it may {looks}, not change anything.");
    }
    if let Some(names) = super::limit(grant.cameras()) {
        say!("  It sees no camera but: {names}");
    }
    if let Some(end) = grant.limits().expires_at {
        say!("  Its access ends at {end}.");
    }
    if !crate::bell::ring(&config.data_dir) {
        complain!("The box is not running: start it before the password expires.");
    }
    Ok(ExitCode::SUCCESS)
}
