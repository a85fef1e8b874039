//! Commands beside the running box ring a bell when they changed accounts or passwords: whoever lost access is cut off. It is looked
//! once without a bell, so that an attempt that failed is made good by the next one.

use crate::bell;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use crate::tasks::blocking;
use perch_api::Revocations;
use perch_base::backoff::Backoff;
use perch_base::ids::DeviceId;
use perch_base::shutdown::Shutdown;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::access::{Object, Permission};
use perch_domain::ports::LivePort;
use perch_domain::task::TaskId;
use perch_media::{rtsp, webrtc};
use perch_store::Accounts;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixDatagram;

/// Who may hold a connection that is to be cut off.
#[derive(Clone)]
pub struct Doors {
    pub accounts: Accounts,
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
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            let doors = self.doors.clone();
            blocking("answering a command", move || doors.cut_off_the_gone()).await?;
            tokio::select! {
                rung = bell::rung(&self.bell) => {
                    rung.context(ErrorKind::Io, || "the box does not hear commands any more")?;
                }
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

impl Doors {
    /// Ends what devices have open that are gone from the database, or may not see it any more.
    fn cut_off_the_gone(&self) -> Result<()> {
        let reloaded = reload_stream_passwords(&self.accounts, &self.rtsp);
        let sessions = self.live.sessions()?;
        let mut devices = self.revocations.connected();
        devices.extend(sessions.iter().map(|s| s.device_id));
        devices.sort_unstable();
        devices.dedup();
        let known = self.accounts.principals(&devices)?;
        let goes_on = |device: &DeviceId| {
            let Some(who) = known.iter().find(|p| p.device_id == *device) else { return false };
            let mut theirs = sessions.iter().filter(|s| s.device_id == *device);
            theirs.all(|s| who.may(Permission::Watch, Object::Camera(&s.camera)))
        };
        for device in devices.iter().filter(|d| !goes_on(d)) {
            self.revocations.announce(*device);
            self.live.end_device(*device)?;
        }
        reloaded
    }
}

/// Hands RTSP the passwords that hold now.
pub(crate) fn reload_stream_passwords(accounts: &Accounts, rtsp: &rtsp::Server) -> Result<()> {
    rtsp.set_passwords(accounts.stream_logins()?);
    Ok(())
}
