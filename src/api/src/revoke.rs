//! Tells streams that are being sent to a device that its credential was taken away.

use perch_base::ids::DeviceId;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Where revocations are announced. Clones share the announcements.
#[derive(Clone, Debug)]
pub struct Revocations(broadcast::Sender<DeviceId>);

impl Default for Revocations {
    fn default() -> Self {
        Self(broadcast::channel(64).0)
    }
}

impl Revocations {
    /// Ends every open answer of `device`: event streams and downloads.
    pub fn announce(&self, device: DeviceId) {
        // An error means that nobody listens.
        let _ = self.0.send(device);
    }

    pub(crate) fn watch(&self, device: DeviceId) -> Watch {
        Watch { rx: self.0.subscribe(), device }
    }
}

/// Waits for one device's revocation.
pub(crate) struct Watch {
    rx: broadcast::Receiver<DeviceId>,
    device: DeviceId,
}

impl Watch {
    /// Returns once the device was revoked. A listener that missed announcements counts itself as revoked.
    pub(crate) async fn revoked(&mut self) {
        loop {
            match self.rx.recv().await {
                Ok(device) if device != self.device => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                // Nobody can announce any more.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Whether it was revoked by now.
    pub(crate) fn is_revoked(&mut self) -> bool {
        loop {
            match self.rx.try_recv() {
                Ok(device) if device != self.device => {}
                Ok(_) | Err(TryRecvError::Lagged(_)) => return true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
            }
        }
    }
}
