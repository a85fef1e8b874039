//! Reads recordings: header, fragments, samples. What it reads may be cut off, garbage or malicious: every size is checked
//! against what is there, nothing is allocated by a number from the file alone, nothing is searched or believed beyond what this box
//! can have written, and nothing panics.

use super::format::TrackFormat;
use super::write::MAX_PICTURES_BYTES;
use super::{AUDIO, AUDIO_HZ, VIDEO, VIDEO_HZ, micros};
use bytes::Bytes;
use perch_base::read_at::ReadAt;
use perch_domain::archive::Fragment;
use perch_domain::media::VideoCodec;
use perch_domain::orientation::Orientation;
use perch_domain::recording::LONGEST_FILE;
use std::fs::File;
use std::io;

/// Why a file is not a recording of ours, in words.
pub(crate) type Refused = String;

const MAX_HEADER_BYTES: u64 = 64 << 10;
const MAX_MOOF_BYTES: u64 = 4 << 20;
const MAX_SAMPLES: u32 = 200_000;
/// Boxes of one file: hours of parts of a second have a tenth of this.
const MAX_BOXES: usize = 200_000;
/// Heads of one file's fragments: those of an hour have a tenth of this.
const MAX_HEADS_BYTES: u64 = 64 << 20;
/// What is written as one fragment: its pictures, and some more for its head, its sound and the lengths before its units.
const MAX_FRAGMENT_BYTES: u64 = MAX_PICTURES_BYTES as u64 + (64 << 20);
/// Where a file's last sample may end, seconds from its start: the seconds before an event and a last GOP come on top of what a file
/// may be set to.
const MAX_END_S: i64 = 2 * LONGEST_FILE.as_secs() as i64;

pub(super) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(data.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// One box inside a slice: its kind, where its body begins in the slice, and the body.
struct Child<'a> {
    kind: [u8; 4],
    at: usize,
    body: &'a [u8],
}

/// The boxes of a slice that begins at `at` of some outer slice; `None` in place of a box that does not fit.
fn children(data: &[u8], at: usize) -> impl Iterator<Item = Option<Child<'_>>> {
    let mut i = 0;
    std::iter::from_fn(move || {
        if i >= data.len() {
            return None;
        }
        let one = || {
            let bytes = u32_at(data, i)? as usize;
            let kind = data.get(i + 4..i + 8)?.try_into().ok()?;
            let body = data.get(i + 8..i.checked_add(bytes)?)?;
            Some((bytes, Child { kind, at: at + i + 8, body }))
        };
        match one() {
            Some((bytes, child)) => {
                i += bytes;
                Some(Some(child))
            }
            None => {
                i = data.len();
                Some(None)
            }
        }
    })
}

fn child<'a>(data: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    children(data, 0).map_while(|c| c).find(|c| c.kind == *kind).map(|c| c.body)
}

/// What a recording's header says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Init {
    /// The video's codec and parameter sets, and whether there is sound.
    pub(crate) format: TrackFormat,
    /// How much later on the video's time line than what is decoded what is shown begins, ticks of its track.
    pub(crate) delay_ticks: u64,
    /// Channels of the sound; 0 when there is none.
    pub(crate) channels: u8,
    /// Of `ftyp` + `moov`.
    pub(crate) size_bytes: u64,
}

/// Reads the body of a `moov`; `size_bytes` is the header's.
fn parse_moov(moov: &[u8], size_bytes: u64) -> Result<Init, Refused> {
    let (mut video, mut channels, mut delay_ticks) = (None, 0, 0);
    for trak in children(moov, 0) {
        let trak = trak.ok_or("its header is damaged")?;
        if trak.kind != *b"trak" {
            continue;
        }
        let track = || {
            let tkhd = child(trak.body, b"tkhd")?;
            let id = u32_at(tkhd, if tkhd.first()? == &1 { 20 } else { 12 })?;
            let mdia = child(trak.body, b"mdia")?;
            let mdhd = child(mdia, b"mdhd")?;
            let hz = u32_at(mdhd, if mdhd.first()? == &1 { 20 } else { 12 })?;
            let stsd = child(child(child(mdia, b"minf")?, b"stbl")?, b"stsd")?;
            let entry = children(stsd.get(8..)?, 0).next()??;
            Some((id, i64::from(hz), entry.kind, entry.body, parse_turn(tkhd)?))
        };
        match track().ok_or("a track's header is damaged")? {
            (VIDEO, VIDEO_HZ, kind, body, orientation) if matches!(&kind, b"avc1" | b"hvc1") && video.is_none() => {
                let (codec, name) =
                    if kind == *b"hvc1" { (VideoCodec::H265, b"hvcC") } else { (VideoCodec::H264, b"avcC") };
                let config = body.get(78..).and_then(|b| child(b, name)).ok_or("the video's header is damaged")?;
                let sets = if codec == VideoCodec::H265 { parse_hvcc(config) } else { parse_avcc(config) };
                let format = sets.and_then(|sets| TrackFormat::from_header(codec, sets, orientation));
                video = Some(format.ok_or("the video's parameter sets are damaged")?);
                delay_ticks = parse_delay(trak.body).ok_or("the video's edit list is damaged")?;
            }
            (AUDIO, AUDIO_HZ, kind, body, _) if kind == *b"Opus" && channels == 0 => {
                let dops = body.get(28..).and_then(|b| child(b, b"dOps")).ok_or("the sound's header is damaged")?;
                channels =
                    dops.get(1).copied().filter(|n| (1..=2).contains(n)).ok_or("the sound has too many channels")?;
            }
            _ => return Err("it has a track that this box does not record".into()),
        }
    }
    let format = TrackFormat { has_audio: channels > 0, ..video.ok_or("it has no video")? };
    Ok(Init { format, delay_ticks, channels, size_bytes })
}

/// How a track's header turns its pictures; a matrix that is none of ours turns nothing.
fn parse_turn(tkhd: &[u8]) -> Option<Orientation> {
    let matrix = tkhd.get(if tkhd.first()? == &1 { 52 } else { 40 }..)?;
    let value = |n: usize| u32_at(matrix, 4 * n).map(|value| value as i32);
    let [a, b, c, d] = [value(0)?, value(1)?, value(3)?, value(4)?];
    Some(Orientation::of_matrix([[a, b], [c, d]]).unwrap_or_default())
}

/// A number of 16 bits and the bytes it counts, from `at` on.
fn sized(data: &[u8], at: usize) -> Option<&[u8]> {
    let bytes = usize::from(u16::from_be_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?));
    data.get(at + 2..at + 2 + bytes)
}

fn parse_avcc(avcc: &[u8]) -> Option<Vec<Bytes>> {
    // Four-byte lengths: what this box writes.
    if avcc.first()? != &1 || avcc.get(4)? & 3 != 3 {
        return None;
    }
    let (mut sets, mut at) = (Vec::new(), 5);
    for count_bits in [0x1f, 0xff] {
        let count = avcc.get(at)? & count_bits;
        at += 1;
        for _ in 0..count {
            let set = sized(avcc, at)?;
            at += 2 + set.len();
            sets.push(Bytes::copy_from_slice(set));
        }
    }
    Some(sets)
}

fn parse_hvcc(hvcc: &[u8]) -> Option<Vec<Bytes>> {
    if hvcc.first()? != &1 || hvcc.get(21)? & 3 != 3 {
        return None;
    }
    let (mut sets, mut at) = (Vec::new(), 23);
    for _ in 0..*hvcc.get(22)? {
        let count = u16::from_be_bytes(hvcc.get(at + 1..at + 3)?.try_into().ok()?);
        at += 3;
        for _ in 0..count {
            let set = sized(hvcc, at)?;
            at += 2 + set.len();
            sets.push(Bytes::copy_from_slice(set));
        }
    }
    Some(sets)
}

/// The start of what a track shows on its own time line: 0 without an edit list. One that says more than ours do is refused.
fn parse_delay(trak: &[u8]) -> Option<u64> {
    let Some(edts) = child(trak, b"edts") else { return Some(0) };
    let elst = child(edts, b"elst")?;
    let is_ours = elst.len() == 20 && u32_at(elst, 0)? == 0 && u32_at(elst, 4)? == 1;
    is_ours
        .then(|| u32_at(elst, 12))
        .flatten()
        .map(u64::from)
        .filter(|ticks| *ticks <= MAX_END_S as u64 * VIDEO_HZ as u64)
}

/// One track's part of a fragment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// The track.
    pub(crate) track: u32,
    /// Decode time of its first sample, ticks of the track.
    pub(crate) begin_ticks: u64,
    /// Where that time stands in the `moof` box (8 bytes).
    pub(crate) begin_at: usize,
    /// Sum of its samples' lengths, ticks of the track.
    pub(crate) duration_ticks: u64,
    /// Where its samples begin, bytes from the start of the `moof` box.
    pub(crate) offset_bytes: u64,
    /// Bytes of its samples.
    pub(crate) samples_bytes: u64,
    /// Bytes of each sample.
    pub(crate) sizes_bytes: Vec<u32>,
    /// Where `offset_bytes` stands in the `moof` box (4 bytes).
    pub(crate) offset_at: usize,
    /// Where the first of `sizes_bytes` stands in the `moof` box (4 bytes).
    pub(crate) first_size_at: usize,
    /// Whether decoding can start at its first sample.
    pub(crate) starts: bool,
}

/// A parsed `moof`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moof {
    /// Where the sequence number stands in the box (4 bytes).
    pub(crate) sequence_at: usize,
    /// Video first, then sound if there is any.
    pub(crate) runs: Vec<Run>,
}

impl Moof {
    /// Parses a whole `moof` box, header included. `None` when it is not one that this box writes.
    pub(crate) fn parse(moof: &[u8]) -> Option<Self> {
        if u32_at(moof, 0)? as usize != moof.len() || moof.get(4..8)? != b"moof" {
            return None;
        }
        let (mut sequence_at, mut runs) = (None, Vec::with_capacity(2));
        for part in children(&moof[8..], 8) {
            let part = part?;
            match &part.kind {
                b"mfhd" if part.body.len() == 8 => sequence_at = Some(part.at + 4),
                b"traf" if runs.len() < 2 => runs.push(parse_traf(part.body, part.at)?),
                _ => return None,
            }
        }
        let known = match &runs[..] {
            [v] => v.track == VIDEO,
            [v, a] => v.track == VIDEO && a.track == AUDIO,
            _ => false,
        };
        known.then_some(Self { sequence_at: sequence_at?, runs })
    }

    /// Whether all samples end where those of a file of this box do: nobody is to believe a file that lasts for years.
    fn ends_in_time(&self) -> bool {
        self.runs.iter().all(|run| {
            let hz = if run.track == VIDEO { VIDEO_HZ } else { AUDIO_HZ };
            run.begin_ticks.saturating_add(run.duration_ticks) <= (MAX_END_S * hz) as u64
        })
    }
}

fn parse_traf(traf: &[u8], at: usize) -> Option<Run> {
    let (mut track, mut begin, mut samples, mut default_flags) = (None, None, None, None);
    for part in children(traf, at) {
        let part = part?;
        let flags = u32_at(part.body, 0)?;
        match &part.kind {
            b"tfhd" if flags == 0x02_0020 => (track, default_flags) = (u32_at(part.body, 4), u32_at(part.body, 8)),
            b"tfdt" if flags >> 24 == 1 => begin = Some((u64_at(part.body, 4)?, part.at + 4)),
            b"trun" if samples.is_none() => samples = Some((parse_trun(part.body, flags)?, part.at)),
            _ => return None,
        }
    }
    let ((begin_ticks, begin_at), (samples, at)) = (begin?, samples?);
    let Samples { offset_bytes, sizes_bytes, duration_ticks, entries_at, first_flags } = samples;
    let starts = first_flags.or(default_flags)? & NOT_SYNC == 0;
    let samples_bytes = sizes_bytes.iter().map(|s| u64::from(*s)).sum();
    let (offset_at, first_size_at) = (at + 8, at + entries_at + 4);
    let track = track?;
    (begin_ticks <= 1 << 52).then_some(Run {
        track,
        begin_ticks,
        begin_at,
        duration_ticks,
        offset_bytes,
        samples_bytes,
        sizes_bytes,
        offset_at,
        first_size_at,
        starts,
    })
}

/// Says of a sample that decoding cannot start at it (ISO/IEC 14496-12, 8.8.3.1).
pub(super) const NOT_SYNC: u32 = 0x1_0000;

/// A parsed `trun`; its entries (length, size, ...) begin at `entries_at` of its body.
struct Samples {
    offset_bytes: u64,
    sizes_bytes: Vec<u32>,
    duration_ticks: u64,
    entries_at: usize,
    /// What is said of the first sample.
    first_flags: Option<u32>,
}

fn parse_trun(trun: &[u8], flags: u32) -> Option<Samples> {
    // Offset, length and size always; flags of the first sample or of each, and when it is shown, for video.
    let (offset, first_flags, each_flags, shown) = (0x001, 0x004, 0x400, 0x800);
    let (has_first, has_each) = (flags & first_flags != 0, flags & each_flags != 0);
    if flags & 0x00ff_ffff & !(first_flags | each_flags | shown) != offset | 0x100 | 0x200 || (has_first && has_each) {
        return None;
    }
    let count = u32_at(trun, 4).filter(|n| (1..=MAX_SAMPLES).contains(n))?;
    let offset_bytes = u64::try_from(u32_at(trun, 8)? as i32).ok()?;
    let entries_at = if has_first { 16 } else { 12 };
    let entry_bytes = 8 + 4 * usize::from(has_each) + 4 * usize::from(flags & shown != 0);
    let entries = trun.get(entries_at..)?;
    if entries.len() != count as usize * entry_bytes {
        return None;
    }
    let first_flags = match (has_first, has_each) {
        (true, _) => u32_at(trun, 12),
        (_, true) => u32_at(entries, 8),
        _ => None,
    };
    let mut duration_ticks = 0u64;
    let sizes_bytes = entries.chunks_exact(entry_bytes).map(|e| {
        duration_ticks += u64::from(u32_at(e, 0)?);
        u32_at(e, 4)
    });
    let sizes_bytes = sizes_bytes.collect::<Option<Vec<u32>>>()?;
    Some(Samples { offset_bytes, sizes_bytes, duration_ticks, entries_at, first_flags })
}

/// What is whole of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scan {
    /// Its header.
    pub(crate) init: Init,
    /// NTP time of its time 0, when it says so.
    pub(crate) ntp: Option<u64>,
    /// Its whole fragments.
    pub(crate) fragments: Vec<Fragment>,
    /// Up to the end of the last whole fragment.
    pub(crate) size_bytes: u64,
}

/// A top-level box: kind and whole length, bytes. `None` when it does not fit into the file.
fn top(file: &dyn ReadAt, at: u64, file_bytes: u64) -> io::Result<Option<([u8; 4], u64)>> {
    let mut head = [0; 8];
    if at.checked_add(8).is_none_or(|end| end > file_bytes) {
        return Ok(None);
    }
    file.read_exact_at(&mut head, at)?;
    let (length, kind) = head.split_at(4);
    let bytes = u64::from(u32::from_be_bytes(length.try_into().expect("split at four")));
    let fits = bytes >= 8 && at + bytes <= file_bytes;
    Ok(fits.then(|| (kind.try_into().expect("four of eight"), bytes)))
}

/// The whole length of a top-level box, bytes, when it is of this kind.
fn top_of(kind: &[u8; 4], file: &dyn ReadAt, at: u64, file_bytes: u64) -> io::Result<Option<u64>> {
    Ok(top(file, at, file_bytes)?.filter(|(found, _)| found == kind).map(|(_, bytes)| bytes))
}

fn body(file: &dyn ReadAt, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut data = vec![0; bytes as usize];
    file.read_exact_at(&mut data, at)?;
    Ok(data)
}

/// Walks a file box by box and tells what is whole of it, as far as a file of this box can go. Errors of the disk are `Err`; a file
/// that is not a recording is `Ok(Err(why))`.
pub(crate) fn scan(file: &File) -> io::Result<Result<Scan, Refused>> {
    let file_bytes = file.metadata()?.len();
    let init = match read_init(file, file_bytes)? {
        Ok(init) => init,
        Err(why) => return Ok(Err(why)),
    };
    let (mut at, mut ntp) = (init.size_bytes, None);
    let mut scan = Scan { init, ntp, fragments: Vec::new(), size_bytes: at };
    let (mut boxes, mut heads_bytes) = (0, 0);
    while let Some((kind, bytes)) = top(file, at, file_bytes)?.filter(|_| boxes < MAX_BOXES) {
        boxes += 1;
        match &kind {
            b"prft" if bytes <= 64 => {
                if let (None, true) = (ntp, scan.fragments.is_empty()) {
                    ntp = u64_at(&body(file, at, bytes)?, 16);
                }
                at += bytes;
            }
            b"moof" if heads_bytes + bytes <= MAX_HEADS_BYTES => {
                heads_bytes += bytes;
                let found = fragment_at(file, at, file_bytes)?.filter(|(_, moof)| moof.ends_in_time());
                // A file begins with what decoding can start at.
                let found = found.filter(|(fragment, _)| fragment.starts || !scan.fragments.is_empty());
                let Some((fragment, _)) = found else { break };
                at += fragment.size_bytes;
                scan.fragments.push(fragment);
                scan.size_bytes = at;
            }
            _ => break,
        }
    }
    scan.ntp = ntp;
    Ok(Ok(scan))
}

/// Whether anything behind `at` is a whole fragment, whatever it claims. A crash leaves at most one that is not; what goes on behind it
/// is damaged in its middle. So is what is longer than that one can be: it is not looked through.
pub(crate) fn goes_on(file: &File, mut at: u64) -> io::Result<bool> {
    const PIECE_BYTES: usize = 64 << 10;
    let file_bytes = file.metadata()?.len();
    if file_bytes.saturating_sub(at) > MAX_FRAGMENT_BYTES {
        return Ok(true);
    }
    let mut buffer = vec![0; PIECE_BYTES];
    // A picture holds the word hardly ever. A file made of it must not hold up a start: it counts as going on.
    let mut tries = 0;
    while file_bytes.saturating_sub(at) >= 8 {
        let n = PIECE_BYTES.min(usize::try_from(file_bytes - at).unwrap_or(PIECE_BYTES));
        file.read_exact_at(&mut buffer[..n], at)?;
        for i in (0..n - 7).filter(|i| buffer[i + 4..i + 8] == *b"moof") {
            tries += 1;
            if tries > 100 || fragment_at(file, at + i as u64, file_bytes)?.is_some() {
                return Ok(true);
            }
        }
        // The last seven bytes may begin a box.
        at += n as u64 - 7;
    }
    Ok(false)
}

/// The whole fragment at `at`, if there is one, and its head.
fn fragment_at(file: &File, at: u64, file_bytes: u64) -> io::Result<Option<(Fragment, Moof)>> {
    let Some(head_bytes) = top_of(b"moof", file, at, file_bytes)? else { return Ok(None) };
    let Some(data_bytes) = top_of(b"mdat", file, at + head_bytes, file_bytes)? else { return Ok(None) };
    if head_bytes > MAX_MOOF_BYTES || head_bytes + data_bytes > MAX_FRAGMENT_BYTES {
        return Ok(None);
    }
    let Some(moof) = Moof::parse(&body(file, at, head_bytes)?) else { return Ok(None) };
    Ok(whole(file, at, head_bytes, data_bytes, &moof)?.map(|fragment| (fragment, moof)))
}

/// The fragment at `at`, when its samples fill its `mdat` and the first one begins with a sensible length: after a power cut a
/// file may be as long as it should be and hold zeros.
fn whole(file: &File, at: u64, head_bytes: u64, data_bytes: u64, moof: &Moof) -> io::Result<Option<Fragment>> {
    let mut end = head_bytes + 8;
    for run in &moof.runs {
        if run.offset_bytes != end {
            return Ok(None);
        }
        end += run.samples_bytes;
    }
    if end != head_bytes + data_bytes {
        return Ok(None);
    }
    let Some(video) = moof.runs.first() else { return Ok(None) };
    let mut prefix = [0; 4];
    file.read_exact_at(&mut prefix, at + video.offset_bytes)?;
    let nal_bytes = u64::from(u32::from_be_bytes(prefix));
    if nal_bytes == 0 || nal_bytes + 4 > u64::from(video.sizes_bytes[0]) {
        return Ok(None);
    }
    Ok(Some(Fragment {
        offset_bytes: at,
        size_bytes: head_bytes + data_bytes,
        start_us: micros(video.begin_ticks as i64, VIDEO_HZ),
        duration_us: micros(video.duration_ticks.min(1 << 52) as i64, VIDEO_HZ).max(1),
        starts: video.starts,
    }))
}

fn read_init(file: &dyn ReadAt, file_bytes: u64) -> io::Result<Result<Init, Refused>> {
    let Some(ftyp_bytes) = top_of(b"ftyp", file, 0, file_bytes)? else {
        return Ok(Err("it does not begin like an MP4 file".into()));
    };
    if ftyp_bytes > MAX_HEADER_BYTES {
        return Ok(Err("its header is too large".into()));
    }
    let Some(moov_bytes) = top_of(b"moov", file, ftyp_bytes, file_bytes)? else {
        return Ok(Err("its header is missing".into()));
    };
    if moov_bytes > MAX_HEADER_BYTES {
        return Ok(Err("its header is too large".into()));
    }
    let body = body(file, ftyp_bytes, moov_bytes)?;
    Ok(parse_moov(&body[8..], ftyp_bytes + moov_bytes))
}

/// Reads the header alone of a file of so many bytes.
pub(crate) fn init_of(file: &dyn ReadAt, file_bytes: u64) -> io::Result<Result<Init, Refused>> {
    read_init(file, file_bytes)
}

/// The head of a whole fragment in memory, parsed and as bytes.
pub(crate) fn moof_in(fragment: &[u8]) -> Option<(Moof, &[u8])> {
    let head = fragment.get(..u32_at(fragment, 0)? as usize)?;
    Some((Moof::parse(head)?, head))
}

/// Reads one fragment's `moof` (its parsed form and its bytes). `None` when the file no longer holds one there.
pub(crate) fn moof_at(file: &dyn ReadAt, fragment: &Fragment) -> io::Result<Option<(Moof, Vec<u8>)>> {
    let end = fragment.offset_bytes.saturating_add(fragment.size_bytes);
    let head_bytes = top_of(b"moof", file, fragment.offset_bytes, end)?;
    let Some(head_bytes) = head_bytes.filter(|bytes| *bytes <= MAX_MOOF_BYTES) else { return Ok(None) };
    let bytes = body(file, fragment.offset_bytes, head_bytes)?;
    Ok(Moof::parse(&bytes).map(|moof| (moof, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::write;
    use std::io::Write;

    /// x264, baseline, 320x240, and x265, main, 366x206 in pixels of 40:33.
    const H264: [&[u8]; 3] = [
        b"\x67\x42\xc0\x0d\xda\x05\x07\xe8\x40\x00\x00\x03\x00\x40\x00\x00\x0c\x83\xc5\x0a\xa8",
        b"\x68\xce\x3c\x80",
        b"\x68\x50\x80",
    ];
    const H265: [&[u8]; 3] = [
        b"\x40\x01\x0c\x01\xff\xff\x01\x60\x00\x00\x03\x00\x90",
        b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0b\x88\x0d\x1d\x56\x59\x59\x12\x93\x0b\xc1\x5a\x02\
          \x00\x00\x03\x00\x02\x00\x00\x03\x00\x32\x10",
        b"\x44\x01\xc1\x72\xb6\x62\x40",
    ];

    fn read(header: &[u8]) -> Result<Init, Refused> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(header).expect("written");
        init_of(&file, header.len() as u64).expect("read")
    }

    #[test]
    fn a_header_reads_back_and_a_damaged_one_never_panics() {
        for (codec, sets, delay_ticks, channels, orientation) in [
            (VideoCodec::H264, H264, 0, 1, 0),
            (VideoCodec::H265, H265, 7_200, 2, 3),
            (VideoCodec::H264, H264, 1, 0, 5),
        ] {
            let sets = sets.map(Bytes::from_static).to_vec();
            let format = TrackFormat {
                codec,
                sets,
                orientation: Orientation::from_number(orientation),
                has_audio: channels > 0,
            };
            let mut header = Vec::new();
            write::init(&format, false, channels, delay_ticks, &mut header).expect("written");
            let want = Init { format, channels, delay_ticks, size_bytes: header.len() as u64 };
            assert_eq!(read(&header), Ok(want));
            for bytes in 0..header.len() {
                assert!(read(&header[..bytes]).is_err(), "{bytes} bytes");
            }
            for bit in 0..header.len() * 8 {
                let mut bad = header.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let _ = read(&bad);
            }
        }
    }
}
