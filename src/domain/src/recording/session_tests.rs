//! What the timeline and the status say after pauses, silence, set clocks and the rest: one line of script a case.

use super::model::{World, config};
use super::*;
use crate::archive::GapCause;
use std::time::Duration;

/// Plays a script, and says what there is then: `0-20 20-30#1; disk_full 30-40`, in seconds of civil time.
///
/// Words of a script: `r5` five GOPs of a second, `p5` five more seconds of the one before, each a part, `n40` pictures of 40 s without any
/// part that can be begun, `large`, `small` what a part takes of the memory; `j` one that the next does not join; `l5` GOPs of five seconds are lost on the
/// way to a slow disk; `s5` the camera is silent for five seconds; `u5` what it sends is unusable; `full`, `bad`, `well` the disk;
/// `+30`, `-30` the clock is set; `size`, `sound` the format changes; `e` an event starts, `m` it moves, `E` it ends with its
/// post-roll, `x` it ends here, `o` it ended with the post-roll of its last motion, `c` it is cut into chapters; `cut` the recorder is cut off; `busy`, `free` the database.
fn play(mode: RecordMode, script: &str) -> String {
    let w = run(mode, script);
    let s = |ms: i64| if ms % 1_000 == 0 { format!("{}", ms / 1_000) } else { format!("{}", ms as f64 / 1_000.0) };
    let event = |id: Option<perch_base::ids::EventId>| id.map(|id| format!("#{}", id.0)).unwrap_or_default();
    let files: Vec<_> = w.disk.runs().into_iter().map(|(e, a, b)| format!("{}-{}{}", s(a), s(b), event(e))).collect();
    let gaps = w.disk.merged_gaps().into_iter();
    let gaps: Vec<_> = gaps.map(|(a, b, cause)| format!("{cause:?} {}-{}", s(a), s(b))).collect();
    format!("{}; {}", files.join(" "), gaps.join(", "))
}

fn run(mode: RecordMode, script: &str) -> World {
    let mut w = World::new(config(mode));
    for word in script.split_ascii_whitespace() {
        let number = word.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '+').parse::<i64>();
        match (word, number) {
            ("e", _) => w.start_event(),
            ("m", _) => w.continue_event(),
            ("E", _) => w.end_event(w.now.mono + Duration::from_secs(2)),
            ("x", _) => w.end_event(w.now.mono),
            ("o", _) => w.end_event(w.last_motion + Duration::from_secs(2)),
            ("c", _) => w.next_chapter(),
            ("j", _) => w.gop(1_000, false),
            ("full", _) => w.disk.fault = Some(GapCause::DiskFull),
            ("bad", _) => w.disk.fault = Some(GapCause::DiskError),
            ("well", _) => w.disk.fault = None,
            ("busy", _) => w.disk.refuses_gaps = true,
            ("free", _) => w.disk.refuses_gaps = false,
            ("large", _) => w.part_bytes = 20 << 20,
            ("small", _) => w.part_bytes = 1,
            ("size", _) => w.format.picture += 1,
            ("sound", _) => w.format.sound = true,
            ("cut", _) => w.feed(Input::CutOff),
            (_, Ok(n)) => match word.as_bytes()[0] {
                b'r' => (0..n).for_each(|_| w.gop(1_000, true)),
                b'p' => (0..n).for_each(|_| w.part(1_000, true, false)),
                b'n' => w.starve(n * 1_000),
                b'l' => w.pass(n * 1_000),
                b's' => w.silence(n * 1_000),
                b'u' => w.unusable(n * 1_000),
                b'+' | b'-' => w.now.utc.0 += n * 1_000_000,
                _ => panic!("`{word}` is no word of a script"),
            },
            _ => panic!("`{word}` is no word of a script"),
        }
    }
    w.feed(Input::Stop);
    w
}

#[track_caller]
fn check(mode: RecordMode, cases: &[(&str, &str)]) {
    for (script, want) in cases {
        assert_eq!(play(mode, script), *want, "{script}");
    }
}

#[test]
fn pauses() {
    check(
        RecordMode::Continuous,
        &[
            ("r4 full r7 well r9", "0-4 14-20; DiskFull 4-14"),
            // Tried every five seconds, and each time in vain.
            ("r4 bad r27 well r9", "0-4 34-40; DiskError 4-34"),
            // The first cause stays.
            ("r4 full r7 bad r7 well r9", "0-4 19-27; DiskFull 4-19"),
            // The camera goes away and comes back while the disk is full.
            ("r4 full r2 s8 r2 well r9", "0-4 19-25; DiskFull 4-19"),
            // Full from the first moment, and to the last.
            ("full r4 s2", "; DiskFull 0-6"),
            ("r4 full r9 s90", "0-4; DiskFull 4-103"),
            // Full only when the file is closed: what is in it is there.
            ("r10 full r3 well r9", "0-10 15-22; DiskFull 10-15"),
        ],
    );
    check(
        RecordMode::Motion,
        &[
            // The pre-roll that was in memory is gone after a pause.
            ("r5 full e r4 well r4 E r4", "9-15#1; NoMotion 0-2, DiskFull 2-9, NoMotion 15-17"),
            // A disk that was full is asked whether it is well while nothing moves.
            ("r5 e full r4 E r4 well r12", "2-5#1; NoMotion 0-2, DiskFull 5-15, NoMotion 15-25"),
        ],
    );
}

#[test]
fn a_disk_that_is_tried_in_vain_is_news_once() {
    let w = run(RecordMode::Continuous, "r4 bad r27 well r9 full r9 s9 r2");
    assert_eq!((w.news, w.disk.failures > 6), (2, true), "{} failures", w.disk.failures);
    // Probed while nothing moves.
    let w = run(RecordMode::Motion, "r5 e full r4 E r20 well r12");
    assert_eq!((w.news, w.disk.failures > 3), (1, true), "{} failures", w.disk.failures);
}

#[test]
fn marks_while_paused_are_kept() {
    let (cont, motion) = (RecordMode::Continuous, RecordMode::Motion);
    // Started and ended in the pause: nothing is its own. The next is recorded as ever.
    check(cont, &[("r4 full r2 e r1 x r1 well r9 e r3 x r4", "0-4 9-14 14-19#2 19-20#2 20-24; DiskFull 4-9")]);
    // Started in it and still going.
    check(cont, &[("r4 full r2 e r2 m well r2 m r2 m r2 x r4", "0-4 9-14#1 14-18; DiskFull 4-9")]);
    // Going before, in it and after it.
    check(
        motion,
        &[(
            "r4 e r2 m full r2 m r2 m well r2 m r2 m r2 x r4",
            "1-6#1 11-16#1; NoMotion 0-1, DiskFull 6-11, NoMotion 16-20",
        )],
    );
    // Cut into chapters in it.
    check(cont, &[("r4 e r2 m full r2 c m r2 m well r2 m r2 x r4", "0-1 1-6#1 11-14#2 14-18; DiskFull 6-11")]);
}

#[test]
fn silence() {
    check(
        RecordMode::Continuous,
        &[
            ("s7 r3 s12 r3", "7-10 22-25; CameraUnavailable 0-7, CameraUnavailable 10-22"),
            // Too short to be silence, but a hole that its end explains: the source said that it broke off.
            ("r3 j s3 r3", "0-4 7-10; CameraUnavailable 4-7"),
            ("r3 s600", "0-3; CameraUnavailable 3-603"),
            ("s3", "; CameraUnavailable 0-3"),
        ],
    );
    check(
        RecordMode::Motion,
        &[
            ("r6 s9 r6", "; NoMotion 0-6, CameraUnavailable 6-15, NoMotion 15-21"),
            ("r6 j s2 r6", "; NoMotion 0-7, CameraUnavailable 7-9, NoMotion 9-15"),
            // Silent in a tail that goes when the event ends.
            ("r6 e r4 s9 o r6", "3-8#1; NoMotion 0-3, NoMotion 8-10, CameraUnavailable 10-19, NoMotion 19-25"),
        ],
    );
}

#[test]
fn gops_that_are_lost_on_the_way() {
    check(RecordMode::Continuous, &[("r4 l3 r4", "0-4 7-11; DiskError 4-7")]);
    check(RecordMode::Motion, &[("r4 l3 r4", "; NoMotion 0-4, DiskError 4-7, NoMotion 7-11")]);
    // The recorder was cut off, in an event, and is run again.
    check(RecordMode::Continuous, &[("r4 e r1 m j cut l9 r1 m r2 x r2", "0-1 1-6#1 15-18#1 18-20; DiskError 6-15")]);
    let w = run(RecordMode::Continuous, "r4 l3 r2");
    let said: Vec<_> = w.disk.published.iter().map(|s| (s.state, s.reason.as_str())).collect();
    assert_eq!(said.last(), Some(&(RecordingState::Waiting, "waiting for a picture")), "{said:?}");
    assert!(said.contains(&(RecordingState::Recording, "the disk does not keep up: 3 s were lost")), "{said:?}");
    // It is not said for ever.
    let w = run(RecordMode::Continuous, "r4 l3 r70");
    let plain = |s: &RecordingStatus| s.state == RecordingState::Recording && s.reason.is_empty();
    assert_eq!(w.disk.published.iter().filter(|s| plain(s)).count(), 2, "{:?}", w.disk.published);
}

#[test]
fn pictures_that_cannot_be_written() {
    check(
        RecordMode::Continuous,
        &[("r4 u50 r4", "0-4 54-58; Unrecordable 4-54"), ("u50 l7 u50 s2", "; Unrecordable 0-109")],
    );
    check(RecordMode::Motion, &[("r4 u50 r4", "; NoMotion 0-4, Unrecordable 4-54, NoMotion 54-58")]);
    check(RecordMode::Continuous, &[("r4 full r2 u3 well r9", "0-4 9-18; DiskFull 4-9")]);
    let w = run(RecordMode::Continuous, &format!("r4{}", " u2".repeat(200)));
    assert_eq!(w.disk.merged_gaps(), [(4_000, 404_000, GapCause::Unrecordable)]);
    assert!(w.disk.gaps.len() <= 8, "a card wears: {:?}", w.disk.gaps);
    let w = run(RecordMode::Continuous, "r4 u50");
    let why = "the keyframe has no SPS".into();
    let want = RecordingStatus { state: RecordingState::Paused, reason: why, is_unrecordable: true };
    assert!(w.disk.published.contains(&want), "{:?}", w.disk.published);
}

#[test]
fn long_groups_of_pictures() {
    check(
        RecordMode::Continuous,
        &[
            // A file ends where the next can begin.
            ("r1 p14 r1 p4 r4", "0-15 15-24; "),
            // An event's file begins with the group of pictures from memory, the one after it with the next.
            ("r4 p4 e p2 x p4 r4", "0-3 3-14#1 14-18; "),
            ("r1 p7 e p2 x p4 r4 r1", "0-14#1 14-19; "),
            // Two events in one: the first one's file has both.
            ("r1 p7 e p2 x p4 e p2 x p2 r2", "0-18#1 18-20; "),
            // What the memory does not hold cannot begin a file: the event's pictures are in the one that is open.
            ("large r1 p7 e p2 small x p4 r4 r1", "0-14 14-19; "),
            // Set in one: it goes on to its end under its own time.
            ("r1 p7 +30 p4 r4", "0-12 42-46; BoxOff 12-30"),
            // The disk was full in one: what follows waits for the next.
            ("r1 p4 full p6 well p8 r4", "0-5 19-23; DiskFull 5-15, Unrecordable 15-19"),
            // Parts of one were lost.
            ("r1 p4 l3 p8 r4", "0-5 16-20; DiskError 5-8, Unrecordable 8-16"),
        ],
    );
    check(
        RecordMode::Motion,
        &[
            // The group of pictures with the pre-roll, and the rest of the one that the event ends in.
            ("r1 p7 e p2 x p4 r4", "0-14#1; NoMotion 0-1, NoMotion 14-18"),
            // An event in the rest of the one before has its pictures there.
            ("r1 p7 e p2 x p4 e p2 x p2 r4", "0-18#1; NoMotion 0-1, NoMotion 18-22"),
            // The memory does not hold one: it is said, and recorded from the next on.
            ("large r1 p7 e p4 m small r1 p2 x p4 r4", "12-19#1; NoMotion 0-8, Unrecordable 8-12, NoMotion 19-23"),
        ],
    );
    let w = run(RecordMode::Motion, "large r1 p7 e p4");
    let said = w.disk.published.iter().find(|s| s.is_unrecordable).expect("it is said");
    assert!(said.reason.contains("wait for the next one"), "{said:?}");
}

#[test]
fn a_second_keyframe_that_never_comes_makes_no_file_without_end() {
    check(RecordMode::Continuous, &[("r1 p6000", "0-5400; Unrecordable 5400-6001")]);
    let w = run(RecordMode::Continuous, "r1 p6000");
    let notes = w.disk.gaps.len();
    assert!(notes <= 12, "a card wears: {notes}");
}

#[test]
fn a_camera_without_keyframes_is_never_well() {
    check(
        RecordMode::Continuous,
        &[("n40", "; CameraUnavailable 0-30, Unrecordable 30-40"), ("r4 n50 r4", "0-4 54-58; Unrecordable 4-54")],
    );
    check(RecordMode::Motion, &[("r4 n50 r4", "; NoMotion 0-4, Unrecordable 4-54, NoMotion 54-58")]);
    check(RecordMode::Off, &[("n50", "; RecordingOff 0-50")]);
    let w = run(RecordMode::Continuous, "r4 n40");
    let is_said =
        |s: &RecordingStatus| s.state == RecordingState::Paused && s.is_unrecordable && s.reason.contains("keyframe");
    assert!(w.disk.published.iter().any(is_said), "{:?}", w.disk.published);
    // A picture each five seconds is well.
    let w = run(RecordMode::Continuous, "r1 n4 r1 n4 r1 n4 r1");
    assert!(w.disk.published.iter().all(|s| s.state != RecordingState::Paused), "{:?}", w.disk.published);
}

#[test]
fn clocks_that_are_set() {
    check(
        RecordMode::Continuous,
        &[
            // Forward: the box cannot have run in what was skipped before its start.
            ("r4 +30 r4", "0-4 34-38; BoxOff 4-30"),
            ("r40 +30 r4", "0-10 10-20 20-30 30-40 70-74; "),
            // Back: both passes are there.
            ("r20 -15 r4", "0-10 10-20 5-9; "),
            // Half a second is no set clock.
            ("r4 +0 r4", "0-8; "),
            // In a silence.
            ("r4 s8 +30 s8 r4", "0-4 50-54; CameraUnavailable 4-13, BoxOff 13-30, CameraUnavailable 34-50"),
            ("r4 s8 -30 s8 r4", "0-4 -10--6; CameraUnavailable -26--10, CameraUnavailable 4-13"),
            // In a pause.
            ("r4 full r2 +30 r5 well r4", "0-4 44-45; DiskFull 4-7, BoxOff 7-30, DiskFull 34-44"),
        ],
    );
    check(RecordMode::Off, &[("s9 +30 s9", "; RecordingOff 0-10, BoxOff 10-30, RecordingOff 30-48")]);
}

#[test]
fn off_notes_why_nothing_is_there_and_does_nothing_else() {
    check(RecordMode::Off, &[("r4 e r4 x s80 u3", "; RecordingOff 0-91")]);
    let w = run(RecordMode::Off, "r4 s200");
    let off = RecordingStatus::new(RecordingState::Off, "");
    assert_eq!(w.disk.published, [off]);
    assert!(w.recorder.is_off() && w.disk.gaps.len() <= 6, "a card wears: {:?}", w.disk.gaps);
}

#[test]
fn formats() {
    check(RecordMode::Continuous, &[("r4 size r4 sound r4", "0-4 4-8 8-12; ")]);
    // The pre-roll keeps to one format.
    check(RecordMode::Motion, &[("r4 size r2 e r2 x r4", "4-8#1; NoMotion 0-4, NoMotion 8-12")]);
}

#[test]
fn pictures_that_change_their_size_all_the_time_are_a_gap_with_a_sentence() {
    let mut w = World::new(config(RecordMode::Continuous));
    for _ in 0..3_000 {
        w.format.picture ^= 1;
        w.gop(10, false);
    }
    let said = w.disk.published.last().expect("said");
    assert!(said.reason.contains("change their size all the time") && said.is_unrecordable, "{said:?}");
    assert!(w.disk.published.len() <= 4 && w.disk.files.len() <= 10, "{:?}", w.disk.published);
    w.gop(1_000, true);
    w.gop(1_000, true);
    w.gop(1_000, true);
    assert_eq!(w.disk.published.last().map(|said| said.reason.as_str()), Some(""));
    let gaps: Vec<_> = w.disk.merged_gaps().iter().map(|gap| gap.2).collect();
    assert_eq!(gaps, [GapCause::Unrecordable]);
}

#[test]
fn gaps_that_the_database_refuses_are_entered_later() {
    let gaps = play(RecordMode::Continuous, "r4 busy l3 r4 s9 r4 l3 r4 free r80");
    let gaps = gaps.split_once("; ").expect("both").1;
    assert_eq!(gaps, "DiskError 4-7, CameraUnavailable 11-20, DiskError 24-27");
}

#[test]
fn a_disk_that_hangs_is_said_and_forgotten() {
    let mut w = World::new(config(RecordMode::Continuous));
    w.gop(1_000, true);
    let part = Part {
        start: w.now.mono,
        end: w.now.mono + Duration::from_secs(1),
        joined: true,
        starts: true,
        size_bytes: 1,
        format: w.format.clone(),
        payload: (),
    };
    let steps = w.recorder.handle(w.now, Input::Part(part));
    assert!(matches!(steps[..], [Step::Write(_)]), "{steps:?}");
    let hung = RecordingStatus::new(RecordingState::Paused, "the disk does not answer");
    assert_eq!(w.recorder.handle(w.now, Input::Hung), [Step::Publish(hung)]);
    assert_eq!(w.recorder.handle(w.now, Input::Hung), []);
    let well = RecordingStatus::new(RecordingState::Recording, "");
    assert_eq!(w.recorder.handle(w.now, Input::Wrote), [Step::Publish(well)]);
}

#[test]
fn a_gap_that_goes_on_is_entered_once_a_minute() {
    let w = run(RecordMode::Continuous, "r4 s600");
    let notes = w.disk.gaps.iter().filter(|g| g.2 == GapCause::CameraUnavailable).count();
    assert!((10..=12).contains(&notes), "{notes}");
}
