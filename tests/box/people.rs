//! Who is cut off, whichever way they come: a browser by WHEP, a player by RTSP, and both again once they are let in; and what of a
//! viewer ends with its time.

use crate::support::home::{Home, camera};
use crate::support::rtsp_reader::Reader;
use crate::support::whep::{Viewer, Watching};
use crate::support::{client::Client, s, wait_until};
use perch_base::time::Timestamp;
use serde_json::json;
use std::sync::Arc;
use std::time::SystemTime;

const PLAIN: &str = "record = { mode = \"off\" }\nmotion = { enabled = false }";

fn watch(client: &Client) -> Watching {
    let (mut viewer, offer) = Viewer::offer();
    let (answer, _) = client.whep("front", "main", &offer);
    viewer.accept(&answer);
    viewer.spawn()
}

/// Another device of this box, paired with a code for `what`.
fn guest(admin: &Client, what: serde_json::Value) -> Client {
    let code = admin.post("/api/v1/pairing-codes", &what).expect(201).json();
    admin.with_token(None).pair(code["otp"].as_str().expect("a code"), "guest")
}

#[test]
fn whoever_is_cut_off_sees_nothing_by_any_transport() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(20));
    let password = admin.stream_password("tv");
    let host = running.rtsp_url("", "", "").rsplit('@').next().expect("a host").trim_end_matches('/').to_owned();
    let read = || Reader::start(&host, "front", "tv", &password, Arc::default()).expect("connected");
    let plays = |reader: &mut Reader| {
        let before = reader.packets_and_lost().0;
        wait_until("packets at the player", s(20), || (reader.packets_and_lost().0 > before + 20).then_some(()));
        assert_eq!(reader.failure(), None);
    };

    let eve = guest(&admin, json!({ "role": "viewer" }));
    let watching = watch(&eve);
    watching.wait_for_frames(5, s(15));
    let mut player = read();
    plays(&mut player);
    let live = admin.json("/api/v1/live");
    assert_eq!(
        (&live["readers"][0]["stream_password"], &live["readers"][0]["camera"]),
        (&json!("tv"), &json!("front"))
    );
    let device = live["sessions"][0]["device_id"].as_str().expect("an id").to_owned();

    // The browser is cut off, and comes back with another offer; the player goes on.
    let cut_off = format!("/api/v1/devices/{device}/cut-off");
    let said = admin.send("PUT", &cut_off, &[], b"").expect(200).json();
    assert_eq!(said["by"], "test phone");
    wait_until("the session to be gone", s(2), || {
        admin.json("/api/v1/live")["sessions"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    let (_, offer) = Viewer::offer();
    let again =
        eve.send("POST", "/api/v1/cameras/front/whep", &[("Content-Type", "application/sdp")], offer.as_bytes());
    assert_eq!(again.problem(403)["cut_off"]["by"], "test phone");
    eve.get("/api/v1/cameras/front/snapshot.jpg").problem(403);
    plays(&mut player);
    // Then the player, which tries again at once, as players do.
    admin.send("PUT", "/api/v1/stream-passwords/tv/cut-off", &[], b"").expect(200);
    wait_until("the player to be gone", s(3), || player.failure());
    let refused = wait_until("an answer", s(10), || read().wait_for_failure(s(5)));
    assert!(refused.contains("403"), "{refused}");
    assert_eq!(admin.json("/api/v1/live")["cut_off"].as_array().map(Vec::len), Some(2));
    // What others may is untouched: another player, another device.
    let other = admin.stream_password("nvr");
    let mut nvr = Reader::start(&host, "front", "nvr", &other, Arc::default()).expect("connected");
    plays(&mut nvr);
    drop(nvr);

    admin.delete(&cut_off).expect(204);
    admin.delete("/api/v1/stream-passwords/tv/cut-off").expect(204);
    watch(&eve).wait_for_frames(5, s(15));
    let mut player = read();
    plays(&mut player);
}

#[test]
fn what_a_guest_watches_ends_with_its_time() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(20));
    let now_us = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after the epoch").as_micros();
    let end = Timestamp(now_us as i64) + s(12);
    let guest = guest(&admin, json!({ "role": "viewer", "expires_at": end }));
    let watching = watch(&guest);
    watching.wait_for_frames(5, s(10));
    let sessions = || admin.json("/api/v1/live")["sessions"].as_array().map_or(0, Vec::len);
    assert_eq!(sessions(), 1);
    // It asks nothing more and is found by the box's own look, once a minute.
    wait_until("the guest's session to end", s(12 + 60 + 20), || (sessions() == 0).then_some(()));
    guest.get("/api/v1/me").problem(401);
    let devices = admin.json("/api/v1/devices");
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1), "{devices}");
}
