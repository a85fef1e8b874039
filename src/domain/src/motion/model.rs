//! The background model: what each cell looks like when nothing covers it, how much it wavers, how often it flickers.
//! It compares and learns; what an object is, the detector decides.

use super::grid::{CELLS, count_3x3, range_3x3};

/// The least distance from the background that counts, grey levels, at the middle sensitivity.
const BASE: f32 = 4.5;
/// Mean absolute deviations that are added to it.
const DEVIATIONS: f32 = 4.0;
/// A cell far beyond the threshold, by this factor, is strong.
const STRONG: f32 = 1.6;
/// Turns to foreground that a cell and its neighbours are allowed before they count as flutter.
const FLUTTER_FREE: f32 = 1.5;
/// Grey levels the threshold rises for each further turn, and at most.
const FLUTTER_STEP: f32 = 8.0;
const FLUTTER_MOST: f32 = 25.0;
/// Turns are forgotten in this time, seconds.
const FLUTTER_MEMORY_S: f32 = 20.0;
/// How long the look of a cell is remembered after it was given up, seconds.
const FORMER_LIFE_S: f32 = 60.0;
/// A cell this near to its former look, grey levels, has gone back to it.
const FORMER_NEAR: f32 = 6.0;
/// A single deviation counts no more than this, grey levels.
const DEVIATION_MOST: f32 = 60.0;
/// No former look is known.
const NONE: f32 = -1000.0;

/// Planes of the model and of its word on the last picture, each [`CELLS`] long.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Expected grey level.
    pub mean: Vec<f32>,
    /// Share of the way to the picture that `mean` goes at the next [`Model::learn`]. The detector fills it.
    pub rate: Vec<f32>,
    /// The same for the deviation.
    pub dev_rate: Vec<f32>,
    /// How far the cell is on its way to being given up to what covers it; above 1 it is.
    pub hold: Vec<f32>,
    /// 1 where the picture differs, cleaned of specks and with small holes closed.
    pub mask: Vec<u8>,
    /// 1 where the picture differs strongly.
    pub strong: Vec<u8>,
    /// 1 where the picture would differ were it not for flutter.
    pub plain: Vec<u8>,
    /// 1 where the picture differs.
    pub weak: Vec<u8>,
    dev: Vec<f32>,
    turns: Vec<f32>,
    former: Vec<f32>,
    former_left_s: Vec<f32>,
    plain_before: Vec<u8>,
    low: Vec<f32>,
    high: Vec<f32>,
    flutter: Vec<f32>,
    across: [Vec<f32>; 2],
    across_counts: Vec<u8>,
    counts: Vec<u8>,
}

impl Model {
    pub(super) fn new() -> Self {
        let (plane, mask) = (|| vec![0.0; CELLS], || vec![0; CELLS]);
        Self {
            mean: plane(),
            rate: plane(),
            dev_rate: plane(),
            hold: plane(),
            mask: mask(),
            strong: mask(),
            plain: mask(),
            weak: mask(),
            dev: plane(),
            turns: plane(),
            former: plane(),
            former_left_s: plane(),
            plain_before: mask(),
            low: plane(),
            high: plane(),
            flutter: plane(),
            across: [plane(), plane()],
            across_counts: mask(),
            counts: mask(),
        }
    }

    /// Starts over from one picture. How much cells waver is kept where it is known.
    pub(super) fn restart(&mut self, picture: &[f32]) {
        self.mean.copy_from_slice(picture);
        for d in &mut self.dev {
            *d = d.max(2.0);
        }
        self.hold.fill(0.0);
        self.former.fill(NONE);
        self.mask.fill(0);
        self.plain.fill(0);
    }

    /// Grey levels the light may move: the background and what was there before.
    pub(super) fn levels(&mut self) -> [&mut [f32]; 2] {
        [&mut self.mean, &mut self.former]
    }

    /// Compares a picture; fills `weak`, `strong`, `plain` and `mask`. `scale` multiplies the threshold, `extra` (grey
    /// levels) is added to it, `dt_s` is the time since the last picture in seconds.
    pub(super) fn compare(&mut self, picture: &[f32], scale: f32, extra: f32, dt_s: f32) {
        std::mem::swap(&mut self.plain, &mut self.plain_before);
        // Where nothing has turned more often than it may, no neighbourhood has.
        if self.turns.iter().fold(0.0, |most: f32, turns| most.max(*turns)) > FLUTTER_FREE {
            range_3x3(&self.turns, &mut self.across, &mut self.low, &mut self.flutter);
        } else {
            self.flutter.fill(0.0);
        }
        range_3x3(&self.mean, &mut self.across, &mut self.low, &mut self.high);
        {
            let (picture, low, high) = (&picture[..CELLS], &self.low[..CELLS], &self.high[..CELLS]);
            let (dev, former, flutter) = (&self.dev[..CELLS], &self.former[..CELLS], &self.flutter[..CELLS]);
            let (weak, strong, plain) = (&mut self.weak[..CELLS], &mut self.strong[..CELLS], &mut self.plain[..CELLS]);
            for i in 0..CELLS {
                let p = picture[i];
                let threshold = (BASE + DEVIATIONS * dev[i]) * scale + extra;
                let flutter = (FLUTTER_STEP * (flutter[i] - FLUTTER_FREE)).clamp(0.0, FLUTTER_MOST);
                let beyond = (low[i] - p).max(p - high[i]);
                let beyond = if (p - former[i]).abs() < threshold { 0.0 } else { beyond };
                plain[i] = u8::from(beyond > threshold);
                weak[i] = u8::from(beyond > threshold + flutter);
                strong[i] = u8::from(beyond > threshold * STRONG + flutter);
            }
        }
        let keep = 1.0 - (dt_s / FLUTTER_MEMORY_S).min(1.0);
        for ((t, now), before) in self.turns.iter_mut().zip(&self.plain).zip(&self.plain_before) {
            *t = *t * keep + f32::from(*now & !*before);
        }
        count_3x3(&self.weak, &mut self.across_counts, &mut self.counts);
        for ((m, w), c) in self.mask.iter_mut().zip(&self.weak).zip(&self.counts) {
            *m = u8::from(*c >= 6 - 2 * *w);
        }
    }

    /// Learns the picture at `rate` and `dev_rate`, gives up the cells whose `hold` ran out, and takes those back that
    /// look as they formerly did. `dt_s` is the time since the last picture in seconds.
    pub(super) fn learn(&mut self, picture: &[f32], dt_s: f32) {
        let (picture, rate, dev_rate) = (&picture[..CELLS], &self.rate[..CELLS], &self.dev_rate[..CELLS]);
        let (mean, dev, hold) = (&mut self.mean[..CELLS], &mut self.dev[..CELLS], &mut self.hold[..CELLS]);
        let (former, left) = (&mut self.former[..CELLS], &mut self.former_left_s[..CELLS]);
        for i in 0..CELLS {
            let (p, m, f) = (picture[i], mean[i], former[i]);
            let (off, off_former) = ((p - m).abs(), (p - f).abs());
            dev[i] += dev_rate[i] * (off.min(DEVIATION_MOST) - dev[i]);
            let learnt = m + rate[i] * (p - m);
            let give_up = hold[i] > 1.0;
            let take_back = !give_up && off_former < FORMER_NEAR && off_former < off;
            let expired = left[i] < dt_s;
            mean[i] = if give_up {
                p
            } else if take_back {
                f
            } else {
                learnt
            };
            former[i] = if give_up {
                m
            } else if take_back || expired {
                NONE
            } else {
                f
            };
            left[i] = if give_up { FORMER_LIFE_S } else { left[i] - dt_s };
            hold[i] = if give_up { 0.0 } else { hold[i] };
        }
    }
}
