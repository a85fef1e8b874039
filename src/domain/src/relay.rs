//! The box's own relay: which of the owner's TURN servers it asks, and when again; how long a way through it is kept for a viewer.

use crate::update::clean;
use perch_base::time::MonoTime;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a server that failed is left alone at first, and at most.
const REST: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
/// A relay that nobody uses gives way to a server that stands before its own, which is asked again so often.
const BETTER_EVERY: Duration = Duration::from_secs(600);
/// Peers that the box lets through one relay at a time, those that lapse among them.
pub const MAX_RELAY_PEERS: usize = 256;
/// A way to a peer is renewed so long after it was opened, before the relay's permission lapses (300 s, RFC 8656, section 9).
pub const RENEW_PEER_AFTER: Duration = Duration::from_secs(240);
/// A way that nothing was sent by for so long is not renewed.
pub const PEER_IS_USED_FOR: Duration = Duration::from_secs(60);
/// A peer that the relay refused is not asked for again for so long.
pub const REFUSED_PEER_RESTS: Duration = Duration::from_secs(300);

/// Why a STUN or TURN server is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IceFailure {
    /// Its name leads nowhere.
    UnknownName,
    /// It was not reached: nobody listens there, or no way leads there.
    Unreachable,
    /// Nothing came back in time.
    Silent,
    /// Its certificate does not prove it, or it speaks no TLS.
    Untrusted(String),
    /// It refused the credentials: the secret is another one, or one of both clocks is wrong.
    Unauthorized,
    /// It has no more room (RFC 8656: 486, 508).
    Full,
    /// It refused with this code.
    Refused(u16),
    /// What it answered is no STUN or TURN.
    Nonsense,
    /// It held, and ended.
    Lost,
    /// The box does not do that (DTLS).
    Unsupported,
}

impl IceFailure {
    /// It proves itself by nothing, as a library said: with the names of its certificate, say, which are as many and as long as it likes.
    pub fn untrusted(said: &str) -> Self {
        Self::Untrusted(clean(said))
    }
}

impl fmt::Display for IceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName => f.write_str("its name is not known to the name service"),
            Self::Unreachable => f.write_str("it cannot be reached"),
            Self::Silent => f.write_str("it does not answer"),
            Self::Untrusted(why) => write!(f, "it cannot be trusted: {why}"),
            Self::Unauthorized => f.write_str("it refuses the box's credentials"),
            Self::Full => f.write_str("it has no room left"),
            Self::Refused(code) => write!(f, "it refuses, with code {code}"),
            Self::Nonsense => f.write_str("what answers there is no such server"),
            Self::Lost => f.write_str("it broke off"),
            Self::Unsupported => f.write_str("the box does not speak DTLS to relays"),
        }
    }
}

/// Whether the box takes `relayed` for its address at a relay: one that leads somewhere, and none of `ours`. What leaves by the relay is told by that
/// address, so a server that names an own one of the box's would be sent all that the box sends directly.
pub fn may_relay_by(relayed: SocketAddr, ours: &[SocketAddr]) -> bool {
    let ip = relayed.ip().to_canonical();
    let leads_nowhere = match ip {
        IpAddr::V4(v4) => v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local(),
    };
    let is_ours = ours.iter().any(|own| (own.ip().to_canonical(), own.port()) == (ip, relayed.port()));
    relayed.port() != 0 && !leads_nowhere && !is_ours
}

#[derive(Clone, Copy, Debug, Default)]
struct Attempts {
    failures: u32,
    again_at: Option<MonoTime>,
}

/// What the box does about its relay next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayStep {
    /// Ask this server, by its place in the config.
    Ask(usize),
    /// Nothing until then; `None`: there is no server.
    Wait(Option<MonoTime>),
}

/// Which server is asked: the first in the owner's order that works, one at a time.
#[derive(Debug)]
pub struct RelayPlan(Vec<Attempts>);

impl RelayPlan {
    /// Of so many servers, none of which was asked yet.
    pub fn new(servers: usize) -> Self {
        Self(vec![Attempts::default(); servers])
    }

    /// What to do now, while no server relays.
    pub fn next(&self, now: MonoTime) -> RelayStep {
        match self.0.iter().position(|server| server.again_at.is_none_or(|at| at <= now)) {
            Some(server) => RelayStep::Ask(server),
            None => RelayStep::Wait(self.0.iter().filter_map(|server| server.again_at).min()),
        }
    }

    /// A server failed: it rests, for longer each time.
    pub fn failed(&mut self, server: usize, now: MonoTime) {
        if let Some(attempts) = self.0.get_mut(server) {
            let rest = REST.0 * 2u32.pow(attempts.failures.min(6));
            attempts.failures += 1;
            attempts.again_at = Some(now + rest.min(REST.1));
        }
    }

    /// A server relays: it failed no more. Returns when those before it may be asked again, if there are any.
    pub fn holds(&mut self, server: usize, now: MonoTime) -> Option<MonoTime> {
        if let Some(attempts) = self.0.get_mut(server) {
            *attempts = Attempts::default();
        }
        let again_at = now + BETTER_EVERY;
        self.0.iter_mut().take(server).for_each(|before| before.again_at = Some(again_at));
        (server > 0).then_some(again_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: i64) -> MonoTime {
        MonoTime(seconds * 1_000_000)
    }

    #[test]
    fn what_a_server_has_in_its_certificate_is_said_in_one_line() {
        let names = "only valid for x.example\n, ".repeat(10_000);
        let said = IceFailure::untrusted(&names).to_string();
        assert!(said.len() < 500 && !said.contains('\n') && said.contains("x.example"), "{said}");
    }

    #[test]
    fn a_relay_names_an_address_of_its_own() {
        let ours = ["192.168.1.20:8189", "[::1]:8189"].map(|own| own.parse().expect("an address"));
        for (relayed, may) in [
            ("203.0.113.9:50000", true),
            ("192.168.1.20:50000", true),
            ("192.168.1.21:8189", true),
            ("127.0.0.1:50000", true),
            ("192.168.1.20:8189", false),
            ("[::ffff:192.168.1.20]:8189", false),
            ("[::1]:8189", false),
            ("203.0.113.9:0", false),
            ("0.0.0.0:50000", false),
            ("[::]:50000", false),
            ("255.255.255.255:50000", false),
            ("239.0.0.1:50000", false),
            ("[ff02::1]:50000", false),
            ("169.254.1.1:50000", false),
            ("[fe80::1]:50000", false),
        ] {
            assert_eq!(may_relay_by(relayed.parse().expect("an address"), &ours), may, "{relayed}");
        }
    }

    #[test]
    fn the_first_that_works_is_held_and_the_others_rest() {
        let mut plan = RelayPlan::new(3);
        assert_eq!(plan.next(s(0)), RelayStep::Ask(0));
        plan.failed(0, s(0));
        assert_eq!(plan.next(s(0)), RelayStep::Ask(1));
        plan.failed(1, s(1));
        assert_eq!(plan.next(s(1)), RelayStep::Ask(2));
        plan.failed(2, s(2));
        assert_eq!(plan.next(s(2)), RelayStep::Wait(Some(s(5))));
        assert_eq!(plan.next(s(5)), RelayStep::Ask(0));
        plan.failed(0, s(5));
        assert_eq!(plan.next(s(6)), RelayStep::Ask(1), "twice as long as before");
        assert_eq!(plan.holds(1, s(7)), Some(s(607)));
        plan.failed(1, s(60));
        assert_eq!(plan.next(s(60)), RelayStep::Ask(2), "the one before it is left alone meanwhile");
        assert_eq!(plan.next(s(607)), RelayStep::Ask(0));
        assert_eq!(plan.holds(0, s(608)), None);
    }

    #[test]
    fn a_server_that_never_works_is_asked_every_five_minutes() {
        let (mut plan, mut now, mut asked) = (RelayPlan::new(1), s(0), 0);
        while now < s(86_400) {
            match plan.next(now) {
                RelayStep::Ask(server) => {
                    asked += 1;
                    plan.failed(server, now);
                }
                RelayStep::Wait(at) => now = at.expect("there is one"),
            }
        }
        assert!((280..300).contains(&asked), "{asked} times a day");
        assert_eq!(RelayPlan::new(0).next(s(0)), RelayStep::Wait(None));
    }
}
