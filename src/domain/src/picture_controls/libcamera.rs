//! The properties of GStreamer's `libcamerasrc` that are controls of a sensor. Which of them there are depends on libcamera's version: what the
//! element does not have is not offered. Its properties have no ranges of use, so those of libcamera's `control_ids_core.yaml` stand here,
//! narrowed to what a slider can hold.

use super::{ControlForm, MenuWord, PictureControl, arranged, settle};
use crate::settings::Scalar;

/// A property of the element.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorProperty {
    /// Its name.
    pub property: String,
    /// What it may be.
    pub kind: PropertyKind,
    /// What it is where somebody set it.
    pub value: Option<Scalar>,
}

/// What a property may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyKind {
    /// true or false.
    Flag,
    /// A number.
    Number,
    /// One of these words.
    Words(Vec<String>),
}

/// How a property is offered: name, smallest, largest, step, unit, and what libcamera has by itself.
type Offered = (&'static str, &'static str, [f64; 3], &'static str, Option<Scalar>);

const OFFERED: [Offered; 15] = [
    ("ae-enable", "exposure_auto", [0.0; 3], "", Some(Scalar::Flag(true))),
    ("exposure-value", "exposure_compensation", [-4.0, 4.0, 0.25], "EV", Some(Scalar::Number(0.0))),
    ("exposure-time", "exposure_us", [100.0, 1_000_000.0, 100.0], "us", None),
    ("analogue-gain", "gain", [1.0, 16.0, 0.1], "", None),
    ("ae-metering-mode", "metering", [0.0; 3], "", None),
    ("ae-flicker-mode", "power_line_frequency", [0.0; 3], "", None),
    ("brightness", "brightness", [-1.0, 1.0, 0.02], "", Some(Scalar::Number(0.0))),
    ("contrast", "contrast", [0.0, 4.0, 0.05], "", Some(Scalar::Number(1.0))),
    ("saturation", "saturation", [0.0, 4.0, 0.05], "", Some(Scalar::Number(1.0))),
    ("sharpness", "sharpness", [0.0, 8.0, 0.1], "", Some(Scalar::Number(1.0))),
    ("awb-enable", "white_balance_auto", [0.0; 3], "", Some(Scalar::Flag(true))),
    ("awb-mode", "white_balance_mode", [0.0; 3], "", None),
    ("colour-temperature", "white_balance_temperature", [2000.0, 10_000.0, 100.0], "K", None),
    ("af-mode", "focus_auto", [0.0; 3], "", None),
    ("lens-position", "focus", [0.0, 10.0, 0.1], "", None),
];

/// Whether the box has a use for a property of this name.
pub fn is_offered(property: &str) -> bool {
    OFFERED.iter().any(|offered| offered.0 == property)
}

/// The property that a control is.
pub fn property_of(name: &str) -> Option<&'static str> {
    OFFERED.iter().find(|offered| offered.1 == name).map(|offered| offered.0)
}

/// What an element with these properties offers to people.
pub fn controls(properties: &[SensorProperty]) -> Vec<PictureControl> {
    let one = |found: &SensorProperty| {
        let (_, name, [min, max, step], unit, default) =
            OFFERED.iter().find(|offered| offered.0 == found.property)?.clone();
        let form = match &found.kind {
            PropertyKind::Flag => ControlForm::Switch,
            // One that is a number here and no range there is another than is meant.
            PropertyKind::Number if step > 0.0 => ControlForm::Range { min, max, step, unit },
            PropertyKind::Number => return None,
            PropertyKind::Words(words) => ControlForm::Menu { choices: words.iter().map(MenuWord::plain).collect() },
        };
        let value = found.value.clone().or_else(|| default.clone());
        PictureControl::new(name, form, default, value)
    };
    let mut controls = arranged(properties.iter().filter_map(one).collect());
    settle(&mut controls);
    controls
}
