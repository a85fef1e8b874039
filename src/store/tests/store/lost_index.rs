//! A start without an index: the box is there at once, records, and takes its old files in beside that, the newest first.
//! `PERCH_TEST_LONG=1` does it with 100,000 files and prints what it took.

#![allow(clippy::print_stdout, reason = "measurements are printed")]

use crate::common::*;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::archive::{GapCause, Segment};
use perch_domain::ports::ArchivePort;
use perch_store::Store;
use std::fs;
use std::time::{Duration, Instant};

/// Files of one minute each, and how many a folder of a day holds.
fn amount() -> (i64, i64) {
    if std::env::var("PERCH_TEST_LONG").is_ok_and(|v| v == "1") { (100_000, 1_440) } else { (600, 50) }
}

const DAY_US: i64 = 86_400_000_000;

fn forget_the_index(b: &TestStore) {
    for name in ["perch.db", "perch.db-wal", "perch.db-shm"] {
        let _ = fs::remove_file(b.data().join(name));
    }
}

/// A box whose clock is at `s(100)`, with so many older files and no index. The files are links to a few, so that a disk holds them.
fn box_without_index(files: i64, a_day: i64) -> TestStore {
    let b = TestStore::new();
    let store = b.open();
    let originals: Vec<_> = (0..files / 50_000 + 1)
        .map(|n| {
            record(&store, 0..1, None);
            let name = b.files().remove(0);
            let kept = b.dir.path().join(format!("original-{n}"));
            fs::rename(&name, &kept).expect("moved");
            kept
        })
        .collect();
    drop(store);
    for n in 0..files {
        let (day, minute) = (n / a_day + 1, n % a_day);
        let start = s(-3600.0).plus_micros(-day * DAY_US + minute * DAY_US / a_day / 2);
        let (folder, time) = start.file_parts();
        let folder = b.data().join("recordings/front").join(folder);
        fs::create_dir_all(&folder).expect("made");
        fs::hard_link(&originals[(n / 50_000) as usize], folder.join(format!("{time}Z.mp4"))).expect("linked");
    }
    forget_the_index(&b);
    b
}

fn all(store: &Store) -> Vec<Segment> {
    let mut found = Vec::new();
    for days in -120..=0 {
        let from = s(0.0).plus_micros(days * DAY_US);
        let range = perch_domain::archive::TimeRange::new(from, from.plus_micros(DAY_US)).expect("in order");
        found.extend(store.recordings().segments(&camera(), range).expect("asked"));
    }
    found.dedup_by_key(|s| s.id);
    found
}

#[test]
fn the_box_records_at_once_and_takes_the_rest_in_beside_that() {
    let (files, a_day) = amount();
    let b = box_without_index(files, a_day);
    let begin = Instant::now();
    let store = b.start();
    let opened = begin.elapsed();
    assert_eq!(store.recordings().open_report().adopted, 0, "nothing is taken in before the box is there");
    assert_eq!(store.recordings().disk().taking_in.map(|t| t.files_done), Some(0));
    record(&store, 0..2, None);
    let mut writer = store.recordings().create_segment(&camera(), s(99.0), None, &format(clip())).expect("created");
    writer.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    let recording = begin.elapsed();
    println!("{files} files: open after {opened:?}, recording after {recording:?}");
    assert!(opened < Duration::from_secs(3) && recording < Duration::from_secs(5), "{opened:?}, {recording:?}");

    // The newest first: some steps into it, yesterday is there and the oldest day is not.
    let mut steps = 0;
    while store.recordings().open_report().adopted < 64 {
        assert!(store.recordings().reconcile_step().expect("compared"));
        steps += 1;
    }
    assert!(steps < 9, "{steps} steps until the first files are there");
    let oldest = |found: &[Segment]| found.iter().map(|x| x.start).min().expect("some");
    assert!(oldest(&all(&store)) > s(-3600.0).plus_micros(-3 * DAY_US), "{:?}", oldest(&all(&store)));
    let taking_in = store.recordings().disk().taking_in.expect("not done");
    assert!(taking_in.files_total > files as u64 && taking_in.files_done < taking_in.files_total, "{taking_in:?}");

    // Killed in the middle, with a file open.
    drop(writer);
    let so_far = store.recordings().open_report().adopted;
    drop(store);
    let store = b.start();
    assert!(store.recordings().disk().taking_in.is_some() && all(&store).len() as u64 >= so_far);
    let mut writer = store.recordings().create_segment(&camera(), s(99.5), None, &format(clip())).expect("created");
    writer.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    let begin = Instant::now();
    let report = store.recordings().reconcile().expect("compared");
    println!("the rest was taken in within {:?}", begin.elapsed());
    assert_eq!((report.adopted, report.lost, report.quarantined), (files as u64 - so_far, 0, 0), "{report:?}");
    assert_eq!(store.recordings().disk().taking_in, None);
    writer.write_fragment(MonoTime(0), &gop(clip(), 1, MonoTime(0))).expect("it was left alone");
    assert_eq!(writer.seal().expect("sealed").fragments.len(), 2);
    assert_eq!(all(&store).len() as i64, files + 3, "each once, the file that the kill left too");
}

#[test]
fn the_time_the_box_was_off_is_reported_without_an_index_too() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..4, None);
    drop(store);
    forget_the_index(&b);
    let store = b.start();
    record(&store, 5..6, None);
    store.recordings().reconcile().expect("compared");
    let timeline = store.recordings().timeline(&camera(), range(0.0, 200.0), s(150.0)).expect("timeline");
    let gap = timeline.gaps.iter().find(|g| g.cause == GapCause::BoxOff).expect("reported");
    assert_eq!((gap.start, gap.end), (s(6.0), s(100.0)));
}

#[test]
fn files_of_an_index_that_is_there_are_left_as_they_are_while_the_box_runs() {
    let b = TestStore::new();
    let store = b.open();
    let old: Vec<_> = (0..4).map(|n| record(&store, n..n + 1, None).id).collect();
    drop(store);
    let store = b.start();
    // Between the start and the comparison: one is deleted, one is recorded and sealed, and its file is then lost.
    store.recordings().discard_segments(&old[..1]).expect("deleted");
    record(&store, 6..7, None);
    fs::remove_file(b.files().pop().expect("the new one")).expect("removed");
    assert_eq!(
        store.recordings().reconcile().expect("compared"),
        Default::default(),
        "what is newer than the start is its own"
    );
}

#[test]
fn a_folder_that_is_a_link_is_not_followed_though_rows_name_it() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..1, None);
    drop(store);
    let day = b.files()[0].parent().expect("a day").to_owned();
    let outside = b.dir.path().join("outside");
    fs::rename(&day, &outside).expect("moved");
    std::os::unix::fs::symlink(&outside, &day).expect("linked");
    let store = b.open();
    assert_eq!((store.recordings().open_report().lost, store.recordings().open_report().adopted), (1, 0));
    assert_eq!(fs::read_dir(outside).expect("there").count(), 1);
}

#[test]
fn what_a_question_finds_grows_with_what_is_taken_in() {
    let b = box_without_index(130, 26);
    let store = b.start();
    let mut found = Vec::new();
    while store.recordings().reconcile_step().expect("compared") {
        let now = all(&store);
        assert!(now.len() >= found.len());
        // Nothing between two that are known is missing: it grows at its old end only.
        let newest = |f: &[Segment]| f.iter().map(|x| x.start).max();
        assert!(found.is_empty() || newest(&found) == newest(&now));
        found = now;
    }
    assert_eq!(all(&store).len(), 130);
    let oldest: Option<Timestamp> = all(&store).first().map(|x| x.start);
    assert!(oldest < Some(s(0.0).plus_micros(-4 * DAY_US)));
}
