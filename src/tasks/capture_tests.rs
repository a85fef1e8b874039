//! When a network camera is tried again, by a clock that is turned.

use super::*;
use crate::config::Config;
use bytes::Bytes;
use perch_base::clock::{Clock, ManualClock, SharedClock};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, shutdown};
use perch_domain::ingest::{IngestPort, IngestRequest, IngestSink, Intake, Offer, Picture, PictureCodec};
use perch_domain::ports::Later;
use perch_media::capture::Means;
use std::sync::atomic::{AtomicUsize, Ordering};

const KEY: &[u8] = &[0, 0, 0, 1, 0x67, 66, 0xc0, 31, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65, 0x88, 0x80];

/// A camera that sends pictures for so long, one every half second, and then ends each session like this.
struct Ends {
    clock: SharedClock,
    after: Duration,
    how: fn() -> Result<()>,
    sessions: AtomicUsize,
}

impl IngestPort for Ends {
    fn run<'a>(
        &'a self,
        _: &'a IngestRequest,
        sink: &'a dyn IngestSink,
        mut shutdown: Shutdown,
    ) -> Later<'a, Result<()>> {
        Box::pin(async move {
            self.sessions.fetch_add(1, Ordering::SeqCst);
            let until = self.clock.mono() + self.after;
            sink.take(Intake::Offer(Offer { pictures: PictureCodec::H264, sound: None, no_sound: None }));
            while self.clock.mono() < until {
                let (data, shown) = (Bytes::from_static(KEY), self.clock.mono());
                let picture = Picture {
                    data,
                    shown,
                    decoded: shown,
                    start: true,
                    break_before: false,
                    lost_before: false,
                    shape: None,
                };
                if !sink.take(Intake::Picture(picture)) {
                    return Ok(());
                }
                tokio::select! {
                    () = self.clock.sleep(Duration::from_millis(500)) => {}
                    () = shutdown.called() => return Ok(()),
                }
            }
            (self.how)()
        })
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    ends: Arc<Ends>,
    camera: Arc<Camera>,
    _trigger: shutdown::Trigger,
}

impl Bench {
    fn new(after: Duration, how: fn() -> Result<()>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let shared: SharedClock = clock.clone();
        let ends = Arc::new(Ends { clock: shared.clone(), after, how, sessions: AtomicUsize::new(0) });
        let text = "[[camera]]\nid = \"front\"\nsource = \"rtsp://cam/live\"\nmotion = { enabled = false }";
        let config = Config::parse(text, std::iter::empty()).expect("valid");
        let means = Means { ingest: ends.clone(), ..crate::camera::test_means() };
        let notices = tokio::sync::broadcast::Sender::new(8);
        let camera = Arc::new(Camera::new(config.cameras[0].clone(), shared.clone(), notices, None, &means));
        let (trigger, until) = shutdown::channel();
        let supervisor = Supervisor::new(shared, until);
        spawn(&supervisor, &camera, camera.capture.clone(), Arc::new(|_| {})).expect("runs");
        Self { clock, ends, camera, _trigger: trigger }
    }

    fn sessions(&self) -> usize {
        self.ends.sessions.load(Ordering::SeqCst)
    }

    /// Turns the clock on to `seconds` after the start.
    async fn turn(&self, seconds: u64) {
        let until = MonoTime(0) + Duration::from_secs(seconds);
        // The first attempt reads all plugins, which takes seconds where their list is not there yet.
        let begun = tokio::time::timeout(Duration::from_secs(60), async {
            while self.sessions() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        begun.await.expect("the first session begins");
        while self.clock.mono() < until {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            // The attempt looks for an encoder on a thread, by real time.
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.clock.advance(Duration::from_millis(250));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sign_in_is_tried_once_and_then_minutes_apart() {
    let b = Bench::new(Duration::ZERO, || Err(Error::new(ErrorKind::Unauthenticated, "refuses user and password")));
    b.turn(290).await;
    assert_eq!(b.sessions(), 1);
    let health = b.camera.health();
    assert_eq!((health.state, health.reason.as_str()), (CameraState::Failed, "refuses user and password"));
    assert!(b.camera.capture.rounds() >= 20, "one that waits is not stuck");
    b.turn(330).await;
    assert_eq!(b.sessions(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_ends_each_session_after_a_while_is_taken_up_again_at_once() {
    let b = Bench::new(Duration::from_secs(20), || Ok(()));
    b.turn(125).await;
    // Of 20 s each; what is lost is no more than a look of the clock.
    assert!((5..=7).contains(&b.sessions()), "{}", b.sessions());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_hangs_up_at_once_is_left_alone_for_longer_and_longer() {
    let b = Bench::new(Duration::ZERO, || Err(Error::new(ErrorKind::Unavailable, "is busy")));
    b.turn(60).await;
    // 0.5, 1, 2, 4, 8, 15 s, and half of each at least.
    assert!((5..=12).contains(&b.sessions()), "{}", b.sessions());
}
