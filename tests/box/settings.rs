//! The owner changes the box while it runs: over the API, as the page does, and by hand.

use crate::support::client::Client;
use crate::support::home::{BoxProcess, Home, Ports, camera};
use crate::support::rtsp_reader::Reader;
use crate::support::whep::{Viewer, Watching};
use crate::support::{Chance, long, s, wait_until};
use perch::config::Config;
use perch_base::clock::{Clock, SystemClock};
use perch_base::time::Timestamp;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

pub const JSON: (&str, &str) = ("content-type", "application/json");

/// The settings with their tag.
pub fn settings(client: &Client) -> (Value, String) {
    let read = client.get("/api/v1/settings").expect(200);
    let tag = read.header("etag").expect("a tag").to_owned();
    (read.json(), tag)
}

pub fn patch(client: &Client, path: &str, tag: &str, body: &Value) -> crate::support::client::Answer {
    client.send("PATCH", path, &[JSON, ("if-match", tag)], body.to_string().as_bytes())
}

/// Has the box read its file again.
pub fn hang_up(running: &BoxProcess) {
    let pid = rustix::process::Pid::from_raw(running.pid() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
}

/// A box that has nothing but its ports, in a file of its own; with who owns it.
pub fn bare() -> (Home, BoxProcess, Client) {
    let home = Home::new("");
    let text = home.config_text().replace("camera = []\n", "");
    home.write_config(&text);
    let running = home.boot();
    let client = running.paired();
    (home, running, client)
}

#[test]
fn an_owner_makes_a_box_of_an_empty_one() {
    let (home, running, client) = bare();
    let (now, _) = settings(&client);
    assert_eq!(now["camera"].as_array().map(Vec::len), Some(1), "the test camera");
    let hall = json!({"id": "hall", "name": "Hall", "source": "test", "width": 320, "height": 180, "fps": 10,
        "record": {"mode": "continuous"}, "sub": {"width": 160, "height": 90}});
    let would = client.post("/api/v1/cameras?dry_run=true", &hall).expect(200).json();
    assert_eq!(would["effects"], json!(["hall is added"]));
    assert!(would["diff"].as_str().is_some_and(|diff| diff.contains("+id = \"hall\"")), "{would}");
    assert!(!home.config_text().contains("hall"), "it was only asked");
    client.post("/api/v1/cameras", &hall).expect(201);
    client.wait_for_camera("hall", "live", s(60));
    client.post("/api/v1/cameras", &hall).expect(409);
    // The test camera that was there before stays until it is removed.
    let id = now["camera"][0]["id"].as_str().expect("an id").to_owned();
    client.wait_for_camera(&id, "live", s(60));
    client.delete(&format!("/api/v1/cameras/{id}")).expect(200);
    client.get(&format!("/api/v1/cameras/{id}")).expect(404);
    let changed = patch(&client, "/api/v1/cameras/hall", "*", &json!({"name": "Entrance"})).expect(200).json();
    assert_eq!(changed["effects"], json!(["hall changes at once"]));
    assert_eq!(client.camera("hall")["name"], "Entrance");

    let (_, tag) = settings(&client);
    let all = json!({"box": {"name": "Shop"}, "recording": {"max_days": 7}, "access": {"otp_digits": 6}});
    patch(&client, "/api/v1/settings", &tag, &all).expect(200);
    assert_eq!(client.json("/api/v1/me")["box_name"], "Shop");
    assert_eq!(client.json("/api/v1/status")["name"], "Shop");
    let code = client.post("/api/v1/pairing-codes", &json!({"role": "viewer"})).expect(201).json();
    assert_eq!(code["otp"].as_str().map(|otp| otp.chars().filter(char::is_ascii_digit).count()), Some(6), "{code}");
    patch(&client, "/api/v1/settings", &tag, &all).problem(412);
    let (_, tag) = settings(&client);
    let listen = json!({"http": {"listen": format!("127.0.0.1:{}", Ports::free().http)}});
    let would = patch(&client, "/api/v1/settings?dry_run=true", &tag, &listen).expect(200).json();
    assert_eq!(would["waits_for_start"], json!(["http.listen"]));

    let text = home.config_text();
    let want = "[[camera]]\nid = \"hall\"\nname = \"Entrance\"\nsource = \"test\"\nwidth = 320\nheight = 180\nfps = 10\n\
        sub = { width = 160, height = 90 }\n";
    assert!(text.trim_end().ends_with(want.trim_end()), "as a person writes it, and no default:\n{text}");
    assert_eq!(fs::metadata(home.config()).expect("there").permissions().mode() & 0o777, 0o600);
    let versions = client.json("/api/v1/settings/versions");
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(5), "{versions}");
    // Back to before the camera was removed, while it runs.
    let number = versions["versions"][3]["number"].as_u64().expect("a number");
    let before = client.json(&format!("/api/v1/settings/versions/{number}"));
    assert!(before["diff"].as_str().is_some_and(|diff| diff.contains(&format!("+id = \"{id}\""))), "{before}");
    client.post(&format!("/api/v1/settings/versions/{number}/restore"), &json!({})).expect(200);
    client.wait_for_camera(&id, "live", s(60));
    assert_eq!(client.camera("hall")["name"], "Hall");
    drop(running);
}

#[test]
fn what_is_wrong_changes_nothing() {
    let (home, running, client) = bare();
    let text = home.config_text();
    let (_, tag) = settings(&client);
    for (body, want) in [
        (json!({"recording": {"max_days": -1}}), "recording.max_days = -1"),
        (json!({"recording": {"max_dayz": 1}}), "recording.max_dayz"),
        (json!({"recording": 7}), "must be a table"),
        (json!({"camera": [{"id": "A B", "source": "test"}]}), "camera[0].id"),
        (json!({"camera": [{"id": "a", "source": "rtsp://me:S3CRET@cam:99999999/x y"}]}), "camera[0].source"),
        (json!({"camera": [{"id": "a", "source": "rtsp://x", "password_file": "/etc/shadow"}]}), "password_file"),
    ] {
        let problem = patch(&client, "/api/v1/settings", &tag, &body).problem(400);
        let said = problem["detail"].as_str().expect("a sentence");
        assert!(said.contains(want) && !said.contains("S3CRET"), "{body}: {said}");
    }
    client.post("/api/v1/cameras", &json!({"id": "a"})).problem(400);
    patch(&client, "/api/v1/cameras/nobody", "*", &json!({})).problem(404);
    assert_eq!(home.config_text(), text);
    // By hand: refused whole, what runs goes on; a good file is followed and kept as a version.
    home.write_config(&text.replace("[recording]", "[recording]\nmax_dayz = 1"));
    hang_up(&running);
    running.wait_for_line("the config was not taken", s(20)).expect("it is said");
    running.wait_for_line("recording.max_dayz = …: is not a known key", s(20)).expect("with key and rule");
    home.write_config(&text.replace("Box under test", "By hand"));
    hang_up(&running);
    wait_until("the name is followed", s(20), || (client.json("/api/v1/status")["name"] == "By hand").then_some(()));
    let versions = client.json("/api/v1/settings/versions");
    assert_eq!(versions["versions"][0]["by"], "the file, edited by hand");
}

#[test]
fn an_id_that_has_recordings_says_so_before_it_is_used_again() {
    let (home, _running, client) = bare();
    let hall = json!({"id": "hall", "source": "rtsp://127.0.0.1:9/x", "room": "Ground floor"});
    let effects = |query: &str| client.post(&format!("/api/v1/cameras{query}"), &hall).json()["effects"].clone();
    assert_eq!(effects("?dry_run=true"), json!(["hall is added"]));
    let day = home.data().join("recordings/hall/2026-05-01");
    fs::create_dir_all(&day).expect("made");
    for query in ["?dry_run=true", ""] {
        let effects = effects(query);
        let said = effects.as_array().and_then(|all| all.last()).and_then(Value::as_str).unwrap_or_default();
        assert!(said.contains("recordings of an earlier camera with the id hall"), "{effects}");
    }
    assert_eq!(client.camera("hall")["room"], "Ground floor");
}

#[test]
fn an_id_that_people_were_let_in_to_says_so_before_it_is_used_again() {
    let (_home, _running, client) = bare();
    let hall = json!({"id": "hall", "source": "rtsp://127.0.0.1:9/x"});
    client.post("/api/v1/cameras", &hall).expect(201);
    let ben = json!({"name": "ben", "password": "viewer password", "role": "viewer", "cameras": ["hall"]});
    client.post("/api/v1/users", &ben).expect(201);
    client.post("/api/v1/stream-passwords", &json!({"name": "tv", "cameras": ["hall"]})).expect(201);
    client.post("/api/v1/stream-passwords", &json!({"name": "wall"})).expect(201);
    client.try_send("DELETE", "/api/v1/cameras/hall", &[], b"").expect("answered").expect(200);
    for query in ["?dry_run=true", ""] {
        let effects = client.post(&format!("/api/v1/cameras{query}"), &hall).json()["effects"].clone();
        let want = "hall may be seen by ben, tv, who were let in to an earlier camera with this id";
        assert_eq!(effects, json!(["hall is added", want]));
    }
}

/// What somebody wrote to a key that there is not, and took back on the page.
#[test]
fn a_password_in_the_wrong_place_is_in_no_version() {
    let (home, running, client) = bare();
    let versions = || client.json("/api/v1/settings/versions")["versions"].as_array().cloned().unwrap_or_default();
    patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": "Shop"}})).expect(200);
    let newest = versions()[0]["number"].clone();
    let wrong = "[[camera]]\nid = \"yard\"\nsource = \"rtsp://me@127.0.0.1:9/x\"\npassword = \"S3CRET\"\n";
    home.write_config(&format!("{}\n{wrong}", home.config_text()));
    hang_up(&running);
    assert!(client.json(&format!("/api/v1/settings/versions/{newest}"))["diff"].to_string().contains("password = "));
    client.post(&format!("/api/v1/settings/versions/{newest}/restore"), &json!({})).expect(200);
    let all = versions();
    assert!(all.len() >= 3, "what was refused is kept");
    for version in all {
        let shown = client.json(&format!("/api/v1/settings/versions/{}", version["number"])).to_string();
        assert!(!shown.contains("S3CRET"), "{shown}");
    }
    for file in fs::read_dir(home.data().join("settings")).expect("made").flatten() {
        assert!(!fs::read_to_string(file.path()).expect("text").contains("S3CRET"));
    }
}

#[test]
fn a_password_is_kept_apart_and_never_shown() {
    let (home, running, client) = bare();
    let camera = json!({"id": "yard", "source": "rtsp://admin@127.0.0.1:9/live", "password": "S3CRET p@ss"});
    let added = client.post("/api/v1/cameras", &camera).expect(201);
    assert!(!added.text().contains("S3CRET"));
    let text = home.config_text();
    assert!(
        text.contains("source = \"rtsp://admin:{password}@127.0.0.1:9/live\"") && !text.contains("S3CRET"),
        "{text}"
    );
    let config = Config::load(Some(&home.config())).expect("valid");
    let yard = config.cameras.iter().find(|c| c.id.as_str() == "yard").expect("there");
    assert_eq!(yard.source.url().expect("an address").expose(), "rtsp://admin:S3CRET%20p%40ss@127.0.0.1:9/live");
    // Another camera's change leaves it as it is; another name too.
    patch(&client, "/api/v1/cameras/yard", "*", &json!({"name": "Yard"})).expect(200);
    // By hand, in clear: the file is left as it is, and its version has none.
    home.write_config(&home.config_text().replace("admin:{password}", "admin:S3CRET2"));
    hang_up(&running);
    running.wait_for_line("the config was read again", s(20)).expect("it is");
    let versions = client.json("/api/v1/settings/versions");
    for version in versions["versions"].as_array().expect("a list") {
        let kept = client.json(&format!("/api/v1/settings/versions/{}", version["number"]));
        assert!(!kept.to_string().contains("S3CRET"), "{kept}");
    }
    let (all, _) = settings(&client);
    assert!(!all.to_string().contains("S3CRET"), "{all}");
    assert!(!running.log().contains("S3CRET"));
    let folder = fs::metadata(home.data().join("secrets")).expect("there");
    assert_eq!(folder.permissions().mode() & 0o077, 0);
}

#[test]
fn a_password_is_taken_or_refused_and_goes_to_no_other_host() {
    let (home, running, client) = bare();
    client.post("/api/v1/cameras", &json!({"id": "yard", "source": "rtsp://me@127.0.0.1:9/a"})).expect(201);
    let is =
        || Config::load(Some(&home.config())).expect("valid").cameras.into_iter().find(|c| c.id.as_str() == "yard");
    let address = || is().and_then(|c| c.source.url().map(|url| url.expose().clone())).expect("an address");
    patch(&client, "/api/v1/cameras/yard", "*", &json!({"password": "P 1"})).expect(200);
    assert_eq!(address(), "rtsp://me:P%201@127.0.0.1:9/a");
    patch(&client, "/api/v1/cameras/yard", "*", &json!({"password": "P2", "name": "Yard"})).expect(200);
    assert_eq!(address(), "rtsp://me:P2@127.0.0.1:9/a");
    let moved = json!({"source": "rtsp://me:{password}@127.0.0.2:9/a"});
    patch(&client, "/api/v1/cameras/yard", "*", &moved).problem(400);
    let file = settings(&client).0["camera"][1]["password_file"].clone();
    assert!(file.is_string(), "{file}");
    let borrowed = json!({"id": "spy", "source": "rtsp://me:{password}@127.0.0.2:9/a", "password_file": file});
    client.post("/api/v1/cameras", &borrowed).problem(400);
    client.post("/api/v1/cameras", &json!({"id": "a", "source": "rtsp://cam/x", "password": "LOST"})).problem(400);
    client.post("/api/v1/cameras", &json!({"id": "a", "source": "test", "password": "LOST"})).problem(400);
    patch(&client, "/api/v1/cameras/yard", "*", &json!({"source": "rtsp://127.0.0.2:9/…"})).problem(400);
    // In a list, by hand on one line, with what one camera alone decodes: an unrelated change leaves every byte.
    let raw = "rtsp://127.0.0.1:9/user=a_password=S3CRET_channel=1.sdp?x";
    let text = home.config_text();
    let top = text.split("[[camera]]").next().expect("something");
    home.write_config(&format!(
        "# with rtsp://me:S3CRET@old/\ncamera = [{{ id = \"door\", source = \"{raw}\" }}]\n{top}"
    ));
    hang_up(&running);
    wait_until("the list is followed", s(20), || (client.get("/api/v1/cameras/yard").status == 404).then_some(()));
    client.post("/api/v1/cameras", &json!({"id": "hall", "source": "test", "width": 64, "height": 64})).expect(201);
    let config = Config::load(Some(&home.config())).expect("valid");
    let ids: Vec<_> = config.cameras.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids, ["door", "hall"]);
    assert_eq!(config.cameras[0].source.url().expect("an address").expose(), raw);
    let versions = client.json("/api/v1/settings/versions");
    for version in versions["versions"].as_array().expect("a list") {
        let kept = client.json(&format!("/api/v1/settings/versions/{}", version["number"]));
        assert!(!kept.to_string().contains("S3CRET"), "{kept}");
    }
}

#[test]
fn a_file_that_is_gone_takes_no_camera_away() {
    let home = Home::new(&camera("c0", "test", "record = { mode = \"off\" }"));
    let running = home.boot();
    let client = running.paired();
    let text = home.config_text();
    for gone in [None, Some("")] {
        fs::remove_file(home.config()).expect("there");
        if let Some(text) = gone {
            home.write_config(text);
        }
        hang_up(&running);
        running.wait_for_line("the config was not taken", s(20)).expect("it is said");
        client.post("/api/v1/cameras", &json!({"id": "a", "source": "test"})).problem(503);
        client.camera("c0");
        home.write_config(&text);
    }
    patch(&client, "/api/v1/cameras/c0", "*", &json!({"name": "Again"})).expect(200);
}

#[test]
fn whoever_hangs_up_leaves_no_half_of_a_change() {
    let (home, _running, client) = bare();
    for n in 0..8u64 {
        let camera = json!({"id": format!("c{n}"), "source": "test", "width": 64, "height": 64, "fps": 1}).to_string();
        drop(client.ask("POST", "/api/v1/cameras", &[JSON], camera.as_bytes()).expect("asked"));
        wait_until("the box agrees with the file", s(30), || {
            let config = Config::load(Some(&home.config())).expect("whole and valid");
            let wanted: Vec<_> = config.cameras.iter().map(|c| c.id.to_string()).collect();
            let runs = client.json("/api/v1/cameras")["cameras"].as_array().cloned().unwrap_or_default();
            let ids: Vec<_> = runs.iter().filter_map(|c| c["id"].as_str().map(str::to_owned)).collect();
            (ids == wanted).then_some(())
        });
    }
}

/// What is recorded of a camera, without a hole, and nothing else: how many seconds.
fn recorded_s(client: &Client, camera: &str) -> f64 {
    let now = SystemClock.utc();
    let timeline = client.json(&format!("/api/v1/cameras/{camera}/timeline?from={}&to={now}", now - s(600)));
    let spans = timeline["spans"].as_array().expect("a list");
    assert_eq!(spans.len(), 1, "one span without a hole: {timeline}");
    let at = |key: &str| spans[0][key].as_str().and_then(|t| Timestamp::parse(t).ok()).expect("a time");
    at("end").micros_since(at("start")) as f64 / 1e6
}

fn watch(client: &Client, camera: &str) -> Watching {
    let (mut viewer, offer) = Viewer::offer();
    let (answer, _) = client.whep(camera, "main", &offer);
    viewer.accept(&answer);
    viewer.spawn()
}

/// Whoever watches and records a camera notices nothing of the others that come, change and go: five viewers, counted.
#[test]
fn five_viewers_and_a_recording_notice_no_change_of_others() {
    let keep =
        camera("keep", "test", "motion = { enabled = false }\nrecord = { mode = \"continuous\", segment_max_s = 5 }");
    let home = Home::new(&keep);
    let running = home.boot();
    let client = running.paired();
    client.wait_for_camera("keep", "live", s(60));
    let password = client.stream_password("nvr");
    let host = format!("127.0.0.1:{}", home.ports.rtsp);
    let viewers: Vec<_> = (0..3).map(|_| watch(&client, "keep")).collect();
    let start = || Reader::start(&host, "keep", "nvr", &password, Arc::default()).expect("connects");
    let mut readers: Vec<_> = (0..2).map(|_| start()).collect();
    for viewer in &viewers {
        viewer.wait_for_frames(15, s(30));
    }
    let packets = |readers: &[Reader]| readers.iter().map(|r| r.packets_and_lost().0).min().unwrap_or(0);
    wait_until("both read", s(30), || (packets(&readers) > 30).then_some(()));
    let leases = || -> Vec<String> {
        let live = client.json("/api/v1/live");
        live["sessions"].as_array().expect("a list").iter().map(|l| l["lease"].to_string()).collect()
    };
    let before = leases();
    assert_eq!(before.len(), 3, "{before:?}");

    let frames = viewers.iter().map(|v| v.seen().frames).min().unwrap_or(0);
    let body = |name: &str| {
        json!({"id": "extra", "name": name, "source": "test", "width": 320, "height": 180, "fps": 10,
        "record": {"mode": "continuous"}, "sub": {"width": 160, "height": 90}})
    };
    let rounds = if long() { 20 } else { 3 };
    for round in 0..rounds {
        client.post("/api/v1/cameras", &body(&format!("Extra {round}"))).expect(201);
        client.wait_for_camera("extra", "live", s(60));
        for change in
            [json!({"bitrate_kbps": 900}), json!({"record": {"mode": "off"}}), json!({"motion": {"sensitivity": 0.7}})]
        {
            patch(&client, "/api/v1/cameras/extra", "*", &change).expect(200);
        }
        patch(&client, "/api/v1/settings", "*", &json!({"recording": {"max_days": 5 + round}})).expect(200);
        client.delete("/api/v1/cameras/extra").expect(200);
    }
    // Pictures went on meanwhile, and go on.
    let seen: Vec<_> = viewers.iter().map(|v| v.wait_for_frames(frames + 30, s(30))).collect();
    assert!(
        seen.iter().all(|s| s.broken == 0 && !s.over),
        "{:?}",
        seen.iter().map(|s| (s.frames, s.broken, s.over)).collect::<Vec<_>>()
    );
    for reader in &mut readers {
        assert_eq!((reader.packets_and_lost().1, reader.failure()), (0, None));
    }
    assert_eq!(leases(), before, "nobody had to come again");
    assert_eq!(client.camera("keep")["health"]["restarts"], 0);
    let seconds = recorded_s(&client, "keep");
    eprintln!(
        "{rounds} rounds, {} frames at a viewer, {} packets at a reader, {seconds} s recorded",
        seen[0].frames,
        packets(&readers)
    );
}

/// Some polygons; some are lines or have corners outside the picture, and are refused.
fn any_areas(random: &mut Chance) -> Value {
    let mut corner = || [random.below(12) as f64 / 10.0, random.below(12) as f64 / 10.0];
    let areas: Vec<Vec<_>> = (0..2).map(|_| (0..4).map(|_| corner()).collect()).collect();
    json!(areas)
}

/// What a camera may be changed in, which may be wrong.
fn any_camera_change(random: &mut Chance) -> Value {
    let flag = random.below(2) == 0;
    match random.below(11) {
        0 => json!({"name": format!("Name {}", random.below(9))}),
        1 => json!({"room": if flag { json!("Hall") } else { Value::Null }}),
        2 => json!({"rotation": random.below(5) * 90}),
        3 => json!({"mirror": flag, "overlay": {"time": flag, "name": !flag}}),
        4 => json!({"privacy": any_areas(random)}),
        5 => json!({"motion": {"zones": any_areas(random), "masks": any_areas(random)}}),
        6 => json!({"motion": {"enabled": false, "sensitivity": random.below(12) as f64 / 10.0}}),
        7 => {
            json!({"audio": {"source": if flag { "test" } else { "none" }, "gain_db": random.below(50) as f64 - 25.0}})
        }
        8 => json!({"encode": flag}),
        9 => json!({"record": {"mode": "off", "post_roll_s": random.below(130)}, "fps": random.below(3)}),
        _ => json!({"privacy": null, "overlay": null, "motion": null, "rotation": null, "audio": null}),
    }
}

fn flag(random: &mut Chance) -> bool {
    random.below(2) == 0
}

/// A random change, which may be wrong.
fn any_change(random: &mut Chance) -> (&'static str, String, Value) {
    let id = format!("c{}", random.below(4));
    let change = match random.below(13) {
        0 | 1 => {
            let camera = json!({"id": id, "source": "test", "record": {"mode": "off"},
                "width": 64, "height": 64, "fps": 1, "bitrate_kbps": 100, "motion": {"enabled": false},
                "sub": {"width": 64, "height": 64, "fps": 1, "bitrate_kbps": 100}});
            return ("POST", "/api/v1/cameras".into(), camera);
        }
        2 => return ("DELETE", format!("/api/v1/cameras/{id}"), Value::Null),
        3..=7 => return ("PATCH", format!("/api/v1/cameras/{id}"), any_camera_change(random)),
        8 => json!({"recording": {"max_days": random.below(5000)}}),
        9 => {
            let zone = ["Europe/Zurich", "Asia/Kolkata", "Mars/Base"][random.below(3) as usize];
            json!({"box": {"name": format!("Box {}", random.below(99)), "time_zone": zone}})
        }
        10 => {
            let profile = ["home", "night"][random.below(2) as usize];
            let off = json!({"name": "Named", "cameras": {id: {"off": flag(random), "record": {"mode": "off"}}}});
            json!({"profile": {profile: if flag(random) { off } else { Value::Null }}})
        }
        11 => {
            let from = format!("{:02}:00", random.below(25));
            let mut times = vec![json!({"from": "22:00", "to": "23:00", "off": [id]})];
            if flag(random) {
                times.insert(0, json!({"days": ["mon", "sun"], "from": from, "to": "06:00", "profile": "night"}));
            }
            json!({"schedule": times})
        }
        _ => json!({"recording": {"max_days": null}, "box": {"time_zone": null}, "schedule": null,
            "http": {"hostnames": ["a.example"]}}),
    };
    ("PATCH", "/api/v1/settings".into(), change)
}

/// However often it is killed in the middle: the file is whole and valid, and the box agrees with it.
#[test]
fn a_box_that_is_killed_while_it_is_changed_has_a_whole_file() {
    let (home, mut running, client) = {
        let home = Home::new(&camera("c0", "test", "record = { mode = \"off\" }\nmotion = { enabled = false }"));
        let running = home.boot();
        let client = running.paired();
        (home, running, client)
    };
    let (mut random, began) = (Chance::new(), std::time::Instant::now());
    let mut taken = 0;
    let (changes, kills) = if long() { (1000, 40) } else { (24, 2) };
    for n in 1..=changes {
        let (method, path, body) = any_change(&mut random);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let is_killed = n % (changes / kills) == 0;
        if is_killed {
            // While it is being made: the answer is not waited for.
            drop(client.ask(method, &path, &[JSON, ("if-match", "*")], body.as_bytes()));
            std::thread::sleep(std::time::Duration::from_millis(random.below(40)));
            running.kill();
            running = home.boot();
        } else {
            let answer = client.send(method, &path, &[JSON, ("if-match", "*")], body.as_bytes());
            assert!([200, 201, 400, 404, 409].contains(&answer.status), "{method} {path} {body}: {}", answer.text());
            taken += u32::from(answer.status < 300);
        }
        let config = Config::load(Some(&home.config())).expect("whole and valid");
        let (now, _) = settings(&client);
        assert_eq!(now["box"]["name"], config.name.as_str(), "the file");
        assert_eq!(client.json("/api/v1/status")["name"], config.name.as_str(), "the box");
        let runs = client.json("/api/v1/cameras")["cameras"].as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = runs.iter().filter_map(|c| c["id"].as_str()).collect();
        let wanted: Vec<_> = config.cameras.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(ids, wanted, "the box agrees with it");
        let names: Vec<_> = runs.iter().filter_map(|c| c["name"].as_str()).collect();
        assert_eq!(names, config.cameras.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), "in their names");
        let modes = client.json("/api/v1/modes");
        assert_eq!(modes["time_zone"], config.zone().to_string(), "in the time zone");
        let profiles: Vec<_> = modes["profiles"].as_array().expect("a list").iter().map(|p| &p["id"]).collect();
        assert_eq!(profiles, config.modes.profiles.keys().map(|id| id.as_str()).collect::<Vec<_>>(), "in profiles");
    }
    eprintln!("{changes} changes, {taken} taken, {kills} kills: {} s", began.elapsed().as_secs());
}

/// A part of the box that fails to follow is said; the file is written all the same, and the next change has it follow.
#[test]
fn what_cannot_follow_is_said_and_follows_with_the_next_change() {
    let (home, _running, client) = bare();
    // The certificate cannot be written.
    let leaf = home.data().join("tls/leaf.pem");
    fs::remove_file(&leaf).expect("there");
    fs::create_dir_all(leaf.join("in the way")).expect("made");
    let names = json!({"http": {"hostnames": ["shop.example"]}});
    let changed = patch(&client, "/api/v1/settings", "*", &names).expect(200).json();
    let said = changed["not_followed"][0].as_str().expect("a sentence");
    assert!(said.starts_with("http.hostnames: they are not in the certificate yet"), "{changed}");
    assert_eq!(settings(&client).0["http"]["hostnames"], json!(["shop.example"]), "it is written");
    let named = || client.json("/api/v1/certificate").to_string().contains("shop.example");
    assert!(!named());
    fs::remove_dir_all(&leaf).expect("removed");
    let changed = patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": "Shop"}})).expect(200).json();
    assert_eq!(changed["not_followed"], json!([]));
    assert!(named(), "it followed with a change of something else");
}
