//! Words of profiles and schedules: the name of a profile, and the cameras that something is said of.

use crate::settings::{AllOrSome, Keys};
use perch_base::ids::CameraId;
use perch_base::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Names a profile: letters and digits like a camera's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProfileName(Arc<str>);

impl ProfileName {
    /// Checks and wraps `text`. Errors with `Invalid` and the rule.
    pub fn new(text: &str) -> Result<Self> {
        let rule = "must be 1 to 32 of a-z, 0-9, `-` and `_`, starting with a letter or digit";
        CameraId::new(text).map(|_| Self(text.into())).map_err(|_| Error::invalid(rule))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProfileName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// Cameras that something is said of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// None.
    #[default]
    None,
    /// All, also those that are added later.
    All,
    /// These.
    Some(BTreeSet<CameraId>),
}

impl Which {
    /// Whether this one is among them.
    pub fn includes(&self, id: &CameraId) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Some(ids) => ids.contains(id),
        }
    }

    /// Reads `key`: true for all, or a list of ids.
    pub(super) fn read(keys: &mut impl Keys, key: &str) -> Self {
        let rule = "must be true, for all cameras, or a list of cameras' ids";
        match keys.all_or_some(key, |id| CameraId::new(id).is_ok(), rule) {
            AllOrSome::None => Self::None,
            AllOrSome::All => Self::All,
            AllOrSome::Some(ids) => {
                let ids: BTreeSet<_> = ids.iter().filter_map(|id| CameraId::new(id).ok()).collect();
                if ids.is_empty() { Self::None } else { Self::Some(ids) }
            }
        }
    }
}
