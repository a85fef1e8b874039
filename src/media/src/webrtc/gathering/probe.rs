//! One server tried once, for the connection doctor: with sockets of its own, and nothing kept of it.

use super::allocation::{Allocation, AllocationPhase};
use super::link::connect;
use super::stun::{StunMessage, StunRequest, attribute, kind};
use crate::webrtc::config::TurnServer;
use perch_base::clock::{SharedClock, within};
use perch_base::secret::random_bytes;
use perch_domain::ice_url::{IceTransport, IceUrl};
use perch_domain::relay::IceFailure;
use std::net::SocketAddr;
use std::time::Duration;

/// How long one server may take, all in all.
const WITHIN: Duration = Duration::from_secs(10);
/// A question to a STUN server is asked so often, so long apart.
const STUN_TRIES: u32 = 4;
const STUN_WAIT: Duration = Duration::from_millis(700);

/// The address that a STUN server sees the box by, or that a TURN server relays by. Takes ten seconds at most.
pub async fn try_server(text: &str, turn: Option<&TurnServer>, clock: &SharedClock) -> Result<SocketAddr, IceFailure> {
    let url = IceUrl::parse(text).map_err(|_| IceFailure::UnknownName)?;
    let tried = async {
        match turn {
            Some(server) => try_turn(&url, server, clock).await,
            None => try_stun(&url, clock).await,
        }
    };
    within(clock, WITHIN, tried).await.unwrap_or(Err(IceFailure::Silent))
}

async fn try_stun(url: &IceUrl, clock: &SharedClock) -> Result<SocketAddr, IceFailure> {
    let mut link = connect(url, None, clock).await?;
    let request = StunRequest::new(kind::BINDING, random_bytes()).done();
    for _ in 0..STUN_TRIES {
        link.outgoing.push(&request);
        if let Some(frame) = within(clock, STUN_WAIT, link.incoming.frame()).await {
            let message = StunMessage::read(frame?).ok_or(IceFailure::Nonsense)?;
            return message.address(attribute::MAPPED).ok_or(IceFailure::Nonsense);
        }
    }
    Err(IceFailure::Silent)
}

async fn try_turn(url: &IceUrl, server: &TurnServer, clock: &SharedClock) -> Result<SocketAddr, IceFailure> {
    let mut link = connect(url, server.ca_pem(), clock).await?;
    let is_stream = url.transport != IceTransport::Udp;
    let mut allocation = Allocation::ask(server.credentials(clock.utc(), &"doctor"), is_stream, clock.mono());
    let mut relayed = None;
    loop {
        allocation.take_out().iter().for_each(|frame| link.outgoing.push(frame));
        match (allocation.phase(), relayed) {
            (AllocationPhase::Held, None) => {
                relayed = allocation.relayed();
                allocation.give_back(clock.mono());
                continue;
            }
            // Whether it could be given back does not matter: it lapses.
            (AllocationPhase::GivenBack | AllocationPhase::Over(_), Some(relayed)) => return Ok(relayed),
            (AllocationPhase::Over(why), None) => return Err(why.clone()),
            _ => {}
        }
        tokio::select! {
            frame = link.incoming.frame() => drop(allocation.receive(frame?, clock.mono())),
            flushed = link.outgoing.flush(), if link.outgoing.has_waiting() => flushed?,
            () = clock.sleep_until(allocation.due()) => allocation.tick(clock.mono()),
        }
    }
}
