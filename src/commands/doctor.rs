//! `perch doctor live`: tries the ways by which live pictures reach viewers, beside a box that may be running, and says what it found.

use crate::config::Config;
use perch_base::clock::{SharedClock, SystemClock};
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::doctor::{LiveDiagnosis, diagnose};
use perch_media::webrtc::examine;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Tries and prints.
pub fn live(config: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load(config)?.webrtc;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context(ErrorKind::Io, || "the event loop cannot be made")?;
    let clock: SharedClock = Arc::new(SystemClock);
    print(&diagnose(&runtime.block_on(examine(&config, config.udp_listen, &clock))));
    Ok(ExitCode::SUCCESS)
}

fn print(diagnosis: &LiveDiagnosis) {
    for way in &diagnosis.ways {
        let (mark, server) = (if way.works { "yes" } else { "no " }, way.server.as_deref().unwrap_or_default());
        say!("{mark}  {:<15} {}{}{}", way.way.name(), server, if server.is_empty() { "" } else { ": " }, way.says);
        if let Some(advice) = &way.advice {
            say!("                     -> {advice}");
        }
    }
    let away = diagnosis.away.strip_prefix("a ").unwrap_or(&diagnosis.away);
    say!("\nA {away}.");
    if let Some(advice) = &diagnosis.advice {
        say!("To make that better: {advice}.");
    }
}
