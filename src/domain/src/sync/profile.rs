//! What a store honours and what its key may do, from what was tried there; and what people are told of that.

use super::fault::{StoreFault, StoreFaultKind};
use super::object::{ObjectFacts, Sha256, StoreResult};
use serde::{Deserialize, Serialize};

/// How a bucket protects what is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Earlier versions are kept.
    pub keeps_versions: bool,
    /// Objects cannot be deleted for so many days; 0: not by themselves.
    pub locked_days: u32,
}

/// What became of each try; what was not tried, because an earlier one showed that it is of no use, is `None`.
#[derive(Clone, Debug, Default)]
pub struct StoreTries {
    /// A small object was put.
    pub put: Option<StoreResult<()>>,
    /// Whether it went only without the checksums of S3.
    pub put_plain: bool,
    /// The SHA-256 of its bytes, and what the store says of it.
    pub facts: Option<(Sha256, StoreResult<ObjectFacts>)>,
    /// An object was put with a wrong checksum.
    pub put_wrong: Option<StoreResult<()>>,
    /// An object was put that was only to be new, where there was one.
    pub put_again: Option<StoreResult<()>>,
    /// It was read; whether what came is what was sent.
    pub read: Option<StoreResult<bool>>,
    /// Objects were listed; whether it was among them.
    pub list: Option<StoreResult<bool>>,
    /// An upload in parts was begun, and its part found again.
    pub parts: Option<StoreResult<bool>>,
    /// It was deleted.
    pub delete: Option<StoreResult<()>>,
    /// How the bucket protects.
    pub protection: Option<StoreResult<Protection>>,
    /// Seconds by which the store's clock is ahead, where it is far enough off to matter.
    pub clock_ahead_s: Option<i64>,
}

/// What copying goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointProfile {
    /// It checks the SHA-256 of what comes.
    pub checks_sums: bool,
    /// It takes the headers of checksums at all.
    pub takes_sums: bool,
    /// It does not replace what is only to be new.
    pub keeps_first: bool,
    /// It takes uploads in parts and says which parts it has.
    pub parts: bool,
    /// The key may look at what is there, so copies can be verified.
    pub can_look: bool,
    /// The key may list.
    pub can_list: bool,
    /// The key may read objects.
    pub can_read: bool,
    /// The key may delete.
    pub can_delete: bool,
    /// How the bucket protects, as far as the key may know.
    pub protection: Protection,
}

/// How serious a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeGrade {
    /// As it should be.
    Good,
    /// It works, and somebody should know.
    Warning,
    /// Nothing can be copied.
    Bad,
}

perch_base::all_of!(ProbeGrade { Good, Warning, Bad });

/// One thing that was found, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeLine {
    /// How serious.
    pub grade: ProbeGrade,
    /// What was found.
    pub what: String,
    /// What to do; empty where there is nothing to.
    pub fix: String,
}

impl ProbeLine {
    fn new(grade: ProbeGrade, what: &str, fix: &str) -> Self {
        Self { grade, what: what.to_owned(), fix: fix.to_owned() }
    }
}

impl StoreTries {
    /// What keeps anything from being copied there.
    pub fn obstacle(&self) -> Option<&StoreFault> {
        self.put.as_ref().and_then(|put| put.as_ref().err())
    }

    /// What copying goes by; `None` where nothing can be copied.
    pub fn profile(&self) -> Option<EndpointProfile> {
        if !matches!(self.put, Some(Ok(()))) {
            return None;
        }
        let was = |tried: &Option<StoreResult<bool>>| matches!(tried, Some(Ok(true)));
        let refused_for =
            |tried: &Option<StoreResult<()>>, kind| matches!(tried, Some(Err(fault)) if fault.kind == kind);
        let can_look = matches!(&self.facts, Some((_, Ok(_))));
        Some(EndpointProfile {
            checks_sums: !self.put_plain && refused_for(&self.put_wrong, StoreFaultKind::Damaged),
            takes_sums: !self.put_plain,
            keeps_first: refused_for(&self.put_again, StoreFaultKind::Exists),
            parts: was(&self.parts),
            can_look,
            can_list: was(&self.list),
            can_read: was(&self.read),
            can_delete: matches!(self.delete, Some(Ok(()))),
            protection: match self.protection {
                Some(Ok(protection)) => protection,
                _ => Protection::default(),
            },
        })
    }

    /// What people are told, the worst first.
    pub fn lines(&self) -> Vec<ProbeLine> {
        use ProbeGrade::{Bad, Good, Warning};
        let Some(profile) = self.profile() else {
            let (what, fix) = match self.obstacle() {
                Some(fault) => {
                    let (what, fix) = fault.kind.sentence().split_once(": ").unwrap_or((fault.kind.sentence(), ""));
                    match fault.kind {
                        StoreFaultKind::Refused => (
                            "the key may not put objects into this bucket",
                            "give it the right to (s3:PutObject): it may only read",
                        ),
                        _ => (what, fix),
                    }
                }
                None => ("nothing was tried", ""),
            };
            return vec![ProbeLine::new(Bad, what, fix)];
        };
        let mut lines = Vec::new();
        let mut say = |grade, what: &str, fix: &str| lines.push(ProbeLine::new(grade, what, fix));
        if let Some(ahead_s) = self.clock_ahead_s {
            let what =
                format!("the clocks of box and store differ by {} s; requests carry the store's time", ahead_s.abs());
            say(Warning, &what, "set the box's clock right: recordings carry its time");
        }
        match (profile.can_look, profile.can_read) {
            (false, _) => say(
                Warning,
                "the key may put objects and not look at them: copies cannot be verified by reading, the store's word at each upload counts",
                "for verified copies give it s3:GetObject and s3:ListBucket; nothing else is wrong with a key that only writes",
            ),
            (true, false) => {
                say(Warning, "what the store has is seen but could not be read back", "give the key s3:GetObject")
            }
            (true, true) => say(Good, "objects can be put, looked at and read back", ""),
        }
        match (profile.can_delete, profile.protection) {
            (_, Protection { locked_days: 1.., .. }) => {
                let what = format!(
                    "the bucket locks objects for {} days: nobody can delete them earlier",
                    profile.protection.locked_days
                );
                say(Good, &what, "");
            }
            (true, Protection { keeps_versions: true, .. }) => say(
                Warning,
                "the key may delete, and the bucket keeps earlier versions: a stolen key could hide copies, not destroy them at once",
                "give the box a key without s3:DeleteObject, or lock objects for some days",
            ),
            (true, _) => say(
                Warning,
                "the key may delete: who steals the box could delete the copies",
                "give the box a key without s3:DeleteObject, or lock objects for some days (object lock)",
            ),
            (false, _) => say(Good, "the key cannot delete: copies outlive a stolen box", ""),
        }
        match (profile.checks_sums, profile.takes_sums) {
            (true, _) => say(Good, "the store checks the SHA-256 of what arrives", ""),
            (false, true) => say(
                Warning,
                "the store takes checksums and does not check them: length and the box's own note are compared instead",
                "",
            ),
            (false, false) => say(
                Warning,
                "the store does not know checksums: length and the box's own note are compared instead",
                "",
            ),
        }
        if !profile.keeps_first {
            say(
                Warning,
                "the store replaces objects although they were to be new: names carry the content's hash, so nothing else has one's name",
                "",
            );
        }
        match profile.parts {
            true => say(Good, "uploads in parts go on where they broke off", ""),
            false => say(Warning, "uploads in parts cannot be resumed here: a broken one begins anew", ""),
        }
        lines.sort_by_key(|line| match line.grade {
            Bad => 0,
            Warning => 1,
            Good => 2,
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: StoreFaultKind) -> StoreFault {
        StoreFault::new(kind, "trying")
    }

    fn good() -> StoreTries {
        let sum = Sha256([7; 32]);
        let facts = ObjectFacts { size_bytes: 5, sha256: Some(sum), sha256_of_parts: None, noted_sha256: Some(sum) };
        StoreTries {
            put: Some(Ok(())),
            put_plain: false,
            facts: Some((sum, Ok(facts))),
            put_wrong: Some(Err(refused(StoreFaultKind::Damaged))),
            put_again: Some(Err(refused(StoreFaultKind::Exists))),
            read: Some(Ok(true)),
            list: Some(Ok(true)),
            parts: Some(Ok(true)),
            delete: Some(Err(refused(StoreFaultKind::Refused))),
            protection: Some(Ok(Protection::default())),
            clock_ahead_s: None,
        }
    }

    #[test]
    fn a_store_that_honours_all_is_told_without_a_warning() {
        let tried = good();
        assert!(tried.lines().iter().all(|line| line.grade == ProbeGrade::Good), "{:?}", tried.lines());
        let profile = tried.profile().expect("it works");
        assert!(profile.checks_sums && profile.keeps_first && profile.parts && !profile.can_delete);
    }

    #[test]
    fn each_obstacle_is_one_line_with_a_fix() {
        for kind in StoreFaultKind::ALL {
            let tried = StoreTries { put: Some(Err(refused(*kind))), ..StoreTries::default() };
            let lines = tried.lines();
            assert_eq!((lines.len(), lines[0].grade), (1, ProbeGrade::Bad), "{kind:?}");
            assert_eq!(tried.profile(), None);
            assert!(!kind.needs_a_person() || !lines[0].fix.is_empty(), "{kind:?}");
        }
    }

    #[test]
    fn what_is_missing_is_said_and_adapted_to() {
        let warned = |tried: &StoreTries, word: &str| {
            let found = tried.lines().iter().any(|line| line.grade == ProbeGrade::Warning && line.what.contains(word));
            assert!(found, "{word}: {:?}", tried.lines());
        };
        let write_only =
            StoreTries { facts: Some((Sha256([7; 32]), Err(refused(StoreFaultKind::Refused)))), read: None, ..good() };
        warned(&write_only, "cannot be verified");
        assert!(!write_only.profile().expect("works").can_look);
        let deletes = StoreTries { delete: Some(Ok(())), ..good() };
        warned(&deletes, "who steals the box");
        let locked = Protection { keeps_versions: true, locked_days: 30 };
        let locks = StoreTries { protection: Some(Ok(locked)), ..deletes.clone() };
        assert!(locks.lines().iter().all(|line| line.grade == ProbeGrade::Good), "{:?}", locks.lines());
        warned(&StoreTries { put_again: Some(Ok(())), ..good() }, "replaces objects");
        warned(&StoreTries { put_wrong: Some(Ok(())), ..good() }, "does not check");
        warned(&StoreTries { put_plain: true, ..good() }, "does not know checksums");
        warned(&StoreTries { parts: Some(Err(refused(StoreFaultKind::Unsupported))), ..good() }, "in parts");
        warned(&StoreTries { clock_ahead_s: Some(-4000), ..good() }, "4000 s");
    }
}
