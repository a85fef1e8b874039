//! Grants that end, that open live pictures alone, and what programs before make of them; names of devices.

use crate::common::*;
use perch_base::ErrorKind;
use perch_base::ids::DeviceId;
use perch_base::time::Timestamp;
use perch_domain::access::{Credential, Grant, GrantChange, GrantLimits, Role};
use perch_domain::ports::{AccessPort, PairResult};
use perch_store::Store;
use std::time::Duration;

const PASSWORD: &str = "correct horse";

fn until(end: Timestamp) -> Grant {
    Grant::all(Role::Viewer).within(GrantLimits { expires_at: Some(end), live_only: false }).expect("a viewer's")
}

fn live_only() -> Grant {
    Grant::all(Role::Viewer).within(GrantLimits { expires_at: None, live_only: true }).expect("a viewer's")
}

fn pair(store: &Store, grant: &Grant, now: Timestamp) -> Credential {
    let code = store.accounts().issue_code(grant, now).expect("issued");
    match store.accounts().pair(code.otp.expose(), "tablet", now).expect("tried") {
        PairResult::Paired(c) => c,
        PairResult::Refused(why) => panic!("{why:?}"),
    }
}

#[test]
fn a_grant_ends_when_it_was_said_to() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, start) = (store.accounts(), b.now());
    let end = start + Duration::from_secs(3600);
    let phone = pair(&store, &Grant::all(Role::Admin), start);
    let tablet = pair(&store, &until(end), start);
    accounts.add_user("ida", PASSWORD, &until(end), None, start).expect("made");
    let browser = accounts.sign_in("ida", PASSWORD, "browser", start).expect("tried").expect("right");
    let known = |c: &Credential| accounts.authenticate(c.token.expose(), b.now()).expect("asked");
    for c in [&tablet, &browser] {
        let who = known(c).expect("in time");
        assert_eq!(who.limits, GrantLimits { expires_at: Some(end), live_only: false });
        assert_eq!(accounts.principals(&[c.device_id]).expect("asked"), [who]);
    }
    assert_eq!(accounts.users().expect("listed")[0].limits.expires_at, Some(end));

    b.clock.advance(Duration::from_secs(3599));
    assert!(known(&tablet).is_some() && known(&browser).is_some());
    b.clock.advance(Duration::from_secs(1));
    // What they have open ends with the next look: the box no longer knows them.
    let ids = [phone.device_id, tablet.device_id, browser.device_id];
    let left: Vec<_> = accounts.principals(&ids).expect("asked").into_iter().map(|p| p.device_id).collect();
    assert_eq!(left, [phone.device_id]);
    assert!(known(&tablet).is_none() && known(&browser).is_none() && known(&phone).is_some());
    assert_eq!(accounts.devices().expect("listed").len(), 1);
    // Only who knows the password hears why.
    let refused = accounts.sign_in("ida", PASSWORD, "browser", b.now()).expect_err("over");
    assert_eq!(
        (refused.kind(), refused.message().contains("time of this account is over")),
        (ErrorKind::Forbidden, true)
    );
    assert!(accounts.sign_in("ida", "wrong password", "browser", b.now()).expect("tried").is_none());
    assert_eq!(accounts.users().expect("listed").len(), 1, "it can be extended or removed");

    // Extended, and for good; its devices come back with it, also after a start.
    for expires_at in [Some(end + Duration::from_secs(3600)), None] {
        let change = GrantChange { expires_at: Some(expires_at), ..Default::default() };
        assert_eq!(accounts.set_grant("ida", &change).expect("changed"), [browser.device_id]);
        assert_eq!(known(&browser).expect("again").limits.expires_at, expires_at);
        let beside = Store::open_for_cli(b.config(), b.clock.clone()).expect("another process");
        let who = beside.accounts().authenticate(browser.token.expose(), b.now()).expect("asked").expect("known");
        assert_eq!(who.limits.expires_at, expires_at);
    }
    // The tablet has no account that could be extended: its row goes when somebody else comes.
    pair(&store, &Grant::all(Role::Viewer), b.now());
    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let sql = "SELECT count(*) FROM device WHERE id = ?1";
    let rows = |id: DeviceId| c.query_row(sql, [id.to_string()], |r| r.get::<_, i64>(0)).expect("asked");
    assert_eq!((rows(tablet.device_id), rows(browser.device_id)), (0, 1));
}

#[test]
fn a_device_has_the_limits_of_its_own_and_of_its_account() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, now) = (store.accounts(), b.now());
    pair(&store, &Grant::all(Role::Admin), now);
    accounts.add_user("ida", PASSWORD, &Grant::all(Role::Viewer), None, now).expect("made");
    let browser = accounts.sign_in("ida", PASSWORD, "browser", now).expect("tried").expect("right");
    let limits = || accounts.authenticate(browser.token.expose(), now).expect("asked").expect("known").limits;
    assert!(limits().is_none());
    accounts.set_grant("ida", &live_only().into()).expect("changed");
    assert!(limits().live_only && accounts.check_password("ida", PASSWORD).expect("asked"));
    accounts.set_password("ida", "another one", Some(browser.device_id)).expect("set");
    assert!(limits().live_only && accounts.check_password("ida", "another one").expect("asked"));
    accounts.set_grant("ida", &Grant::all(Role::Admin).into()).expect("changed");
    assert!(limits().is_none());
}

/// What a program that knows grants of cameras and no other limits, or neither, makes of a limited row: nothing, and it goes on.
#[test]
fn a_program_before_lets_nobody_in_for_longer_or_for_more() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, now) = (store.accounts(), b.now());
    let end = now + Duration::from_secs(3600);
    let phone = pair(&store, &Grant::all(Role::Admin), now);
    let tablets = [until(end), live_only()].map(|grant| pair(&store, &grant, now));
    accounts.add_user("ida", PASSWORD, &until(end), None, now).expect("made");
    accounts.add_user("ben", PASSWORD, &Grant::all(Role::Viewer), None, now).expect("made");
    let browser = accounts.sign_in("ben", PASSWORD, "browser", now).expect("tried").expect("right");
    accounts.set_grant("ben", &live_only().into()).expect("narrowed");
    accounts.issue_code(&until(end), now).expect("issued");
    drop(store);

    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    // As the two programs before look a token up.
    let known = |token: &str| {
        let hash = perch_base::secret::sha256(token.as_bytes()).to_vec();
        let sql = "SELECT count(*) FROM device WHERE token IN (?1, ?2)";
        let of_cameras = [b"cameras:", &hash[..]].concat();
        c.query_row(sql, [hash, of_cameras], |r| r.get::<_, i64>(0)).expect("asked") == 1
    };
    assert!(known(phone.token.expose()));
    for limited in tablets.iter().chain([&browser]) {
        assert!(!known(limited.token.expose()));
    }
    for name in ["ida", "ben"] {
        let sql = "SELECT password FROM user WHERE name = ?1";
        let stored: String = c.query_row(sql, [name], |r| r.get(0)).expect("there");
        let hash = stored.strip_prefix("cameras:").unwrap_or(&stored);
        assert!(!hash.starts_with('$'), "{name}: {hash} is a hash that it would check");
    }
    let pairing: String = c.query_row("SELECT value FROM meta WHERE key = 'pairing'", [], |r| r.get(0)).expect("there");
    let stored = pairing.split("\"hash\":\"").nth(1).and_then(|t| t.split('"').next()).expect("a code");
    assert!(stored.strip_prefix("cameras:").unwrap_or(stored).len() != 64, "{stored}");
    // It lets somebody in meanwhile, whom it knows by name alone: once the box is updated again, the account's grant holds.
    let token = "ab".repeat(32);
    let sql = "INSERT INTO device (id, token, name, kind, username, role, created, seen, cameras)
        VALUES (?1, ?2, 'old', 'session', 'ben', 'viewer', ?3, ?3, null)";
    let hash = perch_base::secret::sha256(token.as_bytes());
    c.execute(sql, rusqlite::params!["0".repeat(32), hash, now.0]).expect("inserted");
    drop(c);
    let who = b.open().accounts().authenticate(&token, now).expect("asked").expect("known");
    assert!(who.limits.live_only);
}

#[test]
fn a_device_is_renamed() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, now) = (store.accounts(), b.now());
    let phone = pair(&store, &Grant::all(Role::Admin), now);
    accounts.rename_device(phone.device_id, " Kitchen\n ").expect("renamed");
    assert_eq!(accounts.devices().expect("listed")[0].name, "Kitchen");
    let who = accounts.authenticate(phone.token.expose(), now).expect("asked").expect("known");
    assert_eq!(who.device_name, "Kitchen");
    assert_eq!(accounts.rename_device(phone.device_id, "\u{7}").expect_err("no name").kind(), ErrorKind::Invalid);
    assert_eq!(accounts.rename_device(DeviceId::random(), "x").expect_err("none").kind(), ErrorKind::NotFound);
    let caller = accounts.acting(&who);
    accounts.revoke_device(pair(&store, &Grant::all(Role::Admin), now).device_id).expect("revoked");
    caller.rename_device(phone.device_id, "Hall").expect("may");
}
