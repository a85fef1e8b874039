//! What a recording's tracks are: how the video is encoded, with its parameter sets, and whether there is sound; and which NAL units belong
//! into samples.

use bytes::Bytes;
use perch_base::{Error, Result};
use perch_domain::bitstream::{MAX_SETS, MAX_SETS_BYTES, nal_units, start_code};
use perch_domain::media::VideoCodec;
use perch_domain::orientation::Orientation;
use perch_domain::{h264, h265};

/// Begins what a row holds in place of an SPS where that is not all. No NAL unit begins with it: its first bit is 0.
const PACKED: u8 = 0xff;
/// Begins what among those sets says how pictures are turned. No set of either codec begins with it, so programs from before pass over it.
const TURNED: u8 = 0;

/// Most sequence parameter sets that `avcC` counts (ISO/IEC 14496-15 5.3.3.1.2); more stand in the samples.
const MOST_SPS: usize = 31;

/// The kinds of parameter sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum SetKind {
    /// Video parameter set, of H.265.
    Vps,
    /// Sequence parameter set.
    Sps,
    /// Picture parameter set.
    Pps,
}

/// The kind of a NAL unit that is a parameter set.
pub(crate) fn set_kind(codec: VideoCodec, nal: &[u8]) -> Option<SetKind> {
    match codec {
        VideoCodec::H264 => match h264::kind(nal) {
            h264::SPS => Some(SetKind::Sps),
            h264::PPS => Some(SetKind::Pps),
            _ => None,
        },
        VideoCodec::H265 => match h265::kind(nal) {
            h265::VPS => Some(SetKind::Vps),
            h265::SPS => Some(SetKind::Sps),
            h265::PPS => Some(SetKind::Pps),
            _ => None,
        },
        VideoCodec::Vp8 => None,
    }
}

/// Whether a file needs this unit in its samples, parameter sets aside: delimiters and filler say nothing.
pub(crate) fn belongs_in_sample(codec: VideoCodec, nal: &[u8]) -> bool {
    match codec {
        VideoCodec::H265 => {
            nal.len() > 2 && h265::layer(nal) == 0 && !matches!(h265::kind(nal), h265::AUD | h265::FILLER)
        }
        VideoCodec::H264 | VideoCodec::Vp8 => !matches!(h264::kind(nal), 0 | h264::AUD | h264::FILLER),
    }
}

/// Whether an access unit (Annex B) holds a picture at all.
pub(crate) fn has_picture(codec: VideoCodec, annexb: &[u8]) -> bool {
    // A unit's end is not looked for: a slice is most of it.
    let units = std::iter::successors(start_code(annexb, 0), |at| start_code(annexb, at + 3));
    units.filter_map(|at| annexb.get(at + 3..)).any(|nal| match codec {
        // Two zeros are no header: an empty unit.
        VideoCodec::H265 => !nal.starts_with(&[0, 0]) && h265::layer(nal) == 0 && h265::is_slice(h265::kind(nal)),
        VideoCodec::H264 | VideoCodec::Vp8 => (h264::SLICE..=h264::IDR).contains(&h264::kind(nal)),
    })
}

/// What a recording's tracks are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFormat {
    /// How its video is encoded: H.264 or H.265.
    pub codec: VideoCodec,
    /// The parameter sets of the video, without start codes; of each kind and number one.
    pub sets: Vec<Bytes>,
    /// How its pictures are turned to be seen.
    pub orientation: Orientation,
    /// Whether a sound track is written.
    pub has_audio: bool,
}

/// What of an SPS a file's header says, or needs a file of its own when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Width and height after cropping, pixels.
    pub(crate) size: (u16, u16),
    /// Width and height of a pixel.
    pub(crate) pixel: (u16, u16),
    /// `chroma_format_idc` and the bit depths of luma and chroma, for profiles whose header carries them.
    pub(crate) depth: Option<(u8, u8, u8)>,
    /// `profile_idc`.
    profile: u8,
}

impl TrackFormat {
    /// Reads the parameter sets from a keyframe (Annex B). Errors with `Invalid` when one is missing, when they are too many, or the SPS makes
    /// no sense, and with `Unsupported` for a codec that is not recorded.
    pub fn from_keyframe(codec: VideoCodec, annexb: &[u8], has_audio: bool) -> Result<Self> {
        if !codec.is_recorded() {
            return Err(Error::new(perch_base::ErrorKind::Unsupported, "only H.264 and H.265 are recorded"));
        }
        let mut sets: Vec<(SetKind, u32, &[u8])> = Vec::new();
        for nal in nal_units(annexb) {
            let Some(kind) = set_kind(codec, nal) else { continue };
            let number = number(codec, kind, nal);
            match sets.iter_mut().find(|(k, n, _)| (*k, *n) == (kind, number)) {
                // The last one is in force.
                Some(same) => same.2 = nal,
                None => sets.push((kind, number, nal)),
            }
            if sets.len() > MAX_SETS {
                break;
            }
        }
        let mut of_sequences = 0;
        sets.retain(|(kind, ..)| {
            of_sequences += usize::from(*kind == SetKind::Sps);
            *kind != SetKind::Sps || of_sequences <= MOST_SPS
        });
        let sets = sets.into_iter().map(|(_, _, nal)| Bytes::copy_from_slice(nal)).collect();
        let format = Self { codec, sets, orientation: Orientation::of_unit(codec, annexb), has_audio };
        format.validate().map_err(|what| Error::invalid(format!("{what}: it cannot be recorded")))?;
        Ok(format)
    }

    /// Errors in words.
    fn validate(&self) -> Result<(), &'static str> {
        let bytes = self.sets.iter().map(|set| set.len()).sum::<usize>();
        if self.sets.len() > MAX_SETS || bytes > MAX_SETS_BYTES {
            return Err("the keyframe has too many parameter sets");
        }
        let lacks = |kind| self.sets_of(kind).next().is_none();
        if self.codec == VideoCodec::H265 && lacks(SetKind::Vps) {
            return Err("the keyframe has no VPS");
        }
        if lacks(SetKind::Sps) {
            return Err("the keyframe has no SPS");
        }
        if lacks(SetKind::Pps) {
            return Err("the keyframe has no PPS");
        }
        if self.parse().is_none() {
            return Err("the SPS makes no sense");
        }
        Ok(())
    }

    /// Its sets of a kind.
    pub(crate) fn sets_of(&self, kind: SetKind) -> impl Iterator<Item = &Bytes> {
        self.sets.iter().filter(move |set| set_kind(self.codec, set) == Some(kind))
    }

    /// What its first SPS says. Errors with `Invalid`.
    pub(crate) fn picture(&self) -> Result<Picture> {
        self.parse().ok_or_else(|| Error::invalid("the SPS makes no sense: the video cannot be recorded"))
    }

    fn parse(&self) -> Option<Picture> {
        let sps = self.sets_of(SetKind::Sps).next()?;
        if self.codec == VideoCodec::H265 {
            let h265::Sps { width, height, pixel, chroma, bit_depths: (luma, colour), profile_tier_level, .. } =
                h265::Sps::parse(sps)?;
            let [profile, ..] = profile_tier_level;
            return Some(Picture { size: (width, height), pixel, depth: Some((chroma, luma, colour)), profile });
        }
        let h264::Sps { width, height, pixel, high, profile, .. } = h264::Sps::parse(sps)?;
        Some(Picture { size: (width, height), pixel, depth: high, profile })
    }

    /// Width and height in pixels, as the SPS says. Errors with `Invalid`.
    pub fn size(&self) -> Result<(u16, u16)> {
        self.picture().map(|p| p.size)
    }

    /// Whether pictures of this format go on in a file that began with `other`. What else differs in the parameter sets of H.264 stands in
    /// the samples; `hvc1` wants all of H.265 in the header, and players look for them nowhere else.
    pub fn goes_on_from(&self, other: &Self) -> bool {
        let has_its_sets = || {
            self.codec != VideoCodec::H265
                || (self.sets.len() == other.sets.len() && self.sets.iter().all(|set| other.sets.contains(set)))
        };
        let is_alike = self.codec == other.codec && self.orientation == other.orientation;
        is_alike && self.parse() == other.parse() && has_its_sets()
    }

    /// What the two columns of its row hold: an SPS and a PPS of H.264, or, where that is not all, all its sets and nothing.
    pub(crate) fn to_row(&self) -> (Vec<u8>, Vec<u8>) {
        if let (VideoCodec::H264, [sps, pps], Orientation::NONE) = (self.codec, &self.sets[..], self.orientation)
            && set_kind(self.codec, sps) == Some(SetKind::Sps)
            && set_kind(self.codec, pps) == Some(SetKind::Pps)
        {
            return (sps.to_vec(), pps.to_vec());
        }
        let codec = if self.codec == VideoCodec::H265 { 5 } else { 4 };
        let mut packed = vec![PACKED, codec];
        for set in &self.sets {
            // Fits: see `validate`.
            packed.extend_from_slice(&(set.len() as u16).to_be_bytes());
            packed.extend_from_slice(set);
        }
        if self.orientation != Orientation::NONE {
            packed.extend([0, 2, TURNED, self.orientation.number()]);
        }
        (packed, Vec::new())
    }

    /// The format of a row; one that is damaged has what can be read of it.
    pub(crate) fn from_row(sps: Vec<u8>, pps: Vec<u8>, has_audio: bool) -> Self {
        let packed = Bytes::from(sps);
        let codec = match packed.get(..2) {
            Some([PACKED, 5]) => VideoCodec::H265,
            Some([PACKED, _]) => VideoCodec::H264,
            _ => {
                let sets = vec![packed, pps.into()];
                return Self { codec: VideoCodec::H264, sets, orientation: Orientation::NONE, has_audio };
            }
        };
        let (mut sets, mut orientation, mut at) = (Vec::new(), Orientation::NONE, 2);
        while let Some(&[high, low]) = packed.get(at..at + 2)
            && let end = at + 2 + usize::from(u16::from_be_bytes([high, low]))
            && end <= packed.len()
        {
            match packed.get(at + 2..end) {
                Some([TURNED, number]) => orientation = Orientation::from_number(*number),
                _ => sets.push(packed.slice(at + 2..end)),
            }
            at = end;
        }
        Self { codec, sets, orientation, has_audio }
    }

    /// A format with these sets, as a file's header gives them; `None` when it describes no video.
    pub(crate) fn from_header(codec: VideoCodec, sets: Vec<Bytes>, orientation: Orientation) -> Option<Self> {
        let format = Self { codec, sets, orientation, has_audio: false };
        format.validate().is_ok().then_some(format)
    }
}

/// The number of a parameter set among those of its kind; of one that makes no sense one that is no other's.
fn number(codec: VideoCodec, kind: SetKind, set: &[u8]) -> u32 {
    let number = match (codec, kind) {
        (VideoCodec::H265, SetKind::Vps) => h265::vps_id(set),
        (VideoCodec::H265, SetKind::Sps) => h265::Sps::parse(set).map(|sps| sps.id),
        (VideoCodec::H265, SetKind::Pps) => h265::pps_ids(set).map(|(id, _)| id),
        (_, SetKind::Vps) => None,
        (_, SetKind::Sps) => h264::Sps::parse(set).map(|sps| sps.id),
        (_, SetKind::Pps) => h264::pps_ids(set).map(|(id, _)| id),
    };
    number.map_or(u32::MAX, u32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x264, baseline, 320x240.
    const SPS: [u8; 21] =
        [0x67, 0x42, 0xc0, 0x0d, 0xda, 0x05, 0x07, 0xe8, 0x40, 0, 0, 3, 0, 0x40, 0, 0, 0x0c, 0x83, 0xc5, 0x0a, 0xa8];
    const PPS: [u8; 4] = [0x68, 0xce, 0x3c, 0x80];
    const OTHER_PPS: [u8; 3] = [0x68, 0b0101_0000, 0x80];

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
    }

    fn read(nals: &[&[u8]]) -> Result<TrackFormat> {
        TrackFormat::from_keyframe(VideoCodec::H264, &unit(nals), false)
    }

    #[test]
    fn all_sets_of_a_keyframe_are_kept_once() {
        let idr: &[u8] = &[0x65, 0x88, 0x84];
        let plain = read(&[&[9, 0xf0], &SPS, &PPS, idr]).expect("whole");
        assert_eq!((plain.size().expect("parsed"), plain.sets.len()), ((320, 240), 2));
        assert_eq!(read(&[&SPS, &PPS, &SPS, &PPS, idr]).expect("whole"), plain, "sent twice");
        let two = read(&[&SPS, &PPS, &OTHER_PPS, idr]).expect("whole");
        assert_eq!(two.sets, [&SPS[..], &PPS, &OTHER_PPS]);
        assert!(two.goes_on_from(&plain), "the picture is the same");
        let mut newer = SPS;
        newer[20] = 0xac;
        assert_eq!(read(&[&SPS, &newer, &PPS, idr]).expect("whole").sets[0], newer[..], "the last one is in force");
        for (nals, what) in [
            (&[&PPS[..], idr][..], "no SPS"),
            (&[&SPS[..], idr], "no PPS"),
            (&[&SPS[..6], &PPS, idr], "the SPS makes no sense"),
        ] {
            assert!(read(nals).expect_err("not whole").to_string().contains(what), "{what}");
        }
        // Numbers of 15 and of 13 bits, then that of the SPS.
        let long = (0..128u8).map(|n| vec![0x68, 1, n << 1 | 1, 0x80]);
        let short = (0..64u8).map(|n| vec![0x68, 2 | n >> 5, n << 3 | 4, 0x80]);
        let many: Vec<Vec<u8>> = long.chain(short).collect();
        let mut nals: Vec<&[u8]> = vec![&SPS];
        nals.extend(many.iter().map(|pps| &pps[..]));
        assert_eq!(read(&nals).expect("as many as are kept live").sets.len(), 193);
        let large = [&OTHER_PPS[..], &[1; MAX_SETS_BYTES]].concat();
        nals.push(&large);
        assert!(read(&nals).expect_err("too many").to_string().contains("too many"));
        let vp8 = TrackFormat::from_keyframe(VideoCodec::Vp8, &[1, 2, 3], false).expect_err("not recorded");
        assert_eq!(vp8.kind(), perch_base::ErrorKind::Unsupported);
    }

    #[test]
    fn a_row_holds_a_format() {
        let set = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let format = |codec, sets, has_audio| TrackFormat { codec, sets, orientation: Orientation::NONE, has_audio };
        let simple = format(VideoCodec::H264, vec![set(&SPS), set(&PPS)], true);
        let orientation = Orientation { mirrored: true, quarters: 3 };
        assert_eq!(simple.to_row(), (SPS.to_vec(), PPS.to_vec()), "as an older program wrote it");
        let sets = vec![set(&SPS), set(&PPS), set(&OTHER_PPS)];
        for format in [
            TrackFormat { orientation, ..simple.clone() },
            simple,
            format(VideoCodec::H264, sets.clone(), false),
            TrackFormat { orientation, ..format(VideoCodec::H265, sets.clone(), true) },
            format(VideoCodec::H265, sets, true),
            format(VideoCodec::H265, Vec::new(), true),
        ] {
            let (sps, pps) = format.to_row();
            assert_eq!(TrackFormat::from_row(sps, pps, format.has_audio), format);
        }
        for damaged in [&[PACKED][..], &[PACKED, 5, 0], &[PACKED, 5, 0, 9, 1], &[]] {
            assert!(TrackFormat::from_row(damaged.to_vec(), Vec::new(), false).picture().is_err());
        }
    }

    #[test]
    fn units_without_a_picture_are_told() {
        let h265 =
            |nal: [u8; 3]| (belongs_in_sample(VideoCodec::H265, &nal), has_picture(VideoCodec::H265, &unit(&[&nal])));
        assert_eq!(h265([0x26, 1, 0xaf]), (true, true), "an IDR slice");
        assert_eq!(h265([0x02, 1, 0xd0]), (true, true), "a trailing picture");
        assert_eq!(h265([0x46, 1, 0x50]), (false, false), "a delimiter");
        assert_eq!(h265([0x4e, 1, 5]), (true, false), "a message");
        assert_eq!(h265([0x03, 1, 0xd0]), (false, false), "another layer");
        assert!(!has_picture(VideoCodec::H265, &[0, 0, 1, 0, 0, 1, 0x46, 1, 0x50]), "an empty unit");
        for (nal, want) in [([0x65u8, 1], (true, true)), ([9, 0xf0], (false, false)), ([6, 5], (true, false))] {
            let is = (belongs_in_sample(VideoCodec::H264, &nal), has_picture(VideoCodec::H264, &unit(&[&nal])));
            assert_eq!(is, want, "{nal:?}");
        }
    }
}
