//! A network camera's pictures decoded, so that the box encodes them anew: masked, turned, in the size and rate of the config. What the camera
//! encoded goes in here and nowhere else.

use super::control::Control;
use super::decoding::{installed, spare};
use super::flow::{Flow, Signal};
use super::graph::{Wiring, shape, thin};
use super::settings::Settings;
use super::turned::flip;
use crate::encoders::encoded;
use crate::probes::withheld;
use crate::{pipeline, time};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::Result;
use perch_domain::ingest::Picture;
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_domain::orientation::Orientation;
use perch_domain::pace::Bottleneck;
use perch_domain::refresh::RefreshWatch;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};

/// Pictures, and their bytes, that may wait for a decoder that is too slow. What is more is dropped up to the next start.
const WAITING: (u64, u64) = (60, 8 << 20);
/// Stands while no picture is wanted.
const NONE_YET: i64 = i64::MAX;

/// What leads into the decoder.
pub(super) struct Entry {
    app: gst_app::AppSrc,
    flow: Weak<Flow>,
    codec: VideoCodec,
    /// Whether what comes leads on from nothing that was decoded.
    awaits_start: bool,
    /// Whether what comes is whole.
    refresh: RefreshWatch,
    /// From when on pictures are wanted, microseconds of the clock, or [`NONE_YET`].
    from: Arc<AtomicI64>,
    /// What turns them: as the camera says, and then as the config does.
    turn: gst::Element,
    own: Option<Orientation>,
    more: Orientation,
}

/// Builds what decodes and encodes pictures that travel as `codec`.
pub(super) fn build(
    settings: &Arc<Settings>,
    flow: &Arc<Flow>,
    control: &Arc<Control>,
    codec: VideoCodec,
) -> Result<(gst::Pipeline, Entry)> {
    let config = &settings.config;
    let wiring = Wiring::new(settings, flow, control.clone());
    let decoder = settings.library.bin(installed(&settings.library, codec)?, &[], &[])?;
    let app: gst_app::AppSrc = pipeline::typed(&decoder, "in", "an appsrc")?;
    let teller = Arc::downgrade(flow);
    spare(&pipeline::pad_of(&decoder, "parse", "src")?, codec, move |why| {
        if let Some(flow) = teller.upgrade() {
            flow.signal(Signal::Failed(why));
        }
    });
    let (width, height) = config.picture.turned.of_sides((config.main.width, config.main.height));
    let size = [("width", i64::from(width)), ("height", i64::from(height))];
    let fitted = settings.library.bin("branch/anew", &size, &[])?;
    let turn = pipeline::element(&fitted, "turn")?;
    shape(&turn, config.aspect);
    let entry = pipeline::pad_of(&fitted, "turn", "sink")?;
    let from = Arc::new(AtomicI64::new(NONE_YET));
    wanted_from(&entry, from.clone());
    thin(&entry, config.main.fps);
    wiring.add(&decoder)?;
    wiring.add(&fitted)?;
    super::parts::link(decoder.upcast_ref(), fitted.upcast_ref())?;
    wiring.encoded(&fitted)?;
    if let Some(exit) = app.static_pad("src") {
        flow.count_left(Bottleneck::Decoder, &exit);
    }
    control.set_decoding(true);
    let refresh = RefreshWatch::default();
    let (flow, more) = (Arc::downgrade(flow), config.picture.turned);
    let entry = Entry { app, flow, codec, awaits_start: true, refresh, from, turn, own: None, more };
    Ok((wiring.pipeline, entry))
}

/// Drops pictures from before `from`: they were decoded only to lead to it, and are not whole.
fn wanted_from(pad: &gst::Pad, from: Arc<AtomicI64>) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let at = info.buffer().and_then(|b| b.pts()).map(time::to_mono);
        match at.is_none_or(|at| at.0 >= from.load(Ordering::SeqCst)) {
            true => gst::PadProbeReturn::Ok,
            false => withheld(info),
        }
    });
}

impl Entry {
    /// Takes a picture that leads on from those before it, or is a start.
    pub fn take(&mut self, picture: Picture) {
        let Some(flow) = self.flow.upgrade() else { return };
        flow.count(|counts| counts.came(Bottleneck::Decoder, Some(picture.decoded)));
        let (pictures, bytes) = (self.app.current_level_buffers(), self.app.current_level_bytes());
        let is_full = pictures > WAITING.0 || bytes > WAITING.1;
        self.awaits_start |= is_full;
        if self.awaits_start && (is_full || !picture.start) {
            return;
        }
        let breaks_off = std::mem::take(&mut self.awaits_start) || picture.break_before;
        let Picture { data, shown, decoded, start, .. } = picture;
        let packet = Packet {
            codec: Some(self.codec),
            shown_later: shown.since(decoded),
            ..Packet::new(Track::Video, data, decoded, start)
        };
        if start {
            self.turn(Orientation::of_unit(self.codec, &packet.data));
        }
        self.want_whole(&packet, breaks_off);
        // Refused only while it ends.
        let _ = self.app.push_buffer(encoded(&packet, breaks_off));
    }

    fn turn(&mut self, own: Orientation) {
        if self.own.replace(own) != Some(own) {
            flip(&self.turn, own.and_then(self.more));
        }
    }

    /// Of an intra refresh nothing is wanted until it is through.
    fn want_whole(&mut self, packet: &Packet, breaks_off: bool) {
        let from = match self.refresh.next(packet, breaks_off) {
            false => NONE_YET,
            true if self.from.load(Ordering::SeqCst) != NONE_YET => return,
            true => packet.shown().0,
        };
        self.from.store(from, Ordering::SeqCst);
    }
}
