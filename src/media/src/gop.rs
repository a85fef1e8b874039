//! Collects a stream into closed GOPs for the recorder: one wake-up a GOP instead of one a packet.

use crate::fanout::{Attachment, Delivery, Hub, Offer, Sink};
use perch_base::time::MonoTime;
use perch_domain::media::{SharedPacket, Stream, Track};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A GOP that grows beyond this is given up: nothing sane sends 32 MiB between two keyframes, and memory is finite.
const MAX_BYTES: usize = 32 << 20;
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
    pub queue: mpsc::Receiver<ClosedGop>,
    attachment: Option<Attachment>,
}

impl Gops {
    /// Follows `stream` of `hub`; at most `capacity` closed GOPs wait.
    pub fn follow(hub: &Arc<Hub>, stream: Stream, name: &str, capacity: usize) -> Self {
        let (tx, queue) = mpsc::channel(capacity);
        let collector = Collector { tx, open: Vec::new(), bytes: 0 };
        Self { queue, attachment: Some(hub.attach(stream, true, name, Box::new(collector))) }
    }

    /// Stops following; the open GOP, if any, is closed and still comes out of the queue.
    pub fn detach(&mut self) {
        self.attachment = None;
    }
}

struct Collector {
    tx: mpsc::Sender<ClosedGop>,
    open: Vec<SharedPacket>,
    bytes: usize,
}

impl Collector {
    fn close(&mut self, end: Option<MonoTime>) -> Offer {
        let packets = std::mem::take(&mut self.open);
        self.bytes = 0;
        let Some(first) = packets.first() else { return Offer::Taken };
        let start = first.pts;
        let last = packets.iter().filter(|p| p.track == Track::Video).map(|p| p.pts).max().unwrap_or(start);
        let joined = end.is_some();
        let gop = ClosedGop { start, end: end.unwrap_or(last + LAST_FRAME), joined, packets };
        match self.tx.try_send(gop) {
            Ok(()) => Offer::Taken,
            Err(mpsc::error::TrySendError::Full(_)) => Offer::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Offer::Closed,
        }
    }
}

impl Sink for Collector {
    fn offer(&mut self, delivery: Delivery) -> Offer {
        let packet = delivery.packet;
        if packet.track == Track::Video && packet.keyframe {
            let next = (!delivery.discontinuity).then_some(packet.pts);
            match self.close(next) {
                Offer::Taken if self.tx.is_closed() => return Offer::Closed,
                // A GOP that will find no place is not begun, so that the hub learns how long nothing is taken.
                Offer::Taken if self.tx.capacity() == 0 => return Offer::Full,
                Offer::Taken => {}
                refused => return refused,
            }
        } else if self.open.is_empty() {
            return if self.tx.is_closed() { Offer::Closed } else { Offer::Taken };
        }
        self.bytes += packet.data.len();
        if self.bytes > MAX_BYTES {
            self.open.clear();
            self.bytes = 0;
            return Offer::Full;
        }
        self.open.push(packet);
        Offer::Taken
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
        Arc::new(Packet { track, data, pts: MonoTime(ms * 1000), duration: Duration::ZERO, keyframe })
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
        let got: Vec<_> = std::iter::from_fn(|| gops.queue.try_recv().ok())
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
        assert_eq!(gops.queue.try_recv().expect("one waits").start, MonoTime(0));
        hub.publish_video(Stream::Main, packet(Track::Video, 6_000, true));
        hub.publish_video(Stream::Main, packet(Track::Video, 7_000, true));
        assert_eq!(gops.queue.try_recv().expect("goes on").start, MonoTime(6_000_000));
    }
}
