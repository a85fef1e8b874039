//! Where a recording lies: on the box, or as a copy elsewhere that is read back when the box's own file is gone.

use crate::archive::{Span, WhereHeld};
use bytes::Bytes;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};

/// A copy off the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlace {
    /// The target's name.
    pub target: String,
    /// The object's key.
    pub key: String,
}

impl CopyPlace {
    /// Whether the box can read it: what is encrypted, or has a name that says nothing, ends otherwise ([`crate::sync::keys`]).
    pub fn is_readable(&self) -> bool {
        self.key.ends_with(".mp4")
    }
}

/// Reads copies.
pub trait CopyReader: Send + Sync {
    /// The names of the targets whose copies can be read now: those of the config.
    fn targets(&self) -> Vec<String>;
    /// Bytes `from..to` of a copy, all of them. Blocks for as long as the store takes, half a minute at most. Errors: `Unavailable`, `NotFound`,
    /// `Forbidden`, as the store says it.
    fn read(&self, copy: &CopyPlace, from: u64, to: u64) -> Result<Bytes>;
}

/// What is said where something is only encrypted.
pub fn only_encrypted(what: impl std::fmt::Display) -> Error {
    let why = "is no longer on the box, and its copy is encrypted: System, Copies elsewhere opens a copy in the browser with your key, and so does \
               `perch restore --identity FILE`";
    Error::new(ErrorKind::Unsupported, format!("{what} {why}"))
}

/// What is shown of a range, in order: what is on the box, and of copies what is not. Each list is in order of its starts; what is `here` does not
/// overlap itself.
pub fn with_copies(here: &[Span], copies: &[Span]) -> Vec<Span> {
    let mut out = here.to_vec();
    for kind in [WhereHeld::Copy, WhereHeld::Encrypted] {
        let mut taken = out.clone();
        taken.sort_by_key(|span| span.start);
        for copy in copies.iter().filter(|copy| copy.held == kind) {
            let mut at = copy.start;
            let first = taken.partition_point(|span| span.end <= copy.start);
            for span in taken.iter().skip(first).take_while(|span| span.start < copy.end) {
                push(&mut out, at, span.start, kind);
                at = at.max(span.end);
            }
            push(&mut out, at, copy.end, kind);
        }
    }
    out.sort_by_key(|span| span.start);
    out
}

/// What rounding leaves between two files is none.
fn push(out: &mut Vec<Span>, start: Timestamp, end: Timestamp, held: WhereHeld) {
    if end.micros_since(start) > crate::playback::JOIN_US {
        out.push(Span { start, end, held });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, end: i64, held: WhereHeld) -> Span {
        Span { start: Timestamp(start * 1_000_000), end: Timestamp(end * 1_000_000), held }
    }

    #[test]
    fn copies_fill_what_the_box_has_not_and_nothing_else() {
        use WhereHeld::{Copy, Encrypted, Here};
        let here = [span(10, 20, Here), span(30, 40, Here)];
        let copies = [span(0, 5, Copy), span(15, 35, Copy), span(18, 50, Encrypted), span(38, 40, Copy)];
        let want =
            [span(0, 5, Copy), span(10, 20, Here), span(20, 30, Copy), span(30, 40, Here), span(40, 50, Encrypted)];
        assert_eq!(with_copies(&here, &copies), want);
        assert_eq!(with_copies(&here, &[]), here);
        assert_eq!(with_copies(&[], &[span(0, 1, Copy)]), [span(0, 1, Copy)]);
        assert_eq!(with_copies(&[span(0, 9, Here)], &[span(1, 9, Copy)]), [span(0, 9, Here)]);
    }

    #[test]
    fn the_box_reads_what_is_neither_encrypted_nor_nameless() {
        let at = |key: &str| CopyPlace { target: "x".into(), key: key.into() }.is_readable();
        assert!(at("home/0123/front/2026-05-01/123456.789Z-ba7816bf8f01cfea.mp4"));
        assert!(!at("home/0123/front/2026-05-01/123456.789Z-ba7816bf8f01cfea.mp4.age") && !at("home/ba78/16bf"));
    }
}
