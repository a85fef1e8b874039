//! The folder in which an uploaded bundle waits: one at a time, and nothing stays.

use perch_base::disk::Space;
use perch_base::files::remove;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::update::{check_room, check_size};
use perch_domain::update_attempt::INTERRUPTED;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A bundle that came whole.
const WHOLE: &str = "upload.raucb";
/// One that is on its way.
const PART: &str = "upload.part";

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Spool(PathBuf);

/// A file that is being written; dropped before [`Incoming::finish`] it is removed.
pub(crate) struct Incoming {
    spool: Spool,
    file: Option<File>,
    expected_bytes: u64,
    written_bytes: u64,
}

impl Spool {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The whole bundle.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.0.join(WHOLE)
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        for name in [WHOLE, PART] {
            if let Err(e) = remove(&self.0.join(name)) {
                tracing::warn!(error = %e, name, "a bundle that is no longer needed could not be removed");
            }
        }
    }

    /// Begins a file of so many bytes, in place of any other.
    pub(crate) fn receive(&self, bytes: u64) -> Result<Incoming> {
        check_size(bytes)?;
        self.clear();
        check_room(bytes, free_bytes(&self.0)?)?;
        let path = self.0.join(PART);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|e| failed(ErrorKind::Io, "the file for the upload cannot be made", &path, e))?;
        Ok(Incoming { spool: self.clone(), file: Some(file), expected_bytes: bytes, written_bytes: 0 })
    }
}

fn free_bytes(dir: &Path) -> Result<u64> {
    let nowhere = "there is no place for an update on this box";
    let space = Space::at(dir).map_err(|e| failed(ErrorKind::Unavailable, nowhere, dir, e))?;
    Ok(space.free_bytes)
}

/// What went wrong at `path`, which is for the inside alone.
fn failed(kind: ErrorKind, message: &str, path: &Path, e: std::io::Error) -> Error {
    Error::new(kind, message).with_inside(path.display().to_string()).with_source(e)
}

impl Incoming {
    fn part(&self) -> PathBuf {
        self.spool.0.join(PART)
    }

    fn lost(&self, e: std::io::Error) -> Error {
        failed(ErrorKind::Unavailable, "the update could not be written to the card", &self.part(), e)
    }

    /// Takes the next bytes; how many came in all.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> Result<u64> {
        if self.written_bytes + chunk.len() as u64 > self.expected_bytes {
            return Err(Error::new(ErrorKind::TooLarge, "more came than was announced: the update was not taken"));
        }
        let Some(mut file) = self.file.as_ref() else {
            return Err(
                Error::internal("an upload goes on after its end").with_inside(self.part().display().to_string())
            );
        };
        file.write_all(chunk).map_err(|e| self.lost(e))?;
        self.written_bytes += chunk.len() as u64;
        Ok(self.written_bytes)
    }

    /// All came: the bundle's path.
    pub(crate) fn finish(mut self) -> Result<PathBuf> {
        if self.written_bytes != self.expected_bytes {
            return Err(Error::invalid(INTERRUPTED));
        }
        let file = self.file.take();
        if let Some(file) = file {
            file.sync_all().map_err(|e| self.lost(e))?;
        }
        let whole = self.spool.bundle();
        fs::rename(self.part(), &whole).map_err(|e| self.lost(e))?;
        Ok(whole)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // After a rename nothing of that name is there.
        let _ = fs::remove_file(self.part());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_domain::update::MAX_BUNDLE_BYTES;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .expect("read")
            .map(|e| e.expect("entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_comes_whole_is_kept_and_anything_else_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(dir.path().to_owned());
        let mut incoming = spool.receive(5).expect("started");
        assert_eq!(incoming.write(b"hel").expect("taken"), 3);
        assert_eq!(incoming.write(b"lo").expect("taken"), 5);
        assert_eq!(fs::read(incoming.finish().expect("whole")).expect("read"), b"hello");
        assert_eq!(names(dir.path()), [WHOLE]);

        let mut short = spool.receive(5).expect("started");
        assert_eq!(names(dir.path()), [PART], "a new one takes the place of the old");
        short.write(b"hel").expect("taken");
        assert_eq!(short.finish().expect_err("short").kind(), ErrorKind::Invalid);
        assert_eq!(names(dir.path()), Vec::<String>::new());

        let mut long = spool.receive(2).expect("started");
        assert_eq!(long.write(b"hel").expect_err("long").kind(), ErrorKind::TooLarge);
        drop(long);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_comes() {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::new(dir.path().to_owned());
        let kind = |bytes| spool.receive(bytes).map(|_| ()).expect_err("refused").kind();
        assert_eq!(kind(0), ErrorKind::Invalid);
        assert_eq!(kind(MAX_BUNDLE_BYTES + 1), ErrorKind::TooLarge);
        let nowhere = Spool::new(dir.path().join("nowhere"));
        let e = nowhere.receive(1).map(|_| ()).expect_err("no folder");
        assert_eq!((e.kind(), e.inside()), (ErrorKind::Unavailable, nowhere.0.to_str()));
        assert!(!e.message().contains("nowhere"), "a path is for the inside alone: {e}");
    }
}
