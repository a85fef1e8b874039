//! The box's question to its own API: through TLS, the accept loop, the gate and the handlers like any client's, but over a
//! connection in memory that is not counted. What others may exhaust (the port, places, descriptors) is no reason to restart.

use perch_base::clock::{SharedClock, within};
use perch_base::{Error, ErrorKind, Result, ResultExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

/// How long an answer may take; the server itself gives up on its ports after 5 s and says so.
const WITHIN: Duration = Duration::from_secs(15);
/// A name that the box's certificate always has.
const NAME: &str = "localhost";
/// Bytes that may be under way.
const BUFFER_BYTES: usize = 16 * 1024;

/// Asks one server. Clones share its way in.
#[derive(Clone)]
pub struct Lifeline {
    clock: SharedClock,
    way_in: mpsc::Sender<DuplexStream>,
    tls: Arc<ClientConfig>,
}

impl Lifeline {
    /// A line whose connections come out of the receiver; the server has a certificate of the authority `ca_pem`.
    pub(crate) fn new(ca_pem: &str, clock: SharedClock) -> Result<(Self, mpsc::Receiver<DuplexStream>)> {
        let bad = || "the box's own authority cannot be used to ask its API";
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(ca_pem.as_bytes()).context(ErrorKind::Internal, bad)?;
        roots.add(ca).context(ErrorKind::Internal, bad)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context(ErrorKind::Internal, bad)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (way_in, connections) = mpsc::channel(1);
        Ok((Self { clock, way_in, tls: Arc::new(tls) }, connections))
    }

    /// Asks `/healthz`; the status of the answer, whatever it is. Errors with `Unavailable` when none comes within 15 s.
    pub async fn ask(&self) -> Result<u16> {
        let silent = || Error::new(ErrorKind::Unavailable, "the API does not answer");
        within(&self.clock, WITHIN, self.exchange()).await.unwrap_or_else(|| Err(silent()))
    }

    async fn exchange(&self) -> Result<u16> {
        let silent = || "the API does not answer";
        let (here, there) = tokio::io::duplex(BUFFER_BYTES);
        self.way_in.send(there).await.context(ErrorKind::Unavailable, silent)?;
        let name = ServerName::try_from(NAME).context(ErrorKind::Internal, silent)?;
        let tls = TlsConnector::from(Arc::clone(&self.tls));
        let mut stream = tls.connect(name, here).await.context(ErrorKind::Unavailable, silent)?;
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.context(ErrorKind::Unavailable, silent)?;
        stream.flush().await.context(ErrorKind::Unavailable, silent)?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.context(ErrorKind::Unavailable, silent)?;
        status_of(&head)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the API answers with something else than HTTP"))
    }
}

/// `HTTP/1.1 200`
fn status_of(head: &[u8; 12]) -> Option<u16> {
    std::str::from_utf8(head).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_answer() {
        assert_eq!(status_of(b"HTTP/1.1 503"), Some(503));
        assert_eq!(status_of(b"SSH-2.0-Open"), None);
    }
}
