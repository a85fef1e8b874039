//! How much later a microphone hears what a loudspeaker plays: found from how loud both are from one hundredth of a second to the next. A
//! canceller wants its reference just before the echo; rooms, cards and buffers differ by more than it can search.

use perch_base::time::MonoTime;
use std::time::Duration;

/// One look at how loud it is.
const FRAME_US: i64 = 10_000;
/// What is compared: 3 s.
const WINDOW: i64 = 300;
/// What is kept, with room for the longest delay.
const KEPT: usize = 512;
/// The longest delay that is looked for: 300 ms.
const MAX_LAG: i64 = 30;
/// Compared anew each half second.
const EVERY: i64 = 50;
/// How alike both must be: 1 is the same.
const ALIKE: f64 = 0.6;
/// The reference goes ahead of the echo by so much.
const AHEAD: i64 = 2;
/// So many samples (16 bit, one channel) at 48 kHz are a look.
const FRAME_SAMPLES: usize = 480;

/// How loud something was, look by look.
#[derive(Clone, Debug)]
struct Envelope(Vec<(i64, f64)>);

impl Envelope {
    fn hear(&mut self, at: MonoTime, samples: &[u8]) -> i64 {
        let mut newest = at.0.div_euclid(FRAME_US);
        for (n, piece) in samples.chunks(2 * FRAME_SAMPLES).enumerate() {
            newest = (at.0 + n as i64 * FRAME_US).div_euclid(FRAME_US);
            let energy: f64 = piece.chunks_exact(2).map(|b| f64::from(i16::from_le_bytes([b[0], b[1]])).powi(2)).sum();
            let slot = &mut self.0[newest.rem_euclid(KEPT as i64) as usize];
            if slot.0 != newest {
                *slot = (newest, 0.0);
            }
            slot.1 += energy;
        }
        newest
    }

    /// In decibels of some kind; silence where nothing is known.
    fn at(&self, frame: i64) -> f64 {
        let (of, energy) = self.0[frame.rem_euclid(KEPT as i64) as usize];
        if of == frame { (energy / FRAME_SAMPLES as f64 + 10.0).log10() } else { 1.0 }
    }
}

/// Finds the delay of one loudspeaker and one microphone.
#[derive(Clone, Debug)]
pub struct EchoDelay {
    far: Envelope,
    near: Envelope,
    looked_at: i64,
    /// What the last look found.
    found: Option<i64>,
    lead: i64,
}

impl Default for EchoDelay {
    fn default() -> Self {
        let silence = || Envelope(vec![(i64::MIN, 0.0); KEPT]);
        Self { far: silence(), near: silence(), looked_at: 0, found: None, lead: 0 }
    }
}

impl EchoDelay {
    /// These samples are played from `at` on.
    pub fn played(&mut self, at: MonoTime, samples: &[u8]) {
        self.far.hear(at, samples);
    }

    /// These samples were heard from `at` on.
    pub fn heard(&mut self, at: MonoTime, samples: &[u8]) {
        let newest = self.near.hear(at, samples);
        if newest - self.looked_at < EVERY {
            return;
        }
        self.looked_at = newest;
        let found = self.compare(newest);
        // Two looks agree, and what is done now is far from both.
        let agrees = found.zip(self.found).is_some_and(|(a, b)| (a - b).abs() <= 1);
        self.found = found;
        if let Some(lag) = found.filter(|_| agrees) {
            let lead = (lag - AHEAD).max(0);
            if (lead - self.lead).abs() > 2 || lead > lag {
                self.lead = lead;
            }
        }
    }

    /// By how much the reference is to be said to be played later than it is.
    pub fn lead(&self) -> Duration {
        Duration::from_micros((self.lead * FRAME_US) as u64)
    }

    /// The delay at which both are most alike, if they are.
    fn compare(&self, newest: i64) -> Option<i64> {
        let near: Vec<f64> = (newest - WINDOW..newest).map(|n| self.near.at(n)).collect();
        let likeness = |lag: i64| {
            let far: Vec<f64> = (newest - WINDOW..newest).map(|n| self.far.at(n - lag)).collect();
            correlation(&far, &near)
        };
        let best = (0..=MAX_LAG).map(|lag| (lag, likeness(lag))).max_by(|a, b| a.1.total_cmp(&b.1))?;
        (best.1 >= ALIKE).then_some(best.0)
    }
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
    let (of_a, of_b) = (mean(a), mean(b));
    let (mut both, mut alone_a, mut alone_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - of_a, b - of_b);
        both += a * b;
        alone_a += a * a;
        alone_b += b * b;
    }
    // Silence is like nothing.
    if alone_a < 1.0 || alone_b < 1.0 { 0.0 } else { both / (alone_a * alone_b).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10 ms of noise as loud as said.
    fn piece(n: usize, loud: f64) -> Vec<u8> {
        let mut noise = (n as u32).wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(noise >> 16) / 32_768.0 - 1.0
        };
        (0..FRAME_SAMPLES).flat_map(|_| ((next() * loud * 20_000.0) as i16).to_le_bytes()).collect()
    }

    /// Syllables.
    fn loudness(n: usize) -> f64 {
        let s = n as f64 / 100.0;
        (7.0 * s).sin().powi(2) * (0.5 + 0.5 * (2.3 * s).sin())
    }

    fn lead_ms(delay: usize, near: impl Fn(usize) -> f64) -> u128 {
        let mut found = EchoDelay::default();
        for n in 0..600 {
            let at = |n: usize| MonoTime(n as i64 * FRAME_US + 3_000);
            found.played(at(n), &piece(n, loudness(n)));
            let echo = n.checked_sub(delay).map_or(0.0, loudness) * 0.5;
            found.heard(at(n), &piece(n + 7, echo + near(n)));
        }
        found.lead().as_millis()
    }

    #[test]
    fn the_reference_leads_the_echo_by_a_little() {
        for (delay, lead) in [(0, 0), (1, 0), (10, 80), (25, 230)] {
            let found = lead_ms(delay, |_| 0.0);
            assert!(found.abs_diff(lead) <= 10, "{delay}0 ms: {found} ms");
        }
    }

    #[test]
    fn nothing_is_found_where_there_is_no_echo() {
        assert_eq!(lead_ms(10_000, |_| 0.0), 0, "silence");
        assert_eq!(lead_ms(10_000, |n| loudness(n * 3 / 2 + 71)), 0, "somebody else speaks");
    }
}
