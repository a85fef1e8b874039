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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::fake::Fake;
    use crate::capture::tests::config;
    use crate::capture::{Capture, Means};
    use crate::devices::tests::Bench;
    use crate::fanout::Hub;
    use crate::pipeline::Library;
    use perch_base::clock::SystemClock;
    use perch_base::{ErrorKind, shutdown};
    use perch_domain::camera::Source;
    use perch_domain::usb_camera::VideoName;
    use std::sync::Arc;

    /// Longer than anything takes here, on a busy machine too.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_camera_that_was_missing_is_tried_again_when_it_is_plugged_in() {
        let bench = Bench::new();
        bench.plug(0, "1-1", "OTHER");
        let clock: SharedClock = Arc::new(SystemClock);
        let library = Arc::new(Library::load(None).expect("well formed"));
        let means = Means { library, ingest: Arc::new(Fake::default()), machine: bench.machine.clone() };
        let config = config(Source::V4l2(VideoName::Serial("A1".into())));
        let hub = Hub::new(config.id.clone(), clock.clone());
        let capture = Capture::new(config, means, hub, clock, Arc::new(|_| {}));
        let (_trigger, shutdown) = shutdown::channel();
        let attempt = async || capture.run_once(&|_| {}, shutdown.clone()).await.expect_err("there is no such camera");
        let e = attempt().await;
        assert_eq!(e.kind(), ErrorKind::Unavailable);
        assert!(e.message().contains("serial:A1"), "{e}");
        // It comes at another port, and its device cannot be opened, since there is none.
        bench.plug(2, "1-3", "A1");
        tokio::time::timeout(LONG, capture.device_comes()).await.expect("woken");
        assert_ne!(attempt().await.message(), e.message(), "it was found");
    }
}
