//! The config file as people, other programs and full disks leave it: what of it the running box takes, and how it comes back.

use crate::bad_input::Mount;
use crate::settings::{bare, hang_up, patch, settings};
use crate::support::home::{Home, Ports, camera};
use crate::support::{s, skipped, wait_until};
use perch::config::Config;
use perch::taken_by::tag_of;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[test]
fn a_command_has_the_file_read_again_and_says_what_became_of_it() {
    let (home, mut running, client) = bare();
    let text = home.config_text();
    home.write_config(&text.replace("Box under test", "By hand"));
    let said = home.run(&["reload"], "").ok();
    assert!(said.contains("goes by its file now") && said.contains("+name = \"By hand\""), "{said}");
    assert_eq!(client.json("/api/v1/status")["name"], "By hand", "it is so when the command ends");
    assert!(home.run(&["reload"], "").ok().contains("already"));
    let port = Ports::free().http;
    let listens = format!("listen = \"127.0.0.1:{}\"", home.ports.http);
    home.write_config(&text.replacen(&listens, &format!("listen = \"127.0.0.1:{port}\""), 1));
    assert!(home.run(&["reload"], "").ok().contains("Waits for the next start: http.listen"));
    for (wrong, want) in [
        (text.replace("[recording]", "[recording]\nmax_dayz = 1"), "recording.max_dayz = …: is not a known key"),
        (format!("{text}\n[[[S3CRET"), "it is not TOML: line"),
    ] {
        home.write_config(&wrong);
        let ran = home.run(&["reload"], "");
        assert!(ran.code == Some(2) && ran.err.contains(want), "{ran:?}");
        assert!(ran.err.contains("what ran goes on") && !ran.err.contains("S3CRET"), "{ran:?}");
    }
    home.write_config(&text);
    assert!(running.terminate().success());
    let ran = home.run(&["reload"], "");
    assert!(ran.code == Some(1) && ran.err.contains("no box runs"), "{ran:?}");
}

#[test]
fn a_version_brings_back_a_file_that_is_no_file_any_more() {
    let (home, _running, client) = bare();
    patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": "Shop"}})).expect(200);
    let good = home.config_text();
    let newest = client.json("/api/v1/settings/versions")["versions"][0]["number"].as_u64().expect("a version");
    for wrong in ["[[[ by hand", "[box]\nname = 7\n", ""] {
        home.write_config(wrong);
        hang_up(&_running);
        let problem = client.get("/api/v1/settings").problem(503);
        assert!(problem["detail"].as_str().is_some_and(|why| why.contains("version")), "{problem}");
        patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": "Hall"}}));
        assert_eq!(home.config_text(), wrong, "no change is made to what is not understood");
        client.json(&format!("/api/v1/settings/versions/{newest}"));
        client.post(&format!("/api/v1/settings/versions/{newest}/restore"), &json!({})).expect(200);
        assert_eq!(home.config_text(), good);
    }
    let aside = fs::read_to_string(home.dir().join("perch.toml.refused")).expect("what somebody wrote is not lost");
    assert_eq!(aside, "[[[ by hand");
    fs::remove_file(home.config()).expect("there");
    client.post(&format!("/api/v1/settings/versions/{newest}/restore"), &json!({})).expect(200);
    assert_eq!(home.config_text(), good);
}

#[test]
fn the_same_file_twice_is_one_version() {
    let (home, running, client) = bare();
    let versions = || client.json("/api/v1/settings/versions")["versions"].as_array().map(Vec::len);
    let text = home.config_text();
    home.write_config(&format!("{text}\n[[camera]]\nid = \"a\"\nsource = \"rtsp://me:S3CRET@127.0.0.1:9/a\"\n"));
    home.run(&["reload"], "").ok();
    let before = versions();
    for _ in 0..3 {
        home.run(&["reload"], "").ok();
    }
    assert_eq!(versions(), before);
    assert_eq!(fs::read_dir(home.data().join("secrets")).expect("made").count(), 1, "and one password");
    drop(running);
}

#[test]
fn a_link_to_the_file_and_its_modes_stay() {
    let home = Home::new("");
    let real = home.dir().join("elsewhere").join("real.toml");
    fs::create_dir(real.parent().expect("a folder")).expect("made");
    fs::rename(home.config(), &real).expect("moved");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).expect("set");
    symlink(&real, home.config()).expect("linked");
    let owner = fs::metadata(&real).expect("there").uid();
    let running = home.boot();
    let client = running.paired();
    patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": "Shop"}})).expect(200);
    assert!(fs::symlink_metadata(home.config()).expect("there").is_symlink());
    let now = fs::metadata(&real).expect("there");
    assert!(fs::read_to_string(&real).expect("read").contains("Shop"));
    assert_eq!((now.mode() & 0o777, now.uid()), (0o600, owner));
}

#[test]
fn what_cannot_be_opened_or_may_not_be_read_is_refused_before_it_is_written() {
    let (home, _running, client) = bare();
    let text = home.config_text();
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = other.local_addr().expect("bound");
    let rtsp = format!("127.0.0.1:{}", home.ports.rtsp);
    let server = json!([{"url": "turn:host:3478", "secret_file": "/etc/passwd"}]);
    for dry in ["", "?dry_run=true"] {
        for (body, want) in [
            (json!({"http": {"listen": rtsp}}), "must differ from"),
            (json!({"rtsp": {"tls_listen": rtsp}}), "must differ from rtsp.listen"),
            (json!({"rtsp": {"tls_listen": taken.to_string()}}), "must be free"),
            (json!({"http": {"listen": taken.to_string()}}), "must be free"),
            (json!({"webrtc": {"turn": server}}), "names a file; another one"),
            (
                json!({"camera": [{"id": "a", "source": "rtsps://h/x", "tls": {"ca_file": "/etc/ssl/cert.pem"}}]}),
                "names a file; another one",
            ),
        ] {
            let problem = patch(&client, &format!("/api/v1/settings{dry}"), "*", &body).problem(400);
            assert!(problem["detail"].as_str().is_some_and(|why| why.contains(want)), "{body}: {problem}");
        }
    }
    assert_eq!(home.config_text(), text);
    // One that somebody named by hand may stay and be handed back.
    let secret = home.dir().join("turn-secret");
    fs::write(&secret, "S3CRET").expect("written");
    let server =
        format!("[[webrtc.turn]]\nurl = \"turn:host:3478\"\nsecret_file = {:?}\n", secret.display().to_string());
    home.write_config(&format!("{text}\n{server}"));
    home.run(&["reload"], "").ok();
    let (all, tag) = settings(&client);
    patch(&client, "/api/v1/settings", &tag, &all).expect(200);
    assert!(home.config_text().contains(&server), "and stays a table of its own");
    let other = json!({"webrtc": {"turn": [{"url": "turn:other:3478", "secret_file": all["webrtc"]["turn"][0]["secret_file"]}]}});
    patch(&client, "/api/v1/settings", "*", &other).expect(200);
    assert!(home.config_text().contains("[[webrtc.turn]]\nurl = \"turn:other:3478\""), "{}", home.config_text());
}

/// What an update that is taken back leaves: a file with keys that the program before does not know.
#[test]
fn a_program_from_before_comes_up_with_what_a_newer_one_wrote() {
    let home = Home::new(&camera("c0", "test", "record = { mode = \"off\", motion_blur = 3 }"));
    let text = home
        .config_text()
        .replace("[recording]", "[recording]\nkeep_per_camera = true")
        .replace("[box]", "[glow]\non = 1\n[box]");
    home.write_config(&text);
    let refused = home.run(&["run"], "");
    assert!(
        refused.code == Some(2) && refused.err.contains("keep_per_camera"),
        "nobody knows who wrote that: {refused:?}"
    );
    let folder = home.data().join("settings");
    fs::create_dir_all(&folder).expect("made");
    let word = |version: &str| json!({"version": version, "tag": tag_of(&home.config_text())}).to_string();
    fs::write(folder.join("taken-by"), word(env!("CARGO_PKG_VERSION"))).expect("written");
    assert_eq!(home.run(&["run"], "").code, Some(2), "this version wrote no such thing");
    fs::write(folder.join("taken-by"), word("999.0.0")).expect("written");
    let mut running = home.boot();
    for key in ["recording.keep_per_camera", "camera[0].record.motion_blur", "glow"] {
        let line = running.wait_for_line(&format!("{key} = …: is not a known key"), s(5)).expect(key);
        assert!(line.contains("a newer version of perch wrote it"), "{line}");
    }
    let client = running.paired();
    // What it knows is changed; what it does not know stays for the newer one.
    patch(&client, "/api/v1/cameras/c0", "*", &json!({"name": "Door"})).expect(200);
    patch(&client, "/api/v1/settings", "*", &json!({"recording": {"max_dayz": 3}})).problem(400);
    let now = home.config_text();
    for kept in ["keep_per_camera = true", "motion_blur = 3", "[glow]\non = 1", "name = \"Door\""] {
        assert!(now.contains(kept), "{kept}: {now}");
    }
    home.run(&["pair"], "").ok();
    assert!(running.terminate().success());
    let running = home.boot();
    // By hand it is nobody's but the hand's.
    home.write_config(&now.replace("keep_per_camera", "keep_per_kamera"));
    let ran = home.run(&["reload"], "");
    assert!(ran.code == Some(2) && ran.err.contains("keep_per_kamera"), "{ran:?}");
    drop(running);
}

#[test]
fn a_full_disk_leaves_the_file_as_it_was() {
    let home = Home::new("");
    let place = home.dir().join("small");
    let Some(mount) = Mount::new("size=64k", &place) else {
        return skipped("a_full_disk_leaves_the_file_as_it_was", "this user may not mount a file system");
    };
    let real = place.join("perch.toml");
    fs::copy(home.config(), &real).expect("copied");
    fs::remove_file(home.config()).expect("there");
    symlink(&real, home.config()).expect("linked");
    let mut running = home.boot();
    let client = running.paired();
    let fill = || {
        let mut left = 64;
        while left > 0 {
            let name = place.join(format!("fill{left}"));
            if fs::write(&name, vec![0; 4096]).is_err() {
                let _ = fs::remove_file(name);
                break;
            }
            left -= 1;
        }
    };
    fill();
    let text = home.config_text();
    let names = "x".repeat(60);
    let problem = patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": names}})).problem(503);
    assert!(
        problem["detail"].as_str().is_some_and(|why| why.contains("its disk is full; nothing was changed")),
        "{problem}"
    );
    assert_eq!(home.config_text(), text);
    assert!(Config::load(Some(&home.config())).is_ok());
    assert_eq!(client.json("/api/v1/status")["name"], "Box under test");
    for n in 1..=64 {
        let _ = fs::remove_file(place.join(format!("fill{n}")));
    }
    patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": names}})).expect(200);
    assert!(running.terminate().success());
    mount.end();
}

/// A file of 200 cameras is read, shown, described, changed and handed back whole.
#[test]
fn two_hundred_cameras_in_a_file_are_no_burden() {
    let cameras: String = (0..200).map(|n| camera(&format!("c{n}"), "rtsp://127.0.0.1:9/x", "")).collect();
    let small = cameras.replace("width = 320\nheight = 180\nfps = 15\n", "");
    let text: String = small
        .lines()
        .filter(|line| !line.starts_with("sub =") && !line.starts_with("bitrate"))
        .map(|l| format!("{l}\n"))
        .collect();
    let home = Home::new(&text);
    let running = home.boot();
    let client = running.paired();
    let took = |what: &str, run: &dyn Fn() -> Value| {
        let began = std::time::Instant::now();
        let got = run();
        println!("200 cameras: {what} took {} ms", began.elapsed().as_millis());
        got
    };
    let all = took("GET", &|| settings(&client).0);
    took("schema", &|| client.json("/api/v1/settings/schema"));
    let back = took("PATCH of all that was read", &|| {
        patch(&client, "/api/v1/settings?dry_run=true", "*", &all).expect(200).json()
    });
    assert_eq!((back["diff"].as_str(), back["effects"].as_array().map(Vec::len)), (Some(""), Some(0)));
    took("PATCH of one name", &|| {
        patch(&client, "/api/v1/cameras/c7", "*", &json!({"name": "Seven"})).expect(200).json()
    });
    wait_until("it is followed", s(10), || (client.camera("c7")["name"] == "Seven").then_some(()));
    assert!(all.to_string().len() > 64 * 1024, "more than other bodies may be");
    drop(running);
}

/// A camera goes with its recordings while it records and is killed in the middle; another one's stay, and those of one that went before.
#[test]
fn a_camera_goes_with_everything_that_it_recorded() {
    let of = |id: &str| camera(id, "test", "record = { mode = \"continuous\", segment_max_s = 5 }");
    let home = Home::new(&format!("{}{}{}", of("door"), of("yard"), of("hall")));
    let mut running = home.boot();
    let client = running.paired();
    wait_until("all recorded some files", s(60), || {
        ["door", "yard", "hall"].iter().all(|id| home.recordings(id).len() >= 2).then_some(())
    });
    client.delete("/api/v1/cameras/hall?recordings=keep").expect(200);
    let would = client.delete("/api/v1/cameras/door?recordings=delete&dry_run=true").expect(200).json();
    let said = would["effects"].to_string();
    assert!(said.contains("door: its recordings are deleted (") && said.contains("event"), "{said}");
    client.delete("/api/v1/cameras/door?recordings=burn").problem(400);
    assert!(home.recordings("door").len() >= 2, "it was only asked");
    client.delete("/api/v1/cameras/door?recordings=delete").expect(200);
    running.kill();
    let running = home.boot();
    wait_until("all of it is gone", s(60), || home.recordings("door").is_empty().then_some(()));
    let kept = wait_until("the list says so", s(60), || {
        let kept = client.json("/api/v1/recordings")["cameras"].clone();
        let ids: Vec<_> = kept.as_array()?.iter().filter_map(|k| k["camera"].as_str()).collect();
        (ids == ["hall", "yard"]).then_some(kept.clone())
    });
    assert!(kept[0]["bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{kept}");
    assert!(home.recordings("yard").len() >= 2 && home.recordings("hall").len() >= 2);
    // What a camera left that went before is deleted later.
    let would = client.delete("/api/v1/cameras/hall/recordings?dry_run=true").expect(200).json();
    assert_eq!(would["deleting"], false);
    client.delete("/api/v1/cameras/hall/recordings").expect(202);
    wait_until("that is gone, too", s(60), || home.recordings("hall").is_empty().then_some(()));
    client.delete("/api/v1/cameras/nobody/recordings").problem(404);
    // The same name again is a new camera.
    let again = json!({"id": "door", "source": "test", "width": 320, "height": 180, "fps": 10,
        "record": {"mode": "continuous"}, "motion": {"enabled": false}});
    client.post("/api/v1/cameras", &again).expect(201);
    // Its first file outlives a deletion that is done after it: nothing of the wish for the earlier camera is left.
    let first = wait_until("it records", s(60), || home.recordings("door").first().cloned());
    client.delete("/api/v1/cameras/yard?recordings=delete").expect(200);
    wait_until("the other's are gone", s(60), || home.recordings("yard").is_empty().then_some(()));
    assert!(home.recordings("door").contains(&first));
    drop(running);
}
