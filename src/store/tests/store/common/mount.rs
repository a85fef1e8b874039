//! Small disks for tests, where they may be mounted.

use super::TestStore;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// A small disk, until it is dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// One that the store's data folder lies on.
    pub fn new(b: &TestStore) -> Option<Self> {
        Self::at(b.data(), "size=24m")
    }

    /// One at `folder` with these options of a tmpfs. `None`, said loudly, where nothing may be mounted.
    pub fn at(folder: PathBuf, how: &str) -> Option<Self> {
        fs::create_dir_all(&folder).expect("made");
        let out = Command::new("mount").args(["-t", "tmpfs", "-o", how, "tmpfs"]).arg(&folder).output();
        if out.is_ok_and(|o| o.status.success()) {
            return Some(Self(folder));
        }
        // Where root is promised, a test that does not run is one that fails.
        let is_promised = std::env::var("CI").is_ok_and(|v| v == "true");
        assert!(!is_promised, "this test mounts a small disk, which is promised here and not allowed");
        let _ = writeln!(std::io::stderr(), "SKIPPED: this test mounts a small disk, which is not allowed here");
        None
    }

    /// Waits while the disk is busy: a process that another test starts holds our files until it runs its own program.
    pub fn remount(&self, how: &str) {
        let mut said = String::new();
        for _ in 0..100 {
            let out =
                Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).output().expect("runs");
            if out.status.success() {
                return;
            }
            said = String::from_utf8_lossy(&out.stderr).into_owned();
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{said}");
    }

    /// Takes all the space there is.
    pub fn fill(&self, name: &str) {
        let mut file = File::create(self.0.join(name)).expect("made");
        for size in [1 << 16, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
