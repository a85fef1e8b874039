//! H.264 in packets (RFC 6184), the usual way and the seldom ones.

use super::{FITS, Stream};
use crate::feed::Shot;
use crate::media::Unit;

/// A NAL unit, alone or in pieces (FU-A).
pub fn nal(stream: &mut Stream, nal: &[u8], stamp: u32, marker: bool) -> Vec<Vec<u8>> {
    if nal.len() <= FITS {
        vec![stream.packet(nal, stamp, marker)]
    } else {
        pieces(stream, nal, stamp, marker, FITS - 2)
    }
}

/// A NAL unit in pieces of at most `piece` bytes, however short it is.
pub fn pieces(stream: &mut Stream, nal: &[u8], stamp: u32, marker: bool, piece: usize) -> Vec<Vec<u8>> {
    let count = nal[1..].len().div_ceil(piece);
    let one = |(i, part): (usize, &[u8])| {
        let (start, end) = (u8::from(i == 0), u8::from(i + 1 == count));
        let header = [nal[0] & 0xe0 | 28, start << 7 | end << 6 | nal[0] & 31];
        stream.packet(&[&header, part].concat(), stamp, marker && end == 1)
    };
    nal[1..].chunks(piece).enumerate().map(one).collect()
}

/// A picture, the marker with its last packet.
pub fn unit(stream: &mut Stream, unit: &[Vec<u8>], stamp: u32) -> Vec<Vec<u8>> {
    let last = unit.len().saturating_sub(1);
    unit.iter().enumerate().flat_map(|(i, n)| nal(stream, n, stamp, i == last)).collect()
}

/// As [`unit`], for a feed.
pub fn pack(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    unit(stream, &shot.unit, shot.stamp)
}

/// Several NAL units in one packet (STAP-A).
pub fn gathered(nals: &[Vec<u8>]) -> Vec<u8> {
    let importance = nals.iter().map(|n| n[0] & 0x60).max().unwrap_or_default();
    let mut out = vec![importance | 24];
    for nal in nals {
        out.extend((nal.len() as u16).to_be_bytes());
        out.extend_from_slice(nal);
    }
    out
}

/// A picture whose short NAL units are gathered and long ones are in pieces.
pub fn pack_gathered(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    let (mut out, mut held, last) = (Vec::new(), Vec::new(), shot.unit.len() - 1);
    for (i, n) in shot.unit.iter().enumerate() {
        let size: usize = held.iter().map(|h: &Vec<u8>| h.len() + 2).sum();
        if n.len() + size < FITS {
            held.push(n.clone());
        } else {
            if !held.is_empty() {
                out.push(stream.packet(&gathered(&std::mem::take(&mut held)), shot.stamp, false));
            }
            out.extend(nal(stream, n, shot.stamp, i == last));
        }
        if i == last && !held.is_empty() {
            out.push(stream.packet(&gathered(&held), shot.stamp, true));
        }
    }
    out
}

/// The marker with the end of each slice, not only of the last.
pub fn pack_each_marked(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    shot.unit.iter().flat_map(|n| nal(stream, n, shot.stamp, true)).collect()
}

/// How the interleaved mode carries a NAL unit (RFC 6184 5.7, packetization-mode 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interleaved {
    /// STAP-B; long ones FU-B and FU-A.
    StapB,
    /// MTAP16.
    Mtap16,
    /// MTAP24.
    Mtap24,
}

/// Packs pictures in the interleaved mode, in decoding order.
pub fn interleaved(how: Interleaved) -> impl FnMut(&mut Stream, &Shot, u64) -> Vec<Vec<u8>> + Send {
    let mut number = 0u16;
    move |stream, shot, _| {
        let (mut out, last) = (Vec::new(), shot.unit.len() - 1);
        for (i, n) in shot.unit.iter().enumerate() {
            let marker = i == last;
            let don = number.to_be_bytes();
            number = number.wrapping_add(1);
            if n.len() > FITS {
                // The first piece is an FU-B with the number, the others FU-A.
                let mut packets = pieces(stream, n, shot.stamp, marker, FITS - 4);
                let first = &mut packets[0];
                first[12] = first[12] & 0xe0 | 29;
                let rest = first.split_off(14);
                first.extend(don);
                first.extend(rest);
                out.append(&mut packets);
                continue;
            }
            let importance = n[0] & 0x60;
            let size = (n.len() as u16).to_be_bytes();
            let payload = match how {
                Interleaved::StapB => [&[importance | 25], &don[..], &size, n].concat(),
                // The number's difference to the base, then the time's.
                Interleaved::Mtap16 => [&[importance | 26], &don[..], &size, &[0, 0, 0], n].concat(),
                Interleaved::Mtap24 => [&[importance | 27], &don[..], &size, &[0, 0, 0, 0], n].concat(),
            };
            out.push(stream.packet(&payload, shot.stamp, marker));
        }
        out
    }
}

/// A picture as an Annex B stream, start codes and all, in one NAL unit's place, as some firmware does.
pub fn pack_start_codes(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    // The first NAL unit's header is the header of all of it.
    let joined = shot.unit.join(&[0, 0, 0, 1][..]);
    nal(stream, &joined, shot.stamp, true)
}

/// Whether a picture begins with parameter sets.
pub fn has_sets(unit: &Unit) -> bool {
    unit.iter().any(|n| n[0] & 31 == 7)
}

/// NAL units of these kinds only, or of all others.
pub fn only(unit: &Unit, kinds: &[u8], keep: bool) -> Vec<Vec<u8>> {
    unit.iter().filter(|n| kinds.contains(&(n[0] & 31)) == keep).cloned().collect()
}
