//! The recording loop through a whole day on a clock that is turned by hand, with a disk that fills, hangs and remembers.

use super::clock_tests::KEY;
use super::*;
use crate::config::Config;
use perch_base::clock::{Clock, ManualClock};
use perch_base::ids::EventId;
use perch_base::shutdown;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::archive::GapCause;
use perch_domain::health::CameraState;
use perch_domain::media::{Packet, Track};
use perch_domain::recording::EventMark;
use perch_domain::status::RecordingState;
use std::sync::{Condvar, Mutex, MutexGuard};

/// A GOP's length.
const GOP: Duration = Duration::from_secs(2);
/// Two moments closer than this join.
const JOIN_US: i64 = 100_000;

/// From one moment to another.
type Span = (MonoTime, MonoTime);

/// What was done on the disk, in steady time.
#[derive(Default)]
struct Log {
    files: Vec<(Option<EventId>, Vec<Span>)>,
    gaps: Vec<(MonoTime, MonoTime, GapCause)>,
    is_full: bool,
    hangs: bool,
    /// How long the disk takes over a GOP.
    slow: Duration,
    is_open: bool,
}

#[derive(Clone)]
struct FakeDisk {
    log: Arc<(Mutex<Log>, Condvar)>,
    clock: Arc<ManualClock>,
}

impl FakeDisk {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.0.lock().expect("no panic")
    }

    fn hang(&self, hangs: bool) {
        self.log().hangs = hangs;
        self.log.1.notify_all();
    }
}

impl Disk for FakeDisk {
    fn obey(&mut self, step: &Step) -> Result<()> {
        let mut log = self.log.1.wait_while(self.log(), |log| log.hangs).expect("no panic");
        if log.is_full && matches!(step, Step::Open { .. } | Step::Write(_) | Step::Seal | Step::Probe) {
            let full = std::io::Error::from_raw_os_error(28);
            return Err(Error::new(ErrorKind::Unavailable, "the disk is full").with_source(full));
        }
        if matches!(step, Step::Write(_)) && !log.slow.is_zero() {
            let until = self.clock.mono() + log.slow;
            drop(log);
            while self.clock.mono() < until {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            log = self.log();
        }
        match step {
            Step::Open { .. } => log.is_open = true,
            Step::Seal | Step::Abandon => log.is_open = false,
            _ => {}
        }
        let steady = |utc: Timestamp| MonoTime(self.clock.mono().0 + utc.micros_since(self.clock.utc()));
        match step {
            Step::Open { event, .. } => log.files.push((*event, Vec::new())),
            Step::Write(gop) => log.files.last_mut().expect("a file is open").1.push((gop.start, gop.end)),
            Step::Trim { at } => {
                let at = steady(*at);
                let (_, earlier) = log.files.split_last_mut().expect("the event's file");
                for (_, gops) in earlier.iter_mut().rev().take(8) {
                    gops.retain(|g| g.0 < at);
                }
            }
            Step::NoteGap(note) => log.gaps.push((steady(note.from), steady(note.to), note.cause)),
            Step::Seal | Step::Abandon | Step::Tail(_) | Step::Probe | Step::Publish(_) => {}
        }
        Ok(())
    }
}

struct Day {
    clock: Arc<ManualClock>,
    camera: Arc<Camera>,
    marks: MarkQueue,
    disk: FakeDisk,
    supervisor: Supervisor,
    trigger: shutdown::Trigger,
    events: i64,
    _dir: tempfile::TempDir,
}

impl Day {
    fn new(mode: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-03-01T00:00:00Z").expect("valid")));
        let shared: SharedClock = clock.clone();
        let text = format!(
            "[box]\ndata_dir = {:?}\n[[camera]]\nid = \"front\"\nsource = \"test\"\nrecord = {{ mode = {mode:?} }}",
            dir.path()
        );
        let config = Config::parse(&text, std::iter::empty()).expect("valid");
        let notices = tokio::sync::broadcast::Sender::new(8);
        let camera = Arc::new(Camera::new(
            config.cameras[0].clone(),
            shared.clone(),
            notices,
            None,
            &crate::camera::test_means(),
        ));
        let (trigger, shutdown) = shutdown::channel();
        let supervisor = Supervisor::new(shared.clone(), shutdown);
        let (disk, marks) = (FakeDisk { log: Arc::default(), clock: clock.clone() }, MarkQueue::default());
        let task = Recording::new(camera.clone(), shared, marks.clone(), disk.clone()).expect("a thread");
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        supervisor.spawn(TaskId::Recording(camera.config.id.clone()), backoff, task).expect("spawned");
        camera.set_health(CameraState::Live, "");
        Self { clock, camera, marks, disk, supervisor, trigger, events: 0, _dir: dir }
    }

    /// Waits until the recorder waits for what comes: by its next tick, or to be run again.
    async fn settle(&self) {
        tokio::task::yield_now().await;
        let now = self.clock.mono();
        self.clock.next_wake_is(|at| at.is_some_and(|at| now < at && at <= now + TICK)).await;
    }

    fn keyframe(&self) {
        let data = bytes::Bytes::from_static(&KEY);
        let packet = Packet::new(Track::Video, data, self.clock.mono(), true);
        self.camera.hub.publish_video(Stream::Main, Arc::new(packet));
    }

    /// The camera delivers.
    async fn run(&self, time: Duration) {
        for _ in 0..time.as_secs() / GOP.as_secs() {
            self.keyframe();
            self.settle().await;
            self.clock.advance(GOP);
            self.settle().await;
        }
    }

    /// The camera delivers, and the disk does not answer. Returns once that was said.
    async fn run_hung(&self, time: Duration) {
        self.disk.hang(true);
        let mut was_said = false;
        for _ in 0..time.as_secs() / GOP.as_secs() {
            self.keyframe();
            self.clock.advance(GOP);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            was_said |= self.recording().1 == "the disk does not answer";
        }
        assert!(was_said, "{:?}", self.recording());
        self.disk.hang(false);
        self.settle().await;
    }

    /// The camera delivers nothing.
    async fn be_silent(&self, time: Duration) {
        self.camera.hub.discontinuity();
        self.camera.set_health(CameraState::Stalled, "unplugged");
        self.settle().await;
        for _ in 0..time.as_secs() {
            self.clock.advance(Duration::from_secs(1));
            self.settle().await;
        }
        self.camera.set_health(CameraState::Live, "");
    }

    /// Something moves from now on for so long, before any picture of it is closed.
    fn event(&mut self, time: Duration) -> EventId {
        self.events += 1;
        let (id, start) = (EventId(self.events), self.clock.mono());
        self.marks.put(EventMark::Started { id, start });
        self.marks.put(EventMark::Continues { id, until: start + time });
        self.marks.put(EventMark::Ended { id, end: start + time });
        id
    }

    fn recording(&self) -> (RecordingState, String) {
        let recording = self.camera.info().recording;
        (recording.state, recording.reason)
    }

    async fn end(self) -> Log {
        self.settle().await;
        self.trigger.fire();
        assert!(self.supervisor.drain(Duration::from_secs(60)).await.is_empty());
        std::mem::take(&mut *self.disk.log())
    }
}

fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

/// What is neither in a file nor in a gap between the first moment and the last GOP that was delivered whole.
fn unexplained(log: &Log, end: MonoTime) -> Vec<Span> {
    let files = log.files.iter().flat_map(|f| f.1.iter().copied());
    let mut spans: Vec<_> = files.chain(log.gaps.iter().map(|g| (g.0, g.1))).collect();
    spans.push((end - GOP, end - GOP));
    spans.sort_unstable();
    let (mut at, mut out) = (MonoTime(0), Vec::new());
    for (start, end) in spans {
        if start.micros_since(at) > JOIN_US {
            out.push((at, start));
        }
        at = at.max(end);
    }
    out
}

#[tokio::test]
async fn a_whole_day_of_trouble_is_explained_to_the_second() {
    let mut day = Day::new("continuous");
    day.run(minutes(90)).await;
    day.disk.log().is_full = true;
    day.run(minutes(10)).await;
    let (state, reason) = day.recording();
    assert!(state == RecordingState::Paused && reason.contains("the disk is full"), "{reason}");
    let while_full = day.event(Duration::from_secs(600));
    day.run(minutes(5)).await;
    day.disk.log().is_full = false;
    day.run(minutes(120)).await;
    assert_eq!(day.recording(), (RecordingState::Recording, String::new()));
    day.be_silent(minutes(20)).await;
    day.run(minutes(120)).await;
    day.clock.set_utc(day.clock.utc().plus_micros(30_000_000));
    day.run(minutes(120)).await;
    // A short hang: what waits is written when it is over.
    day.run_hung(Duration::from_secs(30)).await;
    day.run(minutes(120)).await;
    // A long one: the recorder is cut off in an event, and run again.
    let while_hung = day.event(Duration::from_secs(240));
    day.run_hung(Duration::from_secs(90)).await;
    day.run(minutes(60)).await;
    day.clock.set_utc(day.clock.utc().plus_micros(-15_000_000));
    let mut short = Vec::new();
    for _ in 0..20 {
        short.push(day.event(Duration::from_millis(700)));
        day.run(Duration::from_secs(20)).await;
    }
    day.disk.log().is_full = true;
    day.run(minutes(1)).await;
    day.be_silent(minutes(30)).await;
    day.disk.log().is_full = false;
    day.run(minutes(60 * 24) - day.clock.mono().since(MonoTime(0))).await;
    let end = day.clock.mono();
    assert_eq!(end, MonoTime(86_400_000_000));
    let log = day.end().await;
    assert_eq!(unexplained(&log, end), []);
    for id in short.iter().chain([&while_full, &while_hung]) {
        let gops: usize = log.files.iter().filter(|f| f.0 == Some(*id)).map(|f| f.1.len()).sum();
        assert!(gops > 0, "event {id} has no file");
    }
    let seconds =
        |cause| log.gaps.iter().filter(|g| g.2 == cause).map(|g| (g.0.0 / 1_000_000, g.1.0 / 1_000_000)).max();
    assert!(seconds(GapCause::CameraUnavailable).is_some() && seconds(GapCause::DiskFull).is_some());
    assert!(seconds(GapCause::DiskError).is_some_and(|(from, to)| (40..80).contains(&(to - from))), "{:?}", log.gaps);
}

#[tokio::test]
async fn a_day_on_motion_keeps_each_event_and_says_why_there_is_no_more() {
    let mut day = Day::new("motion");
    let mut events = Vec::new();
    for hour in 0..24 {
        day.run(minutes(29)).await;
        events.push(day.event(Duration::from_millis(100 + 700 * hour)));
        day.run(minutes(1)).await;
        match hour {
            5 => day.be_silent(minutes(30)).await,
            9 => {
                day.disk.log().is_full = true;
                day.run(minutes(20)).await;
                day.disk.log().is_full = false;
                day.run(minutes(10)).await;
            }
            _ => day.run(minutes(30)).await,
        }
    }
    let end = day.clock.mono();
    let log = day.end().await;
    assert_eq!(unexplained(&log, end), []);
    for (n, id) in events.iter().enumerate() {
        let gops: Vec<_> = log.files.iter().filter(|f| f.0 == Some(*id)).flat_map(|f| f.1.clone()).collect();
        let start = MonoTime((n as i64 * 3_600 + 29 * 60) * 1_000_000);
        assert!(gops.iter().any(|g| g.0 <= start && start <= g.1), "event {id}: {gops:?}");
    }
    let written: usize = log.files.iter().map(|f| f.1.len()).sum();
    assert!(written < 24 * 30, "{written} groups of pictures for 24 short events");
}

#[tokio::test]
async fn a_hung_disk_does_not_hold_up_the_detector() {
    let mut day = Day::new("motion");
    day.run(minutes(1)).await;
    day.event(Duration::from_secs(4));
    day.disk.hang(true);
    day.keyframe();
    day.clock.advance(GOP);
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    // The recorder sits in the disk; the detector goes on with ten thousand words and two more events.
    let id = EventId(7);
    let start = day.clock.mono();
    day.marks.put(EventMark::Started { id, start });
    for n in 0..10_000 {
        day.marks.put(EventMark::Continues { id, until: MonoTime(start.0 + n * 1_000) });
    }
    day.marks.put(EventMark::Ended { id, end: start + Duration::from_secs(10) });
    day.marks.put(EventMark::Started { id: EventId(8), start: start + Duration::from_secs(10) });
    day.marks.put(EventMark::Ended { id: EventId(8), end: start + Duration::from_secs(16) });
    day.disk.hang(false);
    day.settle().await;
    day.run(minutes(1)).await;
    let log = day.end().await;
    let of =
        |id: i64| log.files.iter().filter(|f| f.0 == Some(EventId(id))).flat_map(|f| f.1.clone()).collect::<Vec<_>>();
    let span = |id| (of(id)[0].0, of(id)[of(id).len() - 1].1);
    assert_eq!(span(7).1, span(8).0, "chapters join");
    assert!(span(7).0 <= start && span(8).1 >= start + Duration::from_secs(16), "{:?} {:?}", span(7), span(8));
}

#[tokio::test]
async fn a_recorder_on_a_slow_disk_hears_its_end_and_seals_its_file() {
    let day = Day::new("continuous");
    day.run(minutes(1)).await;
    let written = || day.disk.log().files.iter().map(|f| f.1.len()).sum::<usize>();
    // Twelve wait while the disk hangs; then it takes a second for each.
    day.disk.hang(true);
    for _ in 0..12 {
        day.keyframe();
        day.clock.advance(GOP);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    day.disk.log().slow = Duration::from_secs(1);
    day.trigger.fire();
    let before = written();
    day.disk.hang(false);
    let is_over = || day.supervisor.tasks().statuses().iter().all(|t| !t.running);
    while !is_over() {
        day.clock.advance(Duration::from_millis(100));
        // The disk has a thread of its own, which looks at the clock each millisecond.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let after = written() - before;
    assert!((1..=7).contains(&after), "{after} were written after the end was called");
    assert!(!day.disk.log().is_open, "the file was not sealed");
}

#[tokio::test]
async fn off_takes_no_picture_and_says_why() {
    let mut day = Day::new("off");
    for _ in 0..60 {
        day.event(Duration::from_secs(1));
        day.run(minutes(1)).await;
    }
    assert_eq!(day.recording(), (RecordingState::Off, String::new()));
    assert!(day.camera.recorder_rounds() > 60, "it is alive");
    let end = day.clock.mono();
    let log = day.end().await;
    assert!(log.files.is_empty());
    assert_eq!(unexplained(&log, end), []);
}

#[tokio::test]
async fn nothing_is_lost_of_a_camera_whose_keyframes_are_minutes_apart() {
    let day = Day::new("continuous");
    day.run(minutes(1)).await;
    day.keyframe();
    let frame = |track, pts, keyframe| {
        // A slice, or what is taken for sound.
        let data = bytes::Bytes::from_static(&[0, 0, 0, 1, 0x41, 0x9a]);
        Arc::new(Packet::new(track, data, pts, keyframe))
    };
    // Two minutes of thirty pictures a second with sound, and no keyframe.
    for n in 0..3_600 {
        day.clock.advance(Duration::from_micros(33_333));
        let now = day.clock.mono();
        day.camera.hub.publish_video(Stream::Main, frame(Track::Video, now, false));
        day.camera.hub.publish_audio(frame(Track::Audio, now, true));
        if n % 30 == 0 {
            day.settle().await;
        }
    }
    assert_eq!(day.recording(), (RecordingState::Recording, String::new()));
    let written: usize = day.disk.log().files.iter().map(|f| f.1.len()).sum();
    assert!(written > 30 + 45, "in parts, as they come: {written}");
    day.run(minutes(1)).await;
    let end = day.clock.mono();
    let log = day.end().await;
    assert_eq!(unexplained(&log, end), []);
    assert_eq!(log.gaps.iter().filter(|g| g.2 != GapCause::CameraUnavailable).count(), 0, "{:?}", log.gaps);
}

#[tokio::test]
async fn a_camera_that_delivers_and_sends_no_keyframe_is_never_well() {
    let day = Day::new("continuous");
    let data = bytes::Bytes::from_static(&[0, 0, 0, 1, 0x41, 0x9a]);
    for _ in 0..50 {
        day.clock.advance(Duration::from_secs(1));
        let packet = Packet::new(Track::Video, data.clone(), day.clock.mono(), false);
        day.camera.hub.publish_video(Stream::Main, Arc::new(packet));
        day.settle().await;
    }
    let (state, reason) = day.recording();
    assert!(state == RecordingState::Paused && reason.contains("keyframe"), "{state:?} {reason}");
    day.end().await;
}
