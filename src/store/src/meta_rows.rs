//! Rows of small values under keys: how they are written inside a transaction, and found.

use rusqlite::{Connection, OptionalExtension, Result};

/// The value under a key.
pub(crate) fn get(c: &Connection, key: &str) -> Result<Option<String>> {
    c.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |r| r.get(0)).optional()
}

/// Keeps a value under a key.
pub(crate) fn put(c: &Connection, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    c.prepare_cached(sql)?.execute([key, value]).map(drop)
}

/// Forgets the value under a key.
pub(crate) fn remove(c: &Connection, key: &str) -> Result<()> {
    c.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key]).map(drop)
}
