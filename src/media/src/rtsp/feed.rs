//! From the hub into one media's `appsrc`s: no thread, no copy, and never a wait. One [`Feed`] lives as long as its media.

use crate::fanout::{Attachment, Delivery, Hub, Receipt, Sink};
use crate::time;
use gstreamer::{self as gst, ClockTime, prelude::*};
use gstreamer_app::AppSrc;
use perch_base::sync::lock;
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use perch_domain::memory::PictureMemory;
use perch_domain::stamps::CatchUp;
use perch_domain::{bitstream, h264, h265};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// More than this waiting in an `appsrc` means that the media does not keep up.
pub(super) const MAX_QUEUED: ClockTime = ClockTime::from_mseconds(500);
/// The same while it has not yet taken what was cached of a GOP, which goes out at the pace of its reader. It is bounded in bytes as well
/// ([`PictureMemory::catching_up_bytes`]).
const MAX_CATCHING_UP: ClockTime = ClockTime::from_seconds(60);
/// Deliveries kept while a join is under way (it takes microseconds).
const MAX_JOINING: usize = 64;
/// Least distance of two time stamps. The server asserts that they never go back, and packets of one time stamp would be
/// taken for one frame by players.
const MIN_STEP: ClockTime = ClockTime::from_mseconds(1);
/// Name of our consumers at the hub.
const CONSUMER: &str = "rtsp";
/// Opus: 20 ms of silence, fullband, mono. It starts the sound's half of a media before any sound was captured.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// One stream of one camera, with what must outlive its medias.
#[derive(Debug)]
pub(super) struct FeedSource {
    pub(super) hub: Arc<Hub>,
    pub(super) stream: Stream,
    pub(super) codec: VideoCodec,
    /// The last seen parameter sets in Annex B: with them DESCRIBE needs no running encoder. They outlive medias, so they are no part of
    /// a feed's state; nothing else is locked while they are.
    parameters: Mutex<Option<Vec<u8>>>,
}

impl FeedSource {
    pub(super) fn new(hub: Arc<Hub>, stream: Stream, codec: VideoCodec) -> Self {
        Self { hub, stream, codec, parameters: Mutex::new(None) }
    }

    /// Whether the camera delivers pictures now. Main is always encoded, so it answers for both streams.
    pub(super) fn is_up(&self) -> bool {
        self.hub.latest_keyframe(Stream::Main).is_some()
    }

    /// What a media must be fed before it can describe itself.
    fn opening(&self) -> Option<Vec<u8>> {
        let newest = self.hub.latest_keyframe(self.stream);
        match self.codec {
            VideoCodec::Vp8 => newest.map(|p| p.data.to_vec()),
            VideoCodec::H264 | VideoCodec::H265 => {
                newest.and_then(|p| self.learn(&p)).or_else(|| lock(&self.parameters).clone())
            }
        }
    }

    fn learn(&self, keyframe: &Packet) -> Option<Vec<u8>> {
        match self.codec {
            VideoCodec::Vp8 => Some(keyframe.data.to_vec()),
            VideoCodec::H264 | VideoCodec::H265 => {
                let found = parameter_sets(self.codec, &keyframe.data)?;
                *lock(&self.parameters) = Some(found.clone());
                Some(found)
            }
        }
    }
}

enum Phase {
    /// The media waits for something to describe.
    Opening,
    /// Described, or paused by all its readers: what comes is dropped.
    Parked,
    /// A reader plays and the hub is being asked how to begin; what follows on that waits.
    Joining(Vec<Delivery>),
    /// Readers play.
    Live,
    /// The media ended.
    Closed,
}

struct State {
    phase: Phase,
    attachment: Option<Attachment>,
    /// Counts the attachments: what comes by another than the newest is dropped.
    newest: u64,
    last: [Option<ClockTime>; 2],
    /// Up to here go the pictures from before the reader came, which wait in the `appsrc` all at once.
    caught_up: ClockTime,
    /// They do so still.
    is_catching_up: bool,
    /// What may wait meanwhile.
    memory: PictureMemory,
    /// The hub cut the newest attachment off.
    is_dead: bool,
}

/// Feeds one media.
pub(super) struct Feed {
    source: Arc<FeedSource>,
    video: AppSrc,
    audio: Option<AppSrc>,
    state: Mutex<State>,
}

impl Feed {
    pub(super) fn new(source: Arc<FeedSource>, video: AppSrc, audio: Option<AppSrc>) -> Arc<Self> {
        let state = State {
            phase: Phase::Opening,
            attachment: None,
            newest: 0,
            last: [None; 2],
            caught_up: ClockTime::ZERO,
            is_catching_up: false,
            memory: source.hub.memory(),
            is_dead: false,
        };
        Arc::new(Self { source, video, audio, state: Mutex::new(state) })
    }

    /// Takes the stream from the hub. A sub-stream's encoder starts with this.
    pub(super) fn attach(self: &Arc<Self>) {
        let source = &self.source;
        let sink = Box::new(FeedSink { feed: self.clone(), number: 0 });
        let attachment = source.hub.attach(source.stream, self.audio.is_some(), CONSUMER, sink);
        lock(&self.state).attachment = Some(attachment);
        // What is described, and a moment later the cached GOP of the reader that plays.
        source.hub.request_keyframe(source.stream);
    }

    /// Gives the stream back to the hub, for good.
    pub(super) fn detach(&self) {
        let mut state = lock(&self.state);
        state.phase = Phase::Closed;
        let attachment = state.attachment.take();
        // The hub's lock comes before ours, so it must not be taken under ours.
        drop(state);
        drop(attachment);
    }

    /// The `appsrc` of `track` is ready for its first buffer.
    pub(super) fn open(&self, track: Track) {
        match track {
            Track::Audio => {
                let at = self.opening_at();
                let mut state = lock(&self.state);
                if state.last[1].is_none() {
                    self.push(&mut state, track, gst::Buffer::from_slice(SILENCE), (at, ClockTime::ZERO), true);
                }
            }
            Track::Video => {
                let Some(opening) = self.source.opening() else { return };
                let at = self.opening_at();
                self.open_video(&mut lock(&self.state), opening, at);
            }
        }
    }

    /// The time of what a media is described by: before all pictures that its first reader may begin with, since times never go back, and
    /// the same for both halves, since players take what comes first of each to belong together.
    fn opening_at(&self) -> ClockTime {
        let now = now();
        let Some((first, newest)) = self.source.hub.only_start(self.source.stream) else { return now };
        let first = CatchUp::new(newest, time::to_mono(now)).shown_at(first);
        time::from_mono(first).saturating_sub(MIN_STEP).min(now)
    }

    fn open_video(&self, state: &mut State, opening: Vec<u8>, at: ClockTime) {
        if matches!(state.phase, Phase::Opening)
            && self.push(state, Track::Video, gst::Buffer::from_slice(opening), (at, ClockTime::ZERO), true)
        {
            state.phase = Phase::Parked;
        }
    }

    /// Whether the media still has nothing to describe.
    pub(super) fn is_opening(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Opening)
    }

    /// How long no frame went into the media.
    pub(super) fn idle_for(&self) -> Duration {
        let last = lock(&self.state).last[0];
        last.map_or(Duration::MAX, |last| now().saturating_sub(last).into())
    }

    /// Whether the hub cut this feed off: its media will never get another frame.
    pub(super) fn is_dead(&self) -> bool {
        lock(&self.state).is_dead
    }

    /// Makes the media fail, so that whoever waits for its description is answered.
    pub(super) fn fail(&self, reason: &str) {
        gst::element_error!(self.video, gst::ResourceError::Read, ["{}", reason]);
    }

    /// A reader plays: the first gets a picture from the hub's cache or a forced keyframe, a later one a forced keyframe. Where none can be
    /// forced each reader is the first of a media of its own.
    pub(super) fn play(self: &Arc<Self>) {
        let (hub, stream) = (&self.source.hub, self.source.stream);
        let number = {
            let mut state = lock(&self.state);
            if !matches!(state.phase, Phase::Parked) {
                drop(state);
                hub.request_keyframe(stream);
                return;
            }
            state.phase = Phase::Joining(Vec::new());
            state.newest += 1;
            state.newest
        };
        let sink = Box::new(FeedSink { feed: self.clone(), number });
        let joined = hub.join(stream, self.audio.is_some(), CONSUMER, sink);
        let memory = hub.memory();
        let mut state = lock(&self.state);
        state.memory = memory;
        let Phase::Joining(missed) = std::mem::replace(&mut state.phase, Phase::Live) else {
            // It ended meanwhile.
            state.phase = Phase::Closed;
            drop(state);
            return;
        };
        let came = time::to_mono(now());
        let newest = joined.backlog.iter().rfind(|packet| packet.keyframe);
        let catch_up = CatchUp::new(newest.map_or(came, |packet| packet.pts), came);
        for packet in &joined.backlog {
            self.push_packet(&mut state, packet, false, Some(&catch_up));
        }
        state.caught_up = state.last[0].unwrap_or(ClockTime::ZERO);
        state.is_catching_up = !joined.backlog.is_empty();
        for delivery in missed {
            self.push_packet(&mut state, &delivery.packet, delivery.discontinuity, None);
        }
        let before = state.attachment.replace(joined.attachment);
        drop(state);
        drop(before);
    }

    /// No reader plays any more.
    pub(super) fn park(&self) {
        let mut state = lock(&self.state);
        if matches!(state.phase, Phase::Live) {
            state.phase = Phase::Parked;
        }
    }

    fn offer(&self, number: u64, delivery: Delivery) -> Receipt {
        let packet = &delivery.packet;
        let mut state = lock(&self.state);
        // A camera that encodes otherwise all of a sudden gets another path in a moment.
        let is_foreign = packet.codec.is_some_and(|codec| codec != self.source.codec);
        if number != state.newest || is_foreign {
            return Receipt::Taken;
        }
        match &mut state.phase {
            Phase::Opening if packet.track == Track::Video && packet.keyframe => {
                if let Some(opening) = self.source.learn(packet) {
                    let at = time::from_mono(packet.pts).saturating_sub(MIN_STEP).min(now());
                    self.open_video(&mut state, opening, at);
                }
                Receipt::Taken
            }
            Phase::Opening | Phase::Parked => Receipt::Taken,
            Phase::Joining(waiting) if waiting.len() < MAX_JOINING => {
                waiting.push(delivery);
                Receipt::Taken
            }
            Phase::Joining(_) => Receipt::Full,
            Phase::Live => {
                if packet.track == Track::Video && self.is_full(&mut state) {
                    return Receipt::Full;
                }
                self.push_packet(&mut state, packet, delivery.discontinuity, None);
                Receipt::Taken
            }
            Phase::Closed => Receipt::Closed,
        }
    }

    /// Whether too much waits in the `appsrc` that did not come all at once.
    fn is_full(&self, state: &mut State) -> bool {
        let since = state.last[0].map_or(ClockTime::ZERO, |last| last.saturating_sub(state.caught_up));
        let waiting = self.video.current_level_time();
        state.is_catching_up &= waiting > MAX_QUEUED;
        if !state.is_catching_up {
            return waiting.min(since) > MAX_QUEUED;
        }
        let takes_too_much = self.video.current_level_bytes() > state.memory.catching_up_bytes as u64;
        takes_too_much || waiting.min(since) > MAX_CATCHING_UP
    }

    fn push_packet(&self, state: &mut State, packet: &Packet, discontinuity: bool, catch_up: Option<&CatchUp>) {
        // `Bytes` is counted by reference: the encoded frame itself is never copied.
        let mut buffer = gst::Buffer::from_slice(packet.data.clone());
        if let (Some(buffer), false) = (buffer.get_mut(), packet.keyframe) {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
        let of = |at| time::from_mono(catch_up.map_or(at, |catch_up| catch_up.shown_at(at)));
        let (at, shown) = (of(packet.pts), of(packet.shown()));
        self.push(state, packet.track, buffer, (at, shown.saturating_sub(at)), discontinuity);
    }

    fn push(
        &self,
        state: &mut State,
        track: Track,
        mut buffer: gst::Buffer,
        (at, shown_later): (ClockTime, ClockTime),
        discontinuity: bool,
    ) -> bool {
        let Some(app) = self.app(track) else { return false };
        let last = &mut state.last[usize::from(track == Track::Audio)];
        let at = last.map_or(at, |last| at.max(last + MIN_STEP));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(at + shown_later);
            buffer.set_dts(at);
            if discontinuity {
                buffer.set_flags(gst::BufferFlags::DISCONT);
            }
        }
        let pushed = app.push_buffer(buffer).is_ok();
        if pushed {
            *last = Some(at);
        }
        pushed
    }

    fn app(&self, track: Track) -> Option<&AppSrc> {
        match track {
            Track::Video => Some(&self.video),
            Track::Audio => self.audio.as_ref(),
        }
    }
}

/// The hub's end of a feed.
struct FeedSink {
    feed: Arc<Feed>,
    /// Which of the feed's attachments it is.
    number: u64,
}

impl Sink for FeedSink {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        self.feed.offer(self.number, delivery)
    }
}

impl Drop for FeedSink {
    fn drop(&mut self) {
        let mut state = lock(&self.feed.state);
        state.is_dead |= state.newest == self.number;
    }
}

fn now() -> ClockTime {
    time::clock().time().saturating_sub(time::base_time())
}

/// The parameter sets of an access unit in Annex B, if it has one of each kind.
fn parameter_sets(codec: VideoCodec, unit: &[u8]) -> Option<Vec<u8>> {
    let needed: &[u8] =
        if codec == VideoCodec::H265 { &[h265::VPS, h265::SPS, h265::PPS] } else { &[h264::SPS, h264::PPS] };
    let mut out = Vec::new();
    let mut seen = Vec::new();
    for nal in bitstream::nal_units(unit) {
        let (kind, is_slice) = match codec {
            VideoCodec::H265 => (h265::kind(nal), h265::is_slice(h265::kind(nal))),
            _ => (h264::kind(nal), (h264::SLICE..=h264::IDR).contains(&h264::kind(nal))),
        };
        // Slices end the search: parameter sets come before them.
        if is_slice {
            break;
        }
        if needed.contains(&kind) {
            seen.push(kind);
            out.extend_from_slice(&[0, 0, 0, 1]);
            out.extend_from_slice(nal);
        }
    }
    needed.iter().all(|kind| seen.contains(kind)).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_found_before_the_first_slice() {
        let sets = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x68, 3];
        let unit = [&[0, 0, 0, 1, 9, 0xf0], &sets[..], &[0, 0, 1, 0x65, 0, 0, 1, 0x67]].concat();
        assert_eq!(parameter_sets(VideoCodec::H264, &unit), Some(sets.to_vec()));
        for without in [&[][..], &[0, 0, 1], &[0, 0, 1, 0x67, 1], &unit[17..], &[1, 1, 1]] {
            assert_eq!(parameter_sets(VideoCodec::H264, without), None, "{without:?}");
        }
    }
}
