//! Accounts with their password hashes, and the generated passwords of RTSP players.

use crate::devices::{all_devices, delete_device, device_of};
use crate::reading::{Damaged, Fail, first_damaged, of_row};
use crate::words::{from_word, word};
use crate::{Accounts, grants, views};
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use md5::{Digest, Md5};
use perch_base::ids::DeviceId;
use perch_base::secret::{self, Secret};
use perch_base::sync::lock;
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{
    self, CameraGrant, Grant, GrantChange, GrantLimits, Leaving, RTSP_REALM, Role, StreamLogin, StreamPassword, User,
    check_leaving,
};
use perch_domain::account_name::{folded, read_account_name};
use perch_domain::grant::{mark, unmarked};
use perch_domain::status::DamagedAccess;
use rusqlite::{Connection, Row, Transaction, params};

/// A longer password is wrong without being hashed whole: nothing longer was ever accepted.
const MAX_PASSWORD_BYTES: usize = *access::PASSWORD_LENGTH.end() * char::MAX.len_utf8();

/// A longer name is nobody's.
const MAX_NAME_BYTES: usize = 1024;

/// Argon2id with the OWASP cheat sheet's second choice: 19 MiB, two passes, one lane. About 50 ms on a Pi 4.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, None).expect("the parameters are within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What is verified when there is no such account: as slow as a real one and never right.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cGVyY2hwZXJjaHBlcmNoIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What signing in needs to know of an account.
pub(crate) struct Login {
    /// Its name as it is written.
    pub(crate) name: String,
    /// Its password's hash.
    pub(crate) hash: String,
    pub(crate) grant: Grant,
}

/// The name of an account as it is written in the database, however it is written here: a program before keeps names by ASCII alone, so
/// there is no column to ask by. Accounts are few. Names that only an older program could make are found as they are written first.
fn written(c: &Connection, name: &str) -> Result<Option<String>, Fail> {
    let mut statement = c.prepare_cached("SELECT name FROM user ORDER BY name <> ?1, name")?;
    let mut rows = statement.query([name])?;
    if name.len() > MAX_NAME_BYTES {
        return Ok(None);
    }
    let wanted = folded(name);
    while let Some(r) = rows.next()? {
        let found: String = r.get(0)?;
        if found == name || folded(&found) == wanted {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The account of this name.
pub(crate) fn login(c: &Connection, name: &str) -> Result<Option<Login>, Fail> {
    let Some(name) = written(c, name)? else { return Ok(None) };
    let mut statement =
        c.prepare_cached("SELECT name, password, role, cameras, expires, live_only FROM user WHERE name = ?1")?;
    let mut rows = statement.query([&name])?;
    let Some(r) = rows.next()? else { return Ok(None) };
    of_row(format_args!("account {name}"), || {
        let hash = grants::plain(&r.get::<_, String>(1)?)?;
        let grant = grants::grant(from_word(&r.get::<_, String>(2)?)?, [grants::columns(r, 3)?])?;
        Ok(Some(Login { name: name.clone(), hash, grant }))
    })
}

const USERS: &str = "SELECT name, role, created, cameras, expires, live_only FROM user ORDER BY name";

fn user(r: &Row<'_>) -> Result<User, Fail> {
    let name: String = r.get(0)?;
    of_row(format_args!("account {name}"), || {
        let grant = grants::grant(from_word(&r.get::<_, String>(1)?)?, [grants::columns(r, 3)?])?;
        let (role, cameras, limits) = (grant.role(), grant.cameras().clone(), grant.limits());
        Ok(User { name: name.clone(), role, cameras, limits, created_at: Timestamp(r.get(2)?) })
    })
}

/// All accounts that can be read, by their names.
pub(crate) fn all_users(damaged: &Damaged, c: &Connection) -> Result<Vec<User>, Fail> {
    damaged.all(c.prepare_cached(USERS)?.query([])?, user)
}

/// Whether there is an account; also one that is damaged.
fn has_users(c: &Connection) -> Result<bool, Fail> {
    Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM user)")?.query_row([], |r| r.get(0))?)
}

const STREAMS: &str = "SELECT name, created, cameras FROM stream_password ORDER BY name";

fn stream_password(r: &Row<'_>) -> Result<StreamPassword, Fail> {
    let name: String = r.get(0)?;
    of_row(format_args!("stream password {name}"), || {
        let cameras = grants::cameras(r.get(2)?)?;
        Ok(StreamPassword { name: name.clone(), cameras, created_at: Timestamp(r.get(1)?) })
    })
}

/// Whether anybody owns the box: an account or a device exists.
pub(crate) fn is_claimed(c: &Connection) -> Result<bool, Fail> {
    let sql = "SELECT EXISTS (SELECT 1 FROM user) OR EXISTS (SELECT 1 FROM device)";
    Ok(c.prepare_cached(sql)?.query_row([], |r| r.get(0))?)
}

fn insert_user(tx: &Transaction<'_>, name: &str, hash: &str, grant: &Grant, now: Timestamp) -> Result<(), Fail> {
    if let Some(other) = written(tx, name)? {
        return Err(Error::new(ErrorKind::Conflict, format!("there is already an account {other}")).into());
    }
    let sql = "INSERT INTO user (name, password, role, created, cameras, expires, live_only)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
    let (role, cameras) = (word(&grant.role())?, grants::column(grant.cameras())?);
    let (expires, live_only) = (grant.limits().expires_at.map(|end| end.0), grant.limits().live_only);
    let proof = grants::text(hash, grant);
    match tx.prepare_cached(sql)?.execute(params![name, proof, role, now.0, cameras, expires, live_only])? {
        0 => Err(Error::new(ErrorKind::Conflict, format!("there is already an account {name}")).into()),
        _ => Ok(()),
    }
}

fn no_account(name: &str) -> Fail {
    Error::not_found(format!("there is no account {name}")).into()
}

/// The devices of an account; nobody comes in with one whose id is damaged.
fn devices_of(damaged: &Damaged, tx: &Transaction<'_>, name: &str) -> Result<Vec<DeviceId>, Fail> {
    let mut statement = tx.prepare_cached("SELECT id FROM device WHERE username = ?1")?;
    damaged.all(statement.query([name])?, |r| {
        let id: String = r.get(0)?;
        of_row(format_args!("device {id}"), || Ok(DeviceId::parse(&id)?))
    })
}

impl Accounts {
    fn hash(&self, password: &str) -> Result<String> {
        let _one_at_a_time = lock(&self.inner.hashing);
        let salt = secret::random_bytes::<16>();
        let hash: PasswordHash = argon2()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|e| Error::internal("a password cannot be hashed").with_source(e))?;
        Ok(hash.to_string())
    }

    /// Checks a name and password; the account as it is written, and the hash that matched. Takes the same time when there is no
    /// such account.
    pub(crate) fn verified(&self, name: &str, password: &str) -> Result<Option<(String, String)>> {
        let found = self.inner.db.read_access("looking up an account", |c| login(c, name))?;
        let text = found.as_ref().map_or(NOBODY, |account| &account.hash);
        let hash = PasswordHash::new(text).map_err(|e| {
            Error::new(ErrorKind::Corrupt, format!("account {name}: the hash of its password is damaged"))
                .with_source(e)
        })?;
        let fits = password.len() <= MAX_PASSWORD_BYTES;
        let tried = if fits { password } else { "" };
        let right = {
            let _one_at_a_time = lock(&self.inner.hashing);
            argon2().verify_password(tried.as_bytes(), &hash).is_ok()
        };
        Ok(found.filter(|_| right && fits).map(|account| (account.name, account.hash)))
    }

    /// Errors with `Conflict` when nobody could manage the box without `leaving`; see [`check_leaving`]. `now` is judged before the
    /// transaction, which is no place to follow a clock that was set.
    pub(crate) fn may_leave(&self, tx: &Transaction<'_>, leaving: Leaving<'_>, now: Timestamp) -> Result<(), Fail> {
        let damaged = &self.inner.db.damaged;
        let devices: Vec<_> = all_devices(damaged, tx)?.into_iter().filter(|d| !self.expired(d, now)).collect();
        Ok(check_leaving(leaving, &all_users(damaged, tx)?, &devices)?)
    }

    pub(crate) fn list_users(&self) -> Result<Vec<User>> {
        self.inner.db.read_access("listing the accounts", |c| all_users(&self.inner.db.damaged, c))
    }

    /// What of accounts and stream passwords cannot be read and is missing in their lists.
    pub fn damaged(&self) -> Result<DamagedAccess> {
        self.inner.db.read_access("looking for damaged accounts", |c| {
            let account = first_damaged(c.prepare_cached(USERS)?.query([])?, user)?;
            let stream_password = first_damaged(c.prepare_cached(STREAMS)?.query([])?, stream_password)?;
            Ok(DamagedAccess { account, stream_password })
        })
    }

    /// Makes the first account, an administrator's, for somebody who has no credential yet. Only while nobody owns the box, which is asked
    /// inside the transaction: of several who claim it at once, and of whoever pairs a phone meanwhile, one does. Whether it did.
    pub fn claim(&self, name: &str, password: &str, now: Timestamp) -> Result<bool> {
        let name = &*read_account_name("user name", name)?;
        access::check_password(password)?;
        let hash = self.hash(password)?;
        self.inner.db.write_access(format_args!("the box cannot be claimed by {name}"), |tx| {
            if is_claimed(tx)? {
                return Ok(false);
            }
            insert_user(tx, name, &hash, &Grant::all(Role::Admin), now).map(|()| true)
        })
    }

    /// Whether `by` joins the account, [`perch_domain::access::Device::joins`] says. Asked inside the transaction, so that of several accounts that are made at once one is the first.
    pub(crate) fn make_user(
        &self,
        name: &str,
        password: &str,
        grant: &Grant,
        by: Option<DeviceId>,
        now: Timestamp,
    ) -> Result<()> {
        let name = &*read_account_name("user name", name)?;
        access::check_password(password)?;
        let hash = self.hash(password)?;
        self.change(format_args!("the account {name} cannot be made"), |tx| {
            let is_first = !has_users(tx)?;
            insert_user(tx, name, &hash, grant, now)?;
            if let Some(by) = by
                && device_of(tx, by)?.is_some_and(|device| device.joins(is_first, grant))
            {
                tx.prepare_cached("UPDATE device SET username = ?2 WHERE id = ?1")?
                    .execute([&*by.to_string(), name])?;
                // What was arranged on that phone is the account's from now on.
                views::hand_over(tx, by, name)?;
            }
            Ok(())
        })
    }

    pub(crate) fn change_password(&self, name: &str, password: &str, keep: Option<DeviceId>) -> Result<Vec<DeviceId>> {
        access::check_password(password)?;
        let hash = self.hash(password)?;
        self.change(format_args!("the password of {name} cannot be set"), |tx| {
            let account = login(tx, name)?.ok_or_else(|| no_account(name))?;
            let name = &*account.name;
            let proof = grants::text(&hash, &account.grant);
            tx.prepare_cached("UPDATE user SET password = ?2 WHERE name = ?1")?.execute([name, &proof])?;
            let devices = devices_of(&self.inner.db.damaged, tx, name)?;
            let revoked: Vec<_> = devices.into_iter().filter(|id| Some(*id) != keep).collect();
            for id in &revoked {
                delete_device(tx, &id.to_string())?;
            }
            Ok(revoked)
        })
    }

    /// The account's devices get the same: their role and cameras are the account's.
    pub(crate) fn change_grant(&self, name: &str, change: &GrantChange) -> Result<Vec<DeviceId>> {
        let now = self.judged(self.now());
        self.change(format_args!("what {name} may do cannot be changed"), |tx| {
            let account = login(tx, name)?.ok_or_else(|| no_account(name))?;
            let name = &*account.name;
            let grant = change.apply(&account.grant)?;
            if grant.role() != Role::Admin {
                self.may_leave(tx, Leaving::Account(name), now)?;
            }
            let (role, cameras) = (word(&grant.role())?, grants::column(grant.cameras())?);
            let (expires, live_only) = (grant.limits().expires_at.map(|end| end.0), grant.limits().live_only);
            let proof = grants::text(&account.hash, &grant);
            let sql =
                "UPDATE user SET role = ?2, cameras = ?3, expires = ?4, live_only = ?5, password = ?6 WHERE name = ?1";
            tx.prepare_cached(sql)?.execute(params![name, role, cameras, expires, live_only, proof])?;
            let devices = devices_of(&self.inner.db.damaged, tx, name)?;
            for id in &devices {
                let id = id.to_string();
                let token: Vec<u8> =
                    tx.prepare_cached("SELECT token FROM device WHERE id = ?1")?.query_row([&id], |r| r.get(0))?;
                let hash = unmarked(&token).try_into();
                let damaged = |_| {
                    let message = format!("account {name}: device {id}: the hash of its token is damaged");
                    Error::new(ErrorKind::Corrupt, message)
                };
                let hash = hash.map_err(damaged)?;
                let sql =
                    "UPDATE device SET role = ?2, cameras = ?3, expires = ?4, live_only = ?5, token = ?6 WHERE id = ?1";
                let token = grants::token(hash, &grant);
                tx.prepare_cached(sql)?.execute(params![id, role, cameras, expires, live_only, token])?;
            }
            Ok(devices)
        })
    }

    pub(crate) fn delete_user(&self, name: &str) -> Result<Vec<DeviceId>> {
        let now = self.judged(self.now());
        self.change(format_args!("the account {name} cannot be removed"), |tx| {
            // A damaged one can be removed as well.
            let name = &*written(tx, name)?.ok_or_else(|| no_account(name))?;
            self.may_leave(tx, Leaving::Account(name), now)?;
            let devices = devices_of(&self.inner.db.damaged, tx, name)?;
            // Its devices go with it (on delete cascade).
            tx.prepare_cached("DELETE FROM user WHERE name = ?1")?.execute([name])?;
            Ok(devices)
        })
    }

    pub(crate) fn list_stream_passwords(&self) -> Result<Vec<StreamPassword>> {
        self.inner.db.read_access("listing the stream passwords", |c| {
            self.inner.db.damaged.all(c.prepare_cached(STREAMS)?.query([])?, stream_password)
        })
    }

    pub(crate) fn insert_stream_password(&self, name: &str, cameras: &CameraGrant, now: Timestamp) -> Result<Secret> {
        access::check_name("stream password name", name)?;
        let password = secret::hex(&secret::random_bytes::<16>());
        let ha1 = secret::hex(&Md5::digest(format!("{name}:{RTSP_REALM}:{password}").as_bytes()));
        self.change(format_args!("the stream password {name} cannot be made"), |tx| {
            let sql = "INSERT INTO stream_password (name, ha1, created, cameras) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT DO NOTHING";
            let proof = format!("{}{ha1}", mark(cameras, &GrantLimits::NONE));
            match tx.prepare_cached(sql)?.execute(params![name, proof, now.0, grants::column(cameras)?])? {
                0 => Err(Error::new(ErrorKind::Conflict, format!("there is already a stream password {name}")).into()),
                _ => Ok(()),
            }
        })?;
        Ok(Secret::new(password))
    }

    pub(crate) fn delete_stream_password(&self, name: &str) -> Result<()> {
        self.change(format_args!("the stream password {name} cannot be removed"), |tx| {
            match tx.prepare_cached("DELETE FROM stream_password WHERE name = ?1")?.execute([name])? {
                0 => Err(Error::not_found(format!("there is no stream password {name}")).into()),
                _ => Ok(()),
            }
        })
    }

    /// All stream passwords as RTSP's Digest checks them.
    pub fn stream_logins(&self) -> Result<Vec<StreamLogin>> {
        self.inner.db.read_access("reading the stream passwords", |c| {
            let mut statement = c.prepare_cached("SELECT name, ha1, cameras FROM stream_password ORDER BY name")?;
            self.inner.db.damaged.all(statement.query([])?, |r| {
                let name: String = r.get(0)?;
                of_row(format_args!("stream password {name}"), || {
                    let ha1 = Secret::new(grants::plain(&r.get::<_, String>(1)?)?);
                    let cameras = grants::cameras(r.get(2)?)?;
                    Ok(StreamLogin { name: name.clone(), ha1, cameras, cut_off_until: None })
                })
            })
        })
    }
}
