//! Copies in a folder: a NAS that is mounted, or a bucket that another program copied to here.

use super::CopySource;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Folders in each other.
const DEEPEST: usize = 16;

/// A folder whose files' paths are the keys. No link in it is followed.
pub struct CopyFolder(pub PathBuf);

impl CopyFolder {
    fn walk(&self, dir: &Path, depth: usize, prefix: &str, each: &mut dyn FnMut(String) -> Result<()>) -> Result<()> {
        let failed = || format!("{} cannot be read", dir.display());
        if depth > DEEPEST {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("{} has too many folders in each other", self.0.display()),
            ));
        }
        for entry in std::fs::read_dir(dir).context(ErrorKind::Io, failed)? {
            let entry = entry.context(ErrorKind::Io, failed)?;
            let (path, kind) = (entry.path(), entry.file_type().context(ErrorKind::Io, failed)?);
            if kind.is_dir() {
                self.walk(&path, depth + 1, prefix, each)?;
            } else if kind.is_file()
                && let Some(key) = path.strip_prefix(&self.0).ok().and_then(Path::to_str)
                && key.starts_with(prefix)
            {
                each(key.to_owned())?;
            }
        }
        Ok(())
    }
}

impl CopySource for CopyFolder {
    fn keys(&mut self, prefix: &str, each: &mut dyn FnMut(String) -> Result<()>) -> Result<()> {
        self.walk(&self.0, 0, prefix, each)
    }

    fn read(&mut self, key: &str) -> Result<Box<dyn Read>> {
        let file = File::open(self.0.join(key)).context(ErrorKind::Io, || format!("{key} cannot be read"))?;
        Ok(Box::new(file))
    }
}
