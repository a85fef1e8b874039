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
    domain: LastRead,
}

/// The certificate that was read last, and what can be shown of it, or of the one before where it cannot be used.
#[derive(Debug, Default)]
struct LastRead(Option<(Arc<Certificate>, Option<Arc<CertifiedKey>>)>);

impl LastRead {
    /// What is shown where this is the certificate of the moment. It is read once, and not at every handshake.
    fn shown(
        &mut self,
        now: Arc<Certificate>,
        read: impl FnOnce(&Certificate) -> Result<CertifiedKey>,
    ) -> Option<Arc<CertifiedKey>> {
        if self.0.as_ref().is_none_or(|(last, _)| !Arc::ptr_eq(&now, last)) {
            let before = self.0.take().and_then(|(_, key)| key);
            let key =
                read(&now).inspect_err(|e| tracing::error!(error = %e, "the domain's certificate cannot be used"));
            self.0 = Some((now, key.ok().map(Arc::new).or(before)));
        }
        self.0.as_ref().and_then(|(_, key)| key.clone())
    }
}

impl Current {
    fn new(identity: Arc<dyn IdentityPort>) -> Result<Self> {
        let certificate = identity.certificate();
        let key = Arc::new(certified(&certificate)?);
        Ok(Self { identity, read: Mutex::new(Read { own: (certificate, key), domain: LastRead::default() }) })
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
        lock(&self.read).domain.shown(now, certified)
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

#[cfg(test)]
mod tests {
    use super::*;
    use perch_base::Error;
    use perch_base::secret::Secret;
    use std::cell::Cell;

    #[test]
    fn a_certificate_that_cannot_be_used_is_looked_at_once() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = rcgen::CertificateParams::new(vec!["cam.example.org".to_owned()]).expect("a name");
        let chain_pem = made.self_signed(&key).expect("made").pem();
        let new = || Arc::new(Certificate { chain_pem: chain_pem.clone(), key_pem: Secret::new(key.serialize_pem()) });
        let (bad, reads, mut last) = (new(), Cell::new(0), LastRead::default());
        let refused = |now: &Arc<Certificate>, last: &mut LastRead| {
            last.shown(now.clone(), |_| {
                reads.set(reads.get() + 1);
                Err(Error::invalid("it does not fit"))
            })
        };
        assert!((0..3).all(|_| refused(&bad, &mut last).is_none()));
        assert_eq!(reads.get(), 1);
        let shown = last.shown(new(), certified).expect("it can be used");
        // The one before is shown until there is a better one.
        let worse = new();
        assert!((0..3).all(|_| refused(&worse, &mut last).is_some_and(|key| Arc::ptr_eq(&key, &shown))));
        assert_eq!(reads.get(), 2);
    }
}
