//! What is kept of a domain: its certificate and key, the account at the authority, and attempts that failed, as files in `<data>/tls`.

use crate::files::{Dir, IDENTITY_FOLDER};
use perch_base::secret::{Secret, hex, sha256};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::acme::Failures;
use perch_domain::certificate_facts::{CertificateFacts, CertificateKind};
use perch_domain::identity::Certificate;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;

const CERTIFICATE: &str = "domain.pem";
const KEY: &str = "domain.key";
const ACCOUNT: &str = "acme-account.json";
const FAILURES: &str = "acme-failures.json";
const RECORDS: &str = "acme-records.json";

/// A domain's certificate.
pub(crate) struct DomainCertificate {
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) facts: CertificateFacts,
    /// The leaf, DER.
    pub(crate) leaf: CertificateDer<'static>,
}

impl DomainCertificate {
    /// Reads a chain (PEM, the leaf first) and the key of its leaf. Errors with `Corrupt` where they do not belong together, and where the
    /// leaf is not for this domain.
    pub(crate) fn read(domain: &str, chain_pem: &str, key_pem: &Secret) -> Result<Self> {
        let bad = || format!("the certificate of {domain} cannot be used");
        let wrong = |why: &str| Error::new(ErrorKind::Corrupt, format!("{}: {why}", bad()));
        let leaf = CertificateDer::from_pem_slice(chain_pem.as_bytes()).context(ErrorKind::Corrupt, bad)?;
        let key = KeyPair::from_pem(key_pem.expose()).context(ErrorKind::Corrupt, bad)?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&leaf).context(ErrorKind::Corrupt, bad)?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(wrong("its key is another one's"));
        }
        let san = parsed.subject_alternative_name().ok().flatten();
        let names: Vec<String> = san
            .iter()
            .flat_map(|san| &san.value.general_names)
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        if !names.iter().any(|name| name == domain) {
            return Err(wrong("it is for another name"));
        }
        let at = |t: x509_parser::time::ASN1Time| Timestamp(t.timestamp().saturating_mul(1_000_000));
        let facts = CertificateFacts {
            kind: CertificateKind::Domain,
            names,
            not_before: at(parsed.validity().not_before),
            not_after: at(parsed.validity().not_after),
            sha256: hex(&sha256(&leaf)),
            renewal_problem: String::new(),
        };
        let certificate = Arc::new(Certificate { chain_pem: chain_pem.to_owned(), key_pem: key_pem.clone() });
        Ok(Self { certificate, facts, leaf: leaf.into_owned() })
    }
}

/// The account, for one directory.
#[derive(Serialize, Deserialize)]
struct KeptAccount {
    directory: String,
    credentials: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct KeptFailures {
    count: u32,
    last_at_us: i64,
    limited: bool,
    #[serde(default)]
    unreached: u32,
    why: String,
}

/// The files.
pub(crate) struct Kept(Dir);

impl Kept {
    pub(crate) fn open(data_dir: &std::path::Path) -> Result<Self> {
        Dir::open(data_dir.join(IDENTITY_FOLDER)).map(Self)
    }

    /// The certificate of this domain. One that is damaged, or another's, counts as none.
    pub(crate) fn certificate(&self, domain: &str) -> Result<Option<DomainCertificate>> {
        let (Some(chain), Some(key)) = (self.0.read(CERTIFICATE)?, self.0.read(KEY)?) else { return Ok(None) };
        let read = DomainCertificate::read(domain, &chain, &Secret::new(key));
        Ok(read.inspect_err(|e| tracing::warn!(error = %e, "another one is asked for")).ok())
    }

    pub(crate) fn keep_certificate(&self, chain_pem: &str, key_pem: &Secret) -> Result<()> {
        self.0.write(KEY, key_pem.expose().as_bytes())?;
        self.0.write(CERTIFICATE, chain_pem.as_bytes())
    }

    /// What an account at this directory signs in with.
    pub(crate) fn account(&self, directory: &str) -> Result<Option<serde_json::Value>> {
        let kept = self.0.read(ACCOUNT)?.and_then(|text| serde_json::from_str::<KeptAccount>(&text).ok());
        Ok(kept.filter(|account| account.directory == directory).map(|account| account.credentials))
    }

    pub(crate) fn keep_account(&self, directory: &str, credentials: serde_json::Value) -> Result<()> {
        self.keep(ACCOUNT, &KeptAccount { directory: directory.to_owned(), credentials })
    }

    /// The authority does not know it any more.
    pub(crate) fn forget_account(&self) -> Result<()> {
        self.0.write(ACCOUNT, b"")
    }

    /// Attempts that failed, and why the last one did, also before a restart: the authority counts those too.
    pub(crate) fn failures(&self) -> (Failures, String) {
        let kept = self.0.read(FAILURES).ok().flatten();
        let kept = kept.and_then(|text| serde_json::from_str::<KeptFailures>(&text).ok());
        kept.map_or_else(Default::default, |KeptFailures { count, last_at_us, limited, unreached, why }| {
            (Failures { count, last_at: Timestamp(last_at_us), limited, unreached }, why)
        })
    }

    pub(crate) fn keep_failures(&self, failures: Failures, why: String) -> Result<()> {
        let Failures { count, last_at, limited, unreached } = failures;
        self.keep(FAILURES, &KeptFailures { count, last_at_us: last_at.as_micros(), limited, unreached, why })
    }

    /// TXT records that a hook was told to set and not yet to remove, also before a restart: name and value.
    pub(crate) fn records(&self) -> Vec<(String, String)> {
        let kept = self.0.read(RECORDS).ok().flatten();
        kept.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    pub(crate) fn keep_records(&self, records: &[(String, String)]) -> Result<()> {
        self.keep(RECORDS, &records)
    }

    fn keep(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).context(ErrorKind::Internal, || format!("{name} cannot be written"))?;
        self.0.write(name, text.as_bytes())
    }
}
