//! The folders of recordings and thumbnails. Every path is walked part by part from a folder that is held open, and no part
//! may be a symbolic link, so nothing outside can be reached through what lies in them.

use crate::fault::io_error;
use perch_base::Result;
use perch_base::files::{FOLDER, make_private_dir};
use perch_base::ids::CameraId;
use perch_base::time::Timestamp;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A folder that is held open, with everything below it.
#[derive(Debug)]
pub(crate) struct Root {
    dir: OwnedFd,
    path: PathBuf,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// More of one file is never copied: everything else would wait for it, and another disk fill up.
const MAX_COPY_BYTES: u64 = 1 << 30;

/// What is left of a file that is cut, until it takes the file's place.
const CUT_FILE: &str = "cut.tmp";

impl Root {
    /// Opens `path`; made with mode 0700 when it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        make_dir(path)?;
        let dir = rustix::fs::open(path, FOLDER, Mode::empty())
            .map_err(|e| io_error(|| format!("the folder {} cannot be opened", path.display()), e.into()))?;
        Ok(Self { dir, path: path.to_owned() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the folder that holds the last part of `relative`, and returns it with that part.
    fn parent<'a>(&self, relative: &'a str, make: bool) -> io::Result<(OwnedFd, &'a str)> {
        let mut at = self.dir.try_clone()?;
        let mut parts = relative.split('/').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() || part.starts_with('.') || part.contains('\0') {
                return Err(io::Error::from(io::ErrorKind::InvalidInput));
            }
            if parts.peek().is_none() {
                return Ok((at, part));
            }
            if make {
                match rustix::fs::mkdirat(&at, part, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e.into()),
                }
            }
            at = rustix::fs::openat(&at, part, FOLDER, Mode::empty())?;
        }
        Err(io::Error::from(io::ErrorKind::InvalidInput))
    }

    fn open_with(&self, relative: &str, flags: OFlags, make: bool) -> io::Result<File> {
        let (dir, name) = self.parent(relative, make)?;
        // Not blocking: a FIFO in our folder must not hold us up.
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::openat(&dir, name, flags, Mode::RUSR | Mode::WUSR)?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("not a regular file")),
        }
    }

    /// A regular file's length; `None` when there is no such file, or something else in its place.
    pub(crate) fn length_bytes(&self, relative: &str) -> io::Result<Option<u64>> {
        let found = self
            .parent(relative, false)
            .and_then(|(dir, name)| Ok(rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match found {
            Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode).is_file().then_some(stat.st_size.max(0) as u64)),
            // A link or a file in the place of a folder.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(e) if e.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Opens a file to read.
    pub(crate) fn read(&self, relative: &str) -> io::Result<File> {
        self.open_with(relative, OFlags::RDONLY, false)
    }

    /// Opens a file to repair it.
    pub(crate) fn edit(&self, relative: &str) -> io::Result<File> {
        self.open_with(relative, OFlags::RDWR, false)
    }

    /// Makes a new file, mode 0600, and the folders above it; fails when it exists.
    pub(crate) fn create(&self, relative: &str) -> io::Result<File> {
        self.open_with(relative, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, true)
    }

    /// Writes a whole file through a temporary one, so that it is there whole or not at all.
    pub(crate) fn put(&self, relative: &str, data: &[u8]) -> io::Result<()> {
        use std::io::Write;
        let (dir, name) = self.parent(relative, true)?;
        let temporary = format!("{name}.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&dir, &temporary, flags, Mode::RUSR | Mode::WUSR)?);
        // Flushed before it gets its name: else a power cut leaves the name with nothing behind it.
        let written = file
            .write_all(data)
            .and_then(|()| file.sync_data())
            .and_then(|()| rustix::fs::renameat(&dir, &temporary, &dir, name).map_err(Into::into));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
        }
        written
    }

    /// Makes the entry of a new file last through a power cut.
    pub(crate) fn sync_folder_of(&self, relative: &str) -> io::Result<()> {
        let (dir, _) = self.parent(relative, false)?;
        Ok(rustix::fs::fsync(&dir)?)
    }

    /// Removes a file; one that is not there counts as removed. The folder above goes too when that leaves it empty.
    pub(crate) fn remove(&self, relative: &str) -> io::Result<()> {
        let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
        match self.parent(relative, false) {
            Ok((dir, name)) => match rustix::fs::unlinkat(&dir, name, AtFlags::empty()).map_err(io::Error::from) {
                Err(e) if !gone(&e) => return Err(e),
                _ => {}
            },
            Err(e) if gone(&e) => return Ok(()),
            Err(e) => return Err(e),
        }
        if let Some((folder, _)) = relative.rsplit_once('/').filter(|(folder, _)| folder.contains('/')) {
            self.remove_empty(folder);
        }
        Ok(())
    }

    /// Removes a folder that holds nothing. One that is not empty stays: that is the answer, not an error.
    pub(crate) fn remove_empty(&self, folder: &str) {
        if let Ok((dir, name)) = self.parent(folder, false) {
            let _ = rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR);
        }
    }

    /// Moves a file into another root under a flat name; onto another disk by a copy.
    pub(crate) fn move_to(&self, relative: &str, other: &Root, name: &str) -> io::Result<()> {
        let (dir, from) = self.parent(relative, false)?;
        match rustix::fs::renameat(&dir, from, &other.dir, other.free_name(name)?) {
            Err(Errno::XDEV) => {}
            done => return Ok(done?),
        }
        self.copy_to(relative, other, name)?;
        self.remove(relative)
    }

    /// Copies a file into another root under a flat name; whole and on the disk, or not at all. Errors with `FileTooLarge` beyond
    /// [`MAX_COPY_BYTES`].
    fn copy_to(&self, relative: &str, other: &Root, name: &str) -> io::Result<()> {
        let free = other.free_name(name)?;
        let file = self.read(relative)?;
        let copied = copy_start(&file, file.metadata()?.len(), other, &free).and_then(|()| other.sync_folder_of(&free));
        if copied.is_err() {
            let _ = other.remove(&free);
        }
        copied
    }

    /// Cuts a file to its first bytes and keeps the whole one in another root under a flat name. Where both lie on one disk, only those
    /// first bytes are copied. Errors with `FileTooLarge` when more than [`MAX_COPY_BYTES`] would have to be; the file is then what it was.
    pub(crate) fn cut_and_keep(&self, relative: &str, first_bytes: u64, other: &Root, name: &str) -> io::Result<()> {
        let (dir, from) = self.parent(relative, false)?;
        let free = other.free_name(name)?;
        match rustix::fs::linkat(&dir, from, &other.dir, &free, AtFlags::empty()) {
            Ok(()) => {}
            // Another disk, or one on which files have one name.
            Err(Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK) => {
                self.copy_to(relative, other, name)?;
                let file = self.edit(relative)?;
                file.set_len(first_bytes)?;
                return file.sync_data();
            }
            Err(e) => return Err(e.into()),
        }
        // What a power cut left of an earlier try goes first. Until the last step the file has both names.
        let replaced = other
            .remove(CUT_FILE)
            .and_then(|()| copy_start(&self.read(relative)?, first_bytes, other, CUT_FILE))
            .and_then(|()| other.sync_folder_of(&free))
            .and_then(|()| Ok(rustix::fs::renameat(&other.dir, CUT_FILE, &dir, from)?));
        if replaced.is_err() {
            let _ = (other.remove(CUT_FILE), other.remove(&free));
        }
        replaced?;
        self.sync_folder_of(relative)
    }

    /// Cuts a file that is too large to be kept whole: what comes after its first bytes is kept in another root under a flat name, as much
    /// of it as may be copied.
    pub(crate) fn cut_and_keep_rest(
        &self,
        relative: &str,
        first_bytes: u64,
        other: &Root,
        name: &str,
    ) -> io::Result<()> {
        let file = self.edit(relative)?;
        let free = other.free_name(name)?;
        let kept = (|| {
            let mut rest = self.read(relative)?;
            io::Seek::seek(&mut rest, io::SeekFrom::Start(first_bytes))?;
            let mut copy = other.create(&free)?;
            io::copy(&mut io::Read::take(rest, MAX_COPY_BYTES), &mut copy)?;
            copy.sync_all()?;
            other.sync_folder_of(&free)
        })();
        if kept.is_err() {
            let _ = other.remove(&free);
        }
        kept?;
        file.set_len(first_bytes)?;
        file.sync_data()
    }

    /// `name`, or with a number behind it when that is taken: it begins with the camera that it is of.
    fn free_name(&self, name: &str) -> io::Result<String> {
        (0..1000)
            .map(|n| if n == 0 { name.to_owned() } else { format!("{name}.{n}") })
            .find(|n| rustix::fs::statat(&self.dir, n, AtFlags::SYMLINK_NOFOLLOW).is_err())
            .ok_or_else(|| io::Error::other("the quarantine is full"))
    }
}

/// Copies the first bytes of a file into a new one and waits until the disk has them. Errors with `FileTooLarge`.
fn copy_start(file: &File, first_bytes: u64, root: &Root, name: &str) -> io::Result<()> {
    if first_bytes > MAX_COPY_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large to be copied"));
    }
    let mut copy = root.create(name)?;
    io::copy(&mut io::Read::take(file, first_bytes), &mut copy)?;
    copy.sync_all()
}

/// Makes a folder (and those above it) that only its owner may enter. An existing one is closed to others as well.
pub(crate) fn make_dir(path: &Path) -> Result<()> {
    make_private_dir(path).map_err(|e| io_error(|| format!("the folder {} cannot be made", path.display()), e))
}

/// Where a recording lies below `recordings/`; `n` distinguishes those of one millisecond.
pub(crate) fn recording_path(camera: &CameraId, start: Timestamp, n: u32) -> String {
    let (day, time) = start.file_parts();
    match n {
        0 => format!("{camera}/{day}/{time}Z.mp4"),
        n => format!("{camera}/{day}/{time}Z-{n}.mp4"),
    }
}

/// The camera and start that a recording's path holds, to the millisecond. `None` when it is not of that form.
pub(crate) fn parse_recording_path(relative: &str) -> Option<(CameraId, Timestamp)> {
    let mut parts = relative.split('/');
    let (camera, day, name) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !is_day(day) {
        return None;
    }
    let stem = name.strip_suffix(".mp4")?;
    let (time, n) = stem.split_once('Z')?;
    let counted = n.is_empty() || n.strip_prefix('-').is_some_and(|n| !n.is_empty() && digits(n));
    let shaped =
        time.is_ascii() && time.len() == 10 && digits(&time[..6]) && time.as_bytes()[6] == b'.' && digits(&time[7..]);
    if !counted || !shaped {
        return None;
    }
    let text = format!("{day}T{}:{}:{}Z", &time[..2], &time[2..4], &time[4..]);
    Some((CameraId::new(camera).ok()?, Timestamp::parse(&text).ok()?))
}

/// Whether a folder's name is a day, `YYYY-MM-DD`.
pub(crate) fn is_day(name: &str) -> bool {
    let b = name.as_bytes();
    b.len() == 10 && b[4] == b'-' && b[7] == b'-' && digits(&name[..4]) && digits(&name[5..7]) && digits(&name[8..])
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn paths_round_trip() {
        let camera = CameraId::new("front").expect("valid");
        let start = Timestamp::parse("2026-05-01T12:34:56.789Z").expect("valid");
        for n in [0, 1, 12] {
            let path = recording_path(&camera, start, n);
            assert_eq!(parse_recording_path(&path), Some((camera.clone(), start)), "{path}");
        }
        for bad in [
            "front/2026-05-01/123456.789Z.mp4/x",
            "front/2026-05-01/123456.789Z-.mp4",
            "front/2026-05-01/é3456.789Z.mp4",
            "front/2026-05-01/123456.7é9Z.mp4",
            "front/2026-5-01/123456.789Z.mp4",
            "Front/2026-05-01/123456.789Z.mp4",
            "front/2026-13-01/123456.789Z.mp4",
            "front/éééé-01/x",
        ] {
            assert_eq!(parse_recording_path(bad), None, "{bad}");
        }
    }

    #[test]
    fn nothing_outside_can_be_reached() {
        let tmp = tempfile::tempdir().expect("tempdir");
        let root = Root::open(&tmp.path().join("in")).expect("made");
        fs::write(tmp.path().join("secret"), b"x").expect("written");
        std::os::unix::fs::symlink(tmp.path(), tmp.path().join("in/link")).expect("linked");
        std::os::unix::fs::symlink(tmp.path().join("secret"), tmp.path().join("in/file")).expect("linked");
        for bad in ["../secret", "/etc/passwd", "link/secret", "file", "", "a//b", "./file", "a\0b"] {
            assert!(root.read(bad).is_err(), "{bad:?}");
        }
        assert!(root.create("link/new").is_err());
        root.put("a/b/c.jpg", b"data").expect("put");
        assert_eq!(fs::read(tmp.path().join("in/a/b/c.jpg")).expect("there"), b"data");
        root.remove("a/b/c.jpg").expect("removed");
        assert!(!tmp.path().join("in/a/b").exists() && tmp.path().join("in/a").exists());
        root.remove("a/b/c.jpg").expect("removing twice is fine");
    }

    #[test]
    fn a_file_is_cut_and_kept_whole_without_copying_what_is_cut_off() {
        use std::os::unix::fs::MetadataExt;
        let tmp = tempfile::tempdir().expect("tempdir");
        let [root, other] = ["in", "aside"].map(|name| Root::open(&tmp.path().join(name)).expect("made"));
        root.put("a/file", b"good and bad").expect("put");
        let path = tmp.path().join("in/a/file");
        let whole_bytes = 3 * MAX_COPY_BYTES;
        fs::OpenOptions::new().write(true).open(&path).and_then(|f| f.set_len(whole_bytes)).expect("a hole");
        other.put(CUT_FILE, b"left by a power cut").expect("put");
        root.cut_and_keep("a/file", 4, &other, "a_file").expect("cut");
        assert_eq!(fs::read(&path).expect("there"), b"good");
        let names = || fs::read_dir(tmp.path().join("aside")).expect("read").count();
        let kept = fs::metadata(tmp.path().join("aside/a_file")).expect("kept");
        assert_eq!((kept.len(), names()), (whole_bytes, 1));
        assert!(kept.blocks() * 512 < 1 << 20, "{} blocks", kept.blocks());

        // Nothing that would take minutes is begun.
        fs::OpenOptions::new().write(true).open(&path).and_then(|f| f.set_len(whole_bytes)).expect("a hole");
        let too_large = io::ErrorKind::FileTooLarge;
        assert_eq!(root.copy_to("a/file", &other, "b").expect_err("refused").kind(), too_large);
        let cut = root.cut_and_keep("a/file", MAX_COPY_BYTES + 1, &other, "b");
        assert_eq!(cut.expect_err("refused").kind(), too_large);
        assert_eq!((fs::metadata(&path).expect("there").len(), names()), (whole_bytes, 1), "all is as it was");
    }

    #[test]
    fn of_a_file_too_large_to_be_kept_whole_the_rest_is_kept() {
        let tmp = tempfile::tempdir().expect("tempdir");
        let [root, other] = ["in", "aside"].map(|name| Root::open(&tmp.path().join(name)).expect("made"));
        root.put("a/file", b"good and bad").expect("put");
        root.cut_and_keep_rest("a/file", 4, &other, "rest").expect("cut");
        let read = |name: &str| fs::read(tmp.path().join(name)).expect("there");
        assert_eq!((read("in/a/file"), read("aside/rest")), (b"good".to_vec(), b" and bad".to_vec()));
    }
}
