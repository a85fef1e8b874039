//! What each Raspberry Pi needs for cameras: which encoder, what the firmware must have switched on; and the words for what is
//! missing.

use crate::camera::{CameraConfig, VideoSettings};
use crate::media::VideoCodec;
use perch_base::{Error, ErrorKind, Result};

/// What the hardware encoder of a Pi 4 and older manages in all, macroblocks (16x16 pixels) a second: level 4 of H.264 (ITU-T
/// H.264, table A-1), as its driver says.
pub const ENCODER_MACROBLOCKS_PER_S: u32 = 245_760;

/// Errors with `Unsupported` when the one hardware encoder could not encode all streams of these cameras at once. Network cameras
/// encode for themselves unless the box is told to.
pub fn check_encoder_budget(cameras: &[CameraConfig]) -> Result<()> {
    let macroblocks = |v: &VideoSettings| v.width.div_ceil(16) * v.height.div_ceil(16) * v.fps;
    let encoded = cameras.iter().filter(|c| c.is_encoded_here());
    let wanted: u32 = encoded.map(|c| macroblocks(&c.main).saturating_add(macroblocks(&c.sub))).sum();
    if wanted <= ENCODER_MACROBLOCKS_PER_S {
        return Ok(());
    }
    let what =
        format!("the hardware encoder would need {wanted} macroblocks a second; it has {ENCODER_MACROBLOCKS_PER_S}");
    Err(Error::new(ErrorKind::Unsupported, what))
}

/// A video encoder that GStreamer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownEncoder {
    /// The element, and the name of its pipeline file.
    pub element: &'static str,
    /// The package that has it.
    pub package: &'static str,
    /// Whether the board does the work; its buffers are few and must not be kept.
    pub hardware: bool,
}

const V4L2: KnownEncoder =
    KnownEncoder { element: "v4l2h264enc", package: "gstreamer1.0-plugins-good", hardware: true };
const X264: KnownEncoder = KnownEncoder { element: "x264enc", package: "gstreamer1.0-plugins-ugly", hardware: false };
const OPENH264: KnownEncoder =
    KnownEncoder { element: "openh264enc", package: "gstreamer1.0-plugins-bad", hardware: false };
const VP8: KnownEncoder = KnownEncoder { element: "vp8enc", package: "gstreamer1.0-plugins-good", hardware: false };

/// The encoders for `codec`, the best first.
pub fn encoders(codec: VideoCodec) -> &'static [KnownEncoder] {
    match codec {
        VideoCodec::H264 => &[V4L2, X264, OPENH264],
        VideoCodec::Vp8 => &[VP8],
        // The box encodes none.
        VideoCodec::H265 => &[],
    }
}

/// How many threads a software encoder shares a picture's work among, on a machine of `cores`.
pub fn encoder_threads(codec: VideoCodec, video: VideoSettings, cores: usize) -> u32 {
    // libvpx's threads spin while they wait for each other. For 320x180 at 8 frames a second two take twenty times the CPU time of
    // one, for 720p at 15 twice, for 1080p a third more: worth it only where one core of a Pi might be too slow.
    const VP8_PIXELS_PER_SECOND: u32 = 15_000_000;
    let pixels_per_second = video.width.saturating_mul(video.height).saturating_mul(video.fps);
    match codec {
        VideoCodec::Vp8 if pixels_per_second <= VP8_PIXELS_PER_SECOND => 1,
        _ => cores.clamp(1, 2) as u32,
    }
}

/// The packages that have an encoder for `codec` which runs on any machine, in words.
pub fn encoder_packages(codec: VideoCodec) -> String {
    let any = encoders(codec).iter().filter(|e| !e.hardware);
    let names: Vec<_> = any.map(|e| format!("{} ({})", e.package, e.element)).collect();
    names.join(" or ")
}

/// Whether a board of this model encodes VP8 beside all else: a Pi 3 and a Zero 2 W have enough to do with motion and the small stream.
pub fn encodes_vp8(model: &str) -> bool {
    let Some(rest) = model.strip_prefix("Raspberry Pi ") else { return true };
    let rest = rest.strip_prefix("Compute Module ").unwrap_or(rest);
    !["Zero", "3"].iter().any(|slow| rest.starts_with(slow))
}

/// The generation of a Raspberry Pi, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// Pi 3, Zero 2 W, 4, 400 and their compute modules: encodes H.264 in hardware.
    HardwareEncoder,
    /// Pi 5, 500: fast, and has no encoder.
    SoftwareEncoder,
    /// One whose processor is too old.
    TooOld,
    /// No Raspberry Pi, or one that is not known yet.
    Unknown,
}

impl Board {
    /// Tells by the device tree's model, such as `Raspberry Pi Zero 2 W Rev 1.0`.
    pub fn parse(model: &str) -> Self {
        let model = model.trim_matches(['\0', ' ', '\n']);
        let Some(rest) = model.strip_prefix("Raspberry Pi ") else { return Self::Unknown };
        let rest = rest.strip_prefix("Compute Module ").unwrap_or(rest);
        let word = rest.split_whitespace().next().unwrap_or_default();
        match word {
            "Zero" if rest.starts_with("Zero 2") => Self::HardwareEncoder,
            "Zero" | "Model" | "1" | "2" => Self::TooOld,
            "3" | "3E" | "3+" | "4" | "4S" | "400" => Self::HardwareEncoder,
            "5" | "500" => Self::SoftwareEncoder,
            _ => Self::Unknown,
        }
    }
}

/// What was found on the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The device tree's model; empty where there is none.
    pub model: String,
    /// GStreamer has an H.264 encoder that is the board's.
    pub has_hardware_encoder: bool,
    /// GStreamer has an H.264 encoder that runs on any machine.
    pub has_software_encoder: bool,
    /// The kernel lists the firmware's codec.
    pub has_codec_device: bool,
    /// The kernel lists a camera sensor.
    pub has_sensor: bool,
    /// A camera of the config is behind the ribbon cable.
    pub wants_sensor: bool,
    /// There is a hardware watchdog.
    pub has_watchdog: bool,
    /// This is the card image.
    pub is_card_image: bool,
    /// The data partition is mounted.
    pub is_data_mounted: bool,
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub what: String,
    /// How to fix it.
    pub fix: String,
    /// Whether it keeps the box from working.
    pub is_serious: bool,
}

fn serious(what: impl Into<String>, fix: impl Into<String>) -> Missing {
    Missing { what: what.into(), fix: fix.into(), is_serious: true }
}

/// What is missing for this board, the gravest first.
pub fn missing(facts: &Facts) -> Vec<Missing> {
    let board = Board::parse(&facts.model);
    let mut out = Vec::new();
    if board == Board::TooOld {
        out.push(serious("this board is too old", "use a Raspberry Pi Zero 2 W, 3, 4 or 5 (64 bit)"));
    }
    if facts.is_card_image && !facts.is_data_mounted {
        let fix = "recordings have no place: restart the box; if that does not help, the card is worn out or too small";
        out.push(serious("/data is not mounted", fix));
    }
    if board == Board::HardwareEncoder && !facts.has_codec_device {
        let fix = "the kernel's module bcm2835-codec is not loaded: use Raspberry Pi's kernel, and leave `gpu_mem` in config.txt at 64 or more";
        out.push(serious("the board's H.264 encoder is missing", fix));
    }
    if board == Board::HardwareEncoder && facts.has_codec_device && !facts.has_hardware_encoder {
        let KnownEncoder { element, package, .. } = V4L2;
        let fix = format!("install {package}, and let the user that runs perch into the group `video` (/dev/video11)");
        out.push(serious(format!("GStreamer does not see the board's H.264 encoder ({element})"), fix));
    }
    if board == Board::SoftwareEncoder && !facts.has_software_encoder {
        let fix = format!("a Pi 5 encodes in software: install {} ({})", X264.package, X264.element);
        out.push(serious("there is no H.264 encoder", fix));
    }
    if board != Board::Unknown && facts.wants_sensor && !facts.has_sensor {
        let fix = "switch off and reseat the ribbon cable; config.txt must have camera_auto_detect=1, or a line such as \
                    dtoverlay=imx219 for a camera that is not found by itself";
        out.push(serious("no camera sensor is found at the ribbon cable", fix));
    }
    if board != Board::Unknown && !facts.has_watchdog {
        let fix = "config.txt must have dtparam=watchdog=on: without it a box that hangs stays so";
        out.push(Missing { is_serious: false, ..serious("there is no hardware watchdog (/dev/watchdog0)", fix) });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{AudioSettings, Source};

    #[test]
    fn slow_boards_are_spared_a_second_encoder() {
        for (model, want) in [
            ("", true),
            ("Some other board", true),
            ("Raspberry Pi 4 Model B Rev 1.4", true),
            ("Raspberry Pi 400 Rev 1.0", true),
            ("Raspberry Pi 5 Model B Rev 1.0", true),
            ("Raspberry Pi Compute Module 4 Rev 1.0", true),
            ("Raspberry Pi 3 Model B Plus Rev 1.3", false),
            ("Raspberry Pi Compute Module 3 Plus Rev 1.0", false),
            ("Raspberry Pi Zero 2 W Rev 1.0", false),
        ] {
            assert_eq!(encodes_vp8(model), want, "{model}");
        }
    }

    #[test]
    fn threads_share_only_what_one_core_may_not_do() {
        let size = |width, height, fps| VideoSettings { width, height, fps, bitrate_kbps: 1000 };
        for (codec, video, cores, threads) in [
            (VideoCodec::H264, size(320, 180, 8), 4, 2),
            (VideoCodec::H264, size(1920, 1080, 25), 1, 1),
            (VideoCodec::Vp8, size(320, 180, 8), 4, 1),
            (VideoCodec::Vp8, size(1280, 720, 15), 2, 1),
            (VideoCodec::Vp8, size(1280, 720, 25), 2, 2),
            (VideoCodec::Vp8, size(1920, 1080, 15), 4, 2),
            (VideoCodec::Vp8, size(u32::MAX, 1080, 15), 0, 1),
        ] {
            assert_eq!(encoder_threads(codec, video, cores), threads, "{codec:?} {video:?} {cores}");
        }
    }

    #[test]
    fn the_encoder_has_a_budget_for_all_cameras_together() {
        let camera = |source: Source, (width, height, fps)| CameraConfig {
            id: perch_base::ids::CameraId::new("a").expect("valid"),
            name: "a".into(),
            room: String::new(),
            source,
            network: Default::default(),
            aspect: None,
            codec: VideoCodec::H264,
            main: VideoSettings { width, height, fps, bitrate_kbps: 1000 },
            sub: VideoSettings { width: 640, height: 360, fps: 25, bitrate_kbps: 400 },
            audio: AudioSettings { source: crate::camera::AudioSource::None, gain_db: 0.0 },
            talkback: Default::default(),
            record: Default::default(),
            motion: Default::default(),
            picture: Default::default(),
            push: Vec::new(),
            off: None,
        };
        let own = |size| camera(Source::Test, size);
        let network = camera(Source::parse("rtsp://host/x").expect("valid"), (3840, 2160, 30));
        let mut anew = network.clone();
        anew.picture.encode = true;
        for (cameras, fits) in [
            (vec![], true),
            (vec![own((1920, 1080, 25))], true),
            (vec![own((1920, 1080, 30))], false),
            (vec![own((1280, 720, 25)), own((1280, 720, 15))], true),
            (vec![own((1920, 1080, 25)), own((1280, 720, 15))], false),
            (vec![network.clone(), network], true),
            (vec![anew], false),
        ] {
            assert_eq!(check_encoder_budget(&cameras).is_ok(), fits, "{cameras:?}");
        }
    }

    #[test]
    fn the_board_encodes_where_it_can_and_every_codec_can_be_installed() {
        let elements = |codec| encoders(codec).iter().map(|e| e.element).collect::<Vec<_>>();
        assert_eq!(elements(VideoCodec::H264), ["v4l2h264enc", "x264enc", "openh264enc"]);
        for (codec, packages) in [
            (VideoCodec::H264, "gstreamer1.0-plugins-ugly (x264enc) or gstreamer1.0-plugins-bad (openh264enc)"),
            (VideoCodec::Vp8, "gstreamer1.0-plugins-good (vp8enc)"),
        ] {
            assert_eq!(encoder_packages(codec), packages);
        }
    }

    #[test]
    fn boards_are_recognised_by_their_model() {
        for (model, want) in [
            ("Raspberry Pi Zero 2 W Rev 1.0\0", Board::HardwareEncoder),
            ("Raspberry Pi 3 Model B Plus Rev 1.3", Board::HardwareEncoder),
            ("Raspberry Pi 4 Model B Rev 1.4", Board::HardwareEncoder),
            ("Raspberry Pi 400 Rev 1.0", Board::HardwareEncoder),
            ("Raspberry Pi Compute Module 4 Rev 1.1", Board::HardwareEncoder),
            ("Raspberry Pi Compute Module 4S Rev 1.0", Board::HardwareEncoder),
            ("Raspberry Pi 5 Model B Rev 1.0", Board::SoftwareEncoder),
            ("Raspberry Pi 500 Rev 1.0", Board::SoftwareEncoder),
            ("Raspberry Pi Compute Module 5 Rev 1.0", Board::SoftwareEncoder),
            ("Raspberry Pi Zero W Rev 1.1", Board::TooOld),
            ("Raspberry Pi Model B Rev 2", Board::TooOld),
            ("Raspberry Pi 2 Model B Rev 1.1", Board::TooOld),
            ("Raspberry Pi 6", Board::Unknown),
            ("linux,dummy-virt", Board::Unknown),
            ("", Board::Unknown),
        ] {
            assert_eq!(Board::parse(model), want, "{model}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let whole = |model: &str| Facts {
            model: model.into(),
            has_hardware_encoder: true,
            has_software_encoder: true,
            has_codec_device: true,
            has_sensor: true,
            wants_sensor: true,
            has_watchdog: true,
            is_card_image: true,
            is_data_mounted: true,
        };
        let (pi4, pi5) = (whole("Raspberry Pi 4 Model B"), whole("Raspberry Pi 5 Model B"));
        let table: [(&str, Facts, &[&str]); 10] = [
            ("a whole Pi 4", pi4.clone(), &[]),
            ("a Pi 5 has no codec", Facts { has_codec_device: false, has_hardware_encoder: false, ..pi5.clone() }, &[]),
            (
                "no codec",
                Facts { has_codec_device: false, has_hardware_encoder: false, ..pi4.clone() },
                &["encoder is missing"],
            ),
            ("no element", Facts { has_hardware_encoder: false, ..pi4.clone() }, &["v4l2h264enc"]),
            ("no x264", Facts { has_software_encoder: false, ..pi5.clone() }, &["no H.264 encoder"]),
            ("no sensor", Facts { has_sensor: false, ..pi4.clone() }, &["no camera sensor"]),
            ("no sensor and none wanted", Facts { has_sensor: false, wants_sensor: false, ..pi4.clone() }, &[]),
            ("no watchdog", Facts { has_watchdog: false, ..pi4.clone() }, &["no hardware watchdog"]),
            ("no data", Facts { is_data_mounted: false, has_watchdog: false, ..pi5 }, &["/data", "watchdog"]),
            ("a laptop", Facts { model: String::new(), ..Facts::default() }, &[]),
        ];
        for (name, facts, want) in table {
            let got = missing(&facts);
            assert_eq!(got.len(), want.len(), "{name}: {got:?}");
            for (got, want) in got.iter().zip(want) {
                assert!(got.what.contains(want), "{name}: {got:?}");
            }
        }
        let laptop = Facts { is_data_mounted: false, ..Facts::default() };
        assert!(missing(&laptop).is_empty(), "only a card image has /data");
    }
}
