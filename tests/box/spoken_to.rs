//! A network camera that is spoken to: what is said at the box is heard at the camera, which is another box with an ONVIF backchannel.

use crate::support::home::{Home, camera};
use crate::support::{s, wait_until};
use serde_json::{Value, json};

const QUIET: &str = "record = { mode = \"off\" }\nmotion = { enabled = false }\n";

#[test]
fn what_is_said_is_heard_at_the_camera() {
    let far =
        Home::new(&camera("far", "test", &format!("{QUIET}talkback = {{ sink = \"test\", players = [\"nvr\"] }}\n")));
    let at_camera = far.boot();
    let owner = at_camera.paired();
    owner.wait_for_camera("far", "live", s(60));
    let password = owner.stream_password("nvr");
    let other = owner.stream_password("other");
    let talk = |client: &crate::support::client::Client, id: &str| -> Value { client.camera(id)["talk"].clone() };

    let url = at_camera.rtsp_url("nvr", &password, "far");
    let home = Home::new(&camera("door", &url, &format!("{QUIET}talkback = {{ sink = \"camera\" }}\n")));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("door", "live", s(60));
    for round in 0..2 {
        assert_eq!(admin.post("/api/v1/cameras/door/announce", &json!({ "name": "chime" })).status, 204);
        wait_until("it is heard at the camera", s(20), || {
            let talk = talk(&owner, "far");
            let loud = talk["level"]["peak_db"].as_f64().is_some_and(|db| db > -15.0);
            (loud && talk["speaker"] == "nvr").then_some(())
        });
        wait_until("the floor is free there", s(20), || talk(&owner, "far")["speaker"].is_null().then_some(()));
        assert!(talk(&admin, "door")["problem"] == "", "round {round}: {}", talk(&admin, "door"));
    }
    assert_eq!(admin.camera("door")["health"]["state"], "live", "its pictures went on");
    let token = admin.token;
    drop(running);

    // A password that may not speak there: its pictures come, and whoever wants to speak is told why they cannot.
    let url = at_camera.rtsp_url("other", &other, "far");
    home.configure("", &camera("door", &url, &format!("{QUIET}talkback = {{ sink = \"camera\" }}\n")));
    let running = home.boot();
    let admin = running.client().with_token(token.as_deref());
    admin.wait_for_camera("door", "live", s(60));
    assert_eq!(admin.post("/api/v1/cameras/door/announce", &json!({ "name": "chime" })).status, 204);
    let problem = wait_until("it says why not", s(20), || {
        let problem = talk(&admin, "door")["problem"].as_str().unwrap_or_default().to_owned();
        (!problem.is_empty()).then_some(problem)
    });
    assert!(problem.contains("no loudspeaker by RTSP"), "{problem}");
    assert_eq!(talk(&admin, "door")["speaker"], Value::Null);
}
