//! Which of the payload types that a viewer offers a stream is sent as: the one whose profile and level decode it best (RFC 6184
//! section 8.2.2 for H.264, RFC 7798 section 7.2.2 for H.265).

use crate::bitstream::nal_units;
use crate::media::VideoCodec;
use crate::{h264, h265};

/// What decodes what, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    Other,
}

impl Profile {
    /// Of `profile_idc` and the constraint flags (RFC 6184, table 5).
    fn of(profile: u8, constraints: u8) -> Self {
        let set = |flag: u8| constraints & (0x80 >> flag) != 0;
        match profile {
            66 if set(1) => Self::ConstrainedBaseline,
            66 => Self::Baseline,
            77 if set(0) => Self::ConstrainedBaseline,
            77 => Self::Main,
            88 if set(0) && set(1) => Self::ConstrainedBaseline,
            100 if set(4) && set(5) => Self::ConstrainedHigh,
            100 => Self::High,
            _ => Self::Other,
        }
    }

    fn decodes(self, stream: Self) -> bool {
        match stream {
            Self::ConstrainedBaseline => self != Self::Other,
            Self::Main => matches!(self, Self::Main | Self::High),
            Self::ConstrainedHigh => matches!(self, Self::ConstrainedHigh | Self::High),
            Self::Baseline | Self::High | Self::Other => self == stream,
        }
    }
}

/// An H.264 stream that is to be sent, as its parameter set says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H264Stream {
    profile: Profile,
    level: u8,
}

impl H264Stream {
    /// What our encoders make: constrained baseline, of no level.
    pub const OURS: Self = Self { profile: Profile::ConstrainedBaseline, level: 0 };

    /// Reads it from a keyframe (Annex B).
    pub fn of(keyframe: &[u8]) -> Option<Self> {
        let sps = nal_units(keyframe).find(|nal| h264::kind(nal) == h264::SPS)?;
        let [profile, constraints, level] = *sps.get(1..4)? else { return None };
        Some(Self { profile: Profile::of(profile, constraints), level })
    }
}

impl Default for H264Stream {
    fn default() -> Self {
        Self::OURS
    }
}

/// An H.265 stream that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H265Stream {
    profile: u8,
    high_tier: bool,
    level: u8,
}

impl H265Stream {
    /// Reads it from a keyframe (Annex B).
    pub fn of(keyframe: &[u8]) -> Option<Self> {
        let sps = nal_units(keyframe).find(|nal| h265::kind(nal) == h265::SPS).and_then(h265::Sps::parse)?;
        let [first, .., level] = sps.profile_tier_level;
        Some(Self { profile: first & 0x1f, high_tier: first & 0x20 != 0, level })
    }
}

impl Default for H265Stream {
    /// Main profile, main tier, of no level.
    fn default() -> Self {
        Self { profile: 1, high_tier: false, level: 0 }
    }
}

/// Whether a picture (Annex B) refreshes all at once, so that browsers begin with it: they take no recovery point (H.264 D.2.8) and no
/// picture that merely has intra slices.
pub fn is_refresh(codec: VideoCodec, unit: &[u8]) -> bool {
    let mut nals = nal_units(unit);
    match codec {
        VideoCodec::H264 => {
            let slice = nals.find(|nal| (h264::SLICE..=h264::IDR).contains(&h264::kind(nal)));
            slice.is_some_and(|slice| h264::kind(slice) == h264::IDR)
        }
        VideoCodec::H265 => {
            let slice = nals.find(|nal| h265::is_slice(h265::kind(nal)));
            slice.is_some_and(|slice| h265::is_random_access(h265::kind(slice)))
        }
        VideoCodec::Vp8 => true,
    }
}

/// How well a payload type fits; more is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fit([u8; 4]);

/// How well a payload type of H.264 with the format parameters `fmtp` fits `stream`. Each fits somehow: players decode more than they
/// say. One that lacks packetization mode 1 is the last choice, as pictures are sent in fragments.
pub fn h264_fit(fmtp: &str, stream: H264Stream) -> Fit {
    let mode = match parameter(fmtp, "packetization-mode") {
        Some("1") => 2,
        None => 1,
        Some(_) => 0,
    };
    let id = parameter(fmtp, "profile-level-id").filter(|id| id.len() == 6);
    let (profile, level) = match id.and_then(|id| u32::from_str_radix(id, 16).ok()).map(u32::to_be_bytes) {
        Some([_, profile, constraints, level]) => (Profile::of(profile, constraints), level),
        // RFC 6184, section 8.1: baseline at level 1; who says nothing means nothing by it.
        None => (Profile::Baseline, u8::MAX),
    };
    let decodes = profile.decodes(stream.profile);
    // The least of those that decode it, else the most that there is.
    let near = if decodes { Profile::Other as u8 - profile as u8 } else { profile as u8 % Profile::Other as u8 };
    Fit([mode, decodes.into(), near, (level >= stream.level).into()])
}

/// The same for H.265. `None`: such a viewer cannot decode it, or wants it in another shape than one stream (RFC 7798, `tx-mode`).
pub fn h265_fit(fmtp: &str, stream: H265Stream) -> Option<Fit> {
    let number = |name, default| parameter(fmtp, name).map_or(Some(default), |value| value.parse::<u8>().ok());
    let (profile, high_tier, level) = (number("profile-id", 1)?, number("tier-flag", 0)? != 0, number("level-id", 93)?);
    let single = parameter(fmtp, "tx-mode").is_none_or(|mode| mode.eq_ignore_ascii_case("SRST"));
    let ordered = parameter(fmtp, "sprop-max-don-diff").is_none_or(|n| n == "0");
    let decodes = profile == stream.profile || (profile == 2 && stream.profile == 1);
    let tier_fits = high_tier || !stream.high_tier;
    (single && ordered && decodes && tier_fits).then_some(Fit([
        (profile == stream.profile).into(),
        (level >= stream.level).into(),
        u8::from(high_tier == stream.high_tier),
        0,
    ]))
}

/// The parameters of `fmtp` that an answer repeats: those that both sides must have alike.
pub fn repeated(fmtp: &str, names: &[&str]) -> String {
    let kept = names.iter().filter_map(|name| {
        let value = parameter(fmtp, name)?;
        let sound = (1..=32).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric());
        sound.then(|| format!("{name}={value}"))
    });
    kept.collect::<Vec<_>>().join(";")
}

/// Names that an answer repeats of H.264.
pub const H264_REPEATED: &[&str] = &["level-asymmetry-allowed", "packetization-mode", "profile-level-id"];
/// Names that an answer repeats of H.265.
pub const H265_REPEATED: &[&str] = &["level-id", "profile-id", "tier-flag", "tx-mode"];

/// The value of a format parameter; names are alike in either case (RFC 4855, section 3).
pub fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    let pairs = fmtp.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(n, value)| (n.trim(), value.trim())).find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(sps: [u8; 3]) -> H264Stream {
        let [a, b, c] = sps;
        H264Stream::of(&[0, 0, 0, 1, 0x67, a, b, c, 0x80, 0, 0, 1, 0x65, 1]).expect("a set")
    }

    /// Which of `offered` (`mode:profile-level-id`) is taken.
    fn best<'a>(offered: &[&'a str], stream: H264Stream) -> &'a str {
        let fit = |text: &str| {
            let (mode, id) = text.split_once(':').expect("two parts");
            let mode = if mode.is_empty() { String::new() } else { format!("packetization-mode={mode};") };
            let id = if id.is_empty() { String::new() } else { format!("Profile-Level-Id={id}") };
            h264_fit(&format!("level-asymmetry-allowed=1; {mode}{id}"), stream)
        };
        offered.iter().rev().max_by_key(|text| fit(text)).expect("some")
    }

    #[test]
    fn the_payload_type_is_taken_that_decodes_the_stream() {
        let chrome = ["1:42001f", "0:42001f", "1:42e01f", "0:42e01f", "1:4d001f", "0:4d001f", "1:f4001f", "1:64001f"];
        for (sps, want) in [
            ([66, 0xc0, 31], "1:42e01f"),
            ([66, 0, 31], "1:42001f"),
            ([77, 0, 31], "1:4d001f"),
            ([77, 0, 42], "1:4d001f"),
            ([77, 0x80, 31], "1:42e01f"),
            ([100, 0, 40], "1:64001f"),
            ([100, 0x0c, 40], "1:64001f"),
        ] {
            assert_eq!(best(&chrome, stream(sps)), want, "{sps:?}");
        }
        assert_eq!(best(&chrome, H264Stream::default()), "1:42e01f");
        for (offered, sps, want) in [
            (&["1:640c1f", "1:42e01f"][..], [100, 0, 40], "1:640c1f"),
            (&["1:640c1f", "1:42e01f"], [77, 0, 40], "1:640c1f"),
            (&["1:640c1f", "1:42e01f"], [100, 0x0c, 40], "1:640c1f"),
            (&["1:42e01f", "1:42e034"], [66, 0xc0, 40], "1:42e034"),
            (&["1:42e01f", "1:42e01f"], [66, 0xc0, 31], "1:42e01f"),
            // Packetization mode 1, then whoever says nothing.
            (&["0:64001f", ":"], [100, 0, 31], ":"),
            (&["0:42e01f"], [100, 0, 31], "0:42e01f"),
            (&[":", "1:4d001f"], [100, 0, 31], "1:4d001f"),
            (&["1:nonsense", "1:f4001f"], [100, 0, 31], "1:nonsense"),
        ] {
            assert_eq!(best(offered, stream(sps)), want, "{offered:?} for {sps:?}");
        }
        assert_eq!(H264Stream::of(&[0, 0, 1, 0x65, 1, 2]), None);
        assert_eq!(H264Stream::of(&[0, 0, 1, 0x67, 1, 2]), None);
    }

    #[test]
    fn browsers_begin_where_all_is_refreshed_at_once() {
        use VideoCodec::*;
        for (codec, kinds, begins) in [
            (H264, &[0x67, 0x68, 0x65][..], true),
            (H264, &[9, 0x67, 0x68, 6, 0x65, 0x65], true),
            (H264, &[0x67, 0x68, 6, 0x41], false),
            (H264, &[0x67, 0x68, 6, 0x41, 0x65], false),
            (H264, &[0x67, 0x68], false),
            (H265, &[0x40, 0x42, 0x44, 19 << 1], true),
            (H265, &[0x40, 0x42, 0x44, 21 << 1], true),
            (H265, &[0x40, 0x42, 0x44, 39 << 1, 1 << 1], false),
            (H265, &[], false),
            (Vp8, &[0], true),
        ] {
            let unit: Vec<u8> = kinds.iter().flat_map(|kind| [0, 0, 0, 1, *kind, 1, 0x80]).collect();
            assert_eq!(is_refresh(codec, &unit), begins, "{codec:?} {kinds:?}");
        }
    }

    #[test]
    fn h265_is_sent_only_to_who_decodes_it() {
        let main = H265Stream { profile: 1, high_tier: false, level: 123 };
        let main10 = H265Stream { profile: 2, ..main };
        for (fmtp, stream, fits) in [
            ("", main, true),
            ("", main10, false),
            ("level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST", main, true),
            ("level-id=93;profile-id=2;tier-flag=0;tx-mode=SRST", main, true),
            ("level-id=93;profile-id=2;tier-flag=0;tx-mode=SRST", main10, true),
            ("profile-id=1", H265Stream { high_tier: true, ..main }, false),
            ("profile-id=1;tier-flag=1", H265Stream { high_tier: true, ..main }, true),
            ("profile-id=1;tx-mode=MRST", main, false),
            ("profile-id=1;sprop-max-don-diff=2", main, false),
            ("profile-id=x", main, false),
        ] {
            assert_eq!(h265_fit(fmtp, stream).is_some(), fits, "{fmtp} for {stream:?}");
        }
        let of = |fmtp| h265_fit(fmtp, main).expect("fits");
        assert!(of("profile-id=1") > of("profile-id=2") && of("level-id=150") > of("level-id=93"));
        assert_eq!(H265Stream::of(&[0, 0, 1, 0x42, 1, 1]), None);
    }

    #[test]
    fn answers_repeat_what_both_must_have_alike_and_nothing_odd() {
        let fmtp = " profile-level-id=42e01f; Level-Asymmetry-Allowed=1;max-br=5;packetization-mode=1;sprop-parameter-sets=a,b";
        assert_eq!(
            repeated(fmtp, H264_REPEATED),
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
        );
        assert_eq!(repeated("profile-level-id=4 2;packetization-mode=", H264_REPEATED), "");
        assert_eq!(repeated("profile-id=1", H265_REPEATED), "profile-id=1");
    }
}
