//! Follows the keyframes of one stream: what a still is made of.

use crate::fanout::{Attachment, Delivery, Hub, Receipt, Sink};
use perch_domain::media::{SharedPacket, Stream, Track};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Keyframes that may wait; of more, the first ones are kept.
const WAITING: usize = 4;

/// The keyframes of a stream as they come.
#[derive(Debug)]
pub struct Keyframes {
    queue: mpsc::Receiver<SharedPacket>,
    _attachment: Attachment,
}

impl Keyframes {
    /// Follows the keyframes of `stream` that come from now on. Those before them are [`Hub::keyframe_from`], asked afterwards.
    pub fn follow(hub: &Arc<Hub>, stream: Stream, name: &str) -> Self {
        let (tx, queue) = mpsc::channel(WAITING);
        Self { queue, _attachment: hub.attach(stream, false, name, Box::new(Collector(tx))) }
    }

    /// The next one; `None` once the hub is gone.
    pub async fn next(&mut self) -> Option<SharedPacket> {
        self.queue.recv().await
    }
}

struct Collector(mpsc::Sender<SharedPacket>);

impl Sink for Collector {
    fn offer(&mut self, delivery: Delivery) -> Receipt {
        let packet = delivery.packet;
        if packet.keyframe && packet.track == Track::Video {
            // Whoever is slow misses one and takes the next; the encoder is not to hurry for it.
            let _ = self.0.try_send(packet);
        }
        if self.0.is_closed() { Receipt::Closed } else { Receipt::Taken }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use perch_base::clock::ManualClock;
    use perch_base::ids::CameraId;
    use perch_base::time::MonoTime;
    use perch_domain::media::Packet;

    #[tokio::test]
    async fn keyframes_come_alone_and_a_slow_follower_costs_nobody_anything() {
        let hub = Hub::new(CameraId::new("front").expect("an id"), Arc::new(ManualClock::default()));
        let publish = |ms: i64, keyframe| {
            let pts = MonoTime(ms * 1000);
            let data = Bytes::from_static(b"x");
            hub.publish_video(Stream::Main, Arc::new(Packet::new(Track::Video, data, pts, keyframe)));
        };
        publish(0, true);
        let mut keyframes = Keyframes::follow(&hub, Stream::Main, "stills");
        assert_eq!(hub.latest_keyframe(Stream::Main).map(|k| k.pts), Some(MonoTime(0)));
        for second in 1..10 {
            publish(second * 1000 - 500, false);
            publish(second * 1000, true);
        }
        for second in 1..=WAITING as i64 {
            assert_eq!(keyframes.next().await.map(|k| k.pts), Some(MonoTime(second * 1_000_000)));
        }
        assert_eq!(hub.dropped(), 0);
        drop(keyframes);
        assert!(hub.consumers(Stream::Main).is_empty());
    }

    #[test]
    fn of_a_stream_of_keyframes_alone_the_first_from_a_moment_on_is_found() {
        let hub = Hub::new(CameraId::new("front").expect("an id"), Arc::new(ManualClock::default()));
        let ms = |ms: i64| MonoTime(ms * 1000);
        // Five seconds at 25 pictures a second, each of 100 kB and a keyframe.
        let data = Bytes::from(vec![0; 100_000]);
        for n in 0..125 {
            hub.publish_video(Stream::Main, Arc::new(Packet::new(Track::Video, data.clone(), ms(n * 40), true)));
        }
        let from = |at| hub.keyframe_from(Stream::Main, ms(at)).map(|packet| packet.pts);
        assert_eq!((from(4_000), from(4_001), from(4_960)), (Some(ms(4_000)), Some(ms(4_040)), Some(ms(4_960))));
        assert_eq!(from(4_961), None, "it has yet to come");
        assert!(from(0).is_some_and(|at| at > ms(1_000)), "what is long ago is not kept");
        assert_eq!(hub.latest_keyframe(Stream::Main).map(|packet| packet.pts), Some(ms(4_960)));
        hub.discontinuity();
        assert_eq!(from(0), None);
    }
}
