//! RTP payloads (RFC 6184 H.264, RFC 7798 H.265, RFC 7741 VP8, RFC 7587 Opus): one frame in, shareable payloads out. No headers, no sequence numbers.

use perch_domain::bitstream::nal_units;
use perch_domain::h264::{AUD, FILLER, kind};
use perch_domain::h265;
use std::sync::Arc;

/// The payload of one RTP packet. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The bytes after the RTP header.
    pub data: Arc<[u8]>,
    /// Whether it ends its frame.
    pub marker: bool,
}

/// A NAL unit's header in H.265: the forbidden bit and the upper bit of the layer, beside the kind.
const H265_NOT_KIND: u8 = 0x81;
const H265_HEADER_BYTES: usize = 2;
/// Aggregation packet (RFC 7798, section 4.4.2).
const AP: u8 = 48;
/// Fragmentation unit (RFC 7798, section 4.4.3).
const FU: u8 = 49;
const NAL_REF_IDC: u8 = 0x60;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// Appends the payloads of one H.264 access unit (Annex B), each at most `max_bytes` (at least 16). Small neighbours share a
/// STAP-A; large NAL units become FU-A fragments of equal size, so that they can leave in one segmented write.
pub fn packetize_h264(access_unit: &[u8], max_bytes: usize, out: &mut Vec<Payload>) {
    let max_bytes = max_bytes.max(16);
    let first = out.len();
    let mut small: Vec<&[u8]> = Vec::new();
    let mut small_bytes = 1;
    for nal in nal_units(access_unit).filter(|nal| !matches!(kind(nal), 0 | AUD..=FILLER | STAP_A..)) {
        if !small.is_empty() && small_bytes + 2 + nal.len() > max_bytes {
            push_small(&mut small, out);
            small_bytes = 1;
        }
        if nal.len() > max_bytes {
            push_fragments(nal, max_bytes, out);
        } else {
            small_bytes += 2 + nal.len();
            small.push(nal);
        }
    }
    push_small(&mut small, out);
    mark_last(first, out);
}

/// Appends the payloads of one H.265 access unit (Annex B), each at most `max_bytes` (at least 16). Small neighbours share an
/// aggregation packet; large NAL units become fragments of equal size. There are no decoding order numbers: pictures come in order.
pub fn packetize_h265(access_unit: &[u8], max_bytes: usize, out: &mut Vec<Payload>) {
    let max_bytes = max_bytes.max(16);
    let first = out.len();
    let mut small: Vec<&[u8]> = Vec::new();
    let mut small_bytes = H265_HEADER_BYTES;
    let is_sent =
        |nal: &&[u8]| nal.len() > H265_HEADER_BYTES && !matches!(h265::kind(nal), h265::AUD..=h265::FILLER | AP..);
    for nal in nal_units(access_unit).filter(is_sent) {
        if !small.is_empty() && small_bytes + 2 + nal.len() > max_bytes {
            push_small_h265(&mut small, out);
            small_bytes = H265_HEADER_BYTES;
        }
        if nal.len() > max_bytes {
            push_fragments_h265(nal, max_bytes, out);
        } else {
            small_bytes += 2 + nal.len();
            small.push(nal);
        }
    }
    push_small_h265(&mut small, out);
    mark_last(first, out);
}

fn push_small_h265(nals: &mut Vec<&[u8]>, out: &mut Vec<Payload>) {
    match nals.as_slice() {
        [] => return,
        [one] => out.push(Payload { data: (*one).into(), marker: false }),
        several => {
            // The lowest layer and temporal id of all (RFC 7798, section 4.4.2).
            let layer = several.iter().map(|n| h265::layer(n)).min().unwrap_or(0);
            let temporal = several.iter().map(|n| n[1] & 7).min().unwrap_or(1);
            let mut data = Vec::with_capacity(several.iter().map(|n| n.len() + 2).sum::<usize>() + H265_HEADER_BYTES);
            data.extend_from_slice(&[(AP << 1) | (layer >> 5), (layer << 3) | temporal]);
            for nal in several {
                data.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                data.extend_from_slice(nal);
            }
            out.push(Payload { data: data.into(), marker: false });
        }
    }
    nals.clear();
}

fn push_fragments_h265(nal: &[u8], max_bytes: usize, out: &mut Vec<Payload>) {
    let (header, body) = nal.split_at(H265_HEADER_BYTES);
    let chunk = equal_parts(body.len(), max_bytes - H265_HEADER_BYTES - 1);
    let last = body.len().div_ceil(chunk) - 1;
    for (n, part) in body.chunks(chunk).enumerate() {
        let mut data = Vec::with_capacity(H265_HEADER_BYTES + 1 + part.len());
        let start = if n == 0 { FU_START } else { 0 };
        let end = if n == last { FU_END } else { 0 };
        data.extend_from_slice(&[(header[0] & H265_NOT_KIND) | (FU << 1), header[1], start | end | h265::kind(nal)]);
        data.extend_from_slice(part);
        out.push(Payload { data: data.into(), marker: false });
    }
}

/// Appends the payloads of one VP8 frame, each at most `max_bytes` (at least 16).
pub fn packetize_vp8(frame: &[u8], max_bytes: usize, out: &mut Vec<Payload>) {
    let first = out.len();
    let chunk = equal_parts(frame.len(), max_bytes.max(16) - 1);
    for (n, part) in frame.chunks(chunk).enumerate() {
        let mut data = Vec::with_capacity(1 + part.len());
        data.push(if n == 0 { 0x10 } else { 0 });
        data.extend_from_slice(part);
        out.push(Payload { data: data.into(), marker: false });
    }
    mark_last(first, out);
}

/// The payload of one Opus packet.
pub fn packetize_opus(packet: &[u8]) -> Payload {
    Payload { data: packet.into(), marker: false }
}

/// The size of parts when `total_bytes` are cut into as few parts of at most `max_bytes` as possible, all but the last alike. Never zero.
fn equal_parts(total_bytes: usize, max_bytes: usize) -> usize {
    total_bytes.div_ceil(total_bytes.div_ceil(max_bytes).max(1)).max(1)
}

fn push_small(nals: &mut Vec<&[u8]>, out: &mut Vec<Payload>) {
    match nals.as_slice() {
        [] => return,
        [one] => out.push(Payload { data: (*one).into(), marker: false }),
        several => {
            let reference = several.iter().map(|n| n[0] & NAL_REF_IDC).max().unwrap_or(0);
            let mut data = Vec::with_capacity(1 + several.iter().map(|n| n.len() + 2).sum::<usize>());
            data.push(reference | STAP_A);
            for nal in several {
                data.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                data.extend_from_slice(nal);
            }
            out.push(Payload { data: data.into(), marker: false });
        }
    }
    nals.clear();
}

fn push_fragments(nal: &[u8], max_bytes: usize, out: &mut Vec<Payload>) {
    let (header, body) = (nal[0], &nal[1..]);
    let chunk = equal_parts(body.len(), max_bytes - 2);
    let last = body.len().div_ceil(chunk) - 1;
    for (n, part) in body.chunks(chunk).enumerate() {
        let mut data = Vec::with_capacity(2 + part.len());
        data.push((header & 0xe0) | FU_A);
        let start = if n == 0 { FU_START } else { 0 };
        let end = if n == last { FU_END } else { 0 };
        data.push(start | end | kind(nal));
        data.extend_from_slice(part);
        out.push(Payload { data: data.into(), marker: false });
    }
}

fn mark_last(first: usize, out: &mut [Payload]) {
    if let Some(last) = out.get_mut(first..).and_then(|new| new.last_mut()) {
        last.marker = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annex_b(nals: &[Vec<u8>]) -> Vec<u8> {
        nals.iter().flat_map(|n| [&[0, 0, 0, 1], n.as_slice()].concat()).collect()
    }

    /// Undoes the packetization, as a viewer would.
    fn depacketize(payloads: &[Payload]) -> Vec<Vec<u8>> {
        let mut nals = Vec::new();
        for p in payloads.iter().map(|p| &p.data) {
            match kind(p) {
                STAP_A => {
                    let mut rest = &p[1..];
                    while !rest.is_empty() {
                        let len = u16::from_be_bytes([rest[0], rest[1]]) as usize;
                        nals.push(rest[2..2 + len].to_vec());
                        rest = &rest[2 + len..];
                    }
                }
                FU_A => {
                    if p[1] & FU_START != 0 {
                        nals.push(vec![(p[0] & 0xe0) | kind(&p[1..])]);
                    }
                    nals.last_mut().expect("a start came first").extend_from_slice(&p[2..]);
                }
                _ => nals.push(p.to_vec()),
            }
        }
        nals
    }

    fn nal(kind: u8, len: usize) -> Vec<u8> {
        (0..len).map(|i| if i == 0 { 0x60 | kind } else { (i % 250 + 1) as u8 }).collect()
    }

    #[test]
    fn every_access_unit_comes_back_whole() {
        for nals in [
            vec![nal(7, 20), nal(8, 4), nal(5, 30_000)],
            vec![nal(1, 1)],
            vec![nal(1, 1200)],
            vec![nal(1, 1201)],
            vec![nal(1, 500), nal(1, 500), nal(1, 500), nal(1, 5000), nal(1, 3)],
        ] {
            let mut out = Vec::new();
            packetize_h264(&annex_b(&nals), 1200, &mut out);
            assert_eq!(depacketize(&out), nals);
            assert!(out.iter().all(|p| p.data.len() <= 1200));
            assert_eq!(
                out.iter().map(|p| p.marker).collect::<Vec<_>>().iter().rposition(|m| !m),
                out.len().checked_sub(2)
            );
        }
    }

    #[test]
    fn fragments_are_alike_but_for_the_last() {
        let mut out = Vec::new();
        packetize_h264(&annex_b(&[nal(5, 4000)]), 1200, &mut out);
        let sizes: Vec<_> = out.iter().map(|p| p.data.len()).collect();
        assert_eq!(sizes.len(), 4);
        assert!(sizes[..3].iter().all(|s| *s == sizes[0]) && sizes[3] <= sizes[0]);
    }

    #[test]
    fn delimiters_filler_and_junk_are_left_out() {
        let mut out = Vec::new();
        packetize_h264(&annex_b(&[vec![9, 0x10], nal(1, 10), vec![12, 0xff], vec![28, 1]]), 1200, &mut out);
        assert_eq!(depacketize(&out), [nal(1, 10)]);
        for junk in [&[][..], &[0, 0, 1], &[0, 0, 0], &[1, 2, 3], &[0, 0, 1, 0, 0, 1]] {
            out.clear();
            packetize_h264(junk, 1200, &mut out);
            assert!(out.is_empty());
        }
    }

    /// Undoes the packetization of H.265.
    fn depacketize_h265(payloads: &[Payload]) -> Vec<Vec<u8>> {
        let mut nals = Vec::new();
        for p in payloads.iter().map(|p| &p.data) {
            match h265::kind(p) {
                AP => {
                    let mut rest = &p[2..];
                    while !rest.is_empty() {
                        let len = u16::from_be_bytes([rest[0], rest[1]]) as usize;
                        nals.push(rest[2..2 + len].to_vec());
                        rest = &rest[2 + len..];
                    }
                }
                FU => {
                    if p[2] & FU_START != 0 {
                        nals.push(vec![(p[0] & H265_NOT_KIND) | ((p[2] & 0x3f) << 1), p[1]]);
                    }
                    nals.last_mut().expect("a start came first").extend_from_slice(&p[3..]);
                }
                _ => nals.push(p.to_vec()),
            }
        }
        nals
    }

    fn nal_h265(kind: u8, temporal: u8, len: usize) -> Vec<u8> {
        let rest = (2..len).map(|i| (i % 250 + 1) as u8);
        [kind << 1, temporal].into_iter().chain(rest).collect()
    }

    #[test]
    fn every_access_unit_of_h265_comes_back_whole() {
        for nals in [
            vec![nal_h265(32, 1, 24), nal_h265(33, 1, 40), nal_h265(34, 1, 8), nal_h265(19, 1, 30_000)],
            vec![nal_h265(1, 1, 3)],
            vec![nal_h265(1, 2, 1200)],
            vec![nal_h265(1, 3, 1201)],
            vec![
                nal_h265(0, 3, 500),
                nal_h265(1, 2, 500),
                nal_h265(1, 1, 500),
                nal_h265(1, 1, 5000),
                nal_h265(40, 1, 5),
            ],
        ] {
            let mut out = Vec::new();
            packetize_h265(&annex_b(&nals), 1200, &mut out);
            assert_eq!(depacketize_h265(&out), nals);
            assert!(out.iter().all(|p| p.data.len() <= 1200));
            let last = out.len() - 1;
            assert!(out.iter().enumerate().all(|(n, p)| p.marker == (n == last)));
        }
    }

    #[test]
    fn an_aggregation_packet_has_the_lowest_temporal_id_and_delimiters_are_left_out() {
        let mut out = Vec::new();
        let nals = [
            nal_h265(35, 1, 3),
            nal_h265(0, 3, 10),
            nal_h265(38, 1, 9),
            nal_h265(1, 2, 10),
            nal_h265(50, 1, 9),
            vec![2, 1],
        ];
        packetize_h265(&annex_b(&nals), 1200, &mut out);
        assert_eq!(depacketize_h265(&out), [nals[1].clone(), nals[3].clone()]);
        assert_eq!((out.len(), out[0].data[0], out[0].data[1]), (1, AP << 1, 2));
        for junk in [&[][..], &[0, 0, 1], &[0, 0, 1, 2], &[0, 0, 1, 2, 1], &[1, 2, 3]] {
            out.clear();
            packetize_h265(junk, 1200, &mut out);
            assert!(out.is_empty());
        }
    }

    #[test]
    fn vp8_frames_begin_once() {
        let mut out = Vec::new();
        packetize_vp8(&[7; 3000], 1200, &mut out);
        assert_eq!(out.iter().map(|p| p.data[0]).collect::<Vec<_>>(), [0x10, 0, 0]);
        assert_eq!(out.iter().map(|p| p.data.len() - 1).sum::<usize>(), 3000);
        assert!(out[2].marker && !out[1].marker);
    }
}
