//! Reload: reads the config file again at SIGHUP and follows what it says of the cameras, while every other camera goes on. A file that
//! is not good changes nothing.

use crate::camera_runner::CameraRunner;
use crate::config::Config;
use crate::supervisor::{AttemptEnd, Task};
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_base::{ErrorKind, Result, ResultExt, blocking};
use perch_domain::reload::plan_reload;
use perch_domain::task::TaskId;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

struct Reload {
    path: Option<PathBuf>,
    runner: Arc<CameraRunner>,
    hangups: Signal,
}

/// From now on SIGHUP no longer ends the process.
pub fn hangups() -> Result<Signal> {
    signal(SignalKind::hangup()).context(ErrorKind::Internal, || "SIGHUP cannot be listened to")
}

/// Follows the config file at `path` whenever `hangups` says so, once the cameras were started.
pub fn spawn(path: Option<PathBuf>, hangups: Signal, runner: &Arc<CameraRunner>) -> Result<()> {
    let task = Reload { path, runner: runner.clone(), hangups };
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    runner.supervisor.spawn(TaskId::Reload, backoff, task)
}

impl Task for Reload {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            tokio::select! {
                heard = self.hangups.recv() => {
                    if heard.is_none() {
                        return Ok(AttemptEnd::Done);
                    }
                }
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
            if let Err(e) = self.reload().await {
                tracing::error!(error = %e, "the config was not taken; what runs goes on");
            }
        }
    }
}

impl Reload {
    async fn reload(&self) -> Result<()> {
        let path = self.path.clone();
        let new = blocking("reading the config", move || Config::load(path.as_deref())).await?;
        for warning in &new.warnings {
            tracing::warn!("{warning}");
        }
        let changes = plan_reload(&self.runner.set.configs(), &new.cameras);
        let count = changes.len();
        self.runner.apply(changes).await?;
        tracing::info!(changes = count, "the cameras of the config were taken; other settings wait for the next start");
        Ok(())
    }
}
