//! That a camera is switched off: by whom, since when and until when. What decides so is in `modes`.

use perch_base::time::Timestamp;
use perch_base::zone::Zone;
use serde::{Deserialize, Serialize};

/// Who or what switched a camera off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum OffBy {
    /// Somebody: the account's name, else the device's.
    Person(String),
    /// The profile of this name.
    Profile(String),
    /// The schedule of these times.
    Schedule(String),
    /// The box itself: what was switched off is not known to it any more.
    Box,
}

impl OffBy {
    /// What they are called in JSON.
    pub const KINDS: [&str; 4] = ["person", "profile", "schedule", "box"];

    /// Whose doing it is, if it is anybody's.
    pub fn person(&self) -> Option<&str> {
        match self {
            Self::Person(name) => Some(name),
            Self::Profile(_) | Self::Schedule(_) | Self::Box => None,
        }
    }

    /// As a sentence goes on behind "switched off".
    pub fn told(&self) -> String {
        match self {
            Self::Person(name) => format!("by {name}"),
            Self::Profile(name) => format!("by the profile {name}"),
            Self::Schedule(times) => format!("by the schedule {times}"),
            Self::Box => "because the box does not know any more what was switched off: switch it on again".into(),
        }
    }
}

/// That a camera is switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SwitchedOff {
    /// By whom.
    pub by: OffBy,
    /// Since when.
    pub since: Timestamp,
    /// When it is on again by itself, as far as is known now.
    pub until: Option<Timestamp>,
}

impl SwitchedOff {
    /// A sentence without its beginning and its end: `switched off by Anna until 18:00`.
    pub fn told(&self, zone: &Zone, now: Timestamp) -> String {
        let until = self.until.map(|until| format!(" until {}", zone.told(until, now)));
        format!("switched off {}{}", self.by.told(), until.unwrap_or_default())
    }
}
