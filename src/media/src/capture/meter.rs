//! Measures frames and bits a second of the main stream over the last seconds.

use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// What is looked at.
const WINDOW: Duration = Duration::from_secs(3);
const MAX_FRAMES: usize = 1024;

/// A window of frames.
#[derive(Debug, Default)]
pub(super) struct Meter(VecDeque<(MonoTime, usize)>);

impl Meter {
    /// A frame of `bytes` left at `at`.
    pub fn frame(&mut self, at: MonoTime, bytes: usize) {
        let frames = &mut self.0;
        frames.push_back((at, bytes));
        while frames.len() > MAX_FRAMES || frames.front().is_some_and(|(first, _)| at.since(*first) > WINDOW) {
            frames.pop_front();
        }
    }

    /// Frames a second and kbit/s at `now`; zeros when nothing came lately.
    pub fn read(&self, now: MonoTime) -> (f32, f32) {
        let recent = || self.0.iter().filter(|(at, _)| now.since(*at) <= WINDOW);
        let (Some((first, head)), Some((last, _))) = (recent().next(), recent().next_back()) else { return (0.0, 0.0) };
        let span = last.since(*first).as_secs_f32();
        if span <= 0.0 {
            return (0.0, 0.0);
        }
        let (count, bytes) = recent().fold((0usize, 0usize), |(n, sum), (_, b)| (n + 1, sum + b));
        ((count - 1) as f32 / span, (bytes - head) as f32 * 8.0 / 1000.0 / span)
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
}
