//! Writes the header of a recording and its fragments into a buffer. Knows nothing of files.

use super::format::{self, Picture, SetKind, TrackFormat};
use super::{AUDIO, AUDIO_HZ, VIDEO, VIDEO_HZ, opus, ticks};
use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Dinf, Dops, Dref, DrefEntry, Edts, Elst, ElstEntry, Encode, Ftyp, Hdlr, Hev1,
    Hvc1, HvcCArray, Hvcc, Matrix, Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mvex, Mvhd, Opus, Pasp, Prft, ReferenceTime,
    Smhd, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd,
};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::Fragment;
use perch_domain::bitstream::nal_units;
use perch_domain::h265;
use perch_domain::media::{OPUS_PACKET, SharedPacket, Track, VideoCodec};
use perch_domain::orientation::Orientation;
use std::time::Duration;

/// A sample that decoding can start at.
const SYNC: u32 = 0x0200_0000;
/// A sample that needs others.
const NOT_SYNC: u32 = 0x0101_0000;

/// Most bytes of pictures in one fragment: a part (`perch_domain::recording::parts`) is smaller, but for a single picture that is larger.
pub(crate) const MAX_PICTURES_BYTES: usize = 32 << 20;

/// What is written as one fragment: one or more GOPs, or a part of one.
#[derive(Clone, Debug, Default)]
pub struct FragmentPackets {
    /// Video (in a file's first fragment, its first is a keyframe) and sound; each track in order, the two mixed in any way; all on one
    /// clock.
    pub packets: Vec<SharedPacket>,
    /// When the next picture's turn is ([`Self::delay`] added), or where the source stopped.
    pub end: MonoTime,
    /// Where pictures travel out of order: how much later than it is decoded a file's first one is shown. The same throughout a file.
    pub delay: Duration,
}

impl FragmentPackets {
    fn of(&self, track: Track) -> impl Iterator<Item = &SharedPacket> {
        self.packets.iter().filter(move |p| p.track == track)
    }

    /// Channels of its sound; 0 when there is none.
    pub(crate) fn channels(&self) -> u8 {
        self.of(Track::Audio).next().map_or(0, |p| opus::channels(&p.data))
    }
}

fn encode(atom: &impl Encode, out: &mut Vec<u8>) -> Result<()> {
    atom.encode(out).map_err(|e| Error::internal("an MP4 box cannot be written").with_source(e))
}

/// `ftyp` and `moov` (ISO/IEC 14496-12; Opus as in the mapping of RFC 6716 streams to ISOBMFF). `channels` is 0 for no sound.
/// `delay_ticks`: what is shown begins so much later on the video's time line than what is decoded; an edit list takes it back, which
/// players follow where they do not follow negative offsets. `brings_sets`: other parameter sets than these come in the samples.
pub(crate) fn init(
    format: &TrackFormat,
    brings_sets: bool,
    channels: u8,
    delay_ticks: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let brands = vec![b"iso6".into(), b"iso5".into(), b"isom".into(), b"mp41".into()];
    encode(&Ftyp { major_brand: b"iso6".into(), minor_version: 0, compatible_brands: brands }, out)?;
    let mut trak = vec![video_track(format, brings_sets, delay_ticks)?];
    let mut trex = vec![track_defaults(VIDEO, 0, NOT_SYNC)];
    if channels > 0 {
        trak.push(audio_track(channels));
        trex.push(track_defaults(AUDIO, OPUS_PACKET_TICKS as u32, SYNC));
    }
    let mvhd = Mvhd {
        creation_time: 0,
        modification_time: 0,
        timescale: 1000,
        duration: 0,
        rate: 1.into(),
        volume: 1.into(),
        matrix: Default::default(),
        next_track_id: trak.len() as u32 + 1,
    };
    encode(&Moov { mvhd, mvex: Some(Mvex { mehd: None, trex }), trak, ..Default::default() }, out)
}

fn track_defaults(track_id: u32, default_sample_duration: u32, default_sample_flags: u32) -> Trex {
    Trex {
        track_id,
        default_sample_description_index: 1,
        default_sample_duration,
        default_sample_size: 0,
        default_sample_flags,
    }
}

fn video_track(format: &TrackFormat, brings_sets: bool, delay_ticks: u64) -> Result<Trak> {
    let picture = format.picture()?;
    let (width, height) = picture.size;
    let visual = Visual { data_reference_index: 1, width, height, ..Default::default() };
    let (across, down) = picture.pixel;
    let pasp = (across != down).then_some(Pasp { h_spacing: across.into(), v_spacing: down.into() });
    let codec = match format.codec {
        VideoCodec::H265 if brings_sets => {
            Codec::Hev1(Hev1 { visual, hvcc: hvcc(format, false)?, pasp, ..Default::default() })
        }
        VideoCodec::H265 => Codec::Hvc1(Hvc1 { visual, hvcc: hvcc(format, true)?, pasp, ..Default::default() }),
        _ => Codec::Avc1(Avc1 { visual, avcc: avcc(format, picture)?, pasp, ..Default::default() }),
    };
    // As it is to be seen: with square pixels.
    let wide = (u32::from(width) * u32::from(across) + u32::from(down) / 2) / u32::from(down.max(1));
    let shown = u16::try_from(wide).ok().filter(|wide| *wide > 0).unwrap_or(width);
    let matrix = matrix(format.orientation, (shown, height));
    let tkhd = Tkhd { width: shown.into(), height: height.into(), matrix, ..header(VIDEO) };
    let minf = Minf { vmhd: Some(Vmhd::default()), dinf: here(), stbl: only(codec), ..Default::default() };
    let edts = (delay_ticks > 0).then(|| {
        // A length of 0 reaches to the end of all fragments.
        let entry = ElstEntry { segment_duration: 0, media_time: Some(delay_ticks), media_rate: 1.into() };
        Edts { elst: Some(Elst { entries: vec![entry] }) }
    });
    Ok(Trak { edts, ..track(tkhd, VIDEO_HZ, b"vide", minf) })
}

/// Turns pictures of this size about their corner and moves them back to 0 (ISO/IEC 14496-12 8.3.2): numbers of 16 bits behind the point,
/// but for the last column.
fn matrix(orientation: Orientation, (width, height): (u16, u16)) -> Matrix {
    let [[a, b], [c, d]] = orientation.matrix();
    let (width, height) = (i32::from(width), i32::from(height));
    let back = |across: i32, down: i32| (-(across * width).min(0) - (down * height).min(0)) << 16;
    let (x, y) = (back(a, c), back(b, d));
    Matrix { a: a << 16, b: b << 16, c: c << 16, d: d << 16, x, y, ..Matrix::default() }
}

/// All sets of a kind, as the boxes want them.
fn sets(format: &TrackFormat, kind: SetKind) -> Vec<Vec<u8>> {
    format.sets_of(kind).map(|set| set.to_vec()).collect()
}

fn avcc(format: &TrackFormat, picture: Picture) -> Result<Avcc> {
    let lacks = || Error::internal("the decoder configuration cannot be written");
    let sequence_parameter_sets = sets(format, SetKind::Sps);
    let Some([_, profile, compatibility, level, ..]) = sequence_parameter_sets.first().map(|sps| &sps[..]) else {
        return Err(lacks());
    };
    Ok(Avcc {
        configuration_version: 1,
        avc_profile_indication: *profile,
        profile_compatibility: *compatibility,
        avc_level_indication: *level,
        length_size: 4,
        picture_parameter_sets: sets(format, SetKind::Pps),
        ext: picture.depth.map(|(chroma_format, bit_depth_luma, bit_depth_chroma)| AvccExt {
            chroma_format,
            bit_depth_luma,
            bit_depth_chroma,
            sequence_parameter_sets_ext: Vec::new(),
        }),
        sequence_parameter_sets,
    })
}

/// ISO/IEC 14496-15, 8.3.3.1.2. `hvc1` wants all sets here (`completeness`), `hev1` allows more in the samples.
fn hvcc(format: &TrackFormat, completeness: bool) -> Result<Hvcc> {
    let sps = format.sets_of(SetKind::Sps).next().and_then(|sps| h265::Sps::parse(sps));
    let sps = sps.ok_or_else(|| Error::internal("the decoder configuration cannot be written"))?;
    let [general, c0, c1, c2, c3, i0, i1, i2, i3, i4, i5, level] = sps.profile_tier_level;
    let array = |(nal_unit_type, kind)| HvcCArray { completeness, nal_unit_type, nalus: sets(format, kind) };
    let (luma, colour) = sps.bit_depths;
    Ok(Hvcc {
        configuration_version: 1,
        general_profile_space: general >> 6,
        general_tier_flag: general & 0x20 != 0,
        general_profile_idc: general & 0x1f,
        general_profile_compatibility_flags: [c0, c1, c2, c3],
        general_constraint_indicator_flags: [i0, i1, i2, i3, i4, i5],
        general_level_idc: level,
        chroma_format_idc: sps.chroma,
        bit_depth_luma_minus8: luma.saturating_sub(8),
        bit_depth_chroma_minus8: colour.saturating_sub(8),
        num_temporal_layers: sps.temporal_layers,
        temporal_id_nested: sps.temporal_nested,
        length_size_minus_one: 3,
        arrays: [(h265::VPS, SetKind::Vps), (h265::SPS, SetKind::Sps), (h265::PPS, SetKind::Pps)].map(array).into(),
        ..Hvcc::new()
    })
}

fn audio_track(channels: u8) -> Trak {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: channels.into(),
        sample_size: 16,
        sample_rate: (AUDIO_HZ as u16).into(),
    };
    // The stream runs on from before the file, so nothing at its start is to be skipped.
    let dops = Dops {
        output_channel_count: channels,
        pre_skip: 0,
        input_sample_rate: AUDIO_HZ as u32,
        output_gain: 0,
        channel_mapping: None,
    };
    let codec = Codec::Opus(Opus { audio, dops, btrt: None });
    let tkhd = Tkhd { volume: 1.into(), alternate_group: 1, ..header(AUDIO) };
    let minf = Minf { smhd: Some(Smhd::default()), dinf: here(), stbl: only(codec), ..Default::default() };
    track(tkhd, AUDIO_HZ, b"soun", minf)
}

fn header(track_id: u32) -> Tkhd {
    Tkhd { track_id, enabled: true, in_movie: true, ..Default::default() }
}

fn track(tkhd: Tkhd, hz: i64, handler: &[u8; 4], minf: Minf) -> Trak {
    let mdhd = Mdhd { timescale: hz as u32, language: "und".into(), ..Default::default() };
    let hdlr = Hdlr { handler: handler.into(), name: String::new() };
    Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Default::default() }
}

fn here() -> Dinf {
    Dinf { dref: Dref { entries: vec![DrefEntry::Url(Url::default())] } }
}

fn only(codec: Codec) -> Stbl {
    Stbl { stsd: Stsd { codecs: vec![codec] }, stco: Some(Stco::default()), ..Default::default() }
}

/// Seconds between 1900 (NTP) and 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;

/// A `prft` box that ties media time 0 to `start`.
pub(crate) fn reference_time(start: Timestamp, out: &mut Vec<u8>) -> Result<()> {
    let (s, us) = (start.0.div_euclid(1_000_000), start.0.rem_euclid(1_000_000));
    let seconds = (s + NTP_TO_UNIX_S) as u32;
    let ntp_timestamp = u64::from(seconds) << 32 | ((us as u64) << 32).div_ceil(1_000_000);
    let utc_time_semantics = ReferenceTime::Input;
    encode(&Prft { reference_track_id: VIDEO, ntp_timestamp, media_time: 0, utc_time_semantics }, out)
}

/// The time a `prft` gives, in the era (136 years) that is nearest to `near`.
pub(crate) fn ntp_to_timestamp(ntp: u64, near: Timestamp) -> Timestamp {
    let era = 1i64 << 32;
    let s = (ntp >> 32) as i64 - NTP_TO_UNIX_S;
    let near_s = near.0.div_euclid(1_000_000);
    let s = s + (near_s - s + era / 2).div_euclid(era) * era;
    let us = ((ntp & 0xffff_ffff) * 1_000_000) >> 32;
    Timestamp(s.saturating_mul(1_000_000).saturating_add(us as i64))
}

/// What one file's fragments have in common, and how far they got.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    /// Fragments so far.
    pub(crate) sequence: u32,
    /// Whether pictures bring their parameter sets from here on: one that the header does not hold came, and may be in force for long.
    brings_sets: bool,
    /// Where the pictures written so far end, in ticks of their track.
    video_end_ticks: i64,
    /// Where the sound written so far ends, in ticks of its track.
    audio_end_ticks: Option<i64>,
}

/// Room for the entries of a fragment, kept from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    head: Vec<u8>,
}

/// Appends `moof` and `mdat` to `out`, the offsets counted from the end of `out` as it comes. Copies each payload once.
/// The fragment's `offset` is 0: the caller knows where `out` will lie. `None` where there is no picture in it. Errors with `Invalid` when
/// it is a file's first one and does not begin with a keyframe.
pub(crate) fn fragment(
    position: &mut Position,
    format: &TrackFormat,
    zero: MonoTime,
    part: &FragmentPackets,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<Option<Fragment>> {
    // Players refuse a file with a sample in which nothing is.
    let video: Vec<&SharedPacket> =
        part.of(Track::Video).filter(|p| format::has_picture(format.codec, &p.data)).collect();
    let Some(first) = video.first() else { return Ok(None) };
    if position.sequence == 0 && !first.keyframe {
        return Err(Error::invalid("a file must begin with a keyframe"));
    }
    if video.iter().map(|p| p.data.len()).sum::<usize>() > MAX_PICTURES_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, format!("a fragment holds more than {MAX_PICTURES_BYTES} bytes")));
    }
    let tick = |at: MonoTime| ticks(at.micros_since(zero), VIDEO_HZ);
    let starts_at = first.pts + part.delay;
    if tick(starts_at) < 0 {
        return Err(Error::invalid("a fragment begins before its file"));
    }
    let begin = tick(starts_at).max(position.video_end_ticks);
    // Rounded positions, not rounded lengths: nothing adds up to a drift.
    let ends = video.iter().skip(1).map(|p| p.pts + part.delay).chain([part.end]).map(tick);
    let is_ordered = part.delay.is_zero() && video.iter().all(|p| p.shown_later.is_zero());
    let mut at = begin;
    let mut entries: Vec<TrunEntry> = Vec::with_capacity(video.len());
    for (packet, end) in video.iter().zip(ends) {
        let shown_later = tick(packet.shown() + part.delay) - at;
        let cts = (!is_ordered).then(|| shown_later.clamp(0, i64::from(i32::MAX)));
        let duration = (end - at).clamp(1, i64::from(u32::MAX));
        at += duration;
        entries.push(TrunEntry { duration: Some(duration as u32), size: Some(0), cts, ..Default::default() });
    }
    let video_end_ticks = at;
    let flags = mark_keyframes(&video, &mut entries);
    let sound = if format.has_audio { Sound::place(position.audio_end_ticks, zero, part) } else { Sound::default() };

    let mut moof = Moof { mfhd: Mfhd { sequence_number: position.sequence + 1 }, traf: Vec::with_capacity(2) };
    moof.traf.push(run(VIDEO, flags, begin, entries));
    if !sound.packets.is_empty() {
        moof.traf.push(run(AUDIO, SYNC, sound.begin_ticks, sound.entries.clone()));
    }
    // Once to learn its length, which the values do not change; again when the sizes are known.
    let base = out.len();
    encode(&moof, out)?;
    let moof_bytes = out.len() - base;
    out.extend_from_slice(&[0, 0, 0, 0]);
    out.extend_from_slice(b"mdat");
    let mdat = out.len();
    for (i, packet) in video.iter().enumerate() {
        let bytes = append_sample(&packet.data, format, &mut position.brings_sets, out);
        let mp4_atom::TrunSamples::Explicit(entries) = &mut moof.traf[0].trun[0].samples else {
            return Err(Error::internal("a run lost its samples"));
        };
        entries[i].size = Some(bytes);
    }
    let video_bytes = out.len() - mdat;
    for packet in &sound.packets {
        out.extend_from_slice(&packet.data);
    }
    let mdat_bytes = out.len() - mdat + 8;
    let too_large = || Error::new(ErrorKind::TooLarge, "a fragment is larger than 2 GiB");
    let offset = |bytes: usize| i32::try_from(bytes).map_err(|_| too_large());
    moof.traf[0].trun[0].data_offset = Some(offset(moof_bytes + 8)?);
    if let Some(traf) = moof.traf.get_mut(1) {
        traf.trun[0].data_offset = Some(offset(moof_bytes + 8 + video_bytes)?);
    }
    scratch.head.clear();
    encode(&moof, &mut scratch.head)?;
    if scratch.head.len() != moof_bytes {
        return Err(Error::internal("a fragment's header changed its length"));
    }
    out[base..base + moof_bytes].copy_from_slice(&scratch.head);
    out[mdat - 8..mdat - 4].copy_from_slice(&u32::try_from(mdat_bytes).map_err(|_| too_large())?.to_be_bytes());

    position.sequence += 1;
    position.video_end_ticks = video_end_ticks;
    position.audio_end_ticks = sound.end_ticks.or(position.audio_end_ticks);
    let start_us = starts_at.micros_since(zero);
    let duration_us = part.end.micros_since(starts_at).max(1);
    let size_bytes = (out.len() - base) as u64;
    Ok(Some(Fragment { offset_bytes: 0, size_bytes, start_us, duration_us, starts: first.keyframe }))
}

/// Says which samples decoding can start at, and returns what holds for those of which nothing is said.
fn mark_keyframes(video: &[&SharedPacket], entries: &mut [TrunEntry]) -> u32 {
    match (video.iter().all(|p| p.keyframe), video.iter().skip(1).any(|p| p.keyframe)) {
        (true, _) => SYNC,
        (false, false) => {
            if let (Some(first), Some(entry)) = (video.first(), entries.first_mut()) {
                entry.flags = first.keyframe.then_some(SYNC);
            }
            NOT_SYNC
        }
        (false, true) => {
            for (packet, entry) in video.iter().zip(entries) {
                entry.flags = Some(if packet.keyframe { SYNC } else { NOT_SYNC });
            }
            NOT_SYNC
        }
    }
}

fn run(track_id: u32, flags: u32, begin_ticks: i64, entries: Vec<TrunEntry>) -> Traf {
    let tfhd = Tfhd { track_id, default_sample_flags: Some(flags), default_base_is_moof: true, ..Default::default() };
    let tfdt = Some(Tfdt { base_media_decode_time: begin_ticks.max(0) as u64 });
    let trun = vec![Trun { data_offset: Some(0), samples: entries.into() }];
    Traf { tfhd, tfdt, trun, ..Default::default() }
}

/// Appends an access unit with length prefixes; returns its bytes. Parameter sets stand in the header. Once one comes that does not
/// (`brings_sets`), it and all that follow stand in the samples: what a decoder has of a number is what came last.
fn append_sample(annexb: &[u8], format: &TrackFormat, brings_sets: &mut bool, out: &mut Vec<u8>) -> u32 {
    let begin = out.len();
    for nal in nal_units(annexb).filter(|nal| format::belongs_in_sample(format.codec, nal)) {
        if format::set_kind(format.codec, nal).is_some() {
            *brings_sets |= !format.sets.iter().any(|set| set[..] == *nal);
            if !*brings_sets {
                continue;
            }
        }
        // Fits: the size of all was checked.
        out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        out.extend_from_slice(nal);
    }
    (out.len() - begin) as u32
}

/// A packet's length, ticks of the sound's track.
const OPUS_PACKET_TICKS: i64 = OPUS_PACKET.as_millis() as i64 * AUDIO_HZ / 1000;
/// How far sound may stray from its time stamps before it is set right, ticks of its track.
const AUDIO_SLACK_TICKS: i64 = OPUS_PACKET_TICKS;

/// A fragment's sound on the file's time line.
#[derive(Default)]
struct Sound<'a> {
    begin_ticks: i64,
    end_ticks: Option<i64>,
    packets: Vec<&'a SharedPacket>,
    entries: Vec<TrunEntry>,
}

impl<'a> Sound<'a> {
    /// Packets follow each other without a seam as long as their time stamps agree to [`AUDIO_SLACK_TICKS`]. A hole is bridged by the length of
    /// the sample before it (the fragment's start where there is none); what comes too early is dropped.
    fn place(mut end: Option<i64>, zero: MonoTime, part: &'a FragmentPackets) -> Self {
        let mut sound = Self::default();
        for packet in part.of(Track::Audio) {
            let at = ticks(packet.pts.micros_since(zero), AUDIO_HZ);
            if at < 0 || packet.data.is_empty() {
                continue;
            }
            let begin = match end {
                Some(end) if at < end - AUDIO_SLACK_TICKS => continue,
                Some(end) if at <= end + AUDIO_SLACK_TICKS => end,
                _ => at,
            };
            match sound.entries.last_mut() {
                Some(last) => {
                    let hole = begin - end.unwrap_or(begin);
                    last.duration = last.duration.map(|d| d.saturating_add(hole.clamp(0, i64::from(u32::MAX)) as u32));
                }
                None => sound.begin_ticks = begin,
            }
            let duration = opus::samples(&packet.data).unwrap_or(OPUS_PACKET_TICKS as u32);
            sound.entries.push(TrunEntry {
                duration: Some(duration),
                size: Some(packet.data.len() as u32),
                ..Default::default()
            });
            sound.packets.push(packet);
            end = Some(begin + i64::from(duration));
        }
        sound.end_ticks = end;
        sound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::Arc;

    fn audio(ms: &[i64]) -> FragmentPackets {
        let packet = |ms: &i64| {
            let data = Bytes::from_static(&[0xf8, 1, 2]);
            Arc::new(perch_domain::media::Packet::new(Track::Audio, data, MonoTime(*ms * 1000), true))
        };
        FragmentPackets { packets: ms.iter().map(packet).collect(), ..Default::default() }
    }

    fn placed(end: Option<i64>, ms: &[i64]) -> (i64, Vec<u32>, Option<i64>) {
        let part = audio(ms);
        let s = Sound::place(end, MonoTime(0), &part);
        (s.begin_ticks, s.entries.iter().filter_map(|e| e.duration).collect(), s.end_ticks)
    }

    #[test]
    fn sound_is_seamless_and_never_strays() {
        assert_eq!(placed(None, &[-5, 15, 35]), (720, vec![960, 960], Some(2640)), "before the file: dropped");
        assert_eq!(placed(Some(960), &[22, 38, 61]), (960, vec![960; 3], Some(3840)), "jitter is not heard");
        assert_eq!(placed(Some(960), &[100, 120]), (4800, vec![960; 2], Some(6720)), "a hole before the fragment");
        assert_eq!(placed(Some(960), &[20, 140]), (960, vec![5760, 960], Some(7680)), "a hole inside");
        assert_eq!(placed(Some(9600), &[20, 40, 200]), (9600, vec![960], Some(10560)), "sent twice: dropped");
        assert_eq!(placed(Some(960), &[]), (0, vec![], Some(960)));
    }

    #[test]
    fn reference_times_round_trip_beyond_2036() {
        for text in [
            "2026-05-01T12:34:56.789123Z",
            "1970-01-01T00:00:00Z",
            "2036-02-07T06:28:15.999999Z",
            "2040-01-01T00:00:00.000001Z",
        ] {
            let t = Timestamp::parse(text).expect("valid");
            let mut out = vec![];
            reference_time(t, &mut out).expect("encoded");
            let ntp = u64::from_be_bytes(out[16..24].try_into().expect("eight bytes"));
            assert_eq!(ntp_to_timestamp(ntp, t.plus_micros(-999_999)), t, "{text}");
        }
    }
}
