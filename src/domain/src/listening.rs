//! When two addresses that are listened on are one place.

use std::net::{IpAddr, SocketAddr};

/// Whether two servers of one kind would be in each other's way: one port, on one address or on all. `[::]` is IPv4, too. The port 0 is
/// a free one each time.
pub fn is_one_place(a: SocketAddr, b: SocketAddr) -> bool {
    let covers = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    let (here, there) = (a.ip().to_canonical(), b.ip().to_canonical());
    a.port() != 0 && a.port() == b.port() && (here == there || covers(here, there) || covers(there, here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_need_two_places() {
        for (a, b, want) in [
            ("0.0.0.0:8443", "0.0.0.0:8443", true),
            ("0.0.0.0:8443", "127.0.0.1:8443", true),
            ("[::]:8443", "192.0.2.1:8443", true),
            ("[::]:8443", "0.0.0.0:8443", true),
            ("[::ffff:192.0.2.1]:8443", "192.0.2.1:8443", true),
            ("0.0.0.0:8443", "[::1]:8443", false),
            ("192.0.2.1:8443", "192.0.2.2:8443", false),
            ("0.0.0.0:8443", "0.0.0.0:8554", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            let at = |text: &str| text.parse().expect("an address");
            assert_eq!((is_one_place(at(a), at(b)), is_one_place(at(b), at(a))), (want, want), "{a} {b}");
        }
    }
}
