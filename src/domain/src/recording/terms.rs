//! What a recorder is told, what it asks for, and how it is set.

use super::EventMark;
use crate::archive::GapCause;
use crate::event::EventConfig;
use crate::media::VideoCodec;
use crate::settings::Keys;
use perch_base::ids::EventId;
use perch_base::time::{MonoTime, Timestamp};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::time::Duration;

/// When to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordMode {
    /// Always.
    Continuous,
    /// Around events.
    Motion,
    /// Never.
    Off,
}

perch_base::all_of!(RecordMode { Continuous, Motion, Off });

/// What a recorder is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordingState {
    /// Set to `off`.
    Off,
    /// Waiting: for motion, or for the camera.
    Waiting,
    /// Writing. With a reason: something was lost a moment ago.
    Recording,
    /// Wants to write and cannot; the reason says why.
    Paused,
}

perch_base::all_of!(RecordingState { Off, Waiting, Recording, Paused });

/// A recorder's state and reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingStatus {
    /// What it is doing.
    pub state: RecordingState,
    /// A sentence for people; empty when all is well.
    pub reason: String,
    /// Whether it is paused because what the camera sends cannot be recorded, whatever the disk says.
    #[serde(skip)]
    pub is_unrecordable: bool,
}

impl RecordingStatus {
    /// A state that is not the stream's fault.
    pub fn new(state: RecordingState, reason: impl Into<String>) -> Self {
        Self { state, reason: reason.into(), is_unrecordable: false }
    }
}

/// How a camera is recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordConfig {
    /// When to write.
    pub mode: RecordMode,
    /// Longest file.
    pub segment_max: Duration,
    /// Kept from before an event's first motion.
    pub pre_roll: Duration,
    /// Kept after an event's last motion.
    pub post_roll: Duration,
    /// Motion that comes back within this time belongs to the same event.
    pub gap: Duration,
    /// Longest event: a scene that stays busy is cut into chapters, each an event of its own.
    pub chapter: Duration,
}

impl From<&RecordConfig> for EventConfig {
    fn from(record: &RecordConfig) -> Self {
        let RecordConfig { gap, post_roll, chapter, .. } = *record;
        Self { min_hits: Self::MIN_HITS, gap, post_roll, chapter }
    }
}

impl Default for RecordConfig {
    fn default() -> Self {
        Self {
            mode: RecordMode::Continuous,
            segment_max: Duration::from_secs(60),
            pre_roll: Duration::from_secs(5),
            post_roll: Duration::from_secs(5),
            gap: Duration::from_secs(10),
            chapter: EventConfig::CHAPTER,
        }
    }
}

/// The longest that files can be set to.
pub const LONGEST_FILE: Duration = Duration::from_secs(3600);

impl RecordConfig {
    const SEGMENT: RangeInclusive<Duration> = Duration::from_secs(5)..=LONGEST_FILE;
    const PRE_ROLL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30);
    const POST_ROLL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(120);
    const GAP: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(600);
    const CHAPTER: RangeInclusive<Duration> = Duration::from_secs(10)..=EventConfig::CHAPTER;

    /// Reads `record` of a camera that sends `codec` and whose motion is looked for, or not.
    pub fn read(mut keys: impl Keys, codec: VideoCodec, has_motion: bool) -> Self {
        let d = Self::default();
        let words = [("continuous", RecordMode::Continuous), ("motion", RecordMode::Motion), ("off", RecordMode::Off)];
        let default_mode = if codec.is_recorded() { "continuous" } else { "off" };
        let read = Self {
            mode: keys.choice("mode", default_mode, &words),
            segment_max: keys.seconds("segment_max_s", d.segment_max, Self::SEGMENT),
            pre_roll: keys.seconds("pre_roll_s", d.pre_roll, Self::PRE_ROLL),
            post_roll: keys.seconds("post_roll_s", d.post_roll, Self::POST_ROLL),
            gap: keys.seconds("gap_s", d.gap, Self::GAP),
            chapter: keys.seconds("chapter_s", d.chapter, Self::CHAPTER),
        };
        let word = words.iter().find(|(_, mode)| *mode == read.mode).map_or("", |(word, _)| word);
        if !codec.is_recorded() && read.mode != RecordMode::Off {
            keys.problem("mode", word, "must be `off` with codec = \"vp8\": it is not recorded");
        }
        if read.mode == RecordMode::Motion && !has_motion {
            keys.problem("mode", word, "needs motion.enabled = true: nothing would ever be recorded");
        }
        if read.pre_roll > read.segment_max {
            let rule = "must be at most segment_max_s: an event's file begins with all of it";
            keys.problem("pre_roll_s", read.pre_roll.as_secs_f64(), rule);
        }
        keys.finish();
        read
    }
}

/// Both clocks, read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Steady time: moments are remembered in it, so that they stay true when the clock is set.
    pub mono: MonoTime,
    /// Civil time: what files and gaps are entered under.
    pub utc: Timestamp,
}

/// What a file can hold only one of.
#[derive(Clone, Debug, PartialEq)]
pub struct Format<F> {
    /// The picture's format; only compared.
    pub picture: F,
    /// Whether there is sound.
    pub sound: bool,
}

/// A part of the stream (see [`super::parts`]) with the sound that goes with it, and its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<P, F> {
    /// Time of its first picture.
    pub start: MonoTime,
    /// Time of the next part's first picture, or where the source stopped.
    pub end: MonoTime,
    /// Whether what the source sends next joins it without a hole.
    pub joined: bool,
    /// Whether decoding can start at its first picture. A file begins with such a part only.
    pub starts: bool,
    /// Bytes of memory it takes.
    pub size_bytes: usize,
    /// What it is made of.
    pub format: Format<F>,
    /// What the shell will write.
    pub payload: P,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input<P, F> {
    /// A part was completed.
    Part(Part<P, F>),
    /// Pictures came of which nothing can be written, and why (a sentence's end: "the keyframe has no SPS").
    Unusable {
        /// The first of them.
        start: MonoTime,
        /// The end of the last one that is known.
        end: MonoTime,
        /// Why.
        reason: String,
    },
    /// The motion detector's word.
    Mark(EventMark),
    /// Time passes: every few seconds.
    Tick {
        /// Whether the camera delivers pictures. One whose pictures are rare is not silent.
        is_live: bool,
    },
    /// All that was asked is done.
    Wrote,
    /// What was asked could not be done from some step on (see [`Step::failure_pauses`]); the rest was left.
    Failed {
        /// The disk's fault, where it is one.
        cause: Option<GapCause>,
        /// The error, for people.
        reason: String,
    },
    /// A gap could not be entered: it is asked again later.
    NotNoted(Note),
    /// The disk takes very long over what was asked. One of [`Input::Wrote`] and [`Input::Failed`] will come still.
    Hung,
    /// The recorder was cut off from the camera, because the disk did not keep up.
    CutOff,
    /// The box goes down, or the camera is taken away.
    Stop,
}

/// What the shell has to do, in this order. It answers steps other than [`Step::Publish`] with [`Input::Wrote`] or
/// [`Input::Failed`] before anything else.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<P, F> {
    /// Begin a file whose time 0 is `start`.
    Open {
        /// Presentation time of its first keyframe.
        start: MonoTime,
        /// The same in civil time.
        at: Timestamp,
        /// The event it belongs to.
        event: Option<EventId>,
        /// Whether it belongs to the tail: what comes after an event's post-roll while more motion may still continue the event.
        tail: bool,
        /// What it holds.
        format: Format<F>,
    },
    /// Append one fragment.
    Write(Part<P, F>),
    /// Close the file.
    Seal,
    /// Give up the open file, as far as it came, and forget the tail: its files stay as they are.
    Abandon,
    /// It is known what the files of the tail are.
    Tail(Fate),
    /// Cut every earlier file of this camera back to end at `at`: its tail is now in the event's file.
    Trim {
        /// A keyframe's time.
        at: Timestamp,
    },
    /// Enter why nothing is recorded.
    NoteGap(Note),
    /// Find out whether the disk can be written: nothing else will tell.
    Probe,
    /// Say how recording is.
    Publish(RecordingStatus),
}

impl<P, F> Step<P, F> {
    /// Whether recording pauses when this step fails. Only a disk that cannot be written (`cause`) stops it over what it can do
    /// without: files that could not be cut, given to their event or removed stay on the disk as background.
    pub fn failure_pauses(&self, cause: Option<GapCause>) -> bool {
        match self {
            Self::Open { .. } | Self::Write(_) | Self::Seal | Self::Probe => true,
            Self::Tail(_) | Self::Trim { .. } => cause.is_some(),
            Self::Abandon | Self::NoteGap(_) | Self::Publish(_) => false,
        }
    }
}

/// What becomes of the files of a tail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It moved again before the gap was over: they are the event's.
    Claimed(EventId),
    /// The event is over, and everything is recorded: they stay, as background.
    Kept,
    /// The event is over, and only events are recorded: they go.
    Discarded,
}

/// Why nothing is recorded from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its start.
    pub from: Timestamp,
    /// Its end so far; later than `from`.
    pub to: Timestamp,
    /// Why.
    pub cause: GapCause,
}
