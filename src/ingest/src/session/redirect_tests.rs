//! Where redirects lead a session.

use super::*;

#[test]
fn redirects_within_the_host() {
    let to = |location: &str| format!("RTSP/1.0 302 Moved\r\nLocation: {location}\r\n\r\n");
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    assert_eq!(rig.hears(to("rtsp://CAM/other")), ["DESCRIBE rtsp://CAM/other"]);
    assert_eq!(rig.hears(to("rtsp://cam:8554/x")), ["connect cam:8554"]);
    rig.session.connected(rig.now);
    assert_eq!(rig.out(), ["DESCRIBE rtsp://cam:8554/x"]);
    assert_eq!(rig.hears(to("/y")), ["DESCRIBE rtsp://cam:8554/y"]);
    rig.hears(to("/z"));
    assert!(rig.error().message().contains("from one address to the next"));
    let mut rig = Rig::plain();
    rig.out();
    rig.hears(OPTIONS);
    assert_eq!(rig.hears(to("rtsp://192.0.2.7/by-address")), ["DESCRIBE rtsp://192.0.2.7/by-address"]);
    for elsewhere in ["rtsp://127.0.0.1:8554/front", "rtsp://evil/live", "rtsps://cam/live", "http://cam/", ""] {
        let mut rig = Rig::plain();
        rig.out();
        rig.hears(OPTIONS);
        rig.hears(to(elsewhere));
        assert!(matches!(rig.error().kind(), ErrorKind::Unsupported | ErrorKind::Invalid), "{elsewhere}");
    }
}

#[test]
fn redirects_of_setup_and_play_begin_anew_there() {
    let to = |location: &str| format!("RTSP/1.0 302 Moved\r\nLocation: {location}\r\n\r\n");
    let at_setup = || {
        let mut rig = Rig::plain();
        rig.out();
        rig.hears(OPTIONS);
        rig.hears(described(SDP));
        rig
    };
    let mut rig = at_setup();
    assert_eq!(rig.hears(to("/b")), ["DESCRIBE rtsp://cam/b"]);
    assert_eq!(rig.hears(described(SDP)), ["SETUP rtsp://cam/b/track1"]);
    rig.hears(SETUP);
    rig.hears(SETUP);
    // What was set up is left with its connection.
    assert_eq!(rig.hears(to("rtsp://cam/c")), ["connect cam"]);
    rig.session.connected(rig.now);
    assert_eq!(rig.out(), ["DESCRIBE rtsp://cam/c"]);
    assert_eq!(rig.hears(described(SDP)), ["SETUP rtsp://cam/c/track1"]);
    assert_eq!(rig.header("Session"), None);
    rig.hears(SETUP);
    rig.hears(SETUP);
    assert!(rig.hears(ok("")).is_empty());
    rig.picture();
    assert!(rig.session.is_playing() && matches!(rig.session.taken()[..], [Intake::Offer(_), Intake::Aside(_)]));
    // Never elsewhere, and not for ever.
    let mut rig = at_setup();
    rig.hears(to("rtsp://evil/live"));
    assert_eq!(rig.error().kind(), ErrorKind::Unsupported);
    let mut rig = at_setup();
    for _ in 0..crate::session::redirects::MOST {
        rig.hears(to("/again"));
        rig.hears(described(SDP));
    }
    rig.hears(to("/again"));
    assert!(rig.error().message().contains("from one address to the next"));
}
