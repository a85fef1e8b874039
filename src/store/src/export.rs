//! One MP4 of a range, made while it is sent: a new header, then each fragment with its times and numbers set again. One fragment
//! is in memory at a time.
//!
//! A header describes one format of video. Where a range holds several (the size was changed, say), every keyframe gets its
//! parameter sets, as in a stream: ffmpeg and Chromium follow that, after a seek too. A second entry in the header, with fragments
//! that point to it, ffmpeg 5.1 ignores, and Chromium then stops with an error.

use crate::Recordings;
use crate::live::Recorded;
use crate::mp4::format::TrackFormat;
use crate::mp4::{AUDIO, AUDIO_HZ, VIDEO, VIDEO_HZ, read, write};
use bytes::Bytes;
use perch_base::ids::{CameraId, SegmentId};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::TimeRange;
use perch_domain::playback::first_from;
use perch_domain::ports::Export;
use std::collections::VecDeque;

/// Recordings that are looked up at a time.
const PAGE: usize = 64;

/// Begins an export. Errors with `NotFound` when nothing is recorded in the range, with `Unsupported` when it is of two codecs.
pub(crate) fn begin(recordings: &Recordings, camera: &CameraId, range: TimeRange) -> Result<Export> {
    let (chunks, start) = Chunks::open_range(recordings, camera, range)?;
    let (day, time) = start.file_parts();
    let file_name = format!("{camera}_{day}_{}Z.mp4", &time[..time.len().min(6)]);
    Ok(Export { file_name, chunks: Box::new(chunks) })
}

/// Where the common time line stands, in ticks of each track.
#[derive(Debug, Default)]
struct TrackClock {
    sequence: u32,
    video_end_ticks: u64,
    audio_end_ticks: u64,
    /// What is added to the running file's times.
    video_shift_ticks: i64,
    audio_shift_ticks: Option<i64>,
    /// Whether the next fragment is the first of its file.
    fresh: bool,
}

impl TrackClock {
    /// The new decode time of a run, ticks of its track.
    fn place(&mut self, run: &read::Run) -> u64 {
        let begin = run.begin_ticks as i64;
        if run.track == VIDEO {
            if self.fresh {
                self.video_shift_ticks = self.video_end_ticks as i64 - begin;
                self.audio_shift_ticks = None;
                self.fresh = false;
            }
            let at = (begin + self.video_shift_ticks).max(0) as u64;
            self.video_end_ticks = at + run.duration_ticks;
            return at;
        }
        let shift = *self.audio_shift_ticks.get_or_insert_with(|| {
            // Sound may reach a packet further than the picture: it pushes the next file's by so much, never more.
            let natural = self.video_shift_ticks * AUDIO_HZ / VIDEO_HZ;
            natural.max(self.audio_end_ticks as i64 - begin)
        });
        let at = (begin + shift).max(0) as u64;
        self.audio_end_ticks = at + run.duration_ticks;
        at
    }
}

pub(crate) struct Chunks {
    recordings: Recordings,
    camera: CameraId,
    range: TimeRange,
    queue: VecDeque<Recorded>,
    /// Start and id of the last recording that was looked up.
    looked_up_to: Option<(Timestamp, SegmentId)>,
    /// The running file and its next fragment.
    at: Option<(Recorded, usize)>,
    header: Option<Bytes>,
    head: Option<Head>,
    /// The running file's.
    format: Option<TrackFormat>,
    /// Whether keyframes bring their parameter sets.
    is_mixed: bool,
    clock: TrackClock,
    ended: bool,
}

/// What the header says.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) format: TrackFormat,
    /// Channels of the sound; 0 when there is none.
    pub(crate) channels: u8,
    /// How much later on the video's time line than what is decoded what is shown begins, ticks of its track.
    pub(crate) delay_ticks: u64,
}

impl Chunks {
    /// Finds the beginning of a range, and when that is. Errors like [`begin`].
    pub(crate) fn open_range(
        recordings: &Recordings,
        camera: &CameraId,
        range: TimeRange,
    ) -> Result<(Self, Timestamp)> {
        let mut chunks = Chunks {
            recordings: recordings.clone(),
            camera: camera.clone(),
            range,
            queue: VecDeque::new(),
            looked_up_to: None,
            at: None,
            header: None,
            head: None,
            format: None,
            is_mixed: false,
            clock: TrackClock::default(),
            ended: false,
        };
        let start = chunks.open()?;
        Ok((chunks, start))
    }

    /// What the header says.
    pub(crate) fn head(&self) -> Result<Head> {
        self.head.clone().ok_or_else(|| Error::internal("an export has no header"))
    }

    /// What the next fragment is of.
    pub(crate) fn format(&self) -> Option<&TrackFormat> {
        self.format.as_ref()
    }

    /// Finds the first recording and makes the header; returns when it begins.
    fn open(&mut self) -> Result<Timestamp> {
        let Some(first) = self.next_file()? else {
            return Err(self.recordings.nothing_in(&self.camera, &self.range));
        };
        let start = first.0.segment.start.plus_micros(first.0.segment.fragments[first.1].start_us);
        let mut format = self.recordings.format_of(first.0.segment.id)?;
        // Later files may have sound where the first has none.
        let (channels, formats) = self.recordings.channels_and_formats(&self.camera, &self.range)?;
        let channels = channels.max(first.0.channels);
        if formats.iter().any(|f| f.codec != format.codec) {
            return Err(self.two_codecs());
        }
        self.is_mixed = formats.len() > 1;
        format.has_audio = channels > 0;
        let mut header = Vec::with_capacity(1024);
        let delay_ticks = self.recordings.header_of(&first.0)?.delay_ticks;
        write::init(&format, self.is_mixed, channels, delay_ticks, &mut header)?;
        self.header = Some(header.into());
        self.head = Some(Head { format: format.clone(), channels, delay_ticks });
        self.format = Some(format);
        self.at = Some(first);
        self.clock.fresh = true;
        Ok(start)
    }

    /// One track holds one codec.
    fn two_codecs(&self) -> Error {
        let message = format!(
            "camera {}: the range holds H.264 and H.265, which one file cannot: ask for what is before or after the change",
            self.camera
        );
        Error::new(ErrorKind::Unsupported, message)
    }

    /// The next recording with a fragment in the range, and that fragment.
    fn next_file(&mut self) -> Result<Option<(Recorded, usize)>> {
        loop {
            if let Some(recorded) = self.queue.pop_front() {
                let from = self.range.from.micros_since(recorded.segment.start);
                let fragments = &recorded.segment.fragments;
                let first = first_from(fragments, from);
                if fragments.get(first).is_some_and(|f| self.is_wanted(&recorded, f.start_us)) {
                    return Ok(Some((recorded, first)));
                }
                continue;
            }
            let mut page = self.look_up()?;
            if let Some(after) = self.looked_up_to {
                page.retain(|r| (r.segment.start, r.segment.id) > after);
            }
            let Some(last) = page.last() else { return Ok(None) };
            self.looked_up_to = Some((last.segment.start, last.segment.id));
            self.queue = page.into();
        }
    }

    fn look_up(&self) -> Result<Vec<Recorded>> {
        let from = self.looked_up_to.map_or(self.range.from, |(start, _)| start.max(self.range.from));
        match from < self.range.to {
            true => self.recordings.recorded(&self.camera, &TimeRange { from, to: self.range.to }, PAGE),
            false => Ok(Vec::new()),
        }
    }

    fn is_wanted(&self, recorded: &Recorded, start_us: i64) -> bool {
        recorded.segment.start.plus_micros(start_us) < self.range.to
    }

    fn next_chunk(&mut self) -> Result<Option<Bytes>> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header));
        }
        self.next_fragment()
    }

    /// The next fragment, its times on the common time line.
    pub(crate) fn next_fragment(&mut self) -> Result<Option<Bytes>> {
        let Some((recorded, index)) = self.at.take() else { return Ok(None) };
        let (moof, mut data) = self.recordings.read_fragment(&recorded, index)?;
        self.fit_in(&moof, &mut data)
            .map_err(|e| e.at(format_args!("camera {}: recording {}", self.camera, recorded.segment.id)))?;
        let next = index + 1;
        match recorded.segment.fragments.get(next) {
            Some(f) if self.is_wanted(&recorded, f.start_us) => self.at = Some((recorded, next)),
            _ => self.change_file()?,
        }
        Ok(Some(data.into()))
    }

    /// Gives a fragment its number and times on the common time line.
    fn fit_in(&mut self, moof: &read::Moof, data: &mut Vec<u8>) -> Result<()> {
        self.clock.sequence += 1;
        patch(data, moof.sequence_at, &self.clock.sequence.to_be_bytes())?;
        for run in moof.runs.iter().filter(|r| r.track == VIDEO || r.track == AUDIO) {
            let at = self.clock.place(run);
            patch(data, run.begin_at, &at.to_be_bytes())?;
        }
        match (self.is_mixed, &self.format) {
            (true, Some(format)) => put_parameters(data, moof, format),
            _ => Ok(()),
        }
    }

    fn change_file(&mut self) -> Result<()> {
        let Some(next) = self.next_file()? else { return Ok(()) };
        let format = self.recordings.format_of(next.0.segment.id)?;
        if self.format.as_ref().is_some_and(|f| f.codec != format.codec) {
            return Err(self.two_codecs());
        }
        // One that came after the export had started.
        self.is_mixed |= self.format.as_ref().is_none_or(|f| (f.codec, &f.sets) != (format.codec, &format.sets));
        self.format = Some(format);
        self.at = Some(next);
        self.clock.fresh = true;
        Ok(())
    }
}

/// Puts the parameter sets before the keyframe that a fragment begins with, and sets right what counts its bytes: the keyframe's size, the size
/// of `mdat`, where the sound begins.
fn put_parameters(data: &mut Vec<u8>, moof: &read::Moof, format: &TrackFormat) -> Result<()> {
    let damaged = || Error::new(ErrorKind::Corrupt, "a fragment's header does not fit its pictures");
    let mut sets = Vec::with_capacity(64);
    for set in &format.sets {
        sets.extend_from_slice(&(set.len() as u32).to_be_bytes());
        sets.extend_from_slice(set);
    }
    let (video, others) = moof.runs.split_first().ok_or_else(damaged)?;
    if !video.starts {
        return Ok(());
    }
    let at = usize::try_from(video.offset_bytes).ok().filter(|at| (8..=data.len()).contains(at)).ok_or_else(damaged)?;
    for counted in [video.first_size_at, at - 8].into_iter().chain(others.iter().map(|r| r.offset_at)) {
        let bytes = data.get(counted..counted + 4).and_then(|b| b.try_into().ok()).ok_or_else(damaged)?;
        let longer = u32::from_be_bytes(bytes).checked_add(sets.len() as u32).ok_or_else(damaged)?;
        patch(data, counted, &longer.to_be_bytes())?;
    }
    data.splice(at..at, sets);
    Ok(())
}

fn patch(data: &mut [u8], at: usize, value: &[u8]) -> Result<()> {
    let place =
        data.get_mut(at..at + value.len()).ok_or_else(|| Error::internal("a fragment's header is too short"))?;
    place.copy_from_slice(value);
    Ok(())
}

impl Iterator for Chunks {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let chunk = self.next_chunk().transpose();
        self.ended = !matches!(chunk, Some(Ok(_)));
        chunk
    }
}
