//! Speech of an encoder to a loudspeaker that measures: it is heard in time, in order or not, and whatever comes does no harm.
#![allow(clippy::disallowed_methods, reason = "speech comes at its own pace")]

use super::*;
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::clock::{Clock, SystemClock};
use perch_base::shutdown;
use perch_base::time::Timestamp;
use perch_domain::sound_level::SoundLevel;
use perch_domain::wav::WavSound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

struct Stage {
    speaker: Arc<Speaker>,
    news: Arc<AtomicUsize>,
    runs: std::thread::JoinHandle<Result<()>>,
    end: shutdown::Trigger,
}

impl Stage {
    fn new(talkback: Talkback) -> Self {
        crate::init().expect("starts");
        let library = Arc::new(Library::load(None).expect("well formed"));
        let (news, clock) = (Arc::new(AtomicUsize::new(0)), Arc::new(SystemClock));
        let (count, camera) = (news.clone(), CameraId::new("door").expect("valid"));
        let tell = Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let speaker = Speaker::new(camera, talkback, library, clock, tell);
        let (end, mut shutdown) = shutdown::channel();
        let runner = speaker.clone();
        let runs = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(runner.run_once(&mut shutdown))
        });
        Self { speaker, news, runs, end }
    }

    fn ask(&self) -> LeaseId {
        let who = TalkAsker { device: DeviceId::random(), name: "Anna".into(), may_take_over: false, gives_way: false };
        let lease = LeaseId::random();
        let asked = self.speaker.ask(&who, lease, WhenBusy::Refuse).expect("there is a loudspeaker");
        assert!(matches!(asked, FloorAnswer::Speaks { .. }), "{asked:?}");
        lease
    }

    fn until_it_plays(&self) {
        self.until("it plays", |stage| lock(&stage.speaker.state).entry.is_some());
    }

    fn until(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done(self) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.speaker.status());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn level(&self) -> Option<SoundLevel> {
        self.speaker.status().expect("there").level
    }

    fn ends(self) -> Result<()> {
        self.end.fire();
        self.runs.join().expect("no panic")
    }
}

fn test_sink() -> Talkback {
    Talkback { sink: Some(TalkSink::Test), ..Talkback::default() }
}

/// Opus packets of 20 ms: a tone, or silence.
fn opus(packets: usize, wave: &str) -> Vec<Vec<u8>> {
    crate::init().expect("starts");
    let text = format!(
        "audiotestsrc wave={wave} num-buffers={packets} samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=1 \
         ! opusenc frame-size=20 inband-fec=true packet-loss-percentage=10 ! appsink name=out sync=false"
    );
    let pipeline = gst::parse::launch(&text).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
    let out = pipeline.by_name("out").expect("there").downcast::<gst_app::AppSink>().expect("an appsink");
    pipeline.set_state(gst::State::Playing).expect("plays");
    let mut all = Vec::new();
    while let Ok(sample) = out.pull_sample() {
        all.push(sample.buffer().expect("a packet").map_readable().expect("readable").to_vec());
    }
    pipeline.set_state(gst::State::Null).expect("ends");
    all
}

/// Says `packets` at their pace, in the order of `order`; returns when the first was sent.
fn say(
    stage: &Stage,
    lease: LeaseId,
    from: u64,
    packets: &[Vec<u8>],
    order: impl Fn(usize) -> Option<usize>,
) -> Timestamp {
    let started = Instant::now();
    let first = SystemClock.utc();
    for n in 0..packets.len() {
        let due = started + Duration::from_millis(20 * n as u64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if let Some(n) = order(n) {
            let number = from + n as u64;
            stage.speaker.take(lease, number, (number * 960) as u32, &packets[n]);
        }
    }
    first
}

#[test]
fn what_is_said_is_heard_in_time_and_the_next_is_heard_at_once() {
    let stage = Stage::new(test_sink());
    let (tone, mut latencies) = (opus(25, "sine"), Vec::new());
    for round in 0..4u64 {
        let lease = stage.ask();
        stage.until_it_plays();
        // Every speaker's numbers begin anywhere.
        let said = say(&stage, lease, 70_000 * round + 65_530, &tone, Some);
        stage.until("it is loud", |stage| stage.level().is_some_and(|level| level.peak_db > -6.0));
        let heard = lock(&stage.speaker.ear).began_at().expect("heard");
        latencies.push(heard.micros_since(said) / 1000);
        stage.speaker.release(lease);
        stage.until("it is quiet", |stage| stage.level().is_none_or(|level| level.peak_db < -50.0));
        std::thread::sleep(Duration::from_millis(300));
    }
    eprintln!("from the first packet to the loudspeaker: {latencies:?} ms");
    // The jitter buffer and a packet for its repair; a busy machine only adds to it.
    assert!(latencies.iter().any(|ms| (0..150).contains(ms)) && latencies.iter().all(|ms| *ms >= 0), "{latencies:?}");
    assert!(stage.news.load(Ordering::SeqCst) >= 8, "each began and ended");
    stage.ends().expect("nothing failed");
}

#[test]
fn late_and_lost_packets_leave_no_hole_and_no_delay() {
    let stage = Stage::new(test_sink());
    let lease = stage.ask();
    stage.until_it_plays();
    // Each third comes after the one behind it, each tenth not at all.
    let order = |n: usize| match n % 30 {
        m if m % 10 == 9 => None,
        m if m % 3 == 1 && m % 10 != 8 => Some(n + 1),
        m if m % 3 == 2 && (m - 1) % 10 != 8 => Some(n - 1),
        _ => Some(n),
    };
    let (tone, loud) = (opus(102, "sine"), Arc::new(AtomicUsize::new(0)));
    let (counted, speaker) = (loud.clone(), stage.speaker.clone());
    let watcher = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(600));
        for _ in 0..12 {
            std::thread::sleep(Duration::from_millis(100));
            let level = speaker.status().expect("there").level.map_or(-96.0, |level| level.rms_db);
            counted.fetch_add(usize::from(level > -12.0), Ordering::SeqCst);
        }
    });
    say(&stage, lease, 0, &tone[..100], |n| order(n).filter(|n| *n < 100));
    watcher.join().expect("no panic");
    // All of them, on a machine that does nothing else.
    let loud = loud.load(Ordering::SeqCst);
    assert!(loud >= 8, "the tone is at -5 dB all the time, and was there in {loud} of 12 looks");
    stage.until("it is quiet soon after", |stage| stage.level().is_none_or(|level| level.peak_db < -50.0));
    stage.ends().expect("nothing failed");
}

#[test]
fn whatever_comes_does_no_harm() {
    let stage = Stage::new(test_sink());
    let lease = stage.ask();
    stage.until_it_plays();
    let mut junk = vec![vec![], vec![0xff; 1400], vec![0; 4000], vec![0x03], vec![0xfb, 0xff], vec![0x7f, 0x3f, 0xff]];
    let mut seed = 7u32;
    for n in 0..200usize {
        let bytes = (0..n % 90).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        });
        junk.push(bytes.collect());
    }
    for (n, packet) in junk.iter().enumerate() {
        let number = if n % 50 == 49 { n as u64 * 1_000_003 } else { n as u64 };
        stage.speaker.take(lease, number, (n as u32).wrapping_mul(0x1234_5678), packet);
        std::thread::sleep(Duration::from_millis(10));
    }
    // A flood of packets that say that they are the longest there are, six of 20 ms, and hold what no encoder makes.
    let mut longest = vec![0x7b, 0x06];
    longest.extend((0..6 * 200).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8));
    assert!(perch_domain::opus::duration_of(&longest).is_some(), "nothing is wrong with it as far as it says");
    for n in 0..3000u64 {
        stage.speaker.take(lease, 300_000 + n, (n * 5760) as u32, &longest);
        if n % 10 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let tone = opus(40, "sine");
    stage.speaker.release(lease);
    std::thread::sleep(Duration::from_secs(1));
    let lease = stage.ask();
    say(&stage, lease, 500_000, &tone, Some);
    stage.until("speech is heard as ever", |stage| stage.level().is_some_and(|level| level.peak_db > -6.0));
    stage.until("and ends as ever", |stage| stage.level().is_none_or(|level| level.peak_db < -50.0));
    stage.ends().expect("nothing failed");
}

#[test]
fn nobody_is_heard_who_has_not_the_floor() {
    let stage = Stage::new(test_sink());
    let lease = stage.ask();
    stage.until_it_plays();
    let tone = opus(20, "sine");
    say(&stage, LeaseId::random(), 0, &tone, Some);
    assert!(lock(&stage.speaker.ear).began_at().is_none());
    stage.speaker.release(lease);
    say(&stage, lease, 0, &tone, Some);
    assert!(lock(&stage.speaker.ear).began_at().is_none());
    stage.ends().expect("nothing failed");
}

#[test]
fn a_loudspeaker_that_is_not_there_says_so_and_follows_its_settings() {
    let stage = Stage::new(Talkback::default());
    let who = TalkAsker { device: DeviceId::random(), name: "Anna".into(), may_take_over: false, gives_way: false };
    let ask = |stage: &Stage| stage.speaker.ask(&who, LeaseId::random(), WhenBusy::Refuse);
    assert_eq!(ask(&stage).expect_err("none is set").kind(), ErrorKind::Unsupported);
    assert!(stage.speaker.status().is_none());
    stage.speaker.follow(&test_sink());
    ask(&stage).expect("there is one now");
    stage.until_it_plays();
    stage.speaker.follow(&Talkback { sink: Some(TalkSink::Alsa("hw:CARD=NoSuchCard".into())), ..test_sink() });
    stage.until("it fails", |stage| !stage.speaker.status().expect("there").problem.is_empty());
    assert_eq!(stage.speaker.status().expect("there").speaker, None, "whoever spoke is told");
    let refused = ask(&stage).expect_err("it does not work");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().starts_with("the loudspeaker alsa:hw:CARD=NoSuchCard"), "{refused}");
    let Stage { runs, .. } = stage;
    runs.join().expect("no panic").expect_err("its task tries again later");
}

#[test]
fn stored_sounds_are_heard_and_give_the_floor_back() {
    let stage = Stage::new(test_sink());
    let who = |name: &str, may_take_over| TalkAsker {
        device: DeviceId::random(),
        name: name.into(),
        may_take_over,
        gives_way: name == "the box",
    };
    let tone = |s: usize| (0..s * 8000).map(|n| ((n as f64 * 0.7).sin() * 20_000.0) as i16).collect();
    let uploaded = Playable::encode(&WavSound { rate_hz: 8000, samples: tone(2) }).expect("encodes");
    for sound in [Playable::chime().expect("encodes"), uploaded.clone()] {
        assert_eq!(stage.speaker.announce(&who("Anna", false), sound.clone()).expect("there is a loudspeaker"), None);
        let busy = stage.speaker.announce(&who("Ben", false), sound).expect("there is one").expect("it is played");
        assert_eq!(busy.name, "Anna");
        stage.until("it is heard", |stage| stage.level().is_some_and(|level| level.peak_db > -12.0));
        stage.until("it is over", |stage| stage.speaker.status().expect("there").speaker.is_none());
        stage.until("it is quiet", |stage| stage.level().is_none_or(|level| level.peak_db < -40.0));
    }
    let speaks = |stage: &Stage, name: &str| stage.speaker.status().expect("there").speaker.as_deref() == Some(name);
    // Whoever takes over is heard instead, and to whoever speaks the box gives way.
    for (first, next, when_busy) in [("Anna", "Olga", WhenBusy::TakeOver), ("the box", "Ben", WhenBusy::Refuse)] {
        stage.speaker.announce(&who(first, false), uploaded.clone()).expect("there is one");
        assert!(speaks(&stage, first));
        let lease = LeaseId::random();
        let asked = stage.speaker.ask(&who(next, true), lease, when_busy).expect("may");
        assert!(matches!(asked, FloorAnswer::Speaks { ends: Some(_), .. }));
        stage.until("it stops", |stage| lock(&stage.speaker.state).announcing.is_none());
        assert!(speaks(&stage, next));
        stage.speaker.release(lease);
    }
    // What is played as the camera is switched off is not played when it is on again.
    stage.speaker.announce(&who("Anna", false), uploaded).expect("there is one");
    let speaker = stage.speaker.clone();
    stage.ends().expect("nothing failed");
    assert_eq!(speaker.status().expect("there").speaker, None);
    assert!(lock(&speaker.state).announcing.is_none());
}
