//! Sound files that people upload: WAVE (Multimedia Programming Interface 1.0, part "RIFF"; WAVEFORMATEXTENSIBLE). What is taken is
//! read whole and written anew as one channel of 16 bits, so that nothing of a foreign file is kept but its sound.

use perch_base::{Error, Result};
use std::time::Duration;

/// The largest file that is read, bytes: thirty seconds of two channels of 16 bits at 48 kHz, and what programs write beside the sound.
pub const MAX_BYTES: usize = 6 << 20;
/// How long it may last.
pub const MAX_DURATION: Duration = Duration::from_secs(30);
/// Less is a click.
const MIN_DURATION: Duration = Duration::from_millis(100);
/// Samples of a channel a second.
const RATES_HZ: std::ops::RangeInclusive<u32> = 8_000..=96_000;
const MAX_CHANNELS: u16 = 2;
/// Parts of a file that are looked at.
const MAX_CHUNKS: usize = 64;
/// `wFormatTag`.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xfffe;
/// Bytes before the sound in what is written.
const HEAD_BYTES: usize = 44;

/// Sound of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WavSound {
    /// Samples a second.
    pub rate_hz: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
}

fn no_wav() -> Error {
    Error::invalid("this is no WAV file: save the sound as WAV (PCM) and upload that")
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

impl Format {
    fn read(chunk: &[u8]) -> Option<Self> {
        let tag = u16_at(chunk, 0)?;
        // The first two bytes of the subformat say which it is.
        let tag = if tag == EXTENSIBLE { u16_at(chunk, 24)? } else { tag };
        Some(Self { tag, channels: u16_at(chunk, 2)?, rate_hz: u32_at(chunk, 4)?, bits: u16_at(chunk, 14)? })
    }

    fn check(self) -> Result<Self> {
        if !matches!((self.tag, self.bits), (PCM, 8 | 16 | 24 | 32) | (FLOAT, 32)) {
            return Err(Error::invalid("the WAV file is compressed: save it as PCM, such as 16 bits, and upload that"));
        }
        if !(1..=MAX_CHANNELS).contains(&self.channels) {
            return Err(Error::invalid(format!("the WAV file has {} channels: one or two are taken", self.channels)));
        }
        if !RATES_HZ.contains(&self.rate_hz) {
            let (least, most) = (RATES_HZ.start() / 1000, RATES_HZ.end() / 1000);
            let message =
                format!("the WAV file has {} samples a second: {least} to {most} kHz are taken", self.rate_hz);
            return Err(Error::invalid(message));
        }
        Ok(self)
    }

    /// One sample, -1 to 1.
    fn sample(self, bytes: &[u8]) -> f32 {
        match (self.tag, bytes) {
            (FLOAT, [a, b, c, d]) => f32::from_le_bytes([*a, *b, *c, *d]),
            (_, [a]) => (f32::from(*a) - 128.0) / 128.0,
            (_, [a, b]) => f32::from(i16::from_le_bytes([*a, *b])) / 32_768.0,
            (_, [a, b, c]) => i32::from_le_bytes([0, *a, *b, *c]) as f32 / 2_147_483_648.0,
            (_, [a, b, c, d]) => i32::from_le_bytes([*a, *b, *c, *d]) as f32 / 2_147_483_648.0,
            _ => 0.0,
        }
    }
}

impl WavSound {
    /// Reads a file. Errors with `Invalid` and what to do.
    pub fn read(file: &[u8]) -> Result<Self> {
        if file.len() > MAX_BYTES {
            return Err(Error::invalid(format!("the WAV file is larger than {} MiB", MAX_BYTES >> 20)));
        }
        let (format, data) = parts(file)?;
        let width = usize::from(format.bits / 8);
        let each = width * usize::from(format.channels);
        let count = data.len() / each;
        let lasts = Duration::from_secs_f64(count as f64 / f64::from(format.rate_hz));
        if lasts > MAX_DURATION {
            let message =
                format!("it lasts {:.0} s: {} s are taken at most", lasts.as_secs_f64(), MAX_DURATION.as_secs());
            return Err(Error::invalid(message));
        }
        if lasts < MIN_DURATION {
            return Err(Error::invalid("there is no sound in the WAV file"));
        }
        let mix = |frame: &[u8]| {
            let sum: f32 = frame.chunks_exact(width).map(|sample| format.sample(sample)).sum();
            let mean = sum / f32::from(format.channels);
            // A float file may hold what is no number, which becomes 0; what is too loud, the loudest there is.
            (mean * 32_768.0) as i16
        };
        Ok(Self { rate_hz: format.rate_hz, samples: data.chunks_exact(each).map(mix).collect() })
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate_hz.max(1)))
    }

    /// As a file of one channel of 16 bits.
    pub fn write(&self) -> Vec<u8> {
        let data_bytes = (self.samples.len() * 2) as u32;
        let mut file = Vec::with_capacity(HEAD_BYTES + self.samples.len() * 2);
        file.extend_from_slice(b"RIFF");
        file.extend_from_slice(&(data_bytes + HEAD_BYTES as u32 - 8).to_le_bytes());
        file.extend_from_slice(b"WAVEfmt ");
        file.extend_from_slice(&16u32.to_le_bytes());
        for word in [PCM, 1] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(&self.rate_hz.to_le_bytes());
        file.extend_from_slice(&(self.rate_hz * 2).to_le_bytes());
        for word in [2u16, 16] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(b"data");
        file.extend_from_slice(&data_bytes.to_le_bytes());
        self.samples.iter().for_each(|sample| file.extend_from_slice(&sample.to_le_bytes()));
        file
    }
}

/// The format and the sound. What a file says of its length is not believed further than it goes.
fn parts(file: &[u8]) -> Result<(Format, &[u8])> {
    if file.get(..4) != Some(b"RIFF") || file.get(8..12) != Some(b"WAVE") {
        return Err(no_wav());
    }
    let (mut at, mut format) = (12, None);
    for _ in 0..MAX_CHUNKS {
        let (Some(name), Some(len)) = (file.get(at..at + 4), u32_at(file, at + 4)) else { break };
        let rest = &file[at + 8..];
        let len = len as usize;
        let chunk = &rest[..len.min(rest.len())];
        match name {
            b"fmt " => format = Some(Format::read(chunk).ok_or_else(no_wav)?.check()?),
            b"data" => return Ok((format.ok_or_else(no_wav)?, chunk)),
            _ => (),
        }
        // Each begins at an even place.
        at = at.saturating_add(8).saturating_add(len).saturating_add(len % 2);
    }
    Err(no_wav())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(tag: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt ".to_vec();
        let extended = tag == EXTENSIBLE;
        file.extend_from_slice(&(if extended { 40u32 } else { 16 }).to_le_bytes());
        file.extend_from_slice(&tag.to_le_bytes());
        file.extend_from_slice(&channels.to_le_bytes());
        file.extend_from_slice(&rate_hz.to_le_bytes());
        file.extend_from_slice(&[0; 6]);
        file.extend_from_slice(&bits.to_le_bytes());
        if extended {
            file.extend_from_slice(&[22, 0, 16, 0, 0, 0, 0, 0, 1, 0]);
            file.extend_from_slice(&[0; 14]);
        }
        file.extend_from_slice(b"data");
        file.extend_from_slice(&(data.len() as u32).to_le_bytes());
        file.extend_from_slice(data);
        file
    }

    #[test]
    fn files_of_all_kinds_become_one_channel() {
        let seconds = |bytes: &[u8], times: usize| bytes.repeat(times);
        for (what, file, first, count) in [
            ("16 bits", file(PCM, 1, 8000, 16, &seconds(&[0, 0x40], 8000)), 16_384, 8000),
            ("two channels", file(PCM, 2, 8000, 16, &seconds(&[0, 0x40, 0, 0xc0], 8000)), 0, 8000),
            ("8 bits", file(PCM, 1, 8000, 8, &seconds(&[192], 8000)), 16_384, 8000),
            ("24 bits", file(PCM, 1, 8000, 24, &seconds(&[0, 0, 0x40], 8000)), 16_384, 8000),
            ("32 bits", file(PCM, 1, 8000, 32, &seconds(&[0, 0, 0, 0x40], 8000)), 16_384, 8000),
            ("float", file(FLOAT, 1, 8000, 32, &seconds(&0.5f32.to_le_bytes(), 8000)), 16_384, 8000),
            ("no number", file(FLOAT, 1, 8000, 32, &seconds(&f32::NAN.to_le_bytes(), 8000)), 0, 8000),
            ("too loud", file(FLOAT, 1, 8000, 32, &seconds(&9e9f32.to_le_bytes(), 8000)), 32_767, 8000),
            ("extensible", file(EXTENSIBLE, 1, 8000, 16, &seconds(&[0, 0x40], 8000)), 16_384, 8000),
        ] {
            let sound = WavSound::read(&file).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!((sound.rate_hz, sound.samples[0], sound.samples.len()), (8000, first, count), "{what}");
            assert_eq!(sound.duration(), Duration::from_secs(1));
            let again = WavSound::read(&sound.write()).expect("our own");
            assert!(again == sound, "{what}: it comes back as it was written");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        let second = vec![0; 16_000];
        for (file, why) in [
            (Vec::new(), "this is no WAV file"),
            (b"ID3\x04 an MP3".to_vec(), "this is no WAV file"),
            (b"RIFF\0\0\0\0AVI LIST".to_vec(), "this is no WAV file"),
            (b"RIFF\0\0\0\0WAVEdata\0\0\0\0".to_vec(), "this is no WAV file"),
            (file(0x55, 1, 8000, 16, &second), "the WAV file is compressed"),
            (file(PCM, 6, 8000, 16, &second), "the WAV file has 6 channels"),
            (file(PCM, 0, 8000, 16, &second), "the WAV file has 0 channels"),
            (file(PCM, 1, 4_000_000, 16, &second), "the WAV file has 4000000 samples a second"),
            (file(PCM, 1, 0, 16, &second), "the WAV file has 0 samples a second"),
            (file(PCM, 1, 8000, 8, &vec![0; 8000 * 31]), "it lasts 31 s"),
            (file(PCM, 1, 8000, 16, &[1, 2]), "there is no sound"),
            (vec![0; MAX_BYTES + 1], "the WAV file is larger than 6 MiB"),
        ] {
            let e = WavSound::read(&file).expect_err("refused");
            assert!(e.message().starts_with(why), "{e}, not {why}");
        }
    }

    #[test]
    fn a_length_that_lies_is_not_believed() {
        let mut lying = file(PCM, 1, 8000, 16, &vec![0; 16_000]);
        let at = lying.len() - 16_000 - 4;
        lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(WavSound::read(&lying).expect("its sound is there").samples.len(), 8000);
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..60usize) {
            let mut damaged = file(PCM, 1, 8000, 16, &vec![7; 4000]);
            for (n, byte) in bytes.iter().enumerate() {
                if let Some(place) = damaged.get_mut(at + n * 3) {
                    *place = *byte;
                }
            }
            for file in [&bytes, &damaged] {
                if let Ok(sound) = WavSound::read(file) {
                    prop_assert!(sound.duration() <= MAX_DURATION && RATES_HZ.contains(&sound.rate_hz));
                }
            }
        }
    }
}
