//! The box's question to its own API: over its own port, with TLS and its own certificate authority, as a client would ask.

use perch_base::{Error, ErrorKind, Result, ResultExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// How long each step of an answer may take.
const WITHIN: Duration = Duration::from_secs(5);
/// A name that the box's certificate always has.
const NAME: &str = "localhost";

/// Asks one API.
#[derive(Clone, Debug)]
pub struct ApiProbe {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl ApiProbe {
    /// The API that listens at `listen` with a certificate of the authority `ca_pem`.
    pub fn new(listen: SocketAddr, ca_pem: &str) -> Result<Self> {
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
        Ok(Self { address: reachable(listen), tls: Arc::new(tls) })
    }

    /// Asks `/healthz`; the status of the answer, whatever it is. Blocks for some seconds at most.
    pub fn ask(&self) -> Result<u16> {
        let silent = || "the API does not answer";
        let tcp = TcpStream::connect_timeout(&self.address, WITHIN).context(ErrorKind::Unavailable, silent)?;
        tcp.set_read_timeout(Some(WITHIN)).context(ErrorKind::Io, silent)?;
        tcp.set_write_timeout(Some(WITHIN)).context(ErrorKind::Io, silent)?;
        let name = ServerName::try_from(NAME).context(ErrorKind::Internal, silent)?;
        let session = ClientConnection::new(Arc::clone(&self.tls), name).context(ErrorKind::Internal, silent)?;
        let mut stream = StreamOwned::new(session, tcp);
        let request =
            format!("GET /healthz HTTP/1.1\r\nHost: {NAME}:{}\r\nConnection: close\r\n\r\n", self.address.port());
        stream.write_all(request.as_bytes()).context(ErrorKind::Unavailable, silent)?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).context(ErrorKind::Unavailable, silent)?;
        status_of(&head)
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the API answers with something else than HTTP"))
    }
}

/// `HTTP/1.1 200`
fn status_of(head: &[u8; 12]) -> Option<u16> {
    std::str::from_utf8(head).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
}

/// An unspecified address is reached by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_addresses() {
        assert_eq!(status_of(b"HTTP/1.1 503"), Some(503));
        assert_eq!(status_of(b"SSH-2.0-Open"), None);
        let at = |a: &str| reachable(a.parse().expect("an address")).to_string();
        assert_eq!(at("0.0.0.0:8443"), "127.0.0.1:8443");
        assert_eq!(at("[::]:8443"), "[::1]:8443");
        assert_eq!(at("192.0.2.1:1"), "192.0.2.1:1");
    }
}
