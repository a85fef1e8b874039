//! Under which names and addresses the box is reached: what its certificate says and which `Host` headers it answers.

use perch_base::{Error, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More addresses than any box has; a machine full of containers is cut here.
const MAX_ADDRESSES: usize = 64;

/// Host names and addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Host names, lower case.
    pub dns: BTreeSet<String>,
    /// Addresses.
    pub addresses: BTreeSet<IpAddr>,
}

impl Names {
    /// `<host>.local`, `<host>`, `localhost`, the loopback addresses, `hostnames` (names or addresses) and `interfaces`.
    /// Errors with [`perch_base::ErrorKind::Invalid`] when a host name is not one.
    pub fn new(host: &str, hostnames: &[String], interfaces: &[IpAddr]) -> Result<Self> {
        let mut names = Self::default();
        let host = host.trim_end_matches(".local").to_ascii_lowercase();
        let host = if is_host_name(&host) { host } else { "perch".to_owned() };
        names.dns.insert(format!("{host}.local"));
        names.dns.insert(host);
        names.dns.insert("localhost".into());
        for text in hostnames {
            let text = text.trim_end_matches('.').to_ascii_lowercase();
            match text.parse() {
                Ok(address) => _ = names.addresses.insert(address),
                Err(_) if is_host_name(&text) => _ = names.dns.insert(text),
                Err(_) => {
                    return Err(Error::invalid(format!(
                        "http.hostnames `{text}`: must be a host name or an address, without scheme and port"
                    )));
                }
            }
        }
        names.addresses.insert(Ipv4Addr::LOCALHOST.into());
        names.addresses.insert(Ipv6Addr::LOCALHOST.into());
        let room = MAX_ADDRESSES.saturating_sub(names.addresses.len());
        names.addresses.extend(interfaces.iter().take(room));
        Ok(names)
    }

    /// Whether a `Host` header (`name`, `name:port`, `[v6]:port`) names this box. Every address literal does: DNS rebinding
    /// needs a name, and the box may be reached through an address it does not know (port forwarding).
    pub fn answers_to(&self, authority: &str) -> bool {
        let host = host_of(authority);
        host.parse::<IpAddr>().is_ok() || self.dns.contains(&host)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.dns.iter().cloned().chain(self.addresses.iter().map(IpAddr::to_string)).collect();
        f.write_str(&all.join(", "))
    }
}

/// The host of an authority, lower case, without port, brackets and final dot.
pub(crate) fn host_of(authority: &str) -> String {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, port)) if port.is_empty() || port.starts_with(':') => v6,
        Some(_) => "",
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_host_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
        })
}

/// The addresses of this machine's interfaces, without loopback and IPv6 link-local ones (which no URL can name).
pub fn interface_addresses() -> Vec<IpAddr> {
    let mut out = BTreeSet::new();
    let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs fills `head` with a list that we own until freeifaddrs; it is not touched after.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        tracing::warn!(error = %std::io::Error::last_os_error(), "the addresses of this machine cannot be read");
        return Vec::new();
    }
    let mut entry = head;
    while !entry.is_null() {
        // SAFETY: `entry` is a node of that list; its address, if any, is of the size its family says.
        unsafe {
            let address = (*entry).ifa_addr;
            if !address.is_null() {
                match i32::from((*address).sa_family) {
                    libc::AF_INET => {
                        let raw = std::ptr::read_unaligned(address.cast::<libc::sockaddr_in>()).sin_addr.s_addr;
                        out.insert(IpAddr::from(raw.to_ne_bytes()));
                    }
                    libc::AF_INET6 => {
                        let raw = std::ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr;
                        out.insert(IpAddr::from(raw));
                    }
                    _ => {}
                }
            }
            entry = (*entry).ifa_next;
        }
    }
    // SAFETY: the list is from getifaddrs and freed once.
    unsafe { libc::freeifaddrs(head) };
    let named = |a: &IpAddr| match a {
        IpAddr::V4(a) => !a.is_loopback() && !a.is_unspecified(),
        IpAddr::V6(a) => !a.is_loopback() && !a.is_unspecified() && !a.is_unicast_link_local(),
    };
    out.into_iter().filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_only_to_its_names_and_to_addresses() {
        let names = Names::new("Perch-1", &["cam.example.org".into(), "203.0.113.7".into()], &[]).expect("valid");
        let good = [
            "perch-1",
            "perch-1.local:8443",
            "PERCH-1.local.",
            "localhost:1",
            "cam.example.org",
            "1.2.3.4:8443",
            "[::1]:8443",
            "[fd00::1]",
        ];
        for host in good {
            assert!(names.answers_to(host), "{host}");
        }
        let bad = [
            "",
            "evil.example",
            "localhost.evil.example",
            "[::1",
            "[::1]x",
            "cam.example.org.evil",
            ":8443",
            "a@localhost",
            "1.2.3.4.nip.io",
        ];
        for host in bad {
            assert!(!names.answers_to(host), "{host}");
        }
    }

    #[test]
    fn host_names_are_checked() {
        for bad in ["https://x", "a b", "x:443", "", "-a", "*.x"] {
            assert!(Names::new("box", &[bad.to_owned()], &[]).is_err(), "{bad:?}");
        }
        assert!(Names::new("b\n$(x)", &[], &[]).expect("falls back").dns.contains("perch.local"));
    }

    #[test]
    fn this_machine_has_addresses_that_are_not_loopback() {
        assert!(interface_addresses().iter().all(|a| !a.is_loopback()));
    }
}
