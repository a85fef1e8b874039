//! Who gets in: codes under attack, sessions that end, accounts that cannot all go.

use crate::common::*;
use perch_base::ErrorKind;
use perch_base::ids::DeviceId;
use perch_base::time::Timestamp;
use perch_domain::access::{CameraGrant, Credential, DeviceKind, Grant, GrantChange, Role};
use perch_domain::pairing::{CodeOutcome, read_code};
use perch_domain::ports::{AccessPort, PairResult};
use perch_store::Store;
use std::sync::{
    Barrier,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

const PASSWORD: &str = "correct horse";

fn pair(store: &Store, role: Role, now: Timestamp) -> Credential {
    let code = store.accounts().issue_code(&Grant::all(role), now).expect("issued");
    match store.accounts().pair(code.otp.expose(), "Anna's phone", now).expect("tried") {
        PairResult::Paired(c) => c,
        PairResult::Refused(why) => panic!("{why:?}"),
    }
}

#[test]
fn a_code_pairs_once_however_it_is_typed() {
    let b = TestStore::new();
    let store = b.open();
    let now = b.now();
    assert!(!store.accounts().claimed().expect("asked"));
    let code = store.accounts().issue_code(&Grant::all(Role::Admin), now).expect("issued");
    let otp = code.otp.expose().clone();
    assert!(otp.len() == 8 && otp.bytes().all(|b| b.is_ascii_digit()));
    assert_eq!(code.expires_at, now + Duration::from_secs(300));
    let typed = read_code(&format!(" {}-{} {}\n", &otp[..3], &otp[3..6], &otp[6..])).expect("a code");
    assert_eq!(store.accounts().pair(&typed, "\u{7}\n", now).expect_err("no name").kind(), ErrorKind::Invalid);
    let PairResult::Paired(c) = store.accounts().pair(&typed, "Anna's\n phone", now).expect("tried") else {
        panic!("refused")
    };
    assert!(matches!(
        store.accounts().pair(&otp, "another", now).expect("tried"),
        PairResult::Refused(CodeOutcome::NoCode)
    ));
    assert!(store.accounts().claimed().expect("asked"));
    let who = store.accounts().authenticate(c.token.expose(), now).expect("asked").expect("known");
    assert_eq!((who.device_id, who.device_name.as_str(), who.role), (c.device_id, "Anna's phone", Role::Admin));
    let [d] = &store.accounts().devices().expect("listed")[..] else { panic!("one") };
    assert_eq!((d.kind, d.username.as_deref()), (DeviceKind::Paired, None));
    // Neither the code nor the token lies in the database in clear.
    drop(store);
    for file in ["perch.db", "perch.db-wal"] {
        let data = std::fs::read(b.data().join(file)).unwrap_or_default();
        let holds = |text: &str| data.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(!holds(c.token.expose()) && !holds(&otp));
    }
    // Everything survives a restart.
    let store = b.open();
    assert!(store.accounts().authenticate(c.token.expose(), now).expect("asked").is_some());
    assert_eq!(store.accounts().revoke_device(c.device_id).expect_err("the only one").kind(), ErrorKind::Conflict);
    pair(&store, Role::Admin, now);
    store.accounts().revoke_device(c.device_id).expect("revoked");
    assert_eq!(store.accounts().revoke_device(c.device_id).expect_err("gone").kind(), ErrorKind::NotFound);
    assert!(store.accounts().authenticate(c.token.expose(), now).expect("asked").is_none());
}

#[test]
fn parallel_guesses_never_get_more_than_five_tries() {
    let b = TestStore::new();
    let store = b.open();
    let cli = Store::open_for_cli(b.config(), b.clock.clone()).expect("a second process");
    let now = b.now();
    let code = store.accounts().issue_code(&Grant::all(Role::Admin), now).expect("issued");
    let right = code.otp.expose().clone();
    let (tried, barrier) = (AtomicUsize::new(0), Barrier::new(16));
    std::thread::scope(|scope| {
        for n in 0..16 {
            let (store, right, tried, barrier) = (if n % 2 == 0 { &store } else { &cli }, &right, &tried, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for i in 0..4 {
                    let guess = format!("{:08}", (right.parse::<u64>().expect("digits") + 1 + n * 4 + i) % 100_000_000);
                    match store.accounts().pair(&guess, "guesser", now).expect("tried") {
                        PairResult::Refused(CodeOutcome::Wrong { .. }) => drop(tried.fetch_add(1, Ordering::SeqCst)),
                        PairResult::Refused(CodeOutcome::Burned) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(tried.load(Ordering::SeqCst), 4, "four wrong, the fifth burns");
    drop((store, cli));
    let store = b.open();
    let after = store.accounts().pair(&right, "late", now).expect("tried");
    assert!(matches!(after, PairResult::Refused(CodeOutcome::Burned)), "a restart gives no new tries");
    for _ in 0..9 {
        store.accounts().issue_code(&Grant::all(Role::Admin), now).expect("issued");
    }
    assert_eq!(
        store.accounts().issue_code(&Grant::all(Role::Admin), now).expect_err("the eleventh").kind(),
        ErrorKind::RateLimited
    );
}

#[test]
fn sessions_end_when_idle_and_when_old() {
    let b = TestStore::new();
    let store = b.open();
    store.accounts().add_user("anna", PASSWORD, &Grant::all(Role::Admin), None, b.now()).expect("added");
    let sign_in = || store.accounts().sign_in("Anna", PASSWORD, "browser", b.now()).expect("tried").expect("right");
    let known = |c: &Credential| store.accounts().authenticate(c.token.expose(), b.now()).expect("asked").is_some();
    let idle = sign_in();
    assert_eq!(
        store.accounts().authenticate(idle.token.expose(), b.now()).expect("asked").expect("known").username.as_deref(),
        Some("anna")
    );
    b.clock.advance(Duration::from_secs(3599));
    assert!(known(&idle), "this keeps it alive");
    b.clock.advance(Duration::from_secs(3599));
    assert!(known(&idle));
    b.clock.advance(Duration::from_secs(3600));
    assert!(!known(&idle) && store.accounts().devices().expect("listed").is_empty());
    assert_eq!(store.accounts().principals(&[idle.device_id]).expect("asked"), []);
    let old = sign_in();
    for _ in 0..47 {
        b.clock.advance(Duration::from_secs(1800));
        assert!(known(&old));
    }
    b.clock.advance(Duration::from_secs(1800));
    assert!(!known(&old), "a day is over");
    let paired = pair(&store, Role::Viewer, b.now());
    b.clock.advance(Duration::from_secs(400 * 86_400));
    assert!(known(&paired), "a paired phone stays");
    for bad in ["", "x", &"0".repeat(64), &"g".repeat(64), &"0".repeat(10_000), "' OR 1=1 --"] {
        assert!(store.accounts().authenticate(bad, b.now()).expect("asked").is_none());
    }
}

#[test]
fn the_last_admin_stays() {
    let b = TestStore::new();
    let store = b.open();
    let now = b.now();
    let add = |name: &str, role| store.accounts().add_user(name, PASSWORD, &Grant::all(role), None, now);
    add("anna", Role::Admin).expect("added");
    assert_eq!(add("ANNA", Role::Viewer).expect_err("taken").kind(), ErrorKind::Conflict);
    assert_eq!(add("a/b", Role::Viewer).expect_err("bad name").kind(), ErrorKind::Invalid);
    assert_eq!(
        store.accounts().add_user("x", "short", &Grant::all(Role::Viewer), None, now).expect_err("short").kind(),
        ErrorKind::Invalid
    );
    add("ben", Role::Viewer).expect("added");
    assert_eq!(store.accounts().remove_user("anna").expect_err("the last admin").kind(), ErrorKind::Conflict);
    assert_eq!(store.accounts().remove_user("nobody").expect_err("none").kind(), ErrorKind::NotFound);
    let ben = store.accounts().sign_in("ben", PASSWORD, "browser", now).expect("tried").expect("right");
    assert_eq!(store.accounts().remove_user("ben").expect("a viewer may go"), [ben.device_id]);
    assert!(store.accounts().authenticate(ben.token.expose(), now).expect("asked").is_none());
    pair(&store, Role::Viewer, now);
    assert!(store.accounts().remove_user("anna").is_err(), "a viewer's phone is no admin");
    pair(&store, Role::Admin, now);
    store.accounts().remove_user("anna").expect("an admin's phone remains");
    add("carl", Role::Admin).expect("added");
    add("dora", Role::Admin).expect("added");
    store.accounts().remove_user("carl").expect("another admin remains");
    let names: Vec<_> = store.accounts().users().expect("listed").into_iter().map(|u| u.name).collect();
    assert_eq!(names, ["dora"]);
}

#[test]
fn of_all_who_may_manage_one_stays_however_they_go_at_once() {
    for round in 0..8 {
        let b = TestStore::new();
        let store = b.open();
        let cli = Store::open_for_cli(b.config(), b.clock.clone()).expect("a second process");
        let now = b.now();
        let admins = [pair(&store, Role::Admin, now), pair(&store, Role::Admin, now)];
        let admin = Grant::all(Role::Admin);
        store.accounts().add_user("anna", PASSWORD, &admin, None, now).expect("added");
        store.accounts().add_user("ben", PASSWORD, &admin, None, now).expect("added");
        let acts: [&(dyn Fn() -> perch_base::Result<()> + Sync); 4] = [
            &|| store.accounts().revoke_device(admins[0].device_id),
            &|| cli.accounts().revoke_device(admins[1].device_id),
            &|| store.accounts().remove_user("anna").map(drop),
            &|| cli.accounts().set_grant("ben", &Grant::all(Role::Viewer).into()).map(drop),
        ];
        let barrier = Barrier::new(acts.len());
        let gone = std::thread::scope(|scope| {
            let threads = acts.map(|act| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    act().map_err(|e| assert_eq!(e.kind(), ErrorKind::Conflict, "{e}")).is_ok()
                })
            });
            threads.map(|t| t.join().expect("no panic")).into_iter().filter(|gone| *gone).count()
        });
        let (users, devices) = (store.accounts().users().expect("listed"), store.accounts().devices().expect("listed"));
        let accounts = users.iter().filter(|u| u.role == Role::Admin).count();
        let phones = devices.iter().filter(|d| d.role == Role::Admin).count();
        assert_eq!((gone, accounts + phones), (3, 1), "round {round}: {users:?} {devices:?}");
    }
}

fn only(ids: &[&str]) -> CameraGrant {
    CameraGrant::Only(ids.iter().map(|id| perch_base::ids::CameraId::new(id).expect("an id")).collect())
}

fn viewer_of(ids: &[&str]) -> Grant {
    Grant::new(Role::Viewer, only(ids)).expect("a viewer's")
}

fn seen(store: &Store, c: &Credential, now: Timestamp) -> CameraGrant {
    store.accounts().authenticate(c.token.expose(), now).expect("asked").expect("known").cameras
}

#[test]
fn a_grant_of_cameras_follows_codes_accounts_and_stream_passwords() {
    let b = TestStore::new();
    let store = b.open();
    let now = b.now();
    let code = store.accounts().issue_code(&viewer_of(&["yard"]), now).expect("issued");
    let PairResult::Paired(tablet) = store.accounts().pair(code.otp.expose(), "tablet", now).expect("tried") else {
        panic!("refused")
    };
    assert_eq!(seen(&store, &tablet, now), only(&["yard"]));
    store
        .accounts()
        .add_user("anna", PASSWORD, &viewer_of(&["front", "yard"]), Some(tablet.device_id), now)
        .expect("added");
    let of =
        |name: &str| store.accounts().users().expect("listed").into_iter().find(|u| u.name == name).expect("there");
    assert_eq!(of("anna").cameras, only(&["front", "yard"]));
    let devices = store.accounts().devices().expect("listed");
    assert_eq!(devices[0].username, None, "a device that sees less does not join the account");
    let browser = store.accounts().sign_in("anna", PASSWORD, "browser", now).expect("tried").expect("right");
    assert_eq!(seen(&store, &browser, now), only(&["front", "yard"]));
    assert!(store.accounts().check_password("anna", PASSWORD).expect("asked"));

    // Narrowed, widened, and made an administrator: the token stays, what it opens follows, also after a start.
    for grant in [viewer_of(&["yard"]), Grant::all(Role::Viewer), viewer_of(&["front"]), Grant::all(Role::Admin)] {
        assert_eq!(store.accounts().set_grant("Anna", &grant.clone().into()).expect("changed"), [browser.device_id]);
        let who = store.accounts().authenticate(browser.token.expose(), now).expect("asked").expect("known");
        assert_eq!((who.role, &who.cameras), (grant.role(), grant.cameras()));
        assert_eq!(store.accounts().principals(&[browser.device_id]).expect("asked"), [who]);
        assert!(store.accounts().check_password("anna", PASSWORD).expect("asked"), "the password is what it was");
        let beside = Store::open_for_cli(b.config(), b.clock.clone()).expect("another process");
        assert_eq!(&seen(&beside, &browser, now), grant.cameras());
    }
    assert_eq!(
        store.accounts().set_grant("nobody", &viewer_of(&["yard"]).into()).expect_err("none").kind(),
        ErrorKind::NotFound
    );
    store.accounts().set_password("anna", "another one", None).expect("set");
    assert!(!store.accounts().check_password("anna", PASSWORD).expect("asked"));

    store.accounts().add_stream_password("nvr", &only(&["yard"]), now).expect("made");
    let logins = store.accounts().stream_logins().expect("read");
    assert_eq!((logins[0].ha1.expose().len(), &logins[0].cameras), (32, &only(&["yard"])));
    assert_eq!(store.accounts().stream_passwords().expect("listed")[0].cameras, only(&["yard"]));
}

/// What a program of the version before (it knows no grants of cameras) makes of a limited row: nothing, and it goes on.
#[test]
fn a_program_before_takes_no_limited_credential_for_a_whole_one() {
    let b = TestStore::new();
    let store = b.open();
    let now = b.now();
    let limited = viewer_of(&["yard"]);
    let code = store.accounts().issue_code(&limited, now).expect("issued");
    let PairResult::Paired(tablet) = store.accounts().pair(code.otp.expose(), "tablet", now).expect("tried") else {
        panic!("refused")
    };
    let phone = pair(&store, Role::Admin, now);
    store.accounts().add_user("anna", PASSWORD, &limited, None, now).expect("added");
    store.accounts().add_user("ben", PASSWORD, &Grant::all(Role::Viewer), None, now).expect("added");
    let browser = store.accounts().sign_in("ben", PASSWORD, "browser", now).expect("tried").expect("right");
    // What two people change at the same time is both changed.
    let cameras = GrantChange { cameras: Some(limited.cameras().clone()), ..Default::default() };
    let role = GrantChange { role: Some(Role::Viewer), ..Default::default() };
    for change in [cameras, role] {
        store.accounts().set_grant("ben", &change).expect("narrowed");
    }
    assert_eq!(store.accounts().users().expect("listed")[0].cameras, *limited.cameras());
    store.accounts().add_stream_password("nvr", &only(&["yard"]), now).expect("made");
    store.accounts().issue_code(&limited, now).expect("issued");
    drop(store);

    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let known = |token: &str| {
        let hash = perch_base::secret::sha256(token.as_bytes());
        let sql = "SELECT count(*) FROM device WHERE token = ?1";
        c.query_row(sql, [hash], |r| r.get::<_, i64>(0)).expect("asked") == 1
    };
    assert!(known(phone.token.expose()) && !known(tablet.token.expose()) && !known(browser.token.expose()));
    for name in ["anna", "ben"] {
        let sql = "SELECT password FROM user WHERE name = ?1";
        let hash: String = c.query_row(sql, [name], |r| r.get(0)).expect("there");
        assert!(!hash.starts_with('$'), "{name}: {hash} is a hash that it would check");
    }
    let ha1: String = c.query_row("SELECT ha1 FROM stream_password", [], |r| r.get(0)).expect("there");
    assert!(ha1.len() != 32, "{ha1}");
    let pairing: String = c.query_row("SELECT value FROM meta WHERE key = 'pairing'", [], |r| r.get(0)).expect("there");
    let hash = pairing.split("\"hash\":\"").nth(1).and_then(|t| t.split('"').next()).expect("a code");
    assert!(hash.len() != 64, "{hash}");
    // It lets somebody in meanwhile, whom it knows by name alone: once the box is updated again, the account's grant holds.
    let token = "ab".repeat(32);
    let sql = "INSERT INTO device (id, token, name, kind, username, role, created, seen)
        VALUES (?1, ?2, 'old', 'session', 'ben', 'viewer', ?3, ?3)";
    let hash = perch_base::secret::sha256(token.as_bytes());
    c.execute(sql, rusqlite::params!["0".repeat(32), hash, now.0]).expect("inserted");
    drop(c);
    let store = b.open();
    let who = store.accounts().authenticate(&token, now).expect("asked").expect("known");
    assert_eq!(who.cameras, only(&["yard"]));
}

#[test]
fn a_new_password_ends_other_devices() {
    let b = TestStore::new();
    let store = b.open();
    let now = b.now();
    let phone = pair(&store, Role::Admin, now);
    let other_phone = pair(&store, Role::Admin, now);
    store.accounts().add_user("anna", PASSWORD, &Grant::all(Role::Admin), Some(phone.device_id), now).expect("added");
    store
        .accounts()
        .add_user("ben", PASSWORD, &Grant::all(Role::Viewer), Some(other_phone.device_id), now)
        .expect("added");
    let browser = store.accounts().sign_in("anna", PASSWORD, "browser", now).expect("tried").expect("right");
    let owner = |id: DeviceId| {
        store.accounts().devices().expect("listed").into_iter().find(|d| d.id == id).expect("there").username
    };
    assert_eq!(owner(phone.device_id).as_deref(), Some("anna"), "whose phone made it is hers");
    assert_eq!(owner(other_phone.device_id), None, "an admin's phone does not become a viewer's");
    let revoked = store.accounts().set_password("anna", "another one", Some(browser.device_id)).expect("set");
    assert_eq!(revoked, [phone.device_id]);
    let live = store.accounts().principals(&[phone.device_id, browser.device_id, DeviceId(1)]).expect("asked");
    assert_eq!(live.iter().map(|p| p.device_id).collect::<Vec<_>>(), [browser.device_id]);
    assert!(store.accounts().sign_in("anna", PASSWORD, "browser", now).expect("tried").is_none());
    assert!(store.accounts().sign_in("anna", "another one", "browser", now).expect("tried").is_some());
    assert_eq!(
        store.accounts().set_password("nobody", "another one", None).expect_err("none").kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_name_that_does_not_exist_takes_as_long_as_a_wrong_password() {
    let b = TestStore::new();
    let store = b.open();
    store.accounts().add_user("anna", PASSWORD, &Grant::all(Role::Admin), None, b.now()).expect("added");
    // This thread's own time: what else runs on the machine does not count.
    let clock = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
    };
    let time = |name: &str, password: &str| {
        let begin = clock();
        assert!(store.accounts().sign_in(name, password, "browser", b.now()).expect("tried").is_none());
        clock() - begin
    };
    // The least of several, in turns: a neighbour on the same core slows one try down, not all of one kind.
    let (mut wrong, mut nobody, mut huge) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..7 {
        wrong = wrong.min(time("anna", "wrong password"));
        nobody = nobody.min(time("nobody", "wrong password"));
        huge = huge.min(time("anna", &"x".repeat(1 << 20)));
    }
    assert!(nobody > wrong * 0.5 && nobody < wrong * 2.0, "{wrong} s and {nobody} s");
    assert!(huge < wrong * 2.0, "a huge password costs no more: {huge} s");
}

#[test]
fn stream_passwords_are_kept_as_ha1() {
    let b = TestStore::new();
    let store = b.open();
    let password = store.accounts().add_stream_password("vlc", &CameraGrant::All, b.now()).expect("made");
    assert_eq!(password.expose().len(), 32);
    assert_eq!(
        store.accounts().add_stream_password("vlc", &CameraGrant::All, b.now()).expect_err("taken").kind(),
        ErrorKind::Conflict
    );
    let out = std::process::Command::new("sh")
        .args(["-c", &format!("printf vlc:perch:{} | md5sum", password.expose())])
        .output()
        .expect("md5sum runs");
    let want = String::from_utf8_lossy(&out.stdout)[..32].to_owned();
    let logins = store.accounts().stream_logins().expect("read");
    assert_eq!((logins.len(), logins[0].name.as_str(), logins[0].ha1.expose()), (1, "vlc", &want));
    assert_eq!(store.accounts().stream_passwords().expect("listed")[0].name, "vlc");
    store.accounts().remove_stream_password("vlc").expect("removed");
    assert_eq!(store.accounts().remove_stream_password("vlc").expect_err("gone").kind(), ErrorKind::NotFound);
}

#[test]
fn small_values_are_kept() {
    let b = TestStore::new();
    let store = b.open();
    store.meta().ping().expect("answers");
    assert_eq!(store.meta().get("k").expect("asked"), None);
    for v in ["one", "two"] {
        store.meta().set("k", v).expect("kept");
        assert_eq!(store.meta().get("k").expect("asked").as_deref(), Some(v));
    }
}

#[test]
fn of_those_who_claim_a_box_at_once_one_gets_it() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, now) = (store.accounts(), b.now());
    assert!(accounts.issue_first_code(now).expect("asked").is_some(), "nobody owns it");
    let (claimed, start) = (AtomicUsize::new(0), Barrier::new(8));
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (claimed, start) = (&claimed, &start);
            scope.spawn(move || {
                start.wait();
                if accounts.claim(&format!("anna{n}"), PASSWORD, now).expect("tried") {
                    claimed.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(claimed.load(Ordering::Relaxed), 1);
    let [owner] = &accounts.users().expect("listed")[..] else { panic!("one") };
    assert_eq!((owner.role, owner.cameras.is_all()), (Role::Admin, true));
    assert!(accounts.check_password(&owner.name, PASSWORD).expect("asked"));
    assert!(accounts.issue_first_code(now).expect("asked").is_none(), "whoever sees the screen gets no code any more");

    let other = TestStore::new();
    let store = other.open();
    let code = store.accounts().issue_first_code(now).expect("asked").expect("nobody owns it");
    assert!(matches!(store.accounts().pair(code.otp.expose(), "phone", now).expect("tried"), PairResult::Paired(_)));
    assert!(!store.accounts().claim("anna", PASSWORD, now).expect("asked"), "a phone owns it");
    assert!(store.accounts().users().expect("listed").is_empty());
}

#[test]
fn one_phone_joins_the_first_account_however_many_are_made_at_once() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, now) = (store.accounts(), b.now());
    let phones: Vec<_> = (0..6).map(|_| pair(&store, Role::Admin, now).device_id).collect();
    let start = Barrier::new(phones.len());
    std::thread::scope(|scope| {
        for (n, phone) in phones.iter().enumerate() {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let (name, admin) = (format!("anna{n}"), Grant::all(Role::Admin));
                accounts.add_user(&name, PASSWORD, &admin, Some(*phone), now).expect("made");
            });
        }
    });
    assert_eq!(accounts.users().expect("listed").len(), phones.len());
    let joined: Vec<_> = accounts.devices().expect("listed").into_iter().filter(|d| d.username.is_some()).collect();
    let [one] = &joined[..] else { panic!("{joined:?}") };
    let maker = phones.iter().position(|phone| *phone == one.id).expect("one of them");
    assert_eq!(one.username.as_deref(), Some(&*format!("anna{maker}")), "its own");
}

#[test]
fn whoever_was_revoked_changes_nothing() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, now) = (store.accounts(), b.now());
    let admin = Grant::all(Role::Admin);
    let who = |c: &Credential| accounts.authenticate(c.token.expose(), now).expect("asked").expect("known");
    let (stays, thief) = (pair(&store, Role::Admin, now), pair(&store, Role::Admin, now));
    accounts.add_user("anna", PASSWORD, &Grant::all(Role::Viewer), None, now).expect("added");
    accounts.add_stream_password("tv", &CameraGrant::All, now).expect("made");
    let mine = accounts.sign_in("anna", PASSWORD, "browser", now).expect("asked").expect("right");
    let (thiefs, annas) = (accounts.acting(&who(&thief)), accounts.acting(&who(&mine)));
    // While they are let in, they may.
    thiefs.issue_code(&admin, now).expect("may");
    annas.set_password("anna", PASSWORD, Some(mine.device_id)).expect("may");
    accounts.revoke_device(thief.device_id).expect("revoked");
    accounts.set_grant("anna", &admin.clone().into()).expect("changed");
    let before = format!("{:?}", (accounts.devices(), accounts.users(), accounts.stream_passwords()));
    let tries = |port: &dyn AccessPort| {
        [
            port.issue_code(&admin, now).map(drop),
            port.add_user("ghost", PASSWORD, &admin, None, now),
            port.set_grant("anna", &admin.clone().into()).map(drop),
            port.set_password("anna", "another password", None).map(drop),
            port.remove_user("anna").map(drop),
            port.add_stream_password("ghost", &CameraGrant::All, now).map(drop),
            port.remove_stream_password("tv"),
            port.revoke_device(stays.device_id),
        ]
    };
    for (port, kind) in [(&thiefs, ErrorKind::Unauthenticated), (&annas, ErrorKind::Forbidden)] {
        for (n, tried) in tries(&**port).into_iter().enumerate() {
            assert_eq!(tried.expect_err("refused").kind(), kind, "change {n}");
        }
    }
    assert_eq!(format!("{:?}", (accounts.devices(), accounts.users(), accounts.stream_passwords())), before);
    // With what it is now, it may.
    accounts.acting(&who(&mine)).issue_code(&admin, now).expect("may");
}

#[test]
fn accounts_have_the_names_of_people_and_each_of_them_once() {
    let b = TestStore::new();
    let store = b.open();
    let (accounts, now) = (store.accounts(), b.now());
    let add = |name: &str| accounts.add_user(name, PASSWORD, &Grant::all(Role::Admin), None, now);
    add(" Anna  Mu\u{308}ller").expect("made");
    let names = || accounts.users().expect("listed").into_iter().map(|u| u.name).collect::<Vec<_>>();
    assert_eq!(names(), ["Anna Müller"]);
    for same in ["Anna Müller", "ANNA MÜLLER", "anna mu\u{308}ller", "AnnaMüller", "Ａｎｎａ Müller"] {
        assert_eq!(add(same).expect_err(same).kind(), ErrorKind::Conflict);
        let signed_in = accounts.sign_in(same, PASSWORD, "browser", now).expect("asked").expect("it is hers");
        let who = accounts.authenticate(signed_in.token.expose(), now).expect("asked").expect("known");
        assert_eq!(who.username.as_deref(), Some("Anna Müller"));
        // The only one who manages the box cannot go under another spelling either.
        assert_eq!(accounts.remove_user(same).expect_err(same).kind(), ErrorKind::Conflict);
    }
    assert_eq!(add("Anna Muller").map_err(|e| e.kind()), Ok(()), "another person");
    for bad in ["", "a/b", "a\u{202e}b", "a\nb\u{7}", &"a".repeat(65)] {
        assert_eq!(add(bad).expect_err(bad).kind(), ErrorKind::Invalid);
    }
    assert!(accounts.sign_in(&"ﷺ".repeat(20_000), PASSWORD, "browser", now).expect("asked").is_none());
    accounts.set_password("anna müller", "another password", None).expect("set");
    assert!(accounts.sign_in("Anna Müller", "another password", "browser", now).expect("asked").is_some());
    accounts
        .set_grant("anna MÜLLER", &GrantChange { role: Some(Role::Viewer), ..Default::default() })
        .expect("changed");
    accounts.remove_user("annamüller").expect("removed");
    assert_eq!(names(), ["Anna Muller"]);
}
