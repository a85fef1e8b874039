//! What the hub commands of a running pipeline: keyframes, and the valves of what nobody uses. Calls return at once.

use crate::fanout::{Demand, EncoderControl};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use perch_base::sync::lock;
use perch_domain::media::Stream;
use std::sync::{Arc, Mutex};

/// What a capture can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Sound.
    Sound,
    /// The decoder of passed-through video.
    Decoder,
    /// The sub-stream.
    Sub,
}

/// The valves of a capture, under one lock, as a demand is about all of its parts. Those of a part open and close together; those that come
/// later get the present word.
#[derive(Default)]
pub(super) struct Valves(Mutex<[Row; 3]>);

#[derive(Default)]
struct Row {
    is_open: bool,
    valves: Vec<gst::Element>,
}

impl Valves {
    /// Opens or closes every valve of these parts.
    pub fn set(&self, words: [(Part, bool); 3]) {
        let mut rows = lock(&self.0);
        for (part, open) in words {
            let row = &mut rows[part as usize];
            row.is_open = open;
            for valve in &row.valves {
                valve.set_property("drop", !open);
            }
        }
    }

    /// Adds a valve.
    pub fn add(&self, part: Part, valve: gst::Element) {
        let row = &mut lock(&self.0)[part as usize];
        valve.set_property("drop", !row.is_open);
        row.valves.push(valve);
    }

    /// Forgets every valve of a part.
    pub fn clear(&self, part: Part) {
        lock(&self.0)[part as usize].valves.clear();
    }

    /// Whether a part is open.
    pub fn is_open(&self, part: Part) -> bool {
        lock(&self.0)[part as usize].is_open
    }
}

/// The commands of one pipeline.
pub(super) struct Control {
    /// The main encoder, where it takes commands.
    pub main: Option<gst::Element>,
    /// The sub encoder, where it takes commands.
    pub sub: Option<gst::Element>,
    /// Element name of the encoder; empty where only the camera encodes.
    pub encoder: &'static str,
    /// How many encoders were built.
    pub encoders: u32,
    /// Motion needs pictures whatever else is used.
    pub decode_always: bool,
    /// What is used now.
    pub valves: Arc<Valves>,
}

impl Control {
    /// Commands of a pipeline that is still empty but for its source, whose sound may be behind some of `valves`.
    pub fn new(valves: Arc<Valves>) -> Self {
        Self { main: None, sub: None, encoder: "", encoders: 0, decode_always: false, valves }
    }

    /// Element name of the encoder.
    pub fn encoder(&self) -> &'static str {
        self.encoder
    }

    /// Video encoders that exist in the pipeline.
    pub fn encoders(&self) -> u32 {
        self.encoders
    }

    /// Whether the sub-stream is encoded now.
    pub fn sub_active(&self) -> bool {
        self.valves.is_open(Part::Sub)
    }

    /// Whether passed-through video is decoded now.
    pub fn is_decoding(&self) -> bool {
        self.valves.is_open(Part::Decoder)
    }

    fn of(&self, stream: Stream) -> Option<&gst::Element> {
        match stream {
            Stream::Main => self.main.as_ref(),
            Stream::Sub => self.sub.as_ref(),
        }
    }
}

impl EncoderControl for Control {
    fn commandable(&self, stream: Stream) -> bool {
        self.of(stream).is_some()
    }

    fn force_keyframe(&self, stream: Stream) {
        if let Some(encoder) = self.of(stream) {
            force_keyframe(encoder);
        }
    }

    fn set_demand(&self, demand: Demand) {
        let decodes = demand.sub || self.decode_always;
        self.valves.set([(Part::Sound, demand.audio), (Part::Decoder, decodes), (Part::Sub, demand.sub)]);
    }
}

/// Asks `encoder` for a keyframe with SPS and PPS as its next picture.
pub(super) fn force_keyframe(encoder: &gst::Element) {
    if let Some(pad) = encoder.static_pad("src") {
        pad.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
    }
}
