//! How far copies off the box are: what is still to be copied to a target, and each step of it, one transaction each. What is copied next
//! is decided in `domain::sync`.

use crate::Recordings;
use crate::fault::io_error;
use crate::meta_rows;
use crate::reading::{Fail, of_row};
use bytes::Bytes;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::secret::{Secret, random_bytes};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, base64};
use perch_domain::archive::{Fragment, TimeRange};
use perch_domain::sync::hours::{CopyHour, RecordingCopy, hours_of, whole_hours};
use perch_domain::sync::object::Sha256;
use perch_domain::sync::plan::{CopyRecord, CopyStage, ToCopy};
use perch_domain::sync::running::{RunningFile, RunningFragment};
use perch_domain::sync::target::{CopyWhat, SyncTarget};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Where the secret of names is kept.
const NAME_SECRET_KEY: &str = "copy_names";

/// Recordings of one kind that are looked up at once.
const PAGE: i64 = 64;

const COLUMNS: &str =
    "s.id, s.camera, s.start, s.end, s.size, s.event, c.state, c.key, c.sha256, c.upload, c.size, c.seal";

/// Recordings of events that the target (`?1`) has no verified copy of and that ended before `?2`, the newest first.
pub(crate) const EVENTS_TO_COPY: &str = "FROM segment s LEFT JOIN copy c ON c.segment = s.id AND c.target = ?1
    WHERE s.copied = 0 AND s.state = 'sealed' AND s.event IS NOT NULL AND s.end < ?2 AND coalesce(c.state, '') <> 'verified'
    ORDER BY s.end DESC";
/// All others, the oldest first.
pub(crate) const BACKGROUND_TO_COPY: &str = "FROM segment s LEFT JOIN copy c ON c.segment = s.id AND c.target = ?1
    WHERE s.copied = 0 AND s.state = 'sealed' AND s.event IS NULL AND s.end < ?2 AND coalesce(c.state, '') <> 'verified'
    ORDER BY s.end";
/// What was begun and is not verified.
pub(crate) const BEGUN: &str = "FROM copy c INDEXED BY copy_begun JOIN segment s ON s.id = c.segment
    WHERE c.target = ?1 AND c.state <> 'verified' AND s.state = 'sealed' AND s.end < ?2";

/// Of a camera (`?1`) in whole hours from `?2` to `?3`: hour, how its recordings are, how many. `?4`: all are to be copied, not events alone.
pub(crate) const HOURS: &str = "SELECT s.start / 3600000000, CASE
        WHEN EXISTS (SELECT 1 FROM copy c WHERE c.segment = s.id AND c.state = 'verified') THEN iif(s.copied, 'verified', 'copied')
        WHEN EXISTS (SELECT 1 FROM copy c WHERE c.segment = s.id AND c.state = 'committed') THEN 'copied'
        WHEN s.copied OR (s.event IS NULL AND NOT ?4) THEN 'unwanted' ELSE 'waiting' END AS standing, count(*)
    FROM segment s WHERE s.camera = ?1 AND s.start >= ?2 AND s.start < ?3 AND s.state = 'sealed' GROUP BY 1, 2
    UNION ALL SELECT c.start / 3600000000, 'verified', count(DISTINCT c.segment) FROM copy c
    WHERE c.camera = ?1 AND c.start >= ?2 AND c.start < ?3 AND c.state = 'verified'
        AND NOT EXISTS (SELECT 1 FROM segment s WHERE s.id = c.segment) GROUP BY 1
    UNION ALL SELECT l.start / 3600000000, 'lost', count(*) FROM copy_lost l
    WHERE l.camera = ?1 AND l.start >= ?2 AND l.start < ?3 GROUP BY 1";

/// Numbers for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyCounts {
    /// Recordings that the target is to have and has not.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// When the first of them ended.
    pub oldest_waiting: Option<Timestamp>,
    /// Recordings on the box of which it has a verified copy.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// When a copy was verified last.
    pub last_copied_at: Option<Timestamp>,
    /// Recordings that went before it had a copy.
    pub lost: u64,
    /// When the last of them did.
    pub lost_at: Option<Timestamp>,
}

impl Recordings {
    /// Some of what a target is to have and has no verified copy of: all that was begun, and the next ones of events and of the rest.
    pub fn to_copy(&self, target: &SyncTarget, settled_before: Timestamp) -> Result<Vec<ToCopy>> {
        let name = target.name();
        self.inner.db.read(format_args!("looking up what is to be copied to {name}"), |c| {
            let wanted = match target.what {
                CopyWhat::Events => [Some(BEGUN), Some(EVENTS_TO_COPY), None],
                CopyWhat::All => [Some(BEGUN), Some(EVENTS_TO_COPY), Some(BACKGROUND_TO_COPY)],
            };
            let mut out: Vec<ToCopy> = Vec::new();
            for rest in wanted.into_iter().flatten() {
                let mut statement = c.prepare_cached(&format!("SELECT {COLUMNS} {rest} LIMIT {PAGE}"))?;
                let rows = statement.query(params![name, settled_before.0])?;
                out.extend(self.inner.db.damaged.all(rows, from_row)?);
            }
            out.sort_by_key(|one| one.id);
            out.dedup_by_key(|one| one.id);
            Ok(out)
        })
    }

    /// The file of a recording that is to be copied, and its length. Errors with `NotFound` where it is gone or was cut meanwhile.
    pub fn open_to_copy(&self, one: &ToCopy) -> Result<File> {
        let path: Option<String> = self.inner.db.read(format_args!("looking up recording {}", one.id), |c| {
            let sql = "SELECT path FROM segment WHERE id = ?1 AND state = 'sealed' AND size = ?2";
            Ok(c.prepare_cached(sql)?.query_row(params![one.id.0, one.size_bytes as i64], |r| r.get(0)).optional()?)
        })?;
        let path = path.ok_or_else(|| Error::not_found(format!("recording {} is gone or was cut", one.id)))?;
        let failed = |e: io::Error| io_error(|| format!("recording {path} cannot be read"), e);
        let file = self.inner.recordings.read(&path).map_err(failed)?;
        match file.metadata().map_err(failed)?.len() == one.size_bytes {
            true => Ok(file),
            false => {
                Err(Error::new(ErrorKind::Corrupt, format!("recording {} has another length than was noted", one.id)))
            }
        }
    }

    /// The files of events that are being written, as far as they are on the disk.
    pub fn running_files(&self) -> Vec<RunningFile> {
        let live = self.live();
        let running = live.values().filter(|one| !one.is_complete).filter_map(|one| {
            let s = &one.segment;
            Some(RunningFile {
                id: s.id,
                camera: s.camera.clone(),
                start: s.start,
                event: s.event?,
                init_bytes: s.init_size_bytes,
                fragments: s.fragments.iter().map(|f| running_fragment(s.start, f)).collect(),
            })
        });
        running.collect()
    }

    /// `told` is called whenever what [`Self::running_files`] says changes, or an event's still, by whoever changed it: it must not wait.
    pub fn tell_of_running(&self, told: Arc<dyn Fn() + Send + Sync>) {
        self.index().tell_of_running(told);
    }

    /// Bytes of a file that is being written; `None` where it no longer is.
    pub fn read_running(&self, id: SegmentId, range: Range<u64>) -> Result<Option<Bytes>> {
        let path = self.live().get(&id).filter(|one| range.end <= one.segment.size_bytes).map(|one| one.path.clone());
        let Some(path) = path else { return Ok(None) };
        let failed = |e: io::Error| io_error(|| format!("recording {path} cannot be read"), e);
        let mut body = vec![0; range.end.saturating_sub(range.start) as usize];
        self.inner
            .recordings
            .read(&path)
            .and_then(|file| file.read_exact_at(&mut body, range.start))
            .map_err(failed)?;
        Ok(Some(body.into()))
    }

    /// It is being sent from now on, under this key.
    pub fn copy_begins(&self, target: &SyncTarget, one: &ToCopy, record: &CopyRecord) -> Result<()> {
        let (name, now) = (target.name(), self.now());
        self.inner.db.write(format_args!("that recording {} is being copied cannot be noted", one.id), |tx| {
            // One that was cut or deleted meanwhile is not entered.
            let sql = "INSERT INTO copy (target, segment, camera, start, end, state, key, size, sha256, upload, changed, seal)
                SELECT ?1, id, camera, start, end, 'uploading', ?3, ?8, ?4, ?5, ?6, ?9 FROM segment
                WHERE id = ?2 AND state = 'sealed' AND size = ?7
                ON CONFLICT (target, segment) DO UPDATE SET state = 'uploading', key = excluded.key, size = excluded.size,
                sha256 = excluded.sha256, upload = excluded.upload, changed = excluded.changed,
                seal = excluded.seal";
            let (sum, size, sent) = (record.sha256.0.as_slice(), one.size_bytes as i64, record.size_bytes as i64);
            let seal = record.seal.as_ref().map(Secret::expose);
            let values = params![name, one.id.0, record.key, sum, record.upload, now.0, size, sent, seal];
            tx.prepare_cached(sql)?.execute(values)?;
            Ok(())
        })
    }

    /// The store said that it has all of it.
    pub fn copy_committed(&self, target: &SyncTarget, id: SegmentId) -> Result<()> {
        self.copy_is(
            target,
            id,
            "UPDATE copy SET state = 'committed', upload = NULL, changed = ?3 WHERE target = ?1 AND segment = ?2",
        )
    }

    /// What was sent of it is not there, or is something else: it is sent anew.
    pub fn copy_failed(&self, target: &SyncTarget, id: SegmentId) -> Result<()> {
        self.copy_is(
            target,
            id,
            "DELETE FROM copy WHERE target = ?1 AND segment = ?2 AND state <> 'verified' AND ?3 > 0",
        )
    }

    /// The store was asked and has it. Once all `targets` that want it do, the recording may go.
    pub fn copy_verified(&self, target: &SyncTarget, id: SegmentId, targets: &[SyncTarget]) -> Result<()> {
        let (name, now) = (target.name(), self.now());
        self.inner.db.write(format_args!("that recording {id} is copied cannot be noted"), |tx| {
            let sql =
                "UPDATE copy SET state = 'verified', upload = NULL, changed = ?3, seal = iif(seal IS NULL, NULL, x'')
                WHERE target = ?1 AND segment = ?2";
            tx.prepare_cached(sql)?.execute(params![name, id.0, now.0])?;
            mark_copied(tx, targets, Some(id))
        })
    }

    fn copy_is(&self, target: &SyncTarget, id: SegmentId, sql: &str) -> Result<()> {
        let (name, now) = (target.name(), self.now());
        self.inner.db.write(format_args!("how far the copy of recording {id} is cannot be noted"), |tx| {
            tx.prepare_cached(sql)?.execute(params![name, id.0, now.0])?;
            Ok(())
        })
    }

    /// Whether a target has a verified copy of a camera's recording that begins at that millisecond.
    pub fn has_verified_copy(&self, target: &SyncTarget, camera: &CameraId, start_ms: Timestamp) -> Result<bool> {
        let name = target.name();
        self.inner.db.read(format_args!("looking for a copy at {name}"), |c| {
            let sql =
                "SELECT count(*) FROM copy WHERE target = ?1 AND camera = ?2 AND start >= ?3 AND start < ?3 + 1000
                AND state = 'verified'";
            let found: i64 =
                c.prepare_cached(sql)?.query_row(params![name, camera.as_str(), start_ms.0], |r| r.get(0))?;
            Ok(found > 0)
        })
    }

    /// What keys of names are made of: made once, never the same on two boxes.
    pub fn name_secret(&self) -> Result<Secret<[u8; 32]>> {
        let kept = self
            .inner
            .db
            .read(format_args!("looking up {NAME_SECRET_KEY}"), |c| Ok(meta_rows::get(c, NAME_SECRET_KEY)?))?;
        if let Some(secret) = kept.and_then(|text| base64::decode(&text)?.try_into().ok()) {
            return Ok(Secret::new(secret));
        }
        let secret = random_bytes::<32>();
        self.inner.db.write(format_args!("keeping {NAME_SECRET_KEY}"), |tx| {
            Ok(meta_rows::put(tx, NAME_SECRET_KEY, &base64::encode(&secret))?)
        })?;
        Ok(Secret::new(secret))
    }

    /// From now on these targets are to have copies: what all of them that want it have verified may go, nothing else.
    pub fn copies_are_for(&self, targets: &[SyncTarget]) -> Result<()> {
        self.inner
            .db
            .write(format_args!("which recordings are copied cannot be noted"), |tx| mark_copied(tx, targets, None))
    }

    /// So many more bytes were sent to a target in a month; all of that month.
    pub fn copies_sent(&self, target: &SyncTarget, month: &str, bytes: u64) -> Result<u64> {
        let name = target.name();
        self.inner.db.write(format_args!("how much was sent to {name} cannot be noted"), |tx| {
            let add = "INSERT INTO copy_month (target, month, bytes) VALUES (?1, ?2, ?3)
                ON CONFLICT (target, month) DO UPDATE SET bytes = bytes + excluded.bytes";
            tx.prepare_cached(add)?.execute(params![name, month, bytes as i64])?;
            let sum = "SELECT bytes FROM copy_month WHERE target = ?1 AND month = ?2";
            let sum: i64 = tx.prepare_cached(sum)?.query_row(params![name, month], |r| r.get(0))?;
            Ok(sum.max(0) as u64)
        })
    }

    /// How copying to a target is. Reads a row for each recording that is waiting or copied.
    pub fn copy_counts(&self, target: &SyncTarget, settled_before: Timestamp) -> Result<CopyCounts> {
        let name = target.name();
        self.inner.db.read(format_args!("counting copies at {name}"), |c| {
            let mut counts = CopyCounts::default();
            let kinds = match target.what {
                CopyWhat::Events => &[EVENTS_TO_COPY][..],
                CopyWhat::All => &[EVENTS_TO_COPY, BACKGROUND_TO_COPY],
            };
            for rest in kinds {
                let sql = format!("SELECT count(*), coalesce(sum(s.size), 0), min(s.end) {rest}");
                let (n, bytes, oldest): (i64, i64, Option<i64>) = c
                    .prepare_cached(&sql)?
                    .query_row(params![name, settled_before.0], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
                counts.waiting += n.max(0) as u64;
                counts.waiting_bytes += bytes.max(0) as u64;
                let oldest = oldest.map(Timestamp);
                counts.oldest_waiting = counts.oldest_waiting.into_iter().chain(oldest).min();
            }
            let sql = "SELECT count(*), coalesce(sum(c.size), 0), max(c.changed) FROM copy c
                WHERE c.target = ?1 AND c.state = 'verified' AND EXISTS (SELECT 1 FROM segment s WHERE s.id = c.segment AND s.state = 'sealed')";
            let (n, bytes, last): (i64, i64, Option<i64>) =
                c.prepare_cached(sql)?.query_row([&name], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
            (counts.copied, counts.copied_bytes) = (n.max(0) as u64, bytes.max(0) as u64);
            counts.last_copied_at = last.map(Timestamp);
            let sql = "SELECT count(*), max(at) FROM copy_lost";
            let (lost, at): (i64, Option<i64>) = c.prepare_cached(sql)?.query_row([], |r| Ok((r.get(0)?, r.get(1)?)))?;
            (counts.lost, counts.lost_at) = (lost.max(0) as u64, at.map(Timestamp));
            Ok(counts)
        })
    }

    /// How far the copies of a camera's recordings are, by the hour in which they began. `wanted`: what any target is to have. Errors
    /// like [`whole_hours`].
    pub(crate) fn hours_of_copies(
        &self,
        camera: &CameraId,
        range: &TimeRange,
        wanted: CopyWhat,
    ) -> Result<Vec<CopyHour>> {
        let (from, to) = whole_hours(range)?;
        self.inner.db.read(format_args!("camera {camera}: looking up its copies"), |c| {
            let mut counted = Vec::new();
            let mut statement = c.prepare_cached(HOURS)?;
            let mut rows = statement.query(params![camera.as_str(), from.0, to.0, wanted == CopyWhat::All])?;
            while let Some(r) = rows.next()? {
                let is = match r.get_ref(1)?.as_str().unwrap_or_default() {
                    "verified" => RecordingCopy::Verified,
                    "copied" => RecordingCopy::Copied,
                    "unwanted" => RecordingCopy::Unwanted,
                    "lost" => RecordingCopy::Lost,
                    _ => RecordingCopy::Waiting,
                };
                counted.push((r.get(0)?, is, r.get::<_, i64>(2)?.max(0) as u64));
            }
            Ok(hours_of(counted))
        })
    }

    /// Writes down that these go before they were copied: the disk has no room for anything else.
    pub(crate) fn note_lost_copies(&self, ids: &[SegmentId]) -> Result<()> {
        let now = self.now();
        self.inner.db.write(format_args!("that {} recordings go before they are copied cannot be noted", ids.len()), |tx| {
            let sql = "INSERT INTO copy_lost (segment, camera, start, end, size, at)
                SELECT id, camera, start, end, size, ?2 FROM segment WHERE id = ?1 AND state = 'sealed' ON CONFLICT DO NOTHING";
            let mut statement = tx.prepare_cached(sql)?;
            for id in ids {
                statement.execute(params![id.0, now.0])?;
            }
            Ok(())
        })
    }
}

/// Says of recordings (of one, or of all) whether all targets that want them have verified copies.
fn running_fragment(start: Timestamp, fragment: &Fragment) -> RunningFragment {
    RunningFragment {
        ends_bytes: fragment.offset_bytes + fragment.size_bytes,
        ends: start.plus_micros(fragment.start_us + fragment.duration_us),
    }
}

fn mark_copied(tx: &Transaction<'_>, targets: &[SyncTarget], id: Option<SegmentId>) -> Result<(), Fail> {
    let names = |what: &dyn Fn(CopyWhat) -> bool| {
        let wanted: Vec<String> = targets.iter().filter(|t| what(t.what)).map(SyncTarget::name).collect();
        (serde_json::to_string(&wanted).unwrap_or_else(|_| "[]".into()), wanted.len() as i64)
    };
    let of_events = names(&|_| true);
    let of_rest = names(&|what| what == CopyWhat::All);
    for ((wanted, count), kind) in [(of_events, "IS NOT NULL"), (of_rest, "IS NULL")] {
        let which = if id.is_some() { "id = ?3" } else { "?3 IS NULL" };
        let has_all = "(SELECT count(*) FROM copy WHERE copy.segment = segment.id AND state = 'verified'
            AND target IN (SELECT value FROM json_each(?1))) >= ?2";
        let sql = format!(
            "UPDATE segment SET copied = ({has_all}) WHERE {which} AND state = 'sealed' AND event {kind} AND copied <> ({has_all})"
        );
        tx.prepare_cached(&sql)?.execute(params![wanted, count, id.map(|id| id.0)])?;
    }
    Ok(())
}

fn from_row(r: &Row<'_>) -> Result<ToCopy, Fail> {
    let id = SegmentId(r.get(0)?);
    of_row(format_args!("recording {id}"), || {
        let state: Option<String> = r.get(6)?;
        let sum: Option<Vec<u8>> = r.get(8)?;
        let sum = sum.and_then(|bytes| bytes.try_into().ok()).map(Sha256);
        let record = match (r.get::<_, Option<String>>(7)?, sum) {
            (Some(key), Some(sha256)) => {
                let size_bytes = r.get::<_, i64>(10)?.max(0) as u64;
                let seal = r.get::<_, Option<Vec<u8>>>(11)?.map(Secret::new);
                Some(CopyRecord { key, sha256, size_bytes, upload: r.get(9)?, seal })
            }
            _ => None,
        };
        let stage = match (state.as_deref(), &record) {
            (Some("uploading"), Some(_)) => CopyStage::Uploading,
            (Some("committed"), Some(_)) => CopyStage::Committed,
            _ => CopyStage::Settled,
        };
        Ok(ToCopy {
            id,
            camera: CameraId::new(&r.get::<_, String>(1)?)?,
            start: Timestamp(r.get(2)?),
            end: Timestamp(r.get(3)?),
            size_bytes: r.get::<_, i64>(4)?.max(0) as u64,
            event: r.get::<_, Option<i64>>(5)?.map(EventId),
            stage,
            record,
        })
    })
}
