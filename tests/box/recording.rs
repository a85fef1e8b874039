//! Recordings of a whole box: files without holes, events as whole files, playback over HTTPS, and what a kill leaves.

use crate::support::client::Client;
use crate::support::ffmpeg::{self, Frame};
use crate::support::home::{BoxProcess, Home, camera};
use crate::support::{Chance, long, s, skipped, wait_until};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A GOP is about one second; encoder and disk add a little.
const GOP: f64 = 1.2;
/// Two files join when less than two frames at 15 a second lie between them.
const JOIN: f64 = 0.14;

const ALWAYS: &str = "audio = { source = \"test\" }\nmotion = { enabled = false }\nrecord = { mode = \"continuous\", segment_max_s = 5 }";

/// Seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// Seconds since the epoch of an RFC 3339 time in UTC.
fn seconds(time: &str) -> f64 {
    perch_base::time::Timestamp::parse(time).unwrap_or_else(|e| panic!("{time}: {e}")).as_micros() as f64 / 1e6
}

/// RFC 3339 of seconds since the epoch.
fn rfc3339(at: f64) -> String {
    perch_base::time::Timestamp((at * 1e6) as i64).to_string()
}

/// A recorded file: its start by its name, and what ffprobe says.
#[derive(Debug)]
struct Recorded {
    path: PathBuf,
    start: f64,
    duration: f64,
    has_sound: bool,
    frames: Vec<Frame>,
}

impl Recorded {
    /// Reads it; it must be without fault and begin with a keyframe.
    #[track_caller]
    fn read(path: &Path) -> Self {
        let probe = ffmpeg::probe_file(path);
        assert!(probe.has("video:h264"), "{}: {probe:?}", path.display());
        assert_eq!(probe.pictures, probe.frames.len(), "{}: every picture is decoded", path.display());
        let (frames, has_sound) = (probe.frames, probe.streams.iter().any(|s| s == "audio:opus"));
        assert!(
            frames.first().is_some_and(|f| f.keyframe && f.pts < 0.1),
            "{}: begins with {:?}",
            path.display(),
            frames.first()
        );
        // Of its pictures, which files must join by; the sound beside them is cut where its packets end.
        let duration = frames.iter().map(|f| f.pts + f.lasts).fold(0.0, f64::max);
        Self { path: path.to_owned(), start: start_of(path), duration, has_sound, frames }
    }

    fn end(&self) -> f64 {
        self.start + self.duration
    }
}

/// `<YYYY-MM-DD>/<HHMMSS.mmm>Z.mp4` as seconds since the epoch.
#[track_caller]
fn start_of(path: &Path) -> f64 {
    let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
    let day = path.parent().and_then(Path::file_name).expect("a day").to_string_lossy().into_owned();
    let (h, m, rest) = (&name[..2], &name[2..4], &name[4..]);
    seconds(&format!("{day}T{h}:{m}:{rest}"))
}

#[track_caller]
fn read_all(home: &Home, camera: &str) -> Vec<Recorded> {
    home.recordings(camera).iter().map(|p| Recorded::read(p)).collect()
}

/// Boots and waits until the camera is being recorded.
fn boot_and_record(home: &Home, admin: Option<&Client>, camera: &str) -> (BoxProcess, Client) {
    let running = home.boot();
    let admin = match admin {
        Some(admin) => running.client().with_token(admin.token.as_deref()),
        None => running.paired(),
    };
    wait_for_recording(&admin, camera, s(30));
    (running, admin)
}

fn wait_for_recording(admin: &Client, camera: &str, within: Duration) {
    wait_until("it records", within, || (admin.camera(camera)["recording"]["state"] == "recording").then_some(()));
}

fn spans(timeline: &serde_json::Value, key: &str) -> Vec<(f64, f64)> {
    let edge = |s: &serde_json::Value, key: &str| seconds(s[key].as_str().expect("a time"));
    timeline[key].as_array().expect("a list").iter().map(|s| (edge(s, "start"), edge(s, "end"))).collect()
}

fn timeline(admin: &Client, camera: &str, from: f64, to: f64) -> serde_json::Value {
    admin.json(&format!("/api/v1/cameras/{camera}/timeline?from={}&to={}", rfc3339(from), rfc3339(to)))
}

#[test]
fn continuous_files_follow_each_other_without_a_hole() {
    let wanted = if long() { 300.0 } else { 30.0 };
    let home = Home::new(&camera("test", "test", ALWAYS));
    let (mut running, admin) = boot_and_record(&home, None, "test");
    let first = wait_until("a first file", s(10), || home.recordings("test").into_iter().next());
    let started = start_of(&first);
    wait_until("enough is recorded", Duration::from_secs_f64(wanted + 10.0), || {
        (now() - started > wanted).then_some(())
    });
    let line = timeline(&admin, "test", started - 60.0, now() + 60.0);
    let listed = spans(&line, "spans");
    assert!(listed.len() == 1 && spans(&line, "gaps").is_empty(), "{line}");
    assert!(now() - listed[0].1 < 2.0 * GOP, "the timeline ends {} s ago", now() - listed[0].1);
    let stopped = now();
    assert!(running.terminate().success(), "{}", running.log());

    let files = read_all(&home, "test");
    assert!(files.len() as f64 >= wanted / 5.0, "{} files", files.len());
    for pair in files.windows(2) {
        let hole = pair[1].start - pair[0].end();
        assert!(hole.abs() < JOIN, "{hole} s between {:?} and {:?}", pair[0].path, pair[1].path);
        assert!(pair[0].duration <= 5.0 + JOIN, "{:?} is {} s long", pair[0].path, pair[0].duration);
        assert!(pair[0].duration > 5.0 - 2.0 * GOP, "{:?} is only {} s long", pair[0].path, pair[0].duration);
    }
    for file in &files {
        assert!(file.has_sound, "{:?} has no sound", file.path);
        let longest = file.frames.windows(2).map(|f| f[1].pts - f[0].pts).fold(0.0, f64::max);
        assert!(longest < 0.5, "{:?}: {longest} s without a picture", file.path);
    }
    // A file's sound ends up to a packet after its last picture, beside the next file's first: such a moment counts once.
    let overlap: f64 = files.windows(2).map(|f| (f[0].end() - f[1].start).max(0.0)).sum();
    let sum: f64 = files.iter().map(|f| f.duration).sum();
    let wall = stopped - started;
    eprintln!("{sum} s in {} files, {overlap} s of them twice, {wall} s by the clock", files.len());
    assert!((sum - overlap - wall).abs() <= GOP, "{sum} s, {overlap} s of them twice, are recorded of {wall} s");
}

#[test]
fn recordings_play_over_https() {
    let home = Home::new(&camera("test", "test", ALWAYS));
    let (running, admin) = boot_and_record(&home, None, "test");
    let first = wait_until("a first file", s(10), || home.recordings("test").into_iter().next());
    let started = start_of(&first);
    wait_until("three files", s(30), || (home.recordings("test").len() >= 3).then_some(()));
    let (from, to) = (started + 2.5, started + 8.5);
    let base = "/api/v1/cameras/test";
    let range = format!("from={}&to={}", rfc3339(from), rfc3339(to));

    let playlist = admin.get(&format!("{base}/playback.m3u8?{range}")).expect(200);
    assert!(playlist.header("content-type").is_some_and(|t| t.contains("mpegurl")), "{:?}", playlist.headers);
    let playlist = playlist.text();
    let mut runs: Vec<Vec<u8>> = Vec::new();
    let mut bytes = String::new();
    let mut listed = 0.0;
    let part = |uri: &str, bytes: &str| {
        let (size, offset) = bytes.split_once('@').expect("SIZE@OFFSET");
        let (size, offset): (u64, u64) = (size.parse().expect("a number"), offset.parse().expect("a number"));
        let range = format!("bytes={offset}-{}", offset + size - 1);
        let answer = admin.send("GET", &format!("{base}/{uri}"), &[("Range", &range)], b"").expect(206);
        assert!(
            answer.header("content-range").is_some_and(|r| r.starts_with(&range.replace('=', " "))),
            "{:?}",
            answer.headers
        );
        assert_eq!(answer.body.len() as u64, size);
        answer.body
    };
    for line in playlist.lines() {
        if let Some(map) = line.strip_prefix("#EXT-X-MAP:URI=\"") {
            let (uri, rest) = map.split_once("\",BYTERANGE=\"").expect("a byte range");
            runs.push(part(uri, rest.trim_end_matches('"')));
        } else if let Some(range) = line.strip_prefix("#EXT-X-BYTERANGE:") {
            bytes = range.to_owned();
        } else if let Some(length) = line.strip_prefix("#EXTINF:") {
            listed += length.trim_end_matches(',').parse::<f64>().expect("seconds");
        } else if !line.starts_with('#') {
            let fragment = part(line, &bytes);
            runs.last_mut().expect("a map first").extend(fragment);
        }
    }
    assert!(runs.len() >= 2, "the range lies in two files:\n{playlist}");
    assert!((listed - 6.0).abs() <= 2.0 * GOP && listed >= 6.0, "{listed} s are listed of 6 s");
    for (i, run) in runs.iter().enumerate() {
        let file = home.dir().join(format!("run{i}.mp4"));
        std::fs::write(&file, run).expect("written");
        let probe = ffmpeg::probe_file(&file);
        assert!(probe.has("video:h264") && probe.has("audio:opus"), "{probe:?}");
        assert!(probe.frames.first().is_some_and(|f| f.keyframe), "run {i} begins between keyframes");
        assert!(probe.pictures >= 10, "{} pictures", probe.pictures);
    }
    // A player does the same by itself.
    let url = format!("https://localhost:{}{base}/playback.m3u8?{range}", running.ports.http);
    let token = format!("Authorization: Bearer {}\r\n", admin.token.as_deref().expect("paired"));
    let pictures = ffmpeg::decode(&url, &["-headers", &token]);
    assert!((85..=125).contains(&pictures), "{pictures} pictures in 6 s and a GOP");

    let whole = admin.get(&format!("{base}/export.mp4?{range}")).expect(200);
    assert!(whole.header("content-disposition").is_some_and(|d| d.starts_with("attachment")), "{:?}", whole.headers);
    let by_command = home.dir().join("command.mp4");
    let args = [
        "export",
        "--camera",
        "test",
        "--from",
        &rfc3339(from),
        "--to",
        &rfc3339(to),
        "--out",
        &by_command.display().to_string(),
    ];
    home.run(&args, "").ok();
    let by_https = home.dir().join("https.mp4");
    std::fs::write(&by_https, &whole.body).expect("written");
    for file in [&by_command, &by_https] {
        let probe = ffmpeg::probe_file(file);
        assert!(probe.has("video:h264") && probe.has("audio:opus"), "{probe:?}");
        assert!(probe.duration > 5.9 && probe.duration < 6.0 + 2.0 * GOP, "{} s are exported of 6 s", probe.duration);
        assert!((85..=125).contains(&probe.pictures), "{} pictures", probe.pictures);
        let frames = &probe.frames;
        assert!(frames.windows(2).all(|f| f[1].pts > f[0].pts && f[1].pts - f[0].pts < 0.5), "time jumps in {file:?}");
    }
    assert_eq!(home.run(&args, "").code, Some(1), "an export never overwrites");
    let nothing = format!("from={}&to={}", rfc3339(started - 500.0), rfc3339(started - 400.0));
    admin.get(&format!("{base}/export.mp4?{nothing}")).problem(404);
    admin.get(&format!("{base}/playback.m3u8?{nothing}")).problem(404);

    ranges_of_one_file(&admin, base, &playlist, &home);
    let at = rfc3339(started + 4.0);
    let still = admin.get(&format!("{base}/snapshot.jpg?at={at}&width=160")).expect(200);
    assert_eq!(ffmpeg::jpeg_size(&still.body, home.dir()), (160, 90));
    let live = admin.get(&format!("{base}/snapshot.jpg")).expect(200);
    assert_eq!(ffmpeg::jpeg_size(&live.body, home.dir()), (320, 180));
    assert!(live.header("cache-control").is_some_and(|c| c.contains("no-store")), "{:?}", live.headers);
}

/// Range, If-Range and If-None-Match as RFC 9110 has them, on one sealed file.
fn ranges_of_one_file(admin: &Client, base: &str, playlist: &str, home: &Home) {
    let uri = playlist.lines().find(|l| !l.starts_with('#')).expect("a file");
    let path = format!("{base}/{uri}");
    let get = |headers: &[(&str, &str)]| admin.send("GET", &path, headers, b"");
    let whole = get(&[]).expect(200);
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    let size = whole.body.len();
    let on_disk = std::fs::read(&home.recordings("test")[0]).expect("the first file");
    assert!(whole.body == on_disk, "the file is what is on the disk");
    let etag = whole.header("etag").expect("an ETag").to_owned();
    for (range, want) in [
        ("bytes=0-99".to_owned(), 0..100),
        (format!("bytes={}-", size - 10), size - 10..size),
        ("bytes=-7".into(), size - 7..size),
        (format!("bytes=5-{}", size * 9), 5..size),
    ] {
        let part = get(&[("Range", &range), ("If-Range", &etag)]).expect(206);
        assert!(part.body == whole.body[want.clone()], "{range}");
        assert_eq!(part.header("content-range"), Some(&*format!("bytes {}-{}/{size}", want.start, want.end - 1)));
    }
    get(&[("Range", &format!("bytes={size}-"))]).expect(416);
    assert_eq!(get(&[("Range", "bytes=0-9"), ("If-Range", "\"other\"")]).expect(200).body.len(), size);
    for odd in ["bytes=9-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-", "bytes=99999999999999999999-"] {
        let answer = get(&[("Range", odd)]);
        assert!([200, 206, 400, 416].contains(&answer.status), "{odd}: {}", answer.status);
    }
}

/// Follows a camera in `motion` mode until so many events are over; gives them, oldest first.
fn wait_for_events(admin: &Client, want: usize, within: Duration) -> Vec<serde_json::Value> {
    wait_until(&format!("{want} events that are over"), within, || {
        let page = admin.json("/api/v1/events?limit=200");
        let mut events = page["events"].as_array().expect("a list").clone();
        events.retain(|e| !e["end"].is_null());
        events.reverse();
        (events.len() >= want).then_some(events)
    })
}

/// Waits until what was written in the gap after an event is gone: the event is over a moment earlier.
fn wait_until_settled(admin: &Client, camera: &str) {
    wait_until("nothing is recorded but events", s(60), || {
        (admin.camera(camera)["recording"]["reason"] == "waiting for motion").then_some(())
    });
}

/// Nobody knows before the gap is over that an event has ended: its files must end with its post-roll all the same.
const AROUND_MOTION: &str =
    "record = { mode = \"motion\", segment_max_s = 60, gap_s = 6, post_roll_s = 1, pre_roll_s = 2 }";

/// Every event is whole files: they begin with a keyframe at its pre-roll, or where the event before stopped, and end with its
/// post-roll.
fn events_are_whole_files(home: &Home, events: &[serde_json::Value], camera: &str) {
    let files = read_all(home, camera);
    let edge = |e: &serde_json::Value, key: &str| seconds(e[key].as_str().expect("a time"));
    let mut before = f64::MIN;
    for (i, event) in events.iter().enumerate() {
        let (start, end) = (edge(event, "start"), edge(event, "end"));
        // From its pre-roll on, the next event has files of its own.
        let next = events.get(i + 1).map_or(f64::MAX, |e| edge(e, "start") - 2.0 - 2.0 * GOP);
        let of: Vec<_> =
            files.iter().filter(|f| f.start < end && f.end() > start && (f.start <= start || f.start < next)).collect();
        let first = of.first().unwrap_or_else(|| panic!("no file holds the event {event}"));
        let last = of.last().expect("there is a first");
        let wanted = start - 2.0;
        assert!(first.start <= wanted.max(before) + GOP, "the event's pre-roll is missing: {} s", first.start - wanted);
        assert!(first.start >= wanted - 2.0 * GOP, "the file begins {} s before the pre-roll", wanted - first.start);
        assert!(last.end() >= end.min(next) - GOP, "the event's end is missing: {} s", end - last.end());
        assert!(last.end() <= end + 2.0 * GOP, "the file goes on for {} s after the event", last.end() - end);
        for pair in of.windows(2) {
            assert!((pair[1].start - pair[0].end()).abs() < JOIN, "a hole within an event");
        }
        assert!(end - start >= 0.9, "an event has its post-roll: {event}");
        before = end;
    }
    // And nothing is recorded but events.
    let edges: Vec<_> = events.iter().map(|e| (edge(e, "start"), edge(e, "end"))).collect();
    let newest = edges.last().expect("there are events").1;
    for file in files.iter().filter(|f| f.start < newest) {
        assert!(
            edges.iter().any(|(start, end)| file.start < *end && file.end() > *start),
            "{:?} belongs to no event",
            file.path
        );
    }
}

#[test]
fn a_walk_becomes_an_event_of_whole_files() {
    let home = Home::new("");
    let clip = home.dir().join("walker.mp4");
    ffmpeg::walker(&clip, 22, 8, 12);
    home.configure("", &camera("hall", &format!("file:{}", clip.display()), AROUND_MOTION));
    let running = home.boot();
    let admin = running.paired();
    let started = now();
    let waiting = wait_until("it waits for motion", s(20), || {
        let camera = admin.camera("hall");
        (camera["recording"]["reason"] == "waiting for motion").then_some(camera)
    });
    assert_eq!(waiting["recording"]["state"], "waiting");
    assert!(home.recordings("hall").is_empty(), "nothing moved yet");

    let mut news = admin.ask("GET", "/api/v1/events/stream", &[], b"").expect("asked");
    let mut news = std::io::BufReader::new(&mut news);
    let head = crate::support::client::read_head(&mut news).expect("a head");
    assert!(head.status == 200 && head.header("content-type") == Some("text/event-stream"), "{head:?}");
    let events = wait_for_events(&admin, 2, s(75));
    // Somebody walks by again soon.
    let listed_at = now();
    let news_of_it = wait_until("the news of an event", s(5), || {
        let line = crate::support::client::read_line(&mut news).expect("news go on");
        line.strip_prefix("data:")
            .and_then(|d| serde_json::from_str::<serde_json::Value>(d).ok())
            .filter(|n| n["type"] == "event")
    });
    assert_eq!(news_of_it["event"]["id"], events[0]["id"], "{news_of_it}");
    assert_eq!((&events[0]["kind"], &events[0]["camera"]), (&"motion".into(), &"hall".into()));
    wait_until_settled(&admin, "hall");
    events_are_whole_files(&home, &events, "hall");

    let id = events[0]["id"].as_i64().expect("an id");
    let path = format!("/api/v1/events/{id}");
    wait_until("it has a still", s(5), || (admin.json(&path)["has_thumbnail"] == true).then_some(()));
    let still = admin.get(&format!("{path}/thumbnail.jpg")).expect(200);
    assert_eq!(still.header("content-type"), Some("image/jpeg"));
    assert!(ffmpeg::jpeg_size(&still.body, home.dir()).0 >= 320);
    for (method, pinned) in [("PUT", true), ("PUT", true), ("DELETE", false), ("DELETE", false)] {
        admin.send(method, &format!("{path}/pin"), &[], b"").expect(204);
        assert_eq!(admin.json(&path)["pinned"], pinned);
    }
    let line = timeline(&admin, "hall", started, listed_at);
    assert_eq!(line["events"].as_array().map(Vec::len), Some(events.len()), "{line}");
    let gaps = line["gaps"].as_array().expect("a list");
    assert!(gaps.iter().any(|g| g["cause"] == "no_motion"), "between two events nothing moved: {line}");
    let only = admin.json(&format!("/api/v1/events?camera=hall&kind=motion&limit=1&from={}", rfc3339(started)));
    assert_eq!(only["events"].as_array().map(Vec::len), Some(1), "{only}");
    let next = admin.json(&format!("/api/v1/events?camera=hall&limit=1&cursor={}", only["next_cursor"]));
    assert_ne!(next["events"][0]["id"], only["events"][0]["id"]);
    assert!(admin.json(&format!("/api/v1/events?to={}", rfc3339(started - 60.0)))["events"] == serde_json::json!([]));
}

/// What moves for long is cut: each chapter is an event whose files follow those of the one before and play alone.
#[test]
fn a_busy_scene_becomes_chapters_that_join() {
    let record = "record = { mode = \"motion\", chapter_s = 10, gap_s = 4, pre_roll_s = 2, post_roll_s = 2 }";
    let home = Home::new(&camera("yard", "test", record));
    let running = home.boot();
    let admin = running.paired();
    let events = wait_for_events(&admin, 3, s(90));
    let edge = |e: &serde_json::Value, key: &str| seconds(e[key].as_str().expect("a time"));
    let chapters: Vec<_> = events.iter().filter(|e| e["since"] == events[0]["start"]).collect();
    assert!(chapters.len() >= 3, "it moves all the time: {events:?}");
    for (n, chapter) in chapters.iter().enumerate() {
        assert_eq!(chapter["chapter"], n + 1, "{chapter}");
        assert!(edge(chapter, "end") - edge(chapter, "start") <= 12.0, "{chapter}");
    }
    for pair in chapters.windows(2) {
        assert_eq!(pair[0]["end"], pair[1]["start"], "chapters join");
    }
    let files = read_all(&home, "yard");
    for pair in files.windows(2).filter(|pair| pair[1].start < edge(chapters[2], "end")) {
        let hole = pair[1].start - pair[0].end();
        assert!(hole.abs() < JOIN, "{hole} s between {:?} and {:?}", pair[0].path, pair[1].path);
    }
    let token = format!("Authorization: Bearer {}\r\n", admin.token.as_deref().expect("paired"));
    for chapter in &chapters[..3] {
        let (from, to) = (edge(chapter, "start"), edge(chapter, "end"));
        assert!(files.iter().any(|f| (f.start - from).abs() <= 2.0 + 2.0 * GOP), "no file begins with {chapter}");
        let range = format!("from={}&to={}", rfc3339(from), rfc3339(to));
        let url = format!("https://localhost:{}/api/v1/cameras/yard/playback.m3u8?{range}", running.ports.http);
        let pictures = ffmpeg::decode(&url, &["-headers", &token]);
        assert!(pictures as f64 >= 10.0 * (to - from), "{pictures} pictures of {chapter}");
        let path = format!("/api/v1/events/{}", chapter["id"]);
        wait_until("it has a still of its own", s(10), || (admin.json(&path)["has_thumbnail"] == true).then_some(()));
    }
}

#[test]
fn visits_in_real_footage_become_events() {
    let Some(clip) = ffmpeg::footage("intel_person.mp4") else {
        return skipped("visits_in_real_footage_become_events", "../shared/footage is not there");
    };
    let around = AROUND_MOTION.replace("gap_s = 6", "gap_s = 2");
    let home = Home::new(&camera("hall", &format!("file:{}", clip.display()), &around));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("hall", "live", s(30));
    // Six visits in 139 s; within the normal run there is time for the first ones.
    let (want, within) = if long() { (6, s(170)) } else { (2, s(110)) };
    let events = wait_for_events(&admin, want, within);
    wait_until_settled(&admin, "hall");
    events_are_whole_files(&home, &events, "hall");
    drop(running);
}

#[test]
fn a_kill_costs_the_open_fragment_and_nothing_else() {
    let rounds = if long() { 20 } else { 4 };
    let home = Home::new(&camera("test", "test", ALWAYS));
    let mut chance = Chance::new();
    let mut kills = Vec::new();
    let mut owner = None;
    for round in 0..rounds {
        let (mut running, admin) = boot_and_record(&home, owner.as_ref(), "test");
        let life = Duration::from_millis(1_500 + chance.below(6_000));
        let until = std::time::Instant::now() + life;
        wait_until("its hour has come", life + s(1), || (std::time::Instant::now() >= until).then_some(()));
        let at = now();
        running.kill();
        kills.push(at);
        owner = Some(admin);
        let last = home.recordings("test").pop().expect("something was recorded");
        // Not brought in order yet, a file plays up to where it breaks off.
        let frames = ffmpeg::frames(&last);
        assert!(frames.first().is_some_and(|f| f.keyframe), "round {round}: {last:?} begins with {:?}", frames.first());
    }
    let (mut running, admin) = boot_and_record(&home, owner.as_ref(), "test");
    // Index and files are compared beside the running box.
    let is_compared = || admin.json("/api/v1/status")["disk"]["taking_in"].is_null().then_some(());
    wait_until("index and files are compared", s(30), is_compared);
    let line = timeline(&admin, "test", kills[0] - 120.0, now());
    assert!(running.terminate().success(), "{}", running.log());
    let files = read_all(&home, "test");
    for kill in &kills {
        let end = files.iter().map(Recorded::end).filter(|e| *e < kill + 0.5).fold(0.0, f64::max);
        assert!(kill - end <= 1.5, "{} s before a kill are missing", kill - end);
    }
    let listed = spans(&line, "spans");
    assert_eq!(listed.len(), kills.len() + 1, "one span a life: {line}");
    for (i, (start, end)) in listed.iter().enumerate().take(kills.len()) {
        let of: Vec<_> = files.iter().filter(|f| f.start > start - JOIN && f.end() < end + JOIN).collect();
        let sum: f64 = of.iter().map(|f| f.duration).sum();
        let indexed = end - start;
        assert!(
            (indexed - sum).abs() < JOIN * of.len() as f64,
            "life {i}: the index holds {indexed} s from {start}, the files hold {sum} s: {:?}",
            files.iter().map(|f| (&f.path, f.start, f.duration)).collect::<Vec<_>>()
        );
    }
    let gaps = line["gaps"].as_array().expect("a list");
    assert_eq!(gaps.len(), kills.len(), "{line}");
    assert!(gaps.iter().all(|g| g["cause"] == "box_off"), "{line}");
}
