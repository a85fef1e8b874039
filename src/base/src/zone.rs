//! Time zones: what the clock on the wall shows at a moment, and when it shows something. Where a zone's rules come from is the system's
//! database, and the one that is built in where the system has none.

use crate::time::{DAY_US, Timestamp};
use crate::{Error, Result};
use jiff::tz::{Offset, TimeZone};
use std::fmt;

/// A minute, microseconds.
const MINUTE_US: i64 = 60_000_000;

/// A time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

/// What the clock on the wall shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wall {
    /// The day, counted from 1970-01-01.
    pub day: i64,
    /// Minutes since its midnight, as the clock shows them.
    pub minute: u16,
}

impl Wall {
    /// The day of the week, Monday is 0.
    pub fn weekday(self) -> usize {
        // 1970-01-01 was a Thursday.
        (self.day + 3).rem_euclid(7) as usize
    }
}

impl Zone {
    /// The zone of this name, such as `Europe/Zurich`. Errors with [`crate::ErrorKind::Invalid`] and the rule.
    pub fn named(name: &str) -> Result<Self> {
        let bad = "must be a time zone's name such as Europe/Zurich, America/New_York or UTC";
        TimeZone::get(name).map(Self).map_err(|e| Error::invalid(bad).with_source(e))
    }

    /// The zone that the system is set to, else UTC. It may change while the box runs.
    pub fn of_system() -> Self {
        Self(TimeZone::system())
    }

    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Its name, where it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.iana_name()
    }

    /// What the clock on the wall shows at `at`.
    pub fn wall(&self, at: Timestamp) -> Wall {
        let shown = self.0.to_datetime(at.to_jiff());
        let as_utc = Offset::UTC.to_timestamp(shown).map_or(at.0, |t| t.as_microsecond());
        let minute = as_utc.rem_euclid(DAY_US) / MINUTE_US;
        Wall { day: as_utc.div_euclid(DAY_US), minute: minute as u16 }
    }

    /// When the clock on the wall shows `wall` (a minute of 1440 is the next midnight): the first time where it shows it twice, and as much
    /// after the leap as it would be before it where it never does.
    pub fn when(&self, wall: Wall) -> Timestamp {
        let as_utc = Timestamp(wall.day.saturating_mul(DAY_US).saturating_add(i64::from(wall.minute) * MINUTE_US));
        let shown = Offset::UTC.to_datetime(as_utc.to_jiff());
        self.0.to_ambiguous_timestamp(shown).compatible().map_or(as_utc, |t| Timestamp(t.as_microsecond()))
    }

    /// Day and time of day to the second as this zone has them, such as `2026-05-01 18:00:03`.
    pub fn stamp(&self, at: Timestamp) -> String {
        self.0.to_datetime(at.to_jiff()).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// A moment as people of this zone say it at `now`: `18:00` of the same day, else with its date.
    pub fn told(&self, at: Timestamp, now: Timestamp) -> String {
        let wall = self.wall(at);
        let clock = format!("{:02}:{:02}", wall.minute / 60, wall.minute % 60);
        match wall.day.saturating_sub(self.wall(now).day) {
            0 => clock,
            1 => format!("{clock} tomorrow"),
            _ => format!("{clock} on {}", self.0.to_datetime(at.to_jiff()).date()),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn the_clock_on_the_wall_leaps() {
        let zurich = Zone::named("Europe/Zurich").expect("known");
        let wall = |text: &str| zurich.wall(at(text));
        let spring = wall("2026-03-29T00:30:00Z");
        assert_eq!((spring.minute, spring.weekday()), (90, 6), "half past one on a Sunday");
        assert_eq!(wall("2026-03-29T01:00:00Z").minute, 180, "two o'clock is three");
        for (hour, minute, when) in [
            (1, 59, "2026-03-29T00:59:00Z"),
            (2, 30, "2026-03-29T01:30:00Z"),
            (3, 30, "2026-03-29T01:30:00Z"),
            (24, 0, "2026-03-29T22:00:00Z"),
        ] {
            let wanted = Wall { day: spring.day, minute: hour * 60 + minute };
            assert_eq!(zurich.when(wanted), at(when), "{hour}:{minute:02}");
        }
        let autumn = wall("2026-10-25T00:30:00Z");
        assert_eq!(autumn, wall("2026-10-25T01:30:00Z"), "twice half past two");
        assert_eq!(zurich.when(autumn), at("2026-10-25T00:30:00Z"), "the first");
    }

    #[test]
    fn a_stamp_is_of_its_zone() {
        let zurich = Zone::named("Europe/Zurich").expect("known");
        assert_eq!(zurich.stamp(at("2026-12-31T23:30:05Z")), "2027-01-01 00:30:05");
        assert_eq!(Zone::utc().stamp(at("2026-12-31T23:30:05Z")), "2026-12-31 23:30:05");
    }

    #[test]
    fn moments_are_told_as_people_say_them() {
        let zurich = Zone::named("Europe/Zurich").expect("known");
        let now = at("2026-05-01T12:00:00Z");
        for (text, want) in [
            ("2026-05-01T16:00:00Z", "18:00"),
            ("2026-05-02T05:00:00Z", "07:00 tomorrow"),
            ("2026-05-04T05:00:00Z", "07:00 on 2026-05-04"),
        ] {
            assert_eq!(zurich.told(at(text), now), want);
        }
    }

    #[test]
    fn only_zones_that_there_are() {
        for bad in ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "Europe/Zurich\n"] {
            assert!(Zone::named(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Zone::named("Asia/Kathmandu").expect("known").to_string(), "Asia/Kathmandu");
        assert_eq!(Zone::utc().to_string(), "UTC");
    }

    #[test]
    fn extreme_moments_do_not_panic() {
        let zone = Zone::named("Pacific/Apia").expect("known");
        for t in [Timestamp(i64::MIN), Timestamp(i64::MAX), Timestamp(0)] {
            let _ = (zone.when(zone.wall(t)), zone.told(t, Timestamp(0)));
        }
        for day in [i64::MIN, i64::MAX] {
            let _ = zone.when(Wall { day, minute: 1440 });
        }
    }
}
