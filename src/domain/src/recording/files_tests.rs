//! Which GOP goes into which file, with a disk that only remembers.

use super::files::{FileStep, Files};
use super::model::config;
use super::{EventMark, Fate, Format, Part, RecordConfig, RecordMode};
use perch_base::ids::EventId;
use perch_base::time::MonoTime;
use proptest::prelude::*;
use std::time::Duration;

fn s(n: i64) -> MonoTime {
    MonoTime(n * 1_000_000)
}

fn gop(n: i64) -> Part<i64, u8> {
    let format = Format { picture: 0, sound: false };
    Part { start: s(n), end: s(n + 1), joined: true, starts: true, size_bytes: 1, format, payload: n }
}

/// The files that begin while the picture has another format every `ms` for a minute, and how much of it is in them, ms.
fn restless(ms: i64) -> (usize, i64) {
    let mut files = Files::new(config(RecordMode::Continuous));
    let (mut opened, mut written) = (0, 0);
    for n in 0..60_000 / ms {
        let at = |n: i64| MonoTime(n * ms * 1_000);
        let format = Format { picture: (n % 2) as u8, sound: false };
        let part =
            Part { start: at(n), end: at(n + 1), joined: false, starts: true, size_bytes: 1, format, payload: n };
        for step in files.part(part) {
            opened += usize::from(matches!(step, FileStep::Open { .. }));
            written += if matches!(step, FileStep::Write(_)) { ms } else { 0 };
        }
    }
    (opened, written)
}

#[test]
fn a_picture_that_changes_all_the_time_makes_no_files_without_end() {
    assert_eq!(restless(10).0, 10, "each 10 ms");
    assert_eq!(restless(900).0, 10, "more than one a second");
    assert_eq!(restless(1_200), (50, 60_000), "less than one a second");
    assert_eq!(restless(4_000), (15, 60_000), "as some cameras do");
    // One that settles is recorded again after a moment.
    let mut files = Files::new(config(RecordMode::Continuous));
    let mut wrote = |n: i64, picture| {
        let (start, end) = (MonoTime(n * 250_000), MonoTime((n + 1) * 250_000));
        let format = Format { picture, sound: false };
        let part = Part { start, end, joined: true, starts: true, size_bytes: 1, format, payload: n };
        files.part(part).iter().any(|step| matches!(step, FileStep::Write(_)))
    };
    let written: Vec<_> = (0..20).map(|n| wrote(n, (n % 2) as u8)).collect();
    assert_eq!(written.iter().filter(|written| **written).count(), 10);
    let written: Vec<_> = (20..28).map(|n| wrote(n, 7)).collect();
    assert_eq!(written, [false, false, false, false, true, true, true, true]);
}

fn started(id: EventId, start: MonoTime) -> EventMark {
    EventMark::Started { id, start }
}

fn continues(id: EventId, until: MonoTime) -> EventMark {
    EventMark::Continues { id, until }
}

fn ended(id: EventId, end: MonoTime) -> EventMark {
    EventMark::Ended { id, end }
}

/// The files as the shell would leave them: (event, seconds).
#[derive(Default, Debug)]
struct Disk(Vec<(Option<EventId>, Vec<i64>)>, usize);

impl Disk {
    fn obey(&mut self, steps: Vec<FileStep<i64, u8>>) {
        for step in steps {
            match step {
                FileStep::Open { event, tail, .. } => {
                    self.0.push((event, vec![]));
                    self.1 += usize::from(tail);
                }
                FileStep::Tail(fate) => {
                    let first = self.0.len() - std::mem::take(&mut self.1);
                    match fate {
                        Fate::Claimed(id) => self.0[first..].iter_mut().for_each(|f| f.0 = Some(id)),
                        Fate::Kept => {}
                        Fate::Discarded => self.0.truncate(first),
                    }
                }
                FileStep::Write(g) => self.0.last_mut().expect("a file is open").1.push(g.payload),
                FileStep::Seal => {}
                FileStep::Trim { at } => {
                    let last = self.0.len() - 1;
                    for (_, f) in &mut self.0[..last] {
                        f.retain(|n| s(*n) < at);
                    }
                    let newest = self.0.pop().expect("the event's file");
                    self.0.retain(|(_, f)| !f.is_empty());
                    self.0.push(newest);
                }
            }
        }
    }
}

#[test]
fn an_end_that_was_known_half_a_second_late_does_not_take_the_tail() {
    let end_at = |end: MonoTime| {
        let mut r = Files::new(config(RecordMode::Motion));
        let mut disk = Disk::default();
        for n in 0..5 {
            disk.obey(r.part(gop(n)));
        }
        disk.obey(r.mark(started(EventId(1), s(4))));
        disk.obey(r.mark(continues(EventId(1), s(7))));
        for n in 5..12 {
            disk.obey(r.part(gop(n)));
        }
        disk.obey(r.mark(ended(EventId(1), end)));
        disk.obey(r.part(gop(12)));
        disk.0.into_iter().map(|(_, seconds)| seconds).collect::<Vec<_>>()
    };
    assert_eq!(end_at(MonoTime(7_500_000)), [(1..7).collect::<Vec<_>>()]);
    assert_eq!(
        end_at(s(9)),
        [(1..7).collect::<Vec<_>>(), (7..12).collect()],
        "motion that was not said when it was seen"
    );
}

#[test]
fn continuous_files_are_full_length_and_abut() {
    let mut r = Files::new(config(RecordMode::Continuous));
    let mut disk = Disk::default();
    for n in 0..25 {
        disk.obey(r.part(gop(n)));
    }
    let want: Vec<(Option<EventId>, Vec<i64>)> =
        vec![(None, (0..10).collect()), (None, (10..20).collect()), (None, (20..25).collect())];
    assert_eq!(disk.0, want);
}

#[test]
fn an_event_takes_its_pre_roll_out_of_the_file_before() {
    let mut r = Files::new(config(RecordMode::Continuous));
    let mut disk = Disk::default();
    for n in 0..8 {
        disk.obey(r.part(gop(n)));
    }
    disk.obey(r.mark(started(EventId(1), MonoTime(7_500_000))));
    for n in 8..10 {
        disk.obey(r.part(gop(n)));
    }
    disk.obey(r.mark(ended(EventId(1), s(11))));
    for n in 10..14 {
        disk.obey(r.part(gop(n)));
    }
    let want =
        vec![(None, (0..4).collect::<Vec<_>>()), (Some(EventId(1)), (4..11).collect()), (None, (11..14).collect())];
    assert_eq!(disk.0, want);
}

#[test]
fn pre_roll_may_reach_into_a_sealed_file() {
    let mut r = Files::new(config(RecordMode::Continuous));
    let mut disk = Disk::default();
    for n in 0..12 {
        disk.obey(r.part(gop(n)));
    }
    disk.obey(r.mark(started(EventId(1), s(12))));
    let want: Vec<(Option<EventId>, Vec<i64>)> = vec![(None, (0..9).collect()), (Some(EventId(1)), (9..12).collect())];
    assert_eq!(disk.0, want);
}

#[test]
fn motion_mode_writes_only_around_events() {
    let mut r = Files::new(config(RecordMode::Motion));
    let mut disk = Disk::default();
    for n in 0..20 {
        disk.obey(r.part(gop(n)));
    }
    assert!(disk.0.is_empty() && !r.is_open());
    disk.obey(r.mark(started(EventId(1), s(20))));
    disk.obey(r.mark(ended(EventId(1), s(23))));
    for n in 20..30 {
        disk.obey(r.part(gop(n)));
    }
    assert_eq!(disk.0, vec![(Some(EventId(1)), (17..23).collect::<Vec<_>>())]);
}

#[test]
fn a_second_event_in_the_post_roll_leaves_the_first_its_motion() {
    let mut r = Files::new(config(RecordMode::Motion));
    let mut disk = Disk::default();
    for n in 0..10 {
        disk.obey(r.part(gop(n)));
    }
    disk.obey(r.mark(started(EventId(1), s(10))));
    disk.obey(r.part(gop(10)));
    disk.obey(r.mark(ended(EventId(1), s(13)))); // last motion at 11
    disk.obey(r.part(gop(11)));
    disk.obey(r.part(gop(12)));
    disk.obey(r.mark(started(EventId(2), MonoTime(12_500_000))));
    disk.obey(r.part(gop(13)));
    let want = vec![(Some(EventId(1)), (7..11).collect::<Vec<_>>()), (Some(EventId(2)), (11..14).collect())];
    assert_eq!(disk.0, want);
}

/// An event with motion at 10 and 11, and at `again`; its gap (6 s) is longer than its post-roll (2 s). Its end is reported late.
fn long_gap(mode: RecordMode, again: Option<i64>) -> Vec<(Option<EventId>, Vec<i64>)> {
    let mut r = Files::new(RecordConfig { gap: Duration::from_secs(6), ..config(mode) });
    let mut disk = Disk::default();
    let mut last = 11;
    for n in 0..24 {
        match n {
            10 => disk.obey(r.mark(started(EventId(1), s(10)))),
            11 => disk.obey(r.mark(continues(EventId(1), s(13)))),
            n if Some(n) == again => {
                last = n;
                disk.obey(r.mark(continues(EventId(1), s(n + 2))));
            }
            n if n == last + 6 => disk.obey(r.mark(ended(EventId(1), s(last + 2)))),
            _ => {}
        }
        disk.obey(r.part(gop(n)));
    }
    disk.0
}

#[test]
fn an_events_files_end_with_its_post_roll_although_its_end_is_reported_after_the_gap() {
    let event = Some(EventId(1));
    assert_eq!(long_gap(RecordMode::Motion, None), vec![(event, (7..13).collect::<Vec<_>>())]);
    let want = vec![(None, (0..7).collect::<Vec<_>>()), (event, (7..13).collect()), (None, (13..23).collect())];
    assert_eq!(long_gap(RecordMode::Continuous, None)[..3], want);
}

#[test]
fn motion_within_the_gap_claims_what_was_written_meanwhile() {
    let event = Some(EventId(1));
    let want = vec![(event, (7..13).collect::<Vec<_>>()), (event, (13..18).collect())];
    assert_eq!(long_gap(RecordMode::Motion, Some(16)), want);
    let all = long_gap(RecordMode::Continuous, Some(16));
    assert_eq!(all[1..3], want);
    assert_eq!(all.iter().map(|f| f.1.len()).sum::<usize>(), 24);
}

#[test]
fn after_a_break_nothing_old_is_written() {
    let mut r = Files::new(config(RecordMode::Motion));
    for n in 0..5 {
        assert!(r.part(gop(n)).is_empty());
    }
    assert!(r.interrupt().is_empty());
    assert!(r.mark(started(EventId(1), s(5))).is_empty(), "nothing to write yet");
    assert!(matches!(r.part(gop(9))[..], [FileStep::Open { start, .. }, FileStep::Write(_)] if start == s(9)));
}

#[test]
fn a_file_does_not_span_lost_gops() {
    let mut r = Files::new(config(RecordMode::Continuous));
    let mut disk = Disk::default();
    for n in [0, 1, 4, 5] {
        disk.obey(r.part(gop(n)));
    }
    assert_eq!(disk.0, vec![(None, vec![0, 1]), (None, vec![4, 5])]);
}

/// The files after a script of GOPs and marks, each mark before the GOP of its number.
fn files(mode: RecordMode, gops: std::ops::Range<i64>, marks: &[(i64, EventMark)]) -> Vec<(Option<EventId>, Vec<i64>)> {
    let mut r = Files::new(config(mode));
    let mut disk = Disk::default();
    for n in gops {
        for (_, mark) in marks.iter().filter(|(at, _)| *at == n) {
            disk.obey(r.mark(*mark));
        }
        disk.obey(r.part(gop(n)));
    }
    disk.0
}

#[test]
fn chapters_of_a_long_event_join_at_a_keyframe_and_none_reaches_back() {
    let (one, two, three) = (EventId(1), EventId(2), EventId(3));
    let at = MonoTime(13_400_000);
    let marks = |cut: i64| {
        [
            (10, started(one, s(10))),
            (11, continues(one, s(13))),
            (12, continues(one, s(15))),
            (cut, ended(one, at)),
            (cut, started(two, at)),
            (cut + 1, continues(two, s(18))),
            (17, ended(two, s(17))),
            (17, started(three, s(17))),
            (18, ended(three, s(19))),
        ]
    };
    let chapters =
        vec![(Some(one), (7..14).collect::<Vec<_>>()), (Some(two), (14..17).collect()), (Some(three), vec![17, 18])];
    // Cut while the GOP goes on in which it is cut, when that was just written, and later: what was written since is taken back.
    for cut in [13, 14, 15] {
        assert_eq!(files(RecordMode::Motion, 0..22, &marks(cut)), chapters, "cut at {cut}");
        let all = files(RecordMode::Continuous, 0..22, &marks(cut));
        assert_eq!(all[1..4], chapters, "cut at {cut}");
        assert_eq!(all.iter().flat_map(|f| f.1.clone()).collect::<Vec<_>>(), (0..22).collect::<Vec<_>>());
    }
}

#[test]
fn a_chapter_that_is_cut_while_nothing_moves_keeps_what_came_since() {
    // Its post-roll was over at 13, so 13 and 14 lie in a tail; then it is cut at 15.
    let marks = [(10, started(EventId(1), s(10))), (11, continues(EventId(1), s(13))), (15, ended(EventId(1), s(15)))];
    let next = [(15, started(EventId(2), s(15))), (16, ended(EventId(2), s(17)))];
    let all = files(RecordMode::Motion, 0..22, &[&marks[..], &next].concat());
    let one = Some(EventId(1));
    assert_eq!(all, vec![(one, (7..13).collect()), (one, vec![13, 14]), (Some(EventId(2)), vec![15, 16])]);
}

#[test]
fn a_chapter_takes_over_what_was_written_since_the_post_roll_of_the_one_before() {
    // Cut at 12 only when it moves again at 16: the pause is shared, and longer than what is in memory.
    let (one, two) = (EventId(1), EventId(2));
    let marks = [(10, started(one, s(10))), (11, continues(one, s(13)))];
    let next =
        [(22, ended(one, s(12))), (22, started(two, s(12))), (22, continues(two, s(24))), (25, ended(two, s(24)))];
    let all = files(RecordMode::Motion, 0..30, &[&marks[..], &next].concat());
    assert_eq!(all, vec![(Some(one), (7..13).collect()), (Some(two), (13..23).collect()), (Some(two), vec![23])]);
}

#[test]
fn marks_that_come_long_before_their_pictures_make_the_same_files() {
    for mode in [RecordMode::Motion, RecordMode::Continuous] {
        let in_time = [
            (10, started(EventId(1), s(10))),
            (12, ended(EventId(1), s(13))),
            (18, started(EventId(2), s(18))),
            (19, ended(EventId(2), s(22))),
            (22, started(EventId(3), s(22))),
            (23, ended(EventId(3), s(25))),
        ];
        let at_once = in_time.map(|(_, mark)| (4, mark));
        assert_eq!(files(mode, 0..40, &at_once), files(mode, 0..40, &in_time), "{mode:?}");
    }
}

#[test]
fn an_event_within_one_gop_has_that_gop() {
    let at = |ms: i64| MonoTime(ms * 1000);
    let mut r =
        Files::new(RecordConfig { post_roll: Duration::ZERO, pre_roll: Duration::ZERO, ..config(RecordMode::Motion) });
    let mut disk = Disk::default();
    for n in 0..8 {
        if n == 4 {
            disk.obey(r.mark(started(EventId(1), at(4_200))));
            disk.obey(r.mark(ended(EventId(1), at(4_300))));
            disk.obey(r.mark(started(EventId(2), at(4_600))));
            disk.obey(r.mark(ended(EventId(2), at(4_700))));
        }
        disk.obey(r.part(gop(n)));
    }
    assert_eq!(disk.0.iter().flat_map(|f| f.1.clone()).collect::<Vec<_>>(), [4], "{:?}", disk.0);
}

#[test]
fn another_picture_or_sound_that_begins_has_a_file_of_its_own() {
    let formats = [(0, false), (0, false), (0, true), (0, true), (0, false), (1, true), (1, true), (1, false)];
    let mut r = Files::new(config(RecordMode::Continuous));
    let mut disk = Disk::default();
    let mut opened = Vec::new();
    for (n, (picture, sound)) in formats.into_iter().enumerate() {
        let steps = r.part(Part { format: Format { picture, sound }, ..gop(n as i64) });
        let open = |step: &FileStep<i64, u8>| match step {
            FileStep::Open { format, .. } => Some((format.picture, format.sound)),
            _ => None,
        };
        opened.extend(steps.iter().filter_map(open));
        disk.obey(steps);
    }
    // Sound that pauses (4) or ends (7) stays in its file.
    assert_eq!(disk.0.into_iter().map(|f| f.1).collect::<Vec<_>>(), [vec![0, 1], vec![2, 3, 4], vec![5, 6, 7]]);
    assert_eq!(opened, [(0, false), (0, true), (1, true)]);
}

#[test]
fn the_pre_roll_does_not_mix_formats() {
    let mut r = Files::new(config(RecordMode::Motion));
    let mut disk = Disk::default();
    for n in 0..8 {
        disk.obey(r.part(Part { format: Format { picture: u8::from(n >= 6), sound: false }, ..gop(n) }));
    }
    disk.obey(r.mark(started(EventId(1), s(8))));
    assert_eq!(disk.0, vec![(Some(EventId(1)), vec![6, 7])]);
}

proptest! {
    /// Whatever events come, and wherever keyframes are: in continuous mode every part is on the disk exactly once, in order, and each file
    /// begins with a keyframe.
    #[test]
    fn continuous_never_loses_nor_doubles(marks in proptest::collection::vec(0u8..4, 1..120), gop_parts in 1i64..20) {
        let mut r = Files::new(config(RecordMode::Continuous));
        let mut disk = Disk::default();
        let mut running = None;
        for (n, mark) in marks.iter().enumerate() {
            let n = n as i64;
            match (mark, running) {
                (1, None) => {
                    disk.obey(r.mark(started(EventId(n + 1), s(n))));
                    running = Some(EventId(n + 1));
                }
                (2, Some(id)) => {
                    // Reported in time, or only when it has long passed.
                    disk.obey(r.mark(ended(id, s(n + if id.0 % 2 == 0 { 2 } else { -2 }))));
                    running = None;
                }
                (3, Some(id)) => disk.obey(r.mark(continues(id, s(n + 2)))),
                _ => {}
            }
            disk.obey(r.part(Part { starts: n % gop_parts == 0, ..gop(n) }));
        }
        prop_assert!(disk.0.iter().all(|(_, f)| f[0] % gop_parts == 0), "{:?}", disk);
        let all: Vec<i64> = disk.0.iter().flat_map(|(_, f)| f.clone()).collect();
        prop_assert_eq!(all, (0..marks.len() as i64).collect::<Vec<_>>());
    }
}
