//! The addresses at which viewers can reach the one UDP port, as ICE candidates.

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
    let mut found = interface_addresses();
    found.retain(|ip| ip.is_ipv4() || !only_v4);
    found.retain(|ip| !(is_link_local(ip) || ip.is_unspecified() || ip.is_multicast()));
    found.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
    found.dedup();
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

fn interface_addresses() -> Vec<IpAddr> {
    let mut out = Vec::new();
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: `list` is a valid place for the result, which is freed below with `freeifaddrs`.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        tracing::warn!(error = %std::io::Error::last_os_error(), "network interfaces cannot be listed");
        return out;
    }
    let mut next = list;
    while !next.is_null() {
        // SAFETY: getifaddrs returned a list of valid nodes that ends with null.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        if entry.ifa_addr.is_null() || entry.ifa_flags & libc::IFF_UP as libc::c_uint == 0 {
            continue;
        }
        // SAFETY: the address is not null, and its family says which structure it is.
        unsafe {
            match i32::from((*entry.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let addr = std::ptr::read_unaligned(entry.ifa_addr.cast::<libc::sockaddr_in>());
                    out.push(IpAddr::from(addr.sin_addr.s_addr.to_ne_bytes()));
                }
                libc::AF_INET6 => {
                    let addr = std::ptr::read_unaligned(entry.ifa_addr.cast::<libc::sockaddr_in6>());
                    out.push(IpAddr::from(addr.sin6_addr.s6_addr));
                }
                _ => {}
            }
        }
    }
    // SAFETY: `list` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(list) };
    out
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
