//! What the timeline says when the clock is set while the box records, as on every board that has no clock of its own.

use super::*;
use crate::config::Config;
use perch_base::clock::{Clock, ManualClock};
use perch_base::time::Timestamp;
use perch_domain::archive::{EventKind, Gap, GapCause, TimeRange};
use perch_domain::media::{Packet, Track};
use perch_domain::motion::Cause;
use perch_domain::ports::ArchivePort;
use perch_domain::recording::EventMark;
use perch_store::{NewEvent, Store};

/// A keyframe of 320x240 as x264 begins it.
pub(super) const KEY: [u8; 41] = [
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc5, 0x0a,
    0xa8, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65, 0x88, 0x84, 0,
];
const SECOND: i64 = 1_000_000;
const STEP: i64 = 9 * 3600 * SECOND;

struct Bench {
    _dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    start: Timestamp,
    store: Store,
    task: Recording<StoreDisk>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new(mode: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let start = Timestamp::parse("2026-03-01T22:00:00Z").expect("valid");
        let clock = Arc::new(ManualClock::new(start));
        let shared: SharedClock = clock.clone();
        let text = format!(
            "[box]\ndata_dir = {:?}\n[recording]\nmin_free_bytes = 0\n[[camera]]\nid = \"front\"\nsource = \"test\"\nrecord = {{ mode = {mode:?} }}",
            dir.path()
        );
        let config = Config::parse(&text, std::iter::empty()).expect("valid");
        let store = Store::open(config.store(), shared.clone()).expect("opened");
        let notices = tokio::sync::broadcast::Sender::new(8);
        let camera = Arc::new(Camera::new(
            config.cameras[0].clone(),
            shared.clone(),
            notices,
            None,
            &crate::camera::test_means(),
        ));
        let disk = StoreDisk::new(store.recordings().clone(), camera.config.id.clone(), Arc::default(), None);
        let task = Recording::new(camera, shared, MarkQueue::default(), disk).expect("a thread");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { _dir: dir, clock, start, store, task, runtime }
    }

    fn feed(&mut self, input: RecorderInput) {
        self.runtime.block_on(self.task.feed(input));
    }

    /// The camera delivers for so many seconds.
    fn run(&mut self, seconds: u32) {
        for _ in 0..seconds {
            let start = self.clock.mono();
            self.clock.advance(Duration::from_secs(1));
            let end = self.clock.mono();
            let data = bytes::Bytes::from_static(&KEY);
            let packets = vec![Arc::new(Packet::new(Track::Video, data, start, true))];
            let part = PartPackets { packets, start, end, delay: Duration::ZERO, joined: true, starts: true };
            let part = self.task.reader.input_of(part);
            self.feed(part);
        }
    }

    /// As a time server does.
    fn set_clock_forward(&mut self) {
        self.clock.set_utc(self.clock.utc().plus_micros(STEP));
    }

    /// Something moves for two seconds.
    fn event(&mut self) {
        let camera = self.task.camera.config.id.clone();
        let (kind, cause) = (EventKind::Motion, Cause::Motion);
        let (start, since) = (self.start, self.start);
        let id = perch_base::ids::EventId(start.as_micros());
        let new = NewEvent { id, camera, kind, start, since, chapter: 1, score: 0.5, cause, boxes: Vec::new() };
        self.store.index().begin_event(&new).expect("started");
        self.feed(Input::Mark(EventMark::Started { id, start: self.clock.mono() }));
        self.run(2);
        self.feed(Input::Mark(EventMark::Ended { id, end: self.clock.mono() }));
    }

    /// Seconds from the start, and the cause, of every gap within a day.
    fn gaps(&self) -> Vec<(i64, i64, GapCause)> {
        let range = TimeRange::new(self.start, self.start.plus_micros(86_400 * SECOND)).expect("forward");
        let gaps =
            self.store.recordings().timeline(&self.task.camera.config.id, range, self.clock.utc()).expect("asked").gaps;
        let since = |t: Timestamp| t.micros_since(self.start) / SECOND;
        gaps.into_iter().map(|Gap { start, end, cause, .. }| (since(start), since(end), cause)).collect()
    }
}

#[test]
fn a_clock_set_forward_opens_no_hole_of_the_disks() {
    let mut b = Bench::new("continuous");
    b.run(20);
    b.set_clock_forward();
    b.run(20);
    b.feed(Input::Stop);
    let nine = STEP / SECOND;
    let gaps = b.gaps();
    assert!(gaps.contains(&(20, nine, GapCause::BoxOff)), "{gaps:?}");
    assert!(gaps.iter().all(|g| matches!(g.2, GapCause::BoxOff | GapCause::Unknown)), "{gaps:?}");
}

#[test]
fn nothing_moved_is_not_said_of_the_time_that_a_set_clock_skipped() {
    let mut b = Bench::new("motion");
    b.event();
    b.run(40);
    b.set_clock_forward();
    b.run(70);
    b.feed(Input::Stop);
    let nine = STEP / SECOND;
    let gaps = b.gaps();
    assert!(gaps.contains(&(43, nine, GapCause::BoxOff)), "{gaps:?}");
    let quiet: Vec<_> = gaps.iter().filter(|g| g.2 == GapCause::NoMotion).map(|g| (g.0, g.1)).collect();
    assert!(quiet.iter().all(|g| g.1 <= 43 || g.0 >= nine), "{gaps:?}");
    assert!(quiet.first().is_some_and(|g| g.0 <= 4 && g.1 == 43), "{gaps:?}");
    assert!(quiet.last().is_some_and(|g| g.0 < nine + 40 && g.1 >= nine + 109), "{gaps:?}");
}
