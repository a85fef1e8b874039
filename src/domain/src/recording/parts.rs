//! Where the stream that is recorded is cut into parts, each of which is written as one fragment: at a keyframe, where pictures without
//! others are gathered to about a second, and inside a group of pictures that is long, so that a power cut costs little of it.

use crate::bitstream::nal_units;
use crate::h265;
use crate::media::{Packet, Track, VideoCodec};
use perch_base::time::MonoTime;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

/// A keyframe begins a part once the open one, which a keyframe began, lasts so long: a group of pictures a second is a part, ten a second
/// are gathered.
const AT_KEYFRAME: Duration = Duration::from_millis(750);
/// Any picture begins a part once the open one lasts so long: a little more than two seconds, as many cameras send a keyframe each two.
const LONGEST: Duration = Duration::from_millis(2_300);
/// Or once the open one would hold more bytes than this with it.
pub const MAX_PART_BYTES: usize = 8 << 20;
/// Or once it holds so many packets.
const MAX_PACKETS: usize = 4096;
/// What a packet takes beside its payload, about.
const PACKET_BYTES: usize = 1024;

/// Where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Into the open part.
    Open,
    /// Into a part that begins with it; the open one, if there is one, is complete.
    Next,
    /// Into none: it is of no use without what is missing before it.
    Nowhere,
}

/// The open part.
#[derive(Clone, Copy, Debug)]
struct Open {
    start: MonoTime,
    /// Whether it begins with a keyframe.
    starts: bool,
    size_bytes: usize,
    packets: usize,
    /// The parameter sets that its pictures lead on from, where a file holds no others ([`sets_of`]).
    sets: Option<u64>,
}

/// What tells the parameter sets of a keyframe from others. H.265 alone: they stand in its files' headers and nowhere else, so that others
/// begin a file, and with it a part. Those of H.264 may stand in the samples.
fn sets_of(packet: &Packet) -> Option<u64> {
    if packet.codec != Some(VideoCodec::H265) || !packet.keyframe {
        return None;
    }
    let mut hash = DefaultHasher::new();
    let before = nal_units(&packet.data).take_while(|nal| !h265::is_slice(h265::kind(nal)));
    before.filter(|nal| (h265::VPS..=h265::PPS).contains(&h265::kind(nal))).for_each(|set| hash.write(set));
    Some(hash.finish())
}

/// Cuts one stream.
#[derive(Clone, Debug, Default)]
pub struct Cutter {
    open: Option<Open>,
    /// How much later than it is decoded the first picture since the last break was shown.
    delay: Duration,
}

impl Cutter {
    /// Bytes of memory that a packet takes.
    pub fn size_bytes(packet: &Packet) -> usize {
        packet.data.len() + PACKET_BYTES
    }

    /// Where `packet` goes, which comes next. `is_broken`: what came so far does not lead to it.
    pub fn place(&mut self, packet: &Packet, is_broken: bool) -> Place {
        let is_picture = packet.track == Track::Video;
        let size_bytes = Self::size_bytes(packet);
        if is_picture && packet.keyframe && (is_broken || self.open.is_none()) {
            self.delay = packet.shown_later;
        }
        let sets = if is_picture { sets_of(packet) } else { None };
        let begins = match self.open {
            None => is_picture && packet.keyframe,
            Some(open) if is_picture => {
                let lasts = packet.pts.since(open.start);
                is_broken
                    || lasts >= LONGEST
                    || (packet.keyframe && (lasts >= AT_KEYFRAME || !open.starts || sets != open.sets))
                    || open.size_bytes + size_bytes > MAX_PART_BYTES
                    || open.packets >= MAX_PACKETS
            }
            // Sound without a picture for more than a minute: memory is finite.
            Some(open) if open.packets >= MAX_PACKETS => return Place::Nowhere,
            Some(_) => false,
        };
        match &mut self.open {
            _ if begins => {
                self.open = Some(Open { start: packet.pts, starts: packet.keyframe, size_bytes, packets: 1, sets })
            }
            Some(open) => {
                open.size_bytes += size_bytes;
                open.packets += 1;
                return Place::Open;
            }
            None => return Place::Nowhere,
        }
        Place::Next
    }

    /// What a file moves its pictures back by, so that the first one is shown at its start.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// The stream broke off, or the open part was lost: the next one begins with a keyframe.
    pub fn end(&mut self) {
        self.open = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn packet(track: Track, ms: i64, keyframe: bool, bytes: usize) -> Packet {
        Packet::new(track, Bytes::from(vec![0; bytes]), MonoTime(ms * 1_000), keyframe)
    }

    /// The parts of a minute of pictures each `step_ms`, of which each `gop`th is a keyframe: how many pictures each holds, and whether it
    /// begins with a keyframe.
    fn parts(step_ms: i64, gop: i64, bytes: usize) -> Vec<(usize, bool)> {
        let mut cutter = Cutter::default();
        let mut out: Vec<(usize, bool)> = Vec::new();
        for n in 0..60_000 / step_ms {
            let keyframe = n % gop == 0;
            match cutter.place(&packet(Track::Video, n * step_ms, keyframe, bytes), n == 0) {
                Place::Next => out.push((1, keyframe)),
                Place::Open => out.last_mut().expect("one is open").0 += 1,
                Place::Nowhere => panic!("picture {n} is lost"),
            }
        }
        // The last one is not complete.
        out.pop();
        out
    }

    #[test]
    fn parts_last_about_a_second_whatever_a_group_of_pictures_lasts() {
        for (what, step_ms, gop, bytes, want, all_start) in [
            ("a keyframe a second", 40, 25, 9, 25..=25, true),
            ("two a second", 40, 12, 9, 24..=24, true),
            ("each picture one", 40, 1, 9, 19..=19, true),
            ("each two seconds", 40, 50, 9, 50..=50, true),
            ("each 20 s", 66, 300, 9, 20..=35, false),
            ("each 2.5 s", 40, 62, 9, 4..=58, false),
            ("one in a minute", 40, 5_500, 9, 58..=58, false),
            ("a picture each 4 s", 4_000, 4, 9, 1..=1, false),
            ("a picture each 5 s, each a keyframe", 5_000, 1, 9, 1..=1, true),
            ("large pictures", 40, 5_500, 1 << 20, 7..=7, false),
            ("one that is larger than a part", 40, 5_500, 9 << 20, 1..=1, false),
        ] {
            let parts = parts(step_ms, gop, bytes);
            assert!(parts.iter().all(|p| want.contains(&p.0)), "{what}: {parts:?}");
            assert_eq!(parts.iter().all(|p| p.1), all_start, "{what}");
            // Each group of pictures that is longer than a part begins one.
            let groups = 60_000 / step_ms / gop - 1;
            assert!(gop * step_ms < 750 || parts.iter().filter(|p| p.1).count() as i64 >= groups, "{what}: {parts:?}");
        }
    }

    #[test]
    fn sound_goes_with_the_pictures_and_alone_takes_no_memory_without_end() {
        let mut cutter = Cutter::default();
        assert_eq!(cutter.place(&packet(Track::Audio, 0, true, 9), true), Place::Nowhere, "no picture yet");
        assert_eq!(cutter.place(&packet(Track::Video, 0, false, 9), true), Place::Nowhere, "nothing leads to it");
        assert_eq!(cutter.place(&packet(Track::Video, 20, true, 9), true), Place::Next);
        let kept = (0..10_000).filter(|n| cutter.place(&packet(Track::Audio, n * 20, true, 9), false) == Place::Open);
        assert_eq!(kept.count(), MAX_PACKETS - 1);
        assert_eq!(cutter.place(&packet(Track::Video, 200_000, false, 9), false), Place::Next);
    }

    #[test]
    fn pictures_that_travel_out_of_order_are_moved_back_as_one() {
        let mut cutter = Cutter::default();
        let at = |ms: i64, later: u64, keyframe| Packet {
            shown_later: Duration::from_millis(later),
            ..packet(Track::Video, ms, keyframe, 9)
        };
        let mut delays = Vec::new();
        for (packet, is_broken) in [
            (at(0, 80, true), true),
            (at(40, 160, false), false),
            (at(2_000, 120, true), false),
            (at(9_000, 0, true), true),
        ] {
            assert_ne!(cutter.place(&packet, is_broken), Place::Nowhere);
            delays.push(cutter.delay().as_millis());
        }
        assert_eq!(delays, [80, 80, 80, 0], "it stays the same until the stream breaks off");
    }

    #[test]
    fn other_parameter_sets_of_h265_begin_a_part_at_once() {
        let unit = |pps: u8| -> Bytes {
            [&[0, 0, 0, 1, 0x40, 1, 1, 0, 0, 0, 1, 0x42, 1, 1, 0, 0, 0, 1, 0x44, 1, pps, 0, 0, 0, 1, 0x26, 1, pps][..]]
                .concat()
                .into()
        };
        for (codec, want) in [(VideoCodec::H265, "NONON"), (VideoCodec::H264, "NOOOO")] {
            let mut cutter = Cutter::default();
            let mut got = String::new();
            for (n, pps) in [1, 1, 2, 2, 1].into_iter().enumerate() {
                let packet = Packet::new(Track::Video, unit(pps), MonoTime(n as i64 * 100_000), true);
                got.push(match cutter.place(&Packet { codec: Some(codec), ..packet }, n == 0) {
                    Place::Next => 'N',
                    Place::Open => 'O',
                    Place::Nowhere => '-',
                });
            }
            assert_eq!(got, want, "{codec:?}");
        }
    }

    proptest! {
        /// Whatever comes: no picture is lost once a keyframe came, a part is bounded, and begins with a picture.
        #[test]
        fn every_picture_has_its_part(script in proptest::collection::vec((0u8..8, 1i64..3_000, 0usize..3 << 20), 1..200)) {
            let mut cutter = Cutter::default();
            let (mut ms, mut bytes, mut has_begun) = (0, 0, false);
            for (kind, step, size) in script {
                ms += step;
                let (track, keyframe) = (if kind < 3 { Track::Audio } else { Track::Video }, kind != 4);
                if kind == 7 {
                    cutter.end();
                    has_begun = false;
                }
                let packet = packet(track, ms, keyframe, size);
                has_begun |= track == Track::Video && keyframe;
                let bytes_of_it = Cutter::size_bytes(&packet);
                match cutter.place(&packet, kind == 6) {
                    Place::Next => {
                        prop_assert_eq!(track, Track::Video);
                        bytes = bytes_of_it;
                    }
                    Place::Open => {
                        bytes += bytes_of_it;
                        prop_assert!(track == Track::Audio || bytes <= MAX_PART_BYTES);
                    }
                    Place::Nowhere => prop_assert!(!has_begun),
                }
            }
        }
    }
}
