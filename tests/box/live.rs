//! Live pictures of a whole box: every kind of source, every way to watch, and what happens when a viewer, a device or a camera
//! goes away.

use crate::support::client::Client;
use crate::support::home::{BoxProcess, Home, camera};
use crate::support::whep::{Plays, Viewer, Watching};
use crate::support::{ffmpeg, s, skipped, wait_until};
use std::time::{Duration, Instant};

/// Sound, no recording, no motion: only what is watched live costs.
const PLAIN: &str = "audio = { source = \"test\" }\nrecord = { mode = \"off\" }\nmotion = { enabled = false }";

fn watch(client: &Client, camera: &str, stream: &str) -> (Watching, String) {
    let (mut viewer, offer) = Viewer::offer();
    let (answer, lease) = client.whep(camera, stream, &offer);
    viewer.accept(&answer);
    (viewer.spawn(), lease)
}

/// A box that plays the part of a network camera: its process, and the URL of its picture.
fn network_camera(home: &Home) -> (BoxProcess, String) {
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("far", "live", s(20));
    let url = running.rtsp_url("nvr", &admin.stream_password("nvr"), "far");
    (running, url)
}

#[test]
fn every_source_reaches_every_kind_of_player() {
    let remote = Home::new(&camera("far", "test", PLAIN));
    let (_remote, far) = network_camera(&remote);
    let home = Home::new("");
    let clip = ffmpeg::footage("intel_person.mp4").unwrap_or_else(|| {
        skipped("real footage", "../shared/footage is not there, a clip of our own is played");
        let own = home.dir().join("walker.mp4");
        ffmpeg::walker(&own, 20, 8, 12);
        own
    });
    let cameras = [
        camera("test", "test", PLAIN),
        camera("clip", &format!("file:{}", clip.display()), PLAIN),
        camera("remote", &far, &PLAIN.replace("source = \"test\"", "source = \"source\"")),
    ];
    home.configure("", &cameras.concat());
    let running = home.boot();
    let admin = running.paired();
    let password = admin.stream_password("player");
    for id in ["test", "clip", "remote"] {
        admin.wait_for_camera(id, "live", s(30));
    }

    for id in ["test", "clip", "remote"] {
        for (path, width) in [(id.to_owned(), 320), (format!("{id}/sub"), 160)] {
            let url = running.rtsp_url("player", &password, &path);
            let probe = ffmpeg::probe_rtsp(&url, "tcp").unwrap_or_else(|e| panic!("{path} over TCP: {e}"));
            assert!(probe.has("video:h264") && probe.has("audio:opus"), "{path}: {probe:?}");
            assert_eq!(probe.width, width, "{path}");
        }
        let started = Instant::now();
        let (viewer, lease) = watch(&admin, id, "main");
        let seen = wait_until(&format!("pictures and sound of {id} at a WHEP viewer"), s(15), || {
            Some(viewer.seen()).filter(|seen| seen.frames >= 30 && seen.sounds >= 50)
        });
        let after = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(started));
        let (connected, first) = (after(seen.connected_at), after(seen.first_frame));
        assert!(first < Some(s(2)), "{id}: connected after {connected:?}, the first picture came after {first:?}");
        let file = home.dir().join(format!("{id}.h264"));
        std::fs::write(&file, &seen.video).expect("written");
        // It decodes from its very first frame: nothing before it is missing.
        let pictures = ffmpeg::decode(&file.display().to_string(), &["-f", "h264"]);
        assert!(seen.keyframes >= 1 && pictures >= 25, "{id}: {} keyframes, {pictures} pictures", seen.keyframes);

        let sessions = admin.json("/api/v1/live");
        let session = &sessions["sessions"][0];
        assert_eq!((&session["camera"], &session["stream"]), (&id.into(), &"main".into()), "{sessions}");
        assert_eq!(
            (&session["connected"], &session["device_name"]),
            (&true.into(), &"test phone".into()),
            "{sessions}"
        );
        assert!(session["bytes_sent"].as_u64() >= Some(seen.bytes / 2), "{sessions}");
        admin.delete(&lease).expect(204);
        assert_eq!(admin.json("/api/v1/live")["sessions"].as_array().map(Vec::len), Some(0));
        // A goodbye may be said twice; nothing else can be done with a session that has ended.
        admin.delete(&lease).expect(204);
        admin.send("POST", &format!("{lease}/keepalive"), &[], b"").problem(404);
    }
    let url = running.rtsp_url("player", &password, "test");
    let probe = ffmpeg::probe_rtsp(&url, "udp").unwrap_or_else(|e| panic!("over UDP: {e}"));
    assert!(probe.has("video:h264") && probe.has("audio:opus"), "{probe:?}");

    for wrong in [running.rtsp_url("player", "wrong", "test"), running.rtsp_url("player", &password, "nowhere")] {
        assert!(ffmpeg::probe_rtsp(&wrong, "tcp").is_err(), "{wrong}");
    }
}

#[test]
fn a_revoked_device_sees_nothing_within_a_second() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    let code = admin.post("/api/v1/pairing-codes", &serde_json::json!({ "role": "viewer" })).expect(201).json();
    let guest = running.client().pair(code["otp"].as_str().expect("a code"), "guest");
    admin.wait_for_camera("test", "live", s(20));
    let (mine, _) = watch(&admin, "test", "main");
    let (theirs, lease) = watch(&guest, "test", "main");
    mine.wait_for_frames(5, s(10));
    theirs.wait_for_frames(5, s(10));
    // The event stream is a live session as well.
    let mut news = guest.ask("GET", "/api/v1/events/stream", &[("Accept", "text/event-stream")], b"").expect("asked");
    let mut reader = std::io::BufReader::new(&mut news);
    assert_eq!(crate::support::client::read_head(&mut reader).expect("a head").status, 200);

    admin.delete(&format!("/api/v1/devices/{}", guest.device)).expect(204);
    let revoked = Instant::now();
    while crate::support::client::read_line(&mut reader).is_ok() {}
    assert!(revoked.elapsed() < s(1), "the event stream went on for {:?}", revoked.elapsed());
    mine.wait_for_frames(30, s(10));
    let last = theirs.seen().last_frame.expect("frames came");
    let went_on = last.saturating_duration_since(revoked);
    assert!(went_on < s(1), "pictures went on for {went_on:?}");
    guest.get("/api/v1/me").problem(401);
    guest.send("POST", &format!("{lease}/keepalive"), &[], b"").problem(401);
    let sessions = admin.json("/api/v1/live");
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1), "{sessions}");
}

#[test]
fn a_viewer_that_falls_silent_lapses_and_frees_the_sub_encoder() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("test", "live", s(20));
    let sub_active = || admin.camera("test")["capture"]["sub_active"].as_bool().expect("a flag");
    assert!(!sub_active(), "nobody watches yet");
    let (kept, kept_lease) = watch(&admin, "test", "main");
    let (left, left_lease) = watch(&admin, "test", "sub");
    let granted = Instant::now();
    left.wait_for_frames(10, s(10));
    assert!(sub_active(), "somebody watches the sub-stream");
    drop(left);
    let silent = Instant::now();

    let mut renewed = Instant::now();
    wait_until("the sub encoder ends", s(45), || {
        if renewed.elapsed() > s(8) {
            admin.send("POST", &format!("{kept_lease}/keepalive"), &[], b"").expect(204);
            renewed = Instant::now();
        }
        (!sub_active()).then_some(())
    });
    let lasted = silent.elapsed();
    // A silent viewer may also be found out by ICE, before its lease lapses; its last report is looked at two seconds later.
    assert!(lasted < s(38), "the sub encoder ran for {lasted:?}");
    admin.send("POST", &format!("{left_lease}/keepalive"), &[], b"").problem(404);
    wait_until("the renewed lease outlives 32 s", s(10), || (granted.elapsed() > s(32)).then_some(()));
    admin.send("POST", &format!("{kept_lease}/keepalive"), &[], b"").expect(204);
    kept.wait_for_frames(5, s(5));
}

#[test]
fn a_network_camera_that_dies_comes_back_and_disturbs_nobody() {
    let remote = Home::new(&camera("far", "test", PLAIN));
    let (mut far, url) = network_camera(&remote);
    let home = Home::new(&[camera("near", "test", PLAIN), camera("remote", &url, PLAIN)].concat());
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("near", "live", s(20));
    admin.wait_for_camera("remote", "live", s(30));
    let (near, _) = watch(&admin, "near", "main");
    let before = near.wait_for_frames(15, s(10));
    let started = Instant::now();

    far.kill();
    let degraded = wait_until("the camera is missed", s(15), || {
        let camera = admin.camera("remote");
        let state = camera["health"]["state"].as_str().expect("a state").to_owned();
        ["missing", "stalled"].contains(&state.as_str()).then_some(camera)
    });
    let reason = degraded["health"]["reason"].as_str().expect("a reason");
    assert!(reason.len() > 8 && !reason.contains("nvr:"), "{reason}");
    let status = admin.json("/api/v1/status");
    assert_eq!(status["state"], "degraded", "{status}");
    assert!(status["sentence"].as_str().is_some_and(|s| s.contains("Camera remote")), "{}", status["sentence"]);
    assert!(!running.log().contains(&url), "the camera's password is in the log");

    let _far = remote.boot();
    let back = admin.wait_for_camera("remote", "live", s(60));
    assert!(back["health"]["restarts"].as_u64() >= Some(1), "{back}");
    wait_until("the box is well again", s(5), || (admin.json("/api/v1/status")["state"] == "ok").then_some(()));
    let seen = near.seen();
    let expected = started.elapsed().as_secs_f64() * 15.0;
    let got = (seen.frames - before.frames) as f64;
    assert!(got > expected * 0.8, "the other camera gave {got} of {expected:.0} pictures meanwhile");
    assert_eq!(admin.camera("near")["health"]["restarts"], 0);
}

#[test]
fn a_camera_that_is_missing_at_the_start_comes_by_itself_and_holds_up_nobody() {
    let home = Home::new("");
    let clip = home.dir().join("late.mp4");
    let source = format!("file:{}", clip.display());
    home.configure("", &[camera("near", "test", PLAIN), camera("late", &source, PLAIN)].concat());
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("near", "live", s(20));
    let missing = wait_until("the camera is missed", s(10), || {
        Some(admin.camera("late")).filter(|c| c["health"]["state"] != "starting" && c["health"]["state"] != "live")
    });
    let (_, offer) = Viewer::offer();
    let refused =
        admin.send("POST", "/api/v1/cameras/late/whep", &[("Content-Type", "application/sdp")], offer.as_bytes());
    let detail = refused.problem(503)["detail"].as_str().expect("a sentence").to_owned();
    assert!(detail.contains("Camera late has no picture"), "{detail}: {missing}");
    let made = home.dir().join("made.mp4");
    ffmpeg::walker(&made, 20, 8, 12);
    std::fs::rename(made, clip).expect("there it is");
    admin.wait_for_camera("late", "live", s(40));
    let (viewer, _) = watch(&admin, "late", "main");
    viewer.wait_for_frames(15, s(10));
    assert_eq!(admin.camera("near")["health"]["restarts"], 0);
}

#[test]
fn a_viewer_that_asks_for_a_keyframe_gets_one() {
    let home = Home::new(&camera("test", "test", PLAIN));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("test", "live", s(20));
    let (viewer, _) = watch(&admin, "test", "main");
    let start = viewer.wait_for_frames(20, s(10));
    let started = Instant::now();
    let mut asked = 0;
    while started.elapsed() < s(4) {
        viewer.ask_for_keyframe();
        asked += 1;
        viewer.wait_for_frames(1, s(5));
    }
    let keyframes = viewer.seen().keyframes - start.keyframes;
    // One a second at most, whatever is asked for, beside those that come by themselves.
    assert!(asked > 20 && (3..=10).contains(&keyframes), "{asked} requests, {keyframes} keyframes in 4 s");
    assert_eq!(viewer.seen().broken, 0);
    assert!(started.elapsed() < Duration::from_secs(8));
}

#[test]
fn browsers_without_h264_are_sent_vp8_that_is_made_once_and_only_for_them() {
    let home = Home::new(&camera("test", "test", PLAIN));
    home.write_config(&home.config_text().replace("[webrtc]\n", "[webrtc]\nvp8 = \"always\"\n"));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("test", "live", s(20));
    let sub_active = || admin.camera("test")["capture"]["sub_active"].as_bool().expect("a flag");
    let watch_vp8 = || {
        let (mut viewer, offer) = Viewer::playing(Plays::Vp8);
        let (answer, lease) = admin.whep("test", "auto", &offer);
        viewer.accept(&answer);
        (viewer.spawn(), lease)
    };
    assert!(!sub_active(), "nobody watches yet");
    for _ in 0..2 {
        let both = [watch_vp8(), watch_vp8()];
        for (viewer, _) in &both {
            let seen = viewer.wait_for_frames(20, s(15));
            assert!(seen.keyframes >= 1 && seen.sounds > 10 && seen.broken == 0, "{} frames", seen.frames);
        }
        assert!(sub_active());
        for (_, lease) in &both {
            admin.delete(lease).expect(204);
        }
        wait_until("nothing is encoded for nobody", s(15), || (!sub_active()).then_some(()));
    }
    home.write_config(&home.config_text().replace("always", "never"));
    home.run(&["reload"], "").ok();
    let (_viewer, offer) = Viewer::playing(Plays::Vp8);
    let refused =
        admin.send("POST", "/api/v1/cameras/test/whep", &[("Content-Type", "application/sdp")], offer.as_bytes());
    assert!((400..500).contains(&refused.status) && refused.text().contains("H.264"), "{}", refused.text());
}
