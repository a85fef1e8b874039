//! The disk that recordings go to: how much there is and how long it lasts.

use crate::Store;
use crate::db::lock;
use crate::fault::io_error;
use perch_base::Result;
use perch_domain::status::DiskStatus;
use rusqlite::params;
use rustix::fs::StatVfsMountFlags;

const DAY_US: i64 = 86_400_000_000;

/// What is written to see whether the disk takes it, and where, below `recordings/`.
const PROBE: [u8; 4096] = [0x55; 4096];
const PROBE_FILE: &str = "probe.tmp";

/// What the system says of the disk, bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Space {
    pub(crate) total: u64,
    pub(crate) free: u64,
    pub(crate) read_only: bool,
}

impl Store {
    /// Asks the system; errors are the system's.
    pub(crate) fn space(&self) -> std::io::Result<Space> {
        let s = rustix::fs::statvfs(&self.inner.config.data_dir)?;
        Ok(Space {
            total: s.f_blocks.saturating_mul(s.f_frsize),
            free: s.f_bavail.saturating_mul(s.f_frsize),
            read_only: s.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    /// Finds out whether the disk can be written: makes, flushes and removes a small file among the recordings, and writes one
    /// row. Takes as long as the disk does; for a disk on which recording stands still, to see whether it is well again.
    ///
    /// Errors: `Unavailable` when the disk is full, read-only or failing (see [`crate::write_fault`]).
    pub fn probe_write(&self) -> Result<()> {
        use std::io::Write;
        let told = |e| io_error(|| "a file to try the disk with cannot be written".into(), e);
        let _one_at_a_time = lock(&self.inner.probing);
        // What a power cut left of an earlier try.
        self.inner.recordings.remove(PROBE_FILE).map_err(told)?;
        let file = self.inner.recordings.create(PROBE_FILE).map_err(told)?;
        let written = (&file).write_all(&PROBE).and_then(|()| file.sync_all());
        let removed = self.inner.recordings.remove(PROBE_FILE);
        written.and(removed).map_err(told)?;
        self.inner.db.hope();
        self.set_meta("probed_at", &self.now().0.to_string())
    }

    /// Bytes of all recordings, those being written too.
    pub(crate) fn recordings_bytes(&self) -> Result<u64> {
        let live: u64 = self.live().values().map(|l| l.segment.size).sum();
        let rows: i64 = self.inner.db.read("adding up the recordings", |c| {
            Ok(c.prepare_cached("SELECT coalesce(sum(size), 0) FROM segment")?.query_row([], |r| r.get(0))?)
        })?;
        Ok(rows.max(0) as u64 + live)
    }

    /// The disk now. What cannot be found out is left at 0 and told in `problem`.
    pub fn disk(&self) -> DiskStatus {
        let space = match self.space() {
            Ok(space) => space,
            Err(e) => return DiskStatus { problem: format!("The disk does not answer: {e}"), ..Default::default() },
        };
        let limits = &self.inner.config.retention;
        let mut status = DiskStatus { total_bytes: space.total, free_bytes: space.free, ..Default::default() };
        match self.recordings_bytes() {
            Ok(bytes) => status.recordings_bytes = bytes,
            Err(e) => status.problem = format!("The database does not answer: {e}"),
        }
        if space.read_only {
            status.problem =
                "The disk is read-only: nothing can be recorded; check the card and start the box again".into();
        } else if space.free < (limits.min_free_bytes / 4).max(16 << 20) {
            status.problem = "The disk is nearly full: make room, or lower the limits of recording".into();
        }
        let mut capacity = status.recordings_bytes.saturating_add(space.free.saturating_sub(limits.min_free_bytes));
        if limits.max_bytes > 0 {
            capacity = capacity.min(limits.max_bytes);
        }
        status.days_at_this_rate = self.bytes_of_a_day().filter(|b| *b > 0).map(|b| capacity as f32 / b as f32);
        status
    }

    /// Bytes recorded in the last 24 hours; `None` while the box has recorded for less.
    fn bytes_of_a_day(&self) -> Option<u64> {
        let since = self.now().0 - DAY_US;
        let asked = self.inner.db.read("adding up the last day", |c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM segment WHERE end <= ?1),
                (SELECT coalesce(sum(size), 0) FROM segment WHERE end > ?1)";
            let row = |r: &rusqlite::Row<'_>| Ok((r.get::<_, bool>(0)?, r.get::<_, i64>(1)?));
            Ok(c.prepare_cached(sql)?.query_row(params![since], row)?)
        });
        match asked {
            Ok((true, bytes)) => Some(bytes.max(0) as u64),
            _ => None,
        }
    }
}
