//! The cameras themselves: each case can be made, and ffmpeg plays those that it should.

#![allow(clippy::print_stdout, reason = "a case that is skipped says so")]

use perch_test_cameras::yardstick::Span;
use perch_test_cameras::{ALL, Camera, Case, Event, Start, find, yardstick};
use std::collections::BTreeSet;
use std::time::Duration;

fn all() -> impl Iterator<Item = &'static Case> {
    ALL.iter().copied().flatten()
}

#[test]
fn names_are_different_and_say_something() {
    let mut names = BTreeSet::new();
    for case in all() {
        assert!(names.insert(case.name), "two cases {}", case.name);
        assert!(!case.about.is_empty() && !case.about.ends_with('.'), "{}", case.name);
        assert!(["auto", "udp", "multicast", "http"].contains(&case.transport), "{}", case.name);
    }
    assert!(names.len() > 150, "{} cases", names.len());
}

#[test]
fn feeds_run_in_the_order_of_time_and_are_the_same_again() {
    for case in all() {
        let model = match (case.model)() {
            Ok(model) => model,
            Err(absent) => {
                println!("SKIPPED: {}: {absent}", case.name);
                continue;
            }
        };
        let start = Start { wall: Duration::from_secs(1_800_000_000), ..Start::default() };
        let first: Vec<_> = model.feed(&start).take(3000).collect();
        assert!(first.is_sorted_by_key(|timed| timed.at), "{}: goes back in time", case.name);
        let short = first.iter().filter(|t| matches!(&t.event, Event::Rtp(_, p) if p.len() < 12)).count();
        assert_eq!(short, 0, "{}: packets without a whole header", case.name);
        let again: Vec<_> = model.feed(&start).take(3000).collect();
        assert!(first == again, "{}: another feed for the same session", case.name);
    }
}

/// One or two of each kind; all of them are in `perch-test-cameras table`.
#[test]
fn ffmpeg_plays_what_it_should() {
    let names = [
        "norm",
        "reolink",
        "stapa",
        "pps2",
        "refresh",
        "fields",
        "bframes",
        "h265",
        "h265gathered",
        "jpeg",
        "jpegq",
        "aac",
        "latm",
        "opus",
        "g722",
        "udp",
        "http",
        "tlsown",
        "md5qop",
        "wrongpassword",
        "redirect",
        "badsdp",
    ];
    let cases: Vec<_> = names.iter().map(|name| find(name).expect("it is a case")).collect();
    // Those that play end as soon as some pictures came: how long that takes is the machine's affair.
    let span =
        |case: &Case| Span { longest: Duration::from_secs(if case.right.plays_in_ffmpeg { 60 } else { 8 }), enough: 5 };
    std::thread::scope(|scope| {
        let played = cases.chunks(cases.len().div_ceil(4)).map(|some| {
            scope.spawn(|| some.iter().map(|case| (case.name, yardstick::row(case, span(case)))).collect::<Vec<_>>())
        });
        for (name, row) in played.collect::<Vec<_>>().into_iter().flat_map(|thread| thread.join().expect("no panic")) {
            println!("{row}");
            assert!(!row.contains("**no**"), "{name}: {row}");
        }
    });
}

#[test]
fn a_camera_counts_what_happens() {
    let camera = Camera::start(find("md5").expect("it is a case")).expect("ffmpeg is here");
    let played = yardstick::ffmpeg(&camera, "auto", Span { longest: Duration::from_secs(60), enough: 20 })
        .expect("ffmpeg is here");
    let counts = camera.counts();
    assert!(played.pictures > 0, "{played:?}");
    assert_eq!((counts.connections, counts.plays, counts.refused_sign_ins), (1, 1, 0), "{counts:?}");
    assert!(counts.sign_ins >= 3 && counts.packets as usize > played.pictures, "{counts:?}");

    let camera = Camera::start(find("wrongpassword").expect("it is a case")).expect("ffmpeg is here");
    yardstick::ffmpeg(&camera, "tcp", Span::seconds(20)).expect("ffmpeg is here");
    let counts = camera.counts();
    assert!(counts.refused_sign_ins > 0 && counts.sign_ins == 0 && counts.plays == 0, "{counts:?}");
}
