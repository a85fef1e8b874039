//! What a fragment's header says of each sample of a run: its size, its length, when it is shown, whether decoding can start at it.

use super::read::{NOT_SYNC, Run, u32_at};

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Its bytes.
    pub(crate) size_bytes: u32,
    /// How long it lasts, ticks of its track.
    pub(crate) length_ticks: u32,
    /// How much later it is shown than decoded, ticks of its track.
    pub(crate) shown_ticks: u32,
    /// Whether decoding can start at it.
    pub(crate) is_start: bool,
}

/// The samples of a run of this `moof`, in which it was found. `None`: it is damaged.
pub(crate) fn samples_of(moof: &[u8], run: &Run) -> Option<Vec<Sample>> {
    let trun = run.offset_at.checked_sub(8)?;
    let flags = u32_at(moof, trun)?;
    let (has_first, has_each, has_shown) = (flags & 0x004 != 0, flags & 0x400 != 0, flags & 0x800 != 0);
    let entry_bytes = 8 + 4 * usize::from(has_each) + 4 * usize::from(has_shown);
    let entries = run.first_size_at.checked_sub(4)?;
    let sample = |n: usize| {
        let at = entries + n * entry_bytes;
        let is_start = match (has_each, n) {
            (true, _) => u32_at(moof, at + 8)? & NOT_SYNC == 0,
            (false, 0) => run.starts,
            // What is said of the first one alone holds of no other.
            (false, _) => run.starts && !has_first,
        };
        let shown_ticks = if has_shown { u32_at(moof, at + entry_bytes - 4)? } else { 0 };
        let (length_ticks, size_bytes) = (u32_at(moof, at)?, u32_at(moof, at + 4)?);
        Some(Sample { size_bytes, length_ticks, shown_ticks, is_start })
    };
    (0..run.sizes_bytes.len()).map(sample).collect()
}
