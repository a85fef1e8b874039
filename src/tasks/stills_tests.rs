//! What is logged of stills that cannot be made.

use super::*;
use crate::config::Config;
use perch_base::clock::{Clock, ManualClock};
use perch_base::time::Timestamp;
use perch_domain::still::WAIT;
use perch_store::Store;

#[tokio::test]
async fn what_keeps_events_from_their_stills_is_logged_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-03-01T00:00:00Z").expect("valid")));
    let shared: SharedClock = clock.clone();
    let text = format!("[box]\ndata_dir = {:?}\n[recording]\nmin_free_bytes = 0", dir.path());
    let config = Config::parse(&text, std::iter::empty()).expect("valid");
    let store = Store::open(config.store(), shared.clone()).expect("opened");
    let notices = tokio::sync::broadcast::Sender::new(8);
    let camera =
        Arc::new(Camera::new(config.cameras[0].clone(), shared.clone(), notices, None, &crate::camera::test_means()));
    let (recordings, queue) = (store.recordings().clone(), camera.wires.stills.clone());
    let (turns, failures) = (Turns::default(), Repeated::default());
    let task = StillTask { camera, recordings, clock: shared, queue: queue.clone(), turns, failures };
    let full = |path: &str| Error::new(ErrorKind::Unavailable, "the disk is full").with_inside(path);
    for event in 1..4 {
        queue.stills().want(EventId(event), clock.mono());
        clock.advance(WAIT);
        task.give_up();
        task.failed(EventId(event), &full(&format!("{event}.jpg cannot be made")));
    }
    assert_eq!(task.failures.ended(), Some(4), "two of six are logged");
    task.failed(EventId(4), &full("4.jpg cannot be made"));
    task.works();
    assert_eq!(task.failures.ended(), None, "a still that was made has ended it");
}
