//! Live pictures over HTTPS of a whole box, read by real players; and that nothing that is sent over HTTPS outlives the right to it by a second.

use crate::support::client::{Client, read_head};
use crate::support::ffmpeg;
use crate::support::home::{Home, camera};
use crate::support::{s, wait_until};
use perch_test_cameras::{Camera, find};
use std::io::{BufReader, Read};
use std::thread;
use std::time::Instant;

const PLAIN: &str = "audio = { source = \"test\" }\nrecord = { mode = \"off\" }\nmotion = { enabled = false }";

/// What ffmpeg needs to ask as this client.
fn credential(client: &Client) -> [String; 4] {
    let token = client.token.as_deref().expect("paired");
    ["-tls_verify".into(), "0".into(), "-headers".into(), format!("Authorization: Bearer {token}\r\n")]
}

/// The addresses of the parts that a playlist holds.
fn parts(playlist: &str) -> Vec<&str> {
    let lines = playlist.lines().filter(|line| line.starts_with("#EXT-X-PART:"));
    lines.filter_map(|line| line.split('"').nth(1)).collect()
}

/// The number of the segment and of the part that a playlist announces.
fn announced(playlist: &str) -> (u64, u32) {
    let line = playlist.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).expect("announced");
    let name = line.rsplit('/').next().and_then(|name| name.strip_suffix(".m4s\"")).expect("a part");
    let (segment, part) = name.split_once('.').expect("a part");
    (segment.parse().expect("a number"), part.parse().expect("a number"))
}

#[test]
fn players_without_webrtc_watch_what_is_recorded_nowhere() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    let [verify, no, headers, token] = &credential(&admin);
    let options = [verify.as_str(), no, headers, token];
    for (query, width, has_sound) in [("", 320, true), ("?stream=sub", 160, true), ("?sound=off", 320, false)] {
        let url = format!("https://localhost:{}/api/v1/cameras/front/live.m3u8{query}", home.ports.http);
        let probe = ffmpeg::probe(&url, &options).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert!(probe.has("video:h264") && probe.has("audio:opus") == has_sound, "{query}: {probe:?}");
        assert_eq!(probe.width, width, "{query}");
    }
    let url = format!("https://localhost:{}/api/v1/cameras/front/live.m3u8", home.ports.http);
    let pictures = ffmpeg::decode(&url, &[&options[..], &["-t", "3"]].concat());
    println!("ffmpeg decoded {pictures} pictures in 3 s of low-latency HLS without a fault");
    assert!(pictures >= 25, "{pictures}");
    assert!(home.recordings("front").is_empty(), "nothing is recorded");

    // A player that follows is answered with each part as it comes.
    let list = |query: &str| admin.get(&format!("/api/v1/cameras/front/live.m3u8{query}")).expect(200).text();
    let mut playlist = list("");
    let mut waits = Vec::new();
    for _ in 0..10 {
        let (segment, part) = announced(&playlist);
        let asked = Instant::now();
        playlist = list(&format!("?_HLS_msn={segment}&_HLS_part={part}"));
        waits.push(asked.elapsed());
        assert!(announced(&playlist) > (segment, part), "{segment}.{part}: {playlist}");
    }
    println!("blocking reloads took {waits:?}");
    let longest = waits.iter().max().expect("some");
    assert!(*longest < s(2), "{waits:?}");
    // Each part that is listed is there, and the one that is announced comes.
    let all = parts(&playlist);
    assert!(all.len() >= 3, "{playlist}");
    for uri in all {
        let piece = admin.get(&format!("/api/v1/cameras/front/{uri}")).expect(200).body;
        assert_eq!(&piece[4..8], b"moof", "{uri}");
    }
    let (segment, part) = announced(&list(""));
    let next = admin.get(&format!("/api/v1/cameras/front/live/main/{segment}.{part}.m4s")).expect(200);
    assert_eq!(&next.body[4..8], b"moof");
    admin.get(&format!("/api/v1/cameras/front/live.m3u8?_HLS_msn={}", segment + 9)).problem(400);
    admin.get("/api/v1/cameras/front/live/main/1.m4s").problem(404);

    // Who watches is known, and gone soon after it has gone.
    let viewers = || admin.json("/api/v1/live")["over_https"].as_array().expect("a list").clone();
    let streams: Vec<_> = viewers().iter().map(|v| v["stream"].as_str().expect("a word").to_owned()).collect();
    assert!(streams.contains(&"main".to_owned()), "{streams:?}");
    wait_until("nobody watches", s(30), || viewers().is_empty().then_some(()));
    let sub_active = || admin.camera("front")["capture"]["sub_active"].as_bool().expect("a flag");
    wait_until("the small stream is encoded no more", s(30), || (!sub_active()).then_some(()));
}

/// A camera that sends H.265: players that ask for its large stream get that as it comes, all others the small one in H.264.
#[test]
fn an_h265_camera_is_watched_over_https() {
    let camera = Camera::start(find("h265").expect("a case")).expect("starts");
    let home = Home::new(&format!(
        "[[camera]]\nid = \"yard\"\nsource = {:?}\nsub = {{ width = 160, height = 90 }}\nrecord = {{ mode = \"off\" }}\n\
         motion = {{ enabled = false }}\n",
        camera.url()
    ));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("yard", "live", s(60));
    let [verify, no, headers, token] = &credential(&admin);
    let options = [verify.as_str(), no, headers, token];
    let url = format!("https://localhost:{}/api/v1/cameras/yard/live.m3u8", home.ports.http);
    for (query, codec, width) in [("?stream=main", "video:hevc", 320), ("", "video:h264", 160)] {
        let probe = ffmpeg::probe(&format!("{url}{query}"), &options).unwrap_or_else(|e| panic!("{query}: {e}"));
        assert!(probe.has(codec) && probe.width == width, "{query}: {probe:?}");
        let pictures = ffmpeg::decode(&format!("{url}{query}"), &[&options[..], &["-t", "3"]].concat());
        println!("ffmpeg decoded {pictures} pictures in 3 s of {codec} by HLS without a fault");
        assert!(pictures >= 25, "{query}: {pictures}");
    }
    let token = admin.token.as_deref().expect("paired");
    let url = format!("https://tablet:{token}@localhost:{}/api/v1/cameras/yard/stream.mjpeg", home.ports.http);
    assert_eq!(ffmpeg::grey(&url, &["-tls_verify", "0", "-f", "mpjpeg"], 3).len(), 3, "MJPEG");
}

/// The doctor has pictures of a camera packaged, and is nobody who watches.
#[test]
fn the_doctor_tries_pictures_over_https() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let port = home.ports.http;
    let text = home.config_text();
    home.write_config(
        &text.replace(&format!("listen = \"127.0.0.1:{port}\""), &format!("listen = \"0.0.0.0:{port}\"")),
    );
    let running = home.boot();
    let admin = running.paired();
    let hls = |said: &serde_json::Value| {
        let ways = said["ways"].as_array().expect("a list");
        ways.iter().find(|way| way["way"] == "hls").cloned().expect("told of")
    };
    admin.wait_for_camera("front", "live", s(30));
    let found = hls(&admin.json("/api/v1/doctor/live"));
    let says = found["says"].as_str().expect("a sentence");
    assert!(
        found["works"] == true && says.ends_with("those of Camera front came") && says.contains(&port.to_string()),
        "{found}"
    );
    assert_eq!(admin.json("/api/v1/live")["over_https"], serde_json::json!([]));
    // From beside the box it is seen whether the page answers.
    let said = home.run(&["doctor", "live"], "").ok();
    assert!(said.contains(&format!("yes  Over HTTPS      whoever reaches the page, at port {port}")), "{said}");
    drop(running);
    let said = home.run(&["doctor", "live"], "").ok();
    assert!(said.contains(&format!("no   Over HTTPS      the page does not answer at port {port}")), "{said}");
}

/// Over HTTPS as many watch as the settings say, from the moment on that they say it.
#[test]
fn the_owners_limits_hold_over_https() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    let watch = |stream: &str| admin.get(&format!("/api/v1/cameras/front/live.m3u8?stream={stream}"));
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let allow = |views: u32| {
        let body = format!("{{\"webrtc\": {{\"max_viewers_per_person\": {views}}}}}");
        admin.send("PATCH", "/api/v1/settings", &headers, body.as_bytes()).expect(200);
    };
    allow(1);
    watch("main").expect(200);
    let said = watch("sub").problem(503);
    assert!(
        said["detail"].as_str().is_some_and(|said| said.starts_with("Your devices have 1 live view open")),
        "{said}"
    );
    allow(2);
    watch("main").expect(200);
    watch("sub").expect(200);
}

#[test]
fn old_tablets_watch_mjpeg_with_a_name_and_a_password() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    let token = admin.token.as_deref().expect("paired");
    let url = format!("https://tablet:{token}@localhost:{}/api/v1/cameras/front/stream.mjpeg", home.ports.http);
    let read = |fps: u32, seconds: &str| {
        let options = ["-tls_verify", "0", "-f", "mpjpeg", "-use_wallclock_as_timestamps", "1", "-t", seconds];
        ffmpeg::decode(&format!("{url}?fps={fps}"), &options)
    };
    // Both are served by one encoder.
    let (fast, slow) = thread::scope(|scope| {
        let fast = scope.spawn(|| read(5, "4"));
        let slow = scope.spawn(|| read(1, "4"));
        (fast.join().expect("no panic"), slow.join().expect("no panic"))
    });
    println!("ffmpeg took {fast} pictures in 4 s at 5 a second and {slow} at 1 a second");
    assert!((12..=21).contains(&fast) && (3..=6).contains(&slow), "{fast} {slow}");
    let sub_active = || admin.camera("front")["capture"]["sub_active"].as_bool().expect("a flag");
    wait_until("the small stream is encoded no more", s(30), || (!sub_active()).then_some(()));
    assert!(admin.json("/api/v1/live")["over_https"].as_array().expect("a list").is_empty());
}

#[test]
fn nothing_of_before_is_left_when_a_camera_was_off() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    let list = || admin.get("/api/v1/cameras/front/live.m3u8").expect(200).text();
    let before = list();
    let off = |on: bool| {
        let body = format!("{{\"on\":{on}}}");
        let headers = [("content-type", "application/json")];
        admin.send("PUT", "/api/v1/privacy", &headers, body.as_bytes()).expect(200);
    };
    off(true);
    admin.get("/api/v1/cameras/front/live.m3u8").problem(503);
    for uri in parts(&before) {
        admin.get(&format!("/api/v1/cameras/front/{uri}")).problem(503);
    }
    off(false);
    admin.wait_for_camera("front", "live", s(30));
    let after = list();
    for uri in parts(&before) {
        assert!(!after.contains(uri), "{uri}: {after}");
        admin.get(&format!("/api/v1/cameras/front/{uri}")).problem(404);
    }
}

/// Reads an answer until it ends or breaks off; when the last byte came.
fn last_byte(client: &Client, path: &str) -> (u64, Instant) {
    let mut stream = BufReader::new(client.ask("GET", path, &[], b"").expect("asked"));
    let head = read_head(&mut stream).expect("a head");
    assert_eq!(head.status, 200, "{path}");
    let (mut buffer, mut bytes, mut last) = (vec![0; 16 * 1024], 0, Instant::now());
    while let Ok(n) = stream.read(&mut buffer) {
        if n == 0 {
            break;
        }
        (bytes, last) = (bytes + n as u64, Instant::now());
    }
    (bytes, last)
}

/// Follows a playlist part by part until it is refused; when the last answer with pictures came.
fn last_part(client: &Client) -> (u64, Instant) {
    let (mut n, mut last) = (0, Instant::now());
    let get = |path: String| client.try_send("GET", &path, &[], b"").ok().filter(|answer| answer.status == 200);
    let mut query = String::new();
    while let Some(playlist) = get(format!("/api/v1/cameras/front/live.m3u8{query}")) {
        let (segment, part) = announced(&playlist.text());
        query = format!("?_HLS_msn={segment}&_HLS_part={part}");
        if get(format!("/api/v1/cameras/front/live/main/{segment}.{part}.m4s")).is_some() {
            (n, last) = (n + 1, Instant::now());
        }
    }
    (n, last)
}

#[test]
fn over_https_nothing_goes_on_for_a_second_without_the_right_to_it() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    type Reads = fn(&Client) -> (u64, Instant);
    let hls: Reads = last_part;
    let mjpeg: Reads = |client| last_byte(client, "/api/v1/cameras/front/stream.mjpeg?fps=5");
    let news: Reads = |client| last_byte(client, "/api/v1/events/stream");
    for (way, method, path) in [("revoked", "DELETE", ""), ("cut off", "PUT", "/cut-off")] {
        for (name, reads) in [("HLS", hls), ("MJPEG", mjpeg), ("news", news)] {
            let code = admin.post("/api/v1/pairing-codes", &serde_json::json!({ "role": "viewer" })).expect(201).json();
            let viewer = running.client().pair(code["otp"].as_str().expect("a code"), name);
            let device = viewer.device.clone();
            let reading = thread::spawn(move || reads(&viewer));
            thread::sleep(s(2));
            let asked = Instant::now();
            let done = admin.send(method, &format!("/api/v1/devices/{device}{path}"), &[], b"");
            assert!(done.status < 300, "{}", done.text());
            let (got, last) = reading.join().expect("no panic");
            let after = last.saturating_duration_since(asked);
            println!("{name}: {way} after {got}; the last came {after:?} after that was asked for");
            assert!(got > 0 && after < s(1), "{name}, {way}: {after:?}");
        }
    }
}
