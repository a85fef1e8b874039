//! What is asked of accounts, devices, tokens and pairing codes. Their rows are in `users`, `devices` and `pairing`.

use crate::devices::{all_devices, delete_device, device, device_of, insert_device, principal, token_hash, token_sql};
use crate::pairing::{code_hash, keep_pairing, pairing};
use crate::reading::Fail;
use crate::users::is_claimed;
use crate::{Accounts, users};
use perch_base::ids::DeviceId;
use perch_base::secret::{self, Secret};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{
    self, CameraGrant, Credential, Device, DeviceKind, Grant, GrantChange, Leaving, Principal, Role, StreamPassword,
    User,
};
use perch_domain::camera_view::CameraView;
use perch_domain::grant::marked;
use perch_domain::pairing::{CardStep, CodeOutcome, UsedCode};
use perch_domain::ports::{AccessPort, IssuedCode, PairResult};
use rusqlite::{Transaction, params};

impl Accounts {
    /// What those of `ids` that still exist may do: who was revoked by a command beside the daemon is missing.
    pub fn principals(&self, ids: &[DeviceId]) -> Result<Vec<Principal>> {
        let now = self.judged(self.now());
        self.inner.db.read_access(format_args!("looking up which of {} devices still exist", ids.len()), |c| {
            let mut out = Vec::with_capacity(ids.len());
            for id in ids {
                // A damaged one may do nothing, and costs no other its access.
                let found = self.inner.db.damaged.readable(device_of(c, *id))?.flatten();
                out.extend(found.filter(|d| !self.expired(d, now)).map(principal));
            }
            Ok(out)
        })
    }

    fn note_seen(&self, d: &Device, now: Timestamp) {
        if !self.inner.limits.now().session.is_seen_due(d.last_seen_at, now) {
            return;
        }
        // Nobody waits for this: a disk that stalls, or a long deletion, must not hold up requests.
        let noted = self.inner.db.write_if_free(format_args!("noting when device {} was seen", d.id), |tx| {
            // A beginning in time to come, which a clock set back before this start leaves, would put the end of a session off.
            tx.prepare_cached("UPDATE device SET seen = ?2, created = min(created, ?2) WHERE id = ?1")?
                .execute(params![d.id.to_string(), now.0])?;
            Ok(())
        });
        if let Err(e) = noted {
            // A full disk must not lock people out.
            tracing::debug!(device = %d.id, error = %e, "it was not noted that a device was seen");
        }
    }
}

impl Accounts {
    /// What the screen of a box without an owner is to show, see [`perch_domain::pairing::Pairing::card`]. Writes only what it forgets.
    pub fn card_step(&self, shown: u32, now: Timestamp) -> Result<CardStep> {
        let now = self.judged(now);
        let what = "what the screen is to show";
        let before = self.inner.db.read_access(what, pairing)?;
        let mut after = before.clone();
        let step = after.card(shown, now);
        if after == before {
            return Ok(step);
        }
        self.inner.db.write_access(what, |tx| {
            let mut state = pairing(tx)?;
            let step = state.card(shown, now);
            keep_pairing(tx, &state)?;
            Ok(step)
        })
    }

    /// A code for the first administrator's device, who has no credential yet. `None` when somebody owns the box by now, which is asked
    /// inside the transaction. Errors with `RateLimited` after ten a day.
    pub fn issue_first_code(&self, now: Timestamp) -> Result<Option<IssuedCode>> {
        let now = self.judged(now);
        self.inner.db.write_access("the first pairing code cannot be made", |tx| match is_claimed(tx)? {
            true => Ok(None),
            false => self.issue(tx, &Grant::all(Role::Admin), now).map(Some),
        })
    }

    fn issue(&self, tx: &Transaction<'_>, grant: &Grant, now: Timestamp) -> Result<IssuedCode, Fail> {
        let config = &self.inner.limits.now().pairing;
        let otp: String = (0..config.digits).map(|_| char::from(b'0' + secret::random_below(10) as u8)).collect();
        let mut state = pairing(tx)?;
        let expires_at = state.issue(code_hash(tx, &otp)?, grant, config, now).map_err(|e| {
            let message = format!("too many pairing codes were made today: the next one can be made at {}", e.next_at);
            Error::new(ErrorKind::RateLimited, message)
        })?;
        keep_pairing(tx, &state)?;
        Ok(IssuedCode { otp: Secret::new(otp), made_at: now, expires_at })
    }
}

impl AccessPort for Accounts {
    fn acting(&self, caller: &Principal) -> Box<dyn AccessPort> {
        Box::new(Self { by: Some(caller.clone()), ..self.clone() })
    }

    fn claimed(&self) -> Result<bool> {
        self.inner.db.read_access("looking up whether the box is claimed", is_claimed)
    }

    fn issue_code(&self, grant: &Grant, now: Timestamp) -> Result<IssuedCode> {
        let now = self.judged(now);
        self.change(format_args!("a pairing code for {} cannot be made", grant.role().as_str()), |tx| {
            self.issue(tx, grant, now)
        })
    }

    fn pair(&self, otp: &str, device_name: &str, now: Timestamp) -> Result<PairResult> {
        let now = self.judged(now);
        let name = access::clean_display_name("the device's name", device_name)?;
        // One transaction for each try: guesses that come at the same time are counted one after the other.
        self.inner.db.write_access(format_args!("the pairing code of device {name:?} cannot be tried"), |tx| {
            let mut state = pairing(tx)?;
            let made_at = state.made_at();
            let tried = match state.attempt(&code_hash(tx, otp)?, now) {
                CodeOutcome::Paired(grant) => {
                    self.drop_expired(tx, now)?;
                    let device = insert_device(tx, &name, DeviceKind::Paired, None, &grant, now)?;
                    state.used_by(device.device_id, made_at);
                    PairResult::Paired(device)
                }
                refused => PairResult::Refused(refused),
            };
            keep_pairing(tx, &state)?;
            Ok(tried)
        })
    }

    fn used_code(&self) -> Result<Option<UsedCode>> {
        self.inner.db.read_access("looking up which code was used", |c| Ok(pairing(c)?.used()))
    }

    fn sign_in(&self, username: &str, password: &str, device_name: &str, now: Timestamp) -> Result<Option<Credential>> {
        let name = access::clean_display_name("the device's name", device_name)?;
        let Some((user, hash)) = self.verified(username, password)? else { return Ok(None) };
        let now = self.judged(now);
        self.inner.db.write_access(format_args!("signing in {user}"), |tx| {
            // The password may have been changed, or the account changed or removed, while it was being checked.
            let account = users::login(tx, &user)?;
            let Some(account) = account.filter(|a| a.hash == hash) else { return Ok(None) };
            // Whoever knows the password may hear why it opens nothing.
            if account.grant.limits().is_over(now) {
                let why = "the time of this account is over: whoever looks after the box can extend it";
                return Err(Error::new(ErrorKind::Forbidden, why).into());
            }
            self.drop_expired(tx, now)?;
            insert_device(tx, &name, DeviceKind::Session, Some(&user), &account.grant, now).map(Some)
        })
    }

    fn check_password(&self, username: &str, password: &str) -> Result<bool> {
        Ok(self.verified(username, password)?.is_some())
    }

    fn authenticate(&self, token: &str, now: Timestamp) -> Result<Option<Principal>> {
        let now = self.judged(now);
        if token.len() != 64 || !token.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let found = self.inner.db.read_access("looking up a token", |c| {
            let mut statement = c.prepare_cached(&token_sql())?;
            let mut rows = statement.query(marked(&token_hash(token)))?;
            rows.next()?.map(device).transpose()
        })?;
        let Some(d) = found.filter(|d| !self.expired(d, now)) else { return Ok(None) };
        self.note_seen(&d, now);
        Ok(Some(principal(d)))
    }

    fn devices(&self) -> Result<Vec<Device>> {
        let now = self.judged(self.now());
        let all = self.inner.db.read_access("listing the devices", |c| all_devices(&self.inner.db.damaged, c))?;
        Ok(all.into_iter().filter(|d| !self.expired(d, now)).collect())
    }

    fn revoke_device(&self, id: DeviceId) -> Result<()> {
        let now = self.judged(self.now());
        self.change(format_args!("device {id} cannot be revoked"), |tx| {
            self.may_leave(tx, Leaving::Device(id), now)?;
            match delete_device(tx, &id.to_string())? {
                true => Ok(()),
                false => Err(Error::not_found(format!("there is no device {id}")).into()),
            }
        })
    }

    fn rename_device(&self, id: DeviceId, name: &str) -> Result<()> {
        let name = access::clean_display_name("name", name)?;
        self.change(format_args!("device {id} cannot be renamed"), |tx| {
            let sql = "UPDATE device SET name = ?2 WHERE id = ?1";
            match tx.prepare_cached(sql)?.execute(params![id.to_string(), name])? {
                0 => Err(Error::not_found(format!("there is no device {id}")).into()),
                _ => Ok(()),
            }
        })
    }

    fn camera_view(&self, of: &Principal) -> Result<CameraView> {
        self.view_of(of)
    }

    fn set_camera_view(&self, of: &Principal, view: &CameraView) -> Result<()> {
        self.keep_view(of, view)
    }

    fn users(&self) -> Result<Vec<User>> {
        self.list_users()
    }

    fn add_user(&self, name: &str, password: &str, grant: &Grant, by: Option<DeviceId>, now: Timestamp) -> Result<()> {
        self.make_user(name, password, grant, by, now)
    }

    fn set_password(&self, name: &str, password: &str, keep: Option<DeviceId>) -> Result<Vec<DeviceId>> {
        self.change_password(name, password, keep)
    }

    fn set_grant(&self, name: &str, change: &GrantChange) -> Result<Vec<DeviceId>> {
        self.change_grant(name, change)
    }

    fn remove_user(&self, name: &str) -> Result<Vec<DeviceId>> {
        self.delete_user(name)
    }

    fn stream_passwords(&self) -> Result<Vec<StreamPassword>> {
        self.list_stream_passwords()
    }

    fn add_stream_password(&self, name: &str, cameras: &CameraGrant, now: Timestamp) -> Result<Secret> {
        self.insert_stream_password(name, cameras, now)
    }

    fn remove_stream_password(&self, name: &str) -> Result<()> {
        self.delete_stream_password(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;
    use std::time::Duration;

    /// Notes with each change of a table how far its transaction waits for the disk (1 normal, 2 full).
    fn watch(accounts: &Accounts) {
        accounts
            .inner
            .db
            .write("watching", |tx| {
                tx.execute_batch("CREATE TEMP TABLE waits (level)")?;
                for table in ["meta", "user", "device", "stream_password"] {
                    for change in ["INSERT", "UPDATE", "DELETE"] {
                        tx.execute_batch(&format!(
                            "CREATE TEMP TRIGGER {table}_{change} AFTER {change} ON main.{table}
                            BEGIN INSERT INTO waits SELECT synchronous FROM pragma_synchronous; END"
                        ))?;
                    }
                }
                Ok(())
            })
            .expect("watched");
    }

    fn waits(accounts: &Accounts) -> Vec<i64> {
        accounts
            .inner
            .db
            .write("looking", |tx| {
                let rows = tx.prepare("DELETE FROM waits RETURNING level")?.query_map([], |r| r.get(0))?.collect();
                Ok(rows)
            })
            .and_then(|rows: rusqlite::Result<Vec<i64>>| rows.map_err(|e| Error::internal(e.to_string())))
            .expect("asked")
    }

    #[test]
    fn what_decides_who_may_come_in_has_reached_the_disk() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = open(&dir);
        let accounts = store.accounts().clone();
        let now = accounts.now();
        watch(&accounts);
        let s = &accounts;
        let (admin, viewer) = (Grant::all(Role::Admin), Grant::all(Role::Viewer));
        let acts: [(&str, &dyn Fn()); 10] = [
            ("a code", &|| drop(s.issue_code(&Grant::all(Role::Admin), now).expect("issued"))),
            ("a try", &|| drop(s.pair("000", "phone", now).expect("tried"))),
            ("an account", &|| s.add_user("anna", "long enough", &admin, None, now).expect("added")),
            ("a session", &|| drop(s.sign_in("anna", "long enough", "phone", now).expect("asked").expect("right"))),
            ("a revocation", &|| s.revoke_device(s.devices().expect("asked")[0].id).expect("revoked")),
            ("a password", &|| drop(s.set_password("anna", "longer yet", None).expect("set"))),
            ("a grant", &|| drop(s.set_grant("anna", &admin.clone().into()).expect("set"))),
            ("an account's end", &|| {
                s.add_user("eve", "long enough", &viewer, None, now).expect("added");
                drop(s.remove_user("eve").expect("removed"));
            }),
            ("a stream password", &|| drop(s.add_stream_password("nvr", &CameraGrant::All, now).expect("made"))),
            ("its end", &|| s.remove_stream_password("nvr").expect("removed")),
        ];
        for (what, act) in acts {
            act();
            let waits = waits(&accounts);
            assert!(!waits.is_empty() && waits.iter().all(|w| *w == 2), "{what}: {waits:?}");
        }
        store.meta().set("k", "v").expect("kept");
        assert_eq!(waits(&accounts), [1], "the rest does not wait");
    }

    #[test]
    fn nobody_waits_at_the_door_for_a_long_look_back() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let accounts = open(&dir).accounts().clone();
        let (done, asked) = std::sync::mpsc::channel();
        accounts
            .inner
            .db
            .read("looking far back", |_| {
                let other = accounts.clone();
                std::thread::spawn(move || {
                    let known = other.authenticate(&"0".repeat(64), other.now()).expect("asked");
                    let _ = done.send((known, other.principals(&[]), other.stream_logins()));
                });
                let (known, ..) = asked.recv_timeout(Duration::from_secs(10)).expect("answered meanwhile");
                assert!(known.is_none());
                Ok(())
            })
            .expect("looked");
    }
}
