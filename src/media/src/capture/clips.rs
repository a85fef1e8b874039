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

/// Pictures as a camera's encoder makes them, with a keyframe a second: each with whether it is one.
pub(crate) fn pictures(frames: u32, fps: u32) -> Vec<(bytes::Bytes, bool)> {
    crate::init().expect("starts");
    let text = format!(
        "videotestsrc num-buffers={frames} pattern=ball ! video/x-raw,width=320,height=180,framerate={fps}/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={fps} ! h264parse config-interval=-1 \
         ! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=out sync=false"
    );
    let pipeline = gst::parse::launch(&text).expect("parses").downcast::<gst::Pipeline>().expect("a pipeline");
    let sink = pipeline.by_name("out").and_downcast::<gstreamer_app::AppSink>().expect("there");
    pipeline.set_state(gst::State::Playing).expect("plays");
    let mut all = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().expect("a picture");
        let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let data = buffer.map_readable().expect("bytes");
        all.push((bytes::Bytes::copy_from_slice(&data), keyframe));
    }
    pipeline.set_state(gst::State::Null).expect("stops");
    all
}
