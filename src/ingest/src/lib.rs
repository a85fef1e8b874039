//! Floor 2: network cameras. The only RTSP client: from a camera's URL to access units with times on the box's steady clock. `wire`,
//! `session` and `rtp` are machines without a clock or a socket; `client` is the shell that has both.

#![forbid(unsafe_code)]

mod client;
#[cfg(feature = "fuzzing")]
pub mod dry;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod rtp;
mod session;
mod wire;

pub use client::{Ingest, knock, secured};

/// Host and port that a session with the camera of this address connects to. Errors with `Invalid` and a sentence that holds nothing of it.
pub fn place_of(url: &str) -> perch_base::Result<(String, u16)> {
    let url = wire::url::CameraUrl::parse(url)?;
    let port = url.rtsp_port();
    Ok((url.host, port))
}
