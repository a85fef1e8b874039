//! The state of pairing as it is kept: codes are stored as hashes alone. What it means is `perch_domain::pairing`'s.

use crate::db::Fail;
use perch_base::secret;
use perch_base::{Error, ErrorKind};
use perch_domain::pairing::Pairing;
use rusqlite::{Connection, OptionalExtension, Transaction};

pub(crate) const PAIRING_KEY: &str = "pairing";
pub(crate) const SALT_KEY: &str = "pairing_salt";

pub(crate) fn meta(c: &Connection, key: &str) -> Result<Option<String>, Fail> {
    Ok(c.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |r| r.get(0)).optional()?)
}

pub(crate) fn put_meta(tx: &Transaction<'_>, key: &str, value: &str) -> Result<(), Fail> {
    tx.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?.execute([key, value])?;
    Ok(())
}

pub(crate) fn pairing(c: &Connection) -> Result<Pairing, Fail> {
    let Some(text) = meta(c, PAIRING_KEY)? else { return Ok(Pairing::default()) };
    let damaged = |e| Error::new(ErrorKind::Corrupt, "the state of pairing is damaged").with_source(e);
    Ok(serde_json::from_str(&text).map_err(damaged)?)
}

pub(crate) fn keep_pairing(tx: &Transaction<'_>, pairing: &Pairing) -> Result<(), Fail> {
    let text = serde_json::to_string(pairing)
        .map_err(|e| Error::internal("the state of pairing cannot be written").with_source(e))?;
    put_meta(tx, PAIRING_KEY, &text)
}

/// The hash of a code under this box's own salt, so that a stolen database does not open with a table of hashes.
pub(crate) fn code_hash(tx: &Transaction<'_>, code: &str) -> Result<String, Fail> {
    let salt = match meta(tx, SALT_KEY)? {
        Some(salt) => salt,
        None => {
            let salt = secret::hex(&secret::random_bytes::<32>());
            put_meta(tx, SALT_KEY, &salt)?;
            salt
        }
    };
    Ok(secret::hex(&secret::sha256(format!("{salt}{code}").as_bytes())))
}
