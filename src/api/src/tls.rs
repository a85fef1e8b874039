//! TLS for every connection: versions, protocols, and the certificate of the moment, which may be renewed while the server runs.

use perch_base::sync::lock;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::acme::ALPN;
use perch_domain::identity::{Certificate, IdentityPort};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, Mutex};

/// Hands out the certificate of the moment, by the name that is asked for.
#[derive(Debug)]
struct Current {
    identity: Arc<dyn IdentityPort>,
    read: Mutex<Read>,
}

/// A certificate that was read last, and what it came to.
type Usable = (Arc<Certificate>, Arc<CertifiedKey>);

#[derive(Debug)]
struct Read {
    own: Usable,
    /// Of the domain for which others vouch.
    domain: Option<Usable>,
}

impl Current {
    fn new(identity: Arc<dyn IdentityPort>) -> Result<Self> {
        let certificate = identity.certificate();
        let key = Arc::new(certified(&certificate)?);
        Ok(Self { identity, read: Mutex::new(Read { own: (certificate, key), domain: None }) })
    }

    /// The box's own: whatever name is asked for. The `Host` header is checked later.
    fn own(&self) -> Arc<CertifiedKey> {
        let now = self.identity.certificate();
        let read = &mut lock(&self.read).own;
        if !Arc::ptr_eq(&now, &read.0) {
            match certified(&now) {
                Ok(key) => read.1 = Arc::new(key),
                Err(e) => tracing::error!(error = %e, "the renewed certificate cannot be used; the old one is kept"),
            }
            read.0 = now;
        }
        Arc::clone(&read.1)
    }

    /// The domain's, if it is asked for and can be used.
    fn of_domain(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let now = self.identity.certificate_for(Some(name));
        if Arc::ptr_eq(&now, &self.identity.certificate()) {
            return None;
        }
        let read = &mut lock(&self.read).domain;
        if read.as_ref().is_none_or(|read| !Arc::ptr_eq(&now, &read.0)) {
            match certified(&now) {
                Ok(key) => *read = Some((now, Arc::new(key))),
                Err(e) => tracing::error!(error = %e, "the domain's certificate cannot be used"),
            }
        }
        read.as_ref().map(|read| Arc::clone(&read.1))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        if hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ALPN)) {
            let answer = self.identity.alpn_answer(name.as_deref())?;
            return answering(&answer).map(Arc::new).ok();
        }
        name.and_then(|name| self.of_domain(&name)).or_else(|| Some(self.own()))
    }
}

/// A certificate that answers an authority. Whether it and its key belong together is not looked at: its extension is critical, and whoever
/// does not know it, as the one who would look, takes it for damaged.
fn answering(certificate: &Certificate) -> Result<CertifiedKey> {
    let (chain, key) = parts_of(certificate)?;
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key);
    Ok(CertifiedKey::new(chain, key.context(ErrorKind::Corrupt, || "the certificate's key does not fit TLS")?))
}

fn certified(certificate: &Certificate) -> Result<CertifiedKey> {
    let (chain, key) = parts_of(certificate)?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .context(ErrorKind::Corrupt, || "the certificate and its key do not fit TLS")
}

fn parts_of(certificate: &Certificate) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context(ErrorKind::Corrupt, || "the certificate cannot be read")?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes())
        .context(ErrorKind::Corrupt, || "the certificate's key cannot be read")?;
    Ok((chain, key))
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1, no client certificates.
pub(crate) fn server_config(identity: Arc<dyn IdentityPort>) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context(ErrorKind::Internal, || "TLS has no protocol version")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Current::new(identity)?));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec(), ALPN.to_vec()];
    Ok(Arc::new(config))
}
