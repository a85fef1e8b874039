//! Hostile requests: paths, hosts, origins, sizes, slowness; and what every answer carries.

use crate::support::*;
use http::{Method, StatusCode};
use perch_base::clock::{Clock, ManualClock};
use perch_domain::access::Role;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

#[tokio::test(flavor = "multi_thread")]
async fn no_path_part_leads_anywhere_else() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Admin, None);
    let long = "a".repeat(5000);
    let bad = [
        "..",
        ".",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "..%5c..%5cetc",
        "front%00",
        "%00",
        "front%0a",
        "front%2f..",
        "%c3%a9",
        "%ff%fe",
        "%F0%9F%90%A6",
        "FRONT",
        "front%20",
        "$(id)",
        "%60id%60",
        "front;id",
        "'%20OR%201=1--",
        "%252e%252e",
        "-1",
        "0",
        "99999999999999999999999",
        "+1",
        "1e3",
        &long,
    ];
    let shapes = [
        "/api/v1/cameras/{}",
        "/api/v1/cameras/{}/snapshot.jpg",
        "/api/v1/cameras/front/segments/{}",
        "/api/v1/cameras/front/segments/{}.mp4",
        "/api/v1/cameras/{}/segments/1.mp4",
        "/api/v1/events/{}",
        "/api/v1/events/{}/thumbnail.jpg",
        "/assets/{}",
        "/assets/{}.js",
        "/api/v1/cameras/{}/timeline?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z",
        "/api/v1/cameras/{}/playback.m3u8?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z",
        "/api/v1/cameras/{}/export.mp4?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z",
    ];
    for shape in shapes {
        for part in bad {
            let path = shape.replace("{}", part);
            let answer = rig.get(&path, &token).await;
            assert!(matches!(answer.status.as_u16(), 400 | 404), "{path}: {}", answer.status);
        }
    }
    for part in bad {
        for (method, path) in
            [("DELETE", "/api/v1/devices/"), ("DELETE", "/api/v1/users/"), ("DELETE", "/api/v1/live/")]
        {
            let path = format!("{path}{part}");
            let answer = rig.call(method.parse().expect("method"), &path, &token, "").await;
            assert!(matches!(answer.status.as_u16(), 400 | 404 | 405), "{path}: {}", answer.status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_checked_by_field() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let bad = [
        ("camera=..", "camera"),
        ("camera=%00", "camera"),
        ("kind=cat", "kind"),
        ("from=yesterday", "from"),
        ("to=1", "to"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1;DROP", "limit"),
        ("cursor=x", "cursor"),
        ("cursor='%20OR%201=1", "cursor"),
        ("camera=a&camera=b", "camera"),
        ("from=2026-05-02T00:00:00Z&to=2026-05-01T00:00:00Z", "from"),
    ];
    for (query, field) in bad {
        let problem = rig.get(&format!("/api/v1/events?{query}"), &token).await.problem(400);
        let detail = problem["detail"].as_str().expect("detail");
        assert!(detail.contains(field), "{query}: {detail}");
    }
    let good = "/api/v1/events?camera=front&kind=motion&from=2026-05-01T00:00:00%2B02:00&limit=5&cursor=9&other=1&to=";
    assert_eq!(rig.get(good, &token).await.status, 200);
    let filter = rig.fake.state().filter.clone().expect("asked");
    assert_eq!((filter.limit, filter.before.map(|e| e.0), filter.to), (5, Some(9), None));
    let missing = rig.get("/api/v1/cameras/front/timeline", &token).await.problem(400);
    assert!(missing["detail"].as_str().expect("detail").contains("from"));
    rig.get("/api/v1/cameras/front/timeline?from=0001-01-01T00:00:00Z&to=9999-01-01T00:00:00Z", &token)
        .await
        .problem(400);
    rig.get("/api/v1/cameras/front/snapshot.jpg?width=1", &token).await.problem(400);
    rig.get("/api/v1/cameras/front/playback.m3u8?from=2026-01-01T00:00:00Z&to=2026-05-01T00:00:00Z", &token)
        .await
        .problem(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_own_names_are_answered() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Admin, None);
    let auth = format!("Bearer {token}");
    for host in [
        "127.0.0.1:1",
        "localhost",
        "perch-test",
        "perch-test.local:8443",
        "CAM.example.org",
        "[::1]:8443",
        "192.0.2.1",
        "cam.example.org.:443",
    ] {
        let answer = rig.send(request("GET", "/api/v1/me", &[("host", host), ("authorization", &auth)], "")).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "",
        "evil.example:8443",
        "localhost:x",
        "a@localhost",
    ] {
        for path in ["/api/v1/me", "/", "/healthz"] {
            rig.send(request("GET", path, &[("host", host), ("authorization", &auth)], "")).await.problem(421);
        }
    }
    // The target of the request line counts as well.
    let mut stream = rig.connect().await;
    stream.write_all(b"GET https://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("answered");
    assert_eq!(&head, b"HTTP/1.1 421");
    let mut stream = rig.connect().await;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("sent");
    stream.read_exact(&mut head).await.expect("answered");
    assert_eq!(&head[8..], b" 400");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_works_only_from_the_boxs_own_page() {
    let rig = Rig::start().await;
    let own = format!("https://localhost:{}", rig.addr.port());
    let (_, token) = rig.fake.device(Role::Admin, None);
    let cookie = format!("theme=dark; __Host-perch={token}");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], u16);
    let cases: [Case<'_>; 13] = [
        ("PUT", &[("origin", &own)], 204),
        ("PUT", &[("origin", &own), ("sec-fetch-site", "same-origin")], 204),
        ("PUT", &[("sec-fetch-site", "same-origin")], 204),
        ("PUT", &[], 403),
        ("PUT", &[("origin", "https://evil.example")], 403),
        ("PUT", &[("origin", "null")], 403),
        ("PUT", &[("origin", "http://localhost")], 403),
        ("PUT", &[("origin", &own), ("sec-fetch-site", "cross-site")], 403),
        ("PUT", &[("sec-fetch-site", "same-site")], 403),
        ("PUT", &[("sec-fetch-site", "none")], 403),
        ("DELETE", &[("origin", "https://localhost:1")], 403),
        ("DELETE", &[("sec-fetch-site", "cross-site")], 403),
        ("DELETE", &[("origin", &own)], 204),
    ];
    for (method, headers, status) in cases {
        let headers = [headers, &[("cookie", cookie.as_str())]].concat();
        let answer = rig.send(request(method, "/api/v1/events/7/pin", &headers, "")).await;
        assert_eq!(answer.status, status, "{method} {headers:?}");
    }
    for (headers, status) in
        [(vec![], 200), (vec![("sec-fetch-site", "none")], 200), (vec![("sec-fetch-site", "cross-site")], 403)]
    {
        let headers = [&headers[..], &[("cookie", cookie.as_str())]].concat();
        assert_eq!(rig.send(request("GET", "/api/v1/me", &headers, "")).await.status, status, "{headers:?}");
    }
    // An app with a bearer token has no ambient credential to abuse; a stream asked for from elsewhere is refused all the same.
    let auth = format!("Bearer {token}");
    let foreign = [("authorization", auth.as_str()), ("origin", "https://evil.example")];
    assert_eq!(rig.send(request("PUT", "/api/v1/events/7/pin", &foreign, "")).await.status, 204);
    rig.send(request("GET", "/api/v1/events/stream", &foreign, "")).await.problem(403);
    let json = r#"{"username":"a","password":"b"}"#;
    // A reverse proxy may name the default port, and the browser does not.
    for (host, origin, status) in [
        ("cam.example.org:443", "https://cam.example.org", 401),
        ("cam.example.org", "https://cam.example.org:443", 401),
        ("cam.example.org:443", "https://cam.example.org:8443", 403),
        ("cam.example.org:8443", "https://cam.example.org", 403),
    ] {
        let headers = [("content-type", "application/json"), ("host", host), ("origin", origin)];
        let answer = rig.send(request("POST", "/api/v1/session", &headers, json)).await;
        assert_eq!(answer.status, status, "{host} from {origin}");
    }
    let sign_in = [("content-type", "application/json"), ("origin", "https://evil.example")];
    rig.send(request("POST", "/api/v1/session", &sign_in, json)).await.problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_at_once() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let began = Instant::now();
    for path in ["/api/v1/cameras/front/whep", "/api/v1/session", "/api/v1/pair", "/"] {
        let mut stream = rig.connect().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/sdp\r\nContent-Length: 10485760\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 413"), "{path}: {}", String::from_utf8_lossy(&answer));
    }
    // Without a length it is read up to the limit.
    let (mut reader, mut writer) = tokio::io::split(rig.connect().await);
    let head = format!(
        "POST /api/v1/cameras/front/whep HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/sdp\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    writer.write_all(head.as_bytes()).await.expect("sent");
    let send = tokio::spawn(async move {
        let chunk = [b"10000\r\n".to_vec(), vec![b'v'; 0x10000], b"\r\n".to_vec()].concat();
        for _ in 0..160 {
            if writer.write_all(&chunk).await.is_err() {
                break;
            }
        }
    });
    let mut head = [0; 12];
    reader.read_exact(&mut head).await.expect("answered");
    assert_eq!(&head, b"HTTP/1.1 413");
    send.abort();
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_do_not_go_off() {
    let rig = Rig::start().await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    rig.call(Method::POST, "/api/v1/session", "", &deep).await.problem(400);
    for body in ["{", "[]", "null", r#"{"username":1,"password":2}"#, "\u{0}"] {
        rig.call(Method::POST, "/api/v1/session", "", body).await.problem(400);
    }
    let gzip = [("content-type", "application/json"), ("content-encoding", "gzip")];
    rig.send(request("POST", "/api/v1/session", &gzip, "x")).await.problem(415);
    rig.send(request("POST", "/api/v1/session", &[("content-type", "text/plain")], "{}")).await.problem(415);
    let mut stream = rig.connect().await;
    let mut head = b"GET / HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    (0..10_000).for_each(|i| head.extend(format!("x-{i}: y\r\n").as_bytes()));
    let _ = stream.write_all(&head).await;
    let mut answer = [0; 12];
    // The answer may be lost in the reset; being served is what must not happen.
    if stream.read_exact(&mut answer).await.is_ok() {
        assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(rig.get("/healthz", "").await.status, 200, "it still answers");
}

/// Turns time on by so many seconds; each time the server does what it is time for.
async fn turn(clock: &ManualClock, seconds: u32) {
    for _ in 0..seconds {
        clock.advance(Duration::from_secs(1));
        while clock.next_wake().is_some_and(|at| at <= clock.mono()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Asks on an open connection and reads the answer, which ends with `end`.
async fn answered(stream: &mut TlsStream<TcpStream>, request: &str, end: &str) -> bool {
    let mut answer = Vec::new();
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    while !answer.ends_with(end.as_bytes()) {
        if !stream.read_buf(&mut answer).await.is_ok_and(|n| n > 0) {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_dawdles_is_closed() {
    let clock = Arc::new(ManualClock::new(now()));
    let rig = Rig::start_with(clock.clone()).await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    let mut handshake = TcpStream::connect(rig.addr).await.expect("connected");
    handshake.write_all(&[0x16, 3, 1]).await.expect("sent");
    let mut dawdling = vec![tokio::spawn(async move {
        let _ = handshake.read_to_end(&mut Vec::new()).await;
    })];
    for begin in ["GET / HTTP/1.1\r\nHost: loc", "", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut stream = rig.connect().await;
        match begin.contains("healthz") {
            // A stranger between two requests.
            true => assert!(answered(&mut stream, begin, "ok\n").await),
            false => stream.write_all(begin.as_bytes()).await.expect("sent"),
        }
        dawdling.push(tokio::spawn(async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }));
    }
    // Whoever showed a credential has more time between requests: a lease is renewed every 10 s on the same connection.
    let me = format!("GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut known = rig.connect().await;
    assert!(answered(&mut known, &me, "}").await);
    turn(&clock, 8).await;
    assert!(dawdling.iter().all(|d| !d.is_finished()), "honest slow clients get their time");
    turn(&clock, 22).await;
    for (n, closed) in dawdling.into_iter().enumerate() {
        let closed = tokio::time::timeout(Duration::from_secs(60), closed).await;
        assert!(closed.is_ok(), "connection {n} is still open");
    }
    assert!(answered(&mut known, &me, "}").await, "closed between two requests of a device");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_protects_the_browser() {
    let rig = Rig::start().await;
    for path in ["/", "/live", "/api/v1/me", "/healthz", "/assets/none.js", "/metrics"] {
        let a = rig.get(path, "").await;
        let csp = a.header("content-security-policy");
        assert!(csp.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{path}: {csp}");
        assert!(csp.contains("frame-ancestors 'none'") && !csp.contains("unsafe"), "{csp}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            // The microphone is for talking back, the camera for scanning a pairing code.
            (
                "permissions-policy",
                "geolocation=(), payment=(), usb=(), serial=(), midi=(), microphone=(self), camera=(self), \
                 fullscreen=(self), picture-in-picture=(self), autoplay=(self)",
            ),
        ] {
            assert_eq!(a.header(name), value, "{path}");
        }
        assert!(!a.header("cache-control").is_empty(), "{path}");
        assert!(a.header("server").is_empty() && a.header("access-control-allow-origin").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_knows_whether_the_box_is_claimed_and_tells_nothing_else() {
    let rig = Rig::start().await;
    for path in ["/", "/live", "/camera/front", "/pair", "/login"] {
        let page = rig.get(path, "").await;
        let text = String::from_utf8_lossy(&page.body).into_owned();
        assert_eq!(page.status, 200);
        assert!(text.contains("data-claimed=\"false\"") && !text.contains("9.9.9"), "{text}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    }
    rig.fake.device(Role::Admin, None);
    assert!(String::from_utf8_lossy(&rig.get("/", "").await.body).contains("data-claimed=\"true\""));
    for path in ["/nothing.js", "/assets/x", "/favicon.ico.php", "/%2e%2e/etc", "/..%2f"] {
        rig.get(path, "").await.problem(404);
    }
    assert_eq!(rig.get("/healthz", "").await.body, "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_errors_stay_inside() {
    let rig = Rig::start().await;
    let (_, token) = rig.fake.device(Role::Viewer, None);
    rig.fake.state().failing = true;
    let problem = rig.get("/api/v1/events", &token).await.problem(500);
    assert_eq!(problem["code"], "io");
    assert!(!problem.to_string().contains("index.db"), "{problem}");
    let health = rig.get("/healthz", "").await;
    assert_eq!((health.status, &health.body[..]), (StatusCode::SERVICE_UNAVAILABLE, &b"unavailable\n"[..]));
}
