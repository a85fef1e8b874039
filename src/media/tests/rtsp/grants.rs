//! Stream passwords that open some cameras only.

use crate::camera::{Camera, clock};
use crate::client::{Client, stream_login};
use crate::running::Running;
use crate::{LOGIN, SMALL, config};
use perch_domain::media::Stream;
use std::time::Duration;

#[test]
fn a_password_for_one_camera_finds_no_other() {
    let (front, yard) = (Camera::start("front", SMALL), Camera::start("yard", SMALL));
    let server = Running::start(config(), vec![front.streams(), yard.streams()], clock()).expect("starts");
    let passwords = |tv: &[&str]| vec![stream_login("tv", "opensesame", tv), stream_login("radio", "other", &[])];
    server.set_passwords(passwords(&["front"]));
    let client = |path: &str| Client::connect(server.local_addr(), path, LOGIN);
    for method in
        ["DESCRIBE", "SETUP", "PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "RECORD"]
    {
        for path in ["/yard", "/yard/sub", "/yard/stream=0", "/nowhere", "/", "//yard", "/front/../yard", "/FRONT"] {
            // What begins with its own camera is that camera's, whatever follows.
            let own = path.starts_with("/front/");
            let headers = [("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1")];
            let status = client(path).ask(method, "", &headers).expect("answers").status;
            assert!(status == 404 || own, "{method} {path}: {status}");
        }
    }
    assert_eq!(yard.hub.consumers(Stream::Main).len() + yard.hub.consumers(Stream::Sub).len(), 0, "never looked up");
    for path in ["/front", "/front/sub"] {
        let mut player = client(path);
        player.play();
        player.read_for(Duration::from_millis(300)).expect("its own camera");
    }
    // A session of its own camera opens no other.
    let mut player = client("/front");
    player.play();
    let mut other = Client::connect(server.local_addr(), "/yard", Some(("radio", "other")));
    other.play();
    assert_eq!(player.ask_elsewhere("/yard", "PLAY"), 404);
    // The same password for another camera: who reads is closed, and finds the new one.
    server.set_passwords(passwords(&["yard"]));
    assert!(player.ends_within(Duration::from_secs(1)));
    other.read_for(Duration::from_millis(300)).expect("undisturbed");
    assert_eq!(client("/front").ask("DESCRIBE", "", &[]).expect("answers").status, 404);
    client("/yard").play();
}
