//! `make bench`: what the box costs on a 1280x720@30 test camera at about 1 Mbit/s, printed as JSON: CPU as a share of one core
//! (capture and encode alone, + recorder, + motion, + 1/5/10/20 WHEP viewers, + 1/10/50 RTSP readers), memory, time to first
//! frame in a real browser, and the number of encoders.
#![allow(clippy::disallowed_methods, reason = "the bench starts the box and a browser as processes")]

mod cpu;
mod rtsp_reader;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::BoxProcess;

/// How long each figure is measured.
const MEASURE: Duration = Duration::from_secs(20);
/// How long a phase settles before it is measured.
const SETTLE: Duration = Duration::from_secs(4);

const CAMERA: &str = r#"
[[camera]]
id = "cam"
source = "test"
width = 1280
height = 720
fps = 30
bitrate_kbps = 1000
audio = { source = "test" }
"#;

#[tokio::main]
async fn main() {
    let mut out = BTreeMap::new();
    let off = "record = { mode = \"off\" }\nmotion = { enabled = false }\n";
    let (alone, resident) = {
        let perch = BoxProcess::start(&format!("{CAMERA}{off}")).await;
        let alone = measure(&perch).await;
        let resident = cpu::resident_mb(perch.pid());
        out.insert("capture_and_encode", report(&alone, resident));
        out.insert("whep", whep(&perch, &alone, resident).await);
        out.insert("rtsp_tcp", rtsp(&perch, &alone, resident).await);
        out.insert("first_frame_ms", first_frame(&perch).await);
        (alone, resident)
    };
    for (name, config) in [
        ("recorder", "record = { mode = \"continuous\" }\nmotion = { enabled = false }\n"),
        ("motion", "record = { mode = \"off\" }\nmotion = { enabled = true }\n"),
        ("everything", "record = { mode = \"continuous\" }\nmotion = { enabled = true }\n"),
    ] {
        let perch = BoxProcess::start(&format!("{CAMERA}{config}")).await;
        let cost = measure(&perch).await;
        let mb = cpu::resident_mb(perch.pid());
        let mut r = report(&cost, mb);
        r["added_percent_of_a_core"] = percent(cost.total - alone.total);
        r["added_mb"] = round(mb - resident);
        out.insert(name, r);
    }
    println!("{}", serde_json::to_string_pretty(&out).expect("JSON"));
}

async fn measure(perch: &BoxProcess) -> cpu::Cost {
    tokio::time::sleep(SETTLE).await;
    let before = cpu::read(perch.pid());
    tokio::time::sleep(MEASURE).await;
    cpu::since(perch.pid(), &before)
}

async fn encoders(perch: &BoxProcess) -> Value {
    let status = perch.get_json("/api/v1/status").await;
    status["cameras"][0]["capture"]["encoders"].clone()
}

async fn whep(perch: &BoxProcess, alone: &cpu::Cost, resident: f64) -> Value {
    let mut rows = Vec::new();
    for n in [1usize, 5, 10, 20] {
        let mut viewers = Vec::new();
        for _ in 0..n {
            viewers.push(support::whep::Viewer::connect(perch, "cam", "main").await);
        }
        let bytes = |v: &[support::whep::Viewer]| v.iter().map(|v| v.bytes()).sum::<u64>();
        tokio::time::sleep(SETTLE).await;
        let (before, received) = (cpu::read(perch.pid()), bytes(&viewers));
        tokio::time::sleep(MEASURE).await;
        let cost = cpu::since(perch.pid(), &before);
        let mbit = (bytes(&viewers) - received) as f64 * 8.0 / 1e6 / MEASURE.as_secs_f64() / n as f64;
        rows.push(row(n, &cost, alone, cpu::resident_mb(perch.pid()) - resident, mbit, encoders(perch).await));
        for v in viewers {
            v.close().await;
        }
    }
    json!(rows)
}

async fn rtsp(perch: &BoxProcess, alone: &cpu::Cost, resident: f64) -> Value {
    let password = perch.stream_password("bench").await;
    let host = perch.rtsp_address();
    let mut rows = Vec::new();
    for n in [1usize, 10, 50] {
        let bytes = Arc::new(AtomicU64::new(0));
        let readers: Vec<_> = (0..n)
            .map(|_| {
                let (host, password, bytes) = (host.clone(), password.clone(), bytes.clone());
                tokio::spawn(async move { rtsp_reader::play(&host, "cam", "bench", &password, bytes).await })
            })
            .collect();
        tokio::time::sleep(SETTLE).await;
        let (before, received) = (cpu::read(perch.pid()), bytes.load(Ordering::Relaxed));
        tokio::time::sleep(MEASURE).await;
        let cost = cpu::since(perch.pid(), &before);
        let mbit = (bytes.load(Ordering::Relaxed) - received) as f64 * 8.0 / 1e6 / MEASURE.as_secs_f64() / n as f64;
        let failed = readers.iter().filter(|r| r.is_finished()).count();
        assert_eq!(failed, 0, "every reader reads to the end");
        rows.push(row(n, &cost, alone, cpu::resident_mb(perch.pid()) - resident, mbit, encoders(perch).await));
        for r in readers {
            r.abort();
        }
        tokio::time::sleep(SETTLE).await;
    }
    json!(rows)
}

/// Time from the WHEP POST to the first decoded frame, in headless Chromium, over 30 joins.
async fn first_frame(perch: &BoxProcess) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/web/first-frame.mjs");
    let output = std::process::Command::new("node")
        .arg(script)
        .env("PERCH_TEST_URL", perch.base_url())
        .env("PERCH_TEST_TOKEN", perch.token())
        .env("PERCH_TEST_ROUNDS", "30")
        .output()
        .expect("node runs");
    match serde_json::from_slice(&output.stdout) {
        Ok(value) => value,
        Err(e) => json!({ "error": format!("{e}: {}", String::from_utf8_lossy(&output.stderr)) }),
    }
}

fn row(n: usize, cost: &cpu::Cost, alone: &cpu::Cost, added_mb: f64, mbit: f64, encoders: Value) -> Value {
    // What the shared threads of capture cost varies by more than a viewer costs; threads that only serve viewers are told apart.
    let serving: f64 = cost.by_thread.iter().filter(|(name, _)| !alone.by_thread.contains_key(*name) || SERVING.iter().any(|s| name.starts_with(s)))
        .map(|(name, share)| share - alone.by_thread.get(name).copied().unwrap_or(0.0)).sum();
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
