//! Schedules: days of the week with a time from which and one until which something holds, as the clock on the wall shows them.

use super::terms::{ProfileName, Which};
use crate::settings::Keys;
use perch_base::time::Timestamp;
use perch_base::zone::{Wall, Zone};
use perch_base::{Error, Result};

/// The days, Monday first, as the config names them.
pub const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes of a day.
pub const MINUTES_A_DAY: u16 = 24 * 60;

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days([bool; 7]);

impl Days {
    /// Every day.
    pub const ALL: Self = Self([true; 7]);

    /// Whether this names a day.
    pub fn is_day(name: &str) -> bool {
        DAY_NAMES.contains(&name)
    }

    /// The days of these names; none named is every day.
    pub fn of(names: &[String]) -> Self {
        if names.is_empty() {
            return Self::ALL;
        }
        Self(DAY_NAMES.map(|day| names.iter().any(|name| name == day)))
    }

    /// Whether this day of the week, Monday is 0, is one of them.
    pub fn includes(self, weekday: usize) -> bool {
        self.0.get(weekday).copied().unwrap_or_default()
    }
}

/// What holds at some hours of some days.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The days on which it begins.
    pub days: Days,
    /// Minutes after midnight at which it begins.
    pub from_min: u16,
    /// Minutes after midnight at which it ends: of the next day where that is no later than its beginning.
    pub to_min: u16,
    /// The profile that is active then.
    pub profile: Option<ProfileName>,
    /// The cameras that are off then.
    pub off: Which,
}

impl Schedule {
    /// Reads a `[[schedule]]`.
    pub fn read(mut keys: impl Keys) -> Option<Self> {
        let rule = "must be days such as \"mon\": mon, tue, wed, thu, fri, sat, sun";
        let days = keys.texts("days", |day| DAY_NAMES.contains(&day), rule);
        let (from, to) = (keys.parsed("from", "", time_of_day), keys.parsed("to", "", time_of_day));
        let profile = keys.optional("profile", ProfileName::new);
        let off = Which::read(&mut keys, "off");
        if from.is_some() && from == to {
            keys.problem(
                "to",
                told(to.unwrap_or_default()).as_str(),
                "must differ from `from`; a whole day is 00:00 to 24:00",
            );
        }
        if from == Some(MINUTES_A_DAY) {
            keys.problem("from", "24:00", "must be 00:00 to 23:59");
        }
        keys.finish();
        Some(Self { days: Days::of(&days), from_min: from?, to_min: to?, profile, off })
    }

    /// From when to when it holds where it begins on this day; `None` where it does not begin then. A day on which the clock leaps may make
    /// it shorter or longer, or leave nothing of it.
    pub fn span(&self, zone: &Zone, day: i64) -> Option<(Timestamp, Timestamp)> {
        let begins = Wall { day, minute: self.from_min };
        if !self.days.includes(begins.weekday()) {
            return None;
        }
        let end_day = if self.to_min > self.from_min { day } else { day.saturating_add(1) };
        let (start, end) = (zone.when(begins), zone.when(Wall { day: end_day, minute: self.to_min }));
        (start < end).then_some((start, end))
    }

    /// Since when it holds, if it does at `at`.
    pub fn active(&self, zone: &Zone, at: Timestamp) -> Option<Timestamp> {
        let today = zone.wall(at).day;
        // One that began yesterday may go on; where the clock leaps over midnight, today's may have begun before.
        let spans = (-1..=1).filter_map(|days| self.span(zone, today.saturating_add(days)));
        spans.filter(|(start, end)| (*start..*end).contains(&at)).map(|(start, _)| start).min()
    }

    /// Its times, for people.
    pub fn times(&self) -> String {
        format!("{} to {}", told(self.from_min), told(self.to_min))
    }
}

fn told(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Minutes after midnight. Errors with the rule.
pub fn time_of_day(text: &str) -> Result<u16> {
    let parse = || {
        let (hours, minutes) = text.split_once(':')?;
        let is_two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        let (hours, minutes) = (Some(hours).filter(|h| is_two_digits(h))?, Some(minutes).filter(|m| is_two_digits(m))?);
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (minutes < 60 && hours * 60 + minutes <= MINUTES_A_DAY).then_some(hours * 60 + minutes)
    };
    parse().ok_or_else(|| Error::invalid("must be a time of day such as 07:30, 00:00 to 24:00"))
}
