//! The detector: judges one picture after another. The background is in `model`, the light in `light`, connected regions in
//! `blobs`; here is what they mean and what is learnt from them. Events are not made here.

use super::blobs::{Blob, Finder, Planes};
use super::grid::{self, CELLS, COLS};
use super::light::Light;
use super::model::Model;
use super::{Cause, Detection, LUMA_HEIGHT, LUMA_WIDTH, Luma, MotionConfig};
use perch_base::time::MonoTime;

/// Boxes reported of one picture, and objects looked at when small blobs are judged by their neighbours.
const MOST_BOXES: usize = 8;
/// Time over which the first background is learnt.
const LEARNING_S: f32 = 2.5;
/// Time over which the background is learnt again after a change of the whole picture.
const SETTLING_S: f32 = 1.0;
/// A longer pause between pictures, or a step back in time, says nothing: one picture's usual time is taken instead.
const PAUSE_US: i64 = 3_000_000;

/// Time constants of learning: background and its deviation, specks and theirs.
const BACKGROUND_S: f32 = 6.0;
const DEVIATION_S: f32 = 15.0;
const SPECK_S: f32 = 15.0;
const SPECK_DEVIATION_S: f32 = 5.0;
/// Cells around an object's box that learn nothing. Within it, what a thing hides or is mistaken for must not be learnt from it.
const GUARD: u16 = 3;
/// A cell's way to being given up is forgotten at this pace while nothing covers it.
const HOLD_MEMORY_S: f32 = 1.0;
/// How long a thing must stay to become background: any thing, a small one that may be a ghost, a ghost, a patch of light.
const OBJECT_PATIENCE_S: f32 = 45.0;
const DOUBT_PATIENCE_S: f32 = 4.0;
const GHOST_PATIENCE_S: f32 = 1.2;
const LIGHT_PATIENCE_S: f32 = 0.6;

/// A gain further from 1 than this from one picture to the next is a change of the whole picture.
const GAIN_STEP: f32 = 0.2;
/// Such changes are forgotten in this time, seconds. Above [`RESTLESS`] of them the light is restless: a lamp that flickers, an
/// exposure that hunts. Then a change does not count where the background, brought to its light, still fits the picture but for this share.
const STEP_MEMORY_S: f32 = 10.0;
const RESTLESS: f32 = 1.5;
const FITS: f32 = 0.3;
/// Grey levels that are added to the threshold for a gain of e.
const GAIN_DOUBT: f32 = 60.0;
/// Share of the picture that must differ, and share by which it must have grown, for a change of the whole picture.
const GLOBAL_SHARE: f32 = 0.5;
const GLOBAL_JUMP: f32 = 0.3;
/// This much is a change of the whole picture however it came.
const GLOBAL_ANYHOW: f32 = 0.85;

/// What a blob is taken for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// Too small or too faint.
    Speck,
    /// Too small, but beside an object: a limb, a head.
    Part,
    /// A thing that was not there before.
    Object,
    /// Small, still, with no outline to speak of: a thing or a ghost.
    Doubt,
    /// A place that was uncovered.
    Ghost,
    /// The background in another light: a shadow, a sunlit patch.
    Light,
}

/// One camera's motion detector: feed it every picture in order. It keeps about 1 MB and allocates nothing for a picture
/// without motion.
#[derive(Clone, Debug)]
pub struct Detector {
    allowed: Vec<u8>,
    threshold_scale: f32,
    least_cells: u32,
    usual_dt_s: f32,
    picture: Vec<f32>,
    last: Vec<f32>,
    last_pts: Option<MonoTime>,
    model: Model,
    light: Light,
    finder: Finder,
    verdicts: Vec<Verdict>,
    learnt_s: f32,
    unsettled_s: f32,
    share: f32,
    /// Changes of the light of more than [`GAIN_STEP`], as far as they are remembered.
    steps: f32,
}

impl Detector {
    /// A detector that has seen nothing yet. Values of the configuration outside their ranges are brought inside.
    pub fn new(config: MotionConfig) -> Self {
        Self {
            allowed: grid::allowed(&config),
            threshold_scale: 4f32.powf(0.5 - config.sensitivity.clamp(0.0, 1.0)),
            least_cells: ((config.min_area.clamp(0.0, 1.0) * CELLS as f32).ceil() as u32).max(2),
            usual_dt_s: 1.0 / config.fps.clamp(1, 60) as f32,
            picture: vec![0.0; CELLS],
            last: vec![0.0; CELLS],
            last_pts: None,
            model: Model::new(),
            light: Light::new(),
            finder: Finder::new(),
            verdicts: Vec::with_capacity(CELLS / 4 + COLS),
            learnt_s: 0.0,
            unsettled_s: 0.0,
            share: 0.0,
            steps: 0.0,
        }
    }

    /// Judges a picture. Time is read from `pts` alone; a pause or a step back is survived. A picture of the wrong size is
    /// quiet and is not learnt from.
    pub fn look(&mut self, picture: Luma<'_>) -> Detection {
        let pts = picture.pts;
        let none = |cause| Detection { pts, motion: false, score: 0.0, cause, boxes: Vec::new() };
        if picture.pixels.len() != LUMA_WIDTH * LUMA_HEIGHT {
            return none(Cause::Quiet);
        }
        std::mem::swap(&mut self.picture, &mut self.last);
        grid::shrink(picture.pixels, &mut self.picture);
        let dt_s = self.elapsed(pts);
        if self.learnt_s < LEARNING_S {
            self.start_learning(dt_s);
            return none(Cause::Learning);
        }
        if self.compare(dt_s) {
            self.settle(dt_s);
            return none(Cause::GlobalChange);
        }
        let planes = Planes {
            picture: &self.picture,
            background: &self.model.mean,
            last: &self.last,
            strong: &self.model.strong,
            allowed: &self.allowed,
        };
        self.finder.find(&self.model.mask, planes);
        self.judge();
        self.learn(dt_s);
        self.report(pts)
    }

    /// Seconds since the last picture.
    fn elapsed(&mut self, pts: MonoTime) -> f32 {
        match self.last_pts.replace(pts).map(|last| pts.micros_since(last)) {
            Some(us) if us > 0 && us <= PAUSE_US => us as f32 * 1e-6,
            _ => self.usual_dt_s,
        }
    }

    /// The mean of the first pictures is the first background.
    fn start_learning(&mut self, dt_s: f32) {
        if self.learnt_s == 0.0 {
            self.model.restart(&self.picture);
        }
        self.learnt_s += dt_s;
        self.model.rate.fill((dt_s / self.learnt_s).min(1.0));
        self.model.dev_rate.fill((dt_s / 1.0).min(1.0));
        self.model.learn(&self.picture, dt_s);
    }

    /// Brings the background to the picture's light and compares. True when the whole picture changed at once.
    fn compare(&mut self, dt_s: f32) -> bool {
        let gain = self.light.measure(&self.picture, &self.model.mean, &self.model.mask);
        for levels in self.model.levels() {
            self.light.apply(levels);
        }
        self.light.apply(&mut self.last);
        let doubt = (gain.max(0.1).ln().abs() * GAIN_DOUBT).min(40.0);
        self.model.compare(&self.picture, self.threshold_scale, doubt, dt_s);
        let share = self.model.weak.iter().map(|w| u32::from(*w)).sum::<u32>() as f32 / CELLS as f32;
        let jump = share - self.share;
        self.share = share;
        let step = (gain - 1.0).abs() > GAIN_STEP;
        self.steps = self.steps * (1.0 - (dt_s / STEP_MEMORY_S).min(1.0)) + f32::from(u8::from(step));
        let is_swing = self.steps > RESTLESS && share < FITS;
        let global = (step && !is_swing) || (share > GLOBAL_SHARE && jump > GLOBAL_JUMP) || share > GLOBAL_ANYHOW;
        if global {
            self.unsettled_s = SETTLING_S;
            self.model.restart(&self.picture);
        }
        global || self.unsettled_s > 0.0
    }

    /// Learns fast after a change of the whole picture.
    fn settle(&mut self, dt_s: f32) {
        self.unsettled_s -= dt_s;
        self.share = 0.0;
        self.model.rate.fill((dt_s / 0.3).min(1.0));
        self.model.dev_rate.fill((dt_s / 2.0).min(1.0));
        self.model.learn(&self.picture, dt_s);
        self.model.mask.fill(0);
    }

    /// Gives every blob its verdict.
    fn judge(&mut self) {
        let blobs = self.finder.blobs();
        self.verdicts.clear();
        self.verdicts.extend(blobs.iter().map(|b| verdict(b, self.least_cells)));
        let (largest, count) = largest(blobs, &self.verdicts, |b| b.area);
        let objects = &largest[..count];
        for (b, v) in blobs.iter().zip(&mut self.verdicts) {
            if matches!(v, Verdict::Speck | Verdict::Ghost | Verdict::Doubt)
                && objects.iter().any(|o| blobs[*o].area > b.area && blobs[*o].is_near(b))
            {
                *v = if *v == Verdict::Speck { Verdict::Part } else { Verdict::Object };
            }
        }
    }

    /// Learns the picture: where it is background, but neither around an object nor under any blob until its time is up.
    fn learn(&mut self, dt_s: f32) {
        let (blobs, model) = (self.finder.blobs(), &mut self.model);
        let share = |seconds: f32| (dt_s / seconds).min(1.0);
        model.rate.fill(share(BACKGROUND_S));
        model.dev_rate.fill(share(DEVIATION_S));
        let (largest, count) = largest(blobs, &self.verdicts, |b| b.area);
        for o in &largest[..count] {
            let [(left, right), (top, bottom)] = blobs[*o].reach(GUARD);
            for row in top..=bottom {
                let cells = row * COLS + left..=row * COLS + right;
                model.rate[cells.clone()].fill(0.0);
                model.dev_rate[cells].fill(0.0);
            }
        }
        let keep = 1.0 - share(HOLD_MEMORY_S);
        for (i, label) in self.finder.labels().iter().enumerate() {
            if *label == 0 {
                model.hold[i] *= keep;
                continue;
            }
            let patience = match self.verdicts[usize::from(*label)] {
                Verdict::Speck => {
                    model.rate[i] = share(SPECK_S);
                    model.dev_rate[i] = share(SPECK_DEVIATION_S);
                    model.hold[i] *= keep;
                    continue;
                }
                Verdict::Object | Verdict::Part => OBJECT_PATIENCE_S,
                Verdict::Doubt => DOUBT_PATIENCE_S,
                Verdict::Ghost => GHOST_PATIENCE_S,
                Verdict::Light => LIGHT_PATIENCE_S,
            };
            (model.rate[i], model.dev_rate[i]) = (0.0, 0.0);
            model.hold[i] += dt_s / patience;
        }
        model.learn(&self.picture, dt_s);
    }

    fn report(&self, pts: MonoTime) -> Detection {
        let blobs = self.finder.blobs();
        let (largest, count) =
            largest(blobs, &self.verdicts, |b| if b.inside >= self.least_cells { b.inside } else { 0 });
        let objects = &largest[..count];
        let score = objects.first().map_or(0.0, |o| blobs[*o].inside as f32 / CELLS as f32);
        let cause = match objects {
            [] if self.flutters() => Cause::Flutter,
            [] => Cause::Quiet,
            _ => Cause::Motion,
        };
        let boxes = objects.iter().map(|o| blobs[*o].bounds()).collect();
        Detection { pts, motion: cause == Cause::Motion, score, cause, boxes }
    }

    /// Whether flutter alone kept as many cells quiet as would have made a thing.
    fn flutters(&self) -> bool {
        let (model, allowed) = (&self.model, &self.allowed);
        let kept = model.plain.iter().zip(&model.weak).zip(allowed).map(|((p, w), a)| u32::from(*p & !*w & *a));
        kept.sum::<u32>() >= self.least_cells
    }
}

/// What a blob is by itself; its neighbours may change that.
fn verdict(b: &Blob, least_cells: u32) -> Verdict {
    if b.area < least_cells || b.strong * 4 < b.inside {
        return Verdict::Speck;
    }
    let fit = b.fit();
    if fit.residual < 0.3 * fit.difference && fit.texture > 3.0 * fit.residual && (0.4..2.5).contains(&fit.slope) {
        return Verdict::Light;
    }
    let (change, ghostness) = (b.change(), b.ghostness());
    if change < 2.5 && ghostness > 1.4 {
        return Verdict::Ghost;
    }
    if change < 0.7 && ghostness > 0.85 && b.area < 4 * least_cells {
        return Verdict::Doubt;
    }
    Verdict::Object
}

/// The indices of the objects (and doubtful ones) of the greatest size, largest first, and how many they are. A size of 0
/// leaves a blob out.
fn largest(blobs: &[Blob], verdicts: &[Verdict], size: impl Fn(&Blob) -> u32) -> ([usize; MOST_BOXES], usize) {
    let (mut found, mut count) = ([0; MOST_BOXES], 0);
    for (i, (b, v)) in blobs.iter().zip(verdicts).enumerate() {
        if !matches!(v, Verdict::Object | Verdict::Doubt) || size(b) == 0 {
            continue;
        }
        let place = found[..count].iter().position(|f| size(&blobs[*f]) < size(b)).unwrap_or(count);
        if place < MOST_BOXES {
            count = (count + 1).min(MOST_BOXES);
            found[place..count].rotate_right(1);
            found[place] = i;
        }
    }
    (found, count)
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
