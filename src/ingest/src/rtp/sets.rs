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
                    let id = h265::vps_id(&nal).ok_or(Refused::Damaged)?;
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
    /// parameter sets that no picture carried yet. A sequence parameter set can change at a start only.
    pub fn before(&mut self, sequence: u8, is_start: bool, out: &mut Vec<Bytes>) {
        if is_start {
            let vps = match self.sps.get(&sequence).map(|set| &set.read) {
                Some(Sequence::H265(sps)) => Some(sps.vps),
                _ => None,
            };
            out.extend(vps.and_then(|id| self.vps.get(&id)).map(|set| set.nal.clone()));
            out.extend(self.sps.get(&sequence).map(|set| set.nal.clone()));
        }
        for set in self.pps.values_mut().filter(|set| set.read == sequence && (is_start || set.is_news)) {
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

    #[test]
    fn pictures_are_taken_by_the_size_that_is_coded() {
        let mut sets = Sets::new(PictureCodec::H264);
        // Of 16000x16000 pixels 640x352 are shown.
        let cropped = [0x67, 0x42, 0xc0, 0x3e, 0xd8, 0x44, 0, 0xfa, 0, 0x1f, 0x47, 0x80, 7, 0x80, 0x60, 1, 0xe9, 0x14];
        assert_eq!(sets.keep(cropped.to_vec()), Err(Refused::Size(16_000, 16_000)));
        // Of 640x368, 640x360.
        assert_eq!(sets.keep(vec![0x67, 0x42, 0xc0, 0x3e, 0xd9, 0x40, 0xa0, 0x2f, 0xf9, 0x50]), Ok(()));
    }
}
