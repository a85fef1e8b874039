//! A camera's health as people see it, the watches that decide when a capture has stalled and a microphone fallen silent, and the
//! look at whether the box keeps up.

use perch_base::time::{MonoTime, Timestamp};
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
    /// Frames arrive, and the box cannot encode them all or in time; the reason says what to lower.
    Overloaded,
    /// Frames stopped; a restart is on its way.
    Stalled,
    /// The device, file or remote camera is not there.
    Missing,
    /// It cannot run as configured; the reason says what to change.
    Failed,
}

perch_base::all_of!(CameraState { Starting, Live, Overloaded, Stalled, Missing, Failed });

impl CameraState {
    /// Whether frames arrive.
    pub fn delivers(self) -> bool {
        matches!(self, Self::Live | Self::Overloaded)
    }

    /// Whether no picture comes before somebody acts: whoever wants to watch is told so at once, while a start or a restart is waited for.
    pub fn is_hopeless(self) -> bool {
        matches!(self, Self::Missing | Self::Failed)
    }
}

/// State, reason and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CameraHealth {
    /// What it is doing.
    pub state: CameraState,
    /// A sentence for people; empty while live.
    pub reason: String,
    /// Since when, UTC.
    pub since: Timestamp,
    /// How often capture was restarted since the box started.
    pub restarts: u64,
    /// Why its microphone gives no sound, a sentence for people; empty while it does or none is wanted.
    pub sound_problem: String,
    /// Why motion is not judged, a sentence for people; empty while it is or need not be.
    pub motion_problem: String,
}

impl CameraHealth {
    /// The health of a camera that was just switched on.
    pub fn starting(now: Timestamp) -> Self {
        let (state, reason) = (CameraState::Starting, "starting".into());
        let (sound_problem, motion_problem) = (String::new(), String::new());
        Self { state, reason, since: now, restarts: 0, sound_problem, motion_problem }
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
        };
        self.reason = reason.into();
        if !self.sound_problem.is_empty() {
            self.sound_problem = "the microphone does not work".into();
        }
        self
    }

    /// Moves to `state`; `since` moves only when the state changes.
    pub fn set(&mut self, state: CameraState, reason: impl Into<String>, now: Timestamp) {
        if self.state != state {
            self.state = state;
            self.since = now;
        }
        self.reason = reason.into();
    }
}

/// How long capture may be without a new frame.
pub const STALL_AFTER: Duration = Duration::from_secs(3);
/// How long capture may take to its first frame: a network camera and a slow Pi need longer than a stall.
pub const FIRST_FRAME_WITHIN: Duration = Duration::from_secs(15);

/// Watches the progress of one capture attempt from outside its pipeline.
#[derive(Clone, Debug)]
pub struct StallWatch {
    started: MonoTime,
    last_frame: Option<MonoTime>,
}

/// What the watch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallVerdict {
    /// Frames arrive, or are not due yet: look again at this moment.
    WaitUntil(MonoTime),
    /// No frame since this long: restart.
    Stalled(Duration),
    /// Never a frame within [`FIRST_FRAME_WITHIN`]: restart.
    NeverStarted,
}

impl StallWatch {
    /// Watches an attempt that began at `now`.
    pub fn new(now: MonoTime) -> Self {
        Self { started: now, last_frame: None }
    }

    /// A frame came at `at`.
    pub fn frame(&mut self, at: MonoTime) {
        self.last_frame = Some(self.last_frame.map_or(at, |l| l.max(at)));
    }

    /// The verdict at `now`.
    pub fn check(&self, now: MonoTime) -> StallVerdict {
        match self.last_frame {
            Some(last) if now.since(last) >= STALL_AFTER => StallVerdict::Stalled(now.since(last)),
            Some(last) => StallVerdict::WaitUntil(last + STALL_AFTER),
            None if now.since(self.started) >= FIRST_FRAME_WITHIN => StallVerdict::NeverStarted,
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

/// What an attempt has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Pictures that the source gave for the main stream. Stays 0 where nothing is encoded.
    pub captured: u64,
    /// Pictures of the main stream that came out of its encoder.
    pub encoded: u64,
    /// When the newest of them was captured.
    pub newest: Option<MonoTime>,
    /// Whether the small stream is encoded as well.
    pub sub_active: bool,
}

/// How far the box is behind with a camera.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overload {
    /// Encoded frames a second.
    pub encoded_fps: f32,
    /// Frames a second that the source gives, at most what was asked for.
    pub wanted_fps: f32,
    /// How long after its capture a picture comes out at least.
    pub late: Duration,
    /// Whether the small stream is encoded as well.
    pub sub_active: bool,
}

impl Overload {
    /// What is wrong and what to lower, in words for people.
    pub fn reason(&self) -> String {
        let few = self.encoded_fps < KEEPS_UP * self.wanted_fps;
        let what = match few {
            true => format!("{:.1} of {:.0} frames a second are encoded", self.encoded_fps, self.wanted_fps),
            false => format!("pictures are encoded {:.0} s late", self.late.as_secs_f32()),
        };
        let or = if self.sub_active { ", or those of its small stream" } else { "" };
        format!("{what}: lower the camera's size or frame rate{or}")
    }
}

/// Whether the box keeps up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// It does not; reported again when it gets much better or worse.
    Behind(Overload),
    /// It does again.
    KeepsUp,
}

/// What is looked back on: so long it must be behind to be overloaded, and keep up to be no more.
const PACE_WINDOW: Duration = Duration::from_secs(10);
/// Behind is who encodes less than this share of what the source gives, and keeps up who encodes more than that.
const BEHIND: f32 = 0.75;
const KEEPS_UP: f32 = 0.9;
/// Pictures that come out this long after their capture are late.
const LATE: Duration = Duration::from_secs(2);
/// Fewer pictures than this in the window say nothing.
const FEW: u64 = 5;
/// A figure is reported again when it has changed by this factor.
const CHANGED: f32 = 1.3;

/// Looks, about once a second, at whether the box encodes what one attempt's source gives. A source that gives less than was
/// asked for (a network camera at its own pace, a slow file, a camera in the dark) is not behind: it is compared with what came.
#[derive(Clone, Debug)]
pub struct PaceWatch {
    asked_fps: f32,
    /// Looks since the last word, at most [`PACE_WINDOW`] back: when, what was done, and how late the newest picture was.
    looks: VecDeque<(MonoTime, Work, Duration)>,
    reported: Option<Overload>,
}

impl PaceWatch {
    /// Watches an attempt at `asked_fps` frames a second.
    pub fn new(asked_fps: u32) -> Self {
        Self { asked_fps: asked_fps as f32, looks: VecDeque::new(), reported: None }
    }

    /// Takes what was done so far. Returns what is new.
    pub fn look(&mut self, now: MonoTime, work: Work) -> Option<Pace> {
        let late = work.newest.map_or(Duration::ZERO, |at| now.since(at));
        self.looks.push_back((now, work, late));
        while self.looks.get(1).is_some_and(|second| now.since(second.0) >= PACE_WINDOW) {
            self.looks.pop_front();
        }
        let (since, before, _) = *self.looks.front()?;
        if now.since(since) < PACE_WINDOW {
            return None;
        }
        let pace = self.judge(now.since(since).as_secs_f32(), before, work)?;
        self.reported = match pace {
            Pace::Behind(overload) => Some(overload),
            Pace::KeepsUp => None,
        };
        // The next word needs a window of its own.
        self.looks.drain(..self.looks.len() - 1);
        Some(pace)
    }

    fn judge(&self, seconds: f32, before: Work, work: Work) -> Option<Pace> {
        let captured = work.captured.saturating_sub(before.captured);
        let encoded_fps = work.encoded.saturating_sub(before.encoded) as f32 / seconds;
        if captured < FEW {
            return None;
        }
        let wanted_fps = (captured as f32 / seconds).min(self.asked_fps);
        let late = self.looks.iter().map(|look| look.2).min().unwrap_or_default();
        let overload = Overload { encoded_fps, wanted_fps, late, sub_active: work.sub_active };
        match &self.reported {
            None => (encoded_fps < BEHIND * wanted_fps || late >= LATE).then_some(Pace::Behind(overload)),
            Some(_) if encoded_fps >= KEEPS_UP * wanted_fps && late < LATE => Some(Pace::KeepsUp),
            Some(reported) => {
                let factor = encoded_fps.max(0.1) / reported.encoded_fps.max(0.1);
                (!(1.0 / CHANGED..=CHANGED).contains(&factor)).then_some(Pace::Behind(overload))
            }
        }
    }
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
            (Stalled, false, false),
            (Missing, false, true),
            (Failed, false, true),
        ] {
            assert_eq!((state.delivers(), state.is_hopeless()), (delivers, is_hopeless), "{state:?}");
        }
    }

    #[test]
    fn restarts_after_three_seconds_without_a_frame() {
        let mut w = StallWatch::new(s(0.0));
        assert_eq!(w.check(s(14.0)), StallVerdict::WaitUntil(s(15.0)));
        assert_eq!(w.check(s(15.0)), StallVerdict::NeverStarted);
        w.frame(s(15.5));
        assert_eq!(w.check(s(18.4)), StallVerdict::WaitUntil(s(18.5)));
        assert_eq!(w.check(s(18.5)), StallVerdict::Stalled(Duration::from_secs(3)));
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

    /// Looks once a second at stretches of (seconds, captured a second, encoded a second, how late); what was reported, and when.
    fn paces(asked: u32, stretches: &[(u32, f32, f32, f64)]) -> Vec<(u32, Option<(f32, f32)>)> {
        let mut watch = PaceWatch::new(asked);
        let (mut reported, mut at, mut captured, mut encoded) = (vec![], 0, 0.0, 0.0);
        for (seconds, in_fps, out_fps, late) in stretches {
            for _ in 0..*seconds {
                (at, captured, encoded) = (at + 1, captured + in_fps, encoded + out_fps);
                let newest = Some(s(f64::from(at) - late));
                let work = Work { captured: captured as u64, encoded: encoded as u64, newest, sub_active: false };
                match watch.look(s(f64::from(at)), work) {
                    Some(Pace::Behind(o)) => reported.push((at, Some((o.encoded_fps, o.wanted_fps)))),
                    Some(Pace::KeepsUp) => reported.push((at, None)),
                    None => {}
                }
            }
        }
        reported
    }

    #[test]
    fn a_box_that_encodes_too_little_or_too_late_is_behind_until_it_keeps_up_for_ten_seconds() {
        type Case<'a> = (&'a str, u32, &'a [(u32, f32, f32, f64)], &'a [(u32, Option<(f32, f32)>)]);
        let cases: &[Case] = &[
            ("all is encoded", 25, &[(60, 25.0, 25.0, 0.1)], &[]),
            ("6.5 of 25", 25, &[(30, 25.0, 6.5, 0.3)], &[(11, Some((6.5, 25.0)))]),
            ("in between", 25, &[(60, 25.0, 20.0, 0.1)], &[]),
            ("a hiccup of two seconds", 25, &[(20, 25.0, 25.0, 0.1), (2, 25.0, 0.0, 1.9), (30, 25.0, 25.0, 0.1)], &[]),
            (
                "back again",
                25,
                &[(20, 25.0, 5.0, 0.1), (30, 25.0, 25.0, 0.1)],
                &[(11, Some((5.0, 25.0))), (21, Some((7.0, 25.0))), (31, None)],
            ),
            ("not quite back", 25, &[(20, 25.0, 15.0, 0.1), (30, 25.0, 19.0, 0.1)], &[(11, Some((15.0, 25.0)))]),
            (
                "much worse",
                25,
                &[(11, 25.0, 15.0, 0.1), (30, 25.0, 5.0, 0.1)],
                &[(11, Some((15.0, 25.0))), (21, Some((5.0, 25.0)))],
            ),
            // The source gives less: nothing is wrong with the box.
            ("a slow file", 25, &[(60, 5.0, 5.0, 0.1)], &[]),
            ("a camera in the dark", 30, &[(30, 30.0, 30.0, 0.1), (60, 15.0, 15.0, 0.1)], &[]),
            ("a picture each 5 s", 25, &[(120, 0.2, 0.2, 4.0)], &[]),
            ("nothing is encoded", 25, &[(60, 0.0, 12.0, 0.1)], &[]),
            // More than was asked for is thinned on purpose.
            ("a camera of 60 at 15", 15, &[(60, 60.0, 15.0, 0.1)], &[]),
            // A source that has to wait for the box gives no more than is taken, and everything late.
            ("late", 25, &[(30, 10.0, 10.0, 6.0)], &[(11, Some((10.0, 10.0)))]),
        ];
        for (name, asked, stretches, want) in cases {
            assert_eq!(paces(*asked, stretches), *want, "{name}");
        }
    }

    #[test]
    fn an_overload_says_how_much_of_what_and_what_to_lower() {
        let few = Overload { encoded_fps: 6.5, wanted_fps: 25.0, late: Duration::ZERO, sub_active: false };
        let says = "6.5 of 25 frames a second are encoded: lower the camera's size or frame rate";
        assert_eq!(few.reason(), says);
        let both = Overload { sub_active: true, ..few };
        assert_eq!(both.reason(), format!("{says}, or those of its small stream"));
        let late = Overload { encoded_fps: 10.0, wanted_fps: 10.0, late: Duration::from_secs(6), ..few };
        assert_eq!(late.reason(), "pictures are encoded 6 s late: lower the camera's size or frame rate");
    }

    #[test]
    fn since_moves_only_with_the_state() {
        let mut h = CameraHealth::starting(Timestamp(0));
        h.set(CameraState::Missing, "no device", Timestamp(5));
        h.set(CameraState::Missing, "still no device", Timestamp(9));
        assert_eq!((h.since, h.reason.as_str()), (Timestamp(5), "still no device"));
    }
}
