//! Bytes that are read from any place: a file's, or those of something that lies elsewhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What can be read at any place; it may block.
pub trait ReadAt: Send + Sync {
    /// Reads some bytes from `at` on, as [`FileExt::read_at`] does: none at the end.
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize>;

    /// Fills `out`. Errors with `UnexpectedEof` where there is less.
    fn read_exact_at(&self, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
        while !out.is_empty() {
            match self.read_at(out, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    out = out.get_mut(n..).unwrap_or_default();
                    at = at.saturating_add(n as u64);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl ReadAt for File {
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        FileExt::read_at(self, out, at)
    }
}
