//! Copies that were verified once and are looked at again: what follows from what is found there.

use super::object::{ObjectFacts, Sha256};
use perch_base::ids::SegmentId;
use perch_base::time::DAY;
use std::time::Duration;

/// How often some of a target's copies are looked at again.
pub const LOOK_AT_COPIES_EVERY: Duration = DAY;
/// How long after a start for the first time.
pub const FIRST_LOOK_AT_COPIES: Duration = Duration::from_secs(600);
/// So many are asked for each time; one of them is fetched whole.
pub const LOOKED_AT_COPIES: usize = 32;

/// A copy that is looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedCopy {
    /// The recording's row.
    pub id: SegmentId,
    /// The object's key.
    pub key: String,
    /// Of the object.
    pub sha256: Sha256,
    /// Whether the box still has the recording.
    pub is_here: bool,
}

/// What is at a store under a copy's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundCopy {
    /// Nothing.
    Nothing,
    /// What was copied, as far as was looked.
    Right,
    /// Something else.
    Wrong,
}

impl FoundCopy {
    /// By what the store says of it. One that keeps no sum says only that something is there.
    pub fn by_facts(facts: &ObjectFacts, sha256: Sha256) -> Self {
        match facts.sha256.or(facts.noted_sha256) {
            Some(sum) if sum != sha256 => Self::Wrong,
            _ => Self::Right,
        }
    }

    /// By what was fetched.
    pub fn by_content(content: Sha256, sha256: Sha256) -> Self {
        if content == sha256 { Self::Right } else { Self::Wrong }
    }
}

/// What is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyVerdict {
    /// Nothing.
    Fine,
    /// The box copies it again; what is there is removed before, where it is something else.
    Again {
        /// Whether something is to be removed.
        remove: bool,
    },
    /// The recording is lost: there is no other.
    Lost,
}

/// What follows for a copy of a recording that the box still has, or has no more.
pub fn verdict(found: FoundCopy, is_here: bool) -> CopyVerdict {
    match (found, is_here) {
        (FoundCopy::Right, _) => CopyVerdict::Fine,
        (found, true) => CopyVerdict::Again { remove: found == FoundCopy::Wrong },
        (_, false) => CopyVerdict::Lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_still_here_is_copied_again_and_the_rest_is_lost() {
        use CopyVerdict::{Again, Fine, Lost};
        for (found, is_here, want) in [
            (FoundCopy::Right, true, Fine),
            (FoundCopy::Right, false, Fine),
            (FoundCopy::Nothing, true, Again { remove: false }),
            (FoundCopy::Wrong, true, Again { remove: true }),
            (FoundCopy::Nothing, false, Lost),
            (FoundCopy::Wrong, false, Lost),
        ] {
            assert_eq!(verdict(found, is_here), want, "{found:?}, {is_here}");
        }
    }

    #[test]
    fn a_store_without_sums_says_only_that_something_is_there() {
        let facts = ObjectFacts { size_bytes: 1, sha256: None, sha256_of_parts: None, noted_sha256: None };
        let (one, other) = (Sha256([1; 32]), Sha256([2; 32]));
        assert_eq!(FoundCopy::by_facts(&facts, one), FoundCopy::Right);
        let noted = ObjectFacts { noted_sha256: Some(other), ..facts };
        assert_eq!(FoundCopy::by_facts(&noted, one), FoundCopy::Wrong);
        assert_eq!(FoundCopy::by_facts(&noted, other), FoundCopy::Right);
        assert_eq!(FoundCopy::by_content(one, other), FoundCopy::Wrong);
    }
}
