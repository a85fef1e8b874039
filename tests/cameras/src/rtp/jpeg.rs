//! JPEG in packets (RFC 2435).

use super::{FITS, Stream};
use crate::media::Jpeg;

/// How quantization tables travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// With each picture, Q = 255.
    Each,
    /// With the first picture of ten, Q = 200: they stay the same.
    Sometimes,
    /// Not at all: Q is a quality.
    Quality(u8),
}

/// A picture.
pub fn picture(stream: &mut Stream, jpeg: &Jpeg, stamp: u32, tables: Tables, number: u64) -> Vec<Vec<u8>> {
    let (q, with_tables) = match tables {
        Tables::Each => (255, true),
        Tables::Sometimes => (200, number.is_multiple_of(10)),
        Tables::Quality(q) => (q, false),
    };
    let (mut out, mut at) = (Vec::new(), 0);
    // 8 bits hold up to 2,040 pixels; more is said by 0 (and elsewhere).
    let eighths = |n: u16| u8::try_from(n.div_ceil(8)).unwrap_or(0);
    while at < jpeg.scan.len() {
        let mut payload = (at as u32).to_be_bytes().to_vec();
        let kind = jpeg.kind | if jpeg.restart > 0 { 64 } else { 0 };
        payload.extend([kind, q, eighths(jpeg.size.0), eighths(jpeg.size.1)]);
        if jpeg.restart > 0 {
            payload.extend(jpeg.restart.to_be_bytes());
            // First and last, count 0x3fff: not aligned to packets.
            payload.extend([0xff, 0xff]);
        }
        if at == 0 && q >= 128 {
            payload.extend([0, 0, 0, if with_tables { 128 } else { 0 }]);
            if with_tables {
                payload.extend(jpeg.tables.concat());
            }
        }
        let part = (FITS - payload.len() + 4).min(jpeg.scan.len() - at);
        payload.extend_from_slice(&jpeg.scan[at..at + part]);
        at += part;
        out.push(stream.packet(&payload, stamp, at == jpeg.scan.len()));
    }
    out
}
