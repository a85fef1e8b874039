//! What of a camera is pushed to a target, by what its protocol carries.

use super::target::{PushKind, PushTarget};
use crate::media::{Stream, VideoCodec};
use crate::offering::Offering;
use perch_base::{Error, ErrorKind, Result};

/// What a push takes of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushPlan {
    /// The stream.
    pub stream: Stream,
    /// How its pictures are encoded: they are passed on as they are.
    pub codec: VideoCodec,
    /// Whether the camera has sound.
    pub has_audio: bool,
}

/// What is pushed to `target` of a camera that offers this: the stream that is wanted, or the small one where the protocol does not carry how
/// the large one is encoded. Errors with `Unsupported` where it carries neither.
pub fn plan_push(target: &PushTarget, offering: &Offering) -> Result<PushPlan> {
    let wanted = match target.kind {
        // Who watches there are browsers.
        PushKind::Whip => offering.live(target.stream),
        _ => target.stream,
    };
    let has_audio = offering.has_audio;
    let mut streams = [wanted, Stream::Sub].into_iter().map(|stream| (stream, offering.codec_of(stream)));
    let carried = streams.find(|(_, codec)| target.kind.carries(*codec));
    carried.map(|(stream, codec)| PushPlan { stream, codec, has_audio }).ok_or_else(|| {
        let why = format!("{} does not carry VP8: set codec = \"h264\" for this camera", target.kind.name());
        Error::new(ErrorKind::Unsupported, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, stream: Stream) -> PushTarget {
        PushTarget::of(url, stream).expect("valid")
    }

    #[test]
    fn what_a_protocol_does_not_carry_is_pushed_small() {
        use Stream::{Main, Sub};
        use VideoCodec::{H264, H265, Vp8};
        let offering = |codec, reorders| Offering { codec, reorders, gradual: false, has_audio: true, shape: None };
        for (url, wanted, codec, reorders, want) in [
            ("rtmp://h/a/k", Main, H264, true, Some((Main, H264))),
            ("rtmp://h/a/k", Sub, H264, false, Some((Sub, H264))),
            ("rtmp://h/a/k", Main, H265, false, Some((Sub, H264))),
            ("rtmp://h/a/k", Main, Vp8, false, None),
            ("srt://h:9000", Main, H265, false, Some((Main, H265))),
            ("srt://h:9000", Main, Vp8, false, None),
            ("rtsp://h/a", Main, H265, false, Some((Main, H265))),
            ("rtsp://h/a", Main, Vp8, false, Some((Main, Vp8))),
            ("https://h/whip", Main, H264, false, Some((Main, H264))),
            ("https://h/whip", Main, H264, true, Some((Sub, H264))),
            ("https://h/whip", Main, H265, false, Some((Sub, H264))),
            ("https://h/whip", Main, Vp8, false, Some((Main, Vp8))),
        ] {
            let got = plan_push(&target(url, wanted), &offering(codec, reorders));
            if want.is_none() {
                assert!(got.as_ref().is_err_and(|e| e.message().contains("VP8")), "{url} {got:?}");
            }
            assert_eq!(got.ok().map(|plan| (plan.stream, plan.codec)), want, "{url} {wanted} {codec:?}");
        }
    }
}
