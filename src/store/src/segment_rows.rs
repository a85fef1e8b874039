//! Rows of recordings: what is written into them inside a transaction.

use crate::db::Fail;
use crate::fragments;
use crate::mp4::h264::TrackFormat;
use crate::words::word;
use perch_domain::archive::Segment;
use rusqlite::{Transaction, params};

/// Finds or keeps a pair of parameter sets.
pub(crate) fn format_id(tx: &Transaction<'_>, format: &TrackFormat) -> Result<i64, Fail> {
    let key = params![&format.sps[..], &format.pps[..]];
    tx.prepare_cached("INSERT INTO format (sps, pps) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?.execute(key)?;
    Ok(tx.prepare_cached("SELECT id FROM format WHERE sps = ?1 AND pps = ?2")?.query_row(key, |r| r.get(0))?)
}

/// Writes what a repaired or finished file holds into its row.
pub(crate) fn update_row(tx: &Transaction<'_>, s: &Segment, sha256: Option<&[u8]>) -> Result<(), Fail> {
    let sql = "UPDATE segment SET start = ?2, end = ?3, size = ?4, state = ?5, init_size = ?6, fragments = ?7, sha256 = ?8 WHERE id = ?1";
    let blob = fragments::encode(&s.fragments);
    let (size_bytes, init_bytes) = (s.size_bytes as i64, s.init_size_bytes as i64);
    tx.prepare_cached(sql)?.execute(params![
        s.id.0,
        s.start.0,
        s.end.0,
        size_bytes,
        word(&s.state)?,
        init_bytes,
        blob,
        sha256
    ])?;
    Ok(())
}
