//! `perch doctor live`: tries the ways by which live pictures reach viewers, beside a box that may be running, and says what it found.

use crate::config::Config;
use perch_base::clock::{SharedClock, SystemClock, within};
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::doctor::{HttpsFacts, HttpsTry, LiveDiagnosis, diagnose};
use perch_media::webrtc::examine;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// A page of the same machine that does not answer so soon is not there.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// Tries and prints.
pub fn live(config: Option<&Path>) -> Result<ExitCode> {
    let config = Config::load(config)?;
    let (config, listen) = (config.webrtc, config.http.listen);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context(ErrorKind::Io, || "the event loop cannot be made")?;
    let clock: SharedClock = Arc::new(SystemClock);
    let (facts, tried) =
        runtime.block_on(async { tokio::join!(examine(&config, config.udp_listen, &clock), page(listen, &clock)) });
    print(&diagnose(&facts, &HttpsFacts { listen, tried }));
    Ok(ExitCode::SUCCESS)
}

/// Whether the page of the box beside answers at `listen`.
async fn page(listen: SocketAddr, clock: &SharedClock) -> HttpsTry {
    let here = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let connecting = TcpStream::connect((here, listen.port()));
    match within(clock, ANSWERS_WITHIN, connecting).await {
        Some(Ok(_)) => HttpsTry::Answers,
        _ => HttpsTry::NoAnswer,
    }
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
