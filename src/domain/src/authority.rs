//! What becomes of the box's certificate authority when it starts, as it is found on the disk. When the leaf that it signs is replaced says
//! [`crate::identity`].

/// How a certificate and its key are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairFound {
    /// Both, and they belong together.
    Whole,
    /// Both, and one of them is damaged, or they do not belong together.
    Damaged,
    /// One of them.
    Half,
    /// Neither.
    Nothing,
}

/// What becomes of the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorityPlan {
    /// It is used.
    Use,
    /// One is made. Nobody knew one before.
    Make,
    /// One is made, and every phone must trust the box again: that is to be said.
    Replace,
}

/// What becomes of the authority that was found like this. The box starts in any case: without an authority nobody can reach it.
pub fn plan_authority(found: PairFound) -> AuthorityPlan {
    match found {
        PairFound::Whole => AuthorityPlan::Use,
        PairFound::Damaged => AuthorityPlan::Replace,
        // Half of one: the power went while it was made, so nobody knows it yet.
        PairFound::Half | PairFound::Nothing => AuthorityPlan::Make,
    }
}

/// Whether the leaf that was found like this serves on where a new one is due and cannot be written: an old one serves better than none.
pub fn serves_unrenewed(leaf: PairFound) -> bool {
    leaf == PairFound::Whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_what_is_found() {
        use AuthorityPlan::*;
        for (found, plan, serves) in [
            (PairFound::Whole, Use, true),
            (PairFound::Damaged, Replace, false),
            (PairFound::Half, Make, false),
            (PairFound::Nothing, Make, false),
        ] {
            assert_eq!((plan_authority(found), serves_unrenewed(found)), (plan, serves), "{found:?}");
        }
    }
}
