//! The database file: how it is opened, checked and set aside when it is damaged, and how statements are run. What the tables
//! hold is in `schema`.

use crate::fault::{io_error, sql_error, write_fault};
use crate::layout::DATABASE;
use crate::reading::{Damaged, Fail};
use crate::{reserve, schema};
use perch_base::clock::SharedClock;
use perch_base::sync::{lock, try_lock};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::GapCause;
use perch_domain::retention::DAMAGED_DATABASES;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use rustix::io::Errno;
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// One connection that writes, one that reads, one that reads only who may do what, and one for the recorders: neither a request at
/// the door nor a recorder waits for somebody who looks far back.
pub(crate) struct Db {
    dir: PathBuf,
    pub(crate) clock: SharedClock,
    pub(crate) damaged: Damaged,
    writer: Mutex<Writer>,
    reader: Mutex<Connection>,
    access: Mutex<Connection>,
    recorder: Mutex<Connection>,
}

/// The connections of a [`Db`].
struct Connections {
    writer: Connection,
    reader: Connection,
    access: Connection,
    recorder: Connection,
}

struct Writer {
    connection: Connection,
    /// Set while the disk cannot be written: the connections may then only read.
    unwritable: Option<Unwritable>,
}

impl Writer {
    /// A transaction that waits no longer than `patience` for another program, and for the disk not at all. `checkpoint` pages in the
    /// log make SQLite move them over, 0: never.
    fn hurry<T>(
        &mut self,
        patience: Duration,
        checkpoint: u32,
        what: &dyn Display,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
    ) -> Result<T> {
        let c = &mut self.connection;
        let set = |c: &Connection, wait, checkpoint: u32| {
            c.busy_timeout(wait)?;
            c.pragma_update(None, "synchronous", Sync::Normal.word())?;
            c.pragma_update(None, "wal_autocheckpoint", checkpoint)
        };
        let out = set(c, patience, checkpoint).map_err(|e| sql_error(what, e)).and_then(|()| transact(c, what, f));
        set(c, BUSY, CHECKPOINT_PAGES).map_err(|e| sql_error(what, e))?;
        out
    }
}

struct Unwritable {
    full: bool,
    /// When it was tried last; none: it is to be tried at once.
    tried: Option<MonoTime>,
}

impl Unwritable {
    fn because(e: &Error, now: MonoTime) -> Self {
        Self { full: write_fault(e) == Some(GapCause::DiskFull), tried: Some(now) }
    }

    fn error(&self, what: &dyn Display) -> Error {
        io_error(|| what.to_string(), if self.full { Errno::NOSPC } else { Errno::ROFS }.into())
    }
}

/// So often is it tried whether a disk that could not be written can be written again.
const RETRY: Duration = Duration::from_secs(5);

/// A statement waits so long for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

impl Db {
    fn new(dir: &Path, clock: &SharedClock, all: Connections, unwritable: Option<Unwritable>) -> Self {
        let writer = Mutex::new(Writer { connection: all.writer, unwritable });
        let (reader, access, recorder) = (Mutex::new(all.reader), Mutex::new(all.access), Mutex::new(all.recorder));
        let damaged = Damaged::new(clock);
        Self { dir: dir.to_owned(), clock: clock.clone(), damaged, writer, reader, access, recorder }
    }

    /// Opens or makes the database in `dir` and brings its tables up to date. `check` walks the whole file first.
    pub(crate) fn open(dir: &Path, clock: &SharedClock, check: bool) -> Result<Self> {
        make_private(dir)?;
        Ok(Self::new(dir, clock, connect_all(dir, check)?, None))
    }

    /// Like [`Db::open`] with a check; a damaged file is moved aside first. Returns the name it was given then.
    fn open_or_replace(dir: &Path, clock: &SharedClock) -> Result<(Self, Option<String>)> {
        match Self::open(dir, clock, true) {
            Ok(db) => Ok((db, None)),
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                let aside = set_aside(dir, clock.utc())?;
                tracing::error!(error = %e, aside, "the database was damaged and was replaced: accounts and paired devices must be made again, recordings are taken in again");
                Ok((Self::open(dir, clock, false)?, Some(aside)))
            }
            Err(e) => Err(e),
        }
    }

    /// Opens the database, makes it, or replaces a damaged one; on a full disk after giving up the reserve, and on a disk that
    /// cannot be written to read only. Returns the name that a damaged one was given.
    pub(crate) fn open_somehow(dir: &Path, clock: &SharedClock) -> Result<(Self, Option<String>)> {
        let mut opened = Self::open_or_replace(dir, clock);
        if opened.as_ref().is_err_and(|e| write_fault(e).is_some()) && reserve::give_up(dir) {
            tracing::warn!("the disk is full: its reserve was given up");
            opened = Self::open_or_replace(dir, clock);
        }
        opened.or_else(|e| Ok((Self::open_unwritable(dir, clock, e)?, None)))
    }

    /// Opens an existing database of which `why` says that it cannot be written, to read until it can be. Errors with `why`.
    pub(crate) fn open_unwritable(dir: &Path, clock: &SharedClock, why: Error) -> Result<Self> {
        if why.kind() != ErrorKind::Unavailable {
            return Err(why);
        }
        let path = dir.join(DATABASE);
        match connect_read_only(&path, false).or_else(|_| connect_read_only(&path, true)) {
            Ok(all) => {
                tracing::error!(error = %why, "the database cannot be written: nothing is recorded or changed until the disk is well");
                Ok(Self::new(dir, clock, all, Some(Unwritable::because(&why, clock.mono()))))
            }
            Err(e) => {
                tracing::debug!(error = %e, "nor can the database be read");
                Err(why)
            }
        }
    }

    /// Runs `f` in one transaction that locks out other writers from its start. `what` is the sentence of its errors. A power
    /// cut soon after may undo it: the files tell what was recorded.
    pub(crate) fn write<T>(
        &self,
        what: impl Display,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
    ) -> Result<T> {
        self.write_with(Sync::Normal, &what, f)
    }

    /// Like [`Db::write`] for who may do what: it has reached the disk when this returns. A power cut must not bring back a
    /// revoked device or a try of a code that was counted.
    pub(crate) fn write_access<T>(
        &self,
        what: impl Display,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
    ) -> Result<T> {
        self.write_with(Sync::Full, &what, f)
    }

    fn write_with<T>(
        &self,
        sync: Sync,
        what: &dyn Display,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
    ) -> Result<T> {
        self.attempt(&mut lock(&self.writer), what, |writer| {
            // Said each time: it costs no disk access, and nothing is left over from a transaction that failed.
            writer.connection.pragma_update(None, "synchronous", sync.word()).map_err(|e| sql_error(what, e))?;
            transact(&mut writer.connection, what, f)
        })
    }

    /// Runs one transaction if the disk can be written, and remembers when it cannot.
    fn attempt<T>(
        &self,
        writer: &mut Writer,
        what: &dyn Display,
        run: impl FnOnce(&mut Writer) -> Result<T>,
    ) -> Result<T> {
        self.heal(writer, what)?;
        let out = run(writer);
        if let Err(e) = &out
            && is_read_only(e)
        {
            writer.unwritable = Some(Unwritable::because(e, self.clock.mono()));
        }
        out
    }

    /// Like [`Db::write`] for what may as well be left undone: `None` when anyone else is writing or the disk cannot be written.
    /// Does not wait for the disk either, unless the disk keeps even the page cache waiting.
    pub(crate) fn write_if_free<T>(
        &self,
        what: impl Display,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
    ) -> Result<Option<T>> {
        match try_lock(&self.writer) {
            Some(mut writer) if writer.unwritable.is_none() => writer.hurry(Duration::ZERO, 0, &what, f).map(Some),
            _ => Ok(None),
        }
    }

    /// Like [`Db::write`] with a patience for who has no time: `None` when another thread writes, or another program for longer than
    /// that.
    pub(crate) fn write_within<T>(
        &self,
        patience: Option<Duration>,
        what: impl Display,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
    ) -> Result<Option<T>> {
        let Some(patience) = patience else { return self.write(what, f).map(Some) };
        let Some(mut writer) = try_lock(&self.writer) else { return Ok(None) };
        match self.attempt(&mut writer, &what, |writer| writer.hurry(patience, CHECKPOINT_PAGES, &what, f)) {
            Err(e) if is_busy(&e) => Ok(None),
            out => out.map(Some),
        }
    }

    /// Connects again when the disk could not be written a while ago.
    fn heal(&self, writer: &mut Writer, what: &dyn Display) -> Result<()> {
        let Some(unwritable) = &mut writer.unwritable else { return Ok(()) };
        let now = self.clock.mono();
        if unwritable.tried.is_some_and(|tried| now.since(tried) < RETRY) {
            return Err(unwritable.error(what));
        }
        match connect_all(&self.dir, false) {
            Ok(all) => {
                *lock(&self.reader) = all.reader;
                *lock(&self.access) = all.access;
                *lock(&self.recorder) = all.recorder;
                *writer = Writer { connection: all.writer, unwritable: None };
                tracing::info!("the database can be written again");
                Ok(())
            }
            Err(e) => {
                *unwritable = Unwritable::because(&e, now);
                Err(unwritable.error(what))
            }
        }
    }

    /// The disk got better, or space was made: the next write tries at once whether that helped.
    pub(crate) fn hope(&self) {
        if let Some(unwritable) = &mut lock(&self.writer).unwritable {
            unwritable.tried = None;
        }
    }

    /// Runs `f` on the reading connection; each statement sees what was committed before it.
    pub(crate) fn read<T>(&self, what: impl Display, f: impl FnOnce(&Connection) -> Result<T, Fail>) -> Result<T> {
        f(&lock(&self.reader)).map_err(|e| e.into_error(&what))
    }

    /// Like [`Db::read`] for accounts, devices and codes, which are few and quickly found.
    pub(crate) fn read_access<T>(
        &self,
        what: impl Display,
        f: impl FnOnce(&Connection) -> Result<T, Fail>,
    ) -> Result<T> {
        f(&lock(&self.access)).map_err(|e| e.into_error(&what))
    }

    /// Like [`Db::read`] for the few short questions of a recorder.
    pub(crate) fn read_recorder<T>(
        &self,
        what: impl Display,
        f: impl FnOnce(&Connection) -> Result<T, Fail>,
    ) -> Result<T> {
        f(&lock(&self.recorder)).map_err(|e| e.into_error(&what))
    }
}

/// How far a transaction's end waits for the disk.
#[derive(Clone, Copy)]
enum Sync {
    /// Until the system has it.
    Normal,
    /// Until the disk has it.
    Full,
}

impl Sync {
    fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Full => "full",
        }
    }
}

fn transact<T>(
    c: &mut Connection,
    what: &dyn Display,
    f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
) -> Result<T> {
    let tx = c.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| sql_error(what, e))?;
    let out = f(&tx).map_err(|e| e.into_error(what))?;
    tx.commit().map_err(|e| sql_error(what, e))?;
    Ok(out)
}

fn code_of(e: &Error) -> Option<ErrorCode> {
    std::error::Error::source(e)?.downcast_ref::<rusqlite::Error>()?.sqlite_error_code()
}

fn is_read_only(e: &Error) -> bool {
    code_of(e) == Some(ErrorCode::ReadOnly)
}

/// Whether another program holds the database.
pub(crate) fn is_busy(e: &Error) -> bool {
    matches!(code_of(e), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The connections to an existing database (it may be empty) that can be written.
fn connect_all(dir: &Path, check: bool) -> Result<Connections> {
    let path = dir.join(DATABASE);
    let mut writer = connect(&path)?;
    if check {
        quick_check(&writer, &path)?;
    }
    schema::upgrade(&mut writer)?;
    let to_read = || {
        let reader = connect(&path)?;
        reader
            .pragma_update(None, "query_only", true)
            .map_err(|e| sql_error(&format_args!("{} cannot be opened to read", path.display()), e))?;
        Ok::<_, Error>(reader)
    };
    Ok(Connections { writer, reader: to_read()?, access: to_read()?, recorder: to_read()? })
}

fn quick_check(c: &Connection, path: &Path) -> Result<()> {
    let failed = |e| sql_error(&format_args!("{} cannot be checked", path.display()), e);
    let verdict: String = c.query_row("PRAGMA quick_check(1)", [], |r| r.get(0)).map_err(failed)?;
    match verdict.as_str() {
        "ok" => Ok(()),
        _ => {
            let inside = format!("{}: {verdict}", path.display());
            Err(Error::new(ErrorKind::Corrupt, "the database is damaged").with_inside(inside))
        }
    }
}

fn settle_in(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The journal is worked into the database when it has so many pages.
const CHECKPOINT_PAGES: u32 = 1_000;

fn connect(path: &Path) -> Result<Connection> {
    let what = || format!("{} cannot be opened", path.display());
    let open = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        settle_in(&connection)?;
        Ok(connection)
    };
    let connection = open().map_err(|e| sql_error(&what(), e))?;
    // SQLite is content to read what it may not write.
    if connection.is_readonly("main").map_err(|e| sql_error(&what(), e))? {
        return Err(io_error(what, Errno::ROFS.into()));
    }
    let tune = || -> rusqlite::Result<()> {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", Sync::Normal.word())?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", 4 << 20)
    };
    tune().map_err(|e| sql_error(&what(), e))?;
    Ok(connection)
}

/// A connection that only reads. `alone` does without journal and locks, when not even those can be had: what the journal
/// holds is then not seen.
pub(crate) fn read_only(path: &Path, alone: bool) -> Result<Connection> {
    let open = || -> rusqlite::Result<Connection> {
        let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        let uri = format!("file:{escaped}{}", if alone { "?immutable=1" } else { "" });
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = Connection::open_with_flags(uri, flags)?;
        settle_in(&connection)?;
        Ok(connection)
    };
    open().map_err(|e| sql_error(&format!("{} cannot be opened to read", path.display()), e))
}

/// Connections that only read.
fn connect_read_only(path: &Path, alone: bool) -> Result<Connections> {
    let open = || read_only(path, alone);
    let [mut writer, reader, access, recorder] = [open()?, open()?, open()?, open()?];
    quick_check(&writer, path)?;
    // Reads its version only, unless it is too old, which fails.
    schema::upgrade(&mut writer)?;
    Ok(Connections { writer, reader, access, recorder })
}

/// Makes the file before SQLite does, so that it and its journals are its owner's alone.
fn make_private(dir: &Path) -> Result<()> {
    let what = || format!("the data folder {} cannot be written", dir.display());
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(dir.join(DATABASE));
    let file = made.map_err(|e| io_error(what, e))?;
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|e| io_error(what, e))
}

/// Removes the oldest damaged databases, with their journals, when there are too many.
pub(crate) fn bound_damaged(dir: &Path) -> io::Result<()> {
    let prefix = format!("{DATABASE}.corrupt-");
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| name.starts_with(&prefix)));
    }
    // Their names begin with the time.
    names.sort();
    let is_journal = |name: &str| name.ends_with("-wal") || name.ends_with("-shm");
    let whole: Vec<&String> = names.iter().filter(|name| !is_journal(name)).collect();
    for old in &whole[..whole.len().saturating_sub(DAMAGED_DATABASES)] {
        for name in ["", "-wal", "-shm"].map(|suffix| format!("{old}{suffix}")) {
            match fs::remove_file(dir.join(name)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
    }
    Ok(())
}

fn set_aside(dir: &Path, now: Timestamp) -> Result<String> {
    let (day, time) = now.file_parts();
    let stem = format!("{DATABASE}.corrupt-{day}T{time}Z");
    let name = (0..1000)
        .map(|n| if n == 0 { stem.clone() } else { format!("{stem}-{n}") })
        .find(|name| !dir.join(name).exists())
        .ok_or_else(|| {
            Error::internal("too many damaged databases lie in the data folder").with_inside(dir.display().to_string())
        })?;
    let from = |suffix: &str| -> PathBuf { dir.join(format!("{DATABASE}{suffix}")) };
    let set_aside = |suffix: &str| {
        let failed = |e| io_error(|| format!("the damaged {} cannot be moved", from(suffix).display()), e);
        fs::rename(from(suffix), dir.join(format!("{name}{suffix}"))).map_err(failed)
    };
    set_aside("")?;
    // A journal without its database would be applied to the new one.
    for suffix in ["-wal", "-shm"] {
        if from(suffix).exists() {
            set_aside(suffix)?;
        }
    }
    Ok(name)
}
