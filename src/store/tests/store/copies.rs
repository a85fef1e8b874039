//! Copies off the box in the index: what is to be copied, and that nothing goes before it is.

use crate::common::{TestStore, camera, event, record, s};
use perch_base::time::Timestamp;
use perch_domain::retention::{CopiesWanted, RetentionConfig};
use perch_domain::sync::object::Sha256;
use perch_domain::sync::plan::{CopyRecord, CopyStage, ToCopy};
use perch_domain::sync::target::{GivenTarget, SyncTarget};
use perch_store::{Config, Store};

const FAR: Timestamp = Timestamp(i64::MAX);

fn target(bucket: &str) -> SyncTarget {
    let given = GivenTarget {
        endpoint: "https://s3.example.org",
        region: "auto",
        bucket,
        prefix: "",
        access_key: "id",
        secret_key: "secret",
    };
    let target = SyncTarget::to_try(&given).expect("valid");
    SyncTarget { what: perch_domain::sync::target::CopyWhat::All, ..target }
}

fn copied(store: &Store, target: &SyncTarget, one: &ToCopy, all: &[SyncTarget]) {
    let record = CopyRecord { key: format!("key {}", one.id), sha256: Sha256([7; 32]), upload: Some("up".into()) };
    store.recordings().copy_begins(target, one, &record).expect("noted");
    let now = &store.recordings().to_copy(target, FAR).expect("asked");
    let found = now.iter().find(|o| o.id == one.id).expect("there");
    assert_eq!((&found.stage, found.record.as_ref()), (&CopyStage::Uploading, Some(&record)));
    store.recordings().copy_committed(target, one.id).expect("noted");
    store.recordings().copy_verified(target, one.id, all).expect("noted");
}

fn ids(store: &Store, target: &SyncTarget) -> Vec<i64> {
    store.recordings().to_copy(target, FAR).expect("asked").iter().map(|one| one.id.0).collect()
}

#[test]
fn nothing_goes_before_all_who_want_it_have_it_but_for_the_reserve() {
    let b = TestStore::new();
    let wanted = CopiesWanted { events: true, background: true };
    let config = |retention| Config { copies: wanted, retention, ..b.config() };
    let small = RetentionConfig { max_bytes: 1, min_free_bytes: 0, max_days: 0, event_max_days: 0 };
    let store = b.open();
    store.limits().follow(&config(small));
    for n in 0..3 {
        record(&store, 2 * n..2 * n + 2, None);
    }
    let (near, far) = (target("near"), target("far"));
    let both = [near.clone(), far.clone()];
    store.recordings().copies_are_for(&both).expect("noted");
    let all = store.recordings().to_copy(&near, FAR).expect("asked");
    assert_eq!(all.len(), 3);
    assert_eq!(store.recordings().to_copy(&near, s(2.5)).expect("asked").len(), 1, "those that are settled");
    let gone = || store.recordings().enforce_retention(true).expect("looked").deleted;
    assert_eq!(gone(), 0, "nothing is copied");
    copied(&store, &near, &all[0], &both);
    assert_eq!((gone(), ids(&store, &near).len(), ids(&store, &far).len()), (0, 2, 3), "one of two has one");
    copied(&store, &far, &all[0], &both);
    assert_eq!(gone(), 1);
    let counts = store.recordings().copy_counts(&near, FAR).expect("counted");
    assert_eq!((counts.waiting, counts.copied, counts.lost), (2, 0, 0));
    // One target less: what the other has may go.
    copied(&store, &near, &all[1], &both);
    assert_eq!(gone(), 0);
    store.recordings().copies_are_for(&both[..1]).expect("noted");
    assert_eq!(gone(), 1);
    // The disk's own reserve is hit: it goes all the same, and that is written down.
    store.limits().follow(&config(RetentionConfig { min_free_bytes: u64::MAX / 2, ..small }));
    assert_eq!(gone(), 1);
    assert_eq!(store.recordings().copy_counts(&near, FAR).expect("counted").lost, 1);
}

#[test]
fn a_recording_that_is_cut_or_given_to_an_event_is_looked_at_anew() {
    let b = TestStore::new();
    let store = b.open();
    let target = target("near");
    let all = [target.clone()];
    record(&store, 0..4, None);
    let one = store.recordings().to_copy(&target, FAR).expect("asked").remove(0);
    copied(&store, &target, &one, &all);
    assert!(ids(&store, &target).is_empty());
    let id = store.index().begin_event(&event(3.0)).expect("begun").id;
    record(&store, 2..6, Some(id));
    store.recordings().trim_before(&camera(), s(2.0)).expect("cut");
    let found = store.recordings().to_copy(&target, FAR).expect("asked");
    let mut sizes: Vec<_> = found.iter().map(|o| (o.id == one.id, &o.stage)).collect();
    sizes.sort_by_key(|(is_it, _)| !is_it);
    assert_eq!(sizes, [(true, &CopyStage::Settled), (false, &CopyStage::Settled)], "what was cut is copied again");
    // What was looked up before the cut is not entered for what is there now.
    let record = CopyRecord { key: "old".into(), sha256: Sha256([7; 32]), upload: None };
    store.recordings().copy_begins(&target, &one, &record).expect("nothing to note");
    assert!(store.recordings().to_copy(&target, FAR).expect("asked").iter().all(|o| o.stage == CopyStage::Settled));
    assert!(store.recordings().open_to_copy(&one).is_err());
}

#[test]
fn what_is_sent_is_counted_by_the_month() {
    let b = TestStore::new();
    let store = b.open();
    let target = target("near");
    for (month, bytes, want) in [("2026-05", 5, 5), ("2026-05", 7, 12), ("2026-06", 1, 1)] {
        assert_eq!(store.recordings().copies_sent(&target, month, bytes).expect("noted"), want);
    }
}
