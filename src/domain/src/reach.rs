//! By which of its addresses others reach the box, the likeliest first, and which addresses the box and its viewers tell each other as
//! ICE candidates (RFC 8445).

use perch_base::net::Interface;
use std::net::IpAddr;

/// What an interface leads to, the likeliest way to a person's other devices first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum InterfaceKind {
    /// A network outside this machine, by cable or radio.
    Physical,
    /// A VPN or another tunnel.
    Tunnel,
    /// Containers and virtual machines on this machine.
    Virtual,
    /// This machine alone.
    Loopback,
}

impl InterfaceKind {
    /// The kind, as far as name and flags tell.
    fn of(interface: &Interface) -> Self {
        const TUNNELS: [&str; 10] = ["tun", "tap", "wg", "ppp", "tailscale", "zt", "ipsec", "nordlynx", "gre", "sit"];
        const VIRTUAL: [&str; 15] = [
            "docker", "br-", "veth", "virbr", "vnet", "cni", "flannel", "cali", "lxc", "lxd", "podman", "kube",
            "nerdctl", "vboxnet", "vmnet",
        ];
        let name = &interface.name;
        let begins = |names: &[&str]| names.iter().any(|n| name.starts_with(n));
        let numbered_bridge = name.strip_prefix("br").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if interface.is_loopback || name == "lo" {
            Self::Loopback
        } else if begins(&VIRTUAL) || numbered_bridge {
            Self::Virtual
        } else if interface.is_point_to_point || begins(&TUNNELS) {
            Self::Tunnel
        } else {
            Self::Physical
        }
    }
}

/// Orders interfaces by how likely other devices reach this machine there: where the default route leads (be it over a bridge,
/// but not through a tunnel, whose other end is elsewhere), other physical networks, tunnels, what is for containers, loopback.
/// `default_routes` are the names of those to which default routes lead, the preferred first.
pub fn by_worth(mut interfaces: Vec<Interface>, default_routes: &[String]) -> Vec<Interface> {
    interfaces.sort_by_key(|interface| {
        let kind = InterfaceKind::of(interface);
        let route = default_routes.iter().position(|name| *name == interface.name).unwrap_or(usize::MAX);
        let leads = route != usize::MAX && kind != InterfaceKind::Tunnel;
        (!leads, kind, route, interface.name.clone())
    });
    interfaces
}

/// The interfaces of `ordered` whose addresses viewers are told: those that lead into the house, loopback, and those that are `asked` for. A VPN
/// or the networks of containers are told to nobody else, who would try in vain to reach the box there; where there is nothing but these, they
/// are all there is.
pub fn told(ordered: Vec<Interface>, default_routes: &[String], asked: &[String]) -> Vec<Interface> {
    let is_told = |interface: &Interface| match InterfaceKind::of(interface) {
        InterfaceKind::Physical | InterfaceKind::Loopback => true,
        InterfaceKind::Virtual => default_routes.contains(&interface.name) || asked.contains(&interface.name),
        InterfaceKind::Tunnel => asked.contains(&interface.name),
    };
    let leads = |interface: &Interface| is_told(interface) && InterfaceKind::of(interface) != InterfaceKind::Loopback;
    match ordered.iter().any(leads) {
        true => ordered.into_iter().filter(is_told).collect(),
        false => ordered,
    }
}

/// Addresses beyond this are not told to viewers: every one costs checks with every viewer.
const MAX_TOLD: usize = 8;
/// The same of the machine's own, for a viewer on it.
const MAX_LOOPBACK_TOLD: usize = 2;

/// The addresses of interfaces, in the order of their worth, that viewers are told: no link-local ones, loopback last. Many container
/// networks crowd out one another and not the house's.
pub fn for_viewers(interfaces: &[Interface], only_v4: bool) -> Vec<IpAddr> {
    let all = interfaces.iter().flat_map(|i| i.addresses.iter().copied()).filter(|ip| ip.is_ipv4() || !only_v4);
    let usable = all.filter(|ip| !(is_link_local(ip) || ip.is_unspecified() || ip.is_multicast()));
    let (mut loopback, mut rest): (Vec<_>, Vec<_>) = usable.partition(IpAddr::is_loopback);
    rest.truncate(MAX_TOLD);
    loopback.truncate(MAX_LOOPBACK_TOLD);
    rest.append(&mut loopback);
    rest
}

/// Whether the box tries to reach a viewer at this address, which the viewer told it. Not by loopback, so that no viewer makes the box talk to
/// itself: a viewer on the same machine is found by its own checks.
pub fn may_reach_viewer_at(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let is_everybody = ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_loopback() || ip.is_unspecified() || is_everybody || is_link_local(&ip))
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

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn interface(name: &str, addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|a| ip(a)).collect();
        Interface { name: name.to_owned(), is_loopback: false, is_point_to_point: false, addresses }
    }

    #[test]
    fn interfaces_are_ordered_by_who_is_reached_there() {
        let cases: [(&[&str], &[&str], &[&str]); 6] = [
            (&["lo", "docker0", "eth0"], &["eth0"], &["eth0", "docker0", "lo"]),
            (
                &["lo", "wlan0", "eth0", "br-0a1b2c3d4e5f", "veth12ab"],
                &["wlan0", "eth0"],
                &["wlan0", "eth0", "br-0a1b2c3d4e5f", "veth12ab", "lo"],
            ),
            // Nothing leads out: an isolated network of cameras.
            (&["docker0", "lo", "end0"], &[], &["end0", "docker0", "lo"]),
            // A VPN takes all traffic: phones in the house do not come through it.
            (&["tun0", "eth0", "docker0", "lo", "wg0"], &["tun0", "eth0"], &["eth0", "tun0", "wg0", "docker0", "lo"]),
            (&["tailscale0", "enp3s0", "lo"], &["tailscale0"], &["enp3s0", "tailscale0", "lo"]),
            // The house's network on a bridge of ours.
            (&["br0", "br-feedbeef0123", "wlan0", "lo"], &["br0"], &["br0", "wlan0", "br-feedbeef0123", "lo"]),
        ];
        for (names, routes, want) in cases {
            let given = names.iter().map(|name| interface(name, &[])).collect();
            let routes: Vec<String> = routes.iter().map(|r| (*r).to_owned()).collect();
            let got: Vec<String> = by_worth(given, &routes).into_iter().map(|i| i.name).collect();
            assert_eq!(got, want, "{names:?} {routes:?}");
        }
    }

    #[test]
    fn flags_tell_tunnels_and_loopback_of_any_name() {
        let plain = |name| interface(name, &[]);
        for (interface, want) in [
            (Interface { is_point_to_point: true, ..plain("home") }, InterfaceKind::Tunnel),
            (Interface { is_loopback: true, ..plain("dummy") }, InterfaceKind::Loopback),
            (plain("brcmfmac0"), InterfaceKind::Physical),
            (plain("br7"), InterfaceKind::Virtual),
        ] {
            assert_eq!(InterfaceKind::of(&interface), want, "{interface:?}");
        }
    }

    #[test]
    fn container_bridges_do_not_crowd_out_the_network_of_the_house() {
        let mut all: Vec<_> =
            (0..10).map(|n| interface(&format!("br-{n:012x}"), &[&format!("172.{}.0.1", 17 + n)])).collect();
        all.push(interface("lo", &["127.0.0.1", "::1", "127.0.0.2"]));
        all.push(interface("eth0", &["192.168.1.20", "2001:db8::20", "fe80::1", "169.254.7.7"]));
        let all = by_worth(all, &["eth0".into()]);
        let told = for_viewers(&all, false);
        assert_eq!(told[..2], [ip("192.168.1.20"), ip("2001:db8::20")]);
        assert_eq!((told.len(), told[8], told[9]), (10, ip("127.0.0.1"), ip("::1")));
        assert!(for_viewers(&all, true).iter().all(IpAddr::is_ipv4));
    }

    #[test]
    fn vpns_and_containers_are_told_where_they_are_asked_for() {
        for (names, routes, asked, want) in [
            (vec!["eth0", "wlan0", "docker0", "wg0", "lo"], vec!["eth0"], vec![], vec!["eth0", "wlan0", "lo"]),
            (vec!["eth0", "docker0", "wg0", "lo"], vec!["eth0"], vec!["wg0"], vec!["eth0", "wg0", "lo"]),
            (vec!["eth0", "docker0", "lo"], vec!["eth0"], vec!["docker0"], vec!["eth0", "docker0", "lo"]),
            // The house's network on a bridge of ours, and a tunnel that takes all traffic.
            (vec!["br0", "veth12ab", "tun0", "lo"], vec!["tun0", "br0"], vec![], vec!["br0", "lo"]),
            // Nothing else is there: within a container, or on a server that is reached by its VPN alone.
            (vec!["veth0", "lo"], vec![], vec![], vec!["veth0", "lo"]),
            (vec!["tailscale0", "lo"], vec!["tailscale0"], vec![], vec!["tailscale0", "lo"]),
        ] {
            let [routes, asked] = [routes, asked].map(|names| names.into_iter().map(String::from).collect::<Vec<_>>());
            let ordered = names.iter().map(|name| interface(name, &[])).collect();
            let got: Vec<String> = told(ordered, &routes, &asked).into_iter().map(|i| i.name).collect();
            assert_eq!(got, want, "{names:?}");
        }
    }

    #[test]
    fn where_a_viewer_may_be() {
        for (address, may_be) in [
            ("192.0.2.7", true),
            ("10.0.0.1", true),
            ("2001:db8::1", true),
            ("fd00::1", true),
            ("::ffff:192.0.2.7", true),
            ("127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
            ("ff02::1", false),
            ("255.255.255.255", false),
            ("169.254.7.7", false),
            ("fe80::1", false),
        ] {
            assert_eq!(may_reach_viewer_at(ip(address)), may_be, "{address}");
        }
    }
}
