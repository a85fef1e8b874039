//! Cutting a viewer off: what it loses, what it is told, by which ways it tries to come back, and who may do it.

use crate::support::*;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use perch_api::{AccessChange, ROUTES};
use perch_base::clock::ManualClock;
use perch_base::ids::DeviceId;
use perch_base::time::Timestamp;
use perch_domain::access::{Grant, Role, StreamPassword};
use perch_domain::media::Stream;
use perch_domain::ports::AccessPort;
use perch_domain::status::RtspReader;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// All routes that show a picture or play a sound, and how they are asked.
const PICTURES: [(&str, &str); 9] = [
    ("/api/v1/cameras/{camera}/snapshot.jpg", "/api/v1/cameras/front/snapshot.jpg"),
    ("/api/v1/cameras/{camera}/whep", "/api/v1/cameras/front/whep"),
    ("/api/v1/events/{event}/thumbnail.jpg", "/api/v1/events/7/thumbnail.jpg"),
    (
        "/api/v1/cameras/{camera}/playback.m3u8",
        "/api/v1/cameras/front/playback.m3u8?from=2026-05-01T12:00:00Z&to=2026-05-01T12:10:00Z",
    ),
    (
        "/api/v1/cameras/{camera}/export.mp4",
        "/api/v1/cameras/front/export.mp4?from=2026-05-01T12:00:00Z&to=2026-05-01T12:10:00Z",
    ),
    ("/api/v1/cameras/{camera}/segments/{file}", "/api/v1/cameras/front/segments/1.mp4"),
    ("/api/v1/cameras/{camera}/stream.mjpeg", "/api/v1/cameras/front/stream.mjpeg"),
    ("/api/v1/cameras/{camera}/live.m3u8", "/api/v1/cameras/front/live.m3u8"),
    ("/api/v1/cameras/{camera}/live/{view}/{file}", "/api/v1/cameras/front/live/main/1.mp4"),
];

async fn asks(rig: &Rig, path: &str, token: &str) -> http::Response<hyper::body::Incoming> {
    let auth = format!("Bearer {token}");
    let (method, body) = if path.ends_with("/whep") { ("POST", "v=0\r\n") } else { ("GET", "") };
    rig.open(request(method, path, &[("authorization", &auth), ("content-type", "application/sdp")], body)).await
}

async fn cut(rig: &Rig, method: Method, device: &DeviceId, token: &str) -> Answer {
    rig.call(method, &format!("/api/v1/devices/{device}/cut-off"), token, "").await
}

/// Whether both say the same, give or take the time between two readings of a clock.
fn same(a: &Value, b: &Value) -> bool {
    let at = |v: &Value| Timestamp::parse(v["until"].as_str().expect("a time")).expect("a time");
    a["by"] == b["by"] && at(a).micros_since(at(b)).abs() < 1_000_000
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_cut_off_sees_no_picture_by_any_route() {
    let rig = Rig::start().await;
    let shown: Vec<_> = ROUTES.iter().filter(|r| r.shows_pictures()).map(|r| r.path).collect();
    let mut expected: Vec<_> = PICTURES.iter().map(|(route, _)| *route).collect();
    let sorted = |mut all: Vec<&'static str>| {
        all.sort_unstable();
        all
    };
    assert_eq!(sorted(shown), sorted(std::mem::take(&mut expected)), "a new route shows pictures");

    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (eve, token) = rig.fake.device(Role::Viewer, Some("eve"));
    let (sister, other) = rig.fake.device(Role::Viewer, Some("eve"));
    let auth = format!("Bearer {token}");
    let mut news = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    assert!(news.frame().await.is_some());
    let mut download = asks(&rig, PICTURES[4].1, &token).await;
    assert_eq!(download.status(), 200);
    let lease = rig.fake.watches(eve, front());
    rig.fake.watches(sister, front());

    let said = cut(&rig, Method::PUT, &eve, &admin).await;
    assert_eq!((said.status.as_u16(), &said.json()["by"]), (200, &"anna".into()));
    // What is open ends; nobody else's does.
    assert!(tokio::time::timeout(Duration::from_secs(5), news.frame()).await.expect("within seconds").is_none());
    let mut broke = false;
    while let Some(frame) = download.frame().await {
        broke |= frame.is_err();
    }
    assert!(broke, "the download went on");
    assert_eq!(rig.fake.state().leases.values().map(|(_, d)| *d).collect::<Vec<_>>(), [sister]);
    assert_eq!(rig.fake.state().changes, [AccessChange::DeviceRevoked(eve)]);

    // It comes back by another lease, another route, the same page: it is told by whom and until when.
    for (_, path) in PICTURES {
        let answer = asks(&rig, path, &token).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        let body = answer.into_body().collect().await.expect("whole").to_bytes();
        let told: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(same(&told["cut_off"], &said.json()), "{path}: {told}");
        assert!(asks(&rig, path, &other).await.status().is_success(), "{path}: another device of the account");
        assert!(asks(&rig, path, &admin).await.status().is_success(), "{path}");
    }
    let leases = |device| rig.fake.state().leases.values().filter(|(_, d)| *d == device).count();
    assert_eq!(leases(eve), 0);
    rig.call(Method::POST, &format!("/api/v1/live/{lease}/keepalive"), &token, "").await.problem(404);
    // The page itself goes on, and says so.
    for path in ["/api/v1/me", "/api/v1/cameras", "/api/v1/status", "/api/v1/devices", "/api/v1/events"] {
        assert_eq!(rig.get(path, &token).await.status, 200, "{path}");
    }
    assert!(same(&rig.get("/api/v1/me", &token).await.json()["cut_off"], &said.json()));
    let devices = rig.get("/api/v1/devices", &admin).await.json();
    let listed = devices["devices"].as_array().expect("a list");
    let cut_off: Vec<_> = listed.iter().filter(|d| d.get("cut_off").is_some()).map(|d| d["id"].clone()).collect();
    assert_eq!(cut_off, [json!(eve)]);
    let live = rig.get("/api/v1/live", &admin).await.json();
    assert_eq!((&live["cut_off"][0]["device_id"], &live["cut_off"][0]["username"]), (&json!(eve), &json!("eve")));
    let live = rig.get("/api/v1/live", &token).await.json();
    assert!(live.get("cut_off").is_none() && live.get("readers").is_none(), "{live}");

    // Let in again.
    cut(&rig, Method::DELETE, &eve, &token).await.problem(403);
    assert_eq!(cut(&rig, Method::DELETE, &eve, &admin).await.status, 204);
    cut(&rig, Method::DELETE, &eve, &admin).await.problem(404);
    for (_, path) in PICTURES {
        assert!(asks(&rig, path, &token).await.status().is_success(), "{path}");
    }
    assert!(rig.get("/api/v1/me", &token).await.json().get("cut_off").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_over_after_ten_minutes_whatever_the_clock_shows() {
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::start_with(clock.clone()).await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (eve, token) = rig.fake.device(Role::Viewer, None);
    let said = cut(&rig, Method::PUT, &eve, &admin).await.json();
    assert!(said["until"].as_str().is_some_and(|t| t.starts_with("2026-05-01T12:10:00")), "{said}");
    let sees = async || asks(&rig, PICTURES[0].1, &token).await.status() == StatusCode::OK;
    assert!(!sees().await);
    clock.advance(Duration::from_secs(599));
    assert!(!sees().await);
    // Setting the clock lets nobody in, nor keeps anybody out.
    clock.set_utc(Timestamp::parse("2027-01-01T00:00:00Z").expect("a time"));
    assert!(!sees().await);
    clock.advance(Duration::from_secs(1));
    assert!(sees().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_again_is_no_way_back() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    for name in ["eve", "ben"] {
        rig.fake.add_user(name, PASSWORD, &Grant::all(Role::Viewer), None, now()).expect("made");
    }
    let sign_in = async |name: &str| -> (String, DeviceId) {
        let body = json!({ "username": name, "password": PASSWORD }).to_string();
        let cookie = rig.call(Method::POST, "/api/v1/session", "", &body).await.header("set-cookie").to_owned();
        let token = cookie.split(['=', ';']).nth(1).expect("a token").to_owned();
        let me = rig.get("/api/v1/me", &token).await.json();
        (token, DeviceId::parse(me["device_id"].as_str().expect("an id")).expect("an id"))
    };
    let (first, eve) = sign_in("eve").await;
    assert_eq!(cut(&rig, Method::PUT, &eve, &admin).await.status, 200);
    assert_eq!(rig.call(Method::DELETE, "/api/v1/session", &first, "").await.status, 204);
    let (again, eves) = sign_in("eve").await;
    assert_eq!(asks(&rig, PICTURES[1].1, &again).await.status(), StatusCode::FORBIDDEN);
    let (bens, _) = sign_in("ben").await;
    assert!(asks(&rig, PICTURES[1].1, &bens).await.status().is_success());
    assert_eq!(cut(&rig, Method::DELETE, &eves, &admin).await.status, 204);
    assert!(asks(&rig, PICTURES[1].1, &again).await.status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_to_watch_while_being_cut_off_sees_nothing() {
    let rig = Rig::start().await;
    let (eve, token) = rig.fake.device(Role::Viewer, None);
    rig.fake.state().cut_off_late = true;
    assert_eq!(asks(&rig, PICTURES[1].1, &token).await.status(), StatusCode::FORBIDDEN);
    assert!(!rig.fake.state().leases.values().any(|(_, d)| *d == eve), "the session that was made goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_manages_people_cuts_off_and_not_itself() {
    let rig = Rig::start().await;
    let (anna, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (eve, token) = rig.fake.device(Role::Viewer, Some("eve"));
    let (ben, _) = rig.fake.device(Role::Viewer, Some("ben"));
    for device in [anna, eve, ben, DeviceId::random()] {
        cut(&rig, Method::PUT, &device, &token).await.problem(403);
    }
    cut(&rig, Method::PUT, &anna, &admin).await.problem(400);
    cut(&rig, Method::PUT, &DeviceId::random(), &admin).await.problem(404);
    // The engine does not answer: it is an error, and nobody comes back meanwhile.
    rig.fake.watches(eve, front());
    rig.fake.state().live_gone = true;
    cut(&rig, Method::PUT, &eve, &admin).await.problem(503);
    rig.fake.state().live_gone = false;
    assert_eq!(asks(&rig, PICTURES[0].1, &token).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_stream_password_are_cut_off_by_its_name() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, Some("anna"));
    let (_, viewer) = rig.fake.device(Role::Viewer, None);
    let made = StreamPassword { name: "TV".into(), cameras: Default::default(), created_at: now() };
    rig.fake.state().stream_passwords.push(made);
    let reader = RtspReader {
        stream_password: "TV".into(),
        camera: front(),
        stream: Stream::Main,
        started_at: now(),
        remote: "192.0.2.7:4711".into(),
    };
    rig.fake.state().readers.push(reader);
    let at = async |method: Method, name: &str, token: &str| {
        rig.call(method, &format!("/api/v1/stream-passwords/{name}/cut-off"), token, "").await
    };
    at(Method::PUT, "TV", &viewer).await.problem(403);
    at(Method::PUT, "nvr", &admin).await.problem(404);
    assert_eq!(at(Method::PUT, "tv", &admin).await.json()["by"], "anna");
    assert_eq!(rig.fake.state().changes, [AccessChange::StreamPasswordsChanged]);
    assert!(rig.fake.cut_offs.lock().expect("no panic").of_reader("TV").is_some(), "as RTSP knows it");
    let live = rig.get("/api/v1/live", &admin).await.json();
    assert_eq!(
        (&live["cut_off"][0]["stream_password"], &live["readers"][0]["remote"]),
        (&json!("TV"), &json!("192.0.2.7:4711"))
    );
    assert!(rig.get("/api/v1/live", &viewer).await.json().get("readers").is_none());
    at(Method::DELETE, "TV", &viewer).await.problem(403);
    assert_eq!(at(Method::DELETE, "TV", &admin).await.status, 204);
    assert_eq!(rig.fake.state().changes.len(), 2, "RTSP is told");
    at(Method::DELETE, "TV", &admin).await.problem(404);
}
