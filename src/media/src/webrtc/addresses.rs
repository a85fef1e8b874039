//! The addresses at which viewers can reach the one UDP port, as ICE candidates.

use perch_base::net;
use perch_domain::reach::{by_worth, for_viewers, told};
use std::io;
use std::net::{IpAddr, SocketAddr};
use str0m::Candidate;

/// Local candidates, best first: interfaces, then loopback, then `advertised` (addresses of a router that forwards to us). Interfaces of VPNs
/// and containers only where they are `asked` for. Errors where the interfaces cannot be read.
pub fn candidates(listen: SocketAddr, advertised: &[IpAddr], asked: &[String]) -> io::Result<Vec<Candidate>> {
    let port = listen.port();
    let local = match listen.ip().is_unspecified() {
        true => {
            let routes = net::default_routes();
            for_viewers(&told(by_worth(net::interfaces()?, &routes), &routes, asked), listen.is_ipv4())
        }
        false => vec![listen.ip()],
    };
    let host = local.iter().filter_map(|ip| Candidate::host(SocketAddr::new(*ip, port), "udp").ok());
    let outside = advertised.iter().filter(|ip| !local.contains(ip)).filter_map(|ip| {
        let base = local.iter().find(|l| l.is_ipv4() == ip.is_ipv4())?;
        Candidate::server_reflexive(SocketAddr::new(*ip, port), SocketAddr::new(*base, port), "udp").ok()
    });
    Ok(host.chain(outside).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_comes_last_and_a_given_address_stands_alone() {
        let of =
            |listen: &str, outside: &[IpAddr]| candidates(listen.parse().expect("valid"), outside, &[]).expect("read");
        let all: Vec<_> = of("[::]:8189", &[]).iter().map(|c| c.addr().ip()).collect();
        let first_loopback = all.iter().position(IpAddr::is_loopback).expect("every machine has one");
        assert!(all[first_loopback..].iter().all(IpAddr::is_loopback));
        assert!(of("0.0.0.0:8189", &[]).iter().all(|c| c.addr().is_ipv4()));
        let public: IpAddr = "203.0.113.9".parse().expect("valid");
        let one = of("127.0.0.1:8189", &[public]);
        let shown: Vec<_> = one.iter().map(|c| (c.addr().ip().is_loopback(), c.addr().port())).collect();
        assert_eq!(shown, [(true, 8189), (false, 8189)]);
    }
}
