//! What cameras send besides a keyframe a second: H.265, pictures out of order, shapes, long and short groups of pictures, parameter sets
//! that change, rare pictures. Every file plays whole, and the index says what is in it.

use crate::common::*;
use bytes::Bytes;
use perch_base::ErrorKind;
use perch_base::time::MonoTime;
use perch_domain::archive::{Segment, SegmentState};
use perch_domain::bitstream::nal_units;
use perch_domain::media::{Packet, Track, VideoCodec};
use perch_domain::orientation::Orientation;
use perch_domain::playback::hls_playlist;
use perch_domain::ports::ArchivePort;
use perch_domain::recording::parts::{Cutter, Place};
use perch_domain::refresh::whole_after;
use perch_store::{FragmentPackets, Store, TrackFormat};
use perch_test_cameras::bits::{Bits, pps_with_id, slice_with_pps, unescape};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// One encoded picture, in the order in which it is decoded.
#[derive(Clone)]
struct Picture {
    codec: VideoCodec,
    data: Bytes,
    decoded_us: i64,
    shown_us: i64,
    keyframe: bool,
}

fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let out = Command::new(program).args(["-v", "error"]).args(args).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// Test pictures, encoded with these arguments (with the encoder).
fn encode(size: &str, fps: &str, seconds: u32, args: &str) -> Vec<Picture> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("clip.mp4");
    let clip = path.to_str().expect("UTF-8");
    let source = format!("testsrc2=size={size}:rate={fps}:duration={seconds}");
    let mut all = vec!["-f", "lavfi", "-i", &source, "-pix_fmt", "yuv420p", "-threads", "1"];
    all.extend(args.split(' '));
    all.push(clip);
    run("ffmpeg", &all);
    let codec = if args.contains("libx265") { VideoCodec::H265 } else { VideoCodec::H264 };
    let (filter, form) = match codec {
        VideoCodec::H265 => ("hevc_mp4toannexb,hevc_metadata=aud=insert", "hevc"),
        _ => ("h264_mp4toannexb,h264_metadata=aud=insert", "h264"),
    };
    let stream = run("ffmpeg", &["-i", clip, "-c", "copy", "-bsf:v", filter, "-f", form, "-"]);
    let is_delimiter = |nal: u8| match codec {
        VideoCodec::H265 => nal >> 1 & 0x3f == 35,
        _ => nal & 0x1f == 9,
    };
    let begins = |i: &usize| stream[*i..*i + 4] == [0, 0, 0, 1] && is_delimiter(stream[*i + 4]);
    let starts: Vec<usize> = (0..stream.len() - 5).filter(begins).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let units = starts.iter().zip(ends).map(|(a, b)| Bytes::copy_from_slice(&stream[*a..b]));
    let entries = "packet=pts_time,dts_time,flags";
    let times = run("ffprobe", &["-select_streams", "v", "-show_entries", entries, "-of", "csv=p=0", clip]);
    let times = String::from_utf8(times).expect("text");
    let micros = |text: &str| (text.parse::<f64>().expect("a number") * 1e6).round() as i64;
    let times: Vec<(i64, i64, bool)> = times
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (micros(fields[0]), micros(fields[1]), fields[2].starts_with('K'))
        })
        .collect();
    let first_us = times[0].1;
    let pictures: Vec<Picture> = units
        .zip(&times)
        .map(|(data, (shown, decoded, keyframe))| Picture {
            codec,
            data,
            decoded_us: decoded - first_us,
            shown_us: shown - first_us,
            keyframe: *keyframe,
        })
        .collect();
    assert!(pictures.len() == times.len() && pictures[0].keyframe, "{} of {}", pictures.len(), times.len());
    pictures
}

const PLAIN: &str = "-c:v libx264 -preset ultrafast -bf 0 -sc_threshold 0 -g";
const H265: &str = "-c:v libx265 -preset ultrafast -x265-params log-level=error:open-gop=0:keyint=25:min-keyint=25:bframes=3:b-adapt=0";

/// Parts as the recorder cuts them, with sound where `sound` is; the last one ends a picture after its last.
fn parts(pictures: &[Picture], sound: &[Bytes]) -> Vec<(MonoTime, FragmentPackets)> {
    let mut cutter = Cutter::default();
    let mut out: Vec<(MonoTime, FragmentPackets)> = Vec::new();
    let mut sound = sound.iter().enumerate().peekable();
    let shown_from_us = pictures[0].shown_us;
    for (n, p) in pictures.iter().enumerate() {
        let packet = Packet {
            codec: Some(p.codec),
            shown_later: Duration::from_micros((p.shown_us - p.decoded_us) as u64),
            ..Packet::new(Track::Video, p.data.clone(), MonoTime(p.decoded_us), p.keyframe)
        };
        match cutter.place(&packet, n == 0) {
            Place::Next => {
                let at = packet.pts + cutter.delay();
                if let Some((_, before)) = out.last_mut() {
                    before.end = at;
                }
                out.push((at, FragmentPackets { delay: cutter.delay(), ..Default::default() }));
            }
            Place::Open => {}
            Place::Nowhere => panic!("picture {n} has no part"),
        }
        let (_, part) = out.last_mut().expect("begun");
        part.packets.push(Arc::new(packet));
        let step_us = pictures[1].decoded_us.max(1);
        part.end = MonoTime(p.decoded_us + step_us) + cutter.delay();
        while let Some((i, data)) = sound.next_if(|(i, _)| *i as i64 * 20_000 <= p.decoded_us) {
            let heard = MonoTime(shown_from_us + i as i64 * 20_000);
            part.packets.push(Arc::new(Packet::new(Track::Audio, data.clone(), heard, true)));
        }
    }
    out
}

/// Records pictures as one file that begins at `at` seconds.
fn record(store: &Store, at: f64, pictures: &[Picture], sound: &[Bytes]) -> Segment {
    let format = TrackFormat::from_keyframe(pictures[0].codec, &pictures[0].data, !sound.is_empty());
    let format = format.expect("it has its parameter sets");
    let mut writer = store.recordings().create_segment(&camera(), s(at), None, &format).expect("created");
    let parts = parts(pictures, sound);
    for (_, part) in &parts {
        writer.write_fragment(parts[0].0, part).expect("written");
    }
    writer.seal().expect("sealed")
}

/// What ffmpeg makes of a file.
#[derive(Debug)]
struct Seen {
    tag: String,
    aspect: String,
    /// When each decoded picture is shown, milliseconds.
    frames_ms: Vec<i64>,
    /// When each packet of video is shown, milliseconds, and whether it is a keyframe; in the order of the file.
    packets: Vec<(i64, bool)>,
    /// When the sound begins, milliseconds.
    sound_ms: Option<i64>,
}

/// Decodes a whole file; anything that ffmpeg complains of fails the test, or that is not as the standards have it.
fn see(path: &Path) -> Seen {
    crate::standards::check(path);
    let entries = "stream=codec_type,codec_tag_string,sample_aspect_ratio,start_time:frame=media_type,pts_time:packet=codec_type,pts_time,dts_time,flags";
    let args = ["-v", "warning", "-show_entries", entries, "-show_frames", "-show_packets", "-of", "json"];
    let out = Command::new("ffprobe").args(args).arg(path).output().expect("ffprobe runs");
    assert!(out.status.success() && out.stderr.is_empty(), "{path:?}: {}", String::from_utf8_lossy(&out.stderr));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let ms = |v: &serde_json::Value| {
        v.as_str().and_then(|t| t.parse::<f64>().ok()).map_or(i64::MIN, |s| (s * 1_000.0).round() as i64)
    };
    let all: Vec<&serde_json::Value> = json["packets_and_frames"].as_array().expect("all").iter().collect();
    let video = |kind: &str, of: &str| -> Vec<&serde_json::Value> {
        all.iter().copied().filter(|v| v["type"] == kind && v[of] == "video").collect()
    };
    let packets = video("packet", "codec_type");
    let decoded: Vec<i64> = packets.iter().map(|p| ms(&p["dts_time"])).collect();
    assert!(decoded.windows(2).all(|w| w[0] < w[1]), "{path:?}: {decoded:?}");
    let streams = json["streams"].as_array().expect("streams");
    Seen {
        tag: streams[0]["codec_tag_string"].as_str().unwrap_or_default().to_owned(),
        aspect: streams[0]["sample_aspect_ratio"].as_str().unwrap_or_default().to_owned(),
        frames_ms: video("frame", "media_type").iter().map(|f| ms(&f["pts_time"])).collect(),
        packets: packets
            .iter()
            .map(|p| (ms(&p["pts_time"]), p["flags"].as_str().is_some_and(|f| f.starts_with('K'))))
            .collect(),
        sound_ms: streams.get(1).map(|s| ms(&s["start_time"])),
    }
}

fn export(b: &TestStore, store: &Store, from: f64, to: f64) -> PathBuf {
    let path = b.dir.path().join("export.mp4");
    let export = store.recordings().export(&camera(), range(from, to)).expect("recorded");
    let data: Vec<u8> = export.chunks.flat_map(|c| c.expect("a chunk")).collect();
    std::fs::write(&path, data).expect("written");
    path
}

fn every_40_ms(pictures: usize) -> Vec<i64> {
    (0..pictures as i64).map(|n| n * 40).collect()
}

/// Where a box of this kind begins in a file's header.
fn at_box(data: &[u8], kind: &[u8; 4]) -> usize {
    data[..4096.min(data.len())].windows(4).position(|w| w == kind).expect("it is there") + 4
}

#[test]
fn h265_with_pictures_out_of_order_and_oblong_pixels_plays_as_it_was_filmed() {
    let b = TestStore::new();
    let store = b.open();
    let pictures = encode("352x240", "25", 4, &format!("-vf setsar=40/33 {H265}"));
    assert!(pictures.iter().any(|p| p.shown_us - p.decoded_us > 40_000), "they travel out of order");
    let segment = record(&store, 0.0, &pictures, &clip().audio[..200]);
    assert_eq!((segment.state, segment.end, segment.fragments.len()), (SegmentState::Sealed, s(4.0), 4));
    assert!(segment.fragments.iter().all(|f| f.starts));
    let path = &b.files()[0];
    let seen = see(path);
    assert_eq!((&*seen.tag, &*seen.aspect), ("hvc1", "40:33"));
    assert_eq!(seen.frames_ms, every_40_ms(100), "all, from time 0, in order");
    assert!(seen.sound_ms.is_some_and(|at| at.abs() <= 20), "sound begins with the picture: {seen:?}");
    let data = std::fs::read(path).expect("read");
    let shown = |at: usize| u32::from_be_bytes(data[at..at + 4].try_into().expect("four")) >> 16;
    let tkhd = at_box(&data, b"tkhd");
    let tkhd = tkhd + if data[tkhd] == 1 { 88 } else { 76 };
    assert_eq!((shown(tkhd), shown(tkhd + 4)), (427, 240), "as it is to be seen");
    assert!(!data[at_box(&data, b"hvcC")..].is_empty());
    let samples = &data[segment.init_size_bytes as usize..];
    let sets = &TrackFormat::from_keyframe(VideoCodec::H265, &pictures[0].data, false).expect("parsed").sets;
    assert_eq!(sets.len(), 3);
    for set in sets {
        assert!(!samples.windows(set.len()).any(|w| w == &set[..]), "hvc1 wants parameter sets in its header alone");
    }

    let exported = see(&export(&b, &store, 1.5, 3.0));
    assert_eq!((exported.tag, exported.frames_ms), ("hvc1".to_owned(), every_40_ms(50)));
    let (codec, found) = store.recordings().keyframe_at(&camera(), s(2.5)).expect("recorded");
    assert_eq!(TrackFormat::from_keyframe(codec, &found[0], false).expect("whole").sets, *sets);

    // Without its index it is found again as it was.
    drop(store);
    for file in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(b.data().join(file));
    }
    for entry in std::fs::read_dir(b.data()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() && path.file_name().is_some_and(|n| n.to_string_lossy().contains(".db")) {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let store = b.open();
    let [found] = &store.recordings().segments(&camera(), range(0.0, 60.0)).expect("asked")[..] else { panic!("one") };
    assert_eq!((found.start, found.fragments.len(), found.size_bytes), (segment.start, 4, segment.size_bytes));
    assert_eq!(see(&export(&b, &store, 0.0, 60.0)).frames_ms, every_40_ms(100));
}

#[test]
fn h264_with_pictures_out_of_order_is_shown_in_order_from_time_0() {
    let b = TestStore::new();
    let store = b.open();
    let pictures = encode("320x240", "25", 6, "-c:v libx264 -preset fast -bf 3 -b_strategy 0 -sc_threshold 0 -g 150");
    let segment = record(&store, 0.0, &pictures, &clip().audio[..300]);
    assert_eq!(segment.fragments.iter().map(|f| f.starts).collect::<Vec<_>>(), [true, false, false]);
    let seen = see(&b.files()[0]);
    assert_eq!((&*seen.tag, seen.frames_ms), ("avc1", every_40_ms(150)));
    assert!(seen.sound_ms.is_some_and(|at| at.abs() <= 20), "{:?}", seen.sound_ms);
}

#[test]
fn a_long_group_of_pictures_is_in_parts_and_played_from_its_keyframe() {
    let b = TestStore::new();
    let store = b.open();
    let pictures = encode("320x240", "25", 12, &format!("{PLAIN} 250"));
    let segment = record(&store, 0.0, &pictures, &[]);
    let starts: Vec<bool> = segment.fragments.iter().map(|f| f.starts).collect();
    assert_eq!(starts, [true, false, false, false, false, true], "of ten seconds and of two");
    assert!(segment.fragments.iter().all(|f| f.duration_us < 2_500_000), "{:?}", segment.fragments);
    assert_eq!(see(&b.files()[0]).frames_ms, every_40_ms(300));
    let found = store.recordings().segments(&camera(), range(7.0, 8.0)).expect("asked");
    assert_eq!(found, [segment], "its row holds where decoding can start");
    let playlist = hls_playlist(&found, &range(7.0, 8.0)).expect("recorded");
    assert_eq!(playlist.matches("#EXTINF").count(), 1, "from the keyframe on, in one piece: {playlist}");
    let frames = see(&export(&b, &store, 7.0, 8.0)).frames_ms;
    assert!(frames.len() >= 200 && frames == every_40_ms(frames.len()), "{}", frames.len());
    store.recordings().keyframe_at(&camera(), s(8.0)).expect("the keyframe before");

    // A power cut costs the part that was being written.
    drop(store);
    let path = &b.files()[0];
    let third = found[0].fragments[3];
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("opened");
    file.set_len(third.offset_bytes + third.size_bytes / 2).expect("cut");
    let store = b.open();
    let left = store.recordings().segments(&camera(), range(0.0, 60.0)).expect("asked");
    assert_eq!(left[0].fragments, found[0].fragments[..3]);
    let frames = see(path).frames_ms;
    assert!(frames.len() > 170 && frames == every_40_ms(frames.len()), "{}", frames.len());
}

#[test]
fn of_an_intra_refresh_all_is_read_up_to_the_first_whole_picture() {
    let b = TestStore::new();
    let store = b.open();
    let refresh = "-c:v libx264 -preset ultrafast -bf 0 -x264-params intra-refresh=1:keyint=25:scenecut=0";
    let mut pictures = encode("320x240", "25", 4, refresh);
    for picture in &mut pictures {
        picture.keyframe |= whole_after(picture.codec, &picture.data) > 0;
    }
    assert_eq!(pictures.iter().filter(|picture| picture.keyframe).count(), 4);
    record(&store, 0.0, &pictures, &[]);
    let read = |at| store.recordings().keyframe_at(&camera(), s(at)).expect("recorded").1;
    assert_eq!(read(0.5).len(), 1, "whole at once");
    let found = read(1.5);
    let more = whole_after(VideoCodec::H264, &found[0]) as usize;
    assert!(more > 5 && found.len() == more + 1, "{more} and {}", found.len());
    let slice = |unit: &Bytes| nal_units(unit).last().map(<[u8]>::to_vec);
    assert!(found.iter().zip(&pictures[25..]).all(|(found, made)| slice(found) == slice(&made.data)));
}

#[test]
fn pictures_that_are_all_keyframes_are_gathered() {
    let b = TestStore::new();
    let store = b.open();
    let segment = record(&store, 0.0, &encode("320x240", "25", 6, &format!("{PLAIN} 1")), &[]);
    assert!(segment.fragments.len() <= 8 && segment.fragments.iter().all(|f| f.starts), "{:?}", segment.fragments);
    let seen = see(&b.files()[0]);
    assert_eq!(seen.frames_ms, every_40_ms(150));
    assert!(seen.packets.iter().all(|p| p.1), "each can be sought");
    // A few keyframes in one part.
    let segment = record(&store, 10.0, &encode("320x240", "25", 3, &format!("{PLAIN} 10")), &[]);
    let lengths: Vec<i64> = segment.fragments.iter().map(|f| f.duration_us / 1_000).collect();
    assert!(segment.fragments.iter().all(|f| f.starts) && lengths == [800, 800, 800, 600], "{lengths:?}");
    let seen = see(&b.files()[1]);
    let keyframes: Vec<i64> = seen.packets.iter().filter(|p| p.1).map(|p| p.0).collect();
    assert_eq!(keyframes, [0, 400, 800, 1200, 1600, 2000, 2400, 2800]);
    assert_eq!(seen.frames_ms, every_40_ms(75));
    drop(store);
    let before = std::fs::metadata(&b.files()[1]).expect("there").len();
    assert_eq!(b.open().recordings().segments(&camera(), range(0.0, 60.0)).expect("asked").len(), 2);
    assert_eq!(std::fs::metadata(&b.files()[1]).expect("there").len(), before, "read back as it was written");
}

/// These pictures as a stream that is no file of ours.
fn stream(b: &TestStore, pictures: &[Picture]) -> PathBuf {
    let path = b.dir.path().join("stream.h264");
    std::fs::write(&path, pictures.iter().flat_map(|p| p.data.to_vec()).collect::<Vec<_>>()).expect("written");
    path
}

/// What each picture looks like: sets that are not in force give others, often without a complaint.
fn sums(path: &Path) -> Vec<String> {
    let path = path.to_str().expect("UTF-8");
    let text = String::from_utf8(run("ffmpeg", &["-i", path, "-an", "-f", "framemd5", "-"])).expect("text");
    let sum = |line: &str| line.rsplit(',').next().unwrap_or_default().trim().to_owned();
    text.lines().filter(|l| !l.starts_with('#')).map(sum).collect()
}

/// The same picture with other NAL units.
fn changed(picture: &Picture, change: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Picture {
    let units = nal_units(&picture.data).flat_map(change).flat_map(|nal| [&[0, 0, 0, 1], &nal[..]].concat());
    Picture { data: units.collect(), ..picture.clone() }
}

/// `avcC` counts parameter sets in eight bits, and sequence parameter sets in five.
#[test]
fn many_parameter_sets_are_one_file_that_decodes() {
    let b = TestStore::new();
    let store = b.open();
    let plain = encode("320x240", "25", 4, &format!("{PLAIN} 25 -profile:v baseline"));
    // All of 70 picture parameter sets are used, one after the other; no picture uses the other sequence parameter sets.
    let many = |count: u64, others: u64| -> Vec<Picture> {
        let sets = |nal: &[u8]| match nal[0] & 0x1f {
            7 => (0..others).map(|n| sps_with_id(nal, others - n)).chain([nal.to_vec()]).collect(),
            8 => (0..count).map(|id| pps_with_id(nal, id)).collect(),
            _ => vec![nal.to_vec()],
        };
        let used = |n: usize, nal: &[u8]| match nal[0] & 0x1f {
            1 | 5 => vec![slice_with_pps(nal, n as u64 % count)],
            _ => sets(nal),
        };
        plain.iter().enumerate().map(|(n, p)| changed(p, |nal| used(n, nal))).collect()
    };
    for (n, (pictures, in_header)) in [(many(70, 0), 71), (many(70, 30), 101)].into_iter().enumerate() {
        let format = TrackFormat::from_keyframe(VideoCodec::H264, &pictures[0].data, false).expect("parsed");
        assert_eq!(format.sets.len(), in_header);
        record(&store, 100.0 * n as f64, &pictures, &[]);
        assert_eq!(see(&b.files()[n]).frames_ms, every_40_ms(100));
        assert_eq!(sums(&b.files()[n]), sums(&stream(&b, &plain)));
    }
    // One more than fits: it stands in the samples. ffmpeg does not read the number 31.
    let pictures = many(1, 31);
    let format = TrackFormat::from_keyframe(VideoCodec::H264, &pictures[0].data, false).expect("parsed");
    assert_eq!(format.sets.len(), 32);
    record(&store, 300.0, &pictures, &[]);
    crate::standards::check(&b.files()[2]);
}

/// The same H.264 SPS of a baseline profile under another id.
fn sps_with_id(sps: &[u8], id: u64) -> Vec<u8> {
    let bits = Bits::of(&unescape(&sps[4..]));
    let (_, at) = bits.read_ue(0);
    let mut out = Bits::default();
    out.ue(id).add(&bits.part(at, bits.len()));
    out.nal(&sps[..4])
}

/// What a camera that hangs on its side says is in the header, and another word begins another file.
#[test]
fn how_pictures_are_turned_is_in_the_header() {
    let b = TestStore::new();
    let store = b.open();
    let rotation = |path: &Path| {
        let args = ["-select_streams", "v", "-show_entries", "stream_side_data=rotation", "-of", "csv=p=0"];
        let text = run("ffprobe", &[&args[..], &[path.to_str().expect("UTF-8")]].concat());
        String::from_utf8(text).expect("text").trim().to_owned()
    };
    for (n, (encoder, quarters, want)) in
        [(PLAIN.to_owned() + " 25", 1, "-90"), (H265.to_owned(), 2, "-180")].into_iter().enumerate()
    {
        let plain = encode("320x240", "25", 2, &encoder);
        let orientation = Orientation { mirrored: false, quarters };
        let turned: Vec<Picture> = plain
            .iter()
            .map(|p| {
                let is_pps =
                    |nal: &[u8]| if p.codec == VideoCodec::H265 { nal[0] >> 1 == 34 } else { nal[0] & 31 == 8 };
                let message = |nal: &[u8]| is_pps(nal).then(|| orientation.message(p.codec));
                changed(p, |nal| [Some(nal.to_vec()), message(nal)].into_iter().flatten().collect())
            })
            .collect();
        let format = |p: &Picture| TrackFormat::from_keyframe(p.codec, &p.data, false).expect("parsed");
        assert!(!format(&turned[0]).goes_on_from(&format(&plain[0])));
        assert!(format(&turned[25]).goes_on_from(&format(&turned[0])));
        let at = 100.0 * n as f64;
        record(&store, at, &turned, &[]);
        let exported = export(&b, &store, at, at + 9.0);
        for path in [&b.files()[n], &exported] {
            assert_eq!((see(path).frames_ms, rotation(path)), (every_40_ms(50), want.to_owned()), "{path:?}");
        }
    }
}

#[test]
fn parameter_sets_that_change_with_each_group_of_pictures_are_one_file_that_decodes() {
    let b = TestStore::new();
    let store = b.open();
    let one = encode("320x240", "25", 4, &format!("{PLAIN} 25"));
    // It keeps more pictures to refer to, and counts its quantisers from another one.
    let other = encode("320x240", "25", 4, &format!("{PLAIN} 25 -qp 40 -refs 4"));
    let larger = encode("640x360", "25", 1, &format!("{PLAIN} 25"));
    let mixed: Vec<Picture> =
        (0..100).map(|n| if n / 25 % 2 == 0 { one[n].clone() } else { other[n].clone() }).collect();
    let format = |p: &Picture| TrackFormat::from_keyframe(p.codec, &p.data, false).expect("parsed");
    assert_ne!(format(&one[0]).sets, format(&other[0]).sets);
    assert!(format(&other[0]).goes_on_from(&format(&one[0])));
    assert!(!format(&larger[0]).goes_on_from(&format(&one[0])));
    record(&store, 0.0, &mixed, &[]);
    assert_eq!(see(&b.files()[0]).frames_ms, every_40_ms(100));
    let want = sums(&stream(&b, &mixed));
    assert_eq!((want.len(), sums(&b.files()[0])), (100, want.clone()));
    let exported = export(&b, &store, 2.5, 4.0);
    assert_eq!(see(&exported).frames_ms, every_40_ms(50));
    assert_eq!(sums(&exported), want[50..]);
    for at in [0.5, 1.5, 2.5, 3.5] {
        let (codec, found) = store.recordings().keyframe_at(&camera(), s(at)).expect("recorded");
        let want = format(if at as i64 % 2 == 0 { &one[0] } else { &other[0] });
        assert_eq!(TrackFormat::from_keyframe(codec, &found[0], false).expect("whole").sets, want.sets, "at {at}");
    }
}

/// `hvc1` says that its header holds all parameter sets: where they change, another file begins; one that joins both says so.
#[test]
fn parameter_sets_of_h265_that_change_begin_a_file() {
    let b = TestStore::new();
    let store = b.open();
    let one = encode("320x240", "25", 2, H265);
    let other = encode("320x240", "25", 2, &format!("{H265}:sao=1"));
    let format = |p: &Picture| TrackFormat::from_keyframe(p.codec, &p.data, false).expect("parsed");
    assert_ne!(format(&one[0]).sets, format(&other[0]).sets);
    assert_eq!(format(&one[0]).size().expect("known"), format(&other[0]).size().expect("known"));
    assert!(!format(&other[0]).goes_on_from(&format(&one[0])) && !format(&one[0]).goes_on_from(&format(&other[0])));
    assert!(format(&one[25]).goes_on_from(&format(&one[0])), "the next keyframe brings the same");
    record(&store, 0.0, &one, &[]);
    record(&store, 2.0, &other, &[]);
    for (from, to) in [(0.0, 1.9), (2.1, 9.0)] {
        let seen = see(&export(&b, &store, from, to));
        assert_eq!((&*seen.tag, seen.frames_ms), ("hvc1", every_40_ms(50)));
    }
    let both = see(&export(&b, &store, 0.0, 9.0));
    assert_eq!((&*both.tag, both.frames_ms), ("hev1", every_40_ms(100)));
}

#[test]
fn a_picture_each_five_seconds_lasts_five_seconds() {
    let b = TestStore::new();
    let store = b.open();
    let segment = record(&store, 0.0, &encode("320x240", "1/5", 40, &format!("{PLAIN} 4")), &[]);
    let lengths: Vec<i64> = segment.fragments.iter().map(|f| f.duration_us / 1_000).collect();
    assert_eq!(lengths, [5_000; 8]);
    assert_eq!(segment.end, s(40.0));
    assert_eq!(see(&b.files()[0]).frames_ms, (0..8).map(|n| n * 5_000).collect::<Vec<_>>());
}

/// What a network lost is missing in the file; a keyframe may be among it.
#[test]
fn a_file_over_lost_pictures_is_one_and_plays() {
    let b = TestStore::new();
    let store = b.open();
    let all = encode("320x240", "25", 10, &format!("{PLAIN} 50"));
    let came: Vec<Picture> =
        all.iter().enumerate().filter(|(n, _)| n % 7 != 6 && *n != 100).map(|(_, p)| p.clone()).collect();
    let segment = record(&store, 0.0, &came, &[]);
    assert_eq!((segment.state, segment.end), (SegmentState::Sealed, s(10.0)));
    let count = |entry: &str| {
        let args = ["-select_streams", "v", "-show_entries", entry, "-of", "csv=p=0"];
        let path = b.files()[0].display().to_string();
        let text = String::from_utf8(run("ffprobe", &[&args[..], &[&path]].concat())).expect("text");
        text.lines().filter(|line| !line.is_empty()).count()
    };
    assert_eq!(count("packet=pts_time"), came.len());
    assert!(count("frame=pts_time") >= came.len() * 3 / 4, "{} of {}", count("frame=pts_time"), came.len());
}

#[test]
fn a_unit_without_a_picture_is_no_sample() {
    let b = TestStore::new();
    let store = b.open();
    let mut pictures = encode("320x240", "25", 2, &format!("{PLAIN} 25"));
    for n in [7, 30] {
        let (decoded_us, keyframe) = (pictures[n].decoded_us + 10_000, false);
        // A delimiter, a message of the encoder, filler.
        let data = Bytes::from_static(&[0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 6, 5, 1, 1, 0x80, 0, 0, 0, 1, 12, 0xff, 0x80]);
        pictures.insert(n + 1, Picture { data, decoded_us, shown_us: decoded_us, keyframe, ..pictures[n].clone() });
    }
    record(&store, 0.0, &pictures, &[]);
    let seen = see(&b.files()[0]);
    assert_eq!((seen.frames_ms, seen.packets.len()), (every_40_ms(50), 50));
}

#[test]
fn one_export_holds_one_codec() {
    let b = TestStore::new();
    let store = b.open();
    record(&store, 0.0, &encode("352x240", "25", 2, H265), &[]);
    record(&store, 2.0, &encode("352x240", "25", 2, &format!("{PLAIN} 25")), &[]);
    let refused = store.recordings().export(&camera(), range(0.0, 9.0)).map(drop).expect_err("two codecs");
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    for (from, to, tag) in [(0.0, 1.9, "hvc1"), (2.1, 9.0, "avc1")] {
        let seen = see(&export(&b, &store, from, to));
        assert_eq!((&*seen.tag, seen.frames_ms), (tag, every_40_ms(50)));
    }
    let playlist =
        hls_playlist(&store.recordings().segments(&camera(), range(0.0, 9.0)).expect("asked"), &range(0.0, 9.0));
    assert_eq!(playlist.expect("recorded").matches("#EXT-X-MAP").count(), 2, "each file brings its header");
}
