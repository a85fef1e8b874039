//! Zones and masks of a camera whose picture is turned: they are parts of the turned picture, and have to be turned along to cover the same
//! part of the scene. Pure.

use crate::camera::CameraConfig;
use crate::motion::Polygon;
use crate::orientation::Orientation;

/// Corners are kept in millionths of the picture: what is read as 0.3 is written as 0.3, and a pixel is more.
const PRECISION: f64 = 1e6;

/// The lists of areas that a camera has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AreaKind {
    /// `privacy`: what nobody sees.
    Privacy,
    /// `motion.zones`: where motion counts.
    Zones,
    /// `motion.masks`: where it never does.
    Masks,
}

perch_base::all_of!(AreaKind { Privacy, Zones, Masks });

impl AreaKind {
    fn of(self, camera: &CameraConfig) -> &[Polygon] {
        match self {
            Self::Privacy => &camera.picture.privacy,
            Self::Zones => &camera.motion.zones,
            Self::Masks => &camera.motion.masks,
        }
    }
}

/// A corner as it stands in the file.
pub fn written(&(x, y): &(f32, f32)) -> [f64; 2] {
    [f64::from(x), f64::from(y)].map(|part| (part * PRECISION).round() / PRECISION)
}

/// The same part of the scene, once the picture is turned like `to` and no longer like `from`.
pub fn turned(area: &Polygon, from: Orientation, to: Orientation) -> Polygon {
    let more = from.undone().and_then(to);
    area.with_corners(|corner| {
        let [x, y] = written(corner);
        let (x, y) = more.of_point((x, y));
        (((x * PRECISION).round() / PRECISION) as f32, ((y * PRECISION).round() / PRECISION) as f32)
    })
}

/// What of `new` is left as it was in `old` though its picture is turned otherwise, as it has to be to cover the same part of the scene.
pub fn to_follow(old: &CameraConfig, new: &CameraConfig) -> Vec<(AreaKind, Vec<Polygon>)> {
    let (from, to) = (old.picture.turned, new.picture.turned);
    if from == to {
        return Vec::new();
    }
    let is_left = |kind: &AreaKind| !kind.of(new).is_empty() && kind.of(new) == kind.of(old);
    let all = AreaKind::ALL.iter().copied().filter(is_left);
    all.map(|kind| (kind, kind.of(old).iter().map(|area| turned(area, from, to)).collect())).collect()
}

/// What people are told of the areas of `new` where its picture is turned otherwise than in `old`; nothing where there is nothing to say.
pub fn effect(old: &CameraConfig, new: &CameraConfig) -> Option<&'static str> {
    let (from, to) = (old.picture.turned, new.picture.turned);
    if from == to || AreaKind::ALL.iter().all(|kind| kind.of(new).is_empty()) {
        return None;
    }
    let follows = |kind: &AreaKind| {
        let wanted = kind.of(old).iter().map(|area| turned(area, from, to));
        kind.of(new).iter().cloned().eq(wanted)
    };
    Some(match AreaKind::ALL.iter().all(follows) {
        true => "its zones and masks are turned with the picture",
        false => "its zones and masks are parts of the turned picture: look whether they still cover what they should",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn polygon(corners: &[(f32, f32)]) -> Polygon {
        Polygon::new(corners.to_vec()).expect("a polygon")
    }

    /// What becomes of `0.1, 0.3` of the picture as the camera sees it, by the turn.
    const SEEN: [((u32, bool), (f32, f32)); 8] = [
        ((0, false), (0.1, 0.3)),
        ((90, false), (0.7, 0.1)),
        ((180, false), (0.9, 0.7)),
        ((270, false), (0.3, 0.9)),
        ((0, true), (0.9, 0.3)),
        ((90, true), (0.7, 0.9)),
        ((180, true), (0.1, 0.7)),
        ((270, true), (0.3, 0.1)),
    ];

    #[test]
    fn an_area_stays_on_the_same_part_of_the_scene() {
        let orientation = |(degrees, mirrored): (u32, bool)| Orientation { mirrored, quarters: (degrees / 90) as u8 };
        for ((from, old), (to, new)) in SEEN.iter().flat_map(|from| SEEN.iter().map(move |to| (from, to))) {
            let of = |corner: (f32, f32)| polygon(&[corner; 3]);
            let got = turned(&of(*old), orientation(*from), orientation(*to));
            assert_eq!(got, of(*new), "{from:?} to {to:?}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_where_it_was(
            corners in prop::collection::vec((0.0f32..=1.0, 0.0f32..=1.0), 3..=64),
            from in 0u8..8,
            to in 0u8..8,
        ) {
            let (from, to) = (Orientation::from_number(from), Orientation::from_number(to));
            let area = polygon(&corners);
            let there = turned(&area, from, to);
            prop_assert!(Polygon::new(there.corners().to_vec()).is_ok());
            let back = turned(&there, to, from);
            let kept = |area: &Polygon| area.corners().iter().map(written).collect::<Vec<_>>();
            prop_assert_eq!(kept(&back), kept(&area));
        }
    }
}
