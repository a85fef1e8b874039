//! Real pipelines with real encoders, no camera: what the hub gets from each source, and how attempts end.

use super::fake::Fake;
use super::*;
use crate::fanout::{Delivery, Subscription};
use crate::pipeline::Library;
use perch_base::clock::{Clock, ManualClock, SystemClock};
use perch_base::ids::CameraId;
use perch_base::shutdown::{self, Trigger};
use perch_base::zone::Zone;
use perch_domain::camera::{AudioSettings, AudioSource, VideoSettings};
use perch_domain::media::{SharedPacket, Stream, Track, VideoCodec};
use perch_domain::motion::MotionConfig;
use perch_domain::pace::{Bottleneck, Overload, Pace};
use perch_domain::usb_camera::VideoName;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// A camera that runs.
pub(super) struct Bench {
    pub capture: Arc<Capture>,
    pub hub: Arc<Hub>,
    pub lumas: Arc<AtomicUsize>,
    pub events: Arc<Mutex<Vec<CaptureEvent>>>,
    trigger: Trigger,
    pub run: JoinHandle<Result<CaptureEnd>>,
}

pub(crate) fn config(source: Source) -> CameraConfig {
    CameraConfig {
        id: CameraId::new("front").expect("valid"),
        name: "Front".into(),
        room: String::new(),
        source,
        network: Default::default(),
        aspect: None,
        codec: VideoCodec::H264,
        main: VideoSettings { width: 320, height: 240, fps: 20, bitrate_kbps: 500 },
        sub: VideoSettings { width: 160, height: 120, fps: 10, bitrate_kbps: 100 },
        audio: AudioSettings { source: AudioSource::None, gain_db: 0.0 },
        talkback: Default::default(),
        record: perch_domain::recording::RecordConfig::default(),
        motion: MotionConfig { enabled: false, ..MotionConfig::default() },
        picture: Default::default(),
        push: Vec::new(),
        off: None,
    }
}

pub(super) fn start(config: CameraConfig) -> Bench {
    start_with(config, None)
}

pub(super) fn start_with(config: CameraConfig, overrides: Option<&Path>) -> Bench {
    SystemClock.mono();
    start_by(Arc::new(SystemClock), config, overrides, Arc::new(Fake::default()))
}

pub(super) fn start_by(clock: SharedClock, config: CameraConfig, overrides: Option<&Path>, ingest: Arc<Fake>) -> Bench {
    crate::init().expect("starts");
    let hub = Hub::new(config.id.clone(), clock.clone());
    let lumas = Arc::new(AtomicUsize::new(0));
    let counter = lumas.clone();
    let luma: LumaSink = Arc::new(move |l: LumaFrame| {
        assert_eq!(l.pixels.len(), 320 * 180);
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let library = Arc::new(Library::load(overrides).expect("well formed"));
    let capture = Arc::new(Capture::new(
        config,
        Means { library, ingest, machine: Default::default(), zone: Arc::new(Zone::utc), encodes_vp8: true },
        hub.clone(),
        clock,
        luma,
    ));
    let (trigger, shutdown) = shutdown::channel();
    let events = Arc::new(Mutex::new(Vec::new()));
    let (runner, log) = (capture.clone(), events.clone());
    let run =
        tokio::spawn(async move { runner.run_once(&|e| log.lock().expect("not poisoned").push(e), shutdown).await });
    Bench { capture, hub, lumas, events, trigger, run }
}

impl Bench {
    pub async fn stop(self) {
        self.trigger.fire();
        let ended = timeout(Duration::from_secs(5), self.run).await.expect("ends").expect("no panic");
        assert_eq!(ended.expect("no error"), CaptureEnd::Shutdown);
        assert!(self.hub.latest_keyframe(Stream::Main).is_none(), "a closed attempt leaves nothing behind");
    }

    pub async fn end(self) -> Result<CaptureEnd> {
        timeout(Duration::from_secs(20), self.run).await.expect("ends").expect("no panic")
    }
}

/// The camera's own microphone beside it, until the test ends.
pub(super) fn listen(b: &Bench) {
    let capture = b.capture.clone();
    tokio::spawn(async move {
        let (_trigger, mut shutdown) = shutdown::channel();
        capture.run_microphone(&|| {}, &mut shutdown).await
    });
}

/// Video packets of `s` until `n` came.
pub(super) async fn take(s: &mut Subscription, track: Track, n: usize) -> Vec<Delivery> {
    let mut got = Vec::new();
    while got.len() < n {
        let d = timeout(Duration::from_secs(30), s.packets.recv()).await.expect("in time").expect("attached");
        if d.packet.track == track {
            got.push(d);
        }
    }
    got
}

pub(super) fn kinds(packet: &SharedPacket) -> Vec<u8> {
    perch_domain::h264::nal_units(&packet.data).map(|n| n[0] & 0x1f).collect()
}

pub(super) fn assert_growing(packets: &[Delivery]) {
    for pair in packets.windows(2) {
        assert!(pair[0].packet.pts < pair[1].packet.pts, "{:?} then {:?}", pair[0].packet.pts, pair[1].packet.pts);
    }
}

/// The largest step from packet to packet, ms.
fn largest_step(packets: &[Delivery]) -> i64 {
    packets.windows(2).map(|p| p[1].packet.pts.micros_since(p[0].packet.pts) / 1000).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_camera_sends_what_the_box_promises() {
    let mut c = config(Source::Test);
    c.motion.enabled = true;
    c.audio = AudioSettings { source: AudioSource::Test, gain_db: -6.0 };
    let b = start(c);
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 500);
    let video = take(&mut s, Track::Video, 60).await;
    assert_growing(&video);
    let keys: Vec<_> = video.iter().filter(|d| d.packet.keyframe).map(|d| d.packet.pts).collect();
    assert!(keys.len() >= 3, "{keys:?}");
    assert!(keys.windows(2).all(|k| k[1].micros_since(k[0]) <= 2_000_000), "{keys:?}");
    for d in &video {
        let p = &d.packet;
        assert_eq!(p.data[..4], [0, 0, 0, 1]);
        let k = kinds(p);
        match p.keyframe {
            true => {
                let place = |kind| k.iter().position(|x| *x == kind).expect("in a keyframe");
                assert!(place(7) < place(8) && place(8) < place(5), "{k:?}");
                let sps = perch_domain::h264::nal_units(&p.data).find(|n| n[0] & 0x1f == 7).expect("an SPS");
                assert_eq!(sps[1], 66, "baseline");
                assert_ne!(sps[2] & 0x40, 0, "constrained");
            }
            false => assert!(!k.contains(&5) && k.contains(&1), "{k:?}"),
        }
    }
    let now = SystemClock.mono();
    let age = now.micros_since(video[59].packet.pts);
    assert!((0..1_000_000).contains(&age), "time stamps are the box's own: {age} us old");
    let figures = b.capture.figures();
    assert!((15.0..25.0).contains(&figures.fps), "{figures:?}");
    assert!(figures.bitrate_kbps > 5.0 && figures.encoders == 2 && !figures.sub_active, "{figures:?}");
    assert!(
        (8..=20).contains(&b.lumas.load(Ordering::SeqCst)),
        "{} small pictures in 3 s",
        b.lumas.load(Ordering::SeqCst)
    );
    assert_eq!(*b.events.lock().expect("whole"), [CaptureEvent::Playing, CaptureEvent::FirstFrame]);
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_comes_in_packets_of_20_ms() {
    let mut c = config(Source::Test);
    c.audio = AudioSettings { source: AudioSource::Test, gain_db: 0.0 };
    let b = start(c);
    listen(&b);
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 500);
    let sound = take(&mut s, Track::Audio, 100).await;
    assert_growing(&sound);
    for pair in sound.windows(2) {
        let step = pair[1].packet.pts.micros_since(pair[0].packet.pts);
        assert!((19_990..20_010).contains(&step), "{step} us");
    }
    // RFC 6716, 3.1: configurations 3, 7, 11, 13, 15, 19, 23, 27, 31 are 20 ms; code 0 is one frame.
    for d in &sound {
        let toc = d.packet.data[0];
        assert!(matches!(toc >> 3, 1 | 5 | 9 | 13 | 15 | 19 | 23 | 27 | 31) && toc & 3 == 0, "{toc:#x}");
    }
    let age = SystemClock.mono().micros_since(sound[99].packet.pts);
    assert!((0..1_000_000).contains(&age), "{age} us old");
    drop(s);
    sleep(Duration::from_millis(300)).await;
    let mut again = b.hub.subscribe(Stream::Main, true, "test", 500);
    let sound = take(&mut again, Track::Audio, 20).await;
    assert_growing(&sound);
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyframe_comes_when_asked_and_a_storm_gives_one_a_second() {
    let mut c = config(Source::Test);
    c.main.fps = 60;
    let b = start(c);
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 1000);
    // Behind the first keyframe, in the middle of a GOP.
    take(&mut s, Track::Video, 20).await;
    let asked = SystemClock.mono();
    b.hub.request_keyframe(Stream::Main);
    loop {
        let d = take(&mut s, Track::Video, 1).await.remove(0);
        if d.packet.keyframe && d.packet.pts > asked - Duration::from_millis(50) {
            break;
        }
    }
    let waited = SystemClock.mono().since(asked);
    // The next one of the group of pictures would come later still.
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    let until = SystemClock.mono() + Duration::from_secs(3);
    let mut keys = 0;
    while SystemClock.mono() < until {
        b.hub.request_keyframe(Stream::Main);
        keys += take(&mut s, Track::Video, 1).await.iter().filter(|d| d.packet.keyframe).count();
    }
    // Three seconds hold three forced and at most three of the encoder's own.
    assert!(keys <= 7, "{keys} keyframes in 3 s");
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sub_stream_is_encoded_only_while_wanted() {
    let b = start(config(Source::Test));
    let mut main = b.hub.subscribe(Stream::Main, false, "main", 500);
    take(&mut main, Track::Video, 10).await;
    for _ in 0..2 {
        assert!(b.hub.latest_keyframe(Stream::Sub).is_none());
        let asked = SystemClock.mono();
        let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
        let first = take(&mut sub, Track::Video, 1).await.remove(0);
        let waited = SystemClock.mono().since(asked);
        assert!(waited < Duration::from_millis(500), "{waited:?}");
        assert!(first.packet.keyframe && kinds(&first.packet).contains(&7));
        assert!(first.packet.pts >= asked - Duration::from_millis(200), "nothing old comes out");
        assert_growing(&take(&mut sub, Track::Video, 12).await);
        assert!(b.capture.figures().sub_active);
        drop(sub);
        sleep(Duration::from_millis(300)).await;
        assert!(!b.capture.figures().sub_active);
        let quiet = b.hub.latest_keyframe(Stream::Sub);
        sleep(Duration::from_millis(300)).await;
        assert!(quiet.is_none() && b.hub.latest_keyframe(Stream::Sub).is_none());
    }
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_may_ask_for_vp8() {
    let mut c = config(Source::Test);
    c.codec = VideoCodec::Vp8;
    let b = start(c);
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 500);
    let video = take(&mut s, Track::Video, 45).await;
    assert_growing(&video);
    // RFC 7741, 4.3: the lowest bit of a frame is zero in a key frame.
    assert!(video.iter().all(|d| d.packet.keyframe == (d.packet.data[0] & 1 == 0)));
    assert!(video.iter().filter(|d| d.packet.keyframe).count() >= 2);
    assert_eq!(b.capture.figures().encoder, "vp8enc");
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_loops_without_a_gap_and_with_its_sound() {
    let dir = tempfile::tempdir().expect("a folder");
    // With B-frames, as real files have.
    let clip = clips::make(&dir, "x264enc bframes=2 ! mp4mux", 200, 200, 25, 50, true);
    let mut c = config(Source::File(clip));
    c.audio.source = AudioSource::Source;
    c.main.fps = 30;
    let b = start(c);
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 2000);
    let video = take(&mut s, Track::Video, 130).await;
    assert_growing(&video);
    assert!(video[1..].iter().all(|d| !d.discontinuity), "one time line");
    assert!(largest_step(&video) <= 100, "{} ms between two pictures", largest_step(&video));
    let span = video[129].packet.pts.since(video[0].packet.pts).as_secs_f64();
    assert!((4.9..5.5).contains(&span), "129 pictures of 25 a second took {span} s");
    let age = SystemClock.mono().micros_since(video[129].packet.pts);
    assert!((0..1_000_000).contains(&age), "{age} us old");
    drop(s);
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 2000);
    let sound = take(&mut s, Track::Audio, 150).await;
    assert_growing(&sound);
    assert!(largest_step(&sound) <= 60, "{} ms between two packets", largest_step(&sound));
    let lag = sound[149].packet.pts.micros_since(SystemClock.mono());
    assert!(lag.abs() < 1_000_000, "{lag} us");
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_sound_and_one_that_cannot_seek_play_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let clip = clips::make(&dir, "x264enc ! mpegtsmux", 200, 200, 20, 20, false);
    let mut c = config(Source::File(clip));
    c.audio.source = AudioSource::Source;
    let b = start(c);
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 2000);
    let video = take(&mut s, Track::Video, 50).await;
    assert!(video.iter().filter(|d| d.discontinuity).count() >= 2, "each round is marked as a jump");
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_and_what_is_wrong_are_distinguished() {
    let dir = tempfile::tempdir().expect("a folder");
    let junk = dir.path().join("junk.mp4");
    std::fs::write(&junk, "no video, only text that goes on for a while").expect("written");
    for (source, kind, word) in [
        (Source::File("/nonexistent/clip.mp4".into()), ErrorKind::NotFound, "is not there"),
        (Source::V4l2(VideoName::Number(987)), ErrorKind::NotFound, "plug the camera in"),
        (Source::File(junk), ErrorKind::Invalid, "junk.mp4"),
        (Source::File(dir.path().into()), ErrorKind::Invalid, "not a file"),
    ] {
        let began = SystemClock.mono();
        let e = start(config(source)).end().await.expect_err("cannot run");
        assert_eq!(e.kind(), kind, "{e}");
        assert!(e.to_string().contains(word), "{e}");
        assert!(SystemClock.mono().since(began) < Duration::from_secs(8), "{e}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gstreamer_syntax_in_a_path_is_a_path() {
    let dir = tempfile::tempdir().expect("a folder");
    let bait = dir.path().join("bait");
    let path = format!("/nonexistent ! filesink location={}", bait.display());
    start(config(Source::File(path.into()))).end().await.expect_err("no such file");
    let clip = clips::make(&dir, "x264enc ! mp4mux", 64, 64, 10, 20, false);
    let hostile =
        dir.path().join(format!("\" ! filesink location={} name=x \\", bait.display().to_string().replace('/', "_")));
    std::fs::rename(clip, &hostile).expect("a valid name");
    let b = start(config(Source::File(hostile)));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 100);
    take(&mut s, Track::Video, 5).await;
    assert!(!bait.exists());
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_falls_silent_is_stalled() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("source")).expect("made");
    // Ends after a second, and nobody is notified: the other branch has nothing yet.
    let text = "# param width: int px 16..7680 = 1280 - w\n# param height: int px 16..4320 = 720 - h\n\
                # param fps: int 1/s 1..120 = 30 - f\n\
                funnel name=f videotestsrc is-live=true num-buffers=20 \
                ! video/x-raw,width={width},height={height},framerate={fps}/1 ! f. appsrc is-live=true ! f.";
    std::fs::write(dir.path().join("source/test.gst"), text).expect("written");
    std::fs::write(dir.path().join("source/test-plain.gst"), text).expect("written");
    let b = start_with(config(Source::Test), Some(dir.path()));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 100);
    take(&mut s, Track::Video, 10).await;
    let began = SystemClock.mono();
    let ended = b.end().await.expect("no error");
    assert!(matches!(ended, CaptureEnd::Stalled { for_ } if for_ >= Duration::from_secs(3)), "{ended:?}");
    assert!(SystemClock.mono().since(began) < Duration::from_secs(5));
}

/// Nothing here waits for the machine's time: the clock stands still until it is turned.
#[tokio::test(flavor = "multi_thread")]
async fn the_wait_for_a_first_picture_goes_by_the_clock() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("source")).expect("made");
    for name in ["source/test.gst", "source/test-plain.gst"] {
        std::fs::write(dir.path().join(name), "appsrc is-live=true").expect("written");
    }
    let clock = Arc::new(ManualClock::default());
    let b = start_by(clock.clone(), config(Source::Test), Some(dir.path()), Arc::default());
    let waits = async |what: &str, is_so: &(dyn Fn() -> bool + Sync)| {
        let waited = timeout(Duration::from_secs(30), async {
            while !is_so() {
                tokio::task::yield_now().await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what}"));
    };
    waits("it plays", &|| b.events.lock().expect("whole").contains(&CaptureEvent::Playing)).await;
    waits("it watches", &|| clock.next_wake().is_some_and(|at| at <= clock.mono() + Duration::from_millis(1100))).await;
    clock.advance(Duration::from_secs(14));
    waits("it goes on waiting", &|| b.run.is_finished() || clock.next_wake().is_some_and(|at| at > clock.mono())).await;
    assert!(!b.run.is_finished());
    clock.advance(Duration::from_secs(2));
    let e = b.end().await.expect_err("no picture");
    assert!(e.to_string().contains("no picture within 15 s"), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_microphone_does_not_stop_the_picture() {
    let mut c = config(Source::Test);
    c.audio.source = AudioSource::Alsa("hw:77,7".into());
    let b = start(c);
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 500);
    take(&mut s, Track::Video, 3).await;
    let (_trigger, mut shutdown) = shutdown::channel();
    let why = b.capture.run_microphone(&|| {}, &mut shutdown).await.expect_err("there is none");
    assert!(why.to_string().contains("hw:77,7"), "{why}");
    take(&mut s, Track::Video, 30).await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_microphone_that_falls_silent_is_reported_and_started_again() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("audio")).expect("made");
    // Ends after a second, and nobody is notified.
    let text = "funnel name=f audiotestsrc is-live=true num-buffers=50 samplesperbuffer=960 ! f. \
                appsrc is-live=true ! f. f. ! capsfilter caps=audio/x-raw,format=S16LE,rate=48000,channels=1";
    std::fs::write(dir.path().join("audio/test.gst"), text).expect("written");
    let mut c = config(Source::Test);
    c.audio.source = AudioSource::Test;
    let b = start_with(c, Some(dir.path()));
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 2000);
    let (_trigger, mut shutdown) = shutdown::channel();
    let heard = std::sync::atomic::AtomicU32::new(0);
    let count = || {
        heard.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    };
    for times in 1..=2 {
        let silent = b.capture.run_microphone(&count, &mut shutdown);
        let why = timeout(Duration::from_secs(20), silent).await.expect("in time").expect_err("it falls silent");
        assert_eq!(why.to_string(), "the microphone delivers nothing: is it unplugged?");
        assert_eq!(heard.load(std::sync::atomic::Ordering::SeqCst), times);
        take(&mut s, Track::Audio, 20).await;
    }
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_hangs_gets_no_more_threads() {
    let b = start(config(Source::Test));
    let capture = b.capture.clone();
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 100);
    take(&mut s, Track::Video, 3).await;
    b.stop().await;
    let hanging = [capture.settings.threads.enter(), capture.settings.threads.enter()];
    let (_trigger, shutdown) = shutdown::channel();
    let e = capture.run_once(&|_| {}, shutdown).await.expect_err("hangs");
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(e.to_string().contains("the driver hangs: unplug"), "{e}");
    drop(hanging);
    assert!(!capture.settings.threads.hang());
}

/// A folder whose text of the encoder has it wait for 200 ms at each picture.
pub(super) fn slow_encoder() -> tempfile::TempDir {
    crate::init().expect("starts");
    let element = crate::encoders::probe(VideoCodec::H264).expect("an encoder").element;
    let texts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipelines/encoder");
    let text = std::fs::read_to_string(texts.join(format!("{element}.gst"))).expect("its text");
    let (line, slow) = (format!("\n{element} name=enc"), format!("\nidentity sleep-time=200000 ! {element} name=enc"));
    assert!(text.contains(&line), "{text}");
    let own = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(own.path().join("encoder")).expect("made");
    std::fs::write(own.path().join(format!("encoder/{element}.gst")), text.replace(&line, &slow)).expect("written");
    own
}

impl Bench {
    /// Until the attempt says that the box is behind.
    pub async fn falls_behind(&self) -> Overload {
        let behind = |e: &CaptureEvent| if let CaptureEvent::Pace(Pace::Behind(o)) = e { Some(*o) } else { None };
        let waited = timeout(Duration::from_secs(60), async {
            loop {
                let said = self.events.lock().expect("whole").iter().find_map(behind);
                match said {
                    Some(overload) => return overload,
                    None => sleep(Duration::from_millis(100)).await,
                }
            }
        });
        waited.await.expect("in time")
    }
}

/// Pictures that the encoder has no time for are dropped before it, and the attempt says how far the box is behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_encoder_that_is_too_slow_is_reported() {
    let own = slow_encoder();
    let b = start_with(config(Source::Test), Some(own.path()));
    let overload = b.falls_behind().await;
    assert!(overload.done_fps <= 6.0 && overload.done_fps < 0.75 * overload.wanted_fps, "{overload:?}");
    assert_eq!(overload.part, Bottleneck::Main);
    b.stop().await;
}

/// All that reaches the encoder is encoded at once; what is missing got lost before, for want of time.
#[tokio::test(flavor = "multi_thread")]
async fn a_box_too_slow_to_capture_what_was_asked_is_reported() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("source")).expect("made");
    let text = "# param width: int px 16..7680 = 1280 - w\n# param height: int px 16..4320 = 720 - h\n\
                # param fps: int 1/s 1..120 = 30 - f\n\
                videotestsrc is-live=true ! video/x-raw,width={width},height={height},framerate={fps}/1 \
                ! queue leaky=downstream max-size-buffers=1 ! identity sleep-time=200000";
    for name in ["source/test.gst", "source/test-plain.gst"] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let b = start_with(config(Source::Test), Some(dir.path()));
    let overload = b.falls_behind().await;
    assert!(
        overload.came_fps <= 6.0 && overload.part == Bottleneck::Main && overload.wanted_fps == 20.0,
        "{overload:?}"
    );
    let reason = overload.reason();
    assert!(reason.contains(" of 20 frames a second are captured: lower the camera's size or frame rate"), "{reason}");
    b.stop().await;
}
