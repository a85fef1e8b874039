//! The folder of keys: mode 0700, files 0600, every write whole and flushed.

use perch_base::files::{make_private_dir, put};
use perch_base::{ErrorKind, Result, ResultExt};
use std::fs::{self, Permissions};
use std::io::ErrorKind as IoKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Its name, below the data folder.
pub const IDENTITY_FOLDER: &str = "tls";

/// An open folder.
pub(super) struct Dir(PathBuf);

impl Dir {
    /// Makes the folder where it is missing and takes it away from everybody else.
    pub(super) fn open(path: PathBuf) -> Result<Self> {
        make_private_dir(&path).context(ErrorKind::Io, || format!("the folder {} cannot be made", path.display()))?;
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
        let path = self.path(name);
        put(&path, data, 0o600, None).context(ErrorKind::Io, || format!("{} cannot be written", path.display()))
    }
}
