//! A camera's health as people see it, and the watchdog that decides when a capture has stalled.

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
    /// Frames stopped; a restart is on its way.
    Stalled,
    /// The device, file or remote camera is not there.
    Missing,
    /// It cannot run as configured; the reason says what to change.
    Failed,
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
}

impl CameraHealth {
    /// The health of a camera that was just switched on.
    pub fn starting(now: Timestamp) -> Self {
        let (state, reason) = (CameraState::Starting, "starting".into());
        Self { state, reason, since: now, restarts: 0, sound_problem: String::new() }
    }

    /// For who may watch and not manage: in the words for people may stand a camera's address or a file's path.
    pub fn for_viewer(mut self) -> Self {
        let reason = match self.state {
            CameraState::Live => "",
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
pub struct Watchdog {
    started: MonoTime,
    last_frame: Option<MonoTime>,
}

/// What the watchdog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Frames arrive, or are not due yet: look again at this moment.
    WaitUntil(MonoTime),
    /// No frame since this long: restart.
    Stalled(Duration),
    /// Never a frame within [`FIRST_FRAME_WITHIN`]: restart.
    NeverStarted,
}

impl Watchdog {
    /// Watches an attempt that began at `now`.
    pub fn new(now: MonoTime) -> Self {
        Self { started: now, last_frame: None }
    }

    /// A frame came at `at`.
    pub fn frame(&mut self, at: MonoTime) {
        self.last_frame = Some(self.last_frame.map_or(at, |l| l.max(at)));
    }

    /// Whether a frame ever came.
    pub fn has_frames(&self) -> bool {
        self.last_frame.is_some()
    }

    /// The verdict at `now`.
    pub fn check(&self, now: MonoTime) -> Verdict {
        match self.last_frame {
            Some(last) if now.since(last) >= STALL_AFTER => Verdict::Stalled(now.since(last)),
            Some(last) => Verdict::WaitUntil(last + STALL_AFTER),
            None if now.since(self.started) >= FIRST_FRAME_WITHIN => Verdict::NeverStarted,
            None => Verdict::WaitUntil(self.started + FIRST_FRAME_WITHIN),
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
    fn restarts_after_three_seconds_without_a_frame() {
        let mut w = Watchdog::new(s(0.0));
        assert_eq!(w.check(s(14.0)), Verdict::WaitUntil(s(15.0)));
        assert_eq!(w.check(s(15.0)), Verdict::NeverStarted);
        w.frame(s(15.5));
        assert_eq!(w.check(s(18.4)), Verdict::WaitUntil(s(18.5)));
        assert_eq!(w.check(s(18.5)), Verdict::Stalled(Duration::from_secs(3)));
    }

    #[test]
    fn since_moves_only_with_the_state() {
        let mut h = CameraHealth::starting(Timestamp(0));
        h.set(CameraState::Missing, "no device", Timestamp(5));
        h.set(CameraState::Missing, "still no device", Timestamp(9));
        assert_eq!((h.since, h.reason.as_str()), (Timestamp(5), "still no device"));
    }
}
