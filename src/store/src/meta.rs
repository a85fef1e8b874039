//! Small values under keys, and the word that the running box leaves for the commands beside it.

use crate::db::{self, Db};
use crate::fault::sql_error;
use crate::layout::DATABASE;
use crate::meta_rows;
use perch_base::{Error, Result};
use perch_domain::running::{RunningBox, RunningCamera};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use std::{fs, io};

/// Where the word is kept, as JSON.
const RUNNING_KEY: &str = "running_box";

/// Small values under keys. Clones share it; every call may block for the time of a disk access.
#[derive(Clone)]
pub struct Meta {
    db: Arc<Db>,
}

impl Meta {
    pub(crate) fn new(db: &Arc<Db>) -> Self {
        Self { db: db.clone() }
    }

    /// Whether the database answers.
    pub fn ping(&self) -> Result<()> {
        self.db.read("asking the database for a sign of life", |c| {
            c.prepare_cached("SELECT count(*) FROM meta")?.query_row([], |r| r.get::<_, i64>(0))?;
            Ok(())
        })
    }

    /// Keeps a small value under a key.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        self.db.write(format_args!("keeping {key}"), |tx| Ok(meta_rows::put(tx, key, value)?))
    }

    /// The value kept under a key.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        self.db.read(format_args!("looking up {key}"), |c| Ok(meta_rows::get(c, key)?))
    }

    /// The value under a key in the database of a data folder, for who only looks on: nothing is made, changed or brought up to date.
    pub fn look_up(data_dir: &Path, key: &str) -> Result<Option<String>> {
        let path = data_dir.join(DATABASE);
        let get = |alone| {
            let connection = db::read_only(&path, alone)?;
            meta_rows::get(&connection, key).map_err(|e| sql_error(&format_args!("looking up {key}"), e))
        };
        get(false).or_else(|why| {
            // On a disk that cannot be written there can be no journal. Without one the file is read as it lies, which is right as long as
            // nobody writes.
            let before = at_rest(&path).ok_or(why)?;
            let value = get(true)?;
            match at_rest(&path) {
                Some(after) if after == before => Ok(value),
                _ => get(false),
            }
        })
    }

    /// Leaves word of the box that runs.
    pub fn leave_word(&self, running: &RunningBox) -> Result<()> {
        let text = serde_json::to_string(running)
            .map_err(|e| Error::internal("what the box says of itself cannot be written").with_source(e))?;
        self.set(RUNNING_KEY, &text)
    }

    /// The word that the box left when it ran last; `None` when it never ran with this data folder. What cannot be read counts
    /// as not left: it is written again at each start.
    pub fn word(&self) -> Result<Option<RunningBox>> {
        match self.get(RUNNING_KEY)?.and_then(|text| serde_json::from_str(&text).ok()) {
            Some(running) => Ok(Some(running)),
            None => self.old_word(),
        }
    }

    /// What versions before left, under a key for each part.
    fn old_word(&self) -> Result<Option<RunningBox>> {
        let (Some(base_url), Some(ca_sha256)) = (self.get("base_url")?, self.get("ca_sha256")?) else {
            return Ok(None);
        };
        let names = self.get("cameras")?.and_then(|text| serde_json::from_str::<Vec<(_, String)>>(&text).ok());
        let cameras = names.map(|all| all.into_iter().map(|(id, name)| RunningCamera { id, name }).collect());
        let rtsp_port = self.get("rtsp_port")?.and_then(|port| port.parse().ok());
        Ok(Some(RunningBox { base_url, plain_urls: Vec::new(), ca_sha256, rtsp_port, cameras }))
    }
}

/// When the database at `path` was written last, and its length; `None` where it has a journal, or nothing can be said of it. Whoever
/// writes has one: SQLite's (WAL mode) holds what is written before the database does.
fn at_rest(path: &Path) -> Option<(SystemTime, u64)> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-wal");
    let has_journal = match fs::metadata(journal) {
        Ok(journal) => journal.len() > 0,
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    };
    let database = fs::metadata(path).ok().filter(|_| !has_journal)?;
    Some((database.modified().ok()?, database.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;
    use perch_base::ids::CameraId;

    #[test]
    fn a_database_without_journal_is_looked_into_only_where_nobody_writes() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = &dir.path().join("data");
        let look_up = || Meta::look_up(data, "word");
        let store = open(&dir);
        store.meta().set("word", "one").expect("kept");
        assert_eq!(look_up().expect("beside the box").as_deref(), Some("one"));
        drop(store);
        // No journal can be had, as on a disk that cannot be written.
        let beside = |suffix| data.join(format!("{DATABASE}{suffix}"));
        std::os::unix::fs::symlink("nowhere", beside("-shm")).expect("made");
        let beside_it = db::read_only(&beside(""), false).expect("opens");
        assert!(meta_rows::get(&beside_it, "word").is_err());
        assert_eq!(look_up().expect("as it lies").as_deref(), Some("one"));
        fs::write(beside("-wal"), "what somebody writes").expect("written");
        assert!(look_up().is_err());
    }

    #[test]
    fn word_is_kept_whole_and_that_of_older_versions_is_read() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let meta = open(&dir).meta().clone();
        assert_eq!(meta.word().expect("asked"), None);
        let old = [
            ("base_url", "https://perch.local"),
            ("ca_sha256", "ab"),
            ("rtsp_port", "8554"),
            ("cameras", r#"[["front","Front door"]]"#),
        ];
        for (key, value) in old {
            meta.set(key, value).expect("kept");
        }
        let front = RunningCamera { id: CameraId::new("front").expect("valid"), name: "Front door".into() };
        let read = RunningBox {
            base_url: "https://perch.local".into(),
            plain_urls: Vec::new(),
            ca_sha256: "ab".into(),
            rtsp_port: Some(8554),
            cameras: Some(vec![front]),
        };
        assert_eq!(meta.word().expect("asked"), Some(read.clone()));
        let now = RunningBox { base_url: "https://other:8443".into(), cameras: Some(vec![]), ..read };
        meta.leave_word(&now).expect("left");
        assert_eq!(meta.word().expect("asked"), Some(now));
    }
}
