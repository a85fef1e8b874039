//! What several crates need to know of the network: this machine's addresses, host names, and whose an address is.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// The addresses of this machine's interfaces that are up, loopback and link-local ones included, in no order of worth.
pub fn interface_addresses() -> BTreeSet<IpAddr> {
    let mut out = BTreeSet::new();
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs fills `head` with a list that is ours until freeifaddrs; it is not touched after.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        tracing::warn!(error = %std::io::Error::last_os_error(), "the addresses of this machine cannot be read");
        return out;
    }
    let mut next = head;
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
                    let raw = std::ptr::read_unaligned(entry.ifa_addr.cast::<libc::sockaddr_in>()).sin_addr.s_addr;
                    out.insert(IpAddr::from(raw.to_ne_bytes()));
                }
                libc::AF_INET6 => {
                    let raw = std::ptr::read_unaligned(entry.ifa_addr.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr;
                    out.insert(IpAddr::from(raw));
                }
                _ => {}
            }
        }
    }
    // SAFETY: the list is from getifaddrs and freed once.
    unsafe { libc::freeifaddrs(head) };
    out
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
        assert!(interface_addresses().iter().any(IpAddr::is_loopback));
    }

    #[test]
    fn temporary_addresses_are_told_by_their_flag() {
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
    fn host_names() {
        for good in ["a", "box.local", "x-1.example.org"] {
            assert!(is_host_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a..b", "a b", "a_b", "x:443", "*.x", &"a".repeat(64)] {
            assert!(!is_host_name(bad), "{bad}");
        }
    }
}
