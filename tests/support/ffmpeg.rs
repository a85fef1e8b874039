//! ffmpeg and ffprobe: what players make of what the box sends and writes.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What ffprobe says of a file or stream.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// `codec_type:codec_name` of each stream.
    pub streams: Vec<String>,
    pub width: u64,
    pub height: u64,
    /// Seconds; 0 for live streams.
    pub duration: f64,
    /// Every video packet of a file in the order of the file.
    pub frames: Vec<Frame>,
    /// How many pictures of a file were decoded.
    pub pictures: usize,
    /// What ffprobe complained of.
    pub complaints: String,
}

impl Probe {
    /// Whether there is a stream such as `video:h264`.
    pub fn has(&self, stream: &str) -> bool {
        self.streams.iter().any(|s| s == stream)
    }
}

fn run(program: &str, args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "40", program]).args(args);
    command.output().unwrap_or_else(|e| panic!("{program}: {e}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Probes a file or URL. `Err` is what ffprobe said.
pub fn probe(input: &str, options: &[&str]) -> Result<Probe, String> {
    let mut args = vec!["-v", "error", "-of", "json", "-show_streams", "-show_format"];
    args.extend(options);
    args.push(input);
    let out = run("ffprobe", &args);
    if !out.status.success() {
        return Err(text(&out.stderr));
    }
    let json: Value = serde_json::from_slice(&out.stdout).map_err(|e| e.to_string())?;
    let mut probe = Probe { complaints: text(&out.stderr), ..Probe::default() };
    for stream in json["streams"].as_array().into_iter().flatten() {
        let word = |key: &str| stream[key].as_str().unwrap_or("?").to_owned();
        probe.streams.push(format!("{}:{}", word("codec_type"), word("codec_name")));
        if stream["codec_type"] == "video" {
            probe.width = stream["width"].as_u64().unwrap_or(0);
            probe.height = stream["height"].as_u64().unwrap_or(0);
            probe.pictures = stream["nb_read_frames"].as_str().and_then(|n| n.parse().ok()).unwrap_or(0);
        }
    }
    let packets = json["packets"].as_array().into_iter().flatten();
    probe.frames = packets.filter(|packet| packet["codec_type"] == "video").filter_map(Frame::of).collect();
    probe.duration = json["format"]["duration"].as_str().and_then(|d| d.parse().ok()).unwrap_or(0.0);
    Ok(probe)
}

/// Probes a file and decodes it whole, which must show no fault. One start of ffprobe: loading it takes longer than a short file does.
#[track_caller]
pub fn probe_file(file: &Path) -> Probe {
    let whole = ["-show_packets", "-count_frames"];
    let probe = probe(&file.display().to_string(), &whole).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    assert_eq!(probe.complaints, "", "{}", file.display());
    probe
}

/// Probes a file whose container must show no fault, whatever its pictures hold.
#[track_caller]
pub fn probe_container(file: &Path) -> Probe {
    let name = file.display().to_string();
    let probe = probe(&name, &["-show_packets"]).unwrap_or_else(|e| panic!("{name}: {e}"));
    let of_container = |line: &&str| line.starts_with("[mov,mp4");
    let faults: Vec<_> = probe.complaints.lines().filter(of_container).collect();
    assert!(faults.is_empty(), "{name}: {faults:?}");
    probe
}

/// Every video packet of a file that may break off.
#[track_caller]
pub fn frames(file: &Path) -> Vec<Frame> {
    let probe = probe(&file.display().to_string(), &["-show_packets"]);
    probe.unwrap_or_else(|e| panic!("{}: {e}", file.display())).frames
}

/// Reads an RTSP stream over `tcp` or `udp`.
pub fn probe_rtsp(url: &str, transport: &str) -> Result<Probe, String> {
    probe(url, &["-rtsp_transport", transport, "-analyzeduration", "2000000", "-probesize", "2000000"])
}

/// A frame of a video.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Seconds.
    pub pts: f64,
    /// Seconds that it is shown; 0 where ffprobe finds a rate in the stream that contradicts the file.
    pub lasts: f64,
    /// Its size in the file.
    pub bytes: u64,
    pub keyframe: bool,
}

impl Frame {
    fn of(packet: &Value) -> Option<Self> {
        let seconds = |key: &str| packet[key].as_str()?.parse().ok();
        let keyframe = packet["flags"].as_str()?.starts_with('K');
        let bytes = packet["size"].as_str()?.parse().ok()?;
        Some(Self { pts: seconds("pts_time")?, lasts: seconds("duration_time").unwrap_or(0.0), bytes, keyframe })
    }
}

/// Decodes everything; gives the number of pictures. Panics at the first fault that the decoder reports.
#[track_caller]
pub fn decode(input: &str, options: &[&str]) -> u64 {
    let mut args = vec!["-nostdin", "-v", "error", "-xerror"];
    args.extend(options);
    args.extend(["-i", input, "-map", "0:v:0", "-map", "0:a?", "-f", "null", "-progress", "pipe:1", "-"]);
    let out = run("ffmpeg", &args);
    let (said, faults) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.success() && faults.is_empty(), "{input}: {faults}");
    let last = said.lines().filter_map(|l| l.strip_prefix("frame=")).next_back();
    last.and_then(|n| n.trim().parse().ok()).expect("ffmpeg counts pictures")
}

/// The pictures of a file or stream, at most so many, as grey ones of 160x90.
#[track_caller]
pub fn grey(input: &str, options: &[&str], most: u32) -> Vec<Vec<u8>> {
    let most = most.to_string();
    let mut args = vec!["-nostdin", "-v", "fatal"];
    args.extend(options);
    args.extend(["-i", input, "-map", "0:v:0", "-frames:v", &most, "-vf", "scale=160:90,format=gray"]);
    args.extend(["-f", "rawvideo", "-"]);
    let out = run("ffmpeg", &args);
    assert!(out.status.success(), "{input}: {}", text(&out.stderr));
    out.stdout.chunks_exact(160 * 90).map(<[u8]>::to_vec).collect()
}

/// Makes a clip: a still scene in which a square walks through from second `from` to second `to` of `seconds`.
pub fn walker(file: &Path, seconds: u32, from: u32, to: u32) {
    let walk = format!(
        "[0][1]overlay=x='30+(t-{from})*40':y=60:enable='between(t,{from},{to})',noise=alls=2:allf=t,format=yuv420p"
    );
    let scene = format!("color=c=0x607060:s=320x180:r=15:d={seconds},drawgrid=w=32:h=30:t=1:c=0x405040");
    let square = format!("color=c=0xd0c0b0:s=35x65:r=15:d={seconds}");
    let name = file.display().to_string();
    let out = run(
        "ffmpeg",
        &[
            "-nostdin",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            &scene,
            "-f",
            "lavfi",
            "-i",
            &square,
            "-filter_complex",
            &walk,
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-g",
            "15",
            &name,
        ],
    );
    assert!(out.status.success(), "{}", text(&out.stderr));
}

/// One JPEG picture's width and height. Panics unless it is one that can be decoded.
#[track_caller]
pub fn jpeg_size(bytes: &[u8], dir: &Path) -> (u64, u64) {
    assert!(bytes.starts_with(&[0xFF, 0xD8, 0xFF]), "not a JPEG: {:?}", &bytes[..bytes.len().min(16)]);
    let file = dir.join("picture.jpg");
    std::fs::write(&file, bytes).expect("written");
    let probe = probe_file(&file);
    assert_eq!(probe.pictures, 1);
    (probe.width, probe.height)
}

/// A clip of the shared footage, if that folder is there.
pub fn footage(name: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/footage");
    let file = std::env::var_os("PERCH_FOOTAGE").map_or_else(beside, PathBuf::from).join(name);
    file.is_file().then_some(file)
}
