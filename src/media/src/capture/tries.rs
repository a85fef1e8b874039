//! When what hangs on a network camera (a decoder, its sound, its second stream) is tried again. It fails alone and comes back alone.

use super::settings::Settings;
use perch_base::Error;
use perch_base::backoff::{self, Backoff};
use perch_base::time::MonoTime;
use perch_domain::capture_attempt::pause_after;
use std::time::Duration;

/// The shortest and the longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// One that lasted this long had worked.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// The tries of one of them.
pub(super) struct Tries<'a> {
    settings: &'a Settings,
    pauses: Backoff,
    began: MonoTime,
}

impl<'a> Tries<'a> {
    /// None yet.
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, pauses: Backoff::new(PAUSES.0, PAUSES.1), began: settings.clock.mono() }
    }

    /// One begins.
    pub fn begin(&mut self) {
        self.began = self.settings.clock.mono();
    }

    /// It ended because it is needed no more.
    pub fn ended_well(&mut self) {
        self.pauses.reset();
    }

    /// It failed: logs `what` where that is news, and waits for the next one's time.
    pub async fn failed(&mut self, why: &Error, what: &str) {
        let Self { settings, pauses, began } = self;
        if settings.is_news(why) {
            tracing::warn!(camera = %settings.config.id, error = %why, "{what}");
        }
        if settings.clock.mono().since(*began) >= STEADY_AFTER {
            pauses.reset();
        }
        settings.clock.sleep(pause_after(why.kind(), pauses.next(backoff::unit()))).await;
    }
}
