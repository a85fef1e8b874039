//! What an encoded picture is to those after it, by its headers: which a decoder may leave out where nobody looks at them.

use super::PictureRole;
use crate::bitstream::nal_units;
use crate::media::VideoCodec;
use crate::{h264, h265};

/// Tells what the pictures of one stream are to each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roles {
    /// Of H.264, whether no picture is a field: of two that make one picture, none may be left out alone.
    frames_only: bool,
    /// Of H.265, the highest temporal layer; `None` where it is not known, or pictures are fields.
    highest_layer: Option<u8>,
}

impl Roles {
    /// What the next one (Annex B) is to those after it: in its first slice, for all slices of a picture say the same (H.264 7.4.1, H.265
    /// 7.4.2.2).
    pub fn next(&mut self, codec: VideoCodec, unit: &[u8]) -> PictureRole {
        let role = nal_units(unit).find_map(|nal| match codec {
            VideoCodec::H264 => self.h264(nal),
            VideoCodec::H265 => self.h265(nal),
            VideoCodec::Vp8 => None,
        });
        role.unwrap_or(PictureRole::Reference)
    }

    fn h264(&mut self, nal: &[u8]) -> Option<PictureRole> {
        let is_reference = nal.first().is_some_and(|head| head & 0x60 != 0);
        match h264::kind(nal) {
            h264::SPS => self.frames_only = h264::Sps::parse(nal).is_some_and(|sps| sps.frames_only),
            h264::IDR => return Some(PictureRole::Start),
            h264::SLICE | h264::PARTITION_A if !is_reference && self.frames_only => {
                return Some(PictureRole::Disposable);
            }
            h264::SLICE | h264::PARTITION_A => return Some(PictureRole::Reference),
            _ => {}
        }
        None
    }

    fn h265(&mut self, nal: &[u8]) -> Option<PictureRole> {
        match h265::kind(nal) {
            h265::SPS => {
                let sps = h265::Sps::parse(nal).filter(|sps| !sps.fields);
                self.highest_layer = sps.and_then(|sps| sps.temporal_layers.checked_sub(1));
            }
            h265::IDR_W_RADL | h265::IDR_N_LP => return Some(PictureRole::Start),
            // Pictures of its own layer do not refer to it, and there is none above (3.160).
            kind if h265::is_sub_layer_non_reference(kind) && h265::temporal_layer(nal) == self.highest_layer => {
                return Some(PictureRole::Disposable);
            }
            kind if h265::is_slice(kind) => return Some(PictureRole::Reference),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PictureRole::{Disposable, Reference, Start};

    #[test]
    fn what_a_picture_is_to_others_stands_in_its_slices() {
        let progressive: &[u8] = &[0, 0, 1, 0x67, 66, 0xc0, 30, 0xda, 0x05, 0x07, 0xc4];
        let slice = |head: u8| [0, 0, 1, head, 0x9a, 0x00];
        let mut roles = Roles::default();
        let mut next = |unit: &[u8]| roles.next(VideoCodec::H264, unit);
        assert_eq!(next(&slice(0x01)), Reference, "fields, for all that is known");
        assert_eq!(next(&[progressive, &slice(0x65)].concat()), Start);
        assert_eq!((next(&slice(0x41)), next(&slice(0x01))), (Reference, Disposable));
        assert_eq!((next(&[]), Roles::default().next(VideoCodec::Vp8, &[0; 9])), (Reference, Reference));
    }

    #[test]
    fn of_h265_only_the_highest_layer_is_left_out() {
        let slice = |kind: u8, layer: u8| [0, 0, 1, kind << 1, layer + 1, 0x80];
        let mut unknown = Roles::default();
        assert_eq!(
            [19, 20, 21, 1, 0].map(|kind| unknown.next(VideoCodec::H265, &slice(kind, 0))),
            [Start, Start, Reference, Reference, Reference]
        );
        // x265, one layer.
        let set: &[u8] = b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x08\x0c\x16\x59\x59\xa4\x93\
            \x95\xe0\x2d\x01\x00\x00\x03\x00\x01\x00\x00\x03\x00\x19\x08";
        assert_eq!(unknown.next(VideoCodec::H265, &[&[0, 0, 1], set, &slice(19, 0)].concat()), Start);
        assert_eq!((unknown.next(VideoCodec::H265, &slice(0, 0)), unknown.highest_layer), (Disposable, Some(0)));
        for (layers, kind, layer, want) in [
            (1, 0, 0, Disposable),
            (1, 1, 0, Reference),
            (1, 6, 0, Disposable),
            (1, 8, 0, Disposable),
            (1, 9, 0, Reference),
            (1, 14, 0, Reference),
            (1, 16, 0, Reference),
            (2, 0, 0, Reference),
            (2, 0, 1, Disposable),
            (2, 2, 1, Disposable),
            (2, 3, 1, Reference),
        ] {
            let mut roles = Roles { highest_layer: Some(layers - 1), ..Roles::default() };
            assert_eq!(roles.next(VideoCodec::H265, &slice(kind, layer)), want, "{kind} of layer {layer} in {layers}");
        }
    }
}
