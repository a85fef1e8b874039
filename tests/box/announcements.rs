//! Announcements of a whole box: uploaded, heard at the loudspeaker, kept over a restart, played when something happens, and nothing of
//! a camera that is off.

use crate::support::client::{Answer, Client};
use crate::support::home::{Home, camera};
use crate::support::{ffmpeg, s, wait_until};
use serde_json::{Value, json};

/// A tone of so many seconds, as a WAV file of two channels.
fn wav(seconds: usize) -> Vec<u8> {
    let frames = seconds * 16_000;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0".to_vec();
    file.extend_from_slice(&16_000u32.to_le_bytes());
    file.extend_from_slice(&64_000u32.to_le_bytes());
    file.extend_from_slice(&[4, 0, 16, 0]);
    file.extend_from_slice(b"data");
    file.extend_from_slice(&(frames as u32 * 4).to_le_bytes());
    for n in 0..frames {
        let sample = ((n as f64 * 0.3).sin() * 20_000.0) as i16;
        file.extend([sample, sample].iter().flat_map(|sample| sample.to_le_bytes()));
    }
    file
}

fn upload(admin: &Client, name: &str, file: &[u8]) -> Answer {
    let path = format!("/api/v1/announcements?name={name}");
    admin.send("POST", &path, &[("Content-Type", "audio/wav")], file)
}

fn announce(admin: &Client, name: &str) -> Answer {
    admin.post("/api/v1/cameras/door/announce", &json!({ "name": name }))
}

fn talk(admin: &Client) -> Value {
    admin.camera("door")["talk"].clone()
}

/// Until it was heard, and the floor is free again. Returns who spoke.
fn is_heard(admin: &Client) -> String {
    let who = wait_until("it is heard", s(20), || {
        let talk = talk(admin);
        let loud = talk["level"]["peak_db"].as_f64().is_some_and(|db| db > -12.0);
        loud.then(|| talk["speaker"].as_str().unwrap_or_default().to_owned())
    });
    wait_until("it is over", s(20), || talk(admin)["speaker"].is_null().then_some(()));
    who
}

#[test]
fn announcements_are_kept_and_heard_but_through_no_camera_that_is_off() {
    let door = camera(
        "door",
        "test",
        "record = { mode = \"off\" }\nmotion = { enabled = false }\ntalkback = { sink = \"test\" }\n",
    );
    let home = Home::new(&door);
    let mut running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("door", "live", s(60));
    assert!(upload(&admin, "Bad", b"RIFF and no more").problem(400)["detail"].as_str().is_some());
    assert!(upload(&admin, "Long", &wav(31)).problem(400)["detail"].as_str().is_some_and(|said| said.contains("31 s")));
    let one = upload(&admin, "Parcels%20here", &wav(2)).expect(201).json();
    assert_eq!(one["duration_ms"], json!(2000));
    let at = format!("/api/v1/announcements/{}", one["id"].as_str().expect("a text"));
    let kept = admin.get(&format!("{at}/sound.wav")).expect(200).body;
    assert_eq!(kept.len(), 44 + 2 * 2 * 16_000, "one channel of 16 bits");
    announce(&admin, "Parcels here").expect(204);
    assert_eq!(is_heard(&admin), "test phone");
    announce(&admin, "chime").expect(204);
    is_heard(&admin);
    announce(&admin, "nothing").problem(404);
    // Off: it says so, and nothing waits to be played.
    let switch = |off: bool| {
        let body = json!({ "on": off, "cameras": ["door"] }).to_string();
        admin.send("PUT", "/api/v1/privacy", &[("content-type", "application/json")], body.as_bytes()).expect(200);
    };
    switch(true);
    let refused = announce(&admin, "chime").problem(503);
    assert!(refused["detail"].as_str().is_some_and(|said| said.contains("switched off")), "{refused}");
    switch(false);
    admin.wait_for_camera("door", "live", s(60));
    assert_eq!(talk(&admin)["speaker"], Value::Null);
    // Another start.
    assert!(running.terminate().success());
    let running = home.boot();
    let admin = running.client().with_token(admin.token.as_deref());
    admin.wait_for_camera("door", "live", s(60));
    assert_eq!(admin.json("/api/v1/announcements")["announcements"], json!([one]));
    announce(&admin, "Parcels here").expect(204);
    is_heard(&admin);
    admin.delete(&at).expect(204);
    announce(&admin, "Parcels here").problem(404);
}

#[test]
fn a_sound_is_played_when_something_happens() {
    let home = Home::new("");
    let clip = home.dir().join("walker.mp4");
    ffmpeg::walker(&clip, 20, 6, 12);
    let more = "record = { mode = \"off\" }\nmotion = { enabled = true }\n\
        talkback = { sink = \"test\", on_event = { play = \"Parcels\", quiet_s = 5 } }\n";
    home.configure("", &camera("door", &format!("file:{}", clip.display()), more));
    let running = home.boot();
    let admin = running.paired();
    upload(&admin, "Parcels", &wav(1)).expect(201);
    let who = wait_until("it is heard", s(90), || {
        let talk = talk(&admin);
        let loud = talk["level"]["peak_db"].as_f64().is_some_and(|db| db > -12.0);
        loud.then(|| talk["speaker"].as_str().unwrap_or_default().to_owned())
    });
    assert_eq!(who, "The box");
    assert!(running.log().contains("a sound is played for an event"), "{}", running.log());
}
