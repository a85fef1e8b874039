//! What a test camera costs: CPU seconds a second and resident memory of this process. `capture_cost [nomotion] [noaudio] [sub] [stills] [masked] [SECONDS]`
#![allow(clippy::print_stdout, reason = "figures are what it is for")]

use perch_base::clock::SystemClock;
use perch_base::ids::CameraId;
use perch_base::zone::Zone;
use perch_base::{Error, ErrorKind, Result, ResultExt, shutdown};
use perch_domain::camera::{AudioSettings, AudioSource, CameraConfig, Source, VideoSettings};
use perch_domain::ingest::{IngestPort, IngestRequest, IngestSink};
use perch_domain::media::{Stream, VideoCodec};
use perch_domain::motion::{MotionConfig, Polygon};
use perch_domain::picture_settings::PictureSettings;
use perch_domain::ports::Later;
use perch_domain::still_turns::Asker;
use perch_media::capture::{Capture, LumaSink, Means};
use perch_media::fanout::Hub;
use perch_media::pipeline::Library;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What it costs to take in a network camera is measured elsewhere.
struct NoNetwork;

impl IngestPort for NoNetwork {
    fn run<'a>(&'a self, _: &'a IngestRequest, _: &'a dyn IngestSink, _: shutdown::Shutdown) -> Later<'a, Result<()>> {
        Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "is a network camera")) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| args.iter().any(|a| a == word);
    let seconds = args.iter().find_map(|a| a.parse().ok()).unwrap_or(10);
    let source = args.iter().find(|a| a.contains(':')).map_or(Ok(Source::Test), |s| Source::parse(s))?;
    let audio = if has("noaudio") { AudioSource::None } else { AudioSource::Test };
    let quarter = Polygon::new(vec![(0.1, 0.1), (0.6, 0.1), (0.6, 0.6), (0.1, 0.6)])?;
    let config = CameraConfig {
        id: CameraId::new("cost")?,
        name: "cost".into(),
        room: String::new(),
        source,
        network: Default::default(),
        aspect: None,
        codec: VideoCodec::H264,
        main: VideoSettings { width: 1280, height: 720, fps: 30, bitrate_kbps: 1000 },
        sub: VideoSettings { width: 640, height: 360, fps: 15, bitrate_kbps: 300 },
        audio: AudioSettings { source: audio, gain_db: 0.0 },
        talkback: Default::default(),
        record: perch_domain::recording::RecordConfig::default(),
        motion: MotionConfig { enabled: !has("nomotion"), ..MotionConfig::default() },
        picture: PictureSettings {
            privacy: if has("masked") { vec![quarter] } else { Vec::new() },
            ..Default::default()
        },
        push: Vec::new(),
        off: None,
    };
    perch_media::init()?;
    let clock = Arc::new(SystemClock);
    let hub = Hub::new(config.id.clone(), clock.clone());
    let luma: LumaSink = Arc::new(|_| {});
    let means = Means {
        library: Arc::new(Library::load(None)?),
        ingest: Arc::new(NoNetwork),
        machine: Default::default(),
        zone: Arc::new(Zone::utc),
        encodes_vp8: true,
    };
    let capture = Arc::new(Capture::new(config, means, hub.clone(), clock, luma));
    let stream = if has("sub") { Stream::Sub } else { Stream::Main };
    let mut listener = hub.subscribe(stream, !has("noaudio"), "cost", 1000);
    let (_trigger, shutdown) = shutdown::channel();
    let runner = capture.clone();
    tokio::spawn(async move { runner.run_once(&|e| println!("{e:?}"), shutdown).await });
    tokio::spawn(async move { while listener.packets.recv().await.is_some() {} });
    if has("stills") {
        // One a second, each made on whatever thread is free.
        let turns = perch_media::still::Turns::default();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if let Some(key) = hub.latest_keyframe(Stream::Main) {
                    let Ok(turn) = turns.take(Asker::Box).await else { continue };
                    let camera = CameraId::new("cost").expect("a camera's id");
                    let still = move || {
                        perch_media::still::jpeg(
                            &turn,
                            &camera,
                            VideoCodec::H264,
                            None,
                            std::slice::from_ref(&key.data),
                            Some(640),
                        )
                    };
                    if let Ok(Err(e)) = tokio::task::spawn_blocking(still).await {
                        println!("no still: {e}");
                    }
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (began, before) = (Instant::now(), cpu_seconds()?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = (cpu_seconds()? - before) / began.elapsed().as_secs_f64();
    println!("{used:.3} CPU s a second, {} kB resident, {:?}", resident_kb()?, capture.figures());
    Ok(())
}

fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").context(ErrorKind::Io, || "no /proc")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).ok_or_else(|| Error::internal("odd stat"));
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

fn resident_kb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context(ErrorKind::Io, || "no /proc")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).ok_or_else(|| Error::internal("odd status"))
}
