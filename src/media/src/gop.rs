//! Collects a stream into closed GOPs for the recorder: one wake-up a GOP instead of one a packet.

use crate::fanout::{Attachment, Delivery, Hub, MAX_GOP_BYTES, MAX_GOP_PACKETS, Receipt, Sink};
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::media::{SharedPacket, Stream, Track};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What closed GOPs that wait may take together, however many they are: room for two of the largest.
const MAX_WAITING_BYTES: usize = 2 * MAX_GOP_BYTES;
/// What a packet takes beside its payload, about.
const PACKET_BYTES: usize = 1024;
/// What a frame is taken to last when there is no next one to tell.
const LAST_FRAME: Duration = Duration::from_millis(40);

/// A closed GOP with the sound that arrived with it.
#[derive(Clone, Debug)]
pub struct ClosedGop {
    /// The keyframe first; then video and audio in order of arrival.
    pub packets: Vec<SharedPacket>,
    /// Time of the keyframe.
    pub start: MonoTime,
    /// Time of the next keyframe, or the end of the last frame where the source broke off.
    pub end: MonoTime,
    /// Whether what comes next joins this without a hole.
    pub joined: bool,
}

/// Closed GOPs of a stream, as they complete.
#[derive(Debug)]
pub struct Gops {
    /// The queue; closed when the consumer was cut off or detached.
    pub queue: Queue,
    too_long: TooLong,
    attachment: Option<Attachment>,
}

/// Start and end of what was thrown away because a GOP grew larger than one may be.
type TooLong = Arc<Mutex<Option<(MonoTime, MonoTime)>>>;

/// Closed GOPs that wait, each with its share of [`MAX_WAITING_BYTES`].
#[derive(Debug)]
pub struct Queue(mpsc::Receiver<(ClosedGop, OwnedSemaphorePermit)>);

impl Queue {
    /// The next GOP; `None` once the queue is closed and empty.
    pub async fn recv(&mut self) -> Option<ClosedGop> {
        self.0.recv().await.map(|(gop, _)| gop)
    }
}

impl Gops {
    /// Follows `stream` of `hub`; at most `capacity` closed GOPs wait, and fewer where they are very large.
    pub fn follow(hub: &Arc<Hub>, stream: Stream, name: &str, capacity: usize) -> Self {
        let (tx, queue) = mpsc::channel(capacity);
        let room = Arc::new(Semaphore::new(MAX_WAITING_BYTES));
        let too_long = TooLong::default();
        let collector = Collector { tx, room, open: Vec::new(), bytes: 0, too_long: too_long.clone() };
        let attachment = Some(hub.attach(stream, true, name, Box::new(collector)));
        Self { queue: Queue(queue), too_long, attachment }
    }

    /// From when to when pictures were thrown away since the last call, because more came without a keyframe than are kept in
    /// memory; only if they began before `at`. Nothing comes then until the next keyframe.
    pub fn too_long_before(&self, at: MonoTime) -> Option<(MonoTime, MonoTime)> {
        let mut span = lock(&self.too_long);
        span.take_if(|(start, _)| *start < at)
    }

    /// Stops following; the open GOP, if any, is closed and still comes out of the queue.
    pub fn detach(&mut self) {
        self.attachment = None;
    }
}

struct Collector {
    tx: mpsc::Sender<(ClosedGop, OwnedSemaphorePermit)>,
    /// The bytes that may still wait.
    room: Arc<Semaphore>,
    open: Vec<SharedPacket>,
    bytes: usize,
    too_long: TooLong,
}

impl Collector {
    /// Throws the open GOP away, and leaves word of it.
    fn give_up(&mut self, end: MonoTime) {
        self.bytes = 0;
        if let Some(first) = self.open.drain(..).next() {
            let mut span = lock(&self.too_long);
            let start = span.map_or(first.pts, |(start, _)| start);
            *span = Some((start, end));
        }
    }

    fn close(&mut self, end: Option<MonoTime>) -> Receipt {
        let packets = std::mem::take(&mut self.open);
        let bytes = u32::try_from(std::mem::take(&mut self.bytes)).unwrap_or(u32::MAX);
        let Some(first) = packets.first() else { return Receipt::Taken };
        let start = first.pts;
        let last = packets.iter().filter(|p| p.track == Track::Video).map(|p| p.pts).max().unwrap_or(start);
        let joined = end.is_some();
        let gop = ClosedGop { start, end: end.unwrap_or(last + LAST_FRAME), joined, packets };
        let Ok(share) = self.room.clone().try_acquire_many_owned(bytes) else { return Receipt::Full };
        match self.tx.try_send((gop, share)) {
            Ok(()) => Receipt::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Receipt::Closed,
        }
    }
}

impl Sink for Collector {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let packet = delivery.packet;
        if packet.track == Track::Video && packet.keyframe {
            let next = (!delivery.discontinuity).then_some(packet.pts);
            match self.close(next) {
                Receipt::Taken if self.tx.is_closed() => return Receipt::Closed,
                // A GOP that will find no place is not started, so that the hub learns how long nothing is taken.
                Receipt::Taken if self.tx.capacity() == 0 || self.room.available_permits() < MAX_GOP_BYTES => {
                    return Receipt::Full;
                }
                Receipt::Taken => {}
                refused => return refused,
            }
        } else if self.open.is_empty() {
            return if self.tx.is_closed() { Receipt::Closed } else { Receipt::Taken };
        }
        self.bytes += packet.data.len() + PACKET_BYTES;
        if self.bytes > MAX_GOP_BYTES || self.open.len() >= MAX_GOP_PACKETS {
            self.give_up(packet.pts);
            return Receipt::Full;
        }
        self.open.push(packet);
        Receipt::Taken
    }

    fn interrupted(&mut self) {
        // A full queue loses this GOP; the gap shows on the timeline.
        self.close(None);
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.close(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use perch_base::clock::ManualClock;
    use perch_base::ids::CameraId;
    use perch_domain::media::Packet;

    fn packet(track: Track, ms: i64, keyframe: bool) -> SharedPacket {
        let data = Bytes::from_static(b"x");
        Arc::new(Packet::new(track, data, MonoTime(ms * 1000), keyframe))
    }

    fn next(gops: &mut Gops) -> Option<ClosedGop> {
        gops.queue.0.try_recv().ok().map(|(gop, _)| gop)
    }

    #[test]
    fn gops_close_at_keyframes_and_at_breaks() {
        let hub = Hub::new(CameraId::new("a").expect("valid"), Arc::new(ManualClock::default()));
        let mut gops = Gops::follow(&hub, Stream::Main, "recorder", 8);
        for i in 0..5 {
            hub.publish_video(Stream::Main, packet(Track::Video, i * 500, i % 2 == 0));
            hub.publish_audio(packet(Track::Audio, i * 500 + 1, true));
        }
        hub.discontinuity();
        hub.publish_video(Stream::Main, packet(Track::Video, 9000, true));
        gops.detach();
        let got: Vec<_> = std::iter::from_fn(|| next(&mut gops))
            .map(|g| (g.start.0 / 1000, g.end.0 / 1000, g.joined, g.packets.len()))
            .collect();
        assert_eq!(got, [(0, 1000, true, 4), (1000, 2000, true, 4), (2000, 2040, false, 2), (9000, 9040, false, 1)]);
    }

    #[test]
    fn a_full_queue_skips_whole_gops() {
        let hub = Hub::new(CameraId::new("a").expect("valid"), Arc::new(ManualClock::default()));
        let mut gops = Gops::follow(&hub, Stream::Main, "recorder", 1);
        for i in 0..6 {
            hub.publish_video(Stream::Main, packet(Track::Video, i * 1000, true));
        }
        assert_eq!(next(&mut gops).expect("one waits").start, MonoTime(0));
        hub.publish_video(Stream::Main, packet(Track::Video, 6_000, true));
        hub.publish_video(Stream::Main, packet(Track::Video, 7_000, true));
        assert_eq!(next(&mut gops).expect("goes on").start, MonoTime(6_000_000));
    }

    #[test]
    fn a_gop_of_too_many_packets_is_given_up() {
        let hub = Hub::new(CameraId::new("a").expect("valid"), Arc::new(ManualClock::default()));
        let mut gops = Gops::follow(&hub, Stream::Main, "recorder", 8);
        let most = MAX_GOP_PACKETS as i64;
        for (start, packets) in [(0, most), (100_000, most + 1), (200_000, 2), (300_000, 1)] {
            for i in 0..packets {
                hub.publish_video(Stream::Main, packet(Track::Video, start + i, i == 0));
            }
        }
        let got: Vec<_> = std::iter::from_fn(|| next(&mut gops)).map(|g| (g.start.0 / 1000, g.packets.len())).collect();
        assert_eq!(got, [(0, MAX_GOP_PACKETS), (200_000, 2)]);
        let ms = |ms| MonoTime(ms * 1000);
        assert_eq!(gops.too_long_before(ms(100_000)), None, "it came later");
        assert_eq!(gops.too_long_before(ms(200_000)), Some((ms(100_000), ms(100_000 + most))));
        assert_eq!(gops.too_long_before(ms(300_000)), None, "it was said");
    }

    #[test]
    fn large_gops_that_wait_are_bounded_by_their_bytes() {
        let hub = Hub::new(CameraId::new("a").expect("valid"), Arc::new(ManualClock::default()));
        let mut gops = Gops::follow(&hub, Stream::Main, "recorder", 20);
        // One allocation for all of them.
        let data = Bytes::from(vec![0; MAX_GOP_BYTES / 4 - PACKET_BYTES]);
        let mut ms = 0;
        let mut publish = |gops: i64| {
            for i in 0..gops * 2 {
                let (data, pts) = (data.clone(), MonoTime(ms * 1000));
                ms += 1000;
                let frame = Packet::new(Track::Video, data, pts, i % 2 == 0);
                hub.publish_video(Stream::Main, Arc::new(frame));
            }
        };
        publish(10);
        let got = std::iter::from_fn(|| next(&mut gops)).collect::<Vec<_>>();
        assert!(got.iter().all(|g| g.packets.len() == 2));
        assert_eq!(got.len(), 3, "each takes a quarter of what may wait, and one of the largest must still fit");
        publish(3);
        let got = std::iter::from_fn(|| next(&mut gops)).collect::<Vec<_>>();
        assert_eq!(got.len(), 2, "room again");
    }
}
