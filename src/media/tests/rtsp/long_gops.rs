//! Readers that come in the middle of a long group of pictures.

use super::*;
use bytes::Bytes;
use perch_base::ids::CameraId;
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_domain::memory::PictureMemory;
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

/// A camera at `/long`.
fn long(bench: &Bench) -> Arc<Hub> {
    let hub = Hub::new(CameraId::new("long").expect("an id"), clock());
    let of = CameraStreams {
        hub: hub.clone(),
        codec: VideoCodec::H264,
        has_audio: false,
        sub: SMALL,
        main: SMALL,
        speaker: None,
    };
    bench.server.set_camera(of);
    hub
}

#[test]
fn a_slow_reader_gets_the_cached_pictures_and_all_that_follow() {
    let bench = Bench::new();
    let hub = long(&bench);
    let began = clock().mono() - Duration::from_secs(60);
    (0..CACHED).for_each(|n| publish(&hub, began, n));
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

/// Reads on to picture `n`, and says how many came before it.
fn pictures_up_to(reader: &mut Client, n: i64) -> usize {
    let mut before = 0;
    loop {
        let (channel, payload) = reader.packet().expect("the session goes on");
        if channel == 0 && payload.ends_with(&mark(n)) {
            return before;
        }
        let is_end = channel == 0 && payload.get(1).is_some_and(|head| head & 0x80 != 0);
        before += usize::from(is_end);
    }
}

#[test]
fn each_reader_begins_with_the_cached_pictures_and_disturbs_nobody() {
    let bench = Bench::new();
    let hub = long(&bench);
    let began = clock().mono() - Duration::from_secs(4);
    (0..100).for_each(|n| publish(&hub, began, n));
    let reader = || {
        let mut reader = bench.client("/long", LOGIN);
        reader.play_tracks(&[("/stream=0", "0-1")]);
        reader
    };
    let mut first = reader();
    pictures_up_to(&mut first, 99);
    publish(&hub, began, 100);
    let mut second = reader();
    pictures_up_to(&mut second, 0);
    pictures_up_to(&mut second, 100);
    publish(&hub, began, 101);
    // The first is sent nothing twice.
    assert_eq!(pictures_up_to(&mut first, 101), 1);
    assert_eq!(pictures_up_to(&mut second, 101), 0);
    assert_eq!(hub.consumers(Stream::Main).len(), 2);
    drop(first);
    wait_for("the first to be gone", Duration::from_secs(5), || hub.consumers(Stream::Main).len() == 1);
    publish(&hub, began, 102);
    assert_eq!(pictures_up_to(&mut second, 102), 0, "the second goes on");
    drop(second);
    wait_for("both to be gone", Duration::from_secs(5), || hub.consumers(Stream::Main).is_empty());
    pictures_up_to(&mut reader(), 0);
}

#[test]
fn what_waits_for_a_slow_reader_is_bounded_in_bytes() {
    let bench = Bench::new();
    let hub = long(&bench);
    hub.set_memory(PictureMemory { catching_up_bytes: 8 << 20, ..PictureMemory::default() });
    let began = clock().mono() - Duration::from_secs(60);
    (0..CACHED).for_each(|n| publish(&hub, began, n));
    let mut reader = Client::connect_small(bench.server.local_addr(), "/long", LOGIN);
    reader.play_tracks(&[("/stream=0", "0-1")]);
    pictures_up_to(&mut reader, 0);
    publish(&hub, began, CACHED);
    assert_eq!(hub.dropped(), 1, "as much waits as may");
}
