//! Cameras that come, change and go while the server runs.

use super::*;
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
