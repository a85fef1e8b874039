//! Cameras' clocks, good and bad, against a network's delays.

use super::*;

/// Random numbers that are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most.max(1) as u64) as i64
    }
}

/// One unit: when it was captured, with what stamp, and how late it came, all microseconds.
struct Shot {
    captured: i64,
    stamped: f64,
    delay: i64,
}

fn shot(captured: i64, stamped: f64, delay: i64) -> Shot {
    Shot { captured, stamped, delay }
}

/// By how much each time is wrong, microseconds; checks that times grow. Arrivals keep their order, as over TCP.
fn errors(shots: impl Iterator<Item = Shot>) -> Vec<i64> {
    let mut times = Timeline::new(90_000);
    let (mut before, mut came) = (i64::MIN, i64::MIN);
    shots
        .map(|shot| {
            came = came.max(shot.captured + shot.delay);
            let stamp = (shot.stamped * 0.09).round() as i64 as u32;
            let at = times.stamp(stamp, MonoTime(came)).at.0;
            assert!(at > before, "{at} after {before}");
            before = at;
            at - shot.captured
        })
        .collect()
}

fn worst(errors: &[i64]) -> i64 {
    errors.iter().map(|error| error.abs()).max().unwrap_or(0)
}

#[test]
fn a_day_of_drift_and_jitter() {
    for (ppm, most_delay) in [(200.0, 80_000), (-200.0, 80_000), (200.0, 5_000), (-50.0, 300_000)] {
        let mut random = Random(7);
        let rate = 1.0 + ppm / 1e6;
        let shots = (0..5 * 86_400i64).map(|n| {
            let captured = n * 200_000;
            // Now and then the network stands still for a moment.
            let stall = if random.below(3_000) == 0 { random.below(2_000_000) } else { 0 };
            shot(captured, captured as f64 * rate, random.below(most_delay) + stall)
        });
        let errors = errors(shots);
        let most = worst(&errors[50..]);
        let at = errors.iter().skip(50).position(|e| e.abs() == most).unwrap_or(0) + 50;
        let around = &errors[at.saturating_sub(60)..(at + 10).min(errors.len())];
        assert!(most < 100_000, "{ppm} ppm: {most} us at {at}: {around:?}");
        // Slewed: no step of more than a little from one to the next.
        let step = errors[50..].windows(2).map(|pair| (pair[1] - pair[0]).abs()).max().unwrap_or(0);
        assert!(step < 60_000, "{ppm} ppm: a step of {step} us");
    }
}

#[test]
fn the_cameras_spacing_is_kept_through_jitter_and_stalls() {
    let mut random = Random(3);
    let shots = (0..2_000i64).map(|n| {
        let stall = if n % 400 == 399 { 4_000_000 } else { 0 };
        shot(n * 40_000, n as f64 * 40_000.0, random.below(30_000) + stall)
    });
    let errors = errors(shots);
    assert!(worst(&errors[100..]) < 35_000, "{}", worst(&errors[100..]));
    let uneven = errors[100..].windows(2).filter(|pair| (pair[1] - pair[0]).abs() > 5_000).count();
    assert!(uneven < 10, "{uneven}");
}

#[test]
fn stamps_of_another_rate_follow_arrival() {
    for (stamped, real) in [
        (40_000.0, 58_823),
        (66_667.0, 40_000),
        (40_000.0, 43_000),
        (40_000.0, 40_600),
        (440.0, 40_000),
        (900_000.0, 40_000),
    ] {
        let mut random = Random(5);
        let errors = errors((0..2_500i64).map(|n| shot(n * real, n as f64 * stamped, random.below(5_000))));
        assert!(worst(&errors[250..]) < 100_000, "{stamped} for {real}: {}", worst(&errors[250..]));
        assert!(worst(&errors) < 500_000, "{stamped} for {real} at first: {}", worst(&errors));
    }
}

#[test]
fn stamps_that_stand_still_follow_arrival() {
    let mut random = Random(5);
    let errors = errors((0..1_000i64).map(|n| shot(n * 40_000, 0.0, random.below(10_000))));
    assert!(worst(&errors) < 60_000, "{}", worst(&errors));
}

#[test]
fn single_stamps_far_off_change_nothing() {
    for off in [-9_800e6, 37_600e6, 11_111e6, 900_000.0, -900_000.0] {
        let far = |n: i64| if n % 50 == 37 { off } else { 0.0 };
        let errors = errors((0..1_000i64).map(|n| shot(n * 40_000, n as f64 * 40_000.0 + far(n), 0)));
        assert!(worst(&errors) < 50_000, "{off}: {}", worst(&errors));
    }
}

#[test]
fn stamps_that_begin_anew_or_wrap_go_on() {
    for (every, base) in [(250i64, 0.0), (75, 0.0), (1 << 40, (4_294_967_296.0 - 450_000.0) / 0.09)] {
        let mut random = Random(9);
        let errors =
            errors((0..2_000i64).map(|n| shot(n * 40_000, base + (n % every) as f64 * 40_000.0, random.below(8_000))));
        assert!(worst(&errors) < 60_000, "{every}: {}", worst(&errors));
        assert!(errors.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 12_000), "{every}");
    }
    // A billion ticks.
    let errors =
        errors((0..500i64).map(|n| shot(n * 40_000, n as f64 * 40_000.0 + if n < 250 { 0.0 } else { 1e9 / 0.09 }, 0)));
    assert!(worst(&errors) < 1_000, "{}", worst(&errors));
}

#[test]
fn slow_cameras_and_pictures_in_bursts() {
    let mut random = Random(2);
    let slow = errors((0..200i64).map(|n| shot(n * 4_000_000, n as f64 * 4e6, random.below(20_000))));
    assert!(worst(&slow) < 40_000, "{}", worst(&slow));
    // By day 25 a second, by night one in five seconds.
    let both = errors((0..600i64).map(|n| {
        let captured = if n < 500 { n * 40_000 } else { 20_000_000 + (n - 500) * 5_000_000 };
        shot(captured, captured as f64, random.below(20_000))
    }));
    assert!(worst(&both) < 40_000, "{}", worst(&both));
    // Five a read: the last of them came with the least delay.
    let bursts = errors((0..1_000i64).map(|n| shot(n * 40_000, n as f64 * 40_000.0, (4 - n % 5) * 40_000)));
    assert!(worst(&bursts[10..]) < 20_000, "{}", worst(&bursts[10..]));
    assert!(bursts[10..].windows(2).all(|pair| (pair[1] - pair[0]).abs() < 1_000));
    // The last GOP at once as one joins.
    let joined = errors((0..1_000i64).map(|n| shot(n * 40_000, n as f64 * 40_000.0, (50 - n).max(0) * 40_000)));
    assert!(worst(&joined[60..]) < 20_000, "{}", worst(&joined[60..]));
}

#[test]
fn the_order_of_pictures_stays_right_while_the_offset_moves() {
    // The last three GOPs at once as one joins, with B-frames: decoded 0 4 2 1 3 8 6 5 7 ..
    let frame = |n: i64| if n == 0 { 0 } else { (n - 1) / 4 * 4 + [4, 2, 1, 3][(n as usize - 1) % 4] };
    let mut times = Timeline::new(90_000);
    times.set_reorders(true, true);
    let mut got: Vec<(i64, i64)> = (0..601i64)
        .map(|n| {
            let came = n.max(150) * 40_000;
            (frame(n), times.stamp(frame(n) as u32 * 3_600, MonoTime(came)).at.0 - came)
        })
        .collect();
    assert!(got[300..].iter().all(|(_, error)| (-210_000..60_000).contains(error)));
    for (n, (_, time)) in got.iter_mut().enumerate() {
        *time += (n as i64).max(150) * 40_000;
    }
    got.sort_unstable();
    assert!(got.windows(2).all(|pair| pair[1].1 > pair[0].1), "{got:?}");
    assert!(got[300..].windows(2).all(|pair| (38_000..42_000).contains(&(pair[1].1 - pair[0].1))));
}

#[test]
fn a_clock_that_stood_still_is_a_jump_that_is_said() {
    let mut times = Timeline::new(90_000);
    let mut jumps = Vec::new();
    for n in 0..1_000i64 {
        let captured = n * 40_000 + if n < 500 { 0 } else { 5_000_000 };
        let moment = times.stamp(n as u32 * 3_600, MonoTime(captured));
        if moment.jumped {
            jumps.push(n);
        }
        if n > 700 {
            assert!((moment.at.0 - captured).abs() < 50_000, "{n}");
        }
    }
    assert_eq!(jumps.len(), 1, "{jumps:?}");
}

#[test]
fn nothing_overflows() {
    let mut times = Timeline::new(1);
    let mut random = Random(11);
    for n in 0..20_000 {
        let at = MonoTime(random.below(i64::MAX));
        times.set_reorders(n % 3 == 0, n % 5 == 0);
        times.stamp(random.below(1 << 32) as u32, at);
        times.look_up(n);
        times.shift_to(random.below(1 << 40) as f64);
    }
}
