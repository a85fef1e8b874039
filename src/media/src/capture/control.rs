//! What the hub commands of a running pipeline: keyframes, and the valves of what nobody uses. Calls return at once.

use crate::fanout::{Demand, EncoderControl};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use perch_base::sync::lock;
use perch_domain::media::Stream;
use std::sync::{Arc, Mutex};

/// Valves that open and close together; those that come later get the present word.
#[derive(Default)]
pub(super) struct Switch(Mutex<(bool, Vec<gst::Element>)>);

impl Switch {
    /// Opens or closes every valve.
    pub fn set(&self, open: bool) {
        let mut state = lock(&self.0);
        state.0 = open;
        for valve in &state.1 {
            valve.set_property("drop", !open);
        }
    }

    /// Adds a valve.
    pub fn add(&self, valve: gst::Element) {
        let mut state = lock(&self.0);
        valve.set_property("drop", !state.0);
        state.1.push(valve);
    }

    /// Forgets every valve.
    pub fn clear(&self) {
        lock(&self.0).1.clear();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        lock(&self.0).0
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
    /// The sub-stream.
    pub sub_switch: Switch,
    /// The decoder of passed-through video.
    pub decode_switch: Switch,
    /// Motion needs pictures whatever else is used.
    pub decode_always: bool,
    /// Sound.
    pub sound: Arc<Switch>,
}

impl Control {
    /// Commands of a pipeline that is still empty but for `sound`.
    pub fn new(sound: Arc<Switch>) -> Self {
        Self {
            main: None,
            sub: None,
            encoder: "",
            encoders: 0,
            sub_switch: Switch::default(),
            decode_switch: Switch::default(),
            decode_always: false,
            sound,
        }
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
        self.sub_switch.is_open()
    }

    /// Whether passed-through video is decoded now.
    pub fn is_decoding(&self) -> bool {
        self.decode_switch.is_open()
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
        self.sound.set(demand.audio);
        self.decode_switch.set(demand.sub || self.decode_always);
        self.sub_switch.set(demand.sub);
    }
}

/// Asks `encoder` for a keyframe with SPS and PPS as its next picture.
pub(super) fn force_keyframe(encoder: &gst::Element) {
    if let Some(pad) = encoder.static_pad("src") {
        pad.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
    }
}
