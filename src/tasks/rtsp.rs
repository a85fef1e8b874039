//! RTSP: one attempt to serve after the other. Whoever is connected, and the ports, outlive an attempt.

use crate::supervisor::{AttemptEnd, Supervisor, Task};
use perch_base::Result;
use perch_base::backoff::Backoff;
use perch_base::shutdown::Shutdown;
use perch_domain::task::TaskId;
use perch_media::rtsp::Server;
use std::time::Duration;

/// Short, so that who connects between two attempts is still waiting when the next one lets it in.
const REST: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(4)];

struct Rtsp {
    server: Server,
}

/// Keeps RTSP served.
pub fn spawn(supervisor: &Supervisor, server: Server) -> Result<()> {
    supervisor.spawn(TaskId::Rtsp, Backoff::new(REST[0], REST[1]), Rtsp { server })
}

impl Task for Rtsp {
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
    use perch_domain::identity::{Certificate, IdentityPort, Names};
    use perch_domain::task::TaskStatus;
    use perch_media::rtsp::{Config, Handle};
    use std::io::{ErrorKind, Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

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
    async fn a_breakdown_is_published_and_the_same_ports_are_served_again() {
        let (trigger, shutdown) = shutdown::channel();
        let (clock, breaks) = (Arc::new(ManualClock::default()), Arc::new(Breaks::default()));
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let listen = "127.0.0.1:0".parse().expect("an address");
        let config = Config { listen, tls_listen: None };
        let (handle, server) = Handle::open(config, Arc::new(Nobody), Vec::new(), breaks.clone()).expect("opened");
        let at = handle.local_addr();
        spawn(&supervisor, server).expect("spawned");
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
