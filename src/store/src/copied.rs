//! Recordings whose files are gone and whose copies are not: found like any other, read from where the copy is.

use crate::live::Recorded;
use crate::reading::{Fail, of_row};
use crate::{Recordings, fragments};
use bytes::Bytes;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::read_at::ReadAt;
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{Segment, SegmentState, TimeRange, check_stretches};
use perch_domain::held::{CopyPlace, CopyReader, only_encrypted};
use perch_domain::playback;
use perch_domain::sync::target::MOST_SYNC_TARGETS;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::io;
use std::sync::{Arc, Mutex};

/// Longer than any recording lasts: what began so much before a range may reach into it.
pub(crate) const LONGEST_US: i64 = 2 * 3_600_000_000;
/// Of a copy, so much is fetched at once at least, and at most.
const AHEAD_BYTES: (u64, u64) = (256 << 10, 32 << 20);

/// What is only a copy, at one of the targets `?1`: verified, and not (any more) on the box.
const IS_ALL_THERE_IS: &str =
    "c.state = 'verified' AND c.fragments IS NOT NULL AND c.target IN (SELECT value FROM json_each(?1))
    AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.id = c.segment AND s.state IN ('open', 'sealed', 'deleting'))";
const COLUMNS: &str = "c.segment, c.camera, c.start, c.end, c.size, c.event, c.init_size, c.fragments, c.audio, c.target, c.key, c.sha256";

/// Of a camera (`?2`), what overlaps the range from `?3` to `?4`; none began before `?5`.
const OF_RANGE: &str = "FROM copy c WHERE c.camera = ?2 AND c.start >= ?5 AND c.start < ?4 AND c.end > ?3";

/// Copies of a range that the box can read, at most `?6`.
pub(crate) fn copied_sql() -> String {
    format!(
        "SELECT {COLUMNS} {OF_RANGE} AND c.key GLOB '*.mp4' AND {IS_ALL_THERE_IS} ORDER BY c.start, c.segment LIMIT ?6"
    )
}

/// When all copies of a range are of, and whether the box can read them.
pub(crate) fn times_sql() -> String {
    format!("SELECT c.start, c.end, c.key GLOB '*.mp4' {OF_RANGE} AND {IS_ALL_THERE_IS} ORDER BY c.start")
}

/// The formats of the copies of a range that the box can read.
fn formats_sql() -> String {
    format!(
        "SELECT max(c.audio), (SELECT sps FROM format WHERE id = c.format), (SELECT pps FROM format WHERE id = c.format)
        {OF_RANGE} AND c.key GLOB '*.mp4' AND {IS_ALL_THERE_IS} GROUP BY c.format"
    )
}

/// Channels, and parameter sets as `format` keeps them; none: it is not known.
pub(crate) type FormatRow = (Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>);

/// Stretches of time that are only copies, neighbours joined, in order.
#[derive(Debug, Default)]
pub(crate) struct CopiedStretches {
    pub(crate) readable: Vec<(Timestamp, Timestamp)>,
    pub(crate) encrypted: Vec<(Timestamp, Timestamp)>,
}

impl Recordings {
    /// From now on copies are read by `reader`, which is asked on threads that may block. Only the first one counts.
    pub fn read_copies_by(&self, reader: Arc<dyn CopyReader>) {
        let _ = self.inner.copies.set(reader);
    }

    fn of_copy(&self, row: &Row<'_>) -> Result<Recorded, Fail> {
        let id = SegmentId(row.get(0)?);
        let blob: Vec<u8> = row.get(7)?;
        let damaged =
            || Error::new(ErrorKind::Corrupt, format!("the copy of recording {id}: where its pictures are is damaged"));
        let fragments = fragments::decode(&blob).ok_or_else(damaged)?;
        of_row(format_args!("the copy of recording {id}"), || {
            let segment = Segment {
                id,
                camera: CameraId::new(&row.get::<_, String>(1)?)?,
                start: Timestamp(row.get(2)?),
                end: Timestamp(row.get(3)?),
                size_bytes: row.get::<_, i64>(4)?.max(0) as u64,
                state: SegmentState::Sealed,
                event: row.get::<_, Option<i64>>(5)?.map(EventId),
                init_size_bytes: row.get::<_, i64>(6)?.max(0) as u64,
                fragments,
            };
            let copy = CopyPlace { target: row.get(9)?, key: row.get(10)? };
            let channels = row.get::<_, i64>(8)?.clamp(0, 2) as u8;
            Ok(Recorded { segment, path: String::new(), channels, copy: Some(copy) })
        })
    }

    /// The targets that are asked, as JSON; `None`: copies are not read.
    fn asked_targets(&self) -> Option<String> {
        let targets = self.inner.copies.get()?.targets();
        let json = serde_json::to_string(&targets).ok();
        json.filter(|_| !targets.is_empty())
    }

    /// The recordings of a range that are only copies and can be read, each once, in order of time, at most `limit` at least of them.
    pub(crate) fn copied(&self, camera: &CameraId, range: &TimeRange, limit: usize) -> Result<Vec<Recorded>> {
        let Some(targets) = self.asked_targets() else { return Ok(Vec::new()) };
        // Each target may have one of each.
        let limit = limit.saturating_mul(MOST_SYNC_TARGETS).min(i64::MAX as usize) as i64;
        let mut out = self.inner.db.read(format_args!("camera {camera}: looking up its copies"), |c| {
            let earliest = range.from.plus_micros(-LONGEST_US);
            let limits = params![targets, camera.as_str(), range.from.0, range.to.0, earliest.0, limit];
            self.inner.db.damaged.all(c.prepare_cached(&copied_sql())?.query(limits)?, |row| self.of_copy(row))
        })?;
        out.dedup_by_key(|one| one.segment.id);
        Ok(out)
    }

    /// Adds what begins from `at` on and before `to`, and reaches into the range.
    pub(crate) fn add_copied_stretches(
        &self,
        c: &Connection,
        camera: &CameraId,
        range: &TimeRange,
        (at, to): (Timestamp, Timestamp),
        out: &mut CopiedStretches,
    ) -> Result<(), Fail> {
        let Some(targets) = self.asked_targets() else { return Ok(()) };
        let mut statement = c.prepare_cached(&times_sql())?;
        let mut rows = statement.query(params![targets, camera.as_str(), range.from.0, to.0, at.0])?;
        while let Some(r) = rows.next()? {
            let stretches = if r.get(2)? { &mut out.readable } else { &mut out.encrypted };
            playback::join(stretches, Timestamp(r.get(0)?), Timestamp(r.get(1)?));
            check_stretches(out.readable.len() + out.encrypted.len())?;
        }
        Ok(())
    }

    /// Channels and parameter sets of the copies of a range.
    pub(crate) fn formats_of_copies(&self, camera: &CameraId, range: &TimeRange) -> Result<Vec<FormatRow>> {
        let Some(targets) = self.asked_targets() else { return Ok(Vec::new()) };
        self.inner.db.read(format_args!("camera {camera}: looking up the formats of its copies"), |c| {
            let earliest = range.from.plus_micros(-LONGEST_US);
            let limits = params![targets, camera.as_str(), range.from.0, range.to.0, earliest.0];
            let mut statement = c.prepare_cached(&formats_sql())?;
            let rows = statement.query_map(limits, |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// A recording that is only a copy, and its hash. Errors with `Unsupported` where it is encrypted.
    pub(crate) fn copied_by_id(&self, camera: &CameraId, id: SegmentId) -> Result<Option<(Recorded, Option<Vec<u8>>)>> {
        let Some(targets) = self.asked_targets() else { return Ok(None) };
        let found = self.inner.db.read(format_args!("looking up the copy of recording {id}"), |c| {
            let sql =
                format!("SELECT {COLUMNS} FROM copy c WHERE c.segment = ?3 AND c.camera = ?2 AND {IS_ALL_THERE_IS}");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query(params![targets, camera.as_str(), id.0])?;
            self.inner.db.damaged.all(rows, |row| Ok((self.of_copy(row)?, row.get(11)?)))
        })?;
        let is_any = !found.is_empty();
        match found.into_iter().find(|(one, _)| one.copy.as_ref().is_some_and(CopyPlace::is_readable)) {
            None if is_any => Err(only_encrypted(format_args!("recording {id}"))),
            found => Ok(found),
        }
    }

    /// What is said where nothing of a range can be read.
    pub(crate) fn nothing_in(&self, camera: &CameraId, range: &TimeRange) -> Error {
        let mut found = CopiedStretches::default();
        let looked = self.inner.db.read(format_args!("camera {camera}: looking for encrypted copies"), |c| {
            let (from, to) = (range.from.plus_micros(-LONGEST_US), range.to);
            self.add_copied_stretches(c, camera, range, (from, to), &mut found)
        });
        match (looked, found.encrypted.is_empty()) {
            (Ok(()), false) => only_encrypted(format_args!("what camera {camera} recorded then")),
            _ => Error::not_found(format!("camera {camera}: nothing is recorded in this range")),
        }
    }

    /// The format of a recording of which a copy is all there is, as it is kept: parameter sets and channels.
    pub(crate) fn format_of_copy(&self, id: SegmentId) -> Result<Option<FormatRow>> {
        self.inner.db.read(format_args!("looking up the format of the copy of recording {id}"), |c| {
            let sql = "SELECT c.audio, f.sps, f.pps FROM copy c JOIN format f ON f.id = c.format WHERE c.segment = ?1 LIMIT 1";
            let row = c.prepare_cached(sql)?.query_row([id.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)));
            Ok(row.optional()?)
        })
    }

    /// The bytes of a copy.
    pub(crate) fn copied_bytes(&self, s: &Segment, place: &CopyPlace, ahead_bytes: u64) -> Result<CopiedBytes> {
        let gone = || Error::not_found(format!("camera {}: recording {} is no longer on the box", s.camera, s.id));
        let reader = self.inner.copies.get().cloned().ok_or_else(gone)?;
        let ahead_bytes = ahead_bytes.clamp(AHEAD_BYTES.0, AHEAD_BYTES.1);
        Ok(CopiedBytes {
            reader,
            place: place.clone(),
            size_bytes: s.size_bytes,
            ahead_bytes,
            window: Mutex::default(),
        })
    }
}

/// The bytes of a copy; what was fetched last is kept, since what is read next mostly lies beside.
pub(crate) struct CopiedBytes {
    reader: Arc<dyn CopyReader>,
    place: CopyPlace,
    size_bytes: u64,
    ahead_bytes: u64,
    /// What was fetched, and where it begins.
    window: Mutex<(u64, Bytes)>,
}

impl ReadAt for CopiedBytes {
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        if out.is_empty() || at >= self.size_bytes {
            return Ok(0);
        }
        let mut window = lock(&self.window);
        let is_within = window.0 <= at && at - window.0 < window.1.len() as u64;
        if !is_within {
            let wanted = self.ahead_bytes.max(out.len() as u64);
            let to = at.saturating_add(wanted).min(self.size_bytes);
            *window = (at, self.reader.read(&self.place, at, to).map_err(io::Error::other)?);
        }
        let from = usize::try_from(at - window.0).unwrap_or(usize::MAX);
        let rest = window.1.get(from..).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}
