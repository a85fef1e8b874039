//! TLS for every connection: versions, protocols, and the certificate of the moment, which may be renewed while the server runs.

use perch_base::sync::lock;
use perch_base::{ErrorKind, Result, ResultExt};
use perch_domain::identity::{Certificate, IdentityPort};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, Mutex};

/// Hands out the certificate of the moment.
#[derive(Debug)]
struct Current {
    identity: Arc<dyn IdentityPort>,
    /// The certificate that was read last, and what it came to.
    read: Mutex<(Arc<Certificate>, Arc<CertifiedKey>)>,
}

impl Current {
    fn new(identity: Arc<dyn IdentityPort>) -> Result<Self> {
        let certificate = identity.certificate();
        let key = Arc::new(certified(&certificate)?);
        Ok(Self { identity, read: Mutex::new((certificate, key)) })
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // One box, one certificate: whatever name is asked for. The `Host` header is checked later.
        let now = self.identity.certificate();
        let mut read = lock(&self.read);
        if !Arc::ptr_eq(&now, &read.0) {
            match certified(&now) {
                Ok(key) => read.1 = Arc::new(key),
                Err(e) => tracing::error!(error = %e, "the renewed certificate cannot be used; the old one is kept"),
            }
            read.0 = now;
        }
        Some(Arc::clone(&read.1))
    }
}

fn certified(certificate: &Certificate) -> Result<CertifiedKey> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .context(ErrorKind::Corrupt, || "the certificate cannot be read")?;
    let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.expose().as_bytes())
        .context(ErrorKind::Corrupt, || "the certificate's key cannot be read")?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .context(ErrorKind::Corrupt, || "the certificate and its key do not fit TLS")
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1, no client certificates.
pub(crate) fn server_config(identity: Arc<dyn IdentityPort>) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context(ErrorKind::Internal, || "TLS has no protocol version")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Current::new(identity)?));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
