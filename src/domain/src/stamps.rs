//! The time stamps of packets on their way from a source to a viewer: they grow strictly, sound follows on without holes, and an encoder
//! that takes commands begins a new GOP in time.

use crate::media::OPUS_PACKET;
use perch_base::time::MonoTime;
use std::time::Duration;

/// A source's jump back of so much is a new time line, less is jitter.
const JITTER: Duration = Duration::from_secs(1);
/// Longest time without a keyframe from an encoder that takes commands: slow sources would stretch a GOP that is counted in frames.
const MAX_GOP: Duration = Duration::from_millis(1500);
/// Least distance of the times of two pictures that a viewer gets.
const MIN_STEP: Duration = Duration::from_millis(1);
/// How far in the past a viewer is that begins with pictures from before it came: players need as much to begin without a wait, and do not
/// come nearer by themselves.
const MOST_BEHIND: Duration = Duration::from_secs(4);
/// Pictures from before the first one that is whole are shown so many times faster.
const HURRIED: u32 = 40;
/// Sound that is this far from where the last packet ended is not moved there, milliseconds.
const SOUND_TOLERANCE_MS: i64 = 60;

/// Makes the time stamps of a source grow strictly: jitter is smoothed by a microsecond, a larger jump back is a new time line (`true`).
pub fn settle(last: Option<MonoTime>, pts: MonoTime) -> (MonoTime, bool) {
    match last {
        Some(last) if pts <= last && last.since(pts) < JITTER => (MonoTime(last.0 + 1), false),
        Some(last) if pts <= last => (pts, true),
        _ => (pts, false),
    }
}

/// When a viewer is shown a picture of `pts`: then, or just after the `last` one. The stream that it changes to carries times that the one
/// before it has used.
pub fn shown_at(last: Option<MonoTime>, pts: MonoTime) -> MonoTime {
    last.map_or(pts, |last| pts.max(last + MIN_STEP))
}

/// The times of the pictures from before a viewer came, with which it begins: their own, so that it plays them at their pace and measures
/// their rate, up to [`MOST_BEHIND`]. A longer past is shown faster. Those before the first whole one only lead to it: they are hurried.
#[derive(Clone, Copy, Debug)]
pub struct CatchUp {
    first: MonoTime,
    now: MonoTime,
}

impl CatchUp {
    /// For a viewer that comes `now` and begins with the picture of `first`, which is whole.
    pub fn new(first: MonoTime, now: MonoTime) -> Self {
        Self { first, now }
    }

    /// When the viewer is shown what is of `at`. It grows with `at`, and what is of now keeps its time.
    pub fn shown_at(&self, at: MonoTime) -> MonoTime {
        if at < self.first && self.first <= self.now {
            return self.shown_at(self.first) - self.first.since(at) / HURRIED;
        }
        let (past, ago) = (self.now.since(self.first), self.now.since(at));
        if past <= MOST_BEHIND || ago.is_zero() {
            return at;
        }
        self.now - MOST_BEHIND.mul_f64(ago.as_secs_f64() / past.as_secs_f64())
    }
}

/// Watches for GOPs that grow long.
#[derive(Clone, Copy, Debug, Default)]
pub struct GopWatch {
    /// When the last keyframe came, or was last asked for.
    since: Option<MonoTime>,
}

impl GopWatch {
    /// A picture came. Whether the encoder should begin a new GOP; said once each `MAX_GOP`.
    pub fn is_long(&mut self, keyframe: bool, now: MonoTime) -> bool {
        let since = *self.since.get_or_insert(now);
        let is_long = !keyframe && now.since(since) >= MAX_GOP;
        if keyframe || is_long {
            self.since = Some(now);
        }
        is_long
    }
}

/// A viewer's sound, which follows on without holes as long as its time stamps are near: a player hears every hole as a click.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteadySound {
    next_ticks: Option<i64>,
}

impl SteadySound {
    /// The time stamp of a packet of `ticks` of a clock of `clock_khz`, which lasts so long (zero: [`OPUS_PACKET`]).
    pub fn follow_on(&mut self, ticks: i64, duration: Duration, clock_khz: i64) -> i64 {
        let is_near = |next: &i64| (ticks - next).abs() <= SOUND_TOLERANCE_MS * clock_khz;
        let steady = self.next_ticks.filter(is_near).unwrap_or(ticks);
        let lasts = if duration.is_zero() { OPUS_PACKET } else { duration };
        self.next_ticks = Some(steady + lasts.as_micros() as i64 * clock_khz / 1000);
        steady
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: i64) -> MonoTime {
        MonoTime(ms * 1000)
    }

    #[test]
    fn time_grows_strictly_unless_it_jumps_far_back() {
        let t = MonoTime;
        for (last, pts, want) in [
            (None, t(5), (t(5), false)),
            (Some(t(5)), t(9), (t(9), false)),
            (Some(t(9)), t(9), (t(10), false)),
            (Some(t(9)), t(3), (t(10), false)),
            (Some(t(1_000_002)), t(3), (t(1_000_003), false)),
            (Some(t(1_000_003)), t(3), (t(3), true)),
            (Some(t(9_000_000)), t(3), (t(3), true)),
        ] {
            assert_eq!(settle(last, pts), want, "{last:?}, {pts:?}");
        }
    }

    #[test]
    fn a_viewer_sees_pictures_one_after_the_other() {
        for (last, pts, want) in [
            (None, ms(5), ms(5)),
            (Some(ms(5)), ms(45), ms(45)),
            (Some(ms(45)), ms(45), ms(46)),
            (Some(ms(45)), ms(5), ms(46)),
        ] {
            assert_eq!(shown_at(last, pts), want, "{last:?}, {pts:?}");
        }
    }

    #[test]
    fn a_viewer_plays_the_past_at_its_pace_and_a_long_one_faster() {
        for (first, now, at, want) in [
            (1_000, 2_500, 1_000, 1_000),
            (1_000, 2_500, 1_040, 1_040),
            (1_000, 5_000, 1_000, 1_000),
            (1_000, 21_000, 1_000, 17_000),
            (1_000, 21_000, 1_100, 17_020),
            (1_000, 21_000, 20_900, 20_980),
            (1_000, 21_000, 21_000, 21_000),
            (1_000, 21_000, 21_040, 21_040),
            // From before the first whole one.
            (1_000, 2_500, 960, 999),
            (1_000, 2_500, 600, 990),
            (1_000, 21_000, 960, 16_999),
            // Times that contradict the clock.
            (2_000, 1_000, 2_000, 2_000),
        ] {
            assert_eq!(CatchUp::new(ms(first), ms(now)).shown_at(ms(at)), ms(want), "{first}, {now}, {at} ms");
        }
    }

    #[test]
    fn a_long_gop_is_said_once_each_time() {
        let mut gop = GopWatch::default();
        for (keyframe, at, is_long) in [
            (true, 0, false),
            (false, 1499, false),
            (false, 1500, true),
            (false, 1600, false),
            (true, 2900, false),
            (false, 3100, false),
            (false, 4400, true),
            (true, 9000, false),
        ] {
            assert_eq!(gop.is_long(keyframe, ms(at)), is_long, "at {at} ms");
        }
        assert!(!GopWatch::default().is_long(false, ms(5000)), "its first picture is no keyframe");
    }

    #[test]
    fn sound_follows_on_unless_it_is_far() {
        let (mut sound, packet) = (SteadySound::default(), Duration::from_millis(20));
        for (at_ms, lasts, want_ms) in [
            (1000, packet, 1000),
            (1023, packet, 1020),
            (1035, packet, 1040),
            (1120, packet, 1060),
            (1019, Duration::ZERO, 1019),
            (1039, packet, 1039),
            (5000, packet, 5000),
        ] {
            assert_eq!(sound.follow_on(at_ms * 48, lasts, 48), want_ms * 48, "at {at_ms} ms");
        }
    }

    proptest! {
        /// Whatever a source says, time goes back only with a new time line, and a viewer's never.
        #[test]
        fn time_goes_back_only_with_a_new_time_line(stamps in proptest::collection::vec(0..10_000_000i64, 1..50)) {
            let (mut last, mut shown) = (None, None);
            for pts in stamps.into_iter().map(MonoTime) {
                let (settled, is_new) = settle(last, pts);
                prop_assert_eq!(is_new, last.is_some_and(|last| settled <= last));
                last = Some(settled);
                let at = shown_at(shown, pts);
                prop_assert!(at >= pts && shown.is_none_or(|before| at > before));
                shown = Some(at);
            }
        }

        /// Sound is never moved by more than the tolerance.
        #[test]
        fn sound_is_moved_by_little(packets in proptest::collection::vec((0..200_000i64, 0..60u64), 1..50)) {
            let mut sound = SteadySound::default();
            for (ticks, lasts_ms) in packets {
                let at = sound.follow_on(ticks, Duration::from_millis(lasts_ms), 48);
                prop_assert!((at - ticks).abs() <= SOUND_TOLERANCE_MS * 48);
            }
        }
    }
}
