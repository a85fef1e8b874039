//! Stills of events: JPEG files beside the recordings.

use crate::Recordings;
use crate::change::RowChange;
use crate::fault::io_error;
use bytes::Bytes;
use perch_base::ids::EventId;
use perch_base::sync::lock;
use perch_base::{Error, Result};
use perch_domain::archive::Event;
use perch_domain::motion::Rect;
use std::io::Read;

/// How a JPEG begins.
const JPEG: &[u8] = &[0xff, 0xd8];
/// Larger stills are refused.
const MAX_THUMBNAIL_BYTES: usize = 4 << 20;

/// Where an event's still lies below `thumbnails/`.
pub(crate) fn thumbnail_path(camera: &str, id: EventId) -> String {
    format!("{camera}/{id}.jpg")
}

impl Recordings {
    /// Keeps (or replaces) an event's still, a JPEG of at most 4 MiB, with what moves in that very picture. Errors: `NotFound`,
    /// `Invalid`, `Unavailable`.
    pub fn put_still(&self, id: EventId, jpeg: &[u8], boxes: &[Rect]) -> Result<Event> {
        if !jpeg.starts_with(JPEG) || jpeg.len() > MAX_THUMBNAIL_BYTES {
            return Err(Error::invalid(format!(
                "event {id}: its still is not a JPEG of at most {MAX_THUMBNAIL_BYTES} bytes"
            )));
        }
        let event = self.index().event_by_id(id)?;
        self.inner
            .thumbnails
            .put(&thumbnail_path(event.camera.as_str(), id), jpeg)
            .map_err(|e| io_error(|| format!("the still of event {id} cannot be kept"), e))?;
        let _one_at_a_time = lock(&self.index().rows().naming);
        self.index().change(RowChange::Still { event: id, boxes: boxes.to_vec() })?;
        self.index().running_changed();
        Ok(Event { boxes: boxes.to_vec(), has_thumbnail: true, ..self.index().event_by_id(id)? })
    }

    pub(crate) fn still(&self, id: EventId) -> Result<Bytes> {
        let event = self.index().event_by_id(id)?;
        let none = || Error::not_found(format!("event {id} has no still"));
        if !event.has_thumbnail {
            return Err(none());
        }
        let mut data = Vec::new();
        let unreadable = |e| io_error(|| format!("event {id} has no still that can be read"), e);
        let file = self.inner.thumbnails.read(&thumbnail_path(event.camera.as_str(), id)).map_err(unreadable)?;
        file.take(MAX_THUMBNAIL_BYTES as u64).read_to_end(&mut data).map_err(unreadable)?;
        // A power cut may have left less than a picture.
        if data.starts_with(JPEG) { Ok(data.into()) } else { Err(none()) }
    }
}
