//! Viewers of some cameras: what they find and what not, how they are made, and what ends when they may see less.

use crate::support::*;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use perch_api::{AccessChange, ROUTES, Route};
use perch_base::ids::CameraId;
use perch_domain::access::{Grant, Permission, Role};
use perch_domain::health::CameraHealth;
use perch_domain::ports::AccessPort;
use perch_domain::status::Notice;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// What stands for the parts of a path: camera, event, file and lease.
struct Parts<'a> {
    camera: &'a str,
    event: &'a str,
    file: &'a str,
    lease: String,
}

impl Parts<'_> {
    fn fill(&self, path: &str) -> String {
        let parts = [
            ("{view}", "main"),
            ("{camera}", self.camera),
            ("{event}", self.event),
            ("{push}", "1"),
            ("{file}", self.file),
            ("{lease}", &self.lease),
        ];
        parts.iter().fold(path.to_owned(), |p, (part, value)| p.replace(part, value))
    }
}

/// The queries with which a route is asked, each once.
fn queries(path: &str) -> Vec<&'static str> {
    let range = "?from=2026-05-01T12:00:00Z&to=2026-05-01T12:10:00Z";
    match path.rsplit('/').next().unwrap_or_default() {
        "timeline" | "copies" | "playback.m3u8" | "export.mp4" => vec![range, "", "?from=x"],
        "snapshot.jpg" => vec!["", "?at=2026-05-01T12:00:00Z", "?width=1"],
        "whep" => vec!["", "?stream=main", "?stream=sub", "?stream=huge"],
        _ => vec![""],
    }
}

/// Ten minutes of recordings, sent to a server.
const PUSH_RANGE: &str =
    r#"{"from":"2026-05-01T12:00:00Z","to":"2026-05-01T12:10:00Z","url":"rtmp://nobody/live/key"}"#;

/// What kind of body the route of a path takes, and one that it takes.
fn body_for(path: &str) -> (&'static str, &'static str) {
    let path = path.split('?').next().unwrap_or_default();
    match path.rsplit('/').next().unwrap_or_default() {
        "whep" => ("application/sdp", "v=0\r\n"),
        "push-range" => ("application/json", PUSH_RANGE),
        "picture" => ("application/json", "{\"on\": true}"),
        _ if path.starts_with("/api/v1/live/") => ("application/trickle-ice-sdpfrag", "a=candidate"),
        _ => ("application/json", "{}"),
    }
}

/// Asks a route as it wants to be asked; HEAD too where it is a GET.
async fn ask(rig: &Rig, route: &Route, path: &str, token: &str) -> Vec<Answer> {
    let auth = format!("Bearer {token}");
    let (kind, body) = body_for(path);
    let is_get = route.method == Method::GET;
    let headers = [("authorization", auth.as_str()), ("content-type", kind)];
    let mut answers =
        vec![rig.send(request(route.method.as_str(), path, &headers, if is_get { "" } else { body })).await];
    if is_get {
        answers.push(rig.send(request("HEAD", path, &headers, "")).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_granted_is_answered_like_what_does_not_exist() {
    let rig = Rig::start().await;
    let (own, token) = rig.fake.device_with(&only(&[yard()]), Some("anna"));
    let (other, _) = rig.fake.device(Role::Viewer, None);
    // Another device of the same account has live sessions of its own.
    let (sister, _) = rig.fake.device_with(&only(&[yard()]), Some("anna"));
    let hex = "0123456789abcdef0123456789abcdef".to_owned();
    let of_front = rig.fake.watches(other, front()).to_string();
    let of_sister = rig.fake.watches(sister, yard()).to_string();
    let hidden = [
        Parts { camera: "front", event: "7", file: "1.mp4", lease: of_front },
        Parts { camera: "front", event: "7", file: "2.mp4", lease: of_sister },
    ];
    let none = Parts { camera: "attic", event: "99", file: "9.mp4", lease: hex };
    let mut asked = 0;
    for route in ROUTES.iter().filter(|r| ["{camera}", "{event}", "{lease}"].iter().any(|p| r.path.contains(p))) {
        for query in queries(route.path) {
            let nothing = ask(&rig, route, &format!("{}{query}", none.fill(route.path)), &token).await;
            for parts in &hidden {
                let path = format!("{}{query}", parts.fill(route.path));
                let answers = ask(&rig, route, &path, &token).await;
                for (answer, nothing) in answers.iter().zip(&nothing) {
                    let want = if Role::Viewer.holds(route.permission) { 404 } else { 403 };
                    assert_eq!(answer.status.as_u16(), want, "{} {path}: {:?}", route.method, answer.body);
                    assert_eq!(
                        (answer.status, &answer.body),
                        (nothing.status, &nothing.body),
                        "{} {path}",
                        route.method
                    );
                    let names = |a: &Answer| a.headers.keys().map(|k| k.as_str().to_owned()).collect::<Vec<_>>();
                    assert_eq!(names(answer), names(nothing), "{} {path}", route.method);
                    asked += 2;
                }
            }
        }
        // Its own is there.
        let lease = rig.fake.watches(own, yard()).to_string();
        let yards = Parts { camera: "yard", event: "8", file: "2.mp4", lease };
        if Role::Viewer.holds(route.permission) {
            let path = format!("{}{}", yards.fill(route.path), queries(route.path)[0]);
            let (kind, body) = body_for(&path);
            let headers = [("authorization", &*format!("Bearer {token}")), ("content-type", kind)];
            let answer = rig.open(request(route.method.as_str(), &path, &headers, body));
            let status = answer.await.status();
            assert!(status.is_success(), "{} {path}: {status}", route.method);
            asked += 1;
        }
    }
    // A file of one camera is not reached by the path of another.
    rig.get("/api/v1/cameras/yard/segments/1.mp4", &token).await.problem(404);
    assert_eq!(rig.fake.state().leases.values().filter(|(c, _)| *c == front()).count(), 1, "nobody ended or made one");
    eprintln!("{asked} requests for objects of other cameras and for their own");
    assert!(asked > 120, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_hold_what_is_granted() {
    let rig = Rig::start().await;
    let (own, token) = rig.fake.device_with(&only(&[yard()]), None);
    let (other, all) = rig.fake.device(Role::Viewer, None);
    rig.fake.watches(other, front());
    rig.fake.watches(own, yard());
    // Everything that a viewer may read and that is about no single thing; the news have no end, and a test of their own,
    // and a certificate is no text.
    let is_list = |r: &&Route| {
        r.method == Method::GET && r.gives.status == 200 && !r.path.contains('{') && Role::Viewer.holds(r.permission)
    };
    let lists =
        ROUTES.iter().filter(is_list).map(|r| r.path).filter(|p| !p.ends_with("/stream") && !p.ends_with(".pem"));
    let lists: Vec<_> = lists.collect();
    assert!(lists.len() > 10, "{lists:?}");
    for path in lists {
        let (limited, whole) = (rig.get(path, &token).await, rig.get(path, &all).await);
        assert_eq!((limited.status, whole.status), (StatusCode::OK, StatusCode::OK), "{path}");
        let text = |a: &Answer| String::from_utf8_lossy(&a.body).to_lowercase();
        assert!(!text(&limited).contains("front"), "{path}: {}", text(&limited));
        let lists_cameras = ["/api/v1/cameras", "/api/v1/status", "/metrics", "/api/v1/events"].contains(&path);
        if lists_cameras {
            assert!(text(&limited).contains("yard"), "{path}: {}", text(&limited));
            assert!(text(&whole).contains("yard") && text(&whole).contains("front"), "{path}");
        }
    }
    assert_eq!(rig.get("/api/v1/me", &token).await.json()["cameras"], json!(["yard"]));
    assert_eq!(rig.get("/api/v1/me", &all).await.json().get("cameras"), None, "absent is all");
    let status = rig.get("/api/v1/status", &token).await.json();
    assert_eq!(
        (status["cameras"].as_array().map(Vec::len), status["tasks"].as_array().map(Vec::len)),
        (Some(1), Some(1))
    );
    // FloorAnswer for by name, another camera has as many events as one that does not exist.
    let (hidden, none) =
        (rig.get("/api/v1/events?camera=front", &token).await, rig.get("/api/v1/events?camera=attic", &token).await);
    assert_eq!((hidden.status.as_u16(), &hidden.body), (200, &none.body));
    let (_, nobody) = rig.fake.device_with(&only(&[]), None);
    assert_eq!(rig.get("/api/v1/cameras", &nobody).await.json(), json!({ "cameras": [] }));
    assert_eq!(rig.get("/api/v1/events", &nobody).await.json()["events"], json!([]));
}

fn health(camera: CameraId) -> Arc<Notice> {
    Arc::new(Notice::Health { camera, health: CameraHealth::starting(now()) })
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_other_cameras_leave_no_trace() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device_with(&only(&[yard()]), None);
    let auth = format!("Bearer {token}");
    let mut stream = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    let mut next = async || stream.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert!(next().await.starts_with(b"retry:"));
    use perch_domain::status::{RecordingState, RecordingStatus};
    let recording = RecordingStatus::new(RecordingState::Waiting, "");
    for hidden in [
        health(front()),
        Arc::new(Notice::Event { event: event() }),
        Arc::new(Notice::Recording { camera: front(), recording }),
    ] {
        rig.notices.send(hidden).expect("a listener");
    }
    for shown in [health(yard()), Arc::new(Notice::Event { event: other_event() })] {
        rig.notices.send(shown).expect("a listener");
        let text = String::from_utf8(next().await.to_vec()).expect("text");
        assert!(text.contains("\"yard\"") && !text.contains("front"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_are_given_shown_and_checked() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    // One body for several routes: each takes the fields that it knows.
    let post = async |path: &str, mut body: Value| {
        let fields: &[&str] = match path {
            "/api/v1/pairing-codes" => &["role", "cameras"],
            "/api/v1/users" => &["name", "password", "role", "cameras"],
            _ => &["name", "cameras"],
        };
        body.as_object_mut().expect("an object").retain(|name, _| fields.contains(&name.as_str()));
        rig.call(Method::POST, path, &admin, &body.to_string()).await
    };
    let paths = ["/api/v1/pairing-codes", "/api/v1/users", "/api/v1/stream-passwords"];
    for path in paths {
        let body =
            |role: &str, cameras: Value| json!({ "name": "x", "password": PASSWORD, "role": role, "cameras": cameras });
        for bad in
            [json!([]), json!(["attic"]), json!(["yard", "../front"]), json!(["YARD"]), json!("yard"), json!([1])]
        {
            post(path, body("viewer", bad)).await.problem(400);
        }
        let unknown = post(path, body("viewer", json!(["attic"]))).await.problem(400);
        assert_eq!(unknown["detail"], "Cameras: there is no camera \"attic\"; there are: front, yard.");
    }
    for path in &paths[..2] {
        let limited =
            post(path, json!({ "name": "x", "password": PASSWORD, "role": "admin", "cameras": ["yard"] })).await;
        assert!(limited.problem(400)["detail"].as_str().is_some_and(|d| d.contains("always has all cameras")));
    }
    assert!(rig.fake.state().users.is_empty() && rig.fake.state().stream_passwords.is_empty());

    assert_eq!(post(paths[0], json!({ "role": "viewer", "cameras": ["yard"] })).await.status, 201);
    let paired = rig.call(Method::POST, "/api/v1/pair", "", r#"{"otp":"12345678","device_name":"tablet"}"#).await;
    let token = paired.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(rig.get("/api/v1/me", &token).await.json()["cameras"], json!(["yard"]));

    let made =
        post(paths[1], json!({ "name": "anna", "password": PASSWORD, "role": "viewer", "cameras": ["yard"] })).await;
    assert_eq!((made.status.as_u16(), &made.json()["cameras"]), (201, &json!(["yard"])));
    assert_eq!(post(paths[1], json!({ "name": "ben", "password": PASSWORD, "role": "viewer" })).await.status, 201);
    let users = rig.get("/api/v1/users", &admin).await.json();
    assert_eq!((&users["users"][0]["cameras"], users["users"][1].get("cameras")), (&json!(["yard"]), None));

    let made = post(paths[2], json!({ "name": "nvr", "cameras": ["yard"] })).await.json();
    assert_eq!((&made["cameras"], made["urls"].as_array().map(Vec::len)), (&json!(["yard"]), Some(1)));
    assert!(made["urls"][0]["main"].as_str().is_some_and(|url| url.ends_with("/yard")));
    assert_eq!(
        rig.get("/api/v1/stream-passwords", &admin).await.json()["stream_passwords"][0]["cameras"],
        json!(["yard"])
    );
    let devices = rig.get("/api/v1/devices", &admin).await.json();
    let limited = devices["devices"].as_array().expect("a list").iter().filter(|d| d["cameras"] == json!(["yard"]));
    assert_eq!(limited.count(), 1);
}

/// An account with a device that reads news, downloads and watches.
struct Open {
    token: String,
    device: perch_base::ids::DeviceId,
    news: http::Response<hyper::body::Incoming>,
    download: http::Response<hyper::body::Incoming>,
}

async fn open(rig: &Rig, role: Role) -> Open {
    rig.fake.add_user("anna", PASSWORD, &Grant::all(role), None, now()).expect("made");
    let (device, token) = rig.fake.device(role, Some("anna"));
    let auth = format!("Bearer {token}");
    let mut news = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    assert!(news.frame().await.is_some());
    let path = "/api/v1/cameras/front/export.mp4?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z";
    let download = rig.open(request("GET", path, &[("authorization", &auth)], "")).await;
    assert_eq!(download.status(), 200);
    rig.fake.watches(device, front());
    Open { token, device, news, download }
}

impl Open {
    /// Waits until everything has ended.
    async fn ended(mut self, rig: &Rig) {
        let end = tokio::time::timeout(Duration::from_secs(5), self.news.frame()).await.expect("within seconds");
        assert!(end.is_none(), "the news went on");
        let mut broke = false;
        while let Some(frame) = self.download.frame().await {
            broke |= frame.is_err();
        }
        assert!(broke, "the download went on");
        assert!(!rig.fake.state().leases.values().any(|(_, d)| *d == self.device), "pictures went on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_grant_ends_what_is_open() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let open = open(&rig, Role::Viewer).await;
    let token = open.token.clone();
    let change = async |body: Value| rig.call(Method::PATCH, "/api/v1/users/anna", &admin, &body.to_string()).await;
    let changed = change(json!({ "cameras": ["yard"] })).await;
    assert_eq!((changed.status.as_u16(), &changed.json()["cameras"]), (200, &json!(["yard"])));
    assert_eq!(rig.fake.state().changes, [AccessChange::DeviceRevoked(open.device)]);
    open.ended(&rig).await;
    // The same token goes on with what it may still see.
    assert_eq!(rig.get("/api/v1/cameras/yard", &token).await.status, 200);
    rig.get("/api/v1/cameras/front", &token).await.problem(404);
    change(json!({ "cameras": ["attic"] })).await.problem(400);
    change(json!({ "cameras": [] })).await.problem(400);
    change(json!({ "role": "admin", "cameras": ["yard"] })).await.problem(400);
    assert_eq!(change(json!({})).await.json()["cameras"], json!(["yard"]), "nothing said, nothing changed");
    assert_eq!(change(json!({ "cameras": null })).await.json().get("cameras"), None);
    assert_eq!(rig.get("/api/v1/cameras/front", &token).await.status, 200);
    change(json!({ "cameras": ["yard"] })).await.json();
    let promoted = change(json!({ "role": "admin" })).await.json();
    assert_eq!((&promoted["role"], promoted.get("cameras")), (&json!("admin"), None), "an administrator has all");
    let nobody = rig.call(Method::PATCH, "/api/v1/users/nobody", &admin, "{}").await;
    nobody.problem(404);
    rig.call(Method::PATCH, "/api/v1/users/anna", &rig.fake.device(Role::Viewer, None).1, "{}").await.problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_token_is_worth_what_its_account_is_worth_now() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let open = open(&rig, Role::Admin).await;
    let token = open.token.clone();
    assert_eq!(rig.get("/api/v1/users", &token).await.status, 200);
    let demoted = rig.call(Method::PATCH, "/api/v1/users/anna", &admin, r#"{"role":"viewer"}"#).await;
    assert_eq!(demoted.status, 200);
    open.ended(&rig).await;
    for route in ROUTES.iter().filter(|r| !Role::Viewer.holds(r.permission)) {
        let path = route.path.replace("{event}", "7").replace("{name}", "anna");
        let (method, body) = (route.method.clone(), if route.method == Method::GET { "" } else { "{}" });
        rig.call(method, &path, &token, body).await.problem(403);
    }
    assert!(!String::from_utf8_lossy(&rig.get("/api/v1/cameras", &token).await.body).contains("rtsp://"));
    // A password set by somebody else ends it, and so does the account's end.
    let set = r#"{"password":"another password"}"#;
    assert_eq!(rig.call(Method::PUT, "/api/v1/users/anna/password", &admin, set).await.status, 204);
    let (_, second) = rig.fake.device(Role::Viewer, Some("anna"));
    for route in ROUTES.iter().filter(|r| r.permission != Permission::Public) {
        let path = Parts { camera: "front", event: "7", file: "1.mp4", lease: "0".repeat(32) }.fill(route.path);
        let path = path.replace("{name}", "anna").replace("{device}", &"0".repeat(32));
        rig.call(route.method.clone(), &path, &token, "").await.problem(401);
    }
    assert_eq!(rig.call(Method::DELETE, "/api/v1/users/anna", &admin, "").await.status, 204);
    rig.get("/api/v1/me", &second).await.problem(401);
    // The last who may manage is not made a viewer.
    let rig = Rig::start().await;
    rig.fake.add_user("olga", PASSWORD, &Grant::all(Role::Admin), None, now()).expect("made");
    let (_, olga) = rig.fake.device(Role::Admin, Some("olga"));
    rig.call(Method::PATCH, "/api/v1/users/olga", &olga, r#"{"role":"viewer"}"#).await.problem(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_no_success_while_pictures_go_on() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let open = open(&rig, Role::Viewer).await;
    let (device, token) = (open.device, open.token.clone());
    rig.fake.add_stream_password("nvr", &Default::default(), now()).expect("made");
    rig.fake.state().live_gone = true;
    rig.call(Method::GET, "/api/v1/live", &token, "").await.problem(503);
    assert_eq!(rig.get("/api/v1/devices", &admin).await.status, 200, "whoever wants to revoke needs the list");
    let lease = *rig.fake.state().leases.keys().next().expect("one");
    for (method, path) in
        [(Method::POST, format!("/api/v1/live/{lease}/keepalive")), (Method::DELETE, format!("/api/v1/live/{lease}"))]
    {
        rig.call(method, &path, &token, "").await.problem(503);
    }
    let revoked = rig.call(Method::DELETE, &format!("/api/v1/devices/{device}"), &admin, "").await;
    assert!(revoked.problem(503)["detail"].as_str().is_some_and(|d| d.contains("tried again")), "{revoked:?}");
    let removed = rig.call(Method::DELETE, "/api/v1/stream-passwords/nvr", &admin, "").await;
    removed.problem(503);
    // The credential is dead all the same, and so is what this server sends itself.
    rig.get("/api/v1/me", &token).await.problem(401);
    assert!(rig.fake.state().stream_passwords.is_empty());
    assert_eq!(rig.fake.state().leases.len(), 1, "the engine did not hear of it");
    let revoked = AccessChange::DeviceRevoked(device);
    assert_eq!(
        rig.fake.state().changes,
        [revoked, AccessChange::StreamPasswordsChanged],
        "each is called once from here"
    );
    rig.fake.state().live_gone = false;
    // As whoever was called does when it tries again.
    rig.fake.state().leases.clear();
    open.ended(&rig).await;
    // The same for an account that goes, a password that is set, and a grant that is narrowed.
    for n in 0..3 {
        rig.fake.state().users.clear();
        rig.fake.add_user("anna", PASSWORD, &Grant::all(Role::Viewer), None, now()).expect("made");
        let (device, token) = rig.fake.device(Role::Viewer, Some("anna"));
        rig.fake.watches(device, front());
        rig.fake.state().live_gone = true;
        let answer = match n {
            0 => rig.call(Method::PATCH, "/api/v1/users/anna", &admin, r#"{"cameras":["yard"]}"#).await,
            1 => rig.call(Method::PUT, "/api/v1/users/anna/password", &admin, r#"{"password":"another one"}"#).await,
            _ => rig.call(Method::DELETE, "/api/v1/users/anna", &admin, "").await,
        };
        answer.problem(503);
        rig.fake.state().live_gone = false;
        let seen = rig.get("/api/v1/cameras/front", &token).await.status.as_u16();
        assert_eq!(seen, if n == 0 { 404 } else { 401 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_password_is_checked_without_signing_in_however_the_name_is_written() {
    let rig = Rig::start().await;
    rig.fake.device(Role::Admin, None);
    rig.fake.add_user("anna", PASSWORD, &Grant::all(Role::Admin), None, now()).expect("made");
    let (_, anna) = rig.fake.device(Role::Admin, Some("anna"));
    let devices = rig.fake.state().devices.len();
    let set = async |name: &str, body: Value| {
        rig.call(Method::PUT, &format!("/api/v1/users/{name}/password"), &anna, &body.to_string()).await
    };
    // An administrator sets other people's passwords without knowing them, and nobody their own.
    for name in ["anna", "Anna", "ANNA"] {
        set(name, json!({ "password": "another password" })).await.problem(400);
    }
    set("anna", json!({ "password": "another password", "current_password": "wrong" })).await.problem(403);
    let right = set("anna", json!({ "password": "another password", "current_password": PASSWORD })).await;
    assert_eq!(right.status, 204);
    let state = rig.fake.state();
    assert_eq!((state.checked, state.devices.len()), (2, devices), "no device is made to check a password");
}
