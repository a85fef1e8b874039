//! What the box is to those who connect by TLS: the names it answers to, its certificate, and the port that hands out both.

use perch_base::net::is_host_name;
use perch_base::secret::Secret;
use perch_base::{Error, Result};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

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

    /// Whether all of these are among `other`.
    pub fn are_within(&self, other: &Self) -> bool {
        self.dns.is_subset(&other.dns) && self.addresses.is_subset(&other.addresses)
    }

    /// Whether a host (lower case, without brackets) names this box. Every address literal does: DNS rebinding needs a name, and
    /// the box may be reached through an address it does not know (port forwarding).
    pub fn answers_to(&self, host: &str) -> bool {
        host.parse::<IpAddr>().is_ok() || self.dns.contains(host)
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.dns.iter().cloned().chain(self.addresses.iter().map(IpAddr::to_string)).collect();
        f.write_str(&all.join(", "))
    }
}

/// The certificate with which the box answers, for every transport that speaks TLS.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The leaf and the authority that signed it, PEM.
    pub chain_pem: String,
    /// The leaf's private key, PKCS #8 in PEM.
    pub key_pem: Secret,
}

/// The box's identity as it is at the moment. Cheap to ask: transports ask before a connection and take what is new.
pub trait IdentityPort: Send + Sync {
    /// The certificate. One that was renewed is another allocation.
    fn certificate(&self) -> Arc<Certificate>;
    /// The names and addresses it is for.
    fn names(&self) -> Arc<Names>;
    /// The addresses by which other machines may reach the box.
    fn reachable(&self) -> Vec<IpAddr>;
    /// The box's certificate authority, PEM.
    fn ca_pem(&self) -> &str;
    /// SHA-256 of the authority (DER), lower-case hex: what phones pin.
    fn ca_sha256(&self) -> &str;
}

impl fmt::Debug for dyn IdentityPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityPort").field("ca_sha256", &self.ca_sha256()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_only_to_its_names_and_to_addresses() {
        let names = Names::new("Perch-1", &["cam.example.org".into(), "203.0.113.7".into()], &[]).expect("valid");
        for host in ["perch-1", "perch-1.local", "localhost", "cam.example.org", "1.2.3.4", "::1", "fd00::1"] {
            assert!(names.answers_to(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "cam.example.org.evil", "1.2.3.4.nip.io"] {
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
}
