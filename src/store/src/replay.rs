//! A range read as it was captured: what an export sends, taken apart into pictures and sound.

use crate::Recordings;
use crate::export::Chunks;
use crate::mp4::samples::{Sample, samples_of};
use crate::mp4::{AUDIO_HZ, VIDEO, VIDEO_HZ, micros, read};
use crate::read_back::unit_of;
use bytes::Bytes;
use perch_base::ids::CameraId;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::TimeRange;
use perch_domain::media::{Packet, Track};
use perch_domain::ports::Replay;
use std::time::Duration;

/// Begins one. Errors like an export.
pub(crate) fn begin(recordings: &Recordings, camera: &CameraId, range: TimeRange) -> Result<Replay> {
    let (chunks, _) = Chunks::open_range(recordings, camera, range)?;
    let head = chunks.head()?;
    let what = format!("camera {camera}");
    let parts = Parts { chunks, delay_ticks: head.delay_ticks, what, is_over: false };
    Ok(Replay { codec: head.format.codec, has_audio: head.channels > 0, parts: Box::new(parts) })
}

struct Parts {
    chunks: Chunks,
    /// How much later than decoded the first file's pictures are shown; its sound is later by as much, so that nothing is before 0.
    delay_ticks: u64,
    what: String,
    is_over: bool,
}

impl Parts {
    fn next_part(&mut self) -> Result<Option<Vec<Packet>>> {
        // Of the file that the next fragment is of.
        let Some(format) = self.chunks.format().cloned() else { return Ok(None) };
        let Some(data) = self.chunks.next_fragment()? else { return Ok(None) };
        let damaged = || Error::new(ErrorKind::Corrupt, format!("{}: a recording is damaged", self.what));
        let (moof, head) = read::moof_in(&data).ok_or_else(damaged)?;
        let mut packets = Vec::new();
        for run in &moof.runs {
            let is_video = run.track == VIDEO;
            let (hz, later_ticks) = if is_video { (VIDEO_HZ, 0) } else { (AUDIO_HZ, self.sound_later_ticks()) };
            let samples = samples_of(head, run).ok_or_else(damaged)?;
            let mut rest = usize::try_from(run.offset_bytes).ok().and_then(|at| data.get(at..)).ok_or_else(damaged)?;
            let us = |ticks: u64| Duration::from_micros(micros(ticks.min(1 << 52) as i64, hz).max(0) as u64);
            let mut at_ticks = run.begin_ticks + later_ticks;
            for Sample { size_bytes, length_ticks, shown_ticks, is_start } in samples {
                let (sample, after) = rest.split_at_checked(size_bytes as usize).ok_or_else(damaged)?;
                rest = after;
                let payload = match is_video {
                    true => {
                        let sets: &[Bytes] = if is_start { &format.sets } else { &[] };
                        unit_of(format.codec, sets, sample).ok_or_else(damaged)?
                    }
                    false => Bytes::copy_from_slice(sample),
                };
                packets.push(Packet {
                    track: if is_video { Track::Video } else { Track::Audio },
                    codec: is_video.then_some(format.codec),
                    data: payload,
                    pts: MonoTime(0) + us(at_ticks),
                    shown_later: us(u64::from(shown_ticks)),
                    duration: us(u64::from(length_ticks)),
                    keyframe: is_start,
                });
                at_ticks += u64::from(length_ticks);
            }
        }
        packets.sort_by_key(|packet| packet.pts);
        Ok(Some(packets))
    }

    fn sound_later_ticks(&self) -> u64 {
        self.delay_ticks.saturating_mul(AUDIO_HZ as u64) / VIDEO_HZ as u64
    }
}

impl Iterator for Parts {
    type Item = Result<Vec<Packet>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let part = self.next_part().transpose();
        self.is_over = !matches!(part, Some(Ok(_)));
        part
    }
}
