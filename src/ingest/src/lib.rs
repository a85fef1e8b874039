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

pub use client::Ingest;
