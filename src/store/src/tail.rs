//! Files whose event was not known when they were written: given to it, or removed, once it is.

use crate::Store;
use perch_base::Result;
use perch_base::ids::{EventId, SegmentId};
use rusqlite::params;

impl Store {
    /// Gives files, open or sealed, to an event. Those of an event that is not in the index stay background.
    pub fn claim_segments(&self, files: &[SegmentId], event: EventId) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        self.inner.db.write(&format!("recordings cannot be given to event {event}"), |tx| {
            let sql = "UPDATE segment SET event = (SELECT id FROM event WHERE id = ?2) WHERE id = ?1";
            let mut statement = tx.prepare_cached(sql)?;
            for id in files {
                statement.execute(params![id.0, event.0])?;
            }
            Ok(())
        })?;
        let mut live = self.live();
        for id in files {
            if let Some(open) = live.get_mut(id) {
                open.segment.event = Some(event);
            }
        }
        Ok(())
    }

    /// Removes sealed files in which nothing happened. No gap remains of them: whoever asks for this tells why.
    pub fn discard_segments(&self, files: &[SegmentId]) -> Result<()> {
        self.erase(files, None).map(|_| ())
    }
}
