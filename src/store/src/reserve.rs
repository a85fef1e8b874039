//! A few megabytes that are kept free for the box itself: a start on a full disk gives them up, since a database cannot be
//! opened without a little room beside it, and retention puts them back when it has made space.

use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The file's name in the data folder.
const FILE: &str = "reserve";

/// Its size: the database's journal grows to half of it.
pub(crate) const BYTES: u64 = 8 << 20;

/// Makes the reserve when it is missing and what is free allows it. A disk that refuses it is only logged.
pub(crate) fn keep(dir: &Path, free_bytes: u64) {
    let path = dir.join(FILE);
    let whole = fs::symlink_metadata(&path).is_ok_and(|m| m.is_file() && m.len() == BYTES);
    if whole || free_bytes < 2 * BYTES {
        return;
    }
    if let Err(e) = make(&path) {
        tracing::debug!(error = %e, "no reserve could be set aside on the disk");
        let _ = fs::remove_file(&path);
    }
}

/// Gives the reserve's space back; whether there was any.
pub(crate) fn give_up(dir: &Path) -> bool {
    fs::remove_file(dir.join(FILE)).is_ok()
}

fn make(path: &Path) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES).is_ok() {
        return Ok(());
    }
    // File systems without fallocate: written in full, so that the space is really taken.
    let zeros = vec![0; 1 << 20];
    for _ in 0..BYTES >> 20 {
        file.write_all(&zeros)?;
    }
    Ok(())
}
