//! Files whose event was not known when they were written: given to it, or removed, once it is.

use crate::Recordings;
use crate::change::RowChange;
use perch_base::Result;
use perch_base::ids::{EventId, SegmentId};

impl Recordings {
    /// Gives files, open or sealed, to an event. Those of an event that is not in the index stay background.
    pub fn claim_segments(&self, files: &[SegmentId], event: EventId) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        {
            let mut live = self.live();
            for id in files {
                if let Some(open) = live.get_mut(id) {
                    open.segment.event = Some(event);
                }
            }
        }
        self.index().change(RowChange::Claim { files: files.to_vec(), event })
    }

    /// Removes sealed files in which nothing happened. No gap remains of them: whoever asks for this says why. Errors: `Unavailable`
    /// also when the database is busy; they stay then.
    pub fn discard_segments(&self, files: &[SegmentId]) -> Result<()> {
        if self.index().rows().is_behind() {
            // Their rows may be among what waits.
            self.index().write_waiting(None)?;
        }
        self.erase(files, None).map(|_| ())
    }
}
