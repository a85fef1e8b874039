//! Which stream a viewer may ask for, and when one that lets us choose gets the small one: a pure policy over the loss in its receiver
//! reports.

use crate::media::{Packet, Stream, VideoCodec};
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use std::time::Duration;

/// Which stream a viewer asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamChoice {
    /// This one.
    Fixed(Stream),
    /// Main while the way carries it, else sub.
    #[default]
    Auto,
}

impl StreamChoice {
    /// All words for it.
    pub const WORDS: &[&str] =
        &[Self::Fixed(Stream::Main).as_str(), Self::Fixed(Stream::Sub).as_str(), Self::Auto.as_str()];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed(Stream::Main) => "main",
            Self::Fixed(Stream::Sub) => "sub",
            Self::Auto => "auto",
        }
    }

    /// Reads a word. Errors with `Invalid`.
    pub fn parse(word: &str) -> Result<Self> {
        let all = [Self::Fixed(Stream::Main), Self::Fixed(Stream::Sub), Self::Auto];
        let found = all.into_iter().find(|choice| choice.as_str() == word);
        found.ok_or_else(|| Error::invalid("must be main, sub or auto"))
    }

    /// What is left of it for a viewer that can show the large stream, the small one, or both. `None`: it can show neither.
    pub fn of_viewer(self, large: bool, small: bool) -> Option<Self> {
        match (large, small) {
            (true, true) => Some(self),
            // There is nothing to change to then.
            (true, false) => Some(Self::Fixed(Stream::Main)),
            (false, true) => Some(Self::Fixed(Stream::Sub)),
            (false, false) => None,
        }
    }

    /// The stream that is sent first.
    pub fn first(self) -> Stream {
        match self {
            Self::Fixed(stream) => stream,
            Self::Auto => Stream::Main,
        }
    }
}

/// Why pictures like this one are not shown live, a sentence's end; `None` where they are. `h265`: the viewer shows H.265.
pub fn not_shown_live(packet: &Packet, h265: bool) -> Option<&'static str> {
    match packet.codec {
        Some(VideoCodec::H265) if !h265 => {
            Some("sends H.265, which is recorded but not shown live by this viewer: set it to H.264")
        }
        Some(_) if !packet.shown_later.is_zero() => Some(
            "sends B-frames, which are recorded but not shown live: set its profile to baseline or switch B-frames off",
        ),
        _ => None,
    }
}

/// A viewer for whom we choose begins with the small stream where the large one cannot be shown at once and its last keyframe is this old:
/// the next one may be as far.
const FAR: Duration = Duration::from_secs(3);

/// Whether a viewer for whom we choose begins with the small stream, and changes at the large one's next keyframe. `cached`: all since the
/// last keyframe can be shown at once; `keyframe_age`: how old that is.
pub fn begins_small(cached: bool, keyframe_age: Option<Duration>) -> bool {
    !cached && keyframe_age.is_some_and(|age| age >= FAR)
}

/// A stream that was changed to and brought no keyframe in this time is given up.
const CHANGE_WITHIN: Duration = Duration::from_secs(10);

/// Whether a change of stream that was asked for at `asked` and brought no picture is given up.
pub fn gives_up_change(asked: MonoTime, now: MonoTime) -> bool {
    now.since(asked) >= CHANGE_WITHIN
}

/// Above this share of packets lost the way does not carry the stream.
pub const BAD_LOSS: f32 = 0.10;
/// Below this share it does.
pub const GOOD_LOSS: f32 = 0.02;
/// Loss must be bad this long before the small stream is sent.
pub const BAD_FOR: Duration = Duration::from_secs(5);
/// Loss must be good this long before the main stream is tried again; doubles with every try that failed.
pub const GOOD_FOR: Duration = Duration::from_secs(30);
const MAX_GOOD_FOR: Duration = Duration::from_secs(480);

/// The choice for one viewer. It begins with the main stream.
#[derive(Clone, Debug)]
pub struct AutoStream {
    stream: Stream,
    since: Option<MonoTime>,
    patience: Duration,
}

impl Default for AutoStream {
    fn default() -> Self {
        Self { stream: Stream::Main, since: None, patience: GOOD_FOR }
    }
}

impl AutoStream {
    /// A receiver report came with the share of packets lost (0 to 1). `Some`: change to this stream.
    pub fn report(&mut self, now: MonoTime, loss: f32) -> Option<Stream> {
        let (wants_change, needed) = match self.stream {
            Stream::Main => (loss > BAD_LOSS, BAD_FOR),
            Stream::Sub => (loss < GOOD_LOSS, self.patience),
        };
        if !wants_change {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if now.since(since) < needed {
            return None;
        }
        self.since = None;
        self.stream = match self.stream {
            Stream::Main => Stream::Sub,
            Stream::Sub => {
                self.patience = (self.patience * 2).min(MAX_GOOD_FOR);
                Stream::Main
            }
        };
        Some(self.stream)
    }

    /// The change asked for last could not be made: `stream` goes on.
    pub fn stay(&mut self, stream: Stream) {
        self.stream = stream;
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Main, Sub};
    use proptest::prelude::*;

    #[test]
    fn what_viewers_cannot_decode_is_said() {
        let h264 = Packet::new(crate::media::Track::Video, bytes::Bytes::new(), MonoTime(0), true);
        assert_eq!(not_shown_live(&h264, false), None);
        let h265 = Packet { codec: Some(VideoCodec::H265), ..h264.clone() };
        assert!(not_shown_live(&h265, false).is_some_and(|why| why.contains("H.265")));
        assert_eq!(not_shown_live(&h265, true), None);
        for codec in [VideoCodec::H264, VideoCodec::H265] {
            let b_frames = Packet { codec: Some(codec), shown_later: Duration::from_millis(40), ..h264.clone() };
            assert!(not_shown_live(&b_frames, true).is_some_and(|why| why.contains("B-frames")));
        }
    }

    proptest! {
        /// It changes exactly when all reports of the time that is needed agree, and each return to the main stream needs twice the
        /// time of the one before, up to the longest.
        #[test]
        fn changes_only_when_all_reports_of_the_time_needed_agree(
            phases in prop::collection::vec(
                (
                    prop_oneof![
                        3 => Just(0.0f32), 1 => Just(GOOD_LOSS), 1 => Just(0.05), 1 => Just(BAD_LOSS), 3 => Just(0.3)
                    ],
                    0..200usize,
                    prop::bool::weighted(0.1),
                ),
                0..20,
            ),
        ) {
            let (mut auto, mut stream, mut now) = (AutoStream::default(), Main, MonoTime(0));
            let (mut seen, mut good_for) = (Vec::new(), GOOD_FOR);
            let reports = phases.into_iter().flat_map(|(loss, n, refuses)| std::iter::repeat_n((loss, refuses), n));
            for (loss, refuses) in reports {
                now = now + BAD_FOR;
                seen.push((now, loss));
                let agrees = |loss: f32| if stream == Main { loss > BAD_LOSS } else { loss < GOOD_LOSS };
                let agreed_since = seen.iter().rev().take_while(|(_, loss)| agrees(*loss)).last().map(|(at, _)| *at);
                let (needed, other) = if stream == Main { (BAD_FOR, Sub) } else { (good_for, Main) };
                let want = agreed_since.filter(|since| now.since(*since) >= needed).map(|_| other);
                prop_assert_eq!(auto.report(now, loss), want);
                if want.is_none() {
                    continue;
                }
                seen.clear();
                if other == Main {
                    good_for = (good_for * 2).min(MAX_GOOD_FOR);
                }
                if refuses {
                    auto.stay(stream);
                } else {
                    stream = other;
                }
            }
        }
    }

    #[test]
    fn words() {
        let read: Vec<_> = StreamChoice::WORDS.iter().map(|word| StreamChoice::parse(word).expect("a word")).collect();
        assert_eq!(read, [StreamChoice::Fixed(Main), StreamChoice::Fixed(Sub), StreamChoice::Auto]);
        assert!(read.iter().zip(StreamChoice::WORDS).all(|(choice, word)| choice.as_str() == *word));
        for bad in ["", "Main", "main ", "third"] {
            let e = StreamChoice::parse(bad).expect_err("no word");
            assert_eq!(e.message(), format!("must be {} or auto", StreamChoice::WORDS[..2].join(", ")), "{bad:?}");
        }
        assert_eq!(read.iter().map(|choice| choice.first()).collect::<Vec<_>>(), [Main, Sub, Main]);
        for choice in read {
            assert_eq!(choice.of_viewer(true, true), Some(choice));
            assert_eq!(choice.of_viewer(true, false), Some(StreamChoice::Fixed(Main)));
            assert_eq!(choice.of_viewer(false, true), Some(StreamChoice::Fixed(Sub)));
            assert_eq!(choice.of_viewer(false, false), None);
        }
    }

    #[test]
    fn a_keyframe_that_is_far_is_waited_for_with_the_small_stream() {
        let seconds = |s| Some(Duration::from_secs(s));
        for (cached, age, want) in
            [(true, seconds(60), false), (false, seconds(2), false), (false, seconds(3), true), (false, None, false)]
        {
            assert_eq!(begins_small(cached, age), want, "{cached} {age:?}");
        }
    }

    #[test]
    fn a_change_that_brings_nothing_is_given_up() {
        for (seconds, want) in [(0, false), (9, false), (10, true), (60, true)] {
            let now = MonoTime(5) + Duration::from_secs(seconds);
            assert_eq!(gives_up_change(MonoTime(5), now), want, "{seconds} s");
        }
    }

    /// Feeds (seconds, loss) reports once a second; returns (second, stream) of each change.
    fn run(phases: &[(u32, f32)]) -> Vec<(u32, Stream)> {
        let mut auto = AutoStream::default();
        let mut t = 0;
        let mut changes = Vec::new();
        for &(seconds, loss) in phases {
            for _ in 0..seconds {
                if let Some(stream) = auto.report(MonoTime(i64::from(t) * 1_000_000), loss) {
                    changes.push((t, stream));
                }
                t += 1;
            }
        }
        changes
    }

    #[test]
    fn policy() {
        for (phases, want) in [
            (&[(600, 0.0)][..], &[][..]),
            (&[(600, 0.09)], &[]),
            (&[(5, 0.2), (1, 0.0), (5, 0.2)], &[]),
            (&[(60, 0.2)], &[(5, Sub)]),
            (&[(6, 0.2), (29, 0.0), (1, 0.05), (29, 0.0)], &[(5, Sub)]),
            (&[(6, 0.2), (60, 0.01)], &[(5, Sub), (36, Main)]),
            (&[(6, 0.2), (31, 0.0), (6, 0.2), (60, 0.0), (2, 0.0)], &[(5, Sub), (36, Main), (42, Sub), (103, Main)]),
        ] {
            assert_eq!(run(phases), want, "{phases:?}");
        }
    }
}
