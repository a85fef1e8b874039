//! Cameras that are switched off truly, and profiles: what ends, what is said, what holds over restarts and kills, and that nobody else
//! notices.

use crate::support::client::Client;
use crate::support::home::{BoxProcess, Home, camera};
use crate::support::rtsp_reader::Reader;
use crate::support::whep::{Viewer, Watching};
use crate::support::{ffmpeg, s, wait_until};
use perch_test_cameras::{Camera, find};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const JSON: (&str, &str) = ("content-type", "application/json");
const ALWAYS: &str = "motion = { enabled = false }\nrecord = { mode = \"continuous\", segment_max_s = 5 }\n";

fn put(client: &Client, path: &str, body: &Value) -> Value {
    client.send("PUT", path, &[JSON], body.to_string().as_bytes()).expect(200).json()
}

fn switch(client: &Client, off: bool, cameras: &[&str]) -> Value {
    put(client, "/api/v1/privacy", &json!({ "on": off, "cameras": cameras }))
}

fn watch(client: &Client, camera: &str) -> Watching {
    let (mut viewer, offer) = Viewer::offer();
    let (answer, _) = client.whep(camera, "main", &offer);
    viewer.accept(&answer);
    viewer.spawn()
}

fn now(client: &Client) -> String {
    client.json("/api/v1/status")["clock"]["now"].as_str().expect("a time").to_owned()
}

fn gaps(client: &Client, camera: &str, from: &str, to: &str) -> Vec<Value> {
    let timeline = client.json(&format!("/api/v1/cameras/{camera}/timeline?from={from}&to={to}"));
    timeline["gaps"].as_array().expect("a list").clone()
}

/// A network camera at the door, and a box with it and another camera.
fn two_cameras() -> (Camera, Home, BoxProcess, Client) {
    let fake = Camera::start(find("fullrange").expect("a case")).expect("starts");
    let door = format!("[[camera]]\nid = \"door\"\nname = \"Door\"\nsource = {:?}\n{ALWAYS}", fake.url());
    let home = Home::new(&[door, camera("yard", "test", ALWAYS)].concat());
    let running = home.boot();
    let admin = running.paired();
    for id in ["door", "yard"] {
        admin.wait_for_camera(id, "live", s(60));
    }
    (fake, home, running, admin)
}

/// Nobody connects to a camera that is off.
fn stays_alone(fake: &Camera, connections: u64, for_: Duration) {
    let began = Instant::now();
    while began.elapsed() < for_ {
        let counts = fake.counts();
        assert_eq!((counts.connections, counts.open), (connections, 0), "somebody connects");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_camera_that_is_switched_off_is_closed_and_another_does_not_notice() {
    let (fake, home, mut running, admin) = two_cameras();
    for id in ["door", "yard"] {
        wait_until("a file", s(30), || (!home.recordings(id).is_empty()).then_some(()));
    }
    let began = now(&admin);
    let password = admin.stream_password("nvr");
    let read = |id: &str| {
        let host = format!("127.0.0.1:{}", home.ports.rtsp);
        Reader::start(&host, id, "nvr", &password, Arc::default()).expect("connects")
    };
    let (mut door_reader, mut yard_reader) = (read("door"), read("yard"));
    let (door, yard) = (watch(&admin, "door"), watch(&admin, "yard"));
    for viewer in [&door, &yard] {
        viewer.wait_for_frames(10, s(30));
    }
    wait_until("packets by RTSP", s(30), || (door_reader.packets_and_lost().0 > 20).then_some(()));

    let said = switch(&admin, true, &["door"]);
    assert_eq!(said["off"][0]["by"], json!({"kind": "person", "name": "test phone"}), "{said}");
    // It is closed by the time it is answered.
    let counts = fake.counts();
    assert!(counts.open == 0 && counts.requests["TEARDOWN"] >= 1, "{counts:?}");
    wait_until("the live pictures end", s(3), || door.seen().over.then_some(()));
    wait_until("the RTSP reader ends", s(3), || door_reader.failure());
    let sentence = "Door is switched off by test phone";
    let problem = |answer: crate::support::client::Answer| answer.problem(503)["detail"].clone();
    let (_, offer) = Viewer::offer();
    let whep =
        admin.send("POST", "/api/v1/cameras/door/whep", &[("Content-Type", "application/sdp")], offer.as_bytes());
    for said in [problem(whep), problem(admin.get("/api/v1/cameras/door/snapshot.jpg"))] {
        assert!(said.as_str().is_some_and(|said| said.starts_with(sentence)), "{said}");
    }
    let refused = ffmpeg::probe_rtsp(&running.rtsp_url("nvr", &password, "door"), "tcp").expect_err("it is off");
    assert!(refused.contains("503"), "{refused}");
    let is = admin.camera("door");
    assert_eq!((&is["health"]["state"], &is["recording"]["state"]), (&json!("off"), &json!("off")), "{is}");
    let status = admin.json("/api/v1/status");
    // Whether the clock is synchronised is not this box's to say here.
    assert!(status["sentence"].as_str().is_some_and(|s| s.starts_with("Everything works")), "{status}");
    stays_alone(&fake, counts.connections, s(3));
    wait_until("the timeline says who", s(10), || {
        let last = gaps(&admin, "door", &began, &now(&admin)).pop()?;
        (last["cause"] == "switched_off" && last["by"]["name"] == "test phone").then_some(())
    });
    let off_until = now(&admin);
    // The other one: no packet is lost, no hole in its recording, no session that ended.
    yard.wait_for_frames(5, s(10));
    assert_eq!((yard_reader.failure(), yard_reader.packets_and_lost().1), (None, 0));
    let holes = gaps(&admin, "yard", &began, &off_until);
    assert!(holes.is_empty(), "{holes:?}");
    for file in home.recordings("door") {
        assert!(!ffmpeg::probe_container(&file).frames.is_empty(), "{} is sealed", file.display());
    }

    // Off it stays over an end and a start, and is not opened for a moment.
    assert!(running.terminate().success());
    let mut running = home.boot();
    assert_eq!(admin.camera("door")["health"]["off"]["by"]["name"], "test phone");
    admin.wait_for_camera("yard", "live", s(60));
    stays_alone(&fake, counts.connections, s(3));
    let tapped = Instant::now();
    let said = switch(&admin, false, &["door"]);
    assert_eq!(said["off"], json!([]));
    admin.wait_for_camera("door", "live", s(20));
    eprintln!("live again {:?} after the tap", tapped.elapsed());
    watch(&admin, "door").wait_for_frames(5, s(20));
    let path = "/api/v1/cameras/door";
    wait_until("it is recorded again", s(20), || (admin.json(path)["recording"]["state"] == "recording").then_some(()));
    let of_door = gaps(&admin, "door", &began, &now(&admin));
    let off: Vec<_> = of_door.iter().filter(|gap| gap["cause"] == "switched_off").collect();
    assert!(!off.is_empty() && off.iter().all(|gap| gap["by"]["kind"] == "person"), "{of_door:?}");
    assert!(of_door.iter().all(|gap| gap["cause"] != "camera_unavailable" || is_short(gap)), "{of_door:?}");
    assert!(running.terminate().success());
}

/// A start takes a moment.
fn is_short(gap: &Value) -> bool {
    let at = |key: &str| perch_base::time::Timestamp::parse(gap[key].as_str().expect("a time")).expect("a time");
    at("end").micros_since(at("start")) < 5_000_000
}

#[test]
fn whoever_is_killed_right_after_the_answer_has_it_off_at_the_next_start() {
    let (fake, home, mut running, admin) = two_cameras();
    switch(&admin, true, &["door"]);
    let connections = fake.counts().connections;
    running.kill();
    let mut running = home.boot();
    assert_eq!(admin.camera("door")["health"]["state"], "off");
    admin.wait_for_camera("yard", "live", s(60));
    stays_alone(&fake, connections, s(2));
    let checked = home.run(&["check"], "");
    let said = format!("{}{}", checked.out, checked.err);
    assert!(said.contains("it is switched off by test phone and not tried"), "{said}");
    stays_alone(&fake, connections, s(1));
    // And back on, killed as well.
    switch(&admin, false, &["door"]);
    running.kill();
    // What was switched cannot be read any more: all is off, and says what to do.
    std::fs::write(home.data().join("modes.json"), "{\"cameras\": {\"do").expect("written");
    let connections = fake.counts().connections;
    let mut running = home.boot();
    let status = admin.json("/api/v1/status");
    assert_eq!(status["state"], "degraded", "{status}");
    assert!(status["sentence"].as_str().is_some_and(|s| s.contains("switch it on again")), "{status}");
    assert_eq!(admin.camera("yard")["health"]["state"], "off");
    stays_alone(&fake, connections, s(2));
    put(&admin, "/api/v1/privacy", &json!({ "on": false }));
    for id in ["door", "yard"] {
        admin.wait_for_camera(id, "live", s(60));
    }
    assert!(running.terminate().success());
}

#[test]
fn a_profile_changes_what_it_names_and_no_more() {
    let home = Home::new(&[camera("front", "test", ALWAYS), camera("yard", "test", ALWAYS)].concat());
    let text = home.config_text();
    home.write_config(&format!(
        "{text}\n[profile.night.cameras]\nfront = {{ record = {{ mode = \"off\" }} }}\n[profile.away]\nname = \"Away\"\n[profile.away.cameras]\nyard = {{ off = true }}\n"
    ));
    let mut running = home.boot();
    let admin = running.paired();
    for id in ["front", "yard"] {
        admin.wait_for_camera(id, "live", s(60));
    }
    let (front, yard) = (watch(&admin, "front"), watch(&admin, "yard"));
    front.wait_for_frames(5, s(20));
    let modes = put(&admin, "/api/v1/profile", &json!({ "name": "night" }));
    assert_eq!(modes["profile"]["id"], "night");
    assert_eq!(admin.camera("front")["record_mode"], "off");
    assert_eq!(admin.camera("yard")["record_mode"], "continuous");
    // Who watches goes on: only its recorder was run again.
    front.wait_for_frames(10, s(20));
    assert_eq!((front.seen().over, admin.camera("front")["health"]["restarts"].as_u64()), (false, Some(0)));
    put(&admin, "/api/v1/profile", &json!({ "name": "away" }));
    assert_eq!(admin.camera("front")["record_mode"], "continuous");
    let off = admin.camera("yard")["health"]["off"].clone();
    assert_eq!(off["by"], json!({"kind": "profile", "name": "Away"}), "{off}");
    wait_until("its pictures end", s(3), || yard.seen().over.then_some(()));
    // One that is named in a profile can be removed: it is taken out of it. By hand it is refused.
    admin.delete("/api/v1/cameras/yard").expect(200);
    assert!(!home.config_text().contains("yard"), "{}", home.config_text());
    front.wait_for_frames(10, s(20));
    assert!(!front.seen().over);
    assert!(running.terminate().success());
}
