//! The file or device of an attempt: is it there, and how does a V4L2 camera send its pictures best? FloorAnswer before a pipeline is built, and
//! once more when it failed.

use super::settings::Settings;
use crate::devices::{pipeline_file, sensors};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::camera::Source;
use perch_domain::camera_modes::Pixels;
use perch_domain::usb_camera::{VideoName, check_sensor};
use std::path::Path;

/// Errors with [`ErrorKind::NotFound`] where `path` is missing, with [`ErrorKind::Invalid`] where it is no file.
pub(super) fn file(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(m) if m.is_file() => Ok(()),
        Ok(_) => Err(Error::invalid(format!("{} is not a file", path.display()))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::new(
            ErrorKind::NotFound,
            format!("{} is not there: see whether the path is right", path.display()),
        )),
        Err(e) => {
            let message = format!("{} cannot be read: see whether perch may", path.display());
            Err(Error::new(ErrorKind::Unavailable, message).with_source(e))
        }
    }
}

/// A V4L2 camera as an attempt takes it.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Its node.
    pub device: String,
    /// The pipeline file.
    pub file: &'static str,
    /// What to ask the driver for.
    pub caps: String,
    /// Whether its pictures are passed through.
    pub passed: bool,
    /// What people should know of the mode.
    pub note: Option<String>,
}

/// The V4L2 camera `name` and its best mode: its own H.264 where it has some, raw where that is fast enough, else Motion JPEG. Opens the
/// device and closes it again.
pub(super) fn v4l2(settings: &Settings, name: &VideoName) -> Result<Taken> {
    let config = &settings.config;
    let camera = settings.machine.camera(name)?;
    let choice = camera.choose(config)?;
    if let Some(holder) = camera.described.is_busy.then(|| settings.machine.holder(&camera.node)).flatten() {
        return Err(Error::new(ErrorKind::Conflict, format!("the camera {name} {holder}")));
    }
    Ok(Taken {
        device: camera.node.path(),
        file: pipeline_file(choice.pixels),
        caps: choice.caps(),
        passed: choice.pixels == Pixels::H264,
        note: choice.note.map(|note| note.to_string()),
    })
}

/// Why an attempt failed with `error`, where the machine knows better. Blocks for as long as a driver likes.
pub(super) fn why_lost(settings: &Settings, error: Error) -> Error {
    match &settings.config.source {
        Source::V4l2(name) => settings.machine.why_lost(name, error),
        Source::Libcamera(id) => match check_sensor(id.as_deref(), sensors().as_deref()) {
            Ok(()) => error,
            Err(why) => why.with_source(error),
        },
        Source::Test | Source::File(_) | Source::Rtsp(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said() {
        let e = file(Path::new("/nonexistent/x.mp4")).expect_err("missing");
        assert_eq!(
            (e.kind(), e.message()),
            (ErrorKind::NotFound, "/nonexistent/x.mp4 is not there: see whether the path is right")
        );
        assert_eq!(file(Path::new("/")).expect_err("a folder").kind(), ErrorKind::Invalid);
    }
}
