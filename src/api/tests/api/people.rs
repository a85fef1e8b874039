//! Pairing, signing in, throttling, accounts, devices, stream passwords, and what revocation ends.

use crate::support::*;
use http::Method;
use http_body_util::BodyExt;
use perch_api::AccessChange;
use perch_domain::access::{Grant, Role};
use perch_domain::health::CameraHealth;
use perch_domain::status::Notice;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn add_user(rig: &Rig, name: &str, role: Role) {
    use perch_domain::ports::AccessPort;
    rig.fake.add_user(name, PASSWORD, &Grant::all(role), None, perch_base::time::Timestamp(0)).expect("made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_pairs_once_it_is_right() {
    let rig = Rig::start().await;
    let pair = async |otp: &str| {
        rig.call(Method::POST, "/api/v1/pair", "", &format!(r#"{{"otp":"{otp}","device_name":"Anna's"}}"#)).await
    };
    assert_eq!(pair("00000000").await.problem(403)["tries_left"], 4);
    pair("1234").await.problem(400);
    pair("99999999").await.problem(410);
    let paired = pair("1234 5678").await;
    assert_eq!(paired.status, 201);
    let cookie = paired.header("set-cookie").to_owned();
    let token = paired.json()["token"].as_str().expect("token").to_owned();
    assert_eq!(paired.json()["role"], "admin");
    assert!(
        cookie.starts_with(&format!("__Host-perch={token}; Path=/; Secure; HttpOnly; SameSite=Strict")),
        "{cookie}"
    );
    assert_eq!(rig.get("/api/v1/me", &token).await.json()["version"], "9.9.9");
    let _ = pair("00000000").await;
    pair("00000000").await.problem(410);
    let no_name = r#"{"otp":"12345678","device_name":"\u0007 "}"#;
    rig.call(Method::POST, "/api/v1/pair", "", no_name).await.problem(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_and_a_wrong_password_look_the_same() {
    let rig = Rig::start().await;
    add_user(&rig, "anna", Role::Viewer);
    let sign_in = async |user: &str, password: &str| {
        let body = serde_json::json!({ "username": user, "password": password }).to_string();
        rig.call(Method::POST, "/api/v1/session", "", &body).await
    };
    let good = sign_in("anna", PASSWORD).await;
    assert_eq!((good.status.as_u16(), good.body.len()), (204, 0));
    let cookie = good.header("set-cookie").split(';').next().expect("cookie").to_owned();
    let me = rig.send(request("GET", "/api/v1/me", &[("cookie", &cookie)], "")).await;
    assert_eq!(me.json()["username"], "anna");
    let (a, b) = (sign_in("anna", "wrong").await, sign_in("nobody", "wrong").await);
    a.problem(401);
    assert_eq!((a.body, a.headers.get("www-authenticate")), (b.body, b.headers.get("www-authenticate")));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let rig = Rig::start().await;
    let body = r#"{"username":"anna","password":"wrong"}"#;
    let mut seen = Vec::new();
    for _ in 0..14 {
        let answer = rig.call(Method::POST, "/api/v1/session", "", body).await;
        if answer.status == 429 {
            assert_eq!(answer.problem(429)["code"], "rate_limited");
            assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|s| (1..=60).contains(&s)));
        }
        seen.push(answer.status.as_u16());
    }
    assert!(seen[..10].iter().all(|s| *s == 401) && seen[13] == 429, "{seen:?}");
    let code = r#"{"otp":"00000000","device_name":"x"}"#;
    let mut last = 0;
    for _ in 0..14 {
        last = rig.call(Method::POST, "/api/v1/pair", "", code).await.status.as_u16();
    }
    assert_eq!(last, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_ends_streams_within_a_second() {
    let rig = Rig::start().await;
    let (id, token) = rig.fake.device(Role::Viewer, None);
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let auth = format!("Bearer {token}");
    let mut stream = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let first = stream.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    assert!(first.starts_with(b"retry:"), "{first:?}");
    let mut health = CameraHealth::starting(perch_base::time::Timestamp(0));
    health.reason = "rtsp://cam/live is slow".into();
    rig.notices.send(Arc::new(Notice::Health { camera: front(), health })).expect("a listener");
    let news = stream.frame().await.expect("a frame").expect("whole").into_data().expect("data");
    let text = String::from_utf8(news.to_vec()).expect("text");
    assert!(
        text.starts_with("event: health\ndata: {") && text.ends_with("}\n\n") && text.contains("\"type\":\"health\""),
        "{text}"
    );
    assert!(!text.contains("rtsp://"), "a viewer is shown an address: {text}");

    let mut download = rig
        .open(request(
            "GET",
            "/api/v1/cameras/front/export.mp4?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z",
            &[("authorization", &auth)],
            "",
        ))
        .await;
    assert_eq!(download.status(), 200);

    let began = Instant::now();
    let revoked = rig.call(Method::DELETE, &format!("/api/v1/devices/{id}"), &admin, "").await;
    assert_eq!(revoked.status, 204);
    let end = tokio::time::timeout(Duration::from_secs(1), stream.frame()).await.expect("within a second");
    assert!(end.is_none() && began.elapsed() < Duration::from_secs(1));
    // A download breaks off rather than pretending to be whole.
    let mut broke = false;
    while let Some(frame) = download.frame().await {
        broke |= frame.is_err();
    }
    assert!(broke, "the download went on");
    assert_eq!(rig.fake.state().ended, [id]);
    assert_eq!(rig.fake.state().changes, [AccessChange::DeviceRevoked(id)]);
    rig.get("/api/v1/me", &token).await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_device() {
    let rig = Rig::start().await;
    let (id, token) = rig.fake.device(Role::Viewer, None);
    let out = rig.call(Method::DELETE, "/api/v1/session", &token, "").await;
    assert_eq!(out.status, 204);
    assert!(
        out.header("set-cookie").starts_with("__Host-perch=; Path=/") && out.header("set-cookie").contains("Max-Age=0")
    );
    assert_eq!(rig.fake.state().ended, [id]);
    rig.get("/api/v1/me", &token).await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_seen_and_revoked_by_their_owners() {
    let rig = Rig::start().await;
    let (anna, token) = rig.fake.device(Role::Viewer, Some("anna"));
    let (annas, _) = rig.fake.device(Role::Viewer, Some("anna"));
    let (other, _) = rig.fake.device(Role::Viewer, Some("bert"));
    let (nobodys, lone) = rig.fake.device(Role::Viewer, None);
    let ids = |a: &Answer| -> Vec<String> {
        a.json()["devices"].as_array().expect("list").iter().map(|d| d["id"].as_str().expect("id").to_owned()).collect()
    };
    let list = rig.get("/api/v1/devices", &token).await;
    assert_eq!(ids(&list), [anna.to_string(), annas.to_string()]);
    assert_eq!(
        (&list.json()["devices"][0]["current"], &list.json()["devices"][0]["live_sessions"]),
        (&true.into(), &0.into())
    );
    assert_eq!(ids(&rig.get("/api/v1/devices", &lone).await), [nobodys.to_string()]);
    let revoke =
        async |id: &str, token: &str| rig.call(Method::DELETE, &format!("/api/v1/devices/{id}"), token, "").await;
    let (theirs, none) = (revoke(&other.to_string(), &token).await, revoke(&"0".repeat(32), &token).await);
    theirs.problem(403);
    assert_eq!(theirs.body, none.body, "whether a device exists is not revealed");
    assert_eq!(revoke(&annas.to_string(), &token).await.status, 204);
    let (_, admin) = rig.fake.device(Role::Admin, None);
    assert_eq!(ids(&rig.get("/api/v1/devices", &admin).await).len(), 4);
    revoke(&"0".repeat(32), &admin).await.problem(404);
    assert_eq!(revoke(&other.to_string(), &admin).await.status, 204);
    assert!(revoke(&anna.to_string(), &token).await.header("set-cookie").contains("Max-Age=0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts() {
    let rig = Rig::start().await;
    let (phone, admin) = rig.fake.device(Role::Admin, None);
    let add = async |name: &str, role: &str| {
        let body = serde_json::json!({ "name": name, "password": PASSWORD, "role": role }).to_string();
        rig.call(Method::POST, "/api/v1/users", &admin, &body).await
    };
    assert_eq!(rig.get("/api/v1/me", &admin).await.json()["has_accounts"], false);
    let made = add("olga", "admin").await;
    assert_eq!((made.status.as_u16(), &made.json()["name"]), (201, &"olga".into()));
    assert_eq!(rig.fake.state().added_by, Some(Some(phone)), "whether it joins is asked where accounts are kept");
    assert_eq!(add("anna", "viewer").await.status, 201);
    add("anna", "viewer").await.problem(409);
    for (name, role) in
        [("a/b", "viewer"), ("a\u{202e}b", "viewer"), ("x", "root"), ("$(id)", "viewer"), ("", "viewer")]
    {
        add(name, role).await.problem(400);
    }
    // Names of people, kept as they read.
    let made = add(" Anna  Mu\u{308}ller", "viewer").await;
    assert_eq!((made.status.as_u16(), &made.json()["name"]), (201, &"Anna Müller".into()));
    let path = "/api/v1/users/Anna%20M%C3%BCller";
    assert_eq!(rig.call(Method::PATCH, path, &admin, r#"{"role":"admin"}"#).await.status, 200);
    assert_eq!(rig.call(Method::DELETE, path, &admin, "").await.status, 204);
    let short = r#"{"name":"z","password":"short","role":"viewer"}"#;
    rig.call(Method::POST, "/api/v1/users", &admin, short).await.problem(400);
    assert!(!String::from_utf8_lossy(&rig.get("/api/v1/users", &admin).await.body).contains(PASSWORD));

    let (_, anna) = rig.fake.device(Role::Viewer, Some("anna"));
    let (other, _) = rig.fake.device(Role::Viewer, Some("anna"));
    let set = async |token: &str, name: &str, body: &str| {
        rig.call(Method::PUT, &format!("/api/v1/users/{name}/password"), token, body).await
    };
    set(&anna, "olga", r#"{"password":"0123456789"}"#).await.problem(403);
    set(&anna, "anna", r#"{"password":"0123456789"}"#).await.problem(400);
    set(&anna, "anna", r#"{"password":"0123456789","current_password":"wrong"}"#).await.problem(403);
    let right = format!(r#"{{"password":"0123456789","current_password":"{PASSWORD}"}}"#);
    assert_eq!(set(&anna, "anna", &right).await.status, 204);
    assert_eq!(rig.fake.state().ended, [other], "the account's other devices are out");
    assert_eq!(rig.get("/api/v1/me", &anna).await.status, 200, "this one stays");
    assert_eq!(set(&admin, "anna", r#"{"password":"abcdefghij"}"#).await.status, 204);
    rig.get("/api/v1/me", &anna).await.problem(401);
    set(&admin, "nobody", r#"{"password":"abcdefghij"}"#).await.problem(404);
    assert_eq!(rig.call(Method::DELETE, "/api/v1/users/anna", &admin, "").await.status, 204);
    rig.call(Method::DELETE, "/api/v1/users/anna", &admin, "").await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_stream_passwords() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let code = rig.call(Method::POST, "/api/v1/pairing-codes", &admin, r#"{"role":"viewer"}"#).await;
    let json = code.json();
    // By the name that its owner gave it, and not by the address by which it was asked.
    let url = format!("https://cam.example.org:{}/pair#pair={OTP}&ca={}", rig.addr.port(), rig.ca_sha256);
    assert_eq!((code.status.as_u16(), json["url"].as_str()), (201, Some(url.as_str())));
    let svg = json["qr_svg"].as_str().expect("svg");
    assert!(svg.contains("<svg") && !svg.contains("style="), "no inline style: the policy forbids it");
    assert_eq!(code.header("cache-control"), "no-store");
    rig.call(Method::POST, "/api/v1/pairing-codes", &admin, r#"{"role":"god"}"#).await.problem(400);
    // Which device used it, whoever else comes in meanwhile.
    rig.fake.device(Role::Viewer, None);
    let used_by = async |made_at: &serde_json::Value| {
        let devices = rig.get("/api/v1/devices", &admin).await.json();
        let all = devices["devices"].as_array().expect("devices").iter();
        all.filter(|d| d["code_made_at"] == *made_at)
            .filter_map(|d| Some(d["id"].as_str()?.to_owned()))
            .collect::<Vec<_>>()
    };
    assert!(used_by(&json["made_at"]).await.is_empty(), "nobody yet");
    let body = format!(r#"{{"otp":"{OTP}","device_name":"Tablet"}}"#);
    let paired = rig.call(Method::POST, "/api/v1/pair", "", &body).await.json();
    assert_eq!(used_by(&json["made_at"]).await, [paired["device_id"].as_str().expect("an id")]);
    let next = rig.call(Method::POST, "/api/v1/pairing-codes", &admin, r#"{"role":"viewer"}"#).await.json();
    assert!(used_by(&next["made_at"]).await.is_empty(), "that was another code");

    let made = rig.call(Method::POST, "/api/v1/stream-passwords", &admin, r#"{"name":"vlc"}"#).await;
    let json = made.json();
    let main = "rtsp://vlc:0123456789abcdef0123456789abcdef@localhost:8554/front";
    assert_eq!(
        (json["urls"][0]["main"].as_str(), json["urls"][0]["sub"].as_str()),
        (Some(main), Some(&*format!("{main}/sub")))
    );
    let list = rig.get("/api/v1/stream-passwords", &admin).await;
    assert!(!String::from_utf8_lossy(&list.body).contains("0123456789abcdef"));
    assert_eq!(rig.call(Method::DELETE, "/api/v1/stream-passwords/vlc", &admin, "").await.status, 204);
    rig.call(Method::DELETE, "/api/v1/stream-passwords/vlc", &admin, "").await.problem(404);
    assert_eq!(rig.fake.state().changes, [AccessChange::StreamPasswordsChanged; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_device_that_may_manage_stays() {
    let rig = Rig::start().await;
    let (id, token) = rig.fake.device(Role::Admin, None);
    let own = format!("/api/v1/devices/{id}");
    for path in [own.as_str(), "/api/v1/session"] {
        let refused = rig.call(Method::DELETE, path, &token, "").await;
        assert_eq!(refused.status, 409, "{path}");
        let words = String::from_utf8_lossy(&refused.body);
        assert!(words.contains("obody else may manage this box"), "{path}: {words}");
        assert_eq!(rig.get("/api/v1/me", &token).await.status, 200, "{path}");
    }
    rig.fake.device(Role::Admin, None);
    assert_eq!(rig.call(Method::DELETE, &own, &token, "").await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_devices_of_an_account_show_the_cameras_alike() {
    let rig = Rig::start().await;
    let (_, phone) = rig.fake.device(Role::Viewer, Some("anna"));
    let (_, tablet) = rig.fake.device(Role::Viewer, Some("anna"));
    let (_, other) = rig.fake.device(Role::Admin, Some("ben"));
    let (_, limited) = rig.fake.device_with(&only(&[front()]), Some("anna"));
    let view = async |token: &str| rig.get("/api/v1/me", token).await.json()["view"].clone();
    assert_eq!(view(&phone).await, serde_json::json!({ "order": [], "favourites": [] }));
    let put = async |token: &str, body: &str| rig.call(Method::PUT, "/api/v1/me/view", token, body).await;
    assert_eq!(put(&phone, r#"{"order":["yard","front"],"favourites":["yard"]}"#).await.status, 204);
    assert_eq!(view(&tablet).await, serde_json::json!({ "order": ["yard", "front"], "favourites": ["yard"] }));
    assert_eq!(view(&other).await["order"], serde_json::json!([]));
    assert_eq!(view(&limited).await, serde_json::json!({ "order": ["front"], "favourites": [] }));
    put(&phone, r#"{"order":["yard","yard"],"favourites":[]}"#).await.problem(400);
    put(&phone, r#"{"order":["../x"],"favourites":[]}"#).await.problem(400);
    put(&phone, r#"{"order":[]}"#).await.problem(400);
    put("", r#"{"order":[],"favourites":[]}"#).await.problem(401);
    assert_eq!(view(&phone).await["order"], serde_json::json!(["yard", "front"]), "what is wrong changes nothing");
}
