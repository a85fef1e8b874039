//! Motion: the detector over small luma pictures, which pictures it looks at, its configuration, and zones and masks.

mod blobs;
mod detector;
mod grid;
mod light;
mod model;
mod sight;
mod terms;
mod thin;

pub use detector::Detector;
pub use sight::{LIGHT_SWINGS, Sight, SightWatch};
pub use terms::{Cause, Detection, LUMA_HEIGHT, LUMA_WIDTH, Luma, MotionConfig, Polygon, Rect};
pub use thin::Thinner;
