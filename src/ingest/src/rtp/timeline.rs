//! RTP time stamps on the box's steady clock.
//!
//! A camera's stamps have its spacing, which is right, and an unknown offset to our clock, which drifts; arrivals have our clock, and
//! the network's delays. So the offset is that of the packets that came with the least delay: it falls at once where one comes earlier
//! than any before, and rises slowly where all come later. Stamps that contradict arrival are not followed: single ones that lie far
//! off, stamps that begin anew, stand still, or run at another rate than they say.
//!
//! Inside, times are microseconds with fractions: a tick of a camera's clock is no whole number of them.

use perch_base::time::MonoTime;
use std::collections::VecDeque;
use std::time::Duration;

/// How far back a stamp may go where pictures travel out of order, and how far it may lie ahead of arrival, before anything is known of
/// its spacing, microseconds.
const REORDER_US: f64 = 2_000_000.0;
const EARLY_US: f64 = 1_000_000.0;
/// How much sooner than expected a stamp may be once the spacing is known, beside one and a half of it.
const EARLY_KNOWN_US: f64 = 150_000.0;
/// How late a stamp may be: a network that stood still for longer than a camera can remember is a camera that stood still.
const LATE_US: f64 = 10_000_000.0;
/// How long, and of how many units at least, the least delay is taken, and over how many such spans.
const SPAN_US: f64 = 1_000_000.0;
const SPAN_UNITS: u32 = 12;
const SPANS: usize = 4;
const SPANS_KEPT: usize = 2 * SPANS;
/// All of these later than this: the camera's clock stood still.
const STOOD_STILL_US: f64 = 1_000_000.0;
/// How fast the offset rises: at least this a microsecond, or this part of what is missing a second.
const LEAST_SLEW: f64 = 0.0005;
const SLEW_PER_S: f64 = 0.5;
/// Steps from unit to unit that are looked at for a rate that is plainly another.
const STEPS: usize = 12;
const AGREEING_STEPS: usize = 11;
/// How many units that went on are remembered, where others go back between them.
const ANCHORS: usize = 20;
/// How fast sound is moved to where sender reports say, a microsecond.
const SHIFT_SLEW: f64 = 0.005;

/// A time for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// When it was captured.
    pub at: MonoTime,
    /// Whether the time leaps against the camera's own spacing.
    pub jumped: bool,
}

/// A stamp that is believed.
#[derive(Clone, Copy, Debug)]
struct Known {
    stamp: u32,
    /// Its time on the camera's scale, microseconds.
    media: f64,
    /// When it came.
    came: f64,
}

/// A stamp that contradicts its arrival, until the next one tells.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    stamp: u32,
    shown: f64,
}

/// The least delay of a span of time.
#[derive(Clone, Copy, Debug)]
struct Span {
    begin: f64,
    units: u32,
    /// Arrival minus camera time, the least of the span, and when that was.
    least: f64,
    least_at: f64,
    /// The most of it.
    most: f64,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    /// By the stamps, microseconds at their nominal rate.
    stamped: f64,
    came: f64,
    late: f64,
}

/// The times of one track.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    tick_us: f64,
    /// Whether stamps may turn out to go back and forth.
    may_reorder: bool,
    reorders: bool,
    known: Option<Known>,
    suspect: Option<Suspect>,
    /// What is added to the camera's time.
    offset: f64,
    /// Real microseconds in one of the stamps; 1 but for stamps of a wrong rate.
    scale: f64,
    spans: VecDeque<Span>,
    open: Option<Span>,
    steps: VecDeque<Step>,
    /// Camera time and box time of the last units that went on, the latest last.
    anchors: VecDeque<(f64, f64)>,
    /// Usual time from arrival to arrival.
    spacing: Option<f64>,
    /// What was given last, and for which arrival.
    given: Option<(f64, f64)>,
    last: i64,
    shift: f64,
    wanted_shift: f64,
}

impl Timeline {
    /// Of stamps of `clock_hz` ticks a second.
    pub fn new(clock_hz: u32) -> Self {
        Self {
            tick_us: 1e6 / f64::from(clock_hz.max(1)),
            may_reorder: false,
            reorders: false,
            known: None,
            suspect: None,
            offset: 0.0,
            scale: 1.0,
            spans: VecDeque::new(),
            open: None,
            steps: VecDeque::new(),
            anchors: VecDeque::new(),
            spacing: None,
            given: None,
            last: i64::MIN,
            shift: 0.0,
            wanted_shift: 0.0,
        }
    }

    /// Whether stamps go back and forth (pictures travel in the order of decoding), and whether they may turn out to.
    pub fn set_reorders(&mut self, reorders: bool, may_reorder: bool) {
        (self.reorders, self.may_reorder) = (reorders, may_reorder);
    }

    /// Usual time from unit to unit.
    pub fn spacing(&self) -> Duration {
        Duration::from_micros(self.spacing.unwrap_or(40_000.0).clamp(1_000.0, 1_000_000.0) as u64)
    }

    /// Another source: its stamps have nothing to do with those before.
    pub fn restart(&mut self) {
        self.known = None;
        self.suspect = None;
        self.spans.clear();
        self.open = None;
        self.steps.clear();
        self.anchors.clear();
    }

    /// Moves what is given by as much, slowly.
    pub fn shift_to(&mut self, micros: f64) {
        self.wanted_shift = micros;
    }

    /// The time of a stamp close to the last one, unshifted.
    pub fn look_up(&self, stamp: u32) -> Option<f64> {
        let known = self.known.filter(|_| self.suspect.is_none())?;
        let stamped = self.between(known.stamp, stamp);
        (stamped.abs() <= 20e6).then_some(known.media + stamped * self.scale + self.offset)
    }

    fn between(&self, from: u32, to: u32) -> f64 {
        f64::from(to.wrapping_sub(from) as i32) * self.tick_us
    }

    /// The time of a unit whose first packet came `at`. Grows strictly unless stamps go back and forth.
    pub fn stamp(&mut self, stamp: u32, at: MonoTime) -> Moment {
        let came = at.0 as f64;
        let (time, jumped) = match self.known {
            None => {
                self.known = Some(Known { stamp, media: 0.0, came });
                self.offset = came;
                self.anchors.push_back((0.0, came));
                (came, false)
            }
            Some(known) => self.follow(known, stamp, came),
        };
        let since = self.given.map_or(0.0, |(_, came_before)| (came - came_before).max(0.0));
        self.given = Some((time, came));
        let left = self.wanted_shift - self.shift;
        self.shift += left.clamp(-SHIFT_SLEW * since, SHIFT_SLEW * since);
        let mut micros = (time + self.shift).round() as i64;
        if !self.reorders && micros <= self.last {
            // Several at once, as after a wait: no more than a little ahead of arrival.
            let apart = if self.last < at.0.saturating_add(200_000) { 1_000 } else { 1 };
            micros = self.last.saturating_add(apart);
        }
        self.last = micros;
        Moment { at: MonoTime(micros), jumped }
    }

    fn follow(&mut self, known: Known, stamp: u32, came: f64) -> (f64, bool) {
        let stamped = self.between(known.stamp, stamp);
        let late = came - (known.media + stamped * self.scale + self.offset);
        if self.is_plausible(stamped, late) {
            self.suspect = None;
            return self.accept(known, stamp, stamped, came);
        }
        if let Some(suspect) = self.suspect {
            let stamped = self.between(suspect.stamp, stamp);
            if self.is_plausible(stamped, came - (suspect.shown + stamped * self.scale)) {
                // Two that agree: the camera set its stamps anew, and this goes on where that one stood.
                self.suspect = None;
                let came_before = self.given.map_or(came, |(_, came)| came);
                let known = Known { stamp: suspect.stamp, media: suspect.shown - self.offset, came: came_before };
                return self.accept(known, stamp, stamped, came);
            }
        }
        (self.by_arrival(stamp, came), false)
    }

    fn is_plausible(&mut self, stamped: f64, late: f64) -> bool {
        if stamped < 0.0 && stamped > -EARLY_US && self.may_reorder && self.suspect.is_none() {
            self.reorders = true;
        }
        let forward = stamped > 0.0 || self.reorders && stamped < 0.0 && stamped > -REORDER_US;
        forward && late > -self.early_limit() && late < LATE_US
    }

    fn early_limit(&self) -> f64 {
        if self.steps.len() < 4 {
            return EARLY_US;
        }
        let mut steps: Vec<f64> = self.steps.iter().map(|step| step.stamped.abs() * self.scale).collect();
        steps.sort_by(f64::total_cmp);
        EARLY_KNOWN_US + 1.5 * steps[steps.len() / 2]
    }

    /// A stamp that says nothing: the usual spacing where it fits, else arrival.
    fn by_arrival(&mut self, stamp: u32, came: f64) -> f64 {
        let (time_before, came_before) = self.given.unwrap_or((came, came));
        let since = (came - came_before).max(0.0);
        let usual = self.spacing.unwrap_or(since);
        let step = if (usual - since).abs() <= (usual / 2.0).max(30_000.0) { usual } else { since };
        self.learn_spacing(since);
        let mut time = time_before + step;
        let behind = came - time;
        if behind < 0.0 {
            time = came;
        } else if self.suspect.is_some() {
            time += if behind > 1e6 { behind } else { behind * 0.1 };
        }
        self.suspect = Some(Suspect { stamp, shown: time });
        time
    }

    fn learn_spacing(&mut self, since: f64) {
        self.spacing = Some(match self.spacing {
            Some(usual) if since > usual / 5.0 && since < usual * 5.0 => usual + (since - usual) / 16.0,
            // Slowly out of a wrong first guess.
            Some(usual) => usual + (since - usual) / 128.0,
            None => since,
        });
    }

    fn accept(&mut self, known: Known, stamp: u32, stamped: f64, came: f64) -> (f64, bool) {
        let media = known.media + stamped * self.scale;
        let since = (came - known.came).max(0.0);
        let mut late = came - (media + self.offset);
        if late < 0.0 {
            self.offset += late;
            late = 0.0;
        }
        self.known = Some(Known { stamp, media, came });
        self.learn_spacing(since);
        if self.steps.len() >= STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(Step { stamped, came: since, late });
        self.span(media, came);
        let jumped = self.rise(since.min(2e6));
        self.follow_rate_of_steps();
        (self.place(media), jumped)
    }

    /// The time of a unit on the camera's scale. What goes on is an anchor; what goes back lies between those around it, so that the
    /// order stays right while the offset moves.
    fn place(&mut self, media: f64) -> f64 {
        let time = media + self.offset;
        let Some((last_media, last_time)) = self.anchors.back().copied() else {
            self.anchors.push_back((media, time));
            return time;
        };
        if media > last_media {
            let time = if self.reorders { time.max(last_time + (media - last_media) / 16.0) } else { time };
            if self.anchors.len() >= ANCHORS {
                self.anchors.pop_front();
            }
            self.anchors.push_back((media, time));
            return time;
        }
        let after = self.anchors.iter().position(|(anchor, _)| *anchor >= media).unwrap_or(0);
        match (after.checked_sub(1).and_then(|n| self.anchors.get(n)), self.anchors.get(after)) {
            (Some((m1, t1)), Some((m2, t2))) if m2 > m1 => t1 + (media - m1) / (m2 - m1) * (t2 - t1),
            (None, Some((m2, t2))) => t2 - (m2 - media),
            _ => time,
        }
    }

    /// Takes the delay of a unit into its span.
    fn span(&mut self, media: f64, came: f64) {
        let delay = came - media;
        if let Some(open) = self.open.take_if(|open| came - open.begin >= SPAN_US && open.units >= SPAN_UNITS) {
            if self.spans.len() >= SPANS_KEPT {
                self.spans.pop_front();
            }
            self.spans.push_back(open);
            self.follow_rate_of_spans();
        }
        let open = self.open.get_or_insert(Span { begin: came, units: 0, least: delay, least_at: came, most: delay });
        open.units += 1;
        open.most = open.most.max(delay);
        if delay <= open.least {
            (open.least, open.least_at) = (delay, came);
        }
    }

    /// Raises the offset where all that came of late came later. True where it leapt.
    fn rise(&mut self, since: f64) -> bool {
        if self.spans.len() < 2 {
            return false;
        }
        let recent = self.spans.iter().rev().take(SPANS).chain(self.open.as_ref());
        let missing = recent.map(|span| span.least).fold(f64::INFINITY, f64::min) - self.offset;
        if missing <= 0.0 {
            return false;
        }
        if missing > STOOD_STILL_US {
            self.offset += missing;
            self.spans.clear();
            return true;
        }
        let most = since * LEAST_SLEW.max(missing / 1e6 * SLEW_PER_S);
        self.offset += missing.min(most);
        false
    }

    /// Stamps that run at plainly another rate than arrivals, step by step.
    fn follow_rate_of_steps(&mut self) {
        if self.reorders || self.steps.len() < STEPS {
            return;
        }
        let mut rates: Vec<f64> = self.steps.iter().map(|step| step.came / step.stamped.max(1.0)).collect();
        rates.sort_by(f64::total_cmp);
        let middle = rates[rates.len() / 2];
        let agrees = |step: &&Step| (step.came / step.stamped.max(1.0) / middle - 1.0).abs() < 0.12;
        let (mut came, mut stamped, mut count) = (0.0, 0.0, 0);
        for step in self.steps.iter().filter(agrees) {
            came += step.came;
            stamped += step.stamped;
            count += 1;
        }
        if count < AGREEING_STEPS || came < 200_000.0 || stamped <= 0.0 {
            return;
        }
        let rate = came / stamped;
        let whole = |of: fn(&Step) -> f64| self.steps.iter().map(of).sum::<f64>();
        let with_strays = whole(|step| step.came) / whole(|step| step.stamped).max(1.0);
        if (with_strays / rate - 1.0).abs() > 0.1 {
            return;
        }
        if !(0.3..1000.0).contains(&rate) || (rate / self.scale - 1.0).abs() < 0.15 {
            return;
        }
        self.catch_up();
        self.set_scale(rate);
    }

    /// Another rate that shows only over seconds.
    fn follow_rate_of_spans(&mut self) {
        if let Some(slope) = self.plain_slope() {
            self.catch_up();
            self.set_scale(self.scale / (1.0 - slope.min(0.99)));
        } else if let Some(slope) = self.long_slope() {
            self.set_scale(self.scale / (1.0 - slope.min(0.99)));
        }
    }

    /// By how much the delay grows a microsecond, where three spans agree and grow by more than they vary.
    fn plain_slope(&self) -> Option<f64> {
        let mut last = self.spans.iter().rev();
        let (c, b, a) = (last.next()?, last.next()?, last.next()?);
        let slope = |a: &Span, b: &Span| {
            let grows = b.least - a.least;
            (grows.abs() >= (b.most - b.least) / 2.0).then_some(grows / (b.least_at - a.least_at).max(1.0))
        };
        let (early, late) = (slope(a, b)?, slope(b, c)?);
        (early * late > 0.0 && (0.67..1.5).contains(&(early / late)) && late.abs() > 0.02)
            .then_some((early + late) / 2.0)
    }

    /// The same over all spans, in pairs: they grow evenly, and by more than one of them varies.
    fn long_slope(&self) -> Option<f64> {
        if self.spans.len() < SPANS_KEPT {
            return None;
        }
        let (mut pairs, mut ranges) = (Vec::new(), Vec::new());
        for n in (0..SPANS_KEPT).step_by(2) {
            let (a, b) = (self.spans.get(n)?, self.spans.get(n + 1)?);
            pairs.push(if a.least < b.least { (a.least, a.least_at) } else { (b.least, b.least_at) });
            ranges.extend([a.most - a.least, b.most - b.least]);
        }
        ranges.sort_by(f64::total_cmp);
        let (first, last) = (*pairs.first()?, *pairs.last()?);
        let grows = last.0 - first.0;
        let slope = grows / (last.1 - first.1).max(1.0);
        let even = pairs.windows(2).all(|pair| (0.1..0.6).contains(&((pair[1].0 - pair[0].0) / grows)));
        (even && grows.abs() > ranges[ranges.len() / 2] / 2.0 && slope.abs() > 0.01).then_some(slope)
    }

    /// Goes to where the last units came at least.
    fn catch_up(&mut self) {
        let late = self.steps.iter().rev().take(6).map(|step| step.late).fold(f64::INFINITY, f64::min);
        if late.is_finite() {
            self.offset += late.max(0.0);
        }
    }

    fn set_scale(&mut self, scale: f64) {
        let scale = scale.clamp(0.01, 1000.0);
        self.scale = if (scale - 1.0).abs() < 0.008 { 1.0 } else { scale };
        self.spans.clear();
        self.open = None;
        self.steps.clear();
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
