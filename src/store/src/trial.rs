//! Proves that recording works: what a system that is being tried must show before it is kept.

use crate::Recordings;
use crate::fault::io_error;
use crate::mp4::format::TrackFormat;
use crate::mp4::write::FragmentPackets;
use perch_base::ids::CameraId;
use perch_base::secret::sha256;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::Segment;
use perch_domain::media::Track;
use perch_domain::ports::ArchivePort;
use rusqlite::OptionalExtension;

impl Recordings {
    /// Records what begins with a keyframe at `mono` (in UTC: `start`) as a file of its own, seals it, reads it back, and removes it. Errors
    /// name the step that failed.
    pub fn prove_recording(
        &self,
        camera: &CameraId,
        start: Timestamp,
        mono: MonoTime,
        part: &FragmentPackets,
    ) -> Result<()> {
        let first = part.packets.first().ok_or_else(|| Error::invalid("there is nothing to record"))?;
        let has_audio = part.packets.iter().any(|p| p.track == Track::Audio);
        let codec = first.codec.ok_or_else(|| Error::invalid("there is no picture to record"))?;
        let format = TrackFormat::from_keyframe(codec, &first.data, has_audio)?;
        let mut writer = self.create_segment(camera, start, None, &format)?;
        writer.write_fragment(mono, part)?;
        let sealed = writer.seal()?;
        self.index().write_waiting(None)?;
        let read = self.read_back(&sealed);
        self.erase(&[sealed.id], None)?;
        read
    }

    /// Reads a sealed file whole, compares it with its row, and finds its keyframe.
    fn read_back(&self, sealed: &Segment) -> Result<()> {
        let id = sealed.id;
        let open = self.open_segment(&sealed.camera, id)?;
        let mut content = vec![0; usize::try_from(open.size_bytes).unwrap_or(0)];
        open.content
            .read_exact_at(&mut content, 0)
            .map_err(|e| io_error(|| format!("recording {id} cannot be read"), e))?;
        let kept: Option<Option<Vec<u8>>> = self.inner.db.read(format_args!("looking up recording {id}"), |c| {
            Ok(c.query_row("SELECT sha256 FROM segment WHERE id = ?1", [id.0], |r| r.get(0)).optional()?)
        })?;
        let is_same =
            content.len() as u64 == sealed.size_bytes && kept.flatten().as_deref() == Some(&sha256(&content)[..]);
        if !is_same {
            return Err(Error::new(ErrorKind::Corrupt, format!("recording {id} does not read back as it was written")));
        }
        self.keyframe_at(&sealed.camera, sealed.start).map(drop)
    }
}
