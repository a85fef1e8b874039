//! The event machine: turns the detector's word on each picture into events with a start and an end. A scene that stays busy is
//! cut into chapters, each an event of its own, so that no event runs for hours with one still.

use crate::motion::{Cause, Detection, Rect};
use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// When hits become an event and when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventConfig {
    /// Hits among the last [`EventConfig::WINDOW`] pictures that start an event.
    pub min_hits: usize,
    /// Motion that comes back within this time belongs to the same event. Counts up to the length of a chapter.
    pub gap: Duration,
    /// How long an event goes on after its last motion.
    pub post_roll: Duration,
    /// The longest chapter.
    pub chapter: Duration,
}

impl EventConfig {
    /// Hits that start an event of a camera.
    pub const MIN_HITS: usize = 2;
    /// Pictures that are looked back on for `min_hits`.
    pub const WINDOW: usize = 4;
    /// The longest chapter of a camera.
    pub const CHAPTER: Duration = Duration::from_secs(120);
    /// In the last quarter of a chapter, motion that paused for this long starts the next one.
    const PAUSE: Duration = Duration::from_millis(1500);
}

/// Until when an event goes on, and with it its recording, whose last motion so far was at `motion`.
pub fn goes_on_until(motion: MonoTime, post_roll: Duration) -> MonoTime {
    motion + post_roll
}

/// The recorder hears that it still moves in steps of this length: files end at keyframes, a second apart.
pub const REPORT_EVERY: Duration = Duration::from_millis(500);

/// Whether the recorder is to hear that an event goes on until `until`, which heard of `reported` last.
pub fn is_worth_reporting(reported: MonoTime, until: MonoTime) -> bool {
    until.since(reported) >= REPORT_EVERY
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// An event started: with its first hit at `start`, or, a chapter after the first, where the one before was cut.
    Started {
        /// First motion; the end of the chapter before.
        start: MonoTime,
        /// When the motion started that has gone on since: `start` of the first chapter.
        since: MonoTime,
        /// 1, 2, ... of what goes on since `since`.
        chapter: u32,
        /// The strongest picture so far.
        peak: Peak,
    },
    /// The running event has a stronger picture than before.
    Grew {
        /// The strongest picture so far.
        peak: Peak,
    },
    /// The event is over. When it moves on, the next chapter starts at the same moment.
    Ended {
        /// Its last motion.
        last_motion: MonoTime,
        /// Last motion + post-roll, which may lie in the future: recording goes on until then. Where the next chapter starts, its
        /// start.
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
    pub boxes: Vec<Rect>,
}

#[derive(Clone, Debug)]
struct Running {
    since: MonoTime,
    chapter: u32,
    start: MonoTime,
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

/// A stronger picture must be stronger by this factor to be reported: a still is taken each time.
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
        self.running.as_ref().map(|run| goes_on_until(run.last_motion, self.config.post_roll))
    }

    /// Takes the detector's word on one picture.
    pub fn handle(&mut self, d: &Detection) -> Vec<Output> {
        if let Some(ended) = self.tick(d.pts) {
            self.remember(d);
            return vec![ended];
        }
        self.remember(d);
        if !d.motion {
            return Vec::new();
        }
        match self.running.take() {
            Some(run) => self.moves_on(run, d),
            None => self.start().into_iter().collect(),
        }
    }

    /// Enough hits are an event.
    fn start(&mut self) -> Option<Output> {
        let hits = || self.recent.iter().filter_map(|(_, hit)| hit.as_ref());
        if hits().count() < self.config.min_hits {
            return None;
        }
        let (start, last_motion) = (hits().next()?.at, hits().next_back()?.at);
        let peak = hits().max_by(|a, b| a.score.total_cmp(&b.score))?.clone();
        self.recent.clear();
        self.running = Some(Running { since: start, chapter: 1, start, last_motion, score: peak.score });
        Some(Output::Started { start, since: start, chapter: 1, peak })
    }

    /// Another hit of the running event.
    fn moves_on(&mut self, mut run: Running, d: &Detection) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(cut) = self.cut(&run, d.pts) {
            outputs.push(Output::Ended { last_motion: run.last_motion, end: cut });
            let chapter = run.chapter.saturating_add(1);
            run = Running { chapter, start: cut, score: d.score, ..run };
            outputs.push(Output::Started { start: cut, since: run.since, chapter, peak: peak(d) });
        } else if d.score > run.score * GROWTH {
            run.score = d.score;
            outputs.push(Output::Grew { peak: peak(d) });
        }
        run.last_motion = d.pts;
        self.running = Some(run);
        outputs
    }

    /// Where the chapter ends if a hit at `at` belongs to the next one: at the motion after a pause late in it, else at its full
    /// length. A pause that reaches beyond its full length is shared by both.
    fn cut(&self, run: &Running, at: MonoTime) -> Option<MonoTime> {
        let full = run.start + self.config.chapter;
        let is_late = at >= run.start + self.config.chapter * 3 / 4;
        let paused = at.since(run.last_motion) >= EventConfig::PAUSE;
        (at >= full || (is_late && paused)).then(|| at.min(full))
    }

    /// Time passes without a picture. An event whose camera has gone ends like any other.
    pub fn tick(&mut self, now: MonoTime) -> Option<Output> {
        let run = self.running.as_ref()?;
        // No pause is longer than a chapter, else one without a hit would lie between two.
        let gap = self.config.gap.min(self.config.chapter).max(Duration::from_millis(1));
        if now.since(run.last_motion) < gap {
            return None;
        }
        let last_motion = run.last_motion;
        self.running = None;
        Some(Output::Ended { last_motion, end: goes_on_until(last_motion, self.config.post_roll) })
    }

    /// Ends the running event now: the camera was stopped.
    pub fn finish(&mut self) -> Option<Output> {
        let last_motion = self.running.take()?.last_motion;
        Some(Output::Ended { last_motion, end: goes_on_until(last_motion, self.config.post_roll) })
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

    const CONFIG: EventConfig = EventConfig {
        min_hits: 2,
        gap: Duration::from_secs(3),
        post_roll: Duration::from_secs(5),
        chapter: Duration::from_secs(20),
    };

    fn seen(ms: i64, motion: bool, score: f32) -> Detection {
        let cause = if motion { Cause::Motion } else { Cause::Quiet };
        Detection { pts: MonoTime(ms * 1000), motion, score, cause, boxes: vec![] }
    }

    /// Feeds one character a 200 ms picture: `#` motion, `.` none. Returns (start ms, end ms).
    fn play(config: EventConfig, text: &str) -> Vec<(i64, i64)> {
        let mut m = EventMachine::new(config);
        let (mut out, mut start) = (vec![], 0);
        let mut take = |o: Output| match o {
            Output::Started { start: s, .. } => start = s.0 / 1000,
            Output::Ended { end, .. } => out.push((start, end.0 / 1000)),
            Output::Grew { .. } => {}
        };
        for (i, c) in text.chars().enumerate() {
            m.handle(&seen(i as i64 * 200, c == '#', 0.1)).into_iter().for_each(&mut take);
        }
        m.finish().into_iter().for_each(take);
        out
    }

    #[test]
    fn what_goes_on_is_reported_in_steps() {
        let reported = MonoTime(1_000_000);
        for (after_ms, want) in [(0, false), (499, false), (500, true), (900, true)] {
            assert_eq!(is_worth_reporting(reported, reported + Duration::from_millis(after_ms)), want, "{after_ms} ms");
        }
        assert!(!is_worth_reporting(reported, MonoTime(0)), "what is older is no news");
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
        assert_eq!(m.handle(&seen(0, true, 0.2)), []);
        assert!(matches!(&m.handle(&seen(200, true, 0.1))[..], [Output::Started { peak, .. }] if peak.score == 0.2));
        assert_eq!(m.handle(&seen(400, true, 0.25)), []);
        assert!(matches!(m.handle(&seen(600, true, 0.3))[..], [Output::Grew { .. }]));
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

    /// Chapters of 20 s: where motion `#` and quiet `.`, so many seconds each, are cut.
    #[test]
    fn a_busy_scene_is_cut_where_it_pauses_late_in_a_chapter_else_at_its_length() {
        let text = |parts: &[(char, f64)]| -> String {
            parts.iter().map(|(c, s)| c.to_string().repeat((s * 5.0) as usize)).collect()
        };
        type Case<'a> = (&'a [(char, f64)], &'a [(i64, i64)]);
        let cases: &[Case] = &[
            // Never a pause: at the length. The last chapter ends like any event.
            (&[('#', 45.0)], &[(0, 20_000), (20_000, 40_000), (40_000, 49_800)]),
            // A pause before the last quarter cuts nothing, one within it does, at the motion after it.
            (&[('#', 10.0), ('.', 2.0), ('#', 12.0)], &[(0, 20_000), (20_000, 28_800)]),
            (&[('#', 16.0), ('.', 2.0), ('#', 4.0)], &[(0, 18_000), (18_000, 26_800)]),
            // One that is too short cuts nothing.
            (&[('#', 16.0), ('.', 1.0), ('#', 4.0)], &[(0, 20_000), (20_000, 25_800)]),
            // One across the end of the chapter is shared.
            (&[('#', 19.0), ('.', 2.0), ('#', 2.0)], &[(0, 20_000), (20_000, 27_800)]),
            // One as long as the gap ends the event.
            (&[('#', 18.0), ('.', 3.0), ('#', 2.0)], &[(0, 22_800), (21_000, 27_800)]),
        ];
        for (parts, want) in cases {
            assert_eq!(play(CONFIG, &text(parts)), *want, "{parts:?}");
        }
    }

    #[test]
    fn a_chapter_knows_its_number_and_since_when_it_moves_and_its_peak_starts_over() {
        let mut m = EventMachine::new(CONFIG);
        let mut starts = vec![];
        for i in 1..=225 {
            let score = if i < 50 { 0.9 } else { 0.2 };
            for output in m.handle(&seen(i * 200, true, score)) {
                if let Output::Started { start, since, chapter, peak } = output {
                    starts.push((start.0 / 1000, since.0 / 1000, chapter, peak.score));
                }
            }
        }
        assert_eq!(starts, [(200, 200, 1, 0.9), (20_200, 200, 2, 0.2), (40_200, 200, 3, 0.2)]);
    }

    /// An event as it came out.
    #[derive(Clone, Copy, Debug)]
    struct Chapter {
        start: MonoTime,
        since: MonoTime,
        number: u32,
        last_motion: MonoTime,
        end: MonoTime,
    }

    impl Chapter {
        fn has(&self, hit: MonoTime) -> bool {
            self.start <= hit && hit <= self.last_motion
        }
    }

    /// Feeds pictures (milliseconds since the one before, motion or not); what came of them, and when there were hits.
    fn chapters(config: EventConfig, pictures: &[(i64, bool)]) -> (Vec<Chapter>, Vec<MonoTime>) {
        let mut m = EventMachine::new(config);
        let (mut out, mut open, mut hits, mut at) = (vec![], None, vec![], 0);
        let mut take = |output: Output| match output {
            Output::Started { start, since, chapter, peak } => {
                assert!(open.is_none() && since <= start && peak.at >= start);
                open = Some((start, since, chapter));
            }
            Output::Ended { last_motion, end } => {
                let (start, since, number) = open.take().expect("it started");
                out.push(Chapter { start, since, number, last_motion, end });
            }
            Output::Grew { .. } => assert!(open.is_some()),
        };
        for (ms, motion) in pictures {
            at += ms;
            hits.extend(motion.then_some(MonoTime(at * 1000)));
            m.handle(&seen(at, *motion, 0.1)).into_iter().for_each(&mut take);
        }
        m.finish().into_iter().for_each(take);
        (out, hits)
    }

    fn pictures() -> impl Strategy<Value = Vec<(i64, bool)>> {
        let step = prop_oneof![20 => 100..400i64, 2 => 400..4_000i64, 1 => 4_000..40_000i64];
        proptest::collection::vec((step, proptest::bool::weighted(0.8)), 0..800)
    }

    proptest! {
        /// Whatever moves: chapters are short, follow each other without a hole, none is without motion, and what moves while an
        /// event goes on belongs to exactly one.
        #[test]
        fn chapters_join_and_share_the_hits(pictures in pictures(), gap_s in 1..60u64, post_roll_s in 0..10u64) {
            let (gap, post_roll) = (Duration::from_secs(gap_s), Duration::from_secs(post_roll_s));
            let config = EventConfig { gap, post_roll, ..CONFIG };
            let (all, hits) = chapters(config, &pictures);
            for c in &all {
                prop_assert!(c.end.since(c.start) <= config.chapter + post_roll, "{:?}", c);
                prop_assert!(hits.iter().any(|h| c.has(*h)), "{:?} is empty", c);
                prop_assert_eq!(c.number == 1, c.since == c.start);
            }
            for pair in all.windows(2) {
                let joins = pair[1].start == pair[0].end && pair[1].number == pair[0].number + 1;
                prop_assert!(joins || pair[1].number == 1, "{:?}", pair);
            }
            for happening in all.chunk_by(|a, b| a.since == b.since) {
                let (first, last) = (happening[0], happening[happening.len() - 1]);
                for hit in hits.iter().filter(|h| first.start <= **h && **h <= last.last_motion) {
                    prop_assert_eq!(happening.iter().filter(|c| c.has(*hit)).count(), 1, "{:?}", hit);
                }
            }
        }
    }
}
