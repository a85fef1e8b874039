//! The last versions of the configuration, a file each: what it said, since when, and who said so.

use perch_base::files::{Links, make_private_dir, put, read_small, remove};
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::settings::changes::{KEPT_VERSIONS, SettingsVersion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The largest file that is believed to be a version: a config of the largest size, every character of it escaped, and more.
const MAX_BYTES: u64 = 8 << 20;

/// The folder of the versions.
#[derive(Clone, Debug)]
pub struct Versions {
    folder: PathBuf,
    /// Those whose damage the log names already.
    told: Arc<Mutex<BTreeSet<u64>>>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub version: SettingsVersion,
    pub text: String,
}

#[derive(Deserialize, Serialize)]
struct InFile {
    at_us: i64,
    by: String,
    text: String,
}

impl Versions {
    /// Below the data folder.
    pub fn below(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("settings"), told: Arc::default() }
    }

    /// Their numbers, the newest first. None where there is no folder yet.
    fn numbers(&self) -> Vec<u64> {
        let names = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut numbers: Vec<u64> =
            names.filter_map(|e| e.file_name().to_str()?.strip_suffix(".json")?.parse().ok()).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers
    }

    /// All of them, the newest first. One that cannot be read is left out, and the log says so once.
    pub fn list(&self) -> Vec<Kept> {
        let read = |number| {
            let say = |e: &Error| {
                if lock(&self.told).insert(number) {
                    tracing::warn!(error = %e, "a version of the config cannot be read");
                }
            };
            self.read(number).inspect_err(say).ok()
        };
        self.numbers().into_iter().filter_map(read).collect()
    }

    /// One of them. Errors with `NotFound`.
    pub fn read(&self, number: u64) -> Result<Kept> {
        let missing = || Error::not_found("this version of the settings is not kept");
        let path = self.path(number);
        if !path.exists() {
            return Err(missing());
        }
        let bytes = read_small(&path, MAX_BYTES, Links::Refuse)?;
        let kept: InFile = serde_json::from_slice(&bytes)
            .context(ErrorKind::Corrupt, || format!("version {number} of the settings is damaged"))?;
        let version = SettingsVersion { number, at: Timestamp(kept.at_us), by: kept.by };
        Ok(Kept { version, text: kept.text })
    }

    /// Whether one of the newest `count` says this.
    pub fn is_of_last(&self, count: usize, text: &str) -> bool {
        self.numbers().into_iter().take(count).any(|number| self.read(number).is_ok_and(|kept| kept.text == text))
    }

    /// Removes one that never came to be.
    pub fn forget(&self, number: u64) {
        if let Err(e) = remove(&self.path(number)) {
            tracing::warn!(error = %e, number, "a version of the config is kept that never was");
        }
    }

    /// Keeps one more, and forgets those that are too many. What is so already is not kept again. Returns the number of a new one.
    pub fn keep(&self, at: Timestamp, by: &str, text: &str) -> Result<Option<u64>> {
        let newest = self.numbers().first().copied();
        if newest.and_then(|n| self.read(n).ok()).is_some_and(|kept| kept.text == text) {
            return Ok(None);
        }
        let too_many = || Error::new(ErrorKind::Conflict, "the versions of the settings have no numbers left");
        let number = newest.unwrap_or(0).checked_add(1).ok_or_else(too_many)?;
        let content = serde_json::to_vec(&InFile { at_us: at.0, by: by.to_owned(), text: text.to_owned() })
            .context(ErrorKind::Internal, || "a version of the settings cannot be written down")?;
        let failed = || "a version of the settings cannot be kept: is the disk full or read-only?";
        make_private_dir(&self.folder).context(ErrorKind::Unavailable, failed)?;
        put(&self.path(number), &content, 0o600, None).context(ErrorKind::Unavailable, failed)?;
        for old in self.numbers().into_iter().skip(KEPT_VERSIONS) {
            // One too many does no harm and goes next time.
            let _ = remove(&self.path(old));
        }
        Ok(Some(number))
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_versions_are_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let versions = Versions::below(dir.path());
        assert!(versions.list().is_empty() && versions.read(1).is_err());
        for n in 0..30i64 {
            versions.keep(Timestamp(n), "anna", &format!("# {n}")).expect("kept");
            versions.keep(Timestamp(n), "ben", &format!("# {n}")).expect("the same is not kept twice");
        }
        let list = versions.list();
        assert_eq!((list.len(), list[0].version.number, list[0].text.as_str()), (KEPT_VERSIONS, 30, "# 29"));
        assert!(list.iter().all(|kept| kept.version.by == "anna"));
        std::fs::write(versions.path(30), "half").expect("written");
        assert_eq!(versions.list().len(), KEPT_VERSIONS - 1, "one that is damaged is left out");
        assert_eq!(versions.read(30).expect_err("damaged").kind(), ErrorKind::Corrupt);
        assert_eq!(lock(&versions.told).len(), 1, "said once");
    }
}
