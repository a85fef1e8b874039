//! Lines and stores that fail: each failure is told from the others by what is to be done about it.

use crate::{noise, object, open, store, target};
use perch_cloud::S3Store;
use perch_domain::ports::ObjectStore;
use perch_domain::sync::fault::{StoreFault, StoreFaultKind};
use perch_test_stores::{Line, LineFault, TestStore};
use std::time::Duration;

async fn put_over(line: &Line, key: &str) -> Result<(), StoreFault> {
    let body = noise(300_000);
    open(line.endpoint(), "all").put(&object(key, &body), body).await
}

#[tokio::test]
async fn what_a_store_answers_is_told_apart() {
    let (_dir, server) = store().await;
    let line = Line::to(server.address).await;
    let cases = [
        (LineFault::Answer(500, "", ""), StoreFaultKind::Unreachable, None),
        (LineFault::Answer(503, "retry-after: 7\r\n", ""), StoreFaultKind::Busy, Some(7)),
        (LineFault::Answer(503, "retry-after: 99999999\r\n", ""), StoreFaultKind::Busy, Some(3_600)),
        (LineFault::Answer(429, "retry-after: never\r\n", ""), StoreFaultKind::Busy, None),
        (LineFault::Answer(507, "", ""), StoreFaultKind::Full, None),
        (LineFault::Answer(403, "", ""), StoreFaultKind::Refused, None),
        (
            LineFault::Answer(403, "content-type: application/xml\r\n", "<Error><Code>QuotaExceeded</Code></Error>"),
            StoreFaultKind::Full,
            None,
        ),
        (LineFault::Answer(302, "location: http://127.0.0.1:1/\r\n", ""), StoreFaultKind::Unreachable, None),
        (LineFault::Answer(403, "", "<Error><Code>"), StoreFaultKind::Refused, None),
        (
            LineFault::Answer(404, "content-type: application/xml\r\n", "<Error><Code>NoSuchBucket</Code></Error>"),
            StoreFaultKind::NoBucket,
            None,
        ),
        (LineFault::ResetAfter(100_000), StoreFaultKind::Unreachable, None),
        (LineFault::FlipAt(150_000), StoreFaultKind::Damaged, None),
    ];
    for (n, (fault, want, retry_after)) in cases.into_iter().enumerate() {
        line.set(fault.clone());
        let got = put_over(&line, &format!("home/{n}")).await.expect_err("a fault");
        let wait = retry_after.map(Duration::from_secs);
        assert_eq!((got.kind, got.retry_after), (want, wait), "{fault:?}: {got:?}");
        line.set(LineFault::None);
        let (again, there) = (open(line.endpoint(), "all"), format!("home/{n}"));
        let sum = again.facts(&there).await.ok().and_then(|facts| facts.noted_sha256);
        assert_eq!(sum, None, "{fault:?}: nothing half is taken for a copy");
        again.delete(&there).await.expect("cleared");
        put_over(&line, &there).await.expect("the line is well again");
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_gone_by_the_stores() {
    let (_dir, server) = store().await;
    let line = Line::to(server.address).await;
    let body = noise(10);
    let store = open(line.endpoint(), "all");
    let told = "content-type: application/xml\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    line.set(LineFault::Answer(403, told, "<Error><Code>RequestTimeTooSkewed</Code></Error>"));
    let fault = store.put(&object("home/a", &body), body.clone()).await.expect_err("refused");
    assert_eq!((fault.kind, fault.retry_after), (StoreFaultKind::Clock, Some(Duration::ZERO)));
    assert!(store.clock_ahead_s().is_some_and(|ahead_s| ahead_s < -31_000_000 * 30), "{:?}", store.clock_ahead_s());
    let fault = store.put(&object("home/a", &body), body).await.expect_err("refused");
    assert_eq!(fault.retry_after, None, "it has the store's time already");
}

#[tokio::test]
async fn a_line_that_is_dead_is_noticed() {
    let (_dir, server) = store().await;
    let line = Line::to(server.address).await;
    line.set(LineFault::BlackHole);
    let body = noise(30_000_000);
    let store = open(line.endpoint(), "all");
    // More than sockets hold: nothing leaves any more.
    let fault = store.put(&object("home/large", &body), body).await.expect_err("nobody takes it");
    assert_eq!(fault.kind, StoreFaultKind::Unreachable, "{fault:?}");
    let address = line.address;
    drop((line, server));
    let nobody = open(format!("http://{address}"), "all").facts("home/x").await.expect_err("nobody");
    assert_eq!(nobody.kind, StoreFaultKind::Unreachable);
}

#[tokio::test]
async fn certificates_that_are_not_good_are_refused_and_said() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join(crate::BUCKET)).expect("a bucket");
    let facts = async |server: &TestStore, pem: Option<String>| {
        let trusting = target(server.endpoint(), "all");
        let trusting =
            perch_domain::sync::target::SyncTarget { ca_pem: pem.map(perch_base::secret::Secret::new), ..trusting };
        S3Store::open(&trusting).expect("opened").facts("home/x").await.expect_err("nothing is there").kind
    };
    let good = TestStore::start_tls(dir.path(), &crate::KEYS, 30).await;
    assert_eq!(facts(&good, good.ca_pem.clone()).await, StoreFaultKind::Missing, "its own authority is trusted");
    assert_eq!(facts(&good, None).await, StoreFaultKind::Certificate, "nobody vouches for it");
    let over = TestStore::start_tls(dir.path(), &crate::KEYS, -2).await;
    assert_eq!(facts(&over, over.ca_pem.clone()).await, StoreFaultKind::Certificate, "it has run out");
    for bad in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "text"] {
        let ca_pem = Some(perch_base::secret::Secret::new(bad.to_owned()));
        let target = perch_domain::sync::target::SyncTarget { ca_pem, ..target(good.endpoint(), "all") };
        assert!(S3Store::open(&target).is_err_and(|e| e.message().contains("ca_file")), "{bad:?}");
    }
}
