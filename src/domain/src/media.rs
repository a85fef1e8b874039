//! What travels through the box: encoded packets and the names of the streams they belong to.

use bytes::Bytes;
use perch_base::time::MonoTime;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which encoding of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Full size, always encoded, recorded.
    Main,
    /// Small, encoded only while somebody uses it.
    Sub,
}

impl Stream {
    /// Both streams.
    pub const ALL: [Stream; 2] = [Stream::Main, Stream::Sub];
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stream::Main => "main",
            Stream::Sub => "sub",
        })
    }
}

/// How video is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// H.264 (constrained baseline from our encoders; whatever an RTSP or UVC camera sends when passed through).
    H264,
    /// H.265, as a camera sends it; the box encodes none.
    H265,
    /// VP8, where a camera's config asks for it. Live over WebRTC and RTSP only; not recorded.
    Vp8,
}

perch_base::all_of!(VideoCodec { H264, H265, Vp8 });

impl VideoCodec {
    /// Whether files hold it.
    pub fn is_recorded(self) -> bool {
        self != Self::Vp8
    }
}

impl VideoCodec {
    /// How the small stream of a camera is encoded whose main stream is encoded like this: by the box, or by the camera as H.264.
    pub fn of_small(self) -> Self {
        if self == Self::Vp8 { Self::Vp8 } else { Self::H264 }
    }
}

/// Which half of a stream a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    /// One H.264 or H.265 access unit (Annex B with four-byte start codes; parameter sets before every keyframe) or one VP8 frame.
    Video,
    /// One Opus packet of [`OPUS_PACKET`], 48 kHz (RFC 6716).
    Audio,
}

/// What an Opus packet of ours lasts, and what one is taken to last whose source does not say.
pub const OPUS_PACKET: Duration = Duration::from_millis(20);

/// One encoded frame. Made once by capture, shared by reference ever after.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Video or audio.
    pub track: Track,
    /// How a picture is encoded; `None` of sound.
    pub codec: Option<VideoCodec>,
    /// The payload as [`Track`] says.
    pub data: Bytes,
    /// When it was captured, on the box's steady clock. Packets travel and are decoded in its order: it grows strictly within a track
    /// between discontinuities.
    pub pts: MonoTime,
    /// How much later than `pts` it is shown. Zero but where pictures travel out of order (B-frames): `pts` is then when it is decoded.
    pub shown_later: Duration,
    /// How long it lasts; zero where the source does not say.
    pub duration: Duration,
    /// Whether decoding can start here. True for every audio packet.
    pub keyframe: bool,
}

impl Packet {
    /// An H.264 access unit that is shown when it is decoded, or an Opus packet, of unknown length.
    pub fn new(track: Track, data: Bytes, pts: MonoTime, keyframe: bool) -> Self {
        let codec = (track == Track::Video).then_some(VideoCodec::H264);
        Self { track, codec, data, pts, shown_later: Duration::ZERO, duration: Duration::ZERO, keyframe }
    }

    /// When it is shown or heard.
    pub fn shown(&self) -> MonoTime {
        self.pts + self.shown_later
    }
}

/// A packet as consumers hold it.
pub type SharedPacket = Arc<Packet>;
