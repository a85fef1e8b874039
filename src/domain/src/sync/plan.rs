//! What is copied next to one target, and when a copy counts. Pure: the executor asks, obeys and says how it went.
//!
//! A recording is *settled* once nothing will cut it back any more, and from then on goes from stage to stage, each one written down
//! before the next: nothing yet, uploading (with the store's name of an upload in parts), committed (the store said that it has all of
//! it), verified (the store was asked again and has what was sent). Only then may the box's own file go.

use super::object::{ObjectFacts, Sha256};
use super::profile::EndpointProfile;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use std::time::Duration;

/// So long after its end a sealed recording may still be cut back: an event's file reaches back over the longest pre-roll, and over the
/// time in which it is known whether there is one.
pub const SETTLED_AFTER: Duration = Duration::from_secs(90);

/// One part in so many of a month's budget is left to events.
const KEPT_FOR_EVENTS: u64 = 5;

/// How far a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyStage {
    /// Nothing of it was sent.
    Settled,
    /// It is being sent, or was when the box ended.
    Uploading,
    /// The store said that it has it.
    Committed,
}

/// A copy that is under way or was made, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRecord {
    /// The object's key.
    pub key: String,
    /// Of the object: of the recording, encrypted where it is.
    pub sha256: Sha256,
    /// Bytes of the object.
    pub size_bytes: u64,
    /// The store's name of the upload, where it goes in parts.
    pub upload: Option<String>,
    /// What it goes on to be encrypted with; empty once that is not needed any more; `None`: it is not encrypted.
    pub seal: Option<Secret<Vec<u8>>>,
}

/// A settled recording of which a target has no verified copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToCopy {
    /// Its row.
    pub id: SegmentId,
    /// The camera.
    pub camera: CameraId,
    /// UTC of its time 0.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Its length.
    pub size_bytes: u64,
    /// The event that it is of.
    pub event: Option<EventId>,
    /// How far it is.
    pub stage: CopyStage,
    /// What was written down of it; `None` only while nothing was sent.
    pub record: Option<CopyRecord>,
}

/// What lets something be sent now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of this month's budget; 0: none is set.
    pub monthly_bytes: u64,
    /// Those that were sent this month.
    pub sent_bytes: u64,
}

impl Budget {
    /// Whether so much more may be sent, of an event or not.
    pub fn allows(&self, bytes: u64, is_event: bool) -> bool {
        if self.monthly_bytes == 0 {
            return true;
        }
        let kept = if is_event { 0 } else { self.monthly_bytes / KEPT_FOR_EVENTS };
        self.sent_bytes.saturating_add(bytes) <= self.monthly_bytes - kept
    }
}

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// The store is asked whether it has it.
    Verify(SegmentId),
    /// It is sent, or what is missing of it.
    Send(SegmentId),
    /// What is left waits for the next month.
    BudgetSpent,
    /// Everything is there.
    Done,
}

/// The next step for what is to be copied and is not held back. First what only has to be looked at, then what was begun, then recordings
/// of events, the newest first, then all others, those first that would be deleted first.
pub fn plan_copy(to_copy: &[ToCopy], budget: &Budget) -> CopyStep {
    let turn = |one: &ToCopy| {
        let age = one.end.as_micros();
        match (&one.stage, one.event) {
            (CopyStage::Committed, _) => (0, age),
            (CopyStage::Uploading, _) => (1, age),
            (CopyStage::Settled, Some(_)) => (2, -age),
            (CopyStage::Settled, None) => (3, age),
        }
    };
    let is_free =
        |one: &&ToCopy| one.stage == CopyStage::Committed || budget.allows(one.size_bytes, one.event.is_some());
    let next = to_copy.iter().filter(is_free).min_by_key(|one| (turn(one), one.id));
    match next {
        Some(one) if one.stage == CopyStage::Committed => CopyStep::Verify(one.id),
        Some(one) => CopyStep::Send(one.id),
        None if to_copy.is_empty() => CopyStep::Done,
        None => CopyStep::BudgetSpent,
    }
}

/// Whether the store has the object whole: its length, and its SHA-256 as the store has computed it, or as it was noted beside it where
/// the store keeps none.
pub fn is_copy(facts: &ObjectFacts, size_bytes: u64, sha256: Sha256) -> bool {
    let sum = facts.sha256.or(facts.noted_sha256);
    facts.size_bytes == size_bytes && sum == Some(sha256)
}

/// Whether a copy counts once the store said that it has it: with a key that may not look there is nothing more to be had.
pub fn counts_unseen(profile: &EndpointProfile) -> bool {
    !profile.can_look
}

/// The month of a budget, UTC, such as `2026-05`.
pub fn month_of(now: Timestamp) -> String {
    let (day, _) = now.file_parts();
    day.chars().take(7).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(id: i64, end: i64, event: bool, stage: CopyStage) -> ToCopy {
        let record = (stage != CopyStage::Settled).then(|| CopyRecord {
            key: "k".into(),
            sha256: Sha256([1; 32]),
            size_bytes: 100,
            upload: None,
            seal: None,
        });
        ToCopy {
            id: SegmentId(id),
            camera: CameraId::new("front").expect("valid"),
            start: Timestamp(end - 1),
            end: Timestamp(end),
            size_bytes: 100,
            event: event.then_some(EventId(7)),
            stage,
            record,
        }
    }

    /// All steps in order, each done at once.
    fn order(mut left: Vec<ToCopy>, mut budget: Budget) -> (Vec<(char, i64)>, CopyStep) {
        let mut out = Vec::new();
        loop {
            match plan_copy(&left, &budget) {
                CopyStep::Send(id) => {
                    let at = left.iter().position(|o| o.id == id).expect("there");
                    left[at].stage = CopyStage::Committed;
                    budget.sent_bytes += left[at].size_bytes;
                    out.push(('s', id.0));
                }
                CopyStep::Verify(id) => {
                    left.retain(|o| o.id != id);
                    out.push(('v', id.0));
                }
                end => return (out, end),
            }
        }
    }

    #[test]
    fn events_newest_first_then_the_rest_by_earliest_eviction() {
        use CopyStage::{Committed, Settled, Uploading};
        let all = vec![
            one(1, 10, false, Settled),
            one(2, 20, true, Settled),
            one(3, 30, false, Settled),
            one(4, 40, true, Settled),
            one(5, 50, false, Uploading),
            one(6, 60, false, Committed),
        ];
        let (steps, end) = order(all, Budget::default());
        let sent: Vec<i64> = steps.iter().filter(|s| s.0 == 's').map(|s| s.1).collect();
        assert_eq!((sent, steps[0], end), (vec![5, 4, 2, 1, 3], ('v', 6), CopyStep::Done));
    }

    #[test]
    fn a_fifth_of_a_months_budget_is_left_to_events() {
        let all = || (1..=20).map(|id| one(id, id, id > 15, CopyStage::Settled)).collect::<Vec<_>>();
        let (steps, end) = order(all(), Budget { monthly_bytes: 1_000, sent_bytes: 0 });
        let sent: Vec<i64> = steps.iter().filter(|s| s.0 == 's').map(|s| s.1).collect();
        assert_eq!((sent, end), (vec![20, 19, 18, 17, 16, 1, 2, 3], CopyStep::BudgetSpent));
        let nearly_spent = Budget { monthly_bytes: 1_000, sent_bytes: 850 };
        assert_eq!(plan_copy(&all(), &nearly_spent), CopyStep::Send(SegmentId(20)), "an event goes");
        assert!(!nearly_spent.allows(100, false));
        assert_eq!(month_of(Timestamp::parse("2026-05-31T23:59:59Z").expect("a time")), "2026-05");
    }

    #[test]
    fn what_the_store_has_is_held_against_what_was_sent() {
        let (sum, other) = (Sha256([1; 32]), Sha256([2; 32]));
        let facts = |sha256, noted_sha256| ObjectFacts { size_bytes: 5, sha256, sha256_of_parts: None, noted_sha256 };
        for (facts, want) in [
            (facts(Some(sum), Some(sum)), true),
            (facts(None, Some(sum)), true),
            (facts(Some(other), Some(sum)), false),
            (facts(None, Some(other)), false),
            (facts(None, None), false),
        ] {
            assert_eq!(is_copy(&facts, 5, sum), want, "{facts:?}");
            assert!(!is_copy(&facts, 6, sum));
        }
    }

    proptest! {
        /// Whatever there is: everything is sent and looked at once, and nothing twice.
        #[test]
        fn everything_goes_once(kinds in prop::collection::vec((0i64..50, any::<bool>(), 0u8..3), 0..40)) {
            let all: Vec<ToCopy> = kinds.iter().zip(1..).map(|((end, event, stage), id)| {
                let stage = [CopyStage::Settled, CopyStage::Uploading, CopyStage::Committed][usize::from(*stage)].clone();
                one(id, *end, *event, stage)
            }).collect();
            let (steps, end) = order(all.clone(), Budget::default());
            prop_assert_eq!(end, CopyStep::Done);
            for one in &all {
                let count = |what| steps.iter().filter(|s| **s == (what, one.id.0)).count();
                prop_assert_eq!((count('s'), count('v')), (usize::from(one.stage != CopyStage::Committed), 1));
            }
        }
    }
}
