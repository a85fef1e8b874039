//! Newtypes for everything that has an identity. Camera ids come from people and are checked; all others are made by the box.

use crate::secret::random_bytes;
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A camera's id: 1 to 32 of `a-z 0-9 - _`, starting with a letter or digit. It becomes a folder name and a path of URLs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CameraId(Arc<str>);

impl CameraId {
    /// How many characters an id has.
    const LENGTH: RangeInclusive<usize> = 1..=32;
    /// What may stand in an id beside letters and digits, but not at its start.
    const MARKS: &str = "_-";

    /// The rule of [`Self::new`] as a regular expression (ECMA-262).
    pub fn pattern() -> String {
        format!("^[a-z0-9][a-z0-9{}]{{0,{}}}$", Self::MARKS, Self::LENGTH.end() - 1)
    }

    /// Checks and wraps `text`. Errors with [`crate::ErrorKind::Invalid`].
    pub fn new(text: &str) -> Result<Self> {
        let ok = Self::LENGTH.contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || Self::MARKS.as_bytes().contains(&b))
            && text.as_bytes()[0].is_ascii_alphanumeric();
        if ok {
            Ok(Self(text.into()))
        } else {
            let (least, most) = (Self::LENGTH.start(), Self::LENGTH.end());
            // What was given is not repeated: a mistake in the config may put an address with its password here.
            Err(Error::invalid(format!(
                "a camera's id must be {least} to {most} of a-z, 0-9, `-` and `_`, starting with a letter or digit"
            )))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CameraId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

// `$word` is what people call it.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl $name {
            /// A new random id (128 bit).
            pub fn random() -> Self {
                Self(u128::from_be_bytes(random_bytes::<16>()))
            }

            /// Parses 32 lower-case hex digits. Errors with [`crate::ErrorKind::NotFound`]: an id of another form names nothing.
            pub fn parse(text: &str) -> Result<Self> {
                if text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
                    if let Ok(n) = u128::from_str_radix(text, 16) {
                        return Ok(Self(n));
                    }
                }
                Err(Error::not_found(concat!("there is no such ", $word)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

random_id!(
    /// A paired phone or a signed-in browser.
    DeviceId,
    "device"
);
random_id!(
    /// One live session; names its lease in URLs.
    LeaseId,
    "live session"
);
random_id!(
    /// One stored announcement.
    AnnouncementId,
    "announcement"
);

macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl $name {
            /// Parses a positive decimal row id. Errors with [`crate::ErrorKind::NotFound`].
            pub fn parse(text: &str) -> Result<Self> {
                let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                match text.parse::<i64>() {
                    Ok(n) if plain && n > 0 => Ok(Self(n)),
                    _ => Err(Error::not_found(concat!("there is no such ", $word))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

row_id!(
    /// One recorded file.
    SegmentId,
    "recording"
);
row_id!(
    /// One event; a number in JSON.
    EventId,
    "event"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn camera_ids_cannot_leave_their_folder() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\0b", "-a", "_a", "A", "é", "a b", "%2f", &"a".repeat(33)] {
            assert!(CameraId::new(bad).is_err(), "{bad:?}");
        }
        for good in ["front", "cam-1", "0", "a_b"] {
            assert!(CameraId::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn ids_parse_only_their_own_form() {
        let id = DeviceId::random();
        assert_eq!(DeviceId::parse(&id.to_string()).expect("own form"), id);
        assert!(DeviceId::parse("+0000000000000000000000000000001").is_err());
        assert!(SegmentId::parse("+1").is_err());
        assert!(SegmentId::parse("0").is_err());
        assert_eq!(SegmentId::parse("12").expect("number"), SegmentId(12));
        assert_eq!(DeviceId::parse("x").expect_err("no id").message(), "there is no such device");
        assert_eq!(SegmentId::parse("x").expect_err("no id").message(), "there is no such recording");
    }
}
