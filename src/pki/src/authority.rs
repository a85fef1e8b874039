//! The box's own certificate authority and the leaf it signs: made at first start, kept in `<data>/tls`, renewed while running.

use crate::files::{Dir, IDENTITY_FOLDER};
use perch_base::secret::{Secret, hex, random_bytes, sha256};
use perch_base::time::Timestamp;
use perch_base::{Error, ErrorKind, Result, ResultExt};
use perch_domain::authority::{AuthorityPlan, PairFound, plan_authority, serves_unrenewed};
use perch_domain::certificate_facts::{CertificateFacts, CertificateKind};
use perch_domain::identity::{Certificate, Leaf, Names};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use x509_parser::extensions::GeneralName;

const CA_CERT: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const LEAF_CERT: &str = "leaf.pem";
const LEAF_KEY: &str = "leaf.key";
/// The files of a certificate and its key.
const CA: (&str, &str) = (CA_CERT, CA_KEY);
const LEAF: (&str, &str) = (LEAF_CERT, LEAF_KEY);

/// The authority, the leaf and the folder they live in.
pub struct Pki {
    dir: Dir,
    ca_pem: String,
    ca_der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    chain_pem: String,
    key_pem: Secret,
}

impl Pki {
    /// Loads both certificates from `<data_dir>/tls`, or makes what is missing, damaged or no longer fits `names` and `now`.
    pub fn open(data_dir: &Path, names: &Names, now: Timestamp) -> Result<Self> {
        let dir = Dir::open(data_dir.join(IDENTITY_FOLDER))?;
        let (ca_pem, ca_key) = open_authority(&dir)?;
        let key = KeyPair::from_pem(&ca_key).context(ErrorKind::Corrupt, || no_key(&dir, CA_KEY))?;
        let issuer =
            Issuer::from_ca_cert_pem(&ca_pem, key).context(ErrorKind::Corrupt, || no_certificate(&dir, CA_CERT))?;
        let ca_der = CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .context(ErrorKind::Corrupt, || no_certificate(&dir, CA_CERT))?;
        let (chain_pem, key_pem) = (dir.read(LEAF_CERT)?, dir.read(LEAF_KEY)?);
        let mut pki = Self {
            dir,
            ca_pem,
            ca_der,
            issuer,
            chain_pem: chain_pem.unwrap_or_default(),
            key_pem: Secret::new(key_pem.unwrap_or_default()),
        };
        if let Err(e) = pki.refresh(names, now) {
            let leaf = check_pair(&pki.dir, LEAF, &pki.chain_pem, pki.key_pem.expose());
            if !serves_unrenewed(leaf.map_or(PairFound::Damaged, |()| PairFound::Whole)) {
                return Err(e);
            }
            tracing::error!(error = %e, "the certificate cannot be renewed; the old one stays in use");
        }
        Ok(pki)
    }

    /// Replaces the leaf when it ends soon or names other things than `names`. True when it did.
    pub fn refresh(&mut self, names: &Names, now: Timestamp) -> Result<bool> {
        let Some(reason) = self.reason_to_rotate(names, now) else { return Ok(false) };
        tracing::info!(reason, names = %names, "making a new certificate");
        let key = KeyPair::generate().context(ErrorKind::Internal, || "no key could be made")?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Perch");
        params.subject_alt_names = subject_alternative_names(names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let (not_before, not_after) = Leaf::validity(now);
        params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(not_before);
        params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(not_after);
        let leaf =
            params.signed_by(&key, &self.issuer).context(ErrorKind::Internal, || "no certificate could be made")?;
        let chain_pem = format!("{}{}", leaf.pem(), self.ca_pem);
        let key_pem = key.serialize_pem();
        self.dir.write(LEAF_KEY, key_pem.as_bytes())?;
        self.dir.write(LEAF_CERT, chain_pem.as_bytes())?;
        (self.chain_pem, self.key_pem) = (chain_pem, Secret::new(key_pem));
        Ok(true)
    }

    fn reason_to_rotate(&self, names: &Names, now: Timestamp) -> Option<&'static str> {
        if check_pair(&self.dir, LEAF, &self.chain_pem, self.key_pem.expose()).is_err() {
            return Some("there is no leaf, or it is damaged");
        }
        match read_leaf(&self.dir, &self.chain_pem, &self.ca_der) {
            Ok(leaf) => leaf.reason_to_rotate(names, now),
            Err(_) => Some("the leaf is not from this authority"),
        }
    }

    /// What TLS transports need.
    pub fn certificate(&self) -> Certificate {
        Certificate { chain_pem: self.chain_pem.clone(), key_pem: self.key_pem.clone() }
    }

    /// What people are told of the leaf.
    pub fn facts(&self) -> Result<CertificateFacts> {
        let leaf = read_leaf(&self.dir, &self.chain_pem, &self.ca_der)?;
        let der = CertificateDer::from_pem_slice(self.chain_pem.as_bytes())
            .context(ErrorKind::Corrupt, || no_certificate(&self.dir, LEAF_CERT))?;
        Ok(CertificateFacts {
            kind: CertificateKind::Own,
            names: leaf.names.listed(),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            sha256: hex(&sha256(&der)),
            renewal_problem: String::new(),
        })
    }

    /// The authority's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// SHA-256 of the authority's certificate (DER), lower-case hex: what phones pin.
    pub fn ca_sha256(&self) -> String {
        hex(&sha256(&self.ca_der))
    }
}

/// The authority's certificate and key, PEM: those in the folder, or new ones.
fn open_authority(dir: &Dir) -> Result<(String, String)> {
    let kept = (dir.read(CA_CERT)?, dir.read(CA_KEY)?);
    let (found, damage) = match &kept {
        (Some(cert), Some(key)) => match check_pair(dir, CA, cert, key) {
            Ok(()) => (PairFound::Whole, None),
            Err(e) => (PairFound::Damaged, Some(e)),
        },
        (None, None) => (PairFound::Nothing, None),
        _ => (PairFound::Half, None),
    };
    match (plan_authority(found), kept.0.zip(kept.1)) {
        (AuthorityPlan::Use, Some(pair)) => return Ok(pair),
        (AuthorityPlan::Replace, _) => {
            let error = damage.as_ref().map(tracing::field::display);
            tracing::error!(
                error,
                "the certificate authority in the data folder is damaged; a new one is made, so every phone must trust the box again"
            );
        }
        _ => {}
    }
    make_ca(dir)
}

fn make_ca(dir: &Dir) -> Result<(String, String)> {
    let key = KeyPair::generate().context(ErrorKind::Internal, || "no key could be made")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // A name of its own, so that a browser that trusts several boxes does not confuse them. It says nothing of the box.
    params.distinguished_name.push(DnType::CommonName, format!("Perch box {}", hex(&random_bytes::<4>())));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Fixed, because the clock may not be set yet.
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2050, 1, 1);
    let cert = params.self_signed(&key).context(ErrorKind::Internal, || "no authority could be made")?;
    let (cert, key) = (cert.pem(), key.serialize_pem());
    dir.write(CA_KEY, key.as_bytes())?;
    dir.write(CA_CERT, cert.as_bytes())?;
    tracing::info!("made the box's certificate authority");
    Ok((cert, key))
}

fn no_certificate(dir: &Dir, name: &str) -> String {
    format!("{} holds no certificate", dir.path(name).display())
}

fn no_key(dir: &Dir, name: &str) -> String {
    format!("{} holds no private key", dir.path(name).display())
}

/// Whether a certificate (the first in `cert_pem`) and a key, which the files of these names hold, belong together.
fn check_pair(dir: &Dir, (cert_file, key_file): (&str, &str), cert_pem: &str, key_pem: &str) -> Result<()> {
    let key = KeyPair::from_pem(key_pem).context(ErrorKind::Corrupt, || no_key(dir, key_file))?;
    let der = CertificateDer::from_pem_slice(cert_pem.as_bytes())
        .context(ErrorKind::Corrupt, || no_certificate(dir, cert_file))?;
    let (_, cert) =
        x509_parser::parse_x509_certificate(&der).context(ErrorKind::Corrupt, || no_certificate(dir, cert_file))?;
    if cert.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
        let (cert, key) = (dir.path(cert_file), dir.path(key_file));
        let why = format!("{} and {} do not belong together", cert.display(), key.display());
        return Err(Error::new(ErrorKind::Corrupt, why));
    }
    Ok(())
}

fn read_leaf(dir: &Dir, chain_pem: &str, ca_der: &CertificateDer<'_>) -> Result<Leaf> {
    let corrupt = |what: &str| Error::new(ErrorKind::Corrupt, format!("{} {what}", dir.path(LEAF_CERT).display()));
    let der = CertificateDer::from_pem_slice(chain_pem.as_bytes())
        .context(ErrorKind::Corrupt, || no_certificate(dir, LEAF_CERT))?;
    let (_, cert) =
        x509_parser::parse_x509_certificate(&der).context(ErrorKind::Corrupt, || no_certificate(dir, LEAF_CERT))?;
    let (_, ca) =
        x509_parser::parse_x509_certificate(ca_der).context(ErrorKind::Corrupt, || no_certificate(dir, CA_CERT))?;
    if cert.issuer().as_raw() != ca.subject().as_raw() {
        return Err(corrupt("is from another authority"));
    }
    let san = cert.subject_alternative_name().ok().flatten().ok_or_else(|| corrupt("has no names"))?;
    let mut names = Names::default();
    for name in &san.value.general_names {
        match name {
            GeneralName::DNSName(name) => _ = names.dns.insert((*name).to_owned()),
            GeneralName::IPAddress(bytes) => {
                let address = match bytes.len() {
                    4 => <[u8; 4]>::try_from(*bytes).map(IpAddr::from).ok(),
                    _ => <[u8; 16]>::try_from(*bytes).map(IpAddr::from).ok(),
                };
                names.addresses.extend(address);
            }
            _ => {}
        }
    }
    let at = |t: x509_parser::time::ASN1Time| Timestamp(t.timestamp().saturating_mul(1_000_000));
    Ok(Leaf { names, not_before: at(cert.validity().not_before), not_after: at(cert.validity().not_after) })
}

/// Whole seconds since the epoch; never before it here.
fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(at.as_micros().max(0) as u64 / 1_000_000)
}

fn subject_alternative_names(names: &Names) -> Result<Vec<SanType>> {
    let mut out = Vec::new();
    for name in &names.dns {
        let text = name
            .as_str()
            .try_into()
            .context(ErrorKind::Invalid, || format!("host name `{name}` cannot stand in a certificate"))?;
        out.push(SanType::DnsName(text));
    }
    out.extend(names.addresses.iter().map(|a| SanType::IpAddress(*a)));
    Ok(out)
}
