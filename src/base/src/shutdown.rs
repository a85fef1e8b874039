//! One flag that tells every task to end, awaitable and cheap to ask.

use tokio::sync::watch;

/// The side that every task holds. Clones share the flag.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The side that ends the box. Dropping it also ends it.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// A connected pair.
pub fn channel() -> (Trigger, Shutdown) {
    let (tx, rx) = watch::channel(false);
    (Trigger(tx), Shutdown(rx))
}

impl Trigger {
    /// Tells everybody to end.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether the end was called.
    pub fn is_called(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits for the end.
    pub async fn called(&mut self) {
        // An error means the trigger is gone, which is the end as well.
        let _ = self.0.wait_for(|ended| *ended).await;
    }
}
