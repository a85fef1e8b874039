//! Statements, chains and exports as they are, and with everything that can be wrong with them.

use super::*;
use crate::archive::{GapCause, TimeRange};
use crate::sync::keys::to_ms;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use bytes::Bytes;
use perch_base::ids::{CameraId, EventId};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use std::convert::Infallible;
use std::sync::Arc;

/// The secret key of RFC 8032, 7.1, test 1, and one more.
const SEEDS: [[u8; 32]; 2] = [
    [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
        0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ],
    [7; 32],
];

const CHAIN: ChainId = ChainId([0xc4; 8]);

struct TestKey(Ed25519KeyPair);

impl TestKey {
    fn new(n: usize) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&SEEDS[n]).expect("a seed"))
    }
}

impl EvidenceKey for TestKey {
    fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().try_into().expect("32 bytes"))
    }

    fn sign(&self, bytes: &[u8]) -> Result<[u8; 64]> {
        Ok(self.0.sign(bytes).as_ref().try_into().expect("64 bytes"))
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-05-01T{text}Z")).expect("a time")
}

fn camera() -> CameraId {
    CameraId::new("front").expect("an id")
}

/// A recording whose bytes are its start, as text.
fn recorded(start: Timestamp) -> RecordedFile {
    let bytes = start.to_string();
    RecordedFile {
        camera: camera(),
        start,
        end: start.plus_micros(60_000_000),
        bytes: bytes.len() as u64,
        sha256: ContentHash::of(bytes.as_bytes()),
        event: (start == at("12:01:00")).then_some(EventId(start.0)),
    }
}

fn copied(file: &RecordedFile) -> CopiedFile {
    let named = Some((file.camera.clone(), to_ms(file.start)));
    CopiedFile { file: format!("front/{}.mp4", file.start), named, sha256: file.sha256 }
}

/// Three manifests, an hour each, with three files each, of which the last hour has a gap.
fn three_hours(key: &TestKey) -> (Vec<Vec<u8>>, Vec<RecordedFile>) {
    let (mut manifests, mut files, mut previous) = (Vec::new(), Vec::new(), None::<PreviousManifest>);
    for hour in 12..15 {
        let range = (at(&format!("{hour}:00:00")), at(&format!("{}:00:00", hour + 1)));
        let mine: Vec<_> = (0..3).map(|n| recorded(range.0.plus_micros(n * 60_000_000))).collect();
        let mut lines: Vec<_> = mine.iter().cloned().map(ManifestLine::Recording).collect();
        if hour == 14 {
            let (start, end) = (at("14:03:00"), at("15:00:00"));
            lines.push(ManifestLine::Gap(ManifestGap { camera: camera(), start, end, cause: GapCause::BoxOff }));
        }
        let place = (CHAIN, previous.map_or(1, |p| p.number + 1), previous.map(|p| p.hash));
        let head = ManifestHead::of_chain(key.public_key(), place, range, range.1.plus_micros(SETTLED_AFTER_US));
        let of = head.clone();
        let bytes = sign(&StatementHead::Manifest(head), &lines, key).expect("signed");
        previous = Some(of.as_previous(ContentHash::of(&bytes)));
        manifests.push(bytes);
        files.extend(mine);
    }
    (manifests, files)
}

fn found(manifests: &[Vec<u8>]) -> Vec<FoundManifest> {
    let read = |bytes: &Vec<u8>| Statement::read(bytes).map_err(|e| e.message().to_owned());
    let all = manifests.iter().zip(1..);
    all.map(|(bytes, n)| FoundManifest { file: format!("{n}.jsonl"), named: Some(n), read: read(bytes) }).collect()
}

fn doubts(manifests: Vec<FoundManifest>, files: &[CopiedFile]) -> Vec<String> {
    verify(KeyTrust::Any, None, manifests, files).doubts.iter().map(Doubt::to_string).collect()
}

#[test]
fn a_manifest_is_these_bytes() {
    let (manifests, _) = three_hours(&TestKey::new(0));
    let text = std::str::from_utf8(&manifests[2]).expect("text");
    // Its signature was checked by `openssl pkeyutl -verify -rawin` as well.
    let golden = include_str!("golden.jsonl");
    assert_eq!(text, golden, "the form is what others read: it does not change");
    let read = Statement::read(text.as_bytes()).expect("as it is written");
    assert_eq!((read.recordings().count(), read.gaps().count()), (3, 1));
    assert_eq!(read.head.key().to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
}

#[test]
fn every_changed_bit_of_a_manifest_is_seen() {
    let (manifests, _) = three_hours(&TestKey::new(0));
    let whole = &manifests[2];
    for byte in 0..whole.len() {
        for bit in [0, 3, 5, 7] {
            let mut bad = whole.clone();
            bad[byte] ^= 1 << bit;
            assert!(Statement::read(&bad).is_err(), "byte {byte}, bit {bit}");
        }
        assert!(Statement::read(&whole[..byte]).is_err(), "{byte} bytes");
    }
    let line = whole.iter().position(|b| *b == b'\n').expect("lines") + 1;
    for bad in [[whole, &b"\n"[..]].concat(), [whole.as_slice(), whole].concat(), whole[line..].to_vec(), Vec::new()] {
        assert!(Statement::read(&bad).is_err());
    }
    // Signed well, but not spelled as a box spells it.
    let text = String::from_utf8(whole.clone()).expect("text");
    let spaced = text.replacen("\"number\":3", "\"number\": 3", 1);
    let body = &spaced[..spaced.find("{\"signature\"").expect("signed")];
    let signature = perch_base::secret::hex(&TestKey::new(0).sign(body.as_bytes()).expect("signed"));
    let bad = format!("{body}{{\"signature\":\"{signature}\"}}\n");
    assert!(Statement::read(bad.as_bytes()).expect_err("another spelling").message().contains("form"));
}

#[test]
fn a_whole_chain_is_whole() {
    let (manifests, files) = three_hours(&TestKey::new(0));
    let files: Vec<_> = files.iter().map(copied).collect();
    let v = verify(KeyTrust::Any, None, found(&manifests), &files);
    assert_eq!((v.doubts, v.whole, v.manifests), (vec![], 9, vec![(CHAIN, 1), (CHAIN, 2), (CHAIN, 3)]));
    assert_eq!((v.gaps.len(), v.gaps[0].cause), (1, GapCause::BoxOff));
    assert_eq!(v.keys, [TestKey::new(0).public_key()]);
    // A part of the chain is one, too: what lies outside is not demanded.
    let range = TimeRange::new(at("13:00:00"), at("14:00:00")).expect("a range");
    assert_eq!(verify(KeyTrust::Any, Some(range), found(&manifests), &files[3..6]).doubts, []);
    assert_eq!(verify(KeyTrust::Any, None, found(&manifests[..2]), &files).not_covered.len(), 3);
}

#[test]
fn each_kind_of_doubt_is_named() {
    let key = TestKey::new(0);
    let (manifests, recorded) = three_hours(&key);
    let files: Vec<_> = recorded.iter().map(copied).collect();
    let one = |got: Vec<String>, want: &[&str]| {
        assert_eq!(got.len(), 1, "{got:?}");
        assert!(want.iter().all(|w| got[0].contains(w)), "{got:?} lacks one of {want:?}");
    };
    let mut altered = files.clone();
    altered[4].sha256 = ContentHash::of(b"one flipped byte");
    one(doubts(found(&manifests), &altered), &["front/2026-05-01T13:01:00.000000Z.mp4: changed", "camera front"]);
    one(
        doubts(found(&manifests), &[&files[..4], &files[5..]].concat()),
        &["missing: camera front", "13:01:00", "manifest 2"],
    );
    // Two manifests that changed places: each is named by its number, though all signatures are right.
    let swapped = [manifests[1].clone(), manifests[0].clone(), manifests[2].clone()];
    let got = doubts(found(&swapped), &files);
    assert_eq!(
        got,
        [
            "manifest 1.jsonl: it has number 2, and is called otherwise",
            "manifest 2.jsonl: it has number 1, and is called otherwise"
        ]
    );
    // One in the place of another: signed by the same key, with the same number and another content.
    let stranger = (CHAIN, 2, Some(ContentHash::of(b"x")));
    let range = (at("13:00:00"), at("14:00:00"));
    let head = ManifestHead::of_chain(key.public_key(), stranger, range, at("15:00:00"));
    let lines: Vec<_> = recorded[3..6].iter().cloned().map(ManifestLine::Recording).collect();
    let other = sign(&StatementHead::Manifest(head), &lines, &key).expect("signed");
    let got = doubts(found(&[manifests[0].clone(), other.clone(), manifests[2].clone()]), &files);
    assert!(got.iter().all(|d| d.contains("does not follow")) && got.len() == 2, "{got:?}");
    let mut twice = found(&manifests);
    twice.extend(found(&[other]).into_iter().map(|m| FoundManifest { file: "2-other.jsonl".into(), named: None, ..m }));
    let got = doubts(twice, &files);
    assert_eq!(got[0], "manifests 2-other.jsonl and 2.jsonl both have number 2");
    assert!(got[1..].iter().all(|d| d.contains("does not follow")), "neither is taken for the right one: {got:?}");
    let mut gone = found(&manifests);
    gone.remove(1);
    let v = verify(KeyTrust::Any, None, gone, &files);
    assert_eq!((&v.doubts[..], v.not_covered.len()), (&[Doubt::MissingManifests(2, 2)][..], 3));
    let mut flipped = manifests.clone();
    flipped[2][200] ^= 1;
    let got = doubts(found(&flipped), &files);
    assert!(got.len() == 1 && got[0].starts_with("manifest 3.jsonl: "), "{got:?}");
    let mut more = files.clone();
    more.push(copied(&RecordedFile { start: at("12:30:00"), ..super::tests::recorded(at("12:30:00")) }));
    one(doubts(found(&manifests), &more), &["12:30:00.000000Z.mp4", "does not list it"]);
    assert_eq!(doubts(Vec::new(), &[]), [Doubt::NoManifest.to_string()]);
}

/// A box that was replaced has the key of its backup and none of its manifests.
#[test]
fn a_box_that_begins_anew_is_no_doubt() {
    let key = TestKey::new(0);
    let (manifests, recorded) = three_hours(&key);
    let later = super::tests::recorded(at("16:10:00"));
    let head = ManifestHead::new(key.public_key(), None, (at("16:00:00"), at("17:00:00")), at("17:20:00"));
    let next = head.clone();
    let anew = sign(&StatementHead::Manifest(head), &[ManifestLine::Recording(later.clone())], &key).expect("signed");
    let next = ManifestHead::new(
        key.public_key(),
        Some(next.as_previous(ContentHash::of(&anew))),
        (at("17:00:00"), at("18:00:00")),
        at("18:20:00"),
    );
    let next = sign(&StatementHead::Manifest(next), &[], &key).expect("signed");
    let mut all = found(&manifests);
    let file = |n: u64| (format!("anew-{n}.jsonl"), Some(n));
    all.extend(found(&[anew, next]).into_iter().zip(1..).map(|(m, n)| FoundManifest {
        file: file(n).0,
        named: file(n).1,
        ..m
    }));
    let files: Vec<_> = recorded.iter().chain([&later]).map(copied).collect();
    let v = verify(KeyTrust::Any, None, all, &files);
    assert_eq!((v.doubts, v.whole, v.manifests.len()), (vec![], 10, 5));
}

#[test]
fn another_box_is_not_believed() {
    let (manifests, files) = three_hours(&TestKey::new(0));
    let (foreign, _) = three_hours(&TestKey::new(1));
    let files: Vec<_> = files.iter().map(copied).collect();
    let key = TestKey::new(0).public_key();
    for trust in [key.to_string(), key.box_id().to_string()] {
        let trust = KeyTrust::parse(&trust).expect("a key");
        assert_eq!(verify(trust, None, found(&manifests), &files).doubts, []);
        let v = verify(trust, None, found(&foreign), &files);
        assert_eq!((v.doubts.len(), v.whole, v.not_covered.len()), (3, 0, 9), "none is believed");
    }
    let mixed = [manifests[0].clone(), foreign[1].clone(), manifests[2].clone()];
    let got = doubts(found(&mixed), &files);
    assert!(got[0].contains("another box") && got[1].contains("manifest 2 is missing"), "{got:?}");
    assert_eq!(KeyTrust::parse("front"), None);
}

#[test]
fn an_export_carries_its_manifest_and_every_changed_byte_is_seen() {
    let key: Arc<dyn EvidenceKey> = Arc::new(TestKey::new(0));
    let media = [&[0, 0, 0, 16][..], b"ftypisom0000", &[0, 0, 0, 12], b"mdatabcd"].concat();
    let chunks = || media.chunks(7).map(|c| Ok(Bytes::copy_from_slice(c)));
    let range = (at("12:00:00"), at("12:01:00"));
    let export = |chunks: Vec<Result<Bytes>>| {
        let sources = || Ok(vec![ManifestLine::Recording(recorded(at("12:00:00")))]);
        SignedExport::new(chunks.into_iter(), key.clone(), camera(), range, at("13:00:00"), Box::new(sources))
    };
    let file: Vec<u8> = export(chunks().collect()).flat_map(|c| c.expect("made")).collect();
    let check = |file: &[u8]| -> Result<ExportHead> {
        let read = |at: u64| -> Result<[u8; 32], Infallible> {
            let mut out = [0; 32];
            let rest = &file[at as usize..];
            let n = rest.len().min(32);
            out[..n].copy_from_slice(&rest[..n]);
            Ok(out)
        };
        let Ok(found) = export_box(file.len() as u64, read);
        let found = found.ok_or_else(|| Error::not_found("nothing"))?;
        let (media, statement) = (&file[..found.media_bytes as usize], &file[found.statement_at as usize..]);
        check_export(statement, (media.len() as u64, ContentHash::of(media))).map(|(head, _)| head)
    };
    let head = check(&file).expect("as it was made");
    assert_eq!((head.camera, head.from, head.media_bytes), (camera(), range.0, media.len() as u64));
    for n in 0..file.len() {
        let mut bad = file.clone();
        bad[n] ^= 1;
        assert!(check(&bad).is_err(), "byte {n}");
        assert!(check(&file[..n]).is_err(), "{n} bytes");
    }
    assert!(check(&[&file[..], b"more"].concat()).is_err());
    // What breaks off is not signed.
    let broken: Vec<_> = export(vec![Ok(Bytes::from_static(b"x")), Err(Error::internal("gone"))]).collect();
    assert!(broken.len() == 2 && broken[1].as_ref().is_err_and(|e| e.kind() == ErrorKind::Internal));
}

#[test]
fn a_manifest_is_due_once_its_hour_is_settled() {
    let hour = |h: i64, min: i64| Timestamp((h * 60 + min) * 60_000_000);
    let newest = |to| Some(Newest { to });
    for (name, last, now, first, want) in [
        ("nothing is recorded", None, hour(10, 0), None, None),
        ("the first one begins with its hour", None, hour(10, 20), Some(hour(9, 30)), Some((hour(9, 0), hour(10, 0)))),
        ("not yet settled", None, hour(10, 19), Some(hour(9, 30)), None),
        (
            "it joins on the one before",
            newest(hour(10, 0)),
            hour(11, 20),
            Some(hour(10, 5)),
            Some((hour(10, 0), hour(11, 0))),
        ),
        (
            "hours without anything go along",
            newest(hour(10, 0)),
            hour(20, 0),
            Some(hour(15, 5)),
            Some((hour(10, 0), hour(16, 0))),
        ),
        ("the clock was a little ahead", newest(hour(30, 0)), hour(20, 0), None, None),
        ("the clock was far ahead", newest(hour(90, 0)), hour(20, 30), Some(hour(20, 10)), None),
        ("and is right", newest(hour(90, 0)), hour(21, 30), Some(hour(20, 10)), None),
    ] {
        let got = next_manifest(last, now, |from| first.filter(|first| *first >= from));
        assert_eq!(got, want, "{name}");
    }
    let after = next_manifest(newest(hour(90, 0)), hour(21, 30), |from| Some(from.max(hour(20, 10))));
    assert_eq!(after, None, "its own hour is not over");
    let day = |d: i64| hour(24 * d, 0);
    for (to, oldest, want) in
        [(1, Some(9), true), (1, Some(8), false), (1, None, true), (20, None, false), (19, Some(30), false)]
    {
        assert_eq!(may_go(day(to), oldest.map(day), Newest { to: day(20) }), want, "{to} {oldest:?}");
    }
}
