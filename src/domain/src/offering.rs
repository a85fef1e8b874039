//! What a camera offers to those who watch it. Of a camera that encodes itself it is known only once it has begun, and it may change.

use crate::camera::CameraConfig;
use crate::ingest::Shape;
use crate::media::{Stream, VideoCodec};

/// What there is to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offering {
    /// How the main stream is encoded.
    pub codec: VideoCodec,
    /// Whether its pictures travel in another order than they are shown in (B-frames).
    pub reorders: bool,
    /// Whether it has no keyframes that browsers begin with ([`is_refresh`](crate::viewer_codecs::is_refresh)).
    pub gradual: bool,
    /// Whether there is sound.
    pub has_audio: bool,
    /// Size and shape of its pictures as the camera itself encodes them; `None` where it does not, or has not begun.
    pub shape: Option<Shape>,
}

impl Offering {
    /// What a camera offers as far as its config says.
    pub fn of(config: &CameraConfig) -> Self {
        Self { codec: config.codec, reorders: false, gradual: false, has_audio: config.has_audio(), shape: None }
    }

    /// Why browsers cannot be sent the main stream as it is, in a sentence; `None` where they can.
    pub fn why_not_live(&self) -> Option<&'static str> {
        match self.codec {
            VideoCodec::H264 if self.reorders => Some(
                "live viewing shows the small stream, as browsers cannot show B-frames live: switch them off in the camera (profile \
                 baseline) to see the large one",
            ),
            VideoCodec::H264 if self.gradual => Some(
                "live viewing shows the small stream, and some browsers play recordings only as files, as they begin at an IDR picture \
                 and the camera sends none: switch intra refresh off in the camera",
            ),
            VideoCodec::H265 => Some(
                "live viewing shows the small stream where a browser does not play H.265: set the camera to H.264 to see the large one everywhere",
            ),
            VideoCodec::H264 | VideoCodec::Vp8 => None,
        }
    }

    /// Whether the main stream is H.265 that browsers show which play that.
    pub fn is_live_h265(&self) -> bool {
        self.codec == VideoCodec::H265 && !self.reorders && !self.gradual
    }

    /// The stream that any browser gets live that asks for `stream`.
    pub fn live(&self, stream: Stream) -> Stream {
        if self.why_not_live().is_some() { Stream::Sub } else { stream }
    }

    /// How `stream` is encoded.
    pub fn codec_of(&self, stream: Stream) -> VideoCodec {
        if stream == Stream::Main { self.codec } else { self.codec.of_small() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_cannot_show_is_replaced_by_the_small_stream() {
        let plain = Offering { codec: VideoCodec::H264, reorders: false, gradual: false, has_audio: true, shape: None };
        let (reorders, gradual) = (Offering { reorders: true, ..plain }, Offering { gradual: true, ..plain });
        let h265 = Offering { codec: VideoCodec::H265, ..plain };
        assert_eq!((h265.codec_of(Stream::Main), h265.codec_of(Stream::Sub)), (VideoCodec::H265, VideoCodec::H264));
        for (offering, stream, want) in [
            (h265, Stream::Main, Stream::Sub),
            (plain, Stream::Main, Stream::Main),
            (plain, Stream::Sub, Stream::Sub),
            (reorders, Stream::Main, Stream::Sub),
            (gradual, Stream::Main, Stream::Sub),
            (Offering { gradual: true, ..h265 }, Stream::Main, Stream::Sub),
            (reorders, Stream::Sub, Stream::Sub),
        ] {
            assert_eq!(offering.live(stream), want, "{offering:?}");
            assert_eq!(offering.why_not_live().is_some(), offering.live(Stream::Main) == Stream::Sub);
            assert_eq!(offering.is_live_h265(), offering == h265);
        }
    }
}
