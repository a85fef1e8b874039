//! Whether the box as a whole makes progress: what decides that the system's watchdog is fed. Each part counts what it does; a part
//! whose count stands still for longer than it may is stuck. What a part does may be in vain: a camera that is unplugged is
//! alive as long as it is tried again.

use crate::capture_attempt::{LET_GO_WITHIN, START_WITHIN};
use crate::health::FIRST_FRAME_WITHIN;
use crate::task::{CAPTURE_PAUSES, RECORDING_PAUSES};
use perch_base::ids::CameraId;
use perch_base::time::MonoTime;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// A part of the box that must go on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VitalPart {
    /// A camera's capture: frames and attempts count, and the rounds of those that wait for a network camera.
    Capture(CameraId),
    /// A camera's recorder: rounds of its loop and attempts count.
    Recorder(CameraId),
    /// RTSP: rounds of its loop and attempts count.
    Rtsp,
    /// The API: answers to the box's own question count.
    Api,
    /// The database: answers count.
    Database,
}

impl fmt::Display for VitalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(camera) => write!(f, "camera {camera}"),
            Self::Recorder(camera) => write!(f, "the recorder of {camera}"),
            Self::Rtsp => f.write_str("RTSP"),
            Self::Api => f.write_str("the API"),
            Self::Database => f.write_str("the database"),
        }
    }
}

/// What a machine that has much to do is given beyond the sum of all limits.
const SPARE: Duration = Duration::from_secs(22);
/// How long a disk may take over one step of a recorder.
const SLOW_STEP: Duration = Duration::from_secs(90);

/// How long a part may stand still. What it is made of is changed where it stands, and this follows.
fn patience(part: &VitalPart) -> Duration {
    match part {
        // The longest attempt that brings nothing, and the pause before it.
        VitalPart::Capture(_) => CAPTURE_PAUSES.1 + START_WITHIN + FIRST_FRAME_WITHIN + LET_GO_WITHIN + SPARE,
        VitalPart::Recorder(_) => RECORDING_PAUSES.1 + SLOW_STEP,
        VitalPart::Rtsp | VitalPart::Api | VitalPart::Database => Duration::from_secs(60),
    }
}

/// Parts get this much more from when they are first named until they count for the first time.
const GRACE: Duration = Duration::from_secs(60);

/// How far a part has come: any number that changes when it does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The part.
    pub part: VitalPart,
    /// Its count.
    pub count: u64,
}

/// What is to be reported to the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VitalityVerdict {
    /// All parts go on.
    Alive,
    /// These stand still, each for so long.
    Stuck(Vec<(VitalPart, Duration)>),
}

impl VitalityVerdict {
    /// A sentence for the log and for `systemctl status`; empty while all is well.
    pub fn sentence(&self) -> String {
        match self {
            Self::Alive => String::new(),
            Self::Stuck(parts) => {
                let each: Vec<_> = parts
                    .iter()
                    .map(|(part, for_)| format!("{part} has stood still for {} s", for_.as_secs()))
                    .collect();
                each.join("; ")
            }
        }
    }
}

/// The machine.
#[derive(Clone, Debug, Default)]
pub struct Vitality {
    seen: BTreeMap<VitalPart, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When it was first named: a camera may come while the box runs.
    first: MonoTime,
    count: u64,
    /// When the count last changed; `None`: it never did.
    at: Option<MonoTime>,
}

impl Vitality {
    /// Looks at the signs of every part. A part that is no longer named is no longer watched.
    pub fn look(&mut self, signs: &[Sign], now: MonoTime) -> VitalityVerdict {
        self.seen.retain(|part, _| signs.iter().any(|s| s.part == *part));
        let mut stuck = Vec::new();
        for Sign { part, count } in signs {
            // What was counted before the first look happened, so a part that begins with a count is alive then.
            let fresh = Seen { first: now, count: 0, at: None };
            let seen = self.seen.entry(part.clone()).or_insert(fresh);
            if seen.count != *count {
                *seen = Seen { count: *count, at: Some(now), ..*seen };
            }
            let (since, allowed) = match seen.at {
                Some(at) => (at, patience(part)),
                None => (seen.first, patience(part) + GRACE),
            };
            let still = now.since(since);
            if still > allowed {
                stuck.push((part.clone(), still));
            }
        }
        if stuck.is_empty() { VitalityVerdict::Alive } else { VitalityVerdict::Stuck(stuck) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> CameraId {
        CameraId::new("front").expect("an id")
    }

    fn s(n: u64) -> MonoTime {
        MonoTime((n * 1_000_000) as i64)
    }

    /// Looks every ten seconds at one part whose count at second `t` is `count(t)`; the second at which it is first stuck.
    fn first_stuck(part: VitalPart, until: u64, count: impl Fn(u64) -> u64) -> Option<u64> {
        let mut vitality = Vitality::default();
        (0..=until).step_by(10).find(|t| {
            let signs = [Sign { part: part.clone(), count: count(*t) }];
            vitality.look(&signs, s(*t)) != VitalityVerdict::Alive
        })
    }

    #[test]
    fn what_goes_on_is_alive_and_what_stands_still_is_not() {
        let capture = || VitalPart::Capture(camera());
        let recorder = || VitalPart::Recorder(camera());
        type Count = fn(u64) -> u64;
        let table: [(&str, VitalPart, Count, Option<u64>); 13] = [
            ("frames come", capture(), |t| t * 25 + 1, None),
            ("unplugged, tried again every 15 s", capture(), |t| t / 15, None),
            ("a hanging driver, tried again every 50 s", capture(), |t| t / 50, None),
            ("frames, then a loop that hangs at 100 s", capture(), |t| t.min(100), Some(180)),
            ("a loop that never began", capture(), |_| 0, Some(140)),
            ("a slow start, then frames", capture(), |t| t.saturating_sub(120), None),
            ("a recorder's rounds", recorder(), |t| t / 5, None),
            ("a recorder whose disk hangs at 100 s", recorder(), |t| t.min(100), Some(230)),
            ("RTSP's loop, run again every 4 s", VitalPart::Rtsp, |t| t / 4, None),
            ("RTSP's loop hangs at 60 s", VitalPart::Rtsp, |t| t.min(60), Some(130)),
            ("the API answers", VitalPart::Api, |t| t, None),
            ("the API stops to answer at 60 s", VitalPart::Api, |t| t.min(60), Some(130)),
            ("the database never answers", VitalPart::Database, |_| 0, Some(130)),
        ];
        for (name, part, count, want) in table {
            assert_eq!(first_stuck(part, 1000, count), want, "{name}");
        }
    }

    #[test]
    fn no_attempt_that_is_within_its_limits_is_stuck() {
        assert_eq!(patience(&VitalPart::Capture(camera())), Duration::from_secs(75));
        assert_eq!(patience(&VitalPart::Recorder(camera())), Duration::from_secs(120));
        // A camera that is slow in everything counts its attempts this far apart.
        let slowest = CAPTURE_PAUSES.1 + START_WITHIN + FIRST_FRAME_WITHIN + LET_GO_WITHIN;
        let attempts = |t: u64| t / slowest.as_secs();
        assert_eq!(first_stuck(VitalPart::Capture(camera()), 10_000, attempts), None);
    }

    #[test]
    fn one_stuck_part_is_enough_and_is_named() {
        let mut vitality = Vitality::default();
        let signs = |t: u64| {
            vec![
                Sign { part: VitalPart::Capture(camera()), count: t },
                Sign { part: VitalPart::Recorder(camera()), count: t },
                Sign { part: VitalPart::Api, count: 7 },
                Sign { part: VitalPart::Database, count: t },
            ]
        };
        assert_eq!(vitality.look(&signs(1), s(1)), VitalityVerdict::Alive);
        assert_eq!(vitality.look(&signs(61), s(61)), VitalityVerdict::Alive);
        let verdict = vitality.look(&signs(62), s(62));
        assert_eq!(verdict, VitalityVerdict::Stuck(vec![(VitalPart::Api, Duration::from_secs(61))]));
        assert_eq!(verdict.sentence(), "the API has stood still for 61 s");
    }

    #[test]
    fn what_recovers_is_alive_again_and_what_is_gone_is_not_missed() {
        let mut vitality = Vitality::default();
        let sign = |count| [Sign { part: VitalPart::Api, count }];
        vitality.look(&sign(1), s(0));
        assert_ne!(vitality.look(&sign(1), s(100)), VitalityVerdict::Alive);
        assert_eq!(vitality.look(&sign(2), s(101)), VitalityVerdict::Alive);
        assert_eq!(vitality.look(&[], s(500)), VitalityVerdict::Alive);
    }
    #[test]
    fn a_camera_that_comes_late_has_its_grace_too() {
        let mut vitality = Vitality::default();
        let api = |t| Sign { part: VitalPart::Api, count: t };
        let camera = || Sign { part: VitalPart::Capture(camera()), count: 0 };
        let mut look = |t: u64, signs: &[Sign]| vitality.look(signs, s(t)) == VitalityVerdict::Alive;
        assert!(look(0, &[api(1)]) && look(3600, &[api(2), camera()]) && look(3735, &[api(3), camera()]));
        assert!(!look(3736, &[api(4), camera()]));
    }
}
