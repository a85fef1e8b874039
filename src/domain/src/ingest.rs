//! A network camera as the box takes it in: what is asked of it, what it offers, and what comes of it. `ingest` implements
//! [`IngestPort`], `media` publishes what comes; the two meet here.

use crate::orientation::Orientation;
use crate::ports::Later;
use bytes::Bytes;
use perch_base::secret::Secret;
use perch_base::shutdown::Shutdown;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::time::Duration;

/// How packets travel from the camera to the box.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// In the RTSP connection; by UDP where the camera refuses that (461, 406, 400 to SETUP).
    #[default]
    Auto,
    /// In the RTSP connection only (RFC 2326 10.12).
    Tcp,
    /// UDP to two ports of the box a track.
    Udp,
    /// A multicast group that the camera names.
    Multicast,
    /// RTSP in two HTTP connections, as QuickTime began it.
    Http,
}

/// Whom an `rtsps` camera must prove to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TlsTrust {
    /// The same certificate as at the first connection, whatever it says: cameras sign their own ([`KnownCertificates`]).
    #[default]
    FirstSeen,
    /// A certificate with this SHA-256 of its DER.
    Pinned([u8; 32]),
    /// One that a CA of this PEM file signed, for the host's name.
    Authority(PathBuf),
}

/// One session with a camera.
#[derive(Clone, Debug)]
pub struct IngestRequest {
    /// `rtsp://` or `rtsps://`, with user and password.
    pub url: Secret,
    /// How packets travel.
    pub transport: Transport,
    /// Whom to trust where it is `rtsps`.
    pub trust: TlsTrust,
    /// Whether its sound is asked for at all.
    pub sound: bool,
}

/// How a camera encodes its pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PictureCodec {
    /// H.264, as Annex B.
    H264,
    /// H.265, as Annex B.
    H265,
    /// Each picture a whole JPEG file (JFIF).
    Jpeg,
}

/// How a camera encodes its sound, with what a decoder must know beside the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SoundCodec {
    /// Opus packets (RFC 7587), 48 kHz.
    Opus,
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722: 16 kHz sound on an RTP clock of 8 kHz (RFC 3551 4.5.2).
    G722,
    /// G.726, of 2 to 5 bits a sample.
    G726 {
        /// Bits a sample.
        bits: u8,
        /// Whether the first sample of an octet stands in its high bits (ITU-T I.366.2, `AAL2-G726`), or in its low bits (RFC 3551).
        high_first: bool,
    },
    /// Linear, signed, big-endian.
    L16,
    /// AAC access units without ADTS headers.
    Aac {
        /// AudioSpecificConfig (ISO 14496-3 1.6.2.1).
        config: Bytes,
    },
    /// Frames of MPEG audio (ISO/IEC 11172-3), each with its header.
    MpegAudio {
        /// 1 to 3.
        layer: u8,
    },
    /// What cannot be decoded, by the name the camera gives it: letters and digits, at most 32.
    Other(String),
}

/// The sound of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundFormat {
    /// The codec.
    pub codec: SoundCodec,
    /// Samples a second.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u16,
}

/// Size and shape of a camera's pictures, as its parameter sets say; all from outside, checked to be at least 1 and at most 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels of a row, cropped.
    pub width: u32,
    /// Rows, cropped.
    pub height: u32,
    /// Width and height of a pixel (sample aspect ratio); 1:1 where nothing is said.
    pub pixel: (u32, u32),
    /// Whether pictures may hold two fields of different moments.
    pub interlaced: bool,
    /// How they are turned to be seen; width, height and pixel are those before.
    pub orientation: Orientation,
}

/// What a camera offers, once it has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// How its pictures are encoded.
    pub pictures: PictureCodec,
    /// Its sound, where it was asked for and there is one.
    pub sound: Option<SoundFormat>,
    /// Why there is none although the camera announces some; a sentence without a full stop.
    pub no_sound: Option<String>,
}

/// One picture: an access unit with at least one slice (H.264, H.265), or a JPEG file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Annex B with four-byte start codes, before each start all parameter sets that its slices name, and how it is turned where it is; or
    /// JFIF.
    pub data: Bytes,
    /// When it is shown, on the box's steady clock.
    pub shown: MonoTime,
    /// When it is decoded: grows strictly; `shown` but where pictures travel out of order (B-frames), never after it.
    pub decoded: MonoTime,
    /// Whether decoding can begin here: an instantaneous refresh, or a recovery point (H.264 D.2.8) where the camera sends no other.
    pub start: bool,
    /// Whether time jumped or another source began: nobody knows whether what was decoded so far leads to it.
    pub break_before: bool,
    /// Whether pictures before it were lost on the way. It refers to them or not: a decoder makes do with what it has.
    pub lost_before: bool,
    /// Its shape where it is known and differs from the picture's before.
    pub shape: Option<Shape>,
}

/// Some sound: one Opus packet, one AAC access unit, one frame of MPEG audio, or the samples of one RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// As [`SoundCodec`] says.
    pub data: Bytes,
    /// When its first sample was heard, on the box's steady clock; grows strictly.
    pub heard: MonoTime,
    /// How long it lasts.
    pub lasts: Duration,
    /// Whether something is missing before it.
    pub break_before: bool,
}

/// What comes of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Once, before all that follows.
    Offer(Offer),
    /// A picture.
    Picture(Picture),
    /// A picture came that is not handed in, as decoding could begin with none so far.
    Awaits,
    /// The sound that follows is not as was offered: its packets say what it is.
    SoundFormat(SoundFormat),
    /// Some sound.
    Sound(Sound),
    /// Something people should know although it goes on; a sentence without a full stop.
    Notice(String),
    /// What only those want to know who look at the camera itself.
    Aside(Aside),
}

/// What a session shows of a camera beside its pictures and sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aside {
    /// The shortest time in which it answered a request so far; once, when it begins.
    RoundTrip(Duration),
    /// What its own clock said (sender report, RFC 3550 6.4.1), at the moment at which that came; once.
    Clock {
        /// When it came.
        came: MonoTime,
        /// What it said; from outside: any time from 1900 to 2036.
        says: Timestamp,
    },
}

/// Who takes in what comes. Called on the session's task: returns at once.
pub trait IngestSink: Send + Sync {
    /// Takes it. False: nobody wants more, the session ends.
    fn take(&self, intake: Intake) -> bool;
}

/// What cameras that are trusted as [`TlsTrust::FirstSeen`] showed at their first connection: SHA-256 of the certificate's DER, by
/// `host:port`. Calls return at once.
pub trait KnownCertificates: Send + Sync {
    /// The certificate that is known of a camera.
    fn of(&self, camera: &str) -> Option<[u8; 32]>;
    /// Keeps one of a camera that none is known of.
    fn learn(&self, camera: &str, sha256: [u8; 32]);
}

/// Some speech for a camera's loudspeaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeechFrame {
    /// One channel, 8,000 samples a second.
    pub samples: Vec<i16>,
    /// When the first is to be heard, in samples since some moment; wraps.
    pub time: u32,
    /// Whether it comes after a pause.
    pub begins: bool,
}

/// Where speech for a camera comes from.
pub trait SpeechSource: Send + Sync {
    /// Waits for the next; nothing: there will be no more.
    fn next(&self) -> Later<'_, Option<SpeechFrame>>;
}

/// Sessions with network cameras.
pub trait IngestPort: Send + Sync {
    /// Runs one session until the camera ends it, it fails, or `shutdown` is called (`Ok`). Errors with `Unauthenticated` (user or password are
    /// refused), `Unavailable` (unreachable, silent, closed), `Unsupported` (nothing that it offers can be taken) and `Invalid` (it answers
    /// what cannot be understood), each with a sentence for people that says what to change.
    fn run<'a>(
        &'a self,
        request: &'a IngestRequest,
        sink: &'a dyn IngestSink,
        shutdown: Shutdown,
    ) -> Later<'a, Result<()>>;

    /// Runs one session in which the camera is spoken to, by its loudspeaker (ONVIF Streaming Specification, section 5.3), until there is
    /// nothing more to say or as [`Self::run`]. Errors like that, with `Unsupported` where the camera has no loudspeaker by RTSP.
    fn speak<'a>(
        &'a self,
        request: &'a IngestRequest,
        speech: &'a dyn SpeechSource,
        shutdown: Shutdown,
    ) -> Later<'a, Result<()>> {
        let _ = (request, speech, shutdown);
        Box::pin(async { Err(Error::new(ErrorKind::Unsupported, "no camera can be spoken to")) })
    }
}
