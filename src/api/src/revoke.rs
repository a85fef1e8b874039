//! Tells streams that are being sent to a device that its credential was taken away.

use perch_base::ids::DeviceId;
use perch_base::sync::lock;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// Where revocations are announced. Clones share the announcements.
#[derive(Clone, Debug)]
pub struct Revocations {
    announced: broadcast::Sender<DeviceId>,
    /// How many answers are being sent to each device.
    open: Arc<Mutex<BTreeMap<DeviceId, usize>>>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self { announced: broadcast::channel(64).0, open: Arc::default() }
    }
}

impl Revocations {
    /// Ends every open answer of `device`: event streams and downloads.
    pub fn announce(&self, device: DeviceId) {
        // An error means that nobody listens.
        let _ = self.announced.send(device);
    }

    /// Devices to which something is being sent now.
    pub fn connected(&self) -> Vec<DeviceId> {
        lock(&self.open).keys().copied().collect()
    }

    pub(crate) fn watch(&self, device: DeviceId) -> Watch {
        *lock(&self.open).entry(device).or_default() += 1;
        Watch { rx: self.announced.subscribe(), device, open: self.open.clone() }
    }
}

/// Waits for one device's revocation.
pub(crate) struct Watch {
    rx: broadcast::Receiver<DeviceId>,
    device: DeviceId,
    open: Arc<Mutex<BTreeMap<DeviceId, usize>>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Entry::Occupied(mut n) = open.entry(self.device) {
            *n.get_mut() -= 1;
            if *n.get() == 0 {
                n.remove();
            }
        }
    }
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
