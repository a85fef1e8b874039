//! Blobs: connected foreground cells, the boxes around them, and the measures that tell an object from a ghost and from a
//! change of light.

use super::Rect;
use super::grid::{CELLS, COLS, ROWS};

/// Blobs whose boxes come this near to each other, in cells, are neighbours.
const NEAR: u16 = 4;

/// What is known of one connected region.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blob {
    /// Cells in it.
    pub area: u32,
    /// Cells in it where motion may be.
    pub inside: u32,
    /// Cells of `inside` that differ strongly.
    pub strong: u32,
    left: u16,
    right: u16,
    top: u16,
    bottom: u16,
    picture: f32,
    background: f32,
    picture2: f32,
    background2: f32,
    product: f32,
    change: f32,
    edge_picture: f32,
    edge_background: f32,
}

/// How far the picture inside a blob is the background in another light: picture = slope * background + offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    /// The picture's contrast against the background's.
    pub slope: f32,
    /// What the fit leaves, grey levels (standard deviation).
    pub residual: f32,
    /// Spread of the background, grey levels (standard deviation).
    pub texture: f32,
    /// Picture minus background, grey levels (root mean square).
    pub difference: f32,
}

/// The planes blobs are measured on, each `CELLS` long.
#[derive(Clone, Copy)]
pub(super) struct Planes<'a> {
    /// The picture.
    pub picture: &'a [f32],
    /// The background in the picture's light.
    pub background: &'a [f32],
    /// The last picture in this picture's light.
    pub last: &'a [f32],
    /// 1 where the picture differs strongly.
    pub strong: &'a [u8],
    /// 1 where motion may be.
    pub allowed: &'a [u8],
}

impl Blob {
    /// The box around it in parts of the picture.
    pub(super) fn bounds(&self) -> Rect {
        let (w, h) = (COLS as f32, ROWS as f32);
        Rect {
            x: f32::from(self.left) / w,
            y: f32::from(self.top) / h,
            w: f32::from(self.right - self.left + 1) / w,
            h: f32::from(self.bottom - self.top + 1) / h,
        }
    }

    /// The columns and the rows of its box, first and last, made wider by `margin` cells on each side.
    pub(super) fn reach(&self, margin: u16) -> [(usize, usize); 2] {
        let span = |low: u16, high: u16, len: usize| {
            (usize::from(low.saturating_sub(margin)), usize::from(high + margin).min(len - 1))
        };
        [span(self.left, self.right, COLS), span(self.top, self.bottom, ROWS)]
    }

    /// Whether the boxes around two blobs overlap or nearly so.
    pub(super) fn is_near(&self, other: &Self) -> bool {
        let apart = |low: u16, high: u16| low > high + NEAR;
        !(apart(self.left, other.right)
            || apart(other.left, self.right)
            || apart(self.top, other.bottom)
            || apart(other.top, self.bottom))
    }

    /// Mean change of a cell since the last picture, grey levels.
    pub(super) fn change(&self) -> f32 {
        self.change / self.area.max(1) as f32
    }

    /// How much stronger the edges along its outline are in the background than in the picture. A thing brings its outline
    /// into the picture, far below 1; a ghost, a place whose former occupant is still in the background, is above 1.
    pub(super) fn ghostness(&self) -> f32 {
        (self.edge_background + 1.0) / (self.edge_picture + 1.0)
    }

    /// Fits the picture to the background.
    pub(super) fn fit(&self) -> Fit {
        let n = self.area.max(1) as f32;
        let (p, b) = (self.picture / n, self.background / n);
        let picture = (self.picture2 / n - p * p).max(0.01);
        let background = (self.background2 / n - b * b).max(0.01);
        let both = self.product / n - p * b;
        let difference = (self.picture2 - 2.0 * self.product + self.background2) / n;
        Fit {
            slope: both / background,
            residual: (picture - both * both / background).max(0.01).sqrt(),
            texture: background.sqrt(),
            difference: difference.max(0.01).sqrt(),
        }
    }

    fn add(&mut self, mask: &[u8], planes: Planes<'_>, row: usize, col: usize) {
        let i = row * COLS + col;
        let (x, y) = (col as u16, row as u16);
        if self.area == 0 {
            (self.left, self.right, self.top) = (x, x, y);
        }
        (self.left, self.right, self.bottom) = (self.left.min(x), self.right.max(x), y);
        self.area += 1;
        self.inside += u32::from(planes.allowed[i]);
        self.strong += u32::from(planes.allowed[i] & planes.strong[i]);
        let (p, b) = (planes.picture[i], planes.background[i]);
        self.picture += p;
        self.background += b;
        self.picture2 += p * p;
        self.background2 += b * b;
        self.product += p * b;
        self.change += (p - planes.last[i]).abs();
        // Edges are looked for two cells out: lens, codec and shrinking blur the one between.
        let mut edge = |near: usize, far: usize| {
            if mask[near] == 0 && mask[far] == 0 {
                self.edge_picture += (p - planes.picture[far]).abs();
                self.edge_background += (b - planes.background[far]).abs();
            }
        };
        if col >= 2 {
            edge(i - 1, i - 2);
        }
        if col + 2 < COLS {
            edge(i + 1, i + 2);
        }
        if row >= 2 {
            edge(i - COLS, i - 2 * COLS);
        }
        if row + 2 < ROWS {
            edge(i + COLS, i + 2 * COLS);
        }
    }
}

/// Finds blobs; holds what it needs from picture to picture.
#[derive(Clone, Debug)]
pub(super) struct Finder {
    labels: Vec<u16>,
    parents: Vec<u16>,
    blobs: Vec<Blob>,
}

impl Finder {
    pub(super) fn new() -> Self {
        // No more labels than cells with nothing to their west and north, and the 0 for none.
        let most = CELLS / 4 + COLS + ROWS;
        Self { labels: vec![0; CELLS], parents: Vec::with_capacity(most), blobs: Vec::with_capacity(most) }
    }

    /// Finds and measures the blobs of `mask` (0 or 1), joined over 8 neighbours.
    pub(super) fn find(&mut self, mask: &[u8], planes: Planes<'_>) {
        self.label(mask);
        self.blobs.clear();
        self.blobs.resize(self.parents.len(), Blob::default());
        for row in 0..ROWS {
            for col in 0..COLS {
                let i = row * COLS + col;
                if self.labels[i] != 0 {
                    let root = self.root(self.labels[i]);
                    self.labels[i] = root;
                    self.blobs[usize::from(root)].add(mask, planes, row, col);
                }
            }
        }
    }

    /// For each cell the blob it belongs to: an index into [`Finder::blobs`], 0 for none.
    pub(super) fn labels(&self) -> &[u16] {
        &self.labels
    }

    /// All blobs by label; the first, and those that were joined to another, have no area.
    pub(super) fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    fn label(&mut self, mask: &[u8]) {
        self.parents.clear();
        self.parents.push(0);
        for row in 0..ROWS {
            for col in 0..COLS {
                let i = row * COLS + col;
                if mask[i] == 0 {
                    self.labels[i] = 0;
                    continue;
                }
                let (left, right, up) = (col > 0, col + 1 < COLS, row > 0);
                let near = [
                    if left { self.labels[i - 1] } else { 0 },
                    if left && up { self.labels[i - COLS - 1] } else { 0 },
                    if up { self.labels[i - COLS] } else { 0 },
                    if right && up { self.labels[i - COLS + 1] } else { 0 },
                ];
                let mut label = 0;
                for n in near.into_iter().filter(|n| *n != 0) {
                    label = if label == 0 { self.root(n) } else { self.join(label, n) };
                }
                if label == 0 {
                    label = self.parents.len() as u16;
                    self.parents.push(label);
                }
                self.labels[i] = label;
            }
        }
    }

    fn root(&self, mut label: u16) -> u16 {
        while self.parents[usize::from(label)] != label {
            label = self.parents[usize::from(label)];
        }
        label
    }

    fn join(&mut self, a: u16, b: u16) -> u16 {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[usize::from(a.max(b))] = a.min(b);
        a.min(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(mask: &[u8], picture: &[f32], background: &[f32]) -> Vec<Blob> {
        let mut finder = Finder::new();
        let ones = vec![1; CELLS];
        finder.find(mask, Planes { picture, background, last: picture, strong: &ones, allowed: &ones });
        finder.blobs().iter().filter(|b| b.area > 0).copied().collect()
    }

    /// A grey plane of level 100 with a square of 10 x 10 cells of another level at column 20, row 30.
    fn square(level: f32) -> (Vec<u8>, Vec<f32>) {
        let (mut mask, mut plane) = (vec![0; CELLS], vec![100.0; CELLS]);
        for i in (0..100).map(|k| (30 + k / 10) * COLS + 20 + k % 10) {
            (mask[i], plane[i]) = (1, level);
        }
        (mask, plane)
    }

    #[test]
    fn arms_that_meet_are_one_blob_and_diagonals_join() {
        let mut mask = vec![0; CELLS];
        for (col, row) in [(3, 3), (3, 4), (3, 5), (7, 3), (7, 4), (6, 5), (5, 6), (4, 6), (50, 50)] {
            mask[row * COLS + col] = 1;
        }
        let plane = vec![0.0; CELLS];
        let blobs = find(&mask, &plane, &plane);
        assert_eq!(blobs.iter().map(|b| b.area).collect::<Vec<_>>(), [8, 1]);
        assert_eq!(blobs[0].reach(0), [(3, 7), (3, 6)]);
        assert!(!blobs[0].is_near(&blobs[1]) && blobs[0].is_near(&blobs[0]));
    }

    #[test]
    fn a_thing_has_its_outline_in_the_picture_and_a_ghost_in_the_background() {
        let (mask, with) = square(30.0);
        let without = vec![100.0; CELLS];
        assert!(find(&mask, &with, &without)[0].ghostness() < 0.1);
        assert!(find(&mask, &without, &with)[0].ghostness() > 10.0);
    }

    #[test]
    fn a_shadow_fits_the_background_and_a_thing_does_not() {
        let background: Vec<f32> = (0..CELLS).map(|i| 100.0 + ((i * 37) % 50) as f32).collect();
        let (mask, _) = square(0.0);
        let shadow: Vec<f32> = background.iter().map(|b| b * 0.6).collect();
        let fit = find(&mask, &shadow, &background)[0].fit();
        assert!((fit.slope - 0.6).abs() < 0.02 && fit.residual < 1.0 && fit.difference > 40.0, "{fit:?}");
        let thing: Vec<f32> = (0..CELLS).map(|i| 60.0 + ((i * 23) % 40) as f32).collect();
        let fit = find(&mask, &thing, &background)[0].fit();
        assert!(fit.residual > 8.0, "{fit:?}");
    }

    #[test]
    fn the_worst_masks_stay_within_what_was_allocated() {
        let plane = vec![0.0; CELLS];
        let dots: Vec<u8> =
            (0..CELLS).map(|i| u8::from((i % COLS).is_multiple_of(2) && (i / COLS).is_multiple_of(2))).collect();
        let mut finder = Finder::new();
        let (labels, blobs) = (finder.parents.capacity(), finder.blobs.capacity());
        finder.find(&dots, Planes { picture: &plane, background: &plane, last: &plane, strong: &dots, allowed: &dots });
        assert_eq!(finder.blobs().len(), CELLS / 4 + 1);
        assert_eq!((finder.parents.capacity(), finder.blobs.capacity()), (labels, blobs));
    }
}
