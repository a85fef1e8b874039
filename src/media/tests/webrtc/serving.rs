//! An engine's attempts, one after the other without a pause, on a thread of their own.

use perch_base::shutdown::{self, Trigger};
use perch_media::webrtc::Server;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

pub struct Serving {
    end: Trigger,
    thread: Mutex<Option<JoinHandle<()>>>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Serving {
    pub fn start(mut server: Server) -> Self {
        let (end, shutdown) = shutdown::channel();
        let failures = Arc::new(Mutex::new(Vec::new()));
        let failed = failures.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            while let Err(e) = runtime.block_on(server.run_once(&shutdown)) {
                failed.lock().expect("whole").push(e.to_string());
            }
        });
        Self { end, thread: Mutex::new(Some(thread)), failures }
    }

    /// Why attempts failed so far.
    #[allow(dead_code, reason = "the bench does not ask")]
    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().expect("whole").clone()
    }

    /// Ends it for good.
    pub fn stop(&self) {
        self.end.fire();
        if let Some(thread) = self.thread.lock().expect("whole").take() {
            thread.join().expect("no panic");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop();
    }
}
