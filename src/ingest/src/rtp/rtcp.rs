//! RTCP (RFC 3550 6): what senders report is read, what was received is reported.

use super::packet::Packet;
use perch_base::time::MonoTime;

/// Seconds from 1900 to 1970.
const UNIX_BEGIN: i64 = 2_208_988_800;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;

/// What one part of a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// A sender's clock at a time stamp.
    Sender {
        /// Who.
        ssrc: u32,
        /// Its clock, NTP format.
        ntp: u64,
        /// The time stamp of that moment.
        stamp: u32,
    },
    /// A sender ends.
    Bye {
        /// Who.
        ssrc: u32,
    },
}

/// An NTP time as microseconds since 1970.
pub(crate) fn ntp_micros(ntp: u64) -> i64 {
    let seconds = (ntp >> 32) as i64 - UNIX_BEGIN;
    seconds * 1_000_000 + (((ntp & 0xffff_ffff) * 1_000_000) >> 32) as i64
}

/// The reports of a compound packet, up to where it makes no sense; at most 32.
pub(crate) fn reports(packet: &[u8]) -> impl Iterator<Item = Report> + '_ {
    let mut rest = packet;
    std::iter::from_fn(move || {
        let [first, kind, a, b] = *rest.get(..4)? else { return None };
        if first >> 6 != 2 {
            return None;
        }
        let bytes = 4 + 4 * usize::from(u16::from_be_bytes([a, b]));
        let part = rest.get(..bytes)?;
        rest = &rest[bytes..];
        Some((kind, first & 31, part))
    })
    .take(32)
    .filter_map(|(kind, count, part)| {
        let word = |at: usize| part.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        match kind {
            SENDER_REPORT => {
                let ntp = u64::from(word(8)?) << 32 | u64::from(word(12)?);
                Some(Report::Sender { ssrc: word(4)?, ntp, stamp: word(16)? })
            }
            BYE if count > 0 => Some(Report::Bye { ssrc: word(4)? }),
            _ => None,
        }
    })
}

/// What was received of one source, as its reports want it (A.3, A.8).
#[derive(Clone, Debug, Default)]
pub(crate) struct Reception {
    ssrc: Option<u32>,
    base: u32,
    highest: u32,
    received: u32,
    expected_before: u32,
    received_before: u32,
    jitter_ticks: f64,
    transit_ticks: f64,
    /// The middle of the last sender report's NTP time, and when it came.
    report: Option<(u32, MonoTime)>,
}

impl Reception {
    /// Counts a packet.
    pub fn packet(&mut self, now: MonoTime, packet: &Packet, clock_hz: u32) {
        let transit = now.0 as f64 * f64::from(clock_hz) / 1e6 - f64::from(packet.stamp);
        if self.ssrc != Some(packet.ssrc) {
            let number = u32::from(packet.sequence);
            *self = Self {
                ssrc: Some(packet.ssrc),
                base: number,
                highest: number,
                received: 1,
                transit_ticks: transit,
                ..Self::default()
            };
            return;
        }
        let ahead = packet.sequence.wrapping_sub(self.highest as u16) as i16;
        if ahead > 0 {
            self.highest = self.highest.wrapping_add(ahead as u32);
        }
        self.received = self.received.wrapping_add(1);
        let change = (transit - self.transit_ticks).abs();
        self.transit_ticks = transit;
        // A jump of the stamps is no jitter.
        if change < f64::from(clock_hz) * 10.0 {
            self.jitter_ticks += (change - self.jitter_ticks) / 16.0;
        }
    }

    /// Remembers when a sender reported.
    pub fn sender_report(&mut self, now: MonoTime, ssrc: u32, ntp: u64) {
        if self.ssrc == Some(ssrc) {
            self.report = Some(((ntp >> 16) as u32, now));
        }
    }

    /// A receiver report (6.4.2) with a description (6.5) from `own`.
    pub fn report(&mut self, now: MonoTime, own: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(52);
        let blocks = u8::from(self.ssrc.is_some());
        out.extend([0x80 | blocks, RECEIVER_REPORT, 0, 1 + 6 * blocks]);
        out.extend(own.to_be_bytes());
        if let Some(ssrc) = self.ssrc {
            let expected = self.highest.wrapping_sub(self.base).wrapping_add(1);
            let lost = i64::from(expected) - i64::from(self.received);
            let newly = expected.wrapping_sub(self.expected_before);
            let newly_lost = i64::from(newly) - i64::from(self.received.wrapping_sub(self.received_before));
            (self.expected_before, self.received_before) = (expected, self.received);
            let fraction =
                if newly == 0 || newly_lost <= 0 { 0 } else { ((newly_lost * 256) / i64::from(newly)).min(255) };
            let lost = lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
            let (last, delay) = match self.report {
                Some((middle, at)) => (middle, (now.since(at).as_micros() * 65_536 / 1_000_000) as u32),
                None => (0, 0),
            };
            out.extend(ssrc.to_be_bytes());
            out.extend(((fraction as u32) << 24 | lost).to_be_bytes());
            out.extend(self.highest.to_be_bytes());
            out.extend((self.jitter_ticks as u32).to_be_bytes());
            out.extend(last.to_be_bytes());
            out.extend(delay.to_be_bytes());
        }
        // One chunk: the canonical name, then zeros to the next word.
        out.extend([0x81, DESCRIPTION, 0, 3]);
        out.extend(own.to_be_bytes());
        out.extend(*b"\x01\x05perch\x00");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn packet(sequence: u16, stamp: u32) -> Packet {
        Packet { marker: false, payload_type: 96, sequence, stamp, ssrc: 7, extension: None, payload: Bytes::new() }
    }

    #[test]
    fn reads_a_sender_report_and_a_bye_in_one_packet() {
        let mut sr = vec![0x80, 200, 0, 6, 0, 0, 0, 7];
        sr.extend(((UNIX_BEGIN as u64 + 5) << 32 | 0x8000_0000).to_be_bytes());
        sr.extend([0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
        sr.extend([0x81, 203, 0, 1, 0, 0, 0, 7]);
        let got: Vec<_> = reports(&sr).collect();
        let Report::Sender { ssrc: 7, ntp, stamp: 256 } = got[0] else { panic!("{got:?}") };
        assert_eq!(ntp_micros(ntp), 5_500_000);
        assert_eq!(got[1..], [Report::Bye { ssrc: 7 }]);
        assert_eq!(reports(&sr[..20]).count(), 0);
    }

    #[test]
    fn reports_what_was_lost_across_a_wrap() {
        let mut reception = Reception::default();
        let empty = reception.report(MonoTime(0), 1);
        assert_eq!((empty[0], empty[3], empty.len() % 4), (0x80, 1, 0));
        for (n, sequence) in [65_534u16, 65_535, 1, 2].into_iter().enumerate() {
            reception.packet(MonoTime(n as i64 * 40_000), &packet(sequence, n as u32 * 3600), 90_000);
        }
        reception.sender_report(MonoTime(120_000), 7, 0x1122_3344_5566_7788);
        let report = reception.report(MonoTime(1_120_000), 1);
        assert_eq!((report[0], report[1], report[3], report.len()), (0x81, 201, 7, 48));
        assert_eq!(report[8..12], [0, 0, 0, 7]);
        assert_eq!((report[12], &report[13..16]), (51, &[0, 0, 1][..]), "one of five");
        assert_eq!(report[16..20], [0, 1, 0, 2], "once around");
        assert_eq!(report[24..32], [0x33, 0x44, 0x55, 0x66, 0, 1, 0, 0]);
        assert_eq!(report[33], 202);
        // Nothing of it twice.
        assert_eq!(reception.report(MonoTime(2_000_000), 1)[12], 0);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = reports(&bytes).count();
        }
    }
}
