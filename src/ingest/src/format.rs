//! A line of a camera's SDP, read leniently: what `wire::sdp` finds there and `rtp` makes units of.

/// What a line carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// `m=video`.
    Video,
    /// `m=audio`.
    Audio,
    /// All else (`application`, makers' own).
    Other,
}

/// Which way packets go, seen from the camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the camera to the box, also where nothing is said.
    #[default]
    FromCamera,
    /// To the camera's loudspeaker (`a=sendonly`: what the *client* does, ONVIF streaming 5.3).
    ToCamera,
    /// `a=inactive`.
    Neither,
}

/// One payload type of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadType {
    /// Its number in RTP packets, 0 to 127.
    pub number: u8,
    /// The encoding's name in capitals (`H264`, `MPEG4-GENERIC`); from RFC 3551's table where the line has none.
    pub encoding: String,
    /// Ticks a second of its RTP time stamps, at least 1.
    pub clock_hz: u32,
    /// Channels of sound, at least 1.
    pub channels: u16,
    /// Parameters of `a=fmtp`, their names in small letters, in order.
    pub parameters: Vec<(String, String)>,
}

impl PayloadType {
    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// One `m=` line.
#[derive(Clone, Debug, PartialEq)]
pub struct SdpLine {
    /// What it carries.
    pub kind: LineKind,
    /// Which way.
    pub direction: Direction,
    /// Its payload types, as it lists them; never empty for a line that is taken.
    pub payload_types: Vec<PayloadType>,
    /// `a=control`, as it stands there.
    pub control: Option<String>,
    /// `a=framerate`, pictures a second, where it is a sane number.
    pub frame_rate: Option<f32>,
}
