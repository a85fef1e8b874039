//! Accounts and stream passwords as a backup holds them: hashes and no password. Devices are none of it: a phone signs in again.

use crate::Accounts;
use crate::reading::Fail;
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use perch_domain::access::{self, GrantLimits, NAME_LENGTH, Role};
use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Accounts, or stream passwords, that are taken at most.
const MOST: usize = 1000;

/// Everybody who may come in by a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeopleBackup {
    accounts: Vec<Account>,
    stream_passwords: Vec<Player>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    name: String,
    /// Argon2id, PHC string, marked where it is limited.
    password: String,
    role: String,
    cameras: Option<String>,
    /// When it ends, microseconds.
    expires_us: Option<i64>,
    live_only: bool,
    created_us: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Player {
    name: String,
    ha1: String,
    cameras: Option<String>,
    created_us: i64,
}

impl Account {
    /// Errors: it was never checked ([`PeopleBackup::check`]).
    fn manages(&self) -> Result<bool> {
        let limits = GrantLimits { expires_at: self.expires_us.map(Timestamp), live_only: self.live_only };
        Ok(access::manages(role(&self.role)?, &crate::grants::cameras(self.cameras.clone())?, limits))
    }
}

fn role(name: &str) -> Result<Role> {
    let role = serde_json::from_value(serde_json::Value::String(name.to_owned()));
    role.map_err(|e| Error::invalid("it has a role that is none").with_source(e))
}

/// Whether two of them are one to the database.
fn has_twins<'n>(mut names: impl Iterator<Item = &'n str>) -> bool {
    let mut seen = BTreeSet::new();
    !names.all(|name| seen.insert(name.to_ascii_lowercase()))
}

impl PeopleBackup {
    /// How many there are: accounts, and stream passwords.
    pub fn count(&self) -> (usize, usize) {
        (self.accounts.len(), self.stream_passwords.len())
    }

    /// Errors with `Invalid` where it holds what this box never wrote.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::invalid(format!("the backup holds {what}")));
        if self.accounts.len() > MOST || self.stream_passwords.len() > MOST {
            return wrong("too many accounts");
        }
        let names = self.accounts.iter().map(|a| (&a.name, &a.cameras));
        for (name, cameras) in names.chain(self.stream_passwords.iter().map(|p| (&p.name, &p.cameras))) {
            if !NAME_LENGTH.contains(&name.chars().count()) || name.chars().any(char::is_control) {
                return wrong("a name that is none");
            }
            if crate::grants::cameras(cameras.clone()).is_err() {
                return wrong("an account that sees what are no cameras");
            }
        }
        if has_twins(self.accounts.iter().map(|a| &*a.name))
            || has_twins(self.stream_passwords.iter().map(|p| &*p.name))
        {
            return wrong("one name twice");
        }
        for account in &self.accounts {
            if role(&account.role).is_err()
                || !crate::grants::plain(&account.password).is_ok_and(|hash| hash.starts_with("$argon2id$"))
                || account.password.len() > 400
            {
                return wrong("an account that is none");
            }
        }
        let is_ha1 = |ha1: &str| {
            ha1.len() <= 64 && !ha1.is_empty() && ha1.bytes().all(|b| b.is_ascii() && !b.is_ascii_control())
        };
        match self.stream_passwords.iter().all(|p| is_ha1(&p.ha1)) {
            true => Ok(()),
            false => wrong("a stream password that is none"),
        }
    }
}

impl Accounts {
    /// Everybody, to be kept elsewhere.
    pub fn to_backup(&self) -> Result<PeopleBackup> {
        self.inner.db.read("reading accounts for a backup", |c| {
            let mut accounts = c.prepare_cached(
                "SELECT name, password, role, cameras, created, expires, live_only FROM user ORDER BY name",
            )?;
            let accounts = accounts.query_map([], |r| {
                Ok(Account {
                    name: r.get(0)?,
                    password: r.get(1)?,
                    role: r.get(2)?,
                    cameras: r.get(3)?,
                    created_us: r.get(4)?,
                    expires_us: r.get(5)?,
                    live_only: r.get(6)?,
                })
            })?;
            let accounts = accounts.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut players =
                c.prepare_cached("SELECT name, ha1, cameras, created FROM stream_password ORDER BY name")?;
            let players = players.query_map([], |r| {
                Ok(Player { name: r.get(0)?, ha1: r.get(1)?, cameras: r.get(2)?, created_us: r.get(3)? })
            })?;
            Ok(PeopleBackup { accounts, stream_passwords: players.collect::<rusqlite::Result<Vec<_>>>()? })
        })
    }

    /// These people and no others, whole or not at all; where none of them could manage the box, its accounts stay as they are. Everybody signs in again; devices that were paired without an account stay.
    pub fn from_backup(&self, people: &PeopleBackup) -> Result<()> {
        people.check()?;
        self.inner.db.write("accounts cannot be taken from a backup", |tx| put(tx, people))
    }
}

fn put(tx: &Transaction<'_>, people: &PeopleBackup) -> Result<(), Fail> {
    tx.execute("DELETE FROM stream_password", [])?;
    // Nobody who could manage the box may be locked out by a backup of one that had no such account.
    let manage = people.accounts.iter().map(Account::manages).collect::<Result<Vec<_>>>()?;
    let has_manager = manage.contains(&true);
    if has_manager {
        tx.execute("DELETE FROM device WHERE username IS NOT NULL", [])?;
        tx.execute("DELETE FROM user", [])?;
    }
    let sql = "INSERT INTO user (name, password, role, cameras, created, expires, live_only)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut account = tx.prepare_cached(sql)?;
    for a in people.accounts.iter().filter(|_| has_manager) {
        let limits = (a.expires_us, a.live_only);
        account.execute(params![a.name, a.password, a.role, a.cameras, a.created_us, limits.0, limits.1])?;
    }
    let sql = "INSERT INTO stream_password (name, ha1, cameras, created) VALUES (?1, ?2, ?3, ?4)";
    let mut player = tx.prepare_cached(sql)?;
    for p in &people.stream_passwords {
        player.execute(params![p.name, p.ha1, p.cameras, p.created_us])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::open;
    use perch_base::time::Timestamp;
    use perch_domain::access::{CameraGrant, Grant};
    use perch_domain::ports::AccessPort;

    #[test]
    fn people_come_back_with_their_passwords() {
        let (dir, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (from, to) = (open(&dir), open(&other));
        let now = Timestamp(1_800_000_000_000_000);
        let accounts = from.accounts();
        accounts
            .add_user("anna", "correct horse", &Grant::new(Role::Admin, CameraGrant::All).expect("a grant"), None, now)
            .expect("made");
        accounts.add_stream_password("tv", &CameraGrant::All, now).expect("made");
        let backup = accounts.to_backup().expect("read");
        let text = serde_json::to_string(&backup).expect("JSON");
        assert!(!text.contains("correct horse"));
        to.accounts()
            .add_user("ben", "other password", &Grant::new(Role::Admin, CameraGrant::All).expect("a grant"), None, now)
            .expect("made");
        to.accounts().from_backup(&serde_json::from_str(&text).expect("JSON")).expect("taken");
        assert_eq!(to.accounts().to_backup().expect("read"), backup);
        let signed_in = |name, password| to.accounts().sign_in(name, password, "phone", now).expect("asked").is_some();
        assert!(signed_in("anna", "correct horse") && !signed_in("ben", "other password"));
        let twins = |text: &str, of: &str| {
            let mut twins: serde_json::Value = serde_json::from_str(text).expect("JSON");
            let mut second = twins[of][0].clone();
            second["name"] = second["name"].as_str().expect("a name").to_ascii_uppercase().into();
            twins[of].as_array_mut().expect("a list").push(second);
            serde_json::from_value::<PeopleBackup>(twins).expect("people")
        };
        for of in ["accounts", "stream_passwords"] {
            let e = twins(&text, of).check().expect_err("refused");
            assert!(e.message().contains("one name twice"), "{e}");
        }
        for (from, into) in [("$argon2id$", "$plain$"), ("\"admin\"", "\"root\""), ("\"anna\"", "\"an\\u0000na\"")] {
            let wrong: PeopleBackup = serde_json::from_str(&text.replace(from, into)).expect("JSON");
            assert!(to.accounts().from_backup(&wrong).is_err(), "{into}");
        }
        assert!(signed_in("anna", "correct horse"), "nothing was taken of those");
    }
}
