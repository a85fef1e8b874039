//! A day of a camera's motion on a clock that is turned by hand: events, silence of the camera, a clock that is set.

use super::*;
use crate::config::Config;
use perch_base::clock::{Clock, ManualClock};
use perch_base::shutdown;
use perch_base::time::Timestamp;
use perch_domain::archive::{Event, EventFilter};
use perch_domain::motion::{Cause, Rect};
use perch_domain::ports::ArchivePort;
use perch_media::capture::LumaSink;
use perch_store::Store;
use std::time::Instant;
use tokio::task::JoinHandle;

const FRAME: Duration = Duration::from_millis(200);

/// Sees motion in pictures whose first pixel is bright, and a change of the whole where it is [`WHITE`].
struct Bright;

const WHITE: u8 = 255;

impl Detect for Bright {
    fn look(&mut self, frame: &LumaFrame) -> Detection {
        let motion = (1..WHITE).contains(&frame.pixels[0]);
        let boxes = if motion { vec![Rect { x: 0.1, y: 0.1, w: 0.2, h: 0.2 }] } else { Vec::new() };
        let cause = match frame.pixels[0] {
            0 => Cause::Quiet,
            WHITE => Cause::GlobalChange,
            _ => Cause::Motion,
        };
        Detection { pts: frame.pts, motion, score: f32::from(frame.pixels[0]) / 255.0, cause, boxes }
    }
}

/// An index that does not answer before its clock shows a moment.
#[derive(Clone)]
struct Hangs {
    index: Index,
    clock: Arc<ManualClock>,
    until: MonoTime,
}

impl Hangs {
    fn wait(&self) {
        // A test that failed ends all the same.
        let at_last = Instant::now() + Duration::from_secs(600);
        while self.clock.mono() < self.until && Instant::now() < at_last {
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }
}

impl EventIndex for Hangs {
    fn promise(&self, event: NewEvent) -> NewEvent {
        self.index.promise_event(event)
    }

    fn begin(&self, event: &NewEvent) -> Result<Event> {
        self.wait();
        self.index.begin_event(event)
    }

    fn grow(&self, id: EventId, score: f32, cause: Cause, boxes: &[Rect]) -> Result<Event> {
        self.wait();
        self.index.update_event(id, score, cause, boxes)
    }

    fn end(&self, id: EventId, end: Timestamp) -> Result<Event> {
        self.wait();
        self.index.end_event(id, end)
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Store,
    camera: Arc<Camera>,
    put: LumaSink,
    task: JoinHandle<Result<AttemptEnd>>,
    end: shutdown::Trigger,
    gap: Duration,
}

impl Bench {
    /// A task that does not run yet, on an index that hangs for so long.
    fn motion(hangs_for: Duration) -> (Motion<Hangs>, tempfile::TempDir, Arc<ManualClock>, Store) {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::new(Timestamp::parse("2026-03-01T00:00:00Z").expect("valid")));
        let shared: SharedClock = clock.clone();
        let text = format!(
            "[box]\ndata_dir = {:?}\n[recording]\nmin_free_bytes = 0\n[[camera]]\nid = \"front\"\nsource = \"test\"",
            dir.path()
        );
        let config = Config::parse(&text, std::iter::empty()).expect("valid");
        let store = Store::open(config.store(), shared.clone()).expect("opened");
        let notices = tokio::sync::broadcast::Sender::new(8);
        let means = crate::camera::test_means();
        let camera = Arc::new(Camera::new(config.cameras[0].clone(), shared.clone(), notices, None, &means));
        let until = shared.mono() + hangs_for;
        let motion = Motion {
            camera: camera.clone(),
            index: Hangs { index: store.index().clone(), clock: clock.clone(), until },
            clock: shared,
            marks: camera.wires.marks.clone(),
            stills: camera.wires.stills.clone(),
            frames: camera.wires.luma.follow(),
            detector: |_| Box::new(Bright),
            running: None,
            anchor: None,
            entries: Entries::default(),
            entering: None,
            failures: Repeated::default(),
        };
        (motion, dir, clock, store)
    }

    fn new(hangs_for: Duration) -> Self {
        let (mut motion, dir, clock, store) = Self::motion(hangs_for);
        let camera = motion.camera.clone();
        let put = camera.wires.luma.sink();
        let (end, mut shutdown) = shutdown::channel();
        let task = tokio::spawn(async move { motion.run_once(&mut shutdown).await });
        let gap = camera.config.record.gap;
        Self { _dir: dir, clock, store, camera, put, task, end, gap }
    }

    /// Pictures for so many seconds; bright ones hold motion.
    async fn pictures(&self, seconds: u32, brightness: u8) {
        for _ in 0..seconds * 5 {
            self.clock.advance(FRAME);
            let frame = LumaFrame { pixels: vec![brightness], pts: self.clock.mono() };
            (self.put)(frame);
            self.wait("it looks at the picture", || self.camera.wires.luma.count() == 0).await;
        }
    }

    /// Until the loop waits for the end of an event that it saw moving just now.
    async fn wait_for_event(&self) {
        let until = self.clock.mono() + self.gap;
        // While it looks at a picture it does not wait.
        let all_seen = || self.camera.wires.luma.count() == 0;
        self.wait("an event", || all_seen() && self.clock.next_wake() == Some(until)).await;
    }

    /// Until no event goes on.
    async fn wait_for_quiet(&self) {
        self.wait("the event's end", || self.clock.next_wake().is_none()).await;
    }

    async fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            tokio::task::yield_now().await;
        }
    }

    fn silence(&self, time: Duration) {
        self.clock.advance(time);
    }
}

#[tokio::test]
async fn a_day_of_events_silence_and_set_clocks() {
    let began = Instant::now();
    let b = Bench::new(Duration::ZERO);
    let (post_roll, hour) = (b.camera.config.record.post_roll, Duration::from_secs(3600));
    let mut want = Vec::new();
    let mut set_by = 0;
    for n in 0..24u32 {
        let hour_starts = b.clock.mono();
        b.pictures(2, 0).await;
        let first = b.clock.utc() + FRAME;
        b.pictures(3, 100).await;
        b.wait_for_event().await;
        if n % 4 == 1 {
            // A stronger picture is another still of the same event.
            b.pictures(1, 200).await;
            b.wait_for_event().await;
        }
        let last = b.clock.utc();
        if n % 6 == 2 {
            // A time server sets the clock in the middle of it: it lasted as long as it lasted.
            let step_us = 40 * 60 * 1_000_000;
            b.clock.set_utc(b.clock.utc().plus_micros(step_us));
            set_by += step_us;
        }
        if n % 2 == 0 {
            // The camera falls silent: the event ends all the same.
            b.silence(b.gap);
        } else {
            b.pictures(b.gap.as_secs() as u32 + 1, 0).await;
        }
        b.wait_for_quiet().await;
        want.push((first, last + post_roll));
        b.silence(hour - b.clock.mono().since(hour_starts));
    }
    assert_eq!(b.clock.mono(), MonoTime(86_400_000_000));
    b.end.fire();
    assert_eq!(b.task.await.expect("no panic").expect("ended"), AttemptEnd::Done);

    let page = b.store.recordings().events(&EventFilter { limit: 100, ..EventFilter::default() }).expect("asked");
    let mut got: Vec<_> = page.events.iter().map(|e| (e.start, e.end.expect("it ended"))).collect();
    got.sort();
    assert_eq!(got, want, "set by {set_by} us in all");
    // A growing event has its strongest score.
    assert_eq!(page.events.iter().filter(|e| e.score > 0.5).count(), 6);
    eprintln!("a day took {:?}", began.elapsed());
}

#[tokio::test]
async fn light_that_swings_is_said_until_it_holds_and_after_the_end_no_more() {
    let b = Bench::new(Duration::ZERO);
    let says = |problem: &'static str| move |b: &Bench| b.camera.health().motion_problem == problem;
    b.pictures(5, WHITE).await;
    b.pictures(6, 0).await;
    assert!(says("")(&b), "a lamp was switched");
    b.pictures(12, WHITE).await;
    b.wait("it is said", || says(LIGHT_SWINGS)(&b)).await;
    b.pictures(12, 0).await;
    b.wait("it is said no more", || says("")(&b)).await;
    b.pictures(12, WHITE).await;
    b.wait("it is said again", || says(LIGHT_SWINGS)(&b)).await;
    b.end.fire();
    b.wait("nobody looks", || says("")(&b)).await;
}

#[tokio::test]
async fn an_index_that_hangs_holds_up_neither_the_detector_nor_the_recorder() {
    let b = Bench::new(Duration::from_secs(30));
    b.pictures(2, 0).await;
    let first = b.clock.mono() + FRAME;
    // Each picture is looked at before the next one comes, although the index does not answer before second 30.
    b.pictures(2, 100).await;
    b.wait_for_event().await;
    let Some(EventMark::Started { id, start }) = b.camera.wires.marks.take() else { panic!("no mark of the start") };
    assert_eq!(start, first);
    b.pictures(3, 200).await;
    b.wait_for_event().await;
    let last = b.clock.mono();
    b.pictures(b.gap.as_secs() as u32 + 1, 0).await;
    b.wait_for_quiet().await;
    assert!(b.clock.mono() < MonoTime(30_000_000));
    let end = last + b.camera.config.record.post_roll;
    let marks: Vec<_> = std::iter::from_fn(|| b.camera.wires.marks.take()).collect();
    assert_eq!(marks.last(), Some(&EventMark::Ended { id, end }), "{marks:?}");
    let filter = EventFilter { limit: 9, ..EventFilter::default() };
    // It is listed as it was promised, and the index knows no more of it.
    let promised = b.store.recordings().events(&filter).expect("asked").events;
    assert_eq!(promised.iter().map(|e| (e.id, e.end)).collect::<Vec<_>>(), [(id, None)], "the index hangs");
    assert!(promised[0].score < 0.5, "not its strongest picture yet");
    b.silence(Duration::from_secs(30));
    b.end.fire();
    assert_eq!(b.task.await.expect("no panic").expect("ended"), AttemptEnd::Done);
    let events = b.store.recordings().events(&filter).expect("asked").events;
    let utc = |at: MonoTime| Timestamp::parse("2026-03-01T00:00:00Z").expect("valid").plus_micros(at.0);
    assert_eq!(events.iter().map(|e| (e.id, e.start, e.end)).collect::<Vec<_>>(), [(id, utc(first), Some(utc(end)))]);
    assert!(events[0].score > 0.5, "its strongest picture");
}

/// Stills, exports and a disk that hangs share the runtime's pool: while they have all of it, motion is seen all the same.
#[tokio::test]
async fn an_index_that_keeps_no_events_is_logged_once_until_it_does() {
    let (mut motion, _dir, _clock, _store) = Bench::motion(Duration::ZERO);
    let peak = Peak { at: MonoTime(0), score: 0.5, cause: Cause::Motion, boxes: Vec::new() };
    let anchor = motion.anchor(1);
    let start = |motion: &mut Motion<Hangs>, n: i64| {
        motion.started(anchor, MonoTime(n), MonoTime(n), 1, peak.clone());
    };
    // Nobody asks the index: it hangs, and only so many may wait.
    for n in 0..259 {
        start(&mut motion, n);
    }
    assert_eq!(motion.failures.ended(), Some(2), "one of three is logged");
    for n in 259..262 {
        start(&mut motion, n);
        let entry = motion.entries.due().expect("it waits");
        let failed = Some(Error::new(ErrorKind::Unavailable, "the disk is full").with_inside(format!("event {n}")));
        motion.entered(Ok(Entered { entry, events: Vec::new(), failed, wants_still: None }));
    }
    motion.entered(Err(Error::internal("the event index panicked")));
    motion.enter_next();
    let entered = answer(&mut motion.entering).await;
    assert!(entered.as_ref().is_ok_and(|entered| entered.failed.is_none()), "{entered:?}");
    motion.entered(entered);
    assert_eq!(motion.failures.ended(), None, "an event that was kept has ended it");
}

#[test]
fn motion_is_seen_while_the_shared_threads_are_all_taken() {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("made");
    let (release, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        let b = Bench::new(Duration::ZERO);
        let others = tokio::task::spawn_blocking(move || held.recv().is_err());
        b.pictures(2, 0).await;
        let first = b.clock.mono() + FRAME;
        b.pictures(2, 100).await;
        b.wait_for_event().await;
        let Some(EventMark::Started { start, .. }) = b.camera.wires.marks.take() else {
            panic!("no mark of the start")
        };
        assert_eq!(start, first);
        assert!(!others.is_finished());
        drop(release);
        assert!(others.await.expect("no panic"));
        b.end.fire();
        assert_eq!(b.task.await.expect("no panic").expect("ended"), AttemptEnd::Done);
    });
}
