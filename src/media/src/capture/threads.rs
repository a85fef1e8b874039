//! How many threads of a camera are in a driver now. When that is too many is decided in `domain::capture_attempt`.

use perch_domain::capture_attempt::driver_hangs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the threads that build, start and end the pipelines of one device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads(Arc<AtomicUsize>);

impl Threads {
    /// One more thread is about to begin; it takes the guard with it.
    pub fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::SeqCst);
        Entered(self.0.clone())
    }

    /// Whether the driver hangs, asked when no thread should be there.
    pub fn hang(&self) -> bool {
        driver_hangs(self.0.load(Ordering::SeqCst))
    }
}

/// A thread that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Entered(Arc<AtomicUsize>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
