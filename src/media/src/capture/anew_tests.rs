//! Network cameras that the box encodes anew, and pictures that it turns: what comes out is decoded and looked at.

use super::fake::{Fake, FakeCamera, offer};
use super::painting::tests::{Grey, ONLY_LEFT, decoded, left, looks, until};
use super::tests::{assert_growing, config, start_by, take};
use super::*;
use perch_base::clock::{Clock, SystemClock};
use perch_domain::ingest::{PictureCodec, Shape};
use perch_domain::media::{Track, VideoCodec};
use perch_domain::orientation::Orientation;
use std::sync::atomic::Ordering;

const URL: &str = "rtsp://cam/live";
const WHITE: &str = "videotestsrc is-live=true pattern=white ! video/x-raw,width=640,height=480,framerate=20/1";
const H264: &str = "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au";

fn camera(pictures: PictureCodec, launch: String, said: Orientation) -> Arc<Fake> {
    let shape = Shape { width: 640, height: 480, pixel: (1, 1), interlaced: false, orientation: said };
    Fake::with(URL, FakeCamera::Sends { launch, offer: offer(pictures, None), shape: Some(shape) })
}

fn network(change: impl FnOnce(&mut CameraConfig)) -> CameraConfig {
    crate::init().expect("starts");
    SystemClock.mono();
    let mut config = config(Source::parse(URL).expect("a source"));
    change(&mut config);
    config
}

fn data(packets: &[crate::fanout::Delivery]) -> Vec<bytes::Bytes> {
    packets.iter().map(|delivery| delivery.packet.data.clone()).collect()
}

/// Whatever it sends: nothing but what the box encoded reaches the hub, in the size of the config and masked from the first picture on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_encoded_anew_is_masked_and_what_the_camera_sent_reaches_nobody() {
    let x264 = |how: &str| format!("{WHITE} ! x264enc {how} key-int-max=20 ! {H264} ! appsink name=video");
    let x265 = format!(
        "{WHITE} ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=20 ! h265parse config-interval=-1 \
         ! video/x-h265,stream-format=byte-stream,alignment=au ! appsink name=video"
    );
    for (what, codec, launch, size) in [
        ("H.264", PictureCodec::H264, x264("tune=zerolatency"), 320),
        ("B-frames", PictureCodec::H264, x264("bframes=2 b-adapt=false rc-lookahead=0 sliced-threads=true"), 320),
        ("H.265", PictureCodec::H265, x265, 320),
        ("JPEG", PictureCodec::Jpeg, format!("{WHITE} ! jpegenc ! appsink name=video"), 640),
    ] {
        let config = network(|c| {
            c.motion.enabled = true;
            (c.picture.encode, c.picture.privacy) = (true, vec![left()]);
        });
        let b = start_by(Arc::new(SystemClock), config, None, camera(codec, launch, Orientation::NONE));
        let mut main = b.hub.subscribe(Stream::Main, false, "main", 2000);
        let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 2000);
        let (main, sub) = (take(&mut main, Track::Video, 30).await, take(&mut sub, Track::Video, 10).await);
        assert_growing(&main);
        for (stream, packets, width) in [("main", &main, size), ("sub", &sub, 160)] {
            assert!(packets.iter().all(|d| d.packet.codec == Some(VideoCodec::H264)), "{what}");
            let pictures = decoded(&data(packets));
            assert!(pictures.len() == packets.len() && pictures.iter().all(|p| p.width == width), "{what} {stream}");
            let seen = looks(&pictures);
            assert!(seen.iter().all(|seen| *seen == ONLY_LEFT), "{what} {stream}: {seen:?}");
        }
        until("pictures for the detector", || b.lumas.load(Ordering::SeqCst) >= 2).await;
        let figures = b.capture.figures();
        assert_eq!((figures.encoders, figures.passed_through), (2, false), "{what}");
        let offered = b.capture.offers_now();
        assert_eq!((offered.codec, offered.reorders, offered.gradual), (VideoCodec::H264, false, false), "{what}");
        b.stop().await;
    }
}

/// Its masks change while it goes on, without another session.
#[tokio::test(flavor = "multi_thread")]
async fn masks_of_a_camera_that_is_encoded_anew_change_at_once() {
    let launch = format!("{WHITE} ! x264enc tune=zerolatency key-int-max=20 ! {H264} ! appsink name=video");
    let fake = camera(PictureCodec::H264, launch, Orientation::NONE);
    let mut config = network(|c| c.picture.encode = true);
    let b = start_by(Arc::new(SystemClock), config.clone(), None, fake.clone());
    let mut main = b.hub.subscribe(Stream::Main, false, "main", 2000);
    let before = looks(&decoded(&data(&take(&mut main, Track::Video, 5).await)));
    assert!(before.iter().all(|seen| seen.left == Some(false)), "{before:?}");
    config.picture.privacy = vec![left()];
    b.capture.follow(&config);
    let mut after = b.hub.subscribe(Stream::Main, false, "after", 2000);
    let after = looks(&decoded(&data(&take(&mut after, Track::Video, 20).await)));
    assert!(after.iter().all(|seen| *seen == ONLY_LEFT), "{after:?}");
    assert_eq!(fake.sessions(URL), 1);
    b.stop().await;
}

/// Where a picture is brightest: its bottom edge, its left one, and so on, of one that grows brighter from top to bottom.
fn brightest(picture: &Grey) -> &'static str {
    let (width, height) = (picture.width, picture.pixels.len() / picture.width);
    let at = |x: usize, y: usize| picture.pixels[y * width + x];
    let edges = [
        ("top", at(width / 2, 2)),
        ("bottom", at(width / 2, height - 3)),
        ("left", at(2, height / 2)),
        ("right", at(width - 3, height / 2)),
    ];
    edges.into_iter().max_by_key(|(_, grey)| *grey).map(|(edge, _)| edge).expect("four")
}

/// By a camera's word and by the config, in whichever way its pictures travel: a picture that is to be turned clockwise shows its bottom at the
/// left, and has as many columns as it had rows.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_turned_as_the_config_says() {
    let dark_above = "videotestsrc is-live=true pattern=gradient ! video/x-raw,width=320,height=240,framerate=20/1";
    let launch = || format!("{dark_above} ! x264enc tune=zerolatency key-int-max=10 ! {H264} ! appsink name=video");
    let quarter = |quarters| Orientation { mirrored: false, quarters };
    for (turned, own, want) in [
        (quarter(1), quarter(0), "left"),
        (quarter(2), quarter(0), "top"),
        (quarter(3), quarter(0), "right"),
        (quarter(1), quarter(1), "top"),
        (Orientation { mirrored: true, quarters: 3 }, quarter(0), "right"),
    ] {
        for encode in [true, false] {
            let config = network(|c| {
                c.picture.turned = turned;
                c.picture.encode = encode;
                // Encoded anew, sizes are those of what the camera means to show.
                if encode && own.is_on_its_side() {
                    (c.main.width, c.main.height) = (240, 320);
                    (c.sub.width, c.sub.height) = (120, 160);
                }
            });
            let b = start_by(Arc::new(SystemClock), config, None, camera(PictureCodec::H264, launch(), own));
            let mut main = b.hub.subscribe(Stream::Main, false, "main", 2000);
            let first = take(&mut main, Track::Video, 1).await.remove(0).packet;
            let said = Orientation::of_unit(VideoCodec::H264, &first.data);
            if encode {
                let picture = decoded(std::slice::from_ref(&first.data)).remove(0);
                assert_eq!((brightest(&picture), said), (want, Orientation::NONE), "{turned:?} {own:?}");
                assert_eq!(picture.width, turned.of_sides(own.of_sides((320, 240))).0 as usize);
            } else {
                assert_eq!(said, own.and_then(turned), "passed on with a word of it");
            }
            let mut sub = b.hub.subscribe(Stream::Sub, false, "sub", 2000);
            let small = take(&mut sub, Track::Video, 1).await.remove(0).packet;
            let small = decoded(std::slice::from_ref(&small.data)).remove(0);
            assert_eq!(brightest(&small), want, "the small stream: {turned:?} {own:?} {encode}");
            b.stop().await;
        }
    }
}
