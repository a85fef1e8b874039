//! How far index and files were brought together since the start, and what was found. The work itself is `reconcile`'s.

use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::time::Timestamp;
use std::collections::{HashSet, VecDeque};

/// What a start found and repaired.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The name that a damaged database was kept under when it was replaced.
    pub database_replaced: Option<String>,
    /// Files without a row that were taken in.
    pub adopted: u64,
    /// Files that were cut to their last whole fragment or back to their neighbour.
    pub cut: u64,
    /// Rows whose file is missing, newly found.
    pub lost: u64,
    /// Files that could not be read and were set aside.
    pub quarantined: u64,
}

impl OpenReport {
    /// Whether files and index differed.
    pub fn has_repairs(&self) -> bool {
        self.adopted + self.cut + self.lost + self.quarantined > 0
    }
}

/// How far index and files were brought together since the start.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) report: OpenReport,
    /// When this start was, and the newest row then. None beside a running daemon: nothing is to be done.
    pub(crate) started: Option<(Timestamp, SegmentId)>,
    /// Events that had not ended then: whatever the clock shows, they ran when the box went off.
    pub(crate) cut_short: Vec<EventId>,
    /// What the crash left open was closed.
    pub(crate) is_closed: bool,
    /// Cameras of which it was noted since when the box was off.
    pub(crate) noted: HashSet<CameraId>,
    /// What is still to be compared, the oldest day in front. None: not listed yet.
    pub(crate) folders: Option<VecDeque<Folder>>,
    /// Files without a row in the folder that was compared last, the oldest first.
    pub(crate) strangers: Vec<String>,
    /// Files that were looked at, of how many.
    pub(crate) files_done: u64,
    pub(crate) files_total: u64,
}

/// The files of a camera and a day, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Folder {
    pub(crate) day: String,
    pub(crate) camera: String,
}

impl Folder {
    pub(crate) fn path(&self) -> String {
        format!("{}/{}", self.camera, self.day)
    }

    /// When its day begins. `None` when the name is no day of a calendar.
    pub(crate) fn begins(&self) -> Option<Timestamp> {
        Timestamp::parse(&format!("{}T00:00:00Z", self.day)).ok()
    }
}
