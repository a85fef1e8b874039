//! An authority and a leaf in memory.

use perch_base::secret::Secret;
use perch_domain::identity::{Certificate, IdentityPort, Names};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

pub struct FakeIdentity {
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
    names: Arc<Names>,
    certificate: Mutex<Arc<Certificate>>,
}

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
        let identity = Self { issuer, ca_pem, names, certificate: Mutex::new(Arc::new(empty)) };
        identity.renew();
        Arc::new(identity)
    }

    /// Makes another leaf.
    pub fn renew(&self) {
        let key = KeyPair::generate().expect("a key");
        let names = self.names.dns.iter().cloned().chain(self.names.addresses.iter().map(IpAddr::to_string));
        let params = CertificateParams::new(names.collect::<Vec<_>>()).expect("names");
        let leaf = params.signed_by(&key, &self.issuer).expect("a leaf");
        let chain_pem = format!("{}{}", leaf.pem(), self.ca_pem);
        let made = Certificate { chain_pem, key_pem: Secret::new(key.serialize_pem()) };
        *self.certificate.lock().expect("lock") = Arc::new(made);
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
    fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
    fn ca_sha256(&self) -> &str {
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
}
