//! `make bench`: what the box costs on a 1280x720@30 test camera at about 1 Mbit/s, printed as JSON: CPU as a share of one core
//! (capture and encode alone, + recorder, + motion, + 1/5/10/20 WHEP viewers, + 1/10/50 RTSP readers), eight network cameras recorded, memory, time to first
//! frame, freezes and the age of pictures in a real browser, and the number of encoders.
#![allow(clippy::print_stdout, reason = "JSON is what it is for")]
#![allow(clippy::disallowed_methods, reason = "the bench starts the box and a browser as processes")]

mod cpu;
mod glass;
#[path = "../support/mod.rs"]
mod support;

use perch_test_cameras::{Camera, find};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::client::Client;
use support::home::{BoxProcess, Home};
use support::rtsp_reader::Reader;
use support::whep::Viewer;

/// How long each figure is measured.
const MEASURE: Duration = Duration::from_secs(20);
/// How long a phase settles before it is measured; with [`MEASURE`] less than a lease.
const SETTLE: Duration = Duration::from_secs(4);

fn camera(source: &str, more: &str) -> String {
    format!(
        "[[camera]]\nid = \"cam\"\nsource = {source:?}\nwidth = 1280\nheight = 720\nfps = 30\nbitrate_kbps = 1000\n\
         audio = {{ source = \"test\" }}\n{more}"
    )
}

/// How many network cameras are recorded at once.
const CAMERAS: usize = 8;

const OFF: &str = "record = { mode = \"off\" }\nmotion = { enabled = false }\n";

fn main() {
    // `cargo bench` hands its own arguments on; `cargo test --benches` must not run for minutes.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    // `make bench ONLY=network`.
    if std::env::args().any(|a| a == "network") {
        println!("{}", serde_json::to_string_pretty(&network_cameras()).expect("JSON"));
        return;
    }
    // `make bench ONLY=glass`.
    if std::env::args().any(|a| a == "glass") {
        println!(
            "{}",
            serde_json::to_string_pretty(&json!({ "webrtc": glass_to_glass("webrtc"), "hls": glass_to_glass("hls") }))
                .expect("JSON")
        );
        return;
    }
    // `make bench ONLY=viewers`.
    if std::env::args().any(|a| a == "viewers") {
        println!("{}", serde_json::to_string_pretty(&viewers()).expect("JSON"));
        return;
    }
    let mut out = BTreeMap::new();
    out.insert("glass_to_glass_ms".to_owned(), glass_to_glass("webrtc"));
    out.insert("glass_to_glass_hls_ms".to_owned(), glass_to_glass("hls"));
    let (alone, resident) = {
        let home = Home::new(&camera("test", OFF));
        let perch = home.boot();
        let client = perch.paired();
        let alone = measure(&perch);
        let resident = cpu::resident_mb(perch.pid());
        out.insert("capture_and_encode".to_owned(), report(&alone, resident));
        // Time from the WHEP POST to the first decoded frame, over 30 joins; then frames, freezes and sound of 20 s.
        out.insert("first_frame_ms".to_owned(), browser(&perch, &client, "first-frame.mjs"));
        out.insert("watching".to_owned(), browser(&perch, &client, "watching.mjs"));
        out.insert("whep".to_owned(), whep(&perch, &client, &alone, resident, &[1, 5, 10, 20]));
        out.insert("rtsp_tcp".to_owned(), rtsp(&perch, &client, &alone, resident, &[1, 10, 50]));
        (alone, resident)
    };
    for (name, config) in [
        ("recorder", "record = { mode = \"continuous\" }\nmotion = { enabled = false }\n"),
        ("motion", "record = { mode = \"off\" }\nmotion = { enabled = true }\n"),
        ("everything", "record = { mode = \"continuous\" }\nmotion = { enabled = true }\n"),
    ] {
        let home = Home::new(&camera("test", config));
        let perch = home.boot();
        let cost = measure(&perch);
        let mb = cpu::resident_mb(perch.pid());
        let mut r = report(&cost, mb);
        r["added_percent_of_a_core"] = percent(cost.total - alone.total);
        r["added_mb"] = round(mb - resident);
        // Encoding costs more or less from run to run than these cost in all: their own threads are counted apart.
        let own = |name: &str| {
            cost.by_thread.get(name).copied().unwrap_or(0.0) - alone.by_thread.get(name).copied().unwrap_or(0.0)
        };
        r["of_its_own_percent"] = percent(own("perch") + own("queue:src"));
        out.insert(name.to_owned(), r);
    }
    out.insert("network_cameras".to_owned(), network_cameras());
    // The test pattern is so simple that it does not fill 1 Mbit/s; a street does.
    if let Some(street) = support::ffmpeg::footage("dvr_traffic.mp4") {
        let home = Home::new(&camera(&format!("file:{}", street.display()), OFF));
        let perch = home.boot();
        let client = perch.paired();
        let alone = measure(&perch);
        let resident = cpu::resident_mb(perch.pid());
        out.insert("street_capture_and_encode".to_owned(), report(&alone, resident));
        out.insert("street_whep".to_owned(), whep(&perch, &client, &alone, resident, &[1, 20]));
        out.insert("street_rtsp_tcp".to_owned(), rtsp(&perch, &client, &alone, resident, &[50]));
    }
    let verdicts = verdicts(&out);
    out.insert("targets".to_owned(), verdicts);
    println!("{}", serde_json::to_string_pretty(&out).expect("JSON"));
}

/// What viewers of a street cost, who let the box choose what they are sent, and how soon they see something.
fn viewers() -> Value {
    let street = support::ffmpeg::footage("dvr_traffic.mp4");
    let source = street.map_or_else(|| "test".to_owned(), |street| format!("file:{}", street.display()));
    let home = Home::new(&camera(&source, OFF));
    let perch = home.boot();
    let client = perch.paired();
    let alone = measure(&perch);
    let resident = cpu::resident_mb(perch.pid());
    let first_frame = browser(&perch, &client, "first-frame.mjs");
    json!({ "first_frame_ms": first_frame, "whep": whep(&perch, &client, &alone, resident, &[1, 20]) })
}

/// How old pictures are when a browser shows them that come by `way`, over 20 s.
fn glass_to_glass(way: &str) -> Value {
    let glass = glass::GlassBox::boot(&camera("test", OFF));
    browser_by(way, &glass.perch, &glass.client, "glass.mjs")
}

/// Eight network cameras of 4 Mbit/s recorded continuously as they come, without motion and with motion on their second streams.
fn network_cameras() -> Value {
    let serve = |case: &str| Camera::start(find(case).expect("a case")).expect("starts");
    let cameras: Vec<_> = (0..CAMERAS).map(|_| (serve("heavy"), serve("norm"))).collect();
    let cost = |motion: bool| {
        let section = |(n, (main, sub)): (usize, &(Camera, Camera))| {
            let second = if motion { format!("sub_source = {:?}\n", sub.url()) } else { String::new() };
            format!(
                "[[camera]]\nid = \"cam{n}\"\nsource = {:?}\n{second}audio = {{ source = \"none\" }}\n\
                 record = {{ mode = \"continuous\" }}\nmotion = {{ enabled = {motion} }}\n",
                main.url()
            )
        };
        let home = Home::new(&cameras.iter().enumerate().map(section).collect::<String>());
        let perch = home.boot();
        let client = perch.paired();
        for n in 0..CAMERAS {
            client.wait_for_camera(&format!("cam{n}"), "live", Duration::from_secs(30));
        }
        let cost = measure(&perch);
        let mbit: f64 = client.json("/api/v1/status")["cameras"]
            .as_array()
            .map_or(0.0, |all| all.iter().filter_map(|c| c["capture"]["bitrate_kbps"].as_f64()).sum::<f64>() / 1000.0);
        let mb = cpu::resident_mb(perch.pid());
        let each = |whole: f64| whole / CAMERAS as f64;
        (
            each(cost.total),
            json!({
                "percent_of_a_core_each": percent(each(cost.total)), "mb_each": round(each(mb)), "mbit_each": round(each(mbit)),
                "by_thread_percent": by_thread(&cost)
            }),
        )
    };
    let ((plain, without_motion), (watched, with_motion)) = (cost(false), cost(true));
    json!({
        "without_motion": without_motion, "with_motion": with_motion,
        "motion_percent_of_a_core_each": percent(watched - plain)
    })
}

/// Each target beside what was measured. Cost a viewer is that of the threads that serve viewers; the Opus encoder that starts
/// with the first listener is the camera's, whatever the number of viewers.
fn verdicts(out: &BTreeMap<String, Value>) -> Value {
    let of = |group: &str, n: u64, key: &str| {
        let rows = out.get(group).and_then(Value::as_array);
        rows.and_then(|rows| rows.iter().find(|r| r["n"] == n)).map_or(Value::Null, |row| row[key].clone())
    };
    let each = "serving_threads_percent_each";
    let figures = [
        ("one WHEP viewer alone, % of a core", of("street_whep", 1, each), 0.8),
        ("each of 20 WHEP viewers, % of a core", of("street_whep", 20, each), 0.22),
        ("each of 20 WHEP viewers, MB", of("street_whep", 20, "mb_each"), 0.7),
        ("each of 50 RTSP readers over TCP, % of a core", of("street_rtsp_tcp", 50, each), 0.15),
        ("RTSP readers of 50 that failed", of("street_rtsp_tcp", 50, "failed_readers"), 0.0),
        ("recorder, % of a core", out["recorder"]["of_its_own_percent"].clone(), 0.3),
        ("motion, % of a core", out["motion"]["of_its_own_percent"].clone(), 1.0),
        ("first frame after the POST, p95 ms", out["first_frame_ms"]["p95"].clone(), 60.0),
        ("from glass to glass, p95 ms", out["glass_to_glass_ms"]["p95"].clone(), 120.0),
        ("from glass to glass by low-latency HLS, p95 ms", out["glass_to_glass_hls_ms"]["p95"].clone(), 1500.0),
        ("freezes in 20 s of watching", out["watching"]["freezes"].clone(), 0.0),
        (
            "each of 8 network cameras recorded, % of a core",
            out["network_cameras"]["without_motion"]["percent_of_a_core_each"].clone(),
            0.6,
        ),
        (
            "motion on its second stream, % of a core",
            out["network_cameras"]["motion_percent_of_a_core_each"].clone(),
            1.5,
        ),
        ("one camera in all, MB", out["everything"]["resident_mb"].clone(), 100.0),
        ("encoders with 20 viewers", of("whep", 20, "encoders"), 2.0),
    ];
    let verdict = |(what, measured, target): (&str, Value, f64)| {
        let holds = measured.as_f64().is_some_and(|m| m <= target);
        json!({ "what": what, "measured": measured, "target": target, "holds": holds })
    };
    figures.into_iter().map(verdict).collect()
}

fn measure(perch: &BoxProcess) -> cpu::Cost {
    std::thread::sleep(SETTLE);
    let before = cpu::read(perch.pid());
    std::thread::sleep(MEASURE);
    cpu::since(perch.pid(), &before)
}

fn encoders(client: &Client) -> Value {
    client.json("/api/v1/status")["cameras"][0]["capture"]["encoders"].clone()
}

fn whep(perch: &BoxProcess, client: &Client, alone: &cpu::Cost, resident: f64, counts: &[usize]) -> Value {
    // A device may hold 16 sessions.
    let second = second_device(perch, client);
    let mut rows = Vec::new();
    for &n in counts {
        let viewers: Vec<_> = (0..n)
            .map(|i| {
                let (mut viewer, offer) = Viewer::offer();
                let who = if i % 2 == 0 { client.clone() } else { second.clone() };
                let (answer, lease) = who.whep("cam", "auto", &offer);
                viewer.accept(&answer);
                (viewer.spawn(), who, lease)
            })
            .collect();
        let bytes = || viewers.iter().map(|(v, ..)| v.seen().bytes).sum::<u64>();
        std::thread::sleep(SETTLE);
        let (before, received) = (cpu::read(perch.pid()), bytes());
        std::thread::sleep(MEASURE);
        let cost = cpu::since(perch.pid(), &before);
        let mbit = (bytes() - received) as f64 * 8.0 / 1e6 / MEASURE.as_secs_f64() / n as f64;
        let added = cpu::resident_mb(perch.pid()) - resident;
        let mut r = row(n, &cost, alone, added, mbit, encoders(client));
        r["broken_frames"] = json!(viewers.iter().map(|(v, ..)| v.seen().broken).sum::<u64>());
        rows.push(r);
        for (_, who, lease) in &viewers {
            who.delete(lease).expect(204);
        }
    }
    json!(rows)
}

/// One more paired device.
fn second_device(perch: &BoxProcess, client: &Client) -> Client {
    let code = client.post("/api/v1/pairing-codes", &json!({ "role": "viewer" })).expect(201).json();
    perch.client().pair(code["otp"].as_str().expect("a code"), "second phone")
}

fn rtsp(perch: &BoxProcess, client: &Client, alone: &cpu::Cost, resident: f64, counts: &[usize]) -> Value {
    let password = client.stream_password("bench");
    let host = format!("127.0.0.1:{}", perch.ports.rtsp);
    let mut rows = Vec::new();
    for &n in counts {
        let bytes = Arc::new(AtomicU64::new(0));
        let start = |_| Reader::start(&host, "cam", "bench", &password, bytes.clone());
        let mut readers: Vec<_> = (0..n).map(start).collect();
        std::thread::sleep(SETTLE);
        let (before, received) = (cpu::read(perch.pid()), bytes.load(Ordering::Relaxed));
        std::thread::sleep(MEASURE);
        let cost = cpu::since(perch.pid(), &before);
        let mbit = (bytes.load(Ordering::Relaxed) - received) as f64 * 8.0 / 1e6 / MEASURE.as_secs_f64() / n as f64;
        let failure = |r: &mut Result<Reader, String>| r.as_mut().map_or_else(|e| Some(e.clone()), Reader::failure);
        let failures: Vec<_> = readers.iter_mut().filter_map(failure).collect();
        let mut r = row(n, &cost, alone, cpu::resident_mb(perch.pid()) - resident, mbit, encoders(client));
        r["failed_readers"] = json!(failures.len());
        r["failures"] = json!(failures);
        rows.push(r);
        drop(readers);
        std::thread::sleep(SETTLE);
    }
    json!(rows)
}

/// What a script of `tests/web` measures in headless Chromium.
fn browser(perch: &BoxProcess, client: &Client, script: &str) -> Value {
    browser_by("webrtc", perch, client, script)
}

fn browser_by(way: &str, perch: &BoxProcess, client: &Client, script: &str) -> Value {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web").join(script);
    let output = std::process::Command::new("node")
        .arg(script)
        .env("PERCH_TEST_URL", format!("https://localhost:{}", perch.ports.http))
        .env("PERCH_TEST_TOKEN", client.token.as_deref().unwrap_or_default())
        .env("PERCH_TEST_WAY", way)
        .output()
        .expect("node runs");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("the browser measured nothing: {e}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn row(n: usize, cost: &cpu::Cost, alone: &cpu::Cost, added_mb: f64, mbit: f64, encoders: Value) -> Value {
    // What the shared threads of capture cost varies by more than a viewer costs; threads that only serve viewers are counted apart.
    let serving: f64 = cost
        .by_thread
        .iter()
        .filter(|(name, _)| !alone.by_thread.contains_key(*name) || SERVING.iter().any(|s| name.starts_with(s)))
        .map(|(name, share)| share - alone.by_thread.get(name).copied().unwrap_or(0.0))
        .sum();
    json!({
        "n": n,
        "percent_of_a_core_each": percent((cost.total - alone.total) / n as f64),
        "serving_threads_percent_each": percent(serving / n as f64),
        "mb_each": round(added_mb / n as f64),
        "mbit_per_s_each": round(mbit),
        "encoders": encoders,
        "by_thread": by_thread(cost),
    })
}

/// Names of threads that serve viewers.
const SERVING: [&str; 4] = ["perch", "webrtc", "rtsp", "pool"];

fn report(cost: &cpu::Cost, mb: f64) -> Value {
    json!({ "percent_of_a_core": percent(cost.total), "resident_mb": round(mb), "by_thread": by_thread(cost) })
}

fn by_thread(cost: &cpu::Cost) -> BTreeMap<&String, Value> {
    cost.by_thread.iter().filter(|(_, share)| **share > 0.0001).map(|(name, share)| (name, percent(*share))).collect()
}

fn percent(share: f64) -> Value {
    json!((share * 100_000.0).round() / 1000.0)
}

fn round(n: f64) -> Value {
    json!((n * 100.0).round() / 100.0)
}
