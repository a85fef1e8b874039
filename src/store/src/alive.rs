//! When the box was last known to run: noted by whoever looks after the disk, read by the next start.

use crate::Recordings;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use std::num::ParseIntError;

const ALIVE_KEY: &str = "alive_at";

impl Recordings {
    /// Notes, at most once a minute, that the box is running: the next start tells from it since when it was off.
    pub(crate) fn note_alive(&self, now: Timestamp) {
        const EVERY_US: i64 = 60_000_000;
        let noted = self.inner.meta.get(ALIVE_KEY).ok().flatten().and_then(|t| t.parse::<i64>().ok());
        if noted.is_some_and(|t| now.0.saturating_sub(t).abs() < EVERY_US) {
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
