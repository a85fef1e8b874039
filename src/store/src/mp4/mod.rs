//! Fragmented MP4 as the box records it: one `avc1` or `hvc1` track and at most one `Opus` track. Writing is in `write`, reading (of files
//! that may be damaged or hostile) in `read`; `samples` tells what a fragment
//! says of each packet, `format` and `opus` know what is inside them.

pub(crate) mod format;
pub(crate) mod live;
pub(crate) mod opus;
pub(crate) mod read;
pub(crate) mod samples;
pub(crate) mod write;

/// Track id of the video.
pub(crate) const VIDEO: u32 = 1;
/// Track id of the sound.
pub(crate) const AUDIO: u32 = 2;
/// Ticks a second of the video track.
pub(crate) const VIDEO_HZ: i64 = 90_000;
/// Ticks a second of the sound track.
pub(crate) const AUDIO_HZ: i64 = 48_000;

/// Microseconds to ticks, rounded down.
pub(crate) fn ticks(us: i64, hz: i64) -> i64 {
    (i128::from(us) * i128::from(hz)).div_euclid(1_000_000) as i64
}

/// Ticks to microseconds, rounded to the nearest.
pub(crate) fn micros(ticks: i64, hz: i64) -> i64 {
    ((i128::from(ticks) * 1_000_000 + i128::from(hz) / 2).div_euclid(i128::from(hz))) as i64
}
