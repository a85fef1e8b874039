//! Light: how a change of light or exposure has moved the grey levels of the background, measured on the cells that nothing
//! covers. A single gain will not do: near white a camera saturates, and its tone curve treats dark and bright unlike.

use super::grid::CELLS;

/// Bins a unit of ratio; the histogram covers ratios below 4.
const BINS_PER_UNIT: f32 = 256.0;
/// Added to both grey levels, so that noise in the dark does not make wild ratios.
const PEDESTAL: f32 = 4.0;
/// Bands of grey levels, each with its own shift.
const BANDS: usize = 16;
/// Grey levels a band.
const BAND: usize = 256 / BANDS;
/// Shifts of up to this many grey levels are distinguished.
const REACH: usize = 64;
/// A band moves by at most this many grey levels for a gain of 2, and only the way the gain goes: while the light holds still
/// no band moves, however much of it a thing covers.
const BAND_LIMIT: f32 = 220.0;

/// Histograms of ratios and shifts, and the tone curve read from them; reused from picture to picture.
#[derive(Clone, Debug)]
pub(super) struct Light {
    ratios: Vec<u32>,
    shifts: Vec<u32>,
    curve: Box<[f32; 256]>,
}

impl Light {
    pub(super) fn new() -> Self {
        Self {
            ratios: vec![0; 4 * BINS_PER_UNIT as usize],
            shifts: vec![0; BANDS * 2 * REACH],
            curve: Box::new([0.0; 256]),
        }
    }

    /// Measures a picture against the background where, as far as the last picture showed, nothing covers it (`mask` 0).
    /// Returns the gain, the median ratio of picture to background; 1 where too few cells can tell.
    pub(super) fn measure(&mut self, picture: &[f32], background: &[f32], mask: &[u8]) -> f32 {
        self.ratios.fill(0);
        self.shifts.fill(0);
        for ((p, b), m) in picture.iter().zip(background).zip(mask).step_by(2) {
            if *m != 0 {
                continue;
            }
            let shift = usize::from((p - b + REACH as f32) as u8).min(2 * REACH - 1);
            self.shifts[band_of(*b) * 2 * REACH + shift] += 1;
            if *b > 16.0 && *b < 240.0 && *p < 250.0 {
                let bin = ((p + PEDESTAL) / (b + PEDESTAL) * BINS_PER_UNIT) as u16;
                if let Some(count) = self.ratios.get_mut(usize::from(bin)) {
                    *count += 1;
                }
            }
        }
        let gain = median(&self.ratios, CELLS as u32 / 20).map_or(1.0, |bin| bin / BINS_PER_UNIT);
        self.draw_curve(gain);
        gain
    }

    /// Brings grey levels to the light of the picture last measured. Negative levels stand for "nothing" and stay.
    pub(super) fn apply(&self, levels: &mut [f32]) {
        for l in levels {
            // To the nearest that there is, as for all of these: far quicker than by way of a wide integer.
            let shift = self.curve[usize::from(*l as u8)];
            *l = if *l >= 0.0 { (*l + shift).clamp(0.0, 255.0) } else { *l };
        }
    }

    fn draw_curve(&mut self, gain: f32) {
        let mut bands = [0.0; BANDS];
        for (i, (band, counts)) in bands.iter_mut().zip(self.shifts.chunks_exact(2 * REACH)).enumerate() {
            let by_gain = (gain - 1.0) * (i * BAND + BAND / 2) as f32;
            let shift = median(counts, CELLS as u32 / 200).map_or(by_gain, |bin| bin - REACH as f32);
            let limit = (gain - 1.0) * BAND_LIMIT;
            *band = shift.clamp(limit.min(0.0), limit.max(0.0));
        }
        for (level, shift) in self.curve.iter_mut().enumerate() {
            let at = (level as f32 / BAND as f32 - 0.5).clamp(0.0, (BANDS - 1) as f32);
            let low = (at as usize).min(BANDS - 2);
            *shift = bands[low] + (at - low as f32) * (bands[low + 1] - bands[low]);
        }
    }
}

fn band_of(level: f32) -> usize {
    (usize::from(level as u8) / BAND).min(BANDS - 1)
}

/// The median of a histogram in bins, unless it counts fewer than `least`.
fn median(counts: &[u32], least: u32) -> Option<f32> {
    let total: u32 = counts.iter().sum();
    if total < least.max(1) {
        return None;
    }
    let mut before = 0;
    for (i, count) in counts.iter().enumerate() {
        if (before + count) * 2 >= total {
            return Some(i as f32 + (total as f32 * 0.5 - before as f32) / (*count).max(1) as f32);
        }
        before += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Vec<f32> {
        (0..CELLS).map(|i| (i % 200) as f32 + 30.0).collect()
    }

    #[test]
    fn a_gain_with_saturation_is_followed_and_an_object_does_not_sway_it() {
        let background = ramp();
        let mut picture: Vec<f32> = background.iter().map(|b| (b * 1.2).min(255.0)).collect();
        picture[..CELLS / 3].fill(10.0);
        let mut light = Light::new();
        let gain = light.measure(&picture, &background, &vec![0; CELLS]);
        assert!((gain - 1.2).abs() < 0.03, "{gain}");
        let mut levels = [40.0, 100.0, 225.0, -1000.0];
        light.apply(&mut levels);
        for (level, expected) in levels.iter().zip([48.0f32, 120.0, 255.0, -1000.0]) {
            assert!((level - expected).abs() < 4.0, "{level} is not {expected}");
        }
    }

    #[test]
    fn in_steady_light_no_level_moves_even_where_an_object_covers_it_all() {
        let background = ramp();
        let picture: Vec<f32> = background.iter().map(|b| if *b > 200.0 { 60.0 } else { *b }).collect();
        let mut light = Light::new();
        assert!((light.measure(&picture, &background, &vec![0; CELLS]) - 1.0).abs() < 0.01);
        let mut levels = [220.0];
        light.apply(&mut levels);
        assert!((levels[0] - 220.0).abs() < 3.0, "{levels:?}");
    }

    #[test]
    fn nothing_to_measure_is_a_gain_of_one() {
        assert_eq!(Light::new().measure(&ramp(), &ramp(), &vec![1; CELLS]), 1.0);
    }
}
