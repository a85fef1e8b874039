//! What a camera is configured to be: source, sizes, microphone, recording and motion. Parsing of sources; no devices are touched.

use crate::media::VideoCodec;
use crate::motion::MotionConfig;
use crate::network_camera::{self, Aspect, NetworkSettings, SourceKind};
use crate::pace::RateOwedBy;
use crate::picture_settings::PictureSettings;
use crate::push::PushTarget;
use crate::recording::RecordConfig;
use crate::redact::{Shown, describe_url, hides_credentials};
use crate::settings::Keys;
use crate::settings::password::Password;
use crate::switched_off::SwitchedOff;
use crate::talkback::{TalkSink, Talkback};
use crate::text::check_meant;
use crate::trouble;
use crate::usb_camera::VideoName;
use perch_base::ids::CameraId;
use perch_base::secret::Secret;
use perch_base::{Error, Result};
use serde::Serialize;
use std::path::PathBuf;

/// Where pictures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A moving pattern with a clock.
    Test,
    /// A file at its own pace, looped.
    File(PathBuf),
    /// A V4L2 device.
    V4l2(VideoName),
    /// A libcamera camera: the only one, or the one with this id.
    Libcamera(Option<String>),
    /// A network camera; what it encodes itself is passed through. The URL may hold a user and password and is never printed.
    Rtsp(Secret),
}

impl From<&Source> for trouble::SourceKind {
    fn from(source: &Source) -> Self {
        match source {
            Source::Test => Self::Test,
            Source::File(_) => Self::File,
            Source::V4l2(_) => Self::Usb,
            Source::Libcamera(_) => Self::Ribbon,
            Source::Rtsp(_) => Self::Network,
        }
    }
}

impl Source {
    /// Parses `test`, `file:PATH`, `v4l2:` and a [`VideoName`], `libcamera[:ID]` or `rtsp://…`; everything else is refused with
    /// the rule alone, since it may hold a password.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |rule: &str| Err(Error::invalid(rule));
        check_meant(text).map_err(Error::invalid)?;
        if text == "test" {
            return Ok(Self::Test);
        }
        if text == "libcamera" {
            return Ok(Self::Libcamera(None));
        }
        if let Some(path) = text.strip_prefix("file:") {
            return match path {
                "" => bad("needs a path after `file:`"),
                _ => Ok(Self::File(PathBuf::from(path))),
            };
        }
        if let Some(device) = text.strip_prefix("v4l2:") {
            return VideoName::parse(device).map(Self::V4l2);
        }
        if let Some(id) = text.strip_prefix("libcamera:") {
            return match id {
                "" => bad("needs a camera id after `libcamera:`"),
                _ => Ok(Self::Libcamera(Some(id.to_owned()))),
            };
        }
        if network_camera::is_url(text) || hides_credentials(text) {
            return network_camera::parse_url(text).map(Self::Rtsp);
        }
        bad("must be test, file:PATH, v4l2:/dev/videoN, libcamera, libcamera:ID or rtsp://…")
    }

    /// The address of a network camera.
    pub fn url(&self) -> Option<&Secret> {
        match self {
            Self::Rtsp(url) => Some(url),
            Self::Test | Self::File(_) | Self::V4l2(_) | Self::Libcamera(_) => None,
        }
    }

    /// The source for people, without credentials.
    pub fn describe(&self) -> String {
        match self {
            Self::Test => "test".into(),
            Self::File(p) => format!("file:{}", p.display()),
            Self::V4l2(d) => format!("v4l2:{d}"),
            Self::Libcamera(None) => "libcamera".into(),
            Self::Libcamera(Some(id)) => format!("libcamera:{id}"),
            Self::Rtsp(url) => describe_url(url.expose()),
        }
    }

    /// Who owes the configured frame rate.
    pub fn rate_owed_by(&self) -> RateOwedBy {
        match self {
            // libcamera is given one length for all frames, in the dark as well: what is missing, the box did not fetch.
            Self::Test | Self::Libcamera(_) => RateOwedBy::Box,
            Self::V4l2(_) => RateOwedBy::Camera,
            Self::File(_) | Self::Rtsp(_) => RateOwedBy::Nobody,
        }
    }
}

/// Where sound comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioSource {
    /// A ticking tone.
    Test,
    /// An ALSA capture device such as `hw:CARD=Device,DEV=0`.
    Alsa(String),
    /// The sound of the video's own source: the file, or the RTSP camera.
    Source,
    /// No sound.
    None,
}

impl AudioSource {
    /// Parses `test`, `alsa:DEVICE`, `file`, `source` or `none`; refuses everything else with the rule alone.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "test" => Ok(Self::Test),
            "none" => Ok(Self::None),
            "file" | "source" => Ok(Self::Source),
            _ => match text.strip_prefix("alsa:") {
                Some(device)
                    if !device.is_empty()
                        && device.bytes().all(|b| b.is_ascii_alphanumeric() || b":,._=-".contains(&b)) =>
                {
                    Ok(Self::Alsa(device.to_owned()))
                }
                _ => Err(Error::invalid("must be test, alsa:DEVICE, file, source or none")),
            },
        }
    }
}

/// Size, rate and bit rate of one encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct VideoSettings {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// Target bit rate in kbit/s.
    pub bitrate_kbps: u32,
}

impl VideoSettings {
    /// The main stream where nothing is said.
    const MAIN: Self = Self { width: 1280, height: 720, fps: 25, bitrate_kbps: 2000 };

    /// The sub-stream where nothing is said.
    fn sub_of(main: &Self) -> Self {
        Self { width: 640, height: 360, fps: main.fps.min(15), bitrate_kbps: 400 }
    }

    /// Reads `width`, `height`, `fps` and `bitrate_kbps`.
    fn read(keys: &mut impl Keys, d: &Self) -> Self {
        let read = Self {
            width: keys.count("width", d.width, 64..=4096),
            height: keys.count("height", d.height, 64..=2304),
            fps: keys.count("fps", d.fps, 1..=60),
            bitrate_kbps: keys.count("bitrate_kbps", d.bitrate_kbps, 100..=20_000),
        };
        for (key, size) in [("width", read.width), ("height", read.height)] {
            if size % 2 != 0 {
                keys.problem(key, i64::from(size), "must be even");
            }
        }
        read
    }
}

/// The microphone of a camera.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AudioSettings {
    /// Where sound comes from.
    pub source: AudioSource,
    /// Gain in dB, -20 to 20.
    pub gain_db: f64,
}

impl AudioSettings {
    /// Reads `audio` of a camera.
    fn read(mut keys: impl Keys) -> Self {
        let read = Self {
            source: keys.parsed("source", "none", AudioSource::parse).unwrap_or(AudioSource::None),
            gain_db: keys.real("gain_db", 0.0, -20.0..=20.0),
        };
        keys.finish();
        read
    }
}

/// One camera, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraConfig {
    /// Names it in paths.
    pub id: CameraId,
    /// Names it for people.
    pub name: String,
    /// The room or place that it belongs to, for people; may be empty.
    pub room: String,
    /// Where pictures come from.
    pub source: Source,
    /// How a network camera is reached.
    pub network: NetworkSettings,
    /// The shape of a network camera's pictures, where it says nothing of it or something wrong.
    pub aspect: Option<Aspect>,
    /// How the box encodes its video.
    pub codec: VideoCodec,
    /// The main stream.
    pub main: VideoSettings,
    /// The sub-stream.
    pub sub: VideoSettings,
    /// The microphone.
    pub audio: AudioSettings,
    /// How it is talked through.
    pub talkback: Talkback,
    /// When and how it is recorded.
    pub record: RecordConfig,
    /// What counts as motion.
    pub motion: MotionConfig,
    /// What is done to its pictures.
    pub picture: PictureSettings,
    /// Where it is pushed to.
    pub push: Vec<PushTarget>,
    /// That it is switched off: never as it is configured, only as it runs ([`crate::modes`]).
    pub off: Option<SwitchedOff>,
}

impl CameraConfig {
    /// Whether the box encodes its pictures, as far as the config says: of a V4L2 camera it is known once it is asked.
    pub fn is_encoded_here(&self) -> bool {
        self.source.url().is_none() || self.picture.encode
    }

    /// Whether its microphone is one of the box's own.
    pub fn has_own_microphone(&self) -> bool {
        !matches!(self.audio.source, AudioSource::None | AudioSource::Source)
    }

    /// Whether it has sound.
    pub fn has_audio(&self) -> bool {
        self.audio.source != AudioSource::None
    }

    /// Reads a `[[camera]]`; `None` without an id or a source, which is reported. `secret_of` reads the file that holds its password; its
    /// error does not repeat the path.
    pub fn read(mut keys: impl Keys, secret_of: impl Fn(&str) -> Result<Secret>) -> Option<Self> {
        let id = keys.parsed("id", "", CameraId::new);
        let default_name = id.as_ref().map(|i| i.to_string()).unwrap_or_default();
        let name = keys.text("name", &default_name, 1..=64);
        let room = keys.text("room", "", 0..=64);
        let password = Password(keys.optional("password_file", |file| {
            secret_of(file).map_err(|e| Error::invalid(format!("must name a file that holds the password ({e})")))
        }));
        let of_sub = Password(keys.optional("sub_password_file", |file| {
            secret_of(file).map_err(|e| Error::invalid(format!("must name a file that holds the password ({e})")))
        }));
        let of_sub = if of_sub.0.is_some() { of_sub } else { password.clone() };
        let source = keys.parsed("source", "", |text| Source::parse(&password.put_into(text)?));
        let kind = match &source {
            Some(source) => source.url().map_or(SourceKind::Other, SourceKind::Network),
            None => SourceKind::Refused,
        };
        let picture = PictureSettings::read(&mut keys, kind);
        let network = NetworkSettings::read(&mut keys, kind, &of_sub);
        let aspect = keys.optional("aspect", Aspect::parse);
        if aspect.is_some() && matches!(kind, SourceKind::Other) {
            keys.problem("aspect", Shown::nothing(), "is only for a network camera: others have square pixels");
        }
        let codec = keys.choice("codec", "h264", &[("h264", VideoCodec::H264), ("vp8", VideoCodec::Vp8)]);
        if codec == VideoCodec::Vp8 && matches!(kind, SourceKind::Network(_)) {
            keys.problem("codec", "vp8", "must be h264 with a network camera: it encodes its pictures itself");
        }
        let main = VideoSettings::read(&mut keys, &VideoSettings::MAIN);
        let mut of_sub = keys.section("sub");
        let sub = VideoSettings::read(&mut of_sub, &VideoSettings::sub_of(&main));
        of_sub.finish();
        let audio = AudioSettings::read(keys.section("audio"));
        let talkback = Talkback::read(keys.section("talkback"));
        if talkback.sink == Some(TalkSink::Camera) && matches!(kind, SourceKind::Other) {
            let rule = "is only for a network camera, which has a loudspeaker of its own";
            keys.problem("talkback.sink", "camera", rule);
        }
        let motion = MotionConfig::read(keys.section("motion"));
        let record = RecordConfig::read(keys.section("record"), codec, motion.enabled);
        let push = PushTarget::read_all(&mut keys, &secret_of);
        keys.finish();
        let off = None;
        Some(Self {
            id: id?,
            name,
            room,
            source: source?,
            network,
            aspect,
            codec,
            main,
            sub,
            audio,
            talkback,
            record,
            motion,
            picture,
            push,
            off,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_parse_by_allow_list() {
        assert_eq!(Source::parse("test").expect("ok"), Source::Test);
        assert_eq!(Source::parse("file:/a b.mp4").expect("ok"), Source::File("/a b.mp4".into()));
        assert_eq!(Source::parse("v4l2:/dev/video0").expect("ok"), Source::V4l2(VideoName::Number(0)));
        let named = Source::parse("v4l2:by-id/usb-C920_A1-video-index0").expect("ok");
        assert_eq!(named.describe(), "v4l2:by-id/usb-C920_A1-video-index0");
        for bad in [
            "",
            "exec:ls",
            "pipe:ls",
            "file:",
            "v4l2:/dev/sda",
            "v4l2:/dev/video0 ! filesink",
            "http://x",
            "rtsp://a b",
            "test\n",
        ] {
            assert!(Source::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn credentials_of_a_source_are_never_described() {
        let s = Source::parse("rtsp://me:p@ss@cam/live@x").expect("ok");
        assert_eq!(s.describe(), "rtsp://cam/…");
        let s = Source::parse("rtsp://cam:554/user=admin&password=hunter2").expect("ok");
        assert_eq!(s.describe(), "rtsp://cam:554/…");
        assert_eq!(Source::parse("rtsp://cam:554/").expect("ok").describe(), "rtsp://cam:554/");
        assert!(!format!("{s:?}").contains("p@ss"));
        let e = Source::parse("rtsp://me:hunt#er2@cam/x").expect_err("not percent-encoded");
        assert!(!e.to_string().contains("hunt") && e.to_string().contains("%23"), "{e}");
        let e = Source::parse("rtsp://me:pw@cam/ x").expect_err("whitespace");
        assert!(!e.to_string().contains("pw"), "{e}");
    }
}
