//! A server that runs, attempt after attempt, on a thread of its own.

use crate::identity::identity;
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::shutdown::{self, Trigger};
use perch_domain::identity::IdentityPort;
use perch_media::rtsp::{CameraStreams, Config, Handle};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

#[derive(Debug)]
pub struct Running {
    handle: Arc<Handle>,
    end: Trigger,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Running {
    pub fn start(config: Config, cameras: Vec<CameraStreams>, clock: SharedClock) -> Result<Self> {
        Self::start_as(identity(), config, cameras, clock)
    }

    pub fn start_as(
        identity: Arc<dyn IdentityPort>,
        config: Config,
        cameras: Vec<CameraStreams>,
        clock: SharedClock,
    ) -> Result<Self> {
        let (handle, mut server) = Handle::open(config, identity, cameras, clock)?;
        let (end, shutdown) = shutdown::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            while let Err(e) = runtime.block_on(server.run_once(&shutdown)) {
                eprintln!("{e}");
            }
        });
        Ok(Self { handle, end, thread: Mutex::new(Some(thread)) })
    }

    /// Ends it and waits until its ports are free.
    pub fn stop(&self) {
        self.end.fire();
        if let Some(thread) = self.thread.lock().expect("lock").take() {
            thread.join().expect("no panic");
        }
    }
}

impl Deref for Running {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}
