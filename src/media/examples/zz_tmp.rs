//! tmp
use perch_base::clock::SystemClock;
use perch_base::ids::CameraId;
use perch_base::shutdown;
use perch_domain::camera::*;
use perch_domain::media::*;
use perch_domain::motion::MotionConfig;
use perch_media::capture::*;
use perch_media::fanout::Hub;
use perch_media::pipeline::Library;
use std::sync::Arc;
use std::time::Duration;
fn main() { let src = std::env::args().nth(1).unwrap(); let n: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
 tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
    perch_media::init().unwrap();
    let clock = Arc::new(SystemClock);
    let config = CameraConfig { id: CameraId::new("c").unwrap(), name: "c".into(), source: Source::parse(&src).unwrap(), codec: VideoCodec::H264,
        main: VideoSettings { width: 1280, height: 720, fps: 30, bitrate_kbps: 1000 }, sub: VideoSettings { width: 640, height: 360, fps: 15, bitrate_kbps: 300 },
        audio: AudioSettings { source: AudioSource::Test, gain_db: 0.0 }, record: Default::default(), motion: MotionConfig::default() };
    let hub = Hub::new(config.id.clone(), clock.clone());
    let c = Arc::new(Capture::new(config, Arc::new(Library::load(None).unwrap()), hub.clone(), clock.clone(), Arc::new(|_| {})));
    let sub = hub.subscribe(Stream::Sub, true, "x", 10);
    let mut sub = sub; tokio::spawn(async move { while sub.packets.recv().await.is_some() {} });
    for i in 0..n {
        let (t, s) = shutdown::channel();
        let r = c.clone();
        let j = tokio::spawn(async move { r.run_once(&|_| {}, s).await.map_err(|e| e.to_string()) });
        tokio::time::sleep(Duration::from_millis(300 + 20 * (i % 5))).await;
        t.fire();
        let e = j.await.unwrap();
        if i % (n / 5) == 0 || i == n - 1 {
            let st = std::fs::read_to_string("/proc/self/status").unwrap();
            let g = |k: &str| st.lines().find(|l| l.starts_with(k)).unwrap().to_string();
            println!("{src} {i} {e:?} {} {}", g("Threads"), g("VmRSS"));
        }
    }
    drop(c); drop(hub); tokio::time::sleep(Duration::from_millis(500)).await;
 }); unsafe { gstreamer::deinit() } }
