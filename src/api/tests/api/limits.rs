//! What limits a grant beside its cameras: until when it holds, and whether what is recorded is open; and the names of devices.

use crate::support::*;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use perch_api::ROUTES;
use perch_base::clock::ManualClock;
use perch_domain::access::{Grant, GrantLimits, Permission, Role};
use perch_domain::health::CameraHealth;
use perch_domain::ports::AccessPort;
use perch_domain::status::Notice;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn live_only() -> Grant {
    Grant::all(Role::Viewer).within(GrantLimits { expires_at: None, live_only: true }).expect("a viewer's")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_live_pictures_only_finds_nothing_recorded() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device_with(&live_only(), None);
    let (_, all) = rig.fake.device(Role::Viewer, None);
    let auth = format!("Bearer {token}");
    let mut closed = 0;
    for route in ROUTES.iter().filter(|r| r.permission == Permission::LookBack) {
        let path = crate::table::fill(route.path);
        let answer = rig.send(request(route.method.as_str(), &path, &[("authorization", &auth)], "")).await;
        let told = answer.problem(403);
        assert!(told["detail"].as_str().is_some_and(|d| d.contains("live pictures only")), "{path}: {told}");
        closed += 1;
    }
    assert!(closed >= 7, "{closed}");
    // A still of before is a look back as well.
    rig.get("/api/v1/cameras/front/snapshot.jpg?at=2026-05-01T12:00:00Z", &token).await.problem(403);
    for path in ["/api/v1/cameras/front/snapshot.jpg", "/api/v1/cameras", "/api/v1/status"] {
        assert_eq!(rig.get(path, &token).await.status, 200, "{path}");
    }
    let whep = [("authorization", auth.as_str()), ("content-type", "application/sdp")];
    assert_eq!(rig.send(request("POST", "/api/v1/cameras/front/whep", &whep, "v=0\r\n")).await.status, 201);
    let may = rig.get("/api/v1/me", &token).await.json()["permissions"].clone();
    assert!(!may.as_array().expect("a list").contains(&json!("look_back")), "{may}");

    // News of cameras, and none of events.
    let mut stream = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    let mut next = async || stream.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert!(next().await.starts_with(b"retry:"));
    rig.notices.send(Arc::new(Notice::Event { event: event() })).expect("a listener");
    let health = CameraHealth::starting(now());
    rig.notices.send(Arc::new(Notice::Health { camera: front(), health })).expect("a listener");
    let first = String::from_utf8(next().await.to_vec()).expect("text");
    assert!(first.starts_with("event: health"), "{first}");
    assert_eq!(rig.get("/api/v1/events", &all).await.status, 200, "others look back");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_given_shown_and_checked() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let post = async |path: &str, mut body: Value| {
        if path.ends_with("codes") {
            body.as_object_mut().expect("an object").retain(|key, _| key != "name" && key != "password");
        }
        rig.call(Method::POST, path, &admin, &body.to_string()).await
    };
    let with =
        |key: &str, value: Value, role: &str| json!({ "name": "x", "password": PASSWORD, "role": role, key: value });
    for path in ["/api/v1/pairing-codes", "/api/v1/users"] {
        for (key, bad) in [
            ("expires_at", json!("2020-01-01T00:00:00Z")),
            ("expires_at", json!("tomorrow")),
            ("expires_at", json!(7)),
            ("live_only", json!("yes")),
            ("until", json!("2099-01-01T00:00:00Z")),
        ] {
            post(path, with(key, bad, "viewer")).await.problem(400);
        }
        for (key, value) in [("expires_at", json!("2099-01-01T00:00:00Z")), ("live_only", json!(true))] {
            let told = post(path, with(key, value, "admin")).await.problem(400);
            assert!(
                told["detail"].as_str().is_some_and(|d| d.contains("an administrator has no such limit")),
                "{told}"
            );
        }
    }
    assert!(rig.fake.state().users.is_empty() && rig.fake.state().codes.is_empty());

    let end = "2099-01-01T00:00:00Z";
    let code = json!({ "role": "viewer", "cameras": ["yard"], "expires_at": end, "live_only": true });
    assert_eq!(post("/api/v1/pairing-codes", code).await.status, 201);
    let paired = rig.call(Method::POST, "/api/v1/pair", "", r#"{"otp":"12345678","device_name":"tablet"}"#).await;
    let token = paired.json()["token"].as_str().expect("a token").to_owned();
    let shown = |v: &Value| v["expires_at"].as_str().is_some_and(|t| t.starts_with("2099-01-01T00:00:00"));
    assert!(shown(&rig.get("/api/v1/me", &token).await.json()));
    let devices = rig.get("/api/v1/devices", &admin).await.json();
    let limited = devices["devices"].as_array().expect("a list").iter().filter(|d| shown(d) && d["live_only"] == true);
    assert_eq!(limited.count(), 1, "{devices}");

    let made =
        post("/api/v1/users", json!({ "name": "ida", "password": PASSWORD, "role": "viewer", "expires_at": end }))
            .await;
    assert!(made.status == 201 && shown(&made.json()) && made.json().get("live_only").is_none());
    let change = async |body: Value| rig.call(Method::PATCH, "/api/v1/users/ida", &admin, &body.to_string()).await;
    assert!(shown(&change(json!({ "live_only": true })).await.json()), "what is not named stays");
    let without = change(json!({ "expires_at": null })).await.json();
    assert!(without.get("expires_at").is_none() && without["live_only"] == true, "{without}");
    change(json!({ "expires_at": "2020-01-01T00:00:00Z" })).await.problem(400);
    change(json!({ "role": "admin", "live_only": true })).await.problem(400);
    let whole = change(json!({ "role": "admin" })).await.json();
    assert!(whole.get("live_only").is_none() && whole["role"] == "admin", "{whole}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_viewer_does_not_widen_itself() {
    let rig = Rig::start().await;
    rig.fake.device(Role::Admin, None);
    rig.fake.add_user("ida", PASSWORD, &live_only(), None, now()).expect("made");
    let (own, token) = rig.fake.device_with(&live_only(), Some("ida"));
    let before = format!("{:?}", rig.fake.state().users);
    for (method, path, body) in [
        (Method::PATCH, "/api/v1/users/ida", json!({ "live_only": false })),
        (Method::PATCH, "/api/v1/users/ida", json!({ "role": "admin" })),
        (Method::PATCH, "/api/v1/users/IDA", json!({ "expires_at": null, "cameras": null })),
        (Method::POST, "/api/v1/users", json!({ "name": "ida2", "password": PASSWORD, "role": "viewer" })),
        (Method::POST, "/api/v1/pairing-codes", json!({ "role": "viewer" })),
        (Method::POST, "/api/v1/stream-passwords", json!({ "name": "tv" })),
    ] {
        rig.call(method, path, &token, &body.to_string()).await.problem(403);
    }
    // Of its own device it gives the name, and nothing else.
    let path = format!("/api/v1/devices/{own}");
    for body in [
        json!({ "name": "x", "live_only": false }),
        json!({ "name": "x", "role": "admin" }),
        json!({ "cameras": null }),
    ] {
        rig.call(Method::PATCH, &path, &token, &body.to_string()).await.problem(400);
    }
    assert_eq!(format!("{:?}", rig.fake.state().users), before);
    assert!(rig.fake.state().devices.iter().all(|(d, _)| d.name == "phone"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_ends_with_the_time_of_a_grant() {
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::start_with(clock.clone()).await;
    let ends = GrantLimits { expires_at: Some(now() + Duration::from_secs(60)), live_only: false };
    let (_, token) = rig.fake.device_with(&Grant::all(Role::Viewer).within(ends).expect("a viewer's"), None);
    let auth = format!("Bearer {token}");
    let mut news = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    assert!(news.frame().await.is_some());
    clock.advance(Duration::from_secs(59));
    assert!(news.frame().await.is_some_and(|f| f.is_ok()), "it goes on");
    clock.advance(Duration::from_secs(16));
    let end = tokio::time::timeout(Duration::from_secs(5), news.frame())
        .await
        .expect("looked at within 15 s of the box's time");
    assert!(end.is_none(), "the news went on");
    rig.get("/api/v1/me", &token).await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_renamed_by_their_owners_and_by_who_manages_people() {
    let rig = Rig::start().await;
    let (anna, token) = rig.fake.device(Role::Viewer, Some("anna"));
    let (annas, _) = rig.fake.device(Role::Viewer, Some("anna"));
    let (bens, _) = rig.fake.device(Role::Viewer, Some("ben"));
    let (lone, lones) = rig.fake.device(Role::Viewer, None);
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let name = async |id: &str, token: &str, body: Value| {
        rig.call(Method::PATCH, &format!("/api/v1/devices/{id}"), token, &body.to_string()).await
    };
    let called = |id| rig.fake.state().devices.iter().find(|(d, _)| d.id == id).map(|(d, _)| d.name.clone());
    let renamed = name(&anna.to_string(), &token, json!({ "name": " Kitchen\u{202e}\n tablet " })).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["name"]), (200, &json!("Kitchen tablet")));
    assert_eq!(renamed.json()["current"], true);
    assert_eq!(name(&annas.to_string(), &token, json!({ "name": "Laptop" })).await.status, StatusCode::OK);
    assert_eq!(name(&lone.to_string(), &lones, json!({ "name": "TV" })).await.status, StatusCode::OK);
    let (theirs, none) = (
        name(&bens.to_string(), &token, json!({ "name": "mine" })).await,
        name(&"0".repeat(32), &token, json!({ "name": "mine" })).await,
    );
    theirs.problem(403);
    assert_eq!(theirs.body, none.body, "whether a device exists is not revealed");
    name(&anna.to_string(), &lones, json!({ "name": "mine" })).await.problem(403);
    assert_eq!(called(bens).as_deref(), Some("phone"));
    assert_eq!(name(&bens.to_string(), &admin, json!({ "name": "Ben's" })).await.json()["name"], "Ben's");
    name(&"0".repeat(32), &admin, json!({ "name": "x" })).await.problem(404);
    for bad in [json!({ "name": "" }), json!({ "name": " \u{200b}\n" }), json!({}), json!({ "name": 7 })] {
        name(&anna.to_string(), &token, bad).await.problem(400);
    }
    let long = name(&anna.to_string(), &token, json!({ "name": "x".repeat(500) })).await.json();
    assert_eq!(long["name"].as_str().map(str::len), Some(64));
    // Revoked while it asks: nothing is changed.
    rig.fake.state().revoke_late = true;
    name(&annas.to_string(), &token, json!({ "name": "late" })).await.problem(401);
    assert_eq!(called(annas).as_deref(), Some("Laptop"));
}
