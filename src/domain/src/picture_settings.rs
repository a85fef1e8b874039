//! What is done to a camera's pictures before anybody gets them: how they are turned, what is covered. Only what the box encodes itself can be
//! covered; a network camera's pictures are passed on as they come unless the box is told to encode them anew.

use crate::motion::{Polygon, polygons};
use crate::network_camera::SourceKind;
use crate::orientation::Orientation;
use crate::picture_controls::{self, WantedControls};
use crate::privacy_mask::MOST_MASKS;
use crate::redact::Shown;
use crate::settings::Keys;

/// What is done to a camera's pictures. All of it has its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureSettings {
    /// The box encodes what a camera encoded itself once more.
    pub encode: bool,
    /// How they are turned.
    pub turned: Orientation,
    /// What is written into them.
    pub overlay: Overlay,
    /// Painted over before the encoder: nobody sees what is there, live or recorded. In parts of the turned picture.
    pub privacy: Vec<Polygon>,
    /// What the camera itself is to be set to.
    pub controls: WantedControls,
}

/// What is written into pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Day and time of day, in the box's time zone.
    pub time: bool,
    /// The camera's name.
    pub name: bool,
}

impl Overlay {
    fn read(mut keys: impl Keys) -> Self {
        let read = Self { time: keys.flag("time", false), name: keys.flag("name", false) };
        keys.finish();
        read
    }

    /// Whether something is written at all.
    pub fn is_any(self) -> bool {
        self.time || self.name
    }
}

impl PictureSettings {
    /// Reads `encode`, `rotation`, `mirror`, `overlay`, `privacy` and `controls` of a camera with this source.
    pub(crate) fn read(keys: &mut impl Keys, source: SourceKind<'_>) -> Self {
        let is_network = matches!(source, SourceKind::Network(_));
        let encode = keys.flag("encode", false);
        if encode && is_network && keys.has("sub_source") {
            let rule = "must not stand beside `encode = true`: the small stream is then made of what the box encodes";
            keys.problem("sub_source", Shown::nothing(), rule);
        }
        let degrees = keys.number("rotation", 0, 0..=270);
        if degrees % 90 != 0 {
            keys.problem("rotation", degrees, "must be 0, 90, 180 or 270 degrees clockwise");
        }
        let turned = Orientation { mirrored: keys.flag("mirror", false), quarters: (degrees / 90) as u8 };
        let overlay = Overlay::read(keys.section("overlay"));
        if overlay.is_any() && is_network && !encode {
            let rule = "needs `encode = true`: else the box passes a network camera's pictures on as they come";
            keys.problem("overlay", Shown::nothing(), rule);
        }
        let has_masks = keys.has("privacy");
        let mut privacy = polygons(keys, "privacy");
        if privacy.len() > MOST_MASKS {
            keys.problem("privacy", privacy.len() as i64, &format!("must be at most {MOST_MASKS} masks"));
            privacy.truncate(MOST_MASKS);
        }
        if has_masks && !privacy.is_empty() && is_network && !encode {
            let rule = "needs `encode = true`: else the box passes a network camera's pictures on as they come";
            keys.problem("privacy", Shown::nothing(), rule);
        }
        let rule = format!("is no picture setting: there are {}", picture_controls::all_names());
        let controls = keys.named_values("controls", picture_controls::is_known, &rule).into_iter().collect();
        Self { encode, turned, overlay, privacy, controls }
    }

    /// Whether the box has to encode the pictures itself for it.
    pub fn needs_encoding(&self) -> bool {
        self.encode || self.overlay.is_any() || !self.privacy.is_empty()
    }
}
