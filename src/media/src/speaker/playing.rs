//! The pipeline that plays what somebody says: jitter buffer, concealment of what is lost, decoder, loudspeaker.

use super::camera_voice::{self, Frames};
use crate::capture::running::Running;
use crate::capture::{Signal, Threads};
use crate::far_end::FarEnd;
use crate::pipeline::{self, Library};
use crate::time;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::clock::SharedClock;
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::sound_level::Ear;
use perch_domain::speech::Spliced;
use perch_domain::talkback::TalkSink;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// How long late packets are waited for: three of a phone's.
const JITTER_MS: i64 = 60;
/// What the whole way takes: late packets, and the one behind, of which a lost one is made again. Left to itself, the decoder would have
/// six of the longest packets waited for.
const LATENCY: gst::ClockTime = gst::ClockTime::from_mseconds(90);
/// What a sound card's buffer adds.
const CARD: gst::ClockTime = gst::ClockTime::from_mseconds(40);
/// Of the one stream that one speaker after the other makes.
const SSRC: u32 = 0x7065_7263;
const PAYLOAD_TYPE: u8 = 111;

/// Who hears what is played.
pub(super) struct Ears {
    /// Measures it.
    pub ear: Arc<Mutex<Ear>>,
    /// Tells the microphone.
    pub far: Arc<FarEnd>,
}

/// A pipeline that plays. It ends when this is dropped.
pub(super) struct Playing {
    /// Where RTP goes in.
    pub entry: gst_app::AppSrc,
    /// What is to be said to the camera, where its own loudspeaker is it.
    pub frames: Option<Frames>,
    running: Running,
    failed: mpsc::UnboundedReceiver<Error>,
}

impl Playing {
    /// Builds and starts one. Blocks as long as the driver does.
    pub fn start(library: &Library, sink: &TalkSink, ears: Ears, clock: SharedClock) -> Result<Self> {
        let receive = library.bin("talk/receive", &[("latency_ms", JITTER_MS)], &[])?;
        let hears = hearing(ears, clock, latency(sink));
        let out = match sink {
            TalkSink::Test => {
                let out = library.bin("talk/test", &[], &[])?;
                at_handoff(&pipeline::element(&out, "out")?, hears);
                out
            }
            TalkSink::Camera => {
                let out = library.bin("talk/camera", &[], &[])?;
                before(&pipeline::pad_of(&out, "heard", "src")?, hears);
                out
            }
            TalkSink::Alsa(device) => {
                let out = library.bin("talk/alsa", &[], &[("device", device)])?;
                before(&pipeline::pad_of(&out, "heard", "src")?, hears);
                out
            }
        };
        let frames = matches!(sink, TalkSink::Camera).then(|| camera_voice::frames(&out)).transpose()?;
        let entry: gst_app::AppSrc = pipeline::typed(&receive, "in", "an appsrc")?;
        let pipeline = gst::Pipeline::new();
        time::apply(&pipeline);
        pipeline.set_latency(latency(sink));
        for bin in [&receive, &out] {
            crate::capture::parts::add(&pipeline, bin)?;
        }
        crate::capture::parts::link(receive.upcast_ref(), out.upcast_ref())?;
        let (tell, failed) = mpsc::unbounded_channel();
        let what = format!("the loudspeaker {sink}");
        let running = Running::new(pipeline, what, Threads::default(), move |signal| {
            if let Signal::Failed(e) = signal {
                let _ = tell.send(e);
            }
        });
        if let Err(e) = running.set_state(gst::State::Playing) {
            // What the driver said tells more.
            let mut failed = failed;
            return Err(failed.try_recv().unwrap_or(e));
        }
        Ok(Self { entry, frames, running, failed })
    }

    /// Waits until it fails, and says why.
    pub async fn failed(&mut self) -> Error {
        self.failed.recv().await.unwrap_or_else(|| Error::internal("the loudspeaker's pipeline is gone"))
    }

    /// Ends it and waits.
    pub async fn end(mut self) {
        self.running.end().await;
    }
}

fn latency(sink: &TalkSink) -> gst::ClockTime {
    match sink {
        TalkSink::Test | TalkSink::Camera => LATENCY,
        TalkSink::Alsa(_) => LATENCY + CARD,
    }
}

/// Hears samples when they come.
fn hearing(
    ears: Ears,
    clock: SharedClock,
    latency: gst::ClockTime,
) -> impl Fn(&gst::BufferRef) + Send + Sync + 'static {
    move |buffer| {
        if let Ok(map) = buffer.map_readable() {
            lock(&ears.ear).hear((clock.mono(), clock.utc()), &map);
        }
        if let Some(pts) = buffer.pts() {
            ears.far.played(time::to_mono(pts + latency), buffer);
        }
    }
}

/// What `sink` plays is heard as it plays it. One that a replaced file has instead of a fakesink is not heard.
fn at_handoff(sink: &gst::Element, hears: impl Fn(&gst::BufferRef) + Send + Sync + 'static) {
    if !sink.has_property_with_type("signal-handoffs", bool::static_type()) {
        return;
    }
    sink.connect("handoff", false, move |values| {
        if let Some(Ok(buffer)) = values.get(1).map(|value| value.get::<gst::Buffer>()) {
            hears(&buffer);
        }
        None
    });
}

/// What passes `pad` is heard a little before it is played.
fn before(pad: &gst::Pad, hears: impl Fn(&gst::BufferRef) + Send + Sync + 'static) {
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer() {
            hears(buffer);
        }
        gst::PadProbeReturn::Ok
    });
}

/// Hands one packet in as RTP (RFC 3550, section 5.1).
pub(super) fn push(entry: &gst_app::AppSrc, placed: Spliced, opus: &[u8]) -> Result<(), gst::FlowError> {
    let mut packet = Vec::with_capacity(12 + opus.len());
    let marker = u8::from(placed.begins) << 7;
    packet.extend_from_slice(&[0x80, marker | PAYLOAD_TYPE]);
    packet.extend_from_slice(&(placed.number as u16).to_be_bytes());
    packet.extend_from_slice(&placed.time.to_be_bytes());
    packet.extend_from_slice(&SSRC.to_be_bytes());
    packet.extend_from_slice(opus);
    entry.push_buffer(gst::Buffer::from_slice(packet)).map(|_| ())
}
