//! `perch motion FILE`: the box's own detector and event machine over a video file, as fast as it can.

use crate::print::is_heard;
use perch_base::{Error, Result};
use perch_domain::archive::EventKind;
use perch_domain::event::{EventConfig, EventMachine, Output};
use perch_domain::motion::{Detection, Detector, Luma, MotionConfig};
use perch_domain::recording::RecordConfig;
use perch_media::file_frames;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints what the detector says of each analysed frame, then the events.
pub fn run(file: &Path, json: bool, fps: f64, sensitivity: f32) -> Result<ExitCode> {
    if !(0.1..=60.0).contains(&fps) {
        return Err(Error::invalid(format!("--fps {fps}: must be 0.1 to 60")));
    }
    let range = MotionConfig::SENSITIVITY;
    if !range.contains(&f64::from(sensitivity)) {
        return Err(Error::invalid(format!(
            "--sensitivity {sensitivity}: must be {} to {}",
            range.start(),
            range.end()
        )));
    }
    perch_media::init()?;
    let mut detector = Detector::new(MotionConfig { sensitivity, ..MotionConfig::default() });
    let mut machine = EventMachine::new(EventConfig::from(&RecordConfig::default()));
    let mut events = Vec::new();
    let mut open = None;
    let mut take = |output: Output| match output {
        Output::Started { start, .. } => open = Some(start),
        Output::Ended { end, .. } => events.extend(open.take().map(|start| (start, end))),
        Output::Grew { .. } => {}
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for frame in file_frames::frames(file, Some(fps))? {
        let frame = frame?;
        let seen = detector.look(Luma { pixels: &frame.pixels, pts: frame.pts });
        if !is_heard(writeln!(out, "{}", frame_line(frame.index, &seen, json)))? {
            return Ok(ExitCode::SUCCESS);
        }
        machine.handle(&seen).into_iter().for_each(&mut take);
    }
    machine.finish().into_iter().for_each(take);
    for (i, (start, end)) in events.iter().enumerate() {
        let (start_ms, end_ms) = (start.0 / 1000, end.0 / 1000);
        let kind = EventKind::Motion.as_str();
        let line = match json {
            true => serde_json::json!({ "event": i, "start_ms": start_ms, "end_ms": end_ms, "kind": kind }).to_string(),
            false => format!("event {i}: {kind} from {:.1} s to {:.1} s", start_ms as f64 / 1e3, end_ms as f64 / 1e3),
        };
        if !is_heard(writeln!(out, "{line}"))? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    is_heard(out.flush())?;
    Ok(ExitCode::SUCCESS)
}

fn frame_line(index: u64, seen: &Detection, json: bool) -> String {
    let t_ms = seen.pts.0 / 1000;
    if json {
        return serde_json::json!({
            "frame": index, "t_ms": t_ms, "motion": seen.motion, "score": seen.score, "cause": seen.cause, "boxes": seen.boxes,
        })
        .to_string();
    }
    let mark = if seen.motion { "motion" } else { "-" };
    format!("{:8.2} s  {mark:6}  {:5.2} %  {:?}", t_ms as f64 / 1e3, seen.score * 100.0, seen.cause)
}
