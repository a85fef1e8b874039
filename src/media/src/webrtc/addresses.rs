//! The addresses at which viewers can reach the one UDP port, as ICE candidates.

use perch_base::net::{self, Interface};
use std::net::{IpAddr, SocketAddr};
use str0m::Candidate;

/// Addresses beyond this are left out: every one costs checks with every viewer.
const MAX_ADDRESSES: usize = 8;

/// Local candidates, best first: interfaces, then loopback, then `advertised` (addresses of a router that forwards to us).
pub fn candidates(listen: SocketAddr, advertised: &[IpAddr]) -> Vec<Candidate> {
    let port = listen.port();
    let local = match listen.ip().is_unspecified() {
        true => addresses(&net::interfaces(), listen.is_ipv4()),
        false => vec![listen.ip()],
    };
    let host = local.iter().filter_map(|ip| Candidate::host(SocketAddr::new(*ip, port), "udp").ok());
    let outside = advertised.iter().filter(|ip| !local.contains(ip)).filter_map(|ip| {
        let base = local.iter().find(|l| l.is_ipv4() == ip.is_ipv4())?;
        Candidate::server_reflexive(SocketAddr::new(*ip, port), SocketAddr::new(*base, port), "udp").ok()
    });
    host.chain(outside).collect()
}

/// Addresses of interfaces in the order of their worth: no link-local ones, loopback last. Many container networks crowd out
/// one another and not the house's.
fn addresses(interfaces: &[Interface], only_v4: bool) -> Vec<IpAddr> {
    let all = interfaces.iter().flat_map(|i| i.addresses.iter().copied()).filter(|ip| ip.is_ipv4() || !only_v4);
    let usable = all.filter(|ip| !(is_link_local(ip) || ip.is_unspecified() || ip.is_multicast()));
    let (mut loopback, mut rest): (Vec<_>, Vec<_>) = usable.partition(IpAddr::is_loopback);
    rest.truncate(MAX_ADDRESSES);
    loopback.truncate(2);
    rest.append(&mut loopback);
    rest
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::net::{InterfaceKind, by_worth};

    #[test]
    fn container_bridges_do_not_crowd_out_the_network_of_the_house() {
        let interface = |name: &str, kind, addresses: &[&str]| Interface {
            name: name.to_owned(),
            kind,
            addresses: addresses.iter().map(|a| a.parse().expect("valid")).collect(),
        };
        let mut all: Vec<_> = (0..10)
            .map(|n| interface(&format!("br-{n:012x}"), InterfaceKind::Virtual, &[&format!("172.{}.0.1", 17 + n)]))
            .collect();
        all.push(interface("lo", InterfaceKind::Loopback, &["127.0.0.1", "::1"]));
        all.push(interface("eth0", InterfaceKind::Physical, &["192.168.1.20", "2001:db8::20", "fe80::1"]));
        let shown = addresses(&by_worth(all, &["eth0".into()]), false);
        assert_eq!(shown[..2].iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.168.1.20", "2001:db8::20"]);
        assert_eq!((shown.len(), shown[8].is_loopback(), shown[9].is_loopback()), (10, true, true));
    }

    #[test]
    fn loopback_comes_last_and_a_given_address_stands_alone() {
        let all = addresses(&net::interfaces(), false);
        let first_loopback = all.iter().position(IpAddr::is_loopback).expect("every machine has one");
        assert!(all[first_loopback..].iter().all(IpAddr::is_loopback));
        assert!(addresses(&net::interfaces(), true).iter().all(IpAddr::is_ipv4));
        let public: IpAddr = "203.0.113.9".parse().expect("valid");
        let one = candidates("127.0.0.1:8189".parse().expect("valid"), &[public]);
        let shown: Vec<_> = one.iter().map(|c| (c.addr().ip().is_loopback(), c.addr().port())).collect();
        assert_eq!(shown, [(true, 8189), (false, 8189)]);
    }
}
