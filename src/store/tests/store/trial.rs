//! What a trial after an update asks of the store: that recording can be proved without leaving anything, and that a database that
//! the next version has changed can be used after the way back.

use crate::common::*;
use perch_base::time::MonoTime;
use perch_domain::access::{Grant, Role};
use perch_domain::ports::{AccessPort, ArchivePort};

#[test]
fn recording_is_proved_beside_what_is_recorded_and_leaves_nothing() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..3, None);
    let before = b.files();
    let gop = gop(clip(), 1, MonoTime(0));
    store.recordings().prove_recording(&camera(), s(1.0), MonoTime(1_000_000), &gop).expect("recorded and read back");
    store.recordings().prove_recording(&camera(), s(1.0), MonoTime(1_000_000), &gop).expect("again");
    assert_eq!(b.files(), before);
    let timeline = store.recordings().timeline(&camera(), range(0.0, 3.0), s(10.0)).expect("a timeline");
    assert_eq!((timeline.spans.len(), timeline.gaps.len()), (1, 0));
}

#[test]
fn a_database_that_the_next_version_added_to_is_used_after_a_rollback() {
    let b = TestStore::new();
    {
        let store = b.open();
        store.accounts().add_user("anna", "correct horse", &Grant::all(Role::Admin), None, b.now()).expect("made");
        record(&store, 0..2, None);
    }
    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let version: i64 = c.query_row("PRAGMA user_version", [], |r| r.get(0)).expect("a version");
    c.execute_batch("ALTER TABLE segment ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'; CREATE TABLE later (x)")
        .expect("added");
    c.pragma_update(None, "user_version", version + 1).expect("set");
    drop(c);
    let store = b.open();
    assert_eq!(store.recordings().open_report().database_replaced, None);
    assert!(store.accounts().sign_in("anna", "correct horse", "phone", b.now()).expect("asked").is_some());
    record(&store, 2..4, None);
    assert_eq!(store.recordings().segments(&camera(), range(0.0, 4.0)).expect("listed").len(), 2);
}
