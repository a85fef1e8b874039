//! The one clock of all pipelines: with it and one fixed base time, running time in every pipeline is the box's steady time.
//! Alternatives: a clock a pipeline (a restarted capture would jump); arrival times (they carry the encoder's jitter).

use gstreamer as gst;
use gstreamer::prelude::*;
use perch_base::clock::{Clock, SystemClock};
use perch_base::time::MonoTime;
use std::sync::OnceLock;

struct Time {
    clock: gst::Clock,
    base: gst::ClockTime,
}

/// Needs [`crate::init`] before the first call.
fn time() -> &'static Time {
    static TIME: OnceLock<Time> = OnceLock::new();
    TIME.get_or_init(|| {
        // Both clocks count CLOCK_MONOTONIC, so one reading ties them for good.
        let clock = gst::SystemClock::obtain();
        let mono = SystemClock.mono();
        let now = clock.time();
        Time { base: now.saturating_sub(from_mono(mono)), clock }
    })
}

/// The clock that every pipeline uses. [`crate::init`] must have been called.
pub fn clock() -> gst::Clock {
    time().clock.clone()
}

/// The clock's reading at [`MonoTime`] zero: the base time of every pipeline.
pub fn base_time() -> gst::ClockTime {
    time().base
}

/// Makes `pipeline` count the box's steady time. Call it before the pipeline leaves NULL.
pub fn apply(pipeline: &gst::Pipeline) {
    pipeline.use_clock(Some(&time().clock));
    pipeline.set_start_time(gst::ClockTime::NONE);
    pipeline.set_base_time(time().base);
}

/// A running time of any pipeline that [`apply`] touched.
pub fn to_mono(running: gst::ClockTime) -> MonoTime {
    MonoTime(i64::try_from(running.useconds()).unwrap_or(i64::MAX))
}

/// The running time at `at`; zero for moments before the process.
pub fn from_mono(at: MonoTime) -> gst::ClockTime {
    gst::ClockTime::from_useconds(u64::try_from(at.0).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_time_is_the_boxs_steady_time() {
        crate::init().expect("GStreamer is there");
        let running = clock().time() - base_time();
        let apart = SystemClock.mono().micros_since(to_mono(running));
        assert!((-10_000..10_000).contains(&apart), "{apart} us");
        assert_eq!(to_mono(from_mono(MonoTime(123_456))), MonoTime(123_456));
    }
}
