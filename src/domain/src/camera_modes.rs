//! Which of a V4L2 camera's modes is taken for the size and rate that were asked for, and what is said where there is none such. A mode is
//! a pixel format with a size and its rates, as the kernel lists them.

use crate::camera::VideoSettings;
use crate::media::VideoCodec;
use perch_base::{Error, Result};
use std::cmp::Reverse;
use std::fmt;

/// Pictures a second as a fraction: numerator and denominator, none of them 0.
pub type Rate = (u32, u32);

/// A pixel format's four letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FourCc(pub [u8; 4]);

/// What the box can do with a pixel format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// Passed through.
    H264,
    /// Decoded.
    Jpeg,
    /// Converted: GStreamer's name and bits a pixel.
    Raw(&'static str, u32),
}

impl FourCc {
    /// What the box does with it; `None` where it cannot use it (Bayer, depth, other codecs).
    pub fn pixels(self) -> Option<Pixels> {
        Some(match &self.0 {
            b"H264" => Pixels::H264,
            b"MJPG" | b"JPEG" => Pixels::Jpeg,
            b"YU12" => Pixels::Raw("I420", 12),
            b"NV12" => Pixels::Raw("NV12", 12),
            b"YV12" => Pixels::Raw("YV12", 12),
            b"NV21" => Pixels::Raw("NV21", 12),
            b"YUYV" => Pixels::Raw("YUY2", 16),
            b"UYVY" => Pixels::Raw("UYVY", 16),
            b"YVYU" => Pixels::Raw("YVYU", 16),
            b"422P" => Pixels::Raw("Y42B", 16),
            b"NV16" => Pixels::Raw("NV16", 16),
            b"RGB3" => Pixels::Raw("RGB", 24),
            b"BGR3" => Pixels::Raw("BGR", 24),
            b"GREY" => Pixels::Raw("GRAY8", 8),
            _ => return None,
        })
    }
}

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| match b.is_ascii_graphic() {
            true => write!(f, "{}", char::from(*b)),
            false => f.write_str("_"),
        })
    }
}

/// Width and height of pictures, pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// One size.
    Fixed(u32, u32),
    /// From one size to another in steps.
    Range {
        /// The smallest.
        min: (u32, u32),
        /// The largest.
        max: (u32, u32),
        /// What a size changes by; 1 or more.
        step: (u32, u32),
    },
}

impl Sizes {
    /// The size next to `wanted`.
    fn nearest(self, wanted: (u32, u32)) -> (u32, u32) {
        let fit = |wanted: u32, min: u32, max: u32, step: u32| {
            let within = wanted.clamp(min, max.max(min));
            within - (within - min) % step.max(1)
        };
        match self {
            Self::Fixed(width, height) => (width, height),
            Self::Range { min, max, step } => {
                (fit(wanted.0, min.0, max.0, step.0), fit(wanted.1, min.1, max.1, step.1))
            }
        }
    }

    fn largest(self) -> (u32, u32) {
        match self {
            Self::Fixed(width, height) => (width, height),
            Self::Range { max, .. } => max,
        }
    }
}

/// The rates of a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rates {
    /// The driver does not say.
    Unknown,
    /// These.
    These(Vec<Rate>),
    /// Any from the lowest to the highest.
    Range(Rate, Rate),
}

/// A pixel format with a size and its rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mode {
    /// The pixel format.
    pub format: FourCc,
    /// The size.
    pub sizes: Sizes,
    /// The rates.
    pub rates: Rates,
}

/// How the camera is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Speed of its USB connection, Mbit/s; 0 where it is none or not known.
    pub speed_mbit: u32,
    /// Cameras on its bus, itself with them.
    pub cameras: u32,
}

impl Link {
    /// What raw pictures may need, bytes a second. One isochronous endpoint moves at most 3 x 1024 bytes in 125 us at high speed and 1023
    /// bytes a millisecond at full speed (USB 2.0, 5.6.3), all of a bus together four fifths of it (5.6.4).
    fn bytes_per_s(self) -> u64 {
        let cameras = u64::from(self.cameras.max(1));
        match self.speed_mbit {
            0 => u64::MAX,
            1..=12 => 1_023_000 / cameras,
            13..=480 => 24_576_000.min(48_000_000 / cameras),
            _ => 300_000_000 / cameras,
        }
    }
}

/// The mode that is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The pixel format's kind.
    pub pixels: Pixels,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures a second to ask of the camera; `None` where the driver does not say which there are.
    pub rate: Option<Rate>,
    /// What people should know: that size or rate are not those that were asked for, and what there is.
    pub note: Option<ChoiceNote>,
}

/// That a mode is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceNote {
    /// What it is instead.
    pub what: String,
    /// What there is.
    pub offers: String,
}

impl fmt::Display for ChoiceNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.offers)
    }
}

impl Choice {
    /// What to ask the driver for, as GStreamer writes it.
    pub fn caps(&self) -> String {
        let kind = match self.pixels {
            Pixels::H264 => "video/x-h264".to_owned(),
            Pixels::Jpeg => "image/jpeg".to_owned(),
            Pixels::Raw(format, _) => format!("video/x-raw,format={format}"),
        };
        let rate = self.rate.map(|(n, d)| format!(",framerate={n}/{d}")).unwrap_or_default();
        format!("{kind},width={},height={}{rate}", self.width, self.height)
    }
}

/// The modes whose pictures the box encodes itself. Errors with `Unsupported` where there are none but the camera's own H.264.
pub fn encoded_here(modes: &[Mode]) -> Result<Vec<Mode>> {
    let own = |mode: &&Mode| mode.format.pixels() == Some(Pixels::H264);
    let rest: Vec<Mode> = modes.iter().filter(|mode| !own(mode)).cloned().collect();
    if modes.iter().any(|mode| own(&mode)) && rest.iter().all(|mode| mode.format.pixels().is_none()) {
        let why = "the camera sends H.264 alone, which the box cannot change: remove `encode` and its privacy masks";
        return Err(Error::new(perch_base::ErrorKind::Unsupported, why));
    }
    Ok(rest)
}

/// The mode for `wanted`. In this order: its size, or the next one of the same shape; its rate; what costs least: the camera's own H.264
/// (passed through, so only at the very size), raw pictures as far as the bus carries them, Motion JPEG, other raw ones; the lowest rate
/// that is enough. Errors with `Unsupported` where no mode can be used, and says what the camera offers.
pub fn choose(modes: &[Mode], wanted: VideoSettings, codec: VideoCodec, link: Link) -> Result<Choice> {
    let size = (wanted.width, wanted.height);
    let usable = modes.iter().filter_map(|mode| Some((mode, mode.format.pixels()?)));
    let ranked =
        usable.filter(|(_, pixels)| *pixels != Pixels::H264 || codec == VideoCodec::H264).map(|(mode, pixels)| {
            let got = mode.sizes.nearest(size);
            let (rate, shortage) = rate_of(&mode.rates, wanted.fps);
            let (kind, pixels_off) = distance(got, size);
            // H.264 is not scaled: another size comes last.
            let far = if pixels == Pixels::H264 && got != size { (kind + 3, pixels_off) } else { (kind, pixels_off) };
            let cost = cost(pixels, got, rate, wanted.fps, link);
            ((far, shortage, cost, milli(rate)), pixels, got, rate, shortage)
        });
    let best = ranked.min_by_key(|(rank, ..)| *rank);
    let Some((_, pixels, got, rate, shortage)) = best else {
        let only_h264 = modes.iter().any(|mode| mode.format.pixels() == Some(Pixels::H264));
        return Err(Error::new(
            perch_base::ErrorKind::Unsupported,
            match only_h264 {
                true => "the camera sends H.264 alone: set `codec = \"h264\"`".to_owned(),
                false => format!("the camera sends nothing that this box can use; it offers {}", offers(modes)),
            },
        ));
    };
    Ok(Choice { pixels, width: got.0, height: got.1, rate, note: note(modes, wanted, pixels, got, rate, shortage) })
}

fn note(
    modes: &[Mode],
    wanted: VideoSettings,
    pixels: Pixels,
    got: (u32, u32),
    rate: Option<Rate>,
    shortage: u64,
) -> Option<ChoiceNote> {
    let (width, height) = got;
    let note = |what| ChoiceNote { what, offers: format!("it offers {}", offers(modes)) };
    if got != (wanted.width, wanted.height) {
        let what = match pixels {
            Pixels::H264 => "is taken as it is",
            _ => "is scaled",
        };
        let asked = format!("{}x{}", wanted.width, wanted.height);
        return Some(note(format!("the camera has no {asked}: its {width}x{height} {what}")));
    }
    let rate = rate.filter(|_| shortage > 0)?;
    let few = tenths(rate);
    Some(note(format!("the camera gives at most {few} pictures a second at {width}x{height}")))
}

/// How far a size is from the wanted one: the kind of difference, then pixels.
fn distance(got: (u32, u32), wanted: (u32, u32)) -> (u32, u64) {
    if got == wanted {
        return (0, 0);
    }
    let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
    let (got_area, wanted_area) = (area(got), area(wanted));
    let cross = (u64::from(got.0) * u64::from(wanted.1), u64::from(got.1) * u64::from(wanted.0));
    // One part in fifty: 854x480 and 848x480 are 16:9 for people.
    let same_shape = cross.0.abs_diff(cross.1) <= cross.0.max(cross.1) / 50;
    // A shape is not worth any price: four times the pixels to decode, or a quarter of them to see.
    let is_near = got_area.saturating_mul(4) >= wanted_area && got_area <= wanted_area.saturating_mul(4);
    (if same_shape && is_near { 1 } else { 2 }, got_area.abs_diff(wanted_area))
}

/// The rate to ask for (the lowest that is enough, else the highest), and what it lacks, thousandths of a picture a second.
fn rate_of(rates: &Rates, fps: u32) -> (Option<Rate>, u64) {
    let enough = u64::from(fps) * 1000;
    // 29.97 and 24.99 are what people call 30 and 25.
    let lacks = |rate: Rate| match milli(Some(rate)) {
        has if has.saturating_mul(100) >= enough * 99 => 0,
        has => enough - has,
    };
    match rates {
        Rates::Unknown => (None, 0),
        Rates::Range(low, high) => {
            let wanted = (fps.max(1), 1);
            let inside = milli(Some(*low)) <= enough && enough <= milli(Some(*high));
            let rate = if inside {
                wanted
            } else if milli(Some(*low)) > enough {
                *low
            } else {
                *high
            };
            (Some(rate), lacks(rate))
        }
        Rates::These(list) => {
            let best = list.iter().copied().min_by_key(|rate| match lacks(*rate) {
                0 => (0, milli(Some(*rate))),
                lack => (lack, 0),
            });
            best.map_or((None, 0), |rate| (Some(rate), lacks(rate)))
        }
    }
}

/// Thousandths of a picture a second.
fn milli(rate: Option<Rate>) -> u64 {
    rate.map_or(0, |(n, d)| u64::from(n) * 1000 / u64::from(d.max(1)))
}

fn tenths(rate: Rate) -> String {
    let tenths = (milli(Some(rate)) + 50) / 100;
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        part => format!("{}.{part}", tenths / 10),
    }
}

/// What a format costs, the least first.
fn cost(pixels: Pixels, (width, height): (u32, u32), rate: Option<Rate>, fps: u32, link: Link) -> (u32, u32) {
    match pixels {
        Pixels::H264 => (0, 0),
        Pixels::Jpeg => (2, 0),
        Pixels::Raw(format, bits) => {
            let per_s = milli(Some(rate.unwrap_or((fps, 1))));
            let frame = (u64::from(width) * u64::from(height)).saturating_mul(u64::from(bits)) / 8;
            let fits = frame.saturating_mul(per_s) / 1000 <= link.bytes_per_s();
            // Grey pictures only where there are no others, as of an infrared camera.
            let beauty = if format == "GRAY8" { 100 } else { bits };
            (
                if format == "GRAY8" {
                    4
                } else if fits {
                    1
                } else {
                    3
                },
                beauty,
            )
        }
    }
}

/// Sizes of a format that a sentence names.
const MAX_NAMED: usize = 4;

/// What a camera offers, in words: `H.264 1920x1080 at 30; Motion JPEG 1920x1080 at 30, 1280x720 at 60; YUYV 640x480 at 30`.
pub fn offers(modes: &[Mode]) -> String {
    let mut formats: Vec<FourCc> = Vec::new();
    for mode in modes {
        if !formats.contains(&mode.format) {
            formats.push(mode.format);
        }
    }
    let words: Vec<_> = formats.iter().map(|format| offers_of(*format, modes)).collect();
    match words.is_empty() {
        true => "nothing".into(),
        false => words.join("; "),
    }
}

fn offers_of(format: FourCc, modes: &[Mode]) -> String {
    let name = match format.pixels() {
        Some(Pixels::H264) => "H.264".to_owned(),
        Some(Pixels::Jpeg) => "Motion JPEG".to_owned(),
        _ => format.to_string(),
    };
    let mut of_format: Vec<&Mode> = modes.iter().filter(|mode| mode.format == format).collect();
    let area = |mode: &&Mode| u64::from(mode.sizes.largest().0) * u64::from(mode.sizes.largest().1);
    of_format.sort_by_key(|mode| Reverse(area(mode)));
    of_format.dedup_by_key(|mode| mode.sizes);
    let more = of_format.len().saturating_sub(MAX_NAMED);
    let mut sizes: Vec<_> = of_format.iter().take(MAX_NAMED).map(|mode| in_words(mode)).collect();
    if more > 0 {
        sizes.push(format!("{more} smaller"));
    }
    format!("{name} {}", sizes.join(", "))
}

fn in_words(mode: &Mode) -> String {
    let size = match mode.sizes {
        Sizes::Fixed(width, height) => format!("{width}x{height}"),
        Sizes::Range { min, max, .. } => format!("{}x{} to {}x{}", min.0, min.1, max.0, max.1),
    };
    let highest = match &mode.rates {
        Rates::Unknown => None,
        Rates::These(list) => list.iter().copied().max_by_key(|rate| milli(Some(*rate))),
        Rates::Range(_, high) => Some(*high),
    };
    match highest {
        Some(rate) => format!("{size} at {}", tenths(rate)),
        None => size,
    }
}

#[cfg(test)]
#[path = "camera_modes_tests.rs"]
mod tests;
