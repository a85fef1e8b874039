//! The folder of keys: mode 0700, files 0600, every write atomic and flushed.

use perch_base::{ErrorKind, Result, ResultExt};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind as IoKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

/// An open folder.
pub(super) struct Dir(PathBuf);

impl Dir {
    /// Makes the folder where it is missing and takes it away from everybody else.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .and_then(|()| fs::metadata(&path))
            .and_then(|found| match found.permissions().mode() & 0o777 {
                0o700 => Ok(()),
                // On a disk that cannot be written this would fail although nothing is to be done.
                _ => fs::set_permissions(&path, Permissions::from_mode(0o700)),
            })
            .context(ErrorKind::Io, || format!("the folder {} cannot be made", path.display()))?;
        Ok(Self(path))
    }

    /// Where a file lies.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file's text; `None` when there is none or it is not text. Narrows a mode that is too wide.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.path(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == IoKind::NotFound => return Ok(None),
            Err(e) => return Err(e).context(ErrorKind::Io, || format!("{} cannot be read", path.display())),
        };
        let mode = fs::metadata(&path).map(|m| m.permissions().mode() & 0o777).unwrap_or(0o600);
        if mode & 0o077 != 0 {
            tracing::warn!(file = %path.display(), mode = format!("{mode:o}"), "others could read a key file; it is closed to them now");
            fs::set_permissions(&path, Permissions::from_mode(0o600))
                .context(ErrorKind::Io, || format!("{} cannot be closed to others", path.display()))?;
        }
        Ok(String::from_utf8(bytes).ok())
    }

    /// Writes a file as a whole or not at all.
    pub(super) fn write(&self, name: &str, data: &[u8]) -> Result<()> {
        let (path, fresh) = (self.path(name), self.path(&format!("{name}.new")));
        let write = || {
            match fs::remove_file(&fresh) {
                Err(e) if e.kind() != IoKind::NotFound => return Err(e),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(data)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.0)?.sync_all()
        };
        write().context(ErrorKind::Io, || format!("{} cannot be written", path.display()))
    }
}
