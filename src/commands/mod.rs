//! One file a command. Commands that change accounts write the database of the box and ring its bell.

pub mod backup;
pub mod board;
pub mod check;
mod devices;
pub mod doctor;
pub mod export;
pub mod motion;
mod network_camera;
pub mod pair;
pub mod people;
pub mod reload;
mod report;
pub mod restore;
pub mod run;
pub mod setup;
mod stores;
pub mod update;
pub mod verify;
pub mod wishes;

use crate::cli::LimitsArg;
use crate::config::Config;
use perch_base::clock::SystemClock;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{CameraGrant, GrantLimits, check_expiry};
use perch_domain::running::RunningCamera;
use perch_store::Store;
use perch_store::layout::has_database;
use std::path::Path;
use std::sync::Arc;

/// Opens the box's database beside a daemon that may be running. Errors with [`ErrorKind::Unavailable`] where no box ever ran: a
/// wrong folder must not become a new, empty box.
fn open_store(config: &Config) -> Result<Store> {
    if !has_database(&config.data_dir) {
        let dir = &config.data_dir;
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
        let why = format!(
            "no box has run with the data folder {}: name its config with --config, or start it with `perch run` first",
            dir.display()
        );
        return Err(Error::new(ErrorKind::Unavailable, why));
    }
    Store::open_for_cli(config.store(), Arc::new(SystemClock))
}

/// What can be watched: as the box last ran, since a command may have been given no config.
fn cameras(store: &Store, config: &Config) -> Result<Vec<RunningCamera>> {
    let running = store.meta().word()?.and_then(|running| running.cameras);
    let configured = || {
        let all = config.cameras.iter().map(|c| RunningCamera { id: c.id.clone(), name: c.name.clone() });
        all.collect()
    };
    Ok(running.unwrap_or_else(configured))
}

/// The cameras of `--camera`; none named: all. Errors with `Invalid` when there is no such camera.
fn granted(ids: &[String], known: &[RunningCamera]) -> Result<CameraGrant> {
    let known: Vec<_> = known.iter().map(|camera| camera.id.clone()).collect();
    CameraGrant::parse((!ids.is_empty()).then_some(ids), &known)
}

/// What `--until` and `--live-only` say. Errors with `Invalid` when the time is none, or is over.
fn limits(said: &LimitsArg, now: Timestamp) -> Result<GrantLimits> {
    let parse = |text: &str| Timestamp::parse(text).map_err(|e| Error::invalid(format!("--until: {}", e.message())));
    let expires_at = said.until.as_deref().map(parse).transpose()?;
    check_expiry(expires_at, now)?;
    Ok(GrantLimits { expires_at, live_only: said.live_only })
}

/// What is said of a grant that is not for all cameras.
fn limit(cameras: &CameraGrant) -> Option<String> {
    match cameras {
        CameraGrant::All => None,
        CameraGrant::Only(ids) => Some(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", ")),
    }
}

/// Tells the running box, if there is one.
fn ring(data_dir: &Path) {
    if !crate::bell::ring(data_dir) {
        complain!("The box is not running; the change takes effect when it starts.");
    }
}
