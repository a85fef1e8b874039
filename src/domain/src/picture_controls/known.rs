//! The picture settings that people can use, whatever the source.

use ControlGroup::{Colour, Exposure, Focus, Infrared};
use serde::Serialize;

/// What belongs together on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlGroup {
    /// What is seen in the dark.
    Infrared,
    /// How bright, and for how long.
    Exposure,
    /// Colours and contrast.
    Colour,
    /// What is sharp, and what of the scene is seen.
    Focus,
}

perch_base::all_of!(ControlGroup { Infrared, Exposure, Colour, Focus });

/// A picture setting that some sources have.
pub(super) struct Known {
    /// As the config names it.
    pub name: &'static str,
    /// As people read it.
    pub label: &'static str,
    /// Where it belongs.
    pub group: ControlGroup,
}

const fn known(group: ControlGroup, name: &'static str, label: &'static str) -> Known {
    Known { name, label, group }
}

/// All of them, each group in the order in which it is shown.
pub(super) const KNOWN: [Known; 27] = [
    known(Infrared, "infrared_cut", "Infrared filter"),
    known(Exposure, "exposure_auto", "Automatic exposure"),
    known(Exposure, "exposure_compensation", "Brighter or darker exposure"),
    known(Exposure, "exposure_us", "Exposure time"),
    known(Exposure, "exposure_auto_priority", "Fewer pictures a second in the dark"),
    known(Exposure, "gain_auto", "Automatic gain"),
    known(Exposure, "gain", "Gain"),
    known(Exposure, "metering", "Where brightness is measured"),
    known(Exposure, "backlight_compensation", "Backlight compensation"),
    known(Exposure, "wide_dynamic_range", "Wide dynamic range"),
    known(Exposure, "power_line_frequency", "Against flicker of lamps"),
    known(Colour, "brightness", "Brightness"),
    known(Colour, "contrast", "Contrast"),
    known(Colour, "saturation", "Saturation"),
    known(Colour, "hue", "Hue"),
    known(Colour, "sharpness", "Sharpness"),
    known(Colour, "gamma", "Gamma"),
    known(Colour, "white_balance_auto", "Automatic white balance"),
    known(Colour, "white_balance_mode", "White balance for"),
    known(Colour, "white_balance_temperature", "White balance"),
    known(Colour, "red_balance", "Red"),
    known(Colour, "blue_balance", "Blue"),
    known(Focus, "focus_auto", "Automatic focus"),
    known(Focus, "focus", "Focus"),
    known(Focus, "zoom", "Zoom"),
    known(Focus, "pan", "Left or right"),
    known(Focus, "tilt", "Up or down"),
];
