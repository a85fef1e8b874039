//! Sound in packets: as it is (RFC 3551, RFC 7587), AAC (RFC 3640) and LATM (RFC 6416).

use super::{FITS, Stream};
use crate::bits::Bits;
use crate::feed::Shot;

/// One frame a packet, as it is; the marker begins the talk.
pub fn plain(stream: &mut Stream, shot: &Shot, n: u64) -> Vec<Vec<u8>> {
    vec![stream.packet(&shot.unit[0], shot.stamp, n == 0)]
}

/// AAC-hbr: 13 bits of size, 3 of index, before the access unit.
pub fn aac_hbr(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    vec![aac(stream, &[&shot.unit[0]], shot.stamp, 3)]
}

/// AAC-lbr: 6 bits of size, 2 of index.
pub fn aac_lbr(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    let frame = &shot.unit[0][..shot.unit[0].len().min(63)];
    let payload = [&[0, 8, (frame.len() as u8) << 2], frame].concat();
    vec![stream.packet(&payload, shot.stamp, true)]
}

/// AAC-hbr of several access units in one packet; a unit's frames are its parts.
pub fn aac_several(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    let frames: Vec<&[u8]> = shot.unit.iter().map(Vec::as_slice).collect();
    vec![aac(stream, &frames, shot.stamp, 3)]
}

/// AAC-hbr of one access unit in pieces: each packet has the whole size in its header, the last the marker.
pub fn aac_pieces(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    let frame = &shot.unit[0];
    let piece = frame.len().div_ceil(3).clamp(1, FITS);
    let header = [&[0, 16][..], &((frame.len() as u16) << 3).to_be_bytes()].concat();
    let count = frame.len().div_ceil(piece);
    let one = |(i, part): (usize, &[u8])| stream.packet(&[&header, part].concat(), shot.stamp, i + 1 == count);
    frame.chunks(piece).enumerate().map(one).collect()
}

fn aac(stream: &mut Stream, frames: &[&[u8]], stamp: u32, index_bits: u32) -> Vec<u8> {
    let mut payload = (frames.len() as u16 * 16).to_be_bytes().to_vec();
    for frame in frames {
        payload.extend(((frame.len() as u16) << index_bits).to_be_bytes());
    }
    payload.extend(frames.concat());
    stream.packet(&payload, stamp, true)
}

/// LATM without its configuration (`cpresent=0`): the length in bytes of 255 and a rest, then the access unit.
pub fn latm(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    let frame = &shot.unit[0];
    let mut payload = vec![255; frame.len() / 255];
    payload.push((frame.len() % 255) as u8);
    payload.extend_from_slice(frame);
    vec![stream.packet(&payload, shot.stamp, true)]
}

/// The same with its configuration in each packet (`cpresent=1`): AAC-LC of 16 kHz, one channel.
pub fn latm_in_band(stream: &mut Stream, shot: &Shot, _: u64) -> Vec<Vec<u8>> {
    let frame = &shot.unit[0];
    let mut bits = Bits::default();
    // useSameStreamMux 0.
    bits.put(1, 0);
    mux(&mut bits, &[0x14, 0x08]);
    for _ in 0..frame.len() / 255 {
        bits.put(8, 255);
    }
    bits.put(8, frame.len() as u64 % 255);
    for byte in frame {
        bits.put(8, u64::from(*byte));
    }
    bits.align();
    vec![stream.packet(&bits.bytes(), shot.stamp, true)]
}

/// StreamMuxConfig (ISO 14496-3 1.7.3) of one AAC-LC programme, for `config=`.
pub fn latm_config(config: &[u8]) -> String {
    let mut bits = Bits::default();
    mux(&mut bits, config);
    bits.align();
    bits.bytes().iter().map(|b| format!("{b:02X}")).collect()
}

fn mux(bits: &mut Bits, config: &[u8]) {
    // audioMuxVersion 0, allStreamsSameTimeFraming 1, one frame, one programme, one layer.
    bits.put(1, 0).put(1, 1).put(6, 0).put(4, 0).put(3, 0);
    for byte in config {
        bits.put(8, u64::from(*byte));
    }
    // frameLengthType 0, buffer fullness 0xff, no other data, no CRC.
    bits.put(3, 0).put(8, 0xff).put(1, 0).put(1, 0);
}
