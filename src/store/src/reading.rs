//! How rows are read: why a statement may fail, and what becomes of rows that are damaged.

use crate::fault::sql_error;
use perch_base::clock::SharedClock;
use perch_base::repeated::Repeated;
use perch_base::{Error, ErrorKind, Result};
use rusqlite::{Row, Rows};
use std::fmt::Display;

/// What is said of a row that cannot be read; which one is for the inside, or stands before it.
const DAMAGED: &str = "an entry of the database is damaged";

/// Why a statement's closure failed: SQLite, or a rule of ours.
pub(crate) enum Fail {
    Sql(rusqlite::Error),
    Error(Error),
}

impl From<rusqlite::Error> for Fail {
    fn from(e: rusqlite::Error) -> Self {
        Self::Sql(e)
    }
}

impl From<Error> for Fail {
    fn from(e: Error) -> Self {
        Self::Error(e)
    }
}

impl Fail {
    pub(crate) fn into_error(self, what: &dyn Display) -> Error {
        match self {
            Self::Sql(e) if is_foreign(&e) => {
                Error::new(ErrorKind::Corrupt, DAMAGED).with_inside(what.to_string()).with_source(e)
            }
            Self::Sql(e) => sql_error(what, e),
            Self::Error(e) => e,
        }
    }

    fn is_damage(&self) -> bool {
        match self {
            Self::Sql(e) => is_foreign(e),
            Self::Error(e) => e.kind() == ErrorKind::Corrupt,
        }
    }
}

/// Whether a column holds what none of ours wrote there.
fn is_foreign(e: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(e, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

/// What `read` makes of a row; its errors say of which.
pub(crate) fn of_row<T>(row: impl Display, read: impl FnOnce() -> Result<T, Fail>) -> Result<T, Fail> {
    read().map_err(|e| match e {
        // What cannot be read there is no mistake of who asked.
        Fail::Error(e) if matches!(e.kind(), ErrorKind::Invalid | ErrorKind::NotFound) => {
            Error::new(ErrorKind::Corrupt, DAMAGED).with_source(e).at(row).into()
        }
        Fail::Error(e) => e.at(row).into(),
        sql => sql.into_error(&row).into(),
    })
}

/// Where rows that cannot be read are logged, each once.
pub(crate) struct Damaged {
    clock: SharedClock,
    pub(crate) logged: Repeated,
}

impl Damaged {
    pub(crate) fn new(clock: &SharedClock) -> Self {
        Self { clock: clock.clone(), logged: Repeated::default() }
    }

    /// Logs a row that cannot be read.
    pub(crate) fn note(&self, e: &Error) {
        if self.logged.is_news(e, self.clock.mono()) {
            tracing::error!(error = %e, "what is damaged in the database is left out");
        }
    }

    /// What was read of a row; `None` where it is damaged, which is logged.
    pub(crate) fn readable<T>(&self, read: Result<T, Fail>) -> Result<Option<T>, Fail> {
        match read {
            Err(fail) if fail.is_damage() => {
                self.note(&fail.into_error(&"a row that cannot be named"));
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// What `f` makes of each row that can be read, `most` at most: one that is damaged hides no other.
    pub(crate) fn each<T>(
        &self,
        most: usize,
        mut rows: Rows<'_>,
        f: impl Fn(&Row<'_>) -> Result<T, Fail>,
    ) -> Result<Vec<T>, Fail> {
        let mut out = Vec::new();
        while out.len() < most
            && let Some(row) = rows.next()?
        {
            out.extend(self.readable(f(row))?);
        }
        Ok(out)
    }

    /// Like [`Damaged::each`] for all rows.
    pub(crate) fn all<T>(&self, rows: Rows<'_>, f: impl Fn(&Row<'_>) -> Result<T, Fail>) -> Result<Vec<T>, Fail> {
        self.each(usize::MAX, rows, f)
    }
}

/// The first row, by the name in its first column, that `f` finds damaged.
pub(crate) fn first_damaged<T>(
    mut rows: Rows<'_>,
    f: impl Fn(&Row<'_>) -> Result<T, Fail>,
) -> Result<Option<String>, Fail> {
    while let Some(row) = rows.next()? {
        if f(row).is_err_and(|fail| fail.is_damage()) {
            return Ok(Some(row.get(0).unwrap_or_default()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use crate::Store;
    use crate::testing::open;
    use perch_base::ErrorKind;
    use perch_base::ids::{CameraId, EventId};
    use perch_base::time::Timestamp;
    use perch_domain::access::{Grant, Leaving, Role};
    use perch_domain::archive::{EventFilter, TimeRange};
    use perch_domain::ports::{AccessPort, ArchivePort};
    use perch_domain::status::DamagedAccess;

    fn enter(store: &Store, sql: &str) {
        let entered = store.recordings().inner.db.write("entering", |tx| Ok(tx.execute_batch(sql)?));
        entered.expect(sql);
    }

    /// Asks for a list three times, of which one row is damaged: the others are there, and one failure was logged.
    fn hides_no_other<T: std::fmt::Debug + PartialEq>(store: &Store, list: impl Fn() -> Vec<T>, want: &[T]) {
        for _ in 0..3 {
            assert_eq!(list(), want);
        }
        assert_eq!(store.recordings().inner.db.damaged.logged.ended(), Some(2), "one was logged");
    }

    #[test]
    fn a_damaged_event_hides_no_other_nor_ends_the_list() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir);
        let columns = "INSERT INTO event (id, camera, kind, start, end, score, cause, boxes) VALUES";
        for id in 1..=6 {
            enter(&store, &format!("{columns} ({id}, 'front', 'motion', {id}, 9, 1, 'motion', '[]')"));
        }
        let page = |before: Option<EventId>| {
            let filter = EventFilter { limit: 2, before, ..EventFilter::default() };
            let page = store.recordings().events(&filter).expect("listed");
            (page.events.iter().map(|e| e.id.0).collect::<Vec<_>>(), page.next_cursor)
        };
        for damage in [
            "camera = 'No Such'",
            "kind = 'odd'",
            "start = 'noon'",
            "score = 'much'",
            "cause = x'00'",
            "boxes = '{'",
            "since = 'noon'",
        ] {
            enter(&store, &format!("UPDATE event SET {damage} WHERE id = 5"));
            hides_no_other(&store, || vec![page(None)], &[(vec![6, 4], Some(EventId(4)))]);
            hides_no_other(&store, || vec![page(Some(EventId(6)))], &[(vec![4, 3], Some(EventId(3)))]);
            assert_eq!(page(Some(EventId(3))), (vec![2, 1], None));
            let range = TimeRange { from: Timestamp(0), to: Timestamp(100) };
            let front = CameraId::new("front").expect("valid");
            let all = store.recordings().timeline(&front, range, Timestamp(100)).expect("asked").events;
            assert_eq!(all.iter().map(|e| e.id.0).collect::<Vec<_>>(), [1, 2, 3, 4, 6], "{damage}");
            let one = store.recordings().event(EventId(5)).expect_err("damaged");
            assert_eq!((one.kind(), one.to_string().contains("event 5")), (ErrorKind::Corrupt, true), "{one}");
            enter(
                &store,
                "UPDATE event SET camera = 'front', kind = 'motion', start = 5, score = 1, cause = 'motion', boxes = '[]',
                since = null WHERE id = 5",
            );
            store.recordings().inner.db.damaged.logged.ended();
        }
        assert_eq!(page(None).0, [6, 5]);
    }

    #[test]
    fn a_damaged_device_hides_no_other_and_keeps_nobody_out() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir);
        let (accounts, admin) = (store.accounts(), Grant::all(Role::Admin));
        let now = accounts.now();
        accounts.add_user("anna", "long enough", &admin, None, now).expect("made");
        let sign_in = || accounts.sign_in("anna", "long enough", "phone", now).expect("asked").expect("right");
        let (good, bad) = (sign_in(), sign_in().device_id);
        let list = || accounts.devices().expect("listed").iter().map(|d| d.id).collect::<Vec<_>>();
        for damage in ["kind = 'odd'", "role = 'king'", "created = 'noon'", "cameras = '{'", "name = x'00'"] {
            enter(&store, &format!("UPDATE device SET {damage} WHERE id = '{bad}'"));
            hides_no_other(&store, list, &[good.device_id]);
            let who = accounts.authenticate(good.token.expose(), now).expect("asked").expect("known");
            assert_eq!(accounts.principals(&[bad, good.device_id]).expect("asked"), [who]);
            let judged =
                store.recordings().inner.db.write("asking", |tx| accounts.may_leave(tx, Leaving::Device(bad), now));
            judged.expect("anna may manage the box");
            sign_in();
            enter(&store, &format!("DELETE FROM device WHERE id NOT IN ('{bad}', '{}')", good.device_id));
            enter(
                &store,
                "UPDATE device SET kind = 'session', role = 'admin', created = seen, cameras = null, name = 'phone'",
            );
            store.recordings().inner.db.damaged.logged.ended();
        }
        // One that has no name is revoked with its account.
        enter(&store, &format!("UPDATE device SET id = 'odd' WHERE id = '{bad}'"));
        hides_no_other(&store, list, &[good.device_id]);
        accounts.add_user("olga", "long enough", &admin, None, now).expect("made");
        assert_eq!(accounts.remove_user("anna").expect("removed"), [good.device_id]);
        let left = store
            .recordings()
            .inner
            .db
            .read("counting", |c| Ok(c.query_row("SELECT count(*) FROM device", [], |r| r.get::<_, i64>(0))?));
        assert_eq!(left.expect("counted"), 0);
    }

    #[test]
    fn a_damaged_account_hides_no_other_is_reported_and_can_be_removed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir);
        let (accounts, now) = (store.accounts(), store.accounts().now());
        for (name, role) in [("anna", Role::Admin), ("olga", Role::Viewer)] {
            accounts.add_user(name, "long enough", &Grant::all(role), None, now).expect("made");
        }
        let damaged = || accounts.damaged().expect("asked");
        assert_eq!(damaged(), DamagedAccess::default());
        let list = || accounts.users().expect("listed").into_iter().map(|u| u.name).collect::<Vec<_>>();
        for damage in ["role = 'king'", "created = 'noon'", "cameras = '{'"] {
            enter(&store, &format!("UPDATE user SET {damage} WHERE name = 'olga'"));
            hides_no_other(&store, list, &["anna".to_owned()]);
            assert_eq!(damaged().account.as_deref(), Some("olga"), "{damage}");
            enter(&store, "UPDATE user SET role = 'viewer', created = 1, cameras = null WHERE name = 'olga'");
        }
        enter(&store, "UPDATE user SET role = 'king' WHERE name = 'olga'");
        assert!(accounts.sign_in("anna", "long enough", "phone", now).expect("asked").is_some());
        let e = accounts.sign_in("olga", "long enough", "phone", now).expect_err("damaged");
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
        accounts.remove_user("olga").expect("removed");
        accounts.add_user("olga", "long enough", &Grant::all(Role::Viewer), None, now).expect("made again");
        assert_eq!((damaged(), list()), (DamagedAccess::default(), vec!["anna".to_owned(), "olga".to_owned()]));

        // The same of stream passwords, which are checked without a list.
        for name in ["nas", "nvr"] {
            accounts.add_stream_password(name, &Default::default(), now).expect("made");
        }
        store.recordings().inner.db.damaged.logged.ended();
        enter(&store, "UPDATE stream_password SET cameras = '{' WHERE name = 'nvr'");
        let logins = || accounts.stream_logins().expect("read").into_iter().map(|l| l.name).collect::<Vec<_>>();
        hides_no_other(&store, logins, &["nas".to_owned()]);
        assert_eq!(damaged().stream_password.as_deref(), Some("nvr"));
        assert_eq!(accounts.stream_passwords().expect("listed").len(), 1);
        accounts.remove_stream_password("nvr").expect("removed");
        assert_eq!(damaged(), DamagedAccess::default());
    }

    #[test]
    fn a_damaged_recording_or_gap_hides_no_other() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir);
        let front = CameraId::new("front").expect("valid");
        let range = TimeRange { from: Timestamp(0), to: Timestamp(100) };
        enter(
            &store,
            "INSERT INTO segment (id, camera, path, start, end, size, state) VALUES
                (5, 'front', 'p', 1, 2, 'x', 'sealed'), (6, 'front', 'q', 3, 4, 9, 'sealed');
            INSERT INTO gap (camera, start, end, cause) VALUES ('front', 1, 'noon', 'no_motion')",
        );
        let list = || store.recordings().segments(&front, range).expect("listed").iter().map(|s| s.id.0).collect();
        hides_no_other::<i64>(&store, list, &[6]);
        store.recordings().timeline(&front, range, Timestamp(100)).expect("shown");
        assert_eq!(store.recordings().inner.db.damaged.logged.ended(), Some(0), "the gap");
    }
}
