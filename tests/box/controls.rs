//! The picture settings of a camera itself, over ONVIF: listed, set while it runs and again when it begins anew, refused, and forgotten.

use crate::support::client::Client;
use crate::support::home::Home;
use crate::support::{s, wait_until};
use perch_test_cameras::onvif::{FakeImaging, OnvifCamera, OnvifModel, OnvifStream};
use perch_test_cameras::{Camera, find};
use serde_json::{Value, json};
use std::sync::Arc;

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn change(client: &Client, body: &Value) -> crate::support::client::Answer {
    client.send("PATCH", "/api/v1/cameras/yard", &[JSON], body.to_string().as_bytes())
}

fn control<'v>(found: &'v Value, name: &str) -> &'v Value {
    let all = found["controls"].as_array().expect("a list");
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {found}"))
}

fn notes(client: &Client) -> String {
    client.camera("yard")["health"]["notes"].to_string()
}

#[test]
fn a_network_cameras_own_settings_are_listed_set_and_set_again() {
    let home = Home::new("");
    let running = home.boot();
    let client = running.paired();
    let camera =
        Camera::of((find("md5").expect("a case").model)().unwrap_or_else(|e| panic!("{e:?}")), 0).expect("starts");
    let source = format!("rtsp://admin@127.0.0.1:{}/live", camera.port());
    let stream = OnvifStream { sight: "v0", encoding: "H264", size: (640, 360), address: source.replace("admin@", "") };
    let imaging = Arc::new(FakeImaging::default());
    let device = OnvifCamera::start(OnvifModel { imaging: Some(imaging.clone()), ..OnvifModel::new(vec![stream]) })
        .expect("starts");

    let body = json!({"id": "yard", "source": source, "password": "pass", "onvif": device.url()});
    client.post("/api/v1/cameras", &body).expect(201);
    client.wait_for_camera("yard", "live", s(60));
    assert_eq!(imaging.sets(), 0, "nothing is wanted");
    let found = client.json("/api/v1/cameras/yard/controls");
    assert_eq!(found["problem"], Value::Null, "{found}");
    let brightness = control(&found, "brightness");
    assert_eq!(
        (brightness["kind"].as_str(), brightness["value"].as_f64()),
        (Some("range"), Some(50.0)),
        "{brightness}"
    );
    assert_eq!(control(&found, "gain")["is_active"], false, "it exposes by itself: {found}");
    assert_eq!(control(&found, "infrared_cut")["group"], "infrared");

    let sessions = camera.counts().requests.get("DESCRIBE").copied();
    change(
        &client,
        &json!({"controls": {"brightness": 70, "infrared_cut": "off", "exposure_auto": false, "gain": 12}}),
    )
    .expect(200);
    wait_until("the settings are set", s(20), || (imaging.value("Gain") == "12").then_some(()));
    let is = ["Brightness", "IrCutFilter", "Mode"].map(|name| imaging.value(name));
    assert_eq!(is, ["70", "OFF", "MANUAL"]);
    assert_eq!(camera.counts().requests.get("DESCRIBE").copied(), sessions, "the session goes on");
    let text = home.config_text();
    assert!(text.contains("controls = { ") && text.contains("infrared_cut = \"off\""), "{text}");

    // It lost its settings; the box begins anew with it.
    imaging.forget();
    change(&client, &json!({"transport": "tcp"})).expect(200);
    wait_until("the settings are set again", s(40), || (imaging.value("Gain") == "12").then_some(()));

    change(&client, &json!({"controls": {"brightness": 700, "sharpness": 3}})).expect(200);
    wait_until("it is said", s(20), || {
        let said = notes(&client);
        (said.contains("Brightness of this camera goes from 0 to 100") && said.contains("no sharpness")).then_some(())
    });
    let found = client.json("/api/v1/cameras/yard/controls");
    assert!(found["problem"].as_str().is_some_and(|said| said.contains("0 to 100")), "{found}");
    let refused = change(&client, &json!({"controls": {"brigthness": 7}})).problem(400);
    assert!(refused.to_string().contains("is no picture setting: there are infrared_cut"), "{refused}");

    change(&client, &json!({"controls": null})).expect(200);
    wait_until("nothing is said any more", s(20), || (!notes(&client).contains("picture settings")).then_some(()));
    assert!(!home.config_text().contains("controls"), "{}", home.config_text());

    let off = json!({"on": true, "cameras": ["yard"]});
    client.send("PUT", "/api/v1/privacy", &[JSON], off.to_string().as_bytes()).expect(200);
    drop(device);
    let found = client.json("/api/v1/cameras/yard/controls");
    assert!(found["problem"].as_str().is_some_and(|said| said.contains("switched off")), "{found}");
    assert!(!running.log().contains(":pass@"));
}
