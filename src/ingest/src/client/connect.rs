//! A connection to a camera: each of its addresses is tried, over TLS where the URL says so.

use super::paced::Paced;
use super::tls;
use crate::session::unavailable;
use crate::wire::url::CameraUrl;
use perch_base::clock::{SharedClock, within};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::ingest::TlsTrust;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::client::TlsStream;

/// How long a name, all addresses together, and TLS may take.
const NAMED_WITHIN: Duration = Duration::from_secs(5);
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
const SHORTEST_TRY: Duration = Duration::from_secs(3);
const TLS_WITHIN: Duration = Duration::from_secs(10);
/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 8;

/// A connection's bytes.
#[derive(Debug)]
pub(super) enum Stream {
    /// As they are.
    Plain(TcpStream),
    /// As they are, read at a common beat.
    Paced(Paced),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The same stream, read at a common beat where that can be. Errors are the system's.
    pub fn paced(self) -> io::Result<Self> {
        match self {
            Self::Plain(tcp) => Paced::new(tcp).map(Self::Paced),
            other => Ok(other),
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// The box's end.
    pub local: SocketAddr,
    /// The camera's end.
    pub peer: SocketAddr,
    /// SHA-256 of the certificate that the camera showed.
    pub certificate: Option<[u8; 32]>,
}

/// Connects to the host of a URL. Errors with `Io` where nothing can be spoken to there, with `Unavailable`, or as [`tls::connect`] does.
pub(super) async fn connect(clock: &SharedClock, url: &CameraUrl, port: u16, trust: &TlsTrust) -> Result<Connection> {
    let (tcp, peer) = tcp(clock, &url.host, port).await?;
    let broken = |e: io::Error| unavailable("its connection broke at once").with_source(e);
    tcp.set_nodelay(true).map_err(broken)?;
    let local = tcp.local_addr().map_err(broken)?;
    if !url.tls {
        return Ok(Connection { stream: Stream::Plain(tcp), local, peer, certificate: None });
    }
    let slow = || unavailable("it begins no TLS: it may speak rtsp:// on this port");
    let secured = within(clock, TLS_WITHIN, tls::connect(tcp, &url.host, trust)).await;
    let (tls, certificate) = secured.unwrap_or_else(|| Err(slow()))?;
    Ok(Connection { stream: Stream::Tls(Box::new(tls)), local, peer, certificate: Some(certificate) })
}

async fn tcp(clock: &SharedClock, host: &str, port: u16) -> Result<(TcpStream, SocketAddr)> {
    let unknown = || Error::new(ErrorKind::Io, "its name is not known in this network: check the host in its address");
    let found = match within(clock, NAMED_WITHIN, lookup_host((host, port))).await {
        Some(found) => found.map_err(|e| unknown().with_source(e))?,
        None => return Err(unknown().with_inside("no name server answers")),
    };
    let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
    let each = (CONNECTED_WITHIN / addresses.len().max(1) as u32).max(SHORTEST_TRY);
    let mut why = unknown();
    for address in addresses {
        match within(clock, each, TcpStream::connect(address)).await {
            Some(Ok(tcp)) => return Ok((tcp, address)),
            Some(Err(e)) => why = unreachable(port, e),
            None => why = unreachable(port, io::ErrorKind::TimedOut.into()),
        }
    }
    Err(why)
}

fn unreachable(port: u16, e: io::Error) -> Error {
    let what = match e.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!(
                "nothing answers on its port {port}: check the port in its address, and whether RTSP is switched on"
            )
        }
        _ => "it cannot be reached: check its power, its network and the host in its address".into(),
    };
    Error::new(ErrorKind::Io, what).with_source(e)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Paced(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Paced(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Paced(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Paced(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
