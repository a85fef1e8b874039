//! Rows of gaps: why nothing was recorded for a while. Neighbours of one cause are one row.

use crate::reading::{Damaged, Fail, of_row};
use crate::words::{from_word, word};
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_domain::archive::{Gap, GapCause, TimeRange};
use rusqlite::{Connection, Transaction, params};

/// Gaps of one cause closer than this are one.
const MERGE_US: i64 = 2_000_000;

/// Enters a gap; it swallows those of the same cause, by the same, that it touches.
pub(crate) fn put(tx: &Transaction<'_>, camera: &str, gap: &Gap) -> Result<(), Fail> {
    let (mut start, mut end) = (gap.start, gap.end);
    if start >= end {
        return Ok(());
    }
    let cause = word(&gap.cause)?;
    let by = gap.by.as_ref().and_then(|by| serde_json::to_string(by).ok());
    let sql = "DELETE FROM gap WHERE camera = ?1 AND cause = ?2 AND end >= ?3 AND start <= ?4 AND off_by IS ?5 RETURNING start, end";
    let mut statement = tx.prepare_cached(sql)?;
    let near = params![camera, cause, start.plus_micros(-MERGE_US).0, end.plus_micros(MERGE_US).0, by];
    let touched = statement.query_map(near, |r| Ok((Timestamp(r.get(0)?), Timestamp(r.get(1)?))))?;
    for one in touched {
        let (s, e) = one?;
        (start, end) = (start.min(s), end.max(e));
    }
    tx.prepare_cached("INSERT INTO gap (camera, start, end, cause, off_by) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![camera, start.0, end.0, cause, by])?;
    Ok(())
}

pub(crate) const WITHIN: &str =
    "SELECT start, end, cause, off_by FROM gap WHERE camera = ?1 AND end > ?2 AND start < ?3 ORDER BY start LIMIT ?4";

/// A camera's gaps that overlap a range, in order, at most `limit`.
pub(crate) fn within(
    damaged: &Damaged,
    c: &Connection,
    camera: &CameraId,
    range: &TimeRange,
    limit: usize,
) -> Result<Vec<Gap>, Fail> {
    let mut statement = c.prepare_cached(WITHIN)?;
    let rows = statement.query(params![camera.as_str(), range.from.0, range.to.0, limit as i64])?;
    damaged.all(rows, |r| {
        of_row(format_args!("a gap of camera {camera}"), || {
            // A newer program that was gone back from may have known a cause more.
            let cause = from_word(&r.get::<_, String>(2)?).unwrap_or(GapCause::Unknown);
            let by: Option<String> = r.get(3)?;
            let by = by.and_then(|text| serde_json::from_str(&text).ok());
            Ok(Gap { start: Timestamp(r.get(0)?), end: Timestamp(r.get(1)?), cause, by })
        })
    })
}
