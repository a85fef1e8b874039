//! Figures of the WHEP engine, by hand: `serve` in one process (it also serves a page for a browser), `load` in another.
//!
//! `cargo test --release -p perch-media --test webrtc_bench -- --ignored --nocapture serve` and, beside it,
//! `PERCH_VIEWERS=20 … load`. `serve` ends after `PERCH_SECONDS` (60).
#![allow(clippy::disallowed_methods, reason = "tests pace pictures and start real players")]

#[path = "webrtc/serving.rs"]
mod serving;
#[path = "webrtc/source.rs"]
mod source;
#[path = "webrtc/viewer.rs"]
#[allow(dead_code, reason = "the bench uses a part of it")]
mod viewer;

use perch_base::clock::SystemClock;
use perch_base::ids::{CameraId, DeviceId};
use perch_domain::access::{CameraGrant, Principal, Role};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::ports::{LivePort, WatchRequest};
use perch_domain::stream_choice::StreamChoice;
use perch_domain::viewers::ViewerLimits;
use perch_media::webrtc::{Config, Engine, LiveCamera};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PORT: u16 = 18_090;

const PAGE: &str = r#"<!doctype html><video id=v autoplay muted playsinline></video><script>
window.run = async () => {
  const pc = new RTCPeerConnection();
  pc.addTransceiver('video', {direction: 'recvonly'}); pc.addTransceiver('audio', {direction: 'recvonly'});
  const stream = new MediaStream(); v.srcObject = stream; pc.ontrack = e => stream.addTrack(e.track);
  await pc.setLocalDescription();
  const t0 = performance.now();
  const answer = await (await fetch('/whep', {method: 'POST', body: pc.localDescription.sdp})).text();
  const t1 = performance.now();
  await pc.setRemoteDescription({type: 'answer', sdp: answer});
  await new Promise(done => v.requestVideoFrameCallback(done));
  window.pc = pc;
  return {post: t1 - t0, first: performance.now() - t0};
};
window.stats = async () => {
  const out = {};
  for (const s of (await window.pc.getStats()).values()) {
    if (s.type === 'inbound-rtp') out[s.kind] = {frames: s.framesDecoded, dropped: s.framesDropped, packets: s.packetsReceived,
      lost: s.packetsLost, freezes: s.freezeCount, samples: s.totalSamplesReceived, concealed: s.concealedSamples,
      jb: s.jitterBufferDelay / s.jitterBufferEmittedCount, pli: s.pliCount, nack: s.nackCount, sync: s.estimatedPlayoutTimestamp};
    if (s.type === 'transport') out.transport = {srtp: s.srtpCipher, dtls: s.dtlsCipher, tls: s.tlsVersion};
  }
  return out;
};
</script>"#;

#[test]
#[ignore = "runs for a minute and prints figures"]
fn serve() {
    let seconds = std::env::var("PERCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(60);
    let canned = source::canned();
    println!("{} kbit/s of video", canned.video[0].iter().map(|f| f.len() * 8).sum::<usize>() / 2 / 1000);
    let clock = Arc::new(SystemClock);
    let source = source::Source::start("front", clock.clone(), clock.clone());
    let camera = LiveCamera {
        hub: source.hub.clone(),
        codec: VideoCodec::H264,
        has_audio: true,
        only_small: false,
        h265: false,
        vp8: None,
    };
    let viewers = ViewerLimits { per_person: 64, per_device: 64, ..ViewerLimits::default() };
    let config = Config { viewers, ..Config::new("0.0.0.0:0".parse().expect("valid")) };
    let (engine, server) = Engine::open(config, vec![camera], clock).expect("opens");
    let _serving = serving::Serving::start(server);
    let port = engine.clone();
    std::thread::spawn(move || {
        let listener = TcpListener::bind(("127.0.0.1", PORT)).expect("port");
        for client in listener.incoming().flatten() {
            let port = port.clone();
            std::thread::spawn(move || answer(&port, client));
        }
    });
    let (mut before, mut stats) = (engine_cpu(), engine.stats());
    for _ in 0..seconds / 5 {
        std::thread::sleep(Duration::from_secs(5));
        for session in engine.sessions().expect("answers") {
            let _ = engine.renew(session.lease);
        }
        let (cpu, now) = (engine_cpu(), engine.stats());
        println!(
            "{} sessions: engine {:.2} % of a core, {:.1} MB resident, {} packets/s in {} writes/s, {} in/s, dropped {}, forced {}",
            now.sessions,
            (cpu - before) * 20.0,
            resident_kb() as f64 / 1000.0,
            (now.packets_out - stats.packets_out) / 5,
            (now.writes - stats.writes) / 5,
            (now.packets_in - stats.packets_in) / 5,
            now.packets_dropped,
            source.control.forced.load(std::sync::atomic::Ordering::Relaxed),
        );
        (before, stats) = (cpu, now);
    }
}

fn answer(engine: &Engine, mut client: TcpStream) {
    let mut request = Vec::new();
    let mut buf = [0; 4096];
    loop {
        let n = client.read(&mut buf).unwrap_or(0);
        request.extend_from_slice(&buf[..n]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if n == 0 {
                return;
            }
            continue;
        };
        let length =
            head.to_ascii_lowercase().split("content-length: ").nth(1).and_then(|s| s.lines().next()?.parse().ok());
        if body.len() < length.unwrap_or(0) && n > 0 {
            continue;
        }
        let (kind, reply) = if head.starts_with("POST") {
            let viewer = Principal {
                device_id: DeviceId::random(),
                device_name: "bench".into(),
                username: None,
                role: Role::Viewer,
                cameras: CameraGrant::All,
                limits: Default::default(),
            };
            let camera = CameraId::new("front").expect("valid");
            let request = WatchRequest {
                camera,
                stream: StreamChoice::Fixed(Stream::Main),
                budget: None,
                sound_only: false,
                offer: body.into(),
                viewer,
            };
            let answer = engine.watch(request).map(|a| a.sdp).unwrap_or_else(|e| e.to_string());
            ("application/sdp", answer)
        } else {
            ("text/html", PAGE.to_owned())
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            reply.len()
        );
        let _ = client.write_all((head + &reply).as_bytes());
        return;
    }
}

#[test]
#[ignore = "needs `serve` beside it"]
fn load() {
    let viewers = std::env::var("PERCH_VIEWERS").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
    let seconds: u64 = std::env::var("PERCH_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(30);
    source::canned();
    let all: Vec<_> = (0..viewers)
        .map(|_| {
            let offer = viewer::Offer::new();
            let mut server = TcpStream::connect(("127.0.0.1", PORT)).expect("`serve` runs");
            let head = format!("POST /whep HTTP/1.1\r\nContent-Length: {}\r\n\r\n", offer.sdp.len());
            server.write_all((head + &offer.sdp).as_bytes()).expect("sent");
            let mut reply = String::new();
            server.read_to_string(&mut reply).expect("answered");
            let viewer = offer.go(reply.split_once("\r\n\r\n").expect("a body").1);
            std::thread::sleep(Duration::from_millis(300));
            viewer
        })
        .collect();
    let started = Instant::now();
    let before: usize = all.iter().map(|v| v.seen().frames).sum();
    std::thread::sleep(Duration::from_secs(seconds));
    let frames: usize = all.iter().map(|v| v.seen().frames).sum::<usize>() - before;
    let mut first: Vec<_> = all.iter().filter_map(|v| v.seen().first_frame).collect();
    first.sort();
    let broken: usize = all.iter().map(|v| v.seen().broken).sum();
    println!(
        "{:.1} frames/s each, {broken} broken, first frame {first:?}",
        frames as f64 / started.elapsed().as_secs_f64() / viewers as f64
    );
}

/// CPU seconds of the thread `webrtc`.
fn engine_cpu() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("readable");
    let stat = tasks.flatten().filter_map(|t| {
        std::fs::read_to_string(t.path().join("schedstat"))
            .ok()
            .zip(std::fs::read_to_string(t.path().join("comm")).ok())
    });
    let nanos: u64 = stat
        .filter(|(_, comm)| comm.trim() == "webrtc")
        .filter_map(|(s, _)| s.split(' ').next()?.parse::<u64>().ok())
        .sum();
    nanos as f64 / 1e9
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
