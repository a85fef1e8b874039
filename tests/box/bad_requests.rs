//! What a box does with bad requests: paths, queries, bodies, SDP, junk on the media port, guesses, and no credential at all.

use crate::support::client::{Answer, Client};
use crate::support::home::{BoxProcess, Home, camera, otp_of};
use crate::support::whep::{Plays, Viewer};
use crate::support::{Chance, s, wait_until};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const PLAIN: &str = "audio = { source = \"test\" }\nrecord = { mode = \"off\" }\nmotion = { enabled = false }";

/// Path parts that name nothing, though elsewhere some did.
fn nasty_parts() -> Vec<String> {
    let mut parts: Vec<String> = [
        "..",
        ".",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "..%5c..%5cetc%5cpasswd",
        "..\\..\\etc",
        "%00",
        "test%00",
        "a%00.jpg",
        "%2fetc%2fpasswd",
        "%252e%252e%252fetc%252fpasswd",
        "....//....//etc/passwd",
        "/etc/passwd",
        "%c0%ae%c0%ae%c0%af",
        "%ff%fe",
        "%",
        "%zz",
        "ünïcode",
        "%F0%9F%90%A6",
        "%E2%80%AE",
        "~root",
        "$(reboot)",
        "`id`",
        "%0d%0aX: y",
        "*",
        "test;id",
        "' OR 1=1 --",
        "%27%20OR%201=1%20--",
        "-1",
        "0",
        "99999999999999999999",
        "9223372036854775807",
        "1e9",
        "NaN",
        "null",
    ]
    .map(str::to_owned)
    .to_vec();
    parts.push("a".repeat(5_000));
    parts.push("%2e%2e%2f".repeat(500));
    parts
}

/// Every route of the box's own table: method, path, permission, and whether it takes a body.
fn routes(admin: &Client) -> Vec<(String, String, String, bool)> {
    let document = admin.json("/api/openapi.json");
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let permission = operation["x-permission"].as_str().expect("a permission").to_owned();
            routes.push((
                method.to_ascii_uppercase(),
                path.clone(),
                permission,
                operation.get("requestBody").is_some(),
            ));
        }
    }
    assert!(routes.len() > 30, "{} routes", routes.len());
    routes
}

/// `path` with something for each of its `{parts}`; the one numbered `which` gets `part`.
fn fill(path: &str, which: usize, part: &str) -> String {
    let mut n = 0;
    let filled = path.split('/').map(|piece| match piece.starts_with('{') {
        false => piece.to_owned(),
        true => {
            n += 1;
            match (n - 1 == which, piece) {
                (true, _) => part.to_owned(),
                (false, "{camera}") => "test".into(),
                (false, "{file}") => "1.mp4".into(),
                (false, _) => "1".into(),
            }
        }
    });
    filled.collect::<Vec<_>>().join("/")
}

/// No bad request may be an error of the box, or show a file.
#[track_caller]
fn harmless(what: &str, answer: &Answer) {
    assert!(answer.status < 500 || [501, 503].contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    let text = answer.text();
    assert!(!text.contains("root:") && !text.contains("panicked") && !text.contains("/rustc/"), "{what}: {text}");
}

#[test]
fn bad_paths_and_queries_name_nothing() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("test", "live", s(20));
    let parts = nasty_parts();
    let mut answered = 0;
    for (method, path, _, takes_body) in routes(&admin) {
        for which in 0..path.matches('{').count() {
            for part in &parts {
                let path = fill(&path, which, part);
                let what = format!("{method} {}", path.chars().take(200).collect::<String>());
                let headers: &[(&str, &str)] = if takes_body { &[("Content-Type", "application/json")] } else { &[] };
                let body: &[u8] = if takes_body { b"{}" } else { b"" };
                // A request line that is no HTTP may be hung up on.
                let Ok(answer) = admin.try_send(&method, &path, headers, body) else { continue };
                answered += 1;
                harmless(&what, &answer);
                // `/x/..` is `/x/..` and not `/`: nothing that was asked for like this exists.
                assert!(answer.status >= 400 || part == "*", "{what}: {}", answer.status);
            }
        }
    }
    assert!(answered > 400, "{answered} answers");

    let queries = [
        ("/api/v1/events", ["camera", "kind", "from", "to", "cursor", "limit"].as_slice()),
        ("/api/v1/cameras/test/timeline", &["from", "to"]),
        ("/api/v1/cameras/test/playback.m3u8", &["from", "to"]),
        ("/api/v1/cameras/test/export.mp4", &["from", "to"]),
        ("/api/v1/cameras/test/snapshot.jpg", &["at", "width"]),
    ];
    for (path, keys) in queries {
        for key in keys {
            for part in parts.iter().filter(|p| !p.contains(' ')) {
                let url = format!("{path}?{key}={part}");
                if let Ok(answer) = admin.try_send("GET", &url, &[], b"") {
                    harmless(&url, &answer);
                }
            }
            admin.get(&format!("{path}?{key}=1&{key}=2")).problem(400);
        }
    }
    for path in [
        "/../etc/passwd",
        "/assets/../../etc/passwd",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/.git/config",
        "/perch.db",
        "/tls/ca.key",
        "/assets/%00",
    ] {
        if let Ok(answer) = running.client().try_send("GET", path, &[], b"") {
            harmless(path, &answer);
            assert!(!answer.text().contains("PRIVATE KEY") && !answer.body.starts_with(b"SQLite"), "{path}");
        }
    }
    // RTSP has paths as well.
    let password = admin.stream_password("nvr");
    for part in
        ["..", "%2e%2e/%2e%2e/etc/passwd", "test/../../etc", "test/sub/sub", "%00", "ünïcode", &"a".repeat(5_000)]
    {
        let url = running.rtsp_url("nvr", &password, part);
        assert!(crate::support::ffmpeg::probe_rtsp(&url, "tcp").is_err(), "{part}");
    }
    assert!(!running.log().contains("panicked"), "{}", running.log());
    admin.wait_for_camera("test", "live", s(1));
}

#[test]
fn ranges_are_checked_and_an_empty_one_is_no_error() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    let ask = |what: &str, from: &str, to: &str| admin.get(&format!("/api/v1/cameras/test/{what}?from={from}&to={to}"));
    for what in ["timeline", "playback.m3u8", "export.mp4"] {
        for (from, to) in [
            ("2026-05-02T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            ("yesterday", "2026-05-01T00:00:00Z"),
            ("", "2026-05-01T00:00:00Z"),
            ("-9999-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
            ("2026-02-30T00:00:00Z", "2026-03-01T00:00:00Z"),
        ] {
            let problem = ask(what, from, to).problem(400);
            assert_eq!(problem["code"], "invalid", "{what} {from} {to}: {problem}");
        }
        admin.get(&format!("/api/v1/cameras/test/{what}")).problem(400);
        admin
            .get(&format!("/api/v1/cameras/nowhere/{what}?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z"))
            .problem(404);
    }
    for (from, to) in
        [("2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z"), ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")]
    {
        let line = ask("timeline", from, to).expect(200).json();
        for key in ["spans", "gaps", "events"] {
            assert_eq!(line[key], json!([]), "{line}");
        }
        // A player gets a day and a bit; a year is refused there like any other range that is too long.
        ask("playback.m3u8", from, to).problem(if from.starts_with("2099") { 404 } else { 400 });
        ask("export.mp4", from, to).problem(404);
        assert_eq!(admin.json(&format!("/api/v1/events?from={from}&to={to}"))["events"], json!([]));
    }
    for bad in ["limit=0", "limit=-1", "limit=100000", "limit=x", "kind=../x", "camera=A%20B", "cursor=x", "from=1"] {
        admin.get(&format!("/api/v1/events?{bad}")).problem(400);
    }
}

#[test]
fn large_bodies_are_refused_at_once() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    let body = vec![b' '; 10 << 20];
    let mut tried = 0;
    for (method, path, _, _) in routes(&admin).iter().filter(|r| r.3) {
        let kind = match path.as_str() {
            p if p.ends_with("/whep") => "application/sdp",
            p if p.starts_with("/api/v1/live") => "application/trickle-ice-sdpfrag",
            _ => "application/json",
        };
        let part = if path.contains("{lease}") { "0".repeat(32) } else { "test".into() };
        let path = fill(path, 0, &part);
        let started = Instant::now();
        let answer = admin.send(method, &path, &[("Content-Type", kind)], &body);
        // A lease that does not exist is reported before its body is read; an update may be large, and this is none.
        let is_update = answer.status == 415 && path == "/api/v1/update";
        assert!(
            answer.status == 413 || (answer.status == 404 && path.contains("/live/")) || is_update,
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        assert!(started.elapsed() < s(2), "{method} {path} took {:?}", started.elapsed());
        tried += 1;
    }
    assert!(tried >= 5, "{tried} routes take a body");
    for (kind, body) in [
        ("text/plain", "{}"),
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", &"[".repeat(60_000)),
    ] {
        let answer = running.client().send("POST", "/api/v1/session", &[("Content-Type", kind)], body.as_bytes());
        assert!([400, 415, 422].contains(&answer.status), "{}", answer.text());
    }
    let many: Vec<(String, String)> = (0..5_000).map(|n| (format!("X-{n}"), "x".into())).collect();
    let many: Vec<_> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    if let Ok(answer) = admin.try_send("GET", "/api/v1/me", &many, b"") {
        assert!((400..500).contains(&answer.status), "{}", answer.status);
    }
    admin.json("/api/v1/me");
}

#[test]
fn an_offer_that_is_none_is_refused_with_a_reason() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("test", "live", s(20));
    let (_viewer, good) = Viewer::offer();
    let (_other, h265) = Viewer::playing(Plays::H265);
    let mut chance = Chance::new();
    let garbage: String = (0..4_000).map(|_| char::from(32 + chance.below(95) as u8)).collect();
    let mut cases: Vec<(String, String, &[u16])> = vec![
        ("empty".into(), String::new(), &[400]),
        ("garbage".into(), garbage, &[400]),
        ("1 MB".into(), format!("{good}{}", "a=x\r\n".repeat(200_000)), &[413]),
        ("H.265 only".into(), h265, &[415, 422, 406]),
        (
            "no candidate, no fingerprint".into(),
            good.lines().filter(|l| !l.contains("fingerprint")).map(|l| format!("{l}\r\n")).collect(),
            &[400, 422],
        ),
        (
            "an answer".into(),
            good.replace("actpass", "active").replace("recvonly", "sendonly"),
            &[201, 400, 415, 422, 406],
        ),
        (
            "thousands of candidates".into(),
            good.replace("a=end-of-candidates", &"a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n".repeat(900)),
            &[201, 400, 413, 422],
        ),
    ];
    // Every line lost, one by one, and cut short at many places: refused or answered, never an error of the box.
    let lines: Vec<&str> = good.lines().collect();
    for n in 0..lines.len() {
        let rest: String = lines.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, l)| format!("{l}\r\n")).collect();
        cases.push((format!("without {:?}", lines[n]), rest, &[201, 400, 406, 415, 422]));
    }
    for n in 1..12 {
        cases.push((format!("cut at {n}/12"), good[..good.len() * n / 12].to_owned(), &[201, 400, 406, 415, 422]));
    }
    for (what, offer, allowed) in cases {
        let started = Instant::now();
        let answer =
            admin.send("POST", "/api/v1/cameras/test/whep", &[("Content-Type", "application/sdp")], offer.as_bytes());
        harmless(&what, &answer);
        assert!(allowed.contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        assert!(started.elapsed() < s(3), "{what} took {:?}", started.elapsed());
        if answer.status == 201 {
            admin.delete(answer.header("location").expect("a lease")).expect(204);
        } else {
            let status = answer.status;
            answer.problem(status);
        }
    }
    let offer = |path: &str, kind: &str| admin.send("POST", path, &[("Content-Type", kind)], good.as_bytes());
    offer("/api/v1/cameras/test/whep", "text/plain").problem(415);
    offer("/api/v1/cameras/nowhere/whep", "application/sdp").problem(404);
    offer("/api/v1/cameras/test/whep?stream=huge", "application/sdp").problem(400);
    assert_eq!(admin.json("/api/v1/live")["sessions"], json!([]), "a refused offer leaves no session");

    let (answer, lease) = admin.whep("test", "main", &good);
    assert!(answer.contains("H264") && lease.starts_with("/api/v1/live/"));
    let fragment = |text: &str| {
        admin.send("PATCH", &lease, &[("Content-Type", "application/trickle-ice-sdpfrag")], text.as_bytes())
    };
    for text in [
        "",
        "junk",
        "a=candidate:",
        "a=candidate:1 1 udp 1 not-an-address 9 typ host",
        "a=candidate:1 1 udp 1 ::ffff:127.0.0.1 99999999 typ host",
    ] {
        let answer = fragment(text);
        harmless(text, &answer);
        assert!([200, 204, 400, 422].contains(&answer.status), "{text}: {}", answer.status);
    }
    admin.delete(&lease).expect(204);
    fragment("a=candidate:1 1 udp 1 127.0.0.1 9 typ host").problem(404);
}

#[test]
fn junk_on_the_media_port_disturbs_no_viewer() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("test", "live", s(20));
    let (mut viewer, offer) = Viewer::offer();
    // Whatever this viewer sends arrives twice, the second time from another port.
    viewer.replay_from_elsewhere();
    let (answer, _) = admin.whep("test", "main", &offer);
    viewer.accept(&answer);
    let viewer = viewer.spawn();
    viewer.wait_for_frames(15, s(10));
    let before = viewer.seen();
    let started = Instant::now();

    let sockets: Vec<_> = (0..4).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port")).collect();
    let mut chance = Chance::new();
    let mut sent = 0u64;
    while started.elapsed() < s(4) {
        for socket in &sockets {
            let length = 1 + chance.below(1_400) as usize;
            let mut packet = chance.bytes(length);
            match chance.below(8) {
                // Of each protocol that shares the port (RFC 7983), by its first byte; STUN also by its cookie.
                0 => {
                    packet.resize(20.max(packet.len() / 4 * 4), 0);
                    let length = (packet.len() - 20) as u16;
                    packet[..2].copy_from_slice(&[0, 1]);
                    packet[2..4].copy_from_slice(&length.to_be_bytes());
                    packet[4..8].copy_from_slice(&0x2112_A442u32.to_be_bytes());
                }
                1 => packet[0] = 22,
                2 => packet[0] = 0x80,
                3 => {
                    packet[0] = 0x80;
                    packet.resize(packet.len().max(12), 0);
                    packet[1] = 200;
                }
                4 => packet[0] = 64,
                5 => packet.truncate(1),
                _ => {}
            }
            // A full queue of the kernel is part of a flood.
            let _ = socket.send_to(&packet, running.udp());
            sent += 1;
        }
        // The flood is what is tested, not how fast this side makes one.
        std::thread::sleep(Duration::from_millis(1));
    }
    let flooded = started.elapsed().as_secs_f64();
    let seen = viewer.wait_for_frames(0, s(1));
    let got = (seen.frames - before.frames) as f64;
    eprintln!("{sent} junk packets in {flooded:.1} s, {got} frames meanwhile");
    assert!(sent > 2_000, "{sent} packets is no flood");
    assert!(got > flooded * 15.0 * 0.6, "{got} frames in {flooded} s of flood");
    viewer.wait_for_frames(30, s(4));
    assert!(!viewer.seen().over && !running.log().contains("panicked"));
    let sessions = admin.json("/api/v1/live");
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions}");
    let status = admin.json("/api/v1/status");
    assert!(status["memory_bytes"].as_u64().is_some_and(|bytes| bytes < 500_000_000), "{status}");
}

fn guess(client: &Client, otp: &str) -> Answer {
    client.post("/api/v1/pair", &json!({ "otp": otp, "device_name": "guesser" }))
}

/// Another code of the same length.
fn wrong(otp: &str) -> String {
    otp.chars().map(|c| if c == '9' { '0' } else { char::from(c as u8 + 1) }).collect()
}

#[test]
fn five_wrong_guesses_burn_a_code_for_everybody() {
    let home = Home::new("");
    let running = home.boot();
    let (client, otp) = (running.client(), running.otp());
    for left in (1..5).rev() {
        let problem = guess(&client, &wrong(&otp)).problem(403);
        assert_eq!(problem["tries_left"], left, "{problem}");
    }
    guess(&client, &wrong(&otp)).problem(410);
    guess(&client, &otp).problem(410);
    assert!(
        !running.log().lines().any(|l| !l.contains("One-time password") && l.contains(&otp)),
        "a code is in the log"
    );
}

#[test]
fn a_restart_gives_no_new_guesses() {
    let home = Home::new("");
    let mut running = home.boot();
    let owner = running.paired();
    let otp = otp_of(&home.run(&["pair"], "").ok());
    for left in [4, 3, 2] {
        assert_eq!(guess(&running.client(), &wrong(&otp)).problem(403)["tries_left"], left);
    }
    running.kill();
    let running = home.boot();
    assert_eq!(guess(&running.client(), &wrong(&otp)).problem(403)["tries_left"], 1);
    guess(&running.client(), &wrong(&otp)).problem(410);
    guess(&running.client(), &otp).problem(410);
    let owner = running.client().with_token(owner.token.as_deref());
    owner.json("/api/v1/me");

    // Ten codes a day: one at the first start, one above, and eight more.
    for _ in 0..8 {
        home.run(&["pair"], "").ok();
    }
    let refused = home.run(&["pair"], "");
    assert!(refused.code == Some(1) && refused.err.starts_with("perch: "), "{refused:?}");
    assert!(!refused.out.contains("One-time password"), "{refused:?}");
    let answer = owner.post("/api/v1/pairing-codes", &json!({ "role": "viewer" }));
    assert!(answer.header("retry-after").is_some_and(|s| s.parse::<u64>().is_ok()), "{:?}", answer.headers);
    answer.problem(429);
}

#[test]
fn guessing_is_slowed_down() {
    let home = Home::new("");
    let running = home.boot();
    let client = running.client();
    home.run(&["user", "add", "anna"], "correct horse battery\n").ok();
    let sign_in =
        |name: &str| client.post("/api/v1/session", &json!({ "username": name, "password": "not her password" }));
    let statuses: Vec<_> = (0..14).map(|n| sign_in(if n % 2 == 0 { "anna" } else { "nobody" })).collect();
    assert!(
        statuses.iter().take(8).all(|a| a.status == 401),
        "{:?}",
        statuses.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    let limited = statuses.last().expect("14 tries").clone();
    assert!(limited.header("retry-after").is_some(), "{:?}", limited.headers);
    limited.problem(429);
    // A name that exists and one that does not are answered alike.
    let bodies: Vec<Value> = statuses.iter().take(2).map(Answer::json).collect();
    assert_eq!(bodies[0], bodies[1]);
    let guesses: Vec<_> = (0..14).map(|_| guess(&client, "00000000").status).collect();
    assert!(guesses.contains(&429) && !guesses.contains(&201), "{guesses:?}");
}

/// The first line of the answer to an RTSP request.
fn rtsp(running: &BoxProcess, request: &str) -> String {
    let mut tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, running.ports.rtsp)).expect("RTSP answers");
    tcp.set_read_timeout(Some(s(10))).expect("not zero");
    tcp.write_all(request.as_bytes()).expect("sent");
    let mut answer = vec![0; 4096];
    let n = tcp.read(&mut answer).expect("an answer");
    let text = String::from_utf8_lossy(&answer[..n]).into_owned();
    text.lines().next().unwrap_or("").to_owned()
}

#[test]
fn nothing_answers_without_a_credential() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("test", "live", s(20));
    let (_viewer, offer) = Viewer::offer();
    let (_, lease) = admin.whep("test", "main", &offer);
    let lease = lease.rsplit('/').next().expect("an id").to_owned();
    let stranger = running.client();
    let public = [
        "POST /api/v1/pair",
        "POST /api/v1/session",
        "GET /healthz",
        "GET /api/v1/ca.pem",
        "GET /api/v1/ca.crt",
        "GET /api/v1/ca.mobileconfig",
        "GET /api/v1/trust-probe",
    ];
    let routes = routes(&admin);
    for token in [None, Some("0".repeat(64)), Some("' OR 1=1 --".to_owned()), Some(String::new())] {
        let client = stranger.with_token(token.as_deref());
        for (method, path, permission, takes_body) in &routes {
            let name = format!("{method} {path}");
            assert_eq!(permission == "public", public.contains(&name.as_str()), "{name}: {permission}");
            if permission == "public" {
                continue;
            }
            let part = if path.contains("{lease}") { lease.as_str() } else { "test" };
            let path = fill(path, 0, part);
            let (headers, body): (&[(&str, &str)], &[u8]) = match (takes_body, path.ends_with("/whep")) {
                (_, true) => (&[("Content-Type", "application/sdp")], offer.as_bytes()),
                (true, _) => (&[("Content-Type", "application/json")], b"{}"),
                _ => (&[], b""),
            };
            let answer = client.send(method, &path, headers, body);
            assert_eq!(answer.status, 401, "{name} with {token:?}: {}", answer.text());
            let problem = answer.problem(401);
            assert_eq!(problem["code"], "unauthenticated", "{name}: {problem}");
        }
        for path in ["/api/v1/nothing", "/api/", "/api/v1/cameras/nowhere"] {
            client.get(path).problem(401);
        }
    }
    // What answers to a stranger reveals nothing.
    let health = stranger.get("/healthz").expect(200);
    assert!(health.body.len() < 8, "{}", health.text());
    let page = stranger.get("/");
    // What an owner calls the box is shown to who signs in.
    for secret in [env!("CARGO_PKG_VERSION"), "Camera test"] {
        assert!(!page.text().contains(&format!("\"{secret}\"")), "the login page reveals {secret}");
    }
    // A cookie of another site's form does nothing.
    let token = admin.token.clone().expect("paired");
    let cookie = format!("__Host-perch={token}");
    let cross = stranger.send(
        "DELETE",
        &format!("/api/v1/devices/{}", admin.device),
        &[("Cookie", &cookie), ("Origin", "https://evil.example")],
        b"",
    );
    cross.problem(403);
    admin.json("/api/v1/me");
    let url = format!("/api/v1/me?token={token}&access_token={token}");
    stranger.get(&url).problem(401);

    for method in ["DESCRIBE", "SETUP", "PLAY", "ANNOUNCE", "RECORD", "GET_PARAMETER"] {
        for path in ["test", "test/sub", "nowhere", ""] {
            // With a session the first answer would be that there is no such session.
            let session = if method == "DESCRIBE" { "" } else { "Session: 1\r\n" };
            let head = format!("{method} rtsp://127.0.0.1:{}/{path} RTSP/1.0\r\nCSeq: 1\r\n", running.ports.rtsp);
            let transport = "Accept: application/sdp\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n";
            let request = format!("{head}{transport}{session}\r\n");
            let line = rtsp(&running, &request);
            let refused = ["401", "404", "405", "454", "455", "501", "400"]
                .iter()
                .any(|code| line.starts_with(&format!("RTSP/1.0 {code}")));
            assert!(refused, "{method} /{path}: {line}");
            if method == "DESCRIBE" && path.starts_with("test") {
                assert!(line.contains("401"), "{method} /{path}: {line}");
            }
        }
    }
    assert_eq!(admin.json("/api/v1/status")["rtsp_readers"], 0);
}

#[test]
fn a_viewer_may_look_and_change_nothing() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    let viewer = running.client().pair(&otp_of(&home.run(&["pair", "--role", "viewer"], "").ok()), "tablet");
    for (method, path, permission, takes_body) in routes(&admin) {
        let forbidden = ["keep", "manage_people", "manage_box"].contains(&permission.as_str());
        if !forbidden {
            continue;
        }
        let (headers, body): (&[(&str, &str)], &[u8]) =
            if takes_body { (&[("Content-Type", "application/json")], b"{}") } else { (&[], b"") };
        viewer.send(&method, &fill(&path, 0, "1"), headers, body).problem(403);
    }
    let others = viewer.delete(&format!("/api/v1/devices/{}", admin.device));
    assert!([403, 404].contains(&others.status), "{}", others.text());
    let devices = viewer.json("/api/v1/devices");
    assert_eq!(devices["devices"].as_array().map(Vec::len), Some(1), "a viewer sees itself: {devices}");
    let cameras = viewer.json("/api/v1/cameras");
    assert!(cameras["cameras"][0].get("source").is_none(), "a source may hold an address: {cameras}");
    let status = viewer.json("/api/v1/status");
    assert!(status["cameras"][0].get("source").is_none(), "{status}");
    assert!(admin.json("/api/v1/cameras")["cameras"][0].get("source").is_some());
    viewer.delete(&format!("/api/v1/devices/{}", viewer.device)).expect(204);
    wait_until("it is signed out", s(1), || (viewer.get("/api/v1/me").status == 401).then_some(()));
}

#[test]
fn slow_clients_hold_up_nobody() {
    let home = Home::new("");
    let running = home.boot();
    let admin = running.paired();
    // Connections that never say a word, and some that begin a sentence: from strangers more than one may have, and from the
    // same address as the person who waits for an answer.
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, running.ports.http));
    let from = |last: u8| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)).into()).expect("all of 127/8 is ours");
        socket.connect(&to.into()).ok().map(|()| TcpStream::from(socket))
    };
    let silent: Vec<_> = (0..400u16).filter_map(|n| from(if n < 30 { 1 } else { 2 + (n % 4) as u8 })).collect();
    let mut half = Vec::new();
    for _ in 0..10 {
        let mut tls = admin.connect().expect("connected");
        tls.write_all(b"GET /api/v1/me HTTP/1.1\r\nHost: local").expect("sent");
        half.push(tls);
    }
    let started = Instant::now();
    admin.json("/api/v1/me");
    assert!(started.elapsed() < Duration::from_secs(2), "an answer took {:?}", started.elapsed());
    drop((silent, half));
}
