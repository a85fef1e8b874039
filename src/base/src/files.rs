//! Files and folders that somebody else may have a hand in: they are opened themselves and not what a link in their place leads to,
//! read small, written whole, and closed to others.

use crate::error::{Error, ErrorKind, Result, ResultExt};
use rustix::fs::OFlags;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// How a folder itself is opened, and not what a link in its place leads to.
pub const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How a file itself is opened; one that would keep us waiting (a FIFO) is opened at once, to be refused.
pub const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// What becomes of a link in the place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// It leads to the file.
    Follow,
    /// It is refused: whoever left it may not be the owner of what it leads to.
    Refuse,
}

/// Reads a file whose place somebody else chose, of at most `limit_bytes`. Errors, which repeat no path, with `Io`, with `Invalid` when
/// it is no regular file (a FIFO would keep us waiting, a device never end), and with `TooLarge`.
pub fn read_small(path: &Path, limit_bytes: u64, links: Links) -> Result<Vec<u8>> {
    const UNREADABLE: &str = "it cannot be read";
    let no_file = || Err(Error::invalid("it is not a regular file"));
    // A device may do something when it is opened. Somebody may put it there in between, so it is looked at twice.
    let kind = match links {
        Links::Follow => fs::metadata(path),
        Links::Refuse => fs::symlink_metadata(path),
    };
    if !kind.context(ErrorKind::Io, || UNREADABLE)?.is_file() {
        return no_file();
    }
    let mut flags = FILE;
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

/// Writes a file in one step, so that after a power cut too it is there whole, or as it was before: as `NAME.new` beside it first, with
/// this mode and, if it is to be given away, this user and group. A link in its place is replaced and not followed.
pub fn put(path: &Path, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut fresh = name.to_owned();
    fresh.push(".new");
    let fresh = dir.join(fresh);
    remove(&fresh)?;
    // `create_new` follows no link.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
    let mut write = || {
        file.write_all(content)?;
        // Whatever the umask took from it.
        file.set_permissions(Permissions::from_mode(mode))?;
        if let Some((user, group)) = owner {
            fchown(&file, Some(user), Some(group))?;
        }
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().inspect_err(|_| {
        // What could not be written is of no use; why it could not, counts.
        let _ = remove(&fresh);
    })?;
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// Like [`put`] for a file that a person may have made: it stays with its owner and group, where this process may give it to them, and
/// is never more open than it was, nor than `mode`.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let Ok(before) = fs::metadata(path) else { return put(path, content, mode, None) };
    let mode = mode & (before.permissions().mode() & 0o777);
    let (user, group) = (before.uid(), before.gid());
    let owners = [Some((user, group)), Some((rustix::process::geteuid().as_raw(), group)), None];
    let mut done = Err(io::ErrorKind::PermissionDenied.into());
    for owner in owners {
        done = put(path, content, mode, owner);
        // Only giving it away may fail so, and then it is one's own.
        if !matches!(&done, Err(e) if e.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error())) {
            break;
        }
    }
    done
}

/// Removes a file; one that is not there is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Makes a folder (and those above it) that only its owner may enter. One that is there is closed to others as well; where that fails
/// because the disk cannot be written, it is logged and no error: whoever could look in still can.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(0o700)) {
        Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            tracing::warn!(path = %path.display(), "the folder is open to others and cannot be closed: the disk is read-only");
            Ok(())
        }
        closed => closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::os::unix::fs::symlink;

    #[test]
    fn only_small_regular_files_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, link, fifo) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("fifo"));
        fs::write(&file, "text").expect("written");
        symlink(&file, &link).expect("linked");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        for links in [Links::Follow, Links::Refuse] {
            assert_eq!(read_small(&file, 4, links).expect("read"), b"text");
            assert_eq!(read_small(&file, 3, links).expect_err("too large").kind(), ErrorKind::TooLarge);
            for path in [&*fifo, dir.path(), Path::new("/dev/zero"), Path::new("/dev/tty")] {
                let e = read_small(path, 4, links).expect_err("no file");
                assert_eq!(e.kind(), ErrorKind::Invalid, "{}", path.display());
            }
            assert_eq!(read_small(&dir.path().join("none"), 4, links).expect_err("none").kind(), ErrorKind::Io);
        }
        assert_eq!(read_small(&link, 4, Links::Follow).expect("read"), b"text");
        assert_eq!(read_small(&link, 4, Links::Refuse).expect_err("a link").kind(), ErrorKind::Invalid);
    }

    #[test]
    fn what_a_person_made_stays_theirs_and_no_more_open() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        for (is, want) in [(0o644, 0o600), (0o640, 0o600), (0o600, 0o600), (0o400, 0o400)] {
            let _ = fs::remove_file(&path);
            fs::write(&path, "old").expect("written");
            fs::set_permissions(&path, Permissions::from_mode(is)).expect("set");
            let is_root = rustix::process::geteuid().is_root();
            if is_root {
                std::os::unix::fs::chown(&path, Some(1234), Some(2345)).expect("root may");
            }
            replace(&path, b"new", 0o600).expect("replaced");
            let now = fs::metadata(&path).expect("there");
            assert_eq!(now.permissions().mode() & 0o777, want);
            assert!(!is_root || (now.uid(), now.gid()) == (1234, 2345));
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_no_link_is_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (victim, path) = (dir.path().join("victim"), dir.path().join("file"));
        fs::write(&victim, "kept").expect("written");
        symlink(&victim, dir.path().join("file.new")).expect("linked");
        symlink(&victim, &path).expect("linked");
        for (content, mode) in [("new", 0o600), ("newer", 0o644)] {
            put(&path, content.as_bytes(), mode, None).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
            let found = path.symlink_metadata().expect("there");
            assert!(found.is_file());
            assert_eq!(found.permissions().mode() & 0o777, mode);
        }
        assert_eq!(fs::read_to_string(&victim).expect("read"), "kept");
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 2, "nothing else is left behind");
        // A folder in the place of the file cannot be replaced, and nothing half done stays.
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).expect("made");
        put(&folder, b"x", 0o600, None).expect_err("a folder");
        assert!(folder.is_dir() && !dir.path().join("folder.new").exists());
        put(Path::new("/"), b"x", 0o600, None).expect_err("no file's name");
    }

    #[test]
    fn what_is_not_there_is_removed_already() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        fs::write(&path, "").expect("written");
        remove(&path).expect("removed");
        remove(&path).expect("nothing to do");
        remove(dir.path()).expect_err("a folder");
    }

    #[test]
    fn a_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/b");
        let mode = || fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        make_private_dir(&path).expect("made");
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("opened");
        make_private_dir(&path).expect("closed");
        assert_eq!(mode(), 0o700);
        fs::write(dir.path().join("file"), "").expect("written");
        make_private_dir(&dir.path().join("file")).expect_err("a file");
    }
}
