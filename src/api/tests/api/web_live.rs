//! Live pictures over HTTPS: what is passed on to the port, and how fast whatever is sent or waited for ends with the access to it.

use crate::support::*;
use bytes::Bytes;
use http::Method;
use perch_base::ids::{CameraId, DeviceId};
use perch_base::{Error, ErrorKind, Result, base64};
use perch_domain::access::Role;
use perch_domain::doctor::HttpsTry;
use perch_domain::live_hls::{LiveFile, LiveView};
use perch_domain::live_window::Reload;
use perch_domain::media::Stream;
use perch_domain::ports::{Later, LivePieces, PictureFeed, WebLivePort};
use perch_domain::stream_choice::StreamChoice;
use perch_domain::web_viewers::{WebAsker, WebTransport, WebViewer};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

/// Pieces of a segment that no socket's buffers hold.
const PIECES: usize = 256;
const PIECE_BYTES: usize = 128 * 1024;

/// Three pictures, or of 4 a second large ones without end.
struct FakePictures {
    fps: u32,
    left: u32,
}

impl PictureFeed for FakePictures {
    fn next(&mut self) -> Later<'_, Result<Bytes>> {
        Box::pin(async move {
            let ends = self.fps != 4;
            if ends && self.left == 0 {
                return Err(Error::new(ErrorKind::Unavailable, "the camera has no picture any more"));
            }
            self.left -= u32::from(ends);
            Ok(if ends { Bytes::from_static(b"\xff\xd8picture\xff\xd9") } else { Bytes::from(vec![7; PIECE_BYTES]) })
        })
    }
}

struct FakePieces(VecDeque<Bytes>);

impl LivePieces for FakePieces {
    fn bytes_left(&self) -> usize {
        self.0.iter().map(|piece| piece.len().max(1)).sum()
    }
    fn next(&mut self) -> Option<Result<Bytes>> {
        let broke_off = || Error::new(ErrorKind::Unavailable, "the live stream broke off while it was read");
        self.0.pop_front().map(|piece| if piece.is_empty() { Err(broke_off()) } else { Ok(piece) })
    }
}

impl WebLivePort for Fake {
    fn view(&self, camera: &CameraId, choice: StreamChoice, sound: bool) -> Result<LiveView> {
        match [front(), yard()].contains(camera) {
            true => Ok(LiveView { stream: choice.first(), sound }),
            false => Err(Error::not_found("there is no such camera")),
        }
    }

    fn playlist(
        &self,
        by: WebAsker,
        _: &CameraId,
        view: LiveView,
        reload: Option<Reload>,
    ) -> Later<'_, Result<String>> {
        Box::pin(async move {
            match reload {
                Some(Reload { segment: 1, .. }) => std::future::pending().await,
                Some(Reload { segment: 99, .. }) => Err(Error::invalid("`_HLS_msn` is far ahead of the live stream")),
                reload => Ok(format!("#EXTM3U\n{view} {reload:?} {}\n", by.who.device_name)),
            }
        })
    }

    fn file(
        &self,
        _: WebAsker,
        camera: &CameraId,
        view: LiveView,
        file: LiveFile,
    ) -> Later<'_, Result<Box<dyn LivePieces>>> {
        let camera = camera.clone();
        let pieces = async move {
            match file {
                LiveFile::Map(n) if n == if camera == front() { 1 } else { 2 } => {
                    Ok(vec![format!("map of {view}").into()])
                }
                LiveFile::Segment(7) => Ok(vec![Bytes::from(vec![7; PIECE_BYTES]); PIECES]),
                // Broken off after the first piece.
                LiveFile::Segment(8) => Ok(vec![Bytes::from(vec![7; PIECE_BYTES]), Bytes::new()]),
                LiveFile::Part(1, 1) => std::future::pending().await,
                _ => Err(Error::not_found("this piece of the live stream is over")),
            }
        };
        Box::pin(async move { pieces.await.map(|all| Box::new(FakePieces(all.into())) as Box<dyn LivePieces>) })
    }

    fn pictures(&self, _: WebAsker, camera: &CameraId, fps: u32) -> Result<Box<dyn PictureFeed>> {
        match [front(), yard()].contains(camera) {
            true => Ok(Box::new(FakePictures { fps, left: 3 })),
            false => Err(Error::not_found("there is no such camera")),
        }
    }

    fn examine(&self) -> Later<'_, HttpsTry> {
        Box::pin(async { HttpsTry::Came("Front".to_owned()) })
    }

    fn who_watches(&self) -> Vec<WebViewer> {
        let device = |(device, _): &(perch_domain::access::Device, String)| WebViewer {
            transport: WebTransport::Hls,
            camera: front(),
            stream: Stream::Main,
            device_id: device.id,
            device_name: device.name.clone(),
            username: device.username.clone(),
            started_at: now(),
            remote: "192.0.2.1:5".into(),
        };
        self.state().devices.iter().filter(|(device, _)| device.cameras.is_all()).map(device).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_player_asks_for_reaches_the_port() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let get = async |rest: &str| rig.get(&format!("/api/v1/cameras/front/{rest}"), &token).await;
    for (query, want) in [
        ("", "main None phone"),
        ("?stream=sub&sound=off", "sub-mute None phone"),
        ("?_HLS_msn=5&_HLS_part=2", "main Some(Reload { segment: 5, part: Some(2) }) phone"),
        ("?_HLS_msn=4294967295", "main Some(Reload { segment: 4294967295, part: None }) phone"),
    ] {
        let answer = get(&format!("live.m3u8{query}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/vnd.apple.mpegurl"));
        assert_eq!(String::from_utf8_lossy(&answer.body), format!("#EXTM3U\n{want}\n"), "{query}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    for query in
        ["?_HLS_part=2", "?_HLS_msn=-1", "?_HLS_msn=99", "?stream=all", "?sound=loud", "?_HLS_msn=1&_HLS_msn=2"]
    {
        get(&format!("live.m3u8{query}")).await.problem(400);
    }
    let map = get("live/sub-mute/1.mp4").await;
    assert_eq!(
        (map.status.as_u16(), &map.body[..], map.header("content-type")),
        (200, &b"map of sub-mute"[..], "video/mp4")
    );
    for file in ["live/all/1.mp4", "live/main/2.mp4", "live/main/x.m4s", "live/main/1.2.3.m4s", "live/main/..%2f1.mp4"]
    {
        get(file).await.problem(404);
    }
    rig.get("/api/v1/cameras/garage/live.m3u8", &token).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_replace_each_other_for_whoever_shows_mjpeg() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let path = "/api/v1/cameras/front/stream.mjpeg";
    let all = rig.get(path, &token).await;
    assert_eq!(all.header("content-type"), "multipart/x-mixed-replace; boundary=perch-picture");
    let one = "Content-Type: image/jpeg\r\nContent-Length: 11\r\n\r\n";
    let text = String::from_utf8_lossy(&all.body).into_owned();
    assert!(text.starts_with(&format!("--perch-picture\r\n{one}")), "{text}");
    assert_eq!((text.matches(one).count(), text.matches("--perch-picture\r\n").count()), (3, 4));
    assert!(text.ends_with("\r\n--perch-picture\r\n"), "shown before the next one comes");
    for fps in ["0", "6", "x"] {
        rig.get(&format!("{path}?fps={fps}"), &token).await.problem(400);
    }
    rig.get("/api/v1/cameras/garage/stream.mjpeg", &token).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_knows_no_tokens_gives_one_as_the_password_and_is_asked_for_it() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let path = "/api/v1/cameras/front/stream.mjpeg";
    let basic = |given: &str| format!("Basic {}", base64::encode(given.as_bytes()));
    let ask = async |path: &str, headers: &[(&str, &str)]| rig.send(request("GET", path, headers, "")).await;
    for user in ["", "tablet"] {
        let auth = basic(&format!("{user}:{token}"));
        assert_eq!(ask(path, &[("authorization", &auth)]).await.status, 200, "{user}");
        // Browsers send it for whoever's page asks.
        ask(path, &[("authorization", &auth), ("sec-fetch-site", "cross-site")]).await.problem(403);
        rig.send(request("DELETE", "/api/v1/session", &[("authorization", &auth)], "")).await.problem(403);
    }
    let wrong = [&format!("tablet:{token}0"), &token, "tablet:", ":"].map(basic);
    for wrong in wrong.iter().map(String::as_str).chain(["Basic ~", "Basic", "Basic ="]) {
        ask(path, &[("authorization", wrong)]).await.problem(401);
    }
    let is_asked = |answer: &Answer| {
        let all = answer.headers.get_all("www-authenticate").iter();
        all.into_iter().any(|asked| asked.as_bytes().starts_with(b"Basic"))
    };
    assert!(is_asked(&ask(path, &[]).await));
    // A page's own requests are not answered by a browser's question.
    for other in ["/api/v1/cameras/front/live.m3u8", "/api/v1/me"] {
        assert!(!is_asked(&ask(other, &[]).await), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_is_told_to_those_who_may_end_it() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let (own, viewer) = rig.fake.device(Role::Viewer, None);
    let all = |live: serde_json::Value| live["over_https"].as_array().cloned().expect("a list");
    assert_eq!(all(rig.get("/api/v1/live", &admin).await.json()).len(), 2);
    let seen = all(rig.get("/api/v1/live", &viewer).await.json());
    assert_eq!((seen.len(), &seen[0]["device_id"], &seen[0]["transport"]), (1, &own.to_string().into(), &"hls".into()));
}

/// Revokes a device, and when.
async fn revoke(rig: &Rig, admin: &str, device: DeviceId) -> Instant {
    let began = Instant::now();
    assert_eq!(rig.call(Method::DELETE, &format!("/api/v1/devices/{device}"), admin, "").await.status, 204);
    began
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_is_answered_within_a_second_of_the_revocation() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    for path in ["live.m3u8?_HLS_msn=1", "live/main/1.1.m4s"] {
        let (device, token) = rig.fake.device(Role::Viewer, None);
        let path = format!("/api/v1/cameras/front/{path}");
        let waits = rig.get(&path, &token);
        let ends = async {
            while !rig.fake.state().asked.contains_key(&device) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            revoke(&rig, &admin, device).await
        };
        let (answer, began) = tokio::join!(waits, ends);
        answer.problem(401);
        let took = began.elapsed();
        println!("{path}: {took:?}");
        assert!(took < Duration::from_secs(1), "{path}: {took:?}");
    }
}

/// Reads slowly, with little room, until nothing more comes; when the last byte came, and how the stream ended.
async fn read_slowly(rig: &Rig, path: &str, token: &str) -> (usize, Instant, std::io::Result<usize>) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("set");
    let tcp = socket.connect(rig.addr).await.expect("connected");
    let mut stream = rig.handshake(tcp).await;
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let (mut buffer, mut bytes, mut last) = (vec![0; 16 * 1024], 0, Instant::now());
    loop {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => (bytes, last) = (bytes + n, Instant::now()),
            end => return (bytes, last, end),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_reader_has_not_got_yet_is_lost_within_a_second_of_the_revocation() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    const RANGE: &str = "from=2026-05-01T12:00:00Z&to=2026-05-01T12:10:00Z";
    for path in [
        "/api/v1/cameras/front/live/main/7.m4s".to_owned(),
        "/api/v1/cameras/front/stream.mjpeg?fps=4".to_owned(),
        format!("/api/v1/cameras/front/export.mp4?{RANGE}"),
    ] {
        let (device, token) = rig.fake.device(Role::Viewer, None);
        let reads = read_slowly(&rig, &path, &token);
        let ends = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            revoke(&rig, &admin, device).await
        };
        let ((bytes, last, end), began) = tokio::join!(reads, ends);
        let after = last.saturating_duration_since(began);
        println!("{path}: {bytes} bytes, the last {after:?} after the revocation, then {end:?}");
        assert!(bytes > 100_000 && last > began, "{path}: it was read, and still under way");
        assert!(after < Duration::from_secs(1), "{path}: {after:?}");
        assert!(end.is_err(), "{path}: it broke off");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_shown_any_more_breaks_off_while_it_is_read() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let (bytes, _, end) = read_slowly(&rig, "/api/v1/cameras/front/live/main/8.m4s", &token).await;
    assert!(bytes < PIECE_BYTES + 1024, "{bytes} bytes, then {end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_revoked_reads_to_the_end() {
    let rig = Rig::start().await;
    let (_, admin) = rig.fake.device(Role::Admin, None);
    let (other, _) = rig.fake.device(Role::Viewer, None);
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let reads = rig.get("/api/v1/cameras/front/live/main/7.m4s", &token);
    let (whole, _) = tokio::join!(reads, revoke(&rig, &admin, other));
    assert_eq!((whole.status.as_u16(), whole.body.len()), (200, PIECES * PIECE_BYTES));
    let length = (PIECES * PIECE_BYTES).to_string();
    assert_eq!(whole.header("content-length"), length);
}
