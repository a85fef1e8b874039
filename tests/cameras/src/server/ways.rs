//! How a track's packets travel: a channel of the connection, UDP, a multicast group.

use super::Shared;
use crate::model::Transports;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// A track's way.
pub enum Way {
    /// RTP on this channel, RTCP on the next.
    Channel(u8),
    /// Two sockets, each with where it sends to.
    Udp(Box<Pair>),
}

/// The sockets of a track.
pub struct Pair {
    /// RTP.
    pub rtp: Arc<UdpSocket>,
    /// RTCP.
    pub rtcp: Arc<UdpSocket>,
    /// Where RTP goes.
    pub rtp_to: SocketAddr,
    /// Where RTCP goes.
    pub rtcp_to: SocketAddr,
    listening: JoinHandle<()>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// What a SETUP asked for, as far as it matters here.
pub struct Asked {
    pub tcp: bool,
    pub multicast: bool,
    channel: Option<u8>,
    ports: Option<(u16, u16)>,
}

impl Asked {
    /// Reads the first transport that is asked for.
    pub fn of(transport: &str) -> Self {
        let first = transport.split(',').next().unwrap_or_default().trim();
        let value = |name: &str| first.split(';').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='));
        let pair = |text: &str| {
            let (a, b) = text.split_once('-').unwrap_or((text, ""));
            let a: u16 = a.parse().ok()?;
            Some((a, b.parse().unwrap_or(a.wrapping_add(1))))
        };
        let channel = value("interleaved").and_then(pair).and_then(|(a, _)| u8::try_from(a).ok());
        let is_multicast = first.split(';').any(|p| p.trim() == "multicast");
        let ports = value("client_port").and_then(pair);
        Self { tcp: first.to_ascii_uppercase().contains("/TCP"), multicast: is_multicast, channel, ports }
    }
}

/// Sets a track up: its way, and what `Transport` answers. `None`: not by this transport.
pub async fn set_up(
    shared: &Arc<Shared>,
    asked: &Asked,
    track: usize,
    peer: SocketAddr,
    reported: Arc<std::sync::Mutex<Instant>>,
) -> io::Result<Option<(Way, String)>> {
    let Transports { tcp, udp, multicast, other_port, .. } = shared.model.manners.transports;
    if asked.tcp {
        if !tcp {
            return Ok(None);
        }
        let usual = u8::try_from(2 * track).unwrap_or(0);
        let channel = asked.channel.unwrap_or(usual).wrapping_add(shared.model.manners.channel_shift);
        let text = format!("RTP/AVP/TCP;unicast;interleaved={channel}-{}", channel.wrapping_add(1));
        return Ok(Some((Way::Channel(channel), text)));
    }
    if asked.multicast || (multicast && !udp) {
        if !multicast {
            return Ok(None);
        }
        // Each track of each camera has a group of its own.
        let [high, low] = shared.place.port.to_be_bytes();
        let group = Ipv4Addr::new(239, 255, high, low);
        let port = 20_000 + 2 * u16::try_from(track).unwrap_or(0);
        let (rtp, rtcp) = (sender()?, sender()?);
        let listening = listen(shared.clone(), rtcp.clone(), reported);
        let (rtp_to, rtcp_to) = (SocketAddr::from((group, port)), SocketAddr::from((group, port + 1)));
        let text = format!("RTP/AVP;multicast;destination={group};port={port}-{};ttl=1", port + 1);
        return Ok(Some((Way::Udp(Box::new(Pair { rtp, rtcp, rtp_to, rtcp_to, listening })), text)));
    }
    let Some((a, b)) = asked.ports.filter(|_| udp) else { return Ok(None) };
    let (rtp, rtcp) = pair().await?;
    let ports = (rtp.local_addr()?.port(), rtcp.local_addr()?.port());
    let listening = listen(shared.clone(), rtcp.clone(), reported);
    let (rtp_to, rtcp_to) = (SocketAddr::new(peer.ip(), a), SocketAddr::new(peer.ip(), b));
    let said = if other_port { (ports.0.wrapping_add(1000), ports.1.wrapping_add(1000)) } else { ports };
    let text = format!("RTP/AVP;unicast;client_port={a}-{b};server_port={}-{}", said.0, said.1);
    Ok(Some((Way::Udp(Box::new(Pair { rtp, rtcp, rtp_to, rtcp_to, listening })), text)))
}

/// Two neighbouring ports of loopback, the first one even.
async fn pair() -> io::Result<(Arc<UdpSocket>, Arc<UdpSocket>)> {
    for _ in 0..100 {
        let rtp = UdpSocket::bind(("127.0.0.1", 0)).await?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && let Ok(rtcp) = UdpSocket::bind(("127.0.0.1", port + 1)).await
        {
            return Ok((Arc::new(rtp), Arc::new(rtcp)));
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// A socket that sends to groups on loopback.
fn sender() -> io::Result<Arc<UdpSocket>> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.set_nonblocking(true)?;
    Ok(Arc::new(UdpSocket::from_std(socket.into())?))
}

/// Counts receiver reports.
fn listen(shared: Arc<Shared>, rtcp: Arc<UdpSocket>, reported: Arc<std::sync::Mutex<Instant>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        loop {
            match rtcp.recv_from(&mut buffer).await {
                Ok((length, _)) if is_report(&buffer[..length]) => {
                    *super::held(&reported) = Instant::now();
                    shared.counts().reports += 1;
                }
                Ok(_) => {}
                // The other side's port is closed: it says so, and packets go on.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
}

/// Whether it begins with a receiver report (RFC 3550 6.4.2).
pub fn is_report(packet: &[u8]) -> bool {
    matches!(packet, [first, 201, ..] if first >> 6 == 2)
}
