//! What keeps a session alive, and what is learned from how the camera takes it.

use super::dialog::Dialog;
use super::quirks::{KeepAlive, Quirks};
use perch_base::time::MonoTime;
use std::time::Duration;

/// A keep-alive follows the one before after this part of the session's timeout, within limits.
const KEEP_ALIVE_PART: f64 = 0.8;
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_KEEP_ALIVE: Duration = Duration::from_secs(60);
/// After a refused keep-alive the next one is tried so soon.
const NEXT_KEEP_ALIVE: Duration = Duration::from_secs(1);
/// A connection that closes so soon behind a keep-alive closed because of it.
const CLOSES_AT: Duration = Duration::from_secs(3);
/// A session that ends after this part of its timeout ended because nothing kept it alive.
const EXPIRES_AT: std::ops::Range<f64> = 0.95..1.6;

/// See the module.
#[derive(Debug)]
pub(super) struct KeepAlives {
    pub quirks: Quirks,
    played_at: MonoTime,
    keep_alive_at: Option<MonoTime>,
    /// The last keep-alive and when it was sent.
    sent: Option<(KeepAlive, MonoTime)>,
}

fn every(timeout: Duration) -> Duration {
    timeout.max(SHORTEST_TIMEOUT).mul_f64(KEEP_ALIVE_PART).min(LONGEST_KEEP_ALIVE)
}

impl KeepAlives {
    pub fn new(quirks: Quirks) -> Self {
        Self { quirks, played_at: MonoTime(0), keep_alive_at: None, sent: None }
    }

    /// Pictures begin to come.
    pub fn began(&mut self, now: MonoTime, dialog: &Dialog) {
        self.played_at = now;
        self.keep_alive_at = Some(now + every(dialog.timeout()));
    }

    /// How long they have been coming.
    pub fn lasted(&self, now: MonoTime) -> Duration {
        now.since(self.played_at)
    }

    /// When the next keep-alive is due.
    pub fn keep_alive_at(&self) -> Option<MonoTime> {
        self.keep_alive_at
    }

    /// The keep-alive that is to be sent, and whether its answer is waited for.
    pub fn keep_alive(&mut self, now: MonoTime, dialog: &Dialog) -> Option<(KeepAlive, bool)> {
        self.keep_alive_at = Some(now + every(dialog.timeout()));
        let keep_alive = self.quirks.keep_alive(dialog.methods()).filter(|_| dialog.awaited().is_none())?;
        self.sent = Some((keep_alive, now));
        Some((keep_alive, !self.quirks.is_mute))
    }

    /// The camera refused it and, as far as is known, goes on.
    pub fn refused(&mut self, now: MonoTime) {
        if let Some((keep_alive, _)) = self.sent {
            self.quirks.refuses(keep_alive);
            self.keep_alive_at = Some(now + NEXT_KEEP_ALIVE);
        }
    }

    /// The camera did not answer it. False: nor did it send anything since.
    pub fn unanswered(&mut self, now: MonoTime, heard: Option<MonoTime>, dialog: &Dialog) -> bool {
        let Some((keep_alive, at)) = self.sent else { return true };
        self.quirks.ignores(keep_alive, dialog.methods());
        self.keep_alive_at = Some(now);
        heard.is_some_and(|heard| heard >= at)
    }

    /// The camera ended the session.
    pub fn ended(&mut self, now: MonoTime, dialog: &Dialog) {
        let closes_at = self.sent.filter(|(_, at)| dialog.awaited().is_some() && now.since(*at) <= CLOSES_AT);
        let part = self.lasted(now).as_secs_f64() / dialog.timeout().as_secs_f64().max(1.0);
        if let Some((keep_alive, _)) = closes_at {
            self.quirks.refuses(keep_alive);
        } else if EXPIRES_AT.contains(&part) {
            self.quirks.expired(self.quirks.keep_alive(dialog.methods()), dialog.methods());
        }
    }
}
