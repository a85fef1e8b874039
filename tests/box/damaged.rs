//! Network cameras whose packets arrive damaged, lost, late, twice or with times that contradict each other, at a whole box: recording
//! goes on, and every file opens. Whether the decoders like every picture is not the question: what was damaged stays so.

use crate::support::home::Home;
use crate::support::{ffmpeg, long, s, wait_until};
use perch_test_cameras::{Camera, find};
use std::time::{Duration, Instant};

/// Cases of the test cameras, and whether what they send can be recorded without a break.
const CASES: [(&str, bool); 6] = [
    ("flips", false),
    ("flipssome", true),
    ("udplost", true),
    ("udplate", true),
    ("udptwice", true),
    ("rtpjump", true),
];

#[test]
fn every_file_of_a_camera_whose_packets_are_damaged_opens() {
    let time = if long() { s(600) } else { s(20) };
    let cameras: Vec<_> = CASES
        .iter()
        .map(|(name, goes_on)| (*name, *goes_on, Camera::start(find(name).expect("a case")).expect("starts")))
        .collect();
    let sections = cameras.iter().map(|(name, _, camera)| {
        format!(
            "[[camera]]\nid = {name:?}\nsource = {:?}\nmotion = {{ enabled = false }}\n\
             record = {{ mode = \"continuous\", segment_max_s = 5 }}\n",
            camera.url()
        )
    });
    let home = Home::new(&sections.collect::<String>());
    let mut running = home.boot();
    let admin = running.paired();
    let goes_on = cameras.iter().filter(|(_, goes_on, _)| *goes_on).map(|(name, ..)| *name);
    for name in goes_on.clone() {
        wait_until(&format!("{name} records"), s(30), || (!home.recordings(name).is_empty()).then_some(()));
    }
    let began = Instant::now();
    wait_until("the time is over", time + s(1), || (began.elapsed() >= time).then_some(()));
    for name in goes_on.clone() {
        let camera = admin.camera(name);
        assert_eq!(camera["recording"]["state"], "recording", "{name}: {camera}");
    }
    let memory = admin.json("/api/v1/status")["memory_bytes"].as_u64();
    assert!(running.terminate().success(), "{}", running.log());
    assert!(!running.log().contains("panicked"), "{}", running.log());

    let mut opened = 0;
    for (name, goes_on, _) in &cameras {
        let mut recorded = Duration::ZERO;
        let files = home.recordings(name);
        assert!(!files.is_empty(), "{name}: nothing was recorded");
        for file in files {
            // The container must be without fault: what its samples hold is not decoded.
            let probe = ffmpeg::probe_container(&file);
            assert!(!probe.frames.is_empty(), "{name}: {} has no picture", file.display());
            assert!(probe.frames.iter().all(|f| f.bytes > 0), "{name}: an empty sample in {}", file.display());
            assert!(probe.frames.windows(2).all(|f| f[0].pts < f[1].pts), "{name}: time turns in {}", file.display());
            let pts = |frame: Option<&ffmpeg::Frame>| frame.map_or(0.0, |f| f.pts);
            recorded += Duration::from_secs_f64(pts(probe.frames.last()) - pts(probe.frames.first()));
            opened += 1;
        }
        eprintln!("{name}: {recorded:?} of {time:?} recorded");
        // A lost start costs the pictures up to the next one.
        assert!(!goes_on || recorded.as_secs_f64() > 0.75 * time.as_secs_f64(), "{name}: {recorded:?} of {time:?}");
    }
    eprintln!("{opened} files opened; {memory:?} bytes of memory at the end");
    assert!(memory.is_some_and(|bytes| bytes < 500_000_000), "{memory:?}");
}
