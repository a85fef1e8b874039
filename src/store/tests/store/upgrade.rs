//! Databases that older versions wrote, as SQL text with rows in it: they are upgraded and everything in them is still read.

use crate::common::*;
use perch_base::ids::EventId;
use perch_domain::access::{DeviceKind, Role};
use perch_domain::archive::{EventFilter, GapCause};
use perch_domain::ports::{AccessPort, ArchivePort};
use std::fs;

const VERSION_1: &str = include_str!("data/version_1.sql");

/// A data folder with the database and, for each sealed recording, a file of its length.
fn old_box(sql: &str) -> TestStore {
    let b = TestStore::new();
    fs::create_dir_all(b.data()).expect("made");
    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    c.execute_batch(sql).expect("loaded");
    let mut sealed = c.prepare("SELECT path, size FROM segment WHERE state = 'sealed'").expect("sql");
    let rows = sealed.query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?))).expect("asked");
    for (path, size) in rows.map(|r| r.expect("a row")) {
        let path = b.data().join("recordings").join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::File::create(path).and_then(|f| f.set_len(size as u64)).expect("made");
    }
    b
}

#[test]
fn a_database_of_version_1_is_upgraded_and_read() {
    let b = old_box(VERSION_1);
    let store = b.open();
    assert_eq!(store.recordings().open_report(), perch_store::OpenReport::default(), "nothing to repair");

    let users = store.accounts().users().expect("asked");
    assert_eq!((users.len(), users[0].name.as_str(), users[0].role), (1, "anna", Role::Admin));
    let devices = store.accounts().devices().expect("asked");
    assert_eq!(devices.iter().filter(|d| d.kind == DeviceKind::Paired).count(), 1);
    let session = store.accounts().authenticate(&"a1".repeat(32), b.now()).expect("asked").expect("signed in");
    assert_eq!((session.username.as_deref(), session.role), (Some("anna"), Role::Admin));
    let tablet = store.accounts().authenticate(&"b2".repeat(32), b.now()).expect("asked").expect("paired");
    assert_eq!((tablet.device_name.as_str(), tablet.role), ("tablet", Role::Viewer));
    assert!(store.accounts().sign_in("anna", "long enough", "phone", b.now()).expect("asked").is_some());
    assert_eq!(store.accounts().stream_logins().expect("asked")[0].ha1.expose(), "8418c14245b6abc2511361e1f5cf47af");
    assert_eq!(store.meta().get("base_url").expect("asked").as_deref(), Some("https://perch.local"));

    let segments = store.recordings().segments(&camera(), range(-9000.0, 9000.0)).expect("asked");
    assert_eq!(segments.iter().map(|s| s.size_bytes).collect::<Vec<_>>(), [71_861, 147_073]);
    assert_eq!((segments[1].fragments.len(), segments[1].event), (2, Some(EventId(s(1.0).0))));
    assert_eq!(store.recordings().disk().recordings_bytes, 71_861 + 147_073);
    let t = store.recordings().timeline(&camera(), range(-9000.0, 9000.0), s(100.0)).expect("timeline");
    assert_eq!(t.spans.iter().map(|x| (x.start, x.end)).collect::<Vec<_>>(), [(s(0.0), s(3.0))]);
    let causes: Vec<_> = t.gaps.iter().map(|g| g.cause).collect();
    assert!(causes.contains(&GapCause::Retention) && causes.contains(&GapCause::Lost), "{causes:?}");
    assert!(causes.contains(&GapCause::CameraUnavailable), "{causes:?}");
    let page = store.recordings().events(&EventFilter { limit: 9, ..Default::default() }).expect("asked");
    assert_eq!(page.events.iter().map(|e| (e.pinned, e.boxes.len())).collect::<Vec<_>>(), [(false, 1), (true, 0)]);
    assert!(page.events.iter().all(|e| (e.since, e.chapter) == (e.start, 1)), "each is the first chapter of its own");
    assert_eq!(
        store.recordings().timeline(&camera(), range(9000.0, 9001.0), s(9002.0)).expect("timeline").events.len(),
        1
    );

    // And is written to.
    record(&store, 5..6, None);
    assert_eq!(store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked").len(), 3);
    drop(store);
    assert_eq!(b.open().recordings().open_report(), perch_store::OpenReport::default());
}
