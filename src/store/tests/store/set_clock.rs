//! The clock is set while sessions and codes are young or old: what is fresh stays, and nothing lives longer for it.

use crate::common::*;
use perch_base::clock::Clock;
use perch_base::secret::Secret;
use perch_base::time::Timestamp;
use perch_domain::access::{Credential, Grant, Role};
use perch_domain::pairing::CodeOutcome;
use perch_domain::ports::{AccessPort, PairResult};
use perch_store::Store;
use std::time::Duration;

const PASSWORD: &str = "correct horse";
const TWO_YEARS: i64 = 2 * 365 * 86_400;
const S: Duration = Duration::from_secs(1);

fn set(b: &TestStore, by_s: i64) {
    b.clock.set_utc(b.clock.utc().plus_micros(by_s * 1_000_000));
}

fn sign_in(b: &TestStore, store: &Store) -> Credential {
    if store.accounts().users().expect("listed").is_empty() {
        store.accounts().add_user("anna", PASSWORD, &Grant::all(Role::Admin), None, b.now()).expect("added");
    }
    store.accounts().sign_in("anna", PASSWORD, "browser", b.now()).expect("tried").expect("right")
}

fn known(b: &TestStore, store: &Store, c: &Credential) -> bool {
    store.accounts().authenticate(c.token.expose(), b.now()).expect("asked").is_some()
}

fn code(b: &TestStore, store: &Store) -> Secret {
    store.accounts().issue_code(&Grant::all(Role::Admin), b.now()).expect("issued").otp
}

fn pairs(b: &TestStore, store: &Store, otp: &Secret) -> bool {
    match store.accounts().pair(otp.expose(), "phone", b.now()).expect("tried") {
        PairResult::Paired(_) => true,
        PairResult::Refused(why) => {
            assert_eq!(why, CodeOutcome::NoCode);
            false
        }
    }
}

#[test]
fn what_is_fresh_outlives_the_first_synchronisation_and_ends_in_its_time() {
    for by_s in [TWO_YEARS, -TWO_YEARS, 86_400, -3_000] {
        let b = TestStore::new();
        let store = b.open();
        let (browser, otp) = (sign_in(&b, &store), code(&b, &store));
        b.clock.advance(100 * S);
        set(&b, by_s);
        assert!(known(&b, &store, &browser), "{by_s}");
        let seen = store.accounts().devices().expect("listed");
        assert!(b.now().micros_since(seen[0].created_at) <= 100_000_000, "{by_s}: {seen:?}");
        b.clock.advance(199 * S);
        assert!(pairs(&b, &store, &otp), "{by_s}: a code is good for five minutes");
        // And not for longer, however often the clock is set back.
        let otp = code(&b, &store);
        for _ in 0..30 {
            b.clock.advance(10 * S);
            set(&b, -9);
        }
        b.clock.advance(10 * S);
        assert!(!pairs(&b, &store, &otp), "{by_s}");
        for _ in 0..24 {
            b.clock.advance(150 * S);
            set(&b, -150);
        }
        assert!(!known(&b, &store, &browser), "{by_s}: idle for an hour, whatever the clock shows");
    }
}

#[test]
fn setting_the_clock_gives_no_codes() {
    let b = TestStore::new();
    let store = b.open();
    for _ in 0..10 {
        code(&b, &store);
    }
    for by_s in [86_500, -3 * 86_400] {
        set(&b, by_s);
        assert!(store.accounts().issue_code(&Grant::all(Role::Admin), b.now()).is_err(), "{by_s}");
    }
    b.clock.advance(86_401 * S);
    code(&b, &store);
}

#[test]
fn a_box_whose_clock_was_never_right_keeps_its_sessions_over_starts() {
    // Set while it runs, and while it is off.
    for while_off in [false, true] {
        let b = TestStore::new();
        let store = b.open();
        store.accounts().clock_is(false).expect("kept");
        let browser = sign_in(&b, &store);
        b.clock.advance(60 * S);
        drop(store);
        if while_off {
            set(&b, TWO_YEARS);
        }
        let store = b.open();
        store.accounts().clock_is(while_off).expect("kept");
        if !while_off {
            b.clock.advance(60 * S);
            set(&b, TWO_YEARS);
            store.accounts().clock_is(true).expect("kept");
        }
        assert!(known(&b, &store, &browser), "set while off: {while_off}");
        // From now on it is right, so that a day without power is a day.
        drop(store);
        b.clock.advance(86_400 * S);
        let store = b.open();
        store.accounts().clock_is(true).expect("kept");
        assert!(!known(&b, &store, &browser), "set while off: {while_off}");
    }
}

#[test]
fn a_clock_that_was_behind_at_the_start_shows_how_long_the_box_was_off() {
    let b = TestStore::new();
    let store = b.open();
    store.accounts().clock_is(true).expect("kept");
    let browser = sign_in(&b, &store);
    b.clock.advance(S);
    drop(store);
    // It starts where it stopped, and the network tells it that a day went by.
    let store = b.open();
    store.accounts().clock_is(false).expect("kept");
    b.clock.advance(20 * S);
    set(&b, 86_400);
    store.accounts().clock_is(true).expect("kept");
    assert!(!known(&b, &store, &browser));
}

#[test]
fn a_start_with_the_clock_set_back_ends_a_session_in_steady_time() {
    let b = TestStore::new();
    let store = b.open();
    let browser = sign_in(&b, &store);
    drop(store);
    set(&b, -TWO_YEARS);
    let store = b.open();
    for _ in 0..48 {
        assert!(known(&b, &store, &browser));
        b.clock.advance(1800 * S);
    }
    assert!(!known(&b, &store, &browser), "a day is over");
}

#[test]
fn while_the_database_is_busy_ages_are_judged_all_the_same() {
    let b = TestStore::new();
    let store = b.open();
    let browser = sign_in(&b, &store);
    b.clock.advance(30 * S);
    let mut other = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let busy = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("locked");
    set(&b, TWO_YEARS);
    assert!(known(&b, &store, &browser));
    let created = |store: &Store| -> Timestamp { store.accounts().devices().expect("listed")[0].created_at };
    let before = created(&store);
    drop(busy);
    assert!(known(&b, &store, &browser));
    assert_eq!(created(&store), before.plus_micros(TWO_YEARS * 1_000_000), "moved once");
    assert!(known(&b, &store, &browser));
    assert_eq!(created(&store), before.plus_micros(TWO_YEARS * 1_000_000), "and not twice");
}
