//! Changes of the rows of recordings and events, in the order in which the recorders make them. A recorder never waits for the database: files
//! go on, and what the database cannot take now (another program holds it, another thread writes) is kept in memory and follows. A
//! crash in between costs nothing but to which event a file belonged: files without a row are taken in at the next start.

use crate::change::{RowChange, Started};
use crate::reading::Fail;
use crate::segment_rows::{delete_row, format_id, update_row};
use crate::{Index, event_rows, gap_rows};
use perch_base::Result;
use perch_base::sync::{lock, try_lock};
use rusqlite::{ErrorCode, Transaction, params};
use std::time::Duration;

/// A recorder waits so long for another program, once: while changes wait already, not at all.
const PATIENCE: Duration = Duration::from_millis(100);

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

    /// Writes what waits, and waits for the database for that. Errors are logged once: it is tried again later.
    pub(crate) fn settle(&self) {
        let (failures, now) = (&self.inner.failures.rows, self.inner.db.clock.mono());
        match self.write_waiting(None) {
            Err(e) if failures.is_news(&e, now) => {
                tracing::warn!(error = %e, "what was recorded could not be entered in the index yet");
            }
            Err(_) => {}
            Ok(_) => {
                if let Some(repeats) = failures.ended() {
                    tracing::info!(repeats, "what was recorded is entered in the index again");
                }
            }
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
            update_row(tx, segment.id, &segment.into(), Some(sha256))?;
            // Its event may have been entered since the file began.
            let sql = "UPDATE segment SET audio = ?2, event = coalesce(event, (SELECT id FROM event WHERE id = ?3))
                WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![segment.id.0, channels, segment.event.map(|e| e.0)])?;
        }
        RowChange::Forget { id } => delete_row(tx, *id)?,
        RowChange::Claim { files, event } => {
            let sql = "UPDATE segment SET event = (SELECT id FROM event WHERE id = ?2) WHERE id = ?1";
            let mut statement = tx.prepare_cached(sql)?;
            for id in files {
                statement.execute(params![id.0, event.0])?;
            }
        }
        RowChange::Cut { segment, .. } => update_row(tx, segment.id, &segment.into(), None)?,
        RowChange::Event(event) => event_rows::put(tx, event)?,
        RowChange::Still { event, boxes } => {
            let sql = "UPDATE event SET thumbnail = 1, boxes = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![event.0, event_rows::boxes_text(*event, boxes)?])?;
        }
        RowChange::Gap { camera, gap } => gap_rows::put(tx, camera.as_str(), gap)?,
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
    use crate::mp4::format::TrackFormat;
    use crate::row_queue::MOST;
    use crate::testing::{gap, open};
    use perch_base::ErrorKind;
    use perch_base::ids::{CameraId, SegmentId};
    use perch_base::time::Timestamp;
    use perch_domain::archive::{Gap, GapCause};
    use perch_domain::media::VideoCodec;
    use perch_domain::orientation::Orientation;

    #[test]
    fn where_too_much_waits_nothing_begins_and_what_has_begun_ends() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let index = open(&dir).index().clone();
        for n in 0..MOST as i64 {
            let (start, end) = (Timestamp(n * 10), Timestamp(n * 10 + 1));
            let camera = CameraId::new("front").expect("valid");
            index.rows().leave(RowChange::Gap { camera, gap: Gap::new(start, end, GapCause::NoMotion) });
        }
        let id = SegmentId(7);
        for _ in 0..3 {
            let open = RowChange::Forget { id };
            assert_eq!(index.begin(Started::File(id), open).expect_err("full").kind(), ErrorKind::Unavailable);
        }
        assert_eq!(index.change(gap(1, GapCause::DiskFull)).expect_err("full").kind(), ErrorKind::Unavailable);
        assert_eq!(index.rows().len(), MOST, "what was refused left nothing behind");
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
            format: TrackFormat {
                codec: VideoCodec::H264,
                sets: Vec::new(),
                orientation: Orientation::NONE,
                has_audio: false,
            },
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
