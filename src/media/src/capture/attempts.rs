//! What is known of a camera from one attempt to the next.

use super::settings::{CaptureEvent, Progress};
use perch_base::Result;
use perch_base::sync::lock;
use perch_base::time::MonoTime;
use perch_domain::camera::CameraConfig;
use perch_domain::capture_attempt::{CaptureEnd, NewestOnly, patience_after};
use perch_domain::health::NETWORK_STALL_AFTER;
use perch_domain::media::VideoCodec;
use perch_domain::offering::{Habits, Offering};
use perch_domain::picture_gate::Known;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What came of a capture's attempts so far.
pub(super) struct Attempts {
    last: Mutex<Last>,
    /// What the camera offers, as far as it is known.
    offering: Mutex<Offering>,
    /// When it last sent what browsers cannot show.
    habits: Mutex<Habits>,
    /// What of its sound works.
    pub sound: SoundWorked,
    /// Whether the camera bears a second session.
    newest_only: Mutex<NewestOnly>,
    /// Counts the rounds of those who wait for a network camera.
    rounds: AtomicU64,
}

/// What of a camera's sound worked once. That stays offered: whoever watches is cut off where the offer changes, and sound that pauses, or
/// a decoder that starts again, is no reason for it.
#[derive(Default)]
pub(super) struct SoundWorked {
    /// It came.
    pub came: AtomicBool,
    /// It was decoded.
    pub decoded: AtomicBool,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// How long the last one delivered pictures.
    delivered: Duration,
    /// How long the next one may be silent at a network camera.
    patience: Duration,
}

impl Attempts {
    /// None yet, at the camera that `config` describes.
    pub fn new(config: &CameraConfig) -> Self {
        Self {
            last: Mutex::new(Last { delivered: Duration::ZERO, patience: NETWORK_STALL_AFTER }),
            offering: Mutex::new(Offering::of(config)),
            habits: Mutex::default(),
            sound: SoundWorked::default(),
            newest_only: Mutex::default(),
            rounds: AtomicU64::new(0),
        }
    }

    /// How long the last one delivered pictures, from its first to its last.
    pub fn delivered(&self) -> Duration {
        lock(&self.last).delivered
    }

    /// The last one delivered pictures for so long.
    pub fn set_delivered(&self, delivered: Duration) {
        lock(&self.last).delivered = delivered;
    }

    /// How long the next one may be silent at a network camera.
    pub fn patience(&self) -> Duration {
        lock(&self.last).patience
    }

    /// One at a network camera ended, after so many pictures.
    pub fn ended(&self, ended: &Result<CaptureEnd>, pictures: u64) {
        let mut last = lock(&self.last);
        last.patience = patience_after(last.patience, ended, pictures);
    }

    /// What the camera offers, as far as it is known.
    pub fn offering(&self) -> Offering {
        *lock(&self.offering)
    }

    /// Changes what the camera offers, and says so where that is news.
    pub fn change_offering(&self, progress: Progress<'_>, change: impl FnOnce(&mut Offering)) {
        let mut offering = lock(&self.offering);
        let before = *offering;
        change(&mut offering);
        let now = *offering;
        drop(offering);
        if now != before {
            progress(CaptureEvent::Offers(now));
        }
    }

    /// Changes `offering` to what is known of the pictures, which the hub gets as `codec`, and the newest of which came at `newest`.
    pub fn apply_habits(&self, newest: Option<MonoTime>, codec: VideoCodec, known: &Known, offering: &mut Offering) {
        lock(&self.habits).apply(newest, codec, known, offering);
    }

    /// Whether a second session ends the first.
    pub fn is_newest_only(&self) -> bool {
        lock(&self.newest_only).is_so()
    }

    /// A session with a network camera's second stream begins.
    pub fn second_begins(&self, now: MonoTime) {
        lock(&self.newest_only).second_begins(now);
    }

    /// The session with its first one ended by itself; its last picture came at `last`.
    pub fn first_ends(&self, last: Option<MonoTime>) {
        lock(&self.newest_only).first_ends(last);
    }

    /// Rounds of waiting so far.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub fn count_round(&self) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
    }
}
