//! Sound out of RTP packets, and how long it lasts.

use super::aac::{AacUnit, Config, Generic, Latm, Mux};
use super::mpeg_audio::{Head, MpegAudio};
use super::text::number;
use crate::format::PayloadType;
use bytes::Bytes;
use perch_base::time::MonoTime;
use perch_domain::ingest::{SoundCodec, SoundFormat};
use std::ops::RangeInclusive;
use std::time::Duration;

/// Some sound of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// As the codec says.
    pub data: Bytes,
    /// How much later than its packet's time stamp it begins, in ticks.
    pub later_ticks: u32,
    /// How long it lasts.
    pub lasts: Duration,
}

/// Samples a second of sound whose rate the description says: at one sample a second a packet is minutes, and a resampler makes millions
/// of samples of it; at a billion its filter is as long.
const RATES_HZ: RangeInclusive<u32> = 4_000..=192_000;
/// How much faster than time sound may come, as some clocks run at another rate than is said, and how much at once.
const MOST_PACE: u32 = 4;
const MOST_AT_ONCE: Duration = Duration::from_secs(20);
/// What a frame counts at least.
const LEAST_COUNTED: Duration = Duration::from_millis(1);

/// Whether sound comes as fast as it can be meant: who decodes all that a camera may send is busy with nothing else.
#[derive(Debug)]
pub(crate) struct SoundPace {
    left: Duration,
    earned_at: MonoTime,
}

impl SoundPace {
    /// Of a track of which nothing came yet.
    pub fn new() -> Self {
        Self { left: MOST_AT_ONCE, earned_at: MonoTime::default() }
    }

    /// Whether sound that lasts as long may come now; counts it.
    pub fn allows(&mut self, at: MonoTime, lasts: Duration) -> bool {
        let earned = at.since(self.earned_at).saturating_mul(MOST_PACE);
        self.left = self.left.saturating_add(earned).min(MOST_AT_ONCE);
        self.earned_at = self.earned_at.max(at);
        let rest = self.left.checked_sub(lasts.max(LEAST_COUNTED));
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }
}

/// How packets of a codec are taken apart.
#[derive(Debug)]
enum SoundKind {
    Opus,
    /// So many bits a second, of whole groups of bytes: where there are several channels, one of each.
    Constant {
        bits_per_s: u64,
        group: usize,
    },
    /// Linear: 8 bits, unsigned, or 16 or 24.
    Linear {
        bytes: usize,
        channels: usize,
    },
    Generic {
        packets: Generic,
        config: Config,
    },
    Latm {
        packets: Latm,
        config: Config,
    },
    Mpeg {
        packets: MpegAudio,
        frames: Vec<(Head, Bytes)>,
    },
    /// Handed on as it comes.
    Other,
}

/// Takes the packets of a track apart.
#[derive(Debug)]
pub(crate) struct SoundPackets {
    kind: SoundKind,
    format: SoundFormat,
    clock_hz: u32,
    units: Vec<AacUnit>,
    /// The format was another one until now.
    has_changed: bool,
}

/// Letters and digits of a name from outside, at most 32.
pub(crate) fn tame(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(32).collect()
}

/// Channels that decoders take. Linear sound of more is mixed to one, as any may be the one that hears something; of G.711 the first are taken.
const MOST_CHANNELS: u16 = 2;

/// What a payload type says of its sound.
fn read(payload: &PayloadType) -> (SoundFormat, SoundKind) {
    let channels = payload.channels.clamp(1, 8);
    let rate_hz = payload.clock_hz;
    let format = |codec, rate_hz, channels| SoundFormat { codec, rate_hz, channels };
    let heard = channels.min(MOST_CHANNELS);
    let g711 =
        SoundKind::Constant { bits_per_s: 8 * u64::from(rate_hz) * u64::from(channels), group: usize::from(channels) };
    let linear = |bytes| {
        let kind = SoundKind::Linear { bytes, channels: usize::from(channels) };
        (format(SoundCodec::L16, rate_hz, if channels > MOST_CHANNELS { 1 } else { channels }), kind)
    };
    let other = || (format(SoundCodec::Other(tame(&payload.encoding)), rate_hz, channels), SoundKind::Other);
    match payload.encoding.as_str() {
        "OPUS" => (format(SoundCodec::Opus, 48_000, channels.min(2)), SoundKind::Opus),
        "PCMU" | "PCMA" | "L16" | "L8" | "L24" if !RATES_HZ.contains(&rate_hz) => other(),
        "PCMU" => (format(SoundCodec::Pcmu, rate_hz, heard), g711),
        "PCMA" => (format(SoundCodec::Pcma, rate_hz, heard), g711),
        // 64 kbit/s, whatever clock is said.
        "G722" => (format(SoundCodec::G722, 16_000, 1), SoundKind::Constant { bits_per_s: 64_000, group: 1 }),
        "L16" => linear(2),
        "L8" => linear(1),
        "L24" => linear(3),
        "MPEG4-GENERIC" => {
            let said = payload.parameter("config").and_then(super::text::from_hex).filter(|c| c.len() <= 256);
            let config = match said {
                Some(config) => Some(Bytes::from(config)),
                None => Config::low_complexity(rate_hz, channels),
            };
            match config.as_ref().and_then(|config| Config::parse(config)).zip(config.clone()) {
                Some((config, bytes)) => (
                    format(SoundCodec::Aac { config: bytes }, config.rate_hz, config.channels),
                    SoundKind::Generic { packets: Generic::new(payload), config },
                ),
                None => other(),
            }
        }
        // Its frames say what it is (RFC 2250 3.5; of the static type, RFC 3551 4.5.13).
        "MPA" => (
            format(SoundCodec::MpegAudio { layer: 2 }, 48_000, channels.min(2)),
            SoundKind::Mpeg { packets: MpegAudio::default(), frames: Vec::new() },
        ),
        "MP4A-LATM" => {
            let in_band = payload.parameter("cpresent").and_then(number) != Some(0);
            let said = payload.parameter("config").map(Mux::from_sdp);
            let (mux, config) = match said {
                Some(Some(mux)) => (Some(mux.clone()), Some((mux.config, mux.read))),
                // What stands in the packets is not known yet.
                None if in_band => {
                    let config = Config::low_complexity(rate_hz, channels);
                    (None, config.and_then(|bytes| Config::parse(&bytes).map(|config| (bytes, config))))
                }
                _ => (None, None),
            };
            match config {
                Some((bytes, config)) => (
                    format(SoundCodec::Aac { config: bytes }, config.rate_hz, config.channels),
                    SoundKind::Latm { packets: Latm::new(mux, in_band), config },
                ),
                None => other(),
            }
        }
        name => {
            let (digits, high_first) = match name.strip_prefix("AAL2-G726-") {
                Some(digits) => (Some(digits), true),
                None => (name.strip_prefix("G726-").or((name == "G726").then_some("32")), false),
            };
            let kbit = digits.and_then(number).filter(|kbit| matches!(kbit, 16 | 24 | 32 | 40));
            match kbit.filter(|_| RATES_HZ.contains(&rate_hz)) {
                Some(kbit) => (
                    format(SoundCodec::G726 { bits: (kbit / 8) as u8, high_first }, rate_hz, 1),
                    SoundKind::Constant { bits_per_s: u64::from(kbit) / 8 * u64::from(rate_hz), group: 1 },
                ),
                None => other(),
            }
        }
    }
}

/// The rate of a payload type, samples a second, where it is for this alone that its sound cannot be decoded.
pub(crate) fn impossible_rate(payload: &PayloadType) -> Option<u32> {
    let name = payload.encoding.as_str();
    let is_known = matches!(name, "PCMU" | "PCMA" | "L16" | "L8" | "L24" | "MPEG4-GENERIC" | "MP4A-LATM");
    let is_taken = !matches!(format(payload).codec, SoundCodec::Other(_));
    let is_g726 = ["G726", "G726-32", "G726-16", "G726-24", "G726-40"].contains(&name.trim_start_matches("AAL2-"));
    ((is_known || is_g726) && !is_taken && !RATES_HZ.contains(&payload.clock_hz)).then_some(payload.clock_hz)
}

/// What a payload type's sound is.
pub(crate) fn format(payload: &PayloadType) -> SoundFormat {
    read(payload).0
}

impl SoundPackets {
    /// Of a payload type.
    pub fn new(payload: &PayloadType) -> Self {
        let (format, kind) = read(payload);
        Self { kind, format, clock_hz: payload.clock_hz, units: Vec::new(), has_changed: false }
    }

    /// What the sound is.
    pub fn format(&self) -> &SoundFormat {
        &self.format
    }

    /// What the sound is from the last packet on, where that is news.
    pub fn take_change(&mut self) -> Option<&SoundFormat> {
        std::mem::take(&mut self.has_changed).then_some(&self.format)
    }

    /// Packets are missing.
    pub fn lost(&mut self) {
        match &mut self.kind {
            SoundKind::Generic { packets, .. } => packets.lost(),
            SoundKind::Latm { packets, .. } => packets.lost(),
            SoundKind::Mpeg { packets, .. } => packets.lost(),
            _ => {}
        }
    }

    /// Takes a packet. False: it makes no sense, something is missing.
    pub fn push(&mut self, payload: &Bytes, marker: bool, out: &mut Vec<Frame>) -> bool {
        if payload.is_empty() {
            return true;
        }
        let mut whole = |data: Bytes, lasts: Duration| {
            if !data.is_empty() {
                out.push(Frame { data, later_ticks: 0, lasts });
            }
            true
        };
        match &mut self.kind {
            SoundKind::Opus => match opus_lasts(payload) {
                Some(lasts) => whole(payload.clone(), lasts),
                None => false,
            },
            SoundKind::Constant { bits_per_s, group } => {
                let data = payload.slice(..payload.len() / *group * *group);
                let lasts = Duration::from_nanos(data.len() as u64 * 8 * 1_000_000_000 / (*bits_per_s).max(1));
                let most = usize::from(MOST_CHANNELS);
                whole(if *group > most { first_of(&data, *group, most).into() } else { data }, lasts)
            }
            SoundKind::Linear { bytes, channels } => {
                let group = *bytes * *channels;
                let rate = u64::from(self.format.rate_hz.max(1));
                let lasts = Duration::from_nanos((payload.len() / group) as u64 * 1_000_000_000 / rate);
                let sixteen_bits = |sample: &[u8]| match *sample {
                    [a, b, ..] => i16::from_be_bytes([a, b]),
                    [a] => i16::from_be_bytes([a ^ 0x80, 0]),
                    [] => 0,
                };
                let samples =
                    payload.chunks_exact(group).flat_map(|group| group.chunks_exact(*bytes)).map(sixteen_bits);
                let data: Vec<u8> = match *channels > usize::from(MOST_CHANNELS) {
                    false => samples.flat_map(i16::to_be_bytes).collect(),
                    true => mixed(&samples.collect::<Vec<_>>(), *channels).collect(),
                };
                whole(data.into(), lasts)
            }
            SoundKind::Generic { packets, config } => {
                let done = packets.push(payload, &mut self.units).is_some();
                hand_on(&mut self.units, *config, self.clock_hz, out);
                done
            }
            SoundKind::Latm { packets, config } => {
                let done = packets.push(payload, marker, &mut self.units).is_some();
                if let Some(mux) = packets.mux()
                    && !matches!(&self.format.codec, SoundCodec::Aac { config } if *config == mux.config)
                {
                    *config = mux.read;
                    let codec = SoundCodec::Aac { config: mux.config.clone() };
                    self.format = SoundFormat { codec, rate_hz: config.rate_hz, channels: config.channels };
                    self.has_changed = true;
                }
                hand_on(&mut self.units, *config, self.clock_hz, out);
                done
            }
            SoundKind::Mpeg { packets, frames } => {
                let done = packets.push(payload, frames).is_some();
                let mut samples_before = 0;
                for (head, data) in frames.drain(..) {
                    let codec = SoundCodec::MpegAudio { layer: head.layer };
                    let format = SoundFormat { codec, rate_hz: head.rate_hz, channels: head.channels };
                    if self.format != format {
                        // What is before it in this packet would be taken for the same.
                        out.clear();
                        (self.format, self.has_changed) = (format, true);
                    }
                    let rate = u64::from(head.rate_hz);
                    let later_ticks = (samples_before * u64::from(self.clock_hz) / rate) as u32;
                    let lasts = Duration::from_nanos(u64::from(head.samples) * 1_000_000_000 / rate);
                    out.push(Frame { data, later_ticks, lasts });
                    samples_before += u64::from(head.samples);
                }
                done
            }
            SoundKind::Other => whole(payload.clone(), Duration::ZERO),
        }
    }
}

/// The mean of so many channels.
fn mixed(samples: &[i16], channels: usize) -> impl Iterator<Item = u8> {
    samples.chunks_exact(channels).flat_map(move |moment| {
        let sum: i32 = moment.iter().map(|sample| i32::from(*sample)).sum();
        ((sum / channels as i32) as i16).to_be_bytes()
    })
}

/// The first `most` bytes of each whole group of so many.
fn first_of(data: &[u8], group: usize, most: usize) -> Vec<u8> {
    data.chunks_exact(group).flat_map(|group| group.iter().take(most)).copied().collect()
}

/// Access units of one packet follow each other without a gap.
fn hand_on(units: &mut Vec<AacUnit>, config: Config, clock_hz: u32, out: &mut Vec<Frame>) {
    let rate = u64::from(config.rate_hz.max(1));
    let lasts = Duration::from_nanos(u64::from(config.unit_samples) * 1_000_000_000 / rate);
    let ticks = u64::from(config.unit_samples) * u64::from(clock_hz) / rate;
    for (data, before) in units.drain(..) {
        let later_ticks = (u64::from(before) * ticks).min(u64::from(u32::MAX >> 1)) as u32;
        out.push(Frame { data, later_ticks, lasts });
    }
}

/// How long an Opus packet lasts (RFC 6716 3.1, 3.2).
fn opus_lasts(packet: &[u8]) -> Option<Duration> {
    let toc = *packet.first()?;
    let frame_us = match toc >> 3 {
        n @ 0..=11 => [10_000, 20_000, 40_000, 60_000][usize::from(n & 3)],
        n @ 12..=15 => [10_000, 20_000][usize::from(n & 1)],
        n => [2_500, 5_000, 10_000, 20_000][usize::from(n & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 63),
    };
    let lasts = frames * frame_us;
    (1..=120_000).contains(&lasts).then(|| Duration::from_micros(lasts))
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
