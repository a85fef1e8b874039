//! Cameras that come, change and go while the server runs.

use super::*;
use bytes::Bytes;
use perch_base::ids::CameraId;
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_media::fanout::Hub;
use perch_media::rtsp::CameraStreams;

#[test]
fn cameras_come_change_and_go_while_others_are_read() {
    let bench = Bench::new();
    let mut front = bench.client("/front", LOGIN);
    front.play();
    let attic = Camera::start("attic", SMALL);
    let status = |path: &str| bench.client(path, LOGIN).ask("DESCRIBE", "", &[]).expect("answers").status;
    assert_eq!(status("/attic"), 404);
    bench.server.set_camera(attic.streams());
    let mut reader = bench.client("/attic", LOGIN);
    reader.play();
    let mut described = bench.client("/attic/sub", LOGIN);
    assert_eq!(described.ask("DESCRIBE", "", &[]).expect("answers").status, 200);

    bench.server.set_camera(attic.streams());
    reader.read_for(Duration::from_millis(300)).expect("nothing changed");
    let other_rates = VideoSettings { bitrate_kbps: 900, fps: 25, ..attic.streams().main };
    bench.server.set_camera(CameraStreams { main: other_rates, ..attic.streams() });
    reader.read_for(Duration::from_millis(300)).expect("another bit rate ends nobody");
    bench.server.set_camera(CameraStreams { has_audio: false, ..attic.streams() });
    assert!(reader.ends_within(Duration::from_secs(5)) && described.ends_within(Duration::from_secs(5)));
    let mut silent = bench.client("/attic", LOGIN);
    let sdp = silent.play_tracks(&[("/stream=0", "0-1")]);
    assert!(!sdp.contains("m=audio"), "{sdp}");

    bench.server.remove_camera(attic.hub.camera());
    assert!(silent.ends_within(Duration::from_secs(5)));
    for path in ["/attic", "/attic/sub"] {
        assert_eq!(status(path), 404, "{path}");
    }
    wait_for("all to be given back", Duration::from_secs(10), || {
        Stream::ALL.iter().all(|s| attic.hub.consumers(*s).is_empty())
    });
    let (video, audio) = front.read_for(Duration::from_millis(500)).expect("undisturbed");
    assert!(video > 0 && audio > 0);
}

/// A keyframe of this size, as far as a payloader reads it.
fn keyframe(codec: VideoCodec, size: u8) -> Bytes {
    let units: &[&[u8]] = match codec {
        VideoCodec::H265 => &[
            &[0x40, 1, 12, 1, 0xff, 0xff, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f, 0x95, 0x98, 9],
            &[0x42, 1, 1, 1, 0x60, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f, 0xa0, 0x0a, size],
            &[0x44, 1, 0xc1, 0x72, 0xb4, 0x62, 0x40],
            &[0x26, 1, 0xaf, 8, 0x80],
        ],
        _ => &[&[0x67, 0x42, 0xc0, 0x1e, 0xda, size], &[0x68, 0xce, 0x3c, 0x80], &[0x65, 0x88, 0x80, 0x40]],
    };
    units.iter().flat_map(|unit| [&[0, 0, 0, 1], *unit].concat()).collect()
}

#[test]
fn another_size_ends_no_reader_and_reaches_it_with_the_next_keyframe() {
    let bench = Bench::new();
    for codec in [VideoCodec::H264, VideoCodec::H265] {
        let hub = Hub::new(CameraId::new(&format!("passed-{codec:?}").to_lowercase()).expect("an id"), clock());
        let publish = |size: u8| {
            let packet = Packet::new(Track::Video, keyframe(codec, size), clock().mono(), true);
            hub.publish_video(Stream::Main, Arc::new(Packet { codec: Some(codec), ..packet }));
        };
        let of = |main| CameraStreams { hub: hub.clone(), codec, has_audio: false, sub: SMALL, main, speaker: None };
        bench.server.set_camera(of(SMALL));
        publish(0x91);
        let mut reader = bench.client(&format!("/{}", hub.camera()), LOGIN);
        reader.play_tracks(&[("/stream=0", "0-1")]);
        let mut sees = |size: u8| {
            let (sps, deadline) = (keyframe(codec, size), Instant::now() + Duration::from_secs(10));
            let sps = sps.windows(7).find(|bytes| bytes[6] == size).expect("it is in there")[1..].to_vec();
            while Instant::now() < deadline {
                publish(size);
                let (channel, payload) = reader.packet().expect("the session goes on");
                if channel == 0 && payload.windows(sps.len()).any(|bytes| bytes == sps) {
                    return;
                }
            }
            panic!("{codec:?}: the parameter sets of size {size:#x} never came");
        };
        sees(0x91);
        bench.server.set_camera(of(VideoSettings { width: 640, height: 360, ..SMALL }));
        sees(0x92);
        bench.server.set_camera(of(SMALL));
        sees(0x91);
    }
}
