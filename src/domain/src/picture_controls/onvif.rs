//! ONVIF's imaging settings (Imaging Service Specification 2.0; `ImagingSettings20` and `ImagingOptions20` of `onvif.xsd`) as controls.

use super::{ControlForm, MOST_LETTERS, MenuWord, PictureControl, arranged, settle};
use crate::settings::Scalar;
use crate::text::as_told;

/// A setting as a device words it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImagingSetting {
    /// Its element in the settings, such as `Brightness` or `Exposure/Mode`.
    pub path: &'static str,
    /// What it is; empty where the device does not say.
    pub value: String,
    /// The smallest and the largest number, where it is one.
    pub range: Option<(f64, f64)>,
    /// The words that it may be, where it is one of some.
    pub words: Vec<String>,
}

/// Path, name, and for what is on or off by two words: the word for on, and the one for off.
type Offered = (&'static str, &'static str, &'static str, Option<(&'static str, &'static str)>);

/// All in the order in which the settings' schema has them.
const OFFERED: [Offered; 14] = [
    ("BacklightCompensation/Mode", "backlight_compensation", "", Some(("ON", "OFF"))),
    ("Brightness", "brightness", "", None),
    ("ColorSaturation", "saturation", "", None),
    ("Contrast", "contrast", "", None),
    ("Exposure/Mode", "exposure_auto", "", Some(("AUTO", "MANUAL"))),
    ("Exposure/ExposureTime", "exposure_us", "us", None),
    ("Exposure/Gain", "gain", "dB", None),
    ("Focus/AutoFocusMode", "focus_auto", "", Some(("AUTO", "MANUAL"))),
    ("IrCutFilter", "infrared_cut", "", None),
    ("Sharpness", "sharpness", "", None),
    ("WideDynamicRange/Mode", "wide_dynamic_range", "", Some(("ON", "OFF"))),
    ("WhiteBalance/Mode", "white_balance_auto", "", Some(("AUTO", "MANUAL"))),
    ("WhiteBalance/CrGain", "red_balance", "", None),
    ("WhiteBalance/CbGain", "blue_balance", "", None),
];

/// The paths that a device is asked for.
pub fn paths() -> impl Iterator<Item = &'static str> {
    OFFERED.iter().map(|offered| offered.0)
}

/// Words for people; others are shown as the device has them.
fn label(path: &str, word: &str) -> String {
    let known = match (path, word) {
        ("IrCutFilter", "ON") => "Day: true colours",
        ("IrCutFilter", "OFF") => "Night: no colours",
        ("IrCutFilter", "AUTO") => "By itself",
        _ => return word.to_owned(),
    };
    known.to_owned()
}

fn told(word: &str) -> String {
    as_told(word).chars().take(MOST_LETTERS).collect()
}

fn one(found: &ImagingSetting) -> Option<PictureControl> {
    let (_, name, unit, flag) = *OFFERED.iter().find(|offered| offered.0 == found.path)?;
    let has = |word: &str| found.words.iter().any(|known| known == word);
    match (flag, found.range) {
        (Some((on, off)), _) => {
            let value = [(on, true), (off, false)].into_iter().find(|(word, _)| *word == found.value);
            let value = value.map(|(_, flag)| Scalar::Flag(flag));
            (has(on) && has(off)).then(|| PictureControl::new(name, ControlForm::Switch, None, value)).flatten()
        }
        (None, Some((min, max))) => {
            // Devices say no step: a hundredth, or whole numbers where there are as many.
            let step = if max - min >= 50.0 { 1.0 } else { (max - min) / 100.0 };
            let value = found.value.parse().ok().filter(|n: &f64| n.is_finite()).map(Scalar::Number);
            PictureControl::new(name, ControlForm::Range { min, max, step, unit }, None, value)
        }
        (None, None) => {
            let choices = found.words.iter().map(|word| {
                let value = told(word);
                MenuWord { label: label(found.path, &value), value }
            });
            let value = has(&found.value).then(|| Scalar::Text(told(&found.value)));
            PictureControl::new(name, ControlForm::Menu { choices: choices.collect() }, None, value)
        }
    }
}

/// What a device with these offers to people.
pub fn controls(found: &[ImagingSetting]) -> Vec<PictureControl> {
    let mut controls = arranged(found.iter().filter_map(one).collect());
    settle(&mut controls);
    controls
}

/// How a device is told that `name` is to be `value`: path and text.
pub fn to_set(name: &str, value: &Scalar) -> Option<(&'static str, String)> {
    let (path, _, _, flag) = *OFFERED.iter().find(|offered| offered.1 == name)?;
    let text = match (value, flag) {
        (Scalar::Flag(is_on), Some((on, off))) => if *is_on { on } else { off }.to_owned(),
        (Scalar::Number(n), None) => n.to_string(),
        (Scalar::Text(word), None) => word.clone(),
        _ => return None,
    };
    Some((path, text))
}

/// The changes with what must stand beside them, in the order of the schema: a group with a mode is told with its mode, as it is now.
pub fn in_order(changes: &[(&'static str, String)], now: &[ImagingSetting]) -> Vec<(&'static str, String)> {
    let mut out: Vec<(&'static str, String)> = Vec::new();
    for (path, ..) in OFFERED {
        let group = path.split('/').next().unwrap_or_default();
        let is_changed = |path: &str| changes.iter().find(|(changed, _)| *changed == path);
        let is_its_mode =
            path.contains("Mode") && changes.iter().any(|(changed, _)| changed.split('/').next() == Some(group));
        match is_changed(path) {
            Some((_, value)) => out.push((path, value.clone())),
            None if is_its_mode => {
                let mode = now.iter().find(|setting| setting.path == path).filter(|setting| !setting.value.is_empty());
                out.extend(mode.map(|setting| (path, setting.value.clone())));
            }
            None => {}
        }
    }
    out
}
