//! Reads small files whose place somebody else chose: only regular ones, only so much of them, and without waiting for anything.

use perch_base::{Error, ErrorKind, Result, ResultExt};
use rustix::fs::OFlags;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What becomes of a link in the place of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// It leads to the file.
    Follow,
    /// It is refused: whoever left it may not be the owner of what it leads to.
    Refuse,
}

/// Reads a file of at most `limit_bytes`. Errors, which repeat no path, with `Io`, with `Invalid` when it is no regular file (a
/// FIFO would keep us waiting, a device never end), and with `TooLarge`.
pub fn read(path: &Path, limit_bytes: u64, links: Links) -> Result<Vec<u8>> {
    const UNREADABLE: &str = "it cannot be read";
    let no_file = || Err(Error::invalid("it is not a regular file"));
    // A device may do something when it is opened. Somebody may put it there in between, so it is looked at twice.
    let kind = match links {
        Links::Follow => std::fs::metadata(path),
        Links::Refuse => std::fs::symlink_metadata(path),
    };
    if !kind.context(ErrorKind::Io, || UNREADABLE)?.is_file() {
        return no_file();
    }
    let mut flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, links == Links::Refuse);
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
    let file = file.context(ErrorKind::Io, || UNREADABLE)?;
    if !file.metadata().context(ErrorKind::Io, || UNREADABLE)?.is_file() {
        return no_file();
    }
    let mut content = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut content).context(ErrorKind::Io, || UNREADABLE)?;
    if content.len() as u64 > limit_bytes {
        return Err(Error::new(ErrorKind::TooLarge, format!("it is larger than {} KiB", limit_bytes / 1024)));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn only_small_regular_files_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, link, fifo) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("fifo"));
        std::fs::write(&file, "text").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        for links in [Links::Follow, Links::Refuse] {
            assert_eq!(read(&file, 4, links).expect("read"), b"text");
            assert_eq!(read(&file, 3, links).expect_err("too large").kind(), ErrorKind::TooLarge);
            for path in [&*fifo, dir.path(), Path::new("/dev/zero"), Path::new("/dev/tty")] {
                assert_eq!(read(path, 4, links).expect_err("no file").kind(), ErrorKind::Invalid, "{}", path.display());
            }
            assert_eq!(read(&dir.path().join("none"), 4, links).expect_err("none").kind(), ErrorKind::Io);
        }
        assert_eq!(read(&link, 4, Links::Follow).expect("read"), b"text");
        assert_eq!(read(&link, 4, Links::Refuse).expect_err("a link").kind(), ErrorKind::Invalid);
    }
}
