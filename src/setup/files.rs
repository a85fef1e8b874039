//! Files that root writes for the box: whole or not at all, with the mode and the owner they need, and never through a link that
//! somebody else left.

use perch_base::files::{self as base, FILE, FOLDER};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, Uid};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};

/// Whom a file is given to; nobody: it stays root's (or whoever runs the tests).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner(Option<(u32, u32)>);

impl Owner {
    /// The user `perch` of the system below `root`. Nobody, unless we are root.
    pub fn of_perch(root: &Path) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self(None);
        }
        Self(fs::read_to_string(root.join("etc/passwd")).ok().and_then(|text| ids(&text, "perch")))
    }
}

/// User and group of a name in `passwd`.
fn ids(passwd: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = passwd.lines().map(|l| l.split(':')).find_map(|mut f| (f.next() == Some(name)).then_some(f))?;
    let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((uid, gid))
}

/// Makes a folder (and those above) and gives it away.
pub fn make_dir(dir: &Path, owner: &Owner) -> Result<()> {
    fs::create_dir_all(dir).context(ErrorKind::Io, || format!("the folder {} cannot be made", dir.display()))?;
    hand_over(dir, owner)
}

/// Writes a file in one step: it is there whole, or as it was before.
pub fn put(path: &Path, content: &[u8], mode: u32, owner: &Owner) -> Result<()> {
    let message = || format!("{} cannot be written", path.display());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).context(ErrorKind::Io, message)?;
    }
    base::put(path, content, mode, owner.0).context(ErrorKind::Io, message)
}

/// Removes a file; one that is not there is fine.
pub fn remove(path: &Path) -> Result<()> {
    base::remove(path).context(ErrorKind::Io, || format!("{} cannot be removed", path.display()))
}

/// Overwrites a file and removes it. Flash may keep an older copy of what stood there; this is what a file system can do.
pub fn wipe(path: &Path) -> Result<()> {
    let message = || format!("{} cannot be removed", path.display());
    let file = OpenOptions::new().write(true).custom_flags(FILE.bits() as i32).open(path);
    if let Some(mut file) = file.ok().filter(|f| f.metadata().is_ok_and(|m| m.is_file())) {
        let size = file.metadata().map(|m| m.len().min(1 << 20)).unwrap_or(0);
        // Removing is what counts.
        let _ = file.write_all(&vec![0; size as usize]).and_then(|()| file.sync_all());
    }
    fs::remove_file(path).context(ErrorKind::Io, message)
}

/// The file of a folder that bears one of these names (in lower case), however it is written.
pub fn find(dir: &Path, names: &[&str]) -> Option<PathBuf> {
    let listed = fs::read_dir(dir).into_iter().flatten().flatten();
    let bears =
        |entry: &fs::DirEntry| names.contains(&entry.file_name().to_string_lossy().to_ascii_lowercase().as_str());
    let mut found: Vec<_> =
        listed.filter(bears).filter(|e| e.file_type().is_ok_and(|t| t.is_file())).map(|e| e.path()).collect();
    found.sort();
    found.into_iter().next()
}

/// Opens a folder itself; `None` when there is none. Errors where a link, or something else, stands in its place.
fn open_dir(dir: &Path) -> Result<Option<OwnedFd>> {
    match rustix::fs::open(dir, FOLDER, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(Error::new(ErrorKind::Io, format!("{} is no folder", dir.display()))),
        Err(e) => Err(e).context(ErrorKind::Io, || format!("the folder {} cannot be opened", dir.display())),
    }
}

/// Removes what is in a folder, not the folder; links are removed and not followed. A folder that something is mounted on is
/// emptied and stays.
pub fn empty(dir: &Path) -> Result<()> {
    let Some(fd) = open_dir(dir)? else { return Ok(()) };
    empty_at(&fd).context(ErrorKind::Io, || format!("{} cannot be emptied", dir.display()))
}

/// Removes a file, or a folder with everything in it.
pub fn remove_tree(path: &Path) -> Result<()> {
    let message = || format!("{} cannot be removed", path.display());
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(Error::internal(message())) };
    let Some(dir) = open_dir(dir)? else { return Ok(()) };
    let name = std::ffi::CString::new(name.as_bytes()).context(ErrorKind::Invalid, message)?;
    remove_at(&dir, &name).context(ErrorKind::Io, message)
}

fn empty_at(dir: &OwnedFd) -> rustix::io::Result<()> {
    for entry in entries(dir)? {
        remove_at(dir, entry?.file_name())?;
    }
    Ok(())
}

fn remove_at(dir: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
    match rustix::fs::openat(dir, name, FOLDER, Mode::empty()) {
        Ok(inner) => {
            empty_at(&inner)?;
            match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Err(Errno::BUSY | Errno::NOENT) => Ok(()),
                removed => removed,
            }
        }
        Err(Errno::NOENT) => Ok(()),
        // Anything but a folder, so a link too.
        Err(Errno::LOOP | Errno::NOTDIR) => rustix::fs::unlinkat(dir, name, AtFlags::empty()),
        Err(e) => Err(e),
    }
}

/// What is in a folder.
fn entries(dir: &OwnedFd) -> rustix::io::Result<impl Iterator<Item = rustix::io::Result<rustix::fs::DirEntry>>> {
    let is_real = |e: &rustix::fs::DirEntry| ![c".", c".."].contains(&e.file_name());
    Ok(Dir::read_from(dir)?.filter(move |e| e.as_ref().map_or(true, is_real)))
}

/// Errors unless everything that lies directly in a folder, and itself, is what it seems: no link, and nothing that would keep
/// a reader waiting. A folder that is not there is fine.
pub fn refuse_links(dir: &Path) -> Result<()> {
    let message = || format!("the folder {} cannot be read", dir.display());
    let Some(fd) = open_dir(dir)? else { return Ok(()) };
    for entry in entries(&fd).context(ErrorKind::Io, message)? {
        let entry = entry.context(ErrorKind::Io, message)?;
        let stat =
            rustix::fs::statat(&fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW).context(ErrorKind::Io, message)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Directory | FileType::Socket) {
            let name = entry.file_name().to_string_lossy();
            let why = format!("{name} in {} is neither a file nor a folder: remove it", dir.display());
            return Err(Error::new(ErrorKind::Io, why));
        }
    }
    Ok(())
}

/// Gives a folder and what lies directly in it.
pub fn give(dir: &Path, owner: &Owner) -> Result<()> {
    let message = || format!("{} cannot be given to the user perch", dir.display());
    // A link would lead to what is not ours to give.
    let (Some(fd), Some((uid, gid))) = (open_dir(dir)?, owner.0) else { return Ok(()) };
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    rustix::fs::fchown(&fd, uid, gid).context(ErrorKind::Io, message)?;
    for entry in entries(&fd).context(ErrorKind::Io, message)? {
        let entry = entry.context(ErrorKind::Io, message)?;
        match rustix::fs::chownat(&fd, entry.file_name(), uid, gid, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            given => given.context(ErrorKind::Io, message)?,
        }
    }
    Ok(())
}

fn hand_over(path: &Path, owner: &Owner) -> Result<()> {
    match owner.0 {
        Some((uid, gid)) => lchown(path, Some(uid), Some(gid))
            .context(ErrorKind::Io, || format!("{} cannot be given to the user perch", path.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_system() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nperchling:x:1:1::/:\nperch:x:990:980::/data/perch:/usr/sbin/nologin\n";
        assert_eq!(ids(passwd, "perch"), Some((990, 980)));
        assert_eq!(ids(passwd, "nobody"), None);
        assert_eq!(ids("perch:x\n", "perch"), None);
    }

    #[test]
    fn emptying_a_folder_does_not_follow_links() {
        let dir = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir_all(inside.join("a/b")).expect("made");
        fs::create_dir(&outside).expect("made");
        fs::write(outside.join("kept"), "").expect("written");
        fs::write(inside.join("a/b/c"), "").expect("written");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("linked");
        empty(&inside).expect("emptied");
        assert_eq!(fs::read_dir(&inside).expect("there").count(), 0);
        assert!(outside.join("kept").exists());
        empty(&dir.path().join("nowhere")).expect("nothing to do");
        // A link in place of the folder itself, or of the one that something lies in.
        std::os::unix::fs::symlink(&outside, dir.path().join("link")).expect("linked");
        let e = empty(&dir.path().join("link")).expect_err("a link");
        assert!(e.to_string().ends_with("link is no folder"), "{e}");
        remove_tree(&dir.path().join("link/kept")).expect_err("a link");
        give(&dir.path().join("link"), &Owner::default()).expect_err("a link");
        refuse_links(&dir.path().join("link")).expect_err("a link");
        assert!(outside.join("kept").exists());
        remove_tree(&dir.path().join("link")).expect("the link itself");
        assert!(outside.join("kept").exists() && !dir.path().join("link").exists());
        refuse_links(&outside).expect("plain files");
        std::os::unix::fs::symlink("/etc/shadow", outside.join("perch.db")).expect("linked");
        let e = refuse_links(&outside).expect_err("a link");
        assert!(e.to_string().starts_with("perch.db in "), "{e}");
    }

    #[test]
    fn what_is_no_plain_file_is_neither_found_nor_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, link, fifo) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("fifo"));
        fs::write(&file, "text").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("made");
        assert_eq!(find(dir.path(), &["link", "fifo"]), None);
        wipe(&link).expect("removed");
        wipe(&fifo).expect("removed");
        assert_eq!(fs::read_to_string(&file).expect("kept"), "text");
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("perch-setup.toml")).expect("made");
        assert_eq!(find(dir.path(), &["perch-setup.toml"]), None, "a folder is no file");
        fs::write(dir.path().join("PERCH-SETUP.TOML.txt"), "x").expect("written");
        let names = ["perch-setup.toml", "perch-setup.toml.txt"];
        assert_eq!(find(dir.path(), &names), Some(dir.path().join("PERCH-SETUP.TOML.txt")));
    }
}
