//! A camera's health as people see it, and the watches that decide when a capture has stalled and a microphone fallen silent.

use perch_base::time::{MonoTime, Timestamp};
use serde::Serialize;
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
    /// A sentence for people; empty while live, but where the camera gives fewer pictures than were asked for.
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

    #[test]
    fn since_moves_only_with_the_state() {
        let mut h = CameraHealth::starting(Timestamp(0));
        h.set(CameraState::Missing, "no device", Timestamp(5));
        h.set(CameraState::Missing, "still no device", Timestamp(9));
        assert_eq!((h.since, h.reason.as_str()), (Timestamp(5), "still no device"));
    }
}
