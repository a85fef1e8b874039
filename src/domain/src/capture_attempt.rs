//! An attempt to capture a camera: how long its parts may take, how it ends, what the camera is then, and when its driver hangs. What
//! happens in between is [`crate::health`]'s.

use crate::health::{CameraState, NETWORK_STALL_AFTER};
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind, Result};
use std::time::Duration;

/// How long building and starting may take, of a camera or of a microphone beside it: opening a device or a network camera can block.
pub const START_WITHIN: Duration = Duration::from_secs(20);
/// How long an attempt waits for its pipeline to let go of the device (camera or sound card) before it reports.
pub const LET_GO_WITHIN: Duration = Duration::from_secs(3);

/// Threads in a driver that hang before no more are sent.
const MAX_HANGING: usize = 2;

/// Whether a driver must be taken to hang, in which so many threads still are when none should be. It can hold one for ever, and nothing
/// ends such a thread: what can be done is not to send more after it.
pub fn driver_hangs(threads: usize) -> bool {
    threads >= MAX_HANGING
}

/// Why an attempt ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureEnd {
    /// The box ends, or the camera goes.
    Shutdown,
    /// The source has no more to give.
    EndOfStream,
    /// No new picture came.
    Stalled {
        /// For this long.
        for_: Duration,
    },
}

/// What it is that the source says it has no more to give. Errors with `Invalid` where it never gave a picture.
pub fn end_of_stream(gave_pictures: bool) -> Result<CaptureEnd> {
    match gave_pictures {
        true => Ok(CaptureEnd::EndOfStream),
        false => Err(Error::invalid("ended without a picture: is it a video?")),
    }
}

/// When the next attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextTry {
    /// After the usual pause, longer each time.
    Backoff,
    /// At once: the attempt had delivered for a while.
    AtOnce,
    /// After this long, whatever happened before.
    After(Duration),
}

/// An attempt that delivered pictures for so long was well: what ended it is no reason to wait. Some cameras end every session after
/// 20 s or a minute.
const DELIVERED_WELL: Duration = Duration::from_secs(10);
/// A camera that refuses user and password is asked again after this long: many shut out who guesses.
pub const SIGN_IN_AGAIN: Duration = Duration::from_secs(300);

/// When to try again after an attempt that delivered pictures for so long (from its first picture to its last).
pub fn next_try(ended: &Result<CaptureEnd>, delivered: Duration) -> NextTry {
    match ended {
        Err(e) if e.kind() == ErrorKind::Unauthenticated => NextTry::After(SIGN_IN_AGAIN),
        _ if delivered >= DELIVERED_WELL => NextTry::AtOnce,
        _ => NextTry::Backoff,
    }
}

/// How long to wait before what hangs on a camera (its second stream) is tried again, where its usual pause is this long.
pub fn pause_after(why: ErrorKind, usual: Duration) -> Duration {
    if why == ErrorKind::Unauthenticated { SIGN_IN_AGAIN } else { usual }
}

/// A session that another one ended brought its last picture between so long before and so long after that one began.
const ENDED_BY_ANOTHER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3));
/// So often, one after the other, is no chance.
const NO_CHANCE: u32 = 2;

/// Notices that a network camera lets in the newest connection only: its first stream's session ends each time the second one's begins.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewestOnly {
    second_began: Option<MonoTime>,
    times: u32,
}

impl NewestOnly {
    /// What people read.
    pub const SENTENCE: &str = "the camera lets in one connection, and its second one ends the first: remove sub_source, which is left alone until then";

    /// A session with the second stream begins.
    pub fn second_begins(&mut self, now: MonoTime) {
        self.second_began = Some(now);
    }

    /// The first stream's session ended by itself; its last picture came at `last`.
    pub fn first_ends(&mut self, last: Option<MonoTime>) {
        let Some(began) = self.second_began.take() else { return };
        let (before, after) = ENDED_BY_ANOTHER;
        let is_its_end = last.is_none_or(|last| (began - before..=began + after).contains(&last));
        self.times = if is_its_end { self.times.saturating_add(1) } else { 0 };
    }

    /// Whether it is such a camera.
    pub fn is_so(&self) -> bool {
        self.times >= NO_CHANCE
    }
}

/// How long a network camera may be silent in the next attempt, whatever its pace: twice as long after one that brought a single picture
/// and was given up (a camera may send one a minute), up to [`MOST_PATIENCE`].
pub fn patience_after(before: Duration, ended: &Result<CaptureEnd>, pictures: u64) -> Duration {
    match ended {
        Ok(CaptureEnd::Stalled { .. }) if pictures == 1 => (before * 2).min(MOST_PATIENCE),
        _ if pictures > 1 => NETWORK_STALL_AFTER,
        _ => before,
    }
}

/// The longest that the second picture of a camera is waited for.
pub const MOST_PATIENCE: Duration = Duration::from_secs(80);

/// What a camera is from the end of an attempt to the first picture of the next, with a sentence for people. `None`: it was asked to end.
pub fn after_attempt(ended: &Result<CaptureEnd>) -> Option<(CameraState, String)> {
    Some(match ended {
        Ok(CaptureEnd::Shutdown) => return None,
        Ok(CaptureEnd::EndOfStream) => (CameraState::Missing, "the source ended".into()),
        Ok(CaptureEnd::Stalled { for_ }) => {
            (CameraState::Stalled, format!("no picture for {} s: restarting", for_.as_secs()))
        }
        Err(e) => (after_failure(e.kind()), e.message().to_owned()),
    })
}

/// What is set wrong stays wrong until somebody changes it; all else may come back by itself.
fn after_failure(kind: ErrorKind) -> CameraState {
    match kind {
        ErrorKind::Invalid | ErrorKind::Unsupported | ErrorKind::Unauthenticated => CameraState::Failed,
        _ => CameraState::Missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_sign_in_is_not_repeated_at_the_usual_pace() {
        let usual = Duration::from_secs(1);
        assert_eq!(pause_after(ErrorKind::Unavailable, usual), usual);
        assert_eq!(pause_after(ErrorKind::Unauthenticated, usual), SIGN_IN_AGAIN);
    }

    #[test]
    fn a_camera_whose_second_session_ends_the_first_is_told() {
        let at = |s: f64| MonoTime((s * 1e6) as i64);
        for (what, sessions, want) in [
            ("twice in a row", &[(Some(10.0), Some(10.1)), (Some(20.0), Some(19.9))][..], true),
            ("before it brought a picture", &[(Some(10.0), None), (Some(20.0), None)], true),
            ("once", &[(Some(10.0), Some(10.1))], false),
            ("and once not", &[(Some(10.0), Some(10.1)), (Some(20.0), Some(90.0)), (Some(100.0), Some(100.1))], false),
            ("nobody wanted the second", &[(None, Some(10.0)), (None, Some(20.0))], false),
            ("a network that was gone", &[(Some(20.0), Some(10.0)), (Some(60.0), Some(50.0))], false),
        ] {
            let mut newest = NewestOnly::default();
            for (second, last) in sessions {
                second.iter().for_each(|second| newest.second_begins(at(*second)));
                newest.first_ends(last.map(at));
            }
            assert_eq!(newest.is_so(), want, "{what}");
        }
    }

    #[test]
    fn what_a_camera_is_after_an_attempt() {
        use CameraState::*;
        let failed = |kind| Err(Error::new(kind, "the reason").with_inside("/dev/video0"));
        for (ended, want) in [
            (Ok(CaptureEnd::Shutdown), None),
            (end_of_stream(true), Some((Missing, "the source ended"))),
            (end_of_stream(false), Some((Failed, "ended without a picture: is it a video?"))),
            (
                Ok(CaptureEnd::Stalled { for_: Duration::from_millis(3_900) }),
                Some((Stalled, "no picture for 3 s: restarting")),
            ),
            (failed(ErrorKind::Invalid), Some((Failed, "the reason"))),
            (failed(ErrorKind::Unsupported), Some((Failed, "the reason"))),
            (failed(ErrorKind::Unauthenticated), Some((Failed, "the reason"))),
            (failed(ErrorKind::Unavailable), Some((Missing, "the reason"))),
            (failed(ErrorKind::NotFound), Some((Missing, "the reason"))),
            (failed(ErrorKind::Internal), Some((Missing, "the reason"))),
        ] {
            let got = after_attempt(&ended);
            assert_eq!(got.as_ref().map(|(state, reason)| (*state, reason.as_str())), want, "{ended:?}");
        }
    }

    #[test]
    fn when_the_next_attempt_is_made() {
        use NextTry::*;
        let failed = |kind| Err(Error::new(kind, "the reason"));
        let stalled = Ok(CaptureEnd::Stalled { for_: Duration::from_secs(10) });
        for (ended, delivered_s, want) in [
            (failed(ErrorKind::Unavailable), 0, Backoff),
            (failed(ErrorKind::Unavailable), 9, Backoff),
            (failed(ErrorKind::Unavailable), 20, AtOnce),
            (Ok(CaptureEnd::EndOfStream), 20, AtOnce),
            (stalled, 3600, AtOnce),
            (failed(ErrorKind::Unauthenticated), 0, After(SIGN_IN_AGAIN)),
            // A password was changed while it ran.
            (failed(ErrorKind::Unauthenticated), 3600, After(SIGN_IN_AGAIN)),
            (failed(ErrorKind::Invalid), 0, Backoff),
        ] {
            assert_eq!(next_try(&ended, Duration::from_secs(delivered_s)), want, "{ended:?}");
        }
    }

    #[test]
    fn the_pace_of_a_camera_that_sends_a_picture_a_minute_is_found_out() {
        let stalled = Ok(CaptureEnd::Stalled { for_: Duration::from_secs(10) });
        let mut patience = NETWORK_STALL_AFTER;
        let grown: Vec<u64> = (0..5)
            .map(|_| {
                patience = patience_after(patience, &stalled, 1);
                patience.as_secs()
            })
            .collect();
        assert_eq!(grown, [20, 40, 80, 80, 80]);
        assert_eq!(patience_after(patience, &stalled, 0), patience);
        assert_eq!(patience_after(patience, &stalled, 2), NETWORK_STALL_AFTER);
    }

    #[test]
    fn a_driver_hangs_when_a_second_thread_stays_in_it() {
        assert_eq!([0, 1, 2, 9].map(driver_hangs), [false, false, true, true]);
    }
}
