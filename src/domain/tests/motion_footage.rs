//! The motion detector against real footage with ground truth: a table of recall and false alarms for each clip, and floors
//! it must not fall below. The footage lies beside the repository (or where `PERCH_FOOTAGE` says), not in it; without it, or without
//! ffmpeg, this skips.

#![allow(clippy::disallowed_methods, reason = "the daemon starts no process; this test has footage decoded by one")]

use perch_base::time::MonoTime;
use perch_domain::motion::{Cause, Detector, LUMA_HEIGHT, LUMA_WIDTH, Luma, MotionConfig, Polygon};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Pictures a second that the detector sees.
const RATE: usize = 5;
/// The start of a clip that is not judged, seconds.
const WARM_UP_S: usize = 3;

/// A clip and what must be reached on it, in percent.
struct Clip {
    name: &'static str,
    fps: usize,
    /// Left, top, width, height in parts of the picture.
    zone: Option<[f32; 4]>,
    least_recall: f32,
    most_false: f32,
}

const fn clip(name: &'static str, fps: usize, least_recall: f32, most_false: f32) -> Clip {
    Clip { name, fps, zone: None, least_recall, most_false }
}

const CLIPS: [Clip; 6] = [
    clip("intel_person", 10, 97.0, 3.0),
    clip("cd_office", 25, 98.0, 2.0),
    clip("cd_fall", 25, 90.0, 15.0),
    clip("dvr_brightness_pp", 12, 0.0, 5.0),
    // The truth of this clip is coarse: most frames it calls motion have nothing inside the zone.
    Clip {
        zone: Some([631.0 / 1280.0, 532.0 / 720.0, 210.0 / 1280.0, 127.0 / 720.0]),
        ..clip("dvr_traffic", 25, 25.0, 5.0)
    },
    clip("vtest", 10, 0.0, 100.0),
];

/// One picture that was looked at.
struct Seen {
    frame: usize,
    motion: bool,
    cause: Cause,
}

#[derive(Default)]
struct Score {
    moving: usize,
    found: usize,
    quiet: usize,
    alarms: usize,
}

impl Score {
    fn recall(&self) -> f32 {
        100.0 * self.found as f32 / self.moving.max(1) as f32
    }

    fn false_rate(&self) -> f32 {
        100.0 * self.alarms as f32 / self.quiet.max(1) as f32
    }
}

#[test]
fn detector_keeps_its_recall_and_false_alarms_on_real_footage() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/footage");
    let footage = std::env::var_os("PERCH_FOOTAGE").map_or_else(beside, PathBuf::from);
    if !footage.is_dir() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no footage at {}", footage.display());
        return;
    }
    if Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: ffmpeg is not installed");
        return;
    }
    println!("{:18} {:>7} {:>7} {:>13} {:>8}", "clip", "R %", "FPR %", "fired/looked", "ms");
    let mut failures = Vec::new();
    for clip in &CLIPS {
        let video = footage.join(format!("{}.mp4", clip.name));
        if !video.is_file() {
            let _ = writeln!(std::io::stderr(), "SKIPPED: {} is missing", video.display());
            continue;
        }
        let (seen, spent) = look_at(clip, &video);
        let truth = labels(&footage.join(format!("{}.gt.tsv", clip.name)));
        let score = judge(clip, &seen, &truth);
        let fired = seen.iter().filter(|s| s.motion).count();
        println!(
            "{:18} {:>7} {:>7} {:>13} {:>8.3}",
            clip.name,
            if score.moving > 0 { format!("{:.1}", score.recall()) } else { "-".into() },
            if score.quiet > 0 { format!("{:.1}", score.false_rate()) } else { "-".into() },
            format!("{fired}/{}", seen.len()),
            spent.as_secs_f64() * 1e3 / seen.len() as f64,
        );
        if score.moving > 0 && score.recall() < clip.least_recall {
            failures.push(format!("{}: recall {:.1}, floor {}", clip.name, score.recall(), clip.least_recall));
        }
        if score.quiet > 0 && score.false_rate() > clip.most_false {
            failures.push(format!("{}: false alarms {:.1}, limit {}", clip.name, score.false_rate(), clip.most_false));
        }
        match clip.name {
            "intel_person" => {
                let visits = spans(clip, &seen);
                println!("  visits (s): {visits:.1?}");
                if visits.len() != 6 {
                    failures.push(format!("{}: {} visits distinguished, 6 took place", clip.name, visits.len()));
                }
            }
            "vtest" if fired * 10 < seen.len() * 9 => failures.push("vtest: people walk all along".into()),
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Decodes a clip to small grey pictures, shows every (fps / RATE)th to a detector, and measures the time that took.
fn look_at(clip: &Clip, video: &Path) -> (Vec<Seen>, Duration) {
    let zones = clip.zone.map(|[x, y, w, h]| Polygon::new(vec![(x, y), (x + w, y), (x + w, y + h), (x, y + h)]));
    let zones = zones.into_iter().map(|z| z.expect("four corners inside the picture")).collect();
    let mut detector = Detector::new(MotionConfig { zones, fps: RATE as u32, ..MotionConfig::default() });
    let filter = format!("scale={LUMA_WIDTH}:{LUMA_HEIGHT}:flags=area,format=gray");
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(video)
        .args(["-vf", &filter, "-vsync", "passthrough", "-f", "rawvideo", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg starts");
    let mut pictures = ffmpeg.stdout.take().expect("its output is piped");
    let (mut seen, mut spent) = (Vec::new(), Duration::ZERO);
    let mut pixels = vec![0; LUMA_WIDTH * LUMA_HEIGHT];
    let mut frame = 0;
    while pictures.read_exact(&mut pixels).is_ok() {
        if frame == seen.len() * clip.fps / RATE {
            let pts = MonoTime((frame * 1_000_000 / clip.fps) as i64);
            let start = Instant::now();
            let d = detector.look(Luma { pixels: &pixels, pts });
            spent += start.elapsed();
            seen.push(Seen { frame, motion: d.motion, cause: d.cause });
        }
        frame += 1;
    }
    assert!(ffmpeg.wait().expect("ffmpeg ends").success() && frame > 0, "{} was not decoded", clip.name);
    assert_eq!(seen[0].cause, Cause::Learning);
    (seen, spent)
}

/// The label of each frame: the last column. None where there is no truth.
fn labels(path: &PathBuf) -> Vec<char> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().skip(1).filter_map(|l| l.rsplit('\t').next()?.chars().next()).collect()
}

/// A frame with motion counts as found when the detector fired on it or on the sample before or after it; every sample
/// of a quiet frame on which it fired is a false alarm.
fn judge(clip: &Clip, seen: &[Seen], truth: &[char]) -> Score {
    let mut score = Score::default();
    for (i, s) in seen.iter().enumerate().filter(|(_, s)| s.frame >= WARM_UP_S * clip.fps) {
        match truth.get(s.frame) {
            Some('P') => {
                let around = &seen[i.saturating_sub(1)..(i + 2).min(seen.len())];
                score.moving += 1;
                score.found += usize::from(around.iter().any(|s| s.motion));
            }
            Some('N') => {
                score.quiet += 1;
                score.alarms += usize::from(s.motion);
            }
            _ => {}
        }
    }
    score
}

/// Spans of motion in seconds, joined over gaps of up to 1 s.
fn spans(clip: &Clip, seen: &[Seen]) -> Vec<(f32, f32)> {
    let mut spans: Vec<(f32, f32)> = Vec::new();
    for s in seen.iter().filter(|s| s.motion) {
        let t = s.frame as f32 / clip.fps as f32;
        match spans.last_mut() {
            Some((_, end)) if t - *end <= 1.0 => *end = t,
            _ => spans.push((t, t)),
        }
    }
    spans
}
