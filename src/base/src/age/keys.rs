//! An owner's keys, as `age-keygen` writes them.

use super::bech32;
use crate::secret::Secret;
use crate::{Error, Result};
use std::fmt;

/// An owner's public key, `age1…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipient(pub(super) [u8; 32]);

impl Recipient {
    /// Parses `age1…`. Errors with `Invalid`; what was given is not repeated, for it may be the secret key.
    pub fn parse(text: &str) -> Result<Self> {
        let key = bech32::decode("age", text.trim()).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or_else(|| {
            let why = match text.trim().to_ascii_uppercase().starts_with(SECRET_PREFIX) {
                true => "this is a secret key: it stays with you. The public one that belongs to it (`age-keygen -y FILE`) begins with age1",
                false => "a public key is what `age-keygen` prints, age1 and 58 characters: one is missing or mistyped, or it is of another kind",
            };
            Error::invalid(why)
        })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode("age", &self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

const SECRET_PREFIX: &str = "AGE-SECRET-KEY-1";

/// An owner's secret key.
#[derive(Clone, Debug)]
pub struct AgeIdentity(pub(super) Secret<[u8; 32]>);

impl AgeIdentity {
    /// Parses `AGE-SECRET-KEY-1…`. Errors with `Invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let key = bech32::decode("age-secret-key-", text.trim()).and_then(|key| key.try_into().ok());
        let wrong = || Error::invalid("a secret key is AGE-SECRET-KEY-1 and 58 characters: one is missing or mistyped");
        key.map(|key| Self(Secret::new(key))).ok_or_else(wrong)
    }

    /// All that stand in a file as `age-keygen` writes it: a line each, and comments. Errors with `Invalid` when there is none.
    pub fn parse_file(text: &str) -> Result<Vec<Self>> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let all: Vec<_> = lines.map(Self::parse).collect::<Result<_>>()?;
        if all.is_empty() {
            return Err(Error::invalid("the file holds no secret key (AGE-SECRET-KEY-1…)"));
        }
        Ok(all)
    }
}
