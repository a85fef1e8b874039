//! Word of the program that last took the config file: after an update that was taken back, the program before must come up with what
//! the newer one wrote, whose keys it does not know.

use crate::version::VERSION;
use perch_base::files::{Links, make_private_dir, put, read_small};
use perch_base::secret::{hex, sha256};
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::update::Version;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The largest such word, bytes.
const MAX_BYTES: u64 = 1024;

/// Which program took which text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct TakenBy {
    /// The newest program whose keys stand in it.
    pub version: String,
    /// The text's tag.
    pub tag: String,
}

/// Names a state of the file.
pub fn tag_of(text: &str) -> String {
    hex(&sha256(text.as_bytes())[..16])
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("settings").join("taken-by")
}

impl TakenBy {
    /// The word that was left, if any can be read.
    pub fn read(data_dir: &Path) -> Option<Self> {
        let bytes = read_small(&path(data_dir), MAX_BYTES, Links::Refuse).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// This program took the text; what is a newer one's in it stays the newer one's.
    pub fn leave(data_dir: &Path, text: &str, has_newer: bool) -> Result<()> {
        let before = Self::read(data_dir);
        let newer = before.as_ref().filter(|_| has_newer).map(|word| word.version.clone());
        let word = Self { version: newer.unwrap_or_else(|| VERSION.to_owned()), tag: tag_of(text) };
        if before.as_ref() == Some(&word) {
            return Ok(());
        }
        let failed = || "it cannot be noted which version took the config";
        let content = serde_json::to_vec(&word).context(ErrorKind::Internal, failed)?;
        let path = path(data_dir);
        make_private_dir(path.parent().unwrap_or(data_dir)).context(ErrorKind::Unavailable, failed)?;
        put(&path, &content, 0o600, None).context(ErrorKind::Unavailable, failed)
    }

    /// Whether that program is newer than this one.
    pub fn is_newer(&self) -> bool {
        Version::parse(&self.version).zip(Version::parse(VERSION)).is_some_and(|(its, own)| its > own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn word_is_left_and_a_newer_ones_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        assert_eq!(TakenBy::read(dir.path()), None);
        TakenBy::leave(dir.path(), "a", false).expect("left");
        let own = TakenBy::read(dir.path()).expect("read");
        assert!(own.version == VERSION && own.tag == tag_of("a") && !own.is_newer());
        let newer = TakenBy { version: "999.0.0".into(), tag: tag_of("b") };
        std::fs::write(path(dir.path()), serde_json::to_vec(&newer).expect("JSON")).expect("written");
        TakenBy::leave(dir.path(), "c", true).expect("left");
        let left = TakenBy::read(dir.path()).expect("read");
        assert!(left.is_newer() && left.tag == tag_of("c"));
        TakenBy::leave(dir.path(), "d", false).expect("left");
        assert!(!TakenBy::read(dir.path()).expect("read").is_newer());
        std::fs::write(path(dir.path()), "half").expect("written");
        assert_eq!(TakenBy::read(dir.path()), None);
    }
}
