//! How people want the cameras shown: a column of their account or, without one, of their device.

use crate::Accounts;
use crate::reading::Fail;
use perch_base::ids::DeviceId;
use perch_base::{Error, Result};
use perch_domain::access::Principal;
use perch_domain::camera_view::CameraView;
use rusqlite::{OptionalExtension, Transaction, params};

/// Gives an account, which is new, what was arranged on a device of it.
pub(crate) fn hand_over(tx: &Transaction<'_>, device: DeviceId, account: &str) -> Result<(), Fail> {
    let sql = "UPDATE user SET view = (SELECT view FROM device WHERE id = ?1) WHERE name = ?2";
    tx.prepare_cached(sql)?.execute(params![device.to_string(), account])?;
    Ok(())
}

impl Accounts {
    pub(crate) fn view_of(&self, of: &Principal) -> Result<CameraView> {
        let text: Option<String> = self.inner.db.read_access("looking up how cameras are shown", |c| {
            let found = match &of.username {
                Some(name) => c
                    .prepare_cached("SELECT view FROM user WHERE name = ?1")?
                    .query_row([name], |r| r.get::<_, Option<String>>(0)),
                None => c
                    .prepare_cached("SELECT view FROM device WHERE id = ?1")?
                    .query_row([of.device_id.to_string()], |r| r.get(0)),
            };
            Ok(found.optional()?.flatten())
        })?;
        // What cannot be read is only an order: it is made anew, and keeps nobody out.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    pub(crate) fn keep_view(&self, of: &Principal, view: &CameraView) -> Result<()> {
        view.check()?;
        let text = serde_json::to_string(view)
            .map_err(|e| Error::internal("an order of cameras cannot be written").with_source(e))?;
        // Nobody is kept out where it is lost in a power cut, so nobody waits for the disk.
        self.inner.db.write("keeping how cameras are shown", |tx| {
            let kept = match &of.username {
                Some(name) => tx.prepare_cached("UPDATE user SET view = ?2 WHERE name = ?1")?.execute([name, &text])?,
                None => tx
                    .prepare_cached("UPDATE device SET view = ?2 WHERE id = ?1")?
                    .execute([&of.device_id.to_string(), &text])?,
            };
            match kept {
                0 => Err(Error::not_found("there is no such account or device any more").into()),
                _ => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;
    use perch_base::ids::CameraId;
    use perch_domain::access::{Grant, Role};
    use perch_domain::ports::{AccessPort, PairResult};

    fn view(order: &[&str], favourites: &[&str]) -> CameraView {
        let ids = |names: &[&str]| names.iter().map(|n| CameraId::new(n).expect("valid")).collect();
        CameraView { order: ids(order), favourites: ids(favourites) }
    }

    #[test]
    fn all_devices_of_an_account_agree_and_a_phone_without_one_has_its_own() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let accounts = open(&dir).accounts().clone();
        let now = accounts.now();
        let code = accounts.issue_code(&Grant::all(Role::Admin), now).expect("issued");
        let PairResult::Paired(phone) = accounts.pair(code.otp.expose(), "phone", now).expect("asked") else {
            panic!("the code is right")
        };
        let who = |token: &str| accounts.authenticate(token, now).expect("asked").expect("known");
        let alone = who(phone.token.expose());
        assert_eq!(accounts.camera_view(&alone).expect("asked"), CameraView::default());
        let mine = view(&["yard", "front"], &["yard"]);
        accounts.set_camera_view(&alone, &mine).expect("kept");
        assert_eq!(accounts.camera_view(&alone).expect("asked"), mine);

        // The account that is made on this phone begins with what was arranged there.
        let admin = Grant::all(Role::Admin);
        accounts.add_user("anna", "long enough", &admin, Some(phone.device_id), now).expect("made");
        accounts.add_user("ben", "long enough", &admin, None, now).expect("made");
        let session = |name: &str| accounts.sign_in(name, "long enough", "tablet", now).expect("asked").expect("right");
        let tablet = who(session("anna").token.expose());
        assert_eq!(accounts.camera_view(&tablet).expect("asked"), mine);
        let other = view(&["front"], &[]);
        accounts.set_camera_view(&tablet, &other).expect("kept");
        assert_eq!(accounts.camera_view(&who(phone.token.expose())).expect("asked"), other);
        let ben = who(session("ben").token.expose());
        assert_eq!(accounts.camera_view(&ben).expect("asked"), CameraView::default());

        assert!(accounts.set_camera_view(&ben, &view(&["a", "a"], &[])).is_err());
        accounts
            .inner
            .db
            .write("damaging", |tx| Ok(tx.execute("UPDATE user SET view = '{'", []).map(drop)?))
            .expect("done");
        assert_eq!(accounts.camera_view(&tablet).expect("nobody is kept out"), CameraView::default());
        accounts.remove_user("ben").expect("removed");
        assert!(accounts.set_camera_view(&ben, &other).is_err(), "and nothing is left of them");
    }
}
