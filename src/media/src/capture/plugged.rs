//! What wakes the next attempt of a device that is missing: that one was plugged in.

use crate::devices::{Machine, Watch};
use perch_base::clock::SharedClock;
use std::time::Duration;
use tokio::sync::Mutex;

/// Between the file of a device and the last of its links and rights, which udev makes.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// Looks on from the first attempt on. Empty for a source that is no device.
#[derive(Debug, Default)]
pub(super) struct Plugged(Mutex<Option<Watch>>);

impl Plugged {
    /// An attempt begins: what came before is seen by it.
    pub async fn begin(&self, machine: &Machine) {
        self.0.lock().await.get_or_insert_with(|| machine.watch()).forget();
    }

    /// Returns soon after a device came since the last attempt began.
    pub async fn comes(&self, clock: &SharedClock) {
        match self.0.lock().await.as_mut() {
            Some(watch) => watch.changed().await,
            None => std::future::pending().await,
        }
        clock.sleep(SETTLED_AFTER).await;
    }
}
