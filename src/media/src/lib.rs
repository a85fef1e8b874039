//! Floor 2: the only GStreamer and the only media sockets: capture, fan-out, RTSP, WebRTC and stills. Only what speaks to
//! C libraries (`init`, `rtsp`) is unsafe.

#[forbid(unsafe_code)]
pub mod capture;
#[forbid(unsafe_code)]
pub mod encoders;
#[forbid(unsafe_code)]
pub mod fanout;
#[forbid(unsafe_code)]
pub mod file_frames;
#[forbid(unsafe_code)]
pub mod gop;
#[forbid(unsafe_code)]
mod h264;
mod init;
#[forbid(unsafe_code)]
pub mod keyframes;
#[forbid(unsafe_code)]
mod luma;
#[forbid(unsafe_code)]
pub mod pipeline;
#[forbid(unsafe_code)]
pub mod rtp;
pub mod rtsp;
#[forbid(unsafe_code)]
pub mod still;
#[forbid(unsafe_code)]
pub mod time;
#[forbid(unsafe_code)]
pub mod webrtc;

pub use init::{has_element, init};
