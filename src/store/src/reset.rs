//! Forgets who may use the box: what an owner asks for with a file on the card. Recordings and events stay.

use crate::Accounts;
use crate::meta_rows;
use crate::pairing::{PAIRING_KEY, SALT_KEY};
use perch_base::Result;

impl Accounts {
    /// Removes all accounts, devices, sessions, codes and stream passwords, and the counters of codes: whoever holds the card may
    /// pair again.
    pub fn reset_access(&self) -> Result<()> {
        self.inner.db.write("accounts cannot be reset", |tx| {
            for table in ["device", "user", "stream_password"] {
                tx.execute(&format!("DELETE FROM {table}"), [])?;
            }
            meta_rows::remove(tx, PAIRING_KEY)?;
            Ok(meta_rows::remove(tx, SALT_KEY)?)
        })
    }
}
