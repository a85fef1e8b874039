//! How many may watch live at once, by WebRTC and by RTSP. Who may watch what is [`crate::access`]'s to say.

use crate::throttle::Throttle;
use perch_base::ids::DeviceId;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use std::time::Duration;

/// RTSP readers at most: connections that gave a valid password.
pub const MAX_READERS: usize = 64;

/// How long the credential for a TURN server is good: whoever stays for longer asks for another one meanwhile.
const TURN_CREDENTIAL: Duration = Duration::from_secs(600);

/// When a credential for a TURN server that is given out `now` lapses: whole seconds of Unix time, as its user name says.
pub fn turn_lapses_at_s(now: Timestamp) -> i64 {
    now.as_micros().div_euclid(1_000_000) + TURN_CREDENTIAL.as_secs() as i64
}

/// Whether one more RTSP reader is served beside `others`.
pub fn has_room_for_reader(others: usize) -> bool {
    others < MAX_READERS
}

/// How many live sessions are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewerLimits {
    /// In all.
    pub all: usize,
    /// Of one device.
    pub per_device: usize,
}

impl Default for ViewerLimits {
    /// A device may show a wall of cameras.
    fn default() -> Self {
        Self { all: 64, per_device: 16 }
    }
}

impl ViewerLimits {
    /// Whether one more session is served beside `all`, of which `of_device` are of the same device. Errors with `RateLimited` and what
    /// to do. The newcomer is refused and nobody sent away: whoever is gone gives its place back when its lease lapses.
    pub fn admit(&self, all: usize, of_device: usize) -> Result<()> {
        let why = if all >= self.all {
            format!("{all} viewers watch already, no more are served: close one of them")
        } else if of_device >= self.per_device {
            format!("this device has {of_device} live views open, no more are served: close one of them")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::RateLimited, why))
    }
}

/// How many ICE restarts are answered: each is work on the thread of everybody's media.
pub struct RestartLimit(Throttle<DeviceId>);

impl Default for RestartLimit {
    /// A phone on its way restarts all its live views whenever its network changes.
    fn default() -> Self {
        let per_device = ViewerLimits::default().per_device as u32;
        Self(Throttle::new(2 * per_device, Duration::from_secs(2), 256))
    }
}

impl RestartLimit {
    /// Takes one restart of this device, whichever session it is for. Errors with `RateLimited` and how long to wait.
    pub fn take(&mut self, device: &DeviceId, now: MonoTime) -> Result<()> {
        self.0.take(device, now).map_err(|wait| {
            let s = wait.as_secs_f32().ceil();
            let message = format!("this device restarted its live views too often: try again in {s} s");
            Error::new(ErrorKind::RateLimited, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_few_of_each_device() {
        let (mut limit, one, other) = (RestartLimit::default(), DeviceId::random(), DeviceId::random());
        let at = |ms: i64| MonoTime(ms * 1000);
        let taken = (0..1000).filter(|ms| limit.take(&one, at(*ms)).is_ok()).count();
        assert_eq!(taken, 32, "in one second");
        let refused = limit.take(&one, at(1000)).expect_err("too many");
        assert_eq!(refused.kind(), ErrorKind::RateLimited);
        assert!(refused.to_string().ends_with("try again in 1 s"), "{refused}");
        limit.take(&other, at(1000)).expect("its own");
        limit.take(&one, at(3000)).expect("later");
    }

    #[test]
    fn who_is_let_in_to_watch() {
        let limits = ViewerLimits { all: 5, per_device: 2 };
        for (all, of_device, refused) in [
            (0, 0, None),
            (4, 1, None),
            (5, 0, Some("5 viewers watch already")),
            (4, 2, Some("this device has 2 live views open")),
            (9, 9, Some("9 viewers watch already")),
        ] {
            let admitted = limits.admit(all, of_device);
            match refused {
                None => admitted.expect("let in"),
                Some(why) => {
                    let e = admitted.expect_err("too many");
                    assert_eq!(e.kind(), ErrorKind::RateLimited);
                    assert!(e.message().starts_with(why), "{e}");
                }
            }
        }
        let limits = ViewerLimits::default();
        assert!(limits.per_device < limits.all, "no device takes all places");
    }

    #[test]
    fn a_turn_credential_is_good_for_ten_minutes() {
        for (now_us, lapses_at_s) in [(0, 600), (1_700_000_000_999_999, 1_700_000_600), (-1, 599)] {
            assert_eq!(turn_lapses_at_s(Timestamp(now_us)), lapses_at_s, "{now_us}");
        }
    }

    #[test]
    fn readers_are_counted_beside_others() {
        assert!(has_room_for_reader(0) && has_room_for_reader(MAX_READERS - 1) && !has_room_for_reader(MAX_READERS));
    }
}
