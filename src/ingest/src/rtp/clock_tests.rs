//! Cameras whose clock drifts or is set, through the whole of what makes pictures of packets.

use super::fixtures::*;
use super::*;
use perch_test_cameras::{Event, Start, find};
use std::time::Duration;

/// Set back by half a second, without a word of reordering in the parameter sets and without a B slice.
#[test]
fn a_clock_that_is_set_back_does_not_become_an_order_of_pictures() {
    let model = (find("clockback").expect("a case").model)().unwrap_or_else(|e| panic!("{e:?}"));
    let feed = model.feed(&Start::default()).take_while(|timed| timed.at < Duration::from_secs(30));
    let packets: Vec<Came> = feed
        .filter_map(|timed| match timed.event {
            Event::Rtp(_, packet) => Some((timed.at.as_micros() as i64, Bytes::from(packet))),
            _ => None,
        })
        .collect();
    let got = pictures(take(&h264_line(), true, &packets).1);
    check(&got);
    assert!(got.len() > 700, "{} pictures", got.len());
    let late = got.iter().filter(|picture| picture.shown != picture.decoded).count();
    assert_eq!(late, 0, "nothing is shown later than it is decoded");
    assert!(got.windows(2).all(|pair| pair[1].shown > pair[0].shown));
    assert!(got.iter().all(|picture| !picture.break_before));
}

/// A day of a camera whose clock runs wrong: each picture has the box's own time all the same.
#[test]
fn a_clock_that_drifts_for_a_day_does_not_move_pictures() {
    const SPACING_US: i64 = 1_000_000;
    let tiny = |nals: Vec<Vec<u8>>| {
        nals.into_iter().map(|mut nal| {
            nal.truncate(60);
            nal
        })
    };
    let group: Vec<Vec<Vec<u8>>> = (0..10).map(|n| tiny(picture(n, 10)).collect()).collect();
    for ppm in [200.0, -200.0] {
        let (mut tracks, _) = Tracks::new(&[h264_line()], true);
        let (mut sender, mut out, mut count, mut worst_us) = (VIDEO, Vec::new(), 0i64, 0i64);
        for n in 0..86_400i64 {
            let captured_us = n * SPACING_US;
            let delay_us = (n as u64).wrapping_mul(2_654_435_761) as i64 % 30_000;
            let stamp = (captured_us as f64 * (1.0 + ppm / 1e6) * 0.09).round() as i64 as u32;
            let now = MonoTime(captured_us + delay_us);
            for packet in sender.unit(&group[(n % 10) as usize], stamp) {
                tracks.rtp(now, 0, packet, &mut out);
            }
            tracks.tick(now, &mut out);
            for picture in pictures(std::mem::take(&mut out)) {
                worst_us = worst_us.max((picture.shown.0 - count * SPACING_US).abs());
                count += 1;
            }
        }
        assert!(count >= 86_399, "{count} pictures");
        assert!(worst_us < 100_000, "{ppm} ppm: {worst_us} us");
    }
}
