//! JPEG pictures out of RTP packets (RFC 2435), each made a whole file: RTP leaves out the headers. Cameras with pictures wider than
//! 2,040 pixels say their size elsewhere: in the SDP, or as JPEG headers in the header extension (ONVIF streaming 5.1.3).

use super::jpeg_tables::{HUFFMAN, quantizers};
use super::sets::check_size;
use bytes::Bytes;
use perch_base::time::MonoTime;
use std::collections::BTreeMap;

/// Most bytes of a picture.
const MAX_BYTES: usize = 16 << 20;
/// The header extension that holds JPEG headers.
const ONVIF_HEADERS: u16 = 0xffd8;

/// A whole picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Jpeg {
    /// JFIF.
    pub data: Bytes,
    /// RTP time stamp.
    pub stamp: u32,
    /// When its first packet came.
    pub at: MonoTime,
    /// Width and height.
    pub size: (u16, u16),
}

/// The picture that is gathered.
#[derive(Debug)]
struct Gathering {
    file: Vec<u8>,
    header_bytes: usize,
    stamp: u32,
    at: MonoTime,
    size: (u16, u16),
}

/// Gathers the pictures of a track.
#[derive(Debug, Default)]
pub(crate) struct JpegPackets {
    /// Size by the SDP.
    sdp_size: Option<(u16, u16)>,
    /// Tables by quality, where they came with an earlier picture.
    tables: BTreeMap<u8, Bytes>,
    now: Option<Gathering>,
    usual_bytes: usize,
    too_large: Option<(u16, u16)>,
}

impl JpegPackets {
    /// `sdp_size`: what the SDP says of width and height.
    pub fn new(sdp_size: Option<(u16, u16)>) -> Self {
        Self { sdp_size, ..Self::default() }
    }

    /// Packets are missing: the picture under way is left out. True where there was one.
    pub fn lost(&mut self) -> bool {
        self.now.take().is_some()
    }

    /// A size that is not taken, since the last call.
    pub fn too_large(&mut self) -> Option<(u16, u16)> {
        self.too_large.take()
    }

    /// Takes a packet. `Err`: a picture was left out.
    pub fn push(
        &mut self,
        payload: &[u8],
        extension: Option<&(u16, Bytes)>,
        stamp: u32,
        marker: bool,
        at: MonoTime,
    ) -> Result<Option<Jpeg>, ()> {
        let [_, a, b, c, kind, quality, width, height] = *payload.get(..8).ok_or(())? else { return Err(()) };
        let offset = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let mut rest = payload.get(8..).ok_or(())?;
        let mut restart = None;
        if (64..128).contains(&kind) {
            let (head, behind) = rest.split_at_checked(4).ok_or(())?;
            restart = Some(u16::from_be_bytes([head[0], head[1]]));
            rest = behind;
        }
        let mut left_out = false;
        if offset == 0 {
            left_out = self.now.take().is_some();
            let tables;
            if quality >= 128 {
                let [_, precision, a, b] = *rest.get(..4).ok_or(())? else { return Err(()) };
                let (found, behind) =
                    rest.get(4..).and_then(|r| r.split_at_checked(usize::from(u16::from_be_bytes([a, b])))).ok_or(())?;
                rest = behind;
                // Quantizers of 16 bits are for pictures of 12 bits, which nothing here decodes.
                if precision & 3 != 0 {
                    return Err(());
                }
                if !found.is_empty() {
                    self.tables.insert(quality, Bytes::copy_from_slice(found.get(..found.len().min(256)).ok_or(())?));
                }
                tables = self.tables.get(&quality).cloned().ok_or(())?;
            } else {
                tables = Bytes::copy_from_slice(&quantizers(quality));
            }
            let size = match (width, height, self.sdp_size) {
                (0, _, Some(size)) | (_, 0, Some(size)) => size,
                _ => (u16::from(width) * 8, u16::from(height) * 8),
            };
            let own = extension.filter(|(profile, _)| *profile == ONVIF_HEADERS).map(|(_, segments)| &segments[..]);
            self.now = Some(self.begin(kind, size, restart, &tables, own, (stamp, at)).ok_or(())?);
        }
        let Some(now) = &mut self.now else { return Err(()) };
        if now.file.len() - now.header_bytes != offset || now.stamp != stamp || now.file.len() + rest.len() > MAX_BYTES
        {
            self.now = None;
            return Err(());
        }
        now.file.extend_from_slice(rest);
        if !marker {
            return if left_out { Err(()) } else { Ok(None) };
        }
        let Some(mut now) = self.now.take().filter(|now| now.file.len() > now.header_bytes) else { return Err(()) };
        if !now.file.ends_with(&[0xff, 0xd9]) {
            now.file.extend([0xff, 0xd9]);
        }
        self.usual_bytes = now.file.len();
        Ok(Some(Jpeg { data: now.file.into(), stamp: now.stamp, at: now.at, size: now.size }))
    }

    fn begin(
        &mut self,
        kind: u8,
        size: (u16, u16),
        restart: Option<u16>,
        tables: &[u8],
        own: Option<&[u8]>,
        (stamp, at): (u32, MonoTime),
    ) -> Option<Gathering> {
        let own = own.map(Segments::read).unwrap_or_default();
        let size = own.frame.map_or(size, |frame| frame.size);
        if size.0 == 0 || size.1 == 0 {
            return None;
        }
        if check_size(size.0, size.1).is_err() {
            self.too_large = Some(size);
            return None;
        }
        let mut file = Vec::with_capacity((self.usual_bytes + self.usual_bytes / 8).clamp(1024, MAX_BYTES));
        file.extend(*b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00");
        if let Some(quantizers) = own.quantizers {
            file.extend_from_slice(quantizers);
        } else {
            for (id, table) in tables.chunks_exact(64).take(2).enumerate() {
                file.extend([0xff, 0xdb, 0, 67, id as u8]);
                file.extend_from_slice(table);
            }
        }
        if let Some(interval) = restart.filter(|interval| *interval > 0) {
            file.extend([0xff, 0xdd, 0, 4]);
            file.extend(interval.to_be_bytes());
        }
        if let Some(frame) = own.frame {
            file.extend_from_slice(frame.segment);
        } else {
            // Types 0 and 1 of RFC 2435 4.1: 4:2:2 and 4:2:0; with one table only, it serves chroma too.
            let sampling = match kind & 0x3f {
                0 => 0x21,
                1 => 0x22,
                _ => return None,
            };
            let chroma_table = u8::from(tables.len() >= 128);
            file.extend([0xff, 0xc0, 0, 17, 8]);
            file.extend(size.1.to_be_bytes());
            file.extend(size.0.to_be_bytes());
            file.extend([3, 1, sampling, 0, 2, 0x11, chroma_table, 3, 0x11, chroma_table]);
        }
        if let Some(huffman) = own.huffman {
            file.extend_from_slice(huffman);
        } else {
            file.extend([0xff, 0xc4]);
            file.extend((HUFFMAN.len() as u16 + 2).to_be_bytes());
            file.extend(HUFFMAN);
        }
        if let Some(scan) = own.scan {
            file.extend_from_slice(scan);
        } else {
            file.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
        }
        Some(Gathering { header_bytes: file.len(), file, stamp, at, size })
    }
}

/// A frame's header with its size.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    segment: &'a [u8],
    size: (u16, u16),
}

/// The segments that a camera sends itself, each with its marker; the last of each kind.
#[derive(Clone, Copy, Debug, Default)]
struct Segments<'a> {
    quantizers: Option<&'a [u8]>,
    frame: Option<Frame<'a>>,
    huffman: Option<&'a [u8]>,
    scan: Option<&'a [u8]>,
}

impl<'a> Segments<'a> {
    fn read(mut rest: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut quantizers: Option<(usize, &'a [u8])> = None;
        loop {
            match *rest {
                [0xff, 0xd8, ..] => rest = &rest[2..],
                // Padding to a word.
                [0xff, 0xff, ..] => rest = &rest[1..],
                [0xff, kind, a, b, ..] => {
                    let bytes = 2 + usize::from(u16::from_be_bytes([a, b]));
                    let Some(segment) = rest.get(..bytes).filter(|segment| segment.len() >= 4) else { break };
                    match kind {
                        // Several that follow each other stay together.
                        0xdb => {
                            quantizers = match quantizers {
                                Some((len, from)) if from[len..].as_ptr() == rest.as_ptr() => Some((len + bytes, from)),
                                _ => Some((bytes, rest)),
                            }
                        }
                        0xc0 | 0xc1 => {
                            if let [_, _, _, _, _, h1, h2, w1, w2, ..] = *segment {
                                let size = (u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2]));
                                found.frame = Some(Frame { segment, size });
                            }
                        }
                        0xc4 => found.huffman = Some(segment),
                        0xda => found.scan = Some(segment),
                        _ => {}
                    }
                    rest = &rest[bytes..];
                }
                _ => break,
            }
        }
        found.quantizers = quantizers.and_then(|(len, from)| from.get(..len));
        found
    }
}

#[cfg(test)]
#[path = "jpeg_tests.rs"]
mod tests;
