//! Whether a file is what its brands and sample entries say, by a reader of its own: ISO/IEC 14496-12 (boxes), 14496-15 (how H.264 and
//! H.265 lie in them). Players pass over much that is wrong here; QuickTime does not.

use perch_test_cameras::bits::unescape;
use std::path::Path;

type Box<'a> = ([u8; 4], &'a [u8]);

fn u16_at(data: &[u8], at: usize) -> usize {
    u16::from_be_bytes(data[at..at + 2].try_into().expect("two")).into()
}

fn u32_at(data: &[u8], at: usize) -> usize {
    u32::from_be_bytes(data[at..at + 4].try_into().expect("four")) as usize
}

/// The boxes that fill `data`.
fn boxes(data: &[u8]) -> Vec<Box<'_>> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < data.len() {
        let size = u32_at(data, at);
        assert!(size >= 8 && at + size <= data.len(), "a box of {size} bytes at {at} of {}", data.len());
        out.push((data[at + 4..at + 8].try_into().expect("four"), &data[at + 8..at + size]));
        at += size;
    }
    out
}

fn find<'a>(all: &[Box<'a>], kind: &[u8; 4]) -> Option<&'a [u8]> {
    all.iter().find(|b| b.0 == *kind).map(|b| b.1)
}

fn at_path<'a>(data: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(data, |data, kind| find(&boxes(data), kind))
}

/// What is asked of the samples of one codec.
struct Entry {
    is_h265: bool,
    /// Whether all parameter sets stand in the header, and none in a sample.
    is_complete: bool,
    /// Those of the header.
    sets: Vec<Vec<u8>>,
}

impl Entry {
    fn kind(&self, nal: &[u8]) -> u8 {
        if self.is_h265 { nal[0] >> 1 & 0x3f } else { nal[0] & 0x1f }
    }

    fn is_set(&self, nal: &[u8]) -> bool {
        if self.is_h265 { (32..=34).contains(&self.kind(nal)) } else { matches!(self.kind(nal), 7 | 8) }
    }

    /// Whether a sample holds a picture, and whether decoding can start with it (14496-15 8.4.3: each slice of an IRAP picture).
    fn sample(&self, sample: &[u8]) -> (bool, bool) {
        let (mut at, mut slices, mut starts) = (0, 0, 0);
        while at < sample.len() {
            let size = u32_at(sample, at);
            assert!(
                size > 0 && at + 4 + size <= sample.len(),
                "a unit of {size} bytes in a sample of {}",
                sample.len()
            );
            let nal = &sample[at + 4..at + 4 + size];
            let kind = self.kind(nal);
            assert!(!self.is_complete || !self.is_set(nal), "a parameter set in a sample of `hvc1` (8.3.3.1)");
            if self.is_h265 && kind < 32 || !self.is_h265 && (1..=5).contains(&kind) {
                slices += 1;
                starts += usize::from(if self.is_h265 { (16..24).contains(&kind) } else { kind == 5 });
            }
            at += 4 + size;
        }
        assert!(starts == 0 || starts == slices, "slices of two kinds of pictures");
        (slices > 0, starts > 0)
    }
}

/// 14496-15 8.3.3.1.2 against the SPS (H.265 7.3.2.2).
fn check_hvcc(hvcc: &[u8], is_complete: bool) -> Vec<Vec<u8>> {
    assert_eq!((hvcc[0], hvcc[13] >> 4, hvcc[15] >> 2), (1, 0xf, 0x3f), "version and reserved bits");
    assert_eq!((hvcc[16] >> 2, hvcc[17] >> 3, hvcc[18] >> 3), (0x3f, 0x1f, 0x1f), "reserved bits");
    assert_eq!(hvcc[21] & 3, 3, "lengths of four bytes");
    let (mut at, mut sets, mut kinds) = (23, Vec::new(), Vec::new());
    for _ in 0..hvcc[22] {
        assert_eq!(hvcc[at] >> 6, u8::from(is_complete) << 1, "array_completeness, a reserved bit");
        let kind = hvcc[at] & 0x3f;
        kinds.push(kind);
        let count = u16_at(hvcc, at + 1);
        assert!(count > 0, "an empty array of {kind}");
        at += 3;
        for _ in 0..count {
            let size = u16_at(hvcc, at);
            let set = hvcc[at + 2..at + 2 + size].to_vec();
            assert_eq!(set[0] >> 1 & 0x3f, kind, "a set in the array of another kind");
            assert!(!sets.contains(&set), "a set twice");
            sets.push(set);
            at += 2 + size;
        }
    }
    assert_eq!((at, &kinds[..]), (hvcc.len(), &[32, 33, 34][..]), "VPS, SPS, PPS and nothing behind");
    for escaped in sets.iter().filter(|set| set[0] >> 1 == 33) {
        let sps = unescape(escaped);
        assert_eq!(sps[3..15], hvcc[1..13], "profile, tier, level and constraints");
        assert_eq!(hvcc[21] >> 3 & 7, (sps[2] >> 1 & 7) + 1, "numTemporalLayers");
        assert_eq!(hvcc[21] >> 2 & 1, sps[2] & 1, "temporalIdNested");
        let parsed = perch_domain::h265::Sps::parse(escaped).expect("it makes sense");
        assert_eq!((hvcc[16] & 3, hvcc[17] & 7, hvcc[18] & 7), {
            let (luma, chroma) = parsed.bit_depths;
            (parsed.chroma, luma - 8, chroma - 8)
        });
    }
    sets
}

/// 14496-15 5.3.3.1.2.
fn check_avcc(avcc: &[u8]) -> Vec<Vec<u8>> {
    assert_eq!((avcc[0], avcc[4], avcc[5] >> 5), (1, 0xff, 7), "version, reserved bits, lengths of four bytes");
    let (mut at, mut sets) = (6, Vec::new());
    let mut take = |count: usize, at: &mut usize| {
        for _ in 0..count {
            let size = u16_at(avcc, *at);
            sets.push(avcc[*at + 2..*at + 2 + size].to_vec());
            *at += 2 + size;
        }
    };
    take(usize::from(avcc[5] & 0x1f), &mut at);
    let pps = usize::from(avcc[at]);
    at += 1;
    take(pps, &mut at);
    let is_high = matches!(avcc[1], 100 | 110 | 122 | 144);
    assert_eq!(avcc.len() - at, if is_high { 4 } else { 0 }, "what high profiles say, and nothing behind");
    assert_eq!(avcc[1..4], sets[0][1..4], "profile and level");
    sets
}

/// Checks a recorded or exported file of this box. Fails the test where it is not what it says.
pub fn check(path: &Path) {
    let data = std::fs::read(path).expect("read");
    let all = boxes(&data);
    let kinds: Vec<&str> = all.iter().map(|b| std::str::from_utf8(&b.0).expect("letters")).collect();
    assert_eq!(kinds[..2], ["ftyp", "moov"], "what a player must know comes first");
    // What the file makes use of: `tfdt` (iso6), `default-base-is-moof` (iso5).
    let ftyp = all[0].1;
    let brands: Vec<&[u8]> = ftyp[8..].chunks(4).collect();
    assert!(brands.contains(&&ftyp[..4]) && [b"iso5", b"iso6"].iter().all(|b| brands.contains(&&b[..])), "{brands:?}");
    let moov = all[1].1;
    assert!(at_path(moov, &[b"mvex", b"trex"]).is_some(), "fragments are announced");
    let video = boxes(moov).into_iter().filter(|b| b.0 == *b"trak").map(|b| b.1);
    let video = video.into_iter().find(|trak| at_path(trak, &[b"mdia", b"minf", b"vmhd"]).is_some()).expect("video");
    let tkhd = at_path(video, &[b"tkhd"]).expect("a header");
    assert_eq!(tkhd[3] & 3, 3, "enabled and in the movie");
    let (id_at, sides_at) = if tkhd[0] == 1 { (20, 88) } else { (12, 76) };
    let track = u32_at(tkhd, id_at);
    let stsd = at_path(video, &[b"mdia", b"minf", b"stbl", b"stsd"]).expect("sample entries");
    let entries = boxes(&stsd[8..]);
    let [(name, entry)] = entries[..] else { panic!("{} sample entries", entries.len()) };
    let inside = boxes(&entry[78..]);
    let is_h265 = matches!(&name, b"hvc1" | b"hev1");
    let is_complete = name == *b"hvc1";
    let sets = match is_h265 {
        true => check_hvcc(find(&inside, b"hvcC").expect("a configuration"), is_complete),
        false => check_avcc(find(&inside, b"avcC").expect("a configuration")),
    };
    let coded = sets.iter().find_map(|set| match is_h265 {
        true => perch_domain::h265::Sps::parse(set).map(|s| (s.width, s.height, s.pixel)),
        false => perch_domain::h264::Sps::parse(set).map(|s| (s.width, s.height, s.pixel)),
    });
    let (width, height, pixel) = coded.expect("an SPS");
    assert_eq!((u16_at(entry, 24), u16_at(entry, 26)), (width.into(), height.into()), "as coded");
    let pasp = find(&inside, b"pasp").map_or((1, 1), |p| (u32_at(p, 0), u32_at(p, 4)));
    assert_eq!(pasp.0 * usize::from(pixel.1), pasp.1 * usize::from(pixel.0), "the shape of a pixel");
    let seen = (usize::from(width) * pasp.0 + pasp.1 / 2) / pasp.1;
    assert_eq!(
        (u32_at(tkhd, sides_at) >> 16, u32_at(tkhd, sides_at + 4) >> 16),
        (seen, height.into()),
        "as it is seen, before it is turned"
    );
    let entry = Entry { is_h265, is_complete, sets };
    assert!(!entry.sets.is_empty());
    check_samples(&data, track, at_path(video, &[b"edts", b"elst"]), &entry);
}

/// Every sample of every fragment (14496-12 8.8).
fn check_samples(data: &[u8], track: usize, elst: Option<&[u8]>, entry: &Entry) {
    let begins_at = elst.map_or(0, |elst| {
        // Version 1 has a length and a time of eight bytes.
        let (time_at, rate_at) = if elst[0] == 1 { (20, 24) } else { (12, 16) };
        assert_eq!((u32_at(elst, 4), u32_at(elst, rate_at)), (1, 0x1_0000), "one edit, at the usual pace");
        u32_at(elst, time_at)
    });
    let (mut at, mut sequence, mut first, mut next) = (0, 0, true, 0);
    while at < data.len() {
        let (size, kind) = (u32_at(data, at), &data[at + 4..at + 8]);
        if kind == b"moof" {
            let moof = &data[at + 8..at + size];
            let number = u32_at(at_path(moof, &[b"mfhd"]).expect("a number"), 4);
            assert!(number > sequence, "fragment {number} after {sequence}");
            sequence = number;
            let mdat = at + size..at + size + u32_at(data, at + size);
            assert_eq!(&data[mdat.start + 4..mdat.start + 8], b"mdat", "fragment {number}");
            for (_, traf) in boxes(moof).into_iter().filter(|b| b.0 == *b"traf") {
                let tfhd = at_path(traf, &[b"tfhd"]).expect("a header");
                assert_eq!(u32_at(tfhd, 0) & 0x2_0000, 0x2_0000, "default-base-is-moof");
                if u32_at(tfhd, 4) != track {
                    continue;
                }
                assert_eq!(u32_at(tfhd, 0) & 0xffff, 0x20, "only flags have a default");
                let tfdt = at_path(traf, &[b"tfdt"]).expect("a time");
                let begin = if tfdt[0] == 1 { u32_at(tfdt, 8) } else { u32_at(tfdt, 4) };
                assert!(begin >= next, "fragment {number} begins before the one before it ends");
                next = begin;
                let trun = at_path(traf, &[b"trun"]).expect("samples");
                let has = |flag: usize| u32_at(trun, 0) & flag != 0;
                assert!(has(1) && has(0x100) && has(0x200) && !(has(4) && has(0x400)), "what is said of samples");
                let (mut field, mut place) = (if has(4) { 16 } else { 12 }, at + u32_at(trun, 8));
                let mut of_first = has(4).then(|| u32_at(trun, 12));
                for _ in 0..u32_at(trun, 4) {
                    let mut take = |is: bool| is.then(|| (field, field += 4).0).map(|at| u32_at(trun, at));
                    let (duration, bytes) = (take(true).expect("said"), take(true).expect("said"));
                    let own = take(has(0x400)).or_else(|| of_first.take());
                    let flags = own.unwrap_or_else(|| u32_at(tfhd, 8));
                    let later = take(has(0x800)).unwrap_or(0);
                    assert!(later < 1 << 31 && duration > 0, "never before it is decoded");
                    assert!(mdat.start + 8 <= place && place + bytes <= mdat.end, "a sample outside of its fragment");
                    let (is_picture, is_start) = entry.sample(&data[place..place + bytes]);
                    assert!(is_picture, "a sample without a picture");
                    assert_eq!(flags & 0x1_0000 == 0, is_start, "sync samples are those that decoding can start with");
                    assert_eq!(flags >> 24 & 3, if is_start { 2 } else { 1 }, "what it depends on");
                    if std::mem::take(&mut first) {
                        assert!(is_start && begin + later == begins_at, "it begins with its first picture");
                    }
                    place += bytes;
                    next += duration;
                }
            }
        }
        at += size;
    }
    assert!(!first, "no picture");
}
