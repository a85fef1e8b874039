//! What the box is to those who connect by TLS: the names it answers to, its certificate, and the port that hands out both.

use crate::acme::DomainStatus;
use crate::certificate_facts::CertificateFacts;
use crate::settings::Keys;
use perch_base::net::is_host_name;
use perch_base::secret::Secret;
use perch_base::time::{DAY, Timestamp};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

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
    /// Reads `hostnames`: further names and addresses under which the box is reached.
    pub fn read(keys: &mut impl Keys) -> Self {
        let mut names = Self::default();
        let rule = "must be host names such as `perch.example.org`, or addresses, without scheme and port";
        for text in keys.texts("hostnames", |text| Self::default().take(text), rule) {
            names.take(&text);
        }
        names
    }

    /// Takes a name or an address. False: it is neither.
    fn take(&mut self, text: &str) -> bool {
        let text = text.trim_end_matches('.').to_ascii_lowercase();
        match text.parse() {
            Ok(address) => _ = self.addresses.insert(address),
            Err(_) if is_host_name(&text) => _ = self.dns.insert(text),
            Err(_) => return false,
        }
        true
    }

    /// `<host>.local`, `<host>`, `localhost`, the loopback addresses, `further` and `interfaces`. Of `host`, as the kernel says it,
    /// only the first label counts; where that can be no host's name, the box is called `perch`.
    pub fn new(host: &str, further: &Self, interfaces: &[IpAddr]) -> Self {
        let mut names = further.clone();
        let host = host.split('.').next().unwrap_or_default().to_ascii_lowercase();
        let host = if is_host_name(&host) { host } else { "perch".to_owned() };
        names.dns.insert(format!("{host}.local"));
        names.dns.insert(host);
        names.dns.insert("localhost".into());
        names.addresses.insert(Ipv4Addr::LOCALHOST.into());
        names.addresses.insert(Ipv6Addr::LOCALHOST.into());
        let room = MAX_ADDRESSES.saturating_sub(names.addresses.len());
        names.addresses.extend(interfaces.iter().take(room));
        names
    }

    /// A name that the box's owner gave it: one of a domain, and not of the link alone (`.local`).
    pub fn given(&self) -> Option<&str> {
        self.dns.iter().map(String::as_str).find(|name| name.contains('.') && !name.ends_with(".local"))
    }

    /// All of them as text, names first.
    pub fn listed(&self) -> Vec<String> {
        self.dns.iter().cloned().chain(self.addresses.iter().map(IpAddr::to_string)).collect()
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
        f.write_str(&self.listed().join(", "))
    }
}

/// How long a leaf is valid from when it is made.
pub const LEAF_LIFE: Duration = DAY.saturating_mul(90);
/// A leaf with less than this left is replaced.
pub const ROTATE_BEFORE: Duration = DAY.saturating_mul(30);
/// How far back a leaf is valid: a viewer's clock may be behind. Together with [`LEAF_LIFE`] below the 825 days that Apple's
/// systems allow a server certificate (support.apple.com/103769).
const LEAF_BACKDATE: Duration = DAY.saturating_mul(365);
/// 2026-01-01. A clock before this was never set: the box has no battery for it.
const CLOCK_FLOOR: Timestamp = Timestamp(1_767_225_600_000_000);

/// What a leaf certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What it is for.
    pub names: Names,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl Leaf {
    /// From when until when a leaf is valid that is made now.
    pub fn validity(now: Timestamp) -> (Timestamp, Timestamp) {
        let now = now.max(CLOCK_FLOOR);
        // A clock that was never set says nothing: a leaf made then must outlast the wait for the network's time.
        let life = if now == CLOCK_FLOOR { LEAF_LIFE + 365 * DAY } else { LEAF_LIFE };
        (now - LEAF_BACKDATE, now + life)
    }

    /// Why it must be replaced for a box of these names; `None`: it serves on.
    pub fn reason_to_rotate(&self, names: &Names, now: Timestamp) -> Option<&'static str> {
        let now = now.max(CLOCK_FLOOR);
        if self.not_before > now {
            Some("the clock was set back")
        } else if self.not_after < now + ROTATE_BEFORE {
            Some("the leaf ends soon")
        } else if !names.are_within(&self.names) {
            // One that only went away does not matter: a new certificate makes browsers warn again.
            Some("the box has a new name or address")
        } else {
            None
        }
    }
}

/// Whether others may reach the box by this address of an interface: not by a loopback or an IPv6 link-local one (which no URL can
/// name), and not by one of the `temporary` ones, which change from day to day.
pub fn is_for_others(address: IpAddr, temporary: &BTreeSet<IpAddr>) -> bool {
    let is_own = address.is_loopback() || address.is_unspecified();
    match address {
        IpAddr::V4(_) => !is_own,
        IpAddr::V6(v6) => !is_own && !v6.is_unicast_link_local() && !temporary.contains(&address),
    }
}

/// The host in an address that others are to open: where the box `listens`, if that is one place, else the first IPv4 address of those by
/// which it is `reachable`, the likeliest first. `<host>.local` would need a name service that may not be there.
pub fn host_for_others(listens: IpAddr, reachable: &[IpAddr]) -> String {
    if listens.is_loopback() {
        return "localhost".into();
    }
    if !listens.is_unspecified() {
        return host_in_url(listens);
    }
    let is_of_the_network = |a: &&IpAddr| matches!(a, IpAddr::V4(v4) if !v4.is_loopback() && !v4.is_link_local());
    reachable.iter().find(is_of_the_network).map_or_else(|| "localhost".into(), |a| host_in_url(*a))
}

/// What people type to reach the page that is shown without TLS at `listens`: the box's name in the local network, which needs a name
/// service, and the address that always works there.
pub fn plain_urls(names: &Names, listens: SocketAddr, reachable: &[IpAddr]) -> Vec<String> {
    let port = if listens.port() == 80 { String::new() } else { format!(":{}", listens.port()) };
    let by_address = host_for_others(listens.ip(), reachable);
    let by_name = names.dns.iter().find(|name| name.ends_with(".local")).filter(|_| listens.ip().is_unspecified());
    by_name.into_iter().chain([&by_address]).map(|host| format!("http://{host}{port}")).collect()
}

/// The same for somebody who called the box `named` (lower case, without brackets): by that others reach it too, unless it names the
/// machine itself.
pub fn host_as_named(named: &str, listens: IpAddr, reachable: &[IpAddr]) -> String {
    match named.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || address.is_unspecified() => host_for_others(listens, reachable),
        Ok(address) => host_in_url(address),
        Err(_) if named == "localhost" => host_for_others(listens, reachable),
        Err(_) => named.to_owned(),
    }
}

/// The host in an invitation by somebody who called the box `named`: rather a name than an address, which says nothing to people and
/// changes. Where it was called by an address, a name that its owner gave it (`hostnames`) is taken, if there is one.
pub fn host_to_invite(named: &str, names: &Names, listens: IpAddr, reachable: &[IpAddr]) -> String {
    let is_address = named == "localhost" || named.parse::<IpAddr>().is_ok();
    match names.given().filter(|_| is_address) {
        Some(name) => name.to_owned(),
        None => host_as_named(named, listens, reachable),
    }
}

/// An address as the host of a URL.
pub fn host_in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
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
    /// What people are told of the certificates that are shown now, the box's own first.
    fn certificates(&self) -> Vec<CertificateFacts> {
        Vec::new()
    }
    /// The certificate for who asks for this name: that of the domain, if there is one, else the box's own.
    fn certificate_for(&self, _name: Option<&str>) -> Arc<Certificate> {
        self.certificate()
    }
    /// How the certificate for the configured domain stands; `None`: there is no domain.
    fn domain(&self) -> Option<DomainStatus> {
        None
    }
    /// The certificate that answers TLS-ALPN-01 for this name, while it is asked for.
    fn alpn_answer(&self, _name: Option<&str>) -> Option<Arc<Certificate>> {
        None
    }
    /// What answers HTTP-01 for this token, while it is asked for.
    fn http_answer(&self, _token: &str) -> Option<String> {
        None
    }
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
        let mut further = Names::default();
        assert!(["Cam.example.org.", "203.0.113.7", "2001:DB8::1"].iter().all(|text| further.take(text)));
        let names = Names::new("Perch-1.example.org", &further, &[]);
        assert!(names.addresses.contains(&"2001:db8::1".parse().expect("an address")), "{names}");
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
            let mut names = Names::default();
            assert!(!names.take(bad) && names == Names::default(), "{bad:?}");
        }
        for odd in ["b\n$(x)", "", ".local", "-"] {
            assert!(Names::new(odd, &Names::default(), &[]).dns.contains("perch.local"), "{odd:?}");
        }
    }

    #[test]
    fn an_invitation_names_the_box_rather_than_an_address() {
        let mut further = Names::default();
        assert!(further.take("cam.example.org"));
        let (plain, given) = (Names::new("perch", &Names::default(), &[]), Names::new("perch", &further, &[]));
        let (any, lan) = (ip("0.0.0.0"), [ip("192.168.1.20")]);
        for (named, names, want) in [
            ("perch.local", &plain, "perch.local"),
            ("perch.local", &given, "perch.local"),
            ("192.168.1.20", &plain, "192.168.1.20"),
            ("192.168.1.20", &given, "cam.example.org"),
            ("localhost", &given, "cam.example.org"),
            ("localhost", &plain, "192.168.1.20"),
        ] {
            assert_eq!(host_to_invite(named, names, any, &lan), want, "{named}");
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn which_addresses_are_for_others() {
        let temporary = BTreeSet::from([ip("2001:db8::dead")]);
        for (address, is_so) in [
            ("192.168.1.20", true),
            ("169.254.7.7", true),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("2001:db8::1", true),
            ("fd00::1", true),
            ("2001:db8::dead", false),
            ("fe80::1", false),
            ("::1", false),
            ("::", false),
        ] {
            assert_eq!(is_for_others(ip(address), &temporary), is_so, "{address}");
        }
    }

    #[test]
    fn by_which_host_others_find_the_box() {
        let lan = ["fd00::2", "169.254.7.7", "192.168.1.20", "10.0.0.7"].map(ip);
        for (listens, reachable, want) in [
            ("0.0.0.0", &lan[..], "192.168.1.20"),
            ("::", &lan[..], "192.168.1.20"),
            ("0.0.0.0", &lan[..2], "localhost"),
            ("127.0.0.1", &lan[..], "localhost"),
            ("::1", &lan[..], "localhost"),
            ("10.0.0.7", &lan[..], "10.0.0.7"),
            ("fd00::2", &lan[..], "[fd00::2]"),
        ] {
            assert_eq!(host_for_others(ip(listens), reachable), want, "listens at {listens}");
        }
        for (named, want) in [
            ("192.168.1.99", "192.168.1.99"),
            ("fd00::2", "[fd00::2]"),
            ("cam.example.org", "cam.example.org"),
            ("localhost", "192.168.1.20"),
            ("127.0.0.1", "192.168.1.20"),
            ("::1", "192.168.1.20"),
            ("0.0.0.0", "192.168.1.20"),
        ] {
            assert_eq!(host_as_named(named, ip("0.0.0.0"), &lan), want, "named {named}");
        }
    }

    #[test]
    fn what_people_type() {
        let names = Names::new("perch-1234", &Names::default(), &[]);
        for (listens, want) in [
            ("0.0.0.0:80", &["http://perch-1234.local", "http://192.168.1.20"][..]),
            ("[::]:8080", &["http://perch-1234.local:8080", "http://192.168.1.20:8080"]),
            ("192.168.1.21:80", &["http://192.168.1.21"]),
            ("127.0.0.1:8081", &["http://localhost:8081"]),
        ] {
            assert_eq!(plain_urls(&names, listens.parse().expect("an address"), &[ip("192.168.1.20")]), want);
        }
    }

    #[test]
    fn when_a_leaf_is_replaced() {
        let names = |hosts: &[&str]| {
            let dns = hosts.iter().map(|h| (*h).to_owned()).collect();
            Names::new("box", &Names { dns, ..Names::default() }, &[])
        };
        let second = Duration::from_secs(1);
        let made = CLOCK_FLOOR + 1000 * DAY;
        let never_set = Timestamp(0);
        type Row<'a> = (Timestamp, &'a [&'a str], &'a [&'a str], Timestamp, Option<&'a str>);
        let table: [Row<'_>; 12] = [
            (made, &[], &[], made, None),
            (made, &[], &[], made + (LEAF_LIFE - ROTATE_BEFORE), None),
            (made, &[], &[], made + (LEAF_LIFE - ROTATE_BEFORE) + second, Some("the leaf ends soon")),
            (made, &[], &[], made + 1000 * DAY, Some("the leaf ends soon")),
            (made, &[], &[], made - LEAF_BACKDATE, None),
            (made, &[], &[], made - LEAF_BACKDATE - second, Some("the clock was set back")),
            (made, &[], &["new.example"], made, Some("the box has a new name or address")),
            (made, &["old.example"], &[], made, None),
            // Made before the clock was set, and asked before and after.
            (never_set, &[], &[], never_set, None),
            (never_set, &[], &[], CLOCK_FLOOR + 365 * DAY, None),
            (never_set, &[], &[], CLOCK_FLOOR + 500 * DAY, Some("the leaf ends soon")),
            (made, &[], &[], never_set, Some("the clock was set back")),
        ];
        for (made, of, asked, at, want) in table {
            let (not_before, not_after) = Leaf::validity(made);
            assert!(not_after <= not_before + 825 * DAY, "more than browsers take");
            let leaf = Leaf { names: names(of), not_before, not_after };
            assert_eq!(leaf.reason_to_rotate(&names(asked), at), want, "made {made}, asked {at} for {asked:?}");
        }
    }
}
