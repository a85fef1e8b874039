//! A certificate for a domain from an authority that browsers know, by ACME (RFC 8555): what is configured, when one is asked for, and how
//! long is waited after a failure. How it is asked for is `pki`'s business.

use crate::settings::Keys;
use perch_base::authority::Authority;
use perch_base::net::is_host_name;
use perch_base::secret::Secret;
use perch_base::time::{DAY, Timestamp};
use perch_base::{Error, Result};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Let's Encrypt.
pub const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The path of the answers to HTTP-01 (RFC 8555, section 8.3).
pub const HTTP_PATH: &str = "/.well-known/acme-challenge/";
/// The protocol by which TLS-ALPN-01 asks (RFC 8737, section 3).
pub const ALPN: &[u8] = b"acme-tls/1";

/// How the authority is shown that the domain is the box's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// On the port of HTTPS, which must be reached at the domain's port 443.
    TlsAlpn,
    /// On the plain port, which must be reached at the domain's port 80.
    Http,
    /// By a record in the domain's name service, which a hook sets.
    Dns,
}

impl ChallengeKind {
    const CHOICES: [(&str, Self); 3] = [("tls-alpn-01", Self::TlsAlpn), ("http-01", Self::Http), ("dns-01", Self::Dns)];
}

/// `[acme]`, where a domain is named.
#[derive(Clone, Debug)]
pub struct AcmeConfig {
    /// The domain.
    pub domain: String,
    /// Where the authority may write to.
    pub contact: Option<String>,
    /// The authority's directory.
    pub directory: String,
    /// By what it must prove itself, PEM; `None`: what this system trusts.
    pub ca_pem: Option<Secret>,
    /// How the domain is shown to be the box's.
    pub challenge: ChallengeKind,
    /// What sets records; with [`ChallengeKind::Dns`] alone.
    pub hook: Option<DnsHook>,
}

/// An address that sets and removes TXT records.
#[derive(Clone, Debug)]
pub struct DnsHook {
    /// It is sent `{"fqdn", "value", "action": "present" | "cleanup"}` by POST, and answers once the record is served.
    pub url: String,
    /// Its bearer token.
    pub secret: Option<Secret>,
}

impl AcmeConfig {
    /// Reads the keys. `None`: no domain is named.
    pub fn read(keys: &mut impl Keys, secret_of: impl Fn(&str) -> Result<Secret>) -> Option<Self> {
        let domain = keys.optional("domain", read_domain);
        let contact = keys.optional("contact", read_contact);
        let directory =
            keys.parsed("directory", DIRECTORY, |text| check_url(text, "must be like https://host/directory"));
        let ca_pem = keys.optional("ca_file", &secret_of);
        let challenge = keys.choice("challenge", ChallengeKind::CHOICES[0].0, &ChallengeKind::CHOICES);
        let url = keys.optional("dns_hook", |text| check_url(text, "must be like https://host/path"));
        let secret = keys.optional("dns_hook_secret_file", &secret_of);
        let hook = url.map(|url| DnsHook { url, secret });
        let domain = domain?;
        match (challenge, &hook) {
            (ChallengeKind::Dns, None) => keys.problem("dns_hook", "", "is needed with challenge = \"dns-01\""),
            (ChallengeKind::TlsAlpn | ChallengeKind::Http, Some(_)) => {
                keys.warn("dns_hook", "…", "is used with challenge = \"dns-01\" alone");
            }
            _ => {}
        }
        Some(Self { domain, contact, directory: directory?, ca_pem, challenge, hook })
    }
}

impl PartialEq for AcmeConfig {
    fn eq(&self, other: &Self) -> bool {
        let secret = |secret: &Option<Secret>| secret.as_ref().map(|s| s.expose().clone());
        let hook = |c: &Self| c.hook.as_ref().map(|h| (h.url.clone(), secret(&h.secret)));
        (&self.domain, &self.contact, &self.directory, self.challenge, secret(&self.ca_pem), hook(self))
            == (&other.domain, &other.contact, &other.directory, other.challenge, secret(&other.ca_pem), hook(other))
    }
}

fn read_domain(text: &str) -> Result<String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let is_public = name.contains('.') && !name.ends_with(".local") && name.parse::<IpAddr>().is_err();
    match is_host_name(&name) && is_public {
        true => Ok(name),
        false => Err(Error::invalid("must be a domain of yours such as cam.example.org: nobody vouches for others")),
    }
}

fn read_contact(text: &str) -> Result<String> {
    let address = text.strip_prefix("mailto:").unwrap_or(text);
    let plain = |c: char| c.is_ascii_graphic() && !"<>,;?\"".contains(c);
    match address.split_once('@') {
        Some((user, host)) if !user.is_empty() && is_host_name(host) && address.chars().all(plain) => {
            Ok(format!("mailto:{address}"))
        }
        _ => Err(Error::invalid("must be a mail address")),
    }
}

/// `https://`, and within the machine `http://` too: a hook beside perch needs no certificate.
fn check_url(text: &str, rule: &str) -> Result<String> {
    let (scheme, Authority { user_info, host, .. }) =
        Authority::of(text).ok_or_else(|| Error::invalid(rule.to_owned()))?;
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let is_here = host == "localhost" || host.parse() == Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)) || host == "::1";
    let ok = text.len() <= 2048
        && !host.is_empty()
        && user_info.is_none()
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?[]!$&'()*+,;=%".contains(&b))
        && (scheme == "https" || (scheme == "http" && is_here));
    // What was given is not repeated: it may hold a token.
    if ok { Ok(text.to_owned()) } else { Err(Error::invalid(rule.to_owned())) }
}

/// A certificate for the domain that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// When the authority would have it renewed (ARI, RFC 9773), if it says so.
    pub window: Option<(Timestamp, Timestamp)>,
}

/// How an attempt to get a certificate failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeFailure {
    /// The authority was not reached, or did not answer: it counts nothing.
    Unreached,
    /// It, or something here, said no.
    Refused,
    /// It said that there were too many.
    Limited,
}

/// Attempts that failed one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many the authority, or something here, refused.
    pub count: u32,
    /// When the last one was.
    pub last_at: Timestamp,
    /// Whether the authority said that there were too many.
    pub limited: bool,
    /// How many did not reach the authority since it answered last.
    pub unreached: u32,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The pause after the first failure; it doubles. Let's Encrypt takes five failed attempts of a name an hour.
const FIRST_PAUSE: Duration = MINUTE.saturating_mul(15);
/// The pause after the first attempt that did not reach the authority; it doubles. A box is often sooner up than its network.
const FIRST_UNREACHED_PAUSE: Duration = MINUTE;
/// The longest pause as long as the authority is not reached.
const LONGEST_UNREACHED_PAUSE: Duration = HOUR;
/// The longest pause.
const LONGEST_PAUSE: Duration = DAY;
/// The pause at least, once there were too many: limits are counted over hours.
const LIMITED_PAUSE: Duration = HOUR.saturating_mul(12);

impl Failures {
    /// One more.
    pub fn and(self, how: AcmeFailure, now: Timestamp) -> Self {
        match how {
            AcmeFailure::Unreached => Self { unreached: self.unreached.saturating_add(1), last_at: now, ..self },
            AcmeFailure::Refused | AcmeFailure::Limited => Self {
                count: self.count.saturating_add(1),
                last_at: now,
                limited: how == AcmeFailure::Limited,
                unreached: 0,
            },
        }
    }

    /// When may be tried again; `chance`, of 0 to 1, spreads what many boxes would do at once.
    pub fn next_at(&self, chance: f64, now: Timestamp) -> Timestamp {
        let doubled = |first: Duration, times: u32| first.saturating_mul(1 << (times - 1).min(10));
        let pause = match (self.count, self.unreached) {
            (0, 0) => return now,
            // Its limits were waited out before it was asked in vain.
            (_, 1..) => doubled(FIRST_UNREACHED_PAUSE, self.unreached).min(LONGEST_UNREACHED_PAUSE),
            (_, 0) => doubled(FIRST_PAUSE, self.count).min(LONGEST_PAUSE),
        };
        let pause = if self.limited && self.unreached == 0 { pause.max(LIMITED_PAUSE) } else { pause };
        // A clock that was set back since must not keep the box waiting for years.
        self.last_at.min(now) + pause.mul_f64(1.0 + chance / 4.0)
    }
}

/// When a certificate is asked for next; the past means now. `chance`, of 0 to 1, is the same as long as nothing changes.
pub fn ask_at(held: Option<&Held>, failures: &Failures, chance: f64, now: Timestamp) -> Timestamp {
    let due = held.map_or(now, |held| renew_at(held, chance));
    due.max(failures.next_at(chance, now))
}

/// Within the authority's window, else at two thirds of its life (and a little later, so that not all boxes come at once).
fn renew_at(held: &Held, chance: f64) -> Timestamp {
    let between = |from: Timestamp, to: Timestamp, part: f64| {
        let length = Duration::from_micros(to.micros_since(from).max(0).unsigned_abs());
        from + length.mul_f64(part)
    };
    match held.window {
        // A window of which nothing makes sense is none.
        Some((start, end)) if start <= end && end <= held.not_after => between(start, end, chance),
        _ => between(held.not_before, held.not_after, 2.0 / 3.0 + chance / 30.0),
    }
}

/// How a certificate for a domain stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainStatus {
    /// The domain.
    pub domain: String,
    /// Why there is none, or why it was not renewed; a sentence without its full stop, empty when all is well.
    pub problem: String,
    /// When it is tried again, after a failure.
    pub tried_again_at: Option<Timestamp>,
}

#[cfg(test)]
#[path = "acme_tests.rs"]
mod tests;
