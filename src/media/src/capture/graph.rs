//! One pipeline from the text files: source, tee, and a branch for each use. Says what is linked to what; nothing runs here.

use super::control::{Control, Part, Valves};
use super::file::Looper;
use super::flow::{Flow, VideoOut};
use super::parts::{self, link, sink};
use super::settings::Settings;
use super::{devices, file, rtsp};
use crate::encoders::{self, Encoder};
use crate::{h264, pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::board::encoder_threads;
use perch_domain::camera::{Source, VideoSettings};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::motion::Thinner;
use perch_domain::pace::Bottleneck;
use std::sync::{Arc, Mutex, Once};

/// A pipeline that is linked and in NULL.
pub(super) struct Graph {
    /// The pipeline.
    pub pipeline: gst::Pipeline,
    /// Its commands.
    pub control: Arc<Control>,
    /// For a file: what begins and loops it.
    pub looper: Option<Arc<Looper>>,
}

/// Builds the pipeline of one attempt.
pub(super) fn build(settings: &Arc<Settings>, flow: &Arc<Flow>) -> Result<Graph> {
    let pipeline = gst::Pipeline::with_name(settings.config.id.as_str());
    time::apply(&pipeline);
    let valves = Arc::new(Valves::default());
    let (source, passed, looper) = source(settings, flow, &valves)?;
    let mut wiring = Wiring { settings, flow, pipeline, control: Control::new(valves) };
    parts::add(&wiring.pipeline, &source)?;
    if passed {
        wiring.passed(&source)?;
    } else {
        wiring.encoded(&source)?;
    }
    Ok(Graph { pipeline: wiring.pipeline, control: Arc::new(wiring.control), looper })
}

/// The source's bin, whether it is H.264 already, and what loops it.
fn source(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    valves: &Arc<Valves>,
) -> Result<(gst::Bin, bool, Option<Arc<Looper>>)> {
    let config = &settings.config;
    let (width, height) = (i64::from(config.main.width), i64::from(config.main.height));
    let size = [("width", width), ("height", height), ("fps", i64::from(config.main.fps))];
    let library = &settings.library;
    match &config.source {
        Source::Test => {
            let overlay = gst::ElementFactory::find("clockoverlay").is_some();
            let name = if overlay { "source/test" } else { "source/test-plain" };
            Ok((library.bin(name, &size, &[])?, false, None))
        }
        Source::File(path) => {
            devices::file(path)?;
            let (bin, looper) = file::source(settings, flow, valves, path, &size)?;
            Ok((bin, false, Some(looper)))
        }
        Source::V4l2(device) => {
            let name = devices::v4l2(device, config.main, config.codec)?;
            Ok((library.bin(name, &size, &[("device", device)])?, name == "source/v4l2-h264", None))
        }
        Source::Libcamera(id) => {
            let id = id.as_deref().map(|id| ("camera-name", id));
            Ok((library.bin("source/libcamera", &size, id.as_slice())?, false, None))
        }
        Source::Rtsp(url) => {
            if config.codec != VideoCodec::H264 {
                return Err(Error::invalid("an RTSP camera is passed through as H.264: its codec cannot be vp8"));
            }
            Ok((rtsp::source(settings, flow, valves, url)?, true, None))
        }
    }
}

struct Wiring<'a> {
    settings: &'a Arc<Settings>,
    flow: &'a Arc<Flow>,
    pipeline: gst::Pipeline,
    control: Control,
}

impl Wiring<'_> {
    /// Camera's own H.264 goes out as it is; a decoder stands by for motion and the sub-stream.
    fn passed(&mut self, source: &gst::Bin) -> Result<()> {
        let coded = self.tee(source)?;
        let lent = matches!(self.settings.config.source, Source::V4l2(_));
        let out = self.settings.library.bin("branch/passed", &[], &[])?;
        let main = VideoOut { stream: Stream::Main, codec: VideoCodec::H264, lent };
        self.packets(&out, main)?;
        self.chain(&coded, &[&out])?;
        let decoders = ["decode/avdec_h264", "decode/openh264dec"];
        let Some(decoder) = decoders.into_iter().find(|name| self.settings.library.is_installed(name)) else {
            let why = "no H.264 decoder is installed: no motion and no sub-stream";
            if self.settings.is_news(why) {
                tracing::warn!(camera = %self.settings.config.id, "{why}");
            }
            return Ok(());
        };
        let decoder = self.settings.library.bin(decoder, &[], &[])?;
        self.control.decode_always = self.settings.config.motion.enabled;
        self.spare(&pipeline::pad_of(&decoder, "valve", "src")?);
        self.control.valves.add(Part::Decoder, pipeline::element(&decoder, "valve")?);
        self.count_queue(Bottleneck::Decoder, &decoder);
        self.chain(&coded, &[&decoder])?;
        let raw = self.tee(&decoder)?;
        let encoder = encoders::probe(VideoCodec::H264)?;
        self.sub(&raw, encoder)?;
        self.luma(&raw)
    }

    /// Lets nothing out of a valve's `pad` that no decoder should see. Not by a capsfilter: one behind a tee speaks for all its branches,
    /// and such a camera could not be recorded either.
    fn spare(&self, pad: &gst::Pad) {
        let (settings, warned) = (self.settings.clone(), Once::new());
        pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            let caps = pad.current_caps();
            let side = |name: &str| caps.as_ref()?.structure(0)?.get::<i32>(name).ok();
            let sane = side("width").zip(side("height")).is_some_and(|(w, h)| h264::may_be_decoded(w, h));
            let data = info.buffer().and_then(|b| b.map_readable().ok());
            if sane && data.is_some_and(|data| h264::has_one_size(&data)) {
                return gst::PadProbeReturn::Ok;
            }
            warned.call_once(|| {
                let why = "pictures that are too large, or of two sizes, are not decoded: no motion and no sub-stream";
                if settings.is_news(why) {
                    tracing::warn!(camera = %settings.config.id, "{why}");
                }
            });
            gst::PadProbeReturn::Handled
        });
    }

    /// Raw pictures are encoded.
    fn encoded(&mut self, source: &gst::Bin) -> Result<()> {
        let config = &self.settings.config;
        let encoder = encoders::probe(config.codec)?;
        let raw = self.tee(source)?;
        let lent_pictures = matches!(config.source, Source::Libcamera(_));
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
        let (enc, out, element) = self.encoder(Stream::Main, encoder, file, config.main)?;
        self.control.main = element;
        self.chain(&raw, &[&queue, &enc, &out])?;
        self.sub(&raw, encoder)?;
        self.luma(&raw)
    }

    fn sub(&mut self, raw: &gst::Element, encoder: Encoder) -> Result<()> {
        let sub = self.settings.config.sub;
        let size = [("width", i64::from(sub.width)), ("height", i64::from(sub.height)), ("fps", i64::from(sub.fps))];
        let branch = self.settings.library.bin("branch/sub", &size, &[])?;
        self.control.valves.add(Part::Sub, pipeline::element(&branch, "valve")?);
        self.count_queue(Bottleneck::Small, &branch);
        let (enc, out, element) = self.encoder(Stream::Sub, encoder, encoder.element, sub)?;
        self.control.sub = element;
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

    fn luma(&mut self, raw: &gst::Element) -> Result<()> {
        let motion = &self.settings.config.motion;
        if !motion.enabled {
            return Ok(());
        }
        let branch = self.settings.library.bin("branch/luma", &[], &[])?;
        let pad = pipeline::pad_of(&branch, "queue", "sink")?;
        let thinner = Mutex::new(Thinner::new(f64::from(motion.fps)));
        // Before the queue, so that a picture that is not looked at wakes nobody.
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let pts = info.buffer().and_then(|b| b.pts());
            match pts.is_none_or(|pts| lock(&thinner).keep(pts.nseconds())) {
                true => gst::PadProbeReturn::Ok,
                // "Handled" gives the picture back at once; "Drop" makes GStreamer 1.22 complain of one freed already.
                false => gst::PadProbeReturn::Handled,
            }
        });
        self.flow.take_luma(&sink(&branch, "luma")?);
        self.chain(raw, &[&branch])
    }

    /// An encoder with its way out, and the element where it takes commands.
    fn encoder(
        &mut self,
        stream: Stream,
        encoder: Encoder,
        file: &str,
        video: VideoSettings,
    ) -> Result<(gst::Bin, gst::Bin, Option<gst::Element>)> {
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
            VideoCodec::H264 => "branch/h264",
            VideoCodec::Vp8 => "branch/vp8",
        };
        let out = self.settings.library.bin(out, &[], &[])?;
        let packets = VideoOut { stream, codec: encoder.codec, lent: encoder.hardware };
        self.packets(&out, packets)?;
        self.control.encoder = encoder.element;
        self.control.encoders += 1;
        Ok((enc, out, commandable))
    }

    fn packets(&self, out: &gst::Bin, packets: VideoOut) -> Result<()> {
        self.flow.take_video(&sink(out, "packets")?, packets);
        Ok(())
    }

    fn tee(&self, after: &gst::Bin) -> Result<gst::Element> {
        let tee = gst::ElementFactory::make("tee")
            .name(format!("{} tee", after.name()))
            .property("allow-not-linked", true)
            .build()
            .map_err(|e| Error::invalid("GStreamer's own elements are not installed").with_source(e))?;
        self.pipeline.add(&tee).map_err(|e| Error::internal("a tee cannot be added").with_source(e))?;
        link(after.upcast_ref(), &tee)?;
        Ok(tee)
    }

    /// Adds `bins` and links them one after the other behind `head`.
    fn chain(&self, head: &gst::Element, bins: &[&gst::Bin]) -> Result<()> {
        for bin in bins {
            parts::add(&self.pipeline, bin)?;
        }
        let mut from = head.clone();
        for bin in bins {
            link(&from, bin.upcast_ref())?;
            from = (*bin).clone().upcast();
        }
        Ok(())
    }
}
