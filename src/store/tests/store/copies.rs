//! Copies off the box in the index: what is to be copied, and that nothing goes before it is.

use crate::common::{TestStore, camera, event, range, record, s};
use bytes::Bytes;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::{TimeRange, WhereHeld};
use perch_domain::held::{CopyPlace, CopyReader};
use perch_domain::ports::ArchivePort;
use perch_domain::retention::{CopiesWanted, RetentionConfig};
use perch_domain::sync::hours::HourState;
use perch_domain::sync::object::Sha256;
use perch_domain::sync::plan::{CopyRecord, CopyStage, ToCopy};
use perch_domain::sync::target::{CopyWhat, GivenTarget, SyncTarget};
use perch_store::{Config, Store};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    SyncTarget { what: CopyWhat::All, ..target }
}

fn copied(store: &Store, target: &SyncTarget, one: &ToCopy, all: &[SyncTarget]) {
    copied_as(store, target, one, all, &format!("key {}", one.id));
}

fn copied_as(store: &Store, target: &SyncTarget, one: &ToCopy, all: &[SyncTarget], key: &str) {
    let is_sealed = !key.ends_with(".mp4");
    let seal = is_sealed.then(|| perch_base::secret::Secret::new(vec![1, 2]));
    let size_bytes = one.size_bytes + if is_sealed { 200 } else { 0 };
    let (key, sha256) = (key.to_owned(), Sha256([7; 32]));
    let record = CopyRecord { key, sha256, size_bytes, upload: Some("up".into()), seal };
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
    let hour = |wanted| {
        let range = TimeRange { from: s(0.0), to: s(10.0) };
        let hours = store.recordings().copies(&camera(), range, wanted).expect("asked");
        let [hour] = hours.as_slice() else { panic!("{hours:?}") };
        (hour.state, [hour.lost, hour.waiting, hour.unwanted, hour.copied, hour.verified])
    };
    assert_eq!(hour(CopyWhat::All), (HourState::Local, [0, 2, 0, 0, 1]), "of the one that went there is a copy");
    assert_eq!(hour(CopyWhat::Events), (HourState::Verified, [0, 0, 2, 0, 1]));
    // One target less: what the other has may go.
    copied(&store, &near, &all[1], &both);
    assert_eq!(gone(), 0);
    assert_eq!(hour(CopyWhat::All), (HourState::Local, [0, 1, 0, 1, 1]));
    store.recordings().copies_are_for(&both[..1]).expect("noted");
    assert_eq!(gone(), 1);
    // The disk's own reserve is hit: it goes all the same, and that is written down.
    store.limits().follow(&config(RetentionConfig { min_free_bytes: u64::MAX / 2, ..small }));
    assert_eq!(gone(), 1);
    let counts = store.recordings().copy_counts(&near, FAR).expect("counted");
    assert!(counts.lost == 1 && counts.lost_at.is_some());
    assert_eq!(hour(CopyWhat::All), (HourState::Lost, [1, 0, 0, 0, 2]));
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
    let record = CopyRecord { key: "old".into(), sha256: Sha256([7; 32]), size_bytes: 1, upload: None, seal: None };
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

/// Copies as they lie elsewhere, by their keys.
struct Elsewhere(SyncTarget, BTreeMap<String, Vec<u8>>);

impl CopyReader for Elsewhere {
    fn targets(&self) -> Vec<String> {
        vec![self.0.name()]
    }

    fn read(&self, copy: &CopyPlace, from: u64, to: u64) -> Result<Bytes> {
        assert_eq!(copy.target, self.0.name());
        let content = self.1.get(&copy.key).ok_or_else(|| Error::not_found("the store has no such object"))?;
        Ok(Bytes::copy_from_slice(&content[from as usize..to as usize]))
    }
}

fn export(store: &Store, from: f64, to: f64) -> Result<Vec<u8>> {
    let export = store.recordings().export(&camera(), range(from, to))?;
    export.chunks.collect::<Result<Vec<_>>>().map(|chunks| chunks.concat())
}

#[test]
fn what_went_is_played_from_its_copy_unless_that_is_encrypted_or_was_to_go() {
    let b = TestStore::new();
    let wanted = CopiesWanted { events: true, background: true };
    let config = |retention| Config { copies: wanted, retention, ..b.config() };
    let none = RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 0, event_max_days: 0 };
    let store = b.open();
    store.limits().follow(&config(none));
    for n in 0..4 {
        record(&store, 3 * n..3 * n + 3, None);
    }
    let near = target("near");
    let all = [near.clone()];
    store.recordings().copies_are_for(&all).expect("noted");
    let before = export(&store, 0.0, 6.0).expect("exported");
    let to_copy = store.recordings().to_copy(&near, FAR).expect("asked");
    let mut elsewhere = BTreeMap::new();
    // The third is encrypted, the fourth not copied.
    for (one, key) in to_copy.iter().zip(["0.mp4", "1.mp4", "2.mp4.age"]) {
        let file = store.recordings().open_to_copy(one).expect("opened");
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut { file }, &mut content).expect("read");
        elsewhere.insert(key.to_owned(), content);
        copied_as(&store, &near, one, &all, key);
    }
    store.limits().follow(&config(RetentionConfig { max_bytes: 1, ..none }));
    assert_eq!(store.recordings().enforce_retention(true).expect("looked").deleted, 3);
    let timeline = |store: &Store| store.recordings().timeline(&camera(), range(0.0, 12.0), s(100.0)).expect("asked");
    assert_eq!(timeline(&store).spans.len(), 1, "nobody reads copies");
    store.recordings().read_copies_by(Arc::new(Elsewhere(near.clone(), elsewhere.clone())));

    let shown = timeline(&store);
    let spans: Vec<_> = shown.spans.iter().map(|span| (span.start, span.end, span.held)).collect();
    let want =
        [(s(0.0), s(6.0), WhereHeld::Copy), (s(6.0), s(9.0), WhereHeld::Encrypted), (s(9.0), s(12.0), WhereHeld::Here)];
    assert_eq!((spans, shown.gaps), (want.to_vec(), vec![]));
    let segments = store.recordings().segments(&camera(), range(0.0, 12.0)).expect("asked");
    let ids: Vec<_> = segments.iter().map(|segment| segment.id).collect();
    assert_eq!(ids, [to_copy[0].id, to_copy[1].id, to_copy[3].id], "what can be played, in order");
    let opened = store.recordings().open_segment(&camera(), to_copy[1].id).expect("opened");
    let mut content = vec![0; opened.size_bytes as usize];
    opened.content.read_exact_at(&mut content, 0).expect("read");
    assert!(content == elsewhere["1.mp4"], "byte for byte");
    assert!(
        store
            .recordings()
            .open_segment(&perch_base::ids::CameraId::new("other").expect("valid"), to_copy[1].id)
            .is_err()
    );
    assert!(export(&store, 0.0, 6.0).expect("exported") == before, "as before");
    store.recordings().keyframe_at(&camera(), s(4.0)).expect("a still of then");
    for error in [
        store.recordings().open_segment(&camera(), to_copy[2].id).map(drop).expect_err("encrypted"),
        export(&store, 6.5, 8.5).map(drop).expect_err("encrypted"),
    ] {
        assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("your key"), "{error}");
    }

    // What somebody had deleted is no copy to be seen either.
    store.recordings().forget_now(&camera()).expect("wished");
    while store.recordings().forget_step().expect("done") == perch_store::ForgetStep::Went {}
    assert_eq!(timeline(&store).spans, []);
    assert_eq!(export(&store, 0.0, 6.0).expect_err("nothing").kind(), ErrorKind::NotFound);
}
