//! Cameras pushed to real servers: nginx with its RTMP module, ffmpeg as RTMP and SRT server. Each is killed and started again.

use crate::settings::{patch, settings};
use crate::support::client::Client;
use crate::support::home::{Home, Ports, camera};
use crate::support::{ffmpeg, s, wait_until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Sound, no recording, no motion.
const SOUND: &str = "audio = { source = \"test\" }\nrecord = { mode = \"off\" }\nmotion = { enabled = false }\n";
const SILENT: &str = "record = { mode = \"off\" }\nmotion = { enabled = false }\n";

/// Another server as a process, ended with this.
struct Receiver(Child);

impl Receiver {
    fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|e| panic!("{program}: {e}")))
    }

    /// An RTMP server at `port` that hands on what it is sent.
    fn nginx(dir: &Path, port: u16) -> Self {
        let conf = dir.join("nginx.conf");
        let text = format!(
            "daemon off; master_process off; error_log stderr; pid {0}/nginx.pid;\n\
             load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; wait_key on; }} }} }}\n",
            dir.display()
        );
        std::fs::write(&conf, text).expect("written");
        Self::start("nginx", &["-c", &conf.display().to_string()])
    }

    /// Whatever ffmpeg takes at `url`, three seconds of it, into a file.
    fn ffmpeg(options: &[&str], url: &str, file: &Path) -> Self {
        let file = file.display().to_string();
        let mut args = vec!["-v", "error", "-y"];
        args.extend(options);
        args.extend(["-i", url, "-t", "3", "-c", "copy", &file]);
        Self::start("ffmpeg", &args)
    }

    fn wait(mut self) -> bool {
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
fn wait_for(client: &Client, id: &str, state: &str) -> Value {
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
