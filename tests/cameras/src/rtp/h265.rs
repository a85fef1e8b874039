//! H.265 in packets (RFC 7798).

use super::{FITS, Stream};
use crate::feed::Shot;

/// How packets are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct H265Packing {
    /// Whether each carries its place in decoding order (`sprop-max-don-diff` above 0).
    pub don: bool,
    /// Whether short NAL units are gathered (AP).
    pub gathered: bool,
}

fn pieces(stream: &mut Stream, nal: &[u8], stamp: u32, marker: bool, don: &[u8]) -> Vec<Vec<u8>> {
    let kind = nal[0] >> 1 & 63;
    let body = &nal[2..];
    let count = body.len().div_ceil(FITS - 6);
    let one = |(i, part): (usize, &[u8])| {
        let (start, end) = (u8::from(i == 0), u8::from(i + 1 == count));
        let header = [nal[0] & 0x81 | 49 << 1, nal[1], start << 7 | end << 6 | kind];
        // The place stands in the first piece only.
        let don = if i == 0 { don } else { &[] };
        stream.packet(&[&header, don, part].concat(), stamp, marker && end == 1)
    };
    body.chunks(FITS - 6).enumerate().map(one).collect()
}

/// Packs pictures.
pub fn pack(how: H265Packing) -> impl FnMut(&mut Stream, &Shot, u64) -> Vec<Vec<u8>> + Send {
    let mut number = 0u16;
    move |stream, shot, _| {
        let (mut out, last) = (Vec::new(), shot.unit.len() - 1);
        let mut held: Vec<(u16, Vec<u8>)> = Vec::new();
        let gather = |stream: &mut Stream, held: &mut Vec<(u16, Vec<u8>)>, marker| {
            let held = std::mem::take(held);
            let mut payload = vec![48 << 1, 1];
            for (i, (at, nal)) in held.iter().enumerate() {
                match (how.don, i) {
                    (true, 0) => payload.extend(at.to_be_bytes()),
                    // One less than the difference to the one before.
                    (true, _) => payload.push(0),
                    (false, _) => {}
                }
                payload.extend((nal.len() as u16).to_be_bytes());
                payload.extend_from_slice(nal);
            }
            stream.packet(&payload, shot.stamp, marker)
        };
        for (i, nal) in shot.unit.iter().enumerate() {
            let size: usize = held.iter().map(|(_, h)| h.len() + 5).sum();
            let at = number;
            number = number.wrapping_add(1);
            if how.gathered && nal.len() + size < FITS - 8 && shot.unit.len() > 1 {
                held.push((at, nal.clone()));
                if i == last {
                    out.push(gather(stream, &mut held, true));
                }
                continue;
            }
            if !held.is_empty() {
                out.push(gather(stream, &mut held, false));
            }
            let don = if how.don { at.to_be_bytes().to_vec() } else { Vec::new() };
            if nal.len() + 2 <= FITS {
                let payload = [&nal[..2], &don, &nal[2..]].concat();
                out.push(stream.packet(&payload, shot.stamp, i == last));
            } else {
                out.append(&mut pieces(stream, nal, shot.stamp, i == last, &don));
            }
        }
        out
    }
}
