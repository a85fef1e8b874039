//! How many may watch live at once, by WebRTC and by RTSP. Who may watch what is [`crate::access`]'s to say.

use crate::settings::Keys;
use crate::throttle::Throttle;
use perch_base::ids::DeviceId;
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use std::ops::RangeInclusive;
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
    /// Of all devices of one person.
    pub per_person: usize,
    /// Of one device.
    pub per_device: usize,
}

/// Who watches already, beside one that comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Viewers {
    /// In all.
    pub all: usize,
    /// Of all devices of the same person; a device that is nobody's is one by itself.
    pub of_person: usize,
    /// Of the same device.
    pub of_device: usize,
}

impl Viewers {
    /// Counts who watches: each by device and account.
    pub fn beside<'a>(
        newcomer: (DeviceId, Option<&str>),
        watching: impl Iterator<Item = (DeviceId, Option<&'a str>)>,
    ) -> Self {
        let (device, account) = newcomer;
        let mut seen = Self::default();
        for (theirs, of) in watching {
            let same_device = theirs == device;
            seen.all += 1;
            seen.of_device += usize::from(same_device);
            seen.of_person += usize::from(same_device || (of.is_some() && of == account));
        }
        seen
    }
}

impl Default for ViewerLimits {
    /// A device may show a wall of cameras.
    fn default() -> Self {
        Self { all: 64, per_person: 32, per_device: 16 }
    }
}

impl ViewerLimits {
    /// How many the owner may allow.
    pub const RANGE: RangeInclusive<u32> = 1..=256;

    /// Reads `max_viewers` and `max_viewers_per_person`.
    pub fn read(keys: &mut impl Keys) -> Self {
        let d = Self::default();
        let mut count = |key: &str, default: usize| keys.count(key, default as u32, Self::RANGE) as usize;
        Self {
            all: count("max_viewers", d.all),
            per_person: count("max_viewers_per_person", d.per_person),
            per_device: d.per_device,
        }
    }

    /// Whether one more session is served beside those. Errors with `Unavailable` and what to do. The newcomer is refused and nobody sent away:
    /// whoever is gone gives its place back when its lease lapses.
    pub fn admit(&self, watching: Viewers) -> Result<()> {
        let Viewers { all, of_person, of_device } = watching;
        let views = |count: usize| if count == 1 { "1 live view".to_owned() } else { format!("{count} live views") };
        let why = if of_device >= self.per_device {
            format!("this device has {} open, no more are served: close one of them", views(of_device))
        } else if of_person >= self.per_person {
            let open = views(of_person);
            format!("your devices have {open} open, no more are served: close one of them, on whichever device")
        } else if all >= self.all {
            let are = if all == 1 { "is" } else { "are" };
            let all = views(all);
            format!("{all} {are} open, no more are served: close one, or ask an administrator to cut one off")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Unavailable, why))
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
        let limits = ViewerLimits { all: 5, per_person: 3, per_device: 2 };
        for (all, of_person, of_device, refused) in [
            (0, 0, 0, None),
            (4, 2, 1, None),
            (5, 0, 0, Some("5 live views are open")),
            (4, 2, 2, Some("this device has 2 live views open")),
            (5, 0, 1, Some("5 live views are open")),
            (4, 3, 1, Some("your devices have 3 live views open")),
            (9, 9, 9, Some("this device has 9 live views open")),
        ] {
            let admitted = limits.admit(Viewers { all, of_person, of_device });
            match refused {
                None => admitted.expect("let in"),
                Some(why) => {
                    let e = admitted.expect_err("too many");
                    assert_eq!(e.kind(), ErrorKind::Unavailable);
                    assert!(e.message().starts_with(why), "{e}");
                }
            }
        }
        let limits = ViewerLimits::default();
        assert!(limits.per_device < limits.per_person && limits.per_person < limits.all, "nobody takes all places");
    }

    #[test]
    fn a_person_is_counted_over_all_their_devices() {
        let [phone, tablet, paired, other] = [(); 4].map(|()| DeviceId::random());
        let watching =
            [(phone, Some("anna")), (phone, Some("anna")), (tablet, Some("anna")), (paired, None), (other, None)];
        for (newcomer, of_person, of_device) in [
            ((phone, Some("anna")), 3, 2),
            ((tablet, Some("anna")), 3, 1),
            ((DeviceId::random(), Some("anna")), 3, 0),
            ((DeviceId::random(), Some("eve")), 0, 0),
            // Those that are nobody's are not one person.
            ((paired, None), 1, 1),
            ((DeviceId::random(), None), 0, 0),
        ] {
            let seen = Viewers::beside(newcomer, watching.into_iter());
            assert_eq!(seen, Viewers { all: 5, of_person, of_device }, "{newcomer:?}");
        }
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
