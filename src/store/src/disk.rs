//! The disk that recordings go to: how much there is and how long it lasts.

use crate::Recordings;
use crate::fault::io_error;
use crate::medium;
use perch_base::disk;
use perch_base::sync::lock;
use perch_base::time::{DAY_US, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::disk::DiskFacts;
use perch_domain::medium::Medium;
use perch_domain::status::DiskStatus;
use rusqlite::{OptionalExtension, params};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

/// Bytes of all rows: the database keeps the sum itself.
pub(crate) const BYTES: &str = "SELECT bytes FROM usage";

/// Whether anything ended before `?1`, and the bytes of what ended since.
pub(crate) const SINCE_THEN: &str = "SELECT EXISTS (SELECT 1 FROM segment WHERE end <= ?1),
    (SELECT coalesce(sum(size), 0) FROM segment WHERE end > ?1)";

/// What is written to see whether the disk takes it, and where, below `recordings/`.
const PROBE: [u8; 4096] = [0x55; 4096];
const PROBE_FILE: &str = "probe.tmp";

/// What the system says of a disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub(crate) total_bytes: u64,
    pub(crate) free_bytes: u64,
    pub(crate) read_only: bool,
    /// The device's number: what has another lies on another disk.
    device: u64,
}

impl Space {
    /// Asks the system about the disk that holds `folder`; errors are the system's.
    pub(crate) fn of(folder: impl AsFd) -> io::Result<Self> {
        let disk::Space { total_bytes, free_bytes, read_only } = disk::Space::of(&folder)?;
        Ok(Self { total_bytes, free_bytes, read_only, device: rustix::fs::fstat(&folder)?.st_dev })
    }
}

impl Recordings {
    /// The disk with the recordings, which may be one of their own.
    pub(crate) fn space(&self) -> io::Result<Space> {
        Space::of(&self.inner.recordings)
    }

    /// The disk with the database.
    pub(crate) fn data_space(&self) -> io::Result<Space> {
        Space::of(File::open(&self.inner.config.data_dir)?)
    }

    /// What decides whether the disk with the recordings, which has this space, is well.
    fn disk_facts(&self, space: Space) -> DiskFacts {
        let database = self.data_space().ok().filter(|d| d.device != space.device);
        DiskFacts {
            free_bytes: space.free_bytes,
            is_read_only: space.read_only,
            database_free_bytes: database.map(|d| d.free_bytes),
        }
    }

    /// See [`DiskFacts::is_away`].
    pub(crate) fn is_recordings_disk_away(&self) -> bool {
        self.space().is_ok_and(|space| self.disk_facts(space).is_away())
    }

    /// Errors with `Unavailable` while the disk for recordings is away.
    pub(crate) fn refuse_if_away(&self) -> Result<()> {
        match self.is_recordings_disk_away() {
            true => {
                let message = "the disk for recordings is missing or cannot be written";
                let folder = self.inner.recordings.path().display().to_string();
                Err(Error::new(ErrorKind::Unavailable, message).with_inside(folder))
            }
            false => Ok(()),
        }
    }

    /// Finds out whether the disk can be written: makes, flushes and removes a small file among the recordings, and writes one
    /// row. Takes as long as the disk does; for a disk on which recording stands still, to see whether it is well again.
    ///
    /// Errors: `Unavailable` when the disk is full, read-only or failing (see [`crate::write_fault`]).
    pub fn probe_write(&self) -> Result<()> {
        use std::io::Write;
        let path = self.inner.recordings.path().join(PROBE_FILE);
        let failed = |e| io_error(|| format!("{}, to try the disk with, cannot be written", path.display()), e);
        let _one_at_a_time = lock(&self.inner.probing);
        // What a power cut left of an earlier try.
        self.inner.recordings.remove(PROBE_FILE).map_err(failed)?;
        let file = self.inner.recordings.create(PROBE_FILE).map_err(failed)?;
        let written = (&file).write_all(&PROBE).and_then(|()| file.sync_all());
        let removed = self.inner.recordings.remove(PROBE_FILE);
        written.and(removed).map_err(failed)?;
        self.inner.db.hope();
        self.inner.meta.set("probed_at", &self.now().0.to_string())
    }

    /// Bytes of all recordings, those being written too.
    pub(crate) fn recordings_bytes(&self) -> Result<u64> {
        let live: Vec<(i64, u64)> = self.live().values().map(|l| (l.segment.id.0, l.segment.size_bytes)).collect();
        self.inner.db.read("adding up the recordings", |c| {
            let tx = c.unchecked_transaction()?;
            let rows: i64 = tx.prepare_cached(BYTES)?.query_row([], |r| r.get(0))?;
            let mut bytes = rows.max(0) as u64;
            let mut row = tx.prepare_cached("SELECT size FROM segment WHERE id = ?1")?;
            for (id, size_bytes) in live {
                // One that is sealed between the two looks has its size in the sum already.
                let counted: i64 = row.query_row([id], |r| r.get(0)).optional()?.unwrap_or(0);
                bytes += size_bytes.saturating_sub(counted.max(0) as u64);
            }
            Ok(bytes)
        })
    }

    /// The disk now. What cannot be found out is left at 0 and reported in `problem`.
    pub fn disk(&self) -> DiskStatus {
        let space = match self.space() {
            Ok(space) => space,
            Err(e) => return self.without_answer(&e),
        };
        if let Some(repeats) = self.index().inner.failures.space.ended() {
            tracing::info!(repeats, "the disk for recordings answers again");
        }
        let limits = &self.inner.limits.now().retention;
        let taking_in = self.taking_in();
        let mut status = DiskStatus {
            total_bytes: space.total_bytes,
            free_bytes: space.free_bytes,
            taking_in,
            media: self.media(space),
            ..Default::default()
        };
        match self.recordings_bytes() {
            Ok(bytes) => status.recordings_bytes = bytes,
            Err(e) => {
                tracing::debug!(error = %e, "the database does not answer");
                status.problem = format!("The database does not answer: {}", e.message());
            }
        }
        // While not all is known of what there is, the sum says nothing.
        let is_known = taking_in.is_none() && status.problem.is_empty();
        let recordings_bytes = is_known.then_some(status.recordings_bytes);
        let facts = self.disk_facts(space);
        if let Some(problem) = facts.problem(recordings_bytes, limits) {
            status.problem = problem.into();
        }
        status.days_at_this_rate =
            self.bytes_of_a_day().and_then(|bytes| facts.days(status.recordings_bytes, bytes, limits));
        status
    }

    /// What recordings and database lie on, each once.
    fn media(&self, space: Space) -> Vec<Medium> {
        let database = self.data_space().ok().map(|d| d.device).filter(|device| *device != space.device);
        let devices = [Some(space.device), database].into_iter().flatten();
        devices.filter_map(medium::of_device).map(|facts| facts.judged()).collect()
    }

    /// What is said of a disk of which the system knows nothing. Why, only the log says: viewers see this.
    fn without_answer(&self, e: &io::Error) -> DiskStatus {
        if self.index().inner.failures.space.is_news(e, self.inner.clock.mono()) {
            let folder = self.inner.recordings.path().display();
            tracing::error!(error = %e, %folder, "the disk for recordings does not answer");
        }
        DiskStatus { problem: "The disk does not answer".into(), ..Default::default() }
    }

    /// Bytes recorded in the last 24 hours; `None` while the box has recorded for less.
    fn bytes_of_a_day(&self) -> Option<u64> {
        let since = self.now().0 - DAY_US;
        let asked = self.inner.db.read(format_args!("adding up the recordings since {}", Timestamp(since)), |c| {
            let row = |r: &rusqlite::Row<'_>| Ok((r.get::<_, bool>(0)?, r.get::<_, i64>(1)?));
            Ok(c.prepare_cached(SINCE_THEN)?.query_row(params![since], row)?)
        });
        match asked {
            Ok((true, bytes)) => Some(bytes.max(0) as u64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::live::Live;
    use crate::mp4::format::TrackFormat;
    use crate::testing::open;
    use perch_base::ids::{CameraId, SegmentId};
    use perch_base::time::Timestamp;
    use perch_domain::archive::{Segment, SegmentState};
    use perch_domain::media::VideoCodec;
    use perch_domain::orientation::Orientation;

    #[test]
    fn a_disk_without_an_answer_is_logged_once_and_its_cause_stays_inside() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir).recordings().clone();
        let e = std::io::Error::other("/secret/path");
        for _ in 0..3 {
            assert_eq!(store.without_answer(&e).problem, "The disk does not answer");
        }
        let space = &store.index().inner.failures.space;
        assert_eq!(space.ended(), Some(2), "one was logged");
        store.without_answer(&e);
        assert_eq!(store.disk().problem, "");
        assert_eq!(space.ended(), None, "a disk that answers has ended it");
    }

    /// Between the row of a recording that is sealed and its leaving the memory, it is in both.
    #[test]
    fn a_recording_that_is_being_sealed_counts_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir).recordings().clone();
        let insert = "INSERT INTO segment (camera, path, start, end, size, state) VALUES ('front', ?1, 0, 1, ?2, ?3)
            RETURNING id";
        let row = |path: &str, size_bytes: i64, state: &str| -> i64 {
            let row = rusqlite::params![path, size_bytes, state];
            store.inner.db.write("entering", |tx| Ok(tx.query_row(insert, row, |r| r.get(0))?)).expect("entered")
        };
        let (open, sealed) = (row("open", 0, "open"), row("sealed", 300, "sealed"));
        row("other", 1000, "sealed");
        for (id, size_bytes) in [(open, 20), (sealed, 300)] {
            let segment = Segment {
                id: SegmentId(id),
                camera: CameraId::new("front").expect("valid"),
                start: Timestamp(0),
                end: Timestamp(1),
                size_bytes,
                state: SegmentState::Open,
                event: None,
                init_size_bytes: 0,
                fragments: Vec::new(),
            };
            let format = TrackFormat {
                codec: VideoCodec::H264,
                sets: Vec::new(),
                orientation: Orientation::NONE,
                has_audio: false,
            };
            let live = Live { segment, path: String::new(), channels: 0, format, is_complete: false };
            store.live().insert(SegmentId(id), live);
        }
        assert_eq!(store.recordings_bytes().expect("asked"), 1320);
    }
}
