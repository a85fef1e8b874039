//! Low-latency HLS of a live stream (draft-pantos-hls-rfc8216bis): which stream a player gets, what its pieces are called, and how it is cut
//! into parts and segments. What is kept of it, and what a playlist says, is in [`crate::live_window`].

use crate::media::Stream;
use perch_base::time::MonoTime;
use perch_base::{Error, Result};
use std::fmt;
use std::time::Duration;

/// The length that parts are cut to where the pictures allow it: a third of a second, so that ten pictures of 30 a second fit, and five of 15.
pub(crate) const PART: Duration = Duration::from_millis(334);
/// A keyframe begins another segment once the one before it lasts so long.
const MIN_SEGMENT: Duration = Duration::from_millis(900);
/// Segments are at most so long, also between keyframes: what rounds to two seconds.
const MAX_SEGMENT: Duration = Duration::from_millis(2490);
/// How long an answer to a player that is ahead may be waited for: three target durations (6.2.5.2).
pub const WAITS: Duration = Duration::from_secs(6);
/// How long a file may be read: whoever takes longer is not live, and would keep in memory what nobody else needs.
pub const READ_WITHIN: Duration = Duration::from_secs(30);
/// A stream is packaged for so long after somebody asked for something of it.
pub const IDLE_AFTER: Duration = Duration::from_secs(10);
/// How long sound is waited for that a camera should have, before its stream begins without.
pub const SOUND_WITHIN: Duration = Duration::from_millis(500);
/// Sound that was not heard for so long is gone.
const SOUND_GONE: Duration = Duration::from_secs(1);

/// What a player is given of a camera: one of its streams, with its sound or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LiveView {
    /// The stream.
    pub stream: Stream,
    /// Whether its sound is in it, where the camera has any.
    pub sound: bool,
}

impl LiveView {
    /// Reads the word that addresses hold. Errors with `NotFound`.
    pub fn parse(word: &str) -> Result<Self> {
        let all = Stream::ALL.into_iter().flat_map(|stream| [true, false].map(|sound| Self { stream, sound }));
        let found = all.into_iter().find(|view| view.to_string() == word);
        found.ok_or_else(|| Error::not_found("there is no such stream"))
    }
}

/// As addresses hold it.
impl fmt::Display for LiveView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.stream, if self.sound { "" } else { "-mute" })
    }
}

/// A file of a stream, by the name that its playlist gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveFile {
    /// The header of what follows it.
    Map(u64),
    /// A whole segment.
    Segment(u64),
    /// A part of a segment, from 0 on.
    Part(u64, u32),
}

impl LiveFile {
    /// Reads a name. Errors with `NotFound`.
    pub fn parse(name: &str) -> Result<Self> {
        let number = |text: &str| -> Option<u64> {
            let is_plain = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
            is_plain.then(|| text.parse().ok()).flatten()
        };
        let read = || {
            if let Some(map) = name.strip_suffix(".mp4") {
                return number(map).map(Self::Map);
            }
            let name = name.strip_suffix(".m4s")?;
            match name.split_once('.') {
                Some((segment, part)) => Some(Self::Part(number(segment)?, number(part)?.try_into().ok()?)),
                None => number(name).map(Self::Segment),
            }
        };
        read().ok_or_else(|| Error::not_found("there is no such piece of a live stream"))
    }
}

impl fmt::Display for LiveFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map(run) => write!(f, "{run}.mp4"),
            Self::Segment(number) => write!(f, "{number}.m4s"),
            Self::Part(segment, part) => write!(f, "{segment}.{part}.m4s"),
        }
    }
}

/// What a picture begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveCut {
    /// Nothing: it belongs to the open part.
    Nothing,
    /// A part.
    Part,
    /// A part that begins a segment.
    Segment,
}

/// Cuts a stream into parts and segments, picture by picture.
#[derive(Clone, Copy, Debug)]
pub struct LiveCutter {
    part: Duration,
    cuts: Option<Cuts>,
}

impl Default for LiveCutter {
    fn default() -> Self {
        Self::of(PART)
    }
}

#[derive(Clone, Copy, Debug)]
struct Cuts {
    segment: MonoTime,
    part: MonoTime,
    newest: MonoTime,
}

impl LiveCutter {
    /// Parts are to be so long, where the pictures allow it.
    pub const fn of(part: Duration) -> Self {
        Self { part, cuts: None }
    }

    /// What the picture of this moment begins. A part ends before it would be longer than it should, as far as the last interval tells.
    pub fn place(&mut self, pts: MonoTime, keyframe: bool) -> LiveCut {
        let Some(cuts) = &mut self.cuts else {
            self.cuts = Some(Cuts { segment: pts, part: pts, newest: pts });
            return LiveCut::Segment;
        };
        let interval = pts.since(cuts.newest);
        cuts.newest = pts;
        let (part, segment) = (pts.since(cuts.part), pts.since(cuts.segment));
        let is_due = part + interval > self.part;
        if (keyframe && segment >= MIN_SEGMENT) || (is_due && segment + self.part > MAX_SEGMENT) {
            (cuts.segment, cuts.part) = (pts, pts);
            LiveCut::Segment
        } else if is_due {
            cuts.part = pts;
            LiveCut::Part
        } else {
            LiveCut::Nothing
        }
    }

    /// The source broke off: what comes next begins anew.
    pub fn end(&mut self) {
        self.cuts = None;
    }
}

/// Whether a stream has sound, as far as it was heard. Media Source waits for ever for sound that a header promises.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hearing(Option<MonoTime>);

impl Hearing {
    /// A packet of sound of this moment came.
    pub fn hear(&mut self, pts: MonoTime) {
        self.0 = self.0.max(Some(pts));
    }

    /// Whether there is sound beside a picture of this moment.
    pub fn is_heard(&self, pts: MonoTime) -> bool {
        self.0.is_some_and(|last| pts.since(last) <= SOUND_GONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> MonoTime {
        MonoTime(ms * 1000)
    }

    /// When parts begin, those that begin a segment negative; of pictures each `every_us` with a keyframe each `gop`.
    fn cuts(every_us: i64, gop: i64, pictures: i64) -> Vec<i64> {
        let mut cutter = LiveCutter::default();
        let placed = (0..pictures).filter_map(|n| match cutter.place(MonoTime(n * every_us), n % gop == 0) {
            LiveCut::Nothing => None,
            LiveCut::Part => Some(n),
            LiveCut::Segment => Some(-n),
        });
        placed.collect()
    }

    #[test]
    fn parts_are_a_third_of_a_second_and_segments_begin_at_keyframes() {
        assert_eq!(cuts(33_333, 30, 70), [0, 10, 20, -30, 40, 50, -60]);
        assert_eq!(cuts(66_667, 15, 31), [0, 5, 10, -15, 20, 25, -30]);
        assert_eq!(cuts(40_000, 25, 30), [0, 8, 16, 24, -25], "the rest before a keyframe is short");
        assert_eq!(cuts(1_000_000, 1, 3), [0, -1, -2], "a picture a second");
        assert_eq!(cuts(33_333, 1, 31), [0, 10, 20, -28], "each a keyframe");
        let long = cuts(40_000, 250, 130);
        assert_eq!(long.iter().filter(|n| **n < 0).copied().collect::<Vec<_>>(), [-56, -112], "a keyframe each 10 s");
        let mut cutter = LiveCutter::default();
        cutter.place(at(0), true);
        cutter.end();
        assert_eq!(cutter.place(at(40), true), LiveCut::Segment);
    }

    #[test]
    fn sound_that_is_not_heard_is_not_promised() {
        let mut hearing = Hearing::default();
        assert!(!hearing.is_heard(at(0)));
        hearing.hear(at(500));
        hearing.hear(at(480));
        assert!(hearing.is_heard(at(0)) && hearing.is_heard(at(1500)) && !hearing.is_heard(at(1501)));
    }

    #[test]
    fn addresses_name_what_a_player_gets() {
        let (main, sub) = (Stream::Main, Stream::Sub);
        for (word, stream, sound) in [("main", main, true), ("main-mute", main, false), ("sub-mute", sub, false)] {
            assert_eq!(LiveView::parse(word).expect("known"), LiveView { stream, sound });
        }
        assert!(LiveView::parse("auto").is_err() && LiveView::parse("").is_err());
    }

    #[test]
    fn names_of_pieces_are_plain_numbers() {
        for name in
            ["", ".mp4", "a.mp4", "1.2.3.m4s", "-1.m4s", "+1.m4s", "1.m4s.m4s", "9999999999999.m4s", "1.9999999999.m4s"]
        {
            assert!(LiveFile::parse(name).is_err(), "{name}");
        }
        for file in [LiveFile::Map(7), LiveFile::Segment(7), LiveFile::Part(7, 3)] {
            assert_eq!(LiveFile::parse(&file.to_string()).expect("a name"), file);
        }
    }
}
