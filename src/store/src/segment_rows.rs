//! Rows of recordings: what is written into them inside a transaction.

use crate::fragments;
use crate::mp4::format::TrackFormat;
use crate::reading::Fail;
use crate::words::word;
use perch_base::ids::SegmentId;
use perch_base::time::Timestamp;
use perch_domain::archive::{Fragment, Segment, SegmentState};
use rusqlite::{Transaction, params};

/// Finds or keeps a format.
pub(crate) fn format_id(tx: &Transaction<'_>, format: &TrackFormat) -> Result<i64, Fail> {
    let (sps, pps) = format.to_row();
    let key = params![sps, pps];
    tx.prepare_cached("INSERT INTO format (sps, pps) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?.execute(key)?;
    Ok(tx.prepare_cached("SELECT id FROM format WHERE sps = ?1 AND pps = ?2")?.query_row(key, |r| r.get(0))?)
}

/// What a whole file holds, as its row says it.
pub(crate) struct Held<'a> {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) state: SegmentState,
    pub(crate) size_bytes: u64,
    pub(crate) init_bytes: u64,
    pub(crate) fragments: &'a [Fragment],
}

impl<'a> From<&'a Segment> for Held<'a> {
    fn from(s: &'a Segment) -> Self {
        let Segment { start, end, state, size_bytes, init_size_bytes: init_bytes, ref fragments, .. } = *s;
        Self { start, end, state, size_bytes, init_bytes, fragments }
    }
}

/// Writes what a repaired or finished file holds into its row.
pub(crate) fn update_row(
    tx: &Transaction<'_>,
    id: SegmentId,
    held: &Held<'_>,
    sha256: Option<&[u8]>,
) -> Result<(), Fail> {
    let sql = "UPDATE segment SET start = ?2, end = ?3, size = ?4, state = ?5, init_size = ?6, fragments = ?7, sha256 = ?8 WHERE id = ?1";
    let (size_bytes, init_bytes) = (held.size_bytes as i64, held.init_bytes as i64);
    let (state, blob) = (word(&held.state)?, fragments::encode(held.fragments));
    let row = params![id.0, held.start.0, held.end.0, size_bytes, state, init_bytes, blob, sha256];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// Takes a row away.
pub(crate) fn delete_row(tx: &Transaction<'_>, id: SegmentId) -> Result<(), Fail> {
    tx.prepare_cached("DELETE FROM segment WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}

/// Takes away what is known of copies of a recording.
pub(crate) fn forget_copy(tx: &Transaction<'_>, id: SegmentId) -> Result<(), Fail> {
    tx.prepare_cached("DELETE FROM copy WHERE segment = ?1")?.execute([id.0])?;
    Ok(())
}
