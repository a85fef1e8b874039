//! Motion: the detector over small luma pictures, how they are made from large ones, which are looked at, its configuration, zones and masks.

mod batch;
mod blobs;
mod detector;
mod grid;
mod light;
mod model;
mod roles;
mod shrink;
mod sight;
mod terms;
mod thin;

pub use batch::{Batch, PictureRole};
pub use detector::Detector;
pub use roles::Roles;
pub use shrink::area_average;
pub use sight::{LIGHT_SWINGS, Sight, SightWatch};
pub(crate) use terms::polygons;
pub use terms::{Cause, Detection, LUMA_HEIGHT, LUMA_WIDTH, Luma, MotionConfig, Polygon, Rect};
pub use thin::Thinner;
