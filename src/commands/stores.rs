//! `perch check --sync`: tries out the stores that copies of recordings go to, with the keys that the config names.

use super::report::Report;
use crate::config::Config;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_cloud::{S3Store, probe};
use perch_domain::sync::profile::ProbeGrade;
use perch_domain::sync::target::SyncTarget;

/// Tries each of them, one after the other. Errors where nothing can be tried at all.
pub(super) fn look(report: &mut Report, config: &Config) -> Result<()> {
    if config.sync.is_empty() {
        report.warn(
            "no store is configured: nothing is copied off the box",
            "add [[sync]] with endpoint, bucket and keys",
        );
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context(ErrorKind::Io, || "the event loop cannot be made")?;
    config.sync.iter().for_each(|target| runtime.block_on(one(report, target)));
    Ok(())
}

async fn one(report: &mut Report, target: &SyncTarget) {
    let name = target.name();
    let store = match S3Store::open(target) {
        Ok(store) => store,
        Err(e) => return report.bad(&format!("{name}: {e}"), "correct the entry in [[sync]]"),
    };
    let tried = probe(&store, &target.prefix).await;
    for line in tried.lines() {
        let what = format!("{name}: {}", line.what);
        match line.grade {
            ProbeGrade::Good => report.good(&what),
            ProbeGrade::Warning => report.warn(&what, &line.fix),
            ProbeGrade::Bad => report.bad(&what, &line.fix),
        }
    }
    if let Some(fault) = tried.obstacle().filter(|fault| !fault.inside.is_empty()) {
        say!("         in the words of the store or the library: {}", fault.inside);
    }
}
