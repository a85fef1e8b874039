//! Why nothing was recorded, as the recorders say it. Rows of gaps are in `gap_rows`.

use crate::Recordings;
use crate::change::RowChange;
use perch_base::Result;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_domain::archive::GapCause;

impl Recordings {
    /// Notes that nothing was recorded between `start` and `end` and why, as soon as the database takes it. May be called again with
    /// a later end as a gap goes on.
    pub fn note_gap(&self, camera: &CameraId, start: Timestamp, end: Timestamp, cause: GapCause) -> Result<()> {
        self.index().change(RowChange::Gap { camera: camera.clone(), start, end, cause })
    }
}
