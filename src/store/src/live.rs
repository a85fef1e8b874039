//! What memory knows of files whose rows have yet to follow, and what is found of a recording, wherever it is known.

use crate::mp4::format::TrackFormat;
use perch_base::ids::CameraId;
use perch_domain::archive::{Segment, TimeRange};
use perch_domain::held::CopyPlace;

/// A file that is being written, as its row will say.
pub(crate) struct Live {
    pub(crate) segment: Segment,
    pub(crate) path: String,
    pub(crate) channels: u8,
    pub(crate) format: TrackFormat,
    /// Its writer is gone, and its row follows.
    pub(crate) is_complete: bool,
}

impl Live {
    pub(crate) fn recorded(&self) -> Recorded {
        let segment = self.segment.clone();
        Recorded { segment, path: self.path.clone(), channels: self.channels, copy: None }
    }

    pub(crate) fn overlapping(&self, camera: &CameraId, range: &TimeRange) -> Option<Recorded> {
        let s = &self.segment;
        let wanted = s.camera == *camera && !s.fragments.is_empty() && range.overlaps(s.start, s.end);
        wanted.then(|| self.recorded())
    }
}

/// A row with what only the store needs of it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) segment: Segment,
    pub(crate) path: String,
    pub(crate) channels: u8,
    /// Where its copy is, when the box's own file is gone.
    pub(crate) copy: Option<CopyPlace>,
}
