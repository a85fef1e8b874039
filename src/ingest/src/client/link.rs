//! The way requests go and answers come: one connection, or two HTTP connections.

use super::connect::{Connection, Stream, connect};
use super::tunnel;
use crate::wire::url::CameraUrl;
use bytes::BytesMut;
use perch_base::Result;
use perch_base::base64;
use perch_base::clock::SharedClock;
use perch_domain::ingest::{TlsTrust, Transport};
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    /// What answers and packets come by.
    connection: Connection,
    /// What requests go by, where that is another one.
    post: Option<Connection>,
    /// What came before anybody read.
    rest: BytesMut,
}

impl Link {
    /// Connects. Errors are for people.
    pub async fn open(clock: &SharedClock, url: &CameraUrl, transport: Transport, trust: &TlsTrust) -> Result<Self> {
        if transport == Transport::Http {
            let (connection, post, rest) = tunnel::open(clock, url, trust).await?;
            return Ok(Self { connection, post: Some(post), rest });
        }
        let connection = connect(clock, url, url.rtsp_port(), trust).await?;
        Ok(Self { connection, post: None, rest: BytesMut::new() })
    }

    /// The same link, read at a common beat: pictures come. Errors are the system's.
    pub fn paced(mut self) -> io::Result<Self> {
        self.connection.stream = self.connection.stream.paced()?;
        Ok(self)
    }

    /// The box's end.
    pub fn local(&self) -> SocketAddr {
        self.connection.local
    }

    /// The camera's end.
    pub fn peer(&self) -> SocketAddr {
        self.connection.peer
    }

    /// SHA-256 of the camera's certificate.
    pub fn certificate(&self) -> Option<[u8; 32]> {
        self.connection.certificate
    }

    /// What came before anybody read.
    pub fn take_rest(&mut self) -> BytesMut {
        std::mem::take(&mut self.rest)
    }

    /// Sends it.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.post {
            Some(post) => {
                post.stream.write_all(base64::encode(bytes).as_bytes()).await?;
                post.stream.flush().await
            }
            None => {
                self.connection.stream.write_all(bytes).await?;
                self.connection.stream.flush().await
            }
        }
    }

    /// Reads what is there behind what the buffer holds; 0 bytes are the end. Never ends where there is no link.
    pub async fn read_of(link: &mut Option<Self>, buffer: &mut BytesMut) -> io::Result<usize> {
        match link {
            Some(Self { connection: Connection { stream: Stream::Plain(stream), .. }, .. }) => {
                stream.read_buf(buffer).await
            }
            Some(Self { connection: Connection { stream, .. }, .. }) => stream.read_buf(buffer).await,
            None => std::future::pending().await,
        }
    }
}
