//! What people switched: it is no configuration, and outlives the box's end.

use super::terms::ProfileName;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What somebody said of a camera, or of the whole box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Off; else on, whatever profile and schedules say.
    pub off: bool,
    /// Who said so; the box itself, where nobody did.
    pub by: Option<String>,
    /// When.
    pub at: Timestamp,
    /// Until when it holds; `None`: until somebody says otherwise.
    pub until: Option<Timestamp>,
}

impl Word {
    /// Whether it still holds at `now`.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// Whether it holds at least as long as one that ends at `until` (`None`: never).
    pub(super) fn outlasts(&self, until: Option<Timestamp>) -> bool {
        self.until.is_none_or(|own| until.is_some_and(|until| own >= until))
    }
}

/// The profile that somebody chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenProfile {
    /// Which.
    pub id: ProfileName,
    /// Who chose it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// All that people switched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Switched {
    /// The word of the whole box, which is only ever that it is off.
    pub whole: Option<Word>,
    /// Words of cameras. One of a camera that went holds again where one of its id comes.
    pub cameras: BTreeMap<CameraId, Word>,
    /// The profile that was chosen.
    pub profile: Option<ChosenProfile>,
}

/// That cameras are to be switched off, or on again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivacyRequest {
    /// Off (privacy is on), or on again.
    pub off: bool,
    /// Which; `None`: the whole box.
    pub cameras: Option<Vec<CameraId>>,
    /// Until when they are off; `None`: until somebody switches them on.
    pub until: Option<Timestamp>,
    /// Who asks.
    pub by: String,
}

impl Switched {
    /// What there was is not known any more. The whole box is off until somebody switches it on: a camera that is off without need is seen
    /// at once and costs a tap, what one showed that was to be off cannot be taken back.
    pub fn unknown(now: Timestamp) -> Self {
        Self { whole: Some(Word { off: true, by: None, at: now, until: None }), ..Self::default() }
    }

    /// What holds of a camera at `now`, if anybody said anything.
    pub(super) fn word(&self, id: &CameraId, now: Timestamp) -> Option<&Word> {
        let holds = |word: &&Word| word.holds(now);
        self.cameras.get(id).filter(holds).or_else(|| self.whole.as_ref().filter(holds))
    }

    /// When words end.
    pub(super) fn ends(&self) -> impl Iterator<Item = Timestamp> {
        self.cameras.values().chain(&self.whole).filter_map(|word| word.until)
    }

    pub(super) fn forget_what_is_over(&mut self, now: Timestamp) {
        self.cameras.retain(|_, word| word.holds(now));
        self.whole = self.whole.take().filter(|word| word.holds(now));
    }
}
