//! What ffmpeg makes of each camera: the yardstick for what the box should play.

use crate::case::Case;
use crate::server::Camera;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a client made of a camera.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// Pictures decoded.
    pub pictures: usize,
    /// Frames of sound decoded.
    pub sounds: usize,
    /// What it said last, in a line.
    pub said: String,
}

/// How long a client has on a machine that does other things until it asks the camera for anything.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// How long a client plays.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From its first connection on, at most.
    pub longest: Duration,
    /// It ends before when so many pictures came.
    pub enough: usize,
}

impl Span {
    /// So many seconds, whatever comes.
    pub const fn seconds(seconds: u64) -> Self {
        Self { longest: Duration::from_secs(seconds), enough: usize::MAX }
    }
}

/// Lets ffmpeg play a camera: as it does by itself but TCP first; where no picture comes, without sound; then UDP first.
pub fn ffmpeg(camera: &Camera, transport: &str, span: Span) -> std::io::Result<Played> {
    let first: &[&str] = match transport {
        "multicast" => &["-rtsp_transport", "udp_multicast"],
        "http" => &["-rtsp_transport", "http"],
        "udp" => &["-rtsp_transport", "udp"],
        _ => &["-rtsp_flags", "prefer_tcp"],
    };
    let mut played = attempt(camera, first, true, span)?;
    for how in [first, &[]] {
        if played.pictures == 0 {
            played = Played { said: played.said, ..attempt(camera, how, false, span)? };
        }
    }
    Ok(played)
}

fn attempt(camera: &Camera, how: &[&str], with_sound: bool, span: Span) -> std::io::Result<Played> {
    let (url, connections) = (camera.url(), camera.counts().connections);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-analyzeduration", "1000000", "-timeout", "6000000"]).args(how);
    command.args(["-i", &url, "-map", "0:v:0?"]).args(if with_sound { &["-map", "0:a:0?"][..] } else { &[] });
    command.args(["-fps_mode", "passthrough", "-flush_packets", "1"]);
    // A line a frame, with the number of its stream first.
    command.args(["-f", "framecrc", "-"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, begun) = (command.spawn()?, Instant::now());
    let (out, errors) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let counted = Arc::new(Mutex::new((None::<String>, [0usize; 2])));
    let counting = counted.clone();
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let mut counted = counting.lock().expect("nobody panics with it");
            if let Some(kind) = line.strip_prefix("#media_type 0: ") {
                counted.0 = Some(kind.to_owned());
            } else if !line.starts_with('#') {
                counted.1[usize::from(!line.starts_with("0,"))] += 1;
            }
        }
    });
    let complaining = std::thread::spawn(move || {
        // Not more than anybody reads; what comes after is passed over.
        let (mut kept, mut errors) = (Vec::new(), errors);
        let _ = errors.by_ref().take(20_000).read_to_end(&mut kept);
        let _ = std::io::copy(&mut errors, &mut std::io::sink());
        kept
    });
    let mut connected = None;
    while child.try_wait()?.is_none() {
        if connected.is_none() && camera.counts().connections > connections {
            connected = Some(Instant::now());
        }
        let is_over = match connected {
            Some(at) => at.elapsed() > span.longest,
            None => begun.elapsed() > STARTED_WITHIN,
        };
        if is_over || counted.lock().expect("nobody panics with it").1[0] >= span.enough {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    let _ = reading.join();
    let kept = complaining.join().unwrap_or_default();
    let said = String::from_utf8_lossy(&kept);
    let said = said.lines().map(without_address).rfind(|l| !l.is_empty()).unwrap_or_default();
    let (first, [first_frames, second_frames]) = counted.lock().expect("nobody panics with it").clone();
    let (pictures, sounds) =
        if first.as_deref() == Some("audio") { (0, first_frames) } else { (first_frames, second_frames) };
    Ok(Played { pictures, sounds, said })
}

/// `[rtsp @ 0x55d4]` says nothing to people.
fn without_address(line: &str) -> String {
    let line = match (line.split_once(" @ 0x"), line.split_once("] ")) {
        (Some((before, _)), Some((_, after))) => format!("{}: {after}", before.trim_start_matches('[')),
        _ => line.to_owned(),
    };
    line.replace('|', "/").chars().take(110).collect()
}

/// A Markdown table of what ffmpeg makes of cases, `at_once` of them at a time.
pub fn table(cases: &[&Case], span: Span, at_once: usize) -> String {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(vec![String::new(); cases.len()]));
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                while let Some((at, case)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, cases.get(at)?)))
                {
                    let row = row(case, span);
                    rows.lock().expect("nobody panics with it")[at] = row;
                }
            });
        }
    });
    let head = format!(
        "| case | kind | right: pictures a second | ffmpeg: pictures in {} s | right: sound | ffmpeg: sound | as expected | ffmpeg's last word |\n\
         | --- | --- | ---: | ---: | --- | ---: | --- | --- |\n",
        span.longest.as_secs()
    );
    head + &rows.into_inner().expect("nobody panics with it").concat()
}

/// A row of that table.
pub fn row(case: &Case, span: Span) -> String {
    let right = &case.right;
    let sound = right.sound.map_or("-".to_owned(), |s| format!("{} {}/{}", s.codec, s.rate_hz, s.channels));
    let mut row = format!("| {} | {:?} | {} ", case.name, case.kind, right.pictures_a_second);
    let played = Camera::start(case)
        .map_err(|e| e.to_string())
        .and_then(|camera| ffmpeg(&camera, case.transport, span).map_err(|e| format!("ffmpeg: {e}")));
    let _ = match played {
        Ok(played) => {
            let fits = (played.pictures > 0) == right.plays_in_ffmpeg;
            let fits = if fits { "yes" } else { "**no**" };
            writeln!(row, "| {} | {sound} | {} | {fits} | {} |", played.pictures, played.sounds, played.said)
        }
        Err(absent) => writeln!(row, "| | {sound} | | skipped | {absent} |"),
    };
    row
}
