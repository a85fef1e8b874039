//! Looking back: export, timeline, events, stills, and what retention leaves.

use crate::common::*;
use perch_base::ErrorKind;
use perch_base::ids::{CameraId, EventId};
use perch_base::time::MonoTime;
use perch_domain::access::CameraGrant;
use perch_domain::archive::{EventFilter, GapCause, TimeRange};
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_domain::motion::Cause;
use perch_domain::ports::{ArchivePort, Replay};
use perch_domain::retention::RetentionConfig;
use perch_store::{Store, TrackFormat};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn export(b: &TestStore, store: &Store, range: TimeRange) -> (String, PathBuf) {
    let export = store.recordings().export(&camera(), range).expect("recorded");
    let path = b.dir.path().join("export.mp4");
    let data: Vec<u8> = export.chunks.flat_map(|c| c.expect("a chunk")).collect();
    std::fs::write(&path, data).expect("written");
    (export.file_name, path)
}

#[test]
fn an_export_is_one_file_that_plays() {
    let b = TestStore::new();
    let store = b.open();
    for n in [0..3, 3..6, 9..11] {
        record(&store, n, None);
    }
    let (name, path) = export(&b, &store, range(0.0, 99.0));
    assert_eq!(name, "front_2026-05-01_120000Z.mp4");
    let p = probe(&path);
    assert_eq!(p.video, 8 * FPS as u64);
    assert!(close(p.seconds, 8.0) && close(p.audio_end, 8.0) && p.audio == 400, "the gap is left out: {p:?}");

    let (name, path) = export(&b, &store, range(1.5, 4.2));
    assert_eq!(name, "front_2026-05-01_120001Z.mp4");
    let p = probe(&path);
    assert_eq!(p.video, 4 * FPS as u64, "from the keyframe before to the end of the last fragment");
    assert!(close(p.seconds, 4.0) && close(p.audio_end, 4.0), "{p:?}");
    assert_eq!(
        store.recordings().export(&camera(), range(6.0, 9.0)).err().map(|e| e.kind()),
        Some(ErrorKind::NotFound)
    );
}

/// What a replay gives: parts one after the other.
fn replayed(store: &Store, range: TimeRange) -> (Replay, Vec<Packet>) {
    let mut replay = store.recordings().replay(&camera(), range).expect("recorded");
    let packets = replay.parts.by_ref().flat_map(|part| part.expect("a part")).collect();
    (replay, packets)
}

#[test]
fn a_replay_gives_what_was_captured_without_the_gaps() {
    let b = TestStore::new();
    let store = b.open();
    for n in [0..3, 3..6, 9..11] {
        record(&store, n, None);
    }
    let (replay, packets) = replayed(&store, range(0.0, 99.0));
    assert_eq!((replay.codec, replay.has_audio), (VideoCodec::H264, true));
    let of = |track| packets.iter().filter(move |p| p.track == track);
    assert_eq!((of(Track::Video).count(), of(Track::Audio).count()), (8 * FPS as usize, 400));
    assert!(packets.iter().map(|p| p.pts).is_sorted(), "in the order of their time");
    let video: Vec<_> = of(Track::Video).collect();
    assert_eq!(video[0].pts, MonoTime(0));
    let steps = video.windows(2).map(|two| two[1].pts.since(two[0].pts));
    let step = Duration::from_secs(1) / FPS as u32;
    assert!(steps.clone().all(|s| s.abs_diff(step) < Duration::from_millis(2)), "{:?}", steps.max());
    assert!(video.iter().enumerate().all(|(n, p)| p.keyframe == (n % FPS as usize == 0)), "one a second");
    // Parameter sets before every keyframe: what begins anywhere decodes.
    let path = b.dir.path().join("replay.h264");
    for from in [0, 3 * FPS as usize] {
        let bytes: Vec<u8> = video[from..].iter().flat_map(|p| p.data.to_vec()).collect();
        std::fs::write(&path, bytes).expect("written");
        let decoded: usize = widths(&path).into_iter().map(|(_, count)| count).sum();
        assert_eq!(decoded, 8 * FPS as usize - from);
    }
    let (_, packets) = replayed(&store, range(1.5, 4.2));
    assert_eq!(
        packets.iter().filter(|p| p.track == Track::Video).count(),
        4 * FPS as usize,
        "from the keyframe before"
    );
    let nothing = store.recordings().replay(&camera(), range(6.0, 9.0)).err().map(|e| e.kind());
    assert_eq!(nothing, Some(ErrorKind::NotFound));
}

#[test]
fn an_export_of_many_files_runs_through_and_includes_what_is_being_written() {
    let b = TestStore::new();
    let store = b.open();
    for n in 0..200 {
        let second = n % SECONDS;
        let mut w = store.recordings().create_segment(&camera(), s(n as f64), None, &format(clip())).expect("created");
        w.write_fragment(MonoTime(second as i64 * 1_000_000), &gop(clip(), second, MonoTime(0))).expect("written");
        if n < 199 {
            w.seal().expect("sealed");
        } else {
            let (_, path) = export(&b, &store, range(0.0, 999.0));
            let p = probe(&path);
            assert_eq!(p.video, 200 * FPS as u64);
            assert!(close(p.seconds, 200.0) && (p.audio_end - 200.0).abs() < 0.1, "{p:?}");
        }
    }
}

/// The widths of a file's pictures as they are decoded, with how many follow each other.
fn widths(path: &Path) -> Vec<(String, usize)> {
    let args = ["-v", "warning", "-select_streams", "v", "-show_entries", "frame=width", "-of", "csv=p=0"];
    let out = Command::new("ffprobe").args(args).arg(path).output().expect("ffprobe runs");
    let text = String::from_utf8_lossy(&out.stdout);
    // What a frame brings besides adds a comma or an empty line.
    let all: Vec<&str> = text.lines().map(|l| l.trim_end_matches(',')).filter(|l| !l.is_empty()).collect();
    all.chunk_by(|a, b| a == b).map(|run| (run[0].to_owned(), run.len())).collect()
}

#[test]
fn an_export_goes_on_where_the_format_changes_and_takes_sound_that_comes_later() {
    let b = TestStore::new();
    let store = b.open();
    let mut silent = format(clip());
    silent.has_audio = false;
    let write = |at: usize, format: &TrackFormat, clip: &Clip, n: usize| {
        let mut w = store.recordings().create_segment(&camera(), s(at as f64), None, format).expect("created");
        w.write_fragment(MonoTime(n as i64 * 1_000_000), &gop(clip, n, MonoTime(0))).expect("written");
        w.seal().expect("sealed");
    };
    write(0, &silent, clip(), 0);
    record(&store, 1..3, None);
    let (_, path) = export(&b, &store, range(0.0, 99.0));
    let plain = std::fs::read(&path).expect("read");
    write(3, &format(other_clip()), other_clip(), 0);
    record(&store, 4..6, None);
    let (_, path) = export(&b, &store, range(0.0, 99.0));
    let (p, fps) = (probe(&path), FPS as usize);
    assert_eq!((p.video, p.audio), (6 * FPS as u64, 200));
    assert!(close(p.seconds, 6.0) && close(p.audio_end, 6.0), "sound lies where it belongs: {p:?}");
    let want = [("320", 3 * fps), ("640", fps), ("320", 2 * fps)].map(|(w, n)| (w.to_owned(), n));
    assert_eq!(widths(&path), want);
    let (_, path) = export(&b, &store, range(3.0, 4.0));
    assert_eq!((probe(&path).video, probe(&path).audio), (FPS as u64, 0));
    let (_, path) = export(&b, &store, range(0.0, 3.0));
    assert_eq!(std::fs::read(&path).expect("read"), plain, "one format needs nothing in its pictures");
}

#[test]
fn a_format_that_changes_while_an_export_is_read_does_not_end_it() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..2, None);
    let export = store.recordings().export(&camera(), range(0.0, 99.0)).expect("recorded");
    let mut w = store.recordings().create_segment(&camera(), s(2.0), None, &format(other_clip())).expect("created");
    w.write_fragment(MonoTime(0), &gop(other_clip(), 0, MonoTime(0))).expect("written");
    let path = b.dir.path().join("export.mp4");
    let data: Vec<u8> = export.chunks.flat_map(|c| c.expect("a chunk")).collect();
    std::fs::write(&path, data).expect("written");
    assert_eq!(probe(&path).video, 3 * FPS as u64);
    assert_eq!(widths(&path), [("320".to_owned(), 30), ("640".to_owned(), 15)]);
}

#[test]
fn a_command_exports_what_the_box_is_writing() {
    let b = TestStore::new();
    let store = b.open();
    let mut silent = format(clip());
    silent.has_audio = false;
    let mut w = store.recordings().create_segment(&camera(), s(0.0), None, &silent).expect("created");
    w.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    w.seal().expect("sealed");
    let mut writer = store.recordings().create_segment(&camera(), s(1.0), None, &format(clip())).expect("created");
    let cli = Store::open_for_cli(b.config(), b.clock.clone()).expect("a command");
    let (_, path) = export(&b, &cli, range(0.0, 99.0));
    assert_eq!(probe(&path).video, FPS as u64, "nothing is in the new file yet");
    for n in 1..4 {
        writer.write_fragment(MonoTime(1_000_000), &gop(clip(), n, MonoTime(0))).expect("written");
    }
    // As it is in the midst of a write.
    let file = b.files().pop().expect("the open one");
    let whole = std::fs::read(&file).expect("read");
    let half = [&whole[..], &b"\0\0\x0f\xffmoof"[..]].concat();
    std::fs::write(&file, half).expect("written");
    let (_, path) = export(&b, &cli, range(0.0, 99.0));
    let p = probe(&path);
    assert_eq!((p.video, p.audio), (4 * FPS as u64, 150), "{p:?}");
    let (name, path) = export(&b, &cli, range(2.5, 3.5));
    assert_eq!((name.as_str(), probe(&path).video), ("front_2026-05-01_120002Z.mp4", 2 * FPS as u64));
    assert_eq!(cli.recordings().export(&camera(), range(4.0, 9.0)).err().map(|e| e.kind()), Some(ErrorKind::NotFound));
    assert_eq!(std::fs::metadata(&file).expect("there").len(), whole.len() as u64 + 8, "only read");
}

#[test]
fn events_are_unique_paged_and_filtered() {
    let b = TestStore::new();
    let store = b.open();
    let started = |_| store.index().begin_event(&store.index().promise_event(event(0.0))).expect("started").id;
    let ids: Vec<EventId> = (0..3).map(started).collect();
    assert_eq!(ids, [s(0.0).0, s(0.0).0 + 1, s(0.0).0 + 2].map(EventId));
    let mut other = event(10.0);
    other.camera = CameraId::new("back").expect("valid");
    let back = store.index().begin_event(&other).expect("started").id;
    for (n, id) in ids.iter().enumerate() {
        store.index().end_event(*id, s(n as f64 + 1.0)).expect("ended");
    }
    let boxes = vec![perch_domain::motion::Rect { x: 0.1, y: 0.2, w: 0.3, h: 0.4 }];
    let grown = store.index().update_event(ids[0], 0.5, Cause::Motion, &boxes).expect("updated");
    assert_eq!((grown.score, grown.boxes, grown.end), (0.5, boxes, Some(s(1.0))));
    assert_eq!(
        store.index().update_event(EventId(5), 0.5, Cause::Motion, &[]).expect_err("none").kind(),
        ErrorKind::NotFound
    );

    let ask = |f: EventFilter| {
        let page = store.recordings().events(&f).expect("asked");
        (page.events.iter().map(|e| e.id).collect::<Vec<_>>(), page.next_cursor)
    };
    let all = EventFilter { limit: 3, ..Default::default() };
    assert_eq!(ask(all.clone()), (vec![back, ids[2], ids[1]], Some(ids[1])));
    assert_eq!(ask(EventFilter { before: Some(ids[1]), ..all.clone() }), (vec![ids[0]], None));
    assert_eq!(ask(EventFilter { camera: Some(camera()), from: Some(s(1.5)), ..all.clone() }).0, [ids[2], ids[1]]);
    assert_eq!(ask(EventFilter { to: Some(s(10.0)), ..all.clone() }).0, [ids[2], ids[1], ids[0]]);
    assert_eq!(ask(EventFilter { from: Some(s(50.0)), ..all.clone() }).0, [back], "it still goes on");
    // Whoever may see some cameras gets their events alone, in pages of the same length.
    let id = |id: &str| CameraId::new(id).expect("valid");
    let of = |cameras: &[CameraId]| EventFilter {
        cameras: CameraGrant::Only(cameras.iter().cloned().collect()),
        ..all.clone()
    };
    assert_eq!(ask(of(&[id("back")])), (vec![back], None));
    assert_eq!(ask(of(&[camera()])), (vec![ids[2], ids[1], ids[0]], None));
    assert_eq!(ask(of(&[camera(), id("back"), id("none")])), (vec![back, ids[2], ids[1]], Some(ids[1])));
    let next = EventFilter { before: Some(ids[1]), ..of(&[camera(), id("back")]) };
    assert_eq!(ask(next), (vec![ids[0]], None));
    assert_eq!(ask(of(&[])), (vec![], None));
    assert_eq!(ask(EventFilter { camera: Some(camera()), ..of(&[id("back")]) }), (vec![], None));
    assert_eq!(ask(EventFilter { camera: Some(id("back")), from: Some(s(50.0)), ..of(&[id("back")]) }).0, [back]);
    assert_eq!(store.index().last_event_at(&camera()).expect("asked"), Some(s(0.0)));
    assert_eq!(store.index().last_event_at(&CameraId::new("none").expect("valid")).expect("asked"), None);
}

#[test]
fn a_chapter_keeps_its_number_and_since_when_it_moves() {
    let b = TestStore::new();
    let store = b.open();
    let second = perch_store::NewEvent { since: s(1.0), chapter: 2, ..event(121.0) };
    let id = store.index().begin_event(&second).expect("entered").id;
    let read = store.recordings().event(id).expect("asked");
    assert_eq!((read.start, read.since, read.chapter, read.end), (s(121.0), s(1.0), 2, None));
}

#[test]
fn stills_are_kept_and_checked() {
    let b = TestStore::new();
    let store = b.open();
    let id = store.index().begin_event(&event(0.0)).expect("started").id;
    assert_eq!(store.recordings().thumbnail(id).expect_err("none yet").kind(), ErrorKind::NotFound);
    assert_eq!(store.recordings().put_still(id, b"<svg>", &[]).expect_err("no JPEG").kind(), ErrorKind::Invalid);
    store.recordings().put_still(id, b"\xff\xd8one", &[]).expect("kept");
    let boxes = [perch_domain::motion::Rect { x: 0.5, y: 0.5, w: 0.1, h: 0.1 }];
    assert_eq!(store.recordings().put_still(id, b"\xff\xd8two", &boxes).expect("replaced").boxes, boxes);
    let grown = store.index().update_event(id, 0.9, Cause::Motion, &[]).expect("updated");
    assert_eq!((grown.score, &grown.boxes[..]), (0.9, &boxes[..]), "the boxes are those of the still");
    assert_eq!(&store.recordings().thumbnail(id).expect("there")[..], b"\xff\xd8two");
    assert!(store.recordings().event(id).expect("there").has_thumbnail);
    let file = b.data().join(format!("thumbnails/front/{id}.jpg"));
    assert!(file.exists());
    std::fs::write(file, b"").expect("as a power cut leaves it");
    assert_eq!(store.recordings().thumbnail(id).expect_err("not a picture").kind(), ErrorKind::NotFound);
}

#[test]
fn gaps_merge_and_explain_themselves() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..2, None);
    record(&store, 8..10, None);
    for end in [4.0, 5.0, 6.0] {
        store.recordings().note_gap(&camera(), s(2.0), s(end), GapCause::CameraUnavailable).expect("noted");
    }
    let t = store.recordings().timeline(&camera(), range(-5.0, 30.0), s(24.0)).expect("timeline");
    let gaps: Vec<_> = t.gaps.iter().map(|g| (g.start, g.end, g.cause)).collect();
    assert_eq!(
        gaps,
        [
            (s(2.0), s(6.0), GapCause::CameraUnavailable),
            (s(6.0), s(8.0), GapCause::Unknown),
            (s(10.0), s(24.0), GapCause::Unknown)
        ]
    );
    assert_eq!(t.spans.len(), 2);
}

#[test]
fn retention_by_bytes_deletes_background_first_and_pinned_never() {
    let mut b = TestStore::new();
    let store = b.open();
    let ids: Vec<EventId> = (0..3).map(|n| store.index().begin_event(&event(n as f64)).expect("started").id).collect();
    for (n, id) in ids.iter().enumerate() {
        record(&store, n..n + 1, Some(*id));
    }
    for n in 3..6 {
        record(&store, n..n + 1, None);
    }
    store.recordings().set_pinned(ids[0], true).expect("pinned");
    assert_eq!(store.recordings().set_pinned(EventId(3), true).expect_err("none").kind(), ErrorKind::NotFound);
    let sizes: Vec<u64> = store
        .recordings()
        .segments(&camera(), range(-1.0, 99.0))
        .expect("asked")
        .iter()
        .map(|s| s.size_bytes)
        .collect();
    let total: u64 = sizes.iter().sum();
    drop(store);

    let left = |store: &Store| -> Vec<i64> {
        let all = store.recordings().segments(&camera(), range(-1.0, 99.0)).expect("asked");
        all.iter().map(|x| x.start.micros_since(s(0.0)) / 1_000_000).collect()
    };
    b.retention.max_bytes = total - 1;
    let store = b.open();
    assert_eq!(store.recordings().enforce_retention(true).expect("enforced").deleted, 1);
    assert_eq!(left(&store), [0, 1, 2, 4, 5], "the oldest background");
    assert_eq!(store.recordings().enforce_retention(true).expect("again").deleted, 0);
    drop(store);
    b.retention.max_bytes = sizes[0] + sizes[2];
    let store = b.open();
    let report = store.recordings().enforce_retention(true).expect("enforced");
    assert_eq!((report.deleted, left(&store)), (3, vec![0, 2]), "then the oldest event");
    let t = store.recordings().timeline(&camera(), range(-1.0, 6.0), s(6.0)).expect("timeline");
    let gaps: Vec<_> = t.gaps.iter().map(|g| (g.start, g.end, g.cause)).collect();
    assert_eq!(
        gaps,
        [(s(1.0), s(2.0), GapCause::Retention), (s(3.0), s(6.0), GapCause::Retention)],
        "joined, with the cause"
    );
    drop(store);
    b.retention.max_bytes = 1;
    let store = b.open();
    store.recordings().enforce_retention(true).expect("enforced");
    assert_eq!(left(&store), [0], "pinned");
    assert_eq!(b.files().len(), 1);
    store.recordings().set_pinned(ids[0], false).expect("unpinned");
    store.recordings().enforce_retention(true).expect("enforced");
    assert!(left(&store).is_empty() && b.files().is_empty());
    assert!(!b.data().join("recordings/front/2026-05-01").exists(), "the day's folder goes with its last file");
    assert_eq!(store.recordings().disk().recordings_bytes, 0);
}

#[test]
fn retention_works_through_many_pages() {
    let mut b = TestStore::new();
    let store = b.open();
    for n in 0..600 {
        let second = n % SECONDS;
        let mut w = store.recordings().create_segment(&camera(), s(n as f64), None, &format(clip())).expect("created");
        w.write_fragment(MonoTime(second as i64 * 1_000_000), &gop(clip(), second, MonoTime(0))).expect("written");
        w.seal().expect("sealed");
    }
    drop(store);
    b.retention.max_bytes = 1;
    let store = b.open();
    assert_eq!(store.recordings().enforce_retention(true).expect("enforced").deleted, 600);
    assert!(b.files().is_empty());
}

#[test]
fn retention_by_days_takes_events_and_stills_later() {
    let mut b = TestStore::new();
    b.retention = RetentionConfig { max_bytes: 0, min_free_bytes: 0, max_days: 2, event_max_days: 5 };
    let store = b.open();
    let id = store.index().begin_event(&event(1.0)).expect("started").id;
    store.recordings().put_still(id, b"\xff\xd8", &[]).expect("kept");
    store.index().end_event(id, s(2.0)).expect("ended");
    record(&store, 0..1, None);
    record(&store, 1..2, Some(id));
    let day = Duration::from_secs(86_400);
    assert_eq!(store.recordings().enforce_retention(true).expect("enforced").deleted, 0);
    b.clock.advance(day * 3);
    assert_eq!(store.recordings().enforce_retention(true).expect("enforced").deleted, 1);
    assert!(store.recordings().thumbnail(id).is_ok());
    b.clock.advance(day * 3);
    assert_eq!(store.recordings().enforce_retention(true).expect("enforced").deleted, 1);
    assert_eq!(store.recordings().event(id).expect_err("gone with its recording").kind(), ErrorKind::NotFound);
    assert!(!b.data().join(format!("thumbnails/front/{id}.jpg")).exists());
}

#[test]
fn the_disk_tells_how_long_it_lasts() {
    let mut b = TestStore::new();
    b.retention.max_bytes = 1 << 30;
    let store = b.open();
    let size = record(&store, 0..4, None).size_bytes;
    let d = store.recordings().disk();
    assert!(d.total_bytes > 0 && d.free_bytes > 0 && d.problem.is_empty());
    assert_eq!((d.recordings_bytes, d.days_at_this_rate), (size, None));
    b.clock.advance(Duration::from_secs(2 * 86_400));
    let at = b.now().plus_micros(-1_000_000);
    let mut w = store.recordings().create_segment(&camera(), at, None, &format(clip())).expect("created");
    w.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    let one = w.seal().expect("sealed").size_bytes;
    let days = store.recordings().disk().days_at_this_rate.expect("a day's rate");
    assert!((days / ((1u64 << 30) as f32 / one as f32) - 1.0).abs() < 0.01, "{days}");
}

#[test]
fn of_too_many_events_the_newest_are_shown_and_long_ones_are_found() {
    let b = TestStore::new();
    let store = b.open();
    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let enter = |id: i64, end: Option<i64>| {
        let sql = "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes)
            VALUES (?1, 'front', 'motion', ?1, ?2, 0.5, 'motion', '[]')";
        c.execute(sql, rusqlite::params![id, end]).expect("entered");
    };
    c.execute_batch("BEGIN").expect("started");
    for n in 0..2_500 {
        enter(s(n as f64 * 10.0).0, Some(s(n as f64 * 10.0 + 5.0).0));
    }
    let hour = 3600.0;
    let (long, running) = (s(-5.0 * hour).0, s(-9.0 * hour).0);
    enter(long, Some(s(24_994.5).0));
    enter(running, None);
    c.execute_batch("COMMIT").expect("done");
    let shown = |from: f64, to: f64| -> Vec<i64> {
        let t = store.recordings().timeline(&camera(), range(from, to), s(to)).expect("timeline");
        t.events.iter().map(|e| e.id.0).collect()
    };
    let all = shown(-20.0 * hour, 30_000.0);
    assert_eq!((all.len(), all[0], all[1999]), (2000, s(5_000.0).0, s(24_990.0).0), "the newest, oldest first");
    assert_eq!(shown(24_992.0, 24_999.0), [running, long, s(24_990.0).0]);
    assert_eq!(shown(24_996.0, 24_999.0), [running]);
    assert_eq!(shown(-10.0 * hour, -6.0 * hour), [running]);
    assert!(shown(-12.0 * hour, -11.0 * hour).is_empty());
    let page = |camera, from, before, limit| {
        let f = EventFilter { camera, from: Some(s(from)), before, limit, ..Default::default() };
        let page = store.recordings().events(&f).expect("asked");
        (page.events.iter().map(|e| e.id.0).collect::<Vec<_>>(), page.next_cursor)
    };
    for camera in [Some(camera()), None] {
        let (first, next) = page(camera.clone(), 24_992.0, None, 2);
        assert_eq!((first, next), (vec![s(24_990.0).0, long], Some(EventId(long))));
        assert_eq!(page(camera, 24_992.0, next, 2), (vec![running], None));
    }
}

/// Whatever happens to recordings, the sum that the database keeps is that of its rows.
#[test]
fn the_running_sum_of_bytes_is_right() {
    let mut b = TestStore::new();
    let mut dice = Dice(5);
    let mut store = b.open();
    let (mut lost, mut cut, mut at) = (0, 0, 0.0);
    for step in 0..60 {
        let second = dice.below(SECONDS as u64 - 3) as usize;
        match dice.below(8) {
            0..=3 => {
                let id = (dice.below(3) == 0).then(|| store.index().begin_event(&event(at)).expect("started").id);
                let mut w = store.recordings().create_segment(&camera(), s(at), id, &format(clip())).expect("created");
                for n in second..second + 1 + dice.below(3) as usize {
                    w.write_fragment(MonoTime(second as i64 * 1_000_000), &gop(clip(), n, MonoTime(0)))
                        .expect("written");
                }
                at += 2.0;
                if dice.below(4) > 0 { drop(w.seal().expect("sealed")) } else { drop(w) }
            }
            4 => store.recordings().trim_before(&camera(), s(at - 2.0)).expect("cut"),
            5 => {
                drop(store);
                b.retention.max_bytes = 1 + dice.below(500_000);
                store = b.open();
                store.recordings().enforce_retention(true).expect("enforced");
            }
            n => {
                drop(store);
                let files = b.files();
                if let Some(file) = files.get(dice.below(files.len().max(1) as u64) as usize) {
                    let len = file.metadata().expect("there").len();
                    match n {
                        6 => std::fs::remove_file(file).expect("removed"),
                        _ => {
                            let f = std::fs::OpenOptions::new().write(true).open(file).expect("open");
                            f.set_len(dice.below(len)).expect("cut");
                        }
                    }
                }
                store = b.open();
                (lost, cut) =
                    (lost + store.recordings().open_report().lost, cut + store.recordings().open_report().cut);
            }
        }
        // What a writer left behind is in memory until it is settled.
        store.recordings().enforce_retention(false).expect("settled");
        let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
        let sql = "SELECT (SELECT bytes FROM usage), (SELECT coalesce(sum(size), 0) FROM segment)";
        let (kept, sum): (i64, i64) = c.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?))).expect("asked");
        assert_eq!(kept, sum, "step {step}");
        assert_eq!(store.recordings().disk().recordings_bytes, sum as u64, "step {step}");
    }
    assert!(lost > 0 && cut > 0 && at > 20.0, "everything happened: {lost} {cut} {at}");
}

#[test]
fn a_timeline_over_many_weeks_joins_and_bounds() {
    let b = TestStore::new();
    let store = b.open();
    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let fill = |every: i64, n: i64| {
        let sql = format!(
            "DELETE FROM segment; WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {n})
            INSERT INTO segment (camera, path, start, end, size, state)
            SELECT 'front', i, {0} + i * {every}, {0} + i * {every} + 60000000, 1, CASE i WHEN 9 THEN 'lost' ELSE 'sealed' END
            FROM n",
            s(0.0).0
        );
        c.execute_batch(&sql).expect("filled");
    };
    let (minutes, day) = (60_000, 86_400.0);
    fill(60_000_000, minutes);
    let end = minutes as f64 * 60.0;
    let t = store.recordings().timeline(&camera(), range(-day, 60.0 * day), s(end)).expect("timeline");
    let spans: Vec<_> = t.spans.iter().map(|x| (x.start, x.end)).collect();
    assert_eq!(spans, [(s(0.0), s(540.0)), (s(600.0), s(end))], "joined across everything that is read at a time");
    assert_eq!(t.gaps.iter().map(|g| (g.start, g.cause)).collect::<Vec<_>>(), [(s(540.0), GapCause::Lost)]);
    let t = store.recordings().timeline(&camera(), range(30.0, 90.0), s(end)).expect("timeline");
    assert_eq!(t.spans.iter().map(|x| (x.start, x.end)).collect::<Vec<_>>(), [(s(30.0), s(90.0))]);
    fill(61_000_000, minutes);
    let e =
        store.recordings().timeline(&camera(), range(-day, 60.0 * day), s(end)).expect_err("more than can be shown");
    assert_eq!(e.kind(), ErrorKind::TooLarge);
}
