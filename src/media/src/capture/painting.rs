//! What privacy masks cover is painted over in the raw picture, before any encoder and the detector get it. A picture that cannot be painted ends the
//! attempt and reaches nobody.

use super::flow::{Flow, Signal};
use super::masking::Word;
use crate::probes::withheld;
use crate::time;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::privacy_mask::{BLOCK, Run, runs};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Paints every picture that goes through `pad`.
pub(super) fn paint_at(pad: &gst::Pad, flow: &Arc<Flow>) {
    let (flow, painter) = (Arc::downgrade(flow), Mutex::new(Painter::default()));
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    pad.add_probe(kinds, move |pad, info| {
        let Some(flow) = flow.upgrade() else { return withheld(info) };
        let painted = match &mut info.data {
            Some(gst::PadProbeData::Buffer(buffer)) => lock(&painter).picture(&flow, pad, buffer),
            _ => Err(unpaintable("they come in lists")),
        };
        match painted {
            Ok(()) => gst::PadProbeReturn::Ok,
            Err(why) => {
                flow.signal(Signal::Failed(why));
                withheld(info)
            }
        }
    });
}

fn unpaintable(why: impl Into<String>) -> Error {
    Error::invalid("this camera's pictures cannot be masked on this box, so none is shown: remove its privacy masks")
        .with_inside(why.into())
}

/// Paints the pictures of one pipeline.
#[derive(Default)]
struct Painter {
    /// Number of the masks of the picture before.
    last: Option<u64>,
    plan: Option<Plan>,
}

/// What is painted in pictures of one format.
struct Plan {
    number: u64,
    caps: gst::Caps,
    info: gst_video::VideoInfo,
    runs: Vec<Run>,
    planes: Vec<Plane>,
}

impl Painter {
    fn picture(&mut self, flow: &Flow, pad: &gst::Pad, buffer: &mut gst::Buffer) -> Result<()> {
        let masking = flow.masking();
        let newest = masking.newest();
        if !newest.masks.is_empty() {
            self.plan(pad, &newest)?.paint(buffer.make_mut())?;
        }
        if self.last.replace(newest.number) != Some(newest.number) {
            let running = running_time(pad, buffer);
            masking.painted(newest.number, running.map_or_else(|| flow.now(), time::to_mono));
            // Decoding is to start at this very picture: those before it are held back.
            let event = gst_video::DownstreamForceKeyUnitEvent::builder().all_headers(true).running_time(running);
            pad.send_event(event.build());
        }
        Ok(())
    }

    fn plan(&mut self, pad: &gst::Pad, newest: &Word) -> Result<&Plan> {
        let caps = pad.current_caps().ok_or_else(|| unpaintable("their format is not known"))?;
        match self.plan.take().filter(|plan| plan.number == newest.number && plan.caps == caps) {
            Some(plan) => Ok(self.plan.insert(plan)),
            None => Ok(self.plan.insert(Plan::new(caps, newest)?)),
        }
    }
}

/// When a buffer is in the pipeline's time.
fn running_time(pad: &gst::Pad, buffer: &gst::BufferRef) -> Option<gst::ClockTime> {
    let segment = pad.sticky_event::<gst::event::Segment>(0)?;
    segment.segment().downcast_ref::<gst::ClockTime>()?.to_running_time(buffer.pts()?)
}

/// How a plane of a picture is painted.
#[derive(Clone, Copy, Debug)]
struct Plane {
    /// Pixels that one sample stands for, across and down.
    pixels: (usize, usize),
    /// Bytes of one sample.
    bytes: usize,
    /// What is written: black, or no colour.
    value: u8,
}

/// The planes of formats with eight bits a sample that cameras and decoders have. `None` for others.
fn planes(format: gst_video::VideoFormat) -> Option<Vec<Plane>> {
    use gst_video::VideoFormat as F;
    let plane = |across, down, bytes, value| Plane { pixels: (across, down), bytes, value };
    let luma = plane(1, 1, 1, 16);
    Some(match format {
        F::I420 | F::Yv12 => vec![luma, plane(2, 2, 1, 128), plane(2, 2, 1, 128)],
        F::Nv12 | F::Nv21 => vec![luma, plane(2, 2, 2, 128)],
        F::Y42b => vec![luma, plane(2, 1, 1, 128), plane(2, 1, 1, 128)],
        F::Nv16 => vec![luma, plane(2, 1, 2, 128)],
        F::Y444 => vec![luma, plane(1, 1, 1, 128), plane(1, 1, 1, 128)],
        F::Gray8 => vec![luma],
        _ => return None,
    })
}

impl Plan {
    fn new(caps: gst::Caps, newest: &Word) -> Result<Self> {
        let info = gst_video::VideoInfo::from_caps(&caps).map_err(|e| unpaintable("no raw pictures").with_source(e))?;
        let planes = planes(info.format()).ok_or_else(|| unpaintable(format!("as {:?}", info.format())))?;
        let runs = runs(&newest.masks, info.width() as usize, info.height() as usize);
        Ok(Self { number: newest.number, caps, info, runs, planes })
    }

    fn paint(&self, buffer: &mut gst::BufferRef) -> Result<()> {
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &self.info)
            .map_err(|e| unpaintable("their memory cannot be written").with_source(e))?;
        let (width, height) = (self.info.width() as usize, self.info.height() as usize);
        for (n, plane) in (0..).zip(&self.planes) {
            let too_short = || unpaintable("their memory is too short");
            let stride = frame.plane_stride().get(n as usize).and_then(|s| usize::try_from(*s).ok());
            let stride = stride.ok_or_else(too_short)?;
            let data = frame.plane_data_mut(n).map_err(|e| too_short().with_source(e))?;
            let (columns, rows) = (width.div_ceil(plane.pixels.0), height.div_ceil(plane.pixels.1));
            for run in &self.runs {
                let within = |from: usize, to: usize, pixels: usize, most: usize| -> Range<usize> {
                    from * BLOCK / pixels..(to * BLOCK / pixels).min(most)
                };
                let across = within(run.from, run.to, plane.pixels.0, columns);
                for row in within(run.row, run.row + 1, plane.pixels.1, rows) {
                    let line = row * stride;
                    let bytes = line + across.start * plane.bytes..line + across.end * plane.bytes;
                    data.get_mut(bytes).ok_or_else(too_short)?.fill(plane.value);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "painting_tests.rs"]
pub(super) mod tests;
