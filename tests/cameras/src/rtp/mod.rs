//! RTP and RTCP as cameras send them (RFC 3550), and how pictures and sound go into packets.

pub mod h264;
pub mod h265;
pub mod jpeg;
pub mod sound;

use crate::random::Random;
use std::time::Duration;

/// Bytes of payload that fit beside all headers.
pub const FITS: usize = 1300;

/// One RTP stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Payload type of its packets.
    pub payload_type: u8,
    /// Who sends.
    pub ssrc: u32,
    /// Sequence number of the next packet.
    pub sequence: u16,
    packets: u32,
    octets: u32,
}

impl Stream {
    /// A new one; who sends and where numbers begin is as `seed` has it.
    pub fn new(payload_type: u8, seed: u64) -> Self {
        let mut random = Random::new(seed ^ u64::from(payload_type) << 32);
        Self { payload_type, ssrc: random.draw() as u32, sequence: random.draw() as u16, packets: 0, octets: 0 }
    }

    /// The next packet.
    pub fn packet(&mut self, payload: &[u8], stamp: u32, marker: bool) -> Vec<u8> {
        let mut packet = vec![0x80, u8::from(marker) << 7 | self.payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(stamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        packet
    }

    /// A sender report with its source's name: `wall` (since 1970) and `stamp` are the same moment.
    pub fn report(&self, wall: Duration, stamp: u32) -> Vec<u8> {
        const UNIX_IN_NTP: u64 = 2_208_988_800;
        let mut out = vec![0x80, 200, 0, 6];
        out.extend(self.ssrc.to_be_bytes());
        out.extend(((wall.as_secs() + UNIX_IN_NTP) as u32).to_be_bytes());
        out.extend((((u64::from(wall.subsec_nanos())) << 32) / 1_000_000_000).to_be_bytes()[4..].iter());
        for word in [stamp, self.packets, self.octets] {
            out.extend(word.to_be_bytes());
        }
        // SDES: CNAME "cam", and the end of the list.
        out.extend([0x81, 202, 0, 3]);
        out.extend(self.ssrc.to_be_bytes());
        out.extend([1, 3, b'c', b'a', b'm', 0, 0, 0]);
        out
    }

    /// It says goodbye (RFC 3550 6.6).
    pub fn bye(&self) -> Vec<u8> {
        [&[0x81, 203, 0, 1][..], &self.ssrc.to_be_bytes()].concat()
    }
}

/// The same packet with the marker bit set or cleared.
pub fn marked(mut packet: Vec<u8>, marker: bool) -> Vec<u8> {
    packet[1] = packet[1] & 0x7f | u8::from(marker) << 7;
    packet
}

/// The same packet with two contributing sources, a header extension and padding, as the bits say.
pub fn adorned(packet: &[u8], sources: bool, extension: bool, padding: bool) -> Vec<u8> {
    let mut out = packet[..12].to_vec();
    if sources {
        out[0] |= 2;
        out.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    }
    if extension {
        out[0] |= 0x10;
        // ONVIF streaming 6.2.1: an NTP time, flags and a number.
        out.extend([0xab, 0xac, 0, 3]);
        out.extend([0xe0, 1, 2, 3, 4, 5, 6, 7, 0xa0, 1, 0, 0]);
    }
    out.extend_from_slice(&packet[12..]);
    if padding {
        out[0] |= 0x20;
        out.extend([0, 0, 0, 4]);
    }
    out
}
