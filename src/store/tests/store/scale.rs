//! What questions cost when a box has recorded for long: 200,000 recordings and 100,000 events of one camera.

#![allow(clippy::print_stdout, reason = "measurements are printed")]

use crate::common::*;
use perch_base::time::Timestamp;
use perch_domain::access::{Grant, Role};
use perch_domain::archive::{EventFilter, TimeRange};
use perch_domain::ports::{AccessPort, ArchivePort};
use perch_store::Store;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SEGMENTS: i64 = 200_000;
const MINUTE_US: i64 = 60_000_000;

/// A database of one-minute files, every other with an event, that end at `now`.
fn fill(b: &TestStore) {
    let c = rusqlite::Connection::open(b.data().join("perch.db")).expect("opened");
    let first = b.now().0 - SEGMENTS * MINUTE_US;
    let sql = format!(
        "BEGIN;
        CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {SEGMENTS})
            SELECT i, {first} + i * {MINUTE_US} AS at FROM n;
        INSERT INTO event (id, camera, kind, start, end, score, cause, boxes)
            SELECT at, 'front', 'motion', at, at + 20000000, 0.5, 'motion',
            '[{{\"x\":0.1,\"y\":0.2,\"w\":0.3,\"h\":0.4}}]' FROM n WHERE i % 2 = 0;
        INSERT INTO segment (camera, path, start, end, size, state, event, fragments)
            SELECT 'front', 'front/' || i, at, at + {MINUTE_US}, 7000000 + i % 1000, 'sealed',
            CASE i % 2 WHEN 0 THEN at END, zeroblob(400) FROM n;
        INSERT INTO gap (camera, start, end, cause)
            SELECT 'front', at - 40000000000000, at - 40000000000000 + 1000000, 'no_motion' FROM n WHERE i % 4 = 0;
        COMMIT;"
    );
    c.execute_batch(&sql).expect("filled");
}

fn took(what: &str, mut f: impl FnMut()) {
    f();
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let begin = Instant::now();
            f();
            begin.elapsed()
        })
        .collect();
    times.sort();
    println!("{what:<44} {:>12.3} ms", times[4].as_secs_f64() * 1e3);
}

#[test]
#[ignore = "a measurement"]
fn cost_of_questions_after_years() {
    let b = TestStore::new();
    drop(b.open());
    fill(&b);
    // Without a look at the files: there are none.
    let store = Store::open_for_cli(b.config(), b.clock.clone()).expect("opens");
    let days = |from: f64, to: f64| {
        let at = |days: f64| Timestamp(b.now().0 + (days * 86_400e6) as i64);
        TimeRange::new(at(from), at(to)).expect("in order")
    };
    let timeline = |range| drop(store.recordings().timeline(&camera(), range, b.now()).expect("timeline"));
    took("timeline of the last day", || timeline(days(-1.0, 0.0)));
    took("timeline of a day 138 days ago", || timeline(days(-138.0, -137.0)));
    took("timeline of all", || timeline(days(-200.0, 0.0)));
    let page = |from: f64| {
        let from = Some(days(from, 1.0).from);
        store.recordings().events(&EventFilter { from, limit: 200, ..Default::default() }).expect("asked").events.len()
    };
    took("events of the last hour", || assert!(page(-0.04) < 60));
    took("status of the disk", || assert!(store.recordings().disk().recordings_bytes > 1 << 40));
    took("retention with nothing to do", || {
        assert_eq!(store.recordings().enforce_retention(true).expect("done").deleted, 0)
    });

    store.accounts().add_user("anna", "long enough", &Grant::all(Role::Admin), None, b.now()).expect("added");
    let signed = store.accounts().sign_in("anna", "long enough", "phone", b.now()).expect("asked").expect("right");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                timeline(days(-200.0, 0.0));
            }
        });
        let mut worst = Duration::ZERO;
        took("a token while somebody looks at all", || {
            for _ in 0..20 {
                let begin = Instant::now();
                assert!(store.accounts().authenticate(signed.token.expose(), b.now()).expect("asked").is_some());
                worst = worst.max(begin.elapsed());
            }
        });
        println!("{:<44} {:>12.3} ms", "  (20 of them); the slowest one", worst.as_secs_f64() * 1e3);
        done.store(true, Ordering::Relaxed);
    });
}
