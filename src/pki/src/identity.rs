//! The identity of the moment: the authority and its leaf beside the names they are for, looked at every minute.

use crate::authority::Pki;
use perch_base::Result;
use perch_base::clock::SharedClock;
use perch_base::net;
use perch_base::repeated::Repeated;
use perch_base::sync::{lock, read, write};
use perch_domain::identity::{Certificate, IdentityPort, Names, is_for_others};
use perch_domain::reach::by_worth;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};

/// Where keys are kept and what the box is called.
#[derive(Clone, Debug)]
pub struct Config {
    /// The box's data folder; keys and certificates go to `tls/` in it.
    pub data_dir: PathBuf,
    /// The machine's host name, as the kernel says it.
    pub host: String,
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
    names: Arc<Names>,
    reachable: Vec<IpAddr>,
}

impl Identity {
    /// Makes or loads authority and leaf. Blocks. Errors with `Io` when keys cannot be kept.
    pub fn open(config: Config, clock: SharedClock) -> Result<Self> {
        let reachable = reachable_addresses().unwrap_or_else(|e| {
            tracing::warn!(error = %e, "this machine's addresses cannot be read: the certificate names none");
            Vec::new()
        });
        let names = Names::new(&config.host, &config.hostnames, &reachable);
        let pki = Pki::open(&config.data_dir, &names, clock.utc())?;
        let (ca_pem, ca_sha256) = (pki.ca_pem().to_owned(), pki.ca_sha256());
        let now = Now { certificate: Arc::new(pki.certificate()), names: Arc::new(names), reachable };
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
        let names = Arc::new(Names::new(&self.config.host, &read(&self.hostnames), &reachable));
        let mut pki = lock(&self.pki);
        let renewed = pki.refresh(&names, self.clock.utc());
        let mut now = write(&self.now);
        (now.names, now.reachable) = (names, reachable);
        if renewed? {
            now.certificate = Arc::new(pki.certificate());
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
        let config = Config { data_dir: dir.path().to_owned(), host: "perch".into(), hostnames: Names::default() };
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
