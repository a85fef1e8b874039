//! Reload: reads the config file again at SIGHUP and when `perch reload` asks for it, and has the box follow what it says, while every
//! camera that it does not concern goes on. A file that is not good changes nothing.

use crate::kept_log::listed;
use crate::reload_line::{self, ReloadAnswer};
use crate::settings::SettingsFile;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::task::TaskId;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{Signal, SignalKind, signal};

struct Reload {
    settings: Arc<SettingsFile>,
    hangups: Signal,
    /// None where it could not be made.
    line: Option<UnixListener>,
    clock: SharedClock,
}

/// From now on SIGHUP no longer ends the process.
pub fn hangups() -> Result<Signal> {
    signal(SignalKind::hangup()).context(ErrorKind::Internal, || "SIGHUP cannot be listened to")
}

/// Follows the config file whenever `hangups` or who calls on the `line` says so, once the cameras were started.
pub fn spawn(
    supervisor: &Supervisor,
    settings: &Arc<SettingsFile>,
    hangups: Signal,
    line: Option<UnixListener>,
    clock: &SharedClock,
) -> Result<()> {
    let task = Reload { settings: settings.clone(), hangups, line, clock: clock.clone() };
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
    supervisor.spawn(TaskId::Reload, backoff, task)
}

/// Whoever calls; nobody ever where there is no line.
async fn call(line: Option<&UnixListener>) -> io::Result<UnixStream> {
    match line {
        Some(line) => line.accept().await.map(|(caller, _)| caller),
        None => std::future::pending().await,
    }
}

impl Task for Reload {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let caller = tokio::select! {
                heard = self.hangups.recv() => {
                    if heard.is_none() {
                        return Ok(AttemptEnd::Done);
                    }
                    None
                }
                called = call(self.line.as_ref()) => {
                    Some(called.context(ErrorKind::Io, || "`perch reload` is not heard any more")?)
                }
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            };
            let done = self.settings.reload().await;
            if let Some(caller) = caller
                && let Err(e) = reload_line::answer(caller, &ReloadAnswer::from(&done), &self.clock).await
            {
                tracing::debug!(error = %e, "who asked to read the config again does not hear the answer");
            }
            match done {
                Ok(done) => tracing::info!(
                    effects = listed(&done.effects),
                    "the config was read again; what waits for the next start is not followed"
                ),
                Err(e) => tracing::error!(error = %e, "the config was not taken; what runs goes on"),
            }
        }
    }
}
