//! From which picture on a stream shows whole pictures where it begins with an intra refresh: until that is through, decoders guess what was
//! not refreshed yet, mostly as grey.

use crate::bitstream::nal_units;
use crate::h264;
use crate::h265;
use crate::media::{Packet, SharedPacket, VideoCodec};

/// After so many pictures a refresh is through at the latest: a camera may name any number.
const LONGEST: u32 = 600;

/// After how many more pictures one (Annex B) is whole at which decoding starts, by its recovery point (H.264 D.2.8, H.265 D.3.8): zero but
/// for an intra refresh.
pub fn whole_after(codec: VideoCodec, unit: &[u8]) -> u32 {
    let nals = nal_units(unit);
    match codec {
        VideoCodec::H264 => nals
            .take_while(|nal| !(h264::SLICE..=h264::IDR).contains(&h264::kind(nal)))
            .filter(|nal| h264::kind(nal) == h264::SEI)
            .find_map(h264::recovery_point)
            .unwrap_or(0),
        VideoCodec::H265 => nals
            .take_while(|nal| !h265::is_slice(h265::kind(nal)))
            .filter(|nal| h265::kind(nal) == h265::PREFIX_SEI)
            .find_map(h265::recovery_point)
            .map_or(0, |pictures| pictures.clamp(0, LONGEST.into()) as u32),
        VideoCodec::Vp8 => 0,
    }
}

/// Watches whether the pictures of one stream are whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefreshWatch {
    /// So many pictures are missing; `None` before the first start.
    missing: Option<u32>,
}

impl RefreshWatch {
    /// Takes the next picture in the order of decoding; `breaks_off` where what was decoded so far does not lead to it. Whether it is whole.
    pub fn next(&mut self, picture: &Packet, breaks_off: bool) -> bool {
        if breaks_off {
            self.missing = None;
        }
        self.missing = match self.missing {
            Some(0) => Some(0),
            // With the second start the first one's refresh is through, whatever it named.
            Some(_) if picture.keyframe => Some(0),
            Some(missing) => Some(missing - 1),
            None if picture.keyframe => {
                Some(picture.codec.map_or(0, |codec| whole_after(codec, &picture.data)).min(LONGEST))
            }
            None => None,
        };
        self.missing == Some(0)
    }
}

/// Whether the last of these pictures is whole that follow each other, where nothing before them was decoded.
pub fn ends_whole(pictures: &[SharedPacket]) -> bool {
    let mut watch = RefreshWatch::default();
    pictures.iter().map(|picture| watch.next(picture, false)).last() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Track;
    use perch_base::time::MonoTime;

    /// `I` all at once, `g` the start of a refresh of four pictures, `G` of one that names 65,534, `p` any other.
    fn packet(kind: char) -> SharedPacket {
        let data: &'static [u8] = match kind {
            'I' => &[0, 0, 0, 1, 0x65, 0x88],
            'g' => &[0, 0, 0, 1, 6, 6, 1, 0b0010_1100, 0x80, 0, 0, 0, 1, 0x41, 0x9a],
            'G' => &[0, 0, 0, 1, 6, 6, 4, 0, 1, 0xff, 0xff, 0x80, 0, 0, 0, 1, 0x41, 0x9a],
            _ => &[0, 0, 0, 1, 0x41, 0x9a],
        };
        Packet::new(Track::Video, bytes::Bytes::from_static(data), MonoTime(0), kind != 'p').into()
    }

    #[test]
    fn pictures_are_whole_once_a_refresh_is_through() {
        for (what, pictures, want) in [
            ("all at once", "ppIpp", "--www"),
            ("after as many as it names", "gpppppgp", "----wwww"),
            ("at the next start", "gppgpp", "---www"),
            ("led to by what is whole", "Ippgpp", "wwwwww"),
            ("a refresh ends it", "gpIpp", "--www"),
            ("one that names too many", "Gppppppgp", "-------ww"),
            ("a break, with `!` before the picture", "Ipp!gpppppp", "www----www"),
            ("a break where nothing starts", "Ip!ppIp", "ww--ww"),
        ] {
            let (mut watch, mut breaks_off, mut seen) = (RefreshWatch::default(), false, String::new());
            for kind in pictures.chars() {
                if kind == '!' {
                    breaks_off = true;
                    continue;
                }
                let is_whole = watch.next(&packet(kind), std::mem::take(&mut breaks_off));
                seen.push(if is_whole { 'w' } else { '-' });
            }
            assert_eq!(seen, want, "{what}");
        }
        let endless: Vec<_> = format!("G{}", "p".repeat(LONGEST as usize)).chars().map(packet).collect();
        assert!(ends_whole(&endless) && !ends_whole(&endless[1..]) && !ends_whole(&endless[..600]) && !ends_whole(&[]));
    }

    #[test]
    fn how_long_a_refresh_takes_stands_before_its_first_slice() {
        assert_eq!(whole_after(VideoCodec::H264, &packet('g').data), 4);
        assert_eq!(whole_after(VideoCodec::H264, &packet('I').data), 0);
        let behind = [&packet('I').data[..], &packet('g').data].concat();
        assert_eq!(whole_after(VideoCodec::H264, &behind), 0);
        // recovery_poc_cnt 2, and -2.
        for (code, want) in [(0b0010_0110, 2), (0b0010_1110, 0)] {
            let unit = [0, 0, 1, 39 << 1, 1, 6, 1, code, 0x80, 0, 0, 1, 2, 1, 0x80];
            assert_eq!(whole_after(VideoCodec::H265, &unit), want);
        }
        assert_eq!(whole_after(VideoCodec::Vp8, &packet('g').data), 0);
    }
}
