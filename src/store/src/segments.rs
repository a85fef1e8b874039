//! Recordings in the index: cut and listed. Files being written, and those whose rows have yet to follow, are indexed in memory and merged
//! into every answer, so the database is written twice a file and not once a GOP. How rows are written is in `rows` and
//! `segment_rows`.

use crate::change::RowChange;
use crate::fault::io_error;
use crate::live::Recorded;
use crate::mp4::format::TrackFormat;
use crate::mp4::read;
use crate::reading::{Fail, of_row};
use crate::segment_rows::delete_row;
use crate::words::from_word;
use crate::{Recordings, fragments};
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::time::{DAY_US, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{Fragment, Segment, SegmentState, TOUCH_US, TimeRange};
use rusqlite::{OptionalExtension, Row, params};
use std::collections::HashSet;
use std::io;

/// The newest file begins at most this much behind the moment at which the earlier ones are to end.
const NEAR_US: i64 = 60_000_000;

/// Recordings that are looked at for the last one with pictures: those that are damaged or empty are passed over.
const LOOKED_BACK: usize = 4;

const COLUMNS: &str = "id, camera, path, start, end, size, state, event, init_size, fragments, audio";

/// What becomes of a file when it is sealed: an empty one is removed.
pub(crate) fn sealed_state(s: &Segment) -> SegmentState {
    if s.fragments.is_empty() { SegmentState::Deleting } else { SegmentState::Sealed }
}

impl Recordings {
    /// A recording as its row says. One whose fragments cannot be read is there without them.
    fn recorded_in(&self, row: &Row<'_>) -> Result<Recorded, Fail> {
        let id = SegmentId(row.get(0)?);
        let blob: Option<Vec<u8>> = row.get(9)?;
        let fragments = match blob {
            None => Vec::new(),
            Some(blob) => fragments::decode(&blob).unwrap_or_else(|| {
                let message = format!("recording {id}: where its pictures are is damaged: it cannot be played");
                self.inner.db.damaged.note(&Error::new(ErrorKind::Corrupt, message));
                Vec::new()
            }),
        };
        of_row(format_args!("recording {id}"), || {
            let segment = Segment {
                id,
                camera: CameraId::new(&row.get::<_, String>(1)?)?,
                start: Timestamp(row.get(3)?),
                end: Timestamp(row.get(4)?),
                size_bytes: row.get::<_, i64>(5)?.max(0) as u64,
                state: from_word(&row.get::<_, String>(6)?)?,
                event: row.get::<_, Option<i64>>(7)?.map(EventId),
                init_size_bytes: row.get::<_, i64>(8)?.max(0) as u64,
                fragments,
            };
            let channels = row.get::<_, i64>(10)?.clamp(0, 2) as u8;
            Ok(Recorded { segment, path: row.get(2)?, channels, copy: None })
        })
    }

    /// Takes back a row whose file is gone.
    pub(crate) fn forget_open(&self, id: SegmentId) -> Result<()> {
        self.inner.db.write(format_args!("recording {id} cannot be taken out of the index"), |tx| delete_row(tx, id))
    }

    /// Whether a row names this path. A database that does not answer knows none.
    pub(crate) fn is_path_taken(&self, path: &str) -> bool {
        let asked = self.inner.db.read_recorder(format_args!("looking up the recording {path}"), |c| {
            Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM segment WHERE path = ?1)")?
                .query_row([path], |r| r.get(0))?)
        });
        asked.unwrap_or(false)
    }

    /// Cuts every earlier file of a camera back to end at `at`, where its newest file begins (an event's, with the seconds before
    /// the event from memory): what the newest file holds as well goes, and a file of which nothing is left with it. Files that only
    /// seem to reach behind `at`, because the clock was set back since, are left alone.
    pub fn trim_before(&self, camera: &CameraId, at: Timestamp) -> Result<()> {
        let what = format!("camera {camera}: the recordings before {at} cannot be cut");
        // First: a file whose row follows between the two looks is then found twice, not missed.
        let live: Vec<(Recorded, bool)> = {
            let live = self.live();
            live.values().filter(|l| l.segment.camera == *camera).map(|l| (l.recorded(), l.is_complete)).collect()
        };
        let in_rows = self.inner.db.read_recorder(&what, |c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM segment WHERE camera = ?1 AND start >= ?2 AND start < ?2 + {NEAR_US}
                AND state = 'sealed' ORDER BY id DESC LIMIT 1"
            );
            self.inner
                .db
                .damaged
                .all(c.prepare_cached(&sql)?.query(params![camera.as_str(), at.0])?, |row| self.recorded_in(row))
        })?;
        let is_near = |s: &Segment| s.start >= at && s.start < at.plus_micros(NEAR_US);
        let in_memory = live.iter().map(|(l, _)| l.segment.clone()).filter(is_near);
        let newest = in_memory.chain(in_rows.into_iter().map(|r| r.segment)).max_by_key(|s| s.id);
        let Some(newest) = newest else { return Ok(()) };
        let mut earlier = self.inner.db.read_recorder(&what, |c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM segment WHERE camera = ?1 AND id < ?3 AND state = 'sealed'
                AND end > ?2 + {TOUCH_US} AND start < ?4 AND start >= {FIRST_THAT_MAY_OVERLAP}"
            );
            let limits = params![camera.as_str(), newest.start.0, newest.id.0, newest.end.0];
            self.inner.db.damaged.all(c.prepare_cached(&sql)?.query(limits)?, |row| self.recorded_in(row))
        })?;
        for (recorded, is_complete) in live {
            let s = &recorded.segment;
            let reaches = is_complete && s.id < newest.id && s.end.0 > newest.start.0 + TOUCH_US;
            if reaches && !earlier.iter().any(|r| r.segment.id == s.id) {
                earlier.push(recorded);
            }
        }
        for recorded in earlier {
            self.cut_back(recorded, &newest)?;
        }
        Ok(())
    }

    /// Cuts what a newer file holds as well off the end of a complete one; whether there was any.
    pub(crate) fn cut_back(&self, recorded: Recorded, newer: &Segment) -> Result<bool> {
        let Recorded { mut segment, path, .. } = recorded;
        let Some(keep) = segment.doubled_from(newer) else { return Ok(false) };
        segment.fragments.truncate(keep);
        let Some(last) = segment.fragments.last().copied() else {
            return self.discard_segments(&[segment.id]).map(|()| true);
        };
        let failed = |e: io::Error| io_error(|| format!("recording {path} cannot be cut at {}", newer.start), e);
        let file = match self.inner.recordings.edit(&path) {
            // Deleted since it was looked up: nothing is left to cut, and those after it still are to be.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other.map_err(failed)?,
        };
        segment.size_bytes = last.offset_bytes + last.size_bytes;
        segment.end = segment.start.plus_micros(last.start_us + last.duration_us);
        segment.state = SegmentState::Sealed;
        // The file first: a row that promises more than there is is noticed at the next start, the reverse is not.
        file.set_len(segment.size_bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        if let Some(live) = self.live().get_mut(&segment.id) {
            live.segment = segment.clone();
        }
        // Without a hash: the recorder waits for this, and reading the whole file takes seconds on a slow card.
        self.index().change(RowChange::Cut { segment, path }).map(|()| true)
    }

    /// The recordings of a camera that overlap a range and can be read, in order of time, at most `limit`; those being written
    /// are among them, and those that are only copies.
    pub(crate) fn recorded(&self, camera: &CameraId, range: &TimeRange, limit: usize) -> Result<Vec<Recorded>> {
        // First: a file that is sealed between the two looks is then found twice, not missed.
        let open = self.being_written(camera, range)?;
        let mut out = self.inner.db.read(format_args!("camera {camera}: looking up its recordings"), |c| {
            let limits = params![camera.as_str(), range.from.0, range.to.0, limit as i64];
            self.inner.db.damaged.all(c.prepare_cached(&recorded_sql())?.query(limits)?, |row| self.recorded_in(row))
        })?;
        let sealed = out.len();
        for one in open.into_iter().chain(self.copied(camera, range, limit)?) {
            if !out[..sealed].iter().any(|r| r.segment.id == one.segment.id) {
                out.push(one);
            }
        }
        if out.len() > sealed {
            out.sort_by_key(|r| (r.segment.start, r.segment.id));
            out.truncate(limit);
        }
        Ok(out)
    }

    /// The recording that ended last of those that began before `at`.
    pub(crate) fn last_recorded(&self, camera: &CameraId, at: Timestamp) -> Result<Option<Recorded>> {
        let day = TimeRange { from: at.plus_micros(-DAY_US), to: at };
        let open = self.being_written(camera, &day)?;
        let sealed = self.inner.db.read(format_args!("camera {camera}: looking up its last recording"), |c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM segment WHERE camera = ?1 AND state = 'sealed' AND start < ?2
                ORDER BY start DESC, id DESC LIMIT {LOOKED_BACK}"
            );
            let mut statement = c.prepare_cached(&sql)?;
            self.inner.db.damaged.all(statement.query(params![camera.as_str(), at.0])?, |row| self.recorded_in(row))
        })?;
        let all = open.into_iter().chain(sealed).filter(|r| !r.segment.fragments.is_empty());
        Ok(all.max_by_key(|r| (r.segment.start, r.segment.id)))
    }

    /// What is being written: the daemon's memory knows, a command beside it looks at the files.
    fn being_written(&self, camera: &CameraId, range: &TimeRange) -> Result<Vec<Recorded>> {
        if self.inner.lock.is_some() {
            return Ok(self.live().values().filter_map(|l| l.overlapping(camera, range)).collect());
        }
        let rows = self.inner.db.read(format_args!("camera {camera}: looking up what is being recorded"), |c| {
            let sql = format!(
                "SELECT {COLUMNS} FROM segment WHERE camera = ?1 AND state = 'open' AND start < ?3
                AND start >= {FIRST_THAT_MAY_OVERLAP}"
            );
            self.inner
                .db
                .damaged
                .all(c.prepare_cached(&sql)?.query(params![camera.as_str(), range.from.0, range.to.0])?, |row| {
                    self.recorded_in(row)
                })
        })?;
        let mut out = Vec::new();
        for mut recorded in rows {
            let Recorded { segment, path, channels, .. } = &mut recorded;
            let scan = match self.inner.recordings.read(path).and_then(|file| read::scan(&file)) {
                Ok(Ok(scan)) => scan,
                // Just started, or gone again.
                Ok(Err(_)) => continue,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io_error(|| format!("recording {path} cannot be read"), e)),
            };
            segment.end = segment.start.plus_micros(length_us(&scan.fragments));
            (segment.size_bytes, segment.init_size_bytes) = (scan.size_bytes, scan.init.size_bytes);
            segment.fragments = scan.fragments;
            *channels = scan.init.channels;
            if range.overlaps(segment.start, segment.end) {
                out.push(recorded);
            }
        }
        Ok(out)
    }

    /// One recording that can be read. Errors with `NotFound`, also when it is another camera's.
    pub(crate) fn recorded_by_id(&self, camera: &CameraId, id: SegmentId) -> Result<(Recorded, Option<Vec<u8>>)> {
        let missing = || Error::not_found(format!("camera {camera} has no recording {id}"));
        if let Some(l) = self.live().get(&id) {
            if l.segment.camera != *camera || l.segment.fragments.is_empty() {
                return Err(missing());
            }
            return Ok((l.recorded(), None));
        }
        let found = self.inner.db.read(format_args!("looking up recording {id}"), |c| {
            let sql =
                format!("SELECT {COLUMNS}, sha256 FROM segment WHERE id = ?1 AND camera = ?2 AND state = 'sealed'");
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = statement.query(params![id.0, camera.as_str()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Some((self.recorded_in(row)?, row.get(11)?)))
        })?;
        match found {
            Some(found) => Ok(found),
            None => self.copied_by_id(camera, id)?.ok_or_else(missing),
        }
    }

    /// The most channels of sound that any recording of a range has (0 when none has sound), and the formats of video they are of.
    pub(crate) fn channels_and_formats(&self, camera: &CameraId, range: &TimeRange) -> Result<(u8, Vec<TrackFormat>)> {
        let open = self.being_written(camera, range)?;
        let mut formats: HashSet<(Vec<u8>, Vec<u8>)> = {
            let live = self.live();
            open.iter().filter_map(|r| live.get(&r.segment.id)).map(|l| l.format.to_row()).collect()
        };
        let mut channels = open.iter().map(|r| r.channels).max().unwrap_or(0);
        for (audio, sps, pps) in self.formats_of_copies(camera, range)? {
            channels = channels.max(audio.unwrap_or(0).clamp(0, 2) as u8);
            formats.extend(sps.zip(pps));
        }
        self.inner.db.read(format_args!("camera {camera}: looking up its formats"), |c| {
            let sql = format!(
                "SELECT max(audio), sps, pps FROM segment LEFT JOIN format ON format.id = segment.format
                WHERE camera = ?1 AND start < ?3 AND (state = 'sealed' AND end > ?2 OR state = 'open')
                AND start >= {FIRST_THAT_MAY_OVERLAP} GROUP BY format"
            );
            let mut statement = c.prepare_cached(&sql)?;
            let mut rows = statement.query(params![camera.as_str(), range.from.0, range.to.0])?;
            while let Some(r) = rows.next()? {
                channels = channels.max(r.get::<_, Option<i64>>(0)?.unwrap_or(0).clamp(0, 2) as u8);
                if let (Some(sps), Some(pps)) = (r.get(1)?, r.get(2)?) {
                    formats.insert((sps, pps));
                }
            }
            Ok(())
        })?;
        let formats = formats.into_iter().map(|(sps, pps)| TrackFormat::from_row(sps, pps, channels > 0));
        Ok((channels, formats.collect()))
    }

    /// What the tracks of a recording are.
    pub(crate) fn format_of(&self, id: SegmentId) -> Result<TrackFormat> {
        if let Some(live) = self.live().get(&id) {
            return Ok(TrackFormat { has_audio: live.channels > 0, ..live.format.clone() });
        }
        let found = self.inner.db.read(format_args!("looking up the format of recording {id}"), |c| {
            let sql =
                "SELECT sps, pps, audio FROM segment JOIN format ON format.id = segment.format WHERE segment.id = ?1";
            let row = |r: &Row<'_>| Ok(TrackFormat::from_row(r.get(0)?, r.get(1)?, r.get::<_, i64>(2)? > 0));
            Ok(c.prepare_cached(sql)?.query_row([id.0], row).optional()?)
        })?;
        if let Some(found) = found {
            return Ok(found);
        }
        let of_copy = self.format_of_copy(id)?;
        match of_copy {
            Some((audio, Some(sps), Some(pps))) => Ok(TrackFormat::from_row(sps, pps, audio.unwrap_or(0) > 0)),
            _ => Err(Error::not_found(format!("recording {id} is not in the index"))),
        }
    }
}

/// Readable files of a camera (`?1`) that overlap the range from `?2` to `?3`, at most `?4`. Files hardly overlap: the one before
/// the range's start, and a few more, bound the search from below.
pub(crate) fn recorded_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM segment WHERE camera = ?1 AND state = 'sealed' AND start < ?3 AND end > ?2
        AND start >= {FIRST_THAT_MAY_OVERLAP} ORDER BY start, id LIMIT ?4"
    )
}

/// A lower bound for the start of files that may overlap a moment (`?2`) of a camera (`?1`).
pub(crate) const FIRST_THAT_MAY_OVERLAP: &str = "coalesce((SELECT min(start) FROM
    (SELECT start FROM segment WHERE camera = ?1 AND start <= ?2 ORDER BY start DESC LIMIT 16)), ?2)";

/// Where the recorded time of a list of fragments ends, relative to time 0.
pub(crate) fn length_us(fragments: &[Fragment]) -> i64 {
    fragments.last().map_or(0, |f| f.start_us.saturating_add(f.duration_us))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;

    #[test]
    fn a_damaged_row_is_logged_once_and_hides_no_neighbour() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir).recordings().clone();
        let damaged = store.inner.db.write("entering", |tx| {
            let sql = "INSERT INTO segment (camera, path, start, end, size, state, fragments)
                VALUES ('front', ?1, ?2, ?2 + 1, 9, 'sealed', ?3)";
            tx.execute(sql, params!["good", 1, fragments::encode(&[])])?;
            tx.execute(sql, params!["bad", 3, [7u8; 5]])?;
            Ok(tx.last_insert_rowid())
        });
        damaged.expect("entered");
        let camera = CameraId::new("front").expect("valid");
        let range = TimeRange { from: Timestamp(0), to: Timestamp(9) };
        for _ in 0..3 {
            assert_eq!(store.recorded(&camera, &range, 9).expect("asked").len(), 2);
        }
        assert_eq!(store.inner.db.damaged.logged.ended(), Some(2), "one was logged");
    }
}
