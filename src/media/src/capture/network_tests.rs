//! Network cameras with real encoders and decoders, and scripts by a clock that is turned: what the hub gets, what fails alone, what is said.

use super::fake::{Fake, FakeCamera, offer, picture};
use super::tests::{Bench, assert_growing, config, kinds, slow_encoder, start_by, take};
use super::*;
use perch_base::clock::{Clock, ManualClock, SystemClock};
use perch_domain::camera::AudioSource;
use perch_domain::ingest::{Intake, PictureCodec, Shape, SoundCodec, SoundFormat};
use perch_domain::media::{Track, VideoCodec};
use perch_domain::network_camera::Aspect;
use perch_domain::orientation::Orientation;
use perch_domain::pace::Bottleneck;
use std::sync::atomic::Ordering;
use tokio::time::{sleep, timeout};

const URL: &str = "rtsp://cam/live";
const SECOND: &str = "rtsp://cam/second";
const BALL: &str = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=20/1";
const AU: &str =
    "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=video";
const SHAPE: Shape =
    Shape { width: 320, height: 240, pixel: (1, 1), interlaced: false, orientation: Orientation::NONE };

fn h264(source: &str, encoder: &str, rest: &str) -> FakeCamera {
    sends(PictureCodec::H264, format!("{source} ! {encoder} ! {AU} {rest}"), None)
}

fn sends(pictures: PictureCodec, launch: String, sound: Option<SoundFormat>) -> FakeCamera {
    FakeCamera::Sends { launch, offer: offer(pictures, sound), shape: Some(SHAPE) }
}

fn plain() -> FakeCamera {
    h264(BALL, "x264enc tune=zerolatency key-int-max=20", "")
}

fn network() -> CameraConfig {
    crate::init().expect("starts");
    config(Source::parse(URL).expect("a source"))
}

fn begin(config: CameraConfig, ingest: &Arc<Fake>) -> Bench {
    SystemClock.mono();
    start_by(Arc::new(SystemClock), config, None, ingest.clone())
}

impl Bench {
    fn said(&self) -> Vec<CaptureEvent> {
        self.events.lock().expect("whole").clone()
    }

    /// Until one of the events is such.
    async fn hears(&self, what: &str, is: impl Fn(&CaptureEvent) -> bool) {
        let waited = timeout(Duration::from_secs(60), async {
            while !self.said().iter().any(&is) {
                sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{what}: {:?}", self.said()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_passed_through_and_decoded_for_motion_and_the_small_stream() {
    let main = "x264enc tune=zerolatency key-int-max=20 ! video/x-h264,profile=main";
    let ingest = Fake::with(URL, h264(BALL, main, ""));
    let mut c = network();
    c.motion.enabled = true;
    let b = begin(c, &ingest);
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    let video = take(&mut s, Track::Video, 50).await;
    assert_growing(&video);
    assert!(video[0].packet.keyframe);
    let sps = perch_domain::bitstream::nal_units(&video[0].packet.data).find(|n| n[0] & 0x1f == 7).expect("an SPS");
    assert_eq!(sps[1], 77, "the camera's main profile is untouched");
    let age = SystemClock.mono().micros_since(video[49].packet.pts);
    assert!((-100_000..5_000_000).contains(&age), "{age} us old");
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    let small = take(&mut sub, Track::Video, 5).await;
    assert!(small[0].packet.keyframe && kinds(&small[0].packet).contains(&7));
    assert!(b.lumas.load(Ordering::SeqCst) >= 5);
    assert_eq!(b.capture.figures().encoders, 1);
    let offering = b.capture.offers_now();
    assert_eq!((offering.shape, offering.reorders, offering.codec), (Some(SHAPE), false, VideoCodec::H264));
    assert!(
        !b.said().iter().any(|e| matches!(e, CaptureEvent::Small(Some(_)) | CaptureEvent::MotionPictures(Some(_))))
    );
    b.stop().await;
    assert_eq!(ingest.sessions(URL), 1);
    assert!(!ingest.is_open(URL));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decoded_while_nobody_needs_it() {
    let b = begin(network(), &Fake::with(URL, plain()));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    take(&mut s, Track::Video, 10).await;
    for _ in 0..2 {
        assert_eq!(b.capture.figures().encoders, 0);
        let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
        let first = take(&mut sub, Track::Video, 1).await.remove(0);
        assert!(first.packet.keyframe);
        assert_growing(&take(&mut sub, Track::Video, 5).await);
        drop(sub);
        let gone = timeout(Duration::from_secs(20), async {
            while b.capture.figures().encoders > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        });
        gone.await.expect("the decoder goes");
    }
    b.stop().await;
}

/// The decoder gets the group of pictures from its start: nobody waits for the next keyframe, minutes away.
#[tokio::test(flavor = "multi_thread")]
async fn the_small_stream_begins_in_the_middle_of_a_long_gop() {
    let b = begin(network(), &Fake::with(URL, h264(BALL, "x264enc tune=zerolatency key-int-max=100000", "")));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    take(&mut s, Track::Video, 60).await;
    let asked = SystemClock.mono();
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    let small = take(&mut sub, Track::Video, 5).await;
    assert_growing(&small);
    let first = small[0].packet.pts;
    assert!(first >= asked - Duration::from_millis(100), "nothing old comes out");
    drop(b);
}

#[tokio::test(flavor = "multi_thread")]
async fn interlaced_pictures_are_recorded_as_they_are_and_deinterlaced_for_the_small_stream() {
    let fields = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=20/1,interlace-mode=progressive \
                  ! interlace field-pattern=1:1";
    let b =
        begin(network(), &Fake::with(URL, h264(fields, "x264enc tune=zerolatency key-int-max=20 interlaced=true", "")));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    take(&mut s, Track::Video, 10).await;
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    take(&mut sub, Track::Video, 10).await;
    take(&mut s, Track::Video, 30).await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_small_stream_of_a_camera_on_its_side_is_upright() {
    let orientation = Orientation { mirrored: false, quarters: 1 };
    let launch = format!("{BALL} ! x264enc tune=zerolatency key-int-max=20 ! {AU}");
    let shape = Some(Shape { orientation, ..SHAPE });
    let camera = FakeCamera::Sends { launch, offer: offer(PictureCodec::H264, None), shape };
    let config = network();
    let want = (config.sub.height, config.sub.width);
    let b = begin(config, &Fake::with(URL, camera));
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    let small = take(&mut sub, Track::Video, 5).await;
    let units = perch_domain::bitstream::nal_units(&small[0].packet.data);
    let sps = units.filter_map(perch_domain::h264::Sps::parse).next().expect("a keyframe");
    assert_eq!((u32::from(sps.width), u32::from(sps.height)), want);
    b.stop().await;
}

/// Slices that no decoder takes: who records gets them all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_that_fails_ends_neither_capture_nor_recording() {
    let own = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(own.path().join("decode")).expect("made");
    let text = "appsrc name=in format=time is-live=true caps=video/x-h264,stream-format=byte-stream,alignment=au \
                ! h264parse name=parse ! identity error-after=5 ! avdec_h264 ! videoconvert ! capsfilter caps=video/x-raw,format=I420";
    std::fs::write(own.path().join("decode/avdec_h264.gst"), text).expect("written");
    let mut c = network();
    c.motion.enabled = true;
    let b = start_by(Arc::new(SystemClock), c, Some(own.path()), Fake::with(URL, plain()));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 5000);
    b.hears("motion is blind", |e| matches!(e, CaptureEvent::MotionPictures(Some(_)))).await;
    b.hears("no small stream", |e| matches!(e, CaptureEvent::Small(Some(_)))).await;
    let all = take(&mut s, Track::Video, 60).await;
    assert!(all[1..].iter().all(|d| !d.discontinuity), "the large stream has no hole");
    b.stop().await;
}

/// A decoder's memory would grow with the picture; the camera's own packets go on.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_are_huge_are_recorded_and_not_decoded() {
    let source = "videotestsrc is-live=true pattern=black ! video/x-raw,width=8208,height=64,framerate=10/1";
    let camera = h264(source, "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10", "");
    let mut c = network();
    c.motion.enabled = true;
    let b = begin(c, &Fake::with(URL, camera));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    let _sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    assert_growing(&take(&mut s, Track::Video, 30).await);
    b.hears("why", |e| matches!(e, CaptureEvent::MotionPictures(Some(why)) if why.contains("too large"))).await;
    assert_eq!(b.lumas.load(Ordering::SeqCst), 0);
    assert!(b.hub.latest_keyframe(Stream::Sub).is_none());
    b.stop().await;
}

/// The grey of a picture's left edge in the middle, and of its centre.
fn edge_and_centre(keyframe: &[u8], (width, height): (usize, usize)) -> (u8, u8) {
    let text = "appsrc name=in format=time caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse ! avdec_h264 \
                ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=out sync=false";
    let pipeline = gstreamer::parse::launch(text).expect("parses").downcast::<gstreamer::Pipeline>().expect("one");
    use gstreamer::prelude::*;
    let app = |name: &str| pipeline.by_name(name).expect("there");
    let (entry, out) = (app("in").downcast::<gstreamer_app::AppSrc>(), app("out").downcast::<gstreamer_app::AppSink>());
    let (entry, out) = (entry.expect("an appsrc"), out.expect("an appsink"));
    pipeline.set_state(gstreamer::State::Playing).expect("plays");
    entry.push_buffer(gstreamer::Buffer::from_slice(keyframe.to_vec())).expect("taken");
    entry.end_of_stream().expect("ended");
    let sample = out.pull_sample().expect("a picture");
    let map = sample.buffer().expect("a buffer").map_readable().expect("readable");
    let stride = map.len() / height;
    let at = |x: usize| map[height / 2 * stride + x];
    let seen = (at(1), at(width / 2));
    let _ = pipeline.set_state(gstreamer::State::Null);
    seen
}

/// White pictures of 704x480: where they are as wide as 16:9, they fill a small stream of that shape, else bars stand beside them.
#[tokio::test(flavor = "multi_thread")]
async fn the_small_stream_has_the_shape_of_the_cameras_pictures() {
    let source = |pixel: &str| {
        format!(
            "videotestsrc is-live=true pattern=white ! video/x-raw,width=704,height=480,framerate=10/1,pixel-aspect-ratio={pixel}"
        )
    };
    for (pixel, aspect, is_filled) in [("40/33", None, true), ("1/1", None, false), ("1/1", Some((16, 9)), true)] {
        let mut c = network();
        (c.sub.width, c.sub.height) = (320, 180);
        c.aspect = aspect.map(|(width, height)| Aspect { width, height });
        let b = begin(c, &Fake::with(URL, h264(&source(pixel), "x264enc tune=zerolatency key-int-max=10", "")));
        let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
        let first = take(&mut sub, Track::Video, 1).await.remove(0);
        let (edge, centre) = edge_and_centre(&first.packet.data, (320, 180));
        assert!(centre > 200 && (edge > 200) == is_filled, "{pixel} {aspect:?}: {edge} {centre}");
        b.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jpeg_is_encoded_once() {
    let launch = format!("{BALL} ! jpegenc ! appsink name=video");
    let mut c = network();
    c.motion.enabled = true;
    let b = begin(c, &Fake::with(URL, sends(PictureCodec::Jpeg, launch, None)));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    let video = take(&mut s, Track::Video, 40).await;
    assert_growing(&video);
    assert!(video[0].packet.keyframe && kinds(&video[0].packet).contains(&7));
    b.hub.request_keyframe(Stream::Main);
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    take(&mut sub, Track::Video, 5).await;
    assert!(b.lumas.load(Ordering::SeqCst) >= 2);
    assert_eq!(b.capture.figures().encoders, 2);
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_decoded_while_somebody_listens() {
    let tone = "audiotestsrc is-live=true samplesperbuffer=800 ! audio/x-raw,rate=8000,channels=1";
    for (codec, encoder) in [
        (SoundCodec::Pcma, "alawenc"),
        (SoundCodec::Pcmu, "mulawenc"),
        (SoundCodec::G726 { bits: 4, high_first: true }, "avenc_g726"),
        (SoundCodec::G726 { bits: 4, high_first: false }, "avenc_g726"),
        (SoundCodec::L16, "audioconvert ! audio/x-raw,format=S16BE"),
        (SoundCodec::MpegAudio { layer: 3 }, "lamemp3enc target=bitrate bitrate=32 cbr=true ! mpegaudioparse"),
    ] {
        let format = SoundFormat { codec, rate_hz: 8000, channels: 1 };
        let launch =
            format!("{BALL} ! x264enc tune=zerolatency key-int-max=20 ! {AU} {tone} ! {encoder} ! appsink name=audio");
        let mut c = network();
        c.audio.source = AudioSource::Source;
        let b = begin(c, &Fake::with(URL, sends(PictureCodec::H264, launch, Some(format.clone()))));
        let mut s = b.hub.subscribe(Stream::Main, true, "test", 2000);
        let sound = take(&mut s, Track::Audio, 25).await;
        assert_growing(&sound);
        for pair in sound.windows(2) {
            let step = pair[1].packet.pts.micros_since(pair[0].packet.pts);
            assert!((19_000..21_000).contains(&step), "{format:?}: {step} us");
        }
        let apart = sound[24].packet.pts.micros_since(SystemClock.mono());
        assert!(apart.abs() < 5_000_000, "{format:?}: {apart} us");
        b.hears("it is heard", |e| *e == CaptureEvent::Sound(None)).await;
        assert!(b.capture.offers_now().has_audio);
        b.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn opus_goes_out_as_it_is() {
    let tone =
        "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=1 ! opusenc frame-size=60 ! appsink name=audio";
    let launch = format!("{BALL} ! x264enc tune=zerolatency key-int-max=20 ! {AU} {tone}");
    let format = SoundFormat { codec: SoundCodec::Opus, rate_hz: 48_000, channels: 1 };
    let mut c = network();
    c.audio.source = AudioSource::Source;
    let b = begin(c, &Fake::with(URL, sends(PictureCodec::H264, launch, Some(format))));
    let mut s = b.hub.subscribe(Stream::Main, true, "test", 2000);
    let sound = take(&mut s, Track::Audio, 20).await;
    assert_growing(&sound);
    let lasts = sound[10].packet.duration;
    assert!((59..=61).contains(&lasts.as_millis()), "{lasts:?}");
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_that_cannot_be_heard_is_said_and_not_offered() {
    let format = |codec| Some(SoundFormat { codec, rate_hz: 8000, channels: 1 });
    for (sound, why) in [
        (None, "offers no sound"),
        (format(SoundCodec::Other("QCELP".into())), "is QCELP, which cannot be decoded"),
        // Offered, and never sent.
        (format(SoundCodec::Pcma), "offers sound and sends none"),
    ] {
        let launch = format!("{BALL} ! x264enc tune=zerolatency key-int-max=20 ! {AU}");
        let mut c = network();
        c.audio.source = AudioSource::Source;
        let b = begin(c, &Fake::with(URL, sends(PictureCodec::H264, launch, sound)));
        b.hears(why, |e| matches!(e, CaptureEvent::Sound(Some(said)) if said.contains(why))).await;
        assert!(!b.capture.offers_now().has_audio, "{why}");
        let mut s = b.hub.subscribe(Stream::Main, true, "test", 2000);
        take(&mut s, Track::Video, 10).await;
        b.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_is_the_small_one_and_fails_alone() {
    let ingest = Fake::with(URL, plain());
    let small = "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=10/1";
    ingest.set(SECOND, h264(small, "x264enc tune=zerolatency key-int-max=10", ""));
    let mut c = network();
    c.network.sub_source = Some(perch_base::secret::Secret::new(SECOND.to_owned()));
    let b = begin(c, &ingest);
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 5000);
    take(&mut s, Track::Video, 10).await;
    assert_eq!(ingest.sessions(SECOND), 0, "nobody needs it");
    for times in 1..=2 {
        let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
        let first = take(&mut sub, Track::Video, 5).await.remove(0);
        let sps = perch_domain::bitstream::nal_units(&first.packet.data).find(|n| n[0] & 0x1f == 7).expect("an SPS");
        assert_eq!(perch_domain::h264::Sps::parse(sps).expect("sane").width, 160);
        assert_eq!(ingest.sessions(SECOND), times);
        assert_eq!(b.capture.figures().encoders, 0, "nothing is encoded");
        drop(sub);
        let closed = timeout(Duration::from_secs(20), async {
            while ingest.is_open(SECOND) {
                sleep(Duration::from_millis(20)).await;
            }
        });
        closed.await.expect("it is left");
    }
    // It is gone: only the small stream is.
    ingest.set(
        SECOND,
        FakeCamera::Script {
            clock: Arc::new(SystemClock),
            steps: vec![],
            end: Err((ErrorKind::Unavailable, "is busy")),
        },
    );
    let _sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    let said = "the camera's second stream is busy";
    b.hears(said, |e| *e == CaptureEvent::Small(Some(said.into()))).await;
    let all = take(&mut s, Track::Video, 40).await;
    assert!(all[1..].iter().all(|d| !d.discontinuity), "the large stream has no hole");
    b.stop().await;
}

/// The box decodes the second stream, not the large one, for motion and for a small stream that everybody shows; and goes on where the camera is set to
/// H.264 meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_second_stream_in_h265_the_small_one_is_encoded() {
    let small = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=20/1";
    let encoder = "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! h265parse config-interval=-1";
    let launch =
        format!("{small} ! {encoder} ! video/x-h265,stream-format=byte-stream,alignment=au ! appsink name=video");
    let ingest = Fake::with(URL, plain());
    ingest.set(SECOND, sends(PictureCodec::H265, launch, None));
    let mut c = network();
    c.motion.enabled = true;
    c.network.sub_source = Some(perch_base::secret::Secret::new(SECOND.to_owned()));
    let size = (c.sub.width, c.sub.height);
    let b = begin(c, &ingest);
    let mut main = b.hub.subscribe(Stream::Main, false, "test", 5000);
    take(&mut main, Track::Video, 10).await;
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 2000);
    let packets = take(&mut sub, Track::Video, 10).await;
    assert_growing(&packets);
    let size_of = |keyframe: &[u8]| {
        let units = perch_domain::bitstream::nal_units(keyframe);
        let sps = units.filter(|n| n[0] & 0x1f == 7).find_map(perch_domain::h264::Sps::parse).expect("in H.264");
        (u32::from(sps.width), u32::from(sps.height))
    };
    assert!(packets[0].packet.keyframe);
    assert_eq!(size_of(&packets[0].packet.data), size, "as the settings say");
    assert!(b.lumas.load(Ordering::SeqCst) >= 1, "the detector sees it");
    assert_eq!(b.hub.consumers(Stream::Main), ["test"], "the large one is not decoded");
    assert_eq!(b.capture.figures().encoders, 1);
    let is_fault = |e: &CaptureEvent| matches!(e, CaptureEvent::Small(Some(_)) | CaptureEvent::MotionPictures(Some(_)));
    assert!(!b.said().iter().any(is_fault), "{:?}", b.said());

    ingest.set(SECOND, h264(small, "x264enc tune=zerolatency key-int-max=10", ""));
    ingest.hang_up(SECOND);
    let passed = timeout(Duration::from_secs(60), async {
        loop {
            let one = take(&mut sub, Track::Video, 1).await.remove(0);
            if one.packet.keyframe && size_of(&one.packet.data) == (160, 120) {
                return;
            }
        }
    });
    passed.await.expect("as it comes");
    let gone = timeout(Duration::from_secs(20), async {
        while b.capture.figures().encoders > 0 {
            sleep(Duration::from_millis(20)).await;
        }
    });
    gone.await.expect("nothing is encoded any more");
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn motion_sees_the_second_stream_and_the_large_one_is_not_decoded() {
    let ingest = Fake::with(URL, plain());
    let small = "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=10/1";
    ingest.set(SECOND, h264(small, "x264enc tune=zerolatency key-int-max=10", ""));
    let mut c = network();
    c.motion.enabled = true;
    c.network.sub_source = Some(perch_base::secret::Secret::new(SECOND.to_owned()));
    let b = begin(c, &ingest);
    let seen = timeout(Duration::from_secs(60), async {
        while b.lumas.load(Ordering::SeqCst) < 3 {
            sleep(Duration::from_millis(50)).await;
        }
    });
    seen.await.expect("the detector gets pictures");
    assert_eq!(b.hub.consumers(Stream::Main), Vec::<String>::new());
    assert_eq!(b.hub.consumers(Stream::Sub), ["decoder"]);
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_travel_out_of_order_are_passed_and_said_of() {
    let reordering =
        "x264enc bframes=2 b-adapt=false rc-lookahead=0 sync-lookahead=0 key-int-max=20 ! video/x-h264,profile=main";
    let b = begin(network(), &Fake::with(URL, h264(BALL, reordering, "")));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    assert_growing(&take(&mut s, Track::Video, 40).await);
    b.hears("B-frames", |e| matches!(e, CaptureEvent::Offers(offering) if offering.reorders)).await;
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    assert_growing(&take(&mut sub, Track::Video, 10).await);
    b.stop().await;
}

/// A recovery point (SEI) and slices of which some are intra, as cameras with intra refresh begin.
const RECOVERY: &[u8] = &[
    0, 0, 0, 1, 0x67, 66, 0xc0, 31, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 6, 6, 1, 0x2c, 0x80, 0, 0, 0, 1, 0x41, 0x9a,
    0x80,
];

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_without_keyframes_for_browsers_is_said_of() {
    let gop =
        |start: &'static [u8]| [&[(0.1, picture(start, true))][..], &vec![(0.1, picture(DELTA, false)); 9]].concat();
    let of = |starts: &[&'static [u8]]| begins(&starts.iter().flat_map(|start| gop(start)).collect::<Vec<_>>());
    for (starts, gradual) in [
        (&[RECOVERY, RECOVERY, RECOVERY, RECOVERY, RECOVERY][..], true),
        (&[KEY, RECOVERY, RECOVERY, RECOVERY, RECOVERY], true),
        (&[KEY, KEY, KEY, KEY, KEY], false),
        // Joined in the middle, then one refresh was lost.
        (&[RECOVERY, KEY, KEY, RECOVERY, KEY], false),
    ] {
        let clock = Arc::new(ManualClock::default());
        let mut steps = of(starts);
        steps.push((100.0, picture(DELTA, false)));
        let b = scripted(&clock, steps, Ok(()));
        for second in 1..14 {
            if !b.capture.offers_now().gradual {
                turn(&clock, &b, second).await;
            }
        }
        assert!(b.said().contains(&CaptureEvent::FirstFrame));
        assert_eq!(b.capture.offers_now().gradual, gradual, "{:?}", b.said());
        let is_said = |e: &CaptureEvent| matches!(e, CaptureEvent::Offers(offering) if offering.gradual);
        match gradual {
            true => b.hears("no keyframes for browsers", is_said).await,
            false => assert!(!b.said().iter().any(is_said)),
        }
        drop(b);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h265_is_passed_through_and_decoded_for_the_small_stream() {
    let encoder = "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! h265parse config-interval=-1";
    let small = "videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=20/1";
    let launch =
        format!("{small} ! {encoder} ! video/x-h265,stream-format=byte-stream,alignment=au ! appsink name=video");
    let b = begin(network(), &Fake::with(URL, sends(PictureCodec::H265, launch, None)));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 2000);
    let video = take(&mut s, Track::Video, 20).await;
    assert_growing(&video);
    let kinds_of =
        |data: &[u8]| perch_domain::bitstream::nal_units(data).map(perch_domain::h265::kind).collect::<Vec<_>>();
    assert!(kinds_of(&video[0].packet.data).contains(&perch_domain::h265::SPS), "as it came");
    let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 500);
    let small = take(&mut sub, Track::Video, 5).await;
    assert!(small[0].packet.keyframe && kinds(&small[0].packet).contains(&7), "in H.264");
    b.stop().await;
}

/// The camera's own pictures pass; the box encodes only the small stream, and cannot.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_stream_that_is_too_slow_beside_a_passed_camera_is_reported() {
    let c = network();
    let own = slow_encoder();
    let b = start_by(Arc::new(SystemClock), c, Some(own.path()), Fake::with(URL, plain()));
    let mut main = b.hub.subscribe(Stream::Main, false, "main", 2000);
    take(&mut main, Track::Video, 5).await;
    let _sub = b.hub.subscribe(Stream::Sub, false, "sub", 2000);
    let overload = b.falls_behind().await;
    assert!(overload.part == Bottleneck::Small && overload.done_fps <= 6.0, "{overload:?}");
    b.stop().await;
}

const KEY: &[u8] = &[0, 0, 0, 1, 0x67, 66, 0xc0, 31, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65, 0x88, 0x80];
const DELTA: &[u8] = &[0, 0, 0, 1, 0x41, 0x9a, 0x80];

/// Seconds after the step before.
type Step = (f64, Intake);

fn timed(steps: Vec<Step>) -> Vec<(Duration, Intake)> {
    steps.into_iter().map(|(after, intake)| (Duration::from_secs_f64(after), intake)).collect()
}

fn scripted(
    clock: &Arc<ManualClock>,
    steps: Vec<Step>,
    end: std::result::Result<(), (ErrorKind, &'static str)>,
) -> Bench {
    let camera = FakeCamera::Script { clock: clock.clone(), steps: timed(steps), end };
    start_by(clock.clone(), network(), None, Fake::with(URL, camera))
}

/// Turns the clock on from wait to wait, to `seconds` after the start, or until the attempt ended.
async fn turn(clock: &Arc<ManualClock>, b: &Bench, seconds: u64) {
    let until = perch_base::time::MonoTime(0) + Duration::from_secs(seconds);
    while clock.mono() < until && !b.run.is_finished() {
        // Everybody who waits by the clock waits now, or soon: real threads are part of it.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(1)).await;
        clock.advance(Duration::from_millis(250));
    }
}

fn begins(key: &[Step]) -> Vec<Step> {
    let mut steps = vec![(0.0, Intake::Offer(offer(PictureCodec::H264, None)))];
    steps.extend(key.iter().cloned());
    steps
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_every_five_seconds_is_live() {
    let clock = Arc::new(ManualClock::default());
    let steps = begins(&vec![(5.0, picture(KEY, true)); 30]);
    let b = scripted(&clock, steps, Err((ErrorKind::Unavailable, "hung up")));
    turn(&clock, &b, 140).await;
    assert!(!b.run.is_finished());
    assert!(b.said().contains(&CaptureEvent::FirstFrame));
    assert!(!b.said().iter().any(|e| matches!(e, CaptureEvent::Silent(_))), "{:?}", b.said());
    // The clock is turned on while a busy machine publishes: it ends later then, and not sooner.
    turn(&clock, &b, 2000).await;
    let delivered = b.capture.delivered();
    assert!(delivered.as_secs() >= 144, "{delivered:?}");
    assert_eq!(b.end().await.expect_err("it hung up").message(), "hung up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_stands_still_for_seconds_is_waited_for() {
    let clock = Arc::new(ManualClock::default());
    let mut steps = begins(&[(0.5, picture(KEY, true))]);
    steps.extend(vec![(0.5, picture(DELTA, false)); 8]);
    steps.push((8.0, picture(DELTA, false)));
    steps.extend(vec![(0.5, picture(DELTA, false)); 8]);
    steps.push((100.0, picture(DELTA, false)));
    let b = scripted(&clock, steps, Ok(()));
    turn(&clock, &b, 90).await;
    let said = b.said();
    assert_eq!(said.iter().filter(|e| matches!(e, CaptureEvent::Silent(_))).count(), 2, "{said:?}");
    assert_eq!(said.iter().filter(|e| **e == CaptureEvent::FirstFrame).count(), 2, "it came back: {said:?}");
    let ended = b.end().await.expect("no error");
    assert!(matches!(ended, CaptureEnd::Stalled { for_ } if for_ >= Duration::from_secs(10)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyframe_that_is_minutes_away_is_waited_for_and_said() {
    for waits in [Intake::Awaits, picture(DELTA, false)] {
        let clock = Arc::new(ManualClock::default());
        let mut steps = begins(&vec![(1.0, waits); 120]);
        steps.push((1.0, picture(KEY, true)));
        steps.extend(vec![(1.0, picture(DELTA, false)); 5]);
        steps.push((100.0, picture(DELTA, false)));
        let b = scripted(&clock, steps, Ok(()));
        turn(&clock, &b, 100).await;
        assert_eq!(b.said().iter().filter(|e| **e == CaptureEvent::AwaitsKeyframe).count(), 1);
        assert!(!b.said().contains(&CaptureEvent::FirstFrame) && !b.run.is_finished());
        let rounds = b.capture.rounds();
        // Each step of the script is a little late on a busy machine.
        for second in 100..240 {
            if b.said().contains(&CaptureEvent::FirstFrame) {
                break;
            }
            turn(&clock, &b, second).await;
        }
        assert!(b.capture.rounds() > rounds, "one that waits is not stuck");
        assert!(b.said().contains(&CaptureEvent::FirstFrame) && !b.run.is_finished(), "{:?}", b.said());
        drop(b);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_source_goes_on_at_once_or_begins_anew_where_it_leaves_a_hole() {
    let another = |intake| match intake {
        Intake::Picture(p) => Intake::Picture(perch_domain::ingest::Picture { break_before: true, ..p }),
        other => other,
    };
    let clock = Arc::new(ManualClock::default());
    let mut steps = begins(&[(0.5, picture(KEY, true)), (0.5, picture(DELTA, false))]);
    steps.extend([(0.5, another(picture(DELTA, false))), (3.0, another(picture(DELTA, false)))]);
    steps.extend([(0.5, picture(DELTA, false)), (0.5, picture(KEY, true)), (0.5, picture(DELTA, false))]);
    steps.push((100.0, picture(DELTA, false)));
    let b = scripted(&clock, steps, Ok(()));
    let mut s = b.hub.subscribe(Stream::Main, false, "test", 100);
    turn(&clock, &b, 12).await;
    let got = take(&mut s, Track::Video, 5).await;
    let got: Vec<_> = got.iter().map(|d| (d.packet.keyframe, d.discontinuity)).collect();
    assert_eq!(got, [(true, true), (false, false), (false, false), (true, true), (false, false)]);
    drop(b);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_session_ends_is_how_the_attempt_ends() {
    for (steps, end, want) in [
        (begins(&[]), Err((ErrorKind::Unauthenticated, "refuses the password")), Err(ErrorKind::Unauthenticated)),
        (begins(&[]), Ok(()), Err(ErrorKind::Unavailable)),
        (begins(&[(0.0, picture(KEY, true)), (1.0, picture(DELTA, false))]), Ok(()), Ok(CaptureEnd::EndOfStream)),
        (vec![(100.0, picture(KEY, true))], Ok(()), Err(ErrorKind::Unavailable)),
    ] {
        let clock = Arc::new(ManualClock::default());
        let b = scripted(&clock, steps, end);
        turn(&clock, &b, 60).await;
        assert_eq!(b.end().await.map_err(|e| e.kind()), want);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_notes_is_said_once() {
    let notice = |n: u32| (0.0, Intake::Notice(format!("odd {}", n % 20)));
    let mut steps = begins(&[(0.1, picture(KEY, true))]);
    steps.extend((0..1000).map(notice));
    steps.push((100.0, picture(DELTA, false)));
    let clock = Arc::new(ManualClock::default());
    let b = scripted(&clock, steps, Ok(()));
    // To its end: a busy machine is not ready to begin for a while.
    turn(&clock, &b, 90).await;
    assert_eq!(b.said().iter().filter(|e| matches!(e, CaptureEvent::Notice(_))).count(), 8);
    drop(b);
}

#[path = "network_lapses_tests.rs"]
mod lapses;
