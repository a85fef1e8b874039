//! Accounts with their password hashes, and the generated passwords of RTSP players.

use crate::db::{Fail, lock};
use crate::{Store, from_word};
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use md5::{Digest, Md5};
use perch_base::ids::DeviceId;
use perch_base::secret::{self, Secret};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result};
use perch_domain::access::{self, RTSP_REALM, Role, StreamPassword, User};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

/// A longer password is wrong without being hashed whole: nothing longer was ever accepted (256 characters).
const MAX_PASSWORD_BYTES: usize = 1024;

/// Argon2id with the OWASP cheat sheet's second choice: 19 MiB, two passes, one lane. About 50 ms on a Pi 4.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19_456, 2, 1, None).expect("the parameters are within Argon2's limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What is verified when there is no such account: as slow as a real one and never right.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cGVyY2hwZXJjaHBlcmNoIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The stored password hash of an account.
pub(crate) fn stored_hash(c: &Connection, name: &str) -> Result<Option<String>, Fail> {
    Ok(c.prepare_cached("SELECT password FROM user WHERE name = ?1")?.query_row([name], |r| r.get(0)).optional()?)
}

fn devices_of(tx: &Transaction<'_>, name: &str) -> Result<Vec<DeviceId>, Fail> {
    let mut statement = tx.prepare_cached("SELECT id FROM device WHERE username = ?1")?;
    let rows = statement.query_map([name], |r| r.get::<_, String>(0))?;
    rows.map(|id| Ok(DeviceId::parse(&id?)?)).collect()
}

impl Store {
    fn hash(&self, password: &str) -> Result<String> {
        let _one_at_a_time = lock(&self.inner.hashing);
        let salt = secret::random_bytes::<16>();
        let hash: PasswordHash = argon2()
            .hash_password_with_salt(password.as_bytes(), &salt)
            .map_err(|e| Error::internal(format!("a password cannot be hashed: {e}")))?;
        Ok(hash.to_string())
    }

    /// Checks a name and password; the account as it is written, its role and the hash that matched. Takes the same time when
    /// there is no such account.
    pub(crate) fn check_password(&self, name: &str, password: &str) -> Result<Option<(String, Role, String)>> {
        let found = self.inner.db.read_access("looking up an account", |c| {
            let sql = "SELECT name, role, password FROM user WHERE name = ?1";
            let row =
                |r: &rusqlite::Row<'_>| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?));
            Ok(c.prepare_cached(sql)?.query_row([name], row).optional()?)
        })?;
        let text = found.as_ref().map_or(NOBODY, |(_, _, hash)| hash);
        let hash = PasswordHash::new(text)
            .map_err(|e| Error::new(ErrorKind::Corrupt, format!("the password hash of an account is damaged: {e}")))?;
        let fits = password.len() <= MAX_PASSWORD_BYTES;
        let tried = if fits { password } else { "" };
        let right = {
            let _one_at_a_time = lock(&self.inner.hashing);
            argon2().verify_password(tried.as_bytes(), &hash).is_ok()
        };
        match found {
            Some((name, role, hash)) if right && fits => Ok(Some((name, from_word(role)?, hash))),
            _ => Ok(None),
        }
    }

    pub(crate) fn list_users(&self) -> Result<Vec<User>> {
        self.inner.db.read_access("listing the accounts", |c| {
            let mut statement = c.prepare_cached("SELECT name, role, created FROM user ORDER BY name")?;
            let mut rows = statement.query([])?;
            let mut out = Vec::new();
            while let Some(r) = rows.next()? {
                out.push(User { name: r.get(0)?, role: from_word(r.get(1)?)?, created_at: Timestamp(r.get(2)?) });
            }
            Ok(out)
        })
    }

    /// `by` joins the account when it had none and is of the same role: the phone of an admin who makes an account for somebody
    /// else stays the admin's.
    pub(crate) fn insert_user(
        &self,
        name: &str,
        password: &str,
        role: Role,
        by: Option<DeviceId>,
        now: Timestamp,
    ) -> Result<()> {
        access::check_name("user name", name)?;
        access::check_password(password)?;
        let hash = self.hash(password)?;
        self.inner.db.write_access(&format!("the account {name} cannot be made"), |tx| {
            let sql = "INSERT INTO user (name, password, role, created) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
            if tx.prepare_cached(sql)?.execute(params![name, hash, role.as_str(), now.0])? == 0 {
                return Err(Error::new(ErrorKind::Conflict, format!("there is already an account {name}")).into());
            }
            if let Some(by) = by {
                let sql = "UPDATE device SET username = ?2 WHERE id = ?1 AND username IS NULL AND role = ?3";
                tx.prepare_cached(sql)?.execute(params![by.to_string(), name, role.as_str()])?;
            }
            Ok(())
        })
    }

    pub(crate) fn change_password(&self, name: &str, password: &str, keep: Option<DeviceId>) -> Result<Vec<DeviceId>> {
        access::check_password(password)?;
        let hash = self.hash(password)?;
        self.inner.db.write_access(&format!("the password of {name} cannot be set"), |tx| {
            if tx.prepare_cached("UPDATE user SET password = ?2 WHERE name = ?1")?.execute([name, &hash])? == 0 {
                return Err(Error::not_found(format!("there is no account {name}")).into());
            }
            let revoked: Vec<_> = devices_of(tx, name)?.into_iter().filter(|id| Some(*id) != keep).collect();
            for id in &revoked {
                tx.prepare_cached("DELETE FROM device WHERE id = ?1")?.execute([id.to_string()])?;
            }
            Ok(revoked)
        })
    }

    pub(crate) fn delete_user(&self, name: &str) -> Result<Vec<DeviceId>> {
        self.inner.db.write_access(&format!("the account {name} cannot be removed"), |tx| {
            let role = tx
                .prepare_cached("SELECT role FROM user WHERE name = ?1")?
                .query_row([name], |r| r.get::<_, String>(0))
                .optional()?
                .ok_or_else(|| Error::not_found(format!("there is no account {name}")))?;
            let sql = "SELECT EXISTS (SELECT 1 FROM user WHERE role = 'admin' AND name <> ?1) OR EXISTS
                (SELECT 1 FROM device WHERE role = 'admin' AND kind = 'paired' AND (username IS NULL OR username <> ?1))";
            let another: bool = tx.prepare_cached(sql)?.query_row([name], |r| r.get(0))?;
            if role == Role::Admin.as_str() && !another {
                let message = format!("{name} is the last admin: make another one first");
                return Err(Error::new(ErrorKind::Conflict, message).into());
            }
            let devices = devices_of(tx, name)?;
            // Its devices go with it (on delete cascade).
            tx.prepare_cached("DELETE FROM user WHERE name = ?1")?.execute([name])?;
            Ok(devices)
        })
    }

    pub(crate) fn list_stream_passwords(&self) -> Result<Vec<StreamPassword>> {
        self.inner.db.read_access("listing the stream passwords", |c| {
            let mut statement = c.prepare_cached("SELECT name, created FROM stream_password ORDER BY name")?;
            let rows = statement
                .query_map([], |r| Ok(StreamPassword { name: r.get(0)?, created_at: Timestamp(r.get(1)?) }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    pub(crate) fn insert_stream_password(&self, name: &str, now: Timestamp) -> Result<Secret> {
        access::check_name("stream password name", name)?;
        let password = secret::hex(&secret::random_bytes::<16>());
        let ha1 = secret::hex(&Md5::digest(format!("{name}:{RTSP_REALM}:{password}").as_bytes()));
        self.inner.db.write_access(&format!("the stream password {name} cannot be made"), |tx| {
            let sql = "INSERT INTO stream_password (name, ha1, created) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
            match tx.prepare_cached(sql)?.execute(params![name, ha1, now.0])? {
                0 => Err(Error::new(ErrorKind::Conflict, format!("there is already a stream password {name}")).into()),
                _ => Ok(()),
            }
        })?;
        Ok(Secret::new(password))
    }

    pub(crate) fn delete_stream_password(&self, name: &str) -> Result<()> {
        self.inner.db.write_access(&format!("the stream password {name} cannot be removed"), |tx| {
            match tx.prepare_cached("DELETE FROM stream_password WHERE name = ?1")?.execute([name])? {
                0 => Err(Error::not_found(format!("there is no stream password {name}")).into()),
                _ => Ok(()),
            }
        })
    }

    /// Names and HA1 values (RFC 2617: `MD5(name:realm:password)`, 32 hex digits) of all stream passwords, for RTSP's Digest.
    pub fn stream_password_ha1s(&self) -> Result<Vec<(String, String)>> {
        self.inner.db.read_access("reading the stream passwords", |c| {
            let mut statement = c.prepare_cached("SELECT name, ha1 FROM stream_password ORDER BY name")?;
            let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}
