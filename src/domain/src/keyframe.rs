//! When an encoder is asked for a keyframe, and what a consumer that joins is shown first.

use perch_base::time::MonoTime;
use std::time::Duration;

/// At most one forced keyframe in this time for each encoder (storms hang hardware encoders).
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// A cached GOP no older than this is shown to a joiner as it is: catching up takes a blink.
pub const FRESH_GOP: Duration = Duration::from_millis(250);

/// Coalesces keyframe requests for one encoder.
#[derive(Clone, Debug, Default)]
pub struct KeyframeGate {
    last_forced: Option<MonoTime>,
    wanted: bool,
}

impl KeyframeGate {
    /// Somebody wants a keyframe. True: force one now. False: it is remembered and comes with [`Self::frame`].
    pub fn request(&mut self, now: MonoTime) -> bool {
        self.wanted = true;
        self.due(now)
    }

    /// A frame left the encoder. True: a remembered request is now due; force a keyframe.
    pub fn frame(&mut self, keyframe: bool, now: MonoTime) -> bool {
        if keyframe {
            self.wanted = false;
        }
        self.wanted && self.due(now)
    }

    /// Whether a request at `now` would be forced at once.
    pub fn is_open(&self, now: MonoTime) -> bool {
        self.last_forced.is_none_or(|last| now.since(last) >= MIN_INTERVAL)
    }

    fn due(&mut self, now: MonoTime) -> bool {
        let open = self.is_open(now);
        if open {
            self.last_forced = Some(now);
            self.wanted = false;
        }
        open
    }
}

/// What a joining consumer gets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinWith {
    /// The packets since the last keyframe.
    CachedGop,
    /// A keyframe that is forced now.
    ForcedKeyframe,
    /// The next keyframe by itself: nothing is cached and nothing can be forced.
    NextKeyframe,
}

/// Chooses how a consumer joins. `gop_age` is the age of the cached keyframe, `commandable` whether the encoder obeys requests,
/// `gate_open` whether one may be forced now.
///
/// A fresh GOP shows no fast-forward. An older one is replaced by a forced keyframe where that is possible at once; where
/// not, the old GOP still beats waiting.
pub fn join(gop_age: Option<Duration>, commandable: bool, gate_open: bool) -> JoinWith {
    match gop_age {
        Some(age) if age <= FRESH_GOP => JoinWith::CachedGop,
        _ if commandable && gate_open => JoinWith::ForcedKeyframe,
        Some(_) => JoinWith::CachedGop,
        None => JoinWith::NextKeyframe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: i64) -> MonoTime {
        MonoTime(n * 1000)
    }

    #[test]
    fn a_storm_of_requests_forces_one_a_second() {
        let mut gate = KeyframeGate::default();
        let mut forced = 0;
        for t in 0..5000 {
            forced += u32::from(gate.request(ms(t)));
        }
        assert_eq!(forced, 5);
    }

    #[test]
    fn a_refused_request_is_remembered_until_any_keyframe_comes() {
        let mut gate = KeyframeGate::default();
        assert!(gate.request(ms(0)));
        assert!(!gate.frame(true, ms(30)));
        assert!(!gate.request(ms(500)));
        assert!(!gate.frame(false, ms(900)));
        assert!(gate.frame(false, ms(1000)), "due one second after the last");
        assert!(!gate.request(ms(1500)));
        assert!(!gate.frame(true, ms(1600)), "a natural keyframe serves it");
        assert!(!gate.frame(false, ms(2500)));
    }

    #[test]
    fn joins() {
        let age = |n| Some(Duration::from_millis(n));
        for (gop, commandable, open, want) in [
            (age(100), true, true, JoinWith::CachedGop),
            (age(900), true, true, JoinWith::ForcedKeyframe),
            (age(900), true, false, JoinWith::CachedGop),
            (age(900), false, true, JoinWith::CachedGop),
            (None, true, true, JoinWith::ForcedKeyframe),
            (None, false, true, JoinWith::NextKeyframe),
        ] {
            assert_eq!(join(gop, commandable, open), want);
        }
    }
}
