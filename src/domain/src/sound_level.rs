//! How loud sound is: peak and effective value of a fifth of a second, in decibels below full scale (dBFS, AES17: a full sine is 0 dB peak
//! and -3 dB here).

use serde::Serialize;

/// Samples of one channel at 48 kHz that are measured at once: a fifth of a second.
pub const WINDOW_SAMPLES: usize = 9_600;
/// What silence is said to be, dB.
pub const SILENCE_DB: f32 = -96.0;

/// How loud a fifth of a second was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SoundLevel {
    /// The largest sample, dB below full scale.
    pub peak_db: f32,
    /// The effective value, dB below full scale.
    pub rms_db: f32,
}

/// Measures 16-bit samples (little endian) of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    samples: usize,
    peak: u16,
    squares: f64,
}

impl Meter {
    /// Takes some more; says how loud it was each time a window is full, of the last one if there are several.
    pub fn hear(&mut self, samples: &[u8]) -> Option<SoundLevel> {
        let mut level = None;
        for pair in samples.chunks_exact(2) {
            let sample = i16::from_le_bytes([pair[0], pair[1]]);
            self.peak = self.peak.max(sample.unsigned_abs());
            self.squares += f64::from(sample) * f64::from(sample);
            self.samples += 1;
            if self.samples == WINDOW_SAMPLES {
                level = Some(std::mem::take(self).level());
            }
        }
        level
    }

    fn level(self) -> SoundLevel {
        let db = |part: f64| (20.0 * part.log10()).max(f64::from(SILENCE_DB)) as f32;
        let rms = (self.squares / self.samples as f64).sqrt() / 32_768.0;
        SoundLevel { peak_db: db(f64::from(self.peak) / 32_768.0), rms_db: db(rms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(of: impl Fn(usize) -> f64, n: usize) -> Vec<u8> {
        (0..n).flat_map(|i| ((of(i) * 32_767.0) as i16).to_le_bytes()).collect()
    }

    #[test]
    fn a_sine_and_silence_are_measured() {
        let sine = |part: f64| move |i: usize| part * (i as f64 * std::f64::consts::TAU / 48.0).sin();
        for (part, peak, rms) in [(1.0, 0.0, -3.0), (0.5, -6.0, -9.0), (0.1, -20.0, -23.0), (0.0, -96.0, -96.0)] {
            let level = Meter::default().hear(&samples(sine(part), WINDOW_SAMPLES)).expect("a window");
            assert!((level.peak_db - peak).abs() < 0.1 && (level.rms_db - rms).abs() < 0.1, "{part}: {level:?}");
        }
        let loudest = Meter::default().hear(&i16::MIN.to_le_bytes().repeat(WINDOW_SAMPLES)).expect("a window");
        assert_eq!((loudest.peak_db, loudest.rms_db), (0.0, 0.0));
    }

    #[test]
    fn it_is_said_once_a_window_however_it_comes() {
        let all = samples(|_| 0.5, 2 * WINDOW_SAMPLES);
        for size in [2, 7, 960, 1920, 4 * WINDOW_SAMPLES] {
            let mut meter = Meter::default();
            // A piece of odd length is cut: a sample is whole or is left out.
            let said = all.chunks(size).filter_map(|piece| meter.hear(piece)).count();
            let whole = size % 2 == 0 && size < 2 * WINDOW_SAMPLES;
            assert_eq!(said, if whole { 2 } else { 1 }, "{size}");
        }
    }
}
