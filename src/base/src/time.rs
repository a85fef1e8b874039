//! Instants: [`Timestamp`] is UTC for people and files, [`MonoTime`] is the box's steady clock for media and deadlines.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A day, microseconds.
pub const DAY_US: i64 = 86_400_000_000;

/// A day.
pub const DAY: Duration = Duration::from_micros(DAY_US as u64);

/// A moment in UTC, microseconds since the Unix epoch; RFC 3339 outside the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A moment on the box's steady clock, microseconds since that clock's zero. It never jumps; media time stamps and deadlines use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MonoTime(pub i64);

impl Timestamp {
    /// Parses RFC 3339 with an offset or `Z`. Errors with [`crate::ErrorKind::Invalid`].
    pub fn parse(text: &str) -> Result<Self> {
        let parsed: jiff::Timestamp = text
            .parse()
            .map_err(|e| Error::invalid(format!("`{text}` is not a time like 2026-05-01T12:00:00Z")).with_source(e))?;
        Ok(Self(parsed.as_microsecond()))
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> i64 {
        self.0
    }

    /// `self` minus `earlier`, in microseconds; negative when `earlier` is later.
    pub fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Adds signed microseconds, saturating.
    pub fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// The UTC day, counted from the epoch.
    pub fn day(self) -> i64 {
        self.0.div_euclid(DAY_US)
    }

    /// `(YYYY-MM-DD, HHMMSS.mmm)` in UTC, as recordings are named.
    pub fn file_parts(self) -> (String, String) {
        let ts = self.to_jiff();
        let dt = jiff::tz::Offset::UTC.to_datetime(ts);
        (
            format!("{:04}-{:02}-{:02}", dt.year(), dt.month(), dt.day()),
            format!("{:02}{:02}{:02}.{:03}", dt.hour(), dt.minute(), dt.second(), dt.millisecond()),
        )
    }

    pub(crate) fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.to_jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(d.as_micros() as i64))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(d.as_micros() as i64))
    }
}

impl MonoTime {
    /// `self` minus `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0).max(0) as u64)
    }

    /// `self` minus `earlier`, in microseconds, signed.
    pub fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for MonoTime {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(d.as_micros() as i64))
    }
}

impl Sub<Duration> for MonoTime {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(d.as_micros() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_rfc3339() {
        let t = Timestamp::parse("2026-05-01T12:34:56.789Z").expect("valid");
        assert_eq!(t.to_string(), "2026-05-01T12:34:56.789000Z");
        assert_eq!(Timestamp::parse("2026-05-01T14:34:56.789+02:00").expect("valid"), t);
        assert_eq!(t.file_parts(), ("2026-05-01".into(), "123456.789".into()));
        assert!(Timestamp::parse("yesterday").is_err());
    }

    #[test]
    fn extreme_values_do_not_panic() {
        for t in [Timestamp(i64::MIN), Timestamp(i64::MAX)] {
            let _ = (t.to_string(), t.file_parts(), t + Duration::MAX, t - Duration::from_secs(1));
        }
    }
}
