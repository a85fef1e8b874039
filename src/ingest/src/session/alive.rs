//! What keeps a session alive, and what is learned from how the camera takes it.

use super::dialog::Dialog;
use super::manner::{Manner, Sign};
use perch_base::time::MonoTime;
use std::time::Duration;

/// A sign of life follows the one before after this part of the session's timeout, within limits.
const SIGN_PART: f64 = 0.8;
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_SIGN: Duration = Duration::from_secs(60);
/// After a refused sign of life the next one is tried so soon.
const NEXT_SIGN: Duration = Duration::from_secs(1);
/// A connection that closes so soon behind a sign of life closed because of it.
const CLOSES_AT: Duration = Duration::from_secs(3);
/// A session that ends after this part of its timeout ended because nothing kept it alive.
const EXPIRES_AT: std::ops::Range<f64> = 0.95..1.6;

/// See the module.
#[derive(Debug)]
pub(super) struct Alive {
    pub manner: Manner,
    played_at: MonoTime,
    sign_at: Option<MonoTime>,
    /// The last sign of life and when it was sent.
    sent: Option<(Sign, MonoTime)>,
}

fn every(timeout: Duration) -> Duration {
    timeout.max(SHORTEST_TIMEOUT).mul_f64(SIGN_PART).min(LONGEST_SIGN)
}

impl Alive {
    pub fn new(manner: Manner) -> Self {
        Self { manner, played_at: MonoTime(0), sign_at: None, sent: None }
    }

    /// Pictures begin to come.
    pub fn began(&mut self, now: MonoTime, dialog: &Dialog) {
        self.played_at = now;
        self.sign_at = Some(now + every(dialog.timeout()));
    }

    /// How long they have been coming.
    pub fn lasted(&self, now: MonoTime) -> Duration {
        now.since(self.played_at)
    }

    /// When the next sign of life is due.
    pub fn sign_at(&self) -> Option<MonoTime> {
        self.sign_at
    }

    /// The sign of life that is to be sent, and whether its answer is waited for.
    pub fn sign(&mut self, now: MonoTime, dialog: &Dialog) -> Option<(Sign, bool)> {
        self.sign_at = Some(now + every(dialog.timeout()));
        let sign = self.manner.sign(dialog.methods()).filter(|_| dialog.awaited().is_none())?;
        self.sent = Some((sign, now));
        Some((sign, !self.manner.is_mute))
    }

    /// The camera refused it and, as far as is known, goes on.
    pub fn refused(&mut self, now: MonoTime) {
        if let Some((sign, _)) = self.sent {
            self.manner.refuses(sign);
            self.sign_at = Some(now + NEXT_SIGN);
        }
    }

    /// The camera did not answer it. False: nor did it send anything since.
    pub fn unanswered(&mut self, now: MonoTime, heard: Option<MonoTime>, dialog: &Dialog) -> bool {
        let Some((sign, at)) = self.sent else { return true };
        self.manner.ignores(sign, dialog.methods());
        self.sign_at = Some(now);
        heard.is_some_and(|heard| heard >= at)
    }

    /// The camera ended the session.
    pub fn ended(&mut self, now: MonoTime, dialog: &Dialog) {
        let closes_at = self.sent.filter(|(_, at)| dialog.awaited().is_some() && now.since(*at) <= CLOSES_AT);
        let part = self.lasted(now).as_secs_f64() / dialog.timeout().as_secs_f64().max(1.0);
        if let Some((sign, _)) = closes_at {
            self.manner.refuses(sign);
        } else if EXPIRES_AT.contains(&part) {
            self.manner.expired(self.manner.sign(dialog.methods()), dialog.methods());
        }
    }
}
