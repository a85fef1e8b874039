//! The changes of rows that wait for the database, in the order in which they are made. How they are written is in `rows`.

use crate::change::{RowChange, Started};
use crate::waiting::WaitingEvents;
use perch_base::ids::{EventId, SegmentId};
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use std::collections::VecDeque;
use std::sync::Mutex;

/// Changes that may wait: some 12 MB, and a day of one camera. Beyond that nothing new begins until the database answers; what belongs
/// to what has begun waits all the same: a few changes for each file and event.
pub(crate) const MOST: usize = 4_096;

/// Promised ids that are remembered: more than cameras whose events can begin in the same moment.
const PROMISED: usize = 1_024;

/// Changes that are written in one transaction.
const BATCH: usize = 256;

/// The changes that wait, and the ids that were given away.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    waiting: Mutex<Waiting>,
    /// They are written by one at a time, so that their order holds.
    pub(crate) writing: Mutex<()>,
    /// Events are named one at a time.
    pub(crate) naming: Mutex<()>,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: VecDeque<RowChange>,
    /// So many of them are in a transaction at this moment.
    in_flight: usize,
    /// The ids that events were promised lately.
    promised: VecDeque<EventId>,
    /// The newest id that was given away.
    newest: i64,
}

impl Rows {
    /// The id of a new row: this process alone makes rows of recordings.
    pub(crate) fn new_id(&self) -> SegmentId {
        let newest = &mut lock(&self.waiting).newest;
        *newest += 1;
        SegmentId(*newest)
    }

    /// The id for an event that begins at `start`: its microsecond, moved on past those that other cameras' events were promised.
    pub(crate) fn promise_event_id(&self, start: Timestamp) -> EventId {
        let promised = &mut lock(&self.waiting).promised;
        // Ids are positive: a clock before 1970 is no reason to lose an event.
        let mut id = EventId(start.as_micros().max(1));
        while promised.contains(&id) {
            id.0 += 1;
        }
        if promised.len() >= PROMISED {
            promised.pop_front();
        }
        promised.push_back(id);
        id
    }

    /// What the database has not taken yet of events that `is_asked` names.
    pub(crate) fn events(&self, is_asked: impl Fn(EventId) -> bool) -> WaitingEvents {
        let waiting = lock(&self.waiting);
        WaitingEvents::of(waiting.changes.iter().filter(|change| change.event().is_some_and(&is_asked)))
    }

    /// Ids are given from here on.
    pub(crate) fn begin_after(&self, newest: SegmentId) {
        lock(&self.waiting).newest = newest.0;
    }

    /// Whether the database has not taken all changes yet.
    pub(crate) fn is_behind(&self) -> bool {
        !lock(&self.waiting).changes.is_empty()
    }

    /// Puts a change behind the others; whether others wait. It is written with the next one.
    pub(crate) fn leave(&self, change: RowChange) -> bool {
        let mut waiting = lock(&self.waiting);
        let was_behind = !waiting.changes.is_empty();
        let in_flight = waiting.in_flight;
        let mut later = waiting.changes.iter_mut().skip(in_flight);
        if !later.any(|one| one.absorb(&change)) {
            waiting.changes.push_back(change);
        }
        was_behind
    }

    /// The sentence of the errors of the next transaction; `None` when nothing waits.
    pub(crate) fn what(&self) -> Option<String> {
        let waiting = lock(&self.waiting);
        let last = waiting.changes.len().min(BATCH).checked_sub(1)?;
        waiting.changes.get(last).map(RowChange::what)
    }

    /// The next changes, which are not changed any more until they are given back.
    pub(crate) fn take_batch(&self) -> Vec<RowChange> {
        let mut waiting = lock(&self.waiting);
        waiting.in_flight = waiting.changes.len().min(BATCH);
        waiting.changes.iter().take(BATCH).cloned().collect()
    }

    /// The transaction is over, and so many changes were written.
    pub(crate) fn give_back(&self, written: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.in_flight = 0;
        waiting.changes.drain(..written);
    }

    pub(crate) fn refuse_if_full(&self) -> Result<()> {
        match lock(&self.waiting).changes.len() < MOST {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Unavailable, "the database has been busy for too long")),
        }
    }

    /// Takes back a beginning that could not be entered.
    pub(crate) fn take_back(&self, started: Started) {
        let is_it = |c: &RowChange| match (c, started) {
            (RowChange::Open { id, .. }, Started::File(started)) => *id == started,
            (RowChange::Event(event), Started::Event(started)) => event.id == started,
            _ => false,
        };
        let mut waiting = lock(&self.waiting);
        let at = waiting.changes.iter().position(is_it);
        match (at, started) {
            (Some(at), _) if at >= waiting.in_flight => drop(waiting.changes.remove(at)),
            (_, Started::File(id)) => waiting.changes.push_back(RowChange::Forget { id }),
            // Another thread is writing it: it is there then, and its end is not known.
            (_, Started::Event(_)) => {}
        }
    }
}

#[cfg(test)]
impl Rows {
    pub(crate) fn len(&self) -> usize {
        lock(&self.waiting).changes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gap;
    use perch_domain::archive::GapCause;

    #[test]
    fn events_that_begin_in_one_moment_have_ids_of_their_own() {
        let rows = Rows::default();
        let ids = [-5, 7, 7, 8, 7].map(|start| rows.promise_event_id(Timestamp(start)).0);
        assert_eq!(ids, [1, 7, 8, 9, 10]);
        for start in 0..2 * PROMISED as i64 {
            rows.promise_event_id(Timestamp(100 + start));
        }
        assert_eq!(lock(&rows.waiting).promised.len(), PROMISED);
    }

    #[test]
    fn a_gap_that_goes_on_is_one_change() {
        let rows = Rows::default();
        for end in 1..5 {
            rows.leave(gap(end, GapCause::NoMotion));
        }
        rows.leave(gap(9, GapCause::DiskFull));
        assert_eq!(lock(&rows.waiting).changes.len(), 2);
        lock(&rows.waiting).in_flight = 2;
        rows.leave(gap(6, GapCause::NoMotion));
        assert_eq!(lock(&rows.waiting).changes.len(), 3, "what is being written is not changed any more");
    }
}
