//! H.264 as files hold it: which NAL units belong into samples, and what the header says of the picture.

use bytes::Bytes;
use perch_base::{Error, Result};
pub(crate) use perch_domain::h264::nal_units;
use perch_domain::h264::{AUD, FILLER, MAX_SPS_BYTES, PPS, SPS, Sps, kind};

/// Whether a file needs this unit in its samples: delimiters and filler say nothing, parameter sets stand in the header.
pub(crate) fn belongs_in_sample(nal: &[u8]) -> bool {
    !matches!(kind(nal), 0 | AUD | FILLER)
}

/// Whether it is a parameter set.
pub(crate) fn is_parameter_set(nal: &[u8]) -> bool {
    matches!(kind(nal), SPS | PPS)
}

/// What a recording's tracks are: the parameter sets of the video and whether there is sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackFormat {
    /// The sequence parameter set, without start code.
    pub sps: Bytes,
    /// The picture parameter set, without start code.
    pub pps: Bytes,
    /// Whether a sound track is written.
    pub has_audio: bool,
}

impl TrackFormat {
    /// Reads the parameter sets from a keyframe (Annex B, SPS and PPS before the picture). Errors with `Invalid` when one is
    /// missing or the SPS makes no sense.
    pub fn from_keyframe(annexb: &[u8], has_audio: bool) -> Result<Self> {
        let find = |wanted, name| {
            nal_units(annexb)
                .find(|nal| kind(nal) == wanted && nal.len() <= MAX_SPS_BYTES)
                .ok_or_else(|| Error::invalid(format!("the keyframe has no {name}: it cannot be recorded")))
        };
        let (sps, pps) = (find(SPS, "SPS")?, find(PPS, "PPS")?);
        parse_sps(sps)?;
        Ok(Self { sps: Bytes::copy_from_slice(sps), pps: Bytes::copy_from_slice(pps), has_audio })
    }

    /// Width and height in pixels, as the SPS says. Errors with `Invalid`.
    pub fn size(&self) -> Result<(u16, u16)> {
        parse_sps(&self.sps).map(|p| (p.width, p.height))
    }
}

/// Parses an SPS with its NAL header. Errors with `Invalid`.
pub(crate) fn parse_sps(sps: &[u8]) -> Result<Sps> {
    Sps::parse(sps).ok_or_else(|| Error::invalid("the SPS makes no sense: the video cannot be recorded"))
}
