//! Tries every way by which viewers might reach the box, for the connection doctor. What is to be said of it is `domain`'s.

use super::addresses;
use super::config::{Config, TurnServer};
use super::gathering::try_server;
use perch_base::clock::SharedClock;
use perch_domain::doctor::{LiveFacts, ServerAnswer};
use perch_domain::ice_url::{IceTransport, IceUrl};
use perch_domain::relay::IceFailure;
use std::net::{IpAddr, SocketAddr};
use tokio::task::JoinSet;

/// Servers that are tried at most.
const MOST_SERVERS: usize = 16;

/// Tries what `config` names, beside a box that listens at `listen`: all servers at once, ten seconds at most. Must be awaited inside a
/// runtime.
pub async fn examine(config: &Config, listen: SocketAddr, clock: &SharedClock) -> LiveFacts {
    let servers = servers(config);
    let mut trying = JoinSet::new();
    for (n, (url, turn)) in servers.iter().cloned().enumerate() {
        let clock = clock.clone();
        trying.spawn(async move { (n, try_server(&url, turn.as_ref(), &clock).await) });
    }
    let mut answers: Vec<ServerAnswer> = vec![Err(IceFailure::Silent); servers.len()];
    while let Some(tried) = trying.join_next().await {
        if let Ok((n, answer)) = tried {
            answers[n] = answer;
        }
    }
    let (mut stun, mut turn) = (Vec::new(), Vec::new());
    for ((url, server), answer) in servers.into_iter().zip(answers) {
        match (server, IceUrl::parse(&url)) {
            (Some(_), Ok(read)) => turn.push((url, read.transport, answer)),
            _ => stun.push((url, answer)),
        }
    }
    LiveFacts {
        port: listen.port(),
        is_v4_only: listen.is_ipv4(),
        relay_only: config.relay_only,
        house: house(config, listen),
        advertised: config.addresses.clone(),
        stun,
        turn,
    }
}

/// By its URL; a TURN server that is reached by datagrams is asked as a STUN server as well where there is no other.
fn servers(config: &Config) -> Vec<(String, Option<TurnServer>)> {
    let mut all: Vec<_> = config.stun.iter().map(|url| (url.clone(), None)).collect();
    let by_udp = |server: &&TurnServer| IceUrl::parse(&server.url).is_ok_and(|url| url.transport == IceTransport::Udp);
    if let Some(server) = config.turn.iter().find(by_udp).filter(|_| all.is_empty()) {
        all.push((server.url.clone(), None));
    }
    all.extend(config.turn.iter().map(|server| (server.url.clone(), Some(server.clone()))));
    all.truncate(MOST_SERVERS);
    all
}

fn house(config: &Config, listen: SocketAddr) -> Vec<IpAddr> {
    let told = addresses::candidates(listen, &[], &config.interfaces).unwrap_or_default();
    told.iter().map(|candidate| candidate.addr().ip()).filter(|ip| !ip.is_loopback()).collect()
}
