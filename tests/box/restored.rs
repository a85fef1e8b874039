//! A box that is gone: what it copied is brought back on a machine that knows nothing of it.

use crate::support::ffmpeg;
use crate::support::home::{Home, Ran, camera, perch};
use crate::support::{s, wait_until};
use perch_base::clock::{Clock, SystemClock};
use perch_test_stores::{Rights, TestStore};
use std::fs;
use std::path::{Path, PathBuf};

fn all_files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => out.extend(all_files(&path)),
            path => out.push(path),
        }
    }
    out.sort();
    out
}

#[test]
fn what_a_box_copied_comes_back_byte_for_byte_from_the_bucket_alone() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("copies")).expect("a bucket");
    let keys = [("box", "of-the-box", Rights::All), ("owner", "of-the-owner", Rights::ReadOnly)];
    let store = runtime.block_on(TestStore::start(folder.path(), &keys));
    let endpoint = store.endpoint();
    let home = Home::new("");
    let sync = format!(
        "[[sync]]\nendpoint = {endpoint:?}\nbucket = \"copies\"\nprefix = \"home\"\naccess_key = \"box\"\n\
         secret_key = \"of-the-box\"\nwhat = \"all\"\n"
    );
    let more = "motion = { enabled = false }\nrecord = { mode = \"continuous\", segment_max_s = 5 }";
    home.configure(&sync, &camera("front", "test", more));
    let mut running = home.boot();
    let admin = running.paired();
    // Settled a minute and a half after their end.
    wait_until("some recordings are copied", s(300), || {
        let copied = admin.json("/api/v1/sync")["targets"][0]["copied"].as_u64().unwrap_or(0);
        (copied >= 3).then_some(())
    });
    running.kill();

    // Another machine: an empty folder, the address, and a key that may only read.
    let out = tempfile::tempdir().expect("a folder");
    let now = SystemClock.utc();
    let (from, to) = (now.plus_micros(-3_600_000_000).to_string(), now.plus_micros(3_600_000_000).to_string());
    let mut command = perch(&[
        "restore",
        "--endpoint",
        &endpoint,
        "--bucket",
        "copies",
        "--prefix",
        "home",
        "--from",
        &from,
        "--to",
        &to,
        "--out",
        out.path().to_str().expect("text"),
    ]);
    command.env("AWS_ACCESS_KEY_ID", "owner").env("AWS_SECRET_ACCESS_KEY", "of-the-owner");
    let said = Ran::of(command, "").ok();
    let restored: Vec<_> =
        all_files(out.path()).into_iter().filter(|f| f.extension().is_some_and(|e| e == "mp4")).collect();
    assert!(restored.len() >= 3 && said.contains("no manifest of this time"), "{said}");
    let recorded = home.recordings("front");
    for file in &restored {
        let name = file.file_name().and_then(|n| n.to_str()).expect("text");
        let time = name.split_once('Z').expect("named by its time").0;
        let own = recorded.iter().find(|own| own.to_string_lossy().contains(time)).expect("recorded");
        assert!(fs::read(file).expect("read") == fs::read(own).expect("read"), "{name}: byte for byte");
        assert!(ffmpeg::probe_file(file).duration > 1.0, "{name} plays");
    }
}
