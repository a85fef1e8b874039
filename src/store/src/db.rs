//! The database file: how it is opened, checked and set aside when it is damaged, and how statements are run. What the tables
//! hold is in `schema`.

use crate::fault::{io_error, sql_error};
use crate::schema;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The file's name in the data folder.
pub(crate) const FILE: &str = "perch.db";

/// Why a statement's closure failed: SQLite, or a rule of ours.
pub(crate) enum Fail {
    Sql(rusqlite::Error),
    Told(Error),
}

impl From<rusqlite::Error> for Fail {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

impl From<Error> for Fail {
    fn from(e: Error) -> Self {
        Self::Told(e)
    }
}

impl Fail {
    fn into_error(self, what: &str) -> Error {
        match self {
            Self::Sql(e) => sql_error(what, e),
            Self::Told(e) => e,
        }
    }
}

/// One connection that writes and one that reads.
pub(crate) struct Db {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

/// A lock that outlives a panic of its holder: what it guards is a connection or plain data that is whole between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Db {
    /// Opens or makes the database in `dir` and brings its tables up to date. `check` walks the whole file first.
    pub(crate) fn open(dir: &Path, check: bool) -> Result<Self> {
        let path = dir.join(FILE);
        make_private(&path)?;
        let mut writer = connect(&path)?;
        if check {
            let verdict: String =
                writer.query_row("PRAGMA quick_check(1)", [], |r| r.get(0)).map_err(|e| sql_error("checking it", e))?;
            if verdict != "ok" {
                return Err(Error::new(ErrorKind::Corrupt, format!("the database is damaged: {verdict}")));
            }
        }
        schema::upgrade(&mut writer)?;
        let reader = connect(&path)?;
        reader.pragma_update(None, "query_only", true).map_err(|e| sql_error("opening it to read", e))?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// Like [`Db::open`] with a check; a damaged file is moved aside first. Returns the name it was given then.
    pub(crate) fn open_or_replace(dir: &Path, now: Timestamp) -> Result<(Self, Option<String>)> {
        match Self::open(dir, true) {
            Ok(db) => Ok((db, None)),
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                let aside = set_aside(dir, now)?;
                tracing::error!(error = %e, aside, "the database was damaged and was replaced: accounts and paired devices must be made anew, recordings are taken in again");
                Ok((Self::open(dir, false)?, Some(aside)))
            }
            Err(e) => Err(e),
        }
    }

    /// Runs `f` in one transaction that locks out other writers from its start. `what` is the sentence of its errors.
    pub(crate) fn write<T>(&self, what: &str, f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>) -> Result<T> {
        let mut connection = lock(&self.writer);
        let tx =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| sql_error(what, e))?;
        let out = f(&tx).map_err(|e| e.into_error(what))?;
        tx.commit().map_err(|e| sql_error(what, e))?;
        Ok(out)
    }

    /// Runs `f` on the reading connection; each statement sees what was committed before it.
    pub(crate) fn read<T>(&self, what: &str, f: impl FnOnce(&Connection) -> Result<T, Fail>) -> Result<T> {
        f(&lock(&self.reader)).map_err(|e| e.into_error(what))
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|e| sql_error(&format!("{} cannot be opened", path.display()), e))
}

/// Makes the file before SQLite does, so that it and its journals are its owner's alone.
fn make_private(path: &Path) -> Result<()> {
    let what = || format!("{} cannot be made", path.display());
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let file = made.map_err(|e| io_error(what, e))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|e| io_error(what, e))
}

fn set_aside(dir: &Path, now: Timestamp) -> Result<String> {
    let (day, time) = now.file_parts();
    let stem = format!("{FILE}.corrupt-{day}T{time}Z");
    let name = (0..1000)
        .map(|n| if n == 0 { stem.clone() } else { format!("{stem}-{n}") })
        .find(|name| !dir.join(name).exists())
        .ok_or_else(|| Error::internal("too many damaged databases lie in the data folder"))?;
    let from = |suffix: &str| -> PathBuf { dir.join(format!("{FILE}{suffix}")) };
    fs::rename(from(""), dir.join(&name)).map_err(|e| io_error(|| "the damaged database cannot be moved".into(), e))?;
    // A journal without its database would be applied to the new one.
    for suffix in ["-wal", "-shm"] {
        if from(suffix).exists() {
            fs::rename(from(suffix), dir.join(format!("{name}{suffix}")))
                .map_err(|e| io_error(|| "the damaged database's journal cannot be moved".into(), e))?;
        }
    }
    Ok(name)
}
