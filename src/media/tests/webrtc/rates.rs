//! What viewers on narrow ways are sent, and that they cost the camera nothing.

use super::path::Path;
use super::*;
use perch_domain::status::LiveSession;

/// Bits a second of the test camera's streams.
pub fn bps(stream: Stream) -> u32 {
    source::canned().video[stream as usize].iter().map(|unit| unit.len() as u32 * 8).sum::<u32>() / 2
}

pub struct Watching {
    pub path: Path,
    pub viewer: Viewer,
    lease: LeaseId,
}

impl Watching {
    pub fn begin(bench: &Bench, kbps: u32, budget: Option<&str>) -> Self {
        let path = Path::to(bench.engine.local_addr());
        path.way.kbps.store(kbps, Ordering::SeqCst);
        path.way.delay_ms.store(10, Ordering::SeqCst);
        let offer = Offer::new();
        let mut request = bench.request(device(), StreamChoice::Auto, &Path::without_addresses(&offer.sdp));
        request.budget = budget.map(|text| perch_domain::rate::DataBudget::parse(text).expect("sound"));
        let answer = bench.engine.watch(request).expect("accepted");
        let viewer = offer.go(&path.led(&answer.sdp));
        viewer.until("a picture", |seen| seen.frames > 3);
        Self { path, viewer, lease: answer.lease }
    }

    pub fn session(&self, bench: &Bench) -> LiveSession {
        let all = bench.engine.sessions().expect("answers");
        all.into_iter().find(|session| session.lease == self.lease).expect("goes on")
    }

    /// Waits for at most `seconds` until it is sent `ration`; returns what is said of it then.
    pub fn until(&self, bench: &Bench, ration: &str, seconds: u64) -> LiveSession {
        let started = Instant::now();
        loop {
            let session = self.session(bench);
            if session.ration == ration {
                return session;
            }
            assert!(started.elapsed() < Duration::from_secs(seconds), "no {ration} but {session:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_narrow_way_gets_the_small_stream_and_a_wide_one_the_large_one_again() {
    let bench = Bench::new();
    let (main, sub) = (bps(Stream::Main), bps(Stream::Sub));
    assert!(2 * main > 5 * sub, "{main} and {sub} bits a second");
    let watching = Watching::begin(&bench, 4 * main / 1000, None);
    let lease = |session: &LiveSession| (session.lease, session.why);
    // On a machine that stands still for a moment the way carries nothing, and it is the small stream for a while.
    bench.until_within(Duration::from_secs(60), "the large stream on a wide way", |bench| {
        let wide = watching.session(bench);
        (wide.ration, wide.stream, wide.why) == ("main", Stream::Main, "wish")
            && wide.available_bps.is_some_and(|bps| bps > u64::from(main))
            && wide.round_trip_ms.is_some_and(|ms| (15.0..200.0).contains(&ms))
    });
    watching.path.way.kbps.store((main * 6 / 10) / 1000, Ordering::SeqCst);
    let narrow = watching.until(&bench, "sub", 8);
    assert_eq!(lease(&narrow), (watching.lease, "connection"));
    bench.until("the small stream comes", |_| watching.session(&bench).stream == Stream::Sub);
    let frames = watching.viewer.seen().frames;
    watching.viewer.until("its pictures", |seen| seen.frames > frames + 30);
    watching.path.way.kbps.store(4 * main / 1000, Ordering::SeqCst);
    watching.until(&bench, "main", 60);
    bench.until("the large stream comes", |_| watching.session(&bench).stream == Stream::Main);
    let frames = watching.viewer.seen().frames;
    watching.viewer.until("its pictures", |seen| seen.frames > frames + 30);
    assert_eq!(bench.engine.stats().undrained, 0);
}

#[test]
fn a_budget_takes_pictures_away_and_leaves_sound() {
    let bench = Bench::new();
    // Enough for sound alone.
    let watching = Watching::begin(&bench, 0, Some("50"));
    let session = watching.until(&bench, "sound", 10);
    assert_eq!(session.why, "budget");
    let frames = watching.viewer.seen().frames;
    let sounds = watching.viewer.seen().sounds;
    let seen = watching.viewer.until("sound", |seen| seen.sounds > sounds + 100);
    assert!(seen.frames <= frames + 3, "{} pictures came", seen.frames - frames);
}

#[test]
fn twenty_viewers_that_ask_for_a_picture_ten_times_a_second_cost_a_keyframe_a_second() {
    let bench = Bench::with(Config {
        viewers: perch_domain::viewers::ViewerLimits { all: 64, per_person: 64, per_device: 64 },
        ..Config::new("127.0.0.1:0".parse().expect("valid"))
    });
    let viewers: Vec<_> = (0..20).map(|_| bench.watch(device(), Stream::Main).1).collect();
    viewers.iter().for_each(|viewer| drop(viewer.until("a picture", |seen| seen.frames > 3)));
    let (before, started) = (bench.source.control.forced.load(Ordering::SeqCst), Instant::now());
    let mut asked = 0;
    while started.elapsed() < Duration::from_millis(3300) {
        for viewer in &viewers {
            viewer.knobs.plis.fetch_add(1, Ordering::SeqCst);
        }
        asked += viewers.len();
        std::thread::sleep(Duration::from_millis(100));
    }
    let (forced, seconds) = (bench.source.control.forced.load(Ordering::SeqCst) - before, started.elapsed().as_secs());
    assert!((1..=seconds as usize + 1).contains(&forced), "{forced} in {seconds} s for {asked} wishes");
    assert!(asked > 300, "{asked}");
}
