//! The chime that a camera's loudspeaker plays: two notes that ring off, as a door bell has them.

/// Samples of one channel a second.
const RATE_HZ: f64 = 48_000.0;
/// When each note begins, s, and its pitch, Hz: a third down.
const NOTES: [(f64, f64); 2] = [(0.0, 659.26), (0.35, 523.25)];
/// How long all of it lasts, s.
const LASTS_S: f64 = 1.4;

/// 16-bit samples of one channel at 48 kHz.
pub fn samples() -> Vec<i16> {
    let note = |s: f64, (begins, pitch): (f64, f64)| {
        let since = s - begins;
        if since < 0.0 {
            return 0.0;
        }
        // A quick start without a click, then it rings off; the overtone rings off sooner.
        let strength = (since / 0.005).min(1.0) * (-4.5 * since).exp();
        let turn = std::f64::consts::TAU * pitch * since;
        strength * (turn.sin() + 0.3 * (-6.0 * since).exp() * (3.0 * turn).sin())
    };
    let count = (LASTS_S * RATE_HZ) as usize;
    let all = (0..count).map(|i| i as f64 / RATE_HZ);
    all.map(|s| (NOTES.iter().map(|n| note(s, *n)).sum::<f64>() * 0.45 * 32_767.0) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_and_rings_off() {
        let all = samples();
        let peak = |part: &[i16]| part.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
        assert_eq!(all.len(), 67_200);
        assert!(all[0] == 0 && peak(&all) > 10_000 && peak(&all) < 30_000, "{}", peak(&all));
        assert!(peak(&all[all.len() - 960..]) < 500, "no click at its end");
    }
}
