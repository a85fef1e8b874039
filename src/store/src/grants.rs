//! How a grant of cameras stands in the database, and how what a limited row is proved with is kept from programs that do not
//! know of such grants: they would take it for a whole one.

use crate::reading::Fail;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{CameraGrant, Grant, LIMITED_MARK as MARK, Role};

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

/// The grant of a row: its role, and what all its columns `cameras` allow together.
pub(crate) fn grant(role: Role, columns: impl IntoIterator<Item = Option<String>>) -> Result<Grant, Fail> {
    let all =
        columns.into_iter().try_fold(CameraGrant::All, |all, column| Ok::<_, Error>(all.and(cameras(column)?)))?;
    Ok(Grant::stored(role, all))
}

/// A text proof as it is stored beside this grant.
pub(crate) fn text(proof: &str, cameras: &CameraGrant) -> String {
    if cameras.is_all() { proof.to_owned() } else { format!("{MARK}{proof}") }
}

/// A stored text proof as it was made.
pub(crate) fn plain(stored: &str) -> &str {
    stored.strip_prefix(MARK).unwrap_or(stored)
}

/// A token's hash as it is stored beside this grant.
pub(crate) fn token(hash: &[u8; 32], cameras: &CameraGrant) -> Vec<u8> {
    if cameras.is_all() { hash.to_vec() } else { [MARK.as_bytes(), hash].concat() }
}

/// A stored hash of a token as it was made.
pub(crate) fn plain_token(stored: &[u8]) -> &[u8] {
    stored.strip_prefix(MARK.as_bytes()).unwrap_or(stored)
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
        let text = |ids: &[&str]| column(&only(ids)).expect("written");
        let both = |role| grant(role, [text(&["a", "b"]), None, text(&["b", "c"])]).ok().expect("read");
        assert_eq!(both(Role::Viewer).cameras(), &only(&["b"]));
        assert!(both(Role::Admin).cameras().is_all());
    }

    #[test]
    fn a_limited_proof_is_never_equal_to_a_whole_one() {
        let some = CameraGrant::Only([CameraId::new("a").expect("an id")].into());
        for cameras in [CameraGrant::All, some] {
            assert_eq!(plain(&text("abc", &cameras)), "abc");
            assert_eq!(plain_token(&token(&[7; 32], &cameras)), [7; 32]);
            let same = (text("abc", &cameras) == "abc", token(&[7; 32], &cameras) == [7; 32]);
            assert_eq!(same, (cameras.is_all(), cameras.is_all()));
        }
    }
}
