//! Small parts that several sources and branches share: links, sinks, and the bin that makes Opus.

use super::control::{Part, Valves};
use super::flow::Flow;
use super::settings::Settings;
use crate::pipeline;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::{Error, Result};
use perch_domain::camera::AudioSource;
use std::sync::Arc;

/// Opus at this rate carries speech and a barking dog alike, bit/s.
const BITRATE_BPS: i64 = 48_000;
/// libopus' effort: half of its best costs a third.
const COMPLEXITY: i64 = 5;

/// The appsink called `name` in `bin`.
pub(super) fn sink(bin: &gst::Bin, name: &str) -> Result<gst_app::AppSink> {
    pipeline::typed(bin, name, "an appsink")
}

/// Adds `bin` to `parent`.
pub(crate) fn add(parent: &impl IsA<gst::Bin>, bin: &gst::Bin) -> Result<()> {
    let cannot = || Error::internal(format!("pipeline {} cannot be added", pipeline::file_of(bin)));
    parent.add(bin).map_err(|e| cannot().with_source(e))
}

/// Links two neighbours. Errors with [`perch_base::ErrorKind::Invalid`]: a replaced file may not fit its neighbour.
pub(crate) fn link(from: &gst::Element, to: &gst::Element) -> Result<()> {
    let misfit = || pipeline::unfit(to, &format!("does not fit behind {}", pipeline::file_of(from)));
    from.link(to).map_err(|e| misfit().with_source(e))
}

/// Whether sound comes from the video's own source.
pub(super) fn own_sound(settings: &Settings) -> bool {
    settings.config.audio.source == AudioSource::Source
}

/// Adds `bins` to the running `parent`, links them behind `pad` and starts them. For pads that come while a source starts.
pub(super) fn grow(parent: &gst::Bin, pad: &gst::Pad, bins: &[gst::Bin]) -> Result<()> {
    let Some(first) = bins.first() else { return Ok(()) };
    for bin in bins {
        add(parent, bin)?;
    }
    for pair in bins.windows(2) {
        link(pair[0].upcast_ref(), pair[1].upcast_ref())?;
    }
    for bin in bins.iter().rev() {
        let stands_still = || Error::internal(format!("pipeline {} does not start", pipeline::file_of(bin)));
        bin.sync_state_with_parent().map_err(|e| stands_still().with_source(e))?;
    }
    let entry = pipeline::open_end(first, "sink")?;
    pad.link(&entry).map_err(|e| pipeline::unfit(first, "the source's stream does not fit").with_source(e))?;
    Ok(())
}

/// The bin that applies gain, encodes Opus while wanted, and publishes it.
pub(super) fn opus(settings: &Settings, flow: &Arc<Flow>, valves: &Valves) -> Result<gst::Bin> {
    let bin = settings.library.bin("audio/opus", &[("bitrate", BITRATE_BPS), ("complexity", COMPLEXITY)], &[])?;
    settings.loudness.govern(&pipeline::element(&bin, "volume")?);
    valves.add(Part::Sound, pipeline::element(&bin, "valve")?);
    flow.take_audio(&sink(&bin, "packets")?, true);
    Ok(bin)
}
