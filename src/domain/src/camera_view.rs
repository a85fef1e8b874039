//! In which order somebody wants to see the cameras, and which are dear to them: kept per account, so that all their devices agree.

use crate::access::{Object, Permission, Principal};
use perch_base::ids::CameraId;
use perch_base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Cameras that one view names at most: more than any box bears, and little to keep for each account.
pub const MAX_VIEW_CAMERAS: usize = 256;

/// How one person wants the cameras shown. Cameras that are no more may stand in it: they may come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraView {
    /// Those that were moved, the first first; all others follow as the box lists them.
    pub order: Vec<CameraId>,
    /// Those that are marked, in no order of their own.
    pub favourites: Vec<CameraId>,
}

impl CameraView {
    /// As it came from outside. Errors with `Invalid` where a list is longer than [`MAX_VIEW_CAMERAS`] or names a camera twice.
    pub fn check(&self) -> Result<()> {
        for (key, list) in [("order", &self.order), ("favourites", &self.favourites)] {
            if list.len() > MAX_VIEW_CAMERAS {
                return Err(Error::invalid(format!("{key}: must be at most {MAX_VIEW_CAMERAS} cameras")));
            }
            let mut seen = BTreeSet::new();
            if let Some(twice) = list.iter().find(|id| !seen.insert(*id)) {
                return Err(Error::invalid(format!("{key}: names `{twice}` twice")));
            }
        }
        Ok(())
    }

    /// What of it is about cameras that `who` may see: what is not granted stands in no list.
    pub fn seen_by(mut self, who: &Principal) -> Self {
        for list in [&mut self.order, &mut self.favourites] {
            list.retain(|id| who.may(Permission::Watch, Object::Camera(id)));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CameraGrant, GrantLimits, Role};
    use perch_base::ids::DeviceId;

    fn ids(names: &[&str]) -> Vec<CameraId> {
        names.iter().map(|name| CameraId::new(name).expect("valid")).collect()
    }

    #[test]
    fn a_view_names_each_camera_once_and_not_too_many() {
        let view = |order: &[&str], favourites: &[&str]| CameraView { order: ids(order), favourites: ids(favourites) };
        assert!(view(&[], &[]).check().is_ok());
        assert!(view(&["yard", "front"], &["front"]).check().is_ok());
        let twice = view(&["yard"], &["front", "yard", "front"]).check().expect_err("twice");
        assert_eq!(twice.to_string(), "favourites: names `front` twice");
        let many: Vec<_> = (0..=MAX_VIEW_CAMERAS).map(|n| format!("c{n}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(view(&many[1..], &[]).check().is_ok());
        assert_eq!(view(&many, &[]).check().expect_err("many").to_string(), "order: must be at most 256 cameras");
    }

    #[test]
    fn nobody_hears_of_a_camera_that_is_not_theirs() {
        let who = Principal {
            device_id: DeviceId::parse("00000000000000000000000000000001").expect("valid"),
            device_name: "phone".into(),
            username: None,
            role: Role::Viewer,
            cameras: CameraGrant::Only(ids(&["front"]).into_iter().collect()),
            limits: GrantLimits::NONE,
        };
        let all = CameraView { order: ids(&["yard", "front"]), favourites: ids(&["yard"]) };
        assert_eq!(all.seen_by(&who), CameraView { order: ids(&["front"]), favourites: vec![] });
    }
}
