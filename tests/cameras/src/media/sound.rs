//! Sound for cameras: a tone of 440 Hz, as packets of each encoding.

use super::{Absent, made};
use std::sync::Arc;

/// Packets of sound, to be looped.
#[derive(Clone, Debug)]
pub struct Track {
    /// What each packet carries, as the encoder gave it.
    pub frames: Arc<Vec<Vec<u8>>>,
    /// How long each lasts, in seconds.
    pub frame_s: f64,
    /// How far the RTP time moves on with each.
    pub ticks: u32,
    /// AudioSpecificConfig of AAC.
    pub config: Vec<u8>,
}

fn tone(rate: u32, channels: u16) -> String {
    format!("-f lavfi -i sine=f=440:r={rate}:d=2 -af volume=0.7 -ac {channels} -ar {rate}")
}

fn raw(name: &str, arguments: &str, frame_bytes: usize, frame_s: f64, ticks: u32) -> Result<Track, Absent> {
    let bytes = made(name, arguments)?;
    let frames = bytes.chunks_exact(frame_bytes).map(<[u8]>::to_vec).collect();
    Ok(Track { frames: Arc::new(frames), frame_s, ticks, config: Vec::new() })
}

/// G.711: `alaw` or `mulaw`, in packets of 20 ms.
pub fn pcm(law: &str, rate: u32) -> Result<Track, Absent> {
    let arguments = format!("{} -c:a pcm_{law} -f {law}", tone(rate, 1));
    raw(&format!("tone.{law}"), &arguments, rate as usize / 50, 0.02, rate / 50)
}

/// G.722 in packets of 20 ms; its clock is 8 kHz for 16 kHz of sound (RFC 3551 4.5.2).
pub fn g722() -> Result<Track, Absent> {
    raw("tone.g722", &format!("{} -c:a g722 -f g722", tone(16_000, 1)), 160, 0.02, 160)
}

/// G.726 of 2 to 5 bits a sample in packets of 20 ms; the first sample in an octet's high bits, or in its low ones.
pub fn g726(bits: u32, high_first: bool) -> Result<Track, Absent> {
    let name = if high_first { "g726" } else { "g726le" };
    let arguments = format!("{} -c:a {name} -code_size {bits} -f {name}", tone(8_000, 1));
    raw(&format!("tone{bits}.{name}"), &arguments, 20 * bits as usize, 0.02, 160)
}

/// L16, in packets of 5 ms.
pub fn l16(rate: u32, channels: u16) -> Result<Track, Absent> {
    let samples = rate / 200;
    let arguments = format!("{} -c:a pcm_s16be -f s16be", tone(rate, channels));
    raw(
        &format!("tone{channels}.s16be"),
        &arguments,
        samples as usize * 2 * usize::from(channels),
        f64::from(samples) / f64::from(rate),
        samples,
    )
}

/// AAC-LC access units of 1,024 samples.
pub fn aac(rate: u32, channels: u16) -> Result<Track, Absent> {
    adts(&format!("tone{channels}.aac"), &format!("{} -c:a aac -b:a 48k -f adts", tone(rate, channels)))
}

/// AAC-LC of 48 kHz with a channel for low tones beside two others: only a program config element says so (ISO 14496-3 4.4.1.1).
pub fn aac_program() -> Result<Track, Absent> {
    let tone = "-f lavfi -i sine=f=440:r=48000:d=2 -af pan=2.1|c0=c0|c1=c0|c2=c0";
    let track = adts("tone21.aac", &format!("{tone} -c:a aac -b:a 96k -f adts"))?;
    // As ffmpeg's encoder writes it: a pair in front and one for low tones.
    Ok(Track { config: vec![0x11, 0x80, 0x04, 0xc4, 0x01, 0x00, 0x20, 0x00, 0x00], ..track })
}

/// AAC-LC access units of at most 63 bytes, as AAC-lbr asks: hardly a sound.
pub fn aac_short() -> Result<Track, Absent> {
    adts("quiet.aac", "-f lavfi -i anullsrc=r=8000:cl=mono:d=2 -c:a aac -b:a 8k -f adts")
}

fn adts(name: &str, arguments: &str) -> Result<Track, Absent> {
    const RATES: [u32; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
    let bytes = made(name, arguments)?;
    let (mut frames, mut config, mut rate, mut rest) = (Vec::new(), Vec::new(), 8_000, &bytes[..]);
    while rest.len() > 7 {
        let index = rest[2] >> 2 & 15;
        let channels = (rest[2] & 1) << 2 | rest[3] >> 6;
        let length = usize::from(rest[3] & 3) << 11 | usize::from(rest[4]) << 3 | usize::from(rest[5] >> 5);
        let header = if rest[1] & 1 == 1 { 7 } else { 9 };
        rate = RATES.get(usize::from(index)).copied().unwrap_or(8_000);
        // Object type 2 (LC), the rate's index, the channels.
        config = vec![2 << 3 | index >> 1, (index & 1) << 7 | channels << 3];
        frames.push(rest[header..length].to_vec());
        rest = &rest[length..];
    }
    Ok(Track { frames: Arc::new(frames), frame_s: 1024.0 / f64::from(rate), ticks: 1024, config })
}

/// MP2 frames of 1,152 samples at 48 kHz; the RTP clock is 90 kHz (RFC 2250 3).
pub fn mp2() -> Result<Track, Absent> {
    let arguments = format!("{} -c:a mp2 -b:a 64k -f mp2", tone(48_000, 1));
    raw("tone.mp2", &arguments, 192, 0.024, 2160)
}

/// MP3 frames of 576 samples at 16 kHz, without the reservoir that ties one to the next.
pub fn mp3() -> Result<Track, Absent> {
    let arguments =
        format!("{} -c:a libmp3lame -b:a 32k -reservoir 0 -write_xing 0 -id3v2_version 0 -f mp3", tone(16_000, 1));
    raw("tone.mp3", &arguments, 144, 0.036, 3240)
}

/// Opus packets of 20 ms.
pub fn opus() -> Result<Track, Absent> {
    let bytes = made("tone.opus", &format!("{} -c:a libopus -b:a 32k -f ogg", tone(48_000, 2)))?;
    let (mut packets, mut packet, mut rest) = (Vec::new(), Vec::new(), &bytes[..]);
    // Ogg pages (RFC 3533 6): 27 bytes, lacing values, data.
    while rest.len() > 27 && rest.starts_with(b"OggS") {
        let count = usize::from(rest[26]);
        let lacing = rest[27..27 + count].to_vec();
        let mut at = 27 + count;
        for size in lacing {
            packet.extend_from_slice(&rest[at..at + usize::from(size)]);
            at += usize::from(size);
            if size < 255 {
                packets.push(std::mem::take(&mut packet));
            }
        }
        rest = &rest[at..];
    }
    let frames = packets.into_iter().filter(|p| !p.starts_with(b"Opus")).collect();
    Ok(Track { frames: Arc::new(frames), frame_s: 0.02, ticks: 960, config: Vec::new() })
}
