//! Files that root writes for the box: whole or not at all, with the mode and the owner they need, and never through a link that
//! somebody else left.

use perch_base::{Error, ErrorKind, Result, ResultExt};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown};
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
    let told = || format!("{} cannot be written", path.display());
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(Error::internal(told())) };
    fs::create_dir_all(dir).context(ErrorKind::Io, told)?;
    let fresh = dir.join(format!(".{}.new", name.to_string_lossy()));
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e).context(ErrorKind::Io, told),
        _ => {}
    }
    // `create_new` follows no link.
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh).context(ErrorKind::Io, told)?;
    let written = file.write_all(content).and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)));
    written.and_then(|()| file.sync_all()).context(ErrorKind::Io, told)?;
    hand_over(&fresh, owner)?;
    fs::rename(&fresh, path).context(ErrorKind::Io, told)
}

/// Removes a file; one that is not there is fine.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).context(ErrorKind::Io, || format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Overwrites a file and removes it. Flash may keep an older copy of what stood there; this is what a file system can do.
pub fn wipe(path: &Path) -> Result<()> {
    let told = || format!("{} cannot be removed", path.display());
    if let Ok(mut file) = OpenOptions::new().write(true).open(path) {
        let size = file.metadata().map(|m| m.len().min(1 << 20)).unwrap_or(0);
        // Removing is what counts.
        let _ = file.write_all(&vec![0; size as usize]).and_then(|()| file.sync_all());
    }
    fs::remove_file(path).context(ErrorKind::Io, told)
}

/// The file of a folder that bears one of these names (in lower case), however it is written.
pub fn find(dir: &Path, names: &[&str]) -> Option<PathBuf> {
    let listed = fs::read_dir(dir).into_iter().flatten().flatten();
    let bears =
        |entry: &fs::DirEntry| names.contains(&entry.file_name().to_string_lossy().to_ascii_lowercase().as_str());
    let mut found: Vec<_> = listed.filter(bears).filter(|e| e.path().is_file()).map(|e| e.path()).collect();
    found.sort();
    found.into_iter().next()
}

/// Reads a file of at most `limit` bytes.
pub fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let told = || format!("{} cannot be read", path.display());
    let mut content = Vec::new();
    let file = File::open(path).context(ErrorKind::Io, told)?;
    file.take(limit + 1).read_to_end(&mut content).context(ErrorKind::Io, told)?;
    if content.len() as u64 > limit {
        return Err(Error::new(ErrorKind::TooLarge, format!("it is larger than {} KiB", limit / 1024)));
    }
    Ok(content)
}

/// Removes what is in a folder, not the folder; links are removed and not followed. A folder that something is mounted on is
/// emptied and stays.
pub fn empty(dir: &Path) -> Result<()> {
    let told = |path: &Path| format!("{} cannot be removed", path.display());
    let listed = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        listed => listed.context(ErrorKind::Io, || told(dir))?,
    };
    for entry in listed {
        let entry = entry.context(ErrorKind::Io, || told(dir))?;
        let path = entry.path();
        remove_tree(&path)?;
    }
    Ok(())
}

/// Removes a file, or a folder with everything in it.
pub fn remove_tree(path: &Path) -> Result<()> {
    let told = || format!("{} cannot be removed", path.display());
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).context(ErrorKind::Io, told),
        Ok(meta) if meta.is_dir() => {
            empty(path)?;
            match fs::remove_dir(path) {
                Err(e) if e.kind() == std::io::ErrorKind::ResourceBusy => Ok(()),
                removed => removed.context(ErrorKind::Io, told),
            }
        }
        Ok(_) => fs::remove_file(path).context(ErrorKind::Io, told),
    }
}

/// Gives a folder and what lies directly in it.
pub fn give(dir: &Path, owner: &Owner) -> Result<()> {
    // A link would lead to what is not ours to give.
    if owner.0.is_none() || !fs::symlink_metadata(dir).is_ok_and(|m| m.is_dir()) {
        return Ok(());
    }
    hand_over(dir, owner)?;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        hand_over(&entry.path(), owner)?;
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
    fn a_file_is_replaced_without_following_a_link() {
        let dir = tempfile::tempdir().expect("a folder");
        let (victim, path) = (dir.path().join("victim"), dir.path().join("sub/file"));
        fs::write(&victim, "kept").expect("written");
        fs::create_dir(dir.path().join("sub")).expect("made");
        std::os::unix::fs::symlink(&victim, dir.path().join("sub/.file.new")).expect("linked");
        std::os::unix::fs::symlink(&victim, &path).expect("linked");
        put(&path, b"new", 0o600, &Owner::default()).expect("written");
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert_eq!(fs::read_to_string(&victim).expect("read"), "kept");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
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
