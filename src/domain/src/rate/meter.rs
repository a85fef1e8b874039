//! What a stream costs, measured by its own pictures.

use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// Of a viewer that gets keyframes alone, they are this far apart at least.
pub const KEYFRAME_EVERY: Duration = Duration::from_secs(2);

/// Pictures of this time are counted: two GOPs of an ordinary camera.
const WINDOW: Duration = Duration::from_secs(4);
/// Less says nothing.
const LEAST: Duration = Duration::from_millis(900);
/// At most so many pictures, whatever a camera sends.
const MAX_PICTURES: usize = 1024;
/// What packets add: headers of RTP, SRTP, UDP and IP around some 1,100 bytes.
const HEADERS: f64 = 1.06;

/// Counts the pictures of one stream.
#[derive(Clone, Debug, Default)]
pub struct StreamMeter {
    pictures: VecDeque<(MonoTime, usize)>,
    bytes: usize,
    keyframe_bytes: Option<usize>,
}

impl StreamMeter {
    /// A picture of `pts`.
    pub fn take(&mut self, pts: MonoTime, bytes: usize, keyframe: bool) {
        if self.pictures.back().is_some_and(|(last, _)| *last >= pts || pts.since(*last) > WINDOW) {
            self.pictures.clear();
            self.bytes = 0;
        }
        self.pictures.push_back((pts, bytes));
        self.bytes += bytes;
        if keyframe {
            self.keyframe_bytes = Some(bytes);
        }
        while self.pictures.len() > MAX_PICTURES
            || self.pictures.front().is_some_and(|(first, _)| pts.since(*first) > WINDOW)
        {
            self.bytes -= self.pictures.pop_front().map_or(0, |(_, bytes)| bytes);
        }
    }

    /// Bits a second as they are sent; `None`: too little was seen.
    pub fn bps(&self) -> Option<u64> {
        let (first, last) = (self.pictures.front()?.0, self.pictures.back()?.0);
        let span = last.since(first);
        // The last picture lasts until the next one comes.
        let each = span / (self.pictures.len() as u32 - 1).max(1);
        (span >= LEAST).then(|| (self.bytes as f64 * 8.0 * HEADERS / (span + each).as_secs_f64()) as u64)
    }

    /// The same of its keyframes alone, [`KEYFRAME_EVERY`] apart.
    pub fn keyframes_bps(&self) -> Option<u64> {
        self.keyframe_bytes.map(|bytes| (bytes as f64 * 8.0 * HEADERS / KEYFRAME_EVERY.as_secs_f64()) as u64)
    }
}

/// How fast a count of bytes grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentRate {
    since: Option<(MonoTime, u64)>,
    bps: Option<u64>,
}

impl SentRate {
    /// Over so long.
    const OVER: Duration = Duration::from_secs(2);

    /// So many bytes were sent by `now`, all in all.
    pub fn look(&mut self, now: MonoTime, bytes: u64) {
        let (since, before) = *self.since.get_or_insert((now, bytes));
        let span = now.since(since);
        if span >= Self::OVER {
            self.bps = Some((bytes.saturating_sub(before) as f64 * 8.0 / span.as_secs_f64()) as u64);
            self.since = Some((now, bytes));
        }
    }

    /// Bits a second lately; `None`: too little was seen.
    pub fn bps(&self) -> Option<u64> {
        self.bps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_lately_counts() {
        let mut rate = SentRate::default();
        for (ms, bytes, bps) in
            [(0, 500, None), (1900, 9_999, None), (2000, 10_500, Some(40_000)), (4500, 10_500, Some(0))]
        {
            rate.look(MonoTime(ms * 1000), bytes);
            assert_eq!(rate.bps(), bps, "{ms} ms");
        }
    }

    #[test]
    fn a_stream_costs_what_it_sent_lately() {
        let mut meter = StreamMeter::default();
        let mut ms = 0;
        let mut send = |meter: &mut StreamMeter, seconds: i64, bytes: usize| {
            for _ in 0..seconds * 25 {
                meter.take(MonoTime(ms * 1000), if ms % 1000 == 0 { 5 * bytes } else { bytes }, ms % 1000 == 0);
                ms += 40;
            }
        };
        assert_eq!((meter.bps(), meter.keyframes_bps()), (None, None));
        meter.take(MonoTime(-40_000), 100, true);
        assert_eq!((meter.bps(), meter.keyframes_bps()), (None, Some(424)), "one picture says nothing of a second");
        send(&mut meter, 10, 1000);
        // 29,000 bytes a second, and 5,000 every two.
        let near = |bps: Option<u64>, want: u64| bps.is_some_and(|bps| bps.abs_diff(want) < want / 50);
        assert!(near(meter.bps(), 245_900) && near(meter.keyframes_bps(), 21_200), "{meter:?}");
        send(&mut meter, 5, 100);
        assert!(near(meter.bps(), 24_590), "{:?}", meter.bps());
        meter.take(MonoTime(0), 100, false);
        assert_eq!(meter.bps(), None, "a new run");
        (0..5000).for_each(|n| meter.take(MonoTime(n), 1, false));
        assert!(meter.pictures.len() <= MAX_PICTURES);
    }
}
