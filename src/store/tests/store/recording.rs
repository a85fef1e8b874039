//! Recordings as they are written: every file plays, whatever is cut, and the index says what is in it.

use crate::common::*;
use perch_base::ErrorKind;
use perch_base::ids::CameraId;
use perch_base::secret::{hex, sha256};
use perch_base::time::MonoTime;
use perch_domain::archive::{GapCause, SegmentState};
use perch_domain::media::Track;
use perch_domain::ports::ArchivePort;
use perch_store::{FragmentPackets, TrackFormat, write_fault};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_recording_plays_and_its_row_says_what_it_holds() {
    let b = TestStore::new();
    let store = b.open();
    let segment = record(&store, 2..8, None);
    assert_eq!((segment.state, segment.start, segment.end), (SegmentState::Sealed, s(2.0), s(8.0)));
    assert_eq!(segment.fragments.len(), 6);
    let starts: Vec<_> = segment.fragments.iter().map(|f| (f.start_us, f.duration_us)).collect();
    assert_eq!(starts, (0..6).map(|n| (n * 1_000_000, 1_000_000)).collect::<Vec<_>>());

    let [file] = &b.files()[..] else { panic!("one file") };
    assert!(file.ends_with("front/2026-05-01/120002.250Z.mp4"), "{file:?}");
    let metadata = std::fs::metadata(file).expect("there");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(metadata.len(), segment.size_bytes);
    let data = std::fs::read(file).expect("read");
    let opened = store.recordings().open_segment(&camera(), segment.id).expect("opened");
    assert_eq!(
        (opened.size_bytes, opened.etag),
        (segment.size_bytes, hex(&sha256(&data)[..16])),
        "the hash is the file's"
    );
    for f in &segment.fragments {
        assert_eq!(&data[f.offset_bytes as usize + 4..f.offset_bytes as usize + 8], b"moof");
    }
    let last = segment.fragments.last().expect("six");
    assert_eq!(last.offset_bytes + last.size_bytes, segment.size_bytes);
    assert_eq!(&data[segment.init_size_bytes as usize + 4..segment.init_size_bytes as usize + 8], b"prft");

    let p = probe(file);
    assert_eq!((p.video, p.audio), (6 * FPS as u64, 300));
    assert!(close(p.seconds, 6.0) && close(p.audio_end, 6.0), "{p:?}");
}

#[test]
fn what_is_being_written_can_be_played() {
    let b = TestStore::new();
    let store = b.open();
    let mut writer = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    assert!(store.recordings().segments(&camera(), range(0.0, 60.0)).expect("asked").is_empty());
    for n in 0..3 {
        writer.write_fragment(MonoTime(0), &gop(clip(), n, MonoTime(0))).expect("written");
    }
    let [open] = &store.recordings().segments(&camera(), range(0.0, 60.0)).expect("asked")[..] else { panic!("one") };
    assert_eq!((open.state, open.end, open.fragments.len()), (SegmentState::Open, s(3.0), 3));
    let opened = store.recordings().open_segment(&camera(), open.id).expect("opened");
    assert_eq!(opened.size_bytes, open.size_bytes);
    assert_eq!(probe(&b.files()[0]).video, 3 * FPS as u64, "plays while it is written");
    let timeline = store.recordings().timeline(&camera(), range(0.0, 60.0), s(3.0)).expect("timeline");
    assert_eq!((timeline.spans.len(), timeline.spans[0].end), (1, s(3.0)));
    assert!(store.recordings().disk().recordings_bytes == open.size_bytes);
    assert!(store.recordings().keyframe_at(&camera(), s(1.5)).is_ok());
    let sealed = writer.seal().expect("sealed");
    assert_eq!(store.recordings().segments(&camera(), range(0.0, 60.0)).expect("asked"), [sealed]);
    let stranger = CameraId::new("back").expect("valid");
    assert_eq!(store.recordings().open_segment(&stranger, open.id).expect_err("another's").kind(), ErrorKind::NotFound);
}

#[test]
fn a_writer_that_goes_away_is_sealed_later() {
    let b = TestStore::new();
    let store = b.open();
    let mut writer = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    writer.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    drop(writer);
    assert_eq!(store.recordings().segments(&camera(), range(0.0, 9.0)).expect("asked")[0].state, SegmentState::Open);
    record(&store, 1..2, None);
    let all = store.recordings().segments(&camera(), range(0.0, 9.0)).expect("asked");
    assert!(all.len() == 2 && all.iter().all(|s| s.state == SegmentState::Sealed));
}

#[test]
fn nothing_written_leaves_nothing() {
    let b = TestStore::new();
    let store = b.open();
    let writer = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    assert_eq!(writer.seal().expect("fine").fragments, []);
    assert!(b.files().is_empty());
    let mut writer = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    let headless = FragmentPackets {
        packets: gop(clip(), 0, MonoTime(0)).packets.split_off(1),
        end: MonoTime(1_000_000),
        ..Default::default()
    };
    assert_eq!(writer.write_fragment(MonoTime(0), &headless).expect_err("no keyframe").kind(), ErrorKind::Invalid);
    assert_eq!(
        writer.write_fragment(MonoTime(9), &gop(clip(), 0, MonoTime(0))).expect_err("before the file").kind(),
        ErrorKind::Invalid
    );
    drop(writer);
    drop(store);
    assert!(
        b.open().recordings().segments(&camera(), range(0.0, 9.0)).expect("asked").is_empty() && b.files().is_empty()
    );
}

#[test]
fn two_files_of_one_millisecond_have_two_names() {
    let b = TestStore::new();
    let store = b.open();
    let writers: Vec<_> = (0..3)
        .map(|_| store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created"))
        .collect();
    assert_eq!(b.files().len(), 3);
    assert!(b.files()[1].to_string_lossy().ends_with("Z-2.mp4") || b.files()[1].to_string_lossy().ends_with("Z-1.mp4"));
    for (n, mut w) in writers.into_iter().enumerate() {
        w.write_fragment(MonoTime(n as i64 * 1_000_000), &gop(clip(), n, MonoTime(0))).expect("written");
        w.seal().expect("sealed");
    }
}

#[test]
fn holes_and_strays_in_the_sound_do_no_harm() {
    let b = TestStore::new();
    let store = b.open();
    let mut writer = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    for n in 0..6 {
        let mut g = gop(clip(), n, MonoTime(0));
        // No sound in second 2; a hole in second 4; jitter of 7 ms throughout.
        g.packets.retain(|p| p.track == Track::Video || n != 2);
        g.packets.retain(|p| p.track == Track::Video || n != 4 || !(4_200_000..4_700_000).contains(&p.pts.0));
        for (i, p) in g.packets.iter_mut().enumerate().filter(|(_, p)| p.track == Track::Audio) {
            let mut moved = (**p).clone();
            moved.pts.0 += (i as i64 % 3 - 1) * 7_000;
            *p = moved.into();
        }
        writer.write_fragment(MonoTime(0), &g).expect("written");
    }
    writer.seal().expect("sealed");
    let p = probe(&b.files()[0]);
    assert_eq!(p.video, 6 * FPS as u64);
    // 300 packets less 50 less 25; the very first one may lie before the file by its jitter.
    assert!((224..=225).contains(&p.audio), "{p:?}");
    assert!(close(p.audio_end, 6.0), "sound stays in step: {p:?}");
}

#[test]
fn without_sound_and_in_high_profile() {
    let b = TestStore::new();
    let store = b.open();
    let format = format(other_clip());
    assert_eq!((format.size().expect("size"), format.has_audio), ((640, 360), false));
    let mut writer = store.recordings().create_segment(&camera(), s(0.0), None, &format).expect("created");
    for n in 0..3 {
        writer.write_fragment(MonoTime(0), &gop(other_clip(), n, MonoTime(0))).expect("written");
    }
    writer.seal().expect("sealed");
    assert_eq!((probe(&b.files()[0]).video, probe(&b.files()[0]).audio), (45, 0));
}

#[test]
fn a_picture_size_that_changes_inside_a_file_still_plays() {
    let b = TestStore::new();
    let store = b.open();
    let mut writer = store.recordings().create_segment(&camera(), s(0.0), None, &format(clip())).expect("created");
    writer.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    writer.write_fragment(MonoTime(0), &gop(other_clip(), 1, MonoTime(0))).expect("written");
    writer.seal().expect("sealed");
    assert_eq!(probe(&b.files()[0]).video, 2 * FPS as u64);
}

#[test]
fn keyframes_come_back_as_pictures() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..4, None);
    let (codec, pictures) = store.recordings().keyframe_at(&camera(), s(2.9)).expect("recorded");
    let [picture] = &pictures[..] else { panic!("one") };
    assert_eq!(TrackFormat::from_keyframe(codec, picture, true).expect("parameter sets"), format(clip()));
    let file = b.dir.path().join("picture.h264");
    std::fs::write(&file, picture).expect("written");
    let out = Command::new("ffprobe")
        .args(["-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,width", "-of", "csv=p=0"])
        .arg(&file)
        .output()
        .expect("ffprobe runs");
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), "320,1", "{}", String::from_utf8_lossy(&out.stderr));
    for outside in [-0.1, 4.0, 100.0] {
        assert_eq!(
            store.recordings().keyframe_at(&camera(), s(outside)).expect_err("nothing there").kind(),
            ErrorKind::NotFound
        );
    }
}

#[test]
fn the_last_picture_before_a_moment_is_found_over_a_gap() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..4, None);
    record(&store, 10..12, None);
    let by = |at: f64| store.recordings().keyframe_by(&camera(), s(at)).map(|(taken, ..)| taken);
    for (at, want) in
        [(0.0, 0.0), (2.9, 2.0), (3.99, 3.0), (4.0, 3.0), (9.99, 3.0), (10.0, 10.0), (11.5, 11.0), (1e6, 11.0)]
    {
        assert_eq!(by(at).expect("recorded"), s(want), "by {at}");
    }
    assert_eq!(by(-0.1).expect_err("nothing before").kind(), ErrorKind::NotFound);
    let stranger = CameraId::new("back").expect("valid");
    assert_eq!(store.recordings().keyframe_by(&stranger, s(9.0)).expect_err("another's").kind(), ErrorKind::NotFound);
    // What is being written counts too.
    let mut writer = store.recordings().create_segment(&camera(), s(20.0), None, &format(clip())).expect("created");
    writer.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    assert_eq!(by(30.0).expect("recorded"), s(20.0));
    assert_eq!(by(19.0).expect("recorded"), s(11.0));
}

#[test]
fn an_event_takes_its_first_seconds_out_of_the_files_before() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..4, None);
    record(&store, 4..6, None);
    record(&store, 6..8, None);
    // A file from before the clock was set back: it shows another time and stays.
    let mut later = store.recordings().create_segment(&camera(), s(500.0), None, &format(clip())).expect("created");
    later.write_fragment(MonoTime(0), &gop(clip(), 0, MonoTime(0))).expect("written");
    later.seal().expect("sealed");
    let id = store.index().begin_event(&event(7.0)).expect("started").id;
    let mut writer = store.recordings().create_segment(&camera(), s(2.0), Some(id), &format(clip())).expect("created");
    for n in 2..8 {
        writer.write_fragment(MonoTime(2_000_000), &gop(clip(), n, MonoTime(0))).expect("written");
    }
    store.recordings().trim_before(&camera(), s(2.0)).expect("trimmed");
    writer.write_fragment(MonoTime(2_000_000), &gop(clip(), 8, MonoTime(0))).expect("written");
    writer.seal().expect("sealed");

    let all = store.recordings().segments(&camera(), range(-1.0, 600.0)).expect("asked");
    let shape: Vec<_> = all.iter().map(|x| (x.event, x.start, x.end, x.fragments.len())).collect();
    assert_eq!(
        shape,
        [(None, s(0.0), s(2.0), 2), (Some(id), s(2.0), s(9.0), 7), (None, s(500.0), s(501.0), 1)],
        "two files are gone, one is cut"
    );
    assert_eq!(b.files().len(), 3);
    let p = probe(&b.files()[0]);
    assert_eq!(p.video, 2 * FPS as u64);
    assert!(close(p.seconds, 2.0));
    let opened = store.recordings().open_segment(&camera(), all[0].id).expect("opened");
    let data = std::fs::read(&b.files()[0]).expect("read");
    assert_eq!(opened.size_bytes, data.len() as u64);
    assert_eq!(opened.etag, format!("{}-sealed-{:x}", all[0].id, data.len()), "not that of the file before the cut");
}

#[test]
fn a_clock_that_was_set_back_by_some_seconds_costs_no_picture() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0..10, None);
    // Set back by eight seconds: the event's file shows what came after the tenth second, under times that were there already.
    let id = store.index().begin_event(&event(5.0)).expect("started").id;
    let mut w = store.recordings().create_segment(&camera(), s(2.4), Some(id), &format(clip())).expect("created");
    for n in 0..9 {
        w.write_fragment(MonoTime(0), &gop(clip(), n, MonoTime(0))).expect("written");
    }
    store.recordings().trim_before(&camera(), s(2.4)).expect("nothing to cut");
    w.seal().expect("sealed");
    let shape = |store: &perch_store::Store| -> Vec<_> {
        let all = store.recordings().segments(&camera(), range(-1.0, 600.0)).expect("asked");
        all.iter().map(|x| (x.start, x.end, x.fragments.len())).collect()
    };
    let whole = [(s(0.0), s(10.0), 10), (s(2.4), s(11.4), 9)];
    assert_eq!(shape(&store), whole);
    drop(store);
    assert_eq!(shape(&b.open()), whole, "nor does the next start take them for the same");
}

#[test]
fn a_file_that_went_meanwhile_keeps_no_other_from_being_cut() {
    let b = TestStore::new();
    let store = b.open();
    for n in [0..2, 2..4] {
        record(&store, n, None);
    }
    std::fs::remove_file(b.files().remove(0)).expect("removed");
    let mut w = store.recordings().create_segment(&camera(), s(1.0), None, &format(clip())).expect("created");
    for n in 1..5 {
        w.write_fragment(MonoTime(1_000_000), &gop(clip(), n, MonoTime(0))).expect("written");
    }
    store.recordings().trim_before(&camera(), s(1.0)).expect("cut");
    w.seal().expect("sealed");
    assert_eq!(b.files().len(), 1, "the second is covered by the third");
}

#[test]
fn an_unknown_event_does_not_keep_pictures_from_being_recorded() {
    let b = TestStore::new();
    let store = b.open();
    assert_eq!(record(&store, 0..1, Some(perch_base::ids::EventId(7))).state, SegmentState::Sealed);
}

/// Needs the right to mount; says so loudly where it is missing, and fails where it is promised.
#[test]
fn a_full_disk_stops_nothing_for_ever() {
    let b = TestStore::new();
    let Some(_mount) = Mount::at(b.data(), "size=1500k") else { return };
    let store = b.open();
    let mut kept = vec![];
    let error = loop {
        let n = kept.len() % (SECONDS - 1);
        let mut writer = match store.recordings().create_segment(&camera(), s(kept.len() as f64), None, &format(clip()))
        {
            Ok(w) => w,
            Err(e) => break e,
        };
        if let Err(e) = writer.write_fragment(MonoTime(n as i64 * 1_000_000), &gop(clip(), n, MonoTime(0))) {
            break e;
        }
        match writer.seal() {
            Ok(s) => kept.push(s.id),
            Err(e) => break e,
        }
    };
    assert_eq!((error.kind(), write_fault(&error)), (ErrorKind::Unavailable, Some(GapCause::DiskFull)), "{error}");
    assert!(error.to_string().starts_with("the disk is full"), "{error}");
    assert!(kept.len() > 3 && store.meta().ping().is_ok());
    for path in b.files() {
        if std::fs::metadata(&path).expect("there").len() > 0 {
            assert_eq!(probe(&path).video, FPS as u64, "what was written before plays");
        }
    }
    // Retention finds its way out even when its own mark does not fit.
    drop(store);
    let mut small =
        TestStore { retention: b.retention, dir: tempfile::tempdir().expect("tempdir"), clock: b.clock.clone() };
    small.retention.max_bytes = 100_000;
    let config = perch_store::Config { data_dir: b.data(), ..small.config() };
    let store = perch_store::Store::open(config, b.clock.clone()).expect("opens on a full disk");
    let report = store.recordings().enforce_retention(true).expect("makes room");
    assert!(report.deleted > 0, "{report:?}");
    record(&store, 0..1, None);
}

/// `cargo test -p perch-store --release --test store -- --ignored --nocapture recording::` prints what a GOP costs.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_gop() {
    let b = TestStore::new();
    let store = b.open();
    let clip = clip();
    // 1 Mbit/s: the clip's pictures, padded.
    let gops: Vec<_> = (0..SECONDS - 1)
        .map(|n| {
            let mut g = gop(clip, n, MonoTime(0));
            for p in g.packets.iter_mut().filter(|p| p.track == Track::Video) {
                let mut bigger = (**p).clone();
                let mut data = bigger.data.to_vec();
                data.resize(125_000 / FPS as usize, 0x5a);
                bigger.data = data.into();
                *p = bigger.into();
            }
            g
        })
        .collect();
    let cpu = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
    };
    let (before, files) = (cpu(), 30);
    for f in 0..files {
        let mut writer =
            store.recordings().create_segment(&camera(), s(60.0 * f as f64), None, &format(clip)).expect("created");
        for i in 0..60 {
            let n = i % gops.len();
            let zero = MonoTime((n as i64 - i as i64) * 1_000_000);
            writer.write_fragment(zero, &gops[n]).expect("written");
        }
        writer.seal().expect("sealed");
    }
    let each = (cpu() - before) / (60 * files) as f64;
    println!("a GOP of a second at 1 Mbit/s costs {:.3} ms: {:.3} % of a core", each * 1e3, each * 100.0);
}

#[test]
fn a_disk_can_be_tried_and_nothing_is_left() {
    let b = TestStore::new();
    let store = b.open();
    std::fs::write(b.data().join("recordings/probe.tmp"), b"of an earlier try").expect("written");
    store.recordings().probe_write().expect("well");
    assert!(b.files().is_empty() && store.meta().get("probed_at").expect("asked").is_some());
}
