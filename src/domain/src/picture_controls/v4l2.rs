//! V4L2's controls (`linux/v4l2-controls.h`, user and camera class): which are offered, and in which numbers. What is an encoder's is left out.

use super::{ControlForm, MOST_LETTERS, MenuWord, PictureControl, arranged};
use crate::settings::Scalar;
use crate::text::as_told;

/// A control as the kernel describes it (`struct v4l2_queryctrl`, `v4l2_querymenu`, `v4l2_control`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct V4l2Control {
    /// Its number.
    pub id: u32,
    /// `enum v4l2_ctrl_type`.
    pub kind: u32,
    /// The smallest, the largest, the step and what the driver has by itself.
    pub numbers: [i32; 4],
    /// `V4L2_CTRL_FLAG_…`.
    pub flags: u32,
    /// What it is; `None` where it cannot be read.
    pub value: Option<i32>,
    /// The entries of a menu that there are: number and name, or number and value as text.
    pub menu: Vec<(i32, String)>,
}

/// Numbers of the types that are offered.
pub const INTEGER: u32 = 1;
/// On or off.
pub const BOOLEAN: u32 = 2;
/// Names.
pub const MENU: u32 = 3;
/// Numbers that are no range.
pub const INTEGER_MENU: u32 = 9;

const IS_DISABLED: u32 = 0x1;
const IS_GRABBED: u32 = 0x2;
const IS_READ_ONLY: u32 = 0x4;
const IS_INACTIVE: u32 = 0x10;
const IS_WRITE_ONLY: u32 = 0x40;

const USER: u32 = 0x0098_0900;
const CAMERA: u32 = 0x009a_0900;

/// Name, unit, and how many units one of the kernel's is.
const OFFERED: [(u32, &str, &str, f64); 26] = [
    (USER, "brightness", "", 1.0),
    (USER + 1, "contrast", "", 1.0),
    (USER + 2, "saturation", "", 1.0),
    (USER + 3, "hue", "", 1.0),
    (USER + 12, "white_balance_auto", "", 1.0),
    (USER + 14, "red_balance", "", 1.0),
    (USER + 15, "blue_balance", "", 1.0),
    (USER + 16, "gamma", "", 1.0),
    (USER + 18, "gain_auto", "", 1.0),
    (USER + 19, "gain", "", 1.0),
    (USER + 24, "power_line_frequency", "", 1.0),
    (USER + 26, "white_balance_temperature", "K", 1.0),
    (USER + 27, "sharpness", "", 1.0),
    (USER + 28, "backlight_compensation", "", 1.0),
    (CAMERA + 1, "exposure_auto", "", 1.0),
    // In units of 100 us.
    (CAMERA + 2, "exposure_us", "us", 100.0),
    (CAMERA + 3, "exposure_auto_priority", "", 1.0),
    (CAMERA + 8, "pan", "", 1.0),
    (CAMERA + 9, "tilt", "", 1.0),
    (CAMERA + 10, "focus", "", 1.0),
    (CAMERA + 12, "focus_auto", "", 1.0),
    (CAMERA + 13, "zoom", "", 1.0),
    (CAMERA + 19, "exposure_compensation", "", 1.0),
    (CAMERA + 20, "white_balance_mode", "", 1.0),
    (CAMERA + 21, "wide_dynamic_range", "", 1.0),
    (CAMERA + 25, "metering", "", 1.0),
];

/// Whether the box has a use for a control of this number: no others need be asked what they are.
pub fn is_offered(id: u32) -> bool {
    OFFERED.iter().any(|offered| offered.0 == id)
}

fn one(raw: &V4l2Control) -> Option<PictureControl> {
    let (_, name, unit, scale) = *OFFERED.iter().find(|offered| offered.0 == raw.id)?;
    if raw.flags & (IS_DISABLED | IS_READ_ONLY | IS_WRITE_ONLY) != 0 {
        return None;
    }
    let [min, max, step, default] = raw.numbers;
    let number = |n: i32| Scalar::Number(f64::from(n) * scale);
    let flag = |n: i32| Scalar::Flag(n != 0);
    let word = |n: i32| raw.menu.iter().find(|(number, _)| *number == n).map(|(_, word)| Scalar::Text(told(word)));
    let mut control = match raw.kind {
        INTEGER => {
            let (min, max, step) = (f64::from(min) * scale, f64::from(max) * scale, f64::from(step.max(1)) * scale);
            let form = ControlForm::Range { min, max, step, unit };
            PictureControl::new(name, form, Some(number(default)), raw.value.map(number))?
        }
        BOOLEAN => PictureControl::new(name, ControlForm::Switch, Some(flag(default)), raw.value.map(flag))?,
        MENU | INTEGER_MENU => {
            let choices = raw.menu.iter().map(|(_, word)| MenuWord::plain(told(word))).collect();
            PictureControl::new(name, ControlForm::Menu { choices }, word(default), raw.value.and_then(word))?
        }
        _ => return None,
    };
    control.is_active = raw.flags & (IS_INACTIVE | IS_GRABBED) == 0;
    Some(control)
}

fn told(word: &str) -> String {
    as_told(word).chars().take(MOST_LETTERS).collect()
}

/// What a camera with these offers to people.
pub fn controls(raw: &[V4l2Control]) -> Vec<PictureControl> {
    arranged(raw.iter().filter_map(one).collect())
}

/// Number and value by which the kernel is asked to set `name`; `None` where the camera has none such, or no such value.
pub fn to_set(raw: &[V4l2Control], name: &str, value: &Scalar) -> Option<(u32, i32)> {
    let (id, _, _, scale) =
        *OFFERED.iter().find(|offered| offered.1 == name && raw.iter().any(|r| r.id == offered.0))?;
    let raw = raw.iter().find(|r| r.id == id)?;
    let value = match value {
        Scalar::Flag(on) => i32::from(*on),
        // What is checked lies within what the kernel said.
        Scalar::Number(n) => (n / scale).round() as i32,
        Scalar::Text(word) => raw.menu.iter().find(|(_, text)| told(text) == *word)?.0,
    };
    Some((id, value))
}
