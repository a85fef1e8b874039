//! Starts after power cuts, damage and tampering: everything whole is kept and plays, nothing outside is touched.

use crate::common::*;
use perch_base::ErrorKind;
use perch_base::time::MonoTime;
use perch_domain::access::{Grant, Role};
use perch_domain::archive::{GapCause, SegmentState};
use perch_domain::ports::{AccessPort, ArchivePort};
use perch_store::Store;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;

/// An unsealed file of `seconds`, as a crash leaves it.
fn crash(store: Store, seconds: std::ops::Range<usize>) {
    let start = seconds.start as i64 * 1_000_000;
    let mut writer =
        store.recordings().create_segment(&camera(), s(seconds.start as f64), None, &format(clip())).expect("created");
    for n in seconds {
        writer.write_fragment(MonoTime(start), &gop(clip(), n, MonoTime(0))).expect("written");
    }
}

#[test]
fn an_open_file_is_cut_to_its_last_whole_fragment_wherever_the_power_went() {
    let whole = TestStore::new();
    let store = whole.open();
    let boundaries: Vec<u64> = {
        let segment = record(&store, 0..5, None);
        segment.fragments.iter().map(|f| f.offset_bytes + f.size_bytes).collect()
    };
    let size = *boundaries.last().expect("five");
    let mut dice = Dice(7);
    let mut offsets: Vec<u64> = (0..30).map(|_| dice.below(size + 1)).collect();
    offsets.extend([0, 1, 7, 8, 40, boundaries[0] - 1, boundaries[0], boundaries[0] + 1, boundaries[3], size]);
    for at in offsets {
        let b = TestStore::new();
        crash(b.open(), 0..5);
        let file = b.files().remove(0);
        OpenOptions::new().write(true).open(&file).expect("open").set_len(at).expect("cut");
        let store = b.open();
        let want = boundaries.iter().filter(|b| **b <= at).count();
        let found = store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked");
        if want == 0 {
            assert!(found.is_empty() && b.files().is_empty(), "cut at {at}: nothing whole, nothing left");
            assert_eq!(b.quarantined(), 0, "cut at {at}");
            continue;
        }
        assert_eq!(
            (found.len(), found[0].fragments.len(), found[0].state),
            (1, want, SegmentState::Sealed),
            "cut at {at}"
        );
        assert_eq!((found[0].end, found[0].size_bytes), (s(want as f64), boundaries[want - 1]));
        assert_eq!(b.quarantined(), 0, "cut at {at}: a power cut is no damage");
        let p = probe(&file);
        assert!(p.video == want as u64 * FPS as u64 && close(p.seconds, want as f64), "cut at {at}: {p:?}");
    }
}

#[test]
fn a_tail_of_zeros_is_cut_off() {
    for kept in [2, 0] {
        let b = TestStore::new();
        crash(b.open(), 0..3);
        let file = b.files().remove(0);
        let (keep, len) = {
            let data = fs::read(&file).expect("read");
            let mdats: Vec<_> = (0..data.len() - 4).filter(|i| data[*i..*i + 4] == *b"mdat").collect();
            (mdats[kept] as u64 + 4, data.len() as u64)
        };
        let f = OpenOptions::new().write(true).open(&file).expect("open");
        f.set_len(keep).and_then(|()| f.set_len(len)).expect("zeros");
        let store = b.open();
        let left = store.recordings().segments(&camera(), range(0.0, 9.0)).expect("asked");
        assert_eq!((left.iter().map(|x| x.fragments.len()).sum::<usize>(), b.quarantined()), (kept, 0));
        assert!(kept == 0 || probe(&file).video == 2 * FPS as u64);
    }
}

#[test]
fn a_file_that_is_cut_before_whole_fragments_is_kept_in_the_quarantine() {
    // Which fragment is damaged (of ten), and whether the index still knows the file.
    for (damaged, known) in [(4, false), (4, true), (8, false), (0, false), (0, true)] {
        let b = TestStore::new();
        let store = b.open();
        let segment = record(&store, 0..10, None);
        drop(store);
        let file = b.files().remove(0);
        let mut data = fs::read(&file).expect("read");
        data[segment.fragments[damaged].offset_bytes as usize + 5] ^= 1;
        if known {
            data.push(0);
        } else {
            fs::remove_file(b.data().join("perch.db")).expect("removed");
        }
        fs::write(&file, &data).expect("written");
        let (store, levels) = logged(|| b.open());
        let left = store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked");
        assert_eq!(left.iter().map(|x| x.fragments.len()).sum::<usize>(), damaged, "what comes before it");
        let kept = b.data().join("quarantine/front_2026-05-01_120000.250Z.mp4");
        assert_eq!(fs::read(&kept).expect("the file as it was"), data);
        assert!(levels.contains(&tracing::Level::ERROR), "a person may want to look: {levels:?}");
        let report = store.recordings().open_report();
        if damaged > 0 {
            assert_eq!((report.cut, report.quarantined, report.adopted), (1, 0, u64::from(!known)));
            assert_eq!(probe(&file).video, damaged as u64 * FPS as u64);
        } else {
            assert_eq!((report.cut, report.quarantined, b.files().len()), (0, 1, 0));
        }
    }
}

#[test]
fn what_goes_on_is_found_wherever_it_begins() {
    let b = TestStore::new();
    let store = b.open();
    let segment = record(&store, 0..3, None);
    drop(store);
    let file = b.files().remove(0);
    let data = fs::read(&file).expect("read");
    let (good, rest) = data.split_at(segment.fragments[2].offset_bytes as usize);
    // The file is looked through 64 KiB at a time.
    for damage in (65_520..65_540).chain([1, 7, 8, 200_000]) {
        fs::write(&file, [good, &vec![0x6d; damage], rest].concat()).expect("written");
        b.open();
        assert_eq!((fs::read(&file).expect("read") == good, b.quarantined()), (true, 1), "{damage}");
        fs::remove_file(b.data().join("quarantine/front_2026-05-01_120000.250Z.mp4")).expect("removed");
    }
    // A file that is made to be looked through for ever.
    let bombs = b"\0\0\0\x10moof".repeat(1 << 16);
    fs::write(&file, [good, &bombs].concat()).expect("written");
    b.open();
    assert_eq!((fs::read(&file).expect("read") == good, b.quarantined()), (true, 1));
}

#[test]
fn the_end_of_a_file_that_is_damaged_is_cut_off() {
    let b = TestStore::new();
    let store = b.open();
    let segment = record(&store, 0..4, None);
    drop(store);
    let file = b.files().remove(0);
    let mut data = fs::read(&file).expect("read");
    data[segment.fragments[3].offset_bytes as usize + 5] ^= 1;
    fs::write(&file, &data).expect("written");
    fs::remove_file(b.data().join("perch.db")).expect("removed");
    let store = b.open();
    assert_eq!((store.recordings().open_report().cut, b.quarantined()), (1, 0), "as a power cut leaves it");
}

#[test]
fn damage_anywhere_never_stops_a_start() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..2, None);
    drop(store);
    let file = b.files().remove(0);
    let good = fs::read(&file).expect("read");
    let mut dice = Dice(11);
    for _ in 0..150 {
        let mut bad = good.clone();
        for _ in 0..1 + dice.below(8) {
            // Mostly in the headers, where it hurts.
            let reach = if dice.below(4) == 0 { bad.len() as u64 } else { 1600 };
            let at = dice.below(reach.min(bad.len() as u64)) as usize;
            bad[at] = dice.below(256) as u8;
        }
        // A row that does not fit makes the file be read again.
        bad.push(0);
        let _ = fs::remove_dir_all(b.data());
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(&file, &bad).expect("written");
        let store = b.open();
        let r = store.recordings().open_report();
        let left = store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked");
        assert!(r.adopted as usize == left.len() && (left.len() == 1 || b.files().is_empty()), "{r:?}");
        let _ = store.recordings().keyframe_at(&camera(), s(1.0));
        if let Ok(export) = store.recordings().export(&camera(), range(-1.0, 99.0)) {
            export.chunks.for_each(drop);
        }
    }
}

#[test]
fn garbage_bombs_and_foreign_files_are_set_aside_and_the_rest_goes_on() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..2, None);
    drop(store);
    let day = b.files()[0].parent().expect("a folder").to_owned();
    fs::write(day.join("130000.000Z.mp4"), b"this is not a recording, whatever its name says").expect("written");
    // A header that claims four gigabytes, and a box of size zero.
    fs::write(day.join("130001.000Z.mp4"), b"\xff\xff\xff\xffftypisom").expect("written");
    fs::write(day.join("130002.000Z.mp4"), [&b"\0\0\0\x10ftypisom\0\0\0\0"[..], &b"\xff\xff\xff\xf0moov"[..]].concat())
        .expect("written");
    fs::write(day.join("130003.000Z.mp4"), b"").expect("written");
    // An MP4 of somebody else.
    let foreign = day.join("130004.000Z.mp4");
    let made = std::process::Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=duration=1",
            "-c:v",
            "libx264",
            "-movflags",
            "frag_keyframe+empty_moov",
        ])
        .arg(&foreign)
        .status();
    assert!(made.is_ok_and(|s| s.success()));
    fs::write(day.join("notes.txt"), b"left alone").expect("written");
    let store = b.open();
    assert_eq!(
        (store.recordings().open_report().quarantined, b.quarantined()),
        (4, 4),
        "{:?}",
        store.recordings().open_report()
    );
    assert_eq!(store.recordings().segments(&camera(), range(0.0, 9999.0)).expect("asked").len(), 1);
    assert!(day.join("notes.txt").exists() && !day.join("130003.000Z.mp4").exists());
}

#[test]
fn a_damaged_header_of_a_known_recording_is_quarantined_and_reported() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..2, None);
    record(&store, 2..4, None);
    drop(store);
    let file = b.files().remove(0);
    let mut data = fs::read(&file).expect("read");
    data[40..80].fill(0xee);
    data.truncate(data.len() - 1);
    fs::write(&file, data).expect("written");
    let store = b.open();
    assert_eq!((store.recordings().open_report().quarantined, b.quarantined()), (1, 1));
    let timeline = store.recordings().timeline(&camera(), range(0.0, 4.0), s(4.0)).expect("timeline");
    assert_eq!((timeline.spans.len(), timeline.gaps[0].cause), (1, GapCause::Lost));
}

#[test]
fn links_are_never_followed() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..2, None);
    drop(store);
    let file = b.files().remove(0);
    let outside = b.dir.path().join("outside.mp4");
    fs::copy(&file, &outside).expect("copied");
    let before = fs::read(&outside).expect("read");
    let day = file.parent().expect("a folder");
    symlink(&outside, day.join("130000.000Z.mp4")).expect("linked");
    symlink(b.dir.path(), day.parent().expect("camera").join("2026-05-02")).expect("linked");
    symlink(b.dir.path(), b.data().join("recordings/back")).expect("linked");
    // Even in place of a file that the index knows.
    fs::remove_file(&file).expect("removed");
    symlink(&outside, &file).expect("linked");
    let store = b.open();
    assert_eq!((store.recordings().open_report().lost, store.recordings().open_report().adopted), (1, 0));
    assert!(store.recordings().segments(&camera(), range(0.0, 9999.0)).expect("asked").is_empty());
    assert_eq!(fs::read(&outside).expect("still there"), before);
}

#[test]
fn a_link_that_appears_while_running_is_not_served() {
    let b = TestStore::new();
    let store = b.open();
    let segment = record(&store, 0..2, None);
    let file = b.files().remove(0);
    let outside = b.dir.path().join("secret");
    fs::rename(&file, &outside).expect("moved");
    symlink(&outside, &file).expect("linked");
    assert!(store.recordings().open_segment(&camera(), segment.id).is_err());
    assert!(store.recordings().keyframe_at(&camera(), s(0.5)).is_err());
}

#[test]
fn a_missing_file_is_lost_and_found_again() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..2, None);
    drop(store);
    let file = b.files().remove(0);
    let aside = b.dir.path().join("aside");
    fs::rename(&file, &aside).expect("moved");
    let store = b.open();
    assert_eq!(store.recordings().open_report().lost, 1);
    let timeline = store.recordings().timeline(&camera(), range(0.0, 2.0), s(2.0)).expect("timeline");
    assert_eq!((timeline.spans.len(), timeline.gaps[0].cause), (0, GapCause::Lost));
    drop(store);
    assert_eq!(b.open().recordings().open_report().lost, 0, "reported once");
    fs::create_dir_all(file.parent().expect("a folder")).expect("made");
    fs::rename(&aside, &file).expect("back");
    let store = b.open();
    assert_eq!(store.recordings().segments(&camera(), range(0.0, 9.0)).expect("asked").len(), 1);
}

#[test]
fn what_a_caller_is_answered_is_not_logged_as_well() {
    let mut b = TestStore::new();
    let store = b.open();
    record(&store, 0..1, None);
    drop(store);
    fs::remove_file(b.data().join("perch.db")).expect("removed");
    let (store, levels) = logged(|| b.open());
    assert_eq!(store.recordings().open_report().adopted, 1);
    assert!(levels.is_empty(), "the report says it: {levels:?}");
    drop(store);
    b.retention.max_bytes = 1;
    let store = b.open();
    let (report, levels) = logged(|| store.recordings().enforce_retention(true).expect("enforced"));
    assert_eq!(report.deleted, 1);
    assert!(levels.is_empty(), "the report says it: {levels:?}");
}

#[test]
fn a_garbage_database_is_replaced_and_recordings_are_taken_in() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..3, None);
    record(&store, 3..6, None);
    store.accounts().add_user("anna", "long enough", &Grant::all(Role::Admin), None, b.now()).expect("added");
    let before = store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked");
    drop(store);
    let db = b.data().join("perch.db");
    let noise: Vec<u8> = (0..20_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(&db, noise).expect("written");
    let _ = fs::remove_file(b.data().join("perch.db-wal"));
    assert_eq!(Store::open_for_cli(b.config(), b.clock.clone()).expect_err("damaged").kind(), ErrorKind::Corrupt);
    let store = b.open();
    let report = store.recordings().open_report();
    assert_eq!(report.adopted, 2);
    let aside = report.database_replaced.clone().expect("said");
    assert!(aside.starts_with("perch.db.corrupt-2026-05-01T") && b.data().join(aside).exists());
    let after = store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked");
    let shape = |all: &[perch_domain::archive::Segment]| {
        all.iter().map(|x| (x.start, x.end, x.size_bytes, x.init_size_bytes, x.fragments.clone())).collect::<Vec<_>>()
    };
    assert_eq!(shape(&after), shape(&before), "times to the microsecond, from the files themselves");
    assert!(!store.accounts().claimed().expect("asked"));
}

#[test]
fn a_database_damaged_in_its_middle_is_replaced_too() {
    let b = TestStore::new();
    let store = b.open();
    for n in 0..8 {
        record(&store, n..n + 1, None);
    }
    drop(store);
    let db = b.data().join("perch.db");
    let mut data = fs::read(&db).expect("read");
    let half = data.len() / 3;
    data[half..].fill(0x55);
    fs::write(&db, data).expect("written");
    let store = b.open();
    assert!(store.recordings().open_report().database_replaced.is_some());
    assert_eq!(store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked").len(), 8);
}

#[test]
fn a_power_cut_before_the_trim_is_made_good() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..6, None);
    let id = store.index().begin_event(&event(5.0)).expect("started").id;
    record(&store, 3..8, Some(id));
    drop(store);
    let store = b.open();
    let all = store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked");
    let shape: Vec<_> = all.iter().map(|x| (x.start, x.end)).collect();
    assert_eq!(shape, [(s(0.0), s(3.0)), (s(3.0), s(8.0))]);
    assert_eq!(store.recordings().open_report().cut, 1);
    assert_eq!(probe(&b.files()[0]).video, 3 * FPS as u64);
    assert_eq!(
        store.recordings().event(id).expect("there").end,
        Some(s(8.0)),
        "the event that ran ends with its recording"
    );
}

#[test]
fn the_time_the_box_was_off_is_reported() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..4, None);
    drop(store);
    let store = b.open();
    let timeline = store.recordings().timeline(&camera(), range(0.0, 200.0), s(150.0)).expect("timeline");
    let gaps: Vec<_> = timeline.gaps.iter().map(|g| (g.start, g.end, g.cause)).collect();
    assert_eq!(gaps, [(s(4.0), s(100.0), GapCause::BoxOff), (s(100.0), s(150.0), GapCause::Unknown)]);
}

#[test]
fn the_time_the_box_was_off_is_reported_as_far_back_as_anything_is_kept() {
    const DAY: f64 = 86_400.0;
    for (max_days, event_max_days, is_reported) in [(30, 90, false), (30, 120, true), (0, 90, true), (90, 0, true)] {
        let mut b = TestStore::new();
        b.retention.max_days = max_days;
        b.retention.event_max_days = event_max_days;
        let store = b.open();
        let mut w =
            store.recordings().create_segment(&camera(), s(-100.0 * DAY), None, &format(clip())).expect("created");
        w.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
        w.seal().expect("sealed");
        drop(store);
        let store = b.open();
        let timeline = store.recordings().timeline(&camera(), range(0.0, 90.0), s(150.0)).expect("timeline");
        let is_noted = timeline.gaps.iter().any(|g| g.cause == GapCause::BoxOff);
        assert_eq!(is_noted, is_reported, "{max_days} and {event_max_days} days");
    }
}

#[test]
fn one_daemon_at_a_time_and_commands_beside_it() {
    let b = TestStore::new();
    let store = b.start();
    assert_eq!(Store::open(b.config(), b.clock.clone()).expect_err("a second one").kind(), ErrorKind::Conflict);
    let cli = Store::open_for_cli(b.config(), b.clock.clone()).expect("a command");
    cli.accounts().add_user("anna", "long enough", &Grant::all(Role::Admin), None, b.now()).expect("added");
    assert!(store.accounts().claimed().expect("asked"), "the daemon sees what the command did");
    let mut writer = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    writer.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    assert_eq!(
        store.recordings().reconcile().expect("again"),
        Default::default(),
        "files being written are left alone"
    );
    writer.write_fragment(MonoTime(0), &gop(clip(), 1, MonoTime(0))).expect("written");
    writer.seal().expect("sealed");
    drop(store);
    drop(cli);
    b.open();
}

#[test]
fn everything_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let b = TestStore::new();
    fs::create_dir(b.data()).expect("made");
    fs::set_permissions(b.data(), fs::Permissions::from_mode(0o755)).expect("set");
    let store = b.open();
    store.meta().set("k", "v").expect("kept");
    let mode = |name: &str| fs::metadata(b.data().join(name)).expect(name).permissions().mode() & 0o777;
    for folder in ["", "recordings", "thumbnails", "quarantine"] {
        assert_eq!(mode(folder), 0o700, "{folder}");
    }
    for file in ["perch.db", "perch.db-wal", "perch.db-shm", "perch.lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

/// `cargo test -p perch-store --test reconcile -- --ignored --nocapture` prints how long a start takes.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_start_with_100_000_recordings() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..1, None);
    drop(store);
    let day = b.files()[0].parent().expect("a folder").parent().expect("a camera").to_owned();
    let mut db = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let tx = db.transaction().expect("started");
    for n in 0..100_000i64 {
        let start = s(60.0 * (n + 1) as f64);
        let (folder, time) = start.file_parts();
        let folder = day.join(&folder);
        fs::create_dir_all(&folder).expect("made");
        fs::write(folder.join(format!("{time}Z.mp4")), b"x").expect("written");
        let path = format!("front/{}/{time}Z.mp4", start.file_parts().0);
        let sql = "INSERT INTO segment (camera, path, start, end, size, state, format, init_size, fragments)
            VALUES ('front', ?1, ?2, ?3, 1, 'sealed', 1, 800, zeroblob(330))";
        tx.execute(sql, rusqlite::params![path, start.0, start.0 + 60_000_000]).expect("inserted");
    }
    tx.commit().expect("committed");
    drop(db);
    let begin = std::time::Instant::now();
    let store = b.open();
    println!("opened in {:?}", begin.elapsed());
    for (what, from, to) in [("a minute", 5e6, 5e6 + 60.0), ("a day", 5e6, 5e6 + 86_400.0), ("all", 0.0, 3e7)] {
        let begin = std::time::Instant::now();
        let t = store.recordings().timeline(&camera(), range(from, to), s(6e6)).expect("timeline");
        println!("timeline of {what}: {:?}, {} spans", begin.elapsed(), t.spans.len());
    }
    for _ in 0..2 {
        let begin = std::time::Instant::now();
        store.recordings().enforce_retention(true).expect("enforced");
        println!("retention with nothing to do: {:?}", begin.elapsed());
    }
    let begin = std::time::Instant::now();
    store.recordings().disk();
    println!("the disk's figures: {:?}", begin.elapsed());
}

#[test]
fn an_event_ends_though_the_clock_starts_behind() {
    let b = TestStore::new();
    let store = b.open();
    let running = store.index().begin_event(&event(3.0)).expect("started").id;
    record(&store, 3..5, Some(running));
    drop(store);
    // A box without a battery for its clock begins where it was set last.
    b.clock.set_utc(s(-86_400.0));
    let store = b.open();
    assert_eq!(store.recordings().event(running).expect("there").end, Some(s(5.0)));
    let next = store.index().begin_event(&event(-86_300.0)).expect("started").id;
    store.recordings().reconcile().expect("nothing left");
    assert_eq!(store.recordings().event(next).expect("there").end, None, "what runs now goes on");
}

/// Runs as somebody who may not read everything: as root in a process of its own that is nobody's.
#[test]
fn a_folder_that_cannot_be_read_keeps_no_other_from_being_taken_in() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let b = TestStore::new();
    if fs::metadata(b.dir.path()).expect("made").uid() == 0 {
        let name = "reconcile::a_folder_that_cannot_be_read_keeps_no_other_from_being_taken_in";
        // Copied to where nobody may go.
        let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().expect("a folder");
        let program = dir.path().join("test");
        fs::copy(std::env::current_exe().expect("known"), &program).expect("copied");
        let out = std::process::Command::new(&program)
            .args(["--exact", name, "--nocapture"])
            .current_dir("/")
            .uid(65_534)
            .gid(65_534)
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&out.stderr));
        return;
    }
    const DAY: f64 = 86_400.0;
    let store = b.open();
    let yard = perch_base::ids::CameraId::new("yard").expect("valid");
    for (camera, days) in [(camera(), 0.0), (camera(), 1.0), (camera(), 2.0), (yard.clone(), 0.0), (yard.clone(), 1.0)]
    {
        let mut w = store.recordings().create_segment(&camera, s(days * DAY), None, &format(clip())).expect("created");
        w.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
        w.seal().expect("sealed");
    }
    drop(store);
    let (root, may) = (b.data().join("recordings"), |mode| fs::Permissions::from_mode(mode));
    // Rows that name a file in a folder that cannot be read, and files without a row beside it.
    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    c.execute("DELETE FROM segment WHERE camera = 'front' AND path NOT LIKE 'front/2026-05-02/%'", [])
        .expect("forgotten");
    drop(c);
    let closed = [root.join("front/2026-05-02"), root.join("yard")];
    for folder in &closed {
        fs::set_permissions(folder, may(0o000)).expect("closed");
    }
    b.clock.advance(std::time::Duration::from_secs(3 * 86_400));
    let store = b.start();
    let (report, levels) = logged(|| store.recordings().reconcile().expect("it goes on"));
    for folder in &closed {
        fs::set_permissions(folder, may(0o755)).expect("opened");
    }
    assert_eq!((report.adopted, report.lost, report.quarantined), (2, 0, 0), "{report:?}");
    assert!(levels.contains(&tracing::Level::ERROR), "a person may want to look: {levels:?}");
    assert_eq!(store.recordings().disk().taking_in, None);
    let days = |camera| store.recordings().segments(camera, range(-1.0, 3.0 * DAY)).expect("asked").len();
    assert_eq!((days(&camera()), days(&yard)), (3, 2), "what could not be read is as it was");
}
