//! Tests of the detector on footage made here: a textured scene with sensor noise, squares that walk, stand and leave,
//! light that steps and drifts, regions that blink.

use super::super::{Polygon, Rect, Sight, SightWatch};
use super::*;

const W: usize = LUMA_WIDTH;
const H: usize = LUMA_HEIGHT;
const FRAME_US: i64 = 200_000;

/// A small deterministic generator (xorshift), so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    /// Roughly normal with a standard deviation of `sigma`.
    fn noise(&mut self, sigma: f32) -> f32 {
        let sum: u32 = (0..4).map(|_| self.roll() % 1000).sum();
        (sum as f32 - 1998.0) / 577.0 * sigma
    }
}

/// Draws pictures and shows them to a detector, five a second.
struct Stage {
    detector: Detector,
    dice: Dice,
    pixels: Vec<u8>,
    frame: i64,
    sigma: f32,
    gain: f32,
    /// Grey levels that are added to all.
    lift: f32,
}

/// A grey square: left, top, side in pixels, level.
type Square = (usize, usize, usize, f32);

impl Stage {
    fn new(config: MotionConfig) -> Self {
        let (detector, pixels) = (Detector::new(config), vec![0; W * H]);
        Self { detector, dice: Dice(7), pixels, frame: 0, sigma: 2.0, gain: 1.0, lift: 0.0 }
    }

    fn show(&mut self, squares: &[Square]) -> Detection {
        self.draw(squares);
        self.present()
    }

    fn draw(&mut self, squares: &[Square]) {
        for y in 0..H {
            for x in 0..W {
                let texture = if (x / 20 + y / 15) % 2 == 0 { 70.0 } else { 110.0 } + x as f32 / 10.0;
                let inside = |s: &&Square| (s.0..s.0 + s.2).contains(&x) && (s.1..s.1 + s.2).contains(&y);
                let level = squares.iter().rev().find(inside).map_or(texture, |s| s.3);
                let level = level * self.gain + self.lift + self.dice.noise(self.sigma);
                self.pixels[y * W + x] = level.clamp(0.0, 255.0) as u8;
            }
        }
    }

    fn present(&mut self) -> Detection {
        let pts = MonoTime(self.frame * FRAME_US);
        self.frame += 1;
        self.detector.look(Luma { pixels: &self.pixels, pts })
    }

    /// Shows the same squares for a time; returns what was seen.
    fn hold(&mut self, seconds: i64, squares: &[Square]) -> Vec<Detection> {
        (0..seconds * 5).map(|_| self.show(squares)).collect()
    }
}

fn motions(seen: &[Detection]) -> usize {
    seen.iter().filter(|d| d.motion).count()
}

fn rectangle(x: f32, y: f32, w: f32, h: f32) -> Polygon {
    Polygon::new(vec![(x, y), (x + w, y), (x + w, y + h), (x, y + h)]).expect("four corners")
}

#[test]
fn a_walking_square_is_found_where_it_is() {
    let mut stage = Stage::new(MotionConfig::default());
    let seen = stage.hold(4, &[]);
    assert!(seen[..12].iter().all(|d| d.cause == Cause::Learning && !d.motion));
    assert_eq!(seen[19].cause, Cause::Quiet);
    for step in 0..40 {
        let x = 10 + 6 * step;
        let d = stage.show(&[(x, 80, 24, 200.0)]);
        assert_eq!((d.motion, d.cause), (true, Cause::Motion), "step {step}");
        let Rect { x: left, y: top, w, h } = d.boxes[0];
        let found = [left * W as f32, top * H as f32, w * W as f32, h * H as f32];
        for (f, e) in found.iter().zip([x as f32, 80.0, 24.0, 24.0]) {
            assert!((f - e).abs() <= 6.0, "step {step}: {found:?}");
        }
        let share = 24.0 * 24.0 / (W * H) as f32;
        assert!((d.score / share - 1.0).abs() < 0.35, "step {step}: {} is not {share}", d.score);
    }
    assert_eq!(motions(&stage.hold(4, &[])), 0, "nothing lingers where it walked");
}

#[test]
fn boxes_come_largest_first_and_at_most_eight() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(4, &[]);
    let squares: Vec<Square> = (0..12).map(|i| (10 + 60 * (i % 4), 10 + 55 * (i / 4), 12 + 2 * i, 230.0)).collect();
    let d = stage.show(&squares);
    assert_eq!(d.boxes.len(), 8);
    let areas: Vec<f32> = d.boxes.iter().map(|b| b.w * b.h).collect();
    assert!(areas.windows(2).all(|a| a[0] > 0.9 * a[1]), "{areas:?}");
    assert!(areas[0] * (W * H) as f32 > 900.0, "{areas:?}");
}

#[test]
fn noise_alone_is_quiet_and_a_square_is_found_in_it() {
    for sigma in [0.0, 3.0, 8.0, 15.0] {
        let mut stage = Stage::new(MotionConfig::default());
        stage.sigma = sigma;
        assert_eq!(motions(&stage.hold(30, &[])), 0, "noise of {sigma}");
        assert!(stage.show(&[(100, 60, 24, 220.0)]).motion, "noise of {sigma}");
    }
}

#[test]
fn a_light_step_is_a_global_change_and_is_learnt_quickly() {
    for gain in [0.4, 0.7, 1.35, 1.8] {
        let mut stage = Stage::new(MotionConfig::default());
        stage.hold(5, &[]);
        stage.gain = gain;
        let seen = stage.hold(5, &[]);
        assert_eq!(seen[0].cause, Cause::GlobalChange, "gain {gain}");
        assert_eq!(motions(&seen), 0, "gain {gain}");
        assert!(seen[8..].iter().all(|d| d.cause == Cause::Quiet), "gain {gain}");
        assert!(stage.show(&[(100, 60, 24, 20.0)]).motion, "gain {gain}");
    }
}

#[test]
fn slow_light_and_small_steps_are_quiet_and_hide_nothing() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(4, &[]);
    for step in 0..100 {
        stage.gain = 1.0 + 0.5 * (step as f32 / 12.0).sin();
        assert!(!stage.show(&[]).motion, "step {step}");
    }
    for gain in [1.0, 1.12, 0.98, 0.9] {
        stage.gain *= gain;
        assert_eq!(motions(&stage.hold(2, &[])), 0, "gain {gain}");
    }
    assert!(stage.show(&[(100, 60, 24, 220.0)]).motion);
}

/// An exposure that hunts, a lamp that flickers: brightness that swings by some percent of full, as an offset or as a gain.
#[test]
fn light_that_keeps_swinging_is_quiet_and_hides_nobody() {
    let offset = [(3.0, 0.7), (5.0, 1.3), (5.0, 2.1), (8.0, 0.7), (8.0, 3.0)].map(|(percent, hz)| (percent, hz, false));
    for (percent, hz, is_gain) in offset.into_iter().chain([(8.0, 1.3, true)]) {
        let mut stage = Stage::new(MotionConfig::default());
        let mut swing = |squares: &[Square]| {
            let swing = percent / 100.0 * (stage.frame as f32 * 0.2 * hz * std::f32::consts::TAU).sin();
            (stage.gain, stage.lift) = if is_gain { (1.0 + swing, 0.0) } else { (1.0, 255.0 * swing) };
            stage.show(squares)
        };
        let what = format!("{percent} % at {hz} Hz, as a gain: {is_gain}");
        let alone: Vec<Detection> = (0..100).map(|_| swing(&[])).collect();
        assert_eq!(motions(&alone), 0, "{what}");
        assert!(alone[60..].iter().all(|d| d.cause != Cause::GlobalChange), "{what}");
        let walks = |step: usize| [(20 + 3 * step, 70, 22, 200.0), (20 + 3 * step, 92, 22, 45.0)];
        let seen: Vec<Detection> = (0..60).map(|step| swing(&walks(step))).collect();
        assert!(motions(&seen) >= 48, "{what}: seen in {} of 60", motions(&seen));
    }
}

/// A strobe, or a lamp that blinds the camera again and again: nobody is seen who walks, so it is said.
#[test]
fn light_that_swings_too_strongly_is_said() {
    for every in [2, 3, 5] {
        let (mut stage, mut watch) = (Stage::new(MotionConfig::default()), SightWatch::default());
        let mut show = |is_blinding: bool, squares: &[Square]| {
            stage.lift = if is_blinding && stage.frame % every == 0 { 220.0 } else { 0.0 };
            let seen = stage.show(squares);
            (seen.motion, watch.look(&seen))
        };
        let steady: Vec<_> = (0..100).filter_map(|_| show(false, &[]).1).collect();
        assert_eq!(steady, [], "every {every}");
        let walks = |step: usize| [(20 + 2 * step, 70, 22, 200.0), (20 + 2 * step, 92, 22, 45.0)];
        let walk: Vec<_> = (0..100).map(|step| show(true, &walks(step))).collect();
        // Until it first strikes they are.
        assert_eq!(walk.iter().skip(5).filter(|(motion, _)| *motion).count(), 0, "every {every}");
        assert_eq!(walk.iter().filter_map(|(_, new)| *new).collect::<Vec<_>>(), [Sight::Lost], "every {every}");
        let after: Vec<_> = (0..100).filter_map(|_| show(false, &[]).1).collect();
        assert_eq!(after, [Sight::Back], "every {every}");
    }
}

#[test]
fn a_shadow_on_a_textured_ground_is_not_motion() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(4, &[]);
    for _ in 0..50 {
        stage.draw(&[]);
        for y in 40..130 {
            for p in &mut stage.pixels[y * W + 90..y * W + 200] {
                *p = (f32::from(*p) * 0.7) as u8;
            }
        }
        assert!(!stage.present().motion);
    }
}

#[test]
fn a_region_that_keeps_blinking_becomes_flutter() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(6, &[]);
    let blink = |stage: &mut Stage| {
        let mut squares = Vec::new();
        for i in 0..36 {
            if stage.dice.roll().is_multiple_of(2) {
                squares.push((200 + 6 * (i % 6), 100 + 6 * (i / 6), 6, 125.0));
            }
        }
        stage.show(&squares)
    };
    let first: Vec<Detection> = (0..50).map(|_| blink(&mut stage)).collect();
    let then: Vec<Detection> = (0..50).map(|_| blink(&mut stage)).collect();
    assert!(motions(&then) <= 2, "{} of 50, after {} of 50", motions(&then), motions(&first));
    assert!(first.iter().chain(&then).any(|d| d.cause == Cause::Flutter));
    assert!(stage.show(&[(60, 60, 24, 220.0)]).motion, "elsewhere all is seen");
    assert!(stage.show(&[(205, 105, 30, 250.0)]).motion, "and there what is strong");
}

#[test]
fn zones_and_masks_are_kept() {
    let left = rectangle(0.0, 0.0, 0.5, 1.0);
    let zone = MotionConfig { zones: vec![left.clone()], ..MotionConfig::default() };
    let mask = MotionConfig { masks: vec![left], ..MotionConfig::default() };
    for (config, in_left, in_right) in [(zone, true, false), (mask, false, true)] {
        let mut stage = Stage::new(config);
        stage.hold(4, &[]);
        assert_eq!(stage.show(&[(60, 60, 24, 220.0)]).motion, in_left);
        assert_eq!(stage.hold(2, &[]).len(), 10);
        let d = stage.show(&[(240, 60, 24, 220.0)]);
        assert_eq!((d.motion, d.boxes.is_empty()), (in_right, !in_right));
    }
}

#[test]
fn a_thing_half_inside_a_zone_scores_its_share_inside() {
    let zones = vec![rectangle(0.0, 0.0, 0.5, 1.0)];
    let mut stage = Stage::new(MotionConfig { zones, ..MotionConfig::default() });
    stage.hold(4, &[]);
    let d = stage.show(&[(140, 60, 40, 220.0)]);
    let share = 20.0 * 40.0 / (W * H) as f32;
    assert!(d.motion && (d.score / share - 1.0).abs() < 0.2, "{} is not {share}", d.score);
}

#[test]
fn sensitivity_and_least_area_decide_what_counts() {
    let seen = |sensitivity: f32, min_area: f32, square: Square| {
        let mut stage = Stage::new(MotionConfig { sensitivity, min_area, ..MotionConfig::default() });
        stage.hold(4, &[]);
        stage.show(&[square]).motion
    };
    let faint = (105, 62, 12, 129.0);
    assert!(seen(1.0, 0.001, faint) && !seen(0.0, 0.001, faint));
    let small = (105, 62, 12, 220.0);
    assert!(seen(0.5, 0.001, small) && !seen(0.5, 0.01, small));
}

#[test]
fn what_stands_still_is_seen_for_long_then_becomes_background_and_leaves_no_ghost() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(4, &[]);
    let still = [(150, 70, 30, 30.0)];
    assert_eq!(motions(&stage.hold(40, &still)), 200);
    let seen = stage.hold(20, &still);
    assert_eq!(motions(&seen[75..]), 0, "after a minute it is background");
    assert_eq!(motions(&stage.hold(10, &[])), 0, "what was behind it is still known");
    assert!(stage.show(&still).motion, "and it is seen when it comes again");
}

#[test]
fn the_ghost_of_what_was_there_at_the_start_fades() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(5, &[(150, 70, 30, 220.0)]);
    let seen = stage.hold(6, &[]);
    assert_eq!(motions(&seen[5..]), 0, "{}", motions(&seen));
    assert!(stage.show(&[(60, 70, 30, 220.0)]).motion);
}

#[test]
fn any_pixels_and_any_times_are_survived() {
    let mut stage = Stage::new(MotionConfig { min_area: 0.0, sensitivity: 1.0, ..MotionConfig::default() });
    for i in 0..1000 {
        let mode = stage.dice.roll() % 4;
        let flat = stage.dice.roll() as u8;
        for p in 0..W * H {
            stage.pixels[p] = match mode {
                0 => stage.dice.roll() as u8,
                1 => flat,
                2 => stage.pixels[p].wrapping_add((p % 7) as u8),
                _ => {
                    if (p / 2 + p / W / 2).is_multiple_of(2) {
                        255
                    } else {
                        0
                    }
                }
            };
        }
        let pts = match stage.dice.roll() % 5 {
            0 => MonoTime(i64::MIN + i),
            1 => MonoTime(i64::MAX - i),
            2 => MonoTime(0),
            _ => MonoTime(i * FRAME_US),
        };
        let d = stage.detector.look(Luma { pixels: &stage.pixels, pts });
        assert_eq!(d.pts, pts);
        assert_eq!(d.motion, d.cause == Cause::Motion);
        assert_eq!(d.motion, !d.boxes.is_empty());
        assert!((0.0..=1.0).contains(&d.score) && d.boxes.len() <= MOST_BOXES);
        for b in &d.boxes {
            assert!(b.x >= 0.0 && b.y >= 0.0 && b.x + b.w <= 1.0001 && b.y + b.h <= 1.0001, "{b:?}");
        }
    }
    for _ in 0..10 {
        stage.hold(6, &[]);
    }
    assert_eq!(motions(&stage.hold(5, &[])), 0, "and it finds its way back");
}

#[test]
fn pauses_and_steps_back_in_time_are_survived() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(5, &[]);
    for jump in [3_600 * 5, -7_200 * 5, 40, -1, 0] {
        stage.frame += jump;
        assert_eq!(motions(&stage.hold(2, &[])), 0, "a jump of {jump} pictures");
        assert!(stage.show(&[(60, 60, 24, 220.0)]).motion, "a jump of {jump} pictures");
    }
}

#[test]
fn a_picture_of_the_wrong_size_is_quiet_and_changes_nothing() {
    let mut stage = Stage::new(MotionConfig::default());
    stage.hold(4, &[]);
    for len in [0, 1, W * H - 1, W * H + 1] {
        let d = stage.detector.look(Luma { pixels: &vec![9; len], pts: MonoTime(i64::MAX) });
        assert_eq!((d.motion, d.cause, d.boxes.len()), (false, Cause::Quiet, 0));
    }
    assert_eq!(stage.show(&[]).cause, Cause::Quiet);
}

#[test]
fn a_senseless_configuration_is_survived() {
    for value in [f32::NAN, f32::INFINITY, -1.0, 7.0] {
        let config = MotionConfig { sensitivity: value, min_area: value, fps: 0, ..MotionConfig::default() };
        let mut stage = Stage::new(config);
        stage.hold(4, &[]);
        stage.show(&[(100, 60, 24, 220.0)]);
    }
}
