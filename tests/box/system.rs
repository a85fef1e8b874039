//! What an owner does with the box as a whole: starts it again, reads its log, keeps a backup and takes one, hands a bundle to a supporter.

use crate::settings::{bare, patch};
use crate::support::client::Client;
use crate::support::home::Home;
use crate::support::{s, wait_until};
use perch_base::base64;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;

/// As systemd would start it: it may end, to be started again.
const SERVICE: &str = "NOTIFY_SOCKET";

fn lines(client: &Client, query: &str) -> Vec<Value> {
    client.json(&format!("/api/v1/log{query}"))["lines"].as_array().cloned().unwrap_or_default()
}

#[test]
fn a_box_starts_again_where_something_starts_it_and_keeps_its_log() {
    let (home, mut running, client) = bare();
    let refused = client.post("/api/v1/system/restart", &json!({})).problem(501);
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains("without systemd")), "{refused}");
    client.post("/api/v1/system/reboot", &json!({})).problem(501);
    let facts = client.json("/api/v1/system");
    assert!(
        facts["no_restart"].is_string() && facts["not_ours"].is_string() && facts["hostname"].is_string(),
        "{facts}"
    );
    assert!(running.terminate().success());
    let mut running = home.boot_with(&[(SERVICE, "/nobody/listens".into())]);
    patch(&client, "/api/v1/settings", "*", &json!({"box": {"name": "Shop"}})).expect(200);
    let changed = lines(&client, "?what=settings+were+changed");
    assert!(changed.len() == 1 && changed[0]["who"].is_string(), "who did it: {changed:?}");
    for (path, body) in
        [("profile", json!({"name": null})), ("privacy", json!({"on": true})), ("privacy", json!({"on": false}))]
    {
        let json = [("content-type", "application/json")];
        client.send("PUT", &format!("/api/v1/{path}"), &json, body.to_string().as_bytes()).expect(200);
    }
    let said = lines(&client, "");
    let has = |what: &str| said.iter().any(|line| line["text"].as_str().is_some_and(|text| text.contains(what)));
    assert!(has("the profile is left to the schedules") && has("cameras are switched off"), "{said:?}");
    let raw = ["Some(", "None", ": )", "[]", "\\\""];
    assert!(!raw.iter().any(|raw| has(raw)), "lines are for people: {said:?}");
    let answer = client.post("/api/v1/system/restart", &json!({})).expect(202).json();
    assert_eq!(answer["back_in_s"], 10);
    assert_eq!(running.wait(s(20)).code(), Some(75));
    let _running = home.boot();
    let before = lines(&client, "?what=settings+were+changed");
    assert_eq!(before, changed, "the log outlives a restart");
    let newest = lines(&client, "?limit=1")[0]["n"].as_u64().expect("a number");
    assert!(newest > changed[0]["n"].as_u64().expect("a number"));
    assert!(lines(&client, &format!("?after={newest}&level=error")).is_empty());
}

#[test]
fn settings_and_people_of_a_backup_come_back_on_another_box() {
    let (home, _running, client) = bare();
    let yard =
        json!({"id": "yard", "name": "Yard", "source": "rtsp://admin@127.0.0.1:9/live", "password": "S3CRET p@ss"});
    client.post("/api/v1/cameras", &yard).expect(201);
    client.post("/api/v1/users", &json!({"name": "anna", "password": "correct horse", "role": "admin"})).expect(201);
    let made = client.post("/api/v1/backup", &json!({"password": "open sesame"})).expect(200);
    let file = made.body.clone();
    assert!(!file.windows(6).any(|w| w == b"S3CRET"));
    let ca = client.get("/api/v1/ca.pem").expect(200).text();
    let by_command = home.dir().join("box.backup");
    let path = by_command.display().to_string();
    home.run(&["backup", &path], "open sesame\n").ok();
    assert_eq!(home.run(&["backup", &path], "open sesame\n").code, Some(1), "nothing is overwritten");

    let other = Home::new("");
    let mut running = other.boot_with(&[(SERVICE, "/nobody/listens".into())]);
    let there = running.paired();
    let before = other.config_text();
    let restore = |password: &str, file: &[u8], dry: &str| {
        let body = json!({"password": password, "file": base64::encode(file)});
        there.post(&format!("/api/v1/backup/restore{dry}"), &body)
    };
    restore("open barley", &file, "").problem(400);
    let mut flipped = file.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (wrong, want) in
        [(flipped, "damaged"), (b"PK\x03\x04".to_vec(), "no backup"), (b"perch-sealed-9\n".to_vec(), "newer version")]
    {
        let answer = restore("open sesame", &wrong, "");
        assert!(answer.status >= 400 && answer.text().contains(want), "{}", answer.text());
    }
    // Where it would answer, the other box answers now.
    let refused = restore("open sesame", &file, "?dry_run=true").problem(400);
    assert!(refused["detail"].as_str().is_some_and(|why| why.contains("must be free")), "{refused}");
    assert!(other.config_text() == before && !other.data().join("restore.json").exists());
    drop(_running);
    let would = restore("open sesame", &file, "?dry_run=true").expect(200).json();
    assert_eq!((would["accounts"].as_u64(), would["restarts"].as_bool()), (Some(1), Some(true)), "{would}");
    assert_eq!(other.config_text(), before, "it was only asked");
    restore("open sesame", &file, "").expect(200);
    assert_eq!(running.wait(s(20)).code(), Some(75));
    // Killed while it is taken: the next start goes on.
    other.start().kill();
    let text = other.config_text();
    let mut taken = other.start();
    taken.ports = home.ports;
    taken.wait_until_ready();
    let text = if text.contains("yard") { text } else { other.config_text() };
    assert!(text.contains("id = \"yard\"") && text.contains(&other.data().display().to_string()), "{text}");
    let config = perch::config::Config::load(Some(&other.config())).expect("valid");
    let yard = config.cameras.iter().find(|c| c.id.as_str() == "yard").expect("there");
    assert_eq!(yard.source.url().expect("an address").expose(), "rtsp://admin:S3CRET%20p%40ss@127.0.0.1:9/live");
    let anna = taken.client();
    anna.post("/api/v1/session", &json!({"username": "anna", "password": "correct horse"})).expect(204);
    assert_eq!(fs::read_to_string(other.data().join("tls/ca.pem")).expect("there"), ca, "phones go on trusting it");
    assert!(!other.data().join("restore.json").exists());
    drop(taken);
    // By command, into a third.
    let third = Home::new("");
    let running = third.boot();
    let owner = running.paired();
    let said = third.run(&["restore-settings", &path], "open sesame\n").ok();
    assert!(said.contains("1 accounts"), "{said}");
    let lost = patch(&owner, "/api/v1/settings", "*", &json!({"box": {"name": "Shop"}})).problem(409);
    assert!(lost["detail"].as_str().is_some_and(|why| why.contains("backup waits")), "{lost}");
    let asked = patch(&owner, "/api/v1/settings?dry_run=true", "*", &json!({"box": {"name": "Shop"}})).problem(409);
    assert_eq!(asked["detail"], lost["detail"], "who only asks hears the same");
    let waits = owner.get("/api/v1/backup/restore").expect(200).json();
    assert_eq!(waits["waiting"]["accounts"], 1, "{waits}");
    owner.delete("/api/v1/backup/restore").expect(204);
    owner.delete("/api/v1/backup/restore").problem(404);
    assert_eq!(owner.get("/api/v1/backup/restore").expect(200).json(), json!({"waiting": null}));
    patch(&owner, "/api/v1/settings?dry_run=true", "*", &json!({"box": {"name": "Shop"}})).expect(200);
    drop(running);
    // What cannot be put in place keeps no box from starting.
    let before = third.config_text();
    let waiting = third.data().join("restore.json");
    fs::write(&waiting, "{").expect("written");
    let running = third.boot();
    assert!(running.log().contains("could not be restored") && !waiting.exists() && third.config_text() == before);
}

#[test]
fn a_restore_signs_everybody_out() {
    let (home, mut running, client) = bare();
    let anna = json!({"name": "anna", "password": "correct horse", "role": "admin"});
    client.post("/api/v1/users", &anna).expect(201);
    let guest = || {
        let code = client.post("/api/v1/pairing-codes", &json!({"role": "viewer"})).expect(201).json();
        client.with_token(None).pair(code["otp"].as_str().expect("a code"), "guest")
    };
    let signed_in = |devices: &[&Client], status: u16| {
        for device in devices {
            device.get("/api/v1/me").expect(status);
        }
    };
    let before = guest();
    let file = client.post("/api/v1/backup", &json!({"password": "open sesame"})).expect(200).body;
    let after = guest();
    signed_in(&[&client, &before, &after], 200);
    let body = json!({"password": "open sesame", "file": base64::encode(&file)});
    client.post("/api/v1/backup/restore", &body).expect(200);
    signed_in(&[&client, &before, &after], 200);
    assert!(running.terminate().success());
    let running = home.boot();
    signed_in(&[&client, &before, &after], 401);
    let again = json!({"username": "anna", "password": "correct horse"});
    running.client().post("/api/v1/session", &again).expect(204);
}

#[test]
fn a_bundle_for_a_supporter_holds_no_secret() {
    let (home, running, client) = bare();
    let secrets = ["CAMPASS1", "PATHPASS2", "TURNSECRET3", "FILENAME4", "PERSON5", "PLAYER6", "OWNPASS7"];
    let turn = home.dir().join("FILENAME4.secret");
    fs::write(&turn, "TURNSECRET3").expect("written");
    let server = format!("[[webrtc.turn]]\nurl = \"turn:host:3478\"\nsecret_file = {:?}\n", turn.display().to_string());
    home.write_config(&format!(
        "{}\n{server}[[camera]]\nid = \"f\"\nsource = \"file:/tmp/FILENAME4.mp4\"\n",
        home.config_text()
    ));
    home.run(&["reload"], "").ok();
    client
        .post(
            "/api/v1/cameras",
            &json!({"id": "a", "source": "rtsp://me@127.0.0.1:9/PATHPASS2?token=PATHPASS2", "password": "CAMPASS1"}),
        )
        .expect(201);
    client
        .post("/api/v1/users", &json!({"name": "PERSON5", "password": "OWNPASS7 long", "role": "viewer"}))
        .expect(201);
    client.post("/api/v1/stream-passwords", &json!({"name": "PLAYER6"})).expect(201);
    wait_until("the file is not found", s(20), || (client.camera("f")["state"] != "starting").then_some(()));
    let packed = client.post("/api/v1/support-bundle", &json!({})).expect(200).body;
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut text).expect("an archive");
    let text = String::from_utf8_lossy(&text);
    for name in ["status.json", "settings.json", "log.txt", "system.json", "versions.json"] {
        assert!(text.contains(&format!("perch-support/{name}")), "{name}");
    }
    assert!(text.contains("turn:host:3478") && text.contains("rtsp://127.0.0.1:9"), "what helps is there");
    let hash = fs::read_to_string(home.data().join("tls/ca.key")).expect("there");
    let key = hash.lines().nth(1).expect("a line");
    for secret in secrets.iter().copied().chain([key, "$argon2id$"]) {
        assert!(!text.contains(secret), "{secret} is in the bundle");
    }
    drop(running);
}
