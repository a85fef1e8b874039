//! The rows of devices and sessions, and who of them may change who comes in. What they are asked for is in `access`.

use crate::reading::{Damaged, Fail, of_row};
use crate::words::{from_word, word};
use crate::{Accounts, grants};
use perch_base::Result;
use perch_base::ids::DeviceId;
use perch_base::secret;
use perch_base::time::Timestamp;
use perch_domain::access::{Credential, Device, DeviceKind, Grant, Principal, check_acting};
use rusqlite::{Connection, Row, Transaction, params};
use std::fmt::Display;

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
    let sql = "INSERT INTO device (id, token, name, kind, username, role, created, seen, cameras, expires, live_only)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10)";
    tx.prepare_cached(sql)?.execute(params![
        device_id.to_string(),
        grants::token(&token_hash(token.expose()), grant),
        name,
        word(&kind)?,
        username,
        word(&grant.role())?,
        now.0,
        grants::column(grant.cameras())?,
        grant.limits().expires_at.map(|end| end.0),
        grant.limits().live_only
    ])?;
    Ok(Credential { device_id, token, role: grant.role() })
}

pub(crate) fn device(row: &Row<'_>) -> Result<Device, Fail> {
    let id: String = row.get(0)?;
    of_row(format_args!("device {id}"), || {
        let grant = grants::grant(
            from_word(&row.get::<_, String>(4)?)?,
            [grants::columns(row, 7)?, grants::columns(row, 10)?],
        )?;
        Ok(Device {
            id: DeviceId::parse(&id)?,
            name: row.get(1)?,
            kind: from_word(&row.get::<_, String>(2)?)?,
            username: row.get(3)?,
            role: grant.role(),
            cameras: grant.cameras().clone(),
            limits: grant.limits(),
            created_at: Timestamp(row.get(5)?),
            last_seen_at: Timestamp(row.get(6)?),
        })
    })
}

/// A device sees what it was given and its account (if it has one) was given as well.
const DEVICES: &str =
    "SELECT d.id, d.name, d.kind, d.username, d.role, d.created, d.seen, d.cameras, d.expires, d.live_only,
    u.cameras, u.expires, u.live_only
    FROM device d LEFT JOIN user u ON u.name = d.username";

/// The device of a token's hash, in any of the forms in which it may be stored (`?1` to `?3`).
pub(crate) fn token_sql() -> String {
    format!("{DEVICES} WHERE d.token IN (?1, ?2, ?3)")
}

/// All devices that can be read, newest first.
pub(crate) fn all_devices(damaged: &Damaged, c: &Connection) -> Result<Vec<Device>, Fail> {
    let mut statement = c.prepare_cached(&format!("{DEVICES} ORDER BY d.created DESC, d.id"))?;
    damaged.all(statement.query([])?, device)
}

/// Removes a device; whether there was one.
pub(crate) fn delete_device(tx: &Transaction<'_>, id: &str) -> Result<bool, Fail> {
    Ok(tx.prepare_cached("DELETE FROM device WHERE id = ?1")?.execute([id])? > 0)
}

/// The device of this id.
pub(crate) fn device_of(c: &Connection, id: DeviceId) -> Result<Option<Device>, Fail> {
    let mut statement = c.prepare_cached(&format!("{DEVICES} WHERE d.id = ?1"))?;
    let mut rows = statement.query([id.to_string()])?;
    rows.next()?.map(device).transpose()
}

impl Accounts {
    pub(crate) fn expired(&self, d: &Device, now: Timestamp) -> bool {
        d.is_over(&self.inner.limits.now().session, now)
    }

    /// Removes sessions and invited devices whose time is over; called where a new one begins, so that they cannot pile up.
    pub(crate) fn drop_expired(&self, tx: &Transaction<'_>, now: Timestamp) -> Result<(), Fail> {
        tx.prepare_cached("DELETE FROM device WHERE expires <= ?1 AND username IS NULL")?.execute([now.0])?;
        let mut sessions = tx.prepare_cached("SELECT id, created, seen FROM device WHERE kind = 'session'")?;
        let sessions = self.inner.db.damaged.all(sessions.query([])?, |r| {
            let id: String = r.get(0)?;
            of_row(format_args!("device {id}"), || Ok((id.clone(), Timestamp(r.get(1)?), Timestamp(r.get(2)?))))
        })?;
        for (id, created, seen) in sessions {
            if self.inner.limits.now().session.is_over(DeviceKind::Session, created, seen, now) {
                delete_device(tx, &id)?;
            }
        }
        Ok(())
    }

    /// Changes who may come in, if whoever wants it still may, see [`perch_domain::ports::AccessPort::acting`].
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
}

pub(crate) fn principal(d: Device) -> Principal {
    let Device { id, name, username, role, cameras, limits, .. } = d;
    Principal { device_id: id, device_name: name, username, role, cameras, limits }
}
