//! The parameter sets of a stream, by number: what a camera said in its SDP or sends between pictures, kept until pictures that name
//! them are handed on.

use bytes::Bytes;
use perch_domain::bitstream::{MAX_SETS, MAX_SETS_BYTES};
use perch_domain::ingest::{PictureCodec, Shape};
use perch_domain::orientation::Orientation;
use perch_domain::{h264, h265};
use std::collections::BTreeMap;

/// Most bytes of one set.
const MAX_SET_BYTES: usize = 2048;
/// Longest side and most pixels of a picture that is taken: those of the largest levels (H.264 and H.265 6.2).
const MAX_SIDE: u16 = 16_888;
const MAX_PIXELS: u64 = 139_264 * 256;

/// Why a set is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It makes no sense.
    Damaged,
    /// Its pictures are this large.
    Size(u16, u16),
}

/// A sequence parameter set, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// Of H.264.
    H264(h264::Sps),
    /// Of H.265.
    H265(h265::Sps),
}

impl Sequence {
    /// The shape of its pictures, turned like this.
    pub fn shape(&self, orientation: Orientation) -> Shape {
        let (width, height, pixel, interlaced) = match self {
            Self::H264(s) => (s.width, s.height, s.pixel, !s.frames_only),
            Self::H265(s) => (s.width, s.height, s.pixel, s.fields),
        };
        let pixel = (u32::from(pixel.0), u32::from(pixel.1));
        Shape { width: width.into(), height: height.into(), pixel, interlaced, orientation }
    }

    /// How many pictures may come before one that is shown before them.
    pub fn reorder(&self) -> Option<u8> {
        match self {
            Self::H264(s) => s.reorder,
            Self::H265(s) => Some(s.reorder),
        }
    }
}

#[derive(Debug)]
struct Set<T> {
    nal: Bytes,
    read: T,
    /// Whether no picture carries it yet.
    is_news: bool,
    /// Which one it was when it was sent last.
    sent: u64,
}

/// The sets of one stream.
#[derive(Debug)]
pub(crate) struct Sets {
    codec: PictureCodec,
    vps: BTreeMap<u8, Set<()>>,
    sps: BTreeMap<u8, Set<Sequence>>,
    /// With the number of the sequence parameter set each names.
    pps: BTreeMap<u8, Set<u8>>,
    bytes: usize,
    sent: u64,
}

impl Sets {
    /// None yet.
    pub fn new(codec: PictureCodec) -> Self {
        Self { codec, vps: BTreeMap::new(), sps: BTreeMap::new(), pps: BTreeMap::new(), bytes: 0, sent: 0 }
    }

    /// Keeps a set in the place of the one with its number, and of those that were not sent for longest where there is no room.
    pub fn keep(&mut self, nal: Vec<u8>) -> Result<(), Refused> {
        self.sent += 1;
        self.put(nal)?;
        while self.vps.len() + self.sps.len() + self.pps.len() > MAX_SETS || self.bytes > MAX_SETS_BYTES {
            let gone = leave_out(&mut self.pps, self.sent)
                .or_else(|| leave_out(&mut self.sps, self.sent))
                .or_else(|| leave_out(&mut self.vps, self.sent));
            match gone {
                Some(bytes) => self.bytes -= bytes,
                None => break,
            }
        }
        Ok(())
    }

    fn put(&mut self, nal: Vec<u8>) -> Result<(), Refused> {
        let to = (&mut self.bytes, self.sent);
        if nal.len() > MAX_SET_BYTES {
            return Err(Refused::Damaged);
        }
        if self.codec == PictureCodec::H265 {
            match h265::kind(&nal) {
                h265::VPS => {
                    let id = h265::vps_id(&nal).filter(|_| h265::is_whole_vps(&nal)).ok_or(Refused::Damaged)?;
                    put(&mut self.vps, to, id, nal, ());
                }
                h265::SPS => {
                    let sps = h265::Sps::parse(&nal).ok_or(Refused::Damaged)?;
                    check_coded(sps.coded)?;
                    put(&mut self.sps, to, sps.id, nal, Sequence::H265(sps));
                }
                _ => {
                    let ids = h265::pps_ids(&nal).filter(|_| h265::is_whole_pps(&nal));
                    let (id, sps) = ids.ok_or(Refused::Damaged)?;
                    put(&mut self.pps, to, id, nal, sps);
                }
            }
        } else if h264::kind(&nal) == h264::SPS {
            let sps = h264::Sps::parse(&nal).ok_or(Refused::Damaged)?;
            check_coded(sps.coded)?;
            put(&mut self.sps, to, sps.id, nal, Sequence::H264(sps));
        } else {
            let ids = h264::pps_ids(&nal).filter(|_| h264::is_whole_pps(&nal));
            let (id, sps) = ids.ok_or(Refused::Damaged)?;
            put(&mut self.pps, to, id, nal, sps);
        }
        Ok(())
    }

    /// The sequence parameter set behind a picture parameter set, and its number.
    pub fn sequence(&self, pps: u8) -> Option<(u8, &Sequence)> {
        let id = self.pps.get(&pps)?.read;
        self.sps.get(&id).map(|set| (id, &set.read))
    }

    /// The sets that a picture of this sequence carries before its slices: where decoding starts all of them, else those picture
    /// parameter sets that no picture carried yet. A sequence parameter set can change at a start only. Those of other sequences of the
    /// same pictures are with it in H.265: where a camera goes from one to the other and back, they stand in one file's header.
    pub fn before(&mut self, sequence: u8, is_start: bool, out: &mut Vec<Bytes>) {
        let alike: Vec<u8> = match (is_start, self.sps.get(&sequence).map(|set| set.read)) {
            (true, Some(Sequence::H265(own))) => {
                let is_alike = |set: &Set<Sequence>| match set.read {
                    Sequence::H265(other) => h265::Sps { id: own.id, vps: own.vps, ..other } == own,
                    Sequence::H264(_) => false,
                };
                self.sps.iter().filter(|(_, set)| is_alike(set)).map(|(id, _)| *id).collect()
            }
            _ => vec![sequence],
        };
        if is_start {
            let sequences: Vec<&Set<Sequence>> = alike.iter().filter_map(|id| self.sps.get(id)).collect();
            let mut vps: Vec<u8> = Vec::new();
            for set in &sequences {
                if let Sequence::H265(sps) = set.read
                    && !vps.contains(&sps.vps)
                {
                    vps.push(sps.vps);
                }
            }
            out.extend(vps.iter().filter_map(|id| self.vps.get(id)).map(|set| set.nal.clone()));
            out.extend(sequences.iter().map(|set| set.nal.clone()));
        }
        for set in self.pps.values_mut().filter(|set| alike.contains(&set.read) && (is_start || set.is_news)) {
            out.push(set.nal.clone());
            set.is_news = false;
        }
    }
}

/// Whether pictures that are coded with this size are taken, however little of them is shown: a decoder makes room for all.
fn check_coded((width, height): (u32, u32)) -> Result<(), Refused> {
    let side = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    check_size(side(width), side(height))
}

/// Whether pictures of this size are taken.
pub(crate) fn check_size(width: u16, height: u16) -> Result<(), Refused> {
    let pixels = u64::from(width) * u64::from(height);
    let fits = width <= MAX_SIDE && height <= MAX_SIDE && pixels <= MAX_PIXELS;
    if fits { Ok(()) } else { Err(Refused::Size(width, height)) }
}

fn put<T>(sets: &mut BTreeMap<u8, Set<T>>, (bytes, sent): (&mut usize, u64), id: u8, nal: Vec<u8>, read: T) {
    match sets.get_mut(&id) {
        Some(same) if same.nal == nal => same.sent = sent,
        before => {
            *bytes = *bytes - before.map_or(0, |set| set.nal.len()) + nal.len();
            sets.insert(id, Set { nal: nal.into(), read, is_news: true, sent });
        }
    }
}

/// Leaves out the set that was sent first, but for the one that was sent now; says its bytes.
fn leave_out<T>(sets: &mut BTreeMap<u8, Set<T>>, now: u64) -> Option<usize> {
    let (id, _) = sets.iter().map(|(id, set)| (*id, set.sent)).filter(|(_, sent)| *sent < now).min_by_key(|s| s.1)?;
    sets.remove(&id).map(|set| set.nal.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::fixtures::Writer;

    #[test]
    fn pictures_are_taken_by_the_size_that_is_coded() {
        let mut sets = Sets::new(PictureCodec::H264);
        // Of 16000x16000 pixels 640x352 are shown.
        let cropped = [0x67, 0x42, 0xc0, 0x3e, 0xd8, 0x44, 0, 0xfa, 0, 0x1f, 0x47, 0x80, 7, 0x80, 0x60, 1, 0xe9, 0x14];
        assert_eq!(sets.keep(cropped.to_vec()), Err(Refused::Size(16_000, 16_000)));
        // Of 640x368, 640x360.
        assert_eq!(sets.keep(vec![0x67, 0x42, 0xc0, 0x3e, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x50]), Ok(()));
    }

    /// x265, main, 320x192, without its number, which stands behind the profile: `1` is 0.
    const SPS: &[u8] = b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x08\x0c\x16\x59\x59\xa4\x93\x95\xe0\x2d\x01\
          \x00\x00\x03\x00\x01\x00\x00\x03\x00\x19\x08";

    /// The same with the number 1: `010` in the place of `1`.
    fn second_sps() -> Vec<u8> {
        let mut zeros = 0;
        // Without what escapes zeros, which the writer does anew.
        let plain = SPS[2..].iter().map(|byte| u32::from(*byte)).filter(|byte| {
            let is_escape = zeros >= 2 && *byte == 3;
            zeros = if *byte == 0 { zeros + 1 } else { 0 };
            !is_escape
        });
        let plain: Vec<u32> = plain.collect();
        // It follows profile and level; the last byte's second half is the stop bit's.
        let last = plain.len() - 1;
        let sps = plain.iter().enumerate().fold(Writer::default(), |sps, (n, byte)| match n {
            13 => sps.ue(1).u(7, byte & 0x7f),
            _ if n == last => sps.u(4, byte >> 4),
            _ => sps.u(8, *byte),
        });
        sps.nal(&SPS[..2])
    }

    /// One that changes nothing, as far as each goes.
    fn pps(id: u32, sps: u32) -> Vec<u8> {
        let sizes = Writer::default().ue(id).ue(sps).u(7, 0).ue(0).ue(0);
        sizes.ue(0).u(3, 0).ue(0).ue(0).u(7, 0).nal(&[0x44, 1])
    }

    #[test]
    fn sequences_of_the_same_pictures_are_carried_together() {
        let mut sets = Sets::new(PictureCodec::H265);
        for set in [[&[0x40, 1, 0x0c, 1][..], &[0xff; 14]].concat(), SPS.to_vec(), second_sps(), pps(0, 0), pps(1, 1)] {
            sets.keep(set).expect("it makes sense");
        }
        let carried = |sets: &mut Sets, sequence| {
            let mut out = Vec::new();
            sets.before(sequence, true, &mut out);
            out
        };
        let (one, other) = (carried(&mut sets, 0), carried(&mut sets, 1));
        assert_eq!(one.len(), 5, "{one:?}");
        assert_eq!(one, other, "whichever begins");
    }
}
