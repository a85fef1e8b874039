//! Commands beside the running box ring a bell when they changed accounts or passwords: whoever is gone from the database is
//! cut off.

use crate::app::reload_stream_passwords;
use crate::bell;
use crate::supervisor::{Ended, Supervisor, Task};
use crate::tasks::blocking;
use perch_api::Revocations;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::ports::LivePort;
use perch_domain::task::TaskId;
use perch_media::{rtsp, webrtc};
use perch_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixDatagram;

/// Who may hold a connection that is to be cut off.
#[derive(Clone)]
pub struct Doors {
    pub store: Store,
    pub live: Arc<webrtc::Engine>,
    pub rtsp: Arc<rtsp::Server>,
    pub revocations: Revocations,
}

struct AnswerBell {
    bell: UnixDatagram,
    doors: Doors,
}

/// Answers the bell.
pub fn spawn(supervisor: &Supervisor, bell: UnixDatagram, doors: Doors) -> Result<()> {
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    supervisor.spawn(TaskId::Commands, backoff, AnswerBell { bell, doors })
}

impl Task for AnswerBell {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<Ended> {
        loop {
            tokio::select! {
                rung = bell::rung(&self.bell) => {
                    rung.context(ErrorKind::Io, || "the box does not hear commands any more")?;
                }
                () = shutdown.called() => return Ok(Ended::Done),
            }
            let doors = self.doors.clone();
            blocking("answering a command", move || doors.cut_off_the_gone()).await?;
        }
    }
}

impl Doors {
    fn cut_off_the_gone(&self) -> Result<()> {
        reload_stream_passwords(&self.store, &self.rtsp);
        let mut devices = self.revocations.connected();
        devices.extend(self.live.sessions().iter().map(|s| s.device_id));
        devices.sort_unstable();
        devices.dedup();
        let kept = self.store.live_devices(&devices)?;
        for device in devices.into_iter().filter(|d| !kept.contains(d)) {
            self.live.end_device(device);
            self.revocations.announce(device);
        }
        Ok(())
    }
}
