//! The pictures of a file as the motion detector sees them, as fast as they can be decoded: same thinning, same averaging as live.

use crate::luma;
use crate::pipeline::{Library, element, typed};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::motion::Thinner;
use perch_domain::orientation::Orientation;
use std::path::Path;
use std::time::{Duration, Instant};

/// A decoder that gives nothing for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(20);
const LOOK: gst::ClockTime = gst::ClockTime::from_mseconds(100);

/// One picture of a file.
#[derive(Clone, Debug)]
pub struct FileFrame {
    /// Its place among all pictures of the file, from 0.
    pub index: u64,
    /// When it is shown, from the file's start.
    pub pts: MonoTime,
    /// Exactly `LUMA_WIDTH * LUMA_HEIGHT` bytes, row by row.
    pub pixels: Vec<u8>,
}

/// The pictures of the file at `path`, thinned to `fps` a second by their time stamps (`None`: all). Errors with
/// [`ErrorKind::NotFound`] where there is no such file and [`ErrorKind::Invalid`] where it holds no video.
pub fn frames(path: &Path, fps: Option<f64>) -> Result<Frames> {
    crate::init()?;
    if !path.is_file() {
        return Err(Error::not_found(format!("{} is not there or not a file", path.display())));
    }
    let location = path.to_str().ok_or_else(|| Error::invalid(format!("{}: must be UTF-8", path.display())))?;
    let bin = Library::installed()?.open_bin("source/frames", &[], &[("location", location)])?;
    let entry =
        element(&bin, "video")?.static_pad("sink").ok_or_else(|| Error::internal("a converter without a pad"))?;
    element(&bin, "decode")?.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let video = caps.structure(0).is_some_and(|s| s.name().starts_with("video/"));
        if video && !entry.is_linked() {
            // A pad that does not fit shows as a file without pictures.
            let _ = pad.link(&entry);
        }
    });
    let sink = typed(&bin, "frames", "an appsink")?;
    let pipeline = gst::Pipeline::new();
    pipeline.add(&bin).map_err(|e| Error::internal("the file's pipeline cannot be built").with_source(e))?;
    let thinner = Thinner::new(fps.unwrap_or(0.0));
    let frames = Frames { pipeline, sink, thinner, index: 0, name: path.display().to_string(), done: false };
    frames.pipeline.set_state(gst::State::Playing).map_err(|_| frames.failure())?;
    Ok(frames)
}

/// Iterates over the pictures of a file; ends after the last one or the first error.
#[derive(Debug)]
pub struct Frames {
    pipeline: gst::Pipeline,
    sink: gst_app::AppSink,
    thinner: Thinner,
    index: u64,
    name: String,
    done: bool,
}

impl Frames {
    fn failure(&self) -> Error {
        self.error().unwrap_or_else(|| Error::invalid(format!("{} cannot be read as video", self.name)))
    }

    fn error(&self) -> Option<Error> {
        let message = self.pipeline.bus()?.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(e) => {
                Some(Error::invalid(format!("{} cannot be read as video", self.name)).with_source(e.error()))
            }
            _ => None,
        }
    }

    fn pull(&mut self) -> Option<Result<FileFrame>> {
        // Real time: it is a decoder's threads that may hang.
        let mut stuck = Instant::now() + STUCK_AFTER;
        loop {
            let Some(sample) = self.sink.try_pull_sample(LOOK) else {
                if let Some(e) = self.error() {
                    return Some(Err(e));
                }
                if self.sink.is_eos() {
                    return (self.index == 0).then(|| Err(self.failure()));
                }
                if Instant::now() > stuck {
                    return Some(Err(Error::new(ErrorKind::Corrupt, format!("{}: the decoder is stuck", self.name))));
                }
                continue;
            };
            stuck = Instant::now() + STUCK_AFTER;
            let index = self.index;
            self.index += 1;
            let pts = running_time(&sample);
            if self.thinner.keep(pts.nseconds()) {
                let pts = MonoTime(i64::try_from(pts.useconds()).unwrap_or(i64::MAX));
                return Some(luma::of_sample(&sample, Orientation::NONE).map(|pixels| FileFrame {
                    index,
                    pts,
                    pixels,
                }));
            }
        }
    }
}

impl Iterator for Frames {
    type Item = Result<FileFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.pull();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

fn running_time(sample: &gst::SampleRef) -> gst::ClockTime {
    let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>());
    let pts = sample.buffer().and_then(|b| b.pts());
    segment.zip(pts).and_then(|(s, pts)| s.to_running_time(pts)).unwrap_or(gst::ClockTime::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::clips;

    #[test]
    fn every_frame_has_its_index_and_thinning_keeps_the_rate() {
        let dir = tempfile::tempdir().expect("a folder");
        let clip = clips::make(&dir, "x264enc ! mp4mux", 320, 240, 25, 50, false);
        let all: Vec<_> = frames(&clip, None).expect("opens").map(|f| f.expect("a frame")).collect();
        assert_eq!(all.len(), 50);
        assert_eq!(all[49].index, 49);
        assert_eq!(all[25].pts.0 / 1000, 1000);
        let few: Vec<_> = frames(&clip, Some(5.0)).expect("opens").map(|f| f.expect("a frame").index).collect();
        assert_eq!(few, [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
    }

    #[test]
    fn what_is_no_video_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(frames(&dir.path().join("x"), None).expect_err("missing").kind(), ErrorKind::NotFound);
        let junk = dir.path().join("junk.mp4");
        std::fs::write(&junk, "not a video, only text, and some more text").expect("written");
        let first = frames(&junk, None).and_then(|mut f| f.next().expect("an error"));
        assert_eq!(first.expect_err("no video").kind(), ErrorKind::Invalid);
    }
}
