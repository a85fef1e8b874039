//! One pipeline from the text files: source, tee, and a branch for each use. Says what is linked to what; nothing runs here.

use super::control::{Control, Part, Valves};
use super::file::Looper;
use super::flow::Flow;
use super::parts::{self, link, sink};
use super::samples::VideoOut;
use super::settings::Settings;
use super::turned::{Turned, flip};
use super::{devices, file, painting, writing};
use crate::encoders::{self, Encoder};
use crate::probes::withheld;
use crate::{pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::board::encoder_threads;
use perch_domain::camera::{Source, VideoSettings};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::motion::Thinner;
use perch_domain::network_camera::Aspect;
use perch_domain::orientation::Orientation;
use perch_domain::pace::Bottleneck;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

/// A pipeline that is linked and in NULL.
pub(super) struct Graph {
    /// The pipeline.
    pub pipeline: gst::Pipeline,
    /// Its commands.
    pub control: Arc<Control>,
    /// For a file: what begins and loops it.
    pub looper: Option<Arc<Looper>>,
    /// Whether the main stream is what the camera itself encoded.
    pub passed: bool,
    /// What people should know of how the source is taken.
    pub note: Option<String>,
}

/// What writes into pictures.
const OVERLAY: &str = "branch/overlay";

/// Builds the pipeline of one attempt.
pub(super) fn build(settings: &Arc<Settings>, flow: &Arc<Flow>) -> Result<Graph> {
    let valves = Arc::new(Valves::default());
    let Origin { source, passed, looper, note } = source(settings, flow, &valves)?;
    let wiring = Wiring::new(settings, flow, Arc::new(Control::new(valves)));
    wiring.add(&source)?;
    match passed {
        true => wiring.passed(&source)?,
        false => wiring.encoded(&wiring.upright(source)?)?,
    }
    Ok(Graph { pipeline: wiring.pipeline, control: wiring.control, looper, passed, note })
}

/// Builds the pipeline that encodes a network camera's JPEG, which goes in by the appsrc.
pub(super) fn build_jpeg(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    control: &Arc<Control>,
) -> Result<(gst::Pipeline, gst_app::AppSrc)> {
    let wiring = Wiring::new(settings, flow, control.clone());
    let source = settings.library.bin("source/network-jpeg", &[], &[])?;
    let entry: gst_app::AppSrc = pipeline::typed(&source, "in", "an appsrc")?;
    keep_size(&source);
    wiring.add(&source)?;
    shape_behind(&source, settings.config.aspect)?;
    wiring.encoded(&wiring.upright(source)?)?;
    Ok((wiring.pipeline, entry))
}

/// Where pictures come from.
struct Origin {
    source: gst::Bin,
    /// Whether it is H.264 already.
    passed: bool,
    /// What loops it.
    looper: Option<Arc<Looper>>,
    note: Option<String>,
}

impl Origin {
    fn raw(source: gst::Bin) -> Self {
        Self { source, passed: false, looper: None, note: None }
    }
}

fn source(settings: &Arc<Settings>, flow: &Arc<Flow>, valves: &Arc<Valves>) -> Result<Origin> {
    let config = &settings.config;
    let (width, height) = (i64::from(config.main.width), i64::from(config.main.height));
    let size = [("width", width), ("height", height), ("fps", i64::from(config.main.fps))];
    let library = &settings.library;
    match &config.source {
        Source::Test => {
            let overlay = gst::ElementFactory::find("clockoverlay").is_some();
            let name = if overlay { "source/test" } else { "source/test-plain" };
            Ok(Origin::raw(library.bin(name, &size, &[])?))
        }
        Source::File(path) => {
            devices::file(path)?;
            let (bin, looper) = file::source(settings, flow, valves, path, &size)?;
            Ok(Origin { looper: Some(looper), ..Origin::raw(bin) })
        }
        Source::V4l2(name) => {
            let taken = devices::v4l2(settings, name)?;
            let bin = library.bin(taken.file, &size, &[("device", &taken.device)])?;
            set_mode(&bin, &taken.caps)?;
            Ok(Origin { passed: taken.passed, note: taken.note, ..Origin::raw(bin) })
        }
        Source::Libcamera(id) => {
            let id = id.as_deref().map(|id| ("camera-name", id));
            let bin = library.bin("source/libcamera", &size, id.as_slice())?;
            if let Some(element) = bin.by_name("src") {
                settings.sensor.runs(&element);
            }
            Ok(Origin::raw(bin))
        }
        Source::Rtsp(_) => Err(Error::internal("a network camera is no source of a pipeline")),
    }
}

/// Has the driver asked for the mode `caps`. A file that was replaced may leave it to GStreamer.
pub(crate) fn set_mode(bin: &gst::Bin, caps: &str) -> Result<()> {
    let Some(filter) = bin.by_name("mode") else { return Ok(()) };
    let caps = gst::Caps::from_str(caps).map_err(|e| Error::internal("the camera's mode is no caps").with_source(e))?;
    let takes_caps = filter.find_property("caps").is_some_and(|p| p.value_type() == gst::Caps::static_type());
    if !takes_caps {
        return Err(pipeline::unfit(bin, "the element `name=mode` must be a capsfilter"));
    }
    filter.set_property("caps", caps);
    Ok(())
}

/// Chooses the pictures that the detector sees.
pub(super) type SharedThinner = Arc<Mutex<Thinner>>;

/// On which thread a large picture becomes the detector's small one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Averaged {
    /// On one of its own: a source and its encoder do not wait for it.
    Aside,
    /// On the thread that brings it, which would only wait.
    AtOnce,
}

/// A pipeline that grows.
pub(super) struct Wiring<'a> {
    settings: &'a Arc<Settings>,
    flow: &'a Arc<Flow>,
    /// The pipeline.
    pub pipeline: gst::Pipeline,
    control: Arc<Control>,
    /// Where a camera may want its pictures turned.
    pub turned: Option<Arc<Turned>>,
}

impl<'a> Wiring<'a> {
    /// An empty one.
    pub fn new(settings: &'a Arc<Settings>, flow: &'a Arc<Flow>, control: Arc<Control>) -> Self {
        let pipeline = gst::Pipeline::with_name(settings.config.id.as_str());
        time::apply(&pipeline);
        Self { settings, flow, pipeline, control, turned: None }
    }

    /// What writes name and time into the pictures of `source` behind it.
    fn written(&self, source: &gst::Bin) -> Result<Option<gst::Bin>> {
        let config = &self.settings.config;
        let overlay = config.picture.overlay;
        if !overlay.is_any() {
            return Ok(None);
        }
        if self.settings.library.first_installed(&[OVERLAY]).is_none() {
            return Err(Error::invalid(
                "what writes text into pictures is not installed: the package gstreamer1.0-x has it",
            ));
        }
        let name = if overlay.name { config.name.as_str() } else { "" };
        // The element reads it as markup.
        let name = gst::glib::markup_escape_text(name);
        let bin = self.settings.library.bin(OVERLAY, &[], &[("text", name.as_str())])?;
        if overlay.time {
            let element = pipeline::element(&bin, "text")?;
            writing::follow_clock(&element, name.into(), self.settings.clock.clone(), self.settings.zone.clone());
        }
        self.add(&bin)?;
        link(source.upcast_ref(), bin.upcast_ref())?;
        Ok(Some(bin))
    }

    /// `source`, or what turns its pictures behind it.
    fn upright(&self, source: gst::Bin) -> Result<gst::Bin> {
        let turned = self.settings.config.picture.turned;
        if turned == Orientation::NONE {
            return Ok(source);
        }
        let turn = self.settings.library.bin("branch/turn", &[], &[])?;
        flip(&pipeline::element(&turn, "turn")?, turned);
        self.add(&turn)?;
        link(source.upcast_ref(), turn.upcast_ref())?;
        Ok(turn)
    }

    /// Camera's own H.264 goes out as it is.
    fn passed(&self, source: &gst::Bin) -> Result<()> {
        let lent = matches!(self.settings.config.source, Source::V4l2(_));
        let out = self.settings.library.bin("branch/passed", &[], &[])?;
        let main = VideoOut {
            stream: Stream::Main,
            codec: VideoCodec::H264,
            lent,
            turned: self.settings.config.picture.turned,
        };
        self.packets(&out, main)?;
        self.add(&out)?;
        link(source.upcast_ref(), out.upcast_ref())
    }

    /// Raw pictures, in the shape and turned as they are to be, are encoded.
    pub fn encoded(&self, source: &gst::Bin) -> Result<()> {
        let config = &self.settings.config;
        let encoder = encoders::probe(config.codec)?;
        let written = self.written(source)?;
        let raw = self.tee(written.as_ref().unwrap_or(source))?;
        // Nothing that comes to the tee goes anywhere unmasked; what is written stands above masks.
        let entry = match &written {
            Some(written) => pipeline::open_end(written, "sink")?,
            None => raw.static_pad("sink").ok_or_else(|| Error::internal("a tee has a sink pad"))?,
        };
        painting::paint_at(&entry, self.flow);
        // What turns pictures copies them.
        let lent_pictures = matches!(config.source, Source::Libcamera(_)) && config.picture.turned == Orientation::NONE;
        let shared_memory = format!("{}-dmabuf", encoder.element);
        let file = if encoder.hardware && lent_pictures { shared_memory.as_str() } else { encoder.element };
        let queue = self.settings.library.bin("branch/main", &[("buffers", if lent_pictures { 1 } else { 2 })], &[])?;
        // A source that has to decode first drops before that what is too much.
        let entry = source.by_name("waiting").or_else(|| queue.by_name("waiting"));
        if let Some(pad) = entry.and_then(|queue| queue.static_pad("sink")) {
            self.flow.count_came(Bottleneck::Main, &pad);
        }
        if matches!(config.source, Source::V4l2(_))
            && let Some(pad) = source.by_name("src").and_then(|driver| driver.static_pad("src"))
        {
            self.flow.count_lost(&pad);
        }
        let (enc, out) = self.encoder(Stream::Main, encoder, file, config.main)?;
        self.chain(&raw, &[&queue, &enc, &out])?;
        // A second stream of the camera's own is the small one, and the detector's.
        if self.control.has_second() {
            return Ok(());
        }
        self.sub(&raw, encoder)?;
        self.luma(&raw, Averaged::Aside)?;
        Ok(())
    }

    /// The small stream, made of raw pictures.
    pub fn sub(&self, raw: &gst::Element, encoder: Encoder) -> Result<()> {
        let sub = self.settings.config.sub;
        // What the box turned before is turned: what is not on its side here is there.
        let (width, height) = match self.turned {
            Some(_) => (sub.width, sub.height),
            None => self.settings.config.picture.turned.of_sides((sub.width, sub.height)),
        };
        let size = [("width", i64::from(width)), ("height", i64::from(height)), ("fps", i64::from(sub.fps))];
        let name = if self.turned.is_some() { "branch/sub-turned" } else { "branch/sub" };
        let branch = self.settings.library.bin(name, &size, &[])?;
        if let Some(turned) = &self.turned {
            turned.add(&branch, (sub.width, sub.height));
        }
        self.control.valves.add(Part::Sub, pipeline::element(&branch, "valve")?);
        thin(&pipeline::pad_of(&branch, "valve", "src")?, sub.fps);
        self.count_queue(Bottleneck::Small, &branch);
        let (enc, out) = self.encoder(Stream::Sub, encoder, encoder.element, sub)?;
        self.chain(raw, &[&branch, &enc, &out])
    }

    /// Counts what comes to the queue of `bin` and what is taken from it: what is missing was dropped there, since what follows is too slow.
    fn count_queue(&self, part: Bottleneck, bin: &gst::Bin) {
        let queue = bin.by_name("waiting");
        let pads = queue.and_then(|queue| queue.static_pad("sink").zip(queue.static_pad("src")));
        if let Some((entry, exit)) = pads {
            self.flow.count_came(part, &entry);
            self.flow.count_left(part, &exit);
        }
    }

    /// Small pictures for the detector, made of raw ones, where motion is looked for. Returns what chooses them.
    pub fn luma(&self, raw: &gst::Element, averaged: Averaged) -> Result<Option<SharedThinner>> {
        let motion = &self.settings.config.motion;
        if !motion.enabled {
            return Ok(None);
        }
        let branch = self.settings.library.bin("branch/luma", &[], &[])?;
        self.flow.take_luma(&sink(&branch, "luma")?, self.turned.clone().unwrap_or_default());
        let thinner = Arc::new(Mutex::new(Thinner::new(f64::from(motion.fps))));
        match averaged {
            Averaged::Aside => {
                let queue = self.settings.library.bin("branch/luma-queue", &[], &[])?;
                // Before the queue, so that a picture that is not looked at wakes nobody.
                drop_above(&pipeline::pad_of(&queue, "queue", "sink")?, thinner.clone());
                self.chain(raw, &[&queue, &branch])?;
            }
            Averaged::AtOnce => {
                let pad = pipeline::pad_of(&branch, "luma", "sink")?;
                drop_above(&pad, thinner.clone());
                take_any_stride(&pad);
                self.chain(raw, &[&branch])?;
            }
        }
        Ok(Some(thinner))
    }

    /// An encoder with its way out.
    fn encoder(
        &self,
        stream: Stream,
        encoder: Encoder,
        file: &str,
        video: VideoSettings,
    ) -> Result<(gst::Bin, gst::Bin)> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let numbers = [
            ("bitrate_kbps", i64::from(video.bitrate_kbps)),
            // A keyframe a second.
            ("gop", i64::from(video.fps.max(1))),
            ("threads", i64::from(encoder_threads(encoder.codec, video, cores))),
        ];
        let enc = self.settings.library.bin(&format!("encoder/{file}"), &numbers, &[])?;
        let element = pipeline::element(&enc, "enc")?;
        let commandable = encoder.commandable.then_some(element);
        let out = match encoder.codec {
            VideoCodec::Vp8 => "branch/vp8",
            VideoCodec::H264 | VideoCodec::H265 => "branch/h264",
        };
        let out = self.settings.library.bin(out, &[], &[])?;
        let packets = VideoOut { stream, codec: encoder.codec, lent: encoder.hardware, turned: Orientation::NONE };
        self.packets(&out, packets)?;
        self.control.add_encoder(stream, encoder.element, commandable);
        Ok((enc, out))
    }

    fn packets(&self, out: &gst::Bin, packets: VideoOut) -> Result<()> {
        self.flow.take_video(&sink(out, "packets")?, packets);
        Ok(())
    }

    /// A tee behind `after`.
    pub fn tee(&self, after: &gst::Bin) -> Result<gst::Element> {
        let tee = gst::ElementFactory::make("tee")
            .name(format!("{} tee", after.name()))
            .property("allow-not-linked", true)
            .build()
            .map_err(|e| Error::invalid("GStreamer's own elements are not installed").with_source(e))?;
        self.pipeline.add(&tee).map_err(|e| Error::internal("a tee cannot be added").with_source(e))?;
        link(after.upcast_ref(), &tee)?;
        Ok(tee)
    }

    /// Adds `bin`.
    pub fn add(&self, bin: &gst::Bin) -> Result<()> {
        parts::add(&self.pipeline, bin)
    }

    /// Adds `bins` and links them one after the other behind `head`.
    fn chain(&self, head: &gst::Element, bins: &[&gst::Bin]) -> Result<()> {
        for bin in bins {
            self.add(bin)?;
        }
        let mut from = head.clone();
        for bin in bins {
            link(&from, bin.upcast_ref())?;
            from = (*bin).clone().upcast();
        }
        Ok(())
    }
}

/// Has the element `size` of `source` ask for the even size next to that of the pictures. Left to itself, what scales them takes the size that
/// the small stream would like best. A file that was replaced may hold something else there: that is left alone.
fn keep_size(source: &gst::Bin) {
    let fit = source.by_name("fit").and_then(|fit| fit.static_pad("sink"));
    let Some((pad, size)) = fit.zip(source.by_name("size")) else { return };
    if size.find_property("caps").is_none_or(|p| p.value_type() != gst::Caps::static_type()) {
        return;
    }
    let size = size.downgrade();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &info.data
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(pictures) = caps.caps().structure(0)
            && let (Ok(width), Ok(height)) = (pictures.get::<i32>("width"), pictures.get::<i32>("height"))
            && let Some(size) = size.upgrade()
        {
            let even = gst::Caps::builder("video/x-raw").field("format", "I420");
            size.set_property("caps", even.field("width", width & !1).field("height", height & !1).build());
        }
        gst::PadProbeReturn::Ok
    });
}

/// Gives pictures that leave `source` the shape that the config names.
fn shape_behind(source: &gst::Bin, aspect: Option<Aspect>) -> Result<()> {
    shape_at(&pipeline::open_end(source, "src")?, aspect);
    Ok(())
}

/// Gives pictures that go through `element` the shape that the config names, whatever the camera says of it.
pub(crate) fn shape(element: &gst::Element, aspect: Option<Aspect>) {
    if let Some(pad) = element.static_pad("sink") {
        shape_at(&pad, aspect);
    }
}

fn shape_at(pad: &gst::Pad, aspect: Option<Aspect>) {
    let Some(aspect) = aspect else { return };
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(shaped) = shaped(caps.caps(), aspect)
        {
            *event = gst::event::Caps::new(&shaped);
        }
        gst::PadProbeReturn::Ok
    });
}

fn shaped(caps: &gst::CapsRef, aspect: Aspect) -> Option<gst::Caps> {
    let side = |name: &str| u32::try_from(caps.structure(0)?.get::<i32>(name).ok()?).ok().filter(|side| *side > 0);
    let (x, y) = aspect.pixel(side("width")?, side("height")?);
    let pixel = gst::Fraction::new(i32::try_from(x).ok()?, i32::try_from(y).ok()?);
    let mut shaped = caps.to_owned();
    shaped.make_mut().set("pixel-aspect-ratio", pixel);
    Some(shaped)
}

/// Says that what is behind `pad` reads pictures as they lie in a decoder's own memory; else each would be copied for it.
fn take_any_stride(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::QUERY_DOWNSTREAM, |_, info| {
        if let Some(query) = info.query_mut()
            && let gst::QueryViewMut::Allocation(allocation) = query.view_mut()
        {
            allocation.add_allocation_meta::<gst_video::VideoMeta>(None);
            return gst::PadProbeReturn::Handled;
        }
        gst::PadProbeReturn::Ok
    });
}

/// Lets at most `fps` pictures a second through `pad`, and says so downstream. Not by `videorate`: in GStreamer 1.22 it ends the whole process
/// over a picture whose length is not known, and a camera decides whether it is.
pub(super) fn thin(pad: &gst::Pad, fps: u32) {
    drop_above(pad, Arc::new(Mutex::new(Thinner::new(f64::from(fps)))));
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Caps(caps) = event.view()
            && let Some(thinned) = thinned(caps.caps(), fps)
        {
            *event = gst::event::Caps::new(&thinned);
        }
        gst::PadProbeReturn::Ok
    });
}

fn drop_above(pad: &gst::Pad, thinner: SharedThinner) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let pts = info.buffer().and_then(|b| b.pts());
        match pts.is_none_or(|pts| lock(&thinner).keep(pts.nseconds())) {
            true => gst::PadProbeReturn::Ok,
            false => withheld(info),
        }
    });
}

/// The same with at most this rate, or with it where none is known; `None` where it is lower.
fn thinned(caps: &gst::CapsRef, fps: u32) -> Option<gst::Caps> {
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok();
    let is_lower =
        |rate: gst::Fraction| rate.numer() > 0 && i64::from(rate.numer()) <= i64::from(fps) * i64::from(rate.denom());
    if rate.is_some_and(is_lower) {
        return None;
    }
    let mut thinned = caps.to_owned();
    thinned.make_mut().set("framerate", gst::Fraction::new(i32::try_from(fps).ok()?, 1));
    Some(thinned)
}
