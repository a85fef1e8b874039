//! Packets by UDP: a pair of ports for each track, or a multicast group.

use crate::session::unavailable;
use bytes::{Bytes, BytesMut};
use perch_base::{Error, Result};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Poll;
use tokio::net::UdpSocket;

/// Tries to find two free ports side by side.
const MOST_TRIES: usize = 64;
/// Bytes that the system keeps for a port: a keyframe comes at once.
const KEPT: usize = 2 * 1024 * 1024;
/// A datagram's longest, and the room that is made for several.
const LONGEST: usize = 65_536;
const ROOM: usize = 4 * LONGEST;
/// Datagrams that are taken from a port before others get their turn.
const MOST_AT_ONCE: usize = 256;

/// The ports of a track.
#[derive(Debug)]
struct Pair {
    track: usize,
    /// Of RTP and of RTCP.
    sockets: [UdpSocket; 2],
    /// Where the camera takes packets.
    to: [Option<SocketAddr>; 2],
    /// Where packets may come from beside the camera's own address.
    source: Option<IpAddr>,
}

/// All ports of a session.
#[derive(Debug)]
pub(super) struct Datagrams {
    local: SocketAddr,
    camera: SocketAddr,
    pairs: Vec<Pair>,
    buffer: BytesMut,
}

fn failed(e: io::Error) -> Error {
    unavailable("the box has no UDP ports left for its packets").with_source(e)
}

impl Datagrams {
    /// None yet, between the addresses of these two ends of a connection.
    pub fn new(local: SocketAddr, camera: SocketAddr) -> Self {
        Self { local, camera, pairs: Vec::new(), buffer: BytesMut::new() }
    }

    /// The connection is another one.
    pub fn moved(&mut self, local: SocketAddr, camera: SocketAddr) {
        (self.local, self.camera) = (local, camera);
    }

    /// Opens two ports for a track, an even one and the next (RFC 3550 11). Errors with `Unavailable`.
    pub fn open(&mut self, track: usize) -> Result<(u16, u16)> {
        let mut last = io::ErrorKind::AddrInUse.into();
        for _ in 0..MOST_TRIES {
            match pair(self.local) {
                Ok((sockets, ports)) => {
                    self.pairs.retain(|pair| pair.track != track);
                    self.pairs.push(Pair { track, sockets, to: [None; 2], source: None });
                    return Ok(ports);
                }
                Err(e) => last = e,
            }
        }
        Err(failed(last))
    }

    /// Where a track's packets go to and come from.
    pub fn hear(&mut self, track: usize, to: Option<(u16, u16)>, source: Option<IpAddr>) {
        let camera = self.camera;
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.track == track) {
            pair.to = to.map_or([None; 2], |(rtp, rtcp)| [rtp, rtcp].map(|port| Some(at(camera, port))));
            pair.source = source;
        }
    }

    /// Joins a group for a track, on the interface that leads to the camera. Errors with `Unavailable`.
    pub fn join(&mut self, track: usize, group: IpAddr, ports: (u16, u16), source: Option<IpAddr>) -> Result<()> {
        let of = |port| member(self.local.ip(), group, port);
        let failed = |e| unavailable("the box cannot join its multicast group").with_source(e);
        let sockets = [of(ports.0).map_err(failed)?, of(ports.1).map_err(failed)?];
        self.pairs.retain(|pair| pair.track != track);
        let to = [None, Some(at(self.camera, ports.1))];
        self.pairs.push(Pair { track, sockets, to, source });
        Ok(())
    }

    /// Sends a packet, if the camera said where to; one that is lost is no harm.
    pub fn send(&self, track: usize, is_rtcp: bool, data: &[u8]) {
        let Some(pair) = self.pairs.iter().find(|pair| pair.track == track) else { return };
        let [rtp, rtcp] = &pair.sockets;
        let (socket, to) = if is_rtcp { (rtcp, pair.to[1]) } else { (rtp, pair.to[0]) };
        if let Some(to) = to
            && let Err(e) = socket.try_send_to(data, to)
        {
            tracing::debug!("a packet to a camera was not sent: {e}");
        }
    }

    /// Waits until something arrived; for ever where nothing is open.
    pub async fn arrive(&self) {
        poll_fn(|cx| {
            let mut sockets = self.pairs.iter().flat_map(|pair| &pair.sockets);
            // An error is met where the packet would be.
            match sockets.any(|socket| socket.poll_recv_ready(cx).is_ready()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Takes in what arrived from the camera: track, whether it came to the port of RTCP, packet.
    pub fn take_in(&mut self, mut take: impl FnMut(usize, bool, Bytes)) {
        let camera = self.camera.ip().to_canonical();
        for pair in &self.pairs {
            for (is_rtcp, socket) in [false, true].into_iter().zip(&pair.sockets) {
                for _ in 0..MOST_AT_ONCE {
                    if self.buffer.capacity() - self.buffer.len() < LONGEST {
                        self.buffer.reserve(ROOM);
                    }
                    match socket.try_recv_buf_from(&mut self.buffer) {
                        Ok((_, from)) => {
                            let packet = self.buffer.split().freeze();
                            let from = from.ip().to_canonical();
                            if from == camera || Some(from) == pair.source {
                                take(pair.track, is_rtcp, packet);
                            }
                        }
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                        // The camera's port was closed (ICMP): what is sent there is lost, what comes is not.
                        Err(e) => tracing::trace!("a UDP port said: {e}"),
                    }
                }
            }
        }
    }
}

/// The same address with another port.
fn at(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

fn pair(local: SocketAddr) -> io::Result<([UdpSocket; 2], (u16, u16))> {
    let first = bound(local, 0)?;
    let port = first.local_addr()?.port();
    match port % 2 {
        0 => Ok(([first, bound(local, port.saturating_add(1))?], (port, port.saturating_add(1)))),
        _ => Ok(([bound(local, port.saturating_sub(1))?, first], (port.saturating_sub(1), port))),
    }
}

fn bound(local: SocketAddr, port: u16) -> io::Result<UdpSocket> {
    ready(std::net::UdpSocket::bind(at(local, port))?)
}

fn ready(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    // The system may grant less.
    if let Err(e) = SockRef::from(&socket).set_recv_buffer_size(KEPT) {
        tracing::debug!("a UDP port keeps the room it has: {e}");
    }
    UdpSocket::from_std(socket)
}

/// A socket that hears a group only.
fn member(local: IpAddr, group: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let domain = if group.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    // Others on this machine may hear it too.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(group, port).into())?;
    match group {
        IpAddr::V4(group) => {
            let on = if let IpAddr::V4(local) = local { local } else { Ipv4Addr::UNSPECIFIED };
            socket.join_multicast_v4(&group, &on)?;
        }
        // On the interface that the system's routes name.
        IpAddr::V6(group) => socket.join_multicast_v6(&group, 0)?,
    }
    ready(socket.into())
}
