//! How a camera wants its pictures turned before they are shown (display orientation: H.264 D.2.27, H.265 D.3.17), in quarter turns:
//! what files, browsers and WebRTC can say. An angle between is rounded.

use crate::bitstream::{Bits, DISPLAY_ORIENTATION, nal_units};
use crate::media::VideoCodec;
use crate::{h264, h265};
use serde::Serialize;

/// A quarter of a circle, as the message counts angles.
const QUARTER: u32 = 1 << 14;
/// Bytes of a message's unit that are looked at: other messages may stand before it.
const PEEK: usize = 1024;

/// How a picture is turned to be seen: mirrored first, then turned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Orientation {
    /// Whether left and right are exchanged.
    pub mirrored: bool,
    /// Quarter turns clockwise, 0 to 3.
    pub quarters: u8,
}

impl Orientation {
    /// As it is.
    pub const NONE: Self = Self { mirrored: false, quarters: 0 };

    /// All eight.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..8).map(Self::from_number)
    }

    /// As a number from 0 to 7; what is more is cut off.
    pub fn from_number(number: u8) -> Self {
        Self { mirrored: number & 4 != 0, quarters: number & 3 }
    }

    /// As a number from 0 to 7.
    pub fn number(self) -> u8 {
        self.quarters & 3 | u8::from(self.mirrored) << 2
    }

    /// Whether what is wide becomes high.
    pub fn is_on_its_side(self) -> bool {
        self.quarters % 2 == 1
    }

    /// Width and height of a picture, or of its pixels, once it is turned.
    pub fn of_sides<T>(self, (width, height): (T, T)) -> (T, T) {
        if self.is_on_its_side() { (height, width) } else { (width, height) }
    }

    /// Turned like this, and then once more.
    pub fn and_then(self, more: Self) -> Self {
        // What is mirrored after a turn is turned the other way round.
        let own = if more.mirrored { 4 - self.quarters % 4 } else { self.quarters };
        Self { mirrored: self.mirrored != more.mirrored, quarters: (own + more.quarters) % 4 }
    }

    /// What undoes it.
    pub fn undone(self) -> Self {
        // Who mirrors and turns, mirrored and turned the same once more, is back.
        if self.mirrored { self } else { Self { quarters: (4 - self.quarters % 4) % 4, ..self } }
    }

    /// Where a point goes, in parts of the picture before and after: 0 to 1, origin top left.
    pub fn of_point(self, (x, y): (f64, f64)) -> (f64, f64) {
        let x = if self.mirrored { 1.0 - x } else { x };
        match self.quarters % 4 {
            0 => (x, y),
            1 => (1.0 - y, x),
            2 => (1.0 - x, 1.0 - y),
            _ => (y, 1.0 - x),
        }
    }

    /// An access unit (Annex B) at which decoding starts that says of its pictures that they are turned like this once they are turned as it
    /// says itself.
    pub fn said_besides(self, codec: VideoCodec, annexb: &[u8]) -> Vec<u8> {
        let message = Self::of_unit(codec, annexb).and_then(self).message(codec);
        let slice = nal_units(annexb).find(|nal| is_slice(codec, nal));
        let at = slice.map_or(0, |slice| {
            let start = slice.as_ptr() as usize - annexb.as_ptr() as usize;
            annexb[..start]
                .iter()
                .rposition(|byte| *byte == 1)
                .map_or(start, |one| one - annexb[..one].iter().rev().take(3).take_while(|byte| **byte == 0).count())
        });
        [&annexb[..at], &[0, 0, 0, 1], &message, &annexb[at..]].concat()
    }

    /// What a SEI unit says of it; nothing where it does not speak of it. That it is cancelled is said as [`Orientation::NONE`].
    pub fn said_in(codec: VideoCodec, sei: &[u8]) -> Option<Self> {
        let head = if codec == VideoCodec::H265 { 2 } else { 1 };
        let mut r = Bits::new(sei.get(head..sei.len().min(PEEK))?);
        r.skip_to_message(DISPLAY_ORIENTATION)?;
        if r.bit()? {
            return Some(Self::NONE);
        }
        let (across, over, anticlockwise) = (r.bit()?, r.bit()?, r.u(16)?);
        let turned = (anticlockwise + QUARTER / 2) / QUARTER;
        // Over is across and half a turn. How long it holds stands behind; cameras say it with each start.
        let quarters = (8 - turned + if over { 2 } else { 0 }) % 4;
        Some(Self { mirrored: across != over, quarters: quarters as u8 })
    }

    /// What an access unit (Annex B) says of it before its first slice.
    pub fn of_unit(codec: VideoCodec, annexb: &[u8]) -> Self {
        let is_sei = |nal: &[u8]| match codec {
            VideoCodec::H265 => h265::kind(nal) == h265::PREFIX_SEI,
            VideoCodec::H264 | VideoCodec::Vp8 => h264::kind(nal) == h264::SEI,
        };
        let before = nal_units(annexb).take_while(|nal| !is_slice(codec, nal));
        before.filter(|nal| is_sei(nal)).filter_map(|nal| Self::said_in(codec, nal)).last().unwrap_or(Self::NONE)
    }

    /// A SEI unit that says it, to hold on until another is said.
    pub fn message(self, codec: VideoCodec) -> Vec<u8> {
        let anticlockwise = (4 - self.quarters % 4) % 4;
        let first = u8::from(self.mirrored) << 6 | anticlockwise << 3;
        // A repetition period of 1 (`010`), no extension; in H.265 one bit, persistence. Then the bit that fills a byte.
        let last = if codec == VideoCodec::H265 { 0b0001_1000 } else { 0b0000_1001 };
        let mut unit = if codec == VideoCodec::H265 { vec![h265::PREFIX_SEI << 1, 1] } else { vec![h264::SEI] };
        // An emulation prevention byte is never needed: the message's bytes differ from 0 but for the middle one.
        unit.extend([DISPLAY_ORIENTATION as u8, 3, first, 0, last, 0x80]);
        unit
    }

    /// Where points of the picture go, y downwards: `[[a, b], [c, d]]` of a file's matrix, `x' = a x + c y`, `y' = b x + d y` (ISO/IEC
    /// 14496-12 6.2.2), without the shift that brings the picture back to 0.
    pub fn matrix(self) -> [[i32; 2]; 2] {
        let [[a, b], down] = match self.quarters % 4 {
            0 => [[1, 0], [0, 1]],
            1 => [[0, 1], [-1, 0]],
            2 => [[-1, 0], [0, -1]],
            _ => [[0, -1], [1, 0]],
        };
        [if self.mirrored { [-a, -b] } else { [a, b] }, down]
    }

    /// What a file's matrix says, by the signs of its values; nothing where it is none of ours.
    pub fn of_matrix(matrix: [[i32; 2]; 2]) -> Option<Self> {
        let signs = matrix.map(|row| row.map(i32::signum));
        Self::all().find(|orientation| orientation.matrix() == signs)
    }

    /// A grey picture of `width` columns, turned.
    pub fn of_plane(self, plane: Vec<u8>, width: usize) -> Vec<u8> {
        if self == Self::NONE || width == 0 {
            return plane;
        }
        let height = plane.len() / width;
        let (columns, rows) = self.of_sides((width, height));
        let from = |x: usize, y: usize| {
            let (x, y) = match self.quarters % 4 {
                0 => (x, y),
                1 => (y, height - 1 - x),
                2 => (width - 1 - x, height - 1 - y),
                _ => (width - 1 - y, x),
            };
            plane[y * width + if self.mirrored { width - 1 - x } else { x }]
        };
        (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))).map(|(x, y)| from(x, y)).collect()
    }
}

fn is_slice(codec: VideoCodec, nal: &[u8]) -> bool {
    match codec {
        VideoCodec::H264 => (h264::SLICE..=h264::IDR).contains(&h264::kind(nal)),
        VideoCodec::H265 => h265::is_slice(h265::kind(nal)),
        VideoCodec::Vp8 => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orientation(mirrored: bool, quarters: u8) -> Orientation {
        Orientation { mirrored, quarters }
    }

    #[test]
    fn messages_are_read() {
        // ffmpeg's `h264_metadata=display_orientation=insert:rotate=90`, which counts anticlockwise, behind another message.
        let h264 = |bytes: &[u8]| Orientation::said_in(VideoCodec::H264, bytes);
        assert_eq!(h264(&[6, 47, 3, 0b0000_1000, 0, 0b0000_1001, 0x80]), Some(orientation(false, 3)));
        assert_eq!(h264(&[6, 5, 2, 1, 2, 47, 3, 0b0100_0000, 0, 9, 0x80]), Some(orientation(true, 0)), "mirrored");
        assert_eq!(h264(&[6, 47, 3, 0b0010_0000, 0, 9, 0x80]), Some(orientation(true, 2)), "upside down, as in water");
        assert_eq!(h264(&[6, 47, 3, 0b0110_0000, 0, 9, 0x80]), Some(orientation(false, 2)), "both: half a turn");
        assert_eq!(h264(&[6, 47, 3, 0b0001_0000, 0, 9, 0x80]), Some(orientation(false, 2)));
        assert_eq!(h264(&[6, 47, 3, 0b0000_0111, 0xff, 0xe9, 0x80]), Some(orientation(false, 3)), "89.9 degrees");
        assert_eq!(h264(&[6, 47, 3, 0b0001_1111, 0xff, 0xe9, 0x80]), Some(Orientation::NONE), "359.9 degrees");
        assert_eq!(h264(&[6, 47, 1, 0b1100_0000, 0x80]), Some(Orientation::NONE), "cancelled");
        assert_eq!(
            (h264(&[6, 6, 1, 0xc4, 0x80]), h264(&[6, 47, 3, 8]), h264(&[6]), h264(&[])),
            (None, None, None, None)
        );
        let h265 = Orientation::said_in(VideoCodec::H265, &[0x4e, 1, 47, 3, 0b0001_1000, 0, 0b0001_1000, 0x80]);
        assert_eq!(h265, Some(orientation(false, 1)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for turned in Orientation::all() {
            for (codec, slice) in [(VideoCodec::H264, [0, 0, 1, 0x65, 0x88]), (VideoCodec::H265, [0, 0, 1, 0x26, 1])] {
                let message = turned.message(codec);
                assert_eq!(Orientation::said_in(codec, &message), Some(turned));
                let unit = [&[0, 0, 0, 1][..], &message, &slice].concat();
                assert_eq!(Orientation::of_unit(codec, &unit), turned);
                let behind = [&slice[..], &[0, 0, 0, 1], &message].concat();
                assert_eq!(Orientation::of_unit(codec, &behind), Orientation::NONE, "it speaks of the next picture");
            }
            assert_eq!(Orientation::from_number(turned.number()), turned);
            assert_eq!(Orientation::of_matrix(turned.matrix().map(|row| row.map(|n| n << 16))), Some(turned));
        }
        assert_eq!(Orientation::of_matrix([[1, 1], [0, 1]]), None);
    }

    #[test]
    fn what_is_turned_twice_is_turned_as_if_at_once() {
        for (first, more) in Orientation::all().flat_map(|first| Orientation::all().map(move |more| (first, more))) {
            let (plane, width) = (b"abcdef".to_vec(), 3);
            let once = first.of_plane(plane.clone(), width);
            let twice = more.of_plane(once, first.of_sides((3, 2)).0);
            assert_eq!(first.and_then(more).of_plane(plane, width), twice, "{first:?} {more:?}");
        }
    }

    #[test]
    fn points_go_where_the_pixels_go_and_come_back() {
        for turned in Orientation::all() {
            let mut plane = vec![0; 6];
            plane[4] = 1; // The pixel at 1, 1 of 3 by 2.
            let columns = turned.of_sides((3, 2)).0;
            let at = turned.of_plane(plane, 3).iter().position(|pixel| *pixel == 1).expect("it is somewhere");
            let rows = 6 / columns;
            let (x, y) = turned.of_point((1.5 / 3.0, 1.5 / 2.0));
            assert_eq!(
                ((x * columns as f64) as usize, (y * rows as f64) as usize),
                (at % columns, at / columns),
                "{turned:?}"
            );
            assert_eq!(turned.and_then(turned.undone()), Orientation::NONE, "{turned:?}");
            assert_eq!(turned.undone().and_then(turned), Orientation::NONE, "{turned:?}");
        }
    }

    #[test]
    fn a_unit_says_how_its_pictures_are_turned_besides() {
        for (codec, slice) in [(VideoCodec::H264, &[0x65, 0x88][..]), (VideoCodec::H265, &[0x26, 1][..])] {
            for (own, more) in Orientation::all().flat_map(|own| Orientation::all().map(move |more| (own, more))) {
                for start in [&[0, 0, 1][..], &[0, 0, 0, 1]] {
                    let unit = [&[0, 0, 0, 1][..], &own.message(codec), start, slice, start, slice].concat();
                    let said = more.said_besides(codec, &unit);
                    assert_eq!(Orientation::of_unit(codec, &said), own.and_then(more), "{own:?} {more:?}");
                    let units: Vec<_> = nal_units(&said).collect();
                    assert_eq!(units.len(), 4, "{said:?}");
                    assert_eq!((units[2], units[3]), (slice, slice));
                }
            }
        }
        let none =
            Orientation::of_unit(VideoCodec::H264, &orientation(false, 1).said_besides(VideoCodec::H264, &[1, 2]));
        assert_eq!(none, orientation(false, 1), "where there is no picture, nothing breaks");
    }

    #[test]
    fn planes_are_turned_as_matrices_say() {
        // a b c
        // d e f
        let plane = || b"abcdef".to_vec();
        for (turned, want) in [
            (Orientation::NONE, "abcdef"),
            (orientation(false, 1), "daebfc"),
            (orientation(false, 2), "fedcba"),
            (orientation(false, 3), "cfbead"),
            (orientation(true, 0), "cbafed"),
            (orientation(true, 1), "fcebda"),
            (orientation(true, 2), "defabc"),
            (orientation(true, 3), "adbecf"),
        ] {
            assert_eq!(turned.of_plane(plane(), 3), want.as_bytes(), "{turned:?}");
            // Where the matrix brings the first pixel.
            let [[a, b], [c, d]] = turned.matrix();
            let (columns, rows) = turned.of_sides((3, 2));
            let (x, y) = ((-(a * 2).min(0) - c.min(0)), (-(b * 2).min(0) - d.min(0)));
            assert!(x < columns && y < rows);
            assert_eq!(want.as_bytes()[(y * columns + x) as usize], b'a', "{turned:?}");
        }
    }
}
