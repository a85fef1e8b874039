//! Sound that is stored, such as the chime, as packets, handed on at their pace like those of somebody who speaks.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use perch_base::ids::LeaseId;
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use perch_domain::wav::WavSound;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a packet lasts.
const PIECE: Duration = Duration::from_millis(20);
/// Encoding half a minute takes a second or two on a small board; nothing waits for longer.
const ENCODED_WITHIN: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// Sound that a loudspeaker can play. Clones share it.
#[derive(Clone)]
pub struct Playable(Arc<Vec<Vec<u8>>>);

impl std::fmt::Debug for Playable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Playable").field("packets", &self.0.len()).finish()
    }
}

impl Playable {
    /// Encodes a sound. Blocks for a part of the time that it lasts. Errors with `Internal`.
    pub fn encode(sound: &WavSound) -> Result<Self> {
        encode(sound).map(|packets| Self(Arc::new(packets)))
    }

    /// The chime, encoded once. Errors with `Internal`.
    pub fn chime() -> Result<Self> {
        static CHIME: OnceLock<Playable> = OnceLock::new();
        if let Some(chime) = CHIME.get() {
            return Ok(chime.clone());
        }
        let sound = WavSound { rate_hz: 48_000, samples: perch_domain::chime::samples() };
        let made = Self::encode(&sound)?;
        Ok(CHIME.get_or_init(|| made).clone())
    }
}

/// A sound while it is played.
pub(super) struct Announcing {
    lease: LeaseId,
    sound: Playable,
    began: Option<MonoTime>,
    done: usize,
}

/// What is to be done now.
pub(super) enum Due {
    /// Packets of the sound by their numbers, and when the next is due.
    Pieces {
        /// Of what.
        of: Playable,
        /// Those that are due.
        numbers: std::ops::Range<usize>,
        /// When to ask again.
        next: MonoTime,
    },
    /// All of it was played.
    Over,
}

impl Playable {
    /// One of the packets; nothing behind the last.
    pub(super) fn packet(&self, number: usize) -> &[u8] {
        self.0.get(number).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Announcing {
    /// Of the floor's `lease`; it begins when it is asked for first.
    pub fn new(lease: LeaseId, sound: Playable) -> Self {
        Self { lease, sound, began: None, done: 0 }
    }

    /// The lease by which it has the floor.
    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// What is due.
    pub fn due(&mut self, now: MonoTime) -> Due {
        let count = self.sound.0.len();
        let began = *self.began.get_or_insert(now);
        let upto = (now.since(began).as_micros() / PIECE.as_micros()) as usize + 1;
        if self.done >= count {
            return Due::Over;
        }
        let upto = upto.min(count);
        let numbers = std::mem::replace(&mut self.done, upto)..upto;
        Due::Pieces { of: self.sound.clone(), numbers, next: began + PIECE * upto as u32 }
    }
}

fn encode(sound: &WavSound) -> Result<Vec<Vec<u8>>> {
    let cannot = |what: &str| Error::internal(format!("a sound cannot be encoded: {what}"));
    let text = format!(
        "appsrc name=in format=time caps=audio/x-raw,format=S16LE,rate={},channels=1,layout=interleaved \
         ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1 \
         ! opusenc frame-size=20 bitrate=48000 complexity=5 ! appsink name=out sync=false",
        sound.rate_hz
    );
    let pipeline = gst::parse::launch(&text).map_err(|e| cannot("the encoder").with_source(e))?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| cannot("the pipeline"))?;
    let source = pipeline.by_name("in").and_then(|e| e.downcast::<gst_app::AppSrc>().ok());
    let sink = pipeline.by_name("out").and_then(|e| e.downcast::<gst_app::AppSink>().ok());
    let (Some(source), Some(sink)) = (source, sink) else { return Err(cannot("the ends")) };
    pipeline.set_state(gst::State::Playing).map_err(|e| cannot("the start").with_source(e))?;
    let bytes: Vec<u8> = sound.samples.iter().flat_map(|s| s.to_le_bytes()).collect();
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
    handed.map_err(|e| cannot("the samples").with_source(e))?;
    if all.is_empty() { Err(cannot("nothing came")) } else { Ok(all) }
}
