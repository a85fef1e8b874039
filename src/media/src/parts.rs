//! Collects a stream into parts for the recorder: one wake-up a part instead of one a packet. Where it is cut is decided in
//! `domain::recording::parts`.

use crate::fanout::{Attachment, Delivery, Hub, Receipt, Sink};
use perch_base::time::MonoTime;
use perch_domain::media::{SharedPacket, Stream, Track};
use perch_domain::recording::parts::{Cutter, MAX_PART_BYTES, Place};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What a frame is taken to last when there is no next one to tell.
const LAST_FRAME: Duration = Duration::from_millis(40);

/// Sound that may wait for the next picture: more than a minute of it. Memory is finite.
const MAX_AHEAD: usize = 4096;

/// A part of a stream with the sound that is heard in it.
#[derive(Clone, Debug)]
pub struct PartPackets {
    /// Video first; then pictures in order, each after the sound that is heard before it.
    pub packets: Vec<SharedPacket>,
    /// When the first picture's turn is, `delay` added.
    pub start: MonoTime,
    /// When that of the next part is, or the end of the last frame where the source broke off.
    pub end: MonoTime,
    /// Where pictures travel out of order: how much later than it was decoded the first one since the last break was shown.
    pub delay: Duration,
    /// Whether what comes next joins this without a hole.
    pub joined: bool,
    /// Whether it begins with a keyframe.
    pub starts: bool,
}

impl PartPackets {
    /// Bytes of memory that it takes.
    pub fn size_bytes(&self) -> usize {
        self.packets.iter().map(|p| Cutter::size_bytes(p)).sum()
    }
}

/// The parts of a stream, as they are completed.
#[derive(Debug)]
pub struct Parts {
    /// The queue; closed when the consumer was cut off or detached.
    pub queue: Queue,
    attachment: Option<Attachment>,
}

/// Parts that wait, each with its share of what they may take together.
#[derive(Debug)]
pub struct Queue(mpsc::Receiver<(PartPackets, OwnedSemaphorePermit)>);

impl Queue {
    /// The next part; `None` once the queue is closed and empty.
    pub async fn recv(&mut self) -> Option<PartPackets> {
        self.0.recv().await.map(|(part, _)| part)
    }
}

impl Parts {
    /// Follows `stream` of `hub` from its next keyframe on; at most `capacity` parts wait, and fewer where they are very large.
    pub fn follow(hub: &Arc<Hub>, stream: Stream, name: &str, capacity: usize) -> Self {
        let (tx, queue) = mpsc::channel(capacity);
        let most = hub.memory().waiting_bytes;
        let room = Arc::new(Semaphore::new(most));
        let collector =
            Collector { tx, room, most, cutter: Cutter::default(), open: Vec::new(), bytes: 0, ahead: Vec::new() };
        let attachment = Some(hub.attach(stream, true, name, Box::new(collector)));
        Self { queue: Queue(queue), attachment }
    }

    /// Stops following; the open part, if any, is closed and still comes out of the queue.
    pub fn detach(&mut self) {
        self.attachment = None;
    }
}

struct Collector {
    tx: mpsc::Sender<(PartPackets, OwnedSemaphorePermit)>,
    /// The bytes that may still wait.
    room: Arc<Semaphore>,
    /// How many they are when none does.
    most: usize,
    cutter: Cutter,
    open: Vec<SharedPacket>,
    bytes: usize,
    /// Sound that came since the newest picture: the next one tells which part it is heard in.
    ahead: Vec<SharedPacket>,
}

impl Collector {
    /// Takes the sound into the open part that is heard before `end`.
    fn take_sound(&mut self, end: MonoTime) {
        let ahead = std::mem::take(&mut self.ahead);
        let (heard, later): (Vec<_>, Vec<_>) = ahead.into_iter().partition(|sound| sound.pts < end);
        self.ahead = later;
        for sound in heard {
            if self.cutter.place(&sound, false) == Place::Open {
                self.bytes += Cutter::size_bytes(&sound);
                self.open.push(sound);
            }
        }
    }

    fn close(&mut self, end: Option<MonoTime>, delay: Duration) -> Receipt {
        let pictures = self.open.iter().filter(|p| p.track == Track::Video);
        let (Some(first), Some(last)) = (self.open.first().cloned(), pictures.map(|p| p.pts).max()) else {
            return Receipt::Taken;
        };
        let (start, starts) = (first.pts + delay, first.keyframe);
        let joined = end.is_some();
        let end = end.unwrap_or(last + LAST_FRAME) + delay;
        self.take_sound(end);
        if !joined {
            self.ahead.clear();
        }
        let packets = std::mem::take(&mut self.open);
        // A single picture that is larger than all room waits alone.
        let bytes = u32::try_from(std::mem::take(&mut self.bytes).min(self.most)).unwrap_or(u32::MAX);
        let part = PartPackets { packets, start, end, delay, joined, starts };
        let Ok(share) = self.room.clone().try_acquire_many_owned(bytes) else { return Receipt::Full };
        match self.tx.try_send((part, share)) {
            Ok(()) => Receipt::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Receipt::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Receipt::Closed,
        }
    }
}

impl Sink for Collector {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let packet = delivery.packet;
        if packet.track == Track::Audio && !self.open.is_empty() {
            if self.ahead.len() < MAX_AHEAD {
                self.ahead.push(packet);
            }
            return Receipt::Taken;
        }
        let delay = self.cutter.delay();
        if !delivery.discontinuity {
            self.take_sound(packet.pts + delay);
        }
        match self.cutter.place(&packet, delivery.discontinuity) {
            Place::Nowhere => return if self.tx.is_closed() { Receipt::Closed } else { Receipt::Taken },
            Place::Open => {}
            Place::Next => {
                let next = (!delivery.discontinuity).then_some(packet.pts);
                let refused = match self.close(next, delay) {
                    Receipt::Taken if self.tx.is_closed() => Some(Receipt::Closed),
                    // A part that will find no place is not started, so that the hub learns how long nothing is taken.
                    Receipt::Taken if self.tx.capacity() == 0 || self.room.available_permits() < MAX_PART_BYTES => {
                        Some(Receipt::Full)
                    }
                    Receipt::Taken => None,
                    refused => Some(refused),
                };
                if let Some(refused) = refused {
                    self.ahead.clear();
                    self.cutter.end();
                    return refused;
                }
            }
        }
        self.bytes += Cutter::size_bytes(&packet);
        self.open.push(packet);
        Receipt::Taken
    }

    fn interrupted(&mut self) {
        // A full queue loses this part; the gap shows on the timeline.
        self.close(None, self.cutter.delay());
        self.cutter.end();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.close(None, self.cutter.delay());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use perch_base::clock::ManualClock;
    use perch_base::ids::CameraId;
    use perch_domain::media::{Packet, VideoCodec};
    use perch_domain::memory::PictureMemory;

    fn hub() -> Arc<Hub> {
        Hub::new(CameraId::new("a").expect("valid"), Arc::new(ManualClock::default()))
    }

    fn packet(track: Track, ms: i64, keyframe: bool) -> SharedPacket {
        Arc::new(Packet::new(track, Bytes::from_static(b"x"), MonoTime(ms * 1000), keyframe))
    }

    fn next(parts: &mut Parts) -> Option<PartPackets> {
        parts.queue.0.try_recv().ok().map(|(part, _)| part)
    }

    fn all(parts: &mut Parts) -> Vec<(i64, i64, bool, bool, usize)> {
        let all = std::iter::from_fn(|| next(parts));
        all.map(|p| (p.start.0 / 1000, p.end.0 / 1000, p.joined, p.starts, p.packets.len())).collect()
    }

    #[test]
    fn parts_close_at_keyframes_and_at_breaks() {
        let hub = hub();
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 8);
        for i in 0..5 {
            hub.publish_video(Stream::Main, packet(Track::Video, i * 500, i % 2 == 0));
            hub.publish_audio(packet(Track::Audio, i * 500 + 1, true));
        }
        hub.discontinuity();
        hub.publish_video(Stream::Main, packet(Track::Video, 9000, true));
        parts.detach();
        let want = [
            (0, 1000, true, true, 4),
            (1000, 2000, true, true, 4),
            (2000, 2040, false, true, 2),
            (9000, 9040, false, true, 1),
        ];
        assert_eq!(all(&mut parts), want);
    }

    #[test]
    fn sound_goes_into_the_part_that_it_is_heard_in() {
        let hub = hub();
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 8);
        for (track, ms) in [
            (Track::Video, 0),
            (Track::Audio, 980),
            // It is faster than the pictures.
            (Track::Audio, 1_000),
            (Track::Audio, 1_020),
            (Track::Video, 1_000),
            (Track::Audio, 1_990),
            (Track::Audio, 2_010),
            (Track::Video, 2_000),
            (Track::Audio, 2_030),
            // No picture is shown any more.
            (Track::Audio, 2_050),
        ] {
            match track {
                Track::Video => hub.publish_video(Stream::Main, packet(track, ms, true)),
                Track::Audio => hub.publish_audio(packet(track, ms, true)),
            }
        }
        parts.detach();
        let parts = std::iter::from_fn(|| next(&mut parts));
        let at = |part: PartPackets| part.packets.iter().map(|p| p.pts.0 / 1_000).collect::<Vec<_>>();
        assert_eq!(
            parts.map(at).collect::<Vec<_>>(),
            [vec![0, 980], vec![1_000, 1_000, 1_020, 1_990], vec![2_000, 2_010, 2_030]]
        );
    }

    #[test]
    fn nothing_is_lost_of_a_keyframe_a_minute() {
        let hub = hub();
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 200);
        for i in 0..3_000 {
            hub.publish_video(Stream::Main, packet(Track::Video, i * 40, i % 1_500 == 0));
            hub.publish_audio(packet(Track::Audio, i * 40 + 1, true));
            hub.publish_audio(packet(Track::Audio, i * 40 + 21, true));
        }
        parts.detach();
        let all = all(&mut parts);
        assert_eq!(all.iter().map(|p| p.4).sum::<usize>(), 9_000);
        assert!(all.windows(2).all(|p| p[0].1 == p[1].0 && p[0].2), "one joins the other: {all:?}");
        assert_eq!(all.iter().filter(|p| p.3).map(|p| p.0).collect::<Vec<_>>(), [0, 60_000]);
        assert!(all.iter().all(|p| p.1 - p.0 <= 2_400), "{all:?}");
    }

    #[test]
    fn another_codec_breaks_the_stream_off() {
        let hub = hub();
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 8);
        let h265 = |ms: i64, keyframe| {
            let codec = Some(VideoCodec::H265);
            Arc::new(Packet { codec, ..(*packet(Track::Video, ms, keyframe)).clone() })
        };
        hub.publish_video(Stream::Main, packet(Track::Video, 0, true));
        hub.publish_video(Stream::Main, packet(Track::Video, 40, false));
        hub.publish_video(Stream::Main, h265(80, false));
        hub.publish_video(Stream::Main, h265(120, true));
        parts.detach();
        assert_eq!(all(&mut parts), [(0, 80, false, true, 2), (120, 160, false, true, 1)]);
    }

    #[test]
    fn pictures_out_of_order_are_timed_by_when_they_are_shown() {
        let hub = hub();
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 8);
        for i in 0..50 {
            let shown_later = Duration::from_millis(if i % 25 == 0 { 80 } else { 40 });
            let packet = Packet { shown_later, ..(*packet(Track::Video, i * 40, i % 25 == 0)).clone() };
            hub.publish_video(Stream::Main, Arc::new(packet));
        }
        parts.detach();
        let first = next(&mut parts).expect("whole");
        assert_eq!((first.start.0, first.end.0, first.delay.as_millis()), (80_000, 1_080_000, 80));
        assert_eq!(first.start, first.packets[0].shown(), "so is the file's start");
    }

    #[test]
    fn a_full_queue_skips_to_a_keyframe() {
        let hub = hub();
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 1);
        for i in 0..6 {
            hub.publish_video(Stream::Main, packet(Track::Video, i * 1000, true));
        }
        assert_eq!(next(&mut parts).expect("one waits").start, MonoTime(0));
        hub.publish_video(Stream::Main, packet(Track::Video, 6_000, false));
        hub.publish_video(Stream::Main, packet(Track::Video, 7_000, true));
        hub.publish_video(Stream::Main, packet(Track::Video, 8_000, true));
        assert_eq!(next(&mut parts).expect("goes on").start, MonoTime(7_000_000));
    }

    #[test]
    fn large_parts_that_wait_are_bounded_by_their_bytes() {
        let hub = hub();
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 20);
        // One allocation for all of them.
        let data = Bytes::from(vec![0; 2 * MAX_PART_BYTES - 1024]);
        let mut ms = 0;
        let mut publish = |pictures: i64| {
            for _ in 0..pictures {
                let pts = MonoTime(ms * 1000);
                ms += 1000;
                hub.publish_video(Stream::Main, Arc::new(Packet::new(Track::Video, data.clone(), pts, true)));
            }
        };
        publish(10);
        let got = std::iter::from_fn(|| next(&mut parts)).count();
        assert_eq!(got, 4, "each takes a quarter of what may wait");
        publish(3);
        assert_eq!(std::iter::from_fn(|| next(&mut parts)).count(), 2, "room again");
    }

    #[test]
    fn on_a_small_box_fewer_wait_and_a_picture_larger_than_all_room_waits_alone() {
        let hub = hub();
        hub.set_memory(PictureMemory { waiting_bytes: 2 * MAX_PART_BYTES, ..PictureMemory::default() });
        let mut parts = Parts::follow(&hub, Stream::Main, "recorder", 20);
        let data = Bytes::from(vec![0; 2 * MAX_PART_BYTES + 1]);
        for n in 0..4 {
            let packet = Packet::new(Track::Video, data.clone(), MonoTime(n * 1_000_000), true);
            hub.publish_video(Stream::Main, Arc::new(packet));
        }
        assert_eq!(std::iter::from_fn(|| next(&mut parts)).count(), 1);
    }
}
