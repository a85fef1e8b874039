//! The connection doctor: what became of each way by which live pictures reach viewers, seen from the box, in words; which way a phone away
//! would take; what is to be changed.

use crate::ice_url::IceTransport;
use crate::relay::IceFailure;
use serde::Serialize;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveWay {
    /// Within the house.
    House,
    /// By IPv6, from outside.
    Ipv6,
    /// By the address that a STUN server sees.
    Stun,
    /// By a relay over UDP.
    TurnUdp,
    /// By a relay over TCP.
    TurnTcp,
    /// By a relay over TLS.
    TurnTls,
    /// Over HTTPS, as the page comes.
    Hls,
}

impl LiveWay {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 7] =
        [Self::House, Self::Ipv6, Self::Stun, Self::TurnUdp, Self::TurnTcp, Self::TurnTls, Self::Hls];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::House => "In the house",
            Self::Ipv6 => "IPv6",
            Self::Stun => "STUN",
            Self::TurnUdp => "Relay over UDP",
            Self::TurnTcp => "Relay over TCP",
            Self::TurnTls => "Relay over TLS",
            Self::Hls => "Over HTTPS",
        }
    }

    fn of(transport: IceTransport) -> Self {
        match transport {
            IceTransport::Udp => Self::TurnUdp,
            IceTransport::Tcp => Self::TurnTcp,
            IceTransport::Tls | IceTransport::Dtls => Self::TurnTls,
        }
    }
}

/// What became of a server that was tried: the address that it sees, or relays by.
pub type ServerAnswer = Result<SocketAddr, IceFailure>;

/// What was found out.
#[derive(Clone, Debug)]
pub struct LiveFacts {
    /// The UDP port of live pictures.
    pub port: u16,
    /// Whether that serves IPv4 alone.
    pub is_v4_only: bool,
    /// Whether viewers are told the box's address at its relay alone.
    pub relay_only: bool,
    /// The box's own addresses that viewers are told, without loopback.
    pub house: Vec<IpAddr>,
    /// Addresses that the owner told to be offered.
    pub advertised: Vec<IpAddr>,
    /// Each STUN server.
    pub stun: Vec<(String, ServerAnswer)>,
    /// Each TURN server.
    pub turn: Vec<(String, IceTransport, ServerAnswer)>,
}

/// What was found out of pictures over HTTPS.
#[derive(Clone, Debug)]
pub struct HttpsFacts {
    /// Where the page is served.
    pub listen: SocketAddr,
    /// What became of it.
    pub tried: HttpsTry,
}

/// What became of pictures over HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpsTry {
    /// The page does not answer.
    NoAnswer,
    /// The page answers; pictures were not asked for.
    Answers,
    /// No camera gives any.
    NoCamera,
    /// Those of the camera of this name came.
    Came(String),
    /// Those of the camera of this name did not, for this reason: a sentence without a full stop.
    Failed(String, String),
}

impl HttpsFacts {
    fn works(&self) -> bool {
        let is_there = !matches!(self.tried, HttpsTry::NoAnswer | HttpsTry::Failed(..));
        is_there && !self.listen.ip().is_loopback()
    }
}

/// A way as it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WayFound {
    /// Which.
    pub way: LiveWay,
    /// By which server, if by any.
    pub server: Option<String>,
    /// Whether it can be gone.
    pub works: bool,
    /// How it is: a sentence without a full stop.
    pub says: String,
    /// What is to be done, where something is: likewise.
    pub advice: Option<String>,
}

/// What is said of all ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveDiagnosis {
    /// Each way, at least once.
    pub ways: Vec<WayFound>,
    /// Which way a phone away would take: a sentence without a full stop.
    pub away: String,
    /// What would make that better, where something would: likewise.
    pub advice: Option<String>,
}

/// Judges what was found out.
pub fn diagnose(facts: &LiveFacts, https: &HttpsFacts) -> LiveDiagnosis {
    let mut ways = vec![house(facts), ipv6(facts)];
    ways.extend(stun(facts));
    for way in [LiveWay::TurnUdp, LiveWay::TurnTcp, LiveWay::TurnTls] {
        ways.extend(turn(facts, way));
    }
    ways.push(hls(https));
    let (away, advice) = away(facts, https.works());
    LiveDiagnosis { ways, away, advice: advice.map(str::to_owned) }
}

fn found(way: LiveWay, server: Option<&str>, works: bool, says: impl Into<String>, advice: Option<String>) -> WayFound {
    WayFound { way, server: server.map(str::to_owned), works, says: says.into(), advice }
}

fn listed(addresses: &[impl Display]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn house(facts: &LiveFacts) -> WayFound {
    let of =
        |works, says: String, advice: Option<&str>| found(LiveWay::House, None, works, says, advice.map(str::to_owned));
    if facts.relay_only {
        let says = "viewers are told the relay alone, not the box's own addresses".to_owned();
        return of(false, says, Some("set webrtc.relay_only = false to have pictures stay in the house"));
    }
    if facts.house.is_empty() {
        let says = "the box has no address in a network, or the port is bound to this machine alone".to_owned();
        return of(false, says, Some("connect the box to the house's network, and look at webrtc.udp_listen"));
    }
    of(true, format!("viewers reach the box at {}, UDP port {}", listed(&facts.house), facts.port), None)
}

fn ipv6(facts: &LiveFacts) -> WayFound {
    let of = |works, says: String, advice: Option<String>| found(LiveWay::Ipv6, None, works, says, advice);
    if facts.is_v4_only {
        let advice = format!("set webrtc.udp_listen = \"[::]:{}\"", facts.port);
        return of(false, "the port of live pictures serves IPv4 alone".to_owned(), Some(advice));
    }
    let all: Vec<IpAddr> = facts.house.iter().copied().filter(IpAddr::is_ipv6).collect();
    let from_outside: Vec<IpAddr> = all.iter().copied().filter(|ip| is_public(*ip)).collect();
    if !from_outside.is_empty() {
        let says = format!("the box has {}", listed(&from_outside));
        let advice = format!(
            "where phones away do not come this way, let UDP port {} through the router's firewall",
            facts.port
        );
        return of(true, says, Some(advice));
    }
    let says =
        if all.is_empty() { "the box has no IPv6 address" } else { "the box has IPv6 addresses for the house alone" };
    of(false, says.to_owned(), None)
}

fn stun(facts: &LiveFacts) -> Vec<WayFound> {
    if facts.stun.is_empty() {
        let advice = "name one in webrtc.stun, so that phones away find a direct way through most routers".to_owned();
        return vec![found(LiveWay::Stun, None, false, "no STUN server is set", Some(advice))];
    }
    let of = |(server, answer): &(String, ServerAnswer)| match answer {
        Ok(seen) if facts.house.contains(&seen.ip()) => found(
            LiveWay::Stun,
            Some(server),
            true,
            format!("it sees the box at its own address {}: no router is between", seen.ip()),
            None,
        ),
        Ok(seen) => found(LiveWay::Stun, Some(server), true, format!("it sees the box at {}", seen.ip()), None),
        Err(why) => {
            found(LiveWay::Stun, Some(server), false, why.to_string(), Some(mended(why, IceTransport::Udp).to_owned()))
        }
    };
    facts.stun.iter().map(of).collect()
}

fn turn(facts: &LiveFacts, way: LiveWay) -> Vec<WayFound> {
    let servers: Vec<_> = facts.turn.iter().filter(|(_, transport, _)| LiveWay::of(*transport) == way).collect();
    if servers.is_empty() {
        let advice = match way {
            LiveWay::TurnUdp => "add one to webrtc.turn: image/coturn has what a server of yours needs",
            LiveWay::TurnTcp => "add the same server with ?transport=tcp, for networks that let no UDP through",
            _ => "add the same server as turns:, for networks that let nothing but encrypted pages through",
        };
        return vec![found(way, None, false, "no such relay is set", Some(advice.to_owned()))];
    }
    let of = |(server, transport, answer): &&(String, IceTransport, ServerAnswer)| match answer {
        Ok(relayed) if !is_public(relayed.ip()) => {
            let says = format!("it relays by {}, which only its own network reaches", relayed.ip());
            let advice =
                "set external-ip in the relay's configuration, unless viewers are in that network, too".to_owned();
            found(way, Some(server), true, says, Some(advice))
        }
        Ok(relayed) => found(way, Some(server), true, format!("it relays by {}", relayed.ip()), None),
        Err(why) => found(way, Some(server), false, why.to_string(), Some(mended(why, *transport).to_owned())),
    };
    servers.iter().map(of).collect()
}

fn hls(facts: &HttpsFacts) -> WayFound {
    let of =
        |works, says: String, advice: Option<&str>| found(LiveWay::Hls, None, works, says, advice.map(str::to_owned));
    let port = facts.listen.port();
    if facts.listen.ip().is_loopback() {
        let advice = format!("set http.listen = \"0.0.0.0:{port}\"");
        return of(false, "the page is served to this machine alone".to_owned(), Some(&advice));
    }
    let whom = format!("whoever reaches the page, at port {port}, gets pictures this way where no other is open");
    match &facts.tried {
        HttpsTry::NoAnswer => {
            let says = format!("the page does not answer at port {port}");
            of(false, says, Some("start perch, or wait until it has started, and try again"))
        }
        HttpsTry::Answers => of(true, whom, None),
        HttpsTry::NoCamera => of(true, format!("{whom}; no camera gives any to try it with"), None),
        HttpsTry::Came(camera) => of(true, format!("{whom}: those of {camera} came"), None),
        HttpsTry::Failed(camera, why) => {
            let says = format!("pictures of {camera} did not come: {why}");
            of(false, says, Some("see on the page how that camera is, and try again"))
        }
    }
}

/// What to do about a server that failed.
fn mended(why: &IceFailure, transport: IceTransport) -> &'static str {
    match why {
        IceFailure::UnknownName => "correct the server's name, or the name service of the box's network",
        IceFailure::Unreachable | IceFailure::Lost => {
            "see that the server runs and that its firewall lets its port through"
        }
        IceFailure::Silent if transport == IceTransport::Udp => {
            "see that the server runs; a firewall here or there may drop UDP: a relay over TCP or TLS gets through more"
        }
        IceFailure::Silent => "see that the server runs and that no firewall drops what goes to its port",
        IceFailure::Untrusted(_) => "give the server a certificate of its name, or name its authority in ca_file",
        IceFailure::Unauthorized => {
            "write the server's own static-auth-secret into the file of secret_file, and set both clocks right"
        }
        IceFailure::Full => "raise user-quota and total-quota of the server",
        IceFailure::Refused(_) => "look into the server's log",
        IceFailure::Nonsense => "correct the port: another service answers there",
        IceFailure::Unsupported => "write ?transport=tcp instead of ?transport=udp after turns:",
    }
}

/// `over_https`: pictures come over HTTPS to whoever reaches the page.
fn away(facts: &LiveFacts, over_https: bool) -> (String, Option<&'static str>) {
    let relay = [IceTransport::Udp, IceTransport::Tcp, IceTransport::Tls]
        .into_iter()
        .find(|wanted| facts.turn.iter().any(|(_, transport, answer)| transport == wanted && answer.is_ok()));
    let seen = facts.stun.iter().find_map(|(_, answer)| answer.as_ref().ok());
    let no_relay = "set up a relay (image/coturn has what it needs): some networks let no direct way through";
    let only_udp = "add the relay over TCP and TLS as well: some networks let no UDP through";
    let open = |facts: &LiveFacts| {
        let own = facts.house.iter().find(|ip| ip.is_ipv4() && is_public(**ip));
        own.or(facts.advertised.first()).copied()
    };
    let by_relay = |transport: IceTransport| format!("by the relay over {transport}");
    let more = match relay {
        None => Some(no_relay),
        Some(_)
            if facts.turn.iter().all(|(_, transport, answer)| *transport == IceTransport::Udp || answer.is_err()) =>
        {
            Some(only_udp)
        }
        Some(_) => None,
    };
    let last = if over_https { "it gets pictures over HTTPS, a little later" } else { "it sees nothing" };
    let v6 = !facts.is_v4_only && facts.house.iter().any(|ip| ip.is_ipv6() && is_public(*ip));
    if facts.relay_only {
        return match relay {
            Some(transport) => (format!("a phone away comes {}", by_relay(transport)), more),
            None => {
                let sees = if over_https { "gets pictures over HTTPS alone" } else { "sees nothing" };
                let why = "viewers are told the relay alone, and no relay works";
                (format!("a phone away {sees}: {why}"), Some(no_relay))
            }
        };
    }
    match (open(facts), seen, relay) {
        (Some(ip), _, Some(transport)) => {
            (format!("a phone away comes directly to {ip}, or, where UDP is blocked, {}", by_relay(transport)), more)
        }
        (Some(ip), _, None) => (format!("a phone away comes directly to {ip}; where UDP is blocked, {last}"), more),
        (None, Some(seen), Some(transport)) => {
            let direct = "a phone away comes directly where its network and the router here let that be";
            (format!("{direct} (the box is seen at {}), else {}", seen.ip(), by_relay(transport)), more)
        }
        (None, Some(seen), None) => {
            let direct = "a phone away comes directly where its network and the router here let that be";
            (format!("{direct} (the box is seen at {}), else {last}", seen.ip()), more)
        }
        (None, None, Some(transport)) => (format!("a phone away comes {}", by_relay(transport)), more),
        (None, None, None) if v6 => {
            let by_vpn = if over_https { "" } else { ", unless a VPN leads it into the house" };
            let direct = "a phone away comes by IPv6, if it has that and the router here lets it in";
            (format!("{direct}; else {last}{by_vpn}"), more)
        }
        (None, None, None) if over_https => {
            ("a phone away gets pictures over HTTPS alone, a little later, if it reaches the page".to_owned(), more)
        }
        (None, None, None) => ("a phone away sees nothing, unless a VPN leads it into the house".to_owned(), more),
    }
}

/// Whether everybody's networks lead to an address.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || is_shared
                || ip >= Ipv4Addr::new(224, 0, 0, 0))
        }
        // 2000::/3 is all that is given out (RFC 4291, section 2.4).
        IpAddr::V6(ip) => ip.segments()[0] >> 13 == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn at(text: &str) -> ServerAnswer {
        Ok(SocketAddr::new(ip(text), 4000))
    }

    fn facts() -> LiveFacts {
        LiveFacts {
            port: 8189,
            is_v4_only: false,
            relay_only: false,
            house: vec![ip("192.168.1.20"), ip("fd00::20")],
            advertised: Vec::new(),
            stun: Vec::new(),
            turn: Vec::new(),
        }
    }

    fn https(listen: &str, tried: HttpsTry) -> HttpsFacts {
        HttpsFacts { listen: listen.parse().expect("an address"), tried }
    }

    fn loopback() -> HttpsFacts {
        https("127.0.0.1:8443", HttpsTry::Answers)
    }

    fn relay(transport: IceTransport, answer: ServerAnswer) -> (String, IceTransport, ServerAnswer) {
        (format!("turn:t over {transport}"), transport, answer)
    }

    #[test]
    fn each_way_is_told_of_at_least_once_with_what_to_do() {
        let diagnosis = diagnose(&facts(), &loopback());
        let ways: Vec<_> = diagnosis.ways.iter().map(|way| (way.way, way.works)).collect();
        assert_eq!(ways, LiveWay::ALL.map(|way| (way, way == LiveWay::House)));
        for way in &diagnosis.ways {
            assert!(!way.says.is_empty() && !way.says.ends_with('.'), "{way:?}");
            assert!(way.works || way.advice.is_some() || way.way == LiveWay::Ipv6, "{way:?}");
        }
        assert_eq!(diagnosis.away, "a phone away sees nothing, unless a VPN leads it into the house");
        assert!(diagnosis.advice.is_some_and(|advice| advice.contains("image/coturn")));
    }

    #[test]
    fn which_way_a_phone_away_takes() {
        use IceTransport::{Tcp, Tls, Udp};
        let nat = ("stun:s".to_owned(), at("203.0.113.9"));
        let silent = || Err(IceFailure::Silent);
        for (stun, turn, house, want) in [
            (vec![], vec![], vec!["192.168.1.20", "2001:db8::20"], "a phone away comes by IPv6, if it has that"),
            (
                vec![nat.clone()],
                vec![],
                vec!["192.168.1.20"],
                "a phone away comes directly where its network and the router here let that be (the box is seen at 203.0.113.9), else it sees nothing",
            ),
            (
                vec![nat.clone()],
                vec![relay(Udp, at("198.51.100.1"))],
                vec!["192.168.1.20"],
                "a phone away comes directly where its network and the router here let that be (the box is seen at 203.0.113.9), else by the relay over UDP",
            ),
            (
                vec![nat],
                vec![relay(Udp, silent()), relay(Tls, at("198.51.100.1"))],
                vec!["192.168.1.20"],
                "a phone away comes directly where its network and the router here let that be (the box is seen at 203.0.113.9), else by the relay over TLS",
            ),
            (
                vec![],
                vec![relay(Tcp, at("198.51.100.1"))],
                vec!["192.168.1.20"],
                "a phone away comes by the relay over TCP",
            ),
            (
                vec![],
                vec![],
                vec!["203.0.113.20"],
                "a phone away comes directly to 203.0.113.20; where UDP is blocked, it sees nothing",
            ),
            (
                vec![],
                vec![relay(Tls, at("198.51.100.1"))],
                vec!["203.0.113.20"],
                "a phone away comes directly to 203.0.113.20, or, where UDP is blocked, by the relay over TLS",
            ),
        ] {
            let facts = LiveFacts { stun, turn, house: house.into_iter().map(ip).collect(), ..facts() };
            let said = diagnose(&facts, &loopback()).away;
            assert!(said.starts_with(want), "{said}\n{facts:?}");
        }
        let alone = |turn| diagnose(&LiveFacts { relay_only: true, turn, ..facts() }, &loopback());
        assert!(alone(vec![]).away.starts_with("a phone away sees nothing: viewers are told the relay alone"));
        assert_eq!(alone(vec![relay(Udp, at("198.51.100.1"))]).away, "a phone away comes by the relay over UDP");
        let advised = diagnose(&LiveFacts { advertised: vec![ip("203.0.113.7")], ..facts() }, &loopback());
        assert_eq!(advised.away, "a phone away comes directly to 203.0.113.7; where UDP is blocked, it sees nothing");
    }

    #[test]
    fn what_is_wrong_with_a_relay_is_told_with_what_to_change() {
        for (why, says, advice) in [
            (IceFailure::UnknownName, "name is not known", "correct the server's name"),
            (IceFailure::Unreachable, "cannot be reached", "firewall"),
            (IceFailure::Silent, "does not answer", "TCP or TLS"),
            (IceFailure::Untrusted("expired".into()), "expired", "ca_file"),
            (IceFailure::Unauthorized, "refuses the box's credentials", "static-auth-secret"),
            (IceFailure::Full, "no room", "user-quota"),
            (IceFailure::Refused(403), "403", "log"),
            (IceFailure::Nonsense, "no such server", "port"),
            (IceFailure::Unsupported, "DTLS", "transport=tcp"),
        ] {
            let turn = vec![relay(IceTransport::Udp, Err(why.clone()))];
            let way = diagnose(&LiveFacts { turn, ..facts() }, &loopback()).ways.swap_remove(3);
            let advised = way.advice.expect("something can be done");
            assert!(
                !way.works && way.says.contains(says) && advised.contains(advice),
                "{why:?}: {}; {advised}",
                way.says
            );
        }
        let turn = vec![relay(IceTransport::Udp, at("10.0.0.7"))];
        let way = diagnose(&LiveFacts { turn, ..facts() }, &loopback()).ways.swap_remove(3);
        assert!(way.works && way.advice.is_some_and(|advice| advice.contains("external-ip")));
    }

    #[test]
    fn pictures_over_https_come_by_whatever_way_the_page_does() {
        let (camera, why) = ("Front".to_owned(), "no picture".to_owned());
        let (away, nothing) = ("a phone away gets pictures over HTTPS alone", "a phone away sees nothing");
        for (listen, tried, works, says, whence) in [
            ("0.0.0.0:8443", HttpsTry::Came(camera.clone()), true, "those of Front came", away),
            ("[::]:443", HttpsTry::Answers, true, "at port 443", away),
            ("192.168.1.20:8443", HttpsTry::NoCamera, true, "no camera gives any", away),
            (
                "0.0.0.0:8443",
                HttpsTry::Failed(camera.clone(), why),
                false,
                "of Front did not come: no picture",
                nothing,
            ),
            ("0.0.0.0:8443", HttpsTry::NoAnswer, false, "does not answer at port 8443", nothing),
            ("127.0.0.1:8443", HttpsTry::Came(camera), false, "this machine alone", nothing),
        ] {
            let said = diagnose(&facts(), &https(listen, tried));
            let way = said.ways.last().expect("the last");
            assert_eq!((way.way, way.works, way.advice.is_none()), (LiveWay::Hls, works, works), "{way:?}");
            assert!(way.says.contains(says) && said.away.starts_with(whence), "{way:?}, {}", said.away);
        }
        // Wherever something was missing it is the last way.
        let nat = vec![("stun:s".to_owned(), at("203.0.113.9"))];
        for facts in [
            LiveFacts { stun: nat, ..facts() },
            LiveFacts { house: vec![ip("203.0.113.20")], ..facts() },
            LiveFacts { house: vec![ip("2001:db8::20")], ..facts() },
            LiveFacts { relay_only: true, ..facts() },
        ] {
            let said = diagnose(&facts, &https("0.0.0.0:8443", HttpsTry::Answers)).away;
            assert!(said.contains("gets pictures over HTTPS") && !said.contains("nothing"), "{said}");
        }
    }

    #[test]
    fn what_everybody_reaches() {
        for (address, is) in [
            ("8.8.8.8", true),
            ("100.63.0.1", true),
            ("2001:db8::1", true),
            ("::ffff:8.8.8.8", true),
            ("100.64.0.1", false),
            ("10.0.0.1", false),
            ("192.168.0.1", false),
            ("169.254.0.1", false),
            ("127.0.0.1", false),
            ("224.0.0.1", false),
            ("fd00::1", false),
            ("fe80::1", false),
            ("::1", false),
        ] {
            assert_eq!(is_public(ip(address)), is, "{address}");
        }
    }
}
