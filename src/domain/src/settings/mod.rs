//! How a part of the box reads its own settings. Ranges, defaults and rules stand with whoever lives by them; where the values come
//! from, and how all that is wrong is reported at once, is the business of whoever holds the file.

pub mod changes;
pub mod described;
pub mod named_files;
pub mod password;
pub mod sentences;

use crate::redact::Shown;
use perch_base::Result;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The value of a key that is chosen where it is used.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// true or false.
    Flag(bool),
    /// A number, never one that is none.
    Number(f64),
    /// A text.
    Text(String),
}

impl Scalar {
    /// As JSON has it: whole numbers without a point.
    pub fn json(&self) -> Value {
        match self {
            Self::Flag(flag) => (*flag).into(),
            Self::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => (*n as i64).into(),
            // What single precision made of 0.1 is 0.1.
            Self::Number(n) => ((n * 1e6).round() / 1e6).into(),
            Self::Text(text) => text.as_str().into(),
        }
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

/// What may be said of all, or of some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllOrSome {
    /// Of none.
    None,
    /// Of all.
    All,
    /// Of these.
    Some(Vec<String>),
}

/// The keys of one table. Each is asked for once; what breaks its rule is reported with key, value and rule, and the default is
/// taken, so that reading goes on.
pub trait Keys: Sized {
    /// Whether a key is there.
    fn has(&self, key: &str) -> bool;
    /// Reports a problem with one of this table's keys.
    fn problem(&self, key: &str, value: impl Into<Shown>, rule: &str);
    /// Reports what is odd about one of this table's keys and keeps nothing from working.
    fn warn(&self, key: &str, value: impl Into<Shown>, what: &str);
    /// A table in this one; empty when absent.
    fn section(&mut self, key: &str) -> Self;
    /// An array of tables.
    fn sections(&mut self, key: &str) -> Vec<Self>;
    /// The tables in a table, whose keys people choose: each names `what` by the letters that a camera's id may have; others are reported.
    fn named_sections(&mut self, key: &str, what: &str) -> Vec<(String, Self)>;
    /// A whole number within `range`.
    fn number(&mut self, key: &str, default: i64, range: RangeInclusive<i64>) -> i64;
    /// A number within `range`.
    fn real(&mut self, key: &str, default: f64, range: RangeInclusive<f64>) -> f64;
    /// true or false.
    fn flag(&mut self, key: &str, default: bool) -> bool;
    /// true or false, or nothing.
    fn optional_flag(&mut self, key: &str) -> Option<bool>;
    /// true, for all, or texts that all pass `check`.
    fn all_or_some(&mut self, key: &str, check: impl Fn(&str) -> bool, rule: &str) -> AllOrSome;
    /// A text of so many characters, all of them seen.
    fn text(&mut self, key: &str, default: &str, length: RangeInclusive<usize>) -> String;
    /// Texts that all pass `check`.
    fn texts(&mut self, key: &str, check: impl Fn(&str) -> bool, rule: &str) -> Vec<String>;
    /// A text that `parse` understands. An empty `default` makes the key required. `parse` errors with the rule and does not repeat
    /// the value.
    fn parsed<T>(&mut self, key: &str, default: &str, parse: impl Fn(&str) -> Result<T>) -> Option<T>;
    /// A text that `parse` understands, or nothing. `parse` errors like that of [`Self::parsed`].
    fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T>) -> Option<T>;
    /// One of some words.
    fn choice<T: Copy>(&mut self, key: &str, default: &str, choices: &[(&str, T)]) -> T;
    /// `ADDRESS:PORT`, or nothing.
    fn optional_address(&mut self, key: &str) -> Option<SocketAddr>;
    /// `ADDRESS:PORT`.
    fn address(&mut self, key: &str, default: &str) -> SocketAddr;
    /// Polygons: `[[[x, y], [x, y], …], …]`.
    fn points(&mut self, key: &str) -> Vec<Vec<(f32, f32)>>;
    /// A table of numbers, texts, true and false whose keys all pass `check`.
    fn named_values(&mut self, key: &str, check: impl Fn(&str) -> bool, rule: &str) -> Vec<(String, Scalar)>;
    /// Refuses keys that belong to a later version, saying so.
    fn refuse_later(&mut self, keys: &[&str]);
    /// Refuses every key that nobody asked for.
    fn finish(self);

    /// A whole number within `range` that is no larger than fits.
    fn count(&mut self, key: &str, default: u32, range: RangeInclusive<u32>) -> u32 {
        self.number(key, i64::from(default), i64::from(*range.start())..=i64::from(*range.end())) as u32
    }

    /// A time in whole seconds.
    fn whole_seconds(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let range = range.start().as_secs() as i64..=range.end().as_secs() as i64;
        Duration::from_secs(self.number(key, default.as_secs() as i64, range) as u64)
    }

    /// A time in seconds and parts of them.
    fn seconds(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let range = range.start().as_secs_f64()..=range.end().as_secs_f64();
        Duration::from_secs_f64(self.real(key, default.as_secs_f64(), range))
    }
}
