//! Floor 2: the only GStreamer and the only media sockets: capture, fan-out, RTSP, WebRTC, pushes and stills.

pub mod capture;
pub mod devices;
pub mod encoders;
pub mod fanout;
pub mod far_end;
pub mod file_frames;
mod h264;
#[expect(unsafe_code, reason = "the limits of glibc's allocator are set by C calls")]
mod init;
pub mod keyframes;
mod luma;
pub mod parts;
pub mod pipeline;
pub mod player_speech;
mod probes;
pub mod push;
pub mod rtp;
pub mod rtsp;
pub mod speaker;
pub mod still;
pub mod time;
pub mod webrtc;

pub use init::{has_element, init};
