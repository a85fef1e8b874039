//! Stills, WHEP, playlists, byte ranges, downloads, and draining.

use crate::cameras::LOST_WIDTH;
use crate::support::*;
use http::Method;
use http_body_util::BodyExt;
use perch_domain::access::Role;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const RANGE: &str = "from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_file_by_ranges() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let auth = format!("Bearer {token}");
    let get = async |headers: &[(&str, &str)]| {
        let headers = [headers, &[("authorization", auth.as_str())]].concat();
        rig.send(request("GET", "/api/v1/cameras/front/segments/1.mp4", &headers, "")).await
    };
    let whole = get(&[]).await;
    let bytes = segment_bytes();
    assert_eq!((whole.status.as_u16(), &whole.body[..]), (200, &bytes[..]));
    assert_eq!((whole.header("etag"), whole.header("accept-ranges")), ("\"abc\"", "bytes"));
    assert!(whole.header("cache-control").starts_with("private"));
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=100000-299999", 100_000, 300_000),
        ("bytes=299990-", 299_990, 300_000),
        ("bytes=-5", 299_995, 300_000),
    ] {
        let part = get(&[("range", range)]).await;
        assert_eq!((part.status.as_u16(), &part.body[..]), (206, &bytes[start..end]), "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{}/300000", end - 1));
        assert_eq!(part.header("content-length"), (end - start).to_string());
    }
    let beyond = get(&[("range", "bytes=300000-")]).await;
    beyond.problem(416);
    assert_eq!(beyond.header("content-range"), "bytes */300000");
    assert_eq!(get(&[("range", "bytes=0-1,3-4")]).await.status, 200);
    assert_eq!(get(&[("range", "bytes=0-1"), ("if-range", "\"abc\"")]).await.status, 206);
    assert_eq!(get(&[("range", "bytes=0-1"), ("if-range", "\"old\"")]).await.status, 200);
    assert_eq!(get(&[("if-none-match", "\"abc\"")]).await.status, 304);
    let head = rig.call(Method::HEAD, "/api/v1/cameras/front/segments/1.mp4", &token, "").await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "300000", 0));
    for path in ["front/segments/2.mp4", "back/segments/1.mp4", "front/segments/1", "front/segments/1.mp4.mp4"] {
        rig.get(&format!("/api/v1/cameras/{path}"), &token).await.problem(404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_playlist_or_a_sentence() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let list = rig.get(&format!("/api/v1/cameras/front/playback.m3u8?{RANGE}"), &token).await;
    assert_eq!(list.header("content-type"), "application/vnd.apple.mpegurl");
    let text = String::from_utf8_lossy(&list.body).into_owned();
    assert!(text.starts_with("#EXTM3U") && text.contains("#EXT-X-BYTERANGE:900@100\nsegments/1.mp4"), "{text}");
    let none =
        rig.get("/api/v1/cameras/front/playback.m3u8?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z", &token).await;
    assert_eq!(none.problem(404)["detail"], "Nothing is recorded there.");
    rig.get(&format!("/api/v1/cameras/back/timeline?{RANGE}"), &token).await.problem(404);
    assert_eq!(rig.get(&format!("/api/v1/cameras/front/timeline?{RANGE}"), &token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_made_only_as_fast_as_it_is_read() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let auth = format!("Bearer {token}");
    let path = format!("/api/v1/cameras/front/export.mp4?{RANGE}");
    let whole = rig.get(&path, &token).await;
    assert_eq!(whole.body.len(), 1000 * 64 * 1024);
    assert_eq!(whole.header("content-disposition"), "attachment; filename=\"front___x_.mp4\"");
    let made = rig.fake.state().exported.clone();
    made.store(0, Ordering::SeqCst);
    let mut slow = rig.open(request("GET", &path, &[("authorization", &auth)], "")).await;
    slow.frame().await.expect("a frame").expect("data");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let so_far = made.load(Ordering::SeqCst);
    assert!(so_far < 900, "{so_far} pieces were made for a client that does not read");
    assert_eq!(rig.get("/api/v1/me", &token).await.status, 200, "others are served");
    drop(slow);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let at_end = made.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(made.load(Ordering::SeqCst), at_end, "nothing is made for a client that went away");
}

#[tokio::test(flavor = "multi_thread")]
async fn whep() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let (_, other) = rig.fake.device(Role::Viewer, None);
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let send = async |method: &str, path: &str, token: &str, kind: &str, body: &str| {
        let auth = format!("Bearer {token}");
        rig.send(request(method, path, &[("authorization", &auth), ("content-type", kind)], body)).await
    };
    let whep = "/api/v1/cameras/front/whep?stream=sub";
    let started = send("POST", whep, &token, "application/sdp", "v=0\r\n").await;
    assert_eq!((started.status.as_u16(), started.header("content-type")), (201, "application/sdp"));
    assert_eq!(started.header("accept-patch"), "application/trickle-ice-sdpfrag");
    assert!(started.header("etag").starts_with('"'));
    let links: Vec<_> = started.headers.get_all("link").iter().map(|v| v.to_str().expect("text")).collect();
    assert_eq!(
        links,
        [
            "<stun:stun.example:3478>; rel=\"ice-server\"",
            "<turn:turn.example:3478?transport=udp>; rel=\"ice-server\"; username=\"1:u\\\"x\"; credential=\"s3cret\"; credential-type=\"password\"",
        ]
    );
    let at = started.header("location").to_owned();
    assert!(at.starts_with("/api/v1/live/"), "{at}");

    let heard = send("POST", "/api/v1/cameras/front/whep?picture=false", &other, "application/sdp", "v=0\r\n").await;
    assert_eq!(heard.status, 201);
    send("POST", "/api/v1/cameras/front/whep?picture=no", &other, "application/sdp", "v=0\r\n").await.problem(400);
    send("POST", whep, &token, "application/json", "{}").await.problem(415);
    send("POST", whep, &token, "application/sdp", "hello").await.problem(400);
    send("POST", whep, &token, "application/sdp", "v=0 nonsense").await.problem(422);
    send("POST", whep, &token, "application/sdp", "v=0 VP9").await.problem(406);
    send("POST", "/api/v1/cameras/back/whep", &token, "application/sdp", "v=0").await.problem(404);
    send("POST", "/api/v1/cameras/front/whep?stream=best", &token, "application/sdp", "v=0").await.problem(400);

    let fragment = "application/trickle-ice-sdpfrag";
    assert_eq!(send("PATCH", &at, &token, fragment, "a=candidate:1").await.status, 204);
    let restart = send("PATCH", &at, &token, fragment, "restart").await;
    assert_eq!((restart.status.as_u16(), restart.header("content-type")), (200, fragment));
    send("PATCH", &at, &token, "application/sdp", "x").await.problem(415);
    let keepalive = format!("{at}/keepalive");
    assert_eq!(rig.call(Method::POST, &keepalive, &token, "").await.status, 204);
    let picture = format!("{at}/picture");
    assert_eq!(rig.call(Method::PUT, &picture, &token, r#"{"on":false}"#).await.status, 204);
    assert!(rig.fake.state().sound_only.values().eq([&true]), "sound alone");
    assert_eq!(rig.call(Method::PUT, &picture, &token, r#"{"on":true}"#).await.status, 204);
    assert!(rig.fake.state().sound_only.values().eq([&false]));
    rig.call(Method::PUT, &picture, &token, r#"{"on":true,"stream":"main"}"#).await.problem(400);
    for stranger in [&other, &admin] {
        rig.call(Method::PUT, &picture, stranger, r#"{"on":false}"#).await.problem(404);
        send("PATCH", &at, stranger, fragment, "x").await.problem(404);
        rig.call(Method::POST, &keepalive, stranger, "").await.problem(404);
    }
    rig.call(Method::DELETE, &at, &other, "").await.problem(404);
    let sessions =
        async |token: &str| rig.get("/api/v1/live", token).await.json()["sessions"].as_array().expect("list").len();
    assert_eq!((sessions(&token).await, sessions(&other).await, sessions(&admin).await), (1, 1, 2));
    assert_eq!(rig.call(Method::DELETE, &at, &admin, "").await.status, 204);
    // It has ended: nothing can be added to it, and a goodbye of those whose it was is none the worse for that.
    rig.call(Method::POST, &keepalive, &token, "").await.problem(404);
    assert_eq!(rig.call(Method::DELETE, &at, &token, "").await.status, 204);
    rig.call(Method::DELETE, &at, &other, "").await.problem(404);
    assert_eq!(rig.get("/api/v1/ice-servers", &token).await.json()["ice_servers"][1]["credential"], "s3cret");
}

#[tokio::test(flavor = "multi_thread")]
async fn stills_are_cached_only_where_they_cannot_change() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    for (path, caching) in [
        ("/api/v1/cameras/front/snapshot.jpg?width=320", "no-store"),
        ("/api/v1/cameras/front/snapshot.jpg?at=2026-05-01T12:00:00Z", "private, max-age=3600"),
        ("/api/v1/events/7/thumbnail.jpg", "private, max-age=31536000, immutable"),
    ] {
        let still = rig.get(path, &token).await;
        assert_eq!(
            (still.status.as_u16(), still.header("content-type"), still.header("cache-control")),
            (200, "image/jpeg", caching)
        );
    }
    for (at, taken, caching) in [
        ("2026-05-01T12:00:00Z", "2026-05-01T11:59:50.000000Z", "private, max-age=3600"),
        // The last one before the moment: a later one may still be written.
        ("2026-05-02T12:00:00Z", "2026-05-02T11:00:00.000000Z", "no-store"),
    ] {
        let still = rig.get(&format!("/api/v1/cameras/front/snapshot.jpg?at={at}"), &token).await;
        assert_eq!((still.header("perch-picture-at"), still.header("cache-control")), (taken, caching));
    }
    let now = rig.get("/api/v1/cameras/front/snapshot.jpg", &token).await;
    assert_eq!(now.header("perch-picture-at"), "", "of now no time is said");
    let lost = format!("/api/v1/cameras/front/snapshot.jpg?width={LOST_WIDTH}");
    rig.get(&lost, &token).await.problem(503);
    let none = rig.get(&format!("{lost}&or_none=true"), &token).await;
    assert_eq!((none.status.as_u16(), none.body.len(), none.header("cache-control")), (204, 0, "no-store"));
    rig.get(&format!("{lost}&or_none=yes"), &token).await.problem(400);
    let busy = rig.get(&format!("/api/v1/cameras/front/snapshot.jpg?width={BUSY_WIDTH}"), &token).await;
    assert_eq!((busy.status.as_u16(), busy.header("retry-after")), (429, "2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_loud_a_camera_is_can_be_asked() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let level = rig.get("/api/v1/cameras/front/sound-level", &token).await;
    assert_eq!((level.status.as_u16(), level.header("cache-control")), (200, "no-store"));
    assert_eq!(level.json(), serde_json::json!({"level": {"peak_db": -6.5, "rms_db": -20.0}}));
    let none = rig.get("/api/v1/cameras/yard/sound-level", &token).await;
    assert_eq!(none.json(), serde_json::json!({"level": null}), "no sound, and no error either");
    rig.get("/api/v1/cameras/back/sound-level", &token).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_orderly() {
    let mut rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let auth = format!("Bearer {token}");
    let mut stream = rig.open(request("GET", "/api/v1/events/stream", &[("authorization", &auth)], "")).await;
    stream.frame().await.expect("a frame").expect("whole");
    let began = Instant::now();
    rig.stop.take().expect("running").fire();
    assert!(stream.frame().await.is_none(), "streams end");
    (&mut rig.task).await.expect("no panic").expect("ended well");
    assert!(began.elapsed() < Duration::from_secs(3), "nobody had to be cut off");
    assert!(tokio::net::TcpStream::connect(rig.addr).await.is_err());
}
