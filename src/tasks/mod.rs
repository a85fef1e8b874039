//! The shell: one file a long task. Each drives a machine of `domain` with the clock and obeys what it says.

use perch_base::{Error, Result};

pub mod auto_update;
pub mod capture;
pub mod card;
pub mod certificate;
pub mod commands;
pub mod cut_off;
pub mod delivered;
pub mod live;
pub mod microphone;
pub mod motion;
pub mod reconcile;
pub mod recording;
pub mod reload;
pub mod retention;
pub mod rtsp;
pub mod stills;
pub mod trial;
pub mod watchdog;

/// Makes a call that may wait for a disk or a device on a thread of its own, so that the runtime's workers go on. `what` is named
/// where the call panics.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    call: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(call).await.map_err(|e| Error::internal(format!("{what} panicked")).with_source(e))?
}
