//! What goes over the wire beside RTP: RTSP messages, packets between them, SDP, sign-in.

pub(crate) mod message;
pub(crate) mod sdp;
pub(crate) mod splitter;
pub(crate) mod transport;
pub(crate) mod url;

use bytes::Bytes;

/// A packet as it stands in the connection (RFC 2326 10.12). `None`: it is too long for that.
pub(crate) fn framed(channel: u8, packet: &[u8]) -> Option<Bytes> {
    let [high, low] = u16::try_from(packet.len()).ok()?.to_be_bytes();
    Some(Bytes::from([&[b'$', channel, high, low], packet].concat()))
}
