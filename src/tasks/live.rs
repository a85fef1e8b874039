//! Live viewing by WebRTC: one attempt of the engine after the other. Its sessions end with the attempt; the port stays the box's.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use perch_media::webrtc::Server;
use std::time::Duration;

/// Short, so that who asks between two attempts is still waiting when the next one answers.
const REST: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(4)];

struct Live {
    server: Server,
}

/// Keeps live viewing served.
pub fn spawn(supervisor: &Supervisor, server: Server) -> Result<()> {
    supervisor.spawn(TaskId::Live, Backoff::new(REST[0], REST[1]), Live { server })
}

impl Task for Live {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        self.server.run_once(shutdown).await.map(|()| AttemptEnd::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::{Clock, ManualClock, Sleep, SystemClock};
    use perch_base::shutdown;
    use perch_base::time::{MonoTime, Timestamp};
    use perch_domain::ports::LivePort;
    use perch_domain::task::TaskStatus;
    use perch_media::webrtc::{Config, Engine};
    use std::net::UdpSocket;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// The machine's clock; the first look of the engine's thread at it panics.
    #[derive(Default)]
    struct Breaks(AtomicBool);

    impl Clock for Breaks {
        fn utc(&self) -> Timestamp {
            SystemClock.utc()
        }
        fn mono(&self) -> MonoTime {
            assert!(self.0.swap(true, Ordering::SeqCst), "a defect, made for the test");
            SystemClock.mono()
        }
        fn sleep_until(&self, at: MonoTime) -> Sleep {
            SystemClock.sleep_until(at)
        }
    }

    async fn status(supervisor: &Supervisor, is_so: impl Fn(&TaskStatus) -> bool) -> TaskStatus {
        loop {
            let status = supervisor.tasks().statuses().remove(0);
            if is_so(&status) {
                return status;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_breakdown_is_published_and_viewers_are_served_again() {
        let (trigger, shutdown) = shutdown::channel();
        let clock = Arc::new(ManualClock::default());
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let config = Config::new("127.0.0.1:0".parse().expect("an address"));
        let (engine, server) = Engine::open(config, Vec::new(), Arc::new(Breaks::default())).expect("opened");
        let address = engine.local_addr();
        spawn(&supervisor, server).expect("spawned");
        // Its first turn looks at the clock, after the answer.
        assert!(engine.sessions().expect("answers").is_empty());
        let broken = status(&supervisor, |s| s.restarts == 1).await;
        assert!(broken.is_failing() && broken.reason.contains("broke down"), "{broken:?}");
        assert_eq!((broken.id, UdpSocket::bind(address).is_err()), (TaskId::Live, true), "the port is kept");
        clock.advance(REST[0]);
        assert!(engine.sessions().expect("answers again").is_empty());
        assert_eq!(status(&supervisor, |s| s.running).await.restarts, 1);
        trigger.fire();
        assert!(supervisor.drain(Duration::from_secs(30)).await.is_empty());
        UdpSocket::bind(address).expect("the port is free");
    }
}
