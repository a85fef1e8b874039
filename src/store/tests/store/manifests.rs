//! What the box signs of its recordings: hour by hour, and at the end of each export.

use crate::common::*;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use perch_base::Result;
use perch_base::time::{MonoTime, Timestamp};
use perch_domain::archive::GapCause;
use perch_domain::evidence::{
    ContentHash, CopiedFile, EvidenceKey, FoundManifest, KeyTrust, PublicKey, Statement, StatementHead, check_export,
    export_box, verify,
};
use perch_domain::ports::ArchivePort;
use perch_domain::sync::keys::parse_copied;
use perch_store::Store;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

struct TestKey(Ed25519KeyPair);

impl EvidenceKey for TestKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().expect("32 bytes"))
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64]> {
        Ok(self.0.sign(bytes).as_ref().try_into().expect("64 bytes"))
    }
}

fn key() -> Arc<dyn EvidenceKey> {
    Arc::new(TestKey(Ed25519KeyPair::from_seed_unchecked(&[5; 32]).expect("a seed")))
}

fn opened(b: &TestStore) -> Store {
    let store = b.open();
    store.recordings().sign_with(key());
    store
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-05-01T{text}Z")).expect("a time")
}

/// A second of the clip as a file that begins `offset_s` after [`t0`].
fn record_at(store: &Store, offset_s: f64) {
    let mut w = store.recordings().create_segment(&camera(), s(offset_s), None, &format(clip())).expect("created");
    w.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    w.seal().expect("sealed");
}

/// Everything that is signed against everything that lies there.
fn checked(b: &TestStore, store: &Store) -> perch_domain::evidence::Verified {
    let manifests = store.recordings().manifests().expect("listed");
    let read = |m| Statement::read(&store.recordings().read_manifest(m).expect("read")).map_err(|e| e.to_string());
    let found =
        manifests.iter().map(|m| FoundManifest { file: m.number.to_string(), named: Some(m.number), read: read(m) });
    let files = b.files().into_iter().map(|path| {
        let file = path.display().to_string();
        CopiedFile { named: parse_copied(&file), file, sha256: ContentHash::of(&fs::read(path).expect("read")) }
    });
    verify(KeyTrust::Any, None, found.collect(), &files.collect::<Vec<_>>())
}

#[test]
fn each_hour_is_signed_once_when_it_is_settled() {
    let b = TestStore::new();
    let store = opened(&b);
    let make = || store.recordings().make_manifest().expect("asked");
    b.clock.set_utc(at("13:30:00"));
    assert_eq!(make(), None, "nothing is recorded");
    b.clock.set_utc(at("12:10:00"));
    (0..3).for_each(|n| record_at(&store, f64::from(n)));
    b.clock.set_utc(at("13:19:59"));
    assert_eq!(make(), None, "it may still be cut back");
    b.clock.set_utc(at("13:20:00"));
    assert_eq!((make(), make()), (Some(1), None), "once");
    record_at(&store, 3600.0);
    record_at(&store, 3.0 * 3600.0);
    b.clock.set_utc(at("17:00:00"));
    assert_eq!((make(), make(), make()), (Some(2), Some(3), None));
    let v = checked(&b, &store);
    assert_eq!((v.doubts, v.whole, v.manifests.len()), (vec![], 5, 3));
    assert!(v.gaps.iter().any(|gap| gap.cause == GapCause::Unknown && gap.start == s(3601.0)), "{:?}", v.gaps);

    let file = b.files().remove(1);
    let mut content = fs::read(&file).expect("read");
    content[700] ^= 1;
    fs::write(&file, content).expect("written");
    fs::remove_file(b.files().remove(3)).expect("removed");
    let doubts: Vec<_> = checked(&b, &store).doubts.iter().map(ToString::to_string).collect();
    assert_eq!(doubts.len(), 2, "{doubts:?}");
    assert!(
        doubts[0].contains("120001.250Z.mp4: changed")
            && doubts[1].contains("missing")
            && doubts[1].contains("13:00:00.25"),
        "{doubts:?}"
    );
}

#[test]
fn what_is_being_written_is_waited_for_and_a_hash_that_is_missing_is_made() {
    let b = TestStore::new();
    let store = opened(&b);
    record_at(&store, 0.0);
    let mut open = store.recordings().create_segment(&camera(), s(1.0), None, &format(clip())).expect("created");
    open.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    b.clock.set_utc(at("14:00:00"));
    assert_eq!(store.recordings().make_manifest().expect("asked"), None);
    open.seal().expect("sealed");
    drop(store);
    // Files that are taken in have no hash in the index.
    for name in ["perch.db", "perch.db-wal", "perch.db-shm"] {
        let _ = fs::remove_file(b.data().join(name));
    }
    let store = b.start();
    store.recordings().sign_with(key());
    assert_eq!(store.recordings().make_manifest().expect("asked"), None, "the index does not know all files yet");
    store.recordings().reconcile().expect("compared");
    assert_eq!(store.recordings().make_manifest().expect("made"), Some(1));
    let v = checked(&b, &store);
    assert_eq!((v.doubts, v.whole), (vec![], 2));
}

#[test]
fn a_damaged_manifest_is_followed_on_and_seen_and_old_ones_go() {
    let b = TestStore::new();
    let store = opened(&b);
    let make = || store.recordings().make_manifest().expect("asked");
    record_at(&store, 0.0);
    record_at(&store, 3600.0);
    b.clock.set_utc(at("15:00:00"));
    assert_eq!((make(), make()), (Some(1), Some(2)));
    let day = fs::read_dir(b.data().join("manifests/2026-05-01")).expect("there");
    let mut files = day.map(|file| file.expect("read").path());
    let is_second = |file: &PathBuf| file.file_name().is_some_and(|n| n.to_string_lossy().starts_with("00000002-"));
    let second = files.find(is_second).expect("the second");
    let whole = fs::read(&second).expect("read");
    let mut bad = whole.clone();
    bad[100] ^= 1;
    fs::write(&second, bad).expect("written");
    record_at(&store, 7200.0);
    b.clock.set_utc(at("17:00:00"));
    assert_eq!((make(), make()), (Some(3), Some(4)), "it goes on, and says again what the damaged one said");
    fs::write(&second, whole).expect("written");
    // What was there when the third was made was not this one.
    let doubts = checked(&b, &store).doubts;
    assert!(doubts.len() == 1 && doubts[0].to_string().contains("does not follow on manifest 2"), "{doubts:?}");

    for file in b.files() {
        fs::remove_file(file).expect("removed");
    }
    drop(store);
    let store = opened(&b);
    let later = 20.0 * 86_400.0;
    b.clock.set_utc(s(later));
    record_at(&store, later);
    b.clock.set_utc(s(later + 7200.0));
    assert_eq!(store.recordings().make_manifest().expect("made"), Some(5));
    let left: Vec<_> = store.recordings().manifests().expect("listed").iter().map(|m| m.number).collect();
    assert_eq!(left, [5]);
}

#[test]
fn an_export_says_what_it_is_and_plays() {
    let b = TestStore::new();
    let store = opened(&b);
    for n in [0..3, 3..5] {
        record(&store, n, None);
    }
    let export = store.recordings().export(&camera(), range(0.0, 99.0)).expect("recorded");
    let file: Vec<u8> = export.chunks.flat_map(|c| c.expect("a chunk")).collect();
    let path = b.dir.path().join("export.mp4");
    fs::write(&path, &file).expect("written");
    assert_eq!(probe(&path).video, 5 * FPS as u64, "players pass over what is behind");
    let read = |at: u64| {
        let mut out = [0; 32];
        let rest = &file[at as usize..];
        out[..rest.len().min(32)].copy_from_slice(&rest[..rest.len().min(32)]);
        Ok::<_, std::convert::Infallible>(out)
    };
    let Ok(found) = export_box(file.len() as u64, read);
    let found = found.expect("it is signed");
    let media = &file[..found.media_bytes as usize];
    let media = (media.len() as u64, ContentHash::of(media));
    let (head, statement) = check_export(&file[found.statement_at as usize..], media).expect("right");
    assert_eq!((head.camera, head.from, head.made_at), (camera(), s(0.0), b.now()));
    assert!(matches!(statement.head, StatementHead::Export(_)));
    let listed: Vec<_> = statement.recordings().map(|r| r.sha256).collect();
    let lying: Vec<_> = b.files().iter().map(|f| ContentHash::of(&fs::read(f).expect("read"))).collect();
    assert_eq!(listed, lying);
}
