//! Changes of the rows of recordings and events, in the order in which the recorders make them. A recorder never waits for the database: files
//! go on, and what the database cannot take now (another program holds it, another thread writes) is kept in memory and follows. A
//! crash in between costs nothing but to which event a file belonged: files without a row are taken in at the next start.

use crate::change::{RowChange, Started};
use crate::db::{Fail, lock, try_lock};
use crate::segments::{format_id, update_row};
use crate::{Index, events, gaps};
use perch_base::ids::{EventId, SegmentId};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::Event;
use perch_domain::motion::Rect;
use rusqlite::{ErrorCode, Transaction, params};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Changes that may wait: some 12 MB, and a day of one camera. Beyond that nothing new begins until the database answers; what belongs
/// to what has begun waits all the same: a few changes for each file and event.
const MOST: usize = 4_096;

/// Changes that are written in one transaction.
const BATCH: usize = 256;

/// A recorder waits so long for another program, once: while changes wait already, not at all.
const PATIENCE: Duration = Duration::from_millis(100);

/// The changes that wait.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    waiting: Mutex<Waiting>,
    /// They are written by one at a time, so that their order holds.
    writing: Mutex<()>,
    /// Events are named one at a time.
    pub(crate) naming: Mutex<()>,
    /// The newest id that was given away.
    newest: AtomicI64,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: VecDeque<RowChange>,
    /// So many of them are in a transaction at this moment.
    in_flight: usize,
}

impl Rows {
    /// The id of a new row: this process alone makes rows of recordings.
    pub(crate) fn new_id(&self) -> SegmentId {
        SegmentId(self.newest.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// An event that the database has not taken yet.
    pub(crate) fn event(&self, id: EventId) -> Option<Event> {
        let waiting = lock(&self.waiting);
        waiting.changes.iter().rev().find_map(|c| match c {
            RowChange::Event(event) if event.id == id => Some(event.clone()),
            _ => None,
        })
    }

    /// What moves in the still of an event, as far as the database has not taken it.
    pub(crate) fn still(&self, id: EventId) -> Option<Vec<Rect>> {
        let waiting = lock(&self.waiting);
        waiting.changes.iter().rev().find_map(|c| match c {
            RowChange::Still { event, boxes } if *event == id => Some(boxes.clone()),
            _ => None,
        })
    }

    /// Ids are given from here on.
    pub(crate) fn begin_after(&self, newest: SegmentId) {
        self.newest.store(newest.0, Ordering::Relaxed);
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
    fn what(&self) -> Option<String> {
        let waiting = lock(&self.waiting);
        let last = waiting.changes.len().min(BATCH).checked_sub(1)?;
        waiting.changes.get(last).map(RowChange::what)
    }

    /// The next changes, which are not changed any more until they are given back.
    fn take_batch(&self) -> Vec<RowChange> {
        let mut waiting = lock(&self.waiting);
        waiting.in_flight = waiting.changes.len().min(BATCH);
        waiting.changes.iter().take(BATCH).cloned().collect()
    }

    /// The transaction is over, and so many changes were written.
    fn give_back(&self, written: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.in_flight = 0;
        waiting.changes.drain(..written);
    }

    fn refuse_if_full(&self) -> Result<()> {
        match lock(&self.waiting).changes.len() < MOST {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Unavailable, "the database has been busy for too long")),
        }
    }

    /// Takes back a beginning that could not be entered.
    fn take_back(&self, started: Started) {
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

impl Index {
    /// Makes a change, now or as soon as the database takes it. Errors: `Unavailable` when the disk cannot be written (the change
    /// waits all the same), or when too much waits and this can be said again later.
    pub(crate) fn change(&self, change: RowChange) -> Result<()> {
        let rows = self.rows();
        if change.can_be_repeated() {
            rows.refuse_if_full()?;
        }
        let patience = if rows.leave(change) { Duration::ZERO } else { PATIENCE };
        self.write_waiting(Some(patience)).map(drop)
    }

    /// Like [`Index::change`] for what begins: after an error it has not started.
    pub(crate) fn begin(&self, started: Started, change: RowChange) -> Result<()> {
        self.rows().refuse_if_full()?;
        self.change(change).inspect_err(|_| self.rows().take_back(started))
    }

    /// How long a recorder may wait for another program now.
    pub(crate) fn patience(&self) -> Duration {
        if self.rows().is_behind() { Duration::ZERO } else { PATIENCE }
    }

    /// Writes what waits, and waits for the database for that. Errors are logged: they are tried again later.
    pub(crate) fn settle(&self) {
        if let Err(e) = self.write_waiting(None) {
            tracing::warn!(error = %e, "what was recorded could not be entered in the index yet");
        }
    }

    /// Writes what waits; whether all of it. With a patience nobody waits for longer than that for another program, and not at all
    /// for another thread.
    pub(crate) fn write_waiting(&self, patience: Option<Duration>) -> Result<bool> {
        let rows = self.rows();
        let turn = if patience.is_none() { Some(lock(&rows.writing)) } else { try_lock(&rows.writing) };
        let Some(_one_at_a_time) = turn else { return Ok(false) };
        while let Some(what) = rows.what() {
            let mut batch = Vec::new();
            let write = |tx: &Transaction<'_>| {
                batch = rows.take_batch();
                batch.iter().try_for_each(|change| write_or_report(tx, change))
            };
            let written = self.inner.db.write_within(patience, &what, write);
            let is_written = matches!(written, Ok(Some(())));
            rows.give_back(if is_written { batch.len() } else { 0 });
            if written?.is_none() {
                return Ok(false);
            }
            let mut live = self.live();
            for change in &batch {
                if let RowChange::Seal { segment, .. } = change {
                    live.remove(&segment.id);
                }
            }
        }
        Ok(true)
    }
}

fn write(tx: &Transaction<'_>, change: &RowChange) -> Result<(), Fail> {
    match change {
        RowChange::Open { id, camera, path, start, event, format } => {
            let format = format_id(tx, format)?;
            // The file was made a moment ago: a row that has its name is of one that is no more.
            tx.prepare_cached("DELETE FROM segment WHERE path = ?1")?.execute([path])?;
            // An event that is not in the index (its row could not be written) must not keep its pictures from being recorded.
            let sql = "INSERT INTO segment (id, camera, path, start, end, size, state, event, format)
                VALUES (?1, ?2, ?3, ?4, ?4, 0, 'open', (SELECT id FROM event WHERE id = ?5), ?6)";
            let row = params![id.0, camera.as_str(), path, start.0, event.map(|e| e.0), format];
            tx.prepare_cached(sql)?.execute(row)?;
        }
        RowChange::Seal { segment, channels, sha256, .. } => {
            update_row(tx, segment, Some(sha256))?;
            // Its event may have been entered since the file began.
            let sql = "UPDATE segment SET audio = ?2, event = coalesce(event, (SELECT id FROM event WHERE id = ?3))
                WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![segment.id.0, channels, segment.event.map(|e| e.0)])?;
        }
        RowChange::Forget { id } => {
            tx.prepare_cached("DELETE FROM segment WHERE id = ?1")?.execute([id.0])?;
        }
        RowChange::Claim { files, event } => {
            let sql = "UPDATE segment SET event = (SELECT id FROM event WHERE id = ?2) WHERE id = ?1";
            let mut statement = tx.prepare_cached(sql)?;
            for id in files {
                statement.execute(params![id.0, event.0])?;
            }
        }
        RowChange::Cut { segment, .. } => update_row(tx, segment, None)?,
        RowChange::Event(event) => events::put(tx, event)?,
        RowChange::Still { event, boxes } => {
            let sql = "UPDATE event SET thumbnail = 1, boxes = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![event.0, events::boxes_text(boxes)?])?;
        }
        RowChange::Gap { camera, start, end, cause } => gaps::put(tx, camera.as_str(), start.0, end.0, *cause)?,
    }
    Ok(())
}

/// Writes a change. One that can never be written must not hold up the others: it is reported, and the next start compares rows and
/// files.
fn write_or_report(tx: &Transaction<'_>, change: &RowChange) -> Result<(), Fail> {
    match write(tx, change) {
        Err(Fail::Sql(e)) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            tracing::error!(error = %e, "{}", change.what());
            Ok(())
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::h264::TrackFormat;
    use crate::testing::open;
    use perch_base::ids::CameraId;
    use perch_base::time::Timestamp;
    use perch_domain::archive::GapCause;

    fn gap(end: i64, cause: GapCause) -> RowChange {
        let camera = CameraId::new("front").expect("valid");
        RowChange::Gap { camera, start: Timestamp(0), end: Timestamp(end), cause }
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

    #[test]
    fn where_too_much_waits_nothing_begins_and_what_has_begun_ends() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let index = open(&dir).index().clone();
        for n in 0..MOST as i64 {
            let (start, end) = (Timestamp(n * 10), Timestamp(n * 10 + 1));
            let camera = CameraId::new("front").expect("valid");
            index.rows().leave(RowChange::Gap { camera, start, end, cause: GapCause::NoMotion });
        }
        let id = SegmentId(7);
        for _ in 0..3 {
            let open = RowChange::Forget { id };
            assert_eq!(index.begin(Started::File(id), open).expect_err("full").kind(), ErrorKind::Unavailable);
        }
        assert_eq!(index.change(gap(1, GapCause::DiskFull)).expect_err("full").kind(), ErrorKind::Unavailable);
        assert_eq!(lock(&index.rows().waiting).changes.len(), MOST, "what was refused left nothing behind");
        index.change(RowChange::Forget { id }).expect("an end is never refused");
        assert!(!index.rows().is_behind());
    }

    #[test]
    fn what_can_never_be_written_does_not_hold_up_the_rest() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let index = open(&dir).index().clone();
        let file = |id: i64, path: &str| RowChange::Open {
            id: SegmentId(id),
            camera: CameraId::new("front").expect("valid"),
            path: path.into(),
            start: Timestamp(0),
            event: None,
            format: TrackFormat { sps: bytes::Bytes::new(), pps: bytes::Bytes::new(), has_audio: false },
        };
        for change in [file(1, "a"), file(1, "b"), file(2, "c")] {
            index.rows().leave(change);
        }
        assert!(index.write_waiting(None).expect("written"));
        let paths: Vec<String> = index
            .inner
            .db
            .read("looking", |c| {
                let mut all = c.prepare("SELECT path FROM segment ORDER BY id")?;
                let rows = all.query_map([], |r| r.get(0))?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .expect("asked");
        assert_eq!(paths, ["a", "c"]);
    }
}
