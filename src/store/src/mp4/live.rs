//! The same fragments as in a file for whoever watches now: a header, and one fragment a part of a live stream. Nothing is written anywhere.

use super::format::TrackFormat;
use super::write::{self, FragmentPackets, Position, Scratch};
use super::{VIDEO_HZ, ticks};
use bytes::Bytes;
use perch_base::Result;
use perch_base::time::MonoTime;
use std::time::Duration;

/// Channels of the sound: what a decoder is set up for. It makes two of packets that hold one (RFC 7845, 5.1.1), and which they are is not known
/// before the first one comes.
const CHANNELS: u8 = 2;

/// The fragments of one run of a live stream.
#[derive(Debug)]
pub struct LiveFragments {
    format: TrackFormat,
    zero: MonoTime,
    delay: Duration,
    position: Position,
    scratch: Scratch,
}

impl LiveFragments {
    /// Begins at `zero`, the moment of the first picture; returns the header, too. `delay` is how much later than it is decoded that one is
    /// shown. Errors with `Invalid` where the parameter sets make no sense.
    pub fn begin(format: TrackFormat, zero: MonoTime, delay: Duration) -> Result<(Self, Bytes)> {
        let mut header = Vec::with_capacity(1024);
        let channels = if format.has_audio { CHANNELS } else { 0 };
        let delay_us = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
        write::init(&format, false, channels, ticks(delay_us, VIDEO_HZ) as u64, &mut header)?;
        let (position, scratch) = (Position::default(), Scratch::default());
        Ok((Self { format, zero, delay, position, scratch }, header.into()))
    }

    /// Whether a keyframe of `format` goes on from here; else another header is needed.
    pub fn goes_on_with(&self, format: &TrackFormat) -> bool {
        self.format.has_audio == format.has_audio && format.goes_on_from(&self.format)
    }

    /// The next fragment. `None` where there is no picture in it. Errors with `Invalid` where it begins before what came before it.
    pub fn write(&mut self, part: &FragmentPackets) -> Result<Option<Bytes>> {
        let payload: usize = part.packets.iter().map(|packet| packet.data.len()).sum();
        let mut out = Vec::with_capacity(payload + 64 * part.packets.len() + 512);
        let written = write::fragment(&mut self.position, &self.format, self.zero, part, &mut self.scratch, &mut out)?;
        out.shrink_to_fit();
        Ok(written.map(|_| out.into()))
    }

    /// How much later than it is decoded a run's first picture is shown.
    pub fn delay(&self) -> Duration {
        self.delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::media::{Packet, Track, VideoCodec};
    use std::sync::Arc;

    const SPS: [u8; 21] =
        [0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc5, 0x0a, 0xa8];

    #[test]
    fn a_live_fragment_may_begin_with_any_picture_but_the_first() {
        let start = [0, 0, 0, 1];
        let key = [&start[..], &SPS, &start, &[0x68, 0xce, 0x3c, 0x80], &start, &[0x65, 0x88, 0x84]].concat();
        let format = TrackFormat::from_keyframe(VideoCodec::H264, &key, true).expect("whole");
        let (mut live, header) =
            LiveFragments::begin(format.clone(), MonoTime(5_000_000), Duration::ZERO).expect("begun");
        let has = |bytes: &[u8], name: &[u8]| bytes.windows(name.len()).any(|at| at == name);
        assert!(has(&header, b"avc1") && has(&header, b"dOps\0\x02"), "two channels");
        let part = |ms: i64, data: &[u8], keyframe| FragmentPackets {
            packets: vec![
                Arc::new(Packet::new(Track::Video, Bytes::copy_from_slice(data), MonoTime(ms * 1000), keyframe)),
                Arc::new(Packet::new(Track::Audio, Bytes::from_static(&[0x78, 1]), MonoTime(ms * 1000), true)),
            ],
            end: MonoTime(ms * 1000 + 40_000),
            delay: Duration::ZERO,
        };
        let slice = [&start[..], &[0x41, 0x9a, 1]].concat();
        assert!(live.write(&part(5000, &slice, false)).is_err());
        let first = live.write(&part(5000, &key, true)).expect("written").expect("a picture");
        let second = live.write(&part(5040, &slice, false)).expect("written").expect("a picture");
        assert!(has(&first, b"moof") && has(&second, b"mdat"));
        assert_eq!(live.write(&part(5080, &[0, 0, 0, 1, 9, 0xf0], false)).expect("nothing"), None);
        assert!(live.goes_on_with(&format) && !live.goes_on_with(&TrackFormat { has_audio: false, ..format }));
    }
}
