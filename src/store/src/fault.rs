//! Turns errors of files and of SQLite into the box's errors, in words a person can act on. No policy lives here.

use perch_base::{Error, ErrorKind};
use perch_domain::archive::GapCause;
use rustix::io::Errno;
use std::fmt::Display;
use std::io;

const FULL: &str = "the disk is full";
const READ_ONLY: &str = "the disk is read-only";
const FAILS: &str = "the disk reports an error";

fn errno(e: &io::Error) -> Option<Errno> {
    e.raw_os_error().map(Errno::from_raw_os_error)
}

/// Wraps a file error. `what` names the file and what was done with it: for the inside, since it may hold a path.
pub(crate) fn io_error(what: impl FnOnce() -> String, e: io::Error) -> Error {
    let (kind, message) = match errno(&e) {
        Some(Errno::NOSPC | Errno::DQUOT) => (ErrorKind::Unavailable, FULL),
        Some(Errno::ROFS) => (ErrorKind::Unavailable, READ_ONLY),
        Some(Errno::IO) => (ErrorKind::Unavailable, FAILS),
        Some(Errno::NOENT) => (ErrorKind::NotFound, "the file is gone"),
        _ => (ErrorKind::Io, "a file cannot be read or written"),
    };
    Error::new(kind, message).with_inside(what()).with_source(e)
}

/// Whether SQLite found no room: for data, or (as `SQLITE_IOERR_SHMSIZE`) for the memory that its connections share.
fn is_full(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull))
        || e.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

/// Wraps a database error. `what` says what was tried: for the inside.
pub(crate) fn sql_error(what: &dyn Display, e: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let (kind, message) = match e.sqlite_error_code() {
        _ if is_full(&e) => (ErrorKind::Unavailable, FULL),
        Some(Code::ReadOnly) => (ErrorKind::Unavailable, READ_ONLY),
        Some(Code::SystemIoFailure | Code::CannotOpen) => (ErrorKind::Unavailable, FAILS),
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => (ErrorKind::Unavailable, "the database is busy"),
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => (ErrorKind::Corrupt, "the database is damaged"),
        Some(Code::ConstraintViolation) => (ErrorKind::Conflict, "this does not fit what is stored already"),
        _ if matches!(e, rusqlite::Error::QueryReturnedNoRows) => (ErrorKind::NotFound, "it is not stored"),
        _ => (ErrorKind::Internal, "the database cannot be asked"),
    };
    Error::new(kind, message).with_inside(what.to_string()).with_source(e)
}

/// Why recording stands still, when `e` (or what caused it) is the disk's fault: full, or read-only, failing or gone.
pub fn write_fault(e: &Error) -> Option<GapCause> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(e);
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            match errno(io) {
                Some(Errno::NOSPC | Errno::DQUOT) => return Some(GapCause::DiskFull),
                Some(_) => return Some(GapCause::DiskError),
                None => {}
            }
        }
        if let Some(sql) = cause.downcast_ref::<rusqlite::Error>() {
            use rusqlite::ErrorCode as Code;
            match sql.sqlite_error_code() {
                _ if is_full(sql) => return Some(GapCause::DiskFull),
                Some(
                    Code::ReadOnly
                    | Code::SystemIoFailure
                    | Code::CannotOpen
                    | Code::DatabaseCorrupt
                    | Code::NotADatabase,
                ) => return Some(GapCause::DiskError),
                _ => {}
            }
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(errno: Errno) -> Error {
        let e = io_error(|| "recording 7 of front cannot be written".into(), errno.into());
        Error::internal("the recorder stopped").with_source(e)
    }

    #[test]
    fn a_path_is_for_the_inside_alone() {
        for errno in [Errno::NOSPC, Errno::ROFS, Errno::IO, Errno::NOENT, Errno::ACCESS] {
            let e = io_error(|| "/data/front/1.mp4 cannot be written".into(), errno.into());
            assert!(!e.message().contains("/data") && e.to_string().contains("/data/front/1.mp4"), "{e}");
        }
        let e = sql_error(&"looking up token 7", rusqlite::Error::QueryReturnedNoRows);
        assert_eq!((e.message(), e.inside()), ("it is not stored", Some("looking up token 7")));
    }

    #[test]
    fn says_whose_fault_it_is() {
        assert_eq!(write_fault(&failure(Errno::NOSPC)), Some(GapCause::DiskFull));
        assert_eq!(write_fault(&failure(Errno::ROFS)), Some(GapCause::DiskError));
        assert_eq!(write_fault(&failure(Errno::IO)), Some(GapCause::DiskError));
        assert_eq!(write_fault(&Error::invalid("no keyframe")), None);
        assert!(failure(Errno::NOSPC).to_string().contains("the disk is full: recording 7 of front"));
    }
}
