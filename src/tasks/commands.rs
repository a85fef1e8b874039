//! Ends what is open of whoever lost access: when a command beside the running box, which changed accounts or passwords, rings its bell,
//! and once a minute, since a session also ends by its age, and a bell may not be heard.

use crate::bell;
use crate::range_pushes::SentRanges;
use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_api::Revocations;
use perch_base::backoff::Backoff;
use perch_base::clock::SharedClock;
use perch_base::shutdown::Shutdown;
use perch_base::sync::lock;
use perch_base::{ErrorKind, Result, ResultExt, blocking};
use perch_domain::access::{StreamLogin, to_cut_off};
use perch_domain::cut_off::CutOffViewers;
use perch_domain::ports::LivePort;
use perch_domain::task::TaskId;
use perch_media::{rtsp, webrtc};
use perch_store::Accounts;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixDatagram;

/// The longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Who may hold a connection that is to be cut off.
#[derive(Clone)]
pub struct Doors {
    pub accounts: Accounts,
    pub live: Arc<webrtc::Engine>,
    pub rtsp: Arc<rtsp::Handle>,
    pub revocations: Revocations,
    pub shut_out: SharedCutOffs,
    pub sent_ranges: SentRanges,
}

/// Viewers who were cut off for a while.
pub type SharedCutOffs = Arc<Mutex<CutOffViewers>>;

struct AnswerBell<L> {
    /// None where it could not be made: the box looks every minute all the same.
    bell: Option<UnixDatagram>,
    clock: SharedClock,
    look: L,
}

/// Answers the bell, and looks every minute.
pub fn spawn(supervisor: &Supervisor, bell: Option<UnixDatagram>, clock: &SharedClock, doors: Doors) -> Result<()> {
    let look = move || doors.cut_off_the_gone();
    let task = AnswerBell { bell, clock: clock.clone(), look };
    supervisor.spawn(TaskId::Commands, Backoff::new(Duration::from_secs(1), LOOK_EVERY), task)
}

impl<L: Fn() -> Result<()> + Clone + Send + 'static> Task for AnswerBell<L> {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        loop {
            // First without a bell: what an attempt that failed left is made good by the next one.
            blocking("looking who lost access", self.look.clone()).await?;
            let bell = self.bell.as_ref();
            let rung = async move {
                match bell {
                    Some(bell) => bell::rung(bell).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                rung = rung => rung.context(ErrorKind::Io, || "the box does not hear commands any more")?,
                () = self.clock.sleep(LOOK_EVERY) => {}
                () = shutdown.called() => return Ok(AttemptEnd::Done),
            }
        }
    }
}

impl Doors {
    /// Ends what devices have open that are gone from the database, whose time is over, or who may not see it any more; and RTSP
    /// connections whose password went. What cannot be ended keeps nothing else open.
    fn cut_off_the_gone(&self) -> Result<()> {
        let mut done = reload_stream_passwords(&self.accounts, &self.rtsp, &self.shut_out);
        let sessions = self.live.sessions();
        let live = sessions.iter().flatten().map(|s| (s.device_id, s.camera.clone()));
        let watching: Vec<_> = live.chain(self.sent_ranges.under_way()).collect();
        let connected = self.revocations.connected();
        let all: Vec<_> = connected.iter().chain(watching.iter().map(|(device, _)| device)).copied().collect();
        for device in to_cut_off(&connected, &watching, &self.accounts.principals(&all)?) {
            tracing::info!(%device, "a device lost its access: what it has open ends");
            self.revocations.announce(device);
            self.sent_ranges.end_device(device);
            done = done.and(self.live.end_device(device));
        }
        sessions.and(done)
    }
}

/// Hands RTSP the passwords that hold now, with whose readers are cut off.
pub(crate) fn reload_stream_passwords(
    accounts: &Accounts,
    rtsp: &rtsp::Handle,
    shut_out: &Mutex<CutOffViewers>,
) -> Result<()> {
    let logins = accounts.stream_logins()?;
    // Held until RTSP has them: of two changes at once, the later one is obeyed last.
    let shut_out = lock(shut_out);
    let with = |login: StreamLogin| StreamLogin { cut_off_until: shut_out.of_reader(&login.name), ..login };
    rtsp.set_passwords(logins.into_iter().map(with).collect());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::ManualClock;
    use perch_base::shutdown::channel;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn who_lost_access_is_looked_for_every_minute_with_or_without_a_bell() {
        let dir = tempfile::tempdir().expect("a folder");
        for bell in [Some(bell::listen(dir.path()).expect("listens")), None] {
            let has_bell = bell.is_some();
            let (clock, looks) = (Arc::new(ManualClock::default()), Arc::new(AtomicU32::new(0)));
            let (trigger, mut stop) = channel();
            let counted = looks.clone();
            let look = move || {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            let mut task = AnswerBell { bell, clock: clock.clone(), look };
            let running = tokio::spawn(async move { task.run_once(&mut stop).await });
            let wait_for = async |n| {
                while looks.load(Ordering::SeqCst) < n || clock.next_wake().is_none() {
                    tokio::task::yield_now().await;
                }
            };
            wait_for(1).await;
            for n in 2..5 {
                clock.advance(LOOK_EVERY);
                wait_for(n).await;
            }
            if has_bell {
                assert!(bell::ring(dir.path()));
                wait_for(5).await;
            }
            trigger.fire();
            assert_eq!(running.await.expect("no panic").expect("ends"), AttemptEnd::Done);
        }
    }
}
