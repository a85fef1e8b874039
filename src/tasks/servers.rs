//! Live viewing, with what is gathered for it, and RTSP: one attempt to serve after the other. Their ports outlive an attempt, and so does whoever is connected by RTSP;
//! WebRTC's sessions end with it.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use perch_media::{rtsp, webrtc};
use std::time::Duration;

/// Short, so that who asks or connects between two attempts is still waiting when the next one answers.
const REST: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(4)];

/// Keeps `server` serving under `id`.
pub fn spawn(supervisor: &Supervisor, id: TaskId, server: impl Task) -> Result<()> {
    supervisor.spawn(id, Backoff::new(REST[0], REST[1]), server)
}

/// Keeps live pictures served, and gathers by which addresses they are reached from outside.
pub fn spawn_live(supervisor: &Supervisor, server: webrtc::Server, gatherer: webrtc::Gatherer) -> Result<()> {
    spawn(supervisor, TaskId::Live, server)?;
    spawn(supervisor, TaskId::Gathering, gatherer)
}

impl Task for webrtc::Server {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        Self::run_once(self, shutdown).await.map(|()| AttemptEnd::Done)
    }
}

impl Task for webrtc::Gatherer {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        Self::run_once(self, shutdown).await.map(|()| AttemptEnd::Done)
    }
}

impl Task for rtsp::Server {
    async fn run_once(&mut self, shutdown: &mut Shutdown) -> Result<AttemptEnd> {
        Self::run_once(self, shutdown).await.map(|()| AttemptEnd::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::{Clock, ManualClock, Sleep, SystemClock};
    use perch_base::shutdown;
    use perch_base::time::{MonoTime, Timestamp};
    use perch_domain::identity::{Certificate, IdentityPort, Names};
    use perch_domain::ports::LivePort;
    use perch_domain::task::TaskStatus;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// The machine's clock; the first look of the engine's thread at it panics.
    #[derive(Default)]
    struct BreaksAtOnce(AtomicBool);

    impl Clock for BreaksAtOnce {
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

    /// A clock that stands, so that nobody is late; the first look at it after it was `armed` panics on the loop's thread.
    #[derive(Default)]
    struct Breaks {
        armed: AtomicBool,
    }

    impl Clock for Breaks {
        fn utc(&self) -> Timestamp {
            SystemClock.utc()
        }
        fn mono(&self) -> MonoTime {
            let on_the_loop = std::thread::current().name() == Some("rtsp");
            assert!(!(on_the_loop && self.armed.swap(false, Ordering::SeqCst)), "a defect, made for the test");
            MonoTime(0)
        }
        fn sleep_until(&self, at: MonoTime) -> Sleep {
            SystemClock.sleep_until(at)
        }
    }

    /// Nobody asks it: RTSPS is off.
    #[derive(Debug)]
    struct Nobody;

    impl IdentityPort for Nobody {
        fn certificate(&self) -> Arc<Certificate> {
            unreachable!("RTSPS is off")
        }
        fn names(&self) -> Arc<Names> {
            Arc::default()
        }
        fn reachable(&self) -> Vec<IpAddr> {
            Vec::new()
        }
        fn ca_pem(&self) -> &str {
            ""
        }
        fn ca_sha256(&self) -> &str {
            ""
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

    fn connect(at: SocketAddr) -> TcpStream {
        let tcp = TcpStream::connect(at).expect("connects");
        tcp.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
        tcp
    }

    fn is_answered(tcp: &mut TcpStream) -> bool {
        tcp.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n").expect("asks");
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n\r\n") && tcp.read_exact(&mut byte).is_ok() {
            answer.extend(byte);
        }
        answer.starts_with(b"RTSP/1.0 200 OK")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn live_viewing_that_breaks_down_says_so_and_serves_again() {
        let (trigger, shutdown) = shutdown::channel();
        let clock = Arc::new(ManualClock::default());
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let config = webrtc::Config::new("127.0.0.1:0".parse().expect("an address"));
        let (engine, server) =
            webrtc::Engine::open(config, Vec::new(), Arc::new(BreaksAtOnce::default())).expect("opened");
        let address = engine.local_addr();
        spawn(&supervisor, TaskId::Live, server).expect("spawned");
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

    #[tokio::test(flavor = "multi_thread")]
    async fn rtsp_that_breaks_down_says_so_and_serves_the_same_ports_again() {
        let (trigger, shutdown) = shutdown::channel();
        let (clock, breaks) = (Arc::new(ManualClock::default()), Arc::new(Breaks::default()));
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let listen = "127.0.0.1:0".parse().expect("an address");
        let config = rtsp::Config { listen, tls_listen: None };
        let (handle, server) =
            rtsp::Handle::open(config, Arc::new(Nobody), Vec::new(), breaks.clone()).expect("opened");
        let at = handle.local_addr();
        spawn(&supervisor, TaskId::Rtsp, server).expect("spawned");
        let mut early = connect(at);
        assert!(is_answered(&mut early));
        breaks.armed.store(true, Ordering::SeqCst);
        let broken = status(&supervisor, |s| s.restarts == 1).await;
        assert!(broken.is_failing() && broken.reason.contains("broke down"), "{broken:?}");
        assert_eq!((broken.id, TcpListener::bind(at).is_err()), (TaskId::Rtsp, true), "the port is kept");
        assert!(is_answered(&mut early), "who is connected goes on");
        let (mut waits, rounds) = (connect(at), handle.rounds());
        clock.advance(REST[1]);
        assert!(is_answered(&mut waits), "let in by the next attempt");
        assert_eq!(status(&supervisor, |s| s.running).await.restarts, 1);
        while handle.rounds() < rounds + 2 {
            tokio::task::yield_now().await;
        }
        trigger.fire();
        assert!(supervisor.drain(Duration::from_secs(30)).await.is_empty());
        let rest = early.read_to_end(&mut Vec::new());
        assert!(!rest.is_err_and(|e| e.kind() == ErrorKind::WouldBlock), "every connection ends");
        TcpListener::bind(at).expect("the port is free");
    }
}
