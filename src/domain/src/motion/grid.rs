//! The grid of cells the detector works on (2 x 2 pixels a cell): filling it from a picture, zones and masks on it, and
//! the small neighbourhood filters over it.

use super::{LUMA_HEIGHT, LUMA_WIDTH, MotionConfig};

/// Cells in a row.
pub(super) const COLS: usize = LUMA_WIDTH / 2;
/// Rows of cells.
pub(super) const ROWS: usize = LUMA_HEIGHT / 2;
/// Cells in all.
pub(super) const CELLS: usize = COLS * ROWS;

/// Fills `cells` with the mean grey level, 0..255, of each 2 x 2 pixels. `pixels` holds a whole picture.
pub(super) fn shrink(pixels: &[u8], cells: &mut [f32]) {
    for (lines, out) in pixels.chunks_exact(2 * LUMA_WIDTH).zip(cells.chunks_exact_mut(COLS)) {
        let (upper, lower) = lines.split_at(LUMA_WIDTH);
        for ((u, l), o) in upper.chunks_exact(2).zip(lower.chunks_exact(2)).zip(out) {
            let sum = u16::from(u[0]) + u16::from(u[1]) + u16::from(l[0]) + u16::from(l[1]);
            *o = f32::from(sum) * 0.25;
        }
    }
}

/// Which cells may hold motion: inside any zone (everywhere where none is given) and outside every mask. 1 = may, 0 = may not.
pub(super) fn allowed(config: &MotionConfig) -> Vec<u8> {
    (0..CELLS)
        .map(|i| {
            let x = ((i % COLS) as f32 + 0.5) / COLS as f32;
            let y = ((i / COLS) as f32 + 0.5) / ROWS as f32;
            let inside = config.zones.is_empty() || config.zones.iter().any(|z| z.contains(x, y));
            u8::from(inside && !config.masks.iter().any(|m| m.contains(x, y)))
        })
        .collect()
}

/// The least and the greatest value among each cell and its 8 neighbours, into `low` and `high`. `across` is scratch.
pub(super) fn range_3x3(plane: &[f32], across: &mut [Vec<f32>; 2], low: &mut [f32], high: &mut [f32]) {
    let [lows, highs] = across;
    for ((p, lo), hi) in plane.chunks_exact(COLS).zip(lows.chunks_exact_mut(COLS)).zip(highs.chunks_exact_mut(COLS)) {
        for ((w, lo), hi) in p.windows(3).zip(&mut lo[1..COLS - 1]).zip(&mut hi[1..COLS - 1]) {
            *lo = w[0].min(w[1]).min(w[2]);
            *hi = w[0].max(w[1]).max(w[2]);
        }
        let (a, b, y, z) = (p[0], p[1], p[COLS - 2], p[COLS - 1]);
        (lo[0], hi[0], lo[COLS - 1], hi[COLS - 1]) = (a.min(b), a.max(b), y.min(z), y.max(z));
    }
    for row in 0..ROWS {
        let (above, below) = (line(row.saturating_sub(1)), line((row + 1).min(ROWS - 1)));
        let rows = lows[above.clone()].iter().zip(&lows[line(row)]).zip(&lows[below.clone()]);
        for (o, ((a, b), c)) in low[line(row)].iter_mut().zip(rows) {
            *o = a.min(*b).min(*c);
        }
        let rows = highs[above].iter().zip(&highs[line(row)]).zip(&highs[below]);
        for (o, ((a, b), c)) in high[line(row)].iter_mut().zip(rows) {
            *o = a.max(*b).max(*c);
        }
    }
}

/// Counts the set cells among each cell and its 8 neighbours of `mask` (0 or 1); beyond the rim nothing is set. `across` is scratch.
pub(super) fn count_3x3(mask: &[u8], across: &mut [u8], counts: &mut [u8]) {
    for (m, out) in mask.chunks_exact(COLS).zip(across.chunks_exact_mut(COLS)) {
        for (w, o) in m.windows(3).zip(&mut out[1..COLS - 1]) {
            *o = w[0] + w[1] + w[2];
        }
        out[0] = m[0] + m[1];
        out[COLS - 1] = m[COLS - 2] + m[COLS - 1];
    }
    const NONE: [u8; COLS] = [0; COLS];
    for row in 0..ROWS {
        let above = if row > 0 { &across[line(row - 1)] } else { &NONE[..] };
        let below = if row + 1 < ROWS { &across[line(row + 1)] } else { &NONE[..] };
        for (o, ((a, b), c)) in counts[line(row)].iter_mut().zip(above.iter().zip(&across[line(row)]).zip(below)) {
            *o = a + b + c;
        }
    }
}

fn line(row: usize) -> std::ops::Range<usize> {
    row * COLS..(row + 1) * COLS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_four_pixels() {
        let mut pixels = vec![0; LUMA_WIDTH * LUMA_HEIGHT];
        (pixels[0], pixels[1], pixels[LUMA_WIDTH], pixels[LUMA_WIDTH + 1]) = (10, 20, 30, 41);
        let mut cells = vec![0.0; CELLS];
        shrink(&pixels, &mut cells);
        assert_eq!((cells[0], cells[1], cells[COLS]), (25.25, 0.0, 0.0));
    }

    #[test]
    fn neighbourhoods_reach_one_cell_and_stop_at_the_rim() {
        let (mut plane, mut mask) = (vec![5.0; CELLS], vec![0; CELLS]);
        let at = |col: usize, row: usize| row * COLS + col;
        for i in [at(0, 0), at(COLS - 1, ROWS - 1), at(10, 10)] {
            (plane[i], mask[i]) = (9.0, 1);
        }
        let (mut low, mut high, mut counts) = (vec![0.0; CELLS], vec![0.0; CELLS], vec![0; CELLS]);
        range_3x3(&plane, &mut [vec![0.0; CELLS], vec![0.0; CELLS]], &mut low, &mut high);
        count_3x3(&mask, &mut vec![0; CELLS], &mut counts);
        for (col, row) in [(1, 1), (COLS - 2, ROWS - 2), (9, 11), (11, 9)] {
            assert_eq!((low[at(col, row)], high[at(col, row)], counts[at(col, row)]), (5.0, 9.0, 1), "{col} {row}");
        }
        for (col, row) in [(2, 0), (COLS - 1, 0), (0, 1 + 1), (12, 10)] {
            assert_eq!((high[at(col, row)], counts[at(col, row)]), (5.0, 0), "{col} {row}");
        }
    }
}
