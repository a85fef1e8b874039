//! Which pictures of its stream a viewer is sent, by its ration.

use super::feed::Frame;
use perch_base::time::MonoTime;
use perch_domain::rate::{KEYFRAME_EVERY, Ration};

/// A camera whose keyframes are this far apart is not thinned to half of them for a few milliseconds.
const ABOUT: std::time::Duration = std::time::Duration::from_millis(50);

/// Where a viewer is in its pictures.
#[derive(Debug)]
pub struct RationGate {
    ration: Ration,
    /// Pictures were left out since the last one: the next one must be a keyframe.
    is_broken: bool,
    last_keyframe: Option<MonoTime>,
}

impl RationGate {
    /// Lets through what belongs to `ration`.
    pub fn new(ration: Ration) -> Self {
        Self { ration, is_broken: false, last_keyframe: None }
    }

    /// What it lets through.
    pub fn ration(&self) -> Ration {
        self.ration
    }

    /// Lets through what belongs to `ration` from now on. True: a keyframe is needed for that.
    pub fn set(&mut self, ration: Ration) -> bool {
        self.ration = ration;
        self.is_broken && ration != Ration::Sound
    }

    /// What it let through last did not leave: the next picture must be a keyframe.
    pub fn break_off(&mut self) {
        self.is_broken = true;
    }

    /// Whether a picture is sent.
    pub fn passes(&mut self, frame: &Frame) -> bool {
        let is_due = || self.last_keyframe.is_none_or(|last| frame.pts.since(last) + ABOUT >= KEYFRAME_EVERY);
        let passes = match self.ration {
            Ration::Main | Ration::Sub => frame.keyframe || !self.is_broken,
            Ration::Keyframes => frame.keyframe && is_due(),
            Ration::Sound => false,
        };
        self.is_broken = !passes;
        if passes && frame.keyframe {
            self.last_keyframe = Some(frame.pts);
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::media::{Packet, Track, VideoCodec};
    use std::time::Instant;

    /// The milliseconds of the pictures that pass, of a stream of ten a second with a keyframe each second.
    fn passed(gate: &mut RationGate, ms: std::ops::Range<i64>) -> Vec<i64> {
        let frame = |ms: i64| {
            let packet = Packet {
                codec: Some(VideoCodec::H264),
                ..Packet::new(
                    Track::Video,
                    bytes::Bytes::from_static(&[0, 0, 0, 1, 0x65, 1]),
                    MonoTime(ms * 1000),
                    ms % 1000 == 0,
                )
            };
            Frame::new(&packet, Instant::now(), false)
        };
        ms.step_by(100).filter(|ms| gate.passes(&frame(*ms))).collect()
    }

    #[test]
    fn what_was_left_out_is_followed_by_a_keyframe() {
        let mut gate = RationGate::new(Ration::Main);
        assert_eq!(passed(&mut gate, 0..300), [0, 100, 200]);
        assert!(!gate.set(Ration::Keyframes), "keyframes come by themselves");
        assert_eq!(passed(&mut gate, 300..6000), [2000, 4000], "two seconds apart");
        assert!(gate.set(Ration::Sub));
        assert_eq!(passed(&mut gate, 6000..6200), [6000, 6100]);
        assert!(!gate.set(Ration::Sound));
        assert_eq!(passed(&mut gate, 6200..9000), [0i64; 0]);
        assert!(gate.set(Ration::Main));
        assert_eq!(passed(&mut gate, 9100..10_200), [10_000, 10_100]);
        assert_eq!(gate.ration(), Ration::Main);
    }
}
