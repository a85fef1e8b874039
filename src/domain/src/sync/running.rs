//! What of a recording that goes on is copied next: its header, then its fragments as they are written, one small object each, which play when
//! they are put one after the other. They are there before the recording ends, and are replaced by all of it once that is verified. Where the
//! line does not carry that, the camera's small picture of the same time goes in its place, and the recording follows when it is whole.

use perch_base::ids::{CameraId, EventId, SegmentId};
use perch_base::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

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
    /// The fragments that are whole and on the disk.
    pub fragments: Vec<RunningFragment>,
}

/// Where a fragment of a file that is being written ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningFragment {
    /// Bytes from the beginning of the file.
    pub ends_bytes: u64,
    /// In UTC.
    pub ends: Timestamp,
}

impl RunningFile {
    /// How many bytes a second of it takes, as its newest fragments tell; `None` before the first.
    pub fn bytes_per_s(&self) -> Option<u64> {
        let newest = self.fragments.last()?;
        let older = self.fragments.len().checked_sub(1 + RATE_OF).and_then(|at| self.fragments.get(at));
        let (bytes, since) = older.map_or((self.init_bytes, self.start), |from| (from.ends_bytes, from.ends));
        let took_us = newest.ends.micros_since(since).max(1) as u64;
        Some(newest.ends_bytes.saturating_sub(bytes).saturating_mul(1_000_000) / took_us)
    }

    /// How much of it is recorded and was not sent, where that many pieces were.
    pub fn unsent(&self, sent: u32) -> Duration {
        let Some(newest) = self.fragments.last() else { return Duration::ZERO };
        let of_sent = (sent as usize).checked_sub(2).and_then(|at| self.fragments.get(at));
        let us = newest.ends.micros_since(of_sent.map_or(self.start, |last| last.ends));
        Duration::from_micros(u64::try_from(us).unwrap_or_default())
    }
}

/// Fragments by which the rate of a file is told.
const RATE_OF: usize = 5;

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
pub fn next_piece<'f>(
    files: impl IntoIterator<Item = &'f RunningFile>,
    sent: &BTreeMap<SegmentId, u32>,
) -> Option<RunningPiece> {
    let of = |file: &RunningFile| sent.get(&file.id).copied().unwrap_or(0);
    let is_waiting = |file: &&RunningFile| !file.fragments.is_empty() && of(file) as usize <= file.fragments.len();
    let file = files.into_iter().filter(is_waiting).min_by_key(|file| (of(file), file.id))?;
    let number = of(file);
    let end = |n: u32| match n {
        0 => Some(file.init_bytes),
        n => file.fragments.get(n as usize - 1).map(|fragment| fragment.ends_bytes),
    };
    let from = if number == 0 { 0 } else { end(number - 1)? };
    Some(RunningPiece { id: file.id, number, range: from..end(number)? })
}

/// How fast the line to a store took what was sent last.
#[derive(Clone, Debug, Default)]
pub struct LineRate {
    /// What small objects took: the way there and back.
    latencies: VecDeque<Duration>,
    /// Bytes a second of larger ones.
    rates: VecDeque<u64>,
}

/// Objects up to this size tell how long an answer takes.
const TINY_BYTES: u64 = 2_000;
/// Objects from this size on tell how fast the line is.
const TELLING_BYTES: u64 = 8_000;
/// Measures that are kept.
const MEASURES: usize = 8;
/// What is faster than this is not told apart.
const LEAST_TIME: Duration = Duration::from_millis(2);

impl LineRate {
    /// So many bytes were sent as one object, with nothing else beside, and it took so long until the store had said that it has them.
    pub fn took(&mut self, bytes: u64, time: Duration) {
        if bytes <= TINY_BYTES {
            keep(&mut self.latencies, time);
        } else if bytes >= TELLING_BYTES {
            let latency = self.latencies.iter().min().copied().unwrap_or_default();
            let time = time.saturating_sub(latency).max(LEAST_TIME);
            keep(&mut self.rates, (bytes as f64 / time.as_secs_f64()) as u64);
        }
    }

    /// What the line carries, bytes a second: the best of the last few, as what disturbs makes it look slower and nothing makes it look faster.
    pub fn bytes_per_s(&self) -> Option<u64> {
        self.rates.iter().max().copied()
    }
}

fn keep<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == MEASURES {
        all.pop_front();
    }
    all.push_back(one);
}

/// Which picture of a file that is being written is copied while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningWay {
    /// The recorded one.
    Main,
    /// The small one.
    Small,
}

/// A line counts as carrying what is recorded with so much room, percent of it.
const ROOM: u64 = 125;
/// The same after it did not: not to and fro.
const ROOM_AGAIN: u64 = 160;
/// However fast a line seemed: where so much waits it does not carry it.
const FAR_BEHIND: Duration = Duration::from_secs(3);

/// Decides by file which picture is copied first. Once it is the small one it stays so for the file: what was left out of the large one would
/// only hold up what is new.
#[derive(Clone, Debug, Default)]
pub struct RunningWays {
    ways: BTreeMap<SegmentId, RunningWay>,
    was_small: bool,
}

impl RunningWays {
    /// Looks at the files that are being written, of which so many pieces each were sent, over a line that carries so many bytes a second as
    /// far as is known. `has_small`: of which there is a small picture.
    pub fn look(
        &mut self,
        files: &[RunningFile],
        sent: &BTreeMap<SegmentId, u32>,
        line: Option<u64>,
        has_small: impl Fn(&RunningFile) -> bool,
    ) {
        self.ways.retain(|id, _| files.iter().any(|file| file.id == *id));
        let needed: u64 = files.iter().filter_map(RunningFile::bytes_per_s).sum();
        let room = if self.was_small { ROOM_AGAIN } else { ROOM };
        let is_carried = line.is_none_or(|line| line.saturating_mul(100) >= needed.saturating_mul(room));
        for file in files.iter().filter(|file| !file.fragments.is_empty()) {
            let is_behind = file.unsent(sent.get(&file.id).copied().unwrap_or(0)) > FAR_BEHIND;
            let way = self.ways.get(&file.id).copied();
            let is_small = match way {
                _ if !has_small(file) => false,
                Some(RunningWay::Small) => true,
                Some(RunningWay::Main) => is_behind,
                None => !is_carried,
            };
            if way.is_none() || is_small {
                self.was_small = is_small;
            }
            self.ways.insert(file.id, if is_small { RunningWay::Small } else { RunningWay::Main });
        }
    }

    /// Which of a file; `None` before its first fragment.
    pub fn of(&self, id: SegmentId) -> Option<RunningWay> {
        self.ways.get(&id).copied()
    }
}

/// Bytes a second that are left to whatever else is copied while something happens that takes so many, over a line that carries `line` as far
/// as is known. At least so much that a connection stays.
pub fn left_to_others(line: Option<u64>, needed: u64) -> u64 {
    const LEAST: u64 = 8_000;
    line.unwrap_or_default().saturating_sub(needed.saturating_mul(2)).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a fragment of so many bytes a second.
    fn file(id: i64, fragments: &[u64]) -> RunningFile {
        let mut ends_bytes = 10;
        let fragments = (1..).zip(fragments).map(|(n, bytes)| {
            ends_bytes += bytes;
            RunningFragment { ends_bytes, ends: Timestamp(n * 1_000_000) }
        });
        RunningFile {
            id: SegmentId(id),
            camera: CameraId::new("front").expect("valid"),
            start: Timestamp(0),
            event: EventId(1),
            init_bytes: 10,
            fragments: fragments.collect(),
        }
    }

    #[test]
    fn the_header_then_each_fragment_and_every_camera_in_turn() {
        let files = [file(1, &[90, 150]), file(2, &[80]), file(3, &[])];
        let mut sent = BTreeMap::new();
        let mut got = Vec::new();
        while let Some(RunningPiece { id, number, range }) = next_piece(&files, &sent) {
            got.push((id.0, number, range.start, range.end));
            sent.insert(id, number + 1);
        }
        assert_eq!(got, [(1, 0, 0, 10), (2, 0, 0, 10), (1, 1, 10, 100), (2, 1, 10, 90), (1, 2, 100, 250)]);
    }

    #[test]
    fn what_a_file_takes_and_how_much_of_it_waits() {
        let grown = file(1, &[9_000, 1_000, 1_000, 1_000, 1_000, 1_000]);
        assert_eq!((file(1, &[]).bytes_per_s(), file(1, &[500]).bytes_per_s()), (None, Some(500)));
        assert_eq!(grown.bytes_per_s(), Some(1_000), "by its newest fragments");
        let waits = [0, 1, 2, 3, 7].map(|sent| grown.unsent(sent).as_secs());
        assert_eq!(waits, [6, 6, 5, 4, 0], "a header alone shows nothing");
    }

    #[test]
    fn a_line_is_as_fast_as_it_once_was_of_late() {
        let ms = Duration::from_millis;
        let mut line = LineRate::default();
        line.took(400, ms(60));
        assert_eq!(line.bytes_per_s(), None, "of an answer's time nothing is told");
        line.took(20_000, ms(220));
        assert_eq!(line.bytes_per_s(), Some(125_000), "without the way there and back");
        line.took(100_000, ms(10_000));
        assert_eq!(line.bytes_per_s(), Some(125_000), "something disturbed");
        for _ in 0..MEASURES {
            line.took(100_000, ms(2_060));
        }
        assert_eq!(line.bytes_per_s(), Some(50_000), "it became slower");
        line.took(10_000, ms(0));
        assert_eq!(line.bytes_per_s(), Some(5_000_000));
    }

    #[test]
    fn the_small_picture_goes_first_where_the_line_does_not_carry_the_large_one() {
        let mut ways = RunningWays::default();
        let none = BTreeMap::new();
        let mut look = |files: &[RunningFile], sent: &BTreeMap<_, _>, line, has_small| {
            ways.look(files, sent, line, |_| has_small);
            files.iter().map(|file| ways.of(file.id)).collect::<Vec<_>>()
        };
        let (main, small) = (Some(RunningWay::Main), Some(RunningWay::Small));
        assert_eq!(look(&[file(1, &[])], &none, Some(1_000), true), [None], "not known yet");
        assert_eq!(look(&[file(1, &[1_000])], &none, Some(1_250), true), [main]);
        assert_eq!(look(&[file(2, &[1_000])], &none, None, true), [main], "of the line nothing is known");
        assert_eq!(look(&[file(3, &[1_000])], &none, Some(1_249), true), [small]);
        assert_eq!(look(&[file(3, &[1_000; 2])], &none, Some(9_000), true), [small], "to its end");
        assert_eq!(look(&[file(4, &[1_000])], &none, Some(1_500), true), [small], "not to and fro");
        assert_eq!(look(&[file(5, &[1_000])], &none, Some(1_600), true), [main]);
        assert_eq!(look(&[file(6, &[1_000])], &none, Some(500), false), [main], "there is no small one");
        // Two cameras share it.
        let two = [file(7, &[1_000]), file(8, &[1_000])];
        assert_eq!(look(&two, &none, Some(2_000), true), [small, small]);
        // It became slower while it was sent.
        let sent = BTreeMap::from([(SegmentId(9), 2)]);
        assert_eq!(look(&[file(9, &[100; 4])], &sent, Some(9_000), true), [main], "3 s wait");
        assert_eq!(look(&[file(9, &[100; 5])], &sent, Some(9_000), true), [small]);
    }

    #[test]
    fn others_get_what_is_left_and_their_connection_stays() {
        let left = [(None, 0), (Some(50_000), 40_000), (Some(125_000), 40_000), (Some(1_000_000), 100_000)]
            .map(|(line, needed)| left_to_others(line, needed));
        assert_eq!(left, [8_000, 8_000, 45_000, 800_000]);
    }
}
