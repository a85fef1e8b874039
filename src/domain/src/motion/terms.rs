//! What the detector is given and what it says: pictures, zones and masks, its configuration, its word on a picture.

use crate::redact::Shown;
use crate::settings::Keys;
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Width of the pictures the detector sees.
pub const LUMA_WIDTH: usize = 320;
/// Height of the pictures the detector sees.
pub const LUMA_HEIGHT: usize = 180;

/// A small grey picture, [`LUMA_WIDTH`] x [`LUMA_HEIGHT`], one byte a pixel, row by row, no padding.
#[derive(Clone, Copy, Debug)]
pub struct Luma<'a> {
    /// Exactly `LUMA_WIDTH * LUMA_HEIGHT` bytes.
    pub pixels: &'a [u8],
    /// When it was captured.
    pub pts: MonoTime,
}

/// A rectangle in parts of the picture, 0..1, origin top left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

/// Why a picture was or was not judged to hold motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing changed.
    Quiet,
    /// Something moves.
    Motion,
    /// The whole picture changed at once: light, exposure, a camera that was moved.
    GlobalChange,
    /// The model is still learning the scene.
    Learning,
    /// Changes that repeat in place: leaves, water, flicker.
    Flutter,
}

perch_base::all_of!(Cause { Quiet, Motion, GlobalChange, Learning, Flutter });

/// The detector's word on one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// When the picture was captured.
    #[serde(skip)]
    pub pts: MonoTime,
    /// Whether it counts as motion.
    pub motion: bool,
    /// Share of the picture that the largest moving thing covers, 0..1.
    pub score: f32,
    /// Why.
    pub cause: Cause,
    /// The moving things, largest first, at most 8.
    pub boxes: Vec<Rect>,
}

/// A polygon of at least three corners in parts of the picture, 0..1.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon {
    corners: Vec<(f32, f32)>,
}

impl Polygon {
    /// Checks and wraps corners. Errors with [`perch_base::ErrorKind::Invalid`].
    pub fn new(corners: Vec<(f32, f32)>) -> Result<Self> {
        if !(3..=64).contains(&corners.len()) {
            return Err(Error::invalid(format!("a polygon of {} corners: must have 3 to 64", corners.len())));
        }
        if let Some((x, y)) = corners.iter().find(|(x, y)| !(0.0..=1.0).contains(x) || !(0.0..=1.0).contains(y)) {
            return Err(Error::invalid(format!("corner [{x}, {y}]: both must be within 0 and 1")));
        }
        Ok(Self { corners })
    }

    /// Its corners.
    pub fn corners(&self) -> &[(f32, f32)] {
        &self.corners
    }

    /// With each corner where `to` brings it, kept within the picture.
    pub fn with_corners(&self, to: impl Fn(&(f32, f32)) -> (f32, f32)) -> Self {
        let within = |(x, y): (f32, f32)| (x.clamp(0.0, 1.0), y.clamp(0.0, 1.0));
        Self { corners: self.corners.iter().map(|corner| within(to(corner))).collect() }
    }

    /// Whether the point lies inside (even-odd rule).
    pub fn contains(&self, x: f32, y: f32) -> bool {
        let mut inside = false;
        let mut j = self.corners.len() - 1;
        for i in 0..self.corners.len() {
            let ((xi, yi), (xj, yj)) = (self.corners[i], self.corners[j]);
            if (yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi {
                inside = !inside;
            }
            j = i;
        }
        inside
    }
}

/// What counts as motion for a camera.
#[derive(Clone, Debug, PartialEq)]
pub struct MotionConfig {
    /// Off: no luma is made and no events come.
    pub enabled: bool,
    /// 0 (only large, strong changes) to 1 (everything); 0.5 suits most scenes.
    pub sensitivity: f32,
    /// The least share of the picture that a moving thing must cover, 0..1.
    pub min_area: f32,
    /// Only here; empty means everywhere.
    pub zones: Vec<Polygon>,
    /// Never here.
    pub masks: Vec<Polygon>,
    /// Pictures a second that are looked at, 5 to 10.
    pub fps: u32,
}

impl Default for MotionConfig {
    fn default() -> Self {
        Self { enabled: true, sensitivity: 0.5, min_area: 0.001, zones: Vec::new(), masks: Vec::new(), fps: 5 }
    }
}

impl MotionConfig {
    /// What [`Self::sensitivity`] may be.
    pub const SENSITIVITY: RangeInclusive<f64> = 0.0..=1.0;

    /// Reads `motion` of a camera.
    pub fn read(mut keys: impl Keys) -> Self {
        let d = Self::default();
        let read = Self {
            enabled: keys.flag("enabled", d.enabled),
            sensitivity: keys.real("sensitivity", f64::from(d.sensitivity), Self::SENSITIVITY) as f32,
            min_area: keys.real("min_area", f64::from(d.min_area), 0.0..=1.0) as f32,
            zones: polygons(&mut keys, "zones"),
            masks: polygons(&mut keys, "masks"),
            fps: keys.count("fps", d.fps, 5..=10),
        };
        keys.finish();
        read
    }
}

/// Reads the polygons of `key`; each that is wrong is reported.
pub(crate) fn polygons(keys: &mut impl Keys, key: &str) -> Vec<Polygon> {
    let corners = keys.points(key);
    let read = |corners| Polygon::new(corners).map_err(|e| keys.problem(key, Shown::nothing(), e.message())).ok();
    corners.into_iter().filter_map(read).collect()
}
