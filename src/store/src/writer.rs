//! Writes one recording: its row, its file, one fragment a GOP. When to begin and end a file is the recorder's decision.

use crate::Store;
use crate::fault::io_error;
use crate::files::recording_path;
use crate::mp4::h264::TrackFormat;
use crate::mp4::write::{self, GopPackets, Position, Scratch};
use crate::segments::{Live, Remains, sealed_state};
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
    store: Store,
    id: SegmentId,
    path: String,
    file: File,
    start: Timestamp,
    format: TrackFormat,
    position: Position,
    size: u64,
    digest: digest::Context,
    buffer: Vec<u8>,
    scratch: Scratch,
    sealed: bool,
}

impl Store {
    /// Begins a recording whose time 0 is `start`: the row first, then the empty file. Errors: `Unavailable` when the disk cannot
    /// be written (see [`crate::write_fault`]).
    pub fn create_segment(
        &self,
        camera: &CameraId,
        start: Timestamp,
        event: Option<EventId>,
        format: &TrackFormat,
    ) -> Result<SegmentWriter> {
        self.settle();
        let (id, path, file) = self.new_row_and_file(camera, start, event, format)?;
        let segment = Segment {
            id,
            camera: camera.clone(),
            start,
            end: start,
            size: 0,
            state: SegmentState::Open,
            event,
            init_size: 0,
            fragments: Vec::new(),
        };
        self.live().insert(id, Live { segment, path: path.clone(), channels: 0, remains: None });
        Ok(SegmentWriter {
            store: self.clone(),
            id,
            path,
            file,
            start,
            format: format.clone(),
            position: Position::default(),
            size: 0,
            digest: digest::Context::new(&digest::SHA256),
            buffer: Vec::new(),
            scratch: Scratch::default(),
            sealed: false,
        })
    }

    fn new_row_and_file(
        &self,
        camera: &CameraId,
        start: Timestamp,
        event: Option<EventId>,
        format: &TrackFormat,
    ) -> Result<(SegmentId, String, File)> {
        for n in 0..1000 {
            let path = recording_path(camera, start, n);
            let Some(id) = self.insert_open(camera, &path, start, event, format)? else { continue };
            match self.inner.recordings.create(&path) {
                Ok(file) => return Ok((id, path, file)),
                Err(e) => {
                    let taken = e.kind() == io::ErrorKind::AlreadyExists;
                    self.forget_open(id)?;
                    if !taken {
                        return Err(io_error(|| format!("recording {path} cannot be made"), e));
                    }
                }
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

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends one GOP as one fragment, in one write, and flushes it to the disk. One of another format is written as well (its
    /// parameter sets then stand in the samples), but a new file is better. `start_of_file` is time 0 of the file on the
    /// packets' clock. Returns the bytes written. After an error the file is as it was before.
    ///
    /// Errors: `Invalid` when the GOP does not begin with a keyframe at or after `start_of_file`; `Unavailable` when the disk is
    /// full, read-only or failing.
    pub fn write_gop(&mut self, start_of_file: MonoTime, gop: &GopPackets) -> Result<u64> {
        self.buffer.clear();
        let channels = if self.format.has_audio { gop.channels().max(1) } else { 0 };
        let mut init_size = None;
        if self.size == 0 {
            write::init(&self.format, channels, &mut self.buffer)?;
            init_size = Some(self.buffer.len() as u64);
            write::reference_time(self.start, &mut self.buffer)?;
        }
        let before = self.buffer.len() as u64;
        let mut position = self.position;
        let mut fragment =
            write::fragment(&mut position, &self.format, start_of_file, gop, &mut self.scratch, &mut self.buffer)
                .map_err(|e| Error::new(e.kind(), format!("recording {}: {}", self.path, e.message())))?;
        fragment.offset = self.size + before;
        if let Err(e) = self.append() {
            // What was written of it would be cut off at the next start anyway.
            let _ = self.file.set_len(self.size);
            return Err(io_error(|| format!("recording {} cannot be written", self.path), e));
        }
        self.digest.update(&self.buffer);
        self.position = position;
        self.size += self.buffer.len() as u64;
        if let Some(live) = self.store.live().get_mut(&self.id) {
            let s = &mut live.segment;
            if let Some(init_size) = init_size {
                s.init_size = init_size;
                live.channels = channels;
            }
            s.size = self.size;
            s.end = self.start.plus_micros(fragment.start_us + fragment.duration_us);
            s.fragments.push(fragment);
        }
        Ok(self.buffer.len() as u64)
    }

    fn append(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.buffer, self.size)?;
        self.file.sync_data()?;
        if self.size == 0 {
            self.store.inner.recordings.sync_folder_of(&self.path)?;
        }
        Ok(())
    }

    /// Closes the recording: its length, size, hash and fragments go into its row. One to which nothing was written is removed
    /// and returned without fragments. After an error the store tries again with the next file.
    pub fn seal(mut self) -> Result<Segment> {
        self.sealed = true;
        let left = self.leave();
        if let Some(sealed) = self.store.settle_one(self.id)? {
            return Ok(sealed);
        }
        // Another thread that settled what was left came first.
        let mut segment = left.ok_or_else(|| Error::not_found(format!("recording {} is not known", self.id)))?;
        segment.state = sealed_state(&segment);
        Ok(segment)
    }

    /// Hands the recording over to the store, and returns it as it is then.
    fn leave(&mut self) -> Option<Segment> {
        let digest = self.digest.clone().finish();
        let mut live = self.store.live();
        let live = live.get_mut(&self.id)?;
        live.remains = Some(Remains { sha256: digest.as_ref().to_vec() });
        Some(live.segment.clone())
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        if !self.sealed {
            self.leave();
        }
    }
}
