//! Writes the header of a recording and its fragments into a buffer. Knows nothing of files.

use super::h264::{self, TrackFormat};
use super::{AUDIO, AUDIO_HZ, VIDEO, VIDEO_HZ, opus, ticks};
use mp4_atom::{
    Audio, Avc1, Avcc, AvccExt, Codec, Dinf, Dops, Dref, DrefEntry, Encode, Ftyp, Hdlr, Mdhd, Mdia, Mfhd, Minf, Moof,
    Moov, Mvex, Mvhd, Opus, Prft, ReferenceTime, Smhd, Stbl, Stco, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun,
    TrunEntry, Url, Visual, Vmhd,
};
use perch_base::time::{MonoTime, Timestamp};
use perch_base::{Error, ErrorKind, Result};
use perch_domain::archive::Fragment;
use perch_domain::fanout::MAX_GOP_BYTES;
use perch_domain::media::{OPUS_PACKET, SharedPacket, Track};

/// A sample that decoding can start at.
const SYNC: u32 = 0x0200_0000;
/// A sample that needs others.
const NOT_SYNC: u32 = 0x0101_0000;

/// One GOP as it is written: the packets of both tracks from its keyframe to just before the next one.
#[derive(Clone, Debug, Default)]
pub struct GopPackets {
    /// Video (its first is the keyframe) and sound; each track in order, the two mixed in any way; all on one clock.
    pub packets: Vec<SharedPacket>,
    /// Presentation time of the next keyframe, or where the source stopped.
    pub end: MonoTime,
}

impl GopPackets {
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
pub(crate) fn init(format: &TrackFormat, channels: u8, out: &mut Vec<u8>) -> Result<()> {
    let brands = vec![b"iso6".into(), b"iso5".into(), b"isom".into(), b"mp41".into()];
    encode(&Ftyp { major_brand: b"iso6".into(), minor_version: 0, compatible_brands: brands }, out)?;
    let mut trak = vec![video_track(format)?];
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

fn video_track(format: &TrackFormat) -> Result<Trak> {
    let picture = h264::parse_sps(&format.sps)?;
    let mut avcc = Avcc::new(&format.sps, &format.pps)
        .map_err(|e| Error::internal("the decoder configuration cannot be written").with_source(e))?;
    avcc.ext = picture.high.map(|(chroma_format, bit_depth_luma, bit_depth_chroma)| AvccExt {
        chroma_format,
        bit_depth_luma,
        bit_depth_chroma,
        sequence_parameter_sets_ext: Vec::new(),
    });
    let visual = Visual { data_reference_index: 1, width: picture.width, height: picture.height, ..Default::default() };
    let codec = Codec::Avc1(Avc1 { visual, avcc, ..Default::default() });
    let tkhd = Tkhd { width: picture.width.into(), height: picture.height.into(), ..header(VIDEO) };
    let minf = Minf { vmhd: Some(Vmhd::default()), dinf: here(), stbl: only(codec), ..Default::default() };
    Ok(track(tkhd, VIDEO_HZ, b"vide", minf))
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
    /// Where the sound written so far ends, in ticks of its track.
    audio_end_ticks: Option<i64>,
}

/// Room for the entries of a fragment, kept from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    head: Vec<u8>,
}

/// Appends `moof` and `mdat` of one GOP to `out`, its offsets counted from the end of `out` as it comes. Copies each payload once.
/// The fragment's `offset` is 0: the caller knows where `out` will lie. Errors with `Invalid` when the GOP has no keyframe first.
pub(crate) fn fragment(
    position: &mut Position,
    format: &TrackFormat,
    zero: MonoTime,
    gop: &GopPackets,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<Fragment> {
    let video: Vec<&SharedPacket> = gop.of(Track::Video).collect();
    let first =
        *video.first().filter(|p| p.keyframe).ok_or_else(|| Error::invalid("a GOP must begin with a keyframe"))?;
    if video.iter().map(|p| p.data.len()).sum::<usize>() > MAX_GOP_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, format!("a GOP is larger than {MAX_GOP_BYTES} bytes")));
    }
    let tick = |at: MonoTime| ticks(at.micros_since(zero), VIDEO_HZ);
    let begin = tick(first.pts);
    if begin < 0 {
        return Err(Error::invalid("a GOP begins before its file"));
    }
    // Rounded positions, not rounded lengths: nothing adds up to a drift.
    let ends = video.iter().skip(1).map(|p| p.pts).chain([gop.end]).map(tick);
    let mut at = begin;
    let mut entries: Vec<TrunEntry> = Vec::with_capacity(video.len());
    for end in ends {
        let duration = (end - at).clamp(1, i64::from(u32::MAX));
        at += duration;
        entries.push(TrunEntry { duration: Some(duration as u32), size: Some(0), ..Default::default() });
    }
    entries[0].flags = Some(SYNC);
    let sound = if format.has_audio { Sound::place(position.audio_end_ticks, zero, gop) } else { Sound::default() };

    let mut moof = Moof { mfhd: Mfhd { sequence_number: position.sequence + 1 }, traf: Vec::with_capacity(2) };
    moof.traf.push(run(VIDEO, NOT_SYNC, begin, entries));
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
    let changed = parameters_differ(&first.data, format);
    for (i, packet) in video.iter().enumerate() {
        let bytes = append_sample(&packet.data, changed, out);
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
    position.audio_end_ticks = sound.end_ticks.or(position.audio_end_ticks);
    let start_us = first.pts.micros_since(zero);
    let duration_us = gop.end.micros_since(first.pts).max(1);
    Ok(Fragment { offset_bytes: 0, size_bytes: (out.len() - base) as u64, start_us, duration_us })
}

fn run(track_id: u32, flags: u32, begin_ticks: i64, entries: Vec<TrunEntry>) -> Traf {
    let tfhd = Tfhd { track_id, default_sample_flags: Some(flags), default_base_is_moof: true, ..Default::default() };
    let tfdt = Some(Tfdt { base_media_decode_time: begin_ticks.max(0) as u64 });
    let trun = vec![Trun { data_offset: Some(0), samples: entries.into() }];
    Traf { tfhd, tfdt, trun, ..Default::default() }
}

/// Whether a keyframe brings other parameter sets than the file's header holds; they are then kept in the samples.
fn parameters_differ(annexb: &[u8], format: &TrackFormat) -> bool {
    h264::nal_units(annexb)
        .filter(|nal| h264::is_parameter_set(nal))
        .any(|nal| *nal != format.sps[..] && *nal != format.pps[..])
}

/// Appends an access unit with length prefixes; returns its bytes.
fn append_sample(annexb: &[u8], with_parameters: bool, out: &mut Vec<u8>) -> u32 {
    let begin = out.len();
    for nal in h264::nal_units(annexb) {
        if h264::belongs_in_sample(nal) && (with_parameters || !h264::is_parameter_set(nal)) {
            // Fits: the GOP's size was checked.
            out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
            out.extend_from_slice(nal);
        }
    }
    (out.len() - begin) as u32
}

/// A packet's length, ticks of the sound's track.
const OPUS_PACKET_TICKS: i64 = OPUS_PACKET.as_millis() as i64 * AUDIO_HZ / 1000;
/// How far sound may stray from its time stamps before it is set right, ticks of its track.
const AUDIO_SLACK_TICKS: i64 = OPUS_PACKET_TICKS;

/// A GOP's sound on the file's time line.
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
    fn place(mut end: Option<i64>, zero: MonoTime, gop: &'a GopPackets) -> Self {
        let mut sound = Self::default();
        for packet in gop.of(Track::Audio) {
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

    fn audio(ms: &[i64]) -> GopPackets {
        let packet = |ms: &i64| {
            let data = Bytes::from_static(&[0xf8, 1, 2]);
            Arc::new(perch_domain::media::Packet::new(Track::Audio, data, MonoTime(*ms * 1000), true))
        };
        GopPackets { packets: ms.iter().map(packet).collect(), end: MonoTime(0) }
    }

    fn placed(end: Option<i64>, ms: &[i64]) -> (i64, Vec<u32>, Option<i64>) {
        let gop = audio(ms);
        let s = Sound::place(end, MonoTime(0), &gop);
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
