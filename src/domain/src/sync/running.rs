//! What of a recording that goes on is copied next: its header, then its fragments as they are written, one small object each, which play when
//! they are put one after the other. They are there before the recording ends, and are replaced by all of it once that is verified.

use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;

/// A file of an event that is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningFile {
    /// Its row.
    pub id: SegmentId,
    /// The camera.
    pub camera: CameraId,
    /// UTC of its time 0.
    pub start: Timestamp,
    /// The event that it is of.
    pub event: EventId,
    /// Bytes of its header.
    pub init_bytes: u64,
    /// Where each fragment ends that is whole and on the disk, bytes from the beginning.
    pub ends: Vec<u64>,
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunningPiece {
    /// Of which file.
    pub id: SegmentId,
    /// 0: the header; n: its n-th fragment.
    pub number: u32,
    /// Where in the file.
    pub range: Range<u64>,
}

/// The next piece, where `sent` says how many of each file were. The file of which the fewest were sent comes first, so that of every camera
/// something is there soon.
pub fn next_piece(files: &[RunningFile], sent: &BTreeMap<SegmentId, u32>) -> Option<RunningPiece> {
    let of = |file: &RunningFile| sent.get(&file.id).copied().unwrap_or(0);
    let waiting = files.iter().filter(|file| !file.ends.is_empty() && of(file) as usize <= file.ends.len());
    let file = waiting.min_by_key(|file| (of(file), file.id))?;
    let number = of(file);
    let end = |n: u32| if n == 0 { Some(file.init_bytes) } else { file.ends.get(n as usize - 1).copied() };
    let from = if number == 0 { 0 } else { end(number - 1)? };
    Some(RunningPiece { id: file.id, number, range: from..end(number)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_then_each_fragment_and_every_camera_in_turn() {
        let file = |id: i64, ends: &[u64]| RunningFile {
            id: SegmentId(id),
            camera: CameraId::new("front").expect("valid"),
            start: Timestamp(0),
            event: EventId(1),
            init_bytes: 10,
            ends: ends.to_vec(),
        };
        let files = [file(1, &[100, 250]), file(2, &[90]), file(3, &[])];
        let mut sent = BTreeMap::new();
        let mut got = Vec::new();
        while let Some(RunningPiece { id, number, range }) = next_piece(&files, &sent) {
            got.push((id.0, number, range.start, range.end));
            sent.insert(id, number + 1);
        }
        assert_eq!(got, [(1, 0, 0, 10), (2, 0, 0, 10), (1, 1, 10, 100), (2, 1, 10, 90), (1, 2, 100, 250)]);
    }
}
