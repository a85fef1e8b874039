//! Files whose event was not known when they were written: given to it, or removed, once it is.

use crate::Recordings;
use crate::change::RowChange;
use perch_base::Result;
use perch_base::ids::{EventId, SegmentId};
use std::time::Duration;

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
        self.index().running_changed();
        self.index().change(RowChange::Claim { files: files.to_vec(), event })
    }

    /// Removes sealed files in which nothing happened, as soon as the database takes it; a crash in between leaves them as background.
    /// No gap remains of them: whoever asks for this says why. Errors: `Unavailable` when the disk cannot be written (they go later).
    pub fn discard_segments(&self, files: &[SegmentId]) -> Result<()> {
        self.state().discarded.extend_from_slice(files);
        self.erase_discarded(Some(self.index().patience()))
    }

    /// Removes what was discarded. With a patience nobody waits for longer than that; what is left is tried again by retention.
    pub(crate) fn erase_discarded(&self, patience: Option<Duration>) -> Result<()> {
        let files = self.state().discarded.clone();
        // Their rows may be among what waits.
        if files.is_empty() || (self.index().rows().is_behind() && !self.index().write_waiting(patience)?) {
            return Ok(());
        }
        if self.erase_within(patience, &files, None)?.is_some() {
            self.state().discarded.retain(|id| !files.contains(id));
        }
        Ok(())
    }
}
