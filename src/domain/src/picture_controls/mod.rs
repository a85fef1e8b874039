//! The picture settings that a camera has itself: which of them people can use, what they are called, and what is to be set of what was wanted.
//! Pure. How each kind of source words them stands beside: V4L2 in `v4l2`, libcamera in `libcamera`, ONVIF in `onvif`.

mod known;
pub mod libcamera;
pub mod onvif;
pub mod v4l2;

pub use known::ControlGroup;

use crate::settings::Scalar;
use known::KNOWN;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Picture settings that are wanted, by name.
pub type WantedControls = BTreeMap<String, Scalar>;

/// Letters of a word of a menu.
pub const MOST_LETTERS: usize = 64;

/// A word of a menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MenuWord {
    /// As it is set.
    pub value: String,
    /// As people read it.
    pub label: String,
}

impl MenuWord {
    /// One that reads as it is set.
    pub fn plain(value: impl Into<String>) -> Self {
        let value = value.into();
        Self { label: value.clone(), value }
    }
}

/// What a control may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ControlForm {
    /// On or off.
    Switch,
    /// A number.
    Range {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
        /// What lies between two numbers.
        step: f64,
        /// What is counted; empty for the camera's own scale.
        unit: &'static str,
    },
    /// One of some words.
    Menu {
        /// In the camera's order.
        choices: Vec<MenuWord>,
    },
}

/// A picture setting of a source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PictureControl {
    /// As the config names it.
    pub name: &'static str,
    /// As people read it.
    pub label: &'static str,
    /// Where it belongs.
    pub group: ControlGroup,
    /// What it may be.
    #[serde(flatten)]
    pub form: ControlForm,
    /// What the camera has by itself; `None` where it does not say.
    pub default: Option<Scalar>,
    /// What it is now; `None` where the camera does not say.
    pub value: Option<Scalar>,
    /// Whether it has an effect now: an exposure by hand has none while the camera exposes by itself.
    pub is_active: bool,
}

/// What the source of a camera has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SourceControls {
    /// Its picture settings, by group.
    pub controls: Vec<PictureControl>,
    /// Why they are not known now, or what was wanted and is not so; no full stop.
    pub problem: Option<String>,
}

/// What is to be set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ControlPlan {
    /// Switches and words, which decide what other controls do: they are set first, and then it is looked again.
    pub deciding: Vec<(&'static str, Scalar)>,
    /// Numbers.
    pub numbers: Vec<(&'static str, Scalar)>,
    /// What is wanted and cannot be, a sentence each.
    pub problems: Vec<String>,
}

/// Whether a control of this name is known for some source.
pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| known.name == name)
}

/// All names, for a sentence.
pub fn all_names() -> String {
    KNOWN.map(|known| known.name).join(", ")
}

fn label_of(name: &str) -> &str {
    KNOWN.iter().find(|known| known.name == name).map_or(name, |known| known.label)
}

impl PictureControl {
    /// One of this name; `None` where people have no use for it.
    fn new(name: &str, form: ControlForm, default: Option<Scalar>, value: Option<Scalar>) -> Option<Self> {
        let known = KNOWN.iter().find(|known| known.name == name)?;
        let is_one = match &form {
            ControlForm::Range { min, max, step, .. } => min < max && *step > 0.0,
            ControlForm::Menu { choices } => choices.len() > 1,
            ControlForm::Switch => true,
        };
        let (name, label, group) = (known.name, known.label, known.group);
        is_one.then_some(Self { name, label, group, form, default, value, is_active: true })
    }

    /// `wanted` as this control takes it. Errors with a sentence.
    pub fn check(&self, wanted: &Scalar) -> Result<Scalar, String> {
        let label = self.label;
        match (&self.form, wanted) {
            (ControlForm::Switch, Scalar::Flag(_)) => Ok(wanted.clone()),
            (ControlForm::Switch, _) => Err(format!("{label} is on or off: `{}` must be true or false", self.name)),
            (ControlForm::Range { min, max, step, .. }, Scalar::Number(n)) if (*min..=*max).contains(n) => {
                let steps = ((n - min) / step).round();
                Ok(Scalar::Number((min + steps * step).clamp(*min, *max)))
            }
            (ControlForm::Range { min, max, unit, .. }, _) => {
                let (min, max) = (shown(*min), shown(*max));
                let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
                Err(format!(
                    "{label} of this camera goes from {min} to {max}{unit}: `{}` must be within that",
                    self.name
                ))
            }
            (ControlForm::Menu { choices }, Scalar::Text(word)) => {
                let found = choices.iter().find(|choice| choice.value.eq_ignore_ascii_case(word.trim()));
                found.map(|choice| Scalar::Text(choice.value.clone())).ok_or_else(|| self.words(choices))
            }
            (ControlForm::Menu { choices }, _) => Err(self.words(choices)),
        }
    }

    fn words(&self, choices: &[MenuWord]) -> String {
        let all: Vec<_> = choices.iter().map(|choice| format!("\"{}\"", choice.value)).collect();
        format!("{} of this camera knows other words: `{}` must be one of {}", self.label, self.name, all.join(", "))
    }

    fn is(&self, target: &Scalar) -> bool {
        match (&self.value, target, &self.form) {
            (Some(Scalar::Number(is)), Scalar::Number(target), ControlForm::Range { step, .. }) => {
                (is - target).abs() < step / 2.0
            }
            (Some(is), target, _) => is == target,
            (None, ..) => false,
        }
    }
}

/// A number as a person writes it.
fn shown(number: f64) -> String {
    // What single precision made of 0.1.
    let rounded = (number * 1000.0).round() / 1000.0;
    rounded.to_string()
}

/// What of `controls` is to be set: what is wanted and not so, and of what is wanted no more (`let_go`) what the camera has by itself.
pub fn plan(controls: &[PictureControl], wanted: &WantedControls, let_go: &BTreeSet<String>) -> ControlPlan {
    let mut plan = ControlPlan::default();
    let lacking = wanted.keys().filter(|name| controls.iter().all(|control| control.name != name.as_str()));
    plan.problems
        .extend(lacking.map(|name| format!("this camera has no {}: take `{name}` out", label_of(name).to_lowercase())));
    for control in controls {
        let target = match wanted.get(control.name) {
            Some(value) => match control.check(value) {
                Ok(value) => value,
                Err(why) => {
                    plan.problems.push(why);
                    continue;
                }
            },
            None => match control.default.clone().filter(|_| let_go.contains(control.name)) {
                Some(default) => default,
                None => continue,
            },
        };
        if control.is(&target) {
            continue;
        }
        match control.form {
            ControlForm::Switch | ControlForm::Menu { .. } => plan.deciding.push((control.name, target)),
            // It takes no effect, and many refuse it.
            ControlForm::Range { .. } if !control.is_active => {}
            ControlForm::Range { .. } => plan.numbers.push((control.name, target)),
        }
    }
    plan
}

/// By group, each in the order in which they are known; each once.
pub fn arranged(mut controls: Vec<PictureControl>) -> Vec<PictureControl> {
    let place = |name: &str| KNOWN.iter().position(|known| known.name == name);
    controls.sort_by_key(|control| (control.group, place(control.name)));
    controls.dedup_by_key(|control| control.name);
    controls
}

/// Says of sources that do not say so themselves which controls have no effect while the camera does it by itself.
fn settle(controls: &mut [PictureControl]) {
    for (auto, by_hand) in [
        ("exposure_auto", &["exposure_us", "gain"][..]),
        ("white_balance_auto", &["white_balance_temperature", "red_balance", "blue_balance"]),
        ("focus_auto", &["focus"]),
    ] {
        let is_on = controls.iter().any(|c| c.name == auto && c.value == Some(Scalar::Flag(true)));
        controls.iter_mut().filter(|c| by_hand.contains(&c.name)).for_each(|c| c.is_active &= !is_on);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
