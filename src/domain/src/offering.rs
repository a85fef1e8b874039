//! What a camera offers to those who watch it. Of a camera that encodes itself it is known only once it has begun, and it may change.

use crate::camera::CameraConfig;
use crate::ingest::Shape;
use crate::live_hls::LiveView;
use crate::media::{Stream, VideoCodec};
use crate::picture_gate::Known;
use crate::stream_choice::StreamChoice;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use std::time::Duration;

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
                "live viewing shows the small stream, as browsers begin at an IDR picture and the camera sends none: switch intra refresh \
                 off in the camera to see the large one",
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

    /// Which stream a player by HLS gets. Errors with `Unsupported` where it is encoded as HLS does not carry it.
    pub fn over_https(&self, choice: StreamChoice, sound: bool) -> Result<LiveView> {
        let stream = match choice {
            StreamChoice::Fixed(stream) => stream,
            // Everybody plays H.264; intra refresh without an IDR picture nobody begins with.
            StreamChoice::Auto if self.codec == VideoCodec::H265 || self.gradual => Stream::Sub,
            StreamChoice::Auto => Stream::Main,
        };
        match self.codec_of(stream).is_recorded() {
            true => Ok(LiveView { stream, sound }),
            false => Err(Error::new(ErrorKind::Unsupported, "HLS carries no VP8: set the camera's codec to h264")),
        }
    }

    /// How `stream` is encoded.
    pub fn codec_of(&self, stream: Stream) -> VideoCodec {
        if stream == Stream::Main { self.codec } else { self.codec.of_small() }
    }
}

/// What browsers cannot show is taken to be so until the camera sent pictures without any of it for this long: whoever watches is cut off where
/// that changes.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 60);

/// While no picture came for so long, the camera was off.
const OFF_AFTER: Duration = Duration::from_secs(5 * 60);

/// When a camera last sent what browsers cannot show, whatever became of its sessions since. Time in which it was off does not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    codec: Option<VideoCodec>,
    /// Its newest picture.
    newest: Option<MonoTime>,
    reordered: Option<MonoTime>,
    gradual: Option<MonoTime>,
}

impl Habits {
    /// Changes `offering` to what is known of its pictures, which are encoded as `codec`, of which a session says `known`, and the newest of
    /// which came at `newest`, if one came in that session. With another codec everything is new.
    pub fn apply(&mut self, newest: Option<MonoTime>, codec: VideoCodec, known: &Known, offering: &mut Offering) {
        if self.codec != Some(codec) {
            *self = Self { codec: Some(codec), ..Self::default() };
        }
        if let Some((last, newest)) = self.newest.zip(newest) {
            let pause = newest.since(last);
            if pause > OFF_AFTER {
                [&mut self.reordered, &mut self.gradual].into_iter().flatten().for_each(|at| *at = *at + pause);
            }
        }
        self.newest = self.newest.max(newest);
        self.reordered = self.reordered.max(known.reordered);
        self.gradual = self.gradual.max(known.gradual);
        let age = |at: MonoTime| self.newest.map_or(Duration::ZERO, |newest| newest.since(at));
        let is_so = |last: Option<MonoTime>| last.is_some_and(|at| age(at) < FORGOTTEN_AFTER);
        (offering.codec, offering.reorders, offering.gradual) = (codec, is_so(self.reordered), is_so(self.gradual));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::PictureCodec;

    #[test]
    fn what_browsers_cannot_show_is_forgotten_half_an_hour_after_it_was_seen() {
        use VideoCodec::{H264, H265};
        let minute = |n: i64| MonoTime(n * 60_000_000);
        let mut habits = Habits::default();
        let mut offering = Offering { codec: H264, reorders: false, gradual: false, has_audio: true, shape: None };
        let mut before = 0;
        for (what, at, codec, reordered, gradual, want) in [
            ("nothing", 0, H264, None, None, (false, false)),
            ("B-frames", 1, H264, Some(1), None, (true, false)),
            ("another session without any", 20, H264, None, None, (true, false)),
            ("some again", 25, H264, Some(24), None, (true, false)),
            ("none for long", 53, H264, Some(24), None, (true, false)),
            ("none for half an hour", 54, H264, Some(24), None, (false, false)),
            ("a gradual refresh", 60, H264, None, Some(60), (false, true)),
            ("both", 61, H264, Some(61), Some(60), (true, true)),
            ("another codec", 62, H265, None, None, (false, false)),
            ("and back", 63, H264, None, None, (false, false)),
        ] {
            let (reordered, gradual) = (reordered.map(minute), gradual.map(minute));
            let known = Known { codec: PictureCodec::H264, shape: None, reordered, gradual };
            // It sends on and on.
            (before..=at).for_each(|n| habits.apply(Some(minute(n)), codec, &known, &mut offering));
            before = at;
            assert_eq!((offering.codec, offering.reorders, offering.gradual), (codec, want.0, want.1), "{what}");
        }
    }

    #[test]
    fn while_a_camera_is_off_nothing_is_forgotten() {
        let minute = |n: i64| MonoTime(n * 60_000_000);
        let known = |reordered: Option<i64>| Known {
            codec: PictureCodec::H264,
            shape: None,
            reordered: reordered.map(minute),
            gradual: None,
        };
        let mut habits = Habits::default();
        let mut offering =
            Offering { codec: VideoCodec::H264, reorders: false, gradual: false, has_audio: true, shape: None };
        let mut reorders = |newest: Option<i64>, reordered| {
            habits.apply(newest.map(minute), VideoCodec::H264, &known(reordered), &mut offering);
            offering.reorders
        };
        assert!(!reorders(Some(0), None) && reorders(Some(1), Some(1)));
        // A night later a session begins, then comes its first picture.
        assert!(reorders(None, None) && reorders(Some(600), None));
        assert!((601..629).all(|n| reorders(Some(n), None)), "less than half an hour of pictures");
        assert!(!(629..=631).all(|n| reorders(Some(n), None)), "it sends none any more");
    }

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

    #[test]
    fn which_stream_a_player_gets_over_https() {
        use VideoCodec::{H264, H265, Vp8};
        let offering = |codec| Offering { codec, reorders: false, gradual: false, has_audio: true, shape: None };
        let (auto, main, sub) = (StreamChoice::Auto, Stream::Main, Stream::Sub);
        for (choice, offering, want) in [
            (auto, offering(H264), Some("main")),
            (auto, Offering { reorders: true, ..offering(H264) }, Some("main")),
            (auto, Offering { gradual: true, ..offering(H264) }, Some("sub")),
            (auto, offering(H265), Some("sub")),
            (StreamChoice::Fixed(main), offering(H265), Some("main")),
            (StreamChoice::Fixed(sub), offering(H264), Some("sub")),
            (auto, offering(Vp8), None),
            (StreamChoice::Fixed(sub), offering(Vp8), None),
        ] {
            let view = offering.over_https(choice, true);
            assert_eq!(view.ok().map(|v| v.to_string()).as_deref(), want, "{choice:?} {offering:?}");
        }
    }
}
