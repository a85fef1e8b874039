//! What a case is, and what is right for it.

use crate::media::Absent;
use crate::model::Model;

/// Why a camera is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Not odd at all.
    Plain,
    /// Access units, packets and what lies between them.
    Units,
    /// Parameter sets.
    Sets,
    /// Keyframes: rare, many, or none.
    Gops,
    /// Shape, scan, order and pace of pictures.
    Pictures,
    /// H.265.
    H265,
    /// Motion JPEG.
    Jpeg,
    /// Sound.
    Sound,
    /// How packets travel.
    Transport,
    /// TLS.
    Tls,
    /// Sign-in.
    SignIn,
    /// Sessions, keep-alives, odd answers.
    Session,
    /// SDP, addresses, RTP-Info.
    Sdp,
    /// Time stamps and reports.
    Stamps,
    /// A camera that lies, or wants to do harm.
    Hostile,
}

/// A picture's encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// Motion JPEG.
    Jpeg,
    /// One that the product says it does not take.
    Other,
}

/// The sound that should be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RightSound {
    /// `pcma`, `pcmu`, `g722`, `g726`, `l16`, `aac`, `mpa`, `opus`.
    pub codec: &'static str,
    /// Samples a second.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u16,
}

/// What is right: what a viewer sees and hears, or is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Right {
    /// Pictures a second while the camera sends, averaged over the case's own period; 0: none, or nobody can say.
    pub pictures_a_second: f64,
    /// Their encoding.
    pub codec: Codec,
    /// Width and height in pixels, cropped; of the first pictures where it changes.
    pub size: (u32, u32),
    /// Width and height of a pixel, where the camera says.
    pub pixel: (u32, u32),
    /// Quarter turns clockwise by which a picture is turned to be seen; `size` and `pixel` are those before.
    pub quarters: u8,
    /// The sound, where some is heard.
    pub sound: Option<RightSound>,
    /// Whether ffmpeg 5.1 and newer plays it: pictures are decoded within six seconds.
    pub plays_in_ffmpeg: bool,
    /// A word that the sentence for people holds, where something cannot be had.
    pub sentence: Option<&'static str>,
}

impl Right {
    /// H.264 of this size, at this rate, that ffmpeg plays.
    pub const fn h264(pictures_a_second: f64, size: (u32, u32)) -> Self {
        let (pixel, sound, sentence) = ((1, 1), None, None);
        let codec = Codec::H264;
        Self { pictures_a_second, codec, size, pixel, quarters: 0, sound, plays_in_ffmpeg: true, sentence }
    }

    /// As a normal camera: 640x360, 25 a second.
    pub const NORMAL: Self = Self::h264(25.0, (640, 360));

    /// No picture; a sentence with `word` in it.
    pub const fn none(word: &'static str) -> Self {
        let size = (0, 0);
        Self { pictures_a_second: 0.0, size, plays_in_ffmpeg: false, sentence: Some(word), ..Self::NORMAL }
    }

    /// With sound.
    pub const fn with_sound(self, codec: &'static str, rate_hz: u32, channels: u16) -> Self {
        Self { sound: Some(RightSound { codec, rate_hz, channels }), ..self }
    }

    /// With a sentence.
    pub const fn with_sentence(self, word: &'static str) -> Self {
        Self { sentence: Some(word), ..self }
    }

    /// Of another encoding.
    pub const fn coded(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// ffmpeg does not play it, though it can be played.
    pub const fn beyond_ffmpeg(self) -> Self {
        Self { plays_in_ffmpeg: false, ..self }
    }
}

/// One odd camera.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Why it is odd.
    pub kind: Kind,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// What is right for it.
    pub right: Right,
    /// `transport` as the box's config has it: `auto`, `tcp`, `udp`, `multicast`, `http`.
    pub transport: &'static str,
    /// The camera; an error where this machine cannot make its pictures.
    pub model: fn() -> Result<Model, Absent>,
}

impl Case {
    /// A case for `transport = "auto"`.
    pub const fn new(
        name: &'static str,
        kind: Kind,
        right: Right,
        about: &'static str,
        model: fn() -> Result<Model, Absent>,
    ) -> Self {
        Self { name, kind, about, right, transport: "auto", model }
    }

    /// For another transport.
    pub const fn by(self, transport: &'static str) -> Self {
        Self { transport, ..self }
    }
}

/// The case of that name.
pub fn find(name: &str) -> Option<&'static Case> {
    crate::cases::ALL.iter().copied().flatten().find(|case| case.name == name)
}
