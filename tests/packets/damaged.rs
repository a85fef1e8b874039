//! Whatever order, loss, repetition and damage a camera's packets suffer: recording never fails of it, and every file is whole.

use crate::chain::Chain;
use crate::reader::{self, Held};
use crate::{ffmpeg, is_long};
use perch::tasks::recording::disk::StoreDisk;
use perch_base::clock::ManualClock;
use perch_base::ids::{CameraId, EventId};
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::access::SessionConfig;
use perch_domain::pairing::PairingConfig;
use perch_domain::recording::{EventMark, RecordConfig, RecordMode};
use perch_domain::retention::RetentionConfig;
use perch_store::{Config, Store};
use perch_test_cameras::feed::{Damage, damaged, delayed};
use perch_test_cameras::random::Random;
use perch_test_cameras::{ALL, Case, Codec, Event, Feed, Kind, Model, Place, Start, Timed, find};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the short form takes: long and short groups of pictures, pictures out of order, sizes that change, sound, bad stamps.
const SHORT: [&str; 12] = [
    "norm",
    "bframes",
    "h265",
    "opengop",
    "h265cra",
    "gop20",
    "opus",
    "refresh",
    "switch",
    "h265switch",
    "fields",
    "ssrcchange",
];

/// Cases whose pictures go to the disk as they came.
fn cases() -> Vec<&'static Case> {
    if !is_long() {
        return SHORT.iter().filter_map(|name| find(name)).collect();
    }
    let of_use = |case: &&Case| {
        let is_about_packets = !matches!(case.kind, Kind::Transport | Kind::Tls | Kind::SignIn | Kind::Session);
        is_about_packets && matches!(case.right.codec, Codec::H264 | Codec::H265)
    };
    ALL.iter().copied().flatten().filter(of_use).collect()
}

/// Packets of one session: some cameras flood the network.
const MOST_PACKETS: usize = 40_000;
/// The camera's wall clock.
const WALL: Duration = Duration::from_secs(1_800_000_000);

fn place() -> Place {
    Place { port: 554, path: "/live".into() }
}

/// One in 2 to 2^`most`, or never.
fn rate(random: &mut Random, most: u64) -> u64 {
    if random.one_in(2) { 0 } else { 2 << random.below(most) }
}

fn damage_of(random: &mut Random) -> Damage {
    if random.one_in(8) {
        return Damage::NONE;
    }
    Damage {
        lost: rate(random, 9),
        doubled: rate(random, 6),
        late: rate(random, 7),
        flipped: rate(random, 20) & !0x3f,
        flipped_from: [0, 12, 14][random.below(3) as usize],
        cut: rate(random, 10) & !1,
        spliced: rate(random, 10) & !1,
        gone: rate(random, 11) & !7,
    }
}

/// What a model sends over a bad network.
fn feed_of(model: &Model, random: &mut Random, session: u64) -> Feed {
    let start = Start { up: Duration::from_secs(random.below(200)), wall: WALL, session };
    let damage = damage_of(random);
    let reports = rate(random, 5);
    let mut of_reports = Random::new(random.draw());
    let mut feed = damaged(model.feed(&start), damage, random.draw());
    if random.one_in(4) {
        let every = Duration::from_millis(500 + random.below(12_000));
        feed = delayed(feed, every, every.mul_f64(0.6));
    }
    Box::new(feed.map(move |timed| match timed.event {
        Event::Rtcp(track, mut packet) if reports > 0 && of_reports.one_in(reports) && !packet.is_empty() => {
            let at = of_reports.below(packet.len() as u64) as usize;
            packet[at] ^= 1 << of_reports.below(8);
            Timed { event: Event::Rtcp(track, packet), ..timed }
        }
        event => Timed { event, ..timed },
    }))
}

fn open(data: &Path) -> Store {
    let config = Config {
        data_dir: data.to_owned(),
        pairing: PairingConfig::default(),
        session: SessionConfig { idle: Duration::from_secs(3600), max: Duration::from_secs(86_400) },
        retention: RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 0, event_max_days: 0 },
        copies: Default::default(),
    };
    let clock = Arc::new(ManualClock::new(Timestamp(1_800_000_000_000_000)));
    Store::open(config, clock).expect("the store opens")
}

/// One life of a camera in the box.
struct Run {
    held: Held,
    files: Vec<PathBuf>,
    /// Pictures that were published.
    pictures: u64,
    case: &'static str,
}

/// Says which seed it was when the test fails in the middle of it.
struct Naming(u64, &'static str);

impl Drop for Naming {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("camera `{}`: again with PERCH_TEST_SEED={}", self.1, self.0);
        }
    }
}

fn run(store: &Store, data: &Path, cases: &[&'static Case], seed: u64) -> Option<Run> {
    let mut random = Random::new(seed);
    let case = cases[(seed % cases.len() as u64) as usize];
    let _naming = Naming(seed, case.name);
    let other = cases[random.below(cases.len() as u64) as usize];
    let (Ok(model), Ok(other)) = ((case.model)(), (other.model)()) else { return None };
    let camera = CameraId::new(&format!("c{seed}")).expect("a name");
    let mode = if random.one_in(3) { RecordMode::Motion } else { RecordMode::Continuous };
    let record = RecordConfig {
        mode,
        segment_max: Duration::from_secs(5 + random.below(10)),
        pre_roll: Duration::from_secs(random.below(5)),
        ..RecordConfig::default()
    };
    let disk = StoreDisk::new(store.recordings().clone(), camera.clone(), Arc::default(), None);
    let mut chain = Chain::new(&camera, record, disk);
    let seconds = if is_long() { 10 + random.below(50) } else { 14 };
    let mut event: Option<EventId> = None;
    for session in 0..1 + random.below(3) {
        let model = if session > 0 && random.one_in(3) { &other } else { &model };
        if !chain.begin(&model.sdp(&place()), random.one_in(2)) {
            continue;
        }
        let since = chain.now();
        let end = Duration::from_secs(1 + random.below(seconds));
        // Sometimes it goes on as another camera within the session.
        let switch = if random.one_in(6) { end / 2 } else { end };
        let first = feed_of(model, &mut random, session).take_while(move |timed| timed.at < switch);
        let then = feed_of(&other, &mut random, session).map(move |t| Timed { at: t.at + switch, ..t });
        for timed in first.chain(then.take_while(move |timed| timed.at < end)).take(MOST_PACKETS) {
            if random.one_in(400) {
                let now = chain.now();
                chain.mark(match event.take() {
                    Some(id) if random.one_in(2) => EventMark::Ended { id, end: now + Duration::from_secs(5) },
                    Some(id) => {
                        event = Some(id);
                        EventMark::Continues { id, until: now + Duration::from_secs(5) }
                    }
                    None => {
                        let id = EventId(now.0);
                        event = Some(id);
                        EventMark::Started { id, start: now - Duration::from_millis(random.below(2_000)) }
                    }
                });
            }
            chain.timed(since, timed);
        }
        chain.end();
        let pause = Duration::from_millis(random.below(4_000));
        chain.until(chain.now() + pause);
    }
    chain.stop();
    let pictures = chain.published.0;
    assert_eq!(chain.failed, None, "a camera's packets made the disk fail");
    let files = files_below(&data.join("recordings").join(camera.as_str()));
    let mut held = Held::default();
    let mut brief = 0;
    for file in &files {
        let one = reader::check(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        brief += u32::from(one.pictures < 10);
        held.pictures += one.pictures;
        held.sounds += one.sounds;
        held.seconds += one.seconds;
    }
    assert!(held.pictures <= 2 * pictures, "{held:?} of {pictures} pictures: some are written more than twice");
    // Pictures that change their size again and again need a file each: the recorder leaves such a camera alone for a while.
    if mode == RecordMode::Continuous && brief < 5 {
        // Of a damaged picture nothing may be left that a file can hold.
        let expected = (pictures - chain.unusable) * 98 / 100;
        assert!(held.pictures >= expected, "{held:?} of {pictures} pictures, {} unusable", chain.unusable);
    }
    Some(Run { held, files, pictures, case: case.name })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files_below(&path)),
            path => found.push(path),
        }
    }
    found.sort();
    found
}

/// A handful of cameras in the short form, ten minutes of them in the long one; `PERCH_TEST_SEED` is one alone.
#[test]
fn no_packet_damages_a_recording() {
    // In memory where that is a folder: each fragment is flushed to the disk.
    let shm = Path::new("/dev/shm");
    let dir = tempfile::tempdir_in(shm).or_else(|_| tempfile::tempdir()).expect("a folder");
    let data = dir.path().join("data");
    let store = open(&data);
    let cases = cases();
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, last) = match number("PERCH_TEST_SEED") {
        Some(seed) => (seed, seed),
        None if is_long() => (number("PERCH_TEST_FIRST_SEED").unwrap_or(0), u64::MAX),
        None => (0, 8 * cases.len() as u64 - 1),
    };
    let began = Instant::now();
    let (mut held, mut runs, mut files, mut pictures, mut probed) = (Held::default(), 0u64, 0, 0, 0);
    for seed in first..=last {
        if is_long() && began.elapsed() > Duration::from_secs(number("PERCH_TEST_SECONDS").unwrap_or(600)) {
            break;
        }
        let began_this = Instant::now();
        let Some(run) = run(&store, &data, &cases, seed) else { continue };
        // What another reader makes of a few of them: starting it takes longer than all of the above.
        if let Some(file) = run.files.first().filter(|_| runs >= (if is_long() { 100 } else { 40 }) * probed) {
            let probe = ffmpeg::probe_container(file);
            assert!(!probe.frames.is_empty(), "seed {seed}: {} has no picture", file.display());
            probed += 1;
        }
        runs += 1;
        files += run.files.len();
        pictures += run.pictures;
        held.pictures += run.held.pictures;
        held.sounds += run.held.sounds;
        held.seconds += run.held.seconds;
        if is_long() {
            let took = began_this.elapsed();
            println!("{seed} {}: {} pictures, {:?}, in {took:?}", run.case, run.pictures, run.held);
        }
        for file in &run.files {
            let _ = std::fs::remove_file(file);
        }
    }
    println!("{runs} cameras, {files} files, {pictures} pictures published, {held:?}, {probed} probed");
    assert!(
        first == last || (files > 0 && held.sounds > 0 && held.seconds > 0.1 * runs as f64),
        "nothing was recorded"
    );
}

/// What a camera sends over a network that harms nothing decodes without a word, each picture of it.
#[test]
fn what_comes_whole_is_recorded_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = open(dir.path());
    for name in ["bframes", "h265", "opus"] {
        let model = (find(name).expect("a case").model)().expect("ffmpeg is here");
        let camera = CameraId::new(name).expect("a name");
        let disk = StoreDisk::new(store.recordings().clone(), camera.clone(), Arc::default(), None);
        let mut chain = Chain::new(&camera, RecordConfig::default(), disk);
        assert!(chain.begin(&model.sdp(&place()), true));
        let feed = model.feed(&Start { wall: WALL, ..Start::default() });
        feed.take_while(|timed| timed.at < Duration::from_secs(6)).for_each(|timed| chain.timed(MonoTime(0), timed));
        chain.stop();
        let (pictures, sounds) = chain.published;
        assert_eq!(chain.failed, None);
        let files = files_below(&dir.path().join("recordings").join(name));
        let [file] = &files[..] else { panic!("{name}: {files:?}") };
        let held = reader::check(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        assert!((149..=150).contains(&pictures), "{name}: {pictures}");
        assert_eq!(held.pictures, pictures, "{name}");
        assert!(name != "opus" || held.sounds + 2 >= sounds && sounds > 290, "{held:?} of {sounds}");
        assert_eq!(ffmpeg::probe_file(file).pictures as u64, pictures, "{name}");
    }
}
