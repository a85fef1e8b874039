//! How many threads of a camera are in a driver now. A driver can hold one for ever, and nothing can end such a thread: what can
//! be done is not to send more after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads that hang before no more are sent.
const MAX_HANGING: usize = 2;

/// Counts the threads that build, start and end the pipelines of one device.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads(Arc<AtomicUsize>);

impl Threads {
    /// One more thread is about to begin; it takes the guard with it.
    pub fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::SeqCst);
        Entered(self.0.clone())
    }

    /// Whether so many are still there, when none should be, that the driver must be taken to hang.
    pub fn hang(&self) -> bool {
        self.0.load(Ordering::SeqCst) >= MAX_HANGING
    }
}

/// A thread that is counted until this is dropped.
#[derive(Debug)]
pub(super) struct Entered(Arc<AtomicUsize>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
