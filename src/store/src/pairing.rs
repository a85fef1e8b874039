//! The state of pairing as it is kept: codes are stored as hashes alone. What it means is `perch_domain::pairing`'s.

use crate::meta_rows;
use crate::reading::Fail;
use perch_base::secret;
use perch_base::{Error, ErrorKind};
use perch_domain::pairing::Pairing;
use rusqlite::{Connection, Transaction};

pub(crate) const PAIRING_KEY: &str = "pairing";
pub(crate) const SALT_KEY: &str = "pairing_salt";

pub(crate) fn pairing(c: &Connection) -> Result<Pairing, Fail> {
    let Some(text) = meta_rows::get(c, PAIRING_KEY)? else { return Ok(Pairing::default()) };
    let damaged = |e| Error::new(ErrorKind::Corrupt, "the state of pairing is damaged").with_source(e);
    Ok(serde_json::from_str(&text).map_err(damaged)?)
}

pub(crate) fn keep_pairing(tx: &Transaction<'_>, pairing: &Pairing) -> Result<(), Fail> {
    let text = serde_json::to_string(pairing)
        .map_err(|e| Error::internal("the state of pairing cannot be written").with_source(e))?;
    Ok(meta_rows::put(tx, PAIRING_KEY, &text)?)
}

/// The hash of a code under this box's own salt, so that a stolen database does not open with a table of hashes.
pub(crate) fn code_hash(tx: &Transaction<'_>, code: &str) -> Result<String, Fail> {
    let salt = match meta_rows::get(tx, SALT_KEY)? {
        Some(salt) => salt,
        None => {
            let salt = secret::hex(&secret::random_bytes::<32>());
            meta_rows::put(tx, SALT_KEY, &salt)?;
            salt
        }
    };
    Ok(secret::hex(&secret::sha256(format!("{salt}{code}").as_bytes())))
}
