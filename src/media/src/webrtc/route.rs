//! Whose a datagram is, from the port or from outside, and its way to that session.

use super::demux::{DatagramKind, Demux, Key, classify};
use super::gathering::FromOutside;
use super::machine::Outbox;
use super::session::Session;
use super::shared::Shared;
use perch_base::ids::LeaseId;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// A datagram that came.
pub struct CameDatagram<'a> {
    /// Whose it is.
    pub from: SocketAddr,
    /// The address of the box's own that it came to, at a relay or here.
    pub to: SocketAddr,
    /// What it is.
    pub datagram: &'a [u8],
    /// When it came.
    pub now: Instant,
}

/// Hands a datagram to its session. False: it belongs to none.
pub fn route(
    shared: &Shared,
    sessions: &mut BTreeMap<Key, Session>,
    demux: &mut Demux,
    stun_budget: &mut u32,
    came: &CameDatagram<'_>,
    out: &mut dyn Outbox,
) -> bool {
    let CameDatagram { from, to, datagram, now } = *came;
    let key = match classify(datagram) {
        DatagramKind::Request(ufrag) => demux.ufrag(ufrag),
        DatagramKind::Media => demux.address(from),
        DatagramKind::Stun if shared.gathered.take_answer(datagram) => return true,
        DatagramKind::Stun => {
            let known = demux.address(from);
            if known.is_none() {
                // An answer to a check of ours, from where nothing came before.
                let Some(left) = stun_budget.checked_sub(1) else { return false };
                *stun_budget = left;
            }
            known.or_else(|| sessions.iter().find(|(_, s)| s.proves(from, to, datagram, now)).map(|(k, _)| *k))
        }
        DatagramKind::Junk => None,
    };
    let Some((key, session)) = key.and_then(|key| Some((key, sessions.get_mut(&key)?))) else { return false };
    let stun = !matches!(classify(datagram), DatagramKind::Media);
    let received = guarded(shared, session.lease, || {
        // From the first proof on, what else comes from there is the session's: DTLS begins before our own checks succeed.
        if stun && demux.address(from) != Some(key) && session.proves(from, to, datagram, now) {
            demux.add_address(from, key);
        }
        session.receive(from, to, datagram, now, out);
    });
    if received.is_none() {
        session.break_down();
    }
    true
}

/// Does `work` for the session of `lease`. `None`: a defect in the protocol library stopped it, which ends that session but not
/// its neighbours.
pub fn guarded<T>(shared: &Shared, lease: LeaseId, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).inspect_err(|panic| shared.met_defect(Some(lease), &**panic)).ok()
}

/// Takes what the gatherer hands in: what came by a relay, and questions that leave by the port.
pub fn take_from_outside(
    shared: &Shared,
    sessions: &mut BTreeMap<Key, Session>,
    demux: &mut Demux,
    stun_budget: &mut u32,
    from_outside: &FromOutside,
    out: &mut dyn Outbox,
) {
    match from_outside {
        FromOutside::Ask(server, question) => {
            let any: IpAddr =
                if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            out.push(SocketAddr::new(any, 0), *server, question);
        }
        FromOutside::Relayed { peer, relayed, datagram } => {
            shared.counters.packets_in.fetch_add(1, Relaxed);
            // Real time, as in the engine: str0m's.
            let came = CameDatagram { from: *peer, to: *relayed, datagram, now: Instant::now() };
            if !route(shared, sessions, demux, stun_budget, &came, out) {
                shared.counters.packets_foreign.fetch_add(1, Relaxed);
            }
        }
    }
}
