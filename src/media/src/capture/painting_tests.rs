//! What is masked is seen nowhere: what comes out is decoded, and every picture is looked at.

use super::*;
use crate::capture::fake::Fake;
use crate::capture::tests::config;
use crate::capture::{Capture, LumaFrame, Means};
use crate::fanout::{Delivery, Hub, Receipt, Sink};
use crate::pipeline::Library;
use bytes::Bytes;
use gstreamer_app as gst_app;
use perch_base::clock::SystemClock;
use perch_base::shutdown::{self, Trigger};
use perch_base::zone::Zone;
use perch_domain::camera::{CameraConfig, Source};
use perch_domain::capture_attempt::CaptureEnd;
use perch_domain::media::{Stream, Track, VideoCodec};
use perch_domain::motion::Polygon;
use perch_domain::still_turns::Asker;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const LONG: Duration = Duration::from_secs(60);
/// A white test camera.
const WHITE: &str = "# purpose: white\n# param width: int px 16..7680 = 320 - width\n# param height: int px 16..4320 = 240 - height\n\
    # param fps: int 1/s 1..120 = 20 - rate\nvideotestsrc is-live=true pattern=white \
    ! capsfilter caps=video/x-raw,format=FORMAT,width={width},height={height},framerate={fps}/1";

/// One for pictures of any format.
const ENCODER: &str = concat!(
    "# param bitrate_kbps: int kbit/s 16..100000 = 1000 - rate\n# param gop: int frames 1..1000 = 30 - frames\n\
     # param threads: int threads 1..16 = 2 - cores\nvideoconvert ! ",
    "x264enc name=enc tune=zerolatency speed-preset=ultrafast sliced-threads=true threads={threads} bitrate={bitrate_kbps} \
     key-int-max={gop} byte-stream=true ! capsfilter caps=video/x-h264,profile=constrained-baseline"
);

fn polygon(corners: &[(f32, f32)]) -> Polygon {
    Polygon::new(corners.to_vec()).expect("a polygon")
}

fn area(left: f32, top: f32, right: f32, bottom: f32) -> Polygon {
    polygon(&[(left, top), (right, top), (right, bottom), (left, bottom)])
}

/// One that is hidden, and the one that stays.
const LEFT: (f32, f32, f32, f32) = (0.1, 0.2, 0.4, 0.7);
const RIGHT: (f32, f32, f32, f32) = (0.6, 0.25, 0.9, 0.8);

pub(crate) fn left() -> Polygon {
    area(LEFT.0, LEFT.1, LEFT.2, LEFT.3)
}

fn right() -> Polygon {
    area(RIGHT.0, RIGHT.1, RIGHT.2, RIGHT.3)
}

/// What is seen of a white picture: whether each area is black all over and white all over, and whether all else is white. Pixels at an edge
/// are left out: an encoder blurs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub left: Option<bool>,
    pub right: Option<bool>,
    pub rest_is_white: bool,
}

pub(crate) const ONLY_LEFT: Seen = Seen { left: Some(true), right: Some(false), rest_is_white: true };
const ONLY_RIGHT: Seen = Seen { left: Some(false), right: Some(true), rest_is_white: true };

pub(crate) struct Grey {
    pub width: usize,
    pub pixels: Vec<u8>,
}

impl Grey {
    pub(crate) fn look(&self) -> Seen {
        let height = self.pixels.len() / self.width;
        let edge = (6.0 / self.width as f32, 6.0 / height as f32);
        let place = |n: usize| ((n % self.width) as f32 + 0.5, (n / self.width) as f32 + 0.5);
        let place = |n: usize| (place(n).0 / self.width as f32, place(n).1 / height as f32);
        let is_in = |(x, y): (f32, f32), a: (f32, f32, f32, f32), by: f32| {
            (a.0 - by * edge.0..a.2 + by * edge.0).contains(&x) && (a.1 - by * edge.1..a.3 + by * edge.1).contains(&y)
        };
        let all = |within: &dyn Fn((f32, f32)) -> bool, is: &dyn Fn(u8) -> bool| {
            self.pixels.iter().enumerate().filter(|(n, _)| within(place(*n))).all(|(_, p)| is(*p))
        };
        let covered = |a| match (all(&|p| is_in(p, a, -1.0), &|p| p < 60), all(&|p| is_in(p, a, -1.0), &|p| p > 190)) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        };
        let rest_is_white = all(&|p| !is_in(p, LEFT, 1.0) && !is_in(p, RIGHT, 1.0), &|p| p > 190);
        Seen { left: covered(LEFT), right: covered(RIGHT), rest_is_white }
    }
}

/// The pictures of a stream, decoded.
pub(crate) fn decoded(packets: &[Bytes]) -> Vec<Grey> {
    let text = "appsrc name=in format=time caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse \
        ! avdec_h264 max-threads=1 ! videoconvert ! video/x-raw,format=I420 ! appsink name=out sync=false";
    pictures(text, packets)
}

fn pictures(text: &str, packets: &[Bytes]) -> Vec<Grey> {
    crate::init().expect("starts");
    let pipeline = gst::parse::launch(text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
    let entry: gst_app::AppSrc = pipeline.by_name("in").expect("there").downcast().expect("an appsrc");
    let exit: gst_app::AppSink = pipeline.by_name("out").expect("there").downcast().expect("an appsink");
    pipeline.set_state(gst::State::Playing).expect("plays");
    for (n, packet) in (0u64..).zip(packets) {
        let mut buffer = gst::Buffer::from_slice(packet.clone());
        buffer.get_mut().expect("new").set_pts(gst::ClockTime::from_mseconds(n * 40));
        entry.push_buffer(buffer).expect("taken");
    }
    entry.end_of_stream().expect("ends");
    let mut all = Vec::new();
    while let Ok(sample) = exit.pull_sample() {
        let info = gst_video::VideoInfo::from_caps(sample.caps().expect("caps")).expect("video");
        let frame =
            gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer().expect("one"), &info).expect("read");
        let (width, stride) = (info.width() as usize, frame.plane_stride()[0] as usize);
        let plane = frame.plane_data(0).expect("luma");
        let rows = plane.chunks(stride).take(info.height() as usize);
        all.push(Grey { width, pixels: rows.flat_map(|row| &row[..width]).copied().collect() });
    }
    pipeline.set_state(gst::State::Null).expect("ends");
    all
}

/// Pictures, each with what the test was at when it came.
type Kept = Arc<Mutex<Vec<(usize, Bytes)>>>;

/// Keeps every picture with what the test was at when it came.
struct Keep {
    at: Arc<AtomicUsize>,
    all: Kept,
}

impl Sink for Keep {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        if delivery.packet.track == Track::Video {
            lock(&self.all).push((self.at.load(Ordering::SeqCst), delivery.packet.data.clone()));
        }
        Receipt::Taken
    }
}

struct Bench {
    capture: Arc<Capture>,
    hub: Arc<Hub>,
    lumas: Arc<Mutex<Vec<Vec<u8>>>>,
    at: Arc<AtomicUsize>,
    trigger: Trigger,
    run: JoinHandle<Result<CaptureEnd>>,
    _dir: tempfile::TempDir,
}

fn start(format: &str, change: impl FnOnce(&mut CameraConfig)) -> Bench {
    crate::init().expect("starts");
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("source");
    std::fs::create_dir_all(&folder).expect("made");
    for name in ["test", "test-plain"] {
        std::fs::write(folder.join(format!("{name}.gst")), WHITE.replace("FORMAT", format)).expect("written");
    }
    // One that takes whatever comes.
    std::fs::create_dir_all(dir.path().join("encoder")).expect("made");
    std::fs::write(dir.path().join("encoder/x264enc.gst"), ENCODER).expect("written");
    let mut config = config(Source::Test);
    config.motion.enabled = true;
    change(&mut config);
    start_by(config, dir)
}

fn start_by(config: CameraConfig, dir: tempfile::TempDir) -> Bench {
    let clock: perch_base::clock::SharedClock = Arc::new(SystemClock);
    let hub = Hub::new(config.id.clone(), clock.clone());
    let lumas: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let kept = lumas.clone();
    let library = Arc::new(Library::load(Some(dir.path())).expect("well formed"));
    let means = Means {
        library,
        ingest: Arc::new(Fake::default()),
        machine: Default::default(),
        zone: Arc::new(Zone::utc),
        encodes_vp8: true,
    };
    let luma = Arc::new(move |frame: LumaFrame| lock(&kept).push(frame.pixels));
    let capture = Arc::new(Capture::new(config, means, hub.clone(), clock, luma));
    let (trigger, shutdown) = shutdown::channel();
    let runner = capture.clone();
    let run = tokio::spawn(async move { runner.run_once(&|_| {}, shutdown).await });
    Bench { capture, hub, lumas, at: Arc::default(), trigger, run, _dir: dir }
}

impl Bench {
    fn keep(&self, stream: Stream) -> (Kept, crate::fanout::Attachment) {
        let all = Kept::default();
        let sink = Keep { at: self.at.clone(), all: all.clone() };
        (all, self.hub.attach(stream, false, "test", Box::new(sink)))
    }

    async fn still(&self) -> Grey {
        let turn = crate::still::Turns::default().take(Asker::Box).await.expect("its turn");
        let key = self.hub.latest_keyframe(Stream::Main).expect("a keyframe");
        let camera = self.hub.camera().clone();
        let data = vec![key.data.clone()];
        let made = tokio::task::spawn_blocking(move || {
            crate::still::jpeg(&turn, &camera, VideoCodec::H264, None, &data, None)
        });
        let jpeg = made.await.expect("no panic").expect("a still");
        let text = "appsrc name=in format=time caps=image/jpeg ! jpegdec ! videoconvert ! video/x-raw,format=I420 \
            ! appsink name=out sync=false";
        pictures(text, &[jpeg]).pop().expect("a picture")
    }
}

pub(crate) async fn until(what: &str, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(LONG, wait).await.is_ok(), "{what}");
}

pub(crate) fn looks(pictures: &[Grey]) -> Vec<Seen> {
    pictures.iter().map(Grey::look).collect()
}

fn of(kept: &Mutex<Vec<(usize, Bytes)>>) -> Vec<Bytes> {
    lock(kept).iter().map(|(_, data)| data.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_masked_is_seen_nowhere_from_the_first_picture_on() {
    for format in ["I420", "NV12"] {
        let b = start(format, |c| c.picture.privacy = vec![left()]);
        let ((main, _m), (sub, _s)) = (b.keep(Stream::Main), b.keep(Stream::Sub));
        let has = |kept: &Mutex<Vec<(usize, Bytes)>>, n| lock(kept).len() >= n;
        until("pictures", || has(&main, 30) && has(&sub, 12) && lock(&b.lumas).len() >= 5).await;
        for (what, kept, n) in [("main", &main, 30), ("sub", &sub, 12)] {
            let got = looks(&decoded(&of(kept)));
            assert!(got.len() >= n && got.iter().all(|seen| *seen == ONLY_LEFT), "{format} {what}: {got:?}");
        }
        for pixels in lock(&b.lumas).iter() {
            assert_eq!(Grey { width: 320, pixels: pixels.clone() }.look(), ONLY_LEFT, "{format}: the detector");
        }
        assert_eq!(b.still().await.look(), ONLY_LEFT, "{format}: a still");
        b.trigger.fire();
        assert_eq!(timeout(LONG, b.run).await.expect("ends").expect("no panic").expect("well"), CaptureEnd::Shutdown);
    }
}

/// While masks change again and again on a machine that is busy: whatever is handed on after a change carries it, nothing cached shows what
/// was before, and once a picture was seen with the new masks none is seen without.
#[tokio::test(flavor = "multi_thread")]
async fn no_picture_follows_a_change_that_does_not_carry_it() {
    const CHANGES: usize = 12;
    let b = start("I420", |c| {
        c.main.fps = 30;
        c.picture.privacy = vec![left()];
    });
    let ((main, _m), (sub, _s)) = (b.keep(Stream::Main), b.keep(Stream::Sub));
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let is_over = is_over.clone();
            std::thread::spawn(move || while !is_over.load(Ordering::Relaxed) {})
        })
        .collect();
    until("pictures", || lock(&main).len() >= 5 && lock(&sub).len() >= 2).await;
    let mut config = b.capture.config().clone();
    for n in 0..CHANGES {
        let is_right = n % 2 == 0;
        config.picture.privacy = vec![if is_right { right() } else { left() }];
        // Odd while it changes.
        b.at.fetch_add(1, Ordering::SeqCst);
        b.capture.follow(&config);
        b.at.fetch_add(1, Ordering::SeqCst);
        if let Some(key) = b.hub.latest_keyframe(Stream::Main) {
            let seen = looks(&decoded(std::slice::from_ref(&key.data)));
            assert_eq!(seen, [if is_right { ONLY_RIGHT } else { ONLY_LEFT }], "what is kept after change {n}");
        }
        b.capture.followed().await;
        assert_eq!(b.still().await.look(), if is_right { ONLY_RIGHT } else { ONLY_LEFT }, "a still after change {n}");
        let before = (lock(&main).len(), lock(&sub).len());
        until("pictures after a change", || lock(&main).len() > before.0 && lock(&sub).len() > before.1).await;
    }
    is_over.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|thread| thread.join().expect("no panic"));
    b.trigger.fire();
    let _ = timeout(LONG, b.run).await.expect("ends");
    for (what, kept) in [("main", main), ("sub", sub)] {
        let kept = std::mem::take(&mut *lock(&kept));
        let packets: Vec<_> = kept.iter().map(|(_, data)| data.clone()).collect();
        let seen = looks(&decoded(&packets));
        assert_eq!(seen.len(), kept.len(), "{what}: every picture is decoded");
        for ((at, _), seen) in kept.iter().zip(&seen) {
            // After change n (from 0) it is at 2n + 2.
            let masked = |at: usize| if at % 4 == 2 { ONLY_RIGHT } else { ONLY_LEFT };
            match at % 2 {
                0 => assert_eq!(*seen, masked(*at), "{what} at {at}"),
                _ => assert!([masked(at - 1), masked(at + 1)].contains(seen), "{what} at {at}: {seen:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_cannot_be_painted_are_not_shown() {
    let b = start("RGB", |c| {
        c.picture.privacy = vec![left()];
        c.motion.enabled = false;
    });
    let (main, _m) = b.keep(Stream::Main);
    let why = timeout(LONG, b.run).await.expect("ends").expect("no panic").expect_err("not shown");
    assert_eq!(why.kind(), perch_base::ErrorKind::Invalid);
    assert!(why.message().contains("cannot be masked"), "{why}");
    assert!(lock(&main).is_empty() && lock(&b.lumas).is_empty());
}

#[test]
fn planes_of_every_format_are_painted_where_a_block_is_covered_and_nowhere_else() {
    crate::init().expect("starts");
    let star = polygon(&[(0.5, 0.05), (0.79, 0.95), (0.02, 0.39), (0.98, 0.39), (0.21, 0.95)]);
    let edge = area(0.9, 0.0, 1.0, 1.0);
    let masks = [star, edge];
    use gst_video::VideoFormat as F;
    for format in [F::I420, F::Yv12, F::Nv12, F::Nv21, F::Y42b, F::Nv16, F::Y444, F::Gray8] {
        for (width, height) in [(64, 48), (37, 23), (2, 2), (1, 1)] {
            let info = gst_video::VideoInfo::builder(format, width, height).build().expect("a format");
            let caps = info.to_caps().expect("caps");
            let word = Word { number: 1, masks: masks.to_vec().into() };
            let plan = Plan::new(caps, &word).expect("known");
            let mut buffer = gst::Buffer::with_size(info.size()).expect("memory");
            {
                let buffer = buffer.get_mut().expect("new");
                buffer.map_writable().expect("mapped").as_mut_slice().fill(77);
                plan.paint(buffer).expect("painted");
            }
            let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(&buffer, &info).expect("mapped");
            let covered = runs(&masks, width as usize, height as usize);
            let is_covered =
                |x: usize, y: usize| covered.iter().any(|r| r.row == y / 2 && (r.from..r.to).contains(&(x / 2)));
            for (n, plane) in (0..).zip(planes(format).expect("known")) {
                let (stride, data) = (frame.plane_stride()[n as usize] as usize, frame.plane_data(n).expect("plane"));
                let samples = (width as usize).div_ceil(plane.pixels.0);
                for (y, line) in data.chunks(stride).take((height as usize).div_ceil(plane.pixels.1)).enumerate() {
                    for (x, byte) in line.iter().enumerate() {
                        let sample = x / plane.bytes;
                        let is = sample < samples && is_covered(sample * plane.pixels.0, y * plane.pixels.1);
                        let want = if is { plane.value } else { 77 };
                        assert_eq!(*byte, want, "{format:?} {width}x{height} plane {n} at {x} {y}");
                    }
                }
            }
        }
    }
}

/// Name and time stand in the picture, above a mask too, whatever the name is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_into_pictures_is_seen_in_all_of_them() {
    use perch_domain::picture_settings::Overlay;
    let all = area(0.0, 0.0, 1.0, 1.0);
    for (overlay, is_seen) in [
        (Overlay { time: true, name: false }, true),
        (Overlay { time: false, name: true }, true),
        (Overlay { time: true, name: true }, true),
        (Overlay::default(), false),
    ] {
        let b = start("I420", |c| {
            c.name = "<b>Yard & \"co\" ! fakesink".into();
            c.picture.privacy = vec![all.clone()];
            c.picture.overlay = overlay;
        });
        let ((main, _m), (sub, _s)) = (b.keep(Stream::Main), b.keep(Stream::Sub));
        until("pictures", || lock(&main).len() >= 5 && lock(&sub).len() >= 3).await;
        for kept in [&main, &sub] {
            for picture in decoded(&of(kept)) {
                let half = picture.pixels.len() / 2;
                let bright = |pixels: &[u8]| pixels.iter().filter(|p| **p > 120).count();
                let (above, below) = (bright(&picture.pixels[..half]), bright(&picture.pixels[half..]));
                assert_eq!((above, below > 20), (0, is_seen), "{overlay:?}: {below}");
            }
        }
        b.trigger.fire();
        let _ = timeout(LONG, b.run).await.expect("ends");
    }
}
