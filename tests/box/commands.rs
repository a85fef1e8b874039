//! Every `perch` command beside a running box, as a person at its console types them.

use crate::support::client::Client;
use crate::support::ffmpeg;
use crate::support::home::{Home, Ran, camera, otp_of, perch};
use crate::support::{s, wait_until};
use perch_base::clock::{Clock, SystemClock};
use serde_json::Value;

const PLAIN: &str = "audio = { source = \"test\" }\nrecord = { mode = \"off\" }\nmotion = { enabled = false }";

#[test]
fn check_says_what_is_good_and_what_to_fix() {
    let home = Home::new(&camera("front", "test", ""));
    let out = home.run(&["check"], "").ok();
    assert!(out.contains("front (test)") && out.contains("encoder") && out.contains("GB free"), "{out}");
    assert!(!home.data().exists(), "a check changes nothing");
    assert!(!out.contains("in use"), "{out}");
    let holder = std::net::TcpListener::bind(("127.0.0.1", home.ports.rtsp)).expect("free");
    let out = home.run(&["check"], "").ok();
    assert!(out.contains(&format!("rtsp.listen 127.0.0.1:{} is in use", home.ports.rtsp)), "{out}");
    drop(holder);

    home.configure(
        "",
        &[camera("gone", "file:/no/such/clip.mp4", ""), camera("usb", "v4l2:/dev/video97", "")].concat(),
    );
    let ran = home.run(&["check"], "");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("there is no such file") && ran.out.contains("/dev/video97 is not there"), "{}", ran.out);
    assert!(ran.out.contains("Things to fix: 2"), "{}", ran.out);

    home.configure("[htpp]\nlisten = 3", &camera("front", "test", "codec = \"h266\""));
    let ran = home.run(&["check"], "");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("htpp") && ran.err.contains("codec = \"h266\""), "{}", ran.err);

    let ran = Ran::of(perch(&["check", "--config", "/no/such/perch.toml"]), "");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("/no/such/perch.toml cannot be read"), "{}", ran.err);
}

#[test]
fn check_names_the_file_that_it_found_by_itself() {
    let home = Home::new(&camera("front", "test", ""));
    let dir = tempfile::tempdir().expect("a folder");
    let check = || {
        let mut command = perch(&["check"]);
        command.current_dir(dir.path());
        Ran::of(command, "").out
    };
    let out = check();
    assert!(out.contains("no file given, and none in ./perch-data: one test camera"), "{out}");
    std::fs::create_dir(dir.path().join("perch-data")).expect("made");
    std::fs::copy(home.config(), dir.path().join("perch-data/perch.toml")).expect("copied");
    let out = check();
    assert!(out.contains("perch-data/perch.toml is valid; cameras: 1") && !out.contains("no file given"), "{out}");
}

#[test]
fn commands_end_quietly_when_nobody_reads_on() {
    let home = Home::new(&camera("front", "test", ""));
    let deaf = || {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        writer
    };
    let out = home.command(&["check"]).stdout(deaf()).output().expect("it ends");
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!((out.status.code(), &*err), (Some(0), ""));
    // What goes wrong has its exit code though nobody hears of it.
    let mut command = perch(&["check", "--config", "/no/such/perch.toml"]);
    let status = command.stdout(deaf()).stderr(deaf()).status().expect("it ends");
    assert_eq!(status.code(), Some(2));
}

#[test]
fn pair_prints_a_code_that_works_at_the_running_box() {
    let home = Home::new("");
    let ran = home.run(&["pair"], "");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("perch run"), "it says what to do first: {}", ran.err);

    let running = home.boot();
    let admin = running.paired();
    assert_eq!(admin.json("/api/v1/me")["role"], "admin");
    assert_eq!(admin.json("/api/v1/me")["ca_sha256"], running.ca_sha256().as_str());

    let out = home.run(&["pair", "--role", "viewer"], "").ok();
    assert!(out.contains('█') && out.contains(&format!("http://localhost:{}", running.ports.plain)), "{out}");
    let viewer = running.client().pair(&otp_of(&out), "tablet");
    assert_eq!(viewer.json("/api/v1/me")["role"], "viewer");
    viewer.post("/api/v1/pairing-codes", &serde_json::json!({ "role": "admin" })).problem(403);
    // A code works once, and a new one ends the one before.
    running.client().post("/api/v1/pair", &serde_json::json!({ "otp": otp_of(&out), "device_name": "x" })).problem(410);
    let (old, new) = (home.run(&["pair"], "").ok(), home.run(&["pair"], "").ok());
    let answer = running.client().post("/api/v1/pair", &serde_json::json!({ "otp": otp_of(&old), "device_name": "x" }));
    assert!([403, 410].contains(&answer.status), "{}", answer.text());
    running.client().pair(&otp_of(&new), "second phone");
    assert_eq!(admin.json("/api/v1/devices")["devices"].as_array().map(Vec::len), Some(3));
}

#[test]
fn commands_give_some_cameras_as_the_api_does() {
    let home = Home::new(&[camera("front", "test", PLAIN), camera("yard", "test", PLAIN)].concat());
    let running = home.boot();
    let cameras_of = |client: &Client| {
        let list = client.json("/api/v1/cameras")["cameras"].as_array().cloned().expect("a list");
        list.iter().map(|c| c["id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let out = home.run(&["pair", "--role", "viewer", "--camera", "yard"], "").ok();
    assert!(out.contains("It sees no camera but: yard"), "{out}");
    assert_eq!(cameras_of(&running.client().pair(&otp_of(&out), "tablet")), ["yard"]);

    let both = ["user", "add", "anna", "--camera", "yard", "--camera", "front"];
    assert!(home.run(&both, "correct horse battery\n").ok().contains("`anna` was made for front, yard."));
    home.run(&["user", "add", "bert", "--camera", "yard"], "correct horse battery\n").ok();
    let bert = sign_in(&running.client(), "bert", "correct horse battery").expect("signed in");
    assert_eq!(cameras_of(&bert), ["yard"]);
    assert!(home.run(&["user", "list"], "").ok().contains("for front, yard"));

    let until = ["--role", "viewer", "--until", "2096-05-01T14:00:00+02:00", "--live-only"];
    let out = home.run(&[&["pair"][..], &until].concat(), "").ok();
    assert!(out.contains("may watch live, not change") && out.contains("ends at 2096-05-01T12:00:00"), "{out}");
    let guest = running.client().pair(&otp_of(&out), "guest");
    assert!(guest.json("/api/v1/me")["expires_at"].as_str().is_some_and(|end| end.starts_with("2096-05-01T12")));
    guest.get("/api/v1/events?camera=yard").problem(403);
    home.run(&[&["user", "add", "dora"][..], &until].concat(), "correct horse battery\n").ok();
    let list = home.run(&["user", "list"], "").ok();
    assert!(list.contains(", live pictures alone, until 2096-05-01T12:00:00"), "{list}");

    let out = home.run(&["stream-password", "add", "nvr", "--camera", "yard"], "").ok();
    assert!(out.contains("/yard/sub") && !out.contains("/front"), "{out}");

    for (args, want) in [
        (&["user", "add", "carl", "--camera", "attic"][..], "there is no camera \"attic\"; there are: front, yard"),
        (&["user", "add", "carl", "--role", "admin", "--camera", "yard"], "an administrator always has all cameras"),
        (&["pair", "--camera", "yard"], "an administrator always has all cameras"),
        (&["pair", "--role", "viewer", "--camera", ""], "there is no camera"),
        (&["user", "add", "carl", "--until", "tomorrow"], "--until: "),
        (&["user", "add", "carl", "--until", "2001-01-01T00:00:00Z"], "must be in time to come"),
        (&["pair", "--live-only"], "administrator"),
        (&["stream-password", "add", "tv", "--camera", "attic"], "there is no camera \"attic\""),
    ] {
        let ran = home.run(args, "correct horse battery\n");
        assert!(ran.code == Some(2) && ran.err.contains(want), "{args:?}: {ran:?}");
    }
    assert!(!home.run(&["user", "list"], "").ok().contains("carl"));
}

fn sign_in(client: &Client, name: &str, password: &str) -> Option<Client> {
    let answer = client.post("/api/v1/session", &serde_json::json!({ "username": name, "password": password }));
    if answer.status == 401 {
        return None;
    }
    let answer = answer.expect(204);
    let cookie = answer.header("set-cookie").expect("a cookie");
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let token = cookie.strip_prefix("__Host-perch=").and_then(|c| c.split(';').next()).expect("our cookie");
    Some(client.with_token(Some(token)))
}

#[test]
fn accounts_are_made_changed_and_removed() {
    let home = Home::new("");
    let running = home.boot();
    let client = running.client();
    home.run(&["user", "add", "anna", "--role", "admin"], "correct horse battery\n").ok();
    let anna = sign_in(&client, "anna", "correct horse battery").expect("signed in");
    assert_eq!(anna.json("/api/v1/me")["username"], "anna");
    assert!(sign_in(&client, "anna", "correct horse").is_none());
    home.run(&["user", "add", "bert"], "bert's own secret\r\n").ok();
    let bert = sign_in(&client, "bert", "bert's own secret").expect("signed in");
    assert_eq!(bert.json("/api/v1/me")["role"], "viewer", "what is not said is the least");

    for (args, input, code, want) in [
        (["user", "add", "anna"], "another password\n", 1, "anna"),
        (["user", "add", "carl"], "short\n", 2, "must have 10 to 256"),
        (["user", "add", "a/b"], "long enough password\n", 2, "must be 1 to 64"),
        (["user", "passwd", "nobody"], "long enough password\n", 1, "nobody"),
        (["user", "remove", "nobody"], "", 1, "nobody"),
    ] {
        let ran = home.run(&args, input);
        assert!(ran.code == Some(code) && ran.err.contains(want), "{args:?}: {ran:?}");
    }
    let list = home.run(&["user", "list"], "").ok();
    assert!(list.contains("anna") && list.contains("bert") && !list.contains("carl"), "{list}");

    home.run(&["user", "passwd", "bert"], "bert's new secret\n").ok();
    wait_until("the old session ends", s(2), || (bert.get("/api/v1/me").status == 401).then_some(()));
    assert!(sign_in(&client, "bert", "bert's own secret").is_none());
    let bert = sign_in(&client, "bert", "bert's new secret").expect("signed in");
    home.run(&["user", "remove", "bert"], "").ok();
    wait_until("the removed account's session ends", s(2), || (bert.get("/api/v1/me").status == 401).then_some(()));
    assert!(sign_in(&client, "bert", "bert's new secret").is_none());
    anna.json("/api/v1/me");
    let log = running.log();
    for secret in ["correct horse", "bert's"] {
        assert!(!log.contains(secret), "a password is in the log");
    }
}

#[test]
fn stream_passwords_open_and_close_rtsp() {
    let home = Home::new(&camera("front", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(20));
    let out = home.run(&["stream-password", "add", "nvr"], "").ok();
    let urls: Vec<_> = out.split_whitespace().filter(|w| w.starts_with("rtsp://")).collect();
    assert_eq!(urls.len(), 2, "{out}");
    for (url, width) in urls.iter().zip([320, 160]) {
        // A command's change reaches the running box at once, though not before the command returns.
        let probe = wait_until("the new password opens", s(10), || ffmpeg::probe_rtsp(url, "tcp").ok());
        assert!(probe.has("video:h264") && probe.has("audio:opus") && probe.width == width, "{url}: {probe:?}");
    }
    assert!(home.run(&["stream-password", "list"], "").ok().contains("nvr"));
    let again = home.run(&["stream-password", "add", "nvr"], "");
    assert_eq!(again.code, Some(1), "{again:?}");

    let mut reader = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", urls[0], "-f", "null", "-"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("ffmpeg starts");
    wait_until("the reader reads", s(10), || (admin.json("/api/v1/status")["rtsp_readers"] == 1).then_some(()));
    home.run(&["stream-password", "remove", "nvr"], "").ok();
    wait_until("the reader is closed", s(5), || reader.try_wait().expect("its state can be asked"));
    assert!(ffmpeg::probe_rtsp(urls[0], "tcp").is_err(), "the removed password still opens");
    assert!(!running.log().contains(urls[0]), "a stream password is in the log");
}

#[test]
fn export_takes_what_is_being_written_and_leaves_no_piece_behind() {
    let more = "record = { mode = \"continuous\", segment_max_s = 3600 }\nmotion = { enabled = false }";
    let home = Home::new(&camera("front", "test", more));
    let mut running = home.boot();
    let fragments = |data: &[u8]| (4..data.len()).filter(|i| data[i - 4..*i] == *b"moof").count();
    let file = wait_until("a few seconds are recorded", s(30), || {
        home.recordings("front").pop().filter(|f| std::fs::read(f).is_ok_and(|data| fragments(&data) > 3))
    });
    // Two hours from `hours` ago.
    let export = |camera: &str, out: &str, hours: i64| {
        let out = home.dir().join(out);
        let file = out.display().to_string();
        let from = SystemClock.utc().plus_micros(-hours * 3_600_000_000);
        let (from, to) = (from.to_string(), from.plus_micros(7_200_000_000).to_string());
        let args = ["export", "--camera", camera, "--from", &from, "--to", &to, "--out", &file];
        (home.run(&args, ""), out)
    };
    let (ran, out) = export("front", "running.mp4", 1);
    ran.ok();
    assert!(ffmpeg::probe_file(&out).duration > 3.0, "the only file is being written");

    // Of a camera that was taken out of the config, too; a mistyped name is reported.
    home.configure("[recording]\nmin_free_bytes = 0\n", &camera("back", "test", PLAIN));
    export("front", "removed.mp4", 1).0.ok();
    let (ran, out) = export("fornt", "slip.mp4", 1);
    assert!(ran.code == Some(1) && ran.err.contains("no camera `fornt` (it has back)"), "{ran:?}");
    assert!(!out.exists());
    let (ran, _) = export("back", "none.mp4", 9);
    assert!(ran.code == Some(1) && ran.err.contains("nothing is recorded") && !ran.err.contains("config"), "{ran:?}");

    running.terminate();
    let mut data = std::fs::read(&file).expect("read");
    let last = data.windows(4).rposition(|w| w == b"moof").expect("some fragments");
    data[last] ^= 1;
    std::fs::write(&file, data).expect("written");
    let (ran, out) = export("front", "damaged.mp4", 1);
    assert!(ran.code == Some(1) && ran.err.contains("is damaged"), "{ran:?}");
    assert!(!out.exists(), "half a file looks like a whole one");
}

#[test]
fn motion_tells_frames_then_events() {
    let home = Home::new("");
    let clip = home.dir().join("walker.mp4");
    ffmpeg::walker(&clip, 24, 10, 14);
    let file = clip.display().to_string();
    let out = Ran::of(perch(&["motion", &file, "--json"]), "").ok();
    let lines: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).expect("one JSON object a line")).collect();
    let (frames, events): (Vec<_>, Vec<_>) = lines.iter().partition(|l| l.get("frame").is_some());
    assert!((110..=130).contains(&frames.len()), "5 frames a second of 24 s: {}", frames.len());
    assert!(lines[..frames.len()].iter().all(|l| l.get("frame").is_some()), "events come last");
    let mut last = -1;
    for f in &frames {
        let index = f["frame"].as_i64().expect("an index");
        assert!(index > last, "indices grow");
        last = index;
        let t = f["t_ms"].as_i64().expect("a time");
        assert!((t - index * 1000 / 15).abs() <= 70, "the index is the frame's place in the file: {f}");
        assert!(
            f["motion"].is_boolean() && f["score"].is_number() && f["cause"].is_string() && f["boxes"].is_array(),
            "{f}"
        );
    }
    let moving: Vec<i64> =
        frames.iter().filter(|f| f["motion"] == true).map(|f| f["t_ms"].as_i64().unwrap_or(0)).collect();
    assert!(moving.len() >= 12, "the walk is seen: {moving:?}");
    assert!(moving.iter().all(|t| (9_500..16_000).contains(t)), "and nothing else: {moving:?}");
    assert_eq!(events.len(), 1, "{events:?}");
    let event = events[0];
    assert_eq!(event["kind"], "motion");
    let (start, end) = (event["start_ms"].as_i64().expect("start"), event["end_ms"].as_i64().expect("end"));
    assert!((9_800..11_500).contains(&start) && end > 14_000, "{event}");

    let text = Ran::of(perch(&["motion", &file, "--fps", "2"]), "").ok();
    assert!(text.lines().count() < 60 && text.contains("event 0: motion"), "{text}");
    for (args, code) in [
        (["motion", "/no/such/file", "--json"], 1),
        (["motion", &file, "--fps=0"], 2),
        (["motion", &file, "--sensitivity=7"], 2),
    ] {
        let ran = Ran::of(perch(&args), "");
        assert!(
            ran.code.is_some_and(|c| c == code || c == 1) && ran.err.starts_with("perch: ") && ran.out.is_empty(),
            "{args:?}: {ran:?}"
        );
    }
    let junk = home.dir().join("junk.mp4");
    std::fs::write(&junk, vec![7; 100_000]).expect("written");
    let ran = Ran::of(perch(&["motion", &junk.display().to_string()]), "");
    assert!(ran.code.is_some_and(|c| c != 0) && ran.err.starts_with("perch: "), "{ran:?}");
}
