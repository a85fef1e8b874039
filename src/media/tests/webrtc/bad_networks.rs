//! Figures of bad networks, measured at the viewer: `make networks`. They take minutes and a machine that does nothing else.

use super::rates::{Watching, bps};
use super::*;

/// The longest time without a picture between two moments, counted up to the second one.
fn longest_gap(arrivals: &[Instant], from: Instant, to: Instant) -> Duration {
    let within = arrivals.iter().copied().filter(|at| (from..=to).contains(at));
    let moments: Vec<Instant> = std::iter::once(from).chain(within).chain([to]).collect();
    moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// Of the times between pictures from one moment to another, the one than which 99 of 100 are shorter.
fn p99(arrivals: &[Instant], from: Instant, to: Instant) -> Duration {
    let within: Vec<Instant> = arrivals.iter().copied().filter(|at| (from..=to).contains(at)).collect();
    let mut gaps: Vec<Duration> = within.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort();
    gaps.get(gaps.len() * 99 / 100).copied().unwrap_or_default()
}

fn sleep(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[test]
#[ignore = "takes three minutes and measures: `make networks`"]
fn bad_networks() {
    let bench = Bench::new();
    let main = bps(Stream::Main) / 1000;
    let (_, neighbour) = bench.watch(device(), Stream::Main);
    neighbour.until("a picture", |seen| seen.frames > 3);
    let undisturbed = Instant::now();
    let watching = Watching::begin(&bench, 2 * main, None);
    let way = watching.path.way.clone();
    sleep(10);
    let disturbed = Instant::now();
    let before = p99(&neighbour.seen().arrivals, undisturbed, disturbed);

    // As 4, 0.8 and 4 Mbit/s are to a stream of 2.
    way.kbps.store(main * 65 / 100, Ordering::SeqCst);
    let narrowed = Instant::now();
    watching.until(&bench, "sub", 10);
    bench.until("the small stream", |bench| watching.session(bench).stream == Stream::Sub);
    let to_small = narrowed.elapsed();
    sleep(20);
    let frozen = longest_gap(&watching.viewer.seen().arrivals, narrowed, Instant::now());
    way.kbps.store(2 * main, Ordering::SeqCst);
    let widened = Instant::now();
    watching.until(&bench, "main", 60);
    bench.until("the large stream", |bench| watching.session(bench).stream == Stream::Main);
    let to_large = widened.elapsed();
    let mut changes = 0;
    for _ in 0..60 {
        sleep(1);
        changes += usize::from(watching.session(&bench).ration != "main");
    }
    println!(
        "small stream after {to_small:?}, longest freeze {frozen:?}, large again after {to_large:?}, then {changes} of 60 s less"
    );

    let longest = |loss: u32, jitter: u32| {
        way.loss_percent.store(loss, Ordering::SeqCst);
        way.jitter_ms.store(jitter, Ordering::SeqCst);
        way.kbps.store(0, Ordering::SeqCst);
        let from = Instant::now();
        sleep(20);
        let seen = watching.viewer.seen();
        let frames = seen.arrivals.iter().filter(|at| **at >= from).count();
        (frames, longest_gap(&seen.arrivals, from, Instant::now()))
    };
    let five = longest(5, 0);
    let ten = longest(10, 200);
    longest(0, 0);
    println!("5 % loss: {five:?}; 10 % loss and 200 ms of jitter: {ten:?} (pictures in 20 s, longest freeze)");

    way.is_cut.store(true, Ordering::SeqCst);
    sleep(5);
    way.is_cut.store(false, Ordering::SeqCst);
    let back = Instant::now();
    watching.viewer.until("pictures again", |seen| seen.arrivals.last().is_some_and(|at| *at > back));
    let back = back.elapsed();
    let after = p99(&neighbour.seen().arrivals, disturbed, Instant::now());
    println!(
        "after a cut of 5 s back within {back:?}; a neighbour's p99 between pictures {before:?}, meanwhile {after:?}"
    );

    assert!(to_small <= Duration::from_secs(2) && frozen <= Duration::from_millis(500) && changes == 0);
    assert!(to_large <= Duration::from_secs(10), "{to_large:?}");
    assert!(five.1 <= Duration::from_millis(300) && ten.0 > 100 && back <= Duration::from_secs(2));
    assert!(after <= before + Duration::from_millis(5));
}
