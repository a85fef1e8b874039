//! Cameras pushed to real servers: nginx with its RTMP module, ffmpeg as RTMP and SRT server. Each is killed and started again.

use crate::settings::{patch, settings};
use crate::support::client::Client;
use crate::support::home::{Home, Ports, camera};
use crate::support::{ffmpeg, s, wait_until};
use perch_base::clock::{Clock, SystemClock};
use perch_base::time::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Sound, no recording, no motion.
const SOUND: &str = "audio = { source = \"test\" }\nrecord = { mode = \"off\" }\nmotion = { enabled = false }\n";
const SILENT: &str = "record = { mode = \"off\" }\nmotion = { enabled = false }\n";

/// Another server as a process, ended with this.
pub struct Receiver(Child);

impl Receiver {
    pub fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|e| panic!("{program}: {e}")))
    }

    /// An RTMP server at `port` that hands on what it is sent, and keeps what is sent to its application `kept`.
    pub fn nginx(dir: &Path, port: u16) -> Self {
        let conf = dir.join("nginx.conf");
        let text = format!(
            "daemon off; master_process off; error_log stderr; pid {0}/nginx.pid;\n\
             load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; wait_key on; }} \
             application kept {{ live on; record all; record_path {0}; }} }} }}\n",
            dir.display()
        );
        std::fs::write(&conf, text).expect("written");
        Self::start("nginx", &["-c", &conf.display().to_string()])
    }

    /// Whatever ffmpeg takes at `url`, three seconds of it, into a file.
    pub fn ffmpeg(options: &[&str], url: &str, file: &Path) -> Self {
        let file = file.display().to_string();
        let mut args = vec!["-v", "error", "-y"];
        args.extend(options);
        args.extend(["-i", url, "-t", "3", "-c", "copy", &file]);
        Self::start("ffmpeg", &args)
    }

    pub fn wait(mut self) -> bool {
        let ended = wait_until("the receiver has its three seconds", s(60), || self.0.try_wait().expect("its state"));
        ended.success()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How the first push of a camera is.
fn push_of(client: &Client, id: &str) -> Value {
    client.json(&format!("/api/v1/cameras/{id}"))["push"][0].clone()
}

#[track_caller]
pub fn wait_for(client: &Client, id: &str, state: &str) -> Value {
    wait_until(&format!("the push of {id} is {state}"), s(60), || {
        Some(push_of(client, id)).filter(|push| push["state"] == state)
    })
}

#[test]
fn rtmp_is_taken_by_nginx_and_goes_on_after_it_was_gone() {
    let (port, dir) = (Ports::free().http, tempfile::tempdir().expect("a folder"));
    let [with, without] =
        ["with-S3CRETKEY", "without-S3CRETKEY"].map(|key| format!("rtmp://127.0.0.1:{port}/live/{key}"));
    let push = |url: &str| format!("push = [{{ url = \"{url}\" }}]\n");
    let cameras = [
        camera("sound", "test", &format!("{SOUND}{}", push(&with))),
        camera("silent", "test", &format!("{SILENT}{}", push(&without))),
    ];
    let home = Home::new(&cameras.concat());
    let running = home.boot();
    let client = running.paired();
    let failing = wait_for(&client, "sound", "failing");
    assert!(failing["reason"].as_str().is_some_and(|why| why.contains("127.0.0.1 cannot be reached")), "{failing}");
    let status = client.json("/api/v1/status");
    assert!(
        status["sentence"].as_str().is_some_and(|said| said.contains("is not pushed to rtmp://127.0.0.1")),
        "{status}"
    );

    for round in 0..2 {
        let nginx = Receiver::nginx(dir.path(), port);
        for (id, url) in [("sound", &with), ("silent", &without)] {
            wait_for(&client, id, "sending");
            let probe =
                ffmpeg::probe(url, &["-rw_timeout", "20000000"]).unwrap_or_else(|e| panic!("{id} {round}: {e}"));
            assert!(probe.has("video:h264") && probe.has("audio:aac") && probe.width == 320, "{id} {round}: {probe:?}");
        }
        let file = dir.path().join(format!("{round}.flv"));
        assert!(Receiver::ffmpeg(&[], &with, &file).wait(), "read");
        let pictures = ffmpeg::decode(&file.display().to_string(), &[]);
        assert!(pictures >= 30, "{round}: {pictures} pictures of 45 in three seconds");
        assert!(push_of(&client, "sound")["bytes_sent"].as_u64() > Some(10_000));
        drop(nginx);
        let failing = wait_for(&client, "sound", "failing");
        assert_eq!(failing["to"], format!("rtmp://127.0.0.1:{port}/…"));
    }
    let said = [running.log(), client.json("/api/v1/status").to_string(), client.json("/api/v1/settings").to_string()];
    assert!(said.iter().all(|said| !said.contains("S3CRET")), "{said:?}");
}

/// Killed and started again, `listens` gets three seconds each time that decode.
fn taken_twice(camera: &str, url: &str, listens: impl Fn(&Path) -> Receiver, sound: &str) {
    let home = Home::new(camera);
    let running = home.boot();
    let client = running.paired();
    client.wait_for_camera("a", "live", s(30));
    for round in 0..2 {
        let file: PathBuf = home.dir().join(format!("{round}.mkv"));
        assert!(listens(&file).wait(), "{url} {round}: {}", push_of(&client, "a"));
        let probe = ffmpeg::probe(&file.display().to_string(), &[]).unwrap_or_else(|e| panic!("{url} {round}: {e}"));
        assert!(probe.has("video:h264") && probe.width == 320, "{url} {round}: {probe:?}");
        assert!(probe.has(sound), "{url} {round}: {probe:?}");
        let pictures = ffmpeg::decode(&file.display().to_string(), &[]);
        assert!(pictures >= 20, "{url} {round}: {pictures} pictures of 45 in three seconds");
        // It has ended; while nobody listens, that is said.
        let failing = wait_for(&client, "a", "failing");
        assert!(failing["reason"].as_str().is_some_and(|why| why.starts_with("127.0.0.1 ")), "{failing}");
    }
    assert!(!running.log().contains("S3CRET"), "{}", running.log());
}

#[test]
fn ffmpeg_takes_rtmp() {
    let url = format!("rtmp://127.0.0.1:{}/live/S3CRET", Ports::free().http);
    let camera = camera("a", "test", &format!("{SILENT}push = [{{ url = \"{url}\" }}]\n"));
    taken_twice(&camera, &url, |file| Receiver::ffmpeg(&["-listen", "1"], &url, file), "audio:aac");
}

#[test]
fn ffmpeg_takes_srt_encrypted() {
    let url = format!("srt://127.0.0.1:{}?passphrase=S3CRET-0123456789", Ports::free().udp);
    let camera = camera("a", "test", &format!("{SOUND}push = [{{ url = \"{url}\" }}]\n"));
    let listens = format!("{url}&mode=listener");
    taken_twice(&camera, &url, |file| Receiver::ffmpeg(&[], &listens, file), "audio:aac");
}

#[test]
fn targets_come_and_go_by_the_settings_while_others_go_on() {
    let (port, dir) = (Ports::free().http, tempfile::tempdir().expect("a folder"));
    let _nginx = Receiver::nginx(dir.path(), port);
    let home = Home::new(&camera("a", "test", SILENT));
    let running = home.boot();
    let client = running.paired();
    let url = |key: &str| format!("rtmp://127.0.0.1:{port}/live/{key}");
    let change = |push: &Value| {
        let (_, tag) = settings(&client);
        patch(&client, "/api/v1/cameras/a", &tag, &json!({ "push": push }))
    };
    let kept = || settings(&client).0["camera"][0]["push"].clone();
    change(&json!([{ "url": url("S3CRET-one") }])).expect(200);
    wait_for(&client, "a", "sending");
    let first = kept();
    assert_eq!(first[0]["url"], url("{password}"), "{first}");
    let text = home.config_text();
    assert!(!text.contains("S3CRET") && text.contains("password_file"), "{text}");

    // What was read is handed back with one more.
    let restarts = || {
        let tasks = client.json("/api/v1/status")["tasks"].clone();
        let task = tasks.as_array().into_iter().flatten().find(|t| t["name"] == "push 1 a").cloned();
        task.expect("it is there")["restarts"].clone()
    };
    let before = restarts();
    let mut both = first.clone();
    both.as_array_mut().expect("a list").push(json!({ "url": url("S3CRET-two"), "stream": "sub" }));
    change(&both).expect(200);
    wait_until("both are pushed", s(30), || {
        let pushed = client.json("/api/v1/cameras/a")["push"].clone();
        pushed.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|p| p["state"] == "sending")).then_some(())
    });
    assert_eq!(restarts(), before, "the first goes on");
    let small = ffmpeg::probe(&url("S3CRET-two"), &["-rw_timeout", "20000000"]).expect("the small stream");
    assert_eq!(small.width, 160);

    // A file that is somebody else's is not sent anywhere, and what is not whole is refused.
    let file = first[0]["password_file"].clone();
    for bad in [
        json!([{ "url": "rtmp://elsewhere/live/{password}", "password_file": file }]),
        json!([{ "url": "rtmp://elsewhere/live/{password}" }]),
        json!([{ "url": "exec:sh" }]),
        json!([{ "url": "file:///etc/shadow" }]),
        json!([{ "url": url("x ! filesink location=/tmp/x") }]),
    ] {
        let said = change(&bad).expect(400).json().to_string();
        assert!(!said.contains("shadow"), "{said}");
    }
    change(&json!([kept()[1]])).expect(200);
    wait_until("the second alone is left", s(30), || {
        let pushed = client.json("/api/v1/cameras/a")["push"].clone();
        pushed
            .as_array()
            .is_some_and(|all| all.len() == 1 && all[0]["stream"] == "sub" && all[0]["state"] == "sending")
            .then_some(())
    });
    change(&json!([])).expect(200);
    assert!(client.json("/api/v1/cameras/a").get("push").is_none());
    assert!(!running.log().contains("S3CRET"), "{}", running.log());
}

/// From when to when there is something recorded of the camera `a`, once it is so much in all.
fn recorded(client: &Client, least: Duration) -> (String, String) {
    let now = SystemClock.utc();
    let (from, to) = (now.plus_micros(-3_600_000_000), now.plus_micros(3_600_000_000));
    let path = format!("/api/v1/cameras/a/timeline?from={from}&to={to}");
    wait_until("so much is recorded", s(60), || {
        let spans = client.json(&path)["spans"].as_array().cloned()?;
        let at = |span: &Value, end: &str| Timestamp::parse(span[end].as_str().unwrap_or_default()).expect("a time");
        let lasts_us: i64 = spans.iter().map(|span| at(span, "end").micros_since(at(span, "start"))).sum();
        let ends = (at(spans.first()?, "start").to_string(), at(spans.last()?, "end").to_string());
        (lasts_us >= least.as_micros() as i64).then_some(ends)
    })
}

/// Switches the camera `a` off, or on again.
fn switch_off(client: &Client, off: bool) {
    let body = json!({ "on": off, "cameras": ["a"] }).to_string();
    client.send("PUT", "/api/v1/privacy", &[("content-type", "application/json")], body.as_bytes()).expect(200);
}

/// How the push of a recording is that was begun last.
fn range_push(client: &Client) -> Value {
    client.json("/api/v1/cameras/a/push-range")["pushes"][0].clone()
}

#[test]
fn a_recorded_range_is_sent_to_nginx_at_its_own_pace_without_its_gaps() {
    let (port, dir) = (Ports::free().http, tempfile::tempdir().expect("a folder"));
    let _nginx = Receiver::nginx(dir.path(), port);
    let continuous =
        "audio = { source = \"test\" }\nrecord = { mode = \"continuous\" }\nmotion = { enabled = false }\n";
    let home = Home::new(&camera("a", "test", continuous));
    let running = home.boot();
    let client = running.paired();
    recorded(&client, s(4));
    // A gap: the camera is off for a while.
    for on in [true, false] {
        switch_off(&client, on);
        let state = if on { "off" } else { "live" };
        client.wait_for_camera("a", state, s(30));
        // It is off for long enough to be a gap.
        let since = Instant::now();
        wait_until("a gap", s(30), || Some(()).filter(|()| !on || since.elapsed() >= s(2)));
    }
    let (from, to) = recorded(&client, s(8));
    switch_off(&client, true);
    client.wait_for_camera("a", "off", s(30));

    let url = format!("rtmp://127.0.0.1:{port}/kept/S3CRETKEY");
    let begun = client.post("/api/v1/cameras/a/push-range", &json!({ "from": from, "to": to, "url": url }));
    let begun = begun.expect(201).json();
    let began = Instant::now();
    let sent = wait_until("it is sent", s(90), || {
        let push = range_push(&client);
        assert_ne!(push["state"], "failed", "{push}");
        Some(push).filter(|push| push["state"] == "sent")
    });
    let took = began.elapsed();
    let recorded_s = begun["recorded_ms"].as_u64().expect("a number") as f64 / 1000.0;
    assert!(took.as_secs_f64() > recorded_s * 0.8, "at its own pace: {recorded_s} s in {took:?}");
    assert_eq!(sent["gaps"], 1, "{sent}");
    assert!(sent["sentence"].as_str().is_some_and(|said| said.contains("is left out")), "{sent}");

    // What was received is what an export of it is.
    let export = home.dir().join("export.mp4");
    let mp4 = client.get(&format!("/api/v1/cameras/a/export.mp4?from={from}&to={to}")).expect(200);
    std::fs::write(&export, &mp4.body).expect("written");
    let files = || std::fs::read_dir(dir.path()).expect("there").flatten().map(|entry| entry.path());
    let kept = files().find(|path| path.extension().is_some_and(|end| end == "flv")).expect("nginx kept it");
    let [kept, export] = [kept, export].map(|path| path.display().to_string());
    let exported = ffmpeg::decode(&export, &[]);
    wait_until(&format!("nginx has written all of {exported} pictures"), s(20), || {
        (ffmpeg::frames(Path::new(&kept)).len() as u64 >= exported).then_some(())
    });
    let received = ffmpeg::decode(&kept, &[]);
    let [got, want] = [&kept, &export].map(|file| ffmpeg::probe(file, &[]).unwrap_or_else(|e| panic!("{file}: {e}")));
    assert!(got.has("video:h264") && got.has("audio:aac") && got.width == want.width, "{got:?}");
    println!("{received} pictures of {exported}; {:?} of {:?} s", got.duration, want.duration);
    assert_eq!(received, exported, "every picture");
    assert!((got.duration - want.duration).abs() < 1.5, "{got:?} {want:?}");

    // One that is stopped, one that nobody takes.
    let ask = |url: &str| json!({ "from": from, "to": to, "url": url });
    let at = |push: &Value| format!("/api/v1/cameras/a/push-range/{}", push["id"]);
    let second = client.post("/api/v1/cameras/a/push-range", &ask(&url)).expect(201).json();
    wait_until("it is sent", s(30), || Some(()).filter(|()| range_push(&client)["state"] == "sending"));
    client.delete(&at(&second)).expect(204);
    let stopped = wait_until("it stops", s(10), || Some(range_push(&client)).filter(|push| push["state"] == "stopped"));
    assert!(stopped["sentence"].as_str().is_some_and(|said| said.starts_with("It was stopped after")), "{stopped}");

    // It ends with the access of who began it.
    let code = client.post("/api/v1/pairing-codes", &json!({ "role": "admin" })).expect(201).json();
    let guest = running.client().pair(code["otp"].as_str().expect("a code"), "guest");
    guest.post("/api/v1/cameras/a/push-range", &ask(&url)).expect(201);
    wait_until("it is sent", s(30), || Some(()).filter(|()| range_push(&client)["state"] == "sending"));
    let guest = guest.json("/api/v1/me")["device_id"].as_str().expect("its id").to_owned();
    client.delete(&format!("/api/v1/devices/{guest}")).expect(204);
    let revoked = Instant::now();
    wait_until("it ends", s(5), || Some(()).filter(|()| range_push(&client)["state"] == "stopped"));
    println!("it ended {:?} after the revocation", revoked.elapsed());

    let nobody = format!("rtmp://127.0.0.1:{}/live/S3CRETKEY", Ports::free().http);
    client.post("/api/v1/cameras/a/push-range", &ask(&nobody)).expect(201);
    let failed = wait_until("it fails", s(40), || Some(range_push(&client)).filter(|push| push["state"] == "failed"));
    assert!(failed["sentence"].as_str().is_some_and(|said| said.contains("127.0.0.1 cannot be reached")), "{failed}");
    client.delete(&at(&failed)).expect(204);
    let told = [running.log(), client.json("/api/v1/status").to_string(), range_push(&client).to_string()];
    assert!(told.iter().all(|told| !told.contains("S3CRET")), "{told:?}");
}
