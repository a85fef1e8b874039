//! A viewer of one camera at a whole box: what another camera shows, keeps and says does not exist for it, whatever way it asks.

use crate::support::client::{Answer, Client, read_head, read_line};
use crate::support::home::{BoxProcess, Home, camera};
use crate::support::whep::{Viewer, Watching};
use crate::support::{ffmpeg, s, wait_until};
use serde_json::{Value, json};
use std::io::BufReader;
use std::time::{Duration, Instant};

const PLAIN: &str = "audio = { source = \"test\" }\nrecord = { mode = \"off\" }\nmotion = { enabled = false }";
const ALWAYS: &str = "audio = { source = \"test\" }\nrecord = { mode = \"continuous\", segment_max_s = 5, post_roll_s = 2, gap_s = 2 }\nmotion = { enabled = true }";

/// A box with two cameras: at the front somebody walks by and is recorded, the yard is only watched.
fn two_cameras(home: &Home) -> (BoxProcess, Client) {
    let clip = home.dir().join("walker.mp4");
    ffmpeg::walker(&clip, 22, 8, 12);
    let front = camera("front", &format!("file:{}", clip.display()), ALWAYS);
    home.configure("", &[front, camera("yard", "test", PLAIN)].concat());
    let running = home.boot();
    let admin = running.paired();
    for id in ["front", "yard"] {
        admin.wait_for_camera(id, "live", s(30));
    }
    (running, admin)
}

/// A device that may see the yard.
fn limited(running: &BoxProcess, admin: &Client) -> Client {
    let body = json!({ "role": "viewer", "cameras": ["yard"] });
    let code = admin.post("/api/v1/pairing-codes", &body).expect(201).json();
    running.client().pair(code["otp"].as_str().expect("digits"), "tablet")
}

fn watch(client: &Client, camera: &str) -> (Watching, String) {
    let (mut viewer, offer) = Viewer::offer();
    let (answer, lease) = client.whep(camera, "main", &offer);
    viewer.accept(&answer);
    (viewer.spawn(), lease)
}

/// What stands in a path for its `{parts}`.
struct Parts<'a> {
    camera: &'a str,
    event: &'a str,
    file: &'a str,
    lease: &'a str,
}

impl Parts<'_> {
    fn fill(&self, path: &str) -> String {
        let parts =
            [("{camera}", self.camera), ("{event}", self.event), ("{file}", self.file), ("{lease}", self.lease)];
        parts.iter().fold(path.to_owned(), |p, (part, value)| p.replace(part, value))
    }
}

/// Every way in which a route is asked: method, path and query.
fn ways(method: &str, path: &str, range: &str) -> Vec<(String, String)> {
    let queries = match path.rsplit('/').next().unwrap_or_default() {
        "timeline" | "playback.m3u8" | "export.mp4" => vec![range, "", "?from=x&to=y"],
        "snapshot.jpg" => vec!["", "?width=64", "?width=1", "?at=2026-05-01T12:00:00Z"],
        "whep" => vec!["", "?stream=main", "?stream=sub", "?stream=auto", "?stream=huge"],
        _ => vec![""],
    };
    let methods = if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] };
    let both = methods.iter().flat_map(|m| queries.iter().map(|q| ((*m).to_owned(), format!("{path}{q}"))));
    both.collect()
}

/// Whether an operation of the document is open to viewers.
fn for_viewers(operation: &Value) -> bool {
    ["public", "watch", "look_back", "own", "read_status"].iter().any(|p| operation["x-permission"] == *p)
}

/// Without what differs from answer to answer by itself.
fn plain(answer: &Answer) -> (u16, Vec<String>, Vec<u8>) {
    let names = answer.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    (answer.status, names, answer.body.clone())
}

#[test]
fn another_camera_does_not_exist_for_a_viewer_of_one() {
    let home = Home::new("");
    let (running, admin) = two_cameras(&home);
    let tablet = limited(&running, &admin);
    assert_eq!(tablet.json("/api/v1/me")["cameras"], json!(["yard"]));
    let event = wait_until("an event with its still at the front", s(90), || {
        let page = admin.json("/api/v1/events?camera=front");
        page["events"].as_array()?.iter().find(|e| e["has_thumbnail"] == true && !e["end"].is_null()).cloned()
    });
    let (event, from) = (event["id"].to_string(), event["start"].as_str().expect("a time").to_owned());
    let to = admin.json("/api/v1/status")["clock"]["now"].as_str().expect("a time").to_owned();
    let range = format!("?from={from}&to={to}");
    let playlist = admin.get(&format!("/api/v1/cameras/front/playback.m3u8{range}")).expect(200).text();
    let file = playlist.split("segments/").nth(1).and_then(|t| t.split(['"', '\n']).next()).expect("a file").to_owned();
    let (viewer, lease) = watch(&admin, "front");
    viewer.wait_for_frames(5, s(15));
    let lease = lease.rsplit('/').next().expect("an id").to_owned();

    let hidden = Parts { camera: "front", event: &event, file: &file, lease: &lease };
    let none = Parts { camera: "attic", event: "1", file: "999999.mp4", lease: &"0".repeat(32) };
    let (_viewer, offer) = Viewer::offer();
    let document = admin.json("/api/openapi.json");
    let (mut asked, mut routes) = (0, 0);
    for (path, methods) in document["paths"].as_object().expect("paths") {
        if !["{camera}", "{event}", "{lease}"].iter().any(|part| path.contains(part)) {
            continue;
        }
        for (method, operation) in methods.as_object().expect("methods") {
            routes += 1;
            let viewers = for_viewers(operation);
            let (kind, body) = match path.rsplit('/').next() {
                Some("whep") => ("application/sdp", offer.as_bytes()),
                Some("picture") => ("application/json", b"{\"on\": true}".as_slice()),
                Some("{lease}") => ("application/trickle-ice-sdpfrag", b"a=end-of-candidates\r\n".as_slice()),
                _ => ("application/json", b"{}".as_slice()),
            };
            for (method, path) in ways(&method.to_ascii_uppercase(), path, &range) {
                let body = if method == "GET" || method == "HEAD" { b"" } else { body };
                let ask = |parts: &Parts| tablet.send(&method, &parts.fill(&path), &[("Content-Type", kind)], body);
                let (secret, nothing) = (ask(&hidden), ask(&none));
                let want = if viewers { 404 } else { 403 };
                assert_eq!(secret.status, want, "{method} {path}: {}", secret.text());
                assert_eq!(plain(&secret), plain(&nothing), "{method} {path}");
                asked += 2;
            }
        }
    }
    // Everything that a viewer may read and that is about no single thing; the news have no end, and are heard below,
    // and a certificate is no text.
    let no_text = ["/stream", "/trust-probe", ".pem", ".crt", ".mobileconfig"];
    let is_text = |path: &str| !path.contains('{') && !no_text.iter().any(|end| path.ends_with(end));
    let paths = document["paths"].as_object().expect("paths").iter();
    for (path, _) in paths.filter(|(path, methods)| is_text(path) && for_viewers(&methods["get"])) {
        let text = tablet.get(path).expect(200).text().to_lowercase();
        assert!(!text.contains("front") && !text.contains("walker"), "{path}: {text}");
        asked += 1;
    }
    assert_eq!(tablet.json("/api/v1/events")["events"], json!([]));
    assert_eq!(tablet.json("/api/v1/events?camera=front"), tablet.json("/api/v1/events?camera=attic"));
    eprintln!("{asked} requests over {routes} routes for another camera's objects");
    assert!(asked > 80 && routes >= 14, "{asked} requests, {routes} routes");
    // Its own is there, and nobody was disturbed.
    tablet.get("/api/v1/cameras/yard/snapshot.jpg").expect(200);
    let (own, _) = watch(&tablet, "yard");
    own.wait_for_frames(5, s(15));
    assert_eq!(tablet.json("/api/v1/live")["sessions"].as_array().map(Vec::len), Some(1));
    viewer.wait_for_frames(15, s(15));

    // News: until an administrator has heard of the front, and a little longer.
    let listen = |client: &Client, until: &'static str, within: Duration| {
        let tls = client.ask("GET", "/api/v1/events/stream", &[], b"").expect("asked");
        std::thread::spawn(move || {
            let (mut stream, started, mut heard) = (BufReader::new(tls), Instant::now(), String::new());
            assert_eq!(read_head(&mut stream).expect("a head").status, 200);
            while started.elapsed() < within && (until.is_empty() || !heard.contains(until)) {
                let Ok(line) = read_line(&mut stream) else { break };
                heard += &line;
            }
            heard
        })
    };
    let quiet = listen(&tablet, "", s(35));
    let heard = listen(&admin, "\"front\"", s(60)).join().expect("heard");
    assert!(heard.contains("\"front\""), "{heard}");
    let quiet = quiet.join().expect("heard");
    assert!(quiet.contains("connected") && !quiet.contains("front"), "{quiet}");

    let made =
        admin.post("/api/v1/stream-passwords", &json!({ "name": "nvr", "cameras": ["yard"] })).expect(201).json();
    let password = made["password"].as_str().expect("a password");
    let urls: Vec<_> = made["urls"].as_array().expect("URLs").iter().map(|u| u["camera"].clone()).collect();
    assert_eq!(urls, [json!("yard")]);
    for path in ["yard", "yard/sub"] {
        let probe = ffmpeg::probe_rtsp(&running.rtsp_url("nvr", password, path), "tcp");
        assert!(probe.as_ref().is_ok_and(|p| p.has("video:h264")), "{path}: {probe:?}");
    }
    for path in ["front", "front/sub", "attic"] {
        let refused = ffmpeg::probe_rtsp(&running.rtsp_url("nvr", password, path), "tcp").expect_err(path);
        assert!(refused.contains("404"), "{path}: {refused}");
    }
}

#[test]
fn a_narrowed_account_and_a_removed_one_see_nothing_more_at_once() {
    let home = Home::new(&[camera("front", "test", PLAIN), camera("yard", "test", PLAIN)].concat());
    let running = home.boot();
    let admin = running.paired();
    for id in ["front", "yard"] {
        admin.wait_for_camera(id, "live", s(30));
    }
    let account = json!({ "name": "anna", "password": "correct horse battery", "role": "viewer" });
    admin.post("/api/v1/users", &account).expect(201);
    let signed_in = running
        .client()
        .post("/api/v1/session", &json!({ "username": "anna", "password": "correct horse battery" }))
        .expect(204);
    let cookie = signed_in.header("set-cookie").expect("a cookie").to_owned();
    let token = cookie.split(['=', ';']).nth(1).expect("a token").to_owned();
    let anna = running.client().with_token(Some(&token));
    let (front, _) = watch(&anna, "front");
    front.wait_for_frames(5, s(15));
    let change = |body: Value| {
        admin.send("PATCH", "/api/v1/users/anna", &[("Content-Type", "application/json")], body.to_string().as_bytes())
    };
    change(json!({ "cameras": ["yard"] })).expect(200);
    wait_until("the pictures end", s(3), || front.seen().over.then_some(()));
    anna.get("/api/v1/cameras/front").problem(404);
    let (yard, _) = watch(&anna, "yard");
    yard.wait_for_frames(5, s(15));
    admin.delete("/api/v1/users/anna").expect(204);
    wait_until("the pictures end", s(3), || yard.seen().over.then_some(()));
    anna.get("/api/v1/cameras/yard").problem(401);
}
