//! What the hub commands of a running pipeline: keyframes, and the valves of what nobody uses. Calls return at once.

use super::sub_rate::SubRate;
use crate::fanout::{Demand, EncoderControl};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use perch_base::sync::lock;
use perch_domain::media::Stream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What a capture can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Sound.
    Sound,
    /// The sub-stream.
    Sub,
}

/// The valves of a capture, under one lock, as a demand is about all of its parts. Those of a part open and close together; those that come
/// later get the present word.
#[derive(Default)]
pub(super) struct Valves(Mutex<[Row; 2]>);

#[derive(Default)]
struct Row {
    is_open: bool,
    valves: Vec<gst::Element>,
}

impl Valves {
    /// Opens or closes every valve of these parts.
    pub fn set(&self, words: [(Part, bool); 2]) {
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

/// The commands of one attempt. Its parts come and go while it runs: what is there now obeys.
pub(super) struct Control {
    /// The encoders that take commands.
    main: Mutex<Option<gst::Element>>,
    sub: Mutex<Option<gst::Element>>,
    /// How the small stream's encoder takes another bit rate, where it does.
    sub_rate: Mutex<Option<SubRate>>,
    /// The small stream's encoder comes later, and will take commands.
    sub_will_obey: AtomicBool,
    /// Element name of the encoder, and how many run.
    encoders: Mutex<(&'static str, u32)>,
    encodes_main: AtomicBool,
    /// The valves of its parts.
    pub valves: Arc<Valves>,
    /// What is used, for the parts that run only while they are.
    demand: watch::Sender<Demand>,
    is_decoding: AtomicBool,
    /// The small stream is the camera's own second one.
    has_second: AtomicBool,
}

impl Control {
    /// Commands of an attempt that is still empty but for its source, whose sound may be behind some of `valves`.
    pub fn new(valves: Arc<Valves>) -> Self {
        Self {
            main: Mutex::default(),
            sub: Mutex::default(),
            sub_rate: Mutex::default(),
            sub_will_obey: AtomicBool::default(),
            encoders: Mutex::new(("", 0)),
            encodes_main: AtomicBool::default(),
            valves,
            demand: watch::Sender::new(Demand::default()),
            is_decoding: AtomicBool::default(),
            has_second: AtomicBool::default(),
        }
    }

    /// The small stream and the detector's pictures are the camera's own second stream.
    pub fn expect_second(&self) {
        self.has_second.store(true, Ordering::Relaxed);
    }

    /// Whether they are.
    pub fn has_second(&self) -> bool {
        self.has_second.load(Ordering::Relaxed)
    }

    /// Element name of the encoder; empty where only the camera encodes.
    pub fn encoder(&self) -> &'static str {
        lock(&self.encoders).0
    }

    /// Whether the main stream is encoded here, and not as the camera sends it.
    pub fn encodes_main(&self) -> bool {
        self.encodes_main.load(Ordering::Relaxed)
    }

    /// Video encoders that exist now.
    pub fn encoders(&self) -> u32 {
        lock(&self.encoders).1
    }

    /// An encoder of `stream` was built; `element` is there where it takes commands.
    pub fn add_encoder(&self, stream: Stream, name: &'static str, element: Option<gst::Element>) {
        if stream == Stream::Sub {
            let rate = element.as_ref().and_then(|element| SubRate::of(name, element));
            let mut sub_rate = lock(&self.sub_rate);
            // Under the lock: a demand that changes meanwhile comes after.
            let wanted = self.demand.borrow().sub_bps;
            rate.iter().filter(|_| wanted.is_some()).for_each(|rate| rate.ask(wanted));
            *sub_rate = rate;
        }
        *lock(self.slot(stream)) = element;
        self.encodes_main.fetch_or(stream == Stream::Main, Ordering::Relaxed);
        let mut encoders = lock(&self.encoders);
        *encoders = (name, encoders.1 + 1);
    }

    /// The small stream's encoder is no more, and its valve.
    pub fn remove_sub_encoder(&self) {
        *lock(&self.sub) = None;
        *lock(&self.sub_rate) = None;
        self.valves.clear(Part::Sub);
        let mut encoders = lock(&self.encoders);
        encoders.1 = encoders.1.saturating_sub(1);
    }

    /// The small stream will be encoded by one that takes commands or does not.
    pub fn expect_sub(&self, will_obey: bool) {
        self.sub_will_obey.store(will_obey, Ordering::SeqCst);
    }

    /// Whether the sub-stream is encoded now.
    pub fn sub_active(&self) -> bool {
        self.valves.is_open(Part::Sub)
    }

    /// Whether passed-through video is decoded now.
    pub fn is_decoding(&self) -> bool {
        self.is_decoding.load(Ordering::SeqCst)
    }

    /// Whether passed-through video is decoded from now on.
    pub fn set_decoding(&self, is_decoding: bool) {
        self.is_decoding.store(is_decoding, Ordering::SeqCst);
    }

    /// What is used, now and later.
    pub fn demand(&self) -> watch::Receiver<Demand> {
        self.demand.subscribe()
    }

    fn slot(&self, stream: Stream) -> &Mutex<Option<gst::Element>> {
        match stream {
            Stream::Main => &self.main,
            Stream::Sub => &self.sub,
        }
    }
}

impl EncoderControl for Control {
    fn commandable(&self, stream: Stream) -> bool {
        lock(self.slot(stream)).is_some() || (stream == Stream::Sub && self.sub_will_obey.load(Ordering::SeqCst))
    }

    fn force_keyframe(&self, stream: Stream) {
        // Not under the lock: the event goes through the pipeline.
        let encoder = lock(self.slot(stream)).clone();
        if let Some(encoder) = encoder {
            force_keyframe(&encoder);
        }
    }

    fn set_demand(&self, demand: Demand) {
        self.valves.set([(Part::Sound, demand.audio), (Part::Sub, demand.sub)]);
        let before = self.demand.send_replace(demand);
        if let Some(rate) = lock(&self.sub_rate).as_ref().filter(|_| before.sub_bps != demand.sub_bps) {
            rate.ask(demand.sub_bps);
        }
    }

    fn sub_set_bps(&self) -> Option<u64> {
        lock(&self.sub_rate).as_ref().map(SubRate::set_bps)
    }
}

/// Waits until what is used is as `is` says. False: the attempt is over.
pub(super) async fn until(demand: &mut watch::Receiver<Demand>, is: impl Fn(&Demand) -> bool) -> bool {
    demand.wait_for(is).await.is_ok()
}

/// Asks `encoder` for a keyframe with SPS and PPS as its next picture.
pub(super) fn force_keyframe(encoder: &gst::Element) {
    if let Some(pad) = encoder.static_pad("src") {
        pad.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build());
    }
}
