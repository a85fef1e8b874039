//! How recordings are deleted, so that a kill at any moment leaves neither a file nor a row alone. Which ones go is asked of
//! `retention` and of those whose recordings were for a moment only.

use crate::fault::{io_error, write_fault};
use crate::reading::of_row;
use crate::segment_rows::{delete_row, forget_copy};
use crate::{Recordings, gap_rows};
use perch_base::Result;
use perch_base::ids::SegmentId;
use perch_base::sync::{lock, try_lock};
use perch_base::time::Timestamp;
use perch_domain::archive::{Gap, GapCause};
use rusqlite::OptionalExtension;
use std::collections::HashSet;
use std::time::Duration;

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Recordings deleted.
    pub deleted: u64,
    /// Their bytes.
    pub freed_bytes: u64,
}

impl Recordings {
    /// Deletes recordings: rows to `deleting`, files unlinked, rows away. With a cause, gaps remain. Pinned ones are left even
    /// when they were pinned a moment ago.
    pub(crate) fn erase(&self, ids: &[SegmentId], cause: Option<GapCause>) -> Result<RetentionReport> {
        self.erase_within(None, ids, cause).map(Option::unwrap_or_default)
    }

    /// Like [`Recordings::erase`]. With a patience it is `None` when the database is not free within that, or somebody else deletes:
    /// it is to be asked again then.
    pub(crate) fn erase_within(
        &self,
        patience: Option<Duration>,
        ids: &[SegmentId],
        cause: Option<GapCause>,
    ) -> Result<Option<RetentionReport>> {
        if ids.is_empty() {
            return Ok(Some(RetentionReport::default()));
        }
        let turn = if patience.is_none() { Some(lock(&self.inner.erasing)) } else { try_lock(&self.inner.erasing) };
        let Some(_one_at_a_time) = turn else { return Ok(None) };
        let what = format!("{} recordings from {} on cannot be deleted", ids.len(), ids[0]);
        let mark = || {
            self.inner.db.write_within(patience, &what, |tx| {
                let sql = "UPDATE segment SET state = 'deleting' WHERE id = ?1 AND state = 'sealed'
                    AND NOT EXISTS (SELECT 1 FROM event WHERE event.id = segment.event AND event.pinned = 1)";
                let mut statement = tx.prepare_cached(sql)?;
                for id in ids {
                    statement.execute([id.0])?;
                }
                Ok(())
            })
        };
        let marked = mark().or_else(|e| {
            // A disk so full that not even the mark can be written: one file makes room for it. Its row is then one without a
            // file, which the next try and every start can deal with.
            if write_fault(&e) != Some(GapCause::DiskFull) {
                return Err(e);
            }
            self.unlink_one(ids[0])?;
            self.inner.db.hope();
            mark()
        });
        match marked? {
            Some(()) => self.finish(patience, Some(ids), cause),
            None => Ok(None),
        }
    }

    fn unlink_one(&self, id: SegmentId) -> Result<()> {
        let path: Option<String> = self.inner.db.read_recorder(format_args!("looking up recording {id}"), |c| {
            let sql = "SELECT path FROM segment LEFT JOIN event ON event.id = segment.event
                WHERE segment.id = ?1 AND segment.state = 'sealed' AND coalesce(event.pinned, 0) = 0";
            Ok(c.prepare_cached(sql)?.query_row([id.0], |r| r.get(0)).optional()?)
        })?;
        match path {
            Some(path) => self.unlink(&path),
            None => Ok(()),
        }
    }

    fn unlink(&self, path: &str) -> Result<()> {
        self.inner.recordings.remove(path).map_err(|e| io_error(|| format!("recording {path} cannot be deleted"), e))
    }

    /// Goes on with what an earlier deletion could not bring to its end.
    pub(crate) fn finish_deleting(&self, cause: Option<GapCause>) -> Result<RetentionReport> {
        let _one_at_a_time = lock(&self.inner.erasing);
        self.finish(None, None, cause).map(Option::unwrap_or_default)
    }

    /// Unlinks the files of the rows that are marked (those of `ids`, or all), then takes the rows away. A file that cannot be
    /// unlinked keeps its row. `None` when the database is not free within the patience. Needs `erasing`.
    fn finish(
        &self,
        patience: Option<Duration>,
        ids: Option<&[SegmentId]>,
        cause: Option<GapCause>,
    ) -> Result<Option<RetentionReport>> {
        struct Marked {
            id: SegmentId,
            camera: String,
            path: String,
            start: Timestamp,
            end: Timestamp,
            size_bytes: i64,
        }
        let marked = self.inner.db.read_recorder("looking up what is being deleted", |c| {
            let sql = "SELECT id, camera, path, start, end, size FROM segment
                WHERE state = 'deleting' AND state <> 'sealed'";
            let mut statement = c.prepare_cached(sql)?;
            self.inner.db.damaged.all(statement.query([])?, |r| {
                let id = SegmentId(r.get(0)?);
                of_row(format_args!("recording {id}"), || {
                    let (start, end) = (Timestamp(r.get(3)?), Timestamp(r.get(4)?));
                    Ok(Marked { id, camera: r.get(1)?, path: r.get(2)?, start, end, size_bytes: r.get(5)? })
                })
            })
        })?;
        let mine: Option<HashSet<SegmentId>> = ids.map(|ids| ids.iter().copied().collect());
        let (mut gone, mut failed) = (Vec::new(), None);
        for one in marked.into_iter().filter(|one| mine.as_ref().is_none_or(|mine| mine.contains(&one.id))) {
            match self.unlink(&one.path) {
                Ok(()) => gone.push(one),
                Err(e) => failed = Some(e),
            }
        }
        if gone.is_empty() {
            return failed.map_or(Ok(Some(RetentionReport::default())), Err);
        }
        let taken_out = self.inner.db.write_within(
            patience,
            format_args!("{} deleted recordings cannot be taken out of the index", gone.len()),
            |tx| {
                for one in &gone {
                    delete_row(tx, one.id)?;
                    match cause {
                        Some(cause) => gap_rows::put(tx, &one.camera, &Gap::new(one.start, one.end, cause))?,
                        // Somebody wished it gone: it is not to be seen as a copy either.
                        None => forget_copy(tx, one.id)?,
                    }
                }
                Ok(())
            },
        )?;
        Ok(taken_out.map(|()| RetentionReport {
            deleted: gone.len() as u64,
            freed_bytes: gone.iter().map(|one| one.size_bytes.max(0) as u64).sum(),
        }))
    }
}
