//! A box that lost its index with many recordings on its disk: ports, live and recording do not wait for them.
//! `PERCH_TEST_LONG=1` does it with 100,000 files and holds it to its figures.

use crate::support::home::{Home, camera};
use crate::support::whep::Viewer;
use crate::support::{long, s, wait_until};
use std::path::PathBuf;
use std::time::Instant;

const ALWAYS: &str = "motion = { enabled = false }\nrecord = { mode = \"continuous\", segment_max_s = 5 }";

#[test]
fn a_box_without_its_index_is_there_at_once() {
    let files = if long() { 100_000 } else { 10_000 };
    let home = Home::new("");
    // The old files are to stay, however old.
    let keep = "[recording]\nmin_free_bytes = 0\nmax_days = 0\nevent_max_days = 0\n";
    home.configure(keep, &camera("test", "test", ALWAYS));
    let mut running = home.boot();
    let admin = running.paired();
    wait_until("a file is complete", s(60), || (home.recordings("test").len() > 1).then_some(()));
    assert!(running.terminate().success(), "{}", running.log());

    let original = home.recordings("test").remove(0);
    let link = |n: usize| {
        let (day, minute) = (n / 1440, n % 1440);
        let folder = home.data().join(format!("recordings/test/2025-{:02}-{:02}", day / 28 % 12 + 1, day % 28 + 1));
        std::fs::create_dir_all(&folder).expect("made");
        let name = folder.join(format!("{:02}{:02}00.000Z.mp4", minute / 60, minute % 60));
        // A file has at most 65,000 names on ext4.
        let source: PathBuf = if n < 50_000 { original.clone() } else { home.dir().join("second.mp4") };
        std::fs::hard_link(source, name).expect("linked");
    };
    std::fs::copy(&original, home.dir().join("second.mp4")).expect("copied");
    (0..files).for_each(link);
    for name in ["perch.db", "perch.db-wal", "perch.db-shm"] {
        let _ = std::fs::remove_file(home.data().join(name));
    }
    drop(admin);
    let before = home.recordings("test").len();

    let begin = Instant::now();
    let mut running = home.boot();
    let ports = begin.elapsed();
    let admin = running.paired();
    let taking_in = |admin: &crate::support::client::Client| admin.json("/api/v1/status")["disk"]["taking_in"].clone();
    let at_once = taking_in(&admin);
    // Once the camera shows something: a camera that starts is waited for.
    let (mut viewer, offer) = Viewer::offer();
    viewer.accept(&admin.whep("test", "main", &offer).0);
    let viewer = viewer.spawn();
    let first = wait_until("a picture at a viewer", s(30), || viewer.seen().first_frame);
    let live = first.saturating_duration_since(begin);
    drop(viewer);
    assert!(at_once["files_done"].as_u64().is_some_and(|done| done < files as u64), "{at_once}");
    wait_until("it records", s(30), || (admin.camera("test")["recording"]["state"] == "recording").then_some(()));
    let recording = begin.elapsed();
    eprintln!("{files} files: ports open after {ports:?}, live after {live:?}, recording after {recording:?}");
    if long() {
        let figures = format!("ports {ports:?}, live {live:?}, recording {recording:?}");
        assert!(ports < s(3) && live < s(5) && recording < s(5), "{figures}");
    }
    assert!(!taking_in(&admin).is_null(), "it records while the files are still being taken in");

    // What is recorded meanwhile, and all that was there, is found in the end.
    wait_until("all is taken in", s(if long() { 1200 } else { 240 }), || taking_in(&admin).is_null().then_some(()));
    eprintln!("all taken in after {:?}", begin.elapsed());
    let line = admin.json("/api/v1/cameras/test/timeline?from=2025-01-01T00:00:00Z&to=2025-01-02T00:00:00Z");
    assert!(!line["spans"].as_array().expect("a list").is_empty(), "{line}");
    assert!(home.recordings("test").len() > before);
    assert!(running.terminate().success(), "{}", running.log());
    let log = running.log();
    assert!(log.contains("brought back in step"), "{log}");
}
