//! What a box does with a bad config, taken ports, broken files and a disk that fails. What comes in over the network is in
//! `bad_requests.rs`.

use crate::support::client::Client;
use crate::support::home::{Home, Ports, camera, perch};
use crate::support::whep::{Viewer, Watching};
use crate::support::{ffmpeg, s, skipped, wait_until};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ALWAYS: &str = "motion = { enabled = false }\nrecord = { mode = \"continuous\", segment_max_s = 5 }";

fn watch(client: &Client, camera: &str) -> Watching {
    let (mut viewer, offer) = Viewer::offer();
    let (answer, _) = client.whep(camera, "main", &offer);
    viewer.accept(&answer);
    viewer.spawn()
}

fn recording(admin: &Client, camera: &str) -> (String, String) {
    let camera = admin.camera(camera);
    let word = |key: &str| camera["recording"][key].as_str().expect("text").to_owned();
    (word("state"), word("reason"))
}

fn wait_for_recording(admin: &Client, camera: &str) {
    wait_until("it records", s(30), || (recording(admin, camera).0 == "recording").then_some(()));
}

#[test]
fn a_wrong_config_starts_nothing_and_says_what_is_wrong() {
    let cam = |rest: &str| camera("a", "test", rest);
    let cases: [(&str, String, &[&str]); 17] = [
        ("[htpp]\nlisten = \"x\"", cam(""), &["htpp", "is not a known key"]),
        ("[access]\notp_digits = 3", cam(""), &["access.otp_digits = 3", "must be 6 to 12"]),
        ("[access]\notp_digits = \"many\"", cam(""), &["access.otp_digits = \"many\"", "must be a whole number"]),
        ("[recording]\nmax_bytes = -1", cam(""), &["recording.max_bytes = -1", "must be at least 0"]),
        ("[recording]\nmax_byte = 1", cam(""), &["recording.max_byte = …", "is not a known key"]),
        ("", cam("record = { mode = \"sometimes\" }"), &["record.mode = \"sometimes\"", "continuous, motion, off"]),
        ("", cam("record = { segment_max_s = 1 }"), &["record.segment_max_s = 1", "must be 5 to 3600"]),
        ("", cam("motion = { sensitivity = 2 }"), &["motion.sensitivity = 2", "must be 0 to 1"]),
        ("", cam("motion = { zones = [[[0, 0], [1, 1]]] }"), &["motion.zones", "must have 3 to 64"]),
        ("", cam("frobnicate = true"), &["camera[0].frobnicate = …", "is not a known key"]),
        ("", camera("../etc", "test", ""), &["camera[0].id", "../etc", "must be 1 to 32"]),
        ("", camera("a", "exec:reboot", ""), &["camera[0].source", "exec:reboot", "must be test, file:PATH"]),
        ("", camera("a", "v4l2:/dev/video0 ! filesink location=/tmp/x", ""), &["camera[0].source", "v4l2:/dev/videoN"]),
        ("", camera("a", "test", "audio = { source = \"alsa:hw:0 ! filesink\" }"), &["camera[0].audio.source"]),
        ("", [cam(""), cam("")].concat(), &["camera[1].id = \"a\"", "must differ from every other"]),
        ("[box", cam(""), &["not TOML"]),
        ("[webrtc.turn]\nurl = 3", cam(""), &["webrtc.turn"]),
    ];
    for (sections, cameras, wanted) in cases {
        let home = Home::new("");
        home.configure(sections, &cameras);
        let ran = home.run(&["run"], "");
        assert_eq!(ran.code, Some(2), "{sections}\n{cameras}\n{ran:?}");
        for want in wanted {
            assert!(ran.err.contains(want), "wanted {want:?} in {}", ran.err);
        }
        assert!(!ran.err.contains("panicked") && ran.out.is_empty(), "{ran:?}");
        assert!(!home.data().exists(), "the data folder was made although the config is refused");
    }
    let home = Home::new("");
    let mut command = home.command(&["run"]);
    command.env("PERCH_ACCESS_OTP_DIGITS", "99");
    let ran = crate::support::home::Ran::of(command, "");
    assert!(ran.code == Some(2) && ran.err.contains("access.otp_digits = 99"), "{ran:?}");
    let ran = crate::support::home::Ran::of(perch(&["run", "--confg", "x"]), "");
    assert!(ran.code == Some(2) && ran.err.contains("--confg"), "{ran:?}");
    let ran = crate::support::home::Ran::of(perch(&["fly"]), "");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_taken_port_is_reported_in_a_sentence() {
    let home = Home::new("");
    let Ports { http, rtsp, udp, .. } = home.ports;
    for (port, key) in [(http, "http.listen"), (rtsp, "rtsp.listen"), (udp, "webrtc.udp_listen")] {
        let taken = (Ipv4Addr::LOCALHOST, port);
        let held: Box<dyn std::any::Any> = if port == udp {
            Box::new(UdpSocket::bind(taken).expect("the port is free"))
        } else {
            Box::new(TcpListener::bind(taken).expect("the port is free"))
        };
        let ran = home.run(&["run"], "");
        drop(held);
        assert_eq!(ran.code, Some(1), "{key}: {ran:?}");
        let said = ran.err.lines().find(|l| l.starts_with("perch: ")).unwrap_or_else(|| panic!("{key}: {ran:?}"));
        assert!(said.contains(&port.to_string()) && said.contains("in use") && said.contains(key), "{key}: {said}");
        assert!(!ran.out.contains("One-time password"), "{key}: {ran:?}");
    }
    let mut running = home.boot();
    // A second box on the same data and ports is refused, and the first does not notice.
    let second = home.run(&["run"], "");
    assert_eq!(second.code, Some(1), "{second:?}");
    running.paired().json("/api/v1/me");
    assert!(running.terminate().success());
}

/// The box's database file.
fn database(home: &Home) -> PathBuf {
    let files = std::fs::read_dir(home.data()).expect("the data folder").flatten().map(|f| f.path());
    let is_database = |p: &PathBuf| std::fs::read(p).is_ok_and(|b| b.starts_with(b"SQLite format 3\0"));
    files.into_iter().find(is_database).expect("a database")
}

#[test]
fn a_corrupt_database_is_set_aside_and_the_recordings_stay() {
    let home = Home::new(&camera("test", "test", ALWAYS));
    {
        let mut running = home.boot();
        wait_for_recording(&running.paired(), "test");
        wait_until("two files", s(20), || (home.recordings("test").len() >= 2).then_some(()));
        running.terminate();
    }
    let before = home.recordings("test");
    let file = database(&home);
    // A box that ends in time leaves everything in the one file; the half of a file that holds next to nothing is an empty database.
    let log = PathBuf::from(format!("{}-wal", file.display()));
    for _ in 0..5 {
        if log.exists() {
            home.boot().terminate();
        }
    }
    let whole = std::fs::read(&file).expect("the database");
    assert!(whole.len() > 8 * 4096, "{} bytes; the log is left: {}", whole.len(), log.exists());
    let garbage: Vec<u8> = (0..whole.len()).map(|i| (i * 31 % 251) as u8).collect();
    let mut torn = whole.clone();
    torn[100..4096.min(whole.len())].fill(0xA5);
    for (what, bytes) in
        [("garbage", garbage), ("a torn first page", torn), ("half of it", whole[..whole.len() / 2].to_vec())]
    {
        std::fs::write(&file, bytes).expect("written");
        // What a box left there that did not end in time would heal it.
        for side in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{side}", file.display()));
        }
        let began = now_us();
        let mut running = home.boot();
        let log = running.log();
        assert!(log.contains("corrupt") || log.contains("malformed") || log.contains("set aside"), "{what}: {log}");
        // Accounts are gone with it: the box says so by being nobody's again.
        let admin = running.paired();
        admin.wait_for_camera("test", "live", s(30));
        wait_for_recording(&admin, "test");
        let line = admin.json("/api/v1/cameras/test/timeline?from=2020-01-01T00:00:00Z&to=2020-06-01T00:00:00Z");
        assert_eq!(line["spans"], serde_json::json!([]));
        let from = perch_base::time::Timestamp((now_us()) - 3_600_000_000);
        let to = perch_base::time::Timestamp(now_us() + 60_000_000);
        let line = admin.json(&format!("/api/v1/cameras/test/timeline?from={from}&to={to}"));
        let first = line["spans"][0]["start"].as_str().map(|s| perch_base::time::Timestamp::parse(s).expect("a time"));
        assert!(first.is_some_and(|f| f.as_micros() < began), "{what}: the old files were not adopted: {line}");
        running.terminate();
        for old in &before {
            assert!(old.is_file(), "{what}: {} is gone", old.display());
            ffmpeg::probe_file(old);
        }
    }
}

fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_micros() as i64
}

#[test]
fn broken_recordings_are_set_aside_and_the_rest_plays() {
    let home = Home::new(&camera("test", "test", ALWAYS));
    let token = {
        let mut running = home.boot();
        let admin = running.paired();
        wait_for_recording(&admin, "test");
        wait_until("three files", s(30), || (home.recordings("test").len() >= 3).then_some(()));
        running.terminate();
        admin.token
    };
    let good = home.recordings("test");
    let day = good[0].parent().expect("a day").to_owned();
    let bytes = std::fs::read(&good[0]).expect("a file");
    let put = |name: &str, bytes: &[u8]| {
        let path = day.join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    };
    // Files that no row knows: nothing, junk, junk behind a good start, a box that claims more than there is.
    let mut lies = bytes.clone();
    lies[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let mut loops = bytes.clone();
    loops[..4].fill(0);
    let junk: Vec<u8> = (0..70_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let bad = [
        put("000001.000Z.mp4", b""),
        put("000002.000Z.mp4", &junk),
        put("000003.000Z.mp4", &lies),
        put("000004.000Z.mp4", &loops),
        put("000005.000Z.mp4", &bytes[..400.min(bytes.len())]),
    ];
    // One that plays up to where it breaks off, and a known one that lost its tail and then its head.
    let cut = put("000010.000Z.mp4", &bytes[..bytes.len() * 2 / 3]);
    std::fs::write(&good[1], &std::fs::read(&good[1]).expect("a file")[..2_000]).expect("written");
    let secret = home.dir().join("secret");
    std::fs::write(&secret, "not a recording, not to be read").expect("written");
    std::os::unix::fs::symlink(&secret, day.join("000020.000Z.mp4")).expect("linked");
    std::fs::create_dir(day.join("000021.000Z.mp4")).expect("made");
    std::fs::write(day.join("notes.txt"), "left here by a person").expect("written");
    std::fs::remove_file(&good[2]).expect("removed");

    let mut running = home.boot();
    // They are looked through beside what runs.
    wait_until("bad files are set aside", s(20), || running.log().contains("quarantined").then_some(()));
    let admin = running.client().with_token(token.as_deref());
    wait_for_recording(&admin, "test");
    let (from, to) =
        (perch_base::time::Timestamp(now_us() - 86_400_000_000), perch_base::time::Timestamp(now_us() + 1_000_000));
    let line = admin.json(&format!("/api/v1/cameras/test/timeline?from={from}&to={to}"));
    assert!(line["spans"].as_array().is_some_and(|s| s.len() >= 3), "first, adopted and new: {line}");
    assert!(line["gaps"].as_array().is_some_and(|g| g.iter().any(|g| g["cause"] == "lost")), "{line}");
    for path in &bad {
        assert!(!path.exists(), "{} is still among the recordings", path.display());
    }
    ffmpeg::probe_file(&good[0]);
    ffmpeg::probe_file(&cut);
    assert_eq!(std::fs::read_to_string(&secret).expect("still there"), "not a recording, not to be read");
    for id in 1..40 {
        let answer = admin.get(&format!("/api/v1/cameras/test/segments/{id}.mp4"));
        assert!([200, 404, 410].contains(&answer.status), "{id}: {}", answer.status);
        assert!(!answer.text().contains("not to be read"), "segment {id} is the file behind the link");
    }
    let playlist = admin.get(&format!("/api/v1/cameras/test/playback.m3u8?from={from}&to={to}")).expect(200);
    assert!(playlist.text().contains("#EXTINF"));
    assert!(running.terminate().success());
}

/// A mount that ends with the test.
pub struct Mount(PathBuf);

impl Mount {
    pub fn new(options: &str, at: &Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("made");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "perch-test"]).arg(at).output();
        mounted.is_ok_and(|o| o.status.success()).then(|| Self(at.to_owned()))
    }

    /// Changes how it is mounted. False: files are open for writing.
    #[expect(unsafe_code, reason = "mount(2) has no safe form here")]
    fn remount(&self, flags: libc::c_ulong) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let at = std::ffi::CString::new(self.0.as_os_str().as_bytes()).expect("a path");
        let flags = flags | libc::MS_REMOUNT | libc::MS_BIND;
        // SAFETY: `at` is a C string that outlives the call; a remount reads neither source, type nor data.
        unsafe { libc::mount(std::ptr::null(), at.as_ptr(), std::ptr::null(), flags, std::ptr::null()) == 0 }
    }

    pub fn end(self) {}
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a box that is being killed may still hold files there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Waits until a viewer got so many more pictures: live goes on whatever the disk does.
fn live_goes_on(viewer: &Watching) {
    viewer.wait_for_frames(20, s(6));
}

#[test]
fn a_full_disk_pauses_recording_and_nothing_else() {
    let place = tempfile::tempdir().expect("a folder");
    let Some(mount) = Mount::new("size=24m", place.path()) else {
        return skipped("a_full_disk_pauses_recording_and_nothing_else", "this user may not mount a file system");
    };
    let home = Home::with_data(&place.path().join("data"), &camera("test", "test", ALWAYS));
    let mut running = home.boot();
    let admin = running.paired();
    wait_for_recording(&admin, "test");
    let viewer = watch(&admin, "test");
    live_goes_on(&viewer);

    let filler = place.path().join("filler");
    {
        let mut file = std::fs::File::create(&filler).expect("made");
        while std::io::Write::write_all(&mut file, &[0; 65_536]).is_ok() {}
        let mut file = std::fs::OpenOptions::new().append(true).open(&filler).expect("there");
        while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
    }
    let (_, reason) =
        wait_until("recording is paused", s(20), || Some(recording(&admin, "test")).filter(|r| r.0 == "paused"));
    assert!(reason.contains("full") || reason.contains("space"), "{reason}");
    let status = admin.json("/api/v1/status");
    assert_eq!(status["state"], "degraded", "{status}");
    assert!(status["sentence"].as_str().is_some_and(|s| s.contains("not being recorded")), "{}", status["sentence"]);
    live_goes_on(&viewer);
    running.client().get("/healthz").expect(200);

    std::fs::remove_file(&filler).expect("removed");
    wait_for_recording(&admin, "test");
    live_goes_on(&viewer);
    wait_until("a file after the pause", s(15), || {
        let (from, to) = (perch_base::time::Timestamp(now_us() - 600_000_000), perch_base::time::Timestamp(now_us()));
        let line = admin.json(&format!("/api/v1/cameras/test/timeline?from={from}&to={to}"));
        let known = line["gaps"].as_array().is_some_and(|g| g.iter().any(|g| g["cause"] == "disk_full"));
        (known && line["spans"].as_array().is_some_and(|s| s.len() >= 2)).then_some(())
    });
    assert_eq!(admin.camera("test")["health"]["restarts"], 0, "capture never noticed");
    assert!(running.terminate().success(), "{}", running.log());
    for file in home.recordings("test") {
        ffmpeg::probe_file(&file);
    }
    drop(running);
    mount.end();
}

#[test]
fn a_box_starts_on_a_disk_that_cannot_be_written_and_shows_its_cameras() {
    let place = tempfile::tempdir().expect("a folder");
    let Some(mount) = Mount::new("size=100m", place.path()) else {
        return skipped(
            "a_box_starts_on_a_disk_that_cannot_be_written_and_shows_its_cameras",
            "this user may not mount a file system",
        );
    };
    let home = Home::with_data(&place.path().join("data"), &camera("test", "test", ALWAYS));
    let mut running = home.boot();
    let admin = running.paired();
    wait_for_recording(&admin, "test");
    assert!(running.terminate().success(), "{}", running.log());
    drop(running);
    assert!(mount.remount(libc::MS_RDONLY), "nothing is open any more");

    let mut running = home.boot();
    let token = admin.token;
    let mut admin = running.client();
    admin.token = token;
    admin.wait_for_camera("test", "live", s(20));
    live_goes_on(&watch(&admin, "test"));
    let (_, reason) =
        wait_until("recording is paused", s(20), || Some(recording(&admin, "test")).filter(|r| r.0 == "paused"));
    assert!(reason.to_lowercase().contains("read-only"), "{reason}");
    assert!(mount.remount(0), "writable again");
    wait_for_recording(&admin, "test");
    assert!(running.terminate().success(), "{}", running.log());
    drop(running);
    mount.end();
}

#[test]
fn a_disk_that_turns_read_only_pauses_recording_and_nothing_else() {
    let home = Home::new(&camera("test", "test", ALWAYS));
    let recordings = home.data().join("recordings");
    let Some(mount) = Mount::new("size=200m", &recordings) else {
        return skipped(
            "a_disk_that_turns_read_only_pauses_recording_and_nothing_else",
            "this user may not mount a file system",
        );
    };
    let mut running = home.boot();
    let admin = running.paired();
    wait_for_recording(&admin, "test");
    let viewer = watch(&admin, "test");
    live_goes_on(&viewer);
    // The kernel refuses while a file is open for writing: the moment between two files is awaited, one in five seconds.
    let deadline = std::time::Instant::now() + s(120);
    while !mount.remount(libc::MS_RDONLY) {
        assert!(std::time::Instant::now() < deadline, "the file system could not be made read-only");
        // Short against that moment, which a file's flush takes.
        std::thread::sleep(Duration::from_micros(200));
    }
    let (_, reason) =
        wait_until("recording is paused", s(20), || Some(recording(&admin, "test")).filter(|r| r.0 == "paused"));
    assert!(reason.to_lowercase().contains("read-only"), "{reason}");
    let status = admin.json("/api/v1/status");
    assert_eq!(status["state"], "degraded", "{status}");
    live_goes_on(&viewer);
    running.client().get("/healthz").expect(200);
    assert!(mount.remount(0), "writable again");
    wait_for_recording(&admin, "test");
    live_goes_on(&viewer);
    assert_eq!(admin.camera("test")["health"]["restarts"], 0, "capture never noticed");
    let (from, to) = (perch_base::time::Timestamp(now_us() - 600_000_000), perch_base::time::Timestamp(now_us()));
    let line = admin.json(&format!("/api/v1/cameras/test/timeline?from={from}&to={to}"));
    assert!(line["gaps"].as_array().is_some_and(|g| g.iter().any(|g| g["cause"] == "disk_error")), "{line}");
    assert!(running.terminate().success(), "{}", running.log());
    for file in home.recordings("test") {
        ffmpeg::probe_file(&file);
    }
    drop(running);
    mount.end();
}
