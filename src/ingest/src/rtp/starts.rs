//! At which pictures decoding can start: a refresh; where a camera sends none, a recovery point (intra refresh, open GOPs); where it
//! sends neither, a picture of intra slices alone.

use perch_base::time::MonoTime;
use perch_domain::ingest::PictureCodec;
use std::time::Duration;

/// Without a better start for so long, a gradual recovery point is one.
const NO_REFRESH: Duration = Duration::from_secs(2);
/// And a picture of intra slices.
const NO_RECOVERY: Duration = Duration::from_secs(4);
/// So many pictures of intra slices alone, one after the other, are a stream of such.
const ALL_INTRA: u32 = 4;
/// Without any start for so long, people should know: who begins to watch waits for one.
const NO_START: Duration = Duration::from_secs(10);
/// After a start, where so many pictures came since: a camera that sends few has keyframes far apart.
const FAR_PICTURES: u32 = 100;

/// What a picture shows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clues {
    /// It is an instantaneous refresh (H.264 IDR), or a random access (H.265 IRAP).
    pub refresh: bool,
    /// A recovery point message, with its count of pictures.
    pub recovery: Option<u32>,
    /// Its first field has intra slices only.
    pub intra: bool,
}

/// What is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether decoding can start here.
    pub is_start: bool,
    /// Whether it, or one before it, is a start.
    pub wanted: bool,
    /// Whether people should know that there is none.
    pub warn: bool,
}

/// The starts of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Starts {
    h264: bool,
    first: Option<MonoTime>,
    refresh: Option<MonoTime>,
    /// Time between the last two.
    refresh_every: Option<Duration>,
    recovery: Option<MonoTime>,
    intra_in_a_row: u32,
    started: Option<MonoTime>,
    /// Pictures since the last start.
    since_start: u32,
    warned: bool,
    starts: u32,
}

impl Starts {
    /// Of a codec.
    pub fn new(codec: PictureCodec) -> Self {
        Self {
            h264: codec == PictureCodec::H264,
            first: None,
            refresh: None,
            refresh_every: None,
            recovery: None,
            intra_in_a_row: 0,
            started: None,
            since_start: 0,
            warned: false,
            starts: 0,
        }
    }

    /// Whether leading pictures cannot be decoded: those of the very first start.
    pub fn skips_leading(&self) -> bool {
        self.starts <= 1
    }

    /// Judges the next picture.
    pub fn judge(&mut self, at: MonoTime, clues: Clues) -> Verdict {
        let first = *self.first.get_or_insert(at);
        self.intra_in_a_row = if clues.intra { self.intra_in_a_row.saturating_add(1) } else { 0 };
        let since = |then: Option<MonoTime>| at.since(then.unwrap_or(first));
        let is_start = if clues.refresh {
            self.refresh_every = self.refresh.map(|before| at.since(before));
            self.refresh = Some(at);
            true
        } else if let Some(count) = clues.recovery {
            self.recovery = Some(at);
            // Where refreshes come at a steady pace, the next one is better.
            let expected = self.refresh_every.map_or(NO_REFRESH, |every| every.saturating_mul(3) / 2).max(NO_REFRESH);
            count == 0 && clues.intra || self.refresh.is_none() || since(self.refresh) >= expected
        } else if self.h264 && clues.intra {
            let waits = since(self.refresh.max(self.recovery)) >= NO_RECOVERY;
            self.intra_in_a_row >= ALL_INTRA || waits
        } else {
            false
        };
        if is_start {
            (self.started, self.since_start) = (Some(at), 0);
        }
        self.since_start = self.since_start.saturating_add(1);
        self.starts = self.starts.saturating_add(u32::from(is_start));
        Verdict { is_start, wanted: self.started.is_some(), warn: self.waits(at) }
    }

    /// A picture came `at`. Whether people should know that there was no start up to it; said once.
    pub fn waits(&mut self, at: MonoTime) -> bool {
        let first = *self.first.get_or_insert(at);
        let is_few = self.started.is_some() && self.since_start < FAR_PICTURES;
        let warn = !self.warned && !is_few && at.since(self.started.unwrap_or(first)) >= NO_START;
        self.warned |= warn;
        warn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `I` refresh, `R` gradual recovery point, `O` an intra picture with recovery count 0, `i` intra, `p` other: 25 a second. Returns
    /// the places of starts.
    fn starts(stream: &str) -> Vec<usize> {
        let mut starts = Starts::new(PictureCodec::H264);
        let place = |(n, c): (usize, char)| {
            let recovery = match c {
                'R' => Some(20),
                'O' => Some(0),
                _ => None,
            };
            let clues = Clues { refresh: c == 'I', recovery, intra: matches!(c, 'I' | 'O' | 'i') };
            starts.judge(MonoTime(n as i64 * 40_000), clues).is_start.then_some(n)
        };
        stream.chars().enumerate().filter_map(place).collect()
    }

    #[test]
    fn refreshes_are_starts_and_intra_pictures_between_them_not() {
        assert_eq!(starts("ppIppipIppRp"), [2, 7]);
        assert_eq!(starts("OppOpp"), [0, 3]);
    }

    #[test]
    fn recovery_points_are_starts_where_nothing_else_is() {
        assert_eq!(starts("ppRpppRpp"), [2, 6]);
        let gop = format!("R{}", "p".repeat(49));
        assert_eq!(starts(&format!("I{}{}", "p".repeat(49), gop.repeat(3))), [0, 50, 100, 150]);
        // A refresh every four seconds, a recovery point between.
        let mixed = format!("I{}R{}", "p".repeat(49), "p".repeat(49)).repeat(4);
        assert_eq!(starts(&mixed), [0, 50, 100, 200, 300]);
    }

    #[test]
    fn streams_of_intra_pictures_start_soon() {
        assert_eq!(starts("iiiiii"), [3, 4, 5]);
        let gop = format!("i{}", "p".repeat(24));
        assert_eq!(starts(&gop.repeat(6)), [100, 125]);
    }

    #[test]
    fn people_hear_once_that_there_is_none() {
        let mut starts = Starts::new(PictureCodec::H264);
        let warned = |n: i64| starts.judge(MonoTime(n * 40_000), Clues::default()).warn.then_some(n);
        assert_eq!((0..2000).filter_map(warned).collect::<Vec<_>>(), [250]);
        for (what, step_ms, gop, want) in [
            ("often enough", 40, 240, None),
            ("each 20 s", 66, 300, Some(152)),
            ("few pictures", 4_000, 4, None),
            ("few, and far apart", 1_000, 900, Some(99)),
        ] {
            let mut starts = Starts::new(PictureCodec::H264);
            let clues = |n: i64| Clues { refresh: n % gop == 0, ..Clues::default() };
            let warned = |n: &i64| starts.judge(MonoTime(n * step_ms * 1_000), clues(*n)).warn;
            assert_eq!((0..2_000).find(warned), want, "{what}");
        }
    }
}
