//! A camera's health as people see it, and the watches that decide when a capture has stalled and a microphone fallen silent.

use crate::switched_off::SwitchedOff;
use crate::trouble::{Trouble, TroubleCause};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind};
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;

/// What a camera is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraState {
    /// The pipeline is built, no frame has come yet.
    Starting,
    /// Frames arrive.
    Live,
    /// Frames arrive, and the box cannot capture or encode them all or in time; the reason says what to lower.
    Overloaded,
    /// Frames stopped; a restart is on its way.
    Stalled,
    /// The device, file or remote camera is not there.
    Missing,
    /// It cannot run as configured; the reason says what to change.
    Failed,
    /// Somebody or something switched it off: nothing is captured, and its device is closed.
    Off,
}

perch_base::all_of!(CameraState { Starting, Live, Overloaded, Stalled, Missing, Failed, Off });

impl CameraState {
    /// Whether frames arrive.
    pub fn delivers(self) -> bool {
        matches!(self, Self::Live | Self::Overloaded)
    }

    /// What keeps a camera of this state from giving pictures, where nothing else said it.
    pub fn cause(self) -> Option<TroubleCause> {
        match self {
            Self::Live | Self::Overloaded | Self::Off | Self::Starting => None,
            Self::Stalled => Some(TroubleCause::Stalled),
            Self::Missing => Some(TroubleCause::Silent),
            Self::Failed => Some(TroubleCause::WrongSettings),
        }
    }

    /// Whether no picture comes before somebody acts: whoever wants to watch is told so at once, while a start or a restart is waited for.
    pub fn is_hopeless(self) -> bool {
        matches!(self, Self::Missing | Self::Failed | Self::Off)
    }
}

/// State, reason and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CameraHealth {
    /// What it is doing.
    pub state: CameraState,
    /// What was said last, for who looks for a cause: by the camera, the driver, GStreamer. Empty while live, but where the camera gives
    /// fewer pictures than were asked for. What people are told where there is no picture is `trouble`.
    pub reason: String,
    /// Why there is no picture, in the words of its kind of camera; `None` while there is, or one is about to come.
    pub trouble: Option<Trouble>,
    /// Since when, UTC.
    pub since: Timestamp,
    /// How often capture was restarted since the box started.
    pub restarts: u64,
    /// Why its microphone gives no sound, a sentence for people; empty while it does or none is wanted.
    pub sound_problem: String,
    /// Why motion is not judged, a sentence for people; empty while it is or need not be.
    pub motion_problem: String,
    /// Why there is no small stream although it is wanted, a sentence for people; empty while there is or none is wanted.
    pub small_problem: String,
    /// That it gives far fewer pictures than it was asked for, and what to do, a sentence for people; empty while it gives enough.
    pub rate_problem: String,
    /// What people should know although it goes on, sentences without a full stop: how live viewing is limited, what the camera does wrong.
    pub notes: Vec<String>,
    /// By whom it is switched off, since when and until when; `None`: it is not.
    pub off: Option<SwitchedOff>,
}

/// Notes that are kept of a camera.
const MAX_NOTES: usize = 8;

impl CameraHealth {
    /// The health of a camera that was just switched on.
    pub fn starting(now: Timestamp) -> Self {
        let (state, reason) = (CameraState::Starting, "starting".into());
        let (sound_problem, motion_problem, small_problem, rate_problem) = Default::default();
        let (trouble, notes, off) = (None, Vec::new(), None);
        Self {
            state,
            reason,
            trouble,
            since: now,
            restarts: 0,
            sound_problem,
            motion_problem,
            small_problem,
            rate_problem,
            notes,
            off,
        }
    }

    /// Whether there is no picture, and that is a fault: a start is short, unless it is known what it waits for.
    pub fn is_without_picture(&self) -> bool {
        match self.state {
            CameraState::Live | CameraState::Overloaded | CameraState::Off => false,
            CameraState::Starting => self.trouble.is_some(),
            CameraState::Stalled | CameraState::Missing | CameraState::Failed => true,
        }
    }

    /// It is switched off: whatever was wrong with it is no more.
    pub fn switch_off(&mut self, off: &SwitchedOff) {
        let restarts = self.restarts;
        *self = Self { restarts, off: Some(off.clone()), ..Self::starting(off.since) };
        self.state = CameraState::Off;
        self.reason = format!("switched off {}", off.by.told());
    }

    /// For who may watch and not manage: in the words for people may stand a camera's address or a file's path.
    pub fn for_viewer(mut self) -> Self {
        let reason = match self.state {
            CameraState::Live => "",
            CameraState::Overloaded => "it has fewer pictures than it should",
            CameraState::Starting => "starting",
            CameraState::Stalled => "its pictures stopped",
            CameraState::Missing => "it is not there",
            CameraState::Failed => "it cannot run as it is set up",
            // By whom is all that it says.
            CameraState::Off => self.reason.as_str(),
        };
        self.reason = reason.to_owned();
        if !self.sound_problem.is_empty() {
            self.sound_problem = "the microphone does not work".into();
        }
        if !self.small_problem.is_empty() {
            self.small_problem = "there is no small stream".into();
        }
        if !self.rate_problem.is_empty() {
            self.rate_problem = "it gives fewer than it should".into();
        }
        self.notes.clear();
        self
    }

    /// Notes something once. False where that is no news, or there are enough.
    pub fn note(&mut self, what: &str) -> bool {
        let is_news = self.notes.len() < MAX_NOTES && !self.notes.iter().any(|note| note == what);
        if is_news {
            self.notes.push(what.to_owned());
        }
        is_news
    }

    /// Moves to `state`; `since` moves only when the state changes.
    pub fn set(&mut self, state: CameraState, trouble: Option<Trouble>, reason: impl Into<String>, now: Timestamp) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
        self.trouble = trouble;
        self.reason = reason.into();
    }
}

/// How long a device of the box may be without a new picture.
pub const STALL_AFTER: Duration = Duration::from_secs(3);
/// How long a network camera may be. A network that stood still goes on after some seconds: TCP sends again after 0.2, 0.6, 1.4, 3 and
/// 6.2 s (RFC 6298), and a new session would cost more pictures than it.
pub const NETWORK_STALL_AFTER: Duration = Duration::from_secs(10);
/// The longest that pictures of a slow camera are waited for.
const LONGEST_STALL: Duration = Duration::from_secs(120);
/// A camera may be silent this many times as long as it was between two pictures of late.
const TIMES_ITS_PACE: u32 = 3;
/// Intervals that are looked back on.
const INTERVALS: usize = 8;
/// How long capture may take to its first picture: a network camera and a slow Pi need longer than a stall.
pub const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(15);
/// How long the first picture of a network camera that sends pictures is waited for: decoding begins at a keyframe, and some send one
/// every few minutes.
pub const KEYFRAME_WITHIN: Duration = Duration::from_secs(900);
/// Somebody is told what is waited for after this long.
const SAY_AFTER: Duration = Duration::from_secs(5);

/// What is waited for where a camera sends pictures and none that decoding can begin with.
pub const WAITS_FOR_KEYFRAME: &str =
    "waits for the camera's next keyframe: set a shorter keyframe interval in the camera";

/// A picture that is decoded and encoded here takes no longer than this, a decoder and an encoder that begin included.
const ENCODED_WITHIN: Duration = Duration::from_secs(20);

/// Watches the progress of one capture attempt from outside.
#[derive(Clone, Debug)]
pub struct StallWatch {
    started: MonoTime,
    floor: Duration,
    last_frame: Option<MonoTime>,
    /// When something came of which no picture could be made yet.
    last_sign: Option<MonoTime>,
    /// When the first picture came of which nothing was made since, where pictures are encoded here.
    unanswered: Option<MonoTime>,
    are_encoded_here: bool,
    intervals: VecDeque<Duration>,
}

/// What the watch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallVerdict {
    /// Frames arrive, or are not due yet: look again at this moment.
    WaitUntil(MonoTime),
    /// Pictures come, and decoding cannot begin with any of them ([`WAITS_FOR_KEYFRAME`]): look again at this moment.
    AwaitsKeyframe(MonoTime),
    /// No frame since this long: restart.
    Stalled(Duration),
    /// Never a frame within [`FIRST_FRAME_WITHIN`] or, where something came, [`KEYFRAME_WITHIN`]: restart.
    NeverStarted,
    /// Pictures come, and nothing is made of any ([`undecodable`]): end the attempt.
    Undecodable,
}

impl StallWatch {
    /// Watches an attempt that began at `now` and may be silent for `floor` whatever its pace.
    pub fn new(now: MonoTime, floor: Duration) -> Self {
        let (last_frame, last_sign, unanswered) = (None, None, None);
        let are_encoded_here = false;
        Self { started: now, floor, last_frame, last_sign, unanswered, are_encoded_here, intervals: VecDeque::new() }
    }

    /// Whether a sign is a picture that is decoded and encoded here: no keyframe is waited for.
    pub fn encoded_here(&mut self, are_encoded_here: bool) {
        self.are_encoded_here = are_encoded_here;
    }

    /// A frame came at `at`.
    pub fn frame(&mut self, at: MonoTime) {
        if let Some(last) = self.last_frame.filter(|last| *last < at) {
            if self.intervals.len() >= INTERVALS {
                self.intervals.pop_front();
            }
            self.intervals.push_back(at.since(last));
        }
        self.last_frame = Some(self.last_frame.map_or(at, |last| last.max(at)));
        self.unanswered = self.unanswered.filter(|came| *came > at);
    }

    /// Something came at `at` of which no picture could be made yet.
    pub fn sign(&mut self, at: MonoTime) {
        self.last_sign = Some(self.last_sign.map_or(at, |last| last.max(at)));
        if self.unanswered.is_none() && self.last_frame.is_none_or(|frame| frame < at) {
            self.unanswered = Some(at);
        }
    }

    /// How long it may be silent, by its own pace.
    pub fn limit(&self) -> Duration {
        let longest = self.intervals.iter().max().copied().unwrap_or_default();
        self.floor.max((longest * TIMES_ITS_PACE).min(LONGEST_STALL))
    }

    /// Whether it has been silent for longer than its pace explains, though it is waited for still. A single picture tells nothing of a pace.
    pub fn is_silent(&self, now: MonoTime) -> bool {
        let patience = match self.intervals.is_empty() {
            true => self.limit(),
            false => STALL_AFTER.max(self.limit() * 2 / 5),
        };
        self.last_frame.is_some_and(|last| now.since(last) >= patience)
    }

    /// The verdict at `now`.
    pub fn check(&self, now: MonoTime) -> StallVerdict {
        let patience = if self.last_frame.is_none() { self.floor.max(FIRST_FRAME_WITHIN) } else { self.limit() };
        if self.are_encoded_here
            && let Some((came, last)) = self.unanswered.zip(self.last_sign)
            && now.since(last) < patience
        {
            return match now.since(came) >= ENCODED_WITHIN {
                true => StallVerdict::Undecodable,
                false => StallVerdict::WaitUntil(came + ENCODED_WITHIN),
            };
        }
        if let Some(last) = self.last_frame {
            let (limit, still) = (self.limit(), now.since(last));
            let is_cut_off = |sign: MonoTime| sign > last && now.since(sign) < limit && still < KEYFRAME_WITHIN;
            return match self.last_sign {
                // Something was lost on the way, and nothing leads on before the next keyframe.
                Some(sign) if still >= SAY_AFTER && is_cut_off(sign) => {
                    StallVerdict::AwaitsKeyframe(last + KEYFRAME_WITHIN)
                }
                _ if still >= limit => StallVerdict::Stalled(still),
                _ => StallVerdict::WaitUntil(last + limit),
            };
        }
        let waited = now.since(self.started);
        match self.last_sign.filter(|last| now.since(*last) < self.floor.max(FIRST_FRAME_WITHIN)) {
            Some(_) if waited >= KEYFRAME_WITHIN => StallVerdict::NeverStarted,
            Some(_) if waited >= SAY_AFTER => StallVerdict::AwaitsKeyframe(self.started + KEYFRAME_WITHIN),
            Some(_) => StallVerdict::WaitUntil(self.started + SAY_AFTER),
            None if waited >= FIRST_FRAME_WITHIN => StallVerdict::NeverStarted,
            None => StallVerdict::WaitUntil(self.started + FIRST_FRAME_WITHIN),
        }
    }
}

/// A card that delivers nothing for this long while somebody listens has stopped, though it reports no error.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// Watches one attempt of a microphone from outside its pipeline.
#[derive(Clone, Debug)]
pub struct SoundWatch {
    /// When it delivered last, or when it last had no need to.
    since: MonoTime,
    was_heard: bool,
}

/// What the watch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundVerdict {
    /// It delivered for the first time: it works.
    Heard,
    /// It works on, is not due yet, or nobody listens.
    GoOn,
    /// It delivers nothing: restart.
    Silent,
}

impl SoundWatch {
    /// Watches an attempt that began at `now`.
    pub fn new(now: MonoTime) -> Self {
        Self { since: now, was_heard: false }
    }

    /// The verdict at `now`, when it delivered last at `last` and somebody listens or not: without that it may be silent.
    pub fn look(&mut self, now: MonoTime, last: Option<MonoTime>, is_wanted: bool) -> SoundVerdict {
        if let Some(last) = last.filter(|last| *last > self.since) {
            self.since = last;
            if !std::mem::replace(&mut self.was_heard, true) {
                return SoundVerdict::Heard;
            }
        } else if !is_wanted {
            self.since = now;
        } else if now.since(self.since) >= SILENT_AFTER {
            return SoundVerdict::Silent;
        }
        SoundVerdict::GoOn
    }
}

/// Sound that was heard and then stops for this long is gone; some cameras send none while it is quiet.
const GONE_AFTER: Duration = Duration::from_secs(60);

/// Watches whether the sound that a network camera offers comes.
#[derive(Clone, Debug)]
pub struct OfferedSound {
    began: MonoTime,
    is_heard: Option<bool>,
}

impl OfferedSound {
    /// Watches a session that offered sound at `now`.
    pub fn new(now: MonoTime) -> Self {
        Self { began: now, is_heard: None }
    }

    /// Whether it is heard at `now`, where something came last at `last`; only where that is news.
    pub fn look(&mut self, now: MonoTime, last: Option<MonoTime>) -> Option<bool> {
        let (since, limit) = last.map_or((self.began, SILENT_AFTER), |last| (last, GONE_AFTER));
        let is_heard = match now.since(since) < limit {
            true if last.is_none() => return None,
            is_heard => is_heard,
        };
        (self.is_heard.replace(is_heard) != Some(is_heard)).then_some(is_heard)
    }
}

/// What is wrong with a camera whose pictures are encoded here, where nothing is made of them.
pub fn undecodable() -> Error {
    let why = "its JPEG pictures cannot be decoded on this box: set the camera to H.264 or H.265";
    Error::new(ErrorKind::Unsupported, why)
}

/// Why no picture came by `now`: what was `said` last in its session says more than its silence.
pub fn never_started(now: MonoTime, last_sign: Option<MonoTime>, said: Option<String>) -> Error {
    // Of one that sent something only at first, what was said counts.
    let message = match last_sign.filter(|sign| now.since(*sign) < FIRST_FRAME_WITHIN) {
        Some(_) => {
            let minutes = KEYFRAME_WITHIN.as_secs() / 60;
            format!("sent no keyframe within {minutes} minutes: set a shorter keyframe interval in the camera")
        }
        None => said.unwrap_or_else(|| {
            format!("sent no picture within {} s: is it busy or asleep?", FIRST_FRAME_WITHIN.as_secs())
        }),
    };
    Error::new(ErrorKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(n: f64) -> MonoTime {
        MonoTime((n * 1e6) as i64)
    }

    #[test]
    fn a_state_delivers_or_is_hopeless_or_is_waited_for() {
        use CameraState::*;
        for (state, delivers, is_hopeless) in [
            (Starting, false, false),
            (Live, true, false),
            (Overloaded, true, false),
            (Off, false, true),
            (Stalled, false, false),
            (Missing, false, true),
            (Failed, false, true),
        ] {
            assert_eq!((state.delivers(), state.is_hopeless()), (delivers, is_hopeless), "{state:?}");
        }
    }

    #[test]
    fn restarts_after_three_seconds_without_a_frame() {
        let mut w = StallWatch::new(s(0.0), STALL_AFTER);
        assert_eq!(w.check(s(14.0)), StallVerdict::WaitUntil(s(15.0)));
        assert_eq!(w.check(s(15.0)), StallVerdict::NeverStarted);
        w.frame(s(15.5));
        assert_eq!(w.check(s(18.4)), StallVerdict::WaitUntil(s(18.5)));
        assert_eq!(w.check(s(18.5)), StallVerdict::Stalled(Duration::from_secs(3)));
    }

    #[test]
    fn a_camera_may_be_silent_by_its_own_pace() {
        // Floor, the moments of pictures, then until when it is waited.
        let cases: [(&str, Duration, &[f64], f64); 7] = [
            ("a fast one", STALL_AFTER, &[0.0, 0.04, 0.08], 3.08),
            ("one every 4 s", NETWORK_STALL_AFTER, &[0.0, 4.0, 8.0], 20.0),
            ("its second picture is not known yet", NETWORK_STALL_AFTER, &[0.0], 10.0),
            ("after 9 s of a network that stood still", NETWORK_STALL_AFTER, &[0.0, 0.04, 9.04, 9.08], 36.08),
            ("one every 9 s", NETWORK_STALL_AFTER, &[0.0, 9.0], 36.0),
            ("one a minute", NETWORK_STALL_AFTER, &[0.0, 60.0], 180.0),
            ("that is long ago", NETWORK_STALL_AFTER, &[0.0, 9.0, 9.1, 9.2, 9.3, 9.4, 9.5, 9.6, 9.7, 9.8], 19.8),
        ];
        for (name, floor, frames, until) in cases {
            let mut w = StallWatch::new(s(0.0), floor);
            frames.iter().for_each(|at| w.frame(s(*at)));
            assert_eq!(w.check(s(until - 0.01)), StallVerdict::WaitUntil(s(until)), "{name}");
            assert!(matches!(w.check(s(until)), StallVerdict::Stalled(_)), "{name}");
        }
    }

    #[test]
    fn a_keyframe_is_waited_for_as_long_as_pictures_come() {
        let mut w = StallWatch::new(s(0.0), NETWORK_STALL_AFTER);
        let minutes = s(KEYFRAME_WITHIN.as_secs_f64());
        for at in 0..900 {
            w.sign(s(f64::from(at)));
            let want = if at < 5 { StallVerdict::WaitUntil(s(5.0)) } else { StallVerdict::AwaitsKeyframe(minutes) };
            assert_eq!(w.check(s(f64::from(at))), want, "{at} s");
        }
        assert_eq!(w.check(minutes), StallVerdict::NeverStarted);
        let mut w = StallWatch::new(s(0.0), NETWORK_STALL_AFTER);
        w.sign(s(40.0));
        assert!(matches!(w.check(s(54.9)), StallVerdict::AwaitsKeyframe(_)));
        assert_eq!(w.check(s(55.0)), StallVerdict::NeverStarted, "nothing comes any more");
        w.frame(s(55.0));
        assert_eq!(w.check(s(55.0)), StallVerdict::WaitUntil(s(65.0)));
        assert!(!w.is_silent(s(64.9)), "its pace is not known");
        w.frame(s(55.1));
        assert!(!w.is_silent(s(59.0)) && w.is_silent(s(59.1)));
        // Something is lost, and what comes then leads on from nothing.
        for at in 56..120 {
            w.sign(s(f64::from(at)));
            let awaits = matches!(w.check(s(f64::from(at))), StallVerdict::AwaitsKeyframe(_));
            assert_eq!(awaits, at > 60, "{at} s");
        }
        assert!(matches!(w.check(s(128.9)), StallVerdict::AwaitsKeyframe(_)));
        assert!(matches!(w.check(s(129.0)), StallVerdict::Stalled(_)), "nothing comes any more");
    }

    #[test]
    fn pictures_of_which_nothing_can_be_made_are_no_wait_for_a_keyframe() {
        let watch = || {
            let mut watch = StallWatch::new(s(0.0), NETWORK_STALL_AFTER);
            watch.encoded_here(true);
            watch
        };
        let mut never = watch();
        for at in 1..21 {
            never.sign(s(f64::from(at)));
            assert_eq!(never.check(s(f64::from(at))), StallVerdict::WaitUntil(s(21.0)), "{at} s");
        }
        never.sign(s(21.0));
        assert_eq!(never.check(s(21.0)), StallVerdict::Undecodable);
        assert_eq!(never.check(s(36.0)), StallVerdict::NeverStarted, "nothing comes any more");
        // Some are left out, as they are more than are asked for.
        let mut well = watch();
        for at in 1..120 {
            if at % 15 == 0 {
                well.frame(s(f64::from(at)));
            }
            well.sign(s(f64::from(at) + 0.1));
            assert!(matches!(well.check(s(f64::from(at) + 0.1)), StallVerdict::WaitUntil(_)), "{at} s");
        }
        for at in 120..125 {
            well.sign(s(f64::from(at)));
            assert_eq!(well.check(s(f64::from(at))), StallVerdict::WaitUntil(s(125.1)), "{at} s");
        }
        well.sign(s(125.1));
        assert_eq!(well.check(s(125.1)), StallVerdict::Undecodable, "it worked before");
        let mut ends = watch();
        [0.0, 0.1].into_iter().for_each(|at| ends.frame(s(at)));
        ends.sign(s(0.2));
        assert!(matches!(ends.check(s(10.2)), StallVerdict::Stalled(_)), "the last one was left out");
    }

    #[test]
    fn a_note_is_kept_once_and_not_without_end() {
        let mut health = CameraHealth::starting(Timestamp(0));
        assert!(health.note("a") && !health.note("a"));
        let more = (0..20).filter(|n| health.note(&n.to_string())).count();
        assert_eq!((more, health.notes.len()), (7, MAX_NOTES));
        assert!(health.for_viewer().notes.is_empty());
    }

    /// Looks once a second at stretches of (seconds, whether it delivers, whether somebody listens); what was said, and when.
    fn sounds(stretches: &[(u32, bool, bool)]) -> Vec<(u32, SoundVerdict)> {
        let mut watch = SoundWatch::new(s(0.0));
        let (mut said, mut at, mut last) = (vec![], 0, None);
        for (seconds, delivers, is_wanted) in stretches {
            for _ in 0..*seconds {
                at += 1;
                let now = s(f64::from(at));
                last = if *delivers { Some(now) } else { last };
                match watch.look(now, last, *is_wanted) {
                    SoundVerdict::GoOn => {}
                    verdict => said.push((at, verdict)),
                }
            }
        }
        said
    }

    #[test]
    fn a_microphone_is_silent_after_five_seconds_without_sound_for_who_listens() {
        use SoundVerdict::{Heard, Silent};
        type Case<'a> = (&'a str, &'a [(u32, bool, bool)], &'a [(u32, SoundVerdict)]);
        let cases: &[Case] = &[
            ("works", &[(60, true, true)], &[(1, Heard)]),
            ("never delivers", &[(4, false, true)], &[]),
            ("never delivers, for long", &[(5, false, true)], &[(5, Silent)]),
            ("works at first", &[(10, true, true), (5, false, true)], &[(1, Heard), (15, Silent)]),
            ("a hiccup", &[(10, true, true), (4, false, true), (10, true, true)], &[(1, Heard)]),
            ("works late", &[(4, false, true), (10, true, true)], &[(5, Heard)]),
            ("nobody listens", &[(60, false, false)], &[]),
            ("nobody listens, and it works all the same", &[(60, true, false)], &[(1, Heard)]),
            ("somebody begins to listen", &[(60, false, false), (4, false, true)], &[]),
            ("who begins to listen hears nothing", &[(60, false, false), (5, false, true)], &[(65, Silent)]),
            ("nobody listens between", &[(4, false, true), (1, false, false), (4, false, true)], &[]),
        ];
        for (name, stretches, want) in cases {
            assert_eq!(sounds(stretches), *want, "{name}");
        }
    }

    #[test]
    fn sound_that_is_offered_comes_or_is_missed() {
        // (seconds, whether it comes); then what is said, and when.
        type Case<'a> = (&'a str, &'a [(u32, bool)], &'a [(u32, bool)]);
        let cases: &[Case] = &[
            ("comes", &[(90, true)], &[(1, true)]),
            ("never comes", &[(90, false)], &[(5, false)]),
            ("comes late", &[(4, false), (9, true)], &[(5, true)]),
            ("comes very late", &[(30, false), (9, true)], &[(5, false), (31, true)]),
            ("is quiet for a while", &[(9, true), (59, false), (9, true)], &[(1, true)]),
            ("stops", &[(9, true), (70, false), (9, true)], &[(1, true), (69, false), (80, true)]),
        ];
        for (name, stretches, want) in cases {
            let mut watch = OfferedSound::new(s(0.0));
            let (mut said, mut at, mut last) = (vec![], 0, None);
            for (seconds, comes) in *stretches {
                for _ in 0..*seconds {
                    at += 1;
                    last = if *comes { Some(s(f64::from(at))) } else { last };
                    said.extend(watch.look(s(f64::from(at)), last).map(|is_heard| (at, is_heard)));
                }
            }
            assert_eq!(said, *want, "{name}");
        }
    }

    #[test]
    fn since_moves_only_with_the_state() {
        let mut h = CameraHealth::starting(Timestamp(0));
        h.set(CameraState::Missing, None, "no device", Timestamp(5));
        h.set(CameraState::Missing, None, "still no device", Timestamp(9));
        assert_eq!((h.since, h.reason.as_str()), (Timestamp(5), "still no device"));
    }
}
