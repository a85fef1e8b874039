//! Files that somebody else put among the recordings: however large they are and whatever they claim, they hold up nothing, and
//! nobody believes more than this box can have written.

use crate::common::*;
use perch_domain::archive::Segment;
use perch_domain::ports::ArchivePort;
use perch_store::Store;
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A recording of five seconds, its file and what is in it. No index knows of it any more.
fn recorded(b: &TestStore) -> (Segment, PathBuf, Vec<u8>) {
    let store = b.open();
    let segment = record(&store, 0..5, None);
    drop(store);
    forget(b);
    let file = b.files().remove(0);
    let data = fs::read(&file).expect("read");
    (segment, file, data)
}

fn forget(b: &TestStore) {
    for name in ["perch.db", "perch.db-wal", "perch.db-shm"] {
        let _ = fs::remove_file(b.data().join(name));
    }
}

fn all(store: &Store) -> Vec<Segment> {
    store.recordings().segments(&camera(), range(-1.0, 3e7)).expect("asked")
}

/// Where the whole file is kept.
fn kept(b: &TestStore) -> PathBuf {
    b.data().join("quarantine/front_2026-05-01_120000.250Z.mp4")
}

/// Where a box of this kind begins, the `n`th of them; counted from its kind.
fn nth(data: &[u8], kind: &[u8; 4], n: usize) -> usize {
    let mut found = (0..data.len() - 4).filter(|i| data[*i..*i + 4] == *kind);
    found.nth(n).expect("so many")
}

fn number(data: &[u8], at: usize) -> usize {
    u32::from_be_bytes(data[at..at + 4].try_into().expect("four")) as usize
}

/// Gives all samples of a run, whose `trun` is at `at`, this length in ticks.
fn forge_durations(at: usize, ticks: u32, data: &mut [u8]) {
    let has_first_flags = number(data, at + 4) & 4 != 0;
    let entries = at + if has_first_flags { 20 } else { 16 };
    for n in 0..number(data, at + 8) {
        data[entries + 8 * n..entries + 8 * n + 4].copy_from_slice(&ticks.to_be_bytes());
    }
}

#[test]
fn a_hole_of_gigabytes_is_neither_looked_through_nor_copied() {
    const HOLE_BYTES: u64 = 3 << 30;
    let b = TestStore::new();
    let (segment, file, data) = recorded(&b);
    let (good, last) = data.split_at(segment.fragments[4].offset_bytes as usize);
    // The second is no more than the file and a hole behind it.
    for tail in [last, b""] {
        let mut f = File::create(&file).expect("made");
        f.write_all(good).expect("written");
        f.set_len(good.len() as u64 + HOLE_BYTES).expect("a hole");
        f.seek(SeekFrom::End(0)).expect("at its end");
        f.write_all(tail).expect("written");
        drop(f);
        let store = b.open();
        let [left] = &all(&store)[..] else { panic!("one") };
        assert_eq!((left.fragments.len(), left.end), (4, s(4.0)));
        assert!(fs::read(&file).expect("read") == good);
        let kept_file = fs::metadata(kept(&b)).expect("kept whole");
        assert_eq!(kept_file.len(), (good.len() + tail.len()) as u64 + HOLE_BYTES);
        assert!(kept_file.blocks() * 512 < 16 << 20, "{} blocks: the hole was written", kept_file.blocks());
        drop(store);
        fs::remove_file(kept(&b)).expect("removed");
        forget(&b);
    }
    // No fragment before the hole: nothing is left of it but the whole file.
    let init = &data[..segment.init_size_bytes as usize];
    fs::write(&file, init).expect("written");
    OpenOptions::new().write(true).open(&file).and_then(|f| f.set_len(HOLE_BYTES)).expect("a hole");
    let store = b.open();
    assert_eq!((all(&store), b.files().len()), (vec![], 0));
    assert_eq!(fs::metadata(kept(&b)).expect("set aside").len(), HOLE_BYTES);
}

#[test]
fn forged_times_are_not_believed() {
    const YEARS: u32 = u32::MAX;
    type Forge = fn(&mut [u8]);
    // Each fragment has two runs: video, then sound.
    let forgeries: [(&str, Forge, usize); 6] = [
        ("all durations", |d| (0..5).for_each(|n| forge_durations(nth(d, b"trun", 2 * n), YEARS, d)), 0),
        ("durations of the third", |d| forge_durations(nth(d, b"trun", 4), YEARS, d), 2),
        ("its sound's", |d| forge_durations(nth(d, b"trun", 5), YEARS, d), 2),
        ("its beginning", |d| d[nth(d, b"tfdt", 4) + 9] = 1, 2),
        ("the end of the last", |d| forge_durations(nth(d, b"trun", 8), 90_000 * 3600, d), 4),
        ("durations of nothing, which is odd and harms nobody", |d| forge_durations(nth(d, b"trun", 8), 0, d), 5),
    ];
    for (what, forge, believed) in forgeries {
        let b = TestStore::new();
        let (_, file, mut data) = recorded(&b);
        forge(&mut data);
        fs::write(&file, &data).expect("written");
        let store = b.open();
        let left = all(&store);
        assert_eq!(left.iter().map(|x| x.fragments.len()).sum::<usize>(), believed, "{what}");
        assert!(left.iter().all(|x| x.end <= s(5.0)), "{what}: {left:?}");
        assert_eq!(file.exists(), believed > 0, "{what}");
        let kept = fs::read(kept(&b)).ok();
        assert!(kept == (believed < 5).then_some(data), "{what}: whatever is not believed is kept as it was");
        let timeline = store.recordings().timeline(&camera(), range(-10.0, 1e6), s(1e6)).expect("timeline");
        assert!(timeline.spans.iter().all(|span| span.end <= s(5.0)), "{what}: {:?}", timeline.spans);
    }
}

#[test]
fn boxes_without_end_are_not_walked_through() {
    let b = TestStore::new();
    let (segment, file, data) = recorded(&b);
    let (init, rest) = data.split_at(segment.init_size_bytes as usize);
    fs::write(&file, [init, &b"\0\0\0\x08prft".repeat(1 << 18), rest].concat()).expect("written");
    let store = b.open();
    assert_eq!((all(&store), b.files().len(), b.quarantined()), (vec![], 0, 1));
}

/// A fragment of 200,000 samples, of which all but the first are empty.
fn heavy_fragment() -> Vec<u8> {
    const SAMPLES: u32 = 200_000;
    let number = |n: u32| n.to_be_bytes().to_vec();
    let framed = |kind: &[u8; 4], body: Vec<u8>| [number(body.len() as u32 + 8), kind.to_vec(), body].concat();
    let moof = |offset: u32| {
        let tfhd = framed(b"tfhd", [number(0x02_0020), number(1), number(0)].concat());
        let tfdt = framed(b"tfdt", [number(1 << 24), number(0), number(0)].concat());
        let mut entries = vec![0; 8 * SAMPLES as usize];
        entries[7] = 5;
        let trun = framed(b"trun", [number(0x301), number(SAMPLES), number(offset), entries].concat());
        let traf = framed(b"traf", [tfhd, tfdt, trun].concat());
        framed(b"moof", [framed(b"mfhd", [number(0), number(1)].concat()), traf].concat())
    };
    let offset = moof(0).len() as u32 + 8;
    [moof(offset), framed(b"mdat", vec![0, 0, 0, 1, 0x65])].concat()
}

#[test]
fn heads_without_end_are_not_read() {
    let b = TestStore::new();
    let (segment, file, data) = recorded(&b);
    let mut f = File::create(&file).expect("made");
    f.write_all(&data[..segment.init_size_bytes as usize]).expect("written");
    let heavy = heavy_fragment();
    for _ in 0..50 {
        f.write_all(&heavy).expect("written");
    }
    drop(f);
    let store = b.open();
    let [left] = &all(&store)[..] else { panic!("one") };
    let most = (64 << 20) / heavy.len();
    assert!((most - 1..=most + 1).contains(&left.fragments.len()), "{} of 50", left.fragments.len());
    assert_eq!(fs::metadata(kept(&b)).expect("kept whole").len(), left.init_size_bytes + 50 * heavy.len() as u64);
}
