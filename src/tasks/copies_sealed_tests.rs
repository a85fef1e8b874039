//! Copies that are encrypted on the box: what the store holds opens with the owner's key, and says nothing to anybody else.

#![allow(clippy::disallowed_methods, reason = "the program age is a process")]

use super::*;
use perch_base::age::{self, AgeIdentity};
use perch_domain::sync::keys::{KeyForm, NameKey, name_keys};
use std::io::Read;
use std::path::Path;
use std::process::Command;

/// Of `age-keygen` 1.1.1.
const PUBLIC: &str = "age12s8kxhuvarkxwjpcqxrte7d93p09jgcatjjtv8e88u6t0q4fhgyqtpupzj";
const SECRET: &str = "AGE-SECRET-KEY-1LZYU7A4D7WY3FTV6CW7GVUQJHKPKF2MJR362K8R7NUK6V7D8AFRQQ8TQ6G";
const OTHER: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

fn by_us(path: &Path) -> Vec<u8> {
    let identity = AgeIdentity::parse(SECRET).expect("a key");
    let mut plain = Vec::new();
    let file = std::fs::File::open(path).expect("there");
    age::open(file, &[identity]).expect("for this key").read_to_end(&mut plain).expect("whole");
    plain
}

/// As the program does that everybody has.
fn by_age(path: &Path) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let key = dir.path().join("key");
    std::fs::write(&key, SECRET).expect("written");
    let out = Command::new("age").arg("-d").arg("-i").arg(&key).arg(path).output().expect("age runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

impl Bench {
    /// All objects but those by which the store was tried out, by their keys.
    fn objects(&self) -> Vec<(String, PathBuf)> {
        let bucket = self.dir.path().join("store").join(BUCKET);
        let all = walk_all(&bucket).into_iter().map(|path| {
            (self.server.key_of(&path.strip_prefix(&bucket).expect("within").to_string_lossy()), path.clone())
        });
        all.filter(|(key, _)| !key.contains("/_probe/")).collect()
    }

    /// The same, by what their names say.
    fn named(&self) -> Vec<(CopyName, PathBuf)> {
        let keys = self.keys();
        self.objects().into_iter().filter_map(|(key, path)| Some((keys.read(&key)?, path))).collect()
    }

    fn recordings(&self) -> Vec<PathBuf> {
        let mut all = self.named();
        all.sort();
        all.into_iter().filter(|(name, _)| matches!(name, CopyName::Recording { .. })).map(|(_, path)| path).collect()
    }

    fn parts(&self) -> Vec<PathBuf> {
        let mut all = self.named();
        all.sort();
        all.into_iter().filter(|(name, _)| matches!(name, CopyName::Part { .. })).map(|(_, path)| path).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_holds_what_the_owners_key_alone_opens() {
    let b = Bench::with("all", "all", &format!("encrypt_to = [{PUBLIC:?}]\n")).await;
    for bytes in [1_000, 5_300_000, 11_000_000] {
        b.record(bytes, None);
    }
    b.clock.advance(2 * SETTLED_AFTER);
    let _running = b.start();
    b.until_all_there(3).await;
    let (local, copies) = (b.local(), b.recordings());
    assert_eq!(copies.len(), 3);
    for (local, copy) in local.iter().zip(&copies) {
        assert!(copy.to_string_lossy().ends_with(".mp4.age"));
        assert!(&by_us(copy) == local && &by_age(copy) == local, "the same, byte for byte: {}", copy.display());
    }
    let objects = b.objects();
    assert_eq!(objects.len(), 6, "a recording and what it is, each");
    for (key, path) in &objects {
        assert!(std::fs::read(path).expect("there").starts_with(b"age-encryption.org/v1\n"), "{key}");
    }
    let facts = objects.iter().find(|(key, _)| key.ends_with(".json.age")).expect("what it is");
    let facts: serde_json::Value = serde_json::from_slice(&by_age(&facts.1)).expect("JSON");
    assert_eq!(facts["camera"], "front");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_costs_an_encrypted_recording_no_more_than_another() {
    let b = Bench::with("all", "all", &format!("encrypt_to = [{PUBLIC:?}]\n")).await;
    for bytes in [300_000, 17_000_000, 12_000_000] {
        b.record(bytes, None);
    }
    b.clock.advance(2 * SETTLED_AFTER);
    let bytes: u64 = b.local().iter().map(|file| file.len() as u64).sum();
    let kills = b.killed_each(4_100_000, bytes).await;
    let _running = b.start();
    b.until_all_there(3).await;
    let copies = b.recordings();
    assert_eq!(copies.len(), 3);
    for (local, copy) in b.local().iter().zip(&copies) {
        assert!(&by_us(copy) == local, "{}", copy.display());
    }
    let again = b.line.sent_bytes().saturating_sub(bytes);
    println!("{kills} kills over {bytes} bytes: {again} bytes more were sent");
    assert!(kills >= 5 && again <= kills * (PART_BYTES + 400_000), "{kills} kills, {again} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_encrypted_piece_by_piece() {
    let b = Bench::with("all", "all", &format!("encrypt_to = [{PUBLIC:?}]\n")).await;
    let _running = b.start();
    let mut file = b.begin_file(b.begin_event());
    for n in 0..3usize {
        b.write_fragment(&mut file, n);
        b.until("the fragment is there", |_| b.parts().len() == n + 2).await;
        let pieces: Vec<Vec<u8>> = b.parts().iter().map(|path| by_age(path)).collect();
        assert!(pieces.concat() == b.local().concat(), "what was there of it when the box died at this moment");
    }
    file.0.seal().expect("sealed");
    b.until_all_there(1).await;
    b.until("the pieces are gone", |_| b.parts().is_empty()).await;
    assert!(by_us(&b.recordings()[0]) == b.local()[0]);
    for (key, path) in b.objects() {
        assert!(key.ends_with(".age") && !by_us(&path).is_empty(), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_other_readers_an_upload_begins_anew_and_the_old_one_is_given_up() {
    let mut b = Bench::with("all", "all", &format!("encrypt_to = [{PUBLIC:?}]\n")).await;
    b.record(17_000_000, None);
    b.clock.advance(2 * SETTLED_AFTER);
    let running = b.start();
    while b.line.sent_bytes() < 7_000_000 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        b.clock.advance(Duration::from_millis(500));
    }
    running.supervisor.stop(&[TaskId::Copies(0)], Duration::ZERO).await;
    let store = S3Store::open(&b.target).expect("a store");
    let begun = b.store.recordings().to_copy(&b.target, Timestamp(i64::MAX)).expect("asked").remove(0);
    let record = begun.record.expect("begun");
    let upload = record.upload.expect("in parts");
    assert!(!store.parts(&record.key, &upload).await.expect("asked").is_empty());
    b.target.encrypt_to = [PUBLIC, OTHER].map(|key| age::Recipient::parse(key).expect("a key")).to_vec();
    let _running = b.start();
    b.until_all_there(1).await;
    assert!(by_age(&b.recordings()[0]) == b.local()[0]);
    let left = store.parts(&record.key, &upload).await.unwrap_or_default();
    assert!(left.is_empty(), "it is no more: {left:?}");
}

/// Bits a byte.
fn entropy(data: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    data.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let shares = counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / data.len() as f64);
    shares.map(|p| -p * p.log2()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_the_bucket_gets_no_name_and_no_frame() {
    let b = Bench::with("all", "all", &format!("encrypt_to = [{PUBLIC:?}]\nopaque = true\n")).await;
    b.record(6_000_000, None);
    let _running = b.start();
    let event = b.begin_event();
    let mut file = b.begin_file(event);
    for n in 0..2usize {
        b.write_fragment(&mut file, n);
    }
    b.until("the pieces are there", |_| b.parts().len() == 3).await;
    file.0.seal().expect("sealed");
    b.until_all_there(2).await;
    // All that lies on the server's disk, with what it notes beside the objects.
    let (day, _) = b.clock.utc().file_parts();
    let id = event.to_string();
    let said = ["front", &day, &id, "event", "video", "mp4", "json", "jpeg", &BoxId::of(b"box").to_string()];
    let store = b.dir.path().join("store");
    let mut seen = 0;
    for path in walk_all(&store).iter().filter(|path| !path.to_string_lossy().contains("_probe")) {
        let lies = path.strip_prefix(&store).expect("within").to_string_lossy().into_owned();
        let name = b.server.key_of(lies.trim_start_matches(&format!("{BUCKET}/")));
        let bytes = std::fs::read(path).expect("there");
        let text = String::from_utf8_lossy(&bytes);
        for word in said {
            // What the server calls its own notes is not in the bucket.
            assert!(!name.contains(word) || !lies.starts_with(BUCKET), "{name} says {word}");
            // By chance four given bytes stand once in so many of these: only what is long enough tells.
            assert!(word.len() < 5 || !text.contains(word), "{name} holds {word}");
        }
        if bytes.starts_with(b"age-encryption.org/v1\n") {
            seen += 1;
            let body = &bytes[300.min(bytes.len())..];
            assert!(body.len() < 40_000 || entropy(body) > 7.99, "{name}: {} bits a byte", entropy(body));
            // Nothing of a picture's beginning.
            assert!(!bytes.windows(12).any(|w| w == &KEY[4..16]), "{name}");
        }
    }
    // Two recordings, what each is, the event, three pieces, the key of names.
    assert_eq!(seen, b.objects().len(), "all of it is encrypted");
    assert!(seen >= 9, "{seen}");
    // The owner's key alone reads the names, from what is in the bucket.
    let objects = b.objects();
    let names: Vec<_> = objects.iter().filter(|(key, _)| key.starts_with(&name_keys("home"))).collect();
    assert_eq!(names.len(), 1);
    let names = NameKey::from_bytes(by_age(&names[0].1).try_into().expect("32 bytes"));
    let space = KeySpace::new("home", BoxId::of(b"box"), KeyForm::Opaque(names)).expect("valid");
    assert_eq!(objects.iter().filter(|(key, _)| space.read(key).is_some()).count(), objects.len() - 1);
    for (local, copy) in b.local().iter().zip(b.recordings()) {
        assert!(&by_us(&copy) == local);
    }
    // Pieces cannot be listed alone here: they go when all names are read, once a day.
    b.clock.advance(DAY);
    b.until("the pieces are gone", |_| b.parts().is_empty()).await;
    assert_eq!(b.recordings().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_nobody_goes_on_with_are_given_up() {
    let b = Bench::new("all", "all").await;
    let store = S3Store::open(&b.target).expect("a store");
    let camera = CameraId::new("front").expect("valid");
    let name = CopyName::Recording { camera, start: b.clock.utc(), hash: ShortHash::of(&[5; 32]) };
    let object = |key: String| NewObject { key, content_type: MP4, sha256: Sha256([5; 32]), only_if_new: false };
    let (ours, others) = (object(b.keys().key(&name)), object("home/of-somebody-else".into()));
    store.begin_parts(&ours).await.expect("begun");
    store.begin_parts(&others).await.expect("begun");
    assert_eq!(store.unfinished("home/").await.expect("listed").len(), 2);
    let _running = b.start();
    b.until("looked", |s| s.state == CopyingState::UpToDate).await;
    let left = store.unfinished("home/").await.expect("listed");
    assert_eq!(left.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["home/of-somebody-else"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_is_copied_in_order_and_once() {
    let b = Bench::with("all", "all", &format!("encrypt_to = [{PUBLIC:?}]\n")).await;
    let data = tempfile::tempdir().expect("a folder");
    b.store.recordings().sign_with(Arc::new(perch_pki::BoxKey::open(data.path()).expect("a key")));
    for _ in 0..3 {
        b.record(1_000, None);
        b.clock.advance(Duration::from_secs(3_600));
    }
    b.clock.advance(Duration::from_secs(3_600));
    while b.store.recordings().make_manifest().expect("signed").is_some() {}
    let kept = b.store.recordings().manifests().expect("listed");
    assert!(kept.len() >= 2, "{kept:?}");
    // One that cannot be read keeps no recording from going, and goes itself once it can.
    let first = b.dir.path().join("data/manifests").join(kept[0].name.path().trim_start_matches("_manifests/"));
    let aside = b.dir.path().join("aside");
    std::fs::rename(&first, &aside).expect("set aside");
    std::fs::create_dir(&first).expect("in its place");
    let running = b.start();
    b.until_all_there(3).await;
    std::fs::remove_dir(&first).expect("removed");
    std::fs::rename(&aside, &first).expect("put back");
    b.until("the manifests are there", |_| {
        b.named().iter().filter(|(name, _)| matches!(name, CopyName::Manifest { .. })).count() == kept.len()
    })
    .await;
    for (_, path) in b.named().iter().filter(|(name, _)| matches!(name, CopyName::Manifest { .. })) {
        perch_domain::evidence::Statement::read(&by_age(path)).expect("signed");
    }
    b.until("all is noted", |_| b.store.recordings().manifests_to_copy(&b.target).is_ok_and(|left| left.is_empty()))
        .await;
    running.supervisor.stop(&[TaskId::Copies(0)], Duration::from_secs(5)).await;
}
