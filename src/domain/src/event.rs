//! The event machine: turns the detector's word on each picture into events with a start and an end.

use crate::motion::{Box, Cause, Detection};
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// When hits become an event and when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventConfig {
    /// Hits among the last [`EventConfig::WINDOW`] pictures that start an event.
    pub min_hits: usize,
    /// Motion that comes back within this time belongs to the same event.
    pub gap: Duration,
    /// How long an event goes on after its last motion.
    pub post_roll: Duration,
}

impl EventConfig {
    /// Pictures that are looked back on for `min_hits`.
    pub const WINDOW: usize = 4;
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An event began with its first hit at `start`.
    Started {
        /// First motion.
        start: MonoTime,
        /// The strongest picture so far.
        peak: Peak,
    },
    /// The running event has a stronger picture than before.
    Grew {
        /// The strongest picture so far.
        peak: Peak,
    },
    /// The event is over.
    Ended {
        /// Its last motion.
        last_motion: MonoTime,
        /// Last motion + post-roll. May lie in the future: recording goes on until then.
        end: MonoTime,
    },
}

/// The strongest picture of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Peak {
    /// When it was captured.
    pub at: MonoTime,
    /// Its score, 0..1.
    pub score: f32,
    /// Why it counted.
    pub cause: Cause,
    /// What moved.
    pub boxes: Vec<Box>,
}

#[derive(Clone, Debug)]
struct Running {
    last_motion: MonoTime,
    score: f32,
}

/// One camera's event machine. Feed it every detection, and [`EventMachine::tick`] when pictures stop.
#[derive(Clone, Debug)]
pub struct EventMachine {
    config: EventConfig,
    /// The last pictures while nothing runs: when, and what was seen if it was a hit.
    recent: VecDeque<(MonoTime, Option<Peak>)>,
    running: Option<Running>,
}

/// A stronger picture must be stronger by this factor to be told: a still is taken each time.
const GROWTH: f32 = 1.3;

impl EventMachine {
    /// A machine with nothing going on.
    pub fn new(config: EventConfig) -> Self {
        Self { config, recent: VecDeque::new(), running: None }
    }

    /// Whether an event is going on.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Until when the running event goes on at least: its last motion + post-roll.
    pub fn until(&self) -> Option<MonoTime> {
        self.running.as_ref().map(|run| run.last_motion + self.config.post_roll)
    }

    /// Takes the detector's word on one picture.
    pub fn handle(&mut self, d: &Detection) -> Option<Output> {
        if let Some(ended) = self.tick(d.pts) {
            self.remember(d);
            return Some(ended);
        }
        self.remember(d);
        match &mut self.running {
            Some(run) => {
                if !d.motion {
                    return None;
                }
                run.last_motion = d.pts;
                if d.score <= run.score * GROWTH {
                    return None;
                }
                run.score = d.score;
                Some(Output::Grew { peak: peak(d) })
            }
            None => {
                let hits = || self.recent.iter().filter_map(|(_, hit)| hit.as_ref());
                if !d.motion || hits().count() < self.config.min_hits {
                    return None;
                }
                let start = hits().next()?.at;
                let peak = hits().max_by(|a, b| a.score.total_cmp(&b.score))?.clone();
                self.running = Some(Running { last_motion: d.pts, score: peak.score });
                self.recent.clear();
                Some(Output::Started { start, peak })
            }
        }
    }

    /// Time passes without a picture. An event whose camera has gone ends like any other.
    pub fn tick(&mut self, now: MonoTime) -> Option<Output> {
        let run = self.running.as_ref()?;
        if now.since(run.last_motion) < self.config.gap.max(Duration::from_millis(1)) {
            return None;
        }
        let last_motion = run.last_motion;
        self.running = None;
        Some(Output::Ended { last_motion, end: last_motion + self.config.post_roll })
    }

    /// Ends the running event now: the camera was stopped.
    pub fn finish(&mut self) -> Option<Output> {
        let run = self.running.take()?;
        Some(Output::Ended { last_motion: run.last_motion, end: run.last_motion + self.config.post_roll })
    }

    fn remember(&mut self, d: &Detection) {
        if self.running.is_some() {
            return;
        }
        // Hits long ago do not count towards a new event.
        while self.recent.front().is_some_and(|(t, _)| d.pts.since(*t) > Duration::from_secs(2))
            || self.recent.len() >= EventConfig::WINDOW
        {
            self.recent.pop_front();
        }
        self.recent.push_back((d.pts, d.motion.then(|| peak(d))));
    }
}

fn peak(d: &Detection) -> Peak {
    Peak { at: d.pts, score: d.score, cause: d.cause, boxes: d.boxes.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: EventConfig =
        EventConfig { min_hits: 2, gap: Duration::from_secs(3), post_roll: Duration::from_secs(5) };

    fn seen(ms: i64, motion: bool, score: f32) -> Detection {
        let cause = if motion { Cause::Motion } else { Cause::Quiet };
        Detection { pts: MonoTime(ms * 1000), motion, score, cause, boxes: vec![] }
    }

    /// Feeds one character a 200 ms picture: `#` motion, `.` none. Returns (start ms, end ms).
    fn play(config: EventConfig, text: &str) -> Vec<(i64, i64)> {
        let mut m = EventMachine::new(config);
        let (mut out, mut start) = (vec![], 0);
        let mut take = |o: Option<Output>| match o {
            Some(Output::Started { start: s, .. }) => start = s.0 / 1000,
            Some(Output::Ended { end, .. }) => out.push((start, end.0 / 1000)),
            _ => {}
        };
        for (i, c) in text.chars().enumerate() {
            take(m.handle(&seen(i as i64 * 200, c == '#', 0.1)));
        }
        take(m.finish());
        out
    }

    #[test]
    fn one_hit_is_noise_and_two_are_an_event_from_the_first() {
        assert_eq!(play(CONFIG, "..#......#...."), []);
        assert_eq!(play(CONFIG, "..##.."), [(400, 5600)]);
        assert_eq!(play(CONFIG, "..#.#."), [(400, 5800)]);
    }

    #[test]
    fn pauses_shorter_than_the_gap_merge() {
        let quiet_2_8_s = ".".repeat(13);
        let quiet_3_s = ".".repeat(15);
        assert_eq!(play(CONFIG, &format!("##{quiet_2_8_s}##")).len(), 1);
        assert_eq!(play(CONFIG, &format!("##{quiet_3_s}##")), [(0, 5200), (3400, 8600)]);
    }

    #[test]
    fn grows_only_by_a_marked_step() {
        let mut m = EventMachine::new(CONFIG);
        assert_eq!(m.handle(&seen(0, true, 0.2)), None);
        assert!(matches!(m.handle(&seen(200, true, 0.1)), Some(Output::Started { peak, .. }) if peak.score == 0.2));
        assert_eq!(m.handle(&seen(400, true, 0.25)), None);
        assert!(matches!(m.handle(&seen(600, true, 0.3)), Some(Output::Grew { .. })));
    }

    #[test]
    fn a_camera_that_goes_away_ends_its_event() {
        let mut m = EventMachine::new(CONFIG);
        m.handle(&seen(0, true, 0.1));
        m.handle(&seen(200, true, 0.1));
        assert_eq!(m.tick(MonoTime(3_100_000)), None);
        assert!(matches!(m.tick(MonoTime(3_200_000)), Some(Output::Ended { .. })));
        assert_eq!(m.tick(MonoTime(9_000_000)), None);
    }

    proptest! {
        #[test]
        fn starts_and_ends_alternate(hits in proptest::collection::vec(any::<bool>(), 0..300)) {
            let mut m = EventMachine::new(CONFIG);
            let mut open = false;
            for (i, hit) in hits.iter().enumerate() {
                match m.handle(&seen(i as i64 * 200, *hit, 0.1)) {
                    Some(Output::Started { start, peak }) => {
                        prop_assert!(!open && start.0 <= i as i64 * 200_000 && peak.at >= start);
                        open = true;
                    }
                    Some(Output::Ended { last_motion, end }) => {
                        prop_assert!(open && end.since(last_motion) == CONFIG.post_roll);
                        open = false;
                    }
                    _ => {}
                }
            }
        }
    }
}
