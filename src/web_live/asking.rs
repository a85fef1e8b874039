//! A request of somebody who watches over HTTPS, for as long as it is answered.

use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_domain::web_viewers::{WebRequest, WebViewers};
use std::sync::{Arc, Mutex};

/// Counts its viewer as one that waits for an answer until this is dropped.
pub struct Asking {
    viewers: Arc<Mutex<WebViewers>>,
    clock: SharedClock,
    request: WebRequest,
}

impl Asking {
    /// Of a request that was let in.
    pub fn new(viewers: Arc<Mutex<WebViewers>>, clock: SharedClock, request: WebRequest) -> Self {
        Self { viewers, clock, request }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        lock(&self.viewers).answered(self.request, self.clock.mono());
    }
}
