//! What is found out of a store and of a key.

use crate::{BUCKET, open, store};
use perch_cloud::probe;
use perch_domain::sync::fault::StoreFaultKind;
use perch_domain::sync::profile::ProbeGrade;
use perch_test_stores::{Line, LineFault};

#[tokio::test]
async fn a_store_and_its_keys_are_tried_out() {
    let (dir, server) = store().await;
    let tried = probe(&open(server.endpoint(), "all"), "home").await;
    let profile = tried.profile().expect("it works");
    assert!(
        profile.checks_sums && profile.keeps_first && profile.parts && profile.can_read && profile.can_list,
        "{profile:?}"
    );
    assert!(profile.can_delete, "{profile:?}");
    let left = walk(&dir.path().join(BUCKET));
    assert!(left.is_empty(), "nothing is left there: {left:?}");

    let writes = probe(&open(server.endpoint(), "writes"), "home").await;
    let profile = writes.profile().expect("a key that only writes is enough");
    assert!(!profile.can_look && !profile.can_read && !profile.can_delete && profile.parts, "{profile:?}");
    let warned: Vec<_> = writes.lines().into_iter().filter(|l| l.grade == ProbeGrade::Warning).collect();
    assert!(warned.iter().any(|line| line.what.contains("cannot be verified by reading")), "{warned:?}");

    for (tried, kind, word) in [
        (probe(&open(server.endpoint(), "reads"), "home").await, StoreFaultKind::Refused, "may not put"),
        (probe(&open(server.endpoint(), "nobody"), "home").await, StoreFaultKind::WrongKey, "access key"),
    ] {
        assert_eq!(tried.obstacle().map(|fault| fault.kind), Some(kind), "{tried:?}");
        let lines = tried.lines();
        assert!(lines.len() == 1 && lines[0].what.contains(word) && !lines[0].fix.is_empty(), "{lines:?}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_one_sentence() {
    let (_dir, server) = store().await;
    let line = Line::to(server.address).await;
    let no_bucket = "<Error><Code>NoSuchBucket</Code></Error>";
    for (fault, word) in [
        (LineFault::Answer(500, "", ""), "does not answer"),
        (LineFault::Answer(404, "content-type: application/xml\r\n", no_bucket), "no such bucket"),
    ] {
        line.set(fault);
        let lines = probe(&open(line.endpoint(), "all"), "home").await.lines();
        assert_eq!((lines.len(), lines[0].grade), (1, ProbeGrade::Bad), "{lines:?}");
        assert!(lines[0].what.contains(word), "{lines:?}");
    }
}

/// All files below a folder but the store's own notes.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => out.extend(walk(&entry.path())),
            false => out.push(entry.path()),
        }
    }
    out
}
