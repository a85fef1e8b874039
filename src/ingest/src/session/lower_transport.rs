//! How packets travel in a session, and how that is asked for (RFC 2326 12.39).

use super::quirks::Quirks;
use perch_domain::ingest::Transport;

/// What opens a way through a router between, to the ports of RTP and of RTCP: an RTP header of a payload type that is not in use, and
/// an empty receiver report.
pub(super) const PUNCHES: [(bool, &[u8]); 2] =
    [(false, &[0x80, 127, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), (true, &[0x80, 201, 0, 1, 0, 0, 0, 1])];

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LowerTransport {
    /// In the connection.
    Tcp,
    /// To ports of the box.
    Udp,
    /// To a group.
    Multicast,
}

impl LowerTransport {
    /// What is tried first.
    pub fn first(transport: Transport, quirks: &Quirks) -> Self {
        match transport {
            Transport::Udp => Self::Udp,
            Transport::Auto if quirks.prefers_udp => Self::Udp,
            Transport::Multicast => Self::Multicast,
            Transport::Auto | Transport::Tcp | Transport::Http => Self::Tcp,
        }
    }

    /// What is tried where this one is refused.
    pub fn other(self) -> Self {
        if self == Self::Tcp { Self::Udp } else { Self::Tcp }
    }

    /// The header `Transport` that asks for it for the `n`th track. `None`: its ports are to be opened first.
    pub fn header(self, n: usize, ports: Option<(u16, u16)>) -> Option<String> {
        Some(match (self, ports) {
            (Self::Tcp, _) => format!("RTP/AVP/TCP;unicast;interleaved={}-{}", channels(n).0, channels(n).1),
            (Self::Udp, None) => return None,
            (Self::Udp, Some((rtp, rtcp))) => format!("RTP/AVP;unicast;client_port={rtp}-{rtcp}"),
            (Self::Multicast, _) => "RTP/AVP;multicast".into(),
        })
    }
}

/// The channels of RTP and RTCP that are asked for the `n`th track.
pub(super) fn channels(n: usize) -> (u8, u8) {
    let rtp = u8::try_from(2 * n).unwrap_or(u8::MAX - 1);
    (rtp, rtp.saturating_add(1))
}
