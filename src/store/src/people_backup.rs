//! Accounts and stream passwords as a backup holds them: hashes and no password. Devices are none of it: a phone signs in again.

use crate::Accounts;
use crate::devices::all_devices;
use crate::meta_rows;
use crate::pairing::SALT_KEY;
use crate::reading::{Damaged, Fail};
use crate::users::all_users;
use perch_base::time::Timestamp;
use perch_base::{Error, Result};
use perch_domain::access::{self, GrantLimits, NAME_LENGTH, Role};
use perch_domain::camera_view::CameraView;
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
    /// How it wants the cameras shown, JSON; only in backups of the second form.
    #[serde(default)]
    view: Option<String>,
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

fn is_view(text: &str) -> bool {
    serde_json::from_str(text).is_ok_and(|view: CameraView| view.check().is_ok())
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

    /// Errors: it was never checked.
    fn has_manager(&self) -> Result<bool> {
        let manage = self.accounts.iter().map(Account::manages).collect::<Result<Vec<_>>>()?;
        Ok(manage.contains(&true))
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
            if !account.view.as_deref().is_none_or(is_view) {
                return wrong("an order of cameras that is none");
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
                "SELECT name, password, role, cameras, created, expires, live_only, view FROM user ORDER BY name",
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
                    view: r.get(7)?,
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

    /// These people and no others, whole or not at all; where none of them could manage the box, its accounts stay as they are. Everybody
    /// signs in again: all devices end, with an account or without one, and so does a code that nobody has paired with yet. Where no
    /// account manages the box then, devices that do stay.
    pub fn from_backup(&self, people: &PeopleBackup) -> Result<()> {
        people.check()?;
        let db = &self.inner.db;
        db.write_access("accounts cannot be taken from a backup", |tx| {
            // Asked before the accounts they may belong to go.
            let staying = staying_devices(&db.damaged, tx, people)?;
            put(tx, people)?;
            end_devices(tx, &staying)
        })
    }
}

/// The devices without which nobody could manage the box any more; none where an account of the backup or of the box does.
fn staying_devices(damaged: &Damaged, tx: &Transaction<'_>, people: &PeopleBackup) -> Result<Vec<String>, Fail> {
    let users = all_users(damaged, tx)?;
    if people.has_manager()? || users.iter().any(|u| access::manages(u.role, &u.cameras, u.limits)) {
        return Ok(Vec::new());
    }
    let devices = all_devices(damaged, tx)?.into_iter().filter(|d| access::manages(d.role, &d.cameras, d.limits));
    Ok(devices.map(|d| d.id.to_string()).collect())
}

fn end_devices(tx: &Transaction<'_>, but: &[String]) -> Result<(), Fail> {
    let but = serde_json::to_string(but).map_err(|e| Error::internal("devices cannot be named").with_source(e))?;
    tx.execute("DELETE FROM device WHERE id NOT IN (SELECT value FROM json_each(?1))", [but])?;
    // Without its salt no code is right; the day's count of them goes on.
    Ok(meta_rows::remove(tx, SALT_KEY)?)
}

fn put(tx: &Transaction<'_>, people: &PeopleBackup) -> Result<(), Fail> {
    tx.execute("DELETE FROM stream_password", [])?;
    // Nobody who could manage the box may be locked out by a backup of one that had no such account.
    let has_manager = people.has_manager()?;
    if has_manager {
        tx.execute("DELETE FROM user", [])?;
    }
    let sql = "INSERT INTO user (name, password, role, cameras, created, expires, live_only, view)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut account = tx.prepare_cached(sql)?;
    for a in people.accounts.iter().filter(|_| has_manager) {
        let limits = (a.expires_us, a.live_only);
        account.execute(params![a.name, a.password, a.role, a.cameras, a.created_us, limits.0, limits.1, a.view])?;
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
    use perch_base::ids::CameraId;
    use perch_base::time::Timestamp;
    use perch_domain::access::{CameraGrant, Grant};
    use perch_domain::ports::{AccessPort, PairResult};

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
        let session = accounts.sign_in("anna", "correct horse", "phone", now).expect("asked").expect("right");
        let anna = accounts.authenticate(session.token.expose(), now).expect("asked").expect("known");
        let order = CameraView { order: vec![CameraId::new("yard").expect("valid")], favourites: Vec::new() };
        accounts.set_camera_view(&anna, &order).expect("kept");
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
        for (from, into) in [
            ("$argon2id$", "$plain$"),
            ("\"admin\"", "\"root\""),
            ("\"anna\"", "\"an\\u0000na\""),
            ("yard", "no camera"),
        ] {
            let wrong: PeopleBackup = serde_json::from_str(&text.replace(from, into)).expect("JSON");
            assert!(to.accounts().from_backup(&wrong).is_err(), "{into}");
        }
        assert!(signed_in("anna", "correct horse"), "nothing was taken of those");
        // One of the first form says nothing of it.
        let mut old: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let view = old["accounts"][0].as_object_mut().expect("an account").remove("view").expect("there");
        assert!(view.as_str().is_some_and(|view| view.contains("yard")), "{view}");
        serde_json::from_value::<PeopleBackup>(old).expect("people").check().expect("right");
    }

    fn paired(accounts: &Accounts, grant: &Grant) -> String {
        let code = accounts.issue_code(grant, accounts.now()).expect("issued");
        match accounts.pair(code.otp.expose(), "phone", accounts.now()).expect("asked") {
            PairResult::Paired(phone) => phone.token.expose().to_owned(),
            other => panic!("the code is right: {other:?}"),
        }
    }

    #[test]
    fn all_devices_end_and_so_does_an_invitation() {
        let dir = tempfile::tempdir().expect("a folder");
        let accounts = open(&dir).accounts().clone();
        let now = accounts.now();
        let (admin, viewer) = (Grant::all(Role::Admin), Grant::all(Role::Viewer));
        accounts.add_user("anna", "correct horse", &admin, None, now).expect("made");
        let session = || accounts.sign_in("anna", "correct horse", "tablet", now).expect("asked").expect("right");
        let both = || [session().token.expose().to_owned(), paired(&accounts, &viewer), paired(&accounts, &admin)];
        let mut tokens = both().to_vec();
        let backup = accounts.to_backup().expect("read");
        tokens.extend(both());
        let knows = |token: &String| accounts.authenticate(token, now).expect("asked").is_some();
        assert!(tokens.iter().all(knows));
        let invitation = accounts.issue_code(&viewer, now).expect("issued");
        accounts.from_backup(&backup).expect("taken");
        assert!(!tokens.iter().any(knows), "a device came through a restore");
        let late = accounts.pair(invitation.otp.expose(), "late", now).expect("asked");
        assert!(!matches!(late, PairResult::Paired(_)), "an invitation of before");
        assert!(accounts.devices().expect("read").is_empty());
        assert!(
            knows(&session().token.expose().to_owned()) && knows(&paired(&accounts, &viewer)),
            "and may come again"
        );
        // A backup without accounts leaves those of the box, who sign in again, too.
        let tokens = both();
        accounts.from_backup(&PeopleBackup::default()).expect("taken");
        assert!(!tokens.iter().any(knows) && knows(&session().token.expose().to_owned()));
    }

    #[test]
    fn where_no_account_manages_the_box_the_phones_that_do_stay() {
        let dir = tempfile::tempdir().expect("a folder");
        let accounts = open(&dir).accounts().clone();
        let now = accounts.now();
        let (admin, viewer) = (Grant::all(Role::Admin), Grant::all(Role::Viewer));
        let (owner, guest) = (paired(&accounts, &admin), paired(&accounts, &viewer));
        accounts.add_user("ben", "correct horse", &viewer, None, now).expect("made");
        let ben = accounts.sign_in("ben", "correct horse", "tablet", now).expect("asked").expect("right");
        let backup = accounts.to_backup().expect("read");
        accounts.from_backup(&backup).expect("taken");
        let knows = |token: &str| accounts.authenticate(token, now).expect("asked").is_some();
        assert!(knows(&owner), "nobody could come in otherwise");
        assert!(!knows(&guest) && !knows(ben.token.expose()));
    }
}
