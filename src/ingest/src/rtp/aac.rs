//! AAC out of RTP packets: `mpeg4-generic` (RFC 3640) and `MP4A-LATM` (RFC 6416), and what their configurations say (ISO 14496-3).

use super::text::{from_hex, number};
use crate::format::PayloadType;
use bytes::Bytes;

/// Most bytes of an access unit: 6,144 bits a channel (ISO 14496-3 4.5.1.1), of up to 48 channels.
const MAX_UNIT_BYTES: usize = 64 << 10;
/// Most access units of a packet.
const MAX_UNITS: usize = 256;

/// What an AudioSpecificConfig says (ISO 14496-3 1.6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Samples a second of the core coder.
    pub rate_hz: u32,
    /// Channels.
    pub channels: u16,
    /// Samples an access unit.
    pub unit_samples: u32,
}

const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Bits, highest first, without the escapes of NAL units.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    fn u(&mut self, count: usize) -> Option<u32> {
        let mut n = 0u32;
        for _ in 0..count.min(32) {
            let byte = self.data.get(self.at / 8)?;
            n = n << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(n)
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        if self.at + count * 8 > self.data.len() * 8 {
            return None;
        }
        (0..count).map(|_| self.u(8).map(|byte| byte as u8)).collect()
    }
}

impl Config {
    /// Reads a configuration. `None` for what is no AAC.
    pub fn parse(config: &[u8]) -> Option<Self> {
        Self::read(&mut Reader::new(config))
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let begin = r.at;
        let object = |r: &mut Reader<'_>| {
            Some(match r.u(5)? {
                31 => 32 + r.u(6)?,
                kind => kind,
            })
        };
        let rate = |r: &mut Reader<'_>| match r.u(4)? {
            15 => r.u(24),
            n => RATES.get(n as usize).copied(),
        };
        let mut kind = object(r)?;
        let rate_hz = rate(r).filter(|rate| (1_000..=192_000).contains(rate))?;
        let mut channels = match r.u(4)? {
            n @ 0..=6 => n as u16,
            7 => 8,
            _ => return None,
        };
        if matches!(kind, 5 | 29) {
            rate(r)?;
            kind = object(r)?;
        }
        // Main, LC, SSR, LTP, and those with error resilience.
        if !matches!(kind, 1..=4 | 17 | 19 | 23 | 39) {
            return None;
        }
        let short = r.u(1)? == 1;
        if r.u(1)? == 1 {
            r.u(14)?;
        }
        r.u(1)?;
        if channels == 0 {
            channels = program_channels(r, begin)?;
        }
        let unit_samples = match (kind, short) {
            (23 | 39, true) => 480,
            (23 | 39, false) => 512,
            (_, true) => 960,
            (_, false) => 1024,
        };
        Some(Self { rate_hz, channels, unit_samples })
    }

    /// A configuration of AAC-LC, for cameras that send none.
    pub fn low_complexity(rate_hz: u32, channels: u16) -> Option<Bytes> {
        let index = RATES.iter().position(|rate| *rate == rate_hz)? as u16;
        let channels = if channels == 8 { 7 } else { channels.clamp(1, 6) };
        Some(Bytes::copy_from_slice(&(2 << 11 | index << 7 | channels << 3).to_be_bytes()))
    }
}

/// The channels of a program config element (ISO 14496-3 4.4.1.1), in a configuration that begins at bit `begin`.
fn program_channels(r: &mut Reader<'_>, begin: usize) -> Option<u16> {
    r.u(4 + 2 + 4)?;
    let (front, side, back) = (r.u(4)?, r.u(4)?, r.u(4)?);
    let (low, data, coupling) = (r.u(2)?, r.u(3)?, r.u(4)?);
    for mixdown_bits in [4, 4, 3] {
        if r.u(1)? == 1 {
            r.u(mixdown_bits)?;
        }
    }
    let mut channels = low as u16;
    for _ in 0..front + side + back {
        channels += if r.u(1)? == 1 { 2 } else { 1 };
        r.u(4)?;
    }
    for _ in 0..low + data {
        r.u(4)?;
    }
    for _ in 0..coupling {
        r.u(5)?;
    }
    r.u((8 - (r.at - begin) % 8) % 8)?;
    for _ in 0..r.u(8)? {
        r.u(8)?;
    }
    (1..=8).contains(&channels).then_some(channels)
}

/// A whole access unit, and how many units of its packet come before it.
pub(crate) type AacUnit = (Bytes, u32);

/// Access units of `mpeg4-generic`.
#[derive(Debug)]
pub(crate) struct Generic {
    size_bits: usize,
    index_bits: usize,
    delta_bits: usize,
    /// Bits of a header beside size and index: times, and flags.
    times: [usize; 2],
    random_access: bool,
    stream_state_bits: usize,
    auxiliary_bits: usize,
    constant_size: usize,
    /// A unit that came in part, and its whole size.
    open: Option<(Vec<u8>, usize)>,
}

impl Generic {
    /// By the parameters of the SDP (RFC 3640 4.1); what they leave out as the mode has it.
    pub fn new(format: &PayloadType) -> Self {
        let get = |name: &str| format.parameter(name).and_then(number).map(|n| (n as usize).min(32));
        let constant_size = format.parameter("constantsize").and_then(number).unwrap_or(0) as usize;
        let mode = format.parameter("mode").unwrap_or("AAC-hbr").to_ascii_lowercase();
        let (size, index) = if mode == "aac-lbr" { (6, 2) } else { (13, 3) };
        let unsaid = get("sizelength").is_none() && constant_size == 0;
        Self {
            size_bits: get("sizelength").unwrap_or(if unsaid { size } else { 0 }),
            index_bits: get("indexlength").unwrap_or(if unsaid { index } else { 0 }),
            delta_bits: get("indexdeltalength").unwrap_or(if unsaid { index } else { 0 }),
            times: [get("ctsdeltalength").unwrap_or(0), get("dtsdeltalength").unwrap_or(0)],
            random_access: get("randomaccessindication").unwrap_or(0) > 0,
            stream_state_bits: get("streamstateindication").unwrap_or(0),
            auxiliary_bits: get("auxiliarydatasizelength").unwrap_or(0),
            constant_size: constant_size.min(MAX_UNIT_BYTES),
            open: None,
        }
    }

    /// Packets are missing.
    pub fn lost(&mut self) {
        self.open = None;
    }

    /// Takes a packet. `None`: it makes no sense, something is missing.
    pub fn push(&mut self, payload: &Bytes, out: &mut Vec<AacUnit>) -> Option<()> {
        let (mut sizes, mut at) = (Vec::new(), 0);
        let has_headers = self.size_bits + self.index_bits + self.delta_bits + self.times[0] + self.times[1] > 0;
        if has_headers {
            let mut r = Reader::new(payload);
            let header_bits = r.u(16)? as usize;
            at = 2 + header_bits.div_ceil(8);
            let mut headers = Reader { data: payload.get(..at)?, at: 16 };
            while headers.at < 16 + header_bits && sizes.len() < MAX_UNITS {
                let begin = headers.at;
                let size = headers.u(self.size_bits)? as usize;
                headers.u(if sizes.is_empty() { self.index_bits } else { self.delta_bits })?;
                for bits in self.times {
                    if bits > 0 && headers.u(1)? == 1 {
                        headers.u(bits)?;
                    }
                }
                headers.u(usize::from(self.random_access))?;
                headers.u(self.stream_state_bits)?;
                if headers.at == begin {
                    break;
                }
                sizes.push(if self.size_bits > 0 { size } else { self.constant_size });
            }
        }
        if self.auxiliary_bits > 0 {
            let mut r = Reader { data: payload, at: at * 8 };
            let bits = r.u(self.auxiliary_bits)? as usize;
            at += (self.auxiliary_bits + bits).div_ceil(8);
        }
        let rest = payload.get(at..)?;
        if sizes.is_empty() {
            // No headers: units of one size, or one unit.
            let size = if self.constant_size > 0 { self.constant_size } else { rest.len().max(1) };
            sizes = vec![size; (rest.len() / size).min(MAX_UNITS)];
        }
        if let [size] = sizes[..]
            && (size > rest.len() || self.open.is_some())
        {
            return self.fragment(size, rest, out);
        }
        self.open = None;
        for (n, size) in sizes.into_iter().enumerate() {
            let end = at.checked_add(size)?;
            payload.get(at..end)?;
            if size > 0 {
                out.push((payload.slice(at..end), n as u32));
            }
            at = end;
        }
        Some(())
    }

    fn fragment(&mut self, size: usize, part: &[u8], out: &mut Vec<AacUnit>) -> Option<()> {
        if self.open.as_ref().is_some_and(|(_, open)| *open != size) {
            self.open = None;
        }
        if size > MAX_UNIT_BYTES {
            return None;
        }
        let (mut data, _) = self.open.take().unwrap_or_default();
        data.extend_from_slice(part);
        if data.len() < size {
            self.open = Some((data, size));
            return Some(());
        }
        if data.len() > size {
            return None;
        }
        out.push((data.into(), 0));
        Some(())
    }
}

/// What a StreamMuxConfig says (ISO 14496-3 1.7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mux {
    /// AudioSpecificConfig.
    pub config: Bytes,
    /// What it says.
    pub read: Config,
    subframes: u32,
    other_data_bits: u32,
}

impl Mux {
    /// From the hexadecimal digits of the SDP.
    pub fn from_sdp(config: &str) -> Option<Self> {
        Self::read(&mut Reader::new(&from_hex(config)?))
    }

    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let version = r.u(1)?;
        if version == 1 && r.u(1)? == 1 {
            return None;
        }
        let value = |r: &mut Reader<'_>| {
            let bytes = r.u(2)? as usize + 1;
            r.u(8 * bytes)
        };
        if version == 1 {
            value(r)?;
        }
        r.u(1)?;
        let subframes = r.u(6)? + 1;
        // One program of one layer is all that cameras send.
        if r.u(4)? != 0 || r.u(3)? != 0 {
            return None;
        }
        let said_bits = if version == 1 { Some(value(r)? as usize) } else { None };
        let begin = r.at;
        let read = Config::read(r)?;
        let bits = said_bits.unwrap_or(r.at - begin);
        let mut copy = Reader { data: r.data, at: begin };
        let mut config = vec![0u8; bits.min(512).div_ceil(8)];
        for bit in 0..bits.min(512) {
            config[bit / 8] |= (copy.u(1)? as u8) << (7 - bit % 8);
        }
        r.at = begin.checked_add(bits)?;
        // Frames of varying length.
        if r.u(3)? != 0 {
            return None;
        }
        r.u(8)?;
        let mut other_data_bits = 0u32;
        if r.u(1)? == 1 {
            if version == 1 {
                other_data_bits = value(r)?;
            } else {
                loop {
                    let more = r.u(1)? == 1;
                    other_data_bits = other_data_bits.checked_mul(256)?.checked_add(r.u(8)?)?;
                    if !more {
                        break;
                    }
                }
            }
        }
        if r.u(1)? == 1 {
            r.u(8)?;
        }
        Some(Self { config: config.into(), read, subframes, other_data_bits })
    }
}

/// Access units of `MP4A-LATM`.
#[derive(Debug)]
pub(crate) struct Latm {
    mux: Option<Mux>,
    /// Something else that the last packet to say what it is said.
    changed: Option<Mux>,
    in_band: bool,
    open: Vec<u8>,
}

impl Latm {
    /// `mux`: what the SDP says; `in_band`: whether packets say it too (`cpresent`, 1 where it is left out).
    pub fn new(mux: Option<Mux>, in_band: bool) -> Self {
        Self { mux, changed: None, in_band, open: Vec::new() }
    }

    /// What holds now, of the SDP or of the packets.
    pub fn mux(&self) -> Option<&Mux> {
        self.mux.as_ref()
    }

    /// Packets are missing.
    pub fn lost(&mut self) {
        self.open.clear();
    }

    /// Takes a packet. `None`: it makes no sense, something is missing.
    pub fn push(&mut self, payload: &[u8], marker: bool, out: &mut Vec<AacUnit>) -> Option<()> {
        if self.open.len() + payload.len() > MAX_UNIT_BYTES {
            self.open.clear();
            return None;
        }
        if !marker {
            self.open.extend_from_slice(payload);
            return Some(());
        }
        if self.open.is_empty() {
            return self.element(payload, out);
        }
        let mut whole = std::mem::take(&mut self.open);
        whole.extend_from_slice(payload);
        let done = self.element(&whole, out);
        whole.clear();
        self.open = whole;
        done
    }

    /// A packet says what it is. `None`: something else than before. One may be damaged: what two say that follow each other is believed.
    fn believe(&mut self, said: Mux) -> Option<()> {
        let before = self.changed.take();
        if self.mux.as_ref().is_some_and(|mux| *mux != said) && before.as_ref() != Some(&said) {
            self.changed = Some(said);
            return None;
        }
        self.mux = Some(said);
        Some(())
    }

    /// AudioMuxElement (1.7.3.1).
    fn element(&mut self, data: &[u8], out: &mut Vec<AacUnit>) -> Option<()> {
        let mut r = Reader::new(data);
        if self.in_band && r.u(1)? == 0 {
            self.believe(Mux::read(&mut r)?)?;
        }
        let mux = self.mux.as_ref()?;
        for n in 0..mux.subframes {
            let mut size = 0usize;
            loop {
                let byte = r.u(8)?;
                size += byte as usize;
                if byte != 255 {
                    break;
                }
            }
            let unit = r.bytes(size)?;
            if !unit.is_empty() {
                out.push((unit.into(), n));
            }
            if self.in_band {
                r.at = r.at.checked_add(mux.other_data_bits as usize)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
#[path = "aac_tests.rs"]
mod tests;
