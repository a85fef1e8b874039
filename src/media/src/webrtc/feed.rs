//! Feeds: one attachment for each camera and stream, shared by all its sessions and given back with the last; frames packetized once.

use super::LiveCamera;
use crate::fanout::{Attachment, Delivery, Offer, Sink};
use crate::rtp::{Payload, packetize_h264, packetize_opus, packetize_vp8};
use perch_base::time::MonoTime;
use perch_domain::media::{Packet, Stream, Track, VideoCodec};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Bytes of an RTP payload: fits 1280-byte paths with IPv6, UDP, SRTP and a TURN header around it.
const MAX_PAYLOAD: usize = 1150;
/// Name of our consumers at the hub.
const CONSUMER: &str = "webrtc";

/// A camera and stream, as an index: twice the camera's, plus one for the sub-stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedId(pub usize);

impl FeedId {
    /// The feed of a camera's stream.
    pub fn new(camera: usize, stream: Stream) -> Self {
        Self(camera * 2 + usize::from(stream == Stream::Sub))
    }

    /// The camera's index.
    pub fn camera(self) -> usize {
        self.0 / 2
    }

    /// The stream.
    pub fn stream(self) -> Stream {
        if self.0.is_multiple_of(2) { Stream::Main } else { Stream::Sub }
    }
}

/// A frame ready to be written to any session.
#[derive(Debug)]
pub struct Frame {
    /// Which half of the stream.
    pub track: Track,
    /// When it was captured.
    pub pts: MonoTime,
    /// The same moment as the engine's [`Instant`].
    pub wallclock: Instant,
    /// How long it lasts; zero where the source does not say.
    pub duration: Duration,
    /// Whether decoding can start here.
    pub keyframe: bool,
    /// Frames before it were lost.
    pub discontinuity: bool,
    /// Its RTP payloads in order.
    pub payloads: Vec<Payload>,
}

impl Frame {
    /// Packetizes `packet`; `wallclock` is the moment of its pts.
    pub fn new(packet: &Packet, codec: VideoCodec, wallclock: Instant, discontinuity: bool) -> Self {
        let mut payloads = Vec::new();
        match (packet.track, codec) {
            (Track::Audio, _) => payloads.push(packetize_opus(&packet.data)),
            (Track::Video, VideoCodec::H264) => packetize_h264(&packet.data, MAX_PAYLOAD, &mut payloads),
            (Track::Video, VideoCodec::Vp8) => packetize_vp8(&packet.data, MAX_PAYLOAD, &mut payloads),
        }
        Self {
            track: packet.track,
            pts: packet.pts,
            wallclock,
            duration: packet.duration,
            keyframe: packet.keyframe,
            discontinuity,
            payloads,
        }
    }
}

/// What the hub pushes into: the engine's one queue.
struct FeedSink {
    feed: FeedId,
    queue: mpsc::Sender<(FeedId, Delivery)>,
    cut_off: Arc<AtomicBool>,
}

impl Sink for FeedSink {
    fn offer(&mut self, delivery: Delivery) -> Offer {
        match self.queue.try_send((self.feed, delivery)) {
            Ok(()) => Offer::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Offer::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Offer::Closed,
        }
    }
}

impl Drop for FeedSink {
    fn drop(&mut self) {
        self.cut_off.store(true, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct Feed {
    users: usize,
    attachment: Option<Attachment>,
    cut_off: Arc<AtomicBool>,
}

/// All feeds.
pub struct Feeds {
    cameras: Arc<[LiveCamera]>,
    queue: mpsc::Sender<(FeedId, Delivery)>,
    feeds: Vec<Feed>,
}

impl Feeds {
    /// No feed is attached yet; deliveries go to `queue`.
    pub fn new(cameras: Arc<[LiveCamera]>, queue: mpsc::Sender<(FeedId, Delivery)>) -> Self {
        let feeds = cameras.iter().flat_map(|_| [Feed::default(), Feed::default()]).collect();
        Self { cameras, queue, feeds }
    }

    /// One more session uses `id`. The first attaches it and asks for the keyframe that the hub's queue begins with, so that
    /// pictures flow by the time the session is connected.
    pub fn acquire(&mut self, id: FeedId) {
        self.feeds[id.0].users += 1;
        if self.feeds[id.0].users == 1 {
            self.attach(id);
        }
    }

    /// One session less uses `id`; the last gives the attachment back.
    pub fn release(&mut self, id: FeedId) {
        let feed = &mut self.feeds[id.0];
        feed.users = feed.users.saturating_sub(1);
        if feed.users == 0 {
            feed.attachment = None;
        }
    }

    /// Attaches again what the hub cut off.
    pub fn mend(&mut self) {
        for id in (0..self.feeds.len()).map(FeedId) {
            if self.feeds[id.0].users > 0 && self.feeds[id.0].cut_off.load(Ordering::Relaxed) {
                self.attach(id);
            }
        }
    }

    fn attach(&mut self, id: FeedId) {
        let camera = &self.cameras[id.camera()];
        let cut_off = Arc::new(AtomicBool::new(false));
        let sink = FeedSink { feed: id, queue: self.queue.clone(), cut_off: cut_off.clone() };
        let attachment = camera.hub.attach(id.stream(), camera.has_audio, CONSUMER, Box::new(sink));
        self.feeds[id.0].attachment = Some(attachment);
        self.feeds[id.0].cut_off = cut_off;
        camera.hub.request_keyframe(id.stream());
    }
}
