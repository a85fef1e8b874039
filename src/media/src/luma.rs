//! The small grey pictures of the motion detector, the same for live and for files.

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use perch_base::{Error, Result};
use perch_domain::motion::area_average;
use perch_domain::orientation::Orientation;

/// The luma plane of `sample`, turned and averaged to the size that the detector sees. Errors where the sample is no picture with such a plane.
pub fn of_sample(sample: &gst::SampleRef, orientation: Orientation) -> Result<Vec<u8>> {
    let unusable = || Error::internal("a picture for the motion detector cannot be read");
    let buffer = sample.buffer().ok_or_else(unusable)?;
    let caps = sample.caps().ok_or_else(unusable)?;
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|e| unusable().with_source(e))?;
    let frame =
        gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|e| unusable().with_source(e))?;
    let stride = frame.plane_stride().first().copied().unwrap_or(0);
    let stride = usize::try_from(stride).map_err(|e| unusable().with_source(e))?;
    let plane = frame.plane_data(0).map_err(|e| unusable().with_source(e))?;
    area_average(plane, stride, info.width() as usize, info.height() as usize, orientation).ok_or_else(unusable)
}
