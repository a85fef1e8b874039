//! A real clip (made by ffmpeg, cut into packets here), stores in temporary folders, and ffprobe's opinion of files.

mod mount;

pub use mount::Mount;

use bytes::Bytes;
use perch_base::clock::{Clock, ManualClock};
use perch_base::ids::{CameraId, EventId};
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::access::SessionConfig;
use perch_domain::archive::{EventKind, Segment, TimeRange};
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_domain::motion::Cause;
use perch_domain::pairing::PairingConfig;
use perch_domain::retention::RetentionConfig;
use perch_store::{Config, FragmentPackets, NewEvent, Store, TrackFormat};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Frames a second of the clip; a GOP is one second.
pub const FPS: i64 = 15;
/// Seconds of the clip.
pub const SECONDS: usize = 12;

pub struct Clip {
    /// Access units, Annex B, and whether each is a keyframe.
    pub video: Vec<(Bytes, bool)>,
    /// Opus packets of 20 ms.
    pub audio: Vec<Bytes>,
}

fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let out = Command::new("ffmpeg").args(["-v", "error"]).args(args).arg("-").output().expect("ffmpeg runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn h264(size: &str, seconds: usize, more: &[&str]) -> Vec<(Bytes, bool)> {
    let source = format!("testsrc2=size={size}:rate={FPS}:duration={seconds}");
    let gop = FPS.to_string();
    let mut args = vec!["-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"];
    args.extend(["-profile:v", "baseline", "-g", &gop, "-keyint_min", &gop, "-sc_threshold", "0", "-bf", "0"]);
    args.extend(["-bsf:v", "h264_metadata=aud=insert"]);
    args.extend(more);
    args.extend(["-f", "h264"]);
    let stream = ffmpeg(&args);
    // Every unit begins with a delimiter (type 9) after a four-byte start code.
    let starts: Vec<usize> =
        (0..stream.len() - 5).filter(|i| stream[*i..*i + 4] == [0, 0, 0, 1] && stream[*i + 4] & 0x1f == 9).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let units: Vec<&[u8]> = starts.iter().zip(ends).map(|(a, b)| &stream[*a..b]).collect();
    let is_key = |unit: &[u8]| unit.windows(4).any(|w| w[..3] == [0, 0, 1] && w[3] & 0x1f == 5);
    units.iter().map(|u| (Bytes::copy_from_slice(u), is_key(u))).collect()
}

fn opus(seconds: usize) -> Vec<Bytes> {
    let source = format!("sine=frequency=440:duration={seconds}");
    let data = ffmpeg(&["-f", "lavfi", "-i", &source, "-ac", "1", "-c:a", "libopus", "-b:a", "24k", "-f", "ogg"]);
    let (mut packets, mut packet, mut at) = (vec![], vec![], 0);
    while at < data.len() {
        assert_eq!(&data[at..at + 4], b"OggS");
        let lacing = &data[at + 27..at + 27 + usize::from(data[at + 26])];
        at += 27 + lacing.len();
        for n in lacing {
            packet.extend_from_slice(&data[at..at + usize::from(*n)]);
            at += usize::from(*n);
            if *n < 255 {
                packets.push(Bytes::from(std::mem::take(&mut packet)));
            }
        }
    }
    packets.split_off(2)
}

/// 320x240, a keyframe a second, with sound.
pub fn clip() -> &'static Clip {
    static CLIP: OnceLock<Clip> = OnceLock::new();
    CLIP.get_or_init(|| {
        let clip = Clip { video: h264("320x240", SECONDS, &[]), audio: opus(SECONDS) };
        assert_eq!(clip.video.len() as i64, SECONDS as i64 * FPS);
        assert_eq!(clip.video.iter().filter(|v| v.1).count(), SECONDS);
        clip
    })
}

/// Another picture size, high profile, without sound.
pub fn other_clip() -> &'static Clip {
    static CLIP: OnceLock<Clip> = OnceLock::new();
    CLIP.get_or_init(|| Clip { video: h264("640x360", 3, &["-profile:v", "high"]), audio: vec![] })
}

fn packet(track: Track, data: &Bytes, us: i64, keyframe: bool) -> Arc<Packet> {
    Arc::new(Packet::new(track, data.clone(), MonoTime(us), keyframe))
}

/// Second `n` of a clip as a GOP; its clock starts at `zero`.
pub fn gop(clip: &Clip, n: usize, zero: MonoTime) -> FragmentPackets {
    let at = |i: usize| zero.0 + i as i64 * 1_000_000 / FPS;
    let frames = n * FPS as usize..(n + 1) * FPS as usize;
    let mut packets: Vec<_> =
        frames.clone().map(|i| packet(Track::Video, &clip.video[i].0, at(i), clip.video[i].1)).collect();
    let sound = clip.audio.iter().enumerate().map(|(i, p)| packet(Track::Audio, p, zero.0 + i as i64 * 20_000, true));
    let (from, to) = (at(frames.start), at(frames.end));
    packets.extend(sound.filter(|p| (from..to).contains(&p.pts.0)));
    FragmentPackets { packets, end: MonoTime(to), ..Default::default() }
}

pub fn format(clip: &Clip) -> TrackFormat {
    TrackFormat::from_keyframe(VideoCodec::H264, &clip.video[0].0, !clip.audio.is_empty())
        .expect("the clip has parameter sets")
}

pub fn camera() -> CameraId {
    CameraId::new("front").expect("valid")
}

/// The moment at which the clip's clock (steady time 0) starts in most tests.
pub fn t0() -> Timestamp {
    Timestamp::parse("2026-05-01T12:00:00.250Z").expect("valid")
}

pub fn s(n: f64) -> Timestamp {
    t0().plus_micros((n * 1e6) as i64)
}

pub fn range(from: f64, to: f64) -> TimeRange {
    TimeRange::new(s(from), s(to)).expect("in order")
}

/// A folder with a store that can be closed and opened again.
pub struct TestStore {
    pub dir: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub retention: RetentionConfig,
}

impl TestStore {
    pub fn new() -> Self {
        let retention = RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 0, event_max_days: 0 };
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { dir, clock: Arc::new(ManualClock::new(s(100.0))), retention }
    }

    pub fn config(&self) -> Config {
        Config {
            data_dir: self.data(),
            pairing: PairingConfig::default(),
            session: SessionConfig { idle: Duration::from_secs(3600), max: Duration::from_secs(86_400) },
            retention: self.retention,
            copies: Default::default(),
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A store whose index and files were compared, as far as its disk allows.
    pub fn open(&self) -> Store {
        let store = self.start();
        if let Err(e) = store.recordings().reconcile() {
            assert_eq!(e.kind(), perch_base::ErrorKind::Unavailable, "{e}");
        }
        store
    }

    /// A store as it is when the box begins to record.
    pub fn start(&self) -> Store {
        Store::open(self.config(), self.clock.clone()).expect("the store opens")
    }

    pub fn now(&self) -> Timestamp {
        self.clock.utc()
    }

    /// All files below recordings/, in order.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut out = vec![];
        let mut todo = vec![self.data().join("recordings")];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { todo.push(path) } else { out.push(path) }
            }
        }
        out.sort();
        out
    }

    pub fn quarantined(&self) -> usize {
        std::fs::read_dir(self.data().join("quarantine")).expect("a folder").count()
    }
}

/// Records seconds `seconds` of the clip as one file.
pub fn record(store: &Store, seconds: std::ops::Range<usize>, event: Option<EventId>) -> Segment {
    let mut writer =
        store.recordings().create_segment(&camera(), s(seconds.start as f64), event, &format(clip())).expect("created");
    let zero = MonoTime(seconds.start as i64 * 1_000_000);
    for n in seconds {
        writer.write_fragment(zero, &gop(clip(), n, MonoTime(0))).expect("written");
    }
    writer.seal().expect("sealed")
}

pub fn event(start: f64) -> NewEvent {
    NewEvent {
        id: EventId(s(start).as_micros()),
        camera: camera(),
        kind: EventKind::Motion,
        start: s(start),
        since: s(start),
        chapter: 1,
        score: 0.2,
        cause: Cause::Motion,
        boxes: vec![],
    }
}

/// What ffprobe found in a file.
#[derive(Debug, PartialEq)]
pub struct Probe {
    /// Decoded frames.
    pub video: u64,
    /// Decoded packets of sound; 0 without sound.
    pub audio: u64,
    /// Seconds from the first to the end of the last video packet.
    pub seconds: f64,
    /// Seconds at which the sound's last packet ends.
    pub audio_end: f64,
}

/// Decodes a whole file; anything that ffprobe complains of fails the test.
pub fn probe(path: &Path) -> Probe {
    let entries = "stream=codec_name,nb_read_frames:packet=stream_index,pts_time,dts_time,duration_time";
    let args = ["-v", "warning", "-count_frames", "-show_entries", entries, "-of", "json"];
    let out = Command::new("ffprobe").args(args).arg(path).output().expect("ffprobe runs");
    assert!(out.status.success() && out.stderr.is_empty(), "{path:?}: {}", String::from_utf8_lossy(&out.stderr));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let number = |v: &serde_json::Value| v.as_str().and_then(|t| t.parse::<f64>().ok()).unwrap_or(0.0);
    let streams = json["streams"].as_array().expect("streams");
    assert_eq!(streams[0]["codec_name"], "h264");
    let packets = json["packets"].as_array().expect("packets");
    let of = |i: u64| packets.iter().filter(move |p| p["stream_index"] == i);
    for i in 0..streams.len() as u64 {
        let times: Vec<f64> = of(i).map(|p| number(&p["dts_time"])).collect();
        assert!(times.windows(2).all(|w| w[0] < w[1]), "{path:?}: the times of stream {i} do not grow");
    }
    let end = |i| of(i).map(|p| number(&p["pts_time"]) + number(&p["duration_time"])).fold(0.0, f64::max);
    let start = of(0).map(|p| number(&p["pts_time"])).fold(f64::MAX, f64::min);
    Probe {
        video: number(&streams[0]["nb_read_frames"]) as u64,
        audio: streams.get(1).map_or(0, |a| number(&a["nb_read_frames"]) as u64),
        seconds: end(0) - start,
        audio_end: end(1),
    }
}

pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.03
}

/// Small reproducible pseudo-random numbers.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// Runs `f` and returns the levels of what it logged on this thread.
pub fn logged<T>(f: impl FnOnce() -> T) -> (T, Vec<tracing::Level>) {
    struct Levels(Arc<Mutex<Vec<tracing::Level>>>);
    impl tracing::Subscriber for Levels {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target().starts_with("perch_store")
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            self.0.lock().expect("held by one").push(*event.metadata().level());
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
    let levels = Arc::new(Mutex::new(Vec::new()));
    let out = tracing::subscriber::with_default(Levels(levels.clone()), f);
    let levels = levels.lock().expect("held by one").clone();
    (out, levels)
}
