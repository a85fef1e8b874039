//! Which cameras are switched off, by whom and until when, and which profile is laid over what they are configured to be. Pure: from the
//! configuration, what people switched, and the time on the clock on the wall.
//!
//! The rule: what a person says of a camera counts before what a person says of the whole box, and that before profile and schedules. Of
//! these, a camera is off where any says so. A profile that a person chose counts before those of schedules; of schedules that name one,
//! the one that stands first in the file.

mod config;
mod decide;
mod ends_clock;
mod port;
mod schedule;
mod terms;
mod words;

#[cfg(test)]
mod tests;

pub use config::{ModesConfig, Profile, ProfileCamera};
pub use decide::{ActiveProfile, Deciding, Modes, ModesView, NamedProfile, OffCamera, ProfileBy};
pub use ends_clock::EndsClock;
pub use port::ModesPort;
pub use schedule::{Days, MINUTES_A_DAY, Schedule, time_of_day};
pub use terms::{ProfileName, Which};
pub use words::{ChosenProfile, PrivacyRequest, Switched, Word};
