//! What goes wrong at a store, by what is to be done about it, and the one sentence that people are told.

use perch_base::{Error, ErrorKind};
use serde::Serialize;
use std::time::Duration;

/// A failure by what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreFaultKind {
    /// The store does not know the access key, or the secret is not its.
    WrongKey,
    /// The key is known and may not do this.
    Refused,
    /// There is no such bucket.
    NoBucket,
    /// There is no such object or upload.
    Missing,
    /// An object of that name is there already, and was not to be replaced.
    Exists,
    /// The store says that what came is not what was sent.
    Damaged,
    /// The box's clock and the store's differ by too much.
    Clock,
    /// The store has no room, or the account's limit is reached.
    Full,
    /// The store's certificate is not trusted, has run out or is another's.
    Certificate,
    /// The store does not know this kind of request.
    Unsupported,
    /// The store is busy, and may say until when.
    Busy,
    /// Nothing answers, the connection broke off, or the store had a failure of its own.
    Unreachable,
}

perch_base::all_of!(StoreFaultKind {
    WrongKey,
    Refused,
    NoBucket,
    Missing,
    Exists,
    Damaged,
    Clock,
    Full,
    Certificate,
    Unsupported,
    Busy,
    Unreachable
});

impl StoreFaultKind {
    /// Whether nothing gets better until a person does something: copying stops then, and an alarm says so.
    pub fn needs_a_person(self) -> bool {
        matches!(self, Self::WrongKey | Self::Refused | Self::NoBucket | Self::Certificate | Self::Clock | Self::Full)
    }

    /// Whether it concerns everything that is sent there, and not one object alone.
    pub fn concerns_all(self) -> bool {
        !matches!(self, Self::Missing | Self::Exists | Self::Damaged)
    }

    /// What it means and what to do, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::WrongKey => "the store does not take the access key: give the right key and secret",
            Self::Refused => "the store does not let this key do that: give the key the right to do so on this bucket",
            Self::NoBucket => "the store has no such bucket: make it there, or correct the name",
            Self::Missing => "the store has no such object",
            Self::Exists => "the store has an object of that name already",
            Self::Damaged => "what arrived at the store is not what was sent",
            Self::Clock => "the clocks of box and store differ too much: set the box's right",
            Self::Full => "the store takes no more: its space or the account's limit is used up",
            Self::Certificate => {
                "the store's certificate is not trusted, has run out, or is another host's: correct the address, or name its authority in ca_file"
            }
            Self::Unsupported => "the store does not know this kind of request",
            Self::Busy => "the store is busy",
            Self::Unreachable => "the store does not answer",
        }
    }

    /// By a store's own word for it (`Code` of its answer; Amazon S3 API Reference, "Error responses") and the status.
    pub fn of_answer(status: u16, code: &str) -> Self {
        match code {
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidSecurity"
            | "InvalidToken"
            | "ExpiredToken"
            | "AuthorizationHeaderMalformed"
            | "NotSignedUp" => Self::WrongKey,
            "NoSuchBucket" => Self::NoBucket,
            "NoSuchKey" | "NoSuchUpload" | "NotFound" => Self::Missing,
            "PreconditionFailed" | "ConditionalRequestConflict" | "ObjectAlreadyExists" => Self::Exists,
            "BadDigest"
            | "InvalidDigest"
            | "XAmzContentSHA256Mismatch"
            | "XAmzContentChecksumMismatch"
            | "InvalidPart"
            | "IncompleteBody" => Self::Damaged,
            "RequestTimeTooSkewed" | "RequestExpired" => Self::Clock,
            "QuotaExceeded" | "InsufficientStorage" | "XMinioStorageFull" | "StorageFull" | "StorageLimitExceeded" => {
                Self::Full
            }
            "SlowDown" | "TooManyRequests" | "ServiceUnavailable" | "RequestLimitExceeded" | "Throttling" => Self::Busy,
            "NotImplemented" => Self::Unsupported,
            "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => Self::Refused,
            _ => match status {
                401 => Self::WrongKey,
                403 => Self::Refused,
                404 => Self::Missing,
                409 | 412 => Self::Exists,
                429 | 503 => Self::Busy,
                400 | 405 | 501 => Self::Unsupported,
                507 => Self::Full,
                _ => Self::Unreachable,
            },
        }
    }
}

/// A failure of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFault {
    /// What kind.
    pub kind: StoreFaultKind,
    /// What was tried, such as `looking at 4 objects`.
    pub doing: String,
    /// The store's or the library's own words, for the log alone.
    pub inside: String,
    /// When the store wants to be asked again at the earliest (`Retry-After`).
    pub retry_after: Option<Duration>,
}

impl StoreFault {
    /// A failure without more words.
    pub fn new(kind: StoreFaultKind, doing: impl Into<String>) -> Self {
        Self { kind, doing: doing.into(), inside: String::new(), retry_after: None }
    }

    /// As an error of the box.
    pub fn into_error(self) -> Error {
        let kind = match self.kind {
            StoreFaultKind::Missing | StoreFaultKind::NoBucket => ErrorKind::NotFound,
            StoreFaultKind::WrongKey | StoreFaultKind::Refused => ErrorKind::Forbidden,
            StoreFaultKind::Exists => ErrorKind::Conflict,
            StoreFaultKind::Damaged => ErrorKind::Corrupt,
            StoreFaultKind::Unsupported => ErrorKind::Unsupported,
            StoreFaultKind::Busy
            | StoreFaultKind::Unreachable
            | StoreFaultKind::Clock
            | StoreFaultKind::Full
            | StoreFaultKind::Certificate => ErrorKind::Unavailable,
        };
        let error = Error::new(kind, self.message());
        if self.inside.is_empty() { error } else { error.with_inside(self.inside) }
    }

    /// The sentence for people.
    pub fn message(&self) -> String {
        format!("{}: {}", self.doing, self.kind.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        use StoreFaultKind as F;
        for (status, code, want) in [
            (403, "InvalidAccessKeyId", F::WrongKey),
            (403, "SignatureDoesNotMatch", F::WrongKey),
            (403, "AccessDenied", F::Refused),
            (403, "RequestTimeTooSkewed", F::Clock),
            (403, "", F::Refused),
            (404, "NoSuchBucket", F::NoBucket),
            (404, "", F::Missing),
            (400, "BadDigest", F::Damaged),
            (412, "", F::Exists),
            (503, "SlowDown", F::Busy),
            (500, "InternalError", F::Unreachable),
            (507, "", F::Full),
            (501, "", F::Unsupported),
            (400, "InvalidRequest", F::Unsupported),
            (301, "PermanentRedirect", F::Unreachable),
        ] {
            assert_eq!(F::of_answer(status, code), want, "{status} {code}");
        }
    }

    #[test]
    fn each_has_one_sentence() {
        let all: std::collections::BTreeSet<_> = StoreFaultKind::ALL.iter().map(|kind| kind.sentence()).collect();
        assert_eq!(all.len(), StoreFaultKind::ALL.len());
        let e = StoreFault::new(StoreFaultKind::NoBucket, "listing").into_error();
        assert_eq!(e.message(), "listing: the store has no such bucket: make it there, or correct the name");
    }
}
