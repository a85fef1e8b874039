//! How much of the box's memory the pictures of one camera may take. Pure: the shell says how much there is, and how many cameras.

use crate::recording::parts::MAX_PART_BYTES;

/// One in so many bytes of the box's memory is for pictures that are kept and wait; the rest is for all else that it does.
const SHARE_OF_BOX: u64 = 4;
/// What a camera has at least, and at most, however large the box is.
const LEAST: u64 = 16 << 20;
const MOST: u64 = 160 << 20;

/// What one camera's pictures may take of memory, bytes. They hold many of the same pictures, and each is counted as if it held its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureMemory {
    /// What is kept for the pre-roll of a recording. Of a group of pictures that takes more nothing is, until the next one begins.
    pub kept_bytes: usize,
    /// What may wait for a disk that is slow; at least two of the largest parts, as nothing would be recorded else.
    pub waiting_bytes: usize,
    /// The group of pictures that somebody begins with who comes in the middle of it. Of one that takes more nothing is kept.
    pub gop_bytes: usize,
    /// What may wait for a reader that began with such a group and has not taken it yet: that group, and as much again of what follows.
    pub catching_up_bytes: usize,
}

impl PictureMemory {
    /// Of each of `cameras` on a box with so much memory.
    pub fn of(box_bytes: u64, cameras: usize) -> Self {
        let cameras = u64::try_from(cameras).unwrap_or(u64::MAX).max(1);
        let share = (box_bytes / SHARE_OF_BOX / cameras).clamp(LEAST, MOST);
        // Fits on 32 bits too: it is bounded above.
        let part = |of_five: u64| usize::try_from(share / 5 * of_five).unwrap_or(usize::MAX);
        let gop_bytes = part(1);
        Self {
            kept_bytes: part(2),
            waiting_bytes: part(2).max(2 * MAX_PART_BYTES),
            gop_bytes,
            catching_up_bytes: 2 * gop_bytes,
        }
    }
}

impl Default for PictureMemory {
    /// Of a large box.
    fn default() -> Self {
        Self::of(u64::MAX, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_box_shares_its_memory_among_its_cameras() {
        for (what, box_mib, cameras, want) in [
            ("eight cameras on a board of 1 GB", 1024, 8, [12, 16, 6]),
            ("four on 2 GB", 2048, 4, [51, 51, 25]),
            ("one on 1 GB", 1024, 1, [64, 64, 32]),
            ("32 on 512 MB: the least", 512, 32, [6, 16, 3]),
            ("one on 64 GB: the most", 65_536, 1, [64, 64, 32]),
            ("none yet", 1024, 0, [64, 64, 32]),
        ] {
            let PictureMemory { kept_bytes, waiting_bytes, gop_bytes, catching_up_bytes } =
                PictureMemory::of(box_mib * MIB, cameras);
            assert_eq!(catching_up_bytes, 2 * gop_bytes, "{what}");
            let mib = [kept_bytes, waiting_bytes, gop_bytes].map(|bytes| bytes as u64 / MIB);
            assert_eq!(mib, want, "{what}");
        }
        assert_eq!(PictureMemory::default(), PictureMemory::of(u64::MAX, 1));
    }

    #[test]
    fn all_cameras_together_leave_the_box_most_of_its_memory() {
        for box_mib in [512, 1024, 2048, 4096, 8192] {
            for cameras in 1..=8 {
                let memory = PictureMemory::of(box_mib * MIB, cameras);
                let each = memory.kept_bytes + memory.waiting_bytes + memory.gop_bytes + memory.catching_up_bytes;
                let all = each as u64 * cameras as u64;
                assert!(all <= box_mib * MIB / 2, "{cameras} cameras on {box_mib} MiB: {} MiB", all / MIB);
            }
        }
    }
}
