//! The tables, as an array of steps: step N brings a database of version N to N + 1. Released steps never change. An update may be
//! taken back, so the program before must be able to use what a step made: it only adds, and the database says who can use it.

use crate::fault::sql_error;
use crate::meta_rows;
use perch_base::{Error, ErrorKind, Result};
use rusqlite::{Connection, TransactionBehavior};

/// The version that this program writes.
pub(crate) const VERSION: usize = 11;

/// All steps ever released.
pub(crate) const STEPS: [&str; VERSION] =
    [STEP_1, STEP_2, STEP_3, STEP_4, STEP_5, STEP_6, STEP_7, STEP_8, STEP_9, STEP_10, STEP_11];

/// For each version, the oldest program (by the version it writes) that can use a database of it. A step after the first only makes
/// tables, indices and columns with a default, so that the program before goes on with it after an update was rolled back.
pub(crate) const USABLE_BY: [usize; VERSION] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];

/// Where the database itself says so, for programs that do not know its version.
const USABLE_BY_KEY: &str = "schema_usable_by";

// `in_cloud` of `segment` is always 0: whether copies are elsewhere stands in `copied`. It stays, with the index that begins with it,
// because the program before must be able to use the database; what asks that index says `in_cloud = 0`.
const STEP_1: &str = "
    CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE user (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        password TEXT NOT NULL,              -- Argon2id, PHC string
        role TEXT NOT NULL,
        created INTEGER NOT NULL             -- all times: microseconds since the epoch, UTC
    ) WITHOUT ROWID;

    CREATE TABLE device (
        id TEXT PRIMARY KEY,
        token BLOB NOT NULL UNIQUE,          -- SHA-256 of the token
        name TEXT NOT NULL,
        kind TEXT NOT NULL,                  -- paired, session
        username TEXT COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE,
        role TEXT NOT NULL,
        created INTEGER NOT NULL,
        seen INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX device_user ON device (username);

    CREATE TABLE stream_password (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        ha1 TEXT NOT NULL,                   -- MD5(name:realm:password), what RTSP's Digest needs
        created INTEGER NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE event (
        id INTEGER PRIMARY KEY,              -- its start, moved on until free
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER,
        score REAL NOT NULL,
        cause TEXT NOT NULL,
        boxes TEXT NOT NULL,                 -- JSON
        pinned INTEGER NOT NULL DEFAULT 0,
        thumbnail INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX event_camera ON event (camera, id);

    CREATE TABLE format (
        id INTEGER PRIMARY KEY,
        sps BLOB NOT NULL,
        pps BLOB NOT NULL,
        UNIQUE (sps, pps)
    );

    CREATE TABLE segment (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        camera TEXT NOT NULL,
        path TEXT NOT NULL UNIQUE,           -- below recordings/
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        size INTEGER NOT NULL,               -- bytes on the disk; 0 when lost or quarantined
        state TEXT NOT NULL,                 -- open, sealed, lost, quarantined, deleting
        event INTEGER REFERENCES event (id) ON DELETE SET NULL,
        in_cloud INTEGER NOT NULL DEFAULT 0,
        format INTEGER REFERENCES format (id),
        audio INTEGER NOT NULL DEFAULT 0,    -- channels; 0 is none
        init_size INTEGER NOT NULL DEFAULT 0,
        fragments BLOB,                      -- see `fragments`
        sha256 BLOB                          -- of the whole file; null when it was taken in at a start
    );
    CREATE INDEX segment_time ON segment (camera, start, end, state);
    CREATE INDEX segment_usage ON segment (end, size);
    CREATE INDEX segment_unsealed ON segment (state) WHERE state <> 'sealed';
    CREATE INDEX segment_background ON segment (end) WHERE state = 'sealed' AND event IS NULL;
    CREATE INDEX segment_of_event ON segment (event) WHERE event IS NOT NULL;
    CREATE INDEX segment_events ON segment (in_cloud, end) WHERE state = 'sealed' AND event IS NOT NULL;

    CREATE TABLE gap (
        id INTEGER PRIMARY KEY,
        camera TEXT NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        cause TEXT NOT NULL
    );
    CREATE INDEX gap_camera ON gap (camera, end);
";

const STEP_2: &str = "
    -- Bytes of all recordings: kept by the database itself, so that every way to change a row counts, and no power cut miscounts.
    CREATE TABLE usage (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        bytes INTEGER NOT NULL
    );
    INSERT INTO usage (one, bytes) SELECT 1, coalesce(sum(size), 0) FROM segment;
    CREATE TRIGGER segment_added AFTER INSERT ON segment WHEN new.size <> 0 BEGIN
        UPDATE usage SET bytes = bytes + new.size;
    END;
    CREATE TRIGGER segment_resized AFTER UPDATE OF size ON segment WHEN new.size <> old.size BEGIN
        UPDATE usage SET bytes = bytes + new.size - old.size;
    END;
    CREATE TRIGGER segment_removed AFTER DELETE ON segment WHEN old.size <> 0 BEGIN
        UPDATE usage SET bytes = bytes - old.size;
    END;

    -- The few events that may reach far beyond their start: see `events`.
    CREATE INDEX event_long ON event (coalesce(end, 9223372036854775807)) WHERE end IS NULL OR end - start > 3600000000;
    CREATE INDEX gap_retention ON gap (camera, start) WHERE cause = 'retention';
";

/// Which cameras a row is for: a JSON list of ids, null for all. A program before this step does not read the column and would show
/// all cameras to whoever may see some. It must be able to go on with the database, so the columns cannot stop it; what a
/// limited row is proved with is stored in a form that it never matches (see `grants`): it takes that row's token, password and
/// stream password for wrong ones, lists and removes the row like any other, and everybody else comes in as before.
const STEP_3: &str = "
    ALTER TABLE user ADD COLUMN cameras TEXT;
    ALTER TABLE device ADD COLUMN cameras TEXT;
    ALTER TABLE stream_password ADD COLUMN cameras TEXT;
";

const STEP_4: &str = "
    -- An event is a chapter of what moves since then; null (also from an older program) is its own start.
    ALTER TABLE event ADD COLUMN since INTEGER;
    ALTER TABLE event ADD COLUMN chapter INTEGER NOT NULL DEFAULT 1;
";

/// When a row's grant ends (null: never), and whether it opens nothing that is recorded. As with the cameras, a program before this
/// step reads neither, and what such a row is proved with is stored in a form that it never matches; not in that of cameras, which
/// it knows.
const STEP_5: &str = "
    ALTER TABLE user ADD COLUMN expires INTEGER;
    ALTER TABLE user ADD COLUMN live_only INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE device ADD COLUMN expires INTEGER;
    ALTER TABLE device ADD COLUMN live_only INTEGER NOT NULL DEFAULT 0;
";

const STEP_6: &str = "
    -- Who switched the camera off, JSON; null where that is not why. An older program takes the cause for one that is not known.
    ALTER TABLE gap ADD COLUMN off_by TEXT;
";

const STEP_7: &str = "
    -- How somebody wants the cameras shown, JSON; null as the box lists them. A device's own counts while it has no account.
    ALTER TABLE user ADD COLUMN view TEXT;
    ALTER TABLE device ADD COLUMN view TEXT;
";

/// Copies off the box. Triggers keep it true whatever changes a recording's row: an older program, too.
const STEP_8: &str = "
    -- 1: all targets that want this recording have verified copies of it, and it may go.
    ALTER TABLE segment ADD COLUMN copied INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX segment_copied_background ON segment (copied, end) WHERE state = 'sealed' AND event IS NULL;
    CREATE INDEX segment_copied_events ON segment (copied, end) WHERE state = 'sealed' AND event IS NOT NULL;

    -- How far the copy of a recording is at a target. It stays when the recording goes: then the copy is all there is.
    CREATE TABLE copy (
        target TEXT NOT NULL,                -- host, bucket and folder
        segment INTEGER NOT NULL,
        camera TEXT NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        state TEXT NOT NULL,                 -- uploading, committed, verified
        key TEXT NOT NULL,
        size INTEGER NOT NULL,
        sha256 BLOB NOT NULL,
        upload TEXT,                         -- the store's name of an upload in parts
        changed INTEGER NOT NULL,
        PRIMARY KEY (target, segment)
    ) WITHOUT ROWID;
    CREATE INDEX copy_segment ON copy (segment);
    CREATE INDEX copy_begun ON copy (target) WHERE state <> 'verified';
    CREATE INDEX copy_time ON copy (camera, start);
    CREATE TABLE copy_month (
        target TEXT NOT NULL,
        month TEXT NOT NULL,                 -- such as 2026-05, UTC
        bytes INTEGER NOT NULL,
        PRIMARY KEY (target, month)
    ) WITHOUT ROWID;
    -- What had to go before it was copied.
    CREATE TABLE copy_lost (
        segment INTEGER PRIMARY KEY,
        camera TEXT NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        size INTEGER NOT NULL,
        at INTEGER NOT NULL
    );
    CREATE TRIGGER segment_recut AFTER UPDATE OF size ON segment
        WHEN new.size <> old.size AND old.state = 'sealed' AND new.state = 'sealed' BEGIN
        UPDATE segment SET copied = 0 WHERE id = new.id;
        DELETE FROM copy WHERE segment = new.id;
    END;
    CREATE TRIGGER segment_claimed AFTER UPDATE OF event ON segment WHEN new.copied = 1 AND new.event IS NOT old.event BEGIN
        UPDATE segment SET copied = 0 WHERE id = new.id;
    END;
";

/// What a recording was stays with its copy when it goes, so that the copy can be played.
const STEP_9: &str = "
    ALTER TABLE copy ADD COLUMN event INTEGER;
    ALTER TABLE copy ADD COLUMN format INTEGER;
    ALTER TABLE copy ADD COLUMN audio INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE copy ADD COLUMN init_size INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE copy ADD COLUMN fragments BLOB;
    CREATE INDEX copy_end ON copy (end);
    CREATE TRIGGER segment_gone BEFORE DELETE ON segment BEGIN
        UPDATE copy SET event = old.event, format = old.format, audio = old.audio, init_size = old.init_size, fragments = old.fragments
        WHERE segment = old.id AND state = 'verified';
    END;
";

const STEP_10: &str = "
    -- Null: the copy is not encrypted. What encrypts it as long as it is being made, so that it goes on with the same bytes; then empty.
    ALTER TABLE copy ADD COLUMN seal BLOB;
";

const STEP_11: &str = "
    -- In words; null: the disk had no room for it.
    ALTER TABLE copy_lost ADD COLUMN why TEXT;
";

/// Runs the steps that are missing, each in a transaction of its own. Errors with `Unsupported` when a newer program wrote it.
pub(crate) fn upgrade(connection: &mut Connection) -> Result<()> {
    let path = connection.path().unwrap_or_default().to_owned();
    let wrap = |e| sql_error(&format_args!("the tables of {path} cannot be brought up to date"), e);
    // Most starts have nothing to do, and a disk that cannot be written must not keep them from it.
    let known: i64 = connection.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(wrap)?;
    if usize::try_from(known) == Ok(VERSION) || is_newer_but_usable(connection, known).map_err(wrap)? {
        return Ok(());
    }
    loop {
        // Locked before the version is read: two processes may start at once.
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrap)?;
        let version: i64 = tx.query_row("PRAGMA user_version", [], |r| r.get(0)).map_err(wrap)?;
        let at = usize::try_from(version).unwrap_or(usize::MAX);
        match STEPS.get(at) {
            Some(step) => {
                tx.execute_batch(step).map_err(wrap)?;
                tx.pragma_update(None, "user_version", version + 1).map_err(wrap)?;
                meta_rows::put(&tx, USABLE_BY_KEY, &USABLE_BY[at].to_string()).map_err(wrap)?;
                tx.commit().map_err(wrap)?;
            }
            None if at == STEPS.len() => return Ok(()),
            None => {
                let message =
                    format!("the database has version {version}, this program knows up to {VERSION}: update it");
                return Err(Error::new(ErrorKind::Unsupported, message).with_inside(path));
            }
        }
    }
}

/// Whether a newer program wrote this database in a way that this one can go on with.
fn is_newer_but_usable(connection: &Connection, version: i64) -> rusqlite::Result<bool> {
    if version <= VERSION as i64 {
        return Ok(false);
    }
    // A database of another kind has no such table.
    let table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'";
    if connection.query_row(table, [], |r| r.get::<_, i64>(0))? == 0 {
        return Ok(false);
    }
    let oldest = meta_rows::get(connection, USABLE_BY_KEY)?;
    Ok(oldest.and_then(|v| v.parse::<usize>().ok()).is_some_and(|oldest| oldest <= VERSION))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All there is in the schema, in the order of its names.
    fn dump(c: &Connection) -> String {
        let sql = "SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type = 'table' DESC, type, name";
        let mut s = c.prepare(sql).expect("sql");
        let rows = s.query_map([], |r| r.get::<_, String>(0)).expect("query");
        rows.map(|r| r.expect("row").replace("\n    ", "\n") + "\n\n").collect()
    }

    /// The upgraded database against a text that is not made from the steps: a released step that is changed, or a new one that
    /// is not meant, shows. `schema.sql` is the place to read what the tables are now.
    #[test]
    fn all_steps_make_what_the_golden_schema_says() {
        let mut c = Connection::open_in_memory().expect("memory");
        upgrade(&mut c).expect("all steps");
        let (golden, made) = (include_str!("schema.sql"), dump(&c));
        let differs = golden.lines().zip(made.lines()).find(|(golden, made)| golden != made);
        assert!(golden == made, "schema.sql and the steps differ, first in {differs:?}; the steps make:\n{made}");
        let version: i64 = c.query_row("PRAGMA user_version", [], |r| r.get(0)).expect("version");
        assert_eq!(version as usize, VERSION);
        upgrade(&mut c).expect("nothing to do");
    }

    /// Step 1 is what a dump of that time holds: it was released and must not change.
    #[test]
    fn the_first_step_is_what_old_databases_have() {
        let old = Connection::open_in_memory().expect("memory");
        old.execute_batch(include_str!("../tests/store/data/version_1.sql")).expect("loaded");
        let first = Connection::open_in_memory().expect("memory");
        first.execute_batch(STEPS[0]).expect("step 1");
        assert_eq!(dump(&old), dump(&first));
    }

    #[test]
    fn a_newer_database_is_refused() {
        let mut c = Connection::open_in_memory().expect("memory");
        c.pragma_update(None, "user_version", 99).expect("set");
        assert_eq!(upgrade(&mut c).expect_err("newer").kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn every_step_can_be_used_by_the_program_before() {
        for (n, oldest) in USABLE_BY.iter().enumerate().skip(1) {
            assert!(*oldest <= n && USABLE_BY[n - 1] <= *oldest, "version {}", n + 1);
            let (before, after) = (objects(&STEPS[..n]), objects(&STEPS[..=n]));
            for (name, was) in &before {
                let is = after.get(name).unwrap_or_else(|| panic!("step {} takes {name} away", n + 1));
                assert!(is.starts_with(was), "step {} does more than add: {name} was {was:?} and is {is:?}", n + 1);
            }
        }
    }

    /// What a program relies on: the columns of every table, and the text of every index and trigger.
    fn objects(steps: &[&str]) -> std::collections::BTreeMap<String, Vec<String>> {
        let c = Connection::open_in_memory().expect("memory");
        c.execute_batch(&steps.concat()).expect("steps");
        let all = |sql: &str| -> Vec<(String, String)> {
            let mut statement = c.prepare(sql).expect("valid");
            let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).expect("asked");
            rows.collect::<Result<_, _>>().expect("read")
        };
        let mut out = std::collections::BTreeMap::<String, Vec<String>>::new();
        let columns =
            "SELECT m.name, c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk FROM sqlite_schema m,
            pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid";
        let texts = "SELECT name, sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL";
        for (name, what) in all(columns).into_iter().chain(all(texts)) {
            out.entry(name).or_default().push(what);
        }
        out
    }

    #[test]
    fn a_database_of_the_next_version_is_used_when_it_says_so() {
        let next = |usable_by: usize| {
            let mut c = Connection::open_in_memory().expect("memory");
            upgrade(&mut c).expect("all steps");
            c.execute_batch("ALTER TABLE device ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'; CREATE TABLE later (x)")
                .expect("a step that adds");
            c.pragma_update(None, "user_version", VERSION as i64 + 1).expect("set");
            c.execute("UPDATE meta SET value = ?1 WHERE key = ?2", [&usable_by.to_string(), USABLE_BY_KEY])
                .expect("set");
            c
        };
        let mut c = next(VERSION);
        upgrade(&mut c).expect("usable");
        let version: i64 = c.query_row("PRAGMA user_version", [], |r| r.get(0)).expect("version");
        assert_eq!(version as usize, VERSION + 1, "it stays what it is");
        assert_eq!(upgrade(&mut next(VERSION + 1)).expect_err("not usable").kind(), ErrorKind::Unsupported);
    }
}
