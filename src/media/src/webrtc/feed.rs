//! Feeds: one attachment for each camera and stream, and one for its sound alone, shared by all its sessions and given back with the last; frames packetized once.

use super::cameras::{CameraKey, KeyedCamera};
use crate::fanout::{Attachment, Delivery, Receipt, Sink};
use crate::rtp::{Payload, packetize_h264, packetize_h265, packetize_opus, packetize_vp8};
use perch_base::time::MonoTime;
use perch_domain::keyframe::JoinWith;
use perch_domain::media::{Packet, SharedPacket, Stream, Track, VideoCodec};
use perch_domain::orientation::Orientation;
use perch_domain::rate::StreamMeter;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Bytes of an RTP payload: fits 1280-byte paths with IPv6, UDP, SRTP and a TURN header around it.
const MAX_PAYLOAD_BYTES: usize = 1150;
/// A GOP larger than this is not kept for joiners: it would not fit into the outbox, most of it could not be sent again where it is
/// lost, and on a slow way its pictures would be seen to hurry. The next keyframe is waited for there.
const MAX_BACKLOG_BYTES: usize = 768 * 1024;
/// Nor one of more pictures, however small they are: each is a datagram at least.
const MAX_BACKLOG_PICTURES: usize = MAX_BACKLOG_BYTES / MAX_PAYLOAD_BYTES;
/// Name of our consumers at the hub.
pub const CONSUMER: &str = "webrtc";

/// A camera's stream, or its sound alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedId {
    /// The camera, as it was when the feed was first used.
    pub camera: CameraKey,
    /// The stream, with its sound; `None`: sound alone.
    pub stream: Option<Stream>,
}

/// What a camera's feeds can be of.
pub const FEEDS: [Option<Stream>; 3] = [Some(Stream::Main), Some(Stream::Sub), None];

/// A frame ready to be written to any session.
#[derive(Debug)]
pub struct Frame {
    /// Which half of the stream.
    pub track: Track,
    /// How a picture is encoded.
    pub codec: Option<VideoCodec>,
    /// When it was captured.
    pub pts: MonoTime,
    /// The same moment as the engine's [`Instant`].
    pub wallclock: Instant,
    /// How long it lasts; zero where the source does not say.
    pub duration: Duration,
    /// Whether decoding can start here.
    pub keyframe: bool,
    /// How it and those that lead on from it are turned; only a keyframe says so.
    pub orientation: Option<Orientation>,
    /// Frames before it were lost.
    pub discontinuity: bool,
    /// Its RTP payloads in order.
    pub payloads: Vec<Payload>,
}

impl Frame {
    /// Packetizes `packet`; `wallclock` is the moment of its pts.
    pub fn new(packet: &Packet, wallclock: Instant, discontinuity: bool) -> Self {
        let mut payloads = Vec::new();
        match (packet.track, packet.codec) {
            (Track::Audio, _) => payloads.push(packetize_opus(&packet.data)),
            (Track::Video, Some(VideoCodec::H264)) => packetize_h264(&packet.data, MAX_PAYLOAD_BYTES, &mut payloads),
            (Track::Video, Some(VideoCodec::H265)) => packetize_h265(&packet.data, MAX_PAYLOAD_BYTES, &mut payloads),
            (Track::Video, Some(VideoCodec::Vp8)) => packetize_vp8(&packet.data, MAX_PAYLOAD_BYTES, &mut payloads),
            (Track::Video, None) => {}
        }
        Self {
            track: packet.track,
            codec: packet.codec,
            pts: packet.pts,
            wallclock,
            duration: packet.duration,
            keyframe: packet.keyframe,
            orientation: packet
                .codec
                .filter(|_| packet.keyframe)
                .map(|codec| Orientation::of_unit(codec, &packet.data)),
            discontinuity,
            payloads,
        }
    }
}

/// One delivery in the engine's one queue.
#[derive(Debug)]
pub struct Arrival {
    /// Its feed.
    pub feed: FeedId,
    /// By which of the feed's places at the hub it came: what waits of an earlier one is not shown twice.
    place: u64,
    /// The packet.
    pub delivery: Delivery,
}

/// What the hub pushes into.
struct FeedSink {
    feed: FeedId,
    place: u64,
    queue: mpsc::Sender<Arrival>,
    cut_off: Arc<AtomicBool>,
}

impl Sink for FeedSink {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let arrival = Arrival { feed: self.feed, place: self.place, delivery };
        match self.queue.try_send(arrival) {
            Ok(()) => Receipt::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Receipt::Closed,
        }
    }
}

impl Drop for FeedSink {
    fn drop(&mut self) {
        self.cut_off.store(true, Ordering::Relaxed);
    }
}

/// The pictures since the newest keyframe that went to the sessions of a feed, so that one more can be shown all of them.
#[derive(Default)]
struct SentGop {
    packets: Vec<SharedPacket>,
    bytes: usize,
}

impl SentGop {
    fn take(&mut self, packet: &SharedPacket, discontinuity: bool) {
        if packet.track != Track::Video {
            return;
        }
        if packet.keyframe || discontinuity {
            *self = Self::default();
        }
        if self.packets.is_empty() && !packet.keyframe {
            return;
        }
        self.bytes += packet.data.len();
        if self.bytes > MAX_BACKLOG_BYTES || self.packets.len() >= MAX_BACKLOG_PICTURES {
            self.packets.clear();
        } else {
            self.packets.push(packet.clone());
        }
    }
}

struct Feed {
    camera: Arc<KeyedCamera>,
    users: usize,
    gop: SentGop,
    place: u64,
    attachment: Attachment,
    cut_off: Arc<AtomicBool>,
}

impl Feed {
    /// Takes the stream from the hub, and asks for the keyframe that its queue begins with, so that pictures flow by the time
    /// the session is connected.
    fn join(
        queue: &mpsc::Sender<Arrival>,
        places: &mut u64,
        camera: &Arc<KeyedCamera>,
        id: FeedId,
        users: usize,
    ) -> Self {
        *places += 1;
        let place = *places;
        let cut_off = Arc::new(AtomicBool::new(false));
        let sink = FeedSink { feed: id, place, queue: queue.clone(), cut_off: cut_off.clone() };
        let (hub, mut gop) = (&camera.live.hub, SentGop::default());
        let attachment = match id.stream {
            Some(stream) => {
                let joined = hub.join(stream, camera.live.has_audio, CONSUMER, Box::new(sink));
                hub.request_keyframe(stream);
                joined.backlog.iter().for_each(|packet| gop.take(packet, false));
                joined.attachment
            }
            None => hub.listen(CONSUMER, Box::new(sink)),
        };
        Self { camera: camera.clone(), users, gop, place, attachment, cut_off }
    }
}

/// All feeds that are used.
pub struct Feeds {
    queue: mpsc::Sender<Arrival>,
    places: u64,
    feeds: HashMap<FeedId, Feed>,
    /// What each stream costs, also while only the camera's other one is used.
    meters: HashMap<FeedId, StreamMeter>,
}

impl Feeds {
    /// No feed is attached yet; deliveries go to `queue`.
    pub fn new(queue: mpsc::Sender<Arrival>) -> Self {
        Self { queue, places: 0, feeds: HashMap::new(), meters: HashMap::new() }
    }

    /// The camera of a feed that is used.
    pub fn camera(&self, id: FeedId) -> Option<&Arc<KeyedCamera>> {
        self.feeds.get(&id).map(|feed| &feed.camera)
    }

    /// One more session uses this stream, or the sound alone; the first attaches it.
    pub fn acquire(&mut self, camera: &Arc<KeyedCamera>, stream: impl Into<Option<Stream>>) -> FeedId {
        let id = FeedId { camera: camera.key, stream: stream.into() };
        let join = || Feed::join(&self.queue, &mut self.places, camera, id, 0);
        self.feeds.entry(id).or_insert_with(join).users += 1;
        id
    }

    /// One session less uses `id`; the last gives the attachment back.
    pub fn release(&mut self, id: FeedId) {
        let Some(feed) = self.feeds.get_mut(&id) else { return };
        feed.users = feed.users.saturating_sub(1);
        if feed.users == 0 {
            self.feeds.remove(&id);
        }
    }

    /// A delivery came out of the queue and goes to the sessions of its feed. False: nobody uses it any more.
    pub fn pass(&mut self, arrival: &Arrival) -> bool {
        let feed = self.feeds.get_mut(&arrival.feed).filter(|feed| feed.place == arrival.place);
        let Some(feed) = feed else { return false };
        let packet = &arrival.delivery.packet;
        feed.gop.take(packet, arrival.delivery.discontinuity);
        if packet.track == Track::Video {
            self.meters.entry(arrival.feed).or_default().take(packet.pts, packet.data.len(), packet.keyframe);
        }
        true
    }

    /// What was measured of a stream.
    pub fn meter(&self, id: FeedId) -> Option<&StreamMeter> {
        self.meters.get(&id)
    }

    /// Forgets what was measured of cameras that nobody watches.
    pub fn forget_meters(&mut self) {
        let feeds = &self.feeds;
        self.meters.retain(|id, _| FEEDS.into_iter().any(|stream| feeds.contains_key(&FeedId { stream, ..*id })));
    }

    /// So many bits a second are enough of a stream; `None`: it is to have all there are.
    pub fn set_enough(&self, id: FeedId, bps: Option<u64>) {
        if let Some(feed) = self.feeds.get(&id) {
            feed.attachment.set_enough(bps);
        }
    }

    /// Whether a session can be shown all since the newest keyframe of `id`.
    pub fn is_cached(&self, id: FeedId) -> bool {
        self.feeds.get(&id).is_some_and(|feed| !feed.gop.packets.is_empty())
    }

    /// What a session that connects is shown first; what goes to the sessions of `id` next follows on it. Empty: it waits for a
    /// keyframe, which was asked for where the encoder obeys.
    pub fn start(&self, id: FeedId) -> &[SharedPacket] {
        let Some((feed, stream)) = self.feeds.get(&id).zip(id.stream) else { return &[] };
        let cached = feed.gop.packets.first().map(|p| p.pts);
        match feed.camera.live.hub.start(stream, cached) {
            JoinWith::CachedGop => &feed.gop.packets,
            JoinWith::ForcedKeyframe | JoinWith::NextKeyframe => &[],
        }
    }

    /// Attaches again what the hub cut off.
    pub fn repair(&mut self) {
        for (id, feed) in self.feeds.iter_mut().filter(|(_, feed)| feed.cut_off.load(Ordering::Relaxed)) {
            *feed = Feed::join(&self.queue, &mut self.places, &feed.camera, *id, feed.users);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webrtc::cameras::LiveCamera;
    use bytes::Bytes;
    use perch_base::clock::ManualClock;
    use perch_base::ids::CameraId;

    fn packet(ms: i64, keyframe: bool, bytes: usize) -> SharedPacket {
        let data = Bytes::from(vec![0; bytes]);
        Arc::new(Packet::new(Track::Video, data, MonoTime(ms * 1000), keyframe))
    }

    #[test]
    fn one_that_connects_gets_what_the_others_have_and_nothing_twice() {
        let clock = Arc::new(ManualClock::default());
        let hub = crate::fanout::Hub::new(CameraId::new("a").expect("valid"), clock.clone());
        let live = LiveCamera {
            hub: hub.clone(),
            codec: VideoCodec::H264,
            has_audio: false,
            only_small: false,
            h265: false,
            vp8: None,
        };
        let camera = Arc::new(KeyedCamera { key: 7, live });
        let (queue, mut deliveries) = mpsc::channel(16);
        let mut feeds = Feeds::new(queue);
        let shown = |feeds: &Feeds, id| feeds.start(id).iter().map(|p| p.pts.0 / 1000).collect::<Vec<_>>();
        for (ms, keyframe) in [(0, true), (40, false)] {
            hub.publish_video(Stream::Main, packet(ms, keyframe, 10));
        }
        let id = feeds.acquire(&camera, Stream::Main);
        assert_eq!(shown(&feeds, id), [0, 40], "what the hub had");
        hub.publish_video(Stream::Main, packet(80, false, 10));
        hub.publish_video(Stream::Main, packet(120, true, 10));
        assert_eq!(shown(&feeds, id), [0, 40], "the queue follows on it");
        let mut pass = |feeds: &mut Feeds| {
            let arrival = deliveries.try_recv().expect("waits");
            feeds.pass(&arrival)
        };
        assert!(pass(&mut feeds));
        assert_eq!(shown(&feeds, id), [0, 40, 80]);
        assert!(pass(&mut feeds));
        assert_eq!(shown(&feeds, id), [120]);
        hub.publish_video(Stream::Main, packet(160, false, MAX_BACKLOG_BYTES));
        assert!(pass(&mut feeds));
        assert!(shown(&feeds, id).is_empty() && !feeds.is_cached(id), "too large to be shown at once");
        hub.publish_video(Stream::Main, packet(200, false, 10));
        assert!(pass(&mut feeds) && shown(&feeds, id).is_empty(), "the rest of it is no beginning");
        hub.publish_video(Stream::Main, packet(240, true, 10));
        feeds.release(id);
        assert!(hub.consumers(Stream::Main).is_empty());
        let again = feeds.acquire(&camera, Stream::Main);
        assert_eq!((again, shown(&feeds, again)), (id, vec![240]));
        assert!(!pass(&mut feeds), "it came by the place before, and is shown already");
        assert_eq!(shown(&feeds, again), [240]);
        for ms in 241..240 + MAX_BACKLOG_PICTURES as i64 {
            hub.publish_video(Stream::Main, packet(ms, false, 1));
            assert!(pass(&mut feeds));
        }
        assert_eq!(shown(&feeds, again).len(), MAX_BACKLOG_PICTURES);
        hub.publish_video(Stream::Main, packet(2_000, false, 1));
        assert!(pass(&mut feeds) && !feeds.is_cached(again), "each of them is a datagram");
    }
}
