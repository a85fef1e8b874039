//! The one error type of the box: a kind to branch on, a sentence for people, what only the inside may know, and the cause. Only
//! `api` turns a kind into a status, and it sends nothing but the sentence.

use std::fmt;

/// What went wrong, coarse enough to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller's input is wrong; the message names the field, the value and the rule.
    Invalid,
    /// No valid credential was given.
    Unauthenticated,
    /// The credential is valid but may not do this.
    Forbidden,
    /// The thing named does not exist.
    NotFound,
    /// The thing exists in a state that excludes the request.
    Conflict,
    /// It is no longer what the caller saw when it decided: somebody else changed it.
    Stale,
    /// It existed once and is gone for good (a burned or expired code).
    Gone,
    /// Too many requests or tries; come back later.
    RateLimited,
    /// The input is larger than is accepted.
    TooLarge,
    /// The format is not one that is served (an offer without H.264, say).
    Unsupported,
    /// Something outside the process is missing for now: device, disk, network.
    Unavailable,
    /// This box cannot do it at all, now or later (updates off the card image).
    Impossible,
    /// Stored data is damaged.
    Corrupt,
    /// A file or socket operation failed.
    Io,
    /// A mistake of our own.
    Internal,
}

all_of!(ErrorKind {
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    Stale,
    Gone,
    RateLimited,
    TooLarge,
    Unsupported,
    Unavailable,
    Impossible,
    Corrupt,
    Io,
    Internal
});

/// An error with its kind, a sentence for people (lower case, no full stop, with coordinates), what is for the inside alone, and its
/// source. The sentence may reach a browser; the inside (a path, SQL, an address) and the source go to the log and to commands.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    inside: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// `Result` with the box's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A new error of `kind`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), inside: None, source: None }
    }

    /// The same error with its cause attached.
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error with words for the inside alone: where it happened, as the log and the commands say it.
    pub fn with_inside(mut self, inside: impl Into<String>) -> Self {
        self.inside = Some(inside.into());
        self
    }

    /// The same error with its sentence led by what it is about: the camera, the file.
    pub fn at(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The kind to branch on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The sentence without its causes: all that may be shown outside.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What is for the log and for commands alone, if anything.
    pub fn inside(&self) -> Option<&str> {
        self.inside.as_deref()
    }
}

/// Everything, the inside and the causes too: for the log and for commands.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(inside) = &self.inside {
            write!(f, ": {inside}")?;
        }
        let mut source = self.source.as_deref().map(|s| s as &dyn std::error::Error);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            // Our own errors already print their causes.
            if cause.is::<Error>() {
                break;
            }
            source = cause.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

/// Turns foreign errors into [`Error`] with a kind and a sentence.
pub trait ResultExt<T> {
    /// Wraps the error with `kind` and the sentence made by `message`.
    fn context<M: Into<String>>(self, kind: ErrorKind, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> ResultExt<T> for std::result::Result<T, E> {
    fn context<M: Into<String>>(self, kind: ErrorKind, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| Error::new(kind, message()).with_source(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_whole_chain_once() {
        let io = std::io::Error::other("disk on fire");
        let inner = Error::new(ErrorKind::Io, "segment 7 of front cannot be written").with_source(io);
        let outer = Error::internal("recorder stopped").with_source(inner);
        assert_eq!(outer.to_string(), "recorder stopped: segment 7 of front cannot be written: disk on fire");
    }

    #[test]
    fn the_inside_is_printed_but_is_no_part_of_the_sentence() {
        let io = std::io::Error::other("no space left");
        let e = Error::new(ErrorKind::Unavailable, "the disk is full").with_inside("/data/x cannot be made");
        let e = e.with_source(io);
        assert_eq!((e.message(), e.inside()), ("the disk is full", Some("/data/x cannot be made")));
        assert_eq!(e.to_string(), "the disk is full: /data/x cannot be made: no space left");
        let e = e.at("camera front");
        assert_eq!(e.to_string(), "camera front: the disk is full: /data/x cannot be made: no space left");
    }
}
