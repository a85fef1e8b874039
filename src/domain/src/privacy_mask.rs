//! Which part of a picture privacy masks cover: runs of small blocks that are to be painted over. Pure; whoever has the pictures paints.

use crate::motion::Polygon;

/// A block's side, pixels: what pictures of half as many colour samples each way (4:2:0) share one of.
pub const BLOCK: usize = 2;
/// Masks of one camera at most.
pub const MOST_MASKS: usize = 32;

/// Neighbouring blocks of one row that are covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The row of blocks.
    pub row: usize,
    /// The first block.
    pub from: usize,
    /// The block behind the last.
    pub to: usize,
}

/// The blocks of a picture of `width` by `height` pixels that `masks` cover, be it in part: row by row, from left to right, none twice. What a
/// mask's outline winds around is covered, also where it crosses itself.
pub fn runs(masks: &[Polygon], width: usize, height: usize) -> Vec<Run> {
    let (columns, rows) = (width.div_ceil(BLOCK), height.div_ceil(BLOCK));
    let scale = (width as f64 / BLOCK as f64, height as f64 / BLOCK as f64);
    let scaled = |&(x, y): &(f32, f32)| (f64::from(x) * scale.0, f64::from(y) * scale.1);
    let outlines: Vec<Vec<(f64, f64)>> = masks.iter().map(|mask| mask.corners().iter().map(scaled).collect()).collect();
    let mut runs = Vec::new();
    let mut spans = Vec::new();
    for row in 0..rows {
        spans.clear();
        outlines.iter().for_each(|outline| cover(outline, row as f64, &mut spans));
        let blocks = |&(from, to): &(f64, f64)| (from.floor().max(0.0) as usize, (to.ceil() as usize).min(columns));
        let mut row_of: Vec<(usize, usize)> = spans.iter().map(blocks).filter(|(from, to)| from < to).collect();
        row_of.sort_unstable();
        for (from, to) in row_of {
            match runs.last_mut() {
                Some(Run { row: of, to: end, .. }) if *of == row && from <= *end => *end = to.max(*end),
                _ => runs.push(Run { row, from, to }),
            }
        }
    }
    runs
}

/// From where to where the area within `outline` reaches in the stripe from `top` to `top` + 1. A block of the stripe is either crossed by the
/// outline, or wholly inside or outside, which its middle tells.
fn cover(outline: &[(f64, f64)], top: f64, spans: &mut Vec<(f64, f64)>) {
    let edges = || outline.iter().zip(outline.iter().cycle().skip(1));
    let mut crossings: Vec<(f64, i32)> = Vec::new();
    let middle = top + 0.5;
    for (&a, &b) in edges() {
        let ((x1, y1), (x2, y2)) = if a.1 <= b.1 { (a, b) } else { (b, a) };
        if y2 < top || y1 > top + 1.0 {
            continue;
        }
        let at = |y: f64| if y2 > y1 { x1 + (x2 - x1) * (y - y1) / (y2 - y1) } else { x1 };
        let is_flat = y2 <= y1;
        let (from, to) = if is_flat { (x1, x2) } else { (at(y1.max(top)), at(y2.min(top + 1.0))) };
        // One that only touches the stripe's edge covers nothing of it.
        if is_flat && (y1 > top && y1 < top + 1.0) || y1.max(top) < y2.min(top + 1.0) {
            spans.push((from.min(to), from.max(to)));
        }
        if y1 <= middle && middle < y2 {
            crossings.push((at(middle), if a.1 <= b.1 { 1 } else { -1 }));
        }
    }
    crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut winding = 0;
    for pair in crossings.windows(2) {
        winding += pair[0].1;
        if winding != 0 {
            spans.push((pair[0].0, pair[1].0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(corners: &[(f32, f32)]) -> Polygon {
        Polygon::new(corners.to_vec()).expect("a polygon")
    }

    fn is_covered(runs: &[Run], column: usize, row: usize) -> bool {
        runs.iter().any(|run| run.row == row && (run.from..run.to).contains(&column))
    }

    #[test]
    fn a_box_covers_its_blocks_and_no_more() {
        let half = mask(&[(0.25, 0.5), (0.75, 0.5), (0.75, 1.0), (0.25, 1.0)]);
        let got = runs(std::slice::from_ref(&half), 16, 8);
        assert_eq!(got, [Run { row: 2, from: 2, to: 6 }, Run { row: 3, from: 2, to: 6 }]);
        // Of odd sizes the last block is half a one.
        let all = mask(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]);
        assert_eq!(runs(&[all], 5, 3), [Run { row: 0, from: 0, to: 3 }, Run { row: 1, from: 0, to: 3 }]);
        assert_eq!(runs(&[half], 0, 0), []);
        assert_eq!(runs(&[], 16, 8), []);
    }

    #[test]
    fn what_is_narrower_than_a_block_is_covered_all_the_same() {
        let hair = mask(&[(0.5, 0.1), (0.501, 0.1), (0.501, 0.9), (0.5, 0.9)]);
        let got = runs(&[hair], 64, 64);
        assert!((4..28).all(|row| is_covered(&got, 16, row)), "{got:?}");
        let flat = mask(&[(0.1, 0.55), (0.9, 0.55), (0.5, 0.55)]);
        assert!((4..28).all(|column| is_covered(&runs(std::slice::from_ref(&flat), 64, 64), column, 17)));
    }

    #[test]
    fn where_an_outline_crosses_itself_all_within_is_covered() {
        // A star of one line: its middle is wound around twice.
        let star = mask(&[(0.5, 0.05), (0.79, 0.95), (0.02, 0.39), (0.98, 0.39), (0.21, 0.95)]);
        assert!(!star.contains(0.5, 0.5), "the even-odd rule leaves its middle out");
        assert!(is_covered(&runs(&[star], 100, 100), 25, 25));
    }

    #[test]
    fn masks_that_overlap_are_one() {
        let a = mask(&[(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]);
        let b = mask(&[(0.25, 0.0), (0.75, 0.0), (0.75, 1.0), (0.25, 1.0)]);
        assert_eq!(runs(&[b, a], 16, 2), [Run { row: 0, from: 0, to: 6 }]);
    }

    /// Whether the line from `a` to `b` passes through the closed square at `(column, row)`, in blocks (Liang and Barsky).
    fn passes(a: (f64, f64), b: (f64, f64), column: usize, row: usize) -> bool {
        const NEARLY: f64 = 1e-9;
        let (mut t0, mut t1) = (0.0f64, 1.0f64);
        for (from, to, low) in [(a.0, b.0, column as f64), (a.1, b.1, row as f64)] {
            let d = to - from;
            let (low, high) = (low - NEARLY, low + 1.0 + NEARLY);
            if d == 0.0 {
                if from < low || from > high {
                    return false;
                }
                continue;
            }
            let (near, far) = ((low - from) / d, (high - from) / d);
            t0 = t0.max(near.min(far));
            t1 = t1.min(near.max(far));
        }
        t0 <= t1
    }

    /// How often the outline winds around a point.
    fn winding(outline: &[(f64, f64)], x: f64, y: f64) -> i32 {
        let edges = outline.iter().zip(outline.iter().cycle().skip(1));
        edges
            .map(|(&(x1, y1), &(x2, y2))| match (y1 <= y, y2 <= y) {
                (true, false) if x < x1 + (x2 - x1) * (y - y1) / (y2 - y1) => 1,
                (false, true) if x < x1 + (x2 - x1) * (y - y1) / (y2 - y1) => -1,
                _ => 0,
            })
            .sum()
    }

    fn any_mask() -> impl Strategy<Value = Polygon> {
        let corner = (0.0f32..=1.0, 0.0f32..=1.0);
        // On the raster as often as between.
        let round = (0..=8u8, 0..=8u8).prop_map(|(x, y)| (f32::from(x) / 8.0, f32::from(y) / 8.0));
        proptest::collection::vec(prop_oneof![corner, round], 3..9).prop_map(|corners| mask(&corners))
    }

    proptest! {
        /// Whatever the masks and the picture's size: every point within a mask lies in a covered block, and a block is covered only where a
        /// mask reaches into it.
        #[test]
        fn exactly_what_a_mask_reaches_is_covered(
            masks in proptest::collection::vec(any_mask(), 1..4),
            width in 1usize..70,
            height in 1usize..50,
            points in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0), 64),
        ) {
            let got = runs(&masks, width, height);
            let scale = (width as f64 / 2.0, height as f64 / 2.0);
            let outlines: Vec<Vec<(f64, f64)>> = masks
                .iter()
                .map(|m| m.corners().iter().map(|&(x, y)| (f64::from(x) * scale.0, f64::from(y) * scale.1)).collect())
                .collect();
            for (x, y) in points {
                let (x, y) = (x * scale.0, y * scale.1);
                if outlines.iter().any(|outline| winding(outline, x, y) != 0) {
                    prop_assert!(is_covered(&got, x as usize, y as usize), "{x} {y} of {got:?}");
                }
            }
            let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
            for pair in got.windows(2) {
                prop_assert!((pair[0].row, pair[0].to) < (pair[1].row, pair[1].from), "{got:?}");
            }
            for run in &got {
                prop_assert!(run.row < rows && run.from < run.to && run.to <= columns, "{run:?}");
                for column in run.from..run.to {
                    let reaches = outlines.iter().any(|outline| {
                        let middle = (column as f64 + 0.5, run.row as f64 + 0.5);
                        let edges = outline.iter().zip(outline.iter().cycle().skip(1));
                        winding(outline, middle.0, middle.1) != 0
                            || edges.into_iter().any(|(a, b)| passes(*a, *b, column, run.row))
                    });
                    prop_assert!(reaches, "{column} {} of {got:?}", run.row);
                }
            }
        }
    }
}
