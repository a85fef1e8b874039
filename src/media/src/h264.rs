//! What the box must know of an H.264 access unit (Annex B): whether decoding can start there, and whether it holds B-slices.
//! Only headers are looked at; nothing here trusts the data. (ITU-T H.264, 7.3.1, 7.3.3 and annex B.)

use perch_domain::h264::{self, IDR, PPS, SLICE, SPS, kind, nal_units};
use perch_domain::h265;
use perch_domain::media::{Packet, VideoCodec};

/// Widest and highest picture that is decoded.
const MAX_SIDE: i32 = 8192;
/// And the pixels of one: a decoder's memory grows with what the camera says of its pictures' size. Two lenses side by side at 4K
/// have as many.
const MAX_PIXELS: i32 = 4096 * 4096;
/// And the bytes of all that it keeps: 16 pictures of 4K.
const MAX_DECODER_BYTES: u64 = 256 << 20;

/// Whether pictures of this size are decoded.
pub fn may_be_decoded(width: i32, height: i32) -> bool {
    (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height) && width * height <= MAX_PIXELS
}

/// What an access unit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// Holds SPS, PPS and then an IDR slice.
    pub keyframe: bool,
    /// Holds a slice that needs a later picture.
    pub b_slice: bool,
}

/// Looks at `data` up to its first slice.
pub fn inspect(data: &[u8]) -> AccessUnit {
    let (mut sps, mut pps) = (false, false);
    for nal in nal_units(data) {
        match kind(nal) {
            SPS => sps = true,
            PPS => pps = true,
            IDR => return AccessUnit { keyframe: sps && pps, b_slice: false },
            SLICE => {
                let b_slice = h264::SliceHead::parse(nal).is_some_and(|head| head.kind == 1);
                return AccessUnit { keyframe: false, b_slice };
            }
            _ => {}
        }
    }
    AccessUnit::default()
}

/// How many pixels the pictures have that begin with `keyframe`; `None` where it does not say.
pub fn pixels(keyframe: &Packet) -> Option<u64> {
    let mut nals = nal_units(&keyframe.data);
    let (width, height) = match keyframe.codec? {
        VideoCodec::H264 => nals.find(|nal| kind(nal) == SPS).and_then(h264::Sps::parse).map(|s| (s.width, s.height)),
        VideoCodec::H265 => {
            nals.find(|nal| h265::kind(nal) == h265::SPS).and_then(h265::Sps::parse).map(|s| (s.width, s.height))
        }
        VideoCodec::Vp8 => None,
    }?;
    Some(u64::from(width) * u64::from(height))
}

/// What a decoder makes room for, as a sequence parameter set says it.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Before cropping: a picture of which little is shown takes as much as any.
    coded: (u32, u32),
    shown: (u16, u16),
    /// `chroma_format_idc`, and whether a sample has more than 8 bits.
    chroma: u8,
    is_deep: bool,
    references: u8,
}

impl Room {
    /// `None`: it is no sequence parameter set; in it, `None`: it cannot be read.
    fn of(codec: VideoCodec, nal: &[u8]) -> Option<Option<Self>> {
        match codec {
            VideoCodec::H264 if kind(nal) == SPS => Some(h264::Sps::parse(nal).map(|sps| {
                let (chroma, luma_bits, chroma_bits) = sps.high.unwrap_or((1, 8, 8));
                let (shown, is_deep) = ((sps.width, sps.height), luma_bits.max(chroma_bits) > 8);
                Self { coded: sps.coded, shown, chroma, is_deep, references: sps.references }
            })),
            VideoCodec::H265 if h265::kind(nal) == h265::SPS => Some(h265::Sps::parse(nal).map(|sps| {
                let (shown, is_deep) = ((sps.width, sps.height), sps.bit_depths.0.max(sps.bit_depths.1) > 8);
                Self { coded: sps.coded, shown, chroma: sps.chroma, is_deep, references: sps.references }
            })),
            VideoCodec::H264 | VideoCodec::H265 | VideoCodec::Vp8 => None,
        }
    }

    fn is_bounded(&self) -> bool {
        let (width, height) = self.coded;
        let side = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        // Samples of two pixels (H.264 table 6-1); what has no colour is given one.
        let samples = [3, 3, 4, 6].get(usize::from(self.chroma)).copied().unwrap_or(6);
        let bytes = u64::from(width) * u64::from(height) * samples / 2 * if self.is_deep { 2 } else { 1 };
        may_be_decoded(side(width), side(height)) && bytes * (u64::from(self.references) + 1) <= MAX_DECODER_BYTES
    }
}

/// Whether a decoder needs no more memory for `data` than a camera may take.
pub fn is_bounded(codec: VideoCodec, data: &[u8]) -> bool {
    nal_units(data).filter_map(|nal| Room::of(codec, nal)).all(|room| room.is_none_or(|room| room.is_bounded()))
}

/// Whether `units` say one thing of their pictures' size. A parser reads the last SPS and a decoder the one that the slice names:
/// with two that differ, a small one could stand before a huge picture.
pub fn has_one_size<'a>(codec: VideoCodec, units: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let size = |room: Option<Room>| room.map(|room| (room.coded, room.shown));
    let nals = units.into_iter().flat_map(nal_units);
    let mut sets = nals.filter_map(|nal| Some((size(Room::of(codec, nal)?), nal)));
    let Some(first) = sets.next() else { return true };
    // One that cannot be read says nothing that could be trusted, but for being the same.
    sets.all(|(size, nal)| nal == first.1 || (size.is_some() && size == first.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = &[0, 0, 0, 1, 0x67, 66, 0xc0, 31, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x65, 0x88, 0x80];

    #[test]
    fn a_keyframe_has_sps_pps_and_idr() {
        assert!(inspect(KEY).keyframe);
        assert!(!inspect(&KEY[14..]).keyframe, "an IDR alone cannot be decoded");
    }

    #[test]
    fn only_pictures_of_a_sane_size_are_decoded() {
        for (width, height) in [(640, 360), (4096, 4096), (5120, 1440), (7680, 2160)] {
            assert!(may_be_decoded(width, height) && may_be_decoded(height, width), "{width}x{height}");
        }
        for (width, height) in [(16384, 64), (8192, 8192), (4097, 4096), (0, 1), (i32::MAX, i32::MAX), (-1, -1)] {
            assert!(!may_be_decoded(width, height), "{width}x{height}");
        }
    }

    #[test]
    fn what_a_decoder_keeps_is_bounded_by_what_is_coded_not_by_what_is_shown() {
        let fits = |sps: &[u8]| is_bounded(VideoCodec::H264, &[&[0, 0, 1], sps].concat());
        // Of 16000x16000 pixels 640x352 are shown; of 640x368, 640x360; of 3840x2160, 3838x2158 with 16 references.
        let cropped = [0x67, 0x42, 0xc0, 0x3e, 0xd8, 0x44, 0, 0xfa, 0, 0x1f, 0x47, 0x80, 7, 0x80, 0x60, 1, 0xe9, 0x14];
        assert_eq!(
            h264::Sps::parse(&cropped).map(|sps| (sps.width, sps.height, sps.coded)),
            Some((640, 352, (16_000, 16_000)))
        );
        assert!(!fits(&cropped));
        assert!(fits(&[0x67, 0x42, 0xc0, 0x3e, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x50]));
        assert!(fits(&[0x67, 0x42, 0xc0, 0x3e, 0xd8, 0x44, 3, 0xc0, 4, 0x3f, 0xaa, 0x40]));
        // 16 pictures of 4096x4096 in 4:4:4 with 10 bits.
        let deep = [
            0x67, 0xf4, 0, 0x3e, 0x90, 0xd8, 0x98, 0x44, 1, 0, 0, 0x80, 0x6c, 4, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 12,
            0x83, 0xc2, 1, 8, 0x46,
        ];
        assert!(h264::Sps::parse(&deep).is_some_and(|sps| sps.references == 16) && !fits(&deep));
        assert!(!has_one_size(VideoCodec::H264, [&[KEY, &[0, 0, 1], &cropped].concat()[..]]));
    }

    #[test]
    fn two_sizes_in_one_unit_are_seen() {
        let one = |data: &[u8]| has_one_size(VideoCodec::H264, [data]);
        assert!(one(KEY) && one(&[KEY, KEY].concat()) && one(&KEY[14..]));
        assert!(!one(&[KEY, &[0, 0, 1, 0x67, 66, 0xc0, 40]].concat()));
        let two = [[0, 0, 1, 0x42, 1, 1], [0, 0, 1, 0x42, 1, 2]].concat();
        assert!(!has_one_size(VideoCodec::H265, [&two[..]]) && has_one_size(VideoCodec::H265, [KEY]));
    }

    #[test]
    fn b_slices_are_seen() {
        // first_mb 0 = `1`, then slice_type 1 = `010`, 6 = `00111`, 0 = `1`, then PPS 0 = `1`.
        assert!(inspect(&[0, 0, 1, 0x01, 0b1010_1000]).b_slice);
        assert!(inspect(&[0, 0, 1, 0x01, 0b1001_1110]).b_slice);
        assert!(!inspect(&[0, 0, 1, 0x41, 0b1110_0000]).b_slice);
    }

    #[test]
    fn junk_is_nothing_and_never_panics() {
        let mut seed = 1u32;
        for len in 0..200 {
            let junk: Vec<u8> = (0..len)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    // Many zeros and ones, so that start codes occur.
                    [0, 0, 0, 1, 1, 5, 7, (seed >> 8) as u8][(seed >> 24) as usize % 8]
                })
                .collect();
            let _ = inspect(&junk);
            assert!(nal_units(&junk).count() <= junk.len());
        }
        assert_eq!(inspect(&[]), AccessUnit::default());
    }
}
