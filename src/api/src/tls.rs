//! TLS for every connection: versions, protocols, and a certificate that can be exchanged while the server runs.

use crate::pki::Certificate;
use perch_base::{ErrorKind, Result, ResultExt};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};

/// Hands out the certificate of the moment.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    pub(crate) fn new(certificate: &Certificate) -> Result<Self> {
        Ok(Self(RwLock::new(Arc::new(certified(certificate)?))))
    }

    /// New handshakes get this one; running connections go on.
    pub(crate) fn swap(&self, certificate: &Certificate) -> Result<()> {
        let key = Arc::new(certified(certificate)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // One box, one certificate: whatever name is asked for. The `Host` header is checked later.
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn certified(certificate: &Certificate) -> Result<CertifiedKey> {
    let (chain, key) = certificate.to_der()?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .context(ErrorKind::Corrupt, || "the certificate and its key do not fit TLS")
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1, no client certificates.
pub(crate) fn server_config(current: Arc<Current>) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context(ErrorKind::Internal, || "TLS has no protocol version")?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
