//! Devices, tokens and pairing codes. Accounts and stream passwords are in `accounts`.

use crate::db::Fail;
use crate::words::{from_word, word};
use crate::{Accounts, accounts, grants};
use perch_base::ids::DeviceId;
use perch_base::secret::{self, Secret};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{
    self, CameraGrant, Credential, Device, DeviceKind, Grant, GrantChange, Leaving, Principal, StreamPassword, User,
    check_acting, check_leaving,
};
use perch_domain::pairing::{CardStep, CodeOutcome, Pairing};
use perch_domain::ports::{AccessPort, IssuedCode, PairResult};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use std::fmt::Display;
use std::time::Duration;

pub(crate) const PAIRING_KEY: &str = "pairing";
pub(crate) const SALT_KEY: &str = "pairing_salt";

/// How exactly it is noted when a device was last seen; a write each request would wear the card.
const SEEN_EVERY: Duration = Duration::from_secs(60);

pub(crate) fn meta(c: &Connection, key: &str) -> Result<Option<String>, Fail> {
    Ok(c.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |r| r.get(0)).optional()?)
}

pub(crate) fn put_meta(tx: &Transaction<'_>, key: &str, value: &str) -> Result<(), Fail> {
    tx.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?.execute([key, value])?;
    Ok(())
}

pub(crate) fn pairing(c: &Connection) -> Result<Pairing, Fail> {
    let Some(text) = meta(c, PAIRING_KEY)? else { return Ok(Pairing::default()) };
    let damaged = |e| Error::new(ErrorKind::Corrupt, "the state of pairing is damaged").with_source(e);
    Ok(serde_json::from_str(&text).map_err(damaged)?)
}

pub(crate) fn keep_pairing(tx: &Transaction<'_>, pairing: &Pairing) -> Result<(), Fail> {
    let text = serde_json::to_string(pairing)
        .map_err(|e| Error::internal("the state of pairing cannot be written").with_source(e))?;
    put_meta(tx, PAIRING_KEY, &text)
}

/// The hash of a code under this box's own salt, so that a stolen database does not open with a table of hashes.
fn code_hash(tx: &Transaction<'_>, code: &str) -> Result<String, Fail> {
    let salt = match meta(tx, SALT_KEY)? {
        Some(salt) => salt,
        None => {
            let salt = secret::hex(&secret::random_bytes::<32>());
            put_meta(tx, SALT_KEY, &salt)?;
            salt
        }
    };
    Ok(secret::hex(&secret::sha256(format!("{salt}{code}").as_bytes())))
}

pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    secret::sha256(token.as_bytes())
}

/// Enters a new device and makes its token.
pub(crate) fn insert_device(
    tx: &Transaction<'_>,
    name: &str,
    kind: DeviceKind,
    username: Option<&str>,
    grant: &Grant,
    now: Timestamp,
) -> Result<Credential, Fail> {
    let (device_id, token) = (DeviceId::random(), secret::new_token());
    let sql = "INSERT INTO device (id, token, name, kind, username, role, created, seen, cameras)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8)";
    tx.prepare_cached(sql)?.execute(params![
        device_id.to_string(),
        grants::token(&token_hash(token.expose()), grant.cameras()),
        name,
        word(&kind)?,
        username,
        grant.role().as_str(),
        now.0,
        grants::column(grant.cameras())?
    ])?;
    Ok(Credential { device_id, token, role: grant.role() })
}

fn kind_from(text: &str) -> Result<DeviceKind> {
    match text {
        "paired" => Ok(DeviceKind::Paired),
        "session" => Ok(DeviceKind::Session),
        _ => Err(Error::new(ErrorKind::Corrupt, format!("a device's row has the kind `{text}`"))),
    }
}

fn device(row: &Row<'_>) -> Result<Device, Fail> {
    let grant = grants::grant(from_word(row.get(4)?)?, [row.get(7)?, row.get(8)?])?;
    Ok(Device {
        id: DeviceId::parse(&row.get::<_, String>(0)?)?,
        name: row.get(1)?,
        kind: kind_from(&row.get::<_, String>(2)?)?,
        username: row.get(3)?,
        role: grant.role(),
        cameras: grant.cameras().clone(),
        created_at: Timestamp(row.get(5)?),
        last_seen_at: Timestamp(row.get(6)?),
    })
}

/// A device sees what it was given and its account (if it has one) was given as well.
const DEVICES: &str = "SELECT d.id, d.name, d.kind, d.username, d.role, d.created, d.seen, d.cameras, u.cameras
    FROM device d LEFT JOIN user u ON u.name = d.username";

/// The device of a token's hash (`?1`, `?2` as it is stored of a device that may see some cameras only).
pub(crate) fn token_sql() -> String {
    format!("{DEVICES} WHERE d.token IN (?1, ?2)")
}

/// All devices, newest first.
fn all_devices(c: &Connection) -> Result<Vec<Device>, Fail> {
    let mut statement = c.prepare_cached(&format!("{DEVICES} ORDER BY d.created DESC, d.id"))?;
    let mut rows = statement.query([])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(device(row)?);
    }
    Ok(out)
}

/// The device of this id.
fn device_of(c: &Connection, id: DeviceId) -> Result<Option<Device>, Fail> {
    let mut statement = c.prepare_cached(&format!("{DEVICES} WHERE d.id = ?1"))?;
    let mut rows = statement.query([id.to_string()])?;
    rows.next()?.map(device).transpose()
}

impl Accounts {
    fn expired(&self, d: &Device, now: Timestamp) -> bool {
        self.inner.config.session.is_over(d.kind, d.created_at, d.last_seen_at, now)
    }

    /// Removes sessions whose time is over; called where a new one begins, so that they cannot pile up.
    pub(crate) fn drop_expired(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), Fail> {
        let mut sessions = tx.prepare_cached("SELECT id, created, seen FROM device WHERE kind = 'session'")?;
        let mut rows = sessions.query([])?;
        while let Some(r) = rows.next()? {
            let (id, created, seen) = (r.get::<_, String>(0)?, Timestamp(r.get(1)?), Timestamp(r.get(2)?));
            if self.inner.config.session.is_over(DeviceKind::Session, created, seen, now) {
                tx.prepare_cached("DELETE FROM device WHERE id = ?1")?.execute([id])?;
            }
        }
        Ok(())
    }

    /// Errors with `Conflict` when nobody could manage the box without `leaving`; see [`check_leaving`]. `now` is judged before the
    /// transaction, which is no place to follow a clock that was set.
    pub(crate) fn may_leave(&self, tx: &Transaction<'_>, leaving: Leaving<'_>, now: Timestamp) -> Result<(), Fail> {
        let devices: Vec<_> = all_devices(tx)?.into_iter().filter(|d| !self.expired(d, now)).collect();
        Ok(check_leaving(leaving, &accounts::all_users(tx)?, &devices)?)
    }

    /// Changes who may come in, if whoever wants it still may, see [`AccessPort::acting`].
    pub(crate) fn change<T>(
        &self,
        what: impl Display,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, Fail>,
    ) -> Result<T> {
        let by = self.by.as_ref().map(|by| (by, self.judged(self.now())));
        self.inner.db.write_access(what, |tx| {
            if let Some((by, now)) = by {
                let found = device_of(tx, by.device_id)?.filter(|d| !self.expired(d, now));
                check_acting(by, found.map(principal).as_ref())?;
            }
            f(tx)
        })
    }

    /// What those of `ids` that still exist may do: who was revoked by a command beside the daemon is missing.
    pub fn principals(&self, ids: &[DeviceId]) -> Result<Vec<Principal>> {
        let now = self.judged(self.now());
        self.inner.db.read_access(format_args!("looking up which of {} devices still exist", ids.len()), |c| {
            let mut out = Vec::with_capacity(ids.len());
            for id in ids {
                out.extend(device_of(c, *id)?.filter(|d| !self.expired(d, now)).map(principal));
            }
            Ok(out)
        })
    }

    fn note_seen(&self, d: &Device, now: Timestamp) {
        let every = SEEN_EVERY.min(self.inner.config.session.idle / 4);
        if now.micros_since(d.last_seen_at).unsigned_abs() < every.as_micros() as u64 {
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

fn principal(d: Device) -> Principal {
    Principal { device_id: d.id, device_name: d.name, username: d.username, role: d.role, cameras: d.cameras }
}

impl Accounts {
    /// What the screen of a box without an owner is to show, see [`Pairing::card`]. Writes only what it forgets.
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
}

impl AccessPort for Accounts {
    fn acting(&self, caller: &Principal) -> Box<dyn AccessPort> {
        Box::new(Self { by: Some(caller.clone()), ..self.clone() })
    }

    fn claimed(&self) -> Result<bool> {
        self.inner.db.read_access("looking up whether the box is claimed", |c| {
            let sql = "SELECT EXISTS (SELECT 1 FROM user) OR EXISTS (SELECT 1 FROM device)";
            Ok(c.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
        })
    }

    fn issue_code(&self, grant: &Grant, now: Timestamp) -> Result<IssuedCode> {
        let now = self.judged(now);
        let config = &self.inner.config.pairing;
        let otp: String = (0..config.digits).map(|_| char::from(b'0' + secret::random_below(10) as u8)).collect();
        let expires_at =
            self.change(format_args!("a pairing code for {} cannot be made", grant.role().as_str()), |tx| {
                let mut state = pairing(tx)?;
                let issued = state.issue(code_hash(tx, &otp)?, grant, config, now).map_err(|e| {
                    let message =
                        format!("too many pairing codes were made today: the next one can be made at {}", e.next_at);
                    Error::new(ErrorKind::RateLimited, message)
                })?;
                keep_pairing(tx, &state)?;
                Ok(issued)
            })?;
        Ok(IssuedCode { otp: Secret::new(otp), expires_at })
    }

    fn pair(&self, otp: &str, device_name: &str, now: Timestamp) -> Result<PairResult> {
        let now = self.judged(now);
        let name = access::clean_display_name("the device's name", device_name)?;
        // One transaction for each try: guesses that come at the same time are counted one after the other.
        self.inner.db.write_access(format_args!("the pairing code of device {name:?} cannot be tried"), |tx| {
            let mut state = pairing(tx)?;
            let attempt = state.attempt(&code_hash(tx, otp)?, now);
            keep_pairing(tx, &state)?;
            Ok(match attempt {
                CodeOutcome::Paired(grant) => {
                    PairResult::Paired(insert_device(tx, &name, DeviceKind::Paired, None, &grant, now)?)
                }
                refused => PairResult::Refused(refused),
            })
        })
    }

    fn sign_in(&self, username: &str, password: &str, device_name: &str, now: Timestamp) -> Result<Option<Credential>> {
        let name = access::clean_display_name("the device's name", device_name)?;
        let Some((user, hash)) = self.verified(username, password)? else { return Ok(None) };
        let now = self.judged(now);
        self.inner.db.write_access(format_args!("signing in {user}"), |tx| {
            // The password may have been changed, or the account changed or removed, while it was being checked.
            let account = accounts::login(tx, &user)?;
            let Some(account) = account.filter(|a| a.hash == hash) else { return Ok(None) };
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
            let hash = token_hash(token);
            let limited = grants::token(&hash, &CameraGrant::Only(Default::default()));
            let mut rows = statement.query(params![hash, limited])?;
            rows.next()?.map(device).transpose()
        })?;
        let Some(d) = found.filter(|d| !self.expired(d, now)) else { return Ok(None) };
        self.note_seen(&d, now);
        Ok(Some(principal(d)))
    }

    fn devices(&self) -> Result<Vec<Device>> {
        let now = self.judged(self.now());
        let all = self.inner.db.read_access("listing the devices", all_devices)?;
        Ok(all.into_iter().filter(|d| !self.expired(d, now)).collect())
    }

    fn revoke_device(&self, id: DeviceId) -> Result<()> {
        let now = self.judged(self.now());
        self.change(format_args!("device {id} cannot be revoked"), |tx| {
            self.may_leave(tx, Leaving::Device(id), now)?;
            match tx.prepare_cached("DELETE FROM device WHERE id = ?1")?.execute([id.to_string()])? {
                0 => Err(Error::not_found(format!("there is no device {id}")).into()),
                _ => Ok(()),
            }
        })
    }

    fn users(&self) -> Result<Vec<User>> {
        self.list_users()
    }

    fn add_user(&self, name: &str, password: &str, grant: &Grant, by: Option<DeviceId>, now: Timestamp) -> Result<()> {
        self.insert_user(name, password, grant, by, now)
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
    use perch_domain::access::Role;

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
