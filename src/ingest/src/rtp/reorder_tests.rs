//! Packets that come as networks and cameras bring them.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn packet(ssrc: u32, sequence: u16) -> Packet {
    Packet {
        marker: false,
        payload_type: 96,
        sequence,
        stamp: u32::from(sequence).wrapping_mul(100),
        ssrc,
        extension: None,
        payload: Bytes::copy_from_slice(&sequence.to_be_bytes()),
    }
}

/// Feeds sequence numbers a millisecond apart; returns what came out, with what is missing as `-`.
fn run(ordered: bool, numbers: &[u16]) -> String {
    let mut reorder = Reorder::new(ordered);
    let mut out = String::new();
    for (n, number) in numbers.iter().enumerate() {
        reorder.push(MonoTime(n as i64 * 1000), packet(1, *number));
        drain(&mut reorder, &mut out);
    }
    reorder.tick(MonoTime(3_600_000_000));
    drain(&mut reorder, &mut out);
    out.trim_start().to_owned()
}

fn drain(reorder: &mut Reorder, out: &mut String) {
    while let Some(arrived) = reorder.pop() {
        let (new, lost) = (if arrived.new_source { " new" } else { "" }, if arrived.lost { " -" } else { "" });
        *out += &format!("{new}{lost} {}", arrived.packet.sequence);
    }
}

#[test]
fn packets_are_put_in_order_and_doubles_left_out() {
    assert_eq!(run(false, &[65534, 0, 65535, 1, 1, 3, 2, 0, 4]), "65534 65535 0 1 2 3 4");
    assert_eq!(run(false, &[1, 2, 5, 4, 6]), "1 2 - 4 5 6");
}

#[test]
fn a_sender_that_numbers_anew_is_followed() {
    let mut numbers: Vec<u16> = (100..120).collect();
    numbers.extend(40_000..40_006);
    numbers.extend(10..16);
    assert_eq!(
        run(false, &numbers).split(" - ").map(|part| part.split(' ').count()).collect::<Vec<_>>(),
        [20, 6, 6],
        "{}",
        run(false, &numbers)
    );
    // A single stray number is nothing.
    assert_eq!(run(false, &[1, 2, 40_000, 3, 20_000, 4]), "1 2 3 4");
}

#[test]
fn a_whole_run_that_comes_twice_is_left_out() {
    let numbers: Vec<u16> = (0..30).chain(10..30).chain(30..40).collect();
    assert_eq!(run(false, &numbers).split(' ').count(), 40);
}

#[test]
fn over_tcp_nothing_waits_and_gaps_are_said() {
    assert_eq!(run(true, &[1, 2, 4, 5, 5, 6]), "1 2 - 4 5 6");
}

#[test]
fn over_tcp_numbers_that_count_something_else_are_not_gaps() {
    let numbers: Vec<u16> = (0..60).map(|n| n * 3).collect();
    let out = run(true, &numbers);
    assert_eq!(out.matches('-').count(), usize::from(NO_COUNT), "{out}");
    // A camera that does not count at all.
    let mut reorder = Reorder::new(true);
    let mut out = 0;
    for n in 0..50u8 {
        let payload = Bytes::copy_from_slice(&[n]);
        reorder.push(MonoTime(i64::from(n)), Packet { sequence: 9, payload, ..packet(1, 9) });
        out += std::iter::from_fn(|| reorder.pop()).filter(|a| !a.lost).count();
    }
    assert_eq!(out, 50);
}

#[test]
fn another_source_is_followed_and_a_stray_one_not() {
    for ordered in [false, true] {
        let mut reorder = Reorder::new(ordered);
        let mut out = String::new();
        let script = [(1, 1), (1, 2), (9, 500), (1, 3)].into_iter().chain((0..9).map(|n| (2, 700 + n)));
        for (n, (ssrc, number)) in script.enumerate() {
            reorder.push(MonoTime(n as i64 * 1000), packet(ssrc, number));
            drain(&mut reorder, &mut out);
        }
        assert_eq!(out, " 1 2 3 new 700 701 702 703 704 705 706 707 708", "ordered: {ordered}");
    }
}

#[test]
fn a_slow_new_source_needs_two_packets_or_a_bye() {
    let mut reorder = Reorder::new(true);
    let mut out = String::new();
    reorder.push(MonoTime(0), packet(1, 1));
    reorder.push(MonoTime(4_000_000), packet(2, 50));
    drain(&mut reorder, &mut out);
    assert_eq!(out, " 1");
    reorder.push(MonoTime(8_000_000), packet(2, 51));
    drain(&mut reorder, &mut out);
    assert_eq!(out, " 1 new 50 51");
    reorder.bye(2);
    reorder.push(MonoTime(8_010_000), packet(3, 7));
    drain(&mut reorder, &mut out);
    assert_eq!(out, " 1 new 50 51 new 7");
}

#[test]
fn the_wait_is_short_and_bounded() {
    let mut reorder = Reorder::new(false);
    reorder.push(MonoTime(0), packet(1, 1));
    reorder.push(MonoTime(10_000), packet(1, 3));
    assert_eq!(reorder.tick(MonoTime(20_000)), Some(MonoTime(110_000)));
    assert_eq!(std::iter::from_fn(|| reorder.pop()).count(), 1);
    assert_eq!(reorder.tick(MonoTime(110_000)), None);
    assert!(reorder.pop().is_some_and(|a| a.lost && a.at == MonoTime(10_000)));
    for n in 0..2_000u16 {
        reorder.push(MonoTime(120_000), packet(1, 5 + n));
        assert!(reorder.held.len() <= MAX_HELD && reorder.others.len() <= OTHER_SOURCE);
    }
}

proptest! {
    /// Whatever comes: nothing twice, nothing backwards unless a break is said, what is held is bounded, and all of a shuffled stream
    /// comes out.
    #[test]
    fn order_holds(jumps in proptest::collection::vec((0u16..8, 0u8..20), 50..400), base in any::<u16>()) {
        let mut reorder = Reorder::new(false);
        let mut expected: Option<u16> = None;
        let mut check = |reorder: &mut Reorder| {
            while let Some(a) = reorder.pop() {
                if let Some(expected) = expected && !a.lost {
                    assert_eq!(a.packet.sequence, expected);
                }
                expected = Some(a.packet.sequence.wrapping_add(1));
            }
        };
        for (n, (delay, fate)) in jumps.iter().enumerate() {
            let number = base.wrapping_add(n as u16).wrapping_sub(*delay);
            if *fate > 0 {
                reorder.push(MonoTime(n as i64 * 2000), packet(1, number));
            }
            check(&mut reorder);
        }
        reorder.tick(MonoTime(1 << 40));
        check(&mut reorder);
        prop_assert!(reorder.held.is_empty() && reorder.held_bytes == 0);
    }
}
