//! Makes short clips for tests.

use gstreamer as gst;
use gstreamer::prelude::*;
use std::path::PathBuf;

/// A clip of `frames` pictures at `fps`, encoded and muxed by `coder` (`ENCODER ! MUXER`), with a tone where `sound`.
pub(crate) fn make(
    dir: &tempfile::TempDir,
    coder: &str,
    width: u32,
    height: u32,
    fps: u32,
    frames: u32,
    sound: bool,
) -> PathBuf {
    crate::init().expect("starts");
    let path = dir.path().join("clip.mp4");
    let (encoder, muxer) = coder.rsplit_once(" ! ").expect("ENCODER ! MUXER");
    let mut text = format!(
        "videotestsrc pattern=ball num-buffers={frames} ! video/x-raw,width={width},height={height},framerate={fps}/1 \
         ! {encoder} ! {muxer} name=mux ! filesink name=file"
    );
    if sound {
        let blocks = frames * 50 / fps;
        text += &format!(
            " audiotestsrc num-buffers={blocks} samplesperbuffer=960 ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! mux."
        );
    }
    let pipeline = gst::parse::launch(&text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
    pipeline.by_name("file").expect("there").set_property("location", path.to_str().expect("UTF-8"));
    pipeline.set_state(gst::State::Playing).expect("starts");
    let bus = pipeline.bus().expect("a bus");
    let end =
        bus.timed_pop_filtered(gst::ClockTime::from_seconds(20), &[gst::MessageType::Eos, gst::MessageType::Error]);
    assert_eq!(end.expect("in time").type_(), gst::MessageType::Eos);
    pipeline.set_state(gst::State::Null).expect("ends");
    path
}
