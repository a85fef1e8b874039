//! All cases, a file a kind of oddity.

mod gops;
mod h265;
mod hostile;
mod jpeg;
mod pictures;
mod sdp;
mod sessions;
mod sign_in;
mod sound;
mod stamps;
mod transport;
mod units;

use crate::case::{Case, Kind, Right};
use crate::media::{self, Absent};
use crate::model::Model;

const PLAIN: &[Case] = &[
    Case::new("norm", Kind::Plain, Right::NORMAL, "640x360, 25 pictures a second, a keyframe each two seconds", norm),
    Case::new(
        "heavy",
        Kind::Plain,
        Right::h264(25.0, (1920, 1080)),
        "4 Mbit/s at 1920x1080 with sound, for measurements",
        || {
            let line = crate::model::Line::sound(8, Some("PCMA/8000"), None);
            Ok(Model::pictures(media::heavy()?, 25.0).with_sound(line, media::pcm("alaw", 8000)?))
        },
    ),
];

/// All cases.
pub const ALL: &[&[Case]] = &[
    PLAIN,
    units::CASES,
    units::SETS,
    gops::CASES,
    pictures::CASES,
    h265::CASES,
    jpeg::CASES,
    sound::CASES,
    transport::CASES,
    transport::TLS,
    sign_in::CASES,
    sessions::CASES,
    sdp::CASES,
    stamps::CASES,
    hostile::CASES,
];

/// The normal camera.
fn norm() -> Result<Model, Absent> {
    Ok(Model::pictures(media::camera()?, 25.0))
}
