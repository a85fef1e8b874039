//! The chime as packets, handed on at their pace like those of somebody who speaks.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::ids::LeaseId;
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use std::sync::OnceLock;
use std::time::Duration;

/// How long a packet lasts.
const PIECE: Duration = Duration::from_millis(20);
/// Encoding takes some hundredths of a second; nothing waits for longer.
const ENCODED_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// The chime while it is played.
pub(super) struct Chiming {
    lease: LeaseId,
    began: Option<MonoTime>,
    done: usize,
}

/// What is to be done now.
pub(super) enum Due {
    /// Packets with their numbers, and when the next is due.
    Pieces {
        /// Those that are due.
        pieces: Vec<(u64, &'static [u8])>,
        /// When to ask again.
        next: MonoTime,
    },
    /// All of it was played.
    Over,
}

impl Chiming {
    /// Of the floor's `lease`; it begins when it is asked for first.
    pub fn new(lease: LeaseId) -> Self {
        Self { lease, began: None, done: 0 }
    }

    /// The lease by which it has the floor.
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// What is due.
    pub fn due(&mut self, now: MonoTime) -> Due {
        let packets = packets();
        let began = *self.began.get_or_insert(now);
        let upto = (now.since(began).as_micros() / PIECE.as_micros()) as usize + 1;
        if self.done >= packets.len() {
            return Due::Over;
        }
        let upto = upto.min(packets.len());
        let pieces = (self.done..upto).map(|n| (n as u64, &*packets[n])).collect();
        self.done = upto;
        Due::Pieces { pieces, next: began + PIECE * upto as u32 }
    }
}

/// Encoded once; nothing where that is not possible, which is logged.
pub(super) fn packets() -> &'static [Vec<u8>] {
    static PACKETS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    PACKETS.get_or_init(|| {
        encode(&perch_domain::chime::samples()).unwrap_or_else(|e| {
            tracing::error!(error = %e, "the chime cannot be encoded");
            Vec::new()
        })
    })
}

fn encode(samples: &[i16]) -> Result<Vec<Vec<u8>>> {
    let cannot = |what: &str| Error::internal(format!("{what} of the chime"));
    let text = "appsrc name=in format=time caps=audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved \
        ! opusenc frame-size=20 bitrate=48000 ! appsink name=out sync=false";
    let pipeline = gst::parse::launch(text).map_err(|e| cannot("the encoder").with_source(e))?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| cannot("the pipeline"))?;
    let source = pipeline.by_name("in").and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
    let sink = pipeline.by_name("out").and_then(|e| e.downcast::<gst_app::AppSink>().ok());
    let (Some(source), Some(sink)) = (source, sink) else { return Err(cannot("the ends")) };
    pipeline.set_state(gst::State::Playing).map_err(|e| cannot("the start").with_source(e))?;
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut buffer = gst::Buffer::from_slice(bytes);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    let handed = source.push_buffer(buffer).and_then(|_| source.end_of_stream());
    let mut all = Vec::new();
    while let Some(sample) = sink.try_pull_sample(ENCODED_WITHIN) {
        all.extend(sample.buffer().and_then(|b| b.map_readable().ok()).map(|map| map.to_vec()));
    }
    let _ = pipeline.set_state(gst::State::Null);
    handed.map_err(|e| cannot("the sound").with_source(e))?;
    if all.is_empty() { Err(cannot("nothing came")) } else { Ok(all) }
}
