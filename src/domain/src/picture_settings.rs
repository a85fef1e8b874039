//! What is done to a camera's pictures before anybody gets them: what is covered. Only what the box encodes itself can be changed so.

use crate::motion::{Polygon, polygons};
use crate::network_camera::SourceKind;
use crate::privacy_mask::MOST_MASKS;
use crate::redact::Shown;
use crate::settings::Keys;

/// What is done to a camera's pictures. All of it has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureSettings {
    /// Painted over before the encoder: nobody sees what is there, live or recorded.
    pub privacy: Vec<Polygon>,
}

impl PictureSettings {
    /// Reads `privacy` of a camera with this source.
    pub(crate) fn read(keys: &mut impl Keys, source: SourceKind<'_>) -> Self {
        let has_masks = keys.has("privacy");
        let mut privacy = polygons(keys, "privacy");
        if privacy.len() > MOST_MASKS {
            keys.problem("privacy", privacy.len() as i64, &format!("must be at most {MOST_MASKS} masks"));
            privacy.truncate(MOST_MASKS);
        }
        if has_masks && !privacy.is_empty() && matches!(source, SourceKind::Network(_)) {
            let rule = "cannot be: the camera encodes its pictures itself, and the box passes them on as they come";
            keys.problem("privacy", Shown::nothing(), rule);
        }
        Self { privacy }
    }

    /// Whether the box has to encode the pictures itself for it.
    pub fn needs_encoding(&self) -> bool {
        !self.privacy.is_empty()
    }
}
