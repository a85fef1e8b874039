//! Messages of STUN (RFC 8489) and TURN (RFC 8656), as far as the box asks such servers itself. What viewers send is str0m's.

use aws_lc_rs::hmac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Method and class of a message.
pub mod kind {
    /// Where am I seen from?
    pub const BINDING: u16 = 0x001;
    /// Give me a relayed address.
    pub const ALLOCATE: u16 = 0x003;
    /// Keep it for longer, or take it back.
    pub const REFRESH: u16 = 0x004;
    /// Let a peer through, by a channel.
    pub const CHANNEL_BIND: u16 = 0x009;
    /// An indication: what a peer without a channel sent.
    pub const DATA: u16 = 0x017;
    /// Added to a method: it was done.
    #[cfg(test)]
    pub const SUCCESS: u16 = 0x100;
    /// Added to a method: it was refused.
    #[cfg(test)]
    pub const ERROR: u16 = 0x110;
}

/// What attributes are called.
pub mod attribute {
    /// By whom a request is signed.
    pub const USERNAME: u16 = 0x06;
    /// The signature.
    pub const INTEGRITY: u16 = 0x08;
    /// Why it is refused.
    pub const ERROR_CODE: u16 = 0x09;
    /// A channel's number.
    pub const CHANNEL_NUMBER: u16 = 0x0c;
    /// Seconds for which an allocation is kept.
    pub const LIFETIME: u16 = 0x0d;
    /// A peer's address.
    pub const PEER: u16 = 0x12;
    /// What a peer sent.
    pub const DATA: u16 = 0x13;
    /// For which realm credentials are.
    pub const REALM: u16 = 0x14;
    /// What must be repeated.
    pub const NONCE: u16 = 0x15;
    /// The relayed address.
    pub const RELAYED: u16 = 0x16;
    /// How is relayed.
    pub const TRANSPORT: u16 = 0x19;
    /// From where the asker is seen.
    pub const MAPPED: u16 = 0x20;
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_BYTES: usize = 20;
const SIGNATURE_BYTES: usize = 20;

/// Tells answers apart.
pub type TransactionId = [u8; 12];

/// A message that is being made.
#[derive(Clone, Debug)]
pub struct StunRequest {
    bytes: Vec<u8>,
    id: TransactionId,
}

impl StunRequest {
    /// An empty one.
    pub fn new(kind: u16, id: TransactionId) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(COOKIE);
        bytes.extend(id);
        Self { bytes, id }
    }

    /// Adds an attribute.
    pub fn with(mut self, attribute: u16, value: &[u8]) -> Self {
        self.bytes.extend(attribute.to_be_bytes());
        self.bytes.extend((value.len() as u16).to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an address that is veiled by the message's own bytes (XOR-…-ADDRESS).
    pub fn with_address(self, attribute: u16, address: SocketAddr) -> Self {
        let octets = match address.ip().to_canonical() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let family = if octets.len() == 4 { 1 } else { 2 };
        let port = address.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
        let veil = COOKIE.iter().chain(&self.id);
        let mut value = vec![0, family];
        value.extend(port.to_be_bytes());
        value.extend(octets.iter().zip(veil).map(|(a, b)| a ^ b));
        self.with(attribute, &value)
    }

    /// The whole message.
    pub fn done(mut self) -> Vec<u8> {
        self.set_length(0);
        self.bytes
    }

    /// The whole message, signed with `key`.
    pub fn signed(mut self, key: &[u8]) -> Vec<u8> {
        self.set_length(4 + SIGNATURE_BYTES);
        let signature = sign(key, &self.bytes);
        self.with(attribute::INTEGRITY, signature.as_ref()).bytes
    }

    fn set_length(&mut self, more: usize) {
        let length = (self.bytes.len() - HEADER_BYTES + more) as u16;
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

fn sign(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), text)
}

/// A message that came.
#[derive(Clone, Copy, Debug)]
pub struct StunMessage<'a> {
    /// Method and class.
    pub kind: u16,
    /// The request's, where it is an answer.
    pub id: TransactionId,
    bytes: &'a [u8],
}

impl<'a> StunMessage<'a> {
    /// Reads a message that fills `bytes`. `None`: it is none.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let is_one = header[0] < 0x40 && header[4..8] == COOKIE && length == bytes.len() - HEADER_BYTES;
        let id = header[8..].try_into().ok()?;
        is_one.then(|| Self { kind: u16::from_be_bytes([header[0], header[1]]), id, bytes })
    }

    /// The first attribute of a name, and where it begins in the message.
    fn find(&self, attribute: u16) -> Option<(usize, &'a [u8])> {
        let mut at = HEADER_BYTES;
        loop {
            let [k0, k1, l0, l1] = *self.bytes.get(at..at + 4)? else { return None };
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let value = self.bytes.get(at + 4..at + 4 + length)?;
            if u16::from_be_bytes([k0, k1]) == attribute {
                return Some((at, value));
            }
            at += 4 + length.next_multiple_of(4);
        }
    }

    /// The first attribute of a name.
    pub fn get(&self, attribute: u16) -> Option<&'a [u8]> {
        Some(self.find(attribute)?.1)
    }

    /// A veiled address.
    pub fn address(&self, attribute: u16) -> Option<SocketAddr> {
        let value = self.get(attribute)?;
        let (head, veiled) = value.split_at_checked(4)?;
        let mut octets = [0; 16];
        let veil = COOKIE.iter().chain(&self.id);
        octets.iter_mut().zip(veiled.iter().zip(veil)).for_each(|(out, (a, b))| *out = a ^ b);
        let ip = match (head[1], veiled.len()) {
            (1, 4) => IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])),
            (2, 16) => IpAddr::V6(Ipv6Addr::from(octets)),
            _ => return None,
        };
        let port = u16::from_be_bytes([head[2] ^ COOKIE[0], head[3] ^ COOKIE[1]]);
        Some(SocketAddr::new(ip.to_canonical(), port))
    }

    /// A number.
    pub fn number(&self, attribute: u16) -> Option<u32> {
        Some(u32::from_be_bytes(self.get(attribute)?.try_into().ok()?))
    }

    /// Why it is refused.
    pub fn error_code(&self) -> Option<u16> {
        let [_, _, hundreds, rest, ..] = *self.get(attribute::ERROR_CODE)? else { return None };
        Some(u16::from(hundreds & 7) * 100 + u16::from(rest))
    }

    /// Whether it is signed with `key`.
    pub fn is_signed(&self, key: &[u8]) -> bool {
        let Some((at, signature)) = self.find(attribute::INTEGRITY) else { return false };
        let mut text = self.bytes[..at].to_vec();
        let length = (at - HEADER_BYTES + 4 + SIGNATURE_BYTES) as u16;
        text[2..4].copy_from_slice(&length.to_be_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        hmac::verify(&key, &text, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TransactionId = *b"012345678901";

    #[test]
    fn what_is_made_is_read_again() {
        for address in ["192.0.2.1:32853", "[2001:db8:1234:5678:11:2233:4455:6677]:32853"] {
            let address: SocketAddr = address.parse().expect("valid");
            let request = StunRequest::new(kind::CHANNEL_BIND, ID).with(attribute::NONCE, b"odd");
            let bytes = request.with_address(attribute::PEER, address).signed(b"key");
            let message = StunMessage::read(&bytes).expect("one");
            assert_eq!((message.kind, message.id), (kind::CHANNEL_BIND, ID));
            assert_eq!(message.get(attribute::NONCE), Some(&b"odd"[..]));
            assert_eq!(message.address(attribute::PEER), Some(address));
            assert!(message.is_signed(b"key") && !message.is_signed(b"another"));
        }
    }

    #[test]
    fn the_test_vector_of_rfc_5769() {
        // Section 2.2: a response with SOFTWARE, XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY and FINGERPRINT.
        let bytes = [
            0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87,
            0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x20,
            0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91,
            0xf5, 0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba, 0x53, 0xf0, 0x6b, 0xe7, 0xd7,
            0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c, 0x96,
        ];
        let message = StunMessage::read(&bytes).expect("one");
        assert_eq!(message.kind, kind::BINDING + kind::SUCCESS);
        assert_eq!(message.address(attribute::MAPPED), Some("192.0.2.1:32853".parse().expect("valid")));
        assert!(message.is_signed(b"VOkJxbRl1RmTxUk/WvJxBt"));
    }

    #[test]
    fn any_cut_and_any_lie_is_survived() {
        let address = "192.0.2.1:1".parse().expect("valid");
        let whole =
            StunRequest::new(kind::DATA, ID).with_address(attribute::PEER, address).with(9, &[0, 0, 4]).signed(b"k");
        for len in 0..whole.len() {
            assert!(StunMessage::read(&whole[..len]).is_none());
            for byte in 0..=255 {
                let mut lie = whole.clone();
                lie[len] = byte;
                if let Some(message) = StunMessage::read(&lie) {
                    let _ = (message.address(attribute::PEER), message.error_code(), message.is_signed(b"k"));
                    let _ = message.number(attribute::LIFETIME);
                }
            }
        }
    }
}
