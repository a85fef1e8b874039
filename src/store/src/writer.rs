//! Writes one recording: its file, fragment by fragment, and what its row is to say. When to begin and end a file is the recorder's decision.

use crate::Recordings;
use crate::change::{RowChange, Started};
use crate::fault::io_error;
use crate::files::recording_path;
use crate::live::Live;
use crate::mp4::format::TrackFormat;
use crate::mp4::write::{self, FragmentPackets, Position, Scratch};
use crate::mp4::{VIDEO_HZ, ticks};
use crate::segments::sealed_state;
use aws_lc_rs::digest;
use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{Segment, SegmentState};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// An open recording. Dropped without [`SegmentWriter::seal`] it stays open in the index; the store seals it with the next file
/// or, after a crash, at the next start.
pub struct SegmentWriter {
    recordings: Recordings,
    id: SegmentId,
    path: String,
    file: File,
    start: Timestamp,
    format: TrackFormat,
    position: Position,
    size_bytes: u64,
    channels: u8,
    digest: digest::Context,
    buffer: Vec<u8>,
    scratch: Scratch,
    sealed: bool,
}

impl Recordings {
    /// Begins a recording whose time 0 is `start`: an empty file; its row follows when the database can take it. Errors:
    /// `Unavailable` when the disk cannot be written (see [`crate::write_fault`]).
    pub fn create_segment(
        &self,
        camera: &CameraId,
        start: Timestamp,
        event: Option<EventId>,
        format: &TrackFormat,
    ) -> Result<SegmentWriter> {
        let id = self.index().rows().new_id();
        let segment = Segment {
            id,
            camera: camera.clone(),
            start,
            end: start,
            size_bytes: 0,
            state: SegmentState::Open,
            event,
            init_size_bytes: 0,
            fragments: Vec::new(),
        };
        let made = self.new_file(segment, format);
        let (path, file) = made.inspect_err(|_| drop(self.live().remove(&id)))?;
        let (camera, format) = (camera.clone(), format.clone());
        let open = RowChange::Open { id, camera, path: path.clone(), start, event, format: format.clone() };
        if let Err(e) = self.index().begin(Started::File(id), open) {
            self.live().remove(&id);
            // Best effort: an empty file without a row is removed at the next start.
            let _ = self.inner.recordings.remove(&path);
            return Err(e);
        }
        Ok(SegmentWriter {
            recordings: self.clone(),
            id,
            path,
            file,
            start,
            format,
            position: Position::default(),
            size_bytes: 0,
            channels: 0,
            digest: digest::Context::new(&digest::SHA256),
            buffer: Vec::new(),
            scratch: Scratch::default(),
            sealed: false,
        })
    }

    /// Makes the file. It is known as one that is being written before it is there: a comparison of index and files leaves it alone.
    fn new_file(&self, segment: Segment, format: &TrackFormat) -> Result<(String, File)> {
        let (id, camera, start) = (segment.id, segment.camera.clone(), segment.start);
        let path = recording_path(&camera, start, 0);
        let live = Live { segment, path, channels: 0, format: format.clone(), is_complete: false };
        self.live().insert(id, live);
        for n in 0..1000 {
            let path = recording_path(&camera, start, n);
            if self.is_path_taken(&path) {
                continue;
            }
            if let Some(live) = self.live().get_mut(&id) {
                live.path.clone_from(&path);
            }
            match self.inner.recordings.create(&path) {
                Ok(file) => return Ok((path, file)),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(io_error(|| format!("recording {path} cannot be made"), e)),
            }
        }
        Err(Error::new(ErrorKind::Conflict, format!("camera {camera}: too many recordings begin at {start}")))
    }
}

impl SegmentWriter {
    /// Its row.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Appends one fragment, in one write, and flushes it to the disk. Pictures of another format are written as well (their
    /// parameter sets then stand in the samples), but a new file is better. `start_of_file` is time 0 of the file on the
    /// packets' clock. Returns the bytes written: none where there is no picture. After an error the file is as it was before.
    ///
    /// Errors: `Invalid` when it begins before `start_of_file`, or the file with it and not with a keyframe; `Unavailable` when the disk is
    /// full, read-only or failing.
    pub fn write_fragment(&mut self, start_of_file: MonoTime, part: &FragmentPackets) -> Result<u64> {
        self.buffer.clear();
        let channels = if self.format.has_audio { part.channels().max(1) } else { 0 };
        let path = &self.path;
        let of_this = |e: Error| e.with_inside(format!("recording {path}"));
        let mut init_bytes = None;
        if self.size_bytes == 0 {
            let delay_us = i64::try_from(part.delay.as_micros()).unwrap_or(i64::MAX);
            let delay_ticks = ticks(delay_us, VIDEO_HZ) as u64;
            write::init(&self.format, false, channels, delay_ticks, &mut self.buffer).map_err(of_this)?;
            init_bytes = Some(self.buffer.len() as u64);
            write::reference_time(self.start, &mut self.buffer).map_err(of_this)?;
        }
        let before = self.buffer.len() as u64;
        let mut position = self.position;
        let written =
            write::fragment(&mut position, &self.format, start_of_file, part, &mut self.scratch, &mut self.buffer)
                .map_err(of_this)?;
        let Some(mut fragment) = written else { return Ok(0) };
        fragment.offset_bytes = self.size_bytes + before;
        if let Err(e) = self.append() {
            // What was written of it would be cut off at the next start anyway.
            let _ = self.file.set_len(self.size_bytes);
            return Err(io_error(|| format!("recording {} cannot be written", self.path), e));
        }
        if init_bytes.is_some() {
            self.channels = channels;
        }
        self.digest.update(&self.buffer);
        self.position = position;
        self.size_bytes += self.buffer.len() as u64;
        if let Some(live) = self.recordings.live().get_mut(&self.id) {
            let s = &mut live.segment;
            if let Some(init_bytes) = init_bytes {
                s.init_size_bytes = init_bytes;
                live.channels = channels;
            }
            s.size_bytes = self.size_bytes;
            s.end = self.start.plus_micros(fragment.start_us + fragment.duration_us);
            s.fragments.push(fragment);
        }
        self.recordings.index().running_changed();
        Ok(self.buffer.len() as u64)
    }

    fn append(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.size_bytes)?;
        self.file.sync_data()?;
        if self.size_bytes == 0 {
            self.recordings.inner.recordings.sync_folder_of(&self.path)?;
        }
        Ok(())
    }

    /// Closes the recording: its length, size, hash and fragments go into its row, as soon as the database takes them. One to which
    /// nothing was written is removed and returned without fragments. After an error the store tries again with the next file.
    pub fn seal(mut self) -> Result<Segment> {
        let (segment, change) = self.close()?;
        self.recordings.index().change(change)?;
        Ok(segment)
    }

    /// What the recording is in the end, and what is to become of its row.
    fn close(&mut self) -> Result<(Segment, RowChange)> {
        self.sealed = true;
        let id = self.id;
        let digest = self.digest.clone().finish();
        let mut segment = {
            let mut live = self.recordings.live();
            let live = live.get_mut(&id).ok_or_else(|| Error::not_found(format!("recording {id} is not known")))?;
            live.is_complete = true;
            live.segment.clone()
        };
        self.recordings.index().running_changed();
        segment.state = sealed_state(&segment);
        let path = self.path.clone();
        if segment.fragments.is_empty() {
            self.recordings.live().remove(&id);
            let removed = self.recordings.inner.recordings.remove(&path);
            removed.map_err(|e| io_error(|| format!("the empty recording {path} cannot be removed"), e))?;
            return Ok((segment, RowChange::Forget { id }));
        }
        let channels = self.channels;
        let seal = RowChange::Seal { segment: segment.clone(), path, channels, sha256: digest.as_ref().to_vec() };
        Ok((segment, seal))
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if self.sealed {
            return;
        }
        match self.close() {
            Ok((_, change)) => drop(self.recordings.index().rows().leave(change)),
            Err(e) => tracing::warn!(error = %e, "a recording that was broken off could not be closed"),
        }
    }
}
