//! An authority and a leaf in memory.

use crate::support::now;
use perch_base::secret::Secret;
use perch_domain::acme::DomainStatus;
use perch_domain::certificate_facts::{CertificateFacts, CertificateKind};
use perch_domain::identity::{Certificate, IdentityPort, Names};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

pub struct FakeIdentity {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    names: Arc<Names>,
    certificate: Mutex<Arc<Certificate>>,
    /// The certificate of [`DOMAIN`].
    pub of_domain: Mutex<Option<Arc<Certificate>>>,
    /// What answers an authority that asks for it.
    pub asked: Mutex<Option<Arc<Certificate>>>,
}

/// A domain that others vouch for.
pub const DOMAIN: &str = "cam.example.org";

impl FakeIdentity {
    pub fn new() -> Arc<Self> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let ca_pem = params.self_signed(&key).expect("an authority").pem();
        let further = Names { dns: ["cam.example.org".into()].into(), ..Names::default() };
        let names = Arc::new(Names::new("perch-test", &further, &[]));
        let empty = Certificate { chain_pem: String::new(), key_pem: Secret::new(String::new()) };
        let issuer = Issuer::new(params, key);
        let identity = Self {
            issuer,
            ca_pem,
            names,
            certificate: Mutex::new(Arc::new(empty)),
            of_domain: Mutex::default(),
            asked: Mutex::default(),
        };
        identity.renew();
        Arc::new(identity)
    }

    /// Makes another leaf.
    pub fn renew(&self) {
        *self.certificate.lock().expect("lock") = self.leaf();
    }

    /// What answers an authority that asks for [`DOMAIN`] (RFC 8737, section 3).
    pub fn answer(&self) -> Arc<Certificate> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![DOMAIN.to_owned()]).expect("a name");
        params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(&[7; 32])];
        let chain_pem = params.self_signed(&key).expect("made").pem();
        Arc::new(Certificate { chain_pem, key_pem: Secret::new(key.serialize_pem()) })
    }

    /// A leaf of its own.
    pub fn leaf(&self) -> Arc<Certificate> {
        let key = KeyPair::generate().expect("a key");
        let names = self.names.dns.iter().cloned().chain(self.names.addresses.iter().map(IpAddr::to_string));
        let params = CertificateParams::new(names.collect::<Vec<_>>()).expect("names");
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf");
        let chain_pem = format!("{}{}", leaf.pem(), self.ca_pem);
        Arc::new(Certificate { chain_pem, key_pem: Secret::new(key.serialize_pem()) })
    }

    /// Hands out an invalid certificate.
    pub fn spoil(&self) {
        let made = Certificate { chain_pem: "nonsense".into(), key_pem: Secret::new("nonsense".into()) };
        *self.certificate.lock().expect("lock") = Arc::new(made);
    }
}

impl IdentityPort for FakeIdentity {
    fn certificate(&self) -> Arc<Certificate> {
        self.certificate.lock().expect("lock").clone()
    }
    fn names(&self) -> Arc<Names> {
        self.names.clone()
    }
    fn reachable(&self) -> Vec<IpAddr> {
        vec![]
    }
    fn certificates(&self) -> Vec<CertificateFacts> {
        let (not_before, not_after) = (now(), now() + 3 * perch_base::time::DAY);
        let names = self.names.listed();
        let (sha256, renewal_problem) = ("ab".repeat(32), "the disk is full".into());
        vec![CertificateFacts { kind: CertificateKind::Own, names, not_before, not_after, sha256, renewal_problem }]
    }
    fn domain(&self) -> Option<DomainStatus> {
        let (domain, problem) = (DOMAIN.to_owned(), "nobody answers at port 80".into());
        Some(DomainStatus { domain, problem, tried_again_at: Some(now()) })
    }
    fn certificate_for(&self, name: Option<&str>) -> Arc<Certificate> {
        match self.of_domain.lock().expect("lock").clone() {
            Some(held) if name == Some(DOMAIN) => held,
            _ => self.certificate(),
        }
    }
    fn alpn_answer(&self, name: Option<&str>) -> Option<Arc<Certificate>> {
        self.asked.lock().expect("lock").clone().filter(|_| name == Some(DOMAIN))
    }
    fn http_answer(&self, token: &str) -> Option<String> {
        (token == "tok-en_1").then(|| "tok-en_1.thumb".to_owned())
    }
    fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
    fn ca_sha256(&self) -> &str {
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
}
