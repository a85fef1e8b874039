//! `perch-test-cameras --list`; `NAME PORT` serves a camera and prints what it is asked; `onvif` serves one that is found by a search, tells its
//! two streams to `admin` with the password `pass`, and prints its address; `table [--seconds N] [--at-once N]
//! [NAME...]` prints what ffmpeg makes of all cases, or of these.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the command's output")]

use perch_test_cameras::onvif::{OnvifCamera, OnvifModel, OnvifStream};
use perch_test_cameras::{ALL, Camera, Case, find, yardstick};
use std::process::ExitCode;

const USAGE: &str = "usage: perch-test-cameras --list | NAME PORT | onvif | table [--client ffmpeg] [--seconds N] [--at-once N] [NAME...]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--list"] => {
            for case in ALL.iter().copied().flatten() {
                println!("{:16} {:10} {:10} {}", case.name, format!("{:?}", case.kind), case.transport, case.about);
            }
            Ok(())
        }
        ["table", rest @ ..] => table(rest),
        ["onvif"] => onvif(),
        [name, port] => serve(name, port),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn known(name: &str) -> Result<&'static Case, String> {
    find(name).ok_or_else(|| format!("there is no case {name}; --list names them"))
}

fn serve(name: &str, port: &str) -> Result<(), String> {
    let model = (known(name)?.model)().map_err(|e| e.to_string())?;
    let port = port.parse().map_err(|_| format!("{port} is no port"))?;
    let camera = Camera::with_log(model, port, true).map_err(|e| format!("port {port}: {e}"))?;
    println!("{}", camera.url());
    camera.serve();
    Ok(())
}

fn onvif() -> Result<(), String> {
    let failed = |e: std::io::Error| e.to_string();
    let mut model = (known("md5")?.model)().map_err(|e| e.to_string())?;
    model.manners.only_paths = &["/large", "/small"];
    let camera = Camera::of(model, 0).map_err(failed)?;
    let stream = |size, path: &str| OnvifStream {
        sight: "v0",
        encoding: "H264",
        size,
        address: format!("rtsp://127.0.0.1:{}/{path}", camera.port()),
    };
    let streams = vec![stream((1920, 1080), "large"), stream((640, 360), "small")];
    let device = OnvifCamera::start(OnvifModel { is_found: true, ..OnvifModel::new(streams) }).map_err(failed)?;
    println!("{}", device.url());
    camera.serve();
    Ok(())
}

fn table(rest: &[&str]) -> Result<(), String> {
    let (mut seconds, mut at_once, mut cases, mut rest) = (6, 2, Vec::new(), rest.iter());
    let number = |word: Option<&&str>| word.and_then(|w| w.parse::<usize>().ok()).ok_or(USAGE);
    while let Some(word) = rest.next() {
        match *word {
            "--client" if rest.next() == Some(&"ffmpeg") => {}
            "--seconds" => seconds = number(rest.next())?,
            "--at-once" => at_once = number(rest.next())?,
            name => cases.push(known(name)?),
        }
    }
    if cases.is_empty() {
        cases = ALL.iter().copied().flatten().collect();
    }
    print!("{}", yardstick::table(&cases, yardstick::Span::seconds(seconds as u64), at_once));
    Ok(())
}
