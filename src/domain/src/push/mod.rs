//! Pushing a camera to another server: what is said of it. Where to is in [`target`], as what in [`plan`], when an attempt ends in [`watch`]. Of
//! what is recorded: [`range`], and at which pace [`pace`].

pub mod pace;
pub mod plan;
pub mod range;
pub mod target;
pub mod watch;

use crate::media::Stream;
use perch_base::time::Timestamp;
use serde::Serialize;
use std::time::Duration;
pub use target::{MOST_TARGETS, PushKind, PushTarget};

/// The shortest and the longest pause between two attempts to push.
pub const PUSH_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// How a push is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PushState {
    /// The camera gives no picture to push.
    Waiting,
    /// The other server is being reached.
    Connecting,
    /// It takes what is sent.
    Sending,
    /// It failed and is tried again.
    Failing,
    /// The camera is switched off.
    Off,
}

perch_base::all_of!(PushState { Waiting, Connecting, Sending, Failing, Off });

/// One push as people are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushStatus {
    /// Where to, without anything that may be a secret.
    pub to: String,
    /// `rtmp`, `rtsp`, `srt` or `whip`.
    pub kind: PushKind,
    /// The stream that it asks for.
    pub stream: Stream,
    /// How it is.
    pub state: PushState,
    /// Why it fails; empty while it does not.
    pub reason: String,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// Sent since perch began to push there, bytes.
    pub bytes_sent: u64,
}

impl PushStatus {
    /// A push that was not tried yet.
    pub fn new(target: &PushTarget, now: Timestamp) -> Self {
        Self {
            to: target.shown(),
            kind: target.kind,
            stream: target.stream,
            state: PushState::Waiting,
            reason: String::new(),
            since: now,
            bytes_sent: 0,
        }
    }

    /// It is like this now. Returns whether that is news.
    pub fn set(&mut self, state: PushState, reason: &str, now: Timestamp) -> bool {
        if self.state != state {
            self.since = now;
        }
        let is_news = (self.state, self.reason.as_str()) != (state, reason);
        self.state = state;
        reason.clone_into(&mut self.reason);
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, stream: Stream) -> PushTarget {
        PushTarget::of(url, stream).expect("valid")
    }

    #[test]
    fn since_when_it_is_so() {
        let mut status = PushStatus::new(&target("rtmp://me:pw@h/a/key", Stream::Main), Timestamp(1));
        assert_eq!(status.to, "rtmp://h/…");
        assert!(status.set(PushState::Failing, "a", Timestamp(2)));
        assert!(status.set(PushState::Failing, "b", Timestamp(3)), "another reason");
        assert!(!status.set(PushState::Failing, "b", Timestamp(4)));
        assert_eq!(status.since, Timestamp(2));
    }
}
