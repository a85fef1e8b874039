//! NAL units out of RTP packets: H.264 (RFC 6184) and H.265 (RFC 7798).

use bytes::{Buf, Bytes};
use perch_base::time::MonoTime;
use perch_domain::ingest::PictureCodec;

/// Most bytes of one unit.
const MAX_BYTES: usize = 16 << 20;
/// Room for fragments that is kept from unit to unit.
pub(crate) const KEPT_ROOM: usize = 1 << 20;

/// Who takes the units.
pub(crate) trait TakeNal {
    /// A unit, with when its first packet came; `stamp` is that of its packet plus what an aggregation says.
    fn take(&mut self, nal: &[u8], stamp: u32, at: MonoTime);
    /// A unit of the picture that is under way is missing or damaged.
    fn damaged(&mut self);
}

/// What is under way between packets.
#[derive(Debug)]
pub(crate) struct NalPackets {
    h265: bool,
    /// H.265: decoding order numbers stand in the packets (`sprop-max-don-diff` above 0).
    numbered: bool,
    /// Header and fragments of the unit under way. They are copied: a slice of what was read keeps all of it in memory.
    unit: Vec<u8>,
    open: Option<Open>,
}

/// A unit that came in part.
#[derive(Clone, Copy, Debug)]
struct Open {
    /// Its header, rebuilt; of H.264 the second byte says nothing.
    head: [u8; 2],
    stamp: u32,
    at: MonoTime,
}

impl NalPackets {
    /// `numbered`: see RFC 7798 7.1 `sprop-max-don-diff`.
    pub fn new(codec: PictureCodec, numbered: bool) -> Self {
        Self { h265: codec == PictureCodec::H265, numbered, unit: Vec::new(), open: None }
    }

    /// Packets are missing: a unit under way is not completed.
    pub fn lost(&mut self, to: &mut impl TakeNal) {
        if self.open.take().is_some() {
            to.damaged();
        }
    }

    /// Takes the payload of a packet.
    pub fn push(&mut self, payload: Bytes, stamp: u32, at: MonoTime, to: &mut impl TakeNal) {
        if self.h265 { self.push_h265(payload, stamp, at, to) } else { self.push_h264(payload, stamp, at, to) }
    }

    fn push_h264(&mut self, mut payload: Bytes, stamp: u32, at: MonoTime, to: &mut impl TakeNal) {
        let Some(first) = payload.first().copied() else { return };
        let kind = first & 31;
        if !matches!(kind, 28 | 29) {
            self.end_open(to);
        }
        match kind {
            24 | 25 => {
                payload.advance(payload.len().min(if kind == 24 { 1 } else { 3 }));
                self.aggregate(payload, stamp, at, to);
            }
            26 | 27 => {
                payload.advance(payload.len().min(3));
                self.aggregate_times(payload, if kind == 26 { 2 } else { 3 }, stamp, at, to);
            }
            28 | 29 => {
                let Some(fragment) = payload.get(1).copied() else { return };
                // A number of the decoding order stands in the first fragment of this kind.
                payload.advance(payload.len().min(if kind == 29 { 4 } else { 2 }));
                let head = [first & 0xe0 | fragment & 31, 0];
                self.fragment(fragment, &payload, Open { head, stamp, at }, to);
            }
            30 | 31 => {}
            // 0: a byte stream begins with its start code.
            _ => to.take(&payload, stamp, at),
        }
    }

    fn push_h265(&mut self, mut payload: Bytes, stamp: u32, at: MonoTime, to: &mut impl TakeNal) {
        let [a, b, ..] = payload[..] else { return };
        let kind = a >> 1 & 0x3f;
        if kind != 49 {
            self.end_open(to);
        }
        let number = if self.numbered { 2 } else { 0 };
        match kind {
            48 => {
                payload.advance(payload.len().min(2 + number));
                self.aggregate(payload, stamp, at, to);
            }
            49 => {
                let Some(fragment) = payload.get(2).copied() else { return };
                let number = if fragment & 0x80 != 0 { number } else { 0 };
                payload.advance(payload.len().min(3 + number));
                let head = [a & 0x81 | (fragment & 0x3f) << 1, b];
                self.fragment(fragment, &payload, Open { head, stamp, at }, to);
            }
            50 => {
                // PACI: what it says beside is left out, and the packet it wraps taken (4.4.4).
                let [_, _, c, d, ..] = payload[..] else { return };
                let extra = usize::from((u16::from_be_bytes([c, d]) >> 4) & 31);
                let (kind, inner) = (c >> 1 & 0x3f, payload.len().min(4 + extra));
                if kind == 50 || inner == payload.len() {
                    return;
                }
                let mut unwrapped = Vec::with_capacity(payload.len() - inner + 2);
                unwrapped.extend([c & 0x80 | kind << 1 | a & 1, b]);
                unwrapped.extend_from_slice(&payload[inner..]);
                self.push_h265(unwrapped.into(), stamp, at, to);
            }
            51.. => {}
            _ if self.numbered => {
                payload.advance(payload.len().min(4));
                to.take(&[&[a, b], &payload[..]].concat(), stamp, at);
            }
            _ => to.take(&payload, stamp, at),
        }
    }

    /// Units with their sizes before them.
    fn aggregate(&mut self, mut rest: Bytes, stamp: u32, at: MonoTime, to: &mut impl TakeNal) {
        let mut is_first = true;
        while rest.len() > 2 {
            if self.h265 && self.numbered && !std::mem::take(&mut is_first) {
                rest.advance(1);
            }
            let [a, b, ..] = rest[..] else { return };
            rest.advance(2);
            let size = usize::from(u16::from_be_bytes([a, b]));
            if size > rest.len() {
                return to.damaged();
            }
            let nal = rest.split_to(size);
            if !nal.is_empty() {
                to.take(&nal, stamp, at);
            }
        }
    }

    /// Units with sizes and times: MTAP (RFC 6184 5.7.2).
    fn aggregate_times(&mut self, mut rest: Bytes, time_bytes: usize, stamp: u32, at: MonoTime, to: &mut impl TakeNal) {
        while rest.len() > 3 + time_bytes {
            let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let later = rest[3..3 + time_bytes].iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
            rest.advance(3 + time_bytes);
            if size > rest.len() {
                return to.damaged();
            }
            let nal = rest.split_to(size);
            if !nal.is_empty() {
                to.take(&nal, stamp.wrapping_add(later), at);
            }
        }
    }

    /// A fragment. Cameras forget the end bit; where nothing is missing, what follows says as much.
    fn fragment(&mut self, flags: u8, data: &[u8], this: Open, to: &mut impl TakeNal) {
        if flags & 0x80 != 0 {
            self.end_open(to);
            self.unit.clear();
            self.unit.extend_from_slice(if self.h265 { &this.head } else { &this.head[..1] });
            self.open = Some(this);
        }
        let Some(open) = self.open else { return to.damaged() };
        if open.head != this.head || open.stamp != this.stamp {
            // The begin of another unit is missing.
            self.end_open(to);
            return to.damaged();
        }
        if self.unit.len() + data.len() > MAX_BYTES {
            return self.lost(to);
        }
        self.unit.extend_from_slice(data);
        if flags & 0x40 != 0 {
            self.end_open(to);
        }
    }

    fn end_open(&mut self, to: &mut impl TakeNal) {
        if let Some(open) = self.open.take() {
            to.take(&self.unit, open.stamp, open.at);
            self.unit.clear();
            self.unit.shrink_to(KEPT_ROOM);
        }
    }
}

#[cfg(test)]
#[path = "nal_packets_tests.rs"]
mod tests;
