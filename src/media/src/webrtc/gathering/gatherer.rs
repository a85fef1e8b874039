//! Keeps what is gathered: asks STUN servers by the engine's own port, and holds one allocation at the first of the owner's TURN servers
//! that works. Whoever fails is said once and asked again.

use super::allocation::{Allocation, AllocationPhase};
use super::gathered::{FromOutside, Gathered, HeldRelay, QUEUE};
use super::link::{address_of, connect, local_for};
use super::stun::{StunMessage, StunRequest, attribute, kind};
use crate::webrtc::addresses;
use crate::webrtc::config::{Config, TurnServer};
use bytes::Bytes;
use perch_base::Result;
use perch_base::clock::{SharedClock, within};
use perch_base::repeated::Repeated;
use perch_base::secret::random_bytes;
use perch_base::shutdown::Shutdown;
use perch_base::sync::read;
use perch_base::time::MonoTime;
use perch_domain::ice_url::{IceTransport, IceUrl};
use perch_domain::relay::{IceFailure, RelayPlan, RelayStep, may_relay_by};
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use str0m::Candidate;
use tokio::sync::{broadcast, mpsc};

/// How often STUN servers are asked: a router forgets a way that nothing goes by for 30 s.
const STUN_EVERY: Duration = Duration::from_secs(20);
/// STUN servers that are asked at most.
const MOST_STUN: usize = 4;
/// An answer of a STUN server is waited for so long, each time that it is asked.
const STUN_WAITS: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// How long giving an allocation back may take.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);
/// Datagrams that are relayed in one turn.
const BATCH: usize = 64;
/// Looks at the time at least so often.
const TURN: Duration = Duration::from_secs(5);

/// Gathers for as long as it runs.
pub struct Gatherer {
    gathered: Arc<Gathered>,
    config: Arc<RwLock<Arc<Config>>>,
    clock: SharedClock,
    port: SocketAddr,
    failures: Repeated,
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatherer").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Gatherer {
    /// Gathers for the engine whose port is `port`, by the servers that `config` names at any time.
    pub fn new(
        gathered: Arc<Gathered>,
        config: Arc<RwLock<Arc<Config>>>,
        clock: SharedClock,
        port: SocketAddr,
    ) -> Self {
        Self { gathered, config, clock, port, failures: Repeated::default() }
    }

    /// One attempt, until `shutdown` is called. What is held then is given back. Servers that fail are no error.
    pub async fn run_once(&mut self, shutdown: &Shutdown) -> Result<()> {
        let this = &*self;
        let mut end = shutdown.clone();
        while !end.is_called() {
            let config = read(&this.config).clone();
            let (attempt, until) = shutdown.child();
            let changed = async {
                loop {
                    tokio::select! {
                        () = end.called() => break,
                        () = this.gathered.changed.notified() => {
                            let now = read(&this.config).clone();
                            if now.stun != config.stun || now.turn != config.turn {
                                break;
                            }
                        }
                    }
                }
                attempt.fire();
            };
            tokio::join!(changed, this.keep_reflexive(&config, until.clone()), this.keep_relay(&config, until));
        }
        Ok(())
    }

    /// The addresses that the engine sends from without a relay.
    fn ours(&self) -> Vec<SocketAddr> {
        let config = read(&self.config).clone();
        // What cannot be read is offered to nobody either.
        let all = addresses::candidates(self.port, &config.addresses, &config.interfaces).unwrap_or_default();
        all.iter().map(Candidate::addr).collect()
    }

    fn failed(&self, url: &str, why: &IceFailure) {
        if self.failures.is_news(format_args!("{url}: {why}"), self.clock.mono()) {
            tracing::warn!(url, %why, "a STUN or TURN server is of no use to the box: it is asked again");
        }
    }

    async fn keep_reflexive(&self, config: &Config, mut end: Shutdown) {
        let mut answers = self.gathered.answers.subscribe();
        let servers = stun_servers(config);
        while !end.is_called() && !servers.is_empty() {
            let mut seen: Vec<(SocketAddr, SocketAddr)> = Vec::new();
            for (text, url) in &servers {
                let asked = tokio::select! {
                    asked = self.ask_stun(url, &mut answers) => asked,
                    () = end.called() => return self.gathered.set_reflexive(Vec::new()),
                };
                match asked {
                    Ok((mapped, base)) if mapped != base && !seen.contains(&(mapped, base)) => {
                        seen.push((mapped, base))
                    }
                    Ok(_) => {}
                    Err(why) => self.failed(text, &why),
                }
            }
            self.gathered.set_reflexive(seen);
            tokio::select! {
                () = self.clock.sleep(STUN_EVERY) => {}
                () = end.called() => {}
            }
        }
        self.gathered.set_reflexive(Vec::new());
    }

    /// From where a server sees the engine's port, and the address of ours that this way begins at.
    async fn ask_stun(
        &self,
        url: &IceUrl,
        answers: &mut broadcast::Receiver<Bytes>,
    ) -> std::result::Result<(SocketAddr, SocketAddr), IceFailure> {
        let server = address_of(url, &self.clock).await?;
        if server.is_ipv6() && self.port.is_ipv4() {
            return Err(IceFailure::Unreachable);
        }
        let base = match self.port.ip().is_unspecified() {
            true => local_for(server).map_err(|_| IceFailure::Unreachable)?,
            false => self.port.ip(),
        };
        let base = SocketAddr::new(base, self.port.port());
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.gathered.tag);
        id[8..].copy_from_slice(&random_bytes::<4>());
        let request = StunRequest::new(kind::BINDING, id).done();
        for wait in STUN_WAITS {
            let _ = self.gathered.to_engine.try_send(FromOutside::Ask(server, request.clone()));
            let answer = async {
                loop {
                    match answers.recv().await {
                        Ok(bytes) if bytes.get(8..20) == Some(&id[..]) => return bytes,
                        Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                        // Not while we hold what sends.
                        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                    }
                }
            };
            if let Some(bytes) = within(&self.clock, wait, answer).await {
                let message = StunMessage::read(&bytes).ok_or(IceFailure::Nonsense)?;
                let mapped = message.address(attribute::MAPPED);
                return mapped.map(|mapped| (mapped, base)).ok_or(IceFailure::Nonsense);
            }
        }
        Err(IceFailure::Silent)
    }

    async fn keep_relay(&self, config: &Config, mut end: Shutdown) {
        let servers: Vec<_> =
            config.turn.iter().filter_map(|server| Some((server, IceUrl::parse(&server.url).ok()?))).collect();
        let mut plan = RelayPlan::new(servers.len());
        while !end.is_called() {
            match plan.next(self.clock.mono()) {
                RelayStep::Ask(n) => {
                    let Some((server, url)) = servers.get(n) else { return };
                    let held = self.hold(server, url, (&mut plan, n), &mut end).await;
                    self.gathered.set_relay(None);
                    if let Err(why) = held {
                        plan.failed(n, self.clock.mono());
                        self.failed(&server.url, &why);
                    }
                }
                RelayStep::Wait(at) => tokio::select! {
                    () = self.clock.sleep_until(at.unwrap_or_else(|| self.clock.mono() + TURN)) => {}
                    () = end.called() => {}
                },
            }
        }
    }

    /// Asks for an allocation and relays by it, until it ends, until nobody uses it and a better server may be asked again, or until `end`.
    async fn hold(
        &self,
        server: &TurnServer,
        url: &IceUrl,
        (plan, n): (&mut RelayPlan, usize),
        end: &mut Shutdown,
    ) -> std::result::Result<(), IceFailure> {
        let clock = &self.clock;
        let mut link = tokio::select! {
            link = connect(url, server.ca_pem(), clock) => link?,
            () = end.called() => return Ok(()),
        };
        let credentials = server.credentials(clock.utc(), &"box");
        let is_stream = url.transport != IceTransport::Udp;
        let mut allocation = Allocation::ask(credentials, is_stream, clock.mono());
        let (out, mut from_engine) = mpsc::channel(QUEUE);
        let mut out = Some(out);
        let (mut better_at, mut give_up_at) = (None::<MonoTime>, None::<MonoTime>);
        loop {
            allocation.take_out().iter().for_each(|frame| link.outgoing.push(frame));
            let now = clock.mono();
            match allocation.phase() {
                AllocationPhase::Over(why) => return Err(why.clone()),
                AllocationPhase::GivenBack => return Ok(()),
                AllocationPhase::Held => {
                    if let (Some(out), Some(relayed)) = (out.take(), allocation.relayed()) {
                        if !may_relay_by(relayed, &self.ours()) {
                            return Err(IceFailure::Nonsense);
                        }
                        tracing::info!(url = %server.url, %relayed, "the box has a relay");
                        self.failures.ended();
                        better_at = plan.holds(n, now);
                        self.gathered.set_relay(Some(HeldRelay { relayed, local: link.local, out }));
                    }
                }
                AllocationPhase::Asking => {}
            }
            let gives_way = better_at.is_some_and(|at| at <= now) && allocation.is_idle(now);
            if give_up_at.is_none() && (gives_way || end.is_called()) {
                self.gathered.set_relay(None);
                if *allocation.phase() != AllocationPhase::Held {
                    return Ok(());
                }
                allocation.give_back(now);
                give_up_at = Some(now + GIVE_BACK_WITHIN);
                continue;
            }
            if give_up_at.is_some_and(|at| at <= now) {
                return Ok(());
            }
            let due = allocation.due().min(now + TURN).min(give_up_at.unwrap_or(now + TURN));
            tokio::select! {
                frame = link.incoming.frame() => {
                    let frame = frame?;
                    if let (Some((peer, data)), Some(relayed)) = (allocation.receive(frame, clock.mono()), allocation.relayed()) {
                        let datagram = Bytes::copy_from_slice(data);
                        // What the engine has no room for is lost, as any datagram may be.
                        let _ = self.gathered.to_engine.try_send(FromOutside::Relayed { peer, relayed, datagram });
                    }
                }
                flushed = link.outgoing.flush(), if link.outgoing.has_waiting() => flushed?,
                Some((peer, data)) = from_engine.recv() => {
                    let waiting = std::iter::from_fn(|| from_engine.try_recv().ok()).take(BATCH);
                    for (peer, data) in std::iter::once((peer, data)).chain(waiting) {
                        allocation.send(peer, &data, now);
                    }
                }
                () = clock.sleep_until(due) => {}
                () = end.called(), if give_up_at.is_none() => {}
            }
            allocation.tick(clock.mono());
        }
    }
}

/// The servers that are asked from where the port is seen. A TURN server answers that, too.
fn stun_servers(config: &Config) -> Vec<(&str, IceUrl)> {
    let all = config.stun.iter().chain(config.turn.iter().map(|server| &server.url));
    let all = all.filter_map(|text| Some((text.as_str(), IceUrl::parse(text).ok()?)));
    let mut servers: Vec<(&str, IceUrl)> = Vec::new();
    for (text, url) in all.filter(|(_, url)| url.transport == IceTransport::Udp) {
        if !servers.iter().any(|(_, known)| (&known.host, known.port) == (&url.host, url.port)) {
            servers.push((text, url));
        }
    }
    servers.truncate(MOST_STUN);
    servers
}

#[cfg(test)]
#[path = "gatherer_tests.rs"]
mod tests;
