//! Which session a datagram belongs to, found without allocation: STUN requests by the user fragment we gave out, the rest by address.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

/// Addresses one session may be reached from at a time; the oldest gives way.
const MAX_ADDRESSES: usize = 8;
/// User fragments one session may be asked by: the current one, and the one before an ICE restart.
const MAX_UFRAGS: usize = 2;

/// A session inside the engine.
pub type Key = u64;

/// What a datagram is, as far as routing needs to know (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramKind<'a> {
    /// A STUN binding request for this local user fragment.
    Request(&'a [u8]),
    /// Another STUN message.
    Stun,
    /// DTLS, SRTP or SRTCP.
    Media,
    /// Nothing of ours.
    Junk,
}

/// Looks at a datagram's first bytes.
pub fn classify(datagram: &[u8]) -> DatagramKind<'_> {
    match datagram {
        [0 | 1, _, ..] if datagram.len() >= 20 && datagram[4..8] == [0x21, 0x12, 0xa4, 0x42] => {
            if datagram[..2] != [0, 1] {
                return DatagramKind::Stun;
            }
            match local_ufrag(&datagram[20..]) {
                Some(ufrag) => DatagramKind::Request(ufrag),
                None => DatagramKind::Junk,
            }
        }
        [20..=63 | 128..=191, ..] if datagram.len() > 12 => DatagramKind::Media,
        _ => DatagramKind::Junk,
    }
}

/// The first half of the USERNAME attribute.
fn local_ufrag(mut attributes: &[u8]) -> Option<&[u8]> {
    while let [t0, t1, l0, l1, rest @ ..] = attributes {
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = rest.get(..len)?;
        if [*t0, *t1] == [0, 6] {
            return value.split(|b| *b == b':').next().filter(|u| u.len() < len);
        }
        attributes = rest.get(len.next_multiple_of(4)..)?;
    }
    None
}

/// The routing tables.
#[derive(Debug, Default)]
pub struct Demux {
    by_ufrag: HashMap<Vec<u8>, Key>,
    /// Of each session, oldest first.
    ufrags: HashMap<Key, VecDeque<Vec<u8>>>,
    by_address: HashMap<SocketAddr, Key>,
    addresses: HashMap<Key, Vec<SocketAddr>>,
}

impl Demux {
    /// Routes requests for `ufrag` to `key`. After an ICE restart the one before is still in use for a moment, older ones not.
    pub fn add_ufrag(&mut self, ufrag: &str, key: Key) {
        let ufrag = ufrag.as_bytes().to_vec();
        let list = self.ufrags.entry(key).or_default();
        if list.len() >= MAX_UFRAGS
            && let Some(oldest) = list.pop_front()
        {
            self.by_ufrag.remove(&oldest);
        }
        list.push_back(ufrag.clone());
        self.by_ufrag.insert(ufrag, key);
    }

    /// Routes everything from an address that proved itself to `key`.
    pub fn add_address(&mut self, address: SocketAddr, key: Key) {
        if let Some(before) = self.by_address.insert(address, key) {
            if before == key {
                return;
            }
            if let Some(list) = self.addresses.get_mut(&before) {
                list.retain(|a| *a != address);
            }
        }
        let list = self.addresses.entry(key).or_default();
        if list.len() >= MAX_ADDRESSES {
            self.by_address.remove(&list.remove(0));
        }
        list.push(address);
    }

    /// The session for a user fragment.
    pub fn ufrag(&self, ufrag: &[u8]) -> Option<Key> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// The session at an address.
    pub fn address(&self, address: SocketAddr) -> Option<Key> {
        self.by_address.get(&address).copied()
    }

    /// Forgets a session.
    pub fn remove(&mut self, key: Key) {
        for ufrag in self.ufrags.remove(&key).unwrap_or_default() {
            self.by_ufrag.remove(&ufrag);
        }
        for address in self.addresses.remove(&key).unwrap_or_default() {
            self.by_address.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(username: &str) -> Vec<u8> {
        let mut attributes = vec![0x80, 0x22, 0, 3, b'a', b'b', b'c', 0, 0, 6, 0, username.len() as u8];
        attributes.extend_from_slice(username.as_bytes());
        attributes.resize(attributes.len().next_multiple_of(4), 0);
        let mut out = vec![0, 1, 0, attributes.len() as u8, 0x21, 0x12, 0xa4, 0x42];
        out.resize(20, 7);
        out.extend_from_slice(&attributes);
        out
    }

    #[test]
    fn datagrams_are_distinguished() {
        assert_eq!(classify(&request("ours:theirs")), DatagramKind::Request(b"ours"));
        assert_eq!(classify(&request("ours")), DatagramKind::Junk);
        let mut response = request("ours:theirs");
        response[0] = 1;
        assert_eq!(classify(&response), DatagramKind::Stun);
        assert_eq!(classify(&[22; 50]), DatagramKind::Media);
        assert_eq!(classify(&[0x80; 50]), DatagramKind::Media);
        for junk in [&[][..], &[0; 30], &[255; 100], &[0x80], &[64; 40]] {
            assert_eq!(classify(junk), DatagramKind::Junk);
        }
    }

    #[test]
    fn any_cut_and_any_lie_of_a_request_is_survived() {
        let whole = request("ours:theirs");
        for len in 0..whole.len() {
            classify(&whole[..len]);
            for byte in 0..=255 {
                let mut lie = whole.clone();
                lie[len] = byte;
                classify(&lie);
            }
        }
    }

    #[test]
    fn a_session_keeps_few_addresses_and_leaves_none_behind() {
        let mut demux = Demux::default();
        let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
        for port in 1..=20 {
            demux.add_address(at(port), 1);
        }
        assert_eq!(demux.address(at(20)), Some(1));
        assert_eq!(demux.address(at(12)), None);
        demux.add_address(at(20), 2);
        demux.remove(1);
        assert_eq!(demux.address(at(20)), Some(2));
        demux.remove(2);
        assert!(demux.by_address.is_empty() && demux.addresses.is_empty());
    }

    #[test]
    fn ice_restarts_do_not_pile_up() {
        let mut demux = Demux::default();
        for n in 0..1000 {
            demux.add_ufrag(&n.to_string(), 1);
        }
        assert_eq!((demux.ufrag(b"999"), demux.ufrag(b"998"), demux.ufrag(b"997")), (Some(1), Some(1), None));
        demux.remove(1);
        assert!(demux.by_ufrag.is_empty() && demux.ufrags.is_empty());
    }
}
