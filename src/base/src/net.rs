//! What several crates need to know of the network: this machine's addresses, host names, and whose an address is.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

/// An interface of this machine that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: String,
    /// It leads to this machine alone (`IFF_LOOPBACK`).
    pub is_loopback: bool,
    /// It leads to one other machine (`IFF_POINTOPOINT`).
    pub is_point_to_point: bool,
    /// Its addresses: IPv4 first, link-local ones included.
    pub addresses: Vec<IpAddr>,
}

/// What this machine is called now, as the kernel says it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Names of the interfaces that default routes lead to, the preferred first.
pub fn default_routes() -> Vec<String> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    routes_in(&read("/proc/net/route"), &read("/proc/net/ipv6_route"))
}

/// The same from the texts of `/proc/net/route` and `/proc/net/ipv6_route`.
fn routes_in(route: &str, ipv6_route: &str) -> Vec<String> {
    /// `RTF_UP` and `RTF_REJECT` of linux/route.h.
    const UP: u32 = 1;
    const REJECT: u32 = 0x200;
    let number = |text: &&str| u32::from_str_radix(text, 16).ok();
    let usable = |flags: u32| flags & UP != 0 && flags & REJECT == 0;
    let v4 = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (destination, mask) = (words.get(1).and_then(number)?, words.get(7).and_then(number)?);
        let metric = words.get(6)?.parse::<u32>().ok()?;
        (destination == 0 && mask == 0 && usable(words.get(3).and_then(number)?)).then(|| (metric, words[0].to_owned()))
    };
    let v6 = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let everywhere = words.first()?.bytes().all(|b| b == b'0') && words.get(1).and_then(number)? == 0;
        let (metric, flags) = (words.get(5).and_then(number)?, words.get(8).and_then(number)?);
        (everywhere && usable(flags)).then(|| (metric, words.get(9).copied().unwrap_or_default().to_owned()))
    };
    // Each family has metrics of its own, and IPv4 is what every network has.
    let (mut found, mut six): (Vec<_>, Vec<_>) =
        (route.lines().filter_map(v4).collect(), ipv6_route.lines().filter_map(v6).collect());
    found.sort();
    six.sort();
    found.append(&mut six);
    let mut names: Vec<String> = Vec::new();
    for (_, name) in found {
        if name != "lo" && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// This machine's interfaces that are up and have an address, in no order of worth. Errors are the system's.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut out: Vec<Interface> = Vec::new();
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs fills `head` with a list that is ours until freeifaddrs; it is not touched after.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut next = head;
    while !next.is_null() {
        // SAFETY: getifaddrs returned a list of valid nodes that ends with null.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        if entry.ifa_addr.is_null() || entry.ifa_name.is_null() || entry.ifa_flags & libc::IFF_UP as libc::c_uint == 0 {
            continue;
        }
        // SAFETY: the address is not null, and its family says which structure it is.
        let address = unsafe {
            match i32::from((*entry.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let raw = std::ptr::read_unaligned(entry.ifa_addr.cast::<libc::sockaddr_in>()).sin_addr.s_addr;
                    IpAddr::from(raw.to_ne_bytes())
                }
                libc::AF_INET6 => {
                    let raw = std::ptr::read_unaligned(entry.ifa_addr.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr;
                    IpAddr::from(raw)
                }
                _ => continue,
            }
        };
        // SAFETY: the name is not null, ends with NUL and lives as long as the list.
        let name = unsafe { std::ffi::CStr::from_ptr(entry.ifa_name) }.to_string_lossy().into_owned();
        match out.iter_mut().find(|interface| interface.name == name) {
            Some(interface) => interface.addresses.push(address),
            None => {
                let has = |flag: libc::c_int| entry.ifa_flags & flag as libc::c_uint != 0;
                let (is_loopback, is_point_to_point) = (has(libc::IFF_LOOPBACK), has(libc::IFF_POINTOPOINT));
                out.push(Interface { name, is_loopback, is_point_to_point, addresses: vec![address] });
            }
        }
    }
    // SAFETY: the list is from getifaddrs and freed once.
    unsafe { libc::freeifaddrs(head) };
    for interface in &mut out {
        interface.addresses.sort();
    }
    Ok(out)
}

/// IPv6 addresses that the kernel replaces from day to day (RFC 8981), from the text of `/proc/net/if_inet6`.
pub fn temporary_addresses(if_inet6: &str) -> BTreeSet<IpAddr> {
    /// `IFA_F_TEMPORARY` of linux/if_addr.h.
    const TEMPORARY: u32 = 1;
    let address = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let bits = u128::from_str_radix(words.next()?, 16).ok()?;
        let flags = u32::from_str_radix(words.nth(3)?, 16).ok()?;
        (flags & TEMPORARY != 0).then(|| IpAddr::V6(Ipv6Addr::from_bits(bits)))
    };
    if_inet6.lines().filter_map(address).collect()
}

/// Whose an address is, for limits: an IPv4 address, or the /64 of an IPv6 one, which one household (or one host) may own whole.
pub fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Whose an address may be at most, for limits: an IPv4 address, or the /48 of an IPv6 one, the largest network that one customer
/// is given (RFC 6177).
pub fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 80 << 80).into(),
        v4 => v4,
    }
}

/// Whether a text is a host name (RFC 1123, section 2.1).
pub fn is_host_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_a_loopback_address() {
        let all = interfaces().expect("read");
        assert!(all.iter().any(|i| i.is_loopback && i.addresses.iter().any(IpAddr::is_loopback)), "{all:?}");
    }

    #[test]
    fn default_routes_are_read_by_metric_and_family() {
        let route = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\nnonsense\n";
        let zero = "00000000000000000000000000000000";
        let ipv6 = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     usb0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n\
             20010db8000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth1\n"
        );
        assert_eq!(routes_in(route, &ipv6), ["eth0", "wlan0", "usb0"]);
        assert!(routes_in("", "x\n").is_empty());
    }

    #[test]
    fn temporary_addresses_are_known_by_their_flag() {
        let text = "20010db8000000000000000000000001 02 40 00 80     eth0\n\
                    20010db80000000000000000deadbeef 02 40 00 01     eth0\nnonsense\n";
        let want: IpAddr = "2001:db8::dead:beef".parse().expect("valid");
        assert_eq!(temporary_addresses(text), BTreeSet::from([want]));
    }

    #[test]
    fn a_household_is_an_ipv4_address_or_a_64() {
        let of = |text: &str| household(text.parse().expect("valid")).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn a_site_is_an_ipv4_address_or_a_48() {
        let of = |text: &str| site(text.parse().expect("valid")).to_string();
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
    }

    #[test]
    fn host_names() {
        for good in ["a", "box.local", "x-1.example.org"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a..b", "a b", "a_b", "x:443", "*.x", &"a".repeat(64)] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
