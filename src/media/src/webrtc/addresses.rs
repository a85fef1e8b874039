//! The addresses at which viewers can reach the one UDP port, as ICE candidates.

use perch_base::net::interface_addresses;
use std::net::{IpAddr, SocketAddr};
use str0m::Candidate;

/// Candidates of one kind and family beyond this are left out: every one costs checks with every viewer.
const MAX_ADDRESSES: usize = 8;

/// Local candidates, best first: interfaces, then loopback, then `advertised` (addresses of a router that forwards to us).
pub fn candidates(listen: SocketAddr, advertised: &[IpAddr]) -> Vec<Candidate> {
    let port = listen.port();
    let local = if listen.ip().is_unspecified() { interfaces(listen.is_ipv4()) } else { vec![listen.ip()] };
    let host = local.iter().filter_map(|ip| Candidate::host(SocketAddr::new(*ip, port), "udp").ok());
    let outside = advertised.iter().filter(|ip| !local.contains(ip)).filter_map(|ip| {
        let base = local.iter().find(|l| l.is_ipv4() == ip.is_ipv4())?;
        Candidate::server_reflexive(SocketAddr::new(*ip, port), SocketAddr::new(*base, port), "udp").ok()
    });
    host.chain(outside).collect()
}

/// Addresses of interfaces that are up: no link-local ones, loopback last.
fn interfaces(only_v4: bool) -> Vec<IpAddr> {
    let mut found: Vec<_> = interface_addresses().into_iter().collect();
    found.retain(|ip| ip.is_ipv4() || !only_v4);
    found.retain(|ip| !(is_link_local(ip) || ip.is_unspecified() || ip.is_multicast()));
    found.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    let (mut loopback, mut rest): (Vec<_>, Vec<_>) = found.into_iter().partition(IpAddr::is_loopback);
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

    #[test]
    fn loopback_comes_last_and_a_given_address_stands_alone() {
        let all = interfaces(false);
        let first_loopback = all.iter().position(IpAddr::is_loopback).expect("every machine has one");
        assert!(all[first_loopback..].iter().all(IpAddr::is_loopback));
        assert!(interfaces(true).iter().all(IpAddr::is_ipv4));
        let public: IpAddr = "203.0.113.9".parse().expect("valid");
        let one = candidates("127.0.0.1:8189".parse().expect("valid"), &[public]);
        let shown: Vec<_> = one.iter().map(|c| (c.addr().ip().is_loopback(), c.addr().port())).collect();
        assert_eq!(shown, [(true, 8189), (false, 8189)]);
    }
}
