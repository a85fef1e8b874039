//! Copying against a real store, over a line that breaks, with recordings of a real box's store and a clock that is turned by hand.

use super::*;
use crate::config::Config;
use crate::current::Current;
use perch_base::clock::{Clock, ManualClock};
use perch_base::ids::{CameraId, EventId};
use perch_base::secret::Secret;
use perch_base::shutdown;
use perch_domain::archive::TimeRange;
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_domain::ports::ArchivePort;
use perch_domain::sync::keys::BoxId;
use perch_domain::sync::object::PART_BYTES;
use perch_domain::sync::status::{CopiesPort, CopyTargetStatus};
use perch_domain::sync::target::{CopyWhat, StoreKeys};
use perch_media::fanout::Hub;
use perch_store::{FragmentPackets, SegmentWriter, Store, TrackFormat};
use perch_test_stores::{Line, LineFault, Rights, TestStore};
use std::path::PathBuf;

const BUCKET: &str = "copies";
const KEYS: [(&str, &str, Rights); 3] =
    [("all", "secret", Rights::All), ("writes", "secret", Rights::WriteOnly), ("reads", "secret", Rights::ReadOnly)];
/// A keyframe of 320x240 as x264 begins it.
const KEY: [u8; 41] = [
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc5, 0x0a,
    0xa8, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0x80, 0, 0, 0, 1, 0x65, 0x88, 0x84, 0,
];

#[path = "copies_sealed_tests.rs"]
mod sealed;

struct Bench {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Store,
    settings: Current,
    copies: Copies,
    target: SyncTarget,
    server: TestStore,
    line: Line,
    small: SmallOf,
}

/// The camera has a small picture, or none.
#[derive(Clone, Default)]
struct SmallOf(Option<Arc<Hub>>);

impl SmallSource for SmallOf {
    fn small(&self, _: &CameraId) -> Option<(Arc<Hub>, bool)> {
        self.0.clone().map(|hub| (hub, false))
    }
}

/// What runs of it; ends when it is dropped.
struct Running {
    supervisor: Supervisor,
    _trigger: shutdown::Trigger,
}

impl Bench {
    async fn new(key: &str, what: &str) -> Self {
        Self::with(key, what, "").await
    }

    /// With more lines for the target.
    async fn with(key: &str, what: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(dir.path().join("store").join(BUCKET)).expect("a bucket");
        let server = TestStore::start(&dir.path().join("store"), &KEYS).await;
        let line = Line::to(server.address).await;
        let text = format!(
            "[box]\ndata_dir = {:?}\n[recording]\nmin_free_bytes = 0\n[[sync]]\nendpoint = {:?}\nbucket = {BUCKET:?}\n\
             prefix = \"home\"\naccess_key = {key:?}\nsecret_key = \"secret\"\nwhat = {what:?}\n{more}",
            dir.path().join("data"),
            line.endpoint()
        );
        let config = Config::parse(&text, std::iter::empty()).expect("valid");
        // The store checks the time of signatures against the real one.
        let clock = Arc::new(ManualClock::new(perch_base::clock::SystemClock.utc()));
        let shared: SharedClock = clock.clone();
        let store = Store::open(config.store(), shared.clone()).expect("opened");
        store.recordings().reconcile().expect("nothing is there");
        let target = config.sync[0].clone();
        let settings = Current::new(config);
        let copies = Copies::new(settings.clone(), shared);
        store.recordings().copies_are_for(std::slice::from_ref(&target)).expect("noted");
        let small = SmallOf::default();
        Self { dir, clock, store, settings, copies, target, server, line, small }
    }

    /// Records a file of about so many bytes, which ends now.
    fn record(&self, bytes: usize, event: Option<EventId>) {
        let format = TrackFormat::from_keyframe(VideoCodec::H264, &KEY, false).expect("it has parameter sets");
        let camera = CameraId::new("front").expect("valid");
        let begins = self.clock.mono();
        let recordings = self.store.recordings();
        let mut writer = recordings.create_segment(&camera, self.clock.utc(), event, &format).expect("begun");
        let seed = self.clock.utc().as_micros();
        for n in 0..2i64 {
            let start = self.clock.mono();
            self.clock.advance(Duration::from_secs(1));
            let mut data = KEY.to_vec();
            // Never a start code.
            data.extend((0..bytes / 2).map(|i| 3 + ((i as i64 * 31 + seed + n) % 251) as u8));
            let packet = Arc::new(Packet::new(Track::Video, data.into(), start, true));
            let part = FragmentPackets { packets: vec![packet], end: self.clock.mono(), ..Default::default() };
            writer.write_fragment(begins, &part).expect("written");
        }
        writer.seal().expect("sealed");
    }

    fn begin_event(&self) -> EventId {
        let start = self.clock.utc();
        let id = EventId(start.as_micros());
        let new = perch_store::NewEvent {
            id,
            camera: CameraId::new("front").expect("valid"),
            kind: perch_domain::archive::EventKind::Motion,
            start,
            since: start,
            chapter: 1,
            score: 0.5,
            cause: perch_domain::motion::Cause::Motion,
            boxes: Vec::new(),
        };
        self.store.index().begin_event(&new).expect("begun");
        id
    }

    /// A file of an event that is being written, and its next fragment of 50 kB and a second.
    fn begin_file(&self, event: EventId) -> (SegmentWriter, MonoTime) {
        let format = TrackFormat::from_keyframe(VideoCodec::H264, &KEY, false).expect("it has parameter sets");
        let camera = CameraId::new("front").expect("valid");
        let writer = self.store.recordings().create_segment(&camera, self.clock.utc(), Some(event), &format);
        (writer.expect("begun"), self.clock.mono())
    }

    fn write_fragment(&self, (writer, begins): &mut (SegmentWriter, MonoTime), n: usize) {
        let start = self.clock.mono();
        self.clock.advance(Duration::from_secs(1));
        let mut data = KEY.to_vec();
        data.extend((0..50_000).map(|i| 3 + ((i * 31 + n) % 251) as u8));
        let packet = Arc::new(Packet::new(Track::Video, data.into(), start, true));
        let part = FragmentPackets { packets: vec![packet], end: self.clock.mono(), ..Default::default() };
        writer.write_fragment(*begins, &part).expect("written");
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("store").join(BUCKET).join("home").join(BoxId::of(b"box").to_string())
    }

    fn start(&self) -> Running {
        let clock: SharedClock = self.clock.clone();
        let (trigger, shutdown) = shutdown::channel();
        let supervisor = Supervisor::new(clock.clone(), shutdown);
        let means = self.means();
        let urgent = Urgent::default();
        spawn(&supervisor, &means, 0, self.keys(), urgent.clone()).expect("begun");
        crate::tasks::copies_running::spawn(&supervisor, &means, 0, self.keys(), urgent).expect("begun");
        Running { supervisor, _trigger: trigger }
    }

    fn means(&self) -> CopyMeans {
        let news = watch::Sender::default();
        let told = news.clone();
        self.store.recordings().tell_of_running(Arc::new(move || told.send_replace(())));
        CopyMeans {
            recordings: self.store.recordings().clone(),
            copies: self.copies.clone(),
            clock: self.clock.clone(),
            targets: Arc::from([self.target.clone()]),
            small: Arc::new(self.small.clone()),
            news,
        }
    }

    fn keys(&self) -> KeySpace {
        let form = crate::copying::sealing::key_form(&self.target, &Secret::new([9; 32]));
        KeySpace::new("home", BoxId::of(b"box"), form).expect("valid")
    }

    fn status(&self) -> CopyTargetStatus {
        self.copies.targets().expect("asked").targets.remove(0)
    }

    /// Turns the clock until it is so; what is done in between takes real time.
    async fn until(&self, what: &str, is_so: impl Fn(&CopyTargetStatus) -> bool) {
        for _ in 0..6_000 {
            if is_so(&self.status()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.clock.advance(Duration::from_millis(500));
        }
        panic!("never {what}: {:?}", self.status());
    }

    async fn until_all_there(&self, n: u64) {
        self.until("all there", |s| s.state == CopyingState::UpToDate && s.copied == n && s.waiting == 0).await;
    }

    /// The bytes of all recordings on the box, in the order of their names.
    fn local(&self) -> Vec<Vec<u8>> {
        contents(&self.dir.path().join("data/recordings"))
    }

    /// Copying is begun and killed after so many bytes more each time, until so many were sent. How often.
    async fn killed_each(&self, step: u64, most: u64) -> u64 {
        let mut kills = 0;
        for sent_then in (1..).map(|n| n * step).take_while(|sent| *sent < most) {
            let running = self.start();
            while self.line.sent_bytes() < sent_then && self.status().state != CopyingState::UpToDate {
                tokio::time::sleep(Duration::from_millis(2)).await;
                self.clock.advance(Duration::from_millis(500));
            }
            // Dropped where it stands, like a process that is killed.
            running.supervisor.stop(&[TaskId::Copies(0)], Duration::ZERO).await;
            kills += 1;
        }
        kills
    }

    /// The same of their copies.
    fn copied(&self) -> Vec<Vec<u8>> {
        contents(&self.folder())
    }
}

fn contents(folder: &std::path::Path) -> Vec<Vec<u8>> {
    fn walk(folder: &std::path::Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => walk(&path, out),
                path if path.to_string_lossy().contains("-parts/") || path.to_string_lossy().contains("-small/") => {}
                path if path.extension().is_some_and(|e| e == "mp4") => out.push(path),
                _ => {}
            }
        }
    }
    let mut paths = Vec::new();
    walk(folder, &mut paths);
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("read")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_copied_byte_for_byte_once_they_are_settled() {
    let b = Bench::new("all", "all").await;
    for bytes in [1_000, 200_000, 11_000_000] {
        b.record(bytes, None);
    }
    let running = b.start();
    b.until("looked", |s| s.state == CopyingState::UpToDate).await;
    b.until_all_there(3).await;
    assert!(b.copied() == b.local(), "the same files, byte for byte");
    let status = b.status();
    let bytes: usize = b.local().iter().map(Vec::len).sum();
    assert_eq!((status.copied_bytes, status.lost), (bytes as u64, 0));
    assert!(status.month_bytes >= bytes as u64 && status.profile.is_some_and(|p| p.checks_sums), "{status:?}");
    running.supervisor.stop(&[TaskId::Copies(0)], Duration::from_secs(5)).await;
    // Nothing is sent again by the next start.
    let before = b.line.sent_bytes();
    let _running = b.start();
    b.until("looked again", |s| s.since > status.since || s.state == CopyingState::UpToDate).await;
    assert!(b.line.sent_bytes() - before < 100_000, "{} bytes", b.line.sent_bytes() - before);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kills_at_any_moment_nothing_is_lost_nothing_is_there_twice_and_little_is_sent_again() {
    let b = Bench::new("all", "all").await;
    for bytes in [300_000, 17_000_000, 300_000, 12_000_000] {
        b.record(bytes, None);
    }
    b.clock.advance(2 * SETTLED_AFTER);
    let bytes: u64 = b.local().iter().map(|file| file.len() as u64).sum();
    let kills = b.killed_each(3_700_000, bytes).await;
    let _running = b.start();
    b.until_all_there(4).await;
    assert!(b.copied() == b.local(), "the same files, byte for byte, and no others");
    let again = b.line.sent_bytes().saturating_sub(bytes);
    println!(
        "{kills} kills over {bytes} bytes: {again} bytes more were sent, {:.2} parts a kill",
        again as f64 / kills as f64 / PART_BYTES as f64
    );
    // Requests themselves take some, and a kill may come twice within a part.
    assert!(kills >= 5 && again <= kills * (PART_BYTES + 400_000), "{kills} kills, {again} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_store_is_said_and_got_over() {
    let b = Bench::new("all", "all").await;
    b.record(400_000, None);
    b.clock.advance(2 * SETTLED_AFTER);
    let _running = b.start();
    b.until_all_there(1).await;
    let xml = "content-type: application/xml\r\n";
    let faults = [
        (LineFault::Answer(500, "", ""), CopyingState::Failing, "does not answer"),
        (LineFault::Answer(503, "retry-after: 7\r\n", ""), CopyingState::Failing, "busy"),
        (LineFault::ResetAfter(100_000), CopyingState::Failing, "does not answer"),
        (LineFault::Answer(403, "", ""), CopyingState::Stopped, "right"),
        (LineFault::Answer(507, "", ""), CopyingState::Stopped, "takes no more"),
        (
            LineFault::Answer(404, xml, "<Error><Code>NoSuchBucket</Code></Error>"),
            CopyingState::Stopped,
            "no such bucket",
        ),
    ];
    for (n, (fault, state, word)) in (2u64..).zip(faults) {
        b.line.set(fault.clone());
        b.record(400_000, None);
        b.clock.advance(2 * SETTLED_AFTER);
        b.until(&format!("{fault:?}: {state:?}, {word}"), |s| s.state == state && s.reason.contains(word)).await;
        b.line.set(LineFault::None);
        b.until_all_there(n).await;
        assert!(b.copied() == b.local(), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_alone_and_keys_that_may_not_look() {
    let b = Bench::new("writes", "events").await;
    b.record(1_000, None);
    let id = b.begin_event();
    b.record(2_000, Some(id));
    b.clock.advance(2 * SETTLED_AFTER);
    let _running = b.start();
    b.until_all_there(1).await;
    assert!(b.copied() == b.local()[1..], "the event's file alone");
    assert!(b.status().profile.is_some_and(|p| !p.can_look));
    assert_eq!(b.target.what, CopyWhat::Events);
    let keys: &StoreKeys = &b.target.keys;
    assert_eq!(keys.access.expose(), "writes");
    assert!(b.server.ca_pem.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_something_else_is_not_taken_for_one() {
    let b = Bench::new("all", "all").await;
    b.record(100_000, None);
    // Somebody put something else where it goes.
    let local = b.local();
    let start = b.store.recordings().to_copy(&b.target, Timestamp(i64::MAX)).expect("asked").remove(0).start;
    let camera = CameraId::new("front").expect("valid");
    let name = CopyName::Recording { camera, start, hash: ShortHash::of(&sha256(&local[0])) };
    let place = b.dir.path().join("store").join(BUCKET).join(b.keys().key(&name));
    std::fs::create_dir_all(place.parent().expect("a folder")).expect("made");
    std::fs::write(&place, b"something else").expect("written");
    b.clock.advance(2 * SETTLED_AFTER);
    let _running = b.start();
    b.until_all_there(1).await;
    assert!(b.copied() == local, "it was replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_there_before_it_ends_and_whole_afterwards() {
    let b = Bench::new("all", "all").await;
    let _running = b.start();
    let mut file = b.begin_file(b.begin_event());
    let folder = b.folder();
    for n in 0..4usize {
        b.write_fragment(&mut file, n);
        // The pieces, put one after the other, are the file as far as it is.
        b.until("the fragment is there", |_| pieces(&folder).concat() == b.local().concat()).await;
        assert_eq!(pieces(&folder).len(), n + 2);
    }
    let events = || walk_all(&folder).into_iter().filter(|path| path.to_string_lossy().contains("-event-")).count();
    assert_eq!(events(), 1, "what is known of the event");
    file.0.seal().expect("sealed");
    b.until_all_there(1).await;
    b.until("the pieces are gone", |_| pieces(&folder).is_empty()).await;
    assert!(b.copied() == b.local());
    // What was sent twice is counted twice.
    let twice = 2 * b.local().concat().len() as u64;
    b.until("all that was sent is counted", |s| s.month_bytes >= twice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_small_picture_goes_where_the_line_does_not_carry_the_large_one_which_follows() {
    let mut b = Bench::new("all", "all").await;
    let hub = Hub::new(CameraId::new("front").expect("valid"), b.clock.clone());
    b.small = SmallOf(Some(hub.clone()));
    let mut file = b.begin_file(b.begin_event());
    // Four seconds of it wait already: the line took none of them.
    (0..5).for_each(|n| b.write_fragment(&mut file, n));
    let _running = b.start();
    let folder = b.folder();
    b.until("the small picture is wanted", |_| !hub.consumers(Stream::Sub).is_empty()).await;
    for _ in 0..40 {
        let (pts, keyframe) = (b.clock.mono(), true);
        hub.publish_video(Stream::Sub, Arc::new(Packet::new(Track::Video, KEY.to_vec().into(), pts, keyframe)));
        b.clock.advance(Duration::from_millis(200));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    b.until("it is there", |_| pieces_in(&folder, "-small/").len() > 3).await;
    let small = pieces_in(&folder, "-small/");
    assert!(small[0].windows(4).any(|name| name == b"moov") && small[1].windows(4).any(|name| name == b"moof"));
    assert!(pieces(&folder).len() <= 2, "of the large one no more than was on its way");
    file.0.seal().expect("sealed");
    b.until("nobody wants it any more", |_| hub.consumers(Stream::Sub).is_empty()).await;
    b.until_all_there(1).await;
    b.until("all pieces are gone", |_| pieces(&folder).is_empty() && pieces_in(&folder, "-small/").is_empty()).await;
    assert!(b.copied() == b.local());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_keeps_within_the_month_too() {
    let mut b = Bench::new("all", "all").await;
    b.target.monthly_bytes = 120_000;
    let _running = b.start();
    let mut file = b.begin_file(b.begin_event());
    for n in 0..2 {
        b.write_fragment(&mut file, n);
    }
    b.until("the header and two fragments are there", |_| pieces(&b.folder()).len() == 3).await;
    b.write_fragment(&mut file, 2);
    let then = b.clock.mono();
    b.until("a minute passed", |_| b.clock.mono().since(then) > Duration::from_secs(60)).await;
    assert_eq!(pieces(&b.folder()).len(), 3, "the third would be more than the month has");
}

fn walk_all(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => out.extend(walk_all(&path)),
            path => out.push(path),
        }
    }
    out.sort();
    out
}

fn pieces(folder: &std::path::Path) -> Vec<Vec<u8>> {
    pieces_in(folder, "-parts/")
}

fn pieces_in(folder: &std::path::Path, which: &str) -> Vec<Vec<u8>> {
    let all = walk_all(folder).into_iter().filter(|path| path.to_string_lossy().contains(which));
    all.filter_map(|path| std::fs::read(path).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_is_played_from_the_store() {
    let b = Bench::new("all", "all").await;
    b.record(3_000_000, None);
    let local = b.local().concat();
    b.clock.advance(2 * SETTLED_AFTER);
    let _running = b.start();
    b.until_all_there(1).await;
    let recordings = b.store.recordings().clone();
    let mut limits = b.settings.config().store();
    limits.retention.max_bytes = 1;
    b.store.limits().follow(&limits);
    assert_eq!(recordings.enforce_retention(true).expect("looked").deleted, 1);
    recordings.read_copies_by(Arc::new(crate::copying::reading::StoredCopies::new(b.settings.clone())));
    let asked = recordings.clone();
    let read = move || {
        let camera = CameraId::new("front").expect("valid");
        let range = TimeRange { from: Timestamp(0), to: Timestamp(i64::MAX) };
        let id = asked.segments(&camera, range)?.first().ok_or_else(|| Error::not_found("none"))?.id;
        let opened = asked.open_segment(&camera, id)?;
        let mut content = vec![0; opened.size_bytes as usize];
        opened.content.read_exact_at(&mut content, 0).map_err(|e| e.downcast::<Error>().expect("one of ours"))?;
        Ok(content)
    };
    let content = blocking("reading", read.clone()).await.expect("read");
    assert!(content == local, "byte for byte");
    b.line.set(LineFault::Answer(503, "", ""));
    // A connection of before may break off first.
    let mut refused = blocking("reading", read.clone()).await.expect_err("the store is busy");
    for _ in 0..10 {
        if !refused.message().contains("busy") {
            refused = blocking("reading", read.clone()).await.expect_err("the store is busy");
        }
    }
    assert!(refused.message().contains("the copy elsewhere") && refused.message().contains("busy"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_were_deleted_or_damaged_are_made_again_or_said_to_be_lost() {
    use perch_domain::sync::looking::LOOK_AT_COPIES_EVERY;
    let b = Bench::new("all", "all").await;
    (0..2).for_each(|_| b.record(200_000, None));
    b.clock.advance(2 * SETTLED_AFTER);
    let running = b.start();
    b.until_all_there(2).await;
    crate::tasks::copies_looked_at::spawn(&running.supervisor, &b.means(), 0).expect("begun");
    let objects = || -> Vec<PathBuf> {
        let mut all = walk_all(&b.folder());
        all.retain(|path| path.extension().is_some_and(|e| e == "mp4"));
        all.sort();
        all
    };
    // Behind the box's back: one is deleted, of the other a bit is turned, which its noted sum does not say.
    let [first, second] = &objects()[..] else { panic!("two: {:?}", objects()) };
    std::fs::remove_file(first).expect("deleted");
    let mut content = std::fs::read(second).expect("read");
    content[1_000] ^= 1;
    std::fs::write(second, content).expect("written");
    let each_day = async |is_so: &dyn Fn() -> bool| {
        for _ in 0..200 {
            b.clock.advance(LOOK_AT_COPIES_EVERY);
            for _ in 0..100 {
                if is_so() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                b.clock.advance(Duration::from_secs(1));
            }
        }
        panic!("never: {:?}, {:?}", objects(), b.status());
    };
    each_day(&|| b.copied() == b.local()).await;
    b.until_all_there(2).await;

    // What the box has no more is lost with its copy.
    let mut limits = b.settings.config().store();
    limits.retention.max_bytes = 1;
    b.store.limits().follow(&limits);
    assert_eq!(b.store.recordings().enforce_retention(true).expect("looked").deleted, 2);
    std::fs::remove_file(&objects()[0]).expect("deleted");
    let lost = || b.store.recordings().copy_counts(&b.target, Timestamp(i64::MAX)).expect("counted").lost;
    each_day(&|| lost() == 1).await;
    assert_eq!(objects().len(), 1);
}
