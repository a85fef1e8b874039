//! Readers that come in the middle of a long group of pictures.

use super::*;
use bytes::Bytes;
use perch_base::ids::CameraId;
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_media::fanout::Hub;
use perch_media::rtsp::CameraStreams;

/// Pictures that are cached: more than what the sockets take.
const CACHED: i64 = 1_500;
const BYTES: usize = 16 << 10;

/// The end of picture `n`, without a start code.
fn mark(n: i64) -> [u8; 8] {
    n.to_be_bytes().map(|byte| byte | 0x80)
}

/// A camera that obeys no command; picture `n` of its one GOP, 40 ms after the one before.
fn publish(hub: &Hub, began: MonoTime, n: i64) {
    let keyframe = n == 0;
    let sets: &[u8] =
        if keyframe { &[0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xda, 0, 0, 0, 1, 0x68, 0xce, 0x3c] } else { &[] };
    let slice: &[u8] = if keyframe { &[0, 0, 0, 1, 0x65] } else { &[0, 0, 0, 1, 0x41] };
    let data = Bytes::from([sets, slice, &vec![0x55; BYTES], &mark(n)].concat());
    let packet = Packet::new(Track::Video, data, began + Duration::from_millis(40) * n as u32, keyframe);
    hub.publish_video(Stream::Main, Arc::new(Packet { codec: Some(VideoCodec::H264), ..packet }));
}

#[test]
fn a_slow_reader_gets_the_cached_pictures_and_all_that_follow() {
    let bench = Bench::new();
    let hub = Hub::new(CameraId::new("long").expect("an id"), clock());
    let began = clock().mono() - Duration::from_secs(60);
    (0..CACHED).for_each(|n| publish(&hub, began, n));
    let of = CameraStreams { hub: hub.clone(), codec: VideoCodec::H264, has_audio: false, sub: SMALL, main: SMALL };
    bench.server.set_camera(of);
    let mut reader = Client::connect_small(bench.server.local_addr(), "/long", LOGIN);
    reader.play_tracks(&[("/stream=0", "0-1")]);
    // Two seconds of what comes, before it has read what there was.
    let last = CACHED + 50;
    (CACHED..last).for_each(|n| publish(&hub, began, n));
    let mut next = 0;
    while next < last {
        let (channel, payload) = reader.packet().expect("the session goes on");
        if channel == 0 && payload.ends_with(&mark(next)) {
            next += 1;
        }
    }
    assert!(!hub.consumers(Stream::Main).is_empty());
}
