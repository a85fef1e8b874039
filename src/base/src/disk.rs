//! What the system says of a disk. When it is full or away is decided in `domain`.

use rustix::fs::{StatVfs, StatVfsMountFlags};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// A disk (a file system) at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Its size, bytes.
    pub total_bytes: u64,
    /// What users other than root may still write, bytes.
    pub free_bytes: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

impl Space {
    /// The disk that holds an open file or folder. Errors are the system's.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(rustix::fs::fstatvfs(file)?.into())
    }

    /// The disk that holds `path`, which need not be readable. Errors are the system's.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(rustix::fs::statvfs(path)?.into())
    }
}

impl From<StatVfs> for Space {
    fn from(s: StatVfs) -> Self {
        Self {
            total_bytes: s.f_blocks.saturating_mul(s.f_frsize),
            free_bytes: s.f_bavail.saturating_mul(s.f_frsize),
            read_only: s.f_flag.contains(StatVfsMountFlags::RDONLY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_asked_by_path_and_by_what_is_open() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = std::fs::File::open(dir.path()).expect("opened");
        for space in [Space::at(dir.path()), Space::of(&open)] {
            let space = space.expect("it answers");
            assert!(space.free_bytes <= space.total_bytes && space.total_bytes > 0 && !space.read_only, "{space:?}");
        }
        assert_eq!(Space::at(&dir.path().join("none")).expect_err("nothing there").kind(), io::ErrorKind::NotFound);
        let proc = Space::at(Path::new("/proc")).expect("it answers");
        assert_eq!((proc.total_bytes, proc.free_bytes), (0, 0), "it is no disk");
    }
}
