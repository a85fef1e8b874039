//! The one UDP socket: batches in, segmented batches out, and a small outbox for bursts the kernel does not take at once.

use super::config::Config;
use super::gathering::Gathered;
use super::machine::Outbox;
use perch_base::{Error, ErrorKind, Result};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use tokio::io::Interest;

/// Bytes that wait for the kernel at most; what does not fit is dropped (viewers ask for it again).
const OUTBOX_BYTES: usize = 1 << 20;
const SEND_BUFFER_BYTES: usize = 1 << 20;
const RECEIVE_BUFFER_BYTES: usize = 1 << 19;
/// Most that one segmented write takes, below the 64 KiB of a UDP datagram.
const MAX_BATCH_BYTES: usize = 60_000;
const RECEIVE_BATCH: usize = 8;

/// Opens the port, by IPv4 alone where `[::]` is asked for and this machine has no IPv6. Errors with `Unavailable` when it is taken.
pub fn bind(listen: SocketAddr) -> Result<StdSocket> {
    let open = |listen: SocketAddr| {
        let socket = socket2::Socket::new(socket2::Domain::for_address(listen), socket2::Type::DGRAM, None)?;
        if listen.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // Larger buffers are a wish: the system may cap them.
        let _ = socket.set_send_buffer_size(SEND_BUFFER_BYTES);
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&listen.into())?;
        Ok(StdSocket::from(socket))
    };
    let is_for_all = listen == SocketAddr::from((Ipv6Addr::UNSPECIFIED, listen.port()));
    let without_v6 = |e: &io::Error| is_for_all && e.raw_os_error() == Some(libc::EAFNOSUPPORT);
    let opened = match open(listen) {
        Err(e) if without_v6(&e) => open((Ipv4Addr::UNSPECIFIED, listen.port()).into()),
        opened => opened,
    };
    opened.map_err(|e: io::Error| {
        let key = Config::UDP_LISTEN;
        let message = match e.kind() {
            io::ErrorKind::AddrInUse => {
                format!("port {} (UDP) is already in use: stop the other program or change `{key}`", listen.port())
            }
            _ => format!("{key} = {listen}: the UDP port cannot be opened"),
        };
        Error::new(ErrorKind::Unavailable, message).with_source(e)
    })
}

struct Parcel {
    source: IpAddr,
    destination: SocketAddr,
    segment_bytes: usize,
    data: Vec<u8>,
}

/// The socket with its batches.
pub struct Socket {
    io: tokio::net::UdpSocket,
    state: UdpSocketState,
    v6: bool,
    port: u16,
    gathered: Arc<Gathered>,
    parcel: Parcel,
    outbox: VecDeque<Parcel>,
    outbox_bytes: usize,
    buffers: Vec<Vec<u8>>,
    /// Writes to the kernel.
    pub writes: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams dropped because the kernel and the outbox were full, or the way does not exist.
    pub dropped: u64,
}

impl Socket {
    /// Takes over an opened socket; must be called inside the engine's runtime.
    pub fn new(socket: StdSocket, gathered: Arc<Gathered>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // With receive offload, datagrams arrive glued together: up to 64 KiB in one buffer.
        let bytes = if state.gro_segments() > 1 { 65_536 } else { 2048 };
        Ok(Self {
            io: tokio::net::UdpSocket::from_std(socket)?,
            state,
            v6: local.is_ipv6(),
            port: local.port(),
            gathered,
            parcel: Parcel {
                source: local.ip(),
                destination: local,
                segment_bytes: 0,
                data: Vec::with_capacity(MAX_BATCH_BYTES),
            },
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            buffers: vec![vec![0; bytes]; RECEIVE_BATCH],
            writes: 0,
            sent: 0,
            dropped: 0,
        })
    }

    /// Waits until something arrived.
    pub async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Waits until the kernel takes more.
    pub async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// Whether [`Self::flush_outbox`] has work.
    pub fn has_outbox(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Takes one batch of datagrams: `each(from, to, bytes)`. Returns whether there may be more.
    pub fn receive(&mut self, mut each: impl FnMut(&mut Self, SocketAddr, SocketAddr, &[u8])) -> bool {
        let mut buffers = std::mem::take(&mut self.buffers);
        let mut meta = [RecvMeta::default(); RECEIVE_BATCH];
        let mut slices = buffers.iter_mut().map(|b| IoSliceMut::new(b));
        let mut slices: [IoSliceMut<'_>; RECEIVE_BATCH] =
            std::array::from_fn(|_| slices.next().unwrap_or(IoSliceMut::new(&mut [])));
        let got =
            self.io.try_io(Interest::READABLE, || self.state.recv(UdpSockRef::from(&self.io), &mut slices, &mut meta));
        // An error here is an ICMP answer to something sent before, or nothing to read: neither concerns the caller.
        let count = *got.as_ref().unwrap_or(&0);
        for (meta, buffer) in meta.iter().zip(&buffers).take(count) {
            let to = SocketAddr::new(meta.dst_ip.unwrap_or(self.parcel.source).to_canonical(), self.port);
            let from = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
            for datagram in buffer[..meta.len.min(buffer.len())].chunks(meta.stride.max(1)) {
                each(self, from, to, datagram);
            }
        }
        self.buffers = buffers;
        count == RECEIVE_BATCH
    }

    /// Sends the batch.
    pub fn flush(&mut self) {
        if self.parcel.data.is_empty() {
            return;
        }
        if self.outbox.is_empty() && self.write(&self.parcel) {
            self.count();
        } else if self.outbox_bytes + self.parcel.data.len() <= OUTBOX_BYTES {
            self.outbox_bytes += self.parcel.data.len();
            let Parcel { source, destination, segment_bytes, ref data } = self.parcel;
            self.outbox.push_back(Parcel { source, destination, segment_bytes, data: data.clone() });
            self.count();
        } else {
            self.dropped += self.parcel.data.len().div_ceil(self.parcel.segment_bytes.max(1)) as u64;
        }
        self.parcel.data.clear();
    }

    /// Sends what waits, as far as the kernel takes it.
    pub fn flush_outbox(&mut self) {
        while let Some(parcel) = self.outbox.pop_front() {
            if !self.write(&parcel) {
                self.outbox.push_front(parcel);
                return;
            }
            self.outbox_bytes -= parcel.data.len();
        }
    }

    fn count(&mut self) {
        self.writes += 1;
        self.sent += self.parcel.data.len().div_ceil(self.parcel.segment_bytes.max(1)) as u64;
    }

    /// False: the kernel has no room now. Other errors concern the way to this destination only; ICE notices.
    fn write(&self, parcel: &Parcel) -> bool {
        let segmented = parcel.data.len() > parcel.segment_bytes;
        match self.write_one(parcel, &parcel.data, segmented.then_some(parcel.segment_bytes)) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
            // A driver without segmentation offload: one by one (from now on batches hold one datagram).
            Err(_) if segmented => {
                for datagram in parcel.data.chunks(parcel.segment_bytes) {
                    let _ = self.write_one(parcel, datagram, None);
                }
                true
            }
            Err(_) => true,
        }
    }

    fn write_one(&self, parcel: &Parcel, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let destination = match (self.v6, parcel.destination) {
            (true, SocketAddr::V4(a)) => SocketAddr::new(a.ip().to_ipv6_mapped().into(), a.port()),
            (_, other) => other,
        };
        let src_ip = match (self.v6, parcel.source) {
            (_, ip) if ip.is_unspecified() => None,
            (true, IpAddr::V4(ip)) => Some(ip.to_ipv6_mapped().into()),
            (_, ip) => Some(ip),
        };
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip };
        self.io.try_io(Interest::WRITABLE, || self.state.try_send(UdpSockRef::from(&self.io), &transmit))
    }
}

impl Outbox for Socket {
    /// Hands to the relay what leaves by it; adds all else to the batch, which goes to one destination and holds datagrams of one size (the last may be shorter).
    fn push(&mut self, source: SocketAddr, destination: SocketAddr, datagram: &[u8]) {
        if self.gathered.relay(source, destination, datagram) {
            self.sent += 1;
            return;
        }
        let source = source.ip();
        let p = &self.parcel;
        let fits = !p.data.is_empty()
            && p.destination == destination
            && p.source == source
            && datagram.len() <= p.segment_bytes
            && p.data.len().is_multiple_of(p.segment_bytes)
            && p.data.len() + datagram.len() <= MAX_BATCH_BYTES
            && p.data.len() / p.segment_bytes < self.state.max_gso_segments();
        if !fits {
            self.flush();
            self.parcel.source = source;
            self.parcel.destination = destination;
            self.parcel.segment_bytes = datagram.len();
        }
        self.parcel.data.extend_from_slice(datagram);
    }
}
