//! Odd network cameras as people own them: RTSP servers on loopback that do what real firmware does, each with what is right for
//! the box that watches it. A test walks over [`ALL`] and holds what it sees against [`Right`]; `cargo run -p perch-test-cameras --
//! NAME PORT` serves one for a player.
//!
//! A camera is a [`Model`]: lines of SDP, [`Manners`] (how it answers) and a [`Feed`], the packets it would send with the time of
//! each. A feed needs neither socket nor clock: a test of depacketizers takes it directly, hours of it in a second.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "ffmpeg makes the pictures and sound, and is the yardstick: a process each"
)]
#![allow(clippy::print_stdout, reason = "a test's output, and the command's")]

pub mod base64;
pub mod bits;
mod case;
mod cases;
pub mod feed;
pub mod media;
mod model;
pub mod onvif;
pub mod random;
pub mod rtp;
mod server;
pub mod yardstick;

pub use case::{Case, Codec, Kind, Right, RightSound, find};
pub use cases::ALL;
pub use feed::{Event, Feed, Start, Timed};
pub use media::Absent;
pub use model::{
    ContentBase, Crowd, Cseq, KeepAlive, Line, Manners, Model, Nonces, Place, Redirect, Scheme, SignIn, Tls, Transports,
};
pub use server::{Camera, Counts};
