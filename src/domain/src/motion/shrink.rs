//! The large picture as the small grey one: averaging in space keeps noise down and costs one pass over the luma plane; scaling by
//! single samples would flicker.

use super::{LUMA_HEIGHT, LUMA_WIDTH};
use crate::orientation::Orientation;

/// A span of source pixels that makes one pixel of the result, with the weights of its ends.
struct Span {
    first: usize,
    last: usize,
    first_weight: f32,
    last_weight: f32,
}

fn spans(from: usize, to: usize) -> Vec<Span> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let (start, end) = (i as f64 * step, (i + 1) as f64 * step);
            let first = (start as usize).min(from - 1);
            let last = ((end - 1e-9) as usize).clamp(first, from - 1);
            if first == last {
                return Span { first, last, first_weight: 1.0, last_weight: 0.0 };
            }
            let total = end - start;
            Span {
                first,
                last,
                first_weight: ((first as f64 + 1.0 - start) / total) as f32,
                last_weight: ((end - last as f64) / total) as f32,
            }
        })
        .collect()
}

/// Area average of a grey plane, turned, [`LUMA_WIDTH`] x [`LUMA_HEIGHT`] row by row; `None` where `plane` is smaller than its description.
pub fn area_average(
    plane: &[u8],
    stride: usize,
    width: usize,
    height: usize,
    orientation: Orientation,
) -> Option<Vec<u8>> {
    if width == 0
        || height == 0
        || stride < width
        || plane.len() < stride.checked_mul(height - 1)?.checked_add(width)?
    {
        return None;
    }
    let (across, down) = orientation.of_sides((LUMA_WIDTH, LUMA_HEIGHT));
    let (columns, rows) = (spans(width, across), spans(height, down));
    let middle_row = down as f32 / height as f32;
    let middle_column = across as f32 / width as f32;
    let mut out = Vec::with_capacity(LUMA_WIDTH * LUMA_HEIGHT);
    let mut line = vec![0f32; width];
    let mut whole = vec![0u16; width];
    for row in &rows {
        let source = |y: usize| &plane[y * stride..y * stride + width];
        for (sum, pixel) in line.iter_mut().zip(source(row.first)) {
            *sum = f32::from(*pixel) * row.first_weight;
        }
        // Whole rows are summed as integers: 257 rows of 255 fit, and no picture is 46,000 pixels high.
        for chunk in (row.first + 1..row.last).collect::<Vec<_>>().chunks(256) {
            whole.fill(0);
            for y in chunk {
                for (sum, pixel) in whole.iter_mut().zip(source(*y)) {
                    *sum += u16::from(*pixel);
                }
            }
            for (sum, whole) in line.iter_mut().zip(&whole) {
                *sum += f32::from(*whole) * middle_row;
            }
        }
        if row.last_weight > 0.0 {
            for (sum, pixel) in line.iter_mut().zip(source(row.last)) {
                *sum += f32::from(*pixel) * row.last_weight;
            }
        }
        match (width.is_multiple_of(across), width / across) {
            (true, 1) => means::<1>(&line, &mut out),
            (true, 2) => means::<2>(&line, &mut out),
            (true, 4) => means::<4>(&line, &mut out),
            (true, 6) => means::<6>(&line, &mut out),
            (true, 8) => means::<8>(&line, &mut out),
            (true, 12) => means::<12>(&line, &mut out),
            _ => out.extend(columns.iter().map(|c| {
                let mut v = line[c.first] * c.first_weight;
                if c.last > c.first {
                    v += line[c.first + 1..c.last].iter().sum::<f32>() * middle_column + line[c.last] * c.last_weight;
                }
                grey(v)
            })),
        }
    }
    Some(orientation.of_plane(out, across))
}

/// Means of each `N` pixels of `line`: the usual widths are so much quicker.
fn means<const N: usize>(line: &[f32], out: &mut Vec<u8>) {
    out.extend(line.as_chunks::<N>().0.iter().map(|pixels| grey(pixels.iter().sum::<f32>() / N as f32)));
}

/// A mean of 0 to 255, rounded: 2^23 has no digits behind the point, so this needs no conversion, and many are done at once.
fn grey(mean: f32) -> u8 {
    ((mean * 256.0 + (8_388_608.0 + 128.0)).to_bits() >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_picture_keeps_its_grey_at_any_size() {
        for (w, h) in [(1280, 720), (360, 240), (1920, 1080), (320, 180), (100, 50), (853, 481), (1, 1)] {
            let small = area_average(&vec![200; w * h], w, w, h, Orientation::NONE).expect("whole");
            assert_eq!(small.len(), 320 * 180);
            assert!(small.iter().all(|p| (199..=201).contains(p)), "{w}x{h}");
        }
    }

    #[test]
    fn positions_are_kept_and_padding_is_ignored() {
        let (w, h, stride) = (640, 360, 704);
        let mut plane = vec![255u8; stride * h];
        for y in 0..h {
            plane[y * stride..y * stride + w].fill(0);
        }
        for y in 100..102 {
            plane[y * stride + 200..y * stride + 202].fill(80);
        }
        let small = area_average(&plane, stride, w, h, Orientation::NONE).expect("whole");
        assert_eq!(small[50 * LUMA_WIDTH + 100], 80);
        assert_eq!(small.iter().filter(|p| **p > 0).count(), 1);
        // Turned clockwise, what is at the left is above.
        let turned = area_average(&plane, stride, w, h, Orientation { mirrored: false, quarters: 1 }).expect("whole");
        let brightest = turned.iter().enumerate().max_by_key(|(_, p)| **p).map(|(at, _)| at).expect("some");
        assert_eq!((brightest % LUMA_WIDTH * 36 / 32, brightest / LUMA_WIDTH), (259 - 1, 56), "{brightest}");
    }

    #[test]
    fn a_short_plane_is_refused() {
        assert!(area_average(&[0; 100], 320, 320, 180, Orientation::NONE).is_none());
        assert!(area_average(&[], 0, 0, 0, Orientation::NONE).is_none());
    }
}
