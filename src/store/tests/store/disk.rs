//! Disks that are full, read-only or slow: the box starts, reads what it can, and recovers by itself. Those that need the right to
//! mount say so loudly where it is missing, and fail where it is promised.

use crate::common::*;
use perch_base::ErrorKind;
use perch_base::time::MonoTime;
use perch_domain::access::{Grant, Role};
use perch_domain::archive::GapCause;
use perch_domain::ports::{AccessPort, ArchivePort};
use perch_domain::retention::RetentionConfig;
use perch_store::{Store, write_fault};
use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn fault(store: &Store) -> Option<GapCause> {
    store.meta().set("k", "v").err().map(|e| write_fault(&e).expect("the disk's fault"))
}

#[test]
fn a_start_on_a_full_disk_gives_up_the_reserve_and_retention_makes_it_again() {
    let b = TestStore::new();
    let Some(mount) = Mount::new(&b) else { return };
    let store = b.open();
    record(&store, 0..1, None);
    assert_eq!(fs::metadata(b.data().join("reserve")).expect("made").len(), 8 << 20);
    drop(store);
    mount.fill("filler");
    let store = b.open();
    assert!(!b.data().join("reserve").exists());
    assert_eq!(fault(&store), None, "there is room for the database");
    assert_eq!(store.recordings().segments(&camera(), range(-1.0, 9.0)).expect("asked").len(), 1);
    fs::remove_file(b.data().join("filler")).expect("removed");
    store.recordings().enforce_retention(true).expect("enforced");
    assert!(b.data().join("reserve").exists());
}

#[test]
fn a_start_on_a_full_disk_without_a_reserve_reads_and_retention_makes_room() {
    let mut b = TestStore::new();
    let Some(mount) = Mount::new(&b) else { return };
    let store = b.open();
    record(&store, 0..SECONDS, None);
    drop(store);
    fs::remove_file(b.data().join("reserve")).expect("removed");
    fs::remove_file(b.data().join("perch.lock")).expect("removed");
    mount.fill("filler");
    b.retention.max_bytes = 1;
    let store = b.open();
    assert_eq!(store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked").len(), 1);
    assert_eq!(fault(&store), Some(GapCause::DiskFull));
    assert_eq!(store.recordings().enforce_retention(true).expect("makes room").deleted, 1);
    assert_eq!(fault(&store), None);
}

#[test]
fn room_is_made_by_the_oldest_though_the_index_does_not_know_it_yet() {
    let mut b = TestStore::new();
    let Some(mount) = Mount::new(&b) else { return };
    const DAY: f64 = 86_400.0;
    let store = b.open();
    for days in [-3.0, -2.0, -1.0] {
        let mut w =
            store.recordings().create_segment(&camera(), s(days * DAY), None, &format(clip())).expect("created");
        for n in 0..SECONDS {
            w.write_fragment(MonoTime(0), &gop(clip(), n, MonoTime(0))).expect("written");
        }
        w.seal().expect("sealed");
    }
    drop(store);
    for name in ["perch.db", "perch.db-wal", "perch.db-shm"] {
        let _ = fs::remove_file(b.data().join(name));
    }
    let files = b.files();
    // Making the tables takes room that is free again afterwards.
    drop(b.start());
    let store = b.start();
    b.retention.min_free_bytes = store.recordings().disk().free_bytes + 1;
    drop(store);
    let store = b.start();
    while store.recordings().open_report().adopted == 0 {
        store.recordings().reconcile_step().expect("compared");
    }
    let newest = store.recordings().segments(&camera(), range(-4.0 * DAY, 9.0)).expect("asked");
    assert_eq!(newest.iter().map(|x| x.start).collect::<Vec<_>>(), [s(-DAY)], "the newest is taken in first");
    assert_eq!(store.recordings().enforce_retention(true).expect("enforced").deleted, 1);
    assert_eq!(files.iter().map(|f| f.exists()).collect::<Vec<_>>(), [false, true, true], "the oldest went");
    store.recordings().reconcile().expect("compared");
    assert_eq!(store.recordings().segments(&camera(), range(-4.0 * DAY, 9.0)).expect("asked").len(), 2);
    drop(mount);
}

#[test]
fn a_start_on_a_read_only_disk_reads_and_heals() {
    let b = TestStore::new();
    let Some(mount) = Mount::new(&b) else { return };
    let store = b.open();
    record(&store, 0..1, None);
    // As a power cut leaves it.
    let running = store.index().begin_event(&event(3.0)).expect("started").id;
    let mut cut =
        store.recordings().create_segment(&camera(), s(3.0), Some(running), &format(clip())).expect("created");
    cut.write_fragment(MonoTime(3_000_000), &gop(clip(), 3, MonoTime(0))).expect("written");
    drop(cut);
    drop(store);
    mount.remount("ro");
    let store = b.open();
    assert_eq!(Store::open(b.config(), b.clock.clone()).expect_err("a second one").kind(), ErrorKind::Conflict);
    assert!(store.meta().ping().is_ok());
    let found = store.recordings().segments(&camera(), range(-1.0, 9.0)).expect("asked");
    assert!(found.len() == 1 && store.recordings().open_segment(&camera(), found[0].id).is_ok());
    assert_eq!(fault(&store), Some(GapCause::DiskError));
    assert_eq!(write_fault(&store.recordings().probe_write().expect_err("read-only")), Some(GapCause::DiskError));
    assert!(store.recordings().enforce_retention(true).is_ok() || !store.recordings().disk().problem.is_empty());
    mount.remount("rw");
    assert!(fault(&store).is_some(), "not tried more often than every few seconds");
    store.recordings().probe_write().expect("well again");
    record(&store, 1..2, None);
    assert_eq!(
        store.recordings().segments(&camera(), range(-1.0, 9.0)).expect("asked").len(),
        2,
        "the reader sees it too"
    );
    store.recordings().enforce_retention(true).expect("enforced");
    store.recordings().reconcile().expect("the disk is well again");
    assert_eq!(
        store.recordings().segments(&camera(), range(-1.0, 9.0)).expect("asked").len(),
        3,
        "what was cut off is found"
    );
    assert_eq!(store.recordings().event(running).expect("there").end, Some(s(4.0)));
}

#[test]
fn a_disk_for_recordings_that_is_missing_loses_nothing() {
    let mut b = TestStore::new();
    let recordings = b.data().join("recordings");
    let Some(_disk) = Mount::at(recordings.clone(), "size=24m") else { return };
    let store = b.open();
    record(&store, 0..2, None);
    assert_eq!(store.recordings().disk().total_bytes, 24 << 20, "the disk that recordings go to");
    drop(store);
    // What the system puts in its place, and limits of every kind that would have it delete.
    let away = Mount::at(recordings.clone(), "ro,size=4k").expect("mounted before");
    b.retention = RetentionConfig { max_bytes: 1, min_free_bytes: 1 << 20, max_days: 1, event_max_days: 1 };
    b.clock.advance(Duration::from_secs(86_400 * 3));
    let store = b.open();
    assert!(
        store.recordings().disk().problem.contains("disk for recordings is missing"),
        "{}",
        store.recordings().disk().problem
    );
    assert_eq!(write_fault(&store.recordings().probe_write().expect_err("read-only")), Some(GapCause::DiskError));
    assert_eq!(store.recordings().enforce_retention(true).expect("leaves it alone").deleted, 0);
    assert_eq!(store.recordings().segments(&camera(), range(-1.0, 9.0)).expect("asked").len(), 1, "still in the index");
    assert_eq!(fault(&store), None, "the database is on another disk");
    drop((store, away));
    b.retention = RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 0, event_max_days: 0 };
    let store = b.open();
    assert_eq!(store.recordings().open_report(), Default::default());
    let found = store.recordings().segments(&camera(), range(-1.0, 9.0)).expect("asked");
    assert!(found.len() == 1 && store.recordings().open_segment(&camera(), found[0].id).is_ok());
}

#[test]
fn a_damaged_file_is_set_aside_from_another_disk() {
    let b = TestStore::new();
    let recordings = b.data().join("recordings");
    let Some(_disk) = Mount::at(recordings.clone(), "size=24m") else { return };
    let day = recordings.join("front/2026-01-05");
    fs::create_dir_all(&day).expect("made");
    let damaged = day.join("100000.000Z.mp4");
    fs::write(&damaged, [7; 5000]).expect("written");
    b.open();
    assert!(!damaged.exists() && b.quarantined() == 1);
    let kept = b.data().join("quarantine/front_2026-01-05_100000.000Z.mp4");
    assert_eq!(fs::read(kept).expect("whole"), [7; 5000]);
}

#[test]
fn a_new_box_on_a_read_only_disk_says_so() {
    let b = TestStore::new();
    let Some(mount) = Mount::new(&b) else { return };
    mount.remount("ro");
    let e = Store::open(b.config(), b.clock.clone()).expect_err("nothing to read");
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    let text = e.to_string();
    assert!(text.contains("the data folder") && text.contains("cannot be written"), "{e}");
}

#[test]
fn a_request_does_not_wait_for_a_writer() {
    let b = TestStore::new();
    let store = b.open();
    store.accounts().add_user("anna", "long enough", &Grant::all(Role::Admin), None, b.now()).expect("added");
    let signed = store.accounts().sign_in("anna", "long enough", "phone", b.now()).expect("asked").expect("right");
    let other = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let begin = Instant::now();
    let later = b.now().plus_micros(600_000_000);
    assert!(store.accounts().authenticate(signed.token.expose(), later).expect("asked").is_some());
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    other.execute_batch("ROLLBACK").expect("unlocked");
    store.accounts().authenticate(signed.token.expose(), later).expect("asked");
    assert_eq!(store.accounts().devices().expect("asked")[0].last_seen_at, later, "noted when there is time");
}

#[test]
fn sealing_and_settling_at_once_seal_once() {
    let b = TestStore::new();
    let store = b.open();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                store.recordings().enforce_retention(false).expect("enforced");
            }
        });
        for n in 0..50 {
            let mut w =
                store.recordings().create_segment(&camera(), s(n as f64), None, &format(clip())).expect("created");
            w.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
            let sealed = w.seal();
            if sealed.is_err() {
                done.store(true, Ordering::Relaxed);
            }
            assert_eq!(sealed.expect("sealed").fragments.len(), 1);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(store.recordings().segments(&camera(), range(-1.0, 999.0)).expect("asked").len(), 50);
}

#[test]
fn a_clock_that_is_not_trusted_makes_nothing_old() {
    let mut b = TestStore::new();
    b.retention = RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 2, event_max_days: 5 };
    let store = b.open();
    record(&store, 0..1, None);
    b.clock.advance(Duration::from_secs(86_400 * 3));
    assert_eq!(store.recordings().enforce_retention(false).expect("enforced").deleted, 0);
    assert_eq!(store.recordings().enforce_retention(true).expect("enforced").deleted, 1);
}

#[test]
fn bare_events_go_after_90_days_when_events_have_no_limit() {
    let b = TestStore::new();
    let store = b.open();
    let (bare, kept) = (
        store.index().begin_event(&event(1.0)).expect("started").id,
        store.index().begin_event(&event(2.0)).expect("started").id,
    );
    for id in [bare, kept] {
        store.recordings().put_still(id, b"\xff\xd8", &[]).expect("kept");
        store.index().end_event(id, s(3.0)).expect("ended");
    }
    record(&store, 2..3, Some(kept));
    b.clock.advance(Duration::from_secs(86_400 * 89));
    store.recordings().enforce_retention(true).expect("enforced");
    assert!(store.recordings().event(bare).is_ok());
    b.clock.advance(Duration::from_secs(86_400 * 2));
    store.recordings().enforce_retention(true).expect("enforced");
    assert!(store.recordings().event(bare).is_err() && store.recordings().event(kept).is_ok());
    assert!(!b.data().join(format!("thumbnails/front/{bare}.jpg")).exists());
}

#[test]
fn old_events_are_looked_for_once_an_hour() {
    let b = TestStore::new();
    let store = b.open();
    let id = store.index().begin_event(&event(1.0)).expect("started").id;
    store.index().end_event(id, s(3.0)).expect("ended");
    b.clock.advance(Duration::from_secs(86_400 * 90 - 600));
    for (minutes, is_kept) in [(0, true), (50, true), (20, false)] {
        b.clock.advance(Duration::from_secs(60 * minutes));
        store.recordings().enforce_retention(true).expect("enforced");
        assert_eq!(store.recordings().event(id).is_ok(), is_kept, "{minutes}");
    }
}

#[test]
fn a_still_that_cannot_be_removed_keeps_no_event() {
    let b = TestStore::new();
    let store = b.open();
    let ids = [1.0, 2.0].map(|at| store.index().begin_event(&event(at)).expect("started").id);
    for id in ids {
        store.recordings().put_still(id, b"\xff\xd8", &[]).expect("kept");
        store.index().end_event(id, s(3.0)).expect("ended");
    }
    let [bad, good] = ids.map(|id| b.data().join(format!("thumbnails/front/{id}.jpg")));
    fs::remove_file(&bad).and_then(|()| fs::create_dir(&bad)).expect("made");
    b.clock.advance(Duration::from_secs(86_400 * 91));
    store.recordings().enforce_retention(true).expect("enforced");
    assert!(ids.iter().all(|id| store.recordings().event(*id).is_err()) && !good.exists());
}

#[test]
fn what_is_set_aside_is_bounded() {
    let b = TestStore::new();
    drop(b.open());
    for n in 0..3u64 {
        let file = File::create(b.data().join(format!("quarantine/{n}"))).expect("made");
        file.set_len(400 << 20).expect("sparse");
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(n)).expect("set");
    }
    for n in 1..6 {
        for suffix in ["", "-wal"] {
            let name = format!("perch.db.corrupt-2026-01-0{n}T000000.000Z{suffix}");
            fs::write(b.data().join(name), b"x").expect("written");
        }
    }
    b.open();
    assert!(b.quarantined() == 2 && !b.data().join("quarantine/0").exists());
    let mut left: Vec<String> = fs::read_dir(b.data())
        .expect("a folder")
        .filter_map(|e| e.expect("an entry").file_name().into_string().ok())
        .filter(|name| name.contains("corrupt"))
        .collect();
    left.sort();
    assert!(left.len() == 6 && left[0].contains("2026-01-03"), "{left:?}");
    File::create(b.data().join("quarantine/large")).and_then(|f| f.set_len(2 << 30)).expect("sparse");
    b.open();
    assert!(b.quarantined() == 1 && b.data().join("quarantine/large").exists(), "the newest stays");
}
