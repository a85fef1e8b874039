//! The lock by which one daemon has a data folder for itself.

use crate::fault::io_error;
use perch_base::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The lock on a data folder, given back when it is dropped.
pub(crate) struct FolderLock(File);

impl FolderLock {
    /// Keeps a second daemon out: it would seal the first one's open files. On a disk that cannot be written, the lock file is
    /// locked as it is, or the folder in its place.
    pub(crate) fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("perch.lock");
        let what = || format!("{} cannot be made", path.display());
        let made = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = match made {
            Ok(file) => file,
            Err(e) if matches!(e.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::StorageFull) => {
                tracing::warn!(error = %e, "the data folder cannot be written");
                File::open(&path).or_else(|_| File::open(data_dir)).map_err(|_| io_error(what, e))?
            }
            Err(e) => return Err(io_error(what, e)),
        };
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::new(
                ErrorKind::Conflict,
                format!("another perch is running with the data folder {}", data_dir.display()),
            )),
            Err(e) => Err(io_error(what, e.into())),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing alone would not do: a process that is just being started holds a copy of the file until it runs.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}
