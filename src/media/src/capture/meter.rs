//! Measures frames and bits a second of the main stream over the last seconds.

use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// What is looked at: so long, and at a slow camera its last frames.
const WINDOW: Duration = Duration::from_secs(3);
const FEW_FRAMES: usize = 4;
const MAX_FRAMES: usize = 1024;
/// Frames that come within less were held up on the way.
const SHORTEST: Duration = Duration::from_secs(1);

/// A window of frames.
#[derive(Debug, Default)]
pub(super) struct Meter(VecDeque<(MonoTime, usize)>);

impl Meter {
    /// A frame of `bytes` left at `at`.
    pub fn frame(&mut self, at: MonoTime, bytes: usize) {
        let frames = &mut self.0;
        frames.push_back((at, bytes));
        let is_old = |(first, _): &(MonoTime, usize)| at.since(*first) > WINDOW;
        while frames.len() > MAX_FRAMES || (frames.len() > FEW_FRAMES && frames.front().is_some_and(is_old)) {
            frames.pop_front();
        }
    }

    /// Frames a second and kbit/s at `now`; zeros when nothing came lately.
    pub fn read(&self, now: MonoTime) -> (f32, f32) {
        let (Some((first, head)), Some((last, _))) = (self.0.front(), self.0.back()) else { return (0.0, 0.0) };
        let (span, steps) = (last.since(*first), self.0.len() as u32 - 1);
        let pace = span.checked_div(steps).unwrap_or_default();
        if steps == 0 || now.since(*last) > WINDOW.max(pace * 2) {
            return (0.0, 0.0);
        }
        let bytes = self.0.iter().map(|(_, bytes)| bytes).sum::<usize>() - head;
        let span = span.max(SHORTEST).as_secs_f32();
        (steps as f32 / span, bytes as f32 * 8.0 / 1000.0 / span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_rate_and_bits() {
        let mut m = Meter::default();
        for i in 0..100 {
            m.frame(MonoTime(i * 40_000), 1000);
        }
        let (fps, kbps) = m.read(MonoTime(99 * 40_000));
        assert!((fps - 25.0).abs() < 0.1 && (kbps - 200.0).abs() < 1.0, "{fps} {kbps}");
        assert_eq!(m.read(MonoTime(60_000_000)), (0.0, 0.0));
    }

    #[test]
    fn a_slow_camera_has_a_rate_and_a_burst_is_none() {
        let mut slow = Meter::default();
        for i in 0..8 {
            slow.frame(MonoTime(i * 4_000_000), 1000);
        }
        let (fps, kbps) = slow.read(MonoTime(31_900_000));
        assert!((fps - 0.25).abs() < 0.01 && (kbps - 2.0).abs() < 0.1, "{fps} {kbps}");
        assert_eq!(slow.read(MonoTime(28_000_000 + 8_100_000)).0, 0.0, "the second one is overdue");
        let mut burst = Meter::default();
        for i in 0..5 {
            burst.frame(MonoTime(i * 16), 1000);
        }
        assert_eq!(burst.read(MonoTime(100)).0, 4.0);
    }
}
