//! What was gathered, shared by the engine and whoever gathers.

use bytes::Bytes;
use perch_base::secret::random_bytes;
use perch_base::sync::{read, write};
use std::net::SocketAddr;
use std::sync::RwLock;
use str0m::Candidate;
use tokio::sync::{Notify, broadcast, mpsc};

/// Datagrams that wait for the engine, or for the relay, at most: beyond that they are lost.
pub const QUEUE: usize = 512;
/// Answers of STUN servers that wait for whoever asked.
const ANSWERS: usize = 16;

/// What the engine is handed.
#[derive(Debug)]
pub enum FromOutside {
    /// A datagram that came by the relay.
    Relayed {
        /// Whose it is.
        peer: SocketAddr,
        /// The relayed address that it came to.
        relayed: SocketAddr,
        /// What it is.
        datagram: Bytes,
    },
    /// A question to a STUN server, which must leave by the engine's port.
    Ask(SocketAddr, Vec<u8>),
}

/// The relay that is held now.
#[derive(Clone, Debug)]
pub struct HeldRelay {
    /// The box's address there.
    pub relayed: SocketAddr,
    /// Where the way to it begins here.
    pub local: SocketAddr,
    /// What is to be relayed, and to whom.
    pub out: mpsc::Sender<(SocketAddr, Bytes)>,
}

#[derive(Debug, Default)]
struct Now {
    relay: Option<HeldRelay>,
    /// How the port is seen from outside, and where that way begins here.
    reflexive: Vec<(SocketAddr, SocketAddr)>,
}

/// What was gathered, shared by the engine and the gatherer.
#[derive(Debug)]
pub struct Gathered {
    state: RwLock<Now>,
    /// What the engine is to do.
    pub to_engine: mpsc::Sender<FromOutside>,
    /// Answers of STUN servers.
    pub answers: broadcast::Sender<Bytes>,
    /// The first bytes of the ids of our questions to STUN servers.
    pub tag: [u8; 8],
    /// Rung when settings changed.
    pub changed: Notify,
}

impl Gathered {
    /// Nothing yet, and what the engine will be handed.
    pub fn new() -> (Self, mpsc::Receiver<FromOutside>) {
        let (to_engine, from_outside) = mpsc::channel(QUEUE);
        let (answers, _) = broadcast::channel(ANSWERS);
        let state = RwLock::default();
        (Self { state, to_engine, answers, tag: random_bytes(), changed: Notify::new() }, from_outside)
    }

    /// From where the port is seen. A way that begins at none of our addresses `ours` leads nowhere.
    pub fn reflexive(&self, ours: &[Candidate]) -> Vec<Candidate> {
        let state = read(&self.state);
        let begins = |base: &SocketAddr| ours.iter().any(|candidate| candidate.addr() == *base);
        let usable = state.reflexive.iter().filter(|(_, base)| begins(base));
        usable.filter_map(|(seen, base)| Candidate::server_reflexive(*seen, *base, "udp").ok()).collect()
    }

    /// The box's address at a relay.
    pub fn relayed(&self) -> Option<Candidate> {
        let state = read(&self.state);
        state.relay.as_ref().and_then(|relay| Candidate::relayed(relay.relayed, relay.local, "udp").ok())
    }

    /// Sends a datagram by the relay whose address is `source`. False: that is none.
    pub fn relay(&self, source: SocketAddr, destination: SocketAddr, datagram: &[u8]) -> bool {
        let state = read(&self.state);
        let Some(relay) = state.relay.as_ref().filter(|relay| relay.relayed == source) else { return false };
        // What does not fit is lost, as any datagram may be.
        let _ = relay.out.try_send((destination, Bytes::copy_from_slice(datagram)));
        true
    }

    /// Whether an address is the box's own at a relay.
    pub fn is_relay(&self, address: SocketAddr) -> bool {
        read(&self.state).relay.as_ref().is_some_and(|relay| relay.relayed == address)
    }

    /// Takes an answer to a question of the gatherer's. False: it is none.
    pub fn take_answer(&self, datagram: &[u8]) -> bool {
        let is_ours = datagram.get(8..16) == Some(&self.tag[..]);
        if is_ours {
            let _ = self.answers.send(Bytes::copy_from_slice(datagram));
        }
        is_ours
    }

    /// Another relay is held, or none.
    pub fn set_relay(&self, relay: Option<HeldRelay>) {
        write(&self.state).relay = relay;
    }

    /// The port is seen otherwise.
    pub fn set_reflexive(&self, reflexive: Vec<(SocketAddr, SocketAddr)>) {
        write(&self.state).reflexive = reflexive;
    }
}
