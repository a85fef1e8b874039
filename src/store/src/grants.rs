//! How a grant of cameras stands in the database, and how what a limited row is proved with is kept from programs that do not
//! know of such grants: they would take it for a whole one.

use crate::reading::Fail;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{CameraGrant, Grant, GrantLimits, Role};
use perch_domain::grant::unmarked;
use rusqlite::Row;

/// The value of a row's column `cameras`.
pub(crate) fn column(cameras: &CameraGrant) -> Result<Option<String>> {
    match cameras {
        CameraGrant::All => Ok(None),
        CameraGrant::Only(_) => serde_json::to_string(cameras)
            .map(Some)
            .map_err(|e| Error::internal("a grant of cameras cannot be written").with_source(e)),
    }
}

/// What a column `cameras` says. One that cannot be read is an error and never all cameras.
pub(crate) fn cameras(column: Option<String>) -> Result<CameraGrant> {
    let Some(text) = column else { return Ok(CameraGrant::All) };
    let damaged = |e| Error::new(ErrorKind::Corrupt, "its grant of cameras is damaged").with_source(e);
    serde_json::from_str::<std::collections::BTreeSet<_>>(&text).map(CameraGrant::Only).map_err(damaged)
}

/// The columns of a row that limit what it is for: `cameras`, `expires`, `live_only`.
pub(crate) type Columns = (Option<String>, Option<i64>, Option<bool>);

/// The three columns from the one at `first` on; none is limited where they are all null (a row that is not there).
pub(crate) fn columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Columns> {
    Ok((row.get(first)?, row.get(first + 1)?, row.get(first + 2)?))
}

/// The grant of a row: its role, and what all its columns allow together.
pub(crate) fn grant(role: Role, all: impl IntoIterator<Item = Columns>) -> Result<Grant, Fail> {
    let (mut together, mut limits) = (CameraGrant::All, GrantLimits::NONE);
    for (column, expires, live_only) in all {
        together = together.and(cameras(column)?);
        let live_only = live_only.unwrap_or(false);
        limits = limits.and(GrantLimits { expires_at: expires.map(Timestamp), live_only });
    }
    Ok(Grant::stored(role, together, limits))
}

/// A text proof as it is stored beside this grant.
pub(crate) fn text(proof: &str, grant: &Grant) -> String {
    format!("{}{proof}", grant.mark())
}

/// A stored text proof as it was made.
pub(crate) fn plain(stored: &str) -> Result<String> {
    let damaged = |e| Error::new(ErrorKind::Corrupt, "what it is proved with is damaged").with_source(e);
    String::from_utf8(unmarked(stored.as_bytes()).to_vec()).map_err(damaged)
}

/// A token's hash as it is stored beside this grant.
pub(crate) fn token(hash: &[u8; 32], grant: &Grant) -> Vec<u8> {
    [grant.mark().as_bytes(), hash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::ids::CameraId;

    #[test]
    fn a_grant_comes_back_and_a_damaged_one_opens_nothing() {
        let only = |ids: &[&str]| CameraGrant::Only(ids.iter().map(|id| CameraId::new(id).expect("an id")).collect());
        for given in [CameraGrant::All, only(&["a", "b"]), only(&[])] {
            assert_eq!(cameras(column(&given).expect("written")).expect("read"), given);
        }
        for damaged in ["", "null", "{}", "[1]", "[\"A B\"]", "*"] {
            assert_eq!(cameras(Some(damaged.into())).expect_err(damaged).kind(), ErrorKind::Corrupt);
        }
        let text = |ids: &[&str]| (column(&only(ids)).expect("written"), None, None);
        let ends = |us: i64, live_only| (None, Some(us), Some(live_only));
        let all = || [text(&["a", "b"]), (None, None, None), text(&["b", "c"]), ends(7, false), ends(9, true)];
        let both = |role| grant(role, all()).ok().expect("read");
        assert_eq!(both(Role::Viewer).cameras(), &only(&["b"]));
        assert_eq!(both(Role::Viewer).limits(), GrantLimits { expires_at: Some(Timestamp(7)), live_only: true });
        assert_eq!(both(Role::Admin), Grant::all(Role::Admin));
    }

    #[test]
    fn a_limited_proof_is_never_equal_to_a_whole_one() {
        let some = CameraGrant::Only([CameraId::new("a").expect("an id")].into());
        let ends = GrantLimits { expires_at: Some(Timestamp(1)), live_only: false };
        for cameras in [CameraGrant::All, some] {
            for limits in [GrantLimits::NONE, ends] {
                let grant = Grant::stored(Role::Viewer, cameras.clone(), limits);
                assert_eq!(plain(&text("abc", &grant)).expect("text"), "abc");
                assert_eq!(unmarked(&token(&[7; 32], &grant)), [7; 32]);
                let is_whole = cameras.is_all() && limits.is_none();
                assert_eq!((text("abc", &grant) == "abc", token(&[7; 32], &grant) == [7; 32]), (is_whole, is_whole));
            }
        }
    }
}
