//! `perch run`: the daemon.

use crate::app::App;
use crate::backup::restore;
use crate::config::{Config, unnamed};
use crate::kept_log::{kept, listed};
use crate::setup::reset;
use crate::stop_signal::stop_signal;
use crate::system::START_AGAIN;
use crate::tasks::reload;
use perch_base::clock::{SharedClock, SystemClock};
use perch_base::{ErrorKind, Result, ResultExt, blocking};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long the last lines of the log may take to be written.
const LOG_WITHIN: Duration = Duration::from_secs(1);

/// Runs the box until a signal ends it.
pub fn run(path: Option<&Path>) -> Result<ExitCode> {
    let mut config = Config::load(path)?;
    // A backup that was laid down is taken before anything is opened: it may say something else.
    let clock: SharedClock = Arc::new(SystemClock);
    if restore::put_files(&config.data_dir, path.unwrap_or(&unnamed()), &clock) {
        config = Config::load(path)?;
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("perch")
        .enable_all()
        .build()
        .context(ErrorKind::Internal, || "the runtime cannot be started")?;
    let code = runtime.block_on(async {
        let code = serve(config, path.map(Path::to_owned)).await;
        write_log_down().await;
        code
    });
    // Blocking calls that hang (a dead disk) must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

/// The last lines of the log, which say how it ended.
async fn write_log_down() {
    let written = blocking("writing the log down", || kept().write_down());
    // Real time: a disk that hangs must not hold the process.
    if let Ok(Err(e)) = tokio::time::timeout(LOG_WITHIN, written).await {
        tracing::warn!(error = %e, "the last lines of the log are in the system's log alone");
    }
}

/// What a reset of everything left is erased before anything is opened.
async fn build(config: Config, path: Option<&Path>) -> Result<App> {
    let data_dir = config.data_dir.clone();
    blocking("erasing what a reset left", move || reset::finish(&data_dir)).await?;
    App::build(config, path).await
}

async fn serve(config: Config, path: Option<PathBuf>) -> Result<ExitCode> {
    // Heard from here on: opening a large or broken database may take long.
    let mut stop = pin!(stop_signal()?);
    let hangups = reload::hangups()?;
    let app = tokio::select! {
        biased;
        () = &mut stop => {
            tracing::info!("ending before the box was built");
            return Ok(ExitCode::SUCCESS);
        }
        app = build(config, path.as_deref()) => app?,
    };
    app.follow_config(hangups)?;
    let at = app.addresses();
    tracing::info!(http = %at.http, rtsp = %at.rtsp, webrtc = %at.webrtc, "perch {}", crate::version::LONG);
    match app.pairing_card().await {
        Ok(Some(card)) => say!("{card}"),
        Ok(None) => say!("Perch answers at {}", app.base_url()),
        Err(e) => complain!("This box is not yet yours, and no one-time password could be made: {e}"),
    }
    let restart = app.restart();
    let is_restart = AtomicBool::new(false);
    let notifier = app.notifier();
    notifier.ready(&format!("answers at {}", app.base_url()));
    let late = app
        .run(async {
            tokio::select! {
                () = stop => {}
                () = restart.notified() => {
                    tracing::info!("ending, to be started again as was asked for");
                    is_restart.store(true, Ordering::SeqCst);
                }
            }
            notifier.stopping();
        })
        .await?;
    if is_restart.load(Ordering::SeqCst) {
        return Ok(ExitCode::from(START_AGAIN));
    }
    if late.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    tracing::error!(tasks = listed(&late), "tasks did not end in time");
    Ok(ExitCode::FAILURE)
}
