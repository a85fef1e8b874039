//! Why nothing was recorded, as the recorders say it. Rows of gaps are in `gap_rows`.

use crate::Recordings;
use crate::change::RowChange;
use perch_base::Result;
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use perch_domain::archive::{Gap, GapCause};
use perch_domain::switched_off::OffBy;

impl Recordings {
    /// Notes that nothing was recorded between `start` and `end` and why, as soon as the database takes it. May be called again with
    /// a later end as a gap goes on.
    pub fn note_gap(&self, camera: &CameraId, start: Timestamp, end: Timestamp, cause: GapCause) -> Result<()> {
        self.index().change(RowChange::Gap { camera: camera.clone(), gap: Gap::new(start, end, cause) })
    }

    /// Notes likewise that the camera was switched off, and by whom.
    pub fn note_switched_off(&self, camera: &CameraId, start: Timestamp, end: Timestamp, by: &OffBy) -> Result<()> {
        let gap = Gap { start, end, cause: GapCause::SwitchedOff, by: Some(by.clone()) };
        self.index().change(RowChange::Gap { camera: camera.clone(), gap })
    }
}
