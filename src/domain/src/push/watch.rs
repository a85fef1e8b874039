//! Whether a push goes on: what is sent is held against what the camera gives.

use super::PushState;
use perch_base::time::MonoTime;
use perch_base::{Error, ErrorKind};
use std::time::Duration;

/// Another server takes the first pictures within this time, or the attempt is given up.
const CONNECTS_WITHIN: Duration = Duration::from_secs(20);
/// It takes some each so long.
const TAKES_WITHIN: Duration = Duration::from_secs(10);
/// One that takes WebRTC reports so often at least: RTCP comes about every five seconds (RFC 3550, section 6.2), and there is no other sign of
/// its end, since datagrams to nobody are taken.
const REPORTS_WITHIN: Duration = Duration::from_secs(15);
/// A camera without a picture for this long has nothing to push: the other server is let go, which tells those who watch there.
const PICTURE_WITHIN: Duration = Duration::from_secs(10);

/// What is to be done with an attempt.
#[derive(Debug)]
pub enum PushStep {
    /// It goes on, and is like this.
    Go(PushState),
    /// The camera gives no picture: it ends, and begins anew with the next one.
    Rest,
    /// It failed.
    Fail(Error),
}

/// Watches one attempt.
#[derive(Clone, Copy, Debug)]
pub struct PushWatch {
    began: MonoTime,
    /// When the camera gave a picture last.
    pictured: MonoTime,
    pictures: u64,
    /// What the other server took, and when last.
    taken_bytes: u64,
    taken: Option<MonoTime>,
    /// What it reported, and when last.
    reports: u64,
    reported: MonoTime,
}

impl PushWatch {
    /// An attempt begins.
    pub fn new(now: MonoTime) -> Self {
        Self { began: now, pictured: now, pictures: 0, taken_bytes: 0, taken: None, reports: 0, reported: now }
    }

    /// How it is at `now`: `pictures` the camera gave since it began, `taken_bytes` went out to `host`, which reported so often, where it
    /// reports.
    pub fn look(
        &mut self,
        now: MonoTime,
        pictures: u64,
        taken_bytes: u64,
        reports: Option<u64>,
        host: &str,
    ) -> PushStep {
        if reports.is_none_or(|reports| reports > self.reports) {
            (self.reports, self.reported) = (reports.unwrap_or(0), now);
        }
        if pictures > self.pictures {
            (self.pictures, self.pictured) = (pictures, now);
        }
        if taken_bytes > self.taken_bytes {
            (self.taken_bytes, self.taken) = (taken_bytes, Some(now));
        }
        if now.since(self.pictured) >= PICTURE_WITHIN {
            return PushStep::Rest;
        }
        let fail = |why: String| PushStep::Fail(Error::new(ErrorKind::Unavailable, why));
        match self.taken {
            None if now.since(self.began) >= CONNECTS_WITHIN => {
                fail(format!("{host} did not take a picture within {} s", CONNECTS_WITHIN.as_secs()))
            }
            None => PushStep::Go(PushState::Connecting),
            Some(_) if now.since(self.reported) >= REPORTS_WITHIN => {
                fail(format!("{host} has reported nothing for {} s", REPORTS_WITHIN.as_secs()))
            }
            // A camera of few pictures a minute leaves pauses that are its own.
            Some(taken) if now.since(taken) >= TAKES_WITHIN && self.pictured > taken => {
                fail(format!("{host} has taken nothing for {} s", TAKES_WITHIN.as_secs()))
            }
            Some(_) => PushStep::Go(PushState::Sending),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the second: pictures so far, bytes so far, and what comes of it.
    fn run(script: &[(i64, u64, u64)]) -> Vec<String> {
        let mut watch = PushWatch::new(MonoTime(0));
        let said = |step: PushStep| match step {
            PushStep::Go(state) => format!("{state:?}"),
            PushStep::Rest => "Rest".into(),
            PushStep::Fail(e) => e.message().to_owned(),
        };
        script
            .iter()
            .map(|(s, pictures, bytes)| said(watch.look(MonoTime(s * 1_000_000), *pictures, *bytes, None, "h")))
            .collect()
    }

    #[test]
    fn one_that_reports_no_more_is_gone() {
        let mut watch = PushWatch::new(MonoTime(0));
        let mut look = |s: u64, reports| watch.look(MonoTime(s as i64 * 1_000_000), s, s, Some(reports), "h");
        assert!(matches!(look(2, 1), PushStep::Go(PushState::Sending)));
        assert!(matches!(look(9, 2), PushStep::Go(PushState::Sending)));
        assert!(matches!(look(23, 2), PushStep::Go(PushState::Sending)));
        assert!(matches!(look(24, 2), PushStep::Fail(e) if e.message() == "h has reported nothing for 15 s"));
    }

    #[test]
    fn an_attempt_is_held_against_the_camera() {
        for (script, want) in [
            (&[(1, 25, 0), (2, 50, 900), (3, 75, 1800)][..], &["Connecting", "Sending", "Sending"][..]),
            (
                &[(5, 9, 0), (12, 99, 0), (20, 100, 0)],
                &["Connecting", "Connecting", "h did not take a picture within 20 s"],
            ),
            (&[(1, 9, 9), (8, 99, 9), (11, 200, 9)], &["Sending", "Sending", "h has taken nothing for 10 s"]),
            (&[(1, 9, 9), (10, 9, 9), (11, 9, 9)], &["Sending", "Sending", "Rest"]),
            (&[(9, 0, 0), (10, 0, 0)], &["Connecting", "Rest"]),
        ] {
            assert_eq!(run(script), want, "{script:?}");
        }
    }
}
