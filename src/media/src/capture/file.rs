//! A file as a camera: decoded at its own pace and looped inside one pipeline by segment seeks, so that time goes on without a gap.

use super::control::Valves;
use super::flow::{Flow, Signal};
use super::parts;
use super::settings::Settings;
use crate::{pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::sync::lock;
use perch_base::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// Demuxers that take segment seeks: MP4, Matroska and WebM, AVI. With any other a file starts again by a new pipeline.
const LOOPING_DEMUXERS: [&str; 3] = ["qtdemux", "matroskademux", "avidemux"];

/// Begins and loops the file of one pipeline.
pub(super) struct Looper {
    decode: gst::Bin,
    state: Mutex<State>,
}

struct State {
    /// The decoder's pad that carries the pictures; seeks go there.
    video: Option<gst::Pad>,
    /// Where running time is moved to the box's steady time.
    entries: Vec<gst::Pad>,
    has_sound: bool,
    started: bool,
}

/// The bin of the file at `path`, with a pad for its pictures, and what loops it.
pub(super) fn source(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    valves: &Arc<Valves>,
    path: &Path,
    size: &[(&str, i64)],
) -> Result<(gst::Bin, Arc<Looper>)> {
    let location = path.to_str().ok_or_else(|| Error::invalid(format!("{}: must be UTF-8", path.display())))?;
    let bin = settings.library.open_bin("source/file", size, &[("location", location)])?;
    let decode = pipeline::element(&bin, "decode")?;
    expose(&bin)?;
    calm_decoders(&bin);
    let entry = pipeline::pad_of(&bin, "video", "sink")?;
    let looper = Arc::new(Looper {
        decode: pipeline::typed(&bin, "decode", "a bin")?,
        state: Mutex::new(State { video: None, entries: vec![entry.clone()], has_sound: false, started: false }),
    });
    let pads = Pads {
        settings: settings.clone(),
        flow: Arc::downgrade(flow),
        valves: valves.clone(),
        bin: bin.downgrade(),
        entry: entry.downgrade(),
        looper: Arc::downgrade(&looper),
    };
    decode.connect_pad_added(move |_, pad| pads.added(pad));
    let flow = Arc::downgrade(flow);
    decode.connect_no_more_pads(move |_| {
        if let Some(flow) = flow.upgrade() {
            flow.signal(Signal::PadsKnown);
        }
    });
    Ok((bin, looper))
}

/// Gives `bin` the src pad of its element `name=out`.
pub(super) fn expose(bin: &gst::Bin) -> Result<()> {
    let cannot = || pipeline::unfit(bin, "the element `name=out` needs a free src pad");
    let pad = pipeline::pad_of(bin, "out", "src")?;
    let ghost = gst::GhostPad::builder_with_target(&pad).map_err(|e| cannot().with_source(e))?.name("src").build();
    bin.add_pad(&ghost).map_err(|e| cannot().with_source(e))
}

/// One thread a decoder: more of them only keep more pictures in memory.
pub(super) fn calm_decoders(bin: &gst::Bin) {
    bin.connect_deep_element_added(|_, _, element| {
        if element.has_property_with_type("max-threads", i32::static_type()) {
            element.set_property("max-threads", 1i32);
        }
    });
}

struct Pads {
    settings: Arc<Settings>,
    flow: Weak<Flow>,
    valves: Arc<Valves>,
    bin: gst::glib::WeakRef<gst::Bin>,
    entry: gst::glib::WeakRef<gst::Pad>,
    looper: Weak<Looper>,
}

impl Pads {
    fn added(&self, pad: &gst::Pad) {
        let (Some(flow), Some(bin), Some(entry), Some(looper)) =
            (self.flow.upgrade(), self.bin.upgrade(), self.entry.upgrade(), self.looper.upgrade())
        else {
            return;
        };
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let kind = caps.structure(0).map(|s| s.name().to_string()).unwrap_or_default();
        if kind.starts_with("video/") && !entry.is_linked() {
            // Where the file cannot seek, this is its beginning already.
            begin_now(&entry);
            match pad.link(&entry) {
                Ok(_) => looper.state().video = Some(pad.clone()),
                Err(e) => {
                    flow.signal(Signal::Failed(Error::invalid("the file's pictures cannot be used").with_source(e)))
                }
            }
        } else if kind.starts_with("audio/")
            && parts::own_sound(&self.settings)
            && looper.is_first_sound()
            && let Err(e) = self.add_sound(&flow, &bin, &looper, pad)
            && self.settings.is_news(&e)
        {
            tracing::warn!(camera = %self.settings.config.id, error = %e, "the file's sound cannot be used");
        }
    }

    fn add_sound(&self, flow: &Arc<Flow>, bin: &gst::Bin, looper: &Looper, pad: &gst::Pad) -> Result<()> {
        let pace = self.settings.library.bin("audio/source", &[], &[])?;
        let opus = parts::opus(&self.settings, flow, &self.valves)?;
        if let Some(entry) = pace.static_pad("sink") {
            begin_now(&entry);
            looper.state().entries.push(entry);
        }
        parts::grow(bin, pad, &[pace, opus])
    }
}

impl Looper {
    /// Starts the first round now. Later calls do nothing.
    pub fn begin(self: &Arc<Self>, pipeline: &gst::Pipeline, flow: &Arc<Flow>) {
        if std::mem::replace(&mut self.state().started, true) {
            return;
        }
        let Some(pad) = self.pad() else {
            flow.signal(Signal::Failed(Error::invalid("has no video that can be decoded")));
            return;
        };
        let (me, pipeline, teller) = (self.clone(), pipeline.clone(), flow.clone());
        in_background(flow, move || {
            if me.loops_in_place() {
                let entries = me.state().entries.clone();
                entries.iter().for_each(begin_now);
                if !seek(&pad, gst::SeekFlags::FLUSH) {
                    tracing::debug!("the file cannot be looped in place");
                }
            }
            if pipeline.set_state(gst::State::Playing).is_err() {
                teller.signal(Signal::Failed(Error::new(ErrorKind::Unavailable, "the file does not start")));
            }
            // The attempt may have ended meanwhile, and its pipeline with it: nothing may run on behind its back.
            if !teller.is_live() {
                let _ = pipeline.set_state(gst::State::Null);
            }
        });
    }

    /// Reads the file again from its start, behind what is still on its way.
    pub fn next_round(&self, flow: &Arc<Flow>) {
        let Some(pad) = self.pad() else { return };
        let teller = flow.clone();
        in_background(flow, move || {
            if teller.is_live() && !seek(&pad, gst::SeekFlags::empty()) {
                teller.signal(Signal::EndOfStream);
            }
        });
    }

    /// Others refuse a segment seek, and some of them are left flushing by the attempt.
    fn loops_in_place(&self) -> bool {
        self.decode
            .iterate_recurse()
            .into_iter()
            .flatten()
            .any(|element| element.factory().is_some_and(|f| LOOPING_DEMUXERS.contains(&f.name().as_str())))
    }

    fn pad(&self) -> Option<gst::Pad> {
        self.state().video.clone()
    }

    /// Whether no sound was taken before this one.
    fn is_first_sound(&self) -> bool {
        !std::mem::replace(&mut self.state().has_sound, true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Moves the file's zero to the box's steady time now.
fn begin_now(entry: &gst::Pad) {
    let now = time::clock().time().saturating_sub(time::base_time());
    entry.set_offset(i64::try_from(now.nseconds()).unwrap_or(i64::MAX));
}

fn seek(pad: &gst::Pad, flags: gst::SeekFlags) -> bool {
    pad.send_event(gst::event::Seek::new(
        1.0,
        flags | gst::SeekFlags::SEGMENT,
        gst::SeekType::Set,
        gst::ClockTime::ZERO,
        gst::SeekType::None,
        gst::ClockTime::NONE,
    ))
}

/// Seeks and state changes wait for streaming threads, so they get a thread.
fn in_background(flow: &Flow, work: impl FnOnce() + Send + 'static) {
    if let Err(e) = std::thread::Builder::new().name("file loop".into()).spawn(work) {
        flow.signal(Signal::Failed(Error::internal("no thread to loop the file").with_source(e)));
    }
}
