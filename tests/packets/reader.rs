//! A strict reader of recordings (ISO/IEC 14496-12): what a player may take for granted, it wants proved. It knows nothing of the store.

use perch_domain::{h264, h265};
use std::collections::BTreeSet;
use std::path::Path;

/// What a file holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    pub pictures: u64,
    pub sounds: u64,
    /// From the first to the last picture's end.
    pub seconds: f64,
}

type Checked<T> = Result<T, String>;

struct Track {
    id: u32,
    hz: u32,
    codec: [u8; 4],
    /// Ids of the picture parameter sets that its header holds.
    pps: BTreeSet<u8>,
    /// Where the samples so far end, ticks.
    end: u64,
    samples: u64,
}

fn u32_at(data: &[u8], at: usize) -> Checked<u32> {
    let bytes = data.get(at..at + 4).ok_or_else(|| format!("no number at {at}"))?;
    Ok(u32::from_be_bytes(bytes.try_into().expect("four bytes")))
}

fn u64_at(data: &[u8], at: usize) -> Checked<u64> {
    Ok(u64::from(u32_at(data, at)?) << 32 | u64::from(u32_at(data, at + 4)?))
}

type Boxes<'a> = Vec<([u8; 4], &'a [u8])>;

/// The boxes of a body, which fill it.
fn boxes(mut data: &[u8]) -> Checked<Boxes<'_>> {
    let mut found = Vec::new();
    while !data.is_empty() {
        let bytes = u32_at(data, 0)? as usize;
        let kind: [u8; 4] = data.get(4..8).ok_or("a box without a kind")?.try_into().expect("four bytes");
        let body = data.get(8..bytes).ok_or_else(|| format!("box {kind:?} does not fit"))?;
        found.push((kind, body));
        data = &data[bytes..];
    }
    Ok(found)
}

fn one<'a>(body: &'a [u8], kind: &[u8; 4]) -> Checked<&'a [u8]> {
    let name = || String::from_utf8_lossy(kind).into_owned();
    boxes(body)?.into_iter().find(|(k, _)| k == kind).map(|(_, b)| b).ok_or_else(|| format!("no {}", name()))
}

/// Reads a whole file. Errors with what is wrong with it.
pub fn check(file: &Path) -> Checked<Held> {
    let data = std::fs::read(file).map_err(|e| e.to_string())?;
    let all = boxes(&data)?;
    let [(ftyp, _), (moov, header), rest @ ..] = &all[..] else { return Err("no header".into()) };
    if (ftyp, moov) != (b"ftyp", b"moov") {
        return Err("it begins with other boxes".into());
    }
    let mut tracks = Vec::new();
    for (_, trak) in boxes(header)?.into_iter().filter(|(kind, _)| kind == b"trak") {
        tracks.push(track(trak)?);
    }
    let (mut sequence, mut rest) = (0, rest.iter());
    while let Some((kind, body)) = rest.next() {
        match kind {
            b"prft" if sequence == 0 => {}
            b"moof" => {
                sequence += 1;
                let Some((b"mdat", samples)) = rest.next().map(|(kind, body)| (kind, *body)) else {
                    return Err("a moof without its mdat".into());
                };
                fragment(&mut tracks, body, samples, sequence).map_err(|why| format!("fragment {sequence}: {why}"))?;
            }
            _ => return Err(format!("box {kind:?} among the fragments")),
        }
    }
    let [video, others @ ..] = &tracks[..] else { return Err("no track".into()) };
    if sequence == 0 || video.samples == 0 {
        return Err("no picture".into());
    }
    let seconds = video.end as f64 / f64::from(video.hz);
    Ok(Held { pictures: video.samples, sounds: others.first().map_or(0, |sound| sound.samples), seconds })
}

fn track(trak: &[u8]) -> Checked<Track> {
    // Two times come first, of eight bytes each in version 1.
    let behind_times = |head: &[u8]| u32_at(head, if head.first() == Some(&1) { 20 } else { 12 });
    let mdia = one(trak, b"mdia")?;
    let (id, hz) = (behind_times(one(trak, b"tkhd")?)?, behind_times(one(mdia, b"mdhd")?)?);
    let stsd = one(one(one(mdia, b"minf")?, b"stbl")?, b"stsd")?;
    let (codec, entry) = *boxes(&stsd[8..])?.first().ok_or("no sample entry")?;
    if hz == 0 {
        return Err("a track without a clock".into());
    }
    let mut pps = BTreeSet::new();
    match &codec {
        b"avc1" | b"hvc1" => {
            let sides = (u32_at(entry, 24)? >> 16, u32_at(entry, 24)? & 0xffff);
            if sides.0 == 0 || sides.1 == 0 {
                return Err(format!("pictures of {sides:?}"));
            }
            let is_h265 = codec == *b"hvc1";
            let config = one(&entry[78..], if is_h265 { b"hvcC" } else { b"avcC" })?;
            let sets = if is_h265 { hevc_sets(config)? } else { avc_sets(config)? };
            let wanted: &[u8] = if is_h265 { &[h265::VPS, h265::SPS, h265::PPS] } else { &[h264::SPS, h264::PPS] };
            for kind in wanted {
                let of_kind = |set: &&&[u8]| if is_h265 { h265::kind(set) == *kind } else { h264::kind(set) == *kind };
                let set = sets.iter().find(of_kind).ok_or_else(|| format!("no parameter set of kind {kind}"))?;
                let is_whole = match *kind {
                    h264::PPS if !is_h265 => h264::is_whole_pps(set),
                    h265::PPS if is_h265 => h265::is_whole_pps(set),
                    h265::VPS if is_h265 => h265::is_whole_vps(set),
                    _ => set.len() > 3,
                };
                if !is_whole {
                    return Err(format!("half a parameter set of kind {kind}: {set:?}"));
                }
            }
            pps.extend(sets.iter().filter_map(|set| pps_id(codec, set)));
        }
        b"Opus" => {
            one(&entry[28..], b"dOps")?;
        }
        _ => return Err(format!("samples of {codec:?}")),
    }
    Ok(Track { id, hz, codec, pps, end: 0, samples: 0 })
}

fn pps_id(codec: [u8; 4], nal: &[u8]) -> Option<u8> {
    match &codec {
        b"hvc1" if h265::kind(nal) == h265::PPS => h265::pps_ids(nal).map(|ids| ids.0),
        b"avc1" if h264::kind(nal) == h264::PPS => h264::pps_ids(nal).map(|ids| ids.0),
        _ => None,
    }
}

/// A number of 16 bits, and the bytes that it counts.
fn sized<'a>(data: &'a [u8], at: &mut usize) -> Checked<&'a [u8]> {
    let bytes = (u32_at(data, *at)? >> 16) as usize;
    let set = data.get(*at + 2..*at + 2 + bytes).ok_or("a parameter set that does not fit")?;
    *at += 2 + bytes;
    Ok(set)
}

fn avc_sets(avcc: &[u8]) -> Checked<Vec<&[u8]>> {
    let (mut sets, mut at) = (Vec::new(), 5);
    for mask in [0x1f, 0xff] {
        let count = avcc.get(at).ok_or("a short avcC")? & mask;
        at += 1;
        for _ in 0..count {
            sets.push(sized(avcc, &mut at)?);
        }
    }
    Ok(sets)
}

fn hevc_sets(hvcc: &[u8]) -> Checked<Vec<&[u8]>> {
    let (mut sets, mut at) = (Vec::new(), 23);
    for _ in 0..*hvcc.get(22).ok_or("a short hvcC")? {
        let count = u32_at(hvcc, at)? >> 8 & 0xffff;
        at += 3;
        for _ in 0..count {
            sets.push(sized(hvcc, &mut at)?);
        }
    }
    Ok(sets)
}

fn fragment(tracks: &mut [Track], moof: &[u8], mdat: &[u8], sequence: u32) -> Checked<()> {
    let own = u32_at(one(moof, b"mfhd")?, 4)?;
    if own != sequence {
        return Err(format!("it says that it is number {own}"));
    }
    // Offsets count from the start of `moof`: its head, itself, and the head of `mdat`.
    let mut at = 8 + moof.len() + 8;
    let base = at;
    let mut has_pictures = false;
    for (_, traf) in boxes(moof)?.into_iter().filter(|(kind, _)| kind == b"traf") {
        let (tfhd, tfdt, trun) = (one(traf, b"tfhd")?, one(traf, b"tfdt")?, one(traf, b"trun")?);
        let id = u32_at(tfhd, 4)?;
        let track = tracks.iter_mut().find(|track| track.id == id).ok_or("a run of no track")?;
        let begin = u64_at(tfdt, 4)?;
        if begin < track.end {
            return Err(format!("track {id} begins at {begin}, before {}", track.end));
        }
        track.end = begin;
        let flags = u32_at(trun, 0)? & 0xff_ffff;
        if u32_at(trun, 8)? as usize != at || flags & 0x301 != 0x301 {
            return Err(format!("the samples of track {id} do not lie where they should"));
        }
        let mut entry = 12;
        let mut next = |is_there: bool| -> Checked<Option<u32>> {
            let value = is_there.then(|| u32_at(trun, entry)).transpose()?;
            entry += 4 * usize::from(is_there);
            Ok(value)
        };
        let first_flags = next(flags & 4 != 0)?;
        for n in 0..u32_at(trun, 4)? {
            let lasts = next(true)?.unwrap_or(0);
            let bytes = next(true)?.unwrap_or(0) as usize;
            let own_flags = next(flags & 0x400 != 0)?.or(first_flags.filter(|_| n == 0));
            next(flags & 0x800 != 0)?;
            let sample = mdat.get(at - base..at - base + bytes).ok_or("samples beyond the mdat")?;
            at += bytes;
            if bytes == 0 || lasts == 0 || lasts > track.hz * 3600 {
                return Err(format!("sample {n} of track {id}: {bytes} bytes, {lasts} ticks"));
            }
            if &track.codec != b"Opus" {
                has_pictures = true;
                let is_sync = own_flags.map_or(u32_at(tfhd, 8)?, |own| own) & 0x1_0000 == 0;
                let is_first = track.samples == 0;
                picture(track, sample, is_sync, is_first).map_err(|why| format!("picture {n}: {why}"))?;
            }
            track.end += u64::from(lasts);
            track.samples += 1;
        }
    }
    if !has_pictures || at - base != mdat.len() {
        return Err(format!("{} of {} bytes are samples, pictures: {has_pictures}", at - base, mdat.len()));
    }
    Ok(())
}

/// A sample of pictures: whole units, one of them a slice; of one that decoding can start at, slices whose parameter sets are there.
fn picture(track: &mut Track, mut sample: &[u8], is_sync: bool, is_first: bool) -> Checked<()> {
    if is_first && !is_sync {
        return Err("the file begins with one that needs others".into());
    }
    let mut slices = 0;
    while !sample.is_empty() {
        let bytes = u32_at(sample, 0)? as usize;
        let nal =
            sample.get(4..4 + bytes).filter(|nal| nal.len() > 1).ok_or("a unit that does not fit, or is empty")?;
        sample = &sample[4 + bytes..];
        let is_h265 = &track.codec == b"hvc1";
        track.pps.extend(pps_id(track.codec, nal));
        let is_slice = if is_h265 {
            h265::is_slice(h265::kind(nal))
        } else {
            (h264::SLICE..=h264::IDR).contains(&h264::kind(nal))
        };
        // Parts of slices (2 to 4 of H.264) name their sets only in the first.
        let names_its_sets = is_h265 || matches!(h264::kind(nal), h264::SLICE | h264::IDR);
        slices += u32::from(is_slice);
        if is_slice && is_first && names_its_sets {
            let pps = if is_h265 {
                h265::SliceHead::parse(nal).map(|s| s.pps)
            } else {
                h264::SliceHead::parse(nal).map(|s| s.pps)
            };
            if pps.is_none_or(|pps| !track.pps.contains(&pps)) {
                return Err(format!("its slices name picture parameter set {pps:?}, the file has {:?}", track.pps));
            }
        }
    }
    if slices == 0 { Err("no slice".into()) } else { Ok(()) }
}
