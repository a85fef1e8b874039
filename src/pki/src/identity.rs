//! The identity of the moment: the authority and its leaf beside the names they are for, looked at every minute.

use crate::authority::Pki;
use crate::domain_certificate::DomainCertificate;
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::net;
use perch_base::repeated::Repeated;
use perch_base::sync::{lock, read, write};
use perch_domain::acme::DomainStatus;
use perch_domain::certificate_facts::CertificateFacts;
use perch_domain::identity::{Certificate, IdentityPort, Names, is_for_others};
use perch_domain::reach::by_worth;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

/// Where keys are kept and what the box is called.
#[derive(Clone, Debug)]
pub struct Config {
    /// The box's data folder; keys and certificates go to `tls/` in it.
    pub data_dir: PathBuf,
    /// Says what the machine is called; asked at each look, for it may be given another name while the box runs.
    pub host: fn() -> String,
    /// Further names and addresses under which the box is reached.
    pub hostnames: Names,
}

/// Who the box is; shared by all that speak TLS.
pub struct Identity {
    config: Config,
    clock: SharedClock,
    ca_pem: String,
    ca_sha256: String,
    /// Locked while it is looked at, which may take a disk's time. What is handed out does not wait for it.
    pki: Mutex<Pki>,
    /// Further names and addresses, as they are configured now.
    hostnames: RwLock<Names>,
    now: RwLock<Now>,
    /// Why the addresses of this machine could not be read.
    unreadable: Repeated,
}

struct Now {
    certificate: Arc<Certificate>,
    /// What people are told of it; `None`: it cannot be read.
    facts: Option<CertificateFacts>,
    names: Arc<Names>,
    reachable: Vec<IpAddr>,
    domain: Option<Domain>,
    answers: Answers,
}

/// The domain that is configured, and its certificate.
struct Domain {
    status: DomainStatus,
    held: Option<Arc<DomainCertificate>>,
}

/// What is answered while an authority looks whether a domain is the box's.
#[derive(Default)]
struct Answers {
    http: BTreeMap<String, String>,
    alpn: BTreeMap<String, Arc<Certificate>>,
}

impl Identity {
    /// Makes or loads authority and leaf. Blocks. Errors with `Io` when keys cannot be kept.
    pub fn open(config: Config, clock: SharedClock) -> Result<Self> {
        let reachable = reachable_addresses().unwrap_or_else(|e| {
            tracing::warn!(error = %e, "this machine's addresses cannot be read: the certificate names none");
            Vec::new()
        });
        let names = Names::new(&(config.host)(), &config.hostnames, &reachable);
        let pki = Pki::open(&config.data_dir, &names, clock.utc())?;
        let (ca_pem, ca_sha256) = (pki.ca_pem().to_owned(), pki.ca_sha256());
        let now = Now {
            certificate: Arc::new(pki.certificate()),
            facts: pki.facts().ok(),
            names: Arc::new(names),
            reachable,
            domain: None,
            answers: Answers::default(),
        };
        let (pki, now, unreadable) = (Mutex::new(pki), RwLock::new(now), Repeated::default());
        let hostnames = RwLock::new(config.hostnames.clone());
        Ok(Self { config, clock, ca_pem, ca_sha256, pki, hostnames, now, unreadable })
    }

    /// The box has these further names and addresses from now on. Blocks. Errors as [`Self::look`].
    pub fn set_hostnames(&self, hostnames: Names) -> Result<()> {
        *write(&self.hostnames) = hostnames;
        self.look()
    }

    /// Looks at names, addresses and dates, and renews the leaf where it no longer fits. Blocks. To be called every minute: an
    /// address may change at any time. Errors as [`Self::open`]; the old leaf is kept then.
    pub fn look(&self) -> Result<()> {
        let reachable = self.or_those_before(reachable_addresses());
        let names = Arc::new(Names::new(&(self.config.host)(), &read(&self.hostnames), &reachable));
        let mut pki = lock(&self.pki);
        let renewed = pki.refresh(&names, self.clock.utc());
        let mut now = write(&self.now);
        (now.names, now.reachable) = (names, reachable);
        match renewed {
            Ok(true) => (now.certificate, now.facts) = (Arc::new(pki.certificate()), pki.facts().ok()),
            Ok(false) => {}
            Err(e) => {
                if let Some(facts) = &mut now.facts {
                    facts.renewal_problem = e.message().to_owned();
                }
                return Err(e);
            }
        }
        Ok(())
    }

    /// Addresses that cannot be read are those of before: the leaf is not renewed for that.
    fn or_those_before(&self, addresses: io::Result<Vec<IpAddr>>) -> Vec<IpAddr> {
        match addresses {
            Ok(addresses) => {
                if let Some(repeats) = self.unreadable.ended() {
                    tracing::info!(repeats, "this machine's addresses are read again");
                }
                addresses
            }
            Err(e) => {
                if self.unreadable.is_news(&e, self.clock.mono()) {
                    tracing::warn!(error = %e, "this machine's addresses cannot be read: the certificate keeps those it has");
                }
                self.now(|now| now.reachable.clone())
            }
        }
    }

    /// The folder of keys, for who keeps a domain's there.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    /// The domain is this from now on, with this certificate; `None`: there is none.
    pub(crate) fn set_domain(&self, status: Option<DomainStatus>, held: Option<Arc<DomainCertificate>>) {
        write(&self.now).domain = status.map(|status| Domain { status, held });
    }

    /// What is answered for HTTP-01 until [`Self::forget_answers`].
    pub(crate) fn answer_http(&self, token: &str, answer: &str) {
        write(&self.now).answers.http.insert(token.to_owned(), answer.to_owned());
    }

    /// The same for TLS-ALPN-01.
    pub(crate) fn answer_alpn(&self, name: &str, certificate: Certificate) {
        write(&self.now).answers.alpn.insert(name.to_owned(), Arc::new(certificate));
    }

    /// Nobody asks any more.
    pub(crate) fn forget_answers(&self) {
        write(&self.now).answers = Answers::default();
    }

    fn now<T>(&self, take: impl FnOnce(&Now) -> T) -> T {
        take(&read(&self.now))
    }
}

impl IdentityPort for Identity {
    fn certificate(&self) -> Arc<Certificate> {
        self.now(|now| now.certificate.clone())
    }

    fn names(&self) -> Arc<Names> {
        self.now(|now| now.names.clone())
    }

    fn reachable(&self) -> Vec<IpAddr> {
        self.now(|now| now.reachable.clone())
    }

    fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    fn ca_sha256(&self) -> &str {
        &self.ca_sha256
    }

    fn certificates(&self) -> Vec<CertificateFacts> {
        self.now(|now| {
            let of_domain = now.domain.as_ref().and_then(|domain| {
                let facts = domain.held.as_ref()?.facts.clone();
                Some(CertificateFacts { renewal_problem: domain.status.problem.clone(), ..facts })
            });
            now.facts.iter().cloned().chain(of_domain).collect()
        })
    }

    fn certificate_for(&self, name: Option<&str>) -> Arc<Certificate> {
        self.now(|now| {
            let domain = now.domain.as_ref().filter(|domain| Some(domain.status.domain.as_str()) == name);
            let held = domain.and_then(|domain| domain.held.as_ref());
            held.map_or_else(|| now.certificate.clone(), |held| held.certificate.clone())
        })
    }

    fn domain(&self) -> Option<DomainStatus> {
        self.now(|now| now.domain.as_ref().map(|domain| domain.status.clone()))
    }

    fn alpn_answer(&self, name: Option<&str>) -> Option<Arc<Certificate>> {
        self.now(|now| now.answers.alpn.get(name?).cloned())
    }

    fn http_answer(&self, token: &str) -> Option<String> {
        self.now(|now| now.answers.http.get(token).cloned())
    }
}

/// The addresses by which this machine may be reached from elsewhere, the likeliest first.
fn reachable_addresses() -> io::Result<Vec<IpAddr>> {
    let temporary = std::fs::read_to_string("/proc/net/if_inet6").map(|text| net::temporary_addresses(&text));
    let temporary = temporary.unwrap_or_default();
    let addresses = by_worth(net::interfaces()?, &net::default_routes()).into_iter().flat_map(|one| one.addresses);
    Ok(addresses.filter(|a| is_for_others(*a, &temporary)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::clock::SystemClock;

    #[test]
    fn this_machine_has_addresses_that_are_not_loopback() {
        assert!(reachable_addresses().expect("read").iter().all(|a| !a.is_loopback()));
    }

    #[test]
    fn addresses_that_cannot_be_read_are_those_of_before_and_logged_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = Config { data_dir: dir.path().to_owned(), host: || "perch".into(), hostnames: Names::default() };
        let identity = Identity::open(config, Arc::new(SystemClock)).expect("opened");
        let before = identity.reachable();
        for _ in 0..3 {
            let kept = identity.or_those_before(Err(io::Error::other("no netlink")));
            assert_eq!(kept, before);
        }
        assert_eq!(identity.unreadable.ended(), Some(2), "one was logged");
        let new: IpAddr = "192.0.2.7".parse().expect("an address");
        assert_eq!(identity.or_those_before(Ok(vec![new])), [new]);
    }
}
