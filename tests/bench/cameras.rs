//! `make cameras`: what the box makes of every odd camera of `tests/cameras`, as a Markdown table: what it says of it, and how many
//! pictures come live, over RTSP, out of its recording, and in a real browser. `make cameras CASES="reolink longgop"` for a few.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]
#![allow(clippy::disallowed_methods, reason = "the box, players and a browser are processes")]

#[path = "../support/mod.rs"]
mod support;

use perch_test_cameras::{ALL, Camera, Case, find, yardstick};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::client::Client;
use support::home::{BoxProcess, Home};

/// Cameras that one box has at once.
const AT_ONCE: usize = 6;
/// Of these, so many are looked at at once: two cores carry no more pictures to browsers without losing some.
const LOOKED_AT: usize = 2;
/// How long is recorded before anybody looks: a few GOPs of most.
const RECORD: Duration = Duration::from_secs(14);
/// How much of the recording is played.
const PLAYED: Duration = Duration::from_secs(20);
/// How long players watch.
const WATCH: Duration = Duration::from_secs(5);

fn main() {
    // `cargo bench` hands its own arguments on; `cargo test --benches` must not run for an hour.
    let words: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if words.iter().any(|a| a == "--test") {
        return;
    }
    let cases: Vec<&Case> = match words.is_empty() {
        true => ALL.iter().copied().flatten().collect(),
        false => words.iter().map(|name| find(name).unwrap_or_else(|| panic!("there is no case {name}"))).collect(),
    };
    println!(
        "| case | right | ffmpeg | status | fps | live | small | RTSP | file decodes | file in Chromium | by MSE | sound | sentence |"
    );
    println!("|{}", " --- |".repeat(13));
    for group in cases.chunks(AT_ONCE) {
        let cameras: Vec<_> = group.iter().filter_map(|case| Some((*case, Camera::start(case).ok()?))).collect();
        let config: String = cameras.iter().map(|(case, camera)| section(case, camera)).collect();
        let home = Home::new(&config);
        let perch = home.boot();
        let client = perch.paired();
        let password = client.stream_password("table");
        let began = SystemTime::now();
        std::thread::sleep(RECORD);
        for few in cameras.chunks(LOOKED_AT) {
            std::thread::scope(|scope| {
                let look = |(case, camera): &(&Case, Camera)| row(&perch, &client, &password, case, camera, began);
                let looked: Vec<_> = few.iter().map(|one| scope.spawn(move || look(one))).collect();
                looked.into_iter().for_each(|row| println!("{}", row.join().expect("a row")));
            });
        }
    }
}

/// The id that a case's camera has in the box.
fn id(case: &Case) -> String {
    case.name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn section(case: &Case, camera: &Camera) -> String {
    let transport = match case.transport {
        way @ ("http" | "multicast") => format!("transport = {way:?}\n"),
        _ => String::new(),
    };
    format!(
        "[[camera]]\nid = {:?}\nsource = {:?}\n{transport}sub = {{ width = 320, height = 180, fps = 10, bitrate_kbps = 150 }}\n\
         audio = {{ source = \"source\" }}\nrecord = {{ mode = \"continuous\" }}\nmotion = {{ enabled = false }}\n",
        id(case),
        camera.url()
    )
}

fn row(perch: &BoxProcess, client: &Client, password: &str, case: &Case, camera: &Camera, began: SystemTime) -> String {
    let id = id(case);
    let status = client.json("/api/v1/status");
    let of = status["cameras"].as_array().and_then(|all| all.iter().find(|c| c["id"] == id.as_str()).cloned());
    let of = of.unwrap_or(Value::Null);
    let word = |value: &Value| value.as_str().unwrap_or("").replace('|', "/");
    let (health, capture) = (&of["health"], &of["capture"]);
    let rtsp = players_frames(&perch.rtsp_url("table", password, &id));
    let (from, mut to) = (rfc3339(began), rfc3339(SystemTime::now().min(began + PLAYED)));
    let mut file = export(perch, client, &id, &from, &to);
    if file == "404" {
        // Its first keyframe came later.
        to = rfc3339(SystemTime::now());
        file = export(perch, client, &id, &from, &to);
    }
    let browser = browser(perch, client, &id, &from, &to);
    let right = match case.right.pictures_a_second {
        0.0 => "-".to_owned(),
        rate => format!("{rate}"),
    };
    let yardstick = match yardstick::ffmpeg(camera, case.transport, yardstick::Span::seconds(WATCH.as_secs())) {
        Ok(played) => format!("{} + {}", played.pictures, played.sounds),
        Err(e) => e.to_string(),
    };
    let sound = match (browser["main"]["audio_packets"].as_u64(), case.right.sound.is_some()) {
        (Some(n), true) if n > 50 => "heard".to_owned(),
        (_, true) => format!("missing {}", word(&health["sound_problem"])),
        (Some(n), false) if n > 50 => "unexpected".to_owned(),
        (_, false) => word(&health["sound_problem"]),
    };
    let fps = capture["fps"].as_f64().unwrap_or(0.0);
    let cells = [
        case.name.to_owned(),
        right,
        yardstick,
        word(&health["state"]),
        format!("{fps:.1}"),
        brief(&browser["main"]),
        brief(&browser["sub"]),
        rtsp,
        file,
        brief(&browser["file"]),
        brief(&browser["mse"]),
        sound,
        word(&health["reason"]),
    ];
    format!("| {} |", cells.join(" | "))
}

fn brief(what: &Value) -> String {
    let frames = what["frames"].as_u64().map(|n| n.to_string()).unwrap_or_default();
    match what["error"].as_str() {
        Some(error) => format!("{frames} {}", error.chars().take(60).collect::<String>()).replace('|', "/"),
        None => frames,
    }
}

/// Pictures that ffmpeg decodes of the box's RTSP stream in [`WATCH`], and its first complaint.
fn players_frames(url: &str) -> String {
    let seconds = WATCH.as_secs().to_string();
    let input = ["-rtsp_transport", "tcp", "-i", url, "-t", &seconds];
    decoded("20", &input)
}

/// What ffmpeg makes of the recording as one file: pictures, size with the pixels' shape, and the first complaint.
fn export(perch: &BoxProcess, client: &Client, id: &str, from: &str, to: &str) -> String {
    let answer = client.get(&format!("/api/v1/cameras/{id}/export.mp4?from={from}&to={to}"));
    if answer.status != 200 {
        return format!("{}", answer.status);
    }
    let file = perch_file(perch, id);
    if let Err(e) = std::fs::write(&file, &answer.body) {
        return e.to_string();
    }
    let name = file.display().to_string();
    let out = decoded("40", &["-i", &name]);
    let shape = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=codec_tag_string,width,height,sample_aspect_ratio",
        ])
        .args(["-of", "csv=p=0", &name])
        .output();
    let shape = shape.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default();
    // It has been read; what is left goes with the temporary folder.
    let _ = std::fs::remove_file(&file);
    format!("{out} ({shape})")
}

fn perch_file(perch: &BoxProcess, id: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("perch-cameras-{}-{id}.mp4", perch.pid()))
}

fn decoded(limit_s: &str, input: &[&str]) -> String {
    let output = Command::new("timeout")
        .args(["-k", "1", limit_s, "ffmpeg", "-nostdin", "-v", "error"])
        .args(input)
        .args(["-map", "0:v:0", "-map", "0:a?", "-f", "null", "-progress", "pipe:1", "-"])
        .output();
    let Ok(output) = output else { return "no ffmpeg".into() };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let frames = said.lines().filter_map(|l| l.strip_prefix("frame=")).next_back().unwrap_or("0").trim().to_owned();
    let complaint =
        String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("").chars().take(50).collect::<String>();
    match complaint.is_empty() {
        true => frames,
        false => format!("{frames} {}", complaint.replace('|', "/")),
    }
}

fn browser(perch: &BoxProcess, client: &Client, id: &str, from: &str, to: &str) -> Value {
    let started = Instant::now();
    let output = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web/camera.mjs"))
        .env("PERCH_TEST_URL", format!("https://localhost:{}", perch.ports.http))
        .env("PERCH_TEST_TOKEN", client.token.as_deref().unwrap_or_default())
        .envs([("PERCH_TEST_CAMERA", id), ("PERCH_TEST_FROM", from), ("PERCH_TEST_TO", to)])
        .output()
        .expect("node runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        let said = String::from_utf8_lossy(&output.stderr);
        eprintln!("{id}: the browser measured nothing in {:?}: {e}\n{said}", started.elapsed());
        Value::Null
    })
}

fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).expect("after 1970");
    perch_base::time::Timestamp(since.as_micros() as i64).to_string()
}
