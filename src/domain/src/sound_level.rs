//! How loud sound is: peak and effective value of a fifth of a second, in decibels below full scale (dBFS, AES17: a full sine is 0 dB peak
//! and -3 dB here).

use perch_base::time::{MonoTime, Timestamp};
use serde::Serialize;
use std::time::Duration;

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

/// Samples of one channel a second.
const RATE_HZ: i64 = 48_000;
/// From here on something is heard: -40 dB below full scale.
const HEARD: u16 = 328;
/// After so long without, what is heard next is a new beginning.
const PAUSE_US: i64 = 300_000;
/// A level is worth nothing after so long.
const LEVEL_FOR: Duration = Duration::from_millis(500);

/// Hears what is played: how loud it is, and when something began to be heard after silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ear {
    meter: Meter,
    level: Option<(MonoTime, SoundLevel)>,
    loud_at: Option<MonoTime>,
    began_at: Option<Timestamp>,
}

impl Ear {
    /// Takes 16-bit samples (little endian) of one channel at 48 kHz, of which the first is played at this moment on both clocks.
    pub fn hear(&mut self, (at, utc): (MonoTime, Timestamp), samples: &[u8]) {
        for (n, pair) in samples.chunks_exact(2).enumerate() {
            if i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() < HEARD {
                continue;
            }
            let since_us = n as i64 * 1_000_000 / RATE_HZ;
            let now = MonoTime(at.0 + since_us);
            if self.loud_at.is_none_or(|loud| now.0 - loud.0 > PAUSE_US) {
                self.began_at = Some(utc.plus_micros(since_us));
            }
            self.loud_at = Some(now);
        }
        if let Some(level) = self.meter.hear(samples) {
            self.level = Some((at, level));
        }
    }

    /// How loud it is now; nothing where nothing is played.
    pub fn level(&self, now: MonoTime) -> Option<SoundLevel> {
        self.level.filter(|(at, _)| now.since(*at) < LEVEL_FOR).map(|(_, level)| level)
    }

    /// When something began to be heard last.
    pub fn began_at(&self) -> Option<Timestamp> {
        self.began_at
    }

    /// Whether something was heard within `lately` before `now`.
    pub fn hears(&self, now: MonoTime, lately: Duration) -> bool {
        self.loud_at.is_some_and(|loud| now.since(loud) < lately)
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

    #[test]
    fn a_beginning_is_the_first_loud_sample_after_a_pause() {
        let mut ear = Ear::default();
        let tick = |at: usize| samples(move |i| if i == at { 0.5 } else { 0.001 }, 960);
        let at = |us: i64| (MonoTime(us), Timestamp(us + 5));
        ear.hear(at(0), &tick(480));
        assert_eq!(ear.began_at(), Some(Timestamp(10_005)));
        ear.hear(at(200_000), &tick(0));
        assert_eq!(ear.began_at(), Some(Timestamp(10_005)), "it goes on");
        ear.hear(at(600_000), &tick(48));
        assert_eq!(ear.began_at(), Some(Timestamp(601_005)));
        assert!(ear.hears(MonoTime(700_000), Duration::from_millis(100)));
        assert!(!ear.hears(MonoTime(701_000), Duration::from_millis(100)));
    }

    #[test]
    fn a_level_is_of_now() {
        let mut ear = Ear::default();
        ear.hear((MonoTime(0), Timestamp(0)), &samples(|_| 0.5, WINDOW_SAMPLES));
        assert!(ear.level(MonoTime(400_000)).expect("a window is full").peak_db > -7.0);
        assert_eq!(ear.level(MonoTime(500_000)), None);
    }
}
