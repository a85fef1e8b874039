//! One keyframe, with what leads to it, to one JPEG, in a pipeline that lives as long as the picture takes. It may come from a camera that lies.

use crate::capture::{flip, shape};
use crate::pipeline::{Library, NO_H264, NO_H265, pad_of, typed};
use crate::probes::withheld;
use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::ids::CameraId;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::media::VideoCodec;
use perch_domain::network_camera::Aspect;
use perch_domain::orientation::Orientation;
use perch_domain::still;
use perch_domain::still_turns::{Asker, StillTurns, Ticket};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Largest keyframe that is decoded, with what leads to it, bytes.
pub const MAX_KEYFRAME_BYTES: usize = 8 << 20;
/// How long a picture may take, and each that leads to it.
const TIME_LIMIT: Duration = Duration::from_secs(3);
const MORE_TIME: Duration = Duration::from_millis(20);
/// The pipelines that decode H.264.
const SMALL: &str = "still/h264-openh264dec";
const LIBAV: &str = "still/h264";
/// For H.265. There is a smaller one, libde265dec, which in GStreamer 1.22 writes beyond its pictures' memory.
const H265: &str = "still/h265";
/// Why of an intra refresh there is none.
const NO_REFRESH: &str = "without IDR keyframes its pictures become no stills here: set the camera to IDR keyframes, or install the package \
     gstreamer1.0-libav";
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(20);
/// The time that is named from one picture to the next.
const EACH: gst::ClockTime = gst::ClockTime::from_mseconds(40);

/// Where stills wait for their turn, without a thread each. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    rule: StillTurns,
    /// How those that wait hear that it is their turn.
    calls: BTreeMap<Ticket, oneshot::Sender<()>>,
}

/// A turn to make one still; it is over when this is dropped.
#[derive(Debug)]
pub struct Turn {
    ticket: Ticket,
    turns: Turns,
}

impl Turns {
    /// Waits for a turn; whoever stops to wait makes room. Errors like [`StillTurns::ask`].
    pub async fn take(&self, asker: Asker) -> Result<Turn> {
        let (call, called) = oneshot::channel();
        let turn = {
            let mut places = self.lock();
            let ticket = places.rule.ask(asker)?;
            places.calls.insert(ticket, call);
            places.start();
            Turn { ticket, turns: self.clone() }
        };
        called.await.map_err(|e| Error::internal("a still's turn was forgotten").with_source(e))?;
        Ok(turn)
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Each change of it is whole.
        lock(&self.0)
    }
}

impl Places {
    fn start(&mut self) {
        for ticket in self.rule.start() {
            if let Some(call) = self.calls.remove(&ticket) {
                // Whoever does not listen any more gives its turn back by itself.
                let _ = call.send(());
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut places = self.turns.lock();
        places.rule.leave(self.ticket);
        places.calls.remove(&self.ticket);
        places.start();
    }
}

/// Decodes `pictures` of `camera` (access units of H.264 or H.265 in Annex B with their parameter sets, or VP8 frames), the last of which is the
/// keyframe that is wanted and the others lead to it, and makes a JPEG of that, at most `max_width` pixels wide, in the shape of `aspect`, else
/// its own, turned as it says. Blocks for each decoder that is tried (`TIME_LIMIT`). Errors with
/// [`ErrorKind::TooLarge`] above [`MAX_KEYFRAME_BYTES`], with [`ErrorKind::Corrupt`] where it is no picture, with
/// [`ErrorKind::Unavailable`] where that takes too long, with [`ErrorKind::Unsupported`] where no decoder for it is installed.
pub fn jpeg(
    _turn: &Turn,
    camera: &CameraId,
    codec: VideoCodec,
    aspect: Option<Aspect>,
    pictures: &[Bytes],
    max_width: Option<u32>,
) -> Result<Bytes> {
    shaped(codec, aspect, pictures, max_width).map_err(|e| e.at(format_args!("camera {camera}")))
}

fn shaped(codec: VideoCodec, aspect: Option<Aspect>, pictures: &[Bytes], max_width: Option<u32>) -> Result<Bytes> {
    crate::init()?;
    let bytes: usize = pictures.iter().map(Bytes::len).sum();
    if bytes > MAX_KEYFRAME_BYTES {
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("a keyframe of {bytes} bytes: must be {MAX_KEYFRAME_BYTES} at most"),
        ));
    }
    let keyframe = pictures.last().map_or(&[][..], |keyframe| keyframe);
    if keyframe.is_empty() {
        return Err(Error::new(ErrorKind::Corrupt, "an empty keyframe holds no picture"));
    }
    if !crate::h264::has_one_size(codec, pictures.iter().map(|picture| &picture[..])) {
        return Err(Error::new(ErrorKind::Corrupt, "the keyframe says two sizes of its picture"));
    }
    let library = &Library::installed()?;
    let width = still::width(max_width);
    let picture = Keyframe { pictures, aspect, orientation: Orientation::of_unit(codec, keyframe) };
    let (first, second) = texts(library, codec, pictures.len() > 1)?;
    match (decode(library, first, picture, width), second) {
        (Err(e), Some(second)) if e.kind() == ErrorKind::Corrupt => decode(library, second, picture, width),
        (done, _) => done,
    }
}

/// The pipeline that decodes a keyframe, which others may lead to, and the one that is asked where that makes nothing of it.
fn texts(library: &Library, codec: VideoCodec, is_led: bool) -> Result<(&'static str, Option<&'static str>)> {
    let has = |text| library.first_installed(&[text]);
    let lacking = |why| Error::new(ErrorKind::Unsupported, why);
    match codec {
        VideoCodec::Vp8 => Ok(("still/vp8", None)),
        // libav brings some 40 MB of libraries into memory: it is asked only for what the small decoder cannot do, as where nothing is
        // refreshed at once.
        VideoCodec::H264 => match (has(SMALL), has(LIBAV)) {
            (Some(small), libav) if !is_led => Ok((small, libav)),
            (_, Some(libav)) => Ok((libav, None)),
            (Some(_), None) => Err(lacking(NO_REFRESH)),
            (None, None) => Err(lacking(NO_H264)),
        },
        VideoCodec::H265 => has(H265).map(|text| (text, None)).ok_or_else(|| lacking(NO_H265)),
    }
}

/// A still of a JPEG file that a network camera sent, to see whether it can be decoded. Blocks for as long as that takes (`TIME_LIMIT`).
/// Errors like [`jpeg`].
pub fn of_jpeg(file: &Bytes) -> Result<Bytes> {
    crate::init()?;
    let picture = Keyframe { pictures: std::slice::from_ref(file), aspect: None, orientation: Orientation::NONE };
    let library = &Library::installed()?;
    decode(library, "still/jpeg", picture, still::EVENT_WIDTH)
}

/// A keyframe, and what becomes of it besides.
#[derive(Clone, Copy)]
struct Keyframe<'a> {
    /// Itself last.
    pictures: &'a [Bytes],
    aspect: Option<Aspect>,
    orientation: Orientation,
}

fn decode(library: &Library, name: &str, keyframe: Keyframe<'_>, width: u32) -> Result<Bytes> {
    let bin = library.open_bin(name, &[("max_width", i64::from(width))], &[])?;
    if let Some(raw) = bin.by_name("raw") {
        shape(&raw, keyframe.aspect);
    }
    if let Some(element) = bin.by_name("turn") {
        flip(&element, keyframe.orientation);
    }
    let source: gst_app::AppSrc = typed(&bin, "in", "an appsrc")?;
    let sink: gst_app::AppSink = typed(&bin, "out", "an appsink")?;
    let leading = u32::try_from(keyframe.pictures.len().saturating_sub(1)).unwrap_or(u32::MAX);
    if leading > 0 {
        leave_out(&pad_of(&bin, "raw", "sink")?, EACH * u64::from(leading));
    }
    let pipeline = Ends(gst::Pipeline::new());
    pipeline.0.add(&bin).map_err(|e| Error::internal("a still's pipeline cannot be built").with_source(e))?;
    let broken = || Error::new(ErrorKind::Corrupt, "the keyframe cannot be decoded");
    pipeline
        .0
        .set_state(gst::State::Playing)
        .map_err(|e| Error::internal("a still's pipeline does not start").with_source(e))?;
    for (n, data) in (0u64..).zip(keyframe.pictures) {
        let mut buffer = gst::Buffer::from_slice(data.clone());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(EACH * n);
        }
        source.push_buffer(buffer).map_err(|e| broken().with_source(e))?;
    }
    source.end_of_stream().map_err(|e| broken().with_source(e))?;
    // Real time: it is a decoder's threads that may hang.
    let limit = TIME_LIMIT + MORE_TIME * leading;
    let until = Instant::now() + limit;
    let bus = pipeline.0.bus();
    while Instant::now() < until {
        if let Some(sample) = sink.try_pull_sample(LOOK) {
            let buffer = sample.buffer_owned().ok_or_else(broken)?;
            let unmapped = |_| broken().with_inside("the picture's memory cannot be mapped");
            let map = buffer.into_mapped_buffer_readable().map_err(unmapped)?;
            return Ok(Bytes::copy_from_slice(&map));
        }
        let message = bus.as_ref().and_then(|b| b.pop_filtered(&[gst::MessageType::Error]));
        if let Some(gst::MessageView::Error(e)) = message.as_ref().map(|m| m.view()) {
            return Err(broken().with_source(e.error()));
        }
        if sink.is_eos() {
            return Err(broken().with_inside("the decoder gave no picture"));
        }
    }
    let s = limit.as_secs();
    Err(Error::new(ErrorKind::Unavailable, format!("the picture was not ready within {s} s")))
}

/// Leaves out the pictures that come to `pad` and are from before `wanted`.
fn leave_out(pad: &gst::Pad, wanted: gst::ClockTime) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let at = info.buffer().and_then(|buffer| buffer.pts());
        match at.is_some_and(|at| at >= wanted) {
            true => gst::PadProbeReturn::Ok,
            false => withheld(info),
        }
    });
}

/// A pipeline that is NULL before it is dropped.
struct Ends(gst::Pipeline);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
        // The decoder and its pictures go with the pipeline's threads; what they held would stay with the allocator.
        crate::init::give_memory_back();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn make(codec: VideoCodec, keyframe: &[u8], max_width: Option<u32>) -> Result<Bytes> {
        shaped(codec, None, &[Bytes::copy_from_slice(keyframe)], max_width)
    }

    /// A keyframe of a test pattern.
    pub(crate) fn keyframe(encoder: &str, width: u32, height: u32) -> Vec<u8> {
        crate::init().expect("starts");
        let text = format!(
            "videotestsrc num-buffers=1 ! video/x-raw,width={width},height={height} ! {encoder} ! appsink name=out sync=false"
        );
        let bin = gst::parse::launch(&text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
        bin.set_state(gst::State::Playing).expect("starts");
        let sink: gst_app::AppSink = typed(bin.upcast_ref(), "out", "an appsink").expect("there");
        let sample = sink.pull_sample().expect("a frame");
        let data = sample.buffer().expect("a buffer").map_readable().expect("readable").to_vec();
        bin.set_state(gst::State::Null).expect("ends");
        data
    }

    /// Width and height from a JPEG's frame header.
    fn size(jpeg: &[u8]) -> (u16, u16) {
        assert_eq!(&jpeg[..2], [0xff, 0xd8]);
        let at = jpeg.windows(2).position(|w| w[0] == 0xff && matches!(w[1], 0xc0..=0xc2)).expect("a frame header");
        let word = |i: usize| u16::from_be_bytes([jpeg[at + i], jpeg[at + i + 1]]);
        (word(7), word(5))
    }

    const X264: &str = "x264enc tune=zerolatency ! video/x-h264,stream-format=byte-stream,profile=constrained-baseline";

    #[test]
    fn a_keyframe_becomes_a_jpeg_of_the_asked_width() {
        let key = keyframe(X264, 1280, 720);
        assert_eq!(size(&make(VideoCodec::H264, &key, None).expect("a picture")), (1280, 720));
        let began = Instant::now();
        assert_eq!(size(&make(VideoCodec::H264, &key, Some(320)).expect("a picture")), (320, 180));
        for orientation in Orientation::all() {
            let turned = [&[0, 0, 0, 1][..], &orientation.message(VideoCodec::H264), &key].concat();
            let want = if orientation.is_on_its_side() { (90, 160) } else { (90, 51) };
            assert_eq!(size(&make(VideoCodec::H264, &turned, Some(90)).expect("a picture")), want, "{orientation:?}");
        }
        eprintln!("a still took {:?}", began.elapsed());
        if crate::has_element("x265enc") && crate::has_element("avdec_h265") {
            let key = keyframe("x265enc tune=zerolatency ! video/x-h265,stream-format=byte-stream", 1280, 720);
            assert_eq!(size(&make(VideoCodec::H265, &key, Some(320)).expect("a picture")), (320, 180));
            assert!(make(VideoCodec::H265, &key[..20], None).is_err());
            assert!(make(VideoCodec::H265, &[0xaa; 5000], None).is_err());
        }
        let key = keyframe("vp8enc deadline=1", 640, 480);
        assert_eq!(size(&make(VideoCodec::Vp8, &key, Some(64)).expect("a picture")), (64, 48));
    }

    #[test]
    fn without_libav_the_small_decoder_makes_what_it_can_and_the_rest_is_said() {
        crate::init().expect("starts");
        let lacks = |names: &[&str]| {
            let own = tempfile::tempdir().expect("a folder");
            std::fs::create_dir(own.path().join("still")).expect("made");
            for name in names {
                let text = "# purpose: none\n# needs: nothing_like_it\nidentity\n";
                std::fs::write(own.path().join(format!("{name}.gst")), text).expect("written");
            }
            Library::load(Some(own.path())).expect("loads")
        };
        let (h264, h265) = (VideoCodec::H264, VideoCodec::H265);
        for (lacking, codec, is_led, want) in [
            (&[][..], h264, false, Ok((SMALL, Some(LIBAV)))),
            (&[], h264, true, Ok((LIBAV, None))),
            (&[SMALL], h264, false, Ok((LIBAV, None))),
            (&[LIBAV, H265], h264, false, Ok((SMALL, None))),
            (&[LIBAV, H265], h264, true, Err(NO_REFRESH)),
            (&[LIBAV, H265], h265, false, Err(NO_H265)),
            (&[LIBAV, SMALL], h264, false, Err(NO_H264)),
        ] {
            let chosen = texts(&lacks(lacking), codec, is_led);
            assert_eq!(chosen.as_ref().map_err(Error::message), want.as_ref().map_err(|why| *why), "{lacking:?}");
        }
    }

    #[test]
    fn of_an_intra_refresh_the_picture_is_shown_that_all_before_it_lead_to() {
        crate::init().expect("starts");
        let text = "videotestsrc num-buffers=61 pattern=smpte100 ! video/x-raw,width=320,height=192 ! x264enc tune=zerolatency \
            intra-refresh=true key-int-max=30 option-string=repeat-headers=1 ! video/x-h264,stream-format=byte-stream,alignment=au \
            ! appsink name=out sync=false";
        let bin = gst::parse::launch(text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
        bin.set_state(gst::State::Playing).expect("starts");
        let sink: gst_app::AppSink = typed(bin.upcast_ref(), "out", "an appsink").expect("there");
        let units: Vec<Bytes> = std::iter::from_fn(|| sink.pull_sample().ok())
            .map(|sample| Bytes::copy_from_slice(&sample.buffer().expect("a buffer").map_readable().expect("readable")))
            .collect();
        bin.set_state(gst::State::Null).expect("ends");
        let of = |pictures| shaped(VideoCodec::H264, None, pictures, Some(64)).expect("a picture");
        let (first, alone, led) = (of(&units[..1]), of(&units[60..]), of(&units[30..]));
        assert_eq!(size(&led), (64, 38));
        // Flat grey takes few bytes, and the same picture about as many.
        let bytes = [first.len(), alone.len(), led.len()];
        assert!(bytes[1] < bytes[2] * 3 / 4 && bytes[2].abs_diff(bytes[0]) < bytes[0] / 5, "{bytes:?}");
    }

    #[test]
    fn a_camera_s_jpeg_can_be_decoded_or_not() {
        let file = Bytes::from(keyframe("jpegenc", 320, 240));
        of_jpeg(&file).expect("a picture");
        for broken in [&b"\xff\xd8no picture\xff\xd9"[..], &[0xaa; 5000], &[]] {
            assert!(of_jpeg(&Bytes::from_static(broken)).is_err());
        }
    }

    #[tokio::test]
    async fn whoever_waits_is_called_in_turn_and_may_go() {
        let turns = Turns::default();
        let first = turns.take(Asker::Box).await.expect("free");
        let _second = turns.take(Asker::Box).await.expect("free");
        let take = || {
            let turns = turns.clone();
            tokio::spawn(async move { turns.take(Asker::Box).await })
        };
        let (gone, third) = (take(), take());
        tokio::task::yield_now().await;
        assert!(!gone.is_finished() && !third.is_finished());
        gone.abort();
        assert!(gone.await.is_err());
        drop(first);
        third.await.expect("no panic").expect("its turn comes");
        assert!(turns.lock().calls.is_empty());
    }

    #[test]
    fn garbage_is_an_error_and_quickly() {
        let began = Instant::now();
        let mut key = keyframe(X264, 320, 240);
        assert!(make(VideoCodec::H264, &[], None).is_err());
        assert!(make(VideoCodec::H264, &vec![0; MAX_KEYFRAME_BYTES + 1], None).is_err());
        assert!(make(VideoCodec::H264, &[0xaa; 5000], None).is_err());
        assert!(make(VideoCodec::Vp8, &[0xaa; 5000], None).is_err());
        assert!(make(VideoCodec::H264, &key[..20], None).is_err());
        let other = keyframe(X264, 160, 120);
        let two_sizes = make(VideoCodec::H264, &[&key[..], &other].concat(), None).expect_err("cannot be trusted");
        assert_eq!(two_sizes.kind(), ErrorKind::Corrupt);
        // Damaged slices may give a damaged picture or an error, never more.
        for i in (40..key.len()).step_by(7) {
            key[i] ^= 0x5a;
        }
        let _ = make(VideoCodec::H264, &key, None);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
