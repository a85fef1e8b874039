//! The way to a TURN server: datagrams, a stream, or a stream with TLS. Frames in, frames out; a stream that does not take more loses what is
//! relayed, as datagrams would be.

use super::frames::{MAX_FRAME_BYTES, next_frame};
use perch_base::clock::{SharedClock, within};
use perch_domain::ice_url::{IceTransport, IceUrl};
use perch_domain::relay::IceFailure;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsConnector;

/// How long a name, a connection and a handshake may take together.
const CONNECT_WITHIN: Duration = Duration::from_secs(6);
/// Bytes that wait for a stream at most; frames beyond that are lost.
const MAX_WAITING_BYTES: usize = 256 * 1024;

/// A stream of either kind.
pub trait RelayStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> RelayStream for T {}

/// A way that stands.
pub struct RelayLink {
    /// Our end, as this machine sees it.
    pub local: SocketAddr,
    /// What comes.
    pub incoming: RelayIncoming,
    /// What goes.
    pub outgoing: RelayOutgoing,
}

/// What comes from the server.
pub enum RelayIncoming {
    /// A frame a datagram.
    Datagrams(Arc<UdpSocket>, Vec<u8>),
    /// Frames after each other.
    Stream(RelayFrames),
}

/// A stream's frames as they come.
pub struct RelayFrames {
    half: ReadHalf<Box<dyn RelayStream>>,
    bytes: Vec<u8>,
    /// The first of these belong to the frame that was handed out.
    taken: usize,
}

/// What goes to the server.
pub enum RelayOutgoing {
    /// A frame a datagram.
    Datagrams(Arc<UdpSocket>),
    /// Frames after each other, and what of them waits.
    Stream(WriteHalf<Box<dyn RelayStream>>, Vec<u8>),
}

/// The server's address, IPv4 where it has one. Errors with `UnknownName`.
pub async fn address_of(url: &IceUrl, clock: &SharedClock) -> Result<SocketAddr, IceFailure> {
    let found = within(clock, CONNECT_WITHIN, tokio::net::lookup_host((url.host.as_str(), url.port))).await;
    let mut all: Vec<SocketAddr> = found.and_then(Result::ok).ok_or(IceFailure::UnknownName)?.collect();
    // What is relayed is IPv4, so a server has that.
    all.sort_by_key(SocketAddr::is_ipv6);
    all.first().copied().ok_or(IceFailure::UnknownName)
}

/// By which of this machine's addresses the way to `server` leads. Nothing is sent.
pub fn local_for(server: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

/// Opens the way to the server of `url`, which trusts `ca_pem` or what this system trusts.
pub async fn connect(url: &IceUrl, ca_pem: Option<&str>, clock: &SharedClock) -> Result<RelayLink, IceFailure> {
    let server = address_of(url, clock).await?;
    match url.transport {
        IceTransport::Dtls => Err(IceFailure::Unsupported),
        IceTransport::Udp => {
            let local = local_for(server).map_err(|_| IceFailure::Unreachable)?;
            let socket = UdpSocket::bind((local, 0)).await.map_err(|_| IceFailure::Unreachable)?;
            socket.connect(server).await.map_err(|_| IceFailure::Unreachable)?;
            let local = socket.local_addr().map_err(|_| IceFailure::Unreachable)?;
            let socket = Arc::new(socket);
            let incoming = RelayIncoming::Datagrams(socket.clone(), vec![0; MAX_FRAME_BYTES]);
            Ok(RelayLink { local, incoming, outgoing: RelayOutgoing::Datagrams(socket) })
        }
        IceTransport::Tcp | IceTransport::Tls => {
            let connected = within(clock, CONNECT_WITHIN, TcpStream::connect(server)).await;
            let tcp = connected.ok_or(IceFailure::Silent)?.map_err(|_| IceFailure::Unreachable)?;
            // A picture's last packet is not to wait for the next one.
            let _ = tcp.set_nodelay(true);
            let local = tcp.local_addr().map_err(|_| IceFailure::Unreachable)?;
            let stream: Box<dyn RelayStream> = match url.transport {
                IceTransport::Tls => Box::new(encrypted(url, ca_pem, tcp, clock).await?),
                _ => Box::new(tcp),
            };
            let (read, write) = tokio::io::split(stream);
            let incoming = RelayIncoming::Stream(RelayFrames { half: read, bytes: Vec::new(), taken: 0 });
            Ok(RelayLink { local, incoming, outgoing: RelayOutgoing::Stream(write, Vec::new()) })
        }
    }
}

async fn encrypted(
    url: &IceUrl,
    ca_pem: Option<&str>,
    tcp: TcpStream,
    clock: &SharedClock,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, IceFailure> {
    let untrusted = |why: String| IceFailure::untrusted(&why);
    let roots = match ca_pem {
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            let all: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect();
            roots.add_parsable_certificates(all);
            roots
        }
        // Read anew each time: seldom, and what the system trusts may change.
        None => tokio::task::spawn_blocking(|| {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            roots
        })
        .await
        .unwrap_or_else(|_| RootCertStore::empty()),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| untrusted(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(url.host.clone()).map_err(|e| untrusted(e.to_string()))?;
    let shaken = within(clock, CONNECT_WITHIN, TlsConnector::from(Arc::new(config)).connect(name, tcp)).await;
    shaken.ok_or(IceFailure::Silent)?.map_err(|e| untrusted(e.to_string()))
}

impl RelayIncoming {
    /// The next frame. Can be given up at any time. Errors where the way is over.
    pub async fn frame(&mut self) -> Result<&[u8], IceFailure> {
        match self {
            Self::Datagrams(socket, buffer) => {
                match socket.recv(buffer).await {
                    Ok(len) => Ok(&buffer[..len]),
                    // Nobody listens there: ICMP's answer to what was sent.
                    Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Err(IceFailure::Unreachable),
                    Err(_) => Err(IceFailure::Lost),
                }
            }
            Self::Stream(stream) => stream.frame().await,
        }
    }
}

impl RelayFrames {
    async fn frame(&mut self) -> Result<&[u8], IceFailure> {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        loop {
            if let Some(whole) = next_frame(&self.bytes).map_err(|_| IceFailure::Nonsense)? {
                self.taken = whole;
                return Ok(&self.bytes[..whole]);
            }
            self.bytes.reserve(MAX_FRAME_BYTES);
            match self.half.read_buf(&mut self.bytes).await {
                Ok(0) | Err(_) => return Err(IceFailure::Lost),
                Ok(_) => {}
            }
        }
    }
}

impl RelayOutgoing {
    /// Sends a frame, or lets it wait for [`Self::flush`]; one for which there is no room is lost.
    pub fn push(&mut self, frame: &[u8]) {
        match self {
            // What the kernel does not take now is lost, as any datagram may be.
            Self::Datagrams(socket) => drop(socket.try_send(frame)),
            Self::Stream(_, waiting) if waiting.len() + frame.len() <= MAX_WAITING_BYTES => {
                waiting.extend_from_slice(frame);
            }
            Self::Stream(..) => {}
        }
    }

    /// Whether something waits.
    pub fn has_waiting(&self) -> bool {
        matches!(self, Self::Stream(_, waiting) if !waiting.is_empty())
    }

    /// Sends some of what waits. Can be given up at any time. Errors where the way is over.
    pub async fn flush(&mut self) -> Result<(), IceFailure> {
        if let Self::Stream(half, waiting) = self {
            let written = half.write(waiting).await.map_err(|_| IceFailure::Lost)?;
            waiting.drain(..written);
            if waiting.is_empty() {
                half.flush().await.map_err(|_| IceFailure::Lost)?;
            }
        }
        Ok(())
    }
}
