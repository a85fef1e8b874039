//! Cameras are looked for and asked for their streams: ONVIF devices, makers' paths, plain RTSP at named addresses, and what wants to do harm.

use crate::support::client::Client;
use crate::support::home::{BoxProcess, Home};
use crate::support::s;
use perch_test_cameras::onvif::{Answers, OnvifCamera, OnvifModel, OnvifStream};
use perch_test_cameras::{Camera, find};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Instant;

fn started() -> (Home, BoxProcess, Client) {
    let home = Home::new("");
    let running = home.boot();
    let client = running.paired();
    (home, running, client)
}

fn streams(client: &Client, body: &Value) -> Value {
    client.post("/api/v1/discovery/streams", body).expect(200).json()
}

/// A camera with a password whose streams are nowhere but at these paths.
fn camera_at(paths: &'static [&'static str]) -> Camera {
    let mut model = (find("md5").expect("a case").model)().unwrap_or_else(|e| panic!("{e:?}"));
    model.manners.only_paths = paths;
    Camera::of(model, 0).expect("starts")
}

/// A device with a large and a small stream of one sight, both served by `camera`.
fn device_of(camera: &Camera) -> OnvifModel {
    let stream = |size, path: &str| OnvifStream {
        sight: "v0",
        encoding: "H264",
        size,
        address: format!("rtsp://127.0.0.1:{}/{path}", camera.port()),
    };
    OnvifModel { is_found: true, ..OnvifModel::new(vec![stream((1920, 1080), "large"), stream((640, 360), "small")]) }
}

#[test]
fn a_camera_is_found_tells_its_streams_and_is_added() {
    let (home, running, client) = started();
    let camera = camera_at(&["/large", "/small"]);
    // It knows itself by an address of another network.
    let device = OnvifCamera::start(OnvifModel { named_host: "10.255.255.1", ..device_of(&camera) }).expect("starts");
    let found = client.json("/api/v1/discovery");
    let of_device = |one: &&Value| one["onvif"] == device.url().as_str();
    let own = found["network"].as_array().expect("a list").iter().find(of_device).unwrap_or_else(|| panic!("{found}"));
    assert_eq!((own["name"].as_str(), own["model"].as_str()), (Some("Yard cam"), Some("FC-1")), "{own}");

    let mut body = json!({"address": own["onvif"], "username": "admin", "password": "S3CRET", "model": own["model"]});
    let wrong = streams(&client, &body);
    assert_eq!(wrong["problem"]["lacking"], "password", "{wrong}");
    assert_eq!(device.refused(), 1, "it is tried once");
    body["password"] = "pass".into();
    let told = streams(&client, &body);
    assert_eq!((told["by"].as_str(), told["maker"].as_str()), (Some("onvif"), Some("Fake")), "{told}");
    let cameras = told["cameras"].as_array().expect("a list");
    assert_eq!(cameras.len(), 1, "main and small stream are one camera: {told}");
    let (main, sub) = (&cameras[0]["main"], &cameras[0]["sub"]);
    assert_eq!(main["source"], format!("rtsp://admin@127.0.0.1:{}/large", camera.port()), "{told}");
    assert_eq!((main["width"].as_u64(), sub["width"].as_u64()), (Some(1920), Some(640)), "{told}");

    let described = json!({"source": main["source"], "sub_source": sub["source"], "password": "pass"});
    let probed = client.post("/api/v1/cameras/probe", &described).expect(200).json();
    assert_eq!(probed["streams"].as_array().map(Vec::len), Some(2), "{probed}");
    assert!(probed["judgement"].as_array().expect("a list").iter().all(|one| one["weight"] != "bad"), "{probed}");
    let mut added = described.clone();
    added["id"] = "yard".into();
    client.post("/api/v1/cameras", &added).expect(201);
    client.wait_for_camera("yard", "live", s(60));
    let text = home.config_text();
    assert!(text.contains("sub_source = \"rtsp://admin:{password}@") && !text.contains("pass@"), "{text}");
    for said in [told.to_string(), wrong.to_string(), running.log()] {
        assert!(!said.contains("S3CRET") && !said.contains(":pass@"), "{said}");
    }
}

#[test]
fn a_device_is_asked_by_https_and_its_certificate_may_be_its_own() {
    let (home, _running, client) = started();
    let camera = camera_at(&["/large", "/small"]);
    let device = OnvifCamera::start(OnvifModel { is_tls: true, ..device_of(&camera) }).expect("starts");
    let body = json!({"address": device.url(), "username": "admin", "password": "pass"});
    let told = streams(&client, &body);
    assert_eq!((told["by"].as_str(), told["onvif"].as_str()), (Some("onvif"), Some(device.url().as_str())), "{told}");
    let main = &told["cameras"][0]["main"]["source"];
    let added = json!({"id": "yard", "source": main, "password": "pass", "onvif": told["onvif"]});
    client.post("/api/v1/cameras", &added).expect(201);
    assert!(home.config_text().contains(&format!("onvif = \"{}\"", device.url())), "{}", home.config_text());
}

#[test]
fn makers_paths_are_tried_until_one_is_there_and_no_password_twice() {
    let (_home, _running, client) = started();
    let camera = camera_at(&["/stream1", "/stream2"]);
    let address = format!("127.0.0.1:{}", camera.port());
    let found = streams(&client, &json!({"address": address, "username": "admin", "password": "pass"}));
    assert_eq!(found["by"], "path", "{found}");
    let one = &found["cameras"][0];
    assert_eq!(one["main"]["source"], format!("rtsp://admin@{address}/stream1"), "{found}");
    assert_eq!(one["sub"]["source"], format!("rtsp://admin@{address}/stream2"), "{found}");
    assert_eq!(camera.counts().refused_sign_ins, 0);

    // Who is named comes first.
    let fast = camera_at(&["/stream1", "/stream2"]);
    let address = format!("rtsp://127.0.0.1:{}", fast.port());
    streams(&client, &json!({"address": address, "username": "admin", "password": "pass", "model": "TAPO C200"}));
    assert_eq!(fast.counts().requests.get("DESCRIBE"), Some(&4), "two streams, each asked for and signed in at");

    let wrong = streams(&client, &json!({"address": address, "username": "admin", "password": "S3CRET"}));
    assert_eq!(wrong["problem"]["lacking"], "password", "{wrong}");
    assert_eq!(fast.counts().refused_sign_ins, 1, "it is not locked out: {wrong}");
    let nobody = streams(&client, &json!({"address": address}));
    assert_eq!(nobody["problem"]["lacking"], "password", "{nobody}");

    let nowhere = camera_at(&["/a/path/that/nobody/has"]);
    let address = format!("127.0.0.1:{}", nowhere.port());
    let none = streams(&client, &json!({"address": address, "username": "admin", "password": "pass"}));
    assert_eq!(none["problem"]["lacking"], "path", "{none}");
    let silent = streams(&client, &json!({"address": "127.0.0.1:9"}));
    assert_eq!(silent["problem"]["lacking"], "host", "{silent}");
}

#[test]
fn rtsp_is_looked_for_at_named_addresses_only() {
    let (home, _running, client) = started();
    let listener = TcpListener::bind("127.77.1.2:8554").expect("a port");
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _ = connection.read(&mut [0; 1024]);
            let _ = connection.write_all(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nServer: Hipcam\r\n\r\n");
        }
    });
    let began = Instant::now();
    let found = client.json("/api/v1/discovery?addresses=127.77.1.0/28,127.77.2.0/25");
    assert!(began.elapsed() < s(15), "{:?}", began.elapsed());
    let open: Vec<_> =
        found["network"].as_array().expect("a list").iter().filter(|one| one["rtsp_port"] == 8554).collect();
    assert_eq!(open.len(), 1, "{found}");
    assert_eq!((open[0]["address"].as_str(), open[0]["model"].as_str()), (Some("127.77.1.2"), Some("Hipcam")));
    client.get("/api/v1/discovery?addresses=8.8.8.8").problem(400);
    client.get("/api/v1/discovery?addresses=10.0.0.0/8").problem(400);
    // The box itself is nobody's device.
    let own = json!({"address": format!("127.0.0.1:{}", home.ports.rtsp)});
    client.post("/api/v1/discovery/streams", &own).problem(400);
    let own = json!({"address": format!("http://127.0.0.1:{}/onvif/device_service", home.ports.http)});
    client.post("/api/v1/discovery/streams", &own).problem(400);
}

#[test]
fn the_box_is_nobodys_camera_at_any_port_that_is_tried_without_being_named() {
    let home = Home::new("");
    let plain = format!("127.0.0.1:{}", home.ports.plain);
    // A usual port of ONVIF, at an address where nothing else of the box is.
    home.write_config(&home.config_text().replace(&plain, "127.77.3.1:8899"));
    let running = home.boot();
    let client = running.paired();
    for (address, status) in [("127.77.3.1", 400), ("rtsp://127.77.3.1/live", 400), ("127.77.3.1:9", 200)] {
        let asked = client.post("/api/v1/discovery/streams", &json!({"address": address}));
        assert_eq!(asked.status, status, "{address}: {}", asked.text());
    }
}

#[test]
fn devices_that_want_to_do_harm_cost_a_sentence() {
    let (_home, running, client) = started();
    let camera = camera_at(&["/large", "/small"]);
    for answers in [Answers::Bomb, Answers::Deep, Answers::Huge, Answers::Junk, Answers::Elsewhere, Answers::Never] {
        let device = OnvifCamera::start(OnvifModel { answers, ..device_of(&camera) }).expect("starts");
        let began = Instant::now();
        let got = streams(&client, &json!({"address": device.url(), "username": "admin", "password": "pass"}));
        assert!(began.elapsed() < s(45), "{answers:?}: {:?}", began.elapsed());
        assert!(
            got["cameras"].as_array().is_some_and(Vec::is_empty) && !got["problem"].is_null(),
            "{answers:?}: {got}"
        );
    }
    let _bomb = OnvifCamera::start(OnvifModel { answers: Answers::Bomb, ..device_of(&camera) }).expect("starts");
    let good = OnvifCamera::start(device_of(&camera)).expect("starts");
    let found = client.json("/api/v1/discovery");
    assert!(
        found["network"].as_array().expect("a list").iter().any(|one| one["onvif"] == good.url().as_str()),
        "{found}"
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    let peak_kb: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak_kb < 400_000, "{peak_kb} kB");
}

#[test]
fn a_camera_that_is_switched_off_is_not_asked() {
    let (_home, _running, client) = started();
    let camera = camera_at(&["/stream1", "/stream2"]);
    let source = format!("rtsp://admin@127.0.0.1:{}/stream1", camera.port());
    client
        .post("/api/v1/cameras", &json!({"id": "yard", "name": "Yard", "source": source, "password": "pass"}))
        .expect(201);
    client.wait_for_camera("yard", "live", s(60));
    let off = json!({"on": true, "cameras": ["yard"]}).to_string();
    client.send("PUT", "/api/v1/privacy", &[("Content-Type", "application/json")], off.as_bytes()).expect(200);
    let before = camera.counts().requests;
    let address = format!("127.0.0.1:{}", camera.port());
    let body = json!({"address": address, "username": "admin", "password": "pass"});
    let refused = client.post("/api/v1/discovery/streams", &body).problem(503);
    assert!(refused["detail"].as_str().is_some_and(|said| said.contains("Yard is at this address")), "{refused}");
    client.json("/api/v1/discovery?addresses=127.0.0.1");
    assert_eq!(camera.counts().requests, before, "nobody asked it anything");
}
