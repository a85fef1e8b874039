//! Reload: reads the config file again at SIGHUP and follows what it says of the cameras, while every other camera goes on. A file that
//! is not good changes nothing.

use crate::settings::SettingsFile;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::task::TaskId;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

struct Reload {
    settings: Arc<SettingsFile>,
    hangups: Signal,
}

/// From now on SIGHUP no longer ends the process.
pub fn hangups() -> Result<Signal> {
    signal(SignalKind::hangup()).context(ErrorKind::Internal, || "SIGHUP cannot be listened to")
}

/// Follows the config file whenever `hangups` says so, once the cameras were started.
pub fn spawn(supervisor: &Supervisor, settings: &Arc<SettingsFile>, hangups: Signal) -> Result<()> {
    let task = Reload { settings: settings.clone(), hangups };
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    supervisor.spawn(TaskId::Reload, backoff, task)
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
            match self.settings.reload().await {
                Ok(effects) => {
                    tracing::info!(?effects, "the config was read again; what waits for the next start is not followed")
                }
                Err(e) => tracing::error!(error = %e, "the config was not taken; what runs goes on"),
            }
        }
    }
}
