//! What is read out of recorded files: fragments and keyframes.

use crate::Recordings;
use crate::fault::io_error;
use crate::live::Recorded;
use crate::mp4::format::{SetKind, set_kind};
use crate::mp4::read;
use bytes::{BufMut, Bytes, BytesMut};
use perch_base::ids::CameraId;
use perch_base::read_at::ReadAt;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{Segment, TimeRange, start_before};
use perch_domain::media::VideoCodec;
use perch_domain::refresh::whole_after;
use std::fs::File;
use std::io;
use std::sync::Arc;

fn damaged(s: &Segment) -> Error {
    Error::new(ErrorKind::Corrupt, format!("camera {}: recording {} is damaged", s.camera, s.id))
}

/// A recording that the disk, or the store with its copy, does not let be read.
pub(crate) fn unreadable(s: &Segment, e: io::Error) -> Error {
    // What the store said is one of ours.
    let e = match e.downcast::<Error>() {
        Ok(of_store) => return of_store.at(format_args!("camera {}: recording {}", s.camera, s.id)),
        Err(e) => e,
    };
    io_error(|| format!("camera {}: recording {} cannot be read", s.camera, s.id), e)
}

impl Recordings {
    /// The bytes of a recording: of its file or, where that is gone, of its copy. Of a copy, `ahead_bytes` and more are fetched at once.
    pub(crate) fn open_recorded(&self, recorded: &Recorded, ahead_bytes: u64) -> Result<Arc<dyn ReadAt>> {
        let Recorded { segment, copy, .. } = recorded;
        if let Some(place) = copy {
            return Ok(Arc::new(self.copied_bytes(segment, place, ahead_bytes)?));
        }
        Ok(Arc::new(self.open_file(recorded)?))
    }

    /// The file of a recording that is on the box.
    pub(crate) fn open_file(&self, recorded: &Recorded) -> Result<File> {
        let Recorded { segment, path, .. } = recorded;
        self.inner.recordings.read(path).map_err(|e| {
            io_error(|| format!("camera {}: recording {} cannot be opened", segment.camera, segment.id), e)
        })
    }

    /// Reads the header of a recording.
    pub(crate) fn header_of(&self, recorded: &Recorded) -> Result<read::Init> {
        let s = &recorded.segment;
        let file = self.open_recorded(recorded, s.init_size_bytes)?;
        let read = read::init_of(&*file, s.size_bytes).map_err(|e| unreadable(s, e))?;
        read.map_err(|why| damaged(s).with_inside(why))
    }

    /// Reads a whole fragment of a recording.
    pub(crate) fn read_fragment(&self, recorded: &Recorded, index: usize) -> Result<(read::Moof, Vec<u8>)> {
        let s = &recorded.segment;
        let (damaged, unreadable) = (|| damaged(s), |e| unreadable(s, e));
        let fragment = s.fragments.get(index).ok_or_else(damaged)?;
        if fragment.offset_bytes.checked_add(fragment.size_bytes).is_none_or(|end| end > s.size_bytes) {
            return Err(damaged());
        }
        let file = self.open_recorded(recorded, fragment.size_bytes)?;
        let (moof, _) = read::moof_at(&*file, fragment).map_err(unreadable)?.ok_or_else(damaged)?;
        let mut data = vec![0; fragment.size_bytes as usize];
        file.read_exact_at(&mut data, fragment.offset_bytes).map_err(unreadable)?;
        Ok((moof, data))
    }

    /// The keyframe with which the pictures around `at` begin, as an access unit in Annex B (its parameter sets before it, four-byte start
    /// codes), and how it is encoded; of an intra refresh the pictures after it too, up to the first one that is whole, or as many as there are
    /// in its fragment. Errors with `NotFound` when nothing is recorded there.
    pub fn keyframe_at(&self, camera: &CameraId, at: Timestamp) -> Result<(VideoCodec, Vec<Bytes>)> {
        let found = self.recorded_at(camera, at)?;
        let recorded =
            found.ok_or_else(|| Error::not_found(format!("camera {camera}: nothing is recorded at {at}")))?;
        let (_, codec, pictures) = self.keyframe_of(&recorded, at)?;
        Ok((codec, pictures))
    }

    /// The same of the moment `at` or, where nothing is recorded then, of the last moment before it; and when that keyframe was taken. Errors
    /// with `NotFound` when nothing was recorded before either.
    pub fn keyframe_by(&self, camera: &CameraId, at: Timestamp) -> Result<(Timestamp, VideoCodec, Vec<Bytes>)> {
        let found = match self.recorded_at(camera, at)? {
            Some(recorded) => Some(recorded),
            None => self.last_recorded(camera, at)?,
        };
        let none = || Error::not_found(format!("camera {camera}: nothing is recorded up to {at}"));
        self.keyframe_of(&found.ok_or_else(none)?, at)
    }

    /// The recording in which the moment `at` is.
    fn recorded_at(&self, camera: &CameraId, at: Timestamp) -> Result<Option<Recorded>> {
        let range = TimeRange { from: at, to: at.plus_micros(1) };
        let found = self.recorded(camera, &range, 16)?;
        Ok(found.into_iter().rfind(|r| r.segment.start <= at && at < r.segment.end))
    }

    /// The last keyframe of a recording that is not after `at`.
    fn keyframe_of(&self, recorded: &Recorded, at: Timestamp) -> Result<(Timestamp, VideoCodec, Vec<Bytes>)> {
        let s = &recorded.segment;
        let none = || Error::not_found(format!("camera {}: nothing is recorded at {at}", s.camera));
        let offset_us = at.micros_since(s.start);
        let index = s.fragments.partition_point(|f| f.start_us <= offset_us).checked_sub(1).ok_or_else(none)?;
        let fragment = s.fragments[start_before(&s.fragments, index)];
        let format = self.format_of(s.id)?;
        let (damaged, unreadable) = (|| damaged(s), |e| unreadable(s, e));
        let file = self.open_recorded(recorded, 0)?;
        let (moof, _) = read::moof_at(&*file, &fragment).map_err(unreadable)?.ok_or_else(damaged)?;
        let video = moof.runs.first().ok_or_else(damaged)?;
        let (mut pictures, mut offset_bytes, mut wanted) = (Vec::new(), video.offset_bytes, 1);
        for size_bytes in &video.sizes_bytes {
            let end = offset_bytes.checked_add(u64::from(*size_bytes)).filter(|end| *end <= fragment.size_bytes);
            let end = end.ok_or_else(damaged)?;
            let mut sample = vec![0; *size_bytes as usize];
            file.read_exact_at(&mut sample, fragment.offset_bytes + offset_bytes).map_err(unreadable)?;
            offset_bytes = end;
            let sets = if pictures.is_empty() { &format.sets[..] } else { &[] };
            let picture = unit_of(format.codec, sets, &sample).ok_or_else(damaged)?;
            if pictures.is_empty() {
                wanted += whole_after(format.codec, &picture) as usize;
            }
            pictures.push(picture);
            if pictures.len() >= wanted {
                break;
            }
        }
        if pictures.is_empty() {
            return Err(damaged());
        }
        Ok((s.start.plus_micros(fragment.start_us), format.codec, pictures))
    }
}

/// A sample as an access unit in Annex B, with the header's parameter sets. `None`: it is damaged.
pub(crate) fn unit_of(codec: VideoCodec, sets: &[Bytes], sample: &[u8]) -> Option<Bytes> {
    let mut units = Vec::new();
    let mut rest = sample;
    while let Some((prefix, after)) = rest.split_at_checked(4) {
        let nal_bytes = u32::from_be_bytes(prefix.try_into().ok()?) as usize;
        let (nal, after) = after.split_at_checked(nal_bytes)?;
        units.push(nal);
        rest = after;
    }
    // Where it brings its own, they are not those of the header.
    let brings_sets = units.iter().any(|nal| set_kind(codec, nal) == Some(SetKind::Sps));
    let of_header = sets.iter().map(|set| &set[..]).filter(|_| !brings_sets);
    let mut out = BytesMut::with_capacity(sample.len() + 1024);
    for nal in of_header.chain(units) {
        out.put_slice(&[0, 0, 0, 1]);
        out.put_slice(nal);
    }
    Some(out.freeze())
}
