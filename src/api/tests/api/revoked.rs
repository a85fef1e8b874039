//! Whoever loses the right to something between asking for it and its being done has not done it.

use crate::support::*;
use crate::table::fill;
use http::Method;
use perch_api::{ROUTES, Route};
use perch_base::ids::DeviceId;
use perch_domain::access::{Permission, Role};
use perch_domain::announcement::AnnouncementsPort;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The account and the stream password that the routes are about.
const NAME: &str = "nobody";

/// An hour of recordings, sent to a server.
const PUSH_RANGE: &str =
    r#"{"from":"2026-05-01T12:00:00Z","to":"2026-05-01T13:00:00Z","url":"rtmp://ghost/live/S3CRET"}"#;

/// A body that this route takes. A new route must be added here by hand.
fn body_of(route: &Route) -> &'static str {
    match (route.method.as_str(), route.path) {
        ("POST", "/api/v1/pairing-codes") => r#"{"role":"admin"}"#,
        ("POST", "/api/v1/users") => r#"{"name":"ghost","password":"ghost ghost ghost","role":"admin"}"#,
        ("POST", "/api/v1/cameras/probe") => r#"{"source":"test"}"#,
        ("POST", "/api/v1/sync/probe") => r#"{"name":"s3.example.org/copies"}"#,
        ("PUT", "/api/v1/privacy") => r#"{"on":true}"#,
        ("PUT", "/api/v1/profile") => r#"{"name":null}"#,
        ("POST", "/api/v1/discovery/streams") => r#"{"address":"192.0.2.1"}"#,
        ("PUT", "/api/v1/me/view") => r#"{"order":[],"favourites":[]}"#,
        ("PATCH", "/api/v1/devices/{device}") => r#"{"name":"ghost"}"#,
        ("PATCH", "/api/v1/users/{name}") => r#"{"role":"admin"}"#,
        ("PUT", "/api/v1/users/{name}/password") => r#"{"password":"ghost ghost ghost"}"#,
        ("POST", "/api/v1/stream-passwords") => r#"{"name":"ghost"}"#,
        ("POST", "/api/v1/cameras/{camera}/whep" | "/api/v1/cameras/{camera}/whip") => "v=0\r\n",
        ("POST", "/api/v1/cameras/{camera}/announce") => r#"{"name":"chime"}"#,
        ("POST", "/api/v1/cameras/{camera}/push-range") => PUSH_RANGE,
        ("POST", "/api/v1/announcements") => "RIFF",
        ("PATCH", "/api/v1/live/{lease}") => "a=candidate:restart\r\n",
        ("PUT", "/api/v1/live/{lease}/picture") => r#"{"on":false}"#,
        ("POST", "/api/v1/update/install") => "{}",
        ("POST", "/api/v1/cameras") => r#"{"id":"ghost","source":"test"}"#,
        ("PATCH", "/api/v1/cameras/{camera}") => r#"{"name":"ghost"}"#,
        ("POST", "/api/v1/backup") => r#"{"password":"ghost ghost ghost"}"#,
        ("POST", "/api/v1/backup/restore") => r#"{"password":"ghost","file":"c2VhbGVkIHdpdGggZ2hvc3Q="}"#,
        ("PATCH", "/api/v1/system") => r#"{"hostname":"ghost"}"#,
        ("PATCH", "/api/v1/settings") => r#"{"box":{"name":"ghost"}}"#,
        other => panic!("{other:?} takes a body: say which"),
    }
}

/// What its query must say.
fn needs(route: &Route) -> &'static str {
    if route.query.iter().any(|param| param.required) { "?name=ghost" } else { "" }
}

/// A box with an administrator, an account and a stream password.
async fn rig() -> Rig {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let body = format!(r#"{{"name":"{NAME}","password":"{PASSWORD}","role":"viewer"}}"#);
    assert_eq!(rig.call(Method::POST, "/api/v1/users", &admin, &body).await.status, 201);
    let body = format!(r#"{{"name":"{NAME}"}}"#);
    assert_eq!(rig.call(Method::POST, "/api/v1/stream-passwords", &admin, &body).await.status, 201);
    rig
}

/// Everything that these routes change.
fn done(rig: &Rig) -> String {
    let s = rig.fake.state();
    let (installed, made) = (rig.fake.update.installed(), (rig.fake.settings.made(), rig.fake.system.asked()));
    let (leases, kept) = ((&s.leases, &s.sound_only), rig.fake.announcements.list());
    let kept = (kept, rig.fake.range_pushes.under_way());
    let parts = (&s.users, &s.stream_passwords, &s.codes, leases, installed, made, kept);
    format!("{parts:?}")
}

/// Asks with all of the body but its end.
async fn start(rig: &Rig, route: &Route, path: &str, token: &str) -> TlsStream<TcpStream> {
    let (method, body) = (&route.method, body_of(route));
    let media_type = route.takes.read_at_once().expect("it takes a body");
    let mut stream = rig.connect().await;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: {media_type}\r\n\
        If-Match: *\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        &body[..1]
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    stream
}

/// The status of the answer.
async fn status(stream: &mut TlsStream<TcpStream>) -> u16 {
    let mut answer = Vec::new();
    while !answer.windows(2).any(|end| end == b"\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0, "no answer");
    }
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status")
}

/// Until the device was let in.
async fn is_asked(rig: &Rig, device: DeviceId) {
    let asked = async {
        while !rig.fake.state().asked.contains_key(&device) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asked).await.expect("the gate asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_after_the_revocation_does_nothing() {
    let rig = rig().await;
    let routes: Vec<_> =
        ROUTES.iter().filter(|r| r.permission != Permission::Public && r.takes.read_at_once().is_some()).collect();
    let mut open = Vec::new();
    for route in &routes {
        let (device, token) = rig.fake.device(Role::Admin, None);
        let lease = rig.fake.watches(device, front()).to_string();
        let path = fill(&route.path.replace("{lease}", &lease).replace("{device}", &device.to_string())) + needs(route);
        let stream = start(&rig, route, &path, &token).await;
        is_asked(&rig, device).await;
        open.push((route, path, device, stream));
    }
    open.iter().for_each(|(_, _, device, _)| rig.fake.state().revoke(*device));
    let before = done(&rig);
    for (route, path, _, stream) in &mut open {
        stream.write_all(&body_of(route).as_bytes()[1..]).await.expect("sent");
        assert_eq!(status(stream).await, 401, "{} {path}", route.method);
    }
    assert_eq!(done(&rig), before);
    // The same requests of somebody who stays do something.
    for route in &routes {
        let (device, token) = rig.fake.device(Role::Admin, None);
        let lease = rig.fake.watches(device, front()).to_string();
        let path = fill(&route.path.replace("{lease}", &lease).replace("{device}", &device.to_string())) + needs(route);
        let mut stream = start(&rig, route, &path, &token).await;
        stream.write_all(&body_of(route).as_bytes()[1..]).await.expect("sent");
        let got = status(&mut stream).await;
        assert!((200..300).contains(&got), "{} {path}: {got}", route.method);
    }
    assert_ne!(done(&rig), before);
    println!("{} of {} routes read a body behind a credential: all refused, nothing done", routes.len(), ROUTES.len());
    assert!(routes.len() >= 8, "{} routes", routes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_come_in_is_changed_only_by_who_may_when_it_is_written() {
    let rig = rig().await;
    // The password of one's own, too: the hash takes its time.
    let own = format!(r#"{{"password":"ghost ghost ghost","current_password":"{PASSWORD}"}}"#);
    let (victim, _) = rig.fake.device(Role::Viewer, None);
    // Nothing is written of who is cut off: that has tests of its own.
    let changes = ROUTES.iter().filter(|r| !r.path.ends_with("/cut-off")).filter(|r| {
        r.method != Method::GET && (r.permission == Permission::ManagePeople || r.path.starts_with("/api/v1/users"))
    });
    let mut asked: Vec<_> = changes
        .map(|route| {
            let body = if route.takes.read_at_once().is_some() { body_of(route) } else { "" };
            (route.method.clone(), fill(route.path), rig.fake.device(Role::Admin, None), body)
        })
        .collect();
    asked.push((Method::DELETE, format!("/api/v1/devices/{victim}"), rig.fake.device(Role::Admin, None), ""));
    let path = format!("/api/v1/users/{NAME}/password");
    asked.push((Method::PUT, path, rig.fake.device(Role::Viewer, Some(NAME)), &own));
    let before = done(&rig);
    rig.fake.state().revoke_late = true;
    for (method, path, (_, token), body) in &asked {
        rig.call(method.clone(), path, token, body).await.problem(401);
    }
    rig.fake.state().revoke_late = false;
    assert_eq!(done(&rig), before);
    assert!(rig.fake.state().devices.iter().any(|(d, _)| d.id == victim), "the other device stays");
    println!("{} changes by somebody who was revoked before the write: nothing done", asked.len());
    assert!(asked.len() >= 9, "{} changes", asked.len());
}

/// What is waited for on the way: a turn to make a still, or to hash a password. The gate let the device in, before a body and after it.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_revoked_while_it_waits_for_its_turn_gets_nothing() {
    let rig = rig().await;
    let own = format!(r#"{{"password":"ghost ghost ghost","current_password":"{PASSWORD}"}}"#);
    let path = format!("/api/v1/users/{NAME}/password");
    let (victim, _) = rig.fake.device(Role::Viewer, None);
    let cut_off = format!("/api/v1/devices/{victim}/cut-off");
    let before = (done(&rig), rig.fake.state().checked);
    for (method, path, username, body, let_in) in [
        (Method::GET, "/api/v1/cameras/front/snapshot.jpg", None, "", 1),
        (Method::PUT, &*path, Some(NAME), &*own, 2),
        (Method::PUT, &*cut_off, None, "", 1),
        (Method::POST, "/api/v1/users", None, r#"{"name":"ghost","password":"ghost ghost ghost","role":"admin"}"#, 2),
    ] {
        let (device, token) = rig.fake.device(Role::Admin, username);
        rig.fake.state().revoke_after = Some((device, let_in));
        rig.call(method, path, &token, body).await.problem(401);
        assert_eq!(rig.fake.state().asked[&device], let_in, "{path}");
    }
    assert_eq!((done(&rig), rig.fake.state().checked), before, "no password was even compared");
    assert!(rig.fake.state().ended.is_empty(), "nobody was cut off");
}
