//! One flag that tells tasks to end, awaitable and cheap to ask. The box has one; a part that may end alone has a child of it.

use std::future::{Future, poll_fn};
use std::task::Poll;
use tokio::sync::watch;

/// The side that every task holds. Clones share the flag.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Its own flag, and those of whom it is a part: each is the end.
    flags: Vec<watch::Receiver<bool>>,
}

/// The side that calls the end. Dropping it also calls it.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// A connected pair.
pub fn channel() -> (Trigger, Shutdown) {
    let (tx, own) = watch::channel(false);
    (Trigger(tx), Shutdown { flags: vec![own] })
}

impl Trigger {
    /// Tells everybody to end.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// A shutdown of a part: it is called with this one, or alone by its own trigger.
    pub fn child(&self) -> (Trigger, Shutdown) {
        let (tx, own) = watch::channel(false);
        let flags = std::iter::once(own).chain(self.flags.iter().cloned()).collect();
        (Trigger(tx), Shutdown { flags })
    }

    /// Whether the end was called.
    pub fn is_called(&self) -> bool {
        // An error means the trigger is gone, which is the end as well.
        self.flags.iter().any(|flag| *flag.borrow() || flag.has_changed().is_err())
    }

    /// Waits for the end.
    pub async fn called(&mut self) {
        let mut flags: Vec<_> = self.flags.iter_mut().map(|flag| Box::pin(is_set(flag))).collect();
        poll_fn(|cx| match flags.iter_mut().any(|flag| flag.as_mut().poll(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await
    }
}

async fn is_set(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|ended| *ended).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_ends_alone_and_with_the_whole() {
        let (whole, shutdown) = channel();
        let (part, mut ends_alone) = shutdown.child();
        let (_other, child) = shutdown.child();
        let (_third, mut grandchild) = child.child();
        part.fire();
        ends_alone.called().await;
        assert!(ends_alone.is_called() && !shutdown.is_called() && !grandchild.is_called());
        let waits = tokio::spawn(async move {
            grandchild.called().await;
            grandchild.is_called()
        });
        tokio::task::yield_now().await;
        whole.fire();
        assert!(waits.await.expect("ended") && child.is_called());
        let (dropped, mut orphan) = channel();
        drop(dropped);
        orphan.called().await;
        assert!(orphan.is_called());
    }
}
