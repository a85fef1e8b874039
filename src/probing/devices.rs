//! What is said of cameras that are plugged in, and of files: judged for `perch check` and for whoever adds one.

use perch_base::Error;
use perch_domain::camera::CameraConfig;
use perch_domain::camera_modes::offers;
use perch_domain::media::Stream;
use perch_domain::probe::{Judgement, Weight};
use perch_domain::usb_camera::{Holder, VideoName, check_sensor};
use perch_media::devices::{Machine, sensors};
use std::path::Path;

/// The name of the program that a running box is.
const OWN: &str = "perch";

/// Whether a running box holds the device itself.
pub fn is_own(holder: Option<&Holder>) -> bool {
    matches!(holder, Some(Holder::Box)) || matches!(holder, Some(Holder::Program(name, _)) if name == OWN)
}

/// An error as what is wrong and how to repair it: its sentence says both.
pub fn halves(error: &Error) -> (String, String) {
    match error.message().split_once(": ") {
        Some((what, fix)) => (what.to_owned(), fix.to_owned()),
        None => (error.message().to_owned(), "see which cameras are plugged in".to_owned()),
    }
}

/// A sentence about a camera of one stream.
pub fn say(weight: Weight, what: impl Into<String>, change: impl Into<String>) -> Judgement {
    Judgement { weight, stream: Stream::Main, what: what.into(), change: change.into() }
}

/// An error as what is said of a camera.
pub fn bad(error: &Error) -> Judgement {
    let (what, change) = halves(error);
    say(Weight::Bad, what, change)
}

/// A V4L2 camera, and what it offers. May block for as long as its driver likes.
pub fn usb_camera(machine: &Machine, c: &CameraConfig, device: &VideoName) -> (Vec<Judgement>, Option<String>) {
    let camera = match machine.camera(device) {
        Ok(camera) => camera,
        Err(e) => return (vec![bad(&e)], None),
    };
    let modes = Some(offers(&camera.described.modes));
    let choice = match camera.choose(c) {
        Ok(choice) => choice,
        Err(e) => return (vec![bad(&e)], modes),
    };
    let holder = camera.described.is_busy.then(|| machine.holder(&camera.node).unwrap_or(Holder::Unseen));
    let card = &camera.described.card;
    let mut said = vec![match &holder {
        Some(holder) if !is_own(Some(holder)) => say(Weight::Bad, holder.what(), holder.fix()),
        Some(_) => say(Weight::Good, format!("{card}, which the running box uses"), ""),
        None => say(Weight::Good, format!("{card}, taken as {}", choice.caps()), ""),
    }];
    if let Some(note) = &choice.note {
        said.push(say(Weight::Odd, note.what.as_str(), note.offers.as_str()));
    }
    (said, modes)
}

/// A libcamera camera. May block.
pub fn sensor(id: Option<&str>) -> Judgement {
    match check_sensor(id, sensors().as_deref()) {
        Ok(()) => say(Weight::Good, "the camera is there", ""),
        Err(e) => bad(&e),
    }
}

/// A file that is played as a camera. Blocks.
pub fn file(path: &Path) -> Judgement {
    match path.is_file() {
        true => say(Weight::Good, "the file is there; it is played over and over", ""),
        false => say(Weight::Bad, "there is no such file", "correct `source` or put the file there"),
    }
}
