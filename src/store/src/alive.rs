//! When the box was last known to run: noted by whoever looks after the disk, read by the next start.

use crate::Recordings;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::repair::is_alive_due;
use std::num::ParseIntError;

const ALIVE_KEY: &str = "alive_at";

impl Recordings {
    /// Notes, where [`is_alive_due`] says so, that the box is running: the next start tells from it since when it was off.
    pub(crate) fn note_alive(&self, now: Timestamp) {
        // What cannot be read is written anew.
        let noted = self.last_alive().unwrap_or_else(|e| {
            tracing::debug!(error = %e, "it is not known when the box was noted to run");
            None
        });
        if !is_alive_due(noted, now) {
            return;
        }
        if let Err(e) = self.inner.meta.set(ALIVE_KEY, &now.0.to_string()) {
            tracing::debug!(error = %e, "it was not noted that the box is running");
        }
    }

    /// When the box was last known to run.
    pub(crate) fn last_alive(&self) -> Result<Option<Timestamp>> {
        let text = self.inner.meta.get(ALIVE_KEY)?;
        let damaged = |e: ParseIntError| {
            Error::new(ErrorKind::Corrupt, "the time at which the box last ran is damaged").with_source(e)
        };
        text.map(|t| t.parse().map(Timestamp).map_err(damaged)).transpose()
    }
}
