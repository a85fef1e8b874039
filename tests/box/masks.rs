//! What a privacy mask covers is seen nowhere: live, recorded, by RTSP, in stills and in the stills of events.

use crate::support::client::Client;
use crate::support::home::{BoxProcess, Home, camera};
use crate::support::{ffmpeg, s, wait_until};
use perch_test_cameras::{Camera, find};
use serde_json::{Value, json};

/// In parts of the picture: left, top, right, bottom.
type Area = [f32; 4];
const CORNER: Area = [0.0, 0.0, 0.3, 0.4];
const SIDE: Area = [0.7, 0.3, 1.0, 0.9];

fn polygon([left, top, right, bottom]: Area) -> Value {
    json!([[left, top], [right, top], [right, bottom], [left, bottom]])
}

/// Whether a grey picture of 160x90 is black all over an area, or nowhere there. Panics where it is neither.
#[track_caller]
fn is_black(picture: &[u8], [left, top, right, bottom]: Area) -> bool {
    let (columns, rows) =
        ((left * 160.0) as usize..(right * 160.0) as usize, (top * 90.0) as usize..(bottom * 90.0) as usize);
    // Edges are blurred.
    let rim = |range: std::ops::Range<usize>, most: usize| {
        range.start + if range.start == 0 { 0 } else { 3 }..range.end - if range.end == most { 0 } else { 3 }
    };
    let (columns, rows) = (rim(columns, 160), rim(rows, 90));
    let pixels: Vec<u8> =
        rows.flat_map(|y| columns.clone().map(move |x| (x, y))).map(|(x, y)| picture[y * 160 + x]).collect();
    let black = pixels.iter().filter(|p| **p < 30).count();
    assert!(black == 0 || black == pixels.len(), "{black} of {} pixels are black", pixels.len());
    black > 0
}

/// Every one of some pictures is masked at one area and not at the other.
#[track_caller]
fn only_here(what: &str, pictures: &[Vec<u8>], here: Area, not_there: Area) {
    assert!(!pictures.is_empty(), "{what}: no picture");
    for (n, picture) in pictures.iter().enumerate() {
        assert!(is_black(picture, here) && !is_black(picture, not_there), "{what}: picture {n} of {}", pictures.len());
    }
}

fn still(client: &Client, home: &Home, path: &str) -> Vec<Vec<u8>> {
    let file = home.dir().join("still.jpg");
    std::fs::write(&file, &client.get(path).expect(200).body).expect("written");
    ffmpeg::grey(&file.display().to_string(), &[], 1)
}

fn by_rtsp(running: &BoxProcess, password: &str, path: &str) -> Vec<Vec<u8>> {
    ffmpeg::grey(&running.rtsp_url("nvr", password, path), &["-rtsp_transport", "tcp"], 20)
}

#[test]
fn what_is_masked_is_seen_nowhere() {
    let home = Home::new("");
    let clip = home.dir().join("walker.mp4");
    ffmpeg::walker(&clip, 22, 8, 12);
    let more = format!(
        "privacy = [{}]\nrecord = {{ mode = \"continuous\", segment_max_s = 5, post_roll_s = 2, gap_s = 2 }}\n\
         motion = {{ enabled = true }}",
        polygon(CORNER)
    );
    home.configure("[recording]\nmin_free_bytes = 0\n", &camera("front", &format!("file:{}", clip.display()), &more));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    let password = admin.stream_password("nvr");
    only_here("main", &by_rtsp(&running, &password, "front"), CORNER, SIDE);
    only_here("sub", &by_rtsp(&running, &password, "front/sub"), CORNER, SIDE);
    only_here("a still", &still(&admin, &home, "/api/v1/cameras/front/snapshot.jpg"), CORNER, SIDE);
    let event = wait_until("an event", s(60), || {
        let events = admin.json("/api/v1/events?camera=front");
        let with_still = events["events"].as_array()?.iter().find(|e| e["has_thumbnail"] == true)?;
        Some(with_still["id"].to_string().trim_matches('"').to_owned())
    });
    only_here(
        "an event's still",
        &still(&admin, &home, &format!("/api/v1/events/{event}/thumbnail.jpg")),
        CORNER,
        SIDE,
    );

    // Another mask: what is answered once that is said carries it.
    let body = json!({ "privacy": [polygon(SIDE)] });
    let headers = [("content-type", "application/json"), ("if-match", "*")];
    let changed =
        admin.send("PATCH", "/api/v1/cameras/front", &headers, body.to_string().as_bytes()).expect(200).json();
    assert!(changed["effects"][0].as_str().is_some_and(|said| said.contains("masks")), "{changed}");
    let number = home.recordings("front").len();
    only_here("the first still", &still(&admin, &home, "/api/v1/cameras/front/snapshot.jpg"), SIDE, CORNER);
    only_here("main after it", &by_rtsp(&running, &password, "front"), SIDE, CORNER);
    only_here("sub after it", &by_rtsp(&running, &password, "front/sub"), SIDE, CORNER);
    wait_until("files after it", s(60), || (home.recordings("front").len() > number + 1).then_some(()));
    drop(running);
    let (mut before, mut after) = (0, 0);
    for file in home.recordings("front") {
        let pictures = ffmpeg::grey(&file.display().to_string(), &[], 10_000);
        let is_new = pictures.first().is_some_and(|first| is_black(first, SIDE));
        match is_new {
            true => only_here("a file after it", &pictures, SIDE, CORNER),
            false => only_here("a file before it", &pictures, CORNER, SIDE),
        }
        *if is_new { &mut after } else { &mut before } += pictures.len();
    }
    assert!(before > 50 && after > 50, "{before} and {after} pictures");
}

/// Over HTTPS as well: once a change of masks is answered, nothing from before it is handed out, by whatever name, nor to who waits.
#[test]
fn players_over_https_are_shown_nothing_from_before_masks_changed() {
    let home = Home::new("");
    let clip = home.dir().join("walker.mp4");
    ffmpeg::walker(&clip, 22, 8, 12);
    let more =
        format!("privacy = [{}]\nrecord = {{ mode = \"off\" }}\nmotion = {{ enabled = false }}", polygon(CORNER));
    home.configure("[recording]\nmin_free_bytes = 0\n", &camera("front", &format!("file:{}", clip.display()), &more));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    let playlist = |query: &str| admin.get(&format!("/api/v1/cameras/front/live.m3u8{query}")).expect(200).text();
    let named = |list: &str| -> Vec<String> {
        list.split(['"', '\n']).filter(|word| word.starts_with("live/")).map(str::to_owned).collect()
    };
    let fetch = |name: &str| admin.get(&format!("/api/v1/cameras/front/{name}"));
    // The last one is announced, not there.
    let shown = |list: &str, what: &str| {
        let names = named(list);
        let is_map = |name: &&String| name.ends_with(".mp4");
        let [map] = &names.iter().filter(is_map).collect::<Vec<_>>()[..] else { panic!("{what}: one header: {list}") };
        let parts = names[..names.len() - 1].iter().filter(|name| name.matches('.').count() == 2);
        let all: Vec<u8> = [*map].into_iter().chain(parts).flat_map(|name| fetch(name).expect(200).body).collect();
        let file = home.dir().join("live.mp4");
        std::fs::write(&file, all).expect("written");
        ffmpeg::grey(&file.display().to_string(), &[], 1000)
    };
    let before = playlist("");
    only_here("HLS", &shown(&before, "before"), CORNER, SIDE);
    let announced = named(&before).pop().expect("one comes next");
    let number = announced.trim_start_matches("live/main/").split('.').next().expect("a number").to_owned();
    // Whoever waits as the masks change gets what comes after.
    let waits = std::thread::scope(|scope| {
        let waits = scope.spawn(|| playlist(&format!("?_HLS_msn={}", number.parse::<u64>().expect("a number") + 1)));
        let body = json!({ "privacy": [polygon(SIDE)] });
        let headers = [("content-type", "application/json"), ("if-match", "*")];
        admin.send("PATCH", "/api/v1/cameras/front", &headers, body.to_string().as_bytes()).expect(200);
        for name in named(&before) {
            // Those that were announced may come: after the change.
            let is_gone = name == announced || fetch(&name).status == 404;
            assert!(is_gone, "{name} is still handed out");
        }
        only_here("HLS, at once", &shown(&playlist(""), "at once"), SIDE, CORNER);
        waits.join().expect("answered")
    });
    only_here("HLS, to who waited", &shown(&waits, "waited"), SIDE, CORNER);
    let token = admin.token.as_deref().expect("paired");
    let url = format!("https://tablet:{token}@localhost:{}/api/v1/cameras/front/stream.mjpeg", home.ports.http);
    let mjpeg = ffmpeg::grey(&url, &["-tls_verify", "0", "-f", "mpjpeg"], 4);
    only_here("MJPEG", &mjpeg, SIDE, CORNER);
}

/// H.264 and H.265 of network cameras, encoded anew: masked live and in files, and nothing of what they sent is in a file.
#[test]
fn network_cameras_are_masked_once_the_box_encodes_them() {
    let cameras = ["midgop", "h265"].map(|name| (name, Camera::start(find(name).expect("a case")).expect("starts")));
    let sections = cameras.iter().map(|(name, camera)| {
        format!(
            "[[camera]]\nid = {name:?}\nsource = {:?}\nencode = true\nwidth = 320\nheight = 180\nfps = 15\n\
             sub = {{ width = 160, height = 90 }}\nprivacy = [{}]\nmotion = {{ enabled = false }}\n\
             record = {{ mode = \"continuous\", segment_max_s = 5 }}\n",
            camera.url(),
            polygon(CORNER)
        )
    });
    let home = Home::new(&sections.collect::<String>());
    let running = home.boot();
    let admin = running.paired();
    let password = admin.stream_password("nvr");
    for (name, _) in &cameras {
        admin.wait_for_camera(name, "live", s(60));
        for path in [(*name).to_owned(), format!("{name}/sub")] {
            let pictures = by_rtsp(&running, &password, &path);
            assert!(pictures.len() >= 10 && pictures.iter().all(|p| is_black(p, CORNER)), "{path}");
        }
        let still = still(&admin, &home, &format!("/api/v1/cameras/{name}/snapshot.jpg"));
        assert!(is_black(&still[0], CORNER) && !is_all_black(&still[0]), "{name}: a still");
    }
    wait_until("files", s(60), || cameras.iter().all(|(name, _)| home.recordings(name).len() > 1).then_some(()));
    drop(running);
    for (name, _) in &cameras {
        for file in home.recordings(name) {
            let file = file.display().to_string();
            let probe = ffmpeg::probe(&file, &[]).expect("a file");
            assert!(probe.has("video:h264") && (probe.width, probe.height) == (320, 180), "{name}: {probe:?}");
            let pictures = ffmpeg::grey(&file, &[], 10_000);
            assert!(
                pictures.iter().all(|p| is_black(p, CORNER)) && !pictures.iter().any(|p| is_all_black(p)),
                "{file}"
            );
        }
    }
}

/// Where [`CORNER`] of the scene is once the picture is turned clockwise.
const CORNER_TURNED: Area = [0.6, 0.0, 1.0, 0.3];

#[test]
fn what_is_masked_stays_so_when_the_picture_is_turned() {
    let home = Home::new("");
    let clip = home.dir().join("walker.mp4");
    ffmpeg::walker(&clip, 22, 8, 12);
    let more = format!("privacy = [{}]\nrecord = {{ mode = \"off\" }}", polygon(CORNER));
    home.configure("[recording]\nmin_free_bytes = 0\n", &camera("front", &format!("file:{}", clip.display()), &more));
    let running = home.boot();
    let admin = running.paired();
    admin.wait_for_camera("front", "live", s(30));
    only_here("a still", &still(&admin, &home, "/api/v1/cameras/front/snapshot.jpg"), CORNER, CORNER_TURNED);
    let turn = |path: &str| {
        let headers = [("content-type", "application/json"), ("if-match", "*")];
        admin.send("PATCH", path, &headers, b"{\"rotation\": 90}").expect(200).json()
    };
    for path in ["/api/v1/cameras/front?dry_run=true", "/api/v1/cameras/front"] {
        let said = turn(path);
        let effects = said["effects"].as_array().expect("effects");
        let wanted = "front: its zones and masks are turned with the picture";
        assert!(effects.iter().any(|effect| effect == wanted), "{path}: {said}");
    }
    let password = admin.stream_password("nvr");
    wait_until("a turned still", s(30), || {
        let answer = admin.get("/api/v1/cameras/front/snapshot.jpg");
        let file = home.dir().join("turned.jpg");
        (answer.status == 200).then(|| std::fs::write(&file, &answer.body).expect("written"))?;
        let picture = ffmpeg::grey(&file.display().to_string(), &[], 1);
        // Also before it is turned, nobody sees what is masked.
        let is_turned = !is_black(&picture[0], CORNER);
        is_turned.then(|| only_here("a still", &picture, CORNER_TURNED, CORNER))
    });
    only_here("main", &by_rtsp(&running, &password, "front"), CORNER_TURNED, CORNER);

    // By hand: what is written holds, and what that means is said.
    let text = home.config_text();
    home.write_config(&text.replace("rotation = 90", "rotation = 270"));
    let said = home.run(&["reload"], "").ok();
    assert!(said.contains("front: its zones and masks are parts of the turned picture"), "{said}");
    assert!(home.config_text().contains("rotation = 270"), "{said}");
}

fn is_all_black(picture: &[u8]) -> bool {
    picture.iter().all(|p| *p < 30)
}

#[test]
fn what_is_passed_on_as_it_comes_cannot_be_masked() {
    let home = Home::new("");
    home.configure("[recording]\nmin_free_bytes = 0\n", &camera("front", "test", ""));
    let running = home.boot();
    let admin = running.paired();
    let body = json!({"id": "yard", "source": "rtsp://127.0.0.1:9/live", "privacy": [polygon(CORNER)]});
    let problem = admin.post("/api/v1/cameras", &body).problem(400);
    let said = problem["detail"].as_str().expect("a sentence");
    assert!(said.contains("privacy") && said.contains("encode = true"), "{said}");
}
